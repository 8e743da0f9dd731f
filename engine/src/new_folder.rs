//! A data folder made of a state: what a restore and a repair end with.
//!
//! Plans first, each under its name, then one checkpoint, then everything is read back. The checkpoint
//! carries the next incarnation and the mark that a restore wrote it: the first start gives live holds
//! the whole time since then back. Positions and batch numbers go on after those of the old folder; the
//! chain does not, so that no file of the old future fits behind it.
//!
//! A crash in between must not leave a folder that looks new and empty: [`in_a_new_folder`] works beside
//! the folder and gives it its name at the end.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use inventory_core::{ids::TimestampMs, image};
use wal::{
    Chain, CheckpointError, CheckpointMeta, CheckpointWriter, FileStorage, LogIdentity, Storage, write_file_atomically,
};

use crate::{
    checkpointer::HASHES_TAG,
    plan_store::{PLANS_DIR, plan_file_name},
    replay::State,
    resumption::GIVEN_TAG,
    verify::{VerifyError, VerifyReport, verify},
};

/// The point of an old log at which a new folder begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Of the old log; the new folder has the next incarnation.
    pub identity: LogIdentity,
    /// The last batch of which something is in the state.
    pub batch_seq: u64,
    /// The position after the state's last change.
    pub next_position: u64,
    /// The chain after that batch.
    pub chain: Chain,
    /// The time of the state's last change.
    pub time: TimestampMs,
}

impl Origin {
    /// Before the first change of a log.
    #[must_use]
    pub fn start(identity: LogIdentity) -> Origin {
        Origin { identity, batch_seq: 0, next_position: 1, chain: Chain::START, time: TimestampMs(0) }
    }

    /// Where a checkpoint ends.
    #[must_use]
    pub fn of_checkpoint(meta: &CheckpointMeta) -> Origin {
        Origin {
            identity: meta.identity,
            batch_seq: meta.batch_seq,
            next_position: meta.next_position,
            chain: meta.chain,
            time: TimestampMs(meta.time_ms),
        }
    }

    /// The state's last position.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.next_position - 1
    }
}

/// No new folder was made.
#[derive(Debug)]
pub enum NewFolderError {
    /// Something is there.
    Used {
        /// What.
        path: PathBuf,
    },
    /// There is no change in the state, so there is nothing to begin with.
    Empty,
    /// The operating system refused.
    Io {
        /// The file or folder.
        file: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The checkpoint cannot be written or does not read back.
    Checkpoint(CheckpointError),
    /// It was written and is not whole.
    Verify(VerifyError),
    /// It was written, reads, and is not the state it was made of.
    Differs {
        /// The hash of the state.
        wanted: u64,
        /// The hash of what was read.
        found: u64,
    },
}

impl fmt::Display for NewFolderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NewFolderError::Used { path } if path.as_os_str().is_empty() => {
                f.write_str("the folder is not empty; name one that does not exist")
            }
            NewFolderError::Used { path } => {
                write!(f, "{} is there already; name a folder that does not exist or is empty", path.display())
            }
            NewFolderError::Empty => f.write_str("there is no change to begin a folder with"),
            NewFolderError::Io { file, source } => write!(f, "{file}: {source}"),
            NewFolderError::Checkpoint(error) => error.fmt(f),
            NewFolderError::Verify(error) => write!(f, "the new folder is not whole: {error}"),
            NewFolderError::Differs { wanted, found } => {
                write!(
                    f,
                    "the new folder reads as state {found:016x}, and {wanted:016x} was written: memory or disk fails"
                )
            }
        }
    }
}

impl std::error::Error for NewFolderError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            NewFolderError::Used { .. } | NewFolderError::Empty | NewFolderError::Differs { .. } => None,
            NewFolderError::Io { source, .. } => Some(source),
            NewFolderError::Checkpoint(error) => Some(error),
            NewFolderError::Verify(error) => Some(error),
        }
    }
}

/// Writes a data folder into empty storage: these plans (encoded), and the state. `now` is the time of the
/// restore by the wall clock. What was written is read back and verified.
pub(crate) fn write_new_folder<'a>(
    storage: &dyn Storage,
    state: &State,
    origin: &Origin,
    plans: impl IntoIterator<Item = &'a [u8]>,
    now: TimestampMs,
) -> Result<VerifyReport, NewFolderError> {
    let io = |file: &str| {
        let file = file.to_owned();
        move |source| NewFolderError::Io { file, source }
    };
    if origin.position() == 0 {
        return Err(NewFolderError::Empty);
    }
    for dir in ["", PLANS_DIR] {
        if !storage.list(dir).map_err(io(dir))?.is_empty() {
            return Err(NewFolderError::Used { path: PathBuf::new() });
        }
    }
    storage.create_dir(PLANS_DIR).and_then(|()| storage.sync_dir("")).map_err(io(PLANS_DIR))?;
    for encoded in plans {
        let name = plan_file_name(encoded);
        write_file_atomically(storage, PLANS_DIR, &name, encoded).map_err(io(&name))?;
    }
    write_checkpoint(storage, state, origin, now).map_err(NewFolderError::Checkpoint)?;
    let report = verify(storage).map_err(NewFolderError::Verify)?;
    let wanted = state.hash();
    if report.state_hash != wanted || report.position != origin.position() {
        return Err(NewFolderError::Differs { wanted, found: report.state_hash });
    }
    Ok(report)
}

