//! Leaving and coming back: nothing is lost, nothing happens twice, lost time is given back.

use engine::{Done, EngineConfig, OpenError, Refused, state_hash, verify};
use inventory_core::{change::HoldState, command::Command, reject::Reject};
use wal::{Keep, MemoryStorage};

use crate::{
    workload::{Ledger, check_answers, run},
    world::*,
};

fn run_with(config: EngineConfig, seed: u64) -> (MemoryStorage, Ledger) {
    let disk = MemoryStorage::new();
    let mut world = World::open(&disk, START, config).expect("an empty folder opens");
    let mut ledger = Ledger::default();
    run(&mut world, seed, 150, &mut ledger).unwrap_or_else(|_| panic!("the disk works"));
    (disk, ledger)
}

#[test]
fn every_number_of_shards_reads_the_same_state() {
    for written_by in 1..=3 {
        let (disk, ledger) = run_with(config(written_by), 5);
        let hashes: Vec<u64> = (1..=3).map(|shards| state_hash(&disk, shards).expect("it is whole")).collect();
        assert_ne!(hashes[0], 0);
        assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:x?}");
        for shards in 1..=3 {
            let left = disk.crash(Keep::Nothing);
            let mut world = World::open(&left, START, config(shards)).expect("it is whole");
            assert_eq!(world.report.state_hash, hashes[0]);
            check_answers(&mut world, &ledger);
        }
    }
}

#[test]
fn the_number_of_shards_changes_no_decision() {
    let state = |shards| {
        let (disk, ledger) = run_with(config(shards), 9);
        let results: Vec<_> = ledger.answered().map(|(_, answer)| answer.result.clone()).collect();
        (state_hash(&disk, 1).expect("it is whole"), results)
    };
    let one = state(1);
    assert_eq!(state(2), one);
    assert_eq!(state(3), one);
}

#[test]
fn two_runs_leave_the_same_bytes() {
    let files = |disk: &MemoryStorage| -> Vec<_> {
        let names = wal::Storage::list(disk, "").expect("lists");
        names.into_iter().map(|name| (disk.contents(&name), name)).collect()
    };
    let tiny = EngineConfig { segment_bytes: 24 << 10, checkpoint_segments: 2, ..config(2) };
    let (first, second) = (run_with(tiny.clone(), 3).0, run_with(tiny, 3).0);
    assert_eq!(files(&first), files(&second));
}

#[test]
fn a_checkpoint_and_the_log_behind_it_give_what_the_log_gives() {
    let tiny = EngineConfig { segment_bytes: 24 << 10, checkpoint_segments: 10_000, ..config(1) };
    let disk = MemoryStorage::new();
    let mut world = World::open(&disk, START, tiny).expect("opens");
    run(&mut world, 11, 60, &mut Ledger { traces: false, ..Ledger::default() }).unwrap_or_else(|_| panic!("works"));
    let checkpoints = || wal::list_checkpoints(&disk).expect("lists");
    assert!(!checkpoints().is_empty(), "asked for by the workload");
    let with = verify(&disk).expect("it is whole");
    assert!(with.checkpoint_position > 0);

    // With one checkpoint all of the log is kept, so it can do without.
    let first_only = MemoryStorage::new();
    let mut world = World::open(&first_only, START, config(1)).expect("opens");
    let key = world.create("concert");
    for n in 0..10 {
        world.hold(key, hold_id(START, n), &[n as u32]).expect("open");
    }
    world.engine.request_checkpoint();
    world.settle();
    assert!(world.checkpoint().expect("the disk works"));
    assert!(!world.checkpoint().expect("the disk works"), "one is enough");
    assert!(hold_of(world.ask(key, confirm(hold_id(START, 3), "order"))).is_ok());
    let with = verify(&first_only).expect("it is whole");
    assert_eq!((with.checkpoint_position, with.position, with.checkpoints), (11, 12, 1));
    let without = first_only.duplicate();
    for name in wal::list_checkpoints(&without).expect("lists") {
        without.lose(&name);
    }
    let without = verify(&without).expect("the log is whole");
    assert_eq!((without.checkpoint_position, without.position, without.checkpoints), (0, 12, 0));
    assert_eq!(without.state_hash, with.state_hash);
}

