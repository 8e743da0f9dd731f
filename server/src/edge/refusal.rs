//! Why a call has no effect, and how that is said: one table for both ways in. A unary call gets a
//! status with details, a Session gets the same names as fields.
//!
//! No `_ =>` here: a new reject must be placed by hand, and the compiler finds the spot.

use std::{borrow::Cow, collections::BTreeMap};

use bytes::Bytes;
use engine::Refused;
use inventory_core::{
    ids::TimestampMs,
    place::{Moved, PlaceState},
    reject::{Field, PlaceInTheWay, Reject},
};
use prost::Message as _;
use proto::inventory::v1::{self as wire, Executed, Reason};
use tonic::{Code, Status, metadata::MetadataMap};
use tonic_types::pb;

use super::{convert::place_state, limits::VIOLATIONS_MAX};

/// The `domain` of every ErrorInfo.
const DOMAIN: &str = "usher";

/// `google.rpc.ErrorInfo` with its metadata in order: two refusals that must not be told apart are the same
/// bytes.
#[derive(Clone, PartialEq, prost::Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    domain: String,
    #[prost(btree_map = "string, string", tag = "3")]
    metadata: BTreeMap<String, String>,
}

/// When to ask again after a refusal that says nothing of its own.
const RETRY_AFTER_MS: u64 = 100;
/// When to ask again while the server starts, stops or has no disk space.
const RETRY_LATER_MS: u64 = 1_000;

/// What the edge needs to know of a command to say why it was refused.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    /// It was a confirm: some refusals then mean that money is owed back.
    pub(crate) confirm: bool,
    /// Seats named by index; keys follow them in one numbering.
    pub(crate) seats_by_index: usize,
    /// The plan revision the caller named.
    pub(crate) plan_revision: u32,
}

/// A refusal, ready to be said in either way. Boxed: answers are small, refusals need not be.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    /// Its name.
    pub(crate) reason: Reason,
    /// Whether anything was done.
    pub(crate) executed: Executed,
    /// For people.
    pub(crate) message: Cow<'static, str>,
    /// Fields at fault, with what is wrong with each.
    pub(crate) fields: Vec<(Cow<'static, str>, Cow<'static, str>)>,
    /// Places in the way.
    pub(crate) places: Vec<PlaceInTheWay>,
    /// The revision those places' indexes belong to.
    pub(crate) plan_revision: u32,
    /// Not sooner; zero: not said.
    pub(crate) retry_after_ms: u64,
    /// When the sale opens; zero: not said.
    pub(crate) opens_at_ms: u64,
    /// Held places that may come back.
    pub(crate) held_unpaid: u32,
    /// The confirm can never succeed.
    pub(crate) refund_due: bool,
    /// More for machines: lowerCamel keys.
    pub(crate) metadata: Vec<(&'static str, String)>,
    /// The position the refusal is true at; zero: none.
    pub(crate) position: u64,
    /// The time it was judged at; zero: it was not.
    pub(crate) time_ms: u64,
}

/// What functions of the edge return.
pub(crate) type Refusable<T> = Result<T, Box<Refusal>>;

impl Refusal {
    /// The places in the way as a message, if there are any.
    pub(crate) fn places_message(&self) -> Option<wire::PlacesUnavailable> {
        (!self.places.is_empty()).then(|| places_unavailable(&self.places, self.plan_revision))
    }

    /// A refusal of a command that had no effect.
    pub(crate) fn new(reason: Reason, message: impl Into<Cow<'static, str>>) -> Box<Refusal> {
        Box::new(Refusal {
            reason,
            executed: Executed::False,
            message: message.into(),
            fields: Vec::new(),
            places: Vec::new(),
            plan_revision: 0,
            retry_after_ms: retry_after_ms(reason),
            opens_at_ms: 0,
            held_unpaid: 0,
            refund_due: false,
            metadata: Vec::new(),
            position: 0,
            time_ms: 0,
        })
    }

    /// A field that cannot be what it is.
    pub(crate) fn field(
        reason: Reason,
        field: impl Into<Cow<'static, str>>,
        problem: impl Into<Cow<'static, str>>,
    ) -> Box<Refusal> {
        let (field, problem) = (field.into(), problem.into());
        let mut refusal = Refusal::new(reason, format!("{field}: {problem}"));
        refusal.fields.push((field, problem));
        refusal
    }

