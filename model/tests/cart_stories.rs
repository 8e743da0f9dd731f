//! Carts over several events as stories of one event at a time (`world::cart_words`): what its part is, what it answers
//! to whom, what it remembers.
//!
//! Not here: several events together (the simulator has them).

mod world;

use world::{one_row, story::check};

#[test]
fn a_first_part_is_paying_until_the_deadline_of_its_cart_and_then_cancels_it() {
    check(
        &one_row("........"),
        "
           0ms hold-many c 3,4 beside=2,3 ttl=5000ms -> paying 3,4 until 5000ms, first of 2 3
        4999ms get c -> paying 3,4 until 5000ms, first of 2 3
        4999ms hold a 4 -> places unavailable: 4 held
        4999ms ask-first c part=3 -> undecided
        5000ms get c -> expired, first of 2 3
        5000ms ask-first c part=3 -> cancel deadline
        5000ms hold a 4 -> held 4 until 605000ms
        map ....h...
    ",
    );
}

#[test]
fn a_cart_without_a_ttl_lives_for_the_payment_grace_of_its_first_event() {
    check(
        &one_row("...."),
        "
          0ms update payment_grace=60s lifetime=7200s ttl=7200s -> done
          0ms hold-many c 1 beside=2 -> paying 1 until 60000ms, first of 2
          0ms hold-many d 2 beside=2 ttl=7200000ms -> paying 2 until 7200000ms, first of 2
          0ms hold-many e 3 beside=2 ttl=7200001ms -> ttl out of range
          0ms hold-many e 3 beside=2 ttl=999ms -> ttl out of range
    ",
    );
}

#[test]
fn a_cart_has_two_to_sixteen_different_events() {
    check(
        &one_row("...."),
        "
          0ms hold-many c 1 ttl=5000ms -> invalid Parts
          0ms hold-many c 1 beside=2,2 ttl=5000ms -> invalid Parts
          0ms hold-many c 1 beside=2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17 ttl=5000ms -> invalid Parts
          0ms hold-many c 1 beside=2,3,4,5,6,7,8,9,10,11,12,13,14,15,16 ttl=5000ms -> paying 1 until 5000ms, first of 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16
    ",
    );
}

#[test]
fn a_part_is_judged_as_a_hold_of_its_own() {
    check(
        &one_row("........"),
        "
          0ms hold a 1 -> held 1 until 600000ms
          0ms hold-many c 1,2 beside=2 ttl=5000ms -> places unavailable: 1 held
          0ms get c -> hold not found
          0ms prepare p 1,2 first=2 until=5000ms -> places unavailable: 1 held
          0ms prepare p 9 first=2 until=5000ms -> unknown place in Seats at 0
          0ms update state=paused -> done
          0ms hold-many c 2 beside=2 ttl=5000ms -> sale paused
          0ms prepare p 3 first=2 until=5000ms -> sale paused
          0ms update state=onsale -> done
        400000ms hold-many c 2 beside=2 ttl=5000ms -> hold id too old
        400000ms prepare p 3 first=2 until=405000ms -> hold id too old
        400000ms hold-many d 2 beside=2 made=460000ms ttl=5000ms -> hold id from future
        map .h......
    ",
    );
}

#[test]
fn parts_count_for_the_limits_of_each_event() {
    check(
        &one_row("........"),
        "
          0ms update places_per_customer=3 holds_per_customer=2 -> done
          0ms hold-many c 1 beside=2 ttl=5000ms -> invalid Customer
          0ms hold-many c 1,2 beside=2 for=7 ttl=5000ms -> paying 1,2 until 5000ms, first of 2
          0ms prepare p 3,4 first=2 for=7 until=5000ms -> customer limit 3
          0ms prepare p 3 first=2 for=7 until=5000ms -> paying 3 until 5000ms, part of 2
          0ms update places_per_customer=9 -> done
          0ms hold a 4 for=7 -> hold quota 2
        5000ms hold a 4 for=7 -> held 4 until 605000ms
        5000ms hold b 5 for=7 -> hold quota 2
        5000ms apply p first=2 cancel=deadline -> expired, part of 2
        5000ms hold b 5 for=7 -> held 5 until 605000ms
    ",
    );
}

