//! Where the batches of a folder lie, read by another hand than the production reader's, from docs/FORMAT.md.
//!
//! It is used on undamaged folders only, to say of each byte whether damage to it may be survived.

use std::{ops::Range, sync::Arc};

use wal::PAGE_BYTES;

use super::judge::Sample;

const KIND: usize = 10;
const BATCH: usize = 40;
const POSITION: usize = 64;
const COUNT: usize = 72;
const PAYLOAD_BYTES: usize = 76;
const HEADER_BYTES: usize = 128;
const TRAILER_BYTES: usize = 24;
const MARKER: u8 = 2;

/// One batch or marker.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) file: Arc<str>,
    /// Its bytes without the zeros that fill its last page.
    pub(super) bytes: Range<usize>,
    /// Whether damage to it takes something acknowledged, of which there is no second copy.
    pub(super) protected: bool,
    pub(super) batch_seq: u64,
    pub(super) is_marker: bool,
}

impl Frame {
    /// Its pages.
    pub(super) fn pages(&self) -> Range<usize> {
        self.bytes.start..self.bytes.end.next_multiple_of(PAGE_BYTES)
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// Whether a file is a segment of the log.
pub(super) fn is_segment(name: &str) -> bool {
    name.ends_with(".seg")
}

/// Every frame of every segment, in order of files and places.
pub(super) fn frames(sample: &Sample) -> Vec<Frame> {
    let mut frames = Vec::new();
    for name in sample.folder.names().filter(|name| is_segment(name)) {
        let bytes = sample.folder.bytes(name).expect("it was listed");
        let mut at = 2 * PAGE_BYTES;
        while at + PAGE_BYTES <= bytes.len() {
            if &bytes[at..at + 4] != b"UBT1" {
                at += PAGE_BYTES;
                continue;
            }
            let field = |from: usize, len: usize| number(&bytes[at + from..at + from + len]);
            let payload = usize::try_from(field(PAYLOAD_BYTES, 4)).unwrap_or(usize::MAX);
            let end = at + HEADER_BYTES + payload + TRAILER_BYTES;
            let is_marker = bytes[at + KIND] == MARKER;
            let last_position = field(POSITION, 8) + field(COUNT, 4) - 1;
            frames.push(Frame {
                file: name.into(),
                bytes: at..end,
                protected: !is_marker && last_position <= sample.acknowledged,
                batch_seq: field(BATCH, 8),
                is_marker,
            });
            at = end.next_multiple_of(PAGE_BYTES);
        }
    }
    let numbers: Vec<u64> = frames.iter().filter(|frame| !frame.is_marker).map(|frame| frame.batch_seq).collect();
    for frame in frames.iter_mut().filter(|frame| !frame.is_marker) {
        // A batch that a later epoch wrote again has two copies, and either one will do.
        frame.protected &= numbers.iter().filter(|&&number| number == frame.batch_seq).count() == 1;
    }
    frames
}
