//! The state of any moment, put together from a backup: the newest snapshot at or before it, then the log up to
//! exactly there.
//!
//! Every object is read whole and checked before anything of it is used. What is missing or damaged is named;
//! nothing is passed over. Writing the folder is `engine`'s ([`Rebuild::write`]).

use std::fmt;
use std::io;
use std::path::Path;

use engine::{FileStorage, Rebuild, Until};
use wal::LogIdentity;

use crate::catalog::{Catalog, Future, LogEntry, SnapshotEntry, instance_text, name_of};
use crate::log_object::ReadLog;
use crate::sealed::{Head, Kind, SealedError, SealedReader};
use crate::snapshot::{Unpacked, unpack};
use crate::store::{Listed, Store, StoreError};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The moment.
    pub until: Until,
    /// The instance, where a store has several.
    pub instance: Option<[u8; 16]>,
    /// The incarnation; the greatest when nothing is said.
    pub incarnation: Option<u64>,
}

/// The moment cannot be restored.
#[derive(Debug)]
pub enum RestoreError {
    /// The store.
    Store(StoreError),
    /// An object.
    Sealed(SealedError),
    /// There is no backup there.
    Nothing {
        /// Where.
        place: String,
    },
    /// Several instances, or not the one asked for.
    Which {
        /// What to say.
        what: String,
    },
    /// The moment lies before everything there is.
    TooEarly {
        /// The first moment there is.
        earliest: String,
    },
    /// The moment lies behind everything there is.
    Beyond {
        /// The last position there is.
        position: u64,
        /// Its time.
        time_ms: u64,
    },
    /// Log is missing on the way.
    Gap {
        /// The last position that can be restored.
        position: u64,
        /// Which batches, and between which objects.
        what: String,
    },
    /// An object checks and cannot be replayed.
    Replay {
        /// The object.
        object: String,
        /// Why.
        why: String,
    },
    /// The folder to unpack into.
    Scratch(io::Error),
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RestoreError::Store(error) => error.fmt(f),
            RestoreError::Sealed(error) => error.fmt(f),
            RestoreError::Nothing { place } => write!(f, "{place}: there is no backup"),
            RestoreError::Which { what } => f.write_str(what),
            RestoreError::TooEarly { earliest } => {
                write!(f, "that is before everything in the backup: the first moment in it is {earliest}")
            }
            RestoreError::Beyond { position, time_ms } => write!(
                f,
                "the backup ends before that, at position {position} (time {time_ms} ms): name an earlier moment, or \
                 none for all there is"
            ),
            RestoreError::Gap { position, what } => write!(
                f,
                "{what}: what lies behind cannot be restored from before it; position {position} is the last on this side"
            ),
            RestoreError::Replay { object, why } => write!(f, "{object}: {why}"),
            RestoreError::Scratch(error) => write!(f, "the snapshot cannot be unpacked: {error}"),
        }
    }
}

impl std::error::Error for RestoreError {}

impl From<StoreError> for RestoreError {
    fn from(error: StoreError) -> RestoreError {
        RestoreError::Store(error)
    }
}

impl From<SealedError> for RestoreError {
    fn from(error: SealedError) -> RestoreError {
        RestoreError::Sealed(error)
    }
}

/// What a restore reads, before it reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestorePlan {
    /// The log it goes back to.
    pub identity: LogIdentity,
    /// The moment.
    pub until: Until,
    /// Where it begins; nothing: with the first change.
    pub snapshot: Option<SnapshotEntry>,
    /// What may follow, in order. The last ones may not be needed.
    pub logs: Vec<LogEntry>,
    /// What lies beyond a gap behind them.
    beyond: Option<LogEntry>,
    plans: Vec<Listed>,
}

impl RestorePlan {
    /// Bytes of the objects in it.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let logs: u64 = self.logs.iter().map(|entry| entry.bytes).sum();
        logs + self.snapshot.as_ref().map_or(0, |entry| entry.bytes)
    }
}

