//! What the tests share: chance with a seed, small plans with everything in them, and who plays stories.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

pub mod cart_words;
pub mod carts;
pub mod core;
pub mod story;

use std::sync::Arc;

use inventory_core::{
    ids::PlanDigest,
    plan::{ACCESSIBLE, Area, COMPANION, Plan, PlanSpec, Point, RowKind, RowSpec, SeatSpec, SectionSpec, Zone},
    plan_codec::encode_plan,
};

/// SplitMix64.
#[derive(Clone)]
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Under `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub fn within(&mut self, range: std::ops::RangeInclusive<u64>) -> u64 {
        range.start() + self.next() % (range.end() - range.start() + 1)
    }

    /// True `percent` times in a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

/// A row as text: a letter for each seat (`a`: accessible, `c`: companion, `.`: neither; upper case
/// `A`, `C`, `:` the same in the second price level), `|` an aisle.
pub fn row(label: &str, at: Point, text: &str) -> RowSpec {
    let mut seats: Vec<SeatSpec> = Vec::new();
    for letter in text.chars() {
        if letter == '|' {
            seats.last_mut().expect("an aisle follows a seat").aisle_after = true;
            continue;
        }
        let attributes = match letter.to_ascii_lowercase() {
            'a' => ACCESSIBLE,
            'c' => COMPANION,
            _ => 0,
        };
        let number = seats.len() + 1;
        seats.push(SeatSpec {
            key: format!("{label}-{number}").into(),
            label: number.to_string().into(),
            at: Point { x: at.x + 500 * number as i32, y: at.y },
            level: u8::from(letter.is_ascii_uppercase() || letter == ':'),
            attributes,
            aisle_after: false,
        });
    }
    RowSpec { label: label.into(), kind: RowKind::Row, seats }
}

pub fn table(label: &str, at: Point, text: &str) -> RowSpec {
    RowSpec { kind: RowKind::Table, ..row(label, at, text) }
}

pub fn section(key: &str, zone: Option<u8>, rows: Vec<RowSpec>) -> SectionSpec {
    SectionSpec { key: key.into(), label: key.into(), zone, rows }
}

pub fn area(key: &str, zone: Option<u8>, level: u8, capacity: u32, x: i32) -> Area {
    Area { key: key.into(), label: key.into(), zone, level, capacity, centre: Point { x, y: 20_000 } }
}

/// The house of most tests. Revision 0 has everything; 1 has it in another order with another row;
/// 2 lost a section, an area and part of another area.
pub fn house(revision: u8) -> PlanSpec {
    let at = |x, y| Point { x, y };
    let front = section(
        "front",
        Some(0),
        vec![
            row("A", at(0, 1_000), "....|..ca"),
            row("B", at(250, 2_000), "::..::"),
            table("T", at(6_000, 1_500), "...."),
        ],
    );
    let back = section("back", Some(1), vec![row("C", at(0, 5_000), "cac.:"), row("D", at(-500, 6_000), ".|....|AA")]);
    let side = section("side", None, vec![row("E", at(9_000, 1_000), "......")]);
    let zones = vec![
        Zone { key: "stalls".into(), label: "Stalls".into(), focal_point: Some(at(2_000, 0)) },
        Zone { key: "balcony".into(), label: "Balcony".into(), focal_point: (revision == 1).then(|| at(0, 9_000)) },
    ];
    let spec = PlanSpec {
        name: "house".into(),
        price_levels: vec!["high".into(), "low".into()],
        zones,
        focal_point: (revision != 1).then(|| at(2_250, 0)),
        sections: vec![front, back, side],
        areas: vec![area("floor", Some(0), 0, 9, 0), area("bar", None, 1, 4, 5_000)],
    };
    match revision {
        0 => spec,
        1 => {
            let mut spec = spec;
            spec.sections.reverse();
            spec.sections[1].rows.insert(1, row("F", at(0, 7_000), "....."));
            spec.areas.reverse();
            spec.price_levels = vec!["low".into(), "high".into()];
            spec
        }
        _ => {
            let mut spec = spec;
            spec.sections.remove(2);
            spec.sections[0].rows[0].seats.truncate(5);
            spec.areas.truncate(1);
            spec.areas[0].capacity = 5;
            spec
        }
    }
}

/// A plan of one row.
pub fn one_row(text: &str) -> PlanSpec {
    PlanSpec {
        name: "row".into(),
        price_levels: vec!["high".into(), "low".into()],
        sections: vec![section("all", None, vec![row("A", Point { x: 0, y: 0 }, text)])],
        ..PlanSpec::default()
    }
}

/// Rows of many seats and an area of many places, for large holds.
pub fn hall() -> PlanSpec {
    let at = |y| Point { x: 0, y };
    let long = format!("{}|{}", ".".repeat(40), ":".repeat(37));
    let rows =
        vec![row("A", at(1_000), &long), row("B", at(2_000), &".".repeat(70)), row("C", at(3_000), "....ca....")];
    PlanSpec {
        name: "hall".into(),
        price_levels: vec!["high".into(), "low".into()],
        sections: vec![section("all", None, rows)],
        areas: vec![area("floor", None, 0, 90, 0)],
        ..PlanSpec::default()
    }
}

/// A plan of areas only.
pub fn field() -> PlanSpec {
    PlanSpec {
        name: "field".into(),
        price_levels: vec!["high".into(), "low".into()],
        areas: vec![area("floor", None, 0, 6, 0), area("hill", None, 1, 3, 100)],
        ..PlanSpec::default()
    }
}

/// The plan with another level for these places, as whoever asks for it makes it; nothing when the level is one too many.
pub fn with_level(spec: &PlanSpec, plan: &Plan, seats: &[u32], areas: &[u16], level: &str) -> Option<PlanSpec> {
    let mut spec = spec.clone();
    let number = match spec.price_levels.iter().position(|known| **known == *level) {
        Some(number) => number,
        None => {
            spec.price_levels.push(level.into());
            spec.price_levels.len() - 1
        }
    };
    if spec.price_levels.len() > 255 {
        return None;
    }
    let number = u8::try_from(number).expect("one of 255");
    let keys: Vec<&str> = seats.iter().map(|&seat| plan.seat_key(seat)).collect();
    let rows = spec.sections.iter_mut().flat_map(|section| &mut section.rows);
    let all = rows.flat_map(|row| &mut row.seats);
    all.filter(|seat| keys.contains(&&*seat.key)).for_each(|seat| seat.level = number);
    areas.iter().for_each(|&area| spec.areas[usize::from(area)].level = number);
    Some(spec)
}

/// Build it under a digest that is that of its content.
pub fn build_by_content(spec: &PlanSpec) -> Arc<Plan> {
    let mut bytes = [0xff; 32];
    let fnv = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = encode_plan(spec).iter().fold(0xcbf2_9ce4_8422_2325, fnv);
    bytes[..8].copy_from_slice(&hash.to_le_bytes());
    Arc::new(Plan::build(spec, PlanDigest(bytes)).expect("a plan of the tests is right"))
}

/// Build it under a digest of its own: the core never computes one.
pub fn build(spec: &PlanSpec, digest: u8) -> Arc<Plan> {
    Arc::new(Plan::build(spec, PlanDigest([digest; 32])).expect("a plan of the tests is right"))
}
