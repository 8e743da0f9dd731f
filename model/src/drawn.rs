//! Plans drawn as text, for tests whose results are found by hand.
//!
//! ```text
//! front
//!   ..x..|a.
//!   (....)
//! back
//!   ::..
//! ```
//!
//! A word is a section; what is indented are its rows, in round brackets its tables. `.` a seat, `:` one
//! of the second price level, `x` and `X` the same, taken; `a` accessible, `c` companion, `b` both; `|`
//! an aisle. The seat in column `c` of the `r`th row of the plan stands at (1000 c, 1000 r), both counted
//! from 1, and best is measured from (0, 0).

use inventory_core::{
    ids::PlanDigest,
    plan::{ACCESSIBLE, Area, COMPANION, Plan, PlanSpec, Point, RowKind, RowSpec, SeatSpec, SectionSpec},
};

/// The plan, and which of its seats are open.
pub(crate) fn drawn(text: &str) -> (PlanSpec, Vec<bool>) {
    let mut spec = PlanSpec {
        name: "drawn".into(),
        price_levels: vec!["high".into(), "low".into()],
        focal_point: Some(Point { x: 0, y: 0 }),
        ..PlanSpec::default()
    };
    let mut open = Vec::new();
    let mut rows = 0;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        if !line.starts_with(' ') {
            spec.sections.push(SectionSpec { key: line.into(), label: "".into(), zone: None, rows: Vec::new() });
            continue;
        }
        rows += 1;
        let kind = if line.contains('(') { RowKind::Table } else { RowKind::Row };
        let mut seats: Vec<SeatSpec> = Vec::new();
        for letter in line.chars().filter(|letter| !" ()".contains(*letter)) {
            if letter == '|' {
                seats.last_mut().expect("an aisle follows a seat").aisle_after = true;
                continue;
            }
            let column = seats.len() as i32 + 1;
            open.push(!"xX".contains(letter));
            seats.push(SeatSpec {
                key: format!("{rows}-{column}").into(),
                label: "".into(),
                at: Point { x: 1_000 * column, y: 1_000 * rows },
                level: u8::from(":X".contains(letter)),
                attributes: match letter {
                    'a' => ACCESSIBLE,
                    'c' => COMPANION,
                    'b' => ACCESSIBLE | COMPANION,
                    '.' | ':' | 'x' | 'X' => 0,
                    _ => panic!("no seat is drawn as {letter}"),
                },
                aisle_after: false,
            });
        }
        let section = spec.sections.last_mut().expect("a section before its rows");
        section.rows.push(RowSpec { label: "".into(), kind, seats });
    }
    (spec, open)
}

/// An area of the first price level in no zone.
pub(crate) fn area(key: &str, capacity: u32, centre: Point) -> Area {
    Area { key: key.into(), label: "".into(), zone: None, level: 0, capacity, centre }
}

pub(crate) fn build(spec: &PlanSpec) -> Plan {
    Plan::build(spec, PlanDigest([7; 32])).expect("a drawn plan is right")
}
