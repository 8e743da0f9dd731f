//! What a repair saves is what the rule says, and everything else is named.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use engine::inspect::{Line, walk};
use engine::{Loss, Repair, RepairReport, Verdict, VerifyReport, damages, verify};
use inventory_core::ids::TimestampMs;
use wal::{MemoryStorage, Standing, Storage};

use crate::workload::{Ledger, run};
use crate::world::*;

/// A change of an undamaged log.
#[derive(Clone, Copy)]
struct Known {
    /// Slot and number of its event.
    event: (u8, u32),
    event_seq: u32,
    is_creation: bool,
}

/// An undamaged log.
#[derive(Default)]
struct Log {
    changes: BTreeMap<u64, Known>,
    /// File, byte, length and positions of every batch that counts.
    batches: Vec<(String, u64, u64, std::ops::Range<u64>)>,
}

fn log_of(disk: &MemoryStorage) -> Log {
    let mut log = Log::default();
    walk(disk, 0, &mut |line| {
        match line {
            Line::Batch(found) if found.standing == Standing::Counts => {
                let batch = &found.batch;
                let positions = batch.first_position..batch.first_position + u64::from(batch.count);
                log.batches.push((batch.location.file.to_owned(), batch.location.offset, found.bytes, positions));
            }
            Line::Change(change) => {
                let event = (change.slot.0, change.record.event.0);
                let is_creation = change.kind() == "event_created";
                log.changes.insert(change.position, Known { event, event_seq: change.record.event_seq, is_creation });
            }
            _ => {}
        }
        ControlFlow::Continue(())
    })
    .expect("the folder is listed");
    log
}

/// The rule, said another way: a change is saved when it is there, and so is every change of its event back to
/// the creation or to the checkpoint.
fn saved_by_the_rule(log: &Log, lost: &std::ops::Range<u64>, checkpoint: u64) -> BTreeSet<u64> {
    let mut broken = BTreeSet::new();
    let mut saved = BTreeSet::new();
    for (&position, change) in log.changes.range(checkpoint + 1..) {
        if lost.contains(&position) {
            broken.insert(change.event);
        } else if !broken.contains(&change.event) {
            assert!(change.is_creation == (change.event_seq == 1));
            saved.insert(position);
        }
    }
    saved
}

/// What a repair told.
#[derive(Default)]
struct Told {
    not_saved: BTreeSet<u64>,
    lost: BTreeSet<u64>,
    events: usize,
}

fn repair(disk: &MemoryStorage) -> (Told, RepairReport, VerifyReport, MemoryStorage) {
    let mut told = Told::default();
    let before = disk.operations();
    let found = Repair::read(disk, &mut |loss| match loss {
        Loss::Change(change) => assert!(told.not_saved.insert(change.position)),
        Loss::Hole(hole) => {
            let end = hole.hole.last_position.expect("a witness knows the end") + 1;
            told.lost.extend(hole.hole.first_position..end);
        }
        Loss::Event(_) => told.events += 1,
        Loss::Damage(_) => {}
    })
    .expect("there is a log");
    let report = found.report().clone();
    let new = MemoryStorage::new();
    let written = found.write(disk, &new, later()).expect("the new folder is written");
    assert_eq!(disk.operations(), before, "a repair reads the old folder and no more");
    (told, report, written, new)
}

fn later() -> TimestampMs {
    START.plus_ms(3_600_000)
}

fn workload(seed: u64) -> MemoryStorage {
    let mut world = World::new(1 + seed as usize % 3);
    let mut ledger = Ledger::default();
    assert!(run(&mut world, seed, 90, &mut ledger).is_ok());
    world.stop()
}

fn checkpoint_of(disk: &MemoryStorage) -> u64 {
    verify(disk).expect("it is whole").checkpoint_position
}

