//! One damaged byte anywhere in a folder with several segments and two checkpoints: a start refuses with one
//! sentence or goes around with a warning, and the check names the file and the position. Files that are gone,
//! renamed or doubled, likewise.

use std::ops::ControlFlow;

use engine::inspect::{Line, walk};
use engine::{OpenError, Verdict, damages, verify};
use wal::{MemoryStorage, Standing, Storage, WATERMARK_NAME, list_checkpoints};

use crate::world::*;

const HEADER_PAGE: u64 = 4096;

/// Several epochs and segments, two checkpoints and the log of the older, a clean end. With the last position.
fn folder() -> (MemoryStorage, u64) {
    let mut world = World::new(2);
    let keys = [world.create("first"), world.create("second"), world.create("third")];
    let mut number = 0;
    for round in 0..6_u64 {
        for (nth, &key) in keys.iter().enumerate() {
            for seat in 0..2_u32 {
                number += 1;
                let id = hold_id(world.engine.clock().now(), number);
                world.hold(key, id, &[(round as u32 * 3 + nth as u32 + seat * 7) % SEATS]).ok();
                let end = if number % 3 == 0 { confirm(id, "O-1") } else { release(id) };
                world.ask(key, end);
            }
        }
        if round % 2 == 1 && round < 5 {
            world.engine.request_checkpoint();
            world.settle();
            assert!(world.checkpoint().expect("the disk works"));
        }
        if round == 2 {
            // A new epoch, killed and not stopped.
            let disk = world.disk.duplicate();
            world = World::open(&disk, START, config(2)).expect("it starts");
        }
    }
    let disk = world.stop();
    let found = verify(&disk).expect("it is whole");
    assert_eq!((found.verdict, found.checkpoints, found.sealed), (Verdict::Clean, 2, true), "{found:?}");
    assert!(found.segments >= 3 && found.warnings.is_empty(), "{found:?}");
    (disk, found.position)
}

/// File, byte, used bytes, first and last position of every batch that counts.
fn batches(disk: &MemoryStorage) -> Vec<(String, u64, u64, u64, u64)> {
    let mut batches = Vec::new();
    walk(disk, 0, &mut |line| {
        if let Line::Batch(found) = line
            && found.standing == Standing::Counts
        {
            let (batch, used) = (&found.batch, 128 + found.batch.payload.len() as u64 + 24);
            let last = batch.first_position + u64::from(batch.count) - 1;
            batches.push((batch.location.file.to_owned(), batch.location.offset, used, batch.first_position, last));
        }
        ControlFlow::Continue(())
    })
    .expect("the folder is listed");
    batches
}

fn flip(disk: &MemoryStorage, file: &str, byte: u64) -> MemoryStorage {
    let damaged = disk.duplicate();
    let at = byte as usize;
    let old = damaged.contents(file).expect("it is there")[at];
    damaged.overwrite(file, at, &[old ^ 0x40]);
    damaged
}

/// That a start refuses, changes nothing, and says why in one sentence; the sentence.
fn refused(disk: &MemoryStorage) -> String {
    let before = disk.operations();
    let error = World::open(disk, START, config(2)).err().expect("a start refuses");
    assert!(matches!(error, OpenError::Log(_) | OpenError::Image { .. } | OpenError::Checkpoint(_)), "{error}");
    assert_eq!(disk.operations(), before, "a refused start wrote something");
    let sentence = error.to_string();
    assert_eq!(sentence.lines().count(), 1, "{sentence}");
    sentence
}

/// That a start goes around the damage and warns of this file.
fn warned(disk: &MemoryStorage, file: &str) {
    let world = World::open(&disk.duplicate(), START, config(2)).expect("a start goes around it");
    let warnings = &world.report.warnings;
    assert!(warnings.iter().any(|warning| warning.contains(file)), "{file}: {warnings:?}");
}

fn verdict(disk: &MemoryStorage) -> Verdict {
    let before = disk.operations();
    let verdict = verify(disk).map_or_else(|error| error.verdict, |report| report.verdict);
    assert_eq!(disk.operations(), before, "a check wrote something");
    verdict
}

