//! The file of a retired event: its last state, with its plan, so that the file alone tells everything.
//!
//! ```text
//! header   0 magic "USHREVNT"                    8
//!          8 version                     u16     2
//!         10 reserved, zero                      6
//!         16 instance                           16
//!         32 incarnation                 u64     8
//!         40 position                    u64     8
//!         48 event key                   u64     8
//!         56 event_seq                   u32     4
//!         60 bytes of the plan           u32     4
//!         64 bytes of the image          u64     8
//!
//! then     the plan, as in its own file
//!          the image of a slot that has this event alone
//!          BLAKE3 of all before it              32
//! ```
//!
//! Invariants:
//!
//! - R1. The file is durable before the change that retires its event is decided, and true at the number that the change
//!   follows. A file whose event is still there is harmless: the next try replaces it.
//! - R2. Nothing ever reads it to serve: it is for people and for other programs.
//! - R3. A file is replaced by one of the same change or a later one, or by one of another future.
//!
//! Not here: deciding that an event may be retired (`inventory-core`, `retire.rs`).

use std::{collections::HashMap, fmt, io, sync::Arc};

use inventory_core::{
    command::Command,
    event::Event,
    ids::{EventKey, SlotIndex, TimestampMs},
    image,
    limits::PLAN_BYTES_MAX,
    order::{List, Listed},
    plan::Plan,
    retire::Image,
    slot::{Decision, Slot, SlotConfig, SoldPart},
};
use wal::{LogIdentity, ReadFile, Storage, write_file_atomically};

use crate::{
    engine::Engine,
    plan_store::{PlanFiles, PlanStoreError, build, digest_of, read_encoded},
};

/// The folder of the files.
pub const RETIRED_DIR: &str = "retired";
const SUFFIX: &str = ".event";
const MAGIC: [u8; 8] = *b"USHREVNT";
const VERSION: u16 = 1;
const HEADER_BYTES: usize = 72;
const CHECKSUM_BYTES: usize = 32;
const PAGE: u32 = 256;
/// An event with a million places sold one by one has an image of less than a third of this.
const FILE_BYTES_MAX: u64 = 1 << 30;
/// Nothing is looked up by keys of others, and nothing is forgotten.
const CONFIG: SlotConfig = SlotConfig { seed: 0, tombstones_max: u32::MAX };

/// Not the file of a retired event, or a damaged one.
#[derive(Debug)]
pub enum EventFileError {
    /// The operating system refused.
    Io(io::Error),
    /// What is wrong with it.
    Damaged(String),
}

impl fmt::Display for EventFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EventFileError::Io(error) => error.fmt(f),
            EventFileError::Damaged(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for EventFileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            EventFileError::Io(error) => Some(error),
            EventFileError::Damaged(_) => None,
        }
    }
}

/// The file of a retired event, read.
#[derive(Debug)]
pub struct EventFile {
    /// The log it was in.
    pub instance: [u8; 16],
    /// And the incarnation of that.
    pub incarnation: u64,
    /// A position at which the state is true.
    pub position: u64,
    /// The event's key.
    pub key: EventKey,
    /// Number of its last change before it was retired.
    pub event_seq: u32,
    slot: Slot,
}

impl EventFile {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or is not what was written.
    pub fn read(file: &dyn ReadFile) -> Result<EventFile, EventFileError> {
        let damaged = |what: &str| EventFileError::Damaged(what.to_owned());
        let len = file.len().map_err(EventFileError::Io)?;
        if len > FILE_BYTES_MAX {
            return Err(damaged("it is longer than the file of any event"));
        }
        let mut header = [0; HEADER_BYTES];
        if len < HEADER_BYTES as u64 {
            return Err(damaged("it is too short to be the file of a retired event"));
        }
        file.read_exact_at(0, &mut header).map_err(EventFileError::Io)?;
        if header[..8] != MAGIC {
            return Err(damaged("it is not the file of a retired event"));
        }
        // At most FILE_BYTES_MAX.
        let mut bytes = vec![0; len as usize];
        file.read_exact_at(0, &mut bytes).map_err(EventFileError::Io)?;
        EventFile::decode(&bytes)
    }