#[test]
fn of_every_damaged_batch_the_rest_is_saved_as_the_rule_says() {
    let (mut frozen, mut whole) = (0, 0);
    for seed in 0..6 {
        let disk = workload(seed);
        let log = log_of(&disk);
        let checkpoint = checkpoint_of(&disk);
        for (file, offset, _, positions) in &log.batches {
            for byte in [20, 150] {
                let damaged = disk.duplicate();
                let at = (offset + byte) as usize;
                let old = damaged.contents(file).expect("it is there")[at];
                damaged.overwrite(file, at, &[!old]);
                if verify(&damaged).is_ok() {
                    // Bytes behind the trailer of a batch without changes, or the SEAL itself.
                    continue;
                }
                let (told, report, written, new) = repair(&damaged);
                let words = format!("seed {seed}, {file} byte {at}, positions {positions:?}");

                let saved = saved_by_the_rule(&log, positions, checkpoint);
                let there: BTreeSet<u64> =
                    log.changes.range(checkpoint + 1..).map(|(&p, _)| p).filter(|p| !positions.contains(p)).collect();
                let not_saved: BTreeSet<u64> = there.difference(&saved).copied().collect();
                assert_eq!(told.not_saved, not_saved, "{words}");
                assert_eq!(report.changes_saved, saved.len() as u64, "{words}");
                let lost: BTreeSet<u64> = positions.clone().filter(|&position| position > checkpoint).collect();
                assert_eq!(told.lost, lost, "{words}");
                let named = told.not_saved.len() + lost.len() + saved.len();
                assert_eq!(named as u64, verify(&disk).expect("whole").position - checkpoint, "{words}: all are named");
                assert_eq!(report.loses(), !lost.is_empty(), "{words}");
                assert_eq!(told.events, report.events_frozen, "{words}");
                frozen += report.events_frozen;
                whole += usize::from(report.events_frozen == 0);

                assert_eq!((written.verdict, written.position), (Verdict::Clean, report.position), "{words}");
                assert_eq!(report.incarnation, 2);
                assert!(report.position >= *log.changes.keys().next_back().expect("changes"), "{words}");
                let world = World::open(&new, later(), config(2)).expect("the new folder starts");
                assert!(world.report.restored, "{words}");
                assert_eq!(world.report.events, report.events, "{words}");
            }
        }
    }
    assert!(frozen > 20 && whole > 20, "both happen: {frozen}, {whole}");
}

#[test]
fn what_is_saved_of_an_untouched_event_is_all_of_it() {
    let mut world = World::new(1);
    let (first, second) = (world.create("first"), world.create("second"));
    world.hold(first, hold_id(START, 1), &[0, 1]).expect("open");
    world.hold(second, hold_id(START, 2), &[2, 3]).expect("open");
    world.ask(first, confirm(hold_id(START, 1), "O-1"));
    world.ask(second, confirm(hold_id(START, 2), "O-2"));
    let disk = world.stop();
    let log = log_of(&disk);
    // The hold in the first event.
    let (file, offset, ..) = log.batches.iter().find(|(.., positions)| positions.contains(&3)).expect("a batch");
    disk.overwrite(file, *offset as usize + 140, &[0xA5]);
    let (told, report, _, new) = repair(&disk);
    assert_eq!((told.not_saved, told.lost), (BTreeSet::from([5]), BTreeSet::from([3])));
    assert_eq!((report.events, report.events_frozen), (2, 1));
    let world = World::open(&new, later(), config(1)).expect("it starts");
    let counts = |key| world.engine.directory().find_key(key).expect("the event is there").counts();
    assert_eq!((counts(first).sold, counts(first).held), (0, 0));
    assert_eq!((counts(second).sold, counts(second).held), (2, 0));
}

#[test]
fn an_event_whose_creation_is_lost_is_named_and_the_ones_behind_it_are_saved() {
    let mut world = World::new(1);
    // Two events of one slot, so that the second is numbered anew.
    let slot = engine::event_key("event-0").slot();
    let other = (1..).map(|n| format!("event-{n}")).find(|id| engine::event_key(id).slot() == slot).expect("one");
    let first = world.create("event-0");
    let second = world.create(&other);
    world.hold(first, hold_id(START, 1), &[0]).expect("open");
    world.hold(second, hold_id(START, 2), &[1]).expect("open");
    let disk = world.stop();
    let log = log_of(&disk);
    let (file, offset, ..) = log.batches.iter().find(|(.., positions)| positions.contains(&1)).expect("a batch");
    disk.overwrite(file, *offset as usize + 140, &[0xA5]);
    let (told, report, _, new) = repair(&disk);
    assert_eq!((told.not_saved, told.lost, told.events), (BTreeSet::from([3]), BTreeSet::from([1]), 1));
    assert_eq!(report.events, 1);
    let world = World::open(&new, later(), config(1)).expect("it starts");
    assert!(world.engine.directory().find_key(first).is_none());
    assert_eq!(world.engine.directory().find_key(second).expect("it is there").counts().held, 1);
}

