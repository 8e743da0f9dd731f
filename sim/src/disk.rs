//! The disk of a simulated machine: a folder in memory that keeps what is durable apart from what is written
//! ([`wal::MemoryStorage`]), with the faults of real ones on top.
//!
//! - power fails at any operation that writes; of what was not synced each page is kept, lost or garbled;
//! - any operation fails once with EIO; after a failed sync the pages count as clean and are never written
//!   (Rebello et al., ATC 2020);
//! - the disk fills up;
//! - a sync lies; a write is lost, or lands in another place.
//!
//! Invariants: the same calls with the same seed give the same bytes. Reads fail only when the machine is off.
//! Not here: when which fault is armed (`world.rs`), rot of what is at rest (`damage.rs`).

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard},
};

use wal::{Keep, MemoryStorage, ReadFile, Storage, WriteFile};

use crate::random::Random;

/// How a device deceives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deceit {
    /// Syncs that do nothing, of a thousand.
    pub lies_permille: u64,
    /// Writes that go nowhere.
    pub lost_permille: u64,
    /// Writes that go elsewhere.
    pub misdirected_permille: u64,
}

/// What is armed for the operations to come, counted from now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Armed {
    /// Power fails at the operation with this number.
    off_at: Option<u64>,
    /// This operation fails.
    fail_at: Option<u64>,
}

struct Faults {
    random: Random,
    operations: u64,
    armed: Armed,
    deceit: Deceit,
    off: bool,
    /// How often each fault happened.
    happened: BTreeMap<&'static str, u64>,
    /// The content of segments that were removed, to replay the whole log at the end.
    attic: BTreeMap<String, Vec<u8>>,
}

/// A disk. Clones are the same disk.
#[derive(Clone)]
pub struct SimDisk {
    inner: MemoryStorage,
    faults: Arc<Mutex<Faults>>,
}

