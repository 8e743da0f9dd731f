//! PostgreSQL as its users would do it: a row a place, one prepared statement a command, pgbench as the driver.
//!
//! ```text
//! pgbench client: run 1 hold ─> run 2 confirm (one in ten) or release ─> run 3 hold …
//! ```
//!
//! Every run of a script is one command in one transaction, so that pgbench's log has each with its latency: odd ones
//! are holds. From the same log follows what must be in the table afterwards, to the place, and the audit compares.
//!
//! Invariants: clients want given places that no other wants, each pair once; a run that would need one twice fails.
//! No checkpoint falls into a run, so none pays for whole pages in the log.
//!
//! The cluster is made in a folder of its own and listens on loopback only. One that runs as a service is left alone.
//! PostgreSQL refuses root, so there it runs as the user `postgres`.
//!
//! Not here: the statements (`postgres/*.pgbench`), the table (`postgres/schema.sql`), which places there are
//! (`stock.rs`).

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use hdrhistogram::Histogram;
use rustix::process::{Signal, geteuid};
use tempfile::TempDir;

use crate::contestant::{Contestant, Figures, QUANTILES};
use crate::cores::Cores;
use crate::process::{Process, cpu_of_tree, free_port};
use crate::stock;

/// Which places a hold takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Two neighbours that the client names.
    Given {
        /// Events that share [`stock::PLACES`]: one is a hot event, 1,000 are a busy evening.
        events: u32,
    },
    /// The two lowest open places of one hot event, which PostgreSQL looks for. They need not be neighbours.
    Best,
}

/// Where Debian puts each version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// The owner of a cluster when we are root.
const USER: &str = "postgres";
/// Clients for each processor of the server. On one processor 16, 32 and 64 gave the same (8.8 k commands a second),
/// 128 and 256 less (6.1 k, 2.4 k): backends only wait for each other then.
const CLIENTS_PER_PROCESSOR: usize = 32;
/// Those who all want the lowest open places do best when they are few: 8 gave 7.8 k commands a second on one
/// processor, 4 gave 6.4 k, 16 and 64 gave 6.8 k.
const CLIENTS_PER_PROCESSOR_BEST: usize = 8;
/// Clients at most, for the same reason.
const CLIENTS_MAX: usize = 128;
/// Threads of pgbench at most: it takes a fourth of the processor time that the server takes.
const DRIVERS_MAX: usize = 4;
/// pgbench runs so much longer than asked, as nothing tells to a fraction of a second when it begins.
const SLACK: Duration = Duration::from_millis(700);
/// How long pgbench may take to connect.
const BEGINS_WITHIN: Duration = Duration::from_secs(30);
/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// A latency above this counts as this.
const LATENCY_US_MAX: u64 = 60_000_000;

/// What differs from a cluster as it is installed.
const SETTINGS: [&str; 13] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    // The defaults, said because all depends on them.
    "fsync=on",
    "synchronous_commit=on",
    "autovacuum=on",
    // A commit_delay of 200 us was tried and gave a few percent less: commits share a sync as it is.
    "commit_delay=0",
    "max_connections=160",
    // The table is 105 MB and its index 22 MB: all of it in memory.
    "shared_buffers=1GB",
    "wal_buffers=64MB",
    // No checkpoint in a run, and files of the log that are large enough to be made seldom.
    "max_wal_size=16GB",
    "checkpoint_timeout=30min",
    "jit=off",
    "log_min_messages=error",
];

const GIVEN: &str = include_str!("../postgres/given.pgbench");
const AUDIT: &str = include_str!("../postgres/audit.sql");

/// PostgreSQL under one kind of load.
#[derive(Debug)]
pub struct Postgres {
    cores: Cores,
    wanted: Wanted,
    clients: usize,
    name: String,
    what: String,
    server: Option<Server>,
}

#[derive(Debug)]
struct Server {
    // Fields are dropped in this order: the process must be gone before its folder is.
    process: Process,
    folder: TempDir,
    programs: PathBuf,
    port: u16,
    /// A second run would want places that the first has sold.
    has_run: bool,
}

/// Whether PostgreSQL can be run here.
///
/// # Errors
/// What is missing and how to install it.
pub fn available() -> Result<(), String> {
    programs()?;
    if geteuid().is_root() {
        let is_there = |command: &mut Command| {
            let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
            status.is_ok_and(|status| status.success())
        };
        if !is_there(Command::new("id").arg(USER)) {
            return Err(format!("PostgreSQL refuses root, and there is no user {USER} to run it"));
        }
        if !is_there(&mut as_owner(Path::new("true"))) {
            return Err(format!("PostgreSQL refuses root, and setpriv cannot change to the user {USER}"));
        }
    }
    Ok(())
}

