//! The contract as stories, told by `world::story`: orphans, ladders, windows, memories, payments.
//!
//! Not here: what the house does, and what becomes of a sale later (`house_stories.rs`).

mod world;

use inventory_core::plan::{PlanSpec, Point};
use world::{area, field, hall, house, one_row, row, section, story::check, table};

#[test]
fn a_seat_can_be_held_again_at_the_instant_its_hold_expires() {
    check(
        &one_row("........"),
        "
           0ms hold a 3,4 ttl=5000ms -> held 3,4 until 5000ms
        4999ms hold b 4 ttl=5000ms -> places unavailable: 4 held
        5000ms hold c 4 ttl=5000ms -> held 4 until 10000ms
        5000ms confirm a order=x -> hold expired
        map ....h...
        6000ms confirm c order=x -> sold 4
        9999ms hold d 4 ttl=5000ms -> places unavailable: 4 sold
        map ....S...
    ",
    );
}

#[test]
fn a_repeated_hold_answers_as_it_is_now_and_never_holds_twice() {
    check(
        &one_row("...."),
        "
            0ms hold a 1 ttl=5000ms -> held 1 until 5000ms
           10ms hold a 1 ttl=5000ms -> held 1 until 5000ms, again
           20ms hold a 2 ttl=5000ms -> hold id reused
         1000ms extend a request=1 ttl=8000ms -> held 1 until 9000ms
         1001ms hold a 1 ttl=5000ms -> held 1 until 9000ms, again
         9000ms hold a 1 ttl=5000ms -> hold expired, executed
         9000ms hold a 2 ttl=5000ms -> hold id reused
         9000ms hold b 1 ttl=5000ms -> held 1 until 14000ms
         9001ms confirm b order=x -> sold 1
         9002ms hold b 1 ttl=5000ms -> hold already confirmed, executed
         9003ms hold c 2 -> held 2 until 609003ms
         9004ms release c -> released
         9005ms hold c 2 -> hold released, executed
        map .S..
    ",
    );
}

#[test]
fn an_ended_hold_is_forgotten_only_when_its_id_is_too_old() {
    check(
        &one_row("...."),
        "
             0ms hold a 1 ttl=1000ms -> held 1 until 1000ms
          1000ms get a -> expired
        300999ms get a -> expired
        300999ms hold a 1 ttl=1000ms -> hold expired, executed
        301000ms get a -> hold not found
        301000ms hold a 1 ttl=1000ms -> hold id too old
        301000ms hold b 1 made=1000ms -> hold id too old
        301000ms hold c 1 made=1001ms ttl=1000ms -> held 1 until 302000ms
        310000ms hold d 2 made=369999ms ttl=1000ms -> held 2 until 311000ms
        310000ms hold e 3 made=370000ms -> hold id from future
        311000ms get d -> expired
        669998ms hold d 2 made=369999ms ttl=1000ms -> hold expired, executed
        669999ms hold d 2 made=369999ms ttl=1000ms -> hold id too old
    ",
    );
}

#[test]
fn a_longer_memory_does_not_bring_back_what_was_forgotten() {
    check(
        &one_row("...."),
        "
             0ms update retry_window=60s -> done
             0ms hold a 1 ttl=1000ms -> held 1 until 1000ms
          1000ms get a -> expired
         61000ms update retry_window=300s -> done
         61000ms hold a 1 ttl=1000ms -> hold id too old
         61000ms hold b 1 made=1000ms -> hold id too old
         61000ms hold c 1 made=1001ms ttl=1000ms -> held 1 until 62000ms
    ",
    );
}

#[test]
fn a_longer_memory_keeps_what_is_remembered_for_as_long() {
    check(
        &one_row("...."),
        "
             0ms update retry_window=60s -> done
             0ms hold a 1 -> held 1 until 600000ms
          1000ms release a -> released
         40000ms update request=7 retry_window=61s -> done
         50000ms update retry_window=300s -> done
         62000ms hold a 1 -> hold released, executed
        200000ms hold a 1 -> hold released, executed
        200000ms update request=7 retry_window=61s -> done, again
        301000ms hold a 1 -> hold id too old
    ",
    );
}

#[test]
fn a_hold_never_outlives_the_longest_life_its_event_allows() {
    check(
        &one_row("...."),
        "
        0ms update ttl=60s lifetime=60s -> done
        0ms hold a 1 ttl=7200000ms -> held 1 until 60000ms
    ",
    );
}

#[test]
fn every_seat_in_the_way_is_named_with_its_state_and_nothing_is_held() {
    check(
        &one_row("........"),
        "
        0ms hold a 1,2 -> held 1,2 until 600000ms
        0ms hold b 4 -> held 4 until 600000ms
        0ms confirm b order=x -> sold 4
        1ms hold c 5,4,3,2 -> places unavailable: 4 sold, 2 held
        1ms hold d 5,5 -> duplicate seat at 1
        1ms hold e 5,8 -> unknown place in Seats at 1
        map .hh.S...
    ",
    );
}

#[test]
fn a_replacement_keeps_what_both_have_and_the_timer() {
    check(
        &one_row("........"),
        "
           0ms hold a 1,2 ttl=5000ms -> held 1,2 until 5000ms
        1000ms extend a request=1 ttl=6000ms -> held 1,2 until 7000ms
        2000ms hold b 2,3 ttl=7200000ms replacing=a -> held 2,3 until 7000ms
        map ..hh....
        2001ms get a -> released
        2002ms confirm a order=x -> hold released
        2003ms hold x 6 -> held 6 until 602003ms
        2003ms hold c 2,6 replacing=b -> places unavailable: 6 held
        2003ms get b -> held 2,3 until 7000ms
        2004ms hold d 2 replacing=a -> hold released
        2005ms hold e 2 replacing=nobody -> hold not found
        7000ms hold f 2 replacing=b -> hold expired
    ",
    );
}

