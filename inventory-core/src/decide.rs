//! What a command would do: reads, answers with a change or a reject, changes nothing.
//!
//! The order of judgement is part of the contract, so that two implementations agree on the first
//! refusal: shape; event; id (a known id answers before the rest); plan revision and unknown places;
//! event state and window; allocation; places per hold; availability; orphan rule; customer limits.
//!
//! Not here: making changes true (`apply.rs`), choosing seats (`ladder.rs`), what a command may take (`reach.rs`).

use alloc::{boxed::Box, vec::Vec};

use smallvec::SmallVec;

use crate::{
    allocation::AllocationKeys,
    best_available::{Arrangement, Taken, Wanted},
    cart::{CartStep, not_in_open_cart},
    change::{
        Change, Confirmed, EventCreated, EventUpdated, Extended, Held, HoldCause, HoldState, HoldView, PaymentBegan,
        PaymentEnded, Released,
    },
    command::{
        AreaName, BeginPayment, BestAvailable, Command, Confirm, CreateEvent, EndPayment, Extend, Hold, Part, Release,
        Suggest, UpdateEvent,
    },
    event::Event,
    hold::Entry,
    ids::{EventKey, HoldId, RequestId, TimestampMs},
    ladder,
    limits::{ID_AHEAD_MS_MAX, PLACES_PER_HOLD_MAX, policy as bounds},
    openings::Openings,
    orphan::{self, Piece, Runs},
    place::{Admission, Admissions, Moved, PlaceState, SOLD, Seat, SeatIndexes, Seats},
    plan::{ACCESSIBLE, COMPANION, RowKind},
    policy::{EventState, OrphanRule},
    reach::{Access, GENERAL, Reached, draw},
    reject::{Field, PlaceInTheWay, Reject},
    rules::{Bundle, check_names},
    slot::{Decision, Slot, Suggestion, merged},
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

    fn decide_hold(&self, now: TimestampMs, event: &Event, hold: &Hold) -> Result<Decision, Reject> {
        if let Some(entry) = self.remembered(now, event, hold.hold_id) {
            if entry.fingerprint != hold.fingerprint() {
                return Err(Reject::HoldIdReused);
            }
            return match live_or_ended(now, entry) {
                HoldState::Active | HoldState::Paying => Ok(self.known(event, entry, true)),
                HoldState::Confirmed => Err(Reject::HoldAlreadyConfirmed { executed: true }),
                HoldState::Released => Err(Reject::HoldReleased { executed: true }),
                HoldState::Expired => Err(Reject::HoldExpired { executed: true, places_lost: Vec::new() }),
            };
        }
        self.judge_age(now, event, hold.hold_id.time())?;
        let held = self.judge_memory(now, self.take(now, event, hold)?)?;
        Ok(Decision::Change(event.number, Change::Held(held)))
    }

    /// A hold that could not be remembered after its end is not made.
    #[inline]
    pub(crate) fn judge_memory(&self, now: TimestampMs, held: Held) -> Result<Held, Reject> {
        if self.memory_is_full(now) {
            probe::sometimes!("hold: refused, what ends cannot be remembered");
            probe::tell!("no room", (held.hold_id.0 >> 64) as u64, held.hold_id.0 as u64);
            return Err(Reject::CapacityBudget);
        }
        Ok(held)
    }

    /// What a hold takes whose id is new and of a right age.
    pub(crate) fn take(&self, now: TimestampMs, event: &Event, hold: &Hold) -> Result<Held, Reject> {
        let policies = &event.settings.policies;
        let limited = policies.limit_customers() || !event.settings.limits.by_level.is_empty();
        if limited && !hold.customer.is_some() {
            return Err(Reject::invalid(Field::Customer, "this event limits customers: name one"));
        }
        let replaced = hold.replace.map(|id| self.replaceable(now, event, id, hold)).transpose()?;

        let explicit = explicit_seats(event, hold)?;
        let areas = areas_of(event, hold)?;
        let wanted = hold.best.as_ref().map(|best| wanted_of(event, best)).transpose()?;

        let access = Access::at(event, &hold.allocations, now);
        access.judge_windows(now, &explicit, &areas, wanted.is_some())?;
        access.judge_tags(&explicit, &[])?;
        let quantity_max = policies.places_per_hold_max;
        let admitted = hold.admissions.iter().map(|a| u32::from(a.quantity)).sum::<u32>();
        let asked = explicit.len() as u32 + wanted.as_ref().map_or(0, |wanted| wanted.quantity) + admitted;
        if asked > quantity_max {
            return Err(Reject::TooManyPlaces { places_max: quantity_max });
        }

        let freed =
            |area, source| admissions_of(area, source, replaced.iter().flat_map(|entry| entry.unsold_admissions()));
        let mut admissions = match hold.admissions.is_empty() {
            true => Admissions::new(),
            false => admit(&access, hold, &areas, freed)?,
        };
        let mut except: Vec<u32> =
            replaced.iter().flat_map(|entry| entry.unsold_seats()).map(|seat| seat.index).collect();
        except.sort_unstable();
        let looked_at = explicit.len() - usize::from(explicit.len() > 1 && probe::planted!(LastSeatUnchecked));
        let in_the_way = blocking(event, explicit[..looked_at].iter().map(|seat| seat.index), &except);
        if !in_the_way.is_empty() {
            return Err(Reject::PlacesUnavailable { places: in_the_way });
        }
        let explicit_count = explicit.len();
        let mut seats = explicit;
        let mut arrangement = Arrangement::None;
        if let Some(wanted) = wanted {
            let mut also: Vec<u32> = seats.iter().map(|seat| seat.index).collect();
            also.sort_unstable();
            let reached = access.reached_by_best();
            let taken = reached.taken(&also, &except);
            let kinds = hold.ticket_types.iter().skip(seats.len()).copied().chain(core::iter::repeat(0));
            let asked = hold.best.as_ref();
            let room = |area| {
                let of_source = |&source: &u8| {
                    access.room(area, source) + freed(area, source)
                        - admissions_of(area, source, admissions.iter().copied())
                };
                access.sources_of_best(area).iter().map(of_source).sum()
            };
            match asked.and_then(|asked| choose(event, asked, reached.openings(), taken, &wanted, room)) {
                Some((Chosen::Seats(chosen), how)) => {
                    arrangement = how;
                    seats.extend(chosen.into_iter().zip(kinds).map(|(index, ticket_type)| Seat { index, ticket_type }));
                }
                Some((Chosen::Area(area), how)) => {
                    arrangement = how;
                    let persons = kinds.take(wanted.quantity as usize);
                    let sources = access.sources_of_best(area);
                    for ticket_type in persons {
                        let one = Admission { area, ticket_type, quantity: 1, source: GENERAL };
                        draw(&mut admissions, one, &sources, |area, source| {
                            access.room(area, source) + freed(area, source)
                        });
                    }
                }
                None => return Err(nothing_fits(&access, &wanted, hold.best.as_ref())),
            }
        }
        if event.rules.is_some() {
            with_bundles(&seats, &admissions, replaced, |more, less| event.judge_quotas(more, less))?;
        }
        let judged = if probe::planted!(OrphanJudgedTwice) { seats.len() } else { explicit_count };
        judge_orphans(&access, &seats[..judged], &except)?;
        self.judge_customer(now, event, hold, &seats, &admissions, replaced)?;
        let ttl_ms = if hold.ttl_ms == 0 { u64::from(policies.hold_ttl_s) * 1_000 } else { u64::from(hold.ttl_ms) };
        let lifetime_ms = u64::from(policies.lifetime_s_max) * 1_000;
        Ok(Held {
            hold_id: hold.hold_id,
            fingerprint: hold.fingerprint(),
            customer: hold.customer,
            created_at: replaced.map_or(now, |entry| entry.created_at),
            expires_at: replaced.map_or(now.plus_ms(ttl_ms.min(lifetime_ms)), |entry| entry.until),
            renewals: replaced.map_or(0, |entry| entry.renewals),
            // At most 8 by the policy.
            attempts: replaced.map_or(0, |entry| entry.attempts_used() as u8),
            replaced: hold.replace,
            arrangement,
            tags: if event.allocations.is_some() { tags_of(event, &seats).into() } else { Box::default() },
            seats,
            admissions,
        })
    }

    /// Up to so many ways to seat a party, best first; no seat is in two of them.
    fn decide_suggest(&self, now: TimestampMs, event: &Event, suggest: &Suggest) -> Result<Decision, Reject> {
        check_revision(event.plan_revision, suggest.plan_revision, false)?;
        let asked = &suggest.best;
        let mut wanted = wanted_of(event, asked)?;
        let access = Access::at(event, &suggest.allocations, now);
        access.judge_windows(now, &[], &[], true)?;
        let reached = access.reached_by_best();
        let taken = reached.taken(&[], &[]);
        let mut options = Vec::new();
        let mut areas: SmallVec<[u16; 4]> = SmallVec::new();
        while options.len() < usize::from(suggest.options_max) {
            let room = |area| match areas.contains(&area) {
                true => 0,
                false => access.sources_of_best(area).iter().map(|&source| access.room(area, source)).sum(),
            };
            let chosen = choose(event, asked, reached.openings(), taken, &wanted, room);
            let Some((chosen, arrangement)) = chosen else { break };
            let (seats, area) = match chosen {
                Chosen::Seats(seats) => {
                    wanted.avoid.extend(&seats);
                    wanted.avoid.sort_unstable();
                    (seats, None)
                }
                Chosen::Area(area) => {
                    areas.push(area);
                    (Vec::new(), Some(area))
                }
            };
            options.push(Suggestion { seats, area, arrangement });
        }
        if options.is_empty() {
            return Err(nothing_fits(&access, &wanted, Some(asked)));
        }
        Ok(Decision::Suggested { event: event.number, options })
    }

    /// What a hold would be answered, and which seats it would leave alone. Neither its id nor the memory for
    /// ended holds is judged: both are about sending it, not about its places.
    fn decide_explain(&self, now: TimestampMs, event: &Event, hold: &Hold) -> Decision {
        let outcome = self.take(now, event, hold);
        let picked = match &outcome {
            Ok(held) => Some(held.seats.clone()),
            // Named seats that are all there.
            Err(_) => explicit_seats(event, hold).ok(),
        };
        let replaced = hold.replace.and_then(|id| self.replaceable(now, event, id, hold).ok());
        let mut except: Vec<u32> =
            replaced.iter().flat_map(|entry| entry.unsold_seats()).map(|seat| seat.index).collect();
        except.sort_unstable();
        // Whom it leaves alone is no matter of windows.
        let access = Access::without_window(event, &hold.allocations);
        let reached = access.reached();
        let taken = reached.taken(&[], &except);
        let picked = picked.unwrap_or_default();
        let mut open: Vec<u32> = picked.iter().map(|seat| seat.index).filter(|&seat| taken.is_open(seat)).collect();
        open.sort_unstable();
        let left_alone = orphan::left_alone(&event.plan, taken, &open);
        Decision::Explained { event: event.number, outcome, left_alone }
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

    fn replaceable(&self, now: TimestampMs, event: &Event, id: HoldId, by: &Hold) -> Result<&Entry, Reject> {
        let entry = self.remembered(now, event, id).ok_or(Reject::HoldNotFound)?;
        not_in_open_cart(entry)?;
        match live_or_ended(now, entry) {
            HoldState::Active => {}
            HoldState::Paying => return Err(Reject::PaymentInProgress),
            HoldState::Confirmed => return Err(Reject::HoldAlreadyConfirmed { executed: false }),
            HoldState::Released => return Err(Reject::HoldReleased { executed: false }),
            HoldState::Expired => return Err(Reject::HoldExpired { executed: false, places_lost: Vec::new() }),
        }
        if entry.has_sold() {
            return Err(Reject::HoldAlreadyConfirmed { executed: false });
        }
        if entry.customer != by.customer {
            return Err(Reject::invalid(Field::Customer, "must be the customer of the hold that is replaced"));
        }
        Ok(entry)
    }

    fn judge_customer(
        &self,
        now: TimestampMs,
        event: &Event,
        hold: &Hold,
        seats: &[Seat],
        admissions: &[Admission],
        replaced: Option<&Entry>,
    ) -> Result<(), Reject> {
        if !hold.customer.is_some() {
            return Ok(());
        }
        let policies = &event.settings.policies;
        let (mut places, mut holds) = event.customer(hold.customer);
        if let Some(entry) = replaced {
            places -= unsold_count(entry);
            holds -= 1;
        }
        let more = seats.len() as u32 + admissions.iter().map(|a| u32::from(a.quantity)).sum::<u32>();
        let limit = policies.places_per_customer_max;
        if limit > 0 && places + more > limit {
            return Err(Reject::CustomerLimit { places_max: limit });
        }
        if event.rules.is_some() {
            with_bundles(seats, admissions, replaced, |more, less| event.judge_levels(hold.customer, more, less))?;
        }
        let limit = policies.holds_per_customer_max;
        if limit > 0 && holds + 1 > limit {
            return Err(Reject::HoldQuota { holds_max: limit });
        }
        if replaced.is_none() && policies.abandon_credits_max > 0 {
            event.abandoned.judge(now, hold.customer, policies)?;
        }
        Ok(())
    }

    fn decide_extend(&self, now: TimestampMs, event: &Event, extend: &Extend) -> Result<Decision, Reject> {
        let entry = self.remembered(now, event, extend.hold_id).ok_or(Reject::HoldNotFound)?;
        not_in_open_cart(entry)?;
        let fingerprint = extend.fingerprint();
        if answered_before(entry, Some(extend.request_id), fingerprint)? && !probe::planted!(ExtendExecutedAgain) {
            return Ok(self.known(event, entry, true));
        }
        still_active(now, event, entry)?;
        not_overtaken(entry, extend.request_id)?;
        let policies = &event.settings.policies;
        let ttl_ms = if extend.ttl_ms == 0 { u64::from(policies.hold_ttl_s) * 1_000 } else { u64::from(extend.ttl_ms) };
        let furthest = entry.created_at.plus_ms(u64::from(policies.lifetime_s_max) * 1_000);
        let expires_at = now.plus_ms(ttl_ms).min(furthest);
        if u32::from(entry.renewals) >= policies.renewals_max || expires_at <= entry.until {
            return Err(Reject::RenewalCap);
        }
        let request = (extend.request_id, fingerprint);
        let extended = Extended { hold_id: extend.hold_id, request, expires_at };
        Ok(Decision::Change(event.number, Change::Extended(extended)))
    }

    fn decide_confirm(&self, now: TimestampMs, event: &Event, confirm: &Confirm) -> Result<Decision, Reject> {
        let entry = self.remembered(now, event, confirm.hold_id).ok_or(Reject::HoldNotFound)?;
        not_in_open_cart(entry)?;
        let whole = confirm.part.is_whole();
        let fingerprint = confirm.fingerprint();
        if !whole && answered_before(entry, confirm.request_id, fingerprint)? {
            return Ok(self.known(event, entry, true));
        }
        let state = live_or_ended(now, entry);
        let same_sale = entry.last_order() == Some(&confirm.order)
            && entry.paid_by() == confirm.attempt_id
            && !entry.sold_in_part();
        if whole && state == HoldState::Confirmed && same_sale {
            return Ok(self.known(event, entry, true));
        }
        if event.settings.state == EventState::Cancelled {
            return Err(Reject::EventCancelled);
        }
        // A part of a cart is not sold without the others.
        let may_reclaim = whole && confirm.allow_reclaim && entry.cart().is_none();
        if state == HoldState::Expired && !entry.is_live() && may_reclaim {
            probe::sometimes!("confirm: after the expiry, to be reclaimed");
            return self.decide_reclaim(event, entry, confirm, fingerprint);
        }
        // Also of an ended hold: a confirm that came late may be one that sold, and whose money is not owed back.
        if let (false, Some(request)) = (whole, confirm.request_id) {
            not_overtaken(entry, request)?;
        }
        match state {
            HoldState::Active | HoldState::Paying => {}
            HoldState::Confirmed => return Err(Reject::HoldAlreadyConfirmed { executed: false }),
            HoldState::Released => return Err(Reject::HoldReleased { executed: false }),
            HoldState::Expired => return Err(Reject::HoldExpired { executed: false, places_lost: Vec::new() }),
        }
        if whole {
            nothing_lost(event, entry)?;
        }
        check_part(event, entry, &confirm.part)?;
        let confirmed = Confirmed {
            hold_id: confirm.hold_id,
            request: confirm.request_id.map(|id| (id, fingerprint)),
            order: confirm.order.clone(),
            seats: confirm.part.seats.clone(),
            admissions: entry.drawn(&confirm.part.admissions),
            remainder: confirm.remainder,
            reclaimed: false,
            attempt_id: confirm.attempt_id,
            expires_at: left_after_payment(now, event, entry),
        };
        Ok(Decision::Change(event.number, Change::Confirmed(confirmed)))
    }

    /// Whether all of a hold can be sold, by a command that is no Confirm.
    pub(crate) fn must_sell_whole(&self, now: TimestampMs, event: &Event, entry: &Entry) -> Result<(), Reject> {
        not_in_open_cart(entry)?;
        match live_or_ended(now, entry) {
            HoldState::Active | HoldState::Paying => nothing_lost(event, entry),
            HoldState::Confirmed => Err(Reject::HoldAlreadyConfirmed { executed: false }),
            HoldState::Released => Err(Reject::HoldReleased { executed: false }),
            HoldState::Expired => Err(Reject::HoldExpired { executed: false, places_lost: Vec::new() }),
        }
    }

    /// A late payment: all places are still open, so take and sell them in one step. Lost places are told seats first, in
    /// the order of the hold, then areas by index.
    fn decide_reclaim(
        &self,
        event: &Event,
        entry: &Entry,
        confirm: &Confirm,
        fingerprint: u64,
    ) -> Result<Decision, Reject> {
        let named = |seat: u32| PlaceInTheWay { place: Moved::Seat(seat), state: event.public_state(seat) };
        let is_foreign = |seat: u32| {
            let tag = event.tag(seat);
            tag != 0 && !entry.tags().contains(&tag)
        };
        let taken = entry.unsold_seats().map(|seat| seat.index);
        let taken = taken.filter(|&seat| event.seat_state(seat) != PlaceState::Open || is_foreign(seat));
        let mut lost: Vec<PlaceInTheWay> = taken.chain(entry.lost().0.iter().copied()).map(named).collect();
        let mut wanted: Vec<((u16, u8), u32)> = Vec::new();
        for admission in entry.unsold_admissions() {
            let (of, quantity) = ((admission.area, admission.source), u32::from(admission.quantity));
            match wanted.iter_mut().find(|(other, _)| *other == of) {
                Some((_, sum)) => *sum += quantity,
                None => wanted.push((of, quantity)),
            }
        }
        let access = Access::without_window(event, &AllocationKeys::default());
        let missing =
            wanted.iter().map(|&((area, source), quantity)| (area, quantity.saturating_sub(access.room(area, source))));
        // A hold keeps areas as its request named them, and a revised plan may move them: the answer has one order.
        for (area, quantity) in merged(missing).into_iter().filter(|(_, quantity)| *quantity > 0) {
            lost.push(PlaceInTheWay { place: Moved::Area { area, quantity }, state: event.area_state(area) });
        }
        let limit = event.settings.policies.places_per_customer_max;
        let (places, _) = event.customer(entry.customer);
        let more = unsold_count(entry);
        let over = limit > 0 && entry.customer.is_some() && places + more > limit;
        let (seats, admissions): (SeatIndexes, Admissions) =
            (entry.unsold_seats().map(|seat| seat.index).collect(), entry.unsold_admissions().collect());
        let taken = Bundle { seats: &seats, admissions: &admissions };
        let over = over
            || event.judge_levels(entry.customer, taken, Bundle::default()).is_err()
            || event.judge_quotas(taken, Bundle::default()).is_err();
        if probe::planted!(ReclaimBlind) {
            lost.clear();
        }
        if !lost.is_empty() || entry.lost_count() > 0 || more == 0 || over {
            return Err(Reject::HoldExpired { executed: false, places_lost: lost });
        }
        let confirmed = Confirmed {
            hold_id: confirm.hold_id,
            request: confirm.request_id.map(|id| (id, fingerprint)),
            order: confirm.order.clone(),
            seats: SeatIndexes::new(),
            admissions: Admissions::new(),
            remainder: confirm.remainder,
            reclaimed: true,
            attempt_id: confirm.attempt_id,
            expires_at: None,
        };
        Ok(Decision::Change(event.number, Change::Confirmed(confirmed)))
    }

    fn decide_release(&self, now: TimestampMs, event: &Event, release: &Release) -> Result<Decision, Reject> {
        let entry = self.remembered(now, event, release.hold_id).ok_or(Reject::HoldNotFound)?;
        not_in_open_cart(entry)?;
        let whole = release.part.is_whole();
        let fingerprint = release.fingerprint();
        if !whole && answered_before(entry, release.request_id, fingerprint)? {
            return Ok(self.known(event, entry, true));
        }
        match live_or_ended(now, entry) {
            HoldState::Active => {}
            HoldState::Paying if release.abort_payment => {}
            HoldState::Paying => return Err(Reject::PaymentInProgress),
            HoldState::Released if whole => return Ok(self.known(event, entry, true)),
            HoldState::Released => return Err(Reject::HoldReleased { executed: false }),
            HoldState::Confirmed => return Err(Reject::HoldAlreadyConfirmed { executed: false }),
            HoldState::Expired => return Err(Reject::HoldExpired { executed: false, places_lost: Vec::new() }),
        }
        if let (false, Some(request)) = (whole, release.request_id) {
            not_overtaken(entry, request)?;
        }
        check_part(event, entry, &release.part)?;
        let released = Released {
            hold_id: release.hold_id,
            request: release.request_id.map(|id| (id, fingerprint)),
            seats: release.part.seats.clone(),
            admissions: entry.drawn(&release.part.admissions),
            expires_at: left_after_payment(now, event, entry),
        };
        Ok(Decision::Change(event.number, Change::Released(released)))
    }

    fn decide_begin_payment(&self, now: TimestampMs, event: &Event, begin: &BeginPayment) -> Result<Decision, Reject> {
        let entry = self.remembered(now, event, begin.hold_id).ok_or(Reject::HoldNotFound)?;
        not_in_open_cart(entry)?;
        if entry.knows_attempt(begin.attempt_id) {
            return Ok(self.known(event, entry, true));
        }
        still_active(now, event, entry)?;
        let policies = &event.settings.policies;
        if entry.attempts_used() >= policies.payment_attempts_max {
            return Err(Reject::PaymentAttemptsCap);
        }
        let deadline = now.plus_ms(u64::from(policies.payment_grace_s) * 1_000);
        let began = PaymentBegan { hold_id: begin.hold_id, attempt_id: begin.attempt_id, deadline };
        Ok(Decision::Change(event.number, Change::PaymentBegan(began)))
    }

    fn decide_end_payment(&self, now: TimestampMs, event: &Event, end: &EndPayment) -> Result<Decision, Reject> {
        let entry = self.remembered(now, event, end.hold_id).ok_or(Reject::HoldNotFound)?;
        not_in_open_cart(entry)?;
        let expires_at = left_after_payment(now, event, entry);
        let is_open = entry.open_attempt() == Some(end.attempt_id) && live_or_ended(now, entry) == HoldState::Paying;
        let (Some(expires_at), true) = (expires_at, is_open) else {
            return Ok(self.known(event, entry, entry.knows_attempt(end.attempt_id)));
        };
        let (hold_id, attempt_id, outcome) = (end.hold_id, end.attempt_id, end.outcome);
        let ended = PaymentEnded { hold_id, attempt_id, outcome, expires_at };
        Ok(Decision::Change(event.number, Change::PaymentEnded(ended)))
    }

    fn decide_create(&self, create: &CreateEvent) -> Result<Decision, Reject> {
        create.settings.check().map_err(|(field, problem)| Reject::invalid(Field::Setting(field), problem))?;
        let limits = &create.settings.limits;
        check_names(&limits.by_level, &limits.quotas, &create.plan)?;
        if !matches!(create.settings.state, EventState::Draft | EventState::OnSale) {
            return Err(Reject::invalid(Field::State, "a new event is a draft or on sale"));
        }
        if let Some(event) = self.find(create.key).and_then(|number| self.event(number)) {
            let same = event.id == create.id && event.fingerprint == create.fingerprint();
            return if same {
                Ok(Decision::Event { event: event.number, replayed: true })
            } else {
                Err(Reject::EventExists)
            };
        }
        if self.is_retired(create.key) {
            return Err(Reject::EventExists);
        }
        let created = EventCreated {
            id: create.id.clone(),
            key: create.key,
            plan: create.plan.digest(),
            fingerprint: create.fingerprint(),
            settings: create.settings.clone(),
        };
        Ok(Decision::Change(self.next_event_number(), Change::EventCreated(Box::new(created))))
    }

    fn decide_update(&self, now: TimestampMs, event: &Event, update: &UpdateEvent) -> Result<Decision, Reject> {
        let fingerprint = update.fingerprint();
        if let Some(id) = update.request_id
            && self.judge_request(now, event, id, fingerprint)?
        {
            return Ok(Decision::Event { event: event.number, replayed: true });
        }
        let etag_differs = update.etag.is_some_and(|etag| etag != event.etag());
        let state_differs = update.expected_state.is_some_and(|state| state != event.settings.state);
        if etag_differs || state_differs {
            return Err(Reject::StateMismatch { etag: event.etag() });
        }
        let settings = update.over(&event.settings);
        settings.check().map_err(|(field, problem)| Reject::invalid(Field::Setting(field), problem))?;
        if !event.settings.state.may_become(settings.state) {
            return Err(Reject::invalid(Field::State, "the event cannot go to this state from the one it is in"));
        }
        let plan = update.plan.as_ref().filter(|plan| plan.digest() != event.plan.digest());
        // What is not set may name what a later plan has dropped.
        let (by_level, quotas) = (update.level_limits.as_deref(), update.quotas.as_deref());
        check_names(by_level.unwrap_or_default(), quotas.unwrap_or_default(), plan.unwrap_or(&event.plan))?;
        if let Some(plan) = plan {
            let in_use = places_without(event, plan);
            if !in_use.is_empty() {
                return Err(Reject::PlacesInUse { places: in_use });
            }
        }
        if update.validate_only {
            return Ok(Decision::Event { event: event.number, replayed: false });
        }
        let updated = EventUpdated {
            request: update.request_id.map(|id| (id, fingerprint)),
            plan: plan.map(|plan| plan.digest()),
            settings,
        };
        Ok(Decision::Change(event.number, Change::EventUpdated(Box::new(updated))))
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
fn live_or_ended(now: TimestampMs, entry: &Entry) -> HoldState {
    let lives_on = probe::planted!(ConfirmAtDeadline) && now == entry.until;
    // A part of a cart waits for the cart's decision.
    if entry.is_open_cart() {
        return HoldState::Paying;
    }
    // An open payment that has lapsed leaves the hold active, which its sweep will say; until then it may be confirmed.
    let lives_on = lives_on || now < entry.expires_at();
    if entry.is_live() && now >= entry.until && !lives_on { HoldState::Expired } else { entry.state() }
}

/// A hold that lost places is not sold as if it had them.
fn nothing_lost(event: &Event, entry: &Entry) -> Result<(), Reject> {
    if entry.lost_count() == 0 {
        return Ok(());
    }
    let named = |&seat: &u32| PlaceInTheWay { place: Moved::Seat(seat), state: event.public_state(seat) };
    Err(Reject::PlacesUnavailable { places: entry.lost().0.iter().map(named).collect() })
}

/// When what a paying hold keeps expires, once its payment has ended; `None` when none is open.
fn left_after_payment(now: TimestampMs, event: &Event, entry: &Entry) -> Option<TimestampMs> {
    entry.open_attempt()?;
    let left_ms_min = u64::from(event.settings.policies.payment_left_s_min) * 1_000;
    Some(entry.expires_at().max(now.plus_ms(left_ms_min)))
}

/// Whether this very request was the hold's last.
fn answered_before(entry: &Entry, request: Option<RequestId>, fingerprint: u64) -> Result<bool, Reject> {
    match (request, entry.request()) {
        (Some(id), Some((last, last_fingerprint))) if id == last => {
            if fingerprint == last_fingerprint {
                Ok(true)
            } else {
                Err(Reject::RequestIdReused)
            }
        }
        _ => Ok(false),
    }
}

/// A request older than the hold's last came late.
fn not_overtaken(entry: &Entry, request: RequestId) -> Result<(), Reject> {
    match entry.request() {
        Some((last, _)) if request < last => Err(Reject::RequestIdTooOld),
        _ => Ok(()),
    }
}

fn still_active(now: TimestampMs, event: &Event, entry: &Entry) -> Result<(), Reject> {
    if event.settings.state == EventState::Cancelled {
        return Err(Reject::EventCancelled);
    }
    match live_or_ended(now, entry) {
        HoldState::Active => Ok(()),
        HoldState::Paying => Err(Reject::PaymentInProgress),
        HoldState::Confirmed => Err(Reject::HoldAlreadyConfirmed { executed: false }),
        HoldState::Released => Err(Reject::HoldReleased { executed: false }),
        HoldState::Expired => Err(Reject::HoldExpired { executed: false, places_lost: Vec::new() }),
    }
}

pub(crate) fn check_revision(plan_revision: u32, revision: u32, uses_indexes: bool) -> Result<(), Reject> {
    let stale = if revision == 0 { uses_indexes && plan_revision != 1 } else { revision != plan_revision };
    if stale { Err(Reject::PlanChanged { plan_revision }) } else { Ok(()) }
}

/// The explicit picks, indexes first, with their ticket types.
pub(crate) fn explicit_seats(event: &Event, hold: &Hold) -> Result<Seats, Reject> {
    let by_index = hold.admissions.iter().any(|a| matches!(a.area, AreaName::Index(_))) || !hold.seats.is_empty();
    check_revision(event.plan_revision, hold.plan_revision, by_index)?;
    let plan = &event.plan;
    let kind = |at: usize| hold.ticket_types.get(at).copied().unwrap_or(0);
    let chosen = hold.best.as_ref().map_or(0, |best| usize::from(best.quantity));
    let mut seats = Seats::with_capacity(hold.seats.len() + hold.seat_keys.len() + chosen);
    for (at, &index) in hold.seats.iter().enumerate() {
        if index >= plan.seat_count() {
            return Err(Reject::UnknownPlace { field: Field::Seats, position: at as u32 });
        }
        seats.push(Seat { index, ticket_type: kind(at) });
    }
    for (at, key) in hold.seat_keys.iter().enumerate() {
        let unknown = Reject::UnknownPlace { field: Field::SeatKeys, position: at as u32 };
        let index = plan.find_seat(key).ok_or(unknown)?;
        let position = hold.seats.len() + at;
        if seats.iter().any(|seat| seat.index == index) {
            return Err(Reject::DuplicateSeat { position: position as u32 });
        }
        seats.push(Seat { index, ticket_type: kind(position) });
    }
    Ok(seats)
}

pub(crate) fn areas_of(event: &Event, hold: &Hold) -> Result<SmallVec<[u16; 4]>, Reject> {
    let named = hold.admissions.iter().enumerate().map(|(at, admission)| {
        let found = match &admission.area {
            AreaName::Index(index) => (usize::from(*index) < event.plan.areas().len()).then_some(*index),
            AreaName::Key(key) => event.plan.find_area(key),
        };
        found.ok_or(Reject::UnknownPlace { field: Field::Ga, position: at as u32 })
    });
    named.collect()
}

fn wanted_of(event: &Event, best: &BestAvailable) -> Result<Wanted, Reject> {
    let plan = &event.plan;
    let unknown = |field, at: usize| Reject::UnknownPlace { field, position: at as u32 };
    let levels = best.price_levels.iter().enumerate();
    let levels = levels.map(|(at, name)| plan.find_level(name).ok_or(unknown(Field::PriceLevels, at)));
    let sections = best.sections.iter().enumerate();
    let sections = sections.map(|(at, key)| plan.find_section(key).ok_or(unknown(Field::Sections, at)));
    let zone = best.zone.as_ref().map(|key| plan.find_zone(key).ok_or(unknown(Field::Zone, 0)));
    let (mut levels, mut sections) = (levels.collect::<Result<Vec<_>, _>>()?, sections.collect::<Result<Vec<_>, _>>()?);
    levels.sort_unstable();
    levels.dedup();
    sections.sort_unstable();
    sections.dedup();
    Ok(Wanted {
        quantity: u32::from(best.quantity),
        levels,
        sections,
        zone: zone.transpose()?,
        accessible_count: u32::from(best.accessible_count),
        avoid: Vec::new(),
    })
}

/// Seats among `seats` that are not open, but for those in the sorted list `except`.
pub(crate) fn blocking(event: &Event, seats: impl Iterator<Item = u32>, except: &[u32]) -> Vec<PlaceInTheWay> {
    seats
        .map(|seat| (seat, event.seat_state(seat)))
        .filter(|(seat, state)| *state != PlaceState::Open && except.binary_search(seat).is_err())
        .map(|(seat, state)| PlaceInTheWay { place: Moved::Seat(seat), state })
        .take(NAMED_MAX)
        .collect()
}

/// Admissions granted, one for each area, ticket type and source, in order of first mention. `freed_of`: how many of a
/// source of an area the command gives back.
pub(crate) fn admit(
    access: &Access<'_>,
    hold: &Hold,
    areas: &[u16],
    freed_of: impl Fn(u16, u8) -> u32,
) -> Result<Admissions, Reject> {
    let mut granted = Admissions::with_capacity(areas.len());
    for (wanted, &area) in hold.admissions.iter().zip(areas) {
        let sources = access.sources(area);
        let room = |area, source| access.room(area, source) + freed_of(area, source);
        let left = |&source: &u8| room(area, source) - admissions_of(area, source, granted.iter().copied());
        let open: u32 = sources.iter().map(left).sum();
        let must = u32::from(if wanted.quantity_min == 0 { wanted.quantity } else { wanted.quantity_min });
        if open < must {
            // The public state: what this very command frees or takes is no news to its caller.
            let held = sources.iter().map(|&source| access.held(area, source)).sum();
            let none = held == 0 && sources.iter().all(|&source| access.room(area, source) == 0);
            return Err(if none { Reject::SoldOut } else { Reject::NotEnoughPlaces { held_unpaid: held } });
        }
        // At most 64 in all: the shape check has counted.
        let quantity = u32::from(wanted.quantity).min(open) as u8;
        let wanted = Admission { area, ticket_type: wanted.ticket_type, quantity, source: GENERAL };
        draw(&mut granted, wanted, &sources, room);
    }
    Ok(granted)
}

/// What best available takes.
enum Chosen {
    Seats(Vec<u32>),
    /// General admission for the whole party.
    Area(u16),
}

/// The first rung that fits. `openings`: those of what is reached, if they are known. `room`: how many an area still
/// admits.
fn choose(
    event: &Event,
    asked: &BestAvailable,
    openings: Option<&Openings>,
    taken: Taken<'_>,
    wanted: &Wanted,
    room: impl Fn(u16) -> u32,
) -> Option<(Chosen, Arrangement)> {
    let (plan, rule) = (&event.plan, event.settings.policies.orphan_rule);
    if let Some((seats, how)) = ladder::adjacent(plan, openings, taken, wanted, rule) {
        return Some((Chosen::Seats(seats), how));
    }
    if asked.contiguous_only {
        return None;
    }
    if let Some(seats) = ladder::split(plan, openings, taken, wanted) {
        probe::sometimes!("hold: the party is split");
        return Some((Chosen::Seats(seats), Arrangement::Split));
    }
    if asked.seats_only || wanted.accessible_count > 0 || !wanted.sections.is_empty() {
        return None;
    }
    let area = ladder::nearest_area(plan, wanted, |area| room(area) >= wanted.quantity)?;
    probe::sometimes!("hold: general admission instead of seats");
    Some((Chosen::Area(area), Arrangement::General))
}

/// Whether explicit picks leave a single seat alone where others would not: ADR-0030. `except`: sorted.
fn judge_orphans(access: &Access<'_>, explicit: &[Seat], except: &[u32]) -> Result<(), Reject> {
    let event = access.event();
    let rule = event.settings.policies.orphan_rule;
    if rule == OrphanRule::Off || explicit.is_empty() {
        return Ok(());
    }
    let reached = access.reached();
    let taken = reached.taken(&[], except);
    if !orphan::may_strand(&event.plan, taken, explicit) {
        return Ok(());
    }
    let mut picked: SmallVec<[u32; 16]> = explicit.iter().map(|seat| seat.index).collect();
    picked.sort_unstable();
    let mut stranding = orphan::stranding_pieces(&event.plan, taken, &picked);
    if stranding.any(|piece| has_alternative(event, reached.openings(), taken, &piece, rule)) {
        probe::sometimes!("hold: a single seat would be left alone");
        return Err(Reject::WouldStrand);
    }
    Ok(())
}

/// Whether the run, or by the strict rule the section, offers as many seats of these price levels that strand none.
fn has_alternative(
    event: &Event,
    openings: Option<&Openings>,
    taken: Taken<'_>,
    piece: &Piece,
    rule: OrphanRule,
) -> bool {
    let plan = &event.plan;
    let size = piece.seats.end - piece.seats.start;
    let is_special = |seat: u32| plan.seat_attributes(seat) & (ACCESSIBLE | COMPANION) != 0;
    let may_be_special = piece.seats.clone().any(is_special);
    let mut levels: SmallVec<[u8; 16]> = piece.seats.clone().map(|seat| plan.seat_level(seat)).collect();
    levels.sort_unstable();
    levels.dedup();
    let allowed = |seat: u32| levels.contains(&plan.seat_level(seat)) && (may_be_special || !is_special(seat));
    if orphan::run_offers(&piece.run, size, allowed) {
        return true;
    }
    if rule != OrphanRule::Strict {
        return false;
    }
    let section = plan.rows()[plan.row_of(piece.seats.start) as usize].section;
    if may_be_special {
        let rows = plan.sections()[usize::from(section)].rows.clone();
        let rows = rows.map(|row| &plan.rows()[row as usize]).filter(|row| row.kind == RowKind::Row);
        let mut runs = rows.flat_map(|row| Runs::of_row(plan, taken, row));
        return runs.any(|run| orphan::run_offers(&run, size, allowed));
    }
    let wanted = Wanted { quantity: size, levels: levels.to_vec(), sections: [section].into(), ..Wanted::default() };
    ladder::has_adjacent(plan, openings, taken, &wanted)
}

/// What a hold takes, and what the hold gives that it replaces, for rules that count places.
#[cold]
fn with_bundles(
    seats: &[Seat],
    admissions: &[Admission],
    replaced: Option<&Entry>,
    judge: impl FnOnce(Bundle<'_>, Bundle<'_>) -> Result<(), Reject>,
) -> Result<(), Reject> {
    let seats: SeatIndexes = seats.iter().map(|seat| seat.index).collect();
    let freed_seats: SeatIndexes =
        replaced.iter().flat_map(|entry| entry.unsold_seats()).map(|seat| seat.index).collect();
    let freed_admissions: Admissions = replaced.iter().flat_map(|entry| entry.unsold_admissions()).collect();
    judge(Bundle { seats: &seats, admissions }, Bundle { seats: &freed_seats, admissions: &freed_admissions })
}

/// Allocations that seats are of, sorted.
#[cold]
fn tags_of(event: &Event, seats: &[Seat]) -> Vec<u8> {
    let mut tags: Vec<u8> = seats.iter().map(|seat| event.tag(seat.index)).filter(|&tag| tag != 0).collect();
    tags.sort_unstable();
    tags.dedup();
    tags
}

fn admissions_of(area: u16, source: u8, admissions: impl Iterator<Item = Admission>) -> u32 {
    let of_source = admissions.filter(|admission| (admission.area, admission.source) == (area, source));
    of_source.map(|admission| u32::from(admission.quantity)).sum()
}

/// Why best available found no room: sold out when nothing that matches is open and nothing held.
fn nothing_fits(access: &Access<'_>, wanted: &Wanted, asked: Option<&BestAvailable>) -> Reject {
    let event = access.event();
    let plan = &event.plan;
    let (mut open, mut held) = (event.seats.open, event.seats.held);
    let has_filter = !(wanted.levels.is_empty() && wanted.sections.is_empty() && wanted.zone.is_none());
    if has_filter || !access.best_reaches_all() {
        (open, held) = count_matching(event, &access.reached_by_best(), wanted);
    }
    // General admission could serve the party as well, unless it asked for what only seats give.
    let seats_only = asked.is_some_and(|best| best.seats_only || best.contiguous_only);
    if !seats_only && wanted.accessible_count == 0 && wanted.sections.is_empty() {
        for (at, area) in plan.areas().iter().enumerate() {
            let matches = (wanted.levels.is_empty() || wanted.levels.contains(&area.level))
                && (wanted.zone.is_none() || area.zone == wanted.zone);
            if matches {
                // At most 4,096 areas.
                let area = at as u16;
                for source in access.sources_of_best(area) {
                    open += access.room(area, source);
                    held += access.held(area, source);
                }
            }
        }
    }
    if open == 0 && held == 0 { Reject::SoldOut } else { Reject::NotEnoughPlaces { held_unpaid: held } }
}

/// Seats that pass the filters: how many are open, and how many held.
fn count_matching(event: &Event, reached: &Reached<'_>, wanted: &Wanted) -> (u32, u32) {
    let plan = &event.plan;
    let (mut open, mut held) = (0, 0);
    for block in plan.blocks() {
        let section = &plan.sections()[usize::from(block.section)];
        let matches = (wanted.levels.is_empty() || wanted.levels.contains(&block.level))
            && (wanted.sections.is_empty() || wanted.sections.contains(&block.section))
            && (wanted.zone.is_none() || section.zone == wanted.zone);
        if matches {
            let counted = reached.count(block.first..block.first + block.count);
            (open, held) = (open + counted.0, held + counted.1);
        }
    }
    (open, held)
}

/// Every place named must be held by this hold.
fn check_part(event: &Event, entry: &Entry, part: &Part) -> Result<(), Reject> {
    if part.is_whole() {
        // It names no index.
        return Ok(());
    }
    check_revision(event.plan_revision, part.plan_revision, true)?;
    for (at, &seat) in part.seats.iter().enumerate() {
        if seat >= event.plan.seat_count() {
            return Err(Reject::UnknownPlace { field: Field::Seats, position: at as u32 });
        }
    }
    for (at, admission) in part.admissions.iter().enumerate() {
        if usize::from(admission.area) >= event.plan.areas().len() {
            return Err(Reject::UnknownPlace { field: Field::Ga, position: at as u32 });
        }
    }
    let mut in_the_way: Vec<PlaceInTheWay> = part
        .seats
        .iter()
        .filter(|&&seat| !entry.unsold_seats().any(|held| held.index == seat))
        .map(|&seat| PlaceInTheWay { place: Moved::Seat(seat), state: event.public_state(seat) })
        .collect();
    for wanted in &part.admissions {
        let same = |held: &Admission| (held.area, held.ticket_type) == (wanted.area, wanted.ticket_type);
        let held: u32 = entry.unsold_admissions().filter(same).map(|a| u32::from(a.quantity)).sum();
        let quantity = u32::from(wanted.quantity);
        if held < quantity {
            let is_open = event.area_room(wanted.area) > 0;
            let state = if is_open { PlaceState::Open } else { event.area_state(wanted.area) };
            in_the_way
                .push(PlaceInTheWay { place: Moved::Area { area: wanted.area, quantity: quantity - held }, state });
        }
    }
    if in_the_way.is_empty() { Ok(()) } else { Err(Reject::PlacesUnavailable { places: in_the_way }) }
}

/// Held and sold places of the event that `plan` does not have, at most 64.
fn places_without(event: &Event, plan: &crate::plan::Plan) -> Vec<PlaceInTheWay> {
    let old = &event.plan;
    let seats = (0..old.seat_count())
        .map(|seat| (seat, event.seat_state(seat)))
        // What is killed may go with the plan.
        .filter(|(_, state)| matches!(state, PlaceState::Held | PlaceState::Sold))
        .filter(|(seat, _)| plan.find_seat(old.seat_key(*seat)).is_none())
        .map(|(seat, state)| PlaceInTheWay { place: Moved::Seat(seat), state });
    let areas = old.areas().iter().zip(&event.areas).enumerate().filter_map(|(at, (area, counts))| {
        let capacity = plan.find_area(&area.key).map_or(0, |new| plan.areas()[usize::from(new)].capacity);
        let over = (counts.held + counts.sold).saturating_sub(capacity);
        let state = counts.state_of_taken();
        (over > 0).then_some(PlaceInTheWay { place: Moved::Area { area: at as u16, quantity: over }, state })
    });
    seats.chain(areas).take(NAMED_MAX).collect()
}

/// Places not sold.
pub(crate) fn unsold_count(entry: &Entry) -> u32 {
    entry.unsold_seats().count() as u32 + entry.unsold_admissions().map(|a| u32::from(a.quantity)).sum::<u32>()
}

/// Admissions, one for each area and ticket type: what they were drawn from is the house's business.
pub(crate) fn without_sources(admissions: impl Iterator<Item = Admission>) -> Admissions {
    let mut merged = Admissions::new();
    for admission in admissions {
        let same = |has: &&mut Admission| (has.area, has.ticket_type) == (admission.area, admission.ticket_type);
        match merged.iter_mut().find(same) {
            Some(has) => has.quantity += admission.quantity,
            None => merged.push(Admission { source: GENERAL, ..admission }),
        }
    }
    merged
}

/// A hold as its caller may see it.
pub(crate) fn view(event: &Event, entry: &Entry) -> HoldView {
    let live = entry.is_live();
    let sold = |word: &&u32| **word & SOLD != 0;
    HoldView {
        hold_id: entry.hold_id(),
        state: entry.state(),
        cause: entry.cause(),
        seats: if live { entry.unsold_seats().collect() } else { Seats::new() },
        admissions: if live { without_sources(entry.unsold_admissions()) } else { Admissions::new() },
        sold_seats: entry.seat_words().iter().filter(sold).map(|&word| Seat::from_word(word)).collect(),
        sold_admissions: without_sources(
            entry.admission_words().iter().filter(sold).map(|&word| Admission::from_word(word)),
        ),
        created_at: entry.created_at,
        expires_at: if live { entry.expires_at() } else { TimestampMs(0) },
        payment_deadline: if entry.state() == HoldState::Paying { entry.until } else { TimestampMs(0) },
        places_lost: entry.lost_count(),
        payment_attempts_left: event.settings.policies.payment_attempts_max.saturating_sub(entry.attempts_used()),
        ended_at: entry.ended_at,
        renewals_left: event.settings.policies.renewals_max.saturating_sub(u32::from(entry.renewals)),
        plan_revision: event.plan_revision,
        orders: entry.orders().cloned().collect(),
        arrangement: entry.arrangement(),
        cart: entry.cart().cloned(),
    }
}

impl HoldView {
    /// Why the hold ended, or that it has not.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.cause != HoldCause::None
    }
}
