//! `inject`: system calls of the real server are made to fail, one at a time, while clients buy; then disks fill up.

mod expected;
mod trace;
mod full_disk;
mod small_disk;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use engine::inspect::{Line, walk};

use crate::crowd::{Crowd, Manners};
use crate::dice::Dice;
use crate::history::{History, Outcome};
use crate::judge::Judged;
use crate::log::{KeptLog, names};
use crate::usherd::{LOOK_EVERY, PATIENCE, Programs, Start, Usherd, free_port, pause};
use expected::{CHECKPOINTER, COMMITTER, Expected, PREPARER, expected};
use trace::{Failed, Fault, Tracer, read_failed, wall};

/// How long a call may keep the load waiting for its turn; one that was not reached fails nothing.
const REACHED_WITHIN: Duration = Duration::from_secs(15);
/// The process is gone within so long on a quiet machine; how often it was is told.
const GONE_QUIETLY_WITHIN: Duration = Duration::from_millis(100);
const EXIT_IO: i32 = 74;
const EXIT_FOLDER: i32 = 73;

/// What the command line says.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Every call at every place of the matrix, instead of a choice of some 50
    #[arg(long)]
    pub full: bool,
    /// Only the full disks
    #[arg(long, conflicts_with = "full")]
    pub only_full_disk: bool,
    /// No full disks
    #[arg(long)]
    pub no_full_disk: bool,
    /// Only the cases whose name has this in it
    #[arg(long)]
    pub only: Option<String>,
    /// Seed of the clients' choices; random when it is not given
    #[arg(long)]
    pub seed: Option<u64>,
}

/// Runs it.
///
/// # Errors
/// The first thing that is wrong, with the line that runs it again.
pub fn run(options: &Options) -> Result<()> {
    let seed = options.seed.unwrap_or_else(|| Dice::new(crate::now_ms()).word());
    let mut campaign = Campaign::new(seed)?;
    let began = Instant::now();
    if !options.only_full_disk {
        if trace::is_there() {
            for case in matrix(options.full) {
                if options.only.as_ref().is_none_or(|part| case.name().contains(part.as_str())) {
                    campaign.run_case(&case)?;
                }
            }
            campaign.tell(began.elapsed());
        } else {
            eprintln!("SKIPPED: no strace that may trace; NO SYSTEM CALL was made to fail (.ci/install-tools)");
        }
    }
    if !options.no_full_disk {
        full_disk::run(seed)?;
    }
    Ok(())
}

/// Who is made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// A thread of a server that serves.
    Serving(&'static str),
    /// A start of a folder that a killed server left.
    Starting,
}

/// One cell of the matrix.
#[derive(Clone, Debug)]
struct Case {
    when: When,
    fault: Fault,
    /// The server must never make this call.
    never: bool,
}

impl Case {
    fn name(&self) -> String {
        let Fault { call, error, nth } = &self.fault;
        let call = call.trim_start_matches("/^");
        match self.when {
            When::Serving(thread) => format!("{thread}-{call}-{error}-{nth}"),
            When::Starting => format!("start-{call}-{error}-{nth}"),
        }
    }
}

const RENAME: &str = "/^rename";
const ERRORS: [&str; 3] = ["EIO", "ENOSPC", "EINTR"];

