//! Limits by price level, shared quotas, abandoned holds, price levels and rest, as stories told by `world::story`.
//!
//! How long a place rests is drawn from a hash: stories ask right after its hold expired, and after the longest rest.

mod world;

use world::{
    field, house, one_row,
    story::{Stage, check},
};

// ---- Limits by price level ----

#[test]
fn a_customer_has_no_more_of_a_level_than_its_limit() {
    check(
        &one_row("..|...::"),
        "
           0ms update limit=low:1 -> done
           0ms hold a 0 -> invalid Customer
           0ms hold a 5,6 for=1 -> customer limit 1 of low
           0ms hold a 0,1,2,5 for=1 -> held 0,1,2,5 until 600000ms
           0ms hold b 6 for=1 -> customer limit 1 of low
           0ms hold b 3 for=1 -> held 3 until 600000ms
           0ms hold c 6 for=2 -> held 6 until 600000ms
    ",
    );
}

#[test]
fn what_is_released_expired_and_returned_gives_the_allowance_back() {
    check(
        &one_row("::::::"),
        "
           0ms update limit=low:1 -> done
           0ms hold a 0 for=1 -> held 0 until 600000ms
           0ms release a -> released
           0ms hold b 1 for=1 ttl=1000ms -> held 1 until 1000ms
         999ms hold c 2 for=1 -> customer limit 1 of low
        1000ms hold c 2 for=1 -> held 2 until 601000ms
        1000ms confirm c order=x -> sold 2
        1000ms hold d 3 for=1 -> customer limit 1 of low
        1000ms return r 2 order=x -> touched 2
        1000ms hold d 3 for=1 -> held 3 until 601000ms
    ",
    );
}

#[test]
fn limits_are_judged_in_the_order_of_the_settings_after_that_of_all_places() {
    check(
        &one_row("..|...::"),
        "
           0ms update limit=low:1,high:2 -> done
           0ms hold a 0,1,2,5,6 for=1 -> customer limit 1 of low
           0ms update limit=high:2,low:1 -> done
           0ms hold a 0,1,2,5,6 for=1 -> customer limit 2 of high
           0ms update places_per_customer=3 -> done
           0ms hold a 0,1,2,5,6 for=1 -> customer limit 3
           0ms hold a 0,1,2,5 for=1 -> customer limit 3
           0ms hold a 0,1,2 for=1 -> customer limit 2 of high
           0ms hold a 5,6 for=1 -> customer limit 1 of low
    ",
    );
}

#[test]
fn an_area_counts_for_its_level() {
    check(
        &field(),
        "
           0ms update limit=high:2 -> done
           0ms hold a floor=3 for=1 -> customer limit 2 of high
           0ms hold a floor=2 hill=3 for=1 -> held floor*2,hill*3 until 600000ms
           0ms hold b floor=1 for=1 -> customer limit 2 of high
    ",
    );
}

#[test]
fn a_replaced_hold_gives_its_places_of_a_level_back() {
    check(
        &one_row("::::::"),
        "
           0ms update limit=low:2 -> done
           0ms hold a 0,1 for=1 -> held 0,1 until 600000ms
           0ms hold b 2,3 for=1 -> customer limit 2 of low
           0ms hold b 2,3 for=1 replacing=a -> held 2,3 until 600000ms
           0ms hold c 0,1,4 for=1 replacing=b -> customer limit 2 of low
    ",
    );
}

#[test]
fn sales_exchanges_and_late_payments_are_judged_by_the_limits_of_levels() {
    check(
        &one_row("..|...::"),
        "
           0ms update limit=low:1 -> done
           0ms sell s 5,6 for=1 order=x -> customer limit 1 of low
           0ms sell s 0,1 for=1 order=x -> sold 0,1
           0ms exchange e give=0,1 take=5,6 order=x -> customer limit 1 of low
           0ms exchange e give=0 take=5 order=x -> sold 5
           0ms exchange f give=5 take=6 order=x -> sold 6
           0ms sell n 5 order=y -> sold 5
           0ms return r 5 order=y -> touched 5
           0ms hold a 5 for=2 ttl=1000ms -> held 5 until 1000ms
        1000ms sell t 5 for=3 order=z -> sold 5
        1000ms return q 5 order=z -> touched 5
        1000ms return p 6 order=x -> touched 6
        1000ms sell u 6 for=2 order=w -> sold 6
        1000ms confirm a order=v reclaim -> hold expired
        1000ms return o 6 order=w -> touched 6
        1000ms confirm a order=v reclaim -> sold 5
    ",
    );
}

