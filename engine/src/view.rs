//! What may be seen of an event: its durable state, for readers of any thread.
//!
//! Two bits a seat in two planes of words, counts beside them, all of it under a version counter
//! (`version.rs`): a reader begins again when the shard wrote meanwhile, and never holds it up. Every cell is
//! an atomic, so a copy that is thrown away was at worst mixed, never undefined.
//!
//! Not here: when a change may be shown (`shard.rs` applies what is durable and nothing else).

use std::sync::Arc;

use inventory_core::{
    event::Event,
    ids::{EventId, EventKey},
    place::{Move, Moved, PlaceState},
    plan::Plan,
    policy::Settings,
};
use probe::planted;

use crate::{
    sync::{
        ArcSwap,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    version::Version,
};

/// Places by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// May be held.
    pub open: u32,
    /// In a live hold, or resting.
    pub held: u32,
    /// Sold.
    pub sold: u32,
    /// Withdrawn by the house, or set aside for an allocation and open there.
    pub killed: u32,
}

impl Counts {
    fn plus(self, other: Counts) -> Counts {
        Counts {
            open: self.open + other.open,
            held: self.held + other.held,
            sold: self.sold + other.sold,
            killed: self.killed + other.killed,
        }
    }
}

/// Admissions of one area by state.
pub type AreaCounts = Counts;

/// What an event is, apart from its places.
#[derive(Clone, Debug)]
pub struct EventInfo {
    /// Policies, windows, state, texts.
    pub settings: Settings,
    /// The plan of the revision below.
    pub plan: Arc<Plan>,
    /// Counts the event's plans from 1.
    pub plan_revision: u32,
    /// Changes with every update.
    pub etag: u64,
    /// Of what the event was made with.
    pub creation_fingerprint: u64,
}

impl EventInfo {
    fn of(event: &Event) -> EventInfo {
        EventInfo {
            settings: event.settings().clone(),
            plan: Arc::clone(event.plan()),
            plan_revision: event.plan_revision(),
            etag: event.etag(),
            creation_fingerprint: event.creation_fingerprint(),
        }
    }
}

/// The places of an event at one position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatMapSnapshot {
    /// The plan that indexes belong to.
    pub plan_revision: u32,
    /// The position it is true at.
    pub position: u64,
    /// Two bits a seat by index: seat `i` in bits `2 * (i % 4)` of byte `i / 4`.
    pub states: Vec<u8>,
    /// The areas by index.
    pub areas: Vec<AreaCounts>,
}

/// The counts of an event at one position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Availability {
    /// The plan that indexes belong to.
    pub plan_revision: u32,
    /// The position it is true at.
    pub position: u64,
    /// All places.
    pub totals: Counts,
    /// Seats by section index.
    pub sections: Vec<Counts>,
    /// Seats and admissions by price level.
    pub levels: Vec<Counts>,
    /// The areas by index.
    pub areas: Vec<AreaCounts>,
}

/// The durable state of one event. Written by the shard that owns the event, read by anyone.
pub struct EventView {
    id: EventId,
    key: EventKey,
    body: ArcSwap<Body>,
}

/// What a change does to a view, prepared when it is made, done when it is durable.
pub(crate) enum ViewChange {
    /// Places moved.
    Moves,
    /// Places may have moved, and the settings are these.
    Info(Arc<EventInfo>),
    /// Everything is new: another plan.
    Body(Box<Body>),
}

impl ViewChange {
    /// The settings of an event as they are now.
    pub(crate) fn info(event: &Event) -> ViewChange {
        ViewChange::Info(Arc::new(EventInfo::of(event)))
    }

    /// All of an event as it is now.
    pub(crate) fn body(event: &Event) -> ViewChange {
        ViewChange::Body(Box::new(Body::of(event, 0)))
    }
}

/// The state of an event while it has one plan.
pub(crate) struct Body {
    info: ArcSwap<EventInfo>,
    plan: Arc<Plan>,
    plan_revision: u32,
    version: Version,
    position: AtomicU64,
    held: Box<[AtomicU64]>,
    sold: Box<[AtomicU64]>,
    areas: Box<[Cells]>,
    /// Seats and admissions together.
    totals: Cells,
}

/// Places that are not open; the open ones are the rest of the capacity.
struct Cells {
    capacity: u32,
    held: AtomicU32,
    sold: AtomicU32,
    killed: AtomicU32,
}

