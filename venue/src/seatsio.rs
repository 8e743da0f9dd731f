//! Charts of seats.io: sections, rows, tables and general-admission areas, on one floor or several.
//!
//! A seat's key is what seats.io calls its label: `Section-Row-Seat`, without the section where
//! there is none. Everything sold has one name space, as there. Rows keep the order of the file, and
//! so do the seats of a row; a chart says nothing of aisles.
//!
//! Not imported, with a warning: booths, booking a table or an area as a whole, variable occupancy.
//! Not looked at: what is only drawn (shapes, texts, icons, images), and unknown fields.

use std::collections::{BTreeMap, BTreeSet};

use inventory_core::plan::{ACCESSIBLE, Area, COMPANION, RESTRICTED_VIEW, RowKind, RowSpec, SeatSpec, Zone};
use serde_json::Value;

use crate::{
    decimal::Position,
    draft::{Draft, Names, RowSource},
    walk::{Object, Path, found, point},
};

const NAMES: Names = Names {
    section_key: "label",
    section_label: "label",
    row_label: "label",
    seat_key: "label",
    seat_label: "label",
    area_key: "label",
    area_label: "label",
    focal_point: "subChart.focalPoint",
};

/// Key of the section of rows that stand in none.
const NO_SECTION: &str = "main";

/// What the designer writes where a label is still to be given.
const UNLABELLED: &str = "?";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Category {
    /// Neither here nor around.
    None,
    Known {
        level: u8,
        accessible: bool,
    },
    /// Unknown, and that has been told.
    Told,
}

impl Category {
    fn level(self) -> u8 {
        if let Self::Known { level, .. } = self { level } else { 0 }
    }

    fn is_accessible(self) -> bool {
        matches!(self, Self::Known { accessible: true, .. })
    }
}

struct Chart {
    draft: Draft,
    categories: BTreeMap<String, Category>,
    zones: BTreeMap<String, u8>,
    /// Everything sold, with where it stands.
    labels: BTreeMap<String, String>,
    section_keys: BTreeSet<String>,
}

/// What the objects of a part of the chart share.
struct Part<'a> {
    /// Before the row's label in a key.
    section: Option<&'a str>,
    offset: Position,
    category: Category,
    zone: Option<u8>,
}

pub(crate) fn read(document: &Value) -> Draft {
    let mut chart = Chart {
        draft: Draft::new(&NAMES),
        categories: BTreeMap::new(),
        zones: BTreeMap::new(),
        labels: BTreeMap::new(),
        section_keys: BTreeSet::new(),
    };
    if let Some(root) = Object::read(document, &Path::Root, &mut chart.draft.report) {
        chart.read_root(root);
    }
    chart.draft
}

impl Chart {
    fn read_root(&mut self, root: Object<'_>) {
        self.draft.spec.name = root.text("name", &mut self.draft.report).unwrap_or_default().into();
        self.read_categories(root);
        self.read_zones(root);
        let floors = root.list("subChartFloors", &mut self.draft.report);
        let floors_path = root.path.field("subChartFloors");
        let chart_path = root.path.field("subChart");
        if floors.is_empty() {
            match root.get("subChart") {
                None => root.missing("subChart", "an object, unless there are subChartFloors", &mut self.draft.report),
                Some(value) => {
                    if let Some(chart) = Object::read(value, &chart_path, &mut self.draft.report) {
                        self.read_floor(chart, None, &BTreeSet::new());
                    }
                }
            }
            return;
        }
        // Each floor may have one; the first floor is where it is looked for.
        self.draft.focal_point_at = floors_path.index(0).field("focalPoint").to_string();
        let repeated = repeated_sections(floors);
        for (index, value) in floors.iter().enumerate() {
            let path = floors_path.index(index);
            if let Some(floor) = Object::read(value, &path, &mut self.draft.report) {
                let name = floor.label("floorName", &mut self.draft.report);
                let name = name.map_or_else(|| (index + 1).to_string(), std::borrow::Cow::into_owned);
                self.read_floor(floor, Some(&name), &repeated);
            }
        }
    }

