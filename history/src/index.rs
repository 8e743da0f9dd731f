//! The store: rows by position, and what finds them. Every call is guarded: an error or a panic of sled is a doubt, and ends
//! the index, never the process.
//!
//! ```text
//! key      'e' event                      the event was seen
//!          'r' event position             checksum, row
//!          's' event name position        checksum, places of that key in the row
//!          'h' 'o' event name position    checksum
//! event    u64, position u64: the first byte first, so that rows stand in order
//! name     bytes u8, then the key of a seat or an area, the public name of a hold, or the order
//! checksum CRC32C of key and value, u32
//! ```

use std::{
    collections::BTreeMap,
    ops::Deref,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::row::{Found, NoRow, Row, decode_places, decode_row, encode_places, encode_row};

/// Keys that are written at a time.
const KEYS_PER_WRITE: usize = 4_096;
/// What sled may keep in memory of what it has on disk.
const CACHE_BYTES: u64 = 32 << 20;

/// The index cannot be believed any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Doubt(pub(crate) String);

/// What a history is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Of {
    /// A seat or an area, by its key.
    Seat(String),
    /// A hold, by its public name.
    Hold([u8; 8]),
    /// An order.
    Order(String),
}

impl Of {
    fn tag_and_name(&self) -> (u8, &[u8]) {
        match self {
            Of::Seat(key) => (b's', key.as_bytes()),
            Of::Hold(hold_ref) => (b'h', hold_ref),
            Of::Order(order) => (b'o', order.as_bytes()),
        }
    }
}

/// What sled has open. It may panic when it goes, too.
struct Store(Option<sled::Db>);

impl Deref for Store {
    type Target = sled::Db;

    fn deref(&self) -> &sled::Db {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let db = self.0.take();
        let _ = guarded(move || {
            drop(db);
            Ok(())
        });
    }
}

/// The index of one log.
pub(crate) struct Index {
    db: Store,
    from: AtomicU64,
    to: AtomicU64,
}

/// Runs something of sled's: it panics on bytes that it does not like.
fn guarded<T>(what: impl FnOnce() -> Result<T, Doubt>) -> Result<T, Doubt> {
    catch_unwind(AssertUnwindSafe(what)).unwrap_or_else(|_| Err(Doubt("the store panicked".to_owned())))
}

impl From<sled::Error> for Doubt {
    fn from(error: sled::Error) -> Doubt {
        Doubt(error.to_string())
    }
}

impl From<NoRow> for Doubt {
    fn from(_: NoRow) -> Doubt {
        Doubt("a row is not readable".to_owned())
    }
}

fn key(tag: u8, event: u64, name: Option<&[u8]>, position: Option<u64>) -> Vec<u8> {
    let mut key = Vec::with_capacity(32);
    key.push(tag);
    key.extend(in_order(event));
    if let Some(name) = name {
        // Names of the contract are at most 128 bytes.
        let name = &name[..name.len().min(255)];
        key.push(name.len() as u8);
        key.extend_from_slice(name);
    }
    if let Some(position) = position {
        key.extend(in_order(position));
    }
    key
}

/// The first byte first.
fn in_order(number: u64) -> impl Iterator<Item = u8> {
    number.to_le_bytes().into_iter().rev()
}

fn position_of(key: &[u8]) -> Option<u64> {
    let mut bytes = *key.last_chunk::<8>()?;
    bytes.reverse();
    Some(u64::from_le_bytes(bytes))
}

fn checksum(key: &[u8], value: &[u8]) -> [u8; 4] {
    crc32c::crc32c_append(crc32c::crc32c(key), value).to_le_bytes()
}

fn checked(key: &[u8], value: &[u8]) -> Vec<u8> {
    [&checksum(key, value)[..], value].concat()
}

fn unchecked<'v>(key: &[u8], stored: &'v [u8]) -> Result<&'v [u8], Doubt> {
    match stored.split_first_chunk::<4>() {
        Some((sum, value)) if *sum == checksum(key, value) => Ok(value),
        _ => Err(Doubt("a row does not check".to_owned())),
    }
}