fn matrix(full: bool) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |when, call, errors: &[&'static str], nths: &[u32]| {
        for &error in errors {
            for &nth in nths {
                cases.push(Case { when, fault: Fault { call, error, nth }, never: false });
            }
        }
    };
    let committer: Vec<u32> = if full { (1..=40).chain([60, 80, 120, 200]).collect() } else { vec![1, 2, 9, 70] };
    for call in ["pwrite64", "fdatasync"] {
        add(When::Serving(COMMITTER), call, &ERRORS, &committer);
    }
    let preparer: &[u32] = if full { &[1, 2, 3] } else { &[1] };
    for call in ["openat", "pwrite64"] {
        add(When::Serving(PREPARER), call, &ERRORS, preparer);
    }
    // The file, then the folder.
    add(When::Serving(PREPARER), "fsync", &ERRORS, if full { &[1, 2, 3, 4] } else { &[1, 2] });
    if full {
        for call in ["openat", "pwrite64", "fsync", RENAME] {
            add(When::Serving(CHECKPOINTER), call, &ERRORS, &[1, 2, 3, 4]);
        }
        for call in ["openat", "pwrite64", "fdatasync", "fsync"] {
            add(When::Starting, call, &ERRORS, &[1, 2, 3, 4, 5, 6, 7, 8]);
        }
    } else {
        add(When::Serving(CHECKPOINTER), "openat", &["EIO"], &[1, 3]);
        for call in ["pwrite64", "fsync", RENAME] {
            add(When::Serving(CHECKPOINTER), call, &ERRORS, &[1]);
        }
        add(When::Starting, "openat", &["EIO"], &[1, 2, 3, 5]);
        add(When::Starting, "openat", &["EINTR"], &[2]);
        for call in ["pwrite64", "fdatasync", "fsync"] {
            add(When::Starting, call, &["EIO", "ENOSPC"], &[1]);
        }
        add(When::Starting, "fdatasync", &["EINTR"], &[1]);
    }
    // Segments are filled with zeros instead, so that a sync never has to change what a file is made of.
    cases.push(Case {
        when: When::Serving(PREPARER),
        fault: Fault { call: "fallocate", error: "EIO", nth: 1 },
        never: true,
    });
    // All writing is at a position.
    cases.push(Case {
        when: When::Serving(COMMITTER),
        fault: Fault { call: "write", error: "EIO", nth: 1 },
        never: true,
    });
    cases
}

/// What came of all cases so far.
struct Campaign {
    programs: Programs,
    seed: u64,
    port: u16,
    judged: Judged,
    /// How long processes took to be gone.
    gone: Vec<Duration>,
    outcomes: BTreeMap<&'static str, u32>,
    not_reached: Vec<String>,
}

impl Campaign {
    fn new(seed: u64) -> Result<Self> {
        Ok(Self {
            programs: Programs::find()?,
            seed,
            port: free_port()?,
            judged: Judged::default(),
            gone: Vec::new(),
            outcomes: BTreeMap::new(),
            not_reached: Vec::new(),
        })
    }

    fn run_case(&mut self, case: &Case) -> Result<()> {
        let folder = tempfile::Builder::new().prefix("usher-inject-").tempdir()?;
        let began = Instant::now();
        let result = self.try_case(case, folder.path());
        match result {
            Ok(what) => {
                println!("{:36} {what} ({} ms)", case.name(), began.elapsed().as_millis());
                Ok(())
            }
            Err(error) => {
                let kept = folder.keep();
                Err(error.context(format!(
                    "{} failed; the folder is kept in {}\nagain: cargo xtask inject --only {} --seed {}",
                    case.name(),
                    kept.display(),
                    case.name(),
                    self.seed
                )))
            }
        }
    }

    fn try_case(&mut self, case: &Case, folder: &Path) -> Result<String> {
        let data = folder.join("data");
        let kept = KeptLog::new(&data, &folder.join("kept"))?;
        let trace = folder.join("trace");
        let start = self.start(&data);
        let server = start.serving()?;
        let crowd = Crowd::begin(self.manners(&start))?;
        match case.when {
            When::Serving(thread) => self.while_serving(case, thread, server, crowd, &kept, &trace),
            When::Starting => self.while_starting(case, server, crowd, &kept, &trace),
        }
    }

    // A server that serves.

