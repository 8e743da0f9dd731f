//! `cargo xtask sim`: what it runs and what it prints.

use std::{
    collections::{BTreeMap, BTreeSet, hash_map::RandomState},
    fs,
    hash::{BuildHasher, Hasher},
    path::Path,
    process::ExitCode,
    sync::Mutex,
    time::{Duration, Instant},
};

use clap::Args;

use crate::{
    campaign::{Sum, Until, campaign},
    options::Profile,
    planted,
    run::{Outcome, Plan, run},
    shrink::{parse_ranges, ranges, shrink},
    sites::{marked_places, refusals},
};

/// Failed once, run first for ever.
const REGRESSIONS: &str = "sim/regressions.txt";
/// The fixed list: these seeds reach every marked place.
const FIXED_SEEDS: u64 = 1_400;
const TELL_EVERY: Duration = Duration::from_secs(20);

/// Run simulated worlds: first the seeds that failed once, then a fixed list, then fresh ones
#[derive(Args, Debug)]
pub struct SimOptions {
    /// So many fresh seeds
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// This seed alone, with every answer counted
    #[arg(long, value_name = "S", conflicts_with_all = ["seeds", "minutes"])]
    seed: Option<u64>,
    /// For so long, all lists included
    #[arg(long, value_name = "M")]
    minutes: Option<f64>,
    /// Only worlds in which this may go wrong
    #[arg(long, value_name = "P", value_parser = parse_profile)]
    profile: Option<Profile>,
    /// Only these steps of the seed, such as 3,7-9
    #[arg(long, value_name = "LIST", requires = "seed")]
    steps: Option<String>,
    /// Plant every bug in turn, and prove that each is found; with --seed: plant this one
    #[arg(long, value_name = "BUG", num_args = 0..=1, default_missing_value = "")]
    planted: Option<String>,
    /// Tell everything that happens in the world of --seed on stderr
    #[arg(long, requires = "seed")]
    tell: bool,
    /// Worlds side by side
    #[arg(long, value_name = "N", default_value_t = 2)]
    threads: usize,
    /// The first fresh seed; drawn when it is not given
    #[arg(long, value_name = "S")]
    from: Option<u64>,
    /// Leave the fixed list out
    #[arg(long)]
    fresh_only: bool,
}

fn parse_profile(name: &str) -> Result<Profile, String> {
    Profile::parse(name).ok_or_else(|| {
        let names: Vec<&str> = Profile::ALL.iter().map(|profile| profile.name()).collect();
        format!("one of {}", names.join(", "))
    })
}

/// Runs the command from the root of the repository.
#[must_use]
pub fn sim(options: &SimOptions) -> ExitCode {
    if !cfg!(usher_sim) {
        println!("note: built without --cfg usher_sim: no rare paths, no coverage; `cargo xtask sim` builds it right");
    }
    if let Some(seed) = options.seed {
        return one(seed, options);
    }
    // A panic inside a world is caught and reported with its seed.
    std::panic::set_hook(Box::new(|_| {}));
    match &options.planted {
        Some(name) => planted::prove(name, options.threads),
        None => lists(options),
    }
}

fn one(seed: u64, options: &SimOptions) -> ExitCode {
    let steps = match options.steps.as_deref().map(parse_ranges) {
        Some(None) => {
            eprintln!("error: --steps is a list of numbers and ranges such as 3,7-9");
            return ExitCode::from(2);
        }
        Some(steps) => steps,
        None => None,
    };
    let mut plan = Plan { steps, is_told: options.tell, ..Plan::of_seed(seed, options.profile) };
    if let Some(name) = &options.planted {
        plan.bug = planted::find(name);
        if plan.bug.is_none() {
            eprintln!("error: no planted bug has the name {name}");
            return ExitCode::from(2);
        }
    }
    println!("{:#?}", plan.options());
    let outcome = run(&plan);
    println!("{:#?}", outcome.counts);
    for (what, count) in outcome.coverage.iter().chain(&outcome.faults) {
        println!("{count:>9}  {what}");
    }
    for (answer, count) in &outcome.answers {
        println!("{count:>9}  {answer}");
    }
    println!("digest {:016x}", outcome.digest);
    if outcome.violation.is_none() {
        return ExitCode::SUCCESS;
    }
    std::panic::set_hook(Box::new(|_| {}));
    tell_failure(&plan, &outcome);
    ExitCode::FAILURE
}