/// The version that would run.
#[must_use]
pub fn version() -> Option<String> {
    let output = Command::new(programs().ok()?.join("postgres")).arg("--version").stdin(Stdio::null()).output().ok()?;
    // postgres (PostgreSQL) 15.8 (Debian 15.8-0+deb12u1)
    let text = String::from_utf8_lossy(&output.stdout);
    Some(text.split_whitespace().nth(2)?.to_owned())
}

/// The folder of the newest version that has all we need.
fn programs() -> Result<PathBuf, String> {
    let versions = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let numbered = versions.filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path())));
    let has_all =
        |folder: &Path| ["initdb", "postgres", "psql", "pgbench"].iter().all(|name| folder.join(name).exists());
    let found = numbered.map(|(version, path)| (version, path.join("bin"))).filter(|(_, path)| has_all(path)).max();
    let missing = "PostgreSQL is not installed: run .ci/install-peers (Debian: apt-get install postgresql)";
    found.map(|(_, path)| path).ok_or_else(|| missing.to_owned())
}

/// A command as the owner of the cluster. `setpriv` becomes the program rather than its parent, so that signals and
/// processor time are the program's.
fn as_owner(program: &Path) -> Command {
    if !geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", USER, "--regid", USER, "--clear-groups"]).arg(program);
    command
}

impl Postgres {
    /// PostgreSQL with as many clients as suit it on the server's processors.
    #[must_use]
    pub fn new(cores: &Cores, wanted: Wanted) -> Postgres {
        let per_processor = match wanted {
            Wanted::Given { .. } => CLIENTS_PER_PROCESSOR,
            Wanted::Best => CLIENTS_PER_PROCESSOR_BEST,
        };
        let clients = (cores.server_count() * per_processor).min(CLIENTS_MAX);
        let (name, places) = match wanted {
            Wanted::Given { events: 1 } => ("postgres-hot", "given places of one event".to_owned()),
            Wanted::Given { events } => ("postgres", format!("given places of {events} events")),
            Wanted::Best => ("postgres-best", "the lowest open places of one event, FOR UPDATE SKIP LOCKED".to_owned()),
        };
        Postgres {
            cores: cores.clone(),
            wanted,
            clients,
            name: name.to_owned(),
            what: format!(
                "PostgreSQL, one prepared statement a command, synchronous commit; {clients} clients, {places}."
            ),
            server: None,
        }
    }

    fn events(&self) -> u32 {
        match self.wanted {
            Wanted::Given { events } => events.clamp(1, stock::PAIRS),
            Wanted::Best => 1,
        }
    }

    fn pairs_of_client(&self) -> u32 {
        stock::PAIRS / u32::try_from(self.clients).unwrap_or(1)
    }

    /// Begins the load in `folder`; it ends by itself after `seconds`.
    fn pgbench(&self, server: &Server, folder: &Path, script: &str, seconds: u64) -> Result<Child> {
        fs::write(folder.join("script"), script)?;
        let mut command = Command::new(server.programs.join("pgbench"));
        let mut define = |name: &str, value: u64| {
            command.args(["-D", &format!("{name}={value}")]);
        };
        define("step", 0);
        define("n", 0);
        define("clients", self.clients as u64);
        define("events", self.events().into());
        define("pairs_of_client", self.pairs_of_client().into());
        let drivers = self.cores.client_count().min(DRIVERS_MAX).min(self.clients);
        command
            .args(server.address())
            .args(["-n", "-M", "prepared", "-f", "script", "--log", "--log-prefix", LOG])
            .args(["-c", &self.clients.to_string(), "-j", &drivers.to_string(), "-T", &seconds.to_string()])
            .arg(USER)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(File::create(folder.join("report"))?)
            .stderr(File::create(folder.join("errors"))?);
        self.cores.as_client(|| command.spawn())?.context("start pgbench")
    }
}

impl Server {
    fn address(&self) -> [String; 6] {
        ["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", USER].map(str::to_owned)
    }

    /// What SQL gives, fields apart by `|`.
    fn psql(&self, sql: &str, variables: &[(&str, u32)]) -> Result<String> {
        let file = self.folder.path().join("statements.sql");
        fs::write(&file, sql)?;
        let mut command = Command::new(self.programs.join("psql"));
        // No file of settings of whoever runs this; an error ends it.
        command.args(self.address()).args(["-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-d", USER]);
        for (name, value) in variables {
            command.args(["-v", &format!("{name}={value}")]);
        }
        succeed(command.arg("-f").arg(&file))
    }
}

