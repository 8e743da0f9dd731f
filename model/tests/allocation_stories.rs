//! Places set aside for those who bring a key, as stories told by `world::story`.
//!
//! Not here: sales and kills where nothing is set aside (`house_stories.rs`).

mod world;

use inventory_core::limits::{ALLOCATION_KEYS_MAX, ALLOCATIONS_PER_EVENT_MAX, QUOTAS_PER_AREA_MAX};
use world::{
    field, hall, house, one_row,
    story::{Stage, check},
};

// ---- Seats and keys ----

#[test]
fn a_seat_set_aside_is_for_those_who_bring_the_key() {
    check(
        &one_row("......"),
        "
           0ms allocations
           0ms set s of=fans 1,2 -> touched 1,2
        public .xx...
        map ......
           0ms hold a 0,1,2 -> not in allocation: 1 killed, 2 killed
           0ms hold a 1 with=agent -> not in allocation: 1 killed
           0ms hold a 0,1 with=agent,fans -> held 0,1 until 600000ms
        public hhx...
           0ms hold b 1 -> not in allocation: 1 held
           0ms hold b 1 with=fans -> places unavailable: 1 held
           0ms release a -> released
        public .xx...
           0ms hold c 1 with=fans -> held 1 until 600000ms
           0ms confirm c order=x -> sold 1
           0ms hold d 1 -> not in allocation: 1 sold
           0ms allocations -> fans 1/0/1/0
    ",
    );
}

#[test]
fn seats_of_others_are_named_in_the_order_of_the_caller_before_limits_and_what_is_taken() {
    check(
        &one_row("............"),
        "
           0ms set s of=fans 1,2,5 -> touched 1,2,5
           0ms hold a 3 -> held 3 until 600000ms
           0ms hold b 5,3,1 -> not in allocation: 5 killed, 1 killed
           0ms hold b 1,4 best=10 -> not in allocation: 1 killed
           0ms hold b 6,4 best=10 -> too many places
    ",
    );
}

#[test]
fn places_set_aside_stay_so_while_they_are_held_sold_and_killed() {
    check(
        &one_row("......"),
        "
           0ms hold a 0 ttl=1000ms -> held 0 until 1000ms
           0ms sell s 1 order=x -> sold 1
           0ms kill k 2 reason=camera -> touched 2
           0ms set t of=fans 0,1,2,3 -> touched 0,1,2,3
           0ms allocations -> fans 1/1/1/1
        public hSxx..
        1000ms unkill u 2 -> touched 2
        1000ms return r 1 order=x -> touched 1
        1000ms allocations -> fans 4/0/0/0
        public xxxx..
    ",
    );
}

#[test]
fn a_seat_is_of_the_allocation_that_took_it_last() {
    check(
        &one_row("......"),
        "
           0ms set s of=fans 0,1,2 -> touched 0,1,2
           0ms set t of=agent 2,3 -> touched 2,3
           0ms set u of=agent 2,3 -> touched
           0ms allocations -> fans 2/0/0/0; agent 2/0/0/0
           0ms hold a 2 with=fans -> not in allocation: 2 killed
           0ms hold a 2 with=agent -> held 2 until 600000ms
           0ms set v of=fans 2 -> touched 2
           0ms allocations -> fans 2/1/0/0; agent 1/0/0/0
    ",
    );
}

#[test]
fn the_key_of_an_allocation_that_is_not_there_brings_nothing() {
    check(
        &one_row("......"),
        "
           0ms set s of=fans 0,1 -> touched 0,1
           0ms hold a 0 with=fans -> held 0 until 600000ms
           0ms hold b best=1 with=nobody -> sold out
           0ms remove r of=fans validate -> touched 0,1
        public hx....
           0ms remove r of=fans -> touched 0,1
        public h.....
           0ms hold c 1 with=fans -> held 1 until 600000ms
           0ms hold d best=1 with=fans -> sold out
           0ms hold e best=1 with=fans also -> held 2 until 600000ms, stranding nobody
           0ms remove q of=fans -> invalid AllocationKey
           0ms allocations
    ",
    );
}

#[test]
fn a_removed_allocation_is_told_with_all_it_had() {
    check(
        &field(),
        "
           0ms set s of=fans floor=3 -> touched floor*3
           0ms remove r of=fans -> touched floor*3
    ",
    );
}

#[test]
fn seats_that_have_another_tag_or_none_stay_as_they_are() {
    check(
        &one_row("......"),
        "
           0ms set s of=fans 0,1 -> touched 0,1
           0ms set t of=agent 2 -> touched 2
           0ms remove r of=fans 1,2,3 -> touched 1
        public x.x...
           0ms remove q of=fans 0 -> touched 0
           0ms allocations -> fans 0/0/0/0; agent 1/0/0/0
           0ms remove p of=fans -> touched
           0ms set u of=sponsor 5 -> touched 5
           0ms allocations -> sponsor 1/0/0/0; agent 1/0/0/0
    ",
    );
}

