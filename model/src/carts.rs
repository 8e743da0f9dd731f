//! Parts of carts over several events: what one event makes of its own part, whatever the others do.
//!
//! A part is a paying hold without an attempt. The first part decides, by its state and by nothing else; the others wait
//! for that, however long.
//!
//! Not here: who asks which event what, and when (the engine does), so no claim about two events at once.

use inventory_core::{
    cart::{Cart, CartEnd, CartStep, ConfirmMany, Decided, HoldMany, PartName, PrepareCart, Verdict},
    change::{HoldCause, HoldState},
    command,
    ids::{EventKey, HoldId, OrderRef, TimestampMs},
    policy::EventState,
    reject::Reject,
};

use crate::{
    Answer,
    content::{self, Content},
    event::Event,
    hold::{Hold, Payment},
};

impl Hold {
    /// A part of a cart that is not decided, as far as this event knows. Time alone does not change that.
    pub(crate) fn is_open_part(&self) -> bool {
        self.cart.is_some() && self.is_live()
    }

    /// A first part that has decided, and of which another event may not know how.
    pub(crate) fn is_unsettled(&self) -> bool {
        matches!(self.cart, Some(Cart::First { is_settled: false, .. })) && !self.is_live()
    }

    fn is_first(&self) -> bool {
        matches!(self.cart, Some(Cart::First { .. }))
    }

    fn has_part_in(&self, event: EventKey) -> bool {
        matches!(&self.cart, Some(Cart::First { others, .. }) if others.contains(&event))
    }

    fn is_part_of(&self, first: EventKey) -> bool {
        self.cart == Some(Cart::Part { first })
    }

    /// What its state says of the cart.
    fn verdict(&self) -> Option<Verdict> {
        match (self.state, self.cause) {
            (HoldState::Active | HoldState::Paying, _) => None,
            (HoldState::Confirmed, _) => self.orders.first().cloned().map(Verdict::Sell),
            (_, HoldCause::Requested) => Some(Verdict::Cancel(CartEnd::Requested)),
            (_, HoldCause::Deadline) => Some(Verdict::Cancel(CartEnd::Deadline)),
            (_, HoldCause::CartRefused) => Some(Verdict::Cancel(CartEnd::Refused)),
            (_, HoldCause::Cancelled) => Some(Verdict::Cancel(CartEnd::EventCancelled)),
            _ => Some(Verdict::Cancel(CartEnd::Missing)),
        }
    }
}

/// A command on one hold leaves a part alone that is not decided, also past its deadline.
pub(crate) fn check_no_open_part(hold: &Hold) -> Result<(), Reject> {
    if hold.is_open_part() { Err(Reject::PaymentInProgress) } else { Ok(()) }
}

/// That an ended part is asked for what it could do while it lived.
fn ended(hold: &Hold) -> Reject {
    match hold.state {
        HoldState::Confirmed => Reject::HoldAlreadyConfirmed { executed: false },
        HoldState::Released => Reject::HoldReleased { executed: false },
        _ => expired(),
    }
}

fn expired() -> Reject {
    Reject::HoldExpired { executed: false, places_lost: Vec::new() }
}

impl Event {
    // ---- Calls, as the first event answers them ----

    pub(crate) fn hold_many(&mut self, now: TimestampMs, command: &HoldMany) -> Result<Answer, Reject> {
        let content = content::of_hold_many(command);
        let (_, hold) = command.parts.first().expect("its shape was judged");
        let others = command.parts.iter().skip(1).map(|(key, _)| *key).collect();
        let life_ms = match command.ttl_ms {
            0 => u64::from(self.settings.policies.payment_grace_s) * 1_000,
            ttl_ms => u64::from(ttl_ms),
        };
        let cart = Cart::First { others, is_settled: false };
        self.make_part(now, hold, content, cart, now.plus_ms(life_ms))
    }

