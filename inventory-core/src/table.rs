//! A hash table for the hot path: open addressing with linear probing, so that a look is one line of memory for most
//! keys, found or not, and where it begins is known without reading anything. That is what looking ahead needs
//! (`ahead.rs`); a table with its tags apart needs two lines, the second known only from the first.
//!
//! It grows part by part, by linear hashing (Litwin 1980): when there are [`CELLS_PER_PART`] more cells than before, one
//! part is split in two, in turn. A table that doubles as a whole stops everybody for the time that takes.
//!
//! Invariants:
//!
//! - T1. At most five of eight cells of a part are taken, so that a look ends soon: at that load 2 cells on average when
//!   the key is there, 4 when it is not (Knuth, The Art of Computer Programming, volume 3, section 6.4).
//! - T2. Between the home of a cell and the cell there is no free one: what is removed is closed up behind.
//! - T3. Nothing here shows in which order cells stand.
//! - T4. With `n` parts, `2^k <= n < 2^(k+1)`, a cell is in the part that `k + 1` bits of its hash name, or `k` when there
//!   is no such part.
//! - T5. With good hashes an insert moves no more than four times [`CELLS_PER_PART`].
//!
//! Hashes come from the caller, who seeds them where others choose the keys. The low 16 bits say where in a part, the next
//! 16 which part.

use alloc::{boxed::Box, vec, vec::Vec};

/// What stands in a cell.
pub(crate) trait Cell: Copy {
    /// What stands in a free cell.
    const FREE: Self;

    /// Whether this is [`Cell::FREE`].
    fn is_free(&self) -> bool;
}

const CELLS_MIN: usize = 8;
/// Taken cells of a part, on average, before another part is split. Those not split yet have up to twice as many: just
/// less than five of eight of 4,096, and most of an unlucky part as well.
const CELLS_PER_PART: usize = 1_200;
const PART_SHIFT: u32 = 16;
const PARTS_MAX: usize = 1 << 16;

/// The table.
#[derive(Clone, Debug)]
pub(crate) struct Table<C> {
    /// Part 0: small tables have no other.
    first: Part<C>,
    /// Part 1 and on.
    more: Vec<Part<C>>,
    taken: usize,
    /// With so many taken, a part is split.
    split_at: usize,
}

/// The cells of some hashes.
#[derive(Clone, Debug)]
struct Part<C> {
    /// None, or a power of two.
    cells: Box<[C]>,
    taken: usize,
}

/// Where a cell stands, until the next change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    part: u32,
    cell: u32,
}

impl<C: Cell> Table<C> {
    /// Without cells and without an allocation.
    pub(crate) fn new() -> Self {
        Self { first: Part::new(), more: Vec::new(), taken: 0, split_at: CELLS_PER_PART }
    }

    fn parts(&self) -> usize {
        1 + self.more.len()
    }

    /// The part of a hash.
    fn part_of(&self, hash: u64) -> usize {
        let last = self.more.len();
        // All bits that a part's number may have.
        let mask = usize::MAX >> (last | 1).leading_zeros();
        let part = (hash >> PART_SHIFT) as usize & mask;
        if part <= last { part } else { part & mask >> 1 }
    }

    fn part(&self, part: usize) -> &Part<C> {
        if part == 0 { &self.first } else { &self.more[part - 1] }
    }

    fn part_mut(&mut self, part: usize) -> &mut Part<C> {
        if part == 0 { &mut self.first } else { &mut self.more[part - 1] }
    }

    /// Asks for what [`Self::prefetch`] will read.
    pub(crate) fn prefetch_part(&self, hash: u64) {
        prefetch::line_of(self.part(self.part_of(hash)));
    }

    /// Asks for the line where a look for this hash begins.
    pub(crate) fn prefetch(&self, hash: u64) {
        let part = self.part(self.part_of(hash));
        if !part.cells.is_empty() {
            prefetch::line_of(&part.cells[part.home(hash)]);
        }
    }

