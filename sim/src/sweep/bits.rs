//! Single bytes: every bit of a log, every byte of the other files.

use std::sync::Arc;

use super::{
    Case, Sweep,
    anatomy::{frames, is_segment},
    chance::mix,
    damage::Edit,
    judge::{Demand, Sample},
};

/// A byte range of a file, and what is asked when one of its bytes is damaged.
struct Part {
    file: Arc<str>,
    from: usize,
    to: usize,
    demand: Demand,
}

/// The segments in parts: what damage to each must lead to.
///
/// A batch that was acknowledged and lies nowhere else is damage that must be refused. Everything else (one of
/// two header pages, a marker, the zeros behind a batch, what was never acknowledged) must not stop a start.
fn parts_of_log(sample: &Sample) -> Vec<Part> {
    let frames = frames(sample);
    let mut parts = Vec::new();
    for name in sample.folder.names().filter(|name| is_segment(name)) {
        let file: Arc<str> = name.into();
        let len = sample.folder.bytes(name).map_or(0, |bytes| bytes.len());
        let mut from = 0;
        for frame in frames.iter().filter(|frame| frame.protected && frame.file == file) {
            let part = |from, to, demand| Part { file: Arc::clone(&file), from, to, demand };
            parts.push(part(from, frame.bytes.start, Demand::Start));
            parts.push(part(frame.bytes.start, frame.bytes.end, Demand::Refuse));
            from = frame.bytes.end;
        }
        parts.push(Part { file, from, to: len, demand: Demand::Start });
    }
    parts
}

fn bytes_of(parts: &[Part]) -> usize {
    parts.iter().map(|part| part.to - part.from).sum()
}

/// The part and the place of the `n`th byte.
fn nth_byte(parts: &[Part], mut n: usize) -> (&Part, usize) {
    for part in parts {
        let len = part.to - part.from;
        if n < len {
            return (part, part.from + n);
        }
        n -= len;
    }
    unreachable!("only bytes that are there are counted")
}

/// Every bit of every segment.
pub(super) fn every_bit_of_the_log(sample: Sample) -> Sweep {
    let parts = parts_of_log(&sample);
    let count = bytes_of(&parts) as u64 * 8;
    let sample = Arc::new(sample);
    Sweep::new(format!("log bits, {}", sample.name), count, 256, move |n| {
        let (part, at) = nth_byte(&parts, (n / 8) as usize);
        let edit = Edit::Flip { file: Arc::clone(&part.file), at, mask: 1 << (n % 8) };
        Case { sample: Arc::clone(&sample), edits: vec![edit], demand: part.demand }
    })
    .large()
}

/// Every byte of every segment, with one mask each.
pub(super) fn every_byte_of_the_log(sample: Sample) -> Sweep {
    let parts = parts_of_log(&sample);
    let count = bytes_of(&parts) as u64;
    let sample = Arc::new(sample);
    Sweep::new(format!("log bytes, {}", sample.name), count, 256, move |n| {
        let (part, at) = nth_byte(&parts, n as usize);
        let mask = (mix(n) % 255 + 1) as u8;
        let edit = Edit::Flip { file: Arc::clone(&part.file), at, mask };
        Case { sample: Arc::clone(&sample), edits: vec![edit], demand: part.demand }
    })
    .large()
}

/// What a byte becomes: one bit another, all bits others, none, one more.
const PATTERNS: [fn(u8) -> u8; 4] = [|byte| byte ^ 0x80, |byte| !byte, |_| 0, |byte| byte.wrapping_add(1)];

/// Every byte of some files, in each of several patterns.
pub(super) fn every_byte_of(what: &str, sample: Sample, files: &[&str], demand: Demand) -> Sweep {
    let part = |file: &&str| Part {
        file: (*file).into(),
        from: 0,
        to: sample.folder.bytes(file).map_or(0, |bytes| bytes.len()),
        demand,
    };
    let parts: Vec<Part> = files.iter().map(part).collect();
    let patterns = PATTERNS.len() as u64;
    let count = bytes_of(&parts) as u64 * patterns;
    let sample = Arc::new(sample);
    Sweep::new(format!("{what}, {}", sample.name), count, 256, move |n| {
        let (part, at) = nth_byte(&parts, (n / patterns) as usize);
        let byte = sample.folder.bytes(&part.file).expect("it is there")[at];
        let mask = byte ^ PATTERNS[(n % patterns) as usize](byte);
        // A byte that has the value already gets another.
        let mask = if mask == 0 { 0x10 } else { mask };
        let edit = Edit::Flip { file: Arc::clone(&part.file), at, mask };
        Case { sample: Arc::clone(&sample), edits: vec![edit], demand: part.demand }
    })
    .large()
}
