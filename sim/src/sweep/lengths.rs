//! Every length of every file, and files that go on behind their end.

use std::sync::Arc;

use wal::{PAGE_BYTES, WATERMARK_NAME};

use super::{
    Case, Sweep,
    anatomy::is_segment,
    chance::bytes,
    damage::Edit,
    judge::{Demand, Sample},
};

/// Every file cut to every length below its own; behind a checkpoint, where each case takes longer, segments to
/// some unless `full`.
pub(super) fn every_length(sample: Sample, full: bool) -> Sweep {
    let has_checkpoints = sample.folder.names().any(|name| name.ends_with(".ckpt"));
    let files: Vec<(Arc<str>, u64, usize)> = sample
        .folder
        .names()
        .map(|name| {
            let len = sample.folder.bytes(name).map_or(0, |bytes| bytes.len());
            // A prime: it meets every place in a page.
            let step = if has_checkpoints && is_segment(name) && !full { 251 } else { 1 };
            (name.into(), len.div_ceil(step) as u64, step)
        })
        .collect();
    let count = files.iter().map(|(_, lengths, _)| lengths).sum();
    let sample = Arc::new(sample);
    Sweep::new(format!("lengths, {}", sample.name), count, 128, move |mut n| {
        for (file, lengths, step) in &files {
            if n < *lengths {
                let file = Arc::clone(file);
                let demand = match file.as_ref() {
                    // A watermark that was cut short says nothing, and the log speaks for itself.
                    WATERMARK_NAME => Demand::Start,
                    name if is_segment(name) => Demand::Right,
                    name if name.ends_with(".ckpt") => Demand::Fallback,
                    _ => Demand::Refuse,
                };
                let edits = vec![Edit::Cut { file, len: n as usize * step }];
                return Case { sample: Arc::clone(&sample), edits, demand };
            }
            n -= lengths;
        }
        unreachable!("only lengths that are there are counted")
    })
    .large()
}

const ADDED: [usize; 4] = [1, 512, PAGE_BYTES, 3 * PAGE_BYTES];

/// Every file longer than it was, by zeros or by anything.
pub(super) fn longer(sample: Sample) -> Sweep {
    let files: Vec<Arc<str>> = sample.folder.names().map(Into::into).collect();
    let kinds = ADDED.len() as u64 * 4;
    let sample = Arc::new(sample);
    Sweep::new(format!("longer, {}", sample.name), files.len() as u64 * kinds, 1, move |n| {
        let file = Arc::clone(&files[(n / kinds) as usize]);
        let len = ADDED[(n % kinds / 4) as usize];
        let there = sample.folder.bytes(&file).expect("it is there");
        let added = match n % 4 {
            0 => vec![0; len],
            1 => vec![0xFF; len],
            2 => bytes(n, len),
            // Its own beginning again.
            _ => there.iter().copied().cycle().take(len).collect(),
        };
        // A segment has bytes behind its end that nobody was told of; a checkpoint and a plan end where they end.
        let demand = match file.as_ref() {
            name if is_segment(name) || name == WATERMARK_NAME => Demand::Start,
            _ => Demand::Notice,
        };
        Case { sample: Arc::clone(&sample), edits: vec![Edit::Grow { file, bytes: added }], demand }
    })
}
