//! `trials <task>`, called as `cargo xtask <task>`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Attacks on the real programs
#[derive(Parser, Debug)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand, Debug)]
enum Task {
    /// Kill the server at random under recording clients
    Kill9(trials::kill9::Options),
    /// Make system calls fail and disks fill up
    Inject(trials::inject::Options),
    /// Snapshots and restores to earlier instants under full load
    PointInTime(trials::point_in_time::Options),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Kill9(options) => trials::kill9::run(&options),
        Task::Inject(options) => trials::inject::run(&options),
        Task::PointInTime(options) => trials::point_in_time::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
