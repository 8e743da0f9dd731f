//! Reading a log for whoever looks at it: everything that checks, and every place that does not.
//!
//! [`crate::recover`] judges a log and refuses a damaged one. This goes on: behind a damaged place it
//! looks for the next batch that checks, and says what is missing in between. The rule of the tail is
//! the same: what lies behind a missing batch counts only when a witness calls that batch durable, else
//! nothing from it on was ever acknowledged.
//!
//! Delivered are, in the order of the files: each segment, its batches, its bad places. Batches that
//! count come in order of their numbers, each once. One window of a segment is in memory at a time.
//!
//! Where it is less sure than [`crate::recover`]: behind a hole the chain cannot be compared, so a batch
//! there proves its own bytes and place, not that it follows. Whoever replays it must look at what the
//! batch itself says.
//!
//! Nothing here writes, and no content of a file makes it fail.

use std::io;
use std::ops::ControlFlow;

use crate::error::Proof;
use crate::format::{
    BatchKind, Chain, FLAG_RELOG, FLAG_STOPPED, FRAME_VERSION, FrameHeader, LogIdentity, PAGE_BYTES,
    SEGMENT_HEADER_BYTES, Unusable,
};
use crate::reader::{Found, SegmentReader};
use crate::recovery::{BatchView, Location, OwnedBatch, RecoverFrom, Witness};
use crate::scan_survey::Survey;
use crate::segment::SegmentName;
use crate::storage::Storage;

/// Where a scan begins, and what is known of the log from elsewhere.
#[derive(Debug, Clone, Copy)]
pub struct ScanFrom {
    /// What a checkpoint covers; what is missing up to there is reported all the same.
    pub base: RecoverFrom,
    /// The log that the checkpoint belongs to.
    pub identity: Option<LogIdentity>,
    /// Segments that end before this position need not be read.
    pub position: u64,
}

/// What the header of a segment says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentStart {
    /// The log it belongs to.
    pub identity: LogIdentity,
    /// Its first batch.
    pub first_batch_seq: u64,
    /// Its first position.
    pub first_position: u64,
    /// The last batch that was durable when it was begun.
    pub durable_before: u64,
    /// The last batch that was kept when it was begun: older segments' batches above it do not exist.
    pub kept_before: u64,
    /// When it was begun.
    pub time_ms: u64,
    /// How long the file was made.
    pub capacity: u64,
}

/// One segment file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScannedSegment {
    /// File name.
    pub name: String,
    /// The opening for writing that made it.
    pub epoch: u64,
    /// Its number within the epoch.
    pub index: u64,
    /// Length of the file.
    pub bytes: u64,
    /// What its header says, where one of the two pages is good.
    pub start: Option<SegmentStart>,
    /// Batches of it above this do not exist: a later epoch went on without them.
    pub kept_seq: u64,
    /// It belongs to another log.
    pub is_foreign: bool,
    /// It ends before the position that was asked for.
    pub is_passed: bool,
    /// Whether its batches are looked at.
    pub is_read: bool,
    /// What is wrong with the file as a whole, each with the byte.
    pub problems: Vec<(u64, String)>,
}

/// Whether a batch counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    Counts,
    /// A second copy of one that was delivered, or of one that comes in a later epoch.
    Copy,
    /// A later epoch went on without it: it was never acknowledged.
    Superseded,
    /// It lies behind a missing batch that no witness calls durable: it was never acknowledged.
    Unacknowledged,
}

/// One batch that checks, in its place.
#[derive(Debug, Clone, Copy)]
pub struct ScannedBatch<'a> {
    /// Its content.
    pub batch: BatchView<'a>,
    /// Whether it counts.
    pub standing: Standing,
    /// The incarnation of its segment.
    pub incarnation: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// The last batch that was durable when it was built.
    pub durable_seq: u64,
    /// It is a copy that a later epoch wrote.
    pub is_relog: bool,
    /// It is the SEAL of a clean stop.
    pub is_stop: bool,
    /// The batch before it is known and it continues that one.
    pub is_linked: bool,
}

