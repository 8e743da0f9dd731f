//! Checkpoint files: opaque sections under one header. All integers are little-endian.
//!
//! ```text
//! | header page 4096 | section .. | section .. | table | tail 72 |
//!
//! header:   | magic "USHRCKP\0" 8 | format u16 | flags u16 | partition u32 | instance 16 | incarnation u64 |
//!           | batch u64 | next position u64 | chain 16 | time ms u64 | hash 16 | restored at ms u64 | zeros .. |
//!           | crc32c u32 at 4092 |
//! flags:    1 restored: the first one of an incarnation that a restore began; else `restored at` is zero
//! section:  blocks of up to 65536 bytes: | length u32 | crc32c u32 of (file offset u64, bytes) | bytes .. |
//! table:    per section: | tag u32 | crc32c u32 of (tag, offset, length) | offset u64 | length u64 |
//! tail:     | table offset u64 | sections u32 | crc32c u32 of the table | file bytes u64 |
//!           | BLAKE3 32 of all before it in the file | zero u32 | crc32c u32 of the 64 bytes before | magic 8 |
//! ```
//!
//! `length` in the table counts the bytes of the section, without the heads of its blocks. Every block
//! but the last of a section is full. The block's CRC covers its place, so a block in another's place
//! does not check.
//!
//! The file appears under its name only after it was synced, read back and verified.

use std::collections::BTreeSet;
use std::io;

use probe::planted;

use crate::error::CheckpointError;
use crate::format::{
    Chain, LogIdentity, PAGE_BYTES, close_page, get_array, get_u16, get_u32, get_u64, page_checks, put_bytes,
};
use crate::storage::{ReadFile, Storage, WriteFile};

const CHECKPOINT_FORMAT: u16 = 1;
const MAGIC_BYTES: [u8; 8] = *b"USHRCKP\0";
const H_MAGIC: usize = 0;
const H_FORMAT: usize = H_MAGIC + 8;
const H_FLAGS: usize = H_FORMAT + 2;
const H_PARTITION: usize = H_FLAGS + 2;
const H_INSTANCE: usize = H_PARTITION + 4;
const H_INCARNATION: usize = H_INSTANCE + 16;
const H_BATCH: usize = H_INCARNATION + 8;
const H_POSITION: usize = H_BATCH + 8;
const H_CHAIN: usize = H_POSITION + 8;
const H_TIME: usize = H_CHAIN + 16;
const H_HASH: usize = H_TIME + 8;
const H_RESTORED_AT: usize = H_HASH + 16;
const H_END: usize = H_RESTORED_AT + 8;

const FLAG_RESTORED: u16 = 1;

const BLOCK_BYTES: usize = 64 << 10;
const BLOCK_HEAD_BYTES: usize = 8;
/// Blocks that are read at a time.
const READ_BLOCKS: usize = 16;

const E_TAG: usize = 0;
const E_CRC: usize = E_TAG + 4;
const E_OFFSET: usize = E_CRC + 4;
const E_LENGTH: usize = E_OFFSET + 8;
const ENTRY_BYTES: usize = E_LENGTH + 8;

const T_TABLE: usize = 0;
const T_SECTIONS: usize = T_TABLE + 8;
const T_TABLE_CRC: usize = T_SECTIONS + 4;
const T_FILE_BYTES: usize = T_TABLE_CRC + 4;
const T_DIGEST: usize = T_FILE_BYTES + 8;
const T_ZERO: usize = T_DIGEST + 32;
const T_CRC: usize = T_ZERO + 4;
const T_MAGIC: usize = T_CRC + 4;
const TAIL_BYTES: usize = T_MAGIC + 8;

/// More sections than any engine has; bounds what a reader allocates for the table.
const SECTIONS_MAX: u32 = 1 << 20;

const _: () = {
    assert!(H_END == 104);
    assert!(ENTRY_BYTES == 24);
    assert!(TAIL_BYTES == 72);
};

/// What a checkpoint covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointMeta {
    /// The log it was made from.
    pub identity: LogIdentity,
    /// The last batch in it.
    pub batch_seq: u64,
    /// The position after it.
    pub next_position: u64,
    /// The chain after that batch.
    pub chain: Chain,
    /// The time of that batch.
    pub time_ms: u64,
    /// Digest of the state, the engine's own.
    pub hash: [u8; 16],
    /// Set in the checkpoint that a restored folder begins with: when it was written, by the clock of the
    /// machine that did.
    pub restored_at_ms: Option<u64>,
}

