//! `usherctl suggest` and `explain`: what the server would choose or refuse. Nothing is held.

use clap::Args;
use client::{Client, PlaceInTheWay};
use proto::inventory::v1::{BestAvailable, ExplainRequest, ExplainResponse, GaItem, SuggestRequest, SuggestResponse};
use serde_json::{Value, json};

use crate::failure::{Failure, NamedPlace};
use crate::hold::HoldOptions;
use crate::hold_card::arrangement_word;
use crate::name::EventName;
use crate::report::Report;
use crate::table::{Side, columns, fields};
use crate::venue_plan::VenuePlan;

const SUGGEST_EXAMPLES: &str = "Examples:
  usherctl suggest concert-1 --best 4
  usherctl suggest concert-1 --best 2 --options 5 --section Stalls --contiguous-only
  usherctl suggest concert-1 --best 2 --allocation-key fans-2027 --include-unallocated";

/// Tell ways to seat a party, best first, and hold nothing
#[derive(Args, Debug)]
#[command(after_help = SUGGEST_EXAMPLES)]
pub(crate) struct SuggestOptions {
    /// Name of the event
    #[arg(value_name = "EVENT")]
    event: EventName,
    /// How many places
    #[arg(long, value_name = "N")]
    best: u32,
    /// So many ways at most, 1 to 10
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=10))]
    options: u32,
    /// Choose only from this price level; may be repeated
    #[arg(long, value_name = "KEY")]
    level: Vec<String>,
    /// Choose only from this section; may be repeated
    #[arg(long, value_name = "KEY")]
    section: Vec<String>,
    /// Choose only from this zone
    #[arg(long, value_name = "KEY")]
    zone: Option<String>,
    /// Exactly so many of the chosen seats are accessible ones
    #[arg(long, value_name = "K")]
    accessible: Option<u32>,
    /// Choose only seats side by side in one row
    #[arg(long)]
    contiguous_only: bool,
    /// Choose only seats, no general admission
    #[arg(long)]
    seats_only: bool,
    /// Choose from the allocation with this key; may be repeated
    #[arg(long, value_name = "KEY")]
    allocation_key: Vec<String>,
    /// With keys, choose from general sale as well
    #[arg(long, requires = "allocation_key")]
    include_unallocated: bool,
}

/// `usherctl suggest`.
pub(crate) async fn suggest(client: &Client, options: &SuggestOptions) -> Result<Report, Failure> {
    let request = SuggestRequest {
        event_id: options.event.to_string(),
        best_available: Some(BestAvailable {
            quantity: options.best,
            price_levels: options.level.clone(),
            sections: options.section.clone(),
            zone: options.zone.clone().unwrap_or_default(),
            accessible_count: options.accessible.unwrap_or(0),
            contiguous_only: options.contiguous_only,
            seats_only: options.seats_only,
        }),
        options_max: options.options,
        allocation_keys: options.allocation_key.clone(),
        include_unallocated: options.include_unallocated,
    };
    let answer = client.unary().suggest(request).await?;
    let has_areas = answer.options.iter().any(|option| !option.ga.is_empty());
    let plan = plan_of(client, &options.event, has_areas, answer.plan_revision).await;
    Ok(Report::new(suggest_text(&answer, &plan), suggest_json(&answer, &plan)))
}

/// `usherctl explain`.
pub(crate) async fn explain(client: &Client, options: &HoldOptions) -> Result<Report, Failure> {
    let hold = options.to_wire(options.hold_id.unwrap_or_else(|| client.ids().hold_id()));
    let answer = client.unary().explain(ExplainRequest { hold: Some(hold) }).await?;
    let in_the_way = answer.places_unavailable.as_ref().map_or_else(Vec::new, PlaceInTheWay::all_of);
    let is_needed = !(answer.ga.is_empty() && in_the_way.is_empty());
    let plan = plan_of(client, options.event(), is_needed, answer.plan_revision).await;
    let in_the_way: Vec<NamedPlace> = in_the_way.into_iter().map(|place| plan.named(place)).collect();
    Ok(Report::new(explain_text(&answer, &in_the_way, &plan), explain_json(&answer, &in_the_way, &plan)))
}