    /// [`Reason::ValidationFailed`] for one field.
    pub(crate) fn invalid(field: impl Into<Cow<'static, str>>, problem: impl Into<Cow<'static, str>>) -> Box<Refusal> {
        Refusal::field(Reason::ValidationFailed, field, problem)
    }

    /// The same with one more word for machines.
    pub(crate) fn with(mut self: Box<Self>, key: &'static str, value: impl ToString) -> Box<Refusal> {
        self.metadata.push((key, value.to_string()));
        self
    }

    /// The same with another answer to whether anything was done.
    pub(crate) fn executed(mut self: Box<Self>, executed: Executed) -> Box<Refusal> {
        self.executed = executed;
        self
    }

    /// The same with the fields of a set of places under the field that has the set.
    pub(crate) fn under(mut self: Box<Self>, parent: &str) -> Box<Refusal> {
        const OF_PLACES: [&str; 6] = ["seats", "seat_keys", "selectors", "ga", "ticket_types", "allocation_keys"];
        for (field, _) in &mut self.fields {
            if OF_PLACES.contains(&field.split('[').next().unwrap_or_default()) {
                *field = Cow::Owned(format!("{parent}.{field}"));
            }
        }
        if let [(field, problem)] = self.fields.as_slice() {
            self.message = Cow::Owned(format!("{field}: {problem}"));
        }
        self
    }

    /// The same with the position it is true at and the time it was judged at.
    pub(crate) fn at(mut self: Box<Self>, position: u64, time: TimestampMs) -> Box<Refusal> {
        self.position = position;
        self.time_ms = time.0;
        self
    }

    /// The event is not known. For a confirm that means that nothing was sold.
    pub(crate) fn event_not_found(asked: Asked) -> Box<Refusal> {
        Refusal::of_reject(Reject::EventNotFound, asked)
    }

    /// The time allowed is over.
    pub(crate) fn deadline(executed: Executed) -> Box<Refusal> {
        let what = match executed {
            Executed::False => "the time allowed passed before the command was taken; it had no effect",
            Executed::Unspecified | Executed::True | Executed::Unknown => {
                "the time allowed passed before the answer; send the same command again with the same ids to learn it"
            }
        };
        Refusal::new(Reason::DeadlineExceeded, what).executed(executed)
    }

    /// The engine ended before it answered.
    pub(crate) fn storage_failed() -> Box<Refusal> {
        Refusal::new(
            Reason::StorageFailed,
            "the server stopped before the command was durable; send it again with the same ids when it is back",
        )
        .executed(Executed::Unknown)
    }

    /// A message longer than `limit`.
    pub(crate) fn message_too_large(limit: usize) -> Box<Refusal> {
        let mut refusal = Refusal::new(
            Reason::MessageTooLarge,
            format!("the message is larger than the {limit} bytes this call takes"),
        );
        refusal.fields.clear();
        refusal.with("limitBytes", limit)
    }

    /// What the engine said.
    pub(crate) fn of_refused(refused: Refused, asked: Asked) -> Box<Refusal> {
        match refused {
            Refused::Reject(reject) => Refusal::of_reject(reject, asked),
            Refused::InEvent { reject, .. } => Refusal::of_reject(reject, asked),
            Refused::DeadlinePassed { executed_unknown } => {
                Refusal::deadline(if executed_unknown { Executed::Unknown } else { Executed::False })
            }
            Refused::Overloaded { retry_after_ms } => {
                let mut refusal = Refusal::overloaded();
                refusal.retry_after_ms = u64::from(retry_after_ms);
                refusal
            }
            Refused::Draining => Refusal::draining(),
            Refused::StorageLow => Refusal::new(
                Reason::StorageLow,
                "the disk is nearly full: only commands that end holds are taken until there is space",
            ),
            Refused::Internal => Refusal::new(
                Reason::Internal,
                "the command met a fault of the server and was set aside; it had no effect",
            ),
        }
    }

