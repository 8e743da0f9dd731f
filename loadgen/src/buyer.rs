use std::time::{Duration, Instant};

use client::{Client, Confirmed, Error, Held, HoldId, HoldRequest, PlaceInTheWay, Reason, Refusal};
use parking_lot::Mutex;
use proto::inventory::v1::Arrangement;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::board::{self, HELD, OPEN, SOLD};
use crate::ledger::{Fact, StrandedFact};
use crate::measure::{Kind, Measure};
use crate::options::Scenario;
use crate::payer::Payer;
use crate::picks::{self, Habit, Leftover};
use crate::presale;
use crate::sale::Sale;

/// One in ten who point at something point at standing room.
const STANDING_PERCENT: u32 = 10;

/// One customer after the other, as one task.
pub(crate) struct Buyer<'a> {
    sale: &'a Sale,
    client: &'a Client,
    measure: &'a Mutex<Measure>,
    rng: SmallRng,
    number: u64,
    visits: u64,
}

/// What a customer asks for.
#[derive(Debug)]
struct Wish {
    request: HoldRequest,
    /// The seats it points at.
    seats: Vec<u32>,
    places: u64,
    /// The server chooses.
    best: bool,
    /// With the key of the presale.
    presale: bool,
}

impl Wish {
    fn seats(request: HoldRequest, seats: Vec<u32>) -> Self {
        Self {
            request: request.seats(seats.iter().copied()),
            places: seats.len() as u64,
            seats,
            best: false,
            presale: false,
        }
    }

    fn area(request: HoldRequest, area: u32, quantity: u32) -> Self {
        Self {
            request: request.ga(area, quantity),
            seats: Vec::new(),
            places: u64::from(quantity),
            best: false,
            presale: false,
        }
    }

    fn best(request: HoldRequest, quantity: u32, presale: bool) -> Self {
        let request = request.best_available(quantity);
        let request = if presale { request.allocation_keys([presale::KEY]) } else { request };
        Self { request, seats: Vec::new(), places: u64::from(quantity), best: true, presale }
    }

    /// So many places, the very seats that were named, and an arrangement if there was something to arrange.
    fn is_granted_by(&self, held: &Held) -> bool {
        held.place_count() == self.places
            && (self.seats.is_empty() || held.seats == self.seats)
            && self.best == (held.arrangement != Arrangement::Unspecified)
    }
}

/// What a visit came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Visit {
    /// The next customer may come.
    Over,
    /// There is nothing to have until the seat map is read again.
    NothingToHave,
}

impl<'a> Buyer<'a> {
    pub(crate) fn new(sale: &'a Sale, client: &'a Client, measure: &'a Mutex<Measure>, number: u64) -> Self {
        // Neighbouring seeds of this generator are unrelated.
        let rng = SmallRng::seed_from_u64(sale.options.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(number));
        Self { sale, client, measure, rng, number, visits: 0 }
    }

    /// Customers until the sale is over.
    pub(crate) async fn run(mut self) {
        while !self.sale.is_over() {
            if self.visit(None).await == Visit::NothingToHave {
                self.sale.next_reading().await;
            }
        }
    }

    /// One customer. Latency of the hold is counted from `intended`, if the visit had a time to begin.
    pub(crate) async fn visit(&mut self, intended: Option<Instant>) -> Visit {
        self.visits += 1;
        let Some(wish) = self.wish() else { return Visit::NothingToHave };
        let id = self.client.ids().hold_id();
        let request = wish.request.clone().id(id);
        let started = intended.unwrap_or_else(Instant::now);
        let result = self.sale.patience().ask(|| self.client.hold(request.clone())).await;
        self.measure.lock().outcome(Kind::Hold, started.elapsed(), &result);
        match result {
            Ok(held) => {
                if !wish.is_granted_by(&held) {
                    let (name, ga) = (held.hold_ref(), &held.ga);
                    self.sale.wrong_answer(format!("hold {name}: asked for {wish:?}, got {:?} and {ga:?}", held.seats));
                }
                // Who is picky does not hear of others' luck before the map is read again: so they meet.
                if self.sale.options.scenario != Scenario::Picky {
                    self.sale.board.mark(held.seats.iter().copied(), HELD);
                }
                self.sale.note(Fact::held(&held, wish.best.then_some(wish.places), wish.presale));
                self.decide(held).await;
                Visit::Over
            }
            Err(Error::Refused(refusal)) if !refusal_is_unknown(&refusal) => self.refused(&refusal, wish),
            Err(error) => {
                if error.outcome_unknown() {
                    self.sale.note(Fact::unknown(id, Kind::Hold, None));
                } else {
                    self.sale.fail(format!("a hold cannot be sent: {error}"));
                }
                Visit::Over
            }
        }
    }

