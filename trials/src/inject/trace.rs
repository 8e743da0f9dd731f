//! strace: makes the nth call of one kind fail, and tells which it was.
//!
//! A count is of one thread, so a thread is aimed at by its name; a start is traced from its first call.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use crate::usherd::{LOOK_EVERY, PATIENCE, pause};

/// How the log is written and made durable.
const LOG_CALLS: [&str; 2] = ["pwrite64", "fdatasync"];

/// What is made to fail, in strace's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// `fdatasync`, or `/^rename` for all of that name.
    pub(super) call: &'static str,
    pub(super) error: &'static str,
    pub(super) nth: u32,
}

impl Fault {
    /// Words of the command line of strace. `paths`: only calls on these count; none: all do.
    pub(super) fn words(&self, out: &Path, paths: &[PathBuf]) -> Vec<String> {
        let Fault { call, error, nth } = self;
        let mut words: Vec<String> = ["-f", "-y", "-Y", "-ttt", "-s", "0", "-o"].map(str::to_owned).to_vec();
        words.push(out.display().to_string());
        for path in paths {
            words.extend(["-P".to_owned(), path.display().to_string()]);
        }
        // Of calls on the log those of both kinds are told, so that one is seen that comes after the failed one.
        let told = if LOG_CALLS.contains(call) { LOG_CALLS.join(",") } else { (*call).to_owned() };
        words.extend(["-e".to_owned(), format!("trace={told}")]);
        words.extend(["-e".to_owned(), format!("inject={call}:error={error}:when={nth}")]);
        words
    }
}

/// The call that was made to fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) thread: String,
    /// Since 1970.
    pub(super) at: Duration,
    pub(super) call: String,
    /// The name of the file; the folder's when it is empty.
    pub(super) path: PathBuf,
}

/// Whether there is a strace that may trace.
pub(super) fn is_there() -> bool {
    let traced = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    traced.is_ok_and(|status| status.success())
}

/// strace on a thread of a process that runs.
#[derive(Debug)]
pub(super) struct Tracer {
    child: Child,
    out: PathBuf,
    thread: String,
}

impl Tracer {
    /// Attaches to the thread with this name. `paths`: only calls on these count; none: all do.
    pub(super) fn attach(process: u32, thread: &str, fault: &Fault, out: &Path, paths: &[PathBuf]) -> Result<Self> {
        let number = find_thread(process, thread)?;
        let words = fault.words(out, paths);
        // Without -f: new threads of the process are no concern.
        let words = words.iter().filter(|word| *word != "-f");
        let said = out.with_extension("said");
        let child = Command::new("strace")
            .args(words)
            .args(["-p", &number.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&said)?)
            .spawn()
            .context("start strace")?;
        let mut tracer = Self { child, out: out.to_owned(), thread: thread.to_owned() };
        let until = Instant::now() + PATIENCE;
        while !fs::read_to_string(&said)?.contains("attached") {
            if Instant::now() > until || tracer.child.try_wait()?.is_some() {
                bail!("strace did not attach to {thread}: {}", fs::read_to_string(&said)?);
            }
            pause(LOOK_EVERY);
        }
        Ok(tracer)
    }

    /// The call that failed, once one has.
    pub(super) fn failed(&self) -> Result<Option<Failed>> {
        Ok(read_failed(&self.out, Some(&self.thread))?.into_iter().next())
    }

    /// Calls on the log that the thread began after the one that failed. Its process must have ended: the trace is whole
    /// then.
    pub(super) fn calls_after_failure(mut self) -> Result<usize> {
        // strace ends with what it traces.
        self.child.wait()?;
        let text = fs::read_to_string(&self.out).with_context(|| format!("read {}", self.out.display()))?;
        Ok(begun_after_failure(&text))
    }

