//! What the house may do, and what becomes of a sale later, as stories told by `world::story`.
//!
//! Not here: holds, payments, the ladder (`stories.rs`).

mod world;

use inventory_core::{
    limits::OPS_REQUESTS_PER_EVENT_MAX,
    plan::{PlanSpec, RowKind, RowSpec},
};
use world::{
    area, field, house, one_row,
    story::{Stage, check},
};

// ---- Kill, Unkill ----

#[test]
fn a_killed_seat_is_neither_held_nor_sold_nor_chosen() {
    check(
        &one_row("......"),
        "
           0ms kill k 2,3 reason=camera -> touched 2,3
        map ..xx..
           0ms hold a 1,2 -> places unavailable: 2 killed
           0ms sell s 3 order=x -> places unavailable: 3 killed
           0ms hold b best=2 -> held 0,1 until 600000ms, stranding nobody
           0ms hold c best=2 -> held 4,5 until 600000ms, stranding nobody
           0ms hold d best=1 -> not enough places, 4 held
           1ms confirm b order=x -> sold 0,1
           1ms confirm c order=x -> sold 4,5
           1ms hold e best=1 -> sold out
        map SSxxSS
    ",
    );
}

#[test]
fn a_seat_beside_a_killed_one_is_left_alone_as_beside_a_taken_one() {
    check(
        &one_row("......"),
        "
           0ms update orphans=lenient -> done
           0ms kill k 3 reason=camera -> touched 3
           0ms hold a 1 -> would strand
           0ms hold c 0,1,2 -> held 0,1,2 until 600000ms
           0ms hold d 4 -> held 4 until 600000ms
    ",
    );
}

#[test]
fn a_kill_of_held_seats_without_force_names_them_and_changes_nothing() {
    check(
        &one_row("......"),
        "
           0ms hold a 1,2 -> held 1,2 until 600000ms
           0ms sell s 4 order=x -> sold 4
           0ms kill k 4,3,2 reason=camera -> places in use: 2 held, 4 sold
        map .hh.S.
           0ms kill k 3 reason=smoke -> touched 3
    ",
    );
}

#[test]
fn a_sold_seat_is_never_killed() {
    check(
        &one_row("......"),
        "
           0ms hold a 1,2 -> held 1,2 until 600000ms
           0ms confirm a 2 order=x request=1 -> held 1 sold 2 until 600000ms for x
           0ms kill k 0,1,2 reason=camera force -> places in use: 2 sold
        map .hS...
    ",
    );
}

#[test]
fn with_force_a_hold_loses_seats_and_is_sold_only_as_what_it_still_has() {
    check(
        &one_row("......"),
        "
           0ms hold a 1,2,3 ttl=5000ms -> held 1,2,3 until 5000ms
           0ms hold b 4 -> held 4 until 600000ms
           1ms kill k 2,4,5 reason=camera force -> touched 2,4,5 of a b
        map .hxhxx
           1ms get b -> killed lost 1
           2ms get a -> held 1,3 lost 1 until 5000ms
           2ms confirm a order=x -> places unavailable: 2 killed
           2ms confirm a 2 order=x request=1 -> places unavailable: 2 killed
           3ms unkill u 2 -> touched 2
           3ms confirm a order=x -> places unavailable: 2 open
           4ms hold c 2 -> held 2 until 600004ms
           4ms confirm a order=x -> places unavailable: 2 held
           5ms confirm a 1,3 order=x request=2 -> sold 1,3 lost 1
           5ms confirm a 1,3 order=x request=2 -> sold 1,3 lost 1, again
        map .ShSxx
    ",
    );
}

#[test]
fn a_hold_whose_last_seat_is_killed_has_ended() {
    check(
        &one_row("......"),
        "
           0ms hold a 1 -> held 1 until 600000ms
           0ms hold b 2,3 -> held 2,3 until 600000ms
           0ms confirm b 2 order=x request=1 -> held 3 sold 2 until 600000ms for x
           1ms kill k 1,3 reason=camera force -> touched 1,3 of a b
           2ms get a -> killed lost 1
           2ms get b -> killed sold 2 lost 1
           2ms confirm a order=x -> hold released
           2ms confirm a order=x reclaim -> hold released
           2ms release a -> killed lost 1, again
           2ms hold a 1 -> hold released, executed
      300000ms get a -> killed lost 1
      300001ms get a -> hold not found
      300001ms get b -> killed sold 2 lost 1
    ",
    );
}

#[test]
fn a_seat_that_is_being_paid_is_not_killed() {
    check(
        &one_row("......"),
        "
           0ms hold a 1 -> held 1 until 600000ms
           0ms hold b 2 -> held 2 until 600000ms
           0ms begin b attempt=1 -> paying 2 until 900000ms
           1ms kill k 1,2 reason=camera force -> payment in progress
           1ms kill k 1,2 reason=camera -> places in use: 1 held, 2 held
        map .hh...
           2ms end b attempt=1 outcome=failed -> held 2 until 600000ms
           2ms kill k 1,2 reason=camera force -> touched 1,2 of a b
    ",
    );
}

