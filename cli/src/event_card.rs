//! An event as this program shows it, whichever call it came from.

use std::collections::BTreeMap;

use proto::admin::v1 as admin;
use proto::inventory::v1 as inventory;
use proto::inventory::v1::{EventState, LevelLimit, OrphanRule, PlaceCounts, SharedQuota};
use serde_json::{Value, json};

use crate::duration;
use crate::instant;
use crate::table::{counted, fields, grouped};

/// An event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EventCard {
    event: inventory::Event,
}

impl From<inventory::Event> for EventCard {
    fn from(event: inventory::Event) -> Self {
        Self { event }
    }
}

impl From<admin::Event> for EventCard {
    fn from(event: admin::Event) -> Self {
        let ms = |at: Option<prost_types::Timestamp>| {
            at.map_or(0, |at| u64::try_from(at.seconds * 1_000 + i64::from(at.nanos) / 1_000_000).unwrap_or(0))
        };
        let policies = event.policies.map(|policies| inventory::EventPolicies {
            hold_ttl_ms: duration::wire_millis(policies.hold_ttl.as_ref()),
            lifetime_max_ms: duration::wire_millis(policies.lifetime_max.as_ref()),
            renewals_max: policies.renewals_max.unwrap_or(0),
            payment_grace_ms: duration::wire_millis(policies.payment_grace.as_ref()),
            payment_attempts_max: policies.payment_attempts_max.unwrap_or(0),
            payment_min_left_ms: duration::wire_millis(policies.payment_min_left.as_ref()),
            places_per_hold_max: policies.places_per_hold_max.unwrap_or(0),
            places_per_customer_max: policies.places_per_customer_max.unwrap_or(0),
            holds_per_customer_max: policies.holds_per_customer_max.unwrap_or(0),
            orphan_rule: policies.orphan_rule,
            retry_window_ms: duration::wire_millis(policies.retry_window.as_ref()),
            cooling_max_ms: duration::wire_millis(policies.cooling_max.as_ref()),
            abandon_credits_max: policies.abandon_credits_max.unwrap_or(0),
            abandon_refill_ms: duration::wire_millis(policies.abandon_refill.as_ref()),
        });
        let event = inventory::Event {
            event_id: event.event_id,
            event_key: event.event_key,
            display_name: event.display_name,
            state: event.state,
            plan_digest: event.plan_digest,
            plan_revision: event.plan_revision,
            seat_count: event.seat_count,
            capacity: event.capacity,
            counts: event.counts,
            policies,
            opens_at_ms: ms(event.opens_at),
            closes_at_ms: ms(event.closes_at),
            starts_at_ms: ms(event.starts_at),
            time_zone: event.time_zone,
            position: event.position,
            incarnation: event.incarnation,
            labels: event.labels,
            etag: event.etag,
            level_limits: event.level_limits,
            quotas: event.quotas,
        };
        Self { event }
    }
}

impl EventCard {
    /// The event as it came.
    pub(crate) fn event(&self) -> &inventory::Event {
        &self.event
    }

