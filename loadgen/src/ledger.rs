use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, bail};
use client::{AttemptId, Confirmed, Held, HoldId};
use proto::inventory::v1::{Arrangement, GaItem};
use serde::{Deserialize, Serialize};

use crate::measure::Kind;

/// What the server acknowledged, and what was asked without an answer: one line of a ledger file. It is all the
/// audit knows of the run, so an audit of a file needs nothing else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub(crate) enum Fact {
    /// The event, as it was before the run.
    Event(EventFact),
    /// A hold was acknowledged.
    Held(HeldFact),
    /// A hold was prolonged.
    Extended { hold: String, expires_at_ms: u64 },
    /// A sale was acknowledged.
    Confirmed(ConfirmedFact),
    /// A release was acknowledged.
    Released { hold: String, position: u64, exact: bool },
    /// A command on the hold was told that it has ended.
    Ended { hold: String, reason: String, server_time_ms: u64 },
    /// Nobody knows what became of a command: it was sent and sent again, and no answer came.
    Unknown {
        hold: String,
        command: String,
        order: Option<String>,
        /// The payment that was named.
        #[serde(default)]
        attempt: Option<String>,
    },
    /// Seats that were named were refused because somebody would be left alone.
    Stranded(StrandedFact),
    /// A payment was begun: the hold lives at least until this.
    Begun { hold: String, attempt: String, deadline_ms: u64 },
    /// A payment came to nothing: the hold lives until this.
    EndedPayment { hold: String, attempt: String, expires_at_ms: u64 },
    /// Money came for a hold. From here on it must end in a sale or be owed back.
    Came { hold: String, attempt: String, order: String, late: bool },
    /// A confirm of money that came was refused.
    NotSold(NotSoldFact),
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct EventFact {
    pub(crate) event_id: String,
    pub(crate) seat_count: u32,
    pub(crate) capacity: u32,
    pub(crate) incarnation: u64,
    /// Seats sold before the run.
    pub(crate) sold_seats: Vec<u32>,
    /// Admissions sold before the run, by area.
    pub(crate) sold_ga: Vec<u32>,
    /// Seats held before the run, and admissions by area.
    #[serde(default)]
    pub(crate) held_seats: Vec<u32>,
    #[serde(default)]
    pub(crate) held_ga: Vec<u32>,
    /// Seats that were not for sale before the run.
    #[serde(default)]
    pub(crate) closed_seats: Vec<u32>,
    /// Of these, seats that are set aside for buyers who bring the key.
    #[serde(default)]
    pub(crate) presale_seats: Vec<u32>,
    /// The orphan rule by name. Empty: not taken down.
    #[serde(default)]
    pub(crate) orphan_rule: String,
}

