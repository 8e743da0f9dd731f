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
//! what it has. Events are numbered in their order, past the numbers of retired ones. Little-endian. Holds stand in order of their ids and what is forgotten at `time` is left out, so
//! one state has one image. The planes are what the holds say, written again: decoding compares them,
//! and the hash, so that a checkpoint proves itself.
//!
//! Not here: checksums and files (crate `wal`), the plans (files of their own).

use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};

use crate::{
    abandoned::Spent,
    allocation::is_key,
    allocations::Allocations,
    best_available::Arrangement,
    bytes::{DecodeError, Put, Reader},
    cart::Cart,
    change::{HoldCause, HoldState},
    codec::{hold_id, put_cart, put_settings, read_cart, request, request_id, settings, tags},
    event::{AreaCounts, Event, OpsRequest},
    hold::{Entry, Payments, Sales, unsold_count},
    ids::{CustomerKey, EventId, EventKey, EventNumber, OrderRef, PlanDigest, RequestId, SlotIndex, TimestampMs},
    kill::check_reason,
    limits::{
        ALLOCATION_KEY_BYTES_MAX, AREAS_PER_PLAN_MAX, EVENT_ID_BYTES_MAX, EVENTS_PER_SERVER_MAX, KILL_REASON_BYTES_MAX,
        OPS_REQUESTS_PER_EVENT_MAX, ORDER_REF_BYTES_MAX, PLACES_PER_EVENT_MAX, PLACES_PER_HOLD_MAX,
        QUOTAS_PER_AREA_MAX, RETIRED_EVENTS_PER_SLOT_MAX,
    },
    place::{Admission, PlaceState, SOLD, Seat},
    resting::{RESTING, Rest},
    slot::{Plans, Slot, SlotConfig},
};

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

/// The plans that an image names, each once, so that they can be loaded before it is decoded.
///
/// # Errors
/// Where the bytes are no image this version writes.
pub fn plans_of(bytes: &[u8]) -> Result<Vec<PlanDigest>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let Header { features, events, .. } = header(&mut reader)?;
    let mut plans = Vec::new();
    for _ in 0..events {
        let image = read_event(&mut reader, features)?;
        plans.push(image.plan);
    }
    plans.sort_unstable();
    plans.dedup();
    Ok(plans)
}

/// The slot whose image `bytes` is.
///
/// # Errors
/// Where the bytes are no image this version writes, or contradict themselves.
pub fn decode_slot(bytes: &[u8], index: SlotIndex, config: SlotConfig, plans: &dyn Plans) -> Result<Slot, DecodeError> {
    decode_slot_partly(bytes, index, config, plans, &|_| true).map(|(slot, _)| slot)
}

/// An event of an image: its number in the image is its place in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventInImage {
    /// Its name; nothing when it was retired.
    pub id: Option<EventId>,
    /// Its key.
    pub key: EventKey,
    /// The plan it has; nothing when it was retired.
    pub plan: Option<PlanDigest>,
    /// Number of its last change; 0 when it was retired.
    pub seq: u32,
    /// Its number in the slot that was decoded; nothing when it was left out.
    pub number: Option<EventNumber>,
}

/// The slot whose image `bytes` is, without the events whose plan is not had: for saving what can be saved.
/// The events that are there are numbered anew where one before them is left out.
///
/// # Errors
/// Where the bytes are no image this version writes, or contradict themselves.
pub fn decode_slot_partly(
    bytes: &[u8],
    index: SlotIndex,
    config: SlotConfig,
    plans: &dyn Plans,
    has: &dyn Fn(&PlanDigest) -> bool,
) -> Result<(Slot, Vec<EventInImage>), DecodeError> {
    let mut reader = Reader::new(bytes);
    let Header { features, index: found, now, events, retired } = header(&mut reader)?;
    if found != index {
        return Err(reader.error("the image of another slot"));
    }
    let mut slot = Slot::new(index, config);
    slot.now = now;
    let mut list = Vec::new();
    let mut retired = retired.into_iter().peekable();
    for _ in 0..events {
        while let Some(key) = next_retired(&mut retired, list.len()) {
            list.push(restore_retired(&mut slot, key, &reader)?);
        }
        let image = read_event(&mut reader, features)?;
        let (plan, seq) = (image.plan, image.seq);
        let number = has(&plan).then(|| slot.next_event_number());
        list.push(EventInImage { id: Some(image.id.clone()), key: image.key, plan: Some(plan), seq, number });
        if number.is_some() {
            restore_event(&mut slot, image, plans, &reader)?;
        }
    }
    while let Some(key) = next_retired(&mut retired, list.len()) {
        list.push(restore_retired(&mut slot, key, &reader)?);
    }
    if retired.next().is_some() {
        return Err(reader.error("a retired event of a number that no event had"));
    }
    if reader.left() > 0 {
        return Err(reader.error("bytes left after the last event"));
    }
    Ok((slot, list))
}