#[test]
fn a_limit_of_none_keeps_from_a_level_whoever_is_named() {
    check(
        &one_row("..|...::"),
        "
           0ms update limit=low:0 -> done
           0ms hold a 5 for=1 -> customer limit 0 of low
           0ms sell s 5 for=1 order=x -> customer limit 0 of low
           0ms sell s 5 order=x -> sold 5
           0ms hold a 0 for=1 -> held 0 until 600000ms
    ",
    );
}

#[test]
fn a_lowered_limit_leaves_everybody_what_they_have() {
    check(
        &one_row("..|...::"),
        "
           0ms hold a 5,6 for=1 -> held 5,6 until 600000ms
           0ms update limit=low:1 -> done
           0ms hold b 0 for=1 -> held 0 until 600000ms
           0ms confirm a order=x -> sold 5,6
    ",
    );
}

#[test]
fn a_new_plan_counts_all_anew() {
    check(
        &house(0),
        "
           0ms update limit=high:2 -> done
           0ms hold a 0,1 for=1 -> held 0,1 until 600000ms
           0ms hold b 2 for=1 -> customer limit 2 of high
           0ms update plan=house1 -> done
           0ms hold b 0 revision=2 for=1 -> held 0 until 600000ms
    ",
    );
}

// ---- Shared quotas ----

#[test]
fn places_of_a_quota_are_held_and_sold_up_to_its_number_by_whomever() {
    check(
        &one_row("..|...::"),
        "
           0ms update quota=exits:low+high:3 -> done
           0ms hold a 0,5 for=1 -> held 0,5 until 600000ms
           0ms hold b 1,6 -> not enough places of exits, 2 held
           0ms hold b 6 -> held 6 until 600000ms
           0ms hold c 1 -> not enough places of exits, 3 held
           0ms confirm a order=x -> sold 0,5
           0ms hold c 1 -> not enough places of exits, 1 held
           0ms confirm b order=y -> sold 6
           0ms hold c 1 -> sold out of exits
           0ms return r 5 order=x -> touched 5
           0ms hold c 1,2 -> not enough places of exits, 0 held
           0ms hold c 1 -> held 1 until 600000ms
    ",
    );
}

#[test]
fn a_place_of_a_level_and_an_area_counts_once() {
    check(
        &field(),
        "
           0ms update quota=exits:high+@floor+@hill:5 -> done
           0ms hold a floor=3 hill=2 -> held floor*3,hill*2 until 600000ms
           0ms hold b hill=1 -> not enough places of exits, 5 held
    ",
    );
}

#[test]
fn a_quota_is_judged_before_the_orphan_rule_and_the_limits_of_customers_and_after_what_is_taken() {
    check(
        &one_row("......"),
        "
           0ms update orphans=lenient quota=exits:high:1,doors:high:2 places_per_customer=1 -> done
           0ms hold a 1,2 for=1 -> not enough places of exits, 0 held
           0ms hold b 0 for=1 -> held 0 until 600000ms
           0ms hold c 0,1 for=2 -> places unavailable: 0 held
           0ms update quota=exits:high:4,doors:high:2 -> done
           0ms hold c 2,3 for=2 -> not enough places of doors, 1 held
           0ms update quota=none -> done
           0ms hold c 2,3 for=2 -> would strand
           0ms hold c 1,2 for=2 -> customer limit 1
    ",
    );
}

#[test]
fn best_available_looks_for_nothing_else_when_a_quota_is_full() {
    check(
        &one_row("..|...::"),
        "
           0ms update quota=exits:high:0 -> done
           0ms hold a best=1 -> sold out of exits
           0ms hold a 5 -> held 5 until 600000ms
    ",
    );
}

#[test]
fn what_a_full_quota_has_no_room_for_is_not_suggested() {
    check(
        &one_row("..|...::"),
        "
           0ms suggest best=2 options=4 -> 2,3 or 4,5 or 0,1
           0ms update quota=exits:low:0 -> done
           0ms suggest best=2 options=4 -> 2,3 or 0,1
           0ms update quota=exits:high+low:1 -> done
           0ms suggest best=2 options=4 -> not enough places of exits, 0 held
    ",
    );
}

