//! Judges payments: money that came is a sale of the places it was for, once, or it is owed back.

use serde_json::{Value, json};

use crate::audit::{Findings, public_name};
use crate::ledger::{Entry, Ledger};

/// What became of the payments of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Payments that came.
    pub(crate) came: u64,
    pub(crate) sold: u64,
    pub(crate) owed_back: u64,
    /// Those that came when their hold had ended, by how they ended.
    pub(crate) late_reclaimed: u64,
    pub(crate) late_owed_back: u64,
    /// Second payments of holds that are sold.
    pub(crate) second_owed_back: u64,
    /// Nobody knows: no answer came.
    pub(crate) unknown: u64,
}

impl Tally {
    /// For the report; nothing when no payment came.
    pub(crate) fn to_json(self) -> Option<Value> {
        (self.came > 0).then(|| {
            json!({
                "came": self.came,
                "sold": self.sold,
                "owed_back": self.owed_back,
                "late_reclaimed": self.late_reclaimed,
                "late_owed_back": self.late_owed_back,
                "second_owed_back": self.second_owed_back,
                "unknown": self.unknown,
            })
        })
    }
}

/// Looks at every payment of the ledger.
pub(crate) fn judge(ledger: &Ledger, findings: &mut Findings) -> Tally {
    let mut tally = Tally::default();
    for (id, entry) in ledger.entries.iter().filter(|(_, entry)| !entry.payments.is_empty()) {
        let name = public_name(id);
        for (attempt, payment) in &entry.payments {
            tally.came += 1;
            let mut broken = |problem: &str| {
                findings.money += 1;
                findings.problem(|| format!("hold {name}, payment {attempt}: {problem} {:?}", payment.refused));
            };
            let refused_for_nothing = payment.refused.len() as u64 > payment.refunds;
            match (payment.sold > 0, payment.refunds > 0) {
                (true, true) => broken("sold, and owed back as well"),
                (true, false) if refused_for_nothing => broken("sold, and refused as well"),
                (true, false) => {
                    tally.sold += 1;
                    tally.late_reclaimed += u64::from(payment.late);
                }
                (false, true) => {
                    tally.owed_back += 1;
                    tally.late_owed_back += u64::from(payment.late);
                    let of_another = |reason: &String| reason == "HOLD_ALREADY_CONFIRMED";
                    tally.second_owed_back += u64::from(payment.refused.iter().any(of_another));
                }
                (false, false) if payment.unknown => tally.unknown += 1,
                (false, false) => broken("neither sold nor owed back"),
            }
        }
        judge_hold(&name, entry, findings);
    }
    tally
}