/// What best available was asked for and how it was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BestFact {
    pub(crate) places: u64,
    pub(crate) arrangement: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StrandedFact {
    pub(crate) seats: Vec<u32>,
    /// The position it is true at.
    pub(crate) position: u64,
    pub(crate) server_time_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NotSoldFact {
    pub(crate) hold: String,
    pub(crate) attempt: String,
    pub(crate) reason: String,
    /// The answer said to give the money back.
    pub(crate) refund_due: bool,
    pub(crate) server_time_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct HeldFact {
    pub(crate) hold: String,
    pub(crate) seats: Vec<u32>,
    /// Area and quantity.
    pub(crate) ga: Vec<(u32, u32)>,
    pub(crate) position: u64,
    /// The position is that of the change itself. An answer to a repeated command may carry a later one.
    pub(crate) exact: bool,
    pub(crate) server_time_ms: u64,
    pub(crate) expires_at_ms: u64,
    /// The server chose. Not: places were named.
    #[serde(default)]
    pub(crate) best: Option<BestFact>,
    /// The buyer brought the key of the presale.
    #[serde(default)]
    pub(crate) presale: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ConfirmedFact {
    pub(crate) hold: String,
    pub(crate) order: String,
    pub(crate) seats: Vec<u32>,
    pub(crate) ga: Vec<(u32, u32)>,
    pub(crate) position: u64,
    pub(crate) exact: bool,
    /// The payment that was named.
    #[serde(default)]
    pub(crate) attempt: Option<String>,
    /// The confirm might take the places of an expired hold again.
    #[serde(default)]
    pub(crate) reclaim: bool,
    #[serde(default)]
    pub(crate) server_time_ms: u64,
}

/// How an arrangement is called in a ledger and in a report.
pub(crate) fn arrangement_name(arrangement: Arrangement) -> &'static str {
    match arrangement {
        Arrangement::Unspecified => "unspecified",
        Arrangement::Contiguous => "contiguous",
        Arrangement::Stranding => "stranding",
        Arrangement::Split => "split",
        Arrangement::General => "general",
    }
}

impl Fact {
    /// `best`: so many places were left to the server's choice. `presale`: the buyer brought the key.
    pub(crate) fn held(held: &Held, best: Option<u64>, presale: bool) -> Self {
        Self::Held(HeldFact {
            hold: held.id.to_string(),
            seats: held.seats.clone(),
            ga: pairs(&held.ga),
            position: held.position,
            exact: !held.replayed,
            server_time_ms: held.server_time_ms,
            expires_at_ms: held.expires_at_ms,
            best: best.map(|places| BestFact { places, arrangement: arrangement_name(held.arrangement).to_owned() }),
            presale,
        })
    }

    pub(crate) fn confirmed(hold: HoldId, order: &str, confirmed: &Confirmed) -> Self {
        Self::Confirmed(ConfirmedFact {
            hold: hold.to_string(),
            order: order.to_owned(),
            seats: confirmed.seats.clone(),
            ga: pairs(&confirmed.ga),
            position: confirmed.position,
            exact: !confirmed.replayed,
            attempt: None,
            reclaim: false,
            server_time_ms: confirmed.server_time_ms,
        })
    }

    /// Sold for money that came by this attempt.
    pub(crate) fn paid(hold: HoldId, order: &str, attempt: AttemptId, reclaim: bool, confirmed: &Confirmed) -> Self {
        match Self::confirmed(hold, order, confirmed) {
            Self::Confirmed(fact) => {
                Self::Confirmed(ConfirmedFact { attempt: Some(attempt.to_string()), reclaim, ..fact })
            }
            other => other,
        }
    }

    pub(crate) fn unknown(hold: HoldId, command: Kind, order: Option<&str>) -> Self {
        Self::Unknown {
            hold: hold.to_string(),
            command: command.name().to_owned(),
            order: order.map(ToOwned::to_owned),
            attempt: None,
        }
    }

    /// No answer to the confirm of money that came.
    pub(crate) fn unpaid(hold: HoldId, order: &str, attempt: AttemptId) -> Self {
        Self::Unknown {
            hold: hold.to_string(),
            command: Kind::Confirm.name().to_owned(),
            order: Some(order.to_owned()),
            attempt: Some(attempt.to_string()),
        }
    }
}

fn pairs(items: &[GaItem]) -> Vec<(u32, u32)> {
    items.iter().map(|item| (item.area, item.quantity)).collect()
}

/// One hold of the ledger with all that is known of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Entry {
    /// The hold was acknowledged. Not: only unknown outcomes name it.
    pub(crate) held: Option<HeldFact>,
    /// Its deadline after extensions.
    pub(crate) expires_at_ms: u64,
    pub(crate) confirmed: Vec<ConfirmedFact>,
    /// Released, at this position if it is known exactly.
    pub(crate) released: Option<Option<u64>>,
    /// An answer said that it has ended, why and when.
    pub(crate) ended: Option<(String, u64)>,
    /// Confirms without an answer, by order: they may have sold.
    pub(crate) unknown_orders: Vec<String>,
    /// A release without an answer: it may have released.
    pub(crate) unknown_release: bool,
    /// The hold itself was asked for without an answer.
    pub(crate) unknown_hold: bool,
    /// Grants of this hold beyond the first.
    pub(crate) granted_again: u64,
    /// Money that came, by attempt.
    pub(crate) payments: BTreeMap<String, Payment>,
}

/// One payment and all that was answered to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Payment {
    /// It came when the hold had ended.
    pub(crate) late: bool,
    /// Answers that it is sold, those that repeat an earlier one included.
    pub(crate) sold: u64,
    /// Answers that the money must be given back.
    pub(crate) refunds: u64,
    /// The reason of each refusal.
    pub(crate) refused: Vec<String>,
    /// A confirm of it had no answer.
    pub(crate) unknown: bool,
}

impl Entry {
    /// This sale took the places again after they had been open: it was made when the last deadline had passed.
    pub(crate) fn is_reclaimed(&self, sale: &ConfirmedFact) -> bool {
        sale.reclaim && sale.server_time_ms >= self.expires_at_ms
    }
}

