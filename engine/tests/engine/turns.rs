//! What a caller sees of turns: effects, order, durability, time.

use crate::{workload::used_bytes, world::*};
use engine::{AreaCounts, Counts, Done, EngineConfig, Lost, Refused, Reply, reply_slot};
use inventory_core::{
    change::{HoldCause, HoldState},
    command::Command,
    ids::HoldId,
    place::{Moved, PlaceState},
    policy::EventState,
    reject::Reject,
};

fn seat_state(states: &[u8], seat: usize) -> u8 {
    states[seat / 4] >> (seat % 4 * 2) & 3
}

#[test]
fn a_hold_becomes_a_sale() {
    let mut world = World::new(2);
    let key = world.create("concert");
    let id = hold_id(START, 1);

    let answer = world.ask(key, hold(id, &[3, 4]));
    assert_eq!((answer.position, answer.time), (2, START));
    let held = hold_of(answer).expect("the seats are open");
    assert_eq!(held.state, HoldState::Active);
    assert_eq!(held.expires_at, START.plus_ms(600_000));

    let view = world.engine.directory().find("concert").expect("it is durable");
    assert_eq!(view.counts(), Counts { open: SEATS + AREA_CAPACITY - 2, held: 2, sold: 0, killed: 0 });
    let sold = hold_of(world.ask(key, confirm(id, "order-1"))).expect("it is live");
    assert_eq!(sold.state, HoldState::Confirmed);
    let map = view.snapshot();
    assert_eq!(map.position, 3);
    assert_eq!(map.states.len(), 5);
    assert_eq!([2, 3, 4, 5].map(|seat| seat_state(&map.states, seat)), [0, 2, 2, 0]);

    let at_hand = view.availability();
    assert_eq!(at_hand.position, 3);
    assert_eq!(at_hand.totals, Counts { open: SEATS + AREA_CAPACITY - 2, held: 0, sold: 2, killed: 0 });
    assert_eq!(at_hand.sections[0], Counts { open: 8, held: 0, sold: 2, killed: 0 });
    assert_eq!(at_hand.sections[1], Counts { open: 10, ..Counts::default() });
    assert_eq!(at_hand.levels[0], at_hand.sections[0]);
    assert_eq!(at_hand.levels[1].open, 10 + AREA_CAPACITY);
}

#[test]
fn admissions_are_counted() {
    let mut world = World::new(1);
    let key = world.create("concert");
    let answer = world.ask(key, hold_area(hold_id(START, 1), 4));
    assert!(answer.result.is_ok(), "{:?}", answer.result);
    let map = world.engine.directory().find_key(key).expect("it is durable").snapshot();
    assert_eq!(map.areas, [AreaCounts { open: AREA_CAPACITY - 4, held: 4, sold: 0, killed: 0 }]);
}

#[test]
fn nothing_is_seen_before_it_is_durable() {
    let mut world = World::new(1);
    let key = world.create("concert");
    let mut first = world.send(key, hold(hold_id(START, 1), &[7]));
    let mut refused = world.send(key, hold(hold_id(START, 2), &[7]));
    let mut read = world.send(key, Command::GetHold(hold_id(START, 1)));
    world.turn_shards();
    let view = world.engine.directory().find("concert").expect("it is durable");
    assert_eq!(view.counts().held, 0);
    for receiver in [&mut first, &mut refused, &mut read] {
        assert_eq!(receiver.try_take(), None, "its ground is not durable");
    }

    // The committer has the group, but the shard has not heard of it.
    assert!(world.committer.turn().expect("the disk works"));
    assert_eq!(first.try_take(), None);
    assert_eq!(view.counts().held, 0);

    world.turn_shards();
    assert_eq!(view.counts().held, 1, "shown before the answers leave");
    let held = first.try_take().expect("it is durable").expect("answered");
    let refused = refused.try_take().expect("it is durable").expect("answered");
    let read = read.try_take().expect("it is durable").expect("answered");
    let Err(Refused::Reject(Reject::PlacesUnavailable { places })) = refused.result else {
        panic!("{:?}", refused.result)
    };
    assert_eq!((places[0].place, places[0].state), (Moved::Seat(7), PlaceState::Held));
    assert_eq!([held.position, refused.position, read.position], [2, 2, 2]);
    assert!(matches!(read.result, Ok(Done::Hold { replayed: false, .. })));
}

