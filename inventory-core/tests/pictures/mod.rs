//! Rows of seats drawn as text, and small random plans.
//!
//! ```text
//! .  open seat         x  taken seat      |  aisle
//! A  open, accessible  C  open, companion B  open, both
//! 1  open, price level 1 (the others have level 0)
//! (....)  a table      == section z   a new section, in zone z when named
//! ```
//!
//! A line is a row or a table. Seats stand one plan unit apart, rows too; every row is centred on
//! x = 0, the first row at y = 0. Aisles take no room.

#![allow(dead_code, reason = "each test file uses its own part")]

use inventory_core::{
    best_available::{Arrangement, Reach, Taken, Wanted},
    ids::PlanDigest,
    ladder::adjacent,
    openings::Openings,
    plan::{ACCESSIBLE, COMPANION, Plan, PlanSpec, Point, RowKind, RowSpec, SeatSpec, SectionSpec, Zone},
    policy::OrphanRule,
};

/// One bit a seat, twice.
#[derive(Clone, Debug, Default)]
pub(crate) struct Planes {
    pub(crate) held: Vec<u64>,
    pub(crate) sold: Vec<u64>,
    pub(crate) also: Vec<u32>,
    pub(crate) except: Vec<u32>,
}

impl Planes {
    pub(crate) fn open(seats: u32) -> Self {
        let words = seats.div_ceil(64) as usize;
        Self { held: vec![0; words], sold: vec![0; words], ..Self::default() }
    }

    pub(crate) fn taken(&self) -> Taken<'_> {
        Taken { held: &self.held, sold: &self.sold, also: &self.also, except: &self.except, reach: Reach::Every }
    }

    pub(crate) fn openings(&self, plan: &Plan) -> Openings {
        Openings::new(plan, |word| !(self.held[word as usize] | self.sold[word as usize]))
    }

    /// Give a seat the state with these two bits: 1 held, 2 sold, 3 killed.
    pub(crate) fn set(&mut self, seat: u32, bits: u8) {
        let (word, bit) = (seat as usize / 64, 1 << (seat % 64));
        self.held[word] = self.held[word] & !bit | if bits & 1 != 0 { bit } else { 0 };
        self.sold[word] = self.sold[word] & !bit | if bits & 2 != 0 { bit } else { 0 };
    }
}

/// A drawing, read.
pub(crate) struct Picture {
    pub(crate) spec: PlanSpec,
    pub(crate) plan: Plan,
    pub(crate) planes: Planes,
}

pub(crate) fn seat_spec(number: usize, at: Point) -> SeatSpec {
    let key = format!("s{number}").into_boxed_str();
    SeatSpec { label: key.clone(), key, at, level: 0, attributes: 0, aisle_after: false }
}

/// The plan and the taken seats of a drawing, measured from `focal`; zone `n` from `zone_focals[n]`.
pub(crate) fn picture(lines: &[&str], focal: Point, zone_focals: &[Point]) -> Picture {
    let zone = |(number, &focal): (usize, &Point)| Zone {
        key: format!("zone {number}").into(),
        label: "".into(),
        focal_point: Some(focal),
    };
    let mut spec = PlanSpec {
        price_levels: vec!["low".into(), "high".into()],
        zones: zone_focals.iter().enumerate().map(zone).collect(),
        focal_point: Some(focal),
        ..PlanSpec::default()
    };
    let section = |number: usize, zone| SectionSpec {
        key: format!("section {number}").into(),
        label: "".into(),
        zone,
        rows: Vec::new(),
    };
    let mut taken = Vec::new();
    let mut seats_so_far = 0;
    for (y, line) in lines.iter().enumerate() {
        if let Some(rest) = line.strip_prefix("== section") {
            spec.sections.push(section(spec.sections.len(), rest.trim().parse().ok()));
            continue;
        }
        if spec.sections.is_empty() {
            spec.sections.push(section(0, None));
        }
        let kind = if line.starts_with('(') { RowKind::Table } else { RowKind::Row };
        let count = line.chars().filter(|c| !"()|".contains(*c)).count() as i32;
        let mut seats: Vec<SeatSpec> = Vec::new();
        for c in line.chars().filter(|c| !"()".contains(*c)) {
            if c == '|' {
                seats.last_mut().expect("an aisle follows a seat").aisle_after = true;
                continue;
            }
            let at = Point { x: (2 * seats.len() as i32 - (count - 1)) * 500, y: y as i32 * 1_000 };
            let mut seat = seat_spec(seats_so_far, at);
            match c {
                '.' => {}
                'x' => taken.push(seats_so_far as u32),
                'A' => seat.attributes = ACCESSIBLE,
                'C' => seat.attributes = COMPANION,
                'B' => seat.attributes = ACCESSIBLE | COMPANION,
                '1' => seat.level = 1,
                other => panic!("no such seat: {other:?}"),
            }
            seats.push(seat);
            seats_so_far += 1;
        }
        let rows = &mut spec.sections.last_mut().expect("just made").rows;
        rows.push(RowSpec { label: format!("{y}").into(), kind, seats });
    }
    let plan = Plan::build(&spec, PlanDigest([0; 32])).expect("a drawing is a plan");
    let mut planes = Planes::open(plan.seat_count());
    for (nth, &seat) in taken.iter().enumerate() {
        // All three kinds of taken are taken.
        planes.set(seat, nth as u8 % 3 + 1);
    }
    Picture { spec, plan, planes }
}

