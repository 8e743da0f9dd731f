//! An engine on one thread: every turn is called by hand, time is moved by hand, the disk is memory.

use std::sync::Arc;

use engine::{
    Answer, CheckpointFailure, Checkpointer, ClockSource, Committer, Done, Engine, EngineConfig, ManualClock,
    OpenError, Opened, Refused, Reply, ReplyReceiver, Shard, StartReport, event_key, open, reply_slot,
};
use inventory_core::{
    change::{HoldState, HoldView},
    command::{Command, Confirm, CreateEvent, Extend, Hold, Part, Release, Remainder, UpdateEvent},
    ids::{CustomerKey, EventId, EventKey, HoldId, OrderRef, RequestId, TimestampMs},
    plan::{Area, PlanSpec, Point, RowKind, RowSpec, SeatSpec, SectionSpec},
    plan_codec::encode_plan,
    policy::{OrphanRule, Policies, Settings},
};
use wal::{MemoryStorage, Storage, WriteError};

/// Some time in 2026.
pub(crate) const START: TimestampMs = TimestampMs(1_790_000_000_000);

pub(crate) const SEATS: u32 = 20;
pub(crate) const AREA_CAPACITY: u32 = 30;

pub(crate) struct World {
    pub(crate) disk: MemoryStorage,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) shards: Vec<Shard>,
    pub(crate) committer: Committer,
    pub(crate) checkpointer: Checkpointer,
    pub(crate) report: StartReport,
}

pub(crate) fn config(shards: usize) -> EngineConfig {
    EngineConfig {
        shards,
        segment_bytes: 64 << 10,
        instance: Some([7; 16]),
        deterministic: true,
        ..EngineConfig::default()
    }
}

impl World {
    pub(crate) fn new(shards: usize) -> World {
        World::open(&MemoryStorage::new(), START, config(shards)).expect("an empty folder opens")
    }

    pub(crate) fn open(disk: &MemoryStorage, now: TimestampMs, config: EngineConfig) -> Result<World, OpenError> {
        let clock = ManualClock::new(now);
        let storage: Arc<dyn Storage> = Arc::new(disk.clone());
        let source = ClockSource::Manual(Arc::clone(&clock));
        let Opened { engine, shards, committer, checkpointer, report } = open(storage, source, config, &mut |_| {})?;
        Ok(World { disk: disk.clone(), clock, engine, shards, committer, checkpointer, report })
    }

    /// Turns until nothing moves.
    pub(crate) fn settle(&mut self) {
        self.try_settle().expect("the disk works");
    }

    pub(crate) fn try_settle(&mut self) -> Result<(), WriteError> {
        loop {
            let mut moved = false;
            for shard in &mut self.shards {
                moved |= shard.turn().again;
            }
            moved |= self.committer.turn()?;
            if !moved && self.engine.is_idle() {
                return Ok(());
            }
        }
    }

    pub(crate) fn turn_shards(&mut self) {
        for shard in &mut self.shards {
            shard.turn();
        }
    }

    pub(crate) fn checkpoint(&mut self) -> Result<bool, CheckpointFailure> {
        self.checkpointer.turn()
    }

    pub(crate) fn send(&self, key: EventKey, command: Command) -> ReplyReceiver {
        let (sender, receiver) = reply_slot();
        self.engine.submit(key, command, None, Reply::One(sender)).expect("there is room");
        receiver
    }

    /// Sends, settles, answers.
    pub(crate) fn ask(&mut self, key: EventKey, command: Command) -> Answer {
        let mut receiver = self.send(key, command);
        self.settle();
        receiver.try_take().expect("everything is settled").expect("nobody drops a reply")
    }

    pub(crate) fn create(&mut self, id: &str) -> EventKey {
        self.create_with(id, without_orphan_rule())
    }

    pub(crate) fn create_with(&mut self, id: &str, settings: Settings) -> EventKey {
        let key = event_key(id);
        let command = create_command(&self.engine, id, settings);
        let answer = self.ask(key, command);
        assert_eq!(answer.result, Ok(Done::Event { key, replayed: false }));
        key
    }

    pub(crate) fn hold(&mut self, key: EventKey, id: HoldId, seats: &[u32]) -> Result<HoldView, Refused> {
        hold_of(self.ask(key, hold(id, seats)))
    }

    pub(crate) fn stop(mut self) -> MemoryStorage {
        self.engine.drain();
        self.settle();
        self.engine.stop();
        while self.committer.turn().expect("the disk works") {}
        self.disk
    }
}

pub(crate) fn hold_of(answer: Answer) -> Result<HoldView, Refused> {
    match answer.result? {
        Done::Hold { view, .. } => Ok(view),
        other => panic!("a hold was asked for, not {other:?}"),
    }
}

