//! The bytes of the log: pages, segment headers, batches. All integers are little-endian.
//!
//! A segment file is two identical header pages and then batches, each starting on a page of its own:
//!
//! ```text
//! | header page | header page | batch ..pad | batch .. .. ..pad | marker | batch ..pad | zeros .. |
//! 0             4096          8192          (every start is a multiple of 4096)          capacity
//! ```
//!
//! The header page, checked by the CRC32C in its last four bytes (in this and in every later format):
//!
//! ```text
//! | magic "USHRSEG\0"    8 | format major u16, minor u16 | header bytes u32 | instance 16           |
//! | partition u32 | in flight u32 | incarnation u64 | epoch u64 | index u64                          |
//! | first batch u64 | first position u64 | chain before it 16                                        |
//! | previous: epoch u64, index u64, valid bytes u64, durable batch u64, kept batch u64               |
//! | time ms u64 | capacity u64 | features u32 | page bytes u32 | zeros .. | crc32c u32 at 4092       |
//! ```
//!
//! "Previous" is the logical end of what came before: batches of older epochs above `kept` do not
//! exist, whatever their bytes say, and `durable` (never above `kept`) is a witness. A header is
//! durable before the first batch of its segment is written.
//!
//! A batch is a frame header, the payload, and a trailer, then zeros to the end of the page:
//!
//! ```text
//! | magic "UBT1" | crc32c of the 120 bytes that follow | version u16 | kind u8 | flags u8 | partition u32 |
//! | instance 16 | epoch u64 | batch u64 | file offset u64 | durable batch u64 | first position u64        |
//! | count u32 | payload bytes u32 | time ms u64 | chain before 16 | payload crc32c u32 | zero u32          |
//! | segment index u64 | zero u64 | payload .. | chain 16 | low half of batch u32 | magic "END1"           |
//! ```
//!
//! The header has its own CRC so that the length is believed only after it was checked. Epoch, index
//! and offset name the one place where the bytes count: a stale or misplaced copy is no batch. The
//! chain is XXH3-128 over the chain before, kind, batch, first position, count, time and payload. It
//! says nothing of the place, so a copy written again in a later epoch has the same chain.
//!
//! A marker is a frame without payload. It has no number of its own: its batch field repeats the
//! durable batch, and it takes no part in the chain.

use probe::{planted, sometimes};
use xxhash_rust::xxh3::Xxh3;

/// Unit of writing: every batch starts on a page of its own, so no page with durable bytes is written
/// again.
pub const PAGE_BYTES: usize = 4096;
/// A batch carries at most this much payload.
pub const BATCH_PAYLOAD_BYTES_MAX: usize = 1 << 20;
/// At most this many batches are written and not yet durable.
pub const IN_FLIGHT_MAX: u32 = 2;
/// The number of the first batch of a log.
pub const FIRST_BATCH_SEQ: u64 = 1;
/// The position of the first change of a log.
pub const FIRST_POSITION: u64 = 1;

/// Newest layout known here. A higher major is refused; a higher minor is read.
pub const FORMAT_MAJOR: u16 = 1;
/// See [`FORMAT_MAJOR`].
pub const FORMAT_MINOR: u16 = 0;
/// Newest frame layout known here.
pub const FRAME_VERSION: u16 = 1;

/// Batches start after the two header pages.
pub const SEGMENT_HEADER_BYTES: usize = 2 * PAGE_BYTES;
/// The smallest segment: headers, one page of batch, one of SEAL.
pub const SEGMENT_BYTES_MIN: u64 = (SEGMENT_HEADER_BYTES + 2 * PAGE_BYTES) as u64;

const PAGE_CRC: usize = PAGE_BYTES - size_of::<u32>();

