//! Log lines on stderr. Never a full hold id: it is the right to confirm.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;

use crate::config::{Config, Effective, LogFormat};

/// Begins to write log lines. A second call changes nothing.
pub fn begin(config: &Config) {
    let filter = EnvFilter::try_new(&config.log_level).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    let begun = match config.log_format {
        LogFormat::Text => lines.with_target(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    // Tests boot several servers in one process.
    drop(begun);
}

/// Every setting with where it comes from, in one line.
pub fn settings(effective: &Effective) {
    let settings: Vec<String> =
        effective.iter().map(|(key, value, origin)| format!("{key} = {value} ({origin})")).collect();
    tracing::info!("running with {}", settings.join(", "));
}
