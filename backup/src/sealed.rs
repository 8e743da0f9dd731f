//! The form of every object of a backup: a head, a compressed body, a seal. All integers are little-endian.
//!
//! ```text
//! | head 160 | chunk .. | chunk .. | end of chunks 12 | tail 68 |
//!
//! head:   | magic "USHRBAK\0" 8 | format u16 | flags u16 (0) | kind u8 | zero 3 | partition u32 | zero u32 |
//!         | instance 16 | incarnation u64 | first batch u64 | last batch u64 | first position u64 |
//!         | next position u64 | first time ms u64 | last time ms u64 | chain before 16 | chain after 16 |
//!         | body bytes u64 | zeros .. | crc32c u32 at 156 |
//! kind:   1 snapshot, 2 log, 3 plan
//! chunk:  | bytes of body u32, 1 to 1048576 | bytes stored u32 | crc32c u32 of the stored | stored, one zstd frame |
//! end:    | zeros 12 |
//! tail:   | chunks u64 | body bytes u64 | bytes of the object u64 | BLAKE3 32 of all before it in the object |
//!         | crc32c u32 of the 56 bytes before | magic "USHREND\0" 8 |
//! ```
//!
//! An object is written front to back and read front to back, one chunk in memory. It counts only when its
//! tail was read and checks: [`SealedReader::finish`] says so, and nothing read before may be used until then.

use std::fmt;
use std::io::{self, Read, Write};

use wal::{Chain, LogIdentity};

/// Version of the form.
pub const FORMAT: u16 = 1;
const MAGIC: [u8; 8] = *b"USHRBAK\0";
const END_MAGIC: [u8; 8] = *b"USHREND\0";
const HEAD_BYTES: usize = 160;
const HEAD_CRC: usize = HEAD_BYTES - 4;
const HEAD_USED: usize = 136;
const CHUNK_HEAD_BYTES: usize = 12;
/// Body bytes of a full chunk.
const CHUNK_BYTES: usize = 1 << 20;
/// More than zstd makes of a chunk that cannot be compressed.
const CHUNK_STORED_BYTES_MAX: usize = CHUNK_BYTES + (CHUNK_BYTES >> 7) + 512;
const TAIL_BYTES: usize = 68;
const TAIL_DIGEST: usize = 24;
const TAIL_CRC: usize = 56;
/// Log compresses to a third at this level, at some 300 MB/s.
const LEVEL: i32 = 1;

/// What an object holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A checkpoint and its plans.
    Snapshot,
    /// Consecutive batches.
    Log,
    /// One plan.
    Plan,
}

impl Kind {
    const fn code(self) -> u8 {
        match self {
            Kind::Snapshot => 1,
            Kind::Log => 2,
            Kind::Plan => 3,
        }
    }

    const fn from_code(code: u8) -> Option<Kind> {
        match code {
            1 => Some(Kind::Snapshot),
            2 => Some(Kind::Log),
            3 => Some(Kind::Plan),
            _ => None,
        }
    }
}

/// What an object says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// What it holds.
    pub kind: Kind,
    /// The log it is of.
    pub identity: LogIdentity,
    /// The first batch; of a snapshot the one after its last.
    pub first_batch: u64,
    /// The last batch.
    pub last_batch: u64,
    /// The position of the first change.
    pub first_position: u64,
    /// The position after the last change.
    pub next_position: u64,
    /// The time of the first batch.
    pub first_time_ms: u64,
    /// The time of the last batch.
    pub last_time_ms: u64,
    /// The chain before the first batch.
    pub chain_before: Chain,
    /// The chain after the last batch.
    pub chain: Chain,
    /// Bytes of the body, not compressed.
    pub body_bytes: u64,
}

impl Head {
    fn encode(&self) -> [u8; HEAD_BYTES] {
        let mut bytes = Vec::with_capacity(HEAD_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.extend_from_slice(&[0, 0, self.kind.code(), 0, 0, 0]);
        bytes.extend_from_slice(&self.identity.partition.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.identity.instance);
        bytes.extend_from_slice(&self.identity.incarnation.to_le_bytes());
        for number in [
            self.first_batch,
            self.last_batch,
            self.first_position,
            self.next_position,
            self.first_time_ms,
            self.last_time_ms,
        ] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.chain_before.0);
        bytes.extend_from_slice(&self.chain.0);
        bytes.extend_from_slice(&self.body_bytes.to_le_bytes());
        debug_assert_eq!(bytes.len(), HEAD_USED);
        bytes.resize(HEAD_CRC, 0);
        let crc = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        let mut head = [0; HEAD_BYTES];
        head.copy_from_slice(&bytes);
        head
    }

