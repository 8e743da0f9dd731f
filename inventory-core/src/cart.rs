//! Carts over several events: one hold in each of 2 to 16 events, all sold or none (ADR-0034).
//!
//! Invariants:
//!
//! - C1. The decision is the state of the first part: paying is undecided, confirmed is sell, anything else is cancel.
//!   Nothing else records it.
//! - C2. A part of another event never ends by time: [`Slot::take_due_parts`] says which ones must ask.
//! - C3. A first part that has decided and is not settled is no tombstone: neither time nor a floor forgets it.
//!
//! Here each command is of one event. Not here: who sends which of them when, and again (crate `engine`).

use alloc::{boxed::Box, collections::BTreeSet, vec::Vec};

use crate::{
    change::{Change, Confirmed, Held, HoldCause, HoldState, HoldView},
    command::{Hold, Remainder},
    decide::check_ttl,
    digest::Hasher,
    event::Event,
    expiry::NO_BUCKET,
    hold::Entry,
    ids::{EventKey, EventNumber, HoldId, OrderRef, TimestampMs},
    limits::{CART_EVENTS_MAX, CART_EVENTS_MIN, PAID_TOMBSTONE_MS},
    place::{Admissions, Move, SeatIndexes},
    policy::EventState,
    reject::{Field, Reject},
    slot::{Decision, Slot},
};

/// What a part is to its cart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cart {
    /// It decides.
    First {
        /// The other events, in the order they were named.
        others: Vec<EventKey>,
        /// Every other event has said that it has applied the decision.
        is_settled: bool,
    },
    /// It waits for the decision.
    Part {
        /// The event of the first part.
        first: EventKey,
    },
}

/// A hold in each of several events, all or nothing. Sent to the first of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldMany {
    /// Name of the cart and of each of its holds.
    pub cart_id: HoldId,
    /// Life in milliseconds; 0: the payment grace of the first event.
    pub ttl_ms: u32,
    /// What to hold in which event. Each has the id of the cart, replaces nothing and has no TTL of its own.
    pub parts: Vec<(EventKey, Hold)>,
}

/// All parts of a cart become sales of one order. Sent to its first event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfirmMany {
    /// Which cart.
    pub cart_id: HoldId,
    /// The order.
    pub order: OrderRef,
}

/// What one event of a cart asks of another, or of itself. None comes from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CartStep {
    /// To another event: make its part, as a hold of its own.
    Prepare(Box<PrepareCart>),
    /// To another event: is its part there, undecided? Changes nothing.
    AskPart(PartName),
    /// To the first event: what has it decided? Changes nothing.
    AskFirst {
        /// Which cart.
        cart_id: HoldId,
        /// The event whose part asks.
        part: EventKey,
    },
    /// In the first event: decide.
    Decide {
        /// Which cart.
        cart_id: HoldId,
        /// How.
        verdict: Verdict,
    },
    /// To another event: this was decided.
    Apply {
        /// Which part.
        part: PartName,
        /// What was decided.
        verdict: Verdict,
    },
    /// In the first event: all others have applied the decision.
    Settle(HoldId),
}

/// The part of another event than the first. Two carts with one id and other first events are two carts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartName {
    /// Which cart.
    pub cart_id: HoldId,
    /// Its first event.
    pub first: EventKey,
}

/// Make a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrepareCart {
    /// The places. Its id is the cart's.
    pub hold: Hold,
    /// The first event.
    pub first: EventKey,
    /// The cart's deadline.
    pub deadline: TimestampMs,
}

/// What a first part has decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All parts are sold to this order.
    Sell(OrderRef),
    /// All parts are given back.
    Cancel(CartEnd),
}

/// Why a cart was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum CartEnd {
    /// By a call.
    Requested = 1,
    /// By time.
    Deadline = 2,
    /// An event would not make its part. No event remembers such a cart.
    Refused = 3,
    /// An event does not have its part, or the first one does not know the cart.
    Missing = 4,
    /// One of its events is cancelled.
    EventCancelled = 5,
}

