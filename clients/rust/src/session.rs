use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use proto::inventory::v1::{SessionRequest, SessionResponse, session_request};
use tokio::sync::{mpsc, oneshot};
use tonic::transport::Channel;

use crate::clock::ServerClock;
use crate::error::Error;
use crate::raw::{RawReceiver, RawSender, RawSession};

/// Commands that may wait in front of a Session whose reply slots are all taken.
const QUEUE_MAX: usize = 4_096;
/// Over its own deadline a command waits so much longer for the server's word that it passed.
const ANSWER_GRACE: Duration = Duration::from_millis(250);

/// The Session of one connection, shared by concurrent callers. Its task starts with the first command and ends
/// with the last handle.
#[derive(Debug)]
pub(crate) struct SessionLane {
    jobs: mpsc::Sender<Job>,
    start: Mutex<Option<Start>>,
}

/// What the task needs, until it is started.
#[derive(Debug)]
struct Start {
    jobs: mpsc::Receiver<Job>,
    channel: Channel,
    client_name: String,
    in_flight_max: usize,
    connect_timeout: Duration,
    clock: Arc<ServerClock>,
}

#[derive(Debug)]
struct Job {
    request: SessionRequest,
    reply: oneshot::Sender<Result<SessionResponse, Error>>,
}

impl SessionLane {
    pub(crate) fn new(
        channel: Channel,
        client_name: String,
        in_flight_max: usize,
        connect_timeout: Duration,
        clock: Arc<ServerClock>,
    ) -> Self {
        let (sender, jobs) = mpsc::channel(QUEUE_MAX);
        let in_flight_max = in_flight_max.max(1);
        let start = Start { jobs, channel, client_name, in_flight_max, connect_timeout, clock };
        Self { jobs: sender, start: Mutex::new(Some(start)) }
    }

    /// One attempt of one command.
    pub(crate) async fn call(
        &self,
        command: session_request::Command,
        timeout: Duration,
    ) -> Result<SessionResponse, Error> {
        if let Some(start) = self.start.lock().take() {
            tokio::spawn(drive(start));
        }
        let timeout_ms = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX).max(1);
        let (reply, answer) = oneshot::channel();
        let request = SessionRequest { correlation_id: 0, timeout_ms, command: Some(command) };
        let exchange = async {
            if self.jobs.send(Job { request, reply }).await.is_err() {
                return Err(Error::transport("the Session's task has ended"));
            }
            answer.await.unwrap_or_else(|_| Err(Error::transport("the Session's task has ended")))
        };
        let answer = tokio::time::timeout(timeout + ANSWER_GRACE, exchange).await;
        let answer = answer.map_err(|_| Error::Deadline { executed: proto::inventory::v1::Executed::Unknown })??;
        if answer.reason == 0 { Ok(answer) } else { Err(Error::from_session(&answer)) }
    }
}

/// Opens Sessions, one after the other as they break, and runs commands over them. Sends nothing twice by itself:
/// what had no answer when a Session broke is told so, and its caller decides.
async fn drive(mut start: Start) {
    let mut waiting = VecDeque::new();
    loop {
        if waiting.is_empty() {
            match start.jobs.recv().await {
                Some(job) => waiting.push_back(job),
                None => return,
            }
        }
        let open = RawSession::open(start.channel.clone(), &start.client_name, Arc::clone(&start.clock));
        let opened = tokio::time::timeout(start.connect_timeout, open).await;
        match opened.unwrap_or_else(|_| Err(Error::transport("the Session did not open in time"))) {
            Ok(session) => run(session, &mut start, &mut waiting).await,
            Err(error) => {
                // Everybody who waits now learns it now: each has a budget and a pause of its own.
                while let Ok(job) = start.jobs.try_recv() {
                    waiting.push_back(job);
                }
                for job in waiting.drain(..) {
                    let _ = job.reply.send(Err(error.clone()));
                }
            }
        }
    }
}

