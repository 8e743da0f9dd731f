//! The one writer of a log.
//!
//! Invariants, asserted where they are made:
//! - a batch says how far the log was durable when it was built, and never more;
//! - a page once written is not written again;
//! - the header of a segment is durable before the first batch of the segment is written;
//! - a segment ends with a durable SEAL before the next one begins, with no batch in flight.
//!
//! The first error ends this writer: nobody knows what is on the device after it, so every later call
//! fails and the process should end. There is no retry.

use std::fmt;
use std::sync::Arc;

use probe::{buggify, planted, sometimes};

use crate::error::WriteError;
use crate::format::{
    BATCH_PAYLOAD_BYTES_MAX, BatchKind, Chain, FLAG_RELOG, FLAG_STOPPED, FrameHead, IN_FLIGHT_MAX, LogIdentity,
    PAGE_BYTES, SEGMENT_BYTES_MIN, SEGMENT_HEADER_BYTES, SegmentHeader, frame_bytes,
};
use crate::preallocate::{Preallocate, Preallocator, fill_with_zeros};
use crate::recovery::Recovered;
use crate::segment::{SegmentInfo, SegmentName};
use crate::storage::{Storage, WriteFile};
use crate::watermark::{WATERMARK_NAME, Watermark, WatermarkWriter};

/// How to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogConfig {
    /// Size of a segment.
    pub segment_bytes: u64,
    /// Size of the first segment of an epoch; the next ones are four times the one before.
    pub first_segment_bytes: u64,
    /// Batches written and not yet durable: 1 or 2. One more append syncs first.
    pub in_flight: u32,
    /// Who prepares the next segment.
    pub preallocate: Preallocate,
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig {
            segment_bytes: 64 << 20,
            first_segment_bytes: 1 << 20,
            in_flight: 1,
            preallocate: Preallocate::Background,
        }
    }
}

impl LogConfig {
    /// Segments of this size and no thread: the same calls give the same operations in the same order.
    pub fn deterministic(segment_bytes: u64) -> LogConfig {
        LogConfig { segment_bytes, first_segment_bytes: segment_bytes, in_flight: 1, preallocate: Preallocate::Inline }
    }

    /// The size of a segment, in whole pages.
    fn capacity(&self, index: u64) -> u64 {
        let grown = (0..index.min(32))
            .fold(self.first_segment_bytes, |bytes, _| bytes.saturating_mul(4).min(self.segment_bytes));
        grown.min(self.segment_bytes).max(SEGMENT_BYTES_MIN).next_multiple_of(PAGE_BYTES as u64)
    }
}

/// Where an appended batch went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Its number.
    pub batch_seq: u64,
    /// The position of its first change.
    pub first_position: u64,
    /// The position of its last change; `first_position - 1` when it has none.
    pub last_position: u64,
    /// The segment within the epoch.
    pub segment_index: u64,
}

/// The segment being written.
struct Live {
    name: String,
    index: u64,
    file: Box<dyn WriteFile>,
    capacity: u64,
    first_batch_seq: u64,
    first_position: u64,
    /// The chain before the first batch.
    first_chain: Chain,
    /// Where the next frame goes.
    end: u64,
    /// The end of what is durable.
    durable_end: u64,
}

/// The one writer of a log.
pub struct LogWriter {
    identity: LogIdentity,
    config: LogConfig,
    epoch: u64,
    live: Live,
    next_batch_seq: u64,
    next_position: u64,
    chain: Chain,
    /// The time of the last batch.
    time_ms: u64,
    durable_seq: u64,
    durable_position: u64,
    /// The chain after the last durable batch.
    durable_chain: Chain,
    /// The latest time in a watermark.
    watermark_time_ms: u64,
    /// The durable batch that the last marker or header spoke of.
    marked_seq: u64,
    sealed: Vec<SegmentInfo>,
    preallocator: Preallocator,
    watermark: WatermarkWriter,
    /// The frame being built, kept for its allocation.
    frame: Vec<u8>,
    failed: bool,
    stopped: bool,
}

impl fmt::Debug for LogWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogWriter")
            .field("identity", &self.identity)
            .field("segment", &self.live.name)
            .field("next_batch_seq", &self.next_batch_seq)
            .field("durable_seq", &self.durable_seq)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

/// A frame about to be written.
struct Frame<'a> {
    kind: BatchKind,
    flags: u8,
    time_ms: u64,
    count: u32,
    payload: &'a [&'a [u8]],
}

