//! Carts over several events: all or nothing, whenever the process stops.

use engine::{Answer, CartPart, Done, Refused, Reply, ReplyReceiver, event_key, reply_slot, verify};
use inventory_core::{
    cart::{Cart, ConfirmMany, HoldMany},
    change::{HoldCause, HoldState, HoldView},
    command::Command,
    ids::{EventKey, HoldId},
    policy::EventState,
    reject::Reject,
};
use wal::{Keep, MemoryStorage};

use crate::world::*;

const TTL_MS: u64 = 60_000;

/// Names of events, the first half on shard 0 of two, in turn.
fn names() -> Vec<String> {
    let of = |shard: u8| (0..).map(|n| format!("match-{n}")).filter(move |id| event_key(id).slot().0 % 2 == shard);
    of(0).zip(of(1)).take(2).flat_map(|(one, other)| [one, other]).collect()
}

fn keys() -> Vec<EventKey> {
    names().iter().map(|id| event_key(id)).collect()
}

fn hold_many(cart_id: HoldId, parts: &[(EventKey, &[u32])]) -> Command {
    let part = |&(key, seats): &(EventKey, &[u32])| {
        let Command::Hold(hold) = hold(cart_id, seats) else { unreachable!("it is a hold") };
        (key, *hold)
    };
    let parts = parts.iter().map(part).collect();
    Command::HoldMany(Box::new(HoldMany { cart_id, ttl_ms: TTL_MS as u32, parts }))
}

fn confirm_many(cart_id: HoldId, order_ref: &str) -> Command {
    Command::ConfirmMany(Box::new(ConfirmMany { cart_id, order: order(order_ref) }))
}

fn parts_of(answer: Answer) -> Result<(Vec<CartPart>, bool), Refused> {
    match answer.result? {
        Done::Cart { parts, replayed } => Ok((parts, replayed)),
        other => panic!("a cart was asked for, not {other:?}"),
    }
}

fn expired(executed: bool) -> Refused {
    Refused::Reject(Reject::HoldExpired { executed, places_lost: Vec::new() })
}

fn four_events(shards: usize) -> World {
    let mut world = World::new(shards);
    names().iter().for_each(|id| {
        world.create(id);
    });
    world
}

/// Seats 3 and 4 of the first event, 5 of the second, and so on.
fn cart(keys: &[EventKey], cart_id: HoldId) -> Command {
    let seats: [&[u32]; 4] = [&[3, 4], &[5], &[6, 7], &[8]];
    let parts: Vec<(EventKey, &[u32])> = keys.iter().copied().zip(seats).collect();
    hold_many(cart_id, &parts)
}

fn view(world: &mut World, key: EventKey, id: HoldId) -> Option<HoldView> {
    hold_of(world.ask(key, Command::GetHold(id))).ok()
}

fn states(world: &mut World, keys: &[EventKey], id: HoldId) -> Vec<Option<HoldState>> {
    keys.iter().map(|&key| view(world, key, id).map(|view| view.state)).collect()
}