    /// Where the cell stands that `is` it.
    pub(crate) fn find(&self, hash: u64, is: impl FnMut(&C) -> bool) -> Option<Spot> {
        let part = self.part_of(hash);
        let cell = self.part(part).find(hash, is)?;
        Some(Spot { part: part as u32, cell: cell as u32 })
    }

    /// The cell there.
    pub(crate) fn at(&self, at: Spot) -> &C {
        &self.part(at.part as usize).cells[at.cell as usize]
    }

    /// The cell there. Its hash must stay what it is.
    pub(crate) fn at_mut(&mut self, at: Spot) -> &mut C {
        &mut self.part_mut(at.part as usize).cells[at.cell as usize]
    }

    /// Takes a cell, unless one is there that `is` it. Whether it was taken.
    pub(crate) fn insert(
        &mut self,
        hash: u64,
        cell: C,
        is: impl FnMut(&C) -> bool,
        hash_of: impl Fn(&C) -> u64,
    ) -> bool {
        if self.taken >= self.split_at {
            self.split(&hash_of);
        }
        let part = self.part_of(hash);
        let part = self.part_mut(part);
        part.reserve(1, hash_of);
        let is_new = part.put_unless(hash, cell, is);
        self.taken += usize::from(is_new);
        is_new
    }

    /// Splits the part whose turn it is: what the next bit of its hash sends on goes to a new part.
    fn split(&mut self, hash_of: impl Fn(&C) -> u64) {
        let parts = self.parts();
        let bit = parts.ilog2();
        let part = self.part_mut(parts - (1 << bit));
        let all = core::mem::replace(part, Part::new());
        let mut new = Part::new();
        part.reserve(all.taken / 2, &hash_of);
        new.reserve(all.taken / 2, &hash_of);
        for cell in all.cells.iter().filter(|cell| !cell.is_free()) {
            let hash = hash_of(cell);
            let goes_on = hash >> PART_SHIFT >> bit & 1 == 1;
            let to = if goes_on { &mut new } else { &mut *part };
            // The halves are not quite equal.
            to.reserve(1, &hash_of);
            to.put(hash, *cell);
        }
        self.more.push(new);
        self.split_at = if self.parts() < PARTS_MAX { self.parts() * CELLS_PER_PART } else { usize::MAX };
    }

    /// Frees the cell there.
    pub(crate) fn remove(&mut self, at: Spot, hash_of: impl Fn(&C) -> u64) {
        self.part_mut(at.part as usize).remove(at.cell as usize, hash_of);
        self.taken -= 1;
    }

    /// Makes room for so many more, so that it does not grow step by step.
    pub(crate) fn reserve(&mut self, more: usize, hash_of: impl Fn(&C) -> u64) {
        let wanted = self.taken + more;
        while wanted > self.split_at {
            self.split(&hash_of);
        }
        let bit = self.parts().ilog2();
        let split = self.parts() - (1 << bit);
        for at in 0..self.parts() {
            // A part that is split has half the share of one that is not; an eighth more is for the unevenness.
            let share = wanted >> bit >> u32::from(at < split || at >= 1 << bit);
            let part = self.part_mut(at);
            part.reserve((share + share / 8 + 1).saturating_sub(part.taken), &hash_of);
        }
    }

    /// How many are taken.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.taken
    }

    /// Bytes allocated.
    pub(crate) fn allocated_bytes(&self) -> usize {
        let cells = self.first.cells.len() + self.more.iter().map(|part| part.cells.len()).sum::<usize>();
        cells * size_of::<C>() + self.more.capacity() * size_of::<Part<C>>()
    }
}

impl<C: Cell> Part<C> {
    fn new() -> Self {
        Self { cells: Box::new([]), taken: 0 }
    }

    fn home(&self, hash: u64) -> usize {
        // The low bits of a good hash; cells are a power of two.
        hash as usize & (self.cells.len() - 1)
    }

