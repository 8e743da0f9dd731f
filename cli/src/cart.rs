//! `usherctl cart hold`, `cart confirm` and `cart release`: places in several events, all or nothing.

use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand};
use client::{Client, HoldId};
use proto::inventory::v1::{
    Arrangement, BestAvailable, CartHold, CartPart, ConfirmManyRequest, HoldManyRequest, HoldState, ReleaseManyRequest,
};
use serde_json::{Value, json};

use crate::connection;
use crate::duration;
use crate::failure::Failure;
use crate::hold_card::{HoldCard, arrangement_word, state_word};
use crate::instant;
use crate::name::{Admissions, EventName, HoldName, parse_hold_id};
use crate::report::Report;
use crate::table::{Side, columns, counted, fields};
use crate::venue_plan::name_places;

const HOLD_EXAMPLES: &str = "Examples:
  usherctl cart hold day-1:A-1,A-2 day-2:A-1,A-2
  usherctl cart hold day-1:best=2 park:PARKING=1 --ttl 10m --customer c-17

A part is EVENT:PLACES, places with commas between: keys of seats, AREA=N for admissions, best=N to let the server choose,
and key=KEY to take from an allocation.
All parts are held, or none is. The first event decides for the cart: it is the one in its name.";

const CONFIRM_EXAMPLES: &str = "Examples:
  usherctl cart confirm day-1/01934b2e-7f00-7abc-8def-0123456789ab --order O-4711

All of it is sold, in every event to the same order, or nothing is.";

const RELEASE_EXAMPLES: &str = "Examples:
  usherctl cart release day-1/01934b2e-7f00-7abc-8def-0123456789ab";

/// What to do with a cart.
#[derive(Subcommand, Debug)]
pub(crate) enum CartCommand {
    Hold(CartHoldOptions),
    Confirm(CartConfirmOptions),
    Release(CartReleaseOptions),
}

/// Hold places in 2 to 16 events until one deadline, all of them or none
#[derive(Args, Debug)]
#[command(after_help = HOLD_EXAMPLES)]
pub(crate) struct CartHoldOptions {
    /// Places of one event; once for each event
    #[arg(value_name = "EVENT:PLACES", required = true, num_args = 2..)]
    parts: Vec<PartWords>,
    /// Time to live; without it, the time for a payment of the first event
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    ttl: Option<Duration>,
    /// Text that stands for the customer in every event; the server keeps only a hash of it
    #[arg(long, value_name = "TEXT")]
    customer: Option<String>,
    /// Id of the new cart, a UUID of version 7: makes the command safe to send again
    #[arg(long, value_name = "UUID", value_parser = parse_hold_id)]
    cart_id: Option<HoldId>,
}

/// Sell all of a cart to an order
#[derive(Args, Debug)]
#[command(after_help = CONFIRM_EXAMPLES)]
pub(crate) struct CartConfirmOptions {
    /// The cart, named by its first event
    #[arg(value_name = "EVENT/CART")]
    cart: HoldName,
    /// Reference of the order: 1 to 64 printable ASCII characters
    #[arg(long, value_name = "ORDER")]
    order: String,
}

/// Give all of a cart back
#[derive(Args, Debug)]
#[command(after_help = RELEASE_EXAMPLES)]
pub(crate) struct CartReleaseOptions {
    /// The cart, named by its first event
    #[arg(value_name = "EVENT/CART")]
    cart: HoldName,
}

/// Places of one event, `EVENT:PLACE,PLACE`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PartWords {
    event: EventName,
    seats: Vec<String>,
    areas: Vec<Admissions>,
    best: Option<u32>,
    allocation_keys: Vec<String>,
}

