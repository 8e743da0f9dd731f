//! Our own format: the plans of the repository, the example of its document, and export.

mod documents;

use std::collections::BTreeSet;

use documents::{Random, imported, lines, own_plan};
use inventory_core::{
    ids::PlanDigest,
    limits::{AREAS_PER_PLAN_MAX, PLACES_PER_EVENT_MAX},
    plan::{
        ACCESSIBLE, ATTRIBUTES, Area, COMPANION, Plan, PlanSpec, Point, RESTRICTED_VIEW, RowKind, RowSpec, SeatSpec,
        SectionSpec, Zone,
    },
    plan_codec::{decode_plan, encode_plan},
};
use venue::{Format, export};

/// A plan without a problem, whose seats stand apart.
fn good(document: &str) -> PlanSpec {
    let plan = imported(Format::Usher, document);
    assert_eq!(lines(&plan), Vec::<String>::new());
    let spec = plan.spec;
    assert_eq!(imported(Format::Usher, &export(&spec)).spec, spec);
    assert_eq!(decode_plan(&encode_plan(&spec)).as_ref(), Ok(&spec));
    Plan::build(&spec, PlanDigest([0; 32])).expect("no errors");
    let mut all = BTreeSet::new();
    for seat in seats(&spec) {
        assert!(all.insert((seat.at.x, seat.at.y)), "{} stands on another seat", seat.key);
    }
    spec
}

fn seats(spec: &PlanSpec) -> impl Iterator<Item = &SeatSpec> {
    spec.sections.iter().flat_map(|section| &section.rows).flat_map(|row| &row.seats)
}

fn count(spec: &PlanSpec, attribute: u8) -> usize {
    seats(spec).filter(|seat| seat.attributes & attribute != 0).count()
}

/// Neighbours without an aisle between them stand `least` to `most` thousandths apart.
fn assert_spacing(spec: &PlanSpec, least: u64, most: u64) {
    for row in spec.sections.iter().flat_map(|section| &section.rows) {
        for pair in row.seats.windows(2) {
            let apart = pair[0].at.distance(pair[1].at) / 1_024;
            assert!((least..=most).contains(&apart), "{} and {}: {apart}", pair[0].key, pair[1].key);
        }
    }
}

#[test]
fn the_theatre_has_300_seats() {
    let spec = good(&own_plan("theatre-300.json"));
    assert_eq!(spec.seat_count(), 300);
    assert!(spec.areas.is_empty());
    assert_eq!(spec.price_levels.len(), 3);
    assert_eq!(
        spec.sections.iter().map(|s| (&*s.key, s.rows.len())).collect::<Vec<_>>(),
        [("Stalls", 12), ("Balcony", 12)]
    );
    assert_eq!((count(&spec, ACCESSIBLE), count(&spec, COMPANION), count(&spec, RESTRICTED_VIEW)), (6, 6, 6));
    assert_eq!(seats(&spec).filter(|seat| seat.aisle_after).count(), 24);
    // Odd and even numbers on the two sides of the balcony.
    let sides = spec.sections[1].rows.iter().take(2).map(|row| row.seats.iter().map(|s| &*s.label).collect::<Vec<_>>());
    assert_eq!(
        sides.collect::<Vec<_>>(),
        [["17", "15", "13", "11", "9", "7", "5", "3", "1"], ["2", "4", "6", "8", "10", "12", "14", "16", "18"]]
    );
    assert_spacing(&spec, 549, 551);
    // Both halves of a row are equally far from the stage.
    let row = &spec.sections[0].rows[0].seats;
    let stage = spec.focal_point.expect("the theatre has one");
    assert!((0..8).all(|i| row[i].at.distance(stage) == row[15 - i].at.distance(stage)));
}

