//! `usherctl hold`, `confirm`, `release`, `extend` and `show`: one buyer's places.

use std::time::Duration;

use clap::{ArgGroup, Args};
use client::{AttemptId, Client, HoldId};
use proto::inventory::v1::{
    Arrangement, BestAvailable, ConfirmHoldRequest, ExtendHoldRequest, GetHoldRequest, Hold, HoldRequest,
    ReleaseHoldRequest, Remainder,
};
use serde_json::{Value, json};

use crate::connection;
use crate::duration;
use crate::failure::Failure;
use crate::hold_card::{HoldCard, arrangement_word};
use crate::name::{Admissions, EventName, HoldName, parse_attempt_id, parse_hold_id};
use crate::report::Report;
use crate::venue_plan::name_places;

const HOLD_EXAMPLES: &str = "Examples:
  usherctl hold concert-1 A-1 A-2
  usherctl hold concert-1 --best 4 --section Stalls --contiguous-only
  usherctl hold concert-1 --ga FLOOR=2 --ttl 90s --customer c-17
  usherctl hold concert-1 --best 2 --allocation-key fans-2027
  usherctl hold concert-1 A-1 --best 2 --ga FLOOR=2
  usherctl hold concert-1 A-3 A-4 --replace 01934b2e-7f00-7abc-8def-0123456789ab

Seats, --ga and --best may stand in one command: at least one of them must. All places are held, or none is.";

const CONFIRM_EXAMPLES: &str = "Examples:
  usherctl confirm concert-1/01934b2e-7f00-7abc-8def-0123456789ab --order O-4711
  usherctl confirm concert-1/01934b2e-7f00-7abc-8def-0123456789ab --order O-4711 --seats A-1,A-2 --release-rest
  usherctl confirm concert-1/01934b2e-7f00-7abc-8def-0123456789ab --order O-4711 --attempt 01934b30-0000-7abc-8def-0123456789ab";

const RELEASE_EXAMPLES: &str = "Examples:
  usherctl release concert-1/01934b2e-7f00-7abc-8def-0123456789ab
  usherctl release concert-1/01934b2e-7f00-7abc-8def-0123456789ab --seats A-2
  usherctl release concert-1/01934b2e-7f00-7abc-8def-0123456789ab --abort-payment";

const EXTEND_EXAMPLES: &str = "Examples:
  usherctl extend concert-1/01934b2e-7f00-7abc-8def-0123456789ab
  usherctl extend concert-1/01934b2e-7f00-7abc-8def-0123456789ab --ttl 5m";

const SHOW_EXAMPLES: &str = "Examples:
  usherctl show concert-1/01934b2e-7f00-7abc-8def-0123456789ab";

/// Hold places for a limited time: named seats, admissions, the best available, or several of these together
#[derive(Args, Debug)]
#[command(
    after_help = HOLD_EXAMPLES,
    group(ArgGroup::new("places").args(["seats", "best", "ga"]).required(true).multiple(true)),
)]
pub(crate) struct HoldOptions {
    /// Name of the event
    #[arg(value_name = "EVENT")]
    event: EventName,
    /// Keys of seats
    #[arg(value_name = "SEAT")]
    seats: Vec<String>,
    /// Let the server choose so many places
    #[arg(long, value_name = "N")]
    best: Option<u32>,
    /// Admissions to an area; may be repeated
    #[arg(long, value_name = "AREA=N")]
    ga: Vec<Admissions>,
    /// Choose only from this price level; may be repeated
    #[arg(long, value_name = "KEY", requires = "best")]
    level: Vec<String>,
    /// Choose only from this section; may be repeated
    #[arg(long, value_name = "KEY", requires = "best")]
    section: Vec<String>,
    /// Choose only from this zone
    #[arg(long, value_name = "KEY", requires = "best")]
    zone: Option<String>,
    /// Exactly so many of the chosen seats are accessible ones
    #[arg(long, value_name = "K", requires = "best")]
    accessible: Option<u32>,
    /// Choose only seats side by side in one row
    #[arg(long, requires = "best")]
    contiguous_only: bool,
    /// Choose only seats, no general admission
    #[arg(long, requires = "best")]
    seats_only: bool,
    /// Take from the allocation with this key too; may be repeated
    #[arg(long, value_name = "KEY")]
    allocation_key: Vec<String>,
    /// With keys, let the server choose from general sale as well
    #[arg(long, requires = "best", requires = "allocation_key")]
    include_unallocated: bool,
    /// Time to live; without it, the event's
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    ttl: Option<Duration>,
    /// Text that stands for the customer; the server keeps only a hash of it
    #[arg(long, value_name = "TEXT")]
    customer: Option<String>,
    /// Id of the new hold, a UUID of version 7: makes the command safe to send again
    #[arg(long, value_name = "UUID", value_parser = parse_hold_id)]
    pub(crate) hold_id: Option<HoldId>,
    /// Hold of this event to give up in the same step; the new one keeps its timer
    #[arg(long, value_name = "HOLD", value_parser = parse_hold_id)]
    replace: Option<HoldId>,
    /// Ticket type of each seat, in their order: numbers with commas between, or repeated
    #[arg(long, value_name = "N", value_delimiter = ',')]
    ticket_type: Vec<u32>,
}

