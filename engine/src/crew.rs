//! Slots brought back by several threads: the images of a checkpoint, then the runs of the log.
//!
//! No slot depends on another, and each belongs to one thread. So the state that comes out is that of one thread, and of
//! several errors the one that counts is the one that one thread would have met first.
//!
//! Not here: reading files, which the caller does; what is done to a slot (`replay.rs`).

use std::{
    ops::Range,
    panic::resume_unwind,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use crossbeam_channel::{Receiver, Sender, bounded};
use inventory_core::{
    ids::{SlotIndex, TimestampMs},
    limits::SLOTS,
    slot::Slot,
};
use wal::{BatchKind, BatchView, RecoverError, Recovered, SinkError};

use crate::{
    group::RunView,
    replay::{PlanSource, ReplayError, StartError, State, replay_run},
};

/// Fewer bytes are read by one thread before several are at work.
const BYTES_LEAST: u64 = 4 << 20;
/// Reading is one thread's work: it feeds no more than this.
const THREADS_MAX: usize = 16;
/// Batches or images that wait for one thread: they bound memory, and are enough to keep it busy.
const WAITING_MAX: usize = 4;

/// How many threads are worth it for so many bytes.
pub(crate) fn threads_for(bytes: u64) -> usize {
    if bytes < BYTES_LEAST {
        return 1;
    }
    thread::available_parallelism().map_or(1, |count| count.get().min(THREADS_MAX))
}

/// Takes the image of a slot, in the order of the file.
pub(crate) type TakeImage<'t> = &'t mut dyn FnMut(SlotIndex, &mut Vec<u8>) -> Result<(), StartError>;

/// Makes a slot of its image.
pub(crate) type Decode<'d> = &'d (dyn Fn(SlotIndex, &[u8]) -> Result<Slot, StartError> + Sync);

/// Decodes the images that `read` finds.
pub(crate) fn decode_images(
    threads: usize,
    decode: Decode<'_>,
    read: impl FnOnce(TakeImage<'_>) -> Result<(), StartError>,
) -> Result<Vec<Slot>, StartError> {
    let mut slots = Vec::new();
    if threads < 2 {
        read(&mut |slot, image| {
            slots.push(decode(slot, image)?);
            Ok(())
        })?;
        return Ok(slots);
    }
    let (sender, receiver) = bounded::<(usize, SlotIndex, Vec<u8>)>(WAITING_MAX);
    let mut decoded = thread::scope(|scope| {
        let work = |receiver: Receiver<(usize, SlotIndex, Vec<u8>)>| {
            let mut decoded = Vec::new();
            for (number, slot, image) in receiver {
                decoded.push((number, decode(slot, &image)));
            }
            decoded
        };
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                let receiver = receiver.clone();
                scope.spawn(move || work(receiver))
            })
            .collect();
        drop(receiver);
        let mut number = 0;
        let result = read(&mut |slot, image| {
            // Fails only when all of them have panicked, which is told below.
            let _ = sender.send((number, slot, std::mem::take(image)));
            number += 1;
            Ok(())
        });
        drop(sender);
        let joined = workers.into_iter().flat_map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)));
        let mut decoded: Vec<(usize, Result<Slot, StartError>)> = joined.collect();
        // What the reader met came after everything it handed over.
        decoded.extend(result.err().map(|error| (usize::MAX, Err(error))));
        decoded
    });
    decoded.sort_by_key(|(number, _)| *number);
    decoded.into_iter().map(|(_, result)| result).collect()
}

/// The part of a batch that is one thread's.
struct Part {
    origin: Origin,
    records: Vec<u8>,
    runs: Vec<PartRun>,
}

struct PartRun {
    /// Its place in the batch.
    nth: usize,
    slot: SlotIndex,
    count: u32,
    time: TimestampMs,
    records: Range<usize>,
}

/// Where a batch lies.
struct Origin {
    file: String,
    offset: u64,
    batch_seq: u64,
    first_position: u64,
}

enum Work {
    Apply(Part),
    /// Tell the XOR of the slots' hashes.
    Hash(Sender<u64>),
}

/// An error, and the run it was met in.
struct Met {
    origin: Origin,
    nth: usize,
    error: ReplayError,
}

