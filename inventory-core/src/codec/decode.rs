//! Bytes of the log become changes again.
//!
//! What the encoders would not write is refused, with the byte: C1 and C2 of the format.

use alloc::{boxed::Box, vec::Vec};

use super::{LENGTH_BYTES, VERSION};
use crate::{
    allocation::is_key,
    best_available::Arrangement,
    bytes::{DecodeError, Reader},
    cart::{Cart, CartConfirmed, CartEnd, CartHeld, CartReleased},
    change::{
        AllocationRemoved, AllocationSet, Change, Confirmed, EventCreated, EventRetired, EventUpdated, Exchanged,
        Extended, Held, Killed, PaymentBegan, PaymentEnded, PriceLevelSet, Record, Released, Rested, ResumeCause,
        Resumed, Returned, SoldDirect, Taken, Unkilled,
    },
    command::{PaymentOutcome, Remainder},
    giving_back::ReturnTo,
    ids::{CustomerKey, EventId, EventKey, EventNumber, HoldId, OrderRef, PlanDigest, RequestId, TimestampMs},
    kill::check_reason,
    limits::{
        AREAS_PER_PLAN_MAX, CART_EVENTS_MAX, CART_EVENTS_MIN, EVENT_ID_BYTES_MAX, EVENT_LABEL_BYTES_MAX,
        EVENT_TEXT_BYTES_MAX, EXPIRED_HOLDS_PER_CHANGE_MAX, HOLDS_PER_KILL_MAX, ORDER_REF_BYTES_MAX,
        PLACES_PER_EVENT_MAX, PLACES_PER_HOLD_MAX, PLAN_TEXT_BYTES_MAX, RETURNED_ADMISSIONS_MAX,
        SEAT_RUNS_PER_CHANGE_MAX, policy::PAYMENT_ATTEMPTS_MAX,
    },
    place::{Admission, Admissions, Seat, SeatIndexes, Seats},
    policy::{EventState, LevelLimit, Limits, OrphanRule, Policies, Settings, SharedQuota},
    resting::RESTED_PER_CHANGE_MAX,
};

/// The record at the start of `bytes`, and how many bytes it takes.
///
/// # Errors
/// Where the bytes are no record this version writes.
pub fn decode_record(bytes: &[u8]) -> Result<(Record, usize), DecodeError> {
    let mut reader = Reader::new(bytes);
    let length = usize::from(reader.u16()?);
    let record = reader.take(length)?;
    let mut reader = Reader::new(record);
    let record = decode_after_length(&mut reader)
        .map_err(|error| DecodeError { offset: error.offset + LENGTH_BYTES, ..error })?;
    Ok((record, length + LENGTH_BYTES))
}