    fn wish(&mut self) -> Option<Wish> {
        let sale = self.sale;
        let (least, most) = sale.options.hold_ttl().into_inner();
        let ttl = if least < most { self.rng.random_range(least..=most) } else { least };
        let request = HoldRequest::new(&sale.house.event_id)
            .customer(format!("b{}-{}", self.number, self.visits))
            .ttl(ttl)
            .plan_revision(sale.house.plan_revision);
        let scenario = sale.options.scenario;
        let has_key = sale.options.presale.is_some_and(|percent| self.chance(percent));
        // Who finds all of it sold goes where the others go.
        let presale = sale.options.presale.is_some() && has_key != sale.is_sold_out(has_key);
        if sale.is_sweeping() && scenario == Scenario::Best {
            // One at a time is how the ladder gives away the last seats.
            return Some(Wish::best(request, 1, presale));
        }
        if sale.is_sweeping() {
            let leftover = sale.board.take_leftover(|count| self.rng.random_range(0..count))?;
            return Some(match leftover {
                Leftover::Seats { first, count } => Wish::seats(request, (first..first + count).collect()),
                Leftover::Area { area, quantity } => Wish::area(request, area, quantity),
            });
        }
        let mut party = sale.party.draw(&mut self.rng).min(sale.house.places_per_hold_max);
        if !self.chance(sale.options.best()) {
            if sale.house.area_count > 0 && self.chance(STANDING_PERCENT) {
                #[expect(clippy::cast_possible_truncation, reason = "there are at most some thousand areas")]
                let area = self.rng.random_range(0..sale.house.area_count) as u32;
                return Some(Wish::area(request, area, party));
            }
            let habit = if scenario == Scenario::Picky { Habit::PICKY } else { Habit::CROWD };
            loop {
                let pick = |codes: &[u8], front: &mut usize| {
                    picks::explicit(&sale.house, codes, front, party, habit, &mut self.rng)
                };
                if let Some(seats) = sale.board.pick(pick) {
                    return Some(Wish::seats(request, seats));
                }
                if scenario != Scenario::Picky {
                    break;
                }
                // Who wants seats of their own choice and finds none for all comes with fewer.
                party -= 1;
                if party == 0 {
                    return None;
                }
            }
        }
        Some(Wish::best(request, party, presale))
    }

    /// A hold is made: what becomes of it?
    async fn decide(&mut self, held: Held) {
        let options = &self.sale.options;
        if options.scenario == Scenario::Payments {
            return Payer::new(self.sale, self.client, self.measure, &mut self.rng).pay(&held).await;
        }
        // The last places are bought by people who want them: otherwise the end of a sale is a matter of waiting.
        let point = if self.sale.is_sweeping() { 100 } else { self.rng.random_range(0..100) };
        if point < options.abandon() {
            return;
        }
        let (least, most) = (*options.confirm_delay.start(), *options.confirm_delay.end());
        let delay = if least < most { self.rng.random_range(least..=most) } else { least };
        if delay > Duration::ZERO {
            tokio::time::sleep(delay).await;
        }
        if point < options.abandon() + options.release() {
            return self.release(&held).await;
        }
        if self.chance(options.extend) {
            self.extend(&held).await;
        }
        self.confirm(&held).await;
    }

    async fn confirm(&self, held: &Held) {
        let order = format!("L-{}", held.hold_ref());
        let started = Instant::now();
        let result = self.sale.patience().ask(|| self.client.confirm(held.confirm(&order))).await;
        self.measure.lock().outcome(Kind::Confirm, started.elapsed(), &result);
        match result {
            Ok(answer) => {
                let confirmed = whole(held, answer);
                if confirmed.seats != held.seats {
                    let (name, sold) = (held.hold_ref(), &confirmed.seats);
                    self.sale.wrong_answer(format!("hold {name}: held {:?}, sold {sold:?}", held.seats));
                }
                self.sale.board.mark(confirmed.seats.iter().copied(), SOLD);
                self.sale.note(Fact::confirmed(held.id, &order, &confirmed));
            }
            Err(error) => self.ended(held.id, Kind::Confirm, Some(&order), &error),
        }
    }

