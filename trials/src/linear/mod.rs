//! Linearizability by search: the checker that believes nobody, neither positions nor the log.
//!
//! It takes one history and asks whether some order of its operations, each at one point between its being asked and
//! its end, gives exactly these answers. An operation of unknown outcome may have its point at any time after it was
//! asked, or none.
//!
//! What is open here on purpose: which run of seats is the best (the other checker compares it with the model), and
//! exact deadlines. See `spec.rs`.

mod search;
mod spec;

use std::collections::BTreeMap;

use crate::history::{Call, History, Id, Outcome, Told};
use search::{Act, Found, Step};
use spec::Command;

/// Operations a history may have.
pub const OPERATIONS_MAX: usize = 300;
/// Clients a history may have.
pub const CLIENTS_MAX: usize = 8;
/// A hold of at most this TTL may end while its history lasts.
pub const TTL_SHORT_MS: u64 = 60_000;
/// The server's clock and ours are one, read at different moments and cut to milliseconds.
const CLOCK_SLACK_NS: u64 = 20_000_000;

/// What the search says of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is linearizable.
    Linearizable,
    /// It is not; a sentence says how far any order came.
    Violated(String),
    /// The search gave up, or the history does not say enough: a sentence says why.
    Undecided(String),
}

/// Judges one history.
#[must_use]
pub fn check(history: &History) -> Verdict {
    let clients: std::collections::BTreeSet<u32> = history.operations.iter().map(|one| one.client).collect();
    if history.operations.len() > OPERATIONS_MAX || clients.len() > CLIENTS_MAX {
        return Verdict::Undecided(format!(
            "{} operations by {} clients are more than the search is for",
            history.operations.len(),
            clients.len()
        ));
    }
    let mut names = Names::of(history);
    let mut steps = Vec::new();
    for (at, operation) in history.operations.iter().enumerate() {
        let command = match names.command(&operation.call) {
            Ok(command) => command,
            Err(why) => return Verdict::Undecided(why),
        };
        let (asked_ns, ended_ns) = (operation.asked_ns, operation.ended_ns);
        let mut step = |asked_ns, ended_ns, act| steps.push(Step { asked_ns, ended_ns, act, operation: at });
        match &operation.outcome {
            Outcome::NotDone { .. } => continue,
            Outcome::Unknown { .. } => {
                if names.is_choice_untold(&operation.call, history) {
                    return Verdict::Undecided(format!("nobody was told what became of: {operation}"));
                }
                if !operation.call.is_read() {
                    step(asked_ns, u64::MAX, Act::Effect { command });
                }
            }
            Outcome::Answered { told, .. } if told.is_own_change() => {
                step(asked_ns, ended_ns, Act::Own { command, told: told.clone() });
            }
            Outcome::Answered { told, .. } => {
                if told.is_done() {
                    // The effect was that of an earlier sending.
                    step(asked_ns, ended_ns, Act::Effect { command: command.clone() });
                }
                step(asked_ns, ended_ns, Act::Answer { command, told: told.clone() });
            }
        }
        if let Call::Hold { hold, ttl_ms, .. } = &operation.call
            && *ttl_ms <= TTL_SHORT_MS
        {
            let lives_ns = ttl_ms * 1_000_000;
            let number = names.hold(*hold);
            let from_ns = (asked_ns + lives_ns).saturating_sub(CLOCK_SLACK_NS);
            step(from_ns, u64::MAX, Act::Expire { hold: number });
        }
    }
    steps.sort_by_key(|step| step.asked_ns);
    match search::search(&steps, &names.orders, names.holds.len()) {
        Found::Order => Verdict::Linearizable,
        Found::Undecided => Verdict::Undecided("the search gave up".to_owned()),
        Found::None { placed, stuck_at } => {
            let operations: Vec<String> =
                stuck_at.iter().map(|&at| format!("\n  {}", history.operations[at])).collect();
            Verdict::Violated(format!(
                "event {}: no order of its operations gives these answers; the best one places {placed} and then none \
                 of these can be next:{}",
                history.event_id,
                operations.concat()
            ))
        }
    }
}