#[test]
fn a_cart_is_held_and_sold_in_all_its_events() {
    for shards in 1..=3 {
        let (mut world, keys) = (four_events(shards), keys());
        let id = hold_id(START, 1);
        let (parts, replayed) = parts_of(world.ask(keys[0], cart(&keys, id))).expect("all is open");
        assert_eq!(parts.iter().map(|part| part.event).collect::<Vec<_>>(), keys);
        assert!(!replayed);
        for part in &parts {
            assert_eq!(part.view.state, HoldState::Paying);
            assert_eq!(part.view.payment_deadline, START.plus_ms(TTL_MS));
        }
        let others = keys[1..].to_vec();
        assert_eq!(parts[0].view.cart, Some(Cart::First { others, is_settled: false }));
        assert_eq!(parts[3].view.cart, Some(Cart::Part { first: keys[0] }));
        let again = parts_of(world.ask(keys[0], cart(&keys, id))).expect("it is there");
        assert_eq!(again, (parts, true));

        let (parts, replayed) = parts_of(world.ask(keys[0], confirm_many(id, "A-1"))).expect("in time");
        assert!(!replayed && parts.len() == 4);
        for part in &parts {
            assert_eq!((part.view.state, part.view.orders.clone()), (HoldState::Confirmed, vec![order("A-1")]));
        }
        let (again, replayed) = parts_of(world.ask(keys[0], confirm_many(id, "A-1"))).expect("the same order");
        assert!(replayed);
        assert_eq!(again[1..], parts[1..]);
        let refused = Err(Refused::Reject(Reject::HoldAlreadyConfirmed { executed: false }));
        assert_eq!(world.ask(keys[0], confirm_many(id, "A-2")).result, refused);
        let refused = Err(Refused::Reject(Reject::HoldAlreadyConfirmed { executed: true }));
        assert_eq!(world.ask(keys[0], cart(&keys, id)).result, refused);
        let settled = view(&mut world, keys[0], id).expect("it is sold").cart;
        assert_eq!(settled, Some(Cart::First { others: keys[1..].to_vec(), is_settled: true }));
        assert!(hold_of(world.ask(keys[2], confirm(id, "A-1"))).is_ok(), "a sale like any other");
    }
}

#[test]
fn a_cart_that_one_event_refuses_leaves_nothing() {
    let (mut world, keys) = (four_events(2), keys());
    world.hold(keys[2], hold_id(START, 9), &[7]).expect("open");
    let id = hold_id(START, 1);
    let Err(Refused::InEvent { event, reject: Reject::PlacesUnavailable { places } }) =
        world.ask(keys[0], cart(&keys, id)).result
    else {
        panic!("a seat is held")
    };
    assert_eq!((event, places.len()), (keys[2], 1));
    assert_eq!(states(&mut world, &keys, id), [None; 4]);
    assert!(hold_of(world.ask(keys[2], release(hold_id(START, 9)))).is_ok());
    let (parts, replayed) = parts_of(world.ask(keys[0], cart(&keys, id))).expect("judged afresh");
    assert_eq!((parts.len(), replayed), (4, false));
}

#[test]
fn a_cart_is_released_in_all_its_events() {
    let (mut world, keys) = (four_events(2), keys());
    let id = hold_id(START, 1);
    parts_of(world.ask(keys[0], cart(&keys, id))).expect("all is open");
    let in_progress = Err(Refused::Reject(Reject::PaymentInProgress));
    for &key in &keys {
        for command in [release(id), confirm(id, "A-1"), extend(id, request_id(START, 1))] {
            assert_eq!(world.ask(key, command).result, in_progress);
        }
    }
    let (parts, replayed) = parts_of(world.ask(keys[0], Command::ReleaseMany(id))).expect("in time");
    assert!(!replayed && parts.len() == 4);
    assert!(parts.iter().all(|part| part.view.state == HoldState::Released));
    let (again, replayed) = parts_of(world.ask(keys[0], Command::ReleaseMany(id))).expect("again");
    assert!(replayed);
    assert_eq!(again[1..], parts[1..]);
    let refused = Err(Refused::Reject(Reject::HoldReleased { executed: false }));
    assert_eq!(world.ask(keys[0], confirm_many(id, "A-1")).result, refused);
    let not_found = Err(Refused::Reject(Reject::HoldNotFound));
    assert_eq!(world.ask(keys[1], confirm_many(id, "A-1")).result, not_found, "it is not the first event");
    world.hold(keys[3], hold_id(START, 2), &[8]).expect("open again");
}

#[test]
fn a_cart_left_alone_ends_in_all_its_events_at_its_deadline() {
    for shards in 1..=2 {
        let (mut world, keys) = (four_events(shards), keys());
        let id = hold_id(START, 1);
        parts_of(world.ask(keys[0], cart(&keys, id))).expect("all is open");
        world.clock.set(START.plus_ms(TTL_MS - 1));
        world.settle();
        assert_eq!(states(&mut world, &keys, id), [Some(HoldState::Paying); 4]);
        world.clock.set(START.plus_ms(TTL_MS));
        assert_eq!(world.ask(keys[0], confirm_many(id, "A-1")).result, Err(expired(false)));
        assert_eq!(states(&mut world, &keys, id), [Some(HoldState::Expired); 4]);
        assert_eq!(world.ask(keys[0], cart(&keys, id)).result, Err(expired(true)));
        assert_eq!(view(&mut world, keys[3], id).expect("it is remembered").cause, HoldCause::Deadline);
    }
}

