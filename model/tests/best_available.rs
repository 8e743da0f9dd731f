//! Best available: the core's choice is the naive one on every rung that picks seats, on random plans with random seats
//! taken.

mod world;

use std::collections::BTreeSet;

use inventory_core::{
    best_available::{self, Reach, Taken},
    ladder::{adjacent, split},
    openings::Openings,
    plan::{PlanSpec, Point, RowKind, SectionSpec, Zone},
    policy::OrphanRule,
};
use model::pick::{self, pick};
use world::{Rng, build, house, row};

const SEEDS: u64 = 1_000;
const PICKS_PER_PLAN: usize = 60;

#[test]
fn the_core_chooses_what_trying_every_window_chooses() {
    let seeds = match std::env::var("MODEL_SEED") {
        Ok(seed) => {
            let seed: u64 = seed.parse().expect("MODEL_SEED is a number");
            seed..seed + 1
        }
        Err(_) => 0..SEEDS,
    };
    for seed in seeds {
        let mut rng = Rng(seed);
        let spec = if rng.percent(30) { house(rng.below(3) as u8) } else { random_plan(&mut rng) };
        let plan = build(&spec, 0);
        for step in 0..PICKS_PER_PLAN {
            let count = plan.seat_count() as usize;
            let words = count.div_ceil(64);
            let (mut held, mut sold) = (vec![0_u64; words], vec![0_u64; words]);
            let mut open = vec![true; count];
            let fullness = rng.within(0..=90);
            let (mut also, mut except) = (Vec::new(), Vec::new());
            for seat in 0..count {
                if rng.percent(fullness) {
                    open[seat] = false;
                    let bit = 1 << (seat % 64);
                    match rng.below(8) {
                        0 => sold[seat / 64] |= bit,
                        1 => {
                            sold[seat / 64] |= bit;
                            held[seat / 64] |= bit;
                        }
                        2 => also.push(seat as u32),
                        3 => {
                            held[seat / 64] |= bit;
                            except.push(seat as u32);
                            open[seat] = true;
                            if rng.percent(20) {
                                also.push(seat as u32);
                                open[seat] = false;
                            }
                        }
                        _ => held[seat / 64] |= bit,
                    }
                }
            }
            let quantity = *rng.pick(&[1, 1, 2, 2, 2, 3, 3, 4, 5, 6, 7, 9, 64]);
            let naive = pick::Wanted {
                quantity,
                levels: if rng.percent(30) { vec![rng.below(2) as u8] } else { Vec::new() },
                sections: if rng.percent(30) { vec![rng.below(spec.sections.len()) as u16] } else { Vec::new() },
                zone: (rng.percent(30) && !spec.zones.is_empty()).then(|| rng.below(spec.zones.len()) as u8),
                accessible_count: if rng.percent(40) { rng.below(quantity.min(3) + 1) } else { 0 },
                avoid: BTreeSet::new(),
                avoid_areas: BTreeSet::new(),
            };
            let wanted = best_available::Wanted {
                quantity: quantity as u32,
                levels: naive.levels.clone(),
                sections: naive.sections.clone(),
                zone: naive.zone,
                accessible_count: naive.accessible_count as u32,
                avoid: Default::default(),
            };
            let rule = *rng.pick(&[OrphanRule::Off, OrphanRule::Lenient, OrphanRule::Strict]);
            let taken = Taken { held: &held, sold: &sold, also: &also, except: &except, reach: Reach::Every };
            let openings = Openings::new(&plan, |word| !(held[word as usize] | sold[word as usize]));
            let found = adjacent(&plan, Some(&openings), taken, &wanted, rule);
            let expected = pick(&plan, &open, &naive, rule);
            let what = || {
                format!(
                    "core, then model; seed {seed} step {step}: {wanted:?} {rule:?}\n{}\n\
                     again: MODEL_SEED={seed} cargo test -p model --test best_available",
                    picture(&spec, &open)
                )
            };
            assert_eq!(found, expected, "{}", what());
            // As the ladder asks for it, and also when there were adjacent seats.
            let pieces = split(&plan, Some(&openings), taken, &wanted);
            assert_eq!(pieces, pick::split(&plan, &open, &naive), "in pieces: {}", what());
        }
    }
}

fn random_plan(rng: &mut Rng) -> PlanSpec {
    let mut zones = Vec::new();
    for number in 0..rng.below(3) {
        let focal_point = rng.percent(60).then(|| point(rng));
        zones.push(Zone { key: format!("z{number}").into(), label: "".into(), focal_point });
    }
    let mut sections = Vec::new();
    for number in 0..1 + rng.below(3) {
        let mut rows = Vec::new();
        for line in 0..1 + rng.below(4) {
            let length = if rng.percent(10) { 1 + rng.below(150) } else { 1 + rng.below(12) };
            let mut text = String::new();
            let special = rng.within(0..=40);
            for seat in 0..length {
                text.push(if rng.percent(special) { *rng.pick(&['a', 'c', 'A', 'C', ':', 'c']) } else { '.' });
                if rng.percent(12) && seat + 1 < length {
                    text.push('|');
                }
            }
            let mut one = row(&format!("s{number}r{line}"), point(rng), &text);
            if rng.percent(10) {
                one.kind = RowKind::Table;
            }
            rows.push(one);
        }
        let zone = (!zones.is_empty() && rng.percent(70)).then(|| rng.below(zones.len()) as u8);
        sections.push(SectionSpec { key: format!("s{number}").into(), label: "".into(), zone, rows });
    }
    PlanSpec {
        name: "random".into(),
        price_levels: vec!["high".into(), "low".into()],
        zones,
        focal_point: rng.percent(60).then(|| point(rng)),
        sections,
        areas: Vec::new(),
    }
}

/// On a coarse grid, so that equal sums occur.
fn point(rng: &mut Rng) -> Point {
    Point { x: rng.below(9) as i32 * 500 - 2_000, y: rng.below(5) as i32 * 1_000 }
}

fn picture(spec: &PlanSpec, open: &[bool]) -> String {
    let mut seat = 0;
    let mut text = String::new();
    for row in spec.sections.iter().flat_map(|section| &section.rows) {
        text.push_str(&format!("{:?} {:>5} ", row.kind, seat));
        for one in &row.seats {
            let letter = match one.attributes {
                1 => 'a',
                2 => 'c',
                _ => '.',
            };
            text.push(if open[seat] { letter } else { 'x' });
            if one.aisle_after {
                text.push('|');
            }
            seat += 1;
        }
        text.push('\n');
    }
    text
}