const SEGMENT_MAGIC: [u8; 8] = *b"USHRSEG\0";
const S_MAGIC: usize = 0;
const S_MAJOR: usize = S_MAGIC + 8;
const S_MINOR: usize = S_MAJOR + 2;
const S_HEADER_BYTES: usize = S_MINOR + 2;
const S_INSTANCE: usize = S_HEADER_BYTES + 4;
const S_PARTITION: usize = S_INSTANCE + 16;
const S_IN_FLIGHT: usize = S_PARTITION + 4;
const S_INCARNATION: usize = S_IN_FLIGHT + 4;
const S_EPOCH: usize = S_INCARNATION + 8;
const S_INDEX: usize = S_EPOCH + 8;
const S_FIRST_BATCH: usize = S_INDEX + 8;
const S_FIRST_POSITION: usize = S_FIRST_BATCH + 8;
const S_FIRST_CHAIN: usize = S_FIRST_POSITION + 8;
const S_PREV_EPOCH: usize = S_FIRST_CHAIN + 16;
const S_PREV_INDEX: usize = S_PREV_EPOCH + 8;
const S_PREV_VALID: usize = S_PREV_INDEX + 8;
const S_PREV_DURABLE: usize = S_PREV_VALID + 8;
const S_PREV_KEPT: usize = S_PREV_DURABLE + 8;
const S_TIME: usize = S_PREV_KEPT + 8;
const S_CAPACITY: usize = S_TIME + 8;
const S_FEATURES: usize = S_CAPACITY + 8;
const S_PAGE_BYTES: usize = S_FEATURES + 4;
const S_END: usize = S_PAGE_BYTES + 4;

const FRAME_MAGIC: [u8; 4] = *b"UBT1";
const F_MAGIC: usize = 0;
const F_CRC: usize = F_MAGIC + 4;
const F_VERSION: usize = F_CRC + 4;
const F_KIND: usize = F_VERSION + 2;
const F_FLAGS: usize = F_KIND + 1;
const F_PARTITION: usize = F_FLAGS + 1;
const F_INSTANCE: usize = F_PARTITION + 4;
const F_EPOCH: usize = F_INSTANCE + 16;
const F_BATCH: usize = F_EPOCH + 8;
const F_OFFSET: usize = F_BATCH + 8;
const F_DURABLE: usize = F_OFFSET + 8;
const F_POSITION: usize = F_DURABLE + 8;
const F_COUNT: usize = F_POSITION + 8;
const F_PAYLOAD_BYTES: usize = F_COUNT + 4;
const F_TIME: usize = F_PAYLOAD_BYTES + 4;
const F_PREV_CHAIN: usize = F_TIME + 8;
const F_PAYLOAD_CRC: usize = F_PREV_CHAIN + 16;
const F_ZERO_32: usize = F_PAYLOAD_CRC + 4;
const F_INDEX: usize = F_ZERO_32 + 4;
const F_ZERO_64: usize = F_INDEX + 8;
/// The part of a batch before its payload.
pub const FRAME_HEADER_BYTES: usize = F_ZERO_64 + 8;

const TRAILER_MAGIC: [u8; 4] = *b"END1";
const T_CHAIN: usize = 0;
const T_BATCH: usize = T_CHAIN + 16;
const T_MAGIC: usize = T_BATCH + 4;
/// The part of a batch after its payload.
pub const FRAME_TRAILER_BYTES: usize = T_MAGIC + 4;

/// The largest batch on disk, in whole pages.
pub const FRAME_BYTES_MAX: usize = frame_bytes(BATCH_PAYLOAD_BYTES_MAX);

/// The frame is a copy of a batch of an older epoch.
pub(crate) const FLAG_RELOG: u8 = 1;
/// The SEAL of a clean stop, not of a rotation.
pub(crate) const FLAG_STOPPED: u8 = 2;

const _: () = {
    assert!(S_END == 160 && S_END <= PAGE_CRC);
    assert!(FRAME_HEADER_BYTES == 128);
    assert!(FRAME_TRAILER_BYTES == 24);
    assert!(FRAME_BYTES_MAX == 257 * PAGE_BYTES);
};