#[test]
fn a_hold_that_lost_seats_is_paid_extended_released_and_replaced_like_any_other() {
    check(
        &one_row("........"),
        "
           0ms update places_per_customer=3 -> done
           0ms hold a 1,2,3 for=7 -> held 1,2,3 until 600000ms
           1ms kill k 3 reason=camera force -> touched 3 of a
           2ms hold b 4,5 for=7 -> customer limit 3
           2ms hold b 4 for=7 ttl=5000ms -> held 4 until 5002ms
           2ms extend a request=1 ttl=700000ms -> held 1,2 lost 1 until 700002ms
           3ms begin a attempt=1 -> paying 1,2 lost 1 until 900003ms
           3ms confirm a order=x attempt=1 -> places unavailable: 3 killed
           4ms end a attempt=1 outcome=failed -> held 1,2 lost 1 until 700002ms
           5ms release a 2 request=2 -> held 1 lost 1 until 700002ms
           6ms hold c 1,2 for=7 replacing=a -> held 1,2 until 700002ms
           6ms get a -> released lost 1
           7ms confirm c order=x -> sold 1,2
    ",
    );
}

#[test]
fn a_hold_that_lost_seats_is_not_reclaimed() {
    check(
        &one_row("......"),
        "
           0ms hold a 1,2,3 ttl=1000ms -> held 1,2,3 until 1000ms
           1ms kill k 2 reason=camera force -> touched 2 of a
           2ms unkill u 2 -> touched 2
        2000ms hold b 3 -> held 3 until 602000ms
        2000ms confirm a order=x reclaim -> hold expired: 3 held, 2 open
        2001ms release b -> released
        2001ms confirm a order=x reclaim -> hold expired: 2 open
        2001ms confirm a order=x -> hold expired
        map ......
    ",
    );
}

#[test]
fn a_reclaim_names_seats_that_are_taken_then_those_the_house_withdrew_then_areas() {
    check(
        &house(0),
        "
           0ms hold a 1,2,3 floor=5 ttl=1000ms -> held 1,2,3,floor*5 until 1000ms
           1ms kill k 1 reason=camera force -> touched 1 of a
        2000ms hold b 3 floor=6 -> held 3,floor*6 until 602000ms
        2000ms confirm a order=x reclaim -> hold expired: 3 held, 1 killed, floor*2 held
    ",
    );
}

#[test]
fn a_late_payment_never_gets_a_killed_seat() {
    check(
        &one_row("......"),
        "
           0ms hold a 1,2 ttl=1000ms -> held 1,2 until 1000ms
        2000ms kill k 2 reason=camera -> touched 2
        2000ms confirm a order=x reclaim -> hold expired: 2 killed
        2001ms unkill u 2 -> touched 2
        2001ms confirm a order=x reclaim -> sold 1,2
    ",
    );
}

#[test]
fn what_is_killed_already_stays_as_it_is_and_unkill_opens_only_what_is_killed() {
    check(
        &one_row("......"),
        "
           0ms hold a 0 -> held 0 until 600000ms
           0ms kill k1 2,3 reason=camera -> touched 2,3
           1ms kill k2 3,4 reason=smoke -> touched 4
           2ms kill k3 3,4 reason=smoke -> touched
           3ms unkill u1 0,1,2,4 -> touched 2,4
        map h..x..
           4ms unkill u2 2 -> touched
           4ms hold b 2 -> held 2 until 600004ms
           4ms kill k4 2 reason=smoke -> places in use: 2 held
    ",
    );
}

#[test]
fn only_open_admissions_are_killed_whatever_the_force() {
    check(
        &field(),
        "
           0ms hold a floor=2 -> held floor*2 until 600000ms
           0ms sell s order=x floor=1 -> sold floor*1
           0ms kill k floor=4 reason=stage force -> places in use: floor*1 held
           0ms kill k floor=4 hill=4 reason=stage -> places in use: floor*1 held, hill*1 sold
           0ms kill k floor=2 reason=stage -> touched floor*2
           0ms hold b floor=2 -> not enough places, 2 held
           0ms hold b floor=1 -> held floor*1 until 600000ms
           0ms hold c floor=1 -> not enough places, 3 held
           1ms unkill u floor=3 -> capacity invalid
           1ms unkill u floor=2 -> touched floor*2
           1ms hold c floor=2 -> held floor*2 until 600001ms
           1ms unkill v floor=1 -> capacity invalid
    ",
    );
}

#[test]
fn an_area_of_which_all_is_killed_or_sold_is_sold_out() {
    check(
        &field(),
        "
           0ms kill k floor=5 hill=2 reason=stage -> touched floor*5,hill*2
           0ms sell s order=x floor=1 hill=1 -> sold floor*1,hill*1
           0ms hold a floor=1 -> sold out
           0ms hold b best=1 anyhow -> sold out
    ",
    );
}

#[test]
fn a_kill_needs_places_and_a_reason() {
    let long = "x".repeat(65);
    check(
        &one_row("...."),
        &format!(
            "
           0ms kill k 1 -> invalid Reason
           0ms kill k 1 reason={long} -> invalid Reason
           0ms kill k 1 reason={} -> touched 1
           0ms kill l reason=smoke -> invalid Seats
           0ms unkill u -> invalid Seats
           0ms kill l 4 reason=smoke -> unknown place in Seats at 0
           0ms kill l keys=nowhere reason=smoke -> unknown place in SeatKeys at 0
           0ms kill l floor=1 reason=smoke -> unknown place in Ga at 0
           0ms kill l 2 reason=smoke revision=2 -> plan changed, now 1
           0ms exchange e order=x take=2 -> invalid Give
        ",
            &long[1..]
        ),
    );
}

