//! A million holds back into memory: replay of the log that made them, loading a checkpoint of them, and writing one.
//!
//! Replay is one thread's, batch by batch, as when a state is rebuilt; a start deals the same work to all cores, and
//! `cargo xtask recovery` measures that, with the disk. Log and plans are in memory here; checkpoints are read and
//! written in a real folder, in cargo's target folder or where USHER_BENCH_DIR says.
//!
//! Steady state: each iteration makes a state of its own and drops it off the clock; what it reads is not changed.

use std::cell::LazyCell;
use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use benches::{
    arena, asked,
    partition::Partition,
    sale::{START, Sale, Size},
};
use criterion::{BatchSize, Criterion, SamplingMode, Throughput};
use engine::{LoggedBatch, Rebuild, Until};
use inventory_core::{ids::CustomerKey, image, plan_codec::encode_plan};
use wal::{
    BatchContent, BatchKind, BatchView, Chain, CheckpointMeta, CheckpointWriter, FileStorage, LogIdentity,
    MemoryStorage, RecoverFrom, Storage as _, list_checkpoints, recover,
};

const EVENTS: u32 = 1_000;
const HOLDS_PER_EVENT: u32 = 1_000;
const HOLDS: u64 = EVENTS as u64 * HOLDS_PER_EVENT as u64;
const SEATS_PER_ROW: u32 = 40;
/// Under the part of the mailbox that holds may fill.
const HOLDS_AT_ONCE: u32 = 40_000;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("recovery");
    // An iteration is long enough to be a sample.
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    group.throughput(Throughput::Elements(HOLDS));
    let log = LazyCell::new(Log::of_holds);
    group.bench_function("replay of 10^6 holds", |bencher| {
        let log = &*log;
        bencher.iter_custom(|count| (0..count).map(|_| log.replay().1).sum());
    });
    let checkpointed = LazyCell::new(|| Checkpointed::of(&log));
    group.bench_function("load a checkpoint of 10^6 holds", |bencher| {
        let checkpointed = &*checkpointed;
        bencher.iter_batched(|| log.plans.clone(), |plans| checkpointed.load(plans), BatchSize::PerIteration);
    });
    let sale = LazyCell::new(|| {
        let pairs = HOLDS_PER_EVENT;
        Sale::new(Size { events: EVENTS, held_pairs: pairs, open_pairs: pairs, admissions: 0 })
    });
    group.bench_function("write a checkpoint of 10^6 holds", |bencher| {
        let sale = &*sale;
        // The folder of the one before is removed off the clock.
        bencher.iter_batched(folder, |dir| write_checkpoint(sale, dir), BatchSize::PerIteration);
    });
    group.finish();
    criterion.final_summary();
}

fn folder() -> tempfile::TempDir {
    let parent = std::env::var_os("USHER_BENCH_DIR").map_or(PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    tempfile::Builder::new().prefix("usher-recovery-").tempdir_in(parent).expect("the folder can be written to")
}

/// A batch of the log.
struct Batch {
    kind: BatchKind,
    batch_seq: u64,
    first_position: u64,
    count: u32,
    time_ms: u64,
    payload: Vec<u8>,
    chain: Chain,
}

/// The log of 10^6 holds.
struct Log {
    identity: LogIdentity,
    plans: Vec<Vec<u8>>,
    batches: Vec<Batch>,
}

impl Log {
    fn of_holds() -> Log {
        let disk = MemoryStorage::new();
        let spec = arena::spec(HOLDS_PER_EVENT * 4, SEATS_PER_ROW, 0);
        let mut partition = Partition::new(Arc::new(disk.clone()), true);
        let keys = partition.create(EVENTS, &spec);
        let numbers: Vec<u32> = (0..EVENTS * HOLDS_PER_EVENT).collect();
        for numbers in numbers.chunks(HOLDS_AT_ONCE as usize) {
            for &number in numbers {
                let (event, pair) = (number % EVENTS, number / EVENTS);
                let id = asked::hold_id(START, u64::from(number));
                let seats = vec![pair * 2, pair * 2 + 1];
                let command = asked::hold_seats(id, CustomerKey(u64::from(number) + 1), seats);
                partition.send(keys[event as usize], command);
            }
            partition.settle();
            partition.clock.advance_ms(10);
        }
        let identity = partition.engine.identity();
        partition.stop();
        let mut batches = Vec::new();
        recover(&disk, RecoverFrom::start(), &mut |batch| {
            let BatchView { kind, batch_seq, first_position, count, time_ms, payload, chain, .. } = batch;
            // Markers say what is durable; no state is made of them.
            if kind != BatchKind::Marker {
                let payload = payload.to_vec();
                batches.push(Batch { kind, batch_seq, first_position, count, time_ms, payload, chain });
            }
            Ok(())
        })
        .expect("the log was just written");
        Log { identity, plans: vec![encode_plan(&spec)], batches }
    }

    /// The state that the log leads to, and the time of its replay.
    fn replay(&self) -> (Rebuild, Duration) {
        let mut rebuild = Rebuild::from_start(self.identity, self.plans.clone()).expect("the plan is valid");
        let began = Instant::now();
        for batch in &self.batches {
            let &Batch { kind, batch_seq, first_position, count, time_ms, ref payload, chain } = batch;
            let content = BatchContent { kind, batch_seq, first_position, count, time_ms, payload };
            rebuild.apply(&LoggedBatch { content, chain }, Until::End).expect("the log was just written");
        }
        let elapsed = began.elapsed();
        assert_eq!(rebuild.state().live_holds, HOLDS, "every hold is back");
        (rebuild, elapsed)
    }
}

/// A folder that begins with a checkpoint of the log.
struct Checkpointed {
    _dir: tempfile::TempDir,
    storage: FileStorage,
    name: String,
}

impl Checkpointed {
    fn of(log: &Log) -> Checkpointed {
        let dir = folder();
        let storage = FileStorage::open(dir.path()).expect("a new folder opens");
        let (rebuild, _) = log.replay();
        rebuild.write(&storage, START.plus_ms(1_000_000)).expect("the disk works");
        let name = list_checkpoints(&storage).expect("the disk works").remove(0);
        let bytes = storage.open_read(&name).and_then(|file| file.len()).expect("it was just written");
        println!("a checkpoint of {HOLDS} holds has {} KiB", bytes >> 10);
        Checkpointed { _dir: dir, storage, name }
    }

    fn load(&self, plans: Vec<Vec<u8>>) -> Rebuild {
        Rebuild::from_checkpoint(&self.storage, &self.name, plans).expect("it was just written")
    }
}

/// Encode, write, sync, read back, rename. The folder comes back to be removed.
fn write_checkpoint(sale: &Sale, dir: tempfile::TempDir) -> tempfile::TempDir {
    let storage = FileStorage::open(dir.path()).expect("a new folder opens");
    let meta = CheckpointMeta {
        identity: LogIdentity { instance: [7; 16], partition: 0, incarnation: 1 },
        batch_seq: 1,
        next_position: HOLDS + 1,
        chain: Chain::START,
        time_ms: START.0,
        hash: [0; 16],
        restored_at_ms: None,
    };
    let mut writer = CheckpointWriter::create(&storage, meta).expect("the disk works");
    let mut bytes = Vec::new();
    for slot in sale.slots().iter().filter(|slot| !slot.is_empty()) {
        bytes.clear();
        image::encode_slot(slot, &mut bytes);
        writer.add_section(u32::from(slot.index().0), &bytes).expect("the disk works");
    }
    black_box(writer.finish().expect("the disk works"));
    dir
}