#[test]
fn a_part_never_ends_alone() {
    check(
        &one_row("...."),
        "
             0ms prepare p 1 first=2 until=5000ms -> paying 1 until 5000ms, part of 2
             0ms prepare q 2 first=2 until=5000ms -> paying 2 until 5000ms, part of 2
          5000ms get p -> paying 1 until 5000ms, part of 2
         90000ms ask-part p first=2 -> paying 1 until 5000ms, part of 2
         90000ms hold a 1 -> places unavailable: 1 held
         99999ms apply p first=2 sell=x -> sold 1, part of 2
         99999ms apply q first=2 cancel=deadline -> expired, part of 2
        map .S..
    ",
    );
}

#[test]
fn a_part_is_not_made_at_or_past_the_deadline_of_its_cart() {
    check(
        &one_row("...."),
        "
        4999ms prepare p 1 first=2 until=5000ms -> paying 1 until 5000ms, part of 2
        5000ms prepare q 2 first=2 until=5000ms -> hold expired
        5000ms get q -> hold not found
        5000ms prepare p 1 first=2 until=5000ms -> paying 1 until 5000ms, part of 2, again
    ",
    );
}

#[test]
fn the_state_of_the_first_part_is_the_decision() {
    check(
        &one_row("......"),
        "
          0ms hold-many a 0 beside=2,3 ttl=5000ms -> paying 0 until 5000ms, first of 2 3
          0ms hold-many b 1 beside=2,3 ttl=5000ms -> paying 1 until 5000ms, first of 2 3
          0ms hold-many c 2 beside=2,3 ttl=5000ms -> paying 2 until 5000ms, first of 2 3
          0ms hold-many d 3 beside=2,3 ttl=5000ms -> paying 3 until 5000ms, first of 2 3
          0ms hold-many e 4 beside=2,3 ttl=5000ms -> paying 4 until 5000ms, first of 2 3
          0ms prepare p 5 first=2 until=5000ms -> paying 5 until 5000ms, part of 2
          1ms ask-first a part=2 -> undecided
          1ms decide a sell=x -> sold 0, first of 2 3
          1ms decide b cancel=requested -> released, first of 2 3
          1ms decide c cancel=refused -> released, refused, first of 2 3
          1ms decide d cancel=missing -> expired, part missing, first of 2 3
          1ms decide e cancel=cancelled -> released, event cancelled, first of 2 3
          2ms ask-first a part=2 -> sell x
          2ms ask-first b part=2 -> cancel requested
          2ms ask-first c part=2 -> cancel refused
          2ms ask-first d part=3 -> cancel missing
          2ms ask-first e part=3 -> cancel eventcancelled
          2ms ask-first nobody part=2 -> cancel missing
          2ms ask-first a part=4 -> cancel missing
          2ms ask-first p part=2 -> cancel missing
        map S....h
    ",
    );
}

#[test]
fn what_was_decided_before_counts() {
    check(
        &one_row("...."),
        "
             0ms hold-many a 0 beside=2 ttl=5000ms -> paying 0 until 5000ms, first of 2
             0ms hold-many b 1 beside=2 ttl=5000ms -> paying 1 until 5000ms, first of 2
             0ms hold-many c 2 beside=2 ttl=5000ms -> paying 2 until 5000ms, first of 2
             1ms decide a sell=x -> sold 0, first of 2
             2ms decide a sell=x -> sold 0, first of 2, again
             2ms decide a sell=y -> hold already confirmed
             2ms decide a cancel=requested -> hold already confirmed
             2ms decide a cancel=missing -> hold already confirmed
             3ms decide b cancel=requested -> released, first of 2
             4ms decide b cancel=requested -> released, first of 2, again
             4ms decide b sell=x -> hold released
          5000ms decide c sell=x -> hold expired
          5000ms decide c cancel=requested -> hold expired
          5000ms decide c cancel=refused -> expired, first of 2, again
          5000ms decide nobody sell=x -> hold not found
        map S...
    ",
    );
}