#[test]
fn a_cart_with_a_cancelled_event_is_not_sold() {
    for cancelled in [0, 3] {
        let (mut world, keys) = (four_events(2), keys());
        let id = hold_id(START, 1);
        parts_of(world.ask(keys[0], cart(&keys, id))).expect("all is open");
        let update =
            inventory_core::command::UpdateEvent { state: Some(EventState::Cancelled), ..update(request_id(START, 1)) };
        assert!(world.ask(keys[cancelled], Command::UpdateEvent(Box::new(update))).result.is_ok());
        assert_eq!(states(&mut world, &keys, id), [Some(HoldState::Paying); 4], "it ends with its cart");
        let refused = world.ask(keys[0], confirm_many(id, "A-1")).result.expect_err("an event is cancelled");
        let expected = match cancelled {
            0 => Refused::Reject(Reject::EventCancelled),
            at => Refused::InEvent { event: keys[at], reject: Reject::EventCancelled },
        };
        assert_eq!(refused, expected);
        assert_eq!(states(&mut world, &keys, id), [Some(HoldState::Released); 4]);
    }
}

#[test]
fn calls_of_one_cart_wait_for_each_other() {
    let (mut world, keys) = (four_events(2), keys());
    let id = hold_id(START, 1);
    let calls = [cart(&keys, id), cart(&keys, id), confirm_many(id, "A-1"), Command::ReleaseMany(id)];
    let mut receivers: Vec<ReplyReceiver> = calls.into_iter().map(|call| world.send(keys[0], call)).collect();
    world.settle();
    let mut answers = receivers.iter_mut().map(|receiver| receiver.try_take().expect("settled").expect("answered"));
    assert!(!parts_of(answers.next().expect("four")).expect("it is made").1);
    assert!(parts_of(answers.next().expect("four")).expect("it is there").1);
    assert_eq!(parts_of(answers.next().expect("four")).expect("it is sold").0.len(), 4);
    let refused = Err(Refused::Reject(Reject::HoldAlreadyConfirmed { executed: false }));
    assert_eq!(answers.next().expect("four").result, refused);
}

#[test]
fn a_drained_engine_brings_its_carts_to_their_end() {
    let (mut world, keys) = (four_events(2), keys());
    let id = hold_id(START, 1);
    parts_of(world.ask(keys[0], cart(&keys, id))).expect("all is open");
    let mut receiver = world.send(keys[0], confirm_many(id, "A-1"));
    world.engine.drain();
    world.settle();
    let answer = receiver.try_take().expect("settled").expect("answered");
    assert_eq!(parts_of(answer).expect("it was taken before").0.len(), 4);
}

/// What is called, and what it may have come to when nobody knows whether it was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Story {
    Sold,
    Refused,
    Released,
    LeftAlone,
}

/// A turn of one of the threads.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Shard(usize),
    Committer,
}

const ORDERS: [&[Turn]; 5] = [
    &[Turn::Shard(0), Turn::Shard(1), Turn::Committer],
    &[Turn::Shard(1), Turn::Shard(0), Turn::Committer],
    &[Turn::Shard(0), Turn::Committer, Turn::Shard(1), Turn::Committer],
    &[Turn::Shard(0), Turn::Shard(0), Turn::Committer, Turn::Shard(1), Turn::Shard(1), Turn::Committer],
    // The first event's shard is slow.
    &[
        Turn::Shard(1),
        Turn::Committer,
        Turn::Shard(1),
        Turn::Committer,
        Turn::Shard(1),
        Turn::Committer,
        Turn::Shard(0),
    ],
];

