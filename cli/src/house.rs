//! `usherctl kill`, `unkill` and `holds`: what the house does to its places, and who holds them.

use clap::{ArgGroup, Args};
use client::Client;
use prost_types::Timestamp;
use proto::admin::v1::{KillRequest, ListHoldsRequest, ListedHold, UnkillRequest};
use proto::inventory::v1::HoldState;
use serde_json::{Value, json};

use crate::event_card::moment_json;
use crate::failure::Failure;
use crate::hold_card::{cart_json, state_word};
use crate::instant;
use crate::name::{Admissions, EventName};
use crate::orders::{Conditions, Done, refused, touched_report};
use crate::place_list::PlaceNames;
use crate::place_words::{PlaceWords, admissions_once};
use crate::report::Report;
use crate::table::{Side, columns};

/// The largest page.
const PAGE_SIZE: u32 = 256;

const KILL_EXAMPLES: &str = "Examples:
  usherctl kill concert-1 A-1 A-2 --reason camera
  usherctl kill concert-1 Stalls/F Stalls/G/1-8 --reason \"sight line\" --validate-only
  usherctl kill concert-1 Stalls/F/1-8 --reason camera --force

All places are killed, or none is. Sold ones never are; held ones only with --force.";

const UNKILL_EXAMPLES: &str = "Examples:
  usherctl unkill concert-1 A-1 A-2
  usherctl unkill concert-1 Stalls --ga FLOOR=10";

const HOLDS_EXAMPLES: &str = "Examples:
  usherctl holds concert-1
  usherctl holds concert-1 -o json";

/// Withdraw places from sale
#[derive(Args, Debug)]
#[command(
    after_help = KILL_EXAMPLES,
    group(ArgGroup::new("killed").args(["places", "ga"]).required(true).multiple(true)),
)]
pub(crate) struct KillOptions {
    /// Name of the event
    #[arg(value_name = "EVENT")]
    event: EventName,
    /// Seats by key, or many by a selector: SECTION, SECTION/ROW or SECTION/ROW/FIRST-LAST
    #[arg(value_name = "PLACES")]
    places: Vec<String>,
    /// Admissions to an area; may be repeated
    #[arg(long, value_name = "AREA=N")]
    ga: Vec<Admissions>,
    /// Why, for people: 1 to 64 bytes
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Take seats out of holds too
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    conditions: Conditions,
}

/// Open withdrawn places again
#[derive(Args, Debug)]
#[command(
    after_help = UNKILL_EXAMPLES,
    group(ArgGroup::new("opened").args(["places", "ga"]).required(true).multiple(true)),
)]
pub(crate) struct UnkillOptions {
    /// Name of the event
    #[arg(value_name = "EVENT")]
    event: EventName,
    /// Seats by key, or many by a selector: SECTION, SECTION/ROW or SECTION/ROW/FIRST-LAST
    #[arg(value_name = "PLACES")]
    places: Vec<String>,
    /// Admissions to an area; may be repeated
    #[arg(long, value_name = "AREA=N")]
    ga: Vec<Admissions>,
    #[command(flatten)]
    conditions: Conditions,
}

/// List the live holds of an event, by their public names
#[derive(Args, Debug)]
#[command(after_help = HOLDS_EXAMPLES)]
pub(crate) struct HoldsOptions {
    /// Name of the event
    #[arg(value_name = "EVENT")]
    event: EventName,
}

/// `usherctl kill`.
pub(crate) async fn kill(client: &Client, options: &KillOptions) -> Result<Report, Failure> {
    let event = &options.event;
    admissions_once(&options.ga)?;
    let request_id = options.conditions.request(client, event).await?;
    let words = PlaceWords::read(client, event, &options.places, &options.ga).await?;
    let request = KillRequest {
        event_id: event.to_string(),
        request_id: request_id.clone(),
        places: Some(words.to_wire()),
        reason: options.reason.clone(),
        force: options.force,
        expected_state: options.conditions.expected_state(),
        validate_only: options.conditions.validate_only,
    };
    let answer = match client.unary().kill(request).await {
        Ok(answer) => answer,
        Err(error) => {
            let failure = words.explain(Failure::from(error), "places");
            return Err(refused(client, event, failure, &request_id).await);
        }
    };
    let word = if options.conditions.validate_only { "would be killed" } else { "killed" };
    let done = Done { replayed: answer.replayed, position: answer.position, incarnation: answer.incarnation };
    Ok(touched_report(client, event, &request_id, word, &answer.touched.unwrap_or_default(), done).await)
}

