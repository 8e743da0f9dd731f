//! The rules of an event as options.

use std::time::Duration;

use clap::{Args, ValueEnum};
use proto::admin::v1::EventPolicies;
use proto::inventory::v1::OrphanRule;

use crate::duration;

/// Rules of the event; what is not given takes its default, or stays as it is.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Rules")]
pub(crate) struct PolicyOptions {
    /// Time to live of a hold that asks for none (default 10m; 1s to 2h)
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) hold_ttl: Option<Duration>,
    /// Longest life of a hold with all extensions (default 2h; at most 24h)
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) lifetime_max: Option<Duration>,
    /// How often a hold may be extended (default 10; at most 100)
    #[arg(long, value_name = "N")]
    pub(crate) renewals: Option<u32>,
    /// How long a payment may take (default 15m; 1m to 90m)
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) payment_grace: Option<Duration>,
    /// How many payments may be begun on a hold (default 3; 1 to 8)
    #[arg(long, value_name = "N")]
    pub(crate) payment_attempts: Option<u32>,
    /// What a hold has left at least after a failed payment (default 2m; at most 10m)
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) payment_min_left: Option<Duration>,
    /// Most places in one hold (default 10; at most 64)
    #[arg(long, value_name = "N")]
    pub(crate) places_per_hold: Option<u32>,
    /// Most places of one customer, held and sold (default 0: no limit)
    #[arg(long, value_name = "N")]
    pub(crate) places_per_customer: Option<u32>,
    /// Most live holds of one customer (default 0: no limit)
    #[arg(long, value_name = "N")]
    pub(crate) holds_per_customer: Option<u32>,
    /// What to do about picks that leave a single seat alone (default lenient)
    #[arg(long, value_name = "RULE", value_enum)]
    pub(crate) orphan_rule: Option<OrphanChoice>,
    /// How long a repeated command is recognised (default 5m; 1m to 24h)
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) retry_window: Option<Duration>,
    /// Longest rest of a place after its hold expired, each a time of its own (default 0s; at most 10m)
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) cooling_max: Option<Duration>,
    /// Holds of one customer that may expire unpaid before the next must wait (default 0: no limit; at most 100)
    #[arg(long, value_name = "N")]
    pub(crate) abandon_credits_max: Option<u32>,
    /// Until one of them is forgiven (default 10m; 1s to 24h)
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) abandon_refill: Option<Duration>,
}

/// What to do about picks that leave a single seat alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OrphanChoice {
    /// Never refuse
    Off,
    /// Refuse if the same run of open seats has a pick that strands none
    Lenient,
    /// Refuse if the section has, at the same price levels, a pick that strands none
    Strict,
}

impl OrphanChoice {
    fn to_wire(self) -> OrphanRule {
        match self {
            OrphanChoice::Off => OrphanRule::Off,
            OrphanChoice::Lenient => OrphanRule::Lenient,
            OrphanChoice::Strict => OrphanRule::Strict,
        }
    }
}

impl PolicyOptions {
    /// As the wire wants it, with the paths of what is set for an update mask.
    pub(crate) fn to_wire(&self) -> (EventPolicies, Vec<String>) {
        let policies = EventPolicies {
            hold_ttl: self.hold_ttl.map(duration::to_wire),
            lifetime_max: self.lifetime_max.map(duration::to_wire),
            renewals_max: self.renewals,
            payment_grace: self.payment_grace.map(duration::to_wire),
            payment_attempts_max: self.payment_attempts,
            payment_min_left: self.payment_min_left.map(duration::to_wire),
            places_per_hold_max: self.places_per_hold,
            places_per_customer_max: self.places_per_customer,
            holds_per_customer_max: self.holds_per_customer,
            orphan_rule: self.orphan_rule.map_or(OrphanRule::Unspecified, OrphanChoice::to_wire) as i32,
            retry_window: self.retry_window.map(duration::to_wire),
            cooling_max: self.cooling_max.map(duration::to_wire),
            abandon_credits_max: self.abandon_credits_max,
            abandon_refill: self.abandon_refill.map(duration::to_wire),
        };
        let set = [
            (self.hold_ttl.is_some(), "hold_ttl"),
            (self.lifetime_max.is_some(), "lifetime_max"),
            (self.renewals.is_some(), "renewals_max"),
            (self.payment_grace.is_some(), "payment_grace"),
            (self.payment_attempts.is_some(), "payment_attempts_max"),
            (self.payment_min_left.is_some(), "payment_min_left"),
            (self.places_per_hold.is_some(), "places_per_hold_max"),
            (self.places_per_customer.is_some(), "places_per_customer_max"),
            (self.holds_per_customer.is_some(), "holds_per_customer_max"),
            (self.orphan_rule.is_some(), "orphan_rule"),
            (self.retry_window.is_some(), "retry_window"),
            (self.cooling_max.is_some(), "cooling_max"),
            (self.abandon_credits_max.is_some(), "abandon_credits_max"),
            (self.abandon_refill.is_some(), "abandon_refill"),
        ];
        let paths = set.iter().filter(|(set, _)| *set).map(|(_, field)| format!("policies.{field}")).collect();
        (policies, paths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_given_is_in_the_mask() {
        let options = PolicyOptions {
            hold_ttl: Some(Duration::from_secs(90)),
            payment_grace: Some(Duration::from_secs(60)),
            places_per_hold: Some(4),
            orphan_rule: Some(OrphanChoice::Off),
            abandon_credits_max: Some(0),
            ..PolicyOptions::default()
        };
        let (policies, paths) = options.to_wire();
        let expected = [
            "policies.hold_ttl",
            "policies.payment_grace",
            "policies.places_per_hold_max",
            "policies.orphan_rule",
            "policies.abandon_credits_max",
        ];
        assert_eq!(paths, expected);
        assert_eq!(policies.hold_ttl.expect("set").seconds, 90);
        assert_eq!(policies.orphan_rule, OrphanRule::Off as i32);
        assert_eq!(PolicyOptions::default().to_wire(), (EventPolicies::default(), Vec::new()));
    }
}
