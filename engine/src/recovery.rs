//! Starting: the newest checkpoint, then the rest of the log, then a new epoch of it.
//!
//! In this order: read and prove everything; only then write anything: the new segment and the copy of
//! what was not proven durable, then the later deadlines of live holds, durable before the first turn.
//! A start that refuses has changed nothing.

use std::{
    collections::hash_map::RandomState,
    fmt,
    hash::{BuildHasher, Hasher},
    io,
    sync::Arc,
};

use inventory_core::{
    change::ResumeCause,
    ids::TimestampMs,
    limits::SLOTS,
    slot::{Slot, SlotConfig},
};
use wal::{CheckpointError, LogConfig, LogIdentity, LogWriter, RecoverError, Storage, TailReport, WriteError};

use crate::{
    checkpointer::Checkpointer,
    clock::{Clock, ClockSource},
    committer::Committer,
    directory::Directory,
    engine::{Door, Engine, EngineConfig, LogFiles, LogNumbers},
    group::Finished,
    plan_store::{PLANS_DIR, PlanFiles, PlanStore, PlanStoreError},
    replay::{Replayed, StartError, log_time, refuse_plans_alone, replay, restored_at},
    resumption::{Gap, resume},
    router::shard_of,
    shard::Shard,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
        channel::{Receiver, Sender, bounded},
    },
    view::EventView,
};

/// A wall clock further behind the log than this is not believed.
const CLOCK_BEHIND_MS_MAX: u64 = 24 * 3_600_000;
/// A wall clock further ahead of the log than this is not believed.
const CLOCK_AHEAD_MS_MAX: u64 = 30 * 24 * 3_600_000;
/// The first segment of an epoch is small, so that a start is quick.
const FIRST_SEGMENT_BYTES: u64 = 1 << 20;
/// Of one shard: one waits for the committer, one is in a batch, one is durable and not released. And one more.
const GROUPS_ON_THEIR_WAY_MAX: usize = 4;
/// Calls that ask the committer for something, such as a new segment.
const CALLS_WAITING_MAX: usize = 64;

/// A started engine and its working parts, each for a thread of the caller's choice.
pub struct Opened {
    /// What everybody shares.
    pub engine: Arc<Engine>,
    /// By number.
    pub shards: Vec<Shard>,
    /// The writer of the log.
    pub committer: Committer,
    /// The maker of checkpoints.
    pub checkpointer: Checkpointer,
    /// What the start found.
    pub report: StartReport,
}

/// What a start found and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartReport {
    /// The checkpoint it began with.
    pub checkpoint: Option<String>,
    /// Batches replayed.
    pub batches: u64,
    /// Changes replayed.
    pub changes: u64,
    /// The last durable position, the changes of this start included.
    pub position: u64,
    /// Events in memory.
    pub events: usize,
    /// How the log ended.
    pub tail: TailReport,
    /// How long the engine was away; after a restore, since the restored position.
    pub downtime_ms: u64,
    /// The first start after a restore: live holds were given all of that time back.
    pub restored: bool,
    /// Events whose live holds were given later deadlines.
    pub resumed_events: usize,
    /// The state's hash before they were.
    pub state_hash: u64,
    /// The engine's time at the start.
    pub time: TimestampMs,
    /// What an operator should read.
    pub warnings: Vec<String>,
}