#[test]
fn what_looks_at_durable_state_is_answered_in_the_same_turn() {
    let mut world = World::new(1);
    let (busy, quiet) = (world.create("busy"), world.create("quiet"));
    world.hold(quiet, hold_id(START, 1), &[0]).expect("open");
    let mut slow = world.send(busy, hold(hold_id(START, 2), &[0]));
    let mut fast = world.send(quiet, hold(hold_id(START, 3), &[0]));
    let mut unknown = world.send(engine::event_key("nowhere"), hold(hold_id(START, 4), &[0]));
    world.turn_shards();
    assert_eq!(slow.try_take(), None);
    let answer = fast.try_take().expect("nothing of it is on its way").expect("answered");
    assert!(matches!(answer.result, Err(Refused::Reject(Reject::PlacesUnavailable { .. }))));
    assert_eq!(answer.position, 3, "the last change of its event");
    let answer = unknown.try_take().expect("nothing of it is on its way").expect("answered");
    assert_eq!(answer.result, Err(Refused::Reject(Reject::EventNotFound)));
    world.settle();
    assert!(slow.try_take().is_some());
}

#[test]
fn an_event_is_seen_when_it_is_durable() {
    let mut world = World::new(1);
    let key = engine::event_key("concert");
    let command = create_command(&world.engine, "concert", settings());
    let mut created = world.send(key, command.clone());
    let mut again = world.send(key, command);
    let mut held = world.send(key, hold(hold_id(START, 1), &[0]));
    world.turn_shards();
    assert!(world.engine.directory().find("concert").is_none());
    assert_eq!(again.try_take(), None, "that it was made is not durable");
    world.settle();
    let view = world.engine.directory().find("concert").expect("it is durable");
    assert_eq!((view.counts().held, view.position()), (1, 2));
    let positions = [&mut created, &mut again, &mut held]
        .map(|receiver| receiver.try_take().expect("settled").expect("answered").position);
    assert_eq!(positions, [1, 1, 2]);
    assert_eq!(world.engine.directory().event_count(), 1);
}

#[test]
fn holds_end_by_time_without_traffic() {
    let mut world = World::new(1);
    let key = world.create_with("concert", settings());
    let id = hold_id(START, 1);
    world.hold(key, id, &[1, 2]).expect("open");
    let wake = world.shards[0].turn();
    assert_eq!((wake.again, wake.at), (false, wake.at));
    let at = wake.at.expect("a hold lives");
    assert!(at <= START.plus_ms(60_000), "a wake at or before the deadline");

    world.clock.set(START.plus_ms(59_999));
    world.settle();
    let view = world.engine.directory().find("concert").expect("it is there");
    assert_eq!(view.counts().held, 2, "not released early");
    world.clock.set(START.plus_ms(60_000));
    world.settle();
    assert_eq!(view.counts().held, 0);
    let ended = hold_of(world.ask(key, Command::GetHold(id))).expect("remembered");
    assert_eq!((ended.state, ended.cause), (HoldState::Expired, HoldCause::Deadline));
    assert_eq!(world.engine.status().shards[0].expired, 1);
}

#[test]
fn many_holds_due_take_several_turns() {
    let mut world = World::new(1);
    let keys: Vec<_> = (0..300).map(|n| world.create_with(&format!("event-{n}"), settings())).collect();
    let mut receivers = Vec::new();
    for (n, key) in keys.iter().enumerate() {
        for seat in 0..SEATS {
            let id = hold_id(START, n as u64 * 100 + u64::from(seat));
            receivers.push(world.send(*key, hold(id, &[seat])));
        }
        world.settle();
    }
    assert!(
        receivers.iter_mut().all(|receiver| matches!(receiver.try_take(), Some(Ok(answer)) if answer.result.is_ok()))
    );
    world.clock.advance_ms(60_000);
    let mut confirmed = world.send(keys[299], confirm(hold_id(START, 29_900), "late"));
    let wake = world.shards[0].turn();
    assert!(!wake.again, "the committer's wake brings the next turn");
    world.committer.turn().expect("the disk works");
    assert_eq!(confirmed.try_take(), None, "a turn with more due judges nothing");
    world.settle();
    assert_eq!(world.engine.status().shards[0].expired, 300 * u64::from(SEATS));
    let answer = confirmed.try_take().expect("settled").expect("answered");
    assert!(matches!(answer.result, Err(Refused::Reject(Reject::HoldExpired { executed: false, .. }))), "{answer:?}");
}

