//! What is known of one segment file, and its name.

use std::fmt;
use std::io;

use crate::format::Chain;
use crate::storage::Storage;

/// One segment, and the batches in it that count. Neighbours never overlap and leave nothing out: a batch written
/// again in a later epoch counts there, and in the older segment when a crash took the copy back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentInfo {
    /// File name.
    pub name: String,
    /// The opening for writing that made it.
    pub epoch: u64,
    /// Its number within the epoch.
    pub index: u64,
    /// The first batch that counts; the one its header names when there is none.
    pub first_batch_seq: u64,
    /// Its last batch; `first_batch_seq - 1` when it has none.
    pub last_batch_seq: u64,
    /// The position of that batch.
    pub first_position: u64,
    /// The chain before that batch.
    pub first_chain: Chain,
    /// Every batch that counts ends at or before this byte.
    pub valid_len: u64,
    /// Length of the file.
    pub bytes: u64,
}

impl SegmentInfo {
    /// No batch in it counts.
    pub fn is_empty(&self) -> bool {
        self.last_batch_seq < self.first_batch_seq
    }
}

/// Removes a segment; durable when this returns. Call oldest first, so that what is left has no gap.
pub fn remove_segment(storage: &dyn Storage, segment: &SegmentInfo) -> io::Result<()> {
    storage.remove(&segment.name)?;
    storage.sync_dir("")
}

/// `wal-<partition>-<epoch>-<index>.seg`, numbers in decimal without leading zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentName {
    pub(crate) partition: u32,
    pub(crate) epoch: u64,
    pub(crate) index: u64,
}

impl SegmentName {
    pub(crate) fn parse(name: &str) -> Option<SegmentName> {
        let mut parts = name.strip_prefix("wal-")?.strip_suffix(".seg")?.split('-');
        let parsed = SegmentName {
            partition: parts.next()?.parse().ok()?,
            epoch: parts.next()?.parse().ok()?,
            index: parts.next()?.parse().ok()?,
        };
        // Only the name a writer gives: "wal-0-01-0.seg" would be a second file for the same place.
        (parts.next().is_none() && parsed.to_string() == name).then_some(parsed)
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wal-{}-{}-{}.seg", self.partition, self.epoch, self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_a_writer_gives_is_a_segment() {
        let name = SegmentName { partition: 0, epoch: 12, index: 3 };
        assert_eq!(SegmentName::parse("wal-0-12-3.seg"), Some(name));
        for other in [
            "wal-0-012-3.seg",
            "wal-0-12.seg",
            "wal-0-12-3-4.seg",
            "wal-0-12-3.seg.tmp",
            "wal-+0-12-3.seg",
            "WATERMARK",
        ] {
            assert_eq!(SegmentName::parse(other), None, "{other}");
        }
    }
}
