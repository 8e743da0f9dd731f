//! Holds that expired unpaid, by customer: credits that are spent and come back with time.
//!
//! Not here: which expiries count (`apply.rs`). Choices: ADR-0037.

use alloc::collections::BTreeMap;

use crate::{
    ids::{CustomerKey, TimestampMs},
    policy::Policies,
    reject::Reject,
};

/// Customers are forgotten when there are twice as many as there were after the last time, and at least so many.
const FORGETTING_MIN: usize = 1_024;

/// Credits that a customer has spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spent {
    pub(crate) credits: u32,
    /// Since when the next one is coming back.
    pub(crate) since: TimestampMs,
}

impl Spent {
    /// What is still spent at this time.
    fn at(self, now: TimestampMs, policies: &Policies) -> Spent {
        let refill_ms = u64::from(policies.abandon_refill_s) * 1_000;
        let back = now.0.saturating_sub(self.since.0) / refill_ms;
        // No more than what was spent.
        let back = back.min(u64::from(self.credits));
        Spent { credits: self.credits - back as u32, since: self.since.plus_ms(back * refill_ms) }
    }
}

/// What the customers of an event have spent. Those who have all of theirs back may still be in it: whoever looks asks for
/// a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Abandoned {
    customers: BTreeMap<CustomerKey, Spent>,
    customers_max: usize,
}

impl Abandoned {
    /// A hold of a customer expired unpaid.
    pub(crate) fn spend(&mut self, now: TimestampMs, customer: CustomerKey, policies: &Policies) {
        if policies.abandon_credits_max == 0 || !customer.is_some() {
            return;
        }
        if self.customers.len() >= self.customers_max.max(FORGETTING_MIN) {
            self.customers.retain(|_, spent| spent.at(now, policies).credits > 0);
            self.customers_max = 2 * self.customers.len();
        }
        let spent = self.customers.entry(customer).or_insert(Spent { credits: 0, since: now });
        *spent = spent.at(now, policies);
        if spent.credits == 0 {
            spent.since = now;
        }
        spent.credits = policies.abandon_credits_max.min(spent.credits + 1);
    }

    /// Whether a customer has a credit left.
    pub(crate) fn judge(&self, now: TimestampMs, customer: CustomerKey, policies: &Policies) -> Result<(), Reject> {
        let Some(spent) = self.customers.get(&customer) else { return Ok(()) };
        let spent = spent.at(now, policies);
        if policies.abandon_credits_max == 0 || spent.credits < policies.abandon_credits_max {
            return Ok(());
        }
        let next = spent.since.plus_ms(u64::from(policies.abandon_refill_s) * 1_000);
        Err(Reject::HoldCooldown { retry_after_ms: next.0 - now.0 })
    }

    /// The policies are others from now on: what came back by the old ones has come back, and nobody has spent more than
    /// there are. So an image, which has what is spent at its time, goes on as what it was made of does.
    pub(crate) fn change(&mut self, now: TimestampMs, old: &Policies, new: &Policies) {
        let is_same = |policy: fn(&Policies) -> u32| policy(old) == policy(new);
        if is_same(|policies| policies.abandon_credits_max) && is_same(|policies| policies.abandon_refill_s) {
            return;
        }
        for spent in self.customers.values_mut() {
            *spent = spent.at(now, old);
            spent.credits = spent.credits.min(new.abandon_credits_max);
        }
        self.customers.retain(|_, spent| spent.credits > 0);
    }

    /// Those who have spent some at this time.
    pub(crate) fn at(&self, now: TimestampMs, policies: &Policies) -> impl Iterator<Item = (CustomerKey, Spent)> {
        let all = self.customers.iter().map(move |(&customer, spent)| (customer, spent.at(now, policies)));
        all.filter(|(_, spent)| spent.credits > 0)
    }

    /// What an image has of it.
    pub(crate) fn restore(&mut self, customer: CustomerKey, spent: Spent) -> bool {
        self.customers.insert(customer, spent).is_none()
    }
}
