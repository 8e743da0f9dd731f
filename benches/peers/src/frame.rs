//! The one gRPC frame that `h2load` posts again and again: a hold of two admissions.
//!
//! ```text
//! | compressed: u8 = 0 | length: u32, big-endian | HoldRequest: length bytes |
//! ```
//! It has no id of a hold, so the server makes one and every frame is a hold of its own.
//!
//! Not here: who posts it (`h2load.rs`).

use prost::Message;
use proto::inventory::v1::{GaItem, HoldRequest};

/// Admissions of one hold: two, as every hold of a comparison takes two places.
pub const ADMISSIONS: u32 = 2;
/// The shortest that a server allows. Nobody releases these holds, and in a second they are over and their places open
/// again.
pub const TTL_MS: u64 = 1_000;

/// A hold of area 0 of an event.
#[must_use]
pub fn hold_request(event_id: &str) -> HoldRequest {
    HoldRequest {
        event_id: event_id.to_owned(),
        ga: vec![GaItem { area: 0, quantity: ADMISSIONS, ..GaItem::default() }],
        ttl_ms: TTL_MS,
        ..HoldRequest::default()
    }
}

/// A message as the body of a unary call.
#[must_use]
#[expect(clippy::big_endian_bytes, reason = "gRPC says so")]
pub fn frame(message: &impl Message) -> Vec<u8> {
    let body = message.encode_to_vec();
    // A message of this crate is some tens of bytes.
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let mut bytes = vec![0];
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&body);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_of_a_hold_has_these_bytes() {
        let golden = b"\0\0\0\0\x0e\x0a\x05field\x2a\x02\x18\x02\x58\xe8\x07";
        assert_eq!(frame(&hold_request("field")), golden);
        assert_eq!(HoldRequest::decode(&golden[5..]).expect("a message"), hold_request("field"));
    }

    #[test]
    fn an_empty_message_is_a_frame_without_a_body() {
        assert_eq!(frame(&HoldRequest::default()), [0; 5]);
    }
}
