//! Places that rest after their hold expired: held, and of no hold.
//!
//! How long one rests is drawn from a hash, which no words of the contract tell. So the model is told what woke, and
//! judges that: only what rests wakes, and no earlier than it began to rest, no later than `cooling_max` after it,
//! never while it was seen asleep since, and in the order of time.

use inventory_core::{
    change::Rested,
    ids::TimestampMs,
    place::{Admission, Move, Moved, PlaceState},
};

use crate::{
    allocations::{AllocationId, Draws, Source},
    event::Event,
    hold::Hold,
    rules::At,
};

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    /// By key.
    Seat(String),
    /// Of one hold, area and kind of buyer, by what they were drawn from.
    Admissions { area: String, ticket_type: u8, source: Source, quantity: u32 },
}

#[derive(Clone, Debug)]
struct Rest {
    what: What,
    began_at: TimestampMs,
    /// The latest time at which it wakes.
    ends_at_max: TimestampMs,
    /// The last time at which all were told that were to wake by then, and it was not.
    asleep_at: Option<TimestampMs>,
}

impl Rest {
    fn may_wake(&self, until: TimestampMs) -> bool {
        let within = self.began_at <= until && until <= self.ends_at_max;
        within && self.asleep_at.is_none_or(|asleep_at| until > asleep_at)
    }
}

/// All that rests in an event.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resting {
    all: Vec<Rest>,
}

impl Resting {
    /// The hold has expired.
    pub(crate) fn begin(&mut self, now: TimestampMs, hold: &Hold, cooling_s_max: u32) {
        if cooling_s_max == 0 {
            return;
        }
        let seats = hold.held_seats().map(|seat| What::Seat(seat.key.clone()));
        let admissions = hold.admissions.iter().flat_map(|((area, ticket_type), admitted)| {
            admitted.held.iter().map(|(source, quantity)| What::Admissions {
                area: area.clone(),
                ticket_type: *ticket_type,
                source,
                quantity,
            })
        });
        let ends_at_max = now.plus_ms(u64::from(cooling_s_max) * 1_000);
        let rest = |what| Rest { what, began_at: now, ends_at_max, asleep_at: None };
        self.all.extend(seats.chain(admissions).map(rest));
    }

    /// Keys of seats.
    pub(crate) fn seats(&self) -> impl Iterator<Item = &str> {
        self.all.iter().filter_map(|rest| match &rest.what {
            What::Seat(key) => Some(&**key),
            What::Admissions { .. } => None,
        })
    }

    /// Admissions of an area, by what they were drawn from.
    pub(crate) fn of_area(&self, key: &str) -> Draws {
        let mut draws = Draws::default();
        for rest in &self.all {
            if let What::Admissions { area, source, quantity, .. } = &rest.what
                && area == key
            {
                draws.add(*source, *quantity);
            }
        }
        draws
    }

    /// The house withdraws it.
    pub(crate) fn kill_seat(&mut self, key: &str) {
        self.all.retain(|rest| rest.what != What::Seat(key.to_owned()));
    }

    /// What was drawn from this allocation, of one area or of all, is of general sale.
    pub(crate) fn make_general(&mut self, id: AllocationId, of_area: Option<&str>) {
        for rest in &mut self.all {
            if let What::Admissions { area, source, .. } = &mut rest.what
                && *source == Some(id)
                && of_area.is_none_or(|of| of == area)
            {
                *source = None;
            }
        }
    }

    /// When each wakes at the latest.
    pub(crate) fn times(&self) -> impl Iterator<Item = TimestampMs> {
        self.all.iter().map(|rest| rest.ends_at_max)
    }

    /// Of those that may have woken, the one that had to first.
    fn find(&mut self, until: TimestampMs, is_it: impl Fn(&What) -> bool) -> Option<usize> {
        let may = self.all.iter().enumerate().filter(|(_, rest)| rest.may_wake(until) && is_it(&rest.what));
        may.min_by_key(|(_, rest)| rest.ends_at_max).map(|(at, _)| at)
    }

    fn wake_seat(&mut self, until: TimestampMs, key: &str) {
        let at = self.find(until, |what| *what == What::Seat(key.to_owned()));
        let at = at.unwrap_or_else(|| panic!("seat {key} was to rest until {until:?}? There rest {:?}", self.all));
        self.all.remove(at);
    }

