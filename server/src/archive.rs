//! The thread that archives: turns of the archiver, a rest, again. A store that does not answer is in the log and in
//! the status, and nowhere else.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use backup::{Archived, Archiver};

/// How much it steps back behind everyone else: as the checkpointer does.
const NICE: i32 = 10;
/// A store that stays away is mentioned so often.
const MENTION_EVERY: Duration = Duration::from_secs(60);
/// At a stop the end of the log may still be archived for so long.
const LAST_COPY_WITHIN: Duration = Duration::from_secs(10);

/// The running thread.
pub(crate) struct ArchiveThread {
    stop: Arc<AtomicBool>,
    ended: mpsc::Receiver<()>,
    thread: thread::JoinHandle<()>,
}

impl ArchiveThread {
    /// Starts it.
    pub(crate) fn start(archiver: Archiver, every: Duration) -> io::Result<ArchiveThread> {
        let stop = Arc::new(AtomicBool::new(false));
        let (told, ended) = mpsc::sync_channel(1);
        let asked = Arc::clone(&stop);
        let work = move || {
            if let Err(error) = rustix::process::nice(NICE) {
                tracing::warn!(%error, "the log is archived at normal priority");
            }
            run(archiver, every, &asked);
            // Nobody may wait for it any more.
            let _ = told.send(());
        };
        let thread = thread::Builder::new().name("usher-archive".to_owned()).spawn(work)?;
        Ok(ArchiveThread { stop, ended, thread })
    }

    /// Lets it archive the end of the log, which must be written, within a bound.
    pub(crate) fn end(self) {
        self.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
        if self.ended.recv_timeout(LAST_COPY_WITHIN).is_ok() {
            drop(self.thread.join());
        } else {
            tracing::warn!("the end of the log is not archived yet: the store takes too long; the next start goes on");
        }
    }
}

fn run(mut archiver: Archiver, every: Duration, stop: &AtomicBool) {
    tracing::info!(place = archiver.place(), "the log is archived");
    let mut mentioned: Option<(String, Instant)> = None;
    loop {
        // Looked at before the turn: what was durable when it was set is archived by this one.
        let last = stop.load(Ordering::Acquire);
        match archiver.turn() {
            Ok(Archived::Nothing) => {
                if mentioned.take().is_some() {
                    tracing::info!("the archive has caught up");
                }
                if last {
                    return;
                }
                thread::park_timeout(every);
            }
            Ok(Archived::Log { .. }) => {}
            Ok(Archived::Snapshot { position, gap_after: 0 }) => {
                tracing::info!(position, "a snapshot was archived");
            }
            Ok(Archived::Snapshot { position, gap_after }) => tracing::error!(
                position,
                gap_after,
                "log was removed before it was archived: moments from position gap_after up to this snapshot cannot \
                 be restored from the archive"
            ),
            Err(fault) => {
                let text = fault.to_string();
                let known = mentioned.as_ref().is_some_and(|(of, at)| *of == text && at.elapsed() < MENTION_EVERY);
                if !known {
                    tracing::warn!(%fault, "the archive is behind; sales go on, and log is kept until it is archived");
                    mentioned = Some((text, Instant::now()));
                }
                if last {
                    return;
                }
                thread::park_timeout(every);
            }
        }
    }
}
