//! Who takes part: one table, in the order in which they run. Those that a goal compares stand together, so that they
//! run one after the other.
//!
//! Not here: what is compared with what (`goals.rs`).

use peers::contestant::Contestant;
use peers::disk::Disk;
use peers::h2load;
use peers::postgres::{self, Postgres, Wanted};
use peers::redis::{self, Fsync, PIPELINES, PLAIN, Redis};
use peers::served::{Load, Program, Served};
use peers::site::Site;

/// One line of the table.
pub(crate) struct Entry {
    /// The same as the contestant's own.
    pub(crate) name: &'static str,
    /// Contestants of one group do the same and are drawn together.
    pub(crate) group: &'static str,
    /// Whether its programs of others are here; otherwise it is skipped.
    pub(crate) available: fn() -> Result<(), String>,
    /// Makes it.
    pub(crate) make: fn(&'static str, &Site) -> Box<dyn Contestant>,
}

/// The groups and what is common to each.
pub(crate) const GROUPS: [(&str, &str); 5] = [
    ("h2load", "Unary holds posted by h2load, 256 in flight"),
    ("unary", "Hold, then confirm or release, one request per round trip"),
    ("single", "One at a time"),
    ("rate", "Unary calls at half of usherd's peak, open loop"),
    ("session", "Hold, then confirm or release, many in flight"),
];

/// What open loops take their rate from.
pub(crate) const PEAK: &str = "usherd-unary";
/// The group whose contestants need that rate.
pub(crate) const PACED: &str = "rate";

const ONE: Load = Load::Calls { callers: 1, connections: 1, events: 1 };
const HOT: Load = Load::Calls { callers: 256, connections: 4, events: 1 };
const SPREAD: Load = Load::Calls { callers: 256, connections: 4, events: 1_000 };
const SESSION_HOT: Load = Load::Session { in_flight: 4_096, events: 1 };
const SESSION_SPREAD: Load = Load::Session { in_flight: 4_096, events: 1_000 };
/// Enough events for every shard to have its share.
const EVENTS_ON_ALL: u32 = 64;
const SESSION_ON_ALL: Load = Load::Session { in_flight: 4_096, events: EVENTS_ON_ALL };
/// Each of four Sessions has its 4,096 reply slots filled.
const BATCH: Load = Load::Batch { in_flight: 16_384, batch: 512, events: EVENTS_ON_ALL };

/// Everybody.
pub(crate) const ROSTER: [Entry; 26] = [
    entry("echo-h2load", "h2load", h2load::available, |name, site| served(name, site, Program::Echo, Load::Holds)),
    entry("usherd-h2load", "h2load", h2load::available, |name, site| served(name, site, Program::Usherd, Load::Holds)),
    entry("usherd-h2load-storm", "h2load", h2load::available, |name, site| {
        served(name, site, Program::Usherd, Load::SoldOut)
    }),
    entry("redis-always-hot", "unary", redis::available, |_, site| redis(site, Fsync::Always, false)),
    entry("redis-everysec-hot", "unary", redis::available, |_, site| redis(site, Fsync::EverySecond, false)),
    entry("echo-unary", "unary", ours, |name, site| served(name, site, Program::Echo, HOT)),
    entry("usherd-unary", "unary", ours, |name, site| served(name, site, Program::Usherd, HOT)),
    entry("usherd-unary-1000", "unary", ours, |name, site| served(name, site, Program::Usherd, SPREAD)),
    entry("postgres", "unary", postgres::available, |_, site| postgres(site, Wanted::Given { events: 1_000 })),
    entry("postgres-hot", "unary", postgres::available, |_, site| postgres(site, Wanted::Given { events: 1 })),
    entry("postgres-best", "unary", postgres::available, |_, site| postgres(site, Wanted::Best)),
    entry("disk", "single", ours, |_, site| Box::new(Disk::new(site))),
    entry("usherd-single", "single", ours, |name, site| served(name, site, Program::Usherd, ONE)),
    entry("echo-single", "single", ours, |name, site| served(name, site, Program::Echo, ONE)),
    entry("echo-rate", PACED, ours, |name, site| served(name, site, Program::Echo, Load::Paced)),
    entry("usherd-rate", PACED, ours, |name, site| served(name, site, Program::Usherd, Load::Paced)),
    entry("echo-session", "session", ours, |name, site| served(name, site, Program::Echo, SESSION_HOT)),
    entry("usherd-session", "session", ours, |name, site| served(name, site, Program::Usherd, SESSION_HOT)),
    entry("usherd-session-1000", "session", ours, |name, site| served(name, site, Program::Usherd, SESSION_SPREAD)),
    entry("usherd-session-all", "session", ours, |name, site| {
        served(name, &site.shared(), Program::Usherd, SESSION_ON_ALL)
    }),
    entry("echo-batch", "session", ours, |name, site| served(name, site, Program::Echo, BATCH)),
    entry("usherd-batch", "session", ours, |name, site| served(name, site, Program::Usherd, BATCH)),
    entry("usherd-batch-all", "session", ours, |name, site| served(name, &site.shared(), Program::Usherd, BATCH)),
    entry("redis-always-pipelined", "session", redis::available, |_, site| {
        Box::new(Redis::new(&site.cores, Fsync::Always, PIPELINES, 1_000))
    }),
    entry("redis-always-pipelined-hot", "session", redis::available, |_, site| redis(site, Fsync::Always, true)),
    entry("redis-everysec-pipelined-hot", "session", redis::available, |_, site| redis(site, Fsync::EverySecond, true)),
];

const fn entry(
    name: &'static str,
    group: &'static str,
    available: fn() -> Result<(), String>,
    make: fn(&'static str, &Site) -> Box<dyn Contestant>,
) -> Entry {
    Entry { name, group, available, make }
}

/// Programs of ours are looked for once, before anything runs.
fn ours() -> Result<(), String> {
    Ok(())
}

fn served(name: &'static str, site: &Site, program: Program, load: Load) -> Box<dyn Contestant> {
    Box::new(Served::new(name, site, program, load))
}

fn redis(site: &Site, fsync: Fsync, pipelined: bool) -> Box<dyn Contestant> {
    Box::new(Redis::new(&site.cores, fsync, if pipelined { PIPELINES } else { PLAIN }, 1))
}

fn postgres(site: &Site, wanted: Wanted) -> Box<dyn Contestant> {
    Box::new(Postgres::new(&site.cores, wanted))
}

/// The entry of this name.
pub(crate) fn find(name: &str) -> Option<&'static Entry> {
    ROSTER.iter().find(|entry| entry.name == name)
}

/// Those who are named, or are of a group that is, in the table's order; all when nothing is named.
///
/// # Errors
/// A name that nobody has.
pub(crate) fn select(names: &[String], groups: &[String]) -> Result<Vec<&'static Entry>, String> {
    if let Some(name) = names.iter().find(|name| find(name).is_none()) {
        return Err(format!("no contestant is called `{name}`; --list names them all"));
    }
    if let Some(name) = groups.iter().find(|name| GROUPS.iter().all(|(group, _)| group != name)) {
        return Err(format!("no group is called `{name}`; --list names them all"));
    }
    let is_selected = |entry: &&Entry| {
        let is_all = names.is_empty() && groups.is_empty();
        is_all || names.iter().any(|name| name == entry.name) || groups.iter().any(|group| group == entry.group)
    };
    Ok(ROSTER.iter().filter(is_selected).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use peers::cores::Cores;
    use peers::site::Pace;

    #[test]
    fn contestants_have_the_names_of_the_table_and_no_name_is_twice() {
        let site =
            Site { cores: Cores::find(), programs: ".".into(), data: std::env::temp_dir(), pace: Pace::default() };
        for (at, entry) in ROSTER.iter().enumerate() {
            assert_eq!((entry.make)(entry.name, &site).name(), entry.name);
            assert!(ROSTER.iter().skip(at + 1).all(|other| other.name != entry.name), "{} is twice", entry.name);
            assert!(GROUPS.iter().any(|(group, _)| *group == entry.group), "no group is called {}", entry.group);
        }
        assert!(find(PEAK).is_some());
    }

    #[test]
    fn names_and_groups_select_in_the_order_of_the_table() {
        let names = |names: &[&str], groups: &[&str]| {
            let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
            let selected = select(&owned(names), &owned(groups))?;
            Ok::<_, String>(selected.iter().map(|entry| entry.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&["usherd-h2load", "echo-h2load"], &[]), Ok(vec!["echo-h2load", "usherd-h2load"]));
        assert_eq!(names(&["disk"], &["rate"]), Ok(vec!["disk", "echo-rate", "usherd-rate"]));
        assert_eq!(names(&[], &[]).map(|all| all.len()), Ok(ROSTER.len()));
        assert!(names(&["nobody"], &[]).is_err() && names(&[], &["nothing"]).is_err());
    }
}
