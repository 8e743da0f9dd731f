use std::collections::BTreeMap;
use std::time::Duration;

use client::Error;
use hdrhistogram::Histogram;

/// Longest latency told apart: ten minutes.
const LATENCY_US_MAX: u64 = 600_000_000;

/// What is measured apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Hold,
    Confirm,
    Release,
    Extend,
    GetHold,
    BeginPayment,
    EndPayment,
    HoldMany,
    ConfirmMany,
    ReleaseMany,
}

impl Kind {
    pub(crate) const ALL: [Self; 10] = [
        Self::Hold,
        Self::Confirm,
        Self::Release,
        Self::Extend,
        Self::GetHold,
        Self::BeginPayment,
        Self::EndPayment,
        Self::HoldMany,
        Self::ConfirmMany,
        Self::ReleaseMany,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Confirm => "confirm",
            Self::Release => "release",
            Self::Extend => "extend",
            Self::GetHold => "get_hold",
            Self::BeginPayment => "begin_payment",
            Self::EndPayment => "end_payment",
            Self::HoldMany => "hold_many",
            Self::ConfirmMany => "confirm_many",
            Self::ReleaseMany => "release_many",
        }
    }
}

/// Latencies and refusals of one thread, to be merged at the end.
#[derive(Clone, Debug)]
pub(crate) struct Measure {
    kinds: Vec<KindMeasure>,
    /// Refusals by reason, and failures by kind of failure.
    pub(crate) refusals: BTreeMap<String, u64>,
}

/// The commands of one kind.
#[derive(Clone, Debug)]
pub(crate) struct KindMeasure {
    /// Answered: done or refused.
    pub(crate) count: u64,
    pub(crate) refused: u64,
    latency: Histogram<u64>,
}

impl Measure {
    pub(crate) fn new() -> Self {
        #[expect(clippy::expect_used, reason = "the bounds are constants that hdrhistogram accepts")]
        let latency = Histogram::new_with_bounds(1, LATENCY_US_MAX, 3).expect("valid bounds");
        let kind = KindMeasure { count: 0, refused: 0, latency };
        Self { kinds: vec![kind; Kind::ALL.len()], refusals: BTreeMap::new() }
    }

    /// A command that was done.
    pub(crate) fn done(&mut self, kind: Kind, took: Duration) {
        let measure = &mut self.kinds[kind as usize];
        measure.count += 1;
        measure.latency.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// A command that was refused: an answer as well, with its latency.
    pub(crate) fn refused(&mut self, kind: Kind, took: Duration, reason: &str) {
        self.done(kind, took);
        self.kinds[kind as usize].refused += 1;
        self.count_refusal(reason);
    }

    /// A command without an answer: it has no latency.
    pub(crate) fn failed(&mut self, what: &str) {
        self.count_refusal(what);
    }

    /// Whatever a call came to.
    pub(crate) fn outcome<T>(&mut self, kind: Kind, took: Duration, result: &Result<T, Error>) {
        match result {
            Ok(_) => self.done(kind, took),
            Err(Error::Refused(refusal)) => self.refused(kind, took, &refusal.reason_name),
            Err(Error::Deadline { .. }) => self.failed("deadline"),
            Err(Error::Transport { .. }) => self.failed("transport"),
            Err(Error::Config { .. }) => self.failed("config"),
        }
    }

    fn count_refusal(&mut self, reason: &str) {
        match self.refusals.get_mut(reason) {
            Some(count) => *count += 1,
            None => {
                self.refusals.insert(reason.to_owned(), 1);
            }
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (into, from) in self.kinds.iter_mut().zip(&other.kinds) {
            into.count += from.count;
            into.refused += from.refused;
            // All histograms have the same bounds, so nothing can be out of range.
            let _ = into.latency.add(&from.latency);
        }
        for (reason, count) in &other.refusals {
            *self.refusals.entry(reason.clone()).or_default() += count;
        }
    }

    pub(crate) fn kind(&self, kind: Kind) -> &KindMeasure {
        &self.kinds[kind as usize]
    }

    /// Commands answered, of every kind.
    pub(crate) fn commands(&self) -> u64 {
        self.kinds.iter().map(|kind| kind.count).sum()
    }
}

impl KindMeasure {
    pub(crate) fn quantile_us(&self, quantile: f64) -> u64 {
        self.latency.value_at_quantile(quantile)
    }

    pub(crate) fn max_us(&self) -> u64 {
        self.latency.max()
    }

    pub(crate) fn latency_us(&self) -> &Histogram<u64> {
        &self.latency
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_measures_count_everything_once() {
        let mut one = Measure::new();
        one.done(Kind::Hold, Duration::from_micros(100));
        one.refused(Kind::Hold, Duration::from_micros(300), "PLACES_UNAVAILABLE");
        let mut two = Measure::new();
        two.done(Kind::Confirm, Duration::from_millis(5));
        two.refused(Kind::Hold, Duration::from_micros(300), "PLACES_UNAVAILABLE");
        two.failed("transport");
        one.merge(&two);
        assert_eq!((one.commands(), one.kind(Kind::Hold).count, one.kind(Kind::Hold).refused), (4, 3, 2));
        assert_eq!(one.refusals["PLACES_UNAVAILABLE"], 2);
        assert_eq!(one.refusals["transport"], 1);
        assert!((299..=301).contains(&one.kind(Kind::Hold).quantile_us(0.99)));
        assert!((4_995..=5_005).contains(&one.kind(Kind::Confirm).max_us()));
    }
}
