//! The log into memory again: what a start, a check and a checkpoint share. Nothing here writes.
//!
//! Replay trusts nothing: every change must give the number and the digest that were written with it,
//! and every HASH in the log must be the hash of the state reached there.

use std::fmt;

use inventory_core::{
    ahead::{AHEAD_MAX, STEPS},
    change::Record,
    codec,
    ids::{PlanDigest, SlotIndex, TimestampMs},
    image,
    limits::SLOTS,
    slot::{Plans, Slot, SlotConfig},
};
use wal::{
    BatchKind, BatchView, CheckpointError, CheckpointMeta, CheckpointReader, Damage, FIRST_BATCH_SEQ, FIRST_POSITION,
    Proof, RecoverError, RecoverFrom, Recovered, Storage, list_checkpoints, recover,
};

use crate::{
    checkpointer::read_hashes,
    crew::{decode_images, replay_log, threads_for},
    group::{RunView, read_runs},
    plan_store::{PlanFiles, PlanStore, PlanStoreError, file_of},
    resumption::{GIVEN_TAG, Given},
};

/// Plans that may be missing.
pub(crate) trait PlanSource: Plans + Sync {
    /// Why there is no plan with this digest, or nothing if there is one.
    fn lacks(&self, digest: &PlanDigest) -> Option<String>;
}

impl PlanSource for PlanFiles {
    fn lacks(&self, digest: &PlanDigest) -> Option<String> {
        (!self.plans.contains_key(digest)).then(|| self.missing(digest))
    }
}

impl PlanSource for PlanStore {
    fn lacks(&self, digest: &PlanDigest) -> Option<String> {
        self.get(digest).is_none().then(|| format!("plan {digest} is missing"))
    }
}

/// A batch checks and cannot be replayed.
#[derive(Debug)]
pub(crate) enum ReplayError {
    /// The bytes are not what this engine writes.
    Unreadable(String),
    /// A plan that it names is not there.
    NoPlan(String),
    /// A change gives something else than it gave when it was made.
    Differs(String),
    /// The state is not the one the log says it is.
    StateDiffers {
        /// In the log.
        logged: u64,
        /// Reached.
        reached: u64,
    },
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplayError::Unreadable(what) => write!(f, "its content is not readable: {what}"),
            ReplayError::NoPlan(what) => write!(f, "it needs a plan, and {what}"),
            ReplayError::Differs(what) => f.write_str(what),
            ReplayError::StateDiffers { logged, reached } => {
                write!(f, "the state has the hash {reached:016x} and the log says {logged:016x}")
            }
        }
    }
}

impl std::error::Error for ReplayError {}

impl ReplayError {
    /// The same with other words.
    fn map(self, words: impl FnOnce(String) -> String) -> ReplayError {
        match self {
            ReplayError::Unreadable(what) => ReplayError::Unreadable(words(what)),
            ReplayError::NoPlan(what) => ReplayError::NoPlan(words(what)),
            ReplayError::Differs(what) => ReplayError::Differs(words(what)),
            differs @ ReplayError::StateDiffers { .. } => differs,
        }
    }
}

/// Applies one run to its slot.
pub(crate) fn replay_run(slot: &mut Slot, run: &RunView<'_>, plans: &dyn PlanSource) -> Result<(), ReplayError> {
    let at = |nth: u32, what: String| format!("change {nth} of slot {}: {what}", run.slot.0);
    let mut rest = run.records;
    let mut ahead = Vec::with_capacity(AHEAD_MAX);
    let mut nth = 0;
    while nth < run.count {
        let mut unreadable = None;
        for _ in 0..(AHEAD_MAX as u32).min(run.count - nth) {
            match codec::decode_record(rest) {
                Ok((record, consumed)) => {
                    rest = &rest[consumed..];
                    ahead.push(record);
                }
                Err(error) => {
                    unreadable = Some(error);
                    break;
                }
            }
        }
        look_ahead(slot, &ahead);
        for record in ahead.drain(..) {
            nth += 1;
            replay_record(slot, run.time, &record, plans).map_err(|error| error.map(|what| at(nth, what)))?;
        }
        if let Some(error) = unreadable {
            return Err(ReplayError::Unreadable(at(nth + 1, error.to_string())));
        }
    }
    if rest.is_empty() { Ok(()) } else { Err(ReplayError::Unreadable("a run is longer than its changes".to_owned())) }
}

