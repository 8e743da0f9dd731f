//! Judges the orphan rule from the ledger alone, in the order of the log: no pick was granted that leaves a single seat
//! alone although its run, or under `strict` its section, had one as large that leaves none; and none was refused for
//! that without such another one.
//!
//! What callers were told does not say when a hold expired, nor what others did. A pick whose judgement hangs on a seat
//! of which nobody can tell whether it was open is counted as unsure and judged neither way.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::audit::{Findings, public_name};
use crate::house::{Block, House};
use crate::ledger::Ledger;

/// How many picks were looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Picks of named seats that were granted, and refused.
    pub(crate) granted: u64,
    pub(crate) refused: u64,
    /// Of both together, those about which the ledger does not say enough.
    pub(crate) unsure: u64,
}

/// Where an alternative counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Lenient,
    Strict,
}

/// A seat at one position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seat {
    Open,
    Taken,
    Unsure,
}

/// Whether the rule forbids a pick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Allowed,
    Forbidden,
    Unsure,
}

/// One acknowledged hold of a seat.
#[derive(Clone, Copy, Debug)]
struct Taking {
    from: u64,
    /// `from` is the position of the change. Not: it was taken at that position or earlier.
    exact: bool,
    /// It ended at this position, by a release.
    released: Option<u64>,
    /// It stays taken.
    sold: bool,
    /// Sold after it had been open, at this position.
    reclaimed: Option<u64>,
    deadline_ms: u64,
    /// A command without an answer may have ended it.
    maybe_ended: bool,
}

impl Taking {
    fn seat_at(&self, position: u64, time_ms: u64) -> Seat {
        if position < self.from {
            return if self.exact { Seat::Open } else { Seat::Unsure };
        }
        if self.sold || self.reclaimed.is_some_and(|at| position >= at) {
            return Seat::Taken;
        }
        match self.released {
            Some(at) if position >= at => Seat::Open,
            Some(_) => Seat::Taken,
            None if time_ms < self.deadline_ms && !self.maybe_ended => Seat::Taken,
            None => Seat::Unsure,
        }
    }
}

/// Judges every pick of named seats. Nothing is judged when the rule is off or was not taken down.
pub(crate) fn judge(ledger: &Ledger, house: &House, findings: &mut Findings) -> Option<Tally> {
    let rule = match ledger.event.orphan_rule.as_str() {
        "lenient" => Rule::Lenient,
        "strict" => Rule::Strict,
        _ => return None,
    };
    let history = History::of(ledger, house, rule);
    let mut tally = Tally::default();
    for (id, entry) in &ledger.entries {
        let Some(held) = entry.held.as_ref().filter(|held| held.best.is_none() && !held.seats.is_empty()) else {
            continue;
        };
        tally.granted += 1;
        // Judged on what was there before its own change.
        let verdict = if held.exact {
            history.verdict(&held.seats, held.position.saturating_sub(1), held.server_time_ms)
        } else {
            Verdict::Unsure
        };
        match verdict {
            Verdict::Allowed => {}
            Verdict::Unsure => tally.unsure += 1,
            Verdict::Forbidden => {
                findings.stranded += 1;
                findings.problem(|| {
                    let (name, seats, position) = (public_name(id), &held.seats, held.position);
                    format!("hold {name} of {seats:?} at {position} leaves a seat alone that need not be")
                });
            }
        }
    }
    for refused in &ledger.stranded {
        tally.refused += 1;
        match history.verdict(&refused.seats, refused.position, refused.server_time_ms) {
            Verdict::Forbidden => {}
            Verdict::Unsure => tally.unsure += 1,
            Verdict::Allowed => {
                findings.strand_refusals_wrong += 1;
                findings.problem(|| {
                    let (seats, position) = (&refused.seats, refused.position);
                    format!("seats {seats:?} were refused at {position} for leaving one alone, against the rule")
                });
            }
        }
    }
    Some(tally)
}

/// The seats through the whole run.
struct History<'a> {
    house: &'a House,
    rule: Rule,
    /// Seats nobody of the run could have: open, taken, or nobody knows.
    before: Vec<Seat>,
    takings: BTreeMap<u32, Vec<Taking>>,
}

