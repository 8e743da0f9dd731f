//! What an event allows: policies with their bounds, windows, state, and its describing texts.

use alloc::{boxed::Box, vec::Vec};

use crate::{
    ids::TimestampMs,
    limits::{self, policy as bounds},
};

/// Whether single open seats may be left between taken ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum OrphanRule {
    /// Never refused for it.
    Off = 0,
    /// Refused when the same run of open seats holds a pick that strands none.
    Lenient = 1,
    /// Refused when the same section and price levels hold one.
    Strict = 2,
}

impl OrphanRule {
    /// The rule with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Off),
            1 => Some(Self::Lenient),
            2 => Some(Self::Strict),
            _ => None,
        }
    }
}

/// The policies of an event. Durations in seconds. `Default` is the contract's defaults.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Policies {
    /// Life of a hold when the caller names none.
    pub hold_ttl_s: u32,
    /// No extend reaches further than this after the hold's creation.
    pub lifetime_s_max: u32,
    /// Extends a hold may have.
    pub renewals_max: u32,
    /// Grace of an open payment.
    pub payment_grace_s: u32,
    /// Payment attempts of a hold.
    pub payment_attempts_max: u32,
    /// Time left at least after a failed payment.
    pub payment_left_s_min: u32,
    /// Places of a hold.
    pub places_per_hold_max: u32,
    /// Places a customer may hold and own; 0: no limit.
    pub places_per_customer_max: u32,
    /// Live holds a customer may have; 0: no limit.
    pub holds_per_customer_max: u32,
    /// What is done about single seats.
    pub orphan_rule: OrphanRule,
    /// How long an ended hold is remembered.
    pub retry_window_s: u32,
    /// Longest rest of a place that came back; 0: none.
    pub cooling_s_max: u32,
    /// Holds of a customer that may expire unpaid before the next is refused; 0: no limit.
    pub abandon_credits_max: u32,
    /// Until one of them is forgiven.
    pub abandon_refill_s: u32,
}

impl Default for Policies {
    fn default() -> Self {
        Self {
            hold_ttl_s: bounds::HOLD_TTL_S_DEFAULT,
            lifetime_s_max: bounds::LIFETIME_S_DEFAULT,
            renewals_max: bounds::RENEWALS_DEFAULT,
            payment_grace_s: bounds::PAYMENT_GRACE_S_DEFAULT,
            payment_attempts_max: bounds::PAYMENT_ATTEMPTS_DEFAULT,
            payment_left_s_min: bounds::PAYMENT_LEFT_S_DEFAULT,
            places_per_hold_max: bounds::PLACES_PER_HOLD_DEFAULT,
            places_per_customer_max: 0,
            holds_per_customer_max: 0,
            orphan_rule: OrphanRule::Lenient,
            retry_window_s: bounds::RETRY_WINDOW_S_DEFAULT,
            cooling_s_max: 0,
            abandon_credits_max: 0,
            abandon_refill_s: bounds::ABANDON_REFILL_S_DEFAULT,
        }
    }
}

