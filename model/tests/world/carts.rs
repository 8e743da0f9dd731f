//! Commands of carts at random, for one event at a time: as its first event and as another one.
//!
//! Not here: an order in which a cart could do them. What one event answers must not depend on that.

use std::collections::BTreeMap;

use inventory_core::{
    cart::{Cart, CartEnd, CartStep, ConfirmMany, HoldMany, PartName, PrepareCart, Verdict},
    command::{Command, Hold},
    ids::{EventKey, HoldId, OrderRef, TimestampMs},
};
use model::Model;

use super::Rng;

/// Carts of one event that are asked for again.
const KNOWN_MAX: usize = 12;

/// What was asked of the events.
#[derive(Default)]
pub struct Carts {
    made: BTreeMap<EventKey, Vec<Command>>,
    /// When each part that is past its deadline has asked last.
    asked: BTreeMap<(EventKey, HoldId), TimestampMs>,
}

impl Carts {
    /// A command of a cart for the event. `hold` is one for it with an id of its own; `ids` are known there.
    pub fn command(
        &mut self,
        rng: &mut Rng,
        model: &Model,
        (now, pace): (TimestampMs, u64),
        key: EventKey,
        hold: Hold,
        ids: &[HoldId],
    ) -> Command {
        let events = model.events();
        // One that is not there among them.
        let others: Vec<EventKey> =
            events.into_iter().chain([EventKey(99 << 8 | key.0 & 0xff)]).filter(|other| *other != key).collect();
        let hold = Hold { replace: None, ttl_ms: 0, ..hold };
        match rng.below(100) {
            0..=21 => {
                let many = hold_many(rng, key, hold, &others, pace);
                self.note(key, Command::HoldMany(Box::new(many)))
            }
            22..=41 => {
                let deadline = match rng.below(20) {
                    0 => now,
                    1 => now.plus_ms(1),
                    _ => now.plus_ms(rng.within(1_000..=12_000) * pace),
                };
                let prepare = PrepareCart { hold, first: *rng.pick(&others), deadline };
                self.note(key, Command::Cart(CartStep::Prepare(Box::new(prepare))))
            }
            42..=49 => self.again(rng, key).unwrap_or(Command::Cart(CartStep::Settle(hold.hold_id))),
            _ => {
                let view = |id: &HoldId| model.hold_view(key, *id).filter(|view| view.cart.is_some());
                let known: Vec<HoldId> = ids.iter().copied().filter(|id| view(id).is_some()).collect();
                // First parts live shortly: chance alone seldom meets one.
                let is_open = |id: &HoldId| view(id).is_some_and(|view| view.ended_at.0 == 0);
                let open: Vec<HoldId> = known.iter().copied().filter(is_open).collect();
                let from = match rng.below(20) {
                    0 => ids,
                    1..=11 if !open.is_empty() => &open,
                    _ if !known.is_empty() => &known,
                    _ => {
                        let many = hold_many(rng, key, hold, &others, pace);
                        return self.note(key, Command::HoldMany(Box::new(many)));
                    }
                };
                let cart_id = if from.is_empty() { hold.hold_id } else { *rng.pick(from) };
                on_known(rng, model, key, cart_id, &others)
            }
        }
    }

    fn note(&mut self, key: EventKey, command: Command) -> Command {
        let made = self.made.entry(key).or_default();
        made.push(command.clone());
        if made.len() > KNOWN_MAX {
            made.remove(0);
        }
        command
    }

    /// The same once more, as after an outage with another deadline; sometimes with other content.
    fn again(&mut self, rng: &mut Rng, key: EventKey) -> Option<Command> {
        let made = self.made.get(&key).filter(|made| !made.is_empty())?;
        let mut command = rng.pick(made).clone();
        let changes = rng.percent(25);
        match &mut command {
            Command::HoldMany(many) if changes => match rng.below(3) {
                0 => many.ttl_ms += 1_000,
                1 => many.parts.last_mut().expect("at least its own").1.customer.0 += 1,
                _ => many.parts[1..].reverse(),
            },
            Command::Cart(CartStep::Prepare(prepare)) => match rng.below(3) {
                0 if changes => prepare.first.0 ^= 0x100,
                1 if changes => prepare.hold.customer.0 += 1,
                _ if rng.percent(30) => prepare.deadline = prepare.deadline.plus_ms(7_000),
                _ => {}
            },
            _ => {}
        }
        Some(command)
    }

