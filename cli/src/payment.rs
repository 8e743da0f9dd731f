//! `usherctl begin-payment` and `end-payment`: the time in which a buyer pays.

use clap::{Args, ValueEnum};
use client::{AttemptId, Client};
use proto::inventory::v1::{Arrangement, BeginPaymentRequest, EndPaymentRequest, PaymentOutcome};

use crate::failure::Failure;
use crate::hold::{answer_json, named_card, refused, without_hold};
use crate::name::{HoldName, parse_attempt_id};
use crate::report::Report;

const BEGIN_EXAMPLES: &str = "Examples:
  usherctl begin-payment concert-1/01934b2e-7f00-7abc-8def-0123456789ab
  usherctl begin-payment concert-1/01934b2e-7f00-7abc-8def-0123456789ab --attempt 01934b30-0000-7abc-8def-0123456789ab

While the payment is open the hold outlives its own deadline. It can be confirmed, but not extended or replaced.";

const END_EXAMPLES: &str = "Examples:
  usherctl end-payment concert-1/01934b2e-7f00-7abc-8def-0123456789ab --attempt 01934b30-0000-7abc-8def-0123456789ab --outcome failed

A payment that paid needs no end: `confirm` is the end.";

/// Begin a payment on a hold, before the buyer is sent to pay
#[derive(Args, Debug)]
#[command(after_help = BEGIN_EXAMPLES)]
pub(crate) struct BeginPaymentOptions {
    /// The hold
    #[arg(value_name = "EVENT/HOLD")]
    hold: HoldName,
    /// Name of the attempt, a UUID of version 7: makes the command safe to send again; without it, a new one
    #[arg(long, value_name = "UUID", value_parser = parse_attempt_id)]
    attempt: Option<AttemptId>,
}

/// End a payment that has come to nothing
#[derive(Args, Debug)]
#[command(after_help = END_EXAMPLES)]
pub(crate) struct EndPaymentOptions {
    /// The hold
    #[arg(value_name = "EVENT/HOLD")]
    hold: HoldName,
    /// Name of the attempt, as `begin-payment` printed it
    #[arg(long, value_name = "UUID", value_parser = parse_attempt_id)]
    attempt: AttemptId,
    /// What became of it
    #[arg(long, value_name = "OUTCOME", value_enum)]
    outcome: OutcomeChoice,
}

/// What became of a payment that did not pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OutcomeChoice {
    /// It was refused or went wrong
    Failed,
    /// The buyer gave it up
    Abandoned,
}

impl OutcomeChoice {
    fn to_wire(self) -> PaymentOutcome {
        match self {
            OutcomeChoice::Failed => PaymentOutcome::Failed,
            OutcomeChoice::Abandoned => PaymentOutcome::Abandoned,
        }
    }
}

/// `usherctl begin-payment`.
pub(crate) async fn begin_payment(client: &Client, options: &BeginPaymentOptions) -> Result<Report, Failure> {
    let name = &options.hold;
    // Made here so that a lost answer leaves a name to ask with. The age of its time does not matter.
    let attempt = options.attempt.unwrap_or_else(|| client.ids().attempt_id());
    let request = BeginPaymentRequest {
        event_id: name.event.to_string(),
        hold_id: name.hold.to_string(),
        attempt_id: attempt.to_string(),
    };
    let answer = match client.unary().begin_payment(request).await {
        Ok(answer) => answer,
        Err(error) => {
            let again = || format!("usherctl begin-payment {name} --attempt {attempt} is safe to send again");
            return Err(refused(client, name, error, &[], &[]).await.advise(again));
        }
    };
    let hold = answer.hold.ok_or_else(without_hold)?;
    let card =
        named_card(client, name, hold, answer.position, answer.incarnation).await.of_attempt(attempt.to_string());
    let mut json = answer_json(&card, answer.replayed, answer.position, answer.incarnation);
    json["attempt_id"] = attempt.to_string().into();
    let mut report = Report::new(card.text(Arrangement::Unspecified), json);
    // A hold does not tell which attempt is open: while one is, it is taken for this one.
    if answer.replayed && !card.is_paying() {
        report = report.note("this attempt has ended; this is how the hold is now");
        return Ok(if card.may_pay() { report.next(format!("usherctl begin-payment {name}")) } else { report });
    }
    if answer.replayed {
        report = report.note("this attempt was begun before; this is how the hold is now");
    }
    if card.is_live() {
        report = report.next(format!("usherctl confirm {name} --order O --attempt {attempt}"));
    }
    Ok(report)
}

/// `usherctl end-payment`.
pub(crate) async fn end_payment(client: &Client, options: &EndPaymentOptions) -> Result<Report, Failure> {
    let name = &options.hold;
    let request = EndPaymentRequest {
        event_id: name.event.to_string(),
        hold_id: name.hold.to_string(),
        attempt_id: options.attempt.to_string(),
        outcome: options.outcome.to_wire() as i32,
    };
    let answer = match client.unary().end_payment(request).await {
        Ok(answer) => answer,
        Err(error) => return Err(refused(client, name, error, &[], &[]).await),
    };
    let hold = answer.hold.ok_or_else(without_hold)?;
    let card = named_card(client, name, hold, answer.position, answer.incarnation).await;
    let json = answer_json(&card, answer.replayed, answer.position, answer.incarnation);
    let mut report = Report::new(card.text(Arrangement::Unspecified), json);
    if answer.replayed {
        report = report.note("this attempt had ended before; this is how the hold is now");
    }
    if card.may_pay() {
        report = report.next(format!("usherctl begin-payment {name}"));
    }
    Ok(report)
}
