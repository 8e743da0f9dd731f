//! What clients asked of one event and what they were told: the only evidence that checkers have of the clients' side.
//!
//! A history is of *logical* operations: a command that was sent three times because connections broke is one
//! operation from its first sending to its last answer.
//!
//! Not here: how operations come about (`recorder.rs`), what is right (`by_position.rs`, `linear/`).

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

/// A hold or request id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id(pub u128);

impl Id {
    /// From the two halves of a Session.
    #[must_use]
    pub fn from_halves((high, low): (u64, u64)) -> Self {
        Self(u128::from(high) << 64 | u128::from(low))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Trials own their servers: full ids in their reports harm nobody and can be searched for.
        write!(f, "{:032x}", self.0)
    }
}

impl From<Id> for String {
    fn from(id: Id) -> String {
        id.to_string()
    }
}

impl FromStr for Id {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

impl TryFrom<String> for Id {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// Part of a hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The request.
    pub request: Id,
    /// These seats of it.
    pub seats: Vec<u32>,
    /// So many admissions of it.
    pub floor: u32,
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// Take places.
    Hold {
        /// Name of the hold.
        hold: Id,
        /// These seats.
        seats: Vec<u32>,
        /// So many admissions; 0: none.
        floor: u32,
        /// Content with so many admissions; 0: all or nothing.
        floor_min: u32,
        /// So many seats of the server's choice; 0: none.
        best: u32,
        /// In place of this hold.
        replace: Option<Id>,
        /// For so long.
        ttl_ms: u64,
    },
    /// Sell them.
    Confirm {
        /// The hold.
        hold: Id,
        /// The order.
        order: String,
        /// Only these; none: the whole hold.
        part: Option<Part>,
        /// With a part: the rest is given back instead of kept.
        release_rest: bool,
    },
    /// Give them back.
    Release {
        /// The hold.
        hold: Id,
        /// Only these; none: the whole hold.
        part: Option<Part>,
    },
    /// Move the deadline.
    Extend {
        /// The hold.
        hold: Id,
        /// The request.
        request: Id,
        /// To now and so much.
        ttl_ms: u64,
    },
    /// Read a hold.
    GetHold {
        /// The hold.
        hold: Id,
    },
    /// Read the seat map.
    SeatMap,
}

impl Call {
    /// The hold it names, if it names one.
    #[must_use]
    pub fn hold(&self) -> Option<Id> {
        match self {
            Call::Hold { hold, .. }
            | Call::Confirm { hold, .. }
            | Call::Release { hold, .. }
            | Call::Extend { hold, .. }
            | Call::GetHold { hold } => Some(*hold),
            Call::SeatMap => None,
        }
    }

    /// Whether it can have no effect.
    #[must_use]
    pub fn is_read(&self) -> bool {
        matches!(self, Call::GetHold { .. } | Call::SeatMap)
    }
}

/// State of a hold as it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// Live.
    Active,
    /// Ended as a sale.
    Confirmed,
    /// Ended by request.
    Released,
    /// Ended by time.
    Expired,
}

/// A hold as it was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldTold {
    /// Its state.
    pub phase: Phase,
    /// Seats held.
    pub seats: Vec<u32>,
    /// Admissions held.
    pub floor: u32,
    /// Seats sold.
    pub sold_seats: Vec<u32>,
    /// Admissions sold.
    pub sold_floor: u32,
    /// When it was made.
    pub created_at_ms: u64,
    /// Its deadline.
    pub expires_at_ms: u64,
    /// When it ended.
    pub ended_at_ms: u64,
    /// Extends left.
    pub renewals_left: u32,
    /// Its orders.
    pub orders: Vec<String>,
    /// What ended it, by its number on the wire.
    pub cause: i32,
}

