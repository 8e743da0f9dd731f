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

use std::collections::VecDeque;
use std::fmt;
use std::io;

use probe::{planted, sometimes};

use crate::checkpoint::CheckpointMeta;
use crate::error::{Damage, Proof, RecoverError, SinkError};
use crate::format::{
    BatchKind, Chain, FIRST_POSITION, FLAG_RELOG, FLAG_STOPPED, FORMAT_MAJOR, FRAME_BYTES_MAX, FRAME_VERSION,
    FrameHeader, LogIdentity, PAGE_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader, Unusable,
};
use crate::reader::{Found, HeaderFound, SegmentReader};
use crate::segment::{SegmentInfo, SegmentName};
use crate::storage::Storage;
use crate::watermark::{WATERMARK_NAME, Watermark, WatermarkFile};

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
    for number in 1..segments.len() {
        let next_first = segments[number].first_batch_seq;
        let before = &mut segments[number - 1];
        // What was written again in a later segment counts there.
        before.last_batch_seq = before.last_batch_seq.min(next_first - 1);
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

/// What the names, the headers and the watermark say, before any batch is read.
struct Survey {
    segments: Vec<Headed>,
    identity: Option<LogIdentity>,
    epoch: u64,
    time_ms: u64,
    watermark_seq: u64,
    watermark_position: u64,
    /// Batches that the watermark vouches for, with the chain after each.
    watermark_chains: Vec<(u64, Chain)>,
    /// A segment newer than all that are there, and the watermark that was written when it was.
    missing: Option<(SegmentName, Watermark)>,
    warnings: Vec<Warning>,
    unused: Vec<String>,
}

impl Survey {
    fn read(storage: &dyn Storage) -> Result<Survey, RecoverError> {
        let mut survey = Survey {
            segments: Vec::new(),
            identity: None,
            epoch: 0,
            time_ms: 0,
            watermark_seq: 0,
            watermark_position: 0,
            watermark_chains: Vec::new(),
            missing: None,
            warnings: Vec::new(),
            unused: Vec::new(),
        };
        let mut places: Vec<SegmentName> =
            storage.list("").map_err(io_error(""))?.iter().filter_map(|name| SegmentName::parse(name)).collect();
        places.sort_unstable();
        for place in &places {
            survey.read_header(storage, *place)?;
        }
        survey.read_watermark(storage)?;
        // The lowest `kept` among all headers read so far, and among those of newer epochs only.
        let (mut all, mut newer, mut epoch) = (u64::MAX, u64::MAX, u64::MAX);
        for segment in survey.segments.iter_mut().rev() {
            if segment.header.epoch != epoch {
                (newer, epoch) = (all, segment.header.epoch);
            }
            segment.kept_seq = newer;
            all = all.min(segment.header.prev_kept_seq);
        }
        Ok(survey)
    }

    fn warn(&mut self, file: &str, what: impl Into<String>) {
        self.warnings.push(Warning { file: file.to_owned(), what: what.into(), is_damage: false });
    }

    fn warn_of_damage(&mut self, file: &str, what: impl Into<String>) {
        self.warnings.push(Warning { file: file.to_owned(), what: what.into(), is_damage: true });
    }

    fn read_header(&mut self, storage: &dyn Storage, place: SegmentName) -> Result<(), RecoverError> {
        let name = place.to_string();
        let file = storage.open_read_uncached(&name).map_err(io_error(&name))?;
        let mut reader = SegmentReader::new(file, place).map_err(io_error(&name))?;
        self.epoch = self.epoch.max(place.epoch);
        match reader.header().map_err(io_error(&name))? {
            HeaderFound::Valid { header, bad_page } => {
                if let Some(offset) = bad_page {
                    sometimes!("recovery: one header page is damaged");
                    let what = format!("its header page at byte {offset} is damaged; the other is used");
                    // Both are durable before the first batch is written; without one it may be a crash.
                    if reader.any_frame().map_err(io_error(&name))?.is_some() {
                        self.warn_of_damage(&name, what);
                    } else {
                        self.warn(&name, what);
                    }
                }
                self.compare_identity(&name, &header)?;
                let partition = header.identity.partition;
                if (partition, header.epoch, header.index) != (place.partition, place.epoch, place.index) {
                    return Err(contradiction(
                        &name,
                        0,
                        header.first_batch_seq,
                        header.first_position,
                        format!(
                            "its header says that it is partition {partition} epoch {} index {}: it was renamed or \
                             written over",
                            header.epoch, header.index
                        ),
                    ));
                }
                if reader.bytes() < header.capacity {
                    // A segment has its full length before it has a header.
                    return Err(contradiction(
                        &name,
                        reader.bytes(),
                        header.first_batch_seq,
                        header.first_position,
                        format!("the file ends there, and its header says that it has {} bytes", header.capacity),
                    ));
                }
                self.time_ms = self.time_ms.max(header.time_ms);
                self.segments.push(Headed { name, place, header, kept_seq: u64::MAX });
            }
            HeaderFound::Newer { offset, format } => {
                return Err(RecoverError::NewerFormat { file: name, offset, found: format, known: FORMAT_MAJOR });
            }
            HeaderFound::Impossible { offset, what } => {
                return Err(contradiction(&name, offset, 0, 0, format!("{what}, though it checks")));
            }
            HeaderFound::None => {
                // A header is durable before the first batch is written. With a batch there, it was.
                if let Some(frame) = reader.any_frame().map_err(io_error(&name))? {
                    return Err(contradiction(
                        &name,
                        0,
                        frame.head.batch_seq,
                        frame.head.first_position,
                        format!(
                            "the head of batch {} at byte {} of the file checks, so both header pages were \
                             there",
                            frame.head.batch_seq, frame.head.offset
                        ),
                    ));
                }
                if reader.not_zero(0).map_err(io_error(&name))?.is_none() {
                    sometimes!("recovery: a prepared segment was never used");
                    self.unused.push(name);
                } else {
                    sometimes!("recovery: a segment was left half created");
                    self.warn(
                        &name,
                        "has neither header nor batch, as after a crash during its \
                                      creation; it is disregarded",
                    );
                }
            }
        }
        Ok(())
    }

    /// All files of a folder belong to one log, and an incarnation never goes back.
    fn compare_identity(&mut self, name: &str, header: &SegmentHeader) -> Result<(), RecoverError> {
        let found = header.identity;
        let wrong = |difference| Err(RecoverError::WrongInstance { file: name.to_owned(), difference });
        if let Some(known) = self.identity {
            if found.instance != known.instance {
                return wrong("its instance is another one".to_owned());
            }
            if found.partition != known.partition {
                return wrong(format!("it is of partition {}, the others of {}", found.partition, known.partition));
            }
            if found.incarnation < known.incarnation {
                sometimes!("recovery: a segment of an older incarnation is refused");
                return wrong(format!(
                    "it is of incarnation {}, older segments are of {}",
                    found.incarnation, known.incarnation
                ));
            }
        }
        self.identity = Some(found);
        Ok(())
    }

    fn read_watermark(&mut self, storage: &dyn Storage) -> Result<(), RecoverError> {
        let file = WatermarkFile::read(storage).map_err(io_error(WATERMARK_NAME))?;
        if let Some((offset, found)) = file.newer {
            return Err(RecoverError::NewerFormat {
                file: WATERMARK_NAME.to_owned(),
                offset,
                found,
                known: WatermarkFile::NEWEST_FORMAT,
            });
        }
        sometimes!("recovery: a page of the watermark is damaged", !file.damaged.is_empty());
        match file.damaged[..] {
            [] => {}
            [offset] if file.valid.is_empty() => {
                let what =
                    format!("its page at byte {offset} is damaged and the other was never written; it is not used");
                self.warn(WATERMARK_NAME, what);
            }
            [offset] => {
                let what = format!("its page at byte {offset} is damaged, as after a crash; the other is used");
                self.warn(WATERMARK_NAME, what);
            }
            _ => {
                let what = "both pages, from byte 0 on, are damaged; it is not used";
                // One is synced before the other is touched, and the first before there is a batch.
                if self.any_batch(storage)? {
                    self.warn_of_damage(WATERMARK_NAME, what);
                } else {
                    self.warn(WATERMARK_NAME, what);
                }
            }
        }
        if !file.is_there && self.any_batch(storage)? {
            // It is durable before the first batch of the first segment.
            self.warn_of_damage(WATERMARK_NAME, "it is missing: the end of the log has one witness less");
        }
        for watermark in file.valid {
            let found = watermark.identity;
            let wrong = |difference| Err(RecoverError::WrongInstance { file: WATERMARK_NAME.to_owned(), difference });
            if let Some(known) = self.identity {
                if found.instance != known.instance || found.partition != known.partition {
                    return wrong("its instance or partition is another one".to_owned());
                }
                if found.incarnation > known.incarnation {
                    return wrong(format!(
                        "it is of incarnation {}, the newest segment of {}",
                        found.incarnation, known.incarnation
                    ));
                }
                if found.incarnation < known.incarnation {
                    // What it vouched for was settled when the incarnation changed.
                    continue;
                }
            }
            let newest = self.segments.last().map_or(0, |segment| segment.header.epoch);
            if watermark.epoch > newest {
                // A segment of its epoch was durable before it was written, and the newest one is never removed.
                return Err(contradiction(
                    WATERMARK_NAME,
                    0,
                    watermark.durable_seq.saturating_add(1),
                    watermark.position.saturating_add(1),
                    format!("it was written in epoch {}, and no segment of that epoch is left", watermark.epoch),
                ));
            }
            let newest_index = self.segments.last().map_or(0, |segment| segment.header.index);
            if let Some(index) = watermark.index.filter(|&index| watermark.epoch == newest && index > newest_index) {
                self.missing = Some((SegmentName { partition: found.partition, epoch: newest, index }, watermark));
            }
            self.watermark_chains.extend(watermark.chain.map(|chain| (watermark.durable_seq, chain)));
            self.watermark_seq = self.watermark_seq.max(watermark.durable_seq);
            self.watermark_position = self.watermark_position.max(watermark.position);
            self.time_ms = self.time_ms.max(watermark.time_ms);
        }
        Ok(())
    }

    fn any_batch(&self, storage: &dyn Storage) -> Result<bool, RecoverError> {
        for Headed { name, place, .. } in &self.segments {
            let file = storage.open_read(name).map_err(io_error(name))?;
            let mut reader = SegmentReader::new(file, *place).map_err(io_error(name))?;
            if reader.any_frame().map_err(io_error(name))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The witnesses that are known before any batch is read.
    fn witness(&self, from: &RecoverFrom) -> Result<Witness, RecoverError> {
        let mut witness =
            Witness { durable_seq: from.after_batch_seq, proof: Proof::Checkpoint { batch_seq: from.after_batch_seq } };
        for segment in &self.segments {
            let durable_seq = segment.header.prev_durable_seq;
            witness.hear(durable_seq, || Proof::SegmentHeader { file: segment.name.clone(), durable_seq });
        }
        let durable_seq = self.watermark_seq;
        witness.hear(durable_seq, || Proof::Watermark { durable_seq });
        Ok(witness)
    }

    /// The segment to begin with: the first after the last gap that the checkpoint covers. Segments
    /// below a checkpoint may be removed, and a crash may bring some of the removed ones back.
    fn start(&mut self, from: &RecoverFrom) -> Result<usize, RecoverError> {
        let covered = |segment: &Headed| segment.header.first_batch_seq <= from.after_batch_seq.saturating_add(1);
        let start = (1..self.segments.len())
            .rev()
            .find(|&number| {
                !follows(&self.segments[number - 1], &self.segments[number]) && covered(&self.segments[number])
            })
            .unwrap_or(0);
        for number in 0..start {
            let name = self.segments[number].name.clone();
            self.warn(&name, "lies before a gap that the checkpoint covers; it is not read");
        }
        match self.segments.get(start) {
            Some(first) if !covered(first) => Err(RecoverError::Gap {
                after: String::new(),
                before: first.name.clone(),
                batch_seq: from.after_batch_seq + 1,
                next_batch_seq: first.header.first_batch_seq,
                first_position: from.next_position,
            }),
            _ => Ok(start),
        }
    }

    /// No segment at all: an empty folder, or one with a checkpoint only, as after a restore.
    fn nothing(self, from: &RecoverFrom, witness: Witness) -> Result<Recovered, RecoverError> {
        if witness.durable_seq > from.after_batch_seq {
            return Err(RecoverError::Damaged(Box::new(Damage {
                file: WATERMARK_NAME.to_owned(),
                offset: 0,
                batch_seq: from.after_batch_seq + 1,
                first_position: from.next_position,
                last_position: None,
                how_proven: witness.proof,
            })));
        }
        Ok(Recovered {
            identity: None,
            epoch: self.epoch,
            next_batch_seq: from.after_batch_seq + 1,
            next_position: from.next_position,
            durable_seq: from.after_batch_seq,
            chain: from.chain.unwrap_or(Chain::START),
            time_ms: self.time_ms.max(from.time_ms),
            last_batch_time_ms: from.time_ms,
            sealed: false,
            tail: TailReport::Clean,
            warnings: self.warnings,
            segments: Vec::new(),
            unused: self.unused,
            relog: Vec::new(),
        })
    }
}

/// Whether `next` was begun right after `before`. What was between them without a batch need not be there: the
/// header of the last segment of an epoch may have been in the cache alone when the next epoch read it.
fn follows(before: &Headed, next: &Headed) -> bool {
    let (header, previous) = (&next.header, &before.header);
    let between = (header.prev_epoch, header.prev_index) > (previous.epoch, previous.index);
    if between && header.prev_epoch < header.epoch && header.prev_valid_len <= SEGMENT_HEADER_BYTES as u64 {
        sometimes!("recovery: a segment without batches is gone");
        return header.index == 0;
    }
    header.prev_epoch == previous.epoch
        && header.prev_index == previous.index
        && if header.epoch == previous.epoch {
            previous.index.checked_add(1) == Some(header.index)
        } else {
            header.index == 0
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

/// The walk over all batches, oldest first.
struct Walk<'w, 's> {
    from: RecoverFrom,
    witness: &'w mut Witness,
    point: Point,
    recent: VecDeque<Taken>,
    /// Where the next batch should be: the end of the last one taken.
    expected: (String, u64),
    /// The last batch taken is the SEAL of a clean stop.
    stopped: bool,
    infos: Vec<SegmentInfo>,
    /// The first position of the first whole batch beyond a missing one.
    ahead: Option<u64>,
    /// The first byte behind a whole batch that should be zero and is not.
    stray: Option<(String, u64)>,
    /// See [`Survey::watermark_chains`].
    watermark_chains: &'w [(u64, Chain)],
    sink: Sink<'s>,
}

impl Walk<'_, '_> {
    fn contradiction(&self, name: &str, header: &FrameHeader, what: String) -> RecoverError {
        let head = &header.head;
        contradiction(name, head.offset, head.batch_seq, head.first_position, what)
    }

    /// When the walk stands where the checkpoint ends, both must agree.
    fn compare_with_checkpoint(&self, name: &str, offset: u64) -> Result<(), RecoverError> {
        let point = &self.point;
        if point.next_seq != self.from.after_batch_seq.saturating_add(1) {
            return Ok(());
        }
        let Some(chain) = self.from.chain else { return Ok(()) };
        if chain == point.chain && self.from.next_position == point.next_position {
            return Ok(());
        }
        Err(contradiction(
            name,
            offset,
            self.from.after_batch_seq,
            point.next_position,
            "the checkpoint that covers it was made from another history".to_owned(),
        ))
    }

    /// The header of a segment must fit what was read before it. A segment missing between two is no
    /// gap when they fit each other: a crash during its creation may have taken it back.
    fn enter(&mut self, before: Option<&Headed>, segment: &Headed) -> Result<(), RecoverError> {
        let header = &segment.header;
        let first = header.first_batch_seq;
        if first > self.point.next_seq {
            if let Some(before) = before
                && !follows(before, segment)
            {
                return Err(RecoverError::Gap {
                    after: before.name.clone(),
                    before: segment.name.clone(),
                    batch_seq: self.point.next_seq,
                    next_batch_seq: first,
                    first_position: self.point.next_position,
                });
            }
            // Nothing later can fill this hole: copies begin at `first`.
            return Err(RecoverError::Damaged(Box::new(Damage {
                file: self.expected.0.clone(),
                offset: self.expected.1,
                batch_seq: self.point.next_seq,
                first_position: self.point.next_position,
                last_position: self
                    .ahead
                    .unwrap_or(header.first_position)
                    .checked_sub(1)
                    .filter(|&last| last >= self.point.next_position),
                how_proven: Proof::SegmentHeader { file: segment.name.clone(), durable_seq: header.prev_durable_seq },
            })));
        }
        let known = if first == self.point.next_seq {
            Some(self.point)
        } else {
            self.recent.iter().map(|taken| taken.after).find(|after| after.next_seq == first)
        };
        match known {
            Some(known) if known.chain != header.first_chain || known.next_position != header.first_position => {
                Err(contradiction(
                    &segment.name,
                    0,
                    first,
                    header.first_position,
                    "its header begins in another history than the segments before it".to_owned(),
                ))
            }
            _ => Ok(()),
        }
    }

    /// Reads one segment. For the last one also says how it ends.
    fn segment(
        &mut self,
        storage: &dyn Storage,
        segments: &[Headed],
        number: usize,
        last: bool,
    ) -> Result<Option<TailReport>, RecoverError> {
        let segment = &segments[number];
        let name = &segment.name;
        let header = &segment.header;
        let before = if self.infos.is_empty() { None } else { segments.get(number - 1) };
        self.enter(before, segment)?;
        if header.first_batch_seq == self.point.next_seq {
            self.expected = (name.clone(), SEGMENT_HEADER_BYTES as u64);
        }
        self.stopped = false;
        let file = storage.open_read_uncached(name).map_err(io_error(name))?;
        let mut reader = SegmentReader::new(file, segment.place).map_err(io_error(name))?;
        let bytes = reader.bytes();
        let mut info = SegmentInfo {
            name: name.clone(),
            epoch: header.epoch,
            index: header.index,
            first_batch_seq: header.first_batch_seq,
            last_batch_seq: header.first_batch_seq - 1,
            first_position: header.first_position,
            valid_len: SEGMENT_HEADER_BYTES as u64,
            bytes,
        };
        // The end of the last frame that counts, markers included.
        let mut end = SEGMENT_HEADER_BYTES as u64;
        let mut highest_seen = 0;
        let mut beyond = 0;
        let mut offset = SEGMENT_HEADER_BYTES as u64;
        while offset < bytes {
            let (found, next) = reader.frame(offset, Some(&header.identity.instance)).map_err(io_error(name))?;
            match found {
                Found::Zero | Found::Garbage => {}
                Found::Unusable { why: Unusable::Newer(found), .. } => {
                    return Err(RecoverError::NewerFormat { file: name.clone(), offset, found, known: FRAME_VERSION });
                }
                Found::Unusable { header, why: Unusable::Impossible(what) } => {
                    return Err(self.contradiction(name, &header, format!("{what}, though it checks")));
                }
                // What it says of earlier batches was true when it was written.
                Found::Torn { header } => self.hear(name, &header),
                Found::Whole { header: frame, payload, chain, stray } => {
                    if let Some(stray) = stray {
                        self.stray.get_or_insert((name.clone(), stray));
                    }
                    self.hear(name, &frame);
                    let head = frame.head;
                    if head.kind == BatchKind::Marker {
                        // One beyond a hole says that the hole was durable: nothing more to do here.
                        if head.batch_seq < self.point.next_seq {
                            end = next;
                            if (self.expected.0.as_str(), self.expected.1) == (name, offset) {
                                self.expected.1 = next;
                            }
                        }
                    } else {
                        self.judge_place(segment, &frame, highest_seen)?;
                        highest_seen = head.batch_seq;
                        if head.batch_seq > segment.kept_seq {
                            // Another history began below it.
                            sometimes!("recovery: a batch of an older epoch is dead");
                        } else if head.batch_seq > self.point.next_seq {
                            beyond += 1;
                            self.ahead.get_or_insert(head.first_position);
                        } else {
                            if head.batch_seq == self.point.next_seq {
                                self.take(name, number, &frame, payload, chain, next)?;
                            } else {
                                self.compare_copy(name, &frame, chain)?;
                            }
                            if head.batch_seq == info.last_batch_seq + 1 {
                                info.last_batch_seq = head.batch_seq;
                                info.valid_len = next;
                            }
                            end = next;
                        }
                    }
                }
            }
            offset = next;
        }
        self.infos.push(info);
        if !last {
            return Ok(None);
        }
        let Some((first, behind)) = reader.not_zero(end).map_err(io_error(name))? else {
            return Ok(Some(TailReport::Clean));
        };
        // Each batch in flight may be as large as any, with a marker before it. Copies are in flight
        // together, also where the epoch before allowed more than this one.
        let copies = header.prev_kept_seq - header.prev_durable_seq;
        let in_flight = u64::from(header.in_flight).max(copies);
        let window = in_flight * (FRAME_BYTES_MAX + PAGE_BYTES) as u64 + PAGE_BYTES as u64;
        if behind > end + window && self.witness.durable_seq < self.point.next_seq {
            return Err(contradiction(
                name,
                end,
                self.point.next_seq,
                self.point.next_position,
                format!("byte {} of the file is not zero, farther on than the batches in flight reach", behind - 1),
            ));
        }
        sometimes!("recovery: a torn tail is disregarded");
        sometimes!("recovery: whole batches behind a hole are disregarded", beyond > 0);
        Ok(Some(TailReport::Torn { file: name.clone(), offset: first, bytes: behind - first, batches: beyond }))
    }

    fn hear(&mut self, name: &str, header: &FrameHeader) {
        let head = header.head;
        self.witness.hear(head.durable_seq, || {
            let (file, offset, durable_seq) = (name.to_owned(), head.offset, head.durable_seq);
            if head.kind == BatchKind::Marker {
                Proof::Marker { file, offset, durable_seq }
            } else {
                Proof::LaterBatch { file, offset, batch_seq: head.batch_seq, durable_seq }
            }
        });
    }

    /// What a batch says of itself must fit the segment it is in.
    fn judge_place(&self, segment: &Headed, frame: &FrameHeader, highest_seen: u64) -> Result<(), RecoverError> {
        let head = &frame.head;
        let header = &segment.header;
        let again = head.flags & FLAG_RELOG != 0;
        let what = if head.batch_seq < header.first_batch_seq {
            "it is older than its segment"
        } else if head.batch_seq <= highest_seen {
            "a batch with its number or a higher one lies before it in the segment"
        } else if again != (head.batch_seq <= header.prev_kept_seq) {
            "it is called a copy and is none, or the other way round"
        } else if !again && head.batch_seq - head.durable_seq > u64::from(header.in_flight) {
            "it says that more batches were in flight than this log allowed"
        } else {
            return Ok(());
        };
        Err(self.contradiction(&segment.name, frame, what.to_owned()))
    }

    /// The next batch: it must continue what was read.
    fn take(
        &mut self,
        name: &str,
        number: usize,
        frame: &FrameHeader,
        payload: &[u8],
        chain: Chain,
        end: u64,
    ) -> Result<(), RecoverError> {
        let head = &frame.head;
        let what = if head.prev_chain != self.point.chain {
            Some("it continues another history than the batch before it")
        } else if head.first_position != self.point.next_position {
            Some("its first position does not follow the batch before it")
        } else if head.time_ms < self.point.time_ms {
            Some("its time is before that of the batch before it")
        } else {
            None
        };
        if let Some(what) = what {
            return Err(self.contradiction(name, frame, what.to_owned()));
        }
        if self.watermark_chains.iter().any(|&(seq, vouched)| seq == head.batch_seq && vouched != chain) {
            let what = format!("{WATERMARK_NAME} vouches for another batch with its number");
            return Err(self.contradiction(name, frame, what));
        }
        if head.batch_seq > self.from.after_batch_seq {
            (self.sink)(BatchView {
                kind: head.kind,
                batch_seq: head.batch_seq,
                first_position: head.first_position,
                count: head.count,
                time_ms: head.time_ms,
                payload,
                chain,
                location: Location { file: name, offset: head.offset },
            })
            .map_err(|source| RecoverError::Sink {
                file: name.to_owned(),
                offset: head.offset,
                batch_seq: head.batch_seq,
                first_position: head.first_position,
                source,
            })?;
        }
        self.point = Point {
            next_seq: head.batch_seq + 1,
            next_position: head.first_position + u64::from(head.count),
            chain,
            time_ms: head.time_ms,
        };
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(Taken { segment: number, offset: head.offset, after: self.point });
        self.expected = (name.to_owned(), end);
        self.stopped = head.kind == BatchKind::Seal && head.flags & FLAG_STOPPED != 0;
        // A hole that a later epoch filled is none.
        self.ahead = None;
        self.compare_with_checkpoint(name, head.offset)
    }

    /// A second copy of a batch that was taken: it must be the same.
    fn compare_copy(&self, name: &str, frame: &FrameHeader, chain: Chain) -> Result<(), RecoverError> {
        let after = frame.head.batch_seq + 1;
        let same = self.recent.iter().any(|t| t.after.next_seq == after && t.after.chain == chain);
        if same {
            return Ok(());
        }
        Err(self.contradiction(name, frame, "an older segment holds another batch with its number".to_owned()))
    }
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

/// Where reading a segment stands: just after a batch that was delivered.
#[derive(Debug, Clone)]
pub struct SegmentCursor {
    segment: SegmentInfo,
    point: Point,
    offset: u64,
}

impl SegmentCursor {
    /// Before the first batch. The header is read with it.
    pub fn new(segment: SegmentInfo) -> SegmentCursor {
        let point = Point {
            next_seq: segment.first_batch_seq,
            next_position: segment.first_position,
            chain: Chain::START,
            time_ms: 0,
        };
        SegmentCursor { segment, point, offset: 0 }
    }

    /// The segment.
    pub fn segment(&self) -> &SegmentInfo {
        &self.segment
    }

    /// The number of the next batch.
    pub fn next_batch_seq(&self) -> u64 {
        self.point.next_seq
    }

    fn damaged(&self, offset: u64, what: &str) -> RecoverError {
        contradiction(&self.segment.name, offset, self.point.next_seq, self.point.next_position, what.to_owned())
    }

    /// Delivers batches up to and with `last_batch_seq`, which must be durable, verified. Ends early once that
    /// many bytes of payload were delivered. What lies behind is not looked at: a writer may be at work there.
    pub fn read(
        &mut self,
        storage: &dyn Storage,
        last_batch_seq: u64,
        payload_bytes: u64,
        sink: &mut dyn FnMut(BatchView<'_>) -> Result<(), SinkError>,
    ) -> Result<(), RecoverError> {
        if self.point.next_seq > last_batch_seq {
            return Ok(());
        }
        let name = self.segment.name.clone();
        let Some(place) = SegmentName::parse(&name) else {
            return Err(self.damaged(0, "its name is not that of a segment"));
        };
        let file = storage.open_read(&name).map_err(io_error(&name))?;
        let mut reader = SegmentReader::new(file, place).map_err(io_error(&name))?;
        let header = match reader.header().map_err(io_error(&name))? {
            HeaderFound::Valid { header, .. } => header,
            HeaderFound::Newer { offset, format } => {
                return Err(RecoverError::NewerFormat { file: name, offset, found: format, known: FORMAT_MAJOR });
            }
            HeaderFound::None => return Err(self.damaged(0, "its header was there at the last start")),
            HeaderFound::Impossible { offset, what } => return Err(self.damaged(offset, what)),
        };
        if (header.epoch, header.index) != (place.epoch, place.index)
            || header.first_batch_seq != self.segment.first_batch_seq
            || header.first_position != self.segment.first_position
        {
            return Err(self.damaged(0, "its header is not the one it had at the last start"));
        }
        if self.offset == 0 {
            self.point.chain = header.first_chain;
            self.offset = SEGMENT_HEADER_BYTES as u64;
        }
        let mut delivered = 0;
        while self.point.next_seq <= last_batch_seq && delivered < payload_bytes {
            let offset = self.offset;
            if offset >= reader.bytes() {
                return Err(self.damaged(offset, "the batch was there when the segment was sealed"));
            }
            let (found, next) = reader.frame(offset, Some(&header.identity.instance)).map_err(io_error(&name))?;
            if let Found::Whole { header: FrameHeader { head, .. }, payload, chain, .. } = found
                && head.kind != BatchKind::Marker
            {
                let point = &self.point;
                if head.batch_seq != point.next_seq
                    || head.prev_chain != point.chain
                    || head.first_position != point.next_position
                    || head.time_ms < point.time_ms
                {
                    return Err(self.damaged(offset, "another batch is in its place"));
                }
                sink(BatchView {
                    kind: head.kind,
                    batch_seq: head.batch_seq,
                    first_position: head.first_position,
                    count: head.count,
                    time_ms: head.time_ms,
                    payload,
                    chain,
                    location: Location { file: &name, offset },
                })
                .map_err(|source| RecoverError::Sink {
                    file: name.clone(),
                    offset,
                    batch_seq: head.batch_seq,
                    first_position: head.first_position,
                    source,
                })?;
                delivered += payload.len() as u64;
                self.point = Point {
                    next_seq: head.batch_seq + 1,
                    next_position: head.first_position + u64::from(head.count),
                    chain,
                    time_ms: head.time_ms,
                };
            }
            self.offset = next;
        }
        Ok(())
    }
}

/// Reads one sealed segment again and delivers the batches that count in it, verified.
pub fn read_segment(
    storage: &dyn Storage,
    segment: &SegmentInfo,
    sink: &mut dyn FnMut(BatchView<'_>) -> Result<(), SinkError>,
) -> Result<(), RecoverError> {
    SegmentCursor::new(segment.clone()).read(storage, segment.last_batch_seq, u64::MAX, sink)
}
