//! What waits for a shard.
//!
//! A short lock around a list that the shard takes whole: a command costs one push, and a turn one swap
//! however much waits. The count includes what the shard has taken and not judged yet, so the bound
//! holds for both together.

use std::collections::VecDeque;

use inventory_core::{
    command::Command,
    ids::{EventKey, TimestampMs},
};

use crate::{
    reply::Reply,
    slip::{Slip, slips},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

/// A command on its way.
pub(crate) struct Envelope {
    pub(crate) key: EventKey,
    pub(crate) command: Command,
    pub(crate) deadline: Option<TimestampMs>,
    pub(crate) reply: Reply,
}

/// What became of a command offered to a mailbox.
pub(crate) enum Put {
    /// It waits, and something waited already: a wake is on its way.
    Waits,
    /// It waits as the first: the shard must be woken.
    First,
    /// There is no room.
    Full,
    /// Nothing is taken any more.
    Closed,
}

#[derive(Default)]
struct Letters {
    waiting: VecDeque<Envelope>,
    closed: bool,
    /// Its shard is gone.
    abandoned: bool,
}

pub(crate) struct Mailbox {
    letters: Mutex<Letters>,
    /// In `letters`, or taken and not judged.
    waiting: AtomicUsize,
    commands_max: usize,
    holds_max: usize,
}

impl Mailbox {
    pub(crate) fn new(commands_max: usize) -> Mailbox {
        Mailbox {
            letters: Mutex::default(),
            waiting: AtomicUsize::new(0),
            commands_max,
            // What ends holds finds room when what makes them does not.
            holds_max: commands_max / 10 * 7 + commands_max % 10 * 7 / 10,
        }
    }

    pub(crate) fn put(&self, envelope: Envelope) -> Put {
        let max = if matches!(envelope.command, Command::Hold(_) | Command::HoldMany(_)) {
            self.holds_max
        } else {
            self.commands_max
        };
        let mut letters = self.letters.lock();
        let closed = letters.closed;
        if slips(Slip::ClosedBeforeLock) {
            drop(letters);
            letters = self.letters.lock();
        }
        if closed {
            return Put::Closed;
        }
        // Under the lock, so that only `judged` changes it at the same time, and that makes room.
        if self.waiting.load(Ordering::Acquire) >= max {
            return Put::Full;
        }
        self.waiting.fetch_add(1, Ordering::AcqRel);
        letters.waiting.push_back(envelope);
        if letters.waiting.len() == 1 { Put::First } else { Put::Waits }
    }

    /// Puts all of them or none; they are left in `envelopes` when they are not taken. All are holds, or none is.
    pub(crate) fn put_all(&self, envelopes: &mut Vec<Envelope>) -> Put {
        let is_hold = envelopes.first().is_some_and(|envelope| matches!(envelope.command, Command::Hold(_)));
        let max = if is_hold { self.holds_max } else { self.commands_max };
        let mut letters = self.letters.lock();
        if letters.closed {
            return Put::Closed;
        }
        if self.waiting.load(Ordering::Acquire) + envelopes.len() > max {
            return Put::Full;
        }
        self.waiting.fetch_add(envelopes.len(), Ordering::AcqRel);
        let was_empty = letters.waiting.is_empty();
        letters.waiting.extend(envelopes.drain(..));
        if was_empty { Put::First } else { Put::Waits }
    }

    /// Takes of what another shard asks, from the front, as much as there is room for. Also when nothing is taken from
    /// outside any more, so that carts at work come to their end. When the shard is gone all of it is dropped.
    pub(crate) fn put_between_shards(&self, steps: &mut VecDeque<Envelope>) -> Put {
        let mut letters = self.letters.lock();
        if letters.abandoned {
            steps.clear();
            return Put::Closed;
        }
        let room = self.commands_max.saturating_sub(self.waiting.load(Ordering::Acquire)).min(steps.len());
        if room == 0 {
            return Put::Full;
        }
        self.waiting.fetch_add(room, Ordering::AcqRel);
        let was_empty = letters.waiting.is_empty();
        letters.waiting.extend(steps.drain(..room));
        if was_empty { Put::First } else { Put::Waits }
    }

    /// Takes nothing from now on, not from other shards either.
    pub(crate) fn abandon(&self) {
        let mut letters = self.letters.lock();
        (letters.closed, letters.abandoned) = (true, true);
    }

    /// Takes nothing from outside from now on. What waits stays: once this has returned and no cart is at work, an empty
    /// mailbox stays empty.
    pub(crate) fn close(&self) {
        self.letters.lock().closed = true;
    }

    /// Swaps what waits with `empty`, which keeps its allocation.
    pub(crate) fn take(&self, empty: &mut VecDeque<Envelope>) {
        debug_assert!(empty.is_empty());
        std::mem::swap(&mut self.letters.lock().waiting, empty);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.letters.lock().waiting.is_empty()
    }

    /// So many of those taken are settled or belong to a group that was handed over.
    pub(crate) fn judged(&self, count: usize) {
        self.waiting.fetch_sub(count, Ordering::AcqRel);
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use inventory_core::ids::HoldId;

    use super::*;

    fn envelope(command: Command) -> Envelope {
        Envelope { key: EventKey(1), command, deadline: None, reply: Reply::Nobody }
    }

    fn read() -> Command {
        Command::GetHold(HoldId(1))
    }

    fn hold() -> Command {
        Command::Hold(Box::new(inventory_core::command::Hold {
            allocations: Default::default(),
            hold_id: HoldId(1),
            seats: Vec::new().into(),
            seat_keys: Vec::new(),
            admissions: Vec::new(),
            best: None,
            ticket_types: Vec::new(),
            customer: inventory_core::ids::CustomerKey::NONE,
            ttl_ms: 0,
            replace: None,
            plan_revision: 0,
        }))
    }

    #[test]
    fn holds_leave_room_for_what_ends_them() {
        let mailbox = Mailbox::new(10);
        assert!(matches!(mailbox.put(envelope(hold())), Put::First));
        for _ in 1..7 {
            assert!(matches!(mailbox.put(envelope(hold())), Put::Waits));
        }
        assert!(matches!(mailbox.put(envelope(hold())), Put::Full));
        for _ in 7..10 {
            assert!(matches!(mailbox.put(envelope(read())), Put::Waits));
        }
        assert!(matches!(mailbox.put(envelope(read())), Put::Full));
    }

    #[test]
    fn many_are_put_together_or_not_at_all() {
        let mailbox = Mailbox::new(10);
        let mut holds: Vec<Envelope> = (0..7).map(|_| envelope(hold())).collect();
        assert!(matches!(mailbox.put_all(&mut holds), Put::First));
        assert!(holds.is_empty());
        let mut reads: Vec<Envelope> = (0..4).map(|_| envelope(read())).collect();
        assert!(matches!(mailbox.put_all(&mut reads), Put::Full));
        assert_eq!((reads.len(), mailbox.waiting()), (4, 7));
        reads.pop();
        assert!(matches!(mailbox.put_all(&mut reads), Put::Waits));
        assert_eq!(mailbox.waiting(), 10);
    }

    #[test]
    fn what_is_taken_counts_until_it_is_judged() {
        let mailbox = Mailbox::new(1);
        assert!(matches!(mailbox.put(envelope(read())), Put::First));
        let mut taken = VecDeque::new();
        mailbox.take(&mut taken);
        assert!(mailbox.is_empty());
        assert!(matches!(mailbox.put(envelope(read())), Put::Full));
        mailbox.judged(taken.len());
        assert!(matches!(mailbox.put(envelope(read())), Put::First));
    }

    #[test]
    fn steps_between_shards_are_taken_in_order_as_far_as_there_is_room() {
        let mailbox = Mailbox::new(2);
        let mut steps: VecDeque<Envelope> = (0..3).map(|_| envelope(read())).collect();
        assert!(matches!(mailbox.put_between_shards(&mut steps), Put::First));
        assert!(matches!(mailbox.put_between_shards(&mut steps), Put::Full));
        assert_eq!((steps.len(), mailbox.waiting()), (1, 2));
        let mut taken = VecDeque::new();
        mailbox.take(&mut taken);
        mailbox.judged(taken.len());
        // Also while the engine drains, until the shard is gone.
        mailbox.close();
        assert!(matches!(mailbox.put_between_shards(&mut steps), Put::First));
        mailbox.abandon();
        steps.push_back(envelope(read()));
        assert!(matches!(mailbox.put_between_shards(&mut steps), Put::Closed));
        assert!(steps.is_empty());
    }

    #[test]
    fn a_closed_mailbox_takes_nothing_and_keeps_what_waits() {
        let mailbox = Mailbox::new(10);
        assert!(matches!(mailbox.put(envelope(read())), Put::First));
        mailbox.close();
        assert!(matches!(mailbox.put(envelope(read())), Put::Closed));
        let mut taken = VecDeque::new();
        mailbox.take(&mut taken);
        assert_eq!((taken.len(), mailbox.is_empty()), (1, true));
    }
}