#[test]
fn a_seat_of_a_replaced_hold_needs_the_key_too() {
    check(
        &one_row("......"),
        "
           0ms hold a 0 -> held 0 until 600000ms
           0ms set s of=fans 0 -> touched 0
           0ms hold b 0,1 replacing=a -> not in allocation: 0 held
           0ms hold b 0,1 replacing=a with=fans -> held 0,1 until 600000ms
           1ms confirm b order=x -> sold 0,1
    ",
    );
}

// ---- Windows ----

#[test]
fn a_presale_opens_before_general_sale_and_closes_for_its_places() {
    check(
        &one_row("......"),
        "
           0ms update opens=10000 -> done
           0ms set s of=fans 0,1,2 opens=1000 closes=5000 -> touched 0,1,2
           0ms allocations -> fans 3/0/0/0 opens 1000ms closes 5000ms
         999ms hold a 0 with=fans -> sale not open until 1000ms
        1000ms hold a 0 with=fans -> held 0 until 601000ms
        1000ms hold b 0,3 with=fans -> sale not open until 10000ms
        1000ms hold b 3 with=fans -> sale not open until 10000ms
        1000ms hold b 1 -> sale not open until 10000ms
        1000ms hold b best=1 with=fans -> held 2 until 601000ms, stranding nobody
        1000ms hold c best=1 -> sale not open until 10000ms
        1000ms hold c best=2 with=fans also -> not enough places, 2 held
        4999ms release b -> released
        4999ms hold c 2 with=fans -> held 2 until 604999ms
        5000ms hold d 1 with=fans -> sale closed
        5000ms hold d best=1 with=fans -> sale closed
        5000ms hold d best=1 with=fans also -> sale not open until 10000ms
       10000ms hold d 1 with=fans -> sale closed
       10000ms hold d 1 -> not in allocation: 1 killed
       10000ms hold d best=1 with=fans also -> held 3 until 610000ms, stranding nobody
    ",
    );
}

#[test]
fn a_bound_that_is_not_set_is_that_of_the_event() {
    check(
        &one_row("......"),
        "
           0ms update opens=1000 closes=5000 -> done
           0ms set s of=fans 0,1,2 -> touched 0,1,2
         999ms hold a 0 with=fans -> sale not open until 1000ms
        1000ms hold a 0 with=fans -> held 0 until 601000ms
        5000ms hold b 1 with=fans -> sale closed
        5000ms set t of=fans closes=6000 -> touched
        5000ms hold b 1 with=fans -> held 1 until 605000ms
        5000ms hold c 3 with=fans -> sale closed
        5000ms set u of=fans closes=0 opens=7000 -> touched
        5000ms allocations -> fans 1/2/0/0 opens 7000ms
        5000ms hold d 2 with=fans -> sale not open until 7000ms
        7000ms hold d 2 with=fans -> sale closed
    ",
    );
}

#[test]
fn a_window_closes_after_it_opens() {
    check(
        &one_row("......"),
        "
           0ms set s of=fans 0 opens=2000 closes=2000 -> invalid ClosesAt
           0ms set s of=fans 0 opens=2000 -> touched 0
           0ms set t of=fans closes=1000 -> invalid ClosesAt
           0ms set t of=fans closes=1000 opens=0 -> touched
           0ms set u of=fans 9 closes=1 opens=2 -> unknown place in Seats at 0
           0ms allocations -> fans 1/0/0/0 closes 1000ms
    ",
    );
}

#[test]
fn an_event_that_is_not_on_sale_is_so_for_every_key() {
    check(
        &one_row("......"),
        "
           0ms set s of=fans 0 opens=10 closes=9000 -> touched 0
        1000ms update state=paused -> done
        1000ms hold a 0 with=fans -> sale paused
        1000ms update state=offsale -> done
        1000ms hold a 0 with=fans -> sale closed
        1000ms update state=cancelled -> done
        1000ms hold a 0 with=fans -> event cancelled
        1000ms set t of=fans 1 -> touched 1
        1000ms remove r of=fans 0 -> touched 0
        1000ms allocations -> fans 1/0/0/0 opens 10ms closes 9000ms
    ",
    );
}

#[test]
fn of_several_windows_the_earliest_that_opens_later_is_told() {
    check(
        &one_row("......"),
        "
           0ms update closes=100 -> done
           0ms set s of=fans 0 opens=2000 closes=3000 -> touched 0
           0ms set t of=agent 1 opens=1000 closes=1500 -> touched 1
         500ms hold a best=1 with=fans,agent -> sale not open until 1000ms
        1000ms hold a best=1 with=fans,agent -> held 1 until 601000ms, stranding nobody
        1500ms hold b best=1 with=fans,agent also -> sale not open until 2000ms
        3000ms hold b best=1 with=fans,agent also -> sale closed
    ",
    );
}

