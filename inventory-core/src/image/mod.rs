//! The bytes of a slot in a checkpoint: all its events, places and holds at one moment.
//!
//! ```text
//! slot     magic "USLT" u32, version u16, slot u8, 0 u8, time u64, events u32,
//!          from version 3 on: features u8 (1 kills, 2 retired events, 4 allocations, 8 expiries), [retired], then each event:
//! retired  count u32: [number u32, key u64]
//! event    id text, key u64, fingerprint u64, plan digest 32, plan revision u32, event_seq u32,
//!          hash u64, id floor u64, tenant u32 (0), settings (as in the log),
//!          requests u16: [request id u128, fingerprint u64, until u64],
//!          seats u32, first plane u64 each 64 seats, second plane the same,
//!          areas u16: [held u32, sold u32, killed u32],
//!          holds u32: [hold], [kills], [allocations], [expiries]
//! kills    reasons u8: text, reason of each killed seat u8
//! allocations  numbers u8: in use u8, [key text, opens_at u64, closes_at u64]; if there are any: tag of each seat u8, of each
//!          area quotas u8: allocation number u8 (0: free), quota u32
//! expiries customers u32: [customer u64, credits spent u32, since u64], resting u32: [until u64, kind u8 (0 a seat,
//!          1 admissions), index or word u32, how often u32]
//! hold     hold id u128, fingerprint u64, customer u64, created_at u64, until u64, ended_at u64,
//!          state u8, cause u8, renewals u8, arrangement u8, flags u8 (1 request, 2 payments, 4 lost, 8 sales,
//!          16 last sold in part, 32 cart, 64 tags),
//!          seats u8, admissions u8, orders u8, last order u8, [request], [payments], [lost], [sales],
//!          [tags u8: allocation number u8], [cart], orders: text, seat words u32, admission words u32
//! lost     seats u8, seats that are in no plan now u8, seat indexes u32
//! sales    seats u8, admissions u8, seats: order u8, index u32; admissions: order u8, word u32
//! cart     role u8 (1 first, 2 part), events u8, settled u16 (0, 1), event keys u64: the others, in order; of a part the first
//! payments attempts used by a hold before it u8, attempts u8, flags u8 (1 the last is open, 2 one paid),
//!          expires_at u64, [the one that paid u128], attempt ids u128
//! ```
//!
//! An image says only of what there is: version 1 has no feature, version 2 has kills and nothing else, version 3 names
//! what it has. Events are numbered in their order, past the numbers of retired ones. Little-endian. Holds stand in order
//! of their ids and what is forgotten at `time` is left out, so one state has one image. The planes are what the holds
//! say, written again: decoding compares them, and the hash, so that a checkpoint proves itself.
//!
//! Not here: reading (`decode.rs`) and believing (`restore.rs`) what was read, checksums and files (crate `wal`), the plans (files of their own).

mod decode;
mod restore;

use alloc::vec::Vec;

use crate::{
    bytes::Put,
    cart::Cart,
    codec::{put_cart, put_settings},
    event::Event,
    hold::Entry,
    ids::{EventKey, EventNumber, TimestampMs},
    place::PlaceState,
    resting::Rest,
    slot::Slot,
};

pub use decode::plans_of;
pub use restore::{EventInImage, decode_slot, decode_slot_partly};

const MAGIC: u32 = u32::from_le_bytes(*b"USLT");
/// Without features.
const PLAIN: u16 = 1;
/// With kills alone.
const WITH_KILLS: u16 = 2;
/// With the features that it names.
const WITH_FEATURES: u16 = 3;

/// Feature: of each event, the places that the house killed.
const KILLS: u8 = 1;
/// Feature: before the events, the retired ones.
const RETIRED: u8 = 2;
/// Feature: of each event, its allocations.
const ALLOCATIONS: u8 = 4;
/// Feature: of each event, what holds that expired left behind.
const EXPIRIES: u8 = 8;
/// All features.
const KNOWN: u8 = KILLS | RETIRED | ALLOCATIONS | EXPIRIES;

/// The first version that has room for these features.
const fn version_of(features: u8) -> u16 {
    match features {
        0 => PLAIN,
        KILLS => WITH_KILLS,
        _ => WITH_FEATURES,
    }
}

/// Append the image of `slot` to `out`.
pub fn encode_slot(slot: &Slot, out: &mut Vec<u8>) {
    let events: Vec<&Event> = slot.events().collect();
    let retired: Vec<(EventNumber, EventKey)> = slot.retired().collect();
    encode(slot, &events, &retired, out);
}