impl LogWriter {
    /// Starts a new epoch. Its first segment is durable first; then the batches that are not proven
    /// durable are written again and synced. When this returns, everything recovered is durable, and
    /// only now may it be shown to anybody. Old segments are not touched.
    pub fn open(
        storage: Arc<dyn Storage>,
        identity: LogIdentity,
        config: LogConfig,
        recovered: &Recovered,
    ) -> Result<LogWriter, WriteError> {
        assert!(
            (1..=IN_FLIGHT_MAX).contains(&config.in_flight),
            "{} batches in flight; at most {IN_FLIGHT_MAX}",
            config.in_flight
        );
        if let Some(found) = recovered.identity
            && (found.instance != identity.instance
                || found.partition != identity.partition
                || found.incarnation > identity.incarnation)
        {
            return Err(WriteError::WrongInstance {
                difference: format!("it is {found:?}, and {identity:?} was asked for"),
            });
        }
        for name in &recovered.unused {
            storage.remove(name).map_err(|e| WriteError::io(name, "removing an unused file", e))?;
        }
        let watermark =
            WatermarkWriter::open(storage.as_ref()).map_err(|e| WriteError::io(WATERMARK_NAME, "opening", e))?;
        let mut preallocator = Preallocator::start(Arc::clone(&storage), config.preallocate)
            .map_err(|e| WriteError::io("", "starting the thread that prepares segments", e))?;

        let durable_seq = recovered.durable_seq;
        let kept_seq = recovered.next_batch_seq - 1;
        assert!(durable_seq <= kept_seq, "durable {durable_seq}, kept {kept_seq}");
        assert_eq!(
            recovered.relog.len() as u64,
            kept_seq - durable_seq,
            "every kept batch that is not proven durable is there to be written again"
        );
        // Where the new segment begins: after the last batch that is proven durable.
        let (first_position, first_chain) = recovered
            .relog
            .first()
            .map_or((recovered.next_position, recovered.chain), |b| (b.first_position, b.prev_chain));
        let epoch = recovered.epoch + 1;
        let relog_bytes: usize = recovered.relog.iter().map(|b| frame_bytes(b.payload.len())).sum();
        let capacity = config.capacity(0).max((SEGMENT_HEADER_BYTES + relog_bytes + PAGE_BYTES) as u64);
        let previous = recovered.segments.last();
        let header = SegmentHeader {
            identity,
            in_flight: config.in_flight,
            epoch,
            index: 0,
            first_batch_seq: if planted!(KeptAsWitness) { kept_seq } else { durable_seq } + 1,
            first_position,
            first_chain,
            prev_epoch: previous.map_or(0, |segment| segment.epoch),
            prev_index: previous.map_or(0, |segment| segment.index),
            prev_valid_len: previous.map_or(0, |segment| segment.valid_len),
            prev_durable_seq: if planted!(KeptAsWitness) { kept_seq } else { durable_seq },
            prev_kept_seq: kept_seq,
            time_ms: recovered.time_ms,
            capacity,
        };
        let live = start_segment(&mut preallocator, header)?;
        let mut writer = LogWriter {
            identity,
            config,
            epoch,
            live,
            next_batch_seq: durable_seq + 1,
            next_position: first_position,
            chain: first_chain,
            time_ms: recovered.relog.first().map_or(recovered.last_batch_time_ms, |b| b.time_ms),
            durable_seq,
            durable_position: first_position - 1,
            durable_chain: first_chain,
            watermark_time_ms: 0,
            marked_seq: durable_seq,
            sealed: recovered.segments.clone(),
            preallocator,
            watermark,
            frame: Vec::new(),
            failed: false,
            stopped: false,
        };
        for batch in &recovered.relog {
            assert_eq!(batch.batch_seq, writer.next_batch_seq, "written again in order");
            assert_eq!(batch.prev_chain, writer.chain, "written again as it was");
            writer.write_frame(Frame {
                kind: batch.kind,
                flags: FLAG_RELOG,
                time_ms: batch.time_ms,
                count: batch.count,
                payload: &[&batch.payload],
            })?;
        }
        assert_eq!(writer.chain, recovered.chain, "the copy is the log that was recovered");
        assert_eq!(writer.next_position, recovered.next_position, "positions stay");
        // What is written again counts here, and not in its old segment.
        for segment in &mut writer.sealed {
            if segment.last_batch_seq > durable_seq {
                segment.last_batch_seq = durable_seq.max(segment.first_batch_seq - 1);
            }
        }
        if !recovered.relog.is_empty() {
            sometimes!("log: a start writes batches again");
            if planted!(ServeBeforeRelog) { writer.believe_durable() } else { writer.sync()? }
        }
        // From here on a start that finds no segment of this epoch knows that one is missing.
        writer.write_watermark(recovered.time_ms)?;
        writer.ask_for_next();
        Ok(writer)
    }