impl Policies {
    /// The name of the first policy that is out of its bounds, with what it must be.
    ///
    /// # Errors
    /// The field's name and a sentence with the bounds.
    pub fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let within = |ok: bool, field, must| if ok { Ok(()) } else { Err((field, must)) };
        within(
            (bounds::HOLD_TTL_S_MIN..=bounds::HOLD_TTL_S_MAX).contains(&self.hold_ttl_s),
            "hold_ttl",
            "must be 1 s to 7200 s",
        )?;
        within(
            (self.hold_ttl_s..=bounds::LIFETIME_S_MAX).contains(&self.lifetime_s_max),
            "lifetime_max",
            "must be hold_ttl to 86400 s",
        )?;
        within(self.renewals_max <= bounds::RENEWALS_MAX, "renewals_max", "must be 0 to 100")?;
        within(
            (bounds::PAYMENT_GRACE_S_MIN..=bounds::PAYMENT_GRACE_S_MAX).contains(&self.payment_grace_s),
            "payment_grace",
            "must be 60 s to 5400 s",
        )?;
        within(
            (bounds::PAYMENT_ATTEMPTS_MIN..=bounds::PAYMENT_ATTEMPTS_MAX).contains(&self.payment_attempts_max),
            "payment_attempts_max",
            "must be 1 to 8",
        )?;
        within(self.payment_left_s_min <= bounds::PAYMENT_LEFT_S_MAX, "payment_min_left", "must be 0 s to 600 s")?;
        within(
            (1..=limits::PLACES_PER_HOLD_MAX as u32).contains(&self.places_per_hold_max),
            "places_per_hold_max",
            "must be 1 to 64",
        )?;
        within(
            self.places_per_customer_max <= bounds::CUSTOMER_LIMIT_MAX,
            "places_per_customer_max",
            "must be 0 to 1000000",
        )?;
        within(
            self.holds_per_customer_max <= bounds::CUSTOMER_LIMIT_MAX,
            "holds_per_customer_max",
            "must be 0 to 1000000",
        )?;
        within(
            (bounds::RETRY_WINDOW_S_MIN..=bounds::RETRY_WINDOW_S_MAX).contains(&self.retry_window_s),
            "retry_window",
            "must be 60 s to 86400 s",
        )?;
        within(self.cooling_s_max <= bounds::COOLING_S_MAX, "cooling_max", "must be 0 s to 600 s")?;
        within(self.abandon_credits_max <= bounds::ABANDON_CREDITS_MAX, "abandon_credits_max", "must be 0 to 100")?;
        within(
            (1..=bounds::ABANDON_REFILL_S_MAX).contains(&self.abandon_refill_s),
            "abandon_refill",
            "must be 1 s to 86400 s",
        )
    }

    /// Whether any of them counts by customer.
    #[must_use]
    pub fn limit_customers(&self) -> bool {
        self.places_per_customer_max > 0 || self.holds_per_customer_max > 0 || self.abandon_credits_max > 0
    }

    /// How long an ended hold is remembered, in milliseconds.
    #[must_use]
    pub fn retry_window_ms(&self) -> u64 {
        u64::from(self.retry_window_s) * 1_000
    }
}

/// Places of one price level that a customer may hold and own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LevelLimit {
    /// Name of the level.
    pub level: Box<str>,
    /// So many; 0 keeps everybody from it who is named.
    pub places_max: u32,
}

/// Places of several price levels and areas that are held and sold up to one number together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SharedQuota {
    /// Its name, for people.
    pub name: Box<str>,
    /// Price levels, by name.
    pub levels: Vec<Box<str>>,
    /// Areas, by key.
    pub areas: Vec<Box<str>>,
    /// So many.
    pub places_max: u32,
}

/// Limits of an event beside its policies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Limits {
    /// For each customer, by price level: each level once.
    pub by_level: Vec<LevelLimit>,
    /// For all together: each name once.
    pub quotas: Vec<SharedQuota>,
}

impl Limits {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_level.is_empty() && self.quotas.is_empty()
    }

    /// Check bounds and shapes.
    ///
    /// # Errors
    /// The field's name and a sentence about what it must be.
    pub fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let text_ok =
            |text: &str| (1..=limits::PLAN_TEXT_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
        let is_twice = |names: &[&str]| names.iter().enumerate().any(|(at, name)| names[..at].contains(name));
        let levels: Vec<&str> = self.by_level.iter().map(|limit| &*limit.level).collect();
        if levels.len() > bounds::LEVEL_LIMITS_MAX || is_twice(&levels) {
            return Err(("level_limits", "must be at most 64, each price level once"));
        }
        if self.by_level.iter().any(|limit| limit.places_max > bounds::CUSTOMER_LIMIT_MAX) {
            return Err(("level_limits", "places_max must be 0 to 1000000"));
        }
        let names: Vec<&str> = self.quotas.iter().map(|quota| &*quota.name).collect();
        if names.len() > bounds::QUOTAS_MAX || is_twice(&names) {
            return Err(("quotas", "must be at most 32, each name once"));
        }
        for quota in &self.quotas {
            let most = bounds::QUOTA_NAMES_MAX;
            if quota.levels.len() > most || quota.areas.len() > most || quota.levels.len() + quota.areas.len() == 0 {
                return Err(("quotas", "each must name price levels or areas, at most 64 of either"));
            }
            if quota.places_max > limits::PLACES_PER_EVENT_MAX {
                return Err(("quotas", "places_max must be 0 to 1000000"));
            }
        }
        let of_quotas =
            self.quotas.iter().flat_map(|quota| quota.levels.iter().chain(&quota.areas)).map(|name| &**name);
        let mut texts = levels.into_iter().chain(names).chain(of_quotas);
        if !texts.clone().all(text_ok) {
            return Err(("quotas", "names must be 1 to 128 bytes without control characters, as in level_limits"));
        }
        if texts.by_ref().map(str::len).sum::<usize>() > bounds::LIMIT_BYTES_MAX {
            return Err(("quotas", "names, with those of level_limits, must be at most 16384 bytes together"));
        }
        Ok(())
    }
}