impl Story {
    fn calls(self, keys: &[EventKey], id: HoldId) -> Vec<Command> {
        match self {
            Story::Sold => vec![cart(keys, id), confirm_many(id, "A-1")],
            Story::Refused | Story::LeftAlone => vec![cart(keys, id)],
            Story::Released => vec![cart(keys, id), Command::ReleaseMany(id)],
        }
    }
}

/// Where the process stopped: what was answered, and whether the whole story came to its end before.
struct Stopped {
    disk: MemoryStorage,
    answered: Vec<Answer>,
    is_over: bool,
    now: inventory_core::ids::TimestampMs,
}

/// Runs a story and stops after so many turns.
fn stop_after(turns: usize, story: Story, order: &[Turn], keys: &[EventKey], id: HoldId) -> Stopped {
    let mut world = four_events(2);
    if story == Story::Refused {
        world.hold(keys[2], hold_id(START, 9), &[7]).expect("open");
    }
    let mut left = order.iter().copied().cycle().take(turns);
    let mut answered = Vec::new();
    let mut is_over = true;
    let mut steps = story.calls(keys, id);
    let is_left_alone = story == Story::LeftAlone;
    steps.extend(is_left_alone.then(|| Command::GetHold(id)));
    let count = steps.len();
    'calls: for (nth, call) in steps.into_iter().enumerate() {
        if is_left_alone && nth + 1 == count {
            world.clock.set(START.plus_ms(TTL_MS));
        }
        let (sender, mut receiver) = reply_slot();
        world.engine.submit(keys[0], call, None, Reply::One(sender)).expect("there is room");
        loop {
            if let Some(answer) = receiver.try_take() {
                answered.push(answer.expect("nobody drops a reply"));
                break;
            }
            if !turn(&mut world, left.next()) {
                is_over = false;
                break 'calls;
            }
        }
    }
    // What is still to be told to the others.
    while is_over && !world.engine.is_idle() {
        is_over = turn(&mut world, left.next());
    }
    Stopped { disk: world.disk.crash(Keep::Nothing), answered, is_over, now: world.engine.clock().now() }
}

fn turn(world: &mut World, next: Option<Turn>) -> bool {
    match next {
        Some(Turn::Shard(at)) => {
            world.shards[at].turn();
        }
        Some(Turn::Committer) => {
            world.committer.turn().expect("the disk works");
        }
        None => return false,
    }
    true
}

/// One fate: sold everywhere or nowhere, and nobody waits for a decision that was made.
fn assert_one_fate(states: &[Option<HoldState>], context: &str) {
    let sold = states.iter().filter(|state| **state == Some(HoldState::Confirmed)).count();
    assert!(sold == 0 || sold == states.len(), "half a cart is sold: {states:?}, {context}");
    let is_open = states[0] == Some(HoldState::Paying);
    assert!(is_open || !states.contains(&Some(HoldState::Paying)), "a part is stuck: {states:?}, {context}");
}

fn crash_at_every_turn(story: Story) {
    let (keys, id) = (keys(), hold_id(START, 1));
    for (number, order) in ORDERS.iter().enumerate() {
        let mut is_over = false;
        let mut turns = 0;
        while !is_over {
            assert!(turns < 200, "the story does not end");
            let stopped = stop_after(turns, story, order, &keys, id);
            is_over = stopped.is_over;
            for away_ms in [0, TTL_MS, 10 * TTL_MS] {
                let context = format!("{story:?}, order {number}, {turns} turns, away {away_ms} ms");
                for retries in [false, true] {
                    let disk = stopped.disk.duplicate();
                    let now = stopped.now.plus_ms(away_ms);
                    let mut world = World::open(&disk, now, config(2)).expect("it is whole");
                    world.settle();
                    check(&mut world, story, &stopped.answered, away_ms, retries, &context);
                    drop(world);
                    verify(&disk.crash(Keep::Nothing)).unwrap_or_else(|error| panic!("{context}: {error}"));
                }
            }
            turns += 1;
        }
        assert!(turns > 5, "{story:?} in order {number}: {turns} turns");
    }
}

