//! What a caller may ask of an event, already parsed: shapes and bounds that need no state have
//! been checked where the outside became a domain type (`check` functions here say which).
//!
//! Not here: wire types, texts of refusals, customers' names (only their keys).

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use crate::{
    allocation::{AllocationKeys, RemoveAllocation, SetAllocation},
    cart::{CartStep, ConfirmMany, HoldMany},
    digest::Hasher,
    direct_sale::SellDirect,
    giving_back::{Exchange, ReturnPlaces},
    ids::{CustomerKey, EventId, EventKey, HoldId, OrderRef, RequestId, TimestampMs},
    kill::{Kill, Unkill},
    limits::{PLACES_PER_HOLD_MAX, PLAN_TEXT_BYTES_MAX},
    order::List,
    place::{Admission, Admissions, SeatIndexes},
    plan::Plan,
    policy::{EventState, LevelLimit, Settings, SharedQuota},
    price_level::SetPriceLevel,
    reject::{Field, Reject},
    retire::RetireEvent,
};

/// Names that one filter of best available may list: the shard looks each of them up.
const NAMES_MAX: usize = 64;

/// One command on one event.
#[derive(Clone, Debug)]
pub enum Command {
    /// open -> held.
    Hold(Box<Hold>),
    /// A later deadline.
    Extend(Extend),
    /// held -> sold.
    Confirm(Box<Confirm>),
    /// held -> open.
    Release(Box<Release>),
    /// active -> paying.
    BeginPayment(BeginPayment),
    /// paying -> active.
    EndPayment(EndPayment),
    /// Read one hold. Changes nothing.
    GetHold(HoldId),
    /// Ways to seat a party. Changes nothing.
    Suggest(Box<Suggest>),
    /// What this hold would do. Changes nothing.
    Explain(Box<Hold>),
    /// open -> sold.
    SellDirect(Box<SellDirect>),
    /// sold -> open, or killed.
    ReturnPlaces(Box<ReturnPlaces>),
    /// Some sold places for others.
    Exchange(Box<Exchange>),
    /// What is sold to an order. Changes nothing.
    GetOrder(OrderRef),
    /// A page of holds or orders. Changes nothing.
    List(List),
    /// open -> killed.
    Kill(Box<Kill>),
    /// killed -> open.
    Unkill(Box<Unkill>),
    /// Places are set aside.
    SetAllocation(Box<SetAllocation>),
    /// Places are set aside no longer.
    RemoveAllocation(Box<RemoveAllocation>),
    /// Another price level for open places.
    SetPriceLevel(Box<SetPriceLevel>),
    /// All allocations. Changes nothing.
    ListAllocations,
    /// open -> held in several events: a cart. Sent to the first of them.
    HoldMany(Box<HoldMany>),
    /// held -> sold, all of a cart.
    ConfirmMany(Box<ConfirmMany>),
    /// held -> open, all of a cart.
    ReleaseMany(HoldId),
    /// What the events of a cart ask of each other.
    Cart(CartStep),
    /// A new event.
    CreateEvent(Box<CreateEvent>),
    /// Policies, windows, state, plan.
    UpdateEvent(Box<UpdateEvent>),
    /// Out of memory.
    RetireEvent(RetireEvent),
}

/// Take places for a limited time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Name of the hold.
    pub hold_id: HoldId,
    /// Seats by index in the plan revision `plan_revision`.
    pub seats: SeatIndexes,
    /// Seats by key. Both lists together are the explicit picks, indexes first.
    pub seat_keys: Vec<Box<str>>,
    /// Admissions to areas.
    pub admissions: Vec<AdmissionWanted>,
    /// Seats that the server chooses.
    pub best: Option<BestAvailable>,
    /// Kind of buyer for each seat: empty, or one for each (explicit in request order, then chosen
    /// in plan order).
    pub ticket_types: Vec<u8>,
    /// For whom, when limits by customer matter.
    pub customer: CustomerKey,
    /// Life in milliseconds; 0: the event's default.
    pub ttl_ms: u32,
    /// The live hold that this one takes the place of.
    pub replace: Option<HoldId>,
    /// Plan revision the seat indexes were read at; 0: the first, while there is no other.
    pub plan_revision: u32,
    /// Allocations that it may take from.
    pub allocations: AllocationKeys,
}