#[test]
fn a_quota_is_net_of_what_is_replaced_and_of_what_is_given() {
    check(
        &one_row("......"),
        "
           0ms update quota=exits:high:2 -> done
           0ms hold a 0,1 -> held 0,1 until 600000ms
           0ms hold b 2,3 replacing=a -> held 2,3 until 600000ms
           0ms hold c 2,3,4 replacing=b -> not enough places of exits, 2 held
           0ms confirm b order=x -> sold 2,3
           0ms exchange e give=2,3 take=4,5 order=x -> sold 4,5
           0ms exchange f give=4 take=0,1 order=x -> sold out of exits
           0ms sell s 0 order=y -> sold out of exits
           0ms exchange f give=4 take=0 order=x -> sold 0
    ",
    );
}

#[test]
fn a_late_payment_for_which_a_quota_has_no_room_names_nothing_lost() {
    check(
        &one_row("......"),
        "
           0ms update quota=exits:high:2 -> done
           0ms hold a 0,1 ttl=1000ms -> held 0,1 until 1000ms
        1000ms hold b 2 -> held 2 until 601000ms
        1000ms confirm a order=x reclaim -> hold expired
        1000ms release b -> released
        1000ms confirm a order=x reclaim -> sold 0,1
    ",
    );
}

#[test]
fn a_lowered_quota_takes_nothing_from_anybody() {
    check(
        &one_row("..|...::"),
        "
           0ms hold a 0,1 -> held 0,1 until 600000ms
           0ms update quota=exits:high:1 -> done
           0ms extend a request=1 ttl=900000ms -> held 0,1 until 900000ms
           0ms hold b 5 -> held 5 until 600000ms
           0ms hold c 2 -> not enough places of exits, 2 held
           0ms confirm a order=x -> sold 0,1
           0ms hold c 2 -> sold out of exits
    ",
    );
}

#[test]
fn what_is_killed_leaves_a_quota_its_room() {
    check(
        &one_row("......"),
        "
           0ms update quota=exits:high:1 -> done
           0ms kill k 0,1,2 reason=camera -> touched 0,1,2
           0ms hold a 3 -> held 3 until 600000ms
    ",
    );
}

#[test]
fn an_exchange_too_is_judged_by_quotas_before_the_limits_of_its_customer() {
    check(
        &one_row("......"),
        "
           0ms update quota=exits:high:2 limit=high:1 -> done
           0ms sell s 0 for=1 order=x -> sold 0
           0ms hold a 1 for=2 -> held 1 until 600000ms
           0ms exchange e give=0 take=2,3 order=x -> not enough places of exits, 1 held
           0ms sell t 2,3 for=2 order=y -> not enough places of exits, 1 held
           0ms release a -> released
           0ms exchange e give=0 take=2,3 order=x -> customer limit 1 of high
           0ms exchange e give=0 take=2 order=x -> sold 2
    ",
    );
}

// ---- Names ----

