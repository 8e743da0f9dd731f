//! Limits by price level, shared quotas, holds that expire unpaid, places that rest, and other price levels, over the wire.
#![allow(clippy::unwrap_used, reason = "what fails in a test should panic")]

mod support;

use proto::{
    admin::v1 as admin,
    inventory::v1::{self as wire, EventState},
};
use support::{START_MS, TestServer, confirm_of, floor, hold_of, no_rules, reason, said, selected, sell_of};
use tonic::{Code, Status};

fn by_level(price_level: &str, places_max: u32) -> wire::LevelLimit {
    wire::LevelLimit { price_level: price_level.into(), places_max }
}

fn shared(name: &str, price_levels: &[&str], areas: &[&str], places_max: u32) -> wire::SharedQuota {
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    wire::SharedQuota { name: name.into(), price_levels: texts(price_levels), areas: texts(areas), places_max }
}

fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

/// The event `show` with these limits.
async fn server_with(level_limits: Vec<wire::LevelLimit>, quotas: Vec<wire::SharedQuota>) -> TestServer {
    let server = TestServer::empty().await;
    let request = admin::CreateEventRequest { level_limits, quotas, ..support::new_event("show", no_rules()) };
    server.admin.clone().create_event(request).await.unwrap();
    server
}

async fn server_with_policies(policies: admin::EventPolicies) -> TestServer {
    let mut server = TestServer::empty().await;
    server.create("show", policies).await.unwrap();
    server
}

fn hold_for(server: &TestServer, customer: &str, seats: &[u32]) -> wire::HoldRequest {
    wire::HoldRequest { customer: customer.into(), ..hold_of("show", &server.id(), seats) }
}

async fn update(server: &TestServer, event: admin::Event, paths: &[&str]) -> Result<admin::Event, Status> {
    let event = admin::Event { event_id: "show".into(), ..event };
    server.update(event, paths).await.map(|answer| answer.event.unwrap())
}

fn level_of(server: &TestServer, level: &str, places: Option<wire::PlaceSet>) -> admin::SetPriceLevelRequest {
    admin::SetPriceLevelRequest {
        event_id: "show".into(),
        request_id: server.id(),
        places,
        price_level: level.into(),
        ..Default::default()
    }
}

/// What the public sees of the plan: the level of each seat, then of each area, and the revision.
async fn levels(server: &TestServer) -> (Vec<String>, Vec<String>, u32) {
    let request = wire::GetPlanRequest { event_id: "show".into(), ..Default::default() };
    let mut stream = server.sale.clone().get_plan(request).await.unwrap().into_inner();
    let (mut names, mut seats, mut areas, mut revision) = (Vec::new(), Vec::new(), Vec::new(), 0);
    while let Some(answer) = stream.message().await.unwrap() {
        let chunk = answer.chunk.unwrap();
        revision = chunk.plan_revision;
        names.extend(chunk.price_levels.into_iter().map(|level| level.key));
        areas.extend(chunk.ga_areas.iter().map(|area| area.price_level));
        if let Some(part) = chunk.seats {
            let none = vec![0; part.keys.len()];
            seats.extend(if part.price_levels.is_empty() { none } else { part.price_levels });
        }
    }
    let named = |levels: Vec<u32>| levels.into_iter().map(|level: u32| names[level as usize].clone()).collect();
    (named(seats), named(areas), revision)
}

/// How many places are held, by nobody, once `ms` have passed. The list comes from the shard, which first opens what has
/// rested long enough.
async fn held_after(server: &TestServer, ms: u64) -> u32 {
    server.advance_ms(ms);
    let request = admin::ListHoldsRequest { event_id: "show".into(), ..Default::default() };
    assert!(server.list_holds(request).await.unwrap().holds.is_empty());
    server.event("show").await.counts.unwrap().held
}