/// Admissions to one area.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmissionWanted {
    /// Which area.
    pub area: AreaName,
    /// How many, 1 to 64.
    pub quantity: u8,
    /// Content with as few as this; 0: all or nothing.
    pub quantity_min: u8,
    /// Kind of buyer.
    pub ticket_type: u8,
}

/// An area, as the caller named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AreaName {
    /// By index in the plan revision of the command.
    Index(u16),
    /// By key.
    Key(Box<str>),
}

/// Seats for the server to choose.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct BestAvailable {
    /// How many, 1 to 64.
    pub quantity: u8,
    /// Only these price levels, by name; empty: any.
    pub price_levels: Vec<Box<str>>,
    /// Only these sections, by key; empty: any.
    pub sections: Vec<Box<str>>,
    /// Only this zone, by key.
    pub zone: Option<Box<str>>,
    /// Exactly so many accessible seats among them.
    pub accessible_count: u8,
    /// Only adjacent seats of one row (rungs 1 and 2).
    pub contiguous_only: bool,
    /// No general admission instead (rung 4).
    pub seats_only: bool,
}

/// Options that one suggestion may ask for.
const OPTIONS_MAX: u8 = 10;

/// Ask for ways to seat a party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggest {
    /// The party, and what it accepts.
    pub best: BestAvailable,
    /// So many ways at most, 1 to 10.
    pub options_max: u8,
    /// Plan revision the caller knows; 0: any.
    pub plan_revision: u32,
    /// Allocations that are searched.
    pub allocations: AllocationKeys,
}

impl Suggest {
    /// Hash of the content.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = Hasher::new(13);
        self.best.hash_into(&mut hasher);
        hasher.word(u64::from(self.options_max) | u64::from(self.plan_revision) << 32);
        self.allocations.hash_into(&mut hasher);
        hasher.finish()
    }

    /// Check what needs no state.
    ///
    /// # Errors
    /// The first refusal, naming the field.
    pub fn check(&self) -> Result<(), Reject> {
        if !(1..=OPTIONS_MAX).contains(&self.options_max) {
            return Err(Reject::invalid(Field::Options, "must be 1 to 10"));
        }
        self.allocations.check()?;
        self.best.check()?;
        if usize::from(self.best.quantity) > PLACES_PER_HOLD_MAX {
            return Err(Reject::TooManyPlaces { places_max: PLACES_PER_HOLD_MAX as u32 });
        }
        Ok(())
    }
}

impl BestAvailable {
    fn hash_into(&self, hasher: &mut Hasher) {
        hasher.word(
            u64::from(self.quantity)
                | u64::from(self.accessible_count) << 8
                | u64::from(self.contiguous_only) << 16
                | u64::from(self.seats_only) << 17
                | 1 << 25,
        );
        for list in [&self.price_levels, &self.sections] {
            hasher.word(list.len() as u64);
            list.iter().for_each(|text| hasher.bytes(text.as_bytes()));
        }
        hasher.bytes(self.zone.as_deref().unwrap_or("").as_bytes());
    }

    /// Check what needs no state.
    ///
    /// # Errors
    /// The first refusal, naming the field.
    fn check(&self) -> Result<(), Reject> {
        if self.quantity == 0 {
            return Err(Reject::invalid(Field::BestAvailable, "quantity must be at least 1"));
        }
        for (list, field) in [(&self.price_levels, Field::PriceLevels), (&self.sections, Field::Sections)] {
            if list.len() > NAMES_MAX || list.iter().any(|name| name.len() > PLAN_TEXT_BYTES_MAX) {
                return Err(Reject::invalid(field, "must be at most 64 names of at most 128 bytes"));
            }
        }
        if self.zone.as_ref().is_some_and(|name| name.len() > PLAN_TEXT_BYTES_MAX) {
            return Err(Reject::invalid(Field::Zone, "must be at most 128 bytes"));
        }
        if self.accessible_count > self.quantity {
            return Err(Reject::invalid(Field::BestAvailable, "accessible_count must be at most quantity"));
        }
        Ok(())
    }
}

