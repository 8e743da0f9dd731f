//! Redis as its users would do it: a script for each command, an append-only file, this driver.
//!
//! ```text
//! thread of the driver ─> connection ─┬─ buyer: hold ─> confirm (one in ten) or release ─> hold …
//!   (a runtime each)      (a task)    └─ buyer …   one command in flight each
//! ```
//!
//! Invariants: a buyer asks for its own pairs only, so a refusal is an error of ours and fails the run; a connection
//! writes in one go all that became due by one read, so pipelines fill by themselves and nothing waits on a timer.
//! After a run Redis must say what the driver was told: as many sold places as confirms acknowledged, none held.
//!
//! The server is a child on a port and in a folder of its own. One that runs as a service is left alone.
//!
//! Not here: the protocol (`resp.rs`), which places there are (`stock.rs`), what the commands do (`redis/*.lua`).

use std::collections::{HashSet, VecDeque};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hdrhistogram::Histogram;
use rustix::process::Signal;
use rustix::time::{ClockId, clock_gettime};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::contestant::{Contestant, Figures, QUANTILES};
use crate::cores::Cores;
use crate::process::{Process, cpu_of_tree, free_port};
use crate::resp::{self, Reply};
use crate::stock::{self, Chance};

/// When Redis syncs its append-only file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// Before it answers, once for all that one turn of its loop has done: no answer is lost with the power.
    Always,
    /// Every second: what was answered in the last second or two may be lost.
    EverySecond,
}

/// How a connection is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pipelined {
    /// One command in flight on each connection, as most clients do.
    No {
        /// How many connections.
        connections: u32,
    },
    /// Many in flight on each.
    Yes {
        /// How many connections.
        connections: u32,
        /// Commands in flight on all connections together.
        in_flight: u32,
    },
}

/// The connections of a run without pipelines. Synced before each answer, 64 gave 39 k commands a second, 256 gave 58 k,
/// 1,024 gave 63 k for a median latency four times as long.
pub const PLAIN: Pipelined = Pipelined::No { connections: 256 };
/// The pipelines of a run with them. Synced before each answer, in thousands of commands a second: 1 connection with
/// 1,024 in flight 78, 4 with 256 88, 4 with 1,024 86, 16 with 1,024 108, 4 with 4,096 107, 8 with 4,096 113, 16 with
/// 2,048 111, 16 with 4,096 117. Its processor is full from 16 with 1,024 on; what more there is to gain costs latency
/// in proportion.
pub const PIPELINES: Pipelined = Pipelined::Yes { connections: 16, in_flight: 2048 };

/// Threads of the driver at most: more than one only where the client has more processors. Redis runs commands on one
/// processor, and two of ours can always keep that busy.
const DRIVERS_MAX: usize = 2;
/// A latency above this counts as this.
const LATENCY_US_MAX: u64 = 60_000_000;
/// What one read takes at most.
const READ_BYTES: usize = 64 * 1024;
/// Entries of a hash that the audit asks for at once.
const AUDIT_BATCH: &str = "4000";

const HOLD: &str = include_str!("../redis/hold.lua");
const CONFIRM: &str = include_str!("../redis/confirm.lua");
const RELEASE: &str = include_str!("../redis/release.lua");

/// Redis under one kind of load.
#[derive(Debug)]
pub struct Redis {
    cores: Cores,
    fsync: Fsync,
    connections: u32,
    buyers_per_connection: u32,
    events: u32,
    name: String,
    what: String,
    server: Option<Server>,
}

#[derive(Debug)]
struct Server {
    // Fields are dropped in this order: the process must be gone before its folder is.
    process: Process,
    _folder: TempDir,
    port: u16,
    commands: Arc<Commands>,
}

/// Whether Redis can be run here.
///
/// # Errors
/// What is missing and how to install it.
pub fn available() -> Result<(), String> {
    match Command::new("redis-server").arg("--version").stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => Ok(()),
        _ => Err("redis-server is not installed: run .ci/install-peers (Debian: apt-get install redis-server)".into()),
    }
}