/// Sell held places to an order
#[derive(Args, Debug)]
#[command(
    after_help = CONFIRM_EXAMPLES,
    group(ArgGroup::new("part").args(["seats", "ga"]).multiple(true).requires("rest")),
    group(ArgGroup::new("rest").args(["release_rest", "keep_rest"]).requires("part")),
)]
pub(crate) struct ConfirmOptions {
    /// The hold
    #[arg(value_name = "EVENT/HOLD")]
    hold: HoldName,
    /// Reference of the order: 1 to 64 printable ASCII characters
    #[arg(long, value_name = "ORDER")]
    order: String,
    /// Sell only these seats, keys with commas between
    #[arg(long, value_name = "SEAT", value_delimiter = ',')]
    seats: Vec<String>,
    /// Sell only these admissions; may be repeated
    #[arg(long, value_name = "AREA=N")]
    ga: Vec<Admissions>,
    /// Give the places that are not sold back
    #[arg(long)]
    release_rest: bool,
    /// Keep the places that are not sold in the hold
    #[arg(long)]
    keep_rest: bool,
    /// If the hold has expired, take the same places again and sell them if all are still open
    #[arg(long)]
    reclaim: bool,
    /// The payment attempt that paid, as `begin-payment` printed it: a second payment is then told from the first
    #[arg(long, value_name = "UUID", value_parser = parse_attempt_id)]
    attempt: Option<AttemptId>,
}

/// Give held places back
#[derive(Args, Debug)]
#[command(after_help = RELEASE_EXAMPLES)]
pub(crate) struct ReleaseOptions {
    /// The hold
    #[arg(value_name = "EVENT/HOLD")]
    hold: HoldName,
    /// Give back only these seats, keys with commas between
    #[arg(long, value_name = "SEAT", value_delimiter = ',')]
    seats: Vec<String>,
    /// Give back only these admissions; may be repeated
    #[arg(long, value_name = "AREA=N")]
    ga: Vec<Admissions>,
    /// Also while a payment is open, which this ends
    #[arg(long)]
    abort_payment: bool,
}

/// Move the deadline of a hold
#[derive(Args, Debug)]
#[command(after_help = EXTEND_EXAMPLES)]
pub(crate) struct ExtendOptions {
    /// The hold
    #[arg(value_name = "EVENT/HOLD")]
    hold: HoldName,
    /// Time from now; without it, the event's time to live
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    ttl: Option<Duration>,
}

/// Show a hold, live or ended
#[derive(Args, Debug)]
#[command(after_help = SHOW_EXAMPLES)]
pub(crate) struct ShowOptions {
    /// The hold
    #[arg(value_name = "EVENT/HOLD")]
    hold: HoldName,
}

impl HoldOptions {
    /// The event it is about.
    pub(crate) fn event(&self) -> &EventName {
        &self.event
    }