/// The sales of one hold, by whichever payment.
fn judge_hold(name: &str, entry: &Entry, findings: &mut Findings) {
    let paid = entry.payments.values().filter(|payment| payment.sold > 0).count();
    if paid > 1 {
        findings.money += 1;
        findings.problem(|| format!("hold {name} was sold to {paid} payments"));
    }
    let done = entry.confirmed.iter().filter(|sale| sale.exact).count();
    if done > 1 {
        findings.money += 1;
        findings.problem(|| format!("hold {name} was sold {done} times"));
    }
    let Some(held) = &entry.held else { return };
    for sale in entry.confirmed.iter().filter(|sale| sale.attempt.is_some()) {
        if (&sale.seats, &sale.ga) != (&held.seats, &held.ga) {
            findings.money += 1;
            findings.problem(|| {
                let (seats, had) = ((&sale.seats, &sale.ga), (&held.seats, &held.ga));
                format!("hold {name} had {had:?}, and its payment was given {seats:?}")
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{ConfirmedFact, EventFact, Fact, HeldFact, NotSoldFact};

    /// A hold of seats 1 and 2 and its payments, each with its answers.
    fn judged(payments: &[(&str, bool, &[Answer])]) -> (Findings, Tally) {
        let mut ledger = Ledger::new(EventFact::default());
        ledger.note(Fact::Held(HeldFact {
            hold: "a".to_owned(),
            seats: vec![1, 2],
            ga: vec![(0, 1)],
            position: 1,
            exact: true,
            server_time_ms: 1,
            expires_at_ms: 100,
            best: None,
            presale: false,
        }));
        for &(attempt, late, answers) in payments {
            let came = Fact::Came { hold: "a".to_owned(), attempt: attempt.to_owned(), order: "o".to_owned(), late };
            ledger.note(came);
            for answer in answers {
                ledger.note(fact(attempt, answer));
            }
        }
        let mut findings = Findings::default();
        let tally = judge(&ledger, &mut findings);
        (findings, tally)
    }

    enum Answer {
        /// Sold, these seats, and whether the answer repeats an earlier one.
        Sold(&'static [u32], bool),
        Refused(&'static str, bool),
        None,
    }

    fn fact(attempt: &str, answer: &Answer) -> Fact {
        match *answer {
            Answer::Sold(seats, replayed) => Fact::Confirmed(ConfirmedFact {
                hold: "a".to_owned(),
                order: "o".to_owned(),
                seats: seats.to_vec(),
                ga: vec![(0, 1)],
                position: 5,
                exact: !replayed,
                attempt: Some(attempt.to_owned()),
                reclaim: false,
                server_time_ms: 50,
            }),
            Answer::Refused(reason, refund_due) => Fact::NotSold(NotSoldFact {
                hold: "a".to_owned(),
                attempt: attempt.to_owned(),
                reason: reason.to_owned(),
                refund_due,
                server_time_ms: 120,
            }),
            Answer::None => Fact::Unknown {
                hold: "a".to_owned(),
                command: "confirm".to_owned(),
                order: Some("o".to_owned()),
                attempt: Some(attempt.to_owned()),
            },
        }
    }

    const ALL: &[u32] = &[1, 2];

    #[test]
    fn payments_that_end_once_are_clean() {
        let again = Answer::Refused("HOLD_ALREADY_CONFIRMED", true);
        let (findings, tally) = judged(&[
            ("p", false, &[Answer::Sold(ALL, false), Answer::Sold(ALL, true)]),
            ("q", false, &[again]),
            ("r", true, &[Answer::Refused("HOLD_ALREADY_CONFIRMED", true)]),
        ]);
        assert!(findings.is_clean(), "{:?}", findings.problems);
        let want = Tally { came: 3, sold: 1, owed_back: 2, late_owed_back: 1, second_owed_back: 2, ..Tally::default() };
        assert_eq!(tally, want);
        let (findings, tally) = judged(&[("p", true, &[Answer::Sold(ALL, false)])]);
        assert_eq!((findings.money, tally.late_reclaimed), (0, 1));
        let (findings, tally) = judged(&[("p", false, &[Answer::None])]);
        assert_eq!((findings.money, tally.unknown), (0, 1), "a crash may leave it open; the hold is read");
    }

    #[test]
    fn a_second_sale_of_one_hold_is_found() {
        let twice: (&str, bool, &[Answer]) = ("p", false, &[Answer::Sold(ALL, false)]);
        let (findings, _) = judged(&[twice, ("q", false, &[Answer::Sold(ALL, true)])]);
        assert_eq!(findings.money, 1, "two payments, one sale told to both: {:?}", findings.problems);
        let (findings, _) = judged(&[("p", false, &[Answer::Sold(ALL, false), Answer::Sold(ALL, false)])]);
        assert_eq!(findings.money, 1, "one payment, sold by two changes");
    }

    #[test]
    fn money_that_is_neither_or_both_is_found() {
        let broken = |answers: &[Answer]| judged(&[("p", false, answers)]).0.money;
        assert_eq!(broken(&[Answer::Refused("HOLD_EXPIRED", false)]), 1, "no refund and no sale");
        assert_eq!(broken(&[]), 1, "no answer at all was taken down");
        assert_eq!(broken(&[Answer::Sold(ALL, false), Answer::Refused("HOLD_EXPIRED", true)]), 1);
        assert_eq!(broken(&[Answer::Sold(ALL, false), Answer::Refused("HOLD_EXPIRED", false)]), 1);
    }

    #[test]
    fn seats_of_another_buyer_are_found() {
        let (findings, _) = judged(&[("p", false, &[Answer::Sold(&[1, 3], false)])]);
        assert_eq!(findings.money, 1);
    }
}