fn decode_after_length(reader: &mut Reader<'_>) -> Result<Record, DecodeError> {
    let kind = reader.u8()?;
    if reader.u8()? != VERSION {
        return Err(reader.error("a version of a record that this server does not know"));
    }
    let event = EventNumber(reader.u32()?);
    let event_seq = reader.u32()?;
    let digest = reader.u32()?;
    let change = match kind {
        1 => Change::EventCreated(Box::new(decode_created(reader)?)),
        2 => Change::EventUpdated(Box::new(decode_updated(reader)?)),
        3 => Change::Held(decode_held(reader)?),
        4 => Change::Extended(Extended {
            hold_id: hold_id(reader)?,
            request: request(reader)?,
            expires_at: TimestampMs(reader.u64()?),
        }),
        5 => Change::Confirmed(decode_confirmed(reader)?),
        6 => Change::Released(decode_released(reader)?),
        7 => Change::Expired(decode_hold_ids(reader)?),
        8 => Change::Resumed(Resumed {
            shift_ms: reader.u64()?,
            cause: match reader.u8()? {
                0 => ResumeCause::Outage,
                1 => ResumeCause::Restored,
                _ => return Err(reader.error("an unknown cause of a resume")),
            },
        }),
        9 => Change::FloorRaised(TimestampMs(reader.u64()?)),
        10 => Change::PaymentBegan(PaymentBegan {
            hold_id: hold_id(reader)?,
            attempt_id: request_id(reader)?,
            deadline: TimestampMs(reader.u64()?),
        }),
        11 => Change::PaymentEnded(PaymentEnded {
            hold_id: hold_id(reader)?,
            attempt_id: request_id(reader)?,
            outcome: PaymentOutcome::from_number(reader.u8()?)
                .ok_or(reader.error("an unknown outcome of a payment"))?,
            expires_at: TimestampMs(reader.u64()?),
        }),
        12 => Change::SoldDirect(Box::new(decode_sold_direct(reader)?)),
        13 => Change::Returned(Box::new(decode_returned(reader)?)),
        14 => {
            let taken = reader.u8()?;
            let returned = decode_returned(reader)?;
            let taken = match taken {
                0 => Taken::Sale(decode_sold_direct(reader)?),
                1 => Taken::Hold(decode_confirmed(reader)?),
                _ => return Err(reader.error("an exchange that takes something unknown")),
            };
            Change::Exchanged(Box::new(Exchanged { returned, taken }))
        }
        15 => Change::Killed(Box::new(decode_killed(reader)?)),
        16 => {
            let request = request(reader)?;
            let (runs, areas) = (reader.u16()?, reader.u16()?);
            let seats = read_runs(reader, runs)?;
            Change::Unkilled(Box::new(Unkilled { request, seats, areas: read_areas(reader, areas)? }))
        }
        17 => Change::AllocationSet(Box::new(decode_allocation_set(reader)?)),
        18 => Change::AllocationRemoved(Box::new(decode_allocation_removed(reader)?)),
        19 => {
            let request = request(reader)?;
            let plan = PlanDigest(reader.digest()?);
            let (runs, areas) = (reader.u16()?, reader.u16()?);
            let seats = read_runs(reader, runs)?;
            Change::PriceLevelSet(Box::new(PriceLevelSet { request, plan, seats, areas: read_areas(reader, areas)? }))
        }
        27 => Change::Rested(decode_rested(reader)?),
        21 => {
            let held = decode_held(reader)?;
            if held.replaced.is_some() || held.attempts > 0 {
                return Err(reader.error("a part of a cart that replaces a hold, or was paying"));
            }
            Change::CartHeld(Box::new(CartHeld { held, cart: cart(reader)? }))
        }
        22 => {
            let cart_id = hold_id(reader)?;
            let order_bytes = usize::from(reader.u8()?);
            Change::CartConfirmed(Box::new(CartConfirmed { cart_id, order: order(reader, order_bytes)? }))
        }
        23 => Change::CartReleased(CartReleased {
            cart_id: hold_id(reader)?,
            cause: CartEnd::from_number(reader.u8()?).ok_or(reader.error("an unknown cause of a cart's end"))?,
        }),
        20 => Change::EventRetired(EventRetired { request: request(reader)? }),
        24 => Change::PaymentsLapsed(decode_hold_ids(reader)?),
        25 => Change::PaidForgotten(TimestampMs(reader.u64()?)),
        26 => Change::CartSettled(hold_id(reader)?),
        _ => return Err(reader.error("a kind of record that this server does not know")),
    };
    if reader.left() > 0 {
        return Err(reader.error("bytes left after a record's body"));
    }
    Ok(Record { event, event_seq, digest, change })
}

fn decode_created(reader: &mut Reader<'_>) -> Result<EventCreated, DecodeError> {
    let id = reader.text(EVENT_ID_BYTES_MAX)?;
    let id = EventId::parse(&id).ok_or(reader.error("no event id"))?;
    let key = EventKey(reader.u64()?);
    let plan = PlanDigest(reader.digest()?);
    let fingerprint = reader.u64()?;
    if reader.u32()? != 0 {
        return Err(reader.error("a tenant, which this server does not know"));
    }
    Ok(EventCreated { id, key, plan, fingerprint, settings: settings(reader)? })
}

