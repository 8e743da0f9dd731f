//! A hash table for the hot path: open addressing with linear probing, so that a look is one line of memory for most
//! keys, found or not, and where it begins is known without reading anything. That is what looking ahead needs
//! (`ahead.rs`); a table with its tags apart needs two lines, the second known only from the first.
//!
//! Invariants:
//!
//! - T1. At most five of eight cells are taken, so that a look ends soon: at that load 2 cells on average when the key is
//!   there, 4 when it is not (Knuth, The Art of Computer Programming, volume 3, section 6.4).
//! - T2. Between the home of a cell and the cell there is no free one: what is removed is closed up behind.
//! - T3. Nothing here shows in which order cells stand.
//!
//! Hashes come from the caller, who seeds them where others choose the keys.

use alloc::{boxed::Box, vec};

/// What stands in a cell.
pub(crate) trait Cell: Copy {
    /// What stands in a free cell.
    const FREE: Self;

    /// Whether this is [`Cell::FREE`].
    fn is_free(&self) -> bool;
}

const CELLS_MIN: usize = 8;

/// The table.
#[derive(Clone, Debug)]
pub(crate) struct Table<C> {
    /// None, or a power of two.
    cells: Box<[C]>,
    taken: usize,
}

impl<C: Cell> Table<C> {
    /// Without cells and without an allocation.
    pub(crate) fn new() -> Self {
        Self { cells: Box::new([]), taken: 0 }
    }

    fn home(&self, hash: u64) -> usize {
        // The low bits of a good hash; cells are a power of two.
        hash as usize & (self.cells.len() - 1)
    }

    fn next(&self, at: usize) -> usize {
        (at + 1) & (self.cells.len() - 1)
    }

    /// Asks for the line where a look for this hash begins.
    pub(crate) fn prefetch(&self, hash: u64) {
        if !self.cells.is_empty() {
            prefetch::line_of(&self.cells[self.home(hash)]);
        }
    }

    /// Where the cell stands that `is` it.
    pub(crate) fn find(&self, hash: u64, mut is: impl FnMut(&C) -> bool) -> Option<usize> {
        if self.cells.is_empty() {
            return None;
        }
        let mut at = self.home(hash);
        loop {
            let cell = &self.cells[at];
            if cell.is_free() {
                return None;
            }
            if is(cell) {
                return Some(at);
            }
            at = self.next(at);
        }
    }

    /// The cell there.
    pub(crate) fn at(&self, at: usize) -> &C {
        &self.cells[at]
    }

    /// The cell there. Its hash must stay what it is.
    pub(crate) fn at_mut(&mut self, at: usize) -> &mut C {
        &mut self.cells[at]
    }

    /// Takes a cell that is not there yet.
    pub(crate) fn insert(&mut self, hash: u64, cell: C, hash_of: impl Fn(&C) -> u64) {
        self.reserve(1, hash_of);
        self.put(hash, cell);
        self.taken += 1;
    }

    fn put(&mut self, hash: u64, cell: C) {
        let mut at = self.home(hash);
        while !self.cells[at].is_free() {
            at = self.next(at);
        }
        self.cells[at] = cell;
    }

    /// Frees the cell there, and closes up: a cell behind moves into the gap unless its home lies behind the gap.
    pub(crate) fn remove(&mut self, at: usize, hash_of: impl Fn(&C) -> u64) {
        let mut gap = at;
        let mut next = self.next(gap);
        while !self.cells[next].is_free() {
            let home = self.home(hash_of(&self.cells[next]));
            let mask = self.cells.len() - 1;
            // How far from its home it stands, and would stand in the gap's place.
            if next.wrapping_sub(home) & mask >= next.wrapping_sub(gap) & mask {
                self.cells[gap] = self.cells[next];
                gap = next;
            }
            next = self.next(next);
        }
        self.cells[gap] = C::FREE;
        self.taken -= 1;
    }

    /// Makes room for so many more.
    pub(crate) fn reserve(&mut self, more: usize, hash_of: impl Fn(&C) -> u64) {
        let wanted = self.taken + more;
        if wanted * 8 <= self.cells.len() * 5 {
            return;
        }
        let cells = (wanted * 8).div_ceil(5).next_power_of_two().max(CELLS_MIN);
        let old = core::mem::replace(&mut self.cells, vec![C::FREE; cells].into());
        for cell in old.iter().filter(|cell| !cell.is_free()) {
            self.put(hash_of(cell), *cell);
        }
    }

    /// How many are taken.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.taken
    }

    /// Bytes allocated.
    pub(crate) fn allocated_bytes(&self) -> usize {
        self.cells.len() * size_of::<C>()
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use super::*;

    impl Cell for u32 {
        const FREE: u32 = u32::MAX;

        fn is_free(&self) -> bool {
            *self == u32::MAX
        }
    }

    /// Few hashes, so that cells stand in each other's way.
    fn crowded(key: &u32) -> u64 {
        u64::from(key / 7 % 11)
    }

    #[test]
    fn it_is_a_set_whatever_the_hashes() {
        for hash_of in [crowded as fn(&u32) -> u64, |key| crate::digest::mix(u64::from(*key)), |_| 3] {
            let mut table = Table::new();
            let mut set = BTreeSet::new();
            let mut bits: u64 = 5;
            for _ in 0..20_000 {
                bits = crate::digest::mix(bits);
                let key = bits as u32 % 200;
                let found = table.find(hash_of(&key), |cell| *cell == key);
                assert_eq!(found.is_some(), set.contains(&key));
                match found {
                    Some(at) if bits >> 40 & 1 == 0 => {
                        table.remove(at, hash_of);
                        set.remove(&key);
                    }
                    Some(at) => assert_eq!(*table.at(at), key),
                    None => {
                        table.insert(hash_of(&key), key, hash_of);
                        set.insert(key);
                    }
                }
                assert_eq!(table.len(), set.len());
                assert!(table.len() * 8 <= table.cells.len() * 5);
            }
            assert!(set.iter().all(|key| table.find(hash_of(key), |cell| cell == key).is_some()));
        }
    }

    #[test]
    fn it_allocates_when_it_has_something() {
        let mut table = Table::<u32>::new();
        table.prefetch(7);
        assert_eq!((table.find(7, |_| true), table.allocated_bytes()), (None, 0));
        table.reserve(100, |key| u64::from(*key));
        let bytes = table.allocated_bytes();
        (0..100).for_each(|key| table.insert(u64::from(key), key, |key| u64::from(*key)));
        assert_eq!(table.allocated_bytes(), bytes, "what was reserved is enough");
    }
}