#[test]
fn of_several_seats_the_first_out_of_its_window_is_told() {
    check(
        &one_row("......"),
        "
           0ms update opens=3000 -> done
           0ms set s of=fans 0 opens=2000 -> touched 0
           0ms set t of=agent 1 closes=100 -> touched 1
         500ms hold a 2,0 with=fans -> sale not open until 3000ms
         500ms hold a 0,2 with=fans -> sale not open until 2000ms
        3000ms hold a 1,2 with=agent -> sale closed
    ",
    );
}

// ---- Best available ----

#[test]
fn best_available_searches_only_what_is_brought_unless_told_otherwise() {
    check(
        &one_row("......"),
        "
           0ms set s of=fans 0,1 -> touched 0,1
           0ms set t of=agent 2,3 -> touched 2,3
           0ms hold a best=3 -> not enough places, 0 held
           0ms hold a best=3 with=fans -> not enough places, 0 held
           0ms hold a best=2 with=fans -> held 0,1 until 600000ms, stranding nobody
           0ms release a -> released
           0ms hold b best=3 with=fans also anyhow -> held 1,4,5 until 600000ms, in pieces
           0ms release b -> released
           0ms hold c best=3 with=fans,agent -> held 1,2,3 until 600000ms, stranding nobody
           0ms hold d best=2 with=agent -> not enough places, 2 held
           0ms confirm c order=x -> sold 1,2,3
           0ms hold d best=1 with=agent -> sold out
           0ms hold d best=1 with=agent also -> held 4 until 600000ms, stranding nobody
           0ms allocations -> fans 1/0/1/0; agent 0/0/2/0
    ",
    );
}

#[test]
fn general_sale_is_sold_out_when_all_is_set_aside() {
    check(
        &one_row("..."),
        "
           0ms set s of=fans 0,1,2 -> touched 0,1,2
           0ms hold a best=1 -> sold out
           0ms hold a best=1 with=fans -> held 1 until 600000ms, stranding nobody
           0ms hold b best=1 -> sold out
           0ms hold b best=3 with=fans -> not enough places, 1 held
    ",
    );
}

#[test]
fn what_is_not_reached_ends_runs_and_is_no_orphan() {
    check(
        &one_row("......"),
        "
           0ms update orphans=lenient -> done
           0ms set s of=fans 0,1,2 -> touched 0,1,2
           0ms hold a best=2 -> held 3,4 until 600000ms, stranding one
           0ms release a -> released
           0ms hold b 4 -> would strand
           0ms hold b 3,4 -> held 3,4 until 600000ms
           0ms release b -> released
           0ms hold c 3,4 with=fans -> would strand
           0ms hold c best=2 with=fans also -> held 2,3 until 600000ms, stranding nobody
           0ms release c -> released
           0ms set t of=agent 5 -> touched 5
           0ms hold d 3 -> held 3 until 600000ms
    ",
    );
}

#[test]
fn general_sale_counts_for_orphans_only_in_its_window() {
    check(
        &one_row("......"),
        "
           0ms update orphans=lenient closes=100 -> done
           0ms set s of=fans 0,1,2 closes=9000 -> touched 0,1,2
          99ms hold a 1,2 with=fans -> would strand
          99ms hold a 2 with=fans -> held 2 until 600099ms
          99ms release a -> released
         100ms hold b 1 with=fans -> would strand
         100ms hold b 1,2 with=fans -> held 1,2 until 600100ms
    ",
    );
}

#[test]
fn suggestions_are_of_what_is_brought() {
    check(
        &one_row("......"),
        "
           0ms set s of=fans 0,1 -> touched 0,1
           0ms suggest best=2 -> 2,3 or 4,5
           0ms suggest best=2 with=fans -> 0,1
           0ms suggest best=2 with=fans also options=4 -> 2,3 or 0,1 or 4,5
           0ms suggest best=2 with=nobody options=1 -> sold out
           0ms update closes=100 -> done
         100ms suggest best=2 -> sale closed
         100ms suggest best=2 with=fans -> sale closed
         100ms set t of=fans closes=9000 -> touched
         100ms suggest best=2 with=fans also -> 0,1
    ",
    );
}

#[test]
fn what_a_hold_would_do_depends_on_its_keys() {
    check(
        &one_row("......"),
        "
           0ms set s of=fans 0,1,2 -> touched 0,1,2
           0ms explain a 1 -> would be not in allocation: 1 killed
           0ms explain a 1 with=fans -> would hold 1, leaving 0 alone
           0ms explain a 4 -> would hold 4, leaving 3,5 alone
           0ms explain a 4 with=fans -> would hold 4, leaving 5 alone
           0ms explain a best=2 with=fans -> would hold 1,2, leaving 0 alone
        public xxx...
    ",
    );
}