fn decode_updated(reader: &mut Reader<'_>) -> Result<EventUpdated, DecodeError> {
    let flags = flags(reader, 0b11)?;
    Ok(EventUpdated {
        request: (flags & 1 != 0).then(|| request(reader)).transpose()?,
        plan: (flags & 2 != 0).then(|| reader.digest().map(PlanDigest)).transpose()?,
        settings: settings(reader)?,
    })
}

fn decode_held(reader: &mut Reader<'_>) -> Result<Held, DecodeError> {
    let hold_id = hold_id(reader)?;
    let fingerprint = reader.u64()?;
    let customer = CustomerKey(reader.u64()?);
    let created_at = TimestampMs(reader.u64()?);
    let expires_at = TimestampMs(reader.u64()?);
    let flags = flags(reader, 0b101)?;
    let renewals = reader.u8()?;
    let arrangement = Arrangement::from_number(reader.u8()?).ok_or(reader.error("an unknown arrangement"))?;
    let (seats, admissions) = counts(reader)?;
    let attempts = reader.u8()?;
    if u32::from(attempts) > PAYMENT_ATTEMPTS_MAX {
        return Err(reader.error("more payment attempts than a hold has"));
    }
    if reader.u16()? != 0 {
        return Err(reader.error("a reserved field that is not zero"));
    }
    let replaced = (flags & 1 != 0).then(|| self::hold_id(reader)).transpose()?;
    let tags = if flags & 4 != 0 { tags(reader)?.into() } else { Box::default() };
    let seats = seat_words(reader, seats)?;
    let admissions = admission_words(reader, admissions)?;
    Ok(Held {
        hold_id,
        fingerprint,
        customer,
        created_at,
        expires_at,
        renewals,
        attempts,
        replaced,
        arrangement,
        tags,
        seats,
        admissions,
    })
}

fn decode_rested(reader: &mut Reader<'_>) -> Result<Rested, DecodeError> {
    let (seats, admissions) = (usize::from(reader.u8()?), usize::from(reader.u8()?));
    if seats + admissions > RESTED_PER_CHANGE_MAX {
        return Err(reader.error("more places than one change wakes"));
    }
    let mut rested = Rested { seats: Vec::with_capacity(seats), admissions: Vec::with_capacity(admissions) };
    for _ in 0..seats {
        let until = TimestampMs(reader.u64()?);
        rested.seats.extend(seat_indexes(reader, 1)?.into_iter().map(|seat| (until, seat)));
    }
    for _ in 0..admissions {
        let until = TimestampMs(reader.u64()?);
        rested.admissions.extend(admission_words(reader, 1)?.into_iter().map(|admission| (until, admission)));
    }
    Ok(rested)
}

/// Numbers of allocations, at least one, sorted.
pub(crate) fn tags(reader: &mut Reader<'_>) -> Result<Vec<u8>, DecodeError> {
    let count = usize::from(reader.u8()?);
    let tags = reader.take(count)?;
    let in_order = tags.is_sorted_by(|one, next| one < next) && tags.first().is_some_and(|&first| first > 0);
    if count > PLACES_PER_HOLD_MAX || !in_order {
        return Err(reader.error("allocations of a hold out of order or bounds"));
    }
    Ok(tags.to_vec())
}

fn allocation_key(reader: &mut Reader<'_>, bytes: u8) -> Result<Box<str>, DecodeError> {
    let bytes = reader.take(usize::from(bytes))?;
    let key = core::str::from_utf8(bytes).ok().filter(|key| is_key(key));
    key.map(Into::into).ok_or(reader.error("no key of an allocation"))
}

