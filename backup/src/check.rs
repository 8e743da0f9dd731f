//! Whether a backup is whole: every object read and checked, every future replayed from its first moment to its
//! last, every gap named.
//!
//! Replay compares every change, every hash in the log, and every snapshot on the way with the state that the
//! log leads to. Nothing is written but the unpacked snapshots, in a folder for temporary files.

use std::collections::BTreeMap;
use std::path::Path;

use engine::{Rebuild, RebuiltState, TimestampMs, Until, Verdict};
use wal::LogIdentity;

use crate::catalog::{Catalog, Future, SnapshotEntry, instance_text};
use crate::restore::{RestoreError, read_head, read_log, read_plan_object, rebuild_snapshot};
use crate::sealed::{Kind, Seal, SealedError};
use crate::store::Store;

/// A run of moments that can be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first position.
    pub first_position: u64,
    /// Its time; zero: the first change.
    pub first_time: TimestampMs,
    /// The state at the last one.
    pub last: RebuiltState,
}

/// What there is of one incarnation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedFuture {
    /// Which.
    pub identity: LogIdentity,
    /// Snapshots.
    pub snapshots: usize,
    /// Parts of the log.
    pub logs: usize,
    /// What can be restored.
    pub spans: Vec<Span>,
}

/// What a backup is worth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// What there is of each incarnation.
    pub futures: Vec<CheckedFuture>,
    /// Objects looked at.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is damaged, missing or does not fit, one sentence each.
    pub problems: Vec<String>,
    /// What is worth knowing.
    pub notes: Vec<String>,
    /// Of the one snapshot that was asked about.
    pub seal: Option<Seal>,
    unreadable: bool,
    newer: bool,
}

impl CheckReport {
    /// The verdict, with the exit codes of a data folder's.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            CheckReport { newer: true, .. } => Verdict::NewerFormat,
            CheckReport { unreadable: true, .. } => Verdict::Io,
            CheckReport { problems, .. } if !problems.is_empty() => Verdict::Damaged,
            CheckReport { .. } => Verdict::Clean,
        }
    }

    fn add(&mut self, error: &RestoreError) {
        match error {
            RestoreError::Sealed(SealedError::Newer { .. }) => self.newer = true,
            RestoreError::Store(_)
            | RestoreError::Scratch(_)
            | RestoreError::Nothing { .. }
            | RestoreError::Sealed(SealedError::Io { .. }) => self.unreadable = true,
            _ => {}
        }
        self.problems.push(error.to_string());
    }
}

/// Checks one snapshot, or everything in a store. `progress` gets the bytes read so far and the bytes in all.
pub fn check(
    store: &dyn Store,
    single: Option<&str>,
    scratch: Option<&Path>,
    progress: &mut dyn FnMut(u64, u64),
) -> CheckReport {
    let mut report = CheckReport::default();
    let result = match single {
        Some(name) => check_single(store, name, scratch, &mut report),
        None => check_all(store, scratch, &mut report, progress),
    };
    if let Err(error) = result {
        report.add(&error);
    }
    report
}

fn check_single(
    store: &dyn Store,
    name: &str,
    scratch: Option<&Path>,
    report: &mut CheckReport,
) -> Result<(), RestoreError> {
    let head = read_head(store, name)?;
    if head.kind != Kind::Snapshot {
        let what = "it is no snapshot; name the folder it is in".to_owned();
        return Err(SealedError::Damaged { object: store.full_name(name), offset: 12, what }.into());
    }
    let entry = SnapshotEntry {
        name: name.to_owned(),
        bytes: 0,
        position: head.next_position - 1,
        batch_seq: head.last_batch,
        time_ms: head.last_time_ms,
    };
    let (rebuild, unpacked) = rebuild_snapshot(store, &entry, &head.identity, Vec::new(), scratch, &mut |_| {})?;
    report.objects = 1;
    report.bytes = unpacked.seal.bytes;
    report.seal = Some(unpacked.seal);
    let span = span_from(&rebuild);
    report.futures.push(CheckedFuture { identity: head.identity, snapshots: 1, logs: 0, spans: vec![span] });
    Ok(())
}

fn span_from(rebuild: &Rebuild) -> Span {
    let origin = rebuild.origin();
    Span { first_position: origin.position().max(1), first_time: origin.time, last: rebuild.state() }
}

fn check_all(
    store: &dyn Store,
    scratch: Option<&Path>,
    report: &mut CheckReport,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), RestoreError> {
    let catalog = Catalog::read(store)?;
    if catalog.futures.is_empty() {
        return Err(RestoreError::Nothing { place: store.place() });
    }
    for stranger in &catalog.strangers {
        report.notes.push(format!("{} is no object of a backup; it was not read", store.full_name(&stranger.name)));
    }
    let sizes = |future: &Future| -> u64 {
        future.snapshots.iter().map(|entry| entry.bytes).chain(future.logs.iter().map(|entry| entry.bytes)).sum()
    };
    let plan_bytes: u64 = catalog.plans.values().flatten().map(|listed| listed.bytes).sum();
    let total = plan_bytes + catalog.futures.values().map(sizes).sum::<u64>();
    let mut plans: BTreeMap<[u8; 16], Vec<Vec<u8>>> = BTreeMap::new();
    for (instance, listed) in catalog.plans.iter().flat_map(|(of, all)| all.iter().map(move |one| (of, one))) {
        report.objects += 1;
        report.bytes += listed.bytes;
        match read_plan_object(store, &listed.name) {
            Ok(encoded) => plans.entry(*instance).or_default().push(encoded),
            Err(error) => report.add(&error),
        }
        progress(report.bytes, total);
    }
    for (&(instance, partition, incarnation), future) in &catalog.futures {
        let identity = LogIdentity { instance, partition, incarnation };
        let plans = plans.get(&instance).cloned().unwrap_or_default();
        let mut check = FutureCheck { store, scratch, identity, future, plans, report };
        check.objects(&mut |bytes| progress(bytes, total));
        let spans = check.spans();
        let future = CheckedFuture { identity, snapshots: future.snapshots.len(), logs: future.logs.len(), spans };
        report.futures.push(future);
    }
    Ok(())
}