/// `snap-<partition>-<batch>.ckpt`.
fn file_name(partition: u32, batch_seq: u64) -> String {
    format!("snap-{partition}-{batch_seq}.ckpt")
}

fn parse_name(name: &str) -> Option<(u32, u64)> {
    let (partition, batch_seq) = name.strip_prefix("snap-")?.strip_suffix(".ckpt")?.split_once('-')?;
    let parsed = (partition.parse().ok()?, batch_seq.parse().ok()?);
    (file_name(parsed.0, parsed.1) == name).then_some(parsed)
}

/// The checkpoints in the folder, newest first.
pub fn list_checkpoints(storage: &dyn Storage) -> io::Result<Vec<String>> {
    let mut found: Vec<_> =
        storage.list("")?.into_iter().filter_map(|name| Some((parse_name(&name)?.1, name))).collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    Ok(found.into_iter().map(|(_, name)| name).collect())
}

impl CheckpointMeta {
    /// The name of its file: under another one it was renamed, or is a copy.
    #[must_use]
    pub fn file_name(&self) -> String {
        file_name(self.identity.partition, self.batch_seq)
    }

    fn encode(&self) -> [u8; PAGE_BYTES] {
        let mut page = [0; PAGE_BYTES];
        put_bytes(&mut page, H_MAGIC, MAGIC_BYTES);
        put_bytes(&mut page, H_FORMAT, CHECKPOINT_FORMAT.to_le_bytes());
        put_bytes(&mut page, H_PARTITION, self.identity.partition.to_le_bytes());
        put_bytes(&mut page, H_INSTANCE, self.identity.instance);
        put_bytes(&mut page, H_INCARNATION, self.identity.incarnation.to_le_bytes());
        put_bytes(&mut page, H_BATCH, self.batch_seq.to_le_bytes());
        put_bytes(&mut page, H_POSITION, self.next_position.to_le_bytes());
        put_bytes(&mut page, H_CHAIN, self.chain.0);
        put_bytes(&mut page, H_TIME, self.time_ms.to_le_bytes());
        put_bytes(&mut page, H_HASH, self.hash);
        if let Some(at_ms) = self.restored_at_ms {
            put_bytes(&mut page, H_FLAGS, FLAG_RESTORED.to_le_bytes());
            put_bytes(&mut page, H_RESTORED_AT, at_ms.to_le_bytes());
        }
        close_page(&mut page);
        page
    }

    fn decode(page: &[u8; PAGE_BYTES], file: &str) -> Result<CheckpointMeta, CheckpointError> {
        if get_array::<8>(page, H_MAGIC) != MAGIC_BYTES || !page_checks(page) {
            return Err(damaged(file, 0, "the header does not check"));
        }
        let found = get_u16(page, H_FORMAT);
        if found > CHECKPOINT_FORMAT {
            return Err(CheckpointError::NewerFormat { file: file.to_owned(), found, known: CHECKPOINT_FORMAT });
        }
        let flags = get_u16(page, H_FLAGS);
        if flags & !FLAG_RESTORED != 0 {
            // A flag this reader does not know may change the meaning of the whole file.
            return Err(CheckpointError::NewerFormat { file: file.to_owned(), found, known: CHECKPOINT_FORMAT });
        }
        Ok(CheckpointMeta {
            identity: LogIdentity {
                instance: get_array(page, H_INSTANCE),
                partition: get_u32(page, H_PARTITION),
                incarnation: get_u64(page, H_INCARNATION),
            },
            batch_seq: get_u64(page, H_BATCH),
            next_position: get_u64(page, H_POSITION),
            chain: Chain(get_array(page, H_CHAIN)),
            time_ms: get_u64(page, H_TIME),
            hash: get_array(page, H_HASH),
            restored_at_ms: (flags & FLAG_RESTORED != 0).then(|| get_u64(page, H_RESTORED_AT)),
        })
    }
}