/// The key of the retired event that is the next of all events, if it is one.
fn next_retired(
    retired: &mut core::iter::Peekable<alloc::vec::IntoIter<(EventNumber, EventKey)>>,
    next: usize,
) -> Option<EventKey> {
    retired.next_if(|(number, _)| number.0 as usize == next).map(|(_, key)| key)
}

fn restore_retired(slot: &mut Slot, key: EventKey, reader: &Reader<'_>) -> Result<EventInImage, DecodeError> {
    if key.slot() != slot.index || slot.find(key).is_some() || slot.is_retired(key) {
        return Err(reader.error("an event of another slot, or twice"));
    }
    let number = slot.next_event_number();
    slot.add_retired(key);
    Ok(EventInImage { id: None, key, plan: None, seq: 0, number: Some(number) })
}

struct Header {
    features: u8,
    index: SlotIndex,
    now: TimestampMs,
    events: u32,
    retired: Vec<(EventNumber, EventKey)>,
}

fn header(reader: &mut Reader<'_>) -> Result<Header, DecodeError> {
    if reader.u32()? != MAGIC {
        return Err(reader.error("no image of a slot"));
    }
    let version = reader.u16()?;
    if !(PLAIN..=WITH_FEATURES).contains(&version) {
        return Err(reader.error("a version of an image that this server does not know"));
    }
    let index = SlotIndex(reader.u8()?);
    if reader.u8()? != 0 {
        return Err(reader.error("a reserved field that is not zero"));
    }
    let now = TimestampMs(reader.u64()?);
    let events = reader.u32()?;
    if events > EVENTS_PER_SERVER_MAX {
        return Err(reader.error("more events than a server has"));
    }
    let features = match version {
        PLAIN => 0,
        WITH_KILLS => KILLS,
        _ => reader.u8()?,
    };
    if features & !KNOWN != 0 || version_of(features) != version {
        return Err(reader.error("features of an image that this server does not know"));
    }
    let retired = if features & RETIRED != 0 { read_retired(reader)? } else { Vec::new() };
    Ok(Header { features, index, now, events, retired })
}

fn read_retired(reader: &mut Reader<'_>) -> Result<Vec<(EventNumber, EventKey)>, DecodeError> {
    let count = reader.u32()?;
    if !(1..=RETIRED_EVENTS_PER_SLOT_MAX).contains(&count) {
        return Err(reader.error("more retired events than a slot has, or none"));
    }
    let mut retired: Vec<(EventNumber, EventKey)> = Vec::new();
    for _ in 0..count {
        let (number, key) = (EventNumber(reader.u32()?), EventKey(reader.u64()?));
        if retired.last().is_some_and(|(last, _)| *last >= number) {
            return Err(reader.error("retired events out of order"));
        }
        retired.push((number, key));
    }
    Ok(retired)
}

/// An event as read, not yet believed.
struct EventImage {
    id: EventId,
    key: EventKey,
    fingerprint: u64,
    plan: PlanDigest,
    plan_revision: u32,
    seq: u32,
    hash: u64,
    id_floor: TimestampMs,
    settings: crate::policy::Settings,
    ops_requests: BTreeMap<RequestId, OpsRequest>,
    seats: u32,
    held: Vec<u64>,
    sold: Vec<u64>,
    areas: Vec<AreaCounts>,
    holds: Vec<Entry>,
    kill_reasons: Vec<Box<str>>,
    /// Of each killed seat, in plan order.
    kills: Vec<u8>,
    allocations: Option<AllocationsImage>,
    spent: Vec<(CustomerKey, Spent)>,
    resting: Vec<(TimestampMs, Rest, u32)>,
}

/// Allocations as read: keys and windows by number, tags by seat, allocation and quota by area and source.
struct AllocationsImage {
    all: Vec<Option<(Box<str>, TimestampMs, TimestampMs)>>,
    tags: Vec<u8>,
    quotas: Vec<Vec<(u8, u32)>>,
}

