//! Logs of a wanted shape: the batches of a sale, written by the production writer where a script says.
//!
//! The engine alone writes one batch at a time and a HASH now and then; a sweep wants every kind of page on few
//! pages. What is written is the engine's own, so the engine can replay it.

use std::{collections::BTreeMap, sync::Arc};

use wal::{BatchKind, Keep, LogConfig, LogIdentity, LogWriter, MemoryStorage, RecoverFrom, Recovered, recover};

use super::{folder::Folder, sale::START, sale::Sale, sale::engine_config};

/// One batch of the sale.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    time_ms: u64,
    count: u32,
    payload: Vec<u8>,
    /// The state's hash after it.
    hash: u64,
}

/// A sale taken apart.
pub(super) struct Material {
    pub(super) batches: Vec<Batch>,
    plans: Folder,
    pub(super) hash_at: Arc<BTreeMap<u64, u64>>,
}

impl Material {
    /// Runs a sale. Batches of one, two and three pages, as `pages` says in turn.
    pub(super) fn new(batches: usize, pages: &[usize]) -> Material {
        Material::run(batches, pages, usize::MAX)
    }

    /// The same sale with batches of one page, in which other things happen from a batch on.
    pub(super) fn other_from(batches: usize, differs_from: usize) -> Material {
        Material::run(batches, &[1], differs_from)
    }

    fn run(batches: usize, pages: &[usize], differs_from: usize) -> Material {
        let config = engine_config(1 << 20);
        let mut sale = Sale::open(&MemoryStorage::new(), START, config).expect("an empty folder opens");
        sale.create("concert");
        sale.commit();
        for number in 1..batches {
            sale.advance_ms(7);
            sale.trade(if number < differs_from { 4 } else { 5 });
            // About 2.4 KB each: 3 KB fit a page, 7 KB two, 11 KB three.
            for _ in 0..[1, 2, 4][pages[number % pages.len()] - 1] {
                sale.describe();
            }
            sale.commit();
        }
        let mut found = Vec::new();
        let mut position = 0;
        recover(&sale.disk, RecoverFrom::start(), &mut |batch| {
            if batch.kind == BatchKind::Data {
                position += u64::from(batch.count);
                found.push(Batch {
                    time_ms: batch.time_ms,
                    count: batch.count,
                    payload: batch.payload.to_vec(),
                    hash: sale.hash_at[&position],
                });
            }
            Ok(())
        })
        .expect("an undamaged log is whole");
        assert_eq!(found.len(), batches, "one batch each");
        let hash_at = std::mem::take(&mut sale.hash_at);
        let mut plans = Folder::of_disk(&sale.disk).expect("a disk in memory answers");
        let logs: Vec<String> =
            plans.names().filter(|name| !name.starts_with(engine::PLANS_DIR)).map(str::to_owned).collect();
        for name in logs {
            plans.remove(&name);
        }
        Material { batches: found, plans, hash_at: Arc::new(hash_at) }
    }
}

/// A log being written.
pub(super) struct Press<'m> {
    material: &'m Material,
    pub(super) disk: MemoryStorage,
    config: LogConfig,
    identity: LogIdentity,
    writer: LogWriter,
    next: usize,
    /// The last position that was acknowledged.
    pub(super) acknowledged: u64,
}

fn recovered(disk: &MemoryStorage) -> Recovered {
    recover(disk, RecoverFrom::start(), &mut |_| Ok(())).expect("a crash alone never stops a start")
}

fn open(disk: &MemoryStorage, identity: LogIdentity, config: LogConfig) -> (LogWriter, Recovered) {
    let found = recovered(disk);
    let writer = LogWriter::open(Arc::new(disk.clone()), identity, config, &found).expect("the disk works");
    (writer, found)
}

impl<'m> Press<'m> {
    /// An empty log.
    pub(super) fn new(material: &'m Material, identity: LogIdentity, segment_bytes: u64, in_flight: u32) -> Press<'m> {
        let disk = material.plans.to_disk();
        let config = LogConfig { in_flight, ..LogConfig::deterministic(segment_bytes) };
        let (writer, _) = open(&disk, identity, config);
        Press { material, disk, config, identity, writer, next: 0, acknowledged: 0 }
    }

    /// Writes the next batch of the sale. Durable after the next sync.
    pub(super) fn append(&mut self) -> &mut Self {
        let batch = &self.material.batches[self.next];
        self.next += 1;
        self.writer.append(BatchKind::Data, batch.time_ms, batch.count, &[&batch.payload]).expect("the disk works");
        self
    }

    /// A batch, durable and acknowledged.
    pub(super) fn commit(&mut self) -> &mut Self {
        self.append().sync()
    }

    /// Makes durable what was written, and acknowledges it.
    pub(super) fn sync(&mut self) -> &mut Self {
        self.writer.sync().expect("the disk works");
        self.acknowledged = self.writer.durable_position();
        self
    }

    /// A HASH of the state so far. Durable after the next sync.
    pub(super) fn hash(&mut self) -> &mut Self {
        let batch = &self.material.batches[self.next - 1];
        self.writer.append(BatchKind::Hash, batch.time_ms, 0, &[&batch.hash.to_le_bytes()]).expect("the disk works");
        self
    }

    /// A MARKER.
    pub(super) fn mark(&mut self) -> &mut Self {
        self.writer.mark().expect("the disk works");
        self
    }

    /// The WATERMARK, as it is written once a second.
    pub(super) fn watermark(&mut self) -> &mut Self {
        let time_ms = self.material.batches[self.next - 1].time_ms;
        self.writer.write_watermark(time_ms).expect("the disk works");
        self
    }

    /// A clean stop.
    pub(super) fn stop(&mut self) -> &mut Self {
        let time_ms = self.material.batches[self.next - 1].time_ms;
        self.hash().sync();
        self.writer.seal(time_ms).expect("the disk works");
        self
    }

    /// The process dies, everything written is kept, and a new epoch begins.
    pub(super) fn restart(&mut self) -> &mut Self {
        self.disk = self.disk.crash(Keep::Everything);
        let (writer, found) = open(&self.disk, self.identity, self.config);
        self.writer = writer;
        self.acknowledged = found.next_position - 1;
        self
    }

    /// Ends the segment and begins the next.
    pub(super) fn rotate(&mut self) -> &mut Self {
        self.writer.rotate().expect("the disk works");
        self
    }

    /// The segment that is written to.
    pub(super) fn segment(&self) -> String {
        self.writer.live_segment().name
    }

    /// The folder as a reader sees it now.
    pub(super) fn folder(&self) -> Folder {
        Folder::of_disk(&self.disk).expect("a disk in memory answers")
    }

    /// The folder after a loss of power that kept nothing it may lose.
    pub(super) fn durable_folder(&self) -> Folder {
        Folder::of_disk(&self.disk.crash(Keep::Nothing)).expect("a disk in memory answers")
    }

    /// The right states.
    pub(super) fn material_hashes(&self) -> &'m Arc<BTreeMap<u64, u64>> {
        &self.material.hash_at
    }

    /// The last position written.
    pub(super) fn position(&self) -> u64 {
        self.writer.next_position() - 1
    }
}