/// What the header of a batch says that does not check as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadBatch {
    /// Its number.
    pub batch_seq: u64,
    /// The position of its first change.
    pub first_position: u64,
    /// How many changes.
    pub count: u32,
}

/// A place in a file that does not check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadPlace {
    /// The file.
    pub file: String,
    /// Its first byte.
    pub offset: u64,
    /// How many bytes.
    pub bytes: u64,
    /// The batch there, where its header is good.
    pub batch: Option<BadBatch>,
    /// One sentence.
    pub what: String,
}

/// Acknowledged batches that are nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hole {
    /// The file in which they should begin; empty when it is not there.
    pub file: String,
    /// Where in the file.
    pub offset: u64,
    /// The first batch.
    pub first_batch_seq: u64,
    /// The last batch.
    pub last_batch_seq: u64,
    /// The first position.
    pub first_position: u64,
    /// The last position, `first_position - 1` when there was no change in them; nothing when nobody knows.
    pub last_position: Option<u64>,
    /// How it is known that they were durable.
    pub proof: Proof,
}

/// What a scan meets.
#[derive(Debug)]
pub enum Scanned<'a> {
    /// A segment begins.
    Segment(&'a ScannedSegment),
    /// A batch that checks.
    Batch(ScannedBatch<'a>),
    /// A place that does not.
    Bad(BadPlace),
    /// Acknowledged batches that are nowhere: before the next one that counts, or at the end.
    Hole(Hole),
}

/// What a scan ends with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanReport {
    /// Which log it is.
    pub identity: Option<LogIdentity>,
    /// The number after the last batch that is there.
    pub next_batch_seq: u64,
    /// The position after it.
    pub next_position: u64,
    /// The chain after it, where it is known.
    pub chain: Option<Chain>,
    /// The latest time that anything speaks of.
    pub time_ms: u64,
    /// The highest batch that a witness calls durable.
    pub durable_seq: u64,
    /// The highest position that a witness calls durable, as far as one names it.
    pub durable_position: u64,
    /// The highest epoch.
    pub epoch: u64,
    /// Whether the sink ended it.
    pub stopped: bool,
}

type Sink<'s> = &'s mut dyn FnMut(Scanned<'_>) -> ControlFlow<()>;

/// Reads all segments and tells `sink` what they hold, until it breaks. Fails only when the folder cannot
/// be listed.
pub fn scan(storage: &dyn Storage, from: ScanFrom, sink: Sink<'_>) -> io::Result<ScanReport> {
    let survey = Survey::read(storage, &from)?;
    let mut witness = Witness {
        durable_seq: from.base.after_batch_seq,
        proof: Proof::Checkpoint { batch_seq: from.base.after_batch_seq },
    };
    let mut time_ms = from.base.time_ms;
    let mut durable = (from.base.after_batch_seq, from.base.next_position - 1);
    let mut flow = ControlFlow::Continue(());
    for bad in survey.watermark(storage, &mut witness, &mut time_ms, &mut durable) {
        if flow.is_continue() {
            flow = sink(Scanned::Bad(bad));
        }
    }
    for segment in survey.segments.iter().filter(|segment| !segment.is_foreign) {
        if let Some(start) = &segment.start {
            time_ms = time_ms.max(start.time_ms);
            let durable_seq = start.durable_before;
            witness.hear(durable_seq, || Proof::SegmentHeader { file: segment.name.clone(), durable_seq });
        }
    }
    let first = survey.segments.iter().find(|segment| segment.is_read).and_then(|segment| segment.start);
    // A log that begins behind the checkpoint has a hole before it.
    let passed = survey.segments.iter().any(|segment| segment.is_passed);
    let (next_seq, next_position) = match first {
        Some(start) if passed || start.first_batch_seq <= from.base.after_batch_seq + 1 => {
            (start.first_batch_seq, start.first_position)
        }
        _ => (from.base.after_batch_seq + 1, from.base.next_position),
    };
    let chain = match first {
        Some(start) if start.first_batch_seq == next_seq => None,
        _ => from.base.chain,
    };
    let mut walk = Walk {
        witness,
        durable,
        time_ms,
        next_seq,
        next_position,
        chain,
        batch_time_ms: 0,
        expected: (String::new(), 0),
        pending: None,
        sink,
        flow,
    };
    for (number, segment) in survey.segments.iter().enumerate() {
        if walk.flow.is_continue() {
            walk.segment(storage, segment, survey.places[number], survey.identity, &survey.segments[number + 1..]);
        }
    }
    walk.end();
    Ok(ScanReport {
        identity: survey.identity,
        next_batch_seq: walk.next_seq,
        next_position: walk.next_position,
        chain: walk.chain,
        time_ms: walk.time_ms,
        durable_seq: walk.witness.durable_seq,
        durable_position: walk.durable.1,
        epoch: survey.places.iter().map(|place| place.epoch).max().unwrap_or(0),
        stopped: walk.flow.is_break(),
    })
}

/// A batch behind one missing batch, until it is known whether that one was acknowledged.
struct Pending {
    batch: OwnedBatch,
    chain: Chain,
    facts: Facts,
}

/// What is told of a batch beside its content.
#[derive(Clone, Copy)]
struct Facts {
    incarnation: u64,
    bytes: u64,
    durable_seq: u64,
    is_relog: bool,
    is_stop: bool,
}

struct Walk<'s> {
    witness: Witness,
    /// The highest durable batch whose last position is known, and that position.
    durable: (u64, u64),
    time_ms: u64,
    next_seq: u64,
    next_position: u64,
    /// The chain after the last batch, where it is known.
    chain: Option<Chain>,
    batch_time_ms: u64,
    /// Where the next batch should be.
    expected: (String, u64),
    /// At most one: a batch two behind a missing one proves that one.
    pending: Option<Pending>,
    sink: Sink<'s>,
    flow: ControlFlow<()>,
}