/// `usherctl unkill`.
pub(crate) async fn unkill(client: &Client, options: &UnkillOptions) -> Result<Report, Failure> {
    let event = &options.event;
    admissions_once(&options.ga)?;
    let request_id = options.conditions.request(client, event).await?;
    let words = PlaceWords::read(client, event, &options.places, &options.ga).await?;
    let request = UnkillRequest {
        event_id: event.to_string(),
        request_id: request_id.clone(),
        places: Some(words.to_wire()),
        expected_state: options.conditions.expected_state(),
        validate_only: options.conditions.validate_only,
    };
    let answer = match client.unary().unkill(request).await {
        Ok(answer) => answer,
        Err(error) => {
            let failure = words.explain(Failure::from(error), "places");
            return Err(refused(client, event, failure, &request_id).await);
        }
    };
    let word = if options.conditions.validate_only { "would be opened" } else { "opened" };
    let done = Done { replayed: answer.replayed, position: answer.position, incarnation: answer.incarnation };
    Ok(touched_report(client, event, &request_id, word, &answer.touched.unwrap_or_default(), done).await)
}

fn ms_of(at: Option<Timestamp>) -> u64 {
    at.map_or(0, instant::ms_of)
}

/// `usherctl holds`.
pub(crate) async fn holds(client: &Client, options: &HoldsOptions) -> Result<Report, Failure> {
    let mut holds = Vec::new();
    let mut page_token = String::new();
    let last = loop {
        let event_id = options.event.to_string();
        let request = ListHoldsRequest { event_id, page_size: PAGE_SIZE, page_token };
        let mut page = client.unary().list_holds(request).await?;
        holds.append(&mut page.holds);
        if page.next_page_token.is_empty() {
            break page;
        }
        page_token = page.next_page_token;
    };
    holds.sort_by_key(|hold| (ms_of(hold.expires_at), hold.hold_ref.clone()));
    let has_areas = holds.iter().any(|hold| !hold.ga.is_empty());
    let names = PlaceNames::read(client, &options.event, has_areas, last.plan_revision).await;
    let json = json!({
        "holds": holds.iter().map(|hold| hold_json(&names, hold)).collect::<Value>(),
        "plan_revision": last.plan_revision,
        "position": last.position,
        "incarnation": last.incarnation,
    });
    if holds.is_empty() {
        return Ok(Report::new("", json).note("nothing is held"));
    }
    let header = [("HOLD", Side::Left), ("STATE", Side::Left), ("ENDS", Side::Left), ("PLACES", Side::Left)];
    let rows: Vec<Vec<String>> = holds.iter().map(|hold| hold_row(&names, hold)).collect();
    Ok(Report::new(columns(&header, &rows), json))
}

fn hold_row(names: &PlaceNames, hold: &ListedHold) -> Vec<String> {
    let ends = if hold.state() == HoldState::Paying { hold.payment_deadline } else { hold.expires_at };
    let mut places = names.text(&hold.seats, &hold.seat_keys, &hold.ga);
    if hold.places_lost > 0 {
        places.push_str(&format!(" ({} lost)", hold.places_lost));
    }
    if let Some(cart) = &hold.cart {
        places.push_str(&format!(" (cart of {})", cart.first_event_id));
    }
    vec![hold.hold_ref.clone(), state_word(hold.state()).to_owned(), instant::text_of_ms(ms_of(ends)), places]
}

fn hold_json(names: &PlaceNames, hold: &ListedHold) -> Value {
    json!({
        "hold_ref": hold.hold_ref,
        "state": state_word(hold.state()),
        "seats": PlaceNames::seats(&hold.seats, &hold.seat_keys),
        "seat_indexes": hold.seats,
        "ticket_types": hold.ticket_types,
        "ga": names.ga_json(&hold.ga),
        "created_at": moment_json(ms_of(hold.created_at)),
        "expires_at": moment_json(ms_of(hold.expires_at)),
        "payment_deadline": moment_json(ms_of(hold.payment_deadline)),
        "order_refs": hold.order_refs,
        "places_lost": hold.places_lost,
        "cart": cart_json(hold.cart.as_ref()),
    })
}