fn read_event(reader: &mut Reader<'_>, features: u8) -> Result<EventImage, DecodeError> {
    let id = reader.text(EVENT_ID_BYTES_MAX)?;
    let id = EventId::parse(&id).ok_or(reader.error("no event id"))?;
    let key = EventKey(reader.u64()?);
    let fingerprint = reader.u64()?;
    let plan = PlanDigest(reader.digest()?);
    let plan_revision = reader.u32()?;
    let seq = reader.u32()?;
    let hash = reader.u64()?;
    let id_floor = TimestampMs(reader.u64()?);
    if reader.u32()? != 0 {
        return Err(reader.error("a tenant, which this server does not know"));
    }
    let settings = settings(reader)?;
    let requests = usize::from(reader.u16()?);
    if requests > OPS_REQUESTS_PER_EVENT_MAX {
        return Err(reader.error("more remembered requests than an event has"));
    }
    let mut ops_requests = BTreeMap::new();
    for _ in 0..requests {
        let (id, fingerprint) = request(reader)?;
        let known = OpsRequest { fingerprint, until: TimestampMs(reader.u64()?) };
        if ops_requests.insert(id, known).is_some() {
            return Err(reader.error("a request that is remembered twice"));
        }
    }
    let seats = reader.u32()?;
    if seats > PLACES_PER_EVENT_MAX {
        return Err(reader.error("more seats than an event has"));
    }
    let words = seats.div_ceil(64) as usize;
    let held = reader.long_words(words)?;
    let sold = reader.long_words(words)?;
    let area_count = usize::from(reader.u16()?);
    if area_count > AREAS_PER_PLAN_MAX {
        return Err(reader.error("more areas than a plan has"));
    }
    let mut areas = Vec::with_capacity(area_count);
    for _ in 0..area_count {
        areas.push(AreaCounts { held: reader.u32()?, sold: reader.u32()?, killed: reader.u32()? });
    }
    let hold_count = reader.u32()? as usize;
    // A hold takes 64 bytes at least: no more memory than the bytes at hand can fill.
    let mut holds: Vec<Entry> = Vec::with_capacity(hold_count.min(reader.left() / 64));
    for _ in 0..hold_count {
        let entry = read_hold(reader)?;
        if holds.last().is_some_and(|last| last.hold_id() >= entry.hold_id()) {
            return Err(reader.error("holds out of order"));
        }
        holds.push(entry);
    }
    let (mut kill_reasons, mut kills) = (Vec::new(), Vec::new());
    if features & KILLS != 0 {
        for _ in 0..reader.u8()? {
            let reason = reader.text(KILL_REASON_BYTES_MAX)?;
            if check_reason(&reason).is_err() || kill_reasons.contains(&reason) {
                return Err(reader.error("no reason of a kill, or twice"));
            }
            kill_reasons.push(reason);
        }
        let killed: u32 = held.iter().zip(&sold).map(|(held, sold)| (held & sold).count_ones()).sum();
        // At most 1,000,000.
        kills = reader.take(killed as usize)?.to_vec();
        if kills.iter().any(|&reason| usize::from(reason) >= kill_reasons.len()) {
            return Err(reader.error("a seat killed for no reason that there is"));
        }
    }
    let allocations = if features & ALLOCATIONS != 0 { read_allocations(reader, seats, area_count)? } else { None };
    let (mut spent, mut resting) = (Vec::new(), Vec::new());
    if features & EXPIRIES != 0 {
        for _ in 0..reader.u32()? {
            let customer = CustomerKey(reader.u64()?);
            spent.push((customer, Spent { credits: reader.u32()?, since: TimestampMs(reader.u64()?) }));
        }
        for _ in 0..reader.u32()? {
            resting.push(read_rest(reader)?);
        }
    }
    Ok(EventImage {
        id,
        key,
        fingerprint,
        plan,
        plan_revision,
        seq,
        hash,
        id_floor,
        settings,
        ops_requests,
        seats,
        held,
        sold,
        areas,
        holds,
        kill_reasons,
        kills,
        allocations,
        spent,
        resting,
    })
}