#[test]
fn parts_are_told_a_decision_as_often_as_one_likes() {
    check(
        &one_row("...."),
        "
             0ms prepare p 1 first=2 until=5000ms -> paying 1 until 5000ms, part of 2
             0ms prepare q 2 first=2 until=5000ms -> paying 2 until 5000ms, part of 2
             1ms apply p first=2 sell=x -> sold 1, part of 2
             2ms apply p first=2 sell=x -> sold 1, part of 2, again
             2ms apply p first=2 cancel=missing -> hold already confirmed
             3ms apply q first=2 cancel=requested -> released, part of 2
             4ms apply q first=2 cancel=missing -> released, part of 2, again
             4ms apply q first=2 sell=x -> hold released
             5ms apply nobody first=2 sell=x -> hold not found
             6ms apply p first=3 sell=x -> hold not found
        map .S..
    ",
    );
}

#[test]
fn a_cart_is_confirmed_in_time_and_once() {
    check(
        &one_row("......"),
        "
             0ms hold-many a 0 beside=2 ttl=5000ms -> paying 0 until 5000ms, first of 2
             0ms hold-many b 1 beside=2 ttl=5000ms -> paying 1 until 5000ms, first of 2
             0ms hold-many c 2 beside=2 ttl=5000ms -> paying 2 until 5000ms, first of 2
             0ms prepare p 3 first=2 until=5000ms -> paying 3 until 5000ms, part of 2
             0ms hold h 4 -> held 4 until 600000ms
          4999ms confirm-many a order=x -> paying 0 until 5000ms, first of 2
          4999ms decide a sell=x -> sold 0, first of 2
          4999ms decide b cancel=requested -> released, first of 2
          5000ms confirm-many a order=x -> sold 0, first of 2, again
          5000ms confirm-many a order=y -> hold already confirmed
          5000ms confirm-many b order=x -> hold released
          5000ms confirm-many c order=x -> hold expired
          5000ms confirm-many p order=x -> hold not found
          5000ms confirm-many h order=x -> hold not found
          5000ms confirm-many nobody order=x -> hold not found
        map S..hh.
    ",
    );
}

#[test]
fn a_cart_is_released_once() {
    check(
        &one_row("......"),
        "
             0ms hold-many a 0 beside=2 ttl=5000ms -> paying 0 until 5000ms, first of 2
             0ms hold-many b 1 beside=2 ttl=5000ms -> paying 1 until 5000ms, first of 2
             0ms hold-many c 2 beside=2 ttl=5000ms -> paying 2 until 5000ms, first of 2
             0ms prepare p 3 first=2 until=5000ms -> paying 3 until 5000ms, part of 2
             0ms hold h 4 -> held 4 until 600000ms
          4999ms release-many a -> paying 0 until 5000ms, first of 2
          4999ms decide a cancel=requested -> released, first of 2
          4999ms decide b sell=x -> sold 1, first of 2
          5000ms release-many a -> released, first of 2, again
          5000ms release-many b -> hold already confirmed
          5000ms release-many c -> hold expired
          5000ms release-many p -> hold not found
          5000ms release-many h -> hold not found
          5000ms release-many nobody -> hold not found
        map .S.hh.
    ",
    );
}