impl Contestant for Postgres {
    fn name(&self) -> &str {
        &self.name
    }

    fn what(&self) -> &str {
        &self.what
    }

    fn start(&mut self) -> Result<()> {
        self.stop();
        available().map_err(anyhow::Error::msg)?;
        let programs = programs().map_err(anyhow::Error::msg)?;
        let folder = tempfile::Builder::new().prefix("peers-postgres-").tempdir().context("a folder for PostgreSQL")?;
        if geteuid().is_root() {
            succeed(Command::new("chown").arg(format!("{USER}:")).arg(folder.path()))?;
        }
        let data = folder.path().join("data");
        succeed(
            as_owner(&programs.join("initdb"))
                .args(["-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--wal-segsize=64", "-D"])
                .arg(&data)
                .current_dir(folder.path()),
        )?;

        let port = free_port()?;
        let log = folder.path().join("server.log");
        let mut command = as_owner(&programs.join("postgres"));
        command.arg("-D").arg(&data).args(["-p", &port.to_string()]).current_dir(folder.path());
        command.args(SETTINGS.iter().flat_map(|setting| ["-c", *setting]));
        command.stdout(Stdio::null()).stderr(File::create(&log)?);
        // QUIT ends it at once; INT would write a checkpoint first, of a table that is thrown away.
        let process = self.cores.as_server(|| Process::start(&mut command, Signal::QUIT))??;
        let mut server = Server { process, folder, programs, port, has_run: false };
        let mut is_ready = Command::new(server.programs.join("pg_isready"));
        is_ready.args(server.address()).args(["-q", "-d", USER]).stdin(Stdio::null());
        server
            .process
            .wait_until("postgres", || is_ready.status().is_ok_and(|status| status.success()))
            .with_context(|| fs::read_to_string(&log).unwrap_or_default())?;

        let (events, places) = (self.events(), stock::places_of_event(self.events()));
        let sizes = [("events", events), ("places_of_event", places)];
        server.psql(include_str!("../postgres/schema.sql"), &sizes)?;
        if self.wanted == Wanted::Best {
            server.psql(include_str!("../postgres/best.sql"), &[])?;
        }
        server.psql(include_str!("../postgres/settled.sql"), &[])?;
        self.server = Some(server);
        Ok(())
    }

    fn run(&mut self, warmup: Duration, measured: Duration) -> Result<Figures> {
        let server = self.server.as_mut().context("PostgreSQL is not started")?;
        ensure!(!std::mem::replace(&mut server.has_run, true), "PostgreSQL must be started again before each run");
        let server = self.server.as_ref().context("PostgreSQL is not started")?;
        let folder = tempfile::tempdir_in(server.folder.path()).context("a folder for pgbench")?;
        let script = match self.wanted {
            Wanted::Given { .. } => GIVEN,
            Wanted::Best => include_str!("../postgres/best.pgbench"),
        };
        let mut pgbench = self.pgbench(server, folder.path(), script, (warmup + measured + SLACK).as_secs() + 1)?;

        // From here to its end nothing returns early, so that pgbench is not left behind.
        wait_for_load(&mut pgbench, folder.path());
        thread::sleep(warmup);
        let look = || (SystemTime::now(), cpu_of_tree(server.process.id()), cpu_of_tree(pgbench.id()));
        let before = look();
        thread::sleep(measured);
        let after = look();
        let status = pgbench.wait().context("wait for pgbench")?;

        let errors = fs::read_to_string(folder.path().join("errors"))?;
        ensure!(status.success(), "pgbench: {status}: {}", errors.trim());
        let report = read_report(&fs::read_to_string(folder.path().join("report"))?)?;
        ensure!(report.failed == 0, "pgbench: {} transactions failed", report.failed);
        let mut tally = Tally::new(since_epoch_us(before.0)?, since_epoch_us(after.0)?)?;
        for entry in fs::read_dir(folder.path())? {
            let path = entry?.path();
            if path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(LOG)) {
                fs::read_to_string(path)?.lines().try_for_each(|line| tally.add(line))?;
            }
        }
        ensure!(
            tally.transactions == report.transactions,
            "pgbench counts {} transactions and its log has {}",
            report.transactions,
            tally.transactions
        );
        self.audit(server, &tally)?;