fn read_rest(reader: &mut Reader<'_>) -> Result<(TimestampMs, Rest, u32), DecodeError> {
    let until = TimestampMs(reader.u64()?);
    let (kind, word) = (reader.u8()?, reader.u32()?);
    let what = match kind {
        0 => Rest::Seat(word),
        1 => {
            let admission = Admission::from_word(word);
            let fits = (1..=PLACES_PER_HOLD_MAX).contains(&usize::from(admission.quantity));
            if !fits || admission.word() != word {
                return Err(reader.error("admissions out of their bounds"));
            }
            Rest::Admissions(admission)
        }
        _ => return Err(reader.error("something unknown that rests")),
    };
    let count = reader.u32()?;
    let most = if kind == 0 { 1 } else { PLACES_PER_EVENT_MAX };
    if !(1..=most).contains(&count) {
        return Err(reader.error("something that rests too often, or never"));
    }
    Ok((until, what, count))
}

/// What rests is held by nobody.
fn restore_rest(
    event: &mut Event,
    resting: Vec<(TimestampMs, Rest, u32)>,
    reader: &Reader<'_>,
) -> Result<(), DecodeError> {
    let mut last = None;
    for (until, what, count) in resting {
        if last >= Some((until, what)) {
            return Err(reader.error("what rests stands out of order, or twice"));
        }
        last = Some((until, what));
        for _ in 0..count {
            match what {
                Rest::Seat(seat) => {
                    if seat >= event.plan.seat_count() || event.seat_state(seat) != PlaceState::Open {
                        return Err(reader.error("a seat that rests and is another's, or in no plan"));
                    }
                    event.move_seat(seat, PlaceState::Open, PlaceState::Held, RESTING, &mut None);
                    event.rest_seat(until, seat);
                }
                Rest::Admissions(admission) => {
                    let quantity = u32::from(admission.quantity);
                    let is_there = usize::from(admission.area) < event.areas.len()
                        && event.has_room_for(admission)
                        && event.area_open(admission.area) >= quantity;
                    if !is_there {
                        return Err(reader.error("admissions that rest, over the capacity of their area or quota"));
                    }
                    event.move_admission(admission, PlaceState::Open, PlaceState::Held, &mut None);
                    event.rest_admissions(until, admission);
                }
            }
        }
    }
    Ok(())
}

fn read_allocations(
    reader: &mut Reader<'_>,
    seats: u32,
    areas: usize,
) -> Result<Option<AllocationsImage>, DecodeError> {
    let mut all: Vec<Option<(Box<str>, TimestampMs, TimestampMs)>> = Vec::new();
    for _ in 0..reader.u8()? {
        let one = match reader.u8()? {
            0 => None,
            1 => {
                let key = reader.text(ALLOCATION_KEY_BYTES_MAX)?;
                if !is_key(&key) || all.iter().flatten().any(|(other, ..)| *other == key) {
                    return Err(reader.error("no key of an allocation, or twice"));
                }
                Some((key, TimestampMs(reader.u64()?), TimestampMs(reader.u64()?)))
            }
            _ => return Err(reader.error("an allocation that is neither there nor not")),
        };
        all.push(one);
    }
    if all.is_empty() {
        return Ok(None);
    }
    // At most 1,000,000.
    let tags = reader.take(seats as usize)?.to_vec();
    let mut quotas = Vec::with_capacity(areas);
    for _ in 0..areas {
        let count = usize::from(reader.u8()?);
        if count > QUOTAS_PER_AREA_MAX {
            return Err(reader.error("more quotas than an area has"));
        }
        quotas.push((0..count).map(|_| Ok((reader.u8()?, reader.u32()?))).collect::<Result<Vec<_>, DecodeError>>()?);
    }
    Ok(Some(AllocationsImage { all, tags, quotas }))
}

