//! `usherctl history`: what happened to a seat, a hold or an order, from the log in a data folder, or from the index of
//! a server.
//!
//! Nothing is written, and a server may be running on the folder. Not here: reading the log (crate `engine`), its
//! other lines (`inspect.rs`), the index (crate `history`).

use std::fmt::Display;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{ArgGroup, Args};
use client::{Client, HoldId};
use engine::inspect::{ChangeLine, CheckpointLine, Line, PlaceMoved, walk};
use inventory_core::place::{Moved, PlaceState};
use proto::admin::v1::get_history_request::Of;
use proto::admin::v1::{GetHistoryRequest, HistoryActor, HistoryChange, HistoryPlace};
use proto::inventory::v1::PlaceState as WirePlaceState;
use serde_json::{Value, json};
use wal::{FIRST_POSITION, FileStorage};

use crate::event_card::moment_json;
use crate::failure::Failure;
use crate::inspect::{UNREADABLE_EXIT, change_json};
use crate::instant;
use crate::name::{EventName, parse_hold_id};
use crate::report::Report;
use crate::table::{Side, columns};

/// The largest page.
const PAGE_SIZE: u32 = 256;
/// Places of one change that a line names; the others are counted.
const PLACES_SHOWN_MAX: usize = 6;

const HEADER: [(&str, Side); 8] = [
    ("POSITION", Side::Right),
    ("TIME", Side::Left),
    ("WHO", Side::Left),
    ("WHAT", Side::Left),
    ("CAUSE", Side::Left),
    ("HOLD", Side::Left),
    ("ORDER", Side::Left),
    ("PLACES", Side::Left),
];

const EXAMPLES: &str = "Examples:
  usherctl history --data-dir /var/lib/usher --event concert-1 --seat A-12
  usherctl history --event concert-1 --order O-4711

With --data-dir from the log in that folder, as far back as it goes: what is older is in the archive. Else from the index of
the server, which must keep one (usherd --history on). Both say between which positions nothing is missing. Exit codes:
0 shown, 1 no such event, 3 not readable or wrong usage; without --data-dir as of other commands. Nothing is ever written.";

/// Tell what happened to a seat, a hold or an order
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, group = ArgGroup::new("of").required(true))]
pub(crate) struct HistoryOptions {
    /// The data folder of a server; without it the server is asked
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Name of the event
    #[arg(long, value_name = "EVENT")]
    event: EventName,
    /// What moved this seat or area, by its key
    #[arg(long, value_name = "KEY", group = "of")]
    seat: Option<String>,
    /// What became of this hold: EVENT/HOLD as `usherctl hold` printed it, its id, or its public name
    #[arg(long, value_name = "HOLD", group = "of")]
    hold: Option<HoldAsked>,
    /// What was sold to this order, and came back from it
    #[arg(long, value_name = "ORDER", group = "of")]
    order: Option<String>,
}

/// A hold of the event, by its id or by its public name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct HoldAsked {
    /// The event, when it stands before the hold.
    event: Option<EventName>,
    /// In lower case, as both are printed.
    name: String,
}

impl FromStr for HoldAsked {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (event, name) = match text.split_once('/') {
            Some((event, name)) => (Some(event.parse()?), name),
            None => (None, text),
        };
        let is_public_name = name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        let name = if is_public_name { name.to_ascii_lowercase() } else { parse_hold_id(name)?.to_string() };
        Ok(Self { event, name })
    }
}

