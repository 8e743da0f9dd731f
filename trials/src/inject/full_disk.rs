//! The disk fills up while a sale runs.
//!
//! What must come of it: with too little room for two segments Holds are refused with `STORAGE_LOW`, confirms and
//! releases go on in what was made ready; with no byte left they go on until a segment is needed, and then the server
//! ends with 74; a start without room for its first segment is refused with one sentence; nothing is lost; and with
//! room again everything is taken.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use client::{Client, Config, RetryPolicy};

use super::small_disk::{Kind, SmallDisk, obstacle};
use crate::crowd::{self, Crowd, Manners};
use crate::hall::{FLOOR, SEATS};
use crate::history::{Call, History, Id, Operation, Outcome};
use crate::judge::Judged;
use crate::log::KeptLog;
use crate::recorder::Recorder;
use crate::usherd::{Heard, PATIENCE, Programs, Start, Usherd, free_port, pause};

const SEGMENT_BYTES: u64 = 1 << 20;
/// Room for a start and not for a sale: the first segment, the next one, and less than two more.
const ROOM_TO_START: u64 = 2 * SEGMENT_BYTES + SEGMENT_BYTES / 2;
const EXIT_IO: i32 = 74;
/// Events whose places are given back one by one: more changes than two segments have pages.
const EVENTS: u32 = 12;

/// Runs it on every kind of small disk there can be here.
pub(super) fn run(seed: u64) -> Result<()> {
    for kind in [Kind::Tmpfs, Kind::Ext4] {
        if let Some(why) = obstacle(kind) {
            eprintln!("SKIPPED: {why}; NO FULL DISK of kind {} was tried", kind.name());
            continue;
        }
        let began = Instant::now();
        let disk = match SmallDisk::mount(kind) {
            Ok(disk) => disk,
            // A container may have root and no right to mount.
            Err(error) => {
                eprintln!("SKIPPED: {error:#}; NO FULL DISK of kind {} was tried", kind.name());
                continue;
            }
        };
        let mut heard = Vec::new();
        let filled = fill(&disk, seed, &mut heard);
        let last = heard.last().map_or_else(String::new, Heard::last);
        match filled.with_context(|| format!("the server said last: {last}")) {
            Ok(judged) => println!(
                "full disk, {:5}         STORAGE_LOW, no byte left, kill -9, a start without room, room again; {} operations \
                 judged ({:.0} s)",
                kind.name(),
                judged.operations,
                began.elapsed().as_secs_f64()
            ),
            Err(error) => {
                let saved = tempfile::Builder::new().prefix("usher-full-disk-").tempdir()?.keep();
                disk.save(&saved)?;
                return Err(error.context(format!(
                    "the full disk of kind {} failed; its files are kept in {}\nagain: cargo xtask inject \
                     --only-full-disk --seed {seed}",
                    kind.name(),
                    saved.display()
                )));
            }
        }
    }
    Ok(())
}

