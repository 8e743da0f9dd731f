//! Data folders that earlier versions wrote, committed: they must open for ever, to the same state.
//!
//! Each is a folder `tests/corpus/v<format>-<what>/` with `folder.sparse` (all files, without their zeros) and
//! `expected`. A new version adds folders beside the old ones and never writes one anew:
//!
//! ```text
//! USHER_WRITE_CORPUS=1 cargo test -p engine --test engine corpus
//! ```
//!
//! makes those that are not there.

use std::fmt::Write as _;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use engine::inspect::{Line, walk};
use engine::{Repair, Verdict, verify};
use inventory_core::command::{Command, UpdateEvent};
use inventory_core::ids::TimestampMs;
use inventory_core::plan_codec::encode_plan;
use wal::{FileStorage, Keep, MemoryStorage, Storage};

use crate::workload::{Ledger, run};
use crate::world::*;

const MAGIC: &[u8; 8] = b"USPARSE1";
/// A gap of zeros shorter than this costs less than a new run.
const GAP: usize = 16;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

/// All files of a folder without their zeros: per file the name, the length, and runs of offset and bytes.
fn pack(disk: &MemoryStorage) -> Vec<u8> {
    let mut packed = MAGIC.to_vec();
    let plans = disk.list("plans").expect("lists").into_iter().map(|name| format!("plans/{name}"));
    for name in disk.list("").expect("lists").into_iter().chain(plans) {
        let Some(bytes) = disk.contents(&name) else { continue };
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte != 0) {
            match runs.last_mut() {
                Some((_, end)) if at - *end < GAP => *end = at + 1,
                _ => runs.push((at, at + 1)),
            }
        }
        packed.extend((name.len() as u32).to_le_bytes());
        packed.extend(name.as_bytes());
        packed.extend((bytes.len() as u32).to_le_bytes());
        packed.extend((runs.len() as u32).to_le_bytes());
        for (from, to) in runs {
            packed.extend((from as u32).to_le_bytes());
            packed.extend(((to - from) as u32).to_le_bytes());
            packed.extend(&bytes[from..to]);
        }
    }
    packed
}

fn unpack(packed: &[u8]) -> MemoryStorage {
    let disk = MemoryStorage::new();
    let mut rest = packed.strip_prefix(MAGIC).expect("a packed folder");
    let take = |rest: &mut &[u8], bytes: usize| {
        let (taken, left) = rest.split_at(bytes);
        *rest = left;
        taken.to_vec()
    };
    let number = |rest: &mut &[u8]| u32::from_le_bytes(take(rest, 4).try_into().expect("four bytes")) as usize;
    while !rest.is_empty() {
        let name_bytes = number(&mut rest);
        let name = String::from_utf8(take(&mut rest, name_bytes)).expect("text");
        let mut bytes = vec![0; number(&mut rest)];
        for _ in 0..number(&mut rest) {
            let (from, len) = (number(&mut rest), number(&mut rest));
            bytes[from..from + len].copy_from_slice(&take(&mut rest, len));
        }
        disk.put(&name, bytes);
    }
    disk
}

/// What a folder holds, as lines of text.
fn expected(disk: &MemoryStorage) -> String {
    let found = verify(disk).expect("it is whole");
    let mut text = String::new();
    let (mut batches, mut relogged, mut kinds) = (0, 0, Vec::new());
    walk(disk, 0, &mut |line| {
        match line {
            Line::Batch(batch) => {
                batches += 1;
                relogged += u32::from(batch.is_relog);
            }
            Line::Change(change) => kinds.push(change.kind()),
            _ => {}
        }
        ControlFlow::Continue(())
    })
    .expect("the folder is listed");
    kinds.sort_unstable();
    let changes = kinds.len();
    kinds.dedup();
    let _ = writeln!(text, "verdict {:?}", found.verdict);
    let _ = writeln!(text, "position {}", found.position);
    let _ = writeln!(text, "state_hash {:016x}", found.state_hash);
    let _ = writeln!(text, "time_ms {}", found.time.0);
    let _ = writeln!(text, "events {}", found.events);
    let _ = writeln!(text, "live_holds {}", found.live_holds);
    let _ = writeln!(text, "checkpoints {}", found.checkpoints);
    let _ = writeln!(text, "segments {}", found.segments);
    let _ = writeln!(text, "batches {batches}, {relogged} of them copies");
    let _ = writeln!(text, "changes {changes}: {}", kinds.join(" "));
    text
}

fn busy(seed: u64, steps: usize) -> World {
    let mut world = World::new(2);
    assert!(run(&mut world, seed, steps, &mut Ledger::default()).is_ok());
    world
}

/// Killed with a batch half written.
fn torn_tail() -> MemoryStorage {
    let mut world = busy(11, 40);
    let key = world.create("late");
    let now = world.engine.clock().now();
    // Longer than a sector, so that it can be torn inside.
    let _replies: Vec<_> =
        (0..SEATS).map(|seat| world.send(key, hold(hold_id(now, 90_001 + u64::from(seat)), &[seat]))).collect();
    world.turn_shards();
    // The write happens, the sync does not.
    world.disk.stop_at(world.disk.operations() + 2);
    assert!(world.committer.turn().is_err());
    let torn = |seed| {
        Some(world.disk.crash(Keep::SeededSectors(seed)))
            .filter(|disk| verify(disk).is_ok_and(|found| found.verdict == Verdict::TornTail))
    };
    (0..200).find_map(torn).expect("some crash tears it")
}

