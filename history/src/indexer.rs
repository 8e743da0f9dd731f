//! Making the index: what is durable goes into it, and on any doubt it is wiped and made again.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use engine::{BeginAt, Engine, FollowError, Follower};
use wal::Storage;

use crate::{
    folder::{Folder, Stamp},
    index::{Doubt, Index, Of, Writer},
    row::{Found, Row},
};

/// Log that one turn takes in.
const LOG_BYTES_PER_TURN: u64 = 256 << 10;
/// An index that is larger is no index that a disk was meant for: it ends.
const BYTES_MAX: u64 = 16 << 30;
/// Turns between looks at its size.
const TURNS_PER_LOOK: u32 = 256;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// In order of their positions.
    pub rows: Vec<Row>,
    /// There are more behind the last one.
    pub has_more: bool,
    /// The event was seen. Without it there are no rows.
    pub knows_event: bool,
    /// The first position that was looked at: log before it was not there when the index was made.
    pub complete_from: u64,
    /// The last one: what is later is not in it yet.
    pub complete_to: u64,
}

/// There is no index at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotNow {
    /// Why it was wiped, or ended.
    pub why: String,
    /// It is made again.
    pub comes_back: bool,
}

/// How the index is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryStatus {
    /// The first position in it; 0: there is none.
    pub complete_from: u64,
    /// The last one.
    pub complete_to: u64,
    /// How often it was wiped since the start.
    pub wiped: u64,
    /// Why the last time.
    pub why: String,
}

/// What both sides see.
#[derive(Default)]
struct Shared {
    index: Mutex<Option<Arc<Index>>>,
    /// Somebody who read it met a doubt.
    doubted: Mutex<Option<String>>,
    wiped: AtomicU64,
    why: Mutex<String>,
    ended: AtomicBool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads the index, from any thread.
#[derive(Clone)]
pub struct History {
    shared: Arc<Shared>,
}

impl History {
    /// What happened to something of an event, behind a position, at most so many rows. Reads a disk: not for a thread
    /// that serves others.
    ///
    /// # Errors
    /// There is no index now.
    pub fn page(&self, event: u64, of: &Of, after: u64, count_max: usize) -> Result<Page, NotNow> {
        let index = locked(&self.shared.index).clone();
        let Some(index) = index else { return Err(self.not_now()) };
        // Before the rows: they may be newer, never older.
        let (complete_from, complete_to) = (index.from(), index.to());
        let read = index.knows(event).and_then(|knows| Ok((knows, index.rows(event, of, after, count_max)?)));
        match read {
            Ok((knows_event, (rows, has_more))) => Ok(Page { rows, has_more, knows_event, complete_from, complete_to }),
            Err(Doubt(why)) => {
                self.doubt(&why);
                Err(NotNow { why, comes_back: true })
            }
        }
    }

    /// What it told cannot be right: it is made again.
    pub fn doubt(&self, why: &str) {
        *locked(&self.shared.doubted) = Some(why.to_owned());
    }

    fn not_now(&self) -> NotNow {
        NotNow { why: locked(&self.shared.why).clone(), comes_back: !self.shared.ended.load(Ordering::Acquire) }
    }

    /// How the index is.
    #[must_use]
    pub fn status(&self) -> HistoryStatus {
        let index = locked(&self.shared.index).clone();
        HistoryStatus {
            complete_from: index.as_ref().map_or(0, |index| index.from()),
            complete_to: index.as_ref().map_or(0, |index| index.to()),
            wiped: self.shared.wiped.load(Ordering::Acquire),
            why: locked(&self.shared.why).clone(),
        }
    }
}

/// What a turn did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing: everything durable is in the index.
    Idle,
    /// Something: there may be more.
    Busy,
    /// The index of an earlier run was believed and goes on.
    WentOn {
        /// The last position in it.
        complete_to: u64,
    },
    /// It was wiped, and is made again from the next turn on.
    Wiped {
        /// Why.
        why: String,
    },
    /// It has ended: nothing more will come.
    Ended {
        /// Why.
        why: String,
    },
}

/// An index at work.
struct Work {
    follower: Follower,
    index: Arc<Index>,
    /// Changes up to this batch are in it already.
    known: u64,
    turns: u32,
}

/// Makes the index. Its turns are called from one thread.
pub struct Indexer {
    engine: Arc<Engine>,
    storage: Arc<dyn Storage>,
    folder: Folder,
    shared: Arc<Shared>,
    work: Option<Work>,
    bytes_max: u64,
}

impl Indexer {
    /// An indexer that has looked at nothing yet. `data`: the folder in which it has one of its own.
    #[must_use]
    pub fn new(engine: Arc<Engine>, storage: Arc<dyn Storage>, data: &Path) -> Indexer {
        let shared = Arc::default();
        let folder = Folder::in_data(data);
        Indexer { engine, storage, folder, shared, work: None, bytes_max: BYTES_MAX }
    }

    /// Who reads it.
    #[must_use]
    pub fn history(&self) -> History {
        History { shared: Arc::clone(&self.shared) }
    }

    /// With another bound of its size on disk.
    #[must_use]
    pub fn with_bytes_max(self, bytes_max: u64) -> Indexer {
        Indexer { bytes_max, ..self }
    }