impl<'a> History<'a> {
    fn of(ledger: &Ledger, house: &'a House, rule: Rule) -> Self {
        // A hold that nobody knows the seats of may be anywhere.
        let unknown = ledger.entries.values().any(|entry| entry.unknown_hold && entry.held.is_none());
        let mut before = vec![if unknown { Seat::Unsure } else { Seat::Open }; house.seat_count as usize];
        let event = &ledger.event;
        let mut mark = |seats: &[u32], what: Seat| {
            for &seat in seats {
                before.get_mut(seat as usize).into_iter().for_each(|one| *one = what);
            }
        };
        mark(&event.held_seats, Seat::Unsure);
        mark(&event.sold_seats, Seat::Taken);
        mark(&event.closed_seats, Seat::Taken);
        let mut takings = BTreeMap::<u32, Vec<Taking>>::new();
        for entry in ledger.entries.values() {
            let Some(held) = &entry.held else { continue };
            for &seat in &held.seats {
                let sale = entry.confirmed.iter().find(|sale| sale.seats.contains(&seat));
                let reclaim = sale.filter(|sale| entry.is_reclaimed(sale));
                takings.entry(seat).or_default().push(Taking {
                    from: held.position,
                    exact: held.exact,
                    released: entry.released.flatten(),
                    sold: sale.is_some() && reclaim.is_none(),
                    reclaimed: reclaim.map(|sale| sale.position),
                    deadline_ms: entry.expires_at_ms,
                    maybe_ended: entry.released == Some(None)
                        || entry.unknown_release
                        || reclaim.is_some_and(|sale| !sale.exact),
                });
            }
        }
        Self { house, rule, before, takings }
    }

    fn seat_at(&self, seat: u32, position: u64, time_ms: u64) -> Seat {
        let mut found = self.before.get(seat as usize).copied().unwrap_or(Seat::Taken);
        for taking in self.takings.get(&seat).into_iter().flatten() {
            match (found, taking.seat_at(position, time_ms)) {
                (Seat::Taken, _) | (_, Seat::Taken) => return Seat::Taken,
                (_, Seat::Unsure) => found = Seat::Unsure,
                (_, Seat::Open) => {}
            }
        }
        found
    }

    /// Judges a pick on the seats as they were after the change at `position`.
    fn verdict(&self, seats: &[u32], position: u64, time_ms: u64) -> Verdict {
        let mut picked = seats.to_vec();
        picked.sort_unstable();
        let at = |seat: u32| if picked.contains(&seat) { Seat::Open } else { self.seat_at(seat, position, time_ms) };
        let mut unsure = false;
        let mut left = picked.as_slice();
        while let Some((&first, _)) = left.split_first() {
            let Some(block) = self.house.block(first) else { return Verdict::Unsure };
            let end = block.first + block.count;
            let mut count = 1;
            while left.get(count) == Some(&(left[count - 1] + 1)) && left[count] < end {
                count += 1;
            }
            let (piece, rest) = left.split_at(count);
            left = rest;
            if block.ring {
                continue;
            }
            match strands(piece, block, &picked, at) {
                Verdict::Allowed => {}
                Verdict::Unsure => unsure = true,
                Verdict::Forbidden => match self.alternative(piece, block, at) {
                    Verdict::Forbidden => return Verdict::Forbidden,
                    Verdict::Unsure => unsure = true,
                    Verdict::Allowed => {}
                },
            }
        }
        if unsure { Verdict::Unsure } else { Verdict::Allowed }
    }

    /// Whether a piece that strands is forbidden because there is another one that does not.
    fn alternative(&self, piece: &[u32], block: &Block, at: impl Fn(u32) -> Seat) -> Verdict {
        let mut unsure = false;
        let in_section = |other: &&Block| self.rule == Rule::Strict && other.section == block.section && !other.ring;
        let blocks = self.house.blocks.iter().filter(|other| *other == block || in_section(other));
        for other in blocks {
            for (run, is_sure) in runs(other, &at) {
                if self.rule == Rule::Lenient && !run.contains(&piece[0]) {
                    continue;
                }
                if !is_sure {
                    unsure = true;
                } else if self.has_room(&run, piece) {
                    return Verdict::Forbidden;
                }
            }
        }
        if unsure { Verdict::Unsure } else { Verdict::Allowed }
    }

