//! What one event of the small house may do, as a sequential object: the contract once more, kept apart from both
//! the core and the naive model, so that a mistake they share is seen here.
//!
//! Time is left open and soundly so: a deadline is known only as a lower bound (a restart moves deadlines by the
//! time the server was away), a hold expires when the search says so, and a cap on extending that time alone can
//! explain is believed.

use crate::hall::{FLOOR, RENEWALS_MAX, ROW_SEATS, SEATS};
use crate::history::{HoldTold, Id, Part, Phase, Told};

/// What a seat is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Seat {
    Open,
    Held(u16),
    Sold(u16),
}

impl Seat {
    fn letter(self) -> char {
        match self {
            Seat::Open => '.',
            Seat::Held(_) => 'h',
            Seat::Sold(_) => 'S',
        }
    }
}

/// A hold that was made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Hold {
    phase: Phase,
    floor: u32,
    sold_floor: u32,
    renewals: u32,
    /// It does not end by time before this.
    expires_least_ms: u64,
    orders: Vec<u16>,
    /// The order of the last sale, when it was of the whole.
    order_last: Option<u16>,
    request_last: Option<Id>,
    /// As on the wire.
    cause: i32,
}

/// The event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    seats: Vec<Seat>,
    /// By number of the hold.
    holds: Vec<Option<Hold>>,
}

/// A command with its names turned into numbers of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Hold {
        hold: u16,
        /// Explicit seats.
        seats: Vec<u32>,
        /// Seats that the server chose, as far as any answer tells; nothing: nobody was told.
        chosen: Option<Vec<u32>>,
        best: u32,
        floor: u32,
        floor_min: u32,
        replace: Option<u16>,
    },
    Confirm {
        hold: u16,
        order: u16,
        part: Option<Part>,
        release_rest: bool,
    },
    Release {
        hold: u16,
        part: Option<Part>,
    },
    Extend {
        hold: u16,
        request: Id,
    },
    GetHold {
        hold: u16,
    },
    SeatMap,
}

/// A refusal as the object gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refusal {
    reason: &'static str,
    executed: bool,
    seats: Vec<(u32, char)>,
    held_unpaid: u32,
}

/// What the object says to a command.
#[derive(Debug)]
enum Judged {
    /// It takes effect.
    Effect(State),
    /// It took effect before.
    Replayed,
    Refused(Refusal),
    /// Effect or refusal: time decides, which is not known here.
    EffectOrCap(State),
}

const CAUSE_NONE: i32 = 0;
const CAUSE_REQUESTED: i32 = 1;
const CAUSE_REPLACED: i32 = 2;
const CAUSE_DEADLINE: i32 = 3;

fn refused(reason: &'static str, executed: bool) -> Judged {
    Judged::Refused(Refusal { reason, executed, seats: Vec::new(), held_unpaid: 0 })
}

impl State {
    /// An event in which nothing has happened, that will see so many holds.
    pub(super) fn new(holds: usize) -> Self {
        Self { seats: vec![Seat::Open; SEATS as usize], holds: vec![None; holds] }
    }

    /// The state after a command whose answer is that of its own change, if the answer fits.
    pub(super) fn own(&self, command: &Command, orders: &[String], told: &Told) -> Option<Self> {
        let mut after = match self.judge(command) {
            Judged::Effect(after) | Judged::EffectOrCap(after) => after,
            Judged::Replayed | Judged::Refused(_) => return None,
        };
        after.learn(command, told, self)?;
        after.fits(command, orders, told).then_some(after)
    }

    /// The state after a command of which nobody was told, or was told later, if it has an effect now.
    pub(super) fn effect(&self, command: &Command) -> Option<Self> {
        match self.judge(command) {
            Judged::Effect(after) | Judged::EffectOrCap(after) => Some(after),
            Judged::Replayed | Judged::Refused(_) => None,
        }
    }

