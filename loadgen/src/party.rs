use std::str::FromStr;

use rand::{Rng, RngExt};

/// How large parties are: sizes with their weights, as in `1:20,2:50,3:10,4:20`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartySizes {
    sizes: Vec<(u32, u32)>,
    weight_sum: u32,
}

impl PartySizes {
    /// As people come.
    pub(crate) fn crowd() -> Self {
        Self { sizes: vec![(1, 20), (2, 50), (3, 10), (4, 20)], weight_sum: 100 }
    }

    /// Each from one to `most` as often.
    pub(crate) fn even(most: u32) -> Self {
        Self { sizes: (1..=most).map(|size| (size, 1)).collect(), weight_sum: most }
    }

    /// One size by weight.
    pub(crate) fn draw(&self, rng: &mut impl Rng) -> u32 {
        self.at(rng.random_range(0..self.weight_sum))
    }

    fn at(&self, mut point: u32) -> u32 {
        for &(size, weight) in &self.sizes {
            if point < weight {
                return size;
            }
            point -= weight;
        }
        1
    }
}

impl FromStr for PartySizes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let one = |part: &str| -> Option<(u32, u32)> {
            let (size, weight) = part.split_once(':').unwrap_or((part, "1"));
            let (size, weight) = (size.trim().parse().ok()?, weight.trim().parse().ok()?);
            (1..=64).contains(&size).then_some((size, weight))
        };
        let sizes: Option<Vec<_>> = text.split(',').map(one).collect();
        let sizes = sizes.ok_or_else(|| format!("{text:?} is no list of size:weight with sizes from 1 to 64"))?;
        let weight_sum = sizes.iter().try_fold(0u32, |sum, &(_, weight)| sum.checked_add(weight)).unwrap_or(0);
        if weight_sum == 0 {
            return Err(format!("the weights of {text:?} must have a sum above 0"));
        }
        Ok(Self { sizes, weight_sum })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_come_by_their_weights() {
        let parties: PartySizes = "1:20,2:50,4:30".parse().expect("a list");
        let drawn = |size| (0..100).filter(|&point| parties.at(point) == size).count();
        assert_eq!((drawn(1), drawn(2), drawn(4)), (20, 50, 30));
        assert_eq!(Ok(PartySizes::crowd()), "1:20,2:50,3:10,4:20".parse());
        assert_eq!(Ok(PartySizes::even(3)), "1,2,3".parse());
        assert_eq!("3".parse::<PartySizes>().expect("one size").at(0), 3);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "0:1", "65", "2:0", "a:b", "1:1,,2:1"] {
            assert!(text.parse::<PartySizes>().is_err(), "{text:?}");
        }
    }
}
