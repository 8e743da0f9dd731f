//! What the threads of one partition share, and the door through which commands come in.
//!
//! Who writes what: callers the mailboxes; each shard its own door's numbers and its events' views; the
//! committer the log's numbers. Nothing here holds up a shard.

use std::sync::Arc;

use inventory_core::{
    command::Command,
    ids::{EventKey, TimestampMs},
    limits::EVENTS_PER_SERVER_MAX,
};
use wal::{LogIdentity, SegmentInfo};

use crate::{
    answer::Refused,
    clock::Clock,
    directory::Directory,
    group::Group,
    handover::Handover,
    mailbox::{Envelope, Mailbox, Put},
    plan_store::PlanStore,
    reply::Reply,
    router::shard_of,
    slip::{Slip, slips},
    status::{ArchiveStatus, ShardStatus, Status},
    sync::{
        Mutex, RwLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        channel::Sender,
    },
};

/// When a caller that found a full mailbox may ask again: a full one is worked off in less.
pub(crate) const RETRY_AFTER_MS: u32 = 100;
/// When a caller may ask again that found too much log without a checkpoint: making one takes seconds.
const RETRY_AFTER_LOG_MS: u32 = 5_000;
/// Above so much log without a checkpoint no hold is taken: it bounds the time of a start, and the disk.
const UNCOVERED_LOG_BYTES_MAX: u64 = 16 << 30;

/// Above so much log without a checkpoint making one is no background work any more.
const BEHIND_LOG_BYTES: u64 = 2 << 30;

/// How an engine runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    /// How many shards the slots are dealt to, 1 to 256; may differ from start to start.
    pub shards: usize,
    /// Size of a segment of the log.
    pub segment_bytes: u64,
    /// Memory that state may use. Three quarters of it bound the places of all events together, each
    /// counted as if it were taken with one other; one quarter the ended holds that are remembered.
    pub memory_budget_bytes: u64,
    /// So many ended holds a slot may remember whatever the memory budget says.
    pub ended_holds_min: u32,
    /// Commands that may wait for one shard. Holds are taken up to 70 % of it.
    pub mailbox_commands_max: usize,
    /// Start although the wall clock is far from the log's time.
    pub accept_clock_jump: bool,
    /// A checkpoint is due when the sealed log that none covers exceeds this and the size of the newest one.
    pub checkpoint_log_bytes: u64,
    /// A checkpoint is due at so many sealed segments that none covers.
    pub checkpoint_segments: usize,
    /// Log that checkpoints do not need and the archive does not have is kept up to so many bytes.
    pub archive_log_bytes_max: u64,
    /// The log's identity in a new folder; random when nothing is said. A folder that has one keeps it.
    pub instance: Option<[u8; 16]>,
    /// Batches that may be written and not yet durable, 1 or 2. The committer syncs after each.
    pub batches_in_flight: u32,
    /// No threads of its own, but to read back what is large, and segments of full size from the first, for tests and
    /// the simulator: the same calls give the same storage operations in the same order.
    pub deterministic: bool,
}

impl Default for EngineConfig {
    fn default() -> Self {
        EngineConfig {
            shards: 1,
            segment_bytes: 64 << 20,
            memory_budget_bytes: 4 << 30,
            ended_holds_min: 1_024,
            mailbox_commands_max: 65_536,
            accept_clock_jump: false,
            checkpoint_log_bytes: 256 << 20,
            checkpoint_segments: 32,
            archive_log_bytes_max: 16 << 30,
            instance: None,
            batches_in_flight: 1,
            deterministic: false,
        }
    }
}

/// Memory of one remembered ended hold, its places and its share of the index included.
const TOMBSTONE_BYTES: u64 = 124;
/// The part of the memory budget for ended holds.
const TOMBSTONE_SHARE: u64 = 4;

impl EngineConfig {
    /// Ended holds that all slots together may remember.
    pub(crate) fn tombstones_max(&self) -> u32 {
        let most = self.memory_budget_bytes / TOMBSTONE_SHARE / TOMBSTONE_BYTES;
        u32::try_from(most).unwrap_or(u32::MAX).max(self.ended_holds_min)
    }
}