#[test]
fn two_checkpoints_are_kept_and_the_log_of_the_older() {
    let mut world = World::new(1);
    let key = world.create("concert");
    for n in 0..4 {
        world.hold(key, hold_id(START, n), &[n as u32]).expect("open");
        world.engine.request_checkpoint();
        world.settle();
        assert!(world.checkpoint().expect("the disk works"));
        world.clock.advance_ms(1_000);
        world.settle();
    }
    let names = wal::list_checkpoints(&world.disk).expect("lists");
    assert_eq!(names.len(), 2);
    let newest = verify(&world.disk).expect("it is whole");
    assert_eq!((newest.checkpoint_position, newest.segments), (5, 2));

    // The newest is damaged: the older one and its log do, loudly.
    let damaged = world.disk.duplicate();
    damaged.overwrite(&names[0], 5_000, &[0xff; 4]);
    let older = World::open(&damaged, START, config(1)).expect("the older one is good");
    assert_eq!(older.report.state_hash, newest.state_hash);
    assert_eq!(older.report.checkpoint.as_ref(), Some(&names[1]));
    assert!(older.report.warnings.iter().any(|warning| warning.contains(&names[0])), "{:?}", older.report.warnings);
    let mut older = older;
    older.hold(key, hold_id(START, 10), &[10]).expect("it works");
    older.engine.request_checkpoint();
    older.settle();
    assert!(older.checkpoint().expect("the disk works"));
    assert_eq!(verify(&damaged).expect("it is whole").verdict, engine::Verdict::Clean, "the bad one is replaced");
}

#[test]
fn lost_time_is_given_back() {
    let mut world = World::new(1);
    let key = world.create("concert");
    let id = hold_id(START, 1);
    world.hold(key, id, &[1]).expect("open");
    let left = world.disk.crash(Keep::Nothing);

    let deadline = |away_ms: u64| {
        let mut world = World::open(&left.duplicate(), START.plus_ms(away_ms), config(1)).expect("it is whole");
        assert_eq!(world.report.downtime_ms, away_ms);
        hold_of(world.ask(key, Command::GetHold(id))).expect("it is remembered")
    };
    assert_eq!(deadline(0).expires_at, START.plus_ms(600_000));
    assert_eq!(deadline(50_000).expires_at, START.plus_ms(650_000));
    assert_eq!(deadline(500_000).expires_at, START.plus_ms(720_000), "at most 120 s");
    assert_eq!(deadline(719_999).state, HoldState::Active);
    assert_eq!(deadline(720_000).state, HoldState::Expired);

    // What is given back is durable before anything else happens.
    let disk = left.duplicate();
    let world = World::open(&disk, START.plus_ms(50_000), config(1)).expect("it is whole");
    assert_eq!((world.report.resumed_events, world.report.position), (1, 3));
    let mut world = World::open(&disk.crash(Keep::Nothing), START.plus_ms(50_000), config(2)).expect("it is whole");
    assert_eq!(world.report.resumed_events, 0);
    assert_eq!(hold_of(world.ask(key, Command::GetHold(id))).expect("live").expires_at, START.plus_ms(650_000));
}

#[test]
fn the_watermark_says_until_when_the_engine_was_there() {
    let mut world = World::new(1);
    let key = world.create_with("concert", settings());
    let id = hold_id(START, 1);
    world.hold(key, id, &[1]).expect("open");
    world.clock.advance_ms(40_000);
    world.settle();
    let left = world.disk.crash(Keep::Nothing);
    let world = World::open(&left, START.plus_ms(45_000), config(1)).expect("it is whole");
    assert_eq!(world.report.downtime_ms, 5_000);
}

