//! Data folders as a server leaves them, made by the engine.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::{ClockSource, EngineConfig, ManualClock, Opened, Reply, event_key, open, reply_slot};
use inventory_core::command::{Command, CreateEvent, Hold};
use inventory_core::ids::{CustomerKey, EventId, HoldId, TimestampMs};
use inventory_core::plan_codec::encode_plan;
use inventory_core::policy::Settings;
use tempfile::TempDir;
use wal::{FileStorage, PAGE_BYTES};

/// Some time in 2026.
const START: TimestampMs = TimestampMs(1_790_000_000_000);

const HALL: &str = r#"{
    "usher_plan": 1, "name": "Hall", "price_levels": ["A"], "level": "A", "focal_point": [0, 0],
    "sections": [{"key": "S", "label": "Stalls", "rows": [
        {"label": "1", "count": 10, "start": [0, 1], "step": [1, 0]}
    ]}]
}"#;

/// A folder on the disk with one event, `concert`, and three live holds.
pub(crate) struct Folder {
    root: TempDir,
}

impl Folder {
    /// Of a server that was stopped.
    pub(crate) fn stopped() -> Self {
        let root = tempfile::tempdir().expect("a temporary folder");
        let storage = Arc::new(FileStorage::open(root.path()).expect("a new folder"));
        let config = EngineConfig { segment_bytes: 64 << 10, deterministic: true, ..EngineConfig::default() };
        let clock = ClockSource::Manual(ManualClock::new(START));
        let Opened { engine, mut shards, mut committer, .. } =
            open(storage, clock, config, &mut |_| {}).expect("an empty folder opens");

        let hall = venue::import(venue::Format::Usher, HALL.as_bytes(), &venue::ImportOptions::default());
        let plan = engine.plans().put(encode_plan(&hall.expect("JSON").spec)).expect("the plan is good");
        let (id, key) = (EventId::parse("concert").expect("a name"), event_key("concert"));
        let mut commands =
            vec![Command::CreateEvent(Box::new(CreateEvent { id, key, plan, settings: Settings::default() }))];
        commands.extend((0..3).map(|seat| Command::Hold(Box::new(hold_of(seat)))));
        for command in commands {
            let (sender, mut receiver) = reply_slot();
            engine.submit(key, command, None, Reply::One(sender)).expect("there is room");
            // Each in a batch of its own, so that there is something behind a damaged one.
            while !engine.is_idle() {
                for shard in &mut shards {
                    shard.turn();
                }
                committer.turn().expect("the disk works");
            }
            let answer = receiver.try_take().expect("settled").expect("nobody drops a reply");
            assert!(answer.result.is_ok(), "{answer:?}");
        }
        engine.drain();
        engine.stop();
        while committer.turn().expect("the disk works") {}
        Self { root }
    }

    /// Of a server that was stopped, with two checkpoints and log behind each of them.
    pub(crate) fn with_checkpoints() -> Self {
        let root = tempfile::tempdir().expect("a temporary folder");
        for round in 0..3_u64 {
            let storage = Arc::new(FileStorage::open(root.path()).expect("a folder"));
            let config = EngineConfig { segment_bytes: 64 << 10, deterministic: true, ..EngineConfig::default() };
            let clock = ClockSource::Manual(ManualClock::new(START));
            let Opened { engine, mut shards, mut committer, mut checkpointer, .. } =
                open(storage, clock, config, &mut |_| {}).expect("the folder opens");
            let hall = venue::import(venue::Format::Usher, HALL.as_bytes(), &venue::ImportOptions::default());
            let plan = engine.plans().put(encode_plan(&hall.expect("JSON").spec)).expect("the plan is good");
            let name = format!("concert-{round}");
            let (id, key) = (EventId::parse(&name).expect("a name"), event_key(&name));
            let create = CreateEvent { id, key, plan, settings: Settings::default() };
            let mut commands = vec![Command::CreateEvent(Box::new(create))];
            commands.extend((0..3).map(|seat| Command::Hold(Box::new(hold_of(seat)))));
            for command in commands {
                let (sender, _receiver) = reply_slot();
                engine.submit(key, command, None, Reply::One(sender)).expect("there is room");
                while !engine.is_idle() {
                    for shard in &mut shards {
                        shard.turn();
                    }
                    committer.turn().expect("the disk works");
                }
            }
            if round < 2 {
                engine.request_checkpoint();
                while committer.turn().expect("the disk works") {}
                assert!(checkpointer.turn().expect("the disk works"));
            }
            engine.drain();
            engine.stop();
            while committer.turn().expect("the disk works") {}
        }
        Self { root }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.root.path()
    }

