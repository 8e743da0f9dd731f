//! `sim <task>`, called as `cargo xtask <task>`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use sim::command::{SimOptions, sim};

/// Simulations of the engine under a seed
#[derive(Parser, Debug)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand, Debug)]
enum Task {
    /// Run simulated worlds: seeds that failed once, a fixed list, then fresh ones
    Sim(SimOptions),
    /// Damage a small log and a small checkpoint in every way
    Sweep(sim::sweep::SweepOptions),
}

fn main() -> ExitCode {
    match Arguments::parse().task {
        Task::Sim(options) => sim(&options),
        Task::Sweep(options) => sim::sweep::run(&options),
    }
}