#[test]
fn a_cart_is_repeated_by_its_id_with_the_same_content() {
    check(
        &one_row("......"),
        "
             0ms hold-many c 1,2 beside=2,3 ttl=5000ms -> paying 1,2 until 5000ms, first of 2 3
            10ms hold-many c 2,1 beside=2,3 ttl=5000ms -> paying 1,2 until 5000ms, first of 2 3, again
            10ms hold-many c 1 beside=2,3 ttl=5000ms -> hold id reused
            10ms hold-many c 1,2 beside=3,2 ttl=5000ms -> hold id reused
            10ms hold-many c 1,2 beside=2 ttl=5000ms -> hold id reused
            10ms hold-many c 1,2 beside=2,3 ttl=6000ms -> hold id reused
            10ms hold c 1,2 ttl=5000ms -> hold id reused
            10ms prepare c 1,2 first=2 until=5000ms -> hold id reused
            20ms hold-many d 3 beside=2 ttl=5000ms -> paying 3 until 5020ms, first of 2
            20ms hold-many e 4 beside=2 ttl=5000ms -> paying 4 until 5020ms, first of 2
            30ms decide c sell=x -> sold 1,2, first of 2 3
            30ms decide d cancel=requested -> released, first of 2
          6000ms hold-many c 1,2 beside=2,3 ttl=5000ms -> hold already confirmed, executed
          6000ms hold-many d 3 beside=2 ttl=5000ms -> hold released, executed
          6000ms hold-many e 4 beside=2 ttl=5000ms -> hold expired, executed
          6000ms hold h 5 -> held 5 until 606000ms
          6000ms hold-many h 5 beside=2 -> hold id reused
        map .SS..h
    ",
    );
}

#[test]
fn a_part_is_repeated_whatever_an_outage_made_of_the_deadline() {
    check(
        &one_row("...."),
        "
             0ms prepare p 1 first=2 until=5000ms -> paying 1 until 5000ms, part of 2
             0ms hold-many c 2 beside=2 ttl=5000ms -> paying 2 until 5000ms, first of 2
          1000ms resume 60000ms
          1000ms prepare p 1 first=2 until=65000ms -> paying 1 until 65000ms, part of 2, again
          1000ms get c -> paying 2 until 65000ms, first of 2
          1000ms prepare p 1 first=3 until=65000ms -> hold id reused
          1000ms prepare p 0 first=2 until=65000ms -> hold id reused
          1000ms ask-part p first=3 -> hold not found
         64999ms confirm-many c order=x -> paying 2 until 65000ms, first of 2
         65000ms confirm-many c order=x -> hold expired
    ",
    );
}

#[test]
fn a_part_that_has_ended_says_so() {
    check(
        &one_row("......"),
        "
             0ms prepare p 1 first=2 until=5000ms -> paying 1 until 5000ms, part of 2
             0ms prepare q 2 first=2 until=5000ms -> paying 2 until 5000ms, part of 2
             0ms prepare r 3 first=2 until=5000ms -> paying 3 until 5000ms, part of 2
             1ms apply p first=2 sell=x -> sold 1, part of 2
             1ms apply q first=2 cancel=requested -> released, part of 2
             1ms apply r first=2 cancel=missing -> expired, part missing, part of 2
             2ms ask-part p first=2 -> hold already confirmed
             2ms ask-part q first=2 -> hold released
             2ms ask-part r first=2 -> hold expired
             2ms prepare p 1 first=2 until=5000ms -> hold already confirmed, executed
             2ms prepare q 2 first=2 until=5000ms -> hold released, executed
             2ms prepare r 3 first=2 until=5000ms -> hold expired, executed
    ",
    );
}

#[test]
fn a_single_command_leaves_a_part_alone_also_past_its_deadline() {
    for (make, is_of_first) in
        [("hold-many c 1,2 beside=2 ttl=5000ms", true), ("prepare c 1,2 first=2 until=5000ms", false)]
    {
        let whose = if is_of_first { "first of 2" } else { "part of 2" };
        // A first part has ended at its deadline.
        let time = if is_of_first { 4_999 } else { 900_000 };
        check(
            &one_row("......"),
            &format!(
                "
                0ms sell s 5 order=x -> sold 5
                0ms {make} -> paying 1,2 until 5000ms, {whose}
                {time}ms confirm c order=x -> payment in progress
                {time}ms confirm c 1 order=x request=1 -> payment in progress
                {time}ms confirm c order=x reclaim -> payment in progress
                {time}ms extend c request=2 -> payment in progress
                {time}ms release c -> payment in progress
                {time}ms release c abort -> payment in progress
                {time}ms begin c attempt=3 -> payment in progress
                {time}ms end c attempt=3 outcome=failed -> payment in progress
                {time}ms hold d 1,3 replacing=c -> payment in progress
                {time}ms exchange e order=x give=5 hold=c -> payment in progress
                {time}ms kill k 1 force reason=camera -> payment in progress
                {time}ms kill l 1 reason=camera -> places in use: 1 held
                {time}ms get c -> paying 1,2 until 5000ms, {whose}
                {time}ms holds -> c paying 1,2 until 5000ms, {whose}
                map .hh..S
            "
            ),
        );
    }
}

