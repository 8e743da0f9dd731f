use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::duration;
use crate::party::PartySizes;
use crate::thresholds::Threshold;

const EXAMPLES: &str = "\
Examples:
  loadgen --event concert-1
      sell concert-1 to its last place and audit the sale
  loadgen
      the same with an event of its own of 50,000 places
  loadgen --event concert-1 --ledger run.jsonl --json report.json --fail-if 'oversold>0' --fail-if 'lost>0'
      keep what was acknowledged, write the report as JSON, exit with 99 if a threshold fails
  loadgen --audit-only --ledger run.jsonl
      audit that run again, now: after a crash, a restart, a restore
  loadgen --scenario churn --mode session --duration 20s
      how many commands a second, pipelined
  loadgen --scenario churn --mode unary --concurrency 256 --rate 40000
      latency of unary calls at 40,000 holds a second, counted from the intended time
  loadgen --scenario one-seat --concurrency 1000 --fail-if 'winners!=1'
      a thousand people, one seat
  loadgen --scenario best
      everybody lets the server choose; every arrangement is checked
  loadgen --scenario picky --orphan-rule strict
      everybody points at the same good seats; every grant and refusal is held against the orphan rule
  loadgen --scenario payments --duration 30s
      payments that are slow, fail, are abandoned, come too late or twice: each is a sale or owed back
  loadgen --scenario carts --duration 30s
      carts over two to four of six events, with connections cut on the way: each is sold in all of them or in none

Exit status: 0 clean, 1 the audit is broken or the run failed, 2 wrong usage, 99 a threshold failed.";