#[test]
fn a_turn_waits_for_the_committer_and_never_in_itself() {
    let mut world = World::new(1);
    let key = world.create("concert");
    let mut first = world.send(key, hold(hold_id(START, 1), &[0]));
    world.turn_shards();
    let mut second = world.send(key, hold(hold_id(START, 2), &[1]));
    world.turn_shards();
    assert_eq!(world.engine.status().shards[0].waiting, 1, "the last group is not taken");
    assert!(!world.engine.is_idle());
    world.committer.turn().expect("the disk works");
    world.turn_shards();
    assert!(first.try_take().is_some());
    assert_eq!(second.try_take(), None);
    world.settle();
    assert!(second.try_take().is_some());
}

#[test]
fn a_passed_deadline_is_not_executed() {
    let mut world = World::new(1);
    let key = world.create("concert");
    let (sender, mut receiver) = reply_slot();
    let deadline = Some(START.plus_ms(5));
    world.engine.submit(key, hold(hold_id(START, 1), &[0]), deadline, Reply::One(sender)).expect("there is room");
    world.clock.advance_ms(5);
    world.settle();
    let answer = receiver.try_take().expect("settled").expect("answered");
    assert_eq!(answer.result, Err(Refused::DeadlinePassed { executed_unknown: false }));
    assert_eq!(world.engine.directory().find("concert").expect("it is there").counts().held, 0);
}

#[test]
fn repeating_a_command_answers_and_changes_nothing() {
    let mut world = World::new(1);
    let key = world.create("concert");
    let id = hold_id(START, 1);
    world.hold(key, id, &[0]).expect("open");
    let answer = world.ask(key, hold(id, &[0]));
    assert!(matches!(answer.result, Ok(Done::Hold { replayed: true, .. })));
    assert_eq!(answer.position, 2);
    assert_eq!(world.engine.position(), 2);
}

#[test]
fn a_full_mailbox_refuses_holds_first() {
    let mut small = config(1);
    small.mailbox_commands_max = 10;
    let mut world = World::open(&wal::MemoryStorage::new(), START, small).expect("opens");
    let key = world.create("concert");
    let submit = |world: &World, command| world.engine.submit(key, command, None, Reply::Nobody);
    for n in 0..7 {
        submit(&world, hold(hold_id(START, n), &[n as u32])).expect("there is room");
    }
    assert!(matches!(submit(&world, hold(hold_id(START, 8), &[8])), Err(Refused::Overloaded { .. })));
    submit(&world, release(hold_id(START, 0))).expect("there is room for what ends holds");
    world.settle();
    submit(&world, hold(hold_id(START, 8), &[8])).expect("there is room again");
}

#[test]
fn draining_takes_nothing_and_finishes_what_waits() {
    let mut world = World::new(1);
    let key = world.create("concert");
    let mut waits = world.send(key, hold(hold_id(START, 1), &[0]));
    world.engine.drain();
    let refused = world.engine.submit(key, hold(hold_id(START, 2), &[1]), None, Reply::Nobody);
    assert_eq!(refused, Err(Refused::Draining));
    assert!(!world.engine.is_idle());
    world.settle();
    assert!(waits.try_take().is_some());
    assert!(world.engine.is_idle());
}

#[test]
fn a_shard_that_ends_tells_everybody_who_waits_for_it() {
    let mut world = World::new(1);
    let key = world.create("concert");
    let mut judged = world.send(key, hold(hold_id(START, 1), &[0]));
    world.turn_shards();
    let mut waiting = world.send(key, hold(hold_id(START, 2), &[1]));
    // The engine stays: others have it too.
    world.shards.clear();
    assert_eq!(judged.try_take(), Some(Err(Lost)), "judged, and nobody is left to answer");
    assert_eq!(waiting.try_take(), Some(Err(Lost)), "nobody will judge it");
    let (sender, _receiver) = reply_slot();
    let late = world.engine.submit(key, hold(hold_id(START, 3), &[2]), None, Reply::One(sender));
    assert_eq!(late, Err(Refused::Draining));
}