/// Runs the command on a folder. An event of which the log has no change is refused: most likely its name is misspelt.
pub(crate) fn history(options: &HistoryOptions, folder: &Path) -> Result<Report, Failure> {
    options.check()?;
    let unreadable = |error: &dyn Display| Report::default().note(format!("error: {error}")).exit(UNREADABLE_EXIT);
    let storage = match FileStorage::open_read_only(folder) {
        Ok(storage) => storage,
        Err(error) => return Ok(unreadable(&error)),
    };
    let (mut rows, mut changes): (Vec<Vec<String>>, Vec<Value>) = (Vec::new(), Vec::new());
    let (mut is_mentioned, mut is_damaged, mut complete_from) = (false, false, FIRST_POSITION);
    let walked = walk(&storage, 0, &mut |line| {
        match line {
            Line::Change(change) if options.is_of_event(&change) => {
                is_mentioned = true;
                let places = change.places();
                if options.wants(&change, places.as_deref().unwrap_or_default()) {
                    rows.push(row(&change, places.as_deref()));
                    changes.push(change_json(&change, places.as_deref(), false));
                }
            }
            Line::Damage(_) | Line::Hole(_) => is_damaged = true,
            // What it covers is told as far as the changes say it themselves.
            Line::Checkpoint(CheckpointLine { is_base: true, meta: Some(meta), .. }) => {
                complete_from = meta.next_position;
            }
            Line::Change(_) | Line::Checkpoint(_) | Line::Plan(_) | Line::Segment(_) | Line::Batch(_) => {}
        }
        ControlFlow::Continue(())
    });
    let complete_to = match walked {
        Ok(report) => report.scan.next_position - 1,
        Err(error) => return Ok(unreadable(&error)),
    };
    if !is_mentioned {
        let but = if is_damaged {
            ", and has damaged places: see usherctl verify".to_owned()
        } else if complete_from > FIRST_POSITION {
            format!("; it is {}", complete(complete_from, complete_to))
        } else {
            String::new()
        };
        let message = format!("the log in {} has no change of {}{but}", folder.display(), options.event);
        return Err(Failure::event_not_found(message));
    }
    let report = Report::new(columns(&HEADER, &rows), changes.into());
    if is_damaged {
        return Ok(report.note("the folder has damaged places: something may be missing; see usherctl verify"));
    }
    Ok(report.note(complete(complete_from, complete_to)))
}

/// Between which positions nothing is missing.
fn complete(from: u64, to: u64) -> String {
    if from > to {
        return format!(
            "what happened up to position {to} is told as far as the log is there; the rest is in the archive"
        );
    }
    format!("complete from position {from} to {to}")
}

impl HistoryOptions {
    /// A hold of another event is asked for by mistake.
    fn check(&self) -> Result<(), Failure> {
        match self.hold.as_ref().and_then(|hold| hold.event.as_ref()).filter(|event| **event != self.event) {
            Some(event) => Err(Failure::usage(format!("the hold is of {event}, and --event says {}", self.event))),
            None => Ok(()),
        }
    }

    fn is_of_event(&self, change: &ChangeLine<'_>) -> bool {
        change.event.is_some_and(|(found, _)| found.as_str() == self.event.as_str())
    }

    /// Of the changes of the event.
    fn wants(&self, change: &ChangeLine<'_>, places: &[PlaceMoved]) -> bool {
        let moves = |key: &String| places.iter().any(|place| change.key_of(place.what) == Some(key));
        let is_of_hold = |asked: &HoldAsked| {
            holds_of(change).any(|id| id.to_string() == asked.name || id.hold_ref().to_string() == asked.name)
        };
        self.seat.as_ref().is_none_or(moves)
            && self.hold.as_ref().is_none_or(is_of_hold)
            && self.order.as_ref().is_none_or(|order| change.order().is_some_and(|found| found.as_str() == order))
    }
}

fn holds_of(change: &ChangeLine<'_>) -> impl Iterator<Item = HoldId> {
    let all = change.holds().iter().copied().chain(change.replaced());
    all.map(|id| HoldId::from_halves((id.0 >> 64) as u64, id.0 as u64))
}