#[test]
fn an_event_knows_so_many_reasons_of_kills_and_no_more() {
    let mut story = String::new();
    for reason in 0..254 {
        story += &format!("0ms kill k{reason} {} reason=r{reason} -> touched {}\n", reason / 2, reason / 2);
        story += &format!("0ms unkill u{reason} {} -> touched {}\n", reason / 2, reason / 2);
    }
    story += "0ms kill more 0 reason=another -> capacity budget\n";
    story += "0ms kill more 0 reason=r7 -> touched 0\n";
    story += "0ms sell s 1 order=x -> sold 1\n";
    story += "0ms return q order=x to=killed reason=another -> capacity budget\n";
    // There always is room for the reason of places that come back.
    story += "0ms return r order=x to=killed -> touched 1\n";
    check(&world::hall(), &story);
}

#[test]
fn a_new_plan_drops_killed_places_it_does_not_have() {
    check(
        &house(0),
        "
           0ms kill k 5,30 floor=7 reason=smoke -> touched 5,30,floor*7
           0ms sell s order=x floor=1 -> sold floor*1
           1ms update plan=house2 -> done
           2ms hold a floor=1 -> sold out
           2ms unkill u floor=5 -> capacity invalid
           2ms unkill u floor=4 -> touched floor*4
           3ms update plan=house1 -> done
           4ms hold b 5 revision=3 keys=A-6 -> held 5 until 600004ms
           4ms hold c floor=8 -> held floor*8 until 600004ms
    ",
    );
}

#[test]
fn a_killed_seat_is_killed_in_a_new_plan_that_has_it() {
    check(
        &house(0),
        "
           0ms kill k keys=A-1 reason=smoke -> touched 0
           1ms update plan=house1 -> done
           2ms kill l keys=A-1 reason=smoke -> touched
           2ms unkill u keys=A-1 -> touched 23
    ",
    );
}

// ---- Naming places ----

#[test]
fn selectors_mean_sections_rows_seats_and_seats_from_one_to_another() {
    check(
        &house(0),
        "
           0ms kill a by=front/A/2-4 reason=smoke -> touched 1,2,3
           0ms kill b by=front/B reason=smoke -> touched 8,9,10,11,12,13
           0ms kill c by=front reason=smoke -> touched 0,4,5,6,7,14,15,16,17
           0ms kill d by=back/C/2 reason=smoke -> touched 19
           0ms kill e by=back/D/1-1,back/C/2,back/C/1-3 12,17 keys=C-1 reason=smoke -> touched 18,20,23
           0ms kill z by=back/D/3-2 reason=smoke -> touched 24,25
           0ms kill f by=side,back/D/9 reason=smoke -> unknown place in Selectors at 1
           0ms kill f by=back/D/2-9 reason=smoke -> unknown place in Selectors at 0
           0ms kill f by=back/E reason=smoke -> unknown place in Selectors at 0
           0ms kill f by=nowhere reason=smoke -> unknown place in Selectors at 0
           0ms kill f by=back/ reason=smoke -> unknown place in Selectors at 0
           0ms kill f by=back/D/ reason=smoke -> unknown place in Selectors at 0
           0ms unkill u by=front/T/1-4 -> touched 14,15,16,17
    ",
    );
}

#[test]
fn halves_of_a_row_that_share_its_label_are_meant_together() {
    let mut plan = one_row(".........");
    // Odd seats from the middle to the left, even ones to the right; behind them another row.
    let numbers = ["7", "5", "3", "1", "2", "4", "6", "1", "2"];
    let mut seats = std::mem::take(&mut plan.sections[0].rows[0].seats);
    seats.iter_mut().zip(numbers).for_each(|(seat, number)| seat.label = number.into());
    let row = |label: &str, seats| RowSpec { label: label.into(), kind: RowKind::Row, seats };
    let (behind, right) = (seats.split_off(7), seats.split_off(4));
    plan.sections[0].rows = vec![row("A", seats), row("A", right), row("B", behind)];
    check(
        &plan,
        "
           0ms kill a by=all/A/2 reason=smoke -> touched 4
           0ms kill b by=all/A/4-6 reason=smoke -> touched 5,6
           0ms kill c by=all/A/1-5 reason=smoke -> touched 1,2,3
           0ms kill d by=all/A/1-6 reason=smoke -> unknown place in Selectors at 0
           0ms unkill e by=all/A -> touched 1,2,3,4,5,6
           0ms kill f by=all/A reason=smoke -> touched 0,1,2,3,4,5,6
    ",
    );
}

#[test]
fn a_seat_that_is_labelled_like_many_is_meant_first() {
    let mut plan = one_row(".......");
    plan.sections[0].rows[0].seats[5].label = "1-3".into();
    plan.sections[0].rows[0].seats[6].label = "a/b".into();
    check(
        &plan,
        "
           0ms kill k by=all/A/1-3 reason=smoke -> touched 5
           0ms kill l by=all/A/1-2 reason=smoke -> touched 0,1
           0ms kill m by=all/A/5-1-3 reason=smoke -> touched 4
           0ms kill n by=all/A/a/b reason=smoke -> touched 6
    ",
    );
}