/// The facts of a run, by hold.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) event: EventFact,
    pub(crate) entries: BTreeMap<String, Entry>,
    /// Seats refused because somebody would be left alone.
    pub(crate) stranded: Vec<StrandedFact>,
    file: Option<BufWriter<File>>,
    file_error: Option<std::io::Error>,
}

impl Ledger {
    pub(crate) fn new(event: EventFact) -> Self {
        Self { event, ..Self::default() }
    }

    /// Writes every fact to a file as well, the event first.
    pub(crate) fn with_file(mut self, path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| format!("cannot make the ledger file {}", path.display()))?;
        let mut file = BufWriter::with_capacity(1 << 20, file);
        write_line(&mut file, &Fact::Event(self.event.clone()))?;
        self.file = Some(file);
        Ok(self)
    }

    /// Reads a file written by an earlier run. A last line cut short by a crash is left out.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot open the ledger file {}", path.display()))?;
        let mut ledger = Self::default();
        let mut lines = BufReader::new(file).lines().enumerate().peekable();
        while let Some((number, line)) = lines.next() {
            let line = line.with_context(|| format!("cannot read {}", path.display()))?;
            match serde_json::from_str::<Fact>(&line) {
                Ok(fact) => ledger.apply(fact),
                Err(_) if lines.peek().is_none() => {}
                Err(error) => bail!("{}:{}: {error}", path.display(), number + 1),
            }
        }
        if ledger.event.event_id.is_empty() {
            bail!("{} names no event: it is no ledger of this program", path.display());
        }
        Ok(ledger)
    }

    /// Takes down a fact.
    pub(crate) fn note(&mut self, fact: Fact) {
        if let Some(file) = &mut self.file
            && let Err(error) = write_line(file, &fact)
        {
            // The run goes on and the end says that the file is not whole.
            self.file_error.get_or_insert(error);
            self.file = None;
        }
        self.apply(fact);
    }

    /// Writes out what is buffered.
    pub(crate) fn close(&mut self) -> std::io::Result<()> {
        if let Some(error) = self.file_error.take() {
            return Err(error);
        }
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }

    fn apply(&mut self, fact: Fact) {
        match fact {
            Fact::Event(event) => self.event = event,
            Fact::Held(held) => {
                let entry = self.entries.entry(held.hold.clone()).or_default();
                entry.expires_at_ms = entry.expires_at_ms.max(held.expires_at_ms);
                entry.granted_again += u64::from(entry.held.is_some());
                entry.held = Some(held);
            }
            Fact::Extended { hold, expires_at_ms } => self.entry(hold).expires_at_ms = expires_at_ms,
            Fact::Confirmed(confirmed) => {
                let entry = self.entry(confirmed.hold.clone());
                if let Some(attempt) = &confirmed.attempt {
                    entry.payments.entry(attempt.clone()).or_default().sold += 1;
                }
                // The same sale told again is one sale.
                let same = |sale: &ConfirmedFact| {
                    (&sale.order, &sale.seats, &sale.ga) == (&confirmed.order, &confirmed.seats, &confirmed.ga)
                };
                if confirmed.exact || !entry.confirmed.iter().any(same) {
                    entry.confirmed.push(confirmed);
                }
            }
            Fact::Released { hold, position, exact } => self.entry(hold).released = Some(exact.then_some(position)),
            Fact::Ended { hold, reason, server_time_ms } => self.entry(hold).ended = Some((reason, server_time_ms)),
            Fact::Unknown { hold, command, order, attempt } => {
                let entry = self.entry(hold);
                if let Some(attempt) = attempt {
                    entry.payments.entry(attempt).or_default().unknown = true;
                }
                match command.as_str() {
                    "hold" => entry.unknown_hold = true,
                    "release" => entry.unknown_release = true,
                    // It may be back at its own deadline, which is the earliest of those it may have.
                    "end_payment" => entry.expires_at_ms = entry.held.as_ref().map_or(0, |held| held.expires_at_ms),
                    "begin_payment" => {}
                    _ => entry.unknown_orders.extend(order),
                }
            }
            Fact::Stranded(stranded) => self.stranded.push(stranded),
            Fact::Begun { hold, deadline_ms, .. } => {
                let entry = self.entry(hold);
                entry.expires_at_ms = entry.expires_at_ms.max(deadline_ms);
            }
            Fact::EndedPayment { hold, expires_at_ms, .. } => self.entry(hold).expires_at_ms = expires_at_ms,
            Fact::Came { hold, attempt, late, .. } => {
                self.entry(hold).payments.entry(attempt).or_default().late = late;
            }
            Fact::NotSold(fact) => {
                let payment = self.entry(fact.hold).payments.entry(fact.attempt).or_default();
                payment.refunds += u64::from(fact.refund_due);
                payment.refused.push(fact.reason);
            }
        }
    }

    fn entry(&mut self, hold: String) -> &mut Entry {
        self.entries.entry(hold).or_default()
    }
}

