//! `usherctl event …`: preparing and running a sale.

use clap::{Args, Subcommand};
use client::Client;
use prost_types::{FieldMask, Timestamp};
use proto::admin::v1 as admin;
use proto::admin::v1::create_event_request::Plan;
use proto::admin::v1::{ListEventsRequest, PlanImportOptions, ProblemSeverity};
use proto::inventory::v1::{EventState, GetEventRequest};
use serde_json::{Value, json};
use tonic::codegen::Bytes;

use crate::connection;
use crate::event_card::EventCard;
use crate::event_limits::LimitOptions;
use crate::failure::{Failure, exit};
use crate::instant::{self, Bound};
use crate::name::{EventName, Label};
use crate::plan_check::{self, Line, problem_lines};
use crate::plan_document::{self, PlanOptions, SeatIdChoice};
use crate::policy::PolicyOptions;
use crate::report::Report;
use crate::table::{Side, columns, counted, grouped};

const CREATE_EXAMPLES: &str = "Examples:
  usherctl event create concert-1 --plan hall.json
  usherctl event create concert-2 --plan chart.json --format seatsio --draft --hold-ttl 5m
  usherctl event create match-7 --plan stadium.json --seat-id uuid --opens-at 2027-05-01T10:00:00Z --label city=Bern

The plan is checked first: with an error in it, every one is printed and no event is made.
Sending the same command again is safe.";

const UPDATE_EXAMPLES: &str = "Examples:
  usherctl event update concert-1 --hold-ttl 5m --places-per-hold 4
  usherctl event update concert-1 --closes-at none --name \"Spring concert\"
  usherctl event update concert-1 --level-limit Front=2 --quota exits=700:Front,area:FLOOR
  usherctl event update concert-1 --quota none";

/// What to do with an event.
#[derive(Subcommand, Debug)]
pub(crate) enum EventCommand {
    Create(CreateOptions),
    /// List all events
    #[command(after_help = "Examples:\n  usherctl event list\n  usherctl event list --output json")]
    List,
    /// Show everything about an event
    #[command(after_help = "Examples:\n  usherctl event show concert-1")]
    Show(OneEvent),
    /// Put an event on sale
    #[command(after_help = "Examples:\n  usherctl event open concert-1")]
    Open(OneEvent),
    /// Stop new holds for the moment; existing ones go on
    #[command(after_help = "Examples:\n  usherctl event pause concert-1")]
    Pause(OneEvent),
    /// End the sale; existing holds go on, and the event may be opened again
    #[command(after_help = "Examples:\n  usherctl event close concert-1")]
    Close(OneEvent),
    /// Cancel an event for good: live holds end, sold places stay sold
    #[command(after_help = "Examples:\n  usherctl event cancel concert-1")]
    Cancel(OneEvent),
    Update(UpdateOptions),
}

/// The event meant.
#[derive(Args, Debug)]
pub(crate) struct OneEvent {
    /// Name of the event
    #[arg(value_name = "ID")]
    id: EventName,
}

/// Make an event of a venue plan
#[derive(Args, Debug)]
#[command(after_help = CREATE_EXAMPLES)]
pub(crate) struct CreateOptions {
    /// Name of the event: a-z, 0-9, `.`, `_`, `-`; never used again
    #[arg(value_name = "ID")]
    id: EventName,
    /// File with the venue plan; `-` reads stdin
    #[arg(long = "plan", value_name = "FILE")]
    file: String,
    #[command(flatten)]
    plan: PlanOptions,
    /// Begin as a draft instead of on sale
    #[arg(long)]
    draft: bool,
    /// Name for people
    #[arg(long)]
    name: Option<String>,
    /// Start of the sale: RFC 3339 or unix seconds
    #[arg(long, value_name = "TIME", value_parser = instant::parse)]
    opens_at: Option<Timestamp>,
    /// End of the sale, not included
    #[arg(long, value_name = "TIME", value_parser = instant::parse)]
    closes_at: Option<Timestamp>,
    /// Start of the performance
    #[arg(long, value_name = "TIME", value_parser = instant::parse)]
    starts_at: Option<Timestamp>,
    /// Label, stored and never read; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    label: Vec<Label>,
    #[command(flatten)]
    policies: PolicyOptions,
    #[command(flatten)]
    limits: LimitOptions,
}