    /// The state after an answer that is not that of an own change, if it fits: only what is known of deadlines may
    /// have grown.
    pub(super) fn answer(&self, command: &Command, orders: &[String], told: &Told) -> Option<Self> {
        if let Told::Refused { reason, executed, seats, held_unpaid } = told {
            let fits = match self.judge(command) {
                Judged::Refused(ours) => {
                    ours.reason == reason
                        && ours.executed == *executed
                        && ours.seats == *seats
                        && ours.held_unpaid == *held_unpaid
                }
                Judged::EffectOrCap(_) => reason == "RENEWAL_CAP" && !executed,
                Judged::Effect(_) | Judged::Replayed => false,
            };
            return fits.then(|| self.clone());
        }
        if !matches!(command, Command::GetHold { .. } | Command::SeatMap)
            && !matches!(self.judge(command), Judged::Replayed)
        {
            return None;
        }
        let mut after = self.clone();
        after.learn(command, told, self)?;
        after.fits(command, orders, told).then_some(after)
    }

    /// The state after a hold has ended by time, if it lives.
    pub(super) fn expire(&self, hold: u16) -> Option<Self> {
        self.live(hold)?;
        let mut after = self.clone();
        after.free(hold);
        after.end(hold, Phase::Expired, CAUSE_DEADLINE);
        Some(after)
    }

    /// Takes over a deadline that was told. Nothing when it cannot be.
    fn learn(&mut self, command: &Command, told: &Told, before: &Self) -> Option<()> {
        let (hold, told_ms, grown) = match (command, told) {
            (Command::Hold { hold, .. }, Told::Held { expires_at_ms, .. }) => (*hold, *expires_at_ms, false),
            (Command::Extend { hold, .. }, Told::Extended { expires_at_ms, replayed }) => {
                (*hold, *expires_at_ms, !replayed)
            }
            (Command::GetHold { hold }, Told::Hold(told)) => (*hold, told.expires_at_ms, false),
            _ => return Some(()),
        };
        let Some(Some(live)) = self.holds.get_mut(usize::from(hold)) else { return Some(()) };
        if live.phase != Phase::Active {
            return Some(());
        }
        let least = before.holds[usize::from(hold)].as_ref().map_or(0, |hold| hold.expires_least_ms);
        let least = least.max(live.expires_least_ms);
        if told_ms < least || grown && told_ms == least {
            return None;
        }
        live.expires_least_ms = told_ms;
        Some(())
    }

    fn judge(&self, command: &Command) -> Judged {
        match command {
            Command::Hold { hold, .. } => self.judge_hold(*hold, command),
            Command::Confirm { hold, order, part, release_rest } => {
                self.judge_confirm(*hold, *order, part.as_ref(), *release_rest)
            }
            Command::Release { hold, part } => self.judge_release(*hold, part.as_ref()),
            Command::Extend { hold, request } => self.judge_extend(*hold, *request),
            Command::GetHold { hold } => match self.find(*hold) {
                Some(_) => Judged::Replayed,
                None => refused("HOLD_NOT_FOUND", false),
            },
            Command::SeatMap => Judged::Replayed,
        }
    }