fn read_hold(reader: &mut Reader<'_>) -> Result<Entry, DecodeError> {
    let id = hold_id(reader)?;
    let fingerprint = reader.u64()?;
    let customer = CustomerKey(reader.u64()?);
    let created_at = TimestampMs(reader.u64()?);
    let until = TimestampMs(reader.u64()?);
    let ended_at = TimestampMs(reader.u64()?);
    let state = match reader.u8()? {
        0 => HoldState::Active,
        1 => HoldState::Paying,
        2 => HoldState::Confirmed,
        3 => HoldState::Released,
        4 => HoldState::Expired,
        _ => return Err(reader.error("a state of a hold that this server does not know")),
    };
    let cause = match reader.u8()? {
        0 => HoldCause::None,
        1 => HoldCause::Requested,
        2 => HoldCause::Replaced,
        3 => HoldCause::Deadline,
        4 => HoldCause::Killed,
        5 => HoldCause::Cancelled,
        6 => HoldCause::CartRefused,
        7 => HoldCause::PartMissing,
        _ => return Err(reader.error("an unknown cause of a hold's end")),
    };
    let renewals = reader.u8()?;
    let arrangement = Arrangement::from_number(reader.u8()?).ok_or(reader.error("an unknown arrangement"))?;
    let flags = reader.u8()?;
    if flags > 127 {
        return Err(reader.error("a flag that this server does not know"));
    }
    let (seats, admissions, orders) = (reader.u8()?, reader.u8()?, reader.u8()?);
    let last_order = reader.u8()?;
    if last_order >= orders.max(1) {
        return Err(reader.error("a last order that is not there"));
    }
    if seats > 64 || admissions > 128 || orders > 64 {
        return Err(reader.error("more places than a hold has"));
    }
    let last_request = (flags & 1 != 0).then(|| request(reader)).transpose()?;
    let payments = (flags & 2 != 0).then(|| read_payments(reader)).transpose()?;
    let pays = payments.as_ref().is_some_and(|payments| payments.is_open);
    // A part of a cart is paying without an attempt.
    let in_cart = flags & 32 != 0;
    if if in_cart { pays || state == HoldState::Active } else { pays != (state == HoldState::Paying) } {
        return Err(reader.error("a paying hold without an open payment, or another with one"));
    }
    let (mut lost, mut lost_gone) = (Vec::new(), 0);
    if flags & 4 != 0 {
        let count = reader.u8()?;
        lost_gone = reader.u8()?;
        lost = reader.words(usize::from(count))?;
        if (lost.is_empty() && lost_gone == 0) || lost.len() + usize::from(lost_gone) > 64 {
            return Err(reader.error("lost places that a hold cannot have"));
        }
    }
    let sales = (flags & 8 != 0).then(|| read_sales(reader, orders)).transpose()?;
    let tags = if flags & 64 != 0 { tags(reader)? } else { Vec::new() };
    let cart = in_cart.then(|| read_cart_of_hold(reader, state)).transpose()?;
    // The event's number is set when the slot takes the hold in.
    let event = crate::ids::EventNumber(0);
    let mut entry = Entry::new(event, id, fingerprint, customer, created_at, until, renewals, arrangement);
    entry.set_state(state, cause);
    entry.ended_at = ended_at;
    entry.set_request(last_request);
    entry.set_payments(payments);
    entry.set_lost(lost, lost_gone);
    entry.set_sold_in_part(flags & 16 != 0);
    entry.set_tags(tags);
    entry.set_cart(cart);
    for _ in 0..orders {
        let order = reader.text(ORDER_REF_BYTES_MAX)?;
        entry.add_order(&OrderRef::parse(&order).ok_or(reader.error("no order reference"))?);
    }
    entry.set_last_order(last_order);
    let seats = reader.words(usize::from(seats))?;
    let admissions = reader.words(usize::from(admissions))?;
    let admitted: u32 = admissions.iter().map(|&word| u32::from(Admission::from_word(word).quantity)).sum();
    if seats.len() as u32 + admitted > PLACES_PER_HOLD_MAX as u32 {
        return Err(reader.error("more places than a hold has"));
    }
    entry.set_words(&seats, &admissions);
    if orders > 1 && entry.has_sold() {
        match sales {
            Some(sales) => entry.set_sales(sales),
            // Written before it was remembered who bought what.
            None => entry.attribute_sold(last_order),
        }
        if !entry.sales_fit() {
            return Err(reader.error("sales that are not what is sold"));
        }
    } else if sales.is_some() {
        return Err(reader.error("sales of a hold without several orders"));
    }
    Ok(entry)
}

fn read_sales(reader: &mut Reader<'_>, orders: u8) -> Result<Sales, DecodeError> {
    let (seats, admissions) = (reader.u8()?, reader.u8()?);
    let mut sales = Sales::default();
    for _ in 0..seats {
        sales.seats.push((reader.u8()?, reader.u32()?));
    }
    for _ in 0..admissions {
        let (order, word) = (reader.u8()?, reader.u32()?);
        let admission = Admission::from_word(word);
        let fits = (1..=PLACES_PER_HOLD_MAX).contains(&usize::from(admission.quantity)) && admission.word() == word;
        if !fits {
            return Err(reader.error("admissions out of their bounds"));
        }
        sales.admissions.push((order, admission));
    }
    let mut used = sales.seats.iter().map(|(order, _)| order).chain(sales.admissions.iter().map(|(order, _)| order));
    if used.any(|&order| order >= orders) {
        return Err(reader.error("a sale to an order that is not there"));
    }
    Ok(sales)
}

