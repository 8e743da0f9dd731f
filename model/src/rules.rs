//! Limits by price level, shared quotas, and holds that were abandoned.
//!
//! What a customer has of a level, and what of a quota is held and sold, is counted over the holds each time, by the
//! levels of the plan of now. Of abandoned holds their times are kept, and what they cost is added up anew.
//!
//! Not here: the limits by customer that know no level (`judging.rs`).

use inventory_core::{
    ids::{CustomerKey, HoldId, TimestampMs},
    plan::Plan,
    policy::{Limits, Policies, SharedQuota},
    reject::{Field, Reject},
};

use crate::{event::Event, hold::Hold};

/// A seat, or an admission to an area.
#[derive(Clone, Copy)]
pub(crate) enum At {
    Seat(u32),
    Area(u16),
}

/// What happened to the credits of customers, in its order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Abandoned(Vec<(TimestampMs, Happened)>);

#[derive(Clone, Debug)]
enum Happened {
    /// A hold of the customer expired.
    Expired(CustomerKey),
    /// From then on there are so many credits, and one comes back in so many milliseconds.
    Changed(u64, u64),
}

impl Abandoned {
    /// The hold has expired.
    pub(crate) fn note(&mut self, now: TimestampMs, hold: &Hold) {
        if hold.customer.is_some() && hold.sold_count() == 0 && !hold.ever_paid() {
            self.0.push((now, Happened::Expired(hold.customer)));
        }
    }

    /// The event has these policies from now on.
    pub(crate) fn change(&mut self, now: TimestampMs, policies: &Policies) {
        let refill_ms = u64::from(policies.abandon_refill_s) * 1_000;
        self.0.push((now, Happened::Changed(u64::from(policies.abandon_credits_max), refill_ms)));
    }

    /// How long it is until the customer has a credit again; zero: there is one, or none are counted.
    fn wait_ms(&self, now: TimestampMs, customer: CustomerKey) -> u64 {
        let (mut credits_max, mut refill_ms) = (0, 1);
        let (mut spent, mut since) = (0, TimestampMs(0));
        for (time, happened) in &self.0 {
            (spent, since) = come_back(spent, since, *time, refill_ms);
            match happened {
                Happened::Changed(credits, refill) => (credits_max, refill_ms) = (*credits, *refill),
                Happened::Expired(of) => spent += u64::from(*of == customer),
            }
            // Nobody is without more than there are.
            spent = spent.min(credits_max);
        }
        (spent, since) = come_back(spent, since, now, refill_ms);
        if credits_max > 0 && spent == credits_max { refill_ms - now.since(since) } else { 0 }
    }
}

/// One by one.
fn come_back(spent: u64, since: TimestampMs, now: TimestampMs, refill_ms: u64) -> (u64, TimestampMs) {
    let back = now.since(since) / refill_ms;
    if back >= spent { (0, now) } else { (spent - back, since.plus_ms(back * refill_ms)) }
}

/// Names of limits and quotas that are set are those of the plan.
pub(crate) fn check_names(limits: &Limits, plan: &Plan, level_limits: bool, quotas: bool) -> Result<(), Reject> {
    let unknown = |field| Err(Reject::invalid(Field::Setting(field), "must name what the plan has"));
    if level_limits && limits.by_level.iter().any(|limit| plan.find_level(&limit.level).is_none()) {
        return unknown("level_limits");
    }
    let has_all = |quota: &SharedQuota| {
        quota.levels.iter().all(|level| plan.find_level(level).is_some())
            && quota.areas.iter().all(|area| plan.find_area(area).is_some())
    };
    if quotas && !limits.quotas.iter().all(has_all) { unknown("quotas") } else { Ok(()) }
}

impl Event {
    /// All limits on the places of a customer, when these are added to theirs.
    pub(crate) fn check_customer(&self, taking: &Hold, without: Option<HoldId>) -> Result<(), Reject> {
        self.check_customer_places(taking.customer, taking.held_count(), without)?;
        for limit in &self.settings.limits.by_level {
            let covers = |at: At| self.level_at(at) == &*limit.level;
            let (more, _) = self.count(taking, &covers);
            let of_customer = |hold: &&Hold| hold.customer == taking.customer && Some(hold.id) != without;
            let has: u32 = self.holds.values().filter(of_customer).map(|hold| self.taken(hold, &covers)).sum();
            if taking.customer.is_some() && more > 0 && has + more > limit.places_max {
                let level = Some(limit.level.clone());
                return Err(Reject::CustomerLimit { places_max: limit.places_max, level });
            }
        }
        Ok(())
    }

