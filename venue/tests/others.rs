//! What seats.io charts and pretix plans may say, and how each thing wrong with them is told.

mod documents;

use documents::{imported, imported_by_uuid, lines};
use inventory_core::plan::{ACCESSIBLE, COMPANION, PlanSpec, Point, RESTRICTED_VIEW};
use venue::{Format, IMPORT_BYTES_MAX, ImportError, ImportOptions, Imported, check, import};

/// A chart with two categories and a focal point around `objects`.
fn chart(objects: &str) -> Imported {
    let document = format!(
        r#"{{"name": "c", "categories": {{"list": [{{"key": 1, "label": "one"}},
            {{"key": "two", "label": "two", "accessible": true}}]}},
            "zones": {{"list": [{{"key": "z", "label": "Z", "focalPoint": {{"x": 5, "y": 6}}}}]}},
            "subChart": {{"focalPoint": {{"x": 0, "y": 0}}, {objects}}}}}"#
    );
    imported(Format::Seatsio, &document)
}

fn keys(spec: &PlanSpec) -> Vec<&str> {
    spec.sections.iter().flat_map(|section| &section.rows).flat_map(|row| &row.seats).map(|seat| &*seat.key).collect()
}

const NONE: Vec<String> = Vec::new();

#[test]
fn a_seat_takes_its_category_from_itself_else_from_its_section() {
    let found = chart(
        r#""sections": [{"label": "S", "categoryKey": 1, "zone": "z", "topLeft": {"x": 10, "y": 20.5}, "subChart": {
            "rows": [{"label": "A", "seats": [
                {"label": "1", "x": 0.0005, "y": 0, "categoryKey": null},
                {"label": 2, "x": 1, "y": 0, "categoryKey": "two", "displayLabel": "II"},
                {"label": "3", "x": 2, "y": 0, "accessible": true, "companionSeat": true, "restrictedView": true}]}]}}]"#,
    );
    assert_eq!(lines(&found), NONE);
    let section = &found.spec.sections[0];
    assert_eq!((&*section.key, section.zone), ("S", Some(0)));
    let seats = &section.rows[0].seats;
    assert_eq!(keys(&found.spec), ["S-A-1", "S-A-2", "S-A-3"]);
    assert_eq!(seats.iter().map(|seat| &*seat.label).collect::<Vec<_>>(), ["1", "II", "3"]);
    assert_eq!(seats.iter().map(|seat| seat.level).collect::<Vec<_>>(), [0, 1, 0]);
    let all = ACCESSIBLE | COMPANION | RESTRICTED_VIEW;
    // The second seat is accessible because its category is.
    assert_eq!(seats.iter().map(|seat| seat.attributes).collect::<Vec<_>>(), [0, ACCESSIBLE, all]);
    assert_eq!(seats[0].at, Point { x: 10_001, y: 20_500 });
}

#[test]
fn an_area_stands_at_its_centre_or_amid_its_corners() {
    let found = chart(
        r#""generalAdmissionAreas": [
            {"label": "G", "categoryKey": 1, "capacity": 5, "center": {"x": 1, "y": 2}},
            {"label": "H", "categoryKey": 1, "capacity": 7, "points": [{"x": 0, "y": 0}, {"x": 3, "y": 0}, {"x": 0, "y": 1}]}]"#,
    );
    assert_eq!(lines(&found), NONE);
    assert_eq!(
        found.spec.areas.iter().map(|a| (&*a.key, a.capacity, a.centre)).collect::<Vec<_>>(),
        [("G", 5, Point { x: 1_000, y: 2_000 }), ("H", 7, Point { x: 1_000, y: 333 })]
    );
    assert!(found.spec.sections.is_empty());
}