/// Asks for the memory that these records will need: see [`inventory_core::ahead`].
fn look_ahead(slot: &Slot, records: &[Record]) {
    let mut ahead: [_; AHEAD_MAX] = std::array::from_fn(|at| {
        records.get(at).and_then(|record| slot.look_ahead_to_change(record.event, &record.change))
    });
    for step in 1..STEPS {
        ahead.iter_mut().flatten().for_each(|ahead| slot.look_on(ahead, step));
    }
}

fn replay_record(
    slot: &mut Slot,
    time: TimestampMs,
    record: &Record,
    plans: &dyn PlanSource,
) -> Result<(), ReplayError> {
    if let Some(missing) = record.change.plan_named().and_then(|digest| plans.lacks(digest)) {
        return Err(ReplayError::NoPlan(missing));
    }
    if !slot.has_place_for(record.event, &record.change) {
        return Err(ReplayError::Differs(format!("there is no place for event {}", record.event.0)));
    }
    if time < slot.now() {
        return Err(ReplayError::Differs("it is older than the change before it".to_owned()));
    }
    let applied = slot.apply(time, record.event, &record.change, plans, None);
    if (applied.event_seq, applied.digest) != (record.event_seq, record.digest) {
        return Err(ReplayError::Differs(format!(
            "event {} came to change {} with digest {:08x}, and the log says {} with {:08x}",
            record.event.0, applied.event_seq, applied.digest, record.event_seq, record.digest
        )));
    }
    Ok(())
}

/// The hash in a HASH batch.
pub(crate) fn read_hash(payload: &[u8]) -> Result<u64, ReplayError> {
    let bytes = payload.try_into().map_err(|_| ReplayError::Unreadable("a hash is 8 bytes".to_owned()))?;
    Ok(u64::from_le_bytes(bytes))
}

/// All slots of a partition.
pub(crate) struct State {
    pub(crate) slots: Vec<Slot>,
    pub(crate) batches: u64,
    pub(crate) changes: u64,
    /// What a start that did not come to its end has given back already.
    pub(crate) given: Given,
    /// Something came after the checkpoint that no start writes before its end.
    pub(crate) is_settled: bool,
}

impl State {
    pub(crate) fn empty(config: SlotConfig) -> State {
        let slots = (0..=u8::MAX).map(|index| Slot::new(SlotIndex(index), config)).collect();
        State { slots, batches: 0, changes: 0, given: Given::default(), is_settled: false }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.slots.iter().fold(0, |hash, slot| hash ^ slot.hash())
    }

    pub(crate) fn event_count(&self) -> usize {
        self.slots.iter().map(Slot::event_count).sum()
    }

    /// Live holds.
    pub(crate) fn live_holds(&self) -> u64 {
        let of_slot = |slot: &Slot| slot.events().map(|event| u64::from(event.live_holds())).sum::<u64>();
        self.slots.iter().map(of_slot).sum()
    }

    pub(crate) fn replay(&mut self, batch: &BatchView<'_>, plans: &dyn PlanSource) -> Result<(), ReplayError> {
        match batch.kind {
            BatchKind::Data => self.replay_runs(&self.read_runs(batch)?, plans),
            BatchKind::Hash => self.compare_hash(batch.payload),
            BatchKind::Seal | BatchKind::Marker => Ok(()),
        }
    }

