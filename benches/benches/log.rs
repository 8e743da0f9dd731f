//! What it costs to make a batch durable: append and sync of 64 KiB and of 256 KiB, in memory (frame, checksum,
//! chain, copies) and in a real folder (the same, and the device).
//!
//! The folder is in cargo's target folder, or where USHER_BENCH_DIR says: a disk's syncs are what a disk says.
//!
//! Steady state: sealed segments are removed as checkpoints would do it, and a log in memory, which keeps what was
//! removed, is begun anew when it has grown to [`MEMORY_BYTES_MAX`]; both off the clock.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use benches::sale::START;
use criterion::{BenchmarkId, Criterion, Throughput};
use wal::{
    BatchKind, FileStorage, LogConfig, LogIdentity, LogWriter, MemoryStorage, Preallocate, RecoverFrom, Storage,
    recover, remove_segment,
};

const MEMORY_BYTES_MAX: u64 = 64 << 20;
const IDENTITY: LogIdentity = LogIdentity { instance: [7; 16], partition: 0, incarnation: 1 };

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for kib in [64_usize, 256] {
        let payload: Vec<u8> = (0..kib << 10).map(|at| benches::seeded::scattered(at as u64) as u8).collect();
        let mut group = criterion.benchmark_group("log");
        group.throughput(Throughput::Bytes(payload.len() as u64));
        let mut log = Log::in_memory();
        group.bench_function(BenchmarkId::new("append and sync in memory", format!("{kib} KiB")), |bencher| {
            bencher.iter_custom(|count| {
                let mut elapsed = Duration::ZERO;
                for _ in 0..count {
                    if log.written >= MEMORY_BYTES_MAX {
                        log = Log::in_memory();
                    }
                    elapsed += log.append(&payload);
                }
                elapsed
            });
        });
        group.bench_function(BenchmarkId::new("append and sync in a folder", format!("{kib} KiB")), |bencher| {
            let dir = folder();
            let mut log = Log::new(Arc::new(FileStorage::open(dir.path()).expect("a new folder opens")));
            bencher.iter_custom(|count| (0..count).map(|_| log.append(&payload)).sum());
        });
        group.finish();
    }
    criterion.final_summary();
}

fn folder() -> tempfile::TempDir {
    let parent = std::env::var_os("USHER_BENCH_DIR").map_or(PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    tempfile::Builder::new().prefix("usher-log-").tempdir_in(parent).expect("the folder can be written to")
}

struct Log {
    storage: Arc<dyn Storage>,
    writer: LogWriter,
    written: u64,
}

impl Log {
    fn in_memory() -> Log {
        Log::new(Arc::new(MemoryStorage::new()))
    }

    fn new(storage: Arc<dyn Storage>) -> Log {
        let recovered = recover(storage.as_ref(), RecoverFrom::start(), &mut |_| Ok(())).expect("it is empty");
        // Segments are made ready off the clock in both: a thread beside the measurement would be in its way.
        let config = LogConfig { preallocate: Preallocate::Inline, ..LogConfig::default() };
        let writer = LogWriter::open(Arc::clone(&storage), IDENTITY, config, &recovered).expect("it is empty");
        Log { storage, writer, written: 0 }
    }

    /// The time of one batch. A batch that has to begin a segment is not counted: that is another matter.
    fn append(&mut self, payload: &[u8]) -> Duration {
        loop {
            let segment = self.writer.live_segment().index;
            let began = Instant::now();
            let appended = self.writer.append(BatchKind::Data, START.0, 1_000, &[payload]).expect("there is room");
            self.writer.sync().expect("the disk works");
            let elapsed = began.elapsed();
            self.written += payload.len() as u64;
            if appended.segment_index == segment {
                return elapsed;
            }
            for sealed in self.writer.sealed_segments() {
                remove_segment(self.storage.as_ref(), &sealed).expect("the disk works");
                self.writer.forget_segment(&sealed.name);
            }
        }
    }
}
