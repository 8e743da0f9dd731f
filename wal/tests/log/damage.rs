//! Damage to what was acknowledged is noticed, whatever it is: the log comes back whole, or less what
//! was provably never acknowledged, or not at all.

use wal::{Keep, MemoryStorage, PAGE_BYTES, Proof, RecoverError, RecoverFrom, TailReport, WATERMARK_NAME};

use crate::support::{Batch, append, open, payload, reopen, replay, replay_from, segment_names};

/// A log of one epoch with several segments, everything durable and acknowledged, and what is in it.
/// `vouched`: the watermark speaks for the last batch too.
fn log(batches: u64, vouched: bool) -> (MemoryStorage, Vec<Batch>) {
    let storage = MemoryStorage::new();
    let (mut writer, _) = reopen(&storage);
    for tag in 0..batches {
        append(&mut writer, tag, 1 + tag as usize % 2).unwrap();
        writer.sync().unwrap();
        if tag % 3 == 1 {
            writer.mark().unwrap();
        }
    }
    if vouched {
        writer.write_watermark(5000).unwrap();
    }
    drop(writer);
    let batches = replay(&storage).unwrap().batches;
    (storage, batches)
}

/// Whether the log was refused; when not, all is there, but for `may_lose` batches at the end.
fn judge(storage: &MemoryStorage, whole: &[Batch], may_lose: usize, story: &str) -> bool {
    match replay(storage) {
        Ok(replayed) => {
            let found = replayed.batches;
            assert!(whole.starts_with(&found), "{story}: something else came back");
            assert!(found.len() + may_lose >= whole.len(), "{story}: lost without a word");
            false
        }
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains("wal-0-") || text.contains("WATERMARK"), "{story}: {text}");
            assert!(text.contains("byte"), "{story}: {text}");
            true
        }
    }
}

#[test]
fn every_damaged_byte_is_harmless_or_noticed() {
    for vouched in [true, false] {
        let (storage, whole) = log(5, vouched);
        let names = segment_names(&storage);
        assert_eq!(names.len(), 2);
        let mut bytes = 0;
        let mut refused = 0;
        for name in &names {
            let contents = storage.contents(name).unwrap();
            bytes += contents.len();
            // Which witness there is makes a difference for whole batches, not for single bytes.
            let step = if vouched { 1 } else { 7 };
            for (at, byte) in contents.iter().enumerate().step_by(step) {
                storage.overwrite(name, at, &[byte ^ (1 << (at % 8))]);
                let story = format!("{name} byte {at}");
                refused += u64::from(judge(&storage, &whole, usize::from(!vouched), &story));
                storage.overwrite(name, at, &[*byte]);
            }
        }
        assert!(bytes >= 64 << 10, "a log of {bytes} bytes");
        assert!(refused > if vouched { 20_000 } else { 2_500 }, "{refused} refused");
    }
}

#[test]
fn every_length_of_a_cut_file_is_noticed() {
    for vouched in [true, false] {
        let (storage, whole) = log(3, vouched);
        let names = segment_names(&storage);
        for name in &names {
            let contents = storage.contents(name).unwrap();
            for length in (0..contents.len()).rev().step_by(if vouched { 1 } else { 7 }) {
                storage.put(name, contents[..length].to_vec());
                let story = format!("{name} cut to {length}");
                assert!(judge(&storage, &whole, 0, &story), "{story}");
            }
            storage.put(name, contents);
        }
    }
}

/// Every page as the device may give it back: zeros, or any other page of the log.
#[test]
fn misplaced_and_lost_pages_are_harmless_or_noticed() {
    for vouched in [true, false] {
        let (storage, whole) = log(9, vouched);
        let names = segment_names(&storage);
        let pages: Vec<(String, usize, Vec<u8>)> = names
            .iter()
            .flat_map(|name| {
                let contents = storage.contents(name).unwrap();
                (0..contents.len() / PAGE_BYTES)
                    .map(|page| {
                        let at = page * PAGE_BYTES;
                        (name.clone(), at, contents[at..at + PAGE_BYTES].to_vec())
                    })
                    .collect::<Vec<_>>()
            })
            .collect();
        let lose = usize::from(!vouched);
        for (name, at, before) in &pages {
            for (other, from, bytes) in &pages {
                storage.overwrite(name, *at, bytes);
                let story = format!("{name} at {at} holds {other} from {from}");
                judge(&storage, &whole, lose, &story);
                // Swapped: the other place holds what was here.
                storage.overwrite(other, *from, before);
                judge(&storage, &whole, lose, &format!("{story}, swapped"));
                storage.overwrite(other, *from, bytes);
            }
            storage.overwrite(name, *at, before);
        }
    }
}