#[test]
fn whom_a_closed_sale_would_leave_alone_does_not_depend_on_allocations() {
    check(
        &one_row("......"),
        "
           0ms update closes=1000 -> done
        1000ms explain a 1 -> would be sale closed, leaving 0 alone
        1000ms set s of=fans 5 -> touched 5
        1000ms explain a 1 -> would be sale closed, leaving 0 alone
    ",
    );
}

// ---- Admissions ----

#[test]
fn admissions_are_drawn_in_the_order_of_the_keys_then_from_general_room() {
    check(
        &field(),
        "
           0ms set s of=fans floor=2 -> touched floor*2
           0ms set t of=agent floor=1 -> touched floor*1
           0ms hold a floor=4 -> not enough places, 0 held
           0ms hold a floor=3 -> held floor*3 until 600000ms
           0ms hold b floor=1 -> not enough places, 3 held
           0ms hold b floor=2 with=agent,fans -> held floor*2 until 600000ms
           0ms allocations -> fans 0/0/0/0 floor*2/1/0; agent 0/0/0/0 floor*1/1/0
           0ms hold c floor=2 with=fans -> not enough places, 4 held
           0ms hold c floor=5 least=1 with=fans -> held floor*1 until 600000ms
           0ms release b -> released
           0ms allocations -> fans 0/0/0/0 floor*2/1/0; agent 0/0/0/0 floor*1/0/0
           0ms release c -> released
           0ms release a -> released
           0ms hold d floor=4 with=fans,agent -> held floor*4 until 600000ms
           0ms allocations -> fans 0/0/0/0 floor*2/2/0; agent 0/0/0/0 floor*1/1/0
           0ms hold e floor=3 -> not enough places, 1 held
           0ms hold e floor=2 -> held floor*2 until 600000ms
    ",
    );
}

#[test]
fn a_quota_is_reached_in_its_window() {
    check(
        &field(),
        "
           0ms update opens=1000 -> done
           0ms set s of=fans floor=2 opens=10 closes=2000 -> touched floor*2
           9ms hold a floor=1 with=fans -> sale not open until 10ms
          10ms hold a floor=3 with=fans -> not enough places, 0 held
          10ms hold a floor=3 least=1 with=fans -> held floor*2 until 600010ms
          10ms hold b hill=1 with=fans -> sale not open until 1000ms
        1000ms release a -> released
        1000ms hold b floor=6 with=fans -> held floor*6 until 601000ms
        1000ms release b -> released
        2000ms hold c floor=5 with=fans -> not enough places, 0 held
        2000ms hold c floor=4 with=fans -> held floor*4 until 602000ms
        2000ms allocations -> fans 0/0/0/0 floor*2/0/0 opens 10ms closes 2000ms
    ",
    );
}

#[test]
fn of_a_part_those_of_allocations_go_first() {
    check(
        &field(),
        "
           0ms set s of=fans floor=2 -> touched floor*2
           0ms hold a floor=4 with=fans -> held floor*4 until 600000ms
           0ms release a floor=1 request=1 -> held floor*3 until 600000ms
           0ms allocations -> fans 0/0/0/0 floor*2/1/0
           0ms confirm a floor=1 order=x request=2 -> held floor*2 sold floor*1 until 600000ms for x
           0ms allocations -> fans 0/0/0/0 floor*2/0/1
           0ms confirm a order=x -> sold floor*3
           0ms allocations -> fans 0/0/0/0 floor*2/0/1
           0ms return r floor=1 order=x -> touched floor*1
           0ms allocations -> fans 0/0/0/0 floor*2/0/0
           0ms hold b floor=3 -> not enough places, 0 held
           0ms hold b floor=2 -> held floor*2 until 600000ms
    ",
    );
}

#[test]
fn a_quota_is_never_below_its_use_nor_above_what_general_room_covers() {
    check(
        &field(),
        "
           0ms set s of=fans floor=2 -> touched floor*2
           0ms hold a floor=2 with=fans -> held floor*2 until 600000ms
           0ms set t of=fans floor=1 -> places in use: floor*1 held
           0ms set t of=fans floor=7 -> capacity invalid
           0ms hold b floor=3 -> held floor*3 until 600000ms
           0ms set t of=fans floor=4 hill=4 -> capacity invalid
           0ms set t of=fans floor=4 hill=3 -> places in use: floor*1 held
           0ms set t of=fans floor=3 hill=3 -> touched floor*3,hill*3
           0ms set u of=fans floor=3 hill=2 -> touched hill*2
           0ms remove r of=fans floor=2 hill=3 -> places in use: floor*1 held, hill*1 killed
           0ms remove r of=fans floor=1 hill=1 -> touched floor*1,hill*1
           0ms allocations -> fans 0/0/0/0 floor*2/2/0 hill*1/0/0
           0ms set v of=agent floor=2 -> places in use: floor*1 held
           0ms set v of=agent floor=1 -> touched floor*1
           0ms hold c floor=1 -> not enough places, 3 held
    ",
    );
}