    /// The runs of a batch.
    pub(crate) fn read_runs<'b>(&self, batch: &BatchView<'b>) -> Result<Vec<RunView<'b>>, ReplayError> {
        read_runs(batch.payload, batch.count).map_err(|error| ReplayError::Unreadable(error.to_string()))
    }

    /// Applies the runs of one batch, or the first ones of them.
    pub(crate) fn replay_runs(&mut self, runs: &[RunView<'_>], plans: &dyn PlanSource) -> Result<(), ReplayError> {
        for run in runs {
            replay_run(&mut self.slots[usize::from(run.slot.0)], run, plans)?;
        }
        self.count(runs);
        Ok(())
    }

    /// Takes note of the runs of one batch, which are applied.
    pub(crate) fn count(&mut self, runs: &[RunView<'_>]) {
        self.changes += runs.iter().map(|run| u64::from(run.count)).sum::<u64>();
        self.is_settled |= !self.given.hear(runs);
        self.batches += 1;
    }

    /// The hash in a HASH batch must be that of the state. A start that gave time back ends with one.
    pub(crate) fn compare_hash(&mut self, payload: &[u8]) -> Result<(), ReplayError> {
        self.settle(payload, self.hash())
    }

    /// The same for a hash of the state that is known.
    pub(crate) fn settle(&mut self, payload: &[u8], reached: u64) -> Result<(), ReplayError> {
        let logged = read_hash(payload)?;
        if logged != reached {
            return Err(ReplayError::StateDiffers { logged, reached });
        }
        self.given = Given::default();
        self.is_settled = true;
        Ok(())
    }
}

/// The slot in one section of a checkpoint.
pub(crate) fn decode_slot(
    bytes: &[u8],
    name: &str,
    slot: SlotIndex,
    config: SlotConfig,
    plans: &dyn PlanSource,
) -> Result<Slot, StartError> {
    let image = |what: String| StartError::Image { file: name.to_owned(), slot: slot.0, what };
    // An event without its plan is left out; here that is an error.
    let has = |digest: &PlanDigest| plans.lacks(digest).is_none();
    let (decoded, events) =
        image::decode_slot_partly(bytes, slot, config, plans, &has).map_err(|error| image(error.to_string()))?;
    match events.iter().find(|event| event.number.is_none()).and_then(|event| plans.lacks(&event.plan?)) {
        Some(missing) => Err(image(missing)),
        None => Ok(decoded),
    }
}

/// A slot must have the hash that its checkpoint says.
pub(crate) fn compare_hash(name: &str, slot: &Slot, hash: u64) -> Result<(), StartError> {
    if slot.hash() == hash {
        return Ok(());
    }
    Err(StartError::Image {
        file: name.to_owned(),
        slot: slot.index().0,
        what: format!("it has the hash {:016x} and the file says {hash:016x}", slot.hash()),
    })
}

/// What a folder holds cannot be brought into memory.
#[derive(Debug)]
pub(crate) enum StartError {
    /// A file cannot be read.
    Io { file: String, source: std::io::Error },
    /// The plans cannot be read.
    Plans(PlanStoreError),
    /// A checkpoint cannot be read.
    Checkpoint(CheckpointError),
    /// A checkpoint checks and holds no image of a slot.
    Image { file: String, slot: u8, what: String },
    /// The log.
    Log(RecoverError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Io { file, source } if file.is_empty() => write!(f, "the data folder cannot be read: {source}"),
            StartError::Io { file, source } => write!(f, "{file}: {source}"),
            StartError::Plans(error) => error.fmt(f),
            StartError::Checkpoint(error) => error.fmt(f),
            StartError::Image { file, slot, what } => {
                write!(f, "{file}: the image of slot {slot} cannot be used: {what}")
            }
            StartError::Log(error) => error.fmt(f),
        }
    }
}

/// A checkpoint in memory.
pub(crate) struct Loaded {
    name: String,
    bytes: u64,
    pub(crate) meta: CheckpointMeta,
    pub(crate) state: State,
}

/// Opens a checkpoint under the name it was written with.
fn open_checkpoint(storage: &dyn Storage, name: &str) -> Result<CheckpointReader, StartError> {
    let reader = CheckpointReader::open(storage, name).map_err(StartError::Checkpoint)?;
    if reader.meta().file_name() == name {
        return Ok(reader);
    }
    let (file, offset, what) = (name.to_owned(), 0, "it was written under another name");
    Err(StartError::Checkpoint(CheckpointError::Damaged { file, offset, what }))
}

