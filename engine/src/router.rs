//! Which shard has an event: its slot's number modulo the number of shards.
//!
//! Pure, so that a log written by some number of shards is read by any other.

use inventory_core::ids::{EventKey, SlotIndex};
use sha2::{Digest, Sha256};

/// The key of an event: the first 8 bytes, little endian, of SHA-256 of its name.
#[must_use]
pub fn event_key(id: &str) -> EventKey {
    let digest: [u8; 32] = Sha256::digest(id.as_bytes()).into();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    EventKey(u64::from_le_bytes(first))
}

/// The shard of a slot.
pub(crate) fn shard_of(slot: SlotIndex, shards: usize) -> usize {
    usize::from(slot.0) % shards
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_first_bytes_of_sha_256() {
        // SHA-256("abc") begins ba7816bf 8f01cfea.
        assert_eq!(event_key("abc"), EventKey(0xeacf_018f_bf16_78ba));
    }

    #[test]
    fn every_slot_has_one_shard() {
        for shards in 1..=5 {
            for slot in 0..=255 {
                assert!(shard_of(SlotIndex(slot), shards) < shards);
            }
        }
    }
}
