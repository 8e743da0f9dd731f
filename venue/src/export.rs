//! A core plan in our own format: one row a line, every seat listed, what is default left out.
//!
//! Invariant: for a plan without errors, importing the text gives that plan, whatever its keys are.
//!
//! Not here: generators. A plan does not know how its rows were made.

use inventory_core::plan::{ACCESSIBLE, Area, COMPANION, PlanSpec, Point, RESTRICTED_VIEW, RowKind, RowSpec};
use serde_json::Value;

use crate::usher::{VERSION, default_key};

/// The plan as a document that [`crate::import`] reads with [`crate::Format::Usher`].
#[must_use]
pub fn export(spec: &PlanSpec) -> String {
    let mut out = format!("{{\n\"usher_plan\": {VERSION},\n\"name\": {}", quoted(&spec.name));
    let levels = spec.price_levels.iter().map(|level| quoted(level)).collect::<Vec<_>>();
    out += &format!(",\n\"price_levels\": [{}]", levels.join(", "));
    if let Some(focal_point) = spec.focal_point {
        out += &format!(",\n\"focal_point\": {}", pair(focal_point));
    }
    list(&mut out, "zones", &spec.zones, |zone| {
        let mut text = format!("{{\"key\": {}, \"label\": {}", quoted(&zone.key), quoted(&zone.label));
        if let Some(focal_point) = zone.focal_point {
            text += &format!(", \"focal_point\": {}", pair(focal_point));
        }
        text + "}"
    });
    list(&mut out, "sections", &spec.sections, |section| {
        let mut text = format!("{{\"key\": {}, \"label\": {}", quoted(&section.key), quoted(&section.label));
        text += &zone(spec, section.zone);
        list(&mut text, "rows", &section.rows, |row| row_text(spec, &section.key, row));
        text + "}"
    });
    list(&mut out, "areas", &spec.areas, |area| area_text(spec, area));
    out + "\n}\n"
}

fn list<T>(out: &mut String, name: &str, entries: &[T], text: impl Fn(&T) -> String) {
    if entries.is_empty() {
        return;
    }
    *out += &format!(",\n\"{name}\": [");
    for (index, entry) in entries.iter().enumerate() {
        *out += if index == 0 { "\n" } else { ",\n" };
        *out += &text(entry);
    }
    *out += "\n]";
}

fn row_text(spec: &PlanSpec, section: &str, row: &RowSpec) -> String {
    let mut text = format!("{{\"label\": {}", quoted(&row.label));
    if row.kind == RowKind::Table {
        text += ", \"kind\": \"table\"";
    }
    let usual = row.seats.first().map(|seat| seat.level);
    text += &usual.map(|usual| level(spec, usual)).unwrap_or_default();
    text += ", \"seats\": [";
    for (index, seat) in row.seats.iter().enumerate() {
        text += if index == 0 { "" } else { ", " };
        text += &format!("{{\"label\": {}, \"at\": {}", quoted(&seat.label), pair(seat.at));
        if *seat.key != *default_key(section, &row.label, &seat.label) {
            text += &format!(", \"key\": {}", quoted(&seat.key));
        }
        if Some(seat.level) != usual {
            text += &level(spec, seat.level);
        }
        for (name, given) in [
            ("accessible", seat.attributes & ACCESSIBLE != 0),
            ("companion", seat.attributes & COMPANION != 0),
            ("restricted_view", seat.attributes & RESTRICTED_VIEW != 0),
            ("aisle_after", seat.aisle_after),
        ] {
            if given {
                text += &format!(", \"{name}\": true");
            }
        }
        text += "}";
    }
    text + "]}"
}

fn area_text(spec: &PlanSpec, area: &Area) -> String {
    let mut text = format!("{{\"key\": {}, \"label\": {}", quoted(&area.key), quoted(&area.label));
    text += &zone(spec, area.zone);
    text += &level(spec, area.level);
    text + &format!(", \"capacity\": {}, \"centre\": {}}}", area.capacity, pair(area.centre))
}

fn zone(spec: &PlanSpec, number: Option<u8>) -> String {
    let zone = number.and_then(|number| spec.zones.get(usize::from(number)));
    zone.map(|zone| format!(", \"zone\": {}", quoted(&zone.key))).unwrap_or_default()
}

fn level(spec: &PlanSpec, number: u8) -> String {
    let level = spec.price_levels.get(usize::from(number));
    level.map(|level| format!(", \"level\": {}", quoted(level))).unwrap_or_default()
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn pair(point: Point) -> String {
    format!("[{}, {}]", units(point.x), units(point.y))
}

/// Thousandths as a decimal, to the last digit and no further.
fn units(thousandths: i32) -> String {
    let sign = if thousandths < 0 { "-" } else { "" };
    let (whole, rest) = (thousandths.unsigned_abs() / 1_000, thousandths.unsigned_abs() % 1_000);
    if rest == 0 {
        return format!("{sign}{whole}");
    }
    let text = format!("{sign}{whole}.{rest:03}");
    text.trim_end_matches('0').to_owned()
}
