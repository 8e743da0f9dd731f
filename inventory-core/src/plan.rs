//! The venue plan: which places an event sells, where they are, and what they are called.
//!
//! A plan is immutable and shared by all events that use it. [`Plan`] is the tree of a [`PlanSpec`] in columns, one entry
//! a seat, built once. Seats are numbered in plan order: section by section, row by row, seat by seat, so that a row is
//! a run of adjacent bits in every bitmap.
//!
//! Invariants of a built [`Plan`]:
//!
//! - P1. Seat keys are unique, as are the keys of sections, zones and areas, and the price levels.
//! - P2. A row's seats are `first..first + count`; rows follow each other without a gap, as do the
//!   rows of a section.
//! - P3. Every level, zone and section number a seat or area carries exists.
//! - P4. Seats and area capacities together are 1 to `PLACES_PER_EVENT_MAX`.
//!
//! Not here: the tree and what can be wrong with it (`plan_spec.rs`), which places are taken (`event.rs`), the bytes of a
//! plan file (`plan_codec.rs`), stretches by distance (`stretch.rs`), choosing seats (`best_available.rs`).

use alloc::{boxed::Box, string::String, vec, vec::Vec};
use core::{fmt, ops::Range};

use hashbrown::HashTable;

use crate::{
    digest::hash_bytes,
    ids::PlanDigest,
    stretch::{Columns, Ranking},
};

pub use crate::plan_spec::{
    ACCESSIBLE, ATTRIBUTES, Area, COMPANION, PlanProblem, PlanSpec, Point, RESTRICTED_VIEW, RowKind, RowSpec, SeatSpec,
    SectionSpec, Severity, Zone,
};

/// A section of a built plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Unique in the plan.
    pub key: Box<str>,
    /// For people.
    pub label: Box<str>,
    /// Number of its zone.
    pub zone: Option<u8>,
    /// Its rows.
    pub rows: Range<u32>,
    /// Its seats.
    pub seats: Range<u32>,
}

/// A row or table of a built plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// For people; may repeat.
    pub label: Box<str>,
    /// Number of its section.
    pub section: u16,
    /// Row or table.
    pub kind: RowKind,
    /// Its first seat.
    pub first: u32,
    /// How many seats.
    pub count: u32,
}

impl Row {
    /// The seats of the row.
    #[must_use]
    pub fn seats(&self) -> Range<u32> {
        self.first..self.first + self.count
    }
}

/// Adjacent seats of one section and one price level: what availability is counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its first seat.
    pub first: u32,
    /// How many seats.
    pub count: u32,
    /// Number of the section.
    pub section: u16,
    /// Number of the price level.
    pub level: u8,
}

/// A plan in columns, built once, shared by its events.
pub struct Plan {
    digest: PlanDigest,
    name: Box<str>,
    price_levels: Vec<Box<str>>,
    zones: Vec<Zone>,
    focal_point: Option<Point>,
    sections: Vec<Section>,
    rows: Vec<Row>,
    areas: Vec<Area>,
    at: Vec<Point>,
    level: Vec<u8>,
    attributes: Vec<u8>,
    aisle_after: Vec<u64>,
    keys: Texts,
    labels: Texts,
    key_index: HashTable<u32>,
    from_plan: Vec<u64>,
    /// Empty when it would equal `from_plan`.
    from_zone: Vec<u64>,
    /// Distances of the areas' centres: from the plan's focal point, and from the zone's.
    areas_from: [Vec<u64>; 2],
    /// One bit a seat: it is neither accessible nor for a companion.
    plain: Vec<u64>,
    ranking: Ranking,
    /// Empty when no section has a zone.
    ranking_by_zone: Ranking,
    blocks: Vec<Block>,
    capacity: u32,
}

