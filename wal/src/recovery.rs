//! Reading a log back and judging its tail.
//!
//! The rule. Let S be the first batch that is missing or does not check, when the segments are read in
//! order of epoch and index. Let D be the highest batch that any witness calls durable: every batch and
//! marker that checks, the header of every segment, the watermark file, the checkpoint to start from.
//! When D >= S, something acknowledged is gone: refuse. When D < S, nothing from S on was ever
//! acknowledged: it is disregarded, its bytes stay, and the log goes on at S in a new segment.
//!
//! So reading never stops at the first bad page: what proves the damage lies behind it. Batches of
//! older epochs above `kept` of a newer header do not exist. What carries a valid checksum and says
//! what no writer writes is damage too, wherever it is.
//!
//! Nothing here writes. One window of a segment is in memory at a time.

mod cursor;
mod survey;
mod walk;

use std::collections::VecDeque;
use std::fmt;
use std::io;

use probe::{planted, sometimes};

use crate::checkpoint::CheckpointMeta;
use crate::error::{Damage, Proof, RecoverError, SinkError};
use crate::format::{
    BatchContent, BatchKind, Chain, FIRST_POSITION, FLAG_RELOG, FLAG_STOPPED, FORMAT_MAJOR, FRAME_BYTES_MAX,
    FRAME_VERSION, FrameHeader, LogIdentity, PAGE_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader, Unusable,
};
use crate::reader::{Found, HeaderFound, SegmentReader};
use crate::segment::{SegmentInfo, SegmentName};
use crate::storage::Storage;
use crate::watermark::{WATERMARK_NAME, Watermark, WatermarkFile};
use survey::Survey;
use walk::Walk;

pub use cursor::{SegmentCursor, read_segment};

/// Batches remembered for comparison with copies in a later epoch. Copies reach back at most
/// [`IN_FLIGHT_MAX`] batches; the rest is slack.
const RECENT: usize = 8;

/// Where to begin: what the newest checkpoint covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecoverFrom {
    /// Batches up to this one are verified where they are kept, and not delivered. 0: deliver all.
    pub after_batch_seq: u64,
    /// The chain after that batch.
    pub chain: Option<Chain>,
    /// The position after it.
    pub next_position: u64,
    /// Its time.
    pub time_ms: u64,
}

impl RecoverFrom {
    /// From the first batch.
    pub fn start() -> RecoverFrom {
        RecoverFrom { after_batch_seq: 0, chain: None, next_position: FIRST_POSITION, time_ms: 0 }
    }

    /// From where a checkpoint ends.
    pub fn checkpoint(meta: &CheckpointMeta) -> RecoverFrom {
        RecoverFrom {
            after_batch_seq: meta.batch_seq,
            chain: Some(meta.chain),
            next_position: meta.next_position,
            time_ms: meta.time_ms,
        }
    }
}

/// Where a batch lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location<'a> {
    /// The file.
    pub file: &'a str,
    /// Where in the file.
    pub offset: u64,
}

/// One batch, lent to the sink.
#[derive(Debug, Clone, Copy)]
pub struct BatchView<'a> {
    /// What it is: never [`BatchKind::Marker`].
    pub kind: BatchKind,
    /// Its number.
    pub batch_seq: u64,
    /// The position of its first change.
    pub first_position: u64,
    /// How many changes.
    pub count: u32,
    /// Its time.
    pub time_ms: u64,
    /// The opaque bytes.
    pub payload: &'a [u8],
    /// The chain after it: what a checkpoint that ends with this batch carries.
    pub chain: Chain,
    /// Where it lies.
    pub location: Location<'a>,
}

impl<'a> BatchView<'a> {
    /// The batch with this header in `file`.
    pub(crate) fn of(header: &FrameHeader, payload: &'a [u8], chain: Chain, file: &'a str) -> BatchView<'a> {
        let head = &header.head;
        BatchView {
            kind: head.kind,
            batch_seq: head.batch_seq,
            first_position: head.first_position,
            count: head.count,
            time_ms: head.time_ms,
            payload,
            chain,
            location: Location { file, offset: head.offset },
        }
    }

    /// Delivers it. What the sink says against it gets its place.
    fn hand_to(self, sink: &mut dyn FnMut(BatchView<'_>) -> Result<(), SinkError>) -> Result<(), RecoverError> {
        sink(self).map_err(|source| RecoverError::Sink {
            file: self.location.file.to_owned(),
            offset: self.location.offset,
            batch_seq: self.batch_seq,
            first_position: self.first_position,
            source,
        })
    }

    /// What it says, wherever it lies.
    pub fn content(&self) -> BatchContent<'a> {
        BatchContent {
            kind: self.kind,
            batch_seq: self.batch_seq,
            first_position: self.first_position,
            count: self.count,
            time_ms: self.time_ms,
            payload: self.payload,
        }
    }
}