    /// The request under this id.
    pub(crate) fn to_wire(&self, hold_id: HoldId) -> HoldRequest {
        let best_available = self.best.map(|quantity| BestAvailable {
            quantity,
            price_levels: self.level.clone(),
            sections: self.section.clone(),
            zone: self.zone.clone().unwrap_or_default(),
            accessible_count: self.accessible.unwrap_or(0),
            contiguous_only: self.contiguous_only,
            seats_only: self.seats_only,
        });
        HoldRequest {
            event_id: self.event.to_string(),
            hold_id: hold_id.to_string(),
            seat_keys: self.seats.clone(),
            ga: self.ga.iter().map(Admissions::to_wire).collect(),
            best_available,
            ticket_types: self.ticket_type.clone(),
            customer: self.customer.clone().unwrap_or_default(),
            ttl_ms: self.ttl.map_or(0, duration::millis),
            replace_hold_id: self.replace.map_or_else(String::new, |hold| hold.to_string()),
            allocation_keys: self.allocation_key.clone(),
            include_unallocated: self.include_unallocated,
            ..HoldRequest::default()
        }
    }
}

impl ConfirmOptions {
    fn to_wire(&self) -> ConfirmHoldRequest {
        let remainder = match (self.release_rest, self.keep_rest) {
            (true, _) => Remainder::Release,
            (_, true) => Remainder::Keep,
            (false, false) => Remainder::Unspecified,
        };
        ConfirmHoldRequest {
            event_id: self.hold.event.to_string(),
            hold_id: self.hold.hold.to_string(),
            order_ref: self.order.clone(),
            seat_keys: self.seats.clone(),
            ga: self.ga.iter().map(Admissions::to_wire).collect(),
            remainder: remainder as i32,
            allow_reclaim: self.reclaim,
            attempt_id: self.attempt.map_or_else(String::new, |attempt| attempt.to_string()),
            ..ConfirmHoldRequest::default()
        }
    }

    fn is_partial(&self) -> bool {
        !(self.seats.is_empty() && self.ga.is_empty())
    }
}

/// `usherctl hold`.
pub(crate) async fn hold(client: &Client, options: &HoldOptions) -> Result<Report, Failure> {
    connection::learn_time(client, &options.event).await?;
    // Made here, not by the server, so that a lost answer leaves a name to ask for.
    let id = options.hold_id.unwrap_or_else(|| client.ids().hold_id());
    let name = HoldName { event: options.event.clone(), hold: id };
    let answer = match client.unary().hold(options.to_wire(id)).await {
        Ok(answer) => answer,
        Err(error) => {
            let failure = refused(client, &name, error, &options.seats, &options.ga).await;
            return Err(failure
                .typed("best_available.sections", options.section.iter().map(String::as_str))
                .typed("best_available.price_levels", options.level.iter().map(String::as_str)));
        }
    };
    let arrangement = answer.arrangement();
    let hold = answer.hold.ok_or_else(without_hold)?;
    let card = HoldCard::of_answer(client, &options.event, hold, answer.seat_labels).await;
    let mut json = answer_json(&card, answer.replayed, answer.position, answer.incarnation);
    json["arrangement"] = arrangement_word(arrangement).into();
    let mut report = Report::new(card.text(arrangement), json);
    if answer.replayed {
        report = report.note("this hold was made before; this is how it is now");
    }
    if card.is_live() {
        report = report.next(format!("usherctl confirm {name} --order O"));
    }
    Ok(report)
}

/// `usherctl confirm`.
pub(crate) async fn confirm(client: &Client, options: &ConfirmOptions) -> Result<Report, Failure> {
    let name = &options.hold;
    if options.is_partial() {
        // Naming places needs a request id, made of the server's time.
        connection::learn_time(client, &name.event).await?;
    }
    let answer = match client.unary().confirm_hold(options.to_wire()).await {
        Ok(answer) => answer,
        Err(error) => return Err(refused(client, name, error, &options.seats, &options.ga).await),
    };
    let hold = answer.hold.ok_or_else(without_hold)?;
    let card = HoldCard::of_answer(client, &name.event, hold, answer.seat_labels).await;
    let json = answer_json(&card, answer.replayed, answer.position, answer.incarnation);
    let mut report = Report::new(card.text(Arrangement::Unspecified), json);
    if answer.replayed {
        report = report.note("this was done before");
    }
    if card.is_live() {
        report = report.next(format!("usherctl confirm {name} --order O"));
    }
    Ok(report)
}

