//! A small sale through the real engine, on one thread and over a disk in memory: where the bytes come from.
//!
//! After each batch the state's hash is taken from the disk, so that every position a folder may be recovered
//! to has one right answer.

use std::{collections::BTreeMap, sync::Arc};

use engine::{
    CheckpointFailure, Checkpointer, Clock, ClockSource, Committer, Engine, EngineConfig, ManualClock, OpenError,
    Opened, Reply, ReplyReceiver, Shard, event_key, open, reply_slot, state_hash,
};
use inventory_core::{
    command::{
        AdmissionWanted, AreaName, Command, Confirm, CreateEvent, Extend, Hold, Part, Release, Remainder, UpdateEvent,
    },
    ids::{CustomerKey, EventId, EventKey, HoldId, OrderRef, RequestId, TimestampMs},
    plan::{Area, PlanSpec, Point, RowKind, RowSpec, SeatSpec, SectionSpec},
    plan_codec::encode_plan,
    policy::{Policies, Settings},
};
use wal::{MemoryStorage, Storage};

/// Some time in 2026.
pub(super) const START: TimestampMs = TimestampMs(1_790_000_000_000);
/// The instance of all folders but the foreign ones.
pub(super) const INSTANCE: [u8; 16] = [7; 16];

const ROWS: usize = 4;
const SEATS_PER_ROW: usize = 10;
const SEATS: u64 = (ROWS * SEATS_PER_ROW) as u64;
const ADMISSIONS: u32 = 100_000;

/// How an engine under examination runs.
pub(super) fn engine_config(segment_bytes: u64) -> EngineConfig {
    EngineConfig { segment_bytes, instance: Some(INSTANCE), deterministic: true, ..EngineConfig::default() }
}

/// A running engine and what is known of it.
pub(super) struct Sale {
    pub(super) disk: MemoryStorage,
    pub(super) hash_at: BTreeMap<u64, u64>,
    clock: Arc<ManualClock>,
    engine: Arc<Engine>,
    shards: Vec<Shard>,
    committer: Committer,
    checkpointer: Checkpointer,
    events: Vec<EventKey>,
    holds: Vec<(EventKey, HoldId)>,
    numbers: u64,
    random: u64,
}

impl Sale {
    /// Starts over a disk.
    pub(super) fn open(disk: &MemoryStorage, now: TimestampMs, config: EngineConfig) -> Result<Sale, OpenError> {
        let clock = ManualClock::new(now);
        let storage: Arc<dyn Storage> = Arc::new(disk.clone());
        let source = ClockSource::Manual(Arc::clone(&clock));
        let Opened { engine, shards, committer, checkpointer, .. } = open(storage, source, config, &mut |_| {})?;
        let mut sale = Sale {
            disk: disk.clone(),

            hash_at: BTreeMap::from([(0, 0)]),
            clock,
            engine,
            shards,
            committer,
            checkpointer,
            events: Vec::new(),
            holds: Vec::new(),
            numbers: 0,
            random: 1,
        };
        sale.note_hash();
        Ok(sale)
    }

    fn note_hash(&mut self) {
        let hash = state_hash(&self.disk, 1).expect("an undamaged folder is whole");
        self.hash_at.insert(self.engine.position(), hash);
    }

    /// The last durable position.
    pub(super) fn position(&self) -> u64 {
        self.engine.position()
    }

    /// Time passes.
    pub(super) fn advance_ms(&self, ms: u64) {
        self.clock.advance_ms(ms);
    }

    fn random(&mut self, below: u64) -> u64 {
        super::chance::next(&mut self.random) % below
    }

    /// Commands that wait become one batch, durable and answered. Nothing else is written.
    pub(super) fn commit(&mut self) {
        for shard in &mut self.shards {
            shard.turn();
        }
        self.committer.turn().expect("the disk works");
        for shard in &mut self.shards {
            shard.turn();
        }
        self.note_hash();
    }

    /// Until nothing moves: the last batch has its marker, and the watermark is written when it is due.
    pub(super) fn settle(&mut self) {
        loop {
            let mut moved = false;
            for shard in &mut self.shards {
                moved |= shard.turn().again;
            }
            moved |= self.committer.turn().expect("the disk works");
            if !moved && self.engine.is_idle() {
                break;
            }
        }
        self.note_hash();
    }

    /// Makes a checkpoint of everything so far.
    pub(super) fn checkpoint(&mut self) -> Result<bool, CheckpointFailure> {
        self.engine.request_checkpoint();
        self.settle();
        let made = self.checkpointer.turn();
        // The committer forgets the segments that went.
        self.settle();
        made
    }

    fn send(&self, key: EventKey, command: Command) -> ReplyReceiver {
        let (sender, receiver) = reply_slot();
        self.engine.submit(key, command, None, Reply::One(sender)).expect("there is room");
        receiver
    }

    /// Asks for an event.
    pub(super) fn create(&mut self, id: &str) {
        let plan = self.engine.plans().put(encode_plan(&plan_spec())).expect("the plan is good");
        let key = event_key(id);
        let policies = Policies { hold_ttl_s: 60, ..Policies::default() };
        let settings = Settings { policies, ..Settings::default() };
        let event = EventId::parse(id).expect("a good name");
        drop(self.send(key, Command::CreateEvent(Box::new(CreateEvent { id: event, key, plan, settings }))));
        self.events.push(key);
    }