#[test]
fn a_byte_of_any_batch_of_any_kept_file_is_refused_and_its_position_is_named() {
    let (disk, position) = folder();
    let covered = verify(&disk).expect("whole").checkpoint_position;
    let all = batches(&disk);
    assert!(all.iter().any(|batch| batch.4 <= covered), "some are covered by the newest checkpoint");
    for (file, offset, used, first, last) in &all {
        // Magic, CRC, kind, instance, epoch, number, offset, durable, position, count, length, time, chain,
        // payload CRC, index; then payload and trailer from end to end.
        let header = [0, 5, 8, 10, 12, 16, 33, 41, 49, 57, 65, 72, 76, 81, 90, 105, 113, 120];
        let behind = (128..*used).step_by(37).chain([*used - 1, *used - 5, *used - 9]);
        for byte in header.into_iter().chain(behind) {
            let damaged = flip(&disk, file, offset + byte);
            let sentence = refused(&damaged);
            assert!(sentence.contains(file), "{sentence}");
            assert_eq!(verdict(&damaged), Verdict::Damaged);
            let listed = damages(&damaged).expect("the folder is listed");
            let named = listed.iter().any(|damage| {
                damage.file == *file
                    && damage.offset == *offset
                    && damage.first_position == Some(*first)
                    && damage.last_position == Some(*last)
                    && !damage.lost.is_empty()
            });
            assert!(named, "{file} byte {}, positions {first} to {last} of {position}: {listed:?}", offset + byte);
        }
    }
}

#[test]
fn a_byte_of_a_checkpoint_is_gone_around_and_is_damage() {
    let (disk, position) = folder();
    let names = list_checkpoints(&disk).expect("lists");
    for name in &names {
        let bytes = disk.contents(name).expect("it is there").len() as u64;
        for byte in (0..bytes).step_by(61).chain([bytes - 1]) {
            let damaged = flip(&disk, name, byte);
            let report = verify(&damaged);
            if let Ok(report) = report {
                assert_eq!((report.verdict, report.position), (Verdict::Damaged, position), "{name} byte {byte}");
                assert!(report.warnings.iter().any(|warning| warning.contains(name)), "{:?}", report.warnings);
                let listed = damages(&damaged).expect("the folder is listed");
                assert!(listed.iter().any(|damage| damage.file == *name && !damage.lost.is_empty()), "{listed:?}");
            } else {
                // A higher format number with a good checksum would be a newer program's.
                panic!("{name} byte {byte}: {report:?}");
            }
        }
        warned(&flip(&disk, name, bytes / 2), name);
    }
    let both = names.iter().fold(disk.duplicate(), |disk, name| flip(&disk, name, 5_000));
    assert!(refused(&both).contains(&names[0]), "the log alone does not reach back");
    assert_eq!(verdict(&both), Verdict::Damaged);
}

#[test]
fn a_byte_of_a_plan_is_refused() {
    let (disk, _) = folder();
    let name = format!("plans/{}", disk.list("plans").expect("lists")[0]);
    let bytes = disk.contents(&name).expect("it is there").len() as u64;
    for byte in (0..bytes).step_by(29) {
        let damaged = flip(&disk, &name, byte);
        assert!(refused(&damaged).contains(&name));
        assert_eq!(verdict(&damaged), Verdict::Damaged);
        let listed = damages(&damaged).expect("the folder is listed");
        assert!(listed.iter().any(|damage| damage.file == name), "{listed:?}");
    }
}

#[test]
fn a_byte_of_the_watermark_is_a_warning_as_after_a_crash() {
    let (disk, position) = folder();
    for byte in (0..2 * HEADER_PAGE).step_by(127).chain([33, 41, 49, HEADER_PAGE + 33, 2 * HEADER_PAGE - 1]) {
        let damaged = flip(&disk, WATERMARK_NAME, byte);
        let report = verify(&damaged).expect("the log proves itself");
        assert_eq!((report.verdict, report.position), (Verdict::Clean, position));
        assert!(report.warnings.iter().any(|warning| warning.contains(WATERMARK_NAME)), "{:?}", report.warnings);
        warned(&damaged, WATERMARK_NAME);
    }
    let both = flip(&flip(&disk, WATERMARK_NAME, 40), WATERMARK_NAME, HEADER_PAGE + 40);
    warned(&both, WATERMARK_NAME);
    assert_eq!(verdict(&both), Verdict::Damaged, "no crash damages both");
    assert!(damages(&both).expect("lists").iter().any(|damage| damage.file == WATERMARK_NAME));
}

#[test]
fn a_byte_of_one_header_page_is_gone_around_and_both_are_refused() {
    let (disk, _) = folder();
    for name in segments(&disk) {
        for byte in [0, 9, 30, 60, 100, 2_000, 4_095, 4_096, 4_106, 5_000, 8_191] {
            let damaged = flip(&disk, &name, byte);
            warned(&damaged, &name);
            assert_eq!(verdict(&damaged), Verdict::Damaged, "{name} byte {byte}");
        }
        let both = flip(&flip(&disk, &name, 30), &name, HEADER_PAGE + 30);
        assert!(refused(&both).contains(&name));
        assert_eq!(verdict(&both), Verdict::Damaged);
    }
}