    fn while_serving(
        &mut self,
        case: &Case,
        thread: &str,
        mut server: Usherd,
        crowd: Crowd,
        kept: &KeptLog,
        trace: &Path,
    ) -> Result<String> {
        let start = self.start(kept.data());
        self.wait_for_load(&crowd, kept, 40)?;
        // What must never be called on the data may be on something else: a thread wakes another by a write.
        let paths = if case.never { paths_of(kept.data())? } else { Vec::new() };
        let tracer = Tracer::attach(server.id(), thread, &case.fault, trace, &paths)?;
        let failed = self.wait_for_failure(&tracer, &mut server, kept, case)?;
        let Some(failed) = failed else {
            tracer.end()?;
            let histories = self.go_on(server, crowd, kept)?;
            self.judge(kept, &histories)?;
            self.count(if case.never { "never called" } else { "not reached" });
            if !case.never {
                self.not_reached.push(case.name());
            }
            return Ok(if case.never { "is never called".to_owned() } else { "was not reached".to_owned() });
        };
        ensure!(!case.never, "the server makes this call: {failed:?}");
        let expected = expected(&failed, case.fault.error, false);
        let name = failed.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        match expected {
            Expected::RidesOut => {
                tracer.end()?;
                let before = crowd.operations();
                self.wait_for_load(&crowd, kept, before + 60)?;
                if thread == PREPARER {
                    // The segment that was in the making, and one more.
                    wait_for_segments(&mut server, kept, 2)?;
                }
                let histories = self.go_on(server, crowd, kept)?;
                self.judge(kept, &histories)?;
                self.count("ridden out");
                Ok(format!("{name}: ridden out"))
            }
            Expected::EndsLater | Expected::Ends | Expected::Refuses => {
                let gone = wait_for_end(&mut server, &failed, kept)?;
                let calls_after = tracer.calls_after_failure()?;
                let unsynced = unsynced_of(&failed, kept.data())?;
                self.verify(kept)?;
                let restarted_ns = crowd.now_ns();
                let again = start.serving()?;
                let histories = self.go_on(again, crowd, kept)?;
                if let Some(unsynced) = unsynced {
                    nothing_told_from(unsynced, restarted_ns, &histories)?;
                }
                self.judge(kept, &histories)?;
                if expected == Expected::Ends {
                    // At once is told by what was done, not by a clock: the thread has not touched the log again.
                    ensure!(calls_after == 0, "after {failed:?} the thread made {calls_after} more calls on the log");
                    self.gone.push(gone);
                    self.count("ended at once");
                    Ok(format!("{name}: gone after {:.1} ms with 74", gone.as_secs_f64() * 1e3))
                } else {
                    self.count("ended at the rotation");
                    Ok(format!("{name}: gone with 74 when the segment was needed"))
                }
            }
        }
    }

    /// Waits until the call has failed; nothing when that takes too long.
    fn wait_for_failure(
        &self,
        tracer: &Tracer,
        server: &mut Usherd,
        kept: &KeptLog,
        case: &Case,
    ) -> Result<Option<Failed>> {
        // What must never come is waited for as long as some segments take.
        let within = if case.never { Duration::from_secs(4) } else { REACHED_WITHIN };
        let until = Instant::now() + within;
        while Instant::now() < until {
            if let Some(failed) = tracer.failed()? {
                return Ok(Some(failed));
            }
            kept.look()?;
            if let Some(status) = server.ended()? {
                // Its last words may still be on their way to the file.
                pause(Duration::from_millis(50));
                let failed = tracer.failed()?;
                ensure!(failed.is_some(), "the server ended by itself, {status}: {}", server.said().join("\n"));
                return Ok(failed);
            }
            pause(LOOK_EVERY * 2);
        }
        Ok(None)
    }

    // A start.

    fn while_starting(
        &mut self,
        case: &Case,
        mut server: Usherd,
        crowd: Crowd,
        kept: &KeptLog,
        trace: &Path,
    ) -> Result<String> {
        self.wait_for_load(&crowd, kept, 300)?;
        server.kill()?;
        kept.look()?;
        let mut start = self.start(kept.data());
        let mut traced = start.clone();
        traced.program = PathBuf::from("strace");
        let paths = if case.fault.call == "openat" { paths_of(kept.data())? } else { Vec::new() };
        traced.before = case.fault.words(trace, &paths);
        traced.before.push(start.program.display().to_string());
        let mut server = traced.spawn()?;
        let until = Instant::now() + REACHED_WITHIN;
        let (status, failed) = loop {
            if let Some(status) = server.ended()? {
                break (Some(status), read_failed(trace, None)?);
            }
            let failed = read_failed(trace, None)?;
            if server.is_serving() && (!failed.is_empty() || Instant::now() > until) {
                break (None, failed);
            }
            ensure!(Instant::now() < until + PATIENCE, "the start neither ends nor serves");
            pause(LOOK_EVERY * 2);
        };
        let worst = failed.iter().map(|failed| expected(failed, case.fault.error, true)).max();
        let what = match (worst, status) {
            (Some(Expected::Refuses), Some(status)) => {
                let code = status.code().unwrap_or(-1);
                let said: Vec<String> = server
                    .wait(LOOK_EVERY)
                    .map(|_| server.said())?
                    .into_iter()
                    .filter(|line| is_sentence(line))
                    .collect();
                ensure!(code == EXIT_IO || code == EXIT_FOLDER, "the start ended with {code}: {said:?}");
                ensure!(said.len() == 1, "a refused start says one sentence, and this one said {said:?}");
                self.verify(kept)?;
                self.count("start refused");
                format!("refused with {code}: {}", said[0])
            }
            (Some(Expected::Refuses), None) => bail!("the server serves after {failed:?}"),
            // The preparer of segments has another chance, until a segment is needed: it may have been by now.
            (Some(Expected::EndsLater), Some(status)) => {
                ensure!(status.code() == Some(EXIT_IO), "the server ended, {status}");
                self.count("ended at the rotation");
                "served, and gone with 74 when the segment was needed".to_owned()
            }
            (_, Some(status)) => bail!("the start ended, {status}, after {failed:?}: {}", server.said().join("\n")),
            (worst, None) => {
                self.count(if worst.is_some() { "ridden out" } else { "not reached" });
                if worst.is_none() {
                    self.not_reached.push(case.name());
                }
                if worst.is_some() { "ridden out".to_owned() } else { "was not reached".to_owned() }
            }
        };
        // What strace runs would outlive it, with the pipe of both: the server goes first.
        if let Some(id) = child_of(server.id()) {
            end_process(id)?;
        }
        server.kill()?;
        start.shards = 3;
        let again = start.serving()?;
        let histories = self.go_on(again, crowd, kept)?;
        self.judge(kept, &histories)?;
        Ok(what)
    }