fn write_line(file: &mut BufWriter<File>, fact: &Fact) -> std::io::Result<()> {
    serde_json::to_writer(&mut *file, fact)?;
    file.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(hold: &str, seats: Vec<u32>, position: u64) -> Fact {
        Fact::Held(HeldFact {
            hold: hold.to_owned(),
            seats,
            ga: vec![(0, 2)],
            position,
            exact: true,
            server_time_ms: 10,
            expires_at_ms: 5_010,
            best: Some(BestFact { places: 4, arrangement: "contiguous".to_owned() }),
            presale: false,
        })
    }

    #[test]
    fn a_ledger_file_reads_back_as_it_was_and_a_torn_last_line_is_left_out() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("ledger.jsonl");
        let event = EventFact { event_id: "e".to_owned(), seat_count: 10, ..EventFact::default() };
        let mut ledger = Ledger::new(event).with_file(&path).expect("a file");
        ledger.note(held("a", vec![1, 2], 4));
        ledger.note(Fact::Extended { hold: "a".to_owned(), expires_at_ms: 9_000 });
        ledger.note(Fact::Unknown {
            hold: "a".to_owned(),
            command: "confirm".to_owned(),
            order: Some("o".to_owned()),
            attempt: Some("q".to_owned()),
        });
        ledger.note(Fact::Came { hold: "a".to_owned(), attempt: "p".to_owned(), order: "o".to_owned(), late: true });
        ledger.note(Fact::NotSold(NotSoldFact {
            hold: "a".to_owned(),
            attempt: "p".to_owned(),
            reason: "HOLD_EXPIRED".to_owned(),
            refund_due: true,
            server_time_ms: 9_100,
        }));
        ledger.note(Fact::Stranded(StrandedFact { seats: vec![3], position: 5, server_time_ms: 20 }));
        ledger.note(Fact::Released { hold: "b".to_owned(), position: 9, exact: true });
        ledger.close().expect("written");
        let read = Ledger::read(&path).expect("read");
        assert_eq!(read.event, ledger.event);
        assert_eq!((&read.entries, &read.stranded), (&ledger.entries, &ledger.stranded));
        assert_eq!(read.entries["a"].payments["p"].refused, ["HOLD_EXPIRED"]);
        assert_eq!(read.entries["a"].expires_at_ms, 9_000);
        assert_eq!(read.entries["a"].unknown_orders, ["o"]);
        assert!(read.entries["a"].payments["q"].unknown);

        let mut text = std::fs::read_to_string(&path).expect("text");
        text.truncate(text.len() - 7);
        std::fs::write(&path, text).expect("write");
        let torn = Ledger::read(&path).expect("read");
        assert!(!torn.entries.contains_key("b") && torn.entries.contains_key("a"));
    }

    #[test]
    fn a_line_of_an_earlier_version_is_read() {
        let line = r#"{"fact":"held","hold":"a","seats":[1],"ga":[],"position":4,"exact":true,"#.to_owned()
            + r#""server_time_ms":1,"expires_at_ms":2}"#;
        assert!(matches!(serde_json::from_str(&line), Ok(Fact::Held(HeldFact { best: None, .. }))));
        let line = r#"{"fact":"confirmed","hold":"a","order":"o","seats":[1],"ga":[],"position":4,"exact":true}"#;
        assert!(matches!(serde_json::from_str(line), Ok(Fact::Confirmed(ConfirmedFact { attempt: None, .. }))));
    }

    #[test]
    fn a_file_that_is_no_ledger_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("other");
        std::fs::write(&path, "hello\nworld\n").expect("write");
        assert!(Ledger::read(&path).is_err());
    }
}