impl Walk<'_> {
    fn tell(&mut self, what: Scanned<'_>) {
        if self.flow.is_continue() {
            self.flow = (self.sink)(what);
        }
    }

    fn segment(
        &mut self,
        storage: &dyn Storage,
        segment: &ScannedSegment,
        place: SegmentName,
        identity: Option<LogIdentity>,
        later: &[ScannedSegment],
    ) {
        self.tell(Scanned::Segment(segment));
        if !segment.is_read || self.flow.is_break() {
            return;
        }
        let name = segment.name.as_str();
        let Ok(mut reader) = storage.open_read(name).and_then(|file| SegmentReader::new(file, place)) else { return };
        let instance = segment.start.map(|start| start.identity).or(identity).map(|identity| identity.instance);
        let incarnation = segment.start.map(|start| start.identity).or(identity).map_or(0, |id| id.incarnation);
        if segment.start.is_none_or(|start| start.first_batch_seq == self.next_seq) {
            self.expected = (name.to_owned(), SEGMENT_HEADER_BYTES as u64);
        }
        // Copies of what is missing here may come in a newer epoch.
        let copied = |batch_seq: u64| {
            later
                .iter()
                .filter(|other| other.is_read && other.epoch > segment.epoch)
                .any(|other| other.start.is_some_and(|s| s.durable_before < batch_seq && batch_seq <= s.kept_before))
        };
        let mut bad: Option<BadPlace> = None;
        let mut offset = SEGMENT_HEADER_BYTES as u64;
        while offset < reader.bytes() && self.flow.is_continue() {
            let (found, next) = match reader.frame(offset, instance.as_ref()) {
                Ok(found) => found,
                Err(error) => {
                    let next = offset + PAGE_BYTES as u64;
                    self.bad(&mut bad, name, offset, next, None, format!("it cannot be read: {error}"));
                    offset = next;
                    continue;
                }
            };
            match found {
                Found::Zero => {
                    // A part of a batch may well be zeros.
                    let inside = bad.as_ref().is_some_and(|bad| bad.batch.is_some());
                    if !inside && let Some(bad) = bad.take() {
                        self.tell(Scanned::Bad(bad));
                    }
                }
                Found::Garbage => {
                    self.bad(&mut bad, name, offset, next, None, "no batch of this place checks here".to_owned());
                }
                Found::Torn { header } => {
                    self.hear(name, &header);
                    let what = "the header of the batch checks and its content does not".to_owned();
                    self.bad(&mut bad, name, offset, next, Some(bad_batch(&header)), what);
                }
                Found::Unusable { header, why } => {
                    let what = match why {
                        Unusable::Newer(found) => {
                            format!("it is in format {found}, and this program knows up to {FRAME_VERSION}")
                        }
                        Unusable::Impossible(what) => format!("{what}, though it checks"),
                    };
                    self.bad(&mut bad, name, offset, next, Some(bad_batch(&header)), what);
                }
                Found::Whole { header, payload, chain, stray } => {
                    let stray = stray.map(|at| (at, next));
                    if let Some(bad) = bad.take() {
                        self.tell(Scanned::Bad(bad));
                    }
                    self.hear(name, &header);
                    if header.head.kind == BatchKind::Marker {
                        if (self.expected.0.as_str(), self.expected.1) == (name, offset) {
                            self.expected.1 = next;
                        }
                    } else {
                        let facts = Facts {
                            incarnation,
                            bytes: next - offset,
                            durable_seq: header.head.durable_seq,
                            is_relog: header.head.flags & FLAG_RELOG != 0,
                            is_stop: header.head.flags & FLAG_STOPPED != 0,
                        };
                        self.batch(segment, &header, payload, chain, facts, next, &copied);
                    }
                    if let Some((at, end)) = stray {
                        let what = "these bytes behind a batch are not zero; the batch itself is whole".to_owned();
                        let file = name.to_owned();
                        self.tell(Scanned::Bad(BadPlace { file, offset: at, bytes: end - at, batch: None, what }));
                    }
                }
            }
            offset = next;
        }
        if let Some(bad) = bad {
            self.tell(Scanned::Bad(bad));
        }
    }

    /// Adds a bad page to those right before it, or begins anew.
    fn bad(
        &mut self,
        bad: &mut Option<BadPlace>,
        file: &str,
        offset: u64,
        next: u64,
        batch: Option<BadBatch>,
        what: String,
    ) {
        match bad {
            Some(open) if batch.is_none() && (open.batch.is_some() || open.what == what) => {
                open.bytes = next - open.offset;
            }
            _ => {
                let begun = BadPlace { file: file.to_owned(), offset, bytes: next - offset, batch, what };
                if let Some(before) = bad.replace(begun) {
                    self.tell(Scanned::Bad(before));
                }
            }
        }
    }

    fn hear(&mut self, name: &str, header: &FrameHeader) {
        let head = header.head;
        self.time_ms = self.time_ms.max(head.time_ms);
        self.witness.hear(head.durable_seq, || {
            let (file, offset, durable_seq) = (name.to_owned(), head.offset, head.durable_seq);
            if head.kind == BatchKind::Marker {
                Proof::Marker { file, offset, durable_seq }
            } else {
                Proof::LaterBatch { file, offset, batch_seq: head.batch_seq, durable_seq }
            }
        });
        if head.durable_seq + 1 == head.batch_seq || head.kind == BatchKind::Marker {
            // All before it was durable, so its first position says how far.
            self.durable = self.durable.max((head.durable_seq, head.first_position - 1));
        }
        if self.pending.is_some() && self.witness.durable_seq >= self.next_seq {
            self.settle_pending();
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one frame as it was found, and where")]
    fn batch(
        &mut self,
        segment: &ScannedSegment,
        header: &FrameHeader,
        payload: &[u8],
        chain: Chain,
        facts: Facts,
        end: u64,
        copied: &dyn Fn(u64) -> bool,
    ) {
        let head = &header.head;
        let view = BatchView::of(header, payload, chain, &segment.name);
        if head.batch_seq > segment.kept_seq {
            self.tell_batch(view, Standing::Superseded, facts, false);
        } else if head.batch_seq < self.next_seq || head.batch_seq > self.next_seq && copied(self.next_seq) {
            self.tell_batch(view, Standing::Copy, facts, false);
        } else {
            let linked = head.batch_seq == self.next_seq;
            let wrong = if linked && self.chain.is_some_and(|chain| chain != head.prev_chain) {
                Some("it continues another history than the batch before it")
            } else if linked && head.first_position != self.next_position || head.first_position < self.next_position {
                Some("its first position does not follow the batch before it")
            } else if head.time_ms < self.batch_time_ms {
                Some("its time is before that of the batch before it")
            } else {
                None
            };
            if let Some(what) = wrong {
                self.tell(Scanned::Bad(BadPlace {
                    file: segment.name.clone(),
                    offset: head.offset,
                    bytes: facts.bytes,
                    batch: Some(bad_batch(header)),
                    what: what.to_owned(),
                }));
                return;
            }
            if linked {
                self.pending = None;
                self.deliver(view, facts, end);
            } else if self.witness.durable_seq >= self.next_seq {
                self.hole(head.batch_seq - 1, Some(head.first_position - 1));
                self.deliver(view, facts, end);
            } else {
                // It may be `next_seq + 1` only: one farther on would be a witness itself.
                let batch = OwnedBatch {
                    kind: head.kind,
                    batch_seq: head.batch_seq,
                    first_position: head.first_position,
                    count: head.count,
                    time_ms: head.time_ms,
                    prev_chain: head.prev_chain,
                    payload: payload.to_vec(),
                    file: segment.name.clone(),
                    offset: head.offset,
                };
                self.pending = Some(Pending { batch, chain, facts });
            }
        }
    }

    fn tell_batch(&mut self, batch: BatchView<'_>, standing: Standing, facts: Facts, is_linked: bool) {
        let Facts { incarnation, bytes, durable_seq, is_relog, is_stop } = facts;
        let batch = ScannedBatch { batch, standing, incarnation, bytes, durable_seq, is_relog, is_stop, is_linked };
        self.tell(Scanned::Batch(batch));
    }

    fn deliver(&mut self, view: BatchView<'_>, facts: Facts, end: u64) {
        let is_linked = self.chain.is_some();
        self.expected = (view.location.file.to_owned(), end);
        self.next_seq = view.batch_seq + 1;
        self.next_position = view.first_position + u64::from(view.count);
        self.chain = Some(view.chain);
        self.batch_time_ms = view.time_ms;
        self.tell_batch(view, Standing::Counts, facts, is_linked);
    }

    /// Batches from `next_seq` to `last` are nowhere.
    fn hole(&mut self, last: u64, last_position: Option<u64>) {
        let hole = Hole {
            file: self.expected.0.clone(),
            offset: self.expected.1,
            first_batch_seq: self.next_seq,
            last_batch_seq: last,
            first_position: self.next_position,
            last_position,
            proof: self.witness.proof.clone(),
        };
        self.chain = None;
        self.next_seq = last + 1;
        self.next_position = last_position.map_or(self.next_position, |last| last + 1);
        self.tell(Scanned::Hole(hole));
    }

    /// The batch before the pending one was acknowledged.
    fn settle_pending(&mut self) {
        let Some(Pending { batch, chain, facts }) = self.pending.take() else { return };
        self.hole(batch.batch_seq - 1, Some(batch.first_position - 1));
        let end = batch.offset + facts.bytes;
        self.deliver(view_of(&batch, chain), facts, end);
    }

    fn end(&mut self) {
        if let Some(Pending { batch, chain, facts }) = self.pending.take() {
            self.tell_batch(view_of(&batch, chain), Standing::Unacknowledged, facts, false);
        }
        if self.witness.durable_seq >= self.next_seq && self.flow.is_continue() {
            let (batch_seq, position) = self.durable;
            let last_position = (batch_seq >= self.witness.durable_seq).then_some(position);
            self.hole(self.witness.durable_seq, last_position);
        }
    }
}

fn bad_batch(header: &FrameHeader) -> BadBatch {
    let head = &header.head;
    BadBatch { batch_seq: head.batch_seq, first_position: head.first_position, count: head.count }
}

fn view_of(batch: &OwnedBatch, chain: Chain) -> BatchView<'_> {
    BatchView {
        kind: batch.kind,
        batch_seq: batch.batch_seq,
        first_position: batch.first_position,
        count: batch.count,
        time_ms: batch.time_ms,
        payload: &batch.payload,
        chain,
        location: Location { file: &batch.file, offset: batch.offset },
    }
}
