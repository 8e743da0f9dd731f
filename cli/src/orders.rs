//! `usherctl sell`, `return`, `exchange`, `order` and `orders`: sales without a hold, and sold places later.

use clap::{ArgGroup, Args, ValueEnum};
use client::{Client, HoldId, RequestId};
use proto::inventory::v1::exchange_request::Take;
use proto::inventory::v1::{
    Arrangement, ExchangeRequest, GetOrderRequest, Hold, ListOrdersRequest, NamedPlaces, PlaceSet, ReturnPlacesRequest,
    ReturnTo, SellDirectRequest, SoldPart, Touched,
};
use serde_json::{Value, json};

use crate::connection;
use crate::failure::Failure;
use crate::hold_card::HoldCard;
use crate::name::{Admissions, EventName, parse_hold_id, parse_request_id};
use crate::place_list::PlaceNames;
use crate::place_words::{PlaceWords, StateChoice, admissions_once, once};
use crate::report::Report;
use crate::table::{Side, columns, fields};
use crate::venue_plan::name_places;

/// The largest page.
const PAGE_SIZE: u32 = 256;

const SELL_EXAMPLES: &str = "Examples:
  usherctl sell concert-1 A-1 A-2 --order O-4711
  usherctl sell concert-1 --ga FLOOR=2 --order COMP-3 --customer c-17
  usherctl sell concert-1 A-1 --order O-4711 --validate-only

All places are sold, or none is. Sale windows and the rule about single seats do not apply.";

const RETURN_EXAMPLES: &str = "Examples:
  usherctl return concert-1 --order O-4711
  usherctl return concert-1 --order O-4711 A-2
  usherctl return concert-1 --order O-4711 Stalls/F/1-8 --to killed --reason \"broken seats\"

Without places, everything that is sold to the order comes back.";

const EXCHANGE_EXAMPLES: &str = "Examples:
  usherctl exchange concert-1 --order O-4711 --give A-1,A-2 --take B-5,B-6
  usherctl exchange concert-1 --order O-4711 --give Stalls/F/1-2 --take-hold 01934b2e-7f00-7abc-8def-0123456789ab

When the places to take cannot be had the order keeps what it has.";

const ORDER_EXAMPLES: &str = "Examples:
  usherctl order concert-1 O-4711";

const ORDERS_EXAMPLES: &str = "Examples:
  usherctl orders concert-1
  usherctl orders concert-1 -o json";

/// Words that all commands on places of the house have.
#[derive(Args, Debug)]
pub(crate) struct Conditions {
    /// Tell what would be done, and do nothing
    #[arg(long)]
    pub(crate) validate_only: bool,
    /// Do it only when the event is in this state
    #[arg(long, value_name = "STATE", value_enum)]
    expected_state: Option<StateChoice>,
    /// Name of this request, a UUID of version 7: makes the command safe to send again
    #[arg(long, value_name = "UUID", value_parser = parse_request_id)]
    request: Option<RequestId>,
}

impl Conditions {
    /// The name of this request, made here when none was given so that a lost answer leaves one to send again. Reads the
    /// server's time, which names are made of.
    pub(crate) async fn request(&self, client: &Client, event: &EventName) -> Result<String, Failure> {
        connection::learn_time(client, event).await?;
        Ok(self.request.unwrap_or_else(|| client.ids().request_id()).to_string())
    }

    /// The state that is expected, as the wire wants it.
    pub(crate) fn expected_state(&self) -> i32 {
        StateChoice::to_wire(self.expected_state)
    }
}

/// A failure of a command with this name, with the places in the way by their keys.
pub(crate) async fn refused(client: &Client, event: &EventName, failure: Failure, request: &str) -> Failure {
    let failure = failure.advise(|| format!("the same command with --request {request} is safe to send again"));
    name_places(client, event, failure).await
}