impl fmt::Debug for Plan {
    /// What it is told apart by: its columns say little to a reader, and are long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("digest", &format_args!("{}", self.digest))
            .field("name", &self.name)
            .field("price_levels", &self.price_levels)
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

/// Many short texts in one allocation.
#[derive(Debug, Default)]
struct Texts {
    bytes: String,
    ends: Vec<u32>,
}

impl Texts {
    fn push(&mut self, text: &str) {
        self.bytes.push_str(text);
        // PLACES_PER_EVENT_MAX texts of PLAN_TEXT_BYTES_MAX bytes are under 2^32.
        self.ends.push(self.bytes.len() as u32);
    }

    fn get(&self, index: u32) -> &str {
        let start = if index == 0 { 0 } else { self.ends[index as usize - 1] };
        &self.bytes[start as usize..self.ends[index as usize] as usize]
    }
}

impl Plan {
    /// Build the columns of `spec`, whose encoding has the digest `digest`.
    ///
    /// # Errors
    /// Every problem of severity error that [`PlanSpec::check`] finds.
    pub fn build(spec: &PlanSpec, digest: PlanDigest) -> Result<Self, Vec<PlanProblem>> {
        let errors: Vec<_> = spec.check().into_iter().filter(|p| p.severity == Severity::Error).collect();
        if !errors.is_empty() {
            return Err(errors);
        }
        let seat_count = spec.seat_count();
        let mut plan = Self {
            digest,
            name: spec.name.clone(),
            price_levels: spec.price_levels.clone(),
            zones: spec.zones.clone(),
            focal_point: spec.focal_point,
            sections: Vec::with_capacity(spec.sections.len()),
            rows: Vec::new(),
            areas: spec.areas.clone(),
            at: Vec::with_capacity(seat_count),
            level: Vec::with_capacity(seat_count),
            attributes: Vec::with_capacity(seat_count),
            aisle_after: vec![0; seat_count.div_ceil(64)],
            keys: Texts::default(),
            labels: Texts::default(),
            key_index: HashTable::with_capacity(seat_count),
            from_plan: Vec::new(),
            from_zone: Vec::new(),
            areas_from: [Vec::new(), Vec::new()],
            plain: vec![0; seat_count.div_ceil(64)],
            ranking: Ranking::default(),
            ranking_by_zone: Ranking::default(),
            blocks: Vec::new(),
            capacity: 0,
        };
        for (number, section) in spec.sections.iter().enumerate() {
            plan.add_section(number as u16, section);
        }
        plan.measure();
        plan.rank_stretches();
        plan.index_keys();
        plan.cut_blocks();
        plan.capacity = plan.seat_count() + plan.areas.iter().map(|area| area.capacity).sum::<u32>();
        plan.rows.shrink_to_fit();
        plan.keys.bytes.shrink_to_fit();
        plan.labels.bytes.shrink_to_fit();
        Ok(plan)
    }

    fn add_section(&mut self, number: u16, section: &SectionSpec) {
        let first_row = self.rows.len() as u32;
        let first_seat = self.at.len() as u32;
        for row in &section.rows {
            let first = self.at.len() as u32;
            for seat in &row.seats {
                let index = self.at.len();
                if seat.aisle_after {
                    self.aisle_after[index / 64] |= 1 << (index % 64);
                }
                if seat.attributes & (ACCESSIBLE | COMPANION) == 0 {
                    self.plain[index / 64] |= 1 << (index % 64);
                }
                self.at.push(seat.at);
                self.level.push(seat.level);
                self.attributes.push(seat.attributes);
                self.keys.push(&seat.key);
                self.labels.push(&seat.label);
            }
            self.rows.push(Row {
                label: row.label.clone(),
                section: number,
                kind: row.kind,
                first,
                count: row.seats.len() as u32,
            });
        }
        self.sections.push(Section {
            key: section.key.clone(),
            label: section.label.clone(),
            zone: section.zone,
            rows: first_row..self.rows.len() as u32,
            seats: first_seat..self.at.len() as u32,
        });
    }

