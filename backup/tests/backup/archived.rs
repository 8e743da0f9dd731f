//! A world with an archive, and restores from it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use backup::{
    ArchiveFault, Archived, Archiver, FolderStore, RestoreError, SnapshotSource, Store, Wanted, plan_restore, rebuild,
};
use engine::{EngineConfig, Rebuild, TimestampMs, Until, VerifyReport, verify};
use wal::{MemoryStorage, Storage};

use crate::workload::{Ledger, run};
use crate::world::*;

/// Tiny segments, and checkpoints often, so that log is removed while it is archived.
pub(crate) fn tiny() -> EngineConfig {
    EngineConfig { segment_bytes: 24 << 10, checkpoint_segments: 2, ..config(2) }
}

pub(crate) fn archiver(world: &World, folder: &Path) -> Archiver {
    let storage: Arc<dyn Storage> = Arc::new(world.disk.clone());
    Archiver::new(Arc::clone(&world.engine), storage, Arc::new(FolderStore::new(folder)))
}

/// Turns until everything durable is archived.
pub(crate) fn archive(archiver: &mut Archiver) -> Result<Vec<Archived>, ArchiveFault> {
    let mut all = Vec::new();
    for _ in 0..1_000 {
        match archiver.turn()? {
            Archived::Nothing => return Ok(all),
            archived => all.push(archived),
        }
    }
    panic!("it never ends: {all:?}");
}

/// Puts a snapshot of everything there is into the store.
pub(crate) fn snapshot(world: &mut World, store: &dyn Store) -> u64 {
    world.engine.request_checkpoint();
    world.settle();
    world.checkpoint().expect("the disk works");
    let newest = world.engine.newest_checkpoint().expect("it was just made");
    let source = SnapshotSource::open(&world.disk, &newest.name).expect("it is whole");
    let name = backup::snapshot_name(source.head());
    store.put(&name, &mut |out| source.write(&world.disk, out, &mut |_| {}).map(drop)).expect("the disk works");
    newest.position
}

/// A run with an archive in a folder.
pub(crate) struct Run {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) world: World,
    /// The state's hash at each position that a batch ended at.
    pub(crate) hash_at: BTreeMap<u64, u64>,
    pub(crate) now: TimestampMs,
}

impl Run {
    /// A seeded run that is archived after every few steps, with snapshots now and then.
    pub(crate) fn new(seed: u64, rounds: u64) -> Run {
        let folder = tempfile::tempdir().expect("a folder");
        let store = FolderStore::new(folder.path());
        let mut world = World::open(&MemoryStorage::new(), START, tiny()).expect("an empty folder opens");
        let mut archiver = archiver(&world, folder.path());
        let mut ledger = Ledger { traces: true, ..Ledger::default() };
        for round in 0..rounds {
            run(&mut world, seed * 1_000 + round, 12, &mut ledger).unwrap_or_else(|_| panic!("the disk works"));
            archive(&mut archiver).expect("the store works");
            if round % 3 == 1 {
                snapshot(&mut world, &store);
            }
        }
        archive(&mut archiver).expect("the store works");
        let now = world.engine.clock().now();
        Run { folder, world, hash_at: ledger.hash_at, now }
    }

    pub(crate) fn store(&self) -> FolderStore {
        FolderStore::new(self.folder.path())
    }

    pub(crate) fn restore(&self, until: Until) -> Result<Rebuild, RestoreError> {
        restore(&self.store(), until)
    }
}

pub(crate) fn restore(store: &dyn Store, until: Until) -> Result<Rebuild, RestoreError> {
    let wanted = Wanted { until, instance: None, incarnation: None };
    let plan = plan_restore(store, None, &wanted)?;
    rebuild(store, &plan, None, &mut |_| {})
}

/// Writes it as a folder and reads that back.
pub(crate) fn written(rebuild: &Rebuild, now: TimestampMs) -> (MemoryStorage, VerifyReport) {
    let disk = MemoryStorage::new();
    rebuild.write(&disk, now).expect("an empty folder");
    let report = verify(&disk).expect("it is whole");
    (disk, report)
}
