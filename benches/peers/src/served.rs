//! Usher's own server, and the bare one that only answers, each under one kind of load.
//!
//! ```text
//! start: usherd in a folder of its own ─> its event, where the client makes none
//! run:   the client (h2load or loadgen) ─> what the server must have done is looked at
//! ```
//!
//! Invariant: nothing is counted that is not proved. A load by `loadgen` ends with its audit. After one by `h2load`,
//! which reads no answers, the log must have grown by a durable change for each request at least; after one of refusals
//! it must not have grown at all.
//!
//! Not here: what clients do (`h2load.rs`, `loadgen.rs`).

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use proto::inventory::v1::inventory_service_client::InventoryServiceClient;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::contestant::{Contestant, Figures};
use crate::frame::{self, ADMISSIONS};
use crate::h2load::{self, CONNECTIONS, STREAMS};
use crate::loadgen;
use crate::process::{Process, cpu_of_ended_children, cpu_of_tree, free_port};
use crate::site::Site;

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// The seat inventory, every answer durable.
    Usherd,
    /// Answers as long as usherd's, and nothing else.
    Echo,
}

/// What is done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// h2load: holds of two admissions of a large area.
    Holds,
    /// h2load: the same frame for an area that is sold out.
    SoldOut,
    /// loadgen: callers with a call in flight each.
    Calls {
        /// How many callers.
        callers: u32,
        /// HTTP/2 connections that they share.
        connections: u32,
        /// Events that share the places.
        events: u32,
    },
    /// loadgen: calls that begin at the rate of [`Site::pace`] whatever the answers do.
    Paced,
    /// loadgen: a Session on each of four connections, one command a message.
    Session {
        /// Commands in flight on all of them.
        in_flight: u32,
        /// Events that share the places.
        events: u32,
    },
    /// loadgen: the same with many commands in a message.
    Batch {
        /// Commands in flight on all of them.
        in_flight: u32,
        /// Commands a message.
        batch: u32,
        /// Events that share the places.
        events: u32,
    },
}

/// The calling path of a hold.
const HOLD: &str = "usher.inventory.v1.InventoryService/Hold";
/// The event of [`Load::Holds`], and that of [`Load::SoldOut`]: names of one length, so that frames are too.
const EVENTS: [&str; 2] = ["field", "stand"];
/// Admissions of the area that is not sold out.
const CAPACITY: u64 = 1_000_000;
/// Connections of loadgen.
const LOADGEN_CONNECTIONS: u32 = 4;
/// As much as no run needs.
const MEMORY_BUDGET: &str = "8GiB";
/// What a run of some seconds grows by. The peers' memory is ready as well: see `memory.rs`.
const MEMORY_READY: &str = "1536MiB";
/// Reasons of a refusal when there is no place.
const NO_PLACE: [&str; 2] = ["NOT_ENOUGH_PLACES", "SOLD_OUT"];

/// A server of ours under one kind of load.
#[derive(Debug)]
pub struct Served {
    name: &'static str,
    what: String,
    site: Site,
    program: Program,
    load: Load,
    serving: Option<Serving>,
}

#[derive(Debug)]
struct Serving {
    // Fields are dropped in this order: the process must be gone before its folder is.
    process: Process,
    folder: TempDir,
    port: u16,
}

