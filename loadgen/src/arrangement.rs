//! Judges how best available says that a party sits: only what the ladder can give, and only where it can give it.

use std::collections::BTreeMap;

use crate::audit::{Findings, public_name};
use crate::house::House;
use crate::ledger::{BestFact, HeldFact, Ledger};

/// The arrangements a party may be given.
const NAMES: [&str; 4] = ["contiguous", "stranding", "split", "general"];

/// How often each was answered.
pub(crate) type Tally = BTreeMap<&'static str, u64>;

/// Looks at every grant of best available.
pub(crate) fn judge(ledger: &Ledger, house: &House, findings: &mut Findings) -> Tally {
    let mut tally: Tally = NAMES.iter().map(|&name| (name, 0)).collect();
    for (id, entry) in &ledger.entries {
        let Some(held) = &entry.held else { continue };
        let Some(best) = &held.best else { continue };
        if let Some((_, count)) = tally.iter_mut().find(|(name, _)| **name == best.arrangement) {
            *count += 1;
        }
        if let Some(problem) = problem_of(held, best, house) {
            findings.wrong += 1;
            findings.problem(|| {
                let (name, seats, ga) = (public_name(id), &held.seats, &held.ga);
                format!("hold {name}: {problem}: {best:?} with seats {seats:?} and areas {ga:?}")
            });
        }
    }
    tally
}

fn problem_of(held: &HeldFact, best: &BestFact, house: &House) -> Option<&'static str> {
    let admissions: u64 = held.ga.iter().map(|&(_, quantity)| u64::from(quantity)).sum();
    if held.seats.len() as u64 + admissions != best.places {
        return Some("another number of places than asked for");
    }
    if held.seats.iter().any(|&seat| house.special.get(seat as usize) != Some(&false)) {
        return Some("an accessible seat or a companion's that nobody asked for, or no seat of the plan");
    }
    let seats_only = held.ga.is_empty();
    match best.arrangement.as_str() {
        "contiguous" | "stranding" if !seats_only || !is_one_piece_of_a_row(&held.seats, house) => {
            Some("not side by side in one row")
        }
        "split" if !seats_only => Some("split, and partly in an area"),
        "general" if !held.seats.is_empty() || held.ga.len() != 1 => Some("general, and not all in one area"),
        name if !NAMES.contains(&name) => Some("an arrangement that best available does not have"),
        _ => None,
    }
}

fn is_one_piece_of_a_row(seats: &[u32], house: &House) -> bool {
    let Some(block) = seats.first().and_then(|&seat| house.block(seat)) else { return false };
    !block.ring
        && seats.windows(2).all(|pair| pair[1] == pair[0] + 1)
        && seats.last().is_some_and(|&last| last < block.first + block.count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house::tests::house_of;
    use crate::ledger::{EventFact, Fact};

    fn judged(seats: &[u32], ga: &[(u32, u32)], places: u64, arrangement: &str) -> u64 {
        let mut house = house_of(&[4, 4, 4], 2);
        house.blocks[2].ring = true;
        house.special[3] = true;
        let mut ledger = Ledger::new(EventFact::default());
        ledger.note(Fact::Held(HeldFact {
            hold: "a".to_owned(),
            seats: seats.to_vec(),
            ga: ga.to_vec(),
            position: 1,
            exact: true,
            server_time_ms: 1,
            expires_at_ms: 2,
            best: Some(BestFact { places, arrangement: arrangement.to_owned() }),
            presale: false,
        }));
        let mut findings = Findings::default();
        judge(&ledger, &house, &mut findings);
        findings.wrong
    }

    #[test]
    fn what_the_ladder_gives_is_clean() {
        assert_eq!(judged(&[4, 5, 6], &[], 3, "contiguous"), 0);
        assert_eq!(judged(&[4, 5, 6], &[], 3, "stranding"), 0);
        assert_eq!(judged(&[1, 2, 5], &[], 3, "split"), 0);
        assert_eq!(judged(&[8, 9], &[], 2, "split"), 0, "a table");
        assert_eq!(judged(&[], &[(1, 6)], 6, "general"), 0);
    }

    #[test]
    fn what_it_cannot_give_is_found() {
        assert_eq!(judged(&[4, 5], &[], 3, "contiguous"), 1, "too few");
        assert_eq!(judged(&[4, 6], &[], 2, "contiguous"), 1, "a gap");
        assert_eq!(judged(&[1, 2, 4], &[], 3, "contiguous"), 1, "a gap at a row's end");
        assert_eq!(judged(&[7, 8], &[], 2, "stranding"), 1, "two rows");
        assert_eq!(judged(&[8, 9], &[], 2, "contiguous"), 1, "a table");
        assert_eq!(judged(&[2, 3], &[], 2, "contiguous"), 1, "an accessible seat");
        assert_eq!(judged(&[99], &[], 1, "split"), 1, "no seat");
        assert_eq!(judged(&[4], &[(0, 1)], 2, "split"), 1);
        assert_eq!(judged(&[], &[(0, 1), (1, 1)], 2, "general"), 1, "two areas");
        assert_eq!(judged(&[4, 5], &[], 2, "unspecified"), 1);
    }
}