/// Change the rules, the window or the name of an event
#[derive(Args, Debug)]
#[command(after_help = UPDATE_EXAMPLES)]
pub(crate) struct UpdateOptions {
    /// Name of the event
    #[arg(value_name = "ID")]
    id: EventName,
    /// Name for people
    #[arg(long)]
    name: Option<String>,
    /// Start of the sale: RFC 3339, unix seconds or `none`
    #[arg(long, value_name = "TIME", value_parser = instant::parse_bound)]
    opens_at: Option<Bound>,
    /// End of the sale, not included, or `none`
    #[arg(long, value_name = "TIME", value_parser = instant::parse_bound)]
    closes_at: Option<Bound>,
    /// Start of the performance, or `none`
    #[arg(long, value_name = "TIME", value_parser = instant::parse_bound)]
    starts_at: Option<Bound>,
    /// Labels that replace all there are; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    label: Vec<Label>,
    #[command(flatten)]
    policies: PolicyOptions,
    #[command(flatten)]
    limits: LimitOptions,
}

/// Runs the command.
pub(crate) async fn run(client: &Client, command: EventCommand) -> Result<Report, Failure> {
    match command {
        EventCommand::Create(options) => create(client, options).await,
        EventCommand::List => list(client).await,
        EventCommand::Show(one) => show(client, &one.id).await,
        EventCommand::Open(one) => {
            let report = enter(client, &one.id, EventState::OnSale).await?;
            Ok(report.next(format!("usherctl hold {} --best 2", one.id)))
        }
        EventCommand::Pause(one) => {
            let report = enter(client, &one.id, EventState::Paused).await?;
            Ok(report.next(format!("usherctl event open {}", one.id)))
        }
        EventCommand::Close(one) => enter(client, &one.id, EventState::OffSale).await,
        EventCommand::Cancel(one) => enter(client, &one.id, EventState::Cancelled).await,
        EventCommand::Update(options) => update(client, options).await,
    }
}

async fn create(client: &Client, options: CreateOptions) -> Result<Report, Failure> {
    options.limits.check()?;
    let document = Bytes::from(plan_document::read(&options.file)?);
    let (format, guessed) = plan_document::format_of(&options.file, &document, options.plan.format)?;
    let read_as = format!("{} read as {}", options.file, plan_document::words(format));
    let plan = client
        .unary()
        .create_plan(admin::CreatePlanRequest {
            document: document.clone(),
            format: plan_document::wire_format(format) as i32,
            options: Some(PlanImportOptions {
                use_uuid_as_key: options.plan.seat_id == SeatIdChoice::Uuid,
                repair: false,
            }),
            validate_only: false,
        })
        .await?;
    let mut problems: Vec<Line> = plan.problems.iter().map(line_of_server).collect();
    if problems.iter().any(|problem| problem.is_error) {
        // An answer has room for some hundred problems; the importer here is the server's and finds all of them.
        let found = plan_check::lines(format, &document, options.plan.seat_id);
        if found.len() > problems.len() {
            problems = found;
        }
    }
    let plan_json = json!({
        "file": options.file,
        "format": format.name(),
        "digest": plan.plan_digest,
        "created": plan.created,
        "problems": problems.iter().map(Line::json).collect::<Vec<_>>(),
    });
    let errors: Vec<Line> = problems.iter().filter(|problem| problem.is_error).cloned().collect();
    if !errors.is_empty() || plan.plan_digest.is_empty() {
        let count = counted(errors.len() as u64, "error", "errors");
        let report = Report::new(problem_lines(&errors), json!({ "event": null, "plan": plan_json }))
            .note(read_as)
            .note(format!("{count} in {}: no event was made", options.file))
            .exit(exit::REFUSED);
        return Ok(report);
    }

    let (policies, _) = options.policies.to_wire();
    let answer = client
        .unary()
        .create_event(admin::CreateEventRequest {
            event_id: options.id.to_string(),
            display_name: options.name.unwrap_or_default(),
            policies: Some(policies),
            opens_at: options.opens_at,
            closes_at: options.closes_at,
            starts_at: options.starts_at,
            time_zone: String::new(),
            labels: options.label.into_iter().map(|label| (label.key, label.value)).collect(),
            draft: options.draft,
            validate_only: false,
            level_limits: options.limits.level_limits().unwrap_or_default(),
            quotas: options.limits.quotas().unwrap_or_default(),
            plan: Some(Plan::PlanDigest(plan.plan_digest)),
        })
        .await
        .map_err(|error| Failure::from(error).advise(|| "send the same command again, it is safe".to_owned()))?;
    let card = EventCard::from(answer.event.ok_or_else(|| without("the event"))?);
    let again = if answer.replayed { " (it was made before)" } else { "" };
    let text = format!("{} is {}: {}{again}\n", options.id, made_words(&card), card.size());
    let json = json!({
        "event": card.json(),
        "plan": plan_json,
        "replayed": answer.replayed,
        "position": answer.position,
        "incarnation": answer.incarnation,
    });
    let mut report = Report::new(text, json);
    if guessed {
        report = report.note(read_as);
    }
    if !problems.is_empty() {
        let count = counted(problems.len() as u64, "warning", "warnings");
        report = report.note(format!("{count} about the plan: usherctl plan check {} lists them", options.file));
    }
    Ok(report.next(match card.event().state() {
        EventState::Draft => format!("usherctl event open {}", options.id),
        _ => format!("usherctl hold {} --best 2", options.id),
    }))
}

