//! What `verify` says of folders of every kind, and that it writes to none.

use engine::{Verdict, verify};
use wal::{Keep, MemoryStorage, Storage, WATERMARK_NAME};

use crate::world::*;

fn folder() -> World {
    let mut world = World::new(1);
    let key = world.create("concert");
    for n in 0..5 {
        world.hold(key, hold_id(START, n), &[n as u32]).expect("open");
    }
    world
}

fn segment(disk: &MemoryStorage) -> String {
    disk.list("").expect("lists").into_iter().find(|name| name.ends_with(".seg")).expect("there is a segment")
}

#[test]
fn a_stopped_folder_is_clean() {
    let disk = folder().stop();
    let before = disk.operations();
    let report = verify(&disk).expect("it is whole");
    assert_eq!(disk.operations(), before, "verifying writes nothing");
    assert_eq!((report.verdict, report.position, report.events, report.live_holds), (Verdict::Clean, 6, 1, 5));
    assert!(report.sealed);
    assert_eq!(report.verdict.exit_code(), 0);
}

#[test]
fn an_empty_folder_is_clean() {
    let report = verify(&MemoryStorage::new()).expect("nothing is wrong with nothing");
    assert_eq!((report.verdict, report.position, report.state_hash), (Verdict::Clean, 0, 0));
}

#[test]
fn a_write_that_was_cut_off_is_a_torn_tail() {
    let mut world = folder();
    let view = world.engine.directory().find("concert").expect("there");
    // Enough of them that their batch has several sectors.
    for n in 10..40 {
        drop(world.send(view.key(), hold_area(hold_id(START, n), 1)));
    }
    // The batch is written; the sync does not happen.
    world.disk.stop_at(world.disk.operations() + 2);
    assert!(world.try_settle().is_err());
    let verdicts: Vec<Verdict> = (0..32)
        .map(|seed| {
            let report =
                verify(&world.disk.crash(Keep::SeededSectors(seed))).expect("everything acknowledged is there");
            assert!([6, 36].contains(&report.position));
            report.verdict
        })
        .collect();
    assert!(verdicts.contains(&Verdict::TornTail), "{verdicts:?}");
    assert_eq!(Verdict::TornTail.exit_code(), 1);
}

#[test]
fn a_flipped_bit_in_what_was_acknowledged_is_damage() {
    let disk = folder().stop();
    let name = segment(&disk);
    let bytes = disk.contents(&name).expect("it is there");
    let offset = bytes.windows(7).position(|window| window == b"concert").expect("the event is in the log");
    disk.overwrite(&name, offset, b"C");
    let error = verify(&disk).expect_err("it is damaged");
    assert_eq!((error.verdict, error.verdict.exit_code()), (Verdict::Damaged, 2));
    assert!(error.message.contains(&name), "{error}");
}

#[test]
fn a_damaged_plan_is_damage() {
    let disk = folder().stop();
    let name = format!("plans/{}", disk.list("plans").expect("lists")[0]);
    disk.overwrite(&name, 10, &[0xff]);
    let error = verify(&disk).expect_err("an event needs it");
    assert_eq!(error.verdict, Verdict::Damaged);
    assert!(error.message.contains(&name), "{error}");

    // One that nothing needs leaves the state whole, and is damage all the same.
    let disk = MemoryStorage::new();
    disk.create_dir("plans").expect("makes a folder");
    disk.put("plans/00.plan", vec![1, 2, 3]);
    let report = verify(&disk).expect("the state is whole");
    assert_eq!(report.verdict, Verdict::Damaged);
    assert!(report.warnings[0].contains("plans/00.plan"), "{:?}", report.warnings);
}

/// All of the log is gone, and with it everything that could tell what was in it. A server that went on would be
/// empty and say that all is well.
#[test]
fn plans_without_a_log_are_damage() {
    let disk = folder().stop();
    let plan = format!("plans/{}", disk.list("plans").expect("lists")[0]);
    disk.lose(&segment(&disk));
    disk.lose(WATERMARK_NAME);
    let error = verify(&disk).expect_err("there was a log");
    assert_eq!(error.verdict, Verdict::Damaged);
    assert!(error.message.contains(&plan), "{error}");
    let before = disk.operations();
    let refused = World::open(&disk, START, config(1)).err().expect("there was a log").to_string();
    assert!(refused.contains(&plan), "{refused}");
    assert_eq!(disk.operations(), before, "a start that refuses changes nothing");
}

#[test]
fn a_device_that_does_not_answer_is_no_verdict_on_the_data() {
    let disk = folder().stop();
    disk.stop_at(disk.operations() + 1);
    assert!(disk.sync_dir("").is_err());
    let error = verify(&disk).expect_err("nothing can be read");
    assert_eq!((error.verdict, error.verdict.exit_code()), (Verdict::Io, 3));
}
