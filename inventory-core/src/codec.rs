//! The bytes of a change in the log.
//!
//! ```text
//! record   0 length of what follows        u16
//!          2 kind                          u8
//!          3 version of the kind           u8
//!          4 event number in the slot      u32
//!          8 event_seq                     u32
//!         12 digest                        u32
//!         16 body
//!
//! kind 1 EventCreated   id text, key u64, plan digest 32, fingerprint u64, tenant u32 (0), settings
//! kind 2 EventUpdated   flags u8 (1 request, 2 plan), [request], [plan digest 32], settings
//! kind 3 Held           hold id u128, fingerprint u64, customer u64, created_at u64, expires_at u64,
//!                       flags u8 (1 replaced, 4 tags), renewals u8,
//!                       arrangement u8, seats u8, admissions u8, payment attempts used u8, 0 u16,
//!                       [replaced hold id u128], [tags u8: allocation number u8], seat words u32, admission words u32
//! kind 4 Extended       hold id u128, request, expires_at u64
//! kind 5 Confirmed      hold id u128, flags u8 (1 request, 2 release the rest, 4 reclaimed, 8 attempt,
//!                       16 deadline), seats u8, admissions u8, order bytes u8, [request], [attempt id u128],
//!                       [expires_at u64], order, seat indexes u32, admission words u32
//! kind 6 Released       hold id u128, flags u8 (1 request, 16 deadline), seats u8, admissions u8, 0 u8, [request],
//!                       [expires_at u64], seat indexes u32, admission words u32
//! kind 7 Expired        count u16, hold ids u128
//! kind 8 Resumed        shift_ms u64, cause u8
//! kind 9 FloorRaised    time u64
//! kind 10 PaymentBegan  hold id u128, attempt id u128, deadline u64
//! kind 11 PaymentEnded  hold id u128, attempt id u128, outcome u8, expires_at u64
//! kind 12 SoldDirect    hold id u128, fingerprint u64, customer u64, seats u8, admissions u8, order bytes u8, 0 u8,
//!                       order, seat words u32, admission words u32
//! kind 13 Returned      flags u8 (1 request), to u8, order bytes u8, reason bytes u8, runs u16, admissions u16,
//!                       [request], order, reason, runs, admissions: hold id u128, word u32
//! kind 14 Exchanged     taken u8 (0 sale, 1 hold), body of Returned, body of SoldDirect or Confirmed
//! kind 15 Killed        request, reason bytes u8, 0 u8, runs u16, areas u16, holds u16, reason, runs, areas, hold ids
//! kind 16 Unkilled      request, runs u16, areas u16, runs, areas
//! kind 17 AllocationSet  request, key bytes u8, 0 u8, runs u16, areas u16, opens_at u64, closes_at u64, key, runs, areas
//! kind 18 AllocationRemoved  request, key bytes u8, whole u8, runs u16, areas u16, key, runs, areas
//! kind 19 PriceLevelSet  request, plan digest 32, runs u16, areas u16, runs, areas
//! kind 21 CartHeld      body of Held (nothing replaced, no attempts used), role u8 (1 first, 2 part), events u8, 0 u16,
//!                       event keys u64: the others, in order; of a part the first
//! kind 22 CartConfirmed hold id u128, order bytes u8, order
//! kind 23 CartReleased  hold id u128, cause u8
//! kind 20 EventRetired  request
//! kind 24 PaymentsLapsed  count u16, hold ids u128
//! kind 25 PaidForgotten time u64
//! kind 26 CartSettled   hold id u128
//! kind 27 Rested        seats u8, admissions u8, seats: until u64, index u32; admissions: until u64, word u32
//!
//!
//! request    request id u128, fingerprint u64
//! runs       stretches of seats, sorted, never touching: the first u32, how many u32
//! areas      area u32, quantity u32
//! settings   state u8, orphan rule u8, labels u8, flags u8 (1 later), opens_at u64, closes_at u64, starts_at u64,
//!            hold_ttl, lifetime_max, renewals_max, payment_grace, payment_attempts_max, payment_min_left,
//!            places_per_hold_max, places_per_customer_max, holds_per_customer_max, retry_window,
//!            cooling_max: u32 each, display name text, time zone text, labels: key text, value text, [later]
//! later      abandon_credits_max u32, abandon_refill u32, level limits u8: level text, places u32, quotas u8: name text,
//!            levels u8: text, areas u8: text, places u32
//! text       bytes u16, UTF-8
//! ```
//!
//! All integers are little-endian. What is reserved is written as zero and refused when it is not:
//! a newer server's record is never half understood.
//!
//! Invariants:
//!
//! - C1. `decode_record(encode_record(r)) == r`; decoding refuses what encoding would not write.
//! - C2. No bytes make decoding panic or take more memory than the limits allow.
//!
//! Not here: batches, checksums and files (crate `wal`), runs (crate `engine`).

