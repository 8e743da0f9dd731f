//! Segments made ready before they are needed: created, filled with zeros, synced, their name durable.
//! Appending then changes neither length nor allocation, and a full disk is noticed early.
//!
//! The thread that does it writes a piece, syncs it and rests: 64 MiB handed to the device at once would stand in front
//! of every batch for a tenth of a second. When the writer has to wait for a file it stops resting.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{JoinHandle, park_timeout};
use std::time::{Duration, Instant};

use probe::{planted, sometimes};

use crate::storage::{Storage, WriteFile};

const CHUNK_BYTES: usize = 1 << 20;
/// Rests, in lengths of the piece before.
const RESTS: u32 = 3;
/// And so long at most: a device that is slow for a moment must not put the file off.
const REST_MAX: Duration = Duration::from_millis(25);

/// Who prepares the next segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preallocate {
    /// The writer itself, at the moment it rotates: every operation happens in a known order.
    Inline,
    /// A thread of its own, ahead of time.
    Background,
}

/// A file of zeros, durable, not yet a segment.
pub(crate) struct Prepared {
    pub(crate) file: Box<dyn WriteFile>,
    pub(crate) bytes: u64,
}

struct Request {
    name: String,
    bytes: u64,
}

/// Prepares one file ahead.
pub(crate) struct Preallocator {
    storage: Arc<dyn Storage>,
    worker: Option<Worker>,
    asked: Option<String>,
    done: Option<io::Result<Prepared>>,
}

struct Worker {
    /// Nothing while it is being stopped.
    requests: Option<Sender<Request>>,
    answers: Receiver<io::Result<Prepared>>,
    /// The writer waits, or had to wait for the last file.
    hurry: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// The file that was asked for. Nothing when the thread is gone.
    fn wait(&self) -> Option<io::Result<Prepared>> {
        if let Ok(ready) = self.answers.try_recv() {
            self.hurry.store(false, Ordering::Relaxed);
            return Some(ready);
        }
        // The next one is hurried as well, until one is ready when it is wanted.
        self.hurry.store(true, Ordering::Relaxed);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
        self.answers.recv().ok()
    }
}

/// Extends a file with zeros.
pub(crate) fn fill_with_zeros(file: &mut dyn WriteFile, from: u64, to: u64) -> io::Result<()> {
    fill(file, from, to, None)
}

/// With `hurry` piece by piece, with rests between until it is set.
fn fill(file: &mut dyn WriteFile, from: u64, to: u64, hurry: Option<&AtomicBool>) -> io::Result<()> {
    let zeros = vec![0; CHUNK_BYTES];
    let mut offset = from;
    while offset < to {
        let started = Instant::now();
        let left = usize::try_from(to - offset).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
        file.write_all_at(offset, &zeros[..left])?;
        offset += left as u64;
        if let Some(hurry) = hurry
            && offset < to
            && !hurry.load(Ordering::Relaxed)
        {
            file.sync_data()?;
            park_timeout((started.elapsed() * RESTS).min(REST_MAX));
        }
    }
    Ok(())
}

fn prepare(storage: &dyn Storage, name: &str, bytes: u64, hurry: Option<&AtomicBool>) -> io::Result<Prepared> {
    let mut file = storage.create_new_paged(name)?;
    let made = fill(file.as_mut(), 0, bytes, hurry).and_then(|()| file.sync_all());
    if let Err(error) = made.and_then(|()| if planted!(NoDirSync) { Ok(()) } else { storage.sync_dir("") }) {
        drop(file);
        sometimes!("log: a segment cannot be prepared");
        // So that a later try may use the name; the error that counts is the first one.
        let _ = storage.remove(name);
        return Err(error);
    }
    Ok(Prepared { file, bytes })
}

impl Preallocator {
    pub(crate) fn start(storage: Arc<dyn Storage>, how: Preallocate) -> io::Result<Preallocator> {
        let worker = match how {
            Preallocate::Inline => None,
            Preallocate::Background => {
                let (requests, inbox) = channel::<Request>();
                let (outbox, answers) = channel();
                let storage = Arc::clone(&storage);
                let hurry = Arc::new(AtomicBool::new(false));
                let hurried = Arc::clone(&hurry);
                let work = move || {
                    while let Ok(request) = inbox.recv() {
                        let answer = prepare(storage.as_ref(), &request.name, request.bytes, Some(&hurried));
                        if outbox.send(answer).is_err() {
                            return;
                        }
                    }
                };
                let thread = std::thread::Builder::new().name("wal-prepare".to_owned()).spawn(work)?;
                Some(Worker { requests: Some(requests), answers, hurry, thread: Some(thread) })
            }
        };
        Ok(Preallocator { storage, worker, asked: None, done: None })
    }

    /// Asks for a file to be made ready, where that happens ahead of time.
    pub(crate) fn ask(&mut self, name: String, bytes: u64) {
        let Some(requests) = self.worker.as_ref().and_then(|worker| worker.requests.as_ref()) else {
            return;
        };
        assert!(self.asked.is_none() && self.done.is_none(), "one file ahead, not more");
        if requests.send(Request { name: name.clone(), bytes }).is_ok() {
            self.asked = Some(name);
        }
    }