fn damaged(file: &str, offset: u64, what: &'static str) -> CheckpointError {
    CheckpointError::Damaged { file: file.to_owned(), offset, what }
}

fn io_error(file: &str) -> impl FnOnce(io::Error) -> CheckpointError + use<'_> {
    move |source| CheckpointError::Io { file: file.to_owned(), source }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    tag: u32,
    offset: u64,
    length: u64,
}

impl Entry {
    fn crc(&self) -> u32 {
        let crc = crc32c::crc32c(&self.tag.to_le_bytes());
        let crc = crc32c::crc32c_append(crc, &self.offset.to_le_bytes());
        crc32c::crc32c_append(crc, &self.length.to_le_bytes())
    }

    /// Bytes in the file, with the heads of the blocks; nothing when no file is that long.
    fn stored(&self) -> Option<u64> {
        let blocks = self.length.div_ceil(BLOCK_BYTES as u64);
        blocks.checked_mul(BLOCK_HEAD_BYTES as u64)?.checked_add(self.length)
    }
}

fn block_crc(offset: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&offset.to_le_bytes()), bytes)
}

/// Writes one checkpoint.
pub struct CheckpointWriter<'a> {
    storage: &'a dyn Storage,
    meta: CheckpointMeta,
    name: String,
    aside: String,
    file: Box<dyn WriteFile>,
    offset: u64,
    digest: blake3::Hasher,
    entries: Vec<Entry>,
    tags: BTreeSet<u32>,
    block: Vec<u8>,
}

impl<'a> CheckpointWriter<'a> {
    /// Begins a checkpoint under a temporary name. What crashes left of earlier ones is removed: one
    /// checkpoint is written at a time.
    pub fn create(storage: &'a dyn Storage, meta: CheckpointMeta) -> Result<Self, CheckpointError> {
        let name = file_name(meta.identity.partition, meta.batch_seq);
        let aside = format!("{name}.tmp");
        let begin = || {
            for left in storage.list("")? {
                if left.strip_suffix(".tmp").and_then(parse_name).is_some() {
                    storage.remove(&left)?;
                }
            }
            storage.create_new(&aside)
        };
        let file = begin().map_err(io_error(&aside))?;
        let mut writer = CheckpointWriter {
            storage,
            meta,
            name,
            aside,
            file,
            offset: 0,
            digest: blake3::Hasher::new(),
            entries: Vec::new(),
            tags: BTreeSet::new(),
            block: Vec::new(),
        };
        writer.put(&meta.encode())?;
        Ok(writer)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), CheckpointError> {
        self.file.write_all_at(self.offset, bytes).map_err(io_error(&self.aside))?;
        self.digest.update(bytes);
        self.offset += bytes.len() as u64;
        Ok(())
    }

    /// Adds a section.
    ///
    /// # Panics
    /// When the tag was used before: only one of the two could be read.
    pub fn add_section(&mut self, tag: u32, bytes: &[u8]) -> Result<(), CheckpointError> {
        assert!(self.tags.insert(tag), "section {tag} twice");
        assert!((self.entries.len() as u64) < u64::from(SECTIONS_MAX), "too many sections");
        self.entries.push(Entry { tag, offset: self.offset, length: bytes.len() as u64 });
        for part in bytes.chunks(BLOCK_BYTES) {
            let mut block = std::mem::take(&mut self.block);
            block.clear();
            // Fits: at most 64 KiB.
            block.extend_from_slice(&(part.len() as u32).to_le_bytes());
            block.extend_from_slice(&block_crc(self.offset, part).to_le_bytes());
            block.extend_from_slice(part);
            self.put(&block)?;
            self.block = block;
        }
        Ok(())
    }