/// Two checkpoints and log behind them.
fn two_checkpoints() -> MemoryStorage {
    let mut world = busy(12, 60);
    for round in 0..2 {
        world.engine.request_checkpoint();
        world.settle();
        assert!(world.checkpoint().expect("the disk works"));
        let key = world.create(&format!("round-{round}"));
        let now = world.engine.clock().now();
        world.hold(key, hold_id(now, 90_100 + round), &[2, 3]).expect("open");
    }
    world.stop()
}

/// Several events, one of them with a new plan in the middle of its sale.
fn plan_revision() -> MemoryStorage {
    let mut world = busy(13, 50);
    let key = world.create("revised");
    let now = world.engine.clock().now();
    world.hold(key, hold_id(now, 90_201), &[4, 5]).expect("open");
    world.ask(key, confirm(hold_id(now, 90_201), "O-90201"));
    let mut spec = plan_spec("hall");
    // A row more in front: every index moves, the keys stay.
    let mut row = spec.sections[0].rows[0].clone();
    row.label = "front".into();
    for seat in &mut row.seats {
        seat.key = format!("front-{}", seat.key).into();
        seat.at.y -= 500;
    }
    spec.sections[0].rows.insert(0, row);
    let plan = world.engine.plans().put(encode_plan(&spec)).expect("a good plan");
    let change = UpdateEvent { plan: Some(plan), ..update(request_id(now, 90_202)) };
    let answer = world.ask(key, Command::UpdateEvent(Box::new(change)));
    assert!(answer.result.is_ok(), "{answer:?}");
    world.hold(key, hold_id(now, 90_203), &[0, 9, 10]).ok();
    world.stop()
}

/// Killed three times right behind a batch that nothing proves durable: each opening writes it again.
fn relogged_epochs() -> MemoryStorage {
    let mut disk = MemoryStorage::new();
    for round in 0..4_u64 {
        let now = START.plus_ms(round * 1_000);
        let mut world = World::open(&disk, now, config(1)).expect("it starts");
        let key = world.create(&format!("event-{round}"));
        let _reply = world.send(key, hold(hold_id(now, round), &[round as u32]));
        world.turn_shards();
        world.committer.turn().expect("the disk works");
        disk = world.disk.survive();
    }
    disk
}

/// Made by a repair, started, sold on, stopped.
fn restored() -> MemoryStorage {
    let old = busy(14, 40).stop();
    let new = MemoryStorage::new();
    let repair = Repair::read(&old, &mut |_| {}).expect("there is a log");
    let now = TimestampMs(verify(&old).expect("whole").time.0 + 5_000);
    repair.write(&old, &new, now).expect("the new folder is written");
    let mut world = World::open(&new, now, config(2)).expect("it starts");
    let key = world.create("after");
    world.hold(key, hold_id(now, 90_301), &[7]).expect("open");
    world.stop()
}

#[test]
fn corpus_folders_of_every_version_open_to_the_state_they_were_written_with() {
    type Maker = fn() -> MemoryStorage;
    let makers: [(&str, Maker); 6] = [
        ("v1-clean-stop", || busy(10, 90).stop()),
        ("v1-torn-tail", torn_tail),
        ("v1-two-checkpoints", two_checkpoints),
        ("v1-plan-revision", plan_revision),
        ("v1-relogged-epochs", relogged_epochs),
        ("v1-restored", restored),
    ];
    if std::env::var_os("USHER_WRITE_CORPUS").is_some() {
        for (name, make) in makers {
            let folder = corpus().join(name);
            if !folder.exists() {
                let disk = make();
                fs::create_dir_all(&folder).expect("the repository can be written");
                fs::write(folder.join("folder.sparse"), pack(&disk)).expect("it can be written");
                fs::write(folder.join("expected"), expected(&disk)).expect("it can be written");
            }
        }
    }
    let mut names: Vec<PathBuf> =
        fs::read_dir(corpus()).expect("the corpus is committed").map(|entry| entry.expect("an entry").path()).collect();
    names.sort();
    for (name, _) in makers {
        assert!(names.iter().any(|path| path.ends_with(name)), "{name} is missing");
    }
    for path in names {
        let name = path.display();
        let disk = unpack(&fs::read(path.join("folder.sparse")).expect("it is committed"));
        let text = fs::read_to_string(path.join("expected")).expect("it is committed");
        assert_eq!(expected(&disk), text, "{name}");

        let found = verify(&disk).expect("it was looked at above");
        let mut world = World::open(&disk, found.time, config(1)).expect("it starts");
        assert_eq!(world.report.state_hash, found.state_hash, "{name}");
        let key = world.create("of-today");
        world.hold(key, hold_id(found.time, 99_999), &[0]).expect("open");
        let after = verify(&world.stop()).expect("it is whole");
        assert!(after.verdict == Verdict::Clean && after.position >= found.position + 2, "{name}: {after:?}");
    }
}

#[test]
fn corpus_folders_open_on_a_real_disk() {
    let packed = fs::read(corpus().join("v1-two-checkpoints/folder.sparse")).expect("it is committed");
    let disk = unpack(&packed);
    let root = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(root.path().join("plans")).expect("room");
    let plans = disk.list("plans").expect("lists").into_iter().map(|name| format!("plans/{name}"));
    for name in disk.list("").expect("lists").into_iter().chain(plans) {
        if let Some(bytes) = disk.contents(&name) {
            fs::write(root.path().join(&name), bytes).expect("room");
        }
    }
    let real = FileStorage::open_read_only(root.path()).expect("a folder");
    assert_eq!(verify(&real).expect("whole").state_hash, verify(&disk).expect("whole").state_hash);
}