    fn decode(bytes: &[u8; HEAD_BYTES]) -> Result<Head, HeadFault> {
        if bytes[..8] != MAGIC {
            return Err(HeadFault::Damaged("it does not begin as an object of a backup does"));
        }
        if u32_at(bytes, HEAD_CRC) != crc32c::crc32c(&bytes[..HEAD_CRC]) {
            return Err(HeadFault::Damaged("the head does not check"));
        }
        let (format, flags) = (u16_at(bytes, 8), u16_at(bytes, 10));
        if format > FORMAT || flags != 0 {
            return Err(HeadFault::Newer(format));
        }
        let Some(kind) = Kind::from_code(bytes[12]) else { return Err(HeadFault::Newer(format)) };
        let head = Head {
            kind,
            identity: LogIdentity {
                partition: u32_at(bytes, 16),
                instance: array_at(bytes, 24),
                incarnation: u64_at(bytes, 40),
            },
            first_batch: u64_at(bytes, 48),
            last_batch: u64_at(bytes, 56),
            first_position: u64_at(bytes, 64),
            next_position: u64_at(bytes, 72),
            first_time_ms: u64_at(bytes, 80),
            last_time_ms: u64_at(bytes, 88),
            chain_before: Chain(array_at(bytes, 96)),
            chain: Chain(array_at(bytes, 112)),
            body_bytes: u64_at(bytes, 128),
        };
        let in_order = head.last_batch < u64::MAX
            && head.first_batch <= head.last_batch + 1
            && head.first_position <= head.next_position
            && head.first_time_ms <= head.last_time_ms
            && (head.kind == Kind::Plan || head.next_position > 0);
        if in_order { Ok(head) } else { Err(HeadFault::Damaged("its head says what no writer writes")) }
    }
}

enum HeadFault {
    Damaged(&'static str),
    Newer(u16),
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array_at(bytes, at))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

/// An object was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    /// Bytes of the object.
    pub bytes: u64,
    /// BLAKE3 of all of it, as `b3sum` prints it.
    pub blake3: [u8; 32],
}

impl Seal {
    /// The digest in hexadecimal.
    #[must_use]
    pub fn hex(&self) -> String {
        self.blake3.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Writes one object.
pub struct SealedWriter<'a> {
    out: &'a mut dyn Write,
    compressor: zstd::bulk::Compressor<'static>,
    digest: blake3::Hasher,
    body: Vec<u8>,
    written: u64,
    body_bytes: u64,
    promised: u64,
    chunks: u64,
}

impl<'a> SealedWriter<'a> {
    /// Begins an object whose body will have `head.body_bytes` bytes.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn begin(out: &'a mut dyn Write, head: &Head) -> io::Result<SealedWriter<'a>> {
        let mut writer = SealedWriter {
            out,
            compressor: zstd::bulk::Compressor::new(LEVEL)?,
            digest: blake3::Hasher::new(),
            body: Vec::with_capacity(CHUNK_BYTES),
            written: 0,
            body_bytes: 0,
            promised: head.body_bytes,
            chunks: 0,
        };
        writer.put(&head.encode())?;
        Ok(writer)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.digest.update(bytes);
        self.written += bytes.len() as u64;
        Ok(())
    }

    fn put_chunk(&mut self) -> io::Result<()> {
        if self.body.is_empty() {
            return Ok(());
        }
        let stored = self.compressor.compress(&self.body)?;
        debug_assert!(stored.len() <= CHUNK_STORED_BYTES_MAX);
        let mut head = Vec::with_capacity(CHUNK_HEAD_BYTES);
        // Both fit: bounded by the size of a chunk.
        head.extend_from_slice(&(self.body.len() as u32).to_le_bytes());
        head.extend_from_slice(&(stored.len() as u32).to_le_bytes());
        head.extend_from_slice(&crc32c::crc32c(&stored).to_le_bytes());
        self.put(&head)?;
        self.put(&stored)?;
        self.body_bytes += self.body.len() as u64;
        self.chunks += 1;
        self.body.clear();
        Ok(())
    }

