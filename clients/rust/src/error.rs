use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use prost::Message;
use proto::inventory::v1::{Executed, PlaceState, PlacesUnavailable, Reason, SessionResponse, places_unavailable};
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// Domain of the `google.rpc.ErrorInfo` of a refusal.
const DOMAIN: &str = "usher";
/// How the detail with the places in the way is named on the wire.
const PLACES_UNAVAILABLE_TYPE: &str = "usher.inventory.v1.PlacesUnavailable";

/// Why a call did not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The server said no and why.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// The connection or the protocol failed, and so did the retries. Unless `executed` says otherwise the command
    /// may have been done: send it again with the same ids, or read the hold.
    #[error("transport: {problem}")]
    Transport {
        /// Whether the command may have been done.
        executed: Executed,
        /// The gRPC code, when an answer came at all.
        code: Option<Code>,
        /// What failed, in words.
        problem: String,
    },
    /// The time of the call passed. When `executed` is unknown the command may have been done.
    #[error("deadline passed, executed {}", executed_word(*executed))]
    Deadline {
        /// Whether the command may have been done.
        executed: Executed,
    },
    /// The configuration or the request cannot be used; nothing was sent.
    #[error("{problem}")]
    Config {
        /// What is wrong.
        problem: String,
    },
}

/// A refusal: an answer the caller can act on.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// The number of the reason as it came: a newer server may name one this library does not know, and `reason` is
    /// then unspecified.
    pub reason_number: i32,
    /// The name of the reason as it came.
    pub reason_name: String,
    /// In words, for logs.
    pub message: String,
    /// Whether the command took effect (earlier), did not, or nobody knows.
    pub executed: Executed,
    /// What else the server said, by name.
    pub metadata: BTreeMap<String, String>,
    /// The places in the way, at most 64.
    pub places: Vec<PlaceInTheWay>,
    /// Fields at fault with what is wrong with them.
    pub fields: Vec<(String, String)>,
    /// Do not try again sooner.
    pub retry_after: Option<Duration>,
    /// The server's time, milliseconds since 1970 UTC, if it was told.
    pub server_time_ms: u64,
    /// The position the refusal is true at. 0: not told, as in unary calls and by a server that judged nothing.
    pub position: u64,
}

/// One place that stopped a command. Who has it is never told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceInTheWay {
    /// A seat.
    Seat {
        /// Its index in the plan.
        index: u32,
        /// Its public state.
        state: PlaceState,
    },
    /// A general admission area.
    Area {
        /// Its index in the plan.
        area: u32,
        /// Admissions that are open.
        open: u32,
        /// Admissions of those asked for that are not to be had, where not what is open matters: they are in use, lost, or
        /// not of the order.
        missing: u32,
    },
}

impl PlaceInTheWay {
    /// Those that a message names.
    #[must_use]
    pub fn all_of(message: &PlacesUnavailable) -> Vec<Self> {
        let one = |place: &places_unavailable::Place| match place.place? {
            places_unavailable::place::Place::Index(index) => {
                Some(Self::Seat { index, state: place_state(place.state) })
            }
            places_unavailable::place::Place::Area(area) => {
                Some(Self::Area { area, open: place.open, missing: place.missing })
            }
        };
        message.places.iter().filter_map(one).collect()
    }
}

/// Names of metadata both lanes use.
pub(crate) mod key {
    pub(crate) const EXECUTED: &str = "executed";
    pub(crate) const REFUND_DUE: &str = "refundDue";
    pub(crate) const HELD_UNPAID: &str = "heldUnpaid";
    pub(crate) const OPENS_AT_MS: &str = "opensAtMs";
    pub(crate) const EVENT_ID: &str = "eventId";
    pub(crate) const SERVER_TIME_MS: &str = "serverTimeMs";
}