    /// Goes on with the events of an earlier start.
    pub(super) fn adopt_events(&mut self, events: usize) {
        self.events = (0..events).map(|number| event_key(&event_name(number))).collect();
        self.numbers = 1 << 32;
    }

    /// A UUIDv7 of now.
    fn uuid(&mut self) -> u128 {
        self.numbers += 1;
        let TimestampMs(now) = self.clock.now();
        u128::from(now) << 80 | 7 << 76 | 0b10 << 62 | u128::from(self.numbers)
    }

    /// Asks for a few things: holds, and what follows them.
    pub(super) fn trade(&mut self, commands: usize) {
        for _ in 0..commands {
            let event = self.random(self.events.len() as u64);
            let key = self.events[usize::try_from(event).unwrap_or(0)];
            let known = self.holds.iter().rfind(|(event, _)| *event == key).map(|(_, hold)| *hold);
            let command = match (self.random(8), known) {
                (0, Some(hold)) => confirm(hold, "A-1017"),
                (1, Some(hold)) => Command::Release(Box::new(Release {
                    hold_id: hold,
                    request_id: None,
                    part: Part::default(),
                    abort_payment: false,
                })),
                (2, Some(hold)) => {
                    let request_id = RequestId::parse(self.uuid()).expect("a UUIDv7");
                    Command::Extend(Extend { hold_id: hold, request_id, ttl_ms: 90_000 })
                }
                _ => self.hold(key),
            };
            drop(self.send(key, command));
        }
    }

    fn hold(&mut self, key: EventKey) -> Command {
        let hold_id = HoldId::parse(self.uuid()).expect("a UUIDv7");
        self.holds.push((key, hold_id));
        // A seat that may be taken: a refusal is part of a sale too.
        let seats = if self.random(2) == 0 { vec![self.random(SEATS) as u32] } else { Vec::new() };
        let quantity = 1 + self.random(6) as u8;
        let admission = AdmissionWanted { area: AreaName::Index(0), quantity, quantity_min: 0, ticket_type: 0 };
        Command::Hold(Box::new(Hold {
            allocations: Default::default(),
            hold_id,
            admissions: if seats.is_empty() { vec![admission] } else { Vec::new() },
            seats: seats.into(),
            seat_keys: Vec::new(),
            best: None,
            ticket_types: Vec::new(),
            customer: CustomerKey::NONE,
            ttl_ms: 0,
            replace: None,
            plan_revision: 0,
        }))
    }

    /// Asks for a change of an event that takes about 2.4 KB of log.
    pub(super) fn describe(&mut self) {
        let request_id = RequestId::parse(self.uuid()).expect("a UUIDv7");
        let number = self.numbers;
        let label = |at: usize| (format!("{at:02}{}", "k".repeat(60)).into(), format!("{number:064}").into());
        let update = UpdateEvent {
            request_id: Some(request_id),
            display_name: Some(format!("{number:0200}").into()),
            labels: Some((0..16).map(label).collect()),
            ..UpdateEvent::default()
        };
        drop(self.send(self.events[0], Command::UpdateEvent(Box::new(update))));
    }

    /// The machine loses power: what is left of the disk.
    pub(super) fn crash(self, keep: wal::Keep) -> MemoryStorage {
        self.disk.crash(keep)
    }
}

/// Names of events differ in their slots too.
pub(super) fn event_name(number: usize) -> String {
    format!("concert-{number}")
}

fn confirm(hold_id: HoldId, order: &str) -> Command {
    Command::Confirm(Box::new(Confirm {
        hold_id,
        request_id: None,
        order: OrderRef::parse(order).expect("printable"),
        part: Part::default(),
        remainder: Remainder::Keep,
        allow_reclaim: false,
        attempt_id: None,
    }))
}

/// One section and one area.
fn plan_spec() -> PlanSpec {
    let row = |row: usize| RowSpec {
        label: format!("{row}").into(),
        kind: RowKind::Row,
        seats: (0..SEATS_PER_ROW)
            .map(|seat| SeatSpec {
                key: format!("{row}-{seat}").into(),
                label: format!("{seat}").into(),
                at: Point { x: seat as i32 * 1_000, y: row as i32 * 1_000 },
                level: 0,
                attributes: 0,
                aisle_after: false,
            })
            .collect(),
    };
    PlanSpec {
        name: "hall".into(),
        price_levels: vec!["gold".into()],
        zones: Vec::new(),
        focal_point: Some(Point { x: 5_000, y: -1_000 }),
        sections: vec![SectionSpec {
            key: "s".into(),
            label: "Section".into(),
            zone: None,
            rows: (0..ROWS).map(row).collect(),
        }],
        areas: vec![Area {
            key: "floor".into(),
            label: "Floor".into(),
            zone: None,
            level: 0,
            capacity: ADMISSIONS,
            centre: Point { x: 0, y: 0 },
        }],
    }
}
