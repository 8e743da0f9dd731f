//! The venue plan: which places an event sells, where they are, and what they are called.
//!
//! A plan is immutable and shared by all events that use it. [`PlanSpec`] is the tree as an author
//! writes it; [`Plan`] is the same in columns, one entry a seat, built once. Seats are numbered in
//! plan order: section by section, row by row, seat by seat, so that a row is a run of adjacent
//! bits in every bitmap.
//!
//! Invariants of a built [`Plan`]:
//!
//! - P1. Seat keys are unique, as are the keys of sections, zones and areas, and the price levels.
//! - P2. A row's seats are `first..first + count`; rows follow each other without a gap, as do the
//!   rows of a section.
//! - P3. Every level, zone and section number a seat or area carries exists.
//! - P4. Seats and area capacities together are 1 to `PLACES_PER_EVENT_MAX`.
//!
//! Not here: which places are taken (`event.rs`), JSON and importers (crate `venue`), the bytes of
//! a plan file (`plan_codec.rs`), stretches by distance (`stretch.rs`), choosing seats (`best_available.rs`).

use alloc::{boxed::Box, format, string::String, vec, vec::Vec};
use core::{fmt, ops::Range};

use hashbrown::HashTable;

use crate::{
    digest::hash_bytes,
    ids::PlanDigest,
    limits::{
        AREAS_PER_PLAN_MAX, PLACES_PER_EVENT_MAX, PLAN_TEXT_BYTES_MAX, PRICE_LEVELS_PER_PLAN_MAX, ROWS_PER_PLAN_MAX,
        SECTIONS_PER_PLAN_MAX, ZONES_PER_PLAN_MAX,
    },
    stretch::{Columns, Ranking},
};

/// A point of the plan, in thousandths of a plan unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Point {
    /// To the right.
    pub x: i32,
    /// Downwards.
    pub y: i32,
}

impl Point {
    /// isqrt((dx² + dy²) · 2^20): the distance in 1/1024 of a thousandth of a plan unit. Integers,
    /// because mirrored seats must be equally far.
    #[must_use]
    pub fn distance(self, other: Self) -> u64 {
        let dx = i128::from(self.x) - i128::from(other.x);
        let dy = i128::from(self.y) - i128::from(other.y);
        let squares = (dx * dx + dy * dy) as u128;
        // Two differences under 2^32: the root is under 2^43.
        (squares << 20).isqrt() as u64
    }
}

/// For wheelchair users.
pub const ACCESSIBLE: u8 = 1;
/// For a companion, beside an accessible seat.
pub const COMPANION: u8 = 2;
/// With a restricted view.
pub const RESTRICTED_VIEW: u8 = 4;
/// All attribute bits this version knows.
pub const ATTRIBUTES: u8 = ACCESSIBLE | COMPANION | RESTRICTED_VIEW;

/// A plan as a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanSpec {
    /// Name for people.
    pub name: Box<str>,
    /// Price levels by name; a seat names one by its number here.
    pub price_levels: Vec<Box<str>>,
    /// Zones; a section or area names one by its number here.
    pub zones: Vec<Zone>,
    /// The point from which "best" is measured.
    pub focal_point: Option<Point>,
    /// Reserved sections in plan order.
    pub sections: Vec<SectionSpec>,
    /// General-admission areas in plan order.
    pub areas: Vec<Area>,
}

/// Part of a plan with a focal point of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Unique in the plan.
    pub key: Box<str>,
    /// For people.
    pub label: Box<str>,
    /// Point from which "best" is measured when this zone is asked for.
    pub focal_point: Option<Point>,
}

/// A section as a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectionSpec {
    /// Unique in the plan.
    pub key: Box<str>,
    /// For people.
    pub label: Box<str>,
    /// Number of its zone.
    pub zone: Option<u8>,
    /// Rows and tables in plan order.
    pub rows: Vec<RowSpec>,
}

/// A row or table as a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowSpec {
    /// For people; may repeat.
    pub label: Box<str>,
    /// Row or table.
    pub kind: RowKind,
    /// Seats in the order in which they are neighbours.
    pub seats: Vec<SeatSpec>,
}

/// Whether seats stand in a line or around a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RowKind {
    /// A line: a seat's neighbours are the ones before and after it.
    Row = 0,
    /// A ring: sold by seat, without the orphan rule.
    Table = 1,
}

/// A seat of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatSpec {
    /// Unique in the plan; what people type.
    pub key: Box<str>,
    /// What is printed; may repeat.
    pub label: Box<str>,
    /// Where it is.
    pub at: Point,
    /// Number of its price level.
    pub level: u8,
    /// [`ACCESSIBLE`] | [`COMPANION`] | [`RESTRICTED_VIEW`].
    pub attributes: u8,
    /// An aisle follows: the next seat of the row is no neighbour.
    pub aisle_after: bool,
}

