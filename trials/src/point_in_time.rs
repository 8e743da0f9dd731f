//! `point-in-time`: a snapshot of a server under full load, and restores to earlier instants, held against the ledger:
//! the history of recording clients, replayed to that position.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde_json::Value;

use crate::by_position;
use crate::crowd::{Crowd, Manners, patient};
use crate::dice::Dice;
use crate::history::{Call, History, Id, Outcome, Told};
use crate::judge::Judged;
use crate::log::{KeptLog, Log};
use crate::recorder::Recorder;
use crate::usherd::{PATIENCE, Programs, Start, Usherd, free_port, pause};

/// What the command line says.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Seconds of load while the snapshot of the first part is made
    #[arg(long, default_value_t = 20)]
    pub seconds: u64,
    /// Pairs of runs, without and with a snapshot, that measure the throughput; 0: none
    #[arg(long, default_value_t = 5)]
    pub pairs: u32,
    /// Seconds of one such run
    #[arg(long, default_value_t = 14)]
    pub run_seconds: u64,
    /// Seed of the clients' choices; random when it is not given
    #[arg(long)]
    pub seed: Option<u64>,
}

/// Runs it.
///
/// # Errors
/// The first thing that is wrong, with the line that runs it again.
pub fn run(options: &Options) -> Result<()> {
    let seed = options.seed.unwrap_or_else(|| Dice::new(crate::now_ms()).word());
    let folder = tempfile::Builder::new().prefix("usher-point-in-time-").tempdir()?;
    let trial = Trial { programs: Programs::find()?, port: free_port()?, seed, folder: folder.path().to_owned() };
    let result = trial
        .restore(options)
        .and_then(|()| if options.pairs > 0 { trial.measure(options.pairs, options.run_seconds) } else { Ok(()) });
    result.map_err(|error| {
        error.context(format!(
            "point-in-time failed; the folder is kept in {}\nagain: cargo xtask point-in-time --seed {seed}",
            folder.keep().display()
        ))
    })
}

pub(crate) struct Trial {
    pub(crate) programs: Programs,
    port: u16,
    seed: u64,
    pub(crate) folder: PathBuf,
}

impl Trial {
    fn restore(&self, options: &Options) -> Result<()> {
        let (data, archive) = (self.folder.join("data"), self.folder.join("archive"));
        let mut start = self.start(&data);
        start.more =
            ["--archive", &archive.display().to_string(), "--archive-seconds", "1"].map(str::to_owned).to_vec();
        let kept = KeptLog::new(&data, &self.folder.join("kept"))?;
        let mut server = start.serving()?;
        let crowd = Crowd::begin(Manners {
            endpoint: start.endpoint(),
            seed: self.seed,
            stages: 2,
            name: "show".to_owned(),
            rest_ms: 30,
            shows_max: 1_000,
            short_holds: false,
        })?;
        let mut load = self.load(&start, Duration::from_secs(options.seconds), &self.folder.join("load.json"))?;
        rest(Duration::from_secs(options.seconds / 2), &mut server, &kept)?;
        let snapshot = self.folder.join("middle.snapshot");
        let taken =
            self.usherctl(&["--endpoint", &start.endpoint(), "snapshot", "create", "--out", text(&snapshot)?])?;
        let snapshot_position = number(&taken, "position")?;
        while load.try_wait()?.is_none() {
            rest(Duration::from_millis(20), &mut server, &kept)?;
        }
        ensure!(load.wait()?.success(), "the load tester found something: see {}", self.folder.display());
        let histories = crowd.end()?;
        let instants = instants(&histories)?;
        self.until_archived(&archive, instants[instants.len() - 1], &mut server, &kept)?;
        server.terminate()?;
        let status = server.wait(PATIENCE)?;
        ensure!(status.success(), "a stop ended with {status}");
        let log = kept.read_events(&|id| id.starts_with("show-"))?;
        let mut judged = Judged::default();
        judged.judge(&histories, &log, &self.folder)?;
        println!("point-in-time: {} operations of recording clients judged, seed {}", judged.operations, self.seed);

        self.compare("snapshot", &["--from", text(&snapshot)?], snapshot_position, &histories, &log)?;
        for position in instants {
            let to = position.to_string();
            let from = ["--from", text(&archive)?, "--to-position", &to];
            self.compare(&format!("position-{position}"), &from, position, &histories, &log)?;
        }
        Ok(())
    }