/// What wakes the caller of a shard's turns.
pub(crate) type WakeFn = Arc<dyn Fn() + Send + Sync>;

/// What others see of one shard.
pub(crate) struct Door {
    pub(crate) mailbox: Mailbox,
    pub(crate) handover: Handover,
    pub(crate) turns: AtomicU64,
    pub(crate) judged: AtomicU64,
    pub(crate) changes: AtomicU64,
    pub(crate) expired: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) live_holds: AtomicU64,
    pub(crate) hash: AtomicU64,
    /// Slots that remember many ended holds.
    pub(crate) full_slots: AtomicU64,
    /// Carts at work whose first event is here.
    pub(crate) carts: AtomicUsize,
    wake: RwLock<Option<WakeFn>>,
}

impl Door {
    pub(crate) fn new(commands_max: usize) -> Door {
        Door {
            mailbox: Mailbox::new(commands_max),
            handover: Handover::new(),
            turns: AtomicU64::new(0),
            judged: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            expired: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            live_holds: AtomicU64::new(0),
            hash: AtomicU64::new(0),
            full_slots: AtomicU64::new(0),
            carts: AtomicUsize::new(0),
            wake: RwLock::new(None),
        }
    }

    pub(crate) fn set_wake(&self, wake: WakeFn) {
        *self.wake.write() = Some(wake);
    }

    pub(crate) fn wake(&self) {
        // A copy, so that the callback runs outside the lock.
        let wake = self.wake.read().clone();
        if let Some(wake) = wake {
            wake();
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        // In this order: a shard hands its group over before it counts the commands as judged.
        // And a cart counts as at work before its call counts as judged.
        self.mailbox.waiting() == 0 && self.handover.is_all_out() && self.carts.load(Ordering::Acquire) == 0
    }

    fn status(&self) -> ShardStatus {
        ShardStatus {
            waiting: self.mailbox.waiting(),
            turns: self.turns.load(Ordering::Relaxed),
            judged: self.judged.load(Ordering::Relaxed),
            changes: self.changes.load(Ordering::Relaxed),
            expired: self.expired.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            live_holds: self.live_holds.load(Ordering::Relaxed),
            hash: self.hash.load(Ordering::Relaxed),
        }
    }
}

/// What the committer is told.
pub(crate) enum ToCommitter {
    /// Make this durable.
    Group(Group),
    /// End the segment: somebody wants a checkpoint of all there is.
    Rotate,
    /// End the log cleanly.
    Stop,
}

/// What the committer and the checkpointer tell each other of the files.
#[derive(Default)]
pub(crate) struct LogFiles {
    /// Segments no longer written to, oldest first.
    pub(crate) sealed: Vec<SegmentInfo>,
    /// Removed by the checkpointer; the committer has not forgotten them yet.
    pub(crate) removed: Vec<String>,
    /// The last batch of the segment that was ended on request.
    pub(crate) wanted_seq: u64,
    /// Somebody asked since the last try: also one that just failed is tried again.
    pub(crate) is_wanted: bool,
    /// The newest good checkpoint: the last batch and position it covers, and its bytes.
    pub(crate) checkpoint_name: Option<String>,
    pub(crate) checkpoint_seq: u64,
    pub(crate) checkpoint_position: u64,
    pub(crate) checkpoint_bytes: u64,
    /// The last batch of the checkpoint before it: the log above is kept.
    pub(crate) older_seq: u64,
    /// The segment that is written to; its last batch is the committer's to say.
    pub(crate) live: Option<SegmentInfo>,
    /// How often no checkpoint could be made since the start, and why the last time.
    pub(crate) checkpoint_failures: u64,
    pub(crate) checkpoint_failure: String,
    /// How far the log is archived, when it is.
    pub(crate) archive: Option<ArchiveStatus>,
}

impl LogFiles {
    /// The oldest segment that neither the two checkpoints nor the archive need.
    pub(crate) fn unneeded(&self, storage_low: bool, archive_log_bytes_max: u64) -> Option<SegmentInfo> {
        let covered = || self.sealed.iter().take_while(|segment| segment.last_batch_seq <= self.older_seq);
        let oldest = covered().next()?;
        let Some(archive) = &self.archive else { return Some(oldest.clone()) };
        if oldest.last_batch_seq <= archive.batch_seq {
            return Some(oldest.clone());
        }
        // Sales go before backups: what is kept for the archive alone has a bound, and yields to a full disk.
        let kept: u64 = covered().map(|segment| segment.bytes).sum();
        (storage_low || kept > archive_log_bytes_max).then(|| oldest.clone())
    }