impl CartEnd {
    /// The cause with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Requested),
            2 => Some(Self::Deadline),
            3 => Some(Self::Refused),
            4 => Some(Self::Missing),
            5 => Some(Self::EventCancelled),
            _ => None,
        }
    }

    /// How a hold ends by it.
    #[must_use]
    pub const fn ends(self) -> (HoldState, HoldCause) {
        match self {
            Self::Requested => (HoldState::Released, HoldCause::Requested),
            Self::Deadline => (HoldState::Expired, HoldCause::Deadline),
            Self::Refused => (HoldState::Released, HoldCause::CartRefused),
            Self::Missing => (HoldState::Expired, HoldCause::PartMissing),
            Self::EventCancelled => (HoldState::Released, HoldCause::Cancelled),
        }
    }

    const fn of(cause: HoldCause) -> Self {
        match cause {
            HoldCause::Deadline => Self::Deadline,
            HoldCause::CartRefused => Self::Refused,
            HoldCause::Cancelled => Self::EventCancelled,
            HoldCause::Requested => Self::Requested,
            HoldCause::PartMissing | HoldCause::None | HoldCause::Replaced | HoldCause::Killed => Self::Missing,
        }
    }
}

/// A part of a cart was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CartHeld {
    /// The hold. Its deadline is the cart's.
    pub held: Held,
    /// What it is to its cart.
    pub cart: Cart,
}

/// A part of a cart was sold, all of it. The first part's is the decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CartConfirmed {
    /// Which cart.
    pub cart_id: HoldId,
    /// The order.
    pub order: OrderRef,
}

/// A part of a cart was given back. The first part's is the decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CartReleased {
    /// Which cart.
    pub cart_id: HoldId,
    /// Why.
    pub cause: CartEnd,
}

/// A part whose deadline has come, and which must ask its first event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DuePart {
    /// Its event.
    pub event: EventKey,
    /// Which part.
    pub part: PartName,
}

/// A first part that has decided, and what it decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// Its event.
    pub event: EventKey,
    /// Which cart.
    pub cart_id: HoldId,
    /// What was decided.
    pub verdict: Verdict,
    /// The other events, in the order they were named.
    pub others: Vec<EventKey>,
}

impl HoldMany {
    /// Check what needs no state: 2 to 16 different events, each with a hold that is one of a cart.
    ///
    /// # Errors
    /// The first refusal, naming the field.
    pub fn check(&self) -> Result<(), Reject> {
        check_ttl(self.ttl_ms)?;
        if !(CART_EVENTS_MIN..=CART_EVENTS_MAX).contains(&self.parts.len()) {
            return Err(Reject::invalid(Field::Parts, "must be 2 to 16"));
        }
        for (at, (key, hold)) in self.parts.iter().enumerate() {
            if self.parts[..at].iter().any(|(other, _)| other == key) {
                return Err(Reject::invalid(Field::Parts, "must be of different events"));
            }
            if hold.hold_id != self.cart_id || hold.replace.is_some() || hold.ttl_ms != 0 {
                return Err(Reject::invalid(
                    Field::Parts,
                    "must have the id of the cart, no ttl and nothing to replace",
                ));
            }
            hold.check()?;
        }
        Ok(())
    }

    /// Hash of the content: equal for two sendings of one command. The order of the events matters.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = Hasher::new(40);
        hasher.word(u64::from(self.ttl_ms) | (self.parts.len() as u64) << 32);
        for (key, hold) in &self.parts {
            hasher.word(key.0);
            hasher.word(hold.fingerprint());
        }
        hasher.finish()
    }
}