/// A batch kept in memory to be written again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedBatch {
    /// What it is.
    pub kind: BatchKind,
    /// Its number.
    pub batch_seq: u64,
    /// The position of its first change.
    pub first_position: u64,
    /// How many changes.
    pub count: u32,
    /// Its time.
    pub time_ms: u64,
    /// The chain before it.
    pub prev_chain: Chain,
    /// The opaque bytes.
    pub payload: Vec<u8>,
    /// The file it was read from.
    pub file: String,
    /// Where in the file.
    pub offset: u64,
}

/// How the log ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TailReport {
    /// Nothing after the last batch.
    Clean,
    /// A write that was never acknowledged lies after the last batch and is disregarded.
    Torn {
        /// The file.
        file: String,
        /// The first byte that is disregarded.
        offset: u64,
        /// From there to the last byte that is not zero.
        bytes: u64,
        /// Whole batches among them.
        batches: u32,
    },
}

/// Something that does not stop a start and that an operator should read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The file.
    pub file: String,
    /// One sentence.
    pub what: String,
    /// No crash leaves this: what was durable is damaged or gone. The state is whole all the same.
    pub is_damage: bool,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.what)
    }
}

/// What a log holds.
#[derive(Debug, Clone)]
pub struct Recovered {
    /// Which log it is; nothing when the folder has none.
    pub identity: Option<LogIdentity>,
    /// The highest epoch used; the next opening for writing takes the one after.
    pub epoch: u64,
    /// The number the next batch gets.
    pub next_batch_seq: u64,
    /// The position the next change gets.
    pub next_position: u64,
    /// The last batch that is proven durable.
    pub durable_seq: u64,
    /// The chain after the last batch.
    pub chain: Chain,
    /// The latest time in the log or the watermark file.
    pub time_ms: u64,
    /// The time of the last batch.
    pub last_batch_time_ms: u64,
    /// Whether the last writer stopped cleanly.
    pub sealed: bool,
    /// How the log ends.
    pub tail: TailReport,
    /// What an operator should read.
    pub warnings: Vec<Warning>,
    /// The segments kept, oldest first.
    pub segments: Vec<SegmentInfo>,
    /// Segments of zeros, made ready and never used; [`crate::LogWriter::open`] removes them.
    pub unused: Vec<String>,
    /// The batches above `durable_seq`: [`crate::LogWriter::open`] writes them again.
    pub relog: Vec<OwnedBatch>,
}