    /// Detaches.
    pub(super) fn end(mut self) -> Result<()> {
        let id = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(id) = id
            && self.child.try_wait()?.is_none()
        {
            rustix::process::kill_process(id, rustix::process::Signal::TERM)?;
        }
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The number of the thread with this name. The system keeps 15 letters of it.
fn find_thread(process: u32, thread: &str) -> Result<u32> {
    let wanted: String = thread.chars().take(15).collect();
    for entry in fs::read_dir(format!("/proc/{process}/task"))? {
        let path = entry?.path();
        if fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim_end() == wanted) {
            let number = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
            return number.context("a thread has a number");
        }
    }
    bail!("process {process} has no thread {thread}")
}

/// All calls that were made to fail, in order. strace does not name the thread when it traces that one `alone`.
pub(super) fn read_failed(out: &Path, alone: Option<&str>) -> Result<Vec<Failed>> {
    let text = match fs::read_to_string(out) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text.with_context(|| format!("read {}", out.display()))?,
    };
    let named = |line: &str| alone.map_or_else(|| line.to_owned(), |thread| format!("0<{thread}> {line}"));
    let lines: Vec<String> = text.lines().map(named).collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.contains("(INJECTED)")) {
        let who = line.split_whitespace().next().unwrap_or("");
        // A call that another thread's line cut in two began before.
        let beginning = if line.contains(" resumed>") {
            lines[..at].iter().rev().find(|before| before.starts_with(who) && before.contains("<unfinished"))
        } else {
            Some(&lines[at])
        };
        let beginning = beginning.with_context(|| format!("a line of strace without a beginning: {line}"))?;
        found.push(parse(line, beginning).with_context(|| format!("a line of strace: {line}"))?);
    }
    Ok(found)
}

/// Lines of one thread after the failed call that are not of its end.
fn begun_after_failure(text: &str) -> usize {
    let after = text.lines().skip_while(|line| !line.contains("(INJECTED)")).skip(1);
    after.filter(|line| !line.contains(" +++ ")).count()
}

/// `2104<usherd> 1795820785.277327 fdatasync(9</data/wal-0-1-0.seg>) = -1 EIO (Input/output error) (INJECTED)`
fn parse(line: &str, beginning: &str) -> Option<Failed> {
    let mut words = beginning.split_whitespace();
    let thread = words.next()?.split_once('<')?.1.strip_suffix('>')?.to_owned();
    words.next()?;
    let call = words.next()?.split('(').next()?.to_owned();
    let stamp = line.split_whitespace().nth(1)?;
    let (seconds, micros) = stamp.split_once('.')?;
    let at = Duration::from_secs(seconds.parse().ok()?) + Duration::from_micros(micros.parse().ok()?);
    // The last path of the call: of a descriptor (`9</path>`) or in quotes; -s 0 does not shorten those.
    let arguments = beginning.split_once('(')?.1;
    let quoted = arguments.split('"').skip(1).step_by(2).filter(|text| text.contains('/')).last();
    let described = arguments.split('<').nth(1).and_then(|rest| rest.split('>').next());
    let path = PathBuf::from(quoted.or(described).unwrap_or(""));
    Some(Failed { thread, at, call, path })
}

/// Since 1970, as strace stamps its lines.
pub(super) fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_descriptor_and_one_of_a_path_are_read() {
        let line =
            "21<usher-log> 1795820785.277327 fdatasync(9</d/wal-0-1-0.seg>) = -1 EIO (Input/output error) (INJECTED)";
        let failed = parse(line, line).expect("read");
        assert_eq!((failed.thread.as_str(), failed.call.as_str()), ("usher-log", "fdatasync"));
        assert_eq!(failed.path, Path::new("/d/wal-0-1-0.seg"));
        assert_eq!(failed.at, Duration::from_micros(1_795_820_785_277_327));
        let line = "21<usherd> 1.000002 rename(\"/d/a.tmp\", \"/d/a\") = -1 EIO (Input/output error) (INJECTED)";
        assert_eq!(parse(line, line).expect("read").path, Path::new("/d/a"));
        let begun = "21<usher-log> 1.000001 pwrite64(9</d/x.seg>, \"\"..., 4096, 8192 <unfinished ...>";
        let line = "21<usher-log> 1.000002 <... pwrite64 resumed>) = -1 EIO (Input/output error) (INJECTED)";
        let failed = parse(line, begun).expect("read");
        assert_eq!((failed.call.as_str(), failed.at), ("pwrite64", Duration::from_micros(1_000_002)));
    }

    #[test]
    fn what_a_thread_calls_after_its_failed_call_is_counted_and_its_end_is_no_call() {
        let failed =
            "1.0 fdatasync(9</d/x.seg>) = 0\n1.1 fdatasync(9</d/x.seg>) = -1 EIO (Input/output error) (INJECTED)\n";
        assert_eq!(begun_after_failure(&format!("{failed}1.2 +++ exited with 74 +++\n")), 0);
        let went_on = format!("{failed}1.2 fdatasync(9</d/x.seg>) = 0\n1.3 +++ exited with 74 +++\n");
        assert_eq!(begun_after_failure(&went_on), 1);
    }
}