    /// Ends the object.
    ///
    /// # Errors
    /// Those of `out`; and when the body has not the length that was promised.
    pub fn seal(mut self) -> io::Result<Seal> {
        self.put_chunk()?;
        if self.body_bytes != self.promised {
            let what = format!("a body of {} bytes was promised and {} came", self.promised, self.body_bytes);
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        self.put(&[0; CHUNK_HEAD_BYTES])?;
        let object_bytes = self.written + TAIL_BYTES as u64;
        let mut tail = Vec::with_capacity(TAIL_BYTES);
        for number in [self.chunks, self.body_bytes, object_bytes] {
            tail.extend_from_slice(&number.to_le_bytes());
        }
        // The digest covers the tail up to itself.
        self.digest.update(&tail);
        let digest = self.digest.finalize();
        tail.extend_from_slice(digest.as_bytes());
        tail.extend_from_slice(&crc32c::crc32c(&tail).to_le_bytes());
        tail.extend_from_slice(&END_MAGIC);
        self.out.write_all(&tail)?;
        self.out.flush()?;
        self.digest.update(&tail[TAIL_DIGEST..]);
        Ok(Seal { bytes: object_bytes, blake3: *self.digest.finalize().as_bytes() })
    }
}

impl Write for SealedWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(CHUNK_BYTES - self.body.len());
        self.body.extend_from_slice(&bytes[..taken]);
        if self.body.len() == CHUNK_BYTES {
            self.put_chunk()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An object cannot be used.
#[derive(Debug)]
pub enum SealedError {
    /// It cannot be read.
    Io {
        /// The object.
        object: String,
        /// The system's reason.
        source: io::Error,
    },
    /// It does not check.
    Damaged {
        /// The object.
        object: String,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// A newer program wrote it.
    Newer {
        /// The object.
        object: String,
        /// Its format.
        found: u16,
    },
}

impl fmt::Display for SealedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SealedError::Io { object, source } => write!(f, "{object}: {source}"),
            SealedError::Damaged { object, offset, what } => {
                write!(f, "{object} is damaged at byte {offset}: {what}; use another copy of it")
            }
            SealedError::Newer { object, found } => {
                write!(f, "{object} has format {found} and this program knows {FORMAT}: use the newer program")
            }
        }
    }
}

impl std::error::Error for SealedError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SealedError::Io { source, .. } => Some(source),
            SealedError::Damaged { .. } | SealedError::Newer { .. } => None,
        }
    }
}

/// Reads one object.
pub struct SealedReader<'a> {
    object: String,
    input: Box<dyn Read + 'a>,
    head: Head,
    decompressor: zstd::bulk::Decompressor<'static>,
    digest: blake3::Hasher,
    offset: u64,
    body_bytes: u64,
    chunks: u64,
    ended: bool,
}

impl<'a> SealedReader<'a> {
    /// Reads the head. `object` is its name for errors.
    ///
    /// # Errors
    /// The head does not check or is of a newer format.
    pub fn open(object: &str, input: impl Read + 'a) -> Result<SealedReader<'a>, SealedError> {
        let mut input: Box<dyn Read + 'a> = Box::new(input);
        let mut bytes = [0; HEAD_BYTES];
        read_all(object, &mut input, 0, &mut bytes)?;
        let head = match Head::decode(&bytes) {
            Ok(head) => head,
            Err(HeadFault::Newer(found)) => return Err(SealedError::Newer { object: object.to_owned(), found }),
            Err(HeadFault::Damaged(what)) => {
                return Err(SealedError::Damaged { object: object.to_owned(), offset: 0, what: what.to_owned() });
            }
        };
        let mut digest = blake3::Hasher::new();
        digest.update(&bytes);
        let decompressor =
            zstd::bulk::Decompressor::new().map_err(|source| SealedError::Io { object: object.to_owned(), source })?;
        Ok(SealedReader {
            object: object.to_owned(),
            input,
            head,
            decompressor,
            digest,
            offset: HEAD_BYTES as u64,
            body_bytes: 0,
            chunks: 0,
            ended: false,
        })
    }

    /// What it says of itself.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Bytes of the object read so far.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    pub(crate) fn damaged(&self, offset: u64, what: impl Into<String>) -> SealedError {
        SealedError::Damaged { object: self.object.clone(), offset, what: what.into() }
    }