#[test]
fn what_was_drawn_from_a_removed_allocation_comes_back_to_general_sale() {
    check(
        &field(),
        "
           0ms set s of=fans floor=6 -> touched floor*6
           0ms hold a floor=2 with=fans -> held floor*2 until 600000ms
           0ms hold b floor=1 -> sold out
           0ms remove r of=fans validate -> touched floor*6
           0ms remove r of=fans -> touched floor*6
           0ms hold b floor=5 -> not enough places, 2 held
           0ms hold b floor=4 -> held floor*4 until 600000ms
           0ms release a -> released
           0ms set t of=fans floor=1 -> touched floor*1
           0ms allocations -> fans 0/0/0/0 floor*1/0/0
           0ms hold c floor=1 -> held floor*1 until 600000ms
    ",
    );
}

#[test]
fn admissions_of_a_replaced_hold_are_room_for_what_they_were_drawn_from() {
    check(
        &field(),
        "
           0ms set s of=fans floor=2 -> touched floor*2
           0ms hold a floor=2 with=fans -> held floor*2 until 600000ms
           0ms hold b floor=5 replacing=a -> not enough places, 0 held
           0ms hold b floor=6 replacing=a with=fans -> held floor*6 until 600000ms
           0ms allocations -> fans 0/0/0/0 floor*2/2/0
    ",
    );
}

#[test]
fn general_admission_instead_of_seats_draws_on_what_best_available_searches() {
    check(
        &field(),
        "
           0ms set s of=fans floor=4 -> touched floor*4
           0ms hold a best=3 anyhow -> held hill*3 until 600000ms, without seats
           0ms hold b best=3 anyhow with=fans -> held floor*3 until 600000ms, without seats
           0ms hold c best=2 anyhow with=fans -> not enough places, 3 held
           0ms hold c best=3 anyhow with=fans also -> held floor*3 until 600000ms, without seats
           0ms allocations -> fans 0/0/0/0 floor*4/4/0
           0ms hold d best=1 anyhow with=fans -> not enough places, 4 held
           0ms hold d best=1 anyhow -> not enough places, 5 held
    ",
    );
}

#[test]
fn a_party_joins_the_admissions_of_its_command_in_the_same_order_of_drawing() {
    check(
        &field(),
        "
           0ms set s of=fans floor=3 -> touched floor*3
           0ms hold a floor=2 best=2 anyhow with=fans -> not enough places, 0 held
           0ms hold a floor=2 best=2 anyhow with=fans also -> held floor*4 until 600000ms, without seats
           0ms allocations -> fans 0/0/0/0 floor*3/3/0
    ",
    );
}

// ---- Kill and return ----

#[test]
fn the_house_withdraws_only_what_is_not_set_aside() {
    check(
        &field(),
        "
           0ms set s of=fans floor=4 -> touched floor*4
           0ms kill k floor=3 reason=camera -> places in use: floor*1 killed
           0ms kill k floor=2 reason=camera -> touched floor*2
           0ms hold a floor=1 -> sold out
           0ms hold a floor=5 with=fans -> not enough places, 0 held
           0ms set t of=agent floor=1 -> places in use: floor*1 killed
           0ms unkill u floor=1 -> touched floor*1
           0ms hold a floor=5 with=fans -> held floor*5 until 600000ms
    ",
    );
}

#[test]
fn a_killed_seat_comes_back_to_its_allocation() {
    check(
        &one_row("......"),
        "
           0ms set s of=fans 0,1 -> touched 0,1
           0ms kill k 0 reason=camera -> touched 0
           0ms hold a 0 -> not in allocation: 0 killed
           0ms hold a 0 with=fans -> places unavailable: 0 killed
           0ms hold b best=2 with=fans -> not enough places, 0 held
           0ms unkill u 0 -> touched 0
           0ms hold b best=2 with=fans -> held 0,1 until 600000ms, stranding nobody
    ",
    );
}

#[test]
fn sold_places_return_to_where_they_came_from_to_general_sale_or_killed() {
    check(
        &house(0),
        "
           0ms set s of=fans 0,1,2 floor=6 -> touched 0,1,2,floor*6
           0ms hold a 0,1,2 floor=6 with=fans -> held 0,1,2,floor*6 until 600000ms
           0ms confirm a order=x -> sold 0,1,2,floor*6
           0ms return r 0 floor=2 order=x -> touched 0,floor*2
           0ms allocations -> fans 1/0/2/0 floor*6/0/4
           0ms return q 1 floor=1 order=x to=general -> touched 1,floor*1
           0ms allocations -> fans 1/0/1/0 floor*5/0/3
           0ms hold b 1 floor=5 -> not enough places, 0 held
           0ms hold b 1 floor=4 -> held 1,floor*4 until 600000ms
           0ms return p 2 floor=1 order=x to=killed -> touched 2,floor*1
           0ms allocations -> fans 1/0/0/1 floor*4/0/2
           0ms unkill u 2 floor=1 -> touched 2,floor*1
           0ms allocations -> fans 2/0/0/0 floor*4/0/2
           0ms hold c floor=2 -> not enough places, 4 held
           0ms hold c floor=1 -> held floor*1 until 600000ms
    ",
    );
}