/// General admission: a capacity, no seat numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Area {
    /// Unique among the areas of the plan.
    pub key: Box<str>,
    /// For people.
    pub label: Box<str>,
    /// Number of its zone.
    pub zone: Option<u8>,
    /// Number of its price level.
    pub level: u8,
    /// How many may be admitted, at least 1.
    pub capacity: u32,
    /// Where it is.
    pub centre: Point,
}

/// One thing wrong with a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanProblem {
    /// Where: `sections[3].rows[0].seats[7].key`.
    pub path: String,
    /// What was found and what must be.
    pub problem: String,
    /// Whether a plan with it can still be sold.
    pub severity: Severity,
}

/// Whether a problem stops a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth a look; the plan can be sold.
    Warning,
    /// The plan is refused.
    Error,
}

impl PlanProblem {
    /// A problem that stops the plan.
    #[must_use]
    pub fn error(path: String, problem: String) -> Self {
        Self { path, problem, severity: Severity::Error }
    }

    /// A problem worth a look.
    #[must_use]
    pub fn warning(path: String, problem: String) -> Self {
        Self { path, problem, severity: Severity::Warning }
    }
}

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

impl PlanSpec {
    /// Seats of the tree.
    #[must_use]
    pub fn seat_count(&self) -> usize {
        self.sections.iter().flat_map(|section| &section.rows).map(|row| row.seats.len()).sum()
    }

    /// Everything that is wrong with the plan, each by path. No entry of severity error: it builds.
    #[must_use]
    pub fn check(&self) -> Vec<PlanProblem> {
        let mut problems = Vec::new();
        self.check_sizes(&mut problems);
        let texts = |list: &mut Vec<PlanProblem>, path: &str, key: &str| {
            if key.is_empty() || key.len() > PLAN_TEXT_BYTES_MAX || key.chars().any(char::is_control) {
                list.push(PlanProblem::error(
                    path.into(),
                    format!("found {key:?}; must be 1 to {PLAN_TEXT_BYTES_MAX} bytes without control characters"),
                ));
            }
        };
        let mut seen = Seen::default();
        for (i, level) in self.price_levels.iter().enumerate() {
            let path = format!("price_levels[{i}]");
            texts(&mut problems, &path, level);
            seen.once(&mut problems, "price level", level, path);
        }
        for (i, zone) in self.zones.iter().enumerate() {
            let path = format!("zones[{i}].key");
            texts(&mut problems, &path, &zone.key);
            seen.once(&mut problems, "zone", &zone.key, path);
        }
        for (s, section) in self.sections.iter().enumerate() {
            let path = format!("sections[{s}].key");
            texts(&mut problems, &path, &section.key);
            seen.once(&mut problems, "section", &section.key, path);
            if section.zone.is_some_and(|zone| usize::from(zone) >= self.zones.len()) {
                problems.push(PlanProblem::error(format!("sections[{s}].zone"), "no such zone".into()));
            }
            for (r, row) in section.rows.iter().enumerate() {
                if row.seats.is_empty() {
                    problems.push(PlanProblem::error(
                        format!("sections[{s}].rows[{r}].seats"),
                        "a row needs a seat".into(),
                    ));
                }
                let mut labels = Seen::default();
                for (i, seat) in row.seats.iter().enumerate() {
                    let path = || format!("sections[{s}].rows[{r}].seats[{i}]");
                    if seat.key.is_empty()
                        || seat.key.len() > PLAN_TEXT_BYTES_MAX
                        || seat.key.chars().any(char::is_control)
                    {
                        texts(&mut problems, &format!("{}.key", path()), &seat.key);
                    }
                    seen.seat(&mut problems, &seat.key, path);
                    if labels.repeats(&seat.label) {
                        problems.push(PlanProblem::warning(
                            format!("{}.label", path()),
                            format!(
                                "label {:?} stands twice in row {:?} of section {:?}",
                                seat.label, row.label, section.key
                            ),
                        ));
                    }
                    if usize::from(seat.level) >= self.price_levels.len() {
                        problems.push(PlanProblem::error(
                            format!("{}.level", path()),
                            format!("no price level {}", seat.level),
                        ));
                    }
                    if seat.attributes & !ATTRIBUTES != 0 {
                        problems.push(PlanProblem::error(format!("{}.attributes", path()), "unknown attribute".into()));
                    }
                }
            }
        }
        for (i, area) in self.areas.iter().enumerate() {
            let path = format!("areas[{i}].key");
            texts(&mut problems, &path, &area.key);
            seen.once(&mut problems, "area", &area.key, path);
            if area.zone.is_some_and(|zone| usize::from(zone) >= self.zones.len()) {
                problems.push(PlanProblem::error(format!("areas[{i}].zone"), "no such zone".into()));
            }
            if usize::from(area.level) >= self.price_levels.len() {
                problems
                    .push(PlanProblem::error(format!("areas[{i}].level"), format!("no price level {}", area.level)));
            }
            if area.capacity == 0 {
                problems.push(PlanProblem::error(format!("areas[{i}].capacity"), "found 0; must be at least 1".into()));
            }
        }
        if self.focal_point.is_none() && self.zones.iter().all(|zone| zone.focal_point.is_none()) {
            problems.push(PlanProblem::warning(
                "focal_point".into(),
                "none given: \"best\" is measured from the middle of the top edge of the plan".into(),
            ));
        }
        self.check_labels(&mut problems);
        problems
    }

