//! A hold as its caller may see it.
//!
//! Not here: what is remembered of it (`hold.rs`).

use crate::{
    change::{HoldCause, HoldState, HoldView},
    event::Event,
    hold::Entry,
    ids::TimestampMs,
    place::{Admission, Admissions, SOLD, Seat, Seats},
    reach::GENERAL,
};

/// A hold as its caller may see it.
pub(crate) fn view(event: &Event, entry: &Entry) -> HoldView {
    let live = entry.is_live();
    let sold = |word: &&u32| **word & SOLD != 0;
    HoldView {
        hold_id: entry.hold_id(),
        state: entry.state(),
        cause: entry.cause(),
        seats: if live { entry.unsold_seats().collect() } else { Seats::new() },
        admissions: if live { without_sources(entry.unsold_admissions()) } else { Admissions::new() },
        sold_seats: entry.seat_words().iter().filter(sold).map(|&word| Seat::from_word(word)).collect(),
        sold_admissions: without_sources(
            entry.admission_words().iter().filter(sold).map(|&word| Admission::from_word(word)),
        ),
        created_at: entry.created_at,
        expires_at: if live { entry.expires_at() } else { TimestampMs(0) },
        payment_deadline: if entry.state() == HoldState::Paying { entry.until } else { TimestampMs(0) },
        places_lost: entry.lost_count(),
        payment_attempts_left: event.settings.policies.payment_attempts_max.saturating_sub(entry.attempts_used()),
        ended_at: entry.ended_at,
        renewals_left: event.settings.policies.renewals_max.saturating_sub(u32::from(entry.renewals)),
        plan_revision: event.plan_revision,
        orders: entry.orders().cloned().collect(),
        arrangement: entry.arrangement(),
        cart: entry.cart().cloned(),
    }
}

/// Admissions, one for each area and ticket type: what they were drawn from is the house's business.
pub(crate) fn without_sources(admissions: impl Iterator<Item = Admission>) -> Admissions {
    let mut merged = Admissions::new();
    for admission in admissions {
        let same = |has: &&mut Admission| (has.area, has.ticket_type) == (admission.area, admission.ticket_type);
        match merged.iter_mut().find(same) {
            Some(has) => has.quantity += admission.quantity,
            None => merged.push(Admission { source: GENERAL, ..admission }),
        }
    }
    merged
}

impl HoldView {
    /// Why the hold ended, or that it has not.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.cause != HoldCause::None
    }
}
