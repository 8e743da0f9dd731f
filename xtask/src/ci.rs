//! Everything that must pass before a change goes in, cheapest first. `.ci/run` does the same on a fresh clone.

use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::{codegen, tidy};

/// Runs all steps; the first that fails ends the run.
///
/// # Errors
/// The step that failed.
pub fn run(root: &Path) -> Result<()> {
    step("tidy", || tidy::run(root))?;
    step("codegen is fresh", || codegen::check(root))?;
    step("fmt", || cargo(root, &["fmt", "--all", "--check"]))?;
    step("buf lint", || buf_lint(root))?;
    step("clippy", || cargo(root, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    step("test", || cargo(root, &["test", "--workspace", "--profile", "ci"]))
}

fn step(name: &str, run: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("== {name}");
    let start = Instant::now();
    run().with_context(|| format!("{name} failed"))?;
    println!("== {name}: {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

fn cargo(root: &Path, arguments: &[&str]) -> Result<()> {
    // The cargo that called us, so that the toolchain is the same.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo).args(arguments).current_dir(root).status()?;
    if !status.success() {
        bail!("cargo {}: {status}", arguments.join(" "));
    }
    Ok(())
}

fn buf_lint(root: &Path) -> Result<()> {
    match Command::new("buf").arg("lint").current_dir(root).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => bail!("buf lint: {status}"),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("SKIPPED: buf is not installed (npm install --global @bufbuild/buf)");
            Ok(())
        }
        Err(error) => Err(error).context("start buf"),
    }
}