impl Cells {
    fn add(&self, state: PlaceState, by: u32) {
        if let Some(cell) = self.cell(state) {
            cell.store(cell.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
        }
    }

    fn subtract(&self, state: PlaceState, by: u32) {
        self.add(state, by.wrapping_neg());
    }

    fn cell(&self, state: PlaceState) -> Option<&AtomicU32> {
        match state {
            PlaceState::Open => None,
            PlaceState::Held => Some(&self.held),
            PlaceState::Sold => Some(&self.sold),
            PlaceState::Killed => Some(&self.killed),
        }
    }

    fn counts(&self) -> Counts {
        let held = self.held.load(Ordering::Relaxed);
        let sold = self.sold.load(Ordering::Relaxed);
        let killed = self.killed.load(Ordering::Relaxed);
        // A mixed copy may not add up; it is thrown away.
        let open = self.capacity.wrapping_sub(held).wrapping_sub(sold).wrapping_sub(killed);
        Counts { open, held, sold, killed }
    }
}

/// A copy of the two planes.
struct PlanesCopy {
    held: Vec<u64>,
    sold: Vec<u64>,
}

impl Body {
    fn of(event: &Event, position: u64) -> Body {
        let plan = event.plan();
        let words = (0..event.held_plane().len()).map(|word| event.public_words(word));
        let (held, sold): (Vec<AtomicU64>, Vec<AtomicU64>) =
            words.map(|(held, sold)| (held.into(), sold.into())).unzip();
        let areas: Box<[Cells]> = (0_u16..)
            .zip(plan.areas())
            .map(|(index, area)| {
                let counts = event.public_area_counts(index);
                Cells {
                    capacity: area.capacity,
                    held: counts.held.into(),
                    sold: counts.sold.into(),
                    killed: counts.killed.into(),
                }
            })
            .collect();
        let counts = event.public_counts();
        Body {
            info: ArcSwap::from_pointee(EventInfo::of(event)),
            plan: Arc::clone(plan),
            plan_revision: event.plan_revision(),
            version: Version::new(),
            position: AtomicU64::new(position),
            held: held.into(),
            sold: sold.into(),
            areas,
            totals: Cells {
                capacity: plan.capacity(),
                held: counts.held.into(),
                sold: counts.sold.into(),
                killed: counts.killed.into(),
            },
        }
    }

    /// Runs `copy` until it saw one state from its beginning to its end.
    fn read<T>(&self, copy: impl Fn(&Body) -> T) -> T {
        self.version.read(|| copy(self))
    }

    /// Makes moves as one step for readers. Only the owning shard calls this.
    fn apply(&self, moves: &[Move], position: u64) {
        self.version.write(|| {
            moves.iter().for_each(|moved| self.make(moved));
            self.position.store(position, Ordering::Relaxed);
        });
    }

    fn make(&self, moved: &Move) {
        match moved.what {
            Moved::Seat(seat) => {
                let (word, bit) = (seat as usize / 64, seat % 64);
                let state = moved.to as u64;
                for (plane, set) in [(&self.held, state & 1), (&self.sold, state >> 1)] {
                    let old = plane[word].load(Ordering::Relaxed);
                    plane[word].store(old & !(1 << bit) | set << bit, Ordering::Relaxed);
                }
                self.totals.subtract(moved.from, 1);
                self.totals.add(moved.to, 1);
            }
            Moved::Area { area, quantity } => {
                for cells in [&self.areas[usize::from(area)], &self.totals] {
                    cells.subtract(moved.from, quantity);
                    cells.add(moved.to, quantity);
                }
            }
        }
    }

    fn planes(&self) -> PlanesCopy {
        let copy = |plane: &[AtomicU64]| plane.iter().map(|word| word.load(Ordering::Relaxed)).collect();
        PlanesCopy { held: copy(&self.held), sold: copy(&self.sold) }
    }

    fn area_counts(&self) -> Vec<AreaCounts> {
        self.areas.iter().map(Cells::counts).collect()
    }
}

impl PlanesCopy {
    /// The seats of a range by state.
    fn count(&self, seats: std::ops::Range<u32>) -> Counts {
        let mut counts = Counts::default();
        let mut from = seats.start;
        while from < seats.end {
            let to = seats.end.min((from / 64 + 1) * 64);
            let mask = (u64::MAX >> (64 - (to - from))) << (from % 64);
            let held = self.held[from as usize / 64] & mask;
            let sold = self.sold[from as usize / 64] & mask;
            counts.held += (held & !sold).count_ones();
            counts.sold += (sold & !held).count_ones();
            counts.killed += (held & sold).count_ones();
            counts.open += (mask & !(held | sold)).count_ones();
            from = to;
        }
        counts
    }

