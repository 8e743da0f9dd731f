//! Starting and stopping, as named steps. Each returns what the next needs; stopping goes in reverse.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use engine::{
    CheckpointReport, Checkpointer, ClockSource, Committer, DirLock, Engine, EngineConfig, FileStorage, Opened, Shard,
    StartReport, WriteError,
};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Handle},
    sync::{Notify, watch},
};

use backup::{Archiver, Store, open_store};
use history::{HistoryThread, Told};

use crate::{
    archive::ArchiveThread,
    config::{Config, LogFormat},
    core::{Core, DrivenShard},
    edge::{health::Health, limits_check, listen, service::Services, state::Edge},
    fault::{EXIT_IO, StartFault},
    start_report,
    turn_times::TurnTimes,
};

/// How often a condition is looked at while stopping.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Connections get this long to read their last answers.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
/// The end of the log is written within this or not at all.
const SEAL_WITHIN: Duration = Duration::from_secs(10);
/// Commands that may wait for one shard.
const MAILBOX_COMMANDS_MAX: usize = 65_536;

/// What a test may set that an operator may not.
pub struct Options {
    /// Where time comes from.
    pub clock: ClockSource,
    /// Called when the log cannot be written any more. Must end the process.
    pub on_log_fault: Box<dyn FnOnce(&WriteError) + Send>,
    /// Called when the port is open and before the log is read.
    pub before_recovery: Box<dyn FnOnce(SocketAddr)>,
    /// Print the first lines for people.
    pub announce: bool,
    /// Commands that may wait for one shard.
    pub mailbox_commands_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            clock: ClockSource::System,
            on_log_fault: Box::new(end_at_once),
            before_recovery: Box::new(|_| {}),
            announce: true,
            mailbox_commands_max: MAILBOX_COMMANDS_MAX,
        }
    }
}

/// After a failed write nobody knows what the device holds. No answer was given for what is lost.
fn end_at_once(error: &WriteError) {
    tracing::error!(%error, "the log cannot be written: the process ends without answering what is not durable");
    std::process::exit(i32::from(EXIT_IO));
}

/// A running server.
pub struct Running {
    address: SocketAddr,
    edge: Arc<Edge>,
    engine: Arc<Engine>,
    health: Health,
    cores: Vec<Core>,
    wakes: Vec<Arc<Notify>>,
    control: Control,
    log: LogThreads,
    archive: Option<ArchiveThread>,
    history: Option<HistoryThread>,
    drain: watch::Sender<bool>,
    drain_within: Duration,
    // The folder is ours until everything else has ended.
    lock: DirLock,
}

/// The thread that accepts.
struct Control {
    handle: Handle,
    thread: thread::JoinHandle<()>,
}

/// The threads of the log.
struct LogThreads {
    committer_ended: mpsc::Receiver<()>,
    committer: thread::JoinHandle<()>,
    checkpointer_stop: Arc<AtomicBool>,
    checkpointer: thread::JoinHandle<()>,
}

/// Starts a server.
///
/// # Errors
/// One sentence that names the file or the setting and what to do.
pub fn boot(config: &Config, options: Options) -> Result<Running, StartFault> {
    let Options { clock, on_log_fault, before_recovery, announce, mailbox_commands_max } = options;
    let archive = config.archive.as_deref().map(open_store).transpose().map_err(StartFault::archive)?;
    let (storage, lock) = take_folder(&config.data_dir)?;
    let storage = Arc::new(storage);
    let listener = listen::bind(config.listen).map_err(|error| StartFault::port(config.listen, &error))?;
    let address = listener.local_addr().map_err(|error| StartFault::port(config.listen, &error))?;

    let edge = Arc::new(Edge::new(config.memory_budget_bytes));
    let (drain, drained) = watch::channel(false);
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| StartFault::system("no runtime for the acceptor", &error))?;
    let (health, rest) = runtime.block_on(Health::begin(config.reflection));
    let services = Services::new(&edge, rest);
    let mut cores = start_cores(config.io_cores, &services, &drained)?;
    let control = start_acceptor(runtime, listener, &cores, drained)?;
    limits_check::check(reachable(address)).map_err(|error| StartFault::limits(&error))?;

    before_recovery(address);
    let opened = recover(config, Arc::clone(&storage), clock, mailbox_commands_max)?;
    let Opened { engine, shards, committer, checkpointer, report } = opened;
    // Before anything is removed.
    let archive = archive.map(|store| start_archive(config, &engine, &storage, store)).transpose()?;
    let log = start_log_threads(committer, checkpointer, on_log_fault)?;
    let wakes = deal_shards(&mut cores, &engine, shards, &edge.turn_times);

    let history = config.history.then(|| start_history(config, &engine, &storage)).transpose()?;
    edge.serve(Arc::clone(&engine), storage, history.as_ref().map(HistoryThread::history));
    control.handle.block_on(health.serving(true));
    tell(config, &report, address, announce);
    let drain_within = Duration::from_secs(config.drain_seconds);
    Ok(Running {
        address,
        edge,
        engine,
        health,
        cores,
        wakes,
        control,
        log,
        archive,
        history,
        drain,
        drain_within,
        lock,
    })
}

