//! Bytes of an image become what they say, not yet believed.
//!
//! What the encoders would not write is refused, with the byte. Whether it agrees with itself is seen when it is restored
//! (`restore.rs`).

use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};

use super::{ALLOCATIONS, EXPIRIES, KILLS, KNOWN, MAGIC, PLAIN, RETIRED, WITH_FEATURES, WITH_KILLS, version_of};
use crate::{
    abandoned::Spent,
    allocation::is_key,
    best_available::Arrangement,
    bytes::{DecodeError, Reader},
    cart::Cart,
    change::{HoldCause, HoldState},
    codec::{hold_id, read_cart, request, request_id, settings, tags},
    event::{AreaCounts, OpsRequest},
    hold::{Entry, Payments, Sales},
    ids::{CustomerKey, EventId, EventKey, EventNumber, OrderRef, PlanDigest, RequestId, SlotIndex, TimestampMs},
    kill::check_reason,
    limits::{
        ALLOCATION_KEY_BYTES_MAX, AREAS_PER_PLAN_MAX, EVENT_ID_BYTES_MAX, EVENTS_PER_SERVER_MAX, KILL_REASON_BYTES_MAX,
        OPS_REQUESTS_PER_EVENT_MAX, ORDER_REF_BYTES_MAX, PLACES_PER_EVENT_MAX, PLACES_PER_HOLD_MAX,
        QUOTAS_PER_AREA_MAX, RETIRED_EVENTS_PER_SLOT_MAX,
    },
    place::Admission,
    resting::Rest,
};

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

pub(super) struct Header {
    pub(super) features: u8,
    pub(super) index: SlotIndex,
    pub(super) now: TimestampMs,
    pub(super) events: u32,
    pub(super) retired: Vec<(EventNumber, EventKey)>,
}

pub(super) fn header(reader: &mut Reader<'_>) -> Result<Header, DecodeError> {
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
pub(super) struct EventImage {
    pub(super) id: EventId,
    pub(super) key: EventKey,
    pub(super) fingerprint: u64,
    pub(super) plan: PlanDigest,
    pub(super) plan_revision: u32,
    pub(super) seq: u32,
    pub(super) hash: u64,
    pub(super) id_floor: TimestampMs,
    pub(super) settings: crate::policy::Settings,
    pub(super) ops_requests: BTreeMap<RequestId, OpsRequest>,
    pub(super) seats: u32,
    pub(super) held: Vec<u64>,
    pub(super) sold: Vec<u64>,
    pub(super) areas: Vec<AreaCounts>,
    pub(super) holds: Vec<Entry>,
    pub(super) kill_reasons: Vec<Box<str>>,
    /// Of each killed seat, in plan order.
    pub(super) kills: Vec<u8>,
    pub(super) allocations: Option<AllocationsImage>,
    pub(super) spent: Vec<(CustomerKey, Spent)>,
    pub(super) resting: Vec<(TimestampMs, Rest, u32)>,
}

/// Allocations as read: keys and windows by number, tags by seat, allocation and quota by area and source.
pub(super) struct AllocationsImage {
    pub(super) all: Vec<Option<(Box<str>, TimestampMs, TimestampMs)>>,
    pub(super) tags: Vec<u8>,
    pub(super) quotas: Vec<Vec<(u8, u32)>>,
}

pub(super) fn read_event(reader: &mut Reader<'_>, features: u8) -> Result<EventImage, DecodeError> {
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
