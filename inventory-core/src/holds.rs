//! The memory of holds: a slab of entries that never move, and an index from id to entry.
//!
//! A hold has one entry from its first change until it is forgotten: live, ended with places sold
//! (kept while they are), or ended without (a tombstone, kept until its time). The entry is also
//! the memory of the command that made it, so there is no table of past requests.
//!
//! Invariants:
//!
//! - H1. An id of an event has at most one entry; every entry in use is in the index.
//! - H2. A live entry is in the deadline wheel, a tombstone in the forget wheel, others in none.
//! - H3. Blocks are 512 entries (52 KiB) and are never moved, and the index grows part by part, so that no growth
//!   stops a turn for long.
//!
//! Not here: one entry (`hold.rs`), when a hold ends (`expiry.rs`).

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use smallvec::SmallVec;

use crate::{
    digest::{Hasher, mix},
    hold::Entry,
    ids::{EventNumber, HoldId, OrderRef},
    table::{Cell, Spot, Table},
};

/// No entry.
pub(crate) const NIL: u32 = u32::MAX;

const BLOCK_ENTRIES: usize = 512;

/// More than a processor has loads under way is no use.
const TOUCHED_MAX: u32 = 16;

/// All holds of a slot.
#[derive(Debug)]
pub(crate) struct Holds {
    seed: u64,
    blocks: Vec<Vec<Entry>>,
    free: u32,
    in_use: u32,
    index: Table<Indexed>,
    /// From an order's text and a number to an entry, and back from its second entry on: the entries of an order are
    /// numbered from 0, so that one order of very many entries is no long row of cells with the same hash.
    /// Nothing until somebody asks for an order: most sales never look at one, and it costs a confirm a wait for memory.
    orders: Option<Table<OfOrder>>,
    /// The entry that was found last. A command looks for its hold three times: when it is judged, when its change is
    /// applied, and for its answer. No part of the state; an atomic only so that slots may be shared.
    found: AtomicU32,
}

/// An entry of the index. It keeps its hash, so that a growing table need not read the entries of all it has.
#[derive(Clone, Copy, Debug)]
struct Indexed {
    hash: u32,
    at: u32,
}

impl Indexed {
    fn hash(&self) -> u64 {
        u64::from(self.hash)
    }
}

impl Cell for Indexed {
    const FREE: Indexed = Indexed { hash: 0, at: NIL };

    fn is_free(&self) -> bool {
        self.at == NIL
    }
}

/// A cell of the index of orders.
#[derive(Clone, Copy, Debug)]
struct OfOrder {
    hash: u32,
    at: u32,
    /// Of the entry in its order; with [`BACK`] where the entry leads to its number.
    number: u32,
}

/// In a number: the cell is found by its entry.
const BACK: u32 = 1 << 31;

impl OfOrder {
    fn hash(&self) -> u64 {
        u64::from(self.hash)
    }
}

impl Cell for OfOrder {
    const FREE: OfOrder = OfOrder { hash: 0, at: NIL, number: 0 };

    fn is_free(&self) -> bool {
        self.at == NIL
    }
}

fn hash_of_number(base: u64, number: u32) -> u32 {
    (mix(base ^ u64::from(number)) >> 32) as u32
}

fn hash_of_entry(base: u64, at: u32) -> u32 {
    (mix(base ^ u64::from(at) ^ 1 << 63) >> 32) as u32
}