    /// The sealed segments with batches that no checkpoint covers.
    pub(crate) fn uncovered(&self) -> impl Iterator<Item = &SegmentInfo> {
        self.sealed.iter().filter(|segment| !segment.is_empty() && segment.last_batch_seq > self.checkpoint_seq)
    }

    /// Their bytes together.
    pub(crate) fn uncovered_bytes(&self) -> u64 {
        self.uncovered().map(|segment| segment.valid_len).sum()
    }
}

/// The committer's numbers.
#[derive(Default)]
pub(crate) struct LogNumbers {
    pub(crate) epoch: AtomicU64,
    pub(crate) position: AtomicU64,
    /// The last durable batch. Stored after the segment it is in is known in [`LogFiles`].
    pub(crate) durable_seq: AtomicU64,
    pub(crate) batches: AtomicU64,
    pub(crate) syncs: AtomicU64,
    pub(crate) space_available: AtomicU64,
    pub(crate) storage_low: AtomicBool,
    pub(crate) failed: AtomicBool,
    /// So much log waits for a checkpoint that a start would take too long.
    pub(crate) too_long: AtomicBool,
}

/// The log as far as it is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DurableLog {
    /// Oldest first. The last one may still be written to.
    pub segments: Vec<SegmentInfo>,
    /// The last durable batch. No batch beyond it may be looked at.
    pub batch_seq: u64,
    /// A position that is durable with it, and perhaps not the last one.
    pub position: u64,
}

/// The newest checkpoint of a running engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewestCheckpoint {
    /// Its file.
    pub name: String,
    /// The last batch in it.
    pub batch_seq: u64,
    /// The position it is true at.
    pub position: u64,
}

/// What the threads of one partition share.
pub struct Engine {
    pub(crate) config: EngineConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) identity: LogIdentity,
    pub(crate) directory: Directory,
    pub(crate) plans: PlanStore,
    pub(crate) doors: Vec<Door>,
    pub(crate) to_committer: Sender<ToCommitter>,
    pub(crate) log: LogNumbers,
    pub(crate) files: Mutex<LogFiles>,
    pub(crate) draining: AtomicBool,
    /// Places of all events.
    pub(crate) places: AtomicU64,
    /// Held while the file of an event that is to be retired is written.
    pub(crate) archiving: Mutex<()>,
}

/// Memory of a place when all are taken: its part of the event's tables, and half of a hold.
const BYTES_PER_PLACE: u64 = 64;

impl Engine {
    /// Whether there is room for one more event with so many places.
    pub(crate) fn has_room(&self, places: u32) -> bool {
        let room = self.config.memory_budget_bytes / 4 * 3 / BYTES_PER_PLACE;
        self.directory.event_count() < EVENTS_PER_SERVER_MAX as usize
            && self.places.load(Ordering::Relaxed).saturating_add(u64::from(places)) <= room
    }

    /// Sets what is called when a shard's turn should be: mail arrived, or a group was taken or is durable.
    /// Called from any thread, also while a turn runs: the next turn must then follow. It must not wait.
    pub fn set_wake(&self, shard: usize, wake: Arc<dyn Fn() + Send + Sync>) {
        self.doors[shard].set_wake(wake);
    }