impl SimDisk {
    /// An empty disk whose chance comes from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> SimDisk {
        let faults = Faults {
            random: Random::new(seed),
            operations: 0,
            armed: Armed::default(),
            deceit: Deceit::default(),
            off: false,
            happened: BTreeMap::new(),
            attic: BTreeMap::new(),
        };
        SimDisk { inner: MemoryStorage::new(), faults: Arc::new(Mutex::new(faults)) }
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().expect("no code panics while it holds this lock")
    }

    /// The folder as it can be read now.
    #[must_use]
    pub fn folder(&self) -> &MemoryStorage {
        &self.inner
    }

    /// Power will fail at the `n`th operation from now on that writes.
    pub fn arm_power_failure(&self, n: u64) {
        let mut faults = self.faults();
        faults.armed.off_at = Some(faults.operations + n);
    }

    /// The `n`th operation from now on that writes fails.
    pub fn arm_failure(&self, n: u64) {
        let mut faults = self.faults();
        faults.armed.fail_at = Some(faults.operations + n);
    }

    /// Nothing is armed any more, and the device is honest.
    pub fn heal(&self) {
        let mut faults = self.faults();
        faults.armed = Armed::default();
        faults.deceit = Deceit::default();
    }

    /// Nothing is armed any more; a device that deceives goes on.
    pub fn disarm(&self) {
        self.faults().armed = Armed::default();
    }

    /// The device deceives from now on.
    pub fn deceive(&self, deceit: Deceit) {
        self.faults().deceit = deceit;
    }

    /// Bytes that fit; nothing: any number.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.inner.set_capacity(bytes);
    }

    /// Whether power has failed.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.faults().off
    }

    /// How often each fault happened.
    #[must_use]
    pub fn happened(&self) -> BTreeMap<&'static str, u64> {
        self.faults().happened.clone()
    }

    /// Operations that write so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.faults().operations
    }

    /// The machine after its power came back: what was not synced is kept as `keep` says.
    #[must_use]
    pub fn after_power_failure(&self, keep: Keep) -> SimDisk {
        self.next(self.inner.crash(keep))
    }

    /// The machine after the process died: everything reads as written, and what was not synced still is not.
    #[must_use]
    pub fn after_process_death(&self) -> SimDisk {
        self.next(self.inner.survive())
    }

    /// The same disk with a folder that another log begins in.
    #[must_use]
    pub fn with_another_log(&self, folder: MemoryStorage) -> SimDisk {
        let disk = self.next(folder);
        disk.faults().attic.clear();
        disk
    }

    fn next(&self, inner: MemoryStorage) -> SimDisk {
        let old = self.faults();
        let faults = Faults {
            random: old.random.clone(),
            operations: old.operations,
            armed: Armed::default(),
            deceit: old.deceit,
            off: false,
            happened: old.happened.clone(),
            attic: old.attic.clone(),
        };
        SimDisk { inner, faults: Arc::new(Mutex::new(faults)) }
    }

    /// A folder with every segment there ever was and nothing else but plans: what a replay from the first
    /// change reads.
    #[must_use]
    pub fn whole_log(&self) -> MemoryStorage {
        let folder = MemoryStorage::new();
        let attic = self.faults().attic.clone();
        let names = self.inner.list("").unwrap_or_default();
        for name in attic.keys().filter(|name| !names.contains(name)) {
            folder.put(name, attic[name].clone());
        }
        for name in names.iter().filter(|name| is_segment(name)) {
            folder.put(name, self.inner.contents(name).unwrap_or_default());
        }
        for name in self.inner.list(engine::PLANS_DIR).unwrap_or_default() {
            let path = format!("{}/{name}", engine::PLANS_DIR);
            folder.put(&path, self.inner.contents(&path).unwrap_or_default());
        }
        folder
    }

    /// Counts an operation that writes and says what becomes of it.
    fn operation(&self) -> io::Result<Fate> {
        let mut faults = self.faults();
        if faults.off {
            return Err(power_failure());
        }
        faults.operations += 1;
        let now = faults.operations;
        if faults.armed.off_at.is_some_and(|at| now >= at) {
            faults.off = true;
            faults.armed.off_at = None;
            *faults.happened.entry("power failed").or_default() += 1;
            // The operation itself may have begun: what it wrote is as loose as the rest.
            return Ok(if faults.random.percent(50) { Fate::DoneAndOff } else { Fate::Off });
        }
        if faults.armed.fail_at.is_some_and(|at| now >= at) {
            faults.armed.fail_at = None;
            return Ok(Fate::Fails);
        }
        Ok(Fate::Done)
    }

    fn note(&self, what: &'static str) {
        *self.faults().happened.entry(what).or_default() += 1;
    }

    /// An operation that is done whole or not at all.
    fn whole<T>(&self, what: &'static str, operation: impl FnOnce(&MemoryStorage) -> io::Result<T>) -> io::Result<T> {
        match self.operation()? {
            Fate::Done => operation(&self.inner),
            Fate::DoneAndOff => {
                let _ = operation(&self.inner);
                Err(power_failure())
            }
            Fate::Off => Err(power_failure()),
            Fate::Fails => {
                self.note(what);
                Err(input_output_error())
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Done,
    DoneAndOff,
    Off,
    Fails,
}

fn power_failure() -> io::Error {
    io::Error::other("the machine is off")
}

fn input_output_error() -> io::Error {
    io::Error::other("input/output error")
}

fn is_segment(name: &str) -> bool {
    name.ends_with(".seg")
}

impl Storage for SimDisk {
    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.alive()?;
        self.inner.list(dir)
    }

    fn open_read(&self, name: &str) -> io::Result<Box<dyn ReadFile>> {
        self.alive()?;
        self.inner.open_read(name)
    }

    fn create_new(&self, name: &str) -> io::Result<Box<dyn WriteFile>> {
        let file = self.whole("creating failed", |inner| inner.create_new(name))?;
        Ok(Box::new(SimFile { disk: self.clone(), name: name.to_owned(), file }))
    }

    fn open_write(&self, name: &str) -> io::Result<Box<dyn WriteFile>> {
        let file = self.whole("opening failed", |inner| inner.open_write(name))?;
        Ok(Box::new(SimFile { disk: self.clone(), name: name.to_owned(), file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.whole("renaming failed", |inner| inner.rename(from, to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        // Before it goes: it may go although the answer is that power has failed.
        if let Some(content) = self.inner.contents(name).filter(|_| is_segment(name)) {
            self.faults().attic.insert(name.to_owned(), content);
        }
        self.whole("removing failed", |inner| inner.remove(name))
    }

    fn create_dir(&self, dir: &str) -> io::Result<()> {
        self.whole("creating a folder failed", |inner| inner.create_dir(dir))
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        if self.lies() {
            return self.operation().map(|_| ());
        }
        self.whole("syncing a folder failed", |inner| inner.sync_dir(dir))
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        self.alive()?;
        self.inner.exists(name)
    }

    fn space_available(&self) -> io::Result<u64> {
        self.alive()?;
        self.inner.space_available()
    }
}

impl SimDisk {
    fn alive(&self) -> io::Result<()> {
        if self.faults().off { Err(power_failure()) } else { Ok(()) }
    }

    fn lies(&self) -> bool {
        let mut faults = self.faults();
        let permille = faults.deceit.lies_permille;
        let lies = permille > 0 && faults.random.permille(permille);
        if lies {
            *faults.happened.entry("a sync lied").or_default() += 1;
        }
        lies
    }
}

struct SimFile {
    disk: SimDisk,
    name: String,
    file: Box<dyn WriteFile>,
}

impl SimFile {
    /// Where a write really goes: nothing when it is lost.
    fn target(&self, off: u64, len: usize) -> Option<(String, u64)> {
        let mut faults = self.disk.faults();
        let Deceit { lost_permille, misdirected_permille, .. } = faults.deceit;
        if lost_permille > 0 && faults.random.permille(lost_permille) {
            *faults.happened.entry("a write was lost").or_default() += 1;
            return None;
        }
        if misdirected_permille > 0 && faults.random.permille(misdirected_permille) {
            let names = self.disk.inner.list("").unwrap_or_default();
            let name = if names.is_empty() || faults.random.percent(60) {
                self.name.clone()
            } else {
                faults.random.pick(&names).clone()
            };
            let pages = self.disk.inner.contents(&name).map_or(0, |content| content.len() / wal::PAGE_BYTES);
            let room = pages.saturating_sub(len.div_ceil(wal::PAGE_BYTES));
            if room > 0 {
                *faults.happened.entry("a write was misdirected").or_default() += 1;
                let page = faults.random.below(room as u64 + 1);
                return Some((name, page * wal::PAGE_BYTES as u64));
            }
        }
        Some((self.name.clone(), off))
    }

    fn write(&mut self, off: u64, buf: &[u8]) -> io::Result<()> {
        match self.target(off, buf.len()) {
            None => {
                // The length is metadata: it grows all the same.
                let end = off + buf.len() as u64;
                let len = self.file.len()?;
                if end > len { self.file.write_all_at(len, &vec![0; (end - len) as usize]) } else { Ok(()) }
            }
            Some((name, at)) if name == self.name && at == off => self.file.write_all_at(off, buf),
            Some((name, at)) => self.disk.inner.open_write(&name)?.write_all_at(at, buf),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.disk.lies() {
            return self.disk.operation().map(|_| ());
        }
        match self.disk.operation()? {
            Fate::Done => self.file.sync_all(),
            Fate::DoneAndOff => {
                let _ = self.file.sync_all();
                Err(power_failure())
            }
            Fate::Off => Err(power_failure()),
            Fate::Fails => {
                self.disk.note("a sync failed");
                self.disk.inner.forget_unsynced(&self.name);
                Err(input_output_error())
            }
        }
    }
}

impl WriteFile for SimFile {
    fn write_all_at(&mut self, off: u64, buf: &[u8]) -> io::Result<()> {
        match self.disk.operation()? {
            Fate::Done => {
                let result = self.write(off, buf);
                if result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::StorageFull) {
                    self.disk.note("the disk was full");
                }
                result
            }
            Fate::DoneAndOff => {
                let _ = self.write(off, buf);
                Err(power_failure())
            }
            Fate::Off => Err(power_failure()),
            Fate::Fails => {
                self.disk.note("a write failed");
                // A part of it may have arrived.
                let half = buf.len() / 2 / wal::PAGE_BYTES * wal::PAGE_BYTES;
                let _ = self.write(off, &buf[..half]);
                Err(input_output_error())
            }
        }
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.sync()
    }

    fn sync_all(&mut self) -> io::Result<()> {
        self.sync()
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}