    async fn release(&self, held: &Held) {
        let started = Instant::now();
        let result = self.sale.patience().ask(|| self.client.release(held.release())).await;
        self.measure.lock().outcome(Kind::Release, started.elapsed(), &result);
        match result {
            Ok(released) => {
                self.sale.board.mark(held.seats.iter().copied(), OPEN);
                self.sale.note(Fact::Released {
                    hold: held.id.to_string(),
                    position: released.position,
                    exact: !released.replayed,
                });
            }
            Err(error) => self.ended(held.id, Kind::Release, None, &error),
        }
    }

    async fn extend(&self, held: &Held) {
        let id = self.client.ids().request_id();
        let started = Instant::now();
        let request = held.extend(*self.sale.options.hold_ttl().end()).request_id(id);
        let result = self.sale.patience().ask(|| self.client.extend(request.clone())).await;
        self.measure.lock().outcome(Kind::Extend, started.elapsed(), &result);
        if let Ok(extended) = result {
            let expires_at_ms = extended.expires_at_ms;
            self.sale.note(Fact::Extended { hold: held.id.to_string(), expires_at_ms });
        }
    }

    /// A confirm or release did not succeed.
    fn ended(&self, hold: HoldId, kind: Kind, order: Option<&str>, error: &Error) {
        match error.refusal() {
            Some(refusal) if !refusal_is_unknown(refusal) => self.sale.note(Fact::Ended {
                hold: hold.to_string(),
                reason: refusal.reason_name.clone(),
                server_time_ms: refusal.server_time_ms,
            }),
            _ => self.sale.note(Fact::unknown(hold, kind, order)),
        }
    }

    fn refused(&self, refusal: &Refusal, wish: Wish) -> Visit {
        let scenario = self.sale.options.scenario;
        match refusal.reason {
            // Only a Session tells where a refusal is true.
            Reason::WouldStrand if refusal.position > 0 => {
                let (position, server_time_ms) = (refusal.position, refusal.server_time_ms);
                self.sale.note(Fact::Stranded(StrandedFact { seats: wish.seats, position, server_time_ms }));
                Visit::Over
            }
            // Nothing that the server would choose is left, nor can it come back.
            Reason::SoldOut if scenario == Scenario::Best => {
                self.sale.sold_out(wish.presale);
                Visit::NothingToHave
            }
            Reason::PlacesUnavailable => {
                for place in &refusal.places {
                    if let PlaceInTheWay::Seat { index, state } = place
                        && let Some(code) = board::code_of(*state)
                    {
                        self.sale.board.mark([*index], code);
                    }
                }
                Visit::Over
            }
            // A full area says nothing of the seats.
            Reason::NotEnoughPlaces | Reason::SoldOut
                if !wish.best && matches!(scenario, Scenario::Picky | Scenario::Payments) =>
            {
                Visit::Over
            }
            Reason::NotEnoughPlaces | Reason::SoldOut => {
                self.sale.sweep();
                Visit::NothingToHave
            }
            // Somebody sold the neighbours meanwhile, or these are limits of one customer or one moment.
            Reason::WouldStrand
            | Reason::NotInAllocation
            | Reason::CustomerLimit
            | Reason::HoldQuota
            | Reason::HoldIdTooOld
            | Reason::HoldIdFromFuture
            | Reason::HoldExpired
            | Reason::HoldReleased => Visit::Over,
            Reason::SaleNotOpen
            | Reason::SalePaused
            | Reason::RateLimited
            | Reason::HoldCooldown
            | Reason::CapacityBudget => Visit::NothingToHave,
            _ if refusal.reason_number / 100 == 8 => Visit::NothingToHave,
            _ => {
                self.sale.fail(format!("a hold was refused for good: {refusal}"));
                Visit::Over
            }
        }
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100) < percent
    }
}

pub(crate) fn refusal_is_unknown(refusal: &Refusal) -> bool {
    refusal.executed == client::Executed::Unknown
}

/// A whole confirm sells what was held, whether or not the answer repeats it.
pub(crate) fn whole(held: &Held, mut confirmed: Confirmed) -> Confirmed {
    if confirmed.seats.is_empty() && confirmed.ga.is_empty() {
        confirmed.seats.clone_from(&held.seats);
        confirmed.ga.clone_from(&held.ga);
    }
    confirmed
}
