//! Where the files are: one trait, the real folder behind it.
//!
//! Names are relative to the root ("wal-0-1-0.seg", "plans/ab.plan"). All I/O is positional, so a file
//! has no cursor to lose. [`crate::MemoryStorage`] is the other implementation.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, FlockOperation, OFlags};

use crate::error::OpenError;
use crate::format::PAGE_BYTES;

/// One folder tree, everything the log and the checkpoints need of it.
pub trait Storage: Send + Sync + 'static {
    /// The names of the files in `dir` ("" is the root), sorted. A folder that does not exist is empty.
    fn list(&self, dir: &str) -> io::Result<Vec<String>>;
    /// Opens an existing file for reading.
    fn open_read(&self, name: &str) -> io::Result<Box<dyn ReadFile>>;
    /// Opens an existing file for reading what the device holds, where the system allows to ask for it.
    /// After a failed sync the cache may hold what the device does not.
    fn open_read_uncached(&self, name: &str) -> io::Result<Box<dyn ReadFile>> {
        self.open_read(name)
    }
    /// Creates a file; one that exists already is an error.
    fn create_new(&self, name: &str) -> io::Result<Box<dyn WriteFile>>;
    /// Creates a file that is only written in whole pages, at offsets of whole pages: it may go past the system's cache.
    fn create_new_paged(&self, name: &str) -> io::Result<Box<dyn WriteFile>> {
        self.create_new(name)
    }
    /// Opens a file for writing, existing or new, without truncating it.
    fn open_write(&self, name: &str) -> io::Result<Box<dyn WriteFile>>;
    /// Renames a file over another.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Creates a folder; one that exists already is fine.
    fn create_dir(&self, dir: &str) -> io::Result<()>;
    /// Makes the entries of a folder durable.
    fn sync_dir(&self, dir: &str) -> io::Result<()>;
    /// Whether a file or folder is there.
    fn exists(&self, name: &str) -> io::Result<bool>;
    /// Bytes that may still be written.
    fn space_available(&self) -> io::Result<u64>;
}

/// A file open for reading.
#[expect(clippy::len_without_is_empty, reason = "a length in bytes, not a collection")]
pub trait ReadFile: Send {
    /// Its length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Fills `buf` from `off`, or fails.
    fn read_exact_at(&self, off: u64, buf: &mut [u8]) -> io::Result<()>;
}

/// A file open for writing.
#[expect(clippy::len_without_is_empty, reason = "a length in bytes, not a collection")]
pub trait WriteFile: Send {
    /// Writes all of `buf` at `off`, or fails. Past the end the file grows.
    fn write_all_at(&mut self, off: u64, buf: &[u8]) -> io::Result<()>;
    /// Makes the contents durable, and the length where it changed.
    fn sync_data(&mut self) -> io::Result<()>;
    /// Makes the contents and everything about the file durable.
    fn sync_all(&mut self) -> io::Result<()>;
    /// Its length in bytes.
    fn len(&self) -> io::Result<u64>;
}

/// The real folder.
#[derive(Debug)]
pub struct FileStorage {
    root: PathBuf,
    read_only: bool,
}

/// The folder is ours while this lives.
#[derive(Debug)]
pub struct DirLock {
    // The lock belongs to the open file and goes with it.
    _file: File,
}

impl FileStorage {
    /// Opens a folder for reading and writing; creates it where it is missing.
    pub fn open(root: &Path) -> Result<Self, OpenError> {
        let wrap = |source| OpenError::Io { path: root.to_owned(), source };
        if !root.exists() {
            fs::create_dir_all(root).map_err(wrap)?;
            // The entry of the new folder lives in its parent.
            if let Some(parent) = root.parent() {
                let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
                File::open(parent).and_then(|dir| dir.sync_all()).map_err(wrap)?;
            }
        }
        let storage = FileStorage { root: root.to_owned(), read_only: false };
        storage.refuse_network()?;
        Ok(storage)
    }

    /// Opens an existing folder; every operation that would write fails.
    pub fn open_read_only(root: &Path) -> Result<Self, OpenError> {
        fs::read_dir(root).map_err(|source| OpenError::Io { path: root.to_owned(), source })?;
        Ok(FileStorage { root: root.to_owned(), read_only: true })
    }