    /// Every quota has room for these. `public` is the event as those see it who are told what is in the way.
    pub(crate) fn check_quotas(&self, taking: &Hold, without: Option<HoldId>, public: &Event) -> Result<(), Reject> {
        for quota in &self.settings.limits.quotas {
            let (more, _) = self.count(taking, &|at| self.is_of(quota, at));
            let (held, sold) = self.use_of(quota, without);
            if more > 0 && held + sold + more > quota.places_max {
                let (held, sold) = public.use_of(quota, None);
                let name = Some(quota.name.clone());
                return Err(if held == 0 && sold >= quota.places_max {
                    Reject::SoldOut { quota: name }
                } else {
                    Reject::NotEnoughPlaces { held_unpaid: held, quota: name }
                });
            }
        }
        Ok(())
    }

    /// Every quota has room for these seats and so many admissions of an area.
    pub(crate) fn check_quotas_for(&self, seats: &[u32], of_area: Option<(u16, u32)>) -> Result<(), Reject> {
        for quota in &self.settings.limits.quotas {
            let seats = seats.iter().filter(|&&seat| self.is_of(quota, At::Seat(seat))).count() as u32;
            let admitted = of_area.filter(|(area, _)| self.is_of(quota, At::Area(*area))).map_or(0, |(_, more)| more);
            let (held, sold) = self.use_of(quota, None);
            if seats + admitted > 0 && held + sold + seats + admitted > quota.places_max {
                let quota_name = Some(quota.name.clone());
                return Err(match held {
                    0 if sold >= quota.places_max => Reject::SoldOut { quota: quota_name },
                    _ => Reject::NotEnoughPlaces { held_unpaid: held, quota: quota_name },
                });
            }
        }
        Ok(())
    }

    /// The customer has not left too many holds to expire.
    pub(crate) fn check_abandoned(&self, now: TimestampMs, customer: CustomerKey) -> Result<(), Reject> {
        match self.abandoned.wait_ms(now, customer) {
            0 => Ok(()),
            retry_after_ms => Err(Reject::HoldCooldown { retry_after_ms }),
        }
    }

    fn level_at(&self, at: At) -> &str {
        let level = match at {
            At::Seat(seat) => self.plan.seat_level(seat),
            At::Area(area) => self.plan.areas()[usize::from(area)].level,
        };
        &self.plan.price_levels()[usize::from(level)]
    }

    fn is_of(&self, quota: &SharedQuota, at: At) -> bool {
        let by_area = match at {
            At::Seat(_) => false,
            At::Area(area) => quota.areas.contains(&self.plan.areas()[usize::from(area)].key),
        };
        by_area || quota.levels.iter().any(|level| **level == *self.level_at(at))
    }

    /// Held and sold places of a quota, together with those that rest.
    fn use_of(&self, quota: &SharedQuota, without: Option<HoldId>) -> (u32, u32) {
        let covers = |at: At| self.is_of(quota, at);
        let (mut held, mut sold) = (self.resting_count(&covers), 0);
        for hold in self.holds.values().filter(|hold| Some(hold.id) != without) {
            let (of_held, of_sold) = self.count(hold, &covers);
            held += if hold.is_live() { of_held } else { 0 };
            sold += of_sold;
        }
        (held, sold)
    }

    /// What a hold that is known has taken.
    fn taken(&self, hold: &Hold, covers: &dyn Fn(At) -> bool) -> u32 {
        let (held, sold) = self.count(hold, covers);
        if hold.is_live() { held + sold } else { sold }
    }

    /// Held places of the hold, or those it held when it ended, and sold ones. What the plan does not have is of no
    /// level.
    fn count(&self, hold: &Hold, covers: &dyn Fn(At) -> bool) -> (u32, u32) {
        let covers_seat = |key: &str| self.plan.find_seat(key).is_some_and(|seat| covers(At::Seat(seat)));
        let mut held = hold.held_seats().filter(|seat| covers_seat(&seat.key)).count() as u32;
        let mut sold = hold.sold_seats().filter(|seat| covers_seat(&seat.key)).count() as u32;
        for ((area, _), admitted) in &hold.admissions {
            if self.plan.find_area(area).is_some_and(|area| covers(At::Area(area))) {
                held += admitted.held.count();
                sold += admitted.sold_count();
            }
        }
        (held, sold)
    }
}
