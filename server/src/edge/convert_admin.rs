//! Wire types of the admin service to domain types and back.

use engine::{EventInfo, EventView};
use inventory_core::{
    command::{CreateEvent, PolicyPatch, UpdateEvent},
    ids::{EventId, PlanDigest, TimestampMs},
    plan::{Plan, PlanProblem, PlanSpec, RowKind, Severity},
    policy::{EventState, LevelLimit, Limits, OrphanRule, Policies, Settings, SharedQuota},
};
use prost::Message;
use proto::{
    admin::v1 as wire,
    inventory::v1::{self as sale, Reason},
};
use sha2::{Digest, Sha256};

use super::{
    convert::{
        event_id, event_key, event_state, level_limit_messages, orphan_rule, place_counts, quota_messages, request_id,
    },
    limits::{EVENT_BYTES_MAX, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, PLAN_PROBLEMS_MAX},
    refusal::{Refusable, Refusal},
};

// Requests.

/// Everything of a new event but its plan.
pub(crate) fn new_settings(request: &wire::CreateEventRequest) -> Refusable<Settings> {
    let mut settings = Settings {
        state: if request.draft { EventState::Draft } else { EventState::OnSale },
        opens_at: timestamp("opens_at", request.opens_at.as_ref())?,
        closes_at: timestamp("closes_at", request.closes_at.as_ref())?,
        starts_at: timestamp("starts_at", request.starts_at.as_ref())?,
        policies: Policies::default(),
        display_name: request.display_name.as_str().into(),
        time_zone: request.time_zone.as_str().into(),
        labels: labels(&request.labels),
        limits: Limits { by_level: level_limits(&request.level_limits), quotas: quotas(&request.quotas) },
    };
    if let Some(policies) = &request.policies {
        let patch = UpdateEvent { policies: all_set(policies)?, ..UpdateEvent::default() };
        settings = patch.over(&settings);
    }
    check(&settings)?;
    Ok(settings)
}

/// The settings are within their bounds.
pub(crate) fn check(settings: &Settings) -> Refusable<()> {
    settings.check().map_err(|(field, problem)| Refusal::invalid(field, problem))
}

/// The command that makes an event.
pub(crate) fn create_event(id: EventId, plan: std::sync::Arc<Plan>, settings: Settings) -> CreateEvent {
    CreateEvent { key: event_key(&id), id, plan, settings }
}

/// What UpdateEvent names, but the plan: that is to be found by the digest given back.
pub(crate) fn update_event(
    request: &wire::UpdateEventRequest,
) -> Refusable<(EventId, UpdateEvent, Option<PlanDigest>)> {
    let event = request.event.as_ref().ok_or_else(|| Refusal::invalid("event", "is missing"))?;
    let id = event_id(&event.event_id).map_err(|_| Refusal::invalid("event.event_id", "must be the id of an event"))?;
    // The shard looks at what it says one by one: what can only be wrong does not get there.
    if event.encoded_len() > EVENT_BYTES_MAX {
        return Err(Refusal::invalid("event", "must be at most 1 MiB"));
    }
    let mut update = UpdateEvent {
        request_id: request_id(&request.request_id)?,
        etag: etag(&request.etag)?,
        expected_state: known_state("expected_state", request.expected_state)?,
        validate_only: request.validate_only,
        ..UpdateEvent::default()
    };
    let mut plan = None;
    let paths = request.update_mask.as_ref().map_or(&[][..], |mask| mask.paths.as_slice());
    if paths.is_empty() {
        return Err(Refusal::invalid("update_mask", "must name the fields to change"));
    }
    for (at, path) in paths.iter().enumerate() {
        match path.as_str() {
            "state" => {
                let state = known_state("event.state", event.state)?;
                update.state = Some(state.ok_or_else(|| Refusal::invalid("event.state", "must be set"))?);
            }
            "display_name" => update.display_name = Some(event.display_name.as_str().into()),
            "plan_digest" => plan = Some(plan_digest("event.plan_digest", &event.plan_digest)?),
            "opens_at" => update.opens_at = Some(timestamp("event.opens_at", event.opens_at.as_ref())?),
            "closes_at" => update.closes_at = Some(timestamp("event.closes_at", event.closes_at.as_ref())?),
            "starts_at" => update.starts_at = Some(timestamp("event.starts_at", event.starts_at.as_ref())?),
            "time_zone" => update.time_zone = Some(event.time_zone.as_str().into()),
            "labels" => update.labels = Some(labels(&event.labels)),
            "level_limits" => update.level_limits = Some(level_limits(&event.level_limits)),
            "quotas" => update.quotas = Some(quotas(&event.quotas)),
            "policies" => update.policies = all_set(&event.policies.unwrap_or_default())?,
            one => match one.strip_prefix("policies.") {
                Some(name) => {
                    let policies = event.policies.unwrap_or_default();
                    if !set_policy(&mut update.policies, name, &policies)? {
                        return Err(unknown_path(at));
                    }
                }
                None => return Err(unknown_path(at)),
            },
        }
    }
    Ok((id, update, plan))
}

