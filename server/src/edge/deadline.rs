//! How long a call may take: the caller's `grpc-timeout`, never longer than the server's own limit.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::HeaderMap;
use proto::inventory::v1::Executed;

/// The time a call has, and whether its command has been handed over. Travels in the extensions of the
/// request.
#[derive(Clone, Debug)]
pub(crate) struct CallTime {
    /// From the arrival of the call.
    pub(crate) allowed: Duration,
    handed_over: Arc<AtomicBool>,
}

impl CallTime {
    /// A call that just arrived.
    pub(crate) fn new(allowed: Duration) -> CallTime {
        CallTime { allowed, handed_over: Arc::default() }
    }

    /// From here on the command may take effect.
    pub(crate) fn hand_over(&self) {
        self.handed_over.store(true, Ordering::Relaxed);
    }

    /// What is known of the command when the time is over.
    pub(crate) fn executed(&self) -> Executed {
        if self.handed_over.load(Ordering::Relaxed) { Executed::Unknown } else { Executed::False }
    }
}

/// The time allowed by the headers of a call, at most `limit`. A header that is not in the form the
/// protocol asks for counts as absent.
pub(crate) fn time_allowed(headers: &HeaderMap, limit: Duration) -> Duration {
    let asked = headers.get("grpc-timeout").and_then(|value| value.to_str().ok()).and_then(parse);
    asked.map_or(limit, |asked| asked.min(limit))
}

/// 1 to 8 digits and a unit.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3_600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_timeout_counts_as_absent() {
        for wrong in ["", "S", "9S9", "123456789m", "-1S", "1x", "1 S", "\u{e9}"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert_eq!(parse("250m"), Some(Duration::from_millis(250)));
        assert_eq!(parse("99999999H"), Some(Duration::from_secs(99_999_999 * 3_600)));
        assert_eq!(parse("1n"), Some(Duration::from_nanos(1)));
    }
}