#[test]
fn commands_repeated_after_a_restart_answer_the_same() {
    let mut world = World::new(1);
    let key = world.create("concert");
    let ids: Vec<_> = (0..4).map(|n| hold_id(START, n)).collect();
    for (n, id) in ids.iter().enumerate() {
        world.hold(key, *id, &[n as u32 * 2]).expect("open");
    }
    let sold = world.ask(key, confirm(ids[1], "order")).result;
    let released = world.ask(key, release(ids[2])).result;
    world.clock.advance_ms(1_000);
    let request = request_id(START, 1);
    let extended = world.ask(key, extend(ids[3], request)).result;
    let left = world.disk.crash(Keep::Nothing);

    let mut world = World::open(&left, START.plus_ms(1_000), config(1)).expect("it is whole");
    let replayed = |result: Result<Done, Refused>| match result.expect("it took effect") {
        Done::Hold { view, .. } => Ok(Done::Hold { view, replayed: true }),
        done => Ok(done),
    };
    assert!(matches!(world.ask(key, hold(ids[0], &[0])).result, Ok(Done::Hold { replayed: true, .. })));
    assert_eq!(world.ask(key, confirm(ids[1], "order")).result, replayed(sold));
    assert_eq!(world.ask(key, release(ids[2])).result, replayed(released));
    assert_eq!(world.ask(key, extend(ids[3], request)).result, replayed(extended));
    let again = world.ask(key, hold(ids[1], &[2])).result;
    assert_eq!(again, Err(Refused::Reject(Reject::HoldAlreadyConfirmed { executed: true })));
    let again = world.ask(key, hold(ids[2], &[4])).result;
    assert_eq!(again, Err(Refused::Reject(Reject::HoldReleased { executed: true })));
    let settings = without_orphan_rule();
    let create = create_command(&world.engine, "concert", settings);
    assert_eq!(world.ask(key, create).result, Ok(Done::Event { key, replayed: true }));
    assert_eq!(world.engine.position(), world.report.position, "nothing happened twice");
}

#[test]
fn views_are_as_they_were() {
    let mut world = World::new(1);
    let key = world.create("concert");
    world.hold(key, hold_id(START, 1), &[1, 2]).expect("open");
    world.hold(key, hold_id(START, 2), &[8]).expect("open");
    assert!(hold_of(world.ask(key, confirm(hold_id(START, 2), "order"))).is_ok());
    assert!(world.ask(key, hold_area(hold_id(START, 3), 6)).result.is_ok());
    let before = world.engine.directory().find("concert").expect("there").snapshot();
    let disk = world.stop();
    let world = World::open(&disk, START, config(3)).expect("it is whole");
    let view = world.engine.directory().find("concert").expect("there");
    let after = view.snapshot();
    assert_eq!((&after.states, &after.areas), (&before.states, &before.areas));
    assert_eq!(after.position, before.position);
    assert_eq!(view.counts().sold, 1);
}

#[test]
fn a_clock_far_from_the_log_is_not_believed() {
    let mut world = World::new(1);
    world.create("concert");
    let disk = world.stop();
    let day = 24 * 3_600_000;
    for wall in [START.minus_ms(day + 1), START.plus_ms(30 * day + 1)] {
        let error = World::open(&disk.duplicate(), wall, config(1)).err().expect("refused");
        assert!(matches!(error, OpenError::ClockJump { .. }), "{error}");
        assert!(error.to_string().contains("--accept-clock-jump"));
        let accepting = EngineConfig { accept_clock_jump: true, ..config(1) };
        let world = World::open(&disk.duplicate(), wall, accepting).expect("told to");
        assert_eq!(world.report.time, wall.max(START), "time never goes back");
        assert_eq!(world.report.warnings.len(), 1);
    }
    for wall in [START.minus_ms(day), START.plus_ms(30 * day)] {
        World::open(&disk.duplicate(), wall, config(1)).expect("near enough");
    }
}

#[test]
fn a_refused_start_writes_nothing() {
    let mut world = World::new(1);
    world.create("concert");
    let disk = world.stop();
    let plan = wal::Storage::list(&disk, "plans").expect("lists").remove(0);
    disk.lose(&format!("plans/{plan}"));
    let before = disk.operations();
    let error = World::open(&disk, START, config(1)).err().expect("the plan is gone");
    assert!(error.to_string().contains(&plan), "{error}");
    assert_eq!(disk.operations(), before);
}

#[test]
fn a_checkpoint_of_another_history_is_refused() {
    let history = |seat| {
        let mut world = World::new(1);
        let key = world.create("concert");
        world.hold(key, hold_id(START, 1), &[seat]).expect("open");
        world.engine.request_checkpoint();
        world.settle();
        assert!(world.checkpoint().expect("the disk works"));
        world
    };
    let (one, other) = (history(1).stop(), history(2).stop());
    let name = wal::list_checkpoints(&one).expect("lists").remove(0);
    one.put(&name, other.contents(&name).expect("it has the same name"));
    let error = verify(&one).expect_err("the log goes another way");
    assert_eq!(error.verdict, engine::Verdict::Damaged, "{error}");
}