fn take_folder(folder: &Path) -> Result<(FileStorage, DirLock), StartFault> {
    let storage = FileStorage::open(folder).map_err(|error| StartFault::folder(folder, error))?;
    let lock = storage.lock().map_err(|error| StartFault::folder(folder, error))?;
    Ok((storage, lock))
}

fn start_cores(count: usize, services: &Services, drained: &watch::Receiver<bool>) -> Result<Vec<Core>, StartFault> {
    let start = |index| Core::start(index, services.clone(), drained.clone());
    let cores: io::Result<Vec<Core>> = (0..count).map(start).collect();
    cores.map_err(|error| StartFault::system("no thread for an I/O core", &error))
}

fn start_acceptor(
    runtime: tokio::runtime::Runtime,
    listener: std::net::TcpListener,
    cores: &[Core],
    drained: watch::Receiver<bool>,
) -> Result<Control, StartFault> {
    let fault = |error: io::Error| StartFault::system("no thread for the acceptor", &error);
    let doors = cores.iter().map(|core| core.door.clone()).collect();
    let handle = runtime.handle().clone();
    let listener = {
        let _inside = runtime.enter();
        TcpListener::from_std(listener).map_err(fault)?
    };
    let accept = move || {
        runtime.block_on(listen::accept(listener, doors, drained));
    };
    let thread = thread::Builder::new().name("usher-accept".to_owned()).spawn(accept).map_err(fault)?;
    Ok(Control { handle, thread })
}

/// Where we reach ourselves.
fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() { SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port()) } else { address }
}

fn recover(
    config: &Config,
    storage: Arc<FileStorage>,
    clock: ClockSource,
    mailbox_commands_max: usize,
) -> Result<Opened, StartFault> {
    let engine_config = EngineConfig {
        shards: config.shards,
        segment_bytes: config.segment_bytes,
        checkpoint_segments: config.checkpoint_segments,
        memory_budget_bytes: config.memory_budget_bytes,
        mailbox_commands_max,
        accept_clock_jump: config.accept_clock_jump,
        ..EngineConfig::default()
    };
    let mut progress = |sentence: &str| tracing::info!("{sentence}");
    engine::open(storage, clock, engine_config, &mut progress)
        .map_err(|error| StartFault::engine(&config.data_dir, error))
}

fn start_archive(
    config: &Config,
    engine: &Arc<Engine>,
    storage: &Arc<FileStorage>,
    store: Arc<dyn Store>,
) -> Result<ArchiveThread, StartFault> {
    let storage = Arc::clone(storage);
    let archiver = Archiver::new(Arc::clone(engine), storage, store);
    ArchiveThread::start(archiver, Duration::from_secs(config.archive_seconds))
        .map_err(|error| StartFault::system("no thread for the archive", &error))
}

fn start_history(
    config: &Config,
    engine: &Arc<Engine>,
    storage: &Arc<FileStorage>,
) -> Result<HistoryThread, StartFault> {
    let storage = Arc::clone(storage);
    let tell = |told| match told {
        Told::WentOn { complete_to } => tracing::info!(complete_to, "the history goes on"),
        Told::Wiped { why } => tracing::info!(%why, "the history is made again from the log"),
        Told::Ended { why } => tracing::error!(%why, "there is no history until the next start; sales go on"),
    };
    HistoryThread::start(Arc::clone(engine), storage, &config.data_dir, tell)
        .map_err(|error| StartFault::system("no thread for the history", &error))
}