    fn judge_hold(&self, number: u16, command: &Command) -> Judged {
        let Command::Hold { seats, chosen, best, floor, floor_min, replace, .. } = command else {
            return refused("", false);
        };
        if let Some(known) = self.find(number) {
            return match known.phase {
                Phase::Active => Judged::Replayed,
                Phase::Confirmed => refused("HOLD_ALREADY_CONFIRMED", true),
                Phase::Released => refused("HOLD_RELEASED", true),
                Phase::Expired => refused("HOLD_EXPIRED", true),
            };
        }
        let mut base = self.clone();
        if let Some(old) = *replace {
            let Some(there) = self.find(old) else { return refused("HOLD_NOT_FOUND", false) };
            if let Some(refusal) = not_live(there) {
                return refusal;
            }
            if self.has_sold(old) {
                return refused("HOLD_ALREADY_CONFIRMED", false);
            }
            base.free(old);
        }
        let (held, sold) = self.floor();
        let (held_base, _) = base.floor();
        let open = FLOOR - held_base - sold;
        let least = if *floor_min == 0 { *floor } else { *floor_min };
        if open < least {
            return self.not_enough(held == 0 && sold == FLOOR, held);
        }
        let in_the_way: Vec<(u32, char)> = seats
            .iter()
            .map(|seat| (*seat, base.seats[*seat as usize]))
            .filter(|(_, state)| *state != Seat::Open)
            .map(|(seat, state)| (seat, state.letter()))
            .collect();
        if !in_the_way.is_empty() {
            let reason = "PLACES_UNAVAILABLE";
            return Judged::Refused(Refusal { reason, executed: false, seats: in_the_way, held_unpaid: 0 });
        }
        for seat in seats {
            base.seats[*seat as usize] = Seat::Held(number);
        }
        if *best > 0 {
            if !base.has_run(*best) {
                // Who wants adjacent seats is not served by the floor.
                let held = self.count(|seat| matches!(seat, Seat::Held(_)));
                let open = self.count(|seat| seat == Seat::Open);
                return self.not_enough(held == 0 && open == 0, held);
            }
            // Which of the runs is the best is for the other checker: here any that is open may be chosen.
            let Some(chosen) = chosen else { return refused("", false) };
            let is_run = chosen.len() == *best as usize
                && chosen.windows(2).all(|pair| pair[0] + 1 == pair[1] && pair[0] / ROW_SEATS == pair[1] / ROW_SEATS);
            if !is_run || chosen.iter().any(|seat| base.seats[*seat as usize] != Seat::Open) {
                return refused("", false);
            }
            for seat in chosen {
                base.seats[*seat as usize] = Seat::Held(number);
            }
        }
        let old = replace.and_then(|old| self.find(old));
        let new = Hold {
            phase: Phase::Active,
            floor: open.min(*floor),
            sold_floor: 0,
            renewals: old.map_or(0, |old| old.renewals),
            expires_least_ms: old.map_or(0, |old| old.expires_least_ms),
            orders: Vec::new(),
            order_last: None,
            request_last: None,
            cause: CAUSE_NONE,
        };
        if let Some(old) = *replace {
            base.end(old, Phase::Released, CAUSE_REPLACED);
        }
        base.holds[usize::from(number)] = Some(new);
        Judged::Effect(base)
    }

    fn not_enough(&self, sold_out: bool, held_unpaid: u32) -> Judged {
        let (reason, held_unpaid) = if sold_out { ("SOLD_OUT", 0) } else { ("NOT_ENOUGH_PLACES", held_unpaid) };
        Judged::Refused(Refusal { reason, executed: false, seats: Vec::new(), held_unpaid })
    }

    fn judge_confirm(&self, number: u16, order: u16, part: Option<&Part>, release_rest: bool) -> Judged {
        let Some(hold) = self.find(number) else { return refused("HOLD_NOT_FOUND", false) };
        if part.is_some_and(|part| hold.request_last == Some(part.request)) {
            return Judged::Replayed;
        }
        if part.is_none() && hold.phase == Phase::Confirmed && hold.order_last == Some(order) {
            return Judged::Replayed;
        }
        // Also of an ended hold: what came late may be what sold.
        if part.is_some_and(|part| hold.request_last.is_some_and(|last| part.request < last)) {
            return refused("REQUEST_ID_TOO_OLD", false);
        }
        if let Some(refusal) = not_live(hold).or_else(|| self.not_of(number, hold, part)) {
            return refusal;
        }
        let mut after = self.clone();
        let taken: Vec<u32> = part.map_or_else(|| self.seats_of(number), |part| part.seats.clone());
        let floor = part.map_or(hold.floor, |part| part.floor);
        taken.iter().for_each(|seat| after.seats[*seat as usize] = Seat::Sold(number));
        let Some(there) = after.holds[usize::from(number)].as_mut() else { return refused("", false) };
        there.floor -= floor;
        there.sold_floor += floor;
        if !there.orders.contains(&order) {
            there.orders.push(order);
        }
        there.order_last = part.is_none().then_some(order);
        if let Some(part) = part {
            there.request_last = Some(part.request);
        }
        if part.is_some() && release_rest {
            after.free(number);
        }
        if !after.holds_any(number) {
            after.end(number, Phase::Confirmed, CAUSE_REQUESTED);
        }
        Judged::Effect(after)
    }

