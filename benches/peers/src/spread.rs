//! Median, least and most of a few rounds, and which rounds count.
//!
//! Not here: what is measured.

use serde::Serialize;

/// So many undisturbed rounds are enough to leave the others out.
const UNDISTURBED_MIN: usize = 3;

/// The middle and the ends of some figures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    /// The middle one; of an even number, the mean of the middle two.
    pub(crate) median: f64,
    /// The least.
    pub(crate) min: f64,
    /// The most.
    pub(crate) max: f64,
}

impl Spread {
    /// Of these figures; nothing when there are none.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut sorted: Vec<f64> = figures.into_iter().filter(|figure| figure.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 };
        Some(Spread { median, min, max })
    }
}

/// Those that count of some rounds of which each is disturbed or not, and how many were left out: the disturbed ones,
/// when enough are left without them.
pub(crate) fn counting<T>(rounds: impl IntoIterator<Item = (T, bool)>) -> (Vec<T>, usize) {
    let rounds: Vec<(T, bool)> = rounds.into_iter().collect();
    let disturbed = rounds.iter().filter(|(_, is_disturbed)| *is_disturbed).count();
    if rounds.len() - disturbed < UNDISTURBED_MIN {
        return (rounds.into_iter().map(|(round, _)| round).collect(), 0);
    }
    (rounds.into_iter().filter(|(_, is_disturbed)| !is_disturbed).map(|(round, _)| round).collect(), disturbed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Some(Spread { median: 2.0, min: 1.0, max: 3.0 }));
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 9.0]), Some(Spread { median: 3.0, min: 1.0, max: 9.0 }));
        assert_eq!(Spread::of([7.0]), Some(Spread { median: 7.0, min: 7.0, max: 7.0 }));
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([f64::NAN, f64::INFINITY]), None, "a division by nothing is no figure");
    }

    #[test]
    fn disturbed_rounds_are_left_out_when_three_others_remain() {
        let five = [(1, false), (2, true), (3, false), (4, false), (5, true)];
        assert_eq!(counting(five), (vec![1, 3, 4], 2));
        assert_eq!(counting([(1, false), (2, true), (3, false)]), (vec![1, 2, 3], 0));
        assert_eq!(counting([(1, true)]), (vec![1], 0));
        assert_eq!(counting::<u32>([]), (vec![], 0));
    }
}