fn read_cart_of_hold(reader: &mut Reader<'_>, state: HoldState) -> Result<Cart, DecodeError> {
    match read_cart(reader)? {
        (cart, 0) => Ok(cart),
        (Cart::First { others, .. }, 1) if state != HoldState::Paying => Ok(Cart::First { others, is_settled: true }),
        _ => Err(reader.error("a cart that is settled, and cannot be")),
    }
}

fn read_payments(reader: &mut Reader<'_>) -> Result<Payments, DecodeError> {
    let (inherited, attempts, flags) = (reader.u8()?, reader.u8()?, reader.u8()?);
    let most = crate::limits::policy::PAYMENT_ATTEMPTS_MAX;
    let is_open = flags & 1 != 0;
    if flags > 3 || u32::from(inherited) + u32::from(attempts) > most || (is_open && attempts == 0) {
        return Err(reader.error("payments that a hold cannot have"));
    }
    let expires_at = TimestampMs(reader.u64()?);
    let paid_by = (flags & 2 != 0).then(|| request_id(reader)).transpose()?;
    let attempts = (0..attempts).map(|_| request_id(reader)).collect::<Result<_, _>>()?;
    Ok(Payments { inherited, attempts, is_open, expires_at, paid_by })
}

fn restore_event(
    slot: &mut Slot,
    image: EventImage,
    plans: &dyn Plans,
    reader: &Reader<'_>,
) -> Result<(), DecodeError> {
    let plan = plans.plan(&image.plan);
    if plan.seat_count() != image.seats || plan.areas().len() != image.areas.len() {
        return Err(reader.error("the plan has other places than the image"));
    }
    if image.key.slot() != slot.index || slot.find(image.key).is_some() || slot.is_retired(image.key) {
        return Err(reader.error("an event of another slot, or twice"));
    }
    let number = slot.next_event_number();
    let seed = slot.config.seed;
    let mut event =
        Event::new(number, image.id, image.key, image.fingerprint, image.settings, plan, image.plan_revision, seed);
    event.seq = image.seq;
    event.id_floor = image.id_floor;
    event.ops_requests = image.ops_requests;
    event.hash = event.settings_hash();
    if let Some(AllocationsImage { all, tags, quotas }) = image.allocations {
        let restored = Allocations::restored(&event.plan, all, &tags, &quotas);
        let restored = restored.ok_or(reader.error("tags or quotas of allocations that are not there"))?;
        event.hash ^= restored.hash();
        event.allocations = Some(Box::new(restored));
    }
    slot.add_event(event);
    slot.holds.reserve(image.holds.len());
    for mut entry in image.holds {
        entry.event = number;
        restore_hold(slot, entry, reader)?;
    }
    let event = slot.event_mut(number);
    restore_rest(event, image.resting, reader)?;
    for (customer, spent) in image.spent {
        if !event.abandoned.restore(customer, spent) {
            return Err(reader.error("a customer who stands twice"));
        }
    }
    if !probe::planted!(RestForEver) {
        slot.note_rest(number);
    }
    let event = slot.event_mut(number);
    event.kill_reasons = image.kill_reasons;
    restore_kills(event, &image.held, &image.sold, &image.areas, &image.kills, reader)?;
    event.index_openings();
    if event.areas != image.areas || event.planes.held() != image.held || event.planes.sold() != image.sold {
        return Err(reader.error("the places are not what the holds say"));
    }
    if (0..event.areas.len() as u16).any(|area| event.area_unused(area) > event.area_open(area)) {
        return Err(reader.error("more set aside of an area than is open"));
    }
    if event.hash != image.hash {
        return Err(reader.error("the hash is not what places, holds and settings give"));
    }
    slot.set_rules(number);
    Ok(())
}