    /// Takes in what is durable and new, a part of it at most. Never fails: a doubt wipes the index.
    pub fn turn(&mut self) -> Turn {
        if self.shared.ended.load(Ordering::Acquire) {
            return Turn::Ended { why: locked(&self.shared.why).clone() };
        }
        let doubted = locked(&self.shared.doubted).take();
        let done = match doubted {
            Some(why) => Err(why),
            // A contradiction in what is followed stops a start, and here the index alone.
            None => catch_unwind(AssertUnwindSafe(|| self.work()))
                .unwrap_or_else(|_| Err("following the log met a contradiction".to_owned())),
        };
        done.unwrap_or_else(|why| self.wipe(why))
    }

    fn work(&mut self) -> Result<Turn, String> {
        let Some(work) = &mut self.work else { return self.begin() };
        work.turns += 1;
        let (mut writer, mut doubt) = (Writer::default(), None);
        let busy = work.follower.turn(LOG_BYTES_PER_TURN, &mut |followed| {
            let is_new = followed.line.batch_seq > work.known && doubt.is_none();
            if let (true, Some((_, event))) = (is_new, followed.line.event) {
                doubt = work.index.add(&mut writer, event.0, &Found::of(followed)).err();
            }
        });
        let busy = busy.map_err(|error| error.to_string())?;
        doubt.map_or(Ok(()), Err).and_then(|()| work.index.write(&mut writer)).map_err(|Doubt(why)| why)?;
        if work.follower.batch_seq() >= work.known {
            work.index.set_to(work.follower.position());
        }
        if work.turns % TURNS_PER_LOOK == 1 {
            let bytes = work.index.bytes().map_err(|Doubt(why)| why)?;
            if bytes >= self.bytes_max {
                return Ok(self.end(format!("it has {bytes} bytes on disk, of {} at most", self.bytes_max)));
            }
        }
        Ok(if busy { Turn::Busy } else { Turn::Idle })
    }

    /// Goes on with what an earlier run left, or begins anew.
    fn begin(&mut self) -> Result<Turn, String> {
        let stamp = self.folder.closed()?;
        let identity = self.engine.identity();
        if (stamp.instance, stamp.incarnation) != (identity.instance, identity.incarnation) {
            return Err("it is of another log".to_owned());
        }
        if stamp.batch_seq > self.engine.durable_log().batch_seq {
            return Err("it is of batches that the log does not have".to_owned());
        }
        let at = BeginAt::Before { batch_seq: stamp.batch_seq };
        let follower = Follower::begin(Arc::clone(&self.engine), Arc::clone(&self.storage), at);
        let follower = follower.map_err(|error| error.to_string())?;
        self.folder.unmark().map_err(|error| format!("its mark cannot be removed: {error}"))?;
        self.open(follower, stamp.batch_seq, stamp.from, stamp.to)?;
        Ok(Turn::WentOn { complete_to: stamp.to })
    }

    fn open(&mut self, follower: Follower, known: u64, from: u64, to: u64) -> Result<(), String> {
        let index = Index::open(&self.folder.db(), from, to).map_err(|Doubt(why)| why)?;
        let index = Arc::new(index);
        *locked(&self.shared.index) = Some(Arc::clone(&index));
        self.work = Some(Work { follower, index, known, turns: 0 });
        Ok(())
    }

    /// Wipes the index and begins anew, as far back as the log goes.
    fn wipe(&mut self, why: String) -> Turn {
        self.drop_index(&why);
        self.shared.wiped.fetch_add(1, Ordering::AcqRel);
        match self.begin_anew() {
            Ok(()) => Turn::Wiped { why },
            // The next turn tries again.
            Err(again) => Turn::Wiped { why: format!("{why}; then {again}") },
        }
    }

    fn begin_anew(&mut self) -> Result<(), String> {
        self.folder.wipe().map_err(|error| format!("it cannot be wiped: {error}"))?;
        let begun = Follower::begin(Arc::clone(&self.engine), Arc::clone(&self.storage), BeginAt::Oldest);
        let follower = begun.map_err(|error: FollowError| error.to_string())?;
        let (known, to) = (follower.batch_seq(), follower.position());
        self.open(follower, known, to + 1, to)
    }

    fn end(&mut self, why: String) -> Turn {
        self.drop_index(&why);
        self.shared.ended.store(true, Ordering::Release);
        let _ = self.folder.wipe();
        Turn::Ended { why }
    }

    fn drop_index(&mut self, why: &str) {
        *locked(&self.shared.index) = None;
        *locked(&self.shared.why) = why.to_owned();
        self.work = None;
    }

    /// Closes the index, so that the next start goes on with it. Who still reads it is not waited for: then it is made
    /// again.
    pub fn close(mut self) {
        *locked(&self.shared.index) = None;
        let Some(Work { follower, index, known, .. }) = self.work.take() else { return };
        if follower.batch_seq() < known {
            // It has not come to what it knew.
            return;
        }
        let identity = self.engine.identity();
        let stamp = Stamp {
            instance: identity.instance,
            incarnation: identity.incarnation,
            batch_seq: follower.batch_seq(),
            from: index.from(),
            to: index.to(),
        };
        let Some(index) = Arc::into_inner(index) else { return };
        if index.close().is_ok() {
            // Without a mark it is made again, and that is all.
            let _ = self.folder.mark(&stamp);
        }
    }
}
