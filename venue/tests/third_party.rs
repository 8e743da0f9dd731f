//! Plans that nobody here drew: six seats.io charts and a pretix stadium.

mod documents;

use std::collections::BTreeSet;

use documents::{imported, imported_by_uuid, lines, third_party};
use inventory_core::{
    ids::PlanDigest,
    plan::{Plan, Point, RowKind, Severity},
    plan_codec::{decode_plan, encode_plan},
};
use venue::{Format, Imported, export};

/// A chart without errors: it builds, its file decodes, our own format carries it.
fn seatsio(name: &str) -> Option<Imported> {
    let chart = imported(Format::Seatsio, &third_party(&format!("seatsio/{name}"))?);
    sells(&chart);
    Some(chart)
}

fn sells(imported: &Imported) {
    assert_eq!(imported.errors().collect::<Vec<_>>(), Vec::<&_>::new());
    let spec = &imported.spec;
    assert_eq!(decode_plan(&encode_plan(spec)).as_ref(), Ok(spec));
    let again = documents::imported(Format::Usher, &export(spec));
    assert_eq!(&again.spec, spec);
    let plan = Plan::build(spec, PlanDigest([0; 32])).expect("no errors");
    assert_eq!(plan.seat_count() as usize, spec.seat_count());
}

fn row_count(imported: &Imported) -> usize {
    imported.spec.sections.iter().map(|section| section.rows.len()).sum()
}

#[test]
fn the_plain_chart() {
    let Some(chart) = seatsio("sampleChart.json") else { return };
    assert_eq!(lines(&chart), Vec::<String>::new());
    assert_eq!((chart.spec.seat_count(), row_count(&chart)), (32, 4));
    assert_eq!(
        chart.spec.areas.iter().map(|area| (&*area.key, area.capacity)).collect::<Vec<_>>(),
        [("GA1", 100), ("GA2", 100)]
    );
    let first = &chart.spec.sections[0].rows[0].seats[0];
    assert_eq!((&*first.key, &*first.label, first.at), ("A-1", "1", Point { x: 151_940, y: 99_560 }));
    assert_eq!(&*chart.spec.sections[0].key, "main");
    assert_eq!(chart.spec.focal_point, Some(Point { x: 225_000, y: 33_230 }));
}

#[test]
fn the_chart_with_sections() {
    let Some(chart) = seatsio("sampleChartWithSections.json") else { return };
    assert_eq!((chart.spec.seat_count(), chart.spec.sections.len()), (71, 2));
    assert_eq!(&*chart.spec.sections[0].rows[0].seats[0].key, "Section A-A-1");
    // The seats have no category of their own: the section's counts.
    assert_eq!(&*chart.spec.price_levels[0], "cat1");
}

#[test]
fn the_chart_with_tables() {
    let Some(chart) = seatsio("sampleChartWithTables.json") else { return };
    let rows = &chart.spec.sections[0].rows;
    assert_eq!(rows.iter().map(|row| (row.kind, row.seats.len())).collect::<Vec<_>>(), [(RowKind::Table, 6); 2]);
    assert_eq!(
        lines(&chart),
        ["Warning subChart.tables[1].bookAsAWhole: whole-table booking is not supported; sold by seat"]
    );
}

#[test]
fn the_chart_with_floors() {
    let Some(chart) = seatsio("sampleChartWithFloors.json") else { return };
    assert_eq!(chart.spec.seat_count(), 4);
    // Labels differ between the floors: no need of the floors' names.
    assert_eq!(chart.spec.sections.iter().map(|section| &*section.key).collect::<Vec<_>>(), ["S1", "S2"]);
    assert_eq!(
        lines(&chart),
        [
            "Warning subChartFloors[0].focalPoint: none given: \"best\" is measured from the middle of the top edge of the plan"
        ]
    );
}

#[test]
fn the_chart_with_zones() {
    let Some(chart) = seatsio("sampleChartWithZones.json") else { return };
    assert_eq!(lines(&chart), Vec::<String>::new());
    assert_eq!((chart.spec.seat_count(), chart.spec.zones.len(), row_count(&chart)), (8_897, 2, 131));
    assert_eq!(
        chart.spec.sections.iter().map(|s| (&*s.key, s.zone)).collect::<Vec<_>>(),
        [("Goal Stand 4", Some(0)), ("Goal Stand 3", Some(0)), ("MT1", Some(1)), ("MT3", Some(1))]
    );
    // topLeft 39735.23, 22018.06 + seat 676, 976
    assert_eq!(chart.spec.sections[0].rows[0].seats[0].at, Point { x: 40_411_230, y: 22_994_060 });
    assert_eq!(chart.spec.zones[0].focal_point, Some(Point { x: 15_445_450, y: 18_181_820 }));
}

#[test]
fn the_chart_with_deliberate_errors() {
    let Some(text) = third_party("seatsio/sampleChartWithErrors.json") else { return };
    assert_eq!(
        lines(&imported(Format::Seatsio, &text)),
        [
            "Error subChart.rows[0].seats[1].label: \"A-1\" stands already at subChart.rows[0].seats[0].label",
            "Error subChart.rows[0].seats[2].label: found \"?\"; the object has no label yet",
            "Error subChart.rows[0].seats[3].categoryKey: missing; must be the key of a category, here or at the section",
            "Warning subChart.focalPoint: none given: \"best\" is measured from the middle of the top edge of the plan",
        ]
    );
}

#[test]
fn the_stadium_by_guid_is_refused_with_every_repetition() {
    let Some(text) = third_party("seatmap-canvas/stadium.json") else { return };
    let plan = imported(Format::Pretix, &text);
    let errors = plan.errors().collect::<Vec<_>>();
    assert_eq!(errors.len(), 738 - 318);
    assert!(errors.iter().all(|p| p.path.ends_with(".seat_guid") && p.problem.contains("stands already at zones[")));
    assert_eq!(errors[0].path, "zones[0].rows[6].seats[0].seat_guid");
    assert_eq!(
        errors[0].problem,
        "seat_guid \"Groundfloor-A-1\" stands already at zones[0].rows[0].seats[0].seat_guid"
    );
}

#[test]
fn the_stadium_by_uuid_sells() {
    let Some(text) = third_party("seatmap-canvas/stadium.json") else { return };
    let plan = imported_by_uuid(&text);
    sells(&plan);
    assert_eq!((plan.spec.seat_count(), row_count(&plan), plan.spec.price_levels.len()), (738, 90, 5));
    assert_eq!(
        plan.spec.sections.iter().map(|s| (&*s.key, &*s.label)).collect::<Vec<_>>(),
        [("Groundfloor", "Ground floor"), ("FirstFloor", "First Floor")]
    );
    let first = &plan.spec.sections[0].rows[0].seats[0];
    assert_eq!((&*first.label, first.at), ("A-1", Point { x: 1_261_057, y: 478_852 }));
    let warned: BTreeSet<_> = plan.problems.iter().map(|p| p.path.rsplit('.').next().unwrap_or_default()).collect();
    assert_eq!(warned, BTreeSet::from(["focal_point", "row_number"]));
    assert!(plan.problems.iter().all(|p| p.severity == Severity::Warning));
}