fn unknown_path(at: usize) -> Box<Refusal> {
    Refusal::invalid(
        format!("update_mask.paths[{at}]"),
        "must be state, display_name, plan_digest, policies or one of them, opens_at, closes_at, starts_at, \
         time_zone, labels, level_limits or quotas",
    )
}

/// The policies that are set.
fn all_set(policies: &wire::EventPolicies) -> Refusable<PolicyPatch> {
    Ok(PolicyPatch {
        hold_ttl_s: seconds("hold_ttl", policies.hold_ttl.as_ref())?,
        lifetime_s_max: seconds("lifetime_max", policies.lifetime_max.as_ref())?,
        renewals_max: policies.renewals_max,
        payment_grace_s: seconds("payment_grace", policies.payment_grace.as_ref())?,
        payment_attempts_max: policies.payment_attempts_max,
        payment_left_s_min: seconds("payment_min_left", policies.payment_min_left.as_ref())?,
        places_per_hold_max: policies.places_per_hold_max,
        places_per_customer_max: policies.places_per_customer_max,
        holds_per_customer_max: policies.holds_per_customer_max,
        orphan_rule: known_orphan_rule(policies.orphan_rule)?,
        retry_window_s: seconds("retry_window", policies.retry_window.as_ref())?,
        cooling_s_max: seconds("cooling_max", policies.cooling_max.as_ref())?,
        abandon_credits_max: policies.abandon_credits_max,
        abandon_refill_s: seconds("abandon_refill", policies.abandon_refill.as_ref())?,
    })
}

/// Takes one policy by name; one that is not set takes its default. False: there is none of this name.
fn set_policy(patch: &mut PolicyPatch, name: &str, policies: &wire::EventPolicies) -> Refusable<bool> {
    let set = all_set(policies)?;
    let default = Policies::default();
    match name {
        "hold_ttl" => patch.hold_ttl_s = Some(set.hold_ttl_s.unwrap_or(default.hold_ttl_s)),
        "lifetime_max" => patch.lifetime_s_max = Some(set.lifetime_s_max.unwrap_or(default.lifetime_s_max)),
        "renewals_max" => patch.renewals_max = Some(set.renewals_max.unwrap_or(default.renewals_max)),
        "payment_grace" => patch.payment_grace_s = Some(set.payment_grace_s.unwrap_or(default.payment_grace_s)),
        "payment_attempts_max" => {
            patch.payment_attempts_max = Some(set.payment_attempts_max.unwrap_or(default.payment_attempts_max));
        }
        "payment_min_left" => {
            patch.payment_left_s_min = Some(set.payment_left_s_min.unwrap_or(default.payment_left_s_min));
        }
        "places_per_hold_max" => {
            patch.places_per_hold_max = Some(set.places_per_hold_max.unwrap_or(default.places_per_hold_max));
        }
        "places_per_customer_max" => {
            patch.places_per_customer_max =
                Some(set.places_per_customer_max.unwrap_or(default.places_per_customer_max));
        }
        "holds_per_customer_max" => {
            patch.holds_per_customer_max = Some(set.holds_per_customer_max.unwrap_or(default.holds_per_customer_max));
        }
        "orphan_rule" => patch.orphan_rule = Some(set.orphan_rule.unwrap_or(default.orphan_rule)),
        "retry_window" => patch.retry_window_s = Some(set.retry_window_s.unwrap_or(default.retry_window_s)),
        "cooling_max" => patch.cooling_s_max = Some(set.cooling_s_max.unwrap_or(default.cooling_s_max)),
        "abandon_credits_max" => {
            patch.abandon_credits_max = Some(set.abandon_credits_max.unwrap_or(default.abandon_credits_max));
        }
        "abandon_refill" => patch.abandon_refill_s = Some(set.abandon_refill_s.unwrap_or(default.abandon_refill_s)),
        _ => return Ok(false),
    }
    Ok(true)
}