    /// Changes nothing by itself: an undecided part is told as it is, for the others to be asked.
    pub(crate) fn confirm_many(&self, now: TimestampMs, command: &ConfirmMany) -> Result<Answer, Reject> {
        let first = self.first_part(command.cart_id)?;
        match first.verdict() {
            None => {
                self.check_may_sell(now, first)?;
                Ok(self.answer(first.id, false))
            }
            Some(Verdict::Sell(order)) if order == command.order => Ok(self.answer(first.id, true)),
            Some(_) => Err(ended(first)),
        }
    }

    /// Changes nothing by itself.
    pub(crate) fn release_many(&self, now: TimestampMs, cart_id: HoldId) -> Result<Answer, Reject> {
        let first = self.first_part(cart_id)?;
        match first.state {
            HoldState::Released => Ok(self.answer(cart_id, true)),
            HoldState::Active | HoldState::Paying if now < first.deadline() => Ok(self.answer(cart_id, false)),
            _ => Err(ended(first)),
        }
    }

    // ---- Steps ----

    pub(crate) fn cart_step(&mut self, now: TimestampMs, step: &CartStep) -> Result<Answer, Reject> {
        match step {
            CartStep::Prepare(prepare) => self.prepare(now, prepare),
            CartStep::AskPart(name) => {
                let part = self.part(*name)?;
                if !part.is_live() {
                    return Err(ended(part));
                }
                self.check_not_cancelled()?;
                Ok(self.answer(part.id, false))
            }
            CartStep::AskFirst { cart_id, part } => {
                // Of a cart that is not known, or that is another with the same id, all is cancelled.
                let missing = Some(Verdict::Cancel(CartEnd::Missing));
                let first = self.first_part(*cart_id).ok().filter(|first| first.has_part_in(*part));
                Ok(Answer::Verdict { verdict: first.map_or(missing, Hold::verdict) })
            }
            CartStep::Decide { cart_id, verdict } => self.decide(now, *cart_id, verdict),
            CartStep::Apply { part, verdict } => self.apply(now, *part, verdict),
            CartStep::Settle(cart_id) => self.settle(now, *cart_id),
        }
    }

    fn prepare(&mut self, now: TimestampMs, command: &PrepareCart) -> Result<Answer, Reject> {
        let content = content::of_prepare(command);
        self.make_part(now, &command.hold, content, Cart::Part { first: command.first }, command.deadline)
    }

    /// A hold like any other, but for its life.
    fn make_part(
        &mut self,
        now: TimestampMs,
        command: &command::Hold,
        content: Content,
        cart: Cart,
        deadline: TimestampMs,
    ) -> Result<Answer, Reject> {
        if let Some(known) = self.holds.get(&command.hold_id) {
            return self.answer_again(known, &content);
        }
        self.check_hold_age(now, command.hold_id)?;
        if now >= deadline {
            return Err(expired());
        }
        let hold = self.judge(now, command)?;
        let hold = Hold {
            content,
            state: HoldState::Paying,
            expires_at: deadline,
            payment: Some(Payment { attempt_id: None, deadline }),
            cart: Some(cart),
            ..hold
        };
        self.holds.insert(hold.id, hold);
        Ok(self.answer(command.hold_id, false))
    }

    fn decide(&mut self, now: TimestampMs, cart_id: HoldId, verdict: &Verdict) -> Result<Answer, Reject> {
        let first = self.first_part(cart_id)?;
        // What was decided before counts.
        // What was decided before counts. A buyer who asked for it hears how it ended, others whether it is sold.
        if !first.is_live() {
            let is_refused = match verdict {
                Verdict::Sell(_) => first.verdict().as_ref() != Some(verdict),
                Verdict::Cancel(CartEnd::Requested) => first.state != HoldState::Released,
                Verdict::Cancel(_) => first.state == HoldState::Confirmed,
            };
            return if is_refused { Err(ended(first)) } else { Ok(self.answer(cart_id, true)) };
        }
        if matches!(verdict, Verdict::Sell(_)) {
            self.check_may_sell(now, first)?;
        }
        self.end_part(now, cart_id, verdict);
        Ok(self.answer(cart_id, false))
    }