/// The engine cannot start.
#[derive(Debug)]
pub enum OpenError {
    /// The configuration makes no sense.
    Config(&'static str),
    /// The operating system refused.
    Io {
        /// The file, or the folder when empty.
        file: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The log cannot be recovered, or not proven whole.
    Log(RecoverError),
    /// A checkpoint cannot be read and cannot be passed over.
    Checkpoint(CheckpointError),
    /// A checkpoint checks and cannot be used: it needs a plan that is gone, or its content contradicts itself.
    Image {
        /// The checkpoint.
        file: String,
        /// The slot.
        slot: u8,
        /// What is wrong.
        what: String,
    },
    /// The wall clock is far from the log's time.
    ClockJump {
        /// The latest time in the log.
        log: TimestampMs,
        /// The wall clock.
        wall: TimestampMs,
    },
    /// The new epoch of the log cannot be written.
    Write(WriteError),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Config(what) => f.write_str(what),
            OpenError::Io { file, source } if file.is_empty() => {
                write!(f, "the data folder cannot be used: {source}")
            }
            OpenError::Io { file, source } => write!(f, "{file}: {source}"),
            OpenError::Log(error) => error.fmt(f),
            OpenError::Checkpoint(error) => error.fmt(f),
            OpenError::Image { file, slot, what } => write!(
                f,
                "{file}: the image of slot {slot} cannot be used: {what}; nothing was changed: keep the folder as it is \
                 and copy the missing file back, or see what `usherctl repair` can save"
            ),
            OpenError::ClockJump { log, wall } => {
                let (apart, direction) =
                    if wall < log { (log.since(*wall), "behind") } else { (wall.since(*log), "ahead of") };
                write!(
                    f,
                    "the machine's clock is {} h {direction} the latest time in the log ({} ms and {} ms of Unix \
                     time); set the clock right, or start with --accept-clock-jump if it is right",
                    apart / 3_600_000,
                    wall.0,
                    log.0
                )
            }
            OpenError::Write(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            OpenError::Config(_) | OpenError::Image { .. } | OpenError::ClockJump { .. } => None,
            OpenError::Io { source, .. } => Some(source),
            OpenError::Log(error) => error.source(),
            OpenError::Checkpoint(error) => error.source(),
            OpenError::Write(error) => error.source(),
        }
    }
}

impl From<StartError> for OpenError {
    fn from(error: StartError) -> OpenError {
        match error {
            StartError::Io { file, source } | StartError::Plans(PlanStoreError::Io { file, source }) => {
                OpenError::Io { file, source }
            }
            StartError::Plans(PlanStoreError::Invalid(what)) => {
                OpenError::Io { file: PLANS_DIR.to_owned(), source: io::Error::other(what) }
            }
            StartError::Checkpoint(error) => OpenError::Checkpoint(error),
            StartError::Image { file, slot, what } => OpenError::Image { file, slot, what },
            StartError::Log(error) => OpenError::Log(error),
        }
    }
}

/// Starts the engine over a data folder that nobody else uses. `progress` gets a sentence now and then.
pub fn open(
    storage: Arc<dyn Storage>,
    clock: ClockSource,
    config: EngineConfig,
    progress: &mut dyn FnMut(&str),
) -> Result<Opened, OpenError> {
    if config.shards == 0 || config.shards > SLOTS {
        return Err(OpenError::Config("shards must be 1 to 256"));
    }
    if !(1..=wal::IN_FLIGHT_MAX).contains(&config.batches_in_flight) {
        return Err(OpenError::Config("1 or 2 batches may be in flight"));
    }
    if config.mailbox_commands_max == 0 {
        return Err(OpenError::Config("a mailbox must have room for a command"));
    }
    let slot_config = slot_config(&config);
    let plan_files = PlanFiles::read(storage.as_ref()).map_err(StartError::Plans)?;
    let mut replayed = replay(storage.as_ref(), slot_config, &plan_files, progress)?;
    refuse_plans_alone(&replayed, &plan_files)?;
    let mut warnings = warnings_of(&replayed, &plan_files);

    let log_time = log_time(&replayed);
    let wall = clock.wall();
    // A backup may be old; the clock at its restore was looked at by who restored it.
    let restored_at = restored_at(&replayed);
    check_clock(log_time.max(restored_at.unwrap_or(log_time)), wall, &config, &mut warnings)?;
    let start = if probe::planted!(TimeGoesBack) { wall } else { wall.max(log_time) };
    probe::sometimes!("start: the wall clock is behind the log", wall < log_time);
    let is_new = log_time == TimestampMs(0);
    let downtime_ms = if is_new { 0 } else { start.since(log_time) };
    let clock = clock.start(start);
    let state_hash = replayed.state.hash();

    // From here on the folder is written to.
    make_plans_dir(storage.as_ref())?;
    let identity = identity_of(&replayed, &config);
    let mut writer = LogWriter::open(Arc::clone(&storage), identity, log_config(&config), &replayed.recovered)
        .map_err(OpenError::Write)?;
    let plans = PlanStore::new(Arc::clone(&storage), plan_files.plans);
    let cause = if restored_at.is_some() { ResumeCause::Restored } else { ResumeCause::Outage };
    // A new folder was never there.
    let gap = Gap { log: if is_new { start } else { log_time }, start, cause };
    let resumed_events = resume(&mut replayed.state, &mut writer, &plans, gap).map_err(OpenError::Write)?;
    let position = writer.next_position() - 1;
    let events = replayed.state.event_count();
    progress(&format!("{events} events at position {position}"));

    let report = StartReport {
        checkpoint: replayed.checkpoint.as_ref().map(|(name, ..)| name.clone()),
        batches: replayed.state.batches,
        changes: replayed.state.changes,
        position,
        events,
        tail: replayed.recovered.tail.clone(),
        downtime_ms,
        restored: restored_at.is_some(),
        resumed_events,
        state_hash,
        time: start,
        warnings,
    };
    let parts = Parts { storage, clock, config, slot_config, identity, plans, writer, replayed, start };
    Ok(assemble(parts, report))
}

/// What a start leads to, before it is dealt to threads.
struct Parts {
    storage: Arc<dyn Storage>,
    clock: Arc<dyn Clock>,
    config: EngineConfig,
    slot_config: SlotConfig,
    identity: LogIdentity,
    plans: PlanStore,
    writer: LogWriter,
    replayed: Replayed,
    start: TimestampMs,
}

fn assemble(parts: Parts, report: StartReport) -> Opened {
    let Parts { storage, clock, config, slot_config, identity, plans, writer, replayed, start } = parts;
    let Replayed { state, checkpoint, .. } = replayed;
    let shards = config.shards;
    let position = report.position;
    let views = state.slots.iter().flat_map(|slot| slot.events().map(|event| Arc::new(EventView::of(event, position))));
    let retired = state.slots.iter().flat_map(|slot| slot.retired().map(|(_, key)| key));
    let directory = Directory::new(views, retired);
    let places = state.slots.iter().flat_map(Slot::events).map(|event| u64::from(event.plan().capacity())).sum();
    // One group of each shard may wait; the rest is for calls from outside, which may wait themselves. With bounds the
    // channels have their room from the start: sending allocates nothing.
    let (to_committer, inbox) = bounded(shards + CALLS_WAITING_MAX);
    let files = checkpoint.map_or_else(LogFiles::default, |(name, meta, bytes)| LogFiles {
        checkpoint_name: Some(name),
        checkpoint_seq: meta.batch_seq,
        checkpoint_position: meta.next_position - 1,
        checkpoint_bytes: bytes,
        ..LogFiles::default()
    });
    let engine = Arc::new(Engine {
        clock,
        identity,
        directory,
        plans,
        doors: (0..shards).map(|_| Door::new(config.mailbox_commands_max)).collect(),
        to_committer,
        log: LogNumbers::default(),
        files: Mutex::new(files),
        draining: AtomicBool::new(false),
        places: AtomicU64::new(places),
        archiving: Mutex::new(()),
        config,
    });
    engine.log.position.store(position, Ordering::Release);
    engine.log.durable_seq.store(writer.durable_seq(), Ordering::Release);

    let mut slots: Vec<Vec<_>> = (0..shards).map(|_| Vec::new()).collect();
    for slot in state.slots {
        slots[shard_of(slot.index(), shards)].push((slot.index(), slot));
    }
    // At most three groups of a shard are on their way at any time, so the committer never waits.
    let (senders, receivers): (Vec<Sender<Finished>>, Vec<Receiver<Finished>>) =
        (0..shards).map(|_| bounded(GROUPS_ON_THEIR_WAY_MAX)).unzip();
    let shards: Vec<Shard> = slots
        .into_iter()
        .zip(receivers)
        .enumerate()
        .map(|(index, (slots, finished))| Shard::new(Arc::clone(&engine), index, finished, slots, start, position))
        .collect();
    let digests = shards.iter().map(Shard::digest).collect();
    let committer = Committer::new(Arc::clone(&engine), Arc::clone(&storage), writer, inbox, senders, digests, start.0);
    let checkpointer = Checkpointer::new(Arc::clone(&engine), storage, slot_config);
    Opened { engine, shards, committer, checkpointer, report }
}

fn slot_config(config: &EngineConfig) -> SlotConfig {
    SlotConfig {
        // Only the order inside tables depends on it, never what is in them.
        seed: if config.deterministic { 0 } else { random() },
        tombstones_max: config.tombstones_max(),
    }
}

fn log_config(config: &EngineConfig) -> LogConfig {
    if config.deterministic {
        return LogConfig { in_flight: config.batches_in_flight, ..LogConfig::deterministic(config.segment_bytes) };
    }
    LogConfig {
        in_flight: config.batches_in_flight,
        segment_bytes: config.segment_bytes,
        first_segment_bytes: FIRST_SEGMENT_BYTES.min(config.segment_bytes),
        ..LogConfig::default()
    }
}

/// The standard library seeds its tables from the operating system.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn identity_of(replayed: &Replayed, config: &EngineConfig) -> LogIdentity {
    let in_checkpoint = replayed.checkpoint.as_ref().map(|(_, meta, _)| meta.identity);
    replayed.recovered.identity.or(in_checkpoint).unwrap_or_else(|| {
        let mut instance = [0; 16];
        instance[..8].copy_from_slice(&random().to_le_bytes());
        instance[8..].copy_from_slice(&random().to_le_bytes());
        LogIdentity { instance: config.instance.unwrap_or(instance), partition: 0, incarnation: 1 }
    })
}