/// Bytes on disk of a batch with this much payload: whole pages.
pub const fn frame_bytes(payload_bytes: usize) -> usize {
    (FRAME_HEADER_BYTES + payload_bytes + FRAME_TRAILER_BYTES).next_multiple_of(PAGE_BYTES)
}

/// Which log this is. Stored in every file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogIdentity {
    /// Made once, at the first start of a data folder.
    pub instance: [u8; 16],
    /// The partition this log belongs to.
    pub partition: u32,
    /// Grows with every restore.
    pub incarnation: u64,
}

/// Digest over everything up to a batch, wherever its bytes lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Chain(pub [u8; 16]);

impl Chain {
    /// Before the first batch.
    pub const START: Chain = Chain([0; 16]);

    /// After a batch of this content that follows this chain.
    #[must_use]
    pub fn after(self, content: &BatchContent<'_>) -> Chain {
        let mut hasher = Xxh3::new();
        hasher.update(&self.0);
        hasher.update(&[content.kind.code()]);
        hasher.update(&content.batch_seq.to_le_bytes());
        hasher.update(&content.first_position.to_le_bytes());
        hasher.update(&content.count.to_le_bytes());
        hasher.update(&content.time_ms.to_le_bytes());
        hasher.update(content.payload);
        Chain(hasher.digest128().to_le_bytes())
    }

    /// Where an incarnation begins that a restore made of the history with this chain, up to this position
    /// and no further: no batch of the old one continues it.
    #[must_use]
    pub fn restored(self, incarnation: u64, next_position: u64) -> Chain {
        let mut hasher = Xxh3::new();
        hasher.update(b"restored");
        hasher.update(&self.0);
        hasher.update(&incarnation.to_le_bytes());
        hasher.update(&next_position.to_le_bytes());
        Chain(hasher.digest128().to_le_bytes())
    }
}

/// What a batch says, wherever it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchContent<'a> {
    /// What it is: never [`BatchKind::Marker`].
    pub kind: BatchKind,
    /// Its number.
    pub batch_seq: u64,
    /// The position of its first change.
    pub first_position: u64,
    /// How many changes.
    pub count: u32,
    /// Its time.
    pub time_ms: u64,
    /// The opaque bytes.
    pub payload: &'a [u8],
}

/// What a batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BatchKind {
    /// Changes.
    Data,
    /// A page that only says how far the log is durable. Has no number and is never delivered.
    Marker,
    /// The last batch of a segment.
    Seal,
    /// A digest of the state, for replay to compare.
    Hash,
}

impl BatchKind {
    /// Its number in the log.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            BatchKind::Data => 1,
            BatchKind::Marker => 2,
            BatchKind::Seal => 3,
            BatchKind::Hash => 4,
        }
    }

    /// The kind with this number.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<BatchKind> {
        match code {
            1 => Some(BatchKind::Data),
            2 => Some(BatchKind::Marker),
            3 => Some(BatchKind::Seal),
            4 => Some(BatchKind::Hash),
            _ => None,
        }
    }
}

fn put<const N: usize>(buf: &mut [u8], at: usize, bytes: [u8; N]) {
    buf[at..at + N].copy_from_slice(&bytes);
}

fn get<const N: usize>(buf: &[u8], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&buf[at..at + N]);
    bytes
}

pub(crate) fn get_u16(buf: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(get(buf, at))
}

pub(crate) fn get_u32(buf: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(get(buf, at))
}

pub(crate) fn get_u64(buf: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(get(buf, at))
}

pub(crate) fn get_array<const N: usize>(buf: &[u8], at: usize) -> [u8; N] {
    get(buf, at)
}

pub(crate) fn put_bytes<const N: usize>(buf: &mut [u8], at: usize, bytes: [u8; N]) {
    put(buf, at, bytes);
}

/// Closes a page with the CRC of all before it.
pub(crate) fn close_page(page: &mut [u8; PAGE_BYTES]) {
    let crc = crc32c::crc32c(&page[..PAGE_CRC]);
    put(page, PAGE_CRC, crc.to_le_bytes());
}

