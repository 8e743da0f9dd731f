//! The machine stops at every single operation of the disk. What was answered is there afterwards,
//! what is there was asked for, and it is one state however often it is read.

use engine::{EngineConfig, Verdict, state_hash, verify};
use inventory_core::ids::TimestampMs;
use wal::{Keep, MemoryStorage};

use crate::{
    workload::{Gone, Ledger, check_answers, run},
    world::*,
};

/// Tiny segments and checkpoints all the time, so that every kind of operation is met often.
fn tiny(shards: usize) -> EngineConfig {
    EngineConfig { segment_bytes: 24 << 10, checkpoint_segments: 2, ..config(shards) }
}

const STEPS: usize = 100;

/// A run from an empty folder. What it leaves on the disk, and the time it ended at.
fn run_once(shards: usize, seed: u64, stop_at: Option<u64>, ledger: &mut Ledger) -> (MemoryStorage, TimestampMs) {
    let disk = MemoryStorage::new();
    if let Some(operation) = stop_at {
        disk.stop_at(operation);
    }
    let Ok(mut world) = World::open(&disk, START, tiny(shards)) else { return (disk, START) };
    let ended = run(&mut world, seed, STEPS, ledger);
    assert_eq!(matches!(ended, Err(Gone)), stop_at.is_some());
    let now = world.engine.clock().now();
    (disk, now)
}

fn crash_at_every_operation(shards: usize, seed: u64) {
    let mut whole = Ledger { traces: true, ..Ledger::default() };
    let (disk, _) = run_once(shards, seed, None, &mut whole);
    let operations = disk.operations();
    assert!(whole.checkpoints >= 3, "{} checkpoints", whole.checkpoints);
    whole.hash_at.insert(0, 0);

    for stop_at in 1..=operations {
        let mut ledger = Ledger::default();
        let (stopped, now) = run_once(shards, seed, Some(stop_at), &mut ledger);
        let acknowledged = ledger.answered().map(|(_, answer)| answer.position).max().unwrap_or(0);
        let keeps = match stop_at % 4 {
            0 => [Keep::Nothing, Keep::Seeded(stop_at)],
            1 => [Keep::Everything, Keep::Seeded(stop_at)],
            2 => [Keep::SeededSectors(stop_at), Keep::Nothing],
            _ => [Keep::Seeded(stop_at), Keep::SeededSectors(!stop_at)],
        };
        for (nth, keep) in keeps.into_iter().enumerate() {
            let context = format!("seed {seed}, stopped at operation {stop_at}, {keep:?}");
            let left = stopped.crash(keep);
            let found = verify(&left).unwrap_or_else(|error| panic!("{context}: {error}"));
            assert!(found.position >= acknowledged, "{context}: {} of {acknowledged}", found.position);
            let same = whole.hash_at.get(&found.position);
            assert_eq!(same, Some(&found.state_hash), "{context}: a state that never was at {}", found.position);

            // The machine stops again while it starts.
            let again = left.duplicate();
            again.stop_at(1 + stop_at % 19);
            let left = match World::open(&again, now.plus_ms(5_000), tiny(shards)) {
                Ok(_) => left,
                Err(_) => again.crash(Keep::Seeded(stop_at)),
            };
            let found_again = verify(&left).unwrap_or_else(|error| panic!("{context}, twice: {error}"));
            if found_again.position == found.position {
                assert_eq!(found_again.state_hash, found.state_hash, "{context}, twice");
            }

            let mut world = World::open(&left, now.plus_ms(5_000), tiny(shards))
                .unwrap_or_else(|error| panic!("{context}: {error}"));
            assert_eq!(world.report.state_hash, found_again.state_hash, "{context}");
            let after_start = state_hash(&left, 1).expect("it was started just now");
            check_answers(&mut world, &ledger);
            let read = left.crash(Keep::Nothing);
            let now = world.engine.clock().now();
            let second = World::open(&read, now, tiny(shards)).unwrap_or_else(|error| panic!("{context}: {error}"));
            assert_eq!(second.report.state_hash, after_start, "{context}: reading changes nothing");

            // It goes on from there, checkpoints and all. The hash at the clean end is that of the live state.
            if nth > 0 {
                continue;
            }
            let mut ledger = Ledger::default();
            run(&mut world, !stop_at, 25, &mut ledger).unwrap_or_else(|_| panic!("{context}: the disk works"));
            let disk = world.stop();
            let found = verify(&disk).unwrap_or_else(|error| panic!("{context}, later: {error}"));
            assert_eq!(found.verdict, Verdict::Clean, "{context}, later: {:?}", found.warnings);
        }
    }
}

#[test]
fn one_shard() {
    crash_at_every_operation(1, 1);
}

#[test]
fn two_shards() {
    crash_at_every_operation(2, 2);
}