    /// Writes one batch ([`BatchKind::Data`] or [`BatchKind::Hash`]); durable after the next sync.
    /// `payload` is gathered. Rotates first when the segment is full; syncs first when as many batches
    /// as the configuration allows are in flight.
    ///
    /// # Panics
    /// When the payload is longer than [`BATCH_PAYLOAD_BYTES_MAX`], the time is before the last
    /// batch's, or the log was sealed: such a batch would be refused when it is read.
    pub fn append(
        &mut self,
        kind: BatchKind,
        time_ms: u64,
        count: u32,
        payload: &[&[u8]],
    ) -> Result<Appended, WriteError> {
        assert!(matches!(kind, BatchKind::Data | BatchKind::Hash), "{kind:?} is not appended");
        assert!(kind == BatchKind::Data || count == 0, "{kind:?} has no changes");
        assert!(time_ms >= self.time_ms, "time {time_ms} is before the last batch's, {}", self.time_ms);
        let payload_bytes: usize = payload.iter().map(|part| part.len()).sum();
        assert!(payload_bytes <= BATCH_PAYLOAD_BYTES_MAX, "a batch of {payload_bytes} bytes");
        self.usable()?;
        if self.next_batch_seq - 1 - self.durable_seq >= u64::from(self.config.in_flight) {
            self.sync()?;
        }
        let bytes = frame_bytes(payload_bytes) as u64;
        // The last page is for the SEAL.
        let full = self.live.end + bytes + PAGE_BYTES as u64 > self.live.capacity;
        if full || self.next_batch_seq > self.live.first_batch_seq && buggify!("log: rotate early") {
            self.rotate_for(bytes)?;
        }
        let appended = Appended {
            batch_seq: self.next_batch_seq,
            first_position: self.next_position,
            last_position: self.next_position + u64::from(count) - 1,
            segment_index: self.live.index,
        };
        self.write_frame(Frame { kind, flags: 0, time_ms, count, payload })?;
        Ok(appended)
    }

    /// Makes everything appended durable.
    pub fn sync(&mut self) -> Result<(), WriteError> {
        self.usable()?;
        if self.durable_seq + 1 == self.next_batch_seq {
            return Ok(());
        }
        let mut result = self.live.file.sync_data();
        if planted!(SyncRetried) && result.is_err() {
            result = self.live.file.sync_data();
        }
        self.check(result, "syncing")?;
        self.believe_durable();
        Ok(())
    }

    fn believe_durable(&mut self) {
        self.durable_seq = self.next_batch_seq - 1;
        self.durable_position = self.next_position - 1;
        self.durable_chain = self.chain;
        self.live.durable_end = self.live.end;
    }

    /// The last durable batch.
    pub fn durable_seq(&self) -> u64 {
        self.durable_seq
    }

    /// The last durable position.
    pub fn durable_position(&self) -> u64 {
        self.durable_position
    }

    /// The position the next change gets.
    pub fn next_position(&self) -> u64 {
        self.next_position
    }

    /// The number the next batch gets.
    pub fn next_batch_seq(&self) -> u64 {
        self.next_batch_seq
    }

    /// The chain after the last appended batch.
    pub fn chain(&self) -> Chain {
        self.chain
    }

    /// The opening for writing that this writer is.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Which log this is.
    pub fn identity(&self) -> LogIdentity {
        self.identity
    }

    /// Writes a page that says how far the log is durable: the last batch has no later one to vouch for
    /// it. No sync of its own; nothing when it would say nothing new or only the page for the SEAL is
    /// left. Call it when there is nothing else to write.
    pub fn mark(&mut self) -> Result<(), WriteError> {
        self.usable()?;
        assert!(!self.stopped, "the log was sealed");
        let page = PAGE_BYTES as u64;
        if self.marked_seq == self.durable_seq || self.live.end + 2 * page > self.live.capacity {
            return Ok(());
        }
        sometimes!("log: a marker is written");
        let head = FrameHead {
            batch_seq: self.durable_seq,
            first_position: self.durable_position + 1,
            ..self.head(BatchKind::Marker, 0, self.time_ms, 0)
        };
        head.encode(&[], &mut self.frame);
        self.put_frame()?;
        self.marked_seq = self.durable_seq;
        Ok(())
    }