        let seconds = after.0.duration_since(before.0).context("the clock went back in a run")?.as_secs_f64();
        let each = |time: Duration| (tally.commands > 0).then(|| time.as_secs_f64() * 1e6 / tally.commands as f64);
        Ok(Figures {
            commands: tally.commands,
            per_second: tally.commands as f64 / seconds,
            hold_us: match tally.hold_us.is_empty() {
                true => Vec::new(),
                false => QUANTILES.iter().map(|&at| tally.hold_us.value_at_quantile(at) as f64).collect(),
            },
            server_cpu_us: each(after.1.saturating_sub(before.1)),
            client_cpu_us: each(after.2.saturating_sub(before.2)),
            seconds,
            note: match self.wanted {
                Wanted::Given { .. } => String::new(),
                Wanted::Best => "places of a hold need not be neighbours".to_owned(),
            },
        })
    }

    fn stop(&mut self) {
        self.server = None;
    }
}

impl Postgres {
    /// Compares the table with what pgbench was told.
    fn audit(&self, server: &Server, tally: &Tally) -> Result<()> {
        let holds_most = tally.runs.values().map(|runs| runs.div_ceil(2)).max().unwrap_or(0);
        if matches!(self.wanted, Wanted::Given { .. }) && holds_most > self.pairs_of_client().into() {
            bail!(
                "a client wanted all its {} pairs and more: the run is too long for the stock",
                self.pairs_of_client()
            );
        }
        let found = server.psql(AUDIT, &[])?;
        let expected = format!("{}|{}|0", 2 * tally.confirms(), 2 * tally.holds_left());
        ensure!(found.trim() == expected, "audit: sold|held|odd should be {expected} and are {}", found.trim());
        Ok(())
    }
}

/// Waits until pgbench has logged something, or has failed, which its end will tell.
fn wait_for_load(pgbench: &mut Child, folder: &Path) {
    let asked = Instant::now();
    let has_begun = || {
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut logs = files.filter(|entry| entry.file_name().to_string_lossy().starts_with(LOG));
        logs.any(|entry| entry.metadata().is_ok_and(|metadata| metadata.len() > 0))
    };
    while asked.elapsed() < BEGINS_WITHIN && !has_begun() && matches!(pgbench.try_wait(), Ok(None)) {
        thread::sleep(LOOK_EVERY);
    }
}

/// What a command printed; what it complained about when it failed.
fn succeed(command: &mut Command) -> Result<String> {
    let words = format!("{command:?}");
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("start {words}"))?;
    ensure!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn since_epoch_us(time: SystemTime) -> Result<u64> {
    Ok(u64::try_from(time.duration_since(UNIX_EPOCH)?.as_micros())?)
}

/// How names of pgbench's logs begin, one for each of its threads.
const LOG: &str = "transactions";

/// What pgbench says at its end.
#[derive(Debug, PartialEq, Eq)]
struct Report {
    transactions: u64,
    failed: u64,
}

fn read_report(text: &str) -> Result<Report> {
    let number_after = |label: &str| -> Result<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(label));
        let digits = line.map(|rest| rest.trim_start().split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default());
        digits.and_then(|digits| digits.parse().ok()).with_context(|| format!("pgbench did not say {label:?}:\n{text}"))
    };
    Ok(Report {
        transactions: number_after("number of transactions actually processed:")?,
        failed: number_after("number of failed transactions:")?,
    })
}

/// One line of pgbench's log:
///
/// ```text
/// client  transaction-of-client (from 1)  latency-us  script  seconds-since-epoch  microseconds
/// ```
#[derive(Debug, PartialEq, Eq)]
struct Logged {
    client: u64,
    transaction: u64,
    latency_us: u64,
    at_us: u64,
}

fn read_logged(line: &str) -> Option<Logged> {
    let fields: Option<Vec<u64>> = line.split(' ').map(|field| field.parse().ok()).collect();
    let [client, transaction, latency_us, _script, seconds, micros] = fields?.try_into().ok()?;
    Some(Logged { client, transaction, latency_us, at_us: seconds * 1_000_000 + micros })
}

/// What the log of a run comes to.
#[derive(Debug)]
struct Tally {
    from_us: u64,
    until_us: u64,
    transactions: u64,
    /// Of these, in the measured time.
    commands: u64,
    hold_us: Histogram<u64>,
    /// Runs of the script by client.
    runs: HashMap<u64, u64>,
}

impl Tally {
    fn new(from_us: u64, until_us: u64) -> Result<Tally> {
        let hold_us = Histogram::new_with_bounds(1, LATENCY_US_MAX, 3).context("bounds of latencies")?;
        Ok(Tally { from_us, until_us, transactions: 0, commands: 0, hold_us, runs: HashMap::new() })
    }