impl Served {
    /// A contestant of this name.
    #[must_use]
    pub fn new(name: &'static str, site: &Site, program: Program, load: Load) -> Served {
        let server = match program {
            Program::Usherd => "usherd, every answer durable",
            Program::Echo => "A bare tonic server that answers as usherd would and keeps nothing",
        };
        let of_events = |events: u32| if events == 1 { "one event".to_owned() } else { format!("{events} events") };
        let load_text = match load {
            Load::Holds => format!("h2load posts holds of two admissions, {CONNECTIONS} connections x {STREAMS}"),
            Load::SoldOut => {
                format!("h2load posts holds of an area that is sold out, {CONNECTIONS} connections x {STREAMS}")
            }
            Load::Calls { callers: 1, events, .. } => {
                format!("loadgen, one call at a time, {}", of_events(events))
            }
            Load::Calls { callers, connections, events } => {
                format!("loadgen, unary, {callers} callers on {connections} connections, {}", of_events(events))
            }
            Load::Paced => "loadgen, unary, open loop at half of the peak of usherd-unary, one event".to_owned(),
            Load::Session { in_flight, events } => {
                format!("loadgen, Sessions, one command a message, {in_flight} in flight, {}", of_events(events))
            }
            Load::Batch { in_flight, batch, events } => {
                let events = of_events(events);
                format!("loadgen, Sessions, {batch} commands a message, {in_flight} in flight, {events}")
            }
        };
        let where_run = if site.cores.is_shared() { ", on all processors together with its client" } else { "" };
        let what = format!("{server}{where_run}; {load_text}.");
        Served { name, what, site: site.clone(), program, load, serving: None }
    }