#[test]
fn a_part_is_never_reclaimed() {
    check(
        &one_row("......"),
        "
             0ms hold-many c 1 beside=2 ttl=5000ms -> paying 1 until 5000ms, first of 2
             0ms prepare p 2 first=2 until=5000ms -> paying 2 until 5000ms, part of 2
             0ms prepare q 3 first=2 until=5000ms -> paying 3 until 5000ms, part of 2
          5000ms apply p first=2 cancel=deadline -> expired, part of 2
          5000ms apply q first=2 cancel=requested -> released, part of 2
          5000ms confirm c order=x reclaim -> hold expired
          5000ms confirm p order=x reclaim -> hold expired
          5000ms confirm q order=x reclaim -> hold released
          5000ms release p -> hold expired
          5000ms release q -> released, part of 2, again
        map ......
    ",
    );
}

#[test]
fn a_part_that_is_sold_is_a_sale_like_any_other() {
    check(
        &one_row("......"),
        "
             0ms prepare p 1,2 first=2 until=5000ms -> paying 1,2 until 5000ms, part of 2
             1ms apply p first=2 sell=x -> sold 1,2, part of 2
             2ms order x -> p sold 1,2 for x
             2ms confirm p order=x -> sold 1,2, part of 2, again
             2ms confirm p order=y -> hold already confirmed
             2ms confirm p order=x attempt=1 -> hold already confirmed, refund due
             3ms return r 1 order=x -> touched 1
             3ms exchange e order=x give=2 take=3 -> sold 3
             4ms get p -> sold nothing any more, part of 2
             4ms apply p first=2 sell=x -> sold nothing any more, part of 2, again
        map ...S..
    ",
    );
}

#[test]
fn a_cancelled_event_ends_none_of_its_parts() {
    check(
        &one_row("........"),
        "
             0ms hold-many a 1 beside=2 ttl=5000ms -> paying 1 until 5000ms, first of 2
             0ms hold-many b 2 beside=2 ttl=5000ms -> paying 2 until 5000ms, first of 2
             0ms hold-many s 3 beside=2 ttl=5000ms -> paying 3 until 5000ms, first of 2
             0ms prepare p 4 first=2 until=5000ms -> paying 4 until 5000ms, part of 2
             0ms hold h 5 -> held 5 until 600000ms
             0ms decide s sell=x -> sold 3, first of 2
             1ms update state=cancelled -> done
             2ms get h -> released
             2ms get a -> paying 1 until 5000ms, first of 2
             2ms get p -> paying 4 until 5000ms, part of 2
             2ms hold-many n 6 beside=2 ttl=5000ms -> event cancelled
             2ms prepare n 6 first=2 until=5000ms -> event cancelled
             2ms confirm-many a order=x -> event cancelled
             2ms decide a sell=x -> event cancelled
             2ms decide a cancel=cancelled -> released, event cancelled, first of 2
             2ms release-many b -> paying 2 until 5000ms, first of 2
             2ms decide b cancel=requested -> released, first of 2
             2ms ask-part p first=2 -> event cancelled
             2ms confirm p order=x -> payment in progress
        map ...Sh...
    ",
    );
}