impl CartStep {
    /// Hash of the content.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = Hasher::new(42);
        match self {
            Self::Prepare(prepare) => {
                hasher.wide(prepare.hold.hold_id.0);
                hasher.word(prepare.fingerprint());
            }
            Self::AskPart(name) => name.hash_into(&mut hasher),
            Self::AskFirst { cart_id, part } => {
                hasher.wide(cart_id.0);
                hasher.word(part.0 ^ 1);
            }
            Self::Decide { cart_id, verdict } => {
                hasher.wide(cart_id.0);
                verdict.hash_into(&mut hasher);
            }
            Self::Apply { part, verdict } => {
                part.hash_into(&mut hasher);
                verdict.hash_into(&mut hasher);
            }
            Self::Settle(cart_id) => hasher.wide(cart_id.0),
        }
        hasher.finish()
    }
}

impl PartName {
    fn hash_into(self, hasher: &mut Hasher) {
        hasher.wide(self.cart_id.0);
        hasher.word(self.first.0);
    }
}

impl Verdict {
    fn hash_into(&self, hasher: &mut Hasher) {
        match self {
            Self::Sell(order) => hasher.bytes(order.as_str().as_bytes()),
            Self::Cancel(cause) => hasher.word(*cause as u64),
        }
    }
}

impl PrepareCart {
    /// Hash of the content: equal for two sendings of one command.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = Hasher::new(41);
        hasher.word(self.first.0);
        hasher.word(self.hold.fingerprint());
        hasher.finish()
    }
}

/// In the bucket of a part that has taken itself out of the wheel of deadlines, to ask.
pub(crate) const ASKING: u16 = NO_BUCKET - 1;
/// How long a part waits before it asks again.
const ASK_AGAIN_MS: u64 = 1_000;

/// Parts past their deadline, by entry, with the time at which each asks next. No part of the state: an image and a replay
/// find them again when their deadline is looked at.
#[derive(Debug, Default)]
pub(crate) struct Asking {
    parts: alloc::collections::BTreeMap<u32, TimestampMs>,
    /// No part asks before; may be early.
    next: Option<TimestampMs>,
}

impl Asking {
    pub(crate) fn next(&self) -> Option<TimestampMs> {
        self.next
    }

    fn add(&mut self, at: u32, ask_at: TimestampMs) {
        self.parts.insert(at, ask_at);
        self.next = Some(self.next.map_or(ask_at, |next| next.min(ask_at)));
    }
}

impl Cart {
    /// Takes it in.
    pub(crate) fn hash_into(&self, hasher: &mut Hasher) {
        match self {
            Cart::First { others, is_settled } => {
                hasher.word(1 | u64::from(*is_settled) << 8 | (others.len() as u64) << 16);
                others.iter().for_each(|key| hasher.word(key.0));
            }
            Cart::Part { first } => {
                hasher.word(2);
                hasher.word(first.0);
            }
        }
    }
}

impl Entry {
    /// Whether it is a part of a cart that is not decided, as far as this event knows.
    pub(crate) fn is_open_cart(&self) -> bool {
        self.is_live() && self.cart().is_some()
    }

    /// Whether it is a first part that has decided, while another event may not know how.
    pub(crate) fn is_unsettled(&self) -> bool {
        !self.is_live() && matches!(self.cart(), Some(Cart::First { is_settled: false, .. }))
    }

    /// Whether it is the part of this cart.
    fn is_part_of(&self, name: PartName) -> bool {
        matches!(self.cart(), Some(Cart::Part { first }) if *first == name.first)
    }

    /// What the first part has decided; nothing when it has not.
    fn verdict(&self) -> Option<Verdict> {
        verdict_of(self.state(), self.cause(), self.orders().next())
    }
}

impl HoldView {
    /// What the first part of a cart has decided; nothing when it has not.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        verdict_of(self.state, self.cause, self.orders.first())
    }
}

/// A part is sold once, whole: the first of its orders is the cart's.
fn verdict_of(state: HoldState, cause: HoldCause, order: Option<&OrderRef>) -> Option<Verdict> {
    match state {
        HoldState::Active | HoldState::Paying => None,
        HoldState::Confirmed => order.cloned().map(Verdict::Sell),
        HoldState::Released | HoldState::Expired => Some(Verdict::Cancel(CartEnd::of(cause))),
    }
}

