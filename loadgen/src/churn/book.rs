use client::HoldId;

use super::supply::Pair;

/// Confirmed and released holds kept for the audit, of each kind and worker.
const SAMPLE_MAX: usize = 500;

/// What one worker was told, kept small: pairs, not holds, and a sample of the holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book {
    /// Pairs acknowledged as sold. One pair twice is oversold.
    pub(crate) sold: Vec<Pair>,
    /// Pairs of which nothing is known: the last command on them had no answer, or an odd one.
    pub(crate) unsure: Vec<Pair>,
    /// Places of acknowledged holds that the server did not know when they were to end.
    pub(crate) lost: u64,
    /// Answers that were not what was asked for.
    pub(crate) wrong: u64,
    /// The first problems in words.
    pub(crate) problems: Vec<String>,
    pub(crate) samples: Vec<Sample>,
    seen: u64,
}

/// A hold to look at again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) hold: HoldId,
    pub(crate) pair: Pair,
    pub(crate) sold: bool,
}

impl Book {
    pub(crate) fn sold(&mut self, hold: HoldId, pair: Pair) {
        self.sold.push(pair);
        self.sample(Sample { hold, pair, sold: true });
    }

    pub(crate) fn released(&mut self, hold: HoldId, pair: Pair) {
        self.sample(Sample { hold, pair, sold: false });
    }

    pub(crate) fn problem(&mut self, text: impl FnOnce() -> String) {
        if self.problems.len() < 10 {
            self.problems.push(text());
        }
    }

    /// Keeps the first holds and then every so many, always at another place of the sample: old and new ones.
    fn sample(&mut self, sample: Sample) {
        self.seen += 1;
        if self.samples.len() < SAMPLE_MAX {
            self.samples.push(sample);
        } else if self.seen.is_multiple_of(64) {
            // Any spread will do; it need not be even.
            let place = usize::try_from((self.seen / 64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32).unwrap_or(0);
            self.samples[place % SAMPLE_MAX] = sample;
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.sold.extend(other.sold);
        self.unsure.extend(other.unsure);
        self.lost += other.lost;
        self.wrong += other.wrong;
        self.problems.extend(other.problems);
        self.samples.extend(other.samples);
    }
}