    // Common steps.

    fn start(&self, data: &Path) -> Start {
        Start {
            program: self.programs.usherd(),
            before: Vec::new(),
            data: data.to_owned(),
            port: self.port,
            shards: 2,
            segment_bytes: "256KiB".to_owned(),
            checkpoint_segments: 2,
            more: Vec::new(),
        }
    }

    fn manners(&self, start: &Start) -> Manners {
        Manners {
            endpoint: start.endpoint(),
            seed: self.seed,
            stages: 4,
            name: "show".to_owned(),
            rest_ms: 5,
            shows_max: 1_000,
            short_holds: true,
        }
    }

    fn wait_for_load(&self, crowd: &Crowd, kept: &KeptLog, operations: u64) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while crowd.operations() < operations {
            ensure!(Instant::now() < until && !crowd.is_over(), "the clients are not served");
            kept.look()?;
            pause(LOOK_EVERY * 4);
        }
        Ok(())
    }

    /// Lets the clients come to their end and stops the server.
    fn go_on(&self, mut server: Usherd, crowd: Crowd, kept: &KeptLog) -> Result<Vec<History>> {
        let before = crowd.operations();
        self.wait_for_load(&crowd, kept, before + 20)?;
        let histories = crowd.end()?;
        kept.look()?;
        server.terminate()?;
        let status = server.wait(PATIENCE)?;
        ensure!(status.success(), "a stop ended with {status}: {}", server.said().join("\n"));
        Ok(histories)
    }

    fn verify(&self, kept: &KeptLog) -> Result<()> {
        let (code, said) = self.programs.verify(kept.data())?;
        ensure!(code <= 1, "usherctl verify ends with {code}: {said}");
        Ok(())
    }

    fn judge(&mut self, kept: &KeptLog, histories: &[History]) -> Result<()> {
        self.verify(kept)?;
        let folder = kept.data().parent().context("a data folder lies in a folder")?.to_owned();
        self.judged.judge(histories, &kept.read()?, &folder)
    }

    fn count(&mut self, outcome: &'static str) {
        *self.outcomes.entry(outcome).or_default() += 1;
    }

    fn tell(&mut self, took: Duration) {
        let outcomes: Vec<String> = self.outcomes.iter().map(|(outcome, cases)| format!("{cases} {outcome}")).collect();
        let Judged { histories, operations, answers, unknown, undecided, .. } = self.judged;
        println!("inject: {} cases in {:.0} s", self.outcomes.values().sum::<u32>(), took.as_secs_f64());
        println!("  outcomes            {}", outcomes.join(", "));
        self.gone.sort_unstable();
        if let (Some(least), Some(most)) = (self.gone.first(), self.gone.last()) {
            let ms = |time: &Duration| time.as_secs_f64() * 1e3;
            let median = self.gone[self.gone.len() / 2];
            let in_time = self.gone.iter().filter(|gone| **gone <= GONE_QUIETLY_WITHIN).count();
            println!(
                "  gone after          {:.1} to {:.1} ms, median {:.1}; {in_time} of {} within 100 ms",
                ms(least),
                ms(most),
                ms(&median),
                self.gone.len()
            );
        }
        println!(
            "  judged              {operations} operations in {histories} histories, {unknown} of unknown outcome, {answers} answers; {undecided} undecided"
        );
        if !self.not_reached.is_empty() {
            println!("  NOT reached         {}", self.not_reached.join(", "));
        }
    }
}

