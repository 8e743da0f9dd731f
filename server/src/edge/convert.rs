//! Wire types of the sale to domain types and back: parse once, here. What a command may be is checked
//! here as far as no state is needed, so that nothing malformed reaches a shard.
//!
//! Not here: the admin service (`convert_admin.rs`), plans (`plan_chunks.rs`), refusals (`refusal.rs`).

use std::sync::Arc;

use engine::{Counts, EventInfo, EventView};
use inventory_core::{
    allocation::AllocationKeys,
    best_available::Arrangement,
    change::{HoldCause, HoldState, HoldView},
    command::{
        AdmissionWanted, AreaName, BeginPayment, BestAvailable, Confirm, EndPayment, Extend, Hold, Part,
        PaymentOutcome, Release, Remainder,
    },
    ids::{CustomerKey, EventId, EventKey, HoldId, OrderRef, RequestId, TimestampMs},
    limits::AREAS_PER_PLAN_MAX,
    place::{Admission, Admissions, PlaceState, Seat},
    policy::{EventState, LevelLimit, Limits, OrphanRule, Policies, SharedQuota},
    reject::{Field, Reject},
};
use proto::inventory::v1::{self as wire, Reason};
use rand::Rng as _;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    carts::cart_message,
    convert_admin::etag_text,
    refusal::{Asked, Refusable, Refusal, attempt_id_invalid, request_id_invalid},
};

// Ids.

/// The key of an event.
pub(crate) fn event_key(id: &EventId) -> EventKey {
    engine::event_key(id.as_str())
}

/// The key of a customer, and none for the empty text.
pub(crate) fn customer_key(customer: &str) -> CustomerKey {
    if customer.is_empty() { CustomerKey::NONE } else { CustomerKey(first_8_bytes(customer.as_bytes())) }
}

