//! `usherctl history`: what happened to a seat, a hold or an order, from the log in a data folder.
//!
//! Nothing is written, and a server may be running on the folder. Not here: reading the log (crate `engine`), its
//! other lines (`inspect.rs`).

use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::{ArgGroup, Args};
use client::HoldId;
use engine::inspect::{ChangeLine, Line, PlaceMoved, walk};
use inventory_core::place::{Moved, PlaceState};
use serde_json::Value;
use wal::FileStorage;

use crate::inspect::{UNREADABLE_EXIT, change_json};
use crate::instant;
use crate::name::EventName;
use crate::report::Report;
use crate::table::{Side, columns};

/// Places of one change that a line names; the others are counted.
const PLACES_SHOWN_MAX: usize = 6;

const EXAMPLES: &str = "Examples:
  usherctl history --data-dir /var/lib/usher --event concert-1 --seat A-12
  usherctl history --data-dir /var/lib/usher --event concert-1 --order O-4711

As far back as the log in the folder goes: what an older checkpoint covers is in the archive. Exit codes: 0 shown, 3 not
readable or wrong usage. Nothing is ever written.";

/// Tell what happened to a seat, a hold or an order, from the log of a data folder
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, group = ArgGroup::new("of").required(true))]
pub(crate) struct HistoryOptions {
    /// The data folder of a server
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// Name of the event
    #[arg(long, value_name = "EVENT")]
    event: EventName,
    /// What moved this seat or area, by its key
    #[arg(long, value_name = "KEY", group = "of")]
    seat: Option<String>,
    /// What became of this hold: its id, or its public name
    #[arg(long, value_name = "HOLD", group = "of")]
    hold: Option<String>,
    /// What was sold to this order, and came back from it
    #[arg(long, value_name = "ORDER", group = "of")]
    order: Option<String>,
}

/// Runs the command.
pub(crate) fn history(options: &HistoryOptions) -> Report {
    let storage = match FileStorage::open_read_only(&options.data_dir) {
        Ok(storage) => storage,
        Err(error) => return Report::default().note(format!("error: {error}")).exit(UNREADABLE_EXIT),
    };
    let (mut rows, mut changes): (Vec<Vec<String>>, Vec<Value>) = (Vec::new(), Vec::new());
    let mut is_damaged = false;
    let walked = walk(&storage, 0, &mut |line| {
        match line {
            Line::Change(change) => {
                let places = change.places().unwrap_or_default();
                if options.wants(&change, &places) {
                    rows.push(row(&change, &places));
                    changes.push(change_json(&change, Some(&places), false));
                }
            }
            Line::Damage(_) | Line::Hole(_) => is_damaged = true,
            Line::Checkpoint(_) | Line::Plan(_) | Line::Segment(_) | Line::Batch(_) => {}
        }
        ControlFlow::Continue(())
    });
    if let Err(error) = walked {
        return Report::default().note(format!("error: {error}")).exit(UNREADABLE_EXIT);
    }
    let header = [
        ("POSITION", Side::Right),
        ("TIME", Side::Left),
        ("WHAT", Side::Left),
        ("CAUSE", Side::Left),
        ("HOLD", Side::Left),
        ("ORDER", Side::Left),
        ("PLACES", Side::Left),
    ];
    let report = Report::new(columns(&header, &rows), changes.into());
    if is_damaged {
        return report.note("the folder has damaged places: something may be missing; see usherctl verify");
    }
    report
}

impl HistoryOptions {
    fn wants(&self, change: &ChangeLine<'_>, places: &[PlaceMoved]) -> bool {
        let is_of_event = change.event.is_some_and(|(found, _)| found.as_str() == self.event.as_str());
        let moves = |key: &String| places.iter().any(|place| change.key_of(place.what) == Some(key));
        let is_of_hold = |name: &String| {
            let named = name.to_ascii_lowercase();
            holds_of(change).any(|id| id.to_string() == named || id.hold_ref().to_string() == named)
        };
        is_of_event
            && self.seat.as_ref().is_none_or(moves)
            && self.hold.as_ref().is_none_or(is_of_hold)
            && self.order.as_ref().is_none_or(|order| change.order().is_some_and(|found| found.as_str() == order))
    }
}

fn holds_of(change: &ChangeLine<'_>) -> impl Iterator<Item = HoldId> {
    let all = change.holds().iter().copied().chain(change.replaced());
    all.map(|id| HoldId::from_halves((id.0 >> 64) as u64, id.0 as u64))
}

fn row(change: &ChangeLine<'_>, places: &[PlaceMoved]) -> Vec<String> {
    let mut holds: Vec<String> = holds_of(change).take(2).map(|id| id.hold_ref().to_string()).collect();
    if change.holds().len() > 2 {
        holds = vec![format!("{} holds", change.holds().len())];
    }
    vec![
        change.position.to_string(),
        instant::text_of_ms(change.time.0),
        change.kind().replace('_', " "),
        change.cause().unwrap_or_default().to_owned(),
        holds.join(" "),
        change.order().map(|order| order.as_str().to_owned()).unwrap_or_default(),
        places_text(change, places),
    ]
}

fn places_text(change: &ChangeLine<'_>, places: &[PlaceMoved]) -> String {
    let one = |place: &PlaceMoved| {
        let to = match place.to {
            PlaceState::Open => "open",
            PlaceState::Held => "held",
            PlaceState::Sold => "sold",
            PlaceState::Killed => "killed",
        };
        let key = change.key_of(place.what);
        match place.what {
            Moved::Seat(index) => format!("{} {to}", key.map_or_else(|| format!("seat {index}"), str::to_owned)),
            Moved::Area { area, quantity } => {
                format!("{quantity} x {} {to}", key.map_or_else(|| format!("area {area}"), str::to_owned))
            }
        }
    };
    let mut text: Vec<String> = places.iter().take(PLACES_SHOWN_MAX).map(one).collect();
    if places.len() > PLACES_SHOWN_MAX {
        text.push(format!("and {} more", places.len() - PLACES_SHOWN_MAX));
    }
    text.join(", ")
}