/// Sells places as a crowd would, and proves that none was sold twice.
#[derive(Clone, Debug, Parser)]
#[command(name = "loadgen", version, about, after_help = EXAMPLES)]
pub(crate) struct Options {
    /// What to do.
    #[arg(long, value_enum, default_value_t = Scenario::Sale)]
    pub(crate) scenario: Scenario,
    /// Address of the server; may be given several times.
    #[arg(long, env = "USHER_ENDPOINT", default_value = "http://127.0.0.1:7700", value_delimiter = ',')]
    pub(crate) endpoint: Vec<String>,
    /// The event. Without it the scenario makes its own.
    #[arg(long)]
    pub(crate) event: Option<String>,
    /// How commands travel: many on a stream, or each as a call.
    #[arg(long, value_enum, default_value_t = Mode::Session)]
    pub(crate) mode: Mode,
    /// HTTP/2 connections over all threads.
    #[arg(long, default_value_t = 4)]
    pub(crate) connections: usize,
    /// Threads, each with a runtime of its own [default: half of the processors, at most 4].
    #[arg(long)]
    pub(crate) threads: Option<usize>,
    /// Buyers at a time (sale, best, picky, payments, carts), calls at a time (churn, unary), rivals (one-seat) [default:
    /// 500 (300 for picky and payments, 200 for carts), 256, 1000].
    #[arg(long, visible_alias = "buyers")]
    pub(crate) concurrency: Option<usize>,
    /// Begin so many a second however fast answers come (open loop), instead of one when another ends.
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// Commands in flight over all streams (churn, session).
    #[arg(long, default_value_t = 4_096)]
    pub(crate) in_flight: usize,
    /// Commands in a message (churn, batch).
    #[arg(long, default_value_t = 256, value_parser = batch_size)]
    pub(crate) batch: usize,
    /// Stop after this time [default: 10s for churn, 20s for payments and carts, no limit for a sale until it is sold out].
    #[arg(long, value_parser = duration::parse)]
    pub(crate) duration: Option<Duration>,
    /// Measure nothing for this time at the beginning (churn).
    #[arg(long, value_parser = duration::parse, default_value = "0s")]
    pub(crate) warmup: Duration,
    /// Stop after so many commands (churn).
    #[arg(long)]
    pub(crate) commands: Option<u64>,
    /// When a sale is over.
    #[arg(long, value_enum, default_value_t = Until::SoldOut)]
    pub(crate) until: Until,
    /// Sizes of parties with their weights [default: 1:20,2:50,3:10,4:20; for best 1 to 6 evenly].
    #[arg(long)]
    pub(crate) party: Option<PartySizes>,
    /// Percent of buyers who let the server choose; the others point at seats (sale, payments, carts).
    #[arg(long, default_value_t = 70, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub(crate) best: u32,
    /// Percent of holds nobody comes back to [default: 10; 0 for picky].
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub(crate) abandon: Option<u32>,
    /// Percent of holds that are given back [default: 5; 20 for picky].
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub(crate) release: Option<u32>,
    /// Percent of holds that are prolonged once before they are paid.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub(crate) extend: u32,
    /// How long buyers take to pay.
    #[arg(long, value_parser = duration::parse_range, default_value = "0..2s")]
    pub(crate) confirm_delay: RangeInclusive<Duration>,
    /// Time to live of holds [default: 5s; 10m for picky, 1s to 3s for payments and carts]. Short, so that abandoned places come
    /// back while people still want them.
    #[arg(long, value_parser = duration::parse)]
    pub(crate) hold_ttl: Option<Duration>,
    /// Whether buyers who name seats may leave single ones alone, in an event that the scenario makes (sale, best,
    /// picky).
    #[arg(long, value_enum, conflicts_with = "event")]
    pub(crate) orphan_rule: Option<OrphanRuleName>,
    /// Set about so many percent of an event of our own aside, the nearest, for as many percent of the buyers, who bring
    /// the key (best).
    #[arg(long, value_name = "PERCENT", conflicts_with = "event", value_parser = clap::value_parser!(u32).range(1..=99))]
    pub(crate) presale: Option<u32>,
    /// Percent of holds that are confirmed instead of released (churn).
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub(crate) confirm_share: u32,
    /// Hold until the time is over and end all holds afterwards, unmeasured: the rate of holds alone (churn, unary).
    #[arg(long)]
    pub(crate) holds_first: bool,
    /// Places of the scenario's own events together [default: 50,000 for a sale, 20,000 for best, 12,000 for carts,
    /// 5,000 for picky and payments, 1,000,000 for churn].
    #[arg(long)]
    pub(crate) places: Option<u32>,
    /// Spread over so many events (churn, carts) [default: 1 for churn, 6 for carts].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    events: Option<u32>,
    /// The seat everybody wants (one-seat), by index.
    #[arg(long, default_value_t = 4)]
    pub(crate) seat: u32,
    /// Seed of every choice. Timing still differs from run to run.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Keep asking so long while the server is away.
    #[arg(long, value_parser = duration::parse, default_value = "60s")]
    pub(crate) patience: Duration,
    /// Time for one attempt of a call.
    #[arg(long, value_parser = duration::parse, default_value = "5s")]
    pub(crate) timeout: Duration,
    /// Write what was acknowledged to this file, or audit what it says.
    #[arg(long)]
    pub(crate) ledger: Option<PathBuf>,
    /// Only audit the ledger file of an earlier run.
    #[arg(long, requires = "ledger")]
    pub(crate) audit_only: bool,
    /// Others sell the same event: sales the ledger does not explain are theirs.
    #[arg(long)]
    pub(crate) others: bool,
    /// Write the report as JSON to this file; `-` is standard output, and then nothing else is written there.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// Fail with exit status 99 if this holds for the report, as `oversold>0` or `per_command.hold.p99_us>5000`.
    /// May be given several times.
    #[arg(long)]
    pub(crate) fail_if: Vec<Threshold>,
    /// Write the latencies of each kind of command to this file as an HdrHistogram log, in microseconds.
    #[arg(long)]
    pub(crate) hlog: Option<PathBuf>,
    /// The server only answers and keeps nothing, as the bare one of a comparison does: no event is made, and there is
    /// nothing to audit (churn).
    #[arg(long)]
    pub(crate) bare: bool,
    /// Report the processor time of this process, the server, for each command.
    #[arg(long)]
    pub(crate) server_pid: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// A crowd buys a house to its last place.
    Sale,
    /// Holds of two seats, released or confirmed at once: for rates.
    Churn,
    /// Everybody wants the same seat.
    OneSeat,
    /// Everybody lets the server choose, in parties of all sizes.
    Best,
    /// Everybody names seats, the popular ones most.
    Picky,
    /// Payments: slow, failed, abandoned, too late, twice.
    Payments,
    /// Carts over several events: sold in all of them or in none.
    Carts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OrphanRuleName {
    /// Never refused.
    Off,
    /// Refused when the same run of open seats has better ones.
    Lenient,
    /// Also when another row of the section has.
    Strict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Commands on a stream, each in a message of its own.
    Session,
    /// Commands on a stream, many in a message (churn).
    Batch,
    /// Each command as a call.
    Unary,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Until {
    /// Everything that can be sold is sold.
    SoldOut,
    /// `--duration` has passed.
    Duration,
}

/// As many as a Session may have in flight, and no more than its longest message holds.
fn batch_size(text: &str) -> Result<usize, String> {
    let size = text.parse().map_err(|_| "must be a number".to_owned())?;
    if (1..=2_048).contains(&size) { Ok(size) } else { Err("must be 1 to 2048".to_owned()) }
}

impl Options {
    pub(crate) fn scenario_name(&self) -> &'static str {
        match self.scenario {
            Scenario::Sale => "sale",
            Scenario::Churn => "churn",
            Scenario::OneSeat => "one-seat",
            Scenario::Best => "best",
            Scenario::Picky => "picky",
            Scenario::Payments => "payments",
            Scenario::Carts => "carts",
        }
    }

    pub(crate) fn mode_name(&self) -> &'static str {
        match self.mode {
            Mode::Session => "session",
            Mode::Batch => "batch",
            Mode::Unary => "unary",
        }
    }