    /// Syncs, reads back and verifies, gives the file its name, makes the name durable. Returns the name.
    pub fn finish(mut self) -> Result<String, CheckpointError> {
        let table_offset = self.offset;
        let mut table = Vec::with_capacity(self.entries.len() * ENTRY_BYTES);
        for entry in &self.entries {
            table.extend_from_slice(&entry.tag.to_le_bytes());
            table.extend_from_slice(&entry.crc().to_le_bytes());
            table.extend_from_slice(&entry.offset.to_le_bytes());
            table.extend_from_slice(&entry.length.to_le_bytes());
        }
        self.put(&table)?;
        let mut tail = [0; TAIL_BYTES];
        put_bytes(&mut tail, T_TABLE, table_offset.to_le_bytes());
        // Fits: bounded in `add_section`.
        put_bytes(&mut tail, T_SECTIONS, (self.entries.len() as u32).to_le_bytes());
        put_bytes(&mut tail, T_TABLE_CRC, crc32c::crc32c(&table).to_le_bytes());
        put_bytes(&mut tail, T_FILE_BYTES, (self.offset + TAIL_BYTES as u64).to_le_bytes());
        // The digest covers the tail up to itself.
        self.digest.update(&tail[..T_DIGEST]);
        put_bytes(&mut tail, T_DIGEST, *self.digest.finalize().as_bytes());
        let crc = crc32c::crc32c(&tail[..T_CRC]);
        put_bytes(&mut tail, T_CRC, crc.to_le_bytes());
        put_bytes(&mut tail, T_MAGIC, MAGIC_BYTES);
        self.file.write_all_at(self.offset, &tail).map_err(io_error(&self.aside))?;
        if !planted!(RenameBeforeSync) {
            self.file.sync_all().map_err(io_error(&self.aside))?;
        }
        drop(self.file);

        let written = CheckpointReader::open(self.storage, &self.aside)?;
        written.verify_all()?;
        if *written.meta() != self.meta || written.entries != self.entries {
            return Err(damaged(&self.aside, 0, "it reads back differently from what was written"));
        }
        drop(written);
        self.storage.rename(&self.aside, &self.name).map_err(io_error(&self.name))?;
        self.storage.sync_dir("").map_err(io_error(&self.name))?;
        Ok(self.name)
    }
}

/// Reads one checkpoint.
pub struct CheckpointReader {
    name: String,
    file: Box<dyn ReadFile>,
    file_bytes: u64,
    meta: CheckpointMeta,
    entries: Vec<Entry>,
    digest: [u8; 32],
}

impl CheckpointReader {
    /// Opens a checkpoint and verifies its header and its table of sections.
    pub fn open(storage: &dyn Storage, name: &str) -> Result<Self, CheckpointError> {
        let file = storage.open_read_uncached(name).map_err(io_error(name))?;
        let file_bytes = file.len().map_err(io_error(name))?;
        if file_bytes < (PAGE_BYTES + TAIL_BYTES) as u64 {
            return Err(damaged(name, file_bytes, "the file ends before its tail"));
        }
        let mut page = [0; PAGE_BYTES];
        file.read_exact_at(0, &mut page).map_err(io_error(name))?;
        let meta = CheckpointMeta::decode(&page, name)?;
        if let Some(named) = parse_name(name)
            && named != (meta.identity.partition, meta.batch_seq)
        {
            return Err(damaged(name, 0, "its header is that of a checkpoint with another name"));
        }

        let tail_offset = file_bytes - TAIL_BYTES as u64;
        let mut tail = [0; TAIL_BYTES];
        file.read_exact_at(tail_offset, &mut tail).map_err(io_error(name))?;
        if get_array::<8>(&tail, T_MAGIC) != MAGIC_BYTES
            || get_u32(&tail, T_CRC) != crc32c::crc32c(&tail[..T_CRC])
            || get_u64(&tail, T_FILE_BYTES) != file_bytes
        {
            return Err(damaged(name, tail_offset, "the tail does not check"));
        }
        let sections = get_u32(&tail, T_SECTIONS);
        let table_offset = get_u64(&tail, T_TABLE);
        if sections > SECTIONS_MAX
            || table_offset.checked_add(u64::from(sections) * ENTRY_BYTES as u64) != Some(tail_offset)
        {
            return Err(damaged(name, tail_offset, "the table is not where the tail says"));
        }
        let mut table = vec![0; sections as usize * ENTRY_BYTES];
        file.read_exact_at(table_offset, &mut table).map_err(io_error(name))?;
        if get_u32(&tail, T_TABLE_CRC) != crc32c::crc32c(&table) {
            return Err(damaged(name, table_offset, "the table of sections does not check"));
        }
        let mut entries = Vec::with_capacity(sections as usize);
        let mut next = PAGE_BYTES as u64;
        for (number, bytes) in table.chunks_exact(ENTRY_BYTES).enumerate() {
            let entry = Entry {
                tag: get_u32(bytes, E_TAG),
                offset: get_u64(bytes, E_OFFSET),
                length: get_u64(bytes, E_LENGTH),
            };
            let end = entry.stored().and_then(|stored| entry.offset.checked_add(stored));
            // Sections lie one after the other and fill the file.
            match end {
                Some(end) if entry.offset == next && end <= table_offset && get_u32(bytes, E_CRC) == entry.crc() => {
                    next = end;
                }
                _ => {
                    let offset = table_offset + (number * ENTRY_BYTES) as u64;
                    return Err(damaged(name, offset, "a section is not where the table says"));
                }
            }
            entries.push(entry);
        }
        if next != table_offset {
            return Err(damaged(name, next, "there are bytes that belong to no section"));
        }
        let digest = get_array(&tail, T_DIGEST);
        Ok(CheckpointReader { name: name.to_owned(), file, file_bytes, meta, entries, digest })
    }

