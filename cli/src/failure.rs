//! Why a command did not do what was asked, in words, as JSON and as an exit code.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use backup::{RestoreError, SealedError};
use client::{Executed, PlaceInTheWay, Reason, Refusal};
use proto::inventory::v1::PlaceState;
use serde_json::{Value, json};

use crate::duration;
use crate::instant;

/// What the program ends with.
pub(crate) mod exit {
    /// The server, or a check, said no.
    pub(crate) const REFUSED: u8 = 1;
    /// The arguments make no sense.
    pub(crate) const USAGE: u8 = 2;
    /// A file to read is not there.
    pub(crate) const INPUT_MISSING: u8 = 66;
    /// A backup is damaged or incomplete.
    pub(crate) const DAMAGED: u8 = 65;
    /// The server cannot be reached or does not take commands now.
    pub(crate) const UNAVAILABLE: u8 = 69;
    /// The output could not be written.
    pub(crate) const OUTPUT: u8 = 74;
}

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server said no.
    Refused {
        /// Why.
        refusal: Box<Refusal>,
        /// The places in the way by name, where their names could be learned.
        places: Vec<NamedPlace>,
        /// For fields of the request that hold what the person typed: the field and the word.
        typed: Vec<(String, String)>,
    },
    /// No usable answer came.
    Unavailable {
        /// What happened.
        problem: String,
        /// No answer told whether the call was done. That matters only where `advice` is set.
        outcome_unknown: bool,
        /// For a command that may have changed something: how to find out, in words.
        advice: Option<String>,
    },
    /// An answer came that this program cannot use.
    Unusable {
        /// What is wrong with it.
        problem: String,
    },
    /// The arguments make no sense together.
    Usage {
        /// What is wrong with them.
        problem: String,
    },
    /// A backup is not what was asked for, or cannot be written.
    Backup {
        /// One sentence that names the object or the folder.
        problem: String,
        /// What the program ends with.
        exit_code: u8,
    },
    /// A file could not be read.
    Input {
        /// Which.
        path: String,
        /// Why.
        source: io::Error,
    },
}

/// A place in the way of a command, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedPlace {
    /// Key of the seat or area, or its index where the plan could not be read.
    pub(crate) key: String,
    /// What it is.
    pub(crate) place: PlaceInTheWay,
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Self {
        let outcome_unknown = error.outcome_unknown();
        match error {
            client::Error::Refused(refusal) => {
                let places = refusal.places.iter().map(|&place| NamedPlace::unnamed(place)).collect();
                Failure::Refused { refusal, places, typed: Vec::new() }
            }
            client::Error::Config { problem } => Failure::Usage { problem },
            client::Error::Deadline { .. } => Failure::Unavailable {
                problem: "no answer in the time allowed".to_owned(),
                outcome_unknown,
                advice: None,
            },
            client::Error::Transport { code, problem, .. } => match code {
                // The other side speaks gRPC and does not know what was asked: another program, or another version.
                Some(tonic::Code::Unimplemented) => {
                    Failure::Unusable { problem: format!("the server does not know this call ({problem})") }
                }
                _ => Failure::Unavailable { problem, outcome_unknown, advice: None },
            },
        }
    }
}

impl NamedPlace {
    /// By index only.
    pub(crate) fn unnamed(place: PlaceInTheWay) -> Self {
        let key = match place {
            PlaceInTheWay::Seat { index, .. } => format!("seat {index}"),
            PlaceInTheWay::Area { area, .. } => format!("area {area}"),
        };
        Self { key, place }
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        match self.place {
            PlaceInTheWay::Seat { state: PlaceState::Unspecified, .. } => self.key.clone(),
            PlaceInTheWay::Seat { state, .. } => format!("{} is {}", self.key, state_word(state)),
            PlaceInTheWay::Area { missing, .. } if missing > 0 => format!("{} lacks {missing}", self.key),
            PlaceInTheWay::Area { open, .. } => format!("{} has {open} open", self.key),
        }
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        match self.place {
            PlaceInTheWay::Seat { index, state } => {
                json!({ "kind": "seat", "key": self.key, "index": index, "state": state_word(state) })
            }
            PlaceInTheWay::Area { area, open, missing } => {
                json!({ "kind": "area", "key": self.key, "index": area, "open": open, "missing": missing })
            }
        }
    }
}