pub(crate) fn load_checkpoint(
    storage: &dyn Storage,
    name: &str,
    config: SlotConfig,
    plans: &dyn PlanSource,
) -> Result<Loaded, StartError> {
    let reader = open_checkpoint(storage, name)?;
    let meta = *reader.meta();
    let mut state = State::empty(config);
    let hashes = read_hashes(&reader)?;
    let decode = |slot, image: &[u8]| decode_slot(image, name, slot, config, plans);
    let slots = decode_images(threads_for(reader.bytes()), &decode, |take| {
        let mut sections = reader.read_all().map_err(StartError::Checkpoint)?;
        let mut section = Vec::new();
        while let Some(tag) = sections.next(&mut section).map_err(StartError::Checkpoint)? {
            if let Ok(slot) = u8::try_from(tag).map(SlotIndex) {
                take(slot, &mut section)?;
            } else if tag == GIVEN_TAG {
                state.given = Given::decode(TimestampMs(meta.time_ms), &section).ok_or_else(|| {
                    StartError::Checkpoint(CheckpointError::Damaged {
                        file: name.to_owned(),
                        offset: 0,
                        what: "the section of deadlines moved already is not readable",
                    })
                })?;
            }
        }
        sections.finish().map_err(StartError::Checkpoint)
    })?;
    for slot in slots {
        let index = usize::from(slot.index().0);
        state.slots[index] = slot;
    }
    for (slot, hash) in state.slots.iter().zip(hashes) {
        compare_hash(name, slot, hash)?;
    }
    Ok(Loaded { name: name.to_owned(), bytes: reader.bytes(), meta, state })
}

/// Everything a folder holds.
pub(crate) struct Replayed {
    pub(crate) state: State,
    pub(crate) recovered: Recovered,
    /// The checkpoint it began with, and its size.
    pub(crate) checkpoint: Option<(String, CheckpointMeta, u64)>,
    /// Checkpoints that are no good, and why: newer ones that were passed over, and older ones.
    pub(crate) bad_checkpoints: Vec<(String, StartError)>,
    /// Files that are kept for the loss of the newest checkpoint, and are gone.
    pub(crate) missing: Vec<(String, String)>,
}

/// Reads the newest good checkpoint and the log behind it.
pub(crate) fn replay(
    storage: &dyn Storage,
    config: SlotConfig,
    plans: &dyn PlanSource,
    progress: &mut dyn FnMut(&str),
) -> Result<Replayed, StartError> {
    let names = list_checkpoints(storage).map_err(|source| StartError::Io { file: String::new(), source })?;
    let mut bad_checkpoints = Vec::new();
    let mut loaded = None;
    let mut older = Vec::new();
    for name in names {
        let result = match &loaded {
            None => load_checkpoint(storage, &name, config, plans).map(|good| {
                progress(&format!("{name}: {} events", good.state.event_count()));
                loaded = Some(good);
            }),
            // Not needed now. It will be when the newer one is lost.
            Some(_) => open_checkpoint(storage, &name).and_then(|reader| {
                reader.verify_all().map_err(StartError::Checkpoint)?;
                older.push((name.clone(), reader.meta().batch_seq));
                Ok(())
            }),
        };
        match result {
            Ok(()) => {}
            // The older one is kept for this. A device that does not answer, or a newer program's file, is
            // nothing to go around.
            Err(error @ (StartError::Checkpoint(CheckpointError::Damaged { .. }) | StartError::Image { .. })) => {
                probe::sometimes!("start: a damaged checkpoint is passed over", loaded.is_none());
                bad_checkpoints.push((name, error));
            }
            Err(error) => return Err(error),
        }
    }
    let (mut state, checkpoint) = match loaded {
        Some(Loaded { name, bytes, meta, state }) => (state, Some((name, meta, bytes))),
        None => (State::empty(config), None),
    };
    let from = checkpoint.as_ref().map_or_else(RecoverFrom::start, |(_, meta, _)| RecoverFrom::checkpoint(meta));
    let mut told = 0;
    let recovered = replay_log(threads_for(log_bytes(storage)?), &mut state, plans, |sink| {
        recover(storage, from, &mut |batch| {
            sink(&batch)?;
            if batch.first_position >= told + PROGRESS_EVERY {
                told = batch.first_position;
                progress(&format!("{}: position {told}", batch.location.file));
            }
            Ok(())
        })
    })
    .map_err(|error| match (error, bad_checkpoints.is_empty() || checkpoint.is_some()) {
        // The log does not reach back to its beginning, and need not: what is bad is the checkpoint.
        (RecoverError::Gap { after, .. }, false) if after.is_empty() => bad_checkpoints.remove(0).1,
        (error, _) => StartError::Log(error),
    })?;
    if checkpoint.is_none() && recovered.identity.is_none() && !bad_checkpoints.is_empty() {
        // Without a log the checkpoint is all there was, as after a restore: nothing is to be begun anew.
        return Err(bad_checkpoints.remove(0).1);
    }
    assert_eq!(state.slots.len(), SLOTS);
    let newest = checkpoint.as_ref().map(|(name, meta, _)| (name.as_str(), meta));
    let alone = older.is_empty() && bad_checkpoints.is_empty();
    let missing = missing_copies(&recovered, newest, &older, alone);
    Ok(Replayed { state, recovered, checkpoint, bad_checkpoints, missing })
}