/// Rows on their way into the index.
#[derive(Default)]
pub(crate) struct Writer {
    batch: sled::Batch,
    keys: usize,
}

impl Index {
    /// Opens the store, which is empty or was closed with these bounds.
    pub(crate) fn open(folder: &Path, from: u64, to: u64) -> Result<Index, Doubt> {
        guarded(|| {
            // Nothing of it need be durable: what was not closed is made again.
            let config = sled::Config::new().path(folder).cache_capacity(CACHE_BYTES).flush_every_ms(None);
            Ok(Index { db: Store(Some(config.open()?)), from: from.into(), to: to.into() })
        })
    }

    /// The first position that is in it.
    pub(crate) fn from(&self) -> u64 {
        self.from.load(Ordering::Acquire)
    }

    /// The last one.
    pub(crate) fn to(&self) -> u64 {
        self.to.load(Ordering::Acquire)
    }

    /// Everything up to this position is in it.
    pub(crate) fn set_to(&self, position: u64) {
        self.to.store(position, Ordering::Release);
    }

    /// Adds a row.
    pub(crate) fn add(&self, writer: &mut Writer, event: u64, found: &Found) -> Result<(), Doubt> {
        let position = found.row.position;
        let mut put = |key: Vec<u8>, value: &[u8]| -> Result<(), Doubt> {
            let value = checked(&key, value);
            writer.batch.insert(key, value);
            writer.keys += 1;
            if writer.keys >= KEYS_PER_WRITE { self.write(writer) } else { Ok(()) }
        };
        put(key(b'e', event, None, None), &[])?;
        put(key(b'r', event, None, Some(position)), &encode_row(&found.row))?;
        let mut by_key: BTreeMap<&str, Vec<crate::row::Place>> = BTreeMap::new();
        for place in &found.places {
            by_key.entry(&place.key).or_default().push(place.clone());
        }
        for (name, places) in by_key {
            let mut value = Vec::new();
            encode_places(&places, &mut value);
            put(key(b's', event, Some(name.as_bytes()), Some(position)), &value)?;
        }
        for hold in &found.holds {
            put(key(b'h', event, Some(hold), Some(position)), &[])?;
        }
        if !found.row.order.is_empty() {
            put(key(b'o', event, Some(found.row.order.as_bytes()), Some(position)), &[])?;
        }
        Ok(())
    }

    /// Writes what waits.
    pub(crate) fn write(&self, writer: &mut Writer) -> Result<(), Doubt> {
        let Writer { batch, keys } = std::mem::take(writer);
        // The store would make something of it all the same.
        if keys == 0 {
            return Ok(());
        }
        guarded(|| Ok(self.db.apply_batch(batch)?))
    }

    /// Whether the event was ever seen.
    pub(crate) fn knows(&self, event: u64) -> Result<bool, Doubt> {
        guarded(|| Ok(self.db.contains_key(key(b'e', event, None, None))?))
    }

    /// Rows behind a position, at most so many, in order; and whether there are more.
    pub(crate) fn rows(&self, event: u64, of: &Of, after: u64, count_max: usize) -> Result<(Vec<Row>, bool), Doubt> {
        guarded(|| {
            let (tag, name) = of.tag_and_name();
            let first = key(tag, event, Some(name), Some(after.saturating_add(1)));
            let last = key(tag, event, Some(name), Some(u64::MAX));
            let mut rows = Vec::new();
            for found in self.db.range(first..=last) {
                let (found_key, found_value) = found?;
                if rows.len() == count_max {
                    return Ok((rows, true));
                }
                let value = unchecked(&found_key, &found_value)?;
                let position = position_of(&found_key).ok_or(NoRow)?;
                let row_key = key(b'r', event, None, Some(position));
                let stored = self.db.get(&row_key)?.ok_or_else(|| Doubt("a row is missing".to_owned()))?;
                let mut row = decode_row(unchecked(&row_key, &stored)?)?;
                if row.position != position {
                    return Err(Doubt("a row stands in another's place".to_owned()));
                }
                if tag == b's' && row.places_more > 0 {
                    // What was asked for is listed in any case.
                    let listed = row.places.len();
                    let mut places = decode_places(value)?;
                    row.places.retain(|place| !places.contains(place));
                    places.append(&mut row.places);
                    places.truncate(listed);
                    row.places = places;
                }
                rows.push(row);
            }
            Ok((rows, false))
        })
    }