/// `held` for `PlaceState::Held`.
pub(crate) fn state_word(state: PlaceState) -> &'static str {
    match state {
        PlaceState::Unspecified => "unknown",
        PlaceState::Open => "open",
        PlaceState::Held => "held",
        PlaceState::Sold => "sold",
        PlaceState::Unavailable => "unavailable",
    }
}

impl Failure {
    /// With words on how to find out what became of the command, for one whose outcome is unknown.
    pub(crate) fn advise(mut self, words: impl FnOnce() -> String) -> Self {
        if let Failure::Unavailable { outcome_unknown: true, advice, .. } = &mut self {
            *advice = Some(words());
        }
        self
    }

    /// With the words a list of the request was made of, so that a refusal can name `A-1` instead of `seat_keys[0]`.
    pub(crate) fn typed<'a>(mut self, field: &str, words: impl IntoIterator<Item = &'a str>) -> Self {
        if let Failure::Refused { typed, .. } = &mut self {
            let words = words.into_iter().enumerate();
            typed.extend(words.map(|(nth, word)| (format!("{field}[{nth}]"), word.to_owned())));
        }
        self
    }

    /// With the address that does not answer: it may be the wrong one.
    pub(crate) fn at(mut self, endpoint: &str) -> Self {
        if let Failure::Unavailable { problem, .. } = &mut self {
            *problem = format!("{endpoint}: {problem}");
        }
        self
    }

    /// What the program ends with.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            // The 800s are UNAVAILABLE: nothing is wrong with the command, the server takes none now.
            Failure::Refused { refusal, .. } if refusal.reason_number / 100 == 8 => exit::UNAVAILABLE,
            Failure::Refused { .. } | Failure::Unusable { .. } => exit::REFUSED,
            Failure::Unavailable { .. } => exit::UNAVAILABLE,
            Failure::Usage { .. } => exit::USAGE,
            Failure::Backup { exit_code, .. } => *exit_code,
            Failure::Input { .. } => exit::INPUT_MISSING,
        }
    }

    /// The arguments make no sense.
    pub(crate) fn usage(problem: String) -> Failure {
        Failure::Usage { problem }
    }

    /// What a server refuses of an event that it does not have, told without one.
    pub(crate) fn event_not_found(message: String) -> Failure {
        let reason = Reason::EventNotFound;
        let refusal = Refusal {
            reason,
            reason_number: reason as i32,
            reason_name: reason.as_str_name().trim_start_matches("REASON_").to_owned(),
            message,
            executed: Executed::False,
            metadata: BTreeMap::new(),
            places: Vec::new(),
            fields: Vec::new(),
            retry_after: None,
            server_time_ms: 0,
            position: 0,
        };
        Failure::Refused { refusal: Box::new(refusal), places: Vec::new(), typed: Vec::new() }
    }

    /// What was asked for is not in the backup, or its place is taken.
    pub(crate) fn backup_refused(problem: String) -> Failure {
        Failure::Backup { problem, exit_code: exit::REFUSED }
    }

    /// A backup, or what was made of it, does not check.
    pub(crate) fn backup_damaged(problem: String) -> Failure {
        Failure::Backup { problem, exit_code: exit::DAMAGED }
    }

    /// Reading or writing failed.
    pub(crate) fn backup_unwritten(problem: String) -> Failure {
        Failure::Backup { problem, exit_code: exit::OUTPUT }
    }

    /// Why a moment cannot be restored.
    pub(crate) fn of_restore(error: RestoreError) -> Failure {
        let problem = error.to_string();
        let exit_code = match error {
            RestoreError::Nothing { .. } => exit::INPUT_MISSING,
            RestoreError::Which { .. } => exit::USAGE,
            RestoreError::TooEarly { .. } | RestoreError::Beyond { .. } => exit::REFUSED,
            RestoreError::Gap { .. }
            | RestoreError::Replay { .. }
            | RestoreError::Sealed(SealedError::Damaged { .. } | SealedError::Newer { .. }) => exit::DAMAGED,
            RestoreError::Store(_) | RestoreError::Scratch(_) | RestoreError::Sealed(SealedError::Io { .. }) => {
                exit::OUTPUT
            }
        };
        Failure::Backup { problem, exit_code }
    }

    /// One line for people.
    pub(crate) fn text(&self) -> String {
        match self {
            Failure::Refused { refusal, places, typed } => refused_text(refusal, places, typed),
            Failure::Unavailable { problem, advice, .. } => {
                let mut text = format!("unavailable: {problem}");
                if let Some(advice) = advice {
                    text.push_str(&format!("\nthe command may have been done: {advice}"));
                }
                text
            }
            Failure::Unusable { problem } | Failure::Usage { problem } | Failure::Backup { problem, .. } => {
                format!("error: {problem}")
            }
            Failure::Input { path, source } => format!("error: {path}: {source}"),
        }
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> Value {
        let error = match self {
            Failure::Refused { refusal, places, .. } => {
                let fields: Vec<Value> = refusal
                    .fields
                    .iter()
                    .map(|(field, problem)| json!({ "field": field, "problem": problem }))
                    .collect();
                json!({
                    "kind": "refused",
                    "reason": refusal.reason_name,
                    "message": refusal.message,
                    "executed": executed_word(refusal.executed),
                    "places": places.iter().map(NamedPlace::json).collect::<Vec<_>>(),
                    "fields": fields,
                    "retry_after_ms": refusal.retry_after.map(duration::millis),
                    "metadata": refusal.metadata,
                })
            }
            Failure::Unavailable { problem, advice, .. } => json!({
                "kind": "unavailable",
                "message": problem,
                "executed": executed_word(if advice.is_some() { Executed::Unknown } else { Executed::False }),
            }),
            Failure::Unusable { problem } => json!({ "kind": "unusable", "message": problem }),
            Failure::Usage { problem } => json!({ "kind": "usage", "message": problem }),
            Failure::Backup { problem, .. } => json!({ "kind": "backup", "message": problem }),
            Failure::Input { path, source } => {
                json!({ "kind": "input", "message": source.to_string(), "path": path })
            }
        };
        json!({ "error": error })
    }
}