    /// Speaks of what is only written: for a planted bug alone.
    #[doc(hidden)]
    pub fn write_watermark_ahead(&mut self, time_ms: u64) -> Result<(), WriteError> {
        let (durable_seq, durable_position) = (self.durable_seq, self.durable_position);
        (self.durable_seq, self.durable_position) = (self.next_batch_seq - 1, self.next_position - 1);
        let result = self.write_watermark(time_ms);
        (self.durable_seq, self.durable_position) = (durable_seq, durable_position);
        result
    }

    /// Writes the watermark file and syncs it: how far the log is durable, and the time.
    pub fn write_watermark(&mut self, time_ms: u64) -> Result<(), WriteError> {
        self.usable()?;
        self.watermark_time_ms = self.watermark_time_ms.max(time_ms);
        let result = self.watermark.write(Watermark {
            identity: self.identity,
            turn: 0,
            durable_seq: self.durable_seq,
            position: self.durable_position,
            time_ms,
            epoch: self.epoch,
            index: Some(self.live.index),
            chain: Some(self.durable_chain),
        });
        self.failed |= result.is_err();
        result.map_err(|e| WriteError::io(WATERMARK_NAME, "writing", e))
    }

    /// Ends the segment with a durable SEAL and goes on in the next. Syncs what is in flight. A segment
    /// without batches is left as it is.
    pub fn rotate(&mut self) -> Result<(), WriteError> {
        self.usable()?;
        if self.next_batch_seq == self.live.first_batch_seq {
            return Ok(());
        }
        self.rotate_for(0)
    }

    /// Clean end: SEAL, sync, watermark. Nothing may be appended afterwards.
    pub fn seal(&mut self, time_ms: u64) -> Result<(), WriteError> {
        self.write_seal(time_ms.max(self.time_ms), FLAG_STOPPED)?;
        self.stopped = true;
        self.write_watermark(time_ms)
    }

    /// The segments no longer written to, oldest first, for the checkpointer.
    pub fn sealed_segments(&self) -> Vec<SegmentInfo> {
        self.sealed.clone()
    }

    /// The segment being written, as far as it is durable.
    pub fn live_segment(&self) -> SegmentInfo {
        SegmentInfo {
            name: self.live.name.clone(),
            epoch: self.epoch,
            index: self.live.index,
            first_batch_seq: self.live.first_batch_seq,
            last_batch_seq: self.durable_seq.max(self.live.first_batch_seq - 1),
            first_position: self.live.first_position,
            first_chain: self.live.first_chain,
            valid_len: self.live.durable_end,
            bytes: self.live.capacity,
        }
    }

    /// Forgets a sealed segment that was removed.
    pub fn forget_segment(&mut self, name: &str) {
        self.sealed.retain(|segment| segment.name != name);
    }

    /// Whether the next segment could not be made ready for want of space. What fits into the current
    /// one may still be written; the next rotation tries once more and then fails.
    pub fn out_of_space(&mut self) -> bool {
        self.preallocator.out_of_space()
    }

    /// There is space again: the next segment is made ready once more, if there was none for it.
    pub fn prepare_again(&mut self) {
        if !self.failed && self.preallocator.forget_want_of_space() {
            self.ask_for_next();
        }
    }

    fn usable(&self) -> Result<(), WriteError> {
        if self.failed { Err(WriteError::Failed) } else { Ok(()) }
    }

    fn check(&mut self, result: std::io::Result<()>, operation: &'static str) -> Result<(), WriteError> {
        self.failed |= result.is_err();
        result.map_err(|e| WriteError::io(&self.live.name, operation, e))
    }

    fn head(&self, kind: BatchKind, flags: u8, time_ms: u64, count: u32) -> FrameHead {
        FrameHead {
            kind,
            flags,
            instance: self.identity.instance,
            partition: self.identity.partition,
            epoch: self.epoch,
            index: self.live.index,
            offset: self.live.end,
            batch_seq: self.next_batch_seq,
            durable_seq: if planted!(DurableAhead) { self.next_batch_seq - 1 } else { self.durable_seq },
            first_position: self.next_position,
            count,
            time_ms,
            prev_chain: self.chain,
        }
    }

