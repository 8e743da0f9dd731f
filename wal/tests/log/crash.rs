//! A crash at every operation that writes, twice in a row, with any part of what was not synced left.

use std::sync::Arc;

use wal::{
    BatchKind, CheckpointMeta, CheckpointReader, CheckpointWriter, Keep, LogConfig, LogWriter, MemoryStorage,
    RecoverFrom, SegmentInfo, Storage, list_checkpoints, read_segment, recover, remove_segment,
};

use crate::support::{IDENTITY, append, reopen, replay, replay_from};

/// What the outside world knows: the tags handed in, and how many of them it was told are durable.
#[derive(Debug, Clone, Default)]
struct Ledger {
    submitted: Vec<u64>,
    acked: usize,
}

/// The state is the list of all tags: any loss, doubling or change of order shows.
#[derive(Debug, Clone, PartialEq)]
struct State {
    tags: Vec<u64>,
    meta: CheckpointMeta,
}

fn empty() -> State {
    State {
        tags: Vec::new(),
        meta: CheckpointMeta {
            identity: IDENTITY,
            batch_seq: 0,
            next_position: 1,
            chain: wal::Chain::START,
            time_ms: 0,
            hash: [0; 16],
            restored_at_ms: None,
        },
    }
}

fn tag_of(payload: &[u8]) -> u64 {
    u64::from_le_bytes(payload[..8].try_into().unwrap())
}

/// Some error of a stopped storage; which one does not matter.
type Stopped = Box<dyn std::error::Error>;

fn newest_checkpoint(storage: &MemoryStorage) -> Result<State, Stopped> {
    let Some(name) = list_checkpoints(storage)?.into_iter().next() else { return Ok(empty()) };
    let reader = CheckpointReader::open(storage, &name)?;
    reader.verify_all()?;
    let tags = reader.read_section(1)?.chunks_exact(8).map(tag_of).collect();
    Ok(State { tags, meta: *reader.meta() })
}

struct Open {
    writer: LogWriter,
    tags: Vec<u64>,
    checkpoint: State,
}

fn start(storage: &MemoryStorage) -> Result<Open, Stopped> {
    let checkpoint = newest_checkpoint(storage)?;
    let mut tags = checkpoint.tags.clone();
    let from = RecoverFrom::checkpoint(&checkpoint.meta);
    let recovered = recover(storage, from, &mut |batch| {
        if batch.kind == BatchKind::Data {
            tags.push(tag_of(batch.payload));
        }
        Ok(())
    })?;
    let config = LogConfig::deterministic(48 << 10);
    let writer = LogWriter::open(Arc::new(storage.clone()), IDENTITY, config, &recovered)?;
    Ok(Open { writer, tags, checkpoint })
}

/// Makes a checkpoint of the sealed segments, then removes those that the one before covers.
fn checkpoint(storage: &MemoryStorage, open: &mut Open) -> Result<(), Stopped> {
    let sealed: Vec<SegmentInfo> = open.writer.sealed_segments();
    let older = open.checkpoint.meta.batch_seq;
    let mut next = open.checkpoint.clone();
    for segment in &sealed {
        if segment.last_batch_seq <= next.meta.batch_seq {
            continue;
        }
        assert!(segment.first_batch_seq <= next.meta.batch_seq + 1, "no gap between segments");
        read_segment(storage, segment, &mut |batch| {
            if batch.batch_seq > next.meta.batch_seq {
                next.meta.batch_seq = batch.batch_seq;
                next.meta.next_position = batch.first_position + u64::from(batch.count);
                next.meta.time_ms = batch.time_ms;
                next.meta.chain = batch.chain;
                if batch.kind == BatchKind::Data {
                    next.tags.push(tag_of(batch.payload));
                }
            }
            Ok(())
        })?;
    }
    if next.meta.batch_seq == older {
        return Ok(());
    }
    // Right after a rotation the end of what is sealed is the end of the log.
    assert_eq!(next.meta.batch_seq + 1, open.writer.next_batch_seq());
    assert_eq!(next.meta.chain, open.writer.chain());
    let mut file = CheckpointWriter::create(storage, next.meta)?;
    let bytes: Vec<u8> = next.tags.iter().flat_map(|tag| tag.to_le_bytes()).collect();
    file.add_section(1, &bytes)?;
    file.finish()?;
    for segment in sealed.iter().filter(|segment| segment.last_batch_seq <= older) {
        remove_segment(storage, segment)?;
        open.writer.forget_segment(&segment.name);
    }
    open.checkpoint = next;
    Ok(())
}