/// Draw the wish's answer into `lines`: `*` for a pick that strands none, `!` for one that does.
pub(crate) fn draw_pick(lines: &[&str], picked: &[u32], arrangement: Arrangement) -> Vec<String> {
    let mark = match arrangement {
        Arrangement::Contiguous => '*',
        Arrangement::Stranding => '!',
        other => panic!("not of rungs 1 and 2: {other:?}"),
    };
    let mut seat = 0;
    let mut draw_line = |line: &&str| {
        let draw = |c| match c {
            '(' | ')' | '|' => c,
            _ => {
                seat += 1;
                if picked.contains(&(seat - 1)) { mark } else { c }
            }
        };
        if line.starts_with("==") { (*line).into() } else { line.chars().map(draw).collect() }
    };
    lines.iter().map(&mut draw_line).collect()
}

/// A story: rows as they are `->` rows with what was picked.
pub(crate) struct Story {
    pub(crate) wanted: Wanted,
    pub(crate) rule: OrphanRule,
    pub(crate) focal: Point,
    pub(crate) zone_focals: Vec<Point>,
    pub(crate) also: Vec<u32>,
    pub(crate) except: Vec<u32>,
}

/// `quantity` seats, nearest to the middle of the front edge.
pub(crate) fn want(quantity: u32) -> Story {
    Story {
        wanted: Wanted { quantity, ..Wanted::default() },
        rule: OrphanRule::Lenient,
        focal: Point { x: 0, y: -1_000 },
        zone_focals: Vec::new(),
        also: Vec::new(),
        except: Vec::new(),
    }
}

impl Story {
    pub(crate) fn rule(mut self, rule: OrphanRule) -> Self {
        self.rule = rule;
        self
    }

    pub(crate) fn focal(mut self, x: i32, y: i32) -> Self {
        self.focal = Point { x, y };
        self
    }

    pub(crate) fn zone_focals(mut self, focals: &[(i32, i32)]) -> Self {
        self.zone_focals = focals.iter().map(|&(x, y)| Point { x, y }).collect();
        self
    }

    pub(crate) fn zone(mut self, zone: u8) -> Self {
        self.wanted.zone = Some(zone);
        self
    }

    pub(crate) fn sections(mut self, sections: &[u16]) -> Self {
        self.wanted.sections = sections.into();
        self
    }

    pub(crate) fn levels(mut self, levels: &[u8]) -> Self {
        self.wanted.levels = levels.into();
        self
    }

    pub(crate) fn accessible(mut self, count: u32) -> Self {
        self.wanted.accessible_count = count;
        self
    }

    /// Seats the command takes besides, by index.
    pub(crate) fn also(mut self, seats: &[u32]) -> Self {
        self.also = seats.into();
        self
    }

    /// Seats of the hold that is replaced, by index.
    pub(crate) fn except(mut self, seats: &[u32]) -> Self {
        self.except = seats.into();
        self
    }

    /// The answer for the rows left of the arrows is the one drawn on their right.
    #[track_caller]
    pub(crate) fn check(&self, story: &str) {
        let lines = || story.lines().map(str::trim).filter(|line| !line.is_empty());
        let before: Vec<_> = lines().map(|line| line.split_once("->").map_or(line, |(left, _)| left.trim())).collect();
        let expected: Vec<_> =
            lines().map(|line| line.split_once("->").map_or(line, |(_, right)| right.trim())).collect();
        let mut picture = picture(&before, self.focal, &self.zone_focals);
        picture.planes.also.clone_from(&self.also);
        picture.planes.except.clone_from(&self.except);
        let found = adjacent(
            &picture.plan,
            Some(&picture.planes.openings(&picture.plan)),
            picture.planes.taken(),
            &self.wanted,
            self.rule,
        );
        let drawn = match found {
            Some((picked, arrangement)) => draw_pick(&before, &picked, arrangement),
            None => before.iter().map(|line| (*line).into()).collect(),
        };
        assert_eq!(drawn, expected);
    }
}