/// One event with a checkpoint in the middle, and one of another plan.
fn two_plans() -> (MemoryStorage, Vec<String>) {
    let mut world = World::new(1);
    let key = world.create("first");
    world.hold(key, hold_id(START, 1), &[0]).expect("open");
    let encoded = inventory_core::plan_codec::encode_plan(&plan_spec("another hall"));
    let plan = world.engine.plans().put(encoded).expect("a good plan");
    let id = inventory_core::ids::EventId::parse("second").expect("a name");
    let key = engine::event_key("second");
    let create = inventory_core::command::CreateEvent { id, key, plan: plan.clone(), settings: settings() };
    world.ask(key, inventory_core::command::Command::CreateEvent(Box::new(create)));
    world.hold(key, hold_id(START, 2), &[1]).expect("open");
    let disk = world.stop();
    (disk, vec![format!("plans/{}.plan", plan.digest())])
}

#[test]
fn events_of_a_plan_that_is_gone_are_named_and_the_others_saved() {
    let (disk, plan) = two_plans();
    disk.remove(&plan[0]).expect("it was there");
    let (told, report, _, _) = repair(&disk);
    assert_eq!((told.not_saved, told.events, report.events), (BTreeSet::from([3, 4]), 1, 1));
    let listed = damages(&disk).expect("the folder is listed");
    assert!(
        listed.iter().any(|damage| damage.what.contains(&plan[0]) && damage.first_position == Some(3)),
        "{listed:?}"
    );
}

#[test]
fn a_plan_that_is_gone_from_under_a_checkpoint_costs_its_events_only() {
    let (disk, plan) = two_plans();
    let mut world = World::open(&disk, START, config(1)).expect("it starts");
    world.engine.request_checkpoint();
    world.settle();
    assert!(world.checkpoint().expect("the disk works"));
    let disk = world.stop();
    disk.remove(&plan[0]).expect("it was there");
    let (told, report, _, new) = repair(&disk);
    assert_eq!((told.events, report.events), (1, 1));
    assert!(World::open(&new, later(), config(1)).is_ok());
}

#[test]
fn what_no_state_needs_is_repaired_without_loss() {
    let disk = workload(1);
    let hash = verify(&disk).expect("whole").state_hash;
    let segment = log_of(&disk).batches[0].0.clone();
    type Way<'w> = (&'static str, &'w dyn Fn(&MemoryStorage));
    let ways: [Way<'_>; 4] = [
        ("both pages of the watermark", &|disk| {
            disk.overwrite("WATERMARK", 30, &[0xFF; 8]);
            disk.overwrite("WATERMARK", 4096 + 30, &[0xFF; 8]);
        }),
        ("the watermark", &|disk| disk.remove("WATERMARK").expect("it is there")),
        ("both header pages of a segment", &|disk| {
            disk.overwrite(&segment, 30, &[0xFF; 8]);
            disk.overwrite(&segment, 4096 + 30, &[0xFF; 8]);
        }),
        ("the newest checkpoint", &|disk| {
            for name in wal::list_checkpoints(disk).expect("lists").iter().take(1) {
                disk.overwrite(name, 5_000, &[0xA5; 3]);
            }
        }),
    ];
    for (what, damage) in ways {
        let damaged = disk.duplicate();
        damage(&damaged);
        let (told, report, written, _) = repair(&damaged);
        assert!(told.not_saved.is_empty() && told.lost.is_empty() && !report.loses(), "{what}");
        assert_eq!(written.state_hash, hash, "{what}");
    }
}

#[test]
fn a_folder_without_a_log_cannot_be_repaired() {
    assert!(Repair::read(&MemoryStorage::new(), &mut |_| {}).is_err());
}