fn decode_allocation_set(reader: &mut Reader<'_>) -> Result<AllocationSet, DecodeError> {
    let request = request(reader)?;
    let key_bytes = reader.u8()?;
    if reader.u8()? != 0 {
        return Err(reader.error("a reserved field that is not zero"));
    }
    let (runs, areas) = (reader.u16()?, reader.u16()?);
    let (opens_at, closes_at) = (TimestampMs(reader.u64()?), TimestampMs(reader.u64()?));
    let key = allocation_key(reader, key_bytes)?;
    let seats = read_runs(reader, runs)?;
    Ok(AllocationSet { request, key, opens_at, closes_at, seats, areas: read_areas(reader, areas)? })
}

fn decode_allocation_removed(reader: &mut Reader<'_>) -> Result<AllocationRemoved, DecodeError> {
    let request = request(reader)?;
    let key_bytes = reader.u8()?;
    let whole = match reader.u8()? {
        0 => false,
        1 => true,
        _ => return Err(reader.error("neither a part of an allocation nor all of it")),
    };
    let (runs, areas) = (reader.u16()?, reader.u16()?);
    if whole && (runs > 0 || areas > 0) {
        return Err(reader.error("places of an allocation that is removed whole"));
    }
    let key = allocation_key(reader, key_bytes)?;
    let seats = read_runs(reader, runs)?;
    Ok(AllocationRemoved { request, key, whole, seats, areas: read_areas(reader, areas)? })
}

fn cart(reader: &mut Reader<'_>) -> Result<Cart, DecodeError> {
    match read_cart(reader)? {
        (cart, 0) => Ok(cart),
        _ => Err(reader.error("a reserved field that is not zero")),
    }
}

/// What a part is to its cart, not settled, and the two bytes beside it.
pub(crate) fn read_cart(reader: &mut Reader<'_>) -> Result<(Cart, u16), DecodeError> {
    let (role, events, more) = (reader.u8()?, usize::from(reader.u8()?), reader.u16()?);
    let fits = match role {
        1 => (CART_EVENTS_MIN - 1..CART_EVENTS_MAX).contains(&events),
        2 => events == 1,
        _ => false,
    };
    if !fits {
        return Err(reader.error("events that a part of a cart cannot have"));
    }
    let mut others = Vec::with_capacity(events);
    for _ in 0..events {
        others.push(EventKey(reader.u64()?));
    }
    let cart = if role == 1 { Cart::First { others, is_settled: false } } else { Cart::Part { first: others[0] } };
    Ok((cart, more))
}

fn decode_confirmed(reader: &mut Reader<'_>) -> Result<Confirmed, DecodeError> {
    let hold_id = hold_id(reader)?;
    let flags = flags(reader, 0b1_1111)?;
    let (seats, admissions) = counts(reader)?;
    let order_bytes = usize::from(reader.u8()?);
    let request = (flags & 1 != 0).then(|| request(reader)).transpose()?;
    let attempt_id = (flags & 8 != 0).then(|| request_id(reader)).transpose()?;
    let expires_at = (flags & 16 != 0).then(|| reader.u64().map(TimestampMs)).transpose()?;
    let order = order(reader, order_bytes)?;
    Ok(Confirmed {
        hold_id,
        request,
        order,
        seats: seat_indexes(reader, seats)?,
        admissions: admission_words(reader, admissions)?,
        remainder: if flags & 2 != 0 { Remainder::Release } else { Remainder::Keep },
        reclaimed: flags & 4 != 0,
        attempt_id,
        expires_at,
    })
}

fn order(reader: &mut Reader<'_>, bytes: usize) -> Result<OrderRef, DecodeError> {
    if bytes > ORDER_REF_BYTES_MAX {
        return Err(reader.error("an order reference that is too long"));
    }
    let order = core::str::from_utf8(reader.take(bytes)?).ok().and_then(OrderRef::parse);
    order.ok_or(reader.error("no order reference"))
}

fn reason(reader: &mut Reader<'_>, bytes: u8) -> Result<Box<str>, DecodeError> {
    let bytes = reader.take(usize::from(bytes))?;
    let reason = core::str::from_utf8(bytes).ok().filter(|reason| check_reason(reason).is_ok());
    reason.map(Into::into).ok_or(reader.error("no reason of a kill"))
}