#[test]
fn the_arena_has_about_20_000_places() {
    let text = own_plan("arena-20000.json");
    assert!(text.len() < 300 << 10);
    let spec = good(&text);
    let places = spec.seat_count() + spec.areas.iter().map(|area| area.capacity as usize).sum::<usize>();
    assert!((19_500..=20_500).contains(&places), "{places}");
    assert_eq!(spec.areas.iter().map(|area| (&*area.key, area.capacity)).collect::<Vec<_>>(), [("Floor", 2_000)]);
    assert_eq!(spec.zones.iter().filter(|zone| zone.focal_point.is_some()).count(), 2);
    assert!(spec.sections.iter().all(|section| section.zone.is_some()));
    let tables = spec.sections.iter().flat_map(|section| &section.rows).filter(|row| row.kind == RowKind::Table);
    assert_eq!(tables.map(|table| table.seats.len()).collect::<Vec<_>>(), [6; 20]);
    assert_eq!((count(&spec, ACCESSIBLE), count(&spec, COMPANION)), (72, 72));
    assert_spacing(&spec, 480, 720);
}

/// FNV-1a: enough to see that bytes differ.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

#[test]
fn our_plans_have_the_same_bytes_on_every_machine() {
    // A plan is named by its digest. The arena's arcs are where a mathematics library would show.
    for (name, expected) in [("theatre-300.json", 0x19f4_a7c7_82dd_ac20), ("arena-20000.json", 0xda64_4635_eb36_785f)] {
        let found = hash(&encode_plan(&good(&own_plan(name))));
        assert_eq!(found, expected, "{name}: found {found:#018x}");
    }
}

#[test]
fn the_documented_example_is_a_plan() {
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/PLANS.md"))
        .expect("the format is documented");
    let example = document.split("```json\n").nth(1).and_then(|rest| rest.split("```").next());
    let spec = good(example.expect("an example in JSON"));
    assert_eq!((spec.seat_count(), spec.sections.len(), spec.areas.len()), (10 + 5 + 5 + 12 + 3 + 2 * 6, 2, 1));
    assert_eq!(&*spec.sections[0].rows[4].seats[2].key, "Stalls-D-3-armchair");
    assert_eq!(&*spec.sections[0].rows[2].seats[4].key, "Stalls-B-10");
    assert_eq!(spec.areas[0].centre, Point { x: 30_000, y: 12_000 });
    // The first seat of a table is at its top.
    assert_eq!(spec.sections[1].rows[0].seats[0].at, Point { x: 27_000, y: 4_100 });
}

/// Any plan without errors, with keys that have nothing to do with labels.
fn random_plan(random: &mut Random) -> PlanSpec {
    let mut next_key = 0;
    let mut key = |random: &mut Random| -> Box<str> {
        next_key += 1;
        format!("{}{next_key}", ["é\"", "k-", "\\", " 席"][random.below(4)]).into()
    };
    let point = |random: &mut Random| Point { x: random.next() as i32, y: random.next() as i32 };
    let maybe = |random: &mut Random| (random.below(2) == 0).then(|| point(random));
    let levels = 1 + random.below(4);
    let zones = random.below(4);
    let zone = |random: &mut Random| (zones > 0 && random.below(2) == 0).then(|| random.below(zones) as u8);
    let mut spec = PlanSpec {
        name: key(random),
        price_levels: (0..levels).map(|_| key(random)).collect(),
        zones: (0..zones).map(|_| Zone { key: key(random), label: key(random), focal_point: maybe(random) }).collect(),
        focal_point: maybe(random),
        ..PlanSpec::default()
    };
    for _ in 0..1 + random.below(4) {
        let section = SectionSpec { key: key(random), label: key(random), zone: zone(random), rows: vec![] };
        spec.sections.push(section);
        for _ in 0..random.below(4) {
            let kind = if random.below(3) == 0 { RowKind::Table } else { RowKind::Row };
            let label = ["", "A", "B"][random.below(3)].into();
            let seats = (0..1 + random.below(6)).map(|_| SeatSpec {
                key: key(random),
                label: key(random),
                at: point(random),
                level: random.below(levels) as u8,
                attributes: random.next() as u8 & ATTRIBUTES,
                aisle_after: random.below(3) == 0,
            });
            let row = RowSpec { label, kind, seats: seats.collect() };
            spec.sections.last_mut().expect("just pushed").rows.push(row);
        }
    }
    for _ in 0..1 + random.below(3) {
        spec.areas.push(Area {
            key: key(random),
            label: key(random),
            zone: zone(random),
            level: random.below(levels) as u8,
            capacity: 1 + random.below(1_000) as u32,
            centre: point(random),
        });
    }
    spec
}