    /// Parts that are past their deadline ask at once, and again within a second. What asks is such a part.
    pub fn hear(&mut self, now: TimestampMs, model: &Model, asking: &[(EventKey, HoldId)]) -> Result<(), String> {
        // Where there never was a cart nothing need be looked through.
        if self.made.is_empty() && asking.is_empty() {
            return Ok(());
        }
        for &(key, id) in asking {
            if !is_overdue(model, now, key, id) {
                return Err(format!("{id:?} of {key:?} asks, and need not"));
            }
            if self.asked.insert((key, id), now).is_some_and(|last| now.since(last) < 1_000) {
                return Err(format!("{id:?} of {key:?} asks twice in a second"));
            }
        }
        for key in model.events() {
            for id in model.live_holds(key).into_iter().filter(|&id| is_overdue(model, now, key, id)) {
                if self.asked.get(&(key, id)).is_none_or(|&last| now.since(last) >= 1_000) {
                    return Err(format!("{id:?} of {key:?} does not ask"));
                }
            }
        }
        self.asked.retain(|&(key, id), _| is_overdue(model, now, key, id));
        Ok(())
    }

    /// After a restart all ask afresh.
    pub fn forget_asked(&mut self) {
        self.asked.clear();
    }
}

/// Whether the hold is a part that waits for its first event past the deadline.
fn is_overdue(model: &Model, now: TimestampMs, key: EventKey, id: HoldId) -> bool {
    let view = model.hold_view(key, id);
    view.is_some_and(|view| {
        matches!(view.cart, Some(Cart::Part { .. })) && view.payment_deadline.0 != 0 && now >= view.payment_deadline
    })
}

fn hold_many(rng: &mut Rng, key: EventKey, hold: Hold, others: &[EventKey], pace: u64) -> HoldMany {
    let cart_id = hold.hold_id;
    let mut parts = vec![(key, hold.clone())];
    for _ in 0..rng.within(1..=3) {
        let other = *rng.pick(others);
        if rng.percent(2) || parts.iter().all(|(there, _)| *there != other) {
            parts.push((other, hold.clone()));
        }
    }
    match rng.below(100) {
        0 => parts.truncate(1),
        1 => parts[0].1.ttl_ms = 5_000,
        2 => parts.last_mut().expect("at least its own").1.hold_id.0 += 1,
        3 => parts[0].1.replace = Some(cart_id),
        _ => {}
    }
    let ttl_ms = match rng.below(30) {
        0 => 999,
        1 => 7_200_001,
        2..=4 => 0,
        _ => (rng.within(1_000..=12_000) * pace) as u32,
    };
    HoldMany { cart_id, ttl_ms, parts }
}

/// A step of a cart that the event may know. What it says may be what the part is not.
fn on_known(rng: &mut Rng, model: &Model, key: EventKey, cart_id: HoldId, others: &[EventKey]) -> Command {
    let other = *rng.pick(others);
    let cart = model.hold_view(key, cart_id).and_then(|view| view.cart);
    let right = match &cart {
        Some(Cart::Part { first }) => *first,
        Some(Cart::First { others, .. }) => others[0],
        None => other,
    };
    let other = if rng.percent(4) { other } else { right };
    let as_part = if rng.percent(95) { matches!(cart, Some(Cart::Part { .. })) } else { rng.percent(50) };
    let order = OrderRef::parse(&format!("order-{}", rng.below(3))).expect("a right order");
    let ends = [CartEnd::Requested, CartEnd::Deadline, CartEnd::Refused, CartEnd::Missing, CartEnd::EventCancelled];
    let verdict = if rng.percent(50) { Verdict::Sell(order.clone()) } else { Verdict::Cancel(*rng.pick(&ends)) };
    let part = PartName { cart_id, first: other };
    if as_part {
        return match rng.below(10) {
            0..=3 => Command::Cart(CartStep::AskPart(part)),
            _ => Command::Cart(CartStep::Apply { part, verdict }),
        };
    }
    match rng.below(20) {
        0..=4 => Command::ConfirmMany(Box::new(ConfirmMany { cart_id, order })),
        5..=7 => Command::ReleaseMany(cart_id),
        8..=10 => Command::Cart(CartStep::AskFirst { cart_id, part: other }),
        11..=15 => Command::Cart(CartStep::Decide { cart_id, verdict }),
        _ => Command::Cart(CartStep::Settle(cart_id)),
    }
}