use alloc::{boxed::Box, vec::Vec};

use crate::{
    allocation::is_key,
    best_available::Arrangement,
    bytes::{Put, Reader},
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
        PLACES_PER_EVENT_MAX, PLACES_PER_HOLD_MAX, PLAN_TEXT_BYTES_MAX, RECORD_BYTES_MAX, RETURNED_ADMISSIONS_MAX,
        SEAT_RUNS_PER_CHANGE_MAX, policy::PAYMENT_ATTEMPTS_MAX,
    },
    place::{Admission, Admissions, Seat, SeatIndexes, Seats},
    place_set::runs_of,
    policy::{EventState, LevelLimit, Limits, OrphanRule, Policies, Settings, SharedQuota},
    resting::RESTED_PER_CHANGE_MAX,
};

pub use crate::bytes::DecodeError;

/// Bytes before the body.
pub const RECORD_HEADER_BYTES: usize = 16;
/// Version of every kind this server writes.
const VERSION: u8 = 1;

const LENGTH_BYTES: usize = 2;

/// Append the bytes of `record` to `out`.
pub fn encode_record(record: &Record, out: &mut Vec<u8>) {
    encode_change(record.event, record.event_seq, record.digest, &record.change, out);
}

/// Append the bytes of a record with this header and change to `out`.
pub fn encode_change(event: EventNumber, event_seq: u32, digest: u32, change: &Change, out: &mut Vec<u8>) {
    let start = out.len();
    // Room for most records at once, and the fixed fields in one piece: a vector looks at its room for every piece.
    out.reserve(128);
    let mut head = [0; 16];
    head[2] = kind(change);
    head[3] = VERSION;
    head[4..8].copy_from_slice(&event.0.to_le_bytes());
    head[8..12].copy_from_slice(&event_seq.to_le_bytes());
    head[12..16].copy_from_slice(&digest.to_le_bytes());
    out.put(&head);
    encode_body(change, out);
    let bytes = out.len() - start;
    assert!(bytes <= RECORD_BYTES_MAX, "a change of {bytes} bytes does not fit a record");
    out[start..start + LENGTH_BYTES].copy_from_slice(&((bytes - LENGTH_BYTES) as u16).to_le_bytes());
}

fn kind(change: &Change) -> u8 {
    match change {
        Change::EventCreated(_) => 1,
        Change::EventUpdated(_) => 2,
        Change::Held(_) => 3,
        Change::Extended(_) => 4,
        Change::Confirmed(_) => 5,
        Change::Released(_) => 6,
        Change::Expired(_) => 7,
        Change::Resumed(_) => 8,
        Change::FloorRaised(_) => 9,
        Change::PaymentBegan(_) => 10,
        Change::PaymentEnded(_) => 11,
        Change::SoldDirect(_) => 12,
        Change::Returned(_) => 13,
        Change::Exchanged(_) => 14,
        Change::Killed(_) => 15,
        Change::Unkilled(_) => 16,
        Change::AllocationSet(_) => 17,
        Change::AllocationRemoved(_) => 18,
        Change::PriceLevelSet(_) => 19,
        Change::CartHeld(_) => 21,
        Change::CartConfirmed(_) => 22,
        Change::CartReleased(_) => 23,
        Change::EventRetired(_) => 20,
        Change::PaymentsLapsed(_) => 24,
        Change::PaidForgotten(_) => 25,
        Change::CartSettled(_) => 26,
        Change::Rested(_) => 27,
    }
}