/// One life of a server: start, serve, stop cleanly. Ends early with an error when the storage stops.
fn life(storage: &MemoryStorage, ledger: &mut Ledger, steps: u64) -> Result<(), Stopped> {
    let mut open = start(storage)?;
    // Serving begins: what was recovered is now observed, and what was not never existed.
    assert!(open.tags.len() >= ledger.acked, "an acknowledged batch is gone");
    assert!(ledger.submitted.starts_with(&open.tags), "what is there was handed in, in this order");
    ledger.submitted = open.tags.clone();
    ledger.acked = open.tags.len();
    for step in 0..steps {
        let tag = ledger.submitted.len() as u64 * 1000 + step;
        let mut payload = vec![tag as u8 | 1; 5000 * (step as usize % 3)];
        payload.splice(0..0, tag.to_le_bytes());
        ledger.submitted.push(tag);
        open.writer.append(BatchKind::Data, 200, 2, &[&payload])?;
        if step % 4 != 2 {
            open.writer.sync()?;
        }
        let loose = open.writer.next_batch_seq() - 1 - open.writer.durable_seq();
        ledger.acked = ledger.submitted.len() - loose as usize;
        // Also while a batch is in flight: neither may speak of it.
        if step % 4 == 2 || step % 5 == 0 {
            open.writer.mark()?;
        }
        if step % 3 == 2 {
            open.writer.write_watermark(200 + step)?;
        }
        if step % 6 == 5 {
            open.writer.rotate()?;
            ledger.acked = ledger.submitted.len();
            checkpoint(storage, &mut open)?;
        }
    }
    open.writer.seal(200)?;
    ledger.acked = ledger.submitted.len();
    Ok(())
}

/// The folder after a crash holds what was acknowledged, and nothing that was never handed in.
fn check(storage: &MemoryStorage, ledger: &Ledger, story: &str) {
    let found = start(&storage.duplicate()).unwrap_or_else(|error| panic!("{story}: {error}"));
    assert!(ledger.submitted.starts_with(&found.tags), "{story}: {:?} of {ledger:?}", found.tags);
    assert!(found.tags.len() >= ledger.acked, "{story}: {} of {ledger:?}", found.tags.len());
}

const STEPS: u64 = 13;

fn crashed_at(image: &MemoryStorage, before: &Ledger, n: u64) -> (MemoryStorage, Ledger, bool) {
    let storage = image.duplicate();
    let mut ledger = before.clone();
    storage.stop_at(n);
    let ended = life(&storage, &mut ledger, STEPS).is_ok();
    (storage, ledger, ended)
}

#[test]
fn a_crash_at_any_operation_loses_nothing_acknowledged() {
    let mut crashes = 0;
    for n in 1.. {
        let (storage, ledger, ended) = crashed_at(&MemoryStorage::new(), &Ledger::default(), n);
        let mut keeps = vec![Keep::Nothing, Keep::Everything];
        keeps.extend((0..6).map(|seed| Keep::Seeded(seed * 1000 + n)));
        keeps.extend((0..6).map(|seed| Keep::SeededSectors(seed * 1000 + n)));
        for keep in keeps {
            check(&storage.crash(keep), &ledger, &format!("operation {n}, {keep:?}"));
            crashes += 1;
        }
        if ended {
            break;
        }
    }
    assert!(crashes > 1000, "{crashes}");
}

#[test]
fn two_crashes_in_a_row_lose_nothing_acknowledged() {
    let mut crashes = 0;
    for n in (1..).step_by(3) {
        let (storage, ledger, ended) = crashed_at(&MemoryStorage::new(), &Ledger::default(), n);
        let keeps = [Keep::Nothing, Keep::Everything, Keep::Seeded(n), Keep::SeededSectors(n)];
        for (number, keep) in keeps.into_iter().enumerate() {
            // With everything kept the second start reads what is only in the cache.
            let image = storage.crash(keep);
            for m in (1 + number as u64..).step_by(5) {
                let (storage, ledger, ended) = crashed_at(&image, &ledger, m);
                for keep in [Keep::Nothing, Keep::Seeded(m), Keep::SeededSectors(m)] {
                    let story = format!("operations {n} and {m}, {keep:?}");
                    check(&storage.crash(keep), &ledger, &story);
                    crashes += 1;
                }
                if ended {
                    break;
                }
            }
        }
        if ended {
            break;
        }
    }
    assert!(crashes > 1000, "{crashes}");
}