/// Finds out what is needed. `single` names one snapshot; without it the whole store is looked at.
///
/// # Errors
/// There is nothing, or nothing for that moment.
pub fn plan_restore(store: &dyn Store, single: Option<&str>, wanted: &Wanted) -> Result<RestorePlan, RestoreError> {
    if let Some(name) = single {
        return plan_single(store, name, wanted);
    }
    let mut catalog = Catalog::read(store)?;
    let (identity, future) = choose(store, &mut catalog, wanted)?;
    let covers = |entry: &&SnapshotEntry| match wanted.until {
        Until::End => true,
        Until::Position(position) => entry.position <= position,
        Until::Time(time) => entry.time_ms <= time.0,
    };
    let snapshot = future.snapshots.iter().rev().find(covers).cloned();
    let after = snapshot.as_ref().map_or(0, |entry| entry.batch_seq);
    let logs: Vec<LogEntry> = future.logs_after(after).into_iter().cloned().collect();
    if snapshot.is_none() && logs.is_empty() {
        return Err(RestoreError::TooEarly { earliest: earliest(&future, &catalog, &identity) });
    }
    let end = logs.last().map_or(after, |entry| entry.last_batch);
    let beyond = future.beyond(end).cloned();
    let plans = catalog.plans.remove(&identity.instance).unwrap_or_default();
    Ok(RestorePlan { identity, until: wanted.until, snapshot, logs, beyond, plans })
}

fn plan_single(store: &dyn Store, name: &str, wanted: &Wanted) -> Result<RestorePlan, RestoreError> {
    let head = read_head(store, name)?;
    if head.kind != Kind::Snapshot {
        return Err(SealedError::Damaged {
            object: store.full_name(name),
            offset: 12,
            what: "it is no snapshot".to_owned(),
        }
        .into());
    }
    let (position, time_ms) = (head.next_position - 1, head.last_time_ms);
    let fits = match wanted.until {
        Until::End => true,
        Until::Position(wanted) if wanted < position => {
            return Err(RestoreError::TooEarly { earliest: format!("position {position}") });
        }
        Until::Position(wanted) => wanted == position,
        Until::Time(wanted) if wanted.0 < time_ms => {
            return Err(RestoreError::TooEarly { earliest: format!("position {position} (time {time_ms} ms)") });
        }
        Until::Time(wanted) => wanted.0 == time_ms,
    };
    if !fits {
        return Err(RestoreError::Beyond { position, time_ms });
    }
    let bytes = store.list(name)?.into_iter().find(|listed| listed.name == name).map_or(0, |listed| listed.bytes);
    let entry = SnapshotEntry { name: name.to_owned(), bytes, position, batch_seq: head.last_batch, time_ms };
    Ok(RestorePlan {
        identity: head.identity,
        until: wanted.until,
        snapshot: Some(entry),
        logs: Vec::new(),
        beyond: None,
        plans: Vec::new(),
    })
}

fn choose(store: &dyn Store, catalog: &mut Catalog, wanted: &Wanted) -> Result<(LogIdentity, Future), RestoreError> {
    let mut instances: Vec<[u8; 16]> = catalog.futures.keys().map(|(instance, ..)| *instance).collect();
    instances.dedup();
    let instance = match (wanted.instance, instances.as_slice()) {
        (_, []) => return Err(RestoreError::Nothing { place: store.place() }),
        (Some(instance), known) if known.contains(&instance) => instance,
        (None, [instance]) => *instance,
        (_, known) => {
            let known: Vec<String> = known.iter().map(instance_text).collect();
            let what = format!("the backup is of the instances {}; name one with --instance", known.join(", "));
            return Err(RestoreError::Which { what });
        }
    };
    let of_instance = || catalog.futures.keys().filter(|(of, ..)| *of == instance);
    let key = match wanted.incarnation {
        None => of_instance().max_by_key(|(.., incarnation)| *incarnation),
        Some(wanted) => of_instance().find(|(.., incarnation)| *incarnation == wanted),
    };
    let Some(&key) = key else {
        let known: Vec<String> = of_instance().map(|(.., incarnation)| incarnation.to_string()).collect();
        let what = format!("the backup has the incarnations {}; name one of them", known.join(", "));
        return Err(RestoreError::Which { what });
    };
    let future = catalog.futures.get(&key).cloned().unwrap_or_default();
    let (instance, partition, incarnation) = key;
    Ok((LogIdentity { instance, partition, incarnation }, future))
}

