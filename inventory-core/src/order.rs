//! What was sold to whom: orders and holds of an event, looked up and listed.
//!
//! A list goes through the memory of holds from where it stopped: what is there all the while is told once, and no page
//! costs more than a turn has. A cursor is good for this memory only.
//!
//! Not here: the index of orders (`holds.rs`).

use alloc::vec::Vec;

use crate::{
    event::Event,
    hold_view::{view, without_sources},
    ids::{HoldId, OrderRef},
    place::{Admission, Seat},
    reject::Reject,
    slot::{Decision, Page, Slot, SoldPart},
};

/// Entries that one page looks at.
const LOOKED_AT_MAX: u32 = 4_096;

/// One page of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List {
    /// What is listed.
    pub what: Listed,
    /// Where the page before it ended; 0: the first.
    pub from: u32,
    /// At most so many, 1 to 256.
    pub count_max: u32,
}

/// What a list lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Listed {
    /// Live holds.
    Holds,
    /// Places sold, by hold and order.
    Orders,
}

impl Slot {
    /// Index orders, so that looking one up does not read all holds. No part of the state: nothing is indexed until
    /// somebody asks for an order.
    pub fn index_orders(&mut self) {
        self.holds.index_orders();
    }

    /// Entries with places sold to an order, in order of their holds' ids.
    pub(crate) fn holds_of_order(&self, event: &Event, order: &OrderRef) -> Vec<u32> {
        let mut found: Vec<(HoldId, u32)> = self
            .holds
            .of_order(event.number, order)
            .into_iter()
            .filter(|&at| self.holds[at].has_sold_to(order))
            .map(|at| (self.holds[at].hold_id(), at))
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, at)| at).collect()
    }

    fn part(&self, at: u32, order: &OrderRef) -> SoldPart {
        let entry = &self.holds[at];
        let (seats, admissions) = entry.sold_to(order);
        let ticket_type = |index: u32| {
            let word = entry.seat_words().iter().find(|&&word| Seat::from_word(word).index == index);
            word.map_or(0, |&word| Seat::from_word(word).ticket_type)
        };
        let seats = seats.into_iter().map(|index| Seat { index, ticket_type: ticket_type(index) }).collect();
        let admissions: Vec<Admission> = admissions;
        let admissions = without_sources(admissions.into_iter());
        SoldPart { hold_id: entry.hold_id(), order: order.clone(), seats, admissions }
    }

    pub(crate) fn decide_get_order(&self, event: &Event, order: &OrderRef) -> Result<Decision, Reject> {
        let parts: Vec<SoldPart> =
            self.holds_of_order(event, order).into_iter().map(|at| self.part(at, order)).collect();
        if parts.is_empty() { Err(Reject::OrderNotFound) } else { Ok(Decision::Order { event: event.number, parts }) }
    }

    pub(crate) fn decide_list(&self, event: &Event, list: List) -> Decision {
        let mut page = Page { holds: Vec::new(), parts: Vec::new(), next: 0 };
        let mut at = list.from;
        let last = list.from.saturating_add(LOOKED_AT_MAX);
        while at < self.holds.end() {
            if at >= last || page.holds.len() + page.parts.len() >= list.count_max as usize {
                page.next = at;
                break;
            }
            // A hold may have been sold to many orders: they stand on one page.
            let orders = self.holds.in_use(at).map_or(0, |entry| entry.orders().count());
            if !page.parts.is_empty() && page.parts.len() + orders > list.count_max as usize {
                page.next = at;
                break;
            }
            if let Some(entry) = self.holds.in_use(at).filter(|entry| entry.event == event.number) {
                match list.what {
                    Listed::Holds if entry.is_live() => page.holds.push(view(event, entry)),
                    Listed::Orders if entry.has_sold() => {
                        let orders = entry.orders().filter(|order| entry.has_sold_to(order));
                        page.parts.extend(orders.map(|order| self.part(at, order)));
                    }
                    Listed::Holds | Listed::Orders => {}
                }
            }
            at += 1;
        }
        Decision::Page { event: event.number, page }
    }
}
