//! The committer: the one writer of the log.
//!
//! A batch is what has arrived while the last sync ran; there is no linger. When a batch is durable its
//! groups go back to their shards, in the order they came. The first error ends everything: after a
//! failed sync nobody knows what the device holds, and nothing is tried again.

use std::{sync::Arc, time::Duration};

use probe::{buggify, planted, sometimes};
use wal::{BATCH_PAYLOAD_BYTES_MAX, BatchKind, LogWriter, Storage, WriteError};

use crate::{
    abort::AbortOnPanic,
    engine::{Engine, ToCommitter},
    group::{Finished, Group},
    sync::{
        atomic::Ordering,
        channel::{Receiver, Sender, TryRecvError},
    },
};

/// Idle for so long, the log gets a marker: from then on even the last batch has a witness.
const MARK_AFTER: Duration = Duration::from_millis(2);
/// How often the watermark is written and the space looked at.
const BEAT_MS: u64 = 1_000;
/// After so many batches the state's hash goes into the log.
const BATCHES_PER_HASH: u64 = 4_096;
/// What a live hold will still need of the disk: its confirm or its expiry.
const BYTES_PER_LIVE_HOLD: u64 = 256;
/// Segments that must fit besides.
const SEGMENTS_RESERVED: u64 = 2;

/// Takes the groups of all shards, makes them durable, gives them back.
pub struct Committer {
    engine: Arc<Engine>,
    storage: Arc<dyn Storage>,
    writer: LogWriter,
    inbox: Receiver<ToCommitter>,
    finished: Vec<Sender<Finished>>,
    /// The next group, when it did not fit into the last batch.
    held_back: Option<Group>,
    /// The batch that is being put together.
    groups: Vec<Group>,
    /// Of each shard, after its last group in the log: hash and live holds.
    digests: Vec<(u64, u64)>,
    batches_since_hash: u64,
    last_segment: u64,
    /// Time of the last batch.
    time_ms: u64,
    last_beat_ms: u64,
    /// The last durable batch with a marker.
    marked_seq: u64,
    /// The last durable batch with a watermark.
    written_seq: u64,
    stop_asked: bool,
    stopped: bool,
}

impl Committer {
    pub(crate) fn new(
        engine: Arc<Engine>,
        storage: Arc<dyn Storage>,
        writer: LogWriter,
        inbox: Receiver<ToCommitter>,
        finished: Vec<Sender<Finished>>,
        digests: Vec<(u64, u64)>,
        time_ms: u64,
    ) -> Committer {
        let mut committer = Committer {
            engine,
            storage,
            last_segment: writer.live_segment().index,
            writer,
            inbox,
            finished,
            held_back: None,
            groups: Vec::new(),
            digests,
            batches_since_hash: 0,
            time_ms,
            // The first look at the space is due at once.
            last_beat_ms: 0,
            marked_seq: 0,
            written_seq: 0,
            stop_asked: false,
            stopped: false,
        };
        committer.publish_segments();
        committer
    }

    /// Works until [`crate::Engine::stop`], then ends the log cleanly. Waits for work: for a thread of its
    /// own. An error means that nobody knows what is on the device: end the process. A panic ends it.
    pub fn run(mut self) -> Result<(), WriteError> {
        let _guard = AbortOnPanic("the committer");
        let result = self.run_until_stopped();
        self.note_failure(result)
    }

    /// One round without waiting, for tests and the simulator. Whether it did anything.
    pub fn turn(&mut self) -> Result<bool, WriteError> {
        let result = self.round();
        self.note_failure(result)
    }

    fn note_failure<T>(&self, result: Result<T, WriteError>) -> Result<T, WriteError> {
        if result.is_err() {
            self.engine.log.failed.store(true, Ordering::Release);
        }
        result
    }

    fn run_until_stopped(&mut self) -> Result<(), WriteError> {
        while !self.stopped {
            if self.work()? {
                continue;
            }
            // Nothing to do. Two waits: the short one ends in a marker.
            let wait = if self.is_marked() { Duration::from_millis(BEAT_MS) } else { MARK_AFTER };
            match self.inbox.recv_timeout(wait) {
                Ok(message) => self.hear(message)?,
                Err(_) => self.idle()?,
            }
        }
        Ok(())
    }