/// A part of a file as it was earlier: the device lost the writes since.
#[test]
fn stale_pages_and_files_are_harmless_or_noticed() {
    let storage = MemoryStorage::new();
    let (mut writer, _) = reopen(&storage);
    let mut images = Vec::new();
    for tag in 0..9 {
        append(&mut writer, tag, 1).unwrap();
        writer.sync().unwrap();
        images.push(storage.duplicate());
    }
    writer.write_watermark(5000).unwrap();
    drop(writer);
    let whole = replay(&storage).unwrap().batches;
    for (age, image) in images.iter().enumerate() {
        for name in segment_names(image) {
            let now = storage.contents(&name).unwrap();
            let old = image.contents(&name).unwrap();
            let mut refused = false;
            for at in (0..old.len()).step_by(PAGE_BYTES) {
                if old[at..at + PAGE_BYTES] == now[at..at + PAGE_BYTES] {
                    continue;
                }
                storage.overwrite(&name, at, &old[at..at + PAGE_BYTES]);
                refused |= judge(&storage, &whole, 0, &format!("{name} at {at} of age {age}"));
                storage.overwrite(&name, at, &now[at..at + PAGE_BYTES]);
            }
            storage.put(&name, old.clone());
            let all = judge(&storage, &whole, 0, &format!("{name} of age {age}"));
            assert_eq!(all, old != now, "a file that lost acknowledged batches");
            assert!(refused || old == now);
            storage.put(&name, now);
        }
    }
    // The whole folder as it was, but for the watermark on its own: rolled back.
    let image = images[4].duplicate();
    image.put(WATERMARK_NAME, storage.contents(WATERMARK_NAME).unwrap());
    let Err(RecoverError::Damaged(damage)) = replay(&image) else { panic!("rolled back") };
    assert_eq!(damage.how_proven, Proof::Watermark { durable_seq: whole.last().unwrap().0 });
}

#[test]
fn missing_doubled_and_renamed_files_are_noticed() {
    let (storage, whole) = log(16, true);
    let names = segment_names(&storage);
    assert!(names.len() >= 3);
    for name in &names {
        let image = storage.duplicate();
        image.lose(name);
        assert!(judge(&image, &whole, 0, &format!("{name} missing")), "{name} missing");
        for other in &names {
            if other == name {
                continue;
            }
            let image = storage.duplicate();
            image.put(other, storage.contents(name).unwrap());
            assert!(judge(&image, &whole, 0, "one file over another"));
        }
        let image = storage.duplicate();
        image.put("wal-0-7-0.seg", storage.contents(name).unwrap());
        assert!(judge(&image, &whole, 0, "a copy under another name"));
    }
    // All of them gone.
    let image = storage.duplicate();
    for name in &names {
        image.lose(name);
    }
    let Err(RecoverError::Damaged(damage)) = replay(&image) else { panic!("only a watermark") };
    assert_eq!(damage.file, WATERMARK_NAME);
}

#[test]
fn a_damaged_header_page_is_covered_by_the_other_and_reported() {
    let (storage, whole) = log(5, true);
    let name = &segment_names(&storage)[0];
    for page in [0, 1] {
        let image = storage.duplicate();
        image.overwrite(name, page * PAGE_BYTES + 60, &[0xEE; 9]);
        let replayed = replay(&image).unwrap();
        assert_eq!(replayed.batches, whole);
        assert_eq!(replayed.recovered.warnings.len(), 1);
        assert_eq!(replayed.recovered.warnings[0].file, *name);
    }
    storage.overwrite(name, 60, &[0xEE; PAGE_BYTES + 9]);
    let error = replay(&storage).err().unwrap().to_string();
    assert!(error.contains("both header pages were there"), "{error}");
}

