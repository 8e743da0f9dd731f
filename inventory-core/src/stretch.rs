//! Stretches: seats of a row without an aisle between them, each the neighbour of the next. A row without aisles is
//! one, and adjacent seats lie in one. A table is one too: a ring, whose last seat is the neighbour of its first. They are
//! ranked by distance once, for all searches in all events of a plan.
//!
//! Invariants of a [`Ranking`]:
//!
//! - R1. Every seat lies in one stretch.
//! - R2. Stretches stand nearest first, ties in plan order; with `by_zone` those of a zone stand together.
//!
//! Not here: which seats of a stretch are open (`openings.rs`), distances (`plan.rs`).

use alloc::{vec, vec::Vec};
use core::ops::Range;

use crate::plan::{ACCESSIBLE, COMPANION, Row, RowKind, Section};

/// Distances fall from seat to seat until the nearest one, and do not fall after it.
pub(crate) const VALLEY: u8 = 1;
/// Has an accessible seat.
pub(crate) const WITH_ACCESSIBLE: u8 = 2;
/// Has an accessible or a companion seat.
pub(crate) const WITH_SPECIAL: u8 = 4;
/// The seats of a table.
pub(crate) const RING: u8 = 8;

/// A stretch with the distance of its nearest seat: no pick of `k` seats in it sums to less than `k * nearest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// Smallest distance of its seats.
    pub(crate) nearest: u64,
    /// Its first seat.
    pub(crate) first: u32,
    /// How many seats.
    pub(crate) count: u32,
    /// Its nearest seat, the first of several, counted from `first`.
    pub(crate) nearest_at: u32,
    /// Number of the section.
    pub(crate) section: u16,
    /// Bit `level % 8` of every price level in it.
    pub(crate) levels: u8,
    /// [`VALLEY`] | [`WITH_ACCESSIBLE`] | [`WITH_SPECIAL`] | [`RING`].
    pub(crate) flags: u8,
}

impl Stretch {
    /// The seats of the stretch.
    pub(crate) fn seats(&self) -> Range<u32> {
        self.first..self.first + self.count
    }

    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// The columns of a plan that stretches are cut from.
pub(crate) struct Columns<'a> {
    pub(crate) sections: &'a [Section],
    pub(crate) rows: &'a [Row],
    pub(crate) levels: &'a [u8],
    pub(crate) attributes: &'a [u8],
    pub(crate) aisle_after: &'a [u64],
}

/// All stretches of a plan, nearest first. A *rank* is the place of one in this order.
#[derive(Debug, Default)]
pub(crate) struct Ranking {
    stretches: Vec<Stretch>,
    /// By seat.
    rank_of: Vec<u32>,
    /// Where the ranks of each zone end; empty when zones do not matter.
    zone_ends: Vec<u32>,
    has_tables: bool,
}

impl Ranking {
    /// Rank the stretches of `columns` by `distances`.
    pub(crate) fn new(columns: &Columns<'_>, distances: &[u64]) -> Self {
        Self::sorted(columns, distances, |_| 0)
    }

    /// The same, but first those of zone 0, then those of zone 1, and so on; last those of no zone.
    pub(crate) fn by_zone(columns: &Columns<'_>, distances: &[u64], zone_count: usize) -> Self {
        let zone_of = |section: u16| columns.sections[usize::from(section)].zone.map_or(zone_count, usize::from);
        let mut ranking = Self::sorted(columns, distances, zone_of);
        let end = |zone| ranking.stretches.partition_point(|stretch| zone_of(stretch.section) <= zone) as u32;
        ranking.zone_ends = (0..zone_count).map(end).collect();
        ranking
    }

    fn sorted(columns: &Columns<'_>, distances: &[u64], group: impl Fn(u16) -> usize) -> Self {
        let mut stretches = Vec::new();
        for row in columns.rows {
            let of_row = stretches_of(row, columns.aisle_after);
            stretches.extend(of_row.map(|seats| stretch(columns, distances, row, seats)));
        }
        stretches.sort_unstable_by_key(|stretch| (group(stretch.section), stretch.nearest, stretch.first));
        stretches.shrink_to_fit();
        let mut rank_of = vec![0; distances.len()];
        for (stretch, rank) in stretches.iter().zip(0..) {
            rank_of[stretch.first as usize..][..stretch.count as usize].fill(rank);
        }
        let has_tables = stretches.iter().any(|stretch| stretch.has(RING));
        Self { stretches, rank_of, zone_ends: Vec::new(), has_tables }
    }

    pub(crate) fn stretches(&self) -> &[Stretch] {
        &self.stretches
    }

    /// Rank of the stretch of a seat.
    pub(crate) fn rank_of(&self, seat: u32) -> u32 {
        self.rank_of[seat as usize]
    }

    /// Whether any is a table.
    pub(crate) fn has_tables(&self) -> bool {
        self.has_tables
    }

    /// All ranks, or those of a zone.
    pub(crate) fn ranks(&self, zone: Option<u8>) -> Range<u32> {
        let Some(zone) = zone.map(usize::from) else { return 0..self.stretches.len() as u32 };
        let Some(&end) = self.zone_ends.get(zone) else { return 0..0 };
        zone.checked_sub(1).map_or(0, |before| self.zone_ends[before])..end
    }

    pub(crate) fn allocated_bytes(&self) -> usize {
        self.stretches.capacity() * size_of::<Stretch>() + (self.rank_of.capacity() + self.zone_ends.capacity()) * 4
    }
}

/// A row cut at its aisles, or a whole table.
fn stretches_of<'a>(row: &Row, aisle_after: &'a [u64]) -> impl Iterator<Item = Range<u32>> + use<'a> {
    let mut rest = row.seats();
    let is_row = row.kind == RowKind::Row;
    core::iter::from_fn(move || {
        let ends = |seat: u32| is_row && aisle_after[seat as usize / 64] >> (seat % 64) & 1 == 1;
        let start = rest.start;
        let end = rest.clone().find(|&seat| ends(seat)).map_or(rest.end, |seat| seat + 1);
        rest.start = end;
        (start < end).then_some(start..end)
    })
}

fn stretch(columns: &Columns<'_>, distances: &[u64], row: &Row, seats: Range<u32>) -> Stretch {
    let range = seats.start as usize..seats.end as usize;
    let (distances, attributes) = (&distances[range.clone()], &columns.attributes[range.clone()]);
    // A stretch has a seat. Of equally near ones the first: `min_by_key` keeps it.
    let nearest_at = (0..distances.len()).min_by_key(|&at| distances[at]).unwrap_or(0);
    let is_valley = distances[..=nearest_at].is_sorted_by(|a, b| a > b) && distances[nearest_at..].is_sorted();
    let any = |attribute| attributes.iter().any(|attributes| attributes & attribute != 0);
    let flag = |flag: u8, is_set: bool| if is_set { flag } else { 0 };
    Stretch {
        nearest: distances[nearest_at],
        first: seats.start,
        count: seats.end - seats.start,
        nearest_at: nearest_at as u32,
        section: row.section,
        levels: columns.levels[range].iter().fold(0, |bits, level| bits | 1 << (level % 8)),
        flags: flag(VALLEY, is_valley)
            | flag(WITH_ACCESSIBLE, any(ACCESSIBLE))
            | flag(WITH_SPECIAL, any(ACCESSIBLE | COMPANION))
            | flag(RING, row.kind == RowKind::Table),
    }
}
