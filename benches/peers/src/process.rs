//! A child process: started on given processors, its processor time with that of its children, ended for certain.

use std::collections::HashMap;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// The kernel counts processor time in hundredths of a second on every Linux that runs this.
pub const TICKS_PER_SECOND: f64 = 100.0;
/// A process gets this long to end when it is asked to.
const END_WITHIN: Duration = Duration::from_secs(10);
/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A process of ours. Dropped, it is ended.
#[derive(Debug)]
pub struct Process {
    child: Child,
    signal: Signal,
}

impl Process {
    /// Starts it. `signal` is what asks it to end.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &mut Command, signal: Signal) -> Result<Process> {
        let words = format!("{command:?}");
        let child = command.stdin(Stdio::null()).spawn().with_context(|| format!("start {words}"))?;
        Ok(Process { child, signal })
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `ready`, and fails when the process ends before that or a minute passes.
    ///
    /// # Errors
    /// The same.
    pub fn wait_until(&mut self, what: &str, mut ready: impl FnMut() -> bool) -> Result<()> {
        let started = Instant::now();
        while !ready() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{what} ended at its start: {status}");
            }
            if started.elapsed() > Duration::from_secs(60) {
                bail!("{what} was not ready within a minute");
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(Some(_)) = self.child.try_wait() {
            return;
        }
        let _ = kill_process(Pid::from_child(&self.child), self.signal);
        let asked = Instant::now();
        while asked.elapsed() < END_WITHIN {
            if let Ok(Some(_)) = self.child.try_wait() {
                return;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor time, user and system, of a process and everything below it, as far as it lives.
#[must_use]
pub fn cpu_of_tree(root: u32) -> Duration {
    let mut times: HashMap<u32, (u32, f64)> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if let Some((parent, ticks)) = parse(&stat) {
            times.insert(pid, (parent, ticks));
        }
    }
    let is_below = |pid: u32| {
        let mut at = pid;
        // Deeper than any tree of processes.
        for _ in 0..64 {
            if at == root {
                return true;
            }
            match times.get(&at) {
                Some(&(parent, _)) => at = parent,
                None => return false,
            }
        }
        false
    };
    let ticks: f64 = times.iter().filter(|&(&pid, _)| is_below(pid)).map(|(_, &(_, ticks))| ticks).sum();
    Duration::from_secs_f64(ticks / TICKS_PER_SECOND)
}

/// Processor time, user and system, of the children of this process that have ended and were waited for.
#[must_use]
pub fn cpu_of_ended_children() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks =
        fields(&stat).get(13..15).map_or(0.0, |fields| fields.iter().filter_map(|at| at.parse::<f64>().ok()).sum());
    Duration::from_secs_f64(ticks / TICKS_PER_SECOND)
}

/// Parent, and ticks used by the process and by its children that have ended.
fn parse(stat: &str) -> Option<(u32, f64)> {
    let fields = fields(stat);
    let parent = fields.get(1)?.parse().ok()?;
    let ticks: Option<f64> = fields.get(11..15)?.iter().map(|field| field.parse::<f64>().ok()).sum();
    Some((parent, ticks?))
}

/// What stands behind the command's name, which is in parentheses and may hold spaces and parentheses itself.
fn fields(stat: &str) -> Vec<&str> {
    stat.rsplit_once(')').map(|(_, after_name)| after_name.split_whitespace().collect()).unwrap_or_default()
}

/// A port of loopback that nobody has now, below those that the kernel gives to clients. No port twice: who was given
/// one may not listen on it yet.
///
/// # Errors
/// When all are taken.
pub fn free_port() -> Result<u16> {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let from = 20_000 + u16::try_from(std::process::id() % 9_000).unwrap_or(0);
    let next = || from.checked_add(GIVEN.fetch_add(1, Ordering::Relaxed)).filter(|&port| port < 32_000);
    std::iter::from_fn(next)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .context("no port of loopback is free between 20000 and 32000")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_found_behind_an_odd_name() {
        let stat = "42 (a ) b) S 7 42 42 0 -1 4194560 100 0 0 0 250 50 10 5 20 0 4 0 100 0 0";
        assert_eq!(parse(stat), Some((7, 315.0)));
        assert_eq!(parse("nonsense"), None);
    }

    #[test]
    fn a_child_is_part_of_the_tree() {
        let mut child = Command::new("sh").args(["-c", "while :; do :; done"]).spawn().expect("a shell");
        let deadline = Instant::now() + Duration::from_secs(20);
        while cpu_of_tree(child.id()) < Duration::from_millis(20) && Instant::now() < deadline {
            std::thread::yield_now();
        }
        let (own, of_all) = (cpu_of_tree(child.id()), cpu_of_tree(std::process::id()));
        child.kill().expect("it was running");
        child.wait().expect("it ends");
        assert!(own >= Duration::from_millis(20) && of_all >= own, "{own:?} {of_all:?}");
    }
}