/// `usherctl release`.
pub(crate) async fn release(client: &Client, options: &ReleaseOptions) -> Result<Report, Failure> {
    let name = &options.hold;
    let partial = !(options.seats.is_empty() && options.ga.is_empty());
    if partial {
        connection::learn_time(client, &name.event).await?;
    }
    let request = ReleaseHoldRequest {
        event_id: name.event.to_string(),
        hold_id: name.hold.to_string(),
        seat_keys: options.seats.clone(),
        ga: options.ga.iter().map(Admissions::to_wire).collect(),
        abort_payment: options.abort_payment,
        ..ReleaseHoldRequest::default()
    };
    let answer = match client.unary().release_hold(request).await {
        Ok(answer) => answer,
        Err(error) => return Err(refused(client, name, error, &options.seats, &options.ga).await),
    };
    let hold = answer.hold.ok_or_else(without_hold)?;
    let card = named_card(client, name, hold, answer.position, answer.incarnation).await;
    let json = answer_json(&card, answer.replayed, answer.position, answer.incarnation);
    let mut report = Report::new(card.text(Arrangement::Unspecified), json);
    if answer.replayed {
        report = report.note("this was done before");
    }
    Ok(report)
}

/// `usherctl extend`.
pub(crate) async fn extend(client: &Client, options: &ExtendOptions) -> Result<Report, Failure> {
    let name = &options.hold;
    connection::learn_time(client, &name.event).await?;
    let request = ExtendHoldRequest {
        event_id: name.event.to_string(),
        hold_id: name.hold.to_string(),
        request_id: String::new(),
        ttl_ms: options.ttl.map_or(0, duration::millis),
    };
    let answer = match client.unary().extend_hold(request).await {
        Ok(answer) => answer,
        Err(error) => return Err(refused(client, name, error, &[], &[]).await),
    };
    let hold = answer.hold.ok_or_else(without_hold)?;
    let card = named_card(client, name, hold, answer.position, answer.incarnation).await;
    let json = answer_json(&card, answer.replayed, answer.position, answer.incarnation);
    Ok(Report::new(card.text(Arrangement::Unspecified), json).next(format!("usherctl confirm {name} --order O")))
}

/// `usherctl show`.
pub(crate) async fn show(client: &Client, options: &ShowOptions) -> Result<Report, Failure> {
    let name = &options.hold;
    let answer = client.unary().get_hold(get_request(name)).await?;
    let hold = answer.hold.ok_or_else(without_hold)?;
    let card = HoldCard::of_answer(client, &name.event, hold, answer.seat_labels).await;
    let json = json!({ "hold": card.json(), "position": answer.position, "incarnation": answer.incarnation });
    Ok(Report::new(card.text(Arrangement::Unspecified), json))
}

/// The hold of an answer that names no seats: the names are read with a second call, whose failure does not turn
/// what was done into a failure.
pub(crate) async fn named_card(
    client: &Client,
    name: &HoldName,
    hold: Hold,
    position: u64,
    incarnation: u64,
) -> HoldCard {
    let request = GetHoldRequest { min_position: position, incarnation, ..get_request(name) };
    let (hold, labels) = match client.unary().get_hold(request).await {
        // Another command may have come between: then the names do not belong to this answer.
        Ok(read) => match read.hold {
            Some(now) if now.seats == hold.seats && now.sold_seats == hold.sold_seats => (hold, read.seat_labels),
            Some(_) | None => (hold, Vec::new()),
        },
        Err(_) => (hold, Vec::new()),
    };
    HoldCard::of_answer(client, &name.event, hold, labels).await
}

fn get_request(name: &HoldName) -> GetHoldRequest {
    GetHoldRequest { event_id: name.event.to_string(), hold_id: name.hold.to_string(), ..GetHoldRequest::default() }
}