#[test]
fn what_was_exported_is_imported() {
    for seed in 0..500 {
        let spec = random_plan(&mut Random(seed));
        let again = imported(Format::Usher, &export(&spec));
        assert_eq!(again.errors().collect::<Vec<_>>(), Vec::<&_>::new(), "seed {seed}");
        assert_eq!(again.spec, spec, "seed {seed}");
    }
}

/// Problems of a document with one section of one row.
fn problems_of_row(row: &str) -> Vec<String> {
    let document = format!(
        r#"{{"usher_plan": 1, "name": "n", "price_levels": ["a"], "focal_point": [0, 0], "level": "a",
            "sections": [{{"key": "S", "rows": [{row}]}}]}}"#
    );
    lines(&imported(Format::Usher, &document))
}

#[test]
fn a_row_that_cannot_be_is_told_by_its_path() {
    let path = "sections[0].rows[0]";
    for (row, problem) in [
        (
            r#"{"label": "A", "count": 0, "start": [0, 0], "step": [1, 0]}"#,
            format!("{path}.count: found 0; must be a whole number from 1 to {PLACES_PER_EVENT_MAX}"),
        ),
        (r#"{"label": "A", "count": 2, "start": [0, 0]}"#, format!("{path}.step: missing; must be two numbers [x, y]")),
        (
            r#"{"label": "A", "count": 2, "start": [0, "x"], "step": [1, 0]}"#,
            format!("{path}.start[1]: found \"x\"; must be a number of plan units, under a thousand million"),
        ),
        (
            r#"{"label": "A", "count": 2, "start": [0, 0], "step": [1, 0], "number_step": 0}"#,
            format!("{path}.number_step: found 0; two seats would have one number"),
        ),
        (
            r#"{"label": "A", "count": 3, "start": [0, 0], "step": [1, 0], "number_step": -1}"#,
            format!("{path}.first_number: the last seat's number would be -1; must be 0 to 999999999"),
        ),
        (
            r#"{"label": "A", "count": 3, "start": [0, 0], "step": [1, 0], "number_step": 2, "accessible": [3, 4]}"#,
            format!("{path}.accessible[1]: found 4; must be a seat number of the row, 1 to 5 by 2"),
        ),
        (
            r#"{"label": "A", "count": 3, "start": [0, 0], "step": [1, 0], "aisle_after": [1]}"#,
            format!(
                "{path}.aisle_after: unknown field; known are label, kind, level, count, start, step, first_number, \
                  number_step, aisles_after, accessible, companion, restricted_view"
            ),
        ),
        (
            r#"{"label": "A", "count": 3, "start": [2147482, 0], "step": [1, 0]}"#,
            format!("{path}: seat 3 is too far away; at most 2147483.647 plan units from the origin"),
        ),
        (
            r#"{"label": "A", "kind": "ring", "seats": [{"label": "1", "at": [0, 0]}]}"#,
            format!("{path}.kind: found \"ring\"; must be \"row\" or \"table\""),
        ),
        (
            r#"{"label": "A", "seats": [{"label": "1", "at": [0, 0]}, {"label": "2", "at": [1, 0], "leg_room": true}]}"#,
            format!(
                "{path}.seats[1].leg_room: unknown field; known are key, label, at, level, accessible, companion, \
                  restricted_view, aisle_after"
            ),
        ),
        (
            r#"{"label": "A", "seats": [{"label": "1", "at": [0, 0], "level": "b"}]}"#,
            format!("{path}.seats[0].level: found \"b\"; no such price level"),
        ),
        (
            r#"{"label": "A", "seats": [{"label": "1", "at": [0, 0]}, {"label": "2", "at": [1, 0], "key": "S-A-1"}]}"#,
            format!("{path}.seats[1].key: seat key \"S-A-1\" stands more than once"),
        ),
    ] {
        let expected = format!("Error {problem}");
        assert_eq!(problems_of_row(row).first(), Some(&expected), "{row}");
    }
}

#[test]
fn generated_rows_that_meet_are_told_at_the_row() {
    let row = r#"{"label": "A", "count": 2, "start": [0, 0], "step": [1, 0]}"#;
    assert_eq!(
        problems_of_row(&format!("{row}, {row}")),
        [
            "Error sections[0].rows[1]: seat 1 of the row: seat key \"S-A-1\" stands more than once",
            "Error sections[0].rows[1]: seat 2 of the row: seat key \"S-A-2\" stands more than once",
        ]
    );
}

#[test]
fn everything_wrong_is_told_at_once_and_by_the_path_of_the_document() {
    let document = r#"{"usher_plan": 2, "name": 7, "price_levels": ["a", "a", 3], "colour": "red",
        "zones": [{"key": "z", "focal_point": [1]}, {"label": "no key"}],
        "groups": [{"zone": "y", "sections": [{"key": "S", "label": "tab\there", "rows": []}, {"rows": {}}],
                    "groups": [{"areas": [{"key": "G", "capacity": 0, "centre": [0, 0]}]}, []]}]}"#;
    let found = lines(&imported(Format::Usher, document));
    let paths = found.iter().map(|line| line.split(": ").next().unwrap_or_default()).collect::<Vec<_>>();
    assert_eq!(
        paths,
        [
            "Error colour",
            "Error usher_plan",
            "Error name",
            "Error price_levels[2]",
            "Error zones[0].focal_point",
            "Error zones[1].key",
            "Error groups[0].zone",
            "Error groups[0].sections[1].key",
            "Error groups[0].sections[1].rows",
            "Error groups[0].groups[0].areas[0].capacity",
            "Error groups[0].groups[0].areas[0].level",
            "Error groups[0].groups[1]",
            "Error price_levels[1]",
            "Warning focal_point",
            "Error groups[0].sections[0].label",
        ]
    );
}

