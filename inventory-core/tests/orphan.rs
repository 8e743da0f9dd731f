//! What strands a single seat.

mod pictures;

use inventory_core::{
    orphan::{Runs, run_has_clean_window, run_of, strands, strands_window},
    plan::Point,
};
use pictures::{Numbers, picture, plainly_open, plainly_strands};

/// A row with its picks drawn as `*`: do they strand a seat?
#[track_caller]
fn check(row: &str, expected: bool) {
    let open = row.replace('*', ".");
    let picture = picture(&[&open], Point::default(), &[]);
    let seats = row.chars().filter(|c| !"()|".contains(*c)).zip(0..);
    let picked: Vec<u32> = seats.filter(|(c, _)| *c == '*').map(|(_, seat)| seat).collect();
    assert_eq!(strands(&picture.plan, picture.planes.taken(), 0, &picked), expected, "{row}");
    let reversed: Vec<u32> = picked.iter().rev().copied().collect();
    assert_eq!(strands(&picture.plan, picture.planes.taken(), 0, &reversed), expected, "{row}, picks reversed");
}

#[test]
fn a_single_seat_left_at_the_end_of_a_row_is_stranded() {
    check(".**...", true);
    check("...**.", true);
    check("**....", false);
    check("..**..", false);
}

#[test]
fn a_single_seat_left_beside_a_taken_one_is_stranded() {
    check("x.**..x", true);
    check("x..**.x", true);
    check("x**..x", false);
}

#[test]
fn a_single_seat_left_beside_an_aisle_is_stranded() {
    check("..|.**..", true);
    check("..**.|..", true);
    check("..|**..|..", false);
}

#[test]
fn an_aisle_keeps_a_pick_from_stranding_the_seat_behind_it() {
    check(".|**..", false);
    check("..**|.", false);
}

#[test]
fn a_seat_between_two_picks_is_stranded() {
    check("*.*", true);
    check("..*.*..", true);
    check("..*..*..", false);
}

#[test]
fn a_seat_that_was_single_before_is_not_stranded_again() {
    check("x.x**x", false);
    check(".x**..", false);
    check("**|.|..", false);
}

#[test]
fn a_run_taken_whole_strands_none() {
    check("x**x", false);
    check("*", false);
    check("x*x.x", false);
}

#[test]
fn special_seats_and_other_levels_left_alone_are_stranded_as_any() {
    check("A**..", true);
    check("..**C", true);
    check("1**..", true);
    check("1.**..", false);
}

#[test]
fn a_table_has_no_single_seats() {
    check("(.**.)", false);
    check("(*.*.)", false);
}

#[test]
fn picks_of_another_row_or_of_taken_seats_strand_none() {
    let picture = picture(&["...", ".x."], Point::default(), &[]);
    assert!(!strands(&picture.plan, picture.planes.taken(), 0, &[4, 5]));
    assert!(!strands(&picture.plan, picture.planes.taken(), 1, &[4]));
    assert!(strands(&picture.plan, picture.planes.taken(), 0, &[1, 4]));
}

#[test]
fn a_run_of_size_plus_one_has_no_clean_window() {
    for length in 1..12_u32 {
        for size in 1..=length + 1 {
            let clean = (0..=length.saturating_sub(size))
                .filter(|first| first + size <= length)
                .any(|first| !strands_window(&(0..length), &(first..first + size)));
            assert_eq!(run_has_clean_window(length, size), clean, "{size} of {length}");
        }
    }
}

#[test]
fn runs_pickers_and_windows_agree_with_comparing_before_and_after() {
    for seed in 0..4_000 {
        let numbers = &mut Numbers::new(seed);
        let plan = numbers.plan(4);
        let planes = numbers.planes(&plan);
        for (number, row) in plan.rows().iter().enumerate() {
            let number = number as u32;
            let mut runs = Vec::new();
            let mut start = row.first;
            for seat in row.seats() {
                let open = plainly_open(&planes, seat);
                assert_eq!(planes.taken().is_open(seat), open, "seed {seed} seat {seat}");
                if !open || plan.aisle_after(seat) || seat + 1 == row.first + row.count {
                    let end = if open { seat + 1 } else { seat };
                    if start < end {
                        runs.push(start..end);
                    }
                    start = seat + 1;
                }
            }
            let found: Vec<_> = Runs::of_row(&plan, planes.taken(), row).collect();
            assert_eq!(found, runs, "seed {seed} row {number}");

            let picked: Vec<u32> = row.seats().filter(|_| numbers.one_in(4)).collect();
            let open_picks: Vec<u32> = picked.iter().copied().filter(|&seat| plainly_open(&planes, seat)).collect();
            for picks in [picked, open_picks] {
                let expected = plainly_strands(&plan, &planes, number, &picks);
                let found = strands(&plan, planes.taken(), number, &picks);
                assert_eq!(found, expected, "seed {seed} row {number} picks {picks:?}");
            }
            for run in &runs {
                assert_eq!(run_of(&plan, planes.taken(), run.start), *run, "seed {seed}");
                assert_eq!(run_of(&plan, planes.taken(), run.end - 1), *run, "seed {seed}");
                let first = run.start + numbers.below(u64::from(run.end - run.start)) as u32;
                let end = first + 1 + numbers.below(u64::from(run.end - first)) as u32;
                let picks: Vec<u32> = (first..end).collect();
                let by_row = strands(&plan, planes.taken(), number, &picks);
                let table = row.kind == inventory_core::plan::RowKind::Table;
                assert_eq!(!table && strands_window(run, &(first..end)), by_row, "seed {seed} {picks:?} of {run:?}");
            }
        }
    }
}