fn encode_body(change: &Change, out: &mut Vec<u8>) {
    match change {
        Change::EventCreated(created) => {
            out.put_text(created.id.as_str());
            out.put_u64(created.key.0);
            out.put(&created.plan.0);
            out.put_u64(created.fingerprint);
            out.put_u32(0);
            put_settings(out, &created.settings);
        }
        Change::EventUpdated(updated) => {
            out.put_u8(u8::from(updated.request.is_some()) | u8::from(updated.plan.is_some()) << 1);
            put_request(out, updated.request);
            if let Some(plan) = &updated.plan {
                out.put(&plan.0);
            }
            put_settings(out, &updated.settings);
        }
        Change::Held(held) => put_held(out, held),
        Change::CartHeld(part) => {
            put_held(out, &part.held);
            put_cart(out, &part.cart, 0);
        }
        Change::CartConfirmed(part) => {
            out.put_u128(part.cart_id.0);
            let order = part.order.as_str().as_bytes();
            // At most 64 by its type.
            out.put_u8(order.len() as u8);
            out.put(order);
        }
        Change::CartReleased(part) => {
            out.put_u128(part.cart_id.0);
            out.put_u8(part.cause as u8);
        }
        Change::CartSettled(cart_id) => out.put_u128(cart_id.0),
        Change::Extended(extended) => {
            out.put_u128(extended.hold_id.0);
            put_request(out, Some(extended.request));
            out.put_u64(extended.expires_at.0);
        }
        Change::Confirmed(confirmed) => put_confirmed(out, confirmed),
        Change::SoldDirect(sold) => put_sold_direct(out, sold),
        Change::Returned(returned) => put_returned(out, returned),
        Change::Exchanged(exchanged) => {
            out.put_u8(u8::from(matches!(exchanged.taken, Taken::Hold(_))));
            put_returned(out, &exchanged.returned);
            match &exchanged.taken {
                Taken::Sale(sold) => put_sold_direct(out, sold),
                Taken::Hold(confirmed) => put_confirmed(out, confirmed),
            }
        }
        Change::Killed(killed) => {
            put_request(out, Some(killed.request));
            // At most 64 by its check.
            out.put_u8(killed.reason.len() as u8);
            out.put_u8(0);
            out.put_u16(runs_of(&killed.seats).count() as u16);
            out.put_u16(killed.areas.len() as u16);
            out.put_u16(killed.holds.len() as u16);
            out.put(killed.reason.as_bytes());
            put_runs(out, &killed.seats);
            put_areas(out, &killed.areas);
            killed.holds.iter().for_each(|id| out.put_u128(id.0));
        }
        Change::Unkilled(unkilled) => {
            put_request(out, Some(unkilled.request));
            out.put_u16(runs_of(&unkilled.seats).count() as u16);
            out.put_u16(unkilled.areas.len() as u16);
            put_runs(out, &unkilled.seats);
            put_areas(out, &unkilled.areas);
        }
        Change::AllocationSet(set) => {
            put_request(out, Some(set.request));
            // At most 64 by its check.
            out.put_u8(set.key.len() as u8);
            out.put_u8(0);
            out.put_u16(runs_of(&set.seats).count() as u16);
            out.put_u16(set.areas.len() as u16);
            out.put_u64(set.opens_at.0);
            out.put_u64(set.closes_at.0);
            out.put(set.key.as_bytes());
            put_runs(out, &set.seats);
            put_areas(out, &set.areas);
        }
        Change::PriceLevelSet(set) => {
            put_request(out, Some(set.request));
            out.put(&set.plan.0);
            out.put_u16(runs_of(&set.seats).count() as u16);
            out.put_u16(set.areas.len() as u16);
            put_runs(out, &set.seats);
            put_areas(out, &set.areas);
        }
        Change::Rested(rested) => {
            assert!(rested.seats.len() + rested.admissions.len() <= RESTED_PER_CHANGE_MAX);
            out.put_u8(rested.seats.len() as u8);
            out.put_u8(rested.admissions.len() as u8);
            for &(until, seat) in &rested.seats {
                out.put_u64(until.0);
                out.put_u32(seat);
            }
            for (until, admission) in &rested.admissions {
                out.put_u64(until.0);
                out.put_u32(admission.word());
            }
        }
        Change::AllocationRemoved(removed) => {
            put_request(out, Some(removed.request));
            out.put_u8(removed.key.len() as u8);
            out.put_u8(u8::from(removed.whole));
            out.put_u16(runs_of(&removed.seats).count() as u16);
            out.put_u16(removed.areas.len() as u16);
            out.put(removed.key.as_bytes());
            put_runs(out, &removed.seats);
            put_areas(out, &removed.areas);
        }
        Change::EventRetired(retired) => put_request(out, Some(retired.request)),
        Change::Released(released) => {
            let counts = counts_of(released.seats.len(), released.admissions.len());
            let mut fixed = [0; 20];
            fixed[..16].copy_from_slice(&released.hold_id.0.to_le_bytes());
            fixed[16] = u8::from(released.request.is_some()) | u8::from(released.expires_at.is_some()) << 4;
            fixed[17..19].copy_from_slice(&counts);
            out.put(&fixed);
            put_request(out, released.request);
            put_time(out, released.expires_at);
            released.seats.iter().for_each(|&seat| out.put_u32(seat));
            released.admissions.iter().for_each(|admission| out.put_u32(admission.word()));
        }
        Change::Expired(ids) | Change::PaymentsLapsed(ids) => {
            assert!(ids.len() <= EXPIRED_HOLDS_PER_CHANGE_MAX);
            out.put_u16(ids.len() as u16);
            ids.iter().for_each(|id| out.put_u128(id.0));
        }
        Change::Resumed(resumed) => {
            out.put_u64(resumed.shift_ms);
            out.put_u8(resumed.cause as u8);
        }
        Change::FloorRaised(floor) | Change::PaidForgotten(floor) => out.put_u64(floor.0),
        Change::PaymentBegan(began) => {
            out.put_u128(began.hold_id.0);
            out.put_u128(began.attempt_id.0);
            out.put_u64(began.deadline.0);
        }
        Change::PaymentEnded(ended) => {
            out.put_u128(ended.hold_id.0);
            out.put_u128(ended.attempt_id.0);
            out.put_u8(ended.outcome as u8);
            out.put_u64(ended.expires_at.0);
        }
    }
}

