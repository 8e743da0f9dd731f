//! The names a person types: of an event, of a hold, of a part of a general admission area, of a label.

use std::fmt;
use std::str::FromStr;

use client::{AttemptId, HoldId, RequestId};
use proto::inventory::v1::GaItem;

/// Name of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EventName(String);

/// A hold as `EVENT/HOLD`: its id alone does not say which event it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HoldName {
    /// The event.
    pub(crate) event: EventName,
    /// The hold.
    pub(crate) hold: HoldId,
}

/// A number of admissions to an area, `AREA=N`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Admissions {
    /// Key of the area.
    pub(crate) area: String,
    /// How many.
    pub(crate) quantity: u32,
}

/// A label, `KEY=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    /// Its name.
    pub(crate) key: String,
    /// What it says.
    pub(crate) value: String,
}

impl EventName {
    /// As text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for EventName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        inventory_core::ids::EventId::parse(text).map(|_| Self(text.to_owned())).ok_or_else(|| {
            format!("`{text}` is no event id: 1 to 64 of a-z, 0-9, `.`, `_` and `-`, beginning with a letter or digit")
        })
    }
}

impl fmt::Display for HoldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.event, self.hold)
    }
}

impl FromStr for HoldName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (event, hold) = text
            .split_once('/')
            .ok_or_else(|| format!("`{text}` is no hold: write EVENT/HOLD, as `usherctl hold` printed it"))?;
        Ok(Self { event: event.parse()?, hold: parse_hold_id(hold)? })
    }
}

/// Parses the id of a hold, for clap.
pub(crate) fn parse_hold_id(text: &str) -> Result<HoldId, String> {
    text.parse().map_err(|error| format!("`{text}` is no hold id: {error}"))
}

/// Parses the name of a payment attempt, for clap.
pub(crate) fn parse_attempt_id(text: &str) -> Result<AttemptId, String> {
    text.parse().map_err(|error| format!("`{text}` is no payment attempt: {error}"))
}

/// Parses the name of a request, for clap.
pub(crate) fn parse_request_id(text: &str) -> Result<RequestId, String> {
    text.parse().map_err(|error| format!("`{text}` is no request id: {error}"))
}

impl FromStr for Admissions {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("`{text}` is no part of an area: write AREA=N, as in FLOOR=2");
        // The key of an area may itself contain the sign.
        let (area, quantity) = text.rsplit_once('=').ok_or_else(expected)?;
        let quantity = quantity.parse().ok().filter(|&quantity| quantity > 0).ok_or_else(expected)?;
        if area.is_empty() { Err(expected()) } else { Ok(Self { area: area.to_owned(), quantity }) }
    }
}

impl Admissions {
    /// As the wire wants it.
    pub(crate) fn to_wire(&self) -> GaItem {
        GaItem { area_key: self.area.clone(), quantity: self.quantity, ..GaItem::default() }
    }
}

impl FromStr for Label {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok(Self { key: key.to_owned(), value: value.to_owned() }),
            Some(_) | None => Err(format!("`{text}` is no label: write KEY=VALUE")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "01934b2e-7f00-7abc-8def-0123456789ab";

    #[test]
    fn a_hold_is_named_by_its_event_and_its_id() {
        let name: HoldName = format!("concert-1/{UUID}").parse().expect("a hold");
        assert_eq!(name.event.as_str(), "concert-1");
        assert_eq!(name.to_string(), format!("concert-1/{UUID}"));
    }

    #[test]
    fn what_is_wrong_with_a_name_is_said() {
        let problem = |text: &str| text.parse::<HoldName>().expect_err(text);
        assert!(problem(UUID).contains("write EVENT/HOLD"));
        assert!(problem(&format!("Concert 1/{UUID}")).contains("`Concert 1` is no event id"));
        assert!(problem("concert-1/17").contains("`17` is no hold id"));
        for text in ["", "-a", ".a", "A", "a b", "ä", &"a".repeat(65)] {
            assert!(text.parse::<EventName>().is_err(), "{text:?}");
        }
        assert!("a".repeat(64).parse::<EventName>().is_ok());
    }

    #[test]
    fn admissions_are_an_area_and_a_number() {
        assert_eq!("FLOOR=2".parse(), Ok(Admissions { area: "FLOOR".into(), quantity: 2 }));
        assert_eq!("A=B=2".parse(), Ok(Admissions { area: "A=B".into(), quantity: 2 }));
        for text in ["FLOOR", "FLOOR=", "FLOOR=0", "=2", "FLOOR=two", "FLOOR=-1"] {
            assert!(text.parse::<Admissions>().expect_err(text).contains("write AREA=N"), "{text}");
        }
    }

    #[test]
    fn a_label_may_say_nothing_but_has_a_name() {
        assert_eq!("city=Bern".parse(), Ok(Label { key: "city".into(), value: "Bern".into() }));
        assert_eq!("note=".parse(), Ok(Label { key: "note".into(), value: String::new() }));
        assert!("=x".parse::<Label>().is_err() && "x".parse::<Label>().is_err());
    }
}