fn fill(disk: &SmallDisk, seed: u64, heard: &mut Vec<Heard>) -> Result<Judged> {
    let programs = Programs::find()?;
    let data = disk.root().join("data");
    let start = Start {
        program: programs.usherd(),
        before: Vec::new(),
        data: data.clone(),
        port: free_port()?,
        shards: 2,
        segment_bytes: SEGMENT_BYTES.to_string(),
        checkpoint_segments: 4,
        more: Vec::new(),
    };
    let kept = KeptLog::new(&data, &disk.root().join("kept"))?;
    let mut server = start.serving()?;
    heard.push(server.heard());
    let mut probe = Probe::new(&start.endpoint())?;
    probe.take_all()?;
    let manners = Manners {
        endpoint: start.endpoint(),
        seed,
        stages: 3,
        name: "show".to_owned(),
        rest_ms: 30,
        shows_max: 1_000,
        short_holds: true,
    };
    let crowd = Crowd::begin(manners)?;
    rest(Duration::from_secs(1), &mut server, &kept)?;

    // Too little for two segments.
    disk.leave(SEGMENT_BYTES)?;
    probe.until_refused(PATIENCE, &mut server, &kept)?;
    probe.ends_go_on(2)?;
    crowd.ask_to_end();
    rest(Duration::from_secs(1), &mut server, &kept)?;

    // No byte left.
    disk.leave(0)?;
    ensure!(probe.hold()? == Some("STORAGE_LOW".to_owned()), "a hold was not refused on a full disk");
    probe.ends_go_on(4)?;

    // Room again, and nobody starts anything anew: holds are taken. Then none again.
    disk.empty()?;
    probe.until_taken(PATIENCE, &mut server, &kept)?;
    disk.leave(0)?;
    probe.until_refused(PATIENCE, &mut server, &kept)?;
    probe.ends_go_on(2)?;
    server.kill()?;
    kept.look()?;
    is_whole(&programs, &data)?;

    // A start needs room for its first segment.
    let mut refused = start.spawn()?;
    let status = refused.wait(PATIENCE)?;
    let said: Vec<String> = refused.said().into_iter().filter(|line| line.starts_with("usherd: ")).collect();
    let is_clear = said.len() == 1 && said[0].contains("No space left on device");
    ensure!(status.code() == Some(EXIT_IO) && is_clear, "a start without a byte: {status}, {said:?}");
    is_whole(&programs, &data)?;

    // Enough to start and too little to sell.
    disk.leave(ROOM_TO_START)?;
    let mut server = start.serving()?;
    heard.push(server.heard());
    kept.look()?;
    probe.reconnect()?;
    probe.until_refused(PATIENCE, &mut server, &kept)?;
    probe.ends_go_on(2)?;

    // No byte left, and the log goes on until it needs a segment.
    disk.leave(0)?;
    probe.give_back_until_it_ends()?;
    let status = server.wait(PATIENCE)?;
    ensure!(status.code() == Some(EXIT_IO), "without a byte for a segment the server ended with {status}");
    is_whole(&programs, &data)?;

    // Room again.
    disk.empty()?;
    let mut server = start.serving()?;
    heard.push(server.heard());
    probe.reconnect()?;
    probe.until_taken(PATIENCE, &mut server, &kept)?;
    let mut histories = crowd.end()?;
    histories.extend(probe.end()?);
    server.terminate()?;
    let status = server.wait(PATIENCE)?;
    ensure!(status.success(), "a stop ended with {status}");
    is_whole(&programs, &data)?;
    let mut judged = Judged::default();
    judged.judge(&histories, &kept.read()?, &disk.root())?;
    Ok(judged)
}

fn is_whole(programs: &Programs, data: &Path) -> Result<()> {
    let (code, said) = programs.verify(data)?;
    ensure!(code <= 1, "usherctl verify ends with {code}: {said}");
    Ok(())
}

/// Lets the clients work.
fn rest(time: Duration, server: &mut Usherd, kept: &KeptLog) -> Result<()> {
    let until = Instant::now() + time;
    while Instant::now() < until {
        kept.look()?;
        if let Some(status) = server.ended()? {
            bail!("the server ended by itself, {status}: {}", server.said().join("\n"));
        }
        pause(Duration::from_millis(5));
    }
    Ok(())
}

/// A client that has taken every place of some events before the disk fills, one hold each, and gives them back when
/// it matters.
struct Probe {
    runtime: tokio::runtime::Runtime,
    recorders: Vec<Recorder>,
    histories: Vec<History>,
    /// Live holds: the event's number and the hold.
    live: Vec<(usize, Id)>,
}

impl Probe {
    fn new(endpoint: &str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut config = Config::new(endpoint).timeouts(PATIENCE, PATIENCE);
        config.retry = RetryPolicy::never();
        let began = Instant::now();
        let (mut recorders, mut histories) = (Vec::new(), Vec::new());
        for number in 0..EVENTS {
            let event_id = format!("probe-{number}");
            let client = runtime.block_on(async {
                let client = Client::lazy(config.clone())?;
                crowd::make_event(&client, &event_id).await?;
                anyhow::Ok(client)
            })?;
            recorders.push(Recorder { client, number: 0, event_id: event_id.clone(), began });
            histories.push(History { event_id, operations: Vec::new() });
        }
        Ok(Self { runtime, recorders, histories, live: Vec::new() })
    }

    fn ask(&mut self, event: usize, call: Call) -> Operation {
        let operation = self.runtime.block_on(self.recorders[event].ask(call));
        self.histories[event].operations.push(operation.clone());
        operation
    }

    fn hold_call(&self, event: usize, seat: Option<u32>) -> Call {
        Call::Hold {
            hold: Id::from_halves(self.recorders[event].client.ids().hold_id().halves()),
            seats: seat.into_iter().collect(),
            floor: u32::from(seat.is_none()),
            floor_min: 0,
            best: 0,
            replace: None,
            ttl_ms: 3_600_000,
        }
    }