/// The plan that names what an answer has by index alone. Empty where nothing needs it, and where it cannot be read or
/// was revised since: then the indexes are shown.
async fn plan_of(client: &Client, event: &EventName, is_needed: bool, revision: u32) -> VenuePlan {
    if !is_needed {
        return VenuePlan::default();
    }
    VenuePlan::read(client, event).await.ok().filter(|plan| plan.revision == revision).unwrap_or_default()
}

fn area_key(plan: &VenuePlan, item: &GaItem) -> String {
    plan.area_key(item.area).map_or_else(|| format!("#{}", item.area), str::to_owned)
}

/// As `hold` writes them: `A-1, A-2, 2 × FLOOR`.
fn places(seat_keys: &[String], ga: &[GaItem], plan: &VenuePlan) -> String {
    let areas = ga.iter().map(|item| format!("{} × {}", item.quantity, area_key(plan, item)));
    seat_keys.iter().cloned().chain(areas).collect::<Vec<String>>().join(", ")
}

fn suggest_text(answer: &SuggestResponse, plan: &VenuePlan) -> String {
    let header = [("", Side::Right), ("SEATED", Side::Left), ("PLACES", Side::Left)];
    let rows: Vec<Vec<String>> = answer
        .options
        .iter()
        .zip(1..)
        .map(|(option, number): (_, u32)| {
            let arrangement = arrangement_word(option.arrangement()).unwrap_or_default();
            vec![number.to_string(), arrangement.to_owned(), places(&option.seat_keys, &option.ga, plan)]
        })
        .collect();
    columns(&header, &rows)
}

fn ga_json(ga: &[GaItem], plan: &VenuePlan) -> Value {
    ga.iter()
        .map(|item| json!({ "area": area_key(plan, item), "quantity": item.quantity, "ticket_type": item.ticket_type }))
        .collect()
}

fn suggest_json(answer: &SuggestResponse, plan: &VenuePlan) -> Value {
    let options = answer.options.iter().map(|option| {
        json!({
            "arrangement": arrangement_word(option.arrangement()),
            "seats": option.seats,
            "seat_keys": option.seat_keys,
            "ga": ga_json(&option.ga, plan),
        })
    });
    json!({
        "options": options.collect::<Vec<_>>(),
        "plan_revision": answer.plan_revision,
        "position": answer.position,
        "incarnation": answer.incarnation,
    })
}

fn reason_word(answer: &ExplainResponse) -> Option<&'static str> {
    match answer.reason() {
        proto::inventory::v1::Reason::Unspecified => None,
        reason => Some(reason.as_str_name().trim_start_matches("REASON_")),
    }
}

fn explain_text(answer: &ExplainResponse, in_the_way: &[NamedPlace], plan: &VenuePlan) -> String {
    let verdict = reason_word(answer).map_or_else(|| "granted".to_owned(), |reason| format!("refused: {reason}"));
    let mut lines = vec![("a hold would be", verdict)];
    if !answer.message.is_empty() {
        lines.push(("because", answer.message.clone()));
    }
    if !in_the_way.is_empty() {
        lines.push(("in the way", in_the_way.iter().map(NamedPlace::text).collect::<Vec<_>>().join(", ")));
    }
    if !(answer.seat_keys.is_empty() && answer.ga.is_empty()) {
        lines.push(("places", places(&answer.seat_keys, &answer.ga, plan)));
    }
    if let Some(arrangement) = arrangement_word(answer.arrangement()) {
        lines.push(("seated", arrangement.to_owned()));
    }
    if !answer.left_alone_keys.is_empty() {
        lines.push(("left alone", answer.left_alone_keys.join(", ")));
    }
    fields(&lines)
}

fn explain_json(answer: &ExplainResponse, in_the_way: &[NamedPlace], plan: &VenuePlan) -> Value {
    json!({
        "reason": reason_word(answer),
        "message": answer.message,
        "seats": answer.seats,
        "seat_keys": answer.seat_keys,
        "ga": ga_json(&answer.ga, plan),
        "arrangement": arrangement_word(answer.arrangement()),
        "places_in_the_way": in_the_way.iter().map(NamedPlace::json).collect::<Vec<_>>(),
        "left_alone": answer.left_alone,
        "left_alone_keys": answer.left_alone_keys,
        "plan_revision": answer.plan_revision,
        "position": answer.position,
        "incarnation": answer.incarnation,
    })
}