impl Refusal {
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            reason_number: reason as i32,
            reason_name: short_name(reason),
            message: message.into(),
            executed: Executed::Unspecified,
            metadata: BTreeMap::new(),
            places: Vec::new(),
            fields: Vec::new(),
            retry_after: None,
            server_time_ms: 0,
            position: 0,
        }
    }

    /// The confirm can never succeed: give the money back.
    pub fn refund_due(&self) -> bool {
        self.metadata.get(key::REFUND_DUE).is_some_and(|word| word == "true")
    }

    /// Fitting places that are held and may come back.
    pub fn held_unpaid(&self) -> u32 {
        self.number(key::HELD_UNPAID).unwrap_or(0)
    }

    /// The event that refused, when a call is about several.
    pub fn event_id(&self) -> Option<&str> {
        self.metadata.get(key::EVENT_ID).map(String::as_str)
    }

    /// When the sale opens, for `SALE_NOT_OPEN`.
    pub fn opens_at_ms(&self) -> Option<u64> {
        self.number(key::OPENS_AT_MS)
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.metadata.get(name)?.parse().ok()
    }

    /// From an answer on a Session whose reason is not 0.
    fn from_session(answer: &SessionResponse) -> Self {
        let mut refusal = Self::new(Reason::try_from(answer.reason).unwrap_or(Reason::Unspecified), &answer.problem);
        refusal.reason_number = answer.reason;
        if refusal.reason == Reason::Unspecified {
            refusal.reason_name = answer.reason.to_string();
        }
        refusal.executed = Executed::try_from(answer.executed).unwrap_or(Executed::Unknown);
        refusal.metadata.insert(key::EXECUTED.to_owned(), executed_word(refusal.executed).to_owned());
        if answer.refund_due {
            refusal.metadata.insert(key::REFUND_DUE.to_owned(), "true".to_owned());
        }
        let numbers = [
            (key::HELD_UNPAID, u64::from(answer.held_unpaid)),
            (key::OPENS_AT_MS, answer.opens_at_ms),
            (key::SERVER_TIME_MS, answer.server_time_ms),
        ];
        for (name, number) in numbers.into_iter().filter(|(_, number)| *number != 0) {
            refusal.metadata.insert(name.to_owned(), number.to_string());
        }
        if !answer.field.is_empty() {
            refusal.fields.push((answer.field.clone(), answer.problem.clone()));
        }
        let seats = answer.seats.iter().enumerate().map(|(nth, &index)| PlaceInTheWay::Seat {
            index,
            state: answer.states.get(nth).map_or(PlaceState::Unspecified, |&state| place_state(state)),
        });
        let areas =
            answer.ga.iter().map(|item| PlaceInTheWay::Area { area: item.area, open: item.quantity, missing: 0 });
        refusal.places = seats.chain(areas).collect();
        refusal.retry_after = (answer.retry_after_ms > 0).then(|| Duration::from_millis(answer.retry_after_ms));
        refusal.server_time_ms = answer.server_time_ms;
        refusal.position = answer.position;
        refusal
    }

    /// From a status that carries an `ErrorInfo` of ours; nothing if it does not: then it is no refusal.
    fn from_status(status: &Status) -> Option<Self> {
        if status.details().is_empty() {
            return None;
        }
        let details = status.get_error_details();
        let info = details.error_info().filter(|info| info.domain == DOMAIN)?;
        let reason = Reason::from_str_name(&format!("REASON_{}", info.reason)).unwrap_or(Reason::Unspecified);
        let mut refusal = Self::new(reason, status.message());
        refusal.reason_name = info.reason.clone();
        refusal.metadata = info.metadata.iter().map(|(name, word)| (name.clone(), word.clone())).collect();
        refusal.executed = match refusal.metadata.get(key::EXECUTED).map(String::as_str) {
            Some("false") => Executed::False,
            Some("true") => Executed::True,
            Some(_) => Executed::Unknown,
            None => Executed::Unspecified,
        };
        refusal.retry_after = details.retry_info().and_then(|info| info.retry_delay);
        refusal.fields = details.bad_request().map_or_else(Vec::new, |bad| {
            bad.field_violations.iter().map(|one| (one.field.clone(), one.description.clone())).collect()
        });
        refusal.server_time_ms = refusal.number(key::SERVER_TIME_MS).unwrap_or(0);
        refusal.places = places_in_the_way(status.details());
        Some(refusal)
    }

    /// The group of gRPC status the reason belongs to: its hundreds.
    fn is_unavailable(&self) -> bool {
        self.reason_number / 100 == 8
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason_name)?;
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        for (nth, place) in self.places.iter().enumerate() {
            f.write_str(if nth == 0 { " [" } else { ", " })?;
            match place {
                PlaceInTheWay::Seat { index, state } => {
                    let state = state.as_str_name().trim_start_matches("PLACE_STATE_").to_lowercase();
                    write!(f, "seat {index} {state}")?;
                }
                PlaceInTheWay::Area { area, missing, .. } if *missing > 0 => {
                    write!(f, "area {area} {missing} missing")?
                }
                PlaceInTheWay::Area { area, open, .. } => write!(f, "area {area} {open} open")?,
            }
        }
        if self.places.is_empty() { Ok(()) } else { f.write_str("]") }
    }
}