/// Kills the seats that both planes name, and the admissions of areas.
fn restore_kills(
    event: &mut Event,
    held: &[u64],
    sold: &[u64],
    areas: &[AreaCounts],
    kills: &[u8],
    reader: &Reader<'_>,
) -> Result<(), DecodeError> {
    let killed = |seat: u32| (held[seat as usize / 64] & sold[seat as usize / 64]) >> (seat % 64) & 1 == 1;
    let seats = (0..event.plan.seat_count()).filter(|&seat| killed(seat)).collect::<Vec<u32>>();
    if seats.len() != kills.len() || seats.iter().any(|&seat| event.seat_state(seat) != PlaceState::Open) {
        return Err(reader.error("killed seats that are held or sold, or have no reason"));
    }
    for (seat, &reason) in seats.into_iter().zip(kills) {
        event.move_seat(seat, PlaceState::Open, PlaceState::Killed, u32::from(reason), &mut None);
    }
    for (area, counts) in (0..).zip(areas) {
        if counts.killed > event.area_open(area) {
            return Err(reader.error("an area over its capacity"));
        }
        event.move_area(area, counts.killed, PlaceState::Open, PlaceState::Killed, &mut None);
    }
    Ok(())
}

fn restore_hold(slot: &mut Slot, entry: Entry, reader: &Reader<'_>) -> Result<(), DecodeError> {
    let number = entry.event;
    let (live, tombstone) = (entry.is_live(), entry.is_tombstone());
    let (customer, until, hash) = (entry.customer, entry.until, entry.hash());
    let event = slot.event_mut(number);
    if !entry.words_fit(event.plan.seat_count(), event.areas.len()) {
        return Err(reader.error("a place of a hold that the plan does not have"));
    }
    let has_source = |admission: &Admission| {
        let all = event.allocations.as_ref();
        admission.source == 0 || all.is_some_and(|all| all.has_quota(admission.area, admission.source))
    };
    let of_words = entry.admission_words().iter().map(|&word| Admission::from_word(word));
    let of_sales = entry.sales().into_iter().flat_map(|sales| sales.admissions.iter().map(|(_, admission)| *admission));
    if !of_words.chain(of_sales).all(|admission| has_source(&admission)) {
        return Err(reader.error("admissions of a quota that the area does not have"));
    }
    let kept = move |word: &u32| live || word & SOLD != 0;
    let seat_words = entry.seat_words();
    for (nth, &word) in seat_words.iter().enumerate().filter(|(_, word)| kept(word)) {
        let (seat, _) = state_of_seat(word);
        if event.seat_state(seat) != PlaceState::Open {
            return Err(reader.error("a seat in two holds"));
        }
        if seat_words[..nth].iter().any(|other| kept(other) && state_of_seat(*other).0 == seat) {
            return Err(reader.error("a seat twice in a hold"));
        }
    }
    let sold: u32 = seat_words.iter().filter(|word| *word & SOLD != 0).count() as u32
        + entry
            .admission_words()
            .iter()
            .filter(|word| *word & SOLD != 0)
            .map(|&w| u32::from(Admission::from_word(w).quantity))
            .sum::<u32>();
    let words = entry.copy_words();
    let held = if live { unsold_count(&entry) } else { 0 };
    let orders: Vec<OrderRef> = entry.orders().cloned().collect();
    let at = slot.holds.insert(entry);
    orders.iter().for_each(|order| slot.holds.add_order(at, order));
    if live {
        slot.deadlines.insert(&mut slot.holds, at, until);
    } else if tombstone {
        slot.forgetting.insert(&mut slot.holds, at, until);
        slot.tombstones += 1;
    }
    let event = slot.event_mut(number);
    event.live_holds += u32::from(live);
    event.tombstones += u32::from(tombstone);
    for (seat, state) in words.seat_words().iter().filter(|word| kept(word)).map(|&word| state_of_seat(word)) {
        event.move_seat(seat, PlaceState::Open, state, at, &mut None);
    }
    for &word in words.admission_words().iter().filter(|word| kept(word)) {
        let admission = Admission::from_word(word);
        let quantity = u32::from(admission.quantity);
        let state = if word & SOLD == 0 { PlaceState::Held } else { PlaceState::Sold };
        if !event.has_room_for(admission) || event.area_open(admission.area) < quantity {
            return Err(reader.error("an area or a quota over its capacity"));
        }
        event.move_admission(admission, PlaceState::Open, state, &mut None);
    }
    // At most 64 places each.
    event.count_customer(customer, (held + sold) as i32, i32::from(live));
    event.hash ^= hash;
    Ok(())
}

fn state_of_seat(word: u32) -> (u32, PlaceState) {
    let state = if word & SOLD == 0 { PlaceState::Held } else { PlaceState::Sold };
    (Seat::from_word(word).index, state)
}