    /// Too much waits already.
    pub(crate) fn overloaded() -> Box<Refusal> {
        Refusal::new(Reason::Overloaded, "too much waits already; try again a little later")
    }

    /// The server is stopping.
    pub(crate) fn draining() -> Box<Refusal> {
        Refusal::new(Reason::Draining, "the server is stopping; nothing was done")
    }

    /// The server is starting.
    pub(crate) fn recovering() -> Box<Refusal> {
        Refusal::new(Reason::Recovering, "the server is reading its log; nothing was done")
    }

    /// What the state machine said.
    pub(crate) fn of_reject(reject: Reject, asked: Asked) -> Box<Refusal> {
        let executed = if reject.executed() { Executed::True } else { Executed::False };
        let refund_due = asked.confirm && reject.refund_due_on_confirm();
        let mut refusal = say(reject, asked);
        refusal.executed = executed;
        refusal.refund_due = refund_due;
        refusal
    }

    /// The status of a unary call.
    pub(crate) fn into_status(self: Box<Self>) -> Status {
        let code = code_of(self.reason);
        let mut details = vec![self.error_info()];
        if !self.fields.is_empty() {
            details.push(any("google.rpc.BadRequest", &bad_request(&self.fields)));
        }
        if self.retry_after_ms > 0 {
            let delay = prost_types::Duration {
                seconds: i64::try_from(self.retry_after_ms / 1_000).unwrap_or(i64::MAX),
                nanos: i32::try_from(self.retry_after_ms % 1_000 * 1_000_000).unwrap_or(0),
            };
            details.push(any("google.rpc.RetryInfo", &pb::RetryInfo { retry_delay: Some(delay) }));
        }
        if let Some(quota) = quota_failure(&self) {
            details.push(any("google.rpc.QuotaFailure", &quota));
        }
        if let Some(places) = self.places_message() {
            details.push(any("usher.inventory.v1.PlacesUnavailable", &places));
        }
        let status = pb::Status { code: code as i32, message: self.message.to_string(), details };
        let mut metadata = MetadataMap::new();
        if self.retry_after_ms > 0 {
            metadata.insert("grpc-retry-pushback-ms", self.retry_after_ms.into());
        }
        Status::with_details_and_metadata(
            code,
            self.message.into_owned(),
            Bytes::from(status.encode_to_vec()),
            metadata,
        )
    }

    fn error_info(&self) -> prost_types::Any {
        let mut metadata: BTreeMap<String, String> =
            self.metadata.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        metadata.insert("executed".to_owned(), executed_text(self.executed).to_owned());
        if self.refund_due {
            metadata.insert("refundDue".to_owned(), "true".to_owned());
        }
        if self.opens_at_ms > 0 {
            metadata.insert("opensAtMs".to_owned(), self.opens_at_ms.to_string());
        }
        if self.reason == Reason::NotEnoughPlaces {
            metadata.insert("heldUnpaid".to_owned(), self.held_unpaid.to_string());
        }
        if self.time_ms > 0 {
            metadata.insert("serverTimeMs".to_owned(), self.time_ms.to_string());
        }
        let info = ErrorInfo { reason: reason_text(self.reason).to_owned(), domain: DOMAIN.to_owned(), metadata };
        any("google.rpc.ErrorInfo", &info)
    }

    /// The answer on a Session.
    #[expect(clippy::boxed_local, reason = "refusals are boxed wherever they go")]
    pub(crate) fn into_session(self: Box<Self>, correlation_id: u64) -> wire::SessionResponse {
        let mut answer = wire::SessionResponse {
            correlation_id,
            reason: self.reason as i32,
            executed: self.executed as i32,
            position: self.position,
            server_time_ms: self.time_ms,
            retry_after_ms: self.retry_after_ms,
            refund_due: self.refund_due,
            opens_at_ms: self.opens_at_ms,
            held_unpaid: self.held_unpaid,
            ..Default::default()
        };
        for way in &self.places {
            match way.place {
                Moved::Seat(index) => {
                    answer.seats.push(index);
                    answer.states.push(place_state(way.state) as i32);
                }
                Moved::Area { area, quantity } => {
                    answer.ga.push(wire::GaItem { area: u32::from(area), quantity, ..Default::default() });
                }
            }
        }
        if let Some((field, problem)) = self.fields.into_iter().next() {
            answer.field = field.into_owned();
            answer.problem = problem.into_owned();
        }
        answer
    }
}

