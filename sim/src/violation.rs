//! A claim that did not hold.

use std::fmt;

/// What was claimed and what was seen instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The claim, the same text for every violation of it.
    pub claim: &'static str,
    /// What was seen.
    pub seen: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.claim, self.seen)
    }
}

impl std::error::Error for Violation {}

/// Fails with what `seen` says unless the claim holds.
pub fn claim(claim: &'static str, holds: bool, seen: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation { claim, seen: seen() }) }
}
