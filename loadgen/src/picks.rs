//! Which seats a buyer points at.

use rand::{Rng, RngExt};

use crate::board::OPEN;
use crate::house::{Block, House};

/// How strongly buyers prefer the front: the rank they look at is the cube of an even draw, so half of them look at
/// the best eighth of what is open.
const TASTE_POWER: i32 = 3;
/// Seats a buyer looks at before giving up on a guess.
const LOOKS_MAX: usize = 2_000;

/// How a buyer chooses among seats.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habit {
    /// Everybody looks at the same few: the rank is drawn by Zipf's law, half of the looks at the best √n of n seats.
    popular: bool,
    /// Percent who do not mind leaving a gap.
    careless: u32,
}

impl Habit {
    /// A crowd that spreads out.
    pub(crate) const CROWD: Self = Self { popular: false, careless: 20 };
    /// A crowd that wants the same seats, and wherever it points.
    pub(crate) const PICKY: Self = Self { popular: true, careless: 50 };

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank within the list")]
    fn rank(self, count: usize, draw: f64) -> usize {
        let rank = if self.popular {
            // An even draw over the logarithms is Zipf's law with exponent 1.
            ((count as f64 + 1.0).powf(draw) - 1.0) as usize
        } else {
            (draw.powi(TASTE_POWER) * count as f64) as usize
        };
        rank.min(count - 1)
    }
}

/// What is left near the end of a sale: taken as it is, of whatever kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leftover {
    /// Neighbouring seats.
    Seats { first: u32, count: u32 },
    /// Admissions.
    Area { area: u32, quantity: u32 },
}

/// `party` neighbouring seats that look open, near the front; fewer than asked for or none when nothing fits.
pub(crate) fn explicit(
    house: &House,
    codes: &[u8],
    taste_front: &mut usize,
    party: u32,
    habit: Habit,
    rng: &mut impl Rng,
) -> Option<Vec<u32>> {
    let is_open = |seat: u32| codes.get(seat as usize) == Some(&OPEN);
    while house.by_taste.get(*taste_front).is_some_and(|&seat| !is_open(seat)) {
        *taste_front += 1;
    }
    let choices = house.by_taste.get(*taste_front..)?;
    if choices.is_empty() {
        return None;
    }
    let rank = habit.rank(choices.len(), rng.random());
    let looked_at = choices[rank..].iter().take(LOOKS_MAX);
    looked_at.filter(|&&seat| is_open(seat)).find_map(|&seat| {
        let run = open_run(house, codes, seat)?;
        (run.count >= party).then(|| place(run, seat, party, habit, rng).collect())
    })
}

/// The open neighbours of an open seat, itself included.
fn open_run(house: &House, codes: &[u8], seat: u32) -> Option<Block> {
    let block = house.block(seat)?;
    let is_open = |seat: &u32| codes.get(*seat as usize) == Some(&OPEN);
    let before = (block.first..seat).rev().take_while(is_open).count();
    let after = (seat..block.first + block.count).take_while(is_open).count();
    #[expect(clippy::cast_possible_truncation, reason = "no longer than a row")]
    Some(Block { first: seat - before as u32, count: (before + after) as u32, ..*block })
}

/// Where in a run a party sits: at the end nearer to the seat it likes, or, if careless, right on it.
fn place(run: Block, seat: u32, party: u32, habit: Habit, rng: &mut impl Rng) -> std::ops::Range<u32> {
    let last_start = run.first + run.count - party;
    let start = if rng.random_range(0..100) < habit.careless {
        seat.min(last_start)
    } else if seat - run.first <= run.count / 2 {
        run.first
    } else {
        last_start
    };
    start..start + party
}