    /// All seats but the first ones of the last event, and all admissions.
    fn take_all(&mut self) -> Result<()> {
        for event in 0..self.recorders.len() {
            let seats = (if event + 1 == self.recorders.len() { 10 } else { 0 }..SEATS).map(Some);
            for seat in seats.chain((0..FLOOR).map(|_| None)) {
                let call = self.hold_call(event, seat);
                let hold = call.hold().unwrap_or(Id(0));
                let operation = self.ask(event, call);
                ensure!(is_done(&operation), "a hold of an open place: {operation}");
                self.live.push((event, hold));
            }
        }
        Ok(())
    }

    /// After a restart: every connection is made anew.
    fn reconnect(&mut self) -> Result<()> {
        for event in 0..self.recorders.len() {
            let until = Instant::now() + PATIENCE;
            while !matches!(self.ask(event, Call::SeatMap).outcome, Outcome::Answered { .. }) {
                ensure!(Instant::now() < until, "the server does not answer");
                pause(Duration::from_millis(20));
            }
        }
        Ok(())
    }

    /// One hold of an open place; why it was refused, if it was.
    fn hold(&mut self) -> Result<Option<String>> {
        let event = self.recorders.len() - 1;
        // The first places are open as long as no hold is taken.
        let taken = self.live.iter().filter(|(of, _)| *of == event).count();
        let call = self.hold_call(event, Some(u32::try_from(taken % 7).unwrap_or(0)));
        let hold = call.hold().unwrap_or(Id(0));
        let operation = self.ask(event, call);
        match &operation.outcome {
            Outcome::NotDone { reason } => Ok(Some(reason.clone())),
            Outcome::Answered { .. } if is_done(&operation) => {
                // Open again for the next one.
                let back = self.ask(event, Call::Release { hold, part: None });
                ensure!(is_done(&back), "a live hold cannot be given back: {back}");
                Ok(None)
            }
            _ => bail!("a hold of an open place: {operation}"),
        }
    }

    fn until_refused(&mut self, within: Duration, server: &mut Usherd, kept: &KeptLog) -> Result<()> {
        let until = Instant::now() + within;
        while self.hold()? != Some("STORAGE_LOW".to_owned()) {
            if let Some(status) = server.ended()? {
                bail!("the server ended by itself, {status}");
            }
            ensure!(Instant::now() < until, "holds are taken {within:?} after the disk was full");
            rest(Duration::from_millis(200), server, kept)?;
        }
        Ok(())
    }

    fn until_taken(&mut self, within: Duration, server: &mut Usherd, kept: &KeptLog) -> Result<()> {
        let until = Instant::now() + within;
        while let Some(reason) = self.hold()? {
            ensure!(Instant::now() < until, "holds are refused with {reason} {within:?} after there was room");
            rest(Duration::from_millis(200), server, kept)?;
        }
        Ok(())
    }

    /// Confirms and releases are taken, so many of each.
    fn ends_go_on(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            for sells in [true, false] {
                let Some((event, hold)) = self.live.pop() else { bail!("no live hold is left to end") };
                let operation = self.ask(event, ending(hold, sells));
                ensure!(is_done(&operation), "on a full disk what ends a hold is taken: {operation}");
            }
        }
        Ok(())
    }

    /// Gives places back until the server is gone.
    fn give_back_until_it_ends(&mut self) -> Result<()> {
        while let Some((event, hold)) = self.live.pop() {
            let operation = self.ask(event, ending(hold, false));
            match &operation.outcome {
                Outcome::Unknown { .. } => return Ok(()),
                Outcome::NotDone { reason } => bail!("a release was refused with {reason}"),
                Outcome::Answered { .. } => ensure!(is_done(&operation), "a live hold can be given back: {operation}"),
            }
        }
        bail!("every place was given back and the log never needed a segment")
    }

    /// Reads everything once more.
    fn end(mut self) -> Result<Vec<History>> {
        for event in 0..self.recorders.len() {
            let operation = self.ask(event, Call::SeatMap);
            ensure!(matches!(operation.outcome, Outcome::Answered { .. }), "the last read had no answer: {operation}");
        }
        Ok(self.histories)
    }
}

fn ending(hold: Id, sells: bool) -> Call {
    if sells {
        Call::Confirm { hold, order: "order".to_owned(), part: None, release_rest: false }
    } else {
        Call::Release { hold, part: None }
    }
}

fn is_done(operation: &Operation) -> bool {
    matches!(&operation.outcome, Outcome::Answered { told, .. } if told.is_done())
}
