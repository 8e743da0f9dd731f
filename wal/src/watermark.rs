//! The watermark file: how far the log was durable, in a file of its own.
//!
//! Two pages written in turn, each synced before the other is touched, so a crash damages at most one.
//! It is written after durability only: it may lag and never runs ahead, and so it is a witness. It
//! also carries the time, so that a start knows how long the server was down.
//!
//! ```text
//! | magic "USHRMRK\0" 8 | format u16 | zero u16 | partition u32 | instance 16 | incarnation u64 |
//! | turn u64 | durable batch u64 | position u64 | time ms u64 | epoch u64 | zeros .. | crc32c u32 at 4092 |
//! ```
//! The page with the higher `turn` is the newer one.

use std::io;

use crate::format::{
    LogIdentity, PAGE_BYTES, close_page, get_array, get_u16, get_u32, get_u64, page_checks, put_bytes,
};
use crate::storage::{Storage, WriteFile};

/// Its name, in the root of the data folder.
pub const WATERMARK_NAME: &str = "WATERMARK";

const WATERMARK_FORMAT: u16 = 1;
const MAGIC_BYTES: [u8; 8] = *b"USHRMRK\0";
const MAGIC: usize = 0;
const FORMAT: usize = MAGIC + 8;
const ZERO: usize = FORMAT + 2;
const PARTITION: usize = ZERO + 2;
const INSTANCE: usize = PARTITION + 4;
const INCARNATION: usize = INSTANCE + 16;
const TURN: usize = INCARNATION + 8;
const DURABLE: usize = TURN + 8;
const POSITION: usize = DURABLE + 8;
const TIME: usize = POSITION + 8;
const EPOCH: usize = TIME + 8;
const END: usize = EPOCH + 8;
const _: () = assert!(END == 80);

/// How far the log was durable at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermark {
    /// The log it belongs to.
    pub identity: LogIdentity,
    /// Counts the writes of this file.
    pub turn: u64,
    /// The last durable batch.
    pub durable_seq: u64,
    /// The last durable position.
    pub position: u64,
    /// When, by the log's clock.
    pub time_ms: u64,
    /// The opening for writing that wrote it.
    pub epoch: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    Valid(Watermark),
    /// Never written.
    Zero,
    Damaged,
    Newer(u16),
}

impl Watermark {
    pub(crate) fn encode(&self) -> [u8; PAGE_BYTES] {
        let mut page = [0; PAGE_BYTES];
        put_bytes(&mut page, MAGIC, MAGIC_BYTES);
        put_bytes(&mut page, FORMAT, WATERMARK_FORMAT.to_le_bytes());
        put_bytes(&mut page, PARTITION, self.identity.partition.to_le_bytes());
        put_bytes(&mut page, INSTANCE, self.identity.instance);
        put_bytes(&mut page, INCARNATION, self.identity.incarnation.to_le_bytes());
        put_bytes(&mut page, TURN, self.turn.to_le_bytes());
        put_bytes(&mut page, DURABLE, self.durable_seq.to_le_bytes());
        put_bytes(&mut page, POSITION, self.position.to_le_bytes());
        put_bytes(&mut page, TIME, self.time_ms.to_le_bytes());
        put_bytes(&mut page, EPOCH, self.epoch.to_le_bytes());
        close_page(&mut page);
        page
    }

    fn decode(page: &[u8; PAGE_BYTES]) -> Page {
        if page.iter().all(|&byte| byte == 0) {
            return Page::Zero;
        }
        if get_array::<8>(page, MAGIC) != MAGIC_BYTES || !page_checks(page) {
            return Page::Damaged;
        }
        let format = get_u16(page, FORMAT);
        if format > WATERMARK_FORMAT {
            return Page::Newer(format);
        }
        Page::Valid(Watermark {
            identity: LogIdentity {
                instance: get_array(page, INSTANCE),
                partition: get_u32(page, PARTITION),
                incarnation: get_u64(page, INCARNATION),
            },
            turn: get_u64(page, TURN),
            durable_seq: get_u64(page, DURABLE),
            position: get_u64(page, POSITION),
            time_ms: get_u64(page, TIME),
            epoch: get_u64(page, EPOCH),
        })
    }
}

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WatermarkFile {
    /// What is valid in it, newest first.
    pub(crate) valid: Vec<Watermark>,
    /// The page to write next: never the newest valid one.
    next_page: u64,
    /// Whether there is such a file.
    pub(crate) is_there: bool,
    /// Where pages are that do not check.
    pub(crate) damaged: Vec<u64>,
    pub(crate) newer: Option<(u64, u16)>,
}

impl WatermarkFile {
    pub(crate) const NEWEST_FORMAT: u16 = WATERMARK_FORMAT;

