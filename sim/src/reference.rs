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
    change::{Rested, ResumeCause},
    command::Command,
    ids::{EventKey, TimestampMs},
    policy::EventState,
    reject::Reject,
    retire::RetireEvent,
};
use model::{Answer, Model, normal};

/// What a turn did, as far as it changes anything.
#[derive(Clone, Debug)]
enum Step {
    /// Ended what was due in these events.
    Advance(TimestampMs, Vec<EventKey>),
    /// Places of these events had rested long enough, and no others of theirs.
    Woke(TimestampMs, Vec<EventKey>, Vec<(EventKey, Rested)>),
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

/// A model, and how often it was changed: by the same steps it comes to the same number.
#[derive(Clone, Debug, Default)]
struct Led {
    model: Model,
    changes: u64,
}

impl Led {
    /// What shows that something was due: live holds, and payments.
    fn live(&self, key: EventKey) -> (usize, usize) {
        (self.model.live_holds(key).len(), self.model.paying_holds(key))
    }

    /// Whether anything ended.
    fn advance(&mut self, now: TimestampMs, key: EventKey) -> bool {
        let before = self.live(key);
        self.model.advance(now);
        let ended = self.live(key) != before;
        self.changes += u64::from(ended);
        ended
    }
}

/// The models and how they came to be.
#[derive(Clone, Debug, Default)]
pub struct Reference {
    base: BTreeMap<EventKey, Led>,
    base_position: u64,
    base_hash: u64,
    /// What the starts that led to the base gave back, if nothing came after them: a device that lies may take
    /// back that they were complete.
    base_resumed: Vec<(TimestampMs, u64)>,
    timeline: Vec<Turn>,
    models: BTreeMap<EventKey, Led>,
    /// Steps of the turn that is going on.
    open: Vec<Step>,
    /// Images of events by number of the last change in them: which of the changes of the model that was.
    images: BTreeMap<(EventKey, u32), u64>,
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
        &self.models.entry(key).or_default().model
    }

    /// The events that were made and are not retired.
    pub fn events(&self) -> impl Iterator<Item = (EventKey, &Model)> {
        self.all().filter(|(_, model)| !model.events().is_empty())
    }

    /// The events that were retired.
    pub fn retired(&self) -> impl Iterator<Item = EventKey> {
        self.all().filter(|(_, model)| model.retired_count() > 0).map(|(key, _)| key)
    }

    fn all(&self) -> impl Iterator<Item = (EventKey, &Model)> {
        self.models.iter().map(|(&key, led)| (key, &led.model))
    }

