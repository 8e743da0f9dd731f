//! The command line as a whole.

use clap::{Parser, Subcommand};

use crate::advice::SuggestOptions;
use crate::allocation::AllocationCommand;
use crate::availability::AvailabilityOptions;
use crate::cart::CartCommand;
use crate::event::EventCommand;
use crate::history::HistoryOptions;
use crate::hold::{ConfirmOptions, ExtendOptions, HoldOptions, ReleaseOptions, ShowOptions};
use crate::house::{HoldsOptions, KillOptions, UnkillOptions};
use crate::inspect::InspectOptions;
use crate::orders::{ExchangeOptions, OrderOptions, OrdersOptions, ReturnOptions, SellOptions};
use crate::payment::{BeginPaymentOptions, EndPaymentOptions};
use crate::plan_check::CheckOptions;
use crate::price_level::PriceLevelCommand;
use crate::repair::RepairOptions;
use crate::report::Output;
use crate::restore::RestoreOptions;
use crate::retire::RetireOptions;
use crate::seat_map::SeatMapOptions;
use crate::snapshot::SnapshotCommand;
use crate::verify::VerifyOptions;

const EXAMPLES: &str = "Examples:
  usherctl event create concert-1 --plan hall.json
  usherctl hold concert-1 --best 2
  usherctl confirm concert-1/HOLD --order O-4711
  usherctl seatmap concert-1
  usherctl kill concert-1 Stalls/F/1-8 --reason camera
  usherctl verify /var/lib/usher
  usherctl snapshot create --out /backup/usher/
  usherctl restore --from /backup/usher --data-dir NEW --dry-run

Exit codes: 0 done, 1 refused, 2 wrong usage, 66 no such file, 69 server unavailable. `verify`, `inspect`, `history` and
`repair` have their own.
Data goes to stdout, everything else to stderr.";

/// Runs sales on an Usher server and checks its data
#[derive(Parser, Debug)]
#[command(name = "usherctl", version, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Address of the server
    #[arg(
        long,
        alias = "server",
        global = true,
        env = "USHER_ENDPOINT",
        default_value = "http://127.0.0.1:7700",
        value_name = "URL"
    )]
    pub(crate) endpoint: String,
    /// Form of the output
    #[arg(long, short, global = true, value_enum, default_value = "table", value_name = "FORM")]
    pub(crate) output: Output,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Prepare and run a sale
    #[command(subcommand, after_help = "Examples:\n  usherctl event list\n  usherctl event create --help")]
    Event(EventCommand),
    Hold(HoldOptions),
    Suggest(SuggestOptions),
    /// Tell what `hold` with the same words would be answered, and hold nothing
    #[command(
        after_help = "Examples:\n  usherctl explain concert-1 A-2 A-3\n  usherctl explain concert-1 --best 5\n  usherctl explain concert-1 A-1 --ga FLOOR=2\n\nSeats, --ga and --best may stand in one command, as in hold."
    )]
    Explain(HoldOptions),
    BeginPayment(BeginPaymentOptions),
    EndPayment(EndPaymentOptions),
    Confirm(ConfirmOptions),
    Release(ReleaseOptions),
    Extend(ExtendOptions),
    Show(ShowOptions),
    /// Hold, sell and give back places in several events, all or nothing
    #[command(
        subcommand,
        after_help = "Examples:\n  usherctl cart hold day-1:A-1,A-2 day-2:best=2\n  usherctl cart confirm day-1/CART --order O-4711"
    )]
    Cart(CartCommand),
    Sell(SellOptions),
    Return(ReturnOptions),
    Exchange(ExchangeOptions),
    Order(OrderOptions),
    Orders(OrdersOptions),
    Holds(HoldsOptions),
    Kill(KillOptions),
    Unkill(UnkillOptions),
    /// Set places aside for those who bring a key
    #[command(
        subcommand,
        after_help = "Examples:\n  usherctl allocation set concert-1 fans-2027 Stalls/A --ga FLOOR=50\n  usherctl allocation list concert-1"
    )]
    Allocation(AllocationCommand),
    Retire(RetireOptions),
    /// Give places another price level
    #[command(
        name = "price-level",
        subcommand,
        after_help = "Examples:\n  usherctl price-level set concert-1 Premium Stalls/A Stalls/B/1-8"
    )]
    PriceLevel(PriceLevelCommand),
    Availability(AvailabilityOptions),
    #[command(name = "seatmap")]
    SeatMap(SeatMapOptions),
    /// Tell how the server is
    #[command(
        after_help = "Examples:\n  usherctl status\n  usherctl status --endpoint http://10.0.0.7:7700 --output json"
    )]
    Status,
    /// Work with venue plans
    #[command(subcommand, after_help = "Examples:\n  usherctl plan check hall.json")]
    Plan(PlanCommand),
    Verify(VerifyOptions),
    Inspect(InspectOptions),
    History(HistoryOptions),
    Repair(RepairOptions),
    #[command(
        subcommand,
        after_help = "Examples:\n  usherctl snapshot create --out /backup/usher/\n  usherctl snapshot list --from /backup/usher"
    )]
    Snapshot(SnapshotCommand),
    Restore(RestoreOptions),
}

/// What to do with a plan.
#[derive(Subcommand, Debug)]
pub(crate) enum PlanCommand {
    Check(CheckOptions),
}

/// Commands on data folders, whose exit codes are their own.
const OFFLINE: [&str; 4] = ["verify", "inspect", "history", "repair"];

/// Whether a command line that does not parse was meant for a command on a data folder.
pub(crate) fn means_offline<'a>(words: impl IntoIterator<Item = &'a str>) -> bool {
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match word {
            // Options that take the next word.
            "--endpoint" | "--server" | "--output" | "-o" => {
                words.next();
            }
            word if word.starts_with('-') => {}
            word => return OFFLINE.contains(&word),
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parsed(line: &str) -> Arguments {
        Arguments::try_parse_from(line.split(' ')).expect(line)
    }

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn common_options_stand_before_or_behind_the_command() {
        for line in [
            "usherctl --output json --endpoint http://h:1 event list",
            "usherctl event --output json list --endpoint http://h:1",
            "usherctl event list --endpoint http://h:1 -o json",
        ] {
            let arguments = parsed(line);
            assert_eq!((arguments.output, arguments.endpoint.as_str()), (Output::Json, "http://h:1"), "{line}");
        }
        assert_eq!(parsed("usherctl status").output, Output::Table);
    }

    #[test]
    fn every_command_has_examples() {
        fn walk(command: &clap::Command) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Examples:\n  usherctl "), "{} has no examples", command.get_name());
            assert!(command.get_about().is_some(), "{} does not say what it does", command.get_name());
            command.get_subcommands().filter(|sub| sub.get_name() != "help").for_each(walk);
        }
        walk(&Arguments::command());
    }

    #[test]
    fn a_line_meant_for_a_command_on_a_folder_is_recognised() {
        let means = |line: &str| means_offline(line.split_whitespace());
        assert!(means("verify") && means("--output json verify a b") && means("-o json --nonsense verify"));
        assert!(means("--output=json verify --nonsense"));
        assert!(!means("") && !means("event verify") && !means("--endpoint verify status"));
    }
}