    /// Takes the folder for this process, or says that another has it. Does not wait.
    pub fn lock(&self) -> Result<DirLock, OpenError> {
        let path = self.root.join("LOCK");
        let file = OpenOptions::new()
            .create(!self.read_only)
            .write(!self.read_only)
            .read(true)
            .truncate(false)
            .open(&path)
            .map_err(|source| OpenError::Io { path: path.clone(), source })?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(DirLock { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::Locked { path }),
            Err(errno) => Err(OpenError::Io { path, source: errno.into() }),
        }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn refuse_network(&self) -> Result<(), OpenError> {
        let stat = rustix::fs::statfs(&self.root)
            .map_err(|errno| OpenError::Io { path: self.root.clone(), source: errno.into() })?;
        // The kernel's magic numbers; the field's width and sign differ between machines.
        let kind = match stat.f_type as u32 {
            0x0000_6969 => "NFS",
            0xFF53_4D42 | 0xFE53_4D42 | 0x0000_517B => "SMB",
            _ => return Ok(()),
        };
        Err(OpenError::NetworkFileSystem { path: self.root.clone(), kind })
    }

    fn writable(&self, name: &str) -> io::Result<PathBuf> {
        if self.read_only {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("{name}: the folder is open for reading only"),
            ));
        }
        Ok(self.root.join(name))
    }
}

