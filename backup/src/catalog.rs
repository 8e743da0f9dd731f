//! The names of the objects in a store, and what a store holds by them.
//!
//! ```text
//! <instance>/plan/<digest>.usher-plan
//! <instance>/<partition>-<incarnation>/snapshot/<position>-<batch>-<time ms>.usher-snapshot
//! <instance>/<partition>-<incarnation>/log/<first batch>-<last batch>.usher-log
//! ```
//!
//! Numbers have leading zeros, so that names sort as the numbers do. A name is a hint where to look; what
//! counts is the head of the object, and a reader compares the two.

use std::collections::BTreeMap;

use engine::digest_of;
use wal::LogIdentity;

use crate::sealed::{Head, Kind};
use crate::store::{Listed, Store, StoreError};

const SNAPSHOT: &str = ".usher-snapshot";
const LOG: &str = ".usher-log";
const PLAN: &str = ".usher-plan";

/// An instance in hexadecimal.
#[must_use]
pub fn instance_text(instance: &[u8; 16]) -> String {
    instance.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn instance_of(text: &str) -> Option<[u8; 16]> {
    let mut instance = [0; 16];
    if text.len() != 32 || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    for (byte, pair) in instance.iter_mut().zip(text.as_bytes().as_chunks::<2>().0) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(instance)
}

fn future_folder(identity: &LogIdentity) -> String {
    format!("{}/{}-{:010}", instance_text(&identity.instance), identity.partition, identity.incarnation)
}

/// The name of a snapshot in a store.
#[must_use]
pub fn snapshot_name(head: &Head) -> String {
    let folder = future_folder(&head.identity);
    let position = head.next_position - 1;
    format!("{folder}/snapshot/{position:020}-{:020}-{:020}{SNAPSHOT}", head.last_batch, head.last_time_ms)
}

/// The name of a part of the log in a store.
#[must_use]
pub fn log_name(head: &Head) -> String {
    format!("{}/log/{:020}-{:020}{LOG}", future_folder(&head.identity), head.first_batch, head.last_batch)
}

/// The name of a plan in a store.
#[must_use]
pub fn plan_name(instance: &[u8; 16], encoded: &[u8]) -> String {
    format!("{}/plan/{}{PLAN}", instance_text(instance), digest_of(encoded))
}

/// The name that an object should have.
pub(crate) fn name_of(head: &Head) -> Option<String> {
    match head.kind {
        Kind::Snapshot => Some(snapshot_name(head)),
        Kind::Log => Some(log_name(head)),
        Kind::Plan => None,
    }
}

/// A snapshot, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotEntry {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// The position it is true at.
    pub position: u64,
    /// The last batch in it.
    pub batch_seq: u64,
    /// The time of that batch.
    pub time_ms: u64,
}

/// A part of the log, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Its first batch.
    pub first_batch: u64,
    /// Its last batch.
    pub last_batch: u64,
}

/// What a store holds of one incarnation: one future of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Future {
    /// By position.
    pub snapshots: Vec<SnapshotEntry>,
    /// By first batch.
    pub logs: Vec<LogEntry>,
}

/// What a store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    /// By instance, partition and incarnation.
    pub futures: BTreeMap<([u8; 16], u32, u64), Future>,
    /// Plans, by instance.
    pub plans: BTreeMap<[u8; 16], Vec<Listed>>,
    /// Objects whose names no archiver gives.
    pub strangers: Vec<Listed>,
}

impl Catalog {
    /// Lists a store.
    ///
    /// # Errors
    /// Those of the store.
    pub fn read(store: &dyn Store) -> Result<Catalog, StoreError> {
        Catalog::read_below(store, "")
    }

    /// Lists what a store holds of one incarnation.
    ///
    /// # Errors
    /// Those of the store.
    pub fn read_future(store: &dyn Store, identity: &LogIdentity) -> Result<Future, StoreError> {
        let mut catalog = Catalog::read_below(store, &format!("{}/", future_folder(identity)))?;
        let key = (identity.instance, identity.partition, identity.incarnation);
        Ok(catalog.futures.remove(&key).unwrap_or_default())
    }

    fn read_below(store: &dyn Store, prefix: &str) -> Result<Catalog, StoreError> {
        let mut catalog = Catalog::default();
        for listed in store.list(prefix)? {
            if catalog.take(&listed).is_none() {
                catalog.strangers.push(listed);
            }
        }
        for future in catalog.futures.values_mut() {
            future.snapshots.sort_unstable_by_key(|entry| entry.batch_seq);
            future.logs.sort_unstable_by_key(|entry| (entry.first_batch, entry.last_batch));
        }
        Ok(catalog)
    }

