//! `usherctl retire`: an event that is over leaves the server's memory.

use clap::Args;
use client::Client;
use proto::admin::v1::RetireEventRequest;
use serde_json::json;

use crate::event_card::EventCard;
use crate::failure::Failure;
use crate::name::EventName;
use crate::orders::{Conditions, refused};
use crate::report::Report;

const EXAMPLES: &str = "Examples:
  usherctl retire concert-1 --validate-only
  usherctl retire concert-1

The event must be off sale or cancelled, and nothing of it held. There is no way back: its name is never used again. Its
last state is in the file that is named; `usherctl inspect FILE` reads it.";

/// Write the last state of an event to a file and take the event out of memory, for good
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RetireOptions {
    /// Name of the event
    #[arg(value_name = "EVENT")]
    event: EventName,
    #[command(flatten)]
    conditions: Conditions,
}

/// `usherctl retire`.
pub(crate) async fn retire(client: &Client, options: &RetireOptions) -> Result<Report, Failure> {
    let event = &options.event;
    let request_id = options.conditions.request(client, event).await?;
    let request = RetireEventRequest {
        event_id: event.to_string(),
        request_id: request_id.clone(),
        expected_state: options.conditions.expected_state(),
        validate_only: options.conditions.validate_only,
    };
    let answer = match client.unary().retire_event(request).await {
        Ok(answer) => answer,
        Err(error) => return Err(refused(client, event, Failure::from(error), &request_id).await),
    };
    let card = EventCard::from(answer.event.unwrap_or_default());
    let json = json!({
        "request_id": request_id,
        "event": card.json(),
        "archive_file": Some(&answer.archive_file).filter(|file| !file.is_empty()),
        "position": answer.position,
        "incarnation": answer.incarnation,
    });
    let sold = card.counts().sold;
    if options.conditions.validate_only {
        return Ok(Report::new(format!("{event} would be retired, {sold} places sold"), json));
    }
    Ok(Report::new(format!("{event} is retired, {sold} places sold: {} in the data folder", answer.archive_file), json))
}