/// What each reject of the state machine is called, and what goes with it.
fn say(reject: Reject, asked: Asked) -> Box<Refusal> {
    let plan_revision = asked.plan_revision;
    match reject {
        Reject::Invalid { field, problem } => Refusal::invalid(field_path(field), problem),
        Reject::DuplicateSeat { position } => {
            Refusal::field(Reason::DuplicateSeat, pick_path(position, asked), "is named twice")
        }
        Reject::UnknownPlace { field, position } => {
            let path = match field {
                // Explicit picks are numbered through both lists.
                Field::Seats => pick_path(position, asked),
                Field::Zone
                | Field::BestAvailable
                | Field::Reason
                | Field::Give
                | Field::AllocationKeys
                | Field::AllocationKey
                | Field::ClosesAt
                | Field::PriceLevel
                | Field::Parts
                | Field::Options
                | Field::Customer
                | Field::ReplaceHoldId
                | Field::State => field_path(field),
                Field::SeatKeys
                | Field::Selectors
                | Field::Ga
                | Field::PriceLevels
                | Field::Sections
                | Field::Setting(_) => Cow::Owned(format!("{}[{position}]", field_path(field))),
            };
            Refusal::field(Reason::UnknownPlace, path, "the plan has none of this name")
        }
        Reject::TooManyPlaces { places_max } => Refusal::field(
            Reason::TooManyPlaces,
            "seats",
            format!("at most {places_max} places may be asked for at once"),
        )
        .with("limit", places_max),
        Reject::TicketTypeInvalid { expected } => Refusal::field(
            Reason::TicketTypeInvalid,
            "ticket_types",
            format!("must be empty or one for each of the {expected} seats, each at most 255"),
        )
        .with("expected", expected),
        Reject::HoldIdTooOld { now } => Refusal::field(
            Reason::HoldIdTooOld,
            "hold_id",
            "its time lies before what the server remembers; make a new one from the server's time",
        )
        .with("nowMs", now.0),
        Reject::HoldIdFromFuture { now } => Refusal::field(
            Reason::HoldIdFromFuture,
            "hold_id",
            "its time lies over 60 s ahead; make a new one from the server's time",
        )
        .with("nowMs", now.0),
        Reject::HoldIdReused => {
            Refusal::new(Reason::HoldIdReused, "the hold id was used before for a hold with other content")
        }
        Reject::RequestIdInvalid => Refusal::field(
            Reason::RequestIdInvalid,
            "request_id",
            "must be a UUID of version 7, its time at most 60 s ahead of the server's",
        ),
        Reject::RequestIdTooOld => Refusal::field(
            Reason::RequestIdTooOld,
            "request_id",
            "a newer request was seen, or its time lies before what the server remembers",
        ),
        Reject::RequestIdReused => {
            Refusal::new(Reason::RequestIdReused, "the request id was used before with other content")
        }
        Reject::TtlOutOfRange { ttl_ms_min, ttl_ms_max } => {
            Refusal::field(Reason::TtlOutOfRange, "ttl_ms", format!("must be 0 or {ttl_ms_min} to {ttl_ms_max}"))
                .with("ttlMsMin", ttl_ms_min)
                .with("ttlMsMax", ttl_ms_max)
        }
        Reject::CapacityInvalid => Refusal::field(
            Reason::CapacityInvalid,
            "plan",
            "the plan must have 1 to 1000000 places and hold all that are held or sold",
        ),
        Reject::EventNotFound => Refusal::new(Reason::EventNotFound, "there is no such event"),
        Reject::EventExists => Refusal::new(
            Reason::EventExists,
            "the event id is taken by an event with other content, or was once and is never used again",
        ),
        // Never made, foreign and forgotten say the same bytes: an id must not be guessed by its answer.
        Reject::HoldNotFound => Refusal::new(Reason::HoldNotFound, "there is no such hold"),
        Reject::StateMismatch { etag, state } => {
            let is = super::convert::event_state(state).as_str_name().trim_start_matches("EVENT_STATE_");
            Refusal::new(
                Reason::StateMismatch,
                format!("the event is {is} now, and that or its etag is not what was expected; read it again"),
            )
            .with("etag", super::convert_admin::etag_text(etag))
            .with("state", is)
        }
        Reject::PlanChanged { plan_revision } => {
            Refusal::new(Reason::PlanChanged, "the seat indexes belong to another plan revision; read the plan again")
                .with("planRevision", plan_revision)
        }
        Reject::PlacesUnavailable { places } => {
            let mut refusal =
                Refusal::new(Reason::PlacesUnavailable, "some of the places are not open, or not of the hold");
            refusal.places = places;
            refusal.plan_revision = plan_revision;
            refusal
        }
        Reject::NotEnoughPlaces { held_unpaid, quota } => {
            let mut refusal = match quota {
                None if held_unpaid == 0 => Refusal::new(Reason::NotEnoughPlaces, "no open places fit"),
                None => Refusal::new(
                    Reason::NotEnoughPlaces,
                    "no open places fit; held ones that are not paid may come back",
                ),
                Some(quota) if held_unpaid == 0 => of_quota(Reason::NotEnoughPlaces, "has no room for so many", &quota),
                Some(quota) => of_quota(
                    Reason::NotEnoughPlaces,
                    "has no room for so many; held ones that are not paid may come back",
                    &quota,
                ),
            };
            refusal.held_unpaid = held_unpaid;
            refusal
        }
        Reject::SoldOut { quota: None } => {
            Refusal::new(Reason::SoldOut, "nothing that fits is open and nothing is held")
        }
        Reject::SoldOut { quota: Some(quota) } => {
            of_quota(Reason::SoldOut, "is sold, and nothing of it is held", &quota)
        }
        Reject::WouldStrand => {
            Refusal::new(Reason::WouldStrand, "the pick would leave a single seat alone, and another pick would not")
        }
        Reject::NotInAllocation { places } => {
            let mut refusal = Refusal::new(
                Reason::NotInAllocation,
                "some of the seats are set aside for an allocation whose key was not brought",
            );
            refusal.places = places;
            refusal.plan_revision = plan_revision;
            refusal
        }
        Reject::SaleNotOpen { opens_at } => {
            let mut refusal = Refusal::new(Reason::SaleNotOpen, "the sale has not begun");
            refusal.opens_at_ms = opens_at.0;
            refusal
        }
        Reject::SalePaused => Refusal::new(Reason::SalePaused, "the sale is paused"),
        Reject::SaleClosed => Refusal::new(Reason::SaleClosed, "the sale is over"),
        Reject::EventCancelled => Refusal::new(Reason::EventCancelled, "the event is cancelled"),
        Reject::HoldExpired { executed: _, places_lost } => {
            let mut refusal = Refusal::new(Reason::HoldExpired, "the hold ended by time");
            refusal.places = places_lost;
            refusal.plan_revision = plan_revision;
            refusal
        }
        Reject::HoldReleased { executed: _ } => {
            Refusal::new(Reason::HoldReleased, "the hold was given back or replaced")
        }
        Reject::HoldAlreadyConfirmed { executed: _ } => {
            Refusal::new(Reason::HoldAlreadyConfirmed, "the hold was confirmed before")
        }
        Reject::RenewalCap => Refusal::new(
            Reason::RenewalCap,
            "the hold has no renewals left, or would not end later than it does; its timer is as it was",
        ),
        Reject::PaymentInProgress => Refusal::new(
            Reason::PaymentInProgress,
            "a payment is open on the hold: end it first, or wait for its deadline; or the hold is a part of an undecided cart",
        ),
        Reject::PaymentAttemptsCap => Refusal::new(
            Reason::PaymentAttemptsCap,
            "the hold has used up its payment attempts; it can be confirmed until its deadline",
        ),
        Reject::OrderNotFound => {
            Refusal::new(Reason::OrderNotFound, "nothing of the event is sold to an order of this name")
        }
        Reject::NotThisOrder { places } => {
            let mut refusal = Refusal::new(Reason::NotThisOrder, "some of the places are not sold to the order");
            refusal.places = places;
            refusal.plan_revision = plan_revision;
            refusal
        }
        Reject::PlacesInUse { places } => {
            let mut refusal =
                Refusal::new(Reason::PlacesInUse, "the change would take away places that are held or sold");
            refusal.places = places;
            refusal.plan_revision = plan_revision;
            refusal
        }
        Reject::CustomerLimit { places_max, level: None } => Refusal::new(
            Reason::CustomerLimit,
            format!("the customer would have more than the {places_max} places the event allows"),
        )
        .with("limit", places_max),
        Reject::CustomerLimit { places_max, level: Some(level) } => Refusal::new(
            Reason::CustomerLimit,
            format!(
                "the customer would have more than the {places_max} places of price level {level} the event allows"
            ),
        )
        .with("limit", places_max)
        .with("priceLevel", level),
        Reject::HoldCooldown { retry_after_ms } => {
            let mut refusal = Refusal::new(
                Reason::HoldCooldown,
                "too many holds of the customer expired unpaid; the next may be made later",
            );
            refusal.retry_after_ms = retry_after_ms;
            refusal
        }
        Reject::HoldQuota { holds_max } => Refusal::new(
            Reason::HoldQuota,
            format!("the customer would have more than the {holds_max} holds the event allows"),
        )
        .with("limit", holds_max),
        Reject::CapacityBudget => {
            Refusal::new(Reason::CapacityBudget, "the memory set aside for this is used up; try again later")
        }
    }
}