/// Where an event is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum EventState {
    /// Made, not on sale yet.
    Draft = 0,
    /// Holds are taken (within the window).
    OnSale = 1,
    /// Holds are refused for now.
    Paused = 2,
    /// The sale is over; it may be opened again.
    OffSale = 3,
    /// Final: live holds ended, sold places stay sold.
    Cancelled = 4,
}

impl EventState {
    /// The state with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Draft),
            1 => Some(Self::OnSale),
            2 => Some(Self::Paused),
            3 => Some(Self::OffSale),
            4 => Some(Self::Cancelled),
            _ => None,
        }
    }

    /// Whether the event may go from this state to `next`: draft -> on sale <-> paused; on sale,
    /// paused -> off sale <-> on sale; any -> cancelled. Staying is always allowed.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Draft, Self::Draft | Self::OnSale)
                | (Self::OnSale, Self::OnSale | Self::Paused | Self::OffSale)
                | (Self::Paused, Self::Paused | Self::OnSale | Self::OffSale)
                | (Self::OffSale, Self::OffSale | Self::OnSale)
                | (_, Self::Cancelled)
        )
    }
}

/// Everything about an event that UpdateEvent may set, but its plan.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Where it is in its life.
    pub state: EventState,
    /// Holds are taken from this time on; zero: no bound.
    pub opens_at: TimestampMs,
    /// Holds are refused from this time on; zero: no bound.
    pub closes_at: TimestampMs,
    /// When the performance starts; zero: not said. The core never judges by it.
    pub starts_at: TimestampMs,
    /// The policies.
    pub policies: Policies,
    /// Name for people, at most 256 bytes.
    pub display_name: Box<str>,
    /// Opaque time zone name, at most 256 bytes.
    pub time_zone: Box<str>,
    /// Up to 16 labels, sorted by key, keys unique.
    pub labels: Vec<(Box<str>, Box<str>)>,
    /// Limits beside the policies.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            state: EventState::OnSale,
            opens_at: TimestampMs(0),
            closes_at: TimestampMs(0),
            starts_at: TimestampMs(0),
            policies: Policies::default(),
            display_name: "".into(),
            time_zone: "".into(),
            labels: Vec::new(),
            limits: Limits::default(),
        }
    }
}

impl Settings {
    /// Whether anything is set that the first version of the settings does not have.
    pub(crate) fn has_later(&self) -> bool {
        let policies = &self.policies;
        policies.abandon_credits_max != 0
            || policies.abandon_refill_s != bounds::ABANDON_REFILL_S_DEFAULT
            || !self.limits.is_empty()
    }

    /// Check bounds and shapes.
    ///
    /// # Errors
    /// The field's name and a sentence about what it must be.
    pub fn check(&self) -> Result<(), (&'static str, &'static str)> {
        self.policies.check()?;
        self.limits.check()?;
        if self.closes_at.0 != 0 && self.closes_at <= self.opens_at {
            return Err(("closes_at", "must be later than opens_at"));
        }
        let text_ok = |text: &str, max: usize| text.len() <= max && !text.chars().any(char::is_control);
        if !text_ok(&self.display_name, limits::EVENT_TEXT_BYTES_MAX) {
            return Err(("display_name", "must be at most 256 bytes without control characters"));
        }
        if !text_ok(&self.time_zone, limits::EVENT_TEXT_BYTES_MAX) {
            return Err(("time_zone", "must be at most 256 bytes without control characters"));
        }
        if self.labels.len() > limits::EVENT_LABELS_MAX {
            return Err(("labels", "must be at most 16"));
        }
        let label_ok = |text: &str| text_ok(text, limits::EVENT_LABEL_BYTES_MAX);
        if self.labels.iter().any(|(key, value)| key.is_empty() || !label_ok(key) || !label_ok(value)) {
            return Err((
                "labels",
                "keys and values must be at most 64 bytes without control characters, keys not empty",
            ));
        }
        if !self.labels.windows(2).all(|pair| pair[0].0 < pair[1].0) {
            return Err(("labels", "keys must be unique"));
        }
        Ok(())
    }
}
