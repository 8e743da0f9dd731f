//! The naive model of every event, led along the log: what the engine must answer and hold at each position.
//!
//! ```text
//! base ── turn ── turn ── turn ── …          each turn: time, floors, commands; the position after its group
//!   └ durable since the last start    └ lost in a crash: the model goes back to the turn that was recovered
//! ```
//!
//! Each event has a model of its own, because each is moved by the clock of its own shard.
//!
//! Invariants: `models` is `base` after every turn of `timeline`; positions of turns grow.
//! Not here: what is done with an answer that differs (`world.rs`).

use std::collections::BTreeMap;

use inventory_core::{
    change::ResumeCause,
    command::Command,
    ids::{EventKey, TimestampMs},
    reject::Reject,
};
use model::{Answer, Model, normal};

/// What a turn did, as far as it changes anything.
#[derive(Clone, Debug)]
enum Step {
    /// Ended what was due in these events.
    Advance(TimestampMs, Vec<EventKey>),
    /// Forgot ids up to a floor.
    Floor(EventKey, TimestampMs, bool),
    /// Took a command.
    Command(TimestampMs, EventKey, Box<Command>),
    /// Gave live holds the time away back.
    Resume(u64, ResumeCause),
}

/// Some steps and the position they lead to.
#[derive(Clone, Debug)]
struct Turn {
    /// The last position of its group.
    end: u64,
    /// The state's hash there, where it is known.
    hash: Option<u64>,
    /// The shard whose turn it was; nothing: a start.
    shard: Option<usize>,
    /// Only a part of what was due was ended: no command was judged.
    is_partial: bool,
    steps: Vec<Step>,
    /// A start that gave so many milliseconds back, measured from this time of the log.
    resumed: Option<(TimestampMs, u64)>,
}

/// The models and how they came to be.
#[derive(Clone, Debug, Default)]
pub struct Reference {
    base: BTreeMap<EventKey, Model>,
    base_position: u64,
    base_hash: u64,
    /// What the starts that led to the base gave back, if nothing came after them: a device that lies may take
    /// back that they were complete.
    base_resumed: Vec<(TimestampMs, u64)>,
    timeline: Vec<Turn>,
    models: BTreeMap<EventKey, Model>,
    /// Steps of the turn that is going on.
    open: Vec<Step>,
}

/// What stands at a position of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// The state's hash there, where it is known.
    pub hash: Option<u64>,
    /// A mass of holds of some shard was half ended there.
    pub is_partial: bool,
}

impl Reference {
    /// The model of an event, which may not have been made.
    pub fn model(&mut self, key: EventKey) -> &Model {
        self.models.entry(key).or_default()
    }

    /// The events that were made.
    pub fn events(&self) -> impl Iterator<Item = (EventKey, &Model)> {
        self.models.iter().filter(|(_, model)| !model.events().is_empty()).map(|(&key, model)| (key, model))
    }