fn lists(options: &SimOptions) -> ExitCode {
    let begin = Instant::now();
    let limit = options.minutes.map(|minutes| Duration::from_secs_f64(minutes * 60.0));
    let mut total = Sum::default();
    let regressions = match read_regressions(Path::new(REGRESSIONS)) {
        Ok(plans) => plans,
        Err(problem) => {
            eprintln!("error: {problem}");
            return ExitCode::from(2);
        }
    };
    let count = regressions.len() as u64;
    println!("{count} seeds that failed once");
    let plan_of = |number: u64| regressions[number as usize].clone();
    if !go_on(&mut total, campaign(options.threads, Until::Worlds(count), &plan_of, &|_| {})) {
        return failed(&total);
    }
    if !options.fresh_only && options.profile.is_none() {
        println!("{FIXED_SEEDS} fixed seeds");
        let plan_of = |number| Plan::of_seed(number, None);
        if !go_on(&mut total, campaign(options.threads, Until::Worlds(FIXED_SEEDS), &plan_of, &ticker(begin))) {
            return failed(&total);
        }
        let missing = unreached(&total.coverage);
        let unmet = unmet(&total.answers_by_kind);
        if !missing.is_empty() || !unmet.is_empty() {
            print(&total, begin.elapsed());
            println!("NOT REACHED by the fixed list:");
            missing.iter().chain(&unmet).for_each(|name| println!("  {name}"));
            return ExitCode::FAILURE;
        }
    }
    let until = match (options.seeds, limit) {
        (Some(seeds), _) => Until::Worlds(seeds),
        (None, Some(limit)) => Until::Time(limit.saturating_sub(begin.elapsed())),
        (None, None) => Until::Worlds(0),
    };
    if until != Until::Worlds(0) {
        // The standard library seeds its tables from the operating system.
        let fresh = options.from.unwrap_or_else(|| RandomState::new().build_hasher().finish() >> 24);
        println!("fresh seeds from {fresh}");
        let plan_of = |number| Plan::of_seed(fresh + number, options.profile);
        if !go_on(&mut total, campaign(options.threads, until, &plan_of, &ticker(begin))) {
            return failed(&total);
        }
    }
    print(&total, begin.elapsed());
    println!("no violation");
    ExitCode::SUCCESS
}

/// Adds up, and says whether all is well so far.
fn go_on(total: &mut Sum, part: Sum) -> bool {
    total.merge(part);
    total.failure.is_none()
}

fn failed(total: &Sum) -> ExitCode {
    if let Some((plan, outcome)) = &total.failure {
        tell_failure(plan, outcome);
    }
    ExitCode::FAILURE
}

/// What failed, a line that runs it again, and one that fails with fewer steps.
fn tell_failure(plan: &Plan, outcome: &Outcome) {
    let Some(violation) = &outcome.violation else { return };
    println!("VIOLATION: {violation}");
    let again = |plan: &Plan| {
        let mut line = format!("cargo xtask sim --seed {}", plan.seed);
        if Profile::of_seed(plan.seed) != plan.profile {
            line += &format!(" --profile {}", plan.profile);
        }
        if let Some(bug) = plan.bug {
            line += &format!(" --planted {bug:?}");
        }
        if let Some(steps) = &plan.steps {
            line += &format!(" --steps {}", ranges(steps));
        }
        line
    };
    println!("again: {}", again(plan));
    // Whoever has it told looks at this world, not at a hundred smaller ones.
    if !plan.is_told {
        let small = shrink(plan);
        println!("smaller, {} steps: {}", small.step_numbers().len(), again(&small));
    }
    println!("keep it: echo '{} {}' >> {REGRESSIONS}", plan.seed, plan.profile);
}

fn unreached(coverage: &BTreeMap<&'static str, u64>) -> BTreeSet<String> {
    if !cfg!(usher_sim) {
        return BTreeSet::new();
    }
    let mut names = marked_places(Path::new(".")).unwrap_or_default();
    names.retain(|name| coverage.get(name.as_str()).copied().unwrap_or(0) == 0);
    names
}

/// Refusals that nobody was given.
fn unmet(answers: &BTreeMap<String, u64>) -> BTreeSet<String> {
    let mut names = refusals(Path::new(".")).unwrap_or_default();
    names.retain(|name| !answers.keys().any(|answer| answer.rsplit(' ').next() == Some(name)));
    names
}

fn ticker(begin: Instant) -> impl Fn(&Sum) + Sync {
    let last = Mutex::new(begin);
    move |sum: &Sum| {
        let mut last = last.lock().expect("no code panics while it holds this lock");
        if last.elapsed() >= TELL_EVERY {
            *last = Instant::now();
            println!(
                "{:>6.0} s  {} worlds, {} commands, {} cycles",
                begin.elapsed().as_secs_f64(),
                sum.worlds,
                sum.commands,
                sum.cycles
            );
        }
    }
}

fn print(sum: &Sum, took: Duration) {
    let seconds = took.as_secs_f64();
    println!("answers:");
    for (answer, count) in &sum.answers_by_kind {
        println!("{count:>11}  {answer}");
    }
    println!("marked places and faults:");
    for (what, count) in sum.coverage.iter().chain(&sum.faults) {
        println!("{count:>11}  {what}");
    }
    println!("profiles: worlds, cycles");
    for (profile, (worlds, cycles)) in &sum.profiles {
        println!("{worlds:>11} {cycles:>9}  {profile}");
    }
    println!(
        "{} worlds in {seconds:.0} s: {} commands ({:.0} a second), {} answers checked, {} changes, {} crash and start \
         cycles ({:.0} a second), {} damaged copies, {} refusals that were right, {} checkpoints",
        sum.worlds,
        sum.commands,
        sum.commands as f64 / seconds,
        sum.answers,
        sum.changes,
        sum.cycles,
        sum.cycles as f64 / seconds,
        sum.damaged_copies,
        sum.refused,
        sum.checkpoints,
    );
    let missing = unreached(&sum.coverage);
    if cfg!(usher_sim) {
        println!("{} marked places were not reached", missing.len());
        missing.iter().for_each(|name| println!("  {name}"));
    }
}

/// One seed a line, with its profile; `#` begins a comment.
fn read_regressions(path: &Path) -> Result<Vec<Plan>, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let lines =
        text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let plan = line.split_once(' ').and_then(|(seed, profile)| {
                Some(Plan::of_seed(seed.parse().ok()?, Some(Profile::parse(profile.trim())?)))
            });
            plan.ok_or_else(|| format!("{}: `{line}` is not a seed and a profile", path.display()))
        })
        .collect()
}