#[tokio::test]
async fn a_customer_has_so_many_of_a_price_level_and_gets_the_allowance_back() {
    let server = server_with(vec![by_level("Front", 2)], Vec::new()).await;
    assert_eq!(server.event("show").await.level_limits, [by_level("Front", 2)]);
    let nobody = said(&server.hold(hold_of("show", &server.id(), &[0])).await.unwrap_err());
    assert_eq!((nobody.reason.as_str(), nobody.fields.join(" ")), ("VALIDATION_FAILED", "customer".to_owned()));

    let held = server.hold(hold_for(&server, "anna", &[0, 1, 10, 11])).await.unwrap();
    let more = said(&server.hold(hold_for(&server, "anna", &[2])).await.unwrap_err());
    assert_eq!((more.reason.as_str(), more.code), ("CUSTOMER_LIMIT", Some(Code::ResourceExhausted)));
    assert_eq!((more.metadata["limit"].as_str(), more.quota), ("2", true));
    assert_eq!(more.metadata["priceLevel"], "Front");
    server.hold(hold_for(&server, "anna", &[12])).await.unwrap();
    server.hold(hold_for(&server, "bert", &[2, 3])).await.unwrap();
    let direct = wire::SellDirectRequest { customer: "anna".into(), ..sell_of("show", &server.id(), "o-1", &[4]) };
    assert_eq!(reason(server.sell_direct(direct).await), "CUSTOMER_LIMIT");

    server.release(support::release_of("show", &held.hold.unwrap().hold_id)).await.unwrap();
    server.hold(hold_for(&server, "anna", &[4])).await.unwrap();

    // All of them are set at once; none set takes them away.
    let event = admin::Event { level_limits: vec![by_level("Back", 1), by_level("Front", 3)], ..Default::default() };
    let told = update(&server, event, &["level_limits"]).await.unwrap();
    assert_eq!(told.level_limits, [by_level("Back", 1), by_level("Front", 3)]);
    assert_eq!(reason(server.hold(hold_for(&server, "anna", &[13])).await), "CUSTOMER_LIMIT");
    update(&server, admin::Event::default(), &["level_limits"]).await.unwrap();
    assert!(server.event("show").await.level_limits.is_empty());
    server.hold(hold_of("show", &server.id(), &[5])).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_level_and_an_area_share_one_quota() {
    let exits = shared("exits", &["Front"], &["Floor"], 4);
    let server = server_with(Vec::new(), vec![exits.clone()]).await;
    assert_eq!(server.event("show").await.quotas, std::slice::from_ref(&exits));

    let seats = server.hold(hold_of("show", &server.id(), &[0, 1, 2])).await.unwrap();
    let on_floor = |quantity| wire::HoldRequest { ga: vec![floor(quantity)], ..hold_of("show", &server.id(), &[]) };
    let two = said(&server.hold(on_floor(2)).await.unwrap_err());
    assert_eq!((two.reason.as_str(), two.metadata["heldUnpaid"].as_str()), ("NOT_ENOUGH_PLACES", "3"));
    assert_eq!(two.metadata["quota"], "exits");
    let last = server.hold(on_floor(1)).await.unwrap();
    // What is of neither counts nowhere.
    server.hold(hold_of("show", &server.id(), &[10])).await.unwrap();
    let best = wire::BestAvailable { quantity: 1, price_levels: vec!["Front".into()], ..Default::default() };
    let best = wire::HoldRequest { best_available: Some(best), ..hold_of("show", &server.id(), &[]) };
    assert_eq!(reason(server.hold(best).await), "NOT_ENOUGH_PLACES");

    for (order, held) in [("o-1", seats), ("o-2", last)] {
        server.confirm(confirm_of("show", &held.hold.unwrap().hold_id, order)).await.unwrap();
    }
    let none = said(&server.hold(on_floor(1)).await.unwrap_err());
    assert_eq!((none.reason.as_str(), none.metadata["quota"].as_str()), ("SOLD_OUT", "exits"));
    assert_eq!(reason(server.sell_direct(sell_of("show", &server.id(), "o-3", &[3])).await), "SOLD_OUT");

    let raised = shared("exits", &["Front"], &["Floor"], 5);
    let event = admin::Event { quotas: vec![raised.clone()], ..Default::default() };
    assert_eq!(update(&server, event, &["quotas"]).await.unwrap().quotas, std::slice::from_ref(&raised));
    server.hold(on_floor(1)).await.unwrap();

    let server = server.restart().await;
    assert_eq!(server.event("show").await.quotas, [raised]);
    assert_eq!(reason(server.hold(hold_of("show", &server.id(), &[4])).await), "NOT_ENOUGH_PLACES");
    server.stop().await;
}

#[tokio::test]
async fn who_lets_holds_expire_waits_for_the_next_and_is_told_how_long() {
    let policies = admin::EventPolicies {
        hold_ttl: seconds(60),
        abandon_credits_max: Some(2),
        abandon_refill: seconds(300),
        ..no_rules()
    };
    let server = server_with_policies(policies).await;
    let told = server.event("show").await.policies.unwrap();
    assert_eq!((told.abandon_credits_max, told.abandon_refill_ms), (2, 300_000));
    assert_eq!(reason(server.hold(hold_of("show", &server.id(), &[0])).await), "VALIDATION_FAILED");

    for seat in [0, 1] {
        server.hold(hold_for(&server, "anna", &[seat])).await.unwrap();
        server.advance_ms(60_000);
    }
    let refused = said(&server.hold(hold_for(&server, "anna", &[2])).await.unwrap_err());
    assert_eq!((refused.reason.as_str(), refused.code), ("HOLD_COOLDOWN", Some(Code::ResourceExhausted)));
    // The first expired a minute ago: four are left until its credit is back.
    assert_eq!((refused.retry_ms, refused.executed.as_str()), (Some(240_000), "false"));
    server.hold(hold_for(&server, "bert", &[2])).await.unwrap();
    server.advance_ms(240_000);
    server.hold(hold_for(&server, "anna", &[3])).await.unwrap();

    // Off, what was spent is forgotten.
    let off = admin::EventPolicies { abandon_credits_max: Some(0), ..Default::default() };
    let event = admin::Event { policies: Some(off), ..Default::default() };
    let told = update(&server, event, &["policies.abandon_credits_max"]).await.unwrap().policies.unwrap();
    assert_eq!((told.abandon_credits_max, told.abandon_refill), (Some(0), seconds(300)));
    server.hold(hold_of("show", &server.id(), &[4])).await.unwrap();
    // Cleared is the default.
    let told = update(&server, admin::Event::default(), &["policies.abandon_refill"]).await.unwrap();
    assert_eq!(told.policies.unwrap().abandon_refill, seconds(600));
    server.stop().await;
}

#[tokio::test]
async fn places_of_an_expired_hold_rest_and_open_one_after_the_other() {
    let policies = admin::EventPolicies { hold_ttl: seconds(60), cooling_max: seconds(600), ..no_rules() };
    let server = server_with_policies(policies).await;
    let seats: Vec<u32> = (0..10).collect();
    // How long each rests is drawn from this id, the seat and the time: always the same.
    let id = uuid::Builder::from_unix_timestamp_millis(START_MS, &[7; 10]).into_uuid().to_string();
    server.hold(hold_of("show", &id, &seats)).await.unwrap();
    server.advance_ms(60_000);
    // It has ended, and its places are held by nobody.
    let hold = server.get_hold("show", &id).await.unwrap();
    assert_eq!(hold.state(), wire::HoldState::Expired);
    let request = admin::ListHoldsRequest { event_id: "show".into(), ..Default::default() };
    assert!(server.list_holds(request).await.unwrap().holds.is_empty());
    let counts = server.event("show").await.counts.unwrap();
    assert_eq!((counts.held, counts.open), (10, 15));
    let refused = said(&server.hold(hold_of("show", &server.id(), &seats)).await.unwrap_err());
    assert_eq!(refused.reason, "PLACES_UNAVAILABLE");
    let available = wire::GetAvailabilityRequest { event_id: "show".into(), ..Default::default() };
    let available = server.sale.clone().get_availability(available).await.unwrap().into_inner();
    assert_eq!(available.totals.unwrap().held, counts.held);

    let mut held = [0; 4];
    for left in &mut held {
        *left = held_after(&server, 150_000).await;
    }
    assert_eq!(held, [6, 4, 1, 0]);
    server.hold(hold_of("show", &server.id(), &seats)).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn what_a_person_releases_does_not_rest() {
    let server = server_with_policies(admin::EventPolicies { cooling_max: seconds(600), ..no_rules() }).await;
    let id = server.id();
    server.hold(hold_of("show", &id, &[0, 1])).await.unwrap();
    server.release(support::release_of("show", &id)).await.unwrap();
    assert_eq!(server.event("show").await.counts.unwrap().open, 25);
    server.hold(hold_of("show", &server.id(), &[0, 1])).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn places_get_a_new_price_level_and_keep_their_indexes() {
    let server = TestServer::with_show().await;
    let before = server.event("show").await;
    let set = wire::PlaceSet { ga: vec![floor(1)], ..selected(&["S/A/1-3", "S/B/1"]).unwrap() };
    let request = level_of(&server, "Premium", Some(set));
    let only = admin::SetPriceLevelRequest { validate_only: true, ..request.clone() };
    let would = server.set_price_level(only).await.unwrap();
    let touched = would.touched.unwrap();
    assert_eq!(
        (touched.seats.as_slice(), touched.seat_keys[3].as_str(), touched.plan_revision),
        (&[0, 1, 2, 10][..], "S-B-1", 1)
    );
    // An area changes as a whole.
    assert_eq!((touched.ga[0].area, touched.ga[0].quantity), (0, 5));
    assert_eq!(would.plan_digest, before.plan_digest);
    let plans = || std::fs::read_dir(server.folder.path().join("plans")).unwrap().count();
    assert_eq!(plans(), 1);

    let done = server.set_price_level(request.clone()).await.unwrap();
    assert_eq!((done.touched.unwrap(), done.replayed), (touched, false));
    assert!(done.position > 0 && done.incarnation > 0 && done.server_time.is_some());
    assert_eq!(plans(), 2);
    let after = server.event("show").await;
    assert_eq!((after.plan_revision, &after.plan_digest), (1, &done.plan_digest));
    assert!(after.plan_digest != before.plan_digest && after.etag != before.etag);
    let expected = |seat: usize| match seat {
        0..3 | 10 => "Premium",
        3..10 => "Front",
        _ => "Back",
    };
    let (seats, areas, revision) = levels(&server).await;
    assert_eq!(seats, (0..20).map(expected).collect::<Vec<_>>());
    assert_eq!((areas.join(" "), revision), ("Premium".to_owned(), 1));
    let again = server.set_price_level(request.clone()).await.unwrap();
    assert!(again.replayed && again.touched.unwrap().seats.is_empty());
    let reused = admin::SetPriceLevelRequest { price_level: "Gold".into(), ..request };
    assert_eq!(reason(server.set_price_level(reused).await), "REQUEST_ID_REUSED");

    // Indexes read before mean what they meant, and the new level can be asked for and limited.
    server.hold(wire::HoldRequest { plan_revision: 1, ..hold_of("show", &server.id(), &[0]) }).await.unwrap();
    let best = wire::BestAvailable { quantity: 2, price_levels: vec!["Premium".into()], ..Default::default() };
    let best = wire::HoldRequest { best_available: Some(best), ..hold_of("show", &server.id(), &[]) };
    let chosen = server.hold(best).await.unwrap().hold.unwrap();
    assert_eq!(chosen.seats, [1, 2]);
    let event = admin::Event { level_limits: vec![by_level("Premium", 1)], ..Default::default() };
    update(&server, event, &["level_limits"]).await.unwrap();

    let server = server.restart().await;
    assert_eq!(levels(&server).await.0, seats);
    assert_eq!(server.event("show").await.plan_digest, after.plan_digest);
    let admissions = wire::HoldRequest { ga: vec![floor(2)], ..hold_for(&server, "anna", &[]) };
    assert_eq!(reason(server.hold(admissions).await), "CUSTOMER_LIMIT");
    server.stop().await;
}

#[tokio::test]
async fn held_and_sold_places_keep_their_price_level() {
    let server = TestServer::with_show().await;
    let id = server.id();
    server.hold(hold_of("show", &id, &[2, 3])).await.unwrap();
    server.sell_direct(sell_of("show", &server.id(), "o-1", &[5])).await.unwrap();
    let refused = said(&server.set_price_level(level_of(&server, "Back", selected(&["S/A"]))).await.unwrap_err());
    assert_eq!((refused.reason.as_str(), refused.code), ("PLACES_IN_USE", Some(Code::FailedPrecondition)));
    let named: Vec<_> = refused.places.unwrap().places.into_iter().map(|place| place.place.unwrap()).collect();
    assert_eq!(named, [2, 3, 5].map(wire::places_unavailable::place::Place::Index));
    // What has it already is not in the way.
    let done = server.set_price_level(level_of(&server, "Front", selected(&["S/A", "S/B/1"]))).await.unwrap();
    assert_eq!(done.touched.unwrap().seats, [10]);

    let one = wire::HoldRequest { ga: vec![floor(1)], ..hold_of("show", &server.id(), &[]) };
    server.hold(one).await.unwrap();
    let on_floor = || Some(wire::PlaceSet { ga: vec![floor(1)], ..Default::default() });
    assert_eq!(reason(server.set_price_level(level_of(&server, "Front", on_floor())).await), "PLACES_IN_USE");
    server.stop().await;
}

#[tokio::test]
async fn levels_are_set_side_by_side_and_none_is_lost() {
    let server = TestServer::with_show().await;
    // Each makes a plan of the one it read: all but one must make it anew, some of them more than once.
    let rows = ["S/A/1-2", "S/A/3-4", "S/A/5-6", "S/A/7-8"];
    let set = |at: usize| server.set_price_level(level_of(&server, rows[at], selected(&[rows[at]])));
    let (one, two, three, four) = tokio::join!(set(0), set(1), set(2), set(3));
    for done in [one, two, three, four] {
        assert_eq!(done.unwrap().touched.unwrap().seats.len(), 2);
    }
    let (seats, ..) = levels(&server).await;
    for (at, row) in rows.iter().enumerate() {
        assert_eq!(seats[2 * at..2 * at + 2], [*row; 2]);
    }
    server.stop().await;
}

#[tokio::test]
async fn names_that_are_not_of_the_plan_are_refused_with_their_field() {
    let server = server_with(vec![by_level("Front", 2)], Vec::new()).await;
    let limits = |limits: Vec<wire::LevelLimit>| admin::Event { level_limits: limits, ..Default::default() };
    let quotas = |quotas: Vec<wire::SharedQuota>| admin::Event { quotas, ..Default::default() };
    let wrong = [
        (limits(vec![by_level("Balcony", 1)]), "level_limits"),
        (limits(vec![by_level("Front", 1), by_level("Front", 2)]), "level_limits"),
        (limits(vec![by_level("Front", 1_000_001)]), "level_limits"),
        (quotas(vec![shared("q", &["Balcony"], &[], 1)]), "quotas"),
        (quotas(vec![shared("q", &[], &["S"], 1)]), "quotas"),
        (quotas(vec![shared("q", &[], &[], 1)]), "quotas"),
        (quotas(vec![shared("q", &["Back"], &[], 1), shared("q", &["Front"], &[], 1)]), "quotas"),
        (quotas(vec![shared("", &["Back"], &[], 1)]), "quotas"),
    ];
    for (event, field) in wrong {
        let refused = said(&update(&server, event.clone(), &[field]).await.unwrap_err());
        let found = (refused.reason.as_str(), refused.fields.join(" "));
        assert_eq!(found, ("VALIDATION_FAILED", field.to_owned()), "{event:?}");
        let request = admin::CreateEventRequest {
            level_limits: event.level_limits,
            quotas: event.quotas,
            ..support::new_event("other", no_rules())
        };
        let refused = said(&server.admin.clone().create_event(request).await.unwrap_err());
        assert_eq!((refused.reason.as_str(), refused.fields.join(" ")), ("VALIDATION_FAILED", field.to_owned()));
    }
    let long = admin::Event { display_name: "x".repeat(1 << 20), ..Default::default() };
    let refused = said(&update(&server, long, &["display_name"]).await.unwrap_err());
    assert_eq!((refused.reason.as_str(), refused.fields.join(" ")), ("VALIDATION_FAILED", "event".into()));
    let many = admin::EventPolicies { abandon_credits_max: Some(101), ..Default::default() };
    let event = admin::Event { policies: Some(many), ..Default::default() };
    let refused = said(&update(&server, event, &["policies.abandon_credits_max"]).await.unwrap_err());
    assert_eq!(
        (refused.reason.as_str(), refused.fields.join(" ")),
        ("VALIDATION_FAILED", "abandon_credits_max".into())
    );
    assert_eq!(server.event("show").await.level_limits, [by_level("Front", 2)]);
    server.stop().await;
}

#[tokio::test]
async fn what_cannot_have_the_level_is_refused_with_why() {
    let server = TestServer::with_show().await;
    let row = || selected(&["S/A"]);
    let long = "L".repeat(129);
    let wrong = [
        (admin::SetPriceLevelRequest { request_id: String::new(), ..level_of(&server, "Gold", row()) }, "request_id"),
        (level_of(&server, "", row()), "price_level"),
        (level_of(&server, &long, row()), "price_level"),
        (level_of(&server, "Go\nld", row()), "price_level"),
        (level_of(&server, "Gold", None), "places.seats"),
        (level_of(&server, "Gold", selected(&["S/A", "T"])), "places.selectors[1]"),
        (admin::SetPriceLevelRequest { expected_state: 77, ..level_of(&server, "Gold", row()) }, "expected_state"),
    ];
    for (request, field) in wrong {
        let refused = said(&server.set_price_level(request).await.unwrap_err());
        assert_eq!((refused.code, refused.fields.join(" ")), (Some(Code::InvalidArgument), field.to_owned()));
    }
    let paused = EventState::Paused as i32;
    let other = admin::SetPriceLevelRequest { expected_state: paused, ..level_of(&server, "Gold", row()) };
    assert_eq!(reason(server.set_price_level(other).await), "STATE_MISMATCH");
    let elsewhere = admin::SetPriceLevelRequest { event_id: "other".into(), ..level_of(&server, "Gold", row()) };
    assert_eq!(reason(server.set_price_level(elsewhere).await), "EVENT_NOT_FOUND");
    let stale = wire::PlaceSet { plan_revision: 2, seats: vec![0], ..Default::default() };
    assert_eq!(reason(server.set_price_level(level_of(&server, "Gold", Some(stale))).await), "PLAN_CHANGED");

    // The plan has two, and a name that nothing has any more stays.
    for nth in 2..255 {
        server.set_price_level(level_of(&server, &format!("level {nth}"), selected(&["S/A/1"]))).await.unwrap();
    }
    let refused = said(&server.set_price_level(level_of(&server, "one more", row())).await.unwrap_err());
    assert_eq!((refused.reason.as_str(), refused.code), ("CAPACITY_BUDGET", Some(Code::ResourceExhausted)));
    server.set_price_level(level_of(&server, "level 7", row())).await.unwrap();
    server.stop().await;
}
