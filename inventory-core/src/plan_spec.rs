//! The venue plan as an author writes it: a tree of sections, rows and seats, and everything that can be wrong with it.
//!
//! Not here: the same in columns (`plan.rs`), JSON and importers (crate `venue`), the bytes of a plan file
//! (`plan_codec.rs`).

use alloc::{boxed::Box, format, string::String, vec::Vec};

use crate::limits::{
    AREAS_PER_PLAN_MAX, PLACES_PER_EVENT_MAX, PLAN_TEXT_BYTES_MAX, PRICE_LEVELS_PER_PLAN_MAX, ROWS_PER_PLAN_MAX,
    SECTIONS_PER_PLAN_MAX, ZONES_PER_PLAN_MAX,
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
