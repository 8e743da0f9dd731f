//! The server as a process: started, watched by what it says, ended.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How often a condition is looked at.
pub const LOOK_EVERY: Duration = Duration::from_millis(1);
/// How long a trial waits for what takes milliseconds on a quiet machine, before it says that it does not happen. A
/// machine with other work stops a process for seconds; what is measured is told, and nothing fails for being slow.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The programs of this build: they lie beside this one.
#[derive(Clone, Debug)]
pub struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Beside the running program.
    ///
    /// # Errors
    /// When there are none.
    pub fn find() -> Result<Self> {
        let this = std::env::current_exe().context("this program does not know where it lies")?;
        let folder = this.parent().context("a program lies in a folder")?.to_owned();
        let programs = Self { folder };
        if !programs.usherd().exists() {
            bail!("{} is not there; `cargo xtask` builds it", programs.usherd().display());
        }
        Ok(programs)
    }

    /// The server.
    #[must_use]
    pub fn usherd(&self) -> PathBuf {
        self.folder.join("usherd")
    }

    /// The command line.
    #[must_use]
    pub fn usherctl(&self) -> PathBuf {
        self.folder.join("usherctl")
    }

    /// The load tester.
    #[must_use]
    pub fn loadgen(&self) -> PathBuf {
        self.folder.join("loadgen")
    }

    /// What `usherctl verify` says of a folder: its exit code and words.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn verify(&self, folder: &Path) -> Result<(i32, String)> {
        let run = Command::new(self.usherctl()).arg("verify").arg(folder).env_clear().output()?;
        let said = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
        Ok((run.status.code().unwrap_or(-1), said))
    }
}

/// A port of loopback that nobody has now, below those that the kernel gives to clients.
///
/// # Errors
/// When all are taken.
pub fn free_port() -> Result<u16> {
    let from = 20_000 + u16::try_from(std::process::id() % 9_000).unwrap_or(0);
    (from..32_000)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .context("no port of loopback is free between 20000 and 32000")
}

/// How to start a server.
#[derive(Clone, Debug)]
pub struct Start {
    /// The program, or one that runs it.
    pub program: PathBuf,
    /// Words before the server's own.
    pub before: Vec<String>,
    /// Its data folder.
    pub data: PathBuf,
    /// Its port of loopback.
    pub port: u16,
    /// Shards.
    pub shards: u64,
    /// Size of a segment.
    pub segment_bytes: String,
    /// Segments that make a checkpoint due.
    pub checkpoint_segments: u32,
    /// More words.
    pub more: Vec<String>,
}

/// A server that was started.
#[derive(Debug)]
pub struct Usherd {
    child: Child,
    /// When it was started.
    pub started: Instant,
    said: Arc<Mutex<Vec<String>>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

/// What a server says, for a report after its end.
#[derive(Clone, Debug)]
pub struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    /// The last lines.
    #[must_use]
    pub fn last(&self) -> String {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said[said.len().saturating_sub(4)..].join("\n")
    }
}

impl Start {
    /// Where clients reach it.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Starts the process and waits for nothing.
    ///
    /// # Errors
    /// When the program cannot be run.
    pub fn spawn(&self) -> Result<Usherd> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.before)
            .args(["--listen", &format!("127.0.0.1:{}", self.port)])
            .arg("--data-dir")
            .arg(&self.data)
            .args(["--shards", &self.shards.to_string()])
            .args(["--segment-bytes", &self.segment_bytes])
            .args(["--checkpoint-segments", &self.checkpoint_segments.to_string()])
            .args(&self.more)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        // The data folder may hold a configuration of somebody else; the programs' own folder does not.
        if let Some(folder) = self.program.parent().filter(|folder| folder.is_dir()) {
            command.current_dir(folder);
        }
        let started = Instant::now();
        let mut child = command.spawn().with_context(|| format!("start {}", self.program.display()))?;
        let stderr = child.stderr.take().context("its stderr is ours")?;
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                heard.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        Ok(Usherd { child, started, said, reader: Some(reader) })
    }

    /// Starts the process and waits until it serves.
    ///
    /// # Errors
    /// When it ends first, or takes too long.
    pub fn serving(&self) -> Result<Usherd> {
        let mut server = self.spawn()?;
        server.wait_until_serving()?;
        Ok(server)
    }
}

impl Usherd {
    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything it said so far.
    #[must_use]
    pub fn said(&self) -> Vec<String> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What it says from now on as well.
    #[must_use]
    pub fn heard(&self) -> Heard {
        Heard(Arc::clone(&self.said))
    }

    /// Whether it has said that it serves.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        self.said
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .any(|line| line.contains("listening on http://"))
    }

    /// Its end, when it has ended.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits until it serves.
    ///
    /// # Errors
    /// When it ends first, or takes too long.
    pub fn wait_until_serving(&mut self) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while !self.is_serving() {
            if let Some(status) = self.ended()? {
                self.hear_all();
                bail!("the server ended before it served, {status}: {}", self.said().join("\n"));
            }
            if Instant::now() > until {
                bail!("the server does not serve after {PATIENCE:?}: {}", self.said().join("\n"));
            }
            pause(LOOK_EVERY);
        }
        Ok(())
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it does not end in time; it is killed then.
    pub fn wait(&mut self, within: Duration) -> Result<ExitStatus> {
        let until = Instant::now() + within;
        loop {
            if let Some(status) = self.ended()? {
                self.hear_all();
                return Ok(status);
            }
            if Instant::now() > until {
                self.kill()?;
                bail!("the server had not ended after {within:?}: {}", self.said().join("\n"));
            }
            pause(LOOK_EVERY);
        }
    }

    /// SIGKILL, and waits.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.hear_all();
        Ok(())
    }

    /// SIGTERM.
    ///
    /// # Errors
    /// When it is gone.
    pub fn terminate(&self) -> Result<()> {
        let id = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        let id = id.context("a process has a number")?;
        Ok(rustix::process::kill_process(id, rustix::process::Signal::TERM)?)
    }

    /// After its end: the last of what it said.
    fn hear_all(&mut self) {
        if let Some(reader) = self.reader.take() {
            // It ends with the pipe.
            drop(reader.join());
        }
    }
}

impl Drop for Usherd {
    /// A trial that fails leaves no process behind.
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        self.hear_all();
    }
}

/// Rests. A campaign is about real processes, so it uses real time; tests do not.
pub fn pause(time: Duration) {
    let until = Instant::now() + time;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::park_timeout(left);
    }
}
