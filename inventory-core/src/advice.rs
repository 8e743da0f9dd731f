//! What would be: ways to seat a party, and what a hold would be answered. Nothing is taken.
//!
//! Not here: what a hold takes (`taking.rs`).

use alloc::vec::Vec;

use smallvec::SmallVec;

use crate::{
    command::{Hold, Suggest},
    decide::check_revision,
    event::Event,
    ids::TimestampMs,
    orphan,
    place::Admission,
    reach::{Access, GENERAL},
    reject::Reject,
    rules::Bundle,
    slot::{Decision, Slot, Suggestion},
    taking::{Chosen, choose, explicit_seats, nothing_fits, wanted_of},
};

impl Slot {
    /// Up to so many ways to seat a party, best first; no seat is in two of them. Those that a shared quota has no room
    /// for are left out, and no others looked for, as none are for a hold.
    pub(crate) fn decide_suggest(
        &self,
        now: TimestampMs,
        event: &Event,
        suggest: &Suggest,
    ) -> Result<Decision, Reject> {
        check_revision(event.plan_revision, suggest.plan_revision, false)?;
        let asked = &suggest.best;
        let mut wanted = wanted_of(event, asked)?;
        let access = Access::at(event, &suggest.allocations, now);
        access.judge_windows(now, &[], &[], true)?;
        let reached = access.reached_by_best();
        let taken = reached.taken(&[], &[]);
        let mut options = Vec::new();
        let mut areas: SmallVec<[u16; 4]> = SmallVec::new();
        while options.len() < usize::from(suggest.options_max) {
            let room = |area| match areas.contains(&area) {
                true => 0,
                false => access.sources_of_best(area).iter().map(|&source| access.room(area, source)).sum(),
            };
            let chosen = choose(event, asked, reached.openings(), taken, &wanted, room);
            let Some((chosen, arrangement)) = chosen else { break };
            let (seats, area) = match chosen {
                Chosen::Seats(seats) => {
                    wanted.avoid.extend(&seats);
                    wanted.avoid.sort_unstable();
                    (seats, None)
                }
                Chosen::Area(area) => {
                    areas.push(area);
                    (Vec::new(), Some(area))
                }
            };
            options.push(Suggestion { seats, area, arrangement });
        }
        if options.is_empty() {
            return Err(nothing_fits(&access, &wanted, Some(asked)));
        }
        let mut full = None;
        if event.rules.is_some() {
            options.retain(|option| match covered(event, option, asked.quantity) {
                Ok(()) => true,
                Err(reject) => {
                    full.get_or_insert(reject);
                    false
                }
            });
        }
        match full {
            Some(reject) if options.is_empty() => Err(reject),
            _ => Ok(Decision::Suggested { event: event.number, options }),
        }
    }

    /// What a hold would be answered, and which seats it would leave alone. Neither its id nor the memory for
    /// ended holds is judged: both are about sending it, not about its places.
    pub(crate) fn decide_explain(&self, now: TimestampMs, event: &Event, hold: &Hold) -> Decision {
        let outcome = self.take(now, event, hold);
        let picked = match &outcome {
            Ok(held) => Some(held.seats.clone()),
            // Named seats that are all there.
            Err(_) => explicit_seats(event, hold).ok(),
        };
        let replaced = hold.replace.and_then(|id| self.replaceable(now, event, id, hold).ok());
        let mut except: Vec<u32> =
            replaced.iter().flat_map(|entry| entry.unsold_seats()).map(|seat| seat.index).collect();
        except.sort_unstable();
        // Whom it leaves alone is no matter of windows.
        let access = Access::without_window(event, &hold.allocations);
        let reached = access.reached();
        let taken = reached.taken(&[], &except);
        let picked = picked.unwrap_or_default();
        let mut open: Vec<u32> = picked.iter().map(|seat| seat.index).filter(|&seat| taken.is_open(seat)).collect();
        open.sort_unstable();
        let left_alone = orphan::left_alone(&event.plan, taken, &open);
        Decision::Explained { event: event.number, outcome, left_alone }
    }
}

/// Whether shared quotas have room for a way to seat a party.
fn covered(event: &Event, option: &Suggestion, quantity: u8) -> Result<(), Reject> {
    let of_area = option.area.map(|area| Admission { area, ticket_type: 0, quantity, source: GENERAL });
    let more = Bundle { seats: &option.seats, admissions: of_area.as_slice() };
    event.judge_quotas(more, Bundle::default())
}