fn made_words(card: &EventCard) -> &'static str {
    match card.event().state() {
        EventState::Draft => "made as a draft",
        _ => card.state(),
    }
}

fn line_of_server(problem: &admin::PlanProblem) -> Line {
    Line {
        is_error: problem.severity() == ProblemSeverity::Error,
        path: problem.path.clone(),
        problem: problem.problem.clone(),
    }
}

async fn list(client: &Client) -> Result<Report, Failure> {
    let mut cards = Vec::new();
    let mut page_token = String::new();
    loop {
        let answer = client.unary().list_events(ListEventsRequest { page_size: 256, page_token }).await?;
        cards.extend(answer.events.into_iter().map(EventCard::from));
        if answer.next_page_token.is_empty() {
            break;
        }
        page_token = answer.next_page_token;
    }
    let header = [
        ("EVENT", Side::Left),
        ("STATE", Side::Left),
        ("OPEN", Side::Right),
        ("HELD", Side::Right),
        ("SOLD", Side::Right),
        ("KILLED", Side::Right),
        ("CAPACITY", Side::Right),
        ("NAME", Side::Left),
    ];
    let rows: Vec<Vec<String>> = cards
        .iter()
        .map(|card| {
            let counts = card.counts();
            let numbers = [counts.open, counts.held, counts.sold, counts.killed, counts.capacity];
            let event = card.event();
            [event.event_id.clone(), card.state().to_owned()]
                .into_iter()
                .chain(numbers.map(|number| grouped(u64::from(number))))
                .chain([event.display_name.clone()])
                .collect()
        })
        .collect();
    let json = json!({ "events": cards.iter().map(EventCard::json).collect::<Vec<Value>>() });
    if cards.is_empty() {
        return Ok(Report::new("", json).note("no events").next("usherctl event create concert-1 --plan hall.json"));
    }
    Ok(Report::new(columns(&header, &rows), json))
}

async fn show(client: &Client, event: &EventName) -> Result<Report, Failure> {
    let request = GetEventRequest { event_id: event.to_string(), ..GetEventRequest::default() };
    let card = EventCard::from(client.unary().get_event(request).await?.event.ok_or_else(|| without("the event"))?);
    Ok(Report::new(card.text(), json!({ "event": card.json() })))
}

async fn enter(client: &Client, event: &EventName, state: EventState) -> Result<Report, Failure> {
    let wanted = admin::Event { event_id: event.to_string(), state: state as i32, ..admin::Event::default() };
    let (card, json) = send_update(client, event, wanted, vec!["state".to_owned()]).await?;
    Ok(Report::new(format!("{event} is {}\n", card.state()), json))
}