    pub(crate) fn threads(&self) -> usize {
        let half = std::thread::available_parallelism().map_or(1, |count| count.get() / 2);
        self.threads.unwrap_or(half.min(4)).max(1)
    }

    pub(crate) fn concurrency(&self) -> usize {
        let default = match self.scenario {
            Scenario::Sale | Scenario::Best => 500,
            Scenario::Picky | Scenario::Payments => 300,
            Scenario::Carts => 200,
            Scenario::Churn => 256,
            Scenario::OneSeat => 1_000,
        };
        self.concurrency.unwrap_or(default).max(1)
    }

    /// Events that the scenario makes.
    pub(crate) fn events(&self) -> u32 {
        self.events.unwrap_or(if self.scenario == Scenario::Carts { 6 } else { 1 })
    }

    pub(crate) fn party(&self) -> PartySizes {
        self.party.clone().unwrap_or_else(|| match self.scenario {
            Scenario::Best => PartySizes::even(6),
            _ => PartySizes::crowd(),
        })
    }

    /// Percent of buyers who let the server choose.
    pub(crate) fn best(&self) -> u32 {
        match self.scenario {
            Scenario::Best => 100,
            Scenario::Picky => 0,
            _ => self.best,
        }
    }

    pub(crate) fn abandon(&self) -> u32 {
        self.abandon.unwrap_or(if self.scenario == Scenario::Picky { 0 } else { 10 })
    }

    pub(crate) fn release(&self) -> u32 {
        self.release.unwrap_or(if self.scenario == Scenario::Picky { 20 } else { 5 })
    }

    /// Time to live of holds, from and to.
    pub(crate) fn hold_ttl(&self) -> RangeInclusive<Duration> {
        let (least, most) = match (self.hold_ttl, self.scenario) {
            (Some(ttl), _) => (ttl, ttl),
            (None, Scenario::Payments | Scenario::Carts) => (Duration::from_secs(1), Duration::from_secs(3)),
            // A hold that expires unseen leaves the judgement of its neighbours open.
            (None, Scenario::Picky) => (Duration::from_mins(10), Duration::from_mins(10)),
            (None, _) => (Duration::from_secs(5), Duration::from_secs(5)),
        };
        least..=most
    }

    /// When a sale is over, whatever is left.
    pub(crate) fn time_limit(&self) -> Option<Duration> {
        let is_timed = matches!(self.scenario, Scenario::Payments | Scenario::Carts);
        self.duration.or_else(|| is_timed.then(|| Duration::from_secs(20)))
    }

