//! Our own plan format, documented with an example in `docs/PLANS.md`.
//!
//! A document is a tree of groups; sections and areas hang anywhere in it and take zone, price level
//! and offset from what is around them. A row lists its seats or generates them, along a line or an
//! arc. Plan order is a group's own sections first, then its groups, as written.
//!
//! Invariants:
//!
//! - U1. A field this file does not know is an error: a slip of the pen never changes a plan.
//! - U2. However short a document, it generates no more seats than one event may have.
//!
//! Not here: writing the format (`export.rs`).

use std::collections::BTreeMap;

use inventory_core::{
    limits::PLACES_PER_EVENT_MAX,
    plan::{ACCESSIBLE, Area, COMPANION, RESTRICTED_VIEW, RowKind, RowSpec, SeatSpec, Zone},
};
use serde_json::Value;

use crate::{
    decimal::{Decimal, Position, on_circle},
    draft::{Draft, Names, RowSource},
    walk::{Object, Path, Report, found, point},
};

/// The value of the field `usher_plan`.
pub(crate) const VERSION: i64 = 1;

const NAMES: Names = Names {
    section_key: "key",
    section_label: "label",
    row_label: "label",
    seat_key: "key",
    seat_label: "label",
    area_key: "key",
    area_label: "label",
    focal_point: "focal_point",
};

const ROOT: &[&str] = &[
    "usher_plan",
    "name",
    "price_levels",
    "focal_point",
    "zones",
    "zone",
    "level",
    "offset",
    "sections",
    "areas",
    "groups",
];
const GROUP: &[&str] = &["label", "zone", "level", "offset", "sections", "areas", "groups"];
const ZONE: &[&str] = &["key", "label", "focal_point"];
const SECTION: &[&str] = &["key", "label", "zone", "level", "offset", "rows"];
const AREA: &[&str] = &["key", "label", "zone", "level", "capacity", "centre"];
const ROW_LISTED: &[&str] = &["label", "kind", "level", "seats"];
const ROW_LINE: &[&str] = &[
    "label",
    "kind",
    "level",
    "count",
    "start",
    "step",
    "first_number",
    "number_step",
    "aisles_after",
    "accessible",
    "companion",
    "restricted_view",
];
const ROW_ARC: &[&str] = &[
    "label",
    "kind",
    "level",
    "count",
    "centre",
    "radius",
    "from",
    "turn",
    "first_number",
    "number_step",
    "aisles_after",
    "accessible",
    "companion",
    "restricted_view",
];
const SEAT: &[&str] = &["key", "label", "at", "level", "accessible", "companion", "restricted_view", "aisle_after"];

/// The largest number a seat may carry: nine digits.
const NUMBER_MAX: i64 = 999_999_999;
/// Where a table's first seat stands when nothing is said: at the top.
const TOP: Decimal = Decimal::whole(-90);

/// The key of a seat that names none.
pub(crate) fn default_key(section: &str, row: &str, seat: &str) -> String {
    format!("{section}-{row}-{seat}")
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    None,
    Known(u8),
    /// Unknown, and that has been told.
    Told,
}

impl Level {
    fn number(self) -> u8 {
        if let Self::Known(number) = self { number } else { 0 }
    }
}

/// What an object takes from those around it.
#[derive(Clone, Copy)]
struct Around {
    zone: Option<u8>,
    level: Level,
    offset: Position,
}

struct Reader<'v> {
    draft: Draft,
    levels: BTreeMap<&'v str, u8>,
    zones: BTreeMap<&'v str, u8>,
    seats_left: i64,
}

pub(crate) fn read(document: &Value) -> Draft {
    let mut reader = Reader {
        draft: Draft::new(&NAMES),
        levels: BTreeMap::new(),
        zones: BTreeMap::new(),
        seats_left: i64::from(PLACES_PER_EVENT_MAX),
    };
    if let Some(root) = Object::read(document, &Path::Root, &mut reader.draft.report) {
        reader.read_root(root, document);
    }
    reader.draft
}

impl<'v> Reader<'v> {
    fn read_root(&mut self, root: Object<'_>, document: &'v Value) {
        let report = &mut self.draft.report;
        root.only(ROOT, report);
        if root.get("usher_plan").is_none() {
            root.missing("usher_plan", "the version of the format, 1", report);
        }
        root.whole("usher_plan", VERSION..=VERSION, report);
        self.draft.spec.name = required_text(root, "name", report).into();
        let focal_path = root.path.field("focal_point");
        self.draft.spec.focal_point =
            root.pair("focal_point", report).map(|position| point(position, &focal_path, report));
        self.read_levels(root, document);
        self.read_zones(root, document);
        let around = Around { zone: None, level: Level::None, offset: Position::default() };
        self.read_group(root, around);
    }

