//! What a command would do: reads, answers with a change or a reject, changes nothing.
//!
//! The order of judgement is part of the contract, so that two implementations agree on the first
//! refusal: shape; event; id (a known id answers before the rest); plan revision and unknown places;
//! event state and window; allocation; places per hold; availability; orphan rule; customer limits.
//!
//! Not here: making changes true (`apply.rs`), choosing seats (`ladder.rs`), what a command may take (`reach.rs`).

use crate::{
    cart::CartStep,
    change::HoldState,
    command::Command,
    event::Event,
    hold::Entry,
    hold_view::view,
    ids::{EventKey, HoldId, RequestId, TimestampMs},
    limits::{ID_AHEAD_MS_MAX, PLACES_PER_HOLD_MAX, policy as bounds},
    reject::{Field, Reject},
    slot::{Decision, Slot},
};

/// Places in the way that a refusal names at most.
pub(crate) const NAMED_MAX: usize = PLACES_PER_HOLD_MAX;

impl Slot {
    /// What `command` on the event named by `key` would do at `now`.
    ///
    /// # Errors
    /// The first refusal in the order of judgement. Nothing has changed.
    pub fn decide(&self, now: TimestampMs, key: EventKey, command: &Command) -> Result<Decision, Reject> {
        match command {
            Command::Hold(hold) | Command::Explain(hold) => {
                check_ttl(hold.ttl_ms)?;
                hold.check()?;
            }
            Command::Extend(extend) => check_ttl(extend.ttl_ms)?,
            Command::Confirm(confirm) => confirm.check()?,
            Command::Release(release) => release.check()?,
            Command::CreateEvent(create) => return self.decide_create(create),
            Command::Suggest(suggest) => suggest.check()?,
            Command::SellDirect(sell) => sell.places.check()?,
            Command::ReturnPlaces(command) => command.check()?,
            Command::Exchange(exchange) => exchange.check()?,
            Command::Kill(kill) => kill.check()?,
            Command::Unkill(unkill) => unkill.check()?,
            Command::SetAllocation(set) => set.check()?,
            Command::SetPriceLevel(set) => set.check()?,
            Command::RemoveAllocation(remove) => remove.check()?,
            Command::GetOrder(_) | Command::List(_) | Command::ListAllocations | Command::RetireEvent(_) => {}
            Command::HoldMany(many) => {
                many.check()?;
                if many.parts[0].0 != key {
                    return Err(Reject::invalid(Field::Parts, "the first must be of the event that is asked"));
                }
            }
            Command::Cart(CartStep::Prepare(prepare)) => prepare.hold.check()?,
            Command::ConfirmMany(_) | Command::ReleaseMany(_) | Command::Cart(_) => {}
            Command::BeginPayment(_) | Command::EndPayment(_) | Command::GetHold(_) | Command::UpdateEvent(_) => {}
        }
        let event = self.find(key).and_then(|number| self.event(number)).ok_or(Reject::EventNotFound)?;
        match command {
            Command::Hold(hold) => self.decide_hold(now, event, hold),
            Command::Extend(extend) => self.decide_extend(now, event, extend),
            Command::Confirm(confirm) => self.decide_confirm(now, event, confirm),
            Command::Release(release) => self.decide_release(now, event, release),
            Command::BeginPayment(begin) => self.decide_begin_payment(now, event, begin),
            Command::EndPayment(end) => self.decide_end_payment(now, event, end),
            Command::GetHold(id) => {
                let entry = self.remembered(now, event, *id).ok_or(Reject::HoldNotFound)?;
                Ok(self.known(event, entry, false))
            }
            Command::UpdateEvent(update) => self.decide_update(now, event, update),
            Command::Suggest(suggest) => self.decide_suggest(now, event, suggest),
            Command::Explain(hold) => Ok(self.decide_explain(now, event, hold)),
            Command::SellDirect(sell) => self.decide_sell_direct(now, event, sell),
            Command::ReturnPlaces(command) => self.decide_return(now, event, command),
            Command::Exchange(exchange) => self.decide_exchange(now, event, exchange),
            Command::GetOrder(order) => self.decide_get_order(event, order),
            Command::List(list) => Ok(self.decide_list(event, *list)),
            Command::Kill(kill) => self.decide_kill(now, event, kill),
            Command::Unkill(unkill) => self.decide_unkill(now, event, unkill),
            Command::SetAllocation(set) => self.decide_set_allocation(now, event, set),
            Command::RemoveAllocation(remove) => self.decide_remove_allocation(now, event, remove),
            Command::SetPriceLevel(set) => self.decide_set_price_level(now, event, set),
            Command::ListAllocations => Ok(self.decide_list_allocations(event)),
            Command::HoldMany(many) => self.decide_hold_many(now, event, many),
            Command::ConfirmMany(confirm) => self.decide_confirm_many(now, event, confirm),
            Command::ReleaseMany(cart_id) => self.decide_release_many(now, event, *cart_id),
            Command::Cart(step) => self.decide_cart_step(now, event, step),
            Command::RetireEvent(retire) => self.decide_retire(now, event, retire),
            Command::CreateEvent(_) => Err(Reject::EventNotFound),
        }
    }