#[test]
fn a_confirm_in_part_keeps_or_releases_the_rest() {
    check(
        &one_row("........"),
        "
           0ms hold a 1,2,3 ttl=5000ms -> held 1,2,3 until 5000ms
           1ms confirm a 2 order=x -> request id invalid
           1ms confirm a 2,4 order=x request=1 -> places unavailable: 4 open
           1ms confirm a 2 order=x request=1 -> held 1,3 sold 2 until 5000ms for x
           2ms confirm a 2 order=x request=1 -> held 1,3 sold 2 until 5000ms for x, again
           2ms confirm a 1 order=x request=1 -> request id reused
           3ms confirm a 3 order=y request=5 release -> sold 2,3 for x y
           4ms confirm a 1 order=y request=6 -> hold already confirmed
           4ms confirm a order=x -> hold already confirmed
        map ..SS....
    ",
    );
}

#[test]
fn an_older_request_is_refused_and_the_last_is_answered_even_when_the_hold_has_ended() {
    check(
        &one_row("........"),
        "
           0ms hold a 1,2 ttl=5000ms -> held 1,2 until 5000ms
           1ms release a 1 request=5 -> held 2 until 5000ms
           2ms release a 2 request=4 -> request id too old
           3ms release a 2 request=6 -> released
           4ms release a 2 request=6 -> released, again
           4ms release a 2 request=7 -> hold released
           4ms release a -> released, again
        map ........
    ",
    );
}

#[test]
fn a_whole_confirm_is_repeatable_under_its_own_order_only() {
    check(
        &one_row("........"),
        "
           0ms hold a 1,2,3 -> held 1,2,3 until 600000ms
           1ms confirm a 1 order=x request=1 -> held 2,3 sold 1 until 600000ms for x
           2ms confirm a 2 order=y request=2 -> held 3 sold 1,2 until 600000ms for x y
           3ms confirm a order=x -> sold 1,2,3 for x y
           4ms confirm a order=x -> sold 1,2,3 for x y, again
           4ms confirm a order=y -> hold already confirmed
           4ms release a -> hold already confirmed
    ",
    );
}

#[test]
fn an_expired_hold_is_reclaimed_whole_or_not_at_all() {
    check(
        &one_row("........"),
        "
           0ms hold a 1,2 ttl=1000ms -> held 1,2 until 1000ms
           0ms hold b 4,5 ttl=1000ms -> held 4,5 until 1000ms
        2000ms confirm a order=x -> hold expired
        2000ms confirm a 1 order=x request=1 reclaim -> hold expired
        2000ms hold c 5 -> held 5 until 602000ms
        2000ms confirm b order=x reclaim -> hold expired: 5 held
        2001ms confirm a order=x reclaim -> sold 1,2
        2002ms confirm a order=x reclaim -> sold 1,2, again
        map .SS..h..
    ",
    );
}

#[test]
fn areas_lost_to_others_are_told_in_the_order_of_the_plan() {
    check(
        &field(),
        "
           0ms hold a hill=2 floor=5 ttl=1000ms -> held floor*5,hill*2 until 1000ms
        2000ms hold b floor=3 hill=3 -> held floor*3,hill*3 until 602000ms
        2000ms confirm a order=x reclaim -> hold expired: floor*2 held, hill*2 held
    ",
    );
}

#[test]
fn an_extend_never_moves_the_timer_back_nor_past_the_lifetime() {
    check(
        &one_row("........"),
        "
           0ms update lifetime=10s ttl=5s renewals=2 -> done
           0ms hold a 1 ttl=5000ms -> held 1 until 5000ms
        1000ms extend a request=1 ttl=3000ms -> renewal cap
        1000ms extend a request=2 ttl=4000ms -> renewal cap
        1000ms extend a request=3 -> held 1 until 6000ms
        1000ms extend a request=3 -> held 1 until 6000ms, again
        2000ms extend a request=4 ttl=60000ms -> held 1 until 10000ms
        3000ms extend a request=5 ttl=60000ms -> renewal cap
        3000ms extend a request=6 ttl=999ms -> ttl out of range
        9999ms extend a request=3 -> request id too old
       10000ms extend a request=7 -> hold expired
    ",
    );
}

#[test]
fn best_available_is_nearest_and_strands_nobody_if_it_can() {
    check(
        &one_row("......"),
        "
           0ms update request=1 orphans=lenient -> done
           0ms hold a best=2 -> held 2,3 until 600000ms, stranding nobody
           0ms hold b best=1 -> held 1 until 600000ms, stranding one
           0ms hold c best=3 -> not enough places, 3 held
           1ms release a -> released
           1ms hold d best=3 -> held 2,3,4 until 600001ms, stranding one
           1ms hold e best=1 -> held 0 until 600001ms, stranding nobody
           1ms hold f best=1 -> held 5 until 600001ms, stranding nobody
           1ms hold g best=1 -> not enough places, 6 held
           2ms confirm b order=x -> sold 1
        map hShhhh
    ",
    );
}

#[test]
fn accessible_seats_are_for_those_who_ask_and_companions_sit_beside_them() {
    check(
        &one_row("..cac.."),
        "
           0ms hold a best=3 -> not enough places, 0 held
           0ms hold b best=2 accessible=1 -> held 2,3 until 600000ms, stranding nobody
           0ms hold c best=1 accessible=1 -> not enough places, 2 held
        map ..hh...
    ",
    );
}

