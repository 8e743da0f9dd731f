//! What the names and headers of the segments and the watermark say, for a scan: nothing makes it fail, and
//! what is wrong is noted at the file.
//!
//! Not here: batches (`scan.rs`), refusing (`recovery.rs`).

use std::io;

use crate::error::Proof;
use crate::format::{
    BatchKind, FLAG_RELOG, FORMAT_MAJOR, FrameHeader, LogIdentity, PAGE_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader,
};
use crate::reader::{Found, HeaderFound, SegmentReader};
use crate::recovery::Witness;
use crate::scan::{BadPlace, ScanFrom, ScannedSegment, SegmentStart};
use crate::segment::SegmentName;
use crate::storage::Storage;
use crate::watermark::{WATERMARK_NAME, WatermarkFile};

/// The files, by what their headers say.
pub(crate) struct Survey {
    pub(crate) segments: Vec<ScannedSegment>,
    /// Where the batches of each segment say they are.
    pub(crate) places: Vec<SegmentName>,
    pub(crate) identity: Option<LogIdentity>,
}

impl Survey {
    pub(crate) fn read(storage: &dyn Storage, from: &ScanFrom) -> io::Result<Survey> {
        let mut names: Vec<SegmentName> =
            storage.list("")?.iter().filter_map(|name| SegmentName::parse(name)).collect();
        names.sort_unstable();
        let mut found: Vec<(SegmentName, ScannedSegment)> = Vec::new();
        for place in &names {
            let (place, segment) = read_header(storage, *place, &names);
            found.push((place, segment));
        }
        // A renamed segment is where its header says.
        found.sort_by_key(|(place, _)| *place);
        // The newest segment says whose folder it is, where no checkpoint does.
        let newest = found.iter().rev().find_map(|(_, segment)| segment.start).map(|start| start.identity);
        let identity = from.identity.or(newest);
        let (places, segments) = found.into_iter().unzip();
        let mut survey = Survey { segments, places, identity };
        survey.compare_identities();
        survey.find_kept(storage);
        survey.pass_over(from.position);
        // What is newer than the checkpoint says which incarnation it is now.
        if let (Some(identity), Some(newest)) = (&mut survey.identity, newest)
            && identity.instance == newest.instance
        {
            identity.incarnation = identity.incarnation.max(newest.incarnation);
        }
        Ok(survey)
    }

    fn compare_identities(&mut self) {
        let Some(known) = self.identity else { return };
        for segment in &mut self.segments {
            let Some(start) = &segment.start else { continue };
            if start.identity.instance != known.instance || start.identity.partition != known.partition {
                segment.problems.push((0, "it belongs to another log".to_owned()));
                segment.is_foreign = true;
                segment.is_read = false;
            }
        }
    }

    /// The lowest `kept` of all newer epochs, as a start finds it. Where a header is lost, the first batch
    /// that is no copy says as much.
    fn find_kept(&mut self, storage: &dyn Storage) {
        let instance = self.identity.map(|identity| identity.instance);
        let (mut all, mut newer, mut epoch) = (u64::MAX, u64::MAX, u64::MAX);
        for (segment, place) in self.segments.iter_mut().zip(&self.places).rev() {
            if !segment.is_read {
                continue;
            }
            if segment.epoch != epoch {
                (newer, epoch) = (all, segment.epoch);
            }
            segment.kept_seq = newer;
            let kept = match &segment.start {
                Some(start) => Some(start.kept_before),
                None => first_new_batch(storage, &segment.name, *place, instance).map(|first| first - 1),
            };
            all = all.min(kept.unwrap_or(u64::MAX));
        }
    }

    /// Segments that end before a position are named and not read.
    fn pass_over(&mut self, position: u64) {
        let starts: Vec<Option<u64>> =
            self.segments.iter().map(|segment| segment.start.map(|start| start.first_position)).collect();
        for (number, segment) in self.segments.iter_mut().enumerate() {
            let next = starts[number + 1..].iter().flatten().min();
            if segment.is_read && next.is_some_and(|&next| next <= position) {
                segment.is_passed = true;
                segment.is_read = false;
            }
        }
    }

