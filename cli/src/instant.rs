//! Points in time: RFC 3339 or seconds since 1970 UTC, in; RFC 3339, out.

use prost_types::Timestamp;

/// A bound of a sale as an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// From this moment, or until it.
    At(Timestamp),
    /// No bound.
    Unbounded,
}

impl Bound {
    /// As the wire wants it: a field that is not set is no bound.
    pub(crate) fn to_wire(self) -> Option<Timestamp> {
        match self {
            Bound::At(at) => Some(at),
            Bound::Unbounded => None,
        }
    }
}

/// Parses a moment, for clap.
pub(crate) fn parse(text: &str) -> Result<Timestamp, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(Timestamp { seconds, nanos: 0 });
    }
    text.parse().map_err(|_| {
        format!("`{text}` is no point in time: write 2027-05-01T10:00:00Z, 2027-05-01T12:00:00+02:00 or unix seconds")
    })
}

/// Parses a moment or `none`, for clap.
pub(crate) fn parse_bound(text: &str) -> Result<Bound, String> {
    if text == "none" { Ok(Bound::Unbounded) } else { parse(text).map(Bound::At) }
}

/// A moment of the sale calls as text; empty for 0, which says nothing.
pub(crate) fn text_of_ms(ms: u64) -> String {
    if ms == 0 { String::new() } else { of_ms(ms).to_string() }
}

/// A moment of the sale calls as the admin calls have it.
pub(crate) fn of_ms(ms: u64) -> Timestamp {
    let seconds = i64::try_from(ms / 1_000).unwrap_or(i64::MAX);
    Timestamp { seconds, nanos: i32::try_from(ms % 1_000 * 1_000_000).unwrap_or(0) }
}

/// A moment of the admin calls in milliseconds; 0 for one before 1970.
pub(crate) fn ms_of(at: Timestamp) -> u64 {
    let seconds = u64::try_from(at.seconds).unwrap_or(0);
    seconds.saturating_mul(1_000).saturating_add(u64::try_from(at.nanos / 1_000_000).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_three_ways() {
        let expected = Timestamp { seconds: 1_809_079_200, nanos: 0 };
        for text in ["2027-04-30T10:00:00Z", "2027-04-30T12:00:00+02:00", "1809079200"] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
        assert_eq!(parse_bound("none"), Ok(Bound::Unbounded));
        assert_eq!(parse_bound("1809079200"), Ok(Bound::At(expected)));
        assert!(parse("tomorrow").expect_err("no moment").contains("unix seconds"));
    }

    #[test]
    fn moments_are_written_as_rfc_3339() {
        assert_eq!(text_of_ms(1_809_079_200_250), "2027-04-30T10:00:00.250Z");
        assert_eq!(text_of_ms(0), "");
        assert_eq!(ms_of(of_ms(1_809_079_200_250)), 1_809_079_200_250);
    }
}
