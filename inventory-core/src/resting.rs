//! Places of expired holds that come back each in its own time: the softened echo of a rush.
//!
//! A resting place is held and belongs to no hold. How long it rests is a hash of what the log has, so that a replay draws
//! the same.
//!
//! Invariants:
//!
//! - Z1. A seat has the owner [`RESTING`] if and only if it rests; then it is held.
//! - Z2. `resting` of the slot has the first time of every event in which something rests.
//!
//! Not here: which places rest (`apply.rs`). Choices: ADR-0037.

use alloc::{collections::BTreeMap, vec::Vec};

use crate::{
    change::{Change, Rested},
    digest::{Hasher, mix},
    event::Event,
    ids::{EventNumber, HoldId, TimestampMs},
    place::{Admission, Move, Moved, PlaceState},
    slot::Slot,
};

type Moves<'a> = Option<&'a mut Vec<Move>>;

/// Owner of a seat that rests.
pub(crate) const RESTING: u32 = u32::MAX - 2;

/// Places that one change opens.
pub(crate) const RESTED_PER_CHANGE_MAX: usize = 64;

/// What rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rest {
    /// A seat.
    Seat(u32),
    /// Admissions that a hold had together.
    Admissions(Admission),
}

impl Rest {
    fn hash(self, until: TimestampMs) -> u64 {
        let (kind, word) = match self {
            Self::Seat(seat) => (0, seat),
            Self::Admissions(admission) => (1, admission.word()),
        };
        let mut hasher = Hasher::new(29);
        hasher.word(until.0);
        hasher.word(u64::from(word) | kind << 32);
        hasher.finish()
    }
}

/// What rests of an event, until when, and how often: admissions may be the same.
pub(crate) type Resting = BTreeMap<(TimestampMs, Rest), u32>;

/// How long a place rests, in ms; 0: it does not.
fn rest_ms(now: TimestampMs, hold_id: HoldId, what: Rest, rest_ms_max: u64) -> u64 {
    if rest_ms_max == 0 {
        return 0;
    }
    let of_place = what.hash(now);
    let drawn = mix(mix(of_place ^ hold_id.0 as u64) ^ (hold_id.0 >> 64) as u64);
    // A product's upper half: nearly the same chance for each, and no division.
    ((u128::from(drawn) * u128::from(rest_ms_max + 1)) >> 64) as u64
}

/// What begins to rest stays held: it is told all the same, for its history.
fn note_rest_of(what: Moved, moves: &mut Moves<'_>) {
    let held = PlaceState::Held;
    moves.iter_mut().for_each(|moves| moves.push(Move { what, from: held, to: held, state: held }));
}

impl Event {
    /// What all that rests adds to the hash, from scratch.
    pub(crate) fn resting_hash(&self) -> u64 {
        // Twice the same adds nothing when it is only taken together: so it counts.
        let of_one = |(&(until, what), &count): (&(TimestampMs, Rest), &u32)| mix(what.hash(until) ^ u64::from(count));
        self.resting.iter().map(of_one).fold(0, |sum, hash| sum ^ hash)
    }

    fn change_rest(&mut self, until: TimestampMs, what: Rest, is_more: bool) {
        let count = self.resting.entry((until, what)).or_default();
        let of_count = |count: u32| if count == 0 { 0 } else { mix(what.hash(until) ^ u64::from(count)) };
        let before = of_count(*count);
        *count = if is_more { *count + 1 } else { count.checked_sub(1).expect("what wakes has rested") };
        self.hash ^= before ^ of_count(*count);
        if *count == 0 {
            self.resting.remove(&(until, what));
        }
    }

    /// A held seat rests.
    pub(crate) fn rest_seat(&mut self, until: TimestampMs, seat: u32) {
        self.owner[seat as usize] = RESTING;
        self.change_rest(until, Rest::Seat(seat), true);
    }

    /// Held admissions rest.
    pub(crate) fn rest_admissions(&mut self, until: TimestampMs, admission: Admission) {
        self.change_rest(until, Rest::Admissions(admission), true);
    }

    /// Something that rests until then is open.
    fn wake(&mut self, until: TimestampMs, what: Rest, moves: &mut Moves<'_>) {
        self.change_rest(until, what, false);
        match what {
            Rest::Seat(seat) => {
                let seats = core::iter::once(seat);
                self.move_seats(seats, PlaceState::Held, PlaceState::Open, RESTING, moves);
            }
            Rest::Admissions(admission) => {
                self.move_admission(admission, PlaceState::Held, PlaceState::Open, moves);
            }
        }
    }

    /// Admissions that rest are of general sale, of whatever gone quota they were.
    pub(crate) fn rest_in_general(&mut self, sources: &[(u16, u8)]) {
        let of_source = |what: &Rest| match what {
            Rest::Admissions(admission) => sources.contains(&(admission.area, admission.source)),
            Rest::Seat(_) => false,
        };
        let drawn: Vec<(TimestampMs, Rest, u32)> = self
            .resting
            .iter()
            .filter(|((_, what), _)| of_source(what))
            .map(|((until, what), &count)| (*until, *what, count))
            .collect();
        for (until, what, count) in drawn {
            let Rest::Admissions(admission) = what else { continue };
            for _ in 0..count {
                self.change_rest(until, what, false);
                self.change_rest(until, Rest::Admissions(Admission { source: 0, ..admission }), true);
            }
        }
    }