fn decode_sold_direct(reader: &mut Reader<'_>) -> Result<SoldDirect, DecodeError> {
    let hold_id = hold_id(reader)?;
    let fingerprint = reader.u64()?;
    let customer = CustomerKey(reader.u64()?);
    let (seats, admissions) = counts(reader)?;
    let order_bytes = usize::from(reader.u8()?);
    if reader.u8()? != 0 {
        return Err(reader.error("a reserved field that is not zero"));
    }
    let order = order(reader, order_bytes)?;
    let seats = seat_words(reader, seats)?;
    Ok(SoldDirect { hold_id, fingerprint, customer, order, seats, admissions: admission_words(reader, admissions)? })
}

fn decode_returned(reader: &mut Reader<'_>) -> Result<Returned, DecodeError> {
    let flags = flags(reader, 0b1)?;
    let to = ReturnTo::from_number(reader.u8()?).ok_or(reader.error("returned to somewhere unknown"))?;
    let (order_bytes, reason_bytes) = (usize::from(reader.u8()?), reader.u8()?);
    let (runs, admissions) = (reader.u16()?, usize::from(reader.u16()?));
    if admissions > RETURNED_ADMISSIONS_MAX {
        return Err(reader.error("more admissions than one change returns"));
    }
    let request = (flags & 1 != 0).then(|| request(reader)).transpose()?;
    let order = order(reader, order_bytes)?;
    if (reason_bytes > 0) != (to == ReturnTo::Killed) {
        return Err(reader.error("a reason without a kill, or a kill without one"));
    }
    let reason = if reason_bytes > 0 { reason(reader, reason_bytes)? } else { "".into() };
    let seats = read_runs(reader, runs)?;
    let mut of_holds = Vec::with_capacity(admissions);
    for _ in 0..admissions {
        let hold_id = hold_id(reader)?;
        let admission = admission_words(reader, 1)?;
        of_holds.extend(admission.into_iter().map(|admission| (hold_id, admission)));
    }
    if !of_holds.is_sorted_by_key(|(hold_id, _)| *hold_id) {
        return Err(reader.error("holds out of order"));
    }
    Ok(Returned { request, order, to, reason, seats, admissions: of_holds })
}

fn decode_killed(reader: &mut Reader<'_>) -> Result<Killed, DecodeError> {
    let request = request(reader)?;
    let reason_bytes = reader.u8()?;
    if reader.u8()? != 0 {
        return Err(reader.error("a reserved field that is not zero"));
    }
    let (runs, areas, holds) = (reader.u16()?, reader.u16()?, usize::from(reader.u16()?));
    if holds > HOLDS_PER_KILL_MAX {
        return Err(reader.error("more holds than one kill takes from"));
    }
    let reason = reason(reader, reason_bytes)?;
    let seats = read_runs(reader, runs)?;
    let areas = read_areas(reader, areas)?;
    let holds = (0..holds).map(|_| hold_id(reader)).collect::<Result<Vec<_>, _>>()?;
    if !holds.is_sorted_by(|one, next| one < next) {
        return Err(reader.error("holds out of order"));
    }
    Ok(Killed { request, reason, seats, areas, holds })
}

/// Sorted seats. One set of seats has one encoding.
fn read_runs(reader: &mut Reader<'_>, count: u16) -> Result<Vec<u32>, DecodeError> {
    if usize::from(count) > SEAT_RUNS_PER_CHANGE_MAX {
        return Err(reader.error("more stretches of seats than one change names"));
    }
    let mut seats: Vec<u32> = Vec::new();
    for _ in 0..count {
        let (first, count) = (reader.u32()?, reader.u32()?);
        let is_after = seats.last().is_none_or(|&last| first > last + 1);
        if !is_after || count == 0 || first >= PLACES_PER_EVENT_MAX || count > PLACES_PER_EVENT_MAX - first {
            return Err(reader.error("stretches of seats out of order or bounds"));
        }
        seats.extend(first..first + count);
    }
    Ok(seats)
}