fn earliest(future: &Future, catalog: &Catalog, identity: &LogIdentity) -> String {
    let first = future.snapshots.first();
    let mut text = first.map_or_else(
        || "none: the log in it begins nowhere".to_owned(),
        |entry| format!("position {} (time {} ms)", entry.position, entry.time_ms),
    );
    let older = catalog
        .futures
        .keys()
        .filter(|(instance, _, incarnation)| *instance == identity.instance && *incarnation < identity.incarnation);
    if let Some((.., incarnation)) = older.max_by_key(|(.., incarnation)| *incarnation) {
        let found = identity.incarnation;
        text.push_str(&format!(" of incarnation {found}; earlier ones may be in --incarnation {incarnation}"));
    }
    text
}

/// The head of an object. It checks; the rest was not looked at.
///
/// # Errors
/// It is not there or does not check.
pub fn read_head(store: &dyn Store, name: &str) -> Result<Head, RestoreError> {
    let object = store.full_name(name);
    Ok(*SealedReader::open(&object, store.get(name)?)?.head())
}

/// How far a restore is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of objects read.
    pub bytes: u64,
    /// Of so many, when all of them are needed.
    pub bytes_total: u64,
    /// The position reached.
    pub position: u64,
}

/// Puts the state of the planned moment together. `scratch` is a folder to unpack the snapshot in, by default the
/// system's for temporary files.
///
/// # Errors
/// An object is missing, damaged or does not fit; the moment is not in the backup.
pub fn rebuild(
    store: &dyn Store,
    plan: &RestorePlan,
    scratch: Option<&Path>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Rebuild, RestoreError> {
    let bytes_total = plan.bytes();
    let mut plans = Vec::new();
    for listed in &plan.plans {
        plans.push(read_plan_object(store, &listed.name)?);
    }
    let mut bytes = 0;
    let mut rebuild = match &plan.snapshot {
        None => Rebuild::from_start(plan.identity, plans)
            .map_err(|error| RestoreError::Replay { object: store.place(), why: error.to_string() })?,
        Some(entry) => {
            let mut tell = |bytes| progress(Progress { bytes, bytes_total, position: 0 });
            let (rebuild, _) = rebuild_snapshot(store, entry, &plan.identity, plans, scratch, &mut tell)?;
            bytes += entry.bytes;
            rebuild
        }
    };
    let mut seen_ms = rebuild.origin().time.0;
    let mut reached = false;
    for entry in &plan.logs {
        let log = read_log(store, &entry.name, &plan.identity)?;
        let replay = |why: String| RestoreError::Replay { object: store.full_name(&entry.name), why };
        for batch in log.batches() {
            let batch = batch?;
            let origin = rebuild.origin();
            if batch.content.batch_seq <= origin.batch_seq {
                if batch.content.batch_seq == origin.batch_seq && batch.chain != origin.chain {
                    let what = format!("batch {} in it is of another history", origin.batch_seq);
                    return Err(replay(what));
                }
                continue;
            }
            if !rebuild.apply(&batch, plan.until).map_err(|error| replay(error.to_string()))? {
                reached = true;
                break;
            }
            seen_ms = seen_ms.max(batch.content.time_ms);
        }
        bytes += entry.bytes;
        progress(Progress { bytes, bytes_total, position: rebuild.origin().position() });
        if reached {
            break;
        }
    }
    judge_end(store, plan, &rebuild, reached, seen_ms)?;
    Ok(rebuild)
}

/// Whether the end of what was read is the moment that was asked for.
fn judge_end(
    store: &dyn Store,
    plan: &RestorePlan,
    rebuild: &Rebuild,
    reached: bool,
    seen_ms: u64,
) -> Result<(), RestoreError> {
    let position = rebuild.origin().position();
    let there = match plan.until {
        Until::End => plan.beyond.is_none(),
        Until::Position(wanted) => position == wanted,
        Until::Time(time) => reached || time.0 <= seen_ms,
    };
    if there && position == 0 {
        return Err(RestoreError::TooEarly { earliest: "position 1".to_owned() });
    }
    if there {
        return Ok(());
    }
    match &plan.beyond {
        Some(beyond) => Err(RestoreError::Gap {
            position,
            what: format!(
                "batches {} to {} are missing before {}",
                rebuild.origin().batch_seq + 1,
                beyond.first_batch - 1,
                store.full_name(&beyond.name)
            ),
        }),
        None => Err(RestoreError::Beyond { position, time_ms: seen_ms }),
    }
}

/// Reads a plan of a store.
pub(crate) fn read_plan_object(store: &dyn Store, name: &str) -> Result<Vec<u8>, RestoreError> {
    let object = store.full_name(name);
    let (head, encoded, _) = SealedReader::open(&object, store.get(name)?)?.whole(256 << 20)?;
    let is_named = name.ends_with(&format!("/{}.usher-plan", engine::digest_of(&encoded)));
    if head.kind != Kind::Plan || !is_named {
        let what = "it is not the plan it is called".to_owned();
        return Err(SealedError::Damaged { object, offset: 0, what }.into());
    }
    Ok(encoded)
}

/// Reads a part of the log, whole and checked.
pub(crate) fn read_log(store: &dyn Store, name: &str, identity: &LogIdentity) -> Result<ReadLog, RestoreError> {
    let object = store.full_name(name);
    let log = ReadLog::read(SealedReader::open(&object, store.get(name)?)?, &object)?;
    check_name(&log.head, name, identity, &object)?;
    Ok(log)
}

/// An object under another's name, or of another log, is none of this backup.
fn check_name(head: &Head, name: &str, identity: &LogIdentity, object: &str) -> Result<(), RestoreError> {
    let named = name_of(head);
    // A snapshot that was written to a file has a name of its own.
    let is_named = named.as_deref() == Some(name) || !name.contains('/');
    if head.identity == *identity && is_named {
        return Ok(());
    }
    let what = match named {
        Some(named) => format!("by its head it is {named}: it was renamed or written over"),
        None => "it is of another kind than its name says".to_owned(),
    };
    Err(SealedError::Damaged { object: object.to_owned(), offset: 12, what }.into())
}

/// A snapshot's state, and what was unpacked.
pub(crate) fn rebuild_snapshot(
    store: &dyn Store,
    entry: &SnapshotEntry,
    identity: &LogIdentity,
    mut plans: Vec<Vec<u8>>,
    scratch: Option<&Path>,
    progress: &mut dyn FnMut(u64),
) -> Result<(Rebuild, Unpacked), RestoreError> {
    let object = store.full_name(&entry.name);
    let folder = match scratch {
        Some(parent) => tempfile::Builder::new().prefix(".usher-restore-").tempdir_in(parent),
        None => tempfile::Builder::new().prefix("usher-restore-").tempdir(),
    }
    .map_err(RestoreError::Scratch)?;
    let storage = FileStorage::open(folder.path()).map_err(|error| RestoreError::Scratch(io::Error::other(error)))?;
    let reader = SealedReader::open(&object, store.get(&entry.name)?)?;
    let mut unpacked = unpack(reader, &object, &storage, progress)?;
    check_name(&unpacked.head, &entry.name, identity, &object)?;
    plans.append(&mut unpacked.plans);
    let replay = |why: String| RestoreError::Replay { object: object.clone(), why };
    let rebuild =
        Rebuild::from_checkpoint(&storage, &unpacked.checkpoint, plans).map_err(|error| replay(error.to_string()))?;
    let (origin, head) = (rebuild.origin(), &unpacked.head);
    let in_checkpoint = (origin.identity, origin.batch_seq, origin.next_position, origin.chain, origin.time.0);
    if in_checkpoint != (head.identity, head.last_batch, head.next_position, head.chain, head.last_time_ms) {
        return Err(replay("its head and its checkpoint do not say the same".to_owned()));
    }
    if rebuild.state().state_hash != unpacked.state_hash {
        return Err(replay("its state has not the hash that it says".to_owned()));
    }
    Ok((rebuild, unpacked))
}