impl Hold {
    /// Check what needs no state: something is asked, at most 64 places, no seat twice by the name
    /// it was given, quantities and ticket types in their bounds.
    ///
    /// # Errors
    /// The first refusal, naming the field.
    pub fn check(&self) -> Result<(), Reject> {
        let explicit = self.seats.len() + self.seat_keys.len();
        let chosen = self.best.as_ref().map_or(0, |best| usize::from(best.quantity));
        let admitted: usize = self.admissions.iter().map(|a| usize::from(a.quantity)).sum();
        if explicit + chosen + admitted == 0 && self.best.is_none() && self.admissions.is_empty() {
            return Err(Reject::invalid(Field::Seats, "ask for seats, areas or best available"));
        }
        if explicit + chosen + admitted > PLACES_PER_HOLD_MAX {
            return Err(Reject::TooManyPlaces { places_max: PLACES_PER_HOLD_MAX as u32 });
        }
        for admission in &self.admissions {
            if admission.quantity == 0 || admission.quantity_min > admission.quantity {
                return Err(Reject::invalid(Field::Ga, "quantity must be at least 1 and at least min_quantity"));
            }
        }
        if let Some(best) = &self.best {
            best.check()?;
        }
        self.allocations.check()?;
        if !self.ticket_types.is_empty() && self.ticket_types.len() != explicit + chosen {
            return Err(Reject::TicketTypeInvalid { expected: (explicit + chosen) as u32 });
        }
        if self.replace == Some(self.hold_id) {
            return Err(Reject::invalid(Field::ReplaceHoldId, "must be another hold"));
        }
        for (at, seat) in self.seats.iter().enumerate() {
            if self.seats[..at].contains(seat) {
                return Err(Reject::DuplicateSeat { position: at as u32 });
            }
        }
        for (at, key) in self.seat_keys.iter().enumerate() {
            if self.seat_keys[..at].contains(key) {
                return Err(Reject::DuplicateSeat { position: (self.seats.len() + at) as u32 });
            }
        }
        Ok(())
    }

    /// Hash of the content in the form it was sent: equal for two sendings of one command. Seats
    /// with their ticket types count as a set of pairs, so their order does not matter.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut pairs = 0_u64;
        let kind = |at: usize| u64::from(self.ticket_types.get(at).copied().unwrap_or(0));
        for (at, &seat) in self.seats.iter().enumerate() {
            let mut pair = Hasher::new(2);
            pair.word(u64::from(seat) | kind(at) << 32);
            pairs = pairs.wrapping_add(pair.finish());
        }
        for (at, key) in self.seat_keys.iter().enumerate() {
            let mut pair = Hasher::new(3);
            pair.bytes(key.as_bytes());
            pair.word(kind(self.seats.len() + at));
            pairs = pairs.wrapping_add(pair.finish());
        }
        let mut all = Hasher::new(4);
        all.word(pairs);
        all.word((self.seats.len() as u64) << 32 | self.seat_keys.len() as u64);
        for admission in &self.admissions {
            match &admission.area {
                AreaName::Index(index) => all.word(u64::from(*index)),
                AreaName::Key(key) => all.bytes(key.as_bytes()),
            }
            all.word(
                u64::from(admission.quantity)
                    | u64::from(admission.quantity_min) << 8
                    | u64::from(admission.ticket_type) << 16
                    | 1 << 24,
            );
        }
        if let Some(best) = &self.best {
            best.hash_into(&mut all);
            // The chosen seats' kinds, in their order.
            for at in self.seats.len() + self.seat_keys.len()..self.ticket_types.len() {
                all.word(kind(at));
            }
        }
        all.word(self.customer.0);
        all.word(u64::from(self.ttl_ms) | u64::from(self.plan_revision) << 32);
        all.wide(self.replace.map_or(0, |id| id.0));
        self.allocations.hash_into(&mut all);
        all.finish()
    }
}

