//! Bytes that are whole and lie in the wrong place: batches and pages swapped and doubled, within a file, across
//! files and epochs, and from other logs.

use std::{ops::Range, sync::Arc};

use wal::PAGE_BYTES;

use super::{
    Case, Sweep,
    anatomy::{Frame, frames, is_segment},
    damage::Edit,
    judge::{Demand, Sample},
};

fn bytes_at(sample: &Sample, file: &str, range: &Range<usize>) -> Vec<u8> {
    sample.folder.bytes(file).map_or_else(Vec::new, |bytes| bytes[range.clone()].to_vec())
}

/// What a frame overwrites when it is put at a place.
fn put(sample: &Sample, file: &Arc<str>, at: usize, bytes: Vec<u8>, what: &'static str) -> Edit {
    let left = sample.folder.bytes(file).map_or(0, |there| there.len() - at);
    let bytes = bytes[..bytes.len().min(left)].to_vec();
    Edit::Write { file: Arc::clone(file), at, bytes, what }
}

/// What is asked when bytes of the log are overwritten.
fn demand_of(sample: &Sample, frames: &[Frame], edits: &[Edit]) -> Demand {
    let mut touches_header = false;
    // Batches of which each copy that was hit is gone.
    let mut hit = Vec::new();
    for edit in edits {
        let Edit::Write { file, at, bytes, .. } = edit else { return Demand::Right };
        touches_header |= *at < 2 * PAGE_BYTES;
        let there = sample.folder.bytes(file).expect("it is there");
        for frame in frames.iter().filter(|frame| frame.file == *file && !frame.is_marker) {
            let both = frame.bytes.start.max(*at)..frame.bytes.end.min(at + bytes.len());
            if !both.is_empty() && there[both.clone()] != bytes[both.start - at..both.end - at] {
                hit.push(frame.batch_seq);
            }
        }
    }
    let copies = |of: u64| frames.iter().filter(|frame| !frame.is_marker && frame.batch_seq == of).count();
    // Every batch here was acknowledged.
    if hit.iter().any(|&seq| hit.iter().filter(|&&other| other == seq).count() >= copies(seq)) {
        return Demand::Refuse;
    }
    // A whole header of another segment beside the right one is more than damage: refusing is right too.
    if touches_header { Demand::Right } else { Demand::Start }
}

/// Every two batches or markers of a folder, one copied over the other and both swapped.
fn batches(sample: &Arc<Sample>) -> Sweep {
    let frames = frames(sample);
    let pairs = (frames.len() * frames.len()) as u64;
    let sample = Arc::clone(sample);
    Sweep::new(format!("batches swapped and doubled, {}", sample.name), pairs * 2, 1, move |n| {
        let from = &frames[(n % pairs) as usize / frames.len()];
        let to = &frames[(n % pairs) as usize % frames.len()];
        let mut edits =
            vec![put(&sample, &to.file, to.bytes.start, bytes_at(&sample, &from.file, &from.pages()), "another batch")];
        if n >= pairs {
            let bytes = bytes_at(&sample, &to.file, &to.pages());
            edits.push(put(&sample, &from.file, from.bytes.start, bytes, "another batch"));
        }
        let demand = demand_of(&sample, &frames, &edits);
        Case { sample: Arc::clone(&sample), edits, demand }
    })
}

/// Every batch again on every free page of every segment: behind the end, where a misdirected write may go.
fn doubled_behind(sample: &Arc<Sample>) -> Sweep {
    let frames = frames(sample);
    let mut free = Vec::new();
    for name in sample.folder.names().filter(|name| is_segment(name)) {
        let bytes = sample.folder.bytes(name).expect("it was listed");
        let (pages, _) = bytes.as_chunks::<PAGE_BYTES>();
        let zero = pages.iter().enumerate().filter(|(_, page)| page.iter().all(|&byte| byte == 0));
        free.extend(zero.map(|(number, _)| (Arc::<str>::from(name), number * PAGE_BYTES)));
    }
    let sample = Arc::clone(sample);
    let count = (frames.len() * free.len()) as u64;
    Sweep::new(format!("batches doubled behind the end, {}", sample.name), count, 1, move |n| {
        let frame = &frames[n as usize / free.len()];
        let (file, at) = &free[n as usize % free.len()];
        let edits = vec![put(&sample, file, *at, bytes_at(&sample, &frame.file, &frame.pages()), "another batch")];
        Case { sample: Arc::clone(&sample), edits, demand: Demand::Start }
    })
}

/// Every page over every other page, and both swapped.
fn single_pages(sample: &Arc<Sample>) -> Sweep {
    let frames = frames(sample);
    let mut pages = Vec::new();
    for name in sample.folder.names().filter(|name| !name.starts_with(engine::PLANS_DIR)) {
        let len = sample.folder.bytes(name).map_or(0, |bytes| bytes.len());
        pages.extend((0..len / PAGE_BYTES).map(|page| (Arc::<str>::from(name), page * PAGE_BYTES)));
    }
    let pairs = (pages.len() * pages.len()) as u64;
    let sample = Arc::clone(sample);
    Sweep::new(format!("pages swapped and doubled, {}", sample.name), pairs * 2, 4, move |n| {
        let (from, from_at) = &pages[(n % pairs) as usize / pages.len()];
        let (to, to_at) = &pages[(n % pairs) as usize % pages.len()];
        let page = |file: &Arc<str>, at: usize| bytes_at(&sample, file, &(at..at + PAGE_BYTES));
        let mut edits = vec![put(&sample, to, *to_at, page(from, *from_at), "another page")];
        if n >= pairs {
            edits.push(put(&sample, from, *from_at, page(to, *to_at), "another page"));
        }
        let demand = match demand_of(&sample, &frames, &edits) {
            Demand::Start => Demand::Right,
            demand => demand,
        };
        Case { sample: Arc::clone(&sample), edits, demand }
    })
}

/// Every batch of another log in the place of every batch of this one, its own place first of all.
fn foreign_batches(sample: &Arc<Sample>, other: &Sample) -> Sweep {
    let frames = frames(sample);
    let theirs = self::frames(other);
    let sample = Arc::clone(sample);
    let other = other.clone();
    let count = (frames.len() * theirs.len()) as u64;
    Sweep::new(format!("batches of another {}", other.name), count, 1, move |n| {
        let to = &frames[n as usize / theirs.len()];
        let from = &theirs[n as usize % theirs.len()];
        let bytes = bytes_at(&other, &from.file, &from.pages());
        let edits = vec![put(&sample, &to.file, to.bytes.start, bytes, "a batch of another log")];
        let demand = demand_of(&sample, &frames, &edits);
        Case { sample: Arc::clone(&sample), edits, demand }
    })
}

pub(super) fn sweeps(sample: &Sample, foreign: &[Sample]) -> Vec<Sweep> {
    let sample = Arc::new(sample.clone());
    let mut sweeps = vec![batches(&sample), doubled_behind(&sample), single_pages(&sample)];
    sweeps.extend(foreign.iter().map(|other| foreign_batches(&sample, other)));
    sweeps
}
