use anyhow::{Context, bail};
use client::{Client, IdMaker};
use proto::admin::v1::{CreateEventRequest, CreatePlanRequest, EventPolicies, PlanFormat, ProblemSeverity};
use proto::inventory::v1::OrphanRule;
use serde_json::Value;

use crate::patience::Patience;

/// Stores a plan of our own making.
pub(crate) async fn create_plan(client: &Client, plan: &Value, patience: Patience) -> anyhow::Result<String> {
    let request = CreatePlanRequest {
        document: serde_json::to_vec(plan)?.into(),
        format: PlanFormat::Usher as i32,
        ..CreatePlanRequest::default()
    };
    let answer = patience
        .ask(|| {
            let request = request.clone();
            async move { client.unary().create_plan(request).await }
        })
        .await
        .context("cannot store the plan")?;
    if answer.plan_digest.is_empty() {
        let error = |severity: i32| severity == ProblemSeverity::Error as i32;
        let first = answer.problems.iter().find(|problem| error(problem.severity));
        bail!("the server refused the plan: {first:?}");
    }
    Ok(answer.plan_digest)
}

/// Makes an event on sale. Its id carries a time and randomness, since ids are never used again.
pub(crate) async fn create_event(
    client: &Client,
    name: &str,
    plan_digest: &str,
    policies: EventPolicies,
    patience: Patience,
) -> anyhow::Result<String> {
    let event_id = new_id(name, client.ids());
    let request = CreateEventRequest {
        event_id: event_id.clone(),
        plan: Some(proto::admin::v1::create_event_request::Plan::PlanDigest(plan_digest.to_owned())),
        display_name: format!("Load: {name}"),
        policies: Some(policies),
        ..CreateEventRequest::default()
    };
    patience
        .ask(|| {
            let request = request.clone();
            async move { client.unary().create_event(request).await }
        })
        .await
        .context("cannot make an event")?;
    Ok(event_id)
}

/// For scenarios whose picks are made without a look at the rows.
pub(crate) fn without_orphan_rule() -> EventPolicies {
    EventPolicies { orphan_rule: OrphanRule::Off as i32, ..EventPolicies::default() }
}

/// The shortest payments the server allows, and little time after one that failed: so that a short run has all kinds
/// of ends.
pub(crate) fn with_short_payments() -> EventPolicies {
    let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    EventPolicies { payment_grace: seconds(60), payment_min_left: seconds(2), ..EventPolicies::default() }
}

fn new_id(name: &str, ids: &IdMaker) -> String {
    let (hi, lo) = ids.hold_id().halves();
    format!("load-{name}-{:x}{:08x}", hi >> 16, lo & 0xffff_ffff)
}
