//! What a walk through a data folder tells of: one line each.
//!
//! Not here: the walk (`inspect.rs`), the words and keys of a program's output (crate `cli`).

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use inventory_core::{
    cart::CartEnd,
    change::{Change, Held, Record, ResumeCause, Taken},
    command::PaymentOutcome,
    giving_back::ReturnTo,
    ids::{EventId, EventKey, EventNumber, HoldId, OrderRef, PlanDigest, SlotIndex, TimestampMs},
    place::{Admission, Move, Moved, PlaceState},
    plan::Plan,
};
use wal::{BadPlace, CheckpointMeta, Hole, ScannedBatch, ScannedSegment};

use crate::salvage::NotSaved;

/// One thing of a data folder.
#[derive(Debug)]
pub enum Line<'a> {
    /// A checkpoint.
    Checkpoint(CheckpointLine),
    /// A plan file.
    Plan(PlanLine),
    /// A segment of the log; its batches follow.
    Segment(&'a ScannedSegment),
    /// A batch that checks; its changes follow.
    Batch(&'a ScannedBatch<'a>),
    /// A change.
    Change(ChangeLine<'a>),
    /// A place that does not check, or cannot be understood.
    Damage(DamageLine),
    /// Acknowledged batches that are nowhere.
    Hole(HoleLine),
}

/// A checkpoint file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointLine {
    /// The file.
    pub file: String,
    /// Length of the file.
    pub bytes: u64,
    /// What it covers, where its header is good.
    pub meta: Option<CheckpointMeta>,
    /// What is wrong with it.
    pub problem: Option<String>,
    /// The byte at which.
    pub problem_at: u64,
    /// Whether the walk starts with it.
    pub is_base: bool,
}

/// A plan file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanLine {
    /// The file.
    pub file: String,
    /// Its digest, where it is a good plan.
    pub digest: Option<PlanDigest>,
    /// The name of the plan.
    pub name: Option<String>,
    /// Seats in it.
    pub seats: u32,
    /// Seats and admissions in it.
    pub capacity: u32,
    /// What is wrong with it.
    pub problem: Option<String>,
}

/// A place that does not check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamageLine {
    /// The place.
    pub place: BadPlace,
}

/// Acknowledged batches that are nowhere, and what that means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoleLine {
    /// The batches and positions.
    pub hole: Hole,
    /// The checkpoint that the walk starts with covers them: nothing of the state is lost.
    pub is_covered: bool,
}

/// An event that is not saved to its last change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrozenEvent {
    /// Its slot.
    pub slot: SlotIndex,
    /// Its number in the slot, in the old log.
    pub number: EventNumber,
    /// Its name, where it is known.
    pub id: Option<EventId>,
    /// The last change that is saved; nothing when it is not saved at all.
    pub saved_to: Option<u32>,
    /// Why it ends there.
    pub why: NotSaved,
}

impl FrozenEvent {
    /// Its id, or its place in the log.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.id {
            Some(id) => id.to_string(),
            None => format!("number {} of slot {}", self.number.0, self.slot.0),
        }
    }
}

/// Who made a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Actor {
    /// A buyer, by way of a booking frontend.
    Buyer = 0,
    /// The house: box office and operators.
    House = 1,
    /// The server itself: time has passed, or memory is full.
    Server = 2,
}

impl Actor {
    /// As a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Actor::Buyer => "buyer",
            Actor::House => "house",
            Actor::Server => "server",
        }
    }
}

/// A change of the log.
#[derive(Debug)]
pub struct ChangeLine<'a> {
    /// Its position.
    pub position: u64,
    /// The incarnation of the log it was written in.
    pub incarnation: u64,
    /// When.
    pub time: TimestampMs,
    /// The batch it is in.
    pub batch_seq: u64,
    /// The slot of its event.
    pub slot: SlotIndex,
    /// Number, digest and content, as in the log.
    pub record: &'a Record,
    /// The event's name and key, where they are known.
    pub event: Option<(&'a EventId, EventKey)>,
    /// The plan that its indexes belong to, where it is known.
    pub plan: Option<&'a Arc<Plan>>,
    /// The revision of that plan.
    pub plan_revision: Option<u32>,
    /// What it moved, in order; nothing when the state before it is not known.
    pub moves: Option<&'a [Move]>,
    /// Why it does not prove itself; a repair would not save it.
    pub not_saved: Option<NotSaved>,
}

