//! A folder in memory that keeps what is durable apart from what is written, and can be stopped and
//! crashed. For tests and the simulator.
//!
//! What it models: a page is durable after a sync of its file; a name (created, renamed, removed) after
//! a sync of its folder; until then a crash keeps or loses each page and each change of a name on its
//! own. What it does not: devices that lie about a sync (change the bytes with
//! [`MemoryStorage::overwrite`] instead) and slowness.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::format::PAGE_BYTES;
use crate::storage::{ReadFile, Storage, WriteFile};

const SECTOR_BYTES: usize = 512;

/// What a crash leaves of what was written and not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Nothing: the worst case, and also the simplest.
    Nothing,
    /// Everything: as when only the process dies.
    Everything,
    /// Any part, chosen by this seed: page by page, name by name.
    Seeded(u64),
    /// As `Seeded`, in sectors of 512 bytes: a page may be torn inside.
    SeededSectors(u64),
    /// As `SeededSectors`, and some sectors that were being written hold neither the old nor the new.
    SeededGarbled(u64),
}

/// A folder in memory; clones share it.
#[derive(Clone)]
pub struct MemoryStorage {
    state: Arc<Mutex<State>>,
}

/// One file. Names point at it, so that a rename keeps what is not yet durable in it.
#[derive(Debug, Clone, Default)]
struct Inode {
    written: Vec<u8>,
    durable: Vec<u8>,
    /// Pages that differ, or may differ, between the two.
    loose: BTreeSet<usize>,
}

/// A change of names that is not durable.
#[derive(Debug, Clone)]
enum NameChange {
    Set(String, usize),
    Remove(String),
    /// One step: a crash leaves both names changed or none.
    Rename(String, String, usize),
}

impl NameChange {
    fn dir(&self) -> &str {
        match self {
            NameChange::Set(name, _) | NameChange::Remove(name) | NameChange::Rename(_, name, _) => dir_of(name),
        }
    }

    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            NameChange::Set(name, inode) => {
                names.insert(name.clone(), *inode);
            }
            NameChange::Remove(name) => {
                names.remove(name);
            }
            NameChange::Rename(from, to, inode) => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The operation with this number and all after it do not happen.
    StopAt(u64),
    /// The operation with this number fails; the ones after it work again.
    FailAt(u64),
}

#[derive(Debug, Clone, Default)]
struct State {
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    dirs: BTreeSet<String>,
    changes: Vec<NameChange>,
    operations: u64,
    fault: Option<Fault>,
    stopped: bool,
    capacity: Option<u64>,
}

fn dir_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(dir, _)| dir)
}

fn not_found(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{name}: no such file"))
}

impl State {
    /// Counts an operation that writes, and says whether it happens.
    fn operation(&mut self) -> io::Result<()> {
        self.alive()?;
        self.operations += 1;
        match self.fault {
            Some(Fault::StopAt(n)) if self.operations >= n => {
                self.stopped = true;
                self.alive()
            }
            Some(Fault::FailAt(n)) if self.operations == n => Err(io::Error::other("told to fail this operation")),
            _ => Ok(()),
        }
    }

    fn alive(&self) -> io::Result<()> {
        if self.stopped { Err(io::Error::other("the storage was stopped")) } else { Ok(()) }
    }

    fn inode_of(&self, name: &str) -> io::Result<usize> {
        self.alive()?;
        self.names.get(name).copied().ok_or_else(|| not_found(name))
    }

    fn create(&mut self, name: &str) -> io::Result<usize> {
        let dir = dir_of(name);
        if !dir.is_empty() && !self.dirs.contains(dir) {
            return Err(not_found(dir));
        }
        self.inodes.push(Inode::default());
        let inode = self.inodes.len() - 1;
        self.change(NameChange::Set(name.to_owned(), inode));
        Ok(inode)
    }

    fn change(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.changes.push(change);
    }

    fn used(&self) -> u64 {
        self.names.values().map(|&inode| self.inodes[inode].written.len() as u64).sum()
    }
}

impl Inode {
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if self.written.len() < end {
            // The new length is as loose as the page that ends it.
            let from = self.written.len() / PAGE_BYTES;
            self.loose.extend(from..end.div_ceil(PAGE_BYTES));
            self.written.resize(end, 0);
        }
        self.written[offset..end].copy_from_slice(bytes);
        if !bytes.is_empty() {
            self.loose.extend(offset / PAGE_BYTES..=(end - 1) / PAGE_BYTES);
        }
    }

    fn sync(&mut self) {
        self.durable.resize(self.written.len(), 0);
        for page in std::mem::take(&mut self.loose) {
            let from = page * PAGE_BYTES;
            let to = (from + PAGE_BYTES).min(self.written.len());
            self.durable[from..to].copy_from_slice(&self.written[from..to]);
        }
    }

    /// What is left of the contents when each loose unit is kept, lost or garbled.
    fn crash(&self, unit: usize, choose: &mut dyn FnMut() -> Fate) -> Inode {
        let mut left = self.durable.clone();
        for &page in &self.loose {
            let page_end = ((page + 1) * PAGE_BYTES).min(self.written.len());
            for from in (page * PAGE_BYTES..page_end).step_by(unit) {
                let fate = choose();
                if fate == Fate::Lost {
                    continue;
                }
                let to = (from + unit).min(page_end);
                if left.len() < to {
                    left.resize(to, 0);
                }
                left[from..to].copy_from_slice(&self.written[from..to]);
                if let Fate::Garbled(mut seed) = fate {
                    // Now and then from the middle on: what stands before may look right.
                    let whole = next_random(&mut seed) >> 63 == 1;
                    let begin = if whole { from } else { from + (next_random(&mut seed) as usize) % (to - from) };
                    left[begin..to].fill_with(|| next_random(&mut seed) as u8);
                }
            }
        }
        Inode { written: left.clone(), durable: left, loose: BTreeSet::new() }
    }
}