#[test]
fn what_comes_back_to_a_cancelled_event_is_killed_with_its_tag() {
    check(
        &house(0),
        "
           0ms set s of=fans 0,1 floor=2 -> touched 0,1,floor*2
           0ms sell z 0,1 floor=2 order=x with=fans -> sold 0,1,floor*2
           0ms update state=cancelled -> done
           0ms return r 0 floor=1 order=x -> touched 0,floor*1
           0ms allocations -> fans 0/0/1/1 floor*1/0/1
           0ms return q order=x to=general -> touched 1,floor*1
           0ms allocations -> fans 0/0/0/2
    ",
    );
}

#[test]
fn a_seat_of_another_order_is_named_with_its_public_state() {
    check(
        &one_row("......"),
        "
           0ms set s of=fans 0 -> touched 0
           0ms sell z 1 order=x -> sold 1
           0ms return r 0 order=x -> not this order: 0 killed
    ",
    );
}

#[test]
fn a_seat_that_is_not_of_the_hold_is_named_with_its_public_state() {
    check(
        &one_row("......"),
        "
           0ms set s of=fans 0 -> touched 0
           0ms hold a 1 -> held 1 until 600000ms
           0ms confirm a 0 order=x request=1 -> places unavailable: 0 killed
    ",
    );
}

#[test]
fn a_seat_that_a_hold_lost_is_named_with_its_public_state() {
    check(
        &one_row("......"),
        "
           0ms hold a 0,1 -> held 0,1 until 600000ms
           0ms kill k 0 reason=camera force -> touched 0 of a
           0ms unkill u 0 -> touched 0
           0ms set s of=fans 0 -> touched 0
           0ms confirm a order=x -> places unavailable: 0 killed
    ",
    );
}

#[test]
fn a_seat_that_a_late_payment_lost_is_named_with_its_public_state() {
    check(
        &one_row("......"),
        "
           0ms hold a 0,1 ttl=1000ms -> held 0,1 until 1000ms
           0ms kill k 0 reason=camera force -> touched 0 of a
           0ms unkill u 0 -> touched 0
           0ms set s of=fans 0 -> touched 0
        1000ms confirm a order=x reclaim -> hold expired: 0 killed
    ",
    );
}

// ---- Sales without a hold, exchanges, late payments ----

#[test]
fn a_sale_without_a_hold_brings_keys_and_knows_no_window() {
    check(
        &house(0),
        "
           0ms set s of=fans 0,1 floor=8 closes=1 -> touched 0,1,floor*8
           0ms update closes=1 -> done
          10ms sell z 0,3 order=x -> not in allocation: 0 killed
          10ms sell z 0,3 floor=2 order=x -> not in allocation: 0 killed
          10ms sell z 3 floor=2 order=x -> not enough places, 0 held
          10ms sell z 0,3 floor=2 order=x with=fans -> sold 0,3,floor*2
          10ms allocations -> fans 1/0/1/0 floor*8/0/2 closes 1ms
    ",
    );
}

#[test]
fn a_given_seat_is_taken_again_without_its_key() {
    check(
        &one_row("......"),
        "
           0ms set s of=fans 0,1 -> touched 0,1
           0ms sell z 0 order=x with=fans -> sold 0
           0ms exchange e order=x give=0 take=0,3 -> sold 0,3
           0ms exchange f order=x give=3 take=1 -> not in allocation: 1 killed
           0ms exchange f order=x give=3 take=0,1 -> not in allocation: 0 sold, 1 killed
           0ms exchange f order=x give=3 take=1 with=fans -> sold 1
        public SS....
    ",
    );
}

#[test]
fn given_admissions_are_room_for_what_they_were_drawn_from() {
    check(
        &field(),
        "
           0ms set s of=fans floor=2 -> touched floor*2
           0ms sell z floor=2 order=x with=fans -> sold floor*2
           0ms sell y floor=4 order=y -> sold floor*4
           0ms exchange e order=x gives-floor=2 floor=1 -> sold out
           0ms exchange e order=x gives-floor=2 floor=1 with=fans -> sold floor*1
           0ms allocations -> fans 0/0/0/0 floor*2/0/1
    ",
    );
}