/// A command on one hold must leave an undecided part alone, also past its deadline.
pub(crate) fn not_in_open_cart(entry: &Entry) -> Result<(), Reject> {
    if entry.is_open_cart() { Err(Reject::PaymentInProgress) } else { Ok(()) }
}

/// Why a part of a cart that has ended is refused.
fn ended(entry: &Entry, executed: bool) -> Reject {
    match entry.state() {
        HoldState::Confirmed => Reject::HoldAlreadyConfirmed { executed },
        HoldState::Released => Reject::HoldReleased { executed },
        HoldState::Active | HoldState::Paying | HoldState::Expired => {
            Reject::HoldExpired { executed, places_lost: Vec::new() }
        }
    }
}

impl Slot {
    pub(crate) fn decide_hold_many(
        &self,
        now: TimestampMs,
        event: &Event,
        many: &HoldMany,
    ) -> Result<Decision, Reject> {
        let fingerprint = many.fingerprint();
        if let Some(entry) = self.remembered(now, event, many.cart_id) {
            if entry.fingerprint != fingerprint {
                return Err(Reject::HoldIdReused);
            }
            let lives = entry.is_open_cart() && now < entry.until;
            return if lives { Ok(self.known(event, entry, true)) } else { Err(ended(entry, true)) };
        }
        self.judge_age(now, event, many.cart_id.time())?;
        let grace_ms = u64::from(event.settings.policies.payment_grace_s) * 1_000;
        let ttl_ms = if many.ttl_ms == 0 { grace_ms } else { u64::from(many.ttl_ms) };
        let others = many.parts[1..].iter().map(|(key, _)| *key).collect();
        let cart = Cart::First { others, is_settled: false };
        self.make_part(now, event, &many.parts[0].1, fingerprint, now.plus_ms(ttl_ms), cart)
    }

    fn decide_prepare(&self, now: TimestampMs, event: &Event, prepare: &PrepareCart) -> Result<Decision, Reject> {
        let fingerprint = prepare.fingerprint();
        if let Some(entry) = self.remembered(now, event, prepare.hold.hold_id) {
            if entry.fingerprint != fingerprint {
                return Err(Reject::HoldIdReused);
            }
            let lives = entry.is_open_cart();
            return if lives { Ok(self.known(event, entry, true)) } else { Err(ended(entry, true)) };
        }
        self.judge_age(now, event, prepare.hold.hold_id.time())?;
        if now >= prepare.deadline {
            return Err(Reject::HoldExpired { executed: false, places_lost: Vec::new() });
        }
        let cart = Cart::Part { first: prepare.first };
        self.make_part(now, event, &prepare.hold, fingerprint, prepare.deadline, cart)
    }

    /// Judges a part as a hold of its own.
    fn make_part(
        &self,
        now: TimestampMs,
        event: &Event,
        hold: &Hold,
        fingerprint: u64,
        deadline: TimestampMs,
        cart: Cart,
    ) -> Result<Decision, Reject> {
        let held = self.judge_memory(now, self.take(now, event, hold)?)?;
        let held = Held { fingerprint, expires_at: deadline, ..held };
        Ok(Decision::Change(event.number, Change::CartHeld(Box::new(CartHeld { held, cart }))))
    }

    /// The first part of a cart.
    fn first_part(&self, now: TimestampMs, event: &Event, cart_id: HoldId) -> Result<&Entry, Reject> {
        let entry = self.remembered(now, event, cart_id).ok_or(Reject::HoldNotFound)?;
        if matches!(entry.cart(), Some(Cart::First { .. })) { Ok(entry) } else { Err(Reject::HoldNotFound) }
    }

    /// Whether a cart may be sold as far as its first event knows. Changes nothing.
    pub(crate) fn decide_confirm_many(
        &self,
        now: TimestampMs,
        event: &Event,
        confirm: &ConfirmMany,
    ) -> Result<Decision, Reject> {
        let entry = self.first_part(now, event, confirm.cart_id)?;
        if entry.verdict() == Some(Verdict::Sell(confirm.order.clone())) {
            return Ok(self.known(event, entry, true));
        }
        if !entry.is_open_cart() || now >= entry.until {
            return Err(ended(entry, false));
        }
        if event.settings.state == EventState::Cancelled {
            return Err(Reject::EventCancelled);
        }
        Ok(self.known(event, entry, false))
    }

