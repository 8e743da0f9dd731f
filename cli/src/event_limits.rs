//! Limits by price level and shared quotas of an event, as options.
//!
//! Not here: the other rules (`policy.rs`), how an event shows them (`event_card.rs`).

use std::str::FromStr;

use clap::Args;
use proto::inventory::v1::{LevelLimit, SharedQuota};

use crate::failure::Failure;

/// Limits of the event beside its rules; in an update those that are given replace all there are.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitOptions {
    /// Most places of a price level that one customer may hold and own; may be repeated; `none`: no limits
    #[arg(long, value_name = "LEVEL=N")]
    level_limit: Vec<Given<LevelWord>>,
    /// Most places of these price levels and areas, held and sold together; may be repeated; `none`: no quotas
    #[arg(long, value_name = "NAME=N:LEVEL,area:KEY")]
    quota: Vec<Given<QuotaWord>>,
}

/// A word, or `none`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Given<T>(Option<T>);

impl<T: FromStr> FromStr for Given<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        if text == "none" { Ok(Self(None)) } else { text.parse().map(|word| Self(Some(word))) }
    }
}

/// `LEVEL=N`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct LevelWord {
    level: String,
    places_max: u32,
}

impl FromStr for LevelWord {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The name of a level may itself contain the sign.
        let parts = text.rsplit_once('=').filter(|(level, _)| !level.is_empty());
        let parts = parts.and_then(|(level, places_max)| Some((level, places_max.parse().ok()?)));
        let (level, places_max) =
            parts.ok_or_else(|| format!("`{text}` is no limit: write LEVEL=N, as in Front=2, or none"))?;
        Ok(Self { level: level.to_owned(), places_max })
    }
}

/// `NAME=N:LEVEL,LEVEL,area:KEY`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct QuotaWord {
    name: String,
    places_max: u32,
    price_levels: Vec<String>,
    areas: Vec<String>,
}

impl FromStr for QuotaWord {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected =
            || format!("`{text}` is no quota: write NAME=N:LEVEL,area:KEY, as in exits=700:Front,area:FLOOR");
        let (name, rest) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(expected)?;
        let (places_max, members) = rest.split_once(':').ok_or_else(expected)?;
        let places_max = places_max.parse().map_err(|_| expected())?;
        let mut quota = Self { name: name.to_owned(), places_max, price_levels: Vec::new(), areas: Vec::new() };
        for member in members_of(members) {
            let (list, key) = match member.split_once(':') {
                Some(("area", key)) => (&mut quota.areas, key),
                Some(("level", level)) => (&mut quota.price_levels, level),
                Some(_) | None => (&mut quota.price_levels, member.as_str()),
            };
            if key.is_empty() {
                return Err(expected());
            }
            list.push(key.to_owned());
        }
        Ok(quota)
    }
}

/// What stands between commas; `\,` is one that belongs to a name.
fn members_of(text: &str) -> Vec<String> {
    let mut members = vec![String::new()];
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            ',' => members.push(String::new()),
            '\\' if letters.next_if_eq(&',').is_some() => members.last_mut().expect("one at least").push(','),
            letter => members.last_mut().expect("one at least").push(letter),
        }
    }
    members
}

/// Refuses `none` beside others: one of the two would be dropped.
fn check<T>(option: &str, given: &[Given<T>]) -> Result<(), Failure> {
    let has = |none: bool| given.iter().any(|word| word.0.is_none() == none);
    if has(true) && has(false) {
        return Err(Failure::usage(format!("{option}: none takes all of them away, so it stands alone")));
    }
    Ok(())
}

impl LimitOptions {
    /// Whether they make sense together.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        check("--level-limit", &self.level_limit)?;
        check("--quota", &self.quota)
    }

    /// The limits by price level; nothing: none were given.
    pub(crate) fn level_limits(&self) -> Option<Vec<LevelLimit>> {
        let limit = |word: &LevelWord| LevelLimit { price_level: word.level.clone(), places_max: word.places_max };
        let limits = self.level_limit.iter().filter_map(|given| given.0.as_ref()).map(limit);
        (!self.level_limit.is_empty()).then(|| limits.collect())
    }

    /// The shared quotas; nothing: none were given.
    pub(crate) fn quotas(&self) -> Option<Vec<SharedQuota>> {
        let quota = |word: &QuotaWord| SharedQuota {
            name: word.name.clone(),
            price_levels: word.price_levels.clone(),
            areas: word.areas.clone(),
            places_max: word.places_max,
        };
        let quotas = self.quota.iter().filter_map(|given| given.0.as_ref()).map(quota);
        (!self.quota.is_empty()).then(|| quotas.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser, Debug)]
    struct Only {
        #[command(flatten)]
        limits: LimitOptions,
    }

    fn parsed(words: &[&str]) -> Result<LimitOptions, String> {
        let words = ["usherctl"].iter().chain(words);
        Only::try_parse_from(words).map(|only| only.limits).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_given_is_not_none() {
        let nothing = parsed(&[]).expect("no words");
        assert_eq!((nothing.level_limits(), nothing.quotas()), (None, None));
        let none = parsed(&["--level-limit", "none", "--quota", "none"]).expect("words");
        assert_eq!((none.level_limits(), none.quotas()), (Some(Vec::new()), Some(Vec::new())));
    }

    #[test]
    fn none_stands_alone() {
        for (option, word) in [("--level-limit", "Front=1"), ("--quota", "exits=7:Front")] {
            for words in [[option, "none", option, word], [option, word, option, "none"]] {
                let problem = parsed(&words).expect("words").check().expect_err("none and another").text();
                assert_eq!(problem, format!("error: {option}: none takes all of them away, so it stands alone"));
            }
        }
        assert!(parsed(&["--level-limit", "none", "--quota", "exits=7:Front"]).expect("words").check().is_ok());
    }

    #[test]
    fn limits_keep_their_order_and_names_may_have_signs() {
        let limits = parsed(&["--level-limit", "1=st=2", "--level-limit", "Front=0"]).expect("limits").level_limits();
        let limits: Vec<_> =
            limits.expect("given").into_iter().map(|limit| (limit.price_level, limit.places_max)).collect();
        assert_eq!(limits, [("1=st".to_owned(), 2), ("Front".to_owned(), 0)]);
        let words = ["--quota", "exits=700:Front,level:area:B,Row A\\, left,area:FLOOR,1:2"];
        let quota = parsed(&words).expect("a quota").quotas().expect("given").remove(0);
        assert_eq!((quota.name.as_str(), quota.places_max), ("exits", 700));
        assert_eq!(quota.price_levels, ["Front", "area:B", "Row A, left", "1:2"]);
        assert_eq!(quota.areas, ["FLOOR"]);
    }

    #[test]
    fn a_word_of_another_shape_is_told_the_right_one() {
        for word in ["Front", "=2", "Front=", "Front=-1", "Front=two"] {
            let problem = parsed(&["--level-limit", word]).expect_err("no limit");
            assert!(problem.contains("write LEVEL=N"), "{problem}");
        }
        for word in ["exits", "exits=7", "=7:Front", "exits=x:Front", "exits=7:", "exits=7:Front,", "exits=7:area:"] {
            let problem = parsed(&["--quota", word]).expect_err("no quota");
            assert!(problem.contains("write NAME=N:LEVEL,area:KEY"), "{problem}");
        }
    }
}