/// Sell open places at once, without a hold: box office and complimentary tickets
#[derive(Args, Debug)]
#[command(
    after_help = SELL_EXAMPLES,
    group(ArgGroup::new("places").args(["seats", "ga"]).required(true).multiple(true)),
)]
pub(crate) struct SellOptions {
    /// Name of the event
    #[arg(value_name = "EVENT")]
    event: EventName,
    /// Keys of seats
    #[arg(value_name = "SEAT")]
    seats: Vec<String>,
    /// Admissions to an area; may be repeated
    #[arg(long, value_name = "AREA=N")]
    ga: Vec<Admissions>,
    /// Reference of the order: 1 to 64 printable ASCII characters
    #[arg(long, value_name = "ORDER")]
    order: String,
    /// Text that stands for the customer; the server keeps only a hash of it
    #[arg(long, value_name = "TEXT")]
    customer: Option<String>,
    /// Ticket type of each seat, in their order: numbers with commas between, or repeated
    #[arg(long, value_name = "N", value_delimiter = ',')]
    ticket_type: Vec<u32>,
    /// Seats and admissions may be of the allocation with this key; may be repeated
    #[arg(long, value_name = "KEY")]
    allocation_key: Vec<String>,
    #[command(flatten)]
    conditions: Conditions,
}

/// Take sold places of an order back
#[derive(Args, Debug)]
#[command(after_help = RETURN_EXAMPLES)]
pub(crate) struct ReturnOptions {
    /// Name of the event
    #[arg(value_name = "EVENT")]
    event: EventName,
    /// Seats by key, or many by a selector: SECTION, SECTION/ROW or SECTION/ROW/FIRST-LAST
    #[arg(value_name = "PLACES")]
    places: Vec<String>,
    /// Admissions to an area; may be repeated
    #[arg(long, value_name = "AREA=N")]
    ga: Vec<Admissions>,
    /// The order they were sold to
    #[arg(long, value_name = "ORDER")]
    order: String,
    /// Where they go
    #[arg(long, value_name = "WHERE", value_enum, default_value = "origin")]
    to: ReturnChoice,
    /// Why they are killed, for people: at most 64 bytes
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    conditions: Conditions,
}

/// Where returned places go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ReturnChoice {
    /// Where they came from, the allocation they are of
    Origin,
    /// To general sale, whatever allocation they are of
    General,
    /// Out of sale
    Killed,
}

impl ReturnChoice {
    fn to_wire(self) -> ReturnTo {
        match self {
            ReturnChoice::Origin => ReturnTo::Origin,
            ReturnChoice::General => ReturnTo::General,
            ReturnChoice::Killed => ReturnTo::Killed,
        }
    }
}

/// Give some sold places of an order for others, in one step
#[derive(Args, Debug)]
#[command(
    after_help = EXCHANGE_EXAMPLES,
    group(ArgGroup::new("given").args(["give", "give_ga"]).required(true).multiple(true)),
    group(ArgGroup::new("taken").args(["take", "take_ga", "take_hold"]).required(true).multiple(true)),
)]
pub(crate) struct ExchangeOptions {
    /// Name of the event
    #[arg(value_name = "EVENT")]
    event: EventName,
    /// The order that gives and takes
    #[arg(long, value_name = "ORDER")]
    order: String,
    /// Places to give, with commas between: seats by key, or many by a selector
    #[arg(long, value_name = "PLACES", value_delimiter = ',')]
    give: Vec<String>,
    /// Admissions to give; may be repeated
    #[arg(long, value_name = "AREA=N")]
    give_ga: Vec<Admissions>,
    /// Seats to take, keys with commas between
    #[arg(long, value_name = "SEAT", value_delimiter = ',')]
    take: Vec<String>,
    /// Admissions to take; may be repeated
    #[arg(long, value_name = "AREA=N")]
    take_ga: Vec<Admissions>,
    /// Take all that this hold of the event has
    #[arg(long, value_name = "HOLD", value_parser = parse_hold_id, conflicts_with_all = ["take", "take_ga"])]
    take_hold: Option<HoldId>,
    /// What is taken may be of the allocation with this key; may be repeated
    #[arg(long, value_name = "KEY", conflicts_with = "take_hold")]
    allocation_key: Vec<String>,
    #[command(flatten)]
    conditions: Conditions,
}

/// Show what is sold to an order
#[derive(Args, Debug)]
#[command(after_help = ORDER_EXAMPLES)]
pub(crate) struct OrderOptions {
    /// Name of the event
    #[arg(value_name = "EVENT")]
    event: EventName,
    /// Reference of the order
    #[arg(value_name = "ORDER")]
    order: String,
}

