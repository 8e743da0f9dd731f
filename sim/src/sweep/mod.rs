//! `cargo xtask sweep`: small folders damaged in every way, through the production recovery.
//!
//! Each case is one folder with one damage, named by the sweep and a number, so that it can be had again. The
//! engine's `verify` judges every one, its start a part of them, and what they say is compared with what was
//! acknowledged when the folder was made; see [`judge`] for what is right.
//!
//! Not here: crashes at any moment of a run (the simulator's), and a device that loses every witness of an
//! answer together with the answer, which no program can see ([`judge::Demand::Exposed`] counts these).

mod anatomy;
mod bits;
mod chance;
mod damage;
mod faults;
mod files;
mod folder;
mod judge;
mod lengths;
mod pages;
mod places;
mod press;
mod sale;
mod samples;

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use clap::Args;
use wal::WATERMARK_NAME;

use self::{
    damage::Edit,
    judge::{Demand, Depth, Outcome, Sample, judge},
    press::Material,
};

/// What to sweep.
#[derive(Args, Debug, Clone)]
pub struct SweepOptions {
    /// Also every bit of every log, larger files, and 1,000,000 random faults: an hour
    #[arg(long)]
    full: bool,
    /// Only the sweeps whose name contains this
    #[arg(long, value_name = "WORDS")]
    only: Option<String>,
    /// Only this case, as a failure prints it: the sweep's name, a slash, a number
    #[arg(long, value_name = "SWEEP/NUMBER", conflicts_with = "only")]
    case: Option<String>,
    /// Threads
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    threads: u8,
}

/// A damaged folder.
struct Case {
    sample: Arc<Sample>,
    edits: Vec<Edit>,
    demand: Demand,
}

impl Case {
    /// The least part of the code that shows all that this damage does.
    fn least_depth(&self) -> Depth {
        let all = |is: fn(&str) -> bool| self.edits.iter().all(|edit| is(edit.file()));
        let is_checkpoint = |name: &str| name.ends_with(".ckpt");
        let has_checkpoint = self.sample.folder.names().any(is_checkpoint);
        if !has_checkpoint && all(|name| anatomy::is_segment(name) || name == WATERMARK_NAME) {
            Depth::Log
        } else if all(is_checkpoint) && matches!(self.demand, Demand::Notice | Demand::Fallback) {
            Depth::Checkpoint
        } else {
            Depth::Check
        }
    }
}

/// The case with a number.
type CaseOf = Box<dyn Fn(u64) -> Case + Send + Sync>;

/// Cases of one kind.
struct Sweep {
    name: String,
    count: u64,
    /// One case in so many is also started.
    starts_every: u64,
    /// Most cases are looked at by the part of the code that the damage concerns, one in some by all of it.
    is_large: bool,
    case: CaseOf,
}

impl Sweep {
    fn new(name: String, count: u64, starts_every: u64, case: impl Fn(u64) -> Case + Send + Sync + 'static) -> Sweep {
        Sweep { name, count, starts_every, is_large: false, case: Box::new(case) }
    }

    fn large(self) -> Sweep {
        Sweep { is_large: true, ..self }
    }

    fn depth(&self, n: u64, case: &Case) -> Depth {
        // By chance and not by a step, which would meet the same bit of each byte.
        match chance::mix(n) {
            draw if draw.is_multiple_of(self.starts_every) => Depth::Start,
            draw if !self.is_large || (draw >> 32).is_multiple_of(CHECKED_EVERY) => Depth::Check,
            _ => case.least_depth(),
        }
    }

    fn judge(&self, n: u64, depth: Option<Depth>) -> Outcome {
        let case = (self.case)(n);
        let depth = depth.unwrap_or_else(|| self.depth(n, &case));
        let Case { sample, edits, demand } = case;
        let mut folder = sample.folder.clone();
        edits.iter().for_each(|edit| edit.apply(&mut folder));
        judge(&sample, &folder, demand, depth)
    }