#[test]
fn an_update_is_seen_with_its_places() {
    let mut world = World::new(1);
    let key = world.create("concert");
    world.hold(key, hold_id(START, 1), &[0, 1]).expect("open");
    let view = world.engine.directory().find("concert").expect("it is there");
    let before = view.info();

    let mut pause = update(request_id(START, 1));
    pause.state = Some(EventState::Paused);
    let answer = world.ask(key, Command::UpdateEvent(Box::new(pause)));
    assert_eq!(answer.result, Ok(Done::Event { key, replayed: false }));
    let after = view.info();
    assert_eq!(after.settings.state, EventState::Paused);
    assert_ne!(before.etag, after.etag);

    // Another plan: two seats more in front.
    let mut spec = plan_spec("larger hall");
    let front = spec.sections[0].rows[0].seats[0].clone();
    for n in 0..2 {
        let seat = inventory_core::plan::SeatSpec { key: format!("new-{n}").into(), ..front.clone() };
        spec.sections[0].rows[0].seats.insert(0, seat);
    }
    let plan = world.engine.plans().put(inventory_core::plan_codec::encode_plan(&spec)).expect("a good plan");
    let mut replan = update(request_id(START, 2));
    replan.plan = Some(plan);
    let mut hold_after = hold(hold_id(START, 2), &[21]);
    if let Command::Hold(hold) = &mut hold_after {
        hold.plan_revision = 2;
    }
    let mut answer = world.send(key, Command::UpdateEvent(Box::new(replan)));
    world.settle();
    assert_eq!(answer.try_take().expect("settled").expect("answered").result, Ok(Done::Event { key, replayed: false }));
    let map = view.snapshot();
    assert_eq!(map.plan_revision, 2);
    assert_eq!([0, 1, 2, 3, 4].map(|seat| seat_state(&map.states, seat)), [0, 0, 1, 1, 0], "state follows the key");
    assert_eq!(view.counts(), Counts { open: SEATS + 2 + AREA_CAPACITY - 2, held: 2, sold: 0, killed: 0 });
    let answer = world.ask(key, hold_after);
    assert!(matches!(answer.result, Err(Refused::Reject(Reject::SalePaused))), "{answer:?}");

    let mut cancel = update(request_id(START, 3));
    cancel.state = Some(EventState::Cancelled);
    world.ask(key, Command::UpdateEvent(Box::new(cancel)));
    assert_eq!(view.counts().held, 0, "live holds end with the event");
}

#[test]
fn events_are_listed_by_name() {
    let mut world = World::new(3);
    for id in ["delta", "alpha", "charlie", "bravo"] {
        world.create(id);
    }
    let page = |after, limit| -> Vec<String> {
        let views = world.engine.directory().list(after, limit);
        views.iter().map(|view| view.id().as_str().to_owned()).collect()
    };
    assert_eq!(page(None, 3), ["alpha", "bravo", "charlie"]);
    assert_eq!(page(Some("charlie"), 3), ["delta"]);
    assert_eq!(page(Some("b"), 1), ["bravo"]);
}

#[test]
fn every_answer_of_many_goes_to_their_sink() {
    #[derive(Default)]
    struct Sink(std::sync::Mutex<Vec<(u64, bool)>>);
    impl engine::ReplySink for Sink {
        fn deliver(&self, tag: u64, answer: engine::Answer) {
            self.0.lock().expect("no panic").push((tag, answer.result.is_ok()));
        }
    }
    let mut world = World::new(1);
    let key = world.create("concert");
    let sink = std::sync::Arc::new(Sink::default());
    for (tag, seat) in [(10, 0), (11, 0), (12, 1)] {
        let reply = Reply::Many { sink: sink.clone(), tag };
        world.engine.submit(key, hold(hold_id(START, tag), &[seat]), None, reply).expect("there is room");
    }
    world.settle();
    assert_eq!(*sink.0.lock().expect("no panic"), [(10, true), (11, false), (12, true)]);
}