#[test]
fn an_area_gives_what_it_has_down_to_the_least_asked() {
    check(
        &field(),
        "
           0ms hold a floor=4 -> held floor*4 until 600000ms
           0ms hold b floor=3 -> not enough places, 4 held
           0ms hold c floor=3 least=2 -> held floor*2 until 600000ms
           0ms hold d floor=1 hill=1 -> not enough places, 6 held
           1ms confirm a order=x -> sold floor*4
           1ms confirm c order=x -> sold floor*2
           1ms hold e floor=1 -> sold out
    ",
    );
}

#[test]
fn limits_by_customer_count_what_is_held_and_what_is_sold() {
    check(
        &one_row("........"),
        "
           0ms update places_per_customer=3 holds_per_customer=2 -> done
           0ms hold a 1 -> invalid Customer
           0ms hold b 1,2 for=7 ttl=1000ms -> held 1,2 until 1000ms
           0ms confirm b order=x -> sold 1,2
           0ms hold c 3,4 for=7 -> customer limit 3
           0ms hold d 3,4 for=8 ttl=1000ms -> held 3,4 until 1000ms
           0ms hold e 5 for=8 ttl=1000ms -> held 5 until 1000ms
           0ms hold f 6 for=8 -> customer limit 3
           0ms hold g 4,5,6 for=8 replacing=d -> places unavailable: 5 held
           0ms hold h 4 for=8 replacing=d -> held 4 until 1000ms
           0ms hold i 6 for=8 -> hold quota 2
           0ms hold j 6 for=9 replacing=h -> invalid Customer
        1000ms hold k 3,4,5 for=8 -> held 3,4,5 until 601000ms
        map .SShhh..
    ",
    );
}

#[test]
fn a_sale_that_is_not_open_says_why() {
    check(
        &one_row("...."),
        "
           0ms hold a 1 ttl=9000ms -> held 1 until 9000ms
           0ms update opens=1000ms closes=2000ms -> done
         999ms hold b 2 -> sale not open until 1000ms
        1000ms hold b 2 ttl=9000ms -> held 2 until 10000ms
        2000ms hold c 3 -> sale closed
        2000ms update closes=0ms state=paused -> done
        2000ms hold c 3 -> sale paused
        2000ms extend a request=1 ttl=8000ms -> held 1 until 10000ms
        2000ms update state=draft -> invalid State
        2000ms update state=offsale -> done
        2000ms hold c 3 -> sale closed
        2000ms confirm a order=x -> sold 1
        2000ms update state=paused -> invalid State
        2000ms update state=onsale -> done
        2000ms hold c 3 -> held 3 until 602000ms
    ",
    );
}

#[test]
fn a_cancelled_event_ends_its_holds_and_keeps_its_sales() {
    check(
        &one_row("...."),
        "
           0ms hold a 1 -> held 1 until 600000ms
           0ms hold b 2 -> held 2 until 600000ms
           0ms confirm b order=x -> sold 2
           1ms update state=cancelled -> done
           2ms confirm a order=x -> event cancelled
           2ms confirm b order=x -> sold 2, again
           2ms extend a request=1 -> event cancelled
           2ms get a -> released
           2ms release a -> released, again
           2ms hold c 3 -> event cancelled
           2ms hold a 1 -> hold released, executed
           2ms confirm nobody order=x -> hold not found
           2ms update state=onsale -> invalid State
        map ..S.
    ",
    );
}

#[test]
fn a_request_on_an_event_takes_effect_once() {
    check(
        &one_row("...."),
        "
           0ms update request=1 state=paused -> done
           1ms update state=onsale -> done
           2ms update request=1 state=paused -> done, again
           3ms update request=1 state=offsale -> request id reused
           4ms hold a 1 ttl=1000ms -> held 1 until 1004ms
           5ms update expecting=paused state=offsale -> state mismatch
           5ms update validate state=paused -> done
           5ms hold b 2 ttl=1000ms -> held 2 until 1005ms
      300000ms update request=1 state=paused -> request id too old
    ",
    );
}

#[test]
fn a_new_plan_follows_the_keys_and_drops_nothing_in_use() {
    check(
        &house(0),
        "
           0ms hold a 0,30 -> held 0,30 until 600000ms
           0ms hold b floor=6 -> held floor*6 until 600000ms
           1ms update plan=house2 -> places in use: 30 held, floor*1 held
           1ms update plan=house1 -> done
           2ms get a -> held 23,0 until 600000ms
           2ms hold c 5 -> plan changed, now 2
           2ms confirm a 0 order=x request=1 revision=1 -> plan changed, now 2
           2ms confirm a 0 order=x request=1 revision=2 -> held 23 sold 0 until 600000ms for x
           3ms hold d 5 revision=2 -> held 5 until 600003ms
    ",
    );
}

#[test]
fn after_an_outage_live_holds_have_the_time_back() {
    check(
        &one_row("...."),
        "
           0ms hold a 1 ttl=5000ms -> held 1 until 5000ms
           0ms hold b 2 ttl=1000ms -> held 2 until 1000ms
        1000ms get b -> expired
        9000ms resume 7000ms
        9000ms get a -> held 1 until 12000ms
        9000ms get b -> expired
       12000ms get a -> expired
    ",
    );
}

#[test]
fn a_payment_outlives_the_deadline_of_its_hold_and_its_longest_life() {
    check(
        &one_row("...."),
        "
           0ms update ttl=5s lifetime=10s -> done
           0ms hold a 1 -> held 1 until 5000ms
        1000ms begin a attempt=1 -> paying 1 until 901000ms
        5000ms get a -> paying 1 until 901000ms
        5000ms hold a 1 -> paying 1 until 901000ms, again
        5000ms hold b 1 -> places unavailable: 1 held
      900999ms confirm a order=x attempt=1 -> sold 1
      900999ms confirm a order=x attempt=1 -> sold 1, again
        map .S..
    ",
    );
}