/// A later deadline for a live hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extend {
    /// Which hold.
    pub hold_id: HoldId,
    /// Name of this request.
    pub request_id: RequestId,
    /// From now; 0: the event's default.
    pub ttl_ms: u32,
}

/// Places of a hold: part of it when a command names any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Plan revision the indexes were read at; 0: the first, while there is no other.
    pub plan_revision: u32,
    /// Seats by index.
    pub seats: SeatIndexes,
    /// Admissions (area, ticket type, quantity).
    pub admissions: Admissions,
    /// Hash of the names as they were sent, when places were named by key: indexes differ between plan
    /// revisions, a repeated command does not. See [`Part::hash_of_names`].
    pub sent_names: Option<u64>,
}

impl Part {
    /// Whether the command means the whole hold.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.seats.is_empty() && self.admissions.is_empty()
    }

    /// Check what needs no state: at most 64 places, none twice, quantities not zero.
    ///
    /// # Errors
    /// The first refusal, naming the field.
    pub fn check(&self) -> Result<(), Reject> {
        let admitted: usize = self.admissions.iter().map(|a| usize::from(a.quantity)).sum();
        if self.seats.len() + admitted > PLACES_PER_HOLD_MAX {
            return Err(Reject::TooManyPlaces { places_max: PLACES_PER_HOLD_MAX as u32 });
        }
        for (at, seat) in self.seats.iter().enumerate() {
            if self.seats[..at].contains(seat) {
                return Err(Reject::DuplicateSeat { position: at as u32 });
            }
        }
        for (at, admission) in self.admissions.iter().enumerate() {
            if admission.quantity == 0 {
                return Err(Reject::invalid(Field::Ga, "quantity must be at least 1"));
            }
            let same = |other: &Admission| (other.area, other.ticket_type) == (admission.area, admission.ticket_type);
            if self.admissions[..at].iter().any(same) {
                return Err(Reject::invalid(Field::Ga, "an area stands twice with the same ticket type"));
            }
        }
        Ok(())
    }

    /// Hash of a list of names, for [`Part::sent_names`].
    #[must_use]
    pub fn hash_of_names<'a>(names: impl Iterator<Item = &'a str>) -> u64 {
        let mut hasher = Hasher::new(12);
        names.for_each(|name| hasher.bytes(name.as_bytes()));
        hasher.finish()
    }

    fn hash_into(&self, hasher: &mut Hasher) {
        if let Some(names) = self.sent_names {
            hasher.word(names);
            let kinds = self.admissions.iter().map(|a| u64::from(a.ticket_type) | u64::from(a.quantity) << 8);
            kinds.for_each(|kind| hasher.word(kind));
            return;
        }
        let mut seats = 0_u64;
        for &seat in &self.seats {
            let mut one = Hasher::new(5);
            one.word(u64::from(seat));
            seats = seats.wrapping_add(one.finish());
        }
        hasher.word(seats);
        // The same indexes of another revision are other places.
        hasher.word(self.seats.len() as u64 | u64::from(self.plan_revision) << 32);
        let mut admissions = 0_u64;
        for admission in &self.admissions {
            let mut one = Hasher::new(6);
            one.word(
                u64::from(admission.area)
                    | u64::from(admission.ticket_type) << 16
                    | u64::from(admission.quantity) << 24,
            );
            admissions = admissions.wrapping_add(one.finish());
        }
        hasher.word(admissions);
    }
}

/// What becomes of the rest after a confirm in part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Remainder {
    /// It stays held with the same deadline.
    #[default]
    Keep,
    /// It is opened; the hold ends confirmed.
    Release,
}