    fn read_categories(&mut self, root: Object<'_>) {
        let report = &mut self.draft.report;
        let path = root.path.field("categories");
        let Some(value) = root.get("categories") else {
            return root.missing("categories", "an object with a list of categories", report);
        };
        let Some(categories) = Object::read(value, &path, report) else { return };
        let list_path = path.field("list");
        let mut names = BTreeSet::new();
        for (index, value) in categories.list("list", report).iter().enumerate() {
            let path = list_path.index(index);
            let report = &mut self.draft.report;
            let Some(category) = Object::read(value, &path, report) else { continue };
            let Some(key) = category.label("key", report) else {
                if category.get("key").is_none() {
                    category.missing("key", "a text or a number", report);
                }
                continue;
            };
            if self.categories.contains_key(&*key) {
                report.error(&path.field("key"), format!("category {key:?} stands already in the list"));
                continue;
            }
            let accessible = category.flag("accessible", report);
            let mut name = category.text("label", report).unwrap_or(&key).to_owned();
            if !names.insert(name.clone()) {
                // The key is what tells categories apart there; here it is the name.
                let told = format!("label {name:?} stands already in the list; the price level is named with its key");
                report.warning(&path.field("label"), told);
                name = format!("{name} ({key})");
                names.insert(name.clone());
            }
            let level = self.draft.add_level(name.into(), path.field("label").to_string());
            self.categories.insert(key.into_owned(), Category::Known { level, accessible });
        }
    }

    fn read_zones(&mut self, root: Object<'_>) {
        let report = &mut self.draft.report;
        let path = root.path.field("zones");
        let Some(value) = root.get("zones") else { return };
        let Some(zones) = Object::read(value, &path, report) else { return };
        let list_path = path.field("list");
        for (index, value) in zones.list("list", report).iter().enumerate() {
            let path = list_path.index(index);
            let report = &mut self.draft.report;
            let Some(zone) = Object::read(value, &path, report) else { continue };
            let key = zone.label("key", report);
            if zone.get("key").is_none() {
                zone.missing("key", "a text", report);
            }
            let key = key.unwrap_or_default();
            let label = zone.text("label", report).unwrap_or(&key);
            let at = path.field("focalPoint");
            let focal_point = zone.position("focalPoint", report).map(|position| point(position, &at, report));
            let entry = Zone { key: (&*key).into(), label: label.into(), focal_point };
            let number = self.draft.add_zone(entry, path.to_string());
            self.zones.entry(key.into_owned()).or_insert(number);
        }
    }

    fn read_floor(&mut self, floor: Object<'_>, name: Option<&str>, repeated: &BTreeSet<String>) {
        let report = &mut self.draft.report;
        let focal_path = floor.path.field("focalPoint");
        if let Some(position) = floor.position("focalPoint", report) {
            let found = point(position, &focal_path, report);
            match self.draft.spec.focal_point {
                None => self.draft.spec.focal_point = Some(found),
                Some(first) if first == found => {}
                Some(_) => self.draft.report.warning(&focal_path, "not used: another floor has a focal point"),
            }
        }
        let sections_path = floor.path.field("sections");
        for (index, value) in floor.list("sections", &mut self.draft.report).iter().enumerate() {
            let path = sections_path.index(index);
            if let Some(section) = Object::read(value, &path, &mut self.draft.report) {
                self.read_section(section, name, repeated);
            }
        }
        self.read_sectionless(floor);
    }

    fn read_section(&mut self, section: Object<'_>, floor: Option<&str>, repeated: &BTreeSet<String>) {
        let label = self.required_label(section);
        let report = &mut self.draft.report;
        let offset = section.position("topLeft", report);
        if section.get("topLeft").is_none() {
            section.missing("topLeft", "a position", report);
        }
        let zone = self.zone_of(section);
        let category = self.category_of(section, Category::None);
        let key = match floor {
            Some(floor) if repeated.contains(&label) => format!("{floor}-{label}"),
            _ => label.clone(),
        };
        let part = Part { section: Some(&key), offset: offset.unwrap_or_default(), category, zone };
        let report = &mut self.draft.report;
        let chart_path = section.path.field("subChart");
        let Some(value) = section.get("subChart") else {
            // Drawn, nothing in it yet.
            return report.warning(&chart_path, "missing: the section has no seats");
        };
        let Some(chart) = Object::read(value, &chart_path, report) else { return };
        let rows = self.read_rows(chart, &part).into_iter().map(|(_, row, source)| (row, source)).collect::<Vec<_>>();
        self.read_others(chart, &part);
        if !rows.is_empty() {
            self.section_keys.insert(key.clone());
            self.draft.add_section(key.into(), label.into(), zone, rows, section.path.to_string());
        }
    }

