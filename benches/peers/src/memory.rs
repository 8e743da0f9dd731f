//! Memory that the machine has ready, kept for whoever runs.
//!
//! A guest gets most of its memory from the host at the first touch, and a host that is told which pages are free takes
//! them back within seconds. Here a first touch cost 2.5 s a GiB, a second one 0.15 s: a server that grows by 50 MB a
//! second lost an eighth of its processor to that, and which of two contestants lost it was chance. So children of this
//! program hold touched memory, and end one after the other while a contestant runs: what it grows into is ready.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};

/// What one child holds.
const BLOCK_MIB: usize = 128;
/// So many at most: more than any contestant grows into while it runs.
const BLOCKS_MAX: u64 = 16;
/// So many end before a contestant starts ...
const BLOCKS_AT_ONCE: usize = 4;
/// ... and one more each time this has passed: they must not all lie free for long.
const BLOCK_EVERY: Duration = Duration::from_millis(400);
const PAGE_BYTES: usize = 4_096;

/// What a child does: touches so much memory, says so, and holds it until its standard input ends.
pub fn hold(mib: usize) -> ExitCode {
    let mut memory: Vec<u8> = Vec::with_capacity(mib << 20);
    // Only what is written is taken, and only a page's first byte is needed.
    while memory.len() + PAGE_BYTES <= memory.capacity() {
        memory.resize(memory.len() + PAGE_BYTES, 1);
    }
    println!("held");
    let _ended = std::io::stdin().read_to_end(&mut Vec::new());
    std::hint::black_box(&memory);
    ExitCode::SUCCESS
}

/// The children.
#[derive(Debug)]
pub struct Kept {
    program: PathBuf,
    most: usize,
    blocks: Vec<Child>,
}

impl Kept {
    /// Half of what is available, at most 2 GiB. `program` is the one whose option `--hold-memory MIB` calls [`hold`].
    ///
    /// # Errors
    /// When a child cannot be started.
    pub fn take(program: &Path) -> Result<Kept> {
        let meminfo = std::fs::read_to_string("/proc/meminfo").ok();
        let available_mib = meminfo.and_then(|text| parse_available(&text)).unwrap_or(0) >> 20;
        let most = (available_mib / 2 / BLOCK_MIB as u64).min(BLOCKS_MAX);
        let mut kept =
            Kept { program: program.to_owned(), most: usize::try_from(most).unwrap_or(0), blocks: Vec::new() };
        kept.fill_up()?;
        Ok(kept)
    }

    /// MiB that are kept.
    #[must_use]
    pub fn mib(&self) -> usize {
        self.blocks.len() * BLOCK_MIB
    }

    /// Holds again what was given.
    ///
    /// # Errors
    /// When a child cannot be started.
    pub fn fill_up(&mut self) -> Result<()> {
        while self.blocks.len() < self.most {
            let mut command = Command::new(&self.program);
            command.args(["--hold-memory", &BLOCK_MIB.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = command.spawn().with_context(|| format!("start {}", self.program.display()))?;
            let said = child.stdout.take().map(|out| BufReader::new(out).read_line(&mut String::new()));
            said.transpose().context("wait for a child that holds memory")?;
            self.blocks.push(child);
        }
        Ok(())
    }

    /// Gives it bit by bit, until [`Giving::stop`].
    #[must_use]
    pub fn give(&mut self) -> Giving {
        let mut blocks = std::mem::take(&mut self.blocks);
        let at_once = BLOCKS_AT_ONCE.min(blocks.len());
        blocks.drain(..at_once).for_each(end);
        let (stop, stopped) = channel();
        let thread = std::thread::spawn(move || {
            while !blocks.is_empty() && stopped.recv_timeout(BLOCK_EVERY) == Err(RecvTimeoutError::Timeout) {
                blocks.pop().into_iter().for_each(end);
            }
            blocks
        });
        Giving { stop, thread }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.blocks.drain(..).for_each(end);
    }
}

/// Memory that is being given.
#[derive(Debug)]
pub struct Giving {
    stop: Sender<()>,
    thread: JoinHandle<Vec<Child>>,
}

impl Giving {
    /// Gives no more; what is left stays kept.
    pub fn stop(self, kept: &mut Kept) {
        // A thread that has given all has ended.
        let _ended = self.stop.send(());
        kept.blocks.extend(self.thread.join().into_iter().flatten());
    }
}

fn end(mut child: Child) {
    // It ends when its input does.
    drop(child.stdin.take());
    let _status = child.wait();
}

fn parse_available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find(|line| line.starts_with("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_available_is_read_in_kib() {
        assert_eq!(parse_available("MemTotal: 9 kB\nMemAvailable:   2048 kB\n"), Some(2 << 20));
        assert_eq!(parse_available("nonsense"), None);
    }
}
