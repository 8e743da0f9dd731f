//! Models for loom: every interleaving, within three preemptions, of two or three threads that share one of
//! the engine's small parts. `cargo xtask loom` runs them.
//!
//! The parts are the production ones, on loom's types by way of `sync.rs`. What the shard and the committer
//! do with them is spelled here in the order in which `shard.rs` and `committer.rs` do it; their own code
//! runs under shuttle (`engine/tests/engine/schedules.rs`), which tries many schedules but not all.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

use inventory_core::{
    command::Command,
    ids::{EventKey, HoldId, TimestampMs},
};
use loom::{
    sync::{
        Notify,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
};

use crate::{
    answer::{Answer, Refused},
    engine::{Door, LogNumbers},
    mailbox::{Envelope, Mailbox, Put},
    reply::{Lost, Reply, ReplyReceiver, reply_slot},
    sync::channel::unbounded,
    version::Version,
};

/// Runs `body` in every order that loom knows.
fn every_order(body: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(3);
    builder.check(body);
}

fn answer(position: u64) -> Answer {
    Answer { result: Err(Refused::Draining), position, time: TimestampMs(0) }
}

fn letter(number: u128, reply: Reply) -> Envelope {
    Envelope { key: EventKey(0), command: Command::GetHold(HoldId(number)), deadline: None, reply }
}

/// A wake that stays until it is waited for, as an executor's or a shard's does.
struct Bell(Notify);

impl Bell {
    fn new() -> Arc<Bell> {
        Arc::new(Bell(Notify::new()))
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}

/// Waits as an executor does: polls when woken and never otherwise, so a lost wake is a deadlock.
fn wait(receiver: &mut ReplyReceiver) -> Result<Answer, Lost> {
    let bell = Bell::new();
    let waker = Waker::from(Arc::clone(&bell));
    loop {
        match Pin::new(&mut *receiver).poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(result) => return result,
            Poll::Pending => bell.0.wait(),
        }
    }
}

#[test]
fn a_waiter_gets_the_answer_once_whenever_it_looks() {
    every_order(|| {
        let (sender, mut receiver) = reply_slot();
        let sends = thread::spawn(move || sender.send(answer(3)));
        assert_eq!(wait(&mut receiver), Ok(answer(3)));
        assert_eq!(receiver.try_take(), Some(Err(Lost)), "an answer is given once");
        sends.join().expect("no panic");
    });
}

#[test]
fn a_waiter_whose_sender_goes_away_is_told() {
    every_order(|| {
        let (sender, mut receiver) = reply_slot();
        let ends = thread::spawn(move || drop(Reply::One(sender)));
        assert_eq!(wait(&mut receiver), Err(Lost));
        ends.join().expect("no panic");
    });
}

#[test]
fn a_waiter_that_moved_to_another_task_is_woken_there() {
    every_order(|| {
        let (sender, mut receiver) = reply_slot();
        let sends = thread::spawn(move || sender.send(answer(3)));
        let first = Waker::from(Bell::new());
        let polled = Pin::new(&mut receiver).poll(&mut Context::from_waker(&first));
        if polled.is_pending() {
            assert_eq!(wait(&mut receiver), Ok(answer(3)));
        }
        sends.join().expect("no panic");
    });
}

#[test]
fn a_waiter_that_gives_up_stops_nobody() {
    every_order(|| {
        let (sender, mut receiver) = reply_slot();
        let sends = thread::spawn(move || sender.send(answer(3)));
        let waker = Waker::from(Bell::new());
        let _ = Pin::new(&mut receiver).poll(&mut Context::from_waker(&waker));
        drop(receiver);
        sends.join().expect("no panic");
    });
}

#[test]
fn a_closed_mailbox_that_is_empty_stays_empty_and_lost_nothing() {
    every_order(|| {
        let mailbox = Arc::new(Mailbox::new(8));
        let puts = thread::spawn({
            let mailbox = Arc::clone(&mailbox);
            move || (0..2).filter(|&n| !matches!(mailbox.put(letter(n, Reply::Nobody)), Put::Closed)).count()
        });
        mailbox.close();
        let mut taken = VecDeque::new();
        mailbox.take(&mut taken);
        let let_in = puts.join().expect("no panic");
        assert!(mailbox.is_empty(), "a letter came in after the mailbox was closed");
        assert_eq!(let_in, taken.len());
        mailbox.judged(taken.len());
        assert_eq!(mailbox.waiting(), 0);
    });
}

#[test]
fn a_shard_that_sleeps_when_its_mailbox_is_empty_judges_every_command() {
    every_order(|| {
        let mailbox = Arc::new(Mailbox::new(8));
        let bell = Bell::new();
        let callers: Vec<_> = (0..2)
            .map(|n| {
                let (mailbox, bell) = (Arc::clone(&mailbox), Arc::clone(&bell));
                thread::spawn(move || {
                    if let Put::First = mailbox.put(letter(n, Reply::Nobody)) {
                        bell.wake();
                    }
                })
            })
            .collect();
        let mut judged = 0;
        while judged < 2 {
            let mut taken = VecDeque::new();
            mailbox.take(&mut taken);
            mailbox.judged(taken.len());
            judged += taken.len();
            if judged < 2 && mailbox.is_empty() {
                bell.0.wait();
            }
        }
        callers.into_iter().for_each(|caller| caller.join().expect("no panic"));
        assert_eq!(mailbox.waiting(), 0);
    });
}

#[test]
fn a_mailbox_never_holds_more_than_its_bound() {
    every_order(|| {
        let mailbox = Arc::new(Mailbox::new(1));
        let caller = thread::spawn({
            let mailbox = Arc::clone(&mailbox);
            move || !matches!(mailbox.put(letter(1, Reply::Nobody)), Put::Full)
        });
        let here = !matches!(mailbox.put(letter(2, Reply::Nobody)), Put::Full);
        let there = caller.join().expect("no panic");
        assert!(here != there, "one of two finds room for one");
        assert_eq!(mailbox.waiting(), 1);
    });
}

#[test]
fn a_shard_whose_group_is_untaken_is_woken_when_it_is_taken() {
    every_order(|| {
        let door = Arc::new(Door::new(8));
        let bell = Bell::new();
        door.set_wake({
            let bell = Arc::clone(&bell);
            Arc::new(move || Arc::clone(&bell).wake())
        });
        let (to_committer, inbox) = unbounded();
        let committer = thread::spawn({
            let door = Arc::clone(&door);
            move || {
                for _ in 0..2 {
                    while inbox.try_recv().is_err() {
                        thread::yield_now();
                    }
                    door.handover.take();
                    door.wake();
                }
            }
        });
        for number in 1..=2 {
            // As in a turn: with a group untaken nothing is judged, and the wake brings the next turn.
            while door.handover.is_untaken() {
                bell.0.wait();
            }
            door.handover.hand_over(number);
            assert!(to_committer.send(number).is_ok());
        }
        committer.join().expect("no panic");
        assert!(!door.handover.is_untaken());
    });
}

#[test]
fn a_drained_shard_that_looks_idle_has_sent_every_answer() {
    every_order(|| {
        let door = Arc::new(Door::new(8));
        let answered = Arc::new(AtomicUsize::new(0));
        let caller = thread::spawn({
            let door = Arc::clone(&door);
            move || usize::from(!matches!(door.mailbox.put(letter(1, Reply::Nobody)), Put::Closed))
        });
        let shard = thread::spawn({
            let (door, answered) = (Arc::clone(&door), Arc::clone(&answered));
            move || {
                // Two turns: the first may come too early.
                for number in 1..=2 {
                    let mut taken = VecDeque::new();
                    door.mailbox.take(&mut taken);
                    if taken.is_empty() {
                        continue;
                    }
                    door.handover.hand_over(number);
                    door.mailbox.judged(taken.len());
                    // Durable at once; the log is another model's.
                    answered.fetch_add(taken.len(), Ordering::Relaxed);
                    door.handover.release(number);
                    return true;
                }
                false
            }
        });
        door.mailbox.close();
        let idle = door.is_idle();
        let answered_when_idle = answered.load(Ordering::Relaxed);
        let let_in = caller.join().expect("no panic");
        if idle {
            assert_eq!(answered_when_idle, let_in, "it looked idle with a command unanswered");
        }
        let _ = shard.join();
    });
}

#[test]
fn who_has_an_answer_finds_its_position_and_its_change_shown() {
    every_order(|| {
        let log = Arc::new(LogNumbers::default());
        let view = Arc::new((Version::new(), AtomicU64::new(0), AtomicU64::new(0)));
        let (sender, mut receiver) = reply_slot();
        let (finished, receives) = unbounded();
        let committer = thread::spawn({
            let log = Arc::clone(&log);
            move || {
                // After the sync: `Committer::commit`.
                log.position.store(7, Ordering::Release);
                assert!(finished.send(7_u64).is_ok());
            }
        });
        let shard = thread::spawn({
            let view = Arc::clone(&view);
            move || {
                let position = loop {
                    if let Ok(position) = receives.try_recv() {
                        break position;
                    }
                    thread::yield_now();
                };
                // `Shard::release`: the view, then the answers.
                let (version, held, at) = &*view;
                version.write(|| {
                    held.store(1, Ordering::Relaxed);
                    at.store(position, Ordering::Relaxed);
                });
                sender.send(answer(position));
            }
        });
        let Ok(Answer { position, .. }) = wait(&mut receiver) else { panic!("lost") };
        assert!(log.position.load(Ordering::Acquire) >= position);
        let (version, held, at) = &*view;
        let seen = version.read(|| (held.load(Ordering::Relaxed), at.load(Ordering::Relaxed)));
        assert_eq!(seen, (1, position));
        committer.join().expect("no panic");
        shard.join().expect("no panic");
    });
}

#[test]
fn a_reader_never_sees_half_of_what_was_shown() {
    every_order(|| {
        let view = Arc::new((Version::new(), AtomicU64::new(0), AtomicU64::new(0)));
        let writer = thread::spawn({
            let view = Arc::clone(&view);
            move || {
                let (version, left, right) = &*view;
                for value in 1..=2 {
                    version.write(|| {
                        left.store(value, Ordering::Relaxed);
                        right.store(value, Ordering::Relaxed);
                    });
                }
            }
        });
        let (version, left, right) = &*view;
        let mut before = 0;
        for _ in 0..2 {
            let (left, right) = version.read(|| (left.load(Ordering::Relaxed), right.load(Ordering::Relaxed)));
            assert_eq!(left, right, "torn");
            assert!(before <= left, "time went back for one reader");
            before = left;
        }
        writer.join().expect("no panic");
    });
}