    fn take(&mut self, listed: &Listed) -> Option<()> {
        let (instance, rest) = listed.name.split_once('/')?;
        let instance = instance_of(instance)?;
        if let Some(digest) = rest.strip_prefix("plan/").and_then(|rest| rest.strip_suffix(PLAN)) {
            if digest.len() == 64 {
                self.plans.entry(instance).or_default().push(listed.clone());
                return Some(());
            }
            return None;
        }
        let (future, rest) = rest.split_once('/')?;
        let (partition, incarnation) = future.split_once('-')?;
        let key = (instance, partition.parse().ok()?, number(incarnation, 10)?);
        if let Some(rest) = rest.strip_prefix("snapshot/").and_then(|rest| rest.strip_suffix(SNAPSHOT)) {
            let mut parts = rest.split('-').map(|part| number(part, 20));
            let entry = SnapshotEntry {
                name: listed.name.clone(),
                bytes: listed.bytes,
                position: parts.next()??,
                batch_seq: parts.next()??,
                time_ms: parts.next()??,
            };
            if parts.next().is_some() {
                return None;
            }
            self.futures.entry(key).or_default().snapshots.push(entry);
            return Some(());
        }
        let (first, last) = rest.strip_prefix("log/")?.strip_suffix(LOG)?.split_once('-')?;
        let entry = LogEntry {
            name: listed.name.clone(),
            bytes: listed.bytes,
            first_batch: number(first, 20)?,
            last_batch: number(last, 20)?,
        };
        self.futures.entry(key).or_default().logs.push(entry);
        Some(())
    }
}

/// A number as names have it.
fn number(text: &str, digits: usize) -> Option<u64> {
    (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

impl Future {
    /// The objects that hold the batches after `batch_seq`, in order and without a gap, as far as there are any:
    /// of several that hold the next batch the one that reaches farthest.
    #[must_use]
    pub fn logs_after(&self, batch_seq: u64) -> Vec<&LogEntry> {
        let mut chosen = Vec::new();
        let mut next = batch_seq.checked_add(1);
        let mut best: Option<&LogEntry> = None;
        // They are in the order of their first batches: one pass, and the farthest of those that begin in time.
        let mut entries = self.logs.iter().peekable();
        while let Some(wanted) = next {
            while let Some(entry) = entries.next_if(|entry| entry.first_batch <= wanted) {
                if best.is_none_or(|best| entry.last_batch >= best.last_batch) {
                    best = Some(entry);
                }
            }
            let Some(entry) = best.take_if(|best| best.last_batch >= wanted) else { break };
            chosen.push(entry);
            next = entry.last_batch.checked_add(1);
        }
        chosen
    }

    /// The first object beyond a gap behind `batch_seq`.
    #[must_use]
    pub fn beyond(&self, batch_seq: u64) -> Option<&LogEntry> {
        self.logs.iter().find(|entry| entry.first_batch > batch_seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_given() {
        assert_eq!(instance_of(&instance_text(&[0xa7; 16])), Some([0xa7; 16]));
        assert_eq!(instance_of(&"A".repeat(32)), None);
        let mut catalog = Catalog::default();
        let mut take = |name: &str| catalog.take(&Listed { name: name.to_owned(), bytes: 1 }).is_some();
        let instance = "07".repeat(16);
        let (twelve, twenty) = (format!("{:020}", 12), format!("{:020}", 20));
        assert!(take(&format!("{instance}/0-0000000002/log/{twelve}-{twenty}.usher-log")));
        assert!(take(&format!("{instance}/0-0000000002/snapshot/{twelve}-{twenty}-{twenty}.usher-snapshot")));
        assert!(take(&format!("{instance}/plan/{}.usher-plan", "ab".repeat(32))));
        for stranger in [
            "readme".to_owned(),
            format!("{instance}/0-2/log/{twelve}-{twenty}.usher-log"),
            format!("{instance}/0-0000000002/log/12-20.usher-log"),
            format!("{instance}/0-0000000002/log/{twelve}-{twenty}.usher-log.part"),
        ] {
            assert!(!take(&stranger), "{stranger}");
        }
        let future = &catalog.futures[&([7; 16], 0, 2)];
        assert_eq!((future.logs[0].first_batch, future.logs[0].last_batch), (12, 20));
        assert_eq!((future.snapshots[0].position, future.snapshots[0].time_ms), (12, 20));
    }

    #[test]
    fn parts_of_the_log_are_chosen_without_a_gap() {
        let entry = |first_batch, last_batch| LogEntry { name: String::new(), bytes: 0, first_batch, last_batch };
        let future = Future {
            snapshots: Vec::new(),
            logs: vec![entry(1, 4), entry(1, 6), entry(5, 6), entry(7, 9), entry(11, 12)],
        };
        let chosen = |after| -> Vec<(u64, u64)> {
            future.logs_after(after).into_iter().map(|entry| (entry.first_batch, entry.last_batch)).collect()
        };
        assert_eq!(chosen(0), [(1, 6), (7, 9)]);
        assert_eq!(chosen(4), [(5, 6), (7, 9)]);
        assert_eq!(chosen(9), []);
        assert_eq!(chosen(10), [(11, 12)]);
        let endless = Future { snapshots: Vec::new(), logs: vec![entry(1, u64::MAX)] };
        assert_eq!(endless.logs_after(0).len(), 1);
        assert_eq!(future.beyond(9).map(|entry| entry.first_batch), Some(11));
    }
}