    /// The entry of an id, unless its time to be forgotten has come.
    pub(crate) fn remembered(&self, now: TimestampMs, event: &Event, id: HoldId) -> Option<&Entry> {
        let entry = &self.holds[self.holds.find(event.number, id)?];
        (!entry.is_tombstone() || now < entry.until).then_some(entry)
    }

    /// Whether a request of the house was done before; else whether its id may be new. Sales without a hold have the
    /// names of their requests.
    pub(crate) fn judge_request(
        &self,
        now: TimestampMs,
        event: &Event,
        id: RequestId,
        fingerprint: u64,
    ) -> Result<bool, Reject> {
        let is_name = self.remembered(now, event, HoldId(id.0)).is_some_and(Entry::is_direct_sale);
        event.judge_request(now, id, fingerprint, is_name)
    }

    pub(crate) fn known(&self, event: &Event, entry: &Entry, replayed: bool) -> Decision {
        Decision::Hold { event: event.number, view: view(event, entry), replayed }
    }

    /// An id that is not known must be young enough that it cannot have been forgotten.
    pub(crate) fn judge_age(&self, now: TimestampMs, event: &Event, time: TimestampMs) -> Result<(), Reject> {
        let oldest = now.minus_ms(event.settings.policies.retry_window_ms());
        if time <= oldest || time <= event.id_floor {
            return Err(Reject::HoldIdTooOld { now });
        }
        if time >= now.plus_ms(ID_AHEAD_MS_MAX) {
            return Err(Reject::HoldIdFromFuture { now });
        }
        Ok(())
    }
}

pub(crate) fn check_ttl(ttl_ms: u32) -> Result<(), Reject> {
    let (ttl_ms_min, ttl_ms_max) = (bounds::HOLD_TTL_S_MIN * 1_000, bounds::HOLD_TTL_S_MAX * 1_000);
    if ttl_ms == 0 || (ttl_ms_min..=ttl_ms_max).contains(&ttl_ms) {
        Ok(())
    } else {
        Err(Reject::TtlOutOfRange { ttl_ms_min, ttl_ms_max })
    }
}

/// A live hold past its deadline is expired, whether or not its turn to be swept has come.
pub(crate) fn live_or_ended(now: TimestampMs, entry: &Entry) -> HoldState {
    let lives_on = probe::planted!(ConfirmAtDeadline) && now == entry.until;
    // A part of a cart waits for the cart's decision.
    if entry.is_open_cart() {
        return HoldState::Paying;
    }
    // An open payment that has lapsed leaves the hold active, which its sweep will say; until then it may be confirmed.
    let lives_on = lives_on || now < entry.expires_at();
    if entry.is_live() && now >= entry.until && !lives_on { HoldState::Expired } else { entry.state() }
}

pub(crate) fn check_revision(plan_revision: u32, revision: u32, uses_indexes: bool) -> Result<(), Reject> {
    let stale = if revision == 0 { uses_indexes && plan_revision != 1 } else { revision != plan_revision };
    if stale { Err(Reject::PlanChanged { plan_revision }) } else { Ok(()) }
}