/// List what is sold of an event, by order and hold
#[derive(Args, Debug)]
#[command(after_help = ORDERS_EXAMPLES)]
pub(crate) struct OrdersOptions {
    /// Name of the event
    #[arg(value_name = "EVENT")]
    event: EventName,
}

/// What a sale or an exchange was answered.
struct Sale {
    hold: Option<Hold>,
    labels: Vec<String>,
    touched: Option<Touched>,
    replayed: bool,
    position: u64,
    incarnation: u64,
}

/// A sale for people and programs. `would` is the word for what was only judged.
async fn sale_report(client: &Client, event: &EventName, request: &str, would: &str, sale: Sale) -> Report {
    let mut json = json!({
        "request_id": request,
        "hold": null,
        "touched": null,
        "replayed": sale.replayed,
        "position": sale.position,
        "incarnation": sale.incarnation,
    });
    let mut text = String::new();
    if let Some(hold) = sale.hold {
        let card = HoldCard::of_answer(client, event, hold, sale.labels).await;
        text = card.text(Arrangement::Unspecified);
        json["hold"] = card.json();
    } else if let Some(touched) = sale.touched {
        let names = PlaceNames::read(client, event, !touched.ga.is_empty(), touched.plan_revision).await;
        text = names.touched_text(would, &touched, &[]);
        json["touched"] = names.touched_json(&touched);
    }
    let report = Report::new(text, json);
    if sale.replayed { report.note("this was done before; this is how it is now") } else { report }
}

/// `usherctl sell`.
pub(crate) async fn sell(client: &Client, options: &SellOptions) -> Result<Report, Failure> {
    let event = &options.event;
    let request_id = options.conditions.request(client, event).await?;
    let request = SellDirectRequest {
        event_id: event.to_string(),
        request_id: request_id.clone(),
        order_ref: options.order.clone(),
        seat_keys: options.seats.clone(),
        ga: options.ga.iter().map(Admissions::to_wire).collect(),
        ticket_types: options.ticket_type.clone(),
        customer: options.customer.clone().unwrap_or_default(),
        allocation_keys: options.allocation_key.clone(),
        expected_state: options.conditions.expected_state(),
        validate_only: options.conditions.validate_only,
        ..SellDirectRequest::default()
    };
    let answer = match client.unary().sell_direct(request).await {
        Ok(answer) => answer,
        Err(error) => {
            let failure = Failure::from(error)
                .typed("seat_keys", options.seats.iter().map(String::as_str))
                .typed("ga", options.ga.iter().map(|part| part.area.as_str()));
            return Err(refused(client, event, failure, &request_id).await);
        }
    };
    let sale = Sale {
        hold: answer.hold,
        labels: answer.seat_labels,
        touched: answer.touched,
        replayed: answer.replayed,
        position: answer.position,
        incarnation: answer.incarnation,
    };
    let report = sale_report(client, event, &request_id, "would be sold", sale).await;
    let sold = !options.conditions.validate_only;
    Ok(if sold { report.next(format!("usherctl order {event} {}", quoted(&options.order))) } else { report })
}

/// An order as a shell takes it.
fn quoted(order: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/=@+,".contains(&byte);
    if order.bytes().all(plain) { order.to_owned() } else { format!("'{}'", order.replace('\'', "'\\''")) }
}