    /// The last position, durable or not.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.timeline.last().map_or(self.base_position, |turn| turn.end)
    }

    /// Live holds of all events.
    #[must_use]
    pub fn live_holds(&self) -> usize {
        self.all().map(|(key, model)| model.live_holds(key).len()).sum()
    }

    /// Events that have live holds.
    #[must_use]
    pub fn events_with_live_holds(&self) -> u64 {
        self.all().filter(|(key, model)| !model.live_holds(*key).is_empty()).count() as u64
    }

    /// Ends what is due in these events, holds and payments. Gives the events of which something ended.
    pub fn advance(&mut self, now: TimestampMs, keys: Vec<EventKey>) -> Vec<EventKey> {
        let ended = keys.iter().copied().filter(|&key| self.models.entry(key).or_default().advance(now, key)).collect();
        self.open.push(Step::Advance(now, keys));
        ended
    }

    /// These places of the events have woken, and no others that were to.
    ///
    /// # Panics
    /// When one of them could not.
    pub fn wake(&mut self, now: TimestampMs, keys: Vec<EventKey>, woke: Vec<(EventKey, Rested)>) {
        self.step(Step::Woke(now, keys, woke));
    }

    /// Forgets ids.
    pub fn raise_floor(&mut self, key: EventKey, floor: TimestampMs, also_paid: bool) {
        self.step(Step::Floor(key, floor, also_paid));
    }

    /// Whether a command would make a change.
    #[must_use]
    pub fn would_change(&self, now: TimestampMs, key: EventKey, command: &Command) -> bool {
        let mut model = self.models.get(&key).cloned().unwrap_or_default().model;
        matches!(model.execute(now, key, command), Ok(Answer::Hold { replayed: false, .. }))
    }

    /// Judges a command and makes it true. Its answer, and whether it made a change.
    pub fn execute(&mut self, now: TimestampMs, key: EventKey, command: &Command) -> (Result<Answer, Reject>, bool) {
        let led = self.models.entry(key).or_default();
        let model = &mut led.model;
        if let Command::RetireEvent(retire) = command
            && let Some(archived_seq) = retire.archived_seq
            && self.images.get(&(key, archived_seq)) != Some(&led.changes)
        {
            // All else comes before: what it has to say is the same for an image of now.
            let asked = RetireEvent { archived_seq: None, ..retire.clone() };
            let answer = normal(model.execute(now, key, &Command::RetireEvent(asked)));
            let is_stale = answer.is_ok() && !retire.validate_only;
            let state = model.state(key).unwrap_or(EventState::OffSale);
            let stale = || Err(Reject::StateMismatch { etag: model.etag(key), state });
            return (if is_stale { stale() } else { answer }, false);
        }
        let paying = model.paying_holds(key);
        let answer = normal(model.execute(now, key, command));
        let changes = match (&answer, command) {
            (_, Command::GetHold(_)) => false,
            // One that ends nothing answers like one that does.
            (Ok(_), Command::EndPayment(_)) => model.paying_holds(key) != paying,
            (Ok(_), Command::UpdateEvent(update)) if update.validate_only => false,
            (Ok(_), Command::RetireEvent(retire)) => !retire.validate_only && retire.archived_seq.is_some(),
            (Ok(Answer::Touched { .. }), command) if only_asks(command) => false,
            (Ok(Answer::Hold { replayed, .. } | Answer::Event { replayed } | Answer::Touched { replayed, .. }), _) => {
                !replayed
            }
            (Ok(_) | Err(_), _) => false,
        };
        if changes {
            led.changes += 1;
            self.open.push(Step::Command(now, key, Box::new(command.clone())));
        }
        (answer, changes)
    }

    /// How often an event was changed.
    #[must_use]
    pub fn changes(&self, key: EventKey) -> u64 {
        self.models.get(&key).map_or(0, |led| led.changes)
    }

    /// The image of an event was told: the number of its last change, and how often the model was changed by then.
    pub fn note_image(&mut self, key: EventKey, event_seq: u32, changes: u64) {
        self.images.insert((key, event_seq), changes);
    }

    /// Another future: its events are not those of which images were told.
    pub fn forget_images(&mut self) {
        self.images.clear();
    }

    /// Ends the turn: its group leads to `end`.
    pub fn end_turn(&mut self, shard: usize, end: u64, hash: u64, is_partial: bool) {
        let steps = std::mem::take(&mut self.open);
        let was_partial =
            self.timeline.iter().rev().find(|turn| turn.shard == Some(shard)).is_some_and(|turn| turn.is_partial);
        // Without a change nothing is to be done again: what is forgotten is forgotten by time. But a turn that finds
        // nothing left of a mass is where that has ended.
        if end > self.position() || was_partial {
            self.timeline.push(Turn { end, hash: Some(hash), shard: Some(shard), is_partial, steps, resumed: None });
        }
    }

    /// What stands at a position, if a group ends there.
    #[must_use]
    pub fn at(&self, position: u64) -> Option<Point> {
        if position == self.base_position {
            return Some(Point { hash: Some(self.base_hash), is_partial: false });
        }
        let turns = &self.timeline[..=self.timeline.iter().rposition(|turn| turn.end == position)?];
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
        Command::SetPriceLevel(set) => set.validate_only,
        _ => false,
    }
}

fn apply(models: &mut BTreeMap<EventKey, Led>, step: &Step) {
    match step {
        Step::Advance(now, keys) => {
            for key in keys {
                models.entry(*key).or_default().advance(*now, *key);
            }
        }
        Step::Woke(now, keys, woke) => {
            for key in keys {
                let led = models.entry(*key).or_default();
                led.model.wake(*now, woke);
                led.changes += u64::from(woke.iter().any(|(of, _)| of == key));
            }
        }
        Step::Floor(key, floor, also_paid) => {
            let led = models.entry(*key).or_default();
            led.model.raise_floor(*key, *floor, *also_paid);
            led.changes += 1;
        }
        Step::Command(now, key, command) => {
            let led = models.entry(*key).or_default();
            let _ = led.model.execute(*now, *key, command);
            led.changes += 1;
        }
        Step::Resume(shift_ms, cause) => {
            for (key, led) in models {
                led.changes += u64::from(!led.model.live_holds(*key).is_empty());
                led.model.resume(*shift_ms, *cause);
            }
        }
    }
}