fn start_log_threads(
    committer: Committer,
    checkpointer: Checkpointer,
    on_log_fault: Box<dyn FnOnce(&WriteError) + Send>,
) -> Result<LogThreads, StartFault> {
    let fault = |error: io::Error| StartFault::system("no thread for the log", &error);
    let (ended, committer_ended) = mpsc::sync_channel(1);
    let commit = move || {
        if let Err(error) = committer.run() {
            on_log_fault(&error);
        }
        // Nobody may wait for it any more.
        let _ = ended.send(());
    };
    let committer = thread::Builder::new().name("usher-log".to_owned()).spawn(commit).map_err(fault)?;
    let checkpointer_stop = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&checkpointer_stop);
    let checkpoint = move || {
        checkpointer.run(stop, &mut |report| match report {
            CheckpointReport::Made { position } => tracing::info!(position, "a checkpoint was made"),
            CheckpointReport::Failed(error) => {
                tracing::error!(%error, "no checkpoint could be made; the log grows until one can");
            }
        });
    };
    let checkpointer = thread::Builder::new().name("usher-late-ckpt".to_owned()).spawn(checkpoint).map_err(fault)?;
    Ok(LogThreads { committer_ended, committer, checkpointer_stop, checkpointer })
}

/// Shard i belongs to core i modulo the cores.
fn deal_shards(
    cores: &mut [Core],
    engine: &Arc<Engine>,
    shards: Vec<Shard>,
    times: &Arc<TurnTimes>,
) -> Vec<Arc<Notify>> {
    let mut dealt: Vec<Vec<DrivenShard>> = cores.iter().map(|_| Vec::new()).collect();
    let mut wakes = Vec::with_capacity(shards.len());
    let count = dealt.len();
    for shard in shards {
        let core = shard.index() % count;
        let (driven, wake) = DrivenShard::new(engine, shard, times);
        dealt[core].push(driven);
        wakes.push(wake);
    }
    for (core, shards) in cores.iter_mut().zip(dealt) {
        core.take_shards(shards);
    }
    wakes
}

fn tell(config: &Config, report: &StartReport, address: SocketAddr, announce: bool) {
    match config.log_format {
        LogFormat::Text if announce => eprint!("{}", start_report::lines(report, address, &config.data_dir)),
        LogFormat::Text => {}
        LogFormat::Json => tracing::info!(
            %address,
            events = report.events,
            position = report.position,
            checkpoint = report.checkpoint.as_deref(),
            changes = report.changes,
            downtime_ms = report.downtime_ms,
            resumed_events = report.resumed_events,
            "serving"
        ),
    }
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Calls the turn of every shard, for tests that move a clock by hand.
    pub fn wake_shards(&self) {
        for wake in &self.wakes {
            wake.notify_one();
        }
    }

    /// Stops: refuses what is new, answers what was accepted, ends the log cleanly. Takes at most as long as
    /// the configuration says, and a little for the log's end.
    ///
    /// # Errors
    /// The log's end could not be written in time. What was acknowledged is durable all the same.
    pub async fn stop(self) -> Result<(), StopFault> {
        let until = Instant::now() + self.drain_within;
        self.edge.drain();
        self.health.serving(false).await;
        self.edge.sessions.go_away();
        let answered = wait_until(until, || self.edge.admission.commands() == 0).await;
        self.engine.drain();
        let idle = wait_until(until, || self.engine.is_idle()).await;
        if !(answered && idle) {
            tracing::warn!("the time to stop is over before everything accepted is answered");
        }
        self.edge.sessions.close();
        self.drain.send_replace(true);
        let doors: Vec<_> = self.cores.iter().map(|core| core.door.clone()).collect();
        let last = Instant::now() + LAST_ANSWERS;
        wait_until(last, || doors.iter().all(|door| door.open() == 0)).await;
        self.end()
    }

    fn end(self) -> Result<(), StopFault> {
        self.engine.stop();
        let sealed = self.log.committer_ended.recv_timeout(SEAL_WITHIN).is_ok();
        self.log.checkpointer_stop.store(true, Ordering::Relaxed);
        if let Some(history) = self.history {
            history.end();
        }
        if let Some(archive) = self.archive {
            archive.end();
        }
        if sealed {
            drop(self.log.committer.join());
            drop(self.log.checkpointer.join());
        }
        drop(self.control.thread.join());
        for core in self.cores {
            core.stop();
        }
        drop(self.lock);
        if sealed { Ok(()) } else { Err(StopFault) }
    }
}

/// The log's end could not be written in time.
#[derive(Debug)]
pub struct StopFault;

impl std::fmt::Display for StopFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the end of the log could not be written in time; what was acknowledged is durable all the same")
    }
}

impl std::error::Error for StopFault {}

/// Whether the condition came true in time.
async fn wait_until(until: Instant, condition: impl Fn() -> bool) -> bool {
    while !condition() {
        if Instant::now() >= until {
            return false;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    true
}