    /// `on sale`.
    pub(crate) fn state(&self) -> &'static str {
        match self.event.state() {
            EventState::Unspecified => "unknown",
            EventState::Draft => "draft",
            EventState::OnSale => "on sale",
            EventState::Paused => "paused",
            EventState::OffSale => "off sale",
            EventState::Cancelled => "cancelled",
        }
    }

    /// `8,897 seats`, `32 seats and 200 general admissions`.
    pub(crate) fn size(&self) -> String {
        let seats = u64::from(self.event.seat_count);
        let admissions = u64::from(self.event.capacity).saturating_sub(seats);
        let admissions_text = counted(admissions, "general admission", "general admissions");
        match (seats, admissions) {
            (_, 0) => counted(seats, "seat", "seats"),
            (0, _) => admissions_text,
            _ => format!("{} and {admissions_text}", counted(seats, "seat", "seats")),
        }
    }

    /// Its places by state.
    pub(crate) fn counts(&self) -> PlaceCounts {
        self.event.counts.unwrap_or_default()
    }

    /// All there is to know, for people.
    pub(crate) fn text(&self) -> String {
        let event = &self.event;
        let policies = event.policies.unwrap_or_default();
        let time = |ms| duration::short(std::time::Duration::from_millis(ms));
        let limit = |most: u32| if most == 0 { String::new() } else { most.to_string() };
        let counts = self.counts();
        let labels: Vec<String> = event.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let abandoned = match policies.abandon_credits_max {
            0 => String::new(),
            most => format!("{most}, one back every {}", time(policies.abandon_refill_ms)),
        };
        fields(&[
            ("event", event.event_id.clone()),
            ("name", event.display_name.clone()),
            ("state", self.state().to_owned()),
            ("size", self.size()),
            ("open", grouped(u64::from(counts.open))),
            ("held", grouped(u64::from(counts.held))),
            ("sold", grouped(u64::from(counts.sold))),
            ("killed", grouped(u64::from(counts.killed))),
            ("opens at", instant::text_of_ms(event.opens_at_ms)),
            ("closes at", instant::text_of_ms(event.closes_at_ms)),
            ("starts at", instant::text_of_ms(event.starts_at_ms)),
            ("time zone", event.time_zone.clone()),
            ("hold ttl", time(policies.hold_ttl_ms)),
            ("lifetime max", time(policies.lifetime_max_ms)),
            ("renewals", policies.renewals_max.to_string()),
            ("payment grace", time(policies.payment_grace_ms)),
            ("payments", policies.payment_attempts_max.to_string()),
            ("payment min left", time(policies.payment_min_left_ms)),
            ("places per hold", policies.places_per_hold_max.to_string()),
            ("places per customer", limit(policies.places_per_customer_max)),
            ("holds per customer", limit(policies.holds_per_customer_max)),
            ("orphan rule", orphan_word(policies.orphan_rule()).to_owned()),
            ("retry window", time(policies.retry_window_ms)),
            ("cooling max", if policies.cooling_max_ms == 0 { String::new() } else { time(policies.cooling_max_ms) }),
            ("abandon credits", abandoned),
            ("level limits", level_limits_text(&event.level_limits)),
            ("quotas", quotas_text(&event.quotas)),
            ("labels", labels.join(" ")),
            ("plan", event.plan_digest.clone()),
            ("plan revision", event.plan_revision.to_string()),
        ])
    }

    /// All there is to know, for programs.
    pub(crate) fn json(&self) -> Value {
        let event = &self.event;
        let policies = event.policies.unwrap_or_default();
        let labels: BTreeMap<_, _> = event.labels.iter().collect();
        json!({
            "event_id": event.event_id,
            // A number of 64 bits does not survive every JSON reader.
            "event_key": event.event_key.to_string(),
            "name": event.display_name,
            "state": self.state().replace(' ', "_"),
            "seat_count": event.seat_count,
            "ga_capacity": event.capacity.saturating_sub(event.seat_count),
            "capacity": event.capacity,
            "counts": counts_json(&self.counts()),
            "opens_at": moment_json(event.opens_at_ms),
            "closes_at": moment_json(event.closes_at_ms),
            "starts_at": moment_json(event.starts_at_ms),
            "time_zone": event.time_zone,
            "labels": labels,
            "policies": {
                "hold_ttl_ms": policies.hold_ttl_ms,
                "lifetime_max_ms": policies.lifetime_max_ms,
                "renewals_max": policies.renewals_max,
                "payment_grace_ms": policies.payment_grace_ms,
                "payment_attempts_max": policies.payment_attempts_max,
                "payment_min_left_ms": policies.payment_min_left_ms,
                "places_per_hold_max": policies.places_per_hold_max,
                "places_per_customer_max": policies.places_per_customer_max,
                "holds_per_customer_max": policies.holds_per_customer_max,
                "orphan_rule": orphan_word(policies.orphan_rule()),
                "retry_window_ms": policies.retry_window_ms,
                "cooling_max_ms": policies.cooling_max_ms,
                "abandon_credits_max": policies.abandon_credits_max,
                "abandon_refill_ms": policies.abandon_refill_ms,
            },
            "level_limits": event.level_limits.iter().map(level_limit_json).collect::<Value>(),
            "quotas": event.quotas.iter().map(quota_json).collect::<Value>(),
            "plan_digest": event.plan_digest,
            "plan_revision": event.plan_revision,
            "etag": event.etag,
            "position": event.position,
            "incarnation": event.incarnation,
        })
    }
}

/// Counts for programs.
pub(crate) fn counts_json(counts: &PlaceCounts) -> Value {
    json!({
        "open": counts.open,
        "held": counts.held,
        "sold": counts.sold,
        "killed": counts.killed,
        "capacity": counts.capacity,
    })
}

/// A moment for programs: RFC 3339, or null for none.
pub(crate) fn moment_json(ms: u64) -> Value {
    if ms == 0 { Value::Null } else { instant::text_of_ms(ms).into() }
}

/// `Front 2, Back 6`.
fn level_limits_text(limits: &[LevelLimit]) -> String {
    let texts: Vec<String> = limits.iter().map(|limit| format!("{} {}", limit.price_level, limit.places_max)).collect();
    texts.join(", ")
}