#[test]
fn a_low_disk_takes_only_what_ends_holds() {
    let mut world = World::new(1);
    let key = world.create("concert");
    let id: HoldId = hold_id(START, 1);
    world.hold(key, id, &[0]).expect("open");
    world.disk.set_capacity(Some(used_bytes(&world.disk) + 100_000));
    world.clock.advance_ms(1_000);
    world.settle();
    assert!(world.engine.status().storage_low);
    assert_eq!(world.hold(key, hold_id(START, 2), &[1]), Err(Refused::StorageLow));
    assert!(hold_of(world.ask(key, confirm(id, "order"))).is_ok());
    world.disk.set_capacity(None);
    world.clock.advance_ms(1_000);
    world.settle();
    assert!(world.hold(key, hold_id(START, 3), &[1]).is_ok());
}

#[test]
fn events_must_fit_into_memory() {
    // Room for two halls.
    let places = u64::from(SEATS + AREA_CAPACITY);
    let small = EngineConfig { memory_budget_bytes: places * 64 * 2 * 4 / 3 + 64, ..config(1) };
    let mut world = World::open(&wal::MemoryStorage::new(), START, small.clone()).expect("opens");
    world.create("one");
    world.create("two");
    let command = create_command(&world.engine, "three", settings());
    let refused = Err(Refused::Reject(Reject::CapacityBudget));
    assert_eq!(world.ask(engine::event_key("three"), command).result, refused);
    let settings = without_orphan_rule();
    let again = create_command(&world.engine, "two", settings);
    assert!(matches!(world.ask(engine::event_key("two"), again).result, Ok(Done::Event { replayed: true, .. })));
    // What is there is there, whatever the budget says now.
    let disk = world.stop();
    let world = World::open(&disk, START, EngineConfig { memory_budget_bytes: 0, ..small }).expect("opens");
    assert_eq!(world.report.events, 2);
}

#[test]
fn forgetting_early_is_in_the_log() {
    // The least memory of ended holds there is.
    let small = EngineConfig { memory_budget_bytes: 64 << 10, ..config(1) };
    let mut world = World::open(&wal::MemoryStorage::new(), START, small.clone()).expect("opens");
    let key = world.create("concert");
    for n in 0..1_024 {
        drop(world.send(key, hold(hold_id(START, n), &[0])));
        drop(world.send(key, release(hold_id(START, n))));
    }
    world.settle();
    let before = world.engine.position();
    world.clock.advance_ms(10_000);
    let now = world.engine.clock().now();
    world.hold(key, hold_id(now, 5_000), &[0]).expect("room was made");
    assert_eq!(world.engine.position(), before + 2, "the floor was raised, and the hold made");
    let too_old = Err(Refused::Reject(Reject::HoldIdTooOld { now }));
    assert_eq!(world.ask(key, hold(hold_id(START, 3), &[1])).result, too_old);
    let disk = world.stop();
    let mut world = World::open(&disk, now, small).expect("it is whole");
    assert_eq!(world.ask(key, hold(hold_id(START, 3), &[1])).result, too_old, "also after a restart");
}

#[test]
fn slots_that_remember_many_share_the_memory_of_ended_holds() {
    // Room for 4,096 ended holds in all.
    let small = EngineConfig { memory_budget_bytes: 4_096 * 4 * 124, ..config(2) };
    let mut world = World::open(&wal::MemoryStorage::new(), START, small).expect("opens");
    let keys = [world.create("first"), world.create("second")];
    assert_ne!(keys[0].slot(), keys[1].slot(), "the events are in two slots");
    for n in 0..6_000 {
        for key in keys {
            drop(world.send(key, hold(hold_id(START.plus_ms(n / 100), n), &[0])));
            drop(world.send(key, release(hold_id(START.plus_ms(n / 100), n))));
        }
        if n % 100 == 99 {
            world.settle();
            world.clock.advance_ms(200);
        }
    }
    world.settle();
    let now = world.engine.clock().now();
    // Each was left half: what is older than that is forgotten, by a floor, in both.
    for key in keys {
        let old = world.ask(key, hold(hold_id(START.plus_ms(10), 1_000), &[1])).result;
        assert_eq!(old, Err(Refused::Reject(Reject::HoldIdTooOld { now })));
        let young = world.ask(key, hold(hold_id(START.plus_ms(59), 5_950), &[0])).result;
        assert_eq!(young, Err(Refused::Reject(Reject::HoldReleased { executed: true })));
    }
}