/// Whether a page is closed by the right CRC.
pub(crate) fn page_checks(page: &[u8; PAGE_BYTES]) -> bool {
    get_u32(page, PAGE_CRC) == crc32c::crc32c(&page[..PAGE_CRC])
}

/// The header of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) identity: LogIdentity,
    pub(crate) in_flight: u32,
    pub(crate) epoch: u64,
    pub(crate) index: u64,
    pub(crate) first_batch_seq: u64,
    pub(crate) first_position: u64,
    pub(crate) first_chain: Chain,
    pub(crate) prev_epoch: u64,
    pub(crate) prev_index: u64,
    pub(crate) prev_valid_len: u64,
    pub(crate) prev_durable_seq: u64,
    pub(crate) prev_kept_seq: u64,
    pub(crate) time_ms: u64,
    pub(crate) capacity: u64,
}

/// What one header page says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HeaderPage {
    Valid(SegmentHeader),
    /// Not a header, or a damaged one.
    Invalid,
    /// The CRC holds, the format is newer.
    Newer(u16),
    /// The CRC holds and a field says what no writer writes.
    Impossible(&'static str),
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; PAGE_BYTES] {
        let mut page = [0; PAGE_BYTES];
        put(&mut page, S_MAGIC, SEGMENT_MAGIC);
        put(&mut page, S_MAJOR, FORMAT_MAJOR.to_le_bytes());
        put(&mut page, S_MINOR, FORMAT_MINOR.to_le_bytes());
        put(&mut page, S_HEADER_BYTES, (SEGMENT_HEADER_BYTES as u32).to_le_bytes());
        put(&mut page, S_INSTANCE, self.identity.instance);
        put(&mut page, S_PARTITION, self.identity.partition.to_le_bytes());
        put(&mut page, S_IN_FLIGHT, self.in_flight.to_le_bytes());
        put(&mut page, S_INCARNATION, self.identity.incarnation.to_le_bytes());
        put(&mut page, S_EPOCH, self.epoch.to_le_bytes());
        put(&mut page, S_INDEX, self.index.to_le_bytes());
        put(&mut page, S_FIRST_BATCH, self.first_batch_seq.to_le_bytes());
        put(&mut page, S_FIRST_POSITION, self.first_position.to_le_bytes());
        put(&mut page, S_FIRST_CHAIN, self.first_chain.0);
        put(&mut page, S_PREV_EPOCH, self.prev_epoch.to_le_bytes());
        put(&mut page, S_PREV_INDEX, self.prev_index.to_le_bytes());
        put(&mut page, S_PREV_VALID, self.prev_valid_len.to_le_bytes());
        put(&mut page, S_PREV_DURABLE, self.prev_durable_seq.to_le_bytes());
        put(&mut page, S_PREV_KEPT, self.prev_kept_seq.to_le_bytes());
        put(&mut page, S_TIME, self.time_ms.to_le_bytes());
        put(&mut page, S_CAPACITY, self.capacity.to_le_bytes());
        put(&mut page, S_PAGE_BYTES, (PAGE_BYTES as u32).to_le_bytes());
        close_page(&mut page);
        page
    }

    pub(crate) fn decode(page: &[u8; PAGE_BYTES]) -> HeaderPage {
        if get::<8>(page, S_MAGIC) != SEGMENT_MAGIC || !page_checks(page) {
            return HeaderPage::Invalid;
        }
        let major = get_u16(page, S_MAJOR);
        if major > FORMAT_MAJOR {
            return HeaderPage::Newer(major);
        }
        let header = SegmentHeader {
            identity: LogIdentity {
                instance: get(page, S_INSTANCE),
                partition: get_u32(page, S_PARTITION),
                incarnation: get_u64(page, S_INCARNATION),
            },
            in_flight: get_u32(page, S_IN_FLIGHT),
            epoch: get_u64(page, S_EPOCH),
            index: get_u64(page, S_INDEX),
            first_batch_seq: get_u64(page, S_FIRST_BATCH),
            first_position: get_u64(page, S_FIRST_POSITION),
            first_chain: Chain(get(page, S_FIRST_CHAIN)),
            prev_epoch: get_u64(page, S_PREV_EPOCH),
            prev_index: get_u64(page, S_PREV_INDEX),
            prev_valid_len: get_u64(page, S_PREV_VALID),
            prev_durable_seq: get_u64(page, S_PREV_DURABLE),
            prev_kept_seq: get_u64(page, S_PREV_KEPT),
            time_ms: get_u64(page, S_TIME),
            capacity: get_u64(page, S_CAPACITY),
        };
        if get_u32(page, S_FEATURES) != 0 {
            // A feature this reader does not know may change the meaning of any byte.
            return HeaderPage::Newer(major);
        }
        let impossible = if major == 0 {
            Some("its format number is 0")
        } else if get_u32(page, S_HEADER_BYTES) as usize != SEGMENT_HEADER_BYTES
            || get_u32(page, S_PAGE_BYTES) as usize != PAGE_BYTES
        {
            Some("its page size is not the one of its format")
        } else if header.in_flight == 0 || header.in_flight > IN_FLIGHT_MAX {
            Some("its number of batches in flight is out of range")
        } else if header.first_batch_seq < FIRST_BATCH_SEQ
            || header.first_position < FIRST_POSITION
            || header.epoch == 0
        {
            Some("its first batch, first position or epoch is 0")
        } else if header.prev_durable_seq > header.prev_kept_seq
            || header.first_batch_seq != header.prev_durable_seq.wrapping_add(1)
            || header.prev_kept_seq - header.prev_durable_seq > u64::from(IN_FLIGHT_MAX)
        {
            Some("its first, durable and kept batch contradict each other")
        } else {
            None
        };
        impossible.map_or(HeaderPage::Valid(header), HeaderPage::Impossible)
    }
}

