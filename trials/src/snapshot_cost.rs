//! What a snapshot costs a sale: the changes that become durable while one is made, against those of another server in
//! the same seconds of the same load without one.
//!
//! Every run has a server and a folder of its own, so that no run inherits the state or the checkpoints of another.
//! Not here: what is in the snapshot (`point_in_time.rs`).

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::point_in_time::{Trial, number, text};
use crate::usherd::pause;

/// With a snapshot being made a server does at least so much of what it does without.
const RATIO_LEAST: f64 = 0.9;
/// Time between two looks at the position.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How far the log was, by seconds since the load began.
struct Course {
    looks: Vec<(f64, f64)>,
    /// When the snapshot began and when it was done, if it was before the load ended.
    snapshot: Option<(f64, f64)>,
}

impl Course {
    /// The position at a moment, between two looks on a straight line.
    fn position(&self, at: f64) -> Result<f64> {
        let mut pairs = self.looks.iter().zip(self.looks.iter().skip(1));
        let pair = pairs.find(|((from, _), (to, _))| (*from..=*to).contains(&at));
        let (&(from, before), &(to, after)) = pair.context("a moment within the run")?;
        Ok(before + (after - before) * (at - from) / (to - from))
    }

    /// Changes a second.
    fn rate(&self, (from, to): (f64, f64)) -> Result<f64> {
        Ok((self.position(to)? - self.position(from)?) / (to - from))
    }
}

impl Trial {
    /// Pairs of runs with and without a snapshot.
    pub(crate) fn measure(&self, pairs: u32, run_seconds: u64) -> Result<()> {
        let time = Duration::from_secs(run_seconds.max(4));
        let mut ratios = Vec::new();
        for pair in 0..pairs {
            // Who is first changes, so that neither always has the warmer machine.
            let first = self.course(time, pair % 2 == 1)?;
            let second = self.course(time, pair % 2 == 0)?;
            let (without, with) = if pair % 2 == 0 { (first, second) } else { (second, first) };
            let window = with.snapshot.context("a snapshot that began while the load ran")?;
            let (rate_without, rate_with) = (without.rate(window)?, with.rate(window)?);
            println!(
                "  seconds {:4.1} to {:4.1}: without {rate_without:9.0} changes/s, while a snapshot is made {rate_with:9.0}",
                window.0, window.1
            );
            ratios.push(rate_with / rate_without);
        }
        ratios.sort_by(f64::total_cmp);
        let (least, most, median) = (ratios[0], ratios[ratios.len() - 1], ratios[ratios.len() / 2]);
        println!(
            "  throughput while a snapshot is made: {median:.3} of that without (median of {}, {least:.3} to {most:.3})",
            ratios.len()
        );
        ensure!(median > RATIO_LEAST, "a snapshot costs too much: {median:.3} of the throughput is left");
        Ok(())
    }

    /// One run. A snapshot begins at a quarter of it.
    fn course(&self, time: Duration, with_snapshot: bool) -> Result<Course> {
        let data = self.folder.join("measured");
        let out = self.folder.join("measured.snapshot");
        let start = self.start(&data);
        let mut server = start.serving()?;
        let endpoint = start.endpoint();
        let mut load = self.load(&start, time, &self.folder.join("rate.json"))?;
        let begun = Instant::now();
        let mut course = Course { looks: Vec::new(), snapshot: None };
        let mut snapshot = None;
        while load.try_wait()?.is_none() {
            let status = self.usherctl(&["--endpoint", &endpoint, "status"])?;
            let now = begun.elapsed().as_secs_f64();
            course.looks.push((now, number(&status["partitions"][0], "durable_position")? as f64));
            if with_snapshot && snapshot.is_none() && now > time.as_secs_f64() / 4.0 {
                let words = ["--endpoint", &endpoint, "snapshot", "create", "--out", text(&out)?];
                let mut command = std::process::Command::new(self.programs.usherctl());
                command.args(words).env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                snapshot = Some((now, command.spawn().context("start usherctl")?, None));
            }
            if let Some((_, child, done @ None)) = &mut snapshot
                && child.try_wait()?.is_some()
            {
                *done = Some(now);
            }
            pause(LOOK_EVERY);
        }
        ensure!(load.wait()?.success(), "the load tester found something");
        if let Some((from, mut child, done)) = snapshot {
            let ended = child.wait()?;
            ensure!(ended.success(), "the snapshot ended with {ended}");
            std::fs::remove_file(&out)?;
            // The last seconds of a run are those in which the load tester ends.
            let last = course.looks.last().map_or(0.0, |(at, _)| *at).min(time.as_secs_f64()) - 0.5;
            course.snapshot = Some((from, done.unwrap_or(last).min(last)));
        }
        server.terminate()?;
        server.wait(Duration::from_secs(60))?;
        std::fs::remove_dir_all(&data)?;
        Ok(course)
    }
}
