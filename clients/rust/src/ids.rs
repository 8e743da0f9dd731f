use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use parking_lot::Mutex;
use rand::RngExt;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::clock::ServerClock;

/// Version 7 and the RFC 9562 variant, in their places in the 128 bits.
const VERSION_AND_VARIANT: u128 = (0x7 << 76) | (0b10 << 62);
/// The 74 bits of a UUID of version 7 that are neither time, version nor variant.
const RANDOM_BITS: u128 = (0xfff << 64) | ((1 << 62) - 1);

/// The number a Session uses for an event: the first 8 bytes of SHA-256(event_id), little-endian.
pub fn event_key(event_id: &str) -> u64 {
    first_eight_bytes(event_id.as_bytes())
}

/// The number a Session uses for a customer, made as [`event_key`] is. 0, meaning none, for an empty text.
pub fn customer_key(customer: &str) -> u64 {
    if customer.is_empty() { 0 } else { first_eight_bytes(customer.as_bytes()) }
}

fn first_eight_bytes(text: &[u8]) -> u64 {
    u64::from_le_bytes(digest_prefix(text))
}

fn digest_prefix(text: &[u8]) -> [u8; 8] {
    let digest = Sha256::digest(text);
    let mut prefix = [0; 8];
    prefix.copy_from_slice(&digest[..8]);
    prefix
}

/// Id of a hold: a UUID of version 7 made before sending. It is the idempotency key and the right to confirm and
/// release in one, so `Debug` and logs show only its [`HoldRef`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldId(Uuid);

/// Public name of a hold: the first 8 bytes of SHA-256(hold_id).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldRef(pub [u8; 8]);

/// Id of a request that is not named by its hold alone: a UUID of version 7, rising within one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(Uuid);

/// Name of a payment attempt: a UUID of version 7, new for every attempt of a hold. Keep it with the payment: the
/// confirm names it, and so does the end of an attempt that came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId(Uuid);

impl HoldId {
    /// From the two halves a Session carries.
    pub fn from_halves(hi: u64, lo: u64) -> Self {
        Self(Uuid::from_u64_pair(hi, lo))
    }

    /// The two halves a Session carries, most significant first.
    pub fn halves(self) -> (u64, u64) {
        self.0.as_u64_pair()
    }

    /// The name to show to others.
    pub fn hold_ref(self) -> HoldRef {
        HoldRef(digest_prefix(self.0.as_bytes()))
    }

    /// Milliseconds since 1970 the id carries.
    pub fn time_ms(self) -> u64 {
        self.0.as_u64_pair().0 >> 16
    }
}

impl RequestId {
    /// From the two halves a Session carries.
    pub fn from_halves(hi: u64, lo: u64) -> Self {
        Self(Uuid::from_u64_pair(hi, lo))
    }

    /// The two halves a Session carries, most significant first.
    pub fn halves(self) -> (u64, u64) {
        self.0.as_u64_pair()
    }
}

impl AttemptId {
    /// From the two halves a Session carries.
    pub fn from_halves(hi: u64, lo: u64) -> Self {
        Self(Uuid::from_u64_pair(hi, lo))
    }

    /// The two halves a Session carries, most significant first.
    pub fn halves(self) -> (u64, u64) {
        self.0.as_u64_pair()
    }
}

impl fmt::Display for HoldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for HoldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HoldId(ref {})", self.hold_ref())
    }
}

impl FromStr for HoldId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

impl fmt::Display for HoldRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for HoldRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HoldRef({self})")
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for RequestId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for AttemptId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

/// Makes ids from the server's time and the operating system's randomness. Cheap to clone; clones share the order
/// of request ids.
#[derive(Clone, Debug)]
pub struct IdMaker {
    clock: Arc<ServerClock>,
    request_last: Arc<Mutex<u128>>,
}

impl IdMaker {
    /// Of a clock.
    pub fn new(clock: Arc<ServerClock>) -> Self {
        Self { clock, request_last: Arc::new(Mutex::new(0)) }
    }

    /// A new hold id: 48 bits of server time, 74 random bits.
    pub fn hold_id(&self) -> HoldId {
        HoldId(Uuid::from_u128(version_7(self.clock.now_ms(), rand::rng().random())))
    }