impl Error {
    pub(crate) fn transport(problem: impl Into<String>) -> Self {
        Self::Transport { executed: Executed::Unknown, code: None, problem: problem.into() }
    }

    /// From the status of a failed call. A status without our `ErrorInfo` was not made by the server's judgement: a
    /// proxy, the library or a lost connection made it, so the outcome is unknown.
    pub fn from_status(status: &Status) -> Self {
        if let Some(refusal) = Refusal::from_status(status) {
            return match refusal.reason {
                Reason::DeadlineExceeded => Self::Deadline { executed: refusal.executed },
                _ => Self::Refused(Box::new(refusal)),
            };
        }
        let local_timeout = status.code() == Code::Cancelled && status.message() == "Timeout expired";
        if local_timeout || status.code() == Code::DeadlineExceeded {
            return Self::Deadline { executed: Executed::Unknown };
        }
        // tonic's own text for a lost connection hides the cause ("transport error"): name the innermost one.
        let mut problem = status.message().to_owned();
        let mut source = std::error::Error::source(status);
        while let Some(cause) = source {
            let text = cause.to_string();
            if !problem.contains(&text) {
                problem = format!("{problem}: {text}");
            }
            source = cause.source();
        }
        Self::Transport { executed: Executed::Unknown, code: Some(status.code()), problem }
    }

    /// From an answer on a Session whose reason is not 0.
    pub fn from_session(answer: &SessionResponse) -> Self {
        let refusal = Refusal::from_session(answer);
        match refusal.reason {
            Reason::DeadlineExceeded => Self::Deadline { executed: refusal.executed },
            _ => Self::Refused(Box::new(refusal)),
        }
    }

    /// The refusal, if it is one.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Transport { .. } | Self::Deadline { .. } | Self::Config { .. } => None,
        }
    }

    /// The reason, if it is a refusal.
    pub fn reason(&self) -> Option<Reason> {
        self.refusal().map(|refusal| refusal.reason)
    }

    /// Whether the command may have been done and nobody has said so: only the same command with the same ids, or
    /// reading the hold, will tell.
    pub fn outcome_unknown(&self) -> bool {
        let executed = match self {
            Self::Refused(refusal) => refusal.executed,
            Self::Transport { executed, .. } | Self::Deadline { executed } => *executed,
            Self::Config { .. } => Executed::False,
        };
        executed == Executed::Unknown
    }

    /// Whether sending the same command again with the same ids may help.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.is_unavailable() || refusal.executed == Executed::Unknown,
            Self::Deadline { executed } => *executed == Executed::Unknown,
            Self::Transport { code, .. } => !code.is_some_and(is_final),
            Self::Config { .. } => false,
        }
    }

    /// How long the server asked to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        self.refusal().and_then(|refusal| refusal.retry_after)
    }
}

/// Codes that, coming without our `ErrorInfo`, will not change by asking again.
fn is_final(code: Code) -> bool {
    match code {
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Unauthenticated => true,
        // RESOURCE_EXHAUSTED without an ErrorInfo is what HTTP/2's own flood protection becomes.
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => false,
    }
}

fn executed_word(executed: Executed) -> &'static str {
    match executed {
        Executed::Unspecified => "unspecified",
        Executed::False => "false",
        Executed::True => "true",
        Executed::Unknown => "unknown",
    }
}

/// `PLACES_UNAVAILABLE` for `Reason::PlacesUnavailable`.
fn short_name(reason: Reason) -> String {
    reason.as_str_name().trim_start_matches("REASON_").to_owned()
}

fn place_state(number: i32) -> PlaceState {
    PlaceState::try_from(number).unwrap_or(PlaceState::Unspecified)
}