    /// What stands on a floor outside of the sections. Rows may carry a section's label all the same.
    fn read_sectionless(&mut self, floor: Object<'_>) {
        let part = Part { section: None, offset: Position::default(), category: Category::None, zone: None };
        let mut sections: Vec<(Option<String>, Vec<_>)> = Vec::new();
        for (label, row, source) in self.read_rows(floor, &part) {
            match sections.iter_mut().find(|(section, _)| *section == label) {
                Some((_, rows)) => rows.push((row, source)),
                None => sections.push((label, vec![(row, source)])),
            }
        }
        self.read_others(floor, &part);
        for (label, rows) in sections {
            let base = label.as_deref().unwrap_or(NO_SECTION).to_owned();
            // A section of that name may stand on this floor or another one; seat keys are apart.
            let mut key = base.clone();
            let mut number = 2;
            while !self.section_keys.insert(key.clone()) {
                key = format!("{base} {number}");
                number += 1;
            }
            self.draft.add_section(key.into(), base.into(), None, rows, floor.path.to_string());
        }
    }

    /// Rows, then tables, each with the section label of its own where it stands in no section.
    fn read_rows(&mut self, chart: Object<'_>, part: &Part<'_>) -> Vec<(Option<String>, RowSpec, RowSource)> {
        let mut read = Vec::new();
        for (list, kind) in [("rows", RowKind::Row), ("tables", RowKind::Table)] {
            let list_path = chart.path.field(list);
            for (index, value) in chart.list(list, &mut self.draft.report).iter().enumerate() {
                let path = list_path.index(index);
                if let Some(row) = Object::read(value, &path, &mut self.draft.report) {
                    read.push(self.read_row(row, kind, part));
                }
            }
        }
        read
    }