fn seconds(name: &str, duration: Option<&prost_types::Duration>) -> Refusable<Option<u32>> {
    let Some(duration) = duration else { return Ok(None) };
    let whole = u32::try_from(duration.seconds).ok().filter(|_| duration.nanos == 0);
    whole.map(Some).ok_or_else(|| Refusal::invalid(format!("policies.{name}"), "must be whole seconds, not negative"))
}

/// A point in time of a request; zero when it is not set.
pub(crate) fn timestamp(field: &'static str, time: Option<&prost_types::Timestamp>) -> Refusable<TimestampMs> {
    let Some(time) = time else { return Ok(TimestampMs(0)) };
    // The year 9999, the end of what the type may carry.
    let in_range = (0..=253_402_300_799).contains(&time.seconds) && (0..1_000_000_000).contains(&time.nanos);
    if !in_range {
        return Err(Refusal::invalid(field, "must be a time between 1970 and 9999"));
    }
    Ok(TimestampMs(time.seconds.unsigned_abs() * 1_000 + u64::from(time.nanos.unsigned_abs() / 1_000_000)))
}

fn labels(labels: &std::collections::BTreeMap<String, String>) -> Vec<(Box<str>, Box<str>)> {
    let mut labels: Vec<(Box<str>, Box<str>)> =
        labels.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect();
    labels.sort();
    labels
}

fn level_limits(limits: &[sale::LevelLimit]) -> Vec<LevelLimit> {
    let limit = |limit: &sale::LevelLimit| LevelLimit {
        level: limit.price_level.as_str().into(),
        places_max: limit.places_max,
    };
    limits.iter().map(limit).collect()
}

fn quotas(quotas: &[sale::SharedQuota]) -> Vec<SharedQuota> {
    let names = |names: &[String]| names.iter().map(|name| name.as_str().into()).collect();
    let quota = |quota: &sale::SharedQuota| SharedQuota {
        name: quota.name.as_str().into(),
        levels: names(&quota.price_levels),
        areas: names(&quota.areas),
        places_max: quota.places_max,
    };
    quotas.iter().map(quota).collect()
}

/// A state of an event; none when unspecified.
pub(crate) fn known_state(field: &'static str, number: i32) -> Refusable<Option<EventState>> {
    match sale::EventState::try_from(number) {
        Ok(sale::EventState::Unspecified) => Ok(None),
        Ok(sale::EventState::Draft) => Ok(Some(EventState::Draft)),
        Ok(sale::EventState::OnSale) => Ok(Some(EventState::OnSale)),
        Ok(sale::EventState::Paused) => Ok(Some(EventState::Paused)),
        Ok(sale::EventState::OffSale) => Ok(Some(EventState::OffSale)),
        Ok(sale::EventState::Cancelled) => Ok(Some(EventState::Cancelled)),
        Err(_) => Err(Refusal::invalid(field, "is not known to this version")),
    }
}

fn known_orphan_rule(number: i32) -> Refusable<Option<OrphanRule>> {
    match sale::OrphanRule::try_from(number) {
        Ok(sale::OrphanRule::Unspecified) => Ok(None),
        Ok(sale::OrphanRule::Off) => Ok(Some(OrphanRule::Off)),
        Ok(sale::OrphanRule::Lenient) => Ok(Some(OrphanRule::Lenient)),
        Ok(sale::OrphanRule::Strict) => Ok(Some(OrphanRule::Strict)),
        Err(_) => Err(Refusal::invalid("policies.orphan_rule", "is not known to this version")),
    }
}

/// The text of an etag.
pub(crate) fn etag_text(etag: u64) -> String {
    format!("{etag:016x}")
}

fn etag(text: &str) -> Refusable<Option<u64>> {
    if text.is_empty() {
        return Ok(None);
    }
    let well_formed = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let etag = if well_formed { u64::from_str_radix(text, 16).ok() } else { None };
    etag.map(Some).ok_or_else(|| Refusal::invalid("etag", "must be the etag of an answer"))
}

/// A plan digest in its text form.
pub(crate) fn plan_digest(field: &'static str, text: &str) -> Refusable<PlanDigest> {
    from_hex(text)
        .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
        .map(PlanDigest)
        .ok_or_else(|| Refusal::invalid(field, "must be 64 hexadecimal digits"))
}