/// A batch as it is handed to the encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHead {
    pub(crate) kind: BatchKind,
    pub(crate) flags: u8,
    pub(crate) instance: [u8; 16],
    pub(crate) partition: u32,
    pub(crate) epoch: u64,
    pub(crate) index: u64,
    pub(crate) offset: u64,
    pub(crate) batch_seq: u64,
    pub(crate) durable_seq: u64,
    pub(crate) first_position: u64,
    pub(crate) count: u32,
    pub(crate) time_ms: u64,
    pub(crate) prev_chain: Chain,
}

/// A frame header whose CRC holds. Its fields may be believed after [`FrameHeader::judge`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) head: FrameHead,
    pub(crate) payload_bytes: usize,
    version: u16,
    kind_code: u8,
    payload_crc: u32,
}

/// Why a frame header whose CRC holds cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unusable {
    Newer(u16),
    /// A field says what no writer writes.
    Impossible(&'static str),
}

impl FrameHead {
    /// The chain after this batch.
    pub(crate) fn chain(&self, payload: &[u8]) -> Chain {
        if self.kind == BatchKind::Marker {
            return self.prev_chain;
        }
        self.prev_chain.after(&BatchContent {
            kind: self.kind,
            batch_seq: self.batch_seq,
            first_position: self.first_position,
            count: self.count,
            time_ms: self.time_ms,
            payload,
        })
    }

