//! A data folder as bytes: cheap to copy, and to change in one place.
//!
//! Files are shared between copies until one of them is changed. Nothing can be written to it, so reading it
//! through the engine proves on the side that a check writes nothing. A start needs a disk:
//! [`Folder::to_disk`].

use std::{io, sync::Arc};

use wal::{MemoryStorage, ReadFile, Storage, WriteFile};

/// The files of a folder by path, sorted.
#[derive(Clone, Debug, Default)]
pub(super) struct Folder {
    files: Vec<(Arc<str>, Arc<Vec<u8>>)>,
}

impl Folder {
    /// What a disk holds now, as a reader sees it.
    pub(super) fn of_disk(disk: &MemoryStorage) -> io::Result<Folder> {
        let mut folder = Folder::default();
        for dir in ["", engine::PLANS_DIR] {
            for name in disk.list(dir)? {
                let path = if dir.is_empty() { name } else { format!("{dir}/{name}") };
                if let Some(bytes) = disk.contents(&path) {
                    folder.put(&path, bytes);
                }
            }
        }
        Ok(folder)
    }

    /// A disk with the same files, all durable.
    pub(super) fn to_disk(&self) -> MemoryStorage {
        let disk = MemoryStorage::new();
        for (name, bytes) in &self.files {
            disk.put(name, bytes.as_ref().clone());
        }
        disk
    }

    fn index(&self, name: &str) -> Result<usize, usize> {
        self.files.binary_search_by(|(known, _)| known.as_ref().cmp(name))
    }

    /// The paths, sorted.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|(name, _)| name.as_ref())
    }

    /// The bytes of a file; none when it is not there.
    pub(super) fn bytes(&self, name: &str) -> Option<&Arc<Vec<u8>>> {
        self.index(name).ok().map(|at| &self.files[at].1)
    }

    /// The bytes of a file, to be changed. A file that is not there is made.
    pub(super) fn bytes_mut(&mut self, name: &str) -> &mut Vec<u8> {
        let at = self.index(name).unwrap_or_else(|at| {
            self.files.insert(at, (name.into(), Arc::default()));
            at
        });
        Arc::make_mut(&mut self.files[at].1)
    }

    /// Puts a file there.
    pub(super) fn put(&mut self, name: &str, bytes: impl Into<Arc<Vec<u8>>>) {
        match self.index(name) {
            Ok(at) => self.files[at].1 = bytes.into(),
            Err(at) => self.files.insert(at, (name.into(), bytes.into())),
        }
    }

    /// Takes a file away, if it is there.
    pub(super) fn remove(&mut self, name: &str) -> Option<Arc<Vec<u8>>> {
        self.index(name).ok().map(|at| self.files.remove(at).1)
    }
}

fn read_only() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "a folder under examination is not written to")
}

impl Storage for Folder {
    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let short = |name: &str| match name.rsplit_once('/') {
            Some((folder, short)) => (folder == dir).then(|| short.to_owned()),
            None => dir.is_empty().then(|| name.to_owned()),
        };
        Ok(self.names().filter_map(short).collect())
    }

    fn open_read(&self, name: &str) -> io::Result<Box<dyn ReadFile>> {
        match self.bytes(name) {
            Some(bytes) => Ok(Box::new(Shared(Arc::clone(bytes)))),
            None => Err(io::Error::new(io::ErrorKind::NotFound, format!("{name}: no such file"))),
        }
    }

    fn create_new(&self, _: &str) -> io::Result<Box<dyn WriteFile>> {
        Err(read_only())
    }

    fn open_write(&self, _: &str) -> io::Result<Box<dyn WriteFile>> {
        Err(read_only())
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        Err(read_only())
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        Err(read_only())
    }

    fn create_dir(&self, _: &str) -> io::Result<()> {
        Err(read_only())
    }

    fn sync_dir(&self, _: &str) -> io::Result<()> {
        Err(read_only())
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        Ok(self.index(name).is_ok())
    }

    fn space_available(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

struct Shared(Arc<Vec<u8>>);

impl ReadFile for Shared {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn read_exact_at(&self, off: u64, buf: &mut [u8]) -> io::Result<()> {
        let from = usize::try_from(off).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        let bytes = from
            .checked_add(buf.len())
            .and_then(|to| self.0.get(from..to))
            .ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        buf.copy_from_slice(bytes);
        Ok(())
    }
}