    fn read_levels(&mut self, root: Object<'_>, document: &'v Value) {
        root.list("price_levels", &mut self.draft.report);
        let list_path = root.path.field("price_levels");
        for (index, value) in document.get("price_levels").and_then(Value::as_array).into_iter().flatten().enumerate() {
            let path = list_path.index(index);
            match value {
                Value::String(name) => {
                    let number = self.draft.add_level((&**name).into(), path.to_string());
                    self.levels.entry(name).or_insert(number);
                }
                other => self.draft.report.error(&path, format!("found {}; must be a text", found(other))),
            }
        }
    }

    fn read_zones(&mut self, root: Object<'_>, document: &'v Value) {
        root.list("zones", &mut self.draft.report);
        let list_path = root.path.field("zones");
        for (index, value) in document.get("zones").and_then(Value::as_array).into_iter().flatten().enumerate() {
            let path = list_path.index(index);
            let report = &mut self.draft.report;
            let Some(zone) = Object::read(value, &path, report) else { continue };
            zone.only(ZONE, report);
            required_text(zone, "key", report);
            let key = value.get("key").and_then(Value::as_str).unwrap_or_default();
            let label = zone.text("label", report).unwrap_or(key);
            let focal_path = path.field("focal_point");
            let focal_point = zone.pair("focal_point", report).map(|position| point(position, &focal_path, report));
            let entry = Zone { key: key.into(), label: label.into(), focal_point };
            let number = self.draft.add_zone(entry, path.to_string());
            self.zones.entry(key).or_insert(number);
        }
    }

    fn read_group(&mut self, group: Object<'_>, around: Around) {
        let around = self.around(group, around);
        let path = group.path.field("sections");
        for (index, value) in group.list("sections", &mut self.draft.report).iter().enumerate() {
            let path = path.index(index);
            if let Some(section) = Object::read(value, &path, &mut self.draft.report) {
                self.read_section(section, around);
            }
        }
        let path = group.path.field("areas");
        for (index, value) in group.list("areas", &mut self.draft.report).iter().enumerate() {
            let path = path.index(index);
            if let Some(area) = Object::read(value, &path, &mut self.draft.report) {
                self.read_area(area, around);
            }
        }
        let path = group.path.field("groups");
        for (index, value) in group.list("groups", &mut self.draft.report).iter().enumerate() {
            let path = path.index(index);
            // As deep as the parser of the document goes, which has a bound.
            if let Some(inner) = Object::read(value, &path, &mut self.draft.report) {
                inner.only(GROUP, &mut self.draft.report);
                inner.text("label", &mut self.draft.report);
                self.read_group(inner, around);
            }
        }
    }

    /// What the inside of `object` takes from it.
    fn around(&mut self, object: Object<'_>, around: Around) -> Around {
        let zone = self.zone_of(object, around.zone);
        let level = self.level_of(object, around.level);
        let offset = object.pair("offset", &mut self.draft.report).unwrap_or_default();
        Around { zone, level, offset: around.offset + offset }
    }

    fn zone_of(&mut self, object: Object<'_>, around: Option<u8>) -> Option<u8> {
        let report = &mut self.draft.report;
        let Some(key) = object.text("zone", report) else { return around };
        let zone = self.zones.get(key).copied();
        if zone.is_none() {
            report.error(&object.path.field("zone"), format!("found {key:?}; no such zone"));
        }
        zone
    }

    fn level_of(&mut self, object: Object<'_>, around: Level) -> Level {
        if object.get("level").is_none() {
            return around;
        }
        let report = &mut self.draft.report;
        let Some(name) = object.text("level", report) else { return Level::Told };
        self.levels.get(name).map_or_else(
            || {
                report.error(&object.path.field("level"), format!("found {name:?}; no such price level"));
                Level::Told
            },
            |number| Level::Known(*number),
        )
    }

    fn require_level(&mut self, object: Object<'_>, level: Level) -> u8 {
        if level == Level::None {
            object.missing("level", "the name of a price level, here or around", &mut self.draft.report);
        }
        level.number()
    }

    fn read_area(&mut self, area: Object<'_>, around: Around) {
        let report = &mut self.draft.report;
        area.only(AREA, report);
        let key = required_text(area, "key", report);
        let label = area.text("label", report).unwrap_or(key);
        if area.get("capacity").is_none() {
            area.missing("capacity", "a whole number of at least 1", report);
        }
        let capacity = area.whole("capacity", 1..=i64::from(PLACES_PER_EVENT_MAX), report).unwrap_or(1);
        let centre = around.offset + required_pair(area, "centre", report);
        let centre = point(centre, &area.path.field("centre"), report);
        let zone = self.zone_of(area, around.zone);
        let level = self.level_of(area, around.level);
        let level = self.require_level(area, level);
        // Within u32 by the range above.
        let capacity = capacity as u32;
        let spec = Area { key: key.into(), label: label.into(), zone, level, capacity, centre };
        self.draft.add_area(spec, area.path.to_string());
    }