fn places_in_the_way(details: &[u8]) -> Vec<PlaceInTheWay> {
    let Ok(status) = tonic_types::pb::Status::decode(details) else { return Vec::new() };
    let found = status
        .details
        .iter()
        .find(|any| any.type_url.rsplit('/').next() == Some(PLACES_UNAVAILABLE_TYPE))
        .and_then(|any| PlacesUnavailable::decode(any.value.as_slice()).ok());
    found.map_or_else(Vec::new, |detail| PlaceInTheWay::all_of(&detail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use tonic_types::ErrorDetails;

    #[test]
    fn a_status_with_our_error_info_is_a_refusal() {
        let metadata = HashMap::from([
            ("executed".to_owned(), "false".to_owned()),
            ("heldUnpaid".to_owned(), "7".to_owned()),
            ("refundDue".to_owned(), "true".to_owned()),
        ]);
        let mut details = ErrorDetails::with_error_info("NOT_ENOUGH_PLACES", "usher", metadata);
        details.set_retry_info(Some(Duration::from_millis(120)));
        let status = Status::with_error_details(Code::FailedPrecondition, "not enough", details);
        let error = Error::from_status(&status);
        let refusal = error.refusal().expect("a refusal");
        assert_eq!(refusal.reason, Reason::NotEnoughPlaces);
        assert_eq!((refusal.held_unpaid(), refusal.refund_due()), (7, true));
        assert_eq!(refusal.executed, Executed::False);
        assert_eq!(error.retry_after(), Some(Duration::from_millis(120)));
        assert!(!error.is_retryable() && !error.outcome_unknown());
    }

    #[test]
    fn the_places_in_the_way_come_out_of_the_detail() {
        let detail = PlacesUnavailable {
            places: vec![
                places_unavailable::Place {
                    place: Some(places_unavailable::place::Place::Index(9)),
                    state: PlaceState::Sold as i32,
                    open: 0,
                    missing: 0,
                },
                places_unavailable::Place {
                    place: Some(places_unavailable::place::Place::Area(1)),
                    state: 0,
                    open: 3,
                    missing: 0,
                },
            ],
            plan_revision: 1,
        };
        let info = ErrorDetails::with_error_info("PLACES_UNAVAILABLE", "usher", HashMap::new());
        let base = Status::with_error_details(Code::FailedPrecondition, "taken", info);
        let mut packed = tonic_types::pb::Status::decode(base.details()).expect("details");
        let mut any = packed.details[0].clone();
        any.type_url = format!("type.googleapis.com/{PLACES_UNAVAILABLE_TYPE}");
        any.value = detail.encode_to_vec();
        packed.details.push(any);
        let status = Status::with_details(Code::FailedPrecondition, "taken", packed.encode_to_vec().into());
        let error = Error::from_status(&status);
        assert_eq!(
            error.refusal().expect("a refusal").places,
            [
                PlaceInTheWay::Seat { index: 9, state: PlaceState::Sold },
                PlaceInTheWay::Area { area: 1, open: 3, missing: 0 }
            ]
        );
        assert_eq!(error.to_string(), "PLACES_UNAVAILABLE: taken [seat 9 sold, area 1 3 open]");
    }

    #[test]
    fn a_status_without_it_leaves_the_outcome_unknown() {
        for code in [Code::Unavailable, Code::Internal, Code::Unknown, Code::Cancelled, Code::ResourceExhausted] {
            let error = Error::from_status(&Status::new(code, "broken"));
            assert!(error.outcome_unknown() && error.is_retryable(), "{code:?}");
        }
        let error = Error::from_status(&Status::new(Code::Unimplemented, "no such method"));
        assert!(!error.is_retryable());
        let timeout = Error::from_status(&Status::new(Code::Cancelled, "Timeout expired"));
        assert!(matches!(timeout, Error::Deadline { executed: Executed::Unknown }));
    }

    #[test]
    fn a_refusal_on_a_session_says_the_same() {
        let answer = SessionResponse {
            reason: Reason::PlacesUnavailable as i32,
            executed: Executed::False as i32,
            seats: vec![4, 5],
            states: vec![PlaceState::Held as i32, PlaceState::Sold as i32],
            held_unpaid: 2,
            retry_after_ms: 30,
            server_time_ms: 99,
            position: 7,
            ..SessionResponse::default()
        };
        let error = Error::from_session(&answer);
        let refusal = error.refusal().expect("a refusal");
        assert_eq!(refusal.places[1], PlaceInTheWay::Seat { index: 5, state: PlaceState::Sold });
        assert_eq!((refusal.held_unpaid(), refusal.server_time_ms, refusal.position), (2, 99, 7));
        assert_eq!(refusal.retry_after, Some(Duration::from_millis(30)));
        let newer = Error::from_session(&SessionResponse { reason: 850, ..SessionResponse::default() });
        assert!(newer.is_retryable(), "an unknown reason of the 800s is still UNAVAILABLE");
    }
}
