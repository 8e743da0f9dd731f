//! Places as the words of a person: a seat by its key, or many by a selector such as `Stalls/F/1-8`.
//!
//! Only the plan tells the two apart: keys may have slashes, and a section is named without one.

use std::collections::HashSet;

use clap::ValueEnum;
use client::Client;
use proto::inventory::v1::{EventState, PlaceSet};

use crate::failure::Failure;
use crate::name::{Admissions, EventName};
use crate::venue_plan::VenuePlan;

/// Places as they were typed, with what each word is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PlaceWords {
    seat_keys: Vec<String>,
    selectors: Vec<String>,
    areas: Vec<Admissions>,
}

impl PlaceWords {
    /// Reads the plan of the event when there are words to tell apart.
    pub(crate) async fn read(
        client: &Client,
        event: &EventName,
        words: &[String],
        areas: &[Admissions],
    ) -> Result<Self, Failure> {
        let plan = if words.is_empty() { VenuePlan::default() } else { VenuePlan::read(client, event).await? };
        Ok(Self::of_plan(&plan, words, areas))
    }

    /// A word that is no key of a seat is a selector.
    fn of_plan(plan: &VenuePlan, words: &[String], areas: &[Admissions]) -> Self {
        let keys: HashSet<&str> = plan.seat_keys.iter().map(String::as_str).collect();
        let (seat_keys, selectors) = words.iter().cloned().partition(|word| keys.contains(word.as_str()));
        Self { seat_keys, selectors, areas: areas.to_vec() }
    }

    /// As the wire wants them.
    pub(crate) fn to_wire(&self) -> PlaceSet {
        PlaceSet {
            seat_keys: self.seat_keys.clone(),
            selectors: self.selectors.clone(),
            ga: self.areas.iter().map(Admissions::to_wire).collect(),
            ..PlaceSet::default()
        }
    }

    /// A failure in these words; `field` is that of the set in the request.
    pub(crate) fn explain(&self, failure: Failure, field: &str) -> Failure {
        failure
            .typed(&format!("{field}.seat_keys"), self.seat_keys.iter().map(String::as_str))
            .typed(&format!("{field}.selectors"), self.selectors.iter().map(String::as_str))
            .typed(&format!("{field}.ga"), self.areas.iter().map(|part| part.area.as_str()))
    }
}

/// Refuses an area that is named twice: the server takes the sum, and which number was meant only the person knows.
pub(crate) fn once<'a>(option: &str, areas: impl IntoIterator<Item = &'a str>) -> Result<(), Failure> {
    let mut seen = HashSet::new();
    match areas.into_iter().find(|area| !seen.insert(*area)) {
        Some(area) => Err(Failure::usage(format!("{option}: {area} is named twice"))),
        None => Ok(()),
    }
}

/// The same of admissions.
pub(crate) fn admissions_once(areas: &[Admissions]) -> Result<(), Failure> {
    once("--ga", areas.iter().map(|part| part.area.as_str()))
}

/// The state a person expects an event to be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StateChoice {
    /// Not on sale yet
    Draft,
    /// On sale
    OnSale,
    /// No new holds for the moment
    Paused,
    /// The sale is over
    OffSale,
    /// Cancelled for good
    Cancelled,
}

impl StateChoice {
    /// As the wire wants it; nothing expected: any.
    pub(crate) fn to_wire(choice: Option<StateChoice>) -> i32 {
        let state = match choice {
            None => EventState::Unspecified,
            Some(StateChoice::Draft) => EventState::Draft,
            Some(StateChoice::OnSale) => EventState::OnSale,
            Some(StateChoice::Paused) => EventState::Paused,
            Some(StateChoice::OffSale) => EventState::OffSale,
            Some(StateChoice::Cancelled) => EventState::Cancelled,
        };
        state as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_area_is_named_once() {
        let areas =
            |words: &[&str]| -> Vec<Admissions> { words.iter().map(|word| word.parse().expect("an area")).collect() };
        assert!(admissions_once(&areas(&["FLOOR=5", "YARD=5"])).is_ok());
        let twice = admissions_once(&areas(&["FLOOR=5", "YARD=5", "FLOOR=6"])).expect_err("FLOOR twice");
        assert_eq!(twice.text(), "error: --ga: FLOOR is named twice");
        assert!(once("--area", ["FLOOR", "FLOOR"]).expect_err("FLOOR twice").text().contains("--area: FLOOR"));
    }

    #[test]
    fn a_word_is_a_seat_when_the_plan_has_one_of_that_key() {
        let plan = VenuePlan { seat_keys: vec!["A-1".into(), "S1/100/51".into()], ..VenuePlan::default() };
        let words = ["A-1", "Stalls", "S1/100/51", "S1/100/52", "Stalls/F/1-8"].map(str::to_owned);
        let set = PlaceWords::of_plan(&plan, &words, &["FLOOR=2".parse().expect("an area")]).to_wire();
        assert_eq!(set.seat_keys, ["A-1", "S1/100/51"]);
        assert_eq!(set.selectors, ["Stalls", "S1/100/52", "Stalls/F/1-8"]);
        assert_eq!((set.ga[0].area_key.as_str(), set.ga[0].quantity), ("FLOOR", 2));
    }
}
