//! `usherctl allocation set`, `remove` and `list`: places set aside for those who bring a key.

use clap::{Args, Subcommand};
use client::Client;
use prost_types::Timestamp;
use proto::admin::v1::{
    Allocation, AllocationQuota, ListAllocationsRequest, RemoveAllocationRequest, SetAllocationRequest,
};
use proto::inventory::v1::{PlaceCounts, PlaceSet};
use serde_json::{Value, json};

use crate::event_card::{counts_json, moment_json};
use crate::failure::Failure;
use crate::instant::{self, Bound};
use crate::name::{Admissions, EventName};
use crate::orders::{Conditions, Done, refused, touched_report};
use crate::place_words::{PlaceWords, admissions_once};
use crate::report::Report;
use crate::table::{Side, columns, fields, grouped};

const SET_EXAMPLES: &str = "Examples:
  usherctl allocation set concert-1 fans-2027 Stalls/A Stalls/B/1-8 --ga FLOOR=50
  usherctl allocation set concert-1 fans-2027 --opens-at 2027-05-01T10:00:00Z --closes-at 2027-05-02T10:00:00Z
  usherctl allocation set concert-1 fans-2027 Stalls/C --validate-only

A seat is of one allocation at most: it leaves the one it was of. The number of an area is its quota from now on.
Whoever knows the key may buy.";

const REMOVE_EXAMPLES: &str = "Examples:
  usherctl allocation remove concert-1 fans-2027 Stalls/B --ga FLOOR=10
  usherctl allocation remove concert-1 fans-2027

Without places all of it is of general sale again. What is held or sold stays so.";

const LIST_EXAMPLES: &str = "Examples:
  usherctl allocation list concert-1
  usherctl allocation list concert-1 -o json";

/// What to do with the allocations of an event.
#[derive(Subcommand, Debug)]
pub(crate) enum AllocationCommand {
    Set(SetOptions),
    Remove(RemoveOptions),
    List(ListOptions),
}

/// Set places aside for those who bring a key, or change when they may be bought
#[derive(Args, Debug)]
#[command(after_help = SET_EXAMPLES)]
pub(crate) struct SetOptions {
    /// Name of the event
    #[arg(value_name = "EVENT")]
    event: EventName,
    /// Key of the allocation, made if there is none: 1 to 64 printable ASCII characters without spaces
    #[arg(value_name = "KEY")]
    key: String,
    /// Seats by key, or many by a selector: SECTION, SECTION/ROW or SECTION/ROW/FIRST-LAST
    #[arg(value_name = "PLACES")]
    places: Vec<String>,
    /// Its quota of an area, used or not; may be repeated
    #[arg(long, value_name = "AREA=N")]
    ga: Vec<Admissions>,
    /// Start of its window; `none`: that of the event
    #[arg(long, value_name = "TIME", value_parser = instant::parse_bound)]
    opens_at: Option<Bound>,
    /// End of its window, not included; `none`: that of the event
    #[arg(long, value_name = "TIME", value_parser = instant::parse_bound)]
    closes_at: Option<Bound>,
    #[command(flatten)]
    conditions: Conditions,
}

/// Give places of an allocation back to general sale, those named or all of it
#[derive(Args, Debug)]
#[command(after_help = REMOVE_EXAMPLES)]
pub(crate) struct RemoveOptions {
    /// Name of the event
    #[arg(value_name = "EVENT")]
    event: EventName,
    /// Key of the allocation
    #[arg(value_name = "KEY")]
    key: String,
    /// Seats by key, or many by a selector: SECTION, SECTION/ROW or SECTION/ROW/FIRST-LAST
    #[arg(value_name = "PLACES")]
    places: Vec<String>,
    /// By how many admissions its quota of an area shrinks; may be repeated
    #[arg(long, value_name = "AREA=N")]
    ga: Vec<Admissions>,
    #[command(flatten)]
    conditions: Conditions,
}

/// List the allocations of an event: their keys, windows, and what became of their places
#[derive(Args, Debug)]
#[command(after_help = LIST_EXAMPLES)]
pub(crate) struct ListOptions {
    /// Name of the event
    #[arg(value_name = "EVENT")]
    event: EventName,
}

/// `usherctl allocation`.
pub(crate) async fn run(client: &Client, command: AllocationCommand) -> Result<Report, Failure> {
    match command {
        AllocationCommand::Set(options) => set(client, &options).await,
        AllocationCommand::Remove(options) => remove(client, &options).await,
        AllocationCommand::List(options) => list(client, &options).await,
    }
}

/// A bound as the request wants it: not set means "as it is", so that "that of the event" must be said.
fn bound(bound: Option<Bound>) -> Option<Timestamp> {
    bound.map(|bound| bound.to_wire().unwrap_or_default())
}

