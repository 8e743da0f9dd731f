//! Every moment comes back as it was, and holds that lived then live.

use backup::{Archived, FolderStore, RestoreError, Wanted, check, plan_restore, rebuild};
use engine::{Done, Until, Verdict, state_hash};
use inventory_core::{change::HoldState, command::Command};
use wal::{Keep, MemoryStorage, Storage};

use crate::archived::*;
use crate::world::*;

#[test]
fn every_position_is_restored_exactly() {
    let run = Run::new(1, 16);
    let end = run.world.engine.position();
    assert!(end > 60, "{end}");
    let removed = run.world.disk.list("").expect("lists").iter().all(|name| name != "wal-0-1-0.seg");
    assert!(removed, "the log's beginning is only in the archive");
    let mut compared = 0;
    for position in 1..=end {
        let rebuilt = run.restore(Until::Position(position)).expect("it is in the backup");
        let state = rebuilt.state();
        assert_eq!(state.position, position);
        if let Some(hash) = run.hash_at.get(&position) {
            assert_eq!(state.state_hash, *hash, "at position {position}");
            compared += 1;
        }
        let (_, report) = written(&rebuilt, run.now);
        assert_eq!((report.position, report.state_hash), (position, state.state_hash));
    }
    assert!(compared > 30, "{compared}");
    let all = run.restore(Until::End).expect("it is whole").state();
    assert_eq!((all.position, Some(&all.state_hash)), (end, run.hash_at.get(&end)));
    let report = check(&run.store(), None, None, &mut |_, _| {});
    assert_eq!((report.verdict(), report.problems.as_slice()), (Verdict::Clean, &[][..]));
    assert_eq!(report.futures[0].spans.len(), 1);
    assert_eq!(report.futures[0].spans[0].last, all);
}

#[test]
fn the_middle_of_a_batch_is_a_state_of_its_own() {
    let holds = |together: bool| {
        let folder = tempfile::tempdir().expect("a folder");
        let mut world = World::new(1);
        let key = world.create("concert");
        let mut hash_at = Vec::new();
        for n in 0..8 {
            drop(world.send(key, hold(hold_id(START, n), &[n as u32])));
            if !together {
                world.settle();
                hash_at.push(state_hash(&world.disk.duplicate(), 1).expect("it is whole"));
            }
        }
        world.settle();
        archive(&mut archiver(&world, folder.path())).expect("the store works");
        (folder, hash_at, world.engine.status().batches)
    };
    let ((folder, _, one), (_, hash_at, many)) = (holds(true), holds(false));
    assert!(one + 6 < many, "{one} and {many} batches");
    let store = FolderStore::new(folder.path());
    for (n, hash) in hash_at.iter().enumerate() {
        let position = 2 + n as u64;
        let state = restore(&store, Until::Position(position)).expect("it is in the backup").state();
        assert_eq!((state.position, state.state_hash), (position, *hash));
    }
}

#[test]
fn a_time_is_the_last_moment_before_the_first_change_after_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(1);
    let mut archiver = archiver(&world, folder.path());
    let key = world.create("concert");
    for n in 0..5 {
        world.clock.advance_ms(1_000);
        world.hold(key, hold_id(START, n), &[n as u32]).expect("open");
    }
    archive(&mut archiver).expect("the store works");
    let store = FolderStore::new(folder.path());
    let position_at = |ms: u64| restore(&store, Until::Time(START.plus_ms(ms))).map(|rebuilt| rebuilt.state().position);
    for (ms, position) in [(0, 1), (999, 1), (1_000, 2), (4_999, 5), (5_000, 6)] {
        assert_eq!(position_at(ms).expect("it is in the backup"), position, "{ms} ms");
    }
    assert!(matches!(position_at(5_001), Err(RestoreError::Beyond { position: 6, .. })));
    let before = restore(&store, Until::Time(START.minus_ms(1))).err().expect("nothing was there");
    assert!(matches!(before, RestoreError::TooEarly { .. }), "{before}");
    // A clean end says until when nothing happened.
    world.clock.advance_ms(60_000);
    world.engine.drain();
    world.settle();
    world.engine.stop();
    while world.committer.turn().expect("the disk works") {}
    archive(&mut archiver).expect("the store works");
    assert_eq!(position_at(50_000).expect("it is in the backup"), 6);
}

