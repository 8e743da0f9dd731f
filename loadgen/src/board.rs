use parking_lot::Mutex;
use proto::inventory::v1::{GetSeatMapResponse, PlaceState};

use crate::house::unpack_states;
use crate::picks::Leftover;

pub(crate) const OPEN: u8 = 0;
pub(crate) const HELD: u8 = 1;
pub(crate) const SOLD: u8 = 2;
pub(crate) const UNAVAILABLE: u8 = 3;

/// The seat map as the buyers last saw it: read every now and then, and corrected by what they run into. Always a
/// guess; the server decides.
#[derive(Debug)]
pub(crate) struct Board {
    state: Mutex<BoardState>,
}

#[derive(Debug, Default)]
struct BoardState {
    codes: Vec<u8>,
    counts: Counts,
    /// Seats at the head of the order of taste that are gone: nobody needs to look at them again.
    taste_front: usize,
    leftovers: Vec<Leftover>,
}

/// Places by public state at the last reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) open: u64,
    pub(crate) held: u64,
    pub(crate) sold: u64,
    pub(crate) unavailable: u64,
}

impl Counts {
    /// Of a seat map.
    pub(crate) fn of(map: &GetSeatMapResponse) -> Self {
        let map = map.seat_map.clone().unwrap_or_default();
        let mut by_code = [0; 4];
        unpack_states(&map.states, map.seat_count).iter().for_each(|&code| by_code[usize::from(code & 3)] += 1);
        let [open, held, sold, unavailable] = by_code;
        let mut counts = Self { open, held, sold, unavailable };
        for area in map.ga.iter().filter_map(|area| area.counts) {
            counts.open += u64::from(area.open);
            counts.held += u64::from(area.held);
            counts.sold += u64::from(area.sold);
            counts.unavailable += u64::from(area.killed);
        }
        counts
    }

    /// Everything that can be sold is.
    pub(crate) fn is_sold_out(self) -> bool {
        self.open == 0 && self.held == 0
    }
}

impl Board {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::new(BoardState::default()) }
    }

    /// Takes over a seat map, with what is left over if the buyers sweep.
    pub(crate) fn refresh(&self, map: &GetSeatMapResponse, leftovers: impl FnOnce(&[u8], &[u32]) -> Vec<Leftover>) {
        let counts = Counts::of(map);
        let Some(map) = &map.seat_map else { return };
        let codes = unpack_states(&map.states, map.seat_count);
        let ga_open: Vec<u32> = map.ga.iter().map(|area| area.counts.map_or(0, |counts| counts.open)).collect();
        let leftovers = leftovers(&codes, &ga_open);
        let mut state = self.state.lock();
        *state = BoardState { codes, counts, taste_front: 0, leftovers };
    }

    pub(crate) fn counts(&self) -> Counts {
        self.state.lock().counts
    }

    /// Notes seats that are known to be so now.
    pub(crate) fn mark(&self, seats: impl IntoIterator<Item = u32>, code: u8) {
        let mut state = self.state.lock();
        for seat in seats {
            if let Some(known) = state.codes.get_mut(seat as usize) {
                *known = code;
            }
        }
    }

    /// One of the leftovers, for one buyer only.
    pub(crate) fn take_leftover(&self, choose: impl FnOnce(usize) -> usize) -> Option<Leftover> {
        let mut state = self.state.lock();
        let count = state.leftovers.len();
        (count > 0).then(|| state.leftovers.swap_remove(choose(count)))
    }

    /// Runs a pick on the codes. The second argument is where the order of taste begins to have open seats; the pick
    /// may move it.
    pub(crate) fn pick<T>(&self, pick: impl FnOnce(&[u8], &mut usize) -> T) -> T {
        let mut state = self.state.lock();
        let BoardState { codes, taste_front, .. } = &mut *state;
        pick(codes, taste_front)
    }
}

/// The two-bit code of a public state.
pub(crate) fn code_of(state: PlaceState) -> Option<u8> {
    match state {
        PlaceState::Unspecified => None,
        PlaceState::Open => Some(OPEN),
        PlaceState::Held => Some(HELD),
        PlaceState::Sold => Some(SOLD),
        PlaceState::Unavailable => Some(UNAVAILABLE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::inventory::v1::{GaAreaAvailability, PlaceCounts, SeatMap};

    fn map() -> GetSeatMapResponse {
        let counts = PlaceCounts { open: 5, held: 1, sold: 2, killed: 2, capacity: 10 };
        let seat_map = SeatMap {
            states: vec![0b11_10_01_00].into(),
            seat_count: 4,
            ga: vec![GaAreaAvailability { counts: Some(counts), ..GaAreaAvailability::default() }],
            ..SeatMap::default()
        };
        GetSeatMapResponse { seat_map: Some(seat_map), ..GetSeatMapResponse::default() }
    }

    #[test]
    fn counts_cover_seats_and_areas() {
        let counts = Counts::of(&map());
        assert_eq!(counts, Counts { open: 6, held: 2, sold: 3, unavailable: 3 });
        assert!(!counts.is_sold_out());
        assert!(Counts { sold: 3, unavailable: 1, ..Counts::default() }.is_sold_out());
    }

    #[test]
    fn a_leftover_goes_to_one_buyer() {
        let board = Board::new();
        board.refresh(&map(), |codes, ga| {
            assert_eq!((codes, ga), (&[0, 1, 2, 3][..], &[5][..]));
            vec![Leftover::Seats { first: 0, count: 1 }]
        });
        assert!(board.take_leftover(|_| 0).is_some());
        assert!(board.take_leftover(|_| 0).is_none());
        board.mark([0], SOLD);
        board.pick(|codes, _| assert_eq!(codes[0], SOLD));
    }
}