    /// The newest segment of the log.
    pub(crate) fn segment(&self) -> PathBuf {
        let mut segments: Vec<_> =
            self.files().into_keys().filter(|path| path.extension().is_some_and(|end| end == "seg")).collect();
        segments.sort();
        segments.pop().expect("a log has a segment")
    }

    /// Every file with what is in it.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.root.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let bytes = fs::read(&path).expect("a file");
                    found.insert(path, bytes);
                }
            }
        }
        found
    }

    /// Writes what a cut-off write may leave behind the last batch: bytes on a page that was never synced.
    pub(crate) fn tear(&self) {
        self.change_segment(|bytes| {
            let last = bytes.iter().rposition(|&byte| byte != 0).expect("a header at least");
            let page = (last / PAGE_BYTES + 1) * PAGE_BYTES;
            bytes.resize(bytes.len().max(page + PAGE_BYTES), 0);
            bytes[page..page + 8].copy_from_slice(b"cut off!");
        });
    }

    /// Flips a bit in the change that made the event.
    pub(crate) fn damage(&self) {
        self.change_segment(|bytes| {
            let name = bytes.windows(7).position(|window| window == b"concert").expect("the event is in the log");
            bytes[name] ^= 1;
        });
    }

    /// Changes a byte of the batch with the second hold, which others follow.
    pub(crate) fn damage_second_hold(&self) {
        self.change_segment(|bytes| {
            let held = hold_of(1).hold_id.0.to_le_bytes();
            let at = bytes.windows(16).position(|window| window == held).expect("the hold is in the log");
            bytes[at] ^= 1;
        });
    }

    /// Removes a file.
    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.root.path().join(name)).expect("it was there");
    }

    /// Gives the segment's header the next major number of the format, as a newer program would.
    pub(crate) fn make_newer(&self) {
        // Where both lie in a header page: see the table in wal/src/format.rs.
        const MAJOR: usize = 8;
        const CHECKSUM: usize = PAGE_BYTES - 4;
        self.change_segment(|bytes| {
            bytes[MAJOR] += 1;
            let checksum = crc32c::crc32c(&bytes[..CHECKSUM]);
            bytes[CHECKSUM..PAGE_BYTES].copy_from_slice(&checksum.to_le_bytes());
        });
    }

    fn change_segment(&self, change: impl FnOnce(&mut Vec<u8>)) {
        let path = self.segment();
        let mut bytes = fs::read(&path).expect("a segment");
        change(&mut bytes);
        fs::write(&path, bytes).expect("room on the disk");
    }
}

fn hold_of(seat: u32) -> Hold {
    let uuid = u128::from(START.0) << 80 | 7 << 76 | 0b10 << 62 | u128::from(seat);
    Hold {
        allocations: Default::default(),
        hold_id: HoldId::parse(uuid).expect("a UUID of version 7"),
        // Side by side, so that no seat is left alone between them.
        seats: vec![2 * seat, 2 * seat + 1].into(),
        seat_keys: Vec::new(),
        admissions: Vec::new(),
        best: None,
        ticket_types: Vec::new(),
        customer: CustomerKey::NONE,
        ttl_ms: 0,
        replace: None,
        plan_revision: 0,
    }
}
