use std::future::Future;

use anyhow::{Context, anyhow};

/// Runs `work` once on each of so many threads, each with a current-thread runtime: nothing on the way of a command
/// crosses a thread.
pub(crate) fn run<T, F>(threads: usize, work: impl Fn(usize) -> F + Sync) -> anyhow::Result<Vec<T>>
where
    T: Send,
    F: Future<Output = T>,
{
    std::thread::scope(|scope| {
        let work = &work;
        let started: Vec<_> =
            (0..threads).map(|index| scope.spawn(move || anyhow::Ok(runtime()?.block_on(work(index))))).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, anyhow::Result<T>>| {
            thread.join().map_err(|_| anyhow!("a thread panicked"))?
        };
        started.into_iter().map(join).collect()
    })
}

/// A runtime of one thread.
pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot make a runtime")
}