async fn set(client: &Client, options: &SetOptions) -> Result<Report, Failure> {
    let event = &options.event;
    admissions_once(&options.ga)?;
    let request_id = options.conditions.request(client, event).await?;
    let words = PlaceWords::read(client, event, &options.places, &options.ga).await?;
    let request = SetAllocationRequest {
        event_id: event.to_string(),
        request_id: request_id.clone(),
        allocation_key: options.key.clone(),
        places: Some(words.to_wire()),
        opens_at: bound(options.opens_at),
        closes_at: bound(options.closes_at),
        expected_state: options.conditions.expected_state(),
        validate_only: options.conditions.validate_only,
    };
    let answer = match client.unary().set_allocation(request).await {
        Ok(answer) => answer,
        Err(error) => {
            let failure = words.explain(Failure::from(error), "places");
            return Err(refused(client, event, failure, &request_id).await);
        }
    };
    let only = options.conditions.validate_only;
    let word = if only { "would be set aside" } else { "set aside" };
    let done = Done { replayed: answer.replayed, position: answer.position, incarnation: answer.incarnation };
    let mut report = touched_report(client, event, &request_id, word, &answer.touched.unwrap_or_default(), done).await;
    if options.places.is_empty() && options.ga.is_empty() && !answer.replayed {
        report.text = window_text(options);
    }
    Ok(if only { report } else { report.next(format!("usherctl allocation list {event}")) })
}

/// Of a command that is about no places.
fn window_text(options: &SetOptions) -> String {
    let said = |bound: Option<Bound>| match bound {
        None => String::new(),
        Some(Bound::At(at)) => at.to_string(),
        Some(Bound::Unbounded) => "as the event".to_owned(),
    };
    let word = if options.conditions.validate_only { "would be set" } else { "set" };
    fields(&[(word, options.key.clone()), ("opens", said(options.opens_at)), ("closes", said(options.closes_at))])
}

async fn remove(client: &Client, options: &RemoveOptions) -> Result<Report, Failure> {
    let event = &options.event;
    admissions_once(&options.ga)?;
    let request_id = options.conditions.request(client, event).await?;
    let words = PlaceWords::read(client, event, &options.places, &options.ga).await?;
    let request = RemoveAllocationRequest {
        event_id: event.to_string(),
        request_id: request_id.clone(),
        allocation_key: options.key.clone(),
        places: Some(words.to_wire()).filter(|set| *set != PlaceSet::default()),
        expected_state: options.conditions.expected_state(),
        validate_only: options.conditions.validate_only,
    };
    let answer = match client.unary().remove_allocation(request).await {
        Ok(answer) => answer,
        Err(error) => {
            let failure = words.explain(Failure::from(error), "places");
            return Err(refused(client, event, failure, &request_id).await);
        }
    };
    let word = if options.conditions.validate_only { "would be general" } else { "general again" };
    let done = Done { replayed: answer.replayed, position: answer.position, incarnation: answer.incarnation };
    Ok(touched_report(client, event, &request_id, word, &answer.touched.unwrap_or_default(), done).await)
}

async fn list(client: &Client, options: &ListOptions) -> Result<Report, Failure> {
    let request = ListAllocationsRequest { event_id: options.event.to_string() };
    let mut answer = client.unary().list_allocations(request).await?;
    answer.allocations.sort_by(|one, other| one.allocation_key.cmp(&other.allocation_key));
    let json = json!({
        "allocations": answer.allocations.iter().map(allocation_json).collect::<Value>(),
        "plan_revision": answer.plan_revision,
        "position": answer.position,
        "incarnation": answer.incarnation,
    });
    if answer.allocations.is_empty() {
        return Ok(Report::new("", json).note("nothing is set aside"));
    }
    let header = [
        ("KEY", Side::Left),
        ("OPENS", Side::Left),
        ("CLOSES", Side::Left),
        ("OF", Side::Left),
        ("OPEN", Side::Right),
        ("HELD", Side::Right),
        ("SOLD", Side::Right),
        ("KILLED", Side::Right),
        ("ALL", Side::Right),
    ];
    let rows: Vec<Vec<String>> = answer.allocations.iter().flat_map(rows_of).collect();
    Ok(Report::new(columns(&header, &rows), json))
}

fn ms_of(at: Option<Timestamp>) -> u64 {
    at.map_or(0, instant::ms_of)
}

fn area_key(quota: &AllocationQuota) -> String {
    if quota.area_key.is_empty() { format!("#{}", quota.area) } else { quota.area_key.clone() }
}