    fn take(&mut self, bytes: &mut [u8]) -> Result<(), SealedError> {
        read_all(&self.object, &mut self.input, self.offset, bytes)?;
        self.digest.update(bytes);
        self.offset += bytes.len() as u64;
        Ok(())
    }

    /// Puts the next chunk of the body into `body`. False: there is no more.
    ///
    /// # Errors
    /// The chunk does not check.
    pub fn chunk(&mut self, body: &mut Vec<u8>) -> Result<bool, SealedError> {
        body.clear();
        if self.ended {
            return Ok(false);
        }
        let at = self.offset;
        let mut head = [0; CHUNK_HEAD_BYTES];
        self.take(&mut head)?;
        if head == [0; CHUNK_HEAD_BYTES] {
            self.ended = true;
            return Ok(false);
        }
        let (length, stored_length) = (u32_at(&head, 0) as usize, u32_at(&head, 4) as usize);
        if !(1..=CHUNK_BYTES).contains(&length) || !(1..=CHUNK_STORED_BYTES_MAX).contains(&stored_length) {
            return Err(self.damaged(at, "a chunk has a length that no writer writes"));
        }
        if self.body_bytes + length as u64 > self.head.body_bytes {
            return Err(self.damaged(at, "the body is longer than the head says"));
        }
        let mut stored = vec![0; stored_length];
        self.take(&mut stored)?;
        if crc32c::crc32c(&stored) != u32_at(&head, 8) {
            return Err(self.damaged(at, "a chunk does not check"));
        }
        body.resize(length, 0);
        match self.decompressor.decompress_to_buffer(&stored, body.as_mut_slice()) {
            Ok(got) if got == length => {}
            Ok(_) | Err(_) => return Err(self.damaged(at, "a chunk is not what was compressed")),
        }
        self.body_bytes += length as u64;
        self.chunks += 1;
        Ok(true)
    }

    /// Reads the tail: only now everything that was read may be used.
    ///
    /// # Errors
    /// The object is not whole, or goes on behind its tail.
    pub fn finish(mut self) -> Result<Seal, SealedError> {
        let mut body = Vec::new();
        while self.chunk(&mut body)? {}
        let at = self.offset;
        let digest_before = {
            let mut tail = [0; TAIL_BYTES];
            let mut digest = self.digest.clone();
            read_all(&self.object, &mut self.input, at, &mut tail)?;
            digest.update(&tail[..TAIL_DIGEST]);
            let expected = digest.finalize();
            if tail[TAIL_CRC + 4..] != END_MAGIC || u32_at(&tail, TAIL_CRC) != crc32c::crc32c(&tail[..TAIL_CRC]) {
                return Err(self.damaged(at, "the tail does not check"));
            }
            let numbers = [u64_at(&tail, 0), u64_at(&tail, 8), u64_at(&tail, 16)];
            if numbers != [self.chunks, self.body_bytes, at + TAIL_BYTES as u64]
                || self.body_bytes != self.head.body_bytes
            {
                return Err(self.damaged(at, "a part of it is missing or was added"));
            }
            if expected.as_bytes()[..] != tail[TAIL_DIGEST..TAIL_CRC] {
                return Err(self.damaged(0, "its BLAKE3 is another one"));
            }
            digest.update(&tail[TAIL_DIGEST..]);
            digest
        };
        let mut beyond = [0];
        match self.input.read(&mut beyond) {
            Ok(0) => Ok(Seal { bytes: at + TAIL_BYTES as u64, blake3: *digest_before.finalize().as_bytes() }),
            Ok(_) => Err(self.damaged(at + TAIL_BYTES as u64, "it goes on behind its tail")),
            Err(source) => Err(SealedError::Io { object: self.object, source }),
        }
    }

    /// The whole body of an object that was read to its end and checks; refused when it would be longer than
    /// `bytes_max`.
    ///
    /// # Errors
    /// The object does not check.
    pub fn whole(mut self, bytes_max: u64) -> Result<(Head, Vec<u8>, Seal), SealedError> {
        let head = self.head;
        if head.body_bytes > bytes_max {
            return Err(self.damaged(128, format!("a body of {} bytes is longer than any", head.body_bytes)));
        }
        let (mut all, mut body) = (Vec::new(), Vec::new());
        while self.chunk(&mut body)? {
            all.extend_from_slice(&body);
        }
        let seal = self.finish()?;
        Ok((head, all, seal))
    }
}

