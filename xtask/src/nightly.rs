//! Tasks that need more than the product's toolchain: fuzzing and miri. Where that is missing they say so
//! loudly, and succeed: nobody should need it to work here.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::program::{finish, target_folder};

const FUZZ_USAGE: &str = "usage: cargo xtask fuzz [--target T] [--seconds N]
  libFuzzer on one target of fuzz/targets, or on each in turn
  --target T   a folder in fuzz/corpus
  --seconds N  how long for each target; 60 when nothing is said";

/// A target that holds more than this for one input fails.
const RSS_LIMIT_MB: u32 = 256;

/// What of the core and the log runs under miri: hundreds of times slower than otherwise, so only what decodes
/// and encodes, in memory.
const MIRI_TESTS: &[&[&str]] = &[
    &["--package", "inventory-core", "--lib"],
    &["--package", "inventory-core", "--test", "codec", "bytes_it_always_had"],
    &["--package", "inventory-core", "--test", "plan_codec", "the_first_version"],
    &["--package", "wal", "--test", "log", "golden::the_watermark"],
    &["--package", "wal", "--test", "log", "golden::a_log_of_version_1"],
];

/// Fuzzes.
///
/// # Errors
/// When a target fails: the input is in a file that libFuzzer names.
pub fn fuzz(root: &Path, arguments: &[OsString]) -> Result<()> {
    let (mut only, mut seconds) = (None, 60);
    let mut words = arguments.iter().map(|word| word.to_string_lossy().into_owned());
    while let Some(word) = words.next() {
        match word.as_str() {
            "--target" => only = Some(words.next().context(FUZZ_USAGE)?),
            "--seconds" => seconds = words.next().and_then(|word| word.parse::<u32>().ok()).context(FUZZ_USAGE)?,
            _ => bail!("{FUZZ_USAGE}"),
        }
    }
    let targets = targets(root)?;
    if let Some(name) = &only
        && !targets.contains(name)
    {
        bail!("{name} is no target; there are {}", targets.join(", "));
    }
    if !answers(Command::new("cargo").args(["+nightly", "fuzz", "--version"])) {
        eprintln!(
            "SKIPPED: no cargo-fuzz for a nightly toolchain, NOTHING was fuzzed (cargo install cargo-fuzz --locked)"
        );
        return Ok(());
    }
    let build = |command: &mut Command| finish(command.args(["+nightly", "fuzz", "build", "any"]).current_dir(root));
    build(&mut Command::new("cargo"))?;
    for target in targets.iter().filter(|target| only.as_ref().is_none_or(|only| only == *target)) {
        fuzz_one(root, target, seconds)?;
    }
    Ok(())
}

/// Runs one target. What it finds of new inputs stays in the target folder, beside the build.
fn fuzz_one(root: &Path, target: &str, seconds: u32) -> Result<()> {
    let found = target_folder(root).join("fuzz").join(target);
    let failed = target_folder(root).join("fuzz/failed").join(format!("{target}-"));
    std::fs::create_dir_all(&found)?;
    std::fs::create_dir_all(target_folder(root).join("fuzz/failed"))?;
    println!("== {target}");
    let start = Instant::now();
    let mut run = Command::new("cargo");
    run.current_dir(root).env("USHER_FUZZ_TARGET", target);
    // What was freed and is kept aside to catch uses of it would count against the limit.
    run.env("ASAN_OPTIONS", "quarantine_size_mb=8:detect_odr_violation=0");
    run.args(["+nightly", "fuzz", "run", "any"]).arg(&found).arg(root.join("fuzz/corpus").join(target)).arg("--");
    run.arg(format!("-max_total_time={seconds}")).arg(format!("-rss_limit_mb={RSS_LIMIT_MB}"));
    run.arg(format!("-artifact_prefix={}", failed.display())).args(["-print_final_stats=1", "-verbosity=0"]);
    finish(&mut run).with_context(|| {
        format!(
            "{target} failed on the input named above; `cargo test -p fuzz-targets` runs it from fuzz/corpus/{target}"
        )
    })?;
    println!("== {target}: {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// The folders in the corpus.
fn targets(root: &Path) -> Result<Vec<String>> {
    let folder = root.join("fuzz/corpus");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Runs part of the core's and the log's tests under miri.
///
/// # Errors
/// When miri is there and a test fails in it.
pub fn miri(root: &Path) -> Result<()> {
    if !answers(Command::new("cargo").args(["+nightly", "miri", "--version"])) {
        eprintln!(
            "SKIPPED: this toolchain has no miri, NOTHING was interpreted (rustup component add --toolchain nightly \
             miri rust-src)"
        );
        return Ok(());
    }
    for tests in MIRI_TESTS {
        let mut run = Command::new("cargo");
        run.current_dir(root).args(["+nightly", "miri", "test", "--target-dir"]).arg(target_folder(root).join("miri"));
        // The tests read golden files.
        finish(run.args(*tests).env("MIRIFLAGS", "-Zmiri-disable-isolation"))?;
    }
    Ok(())
}

fn answers(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