/// What a shared quota says, and its name.
fn of_quota(reason: Reason, what: &str, quota: &str) -> Box<Refusal> {
    Refusal::new(reason, format!("the quota {quota} {what}")).with("quota", quota)
}

/// A request id is missing or misshapen.
pub(crate) fn request_id_invalid() -> Box<Refusal> {
    Refusal::field(Reason::RequestIdInvalid, "request_id", "must be a UUID of version 7")
}

/// The id of a payment attempt is missing or misshapen.
pub(crate) fn attempt_id_invalid() -> Box<Refusal> {
    Refusal::field(Reason::RequestIdInvalid, "attempt_id", "must be a UUID of version 7")
}

fn pick_path(position: u32, asked: Asked) -> Cow<'static, str> {
    let position = position as usize;
    if position < asked.seats_by_index {
        Cow::Owned(format!("seats[{position}]"))
    } else {
        Cow::Owned(format!("seat_keys[{}]", position - asked.seats_by_index))
    }
}

fn field_path(field: Field) -> Cow<'static, str> {
    Cow::Borrowed(match field {
        Field::Seats => "seats",
        Field::SeatKeys => "seat_keys",
        Field::Ga => "ga",
        Field::BestAvailable => "best_available",
        Field::Options => "options_max",
        Field::PriceLevels => "best_available.price_levels",
        Field::Sections => "best_available.sections",
        Field::Zone => "best_available.zone",
        Field::Customer => "customer",
        Field::ReplaceHoldId => "replace_hold_id",
        Field::Selectors => "selectors",
        Field::Reason => "reason",
        Field::Give => "give",
        Field::AllocationKeys => "allocation_keys",
        Field::AllocationKey => "allocation_key",
        Field::ClosesAt => "closes_at",
        Field::PriceLevel => "price_level",
        Field::Parts => "parts",
        Field::State => "state",
        Field::Setting(name) => name,
    })
}

