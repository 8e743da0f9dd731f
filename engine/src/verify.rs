//! Checking a data folder without writing to it.

use wal::Storage;

/// What a folder is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything checks.
    Clean,
    /// Everything acknowledged checks; after it lies a write that never was acknowledged.
    TornTail,
    /// Acknowledged data is damaged or missing.
    Damaged,
    /// The operating system refused to read.
    Io,
    /// A newer program wrote it.
    NewerFormat,
}

impl Verdict {
    /// The exit code of a program that was asked: 0 clean, 1 torn tail, 2 damaged, 3 not readable, 4 newer
    /// format.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Clean => 0,
            Verdict::TornTail => 1,
            Verdict::Damaged => 2,
            Verdict::Io => 3,
            Verdict::NewerFormat => 4,
        }
    }
}

/// What a folder holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyReport {
    /// [`Verdict::Clean`] or [`Verdict::TornTail`].
    pub verdict: Verdict,
    /// The last position.
    pub position: u64,
    /// The state's hash.
    pub state_hash: u64,
    /// Events.
    pub events: usize,
    /// Segments kept.
    pub segments: usize,
    /// Checkpoints kept.
    pub checkpoints: usize,
    /// How the log ends.
    pub tail: wal::TailReport,
    /// What an operator should read.
    pub warnings: Vec<String>,
}

/// A folder is not whole.
#[derive(Debug)]
pub struct VerifyError {
    /// Which kind.
    pub verdict: Verdict,
    /// The file, the byte and what to do.
    pub message: String,
}

impl std::fmt::Display for VerifyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for VerifyError {}

/// Checks every checkpoint, plan and segment of a folder, replays them, and writes nothing.
pub fn verify(storage: &dyn Storage) -> Result<VerifyReport, VerifyError> {
    let _ = storage;
    unimplemented!("the skeleton")
}