/// A hold becomes a sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirm {
    /// Which hold.
    pub hold_id: HoldId,
    /// Name of this request: required when `part` is not whole.
    pub request_id: Option<RequestId>,
    /// The order it belongs to.
    pub order: OrderRef,
    /// Which places; empty: all.
    pub part: Part,
    /// What becomes of the rest.
    pub remainder: Remainder,
    /// After expiry: sell in one step if every place is still open.
    pub allow_reclaim: bool,
    /// The attempt that paid, when the caller names it: a second one is never answered with the same sale.
    pub attempt_id: Option<RequestId>,
}

/// A hold, or part of it, is given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Which hold.
    pub hold_id: HoldId,
    /// Name of this request: required when `part` is not whole.
    pub request_id: Option<RequestId>,
    /// Which places; empty: all.
    pub part: Part,
    /// End an open payment with it.
    pub abort_payment: bool,
}

/// A payment is begun: the hold outlives its deadline while it is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BeginPayment {
    /// Which hold.
    pub hold_id: HoldId,
    /// Name of the attempt, unique in its hold.
    pub attempt_id: RequestId,
}

/// A payment has come to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndPayment {
    /// Which hold.
    pub hold_id: HoldId,
    /// Name of the attempt.
    pub attempt_id: RequestId,
    /// What became of it.
    pub outcome: PaymentOutcome,
}

/// What became of an attempt that did not pay. It matters to the history alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PaymentOutcome {
    /// It was refused.
    Failed = 1,
    /// The buyer gave it up.
    Abandoned = 2,
}

impl PaymentOutcome {
    /// The outcome with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Failed),
            2 => Some(Self::Abandoned),
            _ => None,
        }
    }
}

impl Extend {
    /// Hash of the content beside the ids.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = Hasher::new(7);
        hasher.word(u64::from(self.ttl_ms));
        hasher.finish()
    }
}

impl Confirm {
    /// Check what needs no state.
    ///
    /// # Errors
    /// The first refusal, naming the field.
    pub fn check(&self) -> Result<(), Reject> {
        self.part.check()?;
        if !self.part.is_whole() && self.request_id.is_none() {
            return Err(Reject::RequestIdInvalid);
        }
        Ok(())
    }

    /// Hash of the content beside the ids.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = Hasher::new(8);
        hasher.bytes(self.order.as_str().as_bytes());
        hasher.word(u64::from(self.remainder == Remainder::Release));
        self.part.hash_into(&mut hasher);
        // Without an attempt the hash is what it was before there were any.
        if let Some(attempt) = self.attempt_id {
            hasher.wide(attempt.0);
        }
        hasher.finish()
    }
}

impl Release {
    /// Check what needs no state.
    ///
    /// # Errors
    /// The first refusal, naming the field.
    pub fn check(&self) -> Result<(), Reject> {
        self.part.check()?;
        if !self.part.is_whole() && self.request_id.is_none() {
            return Err(Reject::RequestIdInvalid);
        }
        Ok(())
    }

    /// Hash of the content beside the ids.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = Hasher::new(9);
        self.part.hash_into(&mut hasher);
        if self.abort_payment {
            hasher.word(1);
        }
        hasher.finish()
    }
}

/// A new event with its plan.
#[derive(Clone, Debug)]
pub struct CreateEvent {
    /// Its name.
    pub id: EventId,
    /// First 8 bytes, little endian, of SHA-256 of the name.
    pub key: EventKey,
    /// Its plan, already durable as a file.
    pub plan: Arc<Plan>,
    /// Everything else. State draft or on sale.
    pub settings: Settings,
}

impl CreateEvent {
    /// Hash of the creation content: equal for two sendings of one command.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = Hasher::new(10);
        hasher.bytes(self.id.as_str().as_bytes());
        hasher.bytes(&self.plan.digest().0);
        hash_settings(&mut hasher, &self.settings);
        hasher.finish()
    }
}

