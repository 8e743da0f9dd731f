//! The names of things: numbers with a meaning each, so that one is never passed for another.
//!
//! Not here: hashing a text into a key (SHA-256 is the caller's job, see each type), making ids
//! (backends do), text forms (the edge).

use alloc::boxed::Box;
use core::fmt;

use crate::limits::{EVENT_ID_BYTES_MAX, ORDER_REF_BYTES_MAX, SLOTS};

/// A point in time: milliseconds of Unix time, never decreasing, given by the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimestampMs(pub u64);

impl TimestampMs {
    /// This time and `ms` more, never past the end of `u64`.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// This time less `ms`, never before zero.
    #[must_use]
    pub const fn minus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_sub(ms))
    }

    /// Milliseconds from `earlier` to this time; zero when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The 128 bits of a UUIDv7 that name a hold within its event. Idempotency key and bearer token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldId(pub u128);

impl HoldId {
    /// The id as UUIDv7, or `None` when version or variant bits differ.
    #[must_use]
    pub const fn parse(bits: u128) -> Option<Self> {
        if uuid_v7(bits) { Some(Self(bits)) } else { None }
    }

    /// The milliseconds of Unix time in the first 48 bits (RFC 9562, 5.7).
    #[must_use]
    pub const fn time(self) -> TimestampMs {
        TimestampMs((self.0 >> 80) as u64)
    }
}

/// The 128 bits of a UUIDv7 that name one request on a hold or an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u128);

impl RequestId {
    /// The id as UUIDv7, or `None` when version or variant bits differ.
    #[must_use]
    pub const fn parse(bits: u128) -> Option<Self> {
        if uuid_v7(bits) { Some(Self(bits)) } else { None }
    }

    /// The milliseconds of Unix time in the first 48 bits (RFC 9562, 5.7).
    #[must_use]
    pub const fn time(self) -> TimestampMs {
        TimestampMs((self.0 >> 80) as u64)
    }
}

const fn uuid_v7(bits: u128) -> bool {
    (bits >> 76) & 0xf == 7 && (bits >> 62) & 0b11 == 0b10
}

/// First 8 bytes, little endian, of SHA-256 of the event id. Made by the caller of the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventKey(pub u64);

impl EventKey {
    /// The slot the event belongs to: the low byte of its key.
    #[must_use]
    pub const fn slot(self) -> SlotIndex {
        SlotIndex((self.0 % SLOTS as u64) as u8)
    }
}

/// One of the 256 fixed slots that events are dealt to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotIndex(pub u8);

/// Number of an event within its slot, dense from 0, given by its `EventCreated`, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventNumber(pub u32);

/// First 8 bytes, little endian, of SHA-256 of the customer text; zero: no customer was named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CustomerKey(pub u64);

impl CustomerKey {
    /// No customer was named.
    pub const NONE: Self = Self(0);

    /// Whether a customer was named.
    #[must_use]
    pub const fn is_some(self) -> bool {
        self.0 != 0
    }
}

/// BLAKE3 of an encoded plan. Made by the caller of the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlanDigest(pub [u8; 32]);

impl fmt::Display for PlanDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// An event's name: `[a-z0-9][a-z0-9._-]{0,63}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(Box<str>);

impl EventId {
    /// The id, or `None` when it is empty, too long, or has another character.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let first_ok = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let rest_ok =
            text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-'));
        (first_ok && rest_ok && text.len() <= EVENT_ID_BYTES_MAX).then(|| Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The buyer's order: 1 to 64 printable ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderRef(Box<str>);

impl OrderRef {
    /// The reference, or `None` when it is empty, too long, or not printable ASCII.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let ok =
            !text.is_empty() && text.len() <= ORDER_REF_BYTES_MAX && text.bytes().all(|b| (0x20..0x7f).contains(&b));
        ok.then(|| Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