#[test]
fn a_set_of_too_many_stretches_is_refused() {
    let mut plan = one_row(&".".repeat(6_100));
    plan.areas.push(area("floor", None, 0, 9, 0));
    let every_second = |count: u32| (0..count).map(|seat| (2 * seat).to_string()).collect::<Vec<_>>().join(",");
    check(
        &plan,
        &format!(
            "
           0ms kill k {} reason=smoke -> invalid Seats
           0ms kill k {} by=all reason=smoke validate expect=paused -> state mismatch
           0ms kill l {} reason=smoke expect=onsale validate floor=1 -> touched {},floor*1
        ",
            every_second(3_001),
            every_second(3_001),
            every_second(3_000),
            every_second(3_000)
        ),
    );
}

// ---- SellDirect ----

#[test]
fn a_sale_without_a_hold_is_sold_whatever_the_sale_does() {
    check(
        &one_row("......"),
        "
           0ms update opens=1000ms -> done
           0ms sell s1 1 order=x -> sold 1
           0ms update state=paused -> done
           0ms sell s2 2 order=x -> sold 2
           0ms update state=offsale -> done
           0ms sell s3 3 order=y -> sold 3
        map .SSS..
           1ms order x -> s1 sold 1 for x; s2 sold 2 for x
           1ms update state=cancelled -> done
           1ms sell s4 4 order=y -> event cancelled
           1ms sell s3 3 order=y -> sold 3, again
    ",
    );
}

#[test]
fn a_sale_without_a_hold_minds_neither_single_seats_nor_places_per_hold() {
    check(
        &one_row("................"),
        "
           0ms update orphans=strict -> done
           0ms sell s 0,2,4,5,6,7,8,9,10,11,12,13 order=x -> sold 0,2,4,5,6,7,8,9,10,11,12,13
           0ms hold a 14 -> would strand
    ",
    );
}

#[test]
fn a_sale_without_a_hold_is_all_or_nothing() {
    check(
        &field(),
        "
           0ms hold a floor=3 -> held floor*3 until 600000ms
           0ms sell s order=x floor=3 hill=4 -> not enough places, 0 held
           0ms sell s order=x floor=4 -> not enough places, 3 held
           0ms sell s order=x floor=3 hill=3 kind=2 -> sold floor*3,hill*3
           0ms sell t order=x hill=1 -> sold out
           0ms sell t order=x -> invalid Seats
           0ms sell t order=x floor=65 -> too many places
    ",
    );
}

#[test]
fn a_customer_of_a_sale_without_a_hold_has_its_limit_of_places_when_named() {
    check(
        &one_row("........"),
        "
           0ms update places_per_customer=2 holds_per_customer=1 -> done
           0ms sell s1 0,1,2 order=x -> sold 0,1,2
           0ms hold a 3 for=7 -> held 3 until 600000ms
           0ms sell s2 4,5 order=x for=7 -> customer limit 2
           0ms sell s2 4 order=x for=7 -> sold 4
           0ms sell s3 5 order=x for=7 -> customer limit 2
           0ms sell s3 4,5 order=x for=7 -> places unavailable: 4 sold
           1ms return r order=x seats=4 4 -> touched 4
           1ms sell s3 5 order=x for=7 -> sold 5
    ",
    );
}

#[test]
fn a_sale_without_a_hold_is_a_hold_that_was_born_confirmed() {
    check(
        &one_row("......"),
        "
           0ms sell s 1 order=x -> sold 1
           1ms get s -> sold 1
           1ms confirm s order=x -> sold 1, again
           1ms confirm s order=y -> hold already confirmed
           1ms release s -> hold already confirmed
           1ms extend s request=1 -> hold already confirmed
           1ms begin s attempt=1 -> hold already confirmed
           1ms hold s 1 -> hold id reused
           1ms hold a 1 replacing=s -> hold already confirmed
    ",
    );
}

#[test]
fn a_request_of_a_sale_without_a_hold_is_known_while_its_places_are_sold() {
    check(
        &one_row("......"),
        "
           0ms hold a 0 -> held 0 until 600000ms
           0ms sell a 1 order=x -> request id reused
           0ms sell s 1 order=x -> sold 1
           0ms sell s 2 order=x -> request id reused
           0ms sell s 1 order=y -> request id reused
           0ms sell s 1 order=x for=7 -> request id reused
           0ms sell s 1 order=x expect=paused -> sold 1, again
      700000ms sell s 1 order=x -> sold 1, again
      700000ms return r made=700000ms order=x -> touched 1
      700000ms sell s 1 order=x -> request id too old
      700000ms sell t 1 order=x made=400000ms -> request id too old
      700000ms sell u 1 order=x made=760000ms -> request id invalid
      700000ms sell v 1 order=x made=700000ms -> sold 1
      700001ms return q made=700001ms order=x -> touched 1
      999999ms sell v 1 order=x -> sold nothing any more, again
     1000000ms sell v 1 order=x -> request id too old
    ",
    );
}

// ---- ReturnPlaces ----