    /// Whatever the time and the state of the event: it was decided.
    fn apply(&mut self, now: TimestampMs, name: PartName, verdict: &Verdict) -> Result<Answer, Reject> {
        let part = self.part(name)?;
        // Told once more how it ended, whatever the cause and the order; it never ends in the other way.
        if !part.is_live() {
            let is_so = matches!(verdict, Verdict::Sell(_)) == (part.state == HoldState::Confirmed);
            return if is_so { Ok(self.answer(part.id, true)) } else { Err(ended(part)) };
        }
        self.end_part(now, name.cart_id, verdict);
        if *verdict == Verdict::Cancel(CartEnd::Refused) {
            self.holds.remove(&name.cart_id);
            return Ok(Answer::Event { replayed: false });
        }
        Ok(self.answer(name.cart_id, false))
    }

    fn settle(&mut self, now: TimestampMs, cart_id: HoldId) -> Result<Answer, Reject> {
        let first = self.first_part(cart_id)?;
        // Nothing is to be let go of what is not decided, or let go.
        if !first.is_unsettled() {
            return Ok(self.answer(cart_id, true));
        }
        if first.cause == HoldCause::CartRefused {
            self.holds.remove(&cart_id);
        } else if let Some(Cart::First { is_settled, .. }) = &mut self.hold_mut(cart_id).cart {
            *is_settled = true;
        }
        // Its time may have passed meanwhile.
        self.forget(now);
        Ok(Answer::Event { replayed: false })
    }

    /// At its deadline a first part decides. Other parts wait.
    pub(crate) fn end_carts_due(&mut self, now: TimestampMs) {
        let is_due = |hold: &&Hold| hold.is_first() && hold.is_live() && now >= hold.deadline();
        let due: Vec<HoldId> = self.holds.values().filter(is_due).map(|hold| hold.id).collect();
        due.into_iter().for_each(|id| self.end_part(now, id, &Verdict::Cancel(CartEnd::Deadline)));
    }

    fn end_part(&mut self, now: TimestampMs, id: HoldId, verdict: &Verdict) {
        let window_ms = self.settings.policies.retry_window_ms();
        if let Verdict::Cancel(end) = verdict
            && end.ends().0 == HoldState::Expired
        {
            // It expired like any other hold: its places rest.
            self.resting.begin(now, &self.holds[&id], self.settings.policies.cooling_s_max);
        }
        let part = self.hold_mut(id);
        match verdict {
            Verdict::Sell(order) => sell(part, order),
            Verdict::Cancel(_) => part.free_held(),
        }
        let (state, cause) = match verdict {
            Verdict::Sell(_) => (HoldState::Confirmed, HoldCause::Requested),
            Verdict::Cancel(end) => end.ends(),
        };
        part.end(now, state, cause, window_ms);
    }

    // ---- Looking ----

    pub(crate) fn unsettled(&self, key: EventKey) -> Vec<Decided> {
        let decided = |hold: &Hold| match &hold.cart {
            Some(Cart::First { others, .. }) if hold.is_unsettled() => {
                let (verdict, others) = (hold.verdict()?, others.clone());
                Some(Decided { event: key, cart_id: hold.id, verdict, others })
            }
            _ => None,
        };
        self.holds.values().filter_map(decided).collect()
    }

    fn first_part(&self, cart_id: HoldId) -> Result<&Hold, Reject> {
        self.holds.get(&cart_id).filter(|hold| hold.is_first()).ok_or(Reject::HoldNotFound)
    }

    fn part(&self, name: PartName) -> Result<&Hold, Reject> {
        self.holds.get(&name.cart_id).filter(|hold| hold.is_part_of(name.first)).ok_or(Reject::HoldNotFound)
    }

    fn check_may_sell(&self, now: TimestampMs, first: &Hold) -> Result<(), Reject> {
        self.check_not_cancelled()?;
        if now < first.deadline() { Ok(()) } else { Err(expired()) }
    }

    fn check_not_cancelled(&self) -> Result<(), Reject> {
        if self.settings.state == EventState::Cancelled { Err(Reject::EventCancelled) } else { Ok(()) }
    }
}

/// All that it holds, to the cart's one order; no attempt paid for it.
fn sell(part: &mut Hold, order: &OrderRef) {
    part.sell_held(order);
    part.note_order(order);
}
