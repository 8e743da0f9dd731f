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
//! Not here: reading (`decode.rs`), batches, checksums and files (crate `wal`), runs (crate `engine`).

mod decode;

use alloc::vec::Vec;

use crate::{
    bytes::Put,
    cart::Cart,
    change::{Change, Confirmed, Held, Record, Returned, SoldDirect, Taken},
    command::Remainder,
    ids::{EventNumber, RequestId, TimestampMs},
    limits::{EXPIRED_HOLDS_PER_CHANGE_MAX, PLACES_PER_HOLD_MAX, RECORD_BYTES_MAX, SEAT_RUNS_PER_CHANGE_MAX},
    place_set::runs_of,
    policy::Settings,
    resting::RESTED_PER_CHANGE_MAX,
};

pub use crate::bytes::DecodeError;
pub use decode::decode_record;

pub(crate) use decode::{hold_id, read_cart, request, request_id, settings, tags};

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
