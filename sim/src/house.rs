//! Venue plans of simulated events: two sections, one of them with a table, and an area.

use inventory_core::plan::{
    ACCESSIBLE, Area, COMPANION, PlanSpec, Point, RowKind, RowSpec, SeatSpec, SectionSpec, Zone,
};

use crate::options::Options;

/// The plan of this variant. Variants of even number have every place of variant 0; odd ones lack the last row.
#[must_use]
pub fn plan(options: &Options, variant: u64) -> PlanSpec {
    let rows = if variant % 2 == 1 && options.rows > 1 { options.rows - 1 } else { options.rows };
    let row = |section: u64, number: u64| RowSpec {
        label: format!("{number}").into(),
        kind: if section == 1 && number == 0 { RowKind::Table } else { RowKind::Row },
        seats: (0..options.seats).map(|seat| seat_of(section, number, seat)).collect(),
    };
    let section = |number: u64, rows: std::ops::Range<u64>| SectionSpec {
        key: format!("s{number}").into(),
        label: format!("Section {number}").into(),
        zone: Some(0),
        rows: rows.map(|at| row(number, at)).collect(),
    };
    let mut sections = vec![section(0, 0..rows.div_ceil(2))];
    if rows / 2 > 0 {
        sections.push(section(1, 0..rows / 2));
    }
    // Another order: state follows the key, never the index.
    if variant >= 2 {
        sections.reverse();
    }
    PlanSpec {
        name: format!("house {variant}").into(),
        price_levels: vec!["gold".into(), "silver".into()],
        zones: vec![Zone { key: "hall".into(), label: "Hall".into(), focal_point: None }],
        focal_point: Some(Point { x: 4_000, y: -1_000 }),
        sections,
        areas: vec![Area {
            key: "floor".into(),
            label: "Floor".into(),
            zone: None,
            level: 1,
            // Bounded by the options.
            capacity: options.admissions as u32,
            centre: Point { x: 0, y: 0 },
        }],
    }
}

fn seat_of(section: u64, row: u64, seat: u64) -> SeatSpec {
    // A hall of a few hundred seats.
    let (x, y) = ((seat * 1_000 + section * 50_000) as i32, (row * 1_000) as i32);
    SeatSpec {
        key: format!("{section}-{row}-{seat}").into(),
        label: format!("{seat}").into(),
        at: Point { x, y },
        level: (section % 2) as u8,
        attributes: match seat {
            0 if row == 0 => ACCESSIBLE,
            1 if row == 0 => COMPANION,
            _ => 0,
        },
        aisle_after: seat == 4,
    }
}