    fn event_id(&self) -> &'static str {
        EVENTS[usize::from(self.load == Load::SoldOut)]
    }

    fn is_by_h2load(&self) -> bool {
        matches!(self.load, Load::Holds | Load::SoldOut)
    }

    /// Makes the event that h2load asks for, as it must be, and sees that one frame is answered as all should be.
    fn prepare(&self, serving: &Serving) -> Result<()> {
        let request = frame::hold_request(self.event_id());
        fs::write(serving.frame(), frame::frame(&request))?;
        if self.program == Program::Usherd {
            let capacity = if self.load == Load::SoldOut { ADMISSIONS.into() } else { CAPACITY };
            let plan = serving.folder.path().join("plan.json");
            fs::write(&plan, plan_of_one_area(capacity).to_string())?;
            let plan = plan.to_str().context("the folder's name is not UTF-8")?;
            self.usherctl(serving, &["event", "create", self.event_id(), "--plan", plan])?;
            if self.load == Load::SoldOut {
                let admissions = format!("{AREA}={ADMISSIONS}");
                let held = self.usherctl(serving, &["hold", self.event_id(), "--ga", &admissions])?;
                let hold_id = held["hold"]["hold_id"].as_str().context("usherctl told no hold_id")?;
                let hold = format!("{}/{hold_id}", self.event_id());
                self.usherctl(serving, &["confirm", &hold, "--order", "storm"])?;
            }
        }
        let is_refused = self.program == Program::Usherd && self.load == Load::SoldOut;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let answer = runtime.block_on(async {
            let mut client = InventoryServiceClient::connect(serving.endpoint()).await?;
            anyhow::Ok(client.hold(request).await)
        });
        match answer? {
            Ok(_) if !is_refused => Ok(()),
            // The reason is text among the bytes of the details.
            Err(status) if is_refused => {
                let details = String::from_utf8_lossy(status.details()).into_owned();
                let is_for_want_of_places = NO_PLACE.iter().any(|reason| details.contains(reason));
                ensure!(is_for_want_of_places, "refused for another reason than that all is sold: {status}");
                Ok(())
            }
            Ok(_) => bail!("a hold of a sold-out event was granted"),
            Err(status) => bail!("a hold was refused: {status}"),
        }
    }

    fn usherctl(&self, serving: &Serving, words: &[&str]) -> Result<Value> {
        let mut command = Command::new(self.site.programs.join("usherctl"));
        command.args(words).args(["--endpoint", &serving.endpoint(), "-o", "json"]).stdin(Stdio::null());
        let output = self.site.cores.as_client(|| command.output())?.context("start usherctl")?;
        let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(
            output.status.success(),
            "usherctl {}: {}: {} {}",
            words.join(" "),
            output.status,
            text.trim(),
            errors.trim()
        );
        serde_json::from_str(&text).with_context(|| format!("what usherctl printed: {text}"))
    }

    fn durable_position(&self, serving: &Serving) -> Result<u64> {
        read_durable_position(&self.usherctl(serving, &["status"])?)
    }

    fn run_h2load(&self, serving: &Serving, warmup: Duration, measured: Duration) -> Result<Figures> {
        let url = format!("{}/{HOLD}", serving.endpoint());
        let is_usherd = self.program == Program::Usherd;
        let before = if is_usherd { Some(self.durable_position(serving)?) } else { None };
        let post = |time| h2load::post(&self.site.cores, &url, &serving.frame(), time);
        let warm = if warmup.is_zero() { 0 } else { post(warmup)?.answered };
        let look = || (cpu_of_tree(serving.process.id()), cpu_of_ended_children());
        let cpu_before = look();
        let answers = post(measured)?;
        let cpu_after = look();
        if let Some(before) = before {
            self.check_changes(serving, before, warm + answers.answered)?;
        }
        let each = |before: Duration, after: Duration| {
            Some(after.saturating_sub(before).as_secs_f64() * 1e6 / answers.answered as f64)
        };
        Ok(Figures {
            commands: answers.answered,
            per_second: answers.per_second,
            hold_us: answers.latency_us,
            server_cpu_us: each(cpu_before.0, cpu_after.0),
            client_cpu_us: each(cpu_before.1, cpu_after.1),
            seconds: answers.answered as f64 / answers.per_second,
            note: String::new(),
        })
    }

    /// Whether so many requests did to the log what they should have.
    fn check_changes(&self, serving: &Serving, before: u64, answered: u64) -> Result<()> {
        let after = self.durable_position(serving)?;
        if self.load == Load::SoldOut {
            ensure!(after == before, "refusals moved the log from {before} to {after}");
            return Ok(());
        }
        // Ends of holds are changes as well, one for many of them: some percent of refusals could hide behind those.
        let grown = after.saturating_sub(before);
        ensure!(
            grown >= answered,
            "{answered} requests were answered, and the log has only {grown} changes more: some were refused"
        );
        Ok(())
    }

    fn run_loadgen(&self, serving: &Serving, warmup: Duration, measured: Duration) -> Result<Figures> {
        let (mode, mut options, connections, events) = match self.load {
            Load::Calls { callers, connections, events } => {
                ("unary", vec!["--concurrency".to_owned(), callers.to_string()], connections, events)
            }
            Load::Paced => {
                let rate = self.site.pace.get().context("the rate is not known: usherd-unary has not run")?;
                ("unary", vec!["--rate".to_owned(), rate.to_string()], LOADGEN_CONNECTIONS, 1)
            }
            Load::Session { in_flight, events } => {
                ("session", vec!["--in-flight".to_owned(), in_flight.to_string()], LOADGEN_CONNECTIONS, events)
            }
            Load::Batch { in_flight, batch, events } => {
                let options =
                    ["--in-flight".to_owned(), in_flight.to_string(), "--batch".to_owned(), batch.to_string()];
                ("batch", options.to_vec(), LOADGEN_CONNECTIONS, events)
            }
            Load::Holds | Load::SoldOut => bail!("{} is a load of h2load", self.name),
        };
        let milliseconds = |time: Duration| format!("{}ms", time.as_millis());
        options.extend(["--mode".to_owned(), mode.to_owned()]);
        options.extend([
            "--connections".to_owned(),
            connections.to_string(),
            "--events".to_owned(),
            events.to_string(),
        ]);
        options.extend(["--warmup".to_owned(), milliseconds(warmup), "--duration".to_owned(), milliseconds(measured)]);
        options.extend(["--server-pid".to_owned(), serving.process.id().to_string()]);
        if self.program == Program::Echo {
            options.push("--bare".to_owned());
        }
        let mut figures = loadgen::churn(&self.site, serving.port, &options)?;
        if let (Load::Paced, Some(rate)) = (self.load, self.site.pace.get()) {
            let rate = format!("{rate} arrivals a second");
            figures.note = if figures.note.is_empty() { rate } else { format!("{rate}, {}", figures.note) };
        }
        Ok(figures)
    }
}