    fn round(&mut self) -> Result<bool, WriteError> {
        if self.work()? {
            return Ok(true);
        }
        if self.stopped {
            return Ok(false);
        }
        let had_marker = self.is_marked();
        self.idle()?;
        Ok(!had_marker)
    }

    /// One batch, or the end, if there is anything to do.
    fn work(&mut self) -> Result<bool, WriteError> {
        if self.stopped {
            return Ok(false);
        }
        self.gather()?;
        if !self.groups.is_empty() {
            self.commit()?;
            self.beat()?;
            return Ok(true);
        }
        if self.stop_asked {
            sometimes!("log: it ends cleanly");
            self.write_hash()?;
            self.writer.seal(self.now_ms())?;
            self.stopped = true;
            self.publish_segments();
            self.engine.log.durable_seq.store(self.writer.durable_seq(), Ordering::Release);
            return Ok(true);
        }
        Ok(false)
    }

    /// Takes what waits, up to one batch.
    fn gather(&mut self) -> Result<(), WriteError> {
        let held_back = self.held_back.take();
        if let Some(group) = held_back {
            self.groups.push(group);
        }
        while self.held_back.is_none() {
            match self.inbox.try_recv() {
                Ok(message) => self.hear(message)?,
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        Ok(())
    }

    fn hear(&mut self, message: ToCommitter) -> Result<(), WriteError> {
        match message {
            ToCommitter::Group(group) => {
                let door = &self.engine.doors[group.shard];
                door.handover.take();
                door.wake();
                let bytes: usize = self.groups.iter().map(|group| group.payload.len()).sum();
                let fits =
                    bytes + group.payload.len() <= BATCH_PAYLOAD_BYTES_MAX && !buggify!("log: batch of one group");
                if self.groups.is_empty() || fits {
                    self.groups.push(group);
                } else {
                    sometimes!("log: a group waits for the next batch");
                    self.held_back = Some(group);
                }
            }
            ToCommitter::Rotate => {
                self.commit()?;
                self.writer.rotate()?;
                self.publish_segments();
                self.engine.log.durable_seq.store(self.writer.durable_seq(), Ordering::Release);
                let mut files = self.engine.files.lock();
                files.wanted_seq = files.sealed.last().map_or(0, |segment| segment.last_batch_seq);
                files.is_wanted = true;
            }
            ToCommitter::Stop => self.stop_asked = true,
        }
        Ok(())
    }

    /// Makes the gathered groups durable as one batch and gives them back.
    fn commit(&mut self) -> Result<(), WriteError> {
        let (Some(count), Some(time)) = (
            self.groups.iter().map(|group| group.changes).reduce(|a, b| a + b),
            self.groups.iter().map(|group| group.time.0).max(),
        ) else {
            return Ok(());
        };
        self.time_ms = self.time_ms.max(time);
        let payload: Vec<&[u8]> = self.groups.iter().map(|group| group.payload.as_slice()).collect();
        let appended = self.writer.append(BatchKind::Data, self.time_ms, count, &payload)?;
        for group in &self.groups {
            self.digests[group.shard] = (group.hash, group.live_holds);
        }
        sometimes!("log: a batch of several groups", self.groups.len() > 1);
        self.batches_since_hash += 1;
        if self.batches_since_hash >= BATCHES_PER_HASH || buggify!("log: hash after this batch") {
            self.write_hash()?;
        }
        if planted!(WatermarkAhead) {
            self.writer.write_watermark_ahead(self.time_ms)?;
        }
        if !planted!(AckBeforeSync) {
            self.writer.sync()?;
        }

        let begins = self.writer.live_segment().index != self.last_segment;
        if begins {
            self.publish_segments();
        }
        let log = &self.engine.log;
        log.batches.fetch_add(1, Ordering::Relaxed);
        log.syncs.fetch_add(1, Ordering::Relaxed);
        // Whoever reads the log finds the segment of this batch, and reads no further than it.
        log.durable_seq.store(self.writer.durable_seq(), Ordering::Release);
        log.position.store(appended.last_position, Ordering::Release);
        let mut first_position = appended.first_position;
        for group in self.groups.drain(..) {
            let Group { shard, number, mut payload, changes, .. } = group;
            payload.clear();
            // A shard that is gone needs no answer.
            let _ = self.finished[shard].send(Finished { number, first_position, payload });
            first_position += u64::from(changes);
            self.engine.doors[shard].wake();
        }
        if planted!(AckBeforeSync) {
            self.writer.sync()?;
        }
        debug_assert_eq!(first_position, appended.last_position + 1);
        if begins {
            // The next one is being made ready: where segments are small, a beat is too late to see that it will
            // not fit.
            self.look_at_space(self.digests.iter().map(|(_, live_holds)| live_holds).sum());
        }
        Ok(())
    }

    /// Writes the hash of the state that the log has led to.
    fn write_hash(&mut self) -> Result<(), WriteError> {
        self.batches_since_hash = 0;
        let hash = self.digests.iter().fold(0, |hash, (of_shard, _)| hash ^ of_shard);
        self.writer.append(BatchKind::Hash, self.time_ms, 0, &[&hash.to_le_bytes()])?;
        Ok(())
    }

    /// Whether the last durable batch has its marker, or there is no room for one.
    fn is_marked(&self) -> bool {
        self.marked_seq == self.writer.durable_seq() || self.engine.log.storage_low.load(Ordering::Relaxed)
    }

    /// Nothing waits: let the last batch have a witness, and look after the clock.
    fn idle(&mut self) -> Result<(), WriteError> {
        if !self.is_marked() {
            self.writer.mark()?;
            self.marked_seq = self.writer.durable_seq();
        }
        self.beat()
    }

    /// Once a second: the watermark, the space, the segments that are gone.
    fn beat(&mut self) -> Result<(), WriteError> {
        let now_ms = self.now_ms();
        if now_ms < self.last_beat_ms.saturating_add(BEAT_MS) {
            return Ok(());
        }
        let lives: u64 = self.digests.iter().map(|(_, live_holds)| live_holds).sum();
        let due = lives > 0 || self.written_seq != self.writer.durable_seq();
        if due && !buggify!("log: skip the watermark") {
            self.writer.write_watermark(now_ms)?;
            self.written_seq = self.writer.durable_seq();
        }
        self.last_beat_ms = now_ms;
        self.look_at_space(lives);
        let removed = std::mem::take(&mut self.engine.files.lock().removed);
        for name in removed {
            self.writer.forget_segment(&name);
        }
        Ok(())
    }

    fn look_at_space(&mut self, live_holds: u64) {
        // A folder that does not say how much space it has is about to fail where it matters.
        let Ok(space) = self.storage.space_available() else { return };
        let reserved = (self.engine.config.segment_bytes.saturating_mul(SEGMENTS_RESERVED))
            .saturating_add(live_holds.saturating_mul(BYTES_PER_LIVE_HOLD));
        if space >= reserved {
            // Nobody else would try: without holds the log may never come to its next segment.
            self.writer.prepare_again();
        }
        let low = space < reserved || self.writer.out_of_space();
        self.engine.log.space_available.store(space, Ordering::Relaxed);
        sometimes!("log: space is low", low);
        self.engine.log.storage_low.store(low, Ordering::Relaxed);
    }

    fn publish_segments(&mut self) {
        self.last_segment = self.writer.live_segment().index;
        self.engine.log.epoch.store(self.writer.epoch(), Ordering::Relaxed);
        let mut files = self.engine.files.lock();
        for name in std::mem::take(&mut files.removed) {
            self.writer.forget_segment(&name);
        }
        files.sealed = self.writer.sealed_segments();
        files.live = Some(self.writer.live_segment());
        drop(files);
        self.engine.note_log_length();
    }

    fn now_ms(&self) -> u64 {
        self.engine.clock.now().0.max(self.time_ms)
    }
}
