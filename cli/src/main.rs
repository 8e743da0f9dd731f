//! `usherctl`: runs sales on a server over gRPC, and checks plans and data folders without one.
//!
//! Every command gives a [`report::Report`] or a [`failure::Failure`]; only this file writes and exits, and
//! `progress.rs` tells how far a long one is. Data goes to
//! stdout and everything else to stderr, so that output can be piped. The commands, their JSON and the exit codes
//! are described in docs/USHERCTL.md.
//!
//! Not here: any rule of a sale (the server judges), any change of a data folder (`verify`, `inspect` and `repair` read
//! it; a repair and a restore make a new one).
#![forbid(unsafe_code)]

mod advice;
mod arguments;
mod connection;
mod event;
mod event_card;
mod policy;
mod event_limits;
mod plan_document;
mod plan_check;
mod hold;
mod payment;
mod hold_card;
mod orders;
mod house;
mod allocation;
mod retire;
mod event_file;
mod price_level;
mod place_words;
mod place_list;
mod availability;
mod cart;
mod seat_map;
mod venue_plan;
mod status;
mod verify;
mod inspect;
mod history;
mod repair;
mod verify_backup;
mod snapshot;
mod restore;
mod progress;
mod name;
mod duration;
mod instant;
mod failure;
mod report;
mod table;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use client::Client;

use crate::arguments::{Arguments, Command, PlanCommand};
use crate::failure::{Failure, exit};
use crate::report::{Output, Report};
use crate::snapshot::SnapshotCommand;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    let output = arguments.output;
    // These write lines as they come: a log is longer than memory.
    let lines = match &arguments.command {
        Command::Inspect(options) => {
            Some(inspect::inspect(options, &mut io::stdout().lock(), &mut io::stderr().lock()))
        }
        Command::Repair(options) => {
            Some(repair::repair(options, output, &mut io::stdout().lock(), &mut io::stderr().lock()))
        }
        _ => None,
    };
    if let Some(lines) = lines {
        return ExitCode::from(lines.unwrap_or_else(|error| match error.kind() {
            // The reader has seen enough, as `head` does.
            io::ErrorKind::BrokenPipe => 0,
            _ => {
                let _ = writeln!(io::stderr(), "error: stdout: {error}");
                exit::OUTPUT
            }
        }));
    }
    let code = match run(arguments) {
        Ok(report) => match report.write(output, &mut io::stdout().lock(), &mut io::stderr().lock()) {
            Ok(()) => report.exit_code,
            // The reader has seen enough, as `head` does.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => report.exit_code,
            Err(error) => {
                let _ = writeln!(io::stderr(), "error: stdout: {error}");
                exit::OUTPUT
            }
        },
        Err(failure) => {
            let words = match output {
                Output::Table => failure.text(),
                Output::Json => failure.json().to_string(),
            };
            // With stderr gone the exit code is all that is left to tell.
            let _ = writeln!(io::stderr(), "{words}");
            failure.exit_code()
        }
    };
    ExitCode::from(code)
}

/// Help and version go to stdout and end well; wrong arguments go to stderr.
fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    if !error.use_stderr() {
        return ExitCode::SUCCESS;
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    let offline = arguments::means_offline(words.iter().map(String::as_str));
    ExitCode::from(if offline { verify::USAGE_EXIT } else { exit::USAGE })
}

fn run(arguments: Arguments) -> Result<Report, Failure> {
    match arguments.command {
        Command::Verify(options) => Ok(verify::verify(&options)),
        Command::History(options) => match &options.data_dir {
            Some(folder) => history::history(&options, folder),
            None => online(&arguments.endpoint, async |client| history::online(client, &options).await),
        },
        Command::Inspect(_) | Command::Repair(_) => unreachable!("they write their lines themselves, see main"),
        Command::Plan(PlanCommand::Check(options)) => plan_check::check(&options),
        Command::Event(command) => online(&arguments.endpoint, async |client| event::run(client, command).await),
        Command::Hold(options) => online(&arguments.endpoint, async |client| hold::hold(client, &options).await),
        Command::Suggest(options) => {
            online(&arguments.endpoint, async |client| advice::suggest(client, &options).await)
        }
        Command::Explain(options) => {
            online(&arguments.endpoint, async |client| advice::explain(client, &options).await)
        }
        Command::BeginPayment(options) => {
            online(&arguments.endpoint, async |client| payment::begin_payment(client, &options).await)
        }
        Command::EndPayment(options) => {
            online(&arguments.endpoint, async |client| payment::end_payment(client, &options).await)
        }
        Command::Confirm(options) => online(&arguments.endpoint, async |client| hold::confirm(client, &options).await),
        Command::Release(options) => online(&arguments.endpoint, async |client| hold::release(client, &options).await),
        Command::Extend(options) => online(&arguments.endpoint, async |client| hold::extend(client, &options).await),
        Command::Show(options) => online(&arguments.endpoint, async |client| hold::show(client, &options).await),
        Command::Cart(command) => online(&arguments.endpoint, async |client| cart::run(client, command).await),
        Command::Sell(options) => online(&arguments.endpoint, async |client| orders::sell(client, &options).await),
        Command::Return(options) => {
            online(&arguments.endpoint, async |client| orders::return_places(client, &options).await)
        }
        Command::Exchange(options) => {
            online(&arguments.endpoint, async |client| orders::exchange(client, &options).await)
        }
        Command::Order(options) => online(&arguments.endpoint, async |client| orders::order(client, &options).await),
        Command::Orders(options) => online(&arguments.endpoint, async |client| orders::orders(client, &options).await),
        Command::Holds(options) => online(&arguments.endpoint, async |client| house::holds(client, &options).await),
        Command::Kill(options) => online(&arguments.endpoint, async |client| house::kill(client, &options).await),
        Command::Unkill(options) => online(&arguments.endpoint, async |client| house::unkill(client, &options).await),
        Command::PriceLevel(command) => {
            online(&arguments.endpoint, async |client| price_level::run(client, command).await)
        }
        Command::Allocation(command) => {
            online(&arguments.endpoint, async |client| allocation::run(client, command).await)
        }
        Command::Retire(options) => online(&arguments.endpoint, async |client| retire::retire(client, &options).await),
        Command::Availability(options) => {
            online(&arguments.endpoint, async |client| availability::availability(client, &options).await)
        }
        Command::SeatMap(options) => {
            let coloured = arguments.output == Output::Table && colour_wanted();
            online(&arguments.endpoint, async |client| seat_map::seat_map(client, &options, coloured).await)
        }
        Command::Snapshot(SnapshotCommand::Create(options)) => {
            online(&arguments.endpoint, async |client| snapshot::create(client, &options).await)
        }
        Command::Snapshot(SnapshotCommand::List(options)) => snapshot::list(&options),
        Command::Restore(options) => restore::restore(&options),
        Command::Status => online(&arguments.endpoint, async |client| status::status(client).await),
    }
}

/// Runs a command that needs the server. One thread: a command is a few calls one after the other.
fn online(endpoint: &str, command: impl AsyncFnOnce(&Client) -> Result<Report, Failure>) -> Result<Report, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Unusable { problem: format!("the runtime does not start: {error}") })?;
    runtime.block_on(async {
        let client = connection::open(endpoint)?;
        command(&client).await.map_err(|failure| failure.at(endpoint))
    })
}

/// Colour helps a person at a terminal and is noise anywhere else; see no-color.org.
fn colour_wanted() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    io::stdout().is_terminal() && !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}