    /// Distances once: from the plan's focal point, else the own zone's, else the middle of the top
    /// edge of the bounding box; and from the own zone's focal point, else as before.
    fn measure(&mut self) {
        let top = self.middle_of_top_edge();
        let zone_focal = |zone: Option<u8>| zone.and_then(|zone| self.zones[usize::from(zone)].focal_point);
        let mut from_plan = Vec::with_capacity(self.at.len());
        let mut from_zone = Vec::with_capacity(self.at.len());
        for section in &self.sections {
            let own = zone_focal(section.zone);
            let general = self.focal_point.or(own).unwrap_or(top);
            let zonal = own.unwrap_or(general);
            for seat in section.seats.clone() {
                let at = self.at[seat as usize];
                from_plan.push(at.distance(general));
                from_zone.push(at.distance(zonal));
            }
        }
        if from_zone == from_plan {
            from_zone = Vec::new();
        }
        self.from_plan = from_plan;
        self.from_zone = from_zone;
        for area in &self.areas {
            let own = zone_focal(area.zone);
            let general = self.focal_point.or(own).unwrap_or(top);
            self.areas_from[0].push(area.centre.distance(general));
            self.areas_from[1].push(area.centre.distance(own.unwrap_or(general)));
        }
    }

    fn rank_stretches(&mut self) {
        let columns = Columns {
            sections: &self.sections,
            rows: &self.rows,
            levels: &self.level,
            attributes: &self.attributes,
            aisle_after: &self.aisle_after,
        };
        self.ranking = Ranking::new(&columns, &self.from_plan);
        if self.sections.iter().any(|section| section.zone.is_some()) {
            let from_zone = if self.from_zone.is_empty() { &self.from_plan } else { &self.from_zone };
            self.ranking_by_zone = Ranking::by_zone(&columns, from_zone, self.zones.len());
        }
    }

    fn middle_of_top_edge(&self) -> Point {
        let points = || self.at.iter().copied().chain(self.areas.iter().map(|area| area.centre));
        let left = points().map(|p| p.x).min().unwrap_or(0);
        let right = points().map(|p| p.x).max().unwrap_or(0);
        let y = points().map(|p| p.y).min().unwrap_or(0);
        // The middle of two i32 is an i32.
        Point { x: i64::midpoint(i64::from(left), i64::from(right)) as i32, y }
    }

    fn index_keys(&mut self) {
        let keys = &self.keys;
        for seat in 0..self.at.len() as u32 {
            self.key_index.insert_unique(hash_bytes(keys.get(seat).as_bytes()), seat, |&other| {
                hash_bytes(keys.get(other).as_bytes())
            });
        }
    }

    fn cut_blocks(&mut self) {
        for (number, section) in self.sections.iter().enumerate() {
            for seat in section.seats.clone() {
                let level = self.level[seat as usize];
                match self.blocks.last_mut() {
                    Some(last) if last.section == number as u16 && last.level == level => last.count += 1,
                    _ => self.blocks.push(Block { first: seat, count: 1, section: number as u16, level }),
                }
            }
        }
    }

    /// BLAKE3 of the encoded plan.
    #[must_use]
    pub fn digest(&self) -> PlanDigest {
        self.digest
    }

    /// Name for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Price levels by number.
    #[must_use]
    pub fn price_levels(&self) -> &[Box<str>] {
        &self.price_levels
    }

    /// Zones by number.
    #[must_use]
    pub fn zones(&self) -> &[Zone] {
        &self.zones
    }

    /// The plan's own focal point.
    #[must_use]
    pub fn focal_point(&self) -> Option<Point> {
        self.focal_point
    }

    /// Sections by number, in plan order.
    #[must_use]
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// Rows and tables in plan order.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// General-admission areas by number.
    #[must_use]
    pub fn areas(&self) -> &[Area] {
        &self.areas
    }

    /// Runs of one section and level, in plan order.
    #[must_use]
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Seats of the plan.
    #[must_use]
    pub fn seat_count(&self) -> u32 {
        self.at.len() as u32
    }

    /// Seats and admissions of the plan.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Key of a seat. The index must be under `seat_count`, here and below.
    #[must_use]
    pub fn seat_key(&self, seat: u32) -> &str {
        self.keys.get(seat)
    }

    /// Label of a seat.
    #[must_use]
    pub fn seat_label(&self, seat: u32) -> &str {
        self.labels.get(seat)
    }