#[test]
fn a_payment_is_not_begun_at_the_deadline_of_its_hold() {
    check(
        &one_row("...."),
        "
           0ms hold a 1 ttl=5000ms -> held 1 until 5000ms
           0ms hold b 2 ttl=5000ms -> held 2 until 5000ms
        4999ms begin a attempt=1 -> paying 1 until 904999ms
        5000ms begin b attempt=1 -> hold expired
        5000ms begin nobody attempt=1 -> hold not found
        5000ms end nobody attempt=1 outcome=failed -> hold not found
    ",
    );
}

#[test]
fn a_payment_cannot_be_confirmed_at_its_deadline() {
    check(
        &one_row("...."),
        "
           0ms update payment_grace=60s -> done
           0ms hold a 1 ttl=5000ms -> held 1 until 5000ms
           0ms begin a attempt=1 -> paying 1 until 60000ms
       59999ms get a -> paying 1 until 60000ms
       60000ms confirm a order=x attempt=1 -> hold expired, refund due
       60000ms begin a attempt=1 -> expired, again
       60000ms end a attempt=1 outcome=failed -> expired, again
       60000ms end a attempt=2 outcome=failed -> expired
       60000ms begin a attempt=2 -> hold expired
        map ....
    ",
    );
}

#[test]
fn an_attempt_once_ended_is_never_begun_again() {
    check(
        &one_row("...."),
        "
           0ms hold a 1 -> held 1 until 600000ms
           0ms begin a attempt=1 -> paying 1 until 900000ms
           1ms begin a attempt=1 -> paying 1 until 900000ms, again
           2ms end a attempt=2 outcome=failed -> paying 1 until 900000ms
           3ms end a attempt=1 outcome=failed -> held 1 until 600000ms
           4ms end a attempt=1 outcome=failed -> held 1 until 600000ms, again
           4ms end a attempt=1 outcome=abandoned -> held 1 until 600000ms, again
           5ms begin a attempt=1 -> held 1 until 600000ms, again
           6ms begin a attempt=2 -> paying 1 until 900006ms
           7ms begin a attempt=1 -> paying 1 until 900006ms, again
           8ms end a attempt=1 outcome=failed -> paying 1 until 900006ms, again
           9ms confirm a order=x attempt=2 -> sold 1
          10ms begin a attempt=1 -> sold 1, again
          10ms end a attempt=2 outcome=failed -> sold 1, again
          10ms end a attempt=3 outcome=failed -> sold 1
          10ms begin a attempt=3 -> hold already confirmed
    ",
    );
}

#[test]
fn attempts_are_named_hold_by_hold() {
    check(
        &one_row("...."),
        "
           0ms hold a 1 -> held 1 until 600000ms
           0ms hold b 2 -> held 2 until 600000ms
           0ms begin a attempt=1 -> paying 1 until 900000ms
           1ms end b attempt=1 outcome=failed -> held 2 until 600000ms
           1ms begin b attempt=1 -> paying 2 until 900001ms
           2ms end a attempt=1 outcome=failed -> held 1 until 600000ms
           2ms get b -> paying 2 until 900001ms
    ",
    );
}

#[test]
fn one_attempt_is_open_at_a_time() {
    check(
        &one_row("...."),
        "
           0ms update payment_attempts_max=1 -> done
           0ms hold a 1 -> held 1 until 600000ms
           0ms begin a attempt=1 -> paying 1 until 900000ms
           1ms begin a attempt=2 -> payment in progress
           2ms end a attempt=1 outcome=abandoned -> held 1 until 600000ms
           2ms begin a attempt=2 -> payment attempts cap
           3ms confirm a order=x -> sold 1
           3ms begin a attempt=2 -> hold already confirmed
    ",
    );
}

#[test]
fn attempts_are_counted_also_those_of_the_hold_that_was_replaced() {
    check(
        &one_row("...."),
        "
           0ms hold a 1 -> held 1 until 600000ms
           1ms begin a attempt=1 -> paying 1 until 900001ms
           2ms end a attempt=1 outcome=failed -> held 1 until 600000ms
           3ms hold b 1,2 replacing=a -> held 1,2 until 600000ms
           4ms end b attempt=1 outcome=failed -> held 1,2 until 600000ms
           4ms begin b attempt=1 -> paying 1,2 until 900004ms
           5ms end b attempt=1 outcome=failed -> held 1,2 until 600000ms
           6ms begin b attempt=2 -> paying 1,2 until 900006ms
           7ms end b attempt=2 outcome=failed -> held 1,2 until 600000ms
           8ms begin b attempt=3 -> payment attempts cap
           9ms hold c 2 replacing=b -> held 2 until 600000ms
           9ms begin c attempt=4 -> payment attempts cap
          10ms update payment_attempts_max=4 -> done
          10ms begin c attempt=4 -> paying 2 until 900010ms
          11ms update payment_attempts_max=1 -> done
          11ms end c attempt=4 outcome=failed -> held 2 until 600000ms
          11ms begin c attempt=5 -> payment attempts cap
          11ms begin c attempt=4 -> held 2 until 600000ms, again
          12ms confirm c order=x attempt=4 -> sold 2
    ",
    );
}

#[test]
fn a_failed_payment_leaves_some_time_at_least() {
    check(
        &one_row("...."),
        "
           0ms update ttl=5s lifetime=10s payment_attempts_max=8 -> done
           0ms hold a 1 -> held 1 until 5000ms
        1000ms begin a attempt=1 -> paying 1 until 901000ms
        2000ms end a attempt=1 outcome=failed -> held 1 until 122000ms
        2000ms extend a request=1 ttl=7000ms -> renewal cap
       12000ms begin a attempt=2 -> paying 1 until 912000ms
       12000ms update payment_min_left=60s -> done
       13000ms end a attempt=2 outcome=abandoned -> held 1 until 122000ms
       14000ms begin a attempt=3 -> paying 1 until 914000ms
      121999ms end a attempt=3 outcome=failed -> held 1 until 181999ms
      181998ms begin a attempt=4 -> paying 1 until 1081998ms
      200000ms update payment_min_left=0s -> done
      300000ms end a attempt=4 outcome=failed -> held 1 until 300000ms
      300000ms get a -> expired
        map ....
    ",
    );
}

