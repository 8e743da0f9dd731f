//! Documents changed at random, by seed: no import panics, and what has no error sells.

mod documents;

use documents::{Random, own_plan, third_party};
use inventory_core::{
    ids::PlanDigest,
    plan::Plan,
    plan_codec::{decode_plan, encode_plan},
};
use serde_json::{Value, json};
use venue::{Format, ImportOptions, SeatKey, export, import};

/// The document's objects and lists, by how one comes to them.
fn collect(value: &Value, path: &str, into: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            into.push(path.to_owned());
            for (name, field) in fields {
                collect(field, &format!("{path}/{}", name.replace('~', "~0").replace('/', "~1")), into);
            }
        }
        Value::Array(entries) => {
            into.push(path.to_owned());
            for (index, entry) in entries.iter().enumerate() {
                collect(entry, &format!("{path}/{index}"), into);
            }
        }
        _ => {}
    }
}

fn junk(random: &mut Random) -> Value {
    let values = [
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(0.5),
        json!(1e300),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(2_147_483.648),
        json!(1_000_000),
        json!(""),
        json!("?"),
        json!("\u{0}"),
        json!("x".repeat(200)),
        json!("席"),
        json!([]),
        json!({}),
        json!([[]]),
        json!([1, 2]),
        json!([1e300, -1e300]),
        json!({"x": 1e9, "y": -1e9}),
        json!({"list": [{"key": {}}]}),
    ];
    values[random.below(values.len())].clone()
}

fn mutate(document: &mut Value, random: &mut Random) {
    let mut places = Vec::new();
    collect(document, "", &mut places);
    let place = &places[random.below(places.len())];
    let fill = junk(random);
    match document.pointer_mut(place) {
        Some(Value::Object(fields)) if !fields.is_empty() => {
            let names = fields.keys().cloned().collect::<Vec<_>>();
            let name = &names[random.below(names.len())];
            let other = fields[&names[random.below(names.len())]].clone();
            match random.below(4) {
                0 => drop(fields.remove(name)),
                1 => drop(fields.insert(name.clone(), other)),
                _ => drop(fields.insert(name.clone(), fill)),
            }
        }
        Some(Value::Array(entries)) if !entries.is_empty() => {
            let index = random.below(entries.len());
            let other = entries[random.below(entries.len())].clone();
            match random.below(4) {
                0 => drop(entries.remove(index)),
                1 => entries.insert(index, other),
                2 => entries.swap(0, index),
                _ => entries[index] = fill,
            }
        }
        Some(other) => *other = fill,
        None => {}
    }
}

/// An import of anything ends; without errors its plan builds, has a file, and can be exported.
fn survives(format: Format, document: &Value, case: &str) {
    let text = document.to_string();
    for seat_key in [SeatKey::Guid, SeatKey::Uuid] {
        let options = ImportOptions { seat_key, ..ImportOptions::default() };
        let Ok(imported) = import(format, text.as_bytes(), &options) else { continue };
        let exported = export(&imported.spec);
        if imported.errors().next().is_some() {
            continue;
        }
        let spec = &imported.spec;
        assert!(Plan::build(spec, PlanDigest([0; 32])).is_ok(), "{case}");
        assert_eq!(decode_plan(&encode_plan(spec)).as_ref(), Ok(spec), "{case}");
        let again = import(Format::Usher, exported.as_bytes(), &ImportOptions::default());
        assert_eq!(again.as_ref().map(|again| &again.spec), Ok(spec), "{case}");
    }
}

fn run(format: Format, name: &str, text: &str, seeds: u64) {
    let original: Value = serde_json::from_str(text).expect("JSON");
    for seed in 0..seeds {
        let mut random = Random(seed);
        let mut document = original.clone();
        for _ in 0..=random.below(4) {
            mutate(&mut document, &mut random);
        }
        survives(format, &document, &format!("{name} seed {seed}"));
    }
}