/// `exits 700 (Front, area FLOOR)`.
fn quotas_text(quotas: &[SharedQuota]) -> String {
    let text = |quota: &SharedQuota| {
        let areas = quota.areas.iter().map(|key| format!("area {key}"));
        let members: Vec<String> = quota.price_levels.iter().cloned().chain(areas).collect();
        format!("{} {} ({})", quota.name, grouped(u64::from(quota.places_max)), members.join(", "))
    };
    quotas.iter().map(text).collect::<Vec<_>>().join(", ")
}

fn level_limit_json(limit: &LevelLimit) -> Value {
    json!({ "price_level": limit.price_level, "places_max": limit.places_max })
}

fn quota_json(quota: &SharedQuota) -> Value {
    json!({
        "name": quota.name,
        "price_levels": quota.price_levels,
        "areas": quota.areas,
        "places_max": quota.places_max,
    })
}

fn orphan_word(rule: OrphanRule) -> &'static str {
    match rule {
        OrphanRule::Unspecified => "unknown",
        OrphanRule::Off => "off",
        OrphanRule::Lenient => "lenient",
        OrphanRule::Strict => "strict",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(seat_count: u32, capacity: u32) -> EventCard {
        EventCard::from(inventory::Event {
            seat_count,
            capacity,
            state: EventState::OnSale as i32,
            ..Default::default()
        })
    }

    #[test]
    fn the_size_says_seats_and_admissions_apart() {
        assert_eq!(event(8_897, 8_897).size(), "8,897 seats");
        assert_eq!(event(32, 232).size(), "32 seats and 200 general admissions");
        assert_eq!(event(0, 1).size(), "1 general admission");
    }

    #[test]
    fn limits_are_told_with_what_they_are_of() {
        let limit = |level: &str, places_max| LevelLimit { price_level: level.into(), places_max };
        let quota = SharedQuota {
            name: "exits".into(),
            price_levels: vec!["Front".into()],
            areas: vec!["FLOOR".into()],
            places_max: 1_700,
        };
        let policies = inventory::EventPolicies {
            abandon_credits_max: 2,
            abandon_refill_ms: 600_000,
            ..inventory::EventPolicies::default()
        };
        let card = EventCard::from(inventory::Event {
            level_limits: vec![limit("Front", 2), limit("Back", 6)],
            quotas: vec![quota],
            policies: Some(policies),
            ..Default::default()
        });
        let text = card.text();
        for line in
            ["level limits ", "Front 2, Back 6\n", "exits 1,700 (Front, area FLOOR)\n", "2, one back every 10m\n"]
        {
            assert!(text.contains(line), "{text}");
        }
        assert_eq!(card.json()["level_limits"][1], json!({ "price_level": "Back", "places_max": 6 }));
        assert_eq!(card.json()["quotas"][0]["areas"], json!(["FLOOR"]));
        assert!(!event(1, 1).text().contains("limits"), "{}", event(1, 1).text());
    }

    #[test]
    fn both_services_give_the_same_card() {
        let from_admin = EventCard::from(admin::Event {
            event_id: "e".into(),
            state: EventState::Paused as i32,
            opens_at: Some(instant::of_ms(1_809_079_200_250)),
            policies: Some(admin::EventPolicies {
                hold_ttl: Some(duration::to_wire(std::time::Duration::from_secs(90))),
                renewals_max: Some(3),
                orphan_rule: OrphanRule::Strict as i32,
                abandon_credits_max: Some(2),
                abandon_refill: Some(duration::to_wire(std::time::Duration::from_secs(60))),
                ..Default::default()
            }),
            level_limits: vec![LevelLimit { price_level: "Front".into(), places_max: 2 }],
            ..Default::default()
        });
        let from_sale = EventCard::from(inventory::Event {
            event_id: "e".into(),
            state: EventState::Paused as i32,
            opens_at_ms: 1_809_079_200_250,
            policies: Some(inventory::EventPolicies {
                hold_ttl_ms: 90_000,
                renewals_max: 3,
                orphan_rule: OrphanRule::Strict as i32,
                abandon_credits_max: 2,
                abandon_refill_ms: 60_000,
                ..Default::default()
            }),
            level_limits: vec![LevelLimit { price_level: "Front".into(), places_max: 2 }],
            ..Default::default()
        });
        assert_eq!(from_admin, from_sale);
        assert_eq!(from_sale.json()["opens_at"], "2027-04-30T10:00:00.250Z");
        assert_eq!(from_sale.json()["closes_at"], Value::Null);
        assert!(from_sale.text().contains("hold ttl          1m30s\n"), "{}", from_sale.text());
    }
}
