//! Choices from a seed. SplitMix64 (Steele, Lea, Flood 2014): eight lines, the same on every machine for ever, so
//! that a seed in a report means the same run of choices years later.

/// A source of choices.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// From a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A source of its own for part `nth` of the run: parts that run at the same time must not share one.
    #[must_use]
    pub fn part(seed: u64, nth: u64) -> Self {
        let mut mixed = Self(seed ^ nth.wrapping_mul(0xd134_2543_de82_ef95));
        mixed.word();
        mixed
    }

    /// The next 64 bits.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `least` to one below `end`. The bias of the remainder is far below what a campaign could notice.
    pub fn within(&mut self, least: u64, end: u64) -> u64 {
        assert!(least < end, "nothing to choose from");
        least + self.word() % (end - least)
    }

    /// True in `percent` of a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.within(0, 100) < percent
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let end = u64::try_from(from.len()).unwrap_or(u64::MAX);
        if end == 0 {
            return None;
        }
        let at = usize::try_from(self.within(0, end)).unwrap_or(0);
        from.get(at)
    }
}