/// The version that is installed.
#[must_use]
pub fn version() -> Option<String> {
    let output = Command::new("redis-server").arg("--version").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    // Redis server v=7.0.15 sha=00000000:0 malloc=…
    text.split_whitespace().find_map(|word| word.strip_prefix("v=")).map(str::to_owned)
}

impl Redis {
    /// Redis with so many events that share [`stock::PLACES`]: one is a hot event, 1,000 are a busy evening.
    #[must_use]
    pub fn new(cores: &Cores, fsync: Fsync, pipelined: Pipelined, events: u32) -> Redis {
        let (connections, in_flight, how) = match pipelined {
            Pipelined::No { connections } => (connections, connections, String::new()),
            Pipelined::Yes { connections, in_flight } => {
                (connections, in_flight, format!(", {in_flight} commands in flight"))
            }
        };
        let name = [
            "redis",
            if fsync == Fsync::Always { "-always" } else { "-everysec" },
            if matches!(pipelined, Pipelined::Yes { .. }) { "-pipelined" } else { "" },
            if events == 1 { "-hot" } else { "" },
        ];
        let synced = match fsync {
            Fsync::Always => "synced before each answer",
            Fsync::EverySecond => "synced every second, so that answers can be lost with the power",
        };
        let events_text = if events == 1 { "one event".to_owned() } else { format!("{events} events") };
        Redis {
            cores: cores.clone(),
            fsync,
            connections: connections.max(1),
            buyers_per_connection: (in_flight / connections.max(1)).max(1),
            events: events.clamp(1, stock::PAIRS),
            name: name.concat(),
            what: format!(
                "Redis, a Lua script a command, append-only file {synced}; {connections} connections{how}, {events_text}."
            ),
            server: None,
        }
    }

    fn drivers(&self) -> u32 {
        let drivers = self.cores.client_count().min(DRIVERS_MAX);
        u32::try_from(drivers).unwrap_or(1).min(self.connections)
    }
}

impl Contestant for Redis {
    fn name(&self) -> &str {
        &self.name
    }

    fn what(&self) -> &str {
        &self.what
    }

    fn start(&mut self) -> Result<()> {
        self.stop();
        available().map_err(anyhow::Error::msg)?;
        let folder = tempfile::Builder::new().prefix("peers-redis-").tempdir().context("a folder for Redis")?;
        let port = free_port()?;
        let fsync = if self.fsync == Fsync::Always { "always" } else { "everysec" };
        let mut command = Command::new("redis-server");
        command
            // No file of settings: what the system's own server uses is not ours.
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--protected-mode", "yes"])
            .args(["--daemonize", "no", "--logfile", "redis.log", "--tcp-backlog", "1024"])
            .args(["--save", "", "--appendonly", "yes", "--appendfsync", fsync])
            // A rewrite of the file forks and takes a processor: a short run would pay for hours of use.
            .args(["--auto-aof-rewrite-percentage", "0"])
            .arg("--dir")
            .arg(folder.path())
            .stdout(Stdio::null());
        let mut process = self.cores.as_server(|| Process::start(&mut command, Signal::TERM))??;
        let mut asked = None;
        process.wait_until("redis-server", || {
            asked = Asking::connect(port).ok();
            asked.as_mut().is_some_and(|asking| asking.ask(&["PING"]).is_ok())
        })?;
        let mut asking = asked.context("a connection to redis-server")?;
        let answers_are_durable = asking.ask(&["CONFIG", "GET", "appendfsync"])?;
        ensure!(
            answers_are_durable == Reply::Array(vec![bulk("appendfsync"), bulk(fsync)]),
            "Redis does not sync as it was told: {answers_are_durable:?}"
        );
        let commands = Arc::new(Commands::load(&mut asking, self.events)?);
        // A bitmap that grows seat by seat would be copied again and again.
        let last = (stock::places_of_event(self.events) - 1).to_string();
        for event in 0..self.events {
            asking.ask(&["SETBIT", &key(event, "taken"), &last, "0"])?;
        }
        self.server = Some(Server { process, _folder: folder, port, commands });
        Ok(())
    }