    fn read_section(&mut self, section: Object<'_>, around: Around) {
        let report = &mut self.draft.report;
        section.only(SECTION, report);
        let key = required_text(section, "key", report);
        let label = section.text("label", report).unwrap_or(key);
        let around = self.around(section, around);
        let list_path = section.path.field("rows");
        let mut rows = Vec::new();
        for (index, value) in section.list("rows", &mut self.draft.report).iter().enumerate() {
            let path = list_path.index(index);
            if let Some(row) = Object::read(value, &path, &mut self.draft.report) {
                rows.push(self.read_row(row, key, around));
            }
        }
        self.draft.add_section(key.into(), label.into(), around.zone, rows, section.path.to_string());
    }

    fn read_row(&mut self, row: Object<'_>, section: &str, around: Around) -> (RowSpec, RowSource) {
        let report = &mut self.draft.report;
        let label = required_text(row, "label", report);
        let kind = match row.text("kind", report) {
            None | Some("row") => RowKind::Row,
            Some("table") => RowKind::Table,
            Some(other) => {
                report.error(&row.path.field("kind"), format!("found {other:?}; must be \"row\" or \"table\""));
                RowKind::Row
            }
        };
        let level = self.level_of(row, around.level);
        let listed = row.get("seats").is_some() || row.get("count").is_none();
        let seats = if listed {
            self.list_seats(row, (section, label), Around { level, ..around })
        } else {
            let level = self.require_level(row, level);
            self.generate_seats(row, kind, (section, label), level, around.offset)
        };
        (RowSpec { label: label.into(), kind, seats }, RowSource { path: row.path.to_string(), listed })
    }

    fn list_seats(&mut self, row: Object<'_>, (section, label): (&str, &str), around: Around) -> Vec<SeatSpec> {
        let report = &mut self.draft.report;
        row.only(ROW_LISTED, report);
        if row.get("seats").is_none() {
            row.missing("seats", "a list of seats, unless there is a count", report);
        }
        let list_path = row.path.field("seats");
        let values = row.list("seats", report);
        let mut seats = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            let path = list_path.index(index);
            seats.push(self.read_seat(value, &path, (section, label), around));
        }
        seats
    }

    /// A value that is no seat gives a seat all the same, so that later ones keep their numbers.
    fn read_seat(&mut self, value: &Value, path: &Path<'_>, (section, row): (&str, &str), around: Around) -> SeatSpec {
        let report = &mut self.draft.report;
        let Some(seat) = Object::read(value, path, report) else {
            let nothing = Box::<str>::default();
            let (key, label) = (nothing.clone(), nothing);
            return SeatSpec { key, label, at: Default::default(), level: 0, attributes: 0, aisle_after: false };
        };
        seat.only(SEAT, report);
        let label = required_text(seat, "label", report);
        let key = seat.text("key", report).map_or_else(|| default_key(section, row, label), str::to_owned);
        let at = point(around.offset + required_pair(seat, "at", report), &path.field("at"), report);
        let mut attributes = 0;
        for (field, bit) in ATTRIBUTE_FIELDS {
            if seat.flag(field, report) {
                attributes |= bit;
            }
        }
        let aisle_after = seat.flag("aisle_after", report);
        let level = self.level_of(seat, around.level);
        let level = self.require_level(seat, level);
        SeatSpec { key: key.into(), label: label.into(), at, level, attributes, aisle_after }
    }

    fn generate_seats(
        &mut self,
        row: Object<'_>,
        kind: RowKind,
        (section, label): (&str, &str),
        level: u8,
        offset: Position,
    ) -> Vec<SeatSpec> {
        let report = &mut self.draft.report;
        let Some(count) = row.whole("count", 1..=i64::from(PLACES_PER_EVENT_MAX), report) else { return Vec::new() };
        if count > self.seats_left {
            let told = format!("found {count}; at most {PLACES_PER_EVENT_MAX} seats in a plan");
            report.error(&row.path.field("count"), told);
            return Vec::new();
        }
        self.seats_left -= count;
        let geometry = Geometry::read(row, kind, count, report);
        let numbers = Numbers::read(row, count, report);
        let (Some(geometry), Some(numbers)) = (geometry, numbers) else { return Vec::new() };
        let mut seats = Vec::with_capacity(count as usize);
        for index in 0..count {
            let number = numbers.at(index).to_string();
            let Some(at) = thousandths(offset + geometry.at(index)) else {
                let told = format!("seat {number} is too far away; at most 2147483.647 plan units from the origin");
                report.error(row.path, told);
                return Vec::new();
            };
            let key = default_key(section, label, &number).into();
            seats.push(SeatSpec { key, label: number.into(), at, level, attributes: 0, aisle_after: false });
        }
        numbers.each(row, "aisles_after", report, |index| seats[index].aisle_after = true);
        for (field, bit) in ATTRIBUTE_FIELDS {
            numbers.each(row, field, report, |index| seats[index].attributes |= bit);
        }
        seats
    }
}

