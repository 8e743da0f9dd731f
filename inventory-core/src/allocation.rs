//! Places that are set aside for those who bring a key: the commands, and what the house sees of them.
//!
//! Not here: what an event knows of them (`allocations.rs`), how they are set aside (`setting_aside.rs`), what a command
//! may take (`reach.rs`). Choices where the contract is silent: ADR-0033.

use alloc::{boxed::Box, vec::Vec};

use crate::{
    digest::Hasher,
    event::Counts,
    ids::{RequestId, TimestampMs},
    limits::{ALLOCATION_KEY_BYTES_MAX, ALLOCATION_KEYS_MAX},
    place_set::PlaceSet,
    policy::EventState,
    reject::{Field, Reject},
};

/// The keys that a command brings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllocationKeys {
    /// At most 16, each once.
    pub keys: Vec<Box<str>>,
    /// Best available may take places that are in no allocation too.
    pub include_unallocated: bool,
}

impl AllocationKeys {
    /// Check what needs no state.
    ///
    /// # Errors
    /// The first refusal, naming the field.
    pub fn check(&self) -> Result<(), Reject> {
        let is_twice = (0..self.keys.len()).any(|at| self.keys[..at].contains(&self.keys[at]));
        if self.keys.len() > ALLOCATION_KEYS_MAX || is_twice {
            return Err(Reject::invalid(Field::AllocationKeys, "must be at most 16, each once"));
        }
        if self.keys.iter().any(|key| !is_key(key)) {
            return Err(Reject::invalid(Field::AllocationKeys, KEY_MUST));
        }
        Ok(())
    }

    /// Nothing for a command that brings none, so that its hash is what it was before there were any.
    pub(crate) fn hash_into(&self, hasher: &mut Hasher) {
        if self.keys.is_empty() && !self.include_unallocated {
            return;
        }
        hasher.word(self.keys.len() as u64 | u64::from(self.include_unallocated) << 32 | 1 << 40);
        self.keys.iter().for_each(|key| hasher.bytes(key.as_bytes()));
    }
}

const KEY_MUST: &str = "must be 1 to 64 printable ASCII characters without spaces";

/// Whether a text may be the key of an allocation.
pub(crate) fn is_key(key: &str) -> bool {
    (1..=ALLOCATION_KEY_BYTES_MAX).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Set places aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAllocation {
    /// Name of this request.
    pub request_id: RequestId,
    /// Key of the allocation, which is made if it is not there.
    pub key: Box<str>,
    /// Seats that get its tag, and the quotas of areas. Kinds of buyers do not matter.
    pub places: PlaceSet,
    /// New start of its window; zero: that of the event. Nothing: as it is.
    pub opens_at: Option<TimestampMs>,
    /// New end of its window; zero: that of the event. Nothing: as it is.
    pub closes_at: Option<TimestampMs>,
    /// Refuse with `STATE_MISMATCH` when the event is in another state.
    pub expected_state: Option<EventState>,
    /// Only say what would be touched.
    pub validate_only: bool,
}

/// Set places aside no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoveAllocation {
    /// Name of this request.
    pub request_id: RequestId,
    /// Key of the allocation.
    pub key: Box<str>,
    /// Seats that lose its tag, and by how many quotas shrink; empty: all of it goes.
    pub places: PlaceSet,
    /// Refuse with `STATE_MISMATCH` when the event is in another state.
    pub expected_state: Option<EventState>,
    /// Only say what would be touched.
    pub validate_only: bool,
}

fn check_key(key: &str) -> Result<(), Reject> {
    if is_key(key) { Ok(()) } else { Err(Reject::invalid(Field::AllocationKey, KEY_MUST)) }
}

impl SetAllocation {
    /// Check what needs no state.
    ///
    /// # Errors
    /// The first refusal, naming the field.
    pub fn check(&self) -> Result<(), Reject> {
        check_key(&self.key)?;
        self.places.check()
    }

    /// Hash of the content beside the request id and the conditions.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = Hasher::new(27);
        hasher.bytes(self.key.as_bytes());
        self.places.hash_into(&mut hasher);
        for time in [self.opens_at, self.closes_at] {
            hasher.word(time.map_or(u64::MAX, |time| time.0));
        }
        hasher.finish()
    }
}

impl RemoveAllocation {
    /// Check what needs no state.
    ///
    /// # Errors
    /// The first refusal, naming the field.
    pub fn check(&self) -> Result<(), Reject> {
        check_key(&self.key)?;
        self.places.check()
    }

    /// Hash of the content beside the request id and the conditions.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = Hasher::new(28);
        hasher.bytes(self.key.as_bytes());
        self.places.hash_into(&mut hasher);
        hasher.finish()
    }
}

/// An allocation as the house sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllocationView {
    /// Its key.
    pub key: Box<str>,
    /// Start of its window; zero: that of the event.
    pub opens_at: TimestampMs,
    /// End of its window; zero: that of the event.
    pub closes_at: TimestampMs,
    /// Its seats by state.
    pub seats: Counts,
    /// Its quotas, by area.
    pub quotas: Vec<QuotaView>,
}

/// Admissions of an area that are set aside for an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaView {
    /// The area.
    pub area: u16,
    /// How many in all.
    pub quota: u32,
    /// Of these in live holds.
    pub held: u32,
    /// Of these sold.
    pub sold: u32,
}
