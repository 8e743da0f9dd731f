//! Events that leave memory: what is left of them, in the folder and in every later start.

use std::ops::ControlFlow;

use engine::{Done, EventFile, Refused, Repair, event_file, inspect::walk, verify};
use inventory_core::{
    command::{Command, UpdateEvent},
    direct_sale::{NamedPlaces, SellDirect},
    ids::{CustomerKey, EventKey, TimestampMs},
    policy::EventState,
    reject::{Field, Reject},
    retire::{Image, RetireEvent},
};
use wal::{Keep, MemoryStorage, Storage};

use crate::world::*;

const OVER: &str = "over";

fn retire(number: u64, archived_seq: Option<u32>) -> Command {
    let request_id = request_id(START, number);
    Command::RetireEvent(RetireEvent { request_id, archived_seq, expected_state: None, validate_only: false })
}

fn sell(number: u64, seats: &[u32], order_ref: &str) -> Command {
    Command::SellDirect(Box::new(SellDirect {
        request_id: request_id(START, number),
        order: order(order_ref),
        places: NamedPlaces { seats: seats.to_vec().into(), ..NamedPlaces::default() },
        customer: CustomerKey::NONE,
        expected_state: None,
        validate_only: false,
    }))
}

fn close() -> Command {
    Command::UpdateEvent(Box::new(UpdateEvent { state: Some(EventState::OffSale), ..UpdateEvent::default() }))
}

fn image(world: &mut World, key: EventKey) -> (Image, u64) {
    let answer = world.ask(key, retire(1, None));
    match answer.result {
        Ok(Done::Image(image)) => (image, answer.position),
        other => panic!("an image was asked for, not {other:?}"),
    }
}

fn refusal(world: &mut World, key: EventKey, command: Command) -> Reject {
    match world.ask(key, command).result {
        Err(Refused::Reject(reject)) => reject,
        other => panic!("a refusal was expected, not {other:?}"),
    }
}

/// An event with three seats sold, off sale, beside another that is on sale.
fn sold(world: &mut World) -> EventKey {
    let key = world.create(OVER);
    world.create("other");
    world.hold(key, hold_id(START, 1), &[3, 4, 5]).expect("they are open");
    world.ask(key, confirm(hold_id(START, 1), "O-1")).result.expect("it is sold");
    world.hold(key, hold_id(START, 2), &[7]).expect("it is open");
    world.ask(key, release(hold_id(START, 2))).result.expect("it is released");
    world.ask(key, close()).result.expect("it is off sale");
    key
}

fn file_of(disk: &MemoryStorage, key: EventKey) -> EventFile {
    let file = disk.open_read(&event_file(key)).expect("the event has a file");
    EventFile::read(file.as_ref()).expect("the file is whole")
}

fn assert_file(disk: &MemoryStorage, key: EventKey) {
    let file = file_of(disk, key);
    assert_eq!((file.event().id().as_str(), file.key, file.event().counts().sold), (OVER, key, 3));
    let sales = file.sales();
    let [part] = sales.as_slice() else { panic!("one sale, not {sales:?}") };
    let seats: Vec<&str> = part.seats.iter().map(|seat| file.plan().seat_key(seat.index)).collect();
    assert_eq!((part.order.as_str(), seats), ("O-1", vec!["0-0-3", "0-0-4", "0-1-0"]));
}

fn assert_gone(world: &mut World, key: EventKey) {
    assert_eq!(world.engine.directory().find(OVER).map(|view| view.key()), None);
    assert!(world.engine.directory().is_retired(OVER));
    assert_eq!(refusal(world, key, hold(hold_id(START, 9), &[0])), Reject::EventNotFound);
    assert_eq!(refusal(world, key, retire(1, None)), Reject::EventNotFound);
    let again = create_command(&world.engine, OVER, without_orphan_rule());
    assert_eq!(refusal(world, key, again), Reject::EventExists);
}

#[test]
fn a_retired_event_is_gone_in_every_later_start_and_its_file_tells_everything() {
    for shards in [1, 3] {
        let mut world = World::new(shards);
        let key = sold(&mut world);
        let (image, position) = image(&mut world, key);
        let file = world.engine.archive_event(key, &image, position).expect("the disk works");
        assert_eq!(file, event_file(key));
        let seq = image.event_seq;
        assert_eq!(world.ask(key, retire(1, Some(seq))).result, Ok(Done::Retired));
        assert_file(&world.disk, key);
        assert_gone(&mut world, key);
        assert_eq!(world.engine.directory().event_count(), 1);

        // From the log, then from a checkpoint, then from a checkpoint with log behind it.
        let mut disk = world.stop();
        for start in 0..3_u64 {
            let verified = verify(&disk).expect("it reads");
            assert_eq!(verified.verdict, engine::Verdict::Clean);
            // Reading past holes comes to the same, and so does a repair of a folder without damage.
            let walked = walk(&disk, 0, &mut |_| ControlFlow::Continue(())).expect("it reads");
            assert_eq!((walked.state_hash, walked.changes_not_saved), (verified.state_hash, 0));
            assert!(walked.frozen.is_empty(), "{:?}", walked.frozen);
            let repair = Repair::read(&disk, &mut |loss| panic!("nothing is lost: {loss:?}")).expect("it reads");
            let repaired = MemoryStorage::new();
            repair.write(&disk, &repaired, START.plus_ms(start)).expect("the disk works");
            let mut copy = World::open(&repaired, START.plus_ms(start), config(1)).expect("it starts");
            assert_gone(&mut copy, key);
            world = World::open(&disk, START.plus_ms(start), config(1 + shards)).expect("it starts");
            assert_gone(&mut world, key);
            let named = format!("later-{start}");
            let later = world.create(&named);
            world.hold(later, hold_id(START, 5), &[1]).expect("later events sell as ever");
            if start > 0 {
                world.engine.request_checkpoint();
                world.settle();
                assert!(world.checkpoint().expect("the disk works"));
            }
            disk = world.stop();
        }
    }
}

