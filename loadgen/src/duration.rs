use std::ops::RangeInclusive;
use std::time::Duration;

/// Reads `250ms`, `5s`, `2m`, or a bare number of seconds.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: f64 = number.parse().map_err(|_| format!("{text:?} is no duration: try 500ms, 5s or 2m"))?;
    let seconds = match unit {
        "us" => number / 1e6,
        "ms" => number / 1e3,
        "" | "s" => number,
        "m" | "min" => number * 60.0,
        "h" => number * 3_600.0,
        _ => return Err(format!("{unit:?} is no unit of time: try us, ms, s, m or h")),
    };
    Duration::try_from_secs_f64(seconds).map_err(|_| format!("{text:?} is out of range"))
}

/// Reads `0..2s` or one duration for both ends. A lower end without a unit takes that of the upper.
pub(crate) fn parse_range(text: &str) -> Result<RangeInclusive<Duration>, String> {
    let Some((low, high)) = text.split_once("..") else {
        return parse(text).map(|both| both..=both);
    };
    let unit = high.trim_start_matches(|c: char| !c.is_ascii_alphabetic());
    let low =
        if low.ends_with(|c: char| c.is_ascii_alphabetic()) { parse(low)? } else { parse(&format!("{low}{unit}"))? };
    let high = parse(high)?;
    if low > high { Err(format!("{text:?} ends before it begins")) } else { Ok(low..=high) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse("1.5s"), Ok(Duration::from_millis(1_500)));
        assert_eq!(parse("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(parse("7"), Ok(Duration::from_secs(7)));
        assert!(parse("soon").is_err() && parse("5 parsecs").is_err() && parse("-1s").is_err());
    }

    #[test]
    fn a_range_lends_its_unit_to_the_lower_end() {
        assert_eq!(parse_range("0..2s"), Ok(Duration::ZERO..=Duration::from_secs(2)));
        assert_eq!(parse_range("100..300ms"), Ok(Duration::from_millis(100)..=Duration::from_millis(300)));
        assert_eq!(parse_range("1s"), Ok(Duration::from_secs(1)..=Duration::from_secs(1)));
        assert!(parse_range("3..2s").is_err());
    }
}