/// Xorshift: the same numbers for the same seed.
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 11) % bound
    }

    pub(crate) fn one_in(&mut self, of: u64) -> bool {
        self.below(of) == 0
    }

    /// A small plan: up to `rows_max` short rows a section and now and then one over several words,
    /// tables, aisles, levels, zones, accessible seats, mirrored or scattered positions.
    pub(crate) fn plan(&mut self, rows_max: u64) -> Plan {
        let zones = self.below(3) as usize;
        let scattered = self.one_in(3);
        let special_in = if self.one_in(2) { 5 } else { u64::MAX };
        let aisle_in = 2 + self.below(30);
        let mut spec = PlanSpec {
            price_levels: (0..3).map(|level| format!("level {level}").into()).collect(),
            zones: (0..zones)
                .map(|zone| Zone {
                    key: format!("zone {zone}").into(),
                    label: "".into(),
                    focal_point: (!self.one_in(3)).then(|| self.point()),
                })
                .collect(),
            focal_point: (!self.one_in(3)).then(|| self.point()),
            ..PlanSpec::default()
        };
        let mut seats_so_far = 0;
        let mut y = 0;
        for section in 0..1 + self.below(3) {
            let mut rows = Vec::new();
            for _ in 0..1 + self.below(rows_max) {
                let count = if self.one_in(12) { 60 + self.below(140) } else { 1 + self.below(14) };
                let kind = if self.one_in(8) { RowKind::Table } else { RowKind::Row };
                let mut seats = Vec::new();
                for x in 0..count as i32 {
                    let on_grid = Point { x: (2 * x - (count as i32 - 1)) * 500, y };
                    let mut seat = seat_spec(seats_so_far, if scattered { self.point() } else { on_grid });
                    seat.level = self.below(3) as u8 * u8::from(self.one_in(3));
                    seat.aisle_after = self.one_in(aisle_in);
                    if self.one_in(special_in) {
                        seat.attributes = 1 + self.below(7) as u8;
                    }
                    seats.push(seat);
                    seats_so_far += 1;
                }
                rows.push(RowSpec { label: "".into(), kind, seats });
                y += 1_000;
            }
            let zone = (zones > 0 && !self.one_in(3)).then(|| self.below(zones as u64) as u8);
            spec.sections.push(SectionSpec { key: format!("section {section}").into(), label: "".into(), zone, rows });
        }
        Plan::build(&spec, PlanDigest([0; 32])).expect("random plans are plans")
    }

    /// Seats that an earlier way took: mostly none, else some, sorted.
    pub(crate) fn avoided(&mut self, plan: &Plan) -> Vec<u32> {
        if !self.one_in(3) {
            return Vec::new();
        }
        let of = 2 + self.below(20);
        (0..plan.seat_count()).filter(|_| self.one_in(of)).collect()
    }

    fn point(&mut self) -> Point {
        Point { x: self.below(9) as i32 * 500 - 2_000, y: self.below(9) as i32 * 500 - 2_000 }
    }

    /// Planes with a random part of the seats taken, and short lists of exceptions.
    pub(crate) fn planes(&mut self, plan: &Plan) -> Planes {
        let mut planes = Planes::open(plan.seat_count());
        let taken_of_16 = self.below(16);
        // Now and then nearly all.
        let taken_of_256 = if self.one_in(4) { 255 - self.below(8) } else { 16 * taken_of_16 };
        // In clumps most seats are as the one before.
        let clumped = self.one_in(2);
        let mut is_taken = false;
        for seat in 0..plan.seat_count() {
            if !clumped || self.one_in(4) {
                is_taken = self.below(256) < taken_of_256;
            }
            if is_taken {
                planes.set(seat, 1 + self.below(3) as u8);
            }
            if self.one_in(20) {
                planes.also.push(seat);
            }
            if self.one_in(10) {
                planes.except.push(seat);
            }
        }
        if self.one_in(2) {
            planes.also.clear();
        }
        if self.one_in(2) {
            planes.except.clear();
        }
        planes
    }
}

/// Whether the command could hold the seat, seat by seat and without words.
pub(crate) fn plainly_open(planes: &Planes, seat: u32) -> bool {
    let bit = |plane: &[u64]| plane[(seat / 64) as usize] & 1 << (seat % 64) != 0;
    let (held, sold) = (bit(&planes.held), bit(&planes.sold));
    let state_open = !sold && (!held || planes.except.contains(&seat));
    state_open && !planes.also.contains(&seat)
}

/// The seats of a row that are runs of one when `open` says what is open, found by drawing the row.
pub(crate) fn plain_singles(plan: &Plan, row: u32, open: impl Fn(u32) -> bool) -> Vec<u32> {
    let row = &plan.rows()[row as usize];
    let mut runs: Vec<Vec<u32>> = vec![Vec::new()];
    for seat in row.seats() {
        if open(seat) {
            runs.last_mut().expect("starts with one").push(seat);
        }
        if !open(seat) || plan.aisle_after(seat) {
            runs.push(Vec::new());
        }
    }
    runs.into_iter().filter(|run| run.len() == 1).flatten().collect()
}

/// Whether a pick makes a run of one that was none before, by comparing before and after.
pub(crate) fn plainly_strands(plan: &Plan, planes: &Planes, row: u32, picked: &[u32]) -> bool {
    if plan.rows()[row as usize].kind == RowKind::Table {
        return false;
    }
    let before = plain_singles(plan, row, |seat| plainly_open(planes, seat));
    let after = plain_singles(plan, row, |seat| plainly_open(planes, seat) && !picked.contains(&seat));
    after.iter().any(|seat| !before.contains(seat))
}
