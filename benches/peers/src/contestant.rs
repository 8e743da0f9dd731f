//! What takes part in a comparison, and what one run of it came to.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

/// One system under one kind of load.
pub trait Contestant {
    /// A short name for tables, such as `redis-always`.
    fn name(&self) -> &str;

    /// What it is and does, in one sentence for the report.
    fn what(&self) -> &str;

    /// Starts servers and makes what the load needs, in a fresh folder. Called before every run, so that no run
    /// inherits what another left.
    ///
    /// # Errors
    /// What is missing or failed, in one sentence.
    fn start(&mut self) -> Result<()>;

    /// Runs the load: `warmup` unmeasured, then `measured`.
    ///
    /// # Errors
    /// What failed. An audit that is not clean is a failure.
    fn run(&mut self, warmup: Duration, measured: Duration) -> Result<Figures>;

    /// Ends every process that `start` began and removes its folder.
    fn stop(&mut self);
}

/// What one run came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    /// Commands answered in the measured time: a hold is one, its confirm or release another.
    pub commands: u64,
    /// Commands a second.
    pub per_second: f64,
    /// Latency of a hold, in microseconds, at the quantiles of [`QUANTILES`]; empty when the driver does not tell.
    pub hold_us: Vec<f64>,
    /// Processor time of the server a command, user and system, in microseconds.
    pub server_cpu_us: Option<f64>,
    /// Processor time of the client a command, in microseconds.
    pub client_cpu_us: Option<f64>,
    /// Seconds measured.
    pub seconds: f64,
    /// Something of this run that the reader must know, such as refusals.
    pub note: String,
}

/// The quantiles of [`Figures::hold_us`].
pub const QUANTILES: [f64; 7] = [0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0];

impl Figures {
    /// The median latency of a hold in microseconds.
    #[must_use]
    pub fn p50_us(&self) -> Option<f64> {
        self.hold_us.first().copied()
    }

    /// The 99th percentile.
    #[must_use]
    pub fn p99_us(&self) -> Option<f64> {
        self.hold_us.get(4).copied()
    }
}
