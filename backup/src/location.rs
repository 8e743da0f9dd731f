//! Where a backup is, as people and settings write it: a file, a folder, a URL.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::store::{FolderStore, Store};

/// The place cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocationError(pub(crate) String);

impl fmt::Display for LocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LocationError {}

/// A place for backups.
pub struct Location {
    /// What keeps the objects.
    pub store: Arc<dyn Store>,
    /// The one object that is meant; nothing: all of them, under the names of an archive.
    pub single: Option<String>,
}

/// The store at a place: a folder, or a URL like `s3://bucket/prefix`.
///
/// # Errors
/// The URL is of no kind that is known, or that this build knows.
pub fn open_store(place: &str) -> Result<Arc<dyn Store>, LocationError> {
    if place.is_empty() {
        return Err(LocationError("a place for backups is a folder or a URL".to_owned()));
    }
    if let Some(folder) = place.strip_prefix("file://") {
        return Ok(Arc::new(FolderStore::new(Path::new(folder))));
    }
    if place.contains("://") {
        return open_url(place);
    }
    Ok(Arc::new(FolderStore::new(Path::new(place))))
}

#[cfg(feature = "object-store")]
fn open_url(url: &str) -> Result<Arc<dyn Store>, LocationError> {
    crate::remote::open(url)
}

#[cfg(not(feature = "object-store"))]
fn open_url(url: &str) -> Result<Arc<dyn Store>, LocationError> {
    let what = "this program was built without object stores; build it with --features object-store, or name a folder";
    Err(LocationError(format!("{url}: {what}")))
}

/// The place to read a backup from: a file is one snapshot, everything else a store.
///
/// # Errors
/// As [`open_store`].
pub fn open_source(place: &str) -> Result<Location, LocationError> {
    let path = Path::new(place);
    if path.is_file() {
        return single(path);
    }
    Ok(Location { store: open_store(place)?, single: None })
}

/// The place to write a snapshot to: an existing folder, a name that ends in `/` and a URL are stores, anything else
/// is a file.
///
/// # Errors
/// As [`open_store`].
pub fn open_target(place: &str) -> Result<Location, LocationError> {
    let path = Path::new(place);
    if place.contains("://") || place.ends_with('/') || path.is_dir() {
        return Ok(Location { store: open_store(place)?, single: None });
    }
    single(path)
}

fn single(path: &Path) -> Result<Location, LocationError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| LocationError(format!("{}: a file needs a name", path.display())))?;
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).map_or(PathBuf::from("."), Path::to_owned);
    Ok(Location { store: Arc::new(FolderStore::new(&folder)), single: Some(name.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_file_a_folder_or_a_url() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).display().to_string();
        let target = |place: &str| open_target(place).map(|location| location.single);
        assert_eq!(target(&path("one.snapshot")), Ok(Some("one.snapshot".to_owned())));
        assert_eq!(target(&path("backups/")), Ok(None));
        assert_eq!(target(&path("")), Ok(None));
        assert_eq!(target(&format!("file://{}", path("backups"))), Ok(None));
        std::fs::write(path("one.snapshot"), b"").expect("the disk works");
        assert_eq!(open_source(&path("one.snapshot")).map(|source| source.single), Ok(Some("one.snapshot".to_owned())));
        assert_eq!(open_source(&path("")).map(|source| source.single), Ok(None));
        assert!(open_store("").is_err());
    }

    #[cfg(not(feature = "object-store"))]
    #[test]
    fn a_build_without_object_stores_says_so() {
        let error = open_store("s3://bucket/usher").err().expect("not in this build").to_string();
        assert!(error.contains("--features object-store"), "{error}");
    }
}
