//! What the tests share: a log in memory, what was written to it, what is read back.

use std::sync::Arc;

use wal::{
    Appended, BatchKind, LogConfig, LogIdentity, LogWriter, MemoryStorage, RecoverError, RecoverFrom, Recovered,
    Storage, WriteError, recover,
};

pub(crate) const IDENTITY: LogIdentity = LogIdentity { instance: *b"0123456789abcdef", partition: 0, incarnation: 1 };

pub(crate) const SEGMENT_BYTES: u64 = 32 << 10;

/// One delivered batch: number, position, count, time, payload.
pub(crate) type Batch = (u64, u64, u32, u64, Vec<u8>);

pub(crate) struct Replayed {
    pub(crate) recovered: Recovered,
    /// Data and hash batches, without seals.
    pub(crate) batches: Vec<Batch>,
}

pub(crate) fn replay_from(storage: &MemoryStorage, from: RecoverFrom) -> Result<Replayed, RecoverError> {
    let mut batches = Vec::new();
    let mut expected = from.after_batch_seq + 1;
    let recovered = recover(storage, from, &mut |batch| {
        assert_eq!(batch.batch_seq, expected, "delivered in order, without holes");
        expected += 1;
        if batch.kind != BatchKind::Seal {
            let payload = batch.payload.to_vec();
            batches.push((batch.batch_seq, batch.first_position, batch.count, batch.time_ms, payload));
        }
        Ok(())
    })?;
    assert_eq!(recovered.next_batch_seq, expected);
    assert!(recovered.durable_seq < recovered.next_batch_seq);
    Ok(Replayed { recovered, batches })
}

pub(crate) fn replay(storage: &MemoryStorage) -> Result<Replayed, RecoverError> {
    replay_from(storage, RecoverFrom::start())
}

pub(crate) fn open(storage: &MemoryStorage, recovered: &Recovered, in_flight: u32) -> Result<LogWriter, WriteError> {
    let config = LogConfig { in_flight, ..LogConfig::deterministic(SEGMENT_BYTES) };
    LogWriter::open(Arc::new(storage.clone()), IDENTITY, config, recovered)
}

pub(crate) fn reopen(storage: &MemoryStorage) -> (LogWriter, Replayed) {
    let replayed = replay(storage).unwrap();
    (open(storage, &replayed.recovered, 1).unwrap(), replayed)
}

/// A payload that names its batch and fills `pages` pages on disk.
pub(crate) fn payload(tag: u64, pages: usize) -> Vec<u8> {
    let mut bytes = vec![0; pages * wal::PAGE_BYTES - 200];
    let mut x = tag.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    for byte in &mut bytes {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        *byte = (x >> 32) as u8 | 1;
    }
    bytes
}

pub(crate) fn append(writer: &mut LogWriter, tag: u64, pages: usize) -> Result<Appended, WriteError> {
    let bytes = payload(tag, pages);
    let (first, second) = bytes.split_at(bytes.len() / 3);
    writer.append(BatchKind::Data, 1000 + tag, 3, &[first, second])
}

pub(crate) fn segment_names(storage: &MemoryStorage) -> Vec<String> {
    let names = storage.list("").unwrap();
    names.into_iter().filter(|name| name.ends_with(".seg")).collect()
}
