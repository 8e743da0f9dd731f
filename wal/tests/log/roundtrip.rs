//! What goes in comes out.

use std::sync::Arc;

use wal::{
    BATCH_PAYLOAD_BYTES_MAX, BatchKind, FileStorage, LogConfig, LogIdentity, LogWriter, MemoryStorage, OpenError,
    RecoverError, RecoverFrom, Storage, TailReport, WriteError, read_segment, recover, remove_segment,
    write_file_atomically,
};

use crate::support::{IDENTITY, append, open, payload, reopen, replay, replay_from, segment_names};

#[test]
fn an_empty_folder_recovers_to_nothing() {
    let recovered = replay(&MemoryStorage::new()).unwrap().recovered;
    assert_eq!(recovered.identity, None);
    assert_eq!((recovered.next_batch_seq, recovered.next_position, recovered.durable_seq), (1, 1, 0));
    assert_eq!(recovered.tail, TailReport::Clean);
}

#[test]
fn batches_come_back_over_rotations_and_epochs() {
    let storage = MemoryStorage::new();
    let mut written = Vec::new();
    let mut tag = 0;
    for _ in 0..4 {
        let (mut writer, replayed) = reopen(&storage);
        let batches: Vec<_> = replayed.batches.into_iter().map(|b| (b.0, b.1, b.2, b.4)).collect();
        assert_eq!(batches, written);
        for _ in 0..9 {
            let done = append(&mut writer, tag, 1 + tag as usize % 3).unwrap();
            assert_eq!(done.last_position, done.first_position + 2);
            writer.sync().unwrap();
            assert_eq!(writer.durable_seq(), done.batch_seq);
            written.push((done.batch_seq, done.first_position, 3, payload(tag, 1 + tag as usize % 3)));
            tag += 1;
        }
        writer.append(BatchKind::Hash, 1000 + tag, 0, &[b"hash"]).unwrap();
        writer.sync().unwrap();
        written.push((writer.next_batch_seq() - 1, writer.next_position(), 0, b"hash".to_vec()));
        assert!(!writer.sealed_segments().is_empty(), "segments of 32 KiB were filled");
    }
    assert!(segment_names(&storage).len() > 8);
}

#[test]
fn a_clean_stop_is_seen_and_only_the_last_one() {
    let storage = MemoryStorage::new();
    let (mut writer, _) = reopen(&storage);
    append(&mut writer, 1, 1).unwrap();
    writer.seal(5000).unwrap();
    let recovered = replay(&storage).unwrap().recovered;
    assert!(recovered.sealed);
    assert_eq!(recovered.time_ms, 5000);
    assert_eq!(recovered.relog, [], "the watermark vouches for the SEAL");
    let (mut writer, _) = reopen(&storage);
    assert!(!replay(&storage).unwrap().recovered.sealed);
    append(&mut writer, 9000, 1).unwrap();
    writer.rotate().unwrap();
    assert!(!replay(&storage).unwrap().recovered.sealed, "the SEAL of a rotation is no clean stop");
}

#[test]
fn the_largest_batch_fits_any_segment() {
    let storage = MemoryStorage::new();
    let (mut writer, _) = reopen(&storage);
    append(&mut writer, 1, 1).unwrap();
    let large = vec![7; BATCH_PAYLOAD_BYTES_MAX];
    writer.append(BatchKind::Data, 2000, 1, &[&large]).unwrap();
    append(&mut writer, 3000, 1).unwrap();
    writer.sync().unwrap();
    let replayed = replay(&storage).unwrap();
    assert_eq!(replayed.batches[1].4, large);
    // Not proven durable, so it is written again; the new segment has room for it.
    let mut writer = open(&storage, &replayed.recovered, 1).unwrap();
    append(&mut writer, 3001, 1).unwrap();
    writer.sync().unwrap();
    assert_eq!(replay(&storage).unwrap().batches.len(), 4);
}

#[test]
fn sealed_segments_are_read_one_by_one_without_overlap() {
    let storage = MemoryStorage::new();
    for round in 0..5u64 {
        let (mut writer, _) = reopen(&storage);
        for tag in 0..6 {
            append(&mut writer, round * 100 + tag, 1).unwrap();
        }
        writer.sync().unwrap();
        if round == 2 {
            writer.rotate().unwrap();
        }
    }
    let (writer, replayed) = reopen(&storage);
    let mut expected = 1;
    let mut seen = Vec::new();
    for segment in writer.sealed_segments() {
        assert_eq!(segment.first_batch_seq, expected);
        read_segment(&storage, &segment, &mut |batch| {
            assert_eq!(batch.batch_seq, expected);
            expected += 1;
            if batch.kind == BatchKind::Data {
                seen.push(batch.payload.to_vec());
            }
            Ok(())
        })
        .unwrap();
        assert_eq!(expected, segment.last_batch_seq + 1);
    }
    let live = writer.live_segment();
    read_segment(&storage, &live, &mut |batch| {
        seen.push(batch.payload.to_vec());
        Ok(())
    })
    .unwrap();
    assert_eq!(seen, replayed.batches.into_iter().map(|b| b.4).collect::<Vec<_>>());
}