#[test]
fn a_payment_that_lapses_leaves_its_hold_what_it_has_left_and_no_more() {
    check(
        &one_row("...."),
        "
           0ms update payment_grace=60s payment_attempts_max=2 -> done
           0ms hold a 1 ttl=60001ms -> held 1 until 60001ms
           0ms hold b 2 ttl=60000ms -> held 2 until 60000ms
           0ms hold c 3 ttl=60000ms -> held 3 until 60000ms
           0ms begin a attempt=1 -> paying 1 until 60000ms
           0ms begin b attempt=1 -> paying 2 until 60000ms
       59999ms get a -> paying 1 until 60000ms
       60000ms get a -> held 1 until 60001ms
       60000ms get b -> expired
       60000ms get c -> expired
       60000ms begin a attempt=1 -> held 1 until 60001ms, again
       60000ms end a attempt=1 outcome=failed -> held 1 until 60001ms, again
        map .h..
       60000ms begin a attempt=2 -> paying 1 until 120000ms
      119999ms end a attempt=2 outcome=failed -> held 1 until 239999ms
      119999ms begin a attempt=3 -> payment attempts cap
    ",
    );
}

#[test]
fn a_lapse_that_is_found_late_revives_nobody() {
    check(
        &one_row("...."),
        "
           0ms update payment_grace=60s -> done
           0ms hold a 1 ttl=70000ms -> held 1 until 70000ms
           0ms hold b 2 ttl=70001ms -> held 2 until 70001ms
           0ms begin a attempt=1 -> paying 1 until 60000ms
           0ms begin b attempt=1 -> paying 2 until 60000ms
       70000ms get a -> expired
       70000ms get b -> held 2 until 70001ms
       70001ms get b -> expired
    ",
    );
}

#[test]
fn a_lapsed_payment_that_paid_after_all_is_confirmed_while_the_hold_lives() {
    check(
        &one_row("...."),
        "
           0ms update payment_grace=60s -> done
           0ms hold a 1 -> held 1 until 600000ms
           0ms begin a attempt=1 -> paying 1 until 60000ms
       70000ms begin a attempt=2 -> paying 1 until 130000ms
       80000ms confirm a order=x attempt=1 -> sold 1
       80000ms confirm a order=x attempt=2 -> hold already confirmed, refund due
    ",
    );
}

#[test]
fn two_payments_for_one_hold_are_never_both_answered_with_a_sale() {
    check(
        &one_row("...."),
        "
           0ms hold a 1 -> held 1 until 600000ms
           0ms hold b 2 -> held 2 until 600000ms
           1ms begin a attempt=1 -> paying 1 until 900001ms
           2ms confirm a order=x attempt=1 -> sold 1
           3ms confirm a order=x attempt=1 -> sold 1, again
           3ms confirm a order=x attempt=2 -> hold already confirmed, refund due
           3ms confirm a order=x -> hold already confirmed
           3ms confirm a order=y attempt=1 -> hold already confirmed, refund due
           4ms confirm b order=x -> sold 2
           5ms confirm b order=x attempt=1 -> hold already confirmed, refund due
           5ms confirm b order=x -> sold 2, again
    ",
    );
}

#[test]
fn the_payment_that_counts_is_that_of_the_last_confirm() {
    check(
        &one_row("...."),
        "
           0ms hold a 1,2,3 -> held 1,2,3 until 600000ms
           1ms confirm a 1 order=x request=1 attempt=1 -> held 2,3 sold 1 until 600000ms for x
           2ms confirm a 1 order=x request=1 attempt=1 -> held 2,3 sold 1 until 600000ms for x, again
           2ms confirm a 1 order=x request=1 attempt=2 -> request id reused
           2ms confirm a 1 order=x request=1 -> request id reused
           3ms confirm a 2 order=x request=2 -> held 3 sold 1,2 until 600000ms for x
           4ms confirm a order=x attempt=3 -> sold 1,2,3
           5ms confirm a order=x attempt=1 -> hold already confirmed, refund due
           5ms confirm a order=x -> hold already confirmed
           5ms confirm a order=x attempt=3 -> sold 1,2,3, again
           5ms confirm a 2 order=x request=2 -> sold 1,2,3, again
    ",
    );
}

#[test]
fn a_hold_that_is_paying_is_not_extended_replaced_nor_released() {
    check(
        &one_row("....."),
        "
           0ms hold a 1,2 -> held 1,2 until 600000ms
           1ms begin a attempt=1 -> paying 1,2 until 900001ms
           2ms extend a request=1 ttl=700000ms -> payment in progress
           2ms hold b 1,2,3 replacing=a -> payment in progress
           2ms release a -> payment in progress
           2ms release a 1 request=2 -> payment in progress
           2ms get a -> paying 1,2 until 900001ms
           3ms end a attempt=1 outcome=failed -> held 1,2 until 600000ms
           4ms hold b 1,2,3 replacing=a -> held 1,2,3 until 600000ms
           4ms begin a attempt=1 -> released, again
           4ms begin a attempt=2 -> hold released
           4ms extend b request=3 ttl=700000ms -> held 1,2,3 until 700004ms
        map .hhh.
    ",
    );
}