    /// Bytes on disk.
    pub(crate) fn bytes(&self) -> Result<u64, Doubt> {
        guarded(|| Ok(self.db.size_on_disk()?))
    }

    /// Writes everything out; the store is closed when this returns.
    pub(crate) fn close(self) -> Result<(), Doubt> {
        guarded(move || {
            self.db.flush()?;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use engine::inspect::Actor;
    use inventory_core::place::PlaceState;

    use super::*;
    use crate::row::Place;

    fn found(position: u64) -> Found {
        let place = Place { is_area: false, index: 3, quantity: 1, to: PlaceState::Sold, key: "A-3".into() };
        let row = Row {
            position,
            time_ms: 5,
            event_seq: 1,
            plan_revision: 1,
            kind: "confirmed".into(),
            cause: "".into(),
            actor: Actor::Buyer,
            customer: 0,
            replaced: None,
            order: "O-1".into(),
            hold_refs: vec![[4; 8]],
            places: vec![place.clone()],
            places_more: 0,
        };
        Found { row, places: vec![place], holds: vec![[4; 8]] }
    }

    fn index(folder: &Path) -> Index {
        let index = Index::open(folder, 1, 0).expect("an empty folder opens");
        let mut writer = Writer::default();
        for position in [7, 300] {
            index.add(&mut writer, 9, &found(position)).expect("it is written");
        }
        index.write(&mut writer).expect("it is written");
        index
    }

    fn asked() -> [Of; 3] {
        [Of::Seat("A-3".into()), Of::Hold([4; 8]), Of::Order("O-1".into())]
    }

    #[test]
    fn rows_are_found_by_seat_hold_and_order_in_order() {
        let folder = tempfile::tempdir().expect("a folder");
        let index = index(folder.path());
        for of in asked() {
            let (rows, more) = index.rows(9, &of, 0, 9).expect("it reads");
            assert_eq!((rows, more), (vec![found(7).row, found(300).row], false), "{of:?}");
            assert_eq!(index.rows(9, &of, 0, 1).expect("it reads"), (vec![found(7).row], true));
            assert_eq!(index.rows(9, &of, 7, 1).expect("it reads"), (vec![found(300).row], false));
            assert_eq!(index.rows(8, &of, 0, 9).expect("it reads"), (vec![], false));
        }
        // A name is no beginning of another.
        assert_eq!(index.rows(9, &Of::Seat("A-".into()), 0, 9).expect("it reads"), (vec![], false));
    }

    #[test]
    fn a_row_that_is_missing_or_changed_or_of_another_place_is_a_doubt() {
        let row = |position| key(b'r', 9, None, Some(position));
        let damages: [&dyn Fn(&sled::Db); 5] = [
            &|db| drop(db.remove(row(7))),
            &|db| drop(db.insert(row(7), checked(&row(7), b"no row"))),
            &|db| drop(db.insert(row(7), b"".to_vec())),
            &|db| drop(db.get(row(300)).map(|stored| stored.map(|stored| db.insert(row(7), stored)))),
            &|db| drop(db.insert(row(7), checked(&row(7), &encode_row(&found(300).row)))),
        ];
        for (nth, damage) in damages.iter().enumerate() {
            let folder = tempfile::tempdir().expect("a folder");
            let index = index(folder.path());
            damage(&index.db);
            for of in asked() {
                assert!(index.rows(9, &of, 0, 9).is_err(), "damage {nth}, {of:?}");
                assert!(index.rows(9, &of, 7, 9).is_ok(), "damage {nth}, {of:?}");
            }
        }
    }

    #[test]
    fn a_panic_of_the_store_is_a_doubt() {
        let doubted = guarded(|| -> Result<(), Doubt> { panic!("planted by a test") });
        assert_eq!(doubted, Err(Doubt("the store panicked".to_owned())));
    }
}
