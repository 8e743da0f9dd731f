//! The places of a hold as its entry has them: words, sold ones marked, few of them in the entry itself.
//!
//! Not here: what a word says (`place.rs`), whose the places are (`hold.rs`).

use alloc::boxed::Box;

use crate::place::{Admission, SOLD, Seat};

/// Words of places: seats first, then admissions. Up to three stand in the entry itself.
#[derive(Clone, Debug)]
pub(crate) enum PlaceWords {
    /// The counts stand where the other variant's tag leaves room: 16 bytes in all.
    Few {
        seats: u8,
        admissions: u8,
        words: [u32; 3],
    },
    // A thin pointer for the same reason.
    Many {
        seats: u8,
        admissions: u8,
        words: Box<Box<[u32]>>,
    },
}

const _: () = assert!(size_of::<PlaceWords>() == 16);

impl PlaceWords {
    pub(crate) const NONE: PlaceWords = PlaceWords::Few { seats: 0, admissions: 0, words: [0; 3] };

    /// Words of seats and of admissions. A hold has at most 64 places; sold and held admissions of one kind may stand
    /// apart.
    pub(crate) fn new(seats: usize, admissions: usize, mut all: impl Iterator<Item = u32>) -> PlaceWords {
        assert!(seats <= 64 && admissions <= 128);
        let (seats_u8, admissions_u8) = (seats as u8, admissions as u8);
        if seats + admissions > 3 {
            let words = Box::new(all.collect());
            return PlaceWords::Many { seats: seats_u8, admissions: admissions_u8, words };
        }
        let words = core::array::from_fn(|_| all.next().unwrap_or(0));
        PlaceWords::Few { seats: seats_u8, admissions: admissions_u8, words }
    }

    /// Counts of seats and of admissions.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let (PlaceWords::Few { seats, admissions, .. } | PlaceWords::Many { seats, admissions, .. }) = self;
        (usize::from(*seats), usize::from(*admissions))
    }

    pub(crate) fn all(&self) -> &[u32] {
        match self {
            PlaceWords::Few { seats, admissions, words } => &words[..usize::from(*seats) + usize::from(*admissions)],
            PlaceWords::Many { words, .. } => words,
        }
    }

    pub(crate) fn all_mut(&mut self) -> &mut [u32] {
        match self {
            PlaceWords::Few { seats, admissions, words } => {
                &mut words[..usize::from(*seats) + usize::from(*admissions)]
            }
            PlaceWords::Many { words, .. } => words,
        }
    }

    /// Words of seats.
    pub(crate) fn seat_words(&self) -> &[u32] {
        &self.all()[..self.counts().0]
    }

    /// Words of admissions.
    pub(crate) fn admission_words(&self) -> &[u32] {
        &self.all()[self.counts().0..]
    }

    /// Seats not sold.
    pub(crate) fn unsold_seats(&self) -> impl Iterator<Item = Seat> {
        self.seat_words().iter().filter(|word| *word & SOLD == 0).map(|&word| Seat::from_word(word))
    }

    /// Admissions not sold.
    pub(crate) fn unsold_admissions(&self) -> impl Iterator<Item = Admission> {
        self.admission_words().iter().filter(|word| *word & SOLD == 0).map(|&word| Admission::from_word(word))
    }
}