/// What becomes of a unit that was written and not synced, or of a change of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    Lost,
    Garbled(u64),
}

/// Sebastiano Vigna's splitmix64: enough to choose pages.
fn next_random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Default for MemoryStorage {
    fn default() -> Self {
        MemoryStorage::new()
    }
}

impl fmt::Debug for MemoryStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("MemoryStorage")
            .field("names", &state.names.keys().collect::<Vec<_>>())
            .field("operations", &state.operations)
            .field("stopped", &state.stopped)
            .finish()
    }
}

impl MemoryStorage {
    /// An empty folder.
    pub fn new() -> MemoryStorage {
        MemoryStorage { state: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds this lock")
    }

    /// How many operations that write (create, write, sync, rename, remove) were asked for so far.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// The `n`th operation that writes (counted from 1, from the beginning) does not happen, and every
    /// call from then on fails, as if the machine had stopped there.
    pub fn stop_at(&self, n: u64) {
        self.state().fault = Some(Fault::StopAt(n));
    }

    /// The `n`th operation that writes fails and does nothing; the ones after it work.
    pub fn fail_at(&self, n: u64) {
        self.state().fault = Some(Fault::FailAt(n));
    }

    /// From now on writes fail when the files together would be longer than this.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// The folder another machine would find after this one lost power now. This one is left as it is.
    #[must_use]
    pub fn crash(&self, keep: Keep) -> MemoryStorage {
        let state = self.state();
        let mut seed = match keep {
            Keep::Seeded(seed) | Keep::SeededSectors(seed) | Keep::SeededGarbled(seed) => seed,
            Keep::Nothing | Keep::Everything => 0,
        };
        let torn = matches!(keep, Keep::SeededSectors(_) | Keep::SeededGarbled(_));
        let unit = if torn { SECTOR_BYTES } else { PAGE_BYTES };
        let mut choose = || match keep {
            Keep::Nothing => Fate::Lost,
            Keep::Everything => Fate::Kept,
            Keep::Seeded(_) | Keep::SeededSectors(_) | Keep::SeededGarbled(_) => {
                let drawn = next_random(&mut seed);
                match drawn >> 61 {
                    0 if matches!(keep, Keep::SeededGarbled(_)) => Fate::Garbled(drawn),
                    0..4 => Fate::Lost,
                    _ => Fate::Kept,
                }
            }
        };
        let mut names = state.durable_names.clone();
        for change in &state.changes {
            // A name is there or not; there is no half of one.
            if choose() == Fate::Kept {
                change.apply(&mut names);
            }
        }
        // Files without a name are gone, so that a long run does not carry all it ever wrote.
        let mut inodes = Vec::with_capacity(names.len());
        for inode in names.values_mut() {
            inodes.push(state.inodes[*inode].crash(unit, &mut choose));
            *inode = inodes.len() - 1;
        }
        let left = State {
            inodes,
            durable_names: names.clone(),
            names,
            dirs: state.dirs.clone(),
            capacity: state.capacity,
            ..State::default()
        };
        MemoryStorage { state: Arc::new(Mutex::new(left)) }
    }

    /// The folder the next process finds on this machine after this process died: everything is read as
    /// it was written, and what was not synced still is not. This one is left as it is.
    #[must_use]
    pub fn survive(&self) -> MemoryStorage {
        let left = State { operations: 0, fault: None, stopped: false, ..self.state().clone() };
        MemoryStorage { state: Arc::new(Mutex::new(left)) }
    }

    /// A folder of its own with the same files, all of them durable.
    #[must_use]
    pub fn duplicate(&self) -> MemoryStorage {
        self.crash(Keep::Everything)
    }

    /// A sync of this file has failed: what was not durable is read as it was written for as long as the
    /// machine runs, no later sync writes it, and a crash loses it. So ext4, XFS and Btrfs do (Rebello et al.,
    /// "Can Applications Recover from fsync Failures?", ATC 2020).
    pub fn forget_unsynced(&self, name: &str) {
        let mut state = self.state();
        if let Some(&inode) = state.names.get(name) {
            state.inodes[inode].loose.clear();
        }
    }

    /// The bytes of a file, as a reader sees them now.
    pub fn contents(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state();
        state.names.get(name).map(|&inode| state.inodes[inode].written.clone())
    }

    /// Puts a file there, durable, with these bytes; for tests that damage one.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        let mut state = self.state();
        let dir = dir_of(name).to_owned();
        if !dir.is_empty() {
            state.dirs.insert(dir);
        }
        state.inodes.push(Inode { written: bytes.clone(), durable: bytes, loose: BTreeSet::new() });
        let inode = state.inodes.len() - 1;
        state.names.insert(name.to_owned(), inode);
        state.durable_names.insert(name.to_owned(), inode);
    }