    /// Whether a seat rests.
    pub(crate) fn is_resting(&self, seat: u32) -> bool {
        self.owner[seat as usize] == RESTING
    }
}

impl Slot {
    /// What an expired hold had rests, or opens: seats and admissions that are still held.
    pub(crate) fn rest(
        &mut self,
        now: TimestampMs,
        at: u32,
        seats: impl Iterator<Item = u32>,
        admissions: impl Iterator<Item = Admission>,
        moves: &mut Moves<'_>,
    ) {
        let (number, hold_id) = (self.holds[at].event, self.holds[at].hold_id());
        let event = self.event_mut(number);
        let rest_ms_max = u64::from(event.settings.policies.cooling_s_max) * 1_000;
        for seat in seats {
            match rest_ms(now, hold_id, Rest::Seat(seat), rest_ms_max) {
                0 => {
                    let seats = core::iter::once(seat);
                    event.move_seats(seats, PlaceState::Held, PlaceState::Open, at, moves);
                }
                rest_ms => {
                    event.rest_seat(now.plus_ms(rest_ms), seat);
                    note_rest_of(Moved::Seat(seat), moves);
                }
            }
        }
        for admission in admissions {
            match rest_ms(now, hold_id, Rest::Admissions(admission), rest_ms_max) {
                0 => event.move_admission(admission, PlaceState::Held, PlaceState::Open, moves),
                rest_ms => {
                    event.rest_admissions(now.plus_ms(rest_ms), admission);
                    let (area, quantity) = (admission.area, u32::from(admission.quantity));
                    note_rest_of(Moved::Area { area, quantity }, moves);
                }
            }
        }
        self.note_rest(number);
    }

    /// Sets when something of an event wakes first.
    pub(crate) fn note_rest(&mut self, number: EventNumber) {
        let first = self.event(number).and_then(|event| event.resting.keys().next()).map(|(until, _)| *until);
        self.resting.retain(|(_, of)| *of != number);
        if let Some(until) = first {
            self.resting.insert((until, number));
        }
    }

    /// The next change that opens what has rested long enough.
    pub(crate) fn decide_rested(&self, now: TimestampMs) -> Option<(EventNumber, Change)> {
        let &(_, number) = self.resting.first().filter(|(until, _)| *until <= now)?;
        let event = self.event(number)?;
        let mut rested = Rested { seats: Vec::new(), admissions: Vec::new() };
        let due = event.resting.iter().take_while(|((until, _), _)| *until <= now);
        let due = due.flat_map(|((until, what), &count)| (0..count).map(move |_| (*until, *what)));
        for (until, what) in due.take(RESTED_PER_CHANGE_MAX) {
            match what {
                Rest::Seat(seat) => rested.seats.push((until, seat)),
                Rest::Admissions(admission) => rested.admissions.push((until, admission)),
            }
        }
        Some((number, Change::Rested(rested)))
    }

    pub(crate) fn wake(&mut self, number: EventNumber, rested: &Rested, moves: &mut Moves<'_>) {
        let event = self.event_mut(number);
        for &(until, seat) in &rested.seats {
            event.wake(until, Rest::Seat(seat), moves);
        }
        for &(until, admission) in &rested.admissions {
            event.wake(until, Rest::Admissions(admission), moves);
        }
        self.note_rest(number);
    }

    /// Those of sorted seats that rest are open before their time.
    pub(crate) fn wake_seats(&mut self, number: EventNumber, seats: &[u32], moves: &mut Moves<'_>) {
        let event = self.event_mut(number);
        if event.resting.is_empty() {
            return;
        }
        let woken: Vec<(TimestampMs, u32)> = event
            .resting
            .keys()
            .filter_map(|(until, what)| match what {
                Rest::Seat(seat) if seats.binary_search(seat).is_ok() => Some((*until, *seat)),
                Rest::Seat(_) | Rest::Admissions(_) => None,
            })
            .collect();
        for (until, seat) in woken {
            event.wake(until, Rest::Seat(seat), moves);
        }
        self.note_rest(number);
    }

    /// What rests of an event, for a new plan: places keep their keys, as what is held does.
    pub(crate) fn translate_rest(event: &mut Event, old: &crate::plan::Plan, new: &crate::plan::Plan) {
        let resting = core::mem::take(&mut event.resting);
        for ((until, what), count) in resting {
            let there = match what {
                Rest::Seat(seat) => {
                    Rest::Seat(new.find_seat(old.seat_key(seat)).expect("a held seat is in the new plan"))
                }
                Rest::Admissions(admission) => {
                    let key = &old.areas()[usize::from(admission.area)].key;
                    let area = new.find_area(key).expect("an area with places held is in the new plan");
                    Rest::Admissions(Admission { area, ..admission })
                }
            };
            *event.resting.entry((until, there)).or_default() += count;
        }
    }
}