    /// As many seats of the run as the piece has, of its price levels, that leave no single one at either side.
    fn has_room(&self, run: &Range<u32>, piece: &[u32]) -> bool {
        let (house, size) = (self.house, piece.len());
        let levels: Vec<u32> = piece.iter().map(|&seat| house.price_levels[seat as usize]).collect();
        let special_too = piece.iter().any(|&seat| house.special[seat as usize]);
        let fits = |seat: u32| {
            levels.contains(&house.price_levels[seat as usize]) && (special_too || !house.special[seat as usize])
        };
        let seats: Vec<u32> = run.clone().collect();
        seats.windows(size).enumerate().any(|(before, window)| {
            let after = seats.len() - before - size;
            before != 1 && after != 1 && window.iter().all(|&seat| fits(seat))
        })
    }
}

/// Whether a seat beside the piece is left alone by the whole pick: `Forbidden` if so.
fn strands(piece: &[u32], block: &Block, picked: &[u32], at: impl Fn(u32) -> Seat) -> Verdict {
    let after_pick = |seat: Option<u32>| match seat {
        Some(seat) if seat >= block.first && seat < block.first + block.count && !picked.contains(&seat) => at(seat),
        _ => Seat::Taken,
    };
    let (first, last) = (piece[0], piece[piece.len() - 1]);
    let sides = [(first.checked_sub(1), first.checked_sub(2)), (last.checked_add(1), last.checked_add(2))];
    let mut unsure = false;
    for (beside, beyond) in sides {
        match (after_pick(beside), after_pick(beyond)) {
            (Seat::Open, Seat::Taken) => return Verdict::Forbidden,
            (Seat::Taken, _) | (Seat::Open, Seat::Open) => {}
            (Seat::Unsure, Seat::Open) => {}
            (Seat::Unsure, _) | (Seat::Open, Seat::Unsure) => unsure = true,
        }
    }
    if unsure { Verdict::Unsure } else { Verdict::Allowed }
}

