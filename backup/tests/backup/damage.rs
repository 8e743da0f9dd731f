//! What is damaged, missing, doubled or foreign is named, and never passed over.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use backup::{ArchiveFault, Archived, Archiver, Catalog, Fill, FolderStore, Listed, Store, StoreError, check};
use engine::{EngineConfig, Until, Verdict};
use wal::{MemoryStorage, Storage};

use crate::archived::*;
use crate::world::*;

/// Each object's file.
fn objects(run: &Run) -> Vec<(String, PathBuf)> {
    let listed = run.store().list("").expect("lists");
    listed.into_iter().map(|listed| (listed.name.clone(), run.folder.path().join(listed.name))).collect()
}

#[test]
fn every_damaged_object_is_named() {
    let run = Run::new(3, 6);
    let all = objects(&run);
    assert!(all.len() > 8, "{all:?}");
    for (name, path) in &all {
        let whole = fs::read(path).expect("it was listed");
        for at in [0, 20, 100, 170, whole.len() / 2, whole.len() - 30, whole.len() - 1] {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            fs::write(path, bytes).expect("the disk works");
            let report = check(&run.store(), None, None, &mut |_, _| {});
            assert_eq!(report.verdict(), Verdict::Damaged, "{name} at byte {at}");
            let named =
                report.problems.iter().any(|problem| problem.contains(name.as_str()) && problem.contains("byte"));
            assert!(named, "{name} at byte {at}: {:?}", report.problems);
        }
        fs::write(path, &whole[..whole.len() - 1]).expect("the disk works");
        assert_eq!(check(&run.store(), None, None, &mut |_, _| {}).verdict(), Verdict::Damaged, "{name} is cut");
        fs::write(path, whole).expect("the disk works");
    }
    assert_eq!(check(&run.store(), None, None, &mut |_, _| {}).verdict(), Verdict::Clean);
}

#[test]
fn a_missing_part_of_the_log_is_named_where_it_matters() {
    let run = Run::new(4, 9);
    let end = run.world.engine.position();
    let catalog = Catalog::read(&run.store()).expect("lists");
    let future = catalog.futures.values().next().expect("one");
    let logs = future.logs_after(0);
    let missing = logs[1];
    let path = run.folder.path().join(&missing.name);
    let whole = fs::read(&path).expect("listed");
    fs::remove_file(&path).expect("listed");
    let report = check(&run.store(), None, None, &mut |_, _| {});
    assert_eq!(report.verdict(), Verdict::Damaged);
    let named = format!("batches {} to ", missing.first_batch);
    assert!(report.problems.iter().any(|problem| problem.contains(&named)), "{:?}", report.problems);
    // Behind the next snapshot nothing is missed, before the gap neither.
    run.restore(Until::End).expect("from a later snapshot");
    run.restore(Until::Position(1)).expect("before the gap");
    let snapshot = future.snapshots.first().expect("some").position;
    let refused: Vec<String> = (1..snapshot)
        .filter_map(|position| run.restore(Until::Position(position)).err())
        .map(|e| e.to_string())
        .collect();
    assert!(!refused.is_empty() && refused.iter().all(|error| error.contains(&named)), "{refused:?}");
    fs::write(&path, whole).expect("the disk works");
    assert_eq!(run.restore(Until::End).expect("whole").state().position, end);

    // All snapshots gone: the log from its beginning does. The log's beginning gone: the first snapshot is the first
    // moment.
    let first = run.folder.path().join(&logs[0].name);
    fs::remove_file(first).expect("listed");
    let error = run.restore(Until::Position(1)).err().expect("it is gone").to_string();
    assert!(error.contains("before everything") && error.contains(&format!("position {snapshot}")), "{error}");
    let error = run.restore(Until::Position(end + 1)).err().expect("not there yet").to_string();
    assert!(error.contains(&format!("at position {end}")), "{error}");
}

#[test]
fn an_object_under_another_name_is_refused() {
    let run = Run::new(5, 3);
    let catalog = Catalog::read(&run.store()).expect("lists");
    let future = catalog.futures.values().next().expect("one");
    let path = |number: usize| run.folder.path().join(&future.logs[number].name);
    fs::copy(path(0), path(1)).expect("the disk works");
    let report = check(&run.store(), None, None, &mut |_, _| {});
    assert!(report.problems.iter().any(|problem| problem.contains("renamed or written over")), "{:?}", report.problems);
}

#[test]
fn parts_that_overlap_are_one_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(1);
    let key = world.create("concert");
    let mut first = archiver(&world, folder.path());
    archive(&mut first).expect("the store works");
    // A second one that has looked before the first went on, as after a crash between the copy and knowing of it.
    let mut second = archiver(&world, folder.path());
    archive(&mut second).expect("the store works");
    for n in 0..4 {
        world.hold(key, hold_id(START, n), &[n as u32]).expect("open");
        let archiver = if n % 2 == 0 { &mut first } else { &mut second };
        archive(archiver).expect("the store works");
    }
    let store = FolderStore::new(folder.path());
    let report = check(&store, None, None, &mut |_, _| {});
    assert_eq!(report.verdict(), Verdict::Clean, "{:?}", report.problems);
    let first_batches: Vec<u64> = Catalog::read(&store)
        .expect("lists")
        .futures
        .values()
        .flat_map(|f| f.logs.iter().map(|l| l.first_batch))
        .collect();
    assert!(first_batches.windows(2).any(|pair| pair[0] == pair[1]), "{first_batches:?} do not overlap");
    for position in 1..=5 {
        assert_eq!(restore(&store, Until::Position(position)).expect("there").state().position, position);
    }
}