    /// Reads the file; one that is missing says nothing.
    pub(crate) fn read(storage: &dyn Storage) -> io::Result<WatermarkFile> {
        let mut found =
            WatermarkFile { valid: Vec::new(), next_page: 0, is_there: false, damaged: Vec::new(), newer: None };
        if !storage.exists(WATERMARK_NAME)? {
            return Ok(found);
        }
        found.is_there = true;
        let file = storage.open_read_uncached(WATERMARK_NAME)?;
        let bytes = file.len()?;
        for number in 0..2u64 {
            let offset = number * PAGE_BYTES as u64;
            if bytes < offset + PAGE_BYTES as u64 {
                continue;
            }
            let mut page = [0; PAGE_BYTES];
            file.read_exact_at(offset, &mut page)?;
            match Watermark::decode(&page) {
                Page::Valid(watermark) => {
                    if found.valid.first().is_none_or(|newest| newest.turn < watermark.turn) {
                        found.valid.insert(0, watermark);
                        found.next_page = 1 - number;
                    } else {
                        found.valid.push(watermark);
                    }
                }
                Page::Zero => {}
                Page::Damaged => found.damaged.push(offset),
                Page::Newer(format) => found.newer = Some((offset, format)),
            }
        }
        Ok(found)
    }
}

/// The file, open for writing.
pub(crate) struct WatermarkWriter {
    file: Box<dyn WriteFile>,
    next_page: u64,
    turn: u64,
}

impl WatermarkWriter {
    /// Opens the file. A new one is durable, and its name too, after the next sync of the folder.
    pub(crate) fn open(storage: &dyn Storage) -> io::Result<WatermarkWriter> {
        let found = WatermarkFile::read(storage)?;
        let mut file = storage.open_write(WATERMARK_NAME)?;
        if file.len()? < 2 * PAGE_BYTES as u64 {
            // Whole from the start: later writes change neither length nor allocation. What there is of
            // a shorter file never held a synced page.
            file.write_all_at(0, &[0; 2 * PAGE_BYTES])?;
            file.sync_all()?;
        }
        let turn = found.valid.first().map_or(0, |newest| newest.turn);
        Ok(WatermarkWriter { file, next_page: found.next_page, turn })
    }

    /// Writes one page and syncs it. `watermark.turn` is filled in.
    pub(crate) fn write(&mut self, mut watermark: Watermark) -> io::Result<()> {
        self.turn += 1;
        watermark.turn = self.turn;
        self.file.write_all_at(self.next_page * PAGE_BYTES as u64, &watermark.encode())?;
        self.file.sync_data()?;
        self.next_page = 1 - self.next_page;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

    use super::*;
    use crate::memory::{Keep, MemoryStorage};

    const IDENTITY: LogIdentity = LogIdentity { instance: *b"0123456789abcdef", partition: 3, incarnation: 2 };

    fn watermark(durable_seq: u64) -> Watermark {
        Watermark { identity: IDENTITY, turn: 0, durable_seq, position: 9, time_ms: 70, epoch: 4 }
    }

    fn newest(storage: &MemoryStorage) -> Option<u64> {
        WatermarkFile::read(storage).unwrap().valid.first().map(|newest| newest.durable_seq)
    }

    #[test]
    fn pages_are_written_in_turn_and_the_newest_counts() {
        let storage = MemoryStorage::new();
        assert_eq!(newest(&storage), None);
        for durable_seq in 1..6 {
            // A new writer each time: it must find the page to write by reading.
            WatermarkWriter::open(&storage).unwrap().write(watermark(durable_seq)).unwrap();
            assert_eq!(newest(&storage), Some(durable_seq));
            storage.sync_dir("").unwrap();
            assert_eq!(newest(&storage.crash(Keep::Nothing)), Some(durable_seq), "each write is synced");
        }
        assert_eq!(WatermarkFile::read(&storage).unwrap().valid.len(), 2);
    }

    #[test]
    fn a_damaged_page_leaves_the_other() {
        let storage = MemoryStorage::new();
        let mut writer = WatermarkWriter::open(&storage).unwrap();
        for durable_seq in 1..=4 {
            writer.write(watermark(durable_seq)).unwrap();
        }
        for (page, left) in [(0, 4), (1, 3)] {
            let damaged = storage.duplicate();
            damaged.overwrite(WATERMARK_NAME, page * PAGE_BYTES + 50, &[0xFF]);
            let found = WatermarkFile::read(&damaged).unwrap();
            assert_eq!(found.damaged, [(page * PAGE_BYTES) as u64]);
            assert_eq!(newest(&damaged), Some(left));
            // The next write goes over the damaged page.
            WatermarkWriter::open(&damaged).unwrap().write(watermark(5)).unwrap();
            let found = WatermarkFile::read(&damaged).unwrap();
            assert!(found.damaged.is_empty());
            assert_eq!(newest(&damaged), Some(5));
        }
    }
}