/// Places that a change moved, or says that it moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaceMoved {
    /// Which.
    pub what: Moved,
    /// What they became.
    pub to: PlaceState,
}

impl ChangeLine<'_> {
    /// The kind as a word, as docs/USHERCTL.md lists them.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.record.change {
            Change::EventCreated(_) => "event_created",
            Change::EventUpdated(_) => "event_updated",
            Change::Held(_) => "held",
            Change::Extended(_) => "extended",
            Change::Confirmed(_) => "confirmed",
            Change::Released(_) => "released",
            Change::Expired(_) => "expired",
            Change::Resumed(_) => "resumed",
            Change::FloorRaised(_) => "floor_raised",
            Change::PaymentBegan(_) => "payment_began",
            Change::PaymentEnded(_) => "payment_ended",
            Change::PaymentsLapsed(_) => "payments_lapsed",
            Change::PaidForgotten(_) => "paid_forgotten",
            Change::SoldDirect(_) => "sold_direct",
            Change::Returned(_) => "returned",
            Change::Exchanged(_) => "exchanged",
            Change::Killed(_) => "killed",
            Change::Unkilled(_) => "unkilled",
            Change::AllocationSet(_) => "allocation_set",
            Change::AllocationRemoved(_) => "allocation_removed",
            Change::PriceLevelSet(_) => "price_level_set",
            Change::Rested(_) => "rested",
            Change::CartHeld(_) => "cart_held",
            Change::CartConfirmed(_) => "cart_confirmed",
            Change::CartReleased(_) => "cart_released",
            Change::CartSettled(_) => "cart_settled",
            Change::EventRetired(_) => "event_retired",
        }
    }

    /// The holds it is about; for one that was replaced see [`ChangeLine::replaced`].
    #[must_use]
    pub fn holds(&self) -> &[HoldId] {
        match &self.record.change {
            Change::Held(held) => std::slice::from_ref(&held.hold_id),
            Change::Extended(extended) => std::slice::from_ref(&extended.hold_id),
            Change::Confirmed(confirmed) => std::slice::from_ref(&confirmed.hold_id),
            Change::Released(released) => std::slice::from_ref(&released.hold_id),
            Change::PaymentBegan(began) => std::slice::from_ref(&began.hold_id),
            Change::PaymentEnded(ended) => std::slice::from_ref(&ended.hold_id),
            Change::Expired(holds) | Change::PaymentsLapsed(holds) => holds,
            Change::SoldDirect(sold) => std::slice::from_ref(&sold.hold_id),
            Change::Exchanged(exchanged) => match &exchanged.taken {
                Taken::Sale(sold) => std::slice::from_ref(&sold.hold_id),
                Taken::Hold(confirmed) => std::slice::from_ref(&confirmed.hold_id),
            },
            Change::Killed(killed) => &killed.holds,
            Change::CartHeld(part) => std::slice::from_ref(&part.held.hold_id),
            Change::CartConfirmed(part) => std::slice::from_ref(&part.cart_id),
            Change::CartReleased(part) => std::slice::from_ref(&part.cart_id),
            Change::CartSettled(cart_id) => std::slice::from_ref(cart_id),
            Change::EventCreated(_)
            | Change::EventUpdated(_)
            | Change::EventRetired(_)
            | Change::Returned(_)
            | Change::Unkilled(_)
            | Change::AllocationSet(_)
            | Change::AllocationRemoved(_)
            | Change::PriceLevelSet(_)
            | Change::Rested(_)
            | Change::Resumed(_)
            | Change::FloorRaised(_)
            | Change::PaidForgotten(_) => &[],
        }
    }

    /// The hold that ended for a new one.
    #[must_use]
    pub fn replaced(&self) -> Option<HoldId> {
        match &self.record.change {
            Change::Held(held) => held.replaced,
            _ => None,
        }
    }

    /// The order that places were sold to.
    #[must_use]
    pub fn order(&self) -> Option<&OrderRef> {
        match &self.record.change {
            Change::Confirmed(confirmed) => Some(&confirmed.order),
            Change::CartConfirmed(part) => Some(&part.order),
            Change::SoldDirect(sold) => Some(&sold.order),
            Change::Returned(returned) => Some(&returned.order),
            Change::Exchanged(exchanged) => Some(&exchanged.returned.order),
            _ => None,
        }
    }

    /// Why it happened, as a word: what ended holds, or moved their deadlines.
    #[must_use]
    pub fn cause(&self) -> Option<&'static str> {
        match &self.record.change {
            Change::Released(_) => Some("requested"),
            Change::CartReleased(part) => Some(match part.cause {
                CartEnd::Requested => "requested",
                CartEnd::Deadline => "deadline",
                CartEnd::Refused => "refused",
                CartEnd::Missing => "missing",
                CartEnd::EventCancelled => "event_cancelled",
            }),
            Change::Expired(_) | Change::PaymentsLapsed(_) => Some("deadline"),
            Change::PaymentEnded(ended) => Some(match ended.outcome {
                PaymentOutcome::Failed => "failed",
                PaymentOutcome::Abandoned => "abandoned",
            }),
            Change::Confirmed(confirmed) if confirmed.reclaimed => Some("reclaimed"),
            Change::Held(held) if held.replaced.is_some() => Some("replaced"),
            Change::Resumed(resumed) => Some(match resumed.cause {
                ResumeCause::Outage => "outage",
                ResumeCause::Restored => "restored",
            }),
            _ => None,
        }
    }

    /// Who it was, as far as the log tells: buyers and the house have their own commands, and what nobody asked for the
    /// server did.
    #[must_use]
    pub fn actor(&self) -> Actor {
        match &self.record.change {
            Change::Held(_)
            | Change::Extended(_)
            | Change::Confirmed(_)
            | Change::Released(_)
            | Change::PaymentBegan(_)
            | Change::PaymentEnded(_)
            | Change::CartHeld(_)
            | Change::CartConfirmed(_) => Actor::Buyer,
            Change::CartReleased(part) if part.cause == CartEnd::Requested => Actor::Buyer,
            Change::EventCreated(_)
            | Change::EventUpdated(_)
            | Change::EventRetired(_)
            | Change::SoldDirect(_)
            | Change::Returned(_)
            | Change::Exchanged(_)
            | Change::Killed(_)
            | Change::Unkilled(_)
            | Change::AllocationSet(_)
            | Change::AllocationRemoved(_)
            | Change::PriceLevelSet(_) => Actor::House,
            Change::Expired(_)
            | Change::Resumed(_)
            | Change::FloorRaised(_)
            | Change::PaidForgotten(_)
            | Change::PaymentsLapsed(_)
            | Change::CartReleased(_)
            | Change::CartSettled(_)
            | Change::Rested(_) => Actor::Server,
        }
    }

    /// The places it moved; where the state before it is not known, what it says itself, and nothing when it
    /// says "all that was held".
    #[must_use]
    pub fn places(&self) -> Option<Vec<PlaceMoved>> {
        if let Some(moves) = self.moves {
            // What a reclaim takes and sells at once is sold; what a kill takes from a hold is killed.
            let may_pass_through = !matches!(self.record.change, Change::Held(_) | Change::Confirmed(_));
            let mut later: HashMap<Moved, PlaceState> = HashMap::new();
            let mut kept: Vec<&Move> = moves.iter().rev().collect();
            kept.retain(|moved| match later.entry(moved.what) {
                Entry::Vacant(first) => {
                    first.insert(moved.state);
                    true
                }
                // As many admissions again are others.
                Entry::Occupied(last) if matches!(moved.what, Moved::Area { .. }) && *last.get() == moved.state => true,
                Entry::Occupied(_) => moved.state != PlaceState::Held && !may_pass_through,
            });
            kept.reverse();
            return Some(kept.into_iter().map(|moved| PlaceMoved { what: moved.what, to: moved.state }).collect());
        }
        let seats = |seats: &[u32], to| -> Vec<PlaceMoved> {
            seats.iter().map(|&seat| PlaceMoved { what: Moved::Seat(seat), to }).collect()
        };
        let areas = |admissions: &[Admission], to| -> Vec<PlaceMoved> {
            let one = |a: &Admission| Moved::Area { area: a.area, quantity: a.quantity.into() };
            admissions.iter().map(|admission| PlaceMoved { what: one(admission), to }).collect()
        };
        let of_house = |named: &[u32], counts: &[(u16, u32)], to| {
            let one = |&(area, quantity): &(u16, u32)| PlaceMoved { what: Moved::Area { area, quantity }, to };
            [seats(named, to), counts.iter().map(one).collect()].concat()
        };
        let of_held = |held: &Held| {
            let indexes: Vec<u32> = held.seats.iter().map(|seat| seat.index).collect();
            [seats(&indexes, PlaceState::Held), areas(&held.admissions, PlaceState::Held)].concat()
        };
        match &self.record.change {
            Change::Held(held) => Some(of_held(held)),
            Change::CartHeld(part) => Some(of_held(&part.held)),
            Change::Confirmed(c) if !c.seats.is_empty() || !c.admissions.is_empty() => {
                Some([seats(&c.seats, PlaceState::Sold), areas(&c.admissions, PlaceState::Sold)].concat())
            }
            Change::Released(r) if !r.seats.is_empty() || !r.admissions.is_empty() => {
                Some([seats(&r.seats, PlaceState::Open), areas(&r.admissions, PlaceState::Open)].concat())
            }
            Change::SoldDirect(sold) => {
                let indexes: Vec<u32> = sold.seats.iter().map(|seat| seat.index).collect();
                Some([seats(&indexes, PlaceState::Sold), areas(&sold.admissions, PlaceState::Sold)].concat())
            }
            Change::Returned(returned) => {
                let killed = returned.to == ReturnTo::Killed;
                let to = if killed { PlaceState::Killed } else { PlaceState::Open };
                let admissions: Vec<Admission> = returned.admissions.iter().map(|(_, admission)| *admission).collect();
                Some([seats(&returned.seats, to), areas(&admissions, to)].concat())
            }
            Change::Killed(killed) => Some(of_house(&killed.seats, &killed.areas, PlaceState::Killed)),
            Change::Unkilled(unkilled) => Some(of_house(&unkilled.seats, &unkilled.areas, PlaceState::Open)),
            Change::Confirmed(_)
            | Change::Released(_)
            | Change::CartConfirmed(_)
            | Change::CartReleased(_)
            | Change::Expired(_)
            | Change::Exchanged(_)
            | Change::AllocationSet(_)
            | Change::AllocationRemoved(_)
            | Change::PriceLevelSet(_)
            | Change::EventUpdated(_) => None,
            Change::Rested(rested) => {
                let indexes: Vec<u32> = rested.seats.iter().map(|(_, seat)| *seat).collect();
                let admissions: Vec<Admission> = rested.admissions.iter().map(|(_, admission)| *admission).collect();
                Some([seats(&indexes, PlaceState::Open), areas(&admissions, PlaceState::Open)].concat())
            }
            Change::EventCreated(_)
            | Change::EventRetired(_)
            | Change::Extended(_)
            | Change::Resumed(_)
            | Change::FloorRaised(_)
            | Change::PaidForgotten(_)
            | Change::PaymentBegan(_)
            | Change::PaymentEnded(_)
            | Change::PaymentsLapsed(_)
            | Change::CartSettled(_) => Some(Vec::new()),
        }
    }

    /// The key of a place that moved, where the plan is known and has it.
    #[must_use]
    pub fn key_of(&self, what: Moved) -> Option<&str> {
        let plan = self.plan?;
        match what {
            Moved::Seat(seat) => (seat < plan.seat_count()).then(|| plan.seat_key(seat)),
            Moved::Area { area, .. } => plan.areas().get(usize::from(area)).map(|area| &*area.key),
        }
    }
}
