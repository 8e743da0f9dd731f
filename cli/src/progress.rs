//! How far a long command is: a bar on stderr where that is a terminal, nothing elsewhere.

use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar of bytes.
pub(crate) fn bytes(what: &'static str, total: u64) -> ProgressBar {
    let target = if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(total), target).with_message(what);
    // A template that does not parse would only look different.
    match ProgressStyle::with_template("{msg} [{bar:30}] {bytes} of {total_bytes} {bytes_per_sec} {eta}") {
        Ok(style) => bar.with_style(style.progress_chars("=> ")),
        Err(_) => bar,
    }
}

/// A line on stderr before a long command does what it says.
pub(crate) fn say(line: &str) {
    // With stderr gone nobody reads it.
    let _ = writeln!(io::stderr(), "{line}");
}