/// Runs one Session until it breaks, the server goes away, or the last caller has gone.
async fn run(session: RawSession, start: &mut Start, waiting: &mut VecDeque<Job>) {
    let allowed = session.opened().max_in_flight as usize;
    let slot_count = if allowed == 0 { start.in_flight_max } else { allowed.min(start.in_flight_max) };
    let (mut sender, mut receiver) = session.split();
    let mut slots = Slots::new(slot_count);
    let mut taken = Vec::new();
    loop {
        while slots.free() > 0
            && let Some(job) = waiting.pop_front()
        {
            slots.send(job, &mut sender);
        }
        sender.flush();
        let free = slots.free();
        tokio::select! {
            biased;
            ended = receive(&mut receiver, &mut slots) => match ended {
                Ok(Word::Answers) => {}
                Ok(Word::GoingAway) => return finish(sender, receiver, slots).await,
                Err(error) => return slots.fail(&error),
            },
            count = start.jobs.recv_many(&mut taken, free), if free > 0 => {
                if count == 0 {
                    return finish(sender, receiver, slots).await;
                }
                waiting.extend(taken.drain(..));
            }
        }
    }
}

enum Word {
    Answers,
    GoingAway,
}

async fn receive(receiver: &mut RawReceiver, slots: &mut Slots) -> Result<Word, Error> {
    let mut word = Word::Answers;
    let count = receiver
        .recv(|answer| {
            if answer.going_away {
                word = Word::GoingAway;
            }
            slots.answer(answer);
        })
        .await?;
    // An end without being told means that nothing is left to answer; new commands need a new Session.
    Ok(if count.is_none() { Word::GoingAway } else { word })
}

/// Sends no more and waits for what is in flight.
async fn finish(mut sender: RawSender, mut receiver: RawReceiver, mut slots: Slots) {
    sender.finish();
    while slots.in_flight > 0 {
        match receiver.recv(|answer| slots.answer(answer)).await {
            Ok(Some(_)) => {}
            Ok(None) => return slots.fail(&Error::transport("the Session ended without an answer")),
            Err(error) => return slots.fail(&error),
        }
    }
}

/// Commands in flight by slot. A correlation id is the slot and a count of its uses, so that an answer that comes
/// twice finds nobody.
struct Slots {
    slots: Vec<Slot>,
    free: Vec<u32>,
    in_flight: usize,
}

struct Slot {
    generation: u32,
    reply: Option<oneshot::Sender<Result<SessionResponse, Error>>>,
}

impl Slots {
    fn new(count: usize) -> Self {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            slots: (0..count).map(|_| Slot { generation: 0, reply: None }).collect(),
            free: (0..count).rev().collect(),
            in_flight: 0,
        }
    }

    fn free(&self) -> usize {
        self.free.len()
    }

    fn send(&mut self, mut job: Job, sender: &mut RawSender) {
        // Its caller stopped waiting before it was sent: then sending it could only surprise.
        if job.reply.is_closed() {
            return;
        }
        let Some(index) = self.free.pop() else { return };
        let slot = &mut self.slots[index as usize];
        // Generations begin at 1, so a correlation id is never 0.
        slot.generation = slot.generation.wrapping_add(1).max(1);
        slot.reply = Some(job.reply);
        self.in_flight += 1;
        job.request.correlation_id = (u64::from(slot.generation) << 32) | u64::from(index);
        sender.send(&job.request);
    }

    fn answer(&mut self, answer: &mut SessionResponse) {
        #[expect(clippy::cast_possible_truncation, reason = "the two halves of the id")]
        let (index, generation) = (answer.correlation_id as u32, (answer.correlation_id >> 32) as u32);
        let Some(slot) = self.slots.get_mut(index as usize).filter(|slot| slot.generation == generation) else {
            return;
        };
        if let Some(reply) = slot.reply.take() {
            self.free.push(index);
            self.in_flight -= 1;
            let _ = reply.send(Ok(std::mem::take(answer)));
        }
    }

    /// Tells everybody in flight that no answer will come.
    fn fail(&mut self, error: &Error) {
        for slot in &mut self.slots {
            if let Some(reply) = slot.reply.take() {
                let unknown = Error::transport(format!("the Session broke: {error}"));
                let _ = reply.send(Err(unknown));
            }
        }
        self.in_flight = 0;
    }
}