/// Everything open, in pieces one hold can take. Whole runs where they fit, so that no single seat is stranded by
/// the sweep itself.
pub(crate) fn leftovers(house: &House, codes: &[u8], ga_open: &[u32]) -> Vec<Leftover> {
    let most = house.places_per_hold_max;
    let mut found = Vec::new();
    for block in &house.blocks {
        let mut seats = block.seats().peekable();
        while let Some(first) = seats.next() {
            if codes.get(first) != Some(&OPEN) {
                continue;
            }
            let mut count = 1;
            while seats.next_if(|&seat| codes.get(seat) == Some(&OPEN)).is_some() {
                count += 1;
            }
            #[expect(clippy::cast_possible_truncation, reason = "a seat index")]
            cut(first as u32, count, most, |first, count| found.push(Leftover::Seats { first, count }));
        }
    }
    for (area, &open) in ga_open.iter().enumerate() {
        #[expect(clippy::cast_possible_truncation, reason = "there are at most some thousand areas")]
        let area = area as u32;
        cut(0, open, most, |_, quantity| found.push(Leftover::Area { area, quantity }));
    }
    found
}

/// Pieces of at most `most`, none of which leaves a single one behind unless there is no other way.
fn cut(mut first: u32, mut left: u32, most: u32, mut piece: impl FnMut(u32, u32)) {
    while left > 0 {
        let mut count = left.min(most);
        if left - count == 1 && count > 1 {
            count -= 1;
        }
        piece(first, count);
        first += count;
        left -= count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house::tests::house_of;
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    #[test]
    fn picks_are_open_neighbours_of_one_row_and_prefer_the_front() {
        let house = house_of(&[10; 100], 0);
        let mut codes = vec![OPEN; 1_000];
        (0..1_000).step_by(7).for_each(|seat| codes[seat] = 2);
        let mut rng = SmallRng::seed_from_u64(1);
        let mut front = 0;
        let mut in_front_quarter = 0;
        for _ in 0..500 {
            let pick = explicit(&house, &codes, &mut front, 3, Habit::CROWD, &mut rng).expect("plenty");
            assert!(pick.iter().all(|&seat| codes[seat as usize] == OPEN));
            assert!(pick.windows(2).all(|pair| pair[1] == pair[0] + 1));
            assert_eq!(pick[0] / 10, pick[2] / 10, "one row");
            in_front_quarter += u32::from(pick[0] < 250);
        }
        assert!(in_front_quarter > 250, "{in_front_quarter} of 500");
        assert_eq!(front, 1, "seat 0 is sold");
    }

    #[test]
    fn popular_seats_are_looked_at_most() {
        assert_eq!([0.0, 0.5, 0.999_999].map(|draw| Habit::PICKY.rank(10_000, draw)), [0, 99, 9_999]);
        assert_eq!(Habit::PICKY.rank(1, 0.9), 0);
    }

    #[test]
    fn a_party_that_fits_nowhere_gets_nothing() {
        let house = house_of(&[4, 4], 0);
        let mut rng = SmallRng::seed_from_u64(1);
        assert_eq!(explicit(&house, &[0, 0, 2, 0, 1, 0, 0, 0], &mut 0, 4, Habit::CROWD, &mut rng), None);
        assert_eq!(explicit(&house, &[2; 8], &mut 0, 1, Habit::PICKY, &mut rng), None);
    }

    #[test]
    fn leftovers_cover_everything_open_and_strand_no_one() {
        let house = house_of(&[12, 3, 1], 2);
        let mut codes = vec![OPEN; 16];
        codes[13] = 2;
        let found = leftovers(&house, &codes, &[0, 11]);
        assert_eq!(
            found,
            [
                Leftover::Seats { first: 0, count: 10 },
                Leftover::Seats { first: 10, count: 2 },
                Leftover::Seats { first: 12, count: 1 },
                Leftover::Seats { first: 14, count: 1 },
                Leftover::Seats { first: 15, count: 1 },
                Leftover::Area { area: 1, quantity: 9 },
                Leftover::Area { area: 1, quantity: 2 },
            ]
        );
    }

    #[test]
    fn a_cut_never_leaves_one_behind_if_it_can() {
        for (left, most) in [(11, 10), (1, 10), (21, 10), (3, 1), (5, 2)] {
            let mut pieces = Vec::new();
            cut(0, left, most, |_, count| pieces.push(count));
            assert_eq!(pieces.iter().sum::<u32>(), left);
            assert!(most == 1 || left == 1 || left == 5 || pieces.iter().all(|&count| count > 1), "{pieces:?}");
        }
    }
}