    /// Gives a command to the shard of its event. Never waits. Its answer goes to `reply`, once; refused
    /// here, `reply` is dropped unanswered. A command whose `deadline` has passed when its turn comes is
    /// not executed.
    pub fn submit(
        &self,
        key: EventKey,
        command: Command,
        deadline: Option<TimestampMs>,
        reply: Reply,
    ) -> Result<(), Refused> {
        if self.draining.load(Ordering::Acquire) {
            return Err(Refused::Draining);
        }
        if self.log.too_long.load(Ordering::Relaxed) && matches!(command, Command::Hold(_) | Command::HoldMany(_)) {
            return Err(Refused::Overloaded { retry_after_ms: RETRY_AFTER_LOG_MS });
        }
        let door = &self.doors[self.shard_of(key)];
        if slips(Slip::WokenBeforePut) {
            door.wake();
        }
        match door.mailbox.put(Envelope { key, command, deadline, reply }) {
            Put::First if !slips(Slip::WokenBeforePut) => door.wake(),
            Put::First | Put::Waits => {}
            Put::Closed => return Err(Refused::Draining),
            Put::Full => return Err(Refused::Overloaded { retry_after_ms: RETRY_AFTER_MS }),
        }
        Ok(())
    }

    /// Hands over many commands on one event, all of them or none: one lock and one wake. Either all are holds or none
    /// is.
    ///
    /// # Errors
    /// As with [`Engine::submit`]; then nothing was taken, and no reply is used.
    pub fn submit_all(
        &self,
        key: EventKey,
        commands: impl IntoIterator<Item = (Command, Reply)>,
        deadline: Option<TimestampMs>,
    ) -> Result<(), Refused> {
        if self.draining.load(Ordering::Acquire) {
            return Err(Refused::Draining);
        }
        let envelope = |(command, reply)| Envelope { key, command, deadline, reply };
        let mut envelopes: Vec<Envelope> = commands.into_iter().map(envelope).collect();
        let are_holds = envelopes.first().is_some_and(|envelope| matches!(envelope.command, Command::Hold(_)));
        if self.log.too_long.load(Ordering::Relaxed) && are_holds {
            return Err(Refused::Overloaded { retry_after_ms: RETRY_AFTER_LOG_MS });
        }
        let door = &self.doors[self.shard_of(key)];
        match door.mailbox.put_all(&mut envelopes) {
            Put::First => door.wake(),
            Put::Waits => {}
            Put::Closed => return Err(Refused::Draining),
            Put::Full => return Err(Refused::Overloaded { retry_after_ms: RETRY_AFTER_MS }),
        }
        Ok(())
    }

    /// Ended holds that one slot may remember: an equal share for each slot that remembers many.
    pub(crate) fn tombstones_of_a_slot(&self) -> u32 {
        let slots: u64 = self.doors.iter().map(|door| door.full_slots.load(Ordering::Relaxed)).sum();
        let share = self.config.tombstones_max() / u32::try_from(slots.max(1)).unwrap_or(u32::MAX);
        share.max(self.config.ended_holds_min)
    }

    /// Looks again at how much log has no checkpoint.
    pub(crate) fn note_log_length(&self) {
        let bytes = self.files.lock().uncovered_bytes();
        self.log.too_long.store(bytes > UNCOVERED_LOG_BYTES_MAX, Ordering::Relaxed);
    }

    /// So much log waits for a checkpoint that it is no background work any more.
    pub(crate) fn is_behind(&self) -> bool {
        self.files.lock().uncovered_bytes() > BEHIND_LOG_BYTES
    }

    /// The durable events.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The plans.
    #[must_use]
    pub fn plans(&self) -> &PlanStore {
        &self.plans
    }