/// The gRPC status of each reason.
pub(crate) fn code_of(reason: Reason) -> Code {
    match reason {
        Reason::Unspecified => Code::Unknown,
        Reason::ValidationFailed
        | Reason::DuplicateSeat
        | Reason::UnknownPlace
        | Reason::TooManyPlaces
        | Reason::TicketTypeInvalid
        | Reason::HoldIdInvalid
        | Reason::HoldIdTooOld
        | Reason::HoldIdFromFuture
        | Reason::RequestIdInvalid
        | Reason::RequestIdTooOld
        | Reason::TtlOutOfRange
        | Reason::CapacityInvalid
        | Reason::PageTokenInvalid => Code::InvalidArgument,
        Reason::EventNotFound | Reason::PlanNotFound | Reason::OrderNotFound | Reason::HoldNotFound => Code::NotFound,
        Reason::EventExists | Reason::HoldIdReused | Reason::RequestIdReused => Code::AlreadyExists,
        Reason::StateMismatch | Reason::PlanChanged | Reason::InstanceChanged => Code::Aborted,
        Reason::PlacesUnavailable
        | Reason::NotEnoughPlaces
        | Reason::SoldOut
        | Reason::WouldStrand
        | Reason::NotInAllocation
        | Reason::SaleNotOpen
        | Reason::SalePaused
        | Reason::SaleClosed
        | Reason::EventCancelled
        | Reason::HoldExpired
        | Reason::HoldReleased
        | Reason::HoldAlreadyConfirmed
        | Reason::RenewalCap
        | Reason::PaymentInProgress
        | Reason::PaymentAttemptsCap
        | Reason::PlacesInUse
        | Reason::NotThisOrder => Code::FailedPrecondition,
        Reason::CustomerLimit
        | Reason::HoldQuota
        | Reason::HoldCooldown
        | Reason::RateLimited
        | Reason::CapacityBudget
        | Reason::MessageTooLarge => Code::ResourceExhausted,
        Reason::PositionOutOfRange => Code::OutOfRange,
        Reason::Overloaded | Reason::Draining | Reason::Recovering | Reason::StorageLow | Reason::StorageFailed => {
            Code::Unavailable
        }
        Reason::DeadlineExceeded => Code::DeadlineExceeded,
        Reason::CredentialsMissing | Reason::CredentialsInvalid => Code::Unauthenticated,
        Reason::AdmissionRequired | Reason::RoleRequired => Code::PermissionDenied,
        Reason::Internal => Code::Internal,
    }
}