#[test]
fn a_decision_to_sell_counts_in_an_event_that_was_cancelled_after_it() {
    check(
        &one_row("...."),
        "
             0ms hold-many c 1 beside=2 ttl=5000ms -> paying 1 until 5000ms, first of 2
             0ms prepare p 2 first=2 until=5000ms -> paying 2 until 5000ms, part of 2
             0ms decide c sell=x -> sold 1, first of 2
             1ms update state=cancelled -> done
             2ms apply p first=2 sell=x -> sold 2, part of 2
             2ms confirm-many c order=x -> sold 1, first of 2, again
        map .SS.
    ",
    );
}

#[test]
fn parts_of_a_refused_cart_leave_no_memory() {
    check(
        &one_row("...."),
        "
             0ms hold-many c 1 beside=2 ttl=5000ms -> paying 1 until 5000ms, first of 2
             0ms prepare p 2 first=2 until=5000ms -> paying 2 until 5000ms, part of 2
             1ms decide c cancel=refused -> released, refused, first of 2
             1ms apply p first=2 cancel=refused -> done
             1ms get p -> hold not found
             1ms apply p first=2 cancel=refused -> hold not found
             2ms prepare p 3 first=2 until=5000ms -> paying 3 until 5000ms, part of 2
             3ms settle c -> done
             3ms get c -> hold not found
             3ms settle c -> hold not found
             4ms hold-many c 0 beside=2 ttl=5000ms -> paying 0 until 5004ms, first of 2
        map h..h
    ",
    );
}

#[test]
fn a_first_part_is_remembered_until_all_have_heard_and_then_for_a_day() {
    check(
        &one_row("...."),
        "
                0ms hold-many a 1 beside=2 ttl=5000ms -> paying 1 until 5000ms, first of 2
                0ms hold-many b 2 beside=2 ttl=5000ms -> paying 2 until 5000ms, first of 2
                0ms prepare p 3 first=2 until=5000ms -> paying 3 until 5000ms, part of 2
                0ms settle a -> paying 1 until 5000ms, first of 2, again
             5000ms settle b -> done
             5000ms get b -> expired, first of 2, settled
             5000ms settle b -> expired, first of 2, settled, again
             5000ms apply p first=2 cancel=deadline -> expired, part of 2
         86404999ms get b -> expired, first of 2, settled
         86404999ms get p -> expired, part of 2
         86405000ms get b -> hold not found
         86405000ms get p -> hold not found
         86405000ms get a -> expired, first of 2
        186405000ms ask-first a part=2 -> cancel deadline
        186405000ms settle a -> done
        186405000ms get a -> hold not found
        186405000ms ask-first a part=2 -> cancel missing
    ",
    );
}

#[test]
fn what_comes_back_before_all_have_heard_is_still_the_decision() {
    check(
        &one_row("...."),
        "
                0ms hold-many c 1 beside=2 ttl=5000ms -> paying 1 until 5000ms, first of 2
                0ms decide c sell=x -> sold 1, first of 2
                1ms return r 1 order=x -> touched 1
        186400000ms ask-first c part=2 -> sell x
        186400000ms confirm-many c order=x -> sold nothing any more, first of 2, again
        186400000ms settle c -> done
        186400000ms get c -> hold not found
        map ....
    ",
    );
}

#[test]
fn a_plan_keeps_the_places_of_parts() {
    check(
        &world::house(0),
        "
             0ms prepare p 30,31 first=2 until=5000ms -> paying 30,31 until 5000ms, part of 2
          9000ms update plan=house2 -> places in use: 30 held, 31 held
          9000ms update plan=house1 -> done
          9000ms apply p first=2 sell=x -> sold 0,1, part of 2
    ",
    );
}

#[test]
fn a_part_may_be_admissions_and_chosen_seats() {
    check(
        &world::house(0),
        "
             0ms hold-many c floor=3 beside=2 ttl=5000ms -> paying floor*3 until 5000ms, first of 2
             0ms prepare p best=2 first=2 until=5000ms -> paying 2,3 until 5000ms, part of 2
             1ms decide c sell=x -> sold floor*3, first of 2
             1ms apply p first=2 cancel=requested -> released, part of 2
             2ms order x -> c sold floor*3 for x
    ",
    );
}