impl FromStr for PartWords {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (event, places) = text
            .split_once(':')
            .ok_or_else(|| format!("`{text}` is no part of a cart: write EVENT:PLACES, as in day-1:A-1,A-2"))?;
        let mut part = Self {
            event: event.parse()?,
            seats: Vec::new(),
            areas: Vec::new(),
            best: None,
            allocation_keys: Vec::new(),
        };
        for word in places.split(',') {
            if let Some(key) = word.strip_prefix("key=") {
                part.allocation_keys.push(key.to_owned());
                continue;
            }
            let number = word.strip_prefix("best=").map(str::parse);
            match (number, word.parse::<Admissions>()) {
                (Some(Ok(quantity)), _) if quantity > 0 && part.best.is_none() => part.best = Some(quantity),
                (Some(_), _) => return Err(format!("`{text}`: write best=N once, N from 1")),
                (None, Ok(admissions)) => part.areas.push(admissions),
                (None, Err(_)) if word.is_empty() => return Err(format!("`{text}` names no place behind a comma")),
                (None, Err(_)) => part.seats.push(word.to_owned()),
            }
        }
        Ok(part)
    }
}

impl PartWords {
    fn to_wire(&self, customer: &str) -> CartPart {
        CartPart {
            event_id: self.event.to_string(),
            seat_keys: self.seats.clone(),
            ga: self.areas.iter().map(Admissions::to_wire).collect(),
            best_available: self.best.map(|quantity| BestAvailable { quantity, ..BestAvailable::default() }),
            customer: customer.to_owned(),
            allocation_keys: self.allocation_keys.clone(),
            ..CartPart::default()
        }
    }
}

impl CartHoldOptions {
    fn to_wire(&self, id: HoldId) -> HoldManyRequest {
        let customer = self.customer.as_deref().unwrap_or_default();
        HoldManyRequest {
            cart_id: id.to_string(),
            parts: self.parts.iter().map(|part| part.to_wire(customer)).collect(),
            ttl_ms: self.ttl.map_or(0, duration::millis),
            ..HoldManyRequest::default()
        }
    }
}

/// What an answer says beside the parts.
struct Came {
    replayed: bool,
    position: u64,
    incarnation: u64,
}

/// `usherctl cart`.
pub(crate) async fn run(client: &Client, command: CartCommand) -> Result<Report, Failure> {
    match command {
        CartCommand::Hold(options) => hold(client, &options).await,
        CartCommand::Confirm(options) => confirm(client, &options).await,
        CartCommand::Release(options) => release(client, &options).await,
    }
}

async fn hold(client: &Client, options: &CartHoldOptions) -> Result<Report, Failure> {
    let Some(first) = options.parts.first() else {
        return Err(Failure::usage("a cart has at least two parts".to_owned()));
    };
    connection::learn_time(client, &first.event).await?;
    // Made here, so that a lost answer leaves a name to ask for.
    let id = options.cart_id.unwrap_or_else(|| client.ids().hold_id());
    let name = HoldName { event: first.event.clone(), hold: id };
    let answer = match client.unary().hold_many(options.to_wire(id)).await {
        Ok(answer) => answer,
        Err(error) => {
            let mut failure = Failure::from(error);
            for (at, part) in options.parts.iter().enumerate() {
                failure = failure
                    .typed(&format!("parts[{at}].seat_keys"), part.seats.iter().map(String::as_str))
                    .typed(&format!("parts[{at}].ga"), part.areas.iter().map(|part| part.area.as_str()));
            }
            return Err(refused(client, &name, failure).await);
        }
    };
    let came = Came { replayed: answer.replayed, position: answer.position, incarnation: answer.incarnation };
    let report = report(client, &name, answer.parts, came).await?;
    Ok(report.next(format!("usherctl cart confirm {name} --order O")))
}

async fn confirm(client: &Client, options: &CartConfirmOptions) -> Result<Report, Failure> {
    let name = &options.cart;
    let request = ConfirmManyRequest {
        event_id: name.event.to_string(),
        cart_id: name.hold.to_string(),
        order_ref: options.order.clone(),
    };
    let answer = match client.unary().confirm_many(request).await {
        Ok(answer) => answer,
        Err(error) => return Err(refused(client, name, Failure::from(error)).await),
    };
    let came = Came { replayed: answer.replayed, position: answer.position, incarnation: answer.incarnation };
    report(client, name, answer.parts, came).await
}

async fn release(client: &Client, options: &CartReleaseOptions) -> Result<Report, Failure> {
    let name = &options.cart;
    let request = ReleaseManyRequest { event_id: name.event.to_string(), cart_id: name.hold.to_string() };
    let answer = match client.unary().release_many(request).await {
        Ok(answer) => answer,
        Err(error) => return Err(refused(client, name, Failure::from(error)).await),
    };
    let came = Came { replayed: answer.replayed, position: answer.position, incarnation: answer.incarnation };
    report(client, name, answer.parts, came).await
}

