//! A snapshot: one checkpoint and the plans that its events name, in one object.
//!
//! ```text
//! body:   | state hash u64 | checkpoint bytes u64 | plans u32 | zero u32 | per plan: digest 32, bytes u64 |
//!         | the checkpoint file | the plans, one behind the other |
//! ```
//!
//! It is made of a checkpoint, which is made of the durable log: nothing of a running server is looked at,
//! so it is true at one position and no turn waits for it. One chunk is in memory at a time.

use std::fmt;
use std::io::{self, Write};

use engine::{CheckpointContent, PLANS_DIR, VerifyError, checkpoint_content, digest_of};
use wal::{CheckpointError, CheckpointReader, Storage};

use crate::sealed::{Head, Kind, Seal, SealedError, SealedReader, SealedWriter, u32_at, u64_at};

const MANIFEST_BYTES: usize = 24;
const PLAN_ENTRY_BYTES: usize = 40;
/// More than an engine has events.
const PLANS_MAX: u32 = 100_000;
/// The longest plan.
const PLAN_BYTES_MAX: u64 = 256 << 20;
/// Read of the checkpoint at a time.
const PART_BYTES: usize = 256 << 10;

/// A snapshot cannot be made.
#[derive(Debug)]
pub enum SnapshotError {
    /// The checkpoint cannot be read.
    Checkpoint(CheckpointError),
    /// The checkpoint does not check.
    Verify(VerifyError),
    /// A plan file.
    Plan {
        /// The file.
        file: String,
        /// Why.
        why: String,
    },
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SnapshotError::Checkpoint(error) => error.fmt(f),
            SnapshotError::Verify(error) => error.fmt(f),
            SnapshotError::Plan { file, why } => write!(f, "{file}: {why}"),
        }
    }
}

impl std::error::Error for SnapshotError {}

/// A checkpoint that is kept open, and what goes with it.
pub struct SnapshotSource {
    reader: CheckpointReader,
    state_hash: u64,
    /// Name and length of each plan file, by digest.
    plans: Vec<([u8; 32], String, u64)>,
    head: Head,
}

impl SnapshotSource {
    /// Opens a checkpoint of a data folder and verifies it. From then on it stays readable, also when its name
    /// is removed.
    ///
    /// # Errors
    /// It is not there, or damaged, or a plan is missing.
    pub fn open(storage: &dyn Storage, checkpoint: &str) -> Result<SnapshotSource, SnapshotError> {
        let reader = CheckpointReader::open(storage, checkpoint).map_err(SnapshotError::Checkpoint)?;
        let CheckpointContent { plans: named, state_hash } =
            checkpoint_content(&reader).map_err(SnapshotError::Verify)?;
        let mut plans = Vec::new();
        for digest in named {
            let file = format!("{PLANS_DIR}/{digest}.plan");
            let length = storage.open_read(&file).and_then(|plan| plan.len());
            let length = length.map_err(|error| SnapshotError::Plan { file: file.clone(), why: error.to_string() })?;
            plans.push((digest.0, file, length));
        }
        let meta = reader.meta();
        let plan_bytes: u64 = plans.iter().map(|(_, _, length)| length).sum();
        let manifest = (MANIFEST_BYTES + plans.len() * PLAN_ENTRY_BYTES) as u64;
        let head = Head {
            kind: Kind::Snapshot,
            identity: meta.identity,
            first_batch: meta.batch_seq + 1,
            last_batch: meta.batch_seq,
            first_position: meta.next_position,
            next_position: meta.next_position,
            first_time_ms: meta.time_ms,
            last_time_ms: meta.time_ms,
            chain_before: meta.chain,
            chain: meta.chain,
            body_bytes: manifest + reader.bytes() + plan_bytes,
        };
        Ok(SnapshotSource { reader, state_hash, plans, head })
    }

    /// What its object says of itself.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The hash of its state.
    #[must_use]
    pub fn state_hash(&self) -> u64 {
        self.state_hash
    }

    /// How many plans go with it.
    #[must_use]
    pub fn plan_count(&self) -> usize {
        self.plans.len()
    }

    /// Writes the object. `progress` gets the bytes of the body written so far.
    ///
    /// # Errors
    /// Those of `out`, of the disk, and of a plan file that is not what its name says.
    pub fn write(&self, storage: &dyn Storage, out: &mut dyn Write, progress: &mut dyn FnMut(u64)) -> io::Result<Seal> {
        let mut writer = SealedWriter::begin(out, &self.head)?;
        let mut manifest = Vec::with_capacity(MANIFEST_BYTES + self.plans.len() * PLAN_ENTRY_BYTES);
        manifest.extend_from_slice(&self.state_hash.to_le_bytes());
        manifest.extend_from_slice(&self.reader.bytes().to_le_bytes());
        // At most one for each event.
        manifest.extend_from_slice(&(self.plans.len() as u32).to_le_bytes());
        manifest.extend_from_slice(&[0; 4]);
        for (digest, _, length) in &self.plans {
            manifest.extend_from_slice(digest);
            manifest.extend_from_slice(&length.to_le_bytes());
        }
        writer.write_all(&manifest)?;
        let mut done = manifest.len() as u64;
        let mut offset = 0;
        let mut part = vec![0; PART_BYTES];
        while offset < self.reader.bytes() {
            let length = usize::try_from(self.reader.bytes() - offset).unwrap_or(PART_BYTES).min(PART_BYTES);
            self.reader.read_raw(offset, &mut part[..length]).map_err(io::Error::other)?;
            writer.write_all(&part[..length])?;
            offset += length as u64;
            done += length as u64;
            progress(done);
        }
        for (digest, file, length) in &self.plans {
            let encoded = read_plan(storage, file)?;
            if digest_of(&encoded).0 != *digest || encoded.len() as u64 != *length {
                return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{file} is damaged")));
            }
            writer.write_all(&encoded)?;
            done += length;
            progress(done);
        }
        writer.seal()
    }
}