#[test]
fn returned_places_are_open_again_or_killed() {
    check(
        &one_row("........"),
        "
           0ms sell s 1,2,3,4 order=x -> sold 1,2,3,4
           1ms return r1 1 order=x -> touched 1
           1ms return r2 keys=A-3 order=x to=general -> touched 2
           1ms return r3 by=all/A/4 order=x to=killed -> touched 3
        map ...xS...
           2ms get s -> sold 4
           2ms return r4 order=x to=killed reason=smoke -> touched 4
        map ...xx...
           3ms get s -> sold nothing any more
           3ms order x -> order not found
           3ms return r5 order=x -> order not found
           3ms hold a 1,2 -> held 1,2 until 600003ms
    ",
    );
}

#[test]
fn a_place_of_another_order_is_refused_and_nothing_moves() {
    check(
        &one_row("........"),
        "
           0ms sell s 1,2 order=x -> sold 1,2
           0ms sell t 3 order=y -> sold 3
           0ms hold a 4 -> held 4 until 600000ms
           0ms kill k 5 reason=smoke -> touched 5
           1ms return r 6,5,4,3,2 order=x -> not this order: 3 sold, 4 held, 5 killed, 6 open
           1ms return r by=all order=z -> order not found
           1ms return r by=nowhere order=z -> order not found
           1ms return r by=nowhere order=x -> unknown place in Selectors at 0
        map .SSShx..
    ",
    );
}

#[test]
fn admissions_are_of_an_order_by_number_area_and_kind() {
    check(
        &field(),
        "
           0ms sell s order=x floor=2 kind=1 -> sold floor*2
           0ms sell t order=x floor=1 kind=2 -> sold floor*1
           0ms sell u order=x floor=1 kind=1 -> sold floor*1
           0ms sell v order=y floor=2 kind=1 -> sold floor*2
           1ms return r order=x floor=4 kind=1 -> not this order: floor*1 sold
           1ms return r order=x hill=1 kind=1 -> not this order: hill*1 sold
           1ms return r order=x floor=2 kind=2 -> not this order: floor*1 sold
           2ms return r order=x floor=1 kind=1 -> touched floor*1
           2ms order x -> s sold floor*1 for x; t sold floor*1 for x; u sold floor*1 for x
           3ms return q order=x floor=2 kind=1 to=killed reason=smoke -> touched floor*2
           3ms order x -> t sold floor*1 for x
           3ms hold a floor=2 -> not enough places, 0 held
           3ms hold a floor=1 -> held floor*1 until 600003ms
           3ms unkill w floor=2 -> touched floor*2
           3ms order y -> v sold floor*2 for y
    ",
    );
}

#[test]
fn a_return_gives_the_allowance_back() {
    check(
        &one_row("........"),
        "
           0ms update places_per_customer=2 -> done
           0ms hold a 1,2 for=7 -> held 1,2 until 600000ms
           0ms confirm a order=x -> sold 1,2
           0ms hold b 3 for=7 -> customer limit 2
           1ms return r 1 order=x to=killed -> touched 1
           1ms hold b 3 for=7 -> held 3 until 600001ms
           1ms hold c 4 for=7 -> customer limit 2
    ",
    );
}

#[test]
fn a_hold_that_gave_all_back_is_confirmed_never_reclaimed_and_forgotten_in_time() {
    check(
        &one_row("........"),
        "
           0ms hold a 1,2 ttl=1000ms -> held 1,2 until 1000ms
           0ms confirm a 1 order=x request=1 -> held 2 sold 1 until 1000ms for x
        1000ms get a -> expired sold 1
        2000ms return r order=x -> touched 1
        2000ms get a -> sold nothing any more
        2000ms confirm a order=x reclaim -> hold already confirmed
        2000ms confirm a order=y reclaim -> hold already confirmed
        2000ms hold a 1,2 ttl=1000ms -> hold already confirmed, executed
        2000ms release a -> hold already confirmed
        map ........
      300999ms get a -> sold nothing any more
      301000ms get a -> hold not found
      301000ms hold a 1,2 ttl=1000ms -> hold id too old
    ",
    );
}

#[test]
fn a_return_long_after_the_end_leaves_nothing_to_remember() {
    check(
        &one_row("........"),
        "
           0ms hold a 1 -> held 1 until 600000ms
           0ms hold b 2 -> held 2 until 600000ms
           0ms begin b attempt=1 -> paying 2 until 900000ms
           0ms confirm a order=x -> sold 1
           0ms confirm b order=x attempt=1 -> sold 2
      400000ms return r made=400000ms order=x -> touched 1,2
      400000ms get a -> hold not found
      400000ms confirm a order=x -> hold not found
      400000ms get b -> sold nothing any more
    86399999ms get b -> sold nothing any more
    86400000ms get b -> hold not found
    ",
    );
}

#[test]
fn a_hold_that_lives_goes_on_with_what_it_holds() {
    check(
        &one_row("........"),
        "
           0ms hold a 1,2,3 -> held 1,2,3 until 600000ms
           0ms confirm a 1,2 order=x request=1 -> held 3 sold 1,2 until 600000ms for x
           1ms return r1 1 order=x -> touched 1
           1ms get a -> held 3 sold 2 until 600000ms for x
           2ms return r2 order=x -> touched 2
           2ms get a -> held 3 until 600000ms for x
           3ms order x -> order not found
           4ms confirm a order=y -> sold 3 for x y
           4ms order y -> a sold 3 for y
    ",
    );
}