    fn judge_release(&self, number: u16, part: Option<&Part>) -> Judged {
        let Some(hold) = self.find(number) else { return refused("HOLD_NOT_FOUND", false) };
        if part.is_some_and(|part| hold.request_last == Some(part.request)) {
            return Judged::Replayed;
        }
        if part.is_none() && hold.phase == Phase::Released {
            return Judged::Replayed;
        }
        if let Some(refusal) = not_live(hold).or_else(|| self.not_of(number, hold, part)) {
            return refusal;
        }
        let mut after = self.clone();
        match part {
            None => after.free(number),
            Some(part) => {
                part.seats.iter().for_each(|seat| after.seats[*seat as usize] = Seat::Open);
                let Some(there) = after.holds[usize::from(number)].as_mut() else { return refused("", false) };
                there.floor -= part.floor;
                there.request_last = Some(part.request);
            }
        }
        if !after.holds_any(number) {
            after.end(number, Phase::Released, CAUSE_REQUESTED);
        }
        Judged::Effect(after)
    }

    fn judge_extend(&self, number: u16, request: Id) -> Judged {
        let Some(hold) = self.find(number) else { return refused("HOLD_NOT_FOUND", false) };
        if hold.request_last == Some(request) {
            return Judged::Replayed;
        }
        if let Some(refusal) = not_live(hold) {
            return refusal;
        }
        if hold.request_last.is_some_and(|last| request < last) {
            return refused("REQUEST_ID_TOO_OLD", false);
        }
        if hold.renewals >= RENEWALS_MAX {
            return refused("RENEWAL_CAP", false);
        }
        let mut after = self.clone();
        let Some(there) = after.holds[usize::from(number)].as_mut() else { return refused("", false) };
        there.renewals += 1;
        there.request_last = Some(request);
        Judged::EffectOrCap(after)
    }

    /// The refusal of a part that comes too late or is not the hold's.
    fn not_of(&self, number: u16, hold: &Hold, part: Option<&Part>) -> Option<Judged> {
        let part = part?;
        if hold.request_last.is_some_and(|last| part.request < last) {
            return Some(refused("REQUEST_ID_TOO_OLD", false));
        }
        let foreign: Vec<(u32, char)> = part
            .seats
            .iter()
            .map(|seat| (*seat, self.seats[*seat as usize]))
            .filter(|(_, state)| *state != Seat::Held(number))
            .map(|(seat, state)| (seat, state.letter()))
            .collect();
        if foreign.is_empty() && hold.floor >= part.floor {
            return None;
        }
        let reason = "PLACES_UNAVAILABLE";
        Some(Judged::Refused(Refusal { reason, executed: false, seats: foreign, held_unpaid: 0 }))
    }

    // What an answer says is so.

    fn fits(&self, command: &Command, orders: &[String], told: &Told) -> bool {
        match (command, told) {
            (Command::Hold { hold, seats: explicit, chosen, .. }, Told::Held { seats, floor, replayed, .. }) => {
                let Some(there) = self.find(*hold) else { return false };
                let picked = chosen.iter().flatten();
                let in_order: Vec<u32> = explicit.iter().chain(picked).copied().collect();
                // A hold just made has its seats in the order of the request.
                (*replayed || *seats == in_order) && same(seats, self.seats_of(*hold)) && *floor == there.floor
            }
            (Command::Confirm { hold, .. }, Told::Confirmed { seats, floor, .. }) => {
                let Some(there) = self.find(*hold) else { return false };
                same(seats, self.sold_of(*hold)) && *floor == there.sold_floor
            }
            (Command::Release { .. }, Told::Released { .. }) | (Command::Extend { .. }, Told::Extended { .. }) => true,
            (Command::GetHold { hold }, Told::Hold(told)) => {
                self.find(*hold).is_some_and(|there| self.is_told(*hold, there, orders, told))
            }
            (Command::SeatMap, Told::Map { seats, floor }) => {
                let (held, sold) = self.floor();
                self.seats.iter().map(|seat| seat.letter()).eq(seats.chars())
                    && *floor == (FLOOR - held - sold, held, sold)
            }
            _ => false,
        }
    }