/// `refused: PLACES_UNAVAILABLE: A-1 is held, A-2 is sold`.
fn refused_text(refusal: &Refusal, places: &[NamedPlace], typed: &[(String, String)]) -> String {
    // The most exact words the server gave: places, then fields, then its sentence.
    let why = if !places.is_empty() {
        places.iter().map(NamedPlace::text).collect::<Vec<_>>().join(", ")
    } else if !refusal.fields.is_empty() {
        let one = |(field, problem): &(String, String)| {
            let word = typed.iter().find(|(of, _)| of == field).map_or(field, |(_, word)| word);
            if word.is_empty() { problem.clone() } else { format!("{word}: {problem}") }
        };
        refusal.fields.iter().map(one).collect::<Vec<_>>().join(", ")
    } else {
        refusal.message.clone()
    };
    let mut text = format!("refused: {}", refusal.reason_name);
    // The sentence of the server names the event itself.
    if let Some(event) = refusal.event_id().filter(|_| why != refusal.message) {
        text.push_str(&format!(" in {event}"));
    }
    if !why.is_empty() {
        text.push_str(&format!(": {why}"));
    }
    if let Some(opens_at) = refusal.opens_at_ms().filter(|_| refusal.reason == Reason::SaleNotOpen) {
        text.push_str(&format!(" (opens at {})", instant::text_of_ms(opens_at)));
    }
    if let Some(wait) = refusal.retry_after.filter(|_| refusal.reason == Reason::HoldCooldown) {
        // For people: whole seconds, and not one too early.
        let wait = Duration::from_secs(duration::millis(wait).div_ceil(1_000));
        text.push_str(&format!(" (in {})", duration::short(wait)));
    }
    if refusal.held_unpaid() > 0 {
        text.push_str(&format!(" ({} held unpaid may come back)", refusal.held_unpaid()));
    }
    if refusal.refund_due() {
        text.push_str(" (a payment taken for this must be refunded)");
    }
    text
}