    /// Whether a cart may be given back. Changes nothing.
    pub(crate) fn decide_release_many(
        &self,
        now: TimestampMs,
        event: &Event,
        cart_id: HoldId,
    ) -> Result<Decision, Reject> {
        let entry = self.first_part(now, event, cart_id)?;
        match entry.state() {
            HoldState::Released => Ok(self.known(event, entry, true)),
            HoldState::Paying if now < entry.until => Ok(self.known(event, entry, false)),
            _ => Err(ended(entry, false)),
        }
    }

    pub(crate) fn decide_cart_step(
        &self,
        now: TimestampMs,
        event: &Event,
        step: &CartStep,
    ) -> Result<Decision, Reject> {
        match step {
            CartStep::Prepare(prepare) => self.decide_prepare(now, event, prepare),
            CartStep::AskPart(name) => {
                let entry = self.remembered(now, event, name.cart_id).filter(|entry| entry.is_part_of(*name));
                let entry = entry.ok_or(Reject::HoldNotFound)?;
                if !entry.is_open_cart() {
                    return Err(ended(entry, false));
                }
                if event.settings.state == EventState::Cancelled {
                    return Err(Reject::EventCancelled);
                }
                Ok(self.known(event, entry, false))
            }
            CartStep::AskFirst { cart_id, part } => {
                let is_its =
                    |entry: &&Entry| matches!(entry.cart(), Some(Cart::First { others, .. }) if others.contains(part));
                let entry = self.remembered(now, event, *cart_id).filter(is_its);
                let verdict = entry.map_or(Some(Verdict::Cancel(CartEnd::Missing)), Entry::verdict);
                Ok(Decision::Verdict { event: event.number, verdict })
            }
            CartStep::Decide { cart_id, verdict } => self.decide_verdict(now, event, *cart_id, verdict),
            CartStep::Apply { part, verdict } => {
                let entry = self.remembered(now, event, part.cart_id).filter(|entry| entry.is_part_of(*part));
                let entry = entry.ok_or(Reject::HoldNotFound)?;
                if entry.is_open_cart() {
                    return Ok(Decision::Change(event.number, change_of(part.cart_id, verdict)));
                }
                if matches!(verdict, Verdict::Sell(_)) == (entry.state() == HoldState::Confirmed) {
                    Ok(self.known(event, entry, true))
                } else {
                    Err(ended(entry, false))
                }
            }
            CartStep::Settle(cart_id) => {
                let entry = self.first_part(now, event, *cart_id)?;
                if entry.is_unsettled() {
                    Ok(Decision::Change(event.number, Change::CartSettled(*cart_id)))
                } else {
                    Ok(self.known(event, entry, true))
                }
            }
        }
    }

    fn decide_verdict(
        &self,
        now: TimestampMs,
        event: &Event,
        cart_id: HoldId,
        verdict: &Verdict,
    ) -> Result<Decision, Reject> {
        let before = match verdict {
            Verdict::Sell(order) => {
                let confirm = ConfirmMany { cart_id, order: order.clone() };
                self.decide_confirm_many(now, event, &confirm)?
            }
            Verdict::Cancel(CartEnd::Requested) => self.decide_release_many(now, event, cart_id)?,
            Verdict::Cancel(_) => {
                let entry = self.first_part(now, event, cart_id)?;
                if entry.state() == HoldState::Confirmed {
                    return Err(ended(entry, false));
                }
                self.known(event, entry, !entry.is_live())
            }
        };
        match before {
            Decision::Hold { replayed: false, .. } => Ok(Decision::Change(event.number, change_of(cart_id, verdict))),
            before => Ok(before),
        }
    }