    /// Position of a seat.
    #[must_use]
    pub fn seat_at(&self, seat: u32) -> Point {
        self.at[seat as usize]
    }

    /// Number of a seat's price level.
    #[must_use]
    pub fn seat_level(&self, seat: u32) -> u8 {
        self.level[seat as usize]
    }

    /// Attribute bits of a seat.
    #[must_use]
    pub fn seat_attributes(&self, seat: u32) -> u8 {
        self.attributes[seat as usize]
    }

    /// Whether an aisle follows the seat.
    #[must_use]
    pub fn aisle_after(&self, seat: u32) -> bool {
        self.aisle_after[seat as usize / 64] >> (seat % 64) & 1 == 1
    }

    /// One bit a seat by index: an aisle follows it.
    pub(crate) fn aisle_words(&self) -> &[u64] {
        &self.aisle_after
    }

    /// Number of the row a seat stands in.
    #[must_use]
    pub fn row_of(&self, seat: u32) -> u32 {
        (self.rows.partition_point(|row| row.first <= seat) - 1) as u32
    }

    /// The seat with this key.
    #[must_use]
    pub fn find_seat(&self, key: &str) -> Option<u32> {
        self.key_index.find(hash_bytes(key.as_bytes()), |&seat| self.keys.get(seat) == key).copied()
    }

    /// The area with this key.
    #[must_use]
    pub fn find_area(&self, key: &str) -> Option<u16> {
        self.areas.iter().position(|area| &*area.key == key).map(|at| at as u16)
    }

    /// The section with this key.
    #[must_use]
    pub fn find_section(&self, key: &str) -> Option<u16> {
        self.sections.iter().position(|section| &*section.key == key).map(|at| at as u16)
    }

    /// The zone with this key.
    #[must_use]
    pub fn find_zone(&self, key: &str) -> Option<u8> {
        self.zones.iter().position(|zone| &*zone.key == key).map(|at| at as u8)
    }

    /// The price level with this name.
    #[must_use]
    pub fn find_level(&self, name: &str) -> Option<u8> {
        self.price_levels.iter().position(|level| &**level == name).map(|at| at as u8)
    }

    /// Distance of every seat from where "best" is measured: from its own zone's focal point when
    /// `zonal`, else from the plan's (with the fallbacks of the contract in both cases).
    #[must_use]
    pub fn distances(&self, zonal: bool) -> &[u64] {
        if zonal && !self.from_zone.is_empty() { &self.from_zone } else { &self.from_plan }
    }

    /// The same for the centres of areas.
    #[must_use]
    pub fn area_distances(&self, zonal: bool) -> &[u64] {
        &self.areas_from[usize::from(zonal)]
    }

    /// All stretches by their nearest seat; when `zonal` (as in [`Self::distances`]) zone by zone, and none when no
    /// section has a zone.
    pub(crate) fn ranking(&self, zonal: bool) -> &Ranking {
        if zonal { &self.ranking_by_zone } else { &self.ranking }
    }

    /// One bit a seat by index: it is neither accessible nor for a companion.
    pub(crate) fn plain_words(&self) -> &[u64] {
        &self.plain
    }

    /// Bytes allocated by this plan, for reports.
    #[must_use]
    pub fn allocated_bytes(&self) -> usize {
        let texts = |t: &Texts| t.bytes.capacity() + t.ends.capacity() * 4;
        self.at.capacity() * size_of::<Point>()
            + self.level.capacity()
            + self.attributes.capacity()
            + (self.aisle_after.capacity() + self.plain.capacity()) * 8
            + texts(&self.keys)
            + texts(&self.labels)
            + self.key_index.allocation_size()
            + (self.from_plan.capacity() + self.from_zone.capacity()) * 8
            + self.ranking.allocated_bytes()
            + self.ranking_by_zone.allocated_bytes()
            + self.blocks.capacity() * size_of::<Block>()
            + self.rows.iter().map(|row| size_of::<Row>() + row.label.len()).sum::<usize>()
            + self.sections.capacity() * size_of::<Section>()
    }
}
