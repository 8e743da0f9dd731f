use std::collections::VecDeque;
use std::sync::Arc;

use client::Client;
use parking_lot::Mutex;

use super::run::Run;
use super::supply::Pair;

/// One worker's open pairs. Released ones come back at the end; when half are sold, the next events are made in the
/// background.
pub(crate) struct Stock {
    run: Arc<Run>,
    client: Client,
    worker: usize,
    pairs: VecDeque<Pair>,
    low: usize,
    generation: u32,
    next: Option<tokio::task::JoinHandle<()>>,
    arrived: Arc<Mutex<Option<Vec<Pair>>>>,
}

impl Stock {
    pub(crate) async fn new(run: Arc<Run>, client: Client, worker: usize) -> anyhow::Result<Self> {
        let pairs = run.supply.pairs(&client, 0, worker).await?;
        let low = pairs.len() / 2;
        let arrived = Arc::new(Mutex::new(None));
        Ok(Self { run, client, worker, pairs: pairs.into(), low, generation: 0, next: None, arrived })
    }

    pub(crate) fn take(&mut self) -> Option<Pair> {
        if self.pairs.len() <= self.low {
            self.restock();
        }
        self.pairs.pop_front()
    }

    /// One of this event, if it is the next that is there; any when there is no wish.
    pub(crate) fn take_of(&mut self, event: Option<u32>) -> Option<Pair> {
        let next = self.pairs.front().map(|pair| pair.event);
        if event.is_some() && event != next { None } else { self.take() }
    }

    pub(crate) fn put_back(&mut self, pair: Pair) {
        self.pairs.push_back(pair);
    }

    fn restock(&mut self) {
        if self.next.is_none() {
            self.generation += 1;
            let (run, client, worker) = (Arc::clone(&self.run), self.client.clone(), self.worker);
            let (generation, arrived) = (self.generation, Arc::clone(&self.arrived));
            self.next = Some(tokio::spawn(async move {
                match run.supply.pairs(&client, generation, worker).await {
                    Ok(pairs) => *arrived.lock() = Some(pairs),
                    Err(error) => run.fail(format!("no more events: {error:#}")),
                }
            }));
        } else if let Some(pairs) = self.arrived.lock().take() {
            self.low = pairs.len() / 2;
            self.pairs.extend(pairs);
            self.next = None;
        }
    }

    /// Waits until there is a pair again. False: there will be none.
    pub(crate) async fn wait(&mut self) -> bool {
        while self.pairs.is_empty() {
            self.restock();
            if let Some(next) = &mut self.next {
                let _ = next.await;
                let arrived = self.arrived.lock().take();
                self.next = None;
                match arrived {
                    Some(pairs) => {
                        self.low = pairs.len() / 2;
                        self.pairs.extend(pairs);
                    }
                    None => return false,
                }
            }
        }
        true
    }
}