    /// The change that ends a cart's part whose deadline has come: the first part decides. A part of another event is
    /// taken out of the wheel, to ask, and there is no change; `None` also for a hold of no cart.
    pub(crate) fn decide_due_cart(&mut self, at: u32, now: TimestampMs) -> DueCart {
        let entry = &self.holds[at];
        match entry.cart() {
            Some(Cart::First { .. }) => {
                DueCart::Decides(change_of(entry.hold_id(), &Verdict::Cancel(CartEnd::Deadline)))
            }
            Some(Cart::Part { .. }) => {
                self.deadlines.remove(&mut self.holds, at);
                self.holds[at].bucket = ASKING;
                self.asking.add(at, now);
                DueCart::Asks
            }
            None => DueCart::Hold,
        }
    }

    /// Parts that must ask their first event now. The same part is not given again for a second.
    pub fn take_due_parts(&mut self, now: TimestampMs) -> Vec<DuePart> {
        if self.asking.next.is_none_or(|next| next > now) {
            return Vec::new();
        }
        let mut asking: Vec<u32> = Vec::new();
        for (&at, ask_at) in self.asking.parts.iter_mut().filter(|(_, ask_at)| **ask_at <= now) {
            *ask_at = now.plus_ms(ASK_AGAIN_MS);
            asking.push(at);
        }
        let due_part = |at: u32| {
            let entry = &self.holds[at];
            let Some(Cart::Part { first }) = entry.cart() else { unreachable!("only a part of a cart asks") };
            let event = self.event(entry.event).expect("a hold is of an event that is there").key;
            DuePart { event, part: PartName { cart_id: entry.hold_id(), first: *first } }
        };
        let due = asking.into_iter().map(due_part).collect();
        self.asking.next = self.asking.parts.values().min().copied();
        due
    }

    /// Every first part that has decided and is not settled: who starts must tell the others.
    #[must_use]
    pub fn unsettled(&self) -> Vec<Decided> {
        let mut all: Vec<Decided> = self
            .holds
            .iter()
            .filter(|(_, entry)| entry.is_unsettled())
            .filter_map(|(_, entry)| self.decided_of(entry))
            .collect();
        all.sort_unstable_by_key(|decided| (decided.event, decided.cart_id));
        all
    }

    /// What the first part of a cart has decided, while it is not settled.
    #[must_use]
    pub fn decided(&self, key: EventKey, cart_id: HoldId) -> Option<Decided> {
        let entry = &self.holds[self.holds.find(self.find(key)?, cart_id)?];
        if entry.is_unsettled() { self.decided_of(entry) } else { None }
    }

    fn decided_of(&self, entry: &Entry) -> Option<Decided> {
        let Some(Cart::First { others, .. }) = entry.cart() else { return None };
        let event = self.event(entry.event).expect("a hold is of an event that is there").key;
        Some(Decided { event, cart_id: entry.hold_id(), verdict: entry.verdict()?, others: others.clone() })
    }

    /// Takes a live hold out of the deadlines, wherever it waits.
    pub(crate) fn take_out_deadline(&mut self, at: u32) {
        if self.holds[at].bucket == ASKING {
            self.asking.parts.remove(&at);
            self.holds[at].bucket = NO_BUCKET;
        } else {
            self.deadlines.remove(&mut self.holds, at);
        }
    }

    pub(crate) fn hold_part(
        &mut self,
        now: TimestampMs,
        number: EventNumber,
        part: &CartHeld,
        moves: &mut Option<&mut Vec<Move>>,
    ) {
        self.hold(now, number, &part.held, moves);
        let at = self.live(number, part.held.hold_id);
        let entry = &mut self.holds[at];
        let before = entry.hash();
        entry.set_state(HoldState::Paying, HoldCause::None);
        entry.set_cart(Some(part.cart.clone()));
        let after = entry.hash();
        self.event_mut(number).hash ^= before ^ after;
    }