fn write_checkpoint(
    storage: &dyn Storage,
    state: &State,
    origin: &Origin,
    now: TimestampMs,
) -> Result<(), CheckpointError> {
    let incarnation = origin.identity.incarnation + u64::from(!probe::planted!(PositionWithoutIncarnation));
    let meta = CheckpointMeta {
        identity: LogIdentity { incarnation, ..origin.identity },
        batch_seq: origin.batch_seq,
        next_position: origin.next_position,
        chain: origin.chain.restored(incarnation, origin.next_position),
        time_ms: origin.time.0,
        hash: [0; 16],
        restored_at_ms: Some(now.0),
    };
    let mut writer = CheckpointWriter::create(storage, meta)?;
    let mut image = Vec::new();
    for slot in state.slots.iter().filter(|slot| !slot.is_empty()) {
        image.clear();
        image::encode_slot(slot, &mut image);
        writer.add_section(u32::from(slot.index().0), &image)?;
    }
    let hashes: Vec<u8> = state.slots.iter().flat_map(|slot| slot.hash().to_le_bytes()).collect();
    writer.add_section(HASHES_TAG, &hashes)?;
    // The state stands in the middle of a start that gave time back: what was given is not given again.
    if state.given.is_of(origin.time) {
        writer.add_section(GIVEN_TAG, &state.given.encode())?;
    }
    writer.finish()?;
    Ok(())
}

/// Makes a folder that is there whole or not at all: `write` fills one beside it, which then gets the name.
/// The folder must not exist, or be empty.
///
/// # Errors
/// Those of `write`, those of the file system, and [`NewFolderError::Used`] before anything is written.
pub fn in_a_new_folder<T, E: From<NewFolderError>>(
    folder: &Path,
    write: impl FnOnce(&FileStorage) -> Result<T, E>,
) -> Result<T, E> {
    let io = |path: &Path| {
        let file = path.display().to_string();
        move |source| NewFolderError::Io { file, source }
    };
    check_unused(folder)?;
    let Some(name) = folder.file_name() else {
        return Err(io(folder)(io::Error::new(io::ErrorKind::InvalidInput, "name a folder by its own name")).into());
    };
    let mut name = name.to_owned();
    name.push(".unfinished");
    let aside = folder.with_file_name(name);
    if aside.exists() {
        // Of an earlier try that did not come to its end, or of one that runs now: not ours to remove.
        return Err(NewFolderError::Used { path: aside }.into());
    }
    let storage = FileStorage::open(&aside)
        .map_err(|error| NewFolderError::Io { file: aside.display().to_string(), source: io::Error::other(error) })?;
    let finish = |written| match fs::rename(&aside, folder) {
        Ok(()) => Ok(written),
        Err(source) => Err(io(folder)(source).into()),
    };
    let written = write(&storage).and_then(finish).inspect_err(|_| {
        // It has no name anybody starts from; leaving it would only be in the way of the next try.
        let _ = fs::remove_dir_all(&aside);
    })?;
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(parent).and_then(|dir| dir.sync_all()).map_err(io(parent))?;
    Ok(written)
}

/// Whether nothing is in the way of a new folder with this name.
///
/// # Errors
/// [`NewFolderError::Used`], or what the file system says.
pub fn check_unused(folder: &Path) -> Result<(), NewFolderError> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Err(NewFolderError::Used { path: folder.to_owned() })
        }
        Err(source) => Err(NewFolderError::Io { file: folder.display().to_string(), source }),
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(NewFolderError::Used { path: folder.to_owned() }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_there_whole_or_not_at_all() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("data");
        let left = || fs::read_dir(root.path()).expect("a folder").count();
        let failed: Result<(), NewFolderError> = in_a_new_folder(&folder, |storage| {
            write_file_atomically(storage, "", "half", b"half").expect("the disk works");
            Err(NewFolderError::Empty)
        });
        assert!(failed.is_err() && left() == 0, "nothing is left of it");
        fs::create_dir(&folder).expect("the disk works");
        let write = |storage: &FileStorage| {
            write_file_atomically(storage, "", "whole", b"whole").expect("the disk works");
            Ok::<(), NewFolderError>(())
        };
        in_a_new_folder(&folder, write).expect("an empty folder is as good as none");
        assert_eq!((fs::read(folder.join("whole")).expect("written"), left()), (b"whole".to_vec(), 1));
        let used = in_a_new_folder(&folder, write).expect_err("it is used").to_string();
        assert!(used.contains("is there already"), "{used}");
        assert!(in_a_new_folder(&folder.join(".."), write).is_err() && in_a_new_folder(Path::new("/"), write).is_err());
    }
}