    /// What it covers.
    pub fn meta(&self) -> &CheckpointMeta {
        &self.meta
    }

    /// The name it was opened under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes of the file as they are, for a copy of it. The file stays readable while this is open, also
    /// when its name is gone.
    pub fn read_raw(&self, offset: u64, buf: &mut [u8]) -> Result<(), CheckpointError> {
        self.file.read_exact_at(offset, buf).map_err(io_error(&self.name))
    }

    /// Length of the file.
    pub fn bytes(&self) -> u64 {
        self.file_bytes
    }

    /// The tags, in the order they were written.
    pub fn sections(&self) -> impl Iterator<Item = u32> + '_ {
        self.entries.iter().map(|entry| entry.tag)
    }

    /// One section, verified.
    pub fn read_section(&self, tag: u32) -> Result<Vec<u8>, CheckpointError> {
        let name = &self.name;
        let entry = self
            .entries
            .iter()
            .find(|entry| entry.tag == tag)
            .ok_or_else(|| CheckpointError::NoSection { file: name.clone(), tag })?;
        let mut bytes = Vec::new();
        self.read_blocks(entry, None, &mut bytes)?;
        Ok(bytes)
    }

    /// Reads a section into `bytes`, verified, and what lies in the file into `digest`.
    fn read_blocks(
        &self,
        entry: &Entry,
        mut digest: Option<&mut blake3::Hasher>,
        bytes: &mut Vec<u8>,
    ) -> Result<(), CheckpointError> {
        let name = &self.name;
        // `open` has compared the length with that of the file.
        let length = usize::try_from(entry.length)
            .map_err(|_| damaged(name, entry.offset, "the section is longer than memory"))?;
        bytes.clear();
        bytes
            .try_reserve_exact(length)
            .map_err(|_| damaged(name, entry.offset, "the section is longer than memory"))?;
        let mut offset = entry.offset;
        let mut blocks = vec![0; stored_bytes(length).min(READ_BLOCKS * (BLOCK_HEAD_BYTES + BLOCK_BYTES))];
        while bytes.len() < length {
            let some = stored_bytes(length - bytes.len()).min(blocks.len());
            let some = &mut blocks[..some];
            self.file.read_exact_at(offset, some).map_err(io_error(name))?;
            if let Some(digest) = digest.as_deref_mut() {
                digest.update(some);
            }
            for block in some.chunks(BLOCK_HEAD_BYTES + BLOCK_BYTES) {
                let (head, part) = block.split_at(BLOCK_HEAD_BYTES);
                if get_u32(head, 0) as usize != part.len() || get_u32(head, 4) != block_crc(offset, part) {
                    return Err(damaged(name, offset, "a block does not check"));
                }
                bytes.extend_from_slice(part);
                offset += block.len() as u64;
            }
        }
        Ok(())
    }

    /// All sections in the order of the file, in one pass.
    pub fn read_all(&self) -> Result<Sections<'_>, CheckpointError> {
        let mut page = [0; PAGE_BYTES];
        self.read_raw(0, &mut page)?;
        let mut digest = blake3::Hasher::new();
        digest.update(&page);
        Ok(Sections { reader: self, rest: self.entries.iter(), digest })
    }

    /// Reads the whole file and compares its digest.
    pub fn verify_all(&self) -> Result<(), CheckpointError> {
        self.read_all()?.finish()
    }
}