#[test]
fn a_payment_is_aborted_with_its_release() {
    check(
        &one_row("....."),
        "
           0ms hold a 1,2,3 ttl=5000ms -> held 1,2,3 until 5000ms
           1ms begin a attempt=1 -> paying 1,2,3 until 900001ms
           2ms release a 4 request=1 abort -> places unavailable: 4 open
           2ms get a -> paying 1,2,3 until 900001ms
        5000ms release a 1 request=1 abort -> held 2,3 until 125000ms
        5001ms release a 1 request=1 abort -> held 2,3 until 125000ms, again
        5001ms release a 1 request=1 -> request id reused
        5002ms begin a attempt=1 -> held 2,3 until 125000ms, again
        5002ms release a 2 request=2 abort -> held 3 until 125000ms
        5003ms begin a attempt=2 -> paying 3 until 905003ms
        5004ms release a abort -> released
        5004ms release a -> released, again
        5004ms end a attempt=2 outcome=failed -> released, again
        5005ms confirm a order=x attempt=2 -> hold released, refund due
        map .....
    ",
    );
}

#[test]
fn a_confirm_in_part_of_a_paying_hold_ends_its_payment() {
    check(
        &one_row("......"),
        "
           0ms hold a 1,2,3 ttl=5000ms -> held 1,2,3 until 5000ms
           1ms begin a attempt=1 -> paying 1,2,3 until 900001ms
           1ms confirm a 4 order=x request=1 attempt=1 -> places unavailable: 4 open
           1ms get a -> paying 1,2,3 until 900001ms
        6000ms confirm a 1 order=x request=1 attempt=1 -> held 2,3 sold 1 until 126000ms for x
        6001ms confirm a 1 order=x request=1 attempt=1 -> held 2,3 sold 1 until 126000ms for x, again
        6002ms begin a attempt=1 -> held 2,3 sold 1 until 126000ms for x, again
        6003ms begin a attempt=2 -> paying 2,3 sold 1 until 906003ms for x
        6004ms extend a request=2 -> payment in progress
        6005ms confirm a 2 order=y request=3 release attempt=2 -> sold 1,2 for x y
        6006ms end a attempt=2 outcome=failed -> sold 1,2 for x y, again
        map .SS...
        7000ms hold b 4 ttl=5000ms -> held 4 until 12000ms
        7000ms begin b attempt=1 -> paying 4 until 907000ms
        7001ms confirm b 4 order=z request=4 attempt=1 -> sold 4
        7002ms end b attempt=1 outcome=failed -> sold 4, again
    ",
    );
}

#[test]
fn what_is_left_after_a_sale_in_part_expires_with_its_payment() {
    check(
        &one_row("...."),
        "
           0ms update payment_grace=60s -> done
           0ms hold a 1,2 ttl=5000ms -> held 1,2 until 5000ms
           1ms confirm a 1 order=x request=1 -> held 2 sold 1 until 5000ms for x
           2ms begin a attempt=1 -> paying 2 sold 1 until 60002ms for x
        5000ms get a -> paying 2 sold 1 until 60002ms for x
       60002ms get a -> expired sold 1
        map .S..
    ",
    );
}

#[test]
fn a_late_payment_gets_its_places_back_within_a_day() {
    check(
        &one_row("....."),
        "
           0ms update payment_grace=60s -> done
           0ms hold a 1,2 ttl=5000ms -> held 1,2 until 5000ms
           0ms hold b 3 ttl=5000ms -> held 3 until 5000ms
           0ms hold c 4 ttl=5000ms -> held 4 until 5000ms
           0ms begin a attempt=1 -> paying 1,2 until 60000ms
           0ms begin b attempt=1 -> paying 3 until 60000ms
       60000ms get a -> expired
       60000ms get b -> expired
      400000ms get c -> hold not found
      400000ms update retry_window=400s -> done
      400000ms hold a 1,2 ttl=5000ms -> hold expired, executed
    86459999ms confirm a order=x attempt=1 -> hold expired, refund due
    86459999ms confirm a order=x attempt=1 reclaim -> sold 1,2
    86459999ms confirm a order=x attempt=2 reclaim -> hold already confirmed, refund due
    86459999ms get b -> expired
    86460000ms get b -> hold not found
    86460000ms begin b attempt=1 -> hold not found
    86460000ms confirm b order=x attempt=1 reclaim -> hold not found, refund due
    86460000ms hold b 3 ttl=5000ms -> hold id too old
    86460000ms confirm a order=x attempt=1 reclaim -> sold 1,2, again
        map .SS..
    ",
    );
}

#[test]
fn a_hold_that_was_replaced_or_released_after_a_payment_is_remembered_for_a_day() {
    check(
        &one_row("....."),
        "
           0ms hold a 1 made=5000ms -> held 1 until 600000ms
           0ms begin a attempt=1 -> paying 1 until 900000ms
           1ms end a attempt=1 outcome=failed -> held 1 until 600000ms
           2ms hold b 1 replacing=a -> held 1 until 600000ms
           3ms release b -> released
           3ms hold c 2 -> held 2 until 600003ms
           3ms begin c attempt=1 -> paying 2 until 900003ms
           4ms release c abort -> released
      300003ms get b -> hold not found
    86400003ms get c -> released
    86400004ms get c -> hold not found
    86404999ms begin a attempt=1 -> released, again
    86405000ms get a -> hold not found
    ",
    );
}