    /// Waits until the archive has the log up to a position. What is durable is there within a second, as the server is
    /// told; but its thread steps back behind all others.
    fn until_archived(&self, archive: &Path, position: u64, server: &mut Usherd, kept: &KeptLog) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            // An archive with nothing in it yet cannot be listed.
            let listed = self.usherctl(&["snapshot", "list", "--from", text(archive)?]);
            let logs = listed.as_ref().ok().and_then(|listed| listed["logs"].as_array());
            if logs.is_some_and(|logs| logs.iter().any(|log| log["position"].as_u64() >= Some(position))) {
                return Ok(());
            }
            ensure!(Instant::now() < until, "position {position} is not archived after {PATIENCE:?}: {listed:?}");
            rest(Duration::from_millis(200), server, kept)?;
        }
    }

    /// Restores, verifies, starts, and holds every answer against the ledger at the position.
    fn compare(&self, name: &str, from: &[&str], position: u64, histories: &[History], log: &Log) -> Result<()> {
        let data = self.folder.join(format!("restored-{name}"));
        let words = [&["restore"], from, &["--data-dir", text(&data)?]].concat();
        let restored = self.usherctl(&words)?;
        ensure!(number(&restored, "position")? == position, "restored was {restored}, and asked for {position}");
        let (code, said) = self.programs.verify(&data)?;
        ensure!(code == 0, "usherctl verify {} ends with {code}: {said}", data.display());
        let start = self.start(&data);
        let mut server = start.serving()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let compared = runtime.block_on(compare_all(&start.endpoint(), position, histories, log))?;
        server.terminate()?;
        let status = server.wait(PATIENCE)?;
        ensure!(status.success(), "a stop ended with {status}");
        let (events, holds) = compared;
        println!("  {name:24} restored, verified, as the ledger: {events} seat maps, {holds} holds");
        Ok(())
    }

    pub(crate) fn start(&self, data: &Path) -> Start {
        Start {
            program: self.programs.usherd(),
            before: Vec::new(),
            data: data.to_owned(),
            port: self.port,
            shards: 2,
            segment_bytes: "64MiB".to_owned(),
            checkpoint_segments: 32,
            more: Vec::new(),
        }
    }

    /// The load tester at full rate over Sessions.
    pub(crate) fn load(&self, start: &Start, time: Duration, report: &Path) -> Result<Child> {
        let child = Command::new(self.programs.loadgen())
            .args(["--endpoint", &start.endpoint(), "--scenario", "churn", "--mode", "session"])
            .args(["--duration", &format!("{}s", time.as_secs().max(1))])
            .arg("--json")
            .arg(report)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        child.context("start loadgen")
    }

    /// Runs `usherctl` and reads what it says as JSON.
    pub(crate) fn usherctl(&self, words: &[&str]) -> Result<Value> {
        let run = Command::new(self.programs.usherctl()).args(words).args(["--output", "json"]).env_clear().output()?;
        let said = String::from_utf8_lossy(&run.stderr);
        ensure!(run.status.success(), "usherctl {}: {}: {}", words.join(" "), run.status, said.trim());
        serde_json::from_slice(&run.stdout).with_context(|| format!("what usherctl {} says", words.join(" ")))
    }
}

pub(crate) fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path of text")
}

pub(crate) fn number(of: &Value, key: &str) -> Result<u64> {
    of[key].as_u64().with_context(|| format!("no {key} in {of}"))
}

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

/// Three earlier instants, at a quarter, a half and three quarters of what clients were told.
fn instants(histories: &[History]) -> Result<[u64; 3]> {
    let operations = histories.iter().flat_map(|history| &history.operations);
    let mut told: Vec<u64> = operations
        .filter_map(|operation| match &operation.outcome {
            Outcome::Answered { position, told, .. } if told.is_own_change() => Some(*position),
            _ => None,
        })
        .collect();
    told.sort_unstable();
    ensure!(told.len() >= 8, "too few changes to choose instants from");
    Ok([told[told.len() / 4], told[told.len() / 2], told[told.len() * 3 / 4]])
}

/// Every event that was there: its map and all its holds. How many of each.
async fn compare_all(endpoint: &str, position: u64, histories: &[History], log: &Log) -> Result<(usize, usize)> {
    let client = client::Client::lazy(patient(endpoint))?;
    let (mut maps, mut holds) = (0, 0);
    for history in histories {
        let event = log.events.get(&history.event_id).context("an event of the log")?;
        let Some(ledger) =
            by_position::Ledger::at(position, history, &event.changes, &event.plan).map_err(anyhow::Error::msg)?
        else {
            continue;
        };
        let reader =
            Recorder { client: client.clone(), number: 0, event_id: history.event_id.clone(), began: Instant::now() };
        let asked: std::collections::BTreeSet<Id> = history
            .operations
            .iter()
            .filter(|operation| matches!(operation.call, Call::Hold { .. }))
            .filter_map(|operation| operation.call.hold())
            .collect();
        let calls = asked.into_iter().map(|hold| Call::GetHold { hold }).chain([Call::SeatMap]);
        for call in calls {
            let operation = reader.ask(call.clone()).await;
            let Outcome::Answered { told, .. } = &operation.outcome else { bail!("no answer: {operation}") };
            let says = ledger.says(&call).map_err(anyhow::Error::msg)?;
            ensure!(
                says == without_deadlines(told.clone()),
                "at position {position} the ledger says {says:?}, and the restored server {operation}"
            );
            if call == Call::SeatMap { maps += 1 } else { holds += 1 }
        }
    }
    ensure!(maps > 0, "no event of the clients was there at position {position}");
    Ok((maps, holds))
}

/// A restore moves them by the whole gap.
fn without_deadlines(mut told: Told) -> Told {
    if let Told::Hold(hold) = &mut told {
        (hold.expires_at_ms, hold.renewals_left) = (0, 0);
    }
    told
}