/// Changes to an event: what is `Some` is set.
#[derive(Clone, Debug, Default)]
pub struct UpdateEvent {
    /// Name of this request; judged by age, remembered for `retry_window`.
    pub request_id: Option<RequestId>,
    /// Refuse with `STATE_MISMATCH` when the event's etag is another.
    pub etag: Option<u64>,
    /// Refuse with `STATE_MISMATCH` when the event is in another state.
    pub expected_state: Option<EventState>,
    /// Only say what would be.
    pub validate_only: bool,
    /// New state.
    pub state: Option<EventState>,
    /// New start of the window; zero: none.
    pub opens_at: Option<TimestampMs>,
    /// New end of the window; zero: none.
    pub closes_at: Option<TimestampMs>,
    /// New start of the performance.
    pub starts_at: Option<TimestampMs>,
    /// New policies, each by itself.
    pub policies: PolicyPatch,
    /// New display name.
    pub display_name: Option<Box<str>>,
    /// New time zone.
    pub time_zone: Option<Box<str>>,
    /// New labels, all of them.
    pub labels: Option<Vec<(Box<str>, Box<str>)>>,
    /// New plan, already durable as a file.
    pub plan: Option<Arc<Plan>>,
    /// New limits by price level, all of them.
    pub level_limits: Option<Vec<LevelLimit>>,
    /// New shared quotas, all of them.
    pub quotas: Option<Vec<SharedQuota>>,
}

/// New values of single policies. Units as in [`crate::policy::Policies`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each field is the policy of the same name")]
pub struct PolicyPatch {
    pub hold_ttl_s: Option<u32>,
    pub lifetime_s_max: Option<u32>,
    pub renewals_max: Option<u32>,
    pub payment_grace_s: Option<u32>,
    pub payment_attempts_max: Option<u32>,
    pub payment_left_s_min: Option<u32>,
    pub places_per_hold_max: Option<u32>,
    pub places_per_customer_max: Option<u32>,
    pub holds_per_customer_max: Option<u32>,
    pub orphan_rule: Option<crate::policy::OrphanRule>,
    pub retry_window_s: Option<u32>,
    pub cooling_s_max: Option<u32>,
    pub abandon_credits_max: Option<u32>,
    pub abandon_refill_s: Option<u32>,
}

impl UpdateEvent {
    /// The settings that `old` become.
    #[must_use]
    pub fn over(&self, old: &Settings) -> Settings {
        let mut new = old.clone();
        let p = &mut new.policies;
        let patch = &self.policies;
        p.hold_ttl_s = patch.hold_ttl_s.unwrap_or(p.hold_ttl_s);
        p.lifetime_s_max = patch.lifetime_s_max.unwrap_or(p.lifetime_s_max);
        p.renewals_max = patch.renewals_max.unwrap_or(p.renewals_max);
        p.payment_grace_s = patch.payment_grace_s.unwrap_or(p.payment_grace_s);
        p.payment_attempts_max = patch.payment_attempts_max.unwrap_or(p.payment_attempts_max);
        p.payment_left_s_min = patch.payment_left_s_min.unwrap_or(p.payment_left_s_min);
        p.places_per_hold_max = patch.places_per_hold_max.unwrap_or(p.places_per_hold_max);
        p.places_per_customer_max = patch.places_per_customer_max.unwrap_or(p.places_per_customer_max);
        p.holds_per_customer_max = patch.holds_per_customer_max.unwrap_or(p.holds_per_customer_max);
        p.orphan_rule = patch.orphan_rule.unwrap_or(p.orphan_rule);
        p.retry_window_s = patch.retry_window_s.unwrap_or(p.retry_window_s);
        p.cooling_s_max = patch.cooling_s_max.unwrap_or(p.cooling_s_max);
        p.abandon_credits_max = patch.abandon_credits_max.unwrap_or(p.abandon_credits_max);
        p.abandon_refill_s = patch.abandon_refill_s.unwrap_or(p.abandon_refill_s);
        new.state = self.state.unwrap_or(new.state);
        new.opens_at = self.opens_at.unwrap_or(new.opens_at);
        new.closes_at = self.closes_at.unwrap_or(new.closes_at);
        new.starts_at = self.starts_at.unwrap_or(new.starts_at);
        if let Some(name) = &self.display_name {
            new.display_name = name.clone();
        }
        if let Some(zone) = &self.time_zone {
            new.time_zone = zone.clone();
        }
        if let Some(labels) = &self.labels {
            new.labels = labels.clone();
        }
        if let Some(by_level) = &self.level_limits {
            new.limits.by_level.clone_from(by_level);
        }
        if let Some(quotas) = &self.quotas {
            new.limits.quotas.clone_from(quotas);
        }
        new
    }