#[test]
fn a_short_document_generates_no_more_than_an_event_may_have() {
    let row = r#"{"label": "A", "count": 600000, "start": [0, 0], "step": [0.001, 0]}"#;
    let found = problems_of_row(&format!("{row}, {}", row.replace("\"A\"", "\"B\"")));
    assert_eq!(found[0], "Error sections[0].rows[1].count: found 600000; at most 1000000 seats in a plan");
}

#[test]
fn too_many_levels_zones_and_areas_are_refused_and_never_wrap() {
    let many = |count: usize, one: &dyn Fn(usize) -> String| (0..count).map(one).collect::<Vec<_>>().join(",");
    let document = format!(
        r#"{{"usher_plan": 1, "name": "n", "focal_point": [0, 0], "price_levels": [{}], "zones": [{}], "areas": [{}]}}"#,
        many(300, &|i| format!("\"l{i}\"")),
        many(300, &|i| format!("{{\"key\": \"z{i}\"}}")),
        many(AREAS_PER_PLAN_MAX + 1, &|i| format!(
            "{{\"key\": \"a{i}\", \"level\": \"l299\", \"zone\": \"z299\", \"capacity\": 1, \"centre\": [0, 0]}}"
        )),
    );
    assert_eq!(
        lines(&imported(Format::Usher, &document)),
        [
            "Error plan: price_levels: found 300; at most 255",
            "Error plan: zones: found 300; at most 255",
            "Error plan: areas: found 4097; at most 4096",
        ]
    );
}