    /// Two bits a seat.
    fn states(&self, seat_count: u32) -> Vec<u8> {
        let mut states = Vec::with_capacity(self.held.len() * 16);
        for (held, sold) in self.held.iter().zip(&self.sold) {
            for shift in [0, 32] {
                let pair = spread((held >> shift) as u32) | spread((sold >> shift) as u32) << 1;
                states.extend_from_slice(&pair.to_le_bytes());
            }
        }
        states.truncate(seat_count.div_ceil(4) as usize);
        states
    }
}

/// Puts bit `i` at `2 * i`.
fn spread(bits: u32) -> u64 {
    let mut word = u64::from(bits);
    word = (word | word << 16) & 0x0000_ffff_0000_ffff;
    word = (word | word << 8) & 0x00ff_00ff_00ff_00ff;
    word = (word | word << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    word = (word | word << 2) & 0x3333_3333_3333_3333;
    (word | word << 1) & 0x5555_5555_5555_5555
}

impl EventView {
    /// The event as it is now, said to be true at `position`.
    pub(crate) fn of(event: &Event, position: u64) -> EventView {
        EventView { id: event.id().clone(), key: event.key(), body: ArcSwap::from_pointee(Body::of(event, position)) }
    }

    /// Shows a change that is durable.
    pub(crate) fn apply(&self, change: ViewChange, moves: &[Move], position: u64) {
        match change {
            ViewChange::Body(body) => {
                body.position.store(position, Ordering::Relaxed);
                self.body.store(Arc::from(body));
            }
            change => {
                let body = self.body.load();
                if let ViewChange::Info(info) = change {
                    body.info.store(info);
                }
                let missed = moves.last().is_some_and(|last| last.to == PlaceState::Open) && planted!(CounterDrift);
                let moves = &moves[..moves.len() - usize::from(missed)];
                body.apply(moves, position);
            }
        }
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> &EventId {
        &self.id
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> EventKey {
        self.key
    }

    /// What it is.
    #[must_use]
    pub fn info(&self) -> Arc<EventInfo> {
        self.body.load().info.load_full()
    }

    /// All its places by state.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.body.load().read(|body| body.totals.counts())
    }

    /// Every place.
    #[must_use]
    pub fn snapshot(&self) -> SeatMapSnapshot {
        let body = self.body.load();
        let (position, planes, areas) =
            body.read(|body| (body.position.load(Ordering::Relaxed), body.planes(), body.area_counts()));
        SeatMapSnapshot {
            plan_revision: body.plan_revision,
            position,
            states: planes.states(body.plan.seat_count()),
            areas,
        }
    }

    /// The counts by section, price level and area.
    #[must_use]
    pub fn availability(&self) -> Availability {
        let body = self.body.load();
        let (position, totals, planes, areas) = body.read(|body| {
            (body.position.load(Ordering::Relaxed), body.totals.counts(), body.planes(), body.area_counts())
        });
        let plan = &body.plan;
        let mut levels = vec![Counts::default(); plan.price_levels().len()];
        for block in plan.blocks() {
            let level = &mut levels[usize::from(block.level)];
            *level = level.plus(planes.count(block.first..block.first + block.count));
        }
        for (area, counts) in plan.areas().iter().zip(&areas) {
            let level = &mut levels[usize::from(area.level)];
            *level = level.plus(*counts);
        }
        Availability {
            plan_revision: body.plan_revision,
            position,
            totals,
            sections: plan.sections().iter().map(|section| planes.count(section.seats.clone())).collect(),
            levels,
            areas,
        }
    }

    /// The position of its last durable change. After a start: that of the log.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.body.load().position.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_puts_a_zero_between_bits() {
        assert_eq!(spread(0b1011), 0b0100_0101);
        assert_eq!(spread(u32::MAX), 0x5555_5555_5555_5555);
    }

    #[test]
    fn states_stand_in_the_order_of_the_seats() {
        let planes = PlanesCopy { held: vec![0b1010], sold: vec![0b1100] };
        // Open, held, sold, killed, and a fifth seat that is open.
        assert_eq!(planes.states(5), [0b11_10_01_00, 0]);
    }

    #[test]
    fn a_range_is_counted_across_words() {
        let planes = PlanesCopy { held: vec![1 << 63, 0b11], sold: vec![0, 0b10] };
        assert_eq!(planes.count(62..67), Counts { open: 2, held: 2, sold: 0, killed: 1 });
        assert_eq!(planes.count(0..128).open, 125);
        assert_eq!(planes.count(5..5), Counts::default());
    }
}
