//! What an image says becomes a slot again.
//!
//! Planes, counts, sums and the hash are made anew from the holds, and what the image says of them must be the same: an
//! image that contradicts itself is refused.

use alloc::{boxed::Box, vec::Vec};

use super::decode::{AllocationsImage, EventImage, Header, header, read_event};
use crate::{
    allocations::Allocations,
    bytes::{DecodeError, Reader},
    event::{AreaCounts, Event},
    hold::{Entry, unsold_count},
    ids::{EventId, EventKey, EventNumber, OrderRef, PlanDigest, SlotIndex, TimestampMs},
    place::{Admission, PlaceState, SOLD, Seat},
    resting::{RESTING, Rest},
    slot::{Plans, Slot, SlotConfig},
};

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