#[test]
fn a_late_payment_never_gets_a_seat_that_was_set_aside_meanwhile() {
    check(
        &one_row("......"),
        "
           0ms set s of=fans 0,1 -> touched 0,1
           0ms hold a 0,2 with=fans ttl=1000ms -> held 0,2 until 1000ms
           0ms hold b 3 ttl=1000ms -> held 3 until 1000ms
        1000ms set t of=agent 0,3 -> touched 0,3
        1000ms confirm a order=x reclaim -> hold expired: 0 killed
        1000ms confirm b order=y reclaim -> hold expired: 3 killed
        1001ms set u of=fans 0,2 -> touched 0,2
        1001ms confirm a order=x reclaim -> sold 0,2
        1001ms remove r of=agent -> touched 3
        1001ms confirm b order=y reclaim -> sold 3
    ",
    );
}

#[test]
fn an_allocation_made_again_is_another_for_a_late_payment() {
    check(
        &one_row("......"),
        "
           0ms set s of=fans 0 -> touched 0
           0ms hold a 0 with=fans ttl=1000ms -> held 0 until 1000ms
        1000ms remove r of=fans -> touched 0
        1000ms set t of=fans 0 -> touched 0
        1000ms confirm a order=x reclaim -> hold expired: 0 killed
        1000ms remove q of=fans 0 -> touched 0
        1000ms confirm a order=x reclaim -> sold 0
    ",
    );
}

#[test]
fn a_late_payment_gets_admissions_from_where_they_came_or_from_general_room() {
    check(
        &field(),
        "
           0ms set s of=fans floor=2 -> touched floor*2
           0ms hold a floor=3 with=fans ttl=1000ms -> held floor*3 until 1000ms
        1000ms hold b floor=1 with=fans -> held floor*1 until 601000ms
        1000ms hold c floor=3 -> held floor*3 until 601000ms
        1000ms confirm a order=x reclaim -> hold expired: floor*1 held
        1000ms release b -> released
        1000ms confirm a order=x reclaim -> sold floor*3
        1000ms allocations -> fans 0/0/0/0 floor*2/0/2
    ",
    );
}

// ---- Plan revisions ----

#[test]
fn tags_and_quotas_follow_their_keys_to_a_new_plan() {
    check(
        &house(0),
        "
           0ms set s of=fans 0,5 by=side floor=4 -> touched 0,5,30,31,32,33,34,35,floor*4
           0ms update plan=house1 -> done
           0ms allocations -> fans 8/0/0/0 floor*4/0/0
           0ms hold a 0 revision=2 -> not in allocation: 0 killed
           1ms update plan=house2 -> done
           1ms allocations -> fans 1/0/0/0 floor*4/0/0
           2ms update plan=house1 -> done
           2ms allocations -> fans 1/0/0/0 floor*4/0/0
           2ms remove r of=fans revision=1 -> plan changed, now 4
    ",
    );
}

#[test]
fn in_a_smaller_area_the_quota_made_last_goes_first_and_only_what_is_unused() {
    check(
        &house(0),
        "
           0ms set s of=fans floor=3 -> touched floor*3
           0ms set t of=agent floor=4 -> touched floor*4
           0ms hold a floor=1 with=agent -> held floor*1 until 600000ms
           0ms update plan=house2 -> done
           0ms allocations -> fans 0/0/0/0 floor*3/0/0; agent 0/0/0/0 floor*2/1/0
           0ms hold b floor=1 -> sold out
    ",
    );
}

#[test]
fn in_a_smaller_area_killed_admissions_go_before_quotas() {
    check(
        &house(0),
        "
           0ms set s of=fans floor=4 -> touched floor*4
           0ms kill k floor=4 reason=camera -> touched floor*4
           0ms update plan=house2 -> done
           0ms allocations -> fans 0/0/0/0 floor*4/0/0
           0ms unkill u floor=2 -> capacity invalid
           0ms unkill u floor=1 -> touched floor*1
    ",
    );
}

#[test]
fn in_a_smaller_area_the_last_quota_goes_first_and_one_made_in_the_place_of_another_is_not_the_last() {
    check(
        &house(0),
        "
           0ms set s of=fans floor=3 -> touched floor*3
           0ms set t of=agent floor=4 -> touched floor*4
           0ms remove r of=fans -> touched floor*3
           0ms set u of=sponsor floor=3 -> touched floor*3
           0ms update plan=house2 -> done
           0ms allocations -> sponsor 0/0/0/0 floor*3/0/0; agent 0/0/0/0 floor*2/0/0
    ",
    );
}

// ---- Requests and limits ----