#[test]
fn everything_wrong_with_a_chart_is_told() {
    let found = chart(
        r#""sections": [{"label": "S", "zone": "y", "categoryKey": 9, "subChart": {
                "rows": [{"label": "A", "seats": [{"label": "1", "x": 0, "y": 0}, 7, {"label": "3", "x": "0"}]}],
                "generalAdmissionAreas": [{"label": "S-A-1", "center": {"x": 0, "y": 0}}],
                "booths": [{"label": "B"}]}},
            {"topLeft": {"x": 0, "y": 0}}],
        "rows": [{"label": "?", "seats": []}, {"seats": {}}],
        "tables": [{"label": "T", "bookAsAWhole": true, "seats": [{"label": "1", "x": 3e6, "y": 0, "categoryKey": []}]}],
        "generalAdmissionAreas": [{"label": "", "categoryKey": 1, "capacity": -1, "variableOccupancy": true}]"#,
    );
    assert_eq!(
        lines(&found),
        [
            "Error subChart.sections[0].topLeft: missing; must be a position",
            "Error subChart.sections[0].zone: found \"y\"; no such zone",
            "Error subChart.sections[0].categoryKey: found 9; no such category",
            "Error subChart.sections[0].subChart.rows[0].seats[1]: found 7; must be an object",
            "Error subChart.sections[0].subChart.rows[0].seats[2].x: found \"0\"; must be a number of plan units, \
         under a thousand million",
            "Error subChart.sections[0].subChart.rows[0].seats[2].y: missing; must be a number",
            "Error subChart.sections[0].subChart.generalAdmissionAreas[0].label: \"S-A-1\" stands already at \
         subChart.sections[0].subChart.rows[0].seats[0].label",
            "Error subChart.sections[0].subChart.generalAdmissionAreas[0].capacity: missing; must be a whole number of \
         at least 1",
            "Warning subChart.sections[0].subChart.booths[0]: booths are not supported; not imported",
            "Error subChart.sections[1].label: missing; must be a text",
            "Warning subChart.sections[1].subChart: missing: the section has no seats",
            "Error subChart.rows[0].label: found \"?\"; the object has no label yet",
            "Error subChart.rows[1].label: missing; must be a text",
            "Error subChart.rows[1].seats: found an object; must be a list",
            "Warning subChart.tables[0].bookAsAWhole: whole-table booking is not supported; sold by seat",
            "Error subChart.tables[0].seats[0].categoryKey: found a list; must be a text or a number",
            "Error subChart.tables[0].seats[0]: the position is too far away; at most 2147483.647 plan units from the \
         origin",
            "Error subChart.generalAdmissionAreas[0].label: found \"\"; the object has no label yet",
            "Error subChart.generalAdmissionAreas[0].capacity: found -1; must be a whole number from 1 to 4294967295",
            "Warning subChart.generalAdmissionAreas[0].variableOccupancy: variable occupancy is not supported; sold by \
         admission",
            "Error subChart.generalAdmissionAreas[0].center: missing; must be a position, unless there are points",
            "Error subChart.rows[0].seats: a row needs a seat",
        ]
    );
}

#[test]
fn a_section_that_stands_on_two_floors_is_named_with_its_floor() {
    let section = |label: &str| {
        format!(
            r#"{{"label": "{label}", "topLeft": {{"x": 0, "y": 0}}, "categoryKey": 1, "subChart": {{"rows":
                [{{"label": "A", "seats": [{{"label": "1", "x": 0, "y": 0}}]}}]}}}}"#
        )
    };
    let document = format!(
        r#"{{"name": "f", "categories": {{"list": [{{"key": 1, "label": "one"}}]}}, "zones": null, "subChartFloors": [
            {{"floorName": "G", "focalPoint": {{"x": 0, "y": 0}}, "sections": [{}, {}]}},
            {{"floorName": "1", "focalPoint": {{"x": 9, "y": 0}}, "sections": [{}]}}]}}"#,
        section("West"),
        section("Bar"),
        section("West"),
    );
    let found = imported(Format::Seatsio, &document);
    assert_eq!(lines(&found), ["Warning subChartFloors[1].focalPoint: not used: another floor has a focal point"]);
    assert_eq!(
        found.spec.sections.iter().map(|s| (&*s.key, &*s.label)).collect::<Vec<_>>(),
        [("G-West", "West"), ("Bar", "Bar"), ("1-West", "West")]
    );
    assert_eq!(keys(&found.spec), ["G-West-A-1", "Bar-A-1", "1-West-A-1"]);
}

#[test]
fn rows_outside_of_sections_keep_their_keys_and_never_meet_a_section() {
    let row = |more: &str, label: &str| {
        format!(r#"{{{more} "label": "{label}", "seats": [{{"label": "1", "x": 0, "y": 0, "categoryKey": 1}}]}}"#)
    };
    let found = chart(&format!(
        r#""sections": [{{"label": "main", "topLeft": {{"x": 0, "y": 0}}, "subChart": {{"rows": [{}]}}}}],
           "rows": [{}, {}, {}]"#,
        row("", "A"),
        row("", "A"),
        row(r#""sectionLabel": "Choir","#, "A"),
        row("", "B"),
    ));
    assert_eq!(lines(&found), NONE);
    assert_eq!(
        found.spec.sections.iter().map(|s| (&*s.key, s.rows.len())).collect::<Vec<_>>(),
        [("main", 1), ("main 2", 2), ("Choir", 1)]
    );
    assert_eq!(keys(&found.spec), ["main-A-1", "A-1", "B-1", "Choir-A-1"]);
}

#[test]
fn categories_and_zones_that_repeat_are_told() {
    let document = r#"{"categories": {"list": [{"key": 1, "label": "x"}, {"key": "1", "label": "y"},
        {"key": 2, "label": "x"}, {"label": "z"}]}, "zones": {"list": [{"key": "a"}, {"key": "a"}, {}]},
        "subChart": {"focalPoint": {"x": 0, "y": 0},
            "generalAdmissionAreas": [{"label": "G", "categoryKey": 2, "capacity": 1, "zone": "a", "center": {"x": 0, "y": 0}}]}}"#;
    let found = imported(Format::Seatsio, document);
    assert_eq!(
        lines(&found),
        [
            "Error categories.list[1].key: category \"1\" stands already in the list",
            "Warning categories.list[2].label: label \"x\" stands already in the list; the price level is named with its key",
            "Error categories.list[3].key: missing; must be a text or a number",
            "Error zones.list[2].key: missing; must be a text",
            "Error zones.list[1].key: zone \"a\" stands already at zones.list[0].key",
        ]
    );
    assert_eq!(found.spec.price_levels, ["x".into(), "x (2)".into()]);
    assert_eq!(found.spec.areas[0].level, 1);
}

