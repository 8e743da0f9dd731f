//! The log of a data folder at rest, event by event.
//!
//! A server removes log that two checkpoints cover, and a judge needs all of it: [`KeptLog`] holds a second name
//! (a hard link) of every segment that was ever there.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use engine::FileStorage;
use engine::inspect::{Line, walk};
use inventory_core::plan::Plan;

use crate::by_position::Logged;

/// What the log has of one event.
#[derive(Clone, Debug)]
pub struct EventLog {
    /// The plan it was made of.
    pub plan: Arc<Plan>,
    /// Its changes by position.
    pub changes: Vec<Logged>,
}

/// A whole log.
#[derive(Clone, Debug)]
pub struct Log {
    /// Its events by name.
    pub events: BTreeMap<String, EventLog>,
    /// Changes of all events.
    pub changes: u64,
    /// The hash of the state that all of it leads to.
    pub state_hash: u64,
}

/// Reads the log of a folder that nobody writes to, and of it the events of these names.
///
/// # Errors
/// When it cannot be read, or anything in it does not check.
pub fn read(folder: &Path, which: &dyn Fn(&str) -> bool) -> Result<Log> {
    let storage = FileStorage::open_read_only(folder)?;
    let mut events: BTreeMap<String, EventLog> = BTreeMap::new();
    let mut changes = 0;
    let mut problem = None;
    let mut sink = |line: Line<'_>| {
        match line {
            Line::Change(line) => {
                changes += 1;
                let (Some((id, _)), Some(plan)) = (line.event, line.plan) else {
                    problem = Some(format!("position {}: the event is not known", line.position));
                    return ControlFlow::Break(());
                };
                if !which(id.as_str()) {
                    return ControlFlow::Continue(());
                }
                let logged = Logged { position: line.position, time: line.time, change: line.record.change.clone() };
                let event = events.entry(id.as_str().to_owned());
                event.or_insert_with(|| EventLog { plan: Arc::clone(plan), changes: Vec::new() }).changes.push(logged);
            }
            Line::Damage(damage) => problem = Some(format!("damage: {:?}", damage.place)),
            Line::Hole(hole) => problem = Some(format!("a hole: {:?}", hole.hole)),
            Line::Checkpoint(_) | Line::Plan(_) | Line::Segment(_) | Line::Batch(_) => {}
        }
        ControlFlow::Continue(())
    };
    let report = walk(&storage, 0, &mut sink).with_context(|| format!("read the log in {}", folder.display()))?;
    if let Some(problem) = problem {
        bail!("{}: {problem}", folder.display());
    }
    Ok(Log { events, changes, state_hash: report.state_hash })
}

/// Second names of all segments there ever were.
#[derive(Debug)]
pub struct KeptLog {
    data: PathBuf,
    kept: PathBuf,
}

impl KeptLog {
    /// Of the data folder `data`, under `kept`, which is made. Both on one file system.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new(data: &Path, kept: &Path) -> Result<Self> {
        fs::create_dir_all(kept).with_context(|| format!("make {}", kept.display()))?;
        Ok(Self { data: data.to_owned(), kept: kept.to_owned() })
    }

    /// The data folder.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Gives every segment that is there now its second name. Call it oftener than checkpoints are made.
    ///
    /// # Errors
    /// When a name cannot be given.
    pub fn look(&self) -> Result<()> {
        for name in segments(&self.data)? {
            let (first, second) = (self.data.join(&name), self.kept.join(&name));
            if second.exists() {
                // A segment that could not be made ready is made again under the same name, as another file.
                let number = |path: &Path| fs::metadata(path).map(|file| file.ino());
                match (number(&first), number(&second)) {
                    (Ok(now), Ok(kept)) if now != kept => fs::remove_file(&second)?,
                    _ => continue,
                }
            }
            match fs::hard_link(&first, &second) {
                // A segment made ready and never used is removed at the next start.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                result => result.with_context(|| format!("link {name}"))?,
            }
        }
        Ok(())
    }

    /// Segments that have a header.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn segments_begun(&self) -> Result<usize> {
        let mut begun = 0;
        for name in segments(&self.kept)? {
            begun += usize::from(is_begun(&self.kept.join(name))?);
        }
        Ok(begun)
    }

    /// Reads all of the log. The server must be at rest.
    ///
    /// # Errors
    /// As [`read`].
    pub fn read(&self) -> Result<Log> {
        self.read_events(&|_| true)
    }

    /// The same, of the events of these names.
    ///
    /// # Errors
    /// As [`read`].
    pub fn read_events(&self, which: &dyn Fn(&str) -> bool) -> Result<Log> {
        self.look()?;
        for name in segments(&self.kept)? {
            let path = self.kept.join(&name);
            if !is_begun(&path)? && !self.data.join(&name).exists() {
                fs::remove_file(&path)?;
            }
        }
        let plans = self.kept.join("plans");
        fs::create_dir_all(&plans)?;
        for entry in fs::read_dir(self.data.join("plans"))? {
            let entry = entry?;
            fs::copy(entry.path(), plans.join(entry.file_name()))?;
        }
        if self.data.join("WATERMARK").exists() {
            fs::copy(self.data.join("WATERMARK"), self.kept.join("WATERMARK"))?;
        }
        read(&self.kept, which)
    }
}

/// Whether a segment has a header: one that was only made ready is all zeros.
fn is_begun(path: &Path) -> Result<bool> {
    let mut first = [0; 8];
    match fs::File::open(path).and_then(|mut file| file.read_exact(&mut first)) {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        result => result.map(|()| first != [0; 8]).with_context(|| format!("read {}", path.display())),
    }
}

/// Names of the segments in a folder; none while there is no folder.
///
/// # Errors
/// When it cannot be listed.
pub fn segments(folder: &Path) -> Result<Vec<String>> {
    names(folder, |name| name.starts_with("wal-") && name.ends_with(".seg"))
}

/// Names in a folder; none while there is no folder.
///
/// # Errors
/// When it cannot be listed.
pub fn names(folder: &Path, which: impl Fn(&str) -> bool) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("list {}", folder.display()))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        if let Ok(name) = entry?.file_name().into_string()
            && which(&name)
        {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}
