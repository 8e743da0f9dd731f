use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use client::{Error, HoldRequest, Reason};
use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::ledger::Fact;
use crate::measure::{Kind, Measure};
use crate::options::Options;
use crate::patience::Patience;
use crate::report::{Outcome, Window};
use crate::{connect, made_venue, own_event, sale, topology};

/// What the rivals of one thread report.
struct Rivals {
    measure: Measure,
    facts: Vec<Fact>,
    failures: u64,
}

/// A thousand holds of one seat at once: one wins. The winner's hold stays, so that the audit can look at it.
pub(crate) fn run(options: &Options) -> anyhow::Result<Outcome> {
    let patience = Patience(options.patience);
    let (mut ledger, event_id) = topology::runtime()?.block_on(async {
        let client = connect::client(options, 1)?;
        let event_id = match &options.event {
            Some(event_id) => event_id.clone(),
            None => {
                let plan = made_venue::one_seat_plan();
                let digest = own_event::create_plan(&client, &plan, patience).await?;
                own_event::create_event(&client, "one-seat", &digest, own_event::without_orphan_rule(), patience)
                    .await?
            }
        };
        let ledger = sale::open_ledger(options, &client, &event_id).await?;
        anyhow::Ok((ledger, event_id))
    })?;
    let window = Window::begin(options);
    let rivals = topology::run(options.threads(), |index| rivals(options, &event_id, index))?;
    let window = window.end(None);

    let mut measure = Measure::new();
    let (mut winners, mut failures) = (0u64, 0);
    for one in rivals {
        let one = one?;
        measure.merge(&one.measure);
        failures += one.failures;
        for fact in one.facts {
            winners += u64::from(matches!(fact, Fact::Held(_)));
            ledger.note(fact);
        }
    }
    ledger.close().context("cannot write the ledger file")?;
    let mut outcome = topology::runtime()?.block_on(sale::judge(options, &ledger))?;
    if winners > 1 {
        outcome.findings.double_held += winners - 1;
        outcome.findings.problem(|| format!("{winners} holds of seat {} were acknowledged", options.seat));
    }
    if failures > 0 {
        outcome.failure = Some(format!("{failures} rivals got no answer that counts"));
    }
    outcome.measure = Some((measure, window));
    outcome.extra.push(("winners", winners.into()));
    outcome.extra.push(("rivals", options.concurrency().into()));
    Ok(outcome)
}

/// One thread's rivals, all ready before the first asks.
async fn rivals(options: &Options, event_id: &str, index: usize) -> anyhow::Result<Rivals> {
    let threads = options.threads();
    let client = connect::client(options, connect::share(options.connections, threads, index))?;
    let found = Arc::new(Mutex::new(Rivals { measure: Measure::new(), facts: Vec::new(), failures: 0 }));
    let patience = Patience(options.patience);
    let mut tasks = JoinSet::new();
    for number in 0..connect::share(options.concurrency(), threads, index) {
        let (client, found) = (client.clone(), Arc::clone(&found));
        let request = HoldRequest::new(event_id).seats([options.seat]).customer(format!("rival-{index}-{number}"));
        tasks.spawn(async move {
            let id = client.ids().hold_id();
            let request = request.id(id);
            let started = Instant::now();
            let result = patience.ask(|| client.hold(request.clone())).await;
            let mut found = found.lock();
            found.measure.outcome(Kind::Hold, started.elapsed(), &result);
            match result {
                Ok(held) => found.facts.push(Fact::held(&held, None, false)),
                Err(Error::Refused(refusal)) if refusal.reason == Reason::PlacesUnavailable => {}
                Err(error) => {
                    if error.outcome_unknown() {
                        found.facts.push(Fact::unknown(id, Kind::Hold, None));
                    }
                    found.failures += 1;
                }
            }
        });
    }
    while tasks.join_next().await.is_some() {}
    let found = Arc::into_inner(found).context("a rival is still running")?;
    Ok(found.into_inner())
}