/// What an answer said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Told {
    /// Of a Hold.
    Held {
        /// The seats.
        seats: Vec<u32>,
        /// The admissions.
        floor: u32,
        /// The deadline.
        expires_at_ms: u64,
        /// How chosen seats lie, by its number on the wire.
        arrangement: i32,
        /// It had been done before.
        replayed: bool,
    },
    /// Of a Confirm.
    Confirmed {
        /// All seats sold out of the hold.
        seats: Vec<u32>,
        /// All admissions sold out of the hold.
        floor: u32,
        /// It had been done before.
        replayed: bool,
    },
    /// Of a Release.
    Released {
        /// It had been done before.
        replayed: bool,
    },
    /// Of an Extend.
    Extended {
        /// The deadline; 0: the hold has ended.
        expires_at_ms: u64,
        /// It had been done before.
        replayed: bool,
    },
    /// Of a GetHold.
    Hold(HoldTold),
    /// Of a seat map.
    Map {
        /// A letter for each seat: `.` open, `h` held, `S` sold.
        seats: String,
        /// Admissions open, held, sold.
        floor: (u32, u32, u32),
    },
    /// A refusal that was judged.
    Refused {
        /// Its name.
        reason: String,
        /// The same command took effect once.
        executed: bool,
        /// Seats in the way, with their letters as in a map.
        seats: Vec<(u32, char)>,
        /// Places that may come back.
        held_unpaid: u32,
    },
}

impl Told {
    /// Whether the answer is that of the very change that the command made.
    #[must_use]
    pub fn is_own_change(&self) -> bool {
        match self {
            Told::Held { replayed, .. }
            | Told::Confirmed { replayed, .. }
            | Told::Released { replayed }
            | Told::Extended { replayed, .. } => !replayed,
            Told::Hold(_) | Told::Map { .. } | Told::Refused { .. } => false,
        }
    }

    /// Whether the answer says that the command took effect, now or earlier.
    #[must_use]
    pub fn is_done(&self) -> bool {
        match self {
            Told::Held { .. } | Told::Confirmed { .. } | Told::Released { .. } | Told::Extended { .. } => true,
            Told::Refused { executed, .. } => *executed,
            Told::Hold(_) | Told::Map { .. } => false,
        }
    }
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It was judged and answered.
    Answered {
        /// The position the answer is true at.
        position: u64,
        /// The server's time of the answer.
        server_time_ms: u64,
        /// What it said.
        told: Told,
    },
    /// It certainly had no effect and was not judged: the server was busy, starting or short of space.
    NotDone {
        /// The name of the reason.
        reason: String,
    },
    /// Nobody knows: it took effect at some time after it was asked, or never.
    Unknown {
        /// What the client saw.
        problem: String,
    },
}

/// One logical operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Who asked.
    pub client: u32,
    /// When, in nanoseconds of the campaign's monotonic clock.
    pub asked_ns: u64,
    /// When the answer was there, or the client gave up.
    pub ended_ns: u64,
    /// What was asked.
    pub call: Call,
    /// What came of it.
    pub outcome: Outcome,
}

/// Everything that clients did with one event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The event.
    pub event_id: String,
    /// In the order in which they ended.
    pub operations: Vec<Operation>,
}

/// The first line of a file.
#[derive(Serialize, Deserialize)]
struct Heading {
    event_id: String,
    operations: usize,
}

impl History {
    /// Writes it as JSON lines: a heading, then one line an operation.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
        let mut lines = BufWriter::new(file);
        let heading = Heading { event_id: self.event_id.clone(), operations: self.operations.len() };
        writeln!(lines, "{}", serde_json::to_string(&heading)?)?;
        for operation in &self.operations {
            writeln!(lines, "{}", serde_json::to_string(operation)?)?;
        }
        lines.flush().with_context(|| format!("write {}", path.display()))
    }

    /// Reads what [`History::write`] wrote.
    ///
    /// # Errors
    /// When the file cannot be read or a line is not what it should be; the line is named.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display();
        let file = File::open(path).with_context(|| format!("open {name}"))?;
        let mut lines = BufReader::new(file).lines();
        let first = lines.next().with_context(|| format!("{name} is empty"))??;
        let heading: Heading = serde_json::from_str(&first).with_context(|| format!("{name}, line 1"))?;
        let mut operations = Vec::new();
        for (at, line) in lines.enumerate() {
            operations.push(serde_json::from_str(&line?).with_context(|| format!("{name}, line {}", at + 2))?);
        }
        ensure!(
            operations.len() == heading.operations,
            "{name} has {} operations, and its first line says {}",
            operations.len(),
            heading.operations
        );
        Ok(Self { event_id: heading.event_id, operations })
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Operation { client, asked_ns, ended_ns, call, outcome } = self;
        write!(f, "client {client}, {asked_ns} to {ended_ns} ns: {call:?} -> {outcome:?}")
    }
}