/// The check of one incarnation.
struct FutureCheck<'a> {
    store: &'a dyn Store,
    scratch: Option<&'a Path>,
    identity: LogIdentity,
    future: &'a Future,
    plans: Vec<Vec<u8>>,
    report: &'a mut CheckReport,
}

impl FutureCheck<'_> {
    /// Every part of the log, also those that another one covers.
    fn objects(&mut self, progress: &mut dyn FnMut(u64)) {
        for entry in &self.future.logs {
            self.report.objects += 1;
            self.report.bytes += entry.bytes;
            if let Err(error) = read_log(self.store, &entry.name, &self.identity) {
                self.report.add(&error);
            }
            progress(self.report.bytes);
        }
        for entry in &self.future.snapshots {
            self.report.objects += 1;
            self.report.bytes += entry.bytes;
            progress(self.report.bytes);
        }
    }

    /// Replays everything there is.
    fn spans(&mut self) -> Vec<Span> {
        let mut spans = Vec::new();
        let mut hashes: BTreeMap<u64, (u64, String)> = BTreeMap::new();
        let mut starts: Vec<Rebuild> = Vec::new();
        if self.future.logs.first().is_some_and(|entry| entry.first_batch == 1) {
            match Rebuild::from_start(self.identity, self.plans.clone()) {
                Ok(rebuild) => starts.push(rebuild),
                Err(error) => self.report.problems.push(error.to_string()),
            }
        }
        let mut end = 0;
        for rebuild in starts {
            end = self.walk(rebuild, &mut spans, &mut hashes);
        }
        for entry in &self.future.snapshots {
            let plans = self.plans.clone();
            let rebuilt = rebuild_snapshot(self.store, entry, &self.identity, plans, self.scratch, &mut |_| {});
            let (rebuild, unpacked) = match rebuilt {
                Ok(rebuilt) => rebuilt,
                Err(error) => {
                    self.report.add(&error);
                    continue;
                }
            };
            if entry.batch_seq > end || spans.is_empty() {
                self.name_gap(end, entry.batch_seq, &entry.name);
                end = self.walk(rebuild, &mut spans, &mut hashes);
            } else if let Some((hash, object)) = hashes.get(&entry.batch_seq)
                && *hash != unpacked.state_hash
            {
                self.report.problems.push(format!(
                    "{}: its state has the hash {:016x}, and {object} leads to {hash:016x}",
                    self.store.full_name(&entry.name),
                    unpacked.state_hash
                ));
            }
        }
        if let Some(beyond) = self.future.beyond(end) {
            self.name_gap(end, beyond.first_batch - 1, &beyond.name);
        }
        spans
    }

    fn name_gap(&mut self, end: u64, last: u64, before: &str) {
        if last > end && (end > 0 || !self.future.snapshots.iter().any(|entry| entry.batch_seq == last)) {
            self.report.problems.push(format!(
                "batches {} to {last} of incarnation {} of {} are missing before {}",
                end + 1,
                self.identity.incarnation,
                instance_text(&self.identity.instance),
                self.store.full_name(before)
            ));
        }
    }

    /// Follows the log as far as it goes. The last batch.
    fn walk(&mut self, mut rebuild: Rebuild, spans: &mut Vec<Span>, hashes: &mut BTreeMap<u64, (u64, String)>) -> u64 {
        let mut span = span_from(&rebuild);
        let mut walked = Ok(());
        for entry in self.future.logs_after(rebuild.origin().batch_seq) {
            walked = self.follow(&mut rebuild, &entry.name, hashes);
            if walked.is_err() {
                break;
            }
        }
        if let Err(error) = walked {
            self.report.add(&error);
        }
        span.last = rebuild.state();
        if span.last.position > 0 {
            spans.push(span);
        }
        rebuild.origin().batch_seq
    }

    fn follow(
        &self,
        rebuild: &mut Rebuild,
        name: &str,
        hashes: &mut BTreeMap<u64, (u64, String)>,
    ) -> Result<(), RestoreError> {
        let object = self.store.full_name(name);
        let log = read_log(self.store, name, &self.identity)?;
        for batch in log.batches() {
            let batch = batch?;
            let (batch_seq, origin) = (batch.content.batch_seq, rebuild.origin());
            let replay = |why: String| RestoreError::Replay { object: object.clone(), why };
            if batch_seq < origin.batch_seq {
                continue;
            }
            if batch_seq == origin.batch_seq {
                if batch.chain != origin.chain {
                    return Err(replay(format!("batch {batch_seq} in it is of another history")));
                }
                continue;
            }
            rebuild.apply(&batch, Until::End).map_err(|error| replay(error.to_string()))?;
            if self.future.snapshots.iter().any(|entry| entry.batch_seq == batch_seq) {
                hashes.insert(batch_seq, (rebuild.state().state_hash, object.clone()));
            }
        }
        Ok(())
    }
}
