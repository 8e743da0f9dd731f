//! Events leave memory: an event that is off sale, or cancelled, and has no live hold is archived and then retired.
//!
//! Retiring takes two steps with the same command. Without a number of the last change it answers with the event's image,
//! which the caller makes durable; with the number that the image is true at it retires the event, if nothing has changed
//! since. What stays is the event's number, which is never used again, and its key, so that no other event gets its name.
//!
//! Not here: the archive file (`engine`), the rest of the image (`image`).

use alloc::vec::Vec;

use crate::{
    change::{Change, EventRetired},
    decide::NAMED_MAX,
    digest::Hasher,
    event::Event,
    expiry::NO_BUCKET,
    holds::Holds,
    ids::{EventKey, EventNumber, PlanDigest, RequestId, TimestampMs},
    image::encode_alone,
    limits::RETIRED_EVENTS_PER_SLOT_MAX,
    place::{Moved, PlaceState},
    policy::EventState,
    reject::{Field, PlaceInTheWay, Reject},
    slot::{Applied, Decision, Slot},
};

/// Take an event out of memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetireEvent {
    /// Name of this request.
    pub request_id: RequestId,
    /// The last change of the event in the image that is archived; nothing: answer with the image.
    pub archived_seq: Option<u32>,
    /// Refuse with `STATE_MISMATCH` when the event is in another state.
    pub expected_state: Option<EventState>,
    /// Only say whether it would be done.
    pub validate_only: bool,
}

/// The last state of an event, to be archived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Number of its last change.
    pub event_seq: u32,
    /// Its plan.
    pub plan: PlanDigest,
    /// The image of a slot that has this event alone: see `image`.
    pub bytes: Vec<u8>,
}

impl RetireEvent {
    /// Hash of the content beside the request id and the conditions: there is none, but it is no other command's.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        Hasher::new(43).finish()
    }
}

/// What a retired event adds to the hash of its slot.
#[must_use]
pub fn retired_hash(key: EventKey) -> u64 {
    let mut hasher = Hasher::new(44);
    hasher.word(key.0);
    hasher.finish()
}

impl Slot {
    pub(crate) fn decide_retire(
        &self,
        now: TimestampMs,
        event: &Event,
        retire: &RetireEvent,
    ) -> Result<Decision, Reject> {
        let fingerprint = retire.fingerprint();
        if self.judge_request(now, event, retire.request_id, fingerprint)? {
            // A retired event remembers no request: only chance can give another command this fingerprint.
            return Err(Reject::RequestIdReused);
        }
        event.judge_state(retire.expected_state)?;
        if !matches!(event.settings.state, EventState::OffSale | EventState::Cancelled) {
            return Err(Reject::invalid(
                Field::State,
                "an event is taken off sale, or cancelled, before it is retired",
            ));
        }
        // What was decided here of a cart may still be asked for.
        let is_unsettled = || self.unsettled().iter().any(|decided| decided.event == event.key);
        if event.live_holds > 0 || is_unsettled() {
            return Err(Reject::PlacesInUse { places: held_places(event) });
        }
        if self.retired_count() >= RETIRED_EVENTS_PER_SLOT_MAX {
            return Err(Reject::CapacityBudget);
        }
        if retire.validate_only {
            return Ok(Decision::Event { event: event.number, replayed: false });
        }
        match retire.archived_seq {
            None => {
                let mut bytes = Vec::new();
                encode_alone(self, event, &mut bytes);
                let image = Image { event_seq: event.seq, plan: event.plan.digest(), bytes };
                Ok(Decision::Image { event: event.number, image })
            }
            Some(seq) if seq == event.seq || probe::planted!(RetiredStale) => {
                let request = (retire.request_id, fingerprint);
                Ok(Decision::Change(event.number, Change::EventRetired(EventRetired { request })))
            }
            Some(_) => {
                probe::sometimes!("retire: the event has changed since its image");
                Err(Reject::StateMismatch { etag: event.etag(), state: event.settings.state })
            }
        }
    }

    pub(crate) fn retire(&mut self, number: EventNumber) -> Applied {
        probe::sometimes!("retire: an event leaves memory");
        assert_eq!(self.event_mut(number).live_holds, 0, "an event with a live hold is not retired");
        let of_event = self.holds.iter().filter(|(_, entry)| entry.event == number);
        let of_event: Vec<u32> = of_event.map(|(at, _)| at).collect();
        for at in of_event {
            if self.holds[at].is_tombstone() {
                self.forgetting.remove(&mut self.holds, at);
                self.tombstones -= 1;
            }
            assert_eq!(self.holds[at].bucket, NO_BUCKET, "what is sold waits for nothing");
            self.holds.remove(at);
        }
        if self.holds.len() == 0 {
            // Entries are used again and never given back one by one.
            let has_order_index = self.holds.has_order_index();
            self.holds = Holds::new(self.config.seed);
            if has_order_index {
                self.holds.index_orders();
            }
        }
        self.resting.retain(|(_, of)| *of != number);
        let event = self.take_out(number);
        Applied { event_seq: event.seq + 1, digest: event.hash as u32 }
    }
}

/// Places in live holds, at most 64 of them: seats in plan order, then areas.
fn held_places(event: &Event) -> Vec<PlaceInTheWay> {
    let state = PlaceState::Held;
    let seats = (0..event.plan.seat_count()).filter(|&seat| event.seat_state(seat) == state).map(Moved::Seat);
    let areas = (0_u16..).zip(&event.areas).filter(|(_, counts)| counts.held > 0);
    let areas = areas.map(|(area, counts)| Moved::Area { area, quantity: counts.held });
    seats.chain(areas).take(NAMED_MAX).map(|place| PlaceInTheWay { place, state }).collect()
}