/// The form a plan document is in.
pub(crate) fn plan_format(field: &'static str, number: i32) -> Refusable<venue::Format> {
    match wire::PlanFormat::try_from(number) {
        Ok(wire::PlanFormat::Usher) => Ok(venue::Format::Usher),
        Ok(wire::PlanFormat::Seatsio) => Ok(venue::Format::Seatsio),
        Ok(wire::PlanFormat::Pretix) => Ok(venue::Format::Pretix),
        Ok(wire::PlanFormat::Unspecified) | Err(_) => {
            Err(Refusal::invalid(field, "must be PLAN_FORMAT_USHER, PLAN_FORMAT_SEATSIO or PLAN_FORMAT_PRETIX"))
        }
    }
}

/// How to read a plan document.
pub(crate) fn import_options(options: Option<wire::PlanImportOptions>) -> venue::ImportOptions {
    let options = options.unwrap_or_default();
    venue::ImportOptions {
        seat_key: if options.use_uuid_as_key { venue::SeatKey::Uuid } else { venue::SeatKey::Guid },
        repair: options.repair,
    }
}

// Pages.

/// How many events a page has.
pub(crate) fn page_size(asked: u32) -> usize {
    let size = if asked == 0 { PAGE_SIZE_DEFAULT } else { asked.min(PAGE_SIZE_MAX) };
    size as usize
}

/// A token for the events after `last`: the id and a check, in hexadecimal. Opaque to callers.
pub(crate) fn page_token(last: &str) -> String {
    let bytes = last.as_bytes().iter().copied().chain(page_check(last));
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// The id in a page token; none in an empty one.
pub(crate) fn page_after(token: &str) -> Refusable<Option<String>> {
    if token.is_empty() {
        return Ok(None);
    }
    let invalid =
        || Refusal::field(Reason::PageTokenInvalid, "page_token", "must be the next_page_token of the page before");
    let bytes = from_hex(token).ok_or_else(invalid)?;
    let (id, check) = bytes.split_at_checked(bytes.len().saturating_sub(4)).ok_or_else(invalid)?;
    let id = std::str::from_utf8(id).map_err(|_| invalid())?;
    if EventId::parse(id).is_none() || check != page_check(id) {
        return Err(invalid());
    }
    Ok(Some(id.to_owned()))
}

fn page_check(id: &str) -> [u8; 4] {
    let digest = Sha256::new().chain_update(b"usher ListEvents page 1\0").chain_update(id).finalize();
    [digest[0], digest[1], digest[2], digest[3]]
}

pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

// Answers.

/// A point in time.
pub(crate) fn timestamp_message(time: TimestampMs) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: i64::try_from(time.0 / 1_000).unwrap_or(i64::MAX),
        nanos: i32::try_from(time.0 % 1_000 * 1_000_000).unwrap_or(0),
    }
}

/// A point in time, or nothing for zero.
pub(crate) fn bound_message(time: TimestampMs) -> Option<prost_types::Timestamp> {
    (time.0 > 0).then(|| timestamp_message(time))
}

/// An event of the admin lane.
pub(crate) fn event_message(view: &EventView, incarnation: u64) -> wire::Event {
    let info = view.info();
    let mut event = described(view.id(), &info);
    event.counts = Some(place_counts(view.counts()));
    event.position = view.position();
    event.incarnation = incarnation;
    event
}

/// An event as it would be made.
pub(crate) fn planned_event_message(create: &CreateEvent, incarnation: u64) -> wire::Event {
    let info = EventInfo {
        settings: create.settings.clone(),
        plan: std::sync::Arc::clone(&create.plan),
        plan_revision: 1,
        etag: 0,
        creation_fingerprint: create.fingerprint(),
    };
    let mut event = described(&create.id, &info);
    let counts = engine::Counts { open: info.plan.capacity(), held: 0, sold: 0, killed: 0 };
    event.counts = Some(place_counts(counts));
    event.etag = String::new();
    event.incarnation = incarnation;
    event
}

fn described(id: &EventId, info: &EventInfo) -> wire::Event {
    let settings = &info.settings;
    wire::Event {
        event_id: id.as_str().to_owned(),
        event_key: event_key(id).0,
        display_name: settings.display_name.to_string(),
        state: event_state(settings.state) as i32,
        plan_digest: info.plan.digest().to_string(),
        plan_revision: info.plan_revision,
        seat_count: info.plan.seat_count(),
        capacity: info.plan.capacity(),
        policies: Some(policies_message(&settings.policies)),
        opens_at: bound_message(settings.opens_at),
        closes_at: bound_message(settings.closes_at),
        starts_at: bound_message(settings.starts_at),
        time_zone: settings.time_zone.to_string(),
        labels: settings.labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
        etag: etag_text(info.etag),
        level_limits: level_limit_messages(&settings.limits),
        quotas: quota_messages(&settings.limits),
        ..Default::default()
    }
}