impl Storage for FileStorage {
    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let entries = match uninterrupted(|| fs::read_dir(self.root.join(dir))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            // A name that is not text is not ours.
            if let (true, Ok(name)) = (entry.file_type()?.is_file(), entry.file_name().into_string()) {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn open_read(&self, name: &str) -> io::Result<Box<dyn ReadFile>> {
        Ok(Box::new(FileReader(File::open(self.root.join(name))?)))
    }

    fn open_read_uncached(&self, name: &str) -> io::Result<Box<dyn ReadFile>> {
        let file = File::open(self.root.join(name))?;
        // Advice only: dirty pages stay, and a file system may ignore it.
        let _ = rustix::fs::fadvise(&file, 0, None, Advice::DontNeed);
        let _ = rustix::fs::fadvise(&file, 0, None, Advice::Sequential);
        Ok(Box::new(FileReader(file)))
    }

    fn create_new(&self, name: &str) -> io::Result<Box<dyn WriteFile>> {
        let path = self.writable(name)?;
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        Ok(Box::new(FileWriter(file)))
    }

    fn create_new_paged(&self, name: &str) -> io::Result<Box<dyn WriteFile>> {
        let path = self.writable(name)?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        let flags = i32::try_from(OFlags::DIRECT.bits()).unwrap_or(0);
        match options.clone().custom_flags(flags).open(&path) {
            Ok(file) => Ok(Box::new(PagedWriter::new(file))),
            // A file system without direct writes says so here, some with the file made.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                Ok(Box::new(FileWriter(options.create_new(false).create(true).open(path)?)))
            }
            Err(error) => Err(error),
        }
    }

    fn open_write(&self, name: &str) -> io::Result<Box<dyn WriteFile>> {
        let path = self.writable(name)?;
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        Ok(Box::new(FileWriter(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.writable(from)?, self.writable(to)?);
        uninterrupted(|| fs::rename(&from, &to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.writable(name)?;
        uninterrupted(|| fs::remove_file(&path))
    }

    fn create_dir(&self, dir: &str) -> io::Result<()> {
        match fs::create_dir(self.writable(dir)?) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            result => result,
        }
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        File::open(self.writable(dir)?)?.sync_all()
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        self.root.join(name).try_exists()
    }

    fn space_available(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(&self.root)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

/// Calls again what a signal interrupted. The standard library does so where it opens, reads, writes and syncs a file,
/// and not where it lists, renames and removes.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

struct FileReader(File);

impl ReadFile for FileReader {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_exact_at(&self, off: u64, buf: &mut [u8]) -> io::Result<()> {
        FileExt::read_exact_at(&self.0, buf, off)
    }
}

struct FileWriter(File);

impl WriteFile for FileWriter {
    fn write_all_at(&mut self, off: u64, buf: &[u8]) -> io::Result<()> {
        FileExt::write_all_at(&self.0, buf, off)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn sync_all(&mut self) -> io::Result<()> {
        self.0.sync_all()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

/// A file written in whole pages from memory that begins at a page, past the cache of the system: what is written is
/// with the device, and a sync has nothing to look for.
struct PagedWriter {
    file: File,
    is_direct: bool,
    /// Bytes that are written, at a page of memory in here.
    buffer: Vec<u8>,
}

impl PagedWriter {
    fn new(file: File) -> PagedWriter {
        PagedWriter { file, is_direct: true, buffer: Vec::new() }
    }

    /// `buf` again, at the beginning of a page of memory: where it stands in `buffer`.
    fn align(&mut self, buf: &[u8]) -> Range<usize> {
        if self.buffer.len() < buf.len() + PAGE_BYTES {
            self.buffer = vec![0; (buf.len() + PAGE_BYTES).next_power_of_two()];
        }
        let start = self.buffer.as_ptr().align_offset(PAGE_BYTES);
        let page = start..start + buf.len();
        self.buffer[page.clone()].copy_from_slice(buf);
        page
    }
}

impl WriteFile for PagedWriter {
    fn write_all_at(&mut self, off: u64, buf: &[u8]) -> io::Result<()> {
        let is_whole = off.is_multiple_of(PAGE_BYTES as u64) && buf.len().is_multiple_of(PAGE_BYTES);
        assert!(is_whole, "{} bytes at {off} are no whole pages", buf.len());
        let aligned = self.align(buf);
        match FileExt::write_all_at(&self.file, &self.buffer[aligned.clone()], off) {
            // Some file systems and devices say only here that they take no such pages.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput && self.is_direct => {
                rustix::fs::fcntl_setfl(&self.file, OFlags::empty())?;
                self.is_direct = false;
                FileExt::write_all_at(&self.file, &self.buffer[aligned], off)
            }
            result => result,
        }
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn sync_all(&mut self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}

/// Writes `dir/name` so that a crash leaves the old file, or none, or the whole new one.
/// What an earlier crash left under the temporary name is replaced.
pub fn write_file_atomically(storage: &dyn Storage, dir: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
    let target = if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") };
    let aside = format!("{target}.tmp");
    if storage.exists(&aside)? {
        storage.remove(&aside)?;
    }
    let mut file = storage.create_new(&aside)?;
    file.write_all_at(0, bytes)?;
    file.sync_all()?;
    drop(file);
    storage.rename(&aside, &target)?;
    storage.sync_dir(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_written_past_the_cache_are_read_through_it() {
        let folder = std::env::temp_dir().join(format!("usher-paged-{}", std::process::id()));
        let storage = FileStorage::open(&folder).expect("a folder");
        let mut file = storage.create_new_paged("pages").expect("a new file");
        assert!(storage.create_new_paged("pages").is_err(), "it exists");
        let pages: Vec<u8> = (0..5 * PAGE_BYTES).map(|at| (at / 7) as u8).collect();
        file.write_all_at(0, &vec![0; 8 * PAGE_BYTES]).expect("room");
        let reader = storage.open_read("pages").expect("it is there");
        let mut read = vec![1; 5 * PAGE_BYTES];
        for at in [0, 3, 2] {
            file.write_all_at((at * PAGE_BYTES) as u64, &pages).expect("room");
            file.sync_data().expect("a disk");
            reader.read_exact_at((at * PAGE_BYTES) as u64, &mut read).expect("what was written");
            assert!(read == pages, "at page {at}");
        }
        assert_eq!(file.len().expect("a file"), 8 * PAGE_BYTES as u64);
        fs::remove_dir_all(&folder).expect("it is ours");
    }

    #[test]
    fn an_interrupted_call_is_made_again_and_any_other_error_is_told() {
        let mut answers = [io::ErrorKind::Interrupted, io::ErrorKind::Interrupted, io::ErrorKind::NotFound].into_iter();
        let told = uninterrupted(|| answers.next().map_or(Ok(()), |kind| Err(kind.into())));
        assert_eq!(told.map_err(|error| error.kind()), Err(io::ErrorKind::NotFound));
        assert!(answers.next().is_none());
    }
}
