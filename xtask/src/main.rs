//! `cargo xtask <task>`.

use std::ffi::OsString;

use anyhow::{Result, bail};

const USAGE: &str = "usage: cargo xtask <task>
  codegen  make the Rust code of crate `proto` from its .proto files
  layouts  copy the byte layouts from beside the encoders into docs/FORMAT.md
  tidy     check who imports whom, names of folders, and that linked documents exist
  ci       everything that must pass before a change goes in

simulations, each with --help
  sim      the engine under seeds: crashes, faults, oracles
  sweep    every bit, byte, truncation and page of a small log and checkpoint

threads
  loom     every order of two or three threads that share a small part of the engine
  shuttle  random schedules of the whole engine

bytes of others, with another toolchain; skipped loudly without it
  fuzz     libFuzzer on everything that decodes
  miri     part of the core's and the log's tests, interpreted
measurements, each with options of its own
  bench    usherd beside Redis, PostgreSQL and a bare server, in turn: ratios, and a page to read
  recovery replay, and loading and writing a checkpoint, beside plain reading
  instructions
           instructions of a command, counted by valgrind, beside those in benches/instructions.toml

trials of the real programs, each with --help
  kill9    kill -9 at random under recording clients
  inject   system calls that fail, and disks that fill up
  point-in-time
           snapshots and restores to earlier instants under full load";

fn main() -> Result<()> {
    let root = xtask::repository_root();
    let mut words = std::env::args_os().skip(1);
    let task = words.next().and_then(|word| word.into_string().ok());
    let arguments: Vec<OsString> = words.collect();
    match task.as_deref() {
        Some("codegen") => xtask::codegen::run(&root),
        Some("layouts") => xtask::pictures::run(&root),
        Some("tidy") => xtask::tidy::run(&root),
        Some("ci") => xtask::ci::run(&root),
        Some(task @ ("sim" | "sweep")) => xtask::program::simulation(&root, task, &arguments),
        Some("loom") => xtask::models::loom(&root, &arguments),
        Some("shuttle") => xtask::models::shuttle(&root, &arguments),
        Some("fuzz") => xtask::nightly::fuzz(&root, &arguments),
        Some("miri") => xtask::nightly::miri(&root),
        Some("instructions") => xtask::instructions::run(&root, &arguments),
        Some("bench") => xtask::program::bench(&root, &arguments),
        Some("recovery") => xtask::program::recovery(&root, &arguments),
        Some(task @ ("kill9" | "inject" | "point-in-time")) => xtask::program::trial(&root, task, &arguments),
        _ => bail!("{USAGE}"),
    }
}