/// What the segments that were recovered deliver one by one.
fn read_one_by_one(storage: &MemoryStorage) -> Vec<(u64, Vec<u8>)> {
    let mut seen = Vec::new();
    for segment in replay(storage).unwrap().recovered.segments {
        read_segment(storage, &segment, &mut |batch| {
            seen.push((batch.batch_seq, batch.payload.to_vec()));
            Ok(())
        })
        .unwrap();
    }
    seen
}

/// A device may call copies durable that it then loses; the batches are still where they were first.
#[test]
fn a_batch_counts_in_its_old_segment_when_its_copy_is_gone() {
    for follows in [false, true] {
        let storage = MemoryStorage::new();
        let (mut writer, _) = reopen(&storage);
        append(&mut writer, 0, 1).unwrap();
        writer.sync().unwrap();
        let replayed = replay(&storage).unwrap();
        assert_eq!(replayed.recovered.relog.len(), 1, "nothing proves the last batch durable");
        let mut writer = open(&storage, &replayed.recovered, 1).unwrap();
        let copied = writer.live_segment();
        assert_eq!((copied.first_batch_seq, copied.last_batch_seq), (1, 1));
        if follows {
            append(&mut writer, 1, 1).unwrap();
            writer.sync().unwrap();
        }
        writer.write_watermark(5000).unwrap();
        // This epoch begins after all of them.
        let (writer, _) = reopen(&storage);
        let whole = read_one_by_one(&storage);
        assert_eq!(whole.len(), 1 + usize::from(follows));
        drop(writer);

        let header = 2 * wal::PAGE_BYTES;
        storage.overwrite(&copied.name, header, &vec![0; copied.valid_len as usize - header]);
        assert_eq!(read_one_by_one(&storage), whole, "and another after it: {follows}");
    }
}

#[test]
fn segments_below_a_checkpoint_may_go() {
    let storage = MemoryStorage::new();
    let (mut writer, _) = reopen(&storage);
    for tag in 0..30 {
        append(&mut writer, tag, 1).unwrap();
    }
    writer.sync().unwrap();
    let all = replay(&storage).unwrap();
    let sealed = writer.sealed_segments();
    assert!(sealed.len() > 3);
    let covered = sealed[2].last_batch_seq;
    // The chain after the covered batch, as a checkpointer gets it.
    let cut = |after| RecoverFrom { after_batch_seq: after, chain: None, ..RecoverFrom::start() };
    for segment in &sealed[..3] {
        remove_segment(&storage, segment).unwrap();
        writer.forget_segment(&segment.name);
        let rest = replay_from(&storage, cut(covered)).unwrap();
        let expected: Vec<_> = all.batches.iter().filter(|b| b.0 > covered).cloned().collect();
        assert_eq!(rest.batches, expected);
        assert_eq!(rest.recovered.chain, all.recovered.chain);
    }
    assert_eq!(writer.sealed_segments().len(), sealed.len() - 3);
    // Without the checkpoint, or with an older one, batches are missing.
    for after in [0, covered - 1] {
        let gap = replay_from(&storage, cut(after)).err().unwrap();
        assert!(matches!(gap, RecoverError::Gap { .. }), "{gap}");
    }
    // A checkpoint of another history.
    let from = RecoverFrom {
        after_batch_seq: covered,
        chain: Some(wal::Chain([9; 16])),
        next_position: sealed[3].first_position,
        time_ms: 0,
    };
    let error = replay_from(&storage, from).err().unwrap();
    assert!(error.to_string().contains("another history"), "{error}");
}

#[test]
fn removed_segments_that_a_crash_brings_back_do_no_harm() {
    let storage = MemoryStorage::new();
    let (mut writer, _) = reopen(&storage);
    for tag in 0..30 {
        append(&mut writer, tag, 1).unwrap();
    }
    writer.sync().unwrap();
    let sealed = writer.sealed_segments();
    let from = RecoverFrom { after_batch_seq: sealed[2].last_batch_seq, ..RecoverFrom::start() };
    storage.lose(&sealed[1].name);
    let replayed = replay_from(&storage, from).unwrap();
    assert_eq!(replayed.recovered.warnings.len(), 1);
    // A gap above the checkpoint stops the start.
    storage.lose(&sealed[3].name);
    let error = replay_from(&storage, from).err().unwrap();
    let RecoverError::Gap { next_batch_seq, .. } = error else { panic!("{error}") };
    assert_eq!(next_batch_seq, sealed[4].first_batch_seq);
}

