//! Two faults at once, anywhere.

use std::sync::Arc;

use wal::PAGE_BYTES;

use super::{
    Case, Sweep,
    chance::{bytes, next},
    damage::Edit,
    judge::{Demand, Sample},
};

/// `count` cases of one or two faults drawn from their number.
///
/// Two are not enough to lose an answer without a word: beside its batch there are a marker and the watermark,
/// each by itself a witness. A file that is gone or cut is one of the other sweeps'.
pub(super) fn random(samples: Vec<Sample>, count: u64) -> Sweep {
    let samples: Vec<Arc<Sample>> = samples.into_iter().map(Arc::new).collect();
    let names: Vec<&str> = samples.iter().map(|sample| sample.name.as_str()).collect();
    Sweep::new(format!("random faults, {}", names.join(" and ")), count, 64, move |n| {
        let mut seed = n;
        let mut below = |end: usize| (next(&mut seed) % end as u64) as usize;
        let sample = &samples[below(samples.len())];
        let files: Vec<&str> = sample.folder.names().collect();
        let faults = 1 + below(2);
        let edits = (0..faults)
            .map(|_| {
                let file = files[below(files.len())];
                let len = sample.folder.bytes(file).map_or(0, |bytes| bytes.len());
                let at = below(len);
                let file: Arc<str> = file.into();
                let page = at / PAGE_BYTES * PAGE_BYTES;
                let write = |at: usize, bytes: Vec<u8>, what| {
                    let left = bytes.len().min(len - at);
                    Edit::Write { file: Arc::clone(&file), at, bytes: bytes[..left].to_vec(), what }
                };
                match below(6) {
                    0 | 1 => Edit::Flip { file, at, mask: 1 << below(8) },
                    2 => write(at, bytes(n, 1 + below(64)), "garbage"),
                    3 => write(page, vec![0; PAGE_BYTES], "zeros"),
                    4 => write(page, bytes(n, PAGE_BYTES), "garbage"),
                    _ => write(at / 512 * 512, bytes(n, 512), "garbage"),
                }
            })
            .collect();
        Case { sample: Arc::clone(sample), edits, demand: Demand::Right }
    })
}
