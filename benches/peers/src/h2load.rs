//! `h2load` of nghttp2, a client that is not ours: it posts one frame over and over and looks at nothing but HTTP.
//!
//! Invariant: a request that failed, or had another status than 200, fails the run. What gRPC says in its trailers
//! nobody reads, so the caller must look at the server afterwards.
//!
//! Not here: the frame (`frame.rs`), servers and what they must have done (`served.rs`).

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use hdrhistogram::Histogram;

use crate::contestant::QUANTILES;
use crate::cores::Cores;

/// HTTP/2 connections.
pub const CONNECTIONS: usize = 4;
/// Requests in flight on each: 256 together, as many as the connections of Redis without pipelines.
pub const STREAMS: usize = 64;

/// A latency above this counts as this.
const LATENCY_US_MAX: u64 = 60_000_000;
/// Memory that is a folder. The log of a run, some megabytes a second, would be in the way of syncs on the disk.
const MEMORY: &str = "/dev/shm";

/// What one run came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
    /// Requests that were answered.
    pub answered: u64,
    /// Requests a second, as h2load counts them.
    pub per_second: f64,
    /// Latencies in microseconds at [`QUANTILES`].
    pub latency_us: Vec<f64>,
}

/// Whether it can be run here.
///
/// # Errors
/// What is missing and how to install it.
pub fn available() -> Result<(), String> {
    match Command::new("h2load").arg("--version").stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => Ok(()),
        _ => Err("h2load is not installed: run .ci/install-peers (Debian: apt-get install nghttp2-client)".into()),
    }
}

/// Posts the frame in a file to `url` for `time`.
///
/// # Errors
/// When it does not run, or a request failed.
pub fn post(cores: &Cores, url: &str, frame: &Path, time: Duration) -> Result<Answers> {
    let folder = if Path::new(MEMORY).is_dir() { MEMORY.into() } else { std::env::temp_dir() };
    let folder = tempfile::Builder::new().prefix("peers-h2load-").tempdir_in(folder).context("a folder for h2load")?;
    let log = folder.path().join("log");
    // No more threads than connections.
    let threads = cores.client_count().min(CONNECTIONS);
    let mut command = Command::new("h2load");
    command
        .args(["-D", &format!("{}ms", time.as_millis())])
        .args(["-c", &CONNECTIONS.to_string(), "-m", &STREAMS.to_string(), "-t", &threads.to_string()])
        .args(["-H", "content-type: application/grpc", "-H", "te: trailers"])
        .arg("-d")
        .arg(frame)
        .arg(format!("--log-file={}", log.display()))
        .arg(url)
        .stdin(Stdio::null());
    let output = cores.as_client(|| command.output())?.context("start h2load")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "h2load: {}: {}", output.status, errors.trim());
    let mut answers = parse_summary(&String::from_utf8_lossy(&output.stdout))?;
    answers.latency_us = quantiles(BufReader::new(fs::File::open(&log).context("the log of h2load")?))?;
    Ok(answers)
}

/// Reads what h2load prints at its end.
fn parse_summary(text: &str) -> Result<Answers> {
    let line = |begin: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(begin));
        found.with_context(|| format!("h2load printed no line `{begin}…`: {text}"))
    };
    let per_second = line("finished in ")?.split(", ").find_map(|part| part.strip_suffix(" req/s"));
    let per_second: f64 = per_second.and_then(|number| number.parse().ok()).context("the rate of h2load")?;
    let requests = line("requests: ")?;
    let count = |what: &str| -> Result<u64> {
        let found = requests.split(", ").find_map(|part| part.strip_suffix(what)?.strip_suffix(' ')?.parse().ok());
        found.with_context(|| format!("h2load did not tell how many were {what}: {requests}"))
    };
    let (done, succeeded) = (count("done")?, count("succeeded")?);
    for bad in ["failed", "errored", "timeout"] {
        let number = count(bad)?;
        ensure!(number == 0, "h2load: {number} requests {bad}");
    }
    ensure!(done == succeeded && done > 0, "h2load: {done} requests done, {succeeded} of them well");
    Ok(Answers { answered: done, per_second, latency_us: Vec::new() })
}

/// The quantiles of a log: a line for each request, its start in microseconds since 1970, its status, and the
/// microseconds it took.
fn quantiles(log: impl BufRead) -> Result<Vec<f64>> {
    let mut latencies = Histogram::<u64>::new_with_bounds(1, LATENCY_US_MAX, 3)?;
    for line in log.lines() {
        let line = line?;
        let (status, took) = parse_line(&line).with_context(|| format!("a line of h2load's log: {line:?}"))?;
        if status != 200 {
            bail!("h2load: an answer had status {status}");
        }
        latencies.saturating_record(took);
    }
    if latencies.is_empty() {
        return Ok(Vec::new());
    }
    Ok(QUANTILES.iter().map(|&at| latencies.value_at_quantile(at) as f64).collect())
}

fn parse_line(line: &str) -> Option<(i32, u64)> {
    let mut fields = line.split('\t').skip(1);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUMMARY: &str = "\
starting benchmark...
spawning thread #0: 4 total client(s). Timing-based test with 0s of warm-up time and 1s of main duration for measurements.
Main benchmark duration is over for thread #0. Stopping all clients.

finished in 1.00s, 250368.00 req/s, 3.34MB/s
requests: 250368 total, 250624 started, 250368 done, 250368 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 250368 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 3.34MB (3506236) total, 1.19MB (1252572) headers (space savings 97.92%), 0B (0) data
                     min         max         mean         sd        +/- sd
time for request:      338us     43.53ms       966us      1.37ms    99.80%
";

    #[test]
    fn the_summary_is_read() {
        let answers = parse_summary(SUMMARY).expect("a summary");
        assert_eq!(answers, Answers { answered: 250_368, per_second: 250_368.0, latency_us: Vec::new() });
    }

    #[test]
    fn a_request_that_failed_fails_the_run() {
        for (from, to) in [("0 failed", "3 failed"), ("0 errored", "1 errored"), ("0 timeout", "9 timeout")] {
            assert!(parse_summary(&SUMMARY.replace(from, to)).is_err(), "{to}");
        }
        assert!(parse_summary(&SUMMARY.replace("250368 succeeded", "250367 succeeded")).is_err());
        assert!(parse_summary("could not connect to host").is_err());
    }

    #[test]
    fn latencies_are_read_from_the_log() {
        let log = "1000\t200\t900\n2000\t200\t500\n101000\t200\t700\n";
        let found = quantiles(log.as_bytes()).expect("a log");
        assert_eq!((found[0], found[6]), (700.0, 900.0));
        assert_eq!(quantiles("".as_bytes()).expect("a log"), Vec::<f64>::new());
    }

    #[test]
    fn another_status_fails_the_run() {
        assert!(quantiles("1000\t-1\t40000\n".as_bytes()).is_err());
        assert!(quantiles("1000\t503\t40000\n".as_bytes()).is_err());
        assert!(quantiles("nothing\n".as_bytes()).is_err());
    }
}
