//! A folder made of a state starts, goes on after its position, and gives live holds all the time since then
//! back, once, whatever crashes around that.

use engine::{Rebuild, Until, event_key, verify};
use inventory_core::{
    command::Command,
    ids::{HoldId, TimestampMs},
};
use wal::{Keep, MemoryStorage, Storage, list_checkpoints};

use crate::world::*;

const HOUR_MS: u64 = 3_600_000;
/// More than fit into one group of changes, so that a start needs several batches.
const MANY: u64 = 10_600;

fn plans_of(disk: &MemoryStorage) -> Vec<Vec<u8>> {
    let names = disk.list("plans").expect("lists");
    names.iter().map(|name| disk.contents(&format!("plans/{name}")).expect("listed")).collect()
}

/// The newest checkpoint of this folder as a new folder.
fn restored(disk: &MemoryStorage, now: TimestampMs) -> MemoryStorage {
    let name = list_checkpoints(disk).expect("lists").remove(0);
    let rebuild = Rebuild::from_checkpoint(disk, &name, plans_of(disk)).expect("it is whole");
    let folder = MemoryStorage::new();
    let report = rebuild.write(&folder, now).expect("an empty folder");
    assert_eq!(report.state_hash, rebuild.state().state_hash);
    folder.crash(Keep::Nothing)
}

/// A folder with a checkpoint of one hold in each of so many events.
fn folder_with_holds(events: u64) -> MemoryStorage {
    let mut world = World::new(1);
    let create = |n: u64| (event_key(&format!("event-{n}")), format!("event-{n}"));
    for n in 0..events {
        let (key, id) = create(n);
        let command = create_command(&world.engine, &id, without_orphan_rule());
        drop(world.send(key, command));
    }
    world.settle();
    for n in 0..events {
        drop(world.send(create(n).0, hold(hold_of_event(n), &[1])));
    }
    world.settle();
    world.engine.request_checkpoint();
    world.settle();
    assert!(world.checkpoint().expect("the disk works"));
    world.disk.crash(Keep::Nothing)
}

fn hold_of_event(n: u64) -> HoldId {
    hold_id(START, n)
}

/// By how much all deadlines together are later than they were; they must agree.
fn shift_of_all(world: &mut World, events: u64) -> u64 {
    let receivers: Vec<_> =
        (0..events).map(|n| world.send(event_key(&format!("event-{n}")), Command::GetHold(hold_of_event(n)))).collect();
    world.settle();
    let shifts: Vec<u64> = receivers
        .into_iter()
        .map(|mut receiver| {
            let answer = receiver.try_take().expect("settled").expect("answered");
            let view = hold_of(answer).expect("the hold is remembered");
            assert!(is_live(&view), "{view:?}");
            view.expires_at.since(START.plus_ms(600_000))
        })
        .collect();
    assert!(shifts.iter().all(|shift| *shift == shifts[0]), "some were given more than others");
    shifts[0]
}

#[test]
fn a_restored_folder_goes_on_after_its_position_as_another_incarnation() {
    let disk = folder_with_holds(3);
    let old = World::open(&disk.duplicate(), START, config(1)).expect("it is whole");
    let folder = restored(&disk, START.plus_ms(HOUR_MS));
    let found = verify(&folder).expect("it is whole");
    assert_eq!((found.position, found.segments, found.checkpoints, found.live_holds), (6, 0, 1, 3));
    let mut world = World::open(&folder, START.plus_ms(HOUR_MS), config(2)).expect("it starts");
    assert_eq!(world.engine.instance(), old.engine.instance());
    assert_eq!((old.engine.incarnation(), world.engine.incarnation()), (1, 2));
    assert!(world.report.restored && !old.report.restored);
    assert_eq!((world.report.resumed_events, world.report.position), (3, 9));
    assert_eq!(shift_of_all(&mut world, 3), HOUR_MS);
    let key = event_key("event-1");
    assert!(hold_of(world.ask(key, confirm(hold_of_event(1), "order"))).is_ok());
    assert_eq!(world.engine.position(), 10);

    // The second start is an ordinary one, checkpoints and all.
    world.engine.request_checkpoint();
    world.settle();
    assert!(world.checkpoint().expect("the disk works"));
    let disk = world.stop();
    let world = World::open(&disk, START.plus_ms(2 * HOUR_MS), config(1)).expect("it starts");
    assert!(!world.report.restored);
    assert_eq!(world.report.resumed_events, 2);
}

#[test]
fn files_of_the_old_future_do_not_fit_behind_a_restored_position() {
    let disk = folder_with_holds(2);
    let folder = restored(&disk, START);
    World::open(&folder, START, config(1)).expect("it starts").stop();
    let segment = disk.list("").expect("lists").into_iter().find(|name| name.ends_with(".seg")).expect("a segment");
    let stranger = segment.replace("-1-", "-9-");
    folder.put(&stranger, disk.contents(&segment).expect("listed"));
    assert!(verify(&folder).is_err(), "a segment of the old incarnation is refused");
}

#[test]
fn an_old_backup_starts_without_a_word_about_the_clock() {
    let year_ms = 365 * 24 * HOUR_MS;
    let folder = restored(&folder_with_holds(1), START.plus_ms(year_ms));
    let mut world = World::open(&folder, START.plus_ms(year_ms + HOUR_MS), config(1)).expect("it starts");
    assert_eq!(shift_of_all(&mut world, 1), year_ms + HOUR_MS);
    // The clock is still compared with that of the restore.
    let folder = restored(&folder_with_holds(1), START);
    assert!(World::open(&folder, START.plus_ms(year_ms), config(1)).is_err());
}