fn segments(disk: &MemoryStorage) -> Vec<String> {
    let mut names = batches(disk).into_iter().map(|batch| batch.0).collect::<Vec<_>>();
    names.dedup();
    names
}

/// A start refuses or warns, and the check says damaged.
fn noticed(disk: &MemoryStorage, what: &str) {
    assert_eq!(verdict(disk), Verdict::Damaged, "{what}");
    assert!(!damages(disk).expect("lists").is_empty(), "{what}");
    match World::open(&disk.duplicate(), START, config(2)) {
        Ok(world) => assert!(!world.report.warnings.is_empty(), "{what}"),
        Err(error) => assert_eq!(error.to_string().lines().count(), 1, "{what}"),
    }
}

#[test]
fn a_file_that_is_gone_renamed_or_doubled_is_noticed() {
    let (disk, _) = folder();
    let checkpoints = list_checkpoints(&disk).expect("lists");
    let plan = format!("plans/{}", disk.list("plans").expect("lists")[0]);
    let mut files = segments(&disk);
    files.extend(checkpoints);
    files.extend([plan, WATERMARK_NAME.to_owned()]);
    for file in &files {
        let gone = disk.duplicate();
        gone.remove(file).expect("it is there");
        noticed(&gone, &format!("{file} is gone"));

        let Some(other) = other_name(file) else { continue };
        let renamed = disk.duplicate();
        renamed.rename(file, &other).expect("it is there");
        noticed(&renamed, &format!("{file} is renamed to {other}"));

        let doubled = disk.duplicate();
        doubled.put(&other, disk.contents(file).expect("it is there"));
        noticed(&doubled, &format!("{file} is doubled as {other}"));

        if file.ends_with(".seg") {
            let cut = disk.duplicate();
            let bytes = disk.contents(file).expect("it is there");
            cut.put(file, bytes[..bytes.len() - 4096].to_vec());
            noticed(&cut, &format!("{file} is cut short"));
        }
    }
}

/// A name of the same kind that no file has.
fn other_name(file: &str) -> Option<String> {
    if file.starts_with("wal-") {
        Some("wal-0-1-77.seg".to_owned())
    } else if file.starts_with("snap-") {
        Some("snap-0-7777.ckpt".to_owned())
    } else {
        file.starts_with("plans/").then(|| format!("plans/{}.plan", "0".repeat(64)))
    }
}

/// A device may bring a write that was meant for one checkpoint into another one, to the same place: the block's
/// checksum fits there too.
#[test]
fn a_checkpoint_with_a_block_of_another_one_is_not_gone_on_from() {
    let mut world = World::new(1);
    let mut keys = [world.create("first"), world.create("second")];
    // Sections are in order of slots.
    keys.sort_by_key(|key| key.slot());
    let [hit, spared] = keys;
    assert_ne!(hit.slot(), spared.slot());
    let id = hold_id(START, 1);
    world.hold(hit, id, &[3]).expect("it is open");
    for round in 0..2 {
        // The second time nothing becomes longer by it.
        world.clock.advance_ms(1_000);
        world.ask(hit, extend(id, request_id(world.engine.clock().now(), 10 + round)));
        world.engine.request_checkpoint();
        world.settle();
        assert!(world.checkpoint().expect("the disk works"));
    }
    let names = list_checkpoints(&world.disk).expect("it is readable");
    let [newest, older] = names.as_slice() else { panic!("two checkpoints: {names:?}") };
    let contents = |name: &str| world.disk.contents(name).expect("it is there");
    let (good, from) = (contents(newest), contents(older));
    assert_eq!(good.len(), from.len());
    // The first block of the first section: its length, its checksum, its bytes.
    let at = HEADER_PAGE as usize;
    let length = u32::from_le_bytes(good[at..at + 4].try_into().expect("four bytes")) as usize;
    let end = at + 8 + length;
    assert_ne!(good[at..end], from[at..end]);
    world.disk.overwrite(newest, at, &from[at..end]);

    // What has no change would only be copied; to what has some they would be applied.
    for (key, says) in [(spared, "the digest of the file is another one"), (hit, "has the hash")] {
        let now = world.engine.clock().now();
        world.hold(key, hold_id(now, 2), &[5]).expect("it is open");
        world.engine.request_checkpoint();
        world.settle();
        let failure = world.checkpoint().expect_err("it is not whole").to_string();
        assert!(failure.contains(says) && failure.contains(newest.as_str()), "{failure}");
        assert_eq!(list_checkpoints(&world.disk).expect("it is readable"), names);
    }

    world.disk.overwrite(newest, at, &good[at..end]);
    world.engine.request_checkpoint();
    world.settle();
    assert!(world.checkpoint().expect("the file is whole again"));
}