/// One of the threads, and its slots: all whose index gives its number modulo the count of threads.
struct Worker<'p> {
    slots: Vec<Slot>,
    threads: usize,
    plans: &'p dyn PlanSource,
    met: Option<Met>,
}

impl Worker<'_> {
    fn run(mut self, work: Receiver<Work>, has_failed: &AtomicBool) -> (Vec<Slot>, Option<Met>) {
        for work in work {
            match work {
                Work::Apply(part) => {
                    if self.met.is_none() {
                        self.apply(part);
                        has_failed.fetch_or(self.met.is_some(), Ordering::Relaxed);
                    }
                }
                Work::Hash(to) => {
                    // Who asked waits for it, or has met an error of its own.
                    let _ = to.send(self.slots.iter().fold(0, |hash, slot| hash ^ slot.hash()));
                }
            }
        }
        (self.slots, self.met)
    }

    fn apply(&mut self, part: Part) {
        for PartRun { nth, slot, count, time, records } in part.runs {
            let run = RunView { slot, count, time, records: &part.records[records] };
            let at = usize::from(slot.0) / self.threads;
            if let Err(error) = replay_run(&mut self.slots[at], &run, self.plans) {
                self.met = Some(Met { origin: part.origin, nth, error });
                return;
            }
        }
    }
}

/// Another thread has met an error, which is told instead of this.
#[derive(Debug)]
struct Elsewhere;

impl std::fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a thread that replays has ended")
    }
}

impl std::error::Error for Elsewhere {}