/// The process dies and the machine lives: the next start reads un-synced pages from the cache, and at
/// any operation of it the power fails too.
#[test]
fn what_is_only_in_the_cache_is_made_durable_before_it_is_shown() {
    let mut crashes = 0;
    for n in 1.. {
        let (storage, before, ended) = crashed_at(&MemoryStorage::new(), &Ledger::default(), n);
        for m in 1.. {
            let survivor = storage.survive();
            let mut ledger = before.clone();
            survivor.stop_at(m);
            let second_ended = life(&survivor, &mut ledger, 2).is_ok();
            for keep in [Keep::Nothing, Keep::Seeded(n + m), Keep::SeededSectors(n * 7 + m)] {
                let story = format!("operations {n} and {m}, {keep:?}");
                check(&survivor.crash(keep), &ledger, &story);
                crashes += 1;
            }
            if second_ended {
                break;
            }
        }
        if ended {
            break;
        }
    }
    assert!(crashes > 1000, "{crashes}");
}

#[test]
fn a_failed_operation_is_as_good_as_a_crash() {
    for n in 1.. {
        let storage = MemoryStorage::new();
        let mut ledger = Ledger::default();
        storage.fail_at(n);
        let ended = life(&storage, &mut ledger, STEPS).is_ok();
        for keep in [Keep::Nothing, Keep::Everything, Keep::Seeded(n)] {
            check(&storage.crash(keep), &ledger, &format!("operation {n} failed, {keep:?}"));
        }
        if ended {
            break;
        }
    }
}

#[test]
fn a_full_disk_is_as_good_as_a_crash() {
    for pages in (0..100).step_by(3) {
        let storage = MemoryStorage::new();
        let mut ledger = Ledger::default();
        storage.set_capacity(Some(pages * 4096));
        let ended = life(&storage, &mut ledger, STEPS).is_ok();
        storage.set_capacity(None);
        check(&storage.crash(Keep::Nothing), &ledger, &format!("{pages} pages"));
        assert!(!ended || pages > 20);
    }
}

#[test]
fn a_segment_whose_header_was_never_durable_need_not_be_there() {
    // The next segment gets its header, and the sync of it fails.
    let with_failure_at = |n| {
        let storage = MemoryStorage::new();
        let (mut writer, _) = reopen(&storage);
        append(&mut writer, 1, 1).unwrap();
        writer.sync().unwrap();
        storage.fail_at(storage.operations() + n);
        let failure = writer.rotate().err().map(|error| error.to_string()).unwrap_or_default();
        failure.contains("syncing the header").then_some(storage)
    };
    let storage = (1..40).find_map(with_failure_at).expect("some operation is the sync of the header");
    // The process is gone and the machine runs on: the next start reads the header from the cache.
    let storage = storage.survive();
    let (mut writer, replayed) = reopen(&storage);
    assert_eq!(replayed.recovered.segments.len(), 2);
    append(&mut writer, 2, 1).unwrap();
    writer.sync().unwrap();
    drop(writer);
    // Now power fails.
    let left = storage.crash(Keep::Nothing);
    let from_start = replay(&left).unwrap();
    assert_eq!(from_start.batches.len(), 2);
    let covered = RecoverFrom { after_batch_seq: 2, chain: None, next_position: 4, time_ms: 1001 };
    let from_checkpoint = replay_from(&left, covered).unwrap();
    let gaps: Vec<_> =
        from_checkpoint.recovered.warnings.iter().filter(|warning| warning.what.contains("gap")).collect();
    assert!(gaps.is_empty(), "{gaps:?}");
}

#[test]
fn a_watermark_that_was_torn_before_the_first_batch_is_no_damage() {
    let storage = MemoryStorage::new();
    let (writer, _) = reopen(&storage);
    drop(writer);
    for name in storage.list("").unwrap() {
        if name != wal::WATERMARK_NAME {
            storage.lose(&name);
        }
    }
    storage.overwrite(wal::WATERMARK_NAME, 0, &[0xa5; 2 * wal::PAGE_BYTES]);
    let warnings = replay(&storage).unwrap().recovered.warnings;
    assert!(!warnings.is_empty() && warnings.iter().all(|warning| !warning.is_damage), "{warnings:?}");
}
