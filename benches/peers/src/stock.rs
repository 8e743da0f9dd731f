//! What a run sells, the same for every contestant: a million places in pairs of neighbours, shared out so that no two
//! buyers want the same pair; and the numbers of chance.
//!
//! Not here: how a contestant keeps its places.

/// Places of all events together.
pub const PLACES: u32 = 1_000_000;
/// A hold takes two.
pub const PAIRS: u32 = PLACES / 2;
/// One hold in so many is sold, the others are given back.
pub const ONE_SOLD_IN: u64 = 10;
/// Time to live of a hold: longer than any run, so none ends by itself.
pub const TTL_MS: u64 = 600_000;

/// Two neighbouring places of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The event, from 0.
    pub event: u32,
    /// The lower place of the two, from 0; the other is the next.
    pub first: u32,
}

/// The pair of a number below [`PAIRS`], which are dealt to the events in turn.
#[must_use]
pub fn pair(number: u32, events: u32) -> Pair {
    Pair { event: number % events, first: number / events * 2 }
}

/// Places of each event: as many as its pairs need.
#[must_use]
pub fn places_of_event(events: u32) -> u32 {
    PAIRS.div_ceil(events) * 2
}

/// The pairs of one buyer out of so many: no other has them.
#[must_use]
pub fn of_buyer(buyer: u32, buyers: u32) -> Vec<u32> {
    (buyer..PAIRS).step_by(buyers as usize).collect()
}

/// Numbers of chance from a seed (SplitMix64): the same in every run, and no more work than a multiplication.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// From a seed.
    #[must_use]
    pub fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    /// A number below `limit`, which is above zero.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_buyers_share_a_place() {
        for events in [1, 7, 1000] {
            let mut seen = HashSet::new();
            for buyer in 0..300 {
                for number in of_buyer(buyer, 300) {
                    let Pair { event, first } = pair(number, events);
                    assert!(event < events && first + 1 < places_of_event(events) && first.is_multiple_of(2));
                    assert!(seen.insert((event, first)), "two buyers have pair {first} of event {event}");
                }
            }
            assert_eq!(seen.len(), PAIRS as usize);
        }
    }

    #[test]
    fn one_in_ten_is_about_one_in_ten() {
        let mut chance = Chance::new(7);
        let sold = (0..100_000).filter(|_| chance.below(ONE_SOLD_IN) == 0).count();
        assert!((9_500..10_500).contains(&sold), "{sold} of 100000");
    }
}