/// Append the image of a slot that has this event of `slot` alone to `out`.
pub(crate) fn encode_alone(slot: &Slot, event: &Event, out: &mut Vec<u8>) {
    encode(slot, &[event], &[], out);
}

fn encode(slot: &Slot, events: &[&Event], retired: &[(EventNumber, EventKey)], out: &mut Vec<u8>) {
    let has_kills = events.iter().any(|event| !event.kill_reasons.is_empty());
    let has_allocations = events.iter().any(|event| event.allocations.is_some());
    let left_behind = |event: &&Event| {
        let policies = &event.settings.policies;
        !event.resting.is_empty() || event.abandoned.at(slot.now, policies).next().is_some()
    };
    let has_expiries = events.iter().any(left_behind);
    let features = (u8::from(has_kills) * KILLS)
        | (u8::from(!retired.is_empty()) * RETIRED)
        | (u8::from(has_allocations) * ALLOCATIONS)
        | (u8::from(has_expiries) * EXPIRIES);
    out.put_u32(MAGIC);
    out.put_u16(version_of(features));
    out.put_u8(slot.index.0);
    out.put_u8(0);
    out.put_u64(slot.now.0);
    // EVENTS_PER_SERVER_MAX is far below 2^32.
    out.put_u32(events.len() as u32);
    if version_of(features) == WITH_FEATURES {
        out.put_u8(features);
    }
    if features & RETIRED != 0 {
        // At most 10,000.
        out.put_u32(retired.len() as u32);
        for (number, key) in retired {
            out.put_u32(number.0);
            out.put_u64(key.0);
        }
    }
    let mut by_event: Vec<Vec<&Entry>> = alloc::vec![Vec::new(); slot.next_event_number().0 as usize];
    for (_, entry) in slot.holds.iter() {
        let is_due = entry.is_tombstone() && (slot.now >= entry.until || probe::planted!(EndedHoldsNotInCheckpoint));
        if !is_due {
            by_event[entry.event.0 as usize].push(entry);
        }
    }
    for event in events {
        let mut holds = core::mem::take(&mut by_event[event.number.0 as usize]);
        holds.sort_unstable_by_key(|entry| entry.hold_id());
        encode_event(event, slot.now, &holds, out);
        if features & KILLS != 0 {
            encode_kills(event, out);
        }
        if features & ALLOCATIONS != 0 {
            encode_allocations(event, out);
        }
        if features & EXPIRIES != 0 {
            encode_expiries(event, slot.now, out);
        }
    }
}

fn encode_expiries(event: &Event, now: TimestampMs, out: &mut Vec<u8>) {
    let spent = || event.abandoned.at(now, &event.settings.policies);
    out.put_u32(spent().count() as u32);
    for (customer, spent) in spent() {
        out.put_u64(customer.0);
        out.put_u32(spent.credits);
        out.put_u64(spent.since.0);
    }
    out.put_u32(event.resting.len() as u32);
    for (&(until, what), &count) in &event.resting {
        out.put_u64(until.0);
        let (kind, word) = match what {
            Rest::Seat(seat) => (0, seat),
            Rest::Admissions(admission) => (1, admission.word()),
        };
        out.put_u8(kind);
        out.put_u32(word);
        out.put_u32(count);
    }
}

fn encode_allocations(event: &Event, out: &mut Vec<u8>) {
    let Some(all) = event.allocations.as_ref().filter(|all| !all.is_empty()) else { return out.put_u8(0) };
    let (numbers, tags, quotas) = all.parts();
    // What is free at the end is no number at all. At most 255.
    let used = numbers.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
    out.put_u8(used as u8);
    for one in &numbers[..used] {
        out.put_u8(u8::from(one.is_some()));
        if let Some(one) = one {
            out.put_text(&one.key);
            out.put_u64(one.opens_at.0);
            out.put_u64(one.closes_at.0);
        }
    }
    out.put(tags);
    for quotas in quotas {
        // At most 15.
        let used = quotas.iter().rposition(|quota| quota.allocation != 0).map_or(0, |last| last + 1);
        out.put_u8(used as u8);
        for quota in &quotas[..used] {
            out.put_u8(quota.allocation);
            out.put_u32(quota.quota);
        }
    }
}