    /// An entry of the hold may be several of the log, for those came from several draws.
    /// Of what rested for no time at all the log has no change: whoever tells it may take one kind of buyer for another.
    fn wake_admissions(&mut self, until: TimestampMs, area: &str, source: Source, one: &Admission) {
        let mut missing = u32::from(one.quantity);
        let is_it = |what: &What, any_kind: bool, enough: &dyn Fn(u32) -> bool| match what {
            What::Admissions { area: of, ticket_type, source: from, quantity } => {
                let is_kind = any_kind || *ticket_type == one.ticket_type;
                of == area && is_kind && *from == source && enough(*quantity)
            }
            What::Seat(_) => false,
        };
        while missing > 0 {
            let at = self
                .find(until, |what| is_it(what, false, &|quantity| quantity == missing))
                .or_else(|| self.find(until, |what| is_it(what, false, &|_| true)))
                .or_else(|| self.find(until, |what| is_it(what, true, &|quantity| quantity == missing)))
                .unwrap_or_else(|| panic!("{one:?} was to rest until {until:?}? There rest {:?}", self.all));
            let What::Admissions { quantity, .. } = &mut self.all[at].what else {
                unreachable!("no seat was looked for")
            };
            let wakes = missing.min(*quantity);
            missing -= wakes;
            *quantity -= wakes;
            if *quantity == 0 {
                self.all.remove(at);
            }
        }
    }
}

/// What woke of places that opened when their holds expired, by what the change moved: they rested for no time at all, of
/// which the log has no change. `expired`: what admissions those holds had, as they had them.
///
/// # Panics
/// When admissions opened of which no hold had so many together.
#[must_use]
pub fn woke_at_once(now: TimestampMs, moves: &[Move], mut expired: Vec<Admission>) -> Vec<Rested> {
    let of_move = |one: &Move| {
        let mut rested = Rested { seats: Vec::new(), admissions: Vec::new() };
        match one.what {
            Moved::Seat(seat) => rested.seats.push((now, seat)),
            Moved::Area { area, quantity } => {
                let is_it = |entry: &Admission| entry.area == area && u32::from(entry.quantity) == quantity;
                let at = expired.iter().position(is_it).expect("an entry rests as one");
                rested.admissions.push((now, expired.remove(at)));
            }
        }
        rested
    };
    // What rests longer is told as well, and stays held.
    moves.iter().filter(|one| one.state == PlaceState::Open).map(of_move).collect()
}

impl Event {
    /// These have woken, in this order, and nothing else that was to by `now`.
    pub(crate) fn wake(&mut self, now: TimestampMs, told: &[&Rested]) {
        let mut last = TimestampMs(0);
        for rested in told {
            let times = rested.seats.iter().map(|(until, _)| *until);
            let times: Vec<TimestampMs> = times.chain(rested.admissions.iter().map(|(until, _)| *until)).collect();
            assert!((1..=64).contains(&times.len()), "a change wakes 1 to 64, not {}", times.len());
            assert!(times.iter().all(|&until| last <= until && until <= now), "in the order of time: {rested:?}");
            last = times.into_iter().max().unwrap_or(last);
            for &(until, seat) in &rested.seats {
                let key = self.plan.seat_key(seat).to_owned();
                self.resting.wake_seat(until, &key);
            }
            for (until, one) in &rested.admissions {
                let area = self.plan.areas()[usize::from(one.area)].key.clone();
                let source = self.source_numbered(one.area, usize::from(one.source));
                self.resting.wake_admissions(*until, &area, source, one);
            }
        }
        for rest in &mut self.resting.all {
            assert!(rest.ends_at_max > now, "it has rested longer than it may: {rest:?} at {now:?}");
            rest.asleep_at = Some(now);
        }
    }

    /// Resting places of a kind.
    pub(crate) fn resting_count(&self, covers: &dyn Fn(At) -> bool) -> u32 {
        let count = |rest: &Rest| match &rest.what {
            What::Seat(key) => u32::from(covers(At::Seat(self.plan.find_seat(key).expect("a plan keeps what rests")))),
            What::Admissions { area, quantity, .. } => {
                let area = self.plan.find_area(area).expect("a plan keeps areas in use");
                if covers(At::Area(area)) { *quantity } else { 0 }
            }
        };
        self.resting.all.iter().map(count).sum()
    }
}