    fn describe(&self, n: u64) -> String {
        let case = (self.case)(n);
        let edits: Vec<String> = case.edits.iter().map(ToString::to_string).collect();
        format!("{}; {:?}", edits.join("; "), case.demand)
    }
}

/// Counts of outcomes.
#[derive(Debug, Default)]
struct Tally {
    exact: AtomicU64,
    unacknowledged: AtomicU64,
    exposed: AtomicU64,
    refused: AtomicU64,
    wrong: AtomicU64,
}

impl Tally {
    fn count(&self, outcome: &Outcome) {
        let of = match outcome {
            Outcome::Exact => &self.exact,
            Outcome::Unacknowledged => &self.unacknowledged,
            Outcome::Exposed => &self.exposed,
            Outcome::Refused => &self.refused,
            Outcome::Wrong(_) => &self.wrong,
        };
        of.fetch_add(1, Ordering::Relaxed);
    }

    fn add(&self, other: &Tally) {
        let pairs = [
            (&self.exact, &other.exact),
            (&self.unacknowledged, &other.unacknowledged),
            (&self.exposed, &other.exposed),
            (&self.refused, &other.refused),
            (&self.wrong, &other.wrong),
        ];
        for (sum, count) in pairs {
            sum.fetch_add(count.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}

/// All sweeps. Built again for a single case, and the same each time.
fn sweeps(full: bool) -> Vec<Sweep> {
    let material = Material::new(12, &[1]);
    let mut sweeps = Vec::new();
    let logs = samples::logs(&material);
    for (number, log) in logs.iter().enumerate() {
        sweeps.push(if full || number == 0 {
            bits::every_bit_of_the_log(log.clone())
        } else {
            bits::every_byte_of_the_log(log.clone())
        });
    }
    let (marked, torn, rotated) = (&logs[0], &logs[4], &logs[7]);
    let plan: Vec<&str> = marked.folder.names().filter(|name| name.starts_with(engine::PLANS_DIR)).collect();
    sweeps.push(bits::every_byte_of("plan bytes", marked.clone(), &plan, Demand::Refuse));
    sweeps.push(bits::every_byte_of("watermark bytes", marked.clone(), &[WATERMARK_NAME], Demand::Start));

    let (both, young) = samples::checkpoints("two checkpoints", 6, 40, 64 << 10);
    let names = both.folder.names().filter(|name| name.ends_with(".ckpt"));
    let mut names: Vec<&str> = names.collect();
    names.sort_by_key(|name| name.len());
    let [older, newer] = names[..] else { panic!("two checkpoints: {names:?}") };
    for (damaged, other) in [(newer, older), (older, newer)] {
        let what = if damaged == newer { "newest checkpoint bytes" } else { "older checkpoint bytes" };
        sweeps.push(bits::every_byte_of(what, both.clone(), &[damaged], Demand::Fallback));
        let mut alone = both.clone();
        alone.folder.remove(other);
        alone.name = "the other gone".to_owned();
        sweeps.push(bits::every_byte_of(what, alone, &[damaged], Demand::Notice));
    }

    for sample in [marked, torn, &both] {
        sweeps.push(lengths::every_length(sample.clone(), full));
        sweeps.push(lengths::longer(sample.clone()));
    }
    sweeps.extend(pages::sweeps());
    sweeps.extend(places::sweeps(marked, &samples::foreign(&material)));
    sweeps.extend(files::sweeps(
        marked,
        rotated,
        &samples::moments(&material),
        &samples::foreign(&material),
        &both,
        &young,
    ));
    sweeps.push(faults::random(vec![marked.clone(), both.clone()], if full { 200_000 } else { 20_000 }));
    if full {
        let (large, _) = samples::checkpoints("large", 60, 800, 1 << 20);
        sweeps.push(faults::random(vec![large], 1_000_000));
    }
    sweeps
}

/// Runs them. The code is a failure when one outcome is wrong.
#[must_use]
pub fn run(options: &SweepOptions) -> ExitCode {
    let sweeps = sweeps(options.full);
    // From here on a panic is counted and told with its case; the hook would print it a million times.
    std::panic::set_hook(Box::new(|_| {}));
    if let Some(case) = &options.case {
        return one_case(&sweeps, case);
    }
    let started = Instant::now();
    let total = Tally::default();
    let memory_before = peak_kib();
    println!(
        "{:<44} {:>10} {:>10} {:>8} {:>8} {:>10} {:>6} {:>7}",
        "sweep", "cases", "exact", "unacked", "exposed", "refused", "wrong", "seconds"
    );
    let mut cases = 0;
    for sweep in &sweeps {
        if options.only.as_ref().is_some_and(|words| !sweep.name.contains(words.as_str())) {
            continue;
        }
        let begun = Instant::now();
        let tally = run_one(sweep, options.threads);
        print_row(&sweep.name, sweep.count, &tally, begun.elapsed());
        total.add(&tally);
        cases += sweep.count;
    }
    print_row("all", cases, &total, started.elapsed());
    let grown_mib = (peak_kib().saturating_sub(memory_before)) / 1024;
    println!("address space grew by {grown_mib} MiB at its peak");
    if total.wrong.load(Ordering::Relaxed) > 0 {
        return ExitCode::FAILURE;
    }
    if grown_mib > MEMORY_MIB_MAX {
        println!("wrong: some length was believed before it was checked; no folder here is that large");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Folders here have less than a few MiB; a length that is believed asks for more than this at once.
const MEMORY_MIB_MAX: u64 = 1024;

fn print_row(name: &str, cases: u64, tally: &Tally, took: Duration) {
    let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
    println!(
        "{name:<44} {cases:>10} {:>10} {:>8} {:>8} {:>10} {:>6} {:>7.1}",
        of(&tally.exact),
        of(&tally.unacknowledged),
        of(&tally.exposed),
        of(&tally.refused),
        of(&tally.wrong),
        took.as_secs_f64()
    );
}

/// Where most cases are looked at in part, one in so many is looked at in full.
const CHECKED_EVERY: u64 = 16;
/// Cases a thread takes at once.
const CHUNK: u64 = 64;
/// A sweep with more wrong cases than this has one cause for them.
const WRONG_PRINTED: u64 = 5;
/// How often a long sweep says how far it is.
const PROGRESS: Duration = Duration::from_secs(15);

fn run_one(sweep: &Sweep, threads: u8) -> Tally {
    let tally = Tally::default();
    let next = AtomicU64::new(0);
    let begun = Instant::now();
    let told = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let from = next.fetch_add(CHUNK, Ordering::Relaxed);
                    if from >= sweep.count {
                        return;
                    }
                    for n in from..(from + CHUNK).min(sweep.count) {
                        let outcome = sweep.judge(n, None);
                        tally.count(&outcome);
                        if let Outcome::Wrong(what) = outcome
                            && tally.wrong.load(Ordering::Relaxed) <= WRONG_PRINTED
                        {
                            println!("WRONG {what}\n  {}\n  again: {}", sweep.describe(n), again(sweep, n));
                        }
                    }
                    let intervals = begun.elapsed().as_secs() / PROGRESS.as_secs();
                    if told.fetch_max(intervals, Ordering::Relaxed) < intervals {
                        eprintln!("{}: {from} of {}", sweep.name, sweep.count);
                    }
                }
            });
        }
    });
    tally
}

