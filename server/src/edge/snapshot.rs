//! A snapshot of the running server as a stream: a checkpoint of everything acknowledged when it was asked for, then
//! that file and its plans as one sealed object.
//!
//! A thread of low priority reads, compresses and waits for the caller; a few parts are in memory at a time, and no
//! turn knows of it. The checkpoint stays open, so that a newer one may replace it meanwhile.

use std::{
    io::{self, Write},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use backup::{SnapshotError, SnapshotSource};
use engine::{Engine, FileStorage, NewestCheckpoint, Pace, TimestampMs};
use futures_core::Stream;
use futures_util::stream;
use proto::{
    admin::v1::{self as wire, create_snapshot_response::Part},
    inventory::v1::{Executed, Reason},
};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tonic::Status;

use super::{
    convert_admin::timestamp_message,
    refusal::{Refusable, Refusal},
    state::Edge,
};

/// Of the object in one message: small, so that answers of sales on the same connection go in between.
const PART_BYTES: usize = 64 << 10;
/// Messages that wait for the caller.
const PARTS_AHEAD: usize = 8;
/// How often the checkpoint is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A checkpoint of the largest state is made within this or not at all.
const CHECKPOINT_WITHIN: Duration = Duration::from_secs(600);

type Message = Result<wire::CreateSnapshotResponse, Status>;

/// Begins a snapshot.
pub(crate) fn create(edge: &Edge) -> Refusable<impl Stream<Item = Message> + Send + use<>> {
    let engine = Arc::clone(edge.engine()?);
    let storage = Arc::clone(edge.storage()?);
    let room = Arc::clone(&edge.snapshot_work).try_acquire_owned().map_err(|_| Refusal::overloaded())?;
    if engine.position() == 0 {
        let what = "there is nothing to take a snapshot of: no event was ever made";
        return Err(Refusal::new(Reason::EventNotFound, what).executed(Executed::False));
    }
    let (sender, receiver) = mpsc::channel(PARTS_AHEAD);
    tokio::spawn(async move {
        match checkpoint(&engine).await {
            Ok(newest) => start(engine, storage, newest, room, sender),
            Err(refusal) => drop(sender.send(Err(refusal.into_status())).await),
        }
    });
    Ok(stream::unfold(receiver, async |mut receiver| receiver.recv().await.map(|message| (message, receiver))))
}

/// Asks for a checkpoint and waits for one that has everything acknowledged until now.
async fn checkpoint(engine: &Engine) -> Refusable<NewestCheckpoint> {
    let position = engine.position();
    let (failures, _) = engine.checkpoint_failures();
    engine.request_checkpoint();
    let until = Instant::now() + CHECKPOINT_WITHIN;
    loop {
        if let Some(newest) = engine.newest_checkpoint().filter(|newest| newest.position >= position) {
            return Ok(newest);
        }
        let (failed, why) = engine.checkpoint_failures();
        if failed > failures {
            tracing::error!(why, "no snapshot: no checkpoint could be made");
            let what = format!("no checkpoint could be made: {why}");
            return Err(Refusal::new(Reason::StorageFailed, what).executed(Executed::False));
        }
        if Instant::now() >= until {
            return Err(Refusal::deadline(Executed::False));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn start(
    engine: Arc<Engine>,
    storage: Arc<FileStorage>,
    newest: NewestCheckpoint,
    room: OwnedSemaphorePermit,
    sender: mpsc::Sender<Message>,
) {
    let told = sender.clone();
    let work = move || {
        engine::step_back();
        if let Err(error) = send(&engine, &storage, newest, &sender)
            && !sender.is_closed()
        {
            tracing::error!(%error, "a snapshot could not be sent");
            let what = format!("the snapshot cannot be read: {error}");
            let refusal = Refusal::new(Reason::StorageFailed, what).executed(Executed::False);
            // A caller that has gone needs no word.
            let _ = sender.blocking_send(Err(refusal.into_status()));
        }
        drop(room);
    };
    if let Err(error) = thread::Builder::new().name("usher-snapshot".to_owned()).spawn(work) {
        tracing::error!(%error, "no thread for a snapshot");
        // As above.
        let _ = told.try_send(Err(Refusal::overloaded().into_status()));
    }
}

fn send(
    engine: &Engine,
    storage: &FileStorage,
    mut newest: NewestCheckpoint,
    sender: &mpsc::Sender<Message>,
) -> io::Result<()> {
    let source = loop {
        match SnapshotSource::open(storage, &newest.name) {
            Ok(source) => break source,
            // Its name went while it was opened: a newer one has it all.
            Err(SnapshotError::Checkpoint(engine::CheckpointError::Io { source, .. }))
                if source.kind() == io::ErrorKind::NotFound
                    && engine.newest_checkpoint().is_some_and(|newer| newer.name != newest.name) =>
            {
                newest = engine.newest_checkpoint().unwrap_or(newest);
            }
            Err(error) => return Err(io::Error::other(error)),
        }
    };
    let head = source.head();
    let mut parts = Parts { sender, data: Vec::with_capacity(PART_BYTES), body_bytes_done: 0 };
    parts.send(Part::Head(wire::SnapshotHead {
        position: head.next_position - 1,
        incarnation: head.identity.incarnation,
        instance_id: backup::instance_text(&head.identity.instance),
        time: Some(timestamp_message(TimestampMs(head.last_time_ms))),
        body_bytes: head.body_bytes,
        plans: u32::try_from(source.plan_count()).unwrap_or(u32::MAX),
        state_hash: format!("{:016x}", source.state_hash()),
        batch: head.last_batch,
    }))?;
    let done = std::cell::Cell::new(0);
    let mut pace = Pace::beside(engine);
    let seal = source.write(storage, &mut Counted { parts: &mut parts, done: &done }, &mut |bytes| {
        done.set(bytes);
        pace.rest();
    })?;
    parts.send(Part::Seal(wire::SnapshotSeal { bytes: seal.bytes, blake3: seal.blake3.to_vec().into() }))
}

/// Gathers the bytes of the object into messages.
struct Parts<'a> {
    sender: &'a mpsc::Sender<Message>,
    data: Vec<u8>,
    body_bytes_done: u64,
}

impl Parts<'_> {
    fn send(&mut self, part: Part) -> io::Result<()> {
        let message = wire::CreateSnapshotResponse { part: Some(part), body_bytes_done: self.body_bytes_done };
        self.sender.blocking_send(Ok(message)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn send_data(&mut self) -> io::Result<()> {
        if self.data.is_empty() {
            return Ok(());
        }
        let data = std::mem::replace(&mut self.data, Vec::with_capacity(PART_BYTES));
        self.send(Part::Data(data.into()))
    }
}

/// The object's bytes on their way, with how much of the body they stand for.
struct Counted<'a, 'p> {
    parts: &'a mut Parts<'p>,
    done: &'a std::cell::Cell<u64>,
}

impl Write for Counted<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PART_BYTES - self.parts.data.len());
        self.parts.data.extend_from_slice(&bytes[..taken]);
        self.parts.body_bytes_done = self.done.get();
        if self.parts.data.len() == PART_BYTES {
            self.parts.send_data()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.parts.send_data()
    }
}
