//! Suggest and Explain: what the shard would choose or refuse, told and not done.
//!
//! Not here: choosing and judging, which are those of Hold (crate `inventory-core`).

use engine::{Answer, Done, Engine, EventView, Refused};
use inventory_core::{
    command::{Command, Suggest},
    slot::Suggestion,
};
use proto::inventory::v1 as wire;

use super::{
    convert,
    refusal::{Asked, Refusable, Refusal},
};

/// Ways that are told when the caller does not say how many.
const OPTIONS_DEFAULT: u32 = 3;

/// The command of a request.
pub(crate) fn suggest(request: wire::SuggestRequest) -> Refusable<Command> {
    let missing = || Refusal::invalid("best_available", "is required");
    let best = convert::best_available(request.best_available.ok_or_else(missing)?);
    let options_max = if request.options_max == 0 { OPTIONS_DEFAULT } else { request.options_max };
    let suggest = Suggest {
        allocations: convert::allocation_keys(request.allocation_keys, request.include_unallocated),
        best,
        options_max: u8::try_from(options_max).unwrap_or(u8::MAX),
        plan_revision: 0,
    };
    suggest.check().map_err(|reject| Refusal::of_reject(reject, Asked::default()))?;
    Ok(Command::Suggest(Box::new(suggest)))
}

/// The command of a request, and what it asked.
pub(crate) fn explain(engine: &Engine, hold: wire::HoldRequest) -> Refusable<(Command, Asked)> {
    // Any id will do: it is not judged.
    let hold_id = convert::new_hold_id(engine.clock().now())?;
    let (hold, asked) = convert::hold(hold, hold_id)?;
    Ok((Command::Explain(Box::new(hold)), asked))
}

/// What is told of ways to seat a party.
pub(crate) fn suggested(
    engine: &Engine,
    event: &EventView,
    best: wire::BestAvailable,
    answer: Answer,
) -> Refusable<wire::SuggestResponse> {
    let Answer { result, position, time } = answer;
    let (plan_revision, options) = match result {
        Ok(Done::Suggested { plan_revision, options }) => (plan_revision, options),
        Ok(_) => return Err(Refusal::of_refused(Refused::Internal, Asked::default())),
        Err(refused) => return Err(at(Refusal::of_refused(refused, Asked::default()), position, time.0)),
    };
    let info = event.info();
    let option = |Suggestion { seats, area, arrangement }: Suggestion| wire::suggest_response::Option {
        seat_keys: convert::keys(&info, plan_revision, &seats),
        seats,
        ga: area
            .map(|area| wire::GaItem { area: u32::from(area), quantity: best.quantity, ..Default::default() })
            .into_iter()
            .collect(),
        arrangement: convert::arrangement(arrangement) as i32,
    };
    Ok(wire::SuggestResponse {
        options: options.into_iter().map(option).collect(),
        plan_revision,
        position,
        incarnation: engine.incarnation(),
        server_time_ms: time.0,
    })
}

/// What is told of a hold that is not made.
pub(crate) fn explained(
    engine: &Engine,
    event: &EventView,
    asked: Asked,
    answer: Answer,
) -> Refusable<wire::ExplainResponse> {
    let Answer { result, position, time } = answer;
    let (plan_revision, outcome, left_alone) = match result {
        Ok(Done::Explained { plan_revision, outcome, left_alone }) => (plan_revision, *outcome, left_alone),
        Ok(_) => return Err(Refusal::of_refused(Refused::Internal, asked)),
        Err(refused) => return Err(at(Refusal::of_refused(refused, asked), position, time.0)),
    };
    let info = event.info();
    let mut response = wire::ExplainResponse {
        left_alone_keys: convert::keys(&info, plan_revision, &left_alone),
        left_alone,
        plan_revision,
        position,
        incarnation: engine.incarnation(),
        server_time_ms: time.0,
        ..Default::default()
    };
    match outcome {
        Ok(held) => {
            response.seats = convert::seat_indexes(&held.seats);
            response.seat_keys = convert::keys(&info, plan_revision, &response.seats);
            response.ga = convert::ga_items(&held.admissions);
            response.arrangement = convert::arrangement(held.arrangement) as i32;
        }
        Err(reject) => {
            let refusal = Refusal::of_reject(reject, asked);
            response.reason = refusal.reason as i32;
            response.message = refusal.message.to_string();
            response.places_unavailable = refusal.places_message();
        }
    }
    Ok(response)
}

fn at(mut refusal: Box<Refusal>, position: u64, time_ms: u64) -> Box<Refusal> {
    refusal.position = position;
    refusal.time_ms = time_ms;
    refusal
}