    fn run(&mut self, warmup: Duration, measured: Duration) -> Result<Figures> {
        let server = self.server.as_ref().context("Redis is not started")?;
        let (drivers, buyers) = (self.drivers(), self.connections * self.buyers_per_connection);
        let begin = Instant::now() + warmup;
        let end = begin + measured;
        let mut threads = Vec::new();
        for driver in 0..drivers {
            let connections = (driver..self.connections).step_by(drivers as usize).map(|connection| {
                let first = connection * self.buyers_per_connection;
                let buyers = (first..first + self.buyers_per_connection).map(|buyer| Buyer::new(buyer, buyers));
                Connection::new(buyers.collect(), server.commands.clone(), self.events, begin, end)
            });
            let (connections, port) = (connections.collect(), server.port);
            let work = move || drive(port, connections);
            let name = format!("redis-driver-{driver}");
            threads.push(self.cores.as_client(|| thread::Builder::new().name(name).spawn(work))??);
        }

        thread::sleep(begin.saturating_duration_since(Instant::now()));
        let (server_before, client_before) = (cpu_of_tree(server.process.id()), own_cpu());
        thread::sleep(end.saturating_duration_since(Instant::now()));
        let (server_after, client_after) = (cpu_of_tree(server.process.id()), own_cpu());

        let mut all = Tally::new()?;
        for thread in threads {
            let tally = thread.join().map_err(|_| anyhow::anyhow!("a thread of the driver panicked"))??;
            all.add(&tally)?;
        }
        audit(server.port, self.events, all.confirms)?;

        let each = |time: Duration| (all.commands > 0).then(|| time.as_secs_f64() * 1e6 / all.commands as f64);
        Ok(Figures {
            commands: all.commands,
            per_second: all.commands as f64 / measured.as_secs_f64(),
            hold_us: match all.hold_us.is_empty() {
                true => Vec::new(),
                false => QUANTILES.iter().map(|&at| all.hold_us.value_at_quantile(at) as f64).collect(),
            },
            server_cpu_us: each(server_after.saturating_sub(server_before)),
            client_cpu_us: each(client_after.saturating_sub(client_before)),
            seconds: measured.as_secs_f64(),
            note: String::new(),
        })
    }

    fn stop(&mut self) {
        self.server = None;
    }
}

/// Processor time of this process without its children, of which the server is one.
fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Every key of an event has the same hash tag, so that a cluster would keep them on one node.
fn key(event: u32, what: &str) -> String {
    format!("{{{event}}}:{what}")
}

fn bulk(text: &str) -> Reply {
    Reply::Bulk(text.as_bytes().to_vec())
}

/// The commands of a run as bytes, up to the words that differ from one to the next.
#[derive(Debug)]
struct Commands {
    hold: Vec<Vec<u8>>,
    confirm: Vec<Vec<u8>>,
    release: Vec<Vec<u8>>,
}

impl Commands {
    fn load(asking: &mut Asking, events: u32) -> Result<Commands> {
        let mut prepare = |script: &str, keys: &[&str], arguments: usize| -> Result<Vec<Vec<u8>>> {
            let Reply::Bulk(hash) = asking.ask(&["SCRIPT", "LOAD", script])? else { bail!("no hash of a script") };
            let prefix = |event| {
                let mut out = Vec::new();
                resp::put_head(&mut out, 3 + keys.len() + arguments);
                resp::put_word(&mut out, b"EVALSHA");
                resp::put_word(&mut out, &hash);
                resp::put_number(&mut out, keys.len() as u64);
                keys.iter().for_each(|what| resp::put_word(&mut out, key(event, what).as_bytes()));
                out
            };
            Ok((0..events).map(prefix).collect())
        };
        Ok(Commands {
            hold: prepare(HOLD, &["taken", "holds", "due"], 4)?,
            confirm: prepare(CONFIRM, &["holds", "due"], 2)?,
            release: prepare(RELEASE, &["taken", "holds", "due"], 1)?,
        })
    }
}

/// One who holds and then buys or gives back, again and again.
#[derive(Debug)]
struct Buyer {
    number: u32,
    /// Pairs that nobody else has and that are not sold.
    stock: Vec<u32>,
    /// Which of them is asked for.
    chosen: usize,
    holds: u32,
    chance: Chance,
}

impl Buyer {
    fn new(number: u32, buyers: u32) -> Buyer {
        let stock = stock::of_buyer(number, buyers);
        Buyer { number, stock, chosen: 0, holds: 0, chance: Chance::new(u64::from(number)) }
    }