fn again(sweep: &Sweep, n: u64) -> String {
    format!("cargo xtask sweep --case '{}/{n}'", sweep.name)
}

fn one_case(sweeps: &[Sweep], case: &str) -> ExitCode {
    let found = case.rsplit_once('/').and_then(|(name, number)| {
        let sweep = sweeps.iter().find(|sweep| sweep.name == name)?;
        Some((sweep, number.parse::<u64>().ok().filter(|n| *n < sweep.count)?))
    });
    let Some((sweep, n)) = found else {
        println!("no such case: {case}; it is the name of a sweep, a slash and a number, perhaps with --full");
        return ExitCode::FAILURE;
    };
    let outcome = sweep.judge(n, Some(Depth::Start));
    println!("{}\n{outcome:?}", sweep.describe(n));
    if matches!(outcome, Outcome::Wrong(_)) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The largest address space this process had, in KiB; zero where the system does not say.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_cases_of_every_sweep_are_right() {
        for sweep in sweeps(false) {
            for nth in 0..16 {
                let n = chance::mix(nth) % sweep.count;
                let depth = if nth % 4 == 0 { Some(Depth::Start) } else { None };
                let outcome = sweep.judge(n, depth);
                assert!(
                    !matches!(outcome, Outcome::Wrong(_)),
                    "{outcome:?}: {}, {}",
                    sweep.describe(n),
                    again(&sweep, n)
                );
            }
        }
    }

    #[test]
    fn a_case_is_the_same_when_it_is_built_again() {
        let (first, second) = (sweeps(false), sweeps(false));
        assert_eq!(first.len(), second.len());
        for (first, second) in first.iter().zip(&second) {
            assert_eq!((&first.name, first.count), (&second.name, second.count));
            let n = first.count / 3;
            assert_eq!(first.describe(n), second.describe(n));
            let ((a, b), mut folders) = (((first.case)(n), (second.case)(n)), Vec::new());
            for case in [a, b] {
                let mut folder = case.sample.folder.clone();
                case.edits.iter().for_each(|edit| edit.apply(&mut folder));
                folders.push(folder);
            }
            let [one, other] = &folders[..] else { panic!("two folders") };
            assert!(one.names().eq(other.names()) && one.names().all(|name| one.bytes(name) == other.bytes(name)));
        }
    }

    #[test]
    fn what_is_wrong_is_called_wrong() {
        let whole = samples::logs(&Material::new(12, &[1])).remove(0);
        let outcome = |sample: &Sample, demand, depth| judge(sample, &whole.folder, demand, depth);
        let is_wrong = |outcome| matches!(outcome, Outcome::Wrong(_));
        for depth in [Depth::Log, Depth::Check, Depth::Start] {
            assert_eq!(outcome(&whole, Demand::Start, depth), Outcome::Exact);
            assert!(is_wrong(outcome(&whole, Demand::Refuse, depth)), "nothing was refused");
            // Something was answered that is not there.
            let more = Sample { acknowledged: whole.acknowledged + 1, ..whole.clone() };
            assert!(is_wrong(outcome(&more, Demand::Right, depth)));
            assert!(is_wrong(outcome(&more, Demand::Exposed(more.acknowledged), depth)));
            assert_eq!(outcome(&more, Demand::Exposed(whole.acknowledged), depth), Outcome::Exposed);
            // Something is there that nobody wrote.
            let fewer = Sample { written: whole.written - 1, acknowledged: 0, ..whole.clone() };
            assert!(is_wrong(outcome(&fewer, Demand::Right, depth)));
        }
        assert!(is_wrong(outcome(&whole, Demand::Notice, Depth::Check)), "called clean");
        let hash_at = whole.hash_at.iter().map(|(&position, hash)| (position, hash ^ 1)).collect();
        let other = Sample { hash_at: Arc::new(hash_at), ..whole.clone() };
        assert!(is_wrong(outcome(&other, Demand::Right, Depth::Check)), "another state");
        let chains = Sample { chains: Arc::new(vec![wal::Chain::START]), ..whole.clone() };
        assert!(is_wrong(outcome(&chains, Demand::Right, Depth::Log)), "other batches");
    }
}
