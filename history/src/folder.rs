//! The folder of the index: whether it is what was left in it, byte by byte, and how it goes.
//!
//! ```text
//! history/db/      sled's own files
//! history/CLOSED   written when the store was closed: a line of the format, a line of what it holds, a line for each file
//!                  (length, BLAKE3, path), and the BLAKE3 of all of that
//! ```
//!
//! The mark is removed before the store is opened, so a folder that was not closed has none. The store is never given bytes
//! that it did not write: what it does with others is not known.

use std::{
    fs, io,
    io::{Read, Write},
    path::{Path, PathBuf},
};

/// The folder in the data folder.
pub(crate) const FOLDER: &str = "history";
const DB: &str = "db";
const MARK: &str = "CLOSED";
const FORMAT: &str = "usher history 1";

/// What an index holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) instance: [u8; 16],
    pub(crate) incarnation: u64,
    /// The last batch in it.
    pub(crate) batch_seq: u64,
    /// The first and the last position in it.
    pub(crate) from: u64,
    pub(crate) to: u64,
}

impl Stamp {
    fn line(&self) -> String {
        let instance = u128::from_le_bytes(self.instance);
        format!("{instance:032x} {} {} {} {}", self.incarnation, self.batch_seq, self.from, self.to)
    }

    fn parse(line: &str) -> Option<Stamp> {
        let mut words = line.split(' ');
        let instance = u128::from_str_radix(words.next()?, 16).ok()?.to_le_bytes();
        let mut number = || words.next()?.parse().ok();
        Some(Stamp { instance, incarnation: number()?, batch_seq: number()?, from: number()?, to: number()? })
    }
}

/// The folder.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(crate) fn in_data(data: &Path) -> Folder {
        Folder { root: data.join(FOLDER) }
    }

    /// The folder that sled has for itself.
    pub(crate) fn db(&self) -> PathBuf {
        self.root.join(DB)
    }

    /// What the index holds that was closed here; why there is none.
    pub(crate) fn closed(&self) -> Result<Stamp, String> {
        let mark = match fs::read_to_string(self.root.join(MARK)) {
            Ok(mark) => mark,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(if self.root.exists() { "it was not closed" } else { "there is none" }.to_owned());
            }
            Err(error) => return Err(format!("its mark cannot be read: {error}")),
        };
        let damaged = || "its mark is damaged".to_owned();
        let (content, checksum) = mark.trim_end().rsplit_once('\n').ok_or_else(damaged)?;
        if blake3::hash(content.as_bytes()).to_hex().as_str() != checksum {
            return Err(damaged());
        }
        let mut lines = content.lines();
        if lines.next() != Some(FORMAT) {
            return Err("it is of another version".to_owned());
        }
        let stamp = lines.next().and_then(Stamp::parse).ok_or_else(damaged)?;
        let files = self.files().map_err(|error| format!("its files cannot be read: {error}"))?;
        if !files.iter().map(String::as_str).eq(lines) {
            return Err("its files are not what was left".to_owned());
        }
        Ok(stamp)
    }

    /// From now on it counts as not closed.
    pub(crate) fn unmark(&self) -> io::Result<()> {
        match fs::remove_file(self.root.join(MARK)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The store is closed and holds this.
    pub(crate) fn mark(&self, stamp: &Stamp) -> io::Result<()> {
        let mut content = format!("{FORMAT}\n{}", stamp.line());
        for file in self.files()? {
            content.push('\n');
            content.push_str(&file);
        }
        let checksum = blake3::hash(content.as_bytes()).to_hex();
        let aside = self.root.join("CLOSED.tmp");
        let mut file = fs::File::create(&aside)?;
        file.write_all(format!("{content}\n{checksum}\n").as_bytes())?;
        file.sync_all()?;
        fs::rename(aside, self.root.join(MARK))
    }

    /// Empties it. What was there is moved away first: whoever still reads it is not in the way.
    pub(crate) fn wipe(&self) -> io::Result<()> {
        let away = self.root.with_extension("old");
        remove(&away)?;
        match fs::rename(&self.root, &away) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        remove(&away)?;
        fs::create_dir_all(&self.root)
    }

    /// A line for each file of the store, in order of their paths.
    fn files(&self) -> io::Result<Vec<String>> {
        let (mut paths, mut folders) = (Vec::new(), vec![self.db()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                if path.is_dir() { folders.push(path) } else { paths.push(path) }
            }
        }
        paths.sort_unstable();
        let line = |path: &PathBuf| {
            let (bytes, digest) = digest(path)?;
            let name = path.strip_prefix(&self.root).unwrap_or(path);
            Ok(format!("{bytes} {digest} {}", name.display()))
        };
        paths.iter().map(line).collect()
    }
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn digest(path: &Path) -> io::Result<(u64, blake3::Hash)> {
    let mut file = fs::File::open(path)?;
    let (mut hasher, mut bytes, mut buffer) = (blake3::Hasher::new(), 0, vec![0; 1 << 20]);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((bytes, hasher.finalize()));
        }
        hasher.update(&buffer[..read]);
        bytes += read as u64;
    }
}