const ATTRIBUTE_FIELDS: [(&str, u8); 3] =
    [("accessible", ACCESSIBLE), ("companion", COMPANION), ("restricted_view", RESTRICTED_VIEW)];

fn thousandths(position: Position) -> Option<inventory_core::plan::Point> {
    Some(inventory_core::plan::Point { x: position.x.thousandths()?, y: position.y.thousandths()? })
}

fn required_text<'v>(object: Object<'v>, name: &str, report: &mut Report) -> &'v str {
    if object.get(name).is_none() {
        object.missing(name, "a text", report);
    }
    object.text(name, report).unwrap_or_default()
}

fn required_pair(object: Object<'_>, name: &str, report: &mut Report) -> Position {
    if object.get(name).is_none() {
        object.missing(name, "two numbers [x, y]", report);
    }
    object.pair(name, report).unwrap_or_default()
}

/// Where the seats of a generated row stand.
enum Geometry {
    Line { start: Position, step: Position },
    Arc { centre: Position, radius: Decimal, from: Decimal, turn: Decimal },
}

impl Geometry {
    fn read(row: Object<'_>, kind: RowKind, count: i64, report: &mut Report) -> Option<Self> {
        if kind == RowKind::Row && row.get("centre").is_none() {
            row.only(ROW_LINE, report);
            let problems = report.0.len();
            let start = required_pair(row, "start", report);
            let step = required_pair(row, "step", report);
            return (report.0.len() == problems).then_some(Self::Line { start, step });
        }
        row.only(ROW_ARC, report);
        let problems = report.0.len();
        let centre = required_pair(row, "centre", report);
        let mut required = |name, default: Option<Decimal>| {
            if row.get(name).is_none() && default.is_none() {
                row.missing(name, "a number", report);
            }
            row.decimal(name, report).or(default).unwrap_or_default()
        };
        let radius = required("radius", None);
        let whole_ring = (kind == RowKind::Table).then(|| Decimal::turn_over(count as u32));
        let from = required("from", whole_ring.map(|_| TOP));
        let turn = required("turn", whole_ring);
        if radius.is_negative() {
            report.error(&row.path.field("radius"), "must not be negative");
        }
        (report.0.len() == problems).then_some(Self::Arc { centre, radius, from, turn })
    }

    fn at(&self, index: i64) -> Position {
        match self {
            Self::Line { start, step } => *start + *step * index,
            Self::Arc { centre, radius, from, turn } => *centre + on_circle(*radius, *from + *turn * index),
        }
    }
}

/// What the seats of a generated row are called.
struct Numbers {
    first: i64,
    step: i64,
    count: i64,
}

impl Numbers {
    fn read(row: Object<'_>, count: i64, report: &mut Report) -> Option<Self> {
        let problems = report.0.len();
        let first = row.whole("first_number", 0..=NUMBER_MAX, report).unwrap_or(1);
        let step = row.whole("number_step", -1_000..=1_000, report).unwrap_or(1);
        let numbers = Self { first, step, count };
        if report.0.len() != problems {
            return None;
        }
        if step == 0 {
            report.error(&row.path.field("number_step"), "found 0; two seats would have one number");
            return None;
        }
        let last = numbers.at(count - 1);
        if !(0..=NUMBER_MAX).contains(&last) {
            let told = format!("the last seat's number would be {last}; must be 0 to {NUMBER_MAX}");
            report.error(&row.path.field("first_number"), told);
            return None;
        }
        Some(numbers)
    }

    fn at(&self, index: i64) -> i64 {
        self.first + index * self.step
    }

    /// The seats that the list in field `name` names by number.
    fn each(&self, row: Object<'_>, name: &str, report: &mut Report, mut mark: impl FnMut(usize)) {
        let list_path = row.path.field(name);
        for (entry, value) in row.list(name, report).iter().enumerate() {
            // The step is not zero, and 128 bits hold any difference.
            let distance = value.as_i64().map(|number| i128::from(number) - i128::from(self.first));
            let index = distance
                .filter(|distance| distance % i128::from(self.step) == 0)
                .map(|distance| distance / i128::from(self.step))
                .filter(|index| (0..i128::from(self.count)).contains(index));
            match index {
                Some(index) => mark(index as usize),
                None => {
                    let last = self.at(self.count - 1);
                    let told = format!(
                        "found {}; must be a seat number of the row, {} to {last} by {}",
                        found(value),
                        self.first,
                        self.step
                    );
                    report.error(&list_path.index(entry), told);
                }
            }
        }
    }
}
