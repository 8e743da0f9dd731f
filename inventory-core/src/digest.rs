//! Hashing inside the state machine: a fixed 64-bit mixer for state digests, fingerprints and text
//! indexes. Deterministic, the same on every machine and in every version that shares a format.
//!
//! The mixer is the finalizer of SplitMix64 (Steele, Lea and Flood, 2014, with Stafford's variant
//! 13 constants). It is no defence against an adversary: tables whose keys callers choose are
//! seeded with a secret of the instance (`holds.rs`).
//!
//! Not here: checksums of files and plans (crates `wal` and `engine`).

/// One round: every bit of the input reaches every bit of the output.
#[must_use]
pub(crate) const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A running hash over words, order mattering.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hasher(u64);

impl Hasher {
    /// A hash of its own kind: two kinds never share values by accident.
    pub(crate) const fn new(kind: u64) -> Self {
        Self(mix(kind))
    }

    /// Take in one word.
    pub(crate) const fn word(&mut self, word: u64) {
        self.0 = mix(self.0.rotate_left(23) ^ word);
    }

    /// Take in an id.
    pub(crate) const fn wide(&mut self, wide: u128) {
        self.word(wide as u64);
        self.word((wide >> 64) as u64);
    }

    /// Take in bytes with their length.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.word(u64::from_le_bytes(*word)));
        if !rest.is_empty() {
            // Little endian, filled up with zeros.
            self.word(rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)));
        }
    }

    /// The hash so far.
    pub(crate) const fn finish(self) -> u64 {
        self.0
    }
}

/// Hash of a text, for the plan's key index.
#[must_use]
pub(crate) fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut hasher = Hasher::new(1);
    hasher.bytes(bytes);
    hasher.finish()
}