    /// Labels may be empty and repeat; they must fit a plan file and print on one line.
    fn check_labels(&self, problems: &mut Vec<PlanProblem>) {
        let mut check = |label: &str, path: &dyn Fn() -> String| {
            if label.len() > PLAN_TEXT_BYTES_MAX || label.chars().any(char::is_control) {
                problems.push(PlanProblem::error(
                    path(),
                    format!("found {label:?}; must be at most {PLAN_TEXT_BYTES_MAX} bytes without control characters"),
                ));
            }
        };
        check(&self.name, &|| "name".into());
        for (i, zone) in self.zones.iter().enumerate() {
            check(&zone.label, &|| format!("zones[{i}].label"));
        }
        for (s, section) in self.sections.iter().enumerate() {
            check(&section.label, &|| format!("sections[{s}].label"));
            for (r, row) in section.rows.iter().enumerate() {
                check(&row.label, &|| format!("sections[{s}].rows[{r}].label"));
                for (i, seat) in row.seats.iter().enumerate() {
                    check(&seat.label, &|| format!("sections[{s}].rows[{r}].seats[{i}].label"));
                }
            }
        }
        for (i, area) in self.areas.iter().enumerate() {
            check(&area.label, &|| format!("areas[{i}].label"));
        }
    }

    fn check_sizes(&self, problems: &mut Vec<PlanProblem>) {
        let mut most = |path: &str, found: usize, max: usize| {
            if found > max {
                problems.push(PlanProblem::error(path.into(), format!("found {found}; at most {max}")));
            }
        };
        most("price_levels", self.price_levels.len(), PRICE_LEVELS_PER_PLAN_MAX);
        most("zones", self.zones.len(), ZONES_PER_PLAN_MAX);
        most("sections", self.sections.len(), SECTIONS_PER_PLAN_MAX);
        most("sections[*].rows", self.sections.iter().map(|s| s.rows.len()).sum(), ROWS_PER_PLAN_MAX);
        most("areas", self.areas.len(), AREAS_PER_PLAN_MAX);
        let capacity = self.areas.iter().map(|area| u64::from(area.capacity)).sum::<u64>() + self.seat_count() as u64;
        most("places", usize::try_from(capacity).unwrap_or(usize::MAX), PLACES_PER_EVENT_MAX as usize);
        if capacity == 0 {
            problems.push(PlanProblem::error("places".into(), "found 0; a plan needs a seat or an area".into()));
        }
    }
}

/// What has been seen, with where, to say both places of a duplicate.
#[derive(Default)]
struct Seen<'a> {
    named: alloc::collections::BTreeMap<(&'static str, &'a str), String>,
    labels: alloc::collections::BTreeSet<&'a str>,
    seats: alloc::collections::BTreeSet<&'a str>,
}

impl<'a> Seen<'a> {
    fn once(&mut self, problems: &mut Vec<PlanProblem>, what: &'static str, key: &'a str, path: String) {
        if let Some(first) = self.named.get(&(what, key)) {
            problems.push(PlanProblem::error(path, format!("{what} {key:?} stands already at {first}")));
        } else {
            self.named.insert((what, key), path);
        }
    }

    fn seat(&mut self, problems: &mut Vec<PlanProblem>, key: &'a str, path: impl Fn() -> String) {
        if !self.seats.insert(key) {
            problems
                .push(PlanProblem::error(format!("{}.key", path()), format!("seat key {key:?} stands more than once")));
        }
    }

    fn repeats(&mut self, label: &'a str) -> bool {
        !self.labels.insert(label)
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