    /// The name of the hold in flight: short, so that Redis is not charged for long names.
    fn hold(&self) -> u64 {
        u64::from(self.number) << 32 | u64::from(self.holds)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Hold,
    Confirm,
    Release,
}

/// A command that is not answered yet.
#[derive(Debug)]
struct Flight {
    buyer: usize,
    step: Step,
    asked: Instant,
}

/// One connection, its buyers, and what they have come to.
#[derive(Debug)]
struct Connection {
    buyers: Vec<Buyer>,
    flights: VecDeque<Flight>,
    out: Vec<u8>,
    commands: Arc<Commands>,
    events: u32,
    begin: Instant,
    end: Instant,
}

impl Connection {
    fn new(buyers: Vec<Buyer>, commands: Arc<Commands>, events: u32, begin: Instant, end: Instant) -> Connection {
        Connection { buyers, flights: VecDeque::new(), out: Vec::new(), commands, events, begin, end }
    }

    async fn run(mut self, port: u16) -> Result<Tally> {
        let mut stream =
            tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.context("connect to Redis")?;
        stream.set_nodelay(true)?;
        let mut tally = Tally::new()?;
        let mut read = Vec::with_capacity(READ_BYTES);
        let now = Instant::now();
        for buyer in 0..self.buyers.len() {
            self.hold(buyer, now)?;
        }
        while !self.flights.is_empty() {
            stream.write_all(&self.out).await.context("write to Redis")?;
            self.out.clear();
            ensure!(stream.read_buf(&mut read).await.context("read from Redis")? > 0, "Redis closed a connection");
            let (now, mut at) = (Instant::now(), 0);
            while let Some((reply, length)) = resp::read_reply(&read[at..])? {
                at += length;
                self.answered(&reply, now, &mut tally)?;
            }
            read.drain(..at);
        }
        Ok(tally)
    }

    fn answered(&mut self, reply: &Reply, now: Instant, tally: &mut Tally) -> Result<()> {
        let Flight { buyer, step, asked } = self.flights.pop_front().context("an answer that nobody asked for")?;
        let granted = match (step, reply) {
            (Step::Hold, Reply::Integer(deadline)) => *deadline > 1,
            (Step::Confirm | Step::Release, Reply::Integer(done)) => *done == 1,
            _ => false,
        };
        ensure!(granted, "Redis answered {reply:?} to a {step:?} that nobody contends");
        let counts = self.begin <= now && now < self.end;
        tally.commands += u64::from(counts);
        match step {
            Step::Hold => {
                if counts {
                    let micros = u64::try_from((now - asked).as_micros()).unwrap_or(LATENCY_US_MAX);
                    tally.hold_us.saturating_record(micros);
                }
                self.finish(buyer, now);
                return Ok(());
            }
            Step::Confirm => {
                tally.confirms += 1;
                let buyer = &mut self.buyers[buyer];
                buyer.stock.swap_remove(buyer.chosen);
            }
            Step::Release => (),
        }
        // What is held when the time is over is still ended, so that the audit finds nothing held.
        if now < self.end { self.hold(buyer, now) } else { Ok(()) }
    }

    fn hold(&mut self, at: usize, now: Instant) -> Result<()> {
        let buyer = &mut self.buyers[at];
        ensure!(!buyer.stock.is_empty(), "a buyer has sold all its places: the run is too long for the stock");
        buyer.chosen = usize::try_from(buyer.chance.below(buyer.stock.len() as u64))?;
        buyer.holds += 1;
        let pair = stock::pair(buyer.stock[buyer.chosen], self.events);
        self.out.extend_from_slice(&self.commands.hold[pair.event as usize]);
        resp::put_number(&mut self.out, buyer.hold());
        resp::put_number(&mut self.out, stock::TTL_MS);
        resp::put_number(&mut self.out, pair.first.into());
        resp::put_number(&mut self.out, (pair.first + 1).into());
        self.flights.push_back(Flight { buyer: at, step: Step::Hold, asked: now });
        Ok(())
    }