/// `usherctl return`.
pub(crate) async fn return_places(client: &Client, options: &ReturnOptions) -> Result<Report, Failure> {
    let event = &options.event;
    if options.reason.is_some() && options.to != ReturnChoice::Killed {
        return Err(Failure::usage("--reason: a reason is of killed places, with --to killed".to_owned()));
    }
    admissions_once(&options.ga)?;
    let request_id = options.conditions.request(client, event).await?;
    let words = PlaceWords::read(client, event, &options.places, &options.ga).await?;
    let request = ReturnPlacesRequest {
        event_id: event.to_string(),
        request_id: request_id.clone(),
        order_ref: options.order.clone(),
        places: Some(words.to_wire()).filter(|set| *set != PlaceSet::default()),
        to: options.to.to_wire() as i32,
        reason: options.reason.clone().unwrap_or_default(),
        expected_state: options.conditions.expected_state(),
        validate_only: options.conditions.validate_only,
    };
    let answer = match client.unary().return_places(request).await {
        Ok(answer) => answer,
        Err(error) => {
            let failure = words.explain(Failure::from(error), "places");
            return Err(refused(client, event, failure, &request_id).await);
        }
    };
    let touched = answer.touched.unwrap_or_default();
    let word = if options.conditions.validate_only { "would be returned" } else { "returned" };
    let done = Done { replayed: answer.replayed, position: answer.position, incarnation: answer.incarnation };
    Ok(touched_report(client, event, &request_id, word, &touched, done).await)
}

/// What a command of the house was answered beside the places.
pub(crate) struct Done {
    /// It had been done before.
    pub(crate) replayed: bool,
    /// Position of the change.
    pub(crate) position: u64,
    /// Incarnation of the server.
    pub(crate) incarnation: u64,
}

/// What a command touched, for people and programs.
pub(crate) async fn touched_report(
    client: &Client,
    event: &EventName,
    request: &str,
    word: &str,
    touched: &Touched,
    done: Done,
) -> Report {
    let names = PlaceNames::read(client, event, !touched.ga.is_empty(), touched.plan_revision).await;
    let json = json!({
        "request_id": request,
        "touched": names.touched_json(touched),
        "replayed": done.replayed,
        "position": done.position,
        "incarnation": done.incarnation,
    });
    if done.replayed {
        return Report::new("", json).note("this was done before; which places that were is not remembered");
    }
    Report::new(names.touched_text(word, touched, &[]), json)
}

/// `usherctl exchange`.
pub(crate) async fn exchange(client: &Client, options: &ExchangeOptions) -> Result<Report, Failure> {
    let event = &options.event;
    once("--give-ga", options.give_ga.iter().map(|part| part.area.as_str()))?;
    let request_id = options.conditions.request(client, event).await?;
    let words = PlaceWords::read(client, event, &options.give, &options.give_ga).await?;
    let take = match options.take_hold {
        Some(hold) => Take::TakeHoldId(hold.to_string()),
        None => Take::Places(NamedPlaces {
            seat_keys: options.take.clone(),
            ga: options.take_ga.iter().map(Admissions::to_wire).collect(),
            allocation_keys: options.allocation_key.clone(),
            ..NamedPlaces::default()
        }),
    };
    let request = ExchangeRequest {
        event_id: event.to_string(),
        request_id: request_id.clone(),
        order_ref: options.order.clone(),
        give: Some(words.to_wire()),
        take: Some(take),
        expected_state: options.conditions.expected_state(),
        validate_only: options.conditions.validate_only,
    };
    let answer = match client.unary().exchange(request).await {
        Ok(answer) => answer,
        Err(error) => {
            let failure = words
                .explain(Failure::from(error), "give")
                .typed("places.seat_keys", options.take.iter().map(String::as_str))
                .typed("places.ga", options.take_ga.iter().map(|part| part.area.as_str()));
            return Err(refused(client, event, failure, &request_id).await);
        }
    };
    let sale = Sale {
        hold: answer.hold,
        labels: answer.seat_labels,
        touched: answer.touched,
        replayed: answer.replayed,
        position: answer.position,
        incarnation: answer.incarnation,
    };
    let report = sale_report(client, event, &request_id, "would be given", sale).await;
    let done = !options.conditions.validate_only;
    Ok(if done { report.next(format!("usherctl order {event} {}", quoted(&options.order))) } else { report })
}