/// Numbers of what the history names.
struct Names {
    holds: BTreeMap<Id, u16>,
    /// Seats that anybody was told of each hold.
    told_seats: BTreeMap<Id, Vec<u32>>,
    orders: Vec<String>,
}

impl Names {
    fn of(history: &History) -> Self {
        let mut names = Names { holds: BTreeMap::new(), told_seats: BTreeMap::new(), orders: Vec::new() };
        for operation in &history.operations {
            if let Some(hold) = operation.call.hold() {
                names.hold(hold);
            }
            if let Call::Hold { replace: Some(old), .. } = &operation.call {
                names.hold(*old);
            }
            let (Some(hold), Outcome::Answered { told, .. }) = (operation.call.hold(), &operation.outcome) else {
                continue;
            };
            let seats: Vec<u32> = match told {
                Told::Held { seats, .. } | Told::Confirmed { seats, .. } => seats.clone(),
                Told::Hold(told) => told.seats.iter().chain(&told.sold_seats).copied().collect(),
                Told::Released { .. } | Told::Extended { .. } | Told::Map { .. } | Told::Refused { .. } => continue,
            };
            let known = names.told_seats.entry(hold).or_default();
            // The fullest answer: later ones may lack what was given back.
            if seats.len() > known.len() {
                *known = seats;
            }
        }
        names
    }

    fn hold(&mut self, id: Id) -> u16 {
        let next = u16::try_from(self.holds.len()).unwrap_or(u16::MAX);
        *self.holds.entry(id).or_insert(next)
    }

    /// Whether the server may have chosen seats and no answer tells which, nor that it never did.
    fn is_choice_untold(&self, call: &Call, history: &History) -> bool {
        let Call::Hold { hold, best: 1.., .. } = call else { return false };
        let never = |told: &Told| matches!(told, Told::Refused { reason, .. } if reason == "HOLD_NOT_FOUND");
        !self.told_seats.contains_key(hold)
            && !history.operations.iter().any(|other| {
                other.call == Call::GetHold { hold: *hold }
                    && matches!(&other.outcome, Outcome::Answered { told, .. } if never(told))
            })
    }

    fn order(&mut self, order: &str) -> u16 {
        let at = self.orders.iter().position(|known| known == order).unwrap_or_else(|| {
            self.orders.push(order.to_owned());
            self.orders.len() - 1
        });
        u16::try_from(at).unwrap_or(u16::MAX)
    }

    fn command(&mut self, call: &Call) -> Result<Command, String> {
        Ok(match call {
            Call::Hold { hold, seats, floor, floor_min, best, replace, ttl_ms: _ } => {
                let told = self.told_seats.get(hold);
                let chosen = told.map(|told| {
                    let mut chosen: Vec<u32> = told.iter().filter(|seat| !seats.contains(seat)).copied().collect();
                    chosen.sort_unstable();
                    chosen
                });
                if let Some(chosen) = &chosen
                    && !chosen.is_empty()
                    && chosen.len() != *best as usize
                {
                    return Err(format!("hold {hold}: nobody was told all of the seats that were chosen"));
                }
                Command::Hold {
                    hold: self.hold(*hold),
                    seats: seats.clone(),
                    chosen: chosen.filter(|chosen| !chosen.is_empty()),
                    best: *best,
                    floor: *floor,
                    floor_min: *floor_min,
                    replace: replace.map(|old| self.hold(old)),
                }
            }
            Call::Confirm { hold, order, part, release_rest } => Command::Confirm {
                hold: self.hold(*hold),
                order: self.order(order),
                part: part.clone(),
                release_rest: *release_rest,
            },
            Call::Release { hold, part } => Command::Release { hold: self.hold(*hold), part: part.clone() },
            Call::Extend { hold, request, ttl_ms: _ } => Command::Extend { hold: self.hold(*hold), request: *request },
            Call::GetHold { hold } => Command::GetHold { hold: self.hold(*hold) },
            Call::SeatMap => Command::SeatMap,
        })
    }
}