#[inline]
fn put_held(out: &mut Vec<u8>, held: &Held) {
    let counts = counts_of(held.seats.len(), held.admissions.len());
    let mut fixed = [0; 56];
    fixed[..16].copy_from_slice(&held.hold_id.0.to_le_bytes());
    fixed[16..24].copy_from_slice(&held.fingerprint.to_le_bytes());
    fixed[24..32].copy_from_slice(&held.customer.0.to_le_bytes());
    fixed[32..40].copy_from_slice(&held.created_at.0.to_le_bytes());
    fixed[40..48].copy_from_slice(&held.expires_at.0.to_le_bytes());
    fixed[48] = u8::from(held.replaced.is_some()) | u8::from(!held.tags.is_empty()) << 2;
    fixed[49] = held.renewals;
    fixed[50] = held.arrangement as u8;
    fixed[51..53].copy_from_slice(&counts);
    fixed[53] = held.attempts;
    out.put(&fixed);
    if let Some(replaced) = held.replaced {
        out.put_u128(replaced.0);
    }
    if !held.tags.is_empty() {
        // One for each of at most 64 seats.
        out.put_u8(held.tags.len() as u8);
        out.put(&held.tags);
    }
    held.seats.iter().for_each(|seat| out.put_u32(seat.word()));
    held.admissions.iter().for_each(|admission| out.put_u32(admission.word()));
}

/// Append what a part is to its cart.
pub(crate) fn put_cart(out: &mut Vec<u8>, cart: &Cart, more: u16) {
    let (role, events) = match cart {
        Cart::First { others, .. } => (1, others.as_slice()),
        Cart::Part { first } => (2, core::slice::from_ref(first)),
    };
    out.put_u8(role);
    // At most 15.
    out.put_u8(events.len() as u8);
    out.put_u16(more);
    events.iter().for_each(|key| out.put_u64(key.0));
}

fn put_confirmed(out: &mut Vec<u8>, confirmed: &Confirmed) {
    out.put_u128(confirmed.hold_id.0);
    out.put_u8(
        u8::from(confirmed.request.is_some())
            | u8::from(confirmed.remainder == Remainder::Release) << 1
            | u8::from(confirmed.reclaimed) << 2
            | u8::from(confirmed.attempt_id.is_some()) << 3
            | u8::from(confirmed.expires_at.is_some()) << 4,
    );
    out.put(&counts_of(confirmed.seats.len(), confirmed.admissions.len()));
    let order = confirmed.order.as_str().as_bytes();
    // At most 64 by its type.
    out.put_u8(order.len() as u8);
    put_request(out, confirmed.request);
    if let Some(attempt) = confirmed.attempt_id {
        out.put_u128(attempt.0);
    }
    put_time(out, confirmed.expires_at);
    out.put(order);
    confirmed.seats.iter().for_each(|&seat| out.put_u32(seat));
    confirmed.admissions.iter().for_each(|admission| out.put_u32(admission.word()));
}