/// Two sections of two rows of five seats, and one area.
pub(crate) fn plan_spec(name: &str) -> PlanSpec {
    let row = |section: i32, row: i32| RowSpec {
        label: format!("{row}").into(),
        kind: RowKind::Row,
        seats: (0..5)
            .map(|seat| SeatSpec {
                key: format!("{section}-{row}-{seat}").into(),
                label: format!("{seat}").into(),
                at: Point { x: seat * 1_000 + section * 10_000, y: row * 1_000 },
                level: section as u8,
                attributes: 0,
                aisle_after: false,
            })
            .collect(),
    };
    let section = |number: i32| SectionSpec {
        key: format!("s{number}").into(),
        label: format!("Section {number}").into(),
        zone: None,
        rows: vec![row(number, 0), row(number, 1)],
    };
    PlanSpec {
        name: name.into(),
        price_levels: vec!["gold".into(), "silver".into()],
        zones: Vec::new(),
        focal_point: Some(Point { x: 5_000, y: -1_000 }),
        sections: vec![section(0), section(1)],
        areas: vec![Area {
            key: "floor".into(),
            label: "Floor".into(),
            zone: None,
            level: 1,
            capacity: AREA_CAPACITY,
            centre: Point { x: 0, y: 0 },
        }],
    }
}

/// For picks that are made without a look at the rows.
pub(crate) fn without_orphan_rule() -> Settings {
    Settings { policies: Policies { orphan_rule: OrphanRule::Off, ..Policies::default() }, ..Settings::default() }
}

pub(crate) fn settings() -> Settings {
    let policies = Policies { hold_ttl_s: 60, retry_window_s: 300, ..without_orphan_rule().policies };
    Settings { policies, ..Settings::default() }
}

pub(crate) fn create_command(engine: &Engine, id: &str, settings: Settings) -> Command {
    let plan = engine.plans().put(encode_plan(&plan_spec("hall"))).expect("the plan is good");
    let event = EventId::parse(id).expect("a good name");
    Command::CreateEvent(Box::new(CreateEvent { id: event, key: event_key(id), plan, settings }))
}

/// A UUIDv7 with this time and number.
pub(crate) fn uuid(time: TimestampMs, number: u64) -> u128 {
    u128::from(time.0) << 80 | 7 << 76 | 0b10 << 62 | u128::from(number)
}

pub(crate) fn hold_id(time: TimestampMs, number: u64) -> HoldId {
    HoldId::parse(uuid(time, number)).expect("a UUIDv7")
}

pub(crate) fn request_id(time: TimestampMs, number: u64) -> RequestId {
    RequestId::parse(uuid(time, number)).expect("a UUIDv7")
}

pub(crate) fn order(text: &str) -> OrderRef {
    OrderRef::parse(text).expect("printable")
}

pub(crate) fn hold(hold_id: HoldId, seats: &[u32]) -> Command {
    Command::Hold(Box::new(Hold {
        allocations: Default::default(),
        hold_id,
        seats: seats.into(),
        seat_keys: Vec::new(),
        admissions: Vec::new(),
        best: None,
        ticket_types: Vec::new(),
        customer: CustomerKey::NONE,
        ttl_ms: 0,
        replace: None,
        plan_revision: 0,
    }))
}

pub(crate) fn hold_area(hold_id: HoldId, quantity: u8) -> Command {
    let Command::Hold(mut command) = hold(hold_id, &[]) else { unreachable!("it is a hold") };
    command.admissions.push(inventory_core::command::AdmissionWanted {
        area: inventory_core::command::AreaName::Index(0),
        quantity,
        quantity_min: 0,
        ticket_type: 0,
    });
    Command::Hold(command)
}

pub(crate) fn confirm(hold_id: HoldId, order_ref: &str) -> Command {
    Command::Confirm(Box::new(Confirm {
        hold_id,
        request_id: None,
        order: order(order_ref),
        part: Part::default(),
        remainder: Remainder::Keep,
        allow_reclaim: false,
        attempt_id: None,
    }))
}

pub(crate) fn release(hold_id: HoldId) -> Command {
    Command::Release(Box::new(Release { hold_id, request_id: None, part: Part::default(), abort_payment: false }))
}

pub(crate) fn extend(hold_id: HoldId, request_id: RequestId) -> Command {
    Command::Extend(Extend { hold_id, request_id, ttl_ms: 0 })
}

pub(crate) fn update(request_id: RequestId) -> UpdateEvent {
    UpdateEvent { request_id: Some(request_id), ..UpdateEvent::default() }
}

pub(crate) fn is_live(view: &HoldView) -> bool {
    matches!(view.state, HoldState::Active | HoldState::Paying)
}