    fn add(&mut self, line: &str) -> Result<()> {
        let logged = read_logged(line).with_context(|| format!("a line of pgbench's log: {line:?}"))?;
        let runs = self.runs.entry(logged.client).or_default();
        *runs = logged.transaction.max(*runs);
        self.transactions += 1;
        if self.from_us <= logged.at_us && logged.at_us < self.until_us {
            self.commands += 1;
            if logged.transaction % 2 == 1 {
                self.hold_us.saturating_record(logged.latency_us);
            }
        }
        Ok(())
    }

    /// Holds that were sold: the scripts sell the n-th hold of a client when n and its number sum to a multiple of ten.
    fn confirms(&self) -> u64 {
        let of_client = |(client, runs): (&u64, &u64)| (1..=runs / 2).filter(|n| (n + client) % 10 == 0).count() as u64;
        self.runs.iter().map(of_client).sum()
    }

    /// Holds that were not ended, as the time was over.
    fn holds_left(&self) -> u64 {
        self.runs.values().filter(|&&runs| runs % 2 == 1).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_of_pgbench_is_read() {
        let text = "pgbench (15.18 (Debian 15.18-0+deb12u1))\n\
                    transaction type: script\n\
                    number of clients: 64\n\
                    number of transactions actually processed: 16341\n\
                    number of failed transactions: 0 (0.000%)\n\
                    latency average = 7.439 ms\n\
                    tps = 8603.745928 (without initial connection time)\n";
        assert_eq!(read_report(text).expect("a report"), Report { transactions: 16_341, failed: 0 });
        let failed = text.replace("failed transactions: 0 (0.000%)", "failed transactions: 12 (0.073%)");
        assert_eq!(read_report(&failed).expect("a report").failed, 12);
        assert!(read_report("pgbench: error: connection to server failed").is_err());
    }

    #[test]
    fn a_line_of_the_log_is_read() {
        let read = Logged { client: 3, transaction: 17, latency_us: 1_820, at_us: 1_795_849_486_629_132 };
        assert_eq!(read_logged("3 17 1820 0 1795849486 629132"), Some(read));
        assert_eq!(read_logged("3 17 failed 0 1795849486 629132"), None);
        assert_eq!(read_logged("3 17 1820"), None);
    }

    #[test]
    fn holds_and_sales_follow_from_the_log() {
        let mut tally = Tally::new(1_000_000, 2_000_000).expect("bounds");
        // Client 8 makes two holds, of which its second is sold; client 0 makes a hold and is stopped.
        let lines = ["8 1 100 0 0 900000", "8 2 200 0 1 0", "8 3 300 0 1 5", "8 4 400 0 1 999999", "0 1 500 0 2 0"];
        lines.iter().for_each(|line| tally.add(line).expect("a line"));
        assert_eq!((tally.transactions, tally.commands, tally.hold_us.len()), (5, 3, 1));
        assert_eq!((tally.confirms(), tally.holds_left()), (1, 1));
        assert!(tally.add("8 5 skipped 0 1 0").is_err());
    }

    #[test]
    fn of_many_who_want_the_same_places_none_gets_half_a_hold_and_none_waits_in_a_circle() {
        if let Err(missing) = available() {
            assert!(std::env::var_os("CI").is_none(), "in CI every contestant must run: {missing}");
            eprintln!("SKIPPED, NOTHING WAS TESTED: {missing}");
            return;
        }
        let mut postgres = Postgres::new(&Cores::find(), Wanted::Given { events: 1 });
        postgres.start().expect("it starts");
        let server = postgres.server.as_ref().expect("it is started");
        let folder = tempfile::tempdir_in(server.folder.path()).expect("a folder");
        // Pairs that overlap, of few places: most holds are refused.
        let crowded = GIVEN.replace(":pair / :events * 2", "random(0, 300)");
        assert_ne!(crowded, GIVEN);
        let status = postgres.pgbench(server, folder.path(), &crowded, 1).expect("it starts").wait().expect("it ends");
        let errors = fs::read_to_string(folder.path().join("errors")).expect("a file");
        assert!(status.success(), "{errors}");
        let report = read_report(&fs::read_to_string(folder.path().join("report")).expect("a file")).expect("a report");
        assert_eq!(report.failed, 0, "{errors}");
        let found = server.psql(AUDIT, &[]).expect("an answer");
        assert!(!found.starts_with("0|") && found.trim().ends_with("|0"), "sold|held|odd: {found}");
    }
}
