//! `usherctl availability`: what is open, held and sold, by section, price level and area.

use clap::Args;
use client::Client;
use proto::inventory::v1::{GetAvailabilityRequest, GetAvailabilityResponse, PlaceCounts};
use serde_json::{Value, json};

use crate::event_card::counts_json;
use crate::failure::Failure;
use crate::name::EventName;
use crate::report::Report;
use crate::table::{Side, columns, grouped};

/// Count the places of an event by section, price level and area
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  usherctl availability concert-1\n  usherctl availability concert-1 --output json")]
pub(crate) struct AvailabilityOptions {
    /// Name of the event
    #[arg(value_name = "EVENT")]
    event: EventName,
}

/// Runs the command.
pub(crate) async fn availability(client: &Client, options: &AvailabilityOptions) -> Result<Report, Failure> {
    let request = GetAvailabilityRequest { event_id: options.event.to_string(), ..GetAvailabilityRequest::default() };
    let answer = client.unary().get_availability(request).await?;
    Ok(Report::new(text(&answer), json(&options.event, &answer)))
}

/// The three lists an event is counted by: what each is, and its keys with their counts.
fn groups(answer: &GetAvailabilityResponse) -> [(&'static str, Vec<(&str, PlaceCounts)>); 3] {
    let sections = answer.sections.iter().map(|one| (one.key.as_str(), one.counts.unwrap_or_default()));
    let levels = answer.price_levels.iter().map(|one| (one.key.as_str(), one.counts.unwrap_or_default()));
    let areas = answer.ga_areas.iter().map(|one| (one.key.as_str(), one.counts.unwrap_or_default()));
    [("section", sections.collect()), ("level", levels.collect()), ("area", areas.collect())]
}

fn text(answer: &GetAvailabilityResponse) -> String {
    let header = [
        ("", Side::Left),
        ("KEY", Side::Left),
        ("OPEN", Side::Right),
        ("HELD", Side::Right),
        ("SOLD", Side::Right),
        ("KILLED", Side::Right),
        ("CAPACITY", Side::Right),
    ];
    let line = |kind: &str, key: &str, counts: PlaceCounts| -> Vec<String> {
        let numbers = [counts.open, counts.held, counts.sold, counts.killed, counts.capacity];
        [kind.to_owned(), key.to_owned()].into_iter().chain(numbers.map(|number| grouped(u64::from(number)))).collect()
    };
    let mut rows = vec![line("all", "", answer.totals.unwrap_or_default())];
    for (kind, list) in groups(answer) {
        rows.extend(list.into_iter().map(|(key, counts)| line(kind, key, counts)));
    }
    columns(&header, &rows)
}

fn json(event: &EventName, answer: &GetAvailabilityResponse) -> Value {
    let [sections, levels, areas] = groups(answer).map(|(_, list)| {
        list.into_iter().map(|(key, counts)| json!({ "key": key, "counts": counts_json(&counts) })).collect::<Vec<_>>()
    });
    json!({
        "event_id": event.as_str(),
        "totals": counts_json(&answer.totals.unwrap_or_default()),
        "sections": sections,
        "price_levels": levels,
        "ga_areas": areas,
        "plan_revision": answer.plan_revision,
        "position": answer.position,
        "incarnation": answer.incarnation,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::inventory::v1::{GaAreaAvailability, SectionAvailability};

    #[test]
    fn every_list_is_in_one_table() {
        let counts = |open| Some(PlaceCounts { open, held: 1, sold: 2, killed: 0, capacity: open + 3 });
        let answer = GetAvailabilityResponse {
            totals: counts(1_500),
            sections: vec![SectionAvailability { section: 0, key: "Stalls".into(), counts: counts(1_400) }],
            ga_areas: vec![GaAreaAvailability { area: 0, key: "FLOOR".into(), counts: counts(100) }],
            position: 12,
            ..GetAvailabilityResponse::default()
        };
        assert_eq!(
            text(&answer),
            "         KEY      OPEN  HELD  SOLD  KILLED  CAPACITY\n\
             all              1,500     1     2       0     1,503\n\
             section  Stalls  1,400     1     2       0     1,403\n\
             area     FLOOR     100     1     2       0       103\n"
        );
        let json = json(&"e".parse().expect("a name"), &answer);
        assert_eq!((json["totals"]["open"].as_u64(), json["position"].as_u64()), (Some(1_500), Some(12)));
        assert_eq!(json["price_levels"], json!([]));
    }
}