#[test]
fn a_hold_that_was_sold_to_several_orders_remembers_which_place_is_whose() {
    check(
        &one_row("........"),
        "
           0ms hold a 1,2,3,4 -> held 1,2,3,4 until 600000ms
           1ms confirm a 1 order=x request=1 -> held 2,3,4 sold 1 until 600000ms for x
           2ms confirm a 2 order=y request=2 -> held 3,4 sold 1,2 until 600000ms for x y
           3ms confirm a order=x -> sold 1,2,3,4 for x y
           4ms order x -> a sold 1,3,4 for x
           4ms order y -> a sold 2 for y
           4ms return r1 1,2 order=x -> not this order: 2 sold
           5ms return r1 1,4 order=x -> touched 1,4
           5ms order x -> a sold 3 for x
           5ms get a -> sold 2,3 for x y
           6ms return r2 order=y -> touched 2
           6ms order y -> order not found
           6ms sell s 2 order=x -> sold 2
           6ms order x -> a sold 3 for x; s sold 2 for x
           7ms return r3 order=x -> touched 2,3
           7ms get a -> sold nothing any more for x y
    ",
    );
}

#[test]
fn what_comes_back_to_a_cancelled_event_is_killed() {
    check(
        &one_row("........"),
        "
           0ms sell s 1,2 order=x -> sold 1,2
           1ms update state=cancelled -> done
           2ms return r1 1 order=x -> touched 1
           2ms return r2 order=x reason=smoke to=general -> touched 2
        map .xx.....
           3ms unkill u 1 -> touched 1
           3ms kill k 3 reason=smoke -> touched 3
        map ..xx....
    ",
    );
}

// ---- Exchange ----

#[test]
fn an_exchange_frees_before_it_takes() {
    check(
        &one_row("........"),
        "
           0ms sell s 3,4 order=x -> sold 3,4
           1ms exchange e1 order=x give=3,4 take=4,5 -> sold 4,5
        map ....SS..
           1ms get s -> sold nothing any more
           1ms order x -> e1 sold 4,5 for x
           2ms exchange e2 order=x give=5 take=5 -> sold 5
           2ms order x -> e1 sold 4 for x; e2 sold 5 for x
           2ms exchange e1 order=x give=3,4 take=4,5 -> sold 4, again
           2ms exchange e1 order=x give=3,4 take=4 -> request id reused
    ",
    );
}

#[test]
fn an_exchange_that_fails_changes_nothing() {
    check(
        &one_row("........"),
        "
           0ms sell s 3,4 order=x -> sold 3,4
           0ms sell t 5 order=y -> sold 5
           0ms hold a 6 ttl=1000ms -> held 6 until 1000ms
           1ms exchange e order=x give=3 take=2,5,6 -> places unavailable: 5 sold, 6 held
           1ms exchange e order=x give=5 take=2 -> not this order: 5 sold
           1ms exchange e order=z give=5 take=2 -> order not found
           1ms exchange e order=x give=3 take=9 -> unknown place in Seats at 0
           1ms exchange e order=x give=3 take=2,2 -> duplicate seat at 1
           1ms exchange e order=x give=3 hold=nobody -> hold not found
        1000ms exchange e order=x give=3 hold=a -> hold expired
        1000ms exchange e order=x give=3 hold=s -> hold already confirmed
        1000ms get s -> sold 3,4
        map ...SSS..
        1001ms update state=cancelled -> done
        1001ms exchange e order=x give=3 take=2 -> event cancelled
    ",
    );
}

#[test]
fn an_exchange_takes_a_live_hold_whole_with_its_own_customer() {
    check(
        &one_row("..........."),
        "
           0ms update places_per_customer=2 -> done
           0ms sell s 3,4 order=x for=7 -> sold 3,4
           0ms hold a 1,2 for=8 -> held 1,2 until 600000ms
           0ms hold b 5 for=9 -> held 5 until 600000ms
           0ms begin b attempt=1 -> paying 5 until 900000ms
           1ms exchange e1 order=x give=3 hold=a -> sold 1,2
           1ms exchange e1 order=x give=3 hold=a -> sold 1,2, again
           2ms exchange e2 order=x give=4 hold=b -> sold 5
           2ms order x -> a sold 1,2 for x; b sold 5 for x
           2ms begin b attempt=1 -> sold 5, again
           3ms hold c 6 for=8 -> customer limit 2
           3ms hold c 6,7 for=7 -> held 6,7 until 600003ms
           4ms confirm a order=x -> sold 1,2, again
    ",
    );
}

#[test]
fn an_exchange_gives_and_takes_places_of_one_hold() {
    check(
        &one_row("......"),
        "
           0ms hold a 1,2 -> held 1,2 until 600000ms
           0ms confirm a 1 order=x request=1 -> held 2 sold 1 until 600000ms for x
           1ms exchange e order=x give=1 hold=a -> sold 2
        map ..S...
    ",
    );
}

#[test]
fn an_exchange_for_a_hold_that_lost_places_is_refused() {
    check(
        &one_row("......"),
        "
           0ms sell s 0 order=x -> sold 0
           0ms hold a 1,2 -> held 1,2 until 600000ms
           1ms kill k 2 reason=smoke force -> touched 2 of a
           2ms exchange e order=x give=0 hold=a -> places unavailable: 2 killed
        map Shx...
    ",
    );
}