fn row(change: &ChangeLine<'_>, places: Option<&[PlaceMoved]>) -> Vec<String> {
    let mut holds: Vec<String> = holds_of(change).take(2).map(|id| id.hold_ref().to_string()).collect();
    if change.holds().len() > 2 {
        holds = vec![format!("{} holds", change.holds().len())];
    }
    vec![
        change.position.to_string(),
        instant::text_of_ms(change.time.0),
        change.actor().word().to_owned(),
        change.kind().replace('_', " "),
        change.cause().unwrap_or_default().to_owned(),
        holds.join(" "),
        change.order().map(|order| order.as_str().to_owned()).unwrap_or_default(),
        places.map_or_else(|| "not in the log".to_owned(), |places| places_text(change, places)),
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

/// Runs the command on a server.
pub(crate) async fn online(client: &Client, options: &HistoryOptions) -> Result<Report, Failure> {
    options.check()?;
    let of = match options {
        HistoryOptions { seat: Some(key), .. } => Of::SeatKey(key.clone()),
        HistoryOptions { hold: Some(hold), .. } => Of::Hold(hold.name.clone()),
        HistoryOptions { order, .. } => Of::OrderRef(order.clone().unwrap_or_default()),
    };
    let (mut changes, mut page_token) = (Vec::new(), String::new());
    let last = loop {
        let request = GetHistoryRequest {
            event_id: options.event.to_string(),
            of: Some(of.clone()),
            page_size: PAGE_SIZE,
            page_token,
        };
        let mut page = client.unary().get_history(request).await?;
        changes.append(&mut page.changes);
        if page.next_page_token.is_empty() {
            break page;
        }
        page_token = page.next_page_token;
    };
    let rows: Vec<Vec<String>> = changes.iter().map(told_row).collect();
    let json = json!({
        "changes": changes.iter().map(told_json).collect::<Value>(),
        "complete_from": last.complete_from,
        "complete_to": last.complete_to,
        "incarnation": last.incarnation,
    });
    let text = if rows.is_empty() { String::new() } else { columns(&HEADER, &rows) };
    Ok(Report::new(text, json).note(complete(last.complete_from, last.complete_to)))
}

fn actor_word(actor: HistoryActor) -> &'static str {
    match actor {
        HistoryActor::Unspecified => "unknown",
        HistoryActor::Buyer => "buyer",
        HistoryActor::House => "house",
        HistoryActor::Server => "server",
    }
}

fn told_row(change: &HistoryChange) -> Vec<String> {
    let replaced = Some(change.replaced_ref.clone()).filter(|name| !name.is_empty());
    let mut holds: Vec<String> = change.hold_refs.iter().cloned().chain(replaced).take(2).collect();
    if change.hold_refs.len() > 2 {
        holds = vec![format!("{} holds", change.hold_refs.len())];
    }
    let one = |place: &HistoryPlace| {
        let to = place_word(place);
        if place.is_area { format!("{} x {} {to}", place.quantity, place.key) } else { format!("{} {to}", place.key) }
    };
    let mut places: Vec<String> = change.places.iter().take(PLACES_SHOWN_MAX).map(one).collect();
    let more = change.places.len().saturating_sub(PLACES_SHOWN_MAX) as u32 + change.places_more;
    if more > 0 {
        places.push(format!("and {more} more"));
    }
    vec![
        change.position.to_string(),
        instant::text_of_ms(change.time.map_or(0, instant::ms_of)),
        actor_word(change.actor()).to_owned(),
        change.kind.replace('_', " "),
        change.cause.clone(),
        holds.join(" "),
        change.order_ref.clone(),
        places.join(", "),
    ]
}

fn place_word(place: &HistoryPlace) -> &'static str {
    match place.to() {
        WirePlaceState::Unspecified => "unknown",
        WirePlaceState::Open => "open",
        WirePlaceState::Held => "held",
        WirePlaceState::Sold => "sold",
        WirePlaceState::Unavailable => "killed",
    }
}

fn told_json(change: &HistoryChange) -> Value {
    let given = |text: &String| if text.is_empty() { Value::Null } else { text.as_str().into() };
    let place = |place: &HistoryPlace| {
        let to = place_word(place);
        if place.is_area {
            json!({ "kind": "area", "key": place.key, "index": place.index, "quantity": place.quantity, "to": to })
        } else {
            json!({ "kind": "seat", "key": place.key, "index": place.index, "to": to })
        }
    };
    json!({
        "position": change.position,
        "time": moment_json(change.time.map_or(0, instant::ms_of)),
        "actor": actor_word(change.actor()),
        "customer_key": given(&change.customer_key),
        "kind": change.kind,
        "cause": given(&change.cause),
        "hold_refs": change.hold_refs,
        "replaced_ref": given(&change.replaced_ref),
        "order_ref": given(&change.order_ref),
        "places": change.places.iter().map(place).collect::<Value>(),
        "places_more": change.places_more,
        "plan_revision": change.plan_revision,
        "event_seq": change.event_seq,
    })
}