#[test]
fn a_late_payment_never_gets_a_seat_that_somebody_else_holds_or_owns() {
    check(
        &one_row("....."),
        "
           0ms update payment_grace=60s -> done
           0ms hold a 1,2,3 ttl=5000ms -> held 1,2,3 until 5000ms
           0ms begin a attempt=1 -> paying 1,2,3 until 60000ms
       60000ms hold b 1 -> held 1 until 660000ms
       60000ms hold c 3 -> held 3 until 660000ms
       60001ms begin c attempt=1 -> paying 3 until 120001ms
       60002ms confirm b order=y -> sold 1
       60003ms confirm a order=x attempt=1 reclaim -> hold expired: 1 sold, 3 held, refund due
       60004ms release c abort -> released
       60005ms confirm a order=x attempt=1 reclaim -> hold expired: 1 sold, refund due
       60006ms confirm a 2 order=x request=1 attempt=1 reclaim -> hold expired, refund due
        map .S...
    ",
    );
}

#[test]
fn a_late_payment_is_within_the_limits_of_its_customer() {
    check(
        &one_row("....."),
        "
           0ms update payment_grace=60s places_per_customer=2 -> done
           0ms hold a 1,2 for=7 ttl=5000ms -> held 1,2 until 5000ms
           0ms begin a attempt=1 -> paying 1,2 until 60000ms
           1ms hold b 3 for=7 -> customer limit 2
       60000ms hold b 3 for=7 -> held 3 until 660000ms
       60001ms confirm a order=x attempt=1 reclaim -> hold expired, refund due
       60002ms release b -> released
       60003ms confirm a order=x attempt=1 reclaim -> sold 1,2
    ",
    );
}

#[test]
fn after_an_outage_a_payment_and_its_hold_have_the_time_back() {
    check(
        &one_row("....."),
        "
           0ms update payment_grace=60s -> done
           0ms hold a 1 ttl=65000ms -> held 1 until 65000ms
           0ms hold b 2 ttl=5000ms -> held 2 until 5000ms
           0ms hold c 3 ttl=90000ms -> held 3 until 90000ms
           0ms begin a attempt=1 -> paying 1 until 60000ms
           0ms begin b attempt=1 -> paying 2 until 60000ms
           0ms begin c attempt=1 -> paying 3 until 60000ms
        1000ms end c attempt=1 outcome=abandoned -> held 3 until 121000ms
       90000ms resume 89000ms
       90000ms get a -> paying 1 until 149000ms
       90000ms get b -> paying 2 until 149000ms
       90000ms get c -> held 3 until 210000ms
      149000ms get a -> held 1 until 154000ms
      149000ms get b -> expired
      154000ms get a -> expired
    ",
    );
}

#[test]
fn a_cancelled_event_ends_its_payments() {
    check(
        &one_row("....."),
        "
           0ms hold a 1 -> held 1 until 600000ms
           0ms hold b 2 -> held 2 until 600000ms
           0ms hold c 3 -> held 3 until 600000ms
           0ms begin a attempt=1 -> paying 1 until 900000ms
           0ms begin b attempt=1 -> paying 2 until 900000ms
           0ms confirm b order=x attempt=1 -> sold 2
           1ms update state=cancelled -> done
           2ms get a -> released
           2ms begin a attempt=1 -> released, again
           2ms begin a attempt=2 -> event cancelled
           2ms begin c attempt=1 -> event cancelled
           2ms end a attempt=1 outcome=failed -> released, again
           2ms end a attempt=2 outcome=failed -> released
           2ms release a abort -> released, again
           2ms confirm a order=x attempt=1 -> event cancelled, refund due
           2ms confirm a order=x attempt=1 reclaim -> event cancelled, refund due
           2ms confirm b order=x attempt=1 -> sold 2, again
           2ms confirm b order=x attempt=2 -> event cancelled, refund due
        map ..S..
    ",
    );
}

#[test]
fn payments_go_on_whatever_the_sale_does() {
    check(
        &one_row("....."),
        "
           0ms hold a 1,2 -> held 1,2 until 600000ms
           1ms update state=paused -> done
           1ms begin a attempt=1 -> paying 1,2 until 900001ms
           2ms end a attempt=1 outcome=failed -> held 1,2 until 600000ms
           3ms update state=offsale -> done
           3ms begin a attempt=2 -> paying 1,2 until 900003ms
           4ms confirm a 1 order=x request=1 attempt=2 -> held 2 sold 1 until 600000ms for x
           5ms update state=onsale closes=6ms -> done
           6ms hold b 3 -> sale closed
           6ms begin a attempt=3 -> paying 2 sold 1 until 900006ms for x
           7ms release a abort -> released sold 1
    ",
    );
}