/// Replays the batches that `read` delivers.
pub(crate) fn replay_log(
    threads: usize,
    state: &mut State,
    plans: &dyn PlanSource,
    read: impl FnOnce(&mut dyn FnMut(&BatchView<'_>) -> Result<(), SinkError>) -> Result<Recovered, RecoverError>,
) -> Result<Recovered, RecoverError> {
    if threads < 2 {
        return read(&mut |batch| Ok(state.replay(batch, plans)?));
    }
    let mut shares: Vec<Vec<Slot>> = (0..threads).map(|_| Vec::with_capacity(SLOTS.div_ceil(threads))).collect();
    for slot in state.slots.drain(..) {
        shares[usize::from(slot.index().0) % threads].push(slot);
    }
    let has_failed = AtomicBool::new(false);
    let (result, ended) = thread::scope(|scope| {
        let mut doors = Vec::with_capacity(threads);
        let mut workers = Vec::with_capacity(threads);
        for slots in shares {
            let (door, work) = bounded(WAITING_MAX);
            let (worker, has_failed) = (Worker { slots, threads, plans, met: None }, &has_failed);
            workers.push(scope.spawn(move || worker.run(work, has_failed)));
            doors.push(door);
        }
        let result = read(&mut |batch| {
            if has_failed.load(Ordering::Relaxed) {
                return Err(Elsewhere.into());
            }
            deal(batch, state, &doors)
        });
        drop(doors);
        let join = |worker: thread::ScopedJoinHandle<'_, _>| worker.join().unwrap_or_else(|panic| resume_unwind(panic));
        (result, workers.into_iter().map(join).collect::<Vec<_>>())
    });
    let mut first: Option<Met> = None;
    for (slots, met) in ended {
        state.slots.extend(slots);
        let key = |met: &Met| (met.origin.batch_seq, met.nth);
        if let Some(met) = met
            && first.as_ref().is_none_or(|first| key(&met) < key(first))
        {
            first = Some(met);
        }
    }
    state.slots.sort_by_key(|slot| slot.index().0);
    // What was read last came after it.
    match first {
        Some(Met { origin: Origin { file, offset, batch_seq, first_position }, error, .. }) => {
            Err(RecoverError::Sink { file, offset, batch_seq, first_position, source: error.into() })
        }
        None => result,
    }
}

/// Hands the runs of a batch to the threads that have their slots.
fn deal(batch: &BatchView<'_>, state: &mut State, doors: &[Sender<Work>]) -> Result<(), SinkError> {
    match batch.kind {
        BatchKind::Data => {
            let runs = state.read_runs(batch)?;
            let mut parts: Vec<Option<Part>> = doors.iter().map(|_| None).collect();
            for (nth, run) in runs.iter().enumerate() {
                let part = parts[usize::from(run.slot.0) % doors.len()].get_or_insert_with(|| Part {
                    origin: Origin {
                        file: batch.location.file.to_owned(),
                        offset: batch.location.offset,
                        batch_seq: batch.batch_seq,
                        first_position: batch.first_position,
                    },
                    records: Vec::with_capacity(batch.payload.len() / doors.len()),
                    runs: Vec::new(),
                });
                let begin = part.records.len();
                part.records.extend_from_slice(run.records);
                let records = begin..part.records.len();
                part.runs.push(PartRun { nth, slot: run.slot, count: run.count, time: run.time, records });
            }
            for (door, part) in doors.iter().zip(parts) {
                if let Some(part) = part {
                    door.send(Work::Apply(part)).map_err(|_| Elsewhere)?;
                }
            }
            state.count(&runs);
            Ok(())
        }
        BatchKind::Hash => {
            let (to, hashes) = bounded(doors.len());
            for door in doors {
                door.send(Work::Hash(to.clone())).map_err(|_| Elsewhere)?;
            }
            drop(to);
            let reached = hashes.iter().fold(0, |all, hash| all ^ hash);
            Ok(state.settle(batch.payload, reached)?)
        }
        BatchKind::Seal | BatchKind::Marker => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};
    use std::sync::Arc;

    use inventory_core::{
        change::{Change, EventCreated},
        ids::{EventId, EventNumber, PlanDigest},
        image,
        plan::{Area, Plan, PlanSpec, Point},
        policy::Settings,
        slot::SlotConfig,
    };
    use wal::{LogConfig, LogIdentity, LogWriter, MemoryStorage, RecoverFrom, recover};

    use super::*;
    use crate::{group::GroupBuilder, plan_store::PlanFiles, router::event_key};

    const CONFIG: SlotConfig = SlotConfig { seed: 0, tombstones_max: 100 };
    const EVENTS: u64 = 40;

    fn plans() -> PlanFiles {
        let centre = Point { x: 0, y: 0 };
        let area = Area { key: "floor".into(), label: "Floor".into(), zone: None, level: 0, capacity: 5, centre };
        let spec = PlanSpec {
            name: "hall".into(),
            price_levels: vec!["gold".into()],
            focal_point: Some(centre),
            areas: vec![area],
            ..PlanSpec::default()
        };
        let digest = PlanDigest([1; 32]);
        let plan = Plan::build(&spec, digest).expect("a good plan");
        PlanFiles { plans: HashMap::from([(digest, Arc::new(plan))]), bad: BTreeMap::new() }
    }

    /// A log in which every event is made in one batch and changed once in each of those after it, and every second
    /// batch is followed by the hash of the state. The changes `wrong`, of a batch and an event, say something else
    /// than they gave.
    fn log(wrong: &[(u64, u64)]) -> MemoryStorage {
        let storage = MemoryStorage::new();
        let recovered = recover(&storage, RecoverFrom::start(), &mut |_| Ok(())).expect("it is empty");
        let identity = LogIdentity { instance: [7; 16], partition: 0, incarnation: 1 };
        let config = LogConfig::deterministic(48 << 10);
        let mut writer = LogWriter::open(Arc::new(storage.clone()), identity, config, &recovered).expect("it opens");
        let (plans, mut state) = (plans(), State::empty(CONFIG));
        let mut numbers = BTreeMap::new();
        for batch in 0..6 {
            let now = TimestampMs(10 + batch);
            let mut builder = GroupBuilder::new();
            for nth in 0..EVENTS {
                let name = format!("event-{nth}");
                let key = event_key(&name);
                let slot = &mut state.slots[usize::from(key.slot().0)];
                let change = if batch == 0 {
                    Change::EventCreated(Box::new(EventCreated {
                        id: EventId::parse(&name).expect("a good name"),
                        key,
                        plan: PlanDigest([1; 32]),
                        fingerprint: 0,
                        settings: Settings::default(),
                    }))
                } else {
                    Change::FloorRaised(TimestampMs(batch))
                };
                let number: EventNumber = *numbers.entry(nth).or_insert_with(|| slot.next_event_number());
                let mut applied = slot.apply(now, number, &change, &plans, None);
                applied.digest ^= u32::from(wrong.contains(&(batch, nth)));
                builder.push(key.slot(), number, applied, &change);
            }
            let (changes, mut payload) = (builder.changes(), Vec::new());
            builder.finish(now, &mut payload, &mut Vec::new());
            writer.append(BatchKind::Data, now.0, changes, &[&payload]).expect("it is written");
            if batch % 2 == 1 {
                writer.append(BatchKind::Hash, now.0, 0, &[&state.hash().to_le_bytes()]).expect("it is written");
            }
        }
        writer.sync().expect("it is durable");
        storage
    }

    fn replayed(storage: &MemoryStorage, threads: usize) -> Result<State, String> {
        let (plans, mut state) = (plans(), State::empty(CONFIG));
        let result = replay_log(threads, &mut state, &plans, |sink| {
            recover(storage, RecoverFrom::start(), &mut |batch| sink(&batch))
        });
        assert!(state.slots.iter().map(|slot| slot.index().0).eq(0..=u8::MAX), "every slot is back in its place");
        result.map(|_| state).map_err(|error| error.to_string())
    }

    #[test]
    fn many_threads_find_what_one_finds() {
        let storage = log(&[]);
        let one = replayed(&storage, 1).expect("it is good");
        for threads in [2, 3, 16] {
            let many = replayed(&storage, threads).expect("it is good");
            assert_eq!(many.hash(), one.hash());
            assert_eq!((many.batches, many.changes, many.is_settled), (one.batches, one.changes, one.is_settled));
        }
    }

    #[test]
    fn of_several_errors_the_first_in_the_log_is_told() {
        for wrong in [&[(3, 7), (3, 8), (2, 30), (4, 1)][..], &[(0, 39)], &[(5, 0), (5, 20)]] {
            let storage = log(wrong);
            let one = replayed(&storage, 1).err().expect("a change is wrong");
            for threads in [2, 3, 16] {
                assert_eq!(replayed(&storage, threads).err(), Some(one.clone()), "{wrong:?} by {threads}");
            }
        }
    }

    #[test]
    fn images_come_back_in_order_and_the_first_error_is_told() {
        let state = replayed(&log(&[]), 1).expect("it is good");
        let plans = plans();
        let images: Vec<(SlotIndex, Vec<u8>)> = state
            .slots
            .iter()
            .filter(|slot| !slot.is_empty())
            .map(|slot| {
                let mut bytes = Vec::new();
                image::encode_slot(slot, &mut bytes);
                (slot.index(), bytes)
            })
            .collect();
        let error = |file: &str, slot: SlotIndex| StartError::Image {
            file: file.to_owned(),
            slot: slot.0,
            what: "it is bad".to_owned(),
        };
        let decode = |slot: SlotIndex, bytes: &[u8]| {
            image::decode_slot(bytes, slot, CONFIG, &plans).map_err(|_| error("snap", slot))
        };
        let by = |threads: usize, bad: &[usize], is_whole: bool| {
            let slots = decode_images(threads, &decode, |take| {
                for (nth, (slot, bytes)) in images.iter().enumerate() {
                    let cut = if bad.contains(&nth) { 3 } else { bytes.len() };
                    take(*slot, &mut bytes[..cut].to_vec())?;
                }
                if is_whole { Ok(()) } else { Err(error("the end", SlotIndex(0))) }
            });
            slots.map(|slots| slots.iter().map(|slot| (slot.index(), slot.hash())).collect::<Vec<_>>())
        };
        let told = |threads, bad: &[usize]| by(threads, bad, false).expect_err("one is bad").to_string();
        let all: Vec<_> = images.iter().map(|(slot, _)| (*slot, state.slots[usize::from(slot.0)].hash())).collect();
        for threads in [1, 2, 3, 16] {
            assert_eq!(by(threads, &[], true).ok().as_ref(), Some(&all));
            assert_eq!(told(threads, &[]), error("the end", SlotIndex(0)).to_string(), "what was read is good");
            assert_eq!(told(threads, &[9, 4, 11]), error("snap", images[4].0).to_string());
        }
    }
}
