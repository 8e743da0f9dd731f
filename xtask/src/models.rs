//! Models of threads: builds in which the engine's atomics, locks and channels are those of a model checker,
//! each with a target folder of its own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::program::{cargo, finish, target_folder};

/// Mistakes that loom must find, by their names in `engine/src/slip.rs`.
const FOUND_BY_LOOM: &[&str] = &["WakerAfterLook", "NoFence", "ClosedBeforeLock"];
/// Mistakes that random schedules must find.
const FOUND_BY_SHUTTLE: &[&str] = &[
    "WakerAfterLook",
    "ClosedBeforeLock",
    "WokenBeforePut",
    "MarkedAfterSent",
    "JudgedBeforeHanded",
    "AnswerBeforeView",
];

const LOOM_USAGE: &str = "usage: cargo xtask loom [--planted] [--preemptions N]
  every order of two or three threads that share one small part of the engine
  --planted        plant known mistakes, one at a time: each must be found
  --preemptions N  explore more preemptions than 3; the time grows fast";

const SHUTTLE_USAGE: &str = "usage: cargo xtask shuttle [--iterations N] [--seed S] [--planted] [--schedule FILE]
  random schedules of the whole engine: callers, shards, committer, checkpointer, the end
  --iterations N   schedules, half random and half PCT; 4000 when nothing is said
  --seed S         1 when nothing is said
  --planted        plant known mistakes, one at a time: each must be found
  --schedule FILE  run one failed schedule again";

/// Runs the loom models, or shows that they find what is planted.
///
/// # Errors
/// When they do not build, one fails, or a planted mistake is not found.
pub fn loom(root: &Path, arguments: &[OsString]) -> Result<()> {
    let mut planted = false;
    let mut preemptions = None;
    let mut words = arguments.iter().map(|word| word.to_string_lossy());
    while let Some(word) = words.next() {
        match &*word {
            "--planted" => planted = true,
            "--preemptions" => preemptions = Some(whole_number(words.next().as_deref(), LOOM_USAGE)?),
            _ => bail!("{LOOM_USAGE}"),
        }
    }
    let run = || {
        let mut test = models(root, "loom");
        test.args(["--lib", "--quiet", "interleavings::"]);
        test.env("LOOM_MAX_PREEMPTIONS", preemptions.unwrap_or(3).to_string());
        test
    };
    if planted { all_found(FOUND_BY_LOOM, run) } else { finish(&mut run()) }
}

/// Runs random schedules, or shows that they find what is planted.
///
/// # Errors
/// When they do not build, one fails, or a planted mistake is not found.
pub fn shuttle(root: &Path, arguments: &[OsString]) -> Result<()> {
    let mut planted = false;
    let (mut iterations, mut seed, mut schedule) = (4_000, 1, None);
    let mut words = arguments.iter().map(|word| word.to_string_lossy());
    while let Some(word) = words.next() {
        match &*word {
            "--planted" => planted = true,
            "--iterations" => iterations = whole_number(words.next().as_deref(), SHUTTLE_USAGE)?,
            "--seed" => seed = whole_number(words.next().as_deref(), SHUTTLE_USAGE)?,
            "--schedule" => {
                // The test runs in the folder of its crate.
                let file = PathBuf::from(&*words.next().context(SHUTTLE_USAGE)?);
                schedule = Some(std::path::absolute(file)?);
            }
            _ => bail!("{SHUTTLE_USAGE}"),
        }
    }
    let failed = target_folder(root).join("shuttle/failed-schedules");
    std::fs::create_dir_all(&failed)?;
    let run = || {
        let mut test = models(root, "shuttle");
        test.args(["--test", "engine", "--quiet", "schedules::", "--", "--nocapture"]);
        // Its warning says that it explores no weak memory; that is loom's part.
        test.env("SHUTTLE_SILENCE_WARNINGS", "1");
        test.env("USHER_SCHEDULES_MAX", iterations.to_string()).env("USHER_SEED", seed.to_string());
        test.env("USHER_SCHEDULES", &failed);
        if let Some(schedule) = &schedule {
            test.env("USHER_SCHEDULE", schedule);
        }
        test
    };
    if planted {
        return all_found(FOUND_BY_SHUTTLE, run);
    }
    finish(&mut run()).with_context(|| {
        format!(
            "the schedule of the failure is the newest file in {0}; run it again with: cargo xtask shuttle --schedule \
             {0}/scheduleNNN.txt",
            failed.display()
        )
    })
}

/// The test command of a build with this cfg.
fn models(root: &Path, cfg: &str) -> Command {
    let mut test = cargo(root);
    test.args(["test", "--package", "engine", "--target-dir"]).arg(target_folder(root).join(cfg));
    test.env("RUSTFLAGS", format!("--cfg {cfg}"));
    test
}

/// Runs the models once for each mistake and fails when they pass.
fn all_found(slips: &[&str], run: impl Fn() -> Command) -> Result<()> {
    // What does not build must not count as found.
    let mut build = run();
    finish(build.env("USHER_SCHEDULES_MAX", "2"))?;
    for slip in slips {
        let mut test = run();
        let status = test.env("USHER_SLIP", slip).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        if status.success() {
            bail!("{slip} was planted and not found");
        }
        println!("{slip}: found");
    }
    println!("{} planted, {} found", slips.len(), slips.len());
    Ok(())
}

fn whole_number(word: Option<&str>, usage: &'static str) -> Result<u64> {
    word.and_then(|word| word.parse().ok()).context(usage)
}
