//! A walk shows every change of a log in order, and goes on behind damage.

use std::ops::ControlFlow;

use engine::inspect::{Line, WalkReport, walk};
use engine::verify;
use inventory_core::command::Command;
use inventory_core::place::{Moved, PlaceState};
use inventory_core::place_set::PlaceSet;
use inventory_core::price_level::SetPriceLevel;
use wal::{MemoryStorage, PAGE_BYTES, Standing};

use crate::workload::{Ledger, run};
use crate::world::*;

/// What a walk told, as far as these tests look at it.
#[derive(Default)]
struct Told {
    positions: Vec<u64>,
    not_saved: Vec<u64>,
    kinds: Vec<&'static str>,
    /// File and byte of each batch with changes that counts, its bytes, its positions.
    batches: Vec<(String, u64, u64, std::ops::Range<u64>)>,
    holes: Vec<(u64, Option<u64>, bool)>,
    damages: usize,
}

fn told(disk: &MemoryStorage, from: u64) -> (Told, WalkReport) {
    let mut told = Told::default();
    let mut time = 0;
    let report = walk(disk, from, &mut |line| {
        match line {
            Line::Batch(batch) if batch.standing == Standing::Counts && batch.batch.count > 0 => {
                let b = &batch.batch;
                let positions = b.first_position..b.first_position + u64::from(b.count);
                told.batches.push((b.location.file.to_owned(), b.location.offset, batch.bytes, positions));
            }
            Line::Change(change) => {
                assert!(change.time.0 >= time, "time goes forward");
                time = change.time.0;
                told.positions.push(change.position);
                told.kinds.push(change.kind());
                if change.not_saved.is_some() {
                    told.not_saved.push(change.position);
                }
            }
            Line::Hole(hole) => told.holes.push((hole.hole.first_position, hole.hole.last_position, hole.is_covered)),
            Line::Damage(_) => told.damages += 1,
            Line::Checkpoint(_) | Line::Plan(_) | Line::Segment(_) | Line::Batch(_) => {}
        }
        ControlFlow::Continue(())
    })
    .expect("the folder is listed");
    (told, report)
}

/// Several events, checkpoints now and then, a clean stop.
fn workload(seed: u64) -> MemoryStorage {
    let mut world = World::new(2);
    let mut ledger = Ledger::default();
    assert!(run(&mut world, seed, 120, &mut ledger).is_ok());
    world.stop()
}

#[test]
fn a_walk_shows_every_position_once_and_in_order() {
    for seed in 0..8 {
        let disk = workload(seed);
        let whole = verify(&disk).expect("the log is whole");
        let (told, report) = told(&disk, 0);
        let first = told.positions.first().copied().unwrap_or(1);
        assert!(told.positions.iter().copied().eq(first..=whole.position), "seed {seed}");
        assert_eq!(report.state_hash, whole.state_hash, "seed {seed}");
        assert_eq!((report.damages, report.batches_lost, report.changes_not_saved), (0, 0, 0), "seed {seed}");
    }
}

#[test]
fn a_walk_from_a_position_shows_all_from_there_on() {
    let disk = workload(3);
    let (all, _) = told(&disk, 0);
    for &from in &all.positions {
        let (some, _) = told(&disk, from);
        assert!(some.positions.contains(&from));
        assert_eq!(some.positions.last(), all.positions.last());
        assert!(all.positions.ends_with(&some.positions));
    }
}

#[test]
fn a_change_shows_its_places_by_key_also_where_it_says_all_that_was_held() {
    let mut world = World::new(1);
    let key = world.create("concert");
    world.hold(key, hold_id(START, 1), &[3, 4]).expect("open");
    world.ask(key, confirm(hold_id(START, 1), "O-1"));
    world.hold(key, hold_id(START, 2), &[5]).expect("open");
    world.ask(key, release(hold_id(START, 2)));
    let disk = world.stop();
    let mut shown = Vec::new();
    walk(&disk, 0, &mut |line| {
        if let Line::Change(change) = line {
            let places = change.places().expect("all is known");
            let keys: Vec<(&str, PlaceState)> =
                places.iter().map(|place| (change.key_of(place.what).expect("the plan is there"), place.to)).collect();
            assert_eq!(change.event.expect("it is known").0.as_str(), "concert");
            shown.push(format!("{} {} {keys:?} {:?}", change.position, change.kind(), change.order()));
        }
        ControlFlow::Continue(())
    })
    .expect("the folder is listed");
    assert_eq!(
        shown,
        [
            "1 event_created [] None",
            "2 held [(\"0-0-3\", Held), (\"0-0-4\", Held)] None",
            "3 confirmed [(\"0-0-3\", Sold), (\"0-0-4\", Sold)] Some(OrderRef(\"O-1\"))",
            "4 held [(\"0-1-0\", Held)] None",
            "5 released [(\"0-1-0\", Open)] None",
        ]
    );
}