    fn finish(&mut self, at: usize, now: Instant) {
        let buyer = &mut self.buyers[at];
        let event = stock::pair(buyer.stock[buyer.chosen], self.events).event as usize;
        let step = if buyer.chance.below(stock::ONE_SOLD_IN) == 0 { Step::Confirm } else { Step::Release };
        let command = if step == Step::Confirm { &self.commands.confirm } else { &self.commands.release };
        self.out.extend_from_slice(&command[event]);
        resp::put_number(&mut self.out, buyer.hold());
        if step == Step::Confirm {
            // An order for each hold: its number will do.
            resp::put_number(&mut self.out, buyer.hold());
        }
        self.flights.push_back(Flight { buyer: at, step, asked: now });
    }
}

/// What some connections came to.
#[derive(Debug)]
struct Tally {
    commands: u64,
    /// Over the whole run, not only the measured time: the audit counts them.
    confirms: u64,
    hold_us: Histogram<u64>,
}

impl Tally {
    fn new() -> Result<Tally> {
        let hold_us = Histogram::new_with_bounds(1, LATENCY_US_MAX, 3).context("bounds of latencies")?;
        Ok(Tally { commands: 0, confirms: 0, hold_us })
    }

    fn add(&mut self, other: &Tally) -> Result<()> {
        self.commands += other.commands;
        self.confirms += other.confirms;
        self.hold_us.add(&other.hold_us).context("add latencies")
    }
}

/// What one thread of the driver does.
fn drive(port: u16, connections: Vec<Connection>) -> Result<Tally> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let tasks: Vec<_> = connections.into_iter().map(|connection| tokio::spawn(connection.run(port))).collect();
        let mut all = Tally::new()?;
        for task in tasks {
            all.add(&task.await.context("a connection of the driver panicked")??)?;
        }
        Ok(all)
    })
}

/// Compares what Redis has with what it acknowledged.
fn audit(port: u16, events: u32, confirms: u64) -> Result<()> {
    let mut asking = Asking::connect(port)?;
    let (mut taken, mut sold, mut records) = (0, 0, 0);
    for event in 0..events {
        let due = asking.count(&["ZCARD", &key(event, "due")])?;
        ensure!(due == 0, "audit: {due} holds of event {event} live though all were ended");
        taken += asking.count(&["BITCOUNT", &key(event, "taken")])?;
        let mut seats = HashSet::new();
        for record in asking.values_of_hash(&key(event, "holds"))? {
            let text = String::from_utf8_lossy(&record).into_owned();
            let Some((_, places)) = text.strip_prefix("S:").and_then(|sold| sold.split_once(':')) else {
                bail!("audit: event {event} has a hold that is not sold: {text}");
            };
            for seat in places.split(' ') {
                ensure!(seats.insert(seat.to_owned()), "audit: place {seat} of event {event} is sold twice");
            }
            records += 1;
        }
        sold += seats.len() as u64;
    }
    ensure!(records == confirms, "audit: {confirms} confirms were acknowledged and Redis has {records}");
    ensure!(sold == 2 * confirms && taken == sold, "audit: {confirms} confirms, {sold} sold, {taken} taken places");
    Ok(())
}

/// A plain connection for what is not measured: one question, one answer.
struct Asking {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Asking {
    fn connect(port: u16) -> Result<Asking> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("connect to Redis")?;
        stream.set_nodelay(true)?;
        Ok(Asking { stream, read: Vec::new() })
    }

    fn ask(&mut self, words: &[&str]) -> Result<Reply> {
        let mut out = Vec::new();
        resp::put_command(&mut out, &words.iter().map(|word| word.as_bytes()).collect::<Vec<_>>());
        self.stream.write_all(&out).context("write to Redis")?;
        loop {
            if let Some((reply, length)) = resp::read_reply(&self.read)? {
                self.read.drain(..length);
                if let Reply::Error(text) = reply {
                    bail!("Redis refused {}: {text}", words.first().copied().unwrap_or_default());
                }
                return Ok(reply);
            }
            let mut chunk = vec![0; READ_BYTES];
            let length = self.stream.read(&mut chunk).context("read from Redis")?;
            ensure!(length > 0, "Redis closed a connection");
            self.read.extend_from_slice(&chunk[..length]);
        }
    }