    fn is_told(&self, number: u16, hold: &Hold, orders: &[String], told: &HoldTold) -> bool {
        let live = hold.phase == Phase::Active;
        let named = hold.orders.iter().filter_map(|order| orders.get(usize::from(*order)));
        told.phase == hold.phase
            && same(&told.seats, if live { self.seats_of(number) } else { Vec::new() })
            && told.floor == if live { hold.floor } else { 0 }
            && same(&told.sold_seats, self.sold_of(number))
            && told.sold_floor == hold.sold_floor
            && (!live || told.renewals_left == RENEWALS_MAX - hold.renewals)
            && told.cause == hold.cause
            && named.eq(told.orders.iter())
    }

    // Looking and touching.

    fn find(&self, number: u16) -> Option<&Hold> {
        self.holds.get(usize::from(number)).and_then(Option::as_ref)
    }

    fn live(&self, number: u16) -> Option<&Hold> {
        self.find(number).filter(|hold| hold.phase == Phase::Active)
    }

    fn seats_of(&self, number: u16) -> Vec<u32> {
        self.seats_that(Seat::Held(number))
    }

    fn sold_of(&self, number: u16) -> Vec<u32> {
        self.seats_that(Seat::Sold(number))
    }

    fn seats_that(&self, are: Seat) -> Vec<u32> {
        (0..).zip(&self.seats).filter(|(_, seat)| **seat == are).map(|(at, _)| at).collect()
    }

    fn has_sold(&self, number: u16) -> bool {
        self.seats.contains(&Seat::Sold(number)) || self.find(number).is_some_and(|hold| hold.sold_floor > 0)
    }

    fn holds_any(&self, number: u16) -> bool {
        self.seats.contains(&Seat::Held(number)) || self.find(number).is_some_and(|hold| hold.floor > 0)
    }

    fn count(&self, which: impl Fn(Seat) -> bool) -> u32 {
        self.seats.iter().map(|seat| u32::from(which(*seat))).sum()
    }

    /// Admissions held and sold.
    fn floor(&self) -> (u32, u32) {
        let live = self.holds.iter().flatten();
        live.fold((0, 0), |(held, sold), hold| (held + hold.floor, sold + hold.sold_floor))
    }

    /// Whether some row has so many open seats side by side.
    fn has_run(&self, length: u32) -> bool {
        self.seats
            .chunks(ROW_SEATS as usize)
            .any(|row| row.split(|seat| *seat != Seat::Open).any(|run| run.len() >= length as usize))
    }

    /// Opens all that a hold holds.
    fn free(&mut self, number: u16) {
        self.seats.iter_mut().filter(|seat| **seat == Seat::Held(number)).for_each(|seat| *seat = Seat::Open);
        if let Some(hold) = self.holds[usize::from(number)].as_mut() {
            hold.floor = 0;
        }
    }

    fn end(&mut self, number: u16, phase: Phase, cause: i32) {
        if let Some(hold) = self.holds[usize::from(number)].as_mut() {
            hold.phase = phase;
            hold.cause = cause;
        }
    }
}

/// The refusal of a command that needs a live hold.
fn not_live(hold: &Hold) -> Option<Judged> {
    match hold.phase {
        Phase::Active => None,
        Phase::Confirmed => Some(refused("HOLD_ALREADY_CONFIRMED", false)),
        Phase::Released => Some(refused("HOLD_RELEASED", false)),
        Phase::Expired => Some(refused("HOLD_EXPIRED", false)),
    }
}

/// The same seats, in any order. `ours` is in order.
fn same(told: &[u32], ours: Vec<u32>) -> bool {
    let mut told = told.to_vec();
    told.sort_unstable();
    told == ours
}