#[test]
fn a_checkpoint_hides_no_places_of_a_log_that_is_all_there() {
    let mut world = World::new(1);
    let key = world.create("concert");
    world.hold(key, hold_id(START, 1), &[3, 4]).expect("open");
    world.ask(key, confirm(hold_id(START, 1), "O-1"));
    world.engine.request_checkpoint();
    world.settle();
    assert!(world.checkpoint().expect("the disk works"));
    world.hold(key, hold_id(START, 2), &[5]).expect("open");
    let disk = world.stop();
    assert_eq!(places_told(&disk), ["held 3 Held, 4 Held", "confirmed 3 Sold, 4 Sold", "held 5 Held"]);
    let (_, report) = told(&disk, 0);
    assert_eq!((report.base, report.state_hash), (None, verify(&disk).expect("the log is whole").state_hash));
}

/// Kinds and places of all changes but the first of an event.
fn places_told(disk: &MemoryStorage) -> Vec<String> {
    let mut shown = Vec::new();
    walk(disk, 0, &mut |line| {
        if let Line::Change(change) = line
            && change.kind() != "event_created"
        {
            let places = change.places().expect("all is known").into_iter().map(|place| match place.what {
                Moved::Seat(seat) => format!("{seat} {:?}", place.to),
                Moved::Area { quantity, .. } => format!("floor={quantity} {:?}", place.to),
            });
            shown.push(format!("{} {}", change.kind(), places.collect::<Vec<_>>().join(", ")));
        }
        ControlFlow::Continue(())
    })
    .expect("the folder is listed");
    shown
}

#[test]
fn as_many_admissions_of_two_holds_that_expire_together_are_shown_twice() {
    let mut world = World::new(1);
    let key = world.create("concert");
    for number in 1..=2 {
        world.ask(key, hold_area(hold_id(START, number), 2)).result.expect("there is room");
    }
    world.clock.advance_ms(3_600_000);
    world.settle();
    assert_eq!(
        places_told(&world.stop()),
        ["held floor=2 Held", "held floor=2 Held", "expired floor=2 Open, floor=2 Open"]
    );
}

#[test]
fn places_that_get_another_price_level_are_shown_as_they_are() {
    let mut world = World::new(1);
    let key = world.create("concert");
    let view = world.engine.directory().find_key(key).expect("it is made");
    let from = view.info().plan.digest();
    let made = world.engine.plans().with_level(&from, &[3, 4], &[], "dear").expect("it reads").expect("there is room");
    let plan = Some(world.engine.plans().put(made).expect("the disk works"));
    let set = SetPriceLevel {
        request_id: request_id(START, 1),
        places: PlaceSet { seats: vec![3, 4], ..PlaceSet::default() },
        level: "dear".into(),
        from,
        plan,
        expected_state: None,
        validate_only: false,
    };
    world.ask(key, Command::SetPriceLevel(Box::new(set))).result.expect("they are open");
    assert_eq!(places_told(&world.stop()), ["price_level_set 3 Open, 4 Open"]);
}

#[test]
fn what_rests_after_its_hold_is_shown_as_held_until_it_wakes() {
    let mut settings = without_orphan_rule();
    settings.policies.cooling_s_max = 600;
    let mut world = World::new(1);
    let key = world.create_with("concert", settings);
    world.hold(key, hold_id(START, 1), &[3, 4]).expect("open");
    world.clock.advance_ms(600_000);
    world.settle();
    world.clock.advance_ms(600_000);
    world.settle();
    let told = places_told(&world.stop());
    assert_eq!(told[..2], ["held 3 Held, 4 Held", "expired 3 Held, 4 Held"], "{told:?}");
    let mut woken = told[2..].to_vec();
    woken.sort_unstable();
    assert!(matches!(
        &*woken.join("; "),
        "rested 3 Open; rested 4 Open" | "rested 3 Open, 4 Open" | "rested 4 Open, 3 Open"
    ));
}

#[test]
fn a_walk_goes_on_behind_every_damaged_batch_and_says_what_is_missing() {
    let disk = workload(5);
    let (all, _) = told(&disk, 0);
    for (file, offset, bytes, positions) in &all.batches {
        for byte in [0, 8, 60, 140] {
            let damaged = disk.duplicate();
            let at = (offset + byte.min(bytes - 1)) as usize;
            let old = disk.contents(file).expect("it is there")[at];
            damaged.overwrite(file, at, &[old ^ 0x10]);
            let (some, report) = told(&damaged, 0);
            assert_eq!(some.holes, [(positions.start, Some(positions.end - 1), false)], "{file} {at}");
            assert!(some.damages > 0 && report.batches_lost == 1, "{file} {at}");
            let left: Vec<u64> =
                all.positions.iter().copied().filter(|position| !positions.contains(position)).collect();
            assert_eq!(some.positions, left, "{file} {at}");
            assert!(some.not_saved.iter().all(|position| *position > positions.start));
        }
    }
}

#[test]
fn a_torn_tail_is_shown_and_nothing_is_missing() {
    let disk = workload(6);
    let (all, _) = told(&disk, 0);
    // The SEAL that ends the log, and no witness of it.
    let (file, offset, bytes, _) = all.batches.last().expect("there are batches");
    let torn = disk.duplicate();
    let seal = (offset + bytes) as usize;
    torn.overwrite(file, seal + 20, &[0xFF; 64]);
    let found = verify(&torn).map(|report| report.verdict);
    let (some, report) = told(&torn, 0);
    assert_eq!(some.positions, all.positions);
    if found.is_ok() {
        assert_eq!(report.batches_lost, 0);
    }
    assert!(PAGE_BYTES > 64 && some.damages == 1);
}