/// The last page of a header or frame with a field changed and its CRC made right again.
fn forge(storage: &MemoryStorage, name: &str, page: usize, at: usize, bytes: &[u8]) {
    let mut contents = storage.contents(name).unwrap();
    let page = &mut contents[page * PAGE_BYTES..][..PAGE_BYTES];
    page[at..at + bytes.len()].copy_from_slice(bytes);
    if page.starts_with(b"UBT1") {
        let crc = crc32c::crc32c(&page[8..128]);
        page[4..8].copy_from_slice(&crc.to_le_bytes());
    } else {
        let crc = crc32c::crc32c(&page[..PAGE_BYTES - 4]);
        page[PAGE_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
    }
    storage.put(name, contents);
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let (storage, _) = log(3, true);
    let name = &segment_names(&storage)[0];
    // Header pages: the major number; features; a frame: its version; the watermark: its format.
    let places: [(&str, usize, usize); 4] = [(name, 0, 8), (name, 1, 152), (name, 2, 8), (WATERMARK_NAME, 0, 8)];
    for (file, page, at) in places {
        let image = storage.duplicate();
        forge(&image, file, page, at, &2u16.to_le_bytes());
        match replay(&image) {
            Err(RecoverError::NewerFormat { file: found, .. }) => assert_eq!(found, file),
            other => panic!("{file} {page} {at}: {:?}", other.err()),
        }
    }
    // A higher minor number is read.
    let image = storage.duplicate();
    forge(&image, name, 0, 10, &9u16.to_le_bytes());
    forge(&image, name, 1, 10, &9u16.to_le_bytes());
    assert!(replay(&image).is_ok());
}

/// Fields that no writer writes, under a CRC that holds.
#[test]
fn contradictions_are_damage_wherever_they_are() {
    let (storage, whole) = log(3, true);
    let name = &segment_names(&storage)[0];
    let fields: [(usize, &[u8], &str); 8] = [
        (10, &[9], "kind"),
        (11, &[0x80], "flags"),
        (11, &[1], "called a copy"),
        (32 + 24, &7u64.to_le_bytes(), "durable before"),
        (32 + 32, &0u64.to_le_bytes(), "is 0"),
        (32 + 32, &u64::MAX.to_le_bytes(), "end of the range"),
        (76, &(2u32 << 20).to_le_bytes(), "over the limit"),
        (8, &0u16.to_le_bytes(), "version is 0"),
    ];
    for (at, bytes, expected) in fields {
        let image = storage.duplicate();
        forge(&image, name, 2, at, bytes);
        let error = replay(&image).err().unwrap().to_string();
        assert!(error.contains(expected), "{at}: {error}");
        assert!(judge(&image, &whole, 0, expected));
    }
    // A place that is not its own makes a frame no frame of this place: the batch is missing.
    for (at, bytes) in [(12, 1u64), (20, 1), (32, 9), (48, 4096), (112, 3)] {
        let image = storage.duplicate();
        forge(&image, name, 2, at, &bytes.to_le_bytes()[..4]);
        assert!(judge(&image, &whole, 0, "misplaced"));
    }
    // Another payload under right CRCs: the chain in the trailer is not its own.
    let image = storage.duplicate();
    let mut other = payload(0, 1);
    other[5] ^= 1;
    forge(&image, name, 2, 128, &other);
    forge(&image, name, 2, 104, &crc32c::crc32c(&other).to_le_bytes());
    assert!(judge(&image, &whole, 0, "another payload"));
    // Header fields.
    for (at, bytes) in [(36, 0u64), (36, 9), (48, 0), (64, 0), (64, 5), (72, 0), (120, 9)] {
        let image = storage.duplicate();
        let width = if at == 36 { 4 } else { 8 };
        forge(&image, name, 0, at, &bytes.to_le_bytes()[..width]);
        forge(&image, name, 1, at, &bytes.to_le_bytes()[..width]);
        assert!(judge(&image, &whole, 0, &format!("header field at {at}")), "header at {at}");
    }
}

#[test]
fn a_torn_tail_is_disregarded_and_reported() {
    let storage = MemoryStorage::new();
    let (mut writer, _) = reopen(&storage);
    append(&mut writer, 1, 1).unwrap();
    writer.sync().unwrap();
    append(&mut writer, 2, 3).unwrap();
    let torn = storage.crash(Keep::Everything);
    let name = "wal-0-1-0.seg";
    torn.overwrite(name, 4 * PAGE_BYTES, &[0; PAGE_BYTES]);
    let replayed = replay(&torn).unwrap();
    assert_eq!(replayed.batches.len(), 1);
    let TailReport::Torn { file, offset, batches, .. } = &replayed.recovered.tail else {
        panic!("{:?}", replayed.recovered.tail)
    };
    assert_eq!((file.as_str(), *offset, *batches), (name, 3 * PAGE_BYTES as u64, 0));
    // The bytes stay, the next epoch goes on without them, and they stay dead.
    let before = torn.contents(name).unwrap();
    let mut writer = open(&torn, &replayed.recovered, 1).unwrap();
    append(&mut writer, 3, 1).unwrap();
    writer.sync().unwrap();
    assert_eq!(torn.contents(name).unwrap(), before);
    let replayed = replay(&torn).unwrap();
    assert_eq!(replayed.batches[1].4, payload(3, 1));
    assert_eq!(replayed.recovered.tail, TailReport::Clean);
    // Even when the lost page turns up after all.
    torn.put(name, storage.contents(name).unwrap());
    assert_eq!(replay(&torn).unwrap().batches[1].4, payload(3, 1));
}

#[test]
fn bytes_farther_out_than_one_write_reaches_are_damage() {
    let (storage, whole) = log(1, true);
    let name = "wal-0-1-0.seg";
    let mut contents = storage.contents(name).unwrap();
    contents.resize(4 << 20, 0);
    storage.put(name, contents.clone());
    assert!(!judge(&storage, &whole, 0, "a longer file of zeros"));
    storage.overwrite(name, 500_000, b"torn");
    assert!(!judge(&storage, &whole, 0, "within what may be in flight"));
    storage.overwrite(name, 3_000_000, b"not torn");
    assert!(judge(&storage, &whole, 0, "farther"));
}

#[test]
fn the_report_says_what_is_lost_and_how_that_is_known() {
    let (storage, whole) = log(5, false);
    // The third batch: after the headers, one page, two pages and a marker.
    let at = 6 * PAGE_BYTES + 1000;
    storage.overwrite("wal-0-1-0.seg", at, &[0]);
    let Err(RecoverError::Damaged(damage)) = replay(&storage) else { panic!("damaged") };
    assert_eq!((damage.batch_seq, damage.first_position), (whole[2].0, whole[2].1));
    assert_eq!(damage.last_position, Some(whole[3].1 - 1));
    assert_eq!(damage.offset, 6 * PAGE_BYTES as u64);
    let text = RecoverError::Damaged(damage).to_string();
    for part in ["wal-0-1-0.seg", "byte 24576", "batch 3", "position 7 to 9", "says batch", "snapshot"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_checkpoint_is_a_witness() {
    let (storage, whole) = log(2, false);
    let from = |after| RecoverFrom { after_batch_seq: after, ..RecoverFrom::start() };
    assert!(replay_from(&storage, from(whole[1].0)).is_ok());
    let Err(RecoverError::Damaged(damage)) = replay_from(&storage, from(whole[1].0 + 1)) else {
        panic!("the checkpoint is ahead of the log")
    };
    assert_eq!(damage.how_proven, Proof::Checkpoint { batch_seq: whole[1].0 + 1 });
}

/// Any bytes at all: an answer, and no panic.
#[test]
fn arbitrary_bytes_get_an_answer() {
    let (storage, _) = log(9, true);
    let names = segment_names(&storage);
    let mut seed = 7u64;
    let mut random = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for _ in 0..3000 {
        let image = storage.duplicate();
        for _ in 0..1 + random() % 3 {
            let name = &names[random() as usize % names.len()];
            let page = (random() % 8) as usize;
            // Under a right CRC, so that the fields themselves are met.
            let at = (8 + random() % 152) as usize;
            let bytes = random().to_le_bytes();
            forge(&image, name, page, at.min(PAGE_BYTES - 16), &bytes[..1 + random() as usize % 8]);
        }
        let _ = replay(&image);
    }
    for length in [0, 1, 4095, 4096, 8191, 8192, 8193, 12_288, 20_000] {
        let noise: Vec<u8> = (0..length).map(|_| random() as u8).collect();
        storage.put(&names[0], noise.clone());
        let _ = replay(&storage);
        storage.put(WATERMARK_NAME, noise);
        let _ = replay(&storage);
    }
}

/// Two histories of one log, as after a folder was copied and both copies were used: every page of one
/// checks in the place of the other's.
#[test]
fn histories_do_not_mix() {
    // Both begin with the first batch of `tags`; the second one differs or not.
    let history = |tags: &[u64]| {
        let storage = MemoryStorage::new();
        let (mut writer, _) = reopen(&storage);
        for &tag in tags {
            writer.append(wal::BatchKind::Data, 9, 1, &[&payload(tag, 1)]).unwrap();
            writer.sync().unwrap();
        }
        (storage, writer)
    };
    let refused = |storage: &MemoryStorage, expected: &str| {
        let error = replay(storage).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    };
    let first = "wal-0-1-0.seg";

    // A batch that continues another one.
    let (ours, _) = history(&[1, 2, 3]);
    let (theirs, _) = history(&[4, 5, 6]);
    let page = theirs.contents(first).unwrap()[3 * PAGE_BYTES..4 * PAGE_BYTES].to_vec();
    ours.overwrite(first, 3 * PAGE_BYTES, &page);
    refused(&ours, "it continues another history");

    // A copy in the next epoch that is no copy.
    let (ours, writer) = history(&[1, 2]);
    drop(writer);
    let (theirs, writer) = history(&[1, 5]);
    drop(writer);
    for storage in [&ours, &theirs] {
        drop(reopen(storage));
    }
    let second = "wal-0-2-0.seg";
    ours.put(second, theirs.contents(second).unwrap());
    refused(&ours, "an older segment holds another batch with its number");

    // A header that begins where another log ended.
    let (ours, mut writer) = history(&[1, 2]);
    writer.rotate().unwrap();
    let (theirs, mut writer) = history(&[4, 5]);
    writer.rotate().unwrap();
    let next = "wal-0-1-1.seg";
    ours.put(next, theirs.contents(next).unwrap());
    refused(&ours, "its header begins in another history");
}