impl Holds {
    /// None yet. `seed` is a secret of the instance: callers choose the ids.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            blocks: Vec::new(),
            free: NIL,
            in_use: 0,
            index: Table::new(),
            orders: None,
            found: AtomicU32::new(NIL),
        }
    }

    fn hash_of(seed: u64, event: EventNumber, hold_id: HoldId) -> u32 {
        (mix(mix(seed ^ hold_id.0 as u64) ^ (hold_id.0 >> 64) as u64 ^ u64::from(event.0) << 32) >> 32) as u32
    }

    /// The entry of an id, forgotten or not.
    pub(crate) fn find(&self, event: EventNumber, hold_id: HoldId) -> Option<u32> {
        let last = self.found.load(Ordering::Relaxed);
        if last != NIL && self[last].is_of(event, hold_id) {
            return Some(last);
        }
        let hash = Self::hash_of(self.seed, event, hold_id);
        let is_it = |indexed: &Indexed| indexed.hash == hash && self[indexed.at].is_of(event, hold_id);
        let at = self.index.at(self.index.find(u64::from(hash), is_it)?).at;
        self.found.store(at, Ordering::Relaxed);
        Some(at)
    }

    /// Asks for the part of the index that will be looked into for this hold. Its hash, for [`Holds::prefetch_cell`].
    pub(crate) fn prefetch_table(&self, event: EventNumber, hold_id: HoldId) -> u32 {
        let hash = Self::hash_of(self.seed, event, hold_id);
        self.index.prefetch_part(u64::from(hash));
        hash
    }

    /// Asks for where a look for this hash begins.
    pub(crate) fn prefetch_cell(&self, hash: u32) {
        self.index.prefetch(u64::from(hash));
    }

    /// The entry that a look for this hash will most likely find, and asks for it. The entry may be of another hold.
    pub(crate) fn prefetch_found(&self, hash: u32) -> Option<u32> {
        let found = self.index.find(u64::from(hash), |indexed| indexed.hash == hash)?;
        let at = self.index.at(found).at;
        prefetch::lines_of(&self[at]);
        Some(at)
    }

    /// Asks for what a change of entry `at` will write in its neighbours of the wheel.
    pub(crate) fn prefetch_neighbours(&self, at: u32) {
        let entry = &self[at];
        for neighbour in [entry.next, entry.previous] {
            if neighbour < FREE {
                prefetch::line_of(&self[neighbour].next);
            }
        }
    }

    /// Asks for where the next new entry will stand.
    pub(crate) fn prefetch_free(&self) {
        if self.free != NIL {
            prefetch::lines_of(&self[self.free]);
        } else if let Some(block) = self.blocks.last() {
            let end = block.as_ptr().wrapping_add(block.len());
            prefetch::line_at(end);
            prefetch::line_at(end.wrapping_byte_add(64));
        }
    }

    /// Asks for where some entries of a list stand in the index. How many, at least one.
    pub(crate) fn touch_list(&self, first: u32) -> u32 {
        let mut at = first;
        let mut count = 0;
        while at != NIL && count < TOUCHED_MAX {
            let entry = &self[at];
            let hash = Self::hash_of(self.seed, entry.event, entry.hold_id());
            self.prefetch_cell(hash);
            at = entry.next;
            count += 1;
        }
        count
    }

    /// Take a new entry in. Its id must have none.
    pub(crate) fn insert(&mut self, entry: Entry) -> u32 {
        let (event, hold_id) = (entry.event, entry.hold_id());
        let hash = Self::hash_of(self.seed, event, hold_id);
        let at = if self.free == NIL {
            if self.blocks.last().is_none_or(|block| block.len() == BLOCK_ENTRIES) {
                self.blocks.push(Vec::with_capacity(BLOCK_ENTRIES));
            }
            let blocks = self.blocks.len() - 1;
            let block = &mut self.blocks[blocks];
            block.push(entry);
            (blocks * BLOCK_ENTRIES + block.len() - 1) as u32
        } else {
            let at = self.free;
            self.free = self[at].next;
            self[at] = entry;
            at
        };
        self.in_use += 1;
        let blocks = &self.blocks;
        let other = |other: u32| &blocks[other as usize / BLOCK_ENTRIES][other as usize % BLOCK_ENTRIES];
        let is_it = |indexed: &Indexed| indexed.hash == hash && other(indexed.at).is_of(event, hold_id);
        let is_new = self.index.insert(u64::from(hash), Indexed { hash, at }, is_it, Indexed::hash);
        assert!(is_new, "hold id used twice: {hold_id:?}");
        self.found.store(at, Ordering::Relaxed);
        at
    }

    fn hash_of_order(seed: u64, event: EventNumber, order: &OrderRef) -> u64 {
        let mut hasher = Hasher::new(24);
        hasher.word(seed ^ u64::from(event.0));
        hasher.bytes(order.as_str().as_bytes());
        hasher.finish()
    }

    /// Where the cell of an order stands that has this number.
    fn find_of_order(&self, base: u64, number: u32, event: EventNumber, order: &OrderRef) -> Option<Spot> {
        let hash = hash_of_number(base, number);
        let is_it =
            |cell: &OfOrder| (cell.hash, cell.number) == (hash, number) && self.has_order(cell.at, event, order);
        self.orders.as_ref()?.find(u64::from(hash), is_it)
    }

    fn of_spot(&self, spot: Spot) -> OfOrder {
        *self.orders.as_ref().expect("a spot is of a table").at(spot)
    }

    fn has_order(&self, at: u32, event: EventNumber, order: &OrderRef) -> bool {
        let entry = &self[at];
        entry.event == event && entry.orders().any(|known| known == order)
    }

    /// How many entries an order has.
    fn count_of_order(&self, base: u64, event: EventNumber, order: &OrderRef) -> u32 {
        let has = |number: u32| self.find_of_order(base, number, event, order).is_some();
        if !has(0) {
            return 0;
        }
        let (mut low, mut high) = (0, 1);
        while has(high) {
            (low, high) = (high, high * 2);
        }
        while low + 1 < high {
            let middle = low.midpoint(high);
            if has(middle) { low = middle } else { high = middle }
        }
        high
    }

    /// Whether the orders of all entries are indexed.
    pub(crate) fn has_order_index(&self) -> bool {
        self.orders.is_some()
    }

    /// Index the orders of all entries, if they are not.
    pub(crate) fn index_orders(&mut self) {
        if self.orders.is_some() {
            return;
        }
        self.orders = Some(Table::new());
        let all = self.iter().flat_map(|(at, entry)| entry.orders().map(move |order| (at, order.clone())));
        let all: Vec<(u32, OrderRef)> = all.collect();
        all.iter().for_each(|(at, order)| self.add_order(*at, order));
    }

    /// Remember that entry `at` has this order, which it has not been remembered for.
    pub(crate) fn add_order(&mut self, at: u32, order: &OrderRef) {
        if self.orders.is_none() {
            return;
        }
        let event = self[at].event;
        let base = Self::hash_of_order(self.seed, event, order);
        let number = self.count_of_order(base, event, order);
        self.put_order(base, at, number);
    }

    fn put_order(&mut self, base: u64, at: u32, number: u32) {
        let Some(orders) = &mut self.orders else { return };
        let hash = hash_of_number(base, number);
        orders.insert(u64::from(hash), OfOrder { hash, at, number }, |_| false, OfOrder::hash);
        if number > 0 {
            let hash = hash_of_entry(base, at);
            let back = OfOrder { hash, at, number: number | BACK };
            orders.insert(u64::from(hash), back, |_| false, OfOrder::hash);
        }
    }

    /// Forget which number an entry has, and which entry has a number.
    fn take_order(&mut self, base: u64, at: u32, number: u32, event: EventNumber, order: &OrderRef) {
        let found =
            self.find_of_order(base, number, event, order).expect("the entries of an order are numbered densely");
        self.remove_spot(found);
        if number > 0 {
            let back = self.find_back(base, at).expect("an entry that is not the first is found by its place");
            self.remove_spot(back);
        }
    }

    fn remove_spot(&mut self, spot: Spot) {
        self.orders.as_mut().expect("a spot is of a table").remove(spot, OfOrder::hash);
    }

    fn find_back(&self, base: u64, at: u32) -> Option<Spot> {
        let hash = hash_of_entry(base, at);
        let is_it = |cell: &OfOrder| cell.hash == hash && cell.at == at && cell.number & BACK != 0;
        self.orders.as_ref()?.find(u64::from(hash), is_it)
    }

    fn remove_order(&mut self, at: u32, order: &OrderRef) {
        if self.orders.is_none() {
            return;
        }
        let event = self[at].event;
        let base = Self::hash_of_order(self.seed, event, order);
        let last =
            self.count_of_order(base, event, order).checked_sub(1).expect("every order of an entry is remembered");
        let entry_of = |holds: &Self, number| {
            let found = holds.find_of_order(base, number, event, order);
            holds.of_spot(found.expect("the entries of an order are numbered densely")).at
        };
        let number = match self.find_back(base, at) {
            Some(back) => self.of_spot(back).number & !BACK,
            None => 0,
        };
        assert_eq!(entry_of(self, number), at, "every order of an entry is remembered");
        let moved = entry_of(self, last);
        self.take_order(base, at, number, event, order);
        if number != last {
            self.take_order(base, moved, last, event, order);
            self.put_order(base, moved, number);
        }
    }

    /// Entries of an order, in no order that means anything. Without the index all entries are looked at.
    pub(crate) fn of_order(&self, event: EventNumber, order: &OrderRef) -> Vec<u32> {
        if self.orders.is_none() {
            return self.iter().map(|(at, _)| at).filter(|&at| self.has_order(at, event, order)).collect();
        }
        let base = Self::hash_of_order(self.seed, event, order);
        let spots = (0..).map_while(|number| self.find_of_order(base, number, event, order));
        spots.map(|spot| self.of_spot(spot).at).collect()
    }

    /// Asks for where the first entry of an order would stand.
    pub(crate) fn prefetch_order(&self, event: EventNumber, order: &OrderRef) {
        if let Some(orders) = &self.orders {
            let base = Self::hash_of_order(self.seed, event, order);
            orders.prefetch(u64::from(hash_of_number(base, 0)));
        }
    }

    /// One past the last entry there ever was.
    pub(crate) fn end(&self) -> u32 {
        self.blocks.last().map_or(0, |last| ((self.blocks.len() - 1) * BLOCK_ENTRIES + last.len()) as u32)
    }

    /// The entry, if it is in use.
    pub(crate) fn in_use(&self, at: u32) -> Option<&Entry> {
        Some(&self[at]).filter(|entry| entry.previous != FREE)
    }

    /// Make room in the index for so many more, so that it does not grow step by step.
    pub(crate) fn reserve(&mut self, more: usize) {
        self.index.reserve(more, Indexed::hash);
    }

    /// Forget an entry, which must be in no wheel.
    pub(crate) fn remove(&mut self, at: u32) {
        let (event, hold_id) = (self[at].event, self[at].hold_id());
        let hash = Self::hash_of(self.seed, event, hold_id);
        let found = self.index.find(u64::from(hash), |indexed| indexed.at == at);
        self.index.remove(found.expect("every entry in use is indexed"), Indexed::hash);
        self.found.store(NIL, Ordering::Relaxed);
        let orders: SmallVec<[OrderRef; 1]> = self[at].orders().cloned().collect();
        orders.iter().for_each(|order| self.remove_order(at, order));
        let free = self.free;
        let entry = &mut self[at];
        assert_eq!(entry.bucket, crate::expiry::NO_BUCKET, "a forgotten hold must be in no wheel");
        entry.empty();
        entry.next = free;
        entry.previous = FREE;
        self.free = at;
        self.in_use -= 1;
    }

    /// Entries in use.
    pub(crate) fn len(&self) -> u32 {
        self.in_use
    }

    /// Entries in use, in no order that means anything.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Entry)> {
        let all = self.blocks.iter().flatten().enumerate();
        all.map(|(at, entry)| (at as u32, entry)).filter(|(_, entry)| entry.previous != FREE)
    }

    /// Bytes allocated for entries and index, without orders and long place lists.
    pub(crate) fn allocated_bytes(&self) -> usize {
        self.blocks.len() * BLOCK_ENTRIES * size_of::<Entry>()
            + self.index.allocated_bytes()
            + self.orders.as_ref().map_or(0, Table::allocated_bytes)
    }
}

/// In `previous` of an entry that is not in use.
const FREE: u32 = u32::MAX - 1;

impl core::ops::Index<u32> for Holds {
    type Output = Entry;

    fn index(&self, at: u32) -> &Entry {
        &self.blocks[at as usize / BLOCK_ENTRIES][at as usize % BLOCK_ENTRIES]
    }
}

impl core::ops::IndexMut<u32> for Holds {
    fn index_mut(&mut self, at: u32) -> &mut Entry {
        &mut self.blocks[at as usize / BLOCK_ENTRIES][at as usize % BLOCK_ENTRIES]
    }
}