/// Two checkpoints are kept, and the log of the older one: what of that is gone. The state is whole without it.
fn missing_copies(
    recovered: &Recovered,
    newest: Option<(&str, &CheckpointMeta)>,
    older: &[(String, u64)],
    alone: bool,
) -> Vec<(String, String)> {
    let (Some(first), Some((name, meta))) = (recovered.segments.first(), newest) else { return Vec::new() };
    let first_seq = first.first_batch_seq;
    // A third one is left over from a removal that failed; the next checkpoint takes it away.
    let mut missing: Vec<(String, String)> = older
        .iter()
        .take(1)
        .filter(|(_, batch_seq)| batch_seq + 1 < first_seq)
        .map(|(name, batch_seq)| {
            let next = batch_seq + 1;
            (first.name.clone(), format!("the log begins with batch {first_seq}, and {name} needs it from {next} on"))
        })
        .collect();
    // Log is removed only when two checkpoints cover it; a restore begins without.
    if alone && first_seq > 1 && meta.restored_at_ms.is_none() {
        let what = format!("two checkpoints cover what was before batch {first_seq}, and only this one is there");
        missing.push((name.to_owned(), what));
    }
    missing
}

/// Bytes of all segments.
fn log_bytes(storage: &dyn Storage) -> Result<u64, StartError> {
    let io = |file: &str| {
        let file = file.to_owned();
        move |source| StartError::Io { file, source }
    };
    let mut bytes = 0;
    for name in storage.list("").map_err(io(""))?.iter().filter(|name| name.ends_with(".seg")) {
        bytes += storage.open_read(name).and_then(|file| file.len()).map_err(io(name))?;
    }
    Ok(bytes)
}

/// A plan is stored by an engine that runs, and its log was durable before. Plans without a log and without a
/// checkpoint are what is left of a folder that had one: nothing else in it tells that from a new one.
pub(crate) fn refuse_plans_alone(replayed: &Replayed, plans: &PlanFiles) -> Result<(), StartError> {
    let is_new = replayed.recovered.identity.is_none() && replayed.checkpoint.is_none();
    match plans.plans.keys().min() {
        Some(digest) if is_new => Err(StartError::Log(RecoverError::Damaged(Box::new(Damage {
            file: file_of(digest),
            offset: 0,
            batch_seq: FIRST_BATCH_SEQ,
            first_position: FIRST_POSITION,
            last_position: None,
            how_proven: Proof::Contradiction(
                "a plan is stored when there is a log, and there is neither a segment nor a checkpoint".to_owned(),
            ),
        })))),
        _ => Ok(()),
    }
}

const PROGRESS_EVERY: u64 = 1_000_000;

/// When the restore happened that no start has answered yet, by the clock of the machine that did it.
pub(crate) fn restored_at(replayed: &Replayed) -> Option<TimestampMs> {
    let (_, meta, _) = replayed.checkpoint.as_ref()?;
    meta.restored_at_ms.filter(|_| !replayed.state.is_settled).map(TimestampMs)
}