    /// Writes the whole frame into `buf`, whose old content goes. Returns the chain after it.
    pub(crate) fn encode(&self, payload: &[&[u8]], buf: &mut Vec<u8>) -> Chain {
        let payload_bytes: usize = payload.iter().map(|part| part.len()).sum();
        assert!(
            payload_bytes <= BATCH_PAYLOAD_BYTES_MAX,
            "a batch of {payload_bytes} bytes would be refused when it is read"
        );
        assert!(self.offset.is_multiple_of(PAGE_BYTES as u64), "a batch off its page");
        buf.clear();
        buf.resize(FRAME_HEADER_BYTES, 0);
        for part in payload {
            buf.extend_from_slice(part);
        }
        let payload = &buf[FRAME_HEADER_BYTES..];
        let chain = self.chain(payload);
        let payload_crc = crc32c::crc32c(payload);

        put(buf, F_MAGIC, FRAME_MAGIC);
        put(buf, F_VERSION, FRAME_VERSION.to_le_bytes());
        put(buf, F_KIND, [self.kind.code()]);
        put(buf, F_FLAGS, [self.flags]);
        put(buf, F_PARTITION, self.partition.to_le_bytes());
        put(buf, F_INSTANCE, self.instance);
        put(buf, F_EPOCH, self.epoch.to_le_bytes());
        put(buf, F_BATCH, self.batch_seq.to_le_bytes());
        put(buf, F_OFFSET, self.offset.to_le_bytes());
        put(buf, F_DURABLE, self.durable_seq.to_le_bytes());
        put(buf, F_POSITION, self.first_position.to_le_bytes());
        put(buf, F_COUNT, self.count.to_le_bytes());
        // Fits: at most 1 MiB, asserted above.
        put(buf, F_PAYLOAD_BYTES, (payload_bytes as u32).to_le_bytes());
        put(buf, F_TIME, self.time_ms.to_le_bytes());
        put(buf, F_PREV_CHAIN, self.prev_chain.0);
        put(buf, F_PAYLOAD_CRC, payload_crc.to_le_bytes());
        put(buf, F_INDEX, self.index.to_le_bytes());
        let header_crc = crc32c::crc32c(&buf[F_VERSION..FRAME_HEADER_BYTES]);
        put(buf, F_CRC, header_crc.to_le_bytes());

        let trailer = buf.len();
        buf.resize(trailer + FRAME_TRAILER_BYTES, 0);
        put(buf, trailer + T_CHAIN, chain.0);
        put(buf, trailer + T_BATCH, low_half(self.batch_seq).to_le_bytes());
        put(buf, trailer + T_MAGIC, TRAILER_MAGIC);
        buf.resize(buf.len().next_multiple_of(PAGE_BYTES), 0);
        chain
    }
}

fn low_half(batch_seq: u64) -> u32 {
    (batch_seq & u64::from(u32::MAX)) as u32
}

impl FrameHeader {
    /// Reads the header at the start of a page; nothing when its magic or its CRC is wrong.
    pub(crate) fn decode(page: &[u8]) -> Option<FrameHeader> {
        if page.len() < FRAME_HEADER_BYTES
            || get::<4>(page, F_MAGIC) != FRAME_MAGIC
            || get_u32(page, F_CRC) != crc32c::crc32c(&page[F_VERSION..FRAME_HEADER_BYTES])
        {
            return None;
        }
        let kind_code = page[F_KIND];
        let head = FrameHead {
            // An unknown kind is caught by `judge`, after the place was compared.
            kind: BatchKind::from_code(kind_code).unwrap_or(BatchKind::Data),
            flags: page[F_FLAGS],
            instance: get(page, F_INSTANCE),
            partition: get_u32(page, F_PARTITION),
            epoch: get_u64(page, F_EPOCH),
            index: get_u64(page, F_INDEX),
            offset: get_u64(page, F_OFFSET),
            batch_seq: get_u64(page, F_BATCH),
            durable_seq: get_u64(page, F_DURABLE),
            first_position: get_u64(page, F_POSITION),
            count: get_u32(page, F_COUNT),
            time_ms: get_u64(page, F_TIME),
            prev_chain: Chain(get(page, F_PREV_CHAIN)),
        };
        Some(FrameHeader {
            head,
            payload_bytes: get_u32(page, F_PAYLOAD_BYTES) as usize,
            version: get_u16(page, F_VERSION),
            kind_code,
            payload_crc: get_u32(page, F_PAYLOAD_CRC),
        })
    }