#[test]
fn names_in_limits_and_quotas_are_those_of_the_plan_when_they_are_set() {
    check(
        &field(),
        "
           0ms update limit=nowhere:1 -> invalid Setting(\"level_limits\")
           0ms update quota=exits:nowhere:1 -> invalid Setting(\"quotas\")
           0ms update quota=exits:@nowhere:1 -> invalid Setting(\"quotas\")
           0ms update quota=exits:@high:1 -> invalid Setting(\"quotas\")
           0ms update limit=high:1,high:2 -> invalid Setting(\"level_limits\")
           0ms update quota=exits:high:1,exits:low:1 -> invalid Setting(\"quotas\")
           0ms update limit=low:1 quota=exits:low+@hill:1 -> done
    ",
    );
    assert_eq!(Stage::create_with(&field(), "limit=nowhere:1"), "invalid Setting(\"level_limits\")");
    assert_eq!(Stage::create_with(&field(), "quota=exits:high+@nowhere:1"), "invalid Setting(\"quotas\")");
    assert_eq!(Stage::create_with(&field(), "limit=low:1 quota=exits:high+@floor:1"), "done");
}

#[test]
fn a_name_that_a_later_plan_drops_counts_nothing_and_is_in_nobodys_way() {
    check(
        &house(0),
        "
           0ms update quota=bars:@bar:2 -> done
           0ms update plan=house2 -> done
           0ms hold a 0 revision=2 for=1 -> held 0 until 600000ms
           0ms update quota=bars:@bar:2 -> invalid Setting(\"quotas\")
           0ms update plan=house1 -> done
           0ms update quota=bars:@bar:2 -> done
    ",
    );
}

#[test]
fn whoever_sets_limits_is_not_told_of_quotas_that_were_set_before() {
    check(
        &house(0),
        "
           0ms update quota=bars:@bar:2 limit=high:5 -> done
           0ms update plan=house2 -> done
           0ms update limit=low:1 -> done
           0ms update quota=bars:@bar:2 -> invalid Setting(\"quotas\")
    ",
    );
}

// ---- Abandoned holds ----

#[test]
fn whoever_leaves_too_many_holds_to_expire_waits_until_a_credit_comes_back() {
    check(
        &one_row("......"),
        "
           0ms update credits=2 refill=60 -> done
           0ms hold a 0 -> invalid Customer
           0ms hold a 0 for=1 ttl=1000ms -> held 0 until 1000ms
           0ms hold b 1 for=1 ttl=2000ms -> held 1 until 2000ms
        1000ms hold c 2 for=1 ttl=20000ms -> held 2 until 21000ms
        2000ms hold d 3 for=1 -> hold cooldown for 59000ms
        2000ms explain d 3 for=1 -> would be hold cooldown for 59000ms
        2000ms hold e 3 for=2 -> held 3 until 602000ms
        2000ms release c -> released
       60999ms hold d 2 for=1 -> hold cooldown for 1ms
       61000ms hold d 2 for=1 -> held 2 until 661000ms
    ",
    );
}

#[test]
fn where_there_is_no_credit_none_is_spent() {
    check(
        &one_row("......"),
        "
           0ms update credits=1 refill=60 -> done
           0ms hold a 0 for=1 ttl=1000ms -> held 0 until 1000ms
           0ms hold b 1 for=1 ttl=30000ms -> held 1 until 30000ms
        1000ms hold c 2 for=1 -> hold cooldown for 60000ms
       31000ms hold c 2 for=1 -> hold cooldown for 30000ms
       61000ms hold c 2 for=1 -> held 2 until 661000ms
    ",
    );
}

#[test]
fn sold_in_part_released_and_ever_paying_holds_cost_nothing() {
    check(
        &one_row("......"),
        "
           0ms update credits=1 payment_grace=60 -> done
           0ms hold a 0,1 for=1 ttl=1000ms -> held 0,1 until 1000ms
           0ms confirm a 0 order=x request=1 -> held 1 sold 0 until 1000ms for x
           0ms hold b 2 for=1 ttl=1000ms -> held 2 until 1000ms
           0ms begin b attempt=1 -> paying 2 until 60000ms
           0ms hold c 3 for=1 ttl=1000ms -> held 3 until 1000ms
           0ms release c -> released
       60000ms get b -> expired
       60000ms get a -> expired sold 0
       60000ms hold d 4 for=1 ttl=1000ms -> held 4 until 61000ms
       61000ms hold e 5 for=1 -> hold cooldown for 600000ms
    ",
    );
}

#[test]
fn a_hold_that_replaces_a_live_one_is_let_through() {
    check(
        &one_row("......"),
        "
           0ms update credits=1 -> done
           0ms hold a 0 for=1 ttl=1000ms -> held 0 until 1000ms
           0ms hold b 1 for=1 ttl=9000ms -> held 1 until 9000ms
        1000ms hold c 2 for=1 -> hold cooldown for 600000ms
        1000ms hold d 2 for=1 replacing=b -> held 2 until 9000ms
    ",
    );
}

#[test]
fn the_cooldown_is_judged_last_of_all_limits() {
    check(
        &one_row("......"),
        "
           0ms update credits=1 holds_per_customer=1 -> done
           0ms hold a 0 for=1 ttl=1000ms -> held 0 until 1000ms
        1000ms hold b 0 for=2 -> held 0 until 601000ms
        1000ms hold c 0 for=1 -> places unavailable: 0 held
        1000ms update limit=high:1 -> done
        1000ms hold c 1,2 for=1 -> customer limit 1 of high
        1000ms hold c 1 for=1 -> hold cooldown for 600000ms
    ",
    );
}

#[test]
fn what_was_spent_is_forgotten_when_it_is_turned_off() {
    check(
        &one_row("......"),
        "
           0ms hold a 0 for=1 ttl=1000ms -> held 0 until 1000ms
           0ms update credits=1 -> done
        1000ms hold b 1 for=1 -> hold cooldown for 600000ms
        1000ms update credits=0 -> done
        1000ms hold b 1 for=1 ttl=1000ms -> held 1 until 2000ms
        2000ms update credits=1 -> done
        2000ms hold c 2 for=1 -> held 2 until 602000ms
    ",
    );
}

#[test]
fn what_came_back_by_the_policy_of_then_has_come_back() {
    check(
        &one_row("......"),
        "
           0ms update credits=2 refill=1 -> done
           0ms hold a 0 for=1 ttl=1000ms -> held 0 until 1000ms
           0ms hold b 1 for=1 ttl=1000ms -> held 1 until 1000ms
        1000ms hold z 5 for=2 -> held 5 until 601000ms
        2999ms update refill=60 -> done
        2999ms hold c 0 for=1 ttl=1000ms -> held 0 until 3999ms
        3999ms hold d 1 for=1 -> hold cooldown for 58001ms
       62000ms hold d 1 for=1 ttl=1000ms -> held 1 until 63000ms
       63000ms update refill=1 -> done
       63000ms hold e 2 for=1 -> held 2 until 663000ms
    ",
    );
}

#[test]
fn nobody_is_without_more_credits_than_there_are() {
    check(
        &one_row("......"),
        "
           0ms update credits=3 refill=60 -> done
           0ms hold a 0 for=1 ttl=1000ms -> held 0 until 1000ms
           0ms hold b 1 for=1 ttl=1000ms -> held 1 until 1000ms
           0ms hold c 2 for=1 ttl=1000ms -> held 2 until 1000ms
        1000ms hold d 3 for=1 -> hold cooldown for 60000ms
        1000ms update credits=1 -> done
        1000ms hold d 3 for=1 -> hold cooldown for 60000ms
        1000ms update credits=2 -> done
        1000ms hold d 3 for=1 -> held 3 until 601000ms
    ",
    );
}

// ---- The softened echo ----

#[test]
fn what_expires_rests_and_opens_by_itself() {
    check(
        &one_row("......"),
        "
           0ms update cooling=600 -> done
           0ms hold a 0,1,2 ttl=1000ms -> held 0,1,2 until 1000ms
        1000ms get a -> expired
        map hhh...
        public hhh...
        1000ms hold b 1,3 -> places unavailable: 1 held
        1000ms hold b best=4 -> not enough places, 3 held
        1000ms holds
        1000ms confirm a order=x reclaim -> hold expired: 0 held, 1 held, 2 held
        1000ms hold c best=3 -> held 3,4,5 until 601000ms, stranding nobody
        1000ms confirm c order=y -> sold 3,4,5
        1000ms hold d best=1 -> not enough places, 3 held
      601000ms holds
        map ...SSS
      601000ms hold e best=1 -> held 2 until 1201000ms, stranding nobody
    ",
    );
}

#[test]
fn what_a_person_releases_is_open_at_once() {
    check(
        &one_row("......"),
        "
           0ms update cooling=600 -> done
           0ms hold a 0,1,2 ttl=1000ms -> held 0,1,2 until 1000ms
           0ms release a -> released
        map ......
           0ms hold b 0 -> held 0 until 600000ms
           0ms hold c 1 replacing=b -> held 1 until 600000ms
        map .h....
    ",
    );
}

#[test]
fn what_was_sold_of_a_hold_does_not_rest() {
    check(
        &one_row("......"),
        "
           0ms update cooling=600 -> done
           0ms hold a 0,1,2 ttl=1000ms -> held 0,1,2 until 1000ms
           0ms confirm a 1 order=x request=1 -> held 0,2 sold 1 until 1000ms for x
        1000ms get a -> expired sold 1
        map hSh...
        1000ms return r 1 order=x -> touched 1
        map h.h...
      601000ms holds
        map ......
    ",
    );
}

#[test]
fn resting_admissions_go_back_to_what_they_were_drawn_from() {
    check(
        &field(),
        "
           0ms update cooling=600 -> done
           0ms set s of=fans floor=2 -> touched floor*2
           0ms hold a floor=3 with=fans ttl=1000ms -> held floor*3 until 1000ms
        1000ms allocations -> fans 0/0/0/0 floor*2/2/0
        1000ms hold b floor=4 -> not enough places, 1 held
        1000ms hold b floor=4 with=fans -> not enough places, 3 held
        1000ms remove r of=fans floor=1 -> places in use: floor*1 held
        1000ms confirm a order=x reclaim -> hold expired: floor*2 held
      601000ms allocations -> fans 0/0/0/0 floor*2/0/0
      601000ms hold c floor=4 -> held floor*4 until 1201000ms
    ",
    );
}

#[test]
fn resting_admissions_of_a_removed_allocation_go_back_to_general_sale() {
    check(
        &field(),
        "
           0ms update cooling=600 -> done
           0ms set s of=fans floor=2 -> touched floor*2
           0ms hold a floor=2 with=fans ttl=1000ms -> held floor*2 until 1000ms
        1000ms remove r of=fans -> touched floor*2
        1000ms hold b floor=6 -> not enough places, 2 held
      601000ms hold c floor=6 -> held floor*6 until 1201000ms
    ",
    );
}

#[test]
fn a_resting_seat_is_killed_by_force_alone_and_wakes_no_more() {
    check(
        &one_row("......"),
        "
           0ms update cooling=600 -> done
           0ms hold a 0,1 ttl=1000ms -> held 0,1 until 1000ms
        1000ms kill k 0 reason=camera -> places in use: 0 held
        1000ms kill k 0 reason=camera force -> touched 0
        map xh....
      601000ms holds
        map x.....
      601000ms unkill u 0 -> touched 0
        map ......
    ",
    );
}

#[test]
fn resting_admissions_are_in_the_way_of_a_kill() {
    check(
        &field(),
        "
           0ms update cooling=600 -> done
           0ms hold a floor=4 ttl=1000ms -> held floor*4 until 1000ms
        1000ms kill k floor=3 reason=smoke force -> places in use: floor*1 held
        1000ms kill k floor=2 reason=smoke force -> touched floor*2
      601000ms hold b floor=4 -> held floor*4 until 1201000ms
    ",
    );
}

#[test]
fn rest_goes_on_when_it_is_turned_off_after_an_outage_and_when_the_event_is_cancelled() {
    check(
        &one_row("......"),
        "
           0ms update cooling=600 -> done
           0ms hold a 0,1,2 ttl=1000ms -> held 0,1,2 until 1000ms
        1000ms update cooling=0 -> done
        1000ms hold b 3 ttl=1000ms -> held 3 until 2000ms
        2000ms get b -> expired
        map hhh...
        2000ms resume 60000ms
        2000ms update state=cancelled -> done
        map hhh...
      601000ms holds
        map ......
    ",
    );
}

#[test]
fn a_plan_keeps_what_rests() {
    check(
        &house(0),
        "
           0ms update cooling=600 -> done
           0ms hold a 7 floor=6 ttl=1000ms -> held 7,floor*6 until 1000ms
        1000ms update plan=house2 -> places in use: 7 held, floor*1 held
        1000ms update plan=house1 -> done
      601000ms hold b floor=9 -> held floor*9 until 1201000ms
      601000ms update plan=house2 -> places in use: floor*4 held
    ",
    );
}

#[test]
fn resting_places_count_for_a_quota_and_for_no_customer() {
    check(
        &one_row("......"),
        "
           0ms update cooling=600 quota=exits:high:3 limit=high:2 -> done
           0ms hold a 0,1 for=1 ttl=1000ms -> held 0,1 until 1000ms
        1000ms hold b 2,3 for=1 -> not enough places of exits, 2 held
        1000ms hold b 2 for=1 -> held 2 until 601000ms
        1000ms confirm b order=x -> sold 2
        1000ms hold c 3 for=2 -> not enough places of exits, 2 held
      601000ms hold d 3 for=1 -> held 3 until 1201000ms
    ",
    );
}

// ---- SetPriceLevel ----

#[test]
fn open_and_killed_places_get_another_level() {
    check(
        &one_row("..|...::"),
        "
           0ms kill k 1 reason=camera -> touched 1
           0ms update limit=low:1 -> done
           0ms price p 0,1,5 level=low validate -> touched 0,1
           0ms hold a 0,2 for=1 -> held 0,2 until 600000ms
           0ms release a -> released
           0ms price p 0,1,5 level=low -> touched 0,1
           0ms price p 0,1,5 level=low -> touched, again
           0ms price p 0,1 level=low -> request id reused
           0ms hold b 0,5 for=1 -> customer limit 1 of low
           0ms hold b 0,2 for=1 -> held 0,2 until 600000ms
        map hxh....
           0ms price q 5 level=low -> touched
    ",
    );
}

#[test]
fn indexes_stay_what_they_were_and_the_level_may_be_a_new_one() {
    check(
        &one_row("..|...::"),
        "
           0ms price p 0,1 level=best -> touched 0,1
           0ms update limit=best:1 quota=dear:best:1 -> done
           0ms hold a 0 for=1 revision=1 -> held 0 until 600000ms
           0ms hold b 1 for=2 -> not enough places of dear, 1 held
           0ms price q 1 level=high -> touched 1
           0ms hold b 1 for=1 -> held 1 until 600000ms
           0ms release a -> released
           0ms price r 0 level=high -> touched 0
           0ms update limit=best:2 -> done
    ",
    );
}

#[test]
fn held_resting_and_sold_places_keep_their_level() {
    check(
        &one_row("..|...::"),
        "
           0ms update cooling=600 -> done
           0ms hold a 0 -> held 0 until 600000ms
           0ms hold b 1 ttl=1000ms -> held 1 until 1000ms
           0ms sell s 2,5 order=x -> sold 2,5
        1000ms price p 0,1,2,3,5 level=low -> places in use: 0 held, 1 held, 2 sold
        1000ms price p 3,5 level=low -> touched 3
        1000ms release a -> released
      601000ms price q 0,1 level=low -> touched 0,1
    ",
    );
}

#[test]
fn an_area_changes_as_a_whole_when_nothing_of_it_is_held_or_sold() {
    check(
        &field(),
        "
           0ms hold a floor=2 ttl=1000ms -> held floor*2 until 1000ms
           0ms price p floor=1 level=low -> places in use: floor*2 held
           0ms price p floor=1 hill=1 level=low -> places in use: floor*2 held
        1000ms sell s floor=1 order=x -> sold floor*1
        1000ms price p floor=1 level=low -> places in use: floor*1 sold
        1000ms return r floor=1 order=x -> touched floor*1
        1000ms kill k floor=1 reason=smoke -> touched floor*1
        1000ms price p floor=1 hill=1 level=low -> touched floor*6
        1000ms update limit=low:3 -> done
        1000ms hold b floor=4 for=1 -> customer limit 3 of low
    ",
    );
}

#[test]
fn a_plan_made_of_another_than_the_present_one_is_made_anew() {
    check(
        &house(0),
        "
           0ms price p 0 level=low stale -> state mismatch
           0ms hold a 1 -> held 1 until 600000ms
           0ms price p 0,1 level=low stale -> places in use: 1 held
           0ms price p 0 level=low expect=paused -> state mismatch
           0ms update plan=house1 -> done
           0ms price p 0 level=low -> plan changed, now 2
           0ms price p 0 revision=2 level=high -> touched 0
           0ms price q 99 revision=2 level=low -> unknown place in Seats at 0
           0ms price q level=low -> invalid Seats
    ",
    );
}

#[test]
fn a_level_has_1_to_128_bytes() {
    let long = "l".repeat(128);
    let story = format!(
        "
           0ms price p 0 level= -> invalid PriceLevel
           0ms price p 0 level={long}l -> invalid PriceLevel
           0ms price p 0 level={long} -> touched 0
    "
    );
    check(&one_row("......"), &story);
}

#[test]
fn a_256th_level_is_one_too_many() {
    let mut stage = Stage::new(&one_row("......"));
    for number in 0..253 {
        stage.play(&format!("0ms price p{number} 0 level=level-{number} -> touched 0"));
    }
    stage.play("0ms price q 0 level=more -> capacity budget");
    stage.play("0ms price q 0 level=high -> touched 0");
    stage.end();
}

#[test]
fn a_new_plan_has_the_levels_that_it_says() {
    check(
        &house(0),
        "
           0ms price p 0,1 level=best -> touched 0,1
           0ms update limit=best:1 -> done
           0ms update plan=house1 -> done
           0ms update limit=best:1 -> invalid Setting(\"level_limits\")
           0ms hold a 0,1 revision=2 for=1 -> held 0,1 until 600000ms
    ",
    );
}