#[test]
fn another_future_in_the_store_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(1);
    let key = world.create("concert");
    archive(&mut archiver(&world, folder.path())).expect("the store works");
    let rolled_back = world.disk.duplicate();
    world.hold(key, hold_id(START, 1), &[1]).expect("open");
    archive(&mut archiver(&world, folder.path())).expect("the store works");
    // The disk is put back to an earlier copy by other means than a restore: shorter first, then different.
    let mut other = World::open(&rolled_back, START, config(1)).expect("it starts");
    let error = archive(&mut archiver(&other, folder.path())).expect_err("it is ahead");
    assert!(matches!(error, ArchiveFault::OtherFuture { .. }), "{error}");
    for n in 2..6 {
        other.hold(key, hold_id(START, n), &[n as u32]).expect("open");
    }
    let error = archive(&mut archiver(&other, folder.path())).expect_err("they part");
    assert!(matches!(error, ArchiveFault::OtherFuture { .. }), "{error}");
    assert!(other.engine.status().archive.expect("asked for").failure.contains("another future"));
}

/// A store that can be out of reach.
struct Reached {
    inner: FolderStore,
    is_away: AtomicBool,
}

impl Reached {
    fn ask(&self) -> Result<(), StoreError> {
        let source = || io::Error::from(io::ErrorKind::HostUnreachable);
        if self.is_away.load(Ordering::Relaxed) {
            Err(StoreError { name: "store".into(), source: source() })
        } else {
            Ok(())
        }
    }
}

impl Store for Reached {
    fn put(&self, name: &str, fill: Fill<'_>) -> Result<(), StoreError> {
        self.ask().and_then(|()| self.inner.put(name, fill))
    }
    fn get(&self, name: &str) -> Result<Box<dyn io::Read + Send>, StoreError> {
        self.ask().and_then(|()| self.inner.get(name))
    }
    fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        self.ask().and_then(|()| self.inner.list(prefix))
    }
    fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.ask().and_then(|()| self.inner.remove(name))
    }
    fn place(&self) -> String {
        self.inner.place()
    }
}

fn sell(world: &mut World, key: inventory_core::ids::EventKey, round: u64) {
    let id = hold_id(world.engine.clock().now(), round);
    world.hold(key, id, &[3]).expect("open");
    assert!(hold_of(world.ask(key, release(id))).is_ok());
    world.engine.request_checkpoint();
    world.settle();
    world.checkpoint().expect("the disk works");
}

fn segments(disk: &MemoryStorage) -> usize {
    disk.list("").expect("lists").iter().filter(|name| name.ends_with(".seg")).count()
}

#[test]
fn log_is_kept_while_the_store_is_out_of_reach_and_goes_when_it_was_archived() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Arc::new(Reached { inner: FolderStore::new(folder.path()), is_away: AtomicBool::new(true) });
    let mut world = World::new(1);
    let key = world.create("concert");
    let storage: Arc<dyn Storage> = Arc::new(world.disk.clone());
    let mut archiver = Archiver::new(Arc::clone(&world.engine), storage, Arc::clone(&store) as Arc<dyn Store>);
    for round in 0..10 {
        sell(&mut world, key, round);
        assert!(matches!(archiver.turn(), Err(ArchiveFault::Store(_))));
    }
    assert!(segments(&world.disk) > 10, "nothing was removed");
    assert!(world.engine.status().archive.expect("asked for").failure.contains("store"));
    store.is_away.store(false, Ordering::Relaxed);
    archive(&mut archiver).expect("it is there again");
    world.checkpoint().expect("the disk works");
    assert!(segments(&world.disk) < 5, "{} are left", segments(&world.disk));
    let report = check(&store.inner, None, None, &mut |_, _| {});
    assert_eq!(report.verdict(), Verdict::Clean, "{:?}", report.problems);
}

#[test]
fn sales_go_before_backups_and_the_gap_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Arc::new(Reached { inner: FolderStore::new(folder.path()), is_away: AtomicBool::new(false) });
    let bounded = EngineConfig { archive_log_bytes_max: 5 * (64 << 10), ..config(1) };
    let mut world = World::open(&MemoryStorage::new(), START, bounded).expect("opens");
    let key = world.create("concert");
    let storage: Arc<dyn Storage> = Arc::new(world.disk.clone());
    let mut archiver = Archiver::new(Arc::clone(&world.engine), storage, Arc::clone(&store) as Arc<dyn Store>);
    archive(&mut archiver).expect("the store works");
    store.is_away.store(true, Ordering::Relaxed);
    for round in 0..12 {
        sell(&mut world, key, round);
        assert!(archiver.turn().is_err());
    }
    assert!(segments(&world.disk) <= 9, "{} are kept", segments(&world.disk));
    store.is_away.store(false, Ordering::Relaxed);
    let done = archive(&mut archiver).expect("it is there again");
    assert!(matches!(done[0], Archived::Snapshot { gap_after: 2, .. }), "{done:?}");
    sell(&mut world, key, 100);
    archive(&mut archiver).expect("it goes on");
    let report = check(&store.inner, None, None, &mut |_, _| {});
    assert_eq!((report.verdict(), report.problems.len()), (Verdict::Damaged, 1), "{:?}", report.problems);
    assert!(report.problems[0].contains("are missing before"), "{:?}", report.problems);
    assert_eq!(report.futures[0].spans.len(), 2);
    let end = restore(&store.inner, Until::End).expect("behind the gap").state();
    assert_eq!(end.position, world.engine.position());
}