/// A failure with the places in the way by their keys, which are those of the event that refused.
async fn refused(client: &Client, name: &HoldName, failure: Failure) -> Failure {
    let failure = failure.advise(|| format!("usherctl show {name} tells"));
    let event = match &failure {
        Failure::Refused { refusal, .. } => refusal.event_id().and_then(|event| event.parse::<EventName>().ok()),
        _ => None,
    };
    match event {
        Some(event) => name_places(client, &event, failure).await,
        None => failure,
    }
}

async fn report(client: &Client, name: &HoldName, parts: Vec<CartHold>, came: Came) -> Result<Report, Failure> {
    let mut cards = Vec::with_capacity(parts.len());
    let mut lives = String::new();
    for part in parts {
        let arrangement = part.arrangement();
        let hold = part.hold.ok_or_else(crate::hold::without_hold)?;
        if lives.is_empty() && hold.state() == HoldState::Paying {
            let left = counted(hold.expires_in_ms / 1_000, "second", "seconds");
            lives = format!("in {left} ({})", instant::text_of_ms(hold.payment_deadline_ms));
        }
        let event: EventName = hold.event_id.parse().map_err(Failure::usage)?;
        let state = hold.state();
        cards.push((HoldCard::of_answer(client, &event, hold, part.seat_labels).await, event, state, arrangement));
    }
    let row = |(card, event, state, arrangement): &(HoldCard, EventName, HoldState, Arrangement)| {
        let places = if *state == HoldState::Confirmed { card.sold_text() } else { card.held_text() };
        let seated = arrangement_word(*arrangement).unwrap_or("").to_owned();
        vec![event.to_string(), state_word(*state).to_owned(), seated, places]
    };
    let rows: Vec<Vec<String>> = cards.iter().map(row).collect();
    let header = [("EVENT", Side::Left), ("STATE", Side::Left), ("SEATED", Side::Left), ("PLACES", Side::Left)];
    let mut text = columns(&header, &rows);
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&fields(&[("ends", lives), ("cart", name.to_string())]));
    let part = |(card, _, _, arrangement): &(HoldCard, EventName, HoldState, Arrangement)| {
        let mut json = card.json();
        json["arrangement"] = arrangement_word(*arrangement).into();
        json
    };
    let json = json!({
        "cart_id": name.hold.to_string(),
        "first_event_id": name.event.as_str(),
        "parts": cards.iter().map(part).collect::<Value>(),
        "replayed": came.replayed,
        "position": came.position,
        "incarnation": came.incarnation,
    });
    let report = Report::new(text, json);
    Ok(if came.replayed { report.note("this was done before; this is how it is now") } else { report })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_an_event_and_its_places() {
        let part: PartWords = "day-1:S-A-1,FLOOR=2,best=3,S:B,key=fans=2027".parse().expect("a part");
        let wire = part.to_wire("c");
        assert_eq!((wire.event_id.as_str(), wire.customer.as_str()), ("day-1", "c"));
        assert_eq!(wire.seat_keys, ["S-A-1", "S:B"]);
        assert_eq!((wire.ga[0].area_key.as_str(), wire.ga[0].quantity), ("FLOOR", 2));
        assert_eq!(wire.allocation_keys, ["fans=2027"]);
        assert_eq!(wire.best_available.map(|best| best.quantity), Some(3));
    }

    #[test]
    fn what_is_wrong_with_a_part_is_said() {
        for (text, expected) in [
            ("day-1", "write EVENT:PLACES"),
            ("Day 1:A-1", "is no event id"),
            ("day-1:", "names no place"),
            ("day-1:A-1,", "names no place"),
            ("day-1:best=0", "write best=N"),
            ("day-1:best=x", "write best=N"),
            ("day-1:best=1,best=2", "once"),
        ] {
            let problem = text.parse::<PartWords>().expect_err(text);
            assert!(problem.contains(expected), "{text}: {problem}");
        }
    }
}