async fn update(client: &Client, options: UpdateOptions) -> Result<Report, Failure> {
    options.limits.check()?;
    let id = options.id.clone();
    let (wanted, paths) = options.to_wire();
    if paths.is_empty() {
        return Err(Failure::Usage { problem: "nothing to change: see usherctl event update --help".to_owned() });
    }
    let (card, json) = send_update(client, &id, wanted, paths).await?;
    Ok(Report::new(card.text(), json))
}

impl UpdateOptions {
    /// The new values, and which of them count.
    fn to_wire(&self) -> (admin::Event, Vec<String>) {
        let (policies, mut paths) = self.policies.to_wire();
        let (level_limits, quotas) = (self.limits.level_limits(), self.limits.quotas());
        let set = [
            (self.name.is_some(), "display_name"),
            (self.opens_at.is_some(), "opens_at"),
            (self.closes_at.is_some(), "closes_at"),
            (self.starts_at.is_some(), "starts_at"),
            (!self.label.is_empty(), "labels"),
            (level_limits.is_some(), "level_limits"),
            (quotas.is_some(), "quotas"),
        ];
        paths.extend(set.iter().filter(|(set, _)| *set).map(|(_, field)| (*field).to_owned()));
        let event = admin::Event {
            event_id: self.id.to_string(),
            display_name: self.name.clone().unwrap_or_default(),
            opens_at: self.opens_at.and_then(Bound::to_wire),
            closes_at: self.closes_at.and_then(Bound::to_wire),
            starts_at: self.starts_at.and_then(Bound::to_wire),
            labels: self.label.iter().map(|label| (label.key.clone(), label.value.clone())).collect(),
            policies: Some(policies),
            level_limits: level_limits.unwrap_or_default(),
            quotas: quotas.unwrap_or_default(),
            ..admin::Event::default()
        };
        (event, paths)
    }
}

async fn send_update(
    client: &Client,
    id: &EventName,
    event: admin::Event,
    paths: Vec<String>,
) -> Result<(EventCard, Value), Failure> {
    connection::learn_time(client, id).await?;
    let answer = client
        .unary()
        .update_event(admin::UpdateEventRequest {
            event: Some(event),
            update_mask: Some(FieldMask { paths }),
            ..admin::UpdateEventRequest::default()
        })
        .await
        .map_err(|error| Failure::from(error).advise(|| format!("usherctl event show {id} tells")))?;
    let card = EventCard::from(answer.event.ok_or_else(|| without("the event"))?);
    let json = json!({
        "event": card.json(),
        "replayed": answer.replayed,
        "position": answer.position,
        "incarnation": answer.incarnation,
    });
    Ok((card, json))
}

fn without(what: &str) -> Failure {
    Failure::Unusable { problem: format!("the server answered without {what}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Only {
        #[command(subcommand)]
        command: EventCommand,
    }

    fn update_of(arguments: &[&str]) -> (admin::Event, Vec<String>) {
        let arguments = ["event", "update", "e"].into_iter().chain(arguments.iter().copied());
        match Only::try_parse_from(arguments).expect("arguments").command {
            EventCommand::Update(options) => options.to_wire(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_update_names_exactly_what_is_given() {
        let (event, paths) = update_of(&["--hold-ttl", "5m", "--closes-at", "none", "--name", ""]);
        assert_eq!(paths, ["policies.hold_ttl", "display_name", "closes_at"]);
        assert_eq!((event.closes_at, event.display_name.as_str()), (None, ""));
        assert_eq!(event.policies.expect("set").hold_ttl.expect("set").seconds, 300);
        assert_eq!(update_of(&[]).1, Vec::<String>::new());
        let (event, paths) = update_of(&["--level-limit", "Front=2", "--quota", "none"]);
        assert_eq!(paths, ["level_limits", "quotas"]);
        assert_eq!((event.level_limits[0].price_level.as_str(), event.quotas.len()), ("Front", 0));
    }

    #[test]
    fn a_name_that_no_server_would_take_is_refused_before_sending() {
        let arguments = ["event", "create", "Concert 1", "--plan", "hall.json"];
        let problem = Only::try_parse_from(arguments).err().expect("no event id").to_string();
        assert!(problem.contains("is no event id"), "{problem}");
    }
}