/// Waits until the log has gone on by so many segments.
fn wait_for_segments(server: &mut Usherd, kept: &KeptLog, more: usize) -> Result<()> {
    let wanted = kept.segments_begun()? + more;
    let until = Instant::now() + PATIENCE;
    while kept.segments_begun()? < wanted {
        if let Some(status) = server.ended()? {
            bail!("the server ended by itself, {status}: {}", server.said().join("\n"));
        }
        ensure!(Instant::now() < until, "the log does not go on");
        kept.look()?;
        pause(LOOK_EVERY * 4);
    }
    Ok(())
}

fn is_sentence(line: &str) -> bool {
    line.starts_with("usherd: ")
}

/// Waits for the end with 74 and one sentence. How long after the failing call it was.
fn wait_for_end(server: &mut Usherd, failed: &Failed, kept: &KeptLog) -> Result<Duration> {
    let until = Instant::now() + PATIENCE;
    let (status, gone) = loop {
        if let Some(status) = server.ended()? {
            break (status, wall().saturating_sub(failed.at));
        }
        ensure!(Instant::now() < until, "the server lives {PATIENCE:?} after {failed:?}");
        // Finely, since it is measured.
        pause(Duration::from_micros(200));
        kept.look()?;
    };
    server.wait(LOOK_EVERY)?;
    ensure!(status.code() == Some(EXIT_IO), "the server ended with {status} after {failed:?}");
    let said = server.said();
    let sentences = said.iter().filter(|line| line.contains("the log cannot be written")).count();
    ensure!(sentences == 1, "a log that fails is said in one sentence, and here in {sentences}: {}", said.join("\n"));
    Ok(gone)
}

/// The first position that was written and whose sync failed.
fn unsynced_of(failed: &Failed, data: &Path) -> Result<Option<u64>> {
    let name = failed.path.file_name().and_then(|name| name.to_str()).unwrap_or("");
    if failed.call != "fdatasync" || !name.ends_with(".seg") {
        return Ok(None);
    }
    let storage = engine::FileStorage::open_read_only(data)?;
    let mut last = None;
    walk(&storage, 0, &mut |line| {
        if let Line::Batch(found) = line
            && found.batch.count > 0
        {
            last = Some((found.batch.location.file.to_owned(), found.batch.first_position));
        } else if let Line::Batch(_) = line {
            // A marker says what was durable; an end of a segment or its successor's header was synced alone.
            last = None;
        }
        ControlFlow::Continue(())
    })?;
    Ok(last.filter(|(file, _)| file == name).map(|(_, first_position)| first_position))
}

/// Nobody was told anything of these positions before they were durable.
fn nothing_told_from(first_position: u64, restarted_ns: u64, histories: &[History]) -> Result<()> {
    for operation in histories.iter().flat_map(|history| &history.operations) {
        if let Outcome::Answered { position, .. } = &operation.outcome
            && operation.ended_ns < restarted_ns
            && *position >= first_position
        {
            bail!("the sync of position {first_position} failed, and this was told before the restart: {operation}");
        }
    }
    Ok(())
}

/// Everything in the folder that a start opens, and what it makes.
fn paths_of(data: &Path) -> Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = names(data, |_| true)?.into_iter().map(|name| data.join(name)).collect();
    paths.extend(names(&data.join("plans"), |_| true)?.into_iter().map(|name| data.join("plans").join(name)));
    paths.push(data.to_owned());
    Ok(paths)
}

fn child_of(process: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// Ends a process that a trial started through another, and waits until it is gone.
fn end_process(id: u32) -> Result<()> {
    let Some(id) = i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw) else { return Ok(()) };
    let until = Instant::now() + PATIENCE;
    while rustix::process::kill_process(id, rustix::process::Signal::KILL).is_ok() {
        ensure!(Instant::now() < until, "process {id:?} cannot be ended");
        pause(LOOK_EVERY);
    }
    Ok(())
}