#[test]
fn holds_of_a_restored_position_live_with_the_whole_gap_added() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(1);
    let mut archiver = archiver(&world, folder.path());
    let key = world.create_with("concert", settings());
    let id = hold_id(START, 1);
    let view = world.hold(key, id, &[1]).expect("open");
    world.clock.advance_ms(61_000);
    world.settle();
    assert_eq!(world.engine.position(), 3, "it has expired");
    archive(&mut archiver).expect("the store works");
    let later = START.plus_ms(7 * 24 * 3_600_000);
    let rebuilt = restore(&FolderStore::new(folder.path()), Until::Position(2)).expect("it is in the backup");
    let (disk, report) = written(&rebuilt, later);
    assert_eq!(report.live_holds, 1);
    let mut restored = World::open(&disk, later, config(1)).expect("it starts");
    let now = hold_of(restored.ask(key, Command::GetHold(id))).expect("it lives");
    assert_eq!(now.expires_at.since(later), view.expires_at.since(START));
    assert_eq!(hold_of(restored.ask(key, confirm(id, "order"))).expect("in time").state, HoldState::Confirmed);
}

#[test]
fn a_restored_future_is_archived_beside_the_old_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = FolderStore::new(folder.path());
    let mut world = World::new(1);
    let key = world.create("concert");
    for n in 0..4 {
        world.hold(key, hold_id(START, n), &[n as u32]).expect("open");
    }
    archive(&mut archiver(&world, folder.path())).expect("the store works");
    let rebuilt = restore(&store, Until::Position(3)).expect("it is in the backup");
    let (disk, _) = written(&rebuilt, START);
    let mut second = World::open(&disk, START.plus_ms(5_000), config(1)).expect("it starts");
    second.hold(key, hold_id(START, 9), &[9]).expect("open");
    let done = archive(&mut archiver(&second, folder.path())).expect("the store works");
    assert!(matches!(done[0], Archived::Snapshot { position: 3, gap_after: 0 }), "{done:?}");
    // 1 event and 2 holds restored, their deadlines moved in one change, one hold more.
    let newest = restore(&store, Until::End).expect("it is whole");
    assert_eq!((newest.state().position, newest.origin().identity.incarnation), (5, 2));
    assert_eq!(newest.state().state_hash, state_hash(&second.disk.duplicate(), 1).expect("it is whole"));
    let of_first = Wanted { until: Until::Position(5), instance: None, incarnation: Some(1) };
    let plan = plan_restore(&store, None, &of_first).expect("it is in the backup");
    let old = rebuild(&store, &plan, None, &mut |_| {}).expect("it is whole").state();
    assert_eq!(old.state_hash, state_hash(&world.disk.duplicate(), 1).expect("it is whole"));
    let early = restore(&store, Until::Position(2)).err().expect("not of the second").to_string();
    assert!(early.contains("--incarnation 1"), "{early}");
    let report = check(&store, None, None, &mut |_, _| {});
    assert_eq!((report.verdict(), report.futures.len()), (Verdict::Clean, 2), "{:?}", report.problems);
}

#[test]
fn an_archiver_goes_on_where_the_last_one_stopped() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = FolderStore::new(folder.path());
    let mut disk = MemoryStorage::new();
    let mut now = START;
    for round in 0..6_u64 {
        let mut world = World::open(&disk, now, config(1)).expect("it starts");
        let key = if round == 0 { world.create("concert") } else { engine::event_key("concert") };
        world.hold(key, hold_id(START, round), &[round as u32]).expect("open");
        let mut archiver = archiver(&world, folder.path());
        let done = archive(&mut archiver).expect("the store works");
        assert!(!done.is_empty());
        world.hold(key, hold_id(START, 100 + round), &[10 + round as u32]).expect("open");
        now = now.plus_ms(1_000);
        // Killed, with a hold that is durable and not archived.
        disk = world.disk.crash(if round % 2 == 0 { Keep::Nothing } else { Keep::Seeded(round) });
    }
    let world = World::open(&disk, now, config(1)).expect("it starts");
    archive(&mut archiver(&world, folder.path())).expect("the store works");
    let all = restore(&store, Until::End).expect("it is whole").state();
    assert_eq!(all.state_hash, state_hash(&world.disk.duplicate(), 1).expect("it is whole"));
    assert_eq!(all.position, world.engine.position());
}

#[test]
fn only_what_is_durable_is_archived() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(1);
    let mut archiver = archiver(&world, folder.path());
    let key = world.create("concert");
    archive(&mut archiver).expect("the store works");
    let mut receiver = world.send(key, hold(hold_id(START, 1), &[1]));
    // Judged and handed over, not written.
    world.turn_shards();
    assert_eq!(archive(&mut archiver).expect("the store works"), []);
    world.settle();
    assert!(matches!(receiver.try_take(), Some(Ok(answer)) if matches!(answer.result, Ok(Done::Hold { .. }))));
    assert_eq!(archive(&mut archiver).expect("the store works"), [Archived::Log { position: 2 }]);
    let status = world.engine.status().archive.expect("it is archived");
    assert_eq!((status.position, status.failure.as_str()), (2, ""));
}
