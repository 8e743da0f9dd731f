//! Lengths of time as people write them: `90s`, `10m`, `1h30m`, `1500ms`; a bare number is seconds.

use std::time::Duration;

/// Parses a length of time, for clap.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let expected = || format!("`{text}` is no length of time: write 90s, 10m or 1h30m");
    if text.bytes().all(|byte| byte.is_ascii_digit())
        && let Ok(seconds) = text.parse()
    {
        return Ok(Duration::from_secs(seconds));
    }
    let mut total_ms: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(expected)?;
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|letter: char| letter.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let unit_ms: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(expected()),
        };
        let number: u64 = number.parse().map_err(|_| expected())?;
        total_ms = number.checked_mul(unit_ms).and_then(|ms| total_ms.checked_add(ms)).ok_or_else(expected)?;
        rest = after;
    }
    if text.is_empty() { Err(expected()) } else { Ok(Duration::from_millis(total_ms)) }
}

/// The shortest text [`parse`] reads back.
pub(crate) fn short(duration: Duration) -> String {
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if ms == 0 {
        return "0s".to_owned();
    }
    let parts = [(ms / 3_600_000, "h"), (ms / 60_000 % 60, "m"), (ms / 1_000 % 60, "s"), (ms % 1_000, "ms")];
    parts.iter().filter(|(number, _)| *number > 0).map(|(number, unit)| format!("{number}{unit}")).collect()
}

/// As milliseconds of the wire.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// As the well-known type of the admin calls.
pub(crate) fn to_wire(duration: Duration) -> prost_types::Duration {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    prost_types::Duration { seconds, nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0) }
}

/// Milliseconds of the well-known type; 0 when it is missing or negative.
pub(crate) fn wire_millis(duration: Option<&prost_types::Duration>) -> u64 {
    duration.map_or(0, |duration| {
        u64::try_from(duration.seconds.saturating_mul(1_000) + i64::from(duration.nanos) / 1_000_000).unwrap_or(0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_and_written() {
        for (text, ms, back) in [
            ("90", 90_000, "1m30s"),
            ("90s", 90_000, "1m30s"),
            ("10m", 600_000, "10m"),
            ("10min", 600_000, "10m"),
            ("1h30m", 5_400_000, "1h30m"),
            ("1500ms", 1_500, "1s500ms"),
            ("1d", 86_400_000, "24h"),
            ("0s", 0, "0s"),
        ] {
            let read = parse(text).expect(text);
            assert_eq!((millis(read), short(read).as_str()), (ms, back), "{text}");
            assert_eq!(parse(back), Ok(read), "{back}");
            assert_eq!(wire_millis(Some(&to_wire(read))), ms);
        }
    }

    #[test]
    fn what_is_no_length_of_time_is_refused() {
        for text in ["", "s", "10x", "m10", "-5s", "1.5h", "10 m", "99999999999999999999", "999999999999999999d"] {
            let problem = parse(text).expect_err(text);
            assert!(problem.contains("write 90s"), "{problem}");
        }
    }
}