fn put_sold_direct(out: &mut Vec<u8>, sold: &SoldDirect) {
    out.put_u128(sold.hold_id.0);
    out.put_u64(sold.fingerprint);
    out.put_u64(sold.customer.0);
    out.put(&counts_of(sold.seats.len(), sold.admissions.len()));
    let order = sold.order.as_str().as_bytes();
    // At most 64 by its type.
    out.put_u8(order.len() as u8);
    out.put_u8(0);
    out.put(order);
    sold.seats.iter().for_each(|seat| out.put_u32(seat.word()));
    sold.admissions.iter().for_each(|admission| out.put_u32(admission.word()));
}

fn put_returned(out: &mut Vec<u8>, returned: &Returned) {
    let order = returned.order.as_str().as_bytes();
    out.put_u8(u8::from(returned.request.is_some()));
    out.put_u8(returned.to as u8);
    // Both at most 64 by their types and checks.
    out.put_u8(order.len() as u8);
    out.put_u8(returned.reason.len() as u8);
    out.put_u16(runs_of(&returned.seats).count() as u16);
    out.put_u16(returned.admissions.len() as u16);
    put_request(out, returned.request);
    out.put(order);
    out.put(returned.reason.as_bytes());
    put_runs(out, &returned.seats);
    for (hold_id, admission) in &returned.admissions {
        out.put_u128(hold_id.0);
        out.put_u32(admission.word());
    }
}

fn put_runs(out: &mut Vec<u8>, seats: &[u32]) {
    assert!(runs_of(seats).count() <= SEAT_RUNS_PER_CHANGE_MAX);
    for (first, count) in runs_of(seats) {
        out.put_u32(first);
        out.put_u32(count);
    }
}

fn put_areas(out: &mut Vec<u8>, areas: &[(u16, u32)]) {
    for &(area, quantity) in areas {
        out.put_u32(u32::from(area));
        out.put_u32(quantity);
    }
}

fn counts_of(seats: usize, admissions: usize) -> [u8; 2] {
    assert!(seats <= PLACES_PER_HOLD_MAX && admissions <= PLACES_PER_HOLD_MAX);
    [seats as u8, admissions as u8]
}

fn put_time(out: &mut Vec<u8>, time: Option<TimestampMs>) {
    if let Some(time) = time {
        out.put_u64(time.0);
    }
}

fn put_request(out: &mut Vec<u8>, request: Option<(RequestId, u64)>) {
    if let Some((id, fingerprint)) = request {
        out.put_u128(id.0);
        out.put_u64(fingerprint);
    }
}

/// Append all settings.
pub(crate) fn put_settings(out: &mut Vec<u8>, settings: &Settings) {
    let p = &settings.policies;
    out.put_u8(settings.state as u8);
    out.put_u8(p.orphan_rule as u8);
    // At most 16 by `Settings::check`.
    out.put_u8(settings.labels.len() as u8);
    out.put_u8(u8::from(settings.has_later()));
    out.put_u64(settings.opens_at.0);
    out.put_u64(settings.closes_at.0);
    out.put_u64(settings.starts_at.0);
    for word in [
        p.hold_ttl_s,
        p.lifetime_s_max,
        p.renewals_max,
        p.payment_grace_s,
        p.payment_attempts_max,
        p.payment_left_s_min,
        p.places_per_hold_max,
        p.places_per_customer_max,
        p.holds_per_customer_max,
        p.retry_window_s,
        p.cooling_s_max,
    ] {
        out.put_u32(word);
    }
    out.put_text(&settings.display_name);
    out.put_text(&settings.time_zone);
    for (key, value) in &settings.labels {
        out.put_text(key);
        out.put_text(value);
    }
    if settings.has_later() {
        out.put_u32(p.abandon_credits_max);
        out.put_u32(p.abandon_refill_s);
        // At most 64, 32, 64 and 64 by their checks.
        out.put_u8(settings.limits.by_level.len() as u8);
        for limit in &settings.limits.by_level {
            out.put_text(&limit.level);
            out.put_u32(limit.places_max);
        }
        out.put_u8(settings.limits.quotas.len() as u8);
        for quota in &settings.limits.quotas {
            out.put_text(&quota.name);
            for names in [&quota.levels, &quota.areas] {
                out.put_u8(names.len() as u8);
                names.iter().for_each(|name| out.put_text(name));
            }
            out.put_u32(quota.places_max);
        }
    }
}

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