#[test]
fn a_grace_of_another_policy_is_for_the_next_payment() {
    check(
        &one_row("....."),
        "
           0ms update payment_grace=60s -> done
           0ms hold a 1 -> held 1 until 600000ms
           0ms begin a attempt=1 -> paying 1 until 60000ms
           1ms update payment_grace=5400s -> done
           1ms begin a attempt=1 -> paying 1 until 60000ms, again
       60000ms begin a attempt=2 -> paying 1 until 5460000ms
           60001ms update payment_grace=59s -> invalid Setting(\"payment_grace\")
           60001ms update payment_attempts_max=0 -> invalid Setting(\"payment_attempts_max\")
           60001ms update payment_min_left=601s -> invalid Setting(\"payment_min_left\")
    ",
    );
}

#[test]
fn a_paying_hold_keeps_its_places_in_a_new_plan() {
    check(
        &house(0),
        "
           0ms hold a 0,30 -> held 0,30 until 600000ms
           0ms begin a attempt=1 -> paying 0,30 until 900000ms
           1ms update plan=house2 -> places in use: 30 held
           1ms update plan=house1 -> done
           2ms get a -> paying 23,0 until 900000ms
           2ms confirm a order=x attempt=1 -> sold 23,0
    ",
    );
}

#[test]
fn many_payments_of_one_deadline_all_end_at_it() {
    let mut story = String::from("0ms update payment_grace=60s -> done\n");
    for seat in 0..140 {
        // Every second one has time left.
        let ttl = if seat % 2 == 0 { 50_000 } else { 70_000 };
        story += &format!("0ms hold h{seat} {seat} ttl={ttl}ms -> held {seat} until {ttl}ms\n");
        story += &format!("0ms begin h{seat} attempt=1 -> paying {seat} until 60000ms\n");
    }
    story += "59999ms hold late 0 -> places unavailable: 0 held\n";
    story += "60000ms get h0 -> expired\n";
    story += &format!("map {}{}\n", ".h".repeat(70), ".".repeat(17));
    story += "69999ms get h1 -> held 1 until 70000ms\n";
    story += "70000ms get h1 -> expired\n";
    story += &format!("map {}\n", ".".repeat(157));
    check(&hall(), &story);
}

#[test]
fn explicit_seats_that_leave_one_alone_are_refused_where_the_run_has_others() {
    check(
        &one_row("......|..."),
        "
           0ms update request=1 orphans=lenient -> done
           0ms hold a 1 -> would strand
           0ms hold a 1,2 -> would strand
           0ms hold a 0,1,3,4 -> would strand
           0ms hold a 0,1,2,4,5 -> would strand
           0ms hold a 0,1,2,3,4 -> held 0,1,2,3,4 until 600000ms
           0ms hold b 7 -> would strand
           0ms hold b 6,7 -> held 6,7 until 600000ms
           0ms hold c 5 -> held 5 until 600000ms
           0ms hold d 8 -> held 8 until 600000ms
           1ms release b -> released
           1ms release d -> released
        map hhhhhh...
           2ms hold e 7 replacing=a -> would strand
           2ms hold f 6,7,8 replacing=a -> held 6,7,8 until 600000ms
        map .....hhhh
           3ms update request=2 orphans=off -> done
           3ms hold g 1 -> held 1 until 600003ms
        map .h...hhhh
           4ms update request=3 orphans=lenient -> done
           4ms hold h 3 -> would strand
           4ms hold h 2,3,4 -> held 2,3,4 until 600004ms
    ",
    );
}

#[test]
fn a_strict_house_looks_in_the_whole_section_and_its_price_levels() {
    let rows = vec![
        row("A", Point { x: 0, y: 0 }, "..."),
        row("B", Point { x: 0, y: 1_000 }, "::::"),
        row("C", Point { x: 0, y: 2_000 }, "....a"),
    ];
    let other = section("other", None, vec![row("E", Point { x: 0, y: 4_000 }, "....")]);
    let plan = PlanSpec { sections: vec![section("all", None, rows), other], ..one_row("") };
    check(
        &plan,
        "
           0ms update request=1 orphans=lenient -> done
           0ms hold a 0,1 -> held 0,1 until 600000ms
           1ms release a -> released
           2ms update request=2 orphans=strict -> done
           2ms hold b 0,1 -> would strand
           2ms hold c 7,8 -> held 7,8 until 600002ms
           2ms hold d 9,10 -> held 9,10 until 600002ms
           2ms hold e 0,1 -> held 0,1 until 600002ms
           2ms hold f 3,4,5 -> held 3,4,5 until 600002ms
    ",
    );
}

#[test]
fn a_party_without_adjacent_seats_gets_pieces_then_general_admission() {
    let rows = vec![row("A", Point { x: 0, y: 1_000 }, "..."), row("B", Point { x: 0, y: 2_000 }, "...")];
    let tables = section("tables", None, vec![table("T", Point { x: 0, y: 9_000 }, "....")]);
    let plan = PlanSpec {
        focal_point: Some(Point { x: 0, y: 0 }),
        sections: vec![section("all", None, rows), tables],
        areas: vec![area("floor", None, 0, 6, 0), area("hill", None, 1, 3, 100)],
        ..one_row("")
    };
    check(
        &plan,
        "
           0ms hold a best=4 -> not enough places, 0 held
           0ms hold a best=4 anyhow -> held 6,7,8,9 until 600000ms, in pieces
           0ms hold b best=4 anyhow -> held 0,1,3,4 until 600000ms, in pieces
        map hh.hh.hhhh
           0ms hold c best=2 -> not enough places, 8 held
           0ms hold c best=2 anyhow -> held 2,5 until 600000ms, in pieces
           0ms hold d best=2 anyhow seated -> not enough places, 10 held
           0ms hold d best=2 floor=3 anyhow -> held floor*5 until 600000ms, without seats
           0ms hold e best=2 anyhow -> held hill*2 until 600000ms, without seats
           0ms hold f best=2 anyhow -> not enough places, 17 held
           1ms release a -> released
           1ms hold g 6,8 -> held 6,8 until 600001ms
           1ms hold h best=2 anyhow seated -> held 7,9 until 600001ms, in pieces
    ",
    );
}

#[test]
fn many_holds_of_one_deadline_all_end_at_it() {
    let mut story = String::new();
    for seat in 0..150 {
        story += &format!("{seat}ms hold h{seat} {seat} ttl={}ms -> held {seat} until 5000ms\n", 5_000 - seat);
    }
    story += "4999ms hold late 149 -> places unavailable: 149 held\n";
    story += "5000ms hold next 149 -> held 149 until 605000ms\n";
    story += &format!("map {}h{}\n", ".".repeat(149), ".".repeat(7));
    for seat in 0..150 {
        story += &format!("5001ms confirm h{seat} order=x -> hold expired\n");
    }
    check(&hall(), &story);
}

#[test]
fn requests_on_an_event_are_remembered_however_many() {
    let mut story = String::new();
    for request in 0..100 {
        story += &format!("{request}ms update request={request} ttl={}s -> done\n", 10 + request);
    }
    for request in 0..100 {
        story += &format!("200ms update request={request} ttl={}s -> done, again\n", 10 + request);
    }
    check(&one_row("...."), &story);
}