    /// The engine's clock.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    /// The engine in numbers.
    #[must_use]
    pub fn status(&self) -> Status {
        let (checkpoint_position, uncovered_log_bytes, log_bytes, archive) = {
            let files = self.files.lock();
            let sealed: u64 = files.sealed.iter().map(|segment| segment.bytes).sum();
            (
                files.checkpoint_position,
                files.uncovered_bytes(),
                sealed + files.live.as_ref().map_or(0, |segment| segment.bytes),
                files.archive.clone(),
            )
        };
        Status {
            time: self.clock.now(),
            position: self.log.position.load(Ordering::Acquire),
            instance: self.identity.instance,
            incarnation: self.identity.incarnation,
            epoch: self.log.epoch.load(Ordering::Relaxed),
            events: self.directory.event_count(),
            shards: self.doors.iter().map(Door::status).collect(),
            draining: self.draining.load(Ordering::Acquire),
            storage_low: self.log.storage_low.load(Ordering::Relaxed),
            failed: self.log.failed.load(Ordering::Acquire),
            space_available: self.log.space_available.load(Ordering::Relaxed),
            batches: self.log.batches.load(Ordering::Relaxed),
            syncs: self.log.syncs.load(Ordering::Relaxed),
            log_bytes,
            uncovered_log_bytes,
            checkpoint_position,
            archive,
        }
    }

    /// The last durable position.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.log.position.load(Ordering::Acquire)
    }

    /// The log as far as it is durable.
    #[must_use]
    pub fn durable_log(&self) -> DurableLog {
        // In this order: the segments may be newer than the number, never older.
        let position = self.position();
        let batch_seq = self.log.durable_seq.load(Ordering::Acquire);
        let files = self.files.lock();
        let live = files.live.iter().cloned();
        DurableLog { segments: files.sealed.iter().cloned().chain(live).collect(), batch_seq, position }
    }

    /// The newest checkpoint.
    #[must_use]
    pub fn newest_checkpoint(&self) -> Option<NewestCheckpoint> {
        let files = self.files.lock();
        let name = files.checkpoint_name.clone()?;
        Some(NewestCheckpoint { name, batch_seq: files.checkpoint_seq, position: files.checkpoint_position })
    }

    /// How often no checkpoint could be made since the start, and why the last time.
    #[must_use]
    pub fn checkpoint_failures(&self) -> (u64, String) {
        let files = self.files.lock();
        (files.checkpoint_failures, files.checkpoint_failure.clone())
    }

    /// Says how far the log is archived. From the first call on, log that is not archived is kept longer than
    /// checkpoints need it, up to the bound of the configuration and as long as the disk has room.
    pub fn note_archived(&self, archive: ArchiveStatus) {
        self.files.lock().archive = Some(archive);
    }

    /// Which log this is.
    #[must_use]
    pub fn identity(&self) -> LogIdentity {
        self.identity
    }

    /// Made once, at the first start of the data folder.
    #[must_use]
    pub fn instance(&self) -> [u8; 16] {
        self.identity.instance
    }

    /// Grows with every restore.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.identity.incarnation
    }

    /// How many shards there are.
    #[must_use]
    pub fn shard_count(&self) -> usize {
        self.doors.len()
    }

    /// The shard of an event.
    #[must_use]
    pub fn shard_of(&self, key: EventKey) -> usize {
        shard_of(key.slot(), self.doors.len())
    }

    /// Asks for a checkpoint of everything durable now: the segment ends, and the checkpointer's next turn
    /// makes one.
    pub fn request_checkpoint(&self) {
        // Without a receiver the committer has ended; then there is nothing to ask for.
        let _ = self.to_committer.send(ToCommitter::Rotate);
    }

    /// From now on every command is refused with [`Refused::Draining`]; what waits is still judged.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        self.doors.iter().for_each(|door| door.mailbox.close());
    }

    /// Whether nothing waits and every answer is out.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.doors.iter().all(Door::is_idle)
    }

    /// Ends the committer: the log gets its clean end and [`crate::Committer::run`] returns. Call it when
    /// [`Engine::is_idle`].
    pub fn stop(&self) {
        // As above.
        let _ = self.to_committer.send(ToCommitter::Stop);
    }
}
