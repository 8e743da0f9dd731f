//! The files of the log.

use std::sync::{Arc, OnceLock};

use wal::{
    BatchKind, LogConfig, LogIdentity, LogWriter, MemoryStorage, PAGE_BYTES, RecoverFrom, Storage, WATERMARK_NAME,
    fuzz, recover,
};

/// A batch as it lies in a segment.
pub(crate) fn frames(bytes: &[u8]) {
    fuzz::frame(bytes);
}

/// The header page of a segment.
pub(crate) fn segment_headers(bytes: &[u8]) {
    fuzz::segment_header(bytes);
}

/// A page of the watermark file.
pub(crate) fn watermarks(bytes: &[u8]) {
    fuzz::watermark(bytes);
}

/// A log that was written well, and what each batch of it says.
struct Written {
    disk: MemoryStorage,
    /// The segments and the watermark file.
    files: Vec<String>,
    batches: Vec<(u64, Vec<u8>)>,
}

const IDENTITY: LogIdentity = LogIdentity { instance: *b"a log to damage.", partition: 0, incarnation: 1 };

/// Two segments, each with batches of one and of two pages.
fn written() -> &'static Written {
    static WRITTEN: OnceLock<Written> = OnceLock::new();
    WRITTEN.get_or_init(|| {
        let disk = MemoryStorage::new();
        let storage: Arc<dyn Storage> = Arc::new(disk.clone());
        let empty = recover(storage.as_ref(), RecoverFrom::start(), &mut |_| Ok(())).expect("an empty folder");
        let config = LogConfig::deterministic(8 * PAGE_BYTES as u64);
        let mut writer = LogWriter::open(storage, IDENTITY, config, &empty).expect("it opens");
        for batch in 1..=6_u8 {
            let payload = vec![batch; if batch % 3 == 0 { PAGE_BYTES } else { 40 }];
            writer.append(BatchKind::Data, u64::from(batch), 1, &[&payload]).expect("it writes");
            writer.sync().expect("it syncs");
        }
        writer.mark().expect("it marks");
        writer.write_watermark(9).expect("it writes");
        drop(writer);
        let mut batches = Vec::new();
        recover(&disk, RecoverFrom::start(), &mut |batch| {
            batches.push((batch.batch_seq, batch.payload.to_vec()));
            Ok(())
        })
        .expect("it is whole");
        let files = disk.list("").expect("it lists").into_iter().filter(|name| !name.ends_with("LOCK")).collect();
        Written { disk, files, batches }
    })
}

/// A good log, damaged. The first byte says whether the checksums are made right afterwards; then come steps of
/// five bytes: what to do, the file, the page, and where in it or another page, and a value.
///
/// Whatever was done, reading it does not panic; and with the checksums as they are, what it gives is a
/// beginning of what was written.
pub(crate) fn logs(bytes: &[u8]) {
    let written = written();
    let Some((repair, steps)) = bytes.split_first() else { return };
    let disk = written.disk.duplicate();
    let mut touched = Vec::new();
    let mut files: Vec<Vec<u8>> = written.files.iter().map(|name| disk.contents(name).expect("it is there")).collect();
    for step in steps.as_chunks::<5>().0.iter().take(64) {
        let [what, file, page, at, value] = step.map(usize::from);
        let number = file % files.len();
        touched.push(number);
        let other = files[(file / files.len() + at) % files.len()].clone();
        let bytes = &mut files[number];
        if bytes.is_empty() {
            continue;
        }
        let start = page * PAGE_BYTES % bytes.len().next_multiple_of(PAGE_BYTES);
        let end = (start + PAGE_BYTES).min(bytes.len());
        match what % 6 {
            // The fields of a header page lie in its first 256 bytes, those of a batch too.
            0 => bytes[start + at.min(end - start - 1)] = value as u8,
            1 => bytes[start + (at * 16).min(end - start - 1)] ^= 1 << (value % 8),
            2 => bytes[start..end].fill(0),
            3 => bytes.truncate(start + at * 16),
            4 => {
                let from = value * PAGE_BYTES % other.len().max(1);
                let len = (end - start).min(other.len() - from);
                bytes[start..start + len].copy_from_slice(&other[from..from + len]);
            }
            _ => bytes.truncate(0),
        }
    }
    for (name, mut content) in written.files.iter().zip(files) {
        if repair % 2 == 1 && name != WATERMARK_NAME {
            fuzz::repair_segment(&mut content);
        }
        disk.put(name, content);
    }
    let mut next = 0;
    let result = recover(&disk, RecoverFrom::start(), &mut |batch| {
        if repair % 2 == 0 {
            let expected = written.batches.get(next).map(|(seq, payload)| (*seq, payload.as_slice()));
            assert_eq!(Some((batch.batch_seq, batch.payload)), expected, "a batch that was never written");
        }
        next += 1;
        Ok(())
    });
    if touched.is_empty() && repair % 2 == 0 {
        assert!(result.is_ok_and(|recovered| recovered.next_batch_seq == written.batches.len() as u64 + 1));
    }
}