#[test]
fn an_event_that_has_changed_since_its_image_is_not_retired() {
    let mut world = World::new(1);
    let key = sold(&mut world);
    let (old, _) = image(&mut world, key);
    world.ask(key, sell(7, &[0], "O-2")).result.expect("it is open");
    assert!(matches!(refusal(&mut world, key, retire(1, Some(old.event_seq))), Reject::StateMismatch { .. }));
    let (new, position) = image(&mut world, key);
    assert_eq!(new.event_seq, old.event_seq + 1);
    world.engine.archive_event(key, &new, position).expect("the disk works");
    assert_eq!(world.ask(key, retire(1, Some(new.event_seq))).result, Ok(Done::Retired));
    assert_eq!(file_of(&world.disk, key).sales().len(), 2);
}

#[test]
fn an_older_image_that_comes_late_does_not_replace_the_file_of_a_later_one() {
    let mut world = World::new(1);
    let key = sold(&mut world);
    // Two callers: the second one sees a change that the first one's image is without.
    let (old, at_old) = image(&mut world, key);
    world.ask(key, sell(7, &[0], "O-2")).result.expect("it is open");
    let (new, at_new) = image(&mut world, key);
    world.engine.archive_event(key, &new, at_new).expect("the disk works");
    world.engine.archive_event(key, &old, at_old).expect("the disk works");
    assert_eq!(file_of(&world.disk, key).event_seq, new.event_seq);
    assert_eq!(world.ask(key, retire(1, Some(new.event_seq))).result, Ok(Done::Retired));
    world.engine.archive_event(key, &old, at_old).expect("the disk works");
    assert_eq!(file_of(&world.disk, key).sales().len(), 2);
    // What another future left, or a damaged file, is no reason to keep it.
    world.disk.put(&event_file(key), b"nothing to keep".to_vec());
    world.engine.archive_event(key, &new, at_new).expect("the disk works");
    assert_eq!(file_of(&world.disk, key).event_seq, new.event_seq);
}

#[test]
fn what_is_asked_in_the_turn_of_a_retirement_is_answered_when_that_is_durable() {
    let mut world = World::new(1);
    let key = sold(&mut world);
    let (image, position) = image(&mut world, key);
    world.engine.archive_event(key, &image, position).expect("the disk works");
    let again = create_command(&world.engine, OVER, without_orphan_rule());
    let commands = [retire(1, Some(image.event_seq)), hold(hold_id(START, 9), &[0]), retire(2, None), again];
    let mut asked: Vec<_> = commands.into_iter().map(|command| world.send(key, command)).collect();
    world.turn_shards();
    world.turn_shards();
    assert!(asked.iter_mut().all(|receiver| receiver.try_take().is_none()), "nothing is durable yet");
    assert!(world.engine.directory().find(OVER).is_some(), "what is shown is durable");
    world.settle();
    let answers = asked.iter_mut().map(|receiver| receiver.try_take().expect("settled").expect("answered"));
    let (results, positions): (Vec<_>, Vec<_>) = answers.map(|answer| (answer.result, answer.position)).unzip();
    let refused = |reject| Err(Refused::Reject(reject));
    let gone = || refused(Reject::EventNotFound);
    assert_eq!(results, [Ok(Done::Retired), gone(), gone(), refused(Reject::EventExists)]);
    assert!(positions.iter().all(|position| *position == positions[0]), "{positions:?}");
}

