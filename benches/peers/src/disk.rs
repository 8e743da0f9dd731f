//! The disk alone: 4 KiB written behind the last and synced, one at a time, as fast as it goes. No answer that is
//! durable by itself can come sooner.
//!
//! The file has its size and was filled with zeros before, so that a sync writes data and nothing about the file. At its
//! end the writing begins anew at the front.
//!
//! Not here: which disk it is (`machine.rs`).

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use tempfile::TempDir;

use crate::contestant::{Contestant, Figures, QUANTILES};
use crate::site::Site;

/// What is written at once: a page.
const BLOCK_BYTES: usize = 4_096;
/// Size of the file: that of a segment of Usher's log.
const FILE_BLOCKS: u64 = 16_384;
/// Blocks of zeros written at once.
const ZEROS_BLOCKS: usize = 256;
/// A latency above this counts as this.
const LATENCY_US_MAX: u64 = 60_000_000;

/// The disk of the data folder.
#[derive(Debug)]
pub struct Disk {
    site: Site,
    opened: Option<(TempDir, File)>,
}

impl Disk {
    /// The disk of [`Site::data`].
    #[must_use]
    pub fn new(site: &Site) -> Disk {
        Disk { site: site.clone(), opened: None }
    }
}

impl Contestant for Disk {
    fn name(&self) -> &str {
        "disk"
    }

    fn what(&self) -> &str {
        "The disk of the data folder: 4 KiB appended to a preallocated file and fdatasync, one at a time."
    }

    fn start(&mut self) -> Result<()> {
        self.stop();
        let folder = tempfile::Builder::new().prefix("peers-disk-").tempdir_in(&self.site.data);
        let folder = folder.with_context(|| format!("a folder in {}", self.site.data.display()))?;
        let file = File::create(folder.path().join("file"))?;
        let zeros = vec![0; ZEROS_BLOCKS * BLOCK_BYTES];
        for at in 0..FILE_BLOCKS / ZEROS_BLOCKS as u64 {
            file.write_all_at(&zeros, at * zeros.len() as u64)?;
        }
        file.sync_all()?;
        self.opened = Some((folder, file));
        Ok(())
    }

    fn run(&mut self, warmup: Duration, measured: Duration) -> Result<Figures> {
        let (_, file) = self.opened.as_ref().context("the file is not there: disk is not started")?;
        self.site.cores.as_server(|| append(file, warmup, measured))?
    }

    fn stop(&mut self) {
        self.opened = None;
    }
}

fn append(file: &File, warmup: Duration, measured: Duration) -> Result<Figures> {
    let mut latencies = Histogram::<u64>::new_with_bounds(1, LATENCY_US_MAX, 3)?;
    let block = vec![0xA5; BLOCK_BYTES];
    let measure_from = Instant::now() + warmup;
    let end = measure_from + measured;
    let mut blocks = (0..FILE_BLOCKS).cycle();
    let mut at = Instant::now();
    while at < end {
        file.write_all_at(&block, blocks.next().unwrap_or(0) * BLOCK_BYTES as u64)?;
        file.sync_data()?;
        let now = Instant::now();
        if at >= measure_from {
            latencies.saturating_record(u64::try_from((now - at).as_micros()).unwrap_or(LATENCY_US_MAX));
        }
        at = now;
    }
    Ok(Figures {
        commands: latencies.len(),
        per_second: latencies.len() as f64 / measured.as_secs_f64(),
        hold_us: match latencies.is_empty() {
            true => Vec::new(),
            false => QUANTILES.iter().map(|&at| latencies.value_at_quantile(at) as f64).collect(),
        },
        seconds: measured.as_secs_f64(),
        ..Figures::default()
    })
}