    pub(crate) fn confirm_part(
        &mut self,
        now: TimestampMs,
        number: EventNumber,
        part: &CartConfirmed,
        moves: &mut Option<&mut Vec<Move>>,
    ) {
        let confirmed = Confirmed {
            hold_id: part.cart_id,
            request: None,
            order: part.order.clone(),
            seats: SeatIndexes::new(),
            admissions: Admissions::new(),
            remainder: Remainder::Keep,
            reclaimed: false,
            attempt_id: None,
            expires_at: None,
        };
        self.confirm(now, number, &confirmed, moves);
    }

    pub(crate) fn release_part(
        &mut self,
        now: TimestampMs,
        number: EventNumber,
        part: CartReleased,
        moves: &mut Option<&mut Vec<Move>>,
    ) {
        let at = self.live(number, part.cart_id);
        let (state, cause) = part.cause.ends();
        self.end(now, at, state, cause, moves);
        if part.cause == CartEnd::Refused && self.holds[at].is_tombstone() {
            // The same id is judged afresh.
            self.forget(at);
        }
    }

    /// Nobody needs the decision of a first part any more.
    pub(crate) fn settle(&mut self, now: TimestampMs, number: EventNumber, cart_id: HoldId) {
        let at = self.holds.find(number, cart_id).expect("a cart that is settled is remembered");
        let entry = &mut self.holds[at];
        let before = entry.hash();
        let Some(Cart::First { others, is_settled: false }) = entry.cart().cloned() else {
            panic!("cart {cart_id:?} is settled once");
        };
        assert!(!entry.is_live(), "a cart is decided before it is settled");
        entry.set_cart(Some(Cart::First { others, is_settled: true }));
        if entry.state() == HoldState::Confirmed && !entry.has_sold() {
            // All of it came back meanwhile.
            entry.set_words(&[], &[]);
        }
        let after = entry.hash();
        let is_tombstone = entry.is_tombstone();
        let forget_at = entry.ended_at.max(entry.hold_id().time()).plus_ms(PAID_TOMBSTONE_MS);
        let is_over = entry.cause() == HoldCause::CartRefused || forget_at <= now;
        self.event_mut(number).hash ^= before ^ after;
        if !is_tombstone {
            return;
        }
        if is_over {
            self.holds.remove(at);
            return;
        }
        self.holds[at].until = forget_at;
        self.forgetting.insert(&mut self.holds, at, forget_at);
        self.tombstones += 1;
        self.event_mut(number).tombstones += 1;
    }

    /// Walks the carts and panics on a contradiction.
    pub(crate) fn assert_carts_valid(&self) {
        let mut asking = BTreeSet::new();
        for (at, entry) in self.holds.iter() {
            if entry.bucket == ASKING {
                assert!(entry.is_open_cart(), "only an undecided part asks");
                asking.insert(at);
            }
            let is_open = entry.is_open_cart();
            assert!(!is_open || entry.state() == HoldState::Paying, "an undecided part is paying");
            assert!(entry.cart().is_none() || entry.open_attempt().is_none(), "a part has no payment of its own");
            let unsettled = entry.is_unsettled();
            assert!(!unsettled || entry.bucket == NO_BUCKET, "an unsettled part is in no wheel");
            if let Some(Cart::First { is_settled: true, .. }) = entry.cart() {
                assert!(!entry.is_live(), "a settled cart is decided");
            }
        }
        assert!(asking.iter().copied().eq(self.asking.parts.keys().copied()), "who asks is known");
    }
}

/// What is to be done about an entry whose deadline has come.
pub(crate) enum DueCart {
    /// It is a hold of no cart.
    Hold,
    /// It is a first part.
    Decides(Change),
    /// It is another part and asks.
    Asks,
}

fn change_of(cart_id: HoldId, verdict: &Verdict) -> Change {
    match verdict {
        Verdict::Sell(order) => Change::CartConfirmed(Box::new(CartConfirmed { cart_id, order: order.clone() })),
        Verdict::Cancel(cause) => Change::CartReleased(CartReleased { cart_id, cause: *cause }),
    }
}
