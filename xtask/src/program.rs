//! Tasks that are programs of their own: built first, then run with the arguments that were given.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The cfg of a whole build in which the macros of crate `probe` are something.
const SIMULATED: &str = "--cfg usher_sim";

/// Runs `sim <task> <arguments>`, built with the probes on and in a target folder of its own.
///
/// # Errors
/// When it does not build, or does not end well.
pub fn simulation(root: &Path, task: &str, arguments: &[OsString]) -> Result<()> {
    let target = target_folder(root).join("sim");
    let mut build = cargo(root);
    build.args(["build", "--quiet", "--profile", "ci", "--package", "sim", "--target-dir"]).arg(&target);
    finish(build.env("RUSTFLAGS", SIMULATED))?;
    finish(Command::new(target.join("ci/sim")).arg(task).args(arguments).current_dir(root))
}

/// Runs `trials <task> <arguments>` against the programs of this repository: built for it with the profile `ci`, or, when
/// `TRIALS_PROGRAMS` names a folder, those that lie there, as they are.
///
/// # Errors
/// When something does not build, or the trial does not end well.
pub fn trial(root: &Path, task: &str, arguments: &[OsString]) -> Result<()> {
    let programs = if let Some(programs) = std::env::var_os("TRIALS_PROGRAMS") {
        std::path::absolute(programs)?
    } else {
        let packages = ["server", "cli", "loadgen", "trials"];
        let mut build = cargo(root);
        build.args(["build", "--quiet", "--profile", "ci"]).args(packages.iter().flat_map(|name| ["--package", name]));
        finish(&mut build)?;
        target_folder(root).join("ci")
    };
    finish(Command::new(programs.join("trials")).arg(task).args(arguments).current_dir(root))
}

/// Runs the measurement of recovery, built as a release is.
///
/// # Errors
/// When it does not build, or does not end well.
pub fn recovery(root: &Path, arguments: &[OsString]) -> Result<()> {
    let mut run = cargo(root);
    run.args(["run", "--quiet", "--release", "--package", "engine", "--example", "recovery", "--"]).args(arguments);
    finish(&mut run)
}

/// Runs the side-by-side bench, it and all it starts built as a release is.
///
/// # Errors
/// When something does not build, or a run failed.
pub fn bench(root: &Path, arguments: &[OsString]) -> Result<()> {
    let packages = ["peers", "server", "loadgen", "cli"];
    let mut build = cargo(root);
    build.args(["build", "--quiet", "--release"]).args(packages.iter().flat_map(|name| ["--package", name]));
    finish(&mut build)?;
    finish(Command::new(target_folder(root).join("release/bench")).args(arguments).current_dir(root))
}

pub(crate) fn target_folder(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

pub(crate) fn cargo(root: &Path) -> Command {
    // The cargo that called us, so that the toolchain is the same.
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}

pub(crate) fn finish(command: &mut Command) -> Result<()> {
    let words = format!("{command:?}");
    let status = command.status().with_context(|| format!("start {words}"))?;
    if !status.success() {
        bail!("{words}: {status}");
    }
    Ok(())
}