    /// Changes bytes of a file behind everybody's back, durably; for tests that damage one.
    ///
    /// # Panics
    /// When there is no such file or the range is past its end.
    pub fn overwrite(&self, name: &str, offset: usize, bytes: &[u8]) {
        let mut state = self.state();
        let inode = *state.names.get(name).expect("the file to overwrite is there");
        let inode = &mut state.inodes[inode];
        inode.written[offset..offset + bytes.len()].copy_from_slice(bytes);
        if inode.durable.len() < offset + bytes.len() {
            inode.durable.resize(offset + bytes.len(), 0);
        }
        inode.durable[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    /// Takes a file away, durably; for tests that lose one.
    pub fn lose(&self, name: &str) {
        let mut state = self.state();
        state.names.remove(name);
        state.durable_names.remove(name);
    }
}

impl Storage for MemoryStorage {
    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let state = self.state();
        state.alive()?;
        let in_dir = |name: &String| dir_of(name) == dir;
        let short = |name: &String| name.rsplit('/').next().unwrap_or(name).to_owned();
        Ok(state.names.keys().filter(|name| in_dir(name)).map(short).collect())
    }

    fn open_read(&self, name: &str) -> io::Result<Box<dyn ReadFile>> {
        let inode = self.state().inode_of(name)?;
        Ok(Box::new(MemoryFile { storage: self.clone(), inode }))
    }

    fn create_new(&self, name: &str) -> io::Result<Box<dyn WriteFile>> {
        let mut state = self.state();
        state.operation()?;
        if state.names.contains_key(name) {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{name}: exists already")));
        }
        let inode = state.create(name)?;
        Ok(Box::new(MemoryFile { storage: self.clone(), inode }))
    }

    fn open_write(&self, name: &str) -> io::Result<Box<dyn WriteFile>> {
        let mut state = self.state();
        state.alive()?;
        let inode = match state.names.get(name) {
            Some(&inode) => inode,
            None => {
                state.operation()?;
                state.create(name)?
            }
        };
        Ok(Box::new(MemoryFile { storage: self.clone(), inode }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.operation()?;
        let inode = state.inode_of(from)?;
        assert_eq!(dir_of(from), dir_of(to), "renames stay inside one folder");
        state.change(NameChange::Rename(from.to_owned(), to.to_owned(), inode));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.operation()?;
        state.inode_of(name)?;
        state.change(NameChange::Remove(name.to_owned()));
        Ok(())
    }

    fn create_dir(&self, dir: &str) -> io::Result<()> {
        let mut state = self.state();
        state.operation()?;
        state.dirs.insert(dir.to_owned());
        Ok(())
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        let mut state = self.state();
        state.operation()?;
        let changes = std::mem::take(&mut state.changes);
        for change in changes {
            if change.dir() == dir {
                change.apply(&mut state.durable_names);
            } else {
                state.changes.push(change);
            }
        }
        Ok(())
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        let state = self.state();
        state.alive()?;
        Ok(state.names.contains_key(name) || state.dirs.contains(name))
    }

    fn space_available(&self) -> io::Result<u64> {
        let state = self.state();
        state.alive()?;
        Ok(state.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(state.used())))
    }
}

struct MemoryFile {
    storage: MemoryStorage,
    inode: usize,
}

fn offset_of(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
}

impl ReadFile for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        let state = self.storage.state();
        state.alive()?;
        Ok(state.inodes[self.inode].written.len() as u64)
    }

    fn read_exact_at(&self, off: u64, buf: &mut [u8]) -> io::Result<()> {
        let state = self.storage.state();
        state.alive()?;
        let from = offset_of(off)?;
        let bytes = from
            .checked_add(buf.len())
            .and_then(|to| state.inodes[self.inode].written.get(from..to))
            .ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        buf.copy_from_slice(bytes);
        Ok(())
    }
}

impl WriteFile for MemoryFile {
    fn write_all_at(&mut self, off: u64, buf: &[u8]) -> io::Result<()> {
        let mut state = self.storage.state();
        state.operation()?;
        let offset = offset_of(off)?;
        let grows = (offset + buf.len()).saturating_sub(state.inodes[self.inode].written.len());
        if let Some(capacity) = state.capacity
            && grows > 0
            && state.used() + grows as u64 > capacity
        {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        state.inodes[self.inode].write(offset, buf);
        Ok(())
    }

    fn sync_data(&mut self) -> io::Result<()> {
        let mut state = self.storage.state();
        state.operation()?;
        state.inodes[self.inode].sync();
        Ok(())
    }

    fn sync_all(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        ReadFile::len(self)
    }
}
