//! The thread of the index: turns, and rests while a sale runs.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use engine::{Engine, Pace, step_back};
use wal::Storage;

use crate::indexer::{History, Indexer, Turn};

/// With nothing new in the log it is looked at so often.
const IDLE: Duration = Duration::from_millis(20);
/// After a doubt it rests so long at first, then twice as long each time.
const REST_FIRST: Duration = Duration::from_millis(50);
const REST_MAX: Duration = Duration::from_secs(60);
/// A stop waits for the index to be closed for so long. What is not closed is made again.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// What is worth telling an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// The index of the last run goes on.
    WentOn {
        /// The last position in it.
        complete_to: u64,
    },
    /// It is made again from the log.
    Wiped {
        /// Why.
        why: String,
    },
    /// There will be none until the next start.
    Ended {
        /// Why.
        why: String,
    },
}

/// The running thread.
pub struct HistoryThread {
    history: History,
    stop: Arc<AtomicBool>,
    ended: mpsc::Receiver<()>,
    thread: thread::JoinHandle<()>,
}

impl HistoryThread {
    /// Starts it. `data`: the data folder, in which the index has one of its own.
    ///
    /// # Errors
    /// There is no thread.
    pub fn start(
        engine: Arc<Engine>,
        storage: Arc<dyn Storage>,
        data: &Path,
        tell: impl Fn(Told) + Send + 'static,
    ) -> io::Result<HistoryThread> {
        let indexer = Indexer::new(Arc::clone(&engine), storage, data);
        let history = indexer.history();
        let stop = Arc::new(AtomicBool::new(false));
        let (told, ended) = mpsc::sync_channel(1);
        let asked = Arc::clone(&stop);
        let work = move || {
            step_back();
            run(indexer, &engine, &asked, &tell);
            // Nobody may wait for it any more.
            let _ = told.send(());
        };
        let thread = thread::Builder::new().name("usher-history".to_owned()).spawn(work)?;
        Ok(HistoryThread { history, stop, ended, thread })
    }

    /// Who reads it.
    #[must_use]
    pub fn history(&self) -> History {
        self.history.clone()
    }

    /// Closes the index, within a bound.
    pub fn end(self) {
        self.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
        if self.ended.recv_timeout(CLOSE_WITHIN).is_ok() {
            drop(self.thread.join());
        }
    }
}

fn run(mut indexer: Indexer, engine: &Engine, stop: &AtomicBool, tell: &dyn Fn(Told)) {
    let mut pace = Pace::beside(engine);
    let mut rest = REST_FIRST;
    while !stop.load(Ordering::Acquire) {
        match indexer.turn() {
            Turn::Busy => pace.rest(),
            Turn::Idle => {
                rest = REST_FIRST;
                thread::park_timeout(IDLE);
            }
            Turn::WentOn { complete_to } => tell(Told::WentOn { complete_to }),
            Turn::Wiped { why } => {
                tell(Told::Wiped { why });
                thread::park_timeout(rest);
                rest = (rest * 2).min(REST_MAX);
            }
            Turn::Ended { why } => {
                tell(Told::Ended { why });
                break;
            }
        }
    }
    indexer.close();
}