    pub(crate) fn watermark(
        &self,
        storage: &dyn Storage,
        witness: &mut Witness,
        time_ms: &mut u64,
        durable: &mut (u64, u64),
    ) -> Vec<BadPlace> {
        let bad = |offset, what: String| BadPlace {
            file: WATERMARK_NAME.to_owned(),
            offset,
            bytes: PAGE_BYTES as u64,
            batch: None,
            what,
        };
        let file = match WatermarkFile::read(storage) {
            Ok(file) => file,
            Err(error) => return vec![bad(0, format!("it cannot be read: {error}"))],
        };
        let mut found: Vec<BadPlace> =
            file.damaged.iter().map(|&offset| bad(offset, "the page does not check".to_owned())).collect();
        let any_batch = self.segments.iter().zip(&self.places).any(|(segment, place)| {
            let opened = storage.open_read(&segment.name).and_then(|file| SegmentReader::new(file, *place));
            opened.and_then(|mut reader| reader.any_frame()).is_ok_and(|frame| frame.is_some())
        });
        if !file.is_there && any_batch {
            found.push(bad(0, "it is missing: the end of the log has one witness less".to_owned()));
        }
        if let Some((offset, format)) = file.newer {
            found.push(bad(offset, format!("it is in format {format}, which this program does not know")));
        }
        for watermark in file.valid {
            let same = self.identity.is_none_or(|known| {
                known.instance == watermark.identity.instance && known.partition == watermark.identity.partition
            });
            if !same {
                found.push(bad(0, "it belongs to another log".to_owned()));
            } else if self.identity.is_none_or(|known| known.incarnation <= watermark.identity.incarnation) {
                let durable_seq = watermark.durable_seq;
                witness.hear(durable_seq, || Proof::Watermark { durable_seq });
                *time_ms = watermark.time_ms.max(*time_ms);
                *durable = (watermark.durable_seq, watermark.position).max(*durable);
            }
        }
        found
    }
}

fn read_header(storage: &dyn Storage, named: SegmentName, names: &[SegmentName]) -> (SegmentName, ScannedSegment) {
    let name = named.to_string();
    let mut segment = ScannedSegment {
        name: name.clone(),
        epoch: named.epoch,
        index: named.index,
        bytes: 0,
        start: None,
        kept_seq: u64::MAX,
        is_foreign: false,
        is_passed: false,
        is_read: true,
        problems: Vec::new(),
    };
    let mut place = named;
    let opened = storage.open_read(&name).and_then(|file| SegmentReader::new(file, named));
    let header = opened.and_then(|mut reader| {
        segment.bytes = reader.bytes();
        let header = reader.header()?;
        let empty = matches!(header, HeaderFound::None) && reader.not_zero(0)?.is_none();
        Ok((header, empty))
    });
    match header {
        Err(error) => segment.problems.push((0, format!("it cannot be read: {error}"))),
        Ok((HeaderFound::Valid { header, bad_page }, _)) => {
            if let Some(offset) = bad_page {
                segment.problems.push((offset, "one of its two header pages does not check".to_owned()));
            }
            if (header.epoch, header.index) != (named.epoch, named.index) {
                let says = format!("its header says that it is epoch {} index {}", header.epoch, header.index);
                let from = SegmentName { partition: named.partition, epoch: header.epoch, index: header.index };
                if names.contains(&from) {
                    segment.problems.push((0, format!("{says}, which is there: it is a copy")));
                    segment.is_read = false;
                } else {
                    segment.problems.push((0, format!("{says}: it was renamed")));
                    (segment.epoch, segment.index) = (header.epoch, header.index);
                    place = from;
                }
            }
            if segment.bytes < header.capacity {
                let what = format!("the file ends there, and was made {} bytes long", header.capacity);
                segment.problems.push((segment.bytes, what));
            }
            segment.start = Some(start_of(&header));
        }
        Ok((HeaderFound::Newer { offset, format }, _)) => {
            let what = format!("it is in format {format}, and this program knows up to {FORMAT_MAJOR}");
            segment.problems.push((offset, what));
            segment.is_read = false;
        }
        Ok((HeaderFound::Impossible { offset, what }, _)) => {
            segment.problems.push((offset, format!("{what}, though it checks")));
        }
        // Made ready and never used.
        Ok((HeaderFound::None, true)) => segment.is_read = false,
        Ok((HeaderFound::None, false)) => segment.problems.push((0, "neither header page checks".to_owned())),
    }
    (place, segment)
}

fn start_of(header: &SegmentHeader) -> SegmentStart {
    SegmentStart {
        identity: header.identity,
        first_batch_seq: header.first_batch_seq,
        first_position: header.first_position,
        durable_before: header.prev_durable_seq,
        kept_before: header.prev_kept_seq,
        time_ms: header.time_ms,
        capacity: header.capacity,
    }
}

/// The number of the first batch of a segment that is no copy.
fn first_new_batch(storage: &dyn Storage, name: &str, place: SegmentName, instance: Option<[u8; 16]>) -> Option<u64> {
    let mut reader = SegmentReader::new(storage.open_read(name).ok()?, place).ok()?;
    let mut offset = SEGMENT_HEADER_BYTES as u64;
    while offset < reader.bytes() {
        let Ok((found, next)) = reader.frame(offset, instance.as_ref()) else {
            offset += PAGE_BYTES as u64;
            continue;
        };
        if let Found::Whole { header: FrameHeader { head, .. }, .. } = found
            && head.kind != BatchKind::Marker
            && head.flags & FLAG_RELOG == 0
        {
            return Some(head.batch_seq);
        }
        offset = next;
    }
    None
}