#[test]
fn a_request_to_set_aside_is_remembered_as_one_to_kill_is() {
    check(
        &one_row("......"),
        "
           0ms set s of=fans 0 validate -> touched 0
        public ......
           0ms set s of=fans 0 expect=paused -> state mismatch
           0ms set s of=fans 0 expect=onsale -> touched 0
        public x.....
           1ms set s of=fans 0 -> touched, again
           1ms set s of=fans 0 expect=paused validate -> touched, again
           1ms set s of=fans 1 -> request id reused
           1ms set s of=agent 0 -> request id reused
           1ms set s of=fans 0 opens=5 -> request id reused
           1ms remove s of=fans -> request id reused
           1ms remove r of=fans 0 validate -> touched 0
           1ms remove r of=fans 0 expect=paused -> state mismatch
           1ms remove r of=fans 0 -> touched 0
           2ms remove r of=fans 0 -> touched, again
           2ms remove q of=nobody 9 -> invalid AllocationKey
           2ms remove q of=fans 9 -> unknown place in Seats at 0
           2ms remove q of=fans keys=nowhere -> unknown place in SeatKeys at 0
           2ms set t of=fans by=nowhere -> unknown place in Selectors at 0
           2ms set t of= 0 -> invalid AllocationKey
           2ms remove q of= 0 -> invalid AllocationKey
      300000ms set s of=fans 0 -> request id too old
    ",
    );
}

#[test]
fn a_hold_is_the_same_only_with_the_same_keys() {
    check(
        &one_row("......"),
        "
           0ms set s of=fans 0 -> touched 0
           0ms hold a 0 with=fans,agent -> held 0 until 600000ms
           0ms hold a 0 with=fans,agent -> held 0 until 600000ms, again
           0ms hold a 0 with=fans -> hold id reused
           0ms hold a 0 with=fans,agent also -> hold id reused
           0ms hold a 0 with=agent,fans -> hold id reused
           1ms remove r of=fans -> touched 0
           1ms hold a 0 with=fans,agent -> held 0 until 600000ms, again
    ",
    );
}

#[test]
fn a_command_brings_at_most_sixteen_keys_each_once() {
    let mut stage = Stage::new(&one_row("......"));
    let keys = |count: usize| (0..count).map(|number| format!("key-{number}")).collect::<Vec<_>>().join(",");
    stage.play(&format!("0ms hold a 0 with={} -> held 0 until 600000ms", keys(ALLOCATION_KEYS_MAX)));
    stage.play(&format!("0ms hold b 1 with={} -> invalid AllocationKeys", keys(ALLOCATION_KEYS_MAX + 1)));
    stage.play("0ms hold b 1 with=fans,agent,fans -> invalid AllocationKeys");
    stage.play(&format!("0ms hold b 1 with={} -> invalid AllocationKeys", "k".repeat(65)));
    stage.play(&format!("0ms hold b 1 with={} -> held 1 until 600000ms", "k".repeat(64)));
    stage.end();
}

#[test]
fn an_event_has_so_many_allocations() {
    let mut stage = Stage::new(&one_row("......"));
    for number in 0..ALLOCATIONS_PER_EVENT_MAX {
        stage.quietly(&format!("0ms set s{number} of=key-{number} {}", number % 6));
    }
    stage.play("0ms set t of=fans 0 -> capacity budget");
    stage.play("0ms set t of=fans 0 opens=5 closes=4 -> capacity budget");
    stage.play("0ms set t of=key-254 1 -> touched 1");
    stage.play("0ms remove r of=key-7 -> touched");
    stage.play("0ms set u of=fans 0 -> touched 0");
    stage.end();
}

#[test]
fn so_many_allocations_have_admissions_in_one_area() {
    let mut stage = Stage::new(&hall());
    for number in 0..QUOTAS_PER_AREA_MAX {
        stage.quietly(&format!("0ms set s{number} of=key-{number} floor=2"));
    }
    stage.play("0ms set t of=fans floor=1 -> capacity budget");
    stage.play("0ms set t of=fans floor=91 -> capacity invalid");
    stage.play("0ms set t of=fans 3 -> touched 3");
    stage.play("0ms set u of=key-14 floor=1 -> touched floor*1");
    stage.play("0ms remove r of=key-3 -> touched floor*2");
    stage.play("0ms set v of=fans floor=1 -> touched floor*1");
    stage.end();
}

#[test]
fn an_allocation_with_nothing_left_in_an_area_does_not_count_there() {
    let mut stage = Stage::new(&hall());
    for number in 0..QUOTAS_PER_AREA_MAX {
        stage.quietly(&format!("0ms set s{number} of=key-{number} floor=2"));
    }
    stage.play("0ms remove r of=key-3 floor=2 -> touched floor*2");
    stage.play("0ms set t of=fans floor=1 -> touched floor*1");
    stage.end();
}

#[test]
fn a_late_payment_gets_nothing_of_general_room_for_what_was_drawn_from_a_quota() {
    check(
        &field(),
        "
           0ms set s of=fans floor=2 -> touched floor*2
           0ms hold a floor=1 with=fans ttl=1000ms -> held floor*1 until 1000ms
        1000ms hold b floor=2 with=fans -> held floor*2 until 601000ms
        1000ms confirm a order=x reclaim -> hold expired: floor*1 held
    ",
    );
}