    fn write_frame(&mut self, frame: Frame<'_>) -> Result<(), WriteError> {
        assert!(!self.stopped, "the log was sealed");
        let head = self.head(frame.kind, frame.flags, frame.time_ms, frame.count);
        // Reading relies on it: see `FrameHeader::judge`.
        assert!(
            head.durable_seq < head.batch_seq && head.batch_seq - head.durable_seq <= u64::from(IN_FLIGHT_MAX),
            "batch {} while {} is durable",
            head.batch_seq,
            head.durable_seq
        );
        let chain = head.encode(frame.payload, &mut self.frame);
        self.put_frame()?;
        self.chain = chain;
        self.next_batch_seq += 1;
        self.next_position += u64::from(frame.count);
        self.time_ms = frame.time_ms;
        Ok(())
    }

    /// Writes the frame that was built at the end of the segment.
    fn put_frame(&mut self) -> Result<(), WriteError> {
        let end = self.live.end + self.frame.len() as u64;
        assert!(end <= self.live.capacity, "a write past the end of {}", self.live.name);
        assert!(self.live.end >= self.live.durable_end, "a write over durable pages");
        let result = self.live.file.write_all_at(self.live.end, &self.frame);
        self.check(result, "writing")?;
        self.live.end = end;
        Ok(())
    }

    fn write_seal(&mut self, time_ms: u64, flags: u8) -> Result<(), WriteError> {
        self.sync()?;
        self.write_frame(Frame { kind: BatchKind::Seal, flags, time_ms, count: 0, payload: &[] })?;
        self.sync()
    }

    /// The next segment, with room for a batch of `bytes`.
    fn rotate_for(&mut self, bytes: u64) -> Result<(), WriteError> {
        // There is room: no batch and no marker takes the last page of a segment.
        self.write_seal(self.time_ms, 0)?;
        assert_eq!(self.durable_seq + 1, self.next_batch_seq, "rotation with a batch in flight");
        let index = self.live.index + 1;
        let least = SEGMENT_HEADER_BYTES as u64 + bytes + PAGE_BYTES as u64;
        sometimes!("log: a segment is followed by another");
        sometimes!("log: a segment is as large as one batch", least > self.config.capacity(index));
        let header = SegmentHeader {
            identity: self.identity,
            in_flight: self.config.in_flight,
            epoch: self.epoch,
            index,
            first_batch_seq: self.next_batch_seq,
            first_position: self.next_position,
            first_chain: self.chain,
            prev_epoch: self.epoch,
            prev_index: self.live.index,
            prev_valid_len: self.live.durable_end,
            prev_durable_seq: self.durable_seq,
            prev_kept_seq: self.durable_seq,
            time_ms: self.time_ms,
            capacity: self.config.capacity(index).max(least),
        };
        let sealed = self.live_segment();
        let live = start_segment(&mut self.preallocator, header);
        self.failed |= live.is_err();
        self.live = live?;
        self.sealed.push(sealed);
        self.marked_seq = self.durable_seq;
        // From here on a start that finds no such segment knows that one is missing: nothing in the older ones
        // tells it from a rotation that a crash has cut short.
        self.write_watermark(self.watermark_time_ms.max(self.time_ms))?;
        self.ask_for_next();
        Ok(())
    }

    fn ask_for_next(&mut self) {
        let index = self.live.index + 1;
        let name = SegmentName { partition: self.identity.partition, epoch: self.epoch, index };
        self.preallocator.ask(name.to_string(), self.config.capacity(index));
    }
}

/// Makes a prepared file a segment: its header is durable when this returns.
fn start_segment(preallocator: &mut Preallocator, header: SegmentHeader) -> Result<Live, WriteError> {
    let name =
        SegmentName { partition: header.identity.partition, epoch: header.epoch, index: header.index }.to_string();
    let wrap = |operation| {
        let name = name.clone();
        move |error| WriteError::io(&name, operation, error)
    };
    let prepared = preallocator.take(&name, header.capacity).map_err(wrap("preparing"))?;
    let mut file = prepared.file;
    if prepared.bytes < header.capacity {
        // A batch larger than the segment that was prepared.
        fill_with_zeros(file.as_mut(), prepared.bytes, header.capacity)
            .and_then(|()| file.sync_all())
            .map_err(wrap("extending"))?;
    }
    let mut pages = header.encode().to_vec();
    pages.extend_from_within(..);
    file.write_all_at(0, &pages).map_err(wrap("writing the header"))?;
    file.sync_data().map_err(wrap("syncing the header"))?;
    Ok(Live {
        name,
        index: header.index,
        file,
        capacity: header.capacity,
        first_batch_seq: header.first_batch_seq,
        first_position: header.first_position,
        first_chain: header.first_chain,
        end: SEGMENT_HEADER_BYTES as u64,
        durable_end: SEGMENT_HEADER_BYTES as u64,
    })
}