/// What may be shown of a hold id: the id itself is the right to confirm.
pub(crate) fn hold_ref(id: HoldId) -> String {
    let bytes = Uuid::from_u128(id.0).into_bytes();
    Sha256::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn first_8_bytes(bytes: &[u8]) -> u64 {
    let digest = Sha256::digest(bytes);
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_le_bytes(first)
}

/// An event id of the right shape.
pub(crate) fn event_id(text: &str) -> Refusable<EventId> {
    EventId::parse(text).ok_or_else(|| {
        Refusal::invalid("event_id", "must be 1 to 64 of a-z, 0-9, '.', '_' and '-', the first a letter or a digit")
    })
}

/// A hold id in its text form.
pub(crate) fn hold_id(text: &str) -> Refusable<HoldId> {
    uuid_text(text).and_then(HoldId::parse).ok_or_else(hold_id_invalid)
}

/// A hold id in its two halves.
pub(crate) fn hold_id_of_halves(high: u64, low: u64) -> Refusable<HoldId> {
    HoldId::parse(wide(high, low)).ok_or_else(hold_id_invalid)
}

fn hold_id_invalid() -> Box<Refusal> {
    Refusal::field(Reason::HoldIdInvalid, "hold_id", "must be a UUID of version 7")
}

/// A request id in its text form; none when empty.
pub(crate) fn request_id(text: &str) -> Refusable<Option<RequestId>> {
    if text.is_empty() {
        return Ok(None);
    }
    uuid_text(text).and_then(RequestId::parse).map(Some).ok_or_else(request_id_invalid)
}

fn request_id_of_halves(high: u64, low: u64) -> Refusable<Option<RequestId>> {
    if high | low == 0 {
        return Ok(None);
    }
    RequestId::parse(wide(high, low)).map(Some).ok_or_else(request_id_invalid)
}

/// The id of a payment attempt in its text form; none when empty.
fn attempt_id(text: &str) -> Refusable<Option<RequestId>> {
    if text.is_empty() {
        return Ok(None);
    }
    uuid_text(text).and_then(RequestId::parse).map(Some).ok_or_else(attempt_id_invalid)
}

fn attempt_id_of_halves(high: u64, low: u64) -> Refusable<Option<RequestId>> {
    if high | low == 0 {
        return Ok(None);
    }
    RequestId::parse(wide(high, low)).map(Some).ok_or_else(attempt_id_invalid)
}

const fn wide(high: u64, low: u64) -> u128 {
    (high as u128) << 64 | low as u128
}

/// The hyphenated form only: one id has one text.
fn uuid_text(text: &str) -> Option<u128> {
    if text.len() != 36 { None } else { Uuid::try_parse(text).ok().map(|uuid| uuid.as_u128()) }
}

/// A hold id for a caller that brought none.
pub(crate) fn new_hold_id(now: TimestampMs) -> Refusable<HoldId> {
    let mut random = [0_u8; 10];
    // A cryptographic generator of this thread, seeded by the operating system: asking the system itself for every id
    // cost 4 % of a call.
    rand::rng().fill_bytes(&mut random);
    let uuid = uuid::Builder::from_unix_timestamp_millis(now.0, &random).into_uuid();
    HoldId::parse(uuid.as_u128()).ok_or_else(hold_id_invalid)
}

// Commands of unary calls.

/// A Hold. An empty hold id has been replaced by the caller of this.
pub(crate) fn hold(request: wire::HoldRequest, hold_id: HoldId) -> Refusable<(Hold, Asked)> {
    let replace =
        match request.replace_hold_id.as_str() {
            "" => None,
            text => Some(uuid_text(text).and_then(HoldId::parse).ok_or_else(|| {
                Refusal::field(Reason::HoldIdInvalid, "replace_hold_id", "must be a UUID of version 7")
            })?),
        };
    refuse_unsupported(&request.admission_token)?;
    let asked = Asked { confirm: false, seats_by_index: request.seats.len(), plan_revision: request.plan_revision };
    let best = request.best_available.map(best_available);
    let hold = Hold {
        allocations: allocation_keys(request.allocation_keys, request.include_unallocated),
        hold_id,
        ticket_types: ticket_types(request.ticket_types, request.seats.len() + request.seat_keys.len(), best.as_ref())?,
        seats: request.seats.into(),
        seat_keys: request.seat_keys.into_iter().map(String::into_boxed_str).collect(),
        admissions: admissions_wanted(request.ga)?,
        best,
        customer: customer_key(&request.customer),
        ttl_ms: saturated(request.ttl_ms),
        replace,
        plan_revision: request.plan_revision,
    };
    hold.check().map_err(|reject| Refusal::of_reject(reject, asked))?;
    Ok((hold, asked))
}

/// An ExtendHold.
pub(crate) fn extend(request: &wire::ExtendHoldRequest) -> Refusable<Extend> {
    Ok(Extend {
        hold_id: hold_id(&request.hold_id)?,
        request_id: request_id(&request.request_id)?.ok_or_else(request_id_invalid)?,
        ttl_ms: saturated(request.ttl_ms),
    })
}

/// A BeginPayment.
pub(crate) fn begin_payment(request: &wire::BeginPaymentRequest) -> Refusable<BeginPayment> {
    Ok(BeginPayment {
        hold_id: hold_id(&request.hold_id)?,
        attempt_id: attempt_id(&request.attempt_id)?.ok_or_else(attempt_id_invalid)?,
    })
}

/// An EndPayment.
pub(crate) fn end_payment(request: &wire::EndPaymentRequest) -> Refusable<EndPayment> {
    Ok(EndPayment {
        hold_id: hold_id(&request.hold_id)?,
        attempt_id: attempt_id(&request.attempt_id)?.ok_or_else(attempt_id_invalid)?,
        outcome: payment_outcome(request.outcome)?,
    })
}

/// A ConfirmHold; keys are looked up in the plan of the event, which is looked up after the shapes.
pub(crate) fn confirm(
    request: wire::ConfirmHoldRequest,
    find: impl FnOnce(Asked) -> Refusable<Arc<EventView>>,
) -> Refusable<(Confirm, Asked, Arc<EventView>)> {
    let hold_id = hold_id(&request.hold_id)?;
    let request_id = request_id(&request.request_id)?;
    let attempt_id = attempt_id(&request.attempt_id)?;
    let order = order_ref(&request.order_ref)?;
    let asked = Asked { confirm: true, seats_by_index: request.seats.len(), plan_revision: request.plan_revision };
    let event = find(asked)?;
    let part = part(request.seats, &request.seat_keys, &request.ga, request.plan_revision, Some(&*event.info()))?;
    let (remainder, allow_reclaim) = (remainder(request.remainder, &part)?, request.allow_reclaim);
    let confirm = Confirm { hold_id, request_id, order, part, remainder, allow_reclaim, attempt_id };
    confirm.check().map_err(|reject| Refusal::of_reject(reject, asked))?;
    Ok((confirm, asked, event))
}

/// A ReleaseHold; keys are looked up in the plan of the event, which is looked up after the shapes.
pub(crate) fn release(
    request: wire::ReleaseHoldRequest,
    find: impl FnOnce(Asked) -> Refusable<Arc<EventView>>,
) -> Refusable<(Release, Asked, Arc<EventView>)> {
    let hold_id = hold_id(&request.hold_id)?;
    let request_id = request_id(&request.request_id)?;
    let asked = Asked { confirm: false, seats_by_index: request.seats.len(), plan_revision: request.plan_revision };
    let event = find(asked)?;
    let part = part(request.seats, &request.seat_keys, &request.ga, request.plan_revision, Some(&*event.info()))?;
    let release = Release { hold_id, request_id, part, abort_payment: request.abort_payment };
    release.check().map_err(|reject| Refusal::of_reject(reject, asked))?;
    Ok((release, asked, event))
}

// Commands of a Session.

/// A Hold of a Session.
pub(crate) fn session_hold(request: wire::SessionHold) -> Refusable<(Hold, Asked)> {
    let hold_id = hold_id_of_halves(request.hold_id_hi, request.hold_id_lo)?;
    let replace =
        match wide(request.replace_hold_id_hi, request.replace_hold_id_lo) {
            0 => None,
            bits => Some(HoldId::parse(bits).ok_or_else(|| {
                Refusal::field(Reason::HoldIdInvalid, "replace_hold_id", "must be a UUID of version 7")
            })?),
        };
    refuse_unsupported(&request.admission_token)?;
    refuse_area_keys(&request.ga)?;
    let asked = Asked { confirm: false, seats_by_index: request.seats.len(), plan_revision: request.plan_revision };
    let best = request.best_available.map(|wanted| best_available(*wanted));
    let hold = Hold {
        allocations: allocation_keys(request.allocation_keys, request.include_unallocated),
        hold_id,
        ticket_types: ticket_types(request.ticket_types, request.seats.len(), best.as_ref())?,
        seats: request.seats.into(),
        seat_keys: Vec::new(),
        admissions: admissions_wanted(request.ga)?,
        best,
        customer: CustomerKey(request.customer_key),
        ttl_ms: saturated(request.ttl_ms),
        replace,
        plan_revision: request.plan_revision,
    };
    hold.check().map_err(|reject| Refusal::of_reject(reject, asked))?;
    Ok((hold, asked))
}

/// A Confirm of a Session.
pub(crate) fn session_confirm(request: wire::SessionConfirm) -> Refusable<(Confirm, Asked)> {
    let hold_id = hold_id_of_halves(request.hold_id_hi, request.hold_id_lo)?;
    let request_id = request_id_of_halves(request.request_id_hi, request.request_id_lo)?;
    let attempt_id = attempt_id_of_halves(request.attempt_id_hi, request.attempt_id_lo)?;
    let order = order_ref(&request.order_ref)?;
    let asked = Asked { confirm: true, seats_by_index: request.seats.len(), plan_revision: request.plan_revision };
    refuse_area_keys(&request.ga)?;
    let part = part(request.seats, &[], &request.ga, request.plan_revision, None)?;
    let (remainder, allow_reclaim) = (remainder(request.remainder, &part)?, request.allow_reclaim);
    let confirm = Confirm { hold_id, request_id, order, part, remainder, allow_reclaim, attempt_id };
    confirm.check().map_err(|reject| Refusal::of_reject(reject, asked))?;
    Ok((confirm, asked))
}

/// A Release of a Session.
pub(crate) fn session_release(request: wire::SessionRelease) -> Refusable<(Release, Asked)> {
    let hold_id = hold_id_of_halves(request.hold_id_hi, request.hold_id_lo)?;
    let request_id = request_id_of_halves(request.request_id_hi, request.request_id_lo)?;
    let asked = Asked { confirm: false, seats_by_index: request.seats.len(), plan_revision: request.plan_revision };
    refuse_area_keys(&request.ga)?;
    let part = part(request.seats, &[], &request.ga, request.plan_revision, None)?;
    let release = Release { hold_id, request_id, part, abort_payment: request.abort_payment };
    release.check().map_err(|reject| Refusal::of_reject(reject, asked))?;
    Ok((release, asked))
}

/// An Extend of a Session.
pub(crate) fn session_extend(request: &wire::SessionExtend) -> Refusable<Extend> {
    Ok(Extend {
        hold_id: hold_id_of_halves(request.hold_id_hi, request.hold_id_lo)?,
        request_id: request_id_of_halves(request.request_id_hi, request.request_id_lo)?
            .ok_or_else(request_id_invalid)?,
        ttl_ms: saturated(request.ttl_ms),
    })
}

/// A BeginPayment of a Session.
pub(crate) fn session_begin_payment(request: &wire::SessionBeginPayment) -> Refusable<BeginPayment> {
    Ok(BeginPayment {
        hold_id: hold_id_of_halves(request.hold_id_hi, request.hold_id_lo)?,
        attempt_id: attempt_id_of_halves(request.attempt_id_hi, request.attempt_id_lo)?
            .ok_or_else(attempt_id_invalid)?,
    })
}

/// An EndPayment of a Session.
pub(crate) fn session_end_payment(request: &wire::SessionEndPayment) -> Refusable<EndPayment> {
    Ok(EndPayment {
        hold_id: hold_id_of_halves(request.hold_id_hi, request.hold_id_lo)?,
        attempt_id: attempt_id_of_halves(request.attempt_id_hi, request.attempt_id_lo)?
            .ok_or_else(attempt_id_invalid)?,
        outcome: payment_outcome(request.outcome)?,
    })
}

/// A GetHold of a Session.
pub(crate) fn session_get_hold(request: &wire::SessionGetHold) -> Refusable<HoldId> {
    hold_id_of_halves(request.hold_id_hi, request.hold_id_lo)
}

// Parts of commands.

/// Numbers that are far out of bounds stay out of bounds: the state machine refuses them in its order.
pub(crate) fn saturated<T: TryInto<U>, U: Bounded>(number: T) -> U {
    number.try_into().unwrap_or(U::MAX)
}

pub(crate) trait Bounded {
    /// The greatest.
    const MAX: Self;
}

impl Bounded for u8 {
    const MAX: u8 = u8::MAX;
}

impl Bounded for u16 {
    const MAX: u16 = u16::MAX;
}

impl Bounded for u32 {
    const MAX: u32 = u32::MAX;
}

/// The keys a command brings. They are checked with it.
pub(crate) fn allocation_keys(keys: Vec<String>, include_unallocated: bool) -> AllocationKeys {
    AllocationKeys { keys: keys.into_iter().map(String::into_boxed_str).collect(), include_unallocated }
}

fn refuse_unsupported(admission_token: &str) -> Refusable<()> {
    if !admission_token.is_empty() {
        return Err(Refusal::invalid("admission_token", "the waiting room is not supported by this version"));
    }
    Ok(())
}

fn refuse_area_keys(items: &[wire::GaItem]) -> Refusable<()> {
    match items.iter().position(|item| !item.area_key.is_empty()) {
        Some(at) => Err(Refusal::invalid(format!("ga[{at}].area_key"), "a Session names areas by their index")),
        None => Ok(()),
    }
}

pub(crate) fn best_available(wanted: wire::BestAvailable) -> BestAvailable {
    let texts = |list: Vec<String>| list.into_iter().map(String::into_boxed_str).collect();
    BestAvailable {
        quantity: saturated(wanted.quantity),
        price_levels: texts(wanted.price_levels),
        sections: texts(wanted.sections),
        zone: (!wanted.zone.is_empty()).then(|| wanted.zone.into_boxed_str()),
        accessible_count: saturated(wanted.accessible_count),
        contiguous_only: wanted.contiguous_only,
        seats_only: wanted.seats_only,
    }
}

pub(crate) fn ticket_types(types: Vec<u32>, named: usize, best: Option<&BestAvailable>) -> Refusable<Vec<u8>> {
    let small: Result<Vec<u8>, _> = types.into_iter().map(u8::try_from).collect();
    small.map_err(|_| {
        let chosen = best.map_or(0, |best| usize::from(best.quantity));
        Refusal::of_reject(Reject::TicketTypeInvalid { expected: saturated(named + chosen) }, Asked::default())
    })
}

pub(crate) fn admissions_wanted(items: Vec<wire::GaItem>) -> Refusable<Vec<AdmissionWanted>> {
    let want = |(at, item): (usize, wire::GaItem)| {
        Ok(AdmissionWanted {
            area: if item.area_key.is_empty() {
                AreaName::Index(saturated(item.area))
            } else {
                AreaName::Key(item.area_key.into_boxed_str())
            },
            quantity: saturated(item.quantity),
            quantity_min: saturated(item.min_quantity),
            ticket_type: area_ticket_type(at, item.ticket_type)?,
        })
    };
    items.into_iter().enumerate().map(want).collect()
}

pub(crate) fn area_ticket_type(at: usize, ticket_type: u32) -> Refusable<u8> {
    u8::try_from(ticket_type)
        .map_err(|_| Refusal::field(Reason::TicketTypeInvalid, format!("ga[{at}].ticket_type"), "must be at most 255"))
}

/// Places of a hold. Keys need the plan; a Session has none and names no keys.
fn part(
    mut seats: Vec<u32>,
    keys: &[String],
    ga: &[wire::GaItem],
    mut plan_revision: u32,
    info: Option<&EventInfo>,
) -> Refusable<Part> {
    let unknown = |field, at: usize| {
        let asked = Asked { seats_by_index: seats.len(), ..Asked::default() };
        Refusal::of_reject(Reject::UnknownPlace { field, position: saturated(at) }, asked)
    };
    let mut by_key = Vec::with_capacity(keys.len());
    for (at, key) in keys.iter().enumerate() {
        let seat = info.and_then(|info| info.plan.find_seat(key));
        by_key.push(seat.ok_or_else(|| unknown(Field::SeatKeys, at))?);
    }
    let mut admissions = Admissions::with_capacity(ga.len());
    let mut area_by_key = false;
    for (at, item) in ga.iter().enumerate() {
        let area = if item.area_key.is_empty() {
            u16::try_from(item.area).ok().filter(|&area| usize::from(area) < AREAS_PER_PLAN_MAX)
        } else {
            area_by_key = true;
            info.and_then(|info| info.plan.find_area(&item.area_key))
        };
        admissions.push(Admission {
            source: 0,
            area: area.ok_or_else(|| unknown(Field::Ga, at))?,
            ticket_type: area_ticket_type(at, item.ticket_type)?,
            quantity: saturated(item.quantity),
        });
    }
    // A repeated command is told by what was sent, not by what the keys mean under a later plan.
    let sent_names = (area_by_key || !by_key.is_empty()).then(|| {
        let indexes = seats.iter().map(|seat| format!("#{seat}@{plan_revision}"));
        let areas =
            ga.iter().map(|item| if item.area_key.is_empty() { item.area.to_string() } else { item.area_key.clone() });
        let names: Vec<String> = indexes.chain(keys.iter().cloned()).chain(areas).collect();
        Part::hash_of_names(names.iter().map(String::as_str))
    });
    // Keys became indexes of the revision they were looked up in. Named beside indexes of no revision they
    // change nothing: the event has only one then, or refuses.
    let only_keys = seats.is_empty() && ga.iter().all(|item| !item.area_key.is_empty());
    if plan_revision == 0 && only_keys && (area_by_key || !by_key.is_empty()) {
        plan_revision = info.map_or(0, |info| info.plan_revision);
    }
    seats.append(&mut by_key);
    Ok(Part { plan_revision, seats: seats.into(), admissions, sent_names })
}

fn remainder(number: i32, part: &Part) -> Refusable<Remainder> {
    let remainder = match wire::Remainder::try_from(number) {
        Ok(wire::Remainder::Unspecified) if part.is_whole() => Remainder::Keep,
        Ok(wire::Remainder::Unspecified) => {
            return Err(Refusal::invalid("remainder", "must say what becomes of the rest when places are named"));
        }
        Ok(wire::Remainder::Keep) => Remainder::Keep,
        Ok(wire::Remainder::Release) => Remainder::Release,
        Err(_) => return Err(Refusal::invalid("remainder", "is not known to this version")),
    };
    // Of a whole hold there is no rest: what is said of it must not make a repetition another command.
    Ok(if part.is_whole() { Remainder::Keep } else { remainder })
}

fn payment_outcome(number: i32) -> Refusable<PaymentOutcome> {
    match wire::PaymentOutcome::try_from(number) {
        Ok(wire::PaymentOutcome::Unspecified) => {
            Err(Refusal::invalid("outcome", "must say what became of the payment: failed or abandoned"))
        }
        Ok(wire::PaymentOutcome::Failed) => Ok(PaymentOutcome::Failed),
        Ok(wire::PaymentOutcome::Abandoned) => Ok(PaymentOutcome::Abandoned),
        Err(_) => Err(Refusal::invalid("outcome", "is not known to this version")),
    }
}

/// An order reference.
pub(crate) fn order_ref(text: &str) -> Refusable<OrderRef> {
    OrderRef::parse(text).ok_or_else(|| Refusal::invalid("order_ref", "must be 1 to 64 printable ASCII characters"))
}

// Answers.

/// The public state of a place.
pub(crate) fn place_state(state: PlaceState) -> wire::PlaceState {
    match state {
        PlaceState::Open => wire::PlaceState::Open,
        PlaceState::Held => wire::PlaceState::Held,
        PlaceState::Sold => wire::PlaceState::Sold,
        PlaceState::Killed => wire::PlaceState::Unavailable,
    }
}

/// How a pick lies.
pub(crate) fn arrangement(arrangement: Arrangement) -> wire::Arrangement {
    match arrangement {
        Arrangement::None => wire::Arrangement::Unspecified,
        Arrangement::Contiguous => wire::Arrangement::Contiguous,
        Arrangement::Stranding => wire::Arrangement::Stranding,
        Arrangement::Split => wire::Arrangement::Split,
        Arrangement::General => wire::Arrangement::General,
    }
}

pub(crate) fn hold_state(state: HoldState) -> wire::HoldState {
    match state {
        HoldState::Active => wire::HoldState::Active,
        HoldState::Paying => wire::HoldState::Paying,
        HoldState::Confirmed => wire::HoldState::Confirmed,
        HoldState::Released => wire::HoldState::Released,
        HoldState::Expired => wire::HoldState::Expired,
    }
}

fn hold_cause(cause: HoldCause) -> wire::HoldCause {
    match cause {
        HoldCause::None => wire::HoldCause::Unspecified,
        HoldCause::Requested => wire::HoldCause::Requested,
        HoldCause::Replaced => wire::HoldCause::Replaced,
        HoldCause::Deadline => wire::HoldCause::Deadline,
        HoldCause::Killed => wire::HoldCause::Killed,
        HoldCause::Cancelled => wire::HoldCause::EventCancelled,
        HoldCause::CartRefused => wire::HoldCause::CartRefused,
        HoldCause::PartMissing => wire::HoldCause::PartMissing,
    }
}

/// The state of an event.
pub(crate) fn event_state(state: EventState) -> wire::EventState {
    match state {
        EventState::Draft => wire::EventState::Draft,
        EventState::OnSale => wire::EventState::OnSale,
        EventState::Paused => wire::EventState::Paused,
        EventState::OffSale => wire::EventState::OffSale,
        EventState::Cancelled => wire::EventState::Cancelled,
    }
}

/// The rule about single seats.
pub(crate) fn orphan_rule(rule: OrphanRule) -> wire::OrphanRule {
    match rule {
        OrphanRule::Off => wire::OrphanRule::Off,
        OrphanRule::Lenient => wire::OrphanRule::Lenient,
        OrphanRule::Strict => wire::OrphanRule::Strict,
    }
}

/// Whether a hold lives.
pub(crate) fn is_live(state: HoldState) -> bool {
    match state {
        HoldState::Active | HoldState::Paying => true,
        HoldState::Confirmed | HoldState::Released | HoldState::Expired => false,
    }
}

/// Milliseconds from `now` to the deadline of a hold: that of its payment while one is open. 0: it has ended.
fn expires_in_ms(view: &HoldView, now: TimestampMs) -> u64 {
    match view.state {
        HoldState::Active => view.expires_at.since(now),
        HoldState::Paying => view.payment_deadline.since(now),
        HoldState::Confirmed | HoldState::Released | HoldState::Expired => 0,
    }
}

/// A hold as its owner sees it at `now`. `names` tells the names of the other events of its cart.
pub(crate) fn hold_message(
    event_id: &str,
    view: &HoldView,
    now: TimestampMs,
    names: impl Fn(EventKey) -> String,
) -> wire::Hold {
    wire::Hold {
        event_id: event_id.to_owned(),
        hold_id: Uuid::from_u128(view.hold_id.0).to_string(),
        state: hold_state(view.state) as i32,
        seats: seat_indexes(&view.seats),
        ga: ga_items(&view.admissions),
        ticket_types: seat_types(&view.seats),
        created_at_ms: view.created_at.0,
        expires_at_ms: view.expires_at.0,
        expires_in_ms: expires_in_ms(view, now),
        payment_deadline_ms: view.payment_deadline.0,
        ended_at_ms: view.ended_at.0,
        renewals_left: view.renewals_left,
        plan_revision: view.plan_revision,
        order_refs: view.orders.iter().map(|order| order.as_str().to_owned()).collect(),
        cause: hold_cause(view.cause) as i32,
        places_lost: view.places_lost,
        sold_seats: seat_indexes(&view.sold_seats),
        sold_ga: ga_items(&view.sold_admissions),
        sold_ticket_types: seat_types(&view.sold_seats),
        payment_attempts_left: view.payment_attempts_left,
        cart: view.cart.as_ref().map(|cart| cart_message(event_id, cart, names)),
    }
}

/// Indexes alone.
pub(crate) fn seat_indexes(seats: &[Seat]) -> Vec<u32> {
    seats.iter().map(|seat| seat.index).collect()
}

/// Empty when all are 0.
pub(crate) fn seat_types(seats: &[Seat]) -> Vec<u32> {
    if seats.iter().all(|seat| seat.ticket_type == 0) {
        return Vec::new();
    }
    seats.iter().map(|seat| u32::from(seat.ticket_type)).collect()
}

/// Admissions by area index.
pub(crate) fn ga_items(admissions: &[Admission]) -> Vec<wire::GaItem> {
    let item = |admission: &Admission| wire::GaItem {
        area: u32::from(admission.area),
        quantity: u32::from(admission.quantity),
        ticket_type: u32::from(admission.ticket_type),
        ..Default::default()
    };
    admissions.iter().map(item).collect()
}

/// Keys of seats, while their indexes mean the event's plan.
pub(crate) fn keys(info: &EventInfo, plan_revision: u32, seats: &[u32]) -> Vec<String> {
    if info.plan_revision != plan_revision {
        return Vec::new();
    }
    seats.iter().map(|&seat| info.plan.seat_key(seat).to_owned()).collect()
}

/// The keys of a hold's seats, live ones first, while its indexes mean the event's plan.
pub(crate) fn seat_keys(view: &HoldView, info: &EventInfo) -> Vec<String> {
    if view.plan_revision != info.plan_revision {
        return Vec::new();
    }
    let seats = view.seats.iter().chain(&view.sold_seats);
    seats.map(|seat| info.plan.seat_key(seat.index).to_owned()).collect()
}

/// Counts with their sum.
pub(crate) fn place_counts(counts: Counts) -> wire::PlaceCounts {
    let Counts { open, held, sold, killed } = counts;
    wire::PlaceCounts { open, held, sold, killed, capacity: open + held + sold + killed }
}

/// An event of the sale lane.
pub(crate) fn event_message(view: &EventView, position: u64, incarnation: u64) -> wire::Event {
    let info = view.info();
    let settings = &info.settings;
    wire::Event {
        event_id: view.id().as_str().to_owned(),
        event_key: view.key().0,
        display_name: settings.display_name.to_string(),
        state: event_state(settings.state) as i32,
        plan_digest: info.plan.digest().to_string(),
        plan_revision: info.plan_revision,
        seat_count: info.plan.seat_count(),
        capacity: info.plan.capacity(),
        counts: Some(place_counts(view.counts())),
        policies: Some(policies_message(&settings.policies)),
        opens_at_ms: settings.opens_at.0,
        closes_at_ms: settings.closes_at.0,
        starts_at_ms: settings.starts_at.0,
        time_zone: settings.time_zone.to_string(),
        position,
        incarnation,
        labels: settings.labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
        etag: etag_text(info.etag),
        level_limits: level_limit_messages(&settings.limits),
        quotas: quota_messages(&settings.limits),
    }
}

fn policies_message(policies: &Policies) -> wire::EventPolicies {
    let ms = |seconds: u32| u64::from(seconds) * 1_000;
    wire::EventPolicies {
        hold_ttl_ms: ms(policies.hold_ttl_s),
        lifetime_max_ms: ms(policies.lifetime_s_max),
        renewals_max: policies.renewals_max,
        payment_grace_ms: ms(policies.payment_grace_s),
        payment_attempts_max: policies.payment_attempts_max,
        payment_min_left_ms: ms(policies.payment_left_s_min),
        places_per_hold_max: policies.places_per_hold_max,
        places_per_customer_max: policies.places_per_customer_max,
        holds_per_customer_max: policies.holds_per_customer_max,
        orphan_rule: orphan_rule(policies.orphan_rule) as i32,
        retry_window_ms: ms(policies.retry_window_s),
        cooling_max_ms: ms(policies.cooling_s_max),
        abandon_credits_max: policies.abandon_credits_max,
        abandon_refill_ms: ms(policies.abandon_refill_s),
    }
}

/// Limits of an event by price level.
pub(crate) fn level_limit_messages(limits: &Limits) -> Vec<wire::LevelLimit> {
    let message =
        |limit: &LevelLimit| wire::LevelLimit { price_level: limit.level.to_string(), places_max: limit.places_max };
    limits.by_level.iter().map(message).collect()
}

/// Shared quotas of an event.
pub(crate) fn quota_messages(limits: &Limits) -> Vec<wire::SharedQuota> {
    let names = |names: &[Box<str>]| names.iter().map(ToString::to_string).collect();
    let message = |quota: &SharedQuota| wire::SharedQuota {
        name: quota.name.to_string(),
        price_levels: names(&quota.levels),
        areas: names(&quota.areas),
        places_max: quota.places_max,
    };
    limits.quotas.iter().map(message).collect()
}

/// What kind of command a Session's answer belongs to: the same hold is told differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionKind {
    /// Tell the places held.
    Hold,
    /// Tell the places sold.
    Confirm,
    /// Tell that it is done.
    Release,
    /// Tell the new deadline.
    Extend,
    /// Tell the deadline of the payment.
    BeginPayment,
    /// Tell the deadline after it.
    EndPayment,
    /// Tell all.
    GetHold,
}

