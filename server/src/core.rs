//! An I/O core: one thread with one runtime that serves its connections and drives its shards.
//!
//! A shard's turn comes after the connections that are ready have had theirs: the task gives way once
//! before every turn, and what they hand over meanwhile is judged together. A command for a shard of the
//! same core crosses no thread.

use std::{io, sync::Arc, thread, time::Duration};

use engine::{Engine, Shard};
use tokio::{
    runtime::Builder,
    sync::{Notify, oneshot, watch},
    task::yield_now,
};

use crate::{
    edge::{
        listen::{self, CoreDoor},
        service::Services,
    },
    turn_times::TurnTimes,
};

/// A started core.
pub(crate) struct Core {
    /// Where its connections go.
    pub(crate) door: CoreDoor,
    shards: Option<oneshot::Sender<Vec<DrivenShard>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// A shard with what wakes it.
pub(crate) struct DrivenShard {
    shard: Shard,
    engine: Arc<Engine>,
    wake: Arc<Notify>,
    times: Arc<TurnTimes>,
}

impl DrivenShard {
    /// Takes the shard's wakes. Also gives a way to wake it by hand.
    pub(crate) fn new(engine: &Arc<Engine>, shard: Shard, times: &Arc<TurnTimes>) -> (DrivenShard, Arc<Notify>) {
        let wake = Arc::new(Notify::new());
        let woken = Arc::clone(&wake);
        engine.set_wake(shard.index(), Arc::new(move || woken.notify_one()));
        let driven =
            DrivenShard { shard, engine: Arc::clone(engine), wake: Arc::clone(&wake), times: Arc::clone(times) };
        (driven, wake)
    }
}

impl Core {
    /// Starts the thread. It serves at once and drives shards when it gets some.
    pub(crate) fn start(index: usize, services: Services, drain: watch::Receiver<bool>) -> io::Result<Core> {
        let (door, inside) = CoreDoor::new();
        let (shards, shards_come) = oneshot::channel::<Vec<DrivenShard>>();
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let thread = thread::Builder::new().name(format!("usher-io-{index}")).spawn(move || {
            runtime.block_on(async move {
                tokio::spawn(listen::serve(inside, services, drain));
                tokio::spawn(async move {
                    for shard in shards_come.await.unwrap_or_default() {
                        tokio::spawn(drive(shard));
                    }
                });
                // Dropped means stopped as well.
                drop(stopped.await);
            });
            runtime.shutdown_background();
        })?;
        Ok(Core { door, shards: Some(shards), stop: Some(stop), thread: Some(thread) })
    }

    /// Gives the core its shards, once.
    pub(crate) fn take_shards(&mut self, shards: Vec<DrivenShard>) {
        if let Some(door) = self.shards.take() {
            // A core that is gone needs none.
            drop(door.send(shards));
        }
    }

    /// Ends the thread with everything on it.
    pub(crate) fn stop(mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("an I/O core ended by a fault");
        }
    }
}

/// Calls the shard's turn whenever it should be.
async fn drive(driven: DrivenShard) {
    let DrivenShard { mut shard, engine, wake, times } = driven;
    loop {
        // Everyone else who is ready first: what they hand over is judged in one turn.
        yield_now().await;
        let begun = times.begin();
        let next = shard.turn();
        times.end(&begun);
        if next.again {
            continue;
        }
        match next.at {
            None => wake.notified().await,
            Some(at) => {
                let pause = Duration::from_millis(at.since(engine.clock().now()));
                // Either the time has come or there is mail: both mean a turn.
                let _ = tokio::time::timeout(pause, wake.notified()).await;
            }
        }
    }
}