fn read_all(object: &str, input: &mut dyn Read, offset: u64, bytes: &mut [u8]) -> Result<(), SealedError> {
    let mut done = 0;
    while done < bytes.len() {
        match input.read(&mut bytes[done..]) {
            Ok(0) => {
                return Err(SealedError::Damaged {
                    object: object.to_owned(),
                    offset: offset + done as u64,
                    what: "it ends there".to_owned(),
                });
            }
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(SealedError::Io { object: object.to_owned(), source }),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(body_bytes: u64) -> Head {
        Head {
            kind: Kind::Log,
            identity: LogIdentity { instance: [7; 16], partition: 0, incarnation: 3 },
            first_batch: 5,
            last_batch: 9,
            first_position: 11,
            next_position: 19,
            first_time_ms: 1_700_000_000_000,
            last_time_ms: 1_700_000_000_009,
            chain_before: Chain([1; 16]),
            chain: Chain([2; 16]),
            body_bytes,
        }
    }

    fn object(body: &[u8]) -> (Vec<u8>, Seal) {
        let mut bytes = Vec::new();
        let mut writer = SealedWriter::begin(&mut bytes, &head(body.len() as u64)).expect("a vector takes all");
        writer.write_all(body).expect("a vector takes all");
        let seal = writer.seal().expect("the length is right");
        (bytes, seal)
    }

    fn read(bytes: &[u8]) -> Result<(Head, Vec<u8>, Seal), SealedError> {
        SealedReader::open("object", bytes)?.whole(1 << 30)
    }

    #[test]
    fn what_was_written_is_read() {
        for length in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES] {
            let body: Vec<u8> = (0..length).map(|at| ((at * at) >> 7) as u8).collect();
            let (bytes, seal) = object(&body);
            assert_eq!(seal.bytes, bytes.len() as u64);
            assert_eq!(seal.blake3, *blake3::hash(&bytes).as_bytes(), "as b3sum says");
            let (found, read, again) = read(&bytes).expect("it is whole");
            assert_eq!((found, again), (head(length as u64), seal));
            assert!(read == body, "{length}");
        }
    }

    #[test]
    fn every_flipped_bit_every_cut_and_every_byte_more_is_noticed() {
        let (bytes, _) = object(b"twelve times twelve is a gross, and a gross of grosses is a great one");
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                assert!(read(&damaged).is_err(), "bit {bit} of byte {at}");
            }
            let error = read(&bytes[..at]).expect_err("it is cut").to_string();
            assert!(error.starts_with("object is damaged at byte "), "{error}");
        }
        let mut longer = bytes;
        longer.push(0);
        assert!(read(&longer).expect_err("it goes on").to_string().contains("goes on"));
    }

    #[test]
    fn an_object_of_version_1_is_read() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/object_v1.bin");
        if std::env::var_os("USHER_UPDATE_GOLDEN").is_some() {
            std::fs::write(path, object(b"thirteen byte").0).expect("the repository can be written");
        }
        let golden = std::fs::read(path).expect("it is in the repository");
        let (found, body, _) = read(&golden).expect("version 1");
        assert_eq!((found, body.as_slice()), (head(13), &b"thirteen byte"[..]));
        // The head and the tail's shape do not depend on how the body was compressed.
        assert_eq!(head(13).encode(), golden[..HEAD_BYTES]);
        assert_eq!(golden[golden.len() - 8..], END_MAGIC);
    }

    #[test]
    fn a_newer_format_is_told_from_damage() {
        let (mut bytes, _) = object(b"");
        bytes[8] = 2;
        let crc = crc32c::crc32c(&bytes[..HEAD_CRC]);
        bytes[HEAD_CRC..HEAD_BYTES].copy_from_slice(&crc.to_le_bytes());
        assert!(matches!(read(&bytes), Err(SealedError::Newer { found: 2, .. })));
    }

    #[test]
    fn lengths_are_bounded_before_they_are_used() {
        let huge = head(u64::MAX).encode();
        let error = read(&huge).expect_err("no body is that long").to_string();
        assert!(error.contains("longer than any"), "{error}");
        let mut bytes = head(u64::MAX).encode().to_vec();
        bytes.extend_from_slice(&[255; 12]);
        let mut reader = SealedReader::open("object", bytes.as_slice()).expect("the head checks");
        let error = reader.chunk(&mut Vec::new()).expect_err("no chunk is that long").to_string();
        assert!(error.contains("length"), "{error}");
    }
}
