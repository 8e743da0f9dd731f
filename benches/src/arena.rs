//! Plans of any size: rows that lie around a stage, nearest first, with an aisle in the middle of each.

use std::sync::Arc;

use inventory_core::{
    ids::PlanDigest,
    plan::{Area, Plan, PlanSpec, Point, RowKind, RowSpec, SeatSpec, SectionSpec},
    slot::Plans,
};

/// Millimetres from seat to seat.
const SEAT_MM: i32 = 500;
/// Millimetres from row to row.
const ROW_MM: i32 = 900;
/// Rows of one section.
const ROWS_PER_SECTION: u32 = 25;

/// A plan in which so many seats stand in rows of `seats_per_row`, and an area for `admissions`, which may be none.
///
/// Sections stand side by side, ten in a line before the next line begins, so that the nearest rows are those of
/// many sections, as in a house that is a house.
#[must_use]
pub fn spec(seats: u32, seats_per_row: u32, admissions: u32) -> PlanSpec {
    let row_count = seats.div_ceil(seats_per_row);
    let sections = (0..row_count.div_ceil(ROWS_PER_SECTION)).map(|section| {
        let first = section * ROWS_PER_SECTION;
        let rows = first..row_count.min(first + ROWS_PER_SECTION);
        SectionSpec {
            key: format!("s{section}").into(),
            label: format!("Section {section}").into(),
            zone: None,
            rows: rows.map(|row| row_of(section, row, seats, seats_per_row)).collect(),
        }
    });
    let sections = sections.collect();
    let area = Area {
        key: "floor".into(),
        label: "Floor".into(),
        zone: None,
        level: 0,
        capacity: admissions,
        centre: Point { x: 0, y: 0 },
    };
    PlanSpec {
        name: "arena".into(),
        price_levels: vec!["A".into(), "B".into(), "C".into()],
        focal_point: Some(Point { x: 0, y: 0 }),
        sections,
        areas: if admissions == 0 { Vec::new() } else { vec![area] },
        ..PlanSpec::default()
    }
}

fn row_of(section: u32, row: u32, seats: u32, seats_per_row: u32) -> RowSpec {
    let in_row = seats_per_row.min(seats - row * seats_per_row);
    let (line, column) = (section / 10, section % 10);
    // Columns alternate to the left and to the right of the stage's middle.
    let side = if column % 2 == 0 { 1 } else { -1 };
    let left = side * (column.div_ceil(2) * (seats_per_row + 2)) as i32 * SEAT_MM;
    let depth = (line * (ROWS_PER_SECTION + 2) + row % ROWS_PER_SECTION + 5) as i32 * ROW_MM;
    RowSpec {
        label: format!("{row}").into(),
        kind: RowKind::Row,
        seats: (0..in_row)
            .map(|seat| SeatSpec {
                key: format!("{row}-{seat}").into(),
                label: format!("{seat}").into(),
                at: Point { x: left + (seat as i32 - seats_per_row as i32 / 2) * SEAT_MM, y: depth },
                level: (section % 3) as u8,
                attributes: 0,
                aisle_after: seat + 1 == seats_per_row / 2,
            })
            .collect(),
    }
}

/// The plan of a [`spec`].
#[must_use]
pub fn plan(seats: u32, seats_per_row: u32, admissions: u32) -> Arc<Plan> {
    let spec = spec(seats, seats_per_row, admissions);
    Arc::new(Plan::build(&spec, PlanDigest([0; 32])).expect("the plan is sound"))
}

/// All events have this plan.
pub struct OnePlan(pub Arc<Plan>);

impl Plans for OnePlan {
    fn plan(&self, _: &PlanDigest) -> Arc<Plan> {
        Arc::clone(&self.0)
    }
}
