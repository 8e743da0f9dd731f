//! Seating plans of pretix: zones of rows of seats.
//!
//! A zone there is a part of the hall, so it becomes a section here, and no zone: it has no point
//! to look at. A position is zone + row + seat. Real plans repeat `seat_guid`, which pretix means
//! to be unique: each repetition is an error, unless `uuid` is taken for the key.
//!
//! Not here: areas. They are shapes without a capacity; one that reads like general admission is
//! told, the rest are drawing.

use std::collections::BTreeMap;

use inventory_core::plan::{RowKind, RowSpec, SeatSpec};
use serde_json::Value;

use crate::{
    SeatKey,
    decimal::Position,
    draft::{Draft, Names, RowSource},
    walk::{Object, Path, point},
};

const BY_GUID: Names = Names {
    section_key: "zone_id",
    section_label: "name",
    row_label: "row_number",
    seat_key: "seat_guid",
    seat_label: "seat_number",
    area_key: "name",
    area_label: "name",
    focal_point: "focal_point",
};
const BY_UUID: Names = Names { seat_key: "uuid", ..BY_GUID };

struct Hall {
    draft: Draft,
    key_field: &'static str,
    categories: BTreeMap<String, u8>,
    /// Seat keys with where they stand.
    keys: BTreeMap<String, String>,
}

pub(crate) fn read(document: &Value, seat_key: SeatKey) -> Draft {
    let names = match seat_key {
        SeatKey::Guid => &BY_GUID,
        SeatKey::Uuid => &BY_UUID,
    };
    let mut hall = Hall {
        draft: Draft::new(names),
        key_field: names.seat_key,
        categories: BTreeMap::new(),
        keys: BTreeMap::new(),
    };
    if let Some(root) = Object::read(document, &Path::Root, &mut hall.draft.report) {
        hall.read_root(root);
    }
    hall.draft
}

impl Hall {
    fn read_root(&mut self, root: Object<'_>) {
        self.draft.spec.name = root.text("name", &mut self.draft.report).unwrap_or_default().into();
        let list_path = root.path.field("categories");
        for (index, value) in root.list("categories", &mut self.draft.report).iter().enumerate() {
            let path = list_path.index(index);
            let report = &mut self.draft.report;
            let Some(category) = Object::read(value, &path, report) else { continue };
            let Some(name) = category.label("name", report) else {
                if category.get("name").is_none() {
                    category.missing("name", "a text", report);
                }
                continue;
            };
            let level = self.draft.add_level((&*name).into(), path.field("name").to_string());
            self.categories.entry(name.into_owned()).or_insert(level);
        }
        let list_path = root.path.field("zones");
        if root.get("zones").is_none() {
            root.missing("zones", "a list", &mut self.draft.report);
        }
        for (index, value) in root.list("zones", &mut self.draft.report).iter().enumerate() {
            let path = list_path.index(index);
            if let Some(zone) = Object::read(value, &path, &mut self.draft.report) {
                self.read_zone(zone);
            }
        }
    }

    fn read_zone(&mut self, zone: Object<'_>) {
        let report = &mut self.draft.report;
        let name = zone.label("name", report);
        let id = zone.label("zone_id", report).filter(|id| !id.is_empty());
        let Some(key) = id.or_else(|| name.clone()) else {
            return zone.missing("zone_id", "a text, unless there is a name", report);
        };
        let offset = required_position(zone, report);
        let list_path = zone.path.field("rows");
        let mut rows: Vec<(RowSpec, RowSource)> = Vec::new();
        let mut labels: BTreeMap<Box<str>, usize> = BTreeMap::new();
        for (index, value) in zone.list("rows", report).iter().enumerate() {
            let path = list_path.index(index);
            let Some(row) = Object::read(value, &path, &mut self.draft.report) else { continue };
            let read = self.read_row(row, offset);
            if let Some(first) = labels.get(&read.0.label) {
                let told = format!("row {:?} stands already at {}", read.0.label, list_path.index(*first));
                self.draft.report.warning(&path.field("row_number"), told);
            } else {
                labels.insert(read.0.label.clone(), index);
            }
            rows.push(read);
        }
        self.read_areas(zone);
        if !rows.is_empty() {
            let label = name.as_ref().unwrap_or(&key).as_ref().into();
            self.draft.add_section(key.as_ref().into(), label, None, rows, zone.path.to_string());
        }
    }

    fn read_areas(&mut self, zone: Object<'_>) {
        let report = &mut self.draft.report;
        let list_path = zone.path.field("areas");
        for (index, value) in zone.list("areas", report).iter().enumerate() {
            let text = value.pointer("/text/text").and_then(Value::as_str).unwrap_or_default();
            if reads_like_admission(text) {
                let told = format!("{text:?} reads like general admission, which has no capacity here; not imported");
                report.warning(&list_path.index(index), told);
            }
        }
    }

    fn read_row(&mut self, row: Object<'_>, offset: Position) -> (RowSpec, RowSource) {
        let report = &mut self.draft.report;
        let number = row.label("row_number", report).unwrap_or_default();
        let offset = offset + required_position(row, report);
        let list_path = row.path.field("seats");
        let values = row.list("seats", report);
        let mut seats = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            let path = list_path.index(index);
            seats.push(self.read_seat(value, &path, &number, offset));
        }
        let spec = RowSpec { label: (&*number).into(), kind: RowKind::Row, seats };
        (spec, RowSource { path: row.path.to_string(), listed: true })
    }

    /// A value that is no seat gives a seat all the same, so that later ones keep their numbers.
    fn read_seat(&mut self, value: &Value, path: &Path<'_>, row: &str, offset: Position) -> SeatSpec {
        let report = &mut self.draft.report;
        let nothing = Box::<str>::default();
        let mut spec = SeatSpec {
            key: nothing.clone(),
            label: nothing,
            at: Default::default(),
            level: 0,
            attributes: 0,
            aisle_after: false,
        };
        let Some(seat) = Object::read(value, path, report) else { return spec };
        let number = seat.label("seat_number", report).unwrap_or_default();
        spec.label = match (row.is_empty(), number.is_empty()) {
            (false, false) => format!("{row}-{number}").into(),
            _ => format!("{row}{number}").into(),
        };
        spec.at = point(offset + required_position(seat, report), path, report);
        if let Some(name) = seat.label("category", report) {
            match self.categories.get(&*name) {
                Some(level) => spec.level = *level,
                None => report.error(&path.field("category"), format!("found {name:?}; no such category")),
            }
        } else if seat.get("category").is_none() {
            seat.missing("category", "the name of a category", report);
        }
        let key_path = path.field(self.key_field);
        let Some(key) = seat.label(self.key_field, report) else {
            if seat.get(self.key_field).is_none() {
                seat.missing(self.key_field, "a text that no other seat has", report);
            }
            return spec;
        };
        spec.key = (&*key).into();
        if let Some(first) = self.keys.get(&*key) {
            report.error(&key_path, format!("{} {key:?} stands already at {first}", self.key_field));
        } else {
            self.keys.insert(key.into_owned(), key_path.to_string());
        }
        spec
    }
}

fn required_position(object: Object<'_>, report: &mut crate::walk::Report) -> Position {
    if object.get("position").is_none() {
        object.missing("position", "an object with x and y", report);
    }
    object.position("position", report).unwrap_or_default()
}

fn reads_like_admission(text: &str) -> bool {
    let text = text.to_lowercase();
    let words = || text.split(|c: char| !c.is_alphanumeric());
    words().any(|word| matches!(word, "ga" | "standing" | "stehplatz" | "stehplätze")) || text.contains("general adm")
}
