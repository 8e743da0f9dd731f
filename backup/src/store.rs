//! Where objects are kept: whole ones under names, in a folder or behind a network.
//!
//! A name is a path of parts joined by `/`, below the place the store was opened at. An object appears
//! under its name whole or not at all; putting one again replaces it.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// An object that a store lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
}

/// A store did not do what was asked.
#[derive(Debug)]
pub struct StoreError {
    /// The object, or what was asked for.
    pub name: String,
    /// Why.
    pub source: io::Error,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.source)
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Writes the content of one object.
pub type Fill<'a> = &'a mut dyn FnMut(&mut dyn Write) -> io::Result<()>;

/// Whole objects under names.
pub trait Store: Send + Sync {
    /// Puts one object, which `fill` writes. When it returns the object is durable and whole; when `fill` fails
    /// there is none.
    ///
    /// # Errors
    /// Those of the store and of `fill`.
    fn put(&self, name: &str, fill: Fill<'_>) -> Result<(), StoreError>;
    /// Opens one object.
    ///
    /// # Errors
    /// It is not there or cannot be read.
    fn get(&self, name: &str) -> Result<Box<dyn Read + Send>, StoreError>;
    /// The objects whose names begin with `prefix`, by name.
    ///
    /// # Errors
    /// Those of the store.
    fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError>;
    /// Removes one object. One that is not there is fine.
    ///
    /// # Errors
    /// Those of the store.
    fn remove(&self, name: &str) -> Result<(), StoreError>;
    /// Where it is, for people.
    fn place(&self) -> String;
    /// The full name of an object, for people.
    fn full_name(&self, name: &str) -> String {
        format!("{}/{name}", self.place().trim_end_matches('/'))
    }
}

/// A folder of this machine.
#[derive(Clone, Debug)]
pub struct FolderStore {
    root: PathBuf,
}

/// The end of the name of a file that is being written.
const ASIDE: &str = ".tmp";

impl FolderStore {
    /// The store at `root`, which is made when something is put there.
    #[must_use]
    pub fn new(root: &Path) -> FolderStore {
        FolderStore { root: root.to_owned() }
    }

    fn failed(&self, name: &str) -> impl FnOnce(io::Error) -> StoreError + use<> {
        let name = self.root.join(name).display().to_string();
        move |source| StoreError { name, source }
    }

    fn write_aside(&self, aside: &Path, fill: Fill<'_>) -> io::Result<()> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(aside)?;
        let mut out = BufWriter::new(file);
        fill(&mut out)?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }

    fn put_file(&self, name: &str, fill: Fill<'_>) -> io::Result<()> {
        let path = self.root.join(name);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        make_folder(folder)?;
        let mut aside = path.clone().into_os_string();
        aside.push(ASIDE);
        let aside = PathBuf::from(aside);
        let written = self.write_aside(&aside, fill).and_then(|()| fs::rename(&aside, &path));
        if written.is_err() {
            // Nobody reads it under this name.
            let _ = fs::remove_file(&aside);
        }
        written?;
        File::open(folder)?.sync_all()
    }

    fn walk(&self, folder: &Path, prefix: &str, found: &mut Vec<Listed>) -> io::Result<()> {
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            let Some(name) = path.strip_prefix(&self.root).ok().and_then(Path::to_str) else { continue };
            let kind = entry.file_type()?;
            // Only folders on the way to the prefix or below it.
            if kind.is_dir() && (prefix.starts_with(&format!("{name}/")) || format!("{name}/").starts_with(prefix)) {
                self.walk(&path, prefix, found)?;
            } else if kind.is_file() && name.starts_with(prefix) && !name.ends_with(ASIDE) {
                found.push(Listed { name: name.to_owned(), bytes: entry.metadata()?.len() });
            }
        }
        Ok(())
    }
}

/// Makes a folder and those above it, each durable in its parent.
fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_folder(parent)?;
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        Ok(()) => File::open(parent)?.sync_all(),
    }
}

impl Store for FolderStore {
    fn put(&self, name: &str, fill: Fill<'_>) -> Result<(), StoreError> {
        self.put_file(name, fill).map_err(self.failed(name))
    }

    fn get(&self, name: &str) -> Result<Box<dyn Read + Send>, StoreError> {
        let file = File::open(self.root.join(name)).map_err(self.failed(name))?;
        Ok(Box::new(io::BufReader::with_capacity(256 << 10, file)))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        let mut found = Vec::new();
        self.walk(&self.root, prefix, &mut found).map_err(self.failed(prefix))?;
        found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        match fs::remove_file(self.root.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result.map_err(self.failed(name)),
        }
    }

    fn place(&self) -> String {
        self.root.display().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_there_whole_or_not_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = FolderStore::new(&folder.path().join("backups"));
        assert_eq!(store.list("").expect("none yet"), []);
        let failed = store.put("a/b/one", &mut |out| {
            out.write_all(b"half")?;
            Err(io::Error::other("the source is gone"))
        });
        assert!(failed.is_err_and(|error| error.to_string().contains("the source is gone")));
        assert_eq!(store.list("").expect("lists"), []);
        store.put("a/b/one", &mut |out| out.write_all(b"whole")).expect("the disk works");
        store.put("a/c", &mut |out| out.write_all(b"c")).expect("the disk works");
        let names = |prefix: &str| -> Vec<String> {
            store.list(prefix).expect("lists").into_iter().map(|listed| listed.name).collect()
        };
        assert_eq!(names(""), ["a/b/one", "a/c"]);
        assert_eq!(names("a/b/"), ["a/b/one"]);
        assert_eq!(names("a/b/o"), ["a/b/one"]);
        assert_eq!(names("b"), Vec::<String>::new());
        let mut content = String::new();
        store.get("a/b/one").expect("there").read_to_string(&mut content).expect("text");
        assert_eq!(content, "whole");
        store.remove("a/b/one").expect("there");
        store.remove("a/b/one").expect("gone already");
        let error = store.get("a/b/one").err().expect("gone").to_string();
        assert!(error.contains("backups/a/b/one"), "{error}");
    }
}