#[test]
fn everything_wrong_with_a_pretix_plan_is_told() {
    let document = r#"{"name": "p", "categories": [{"name": "a"}, {"name": "a"}, {}], "zones": [
        {"name": "Hall", "position": {"x": 1, "y": 1}, "rows": [
            {"row_number": "A", "position": {"x": 0, "y": 0}, "seats": [
                {"seat_guid": "g1", "seat_number": 1, "position": {"x": 0, "y": 0}, "category": "a"},
                {"seat_guid": "g1", "seat_number": "2", "position": {"x": 1, "y": 0}, "category": "b"},
                {"seat_number": "2", "category": null}]},
            {"row_number": "A", "seats": [{"seat_guid": "g4", "position": {"x": true, "y": 0}, "category": "a"}]}],
         "areas": [{"text": {"text": "GA standing"}}, {"text": {"text": "Garden"}}]},
        {"rows": []}]}"#;
    let found = imported(Format::Pretix, document);
    assert_eq!(
        lines(&found),
        [
            "Error categories[2].name: missing; must be a text",
            "Error zones[0].rows[0].seats[1].category: found \"b\"; no such category",
            "Error zones[0].rows[0].seats[1].seat_guid: seat_guid \"g1\" stands already at \
         zones[0].rows[0].seats[0].seat_guid",
            "Error zones[0].rows[0].seats[2].position: missing; must be an object with x and y",
            "Error zones[0].rows[0].seats[2].category: missing; must be the name of a category",
            "Error zones[0].rows[0].seats[2].seat_guid: missing; must be a text that no other seat has",
            "Error zones[0].rows[1].position: missing; must be an object with x and y",
            "Error zones[0].rows[1].seats[0].position.x: found true; must be a number of plan units, under a thousand \
         million",
            "Warning zones[0].rows[1].row_number: row \"A\" stands already at zones[0].rows[0]",
            "Warning zones[0].areas[0]: \"GA standing\" reads like general admission, which has no capacity here; not \
         imported",
            "Error zones[1].zone_id: missing; must be a text, unless there is a name",
            "Error categories[1].name: price level \"a\" stands already at categories[0].name",
            "Warning zones[0].rows[0].seats[2].seat_number: label \"A-2\" stands twice in row \"A\" of section \"Hall\"",
            "Warning focal_point: none given: \"best\" is measured from the middle of the top edge of the plan",
        ]
    );
}

#[test]
fn a_pretix_seat_stands_at_zone_plus_row_plus_seat() {
    let document = r#"{"categories": [{"name": "a"}], "zones": [{"zone_id": "H", "name": "Hall",
        "position": {"x": 100.0004, "y": 1}, "rows": [{"row_number": "7", "position": {"x": 10.0004, "y": 2}, "seats": [
        {"uuid": "u", "seat_number": "3", "position": {"x": 1.0004, "y": -4}, "category": "a"}]}]}]}"#;
    let found = imported_by_uuid(document);
    assert_eq!(found.errors().count(), 0);
    let seat = &found.spec.sections[0].rows[0].seats[0];
    // Rounded once: three roundings would give 111.000.
    assert_eq!((&*seat.key, &*seat.label, seat.at), ("u", "7-3", Point { x: 111_001, y: -1_000 }));
}

#[test]
fn what_is_no_document_says_where() {
    let options = ImportOptions::default();
    let error = import(Format::Usher, b"{\n  \"name\": x}", &options).expect_err("not JSON");
    assert!(matches!(error, ImportError::NotJson { line: 2, column: 11, .. }), "{error:?}");
    let deep = "[".repeat(100_000);
    assert!(matches!(import(Format::Seatsio, deep.as_bytes(), &options), Err(ImportError::NotJson { .. })));
    let large = vec![b' '; IMPORT_BYTES_MAX + 1];
    assert_eq!(import(Format::Pretix, &large, &options), Err(ImportError::TooLarge { bytes: IMPORT_BYTES_MAX + 1 }));
    let repair = ImportOptions { repair: true, ..options };
    assert_eq!(import(Format::Usher, b"{}", &repair), Err(ImportError::RepairUnsupported));
    assert_eq!(check(Format::Usher, b"")[0].path, "document");
    for format in [Format::Usher, Format::Seatsio, Format::Pretix] {
        assert_eq!(format.name().parse(), Ok(format));
        let listed = lines(&imported(format, "[]"));
        assert_eq!(listed[0], "Error document: found a list; must be an object");
    }
}
