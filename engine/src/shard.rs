//! A shard: the slots of one thread, and the turn that moves them.
//!
//! ```text
//! finished groups ─> views ─> answers              what is durable, in the order it was made
//! clock ─> expiries ─> commands ─> group ─> committer
//! ```
//!
//! Invariants:
//!
//! - S1. An answer leaves when the group it depends on is durable and shown in the views: its own change,
//!   or the last change of what it looked at. What depends on nothing that is still on its way leaves at
//!   once. So answers about one event leave in the order the commands were judged.
//! - S2. At most one group waits for the committer. While one does, nothing is judged.
//! - S3. A change is applied before it is encoded, and encoded before anything else is judged.
//!
//! A panic while judging is answered and remembered. A panic anywhere else in a turn ends the process:
//! half a change in memory must never reach the log.

use std::{
    collections::{HashSet, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use inventory_core::{
    ahead::{AHEAD_MAX, STEPS},
    cart::CartEnd,
    change::{Change, HoldView},
    command::Command,
    event::Event,
    ids::{EventKey, EventNumber, HoldId, SlotIndex, TimestampMs},
    limits::{COMMANDS_PER_TURN_MAX, EXPIRIES_PER_TURN_MAX, GROUP_BYTES_MAX, MOVES_PER_TURN_MAX},
    plan::Plan,
    reject::Reject,
    slot::{Decision, Slot},
};
use probe::{buggify, planted, sometimes, tell};

#[cfg(usher_sim)]
use crate::witness::{Judged, Witness, Woke};
use crate::{
    abort::AbortOnPanic,
    answer::{Answer, Done, Refused},
    carts::Carts,
    command_traits::{fingerprint, hold_of, needs_room},
    engine::{Door, Engine, ToCommitter},
    group::{Finished, Group, GroupBuilder, Place},
    mailbox::Envelope,
    outstanding::{ChangeRef, Entry, Outstanding, Pending, Shown},
    reply::Reply,
    router::event_key,
    slip::{Slip, slips},
    slot_state::{EventMeta, SlotState, remembers_many},
    sync::{atomic::Ordering, channel::Receiver},
    view::{EventView, ViewChange},
};

/// Floors that one slot may raise when a turn touches it: each drops the memory of many ended holds.
const FLOORS_PER_TOUCH_MAX: usize = 64;
/// How long a full memory is left alone when nothing in it may be forgotten yet.
const FLOOR_REST_MS: u64 = 1_000;

/// When a shard's turn should be called again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wake {
    /// At once: there is more to do.
    pub again: bool,
    /// At this time at the latest.
    pub at: Option<TimestampMs>,
}

/// The slots of one thread, with everything only that thread touches.
pub struct Shard {
    engine: Arc<Engine>,
    index: usize,
    finished: Receiver<Finished>,
    slots: Vec<SlotState>,
    /// XOR over the slots, as of the last group.
    hash: u64,
    live_holds: u64,
    /// Slots that remember many ended holds.
    full_slots: u64,
    /// Time of the last turn.
    now: TimestampMs,
    /// Turns that judged, since the start.
    turns: u64,
    /// Taken from the mailbox, not judged.
    queue: VecDeque<Envelope>,
    /// So many of them, the first, have been looked up ahead of their turn.
    looked_up: usize,
    builder: GroupBuilder,
    /// The group of this turn, as far as it stays here.
    open: Outstanding,
    /// The events it changes: slot and number.
    touched: Vec<(usize, EventNumber)>,
    /// Handed over and not durable, oldest first.
    outstanding: VecDeque<Outstanding>,
    /// The last group that is durable and shown.
    durable_group: u64,
    /// The last position of it.
    durable_position: u64,
    /// Payload buffers that came back.
    spare: Vec<Vec<u8>>,
    /// Emptied, for their allocations.
    emptied: Vec<Outstanding>,
    /// Fingerprints of commands that made the judge panic.
    quarantine: HashSet<u64>,
    carts: Carts,
    #[cfg(usher_sim)]
    witness: Witness,
}

impl Drop for Shard {
    /// Nobody else will judge what still waits for this shard, and the mailbox outlives it: who waits must be
    /// told that no answer will come.
    fn drop(&mut self) {
        let mailbox = &self.engine.doors[self.index].mailbox;
        mailbox.abandon();
        let mut taken = VecDeque::new();
        mailbox.take(&mut taken);
        mailbox.judged(taken.len() + self.queue.len());
        self.queue.clear();
    }
}

impl Shard {
    /// `slots`: those of this shard, in order of index. `position`: the last durable one.
    pub(crate) fn new(
        engine: Arc<Engine>,
        index: usize,
        finished: Receiver<Finished>,
        slots: Vec<(SlotIndex, Slot)>,
        now: TimestampMs,
        position: u64,
    ) -> Shard {
        let slots: Vec<SlotState> =
            slots.into_iter().map(|(index, slot)| SlotState::new(index, slot, &engine, position)).collect();
        let unsettled = slots.iter().flat_map(|state| state.slot.unsettled()).collect();
        let events = || slots.iter().flat_map(|state| state.events.iter().flatten());
        let retired = slots.iter().fold(0, |hash, state| hash ^ state.slot.retired_hash());
        let shard = Shard {
            hash: events().fold(retired, |hash, event| hash ^ event.hash),
            live_holds: events().map(|event| event.live_holds).sum(),
            full_slots: slots.iter().map(|state| u64::from(state.remembers_many)).sum(),
            carts: Carts::new(&engine, index, unsettled),
            engine,
            index,
            finished,
            slots,
            now,
            turns: 0,
            queue: VecDeque::new(),
            looked_up: 0,
            builder: GroupBuilder::new(),
            open: Outstanding::new(1),
            touched: Vec::new(),
            outstanding: VecDeque::new(),
            durable_group: 0,
            durable_position: position,
            spare: Vec::new(),
            emptied: Vec::new(),
            quarantine: HashSet::new(),
            #[cfg(usher_sim)]
            witness: Witness::default(),
        };
        shard.door().live_holds.store(shard.live_holds, Ordering::Relaxed);
        shard.door().hash.store(shard.hash, Ordering::Relaxed);
        shard.door().full_slots.store(shard.full_slots, Ordering::Relaxed);
        shard
    }

    /// Its number.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// What the last turn judged, in order.
    #[cfg(usher_sim)]
    pub fn take_judged(&mut self) -> Vec<Judged> {
        self.witness.take_judged()
    }

    /// What woke in the last turn, by event, in order.
    #[cfg(usher_sim)]
    pub fn take_woke(&mut self) -> Vec<(EventKey, Woke)> {
        self.witness.take_woke()
    }

    #[cfg(usher_sim)]
    fn note_result(&mut self, result: &Result<Done, Refused>) {
        self.witness.answered(result);
    }

    #[cfg(not(usher_sim))]
    #[expect(clippy::unused_self, reason = "in a simulation it is noted there")]
    fn note_result(&self, _: &Result<Done, Refused>) {}

    /// XOR over its slots, and its live holds, as of the last group.
    pub(crate) fn digest(&self) -> (u64, u64) {
        (self.hash, self.live_holds)
    }

    /// One turn. Never waits. First what became durable: views, then the answers, in order. Then, when the
    /// committer has taken the last group: read the clock once, expire what is due, judge what waits, hand
    /// over one group.
    pub fn turn(&mut self) -> Wake {
        let _guard = AbortOnPanic("a turn");
        #[cfg(usher_sim)]
        self.witness.begin_turn();
        while let Ok(finished) = self.finished.try_recv() {
            self.release(finished);
        }
        if self.door().handover.is_untaken() {
            // The committer wakes the shard when it takes the group.
            sometimes!("turn: the last group is not taken");
            return Wake::default();
        }
        self.now = self.now.max(self.engine.clock.now());
        self.turns += 1;
        self.door().turns.store(self.turns, Ordering::Relaxed);
        let more_due = self.expire();
        let judged = if more_due { 0 } else { self.judge_all() };
        self.carts.note_count();
        if slips(Slip::JudgedBeforeHanded) {
            self.door().mailbox.judged(judged);
        }
        let handed = self.hand_over();
        // After the group is counted as handed over: see `Door::is_idle`.
        if !slips(Slip::JudgedBeforeHanded) {
            self.door().mailbox.judged(judged);
        }
        self.door().judged.fetch_add(judged as u64, Ordering::Relaxed);
        let offer_at = self.carts.put_out(self.now);
        let waits = !self.queue.is_empty() || !self.door().mailbox.is_empty() || self.carts.is_busy();
        Wake {
            // After a group, the committer's wake brings the next turn.
            again: !handed && (waits || more_due),
            at: self.slots.iter().filter_map(|state| state.due).chain(offer_at).min(),
        }
    }

    fn door(&self) -> &Door {
        &self.engine.doors[self.index]
    }

    /// A group is durable: show it, then let its answers go.
    fn release(&mut self, finished: Finished) {
        let group = self.outstanding.pop_front().expect("the committer gives back what it was given");
        assert_eq!(group.number, finished.number, "groups come back in order");
        let Outstanding { number, time, run_starts, changes, mut shown, mut moves, mut replies } = group;
        let position = |place: Place| {
            finished.first_position + u64::from(run_starts[usize::from(place.run)]) + u64::from(place.at)
        };
        let answer = |replies: &mut Vec<Pending>| {
            for pending in replies.drain(..) {
                let position = position(pending.place);
                pending.reply.send(Answer { result: pending.result, position, time: pending.time });
            }
        };
        if slips(Slip::AnswerBeforeView) {
            answer(&mut replies);
        }
        for shown in shown.drain(..) {
            let state = &mut self.slots[shown.slot];
            let meta = state.meta_mut(shown.event);
            meta.position = position(shown.place);
            if shown.entry == Entry::Retired {
                self.engine.directory.retire(meta.view.key());
                state.events[shown.event.0 as usize] = None;
                continue;
            }
            meta.view.apply(shown.change, &moves[shown.moves], meta.position);
            if shown.entry == Entry::Made {
                self.engine.directory.insert(Arc::clone(&meta.view));
            }
        }
        self.durable_group = finished.number;
        self.durable_position = finished.first_position + u64::from(changes) - 1;
        if planted!(RepliesReordered) {
            replies.reverse();
        }
        answer(&mut replies);
        moves.clear();
        self.emptied.push(Outstanding { number, time, run_starts, changes, shown, moves, replies });
        self.spare.push(finished.payload);
        self.door().handover.release(finished.number);
    }

    /// Ends holds whose time has come. Whether there are more than one turn may end.
    fn expire(&mut self) -> bool {
        let mut left = if buggify!("turn: few expiries") { 2 } else { EXPIRIES_PER_TURN_MAX };
        for at in 0..self.slots.len() {
            while self.slots[at].due.is_some_and(|due| due <= self.now) {
                if left == 0 || self.builder.bytes() >= GROUP_BYTES_MAX {
                    sometimes!("turn: more is due than a turn may end");
                    tell!("more due", self.index as u64, 0);
                    return true;
                }
                match self.slots[at].slot.decide_due(self.now) {
                    Some((event, change)) => {
                        let (due, ended) = match &change {
                            Change::Expired(holds) => (holds.len(), holds.len()),
                            Change::PaymentsLapsed(holds) => (holds.len(), 0),
                            Change::CartReleased(_) => (1, 1),
                            _ => (1, 0),
                        };
                        left = left.saturating_sub(due);
                        self.door().expired.fetch_add(ended as u64, Ordering::Relaxed);
                        let cart = if let Change::CartReleased(part) = &change { Some(part.cart_id) } else { None };
                        let place = self.make(at, event, change);
                        if let Some(cart_id) = cart {
                            self.note_cart_deadline(at, event, place, cart_id);
                        }
                    }
                    // What stood there is done; when the next is due is known again.
                    None => {
                        for due in self.slots[at].slot.take_due_parts(self.now) {
                            self.carts.ask(due);
                        }
                        self.slots[at].due = self.slots[at].slot.next_due();
                        if self.slots[at].due.is_some_and(|due| due <= self.now) {
                            // Nothing can be done about it now: look again in the next turn.
                            break;
                        }
                    }
                }
            }
        }
        false
    }

    /// When the decision of a cart's deadline is durable, its other events are told.
    fn note_cart_deadline(&mut self, at: usize, event: EventNumber, place: Place, cart_id: HoldId) {
        let slot = &self.slots[at].slot;
        let key = slot.event(event).expect("a change is applied to an event that is there").key();
        if let Some(decided) = slot.decided(key, cart_id) {
            let reply = self.carts.deadline_passed(decided);
            let result = Ok(Done::Event { key, replayed: false });
            self.open.replies.push(Pending { place, time: self.now, result, reply });
        }
    }

    /// Judges what carts need and what waits. How many commands from the mailbox are settled.
    fn judge_all(&mut self) -> usize {
        // Before, so that a full mailbox does not keep carts from their end; and after, for what was just called.
        self.judge_cart_steps();
        let judged = self.judge_waiting();
        self.judge_cart_steps();
        judged
    }

    fn judge_cart_steps(&mut self) {
        for _ in 0..COMMANDS_PER_TURN_MAX {
            if self.builder.bytes() >= GROUP_BYTES_MAX || self.open.moves.len() >= MOVES_PER_TURN_MAX {
                break;
            }
            let Some(envelope) = self.carts.next() else { break };
            self.judge(envelope);
        }
    }

    /// Judges what waits, up to the turn's bounds. How many commands are settled.
    fn judge_waiting(&mut self) -> usize {
        let mut judged = 0;
        let group_bytes_max = if buggify!("turn: short group") { 128 } else { GROUP_BYTES_MAX };
        while judged < COMMANDS_PER_TURN_MAX
            && self.builder.bytes() < group_bytes_max
            && self.open.moves.len() < MOVES_PER_TURN_MAX
        {
            let Some(envelope) = self.next_envelope() else { break };
            if Carts::is_call(&envelope.command) {
                self.carts.call(envelope, self.now, self.durable_position);
            } else {
                self.judge(envelope);
            }
            judged += 1;
        }
        judged
    }

    fn next_envelope(&mut self) -> Option<Envelope> {
        if self.queue.is_empty() {
            self.engine.doors[self.index].mailbox.take(&mut self.queue);
            self.looked_up = 0;
        }
        if self.looked_up == 0 {
            self.look_up_next();
        }
        self.looked_up = self.looked_up.saturating_sub(1);
        self.queue.pop_front()
    }

    /// Asks for the memory that the next commands will need: see [`inventory_core::ahead`].
    fn look_up_next(&mut self) {
        let slot = |envelope: &Envelope| &self.slots[self.slot_at(envelope.key)].slot;
        let mut next = self.queue.iter();
        let mut ahead: [_; AHEAD_MAX] = std::array::from_fn(|_| {
            let envelope = next.next()?;
            Some((slot(envelope), slot(envelope).look_ahead(envelope.key, &envelope.command)?))
        });
        for step in 1..STEPS {
            ahead.iter_mut().flatten().for_each(|(slot, ahead)| slot.look_on(ahead, step));
        }
        self.looked_up = self.queue.len().min(AHEAD_MAX);
    }

    fn judge(&mut self, envelope: Envelope) {
        let Envelope { key, command, deadline, reply } = envelope;
        #[cfg(usher_sim)]
        self.witness.judged(key, command.clone());
        if deadline.is_some_and(|deadline| deadline <= self.now) {
            sometimes!("turn: a command is dropped, its deadline passed");
            self.door().dropped.fetch_add(1, Ordering::Relaxed);
            return self.answer_now(reply, Err(Refused::DeadlinePassed { executed_unknown: false }));
        }
        if self.engine.log.storage_low.load(Ordering::Relaxed) && needs_room(&command) {
            sometimes!("turn: refused for want of space");
            return self.answer_now(reply, Err(Refused::StorageLow));
        }
        let poisonous = !self.quarantine.is_empty() && self.quarantine.contains(&fingerprint(key, &command));
        if poisonous || !self.is_sound(key, &command) {
            return self.answer_now(reply, Err(Refused::Internal));
        }
        let at = self.slot_at(key);
        self.raise_floors(at);
        if matches!(command, Command::ReturnPlaces(_) | Command::Exchange(_) | Command::GetOrder(_)) {
            self.slots[at].slot.index_orders();
        }
        let slot = &self.slots[at].slot;
        let now = self.now;
        let judge = || {
            #[cfg(test)]
            tests::panic_if_planted(&command);
            slot.decide(now, key, &command)
        };
        let Ok(decided) = catch_unwind(AssertUnwindSafe(judge)) else {
            self.quarantine.insert(fingerprint(key, &command));
            return self.answer_now(reply, Err(Refused::Internal));
        };
        match decided {
            Ok(Decision::Change(_, Change::EventCreated(_) | Change::EventUpdated(_)))
                if !self.has_room(at, key, &command) =>
            {
                self.answer_reject(at, key, reply, Reject::CapacityBudget);
            }
            Ok(Decision::Change(event, change)) => {
                let retired = matches!(change, Change::EventRetired(_));
                let hold_id = hold_of(&change);
                let touched = self.slots[at].slot.touched_by(event, &change);
                // A part of a refused cart is forgotten at once, the first one when it is settled.
                let may_be_forgotten = matches!(&change, Change::CartReleased(part) if part.cause == CartEnd::Refused);
                let place = self.make(at, event, change);
                if matches!(reply, Reply::Nobody) {
                    return;
                }
                let hold_id =
                    hold_id.filter(|&id| !may_be_forgotten || self.slots[at].slot.hold_view(event, id).is_some());
                let done = match (hold_id, touched) {
                    _ if retired => Done::Retired,
                    (Some(hold_id), _) => Done::Hold { view: self.hold_view(at, event, hold_id), replayed: false },
                    (None, Some(touched)) => {
                        Done::Touched { plan_revision: self.plan_revision(at, event), touched, replayed: false }
                    }
                    (None, None) => Done::Event { key, replayed: false },
                };
                let result = Ok(done);
                self.note_result(&result);
                self.open.replies.push(Pending { place, time: now, result, reply });
            }
            Ok(Decision::Hold { event, view, replayed }) => {
                self.answer_about(at, event, reply, Ok(Done::Hold { view, replayed }));
            }
            Ok(Decision::Suggested { event, options }) => {
                let plan_revision = self.plan_revision(at, event);
                self.answer_about(at, event, reply, Ok(Done::Suggested { plan_revision, options }));
            }
            Ok(Decision::Explained { event, outcome, left_alone }) => {
                let plan_revision = self.plan_revision(at, event);
                let done = Done::Explained { plan_revision, outcome: Box::new(outcome), left_alone };
                self.answer_about(at, event, reply, Ok(done));
            }
            Ok(Decision::Order { event, parts }) => {
                let plan_revision = self.plan_revision(at, event);
                self.answer_about(at, event, reply, Ok(Done::Order { plan_revision, parts }));
            }
            Ok(Decision::Page { event, page }) => {
                let plan_revision = self.plan_revision(at, event);
                self.answer_about(at, event, reply, Ok(Done::Page { plan_revision, page }));
            }
            Ok(Decision::Allocations { event, allocations }) => {
                let plan_revision = self.plan_revision(at, event);
                self.answer_about(at, event, reply, Ok(Done::Allocations { plan_revision, allocations }));
            }
            Ok(Decision::Touched { event, touched, replayed }) => {
                let plan_revision = self.plan_revision(at, event);
                self.answer_about(at, event, reply, Ok(Done::Touched { plan_revision, touched, replayed }));
            }
            Ok(Decision::Verdict { event, verdict }) => {
                self.answer_about(at, event, reply, Ok(Done::Verdict(verdict)));
            }
            Ok(Decision::Image { event, image }) => self.answer_about(at, event, reply, Ok(Done::Image(image))),
            Ok(Decision::Event { event, replayed }) => {
                self.answer_about(at, event, reply, Ok(Done::Event { key, replayed }));
            }
            Err(reject) => self.answer_reject(at, key, reply, reject),
        }
    }

    /// Whether a change made of the command could be applied: what the caller of the engine answers for
    /// would end the process if it were wrong.
    fn is_sound(&self, key: EventKey, command: &Command) -> bool {
        let stored = |plan: &Plan| self.engine.plans.get(&plan.digest()).is_some();
        match command {
            Command::CreateEvent(create) => {
                create.key == key && event_key(create.id.as_str()) == key && stored(&create.plan)
            }
            Command::UpdateEvent(update) => update.plan.as_deref().is_none_or(stored),
            // No change comes of one that only asks.
            Command::SetPriceLevel(set) => set.validate_only || set.plan.as_deref().is_none_or(stored),
            _ => true,
        }
    }

    /// Whether the event to be made, or its larger plan, has room beside the others.
    fn has_room(&self, at: usize, key: EventKey, command: &Command) -> bool {
        match command {
            Command::CreateEvent(create) => self.engine.has_room(create.plan.capacity()),
            Command::UpdateEvent(update) => {
                let slot = &self.slots[at].slot;
                let now =
                    slot.find(key).and_then(|number| slot.event(number)).map_or(0, |event| event.plan().capacity());
                let then = update.plan.as_ref().map_or(0, |plan| plan.capacity());
                then <= now || self.engine.has_room(then - now)
            }
            _ => true,
        }
    }

    fn plan_revision(&self, at: usize, event: EventNumber) -> u32 {
        self.slots[at].slot.event(event).map_or(0, Event::plan_revision)
    }

    /// What the hold looks like right after its change.
    fn hold_view(&self, at: usize, event: EventNumber, hold_id: HoldId) -> HoldView {
        self.slots[at].slot.hold_view(event, hold_id).expect("a hold is remembered past the change that ended it")
    }

    /// Applies a change, encodes it, and remembers what it does to the views.
    fn make(&mut self, at: usize, event: EventNumber, change: Change) -> Place {
        let state = &mut self.slots[at];
        let moves_before = self.open.moves.len();
        let places_before = state.slot.event(event).map_or(0, |there| u64::from(there.plan().capacity()));
        #[cfg(usher_sim)]
        let woke = Woke::by(&state.slot, event, &change);
        let applied = state.slot.apply(self.now, event, &change, &self.engine.plans, Some(&mut self.open.moves));
        #[cfg(usher_sim)]
        if let Some((key, woke)) = woke {
            self.witness.woke(key, woke.then(&self.open.moves[moves_before..]));
        }
        let (created, replanned, updated) = match &change {
            Change::EventCreated(_) => (true, false, false),
            Change::EventUpdated(update) => (false, update.plan.is_some(), true),
            Change::PriceLevelSet(_) => (false, true, true),
            _ => (false, false, false),
        };
        let place = self.builder.push(state.index, event, applied, &change);
        let last = ChangeRef { group: self.open.number, place };
        if matches!(change, Change::EventRetired(_)) {
            self.engine.places.fetch_sub(places_before, Ordering::Relaxed);
            state.named = last;
            let (moves, change, entry) = (moves_before..moves_before, ViewChange::Moves, Entry::Retired);
            self.touch(at, event, last);
            self.open.shown.push(Shown { slot: at, event, place, moves, change, entry });
            return place;
        }
        let there = state.slot.event(event).expect("a change is applied to an event that is there");
        let mut moves = moves_before..self.open.moves.len();
        let shown = if created {
            self.engine.places.fetch_add(u64::from(there.plan().capacity()), Ordering::Relaxed);
            let view = EventView::of(there, 0);
            assert_eq!(state.events.len(), event.0 as usize, "events of a slot are numbered without a gap");
            state.events.push(Some(EventMeta::new(Arc::new(view), 0)));
            state.named = last;
            ViewChange::Moves
        } else if replanned {
            self.engine.places.fetch_add(u64::from(there.plan().capacity()), Ordering::Relaxed);
            self.engine.places.fetch_sub(places_before, Ordering::Relaxed);
            // The new places are read as they are; moves of the old ones mean nothing there.
            self.open.moves.truncate(moves.start);
            moves.end = moves.start;
            ViewChange::body(there)
        } else if updated {
            ViewChange::info(there)
        } else {
            ViewChange::Moves
        };
        self.touch(at, event, last);
        let entry = if created { Entry::Made } else { Entry::Stays };
        self.open.shown.push(Shown { slot: at, event, place, moves, change: shown, entry });
        place
    }

    /// Takes note of the last change of an event.
    fn touch(&mut self, at: usize, event: EventNumber, last: ChangeRef) {
        let meta = self.slots[at].meta_mut(event);
        if meta.last.group != last.group {
            self.touched.push((at, event));
        }
        meta.last = last;
    }

    /// Answers a refusal once everything it looked at is durable.
    fn answer_reject(&mut self, at: usize, key: EventKey, reply: Reply, reject: Reject) {
        let state = &self.slots[at];
        match state.slot.find(key) {
            Some(event) => self.answer_about(at, event, reply, Err(Refused::Reject(reject))),
            // That there is no such event, or was once, is true since the last one was added or retired.
            None => self.answer_after(state.named, None, reply, Err(Refused::Reject(reject))),
        }
    }

    /// Answers something that looked at an event.
    fn answer_about(&mut self, at: usize, event: EventNumber, reply: Reply, result: Result<Done, Refused>) {
        let meta = self.slots[at].meta(event);
        self.answer_after(meta.last, Some(meta.position), reply, result);
    }

    /// Answers when `looked_at` is durable. `position`: that of `looked_at`, if it is durable.
    fn answer_after(
        &mut self,
        looked_at: ChangeRef,
        position: Option<u64>,
        reply: Reply,
        result: Result<Done, Refused>,
    ) {
        self.note_result(&result);
        let is_durable = looked_at.group <= self.durable_group;
        sometimes!("turn: an answer waits for what it looked at", !is_durable);
        if is_durable || planted!(RejectWithoutBarrier) {
            let position = position.unwrap_or(self.durable_position);
            return reply.send(Answer { result, position, time: self.now });
        }
        let pending = Pending { place: looked_at.place, time: self.now, result, reply };
        if looked_at.group == self.open.number {
            self.open.replies.push(pending);
        } else {
            let first = self.outstanding.front().expect("a group that is not durable is outstanding").number;
            self.outstanding[(looked_at.group - first) as usize].replies.push(pending);
        }
    }

    /// Answers something that looked at nothing.
    fn answer_now(&mut self, reply: Reply, result: Result<Done, Refused>) {
        self.note_result(&result);
        reply.send(Answer { result, position: self.durable_position, time: self.now });
    }

    /// Makes room in a full memory of ended holds, once a turn for each slot that is asked for something.
    fn raise_floors(&mut self, at: usize) {
        if self.slots[at].floors_turn == self.turns {
            return;
        }
        self.slots[at].floors_turn = self.turns;
        self.slots[at].slot.set_tombstones_max(self.engine.tombstones_of_a_slot());
        for _ in 0..FLOORS_PER_TOUCH_MAX {
            let state = &mut self.slots[at];
            if !state.slot.needs_floor() || self.now < state.floors_after {
                break;
            }
            let Some((event, change)) = state.slot.decide_floor(self.now) else {
                sometimes!("turn: all ids are too young to be forgotten");
                // All ids are too young. Looking at all of them in every turn would stall the shard.
                state.floors_after = self.now.plus_ms(FLOOR_REST_MS);
                break;
            };
            sometimes!("turn: ids are forgotten for want of memory");
            #[cfg(usher_sim)]
            match &change {
                Change::FloorRaised(floor) => {
                    tell!("floor", self.view_key(at, event), floor.0);
                }
                Change::PaidForgotten(floor) => {
                    tell!("floor of paid", self.view_key(at, event), floor.0);
                }
                _ => {}
            }
            self.make(at, event, change);
        }
    }

    #[cfg(usher_sim)]
    fn view_key(&self, at: usize, event: EventNumber) -> u64 {
        self.slots[at].meta(event).view.key().0
    }

    /// Gives the turn's changes to the committer. Whether there were any.
    fn hand_over(&mut self) -> bool {
        if self.builder.changes() == 0 {
            debug_assert!(self.open.replies.is_empty(), "an answer in a group looked at a change in it");
            return false;
        }
        for (at, number) in self.touched.drain(..) {
            let state = &mut self.slots[at];
            let meta =
                state.events[number.0 as usize].as_mut().expect("what is touched is not gone before it is durable");
            self.hash ^= meta.hash;
            self.live_holds -= meta.live_holds;
            meta.read(&state.slot, number);
            self.hash ^= meta.hash;
            self.live_holds += meta.live_holds;
            state.due = state.slot.next_due();
            let remembers_many = remembers_many(&state.slot);
            if remembers_many != state.remembers_many {
                state.remembers_many = remembers_many;
                self.full_slots = if remembers_many { self.full_slots + 1 } else { self.full_slots - 1 };
            }
        }
        self.door().full_slots.store(self.full_slots, Ordering::Relaxed);
        let number = self.open.number;
        let mut next = self.emptied.pop().unwrap_or_else(|| Outstanding::new(0));
        next.number = number + 1;
        let mut open = std::mem::replace(&mut self.open, next);
        open.time = self.now;
        open.changes = self.builder.changes();
        let mut payload = self.spare.pop().unwrap_or_default();
        self.builder.finish(self.now, &mut payload, &mut open.run_starts);
        let group = Group {
            shard: self.index,
            number,
            payload,
            changes: open.changes,
            time: self.now,
            hash: self.hash,
            live_holds: self.live_holds,
        };
        let door = self.door();
        door.changes.fetch_add(u64::from(open.changes), Ordering::Relaxed);
        door.live_holds.store(self.live_holds, Ordering::Relaxed);
        door.hash.store(self.hash, Ordering::Relaxed);
        if !slips(Slip::MarkedAfterSent) {
            door.handover.hand_over(number);
        }
        self.outstanding.push_back(open);
        // Without a receiver the committer has ended: nothing is durable any more and nothing is answered.
        let _ = self.engine.to_committer.send(ToCommitter::Group(group));
        if slips(Slip::MarkedAfterSent) {
            self.door().handover.hand_over(number);
        }
        true
    }

    fn slot_at(&self, key: EventKey) -> usize {
        self.slot_index(key.slot())
    }

    /// Slots are dealt in turn, so those of a shard are every n-th.
    fn slot_index(&self, slot: SlotIndex) -> usize {
        usize::from(slot.0) / self.engine.doors.len()
    }
}

#[cfg(test)]
mod tests {
    use inventory_core::command::{CreateEvent, Release};
    use inventory_core::ids::EventId;
    use inventory_core::plan::PlanSpec;
    use inventory_core::policy::Settings;
    use wal::MemoryStorage;

    use super::*;
    use crate::{ClockSource, EngineConfig, ManualClock, Opened, open, reply_slot};

    const PLANTED: HoldId = HoldId(0xbad);

    pub(super) fn panic_if_planted(command: &Command) {
        if let Command::GetHold(PLANTED) = command {
            panic!("planted by a test");
        }
    }

    fn opened() -> Opened {
        let clock = ClockSource::Manual(ManualClock::new(TimestampMs(1_000)));
        let config = EngineConfig { segment_bytes: 64 << 10, deterministic: true, ..EngineConfig::default() };
        open(Arc::new(MemoryStorage::new()), clock, config, &mut |_| {}).expect("an empty folder opens")
    }

    fn ask(opened: &mut Opened, key: EventKey, command: Command) -> Result<Done, Refused> {
        let (sender, mut receiver) = reply_slot();
        opened.engine.submit(key, command, None, Reply::One(sender)).expect("there is room");
        while !opened.engine.is_idle() {
            opened.shards[0].turn();
            opened.committer.turn().expect("the disk works");
        }
        receiver.try_take().expect("settled").expect("answered").result
    }

    #[test]
    fn a_panic_while_judging_is_answered_and_not_repeated() {
        let mut opened = opened();
        let key = event_key("concert");
        assert_eq!(ask(&mut opened, key, Command::GetHold(PLANTED)), Err(Refused::Internal));
        assert_eq!(opened.shards[0].quarantine.len(), 1);
        assert_eq!(ask(&mut opened, key, Command::GetHold(PLANTED)), Err(Refused::Internal));
        let other = Release { hold_id: PLANTED, request_id: None, part: Default::default(), abort_payment: false };
        let refused = ask(&mut opened, key, Command::Release(Box::new(other)));
        assert_eq!(refused, Err(Refused::Reject(Reject::EventNotFound)), "the shard works on");
    }

    #[test]
    fn an_event_under_another_key_or_plan_is_not_made() {
        let mut opened = opened();
        let key = event_key("concert");
        let plan = Plan::build(&PlanSpec::default(), inventory_core::ids::PlanDigest([1; 32]));
        let Ok(plan) = plan.map(Arc::new) else { return };
        let id = EventId::parse("concert").expect("a good name");
        let create = CreateEvent { id, key, plan, settings: Settings::default() };
        let unstored = ask(&mut opened, key, Command::CreateEvent(Box::new(create.clone())));
        assert_eq!(unstored, Err(Refused::Internal));
        let elsewhere = EventKey(key.0 + 1);
        assert_eq!(ask(&mut opened, elsewhere, Command::CreateEvent(Box::new(create))), Err(Refused::Internal));
    }
}
