//! What is done to a folder before it is examined.

use std::{fmt, sync::Arc};

use super::folder::Folder;

/// One thing done to one file.
#[derive(Clone, Debug)]
pub(super) enum Edit {
    /// One byte gets other bits.
    Flip { file: Arc<str>, at: usize, mask: u8 },
    /// Bytes are overwritten.
    Write { file: Arc<str>, at: usize, bytes: Vec<u8>, what: &'static str },
    /// The file ends sooner.
    Cut { file: Arc<str>, len: usize },
    /// The file goes on.
    Grow { file: Arc<str>, bytes: Vec<u8> },
    /// The file is gone.
    Remove { file: Arc<str> },
    /// The file has the bytes of another one, or is a new one.
    Replace { file: Arc<str>, bytes: Arc<Vec<u8>>, what: String },
}

impl Edit {
    /// The file it is done to.
    pub(super) fn file(&self) -> &str {
        match self {
            Edit::Flip { file, .. }
            | Edit::Write { file, .. }
            | Edit::Cut { file, .. }
            | Edit::Grow { file, .. }
            | Edit::Remove { file }
            | Edit::Replace { file, .. } => file,
        }
    }

    /// Does it.
    pub(super) fn apply(&self, folder: &mut Folder) {
        match self {
            Edit::Flip { file, at, mask } => folder.bytes_mut(file)[*at] ^= mask,
            Edit::Write { file, at, bytes, .. } => {
                let there = folder.bytes_mut(file);
                // Past the end of a file that was cut there is nothing to damage.
                let end = (at + bytes.len()).min(there.len());
                if *at < end {
                    there[*at..end].copy_from_slice(&bytes[..end - at]);
                }
            }
            Edit::Cut { file, len } => folder.bytes_mut(file).truncate(*len),
            Edit::Grow { file, bytes } => folder.bytes_mut(file).extend_from_slice(bytes),
            Edit::Remove { file } => drop(folder.remove(file)),
            Edit::Replace { file, bytes, .. } => folder.put(file, Arc::clone(bytes)),
        }
    }
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Edit::Flip { file, at, mask } => write!(f, "{file}: byte {at} ^ {mask:#04x}"),
            Edit::Write { file, at, bytes, what } => {
                write!(f, "{file}: bytes {at}..{} are {what}", at + bytes.len())
            }
            Edit::Cut { file, len } => write!(f, "{file}: cut to {len} bytes"),
            Edit::Grow { file, bytes } => write!(f, "{file}: {} bytes more", bytes.len()),
            Edit::Remove { file } => write!(f, "{file}: gone"),
            Edit::Replace { file, what, .. } => write!(f, "{file}: is {what}"),
        }
    }
}