    /// Hash of the content beside the request id and the conditions.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = Hasher::new(11);
        let mut default = Settings { state: EventState::Draft, ..Settings::default() };
        default.display_name = "".into();
        hash_settings(&mut hasher, &self.over(&default));
        let set = [
            self.state.is_some(),
            self.opens_at.is_some(),
            self.closes_at.is_some(),
            self.starts_at.is_some(),
            self.display_name.is_some(),
            self.time_zone.is_some(),
            self.labels.is_some(),
        ];
        hasher.word(set.iter().fold(0, |bits, &is| bits << 1 | u64::from(is)));
        let p = &self.policies;
        let patched = [
            p.hold_ttl_s.is_some(),
            p.lifetime_s_max.is_some(),
            p.renewals_max.is_some(),
            p.payment_grace_s.is_some(),
            p.payment_attempts_max.is_some(),
            p.payment_left_s_min.is_some(),
            p.places_per_hold_max.is_some(),
            p.places_per_customer_max.is_some(),
            p.holds_per_customer_max.is_some(),
            p.orphan_rule.is_some(),
            p.retry_window_s.is_some(),
            p.cooling_s_max.is_some(),
        ];
        hasher.word(patched.iter().fold(0, |bits, &is| bits << 1 | u64::from(is)));
        if let Some(plan) = &self.plan {
            hasher.bytes(&plan.digest().0);
        }
        // Without these the hash is what it was before there were any.
        let later = [
            p.abandon_credits_max.is_some(),
            p.abandon_refill_s.is_some(),
            self.level_limits.is_some(),
            self.quotas.is_some(),
        ];
        if later.contains(&true) {
            hasher.word(later.iter().fold(1, |bits, &is| bits << 1 | u64::from(is)));
        }
        hasher.finish()
    }
}

/// Take in every setting.
pub(crate) fn hash_settings(hasher: &mut Hasher, settings: &Settings) {
    let p = &settings.policies;
    for word in [
        settings.state as u64,
        settings.opens_at.0,
        settings.closes_at.0,
        settings.starts_at.0,
        u64::from(p.hold_ttl_s),
        u64::from(p.lifetime_s_max),
        u64::from(p.renewals_max),
        u64::from(p.payment_grace_s),
        u64::from(p.payment_attempts_max),
        u64::from(p.payment_left_s_min),
        u64::from(p.places_per_hold_max),
        u64::from(p.places_per_customer_max),
        u64::from(p.holds_per_customer_max),
        p.orphan_rule as u64,
        u64::from(p.retry_window_s),
        u64::from(p.cooling_s_max),
    ] {
        hasher.word(word);
    }
    hasher.bytes(settings.display_name.as_bytes());
    hasher.bytes(settings.time_zone.as_bytes());
    hasher.word(settings.labels.len() as u64);
    for (key, value) in &settings.labels {
        hasher.bytes(key.as_bytes());
        hasher.bytes(value.as_bytes());
    }
    if settings.has_later() {
        hasher.word(u64::from(p.abandon_credits_max) << 32 | u64::from(p.abandon_refill_s));
        hasher.word((settings.limits.by_level.len() as u64) << 32 | settings.limits.quotas.len() as u64);
        for limit in &settings.limits.by_level {
            hasher.bytes(limit.level.as_bytes());
            hasher.word(u64::from(limit.places_max));
        }
        for quota in &settings.limits.quotas {
            hasher.bytes(quota.name.as_bytes());
            for names in [&quota.levels, &quota.areas] {
                hasher.word(names.len() as u64);
                names.iter().for_each(|name| hasher.bytes(name.as_bytes()));
            }
            hasher.word(u64::from(quota.places_max));
        }
    }
}
