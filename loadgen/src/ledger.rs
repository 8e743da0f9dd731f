use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, bail};
use client::{Confirmed, Held, HoldId};
use proto::inventory::v1::GaItem;
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
    Unknown { hold: String, command: String, order: Option<String> },
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
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ConfirmedFact {
    pub(crate) hold: String,
    pub(crate) order: String,
    pub(crate) seats: Vec<u32>,
    pub(crate) ga: Vec<(u32, u32)>,
    pub(crate) position: u64,
    pub(crate) exact: bool,
}

impl Fact {
    pub(crate) fn held(held: &Held) -> Self {
        Self::Held(HeldFact {
            hold: held.id.to_string(),
            seats: held.seats.clone(),
            ga: pairs(&held.ga),
            position: held.position,
            exact: !held.replayed,
            server_time_ms: held.server_time_ms,
            expires_at_ms: held.expires_at_ms,
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
        })
    }

    pub(crate) fn unknown(hold: HoldId, command: Kind, order: Option<&str>) -> Self {
        Self::Unknown {
            hold: hold.to_string(),
            command: command.name().to_owned(),
            order: order.map(ToOwned::to_owned),
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
}

/// The facts of a run, by hold.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) event: EventFact,
    pub(crate) entries: BTreeMap<String, Entry>,
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
                entry.held = Some(held);
            }
            Fact::Extended { hold, expires_at_ms } => self.entry(hold).expires_at_ms = expires_at_ms,
            Fact::Confirmed(confirmed) => self.entry(confirmed.hold.clone()).confirmed.push(confirmed),
            Fact::Released { hold, position, exact } => self.entry(hold).released = Some(exact.then_some(position)),
            Fact::Ended { hold, reason, server_time_ms } => self.entry(hold).ended = Some((reason, server_time_ms)),
            Fact::Unknown { hold, command, order } => {
                let entry = self.entry(hold);
                match command.as_str() {
                    "hold" => entry.unknown_hold = true,
                    "release" => entry.unknown_release = true,
                    _ => entry.unknown_orders.extend(order),
                }
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
        ledger.note(Fact::Unknown { hold: "a".to_owned(), command: "confirm".to_owned(), order: Some("o".to_owned()) });
        ledger.note(Fact::Released { hold: "b".to_owned(), position: 9, exact: true });
        ledger.close().expect("written");
        let read = Ledger::read(&path).expect("read");
        assert_eq!(read.event, ledger.event);
        assert_eq!(read.entries, ledger.entries);
        assert_eq!(read.entries["a"].expires_at_ms, 9_000);
        assert_eq!(read.entries["a"].unknown_orders, ["o"]);

        let mut text = std::fs::read_to_string(&path).expect("text");
        text.truncate(text.len() - 7);
        std::fs::write(&path, text).expect("write");
        let torn = Ledger::read(&path).expect("read");
        assert!(!torn.entries.contains_key("b") && torn.entries.contains_key("a"));
    }

    #[test]
    fn a_file_that_is_no_ledger_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("other");
        std::fs::write(&path, "hello\nworld\n").expect("write");
        assert!(Ledger::read(&path).is_err());
    }
}