#[test]
fn the_customer_of_an_exchange_has_the_limit_judged_on_the_net() {
    check(
        &one_row("........"),
        "
           0ms update places_per_customer=2 -> done
           0ms hold a 0,1 for=7 -> held 0,1 until 600000ms
           0ms confirm a order=x -> sold 0,1
           0ms sell s 2,3,4 order=x -> sold 2,3,4
           1ms exchange e1 order=x give=0 take=5,6 -> customer limit 2
           1ms exchange e1 order=x give=0,1 take=5,6 -> sold 5,6
           2ms exchange e2 order=x give=2 take=0,1,7 -> sold 0,1,7
           3ms exchange e3 order=x give=3,5 take=3 -> sold 3
           3ms hold b 5 for=7 -> held 5 until 600003ms
    ",
    );
}

#[test]
fn an_exchange_gives_and_takes_admissions() {
    check(
        &field(),
        "
           0ms sell s order=x floor=6 -> sold floor*6
           1ms exchange e1 order=x gives-floor=2 hill=2 -> sold hill*2
           1ms exchange e2 order=x gives-floor=1 floor=3 -> sold floor*3
           1ms order x -> s sold floor*3 for x; e1 sold hill*2 for x; e2 sold floor*3 for x
           2ms exchange e3 order=x gives-floor=4 floor=5 hill=1 -> sold out
           2ms exchange e3 order=x gives-floor=4 floor=4 hill=1 -> sold floor*4,hill*1
           2ms order x -> e1 sold hill*2 for x; e2 sold floor*2 for x; e3 sold floor*4,hill*1 for x
    ",
    );
}

// ---- Requests ----

#[test]
fn a_request_of_the_house_takes_effect_once() {
    check(
        &one_row("......"),
        "
           0ms sell s 3,4 order=x -> sold 3,4
           0ms kill k 1 reason=smoke -> touched 1
           0ms unkill u 1 -> touched 1
           0ms kill k 1 reason=smoke -> touched, again
           0ms unkill u 1 -> touched, again
           0ms kill k 2 reason=smoke -> request id reused
           0ms kill k 1 reason=camera -> request id reused
           0ms kill k 1 reason=smoke force -> request id reused
           0ms unkill k 1 -> request id reused
           1ms return r 3 order=x -> touched 3
           1ms sell t 3 order=x -> sold 3
           1ms return r 3 order=x -> touched, again
           1ms return r 4 order=x -> request id reused
           1ms return r 3 order=x to=killed -> request id reused
        map ...SS.
      299999ms kill k 1 reason=smoke -> touched, again
      300000ms kill k 1 reason=smoke -> request id too old
      300000ms kill l 1 reason=smoke made=360000ms -> request id invalid
      300000ms kill l 1 reason=smoke made=359999ms -> request id invalid
      300001ms kill m 1 reason=smoke made=360000ms -> touched 1
    ",
    );
}

#[test]
fn what_is_only_validated_changes_nothing_and_is_not_remembered() {
    check(
        &one_row("........"),
        "
           0ms sell s 3,4 order=x validate -> touched 3,4
           0ms get s -> hold not found
           0ms sell s 3,4 order=x -> sold 3,4
           0ms hold a 1 -> held 1 until 600000ms
           1ms kill k 1,2 reason=smoke force validate -> touched 1,2 of a
           1ms kill k 1,2 reason=smoke validate -> places in use: 1 held
           1ms return r 3 order=x validate -> touched 3 of s
           1ms return r 1 order=x validate -> not this order: 1 held
           1ms exchange e order=x give=3 take=4 validate -> places unavailable: 4 sold
        map .h.SS...
           2ms kill k 5 reason=camera -> touched 5
           2ms unkill u 5 validate -> touched 5
           2ms kill k 5 reason=camera validate -> touched, again
        map .h.SSx..
    ",
    );
}

#[test]
fn an_event_in_another_state_than_expected_is_left_alone() {
    check(
        &one_row("........"),
        "
           0ms sell s 3 order=x expect=paused -> state mismatch
           0ms sell s 3 order=x expect=onsale -> sold 3
           0ms sell s 3 order=x expect=paused -> sold 3, again
           0ms kill k 1 reason=smoke expect=paused -> state mismatch
           0ms kill k 1 reason=smoke expect=onsale -> touched 1
           0ms kill k 1 reason=smoke expect=paused -> touched, again
           0ms unkill u 1 expect=draft -> state mismatch
           0ms return r order=z expect=paused -> state mismatch
           0ms exchange e order=x give=3 take=4 expect=offsale -> state mismatch
           0ms update state=cancelled -> done
           0ms exchange e order=z give=3 take=4 expect=onsale -> state mismatch
           0ms exchange e order=z give=9 take=4 -> event cancelled
    ",
    );
}

// ---- Reading ----

#[test]
fn an_order_is_what_is_sold_to_it_by_hold() {
    check(
        &one_row("........"),
        "
           0ms order x -> order not found
           0ms hold a 2,1 -> held 2,1 until 600000ms
           0ms hold b 3,4 -> held 3,4 until 600000ms
           0ms confirm b 4 order=x request=1 -> held 3 sold 4 until 600000ms for x
           0ms confirm a order=x -> sold 2,1
           0ms order x -> a sold 2,1 for x; b sold 4 for x
           1ms release b -> released sold 4
           1ms order x -> a sold 2,1 for x; b sold 4 for x
    ",
    );
}