type Sink<'s> = &'s mut dyn FnMut(BatchView<'_>) -> Result<(), SinkError>;

fn io_error(file: &str) -> impl FnOnce(io::Error) -> RecoverError + use<> {
    let file = file.to_owned();
    move |source| RecoverError::Io { file, source }
}

/// A segment whose header checks.
struct Headed {
    name: String,
    place: SegmentName,
    header: SegmentHeader,
    /// Batches above this do not exist: a later epoch went on without them.
    kept_seq: u64,
}

/// Just after a batch.
#[derive(Debug, Clone, Copy)]
struct Point {
    next_seq: u64,
    next_position: u64,
    chain: Chain,
    time_ms: u64,
}

/// A batch that was taken over, to find it again.
#[derive(Debug, Clone, Copy)]
struct Taken {
    segment: usize,
    offset: u64,
    after: Point,
}

/// The strongest witness so far.
pub(crate) struct Witness {
    pub(crate) durable_seq: u64,
    pub(crate) proof: Proof,
}

impl Witness {
    pub(crate) fn hear(&mut self, durable_seq: u64, proof: impl FnOnce() -> Proof) {
        if durable_seq > self.durable_seq {
            self.durable_seq = durable_seq;
            self.proof = proof();
        }
    }
}

/// Reads the log, delivers every batch above `from.after_batch_seq` in order, and judges the tail.
/// Writes nothing. What was delivered counts only when this returns `Ok`.
pub fn recover(
    storage: &dyn Storage,
    from: RecoverFrom,
    sink: &mut dyn FnMut(BatchView<'_>) -> Result<(), SinkError>,
) -> Result<Recovered, RecoverError> {
    let mut survey = Survey::read(storage)?;
    let mut witness = survey.witness(&from)?;
    let start = survey.start(&from)?;
    let Some(first) = survey.segments.get(start) else {
        return survey.nothing(&from, witness);
    };
    let mut walk = Walk {
        from,
        witness: &mut witness,
        point: Point {
            next_seq: first.header.first_batch_seq,
            next_position: first.header.first_position,
            chain: first.header.first_chain,
            time_ms: 0,
        },
        recent: VecDeque::with_capacity(RECENT),
        expected: (first.name.clone(), SEGMENT_HEADER_BYTES as u64),
        stopped: false,
        infos: Vec::new(),
        ahead: None,
        stray: None,
        watermark_chains: &survey.watermark_chains,
        sink,
    };
    walk.compare_with_checkpoint(&first.name, 0)?;
    let mut tail = TailReport::Clean;
    for number in start..survey.segments.len() {
        let last = number + 1 == survey.segments.len();
        if let Some(torn) = walk.segment(storage, &survey.segments, number, last)? {
            tail = torn;
        }
    }
    let Walk { point, recent, infos, stopped, expected, ahead, stray, .. } = walk;
    let watermark_position = survey.watermark_position;
    let damaged = |how_proven| {
        RecoverError::Damaged(Box::new(Damage {
            file: expected.0.clone(),
            offset: expected.1,
            batch_seq: point.next_seq,
            first_position: point.next_position,
            // The next whole batch tells, or at the end the watermark.
            last_position: ahead
                .map_or(Some(watermark_position), |position| position.checked_sub(1))
                .filter(|&last| last >= point.next_position),
            how_proven,
        }))
    };
    if witness.durable_seq >= point.next_seq && !planted!(TailAtFirstBad) {
        sometimes!("recovery: acknowledged data is damaged");
        return Err(damaged(witness.proof));
    }
    if let Some((name, watermark)) = survey.missing {
        // Written after the header of that segment was durable, and the newest one is never removed. What was in
        // it was acknowledged or not; nothing that is left can tell.
        sometimes!("recovery: the newest segment is missing");
        return Err(contradiction(
            WATERMARK_NAME,
            0,
            watermark.durable_seq.saturating_add(1),
            watermark.position.saturating_add(1),
            format!("{name} was there when it was written, and is no segment any more"),
        ));
    }
    if let Some((file, offset)) = stray {
        // What is written around it checks, so nothing is lost. A garbled sector of a write that was cut
        // short may leave it too.
        survey.warn(&file, format!("byte {offset} behind a batch is not zero; the batch itself is whole"));
    }
    let durable_seq = witness.durable_seq.min(point.next_seq - 1);
    let mut relog = Vec::new();
    for taken in recent.iter().filter(|taken| taken.after.next_seq - 1 > durable_seq) {
        relog.push(read_again(storage, &survey.segments[taken.segment], *taken)?);
    }
    if relog.len() as u64 != point.next_seq - 1 - durable_seq {
        return Err(damaged(Proof::Contradiction(format!(
            "only batch {durable_seq} is called durable, too far behind for what may be in flight"
        ))));
    }
    sometimes!("recovery: batches are to be written again", !relog.is_empty());
    sometimes!("recovery: the log goes on from a checkpoint", from.after_batch_seq > 0);
    let mut segments = infos;
    let mut counts_later = u64::MAX;
    for segment in segments.iter_mut().rev() {
        if segment.is_empty() {
            // A segment without batches takes none from those before it, whatever its header begins with.
            continue;
        }
        // What was written again in a later segment counts there.
        segment.last_batch_seq = segment.last_batch_seq.min(counts_later - 1).max(segment.first_batch_seq - 1);
        counts_later = counts_later.min(segment.first_batch_seq);
    }
    Ok(Recovered {
        identity: survey.identity,
        epoch: survey.epoch,
        next_batch_seq: point.next_seq,
        next_position: point.next_position,
        durable_seq,
        chain: point.chain,
        time_ms: survey.time_ms.max(point.time_ms).max(from.time_ms),
        last_batch_time_ms: point.time_ms.max(if recent.is_empty() { from.time_ms } else { 0 }),
        sealed: stopped && tail == TailReport::Clean,
        tail,
        warnings: survey.warnings,
        segments,
        unused: survey.unused,
        relog,
    })
}

/// Fetches a batch that was taken over.
fn read_again(storage: &dyn Storage, segment: &Headed, taken: Taken) -> Result<OwnedBatch, RecoverError> {
    let name = &segment.name;
    let file = storage.open_read(name).map_err(io_error(name))?;
    let mut reader = SegmentReader::new(file, segment.place).map_err(io_error(name))?;
    let instance = Some(&segment.header.identity.instance);
    match reader.frame(taken.offset, instance).map_err(io_error(name))?.0 {
        Found::Whole { header: FrameHeader { head, .. }, payload, chain, .. } if chain == taken.after.chain => {
            Ok(OwnedBatch {
                kind: head.kind,
                batch_seq: head.batch_seq,
                first_position: head.first_position,
                count: head.count,
                time_ms: head.time_ms,
                prev_chain: head.prev_chain,
                payload: payload.to_vec(),
                file: name.clone(),
                offset: taken.offset,
            })
        }
        _ => Err(contradiction(
            name,
            taken.offset,
            taken.after.next_seq - 1,
            taken.after.next_position,
            "it reads differently the second time: the device or the memory is failing".to_owned(),
        )),
    }
}

fn contradiction(file: &str, offset: u64, batch_seq: u64, first_position: u64, what: String) -> RecoverError {
    RecoverError::Damaged(Box::new(Damage {
        file: file.to_owned(),
        offset,
        batch_seq,
        first_position,
        last_position: None,
        how_proven: Proof::Contradiction(what),
    }))
}
