//! What a snapshot costs a sale: the changes that become durable while one is made, against those of another server in
//! the same seconds of the same load without one, and the longest turn of a shard meanwhile.
//!
//! Every run has a server and a folder of its own, so that no run inherits the state or the checkpoints of another.
//! Not here: what is in the snapshot (`point_in_time.rs`).

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::point_in_time::{Trial, number, text};
use crate::usherd::{PATIENCE, pause};

/// With a snapshot being made a server does at least so much of what it does without.
const RATIO_LEAST: f64 = 0.9;
/// Time between two looks at the position.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What a server had done by some moment.
struct Look {
    /// Seconds since the load began.
    at: f64,
    position: f64,
    /// Turns by length.
    turns: Vec<Turns>,
}

/// Turns of about the same length, since the start.
#[derive(Clone, Copy)]
struct Turns {
    within_ns: u64,
    wall: u64,
    processor: u64,
}

/// What a server did, by time.
struct Course {
    looks: Vec<Look>,
    /// When the snapshot began and when it was done, if it was before the load ended.
    snapshot: Option<(f64, f64)>,
}

impl Course {
    /// The position at a moment, between two looks on a straight line.
    fn position(&self, at: f64) -> Result<f64> {
        let mut pairs = self.looks.iter().zip(self.looks.iter().skip(1));
        let pair = pairs.find(|(from, to)| (from.at..=to.at).contains(&at));
        let (from, to) = pair.context("a moment within the run")?;
        Ok(from.position + (to.position - from.position) * (at - from.at) / (to.at - from.at))
    }

    /// Changes a second.
    fn rate(&self, (from, to): (f64, f64)) -> Result<f64> {
        Ok((self.position(to)? - self.position(from)?) / (to - from))
    }

    /// The longest turn between two moments, on the wall and on the processor, in milliseconds.
    fn longest_turn_ms(&self, (from, to): (f64, f64)) -> Result<(f64, f64)> {
        let before = self.looks.iter().rfind(|look| look.at <= from).context("a look before the moment")?;
        let after = self.looks.iter().find(|look| look.at >= to).context("a look after the moment")?;
        let longest = |count: fn(&Turns) -> u64| {
            let were = |within_ns| before.turns.iter().find(|turns| turns.within_ns == within_ns).map_or(0, count);
            let last = after.turns.iter().rfind(|turns| count(turns) > were(turns.within_ns));
            last.map_or(0.0, |turns| turns.within_ns as f64 / 1e6)
        };
        Ok((longest(|turns| turns.wall), longest(|turns| turns.processor)))
    }
}

impl Trial {
    /// Pairs of runs with and without a snapshot.
    pub(crate) fn measure(&self, pairs: u32, run_seconds: u64) -> Result<()> {
        let time = Duration::from_secs(run_seconds.max(4));
        let mut ratios = Vec::new();
        let mut longest = Vec::new();
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
            let (wall_without, processor_without) = without.longest_turn_ms(window)?;
            let (wall, processor) = with.longest_turn_ms(window)?;
            println!(
                "    longest turn: without {wall_without:.2} ms ({processor_without:.2} on the processor), while a snapshot is \
                 made {wall:.2} ({processor:.2})"
            );
            ratios.push(rate_with / rate_without);
            longest.push((wall, processor));
        }
        ratios.sort_by(f64::total_cmp);
        let (least, most, median) = (ratios[0], ratios[ratios.len() - 1], ratios[ratios.len() / 2]);
        println!(
            "  throughput while a snapshot is made: {median:.3} of that without (median of {}, {least:.3} to {most:.3})",
            ratios.len()
        );
        let turns = |one: fn(&(f64, f64)) -> f64| {
            let mut lengths: Vec<f64> = longest.iter().map(one).collect();
            lengths.sort_by(f64::total_cmp);
            let (least, most) = (lengths[0], lengths[lengths.len() - 1]);
            format!("{:.2} ms ({least:.2} to {most:.2})", lengths[lengths.len() / 2])
        };
        println!(
            "  longest turn while a snapshot is made: {} on the wall, {} on the processor",
            turns(|(wall, _)| *wall),
            turns(|(_, processor)| *processor)
        );
        ensure!(median > RATIO_LEAST, "a snapshot costs too much: {median:.3} of the throughput is left");
        Ok(())
    }

    /// One run. A snapshot begins at a quarter of it.
    fn course(&self, time: Duration, with_snapshot: bool) -> Result<Course> {
        let data = self.folder.join("measured");
        let out = self.folder.join("measured.snapshot");
        let mut start = self.start(&data);
        // What is measured is the snapshot, not how the system finds memory.
        start.more = ["--memory-ready", "2GiB"].map(str::to_owned).to_vec();
        let mut server = start.serving()?;
        let endpoint = start.endpoint();
        let mut load = self.load(&start, time, &self.folder.join("rate.json"))?;
        let begun = Instant::now();
        let mut course = Course { looks: Vec::new(), snapshot: None };
        let mut snapshot = None;
        while load.try_wait()?.is_none() {
            let status = self.usherctl(&["--endpoint", &endpoint, "status"])?;
            let now = begun.elapsed().as_secs_f64();
            let partition = &status["partitions"][0];
            let turns = partition["turns"].as_array().context("no turns in the status")?;
            course.looks.push(Look {
                at: now,
                position: number(partition, "durable_position")? as f64,
                turns: turns.iter().map(read_turns).collect::<Result<_>>()?,
            });
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
            let last = course.looks.last().map_or(0.0, |look| look.at).min(time.as_secs_f64()) - 0.5;
            course.snapshot = Some((from, done.unwrap_or(last).min(last)));
        }
        server.terminate()?;
        server.wait(PATIENCE)?;
        std::fs::remove_dir_all(&data)?;
        Ok(course)
    }
}

fn read_turns(turns: &serde_json::Value) -> Result<Turns> {
    Ok(Turns {
        within_ns: number(turns, "within_ns")?,
        wall: number(turns, "turns")?,
        processor: number(turns, "processor_turns")?,
    })
}