    /// A new name for a payment attempt.
    pub fn attempt_id(&self) -> AttemptId {
        AttemptId(Uuid::from_u128(version_7(self.clock.now_ms(), rand::rng().random())))
    }

    /// A new request id, greater than every one made before: a hold refuses an older one than its last.
    pub fn request_id(&self) -> RequestId {
        let fresh = version_7(self.clock.now_ms(), rand::rng().random());
        let mut last = self.request_last.lock();
        *last = fresh.max(successor(*last));
        RequestId(Uuid::from_u128(*last))
    }
}

fn version_7(time_ms: u64, random: u128) -> u128 {
    (u128::from(time_ms & 0xffff_ffff_ffff) << 80) | VERSION_AND_VARIANT | (random & RANDOM_BITS)
}

/// The next greater UUID of version 7: a carry out of a random field must step over version and variant.
fn successor(uuid: u128) -> u128 {
    let fixed = !(RANDOM_BITS | (0xffff_ffff_ffff << 80));
    // With the fixed bits all set, adding one carries through them into the field above.
    let next = (uuid | fixed).wrapping_add(1);
    (next & !fixed) | VERSION_AND_VARIANT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maker_at(server_ms: u64) -> IdMaker {
        let clock = Arc::new(ServerClock::new());
        clock.learn(server_ms);
        IdMaker::new(clock)
    }

    #[test]
    fn keys_are_the_little_endian_head_of_the_digest() {
        // SHA-256("abc") begins ba7816bf 8f01cfea.
        assert_eq!(event_key("abc"), 0xeacf_018f_bf16_78ba);
        assert_eq!(customer_key("abc"), event_key("abc"));
        assert_eq!(customer_key(""), 0);
    }

    #[test]
    fn a_hold_id_is_a_version_7_uuid_of_server_time() {
        let id = maker_at(1_700_000_000_000).hold_id();
        let uuid = Uuid::parse_str(&id.to_string()).expect("text of a uuid");
        assert_eq!(uuid.get_version_num(), 7);
        assert_eq!(uuid.get_variant(), uuid::Variant::RFC4122);
        assert!((1_700_000_000_000..1_700_000_005_000).contains(&id.time_ms()));
        assert_eq!(id.to_string().parse::<HoldId>().expect("round trip"), id);
        let (hi, lo) = id.halves();
        assert_eq!(HoldId::from_halves(hi, lo), id);
    }

    #[test]
    fn an_attempt_id_is_a_version_7_uuid_and_no_two_are_the_same() {
        let maker = maker_at(1_700_000_000_000);
        let (first, second) = (maker.attempt_id(), maker.attempt_id());
        assert_ne!(first, second);
        assert_eq!(first.0.get_version_num(), 7);
        assert_eq!(first.to_string().parse::<AttemptId>().expect("round trip"), first);
        let (hi, lo) = first.halves();
        assert_eq!(AttemptId::from_halves(hi, lo), first);
    }

    #[test]
    fn debug_of_a_hold_id_shows_its_ref_only() {
        let id = maker_at(5).hold_id();
        let shown = format!("{id:?}");
        assert!(shown.contains(&id.hold_ref().to_string()) && !shown.contains(&id.to_string()));
    }

    #[test]
    fn request_ids_rise_even_within_a_millisecond_and_when_time_steps_back() {
        let maker = maker_at(2_000_000_000_000);
        let mut last = maker.request_id();
        for step in 0..10_000 {
            if step == 5_000 {
                maker.clock.learn(1_900_000_000_000);
            }
            let next = maker.request_id();
            assert!(next > last, "step {step}");
            assert_eq!(next.0.get_version_num(), 7);
            assert_eq!(next.0.get_variant(), uuid::Variant::RFC4122);
            last = next;
        }
    }

    #[test]
    fn the_successor_carries_over_version_and_variant() {
        let full_low = version_7(9, (1 << 62) - 1);
        assert_eq!(successor(full_low), version_7(9, 1 << 64));
        let full = version_7(9, u128::MAX);
        assert_eq!(successor(full), version_7(10, 0));
    }
}