    fn count(&mut self, words: &[&str]) -> Result<u64> {
        match self.ask(words)? {
            Reply::Integer(number) => Ok(u64::try_from(number)?),
            other => bail!("Redis answered {other:?} where a number belongs"),
        }
    }

    /// In parts: one answer with all of them would be parsed from its begin at every read.
    fn values_of_hash(&mut self, key: &str) -> Result<Vec<Vec<u8>>> {
        let mut values = std::collections::HashMap::new();
        let mut cursor = "0".to_owned();
        loop {
            let reply = self.ask(&["HSCAN", key, &cursor, "COUNT", AUDIT_BATCH])?;
            let Reply::Array(parts) = reply else { bail!("HSCAN gave no array") };
            let [Reply::Bulk(next), Reply::Array(entries)] = parts.as_slice() else { bail!("HSCAN gave {parts:?}") };
            for entry in entries.chunks_exact(2) {
                let [Reply::Bulk(field), Reply::Bulk(value)] = entry else { bail!("HSCAN gave {entry:?}") };
                // The same field may come twice while the hash changes its size.
                values.insert(field.clone(), value.clone());
            }
            cursor = String::from_utf8_lossy(next).into_owned();
            if cursor == "0" {
                return Ok(values.into_values().collect());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_hold_sell_release_and_let_holds_end() {
        if let Err(missing) = available() {
            assert!(std::env::var_os("CI").is_none(), "in CI every contestant must run: {missing}");
            eprintln!("SKIPPED, NOTHING WAS TESTED: {missing}");
            return;
        }
        let mut redis = Redis::new(&Cores::find(), Fsync::EverySecond, PLAIN, 1);
        redis.start().expect("it starts");
        let mut asking = Asking::connect(redis.server.as_ref().expect("it is started").port).expect("a connection");
        let (taken, holds, due) = (key(0, "taken"), key(0, "holds"), key(0, "due"));
        let mut ask = |script: &str, keys: &[&str], arguments: &[&str]| {
            let count = keys.len().to_string();
            let reply = asking.ask(&[&["EVAL", script, &count], keys, arguments].concat()).expect("an answer");
            let Reply::Integer(number) = reply else { panic!("{reply:?} is no number") };
            number
        };
        let three = [taken.as_str(), &holds, &due];
        let mut hold = |arguments: &[&str]| ask(HOLD, &three, arguments);

        let deadline = hold(&["a", "60000", "3", "4"]);
        assert!(deadline > 1, "held until {deadline}");
        assert_eq!(hold(&["a", "60000", "3", "4"]), deadline, "asked again, the same answer");
        assert_eq!(hold(&["b", "60000", "4", "5"]), 0, "4 is taken");
        assert!(hold(&["c", "60000", "5"]) > 1, "a refused hold leaves nothing behind");
        // A time to live that is over when it begins.
        assert!(hold(&["d", "0", "7", "8"]) > 1);
        assert_eq!(ask(CONFIRM, &[&holds, &due], &["d", "order"]), 0, "it is over");
        assert!(ask(HOLD, &three, &["e", "60000", "8", "7"]) > 1, "seats of a hold that is over are open");

        assert_eq!(ask(CONFIRM, &[&holds, &due], &["a", "order"]), 1);
        assert_eq!(ask(CONFIRM, &[&holds, &due], &["a", "order"]), 1, "asked again");
        assert_eq!(ask(CONFIRM, &[&holds, &due], &["a", "other"]), -1);
        assert_eq!(ask(RELEASE, &three, &["a"]), -1, "sold is sold");
        assert_eq!(ask(HOLD, &three, &["a", "60000", "3", "4"]), -1);
        assert_eq!(ask(HOLD, &three, &["f", "60000", "2", "3"]), 0);
        for (hold, answer) in [("c", 1), ("c", 0), ("e", 1), ("never", 0)] {
            assert_eq!(ask(RELEASE, &three, &[hold]), answer, "release {hold}");
        }
        let port = redis.server.as_ref().expect("it is started").port;
        audit(port, 1, 1).expect("one sale and nothing held");
        assert!(audit(port, 1, 2).is_err(), "an audit finds a sale that is missing");
    }
}