#[test]
fn nothing_is_restored_over_something() {
    let disk = folder_with_holds(1);
    let name = list_checkpoints(&disk).expect("lists").remove(0);
    let rebuild = Rebuild::from_checkpoint(&disk, &name, plans_of(&disk)).expect("it is whole");
    let before = disk.operations();
    assert!(rebuild.write(&disk, START).is_err());
    assert_eq!(disk.operations(), before);
    let error = Rebuild::from_checkpoint(&disk, &name, Vec::new()).err().expect("a plan is missing");
    assert!(error.to_string().contains("plan"), "{error}");
}

/// Starts at each operation stopped and continued, three times, the last one to its end. `allowed` judges by how
/// much deadlines moved.
fn crash_around_a_start(folder: &MemoryStorage, events: u64, starts: [TimestampMs; 3], allowed: &[u64]) {
    let whole = folder.duplicate();
    let before = whole.operations();
    let world = World::open(&whole, starts[0], config(1)).expect("it starts");
    assert_eq!(world.report.resumed_events as u64, events);
    let operations = whole.operations() - before;
    assert!(operations > 8, "{operations}");
    for stop_at in 1..=operations + 1 {
        let disk = folder.duplicate();
        disk.stop_at(stop_at);
        let _ = World::open(&disk, starts[0], config(1));
        let keep = if stop_at % 2 == 0 { Keep::Seeded(stop_at) } else { Keep::Nothing };
        let disk = disk.crash(keep);
        disk.stop_at(1 + stop_at * 7 % operations);
        let _ = World::open(&disk, starts[1], config(1));
        let disk = disk.crash(Keep::Seeded(!stop_at));
        let mut world = World::open(&disk, starts[2], config(1)).expect("it starts");
        let shift = shift_of_all(&mut world, events);
        assert!(allowed.contains(&shift), "stopped at {stop_at}: {shift} ms");
    }
}

#[test]
fn a_crash_around_the_first_start_neither_doubles_nor_loses_the_gap_of_a_restore() {
    let starts = [HOUR_MS, HOUR_MS + 20_000, HOUR_MS + 50_000].map(|ms| START.plus_ms(ms));
    for events in [1, MANY] {
        let folder = restored(&folder_with_holds(events), starts[0]);
        crash_around_a_start(&folder, events, starts, &[HOUR_MS + 50_000]);
    }
}

#[test]
fn a_crash_around_a_start_neither_doubles_nor_loses_the_time_of_an_outage() {
    let folder = folder_with_holds(MANY);
    let starts = [30_000, 70_000, 110_000].map(|ms| START.plus_ms(ms));
    crash_around_a_start(&folder, MANY, starts, &[110_000]);
    // Above what is given at most: the second and third start give of their own when the first came to its end.
    let folder = folder_with_holds(2);
    let starts = [200_000, 210_000, 230_000].map(|ms| START.plus_ms(ms));
    crash_around_a_start(&folder, 2, starts, &[120_000, 140_000, 150_000]);
}

#[test]
fn a_state_in_the_middle_of_a_start_is_given_the_rest() {
    // A restore to a position between two batches in which a start gave time back.
    let disk = folder_with_holds(3);
    let world = World::open(&disk, START.plus_ms(100_000), config(1)).expect("it starts");
    assert_eq!(world.report.position, 9);
    let disk = world.stop();
    for position in 6..=9 {
        let name = list_checkpoints(&disk).expect("lists").remove(0);
        let mut rebuild = Rebuild::from_checkpoint(&disk, &name, plans_of(&disk)).expect("it is whole");
        apply_log(&disk, &mut rebuild, Until::Position(position));
        assert_eq!(rebuild.state().position, position);
        let folder = MemoryStorage::new();
        rebuild.write(&folder, START.plus_ms(HOUR_MS)).expect("an empty folder");
        let mut world = World::open(&folder, START.plus_ms(HOUR_MS), config(1)).expect("it starts");
        assert_eq!(shift_of_all(&mut world, 3), HOUR_MS, "at {position}");
    }
}

/// Applies what follows in the log of this folder.
fn apply_log(disk: &MemoryStorage, rebuild: &mut Rebuild, until: Until) {
    let after = rebuild.origin().batch_seq;
    let from = wal::RecoverFrom { after_batch_seq: after, ..wal::RecoverFrom::start() };
    let mut ended = false;
    wal::recover(disk, from, &mut |batch| {
        if !ended {
            ended = !rebuild.apply(&engine::LoggedBatch { content: batch.content(), chain: batch.chain }, until)?;
        }
        Ok(())
    })
    .expect("the log is whole");
}

#[test]
fn a_restored_folder_whose_only_checkpoint_cannot_be_used_is_not_taken_for_a_new_one() {
    let disk = folder_with_holds(2);
    let whole = restored(&disk, START);
    let checkpoint = list_checkpoints(&whole).expect("lists").remove(0);
    let plan = whole.list("plans").expect("lists").remove(0);
    let damaged = whole.duplicate();
    damaged.overwrite(&checkpoint, 5_000, &[0xa5; 8]);
    let without_plan = whole.duplicate();
    without_plan.lose(&format!("plans/{plan}"));
    for (folder, named) in [(damaged, &checkpoint), (without_plan, &plan)] {
        let error = verify(&folder).expect_err("its one change is not there").to_string();
        assert!(error.contains(named.as_str()), "{error}");
        let start =
            World::open(&folder, START, config(1)).err().expect("it does not start as an empty one").to_string();
        assert!(start.contains(named.as_str()), "{start}");
    }
}