    fn next(&self, at: usize) -> usize {
        (at + 1) & (self.cells.len() - 1)
    }

    fn find(&self, hash: u64, mut is: impl FnMut(&C) -> bool) -> Option<usize> {
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

    /// There must be room.
    fn put(&mut self, hash: u64, cell: C) {
        self.put_unless(hash, cell, |_| false);
    }

    /// The same, unless one is there that `is` it. Whether it was put.
    fn put_unless(&mut self, hash: u64, cell: C, mut is: impl FnMut(&C) -> bool) -> bool {
        let mut at = self.home(hash);
        while !self.cells[at].is_free() {
            if is(&self.cells[at]) {
                return false;
            }
            at = self.next(at);
        }
        self.cells[at] = cell;
        self.taken += 1;
        true
    }

    /// Frees the cell there, and closes up: a cell behind moves into the gap unless its home lies behind the gap.
    fn remove(&mut self, at: usize, hash_of: impl Fn(&C) -> u64) {
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
    fn reserve(&mut self, more: usize, hash_of: impl Fn(&C) -> u64) {
        let wanted = self.taken + more;
        if wanted * 8 <= self.cells.len() * 5 {
            return;
        }
        let cells = (wanted * 8).div_ceil(5).next_power_of_two().max(CELLS_MIN);
        let old = core::mem::replace(&mut self.cells, vec![C::FREE; cells].into());
        self.taken = 0;
        for cell in old.iter().filter(|cell| !cell.is_free()) {
            self.put(hash_of(cell), *cell);
        }
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
                        assert!(table.insert(hash_of(&key), key, |cell| *cell == key, hash_of));
                        assert!(!table.insert(hash_of(&key), key, |cell| *cell == key, hash_of));
                        set.insert(key);
                    }
                }
                assert_eq!(table.len(), set.len());
                assert!(table.first.taken * 8 <= table.first.cells.len() * 5);
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
        (0..100).for_each(|key| assert!(table.insert(u64::from(key), key, |_| false, |key| u64::from(*key))));
        assert_eq!(table.allocated_bytes(), bytes, "what was reserved is enough");
    }

    #[test]
    fn growing_moves_few_cells_at_a_time() {
        let moved = core::cell::Cell::new(0);
        let hash_of = |key: &u32| {
            moved.set(moved.get() + 1);
            crate::digest::mix(u64::from(*key))
        };
        let mut table = Table::new();
        let count = 200_000;
        let mut most = 0;
        for key in 0..count {
            moved.set(0);
            table.insert(crate::digest::mix(u64::from(key)), key, |_| false, hash_of);
            most = most.max(moved.get());
        }
        assert!(table.parts() > 100, "{} parts", table.parts());
        assert!(most > CELLS_PER_PART && most <= 4 * CELLS_PER_PART, "{most} cells moved by one insert");
        let is_there = |key: u32| table.find(crate::digest::mix(u64::from(key)), |cell| *cell == key).is_some();
        assert!((0..count).all(is_there) && !(count..2 * count).any(is_there));
        assert!(table.allocated_bytes() < count as usize * 28 * size_of::<u32>() / 8, "{}", table.allocated_bytes());
    }

    #[test]
    fn room_for_many_is_made_at_once() {
        let hash_of = |key: &u32| crate::digest::mix(u64::from(*key));
        let mut table = Table::new();
        (0..3_000).for_each(|key| assert!(table.insert(hash_of(&key), key, |_| false, hash_of)));
        table.reserve(97_000, hash_of);
        let bytes = table.allocated_bytes();
        (3_000..100_000).for_each(|key| assert!(table.insert(hash_of(&key), key, |_| false, hash_of)));
        assert_eq!(table.allocated_bytes(), bytes, "what was reserved is enough");
        assert!((0..100_000).all(|key| table.find(hash_of(&key), |cell| *cell == key).is_some()));
    }
}