    /// The last position, durable or not.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.timeline.last().map_or(self.base_position, |turn| turn.end)
    }

    /// Live holds of all events.
    #[must_use]
    pub fn live_holds(&self) -> usize {
        self.models.iter().map(|(&key, model)| model.live_holds(key).len()).sum()
    }

    /// Events that have live holds.
    #[must_use]
    pub fn events_with_live_holds(&self) -> u64 {
        self.models.iter().filter(|(key, model)| !model.live_holds(**key).is_empty()).count() as u64
    }

    /// Ends what is due in these events, holds and payments. Gives the events of which something ended.
    pub fn advance(&mut self, now: TimestampMs, keys: Vec<EventKey>) -> Vec<EventKey> {
        let live = |models: &BTreeMap<EventKey, Model>, key: &EventKey| {
            (models[key].live_holds(*key).len(), models[key].paying_holds(*key))
        };
        let before: Vec<(usize, usize)> = keys.iter().map(|key| live(&self.models, key)).collect();
        self.step(Step::Advance(now, keys.clone()));
        let ended = |(key, before): &(EventKey, (usize, usize))| live(&self.models, key) != *before;
        keys.into_iter().zip(before).filter(ended).map(|(key, _)| key).collect()
    }

    /// Forgets ids.
    pub fn raise_floor(&mut self, key: EventKey, floor: TimestampMs, also_paid: bool) {
        self.step(Step::Floor(key, floor, also_paid));
    }

    /// Whether a command would make a change.
    #[must_use]
    pub fn would_change(&self, now: TimestampMs, key: EventKey, command: &Command) -> bool {
        let mut model = self.models.get(&key).cloned().unwrap_or_default();
        matches!(model.execute(now, key, command), Ok(Answer::Hold { replayed: false, .. }))
    }

    /// Judges a command and makes it true. Its answer, and whether it made a change.
    pub fn execute(&mut self, now: TimestampMs, key: EventKey, command: &Command) -> (Result<Answer, Reject>, bool) {
        let model = self.models.entry(key).or_default();
        let paying = model.paying_holds(key);
        let answer = normal(model.execute(now, key, command));
        let changes = match (&answer, command) {
            (_, Command::GetHold(_)) => false,
            // One that ends nothing answers like one that does.
            (Ok(_), Command::EndPayment(_)) => model.paying_holds(key) != paying,
            (Ok(_), Command::UpdateEvent(update)) if update.validate_only => false,
            (Ok(Answer::Touched { .. }), command) if only_asks(command) => false,
            (Ok(Answer::Hold { replayed, .. } | Answer::Event { replayed } | Answer::Touched { replayed, .. }), _) => {
                !replayed
            }
            (Ok(_) | Err(_), _) => false,
        };
        if changes {
            self.open.push(Step::Command(now, key, Box::new(command.clone())));
        }
        (answer, changes)
    }

    /// Ends the turn: its group leads to `end`.
    pub fn end_turn(&mut self, shard: usize, end: u64, hash: u64, is_partial: bool) {
        let steps = std::mem::take(&mut self.open);
        // Without a change nothing is to be done again: what is forgotten is forgotten by time.
        if end > self.position() {
            self.timeline.push(Turn { end, hash: Some(hash), shard: Some(shard), is_partial, steps, resumed: None });
        }
    }

    /// What stands at a position, if a group ends there.
    #[must_use]
    pub fn at(&self, position: u64) -> Option<Point> {
        if position == self.base_position {
            return Some(Point { hash: Some(self.base_hash), is_partial: false });
        }
        let turns = &self.timeline[..=self.timeline.iter().position(|turn| turn.end == position)?];
        let latest: BTreeMap<_, _> = turns.iter().map(|turn| (turn.shard, turn.is_partial)).collect();
        Some(Point { hash: turns.last()?.hash, is_partial: latest.values().any(|&is_partial| is_partial) })
    }

    /// The positions at which groups ended since the last start, and where it began.
    #[must_use]
    pub fn ends(&self) -> Vec<u64> {
        let ends = std::iter::once(self.base_position).chain(self.timeline.iter().map(|turn| turn.end));
        ends.filter(|&end| self.at(end).is_some_and(|point| !point.is_partial)).collect()
    }

    /// Everything after this position never happened.
    pub fn rewind(&mut self, position: u64) {
        assert!(position >= self.base_position, "{position} is before what was durable, {}", self.base_position);
        self.open.clear();
        self.timeline.retain(|turn| turn.end <= position);
        self.models = self.base.clone();
        let steps: Vec<Step> = self.timeline.iter().flat_map(|turn| turn.steps.iter().cloned()).collect();
        for step in &steps {
            apply(&mut self.models, step);
        }
    }

    /// What starts that were cut short have given back already, measured from this time of the log.
    #[must_use]
    pub fn given_ms(&self, log: TimestampMs) -> u64 {
        self.latest_starts().iter().filter(|(from, _)| *from == log).map(|(_, shift_ms)| shift_ms).sum()
    }

    /// The last start was complete, and nothing has taken that back: what it gave is no part of the next one.
    pub fn forget_given(&mut self) {
        if self.timeline.is_empty() {
            self.base_resumed.clear();
        }
    }

    fn latest_starts(&self) -> Vec<(TimestampMs, u64)> {
        let mut starts: Vec<_> = self.timeline.iter().rev().map_while(|turn| turn.resumed).collect();
        if starts.len() == self.timeline.len() {
            starts.extend(&self.base_resumed);
        }
        starts
    }

    /// A start gives live holds the time away back. One change for each event that has some.
    pub fn resume(&mut self, log: TimestampMs, shift_ms: u64, cause: ResumeCause) {
        let changes = if shift_ms > 0 { self.events_with_live_holds() } else { 0 };
        let end = self.position() + changes;
        if changes > 0 {
            self.step(Step::Resume(shift_ms, cause));
            let steps = std::mem::take(&mut self.open);
            self.timeline.push(Turn {
                end,
                hash: None,
                shard: None,
                is_partial: false,
                steps,
                resumed: Some((log, shift_ms)),
            });
        }
    }

    /// A start has made everything up to now durable.
    pub fn settle(&mut self, hash: u64) {
        self.base_resumed = self.latest_starts();
        self.base_position = self.position();
        self.base_hash = hash;
        self.timeline.clear();
        self.base = self.models.clone();
    }

    fn step(&mut self, step: Step) {
        apply(&mut self.models, &step);
        self.open.push(step);
    }
}

/// Whether a command of the house asks what it would touch.
fn only_asks(command: &Command) -> bool {
    match command {
        Command::SellDirect(sell) => sell.validate_only,
        Command::ReturnPlaces(command) => command.validate_only,
        Command::Exchange(exchange) => exchange.validate_only,
        Command::Kill(kill) => kill.validate_only,
        Command::Unkill(unkill) => unkill.validate_only,
        Command::SetAllocation(set) => set.validate_only,
        Command::RemoveAllocation(remove) => remove.validate_only,
        _ => false,
    }
}

fn apply(models: &mut BTreeMap<EventKey, Model>, step: &Step) {
    match step {
        Step::Advance(now, keys) => {
            for key in keys {
                models.entry(*key).or_default().advance(*now);
            }
        }
        Step::Floor(key, floor, also_paid) => models.entry(*key).or_default().raise_floor(*key, *floor, *also_paid),
        Step::Command(now, key, command) => {
            let _ = models.entry(*key).or_default().execute(*now, *key, command);
        }
        Step::Resume(shift_ms, cause) => models.values_mut().for_each(|model| model.resume(*shift_ms, *cause)),
    }
}