fn read_areas(reader: &mut Reader<'_>, count: u16) -> Result<Vec<(u16, u32)>, DecodeError> {
    let mut areas: Vec<(u16, u32)> = Vec::new();
    for _ in 0..count {
        let (area, quantity) = (reader.u32()?, reader.u32()?);
        let area = u16::try_from(area).ok().filter(|&area| usize::from(area) < AREAS_PER_PLAN_MAX);
        let in_order = area.filter(|&area| areas.last().is_none_or(|&(last, _)| last < area));
        match in_order {
            Some(area) if (1..=PLACES_PER_EVENT_MAX).contains(&quantity) => areas.push((area, quantity)),
            _ => return Err(reader.error("admissions of areas out of order or bounds")),
        }
    }
    Ok(areas)
}

fn decode_released(reader: &mut Reader<'_>) -> Result<Released, DecodeError> {
    let hold_id = hold_id(reader)?;
    let flags = flags(reader, 0b1_0001)?;
    let (seats, admissions) = counts(reader)?;
    if reader.u8()? != 0 {
        return Err(reader.error("a reserved field that is not zero"));
    }
    let request = (flags & 1 != 0).then(|| request(reader)).transpose()?;
    let expires_at = (flags & 16 != 0).then(|| reader.u64().map(TimestampMs)).transpose()?;
    Ok(Released {
        hold_id,
        request,
        expires_at,
        seats: seat_indexes(reader, seats)?,
        admissions: admission_words(reader, admissions)?,
    })
}

fn decode_hold_ids(reader: &mut Reader<'_>) -> Result<Vec<HoldId>, DecodeError> {
    let count = usize::from(reader.u16()?);
    if count > EXPIRED_HOLDS_PER_CHANGE_MAX {
        return Err(reader.error("more holds than one change names"));
    }
    (0..count).map(|_| hold_id(reader)).collect()
}

fn flags(reader: &mut Reader<'_>, known: u8) -> Result<u8, DecodeError> {
    let flags = reader.u8()?;
    if flags & !known == 0 { Ok(flags) } else { Err(reader.error("a flag that this server does not know")) }
}

fn counts(reader: &mut Reader<'_>) -> Result<(usize, usize), DecodeError> {
    let (seats, admissions) = (usize::from(reader.u8()?), usize::from(reader.u8()?));
    if seats > PLACES_PER_HOLD_MAX || admissions > PLACES_PER_HOLD_MAX {
        return Err(reader.error("more places than a hold has"));
    }
    Ok((seats, admissions))
}

/// A hold id.
pub(crate) fn hold_id(reader: &mut Reader<'_>) -> Result<HoldId, DecodeError> {
    let bits = reader.u128()?;
    HoldId::parse(bits).ok_or(reader.error("a hold id that is not UUIDv7"))
}

/// A request with its fingerprint.
pub(crate) fn request(reader: &mut Reader<'_>) -> Result<(RequestId, u64), DecodeError> {
    Ok((request_id(reader)?, reader.u64()?))
}

/// A request or attempt id.
pub(crate) fn request_id(reader: &mut Reader<'_>) -> Result<RequestId, DecodeError> {
    let bits = reader.u128()?;
    RequestId::parse(bits).ok_or(reader.error("a request id that is not UUIDv7"))
}

fn seat_words(reader: &mut Reader<'_>, count: usize) -> Result<Seats, DecodeError> {
    let mut seats = Seats::with_capacity(count);
    for _ in 0..count {
        let word = reader.u32()?;
        let seat = Seat::from_word(word);
        if seat.word() != word {
            return Err(reader.error("a reserved bit of a seat that is not zero"));
        }
        seats.push(seat);
    }
    Ok(seats)
}