/// The runs of seats that are or may be open, and whether all of each and what bounds it are sure.
fn runs(block: &Block, at: impl Fn(u32) -> Seat) -> Vec<(Range<u32>, bool)> {
    let mut found = Vec::new();
    let end = block.first + block.count;
    let mut seat = block.first;
    while seat < end {
        let first = seat;
        let mut is_sure = true;
        while seat < end && at(seat) != Seat::Taken {
            is_sure &= at(seat) == Seat::Open;
            seat += 1;
        }
        if seat > first {
            found.push((first..seat, is_sure));
        }
        seat += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house::tests::house_of;
    use crate::ledger::{BestFact, ConfirmedFact, EventFact, Fact, HeldFact, StrandedFact};

    /// A hall of two rows of six seats, and what was told.
    struct Story {
        house: House,
        ledger: Ledger,
        position: u64,
    }

    fn story(rule: &str) -> Story {
        let event = EventFact { orphan_rule: rule.to_owned(), ..EventFact::default() };
        Story { house: house_of(&[6, 6], 0), ledger: Ledger::new(event), position: 0 }
    }

    impl Story {
        fn held(mut self, hold: &str, seats: &[u32]) -> Self {
            self.position += 1;
            self.ledger.note(Fact::Held(HeldFact {
                hold: hold.to_owned(),
                seats: seats.to_vec(),
                ga: vec![],
                position: self.position,
                exact: true,
                server_time_ms: 10,
                expires_at_ms: 500,
                best: None,
                presale: false,
            }));
            self
        }

        fn best(mut self, hold: &str, seats: &[u32]) -> Self {
            self = self.held(hold, seats);
            let best = BestFact { places: seats.len() as u64, arrangement: "contiguous".to_owned() };
            let held = self.ledger.entries.get_mut(hold).and_then(|entry| entry.held.as_mut()).expect("held");
            held.best = Some(best);
            self
        }

        fn released(mut self, hold: &str) -> Self {
            self.position += 1;
            let (hold, position) = (hold.to_owned(), self.position);
            self.ledger.note(Fact::Released { hold, position, exact: true });
            self
        }

        fn refused(mut self, seats: &[u32], server_time_ms: u64) -> Self {
            let (seats, position) = (seats.to_vec(), self.position);
            self.ledger.note(Fact::Stranded(StrandedFact { seats, position, server_time_ms }));
            self
        }

        /// Granted against the rule, refused against it, and unsure.
        fn judge(&self) -> (u64, u64, u64) {
            let mut findings = Findings::default();
            let tally = judge(&self.ledger, &self.house, &mut findings).expect("a rule");
            (findings.stranded, findings.strand_refusals_wrong, tally.unsure)
        }
    }

    #[test]
    fn a_pick_that_leaves_one_alone_and_need_not_is_found() {
        assert_eq!(story("lenient").held("a", &[1, 2]).judge(), (1, 0, 0), "seat 0, and the run has room");
        assert_eq!(story("lenient").held("a", &[0, 1]).judge(), (0, 0, 0));
        assert_eq!(story("lenient").held("a", &[0, 1, 2, 3, 4]).judge(), (0, 0, 0), "five of six leave one anyway");
        assert_eq!(story("strict").held("a", &[0, 1, 2, 3, 4]).judge(), (0, 0, 0), "in the other row as well");
        assert_eq!(story("lenient").best("a", &[1, 2]).judge(), (0, 0, 0), "only who names seats is judged");
        let mut off = story("off").held("a", &[1, 2]);
        assert_eq!(judge(&off.ledger, &off.house, &mut Findings::default()), None);
        off.ledger.event.orphan_rule = "lenient".to_owned();
        off.house.blocks[0].ring = true;
        assert_eq!(off.judge(), (0, 0, 0), "a table has no orphans");
    }

    #[test]
    fn strict_looks_at_the_other_rows_of_the_section_and_lenient_does_not() {
        // Seats 0 to 2 are left of the first row: two of three leave one wherever they sit, the second row has room.
        let picked = |rule: &str| story(rule).held("a", &[3, 4, 5]).held("b", &[0, 1]);
        assert_eq!(picked("lenient").judge(), (0, 0, 0));
        assert_eq!(picked("strict").judge(), (1, 0, 0));
        let mut elsewhere = picked("strict");
        elsewhere.house.blocks[1].section = 1;
        assert_eq!(elsewhere.judge(), (0, 0, 0), "another section");
        let mut dearer = picked("strict");
        dearer.house.price_levels[6..].fill(1);
        assert_eq!(dearer.judge(), (0, 0, 0), "another price");
        let mut reserved = picked("strict");
        reserved.house.special[6..].fill(true);
        assert_eq!(reserved.judge(), (0, 0, 0), "accessible seats are no alternative");
    }

    #[test]
    fn seats_are_judged_as_they_were_at_the_position() {
        // With 0 and 1 taken the pick of 2 to 4 leaves seat 5 alone, and 3 to 5 leave 2 alone: both may be had.
        let full = story("lenient").held("a", &[0, 1]).held("b", &[2, 3, 4]);
        assert_eq!(full.judge(), (0, 0, 0));
        let given_back = story("lenient").held("a", &[0, 1]).released("a").held("b", &[2, 3, 4]);
        assert_eq!(given_back.judge(), (1, 0, 0), "the run is whole again");
        let sold = Fact::Confirmed(ConfirmedFact {
            hold: "a".to_owned(),
            order: "o".to_owned(),
            seats: vec![0, 1],
            position: 9,
            exact: true,
            ..ConfirmedFact::default()
        });
        let mut story = full;
        story.ledger.note(sold);
        assert_eq!(story.judge(), (0, 0, 0));
    }

    #[test]
    fn a_refusal_without_a_better_pick_is_found() {
        assert_eq!(story("lenient").refused(&[1, 2], 10).judge(), (0, 0, 0));
        assert_eq!(story("lenient").refused(&[0, 1], 10).judge(), (0, 1, 0), "it strands nobody");
        assert_eq!(story("lenient").held("a", &[3, 4, 5]).refused(&[0, 1], 10).judge(), (0, 1, 0));
        assert_eq!(story("strict").held("a", &[3, 4, 5]).refused(&[0, 1], 10).judge(), (0, 0, 0));
    }

    #[test]
    fn what_nobody_can_know_is_judged_neither_way() {
        // At 500 the hold of 3 to 5 has expired or not.
        assert_eq!(story("lenient").held("a", &[3, 4, 5]).refused(&[0, 1], 500).judge(), (0, 0, 1));
        let mut unknown = story("lenient").held("a", &[1, 2]);
        let (hold, command) = ("b".to_owned(), "hold".to_owned());
        unknown.ledger.note(Fact::Unknown { hold, command, order: None, attempt: None });
        assert_eq!(unknown.judge(), (0, 0, 1));
        let mut before = story("lenient").held("a", &[1, 2]);
        before.ledger.event.held_seats = vec![0];
        assert_eq!(before.judge(), (0, 0, 1));
        before.ledger.event =
            EventFact { closed_seats: vec![0], orphan_rule: "lenient".to_owned(), ..EventFact::default() };
        assert_eq!(before.judge(), (0, 0, 0), "never for sale");
    }
}
