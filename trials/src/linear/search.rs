//! The search of Wing and Gong (1993) with Lowe's memory of configurations (2017): is there an order of the
//! operations that respects real time and that the sequential object could have answered so?
//!
//! Steps, not operations, are put in order. An answer of an own change is one step: it takes effect and is told. Any
//! other answer is a step that only looks. What may have had an effect nobody was told of (an unknown outcome, or a
//! repetition that was answered later) is a step that may be left out. A short-lived hold brings a step for its end.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::history::Told;
use crate::linear::spec::{Command, State};

/// Configurations looked at before the search gives up: about a minute.
const CONFIGURATIONS_MAX: usize = 4_000_000;

/// What a step does.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// The effect and the answer that tells of it.
    Own { command: Command, told: Told },
    /// An answer that looks.
    Answer { command: Command, told: Told },
    /// An effect without an answer. May be left out.
    Effect { command: Command },
    /// A hold ends by time. May be left out.
    Expire { hold: u16 },
}

/// A step with the time in which it happened.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) asked_ns: u64,
    pub(super) ended_ns: u64,
    pub(super) act: Act,
    /// The operation it belongs to, by its place in the history.
    pub(super) operation: usize,
}

impl Step {
    fn is_optional(&self) -> bool {
        matches!(self.act, Act::Effect { .. } | Act::Expire { .. })
    }

    fn take(&self, state: &State, orders: &[String]) -> Option<State> {
        match &self.act {
            Act::Own { command, told } => state.own(command, orders, told),
            Act::Answer { command, told } => state.answer(command, orders, told),
            Act::Effect { command } => state.effect(command),
            Act::Expire { hold } => state.expire(*hold),
        }
    }
}

/// How a search ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// There is an order.
    Order,
    /// There is none. The farthest that any order came, and the operations none of which could be next.
    None { placed: usize, stuck_at: Vec<usize> },
    /// It was not decided within the bound.
    Undecided,
}

/// The steps that were placed, one bit each.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Placed(Vec<u64>);

impl Placed {
    fn has(&self, at: usize) -> bool {
        self.0[at / 64] >> (at % 64) & 1 == 1
    }

    fn set(&mut self, at: usize, to: bool) {
        let bit = 1 << (at % 64);
        self.0[at / 64] = if to { self.0[at / 64] | bit } else { self.0[at / 64] & !bit };
    }
}

/// One level of the search.
struct Level {
    /// The step that led here.
    step: usize,
    /// The state before it.
    before: State,
    latest_before_ns: u64,
    /// Steps that may come next, in the order in which they are tried.
    next: Vec<usize>,
    tried: usize,
}

/// Looks for an order of `steps`, which are in the order in which they were asked.
pub(super) fn search(steps: &[Step], orders: &[String], holds: usize) -> Found {
    let required = steps.iter().filter(|step| !step.is_optional()).count();
    let mut placed = Placed(vec![0; steps.len() / 64 + 1]);
    let mut state = State::new(holds);
    let mut latest_ns = 0;
    let mut seen: HashSet<u128> = HashSet::new();
    let mut levels: Vec<Level> = Vec::new();
    let (mut done, mut best, mut stuck_at) = (0, 0, Vec::new());
    let mut next = candidates(steps, &placed, latest_ns);
    let mut tried = 0;
    loop {
        if done == required {
            return Found::Order;
        }
        let forward = next.get(tried..).unwrap_or_default().iter().enumerate().find_map(|(skipped, &at)| {
            let after = steps[at].take(&state, orders)?;
            Some((skipped, at, after))
        });
        let Some((skipped, at, after)) = forward else {
            if done > best || stuck_at.is_empty() {
                best = done;
                stuck_at = next.iter().map(|&at| steps[at].operation).collect();
            }
            // Nothing goes on from here: undo the last step and try the next one in its place.
            let Some(level) = levels.pop() else {
                stuck_at.sort_unstable();
                stuck_at.dedup();
                return Found::None { placed: best, stuck_at };
            };
            placed.set(level.step, false);
            done -= usize::from(!steps[level.step].is_optional());
            state = level.before;
            latest_ns = level.latest_before_ns;
            next = level.next;
            tried = level.tried;
            continue;
        };
        tried += skipped + 1;
        placed.set(at, true);
        if !seen.insert(fingerprint(&placed, &after)) {
            placed.set(at, false);
            continue;
        }
        if seen.len() > CONFIGURATIONS_MAX {
            return Found::Undecided;
        }
        done += usize::from(!steps[at].is_optional());
        let before = std::mem::replace(&mut state, after);
        let latest_before_ns = latest_ns;
        latest_ns = latest_ns.max(steps[at].asked_ns);
        let following = candidates(steps, &placed, latest_ns);
        levels.push(Level { step: at, before, latest_before_ns, next: std::mem::replace(&mut next, following), tried });
        tried = 0;
    }
}

/// The steps that may come next: asked before every unplaced required step had ended, and not ended before something
/// placed was asked. Those that must come, by their end; then those that may be left out.
fn candidates(steps: &[Step], placed: &Placed, latest_ns: u64) -> Vec<usize> {
    let mut first_end_ns = u64::MAX;
    let mut found = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        if placed.has(at) {
            continue;
        }
        if step.asked_ns > first_end_ns {
            break;
        }
        if !step.is_optional() {
            first_end_ns = first_end_ns.min(step.ended_ns);
        }
        if step.ended_ns >= latest_ns {
            found.push(at);
        }
    }
    found.retain(|&at| steps[at].asked_ns <= first_end_ns);
    found.sort_by_key(|&at| (steps[at].is_optional(), steps[at].ended_ns));
    found
}

/// 128 bits of it: two of some millions meet with a chance of less than one in 10^24.
fn fingerprint(placed: &Placed, state: &State) -> u128 {
    let half = |salt: u64| {
        let mut hasher = DefaultHasher::new();
        (salt, placed, state).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(1) << 64 | half(2)
}