fn seat_indexes(reader: &mut Reader<'_>, count: usize) -> Result<SeatIndexes, DecodeError> {
    let mut seats = SeatIndexes::with_capacity(count);
    for _ in 0..count {
        let seat = reader.u32()?;
        if Seat::from_word(seat).index != seat {
            return Err(reader.error("a seat index beyond the largest"));
        }
        seats.push(seat);
    }
    Ok(seats)
}

fn admission_words(reader: &mut Reader<'_>, count: usize) -> Result<Admissions, DecodeError> {
    let mut admissions = Admissions::with_capacity(count);
    for _ in 0..count {
        let word = reader.u32()?;
        let admission = Admission::from_word(word);
        let valid = (1..=PLACES_PER_HOLD_MAX).contains(&usize::from(admission.quantity)) && admission.word() == word;
        if !valid {
            return Err(reader.error("admissions out of their bounds"));
        }
        admissions.push(admission);
    }
    Ok(admissions)
}

/// All settings.
pub(crate) fn settings(reader: &mut Reader<'_>) -> Result<Settings, DecodeError> {
    let state = EventState::from_number(reader.u8()?).ok_or(reader.error("an unknown event state"))?;
    let orphan_rule = OrphanRule::from_number(reader.u8()?).ok_or(reader.error("an unknown orphan rule"))?;
    let labels = usize::from(reader.u8()?);
    let flags = flags(reader, 1)?;
    let opens_at = TimestampMs(reader.u64()?);
    let closes_at = TimestampMs(reader.u64()?);
    let starts_at = TimestampMs(reader.u64()?);
    let mut policies = Policies {
        hold_ttl_s: reader.u32()?,
        lifetime_s_max: reader.u32()?,
        renewals_max: reader.u32()?,
        payment_grace_s: reader.u32()?,
        payment_attempts_max: reader.u32()?,
        payment_left_s_min: reader.u32()?,
        places_per_hold_max: reader.u32()?,
        places_per_customer_max: reader.u32()?,
        holds_per_customer_max: reader.u32()?,
        orphan_rule,
        retry_window_s: reader.u32()?,
        cooling_s_max: reader.u32()?,
        ..Policies::default()
    };
    let display_name = reader.text(EVENT_TEXT_BYTES_MAX)?;
    let time_zone = reader.text(EVENT_TEXT_BYTES_MAX)?;
    let labels = (0..labels)
        .map(|_| Ok((reader.text(EVENT_LABEL_BYTES_MAX)?, reader.text(EVENT_LABEL_BYTES_MAX)?)))
        .collect::<Result<_, _>>()?;
    let limits = if flags & 1 != 0 { later_settings(reader, &mut policies)? } else { Limits::default() };
    let settings =
        Settings { state, opens_at, closes_at, starts_at, policies, display_name, time_zone, labels, limits };
    settings.check().map_err(|(_, problem)| reader.error(problem))?;
    if settings.has_later() != (flags & 1 != 0) {
        return Err(reader.error("later settings that say nothing"));
    }
    Ok(settings)
}

fn later_settings(reader: &mut Reader<'_>, policies: &mut Policies) -> Result<Limits, DecodeError> {
    policies.abandon_credits_max = reader.u32()?;
    policies.abandon_refill_s = reader.u32()?;
    let mut limits = Limits::default();
    for _ in 0..reader.u8()? {
        limits.by_level.push(LevelLimit { level: reader.text(PLAN_TEXT_BYTES_MAX)?, places_max: reader.u32()? });
    }
    for _ in 0..reader.u8()? {
        let name = reader.text(PLAN_TEXT_BYTES_MAX)?;
        let mut names = || {
            let count = reader.u8()?;
            (0..count).map(|_| reader.text(PLAN_TEXT_BYTES_MAX)).collect::<Result<Vec<_>, _>>()
        };
        let (levels, areas) = (names()?, names()?);
        limits.quotas.push(SharedQuota { name, levels, areas, places_max: reader.u32()? });
    }
    Ok(limits)
}