/// A whole plan file.
pub(crate) fn read_plan(storage: &dyn Storage, file: &str) -> io::Result<Vec<u8>> {
    let plan = storage.open_read(file)?;
    let length = plan.len()?;
    if length > PLAN_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{file} is longer than any plan")));
    }
    let mut encoded = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    plan.read_exact_at(0, &mut encoded)?;
    Ok(encoded)
}

/// A snapshot that was unpacked and checks.
pub(crate) struct Unpacked {
    pub(crate) head: Head,
    pub(crate) seal: Seal,
    /// The checkpoint's file in the scratch folder.
    pub(crate) checkpoint: String,
    pub(crate) plans: Vec<Vec<u8>>,
    pub(crate) state_hash: u64,
}

/// Reads a snapshot, its checkpoint into `scratch`, and checks all of it before anything is used.
pub(crate) fn unpack(
    reader: SealedReader<'_>,
    object: &str,
    scratch: &dyn Storage,
    progress: &mut dyn FnMut(u64),
) -> Result<Unpacked, SealedError> {
    let head = *reader.head();
    if head.kind != Kind::Snapshot {
        return Err(reader.damaged(12, "it is no snapshot"));
    }
    let mut body = Body { reader, chunk: Vec::new(), at: 0, progress };
    let mut manifest = [0; MANIFEST_BYTES];
    body.fill(&mut manifest)?;
    let (state_hash, checkpoint_bytes, plan_count) =
        (u64_at(&manifest, 0), u64_at(&manifest, 8), u32_at(&manifest, 16));
    if plan_count > PLANS_MAX {
        return Err(body.reader.damaged(0, "it has more plans than there can be events"));
    }
    let mut entries = Vec::new();
    let mut expected = Some(MANIFEST_BYTES as u64 + u64::from(plan_count) * PLAN_ENTRY_BYTES as u64);
    for _ in 0..plan_count {
        let mut entry = [0; PLAN_ENTRY_BYTES];
        body.fill(&mut entry)?;
        let length = u64_at(&entry, 32);
        if length > PLAN_BYTES_MAX {
            return Err(body.reader.damaged(0, "a plan is longer than any"));
        }
        expected = expected.and_then(|sum| sum.checked_add(length));
        let mut digest = [0; 32];
        digest.copy_from_slice(&entry[..32]);
        entries.push((digest, length));
    }
    if expected.and_then(|sum| sum.checked_add(checkpoint_bytes)) != Some(head.body_bytes) {
        return Err(body.reader.damaged(128, "its parts have not the length of the whole"));
    }
    let io = |source| SealedError::Io { object: object.to_owned(), source };
    let checkpoint = format!("snap-{}-{}.ckpt", head.identity.partition, head.last_batch);
    let mut file = scratch.create_new(&checkpoint).map_err(io)?;
    let mut offset = 0;
    let mut part = vec![0; PART_BYTES];
    while offset < checkpoint_bytes {
        let length = usize::try_from(checkpoint_bytes - offset).unwrap_or(PART_BYTES).min(PART_BYTES);
        body.fill(&mut part[..length])?;
        file.write_all_at(offset, &part[..length]).map_err(io)?;
        offset += length as u64;
    }
    drop(file);
    let mut plans = Vec::new();
    for (digest, length) in entries {
        let mut encoded = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        body.fill(&mut encoded)?;
        if digest_of(&encoded).0 != digest {
            return Err(body.reader.damaged(0, "a plan is not the one it is called"));
        }
        plans.push(encoded);
    }
    let seal = body.reader.finish()?;
    Ok(Unpacked { head, seal, checkpoint, plans, state_hash })
}

/// The body as one run of bytes.
struct Body<'a, 'p> {
    reader: SealedReader<'a>,
    chunk: Vec<u8>,
    at: usize,
    progress: &'p mut dyn FnMut(u64),
}

impl Body<'_, '_> {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), SealedError> {
        let mut done = 0;
        while done < bytes.len() {
            if self.at == self.chunk.len() {
                self.at = 0;
                if !self.reader.chunk(&mut self.chunk)? {
                    return Err(self.reader.damaged(self.reader.offset(), "the body ends there"));
                }
                (self.progress)(self.reader.offset());
            }
            let length = (bytes.len() - done).min(self.chunk.len() - self.at);
            bytes[done..done + length].copy_from_slice(&self.chunk[self.at..self.at + length]);
            self.at += length;
            done += length;
        }
        Ok(())
    }
}
