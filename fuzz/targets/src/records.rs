//! Changes as the log has them.

use inventory_core::codec::{decode_record, encode_record};

/// Records behind each other: each takes the bytes it says, and writes back as them.
pub(crate) fn records(bytes: &[u8]) {
    let mut rest = bytes;
    let mut again = Vec::new();
    while let Ok((record, consumed)) = decode_record(rest) {
        assert!(consumed > 0 && consumed <= rest.len());
        again.clear();
        encode_record(&record, &mut again);
        assert_eq!(again, rest[..consumed], "one change has one encoding");
        rest = &rest[consumed..];
    }
}

/// The payload of a batch: the first two bytes say how many changes it holds.
pub(crate) fn runs(bytes: &[u8]) {
    let Some((count, payload)) = bytes.split_first_chunk::<2>() else { return };
    let runs = engine::fuzz::runs(payload, u32::from(u16::from_le_bytes(*count)));
    runs.into_iter().for_each(records);
}