/// A line for its seats, and one for each of its quotas.
fn rows_of(allocation: &Allocation) -> Vec<Vec<String>> {
    let seats = allocation.seats.unwrap_or_default();
    let line = |of: String, counts: PlaceCounts| {
        let bounds = [allocation.opens_at, allocation.closes_at].map(|at| instant::text_of_ms(ms_of(at)));
        let numbers = [counts.open, counts.held, counts.sold, counts.killed, counts.capacity];
        let words = [allocation.allocation_key.clone()].into_iter().chain(bounds).chain([of]);
        words.chain(numbers.map(|number| grouped(u64::from(number)))).collect()
    };
    let of_quota = |quota: &AllocationQuota| {
        let open = quota.quota.saturating_sub(quota.held).saturating_sub(quota.sold);
        let counts = PlaceCounts { open, held: quota.held, sold: quota.sold, killed: 0, capacity: quota.quota };
        line(area_key(quota), counts)
    };
    // One that has nothing is shown all the same.
    let has_seats = seats.capacity > 0 || allocation.quotas.is_empty();
    let of_seats = has_seats.then(|| line("seats".to_owned(), seats));
    of_seats.into_iter().chain(allocation.quotas.iter().map(of_quota)).collect()
}

fn allocation_json(allocation: &Allocation) -> Value {
    let quota = |quota: &AllocationQuota| json!({ "area": area_key(quota), "quota": quota.quota, "held": quota.held, "sold": quota.sold });
    json!({
        "key": allocation.allocation_key,
        "opens_at": moment_json(ms_of(allocation.opens_at)),
        "closes_at": moment_json(ms_of(allocation.closes_at)),
        "seats": counts_json(&allocation.seats.unwrap_or_default()),
        "quotas": allocation.quotas.iter().map(quota).collect::<Value>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser, Debug)]
    enum Only {
        #[command(subcommand)]
        Allocation(AllocationCommand),
    }

    fn parsed(line: &str) -> Result<AllocationCommand, String> {
        let words = ["usherctl", "allocation"].into_iter().chain(line.split(' '));
        let Only::Allocation(command) = Only::try_parse_from(words).map_err(|error| error.to_string())?;
        Ok(command)
    }

    #[test]
    fn a_key_is_needed_and_places_are_not() {
        assert!(parsed("set e").expect_err("no key").contains("<KEY>"));
        assert!(matches!(parsed("set e fans"), Ok(AllocationCommand::Set(options)) if options.places.is_empty()));
        assert!(matches!(parsed("remove e fans"), Ok(AllocationCommand::Remove(options)) if options.places.is_empty()));
        assert!(parsed("set e fans S/A --ga FLOOR=0").expect_err("no quota").contains("write AREA=N"));
        assert!(parsed("set e fans --opens-at soon").expect_err("no moment").contains("unix seconds"));
    }

    #[test]
    fn a_bound_is_left_set_or_taken_away() {
        let at = Timestamp { seconds: 1_809_079_200, nanos: 0 };
        assert_eq!(bound(None), None);
        assert_eq!(bound(Some(Bound::At(at))), Some(at));
        assert_eq!(bound(Some(Bound::Unbounded)), Some(Timestamp::default()));
    }

    #[test]
    fn a_command_without_places_tells_the_bounds_it_sets() {
        let told = |line: &str| match parsed(line) {
            Ok(AllocationCommand::Set(options)) => window_text(&options),
            other => panic!("{other:?}"),
        };
        assert_eq!(told("set e fans"), "set  fans\n");
        assert_eq!(
            told("set e fans --opens-at 1809079200 --closes-at none --validate-only"),
            "would be set  fans\nopens         2027-04-30T10:00:00Z\ncloses        as the event\n"
        );
    }

    #[test]
    fn every_allocation_has_a_line_and_every_quota_one_more() {
        let quota = AllocationQuota { area: 1, area_key: "FLOOR".into(), quota: 50, held: 2, sold: 8 };
        let unnamed = AllocationQuota { area_key: String::new(), ..quota.clone() };
        let seats = PlaceCounts { open: 3, sold: 1, capacity: 4, ..PlaceCounts::default() };
        let key = || "fans".to_owned();
        let both =
            Allocation { allocation_key: key(), seats: Some(seats), quotas: vec![quota], ..Allocation::default() };
        let lines: Vec<String> = rows_of(&both).iter().map(|row| row.join("|")).collect();
        assert_eq!(lines, ["fans|||seats|3|0|1|0|4", "fans|||FLOOR|40|2|8|0|50"]);
        let nothing = Allocation { allocation_key: key(), ..Allocation::default() };
        assert_eq!(rows_of(&nothing).len(), 1);
        let floor = Allocation { quotas: vec![unnamed], ..nothing };
        assert_eq!(rows_of(&floor).iter().map(|row| row[3].as_str()).collect::<Vec<_>>(), ["#1"]);
    }
}
