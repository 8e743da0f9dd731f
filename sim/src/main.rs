//! `sim <task>`, called as `cargo xtask <task>`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Simulations of the engine under a seed
#[derive(Parser, Debug)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand, Debug)]
enum Task {
    /// Run worlds
    Sim,
    /// Damage a small log and a small checkpoint in every way
    Sweep(sim::sweep::SweepOptions),
}

fn main() -> ExitCode {
    match Arguments::parse().task {
        Task::Sim => ExitCode::FAILURE,
        Task::Sweep(options) => sim::sweep::run(&options),
    }
}