#[test]
fn lists_tell_live_holds_and_what_is_sold() {
    check(
        &one_row("..........."),
        "
           0ms holds ->
           0ms hold a 0 -> held 0 until 600000ms
           0ms hold b 1 -> held 1 until 600000ms
           0ms hold c 2 -> held 2 until 600000ms
           0ms hold d 3,4 ttl=1000ms -> held 3,4 until 1000ms
           0ms hold e 5 -> held 5 until 600000ms
           0ms confirm d 3 order=x request=1 -> held 4 sold 3 until 1000ms for x
           0ms confirm e order=y -> sold 5
           0ms sell s 6 order=x -> sold 6
           0ms orders -> d sold 3 for x; e sold 5 for y; s sold 6 for x
        1000ms release b -> released
        1000ms holds -> a held 0 until 600000ms; c held 2 until 600000ms
        1000ms return r order=x -> touched 3,6
        1000ms orders -> e sold 5 for y
    ",
    );
}

#[test]
fn so_many_holds_lose_seats_to_one_kill_and_no_more() {
    let mut stage = Stage::new(&one_row(&".".repeat(2_001)));
    for seat in 0..2_001 {
        stage.quietly(&format!("0ms hold h{seat} {seat}"));
    }
    stage.play("1ms kill k by=all reason=smoke force -> invalid Seats");
    stage.quietly("1ms kill k by=all/A/1-2000 reason=smoke force");
    stage.play("1ms get h0 -> killed lost 1");
    stage.play("1ms get h1999 -> killed lost 1");
    stage.play("1ms get h2000 -> held 2000 until 600000ms");
    stage.end();
}

#[test]
fn so_many_requests_of_the_house_are_remembered_and_no_more() {
    let mut stage = Stage::new(&one_row("...."));
    for request in 0..OPS_REQUESTS_PER_EVENT_MAX {
        stage.quietly(&format!("0ms unkill u{request} 1"));
    }
    stage.play("0ms unkill more 1 -> capacity budget");
    stage.play("0ms kill more 1 reason=smoke -> capacity budget");
    stage.play("0ms sell s 1 order=x -> sold 1");
    stage.play("0ms return more 1 order=x -> capacity budget");
    stage.play("0ms exchange more order=x give=1 take=2 -> capacity budget");
    stage.play("0ms update request=123456 ttl=10s -> capacity budget");
    stage.play("0ms update ttl=20s -> done");
    stage.play("0ms unkill u7 1 -> touched, again");
    stage.play("0ms get s -> sold 1");
    stage.play("300000ms unkill next 1 made=300000ms -> touched");
    stage.end();
}

/// Many seats and holds in one command.
fn long_row() -> PlanSpec {
    one_row(&".".repeat(140))
}

#[test]
fn a_kill_takes_seats_from_many_holds_at_once() {
    let mut story = String::new();
    for hold in 0..70 {
        let (one, two) = (2 * hold, 2 * hold + 1);
        story += &format!("0ms hold h{hold} {one},{two} -> held {one},{two} until 600000ms\n");
    }
    let list = |step: usize| (0..140).step_by(step).map(|seat| seat.to_string()).collect::<Vec<_>>().join(",");
    let names: Vec<String> = (0..70).map(|hold| format!("h{hold}")).collect();
    story += &format!("1ms kill k {} reason=smoke force -> touched {} of {}\n", list(2), list(2), names.join(" "));
    story += &format!("map {}\n", "xh".repeat(70));
    story += "2ms get h7 -> held 15 lost 1 until 600000ms\n";
    let rest = (1..140).step_by(2).map(|seat| seat.to_string()).collect::<Vec<_>>().join(",");
    story += &format!("2ms kill l by=all reason=smoke force -> touched {rest} of {}\n", names.join(" "));
    story += "2ms get h7 -> killed lost 2\n";
    story += "2ms holds ->\n";
    check(&long_row(), &story);
}

// ---- RetireEvent ----

#[test]
fn an_event_is_retired_when_it_is_over_and_its_name_is_never_used_again() {
    check(
        &one_row("......"),
        "
           0ms hold a 0,1 -> held 0,1 until 600000ms
           0ms hold b 4 -> held 4 until 600000ms
           1ms confirm a order=x -> sold 0,1
           1ms retire request=1 -> invalid State
           2ms update state=paused -> done
           2ms retire request=1 -> invalid State
           2ms update state=offsale -> done
           2ms retire request=1 -> places in use: 4 held
           2ms release b -> released
           3ms retire request=1 expect=cancelled -> state mismatch
           3ms retire request=1 validate -> done
           3ms retire request=1 image -> done
           3ms get a -> sold 0,1
           4ms retire request=1 -> done
           4ms retire request=1 -> event not found
           4ms get a -> event not found
           4ms hold c 5 -> event not found
           5ms create -> event exists
    ",
    );
}

#[test]
fn a_cancelled_event_is_retired_with_what_was_sold() {
    check(
        &one_row("......"),
        "
           0ms hold a 0,1 -> held 0,1 until 600000ms
           0ms sell s 5 order=y -> sold 5
           1ms begin a attempt=1 -> paying 0,1 until 900001ms
           2ms update state=cancelled -> done
           3ms retire request=2 -> done
           3ms order y -> event not found
    ",
    );
}