    /// Gives a frame the checksums of its content, for fuzzing.
    pub(crate) fn repair(frame: &mut [u8]) {
        if frame.len() < FRAME_HEADER_BYTES || get::<4>(frame, F_MAGIC) != FRAME_MAGIC {
            return;
        }
        let payload_end = FRAME_HEADER_BYTES.saturating_add(get_u32(frame, F_PAYLOAD_BYTES) as usize);
        if let Some(payload) = frame.get(FRAME_HEADER_BYTES..payload_end) {
            let payload_crc = crc32c::crc32c(payload);
            put(frame, F_PAYLOAD_CRC, payload_crc.to_le_bytes());
        }
        let header_crc = crc32c::crc32c(&frame[F_VERSION..FRAME_HEADER_BYTES]);
        put(frame, F_CRC, header_crc.to_le_bytes());
        let Some(header) = FrameHeader::decode(frame) else { return };
        if frame.len() >= payload_end + FRAME_TRAILER_BYTES {
            let chain = header.head.chain(&frame[FRAME_HEADER_BYTES..payload_end]);
            put(frame, payload_end + T_CHAIN, chain.0);
            put(frame, payload_end + T_BATCH, low_half(header.head.batch_seq).to_le_bytes());
            put(frame, payload_end + T_MAGIC, TRAILER_MAGIC);
        }
    }

    /// Whether the fields are such as a writer of this version writes. Ask only for a frame that says it
    /// lies where it does: payload bytes may look like any frame but cannot know their own place.
    pub(crate) fn judge(&self) -> Result<(), Unusable> {
        if self.version > FRAME_VERSION {
            return Err(Unusable::Newer(self.version));
        }
        let head = &self.head;
        let impossible = if self.version == 0 {
            "its version is 0"
        } else if BatchKind::from_code(self.kind_code).is_none() {
            "its kind is unknown"
        } else if self.payload_bytes > BATCH_PAYLOAD_BYTES_MAX {
            "its length is over the limit"
        } else if head.flags & !(FLAG_RELOG | FLAG_STOPPED) != 0 {
            "its flags are unknown"
        } else if head.batch_seq < FIRST_BATCH_SEQ || head.first_position < FIRST_POSITION {
            "its number or position is 0"
        } else if head.batch_seq == u64::MAX || head.first_position.checked_add(u64::from(head.count)).is_none() {
            "its number or position is at the end of the range"
        } else if head.kind != BatchKind::Data && head.count != 0 {
            "a batch without changes counts some"
        } else if head.kind == BatchKind::Marker {
            if self.payload_bytes == 0 && head.batch_seq == head.durable_seq {
                return Ok(());
            }
            "a marker carries data"
        } else if head.durable_seq >= head.batch_seq {
            "it says that it was durable before it was written"
        } else if head.batch_seq - head.durable_seq > u64::from(IN_FLIGHT_MAX) {
            "it says that more batches were in flight than may be"
        } else {
            return Ok(());
        };
        Err(Unusable::Impossible(impossible))
    }

    /// Bytes on disk, in whole pages.
    pub(crate) fn frame_bytes(&self) -> usize {
        frame_bytes(self.payload_bytes)
    }

    /// Checks payload and trailer of the frame whose header this is. Returns the payload and the chain
    /// after it.
    pub(crate) fn verify<'a>(&self, frame: &'a [u8]) -> Option<(&'a [u8], Chain)> {
        let trailer = FRAME_HEADER_BYTES + self.payload_bytes;
        let payload = frame.get(FRAME_HEADER_BYTES..trailer)?;
        let trailer = frame.get(trailer..trailer + FRAME_TRAILER_BYTES)?;
        if get::<4>(trailer, T_MAGIC) != TRAILER_MAGIC || get_u32(trailer, T_BATCH) != low_half(self.head.batch_seq) {
            return None;
        }
        if crc32c::crc32c(payload) != self.payload_crc && !planted!(PayloadUnchecked) {
            sometimes!("recovery: a batch is whole but for its content");
            return None;
        }
        if planted!(PayloadUnchecked) {
            return Some((payload, Chain(get(trailer, T_CHAIN))));
        }
        let chain = self.head.chain(payload);
        (get::<16>(trailer, T_CHAIN) == chain.0).then_some((payload, chain))
    }
}
