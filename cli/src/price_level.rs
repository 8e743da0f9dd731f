//! `usherctl price-level set`: another price level for places that are not sold.

use clap::{ArgGroup, Args, Subcommand};
use client::Client;
use proto::admin::v1::SetPriceLevelRequest;

use crate::failure::Failure;
use crate::name::{Admissions, EventName};
use crate::orders::{Conditions, Done, refused, touched_report};
use crate::place_words::{PlaceWords, once};
use crate::report::Report;

const SET_EXAMPLES: &str = "Examples:
  usherctl price-level set concert-1 Premium Stalls/A Stalls/B/1-8
  usherctl price-level set concert-1 Early --area FLOOR
  usherctl price-level set concert-1 Premium Stalls/A --validate-only

All places get it, or none does. What is held or sold keeps its level. Name all of a change in one command: each makes a
plan of its own.";

/// What to do with price levels.
#[derive(Subcommand, Debug)]
pub(crate) enum PriceLevelCommand {
    Set(SetOptions),
}

/// Give open or killed places another price level, which may be a new one
#[derive(Args, Debug)]
#[command(
    after_help = SET_EXAMPLES,
    group(ArgGroup::new("meant").args(["places", "area"]).required(true).multiple(true)),
)]
pub(crate) struct SetOptions {
    /// Name of the event
    #[arg(value_name = "EVENT")]
    event: EventName,
    /// Name of the price level, made if there is none
    #[arg(value_name = "LEVEL")]
    level: String,
    /// Seats by key, or many by a selector: SECTION, SECTION/ROW or SECTION/ROW/FIRST-LAST
    #[arg(value_name = "PLACES")]
    places: Vec<String>,
    /// Key of an area, which changes as a whole; may be repeated
    #[arg(long, value_name = "AREA")]
    area: Vec<String>,
    #[command(flatten)]
    conditions: Conditions,
}

/// `usherctl price-level`.
pub(crate) async fn run(client: &Client, command: PriceLevelCommand) -> Result<Report, Failure> {
    match command {
        PriceLevelCommand::Set(options) => set(client, &options).await,
    }
}

async fn set(client: &Client, options: &SetOptions) -> Result<Report, Failure> {
    let event = &options.event;
    once("--area", options.area.iter().map(String::as_str))?;
    let request_id = options.conditions.request(client, event).await?;
    // How many admissions are named does not matter.
    let areas: Vec<Admissions> =
        options.area.iter().map(|area| Admissions { area: area.clone(), quantity: 1 }).collect();
    let words = PlaceWords::read(client, event, &options.places, &areas).await?;
    let request = SetPriceLevelRequest {
        event_id: event.to_string(),
        request_id: request_id.clone(),
        places: Some(words.to_wire()),
        price_level: options.level.clone(),
        expected_state: options.conditions.expected_state(),
        validate_only: options.conditions.validate_only,
    };
    let answer = match client.unary().set_price_level(request).await {
        Ok(answer) => answer,
        Err(error) => {
            let failure = words.explain(Failure::from(error), "places");
            return Err(refused(client, event, failure, &request_id).await);
        }
    };
    let only = options.conditions.validate_only;
    let word = if only { "would change" } else { "changed" };
    let done = Done { replayed: answer.replayed, position: answer.position, incarnation: answer.incarnation };
    let mut report = touched_report(client, event, &request_id, word, &answer.touched.unwrap_or_default(), done).await;
    report.json["plan_digest"] = answer.plan_digest.into();
    Ok(if only { report } else { report.next(format!("usherctl availability {event}")) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser, Debug)]
    enum Only {
        #[command(subcommand)]
        PriceLevel(PriceLevelCommand),
    }

    fn parsed(line: &str) -> Result<SetOptions, String> {
        let words = ["usherctl", "price-level"].into_iter().chain(line.split(' '));
        let Only::PriceLevel(PriceLevelCommand::Set(options)) =
            Only::try_parse_from(words).map_err(|error| error.to_string())?;
        Ok(options)
    }

    #[test]
    fn a_level_and_places_are_needed() {
        assert!(parsed("set e").expect_err("no level").contains("<LEVEL>"));
        assert!(parsed("set e Premium").expect_err("no places").contains("required"));
        let options = parsed("set e Premium S/A S-B-1 --area FLOOR --area YARD").expect("places");
        assert_eq!((options.level.as_str(), options.places.len(), options.area.len()), ("Premium", 2, 2));
    }
}