impl Serving {
    fn start(site: &Site, program: Program) -> Result<Serving> {
        let folder = tempfile::Builder::new().prefix("peers-usher-").tempdir_in(&site.data);
        let folder = folder.with_context(|| format!("a folder in {}", site.data.display()))?;
        let port = free_port()?;
        let address = format!("127.0.0.1:{port}");
        let cores = site.cores.server_count().to_string();
        let name = if program == Program::Usherd { "usherd" } else { "echo" };
        let mut command = Command::new(site.programs.join(name));
        command.args(["--listen", &address]);
        match program {
            Program::Echo => command.args(["--threads", &cores]),
            Program::Usherd => command.arg("--data-dir").arg(folder.path().join("data")).args([
                "--io-cores",
                &cores,
                "--shards",
                &cores,
                "--memory-budget",
                MEMORY_BUDGET,
                "--memory-ready",
                MEMORY_READY,
                "--log-level",
                "warn",
            ]),
        };
        let log = folder.path().join("server.log");
        // In a folder without a file of settings; those of whoever runs this must not count either.
        command.current_dir(folder.path()).stdout(Stdio::null()).stderr(File::create(&log)?);
        for (key, _) in std::env::vars_os() {
            if key.to_string_lossy().starts_with("USHER_") {
                command.env_remove(key);
            }
        }
        let mut process = site.cores.as_server(|| Process::start(&mut command, Signal::TERM))??;
        process
            .wait_until(name, || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok())
            .with_context(|| fs::read_to_string(&log).unwrap_or_default())?;
        Ok(Serving { process, folder, port })
    }

    fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn frame(&self) -> PathBuf {
        self.folder.path().join("frame")
    }

    /// The last line of its log, which has warnings and errors only.
    fn last_words(&self) -> String {
        let text = fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default();
        text.lines().last().unwrap_or_default().trim().to_owned()
    }
}

impl Contestant for Served {
    fn name(&self) -> &str {
        self.name
    }

    fn what(&self) -> &str {
        &self.what
    }

    fn start(&mut self) -> Result<()> {
        self.stop();
        if self.is_by_h2load() {
            h2load::available().map_err(anyhow::Error::msg)?;
        }
        let serving = Serving::start(&self.site, self.program)?;
        if self.is_by_h2load() {
            self.prepare(&serving)?;
        }
        self.serving = Some(serving);
        Ok(())
    }

    fn run(&mut self, warmup: Duration, measured: Duration) -> Result<Figures> {
        let serving = self.serving.as_ref().with_context(|| format!("{} is not started", self.name))?;
        let figures = if self.is_by_h2load() {
            self.run_h2load(serving, warmup, measured)
        } else {
            self.run_loadgen(serving, warmup, measured)
        };
        figures.map_err(|error| anyhow::anyhow!("{error:#}; the server's last words: {}", serving.last_words()))
    }

    fn stop(&mut self) {
        self.serving = None;
    }
}

/// The key of the area.
const AREA: &str = "Field";

/// A venue plan with a single area and no seat.
fn plan_of_one_area(capacity: u64) -> Value {
    json!({
        "usher_plan": 1,
        "name": "Field",
        "price_levels": ["Standing"],
        "focal_point": [0, 0],
        "areas": [{"key": AREA, "level": "Standing", "capacity": capacity, "centre": [0, 1]}],
    })
}

/// How far the log is durable, from what `usherctl status` tells: the sum of all partitions.
fn read_durable_position(status: &Value) -> Result<u64> {
    let partitions = status["partitions"].as_array().context("the status has no `partitions`")?;
    let positions: Option<u64> = partitions.iter().map(|partition| partition["durable_position"].as_u64()).sum();
    positions.context("a partition has no `durable_position`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_both_events_are_equally_long() {
        let [field, stand] = EVENTS.map(|event_id| frame::frame(&frame::hold_request(event_id)).len());
        assert_eq!(field, stand);
    }

    #[test]
    fn positions_of_all_partitions_count() {
        let status = json!({"partitions": [{"durable_position": 40}, {"durable_position": 2}]});
        assert_eq!(read_durable_position(&status).expect("a status"), 42);
        assert!(read_durable_position(&json!({})).is_err());
        assert!(read_durable_position(&json!({"partitions": [{}]})).is_err());
    }
}