fn executed_word(executed: Executed) -> Value {
    match executed {
        Executed::Unspecified => Value::Null,
        Executed::False => "false".into(),
        Executed::True => "true".into(),
        Executed::Unknown => "unknown".into(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A refusal as the client library makes it.
    pub(crate) fn refusal(reason: Reason, message: &str) -> Refusal {
        Refusal {
            reason,
            reason_number: reason as i32,
            reason_name: reason.as_str_name().trim_start_matches("REASON_").to_owned(),
            message: message.to_owned(),
            executed: Executed::False,
            metadata: BTreeMap::new(),
            places: Vec::new(),
            fields: Vec::new(),
            retry_after: None,
            server_time_ms: 0,
            position: 0,
        }
    }

    fn seat(key: &str, index: u32, state: PlaceState) -> NamedPlace {
        NamedPlace { key: key.to_owned(), place: PlaceInTheWay::Seat { index, state } }
    }

    #[test]
    fn a_refusal_names_the_places_in_the_way() {
        let failure = Failure::Refused {
            refusal: Box::new(refusal(Reason::PlacesUnavailable, "some places are not open")),
            places: vec![
                seat("A-1", 0, PlaceState::Held),
                seat("A-2", 1, PlaceState::Sold),
                NamedPlace { key: "FLOOR".into(), place: PlaceInTheWay::Area { area: 0, open: 3, missing: 0 } },
            ],
            typed: Vec::new(),
        };
        assert_eq!(failure.text(), "refused: PLACES_UNAVAILABLE: A-1 is held, A-2 is sold, FLOOR has 3 open");
        assert_eq!(failure.exit_code(), 1);
        assert_eq!(
            failure.json()["error"]["places"][1],
            json!({
                "kind": "seat", "key": "A-2", "index": 1, "state": "sold",
            })
        );
        assert_eq!(failure.json()["error"]["executed"], "false");
    }

    #[test]
    fn a_refusal_without_places_uses_the_fields_or_the_sentence() {
        let mut one = refusal(Reason::ValidationFailed, "bad request");
        one.fields.push(("order_ref".into(), "is empty".into()));
        let failure = Failure::Refused { refusal: Box::new(one), places: Vec::new(), typed: Vec::new() };
        assert_eq!(failure.text(), "refused: VALIDATION_FAILED: order_ref: is empty");
        let mut unknown = refusal(Reason::UnknownPlace, "no such place");
        unknown.fields.push(("seat_keys[1]".into(), "the plan has none of this name".into()));
        let failure = Failure::from(client::Error::Refused(Box::new(unknown))).typed("seat_keys", ["A-1", "Q-9"]);
        assert_eq!(failure.text(), "refused: UNKNOWN_PLACE: Q-9: the plan has none of this name");
        assert_eq!(failure.json()["error"]["fields"][0]["field"], "seat_keys[1]");
        let sold_out =
            Failure::Refused { refusal: Box::new(refusal(Reason::SoldOut, "")), places: Vec::new(), typed: Vec::new() };
        assert_eq!(sold_out.text(), "refused: SOLD_OUT");
    }

    #[test]
    fn a_refusal_says_what_helps_to_act_on_it() {
        let mut few = refusal(Reason::NotEnoughPlaces, "2 open");
        few.metadata.insert("heldUnpaid".into(), "7".into());
        let few = Failure::Refused { refusal: Box::new(few), places: Vec::new(), typed: Vec::new() };
        assert_eq!(few.text(), "refused: NOT_ENOUGH_PLACES: 2 open (7 held unpaid may come back)");
        let mut early = refusal(Reason::SaleNotOpen, "the sale has not begun");
        early.metadata.insert("opensAtMs".into(), "1809079200000".into());
        let early = Failure::Refused { refusal: Box::new(early), places: Vec::new(), typed: Vec::new() };
        assert!(early.text().ends_with("(opens at 2027-04-30T10:00:00Z)"), "{}", early.text());
        let mut cooling = refusal(Reason::HoldCooldown, "later");
        cooling.retry_after = Some(Duration::from_millis(239_481));
        let cooling = Failure::Refused { refusal: Box::new(cooling), places: Vec::new(), typed: Vec::new() };
        assert_eq!(cooling.text(), "refused: HOLD_COOLDOWN: later (in 4m)");
        assert_eq!(cooling.json()["error"]["retry_after_ms"], 239_481);
        assert_eq!(early.json()["error"]["retry_after_ms"], Value::Null);
    }

    #[test]
    fn a_server_that_is_stopping_counts_as_unavailable() {
        let draining = Failure::Refused {
            refusal: Box::new(refusal(Reason::Draining, "")),
            places: Vec::new(),
            typed: Vec::new(),
        };
        assert_eq!(draining.exit_code(), exit::UNAVAILABLE);
    }

    #[test]
    fn advice_is_given_only_where_the_outcome_is_unknown() {
        let lost = |outcome_unknown| Failure::Unavailable { problem: "lost".into(), outcome_unknown, advice: None };
        assert!(
            lost(true).advise(|| "usherctl show e/h tells".into()).text().ends_with("done: usherctl show e/h tells")
        );
        assert_eq!(lost(false).advise(|| "never said".into()).text(), "unavailable: lost");
    }
}