    fn read_row(&mut self, row: Object<'_>, kind: RowKind, part: &Part<'_>) -> (Option<String>, RowSpec, RowSource) {
        let label = self.required_label(row);
        let report = &mut self.draft.report;
        let own_section = match part.section {
            None => row.text("sectionLabel", report).filter(|label| !label.is_empty()).map(str::to_owned),
            Some(_) => None,
        };
        if kind == RowKind::Table && row.flag("bookAsAWhole", report) {
            let told = "whole-table booking is not supported; sold by seat";
            report.warning(&row.path.field("bookAsAWhole"), told);
        }
        let mut prefix = String::new();
        for before in [part.section.or(own_section.as_deref()), Some(&*label)].into_iter().flatten() {
            prefix.push_str(before);
            prefix.push('-');
        }
        let shown = row.label("displayLabel", report).map_or(label, std::borrow::Cow::into_owned);
        let list_path = row.path.field("seats");
        let values = row.list("seats", report);
        let mut seats = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            let path = list_path.index(index);
            seats.push(self.read_seat(value, &path, &prefix, part));
        }
        let source = RowSource { path: row.path.to_string(), listed: true };
        (own_section, RowSpec { label: shown.into(), kind, seats }, source)
    }

    /// A value that is no seat gives a seat all the same, so that later ones keep their numbers.
    fn read_seat(&mut self, value: &Value, path: &Path<'_>, prefix: &str, part: &Part<'_>) -> SeatSpec {
        let Some(seat) = Object::read(value, path, &mut self.draft.report) else {
            let empty = Box::<str>::default();
            let key = prefix.into();
            return SeatSpec { key, label: empty, at: Default::default(), level: 0, attributes: 0, aisle_after: false };
        };
        let label = self.required_label(seat);
        let key = format!("{prefix}{label}");
        if !label.is_empty() && label != UNLABELLED {
            self.once(&key, &path.field("label"));
        }
        let category = self.required_category(seat, part.category);
        let report = &mut self.draft.report;
        let at = seat.own_position(report).unwrap_or_default() + part.offset;
        let at = point(at, path, report);
        let mut attributes = 0;
        // All fields are read even when one suffices: one of the wrong type is to be told.
        if seat.flag("accessible", report) | seat.flag("categoryAccessible", report) | category.is_accessible() {
            attributes |= ACCESSIBLE;
        }
        if seat.flag("companionSeat", report) {
            attributes |= COMPANION;
        }
        if seat.flag("restrictedView", report) {
            attributes |= RESTRICTED_VIEW;
        }
        let label = seat.label("displayLabel", report).map_or(label, std::borrow::Cow::into_owned);
        SeatSpec { key: key.into(), label: label.into(), at, level: category.level(), attributes, aisle_after: false }
    }

    fn read_others(&mut self, chart: Object<'_>, part: &Part<'_>) {
        let list_path = chart.path.field("generalAdmissionAreas");
        for (index, value) in chart.list("generalAdmissionAreas", &mut self.draft.report).iter().enumerate() {
            let path = list_path.index(index);
            if let Some(area) = Object::read(value, &path, &mut self.draft.report) {
                self.read_area(area, part);
            }
        }
        let list_path = chart.path.field("booths");
        for index in 0..chart.list("booths", &mut self.draft.report).len() {
            self.draft.report.warning(&list_path.index(index), "booths are not supported; not imported");
        }
    }

    fn read_area(&mut self, area: Object<'_>, part: &Part<'_>) {
        let label = self.required_label(area);
        if !label.is_empty() && label != UNLABELLED {
            self.once(&label, &area.path.field("label"));
        }
        let category = self.required_category(area, part.category);
        let zone = self.zone_of(area).or(part.zone);
        let report = &mut self.draft.report;
        if area.get("capacity").is_none() {
            area.missing("capacity", "a whole number of at least 1", report);
        }
        let capacity = area.whole("capacity", 1..=i64::from(u32::MAX), report).unwrap_or(1);
        for (field, told) in [
            ("variableOccupancy", "variable occupancy is not supported; sold by admission"),
            ("bookAsAWhole", "booking an area as a whole is not supported; sold by admission"),
        ] {
            if area.flag(field, report) {
                report.warning(&area.path.field(field), told);
            }
        }
        let centre = centre_of(area, report).unwrap_or_default() + part.offset;
        let centre = point(centre, area.path, report);
        let shown = area.label("displayLabel", report).map_or_else(|| label.clone(), std::borrow::Cow::into_owned);
        let area_spec = Area {
            key: label.into(),
            label: shown.into(),
            zone,
            level: category.level(),
            // Within u32 by the range above.
            capacity: capacity as u32,
            centre,
        };
        self.draft.add_area(area_spec, area.path.to_string());
    }

    fn required_label(&mut self, object: Object<'_>) -> String {
        let report = &mut self.draft.report;
        if object.get("label").is_none() {
            object.missing("label", "a text", report);
            return String::new();
        }
        let label = object.label("label", report).unwrap_or_default().into_owned();
        if label == UNLABELLED || (label.is_empty() && object.get("label").is_some_and(Value::is_string)) {
            report.error(&object.path.field("label"), format!("found {label:?}; the object has no label yet"));
        }
        label
    }

    /// All that is sold has one name space.
    fn once(&mut self, key: &str, path: &Path<'_>) {
        if let Some(first) = self.labels.get(key) {
            self.draft.report.error(path, format!("{key:?} stands already at {first}"));
        } else {
            self.labels.insert(key.to_owned(), path.to_string());
        }
    }

    /// The object's own category, else the one around it.
    fn category_of(&mut self, object: Object<'_>, around: Category) -> Category {
        let report = &mut self.draft.report;
        let Some(value) = object.get("categoryKey") else { return around };
        let Some(key) = object.label("categoryKey", report) else { return Category::Told };
        self.categories.get(&*key).copied().unwrap_or_else(|| {
            report.error(&object.path.field("categoryKey"), format!("found {}; no such category", found(value)));
            Category::Told
        })
    }

    /// The same for what is sold. A section need not have a category, as long as its seats do.
    fn required_category(&mut self, object: Object<'_>, around: Category) -> Category {
        let category = self.category_of(object, around);
        if category == Category::None {
            object.missing("categoryKey", "the key of a category, here or at the section", &mut self.draft.report);
        }
        category
    }

    fn zone_of(&mut self, object: Object<'_>) -> Option<u8> {
        let report = &mut self.draft.report;
        let key = object.label("zone", report)?;
        let zone = self.zones.get(&*key).copied();
        if zone.is_none() {
            report.error(&object.path.field("zone"), format!("found {key:?}; no such zone"));
        }
        zone
    }
}

/// Circles and rectangles have a centre, polygons their corners.
fn centre_of(area: Object<'_>, report: &mut crate::walk::Report) -> Option<Position> {
    if area.get("center").is_some() {
        return area.position("center", report);
    }
    let points = area.list("points", report);
    if points.is_empty() {
        area.missing("center", "a position, unless there are points", report);
        return None;
    }
    let list_path = area.path.field("points");
    let mut sum = Position::default();
    for (index, value) in points.iter().enumerate() {
        let path = list_path.index(index);
        sum += Object::read(value, &path, report)?.own_position(report)?;
    }
    Some(Position { x: sum.x.divided(points.len()), y: sum.y.divided(points.len()) })
}

/// Labels of sections that stand on more than one floor: only these need the floor's name.
fn repeated_sections(floors: &[Value]) -> BTreeSet<String> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut repeated = BTreeSet::new();
    for (floor, value) in floors.iter().enumerate() {
        let sections = value.get("sections").and_then(Value::as_array).into_iter().flatten();
        for label in sections.filter_map(|section| section.get("label")?.as_str()) {
            if *seen.entry(label).or_insert(floor) != floor {
                repeated.insert(label.to_owned());
            }
        }
    }
    repeated
}