/// The bytes in the file of so many bytes of a section.
fn stored_bytes(length: usize) -> usize {
    length + length.div_ceil(BLOCK_BYTES) * BLOCK_HEAD_BYTES
}

/// The sections of a checkpoint, read once. Each is verified as it comes, and the file at the end: until then a
/// block that a failing device took from another checkpoint may be among them.
pub struct Sections<'r> {
    reader: &'r CheckpointReader,
    rest: std::slice::Iter<'r, Entry>,
    digest: blake3::Hasher,
}

impl Sections<'_> {
    /// Reads the next section into `bytes`. Its tag; nothing after the last one.
    pub fn next(&mut self, bytes: &mut Vec<u8>) -> Result<Option<u32>, CheckpointError> {
        let Some(entry) = self.rest.next() else { return Ok(None) };
        self.reader.read_blocks(entry, Some(&mut self.digest), bytes)?;
        Ok(Some(entry.tag))
    }

    /// Reads what is left and compares the digest of the file.
    pub fn finish(mut self) -> Result<(), CheckpointError> {
        let mut bytes = Vec::new();
        while self.next(&mut bytes)?.is_some() {}
        let reader = self.reader;
        let table = reader.entries.len() * ENTRY_BYTES;
        bytes.resize(table + T_DIGEST, 0);
        reader.read_raw(reader.file_bytes - (table + TAIL_BYTES) as u64, &mut bytes)?;
        self.digest.update(&bytes);
        if *self.digest.finalize().as_bytes() != reader.digest {
            return Err(damaged(&reader.name, 0, "the digest of the file is another one"));
        }
        Ok(())
    }
}

/// Gives a checkpoint the checksums of its content, for fuzzing. The blocks keep theirs where the table does
/// not say where they are.
pub(crate) fn repair(file: &mut [u8]) {
    if let Some(page) = file.first_chunk_mut::<PAGE_BYTES>() {
        close_page(page);
    }
    let Some(tail) = file.len().checked_sub(TAIL_BYTES).filter(|tail| *tail >= PAGE_BYTES) else { return };
    let file_bytes = file.len() as u64;
    put_bytes(file, tail + T_FILE_BYTES, file_bytes.to_le_bytes());
    let table = usize::try_from(get_u64(file, tail + T_TABLE)).unwrap_or(usize::MAX);
    if (PAGE_BYTES..=tail).contains(&table) {
        for at in (table..tail).step_by(ENTRY_BYTES).filter(|at| at + ENTRY_BYTES <= tail) {
            repair_section(file, at, table);
        }
        let crc = crc32c::crc32c(&file[table..tail]);
        put_bytes(file, tail + T_TABLE_CRC, crc.to_le_bytes());
    }
    put_bytes(file, tail + T_MAGIC, MAGIC_BYTES);
    let digest = *blake3::hash(&file[..tail + T_DIGEST]).as_bytes();
    put_bytes(file, tail + T_DIGEST, digest);
    let crc = crc32c::crc32c(&file[tail..tail + T_CRC]);
    put_bytes(file, tail + T_CRC, crc.to_le_bytes());
}

fn repair_section(file: &mut [u8], entry_at: usize, table: usize) {
    let entry = Entry {
        tag: get_u32(file, entry_at + E_TAG),
        offset: get_u64(file, entry_at + E_OFFSET),
        length: get_u64(file, entry_at + E_LENGTH),
    };
    put_bytes(file, entry_at + E_CRC, entry.crc().to_le_bytes());
    let mut at = usize::try_from(entry.offset).unwrap_or(usize::MAX);
    let mut left = usize::try_from(entry.length).unwrap_or(usize::MAX);
    while left > 0 && at < table {
        let length = left.min(BLOCK_BYTES);
        let Some(end) = at.checked_add(BLOCK_HEAD_BYTES + length).filter(|end| *end <= table) else { return };
        let crc = block_crc(at as u64, &file[at + BLOCK_HEAD_BYTES..end]);
        put_bytes(file, at + 4, crc.to_le_bytes());
        (at, left) = (end, left - length);
    }
}
