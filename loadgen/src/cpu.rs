use std::time::Duration;

/// The kernel counts processor time in hundredths of a second on every Linux that runs this.
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor time of a process, user and system, all threads; this one's without a number. Nothing where there is
/// no `/proc`.
pub(crate) fn of_process(pid: Option<u32>) -> Option<Duration> {
    let name = pid.map_or_else(|| "self".to_owned(), |pid| pid.to_string());
    parse(&std::fs::read_to_string(format!("/proc/{name}/stat")).ok()?)
}

fn parse(stat: &str) -> Option<Duration> {
    // The command's name is in parentheses and may hold spaces and parentheses itself.
    let after_name = stat.rsplit_once(')')?.1;
    let mut fields = after_name.split_whitespace();
    let user: f64 = fields.nth(11)?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some(Duration::from_secs_f64((user + system) / TICKS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_system_time_are_found_behind_an_odd_name() {
        let stat = "42 (a ) b) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 4 0 100 0 0";
        assert_eq!(parse(stat), Some(Duration::from_secs(3)));
        assert_eq!(parse("nonsense"), None);
    }
}
