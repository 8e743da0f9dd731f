use client::{Client, event_key};
use parking_lot::Mutex;
use proto::inventory::v1::GetEventRequest;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;

use crate::options::{Mode, Options};
use crate::patience::Patience;
use crate::{made_venue, own_event};

/// Two neighbouring seats of one event: what a churn hold takes. The first is even, so no single seat is stranded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pair {
    /// Which of the events of the run.
    pub(crate) event: u32,
    pub(crate) first_seat: u32,
}

/// An event made for the run.
#[derive(Clone, Debug)]
pub(crate) struct ChurnEvent {
    pub(crate) event_id: String,
    pub(crate) key: u64,
    pub(crate) seat_count: u32,
}

/// Events, made as the workers use them up: all of one generation together.
#[derive(Debug)]
pub(crate) struct Supply {
    options: Options,
    workers: usize,
    events: Mutex<Vec<ChurnEvent>>,
    /// Digest of the plan once it is stored; held while a generation is made, so that only one worker makes it.
    making: tokio::sync::Mutex<Option<String>>,
}

impl Supply {
    pub(crate) fn new(options: &Options, workers: usize) -> Self {
        Self {
            options: options.clone(),
            workers,
            events: Mutex::new(Vec::new()),
            making: tokio::sync::Mutex::new(None),
        }
    }

    /// All events made so far.
    pub(crate) fn events(&self) -> Vec<ChurnEvent> {
        self.events.lock().clone()
    }

    /// One of them by its number.
    pub(crate) fn event(&self, number: u32) -> Option<ChurnEvent> {
        self.events.lock().get(number as usize).cloned()
    }

    /// Events of a server that has none.
    fn pretend(&self, count: u32) {
        let seat_count = self.places_per_event();
        let mut events = self.events.lock();
        let from = u32::try_from(events.len()).unwrap_or(count);
        events.extend((from..count).map(|number| {
            // As long as the names that `own_event` makes.
            let event_id = format!("load-churn-{number:019x}");
            ChurnEvent { key: event_key(&event_id), event_id, seat_count }
        }));
    }

    fn places_per_event(&self) -> u32 {
        (self.options.places.unwrap_or(1_000_000) / self.options.events()).max(2)
    }

    /// A worker's pairs of the events of one generation, in an order of its own. Makes the events if no other worker
    /// has; generations begin at 0.
    pub(crate) async fn pairs(&self, client: &Client, generation: u32, worker: usize) -> anyhow::Result<Vec<Pair>> {
        let per_generation = self.options.events();
        let first = generation * per_generation;
        if self.options.bare {
            self.pretend(first + per_generation);
        } else {
            let mut digest = self.making.lock().await;
            let patience = Patience(self.options.patience);
            while u32::try_from(self.events.lock().len()).unwrap_or(u32::MAX) < first + per_generation {
                let digest = match &*digest {
                    Some(digest) => digest.clone(),
                    None => {
                        let plan = made_venue::churn_plan(self.places_per_event());
                        digest.insert(own_event::create_plan(client, &plan, patience).await?).clone()
                    }
                };
                let event_id =
                    own_event::create_event(client, "churn", &digest, own_event::without_orphan_rule(), patience)
                        .await?;
                let request = GetEventRequest { event_id: event_id.clone(), ..GetEventRequest::default() };
                let event = patience
                    .ask(|| {
                        let request = request.clone();
                        async move { client.unary().get_event(request).await }
                    })
                    .await?
                    .event
                    .unwrap_or_default();
                let key = event_key(&event_id);
                self.events.lock().push(ChurnEvent { event_id, key, seat_count: event.seat_count });
            }
        }
        let events = self.events.lock();
        let mut pairs = Vec::new();
        for (number, event) in (0u32..).zip(events.iter()).skip(first as usize).take(per_generation as usize) {
            pairs.extend(pairs_of(number, event.seat_count, self.workers, worker));
        }
        drop(events);
        let seed = self.options.seed.wrapping_add(u64::from(generation) << 32).wrapping_add(worker as u64);
        pairs.shuffle(&mut SmallRng::seed_from_u64(seed));
        if self.options.mode == Mode::Batch {
            // A batch is of one event. The order within each stays as it was dealt.
            pairs.sort_by_key(|pair| pair.event);
        }
        Ok(pairs)
    }
}

/// Every `workers`th pair: no two workers ever want the same seat, so every refusal of a hold is news.
fn pairs_of(event: u32, seat_count: u32, workers: usize, worker: usize) -> impl Iterator<Item = Pair> {
    (0..seat_count / 2).skip(worker).step_by(workers).map(move |pair| Pair { event, first_seat: 2 * pair })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_share_all_pairs_and_none_twice() {
        let mut all: Vec<_> = (0..3).flat_map(|worker| pairs_of(0, 20, 3, worker)).collect();
        all.sort_unstable();
        assert_eq!(all.iter().map(|pair| pair.first_seat).collect::<Vec<_>>(), (0..20).step_by(2).collect::<Vec<_>>());
    }
}