/// When to ask again, for the reasons that pass by themselves.
fn retry_after_ms(reason: Reason) -> u64 {
    match reason {
        Reason::Overloaded | Reason::RateLimited => RETRY_AFTER_MS,
        Reason::Draining | Reason::Recovering | Reason::StorageLow | Reason::StorageFailed => RETRY_LATER_MS,
        Reason::Unspecified
        | Reason::ValidationFailed
        | Reason::DuplicateSeat
        | Reason::UnknownPlace
        | Reason::TooManyPlaces
        | Reason::TicketTypeInvalid
        | Reason::HoldIdInvalid
        | Reason::HoldIdTooOld
        | Reason::HoldIdFromFuture
        | Reason::RequestIdInvalid
        | Reason::RequestIdTooOld
        | Reason::TtlOutOfRange
        | Reason::CapacityInvalid
        | Reason::PageTokenInvalid
        | Reason::EventNotFound
        | Reason::PlanNotFound
        | Reason::OrderNotFound
        | Reason::HoldNotFound
        | Reason::EventExists
        | Reason::HoldIdReused
        | Reason::RequestIdReused
        | Reason::StateMismatch
        | Reason::PlanChanged
        | Reason::InstanceChanged
        | Reason::PlacesUnavailable
        | Reason::NotEnoughPlaces
        | Reason::SoldOut
        | Reason::WouldStrand
        | Reason::NotInAllocation
        | Reason::SaleNotOpen
        | Reason::SalePaused
        | Reason::SaleClosed
        | Reason::EventCancelled
        | Reason::HoldExpired
        | Reason::HoldReleased
        | Reason::HoldAlreadyConfirmed
        | Reason::RenewalCap
        | Reason::PaymentInProgress
        | Reason::PaymentAttemptsCap
        | Reason::PlacesInUse
        | Reason::NotThisOrder
        | Reason::CustomerLimit
        | Reason::HoldQuota
        | Reason::HoldCooldown
        | Reason::CapacityBudget
        | Reason::MessageTooLarge
        | Reason::PositionOutOfRange
        | Reason::DeadlineExceeded
        | Reason::CredentialsMissing
        | Reason::CredentialsInvalid
        | Reason::AdmissionRequired
        | Reason::RoleRequired
        | Reason::Internal => 0,
    }
}