/// The latest time a folder knows.
pub(crate) fn log_time(replayed: &Replayed) -> TimestampMs {
    let in_checkpoint = replayed.checkpoint.as_ref().map_or(0, |(_, meta, _)| meta.time_ms);
    TimestampMs(replayed.recovered.time_ms.max(in_checkpoint))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};
    use std::sync::Arc;

    use inventory_core::{
        change::{Change, EventCreated},
        ids::{EventId, EventNumber},
        plan::{Area, Plan, PlanSpec, Point},
        policy::Settings,
        slot::Applied,
    };

    use super::*;
    use crate::{group::GroupBuilder, router::event_key};

    const CONFIG: SlotConfig = SlotConfig { seed: 0, tombstones_max: 100 };
    const EVENT: EventNumber = EventNumber(0);
    const NOW: TimestampMs = TimestampMs(10);

    fn plans() -> PlanFiles {
        let area = Area {
            key: "floor".into(),
            label: "Floor".into(),
            zone: None,
            level: 0,
            capacity: 5,
            centre: Point { x: 0, y: 0 },
        };
        let spec = PlanSpec {
            name: "hall".into(),
            price_levels: vec!["gold".into()],
            focal_point: Some(Point { x: 0, y: 0 }),
            areas: vec![area],
            ..PlanSpec::default()
        };
        let digest = PlanDigest([1; 32]);
        let plan = Plan::build(&spec, digest).expect("a good plan");
        PlanFiles { plans: HashMap::from([(digest, Arc::new(plan))]), bad: BTreeMap::new() }
    }

    fn created() -> Change {
        Change::EventCreated(Box::new(EventCreated {
            id: EventId::parse("concert").expect("a good name"),
            key: event_key("concert"),
            plan: PlanDigest([1; 32]),
            fingerprint: 0,
            settings: Settings::default(),
        }))
    }

    /// Replays one change as if it had been logged with these numbers.
    fn replay_one(change: &Change, applied: Applied, plans: &PlanFiles) -> Result<(), ReplayError> {
        let index = event_key("concert").slot();
        let mut builder = GroupBuilder::new();
        builder.push(index, EVENT, applied, change);
        let mut payload = Vec::new();
        builder.finish(NOW, &mut payload, &mut Vec::new());
        let runs = read_runs(&payload, 1).expect("one change");
        replay_run(&mut Slot::new(index, CONFIG), &runs[0], plans)
    }

    fn honest() -> Applied {
        let mut slot = Slot::new(event_key("concert").slot(), CONFIG);
        slot.apply(NOW, EVENT, &created(), &plans(), None)
    }

    #[test]
    fn a_change_must_give_what_it_gave() {
        let applied = honest();
        assert!(replay_one(&created(), applied, &plans()).is_ok());
        let wrong = Applied { digest: applied.digest ^ 1, ..applied };
        assert!(matches!(replay_one(&created(), wrong, &plans()), Err(ReplayError::Differs(_))));
        let wrong = Applied { event_seq: applied.event_seq + 1, ..applied };
        assert!(matches!(replay_one(&created(), wrong, &plans()), Err(ReplayError::Differs(_))));
    }

    #[test]
    fn a_change_needs_its_plan_and_its_event() {
        let none = PlanFiles { plans: HashMap::new(), bad: BTreeMap::new() };
        assert!(matches!(replay_one(&created(), honest(), &none), Err(ReplayError::NoPlan(_))));
        let orphan = Change::FloorRaised(TimestampMs(1));
        assert!(matches!(replay_one(&orphan, honest(), &plans()), Err(ReplayError::Differs(_))));
    }

    #[test]
    fn a_run_is_read_to_its_last_byte() {
        let mut records = Vec::new();
        let Applied { event_seq, digest } = honest();
        codec::encode_record(&Record { event: EVENT, event_seq, digest, change: created() }, &mut records);
        let index = event_key("concert").slot();
        let run = |records: &[u8], count| {
            let view = RunView { slot: index, count, time: NOW, records };
            replay_run(&mut Slot::new(index, CONFIG), &view, &plans())
        };
        assert!(run(&records, 1).is_ok());
        assert!(matches!(run(&records, 2), Err(ReplayError::Unreadable(_))));
        records.push(0);
        assert!(matches!(run(&records, 1), Err(ReplayError::Unreadable(_))));
    }
}