fn policies_message(policies: &Policies) -> wire::EventPolicies {
    let duration = |seconds: u32| Some(prost_types::Duration { seconds: i64::from(seconds), nanos: 0 });
    wire::EventPolicies {
        hold_ttl: duration(policies.hold_ttl_s),
        lifetime_max: duration(policies.lifetime_s_max),
        renewals_max: Some(policies.renewals_max),
        payment_grace: duration(policies.payment_grace_s),
        payment_attempts_max: Some(policies.payment_attempts_max),
        payment_min_left: duration(policies.payment_left_s_min),
        places_per_hold_max: Some(policies.places_per_hold_max),
        places_per_customer_max: Some(policies.places_per_customer_max),
        holds_per_customer_max: Some(policies.holds_per_customer_max),
        orphan_rule: orphan_rule(policies.orphan_rule) as i32,
        retry_window: duration(policies.retry_window_s),
        cooling_max: duration(policies.cooling_s_max),
        abandon_credits_max: Some(policies.abandon_credits_max),
        abandon_refill: duration(policies.abandon_refill_s),
    }
}

/// The size of a plan as its author wrote it.
pub(crate) fn plan_counts(spec: &PlanSpec) -> wire::PlanCounts {
    let kind = |wanted: RowKind| {
        number(spec.sections.iter().flat_map(|section| &section.rows).filter(|row| row.kind == wanted).count())
    };
    let seats = number(spec.seat_count());
    let admissions = spec.areas.iter().fold(0_u32, |sum, area| sum.saturating_add(area.capacity));
    wire::PlanCounts {
        zones: number(spec.zones.len()),
        price_levels: number(spec.price_levels.len()),
        sections: number(spec.sections.len()),
        rows: kind(RowKind::Row),
        tables: kind(RowKind::Table),
        seats,
        ga_areas: number(spec.areas.len()),
        capacity: seats.saturating_add(admissions),
    }
}

fn number(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Problems of a plan, errors first, and how many were left out.
pub(crate) fn problems(problems: &[PlanProblem]) -> Vec<wire::PlanProblem> {
    let of = |wanted: Severity| problems.iter().filter(move |problem| problem.severity == wanted);
    let errors_first = of(Severity::Error).chain(of(Severity::Warning));
    let mut said: Vec<wire::PlanProblem> = errors_first.take(PLAN_PROBLEMS_MAX).map(problem_message).collect();
    let left_out = problems.len() - said.len();
    if left_out > 0 {
        said.push(wire::PlanProblem {
            path: String::new(),
            problem: format!("and {left_out} more"),
            severity: wire::ProblemSeverity::Warning as i32,
        });
    }
    said
}

fn problem_message(problem: &PlanProblem) -> wire::PlanProblem {
    wire::PlanProblem {
        path: problem.path.clone(),
        problem: problem.problem.clone(),
        severity: match problem.severity {
            Severity::Warning => wire::ProblemSeverity::Warning,
            Severity::Error => wire::ProblemSeverity::Error,
        } as i32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_token_is_ours_or_refused() {
        let token = page_token("demo");
        assert_eq!(page_after(&token).expect("our own"), Some("demo".to_owned()));
        assert_eq!(page_after("").expect("the first page"), None);
        let mut forged = token.clone();
        forged.replace_range(0..2, "65");
        for wrong in ["x", "00", "64656d6f", forged.as_str(), &token[2..], "\u{e9}\u{e9}"] {
            assert!(page_after(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_outside_what_the_type_may_carry_are_refused() {
        for (seconds, nanos) in [(-1, 0), (0, -1), (0, 1_000_000_000), (i64::MAX, 0)] {
            let time = prost_types::Timestamp { seconds, nanos };
            assert!(timestamp("opens_at", Some(&time)).is_err());
        }
        for (seconds_, nanos) in [(-1, 0), (1, 1), (i64::MAX, 0), (1, -1)] {
            let duration = prost_types::Duration { seconds: seconds_, nanos };
            assert!(seconds("hold_ttl", Some(&duration)).is_err());
        }
    }

    #[test]
    fn defaults_are_those_of_the_contract() {
        let settings = new_settings(&wire::CreateEventRequest::default()).expect("defaults are valid");
        assert_eq!(settings.policies.hold_ttl_s, inventory_core::limits::policy::HOLD_TTL_S_DEFAULT);
        assert_eq!(settings.state, EventState::OnSale);
    }
}
