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
    Kill9,
    /// Make system calls fail and disks fill up
    Inject,
}

fn main() -> ExitCode {
    match Arguments::parse().task {
        Task::Kill9 | Task::Inject => ExitCode::FAILURE,
    }
}
