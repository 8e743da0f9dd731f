//! Another price level: what the shard and the log make of it.

use std::{ops::ControlFlow, sync::Arc};

use engine::{
    Done, Refused, event_key,
    inspect::{Line, walk},
};
use inventory_core::{
    command::{Command, CreateEvent},
    ids::{EventId, EventKey},
    place_set::PlaceSet,
    plan::{Plan, PlanSpec, Point, RowKind, RowSpec, SeatSpec, SectionSpec},
    plan_codec::encode_plan,
    price_level::{SetPriceLevel, changed_in},
    reject::{Field, Reject},
};

use crate::world::*;

/// One section of rows whose seats are of one level and the other in turn.
fn striped(rows: i32, seats: i32) -> PlanSpec {
    let seat = |row: i32, seat: i32| SeatSpec {
        key: format!("{row}-{seat}").into(),
        label: format!("{seat}").into(),
        at: Point { x: seat * 1_000, y: row * 1_000 },
        level: u8::from(seat % 2 == 1),
        attributes: 0,
        aisle_after: false,
    };
    let row = |number: i32| RowSpec {
        label: format!("{number}").into(),
        kind: RowKind::Row,
        seats: (0..seats).map(|at| seat(number, at)).collect(),
    };
    let rows = (0..rows).map(row).collect();
    PlanSpec {
        name: "striped".into(),
        price_levels: vec!["gold".into(), "silver".into()],
        focal_point: Some(Point { x: 5_000, y: -1_000 }),
        sections: vec![SectionSpec { key: "stand".into(), label: "Stand".into(), zone: None, rows }],
        ..PlanSpec::default()
    }
}

fn create(world: &mut World, spec: &PlanSpec) -> (EventKey, Arc<Plan>) {
    let plan = world.engine.plans().put(encode_plan(spec)).expect("the disk works");
    let (id, key) = (EventId::parse("show").expect("a name"), event_key("show"));
    let create = CreateEvent { id, key, plan: Arc::clone(&plan), settings: without_orphan_rule() };
    world.ask(key, Command::CreateEvent(Box::new(create))).result.expect("it is new");
    (key, plan)
}

/// With the plan that the edge would make.
fn set(world: &World, plan: &Plan, places: PlaceSet, level: &str) -> Command {
    let made = changed_in(&places, plan, 1, level).ok().map(|(seats, areas)| {
        let encoded = world.engine.plans().with_level(&plan.digest(), &seats, &areas, level);
        world.engine.plans().put(encoded.expect("it reads").expect("there is room")).expect("the disk works")
    });
    Command::SetPriceLevel(Box::new(SetPriceLevel {
        request_id: request_id(START, 1),
        places,
        level: level.into(),
        from: plan.digest(),
        plan: made,
        expected_state: None,
        validate_only: false,
    }))
}

#[test]
fn seats_in_too_many_stretches_are_refused_also_when_their_levels_cut_one_into_them() {
    let mut world = World::new(1);
    let (key, plan) = create(&mut world, &striped(100, 70));
    let places = PlaceSet { selectors: vec!["stand".into()], ..PlaceSet::default() };
    let command = set(&world, &plan, places, "gold");
    let refused = world.ask(key, command).result;
    assert!(matches!(refused, Err(Refused::Reject(Reject::Invalid { field: Field::Seats, .. }))), "{refused:?}");
    // Half of it is few enough.
    let half = (0..42).map(|row| format!("stand/{row}").into()).collect();
    let command = set(&world, &plan, PlaceSet { selectors: half, ..PlaceSet::default() }, "gold");
    assert!(
        matches!(world.ask(key, command).result, Ok(Done::Touched { touched, .. }) if touched.seats.len() == 1_470)
    );
}

#[test]
fn another_price_level_is_no_new_revision_to_a_walk() {
    let mut world = World::new(1);
    let (key, plan) = create(&mut world, &striped(2, 5));
    let command = set(&world, &plan, PlaceSet { plan_revision: 1, seats: vec![0], ..PlaceSet::default() }, "silver");
    world.ask(key, command).result.expect("it is open");
    world.hold(key, hold_id(START, 1), &[3]).expect("it is open");
    let mut revisions = Vec::new();
    walk(&world.stop(), 0, &mut |line| {
        if let Line::Change(change) = line {
            revisions.push((change.kind(), change.plan_revision));
        }
        ControlFlow::Continue(())
    })
    .expect("the folder is listed");
    assert_eq!(revisions, [("event_created", Some(1)), ("price_level_set", Some(1)), ("held", Some(1))]);
}