/// What was used up, for RESOURCE_EXHAUSTED.
fn quota_failure(refusal: &Refusal) -> Option<pb::QuotaFailure> {
    if code_of(refusal.reason) != Code::ResourceExhausted {
        return None;
    }
    let violation = pb::quota_failure::Violation {
        subject: reason_text(refusal.reason).to_ascii_lowercase(),
        description: refusal.message.to_string(),
        ..Default::default()
    };
    Some(pb::QuotaFailure { violations: vec![violation] })
}

fn bad_request(fields: &[(Cow<'static, str>, Cow<'static, str>)]) -> pb::BadRequest {
    let violation = |(field, problem): &(Cow<'static, str>, Cow<'static, str>)| pb::bad_request::FieldViolation {
        field: field.to_string(),
        description: problem.to_string(),
        ..Default::default()
    };
    pb::BadRequest { field_violations: fields.iter().take(VIOLATIONS_MAX).map(violation).collect() }
}

fn places_unavailable(places: &[PlaceInTheWay], plan_revision: u32) -> wire::PlacesUnavailable {
    use wire::places_unavailable::{Place, place};
    let say = |way: &PlaceInTheWay| match way.place {
        Moved::Seat(index) => {
            Place { place: Some(place::Place::Index(index)), state: place_state(way.state) as i32, open: 0, missing: 0 }
        }
        Moved::Area { area, quantity } => Place {
            place: Some(place::Place::Area(u32::from(area))),
            state: 0,
            open: if way.state == PlaceState::Open { quantity } else { 0 },
            missing: if way.state == PlaceState::Open { 0 } else { quantity },
        },
    };
    wire::PlacesUnavailable { places: places.iter().map(say).collect(), plan_revision }
}

/// The name of a reason as callers of unary calls see it.
pub(crate) fn reason_text(reason: Reason) -> &'static str {
    let name = reason.as_str_name();
    name.strip_prefix("REASON_").unwrap_or(name)
}

fn executed_text(executed: Executed) -> &'static str {
    match executed {
        Executed::Unspecified | Executed::False => "false",
        Executed::True => "true",
        Executed::Unknown => "unknown",
    }
}

fn any(name: &str, message: &impl prost::Message) -> prost_types::Any {
    prost_types::Any { type_url: format!("type.googleapis.com/{name}"), value: message.encode_to_vec() }
}

/// A status the stack made itself, in our words: an over-long message is told from a position out of
/// range, which has the same code there.
pub(crate) fn in_our_words(status: Status, message_bytes_max: usize) -> Status {
    if status.code() == Code::OutOfRange && status.details().is_empty() {
        return Refusal::message_too_large(message_bytes_max).into_status();
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hundreds_of_a_reason_follow_its_status() {
        for number in 1..=1_200 {
            let Ok(reason) = Reason::try_from(number) else { continue };
            let expected: &[Code] = match number / 100 {
                1 => &[Code::InvalidArgument],
                2 => &[Code::NotFound],
                3 => &[Code::AlreadyExists],
                4 => &[Code::Aborted],
                5 => &[Code::FailedPrecondition],
                6 => &[Code::ResourceExhausted],
                7 => &[Code::OutOfRange],
                8 => &[Code::Unavailable],
                9 => &[Code::DeadlineExceeded],
                10 => &[Code::Unauthenticated, Code::PermissionDenied],
                _ => &[Code::Internal],
            };
            assert!(expected.contains(&code_of(reason)), "{reason:?}");
            assert_eq!(retry_after_ms(reason) > 0, number / 100 == 8 || reason == Reason::RateLimited, "{reason:?}");
        }
    }

    #[test]
    fn a_refused_confirm_that_can_never_sell_owes_the_money() {
        let asked = Asked { confirm: true, ..Asked::default() };
        assert!(Refusal::of_reject(Reject::HoldNotFound, asked).refund_due);
        assert!(!Refusal::of_reject(Reject::HoldNotFound, Asked::default()).refund_due);
        assert!(!Refusal::of_reject(Reject::PaymentInProgress, asked).refund_due);
    }
}