#[test]
fn what_is_on_sale_or_held_is_not_retired() {
    let mut world = World::new(1);
    let key = world.create(OVER);
    assert!(matches!(refusal(&mut world, key, retire(1, None)), Reject::Invalid { field: Field::State, .. }));
    world.hold(key, hold_id(START, 1), &[3, 4]).expect("they are open");
    world.ask(key, close()).result.expect("it is off sale");
    for seq in [None, Some(3)] {
        let refused = refusal(&mut world, key, retire(1, seq));
        assert!(matches!(&refused, Reject::PlacesInUse { places } if places.len() == 2), "{refused:?}");
    }
    let mut only = RetireEvent {
        request_id: request_id(START, 1),
        archived_seq: None,
        expected_state: Some(EventState::Paused),
        validate_only: true,
    };
    let refused = refusal(&mut world, key, Command::RetireEvent(only.clone()));
    assert!(matches!(refused, Reject::StateMismatch { .. }), "{refused:?}");
    world.ask(key, release(hold_id(START, 1))).result.expect("it is released");
    only.expected_state = Some(EventState::OffSale);
    let would = world.ask(key, Command::RetireEvent(only)).result;
    assert_eq!(would, Ok(Done::Event { key, replayed: false }), "only checked");
    assert_eq!(world.engine.directory().find(OVER).map(|view| view.key()), Some(key));
}

#[test]
fn places_of_a_retired_event_are_given_back_to_the_memory_budget() {
    // Room for one and a half events: 50 places of 64 bytes in three quarters of it.
    let small = engine::EngineConfig { memory_budget_bytes: 6_400, ..config(1) };
    let mut world = World::open(&MemoryStorage::new(), START, small).expect("an empty folder opens");
    let key = world.create(OVER);
    let next = create_command(&world.engine, "next", without_orphan_rule());
    assert_eq!(refusal(&mut world, engine::event_key("next"), next), Reject::CapacityBudget);
    world.ask(key, close()).result.expect("it is off sale");
    let (image, position) = image(&mut world, key);
    world.engine.archive_event(key, &image, position).expect("the disk works");
    assert_eq!(world.ask(key, retire(1, Some(image.event_seq))).result, Ok(Done::Retired));
    world.create("next");
}

/// Retires an event on a disk that may stop. Whether it was answered.
fn retire_on(disk: &MemoryStorage) -> Option<bool> {
    let mut world = World::open(disk, START, config(1)).ok()?;
    let key = engine::event_key(OVER);
    let mut asked = world.send(key, retire(1, None));
    world.try_settle().ok()?;
    let answer = asked.try_take()?.ok()?;
    let Ok(Done::Image(image)) = answer.result else { return None };
    world.engine.archive_event(key, &image, answer.position).ok()?;
    let mut asked = world.send(key, retire(1, Some(image.event_seq)));
    world.try_settle().ok()?;
    let answer = asked.try_take()?.ok()?;
    world.engine.request_checkpoint();
    let _ = world.try_settle();
    let _ = world.checkpoint();
    Some(answer.result == Ok(Done::Retired))
}

#[test]
fn a_machine_that_stops_anywhere_leaves_the_event_or_its_file() {
    let mut world = World::new(1);
    let key = sold(&mut world);
    let disk = world.stop();
    let whole = disk.duplicate();
    let before = whole.operations();
    assert_eq!(retire_on(&whole), Some(true));
    let operations = whole.operations() - before;
    let (mut there, mut gone) = (0, 0);
    for stop_at in 1..=operations {
        for keep in [Keep::Nothing, Keep::Everything, Keep::Seeded(stop_at), Keep::SeededSectors(stop_at)] {
            let stopped = disk.duplicate();
            stopped.stop_at(stop_at);
            let was_answered = retire_on(&stopped) == Some(true);
            let left = stopped.crash(keep);
            let now = TimestampMs(START.0 + 1_000);
            let mut world = World::open(&left, now, config(1)).expect("it starts");
            let context = format!("stopped at operation {stop_at}, {keep:?}");
            if world.engine.directory().find(OVER).is_some() {
                assert!(!was_answered, "{context}: what was answered is done");
                there += 1;
                // The next try is not in the way of the last.
                let left = world.stop();
                assert_eq!(retire_on(&left), Some(true), "{context}");
                world = World::open(&left, now, config(1)).expect("it starts");
            } else {
                gone += 1;
            }
            assert_file(&world.disk, key);
            assert_gone(&mut world, key);
        }
    }
    assert!(there > 10 && gone > 10, "{there} there, {gone} gone");
}

#[test]
fn a_damaged_file_of_an_event_is_noticed_at_every_byte() {
    let mut world = World::new(1);
    let key = sold(&mut world);
    let (image, position) = image(&mut world, key);
    world.engine.archive_event(key, &image, position).expect("the disk works");
    let file = world.disk.open_read(&event_file(key)).expect("it is there");
    let mut bytes = vec![0; usize::try_from(file.len().expect("it has a length")).expect("a short file")];
    file.read_exact_at(0, &mut bytes).expect("it reads");
    assert_eq!(EventFile::decode(&bytes).expect("it is whole").event_seq, image.event_seq);
    for at in 0..bytes.len() {
        bytes[at] ^= 1 << (at % 8);
        assert!(EventFile::decode(&bytes).is_err(), "byte {at}");
        bytes[at] ^= 1 << (at % 8);
        assert!(EventFile::decode(&bytes[..at]).is_err(), "{at} bytes of it");
    }
}