/// What must hold after a start, before and after the deadline.
fn check(world: &mut World, story: Story, answered: &[Answer], away_ms: u64, retries: bool, context: &str) {
    let (keys, id) = (keys(), hold_id(START, 1));
    let at_start = states(world, &keys, id);
    assert_one_fate(&at_start, context);
    match (story, answered.len()) {
        (Story::Sold, 1) => {
            let paying = Some(HoldState::Paying);
            let mut possible = vec![[paying; 4], [Some(HoldState::Confirmed); 4]];
            // No more than two minutes are given back.
            possible.extend((away_ms > 2 * TTL_MS).then_some([Some(HoldState::Expired); 4]));
            assert!(
                possible.iter().any(|possible| at_start == possible),
                "{at_start:?} of a cart that was made, {context}"
            );
        }
        (Story::Sold, 2) => assert_eq!(at_start, [Some(HoldState::Confirmed); 4], "{context}"),
        (Story::Refused, 1) => assert_eq!(at_start, [None; 4], "a refused cart leaves nothing, {context}"),
        (Story::Released, 2) => assert_eq!(at_start, [Some(HoldState::Released); 4], "{context}"),
        (Story::LeftAlone, 2) => assert_eq!(at_start[0], Some(HoldState::Expired), "{context}"),
        _ => {}
    }
    if retries {
        let calls = story.calls(&keys, id);
        for call in &calls[answered.len().min(calls.len() - 1)..] {
            let answer = world.ask(keys[0], call.clone());
            assert_one_fate(&states(world, &keys, id), context);
            match (call, answer.result) {
                (_, Ok(Done::Cart { parts, .. })) => {
                    assert_ne!(story, Story::Refused, "{context}");
                    assert_eq!(parts.len(), 4, "{context}");
                    assert!(parts.iter().all(|part| part.view.state == parts[0].view.state), "{context}");
                }
                (_, Err(Refused::InEvent { event, .. })) if story == Story::Refused => assert_eq!(event, keys[2]),
                // Its id may be too old when the process was away for long.
                (Command::HoldMany(_), Err(Refused::Reject(reject))) => {
                    let is_right = match &reject {
                        Reject::HoldIdTooOld { .. } => at_start[0].is_none(),
                        reject => reject.executed(),
                    };
                    assert!(is_right, "{reject:?}, {context}");
                }
                (Command::ConfirmMany(_) | Command::ReleaseMany(_), Err(Refused::Reject(reject))) => {
                    let is_right = match &reject {
                        Reject::HoldNotFound => at_start[0].is_none(),
                        // Past the deadline, or a part was not made before the stop.
                        Reject::HoldExpired { .. } => answered.is_empty() || at_start[0] == Some(HoldState::Expired),
                        _ => false,
                    };
                    assert!(is_right, "{reject:?}, {context}");
                }
                other => panic!("{other:?}, {context}"),
            }
        }
    }
    // Then nobody does anything.
    let deadline = view(world, keys[0], id).map(|view| view.payment_deadline);
    if let Some(deadline) = deadline {
        let now = world.engine.clock().now();
        world.clock.set(now.max(deadline));
    }
    world.settle();
    let at_end = states(world, &keys, id);
    assert_one_fate(&at_end, context);
    assert!(!at_end.contains(&Some(HoldState::Paying)), "a cart past its deadline is resolved: {at_end:?}, {context}");
    if at_start[0] == Some(HoldState::Confirmed) {
        assert_eq!(at_end, [Some(HoldState::Confirmed); 4], "what is sold stays sold, {context}");
    }
}

#[test]
fn a_stop_after_any_turn_leaves_a_sale_whole_or_not_made() {
    crash_at_every_turn(Story::Sold);
}

#[test]
fn a_stop_after_any_turn_leaves_a_refused_cart_no_part() {
    crash_at_every_turn(Story::Refused);
}

#[test]
fn a_stop_after_any_turn_leaves_a_release_whole_or_not_made() {
    crash_at_every_turn(Story::Released);
}

#[test]
fn a_stop_after_any_turn_leaves_a_cart_past_its_deadline_no_part() {
    crash_at_every_turn(Story::LeftAlone);
}
