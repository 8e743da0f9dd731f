//! Requests of all services, from their bytes to what the state machine says to them.

use std::sync::{Arc, OnceLock};

use engine::{ClockSource, Engine, EngineConfig, ManualClock, Opened, Reply, open};
use inventory_core::{
    allocation::SetAllocation,
    change::Change,
    command::{Command, CreateEvent, Hold},
    direct_sale::{NamedPlaces, SellDirect},
    ids::{CustomerKey, EventId, HoldId, OrderRef, RequestId, TimestampMs},
    kill::Kill,
    place_set::PlaceSet,
    plan_codec::encode_plan,
    policy::Settings,
    slot::{Decision, Plans, Slot, SlotConfig},
};
use wal::MemoryStorage;

use crate::plans::{house, house_spec};

/// The one event there is.
const EVENT: &str = "concert";
/// Some time in 2026, when a hold was made.
const NOW: TimestampMs = TimestampMs(1_790_000_000_000);
/// A hold of the first two seats of the house.
const HOLD: HoldId = HoldId((NOW.0 as u128) << 80 | 7 << 76 | 0b10 << 62 | 1);

struct ThePlan;

impl Plans for ThePlan {
    fn plan(&self, _: &inventory_core::ids::PlanDigest) -> Arc<inventory_core::plan::Plan> {
        house()
    }
}

fn create() -> CreateEvent {
    let id = EventId::parse(EVENT).expect("a good name");
    CreateEvent { key: engine::event_key(EVENT), id, plan: house(), settings: Settings::default() }
}

fn opened() -> Arc<Engine> {
    let clock = ClockSource::Manual(ManualClock::new(NOW));
    let config = EngineConfig { deterministic: true, segment_bytes: 64 << 10, ..EngineConfig::default() };
    let Opened { engine, mut shards, mut committer, .. } =
        open(Arc::new(MemoryStorage::new()), clock, config, &mut |_| {}).expect("an empty folder opens");
    let plan = engine.plans().put(encode_plan(&house_spec())).expect("a plan of our own");
    let create = Command::CreateEvent(Box::new(CreateEvent { plan, ..create() }));
    engine.submit(engine::event_key(EVENT), create, None, Reply::Nobody).expect("there is room");
    while !engine.is_idle() {
        shards[0].turn();
        committer.turn().expect("the disk works");
    }
    assert!(engine.directory().find(EVENT).is_some());
    engine
}

fn judge() -> Slot {
    let key = engine::event_key(EVENT);
    let mut slot = Slot::new(key.slot(), SlotConfig { seed: 0, tombstones_max: 1_024 });
    let hold = Hold {
        allocations: Default::default(),
        hold_id: HOLD,
        seats: vec![0, 1].into(),
        seat_keys: Vec::new(),
        admissions: Vec::new(),
        best: None,
        ticket_types: Vec::new(),
        customer: CustomerKey::NONE,
        ttl_ms: 0,
        replace: None,
        plan_revision: 0,
    };
    for command in [Command::CreateEvent(Box::new(create())), Command::Hold(Box::new(hold))] {
        let Ok(Decision::Change(event, change)) = slot.decide(NOW, key, &command) else { panic!("it is refused") };
        assert!(matches!(change, Change::EventCreated(_) | Change::Held(_)));
        slot.apply(NOW, event, &change, &ThePlan, None);
    }
    slot
}

/// The slot that judges, as a checkpoint has it.
pub(crate) fn image() -> Vec<u8> {
    let mut bytes = Vec::new();
    inventory_core::image::encode_slot(&judge(), &mut bytes);
    bytes
}

/// The same with four seats sold to an order, one withdrawn, and some set aside: what requests on them can name.
fn judge_of_a_sold_house() -> Slot {
    let (key, mut slot) = (engine::event_key(EVENT), judge());
    let sell = SellDirect {
        request_id: RequestId(HOLD.0 + 2),
        order: OrderRef::parse("A-1017").expect("a good reference"),
        places: NamedPlaces { seats: vec![20, 21, 22, 23].into(), ..NamedPlaces::default() },
        customer: CustomerKey::NONE,
        expected_state: None,
        validate_only: false,
    };
    let kill = Kill {
        request_id: RequestId(HOLD.0 + 3),
        places: PlaceSet { seats: vec![40], ..PlaceSet::default() },
        reason: "pillar".into(),
        force: false,
        expected_state: None,
        validate_only: false,
    };
    let set = SetAllocation {
        request_id: RequestId(HOLD.0 + 4),
        key: "fans".into(),
        places: PlaceSet { seats: vec![60, 61, 62, 63], ..PlaceSet::default() },
        opens_at: None,
        closes_at: None,
        expected_state: None,
        validate_only: false,
    };
    let commands =
        [Command::SellDirect(Box::new(sell)), Command::Kill(Box::new(kill)), Command::SetAllocation(Box::new(set))];
    for command in commands {
        let Ok(Decision::Change(event, change)) = slot.decide(NOW, key, &command) else { panic!("it is refused") };
        slot.apply(NOW, event, &change, &ThePlan, None);
    }
    slot
}

// Who judges. Judging changes nothing, so every input meets the same state.
std::thread_local! {
    static JUDGE: Slot = judge_of_a_sold_house();
}

/// What the edge looks up.
fn the_house() -> &'static Arc<Engine> {
    static ENGINE: OnceLock<Arc<Engine>> = OnceLock::new();
    ENGINE.get_or_init(opened)
}

/// One request: the first byte is its type.
pub(crate) fn requests(bytes: &[u8]) {
    let Some((kind, message)) = bytes.split_first() else { return };
    ask(*kind, message);
}

/// The type of a message of a Session, in `server::fuzz`.
const SESSION: u8 = 9;

/// The messages of a Session, each with its length before it as two bytes.
pub(crate) fn sessions(bytes: &[u8]) {
    let mut rest = bytes;
    while let Some((length, behind)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_le_bytes(*length)).min(behind.len());
        ask(SESSION, &behind[..length]);
        rest = &behind[length..];
    }
}

fn ask(kind: u8, message: &[u8]) {
    let Some((key, command)) = server::fuzz::request(the_house(), &house(), kind, message) else { return };
    let now = NOW.plus_ms(1_000);
    JUDGE.with(|slot| match slot.decide(now, key, &command) {
        Ok(Decision::Change(event, change)) => {
            let mut record = Vec::new();
            // A change that is decided has a record that reads back.
            inventory_core::codec::encode_change(event, 1, 1, &change, &mut record);
            let (read, consumed) = inventory_core::codec::decode_record(&record).expect("it reads back");
            assert_eq!((read.change, consumed), (change, record.len()));
        }
        Ok(Decision::Hold { view, .. }) => server::fuzz::answered(&view, now),
        Ok(
            Decision::Event { .. }
            | Decision::Suggested { .. }
            | Decision::Explained { outcome: Ok(_), .. }
            | Decision::Allocations { .. }
            | Decision::Order { .. }
            | Decision::Page { .. }
            | Decision::Touched { .. }
            | Decision::Verdict { .. },
        ) => {}
        Ok(Decision::Explained { outcome: Err(reject), .. }) | Err(reject) => server::fuzz::rejected(reject),
    });
}