/// What the answer of a command of a Session says of the hold. `event_id` and `names` are needed for GetHold only.
pub(crate) fn session_done(
    kind: SessionKind,
    view: &HoldView,
    now: TimestampMs,
    event_id: &str,
    names: impl Fn(EventKey) -> String,
) -> wire::SessionResponse {
    let mut response = wire::SessionResponse {
        expires_at_ms: if is_live(view.state) { view.expires_at.0 } else { 0 },
        expires_in_ms: expires_in_ms(view, now),
        payment_deadline_ms: view.payment_deadline.0,
        server_time_ms: now.0,
        ..Default::default()
    };
    match kind {
        SessionKind::Hold => {
            response.seats = seat_indexes(&view.seats);
            response.ga = ga_items(&view.admissions);
            response.arrangement = arrangement(view.arrangement) as i32;
        }
        SessionKind::Confirm => {
            response.seats = seat_indexes(&view.sold_seats);
            response.ga = ga_items(&view.sold_admissions);
        }
        SessionKind::Release | SessionKind::Extend | SessionKind::BeginPayment | SessionKind::EndPayment => {}
        SessionKind::GetHold => response.hold = Some(Box::new(hold_message(event_id, view, now, names))),
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_first_bytes_of_sha256() {
        // printf demo | sha256sum: 2a97516c354b6884..., read as little endian.
        let demo = EventId::parse("demo").expect("a valid id");
        assert_eq!(event_key(&demo).0, u64::from_le_bytes([0x2a, 0x97, 0x51, 0x6c, 0x35, 0x4b, 0x68, 0x84]));
        assert_eq!(customer_key(""), CustomerKey::NONE);
    }

    #[test]
    fn an_id_has_one_text() {
        let text = "01890a5d-ac96-774b-bcce-b302099a8057";
        assert!(hold_id(text).is_ok());
        for wrong in ["", "01890a5dac96774bbcceb302099a8057", "{01890a5d-ac96-774b-bcce-b302099a8057}"] {
            assert!(hold_id(wrong).is_err(), "{wrong}");
        }
        // Version 4.
        assert!(hold_id("01890a5d-ac96-474b-bcce-b302099a8057").is_err());
    }

    #[test]
    fn a_made_id_carries_the_time() {
        let id = new_hold_id(TimestampMs(1_700_000_000_123)).expect("random bytes");
        assert_eq!(id.time(), TimestampMs(1_700_000_000_123));
    }
}