/// `usherctl order`.
pub(crate) async fn order(client: &Client, options: &OrderOptions) -> Result<Report, Failure> {
    let request = GetOrderRequest {
        event_id: options.event.to_string(),
        order_ref: options.order.clone(),
        ..GetOrderRequest::default()
    };
    let answer = client.unary().get_order(request).await?;
    let order = answer.order.unwrap_or_default();
    let has_areas = order.parts.iter().any(|part| !part.ga.is_empty());
    let names = PlaceNames::read(client, &options.event, has_areas, answer.plan_revision).await;
    let json = json!({
        "order": { "order_ref": order.order_ref, "parts": parts_json(&names, &order.parts) },
        "plan_revision": answer.plan_revision,
        "position": answer.position,
        "incarnation": answer.incarnation,
    });
    let rows = |part: &SoldPart| vec![part.hold_ref.clone(), names.part_text(part)];
    let rows: Vec<Vec<String>> = order.parts.iter().map(rows).collect();
    let text = format!(
        "{}{}",
        fields(&[("order", order.order_ref.clone())]),
        columns(&[("HOLD", Side::Left), ("PLACES", Side::Left)], &rows)
    );
    Ok(Report::new(text, json))
}

fn parts_json(names: &PlaceNames, parts: &[SoldPart]) -> Value {
    parts.iter().map(|part| names.part_json(part)).collect()
}

/// `usherctl orders`.
pub(crate) async fn orders(client: &Client, options: &OrdersOptions) -> Result<Report, Failure> {
    let mut parts = Vec::new();
    let mut page_token = String::new();
    let last = loop {
        let event_id = options.event.to_string();
        let request = ListOrdersRequest { event_id, page_size: PAGE_SIZE, page_token };
        let mut page = client.unary().list_orders(request).await?;
        parts.append(&mut page.parts);
        if page.next_page_token.is_empty() {
            break page;
        }
        page_token = page.next_page_token;
    };
    parts.sort_by(|one, other| (&one.order_ref, &one.hold_ref).cmp(&(&other.order_ref, &other.hold_ref)));
    let has_areas = parts.iter().any(|part| !part.ga.is_empty());
    let names = PlaceNames::read(client, &options.event, has_areas, last.plan_revision).await;
    let json = json!({
        "parts": parts_json(&names, &parts),
        "plan_revision": last.plan_revision,
        "position": last.position,
        "incarnation": last.incarnation,
    });
    if parts.is_empty() {
        return Ok(Report::new("", json).note("nothing is sold"));
    }
    let row = |part: &SoldPart| vec![part.order_ref.clone(), part.hold_ref.clone(), names.part_text(part)];
    let rows: Vec<Vec<String>> = parts.iter().map(row).collect();
    let header = [("ORDER", Side::Left), ("HOLD", Side::Left), ("PLACES", Side::Left)];
    Ok(Report::new(columns(&header, &rows), json))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser, Debug)]
    enum Only {
        Sell(SellOptions),
        Return(ReturnOptions),
        Exchange(ExchangeOptions),
    }

    fn parsed(line: &str) -> Result<Only, String> {
        let words = std::iter::once("usherctl").chain(line.split(' '));
        Only::try_parse_from(words).map_err(|error| error.to_string())
    }

    #[test]
    fn a_sale_needs_places_and_an_order() {
        assert!(parsed("sell e A-1").expect_err("no order").contains("--order"));
        assert!(parsed("sell e --order O").expect_err("no places").contains("required"));
        assert!(parsed("sell e --order O --ga FLOOR=2").is_ok());
        assert!(parsed("sell e A-1 --order O --request 17").expect_err("no uuid").contains("is no request"));
    }

    #[test]
    fn a_return_may_name_nothing_and_an_exchange_must_name_both_sides() {
        assert!(matches!(parsed("return e --order O"), Ok(Only::Return(options)) if options.places.is_empty()));
        assert!(parsed("return e --order O --to nowhere").is_err());
        assert!(parsed("exchange e --order O --give A-1").expect_err("no take").contains("--take"));
        assert!(parsed("exchange e --order O --take A-1").expect_err("no give").contains("--give"));
        let hold = "--take-hold 01934b2e-7f00-7abc-8def-0123456789ab";
        assert!(parsed(&format!("exchange e --order O --give A-1 {hold}")).is_ok());
        assert!(parsed(&format!("exchange e --order O --give A-1 --take B-1 {hold}")).is_err());
    }

    #[test]
    fn an_order_with_spaces_is_quoted_for_the_shell() {
        assert_eq!((quoted("O-4711"), quoted("it's me")), ("O-4711".to_owned(), r"'it'\''s me'".to_owned()));
    }
}
