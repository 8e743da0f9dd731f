//! Churn: two seats are held, then released or sold, as fast as they go. For rates and for latency under load.

mod batches;
mod book;
mod calls;
mod pipeline;
mod run;
mod stock;
mod supply;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use client::{Client, Reason};
use futures_util::StreamExt;
use proto::inventory::v1::{Hold, HoldState};

use self::batches::Batches;
use self::book::{Book, Sample};
use self::calls::Calls;
use self::pipeline::Pipeline;
use self::run::Run;
use self::supply::ChurnEvent;
use crate::audit::{self, Findings};
use crate::board::{HELD, SOLD};
use crate::house::unpack_states;
use crate::measure::Measure;
use crate::options::{Mode, Options};
use crate::patience::Patience;
use crate::progress::Progress;
use crate::report::Outcome;
use crate::{connect, interrupt, server_view, topology};

/// How often the bar moves.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);
/// Sampled holds asked for at a time.
const SAMPLES_IN_FLIGHT: usize = 64;

/// Runs churn and audits it.
pub(crate) fn run(options: &Options) -> anyhow::Result<Outcome> {
    let threads = options.threads();
    let workers = match options.mode {
        Mode::Session | Mode::Batch => {
            (0..threads).map(|index| connect::share(options.connections, threads, index)).sum()
        }
        Mode::Unary => threads,
    };
    let run = Arc::new(Run::new(options, workers));
    let progress = Progress::new(options.commands, "commands");
    let results = topology::run(threads, |index| thread(&run, index, &progress))?;
    let window = run.window();
    progress.finish();
    let (mut measure, mut book) = (Measure::new(), Book::default());
    for one in results {
        let (of_thread, told) = one?;
        measure.merge(&of_thread);
        book.merge(told);
    }
    let mut outcome = if options.bare {
        Outcome { event: "of a bare server".to_owned(), ..Outcome::default() }
    } else {
        topology::runtime()?.block_on(judge(options, &run.supply.events(), book))?
    };
    outcome.measure = window.map(|window| (measure, window));
    outcome.failure = run.failure();
    outcome.extra.push(("commands_in_all", run.answered().into()));
    if options.rate.is_some() {
        outcome.extra.push(("unserved", run.unserved().into()));
    }
    Ok(outcome)
}

/// One thread's workers.
async fn thread(run: &Arc<Run>, index: usize, progress: &Progress) -> anyhow::Result<(Measure, Book)> {
    let options = &run.options;
    let threads = options.threads();
    let connections = connect::share(options.connections, threads, index);
    let client = connect::client(options, connections)?;
    let work = async {
        let (mut measure, mut book) = (Measure::new(), Book::default());
        match options.mode {
            Mode::Session | Mode::Batch => {
                let first: usize = (0..index).map(|other| connect::share(options.connections, threads, other)).sum();
                let (mut pipelines, mut batches) = (Vec::new(), Vec::new());
                for connection in 0..connections {
                    let worker = first + connection;
                    let in_flight = connect::share(options.in_flight, run.workers, worker);
                    let (run, client) = (Arc::clone(run), client.clone());
                    if options.mode == Mode::Batch {
                        batches.push(Batches::new(run, client, connection, worker, in_flight).await?);
                    } else {
                        pipelines.push(Pipeline::new(run, client, connection, worker, in_flight).await?);
                    }
                }
                let one_by_one = futures_util::future::join_all(pipelines.into_iter().map(Pipeline::run));
                let in_batches = futures_util::future::join_all(batches.into_iter().map(Batches::run));
                let (one_by_one, in_batches) = futures_util::future::join(one_by_one, in_batches).await;
                for (one, told) in one_by_one.into_iter().chain(in_batches) {
                    measure.merge(&one);
                    book.merge(told);
                }
            }
            Mode::Unary => {
                let callers = connect::share(options.concurrency(), threads, index);
                let calls = Calls::new(Arc::clone(run), client.clone(), index).await?;
                (measure, book) = calls.run(callers, index == 0).await;
            }
        }
        anyhow::Ok((measure, book))
    };
    let bar = async {
        let started = Instant::now();
        loop {
            tokio::time::sleep(PROGRESS_INTERVAL).await;
            let answered = run.answered();
            progress.set(answered, format!("{:.0}/s", answered as f64 / started.elapsed().as_secs_f64()));
        }
    };
    tokio::pin!(work);
    if index != 0 {
        return work.await;
    }
    let interrupted = Arc::clone(run);
    interrupt::end_early(move || interrupted.interrupt());
    tokio::select! {
        done = &mut work => done,
        () = bar => work.await,
    }
}