    /// Whether preparing the file that was asked for has failed for want of space.
    pub(crate) fn out_of_space(&mut self) -> bool {
        if let (Some(worker), Some(_), None) = (&self.worker, &self.asked, &self.done)
            && let Ok(answer) = worker.answers.try_recv()
        {
            self.done = Some(answer);
        }
        matches!(&self.done, Some(Err(error)) if error.kind() == io::ErrorKind::StorageFull)
    }

    /// Forgets a file that could not be made for want of space, so that it can be asked for again. Whether there
    /// was one.
    pub(crate) fn forget_want_of_space(&mut self) -> bool {
        let wanted = self.out_of_space();
        if wanted {
            self.done = None;
            self.asked = None;
        }
        wanted
    }

    /// The file that was asked for, waited for where it is not ready; or one made now.
    pub(crate) fn take(&mut self, name: &str, bytes: u64) -> io::Result<Prepared> {
        let asked = self.asked.take();
        let done = match (self.done.take(), &self.worker) {
            (Some(done), _) => Some(done),
            (None, Some(worker)) if asked.is_some() => worker.wait(),
            (None, _) => None,
        };
        match done {
            Some(Ok(prepared)) => {
                assert_eq!(asked.as_deref(), Some(name), "the file prepared is the one needed");
                Ok(prepared)
            }
            // Space may have been made since.
            Some(Err(error)) if error.kind() != io::ErrorKind::StorageFull => Err(error),
            Some(Err(_)) | None => prepare(self.storage.as_ref(), name, bytes, None),
        }
    }
}

impl Drop for Preallocator {
    /// Waits for the thread, so that nothing writes to the folder after its writer is gone.
    fn drop(&mut self) {
        if let Some(worker) = &mut self.worker {
            worker.requests = None;
            worker.hurry.store(true, Ordering::Relaxed);
            if let Some(thread) = worker.thread.take() {
                // A panic there was a failed preparation; nobody needs the file any more.
                thread.thread().unpark();
                let _ = thread.join();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

    use super::*;
    use crate::memory::{Keep, MemoryStorage};

    const NAME: &str = "wal-0-1-1.seg";

    fn start(storage: &MemoryStorage, how: Preallocate) -> Preallocator {
        Preallocator::start(Arc::new(storage.clone()), how).unwrap()
    }

    #[test]
    fn a_file_is_durable_when_it_is_taken() {
        for how in [Preallocate::Inline, Preallocate::Background] {
            let storage = MemoryStorage::new();
            let mut preallocator = start(&storage, how);
            preallocator.ask(NAME.to_owned(), 12_288);
            let prepared = preallocator.take(NAME, 12_288).unwrap();
            assert_eq!(prepared.bytes, 12_288);
            let left = storage.crash(Keep::Nothing);
            assert_eq!(left.contents(NAME).unwrap(), vec![0; 12_288]);
        }
    }

    #[test]
    fn want_of_space_is_told_early_and_tried_again() {
        let storage = MemoryStorage::new();
        storage.set_capacity(Some(8192));
        let mut preallocator = start(&storage, Preallocate::Background);
        preallocator.ask(NAME.to_owned(), 12_288);
        // The answer comes without anything else happening.
        while !preallocator.out_of_space() {
            std::thread::yield_now();
        }
        assert_eq!(storage.contents(NAME), None, "no half of a file stays");
        storage.set_capacity(None);
        assert_eq!(preallocator.take(NAME, 12_288).unwrap().bytes, 12_288);
        assert!(!preallocator.out_of_space());
    }

    #[test]
    fn a_file_there_was_no_space_for_is_asked_for_again_when_there_is() {
        let storage = MemoryStorage::new();
        let mut preallocator = start(&storage, Preallocate::Background);
        assert!(!preallocator.forget_want_of_space(), "nothing was asked for");
        storage.set_capacity(Some(8192));
        preallocator.ask(NAME.to_owned(), 12_288);
        while !preallocator.out_of_space() {
            std::thread::yield_now();
        }
        storage.set_capacity(None);
        assert!(preallocator.forget_want_of_space() && !preallocator.out_of_space());
        preallocator.ask(NAME.to_owned(), 12_288);
        assert_eq!(preallocator.take(NAME, 12_288).unwrap().bytes, 12_288);
    }

    #[test]
    fn whatever_fails_the_name_can_be_used_again() {
        // Create, fill, sync, sync the folder.
        for step in 1..=4 {
            let storage = MemoryStorage::new();
            storage.fail_at(step);
            assert!(prepare(&storage, NAME, 12_288, None).is_err(), "step {step}");
            assert_eq!(storage.contents(NAME), None, "step {step}");
        }
    }

    #[test]
    fn any_other_failure_is_not_tried_again() {
        let storage = MemoryStorage::new();
        // Create, fill, sync: the sync fails.
        storage.fail_at(3);
        let mut preallocator = start(&storage, Preallocate::Background);
        preallocator.ask(NAME.to_owned(), 12_288);
        assert!(preallocator.take(NAME, 12_288).is_err());
    }
}