/// A failure in the words of the person who typed these seats and areas.
pub(crate) async fn refused(
    client: &Client,
    name: &HoldName,
    error: client::Error,
    seats: &[String],
    ga: &[Admissions],
) -> Failure {
    let failure = Failure::from(error)
        .advise(|| format!("usherctl show {name} tells"))
        .typed("seat_keys", seats.iter().map(String::as_str))
        .typed("ga", ga.iter().map(|part| part.area.as_str()));
    name_places(client, &name.event, failure).await
}

/// A card with what an answer says beside it, for programs.
pub(crate) fn answer_json(card: &HoldCard, replayed: bool, position: u64, incarnation: u64) -> Value {
    json!({ "hold": card.json(), "replayed": replayed, "position": position, "incarnation": incarnation })
}

/// What an answer that lacks its hold is.
pub(crate) fn without_hold() -> Failure {
    Failure::Unusable { problem: "the server answered without the hold".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser, Debug)]
    enum Only {
        Hold(HoldOptions),
        Confirm(ConfirmOptions),
    }

    const HOLD: &str = "concert-1/01934b2e-7f00-7abc-8def-0123456789ab";

    fn parsed(line: &str) -> Result<Only, String> {
        let words = std::iter::once("usherctl").chain(line.split(' '));
        Only::try_parse_from(words).map_err(|error| error.to_string())
    }

    fn hold_request(line: &str) -> HoldRequest {
        let id = "01934b2e-7f00-7abc-8def-0123456789ab".parse().expect("a uuid");
        match parsed(line).expect(line) {
            Only::Hold(options) => options.to_wire(id),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_hold_takes_seats_admissions_and_the_best() {
        let request = hold_request("hold concert-1 A-1 A,2 --ga FLOOR=2 --ttl 90s --ticket-type 1,2");
        assert_eq!(request.seat_keys, ["A-1", "A,2"]);
        assert_eq!((request.ga[0].area_key.as_str(), request.ga[0].quantity), ("FLOOR", 2));
        assert_eq!((request.ttl_ms, request.ticket_types), (90_000, vec![1, 2]));
        let request = hold_request("hold concert-1 --best 4 --level A --level B --zone north --accessible 1");
        let best = request.best_available.expect("asked for");
        assert_eq!((best.quantity, best.price_levels.len(), best.accessible_count), (4, 2, 1));
        assert_eq!(best.zone, "north");
    }

    #[test]
    fn a_hold_of_nothing_and_filters_without_best_are_refused() {
        assert!(parsed("hold concert-1").expect_err("nothing").contains("required"));
        assert!(parsed("hold concert-1 A-1 --level A").expect_err("no best").contains("--best"));
    }

    #[test]
    fn a_partial_confirm_must_say_what_becomes_of_the_rest() {
        let partial = format!("confirm {HOLD} --order O --seats A-1,A-2");
        assert!(parsed(&partial).expect_err("no rest").contains("--release-rest"));
        assert!(parsed(&format!("confirm {HOLD} --order O --keep-rest")).expect_err("no part").contains("--seats"));
        assert!(parsed(&format!("{partial} --keep-rest --release-rest")).is_err());
        for (rest, remainder) in [("--keep-rest", Remainder::Keep), ("--release-rest", Remainder::Release)] {
            match parsed(&format!("{partial} {rest}")).expect(rest) {
                Only::Confirm(options) => {
                    assert_eq!(options.to_wire().remainder, remainder as i32);
                    assert_eq!(options.to_wire().seat_keys, ["A-1", "A-2"]);
                }
                other => panic!("{other:?}"),
            }
        }
        match parsed(&format!("confirm {HOLD} --order O")).expect("whole") {
            Only::Confirm(options) => assert_eq!(options.to_wire().remainder, Remainder::Unspecified as i32),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_confirm_may_name_the_attempt_that_paid() {
        let attempt = "01934b30-0000-7abc-8def-0123456789ab";
        match parsed(&format!("confirm {HOLD} --order O --attempt {attempt}")).expect("whole") {
            Only::Confirm(options) => assert_eq!(options.to_wire().attempt_id, attempt),
            other => panic!("{other:?}"),
        }
        let wrong = parsed(&format!("confirm {HOLD} --order O --attempt 17")).expect_err("no uuid");
        assert!(wrong.contains("is no payment attempt"), "{wrong}");
    }
}