fn encode_event(event: &Event, now: TimestampMs, holds: &[&Entry], out: &mut Vec<u8>) {
    out.put_text(event.id.as_str());
    out.put_u64(event.key.0);
    out.put_u64(event.fingerprint);
    out.put(&event.plan.digest().0);
    out.put_u32(event.plan_revision);
    out.put_u32(event.seq);
    out.put_u64(event.hash);
    out.put_u64(event.id_floor.0);
    out.put_u32(0);
    put_settings(out, &event.settings);
    // At most 16,384.
    out.put_u16(event.requests_at(now).count() as u16);
    for (id, known) in event.requests_at(now) {
        out.put_u128(id.0);
        out.put_u64(known.fingerprint);
        out.put_u64(known.until.0);
    }
    out.put_u32(event.plan.seat_count());
    for plane in [event.planes.held(), event.planes.sold()] {
        plane.iter().for_each(|&word| out.put_u64(word));
    }
    out.put_u16(event.areas.len() as u16);
    for counts in &event.areas {
        out.put_u32(counts.held);
        out.put_u32(counts.sold);
        out.put_u32(counts.killed);
    }
    out.put_u32(holds.len() as u32);
    holds.iter().for_each(|entry| encode_hold(entry, out));
}

fn encode_kills(event: &Event, out: &mut Vec<u8>) {
    // At most 255.
    out.put_u8(event.kill_reasons.len() as u8);
    event.kill_reasons.iter().for_each(|reason| out.put_text(reason));
    let killed = (0..event.plan.seat_count()).filter(|&seat| event.seat_state(seat) == PlaceState::Killed);
    killed.for_each(|seat| out.put_u8(event.owner[seat as usize] as u8));
}

fn encode_hold(entry: &Entry, out: &mut Vec<u8>) {
    out.put_u128(entry.hold_id().0);
    out.put_u64(entry.fingerprint);
    out.put_u64(entry.customer.0);
    out.put_u64(entry.created_at.0);
    out.put_u64(entry.until.0);
    out.put_u64(entry.ended_at.0);
    out.put_u8(entry.state() as u8);
    out.put_u8(entry.cause() as u8);
    out.put_u8(entry.renewals);
    out.put_u8(entry.arrangement() as u8);
    out.put_u8(
        u8::from(entry.request().is_some())
            | u8::from(entry.payments().is_some()) << 1
            | u8::from(entry.lost_count() > 0) << 2
            | u8::from(entry.sales().is_some()) << 3
            | u8::from(entry.sold_in_part()) << 4
            | u8::from(entry.cart().is_some()) << 5
            | u8::from(!entry.tags().is_empty()) << 6,
    );
    // At most 64 seats, 128 admission words and as many orders as places.
    out.put_u8(entry.seat_words().len() as u8);
    out.put_u8(entry.admission_words().len() as u8);
    out.put_u8(entry.orders().count() as u8);
    out.put_u8(entry.last_order_index());
    if let Some((id, fingerprint)) = entry.request() {
        out.put_u128(id.0);
        out.put_u64(fingerprint);
    }
    if let Some(payments) = entry.payments() {
        out.put_u8(payments.inherited);
        // At most 8 by the policy.
        out.put_u8(payments.attempts.len() as u8);
        out.put_u8(u8::from(payments.is_open) | u8::from(payments.paid_by.is_some()) << 1);
        out.put_u64(payments.expires_at.0);
        payments.paid_by.iter().chain(&payments.attempts).for_each(|attempt| out.put_u128(attempt.0));
    }
    let (lost, gone) = entry.lost();
    if entry.lost_count() > 0 {
        // At most 64 of one hold.
        out.put_u8(lost.len() as u8);
        out.put_u8(gone);
        lost.iter().for_each(|&seat| out.put_u32(seat));
    }
    if let Some(sales) = entry.sales() {
        // At most 64 places.
        out.put_u8(sales.seats.len() as u8);
        out.put_u8(sales.admissions.len() as u8);
        for &(order, seat) in &sales.seats {
            out.put_u8(order);
            out.put_u32(seat);
        }
        for (order, admission) in &sales.admissions {
            out.put_u8(*order);
            out.put_u32(admission.word());
        }
    }
    if !entry.tags().is_empty() {
        // One for each of at most 64 seats.
        out.put_u8(entry.tags().len() as u8);
        out.put(entry.tags());
    }
    if let Some(cart) = entry.cart() {
        put_cart(out, cart, u16::from(matches!(cart, Cart::First { is_settled: true, .. })));
    }
    entry.orders().for_each(|order| out.put_text(order.as_str()));
    entry.words().iter().for_each(|&word| out.put_u32(word));
}