/// Compares what was told with every seat of every event, and a sample of the holds with what became of them.
async fn judge(options: &Options, events: &[ChurnEvent], book: Book) -> anyhow::Result<Outcome> {
    interrupt::leave_at_once();
    let client = connect::client(options, options.connections)?;
    let patience = Patience(options.patience);
    let mut findings = Findings { lost: book.lost, wrong: book.wrong, problems: book.problems, ..Findings::default() };
    let mut outcome = Outcome {
        event: events.first().map_or_else(String::new, |event| event.event_id.clone()),
        ..Outcome::default()
    };
    let (mut sold, mut unsure) = (BTreeMap::<u32, Vec<u32>>::new(), BTreeMap::<u32, BTreeSet<u32>>::new());
    book.sold.iter().for_each(|pair| sold.entry(pair.event).or_default().push(pair.first_seat));
    book.unsure.iter().for_each(|pair| {
        unsure.entry(pair.event).or_default().insert(pair.first_seat);
    });
    for (number, event) in (0u32..).zip(events) {
        let (seat_map, availability) = server_view::read_counts(&client, &event.event_id, patience).await?;
        audit::judge_sums(&seat_map, &availability, &mut findings);
        let map = seat_map.seat_map.unwrap_or_default();
        let codes = unpack_states(&map.states, map.seat_count);
        let empty = BTreeSet::new();
        let sold = sold.remove(&number).unwrap_or_default();
        judge_seats(&event.event_id, &codes, sold, unsure.get(&number).unwrap_or(&empty), &mut findings);
        let totals = availability.totals.unwrap_or_default();
        outcome.sold += u64::from(totals.sold);
        outcome.held += u64::from(totals.held);
        outcome.open += u64::from(totals.open);
        outcome.capacity += u64::from(totals.capacity);
    }
    judge_samples(&client, events, &book.samples, patience, &mut findings).await;
    outcome.extra.push(("events", events.len().into()));
    outcome.extra.push(("pairs_unsure", book.unsure.len().into()));
    outcome.findings = findings;
    Ok(outcome)
}

/// Every seat is either sold and was said to be, or open.
fn judge_seats(event: &str, codes: &[u8], mut sold: Vec<u32>, unsure: &BTreeSet<u32>, findings: &mut Findings) {
    sold.sort_unstable();
    for twice in sold.windows(2).filter(|pair| pair[0] == pair[1]) {
        findings.oversold += 2;
        findings.problem(|| format!("{event}: the pair at seat {} was acknowledged as sold twice", twice[0]));
    }
    for (first_seat, pair) in (0u32..).step_by(2).zip(codes.chunks(2)) {
        let is_sold = pair.iter().filter(|&&code| code == SOLD).count() as u64;
        let is_held = pair.iter().filter(|&&code| code == HELD).count() as u64;
        if sold.binary_search(&first_seat).is_ok() {
            if is_sold < pair.len() as u64 {
                findings.lost += pair.len() as u64 - is_sold;
                findings.problem(|| format!("{event}: seat {first_seat} was acknowledged as sold and is not"));
            }
        } else if !unsure.contains(&first_seat) {
            if is_sold > 0 {
                findings.unexplained += is_sold;
                findings.problem(|| format!("{event}: seat {first_seat} is sold, and nobody was told"));
            }
            if is_held > 0 {
                findings.undead += is_held;
                findings.problem(|| format!("{event}: seat {first_seat} is held, and its release was acknowledged"));
            }
        }
    }
}

async fn judge_samples(
    client: &Client,
    events: &[ChurnEvent],
    samples: &[Sample],
    patience: Patience,
    findings: &mut Findings,
) {
    let asked = futures_util::stream::iter(samples).map(|sample| async move {
        let event_id = events.get(sample.pair.event as usize).map_or("", |event| event.event_id.as_str());
        (sample, patience.ask(|| client.get_hold(event_id, sample.hold)).await)
    });
    let mut answers = asked.buffer_unordered(SAMPLES_IN_FLIGHT);
    while let Some((sample, answer)) = answers.next().await {
        findings.holds_checked += 1;
        match answer {
            Ok(hold) => judge_sample(sample, &hold, findings),
            // A released hold may be forgotten; one whose seats are sold may not.
            Err(error) if error.reason() == Some(Reason::HoldNotFound) && !sample.sold => {}
            Err(error) if error.reason() == Some(Reason::HoldNotFound) => {
                findings.lost += 2;
                findings.problem(|| format!("a hold that was confirmed is not known: {:?}", sample.pair));
            }
            Err(error) => {
                findings.unread += 1;
                findings.problem(|| format!("a sampled hold cannot be read: {error}"));
            }
        }
    }
}

fn judge_sample(sample: &Sample, hold: &Hold, findings: &mut Findings) {
    let seats = [sample.pair.first_seat, sample.pair.first_seat + 1];
    let state = HoldState::try_from(hold.state).unwrap_or(HoldState::Unspecified);
    let order = calls::order_ref(sample.hold);
    if sample.sold && (state != HoldState::Confirmed || hold.sold_seats != seats || hold.order_refs != [order]) {
        findings.lost += 2;
        findings.problem(|| format!("{:?} was acknowledged as sold and is {state:?}", sample.pair));
    }
    if !sample.sold && state != HoldState::Released {
        findings.undead += 2;
        findings.problem(|| format!("{:?} was acknowledged as released and is {state:?}", sample.pair));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(codes: &[u8], sold: &[u32], unsure: &[u32]) -> Findings {
        let mut findings = Findings::default();
        judge_seats("e", codes, sold.to_vec(), &unsure.iter().copied().collect(), &mut findings);
        findings
    }

    #[test]
    fn every_seat_is_what_was_said() {
        assert!(judged(&[2, 2, 0, 0, 1, 1], &[0], &[4]).is_clean());
        assert_eq!(judged(&[2, 2, 0, 0], &[0, 0], &[]).oversold, 2);
        assert_eq!(judged(&[2, 0, 0, 0], &[0], &[]).lost, 1);
        assert_eq!(judged(&[2, 2, 0, 0], &[], &[]).unexplained, 2);
        assert_eq!(judged(&[1, 1, 0, 0], &[], &[]).undead, 2);
    }
}