#[test]
fn a_log_starts_from_a_checkpoint_alone() {
    let storage = MemoryStorage::new();
    let from = RecoverFrom { after_batch_seq: 40, chain: Some(wal::Chain([4; 16])), next_position: 100, time_ms: 70 };
    let replayed = replay_from(&storage, from).unwrap();
    let mut writer = open(&storage, &replayed.recovered, 1).unwrap();
    let done = append(&mut writer, 1, 1).unwrap();
    assert_eq!((done.batch_seq, done.first_position), (41, 100));
    writer.sync().unwrap();
    assert_eq!(replay_from(&storage, from).unwrap().batches.len(), 1);
    let error = replay(&storage).err().unwrap();
    assert!(matches!(error, RecoverError::Gap { .. }), "{error}");
}

#[test]
fn files_of_another_log_are_refused() {
    let storage = MemoryStorage::new();
    let (mut writer, replayed) = reopen(&storage);
    append(&mut writer, 1, 1).unwrap();
    writer.sync().unwrap();
    let recovered = replay(&storage).unwrap().recovered;
    let other = LogIdentity { instance: [1; 16], ..IDENTITY };
    let config = LogConfig::deterministic(32 << 10);
    let error = LogWriter::open(Arc::new(storage.clone()), other, config, &recovered).unwrap_err();
    assert!(matches!(error, WriteError::WrongInstance { .. }), "{error}");

    let elsewhere = MemoryStorage::new();
    let mut writer = LogWriter::open(Arc::new(elsewhere.clone()), other, config, &replayed.recovered).unwrap();
    writer.append(BatchKind::Data, 1, 1, &[b"x"]).unwrap();
    writer.sync().unwrap();
    storage.put("wal-0-2-0.seg", elsewhere.contents("wal-0-1-0.seg").unwrap());
    let error = replay(&storage).err().unwrap();
    assert!(matches!(error, RecoverError::WrongInstance { .. }), "{error}");
    storage.lose("wal-0-2-0.seg");
    storage.put("wal-0-2-0.seg", storage.contents("wal-0-1-0.seg").unwrap());
    let error = replay(&storage).err().unwrap();
    assert!(error.to_string().contains("renamed"), "{error}");
}

#[test]
fn a_failed_operation_ends_the_writer() {
    let storage = MemoryStorage::new();
    let (mut writer, _) = reopen(&storage);
    append(&mut writer, 1, 1).unwrap();
    storage.fail_at(storage.operations() + 1);
    assert!(matches!(writer.sync(), Err(WriteError::Io { .. })));
    assert!(matches!(writer.sync(), Err(WriteError::Failed)));
    assert!(matches!(append(&mut writer, 2, 1), Err(WriteError::Failed)));
    assert_eq!(writer.durable_seq(), 0);
}

#[test]
fn a_real_folder_works_and_belongs_to_one() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    let storage = Arc::new(FileStorage::open(&root).unwrap());
    let lock = storage.lock().unwrap();
    let second = FileStorage::open(&root).unwrap();
    assert!(matches!(second.lock(), Err(OpenError::Locked { .. })));
    let config = LogConfig { segment_bytes: 256 << 10, first_segment_bytes: 64 << 10, ..LogConfig::default() };
    for round in 0..3u64 {
        let mut count = 0;
        let recovered = recover(storage.as_ref(), RecoverFrom::start(), &mut |batch| {
            count += u64::from(batch.kind == BatchKind::Data);
            Ok(())
        })
        .unwrap();
        assert_eq!(count, round * 100);
        let mut writer = LogWriter::open(storage.clone() as Arc<dyn Storage>, IDENTITY, config, &recovered).unwrap();
        for tag in 0..100 {
            append(&mut writer, round * 100 + tag, 1 + tag as usize % 4).unwrap();
            writer.sync().unwrap();
        }
        writer.mark().unwrap();
        writer.seal(1099 + round * 100).unwrap();
    }
    write_file_atomically(storage.as_ref(), "", "notes", b"text").unwrap();
    storage.create_dir("plans").unwrap();
    write_file_atomically(storage.as_ref(), "plans", "a.plan", b"plan").unwrap();
    assert_eq!(storage.list("plans").unwrap(), ["a.plan"]);
    let read_only = FileStorage::open_read_only(&root).unwrap();
    assert!(recover(&read_only, RecoverFrom::start(), &mut |_| Ok(())).unwrap().sealed);
    assert!(read_only.create_new("x").is_err());
    assert!(read_only.space_available().unwrap() > 0);
    drop(lock);
    second.lock().unwrap();
}
