//! For fuzzing: bytes of anybody's with the checksums made right, so that what lies behind the checksums is
//! reached. No part of the interface.

use crate::format::{
    BATCH_PAYLOAD_BYTES_MAX, FRAME_HEADER_BYTES, FrameHead, FrameHeader, HeaderPage, PAGE_BYTES, SegmentHeader,
    close_page,
};
use crate::watermark::Watermark;

fn page_of(bytes: &[u8]) -> [u8; PAGE_BYTES] {
    let mut page = [0; PAGE_BYTES];
    let len = bytes.len().min(PAGE_BYTES);
    page[..len].copy_from_slice(&bytes[..len]);
    close_page(&mut page);
    page
}

/// A header of a segment: what is believed reads back as it was.
pub fn segment_header(bytes: &[u8]) {
    if let HeaderPage::Valid(header) = SegmentHeader::decode(&page_of(bytes)) {
        assert_eq!(SegmentHeader::decode(&header.encode()), HeaderPage::Valid(header));
    }
}

/// A page of the watermark file: what is believed reads back as it was.
pub fn watermark(bytes: &[u8]) {
    if let Some(watermark) = Watermark::of_page(&page_of(bytes)) {
        assert_eq!(Watermark::of_page(&watermark.encode()), Some(watermark));
    }
}

/// A batch: what is judged good is within its bounds and reads back as it was.
pub fn frame(bytes: &[u8]) {
    let mut frame = bytes.to_vec();
    repair_frame(&mut frame);
    let Some(header) = FrameHeader::decode(&frame) else { return };
    if header.judge().is_err() {
        return;
    }
    assert!(header.payload_bytes <= BATCH_PAYLOAD_BYTES_MAX);
    let Some((payload, chain)) = header.verify(&frame) else { return };
    let head: FrameHead = header.head;
    if !head.offset.is_multiple_of(PAGE_BYTES as u64) {
        return;
    }
    let mut again = Vec::new();
    assert_eq!(head.encode(&[payload], &mut again), chain);
    let read = FrameHeader::decode(&again).expect("what was encoded decodes");
    assert_eq!((read.head, read.payload_bytes), (head, header.payload_bytes));
    assert_eq!(read.verify(&again), Some((payload, chain)));
}

/// Makes the checksums right of what looks like the frame of a batch.
pub fn repair_frame(frame: &mut [u8]) {
    FrameHeader::repair(frame);
}

/// Makes the checksums right of every page of a segment that looks like a header or the start of a batch.
pub fn repair_segment(file: &mut [u8]) {
    let mut at = 0;
    while at < file.len() {
        let rest = &mut file[at..];
        if at < 2 * PAGE_BYTES {
            if let Some(page) = rest.first_chunk_mut::<PAGE_BYTES>() {
                close_page(page);
            }
        } else if rest.len() > FRAME_HEADER_BYTES {
            repair_frame(rest);
        }
        at += PAGE_BYTES;
    }
}

/// Makes the checksums right of a checkpoint: its header, its table, its tail and its digest.
pub fn repair_checkpoint(file: &mut [u8]) {
    crate::checkpoint::repair(file);
}