/// Small, with every field that the importer reads.
const CHART: &str = r#"{"name": "c", "categories": {"list": [{"key": 1, "label": "one", "accessible": false},
    {"key": "two", "label": "two", "accessible": true}]},
    "zones": {"list": [{"key": "z", "label": "Z", "focalPoint": {"x": 5, "y": 6}}]},
    "subChart": {"focalPoint": {"x": 0, "y": 0},
        "sections": [{"label": "S", "categoryKey": 1, "zone": "z", "topLeft": {"x": 1, "y": 2}, "subChart": {
            "rows": [{"label": "A", "displayLabel": null, "seats": [
                {"label": "1", "x": 0.5, "y": 0, "categoryKey": null, "accessible": true},
                {"label": "2", "x": 1, "y": 0, "categoryKey": "two", "companionSeat": true, "restrictedView": false}]}],
            "generalAdmissionAreas": [{"label": "G", "capacity": 9, "zone": "z", "points": [{"x": 0, "y": 0}]}]}}],
        "rows": [{"label": "R", "sectionLabel": "Q", "seats": [{"label": "1", "x": 0, "y": 0, "categoryKey": 1}]}],
        "tables": [{"label": "T", "bookAsAWhole": true, "seats": [{"label": "1", "x": 3, "y": 0, "categoryKey": 1}]}],
        "booths": [{"label": "B"}],
        "generalAdmissionAreas": [{"label": "H", "categoryKey": 1, "capacity": 3, "center": {"x": 0, "y": 0},
            "variableOccupancy": true, "bookAsAWhole": false}]}}"#;

const HALL: &str = r#"{"name": "p", "categories": [{"name": "a"}, {"name": "b"}], "zones": [{"name": "Hall",
    "zone_id": "H", "position": {"x": 1, "y": 1}, "areas": [{"text": {"text": "GA"}}], "rows": [
    {"row_number": "A", "position": {"x": 0, "y": 0}, "seats": [
        {"seat_guid": "g1", "uuid": "u1", "seat_number": 1, "position": {"x": 0, "y": 0}, "category": "a"},
        {"seat_guid": "g2", "uuid": "u2", "seat_number": "2", "position": {"x": 1, "y": 0}, "category": "b"}]}]}]}"#;

#[test]
fn no_change_of_a_chart_panics() {
    run(Format::Seatsio, "chart", CHART, 6_000);
}

#[test]
fn no_change_of_a_floored_chart_panics() {
    let mut chart: Value = serde_json::from_str(CHART).expect("JSON");
    let floor = chart["subChart"].take();
    chart["subChartFloors"] = json!([floor, floor]);
    run(Format::Seatsio, "floors", &chart.to_string(), 3_000);
}

#[test]
fn no_change_of_a_pretix_plan_panics() {
    run(Format::Pretix, "hall", HALL, 6_000);
}

#[test]
fn no_change_of_our_own_plans_panics() {
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/PLANS.md"))
        .expect("the format is documented");
    let example = document.split("```json\n").nth(1).and_then(|rest| rest.split("```").next());
    run(Format::Usher, "example", example.expect("an example in JSON"), 6_000);
    run(Format::Usher, "theatre", &own_plan("theatre-300.json"), 300);
}

#[test]
fn no_document_panics_in_the_wrong_format() {
    let theatre = own_plan("theatre-300.json");
    for text in [CHART, HALL, &theatre, "null", "7", "\"x\"", "[{}]", "{}"] {
        let document: Value = serde_json::from_str(text).expect("JSON");
        for format in [Format::Usher, Format::Seatsio, Format::Pretix] {
            survives(format, &document, text);
        }
    }
}

#[test]
fn no_change_of_a_third_party_plan_panics() {
    for (format, name) in [
        (Format::Seatsio, "seatsio/sampleChart.json"),
        (Format::Seatsio, "seatsio/sampleChartWithErrors.json"),
        (Format::Seatsio, "seatsio/sampleChartWithFloors.json"),
        (Format::Seatsio, "seatsio/sampleChartWithTables.json"),
        (Format::Pretix, "seatmap-canvas/stadium.json"),
    ] {
        let Some(text) = third_party(name) else { continue };
        run(format, name, &text, 60);
    }
}

#[test]
fn a_document_cut_anywhere_never_panics() {
    for (format, text) in [(Format::Seatsio, CHART), (Format::Pretix, HALL)] {
        for length in 0..text.len() {
            let cut = &text.as_bytes()[..length];
            assert!(import(format, cut, &ImportOptions::default()).is_err(), "{length} bytes");
        }
    }
}