    /// The file in these bytes.
    ///
    /// # Errors
    /// They are not what was written.
    pub fn decode(bytes: &[u8]) -> Result<EventFile, EventFileError> {
        let damaged = |what: &str| EventFileError::Damaged(what.to_owned());
        let Some((content, checksum)) = bytes.split_last_chunk::<CHECKSUM_BYTES>() else {
            return Err(damaged("it is too short to be the file of a retired event"));
        };
        let Some((header, rest)) = content.split_first_chunk::<HEADER_BYTES>() else {
            return Err(damaged("it is too short to be the file of a retired event"));
        };
        if header[..8] != MAGIC {
            return Err(damaged("it is not the file of a retired event"));
        }
        if blake3::hash(content).as_bytes() != checksum {
            return Err(damaged("its checksum is wrong: it was damaged"));
        }
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| header[at + byte]));
        // The halves of a word.
        let half = |at: usize| u32::from_le_bytes(std::array::from_fn(|byte| header[at + byte]));
        if u16::from_le_bytes([header[8], header[9]]) != VERSION || header[10..16] != [0; 6] {
            return Err(damaged("it is of a version that this program does not know"));
        }
        let (plan_bytes, image_bytes) = (half(60) as usize, word(64));
        if plan_bytes > PLAN_BYTES_MAX || (plan_bytes as u64).checked_add(image_bytes) != Some(rest.len() as u64) {
            return Err(damaged("its lengths do not fit it"));
        }
        let (plan, image) = rest.split_at(plan_bytes);
        let digest = digest_of(plan);
        let plan = build(plan, digest).map_err(|why| EventFileError::Damaged(format!("its plan is bad: {why}")))?;
        let plans = PlanFiles { plans: HashMap::from([(digest, Arc::new(plan))]), ..PlanFiles::none() };
        let key = EventKey(word(48));
        let bad_image = |what: String| EventFileError::Damaged(format!("its image is bad: {what}"));
        let named = image::plans_of(image).map_err(|error| bad_image(error.to_string()))?;
        if named != [digest] {
            return Err(bad_image("it is of another plan".to_owned()));
        }
        let slot = image::decode_slot(image, SlotIndex(key.slot().0), CONFIG, &plans)
            .map_err(|error| bad_image(error.to_string()))?;
        let event_seq = half(56);
        let is_it = |event: &Event| event.key() == key && event.seq() == event_seq;
        if slot.event_count() != 1 || !slot.events().all(is_it) {
            return Err(bad_image("it is of another event".to_owned()));
        }
        Ok(EventFile {
            instance: std::array::from_fn(|at| header[16 + at]),
            incarnation: word(32),
            position: word(40),
            key,
            event_seq,
            slot,
        })
    }

    /// The event as it was.
    #[must_use]
    pub fn event(&self) -> &Event {
        self.slot.events().next().expect("the file was read with one event")
    }

    /// What is sold, by hold and order.
    #[must_use]
    pub fn sales(&self) -> Vec<SoldPart> {
        let (mut sold, mut from) = (Vec::new(), 0);
        loop {
            let list = Command::List(List { what: Listed::Orders, from, count_max: PAGE });
            // A list of an event that is there is not refused.
            let Ok(Decision::Page { page, .. }) = self.slot.decide(self.time(), self.key, &list) else { return sold };
            sold.extend(page.parts);
            from = page.next;
            if from == 0 {
                return sold;
            }
        }
    }

    /// Time of the last change in its slot.
    #[must_use]
    pub fn time(&self) -> TimestampMs {
        self.slot.now()
    }

    /// Its plan.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        self.event().plan()
    }
}

/// The path of an event's file.
#[must_use]
pub fn event_file(key: EventKey) -> String {
    format!("{RETIRED_DIR}/{}", name_of(key))
}

fn name_of(key: EventKey) -> String {
    format!("{:016x}{SUFFIX}", key.0)
}

/// Where an image comes from.
struct Origin {
    instance: [u8; 16],
    incarnation: u64,
    position: u64,
    key: EventKey,
}

fn encode(origin: &Origin, plan: &[u8], image: &Image) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + plan.len() + image.bytes.len() + CHECKSUM_BYTES);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&[0; 6]);
    bytes.extend_from_slice(&origin.instance);
    bytes.extend_from_slice(&origin.incarnation.to_le_bytes());
    bytes.extend_from_slice(&origin.position.to_le_bytes());
    bytes.extend_from_slice(&origin.key.0.to_le_bytes());
    bytes.extend_from_slice(&image.event_seq.to_le_bytes());
    // At most PLAN_BYTES_MAX.
    bytes.extend_from_slice(&(plan.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&(image.bytes.len() as u64).to_le_bytes());
    bytes.extend_from_slice(plan);
    bytes.extend_from_slice(&image.bytes);
    let checksum = blake3::hash(&bytes);
    bytes.extend_from_slice(checksum.as_bytes());
    bytes
}

impl Engine {
    /// Writes the file of an event that is to be retired, and makes it durable: the image is that of the event at
    /// `position`. Its path in the data folder. Slow: not for the thread of a shard.
    ///
    /// # Errors
    /// The operating system refused. The event is there as before.
    pub fn archive_event(&self, key: EventKey, image: &Image, position: u64) -> Result<String, PlanStoreError> {
        // One file is written at a time: two of one event would be written aside under one name.
        let _archiving = self.archiving.lock();
        let storage = self.plans.storage();
        // Two may want an event to go, and the one with the older image be the later one. It will be refused; the file by
        // which the event goes, or has gone, stays.
        if a_later_is_there(storage, &self.identity(), key, image.event_seq) {
            return Ok(event_file(key));
        }
        let plan = read_encoded(storage, &image.plan)?;
        let Ok(encoded) = encoded(self, key, &plan, image, position) else {
            return Err(PlanStoreError::Invalid(format!("the file of plan {} is damaged", image.plan)));
        };
        write(storage, &name_of(key), &encoded)
            .map_err(|source| PlanStoreError::Io { file: event_file(key), source })?;
        Ok(event_file(key))
    }
}

/// Whether there is a file of the event that is of this future and of a later change.
fn a_later_is_there(storage: &dyn Storage, identity: &LogIdentity, key: EventKey, event_seq: u32) -> bool {
    let Ok(file) = storage.open_read(&event_file(key)) else { return false };
    EventFile::read(file.as_ref()).is_ok_and(|there| {
        let of_log = (there.instance, there.incarnation) == (identity.instance, identity.incarnation);
        of_log && there.key == key && there.event_seq > event_seq
    })
}

/// The file, read back before it is written: what is archived must be readable when nothing else is left.
fn encoded(
    engine: &Engine,
    key: EventKey,
    plan: &[u8],
    image: &Image,
    position: u64,
) -> Result<Vec<u8>, EventFileError> {
    let identity = engine.identity();
    let origin = Origin { instance: identity.instance, incarnation: identity.incarnation, position, key };
    let encoded = encode(&origin, plan, image);
    EventFile::decode(&encoded).map(|_| encoded)
}

fn write(storage: &dyn Storage, name: &str, bytes: &[u8]) -> io::Result<()> {
    if !storage.exists(RETIRED_DIR)? {
        storage.create_dir(RETIRED_DIR)?;
        storage.sync_dir("")?;
    }
    write_file_atomically(storage, RETIRED_DIR, name, bytes)
}