fn warnings_of(replayed: &Replayed, plans: &PlanFiles) -> Vec<String> {
    let mut warnings: Vec<String> = replayed
        .bad_checkpoints
        .iter()
        .map(|(name, error)| format!("{name} is no good and was not used: {error}"))
        .collect();
    warnings.extend(plans.bad.iter().map(|(file, why)| format!("{file} is damaged and nothing needs it: {why}")));
    warnings.extend(replayed.missing.iter().map(|(file, what)| format!("{file}: {what}")));
    warnings.extend(replayed.recovered.warnings.iter().map(|warning| format!("{}: {}", warning.file, warning.what)));
    warnings
}

fn check_clock(
    log: TimestampMs,
    wall: TimestampMs,
    config: &EngineConfig,
    warnings: &mut Vec<String>,
) -> Result<(), OpenError> {
    let is_new = log == TimestampMs(0);
    let jumped = log.since(wall) > CLOCK_BEHIND_MS_MAX || wall.since(log) > CLOCK_AHEAD_MS_MAX;
    if is_new || !jumped {
        return Ok(());
    }
    let jump = OpenError::ClockJump { log, wall };
    if !config.accept_clock_jump {
        return Err(jump);
    }
    warnings.push(jump.to_string());
    Ok(())
}

fn make_plans_dir(storage: &dyn Storage) -> Result<(), OpenError> {
    storage
        .create_dir(PLANS_DIR)
        .and_then(|()| storage.sync_dir(""))
        .map_err(|source| OpenError::Io { file: PLANS_DIR.to_owned(), source })
}