    /// Places of a sale of our own.
    pub(crate) fn sale_places(&self) -> u32 {
        self.places.unwrap_or(match self.scenario {
            Scenario::Best => 20_000,
            Scenario::Carts => 12_000,
            Scenario::Picky | Scenario::Payments => 5_000,
            _ => 50_000,
        })
    }

    /// What cannot be asked for together.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.holds_first && (self.scenario != Scenario::Churn || self.mode != Mode::Unary) {
            return Err("--holds-first is for --scenario churn --mode unary".to_owned());
        }
        if self.abandon() + self.release() > 100 {
            return Err("--abandon and --release together are over 100 percent".to_owned());
        }
        if self.orphan_rule.is_some() && !matches!(self.scenario, Scenario::Sale | Scenario::Best | Scenario::Picky) {
            return Err("--orphan-rule is for --scenario sale, best and picky".to_owned());
        }
        if self.presale.is_some() && self.scenario != Scenario::Best {
            return Err("--presale is for --scenario best".to_owned());
        }
        if self.until == Until::Duration && self.time_limit().is_none() {
            return Err("--until duration needs --duration".to_owned());
        }
        let keeps_no_ledger = self.event.is_some() || self.ledger.is_some();
        if self.scenario == Scenario::Carts && keeps_no_ledger {
            return Err("--scenario carts makes its own events and has no ledger file".to_owned());
        }
        if self.scenario == Scenario::Carts && self.events() < 2 {
            return Err("--scenario carts needs at least 2 --events".to_owned());
        }
        if self.bare && self.scenario != Scenario::Churn {
            return Err("--bare is for --scenario churn".to_owned());
        }
        if self.mode == Mode::Batch && (self.scenario != Scenario::Churn || self.rate.is_some()) {
            return Err("--mode batch is for --scenario churn, and without --rate".to_owned());
        }
        if self.rate.is_some_and(|rate| !rate.is_finite() || rate <= 0.0) {
            return Err("--rate must be above 0".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Options::command().debug_assert();
    }

    #[test]
    fn defaults_are_the_canonical_sale() {
        let options = Options::parse_from(["loadgen", "--event", "e"]);
        assert_eq!((options.scenario, options.until, options.concurrency()), (Scenario::Sale, Until::SoldOut, 500));
        assert_eq!(options.hold_ttl(), Duration::from_secs(5)..=Duration::from_secs(5));
        assert_eq!((options.best(), options.abandon(), options.release()), (70, 10, 5));
        assert_eq!((options.sale_places(), options.time_limit()), (50_000, None));
        assert!(options.check().is_ok());
    }

    #[test]
    fn every_scenario_has_its_own_defaults_and_flags_outweigh_them() {
        let of = |words: &[&str]| Options::parse_from([&["loadgen", "--scenario"], words].concat());
        assert_eq!(of(&["best"]).best(), 100);
        let picky = of(&["picky", "--orphan-rule", "strict", "--release", "1"]);
        assert_eq!((picky.best(), picky.abandon(), picky.release()), (0, 0, 1));
        assert!(picky.check().is_ok());
        let payments = of(&["payments", "--hold-ttl", "2s"]);
        assert_eq!(payments.hold_ttl(), Duration::from_secs(2)..=Duration::from_secs(2));
        assert_eq!(payments.time_limit(), Some(Duration::from_secs(20)));
        assert!(of(&["churn", "--orphan-rule", "strict"]).check().is_err());
        let carts = of(&["carts"]);
        assert_eq!((carts.events(), carts.time_limit()), (6, Some(Duration::from_secs(20))));
        assert!(carts.check().is_ok() && of(&["carts", "--events", "1"]).check().is_err());
        assert!(of(&["carts", "--event", "e"]).check().is_err());
        assert!(of(&["best", "--presale", "20"]).check().is_ok());
        assert!(of(&["sale", "--presale", "20"]).check().is_err());
    }

    #[test]
    fn shares_over_a_whole_are_refused() {
        let options = Options::parse_from(["loadgen", "--abandon", "60", "--release", "50"]);
        assert!(options.check().is_err());
        assert!(Options::parse_from(["loadgen", "--until", "duration"]).check().is_err());
    }
}
