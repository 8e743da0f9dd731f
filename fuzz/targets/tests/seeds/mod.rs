//! Where the corpora come from: golden files, small documents of our own, and messages.

use prost::Message;
use proto::{
    admin::v1 as admin,
    inventory::v1::{self as wire, session_request::Command},
};

/// When the hold was made that requests can name.
const NOW_MS: u64 = 1_790_000_000_000;
/// The halves of its id.
const HOLD: (u64, u64) = (NOW_MS << 16 | 0x7000, 1 << 63 | 1);
/// Those of an id that is not known.
const OTHER: (u64, u64) = (NOW_MS << 16 | 0x7000, 1 << 63 | 2);
/// The event that requests can name.
const EVENT: &str = "concert";

const SMALL_PLAN: &str = include_str!("small_plan.json");
const SMALL_CHART: &str = include_str!("small_chart.json");
const SMALL_PRETIX: &str = include_str!("small_pretix.json");

/// A name and bytes.
type Seed = (&'static str, Vec<u8>);

/// The seeds of a target.
pub(crate) fn seeds(target: &str) -> Vec<Seed> {
    match target {
        "records" => golden_records(),
        "runs" => golden_records().into_iter().map(|(name, record)| (name, run(&record))).collect(),
        "frames" => vec![
            ("data", trimmed("batch_data_v1.bin")),
            ("hash", trimmed("batch_hash_v1.bin")),
            ("relog", trimmed("batch_relog_v1.bin")),
            ("seal", trimmed("batch_seal_v1.bin")),
            ("marker", trimmed("marker_v1.bin")),
        ],
        "segment_headers" => vec![("header", trimmed("segment_header_v1.bin"))],
        "watermarks" => vec![("watermark", trimmed("watermark_v1.bin"))],
        "logs" => logs(),
        "checkpoints" => vec![("small", checkpoint())],
        "images" => vec![("golden", core_golden("slot_v1.bin")), ("house", fuzz_targets::image_of_a_house())],
        "plans" => vec![("golden", core_golden("plan_v1.bin"))],
        "usher_documents" => vec![("small", SMALL_PLAN.into()), ("theatre", file("plans/theatre-300.json"))],
        "seatsio_charts" => vec![("small", SMALL_CHART.into())],
        "pretix_plans" => vec![("small", SMALL_PRETIX.into())],
        "requests" => requests(),
        "sessions" => vec![("all", session())],
        other => panic!("{other} has no seeds"),
    }
}

fn file(path: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn core_golden(name: &str) -> Vec<u8> {
    file(&format!("inventory-core/tests/golden/{name}"))
}

/// A golden page of the log without the checksum at its end and the zeros before that: whoever reads it makes
/// both again.
fn trimmed(name: &str) -> Vec<u8> {
    let mut page = file(&format!("wal/tests/golden/{name}"));
    page.truncate(page.len() - 4);
    page.truncate(page.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1));
    page
}

fn golden_records() -> Vec<Seed> {
    [
        ("confirmed", "confirmed_v1.bin"),
        ("event_created", "event_created_v1.bin"),
        ("event_updated", "event_updated_v1.bin"),
        ("expired", "expired_v1.bin"),
        ("extended", "extended_v1.bin"),
        ("floor_raised", "floor_raised_v1.bin"),
        ("held", "held_v1.bin"),
        ("released", "released_v1.bin"),
        ("resumed", "resumed_v1.bin"),
    ]
    .map(|(name, file)| (name, core_golden(file)))
    .into()
}

/// A batch of one run of one change, its count before it.
fn run(record: &[u8]) -> Vec<u8> {
    let mut bytes = vec![1, 0, 9];
    bytes.extend_from_slice(&1_u32.to_le_bytes());
    bytes.extend_from_slice(&NOW_MS.to_le_bytes());
    bytes.extend_from_slice(&(record.len() as u32).to_le_bytes());
    bytes.extend_from_slice(record);
    bytes
}

fn logs() -> Vec<Seed> {
    vec![
        ("whole", vec![0]),
        ("whole_again", vec![1]),
        ("bit", vec![0, 1, 0, 2, 3, 5]),
        ("epoch", vec![1, 0, 0, 0, 56, 2, 0, 0, 1, 56, 2]),
        ("batch_number", vec![1, 0, 0, 2, 40, 9]),
        ("payload_bytes", vec![1, 0, 0, 3, 74, 255]),
        ("zero_page", vec![0, 2, 0, 3, 0, 0]),
        ("short", vec![0, 3, 0, 4, 7, 0]),
        ("copied_page", vec![0, 4, 0, 3, 0, 2]),
        ("copied_from_another", vec![1, 4, 0, 3, 1, 2]),
        ("empty", vec![0, 5, 0, 0, 0, 0]),
    ]
}

/// A checkpoint with the image of a slot, a section of another kind, and one with nothing in it.
fn checkpoint() -> Vec<u8> {
    let disk = wal::MemoryStorage::new();
    let meta = wal::CheckpointMeta {
        identity: wal::LogIdentity { instance: [3; 16], partition: 0, incarnation: 1 },
        batch_seq: 5,
        next_position: 9,
        chain: wal::Chain([4; 16]),
        time_ms: NOW_MS,
        hash: [0; 16],
        restored_at_ms: None,
    };
    let mut writer = wal::CheckpointWriter::create(&disk, meta).expect("it is made");
    writer.add_section(0, &fuzz_targets::image_of_a_house()).expect("it is written");
    writer.add_section(256, &[5; 40]).expect("it is written");
    writer.add_section(7, &[]).expect("it is written");
    let name = writer.finish().expect("it reads back");
    disk.contents(&name).expect("it is there")
}

fn uuid((high, low): (u64, u64)) -> String {
    let hex = format!("{high:016x}{low:016x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Each type that asks for something, its number before it.
fn requests() -> Vec<Seed> {
    let event_id = || EVENT.to_owned();
    let (hold_id, other_id) = (|| uuid(HOLD), || uuid(OTHER));
    let by_seat = wire::HoldRequest {
        event_id: event_id(),
        hold_id: other_id(),
        seats: vec![2, 3],
        ticket_types: vec![1, 2],
        customer: "anna".to_owned(),
        ttl_ms: 60_000,
        ..Default::default()
    };
    let best = wire::HoldRequest {
        event_id: event_id(),
        hold_id: other_id(),
        best_available: Some(wire::BestAvailable { quantity: 3, ..Default::default() }),
        ..Default::default()
    };
    let replaces = wire::HoldRequest {
        event_id: event_id(),
        hold_id: other_id(),
        seat_keys: vec!["Stalls-A-8".to_owned()],
        ga: vec![wire::GaItem { quantity: 2, ..Default::default() }],
        replace_hold_id: hold_id(),
        ..Default::default()
    };
    let extend =
        wire::ExtendHoldRequest { event_id: event_id(), hold_id: hold_id(), request_id: other_id(), ttl_ms: 30_000 };
    let confirm = wire::ConfirmHoldRequest {
        event_id: event_id(),
        hold_id: hold_id(),
        order_ref: "A-1017".to_owned(),
        seats: vec![0],
        remainder: 1,
        ..Default::default()
    };
    let release = wire::ReleaseHoldRequest { event_id: event_id(), hold_id: hold_id(), ..Default::default() };
    let get_hold = wire::GetHoldRequest { event_id: event_id(), hold_id: hold_id(), ..Default::default() };
    let get_event = wire::GetEventRequest { event_id: event_id(), min_position: 1, ..Default::default() };
    let create_plan = admin::CreatePlanRequest { format: 1, document: SMALL_PLAN.into(), ..Default::default() };
    let create_event = admin::CreateEventRequest {
        event_id: "gala".to_owned(),
        display_name: "Gala".to_owned(),
        policies: Some(admin_policies()),
        starts_at: Some(prost_types::Timestamp { seconds: 1_790_100_000, nanos: 0 }),
        time_zone: "Europe/Berlin".to_owned(),
        ..Default::default()
    };
    let paths = ["display_name", "policies.renewals_max", "labels", "starts_at", "state"];
    let update_event = admin::UpdateEventRequest {
        event: Some(admin::Event {
            event_id: event_id(),
            display_name: "Later".to_owned(),
            policies: Some(admin_policies()),
            state: 2,
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask { paths: paths.map(str::to_owned).into() }),
        ..Default::default()
    };
    let list_events = admin::ListEventsRequest { page_size: 10, ..Default::default() };
    let order_ref = || "A-1017".to_owned();
    let sell_direct = wire::SellDirectRequest {
        event_id: event_id(),
        request_id: other_id(),
        order_ref: order_ref(),
        seats: vec![5],
        seat_keys: vec!["Stalls-A-8".to_owned()],
        ticket_types: vec![1, 2],
        ..Default::default()
    };
    let places = Some(wire::PlaceSet {
        plan_revision: 1,
        seats: vec![0],
        selectors: vec!["Stalls/A/2-4".to_owned()],
        ..Default::default()
    });
    let sold = wire::PlaceSet { selectors: vec!["Stalls/B/5-6".to_owned()], ..Default::default() };
    let killed = wire::PlaceSet { seats: vec![40], selectors: vec!["Stalls/C/8-10".to_owned()], ..Default::default() };
    let floor = wire::GaItem { area_key: "floor".to_owned(), quantity: 2, ..Default::default() };
    let return_places = wire::ReturnPlacesRequest {
        event_id: event_id(),
        request_id: other_id(),
        order_ref: order_ref(),
        to: 3,
        reason: "refund".to_owned(),
        ..Default::default()
    };
    let taken = wire::NamedPlaces { seats: vec![8], ..Default::default() };
    let exchange = wire::ExchangeRequest {
        event_id: event_id(),
        request_id: other_id(),
        order_ref: order_ref(),
        give: Some(sold),
        take: Some(wire::exchange_request::Take::Places(taken)),
        ..Default::default()
    };
    let exchange_for_a_hold =
        wire::ExchangeRequest { take: Some(wire::exchange_request::Take::TakeHoldId(hold_id())), ..exchange.clone() };
    let get_order = wire::GetOrderRequest { event_id: event_id(), order_ref: order_ref(), ..Default::default() };
    let list_orders = wire::ListOrdersRequest { event_id: event_id(), page_size: 10, ..Default::default() };
    let kill = admin::KillRequest {
        event_id: event_id(),
        request_id: other_id(),
        places,
        reason: "camera".to_owned(),
        force: true,
        ..Default::default()
    };
    let unkill = admin::UnkillRequest {
        event_id: event_id(),
        request_id: other_id(),
        places: Some(killed),
        expected_state: 2,
        ..Default::default()
    };
    let unkill_floor = admin::UnkillRequest {
        places: Some(wire::PlaceSet { ga: vec![floor], ..Default::default() }),
        ..unkill.clone()
    };
    let keys = || vec!["fans".to_owned(), "press".to_owned()];
    let hold_with_keys =
        wire::HoldRequest { seats: vec![60], allocation_keys: keys(), include_unallocated: true, ..best.clone() };
    let sell_with_keys = wire::SellDirectRequest { seats: vec![61], allocation_keys: keys(), ..sell_direct.clone() };
    let set_allocation = admin::SetAllocationRequest {
        event_id: event_id(),
        request_id: other_id(),
        allocation_key: "fans".to_owned(),
        places: Some(wire::PlaceSet {
            seats: vec![70],
            selectors: vec!["Stalls/C/8-10".to_owned()],
            ..Default::default()
        }),
        opens_at: Some(prost_types::Timestamp { seconds: 1_789_990_000, nanos: 0 }),
        closes_at: Some(prost_types::Timestamp { seconds: 1_790_010_000, nanos: 0 }),
        ..Default::default()
    };
    let remove_allocation = admin::RemoveAllocationRequest {
        event_id: event_id(),
        request_id: other_id(),
        allocation_key: "fans".to_owned(),
        places: Some(wire::PlaceSet { seats: vec![60], ..Default::default() }),
        ..Default::default()
    };
    let remove_all = admin::RemoveAllocationRequest { places: None, ..remove_allocation.clone() };
    let list_allocations = admin::ListAllocationsRequest { event_id: event_id() };
    let level_limits = vec![wire::LevelLimit { price_level: "Premium".to_owned(), places_max: 2 }];
    let quotas = vec![wire::SharedQuota {
        name: "exits".to_owned(),
        price_levels: vec!["Standard".to_owned()],
        areas: Vec::new(),
        places_max: 30,
    }];
    let create_with_limits = admin::CreateEventRequest {
        level_limits: level_limits.clone(),
        quotas: quotas.clone(),
        ..create_event.clone()
    };
    let paths = ["level_limits", "quotas", "policies.abandon_credits_max", "policies.abandon_refill"];
    let update_limits = admin::UpdateEventRequest {
        event: Some(admin::Event {
            event_id: event_id(),
            policies: Some(admin::EventPolicies { abandon_credits_max: Some(2), ..admin_policies() }),
            level_limits,
            quotas,
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask { paths: paths.map(str::to_owned).into() }),
        ..Default::default()
    };
    let set_price_level = admin::SetPriceLevelRequest {
        event_id: event_id(),
        request_id: other_id(),
        places: Some(wire::PlaceSet { seats: vec![70], ..Default::default() }),
        price_level: "Premium".to_owned(),
        ..Default::default()
    };
    let list_holds = admin::ListHoldsRequest { event_id: event_id(), page_size: 10, ..Default::default() };
    let hold_many = wire::HoldManyRequest {
        cart_id: other_id(),
        parts: vec![
            wire::CartPart { event_id: event_id(), seats: vec![6, 7], ..Default::default() },
            wire::CartPart {
                event_id: "gala".to_owned(),
                best_available: Some(wire::BestAvailable { quantity: 2, ..Default::default() }),
                ..Default::default()
            },
        ],
        ttl_ms: 60_000,
        ..Default::default()
    };
    let confirm_many = wire::ConfirmManyRequest { event_id: event_id(), cart_id: hold_id(), order_ref: order_ref() };
    let release_many = wire::ReleaseManyRequest { event_id: event_id(), cart_id: hold_id() };
    let of = |kind: u8, message: Vec<u8>| [vec![kind], message].concat();
    vec![
        ("hold_seats", of(0, by_seat.encode_to_vec())),
        ("hold_best", of(0, best.encode_to_vec())),
        ("hold_replaces", of(0, replaces.encode_to_vec())),
        ("extend", of(1, extend.encode_to_vec())),
        ("confirm", of(2, confirm.encode_to_vec())),
        ("release", of(3, release.encode_to_vec())),
        ("get_hold", of(4, get_hold.encode_to_vec())),
        ("get_event", of(5, get_event.encode_to_vec())),
        ("get_plan", of(6, get_event.encode_to_vec())),
        ("get_availability", of(7, get_event.encode_to_vec())),
        ("get_seat_map", of(8, get_event.encode_to_vec())),
        ("create_plan", of(10, create_plan.encode_to_vec())),
        ("create_event", of(11, create_event.encode_to_vec())),
        ("update_event", of(12, update_event.encode_to_vec())),
        ("list_events", of(13, list_events.encode_to_vec())),
        ("sell_direct", of(17, sell_direct.encode_to_vec())),
        ("return_places", of(18, return_places.encode_to_vec())),
        ("exchange", of(19, exchange.encode_to_vec())),
        ("exchange_for_a_hold", of(19, exchange_for_a_hold.encode_to_vec())),
        ("get_order", of(20, get_order.encode_to_vec())),
        ("list_orders", of(21, list_orders.encode_to_vec())),
        ("kill", of(22, kill.encode_to_vec())),
        ("unkill", of(23, unkill.encode_to_vec())),
        ("unkill_floor", of(23, unkill_floor.encode_to_vec())),
        ("list_holds", of(24, list_holds.encode_to_vec())),
        ("hold_with_keys", of(0, hold_with_keys.encode_to_vec())),
        ("sell_with_keys", of(17, sell_with_keys.encode_to_vec())),
        ("set_allocation", of(25, set_allocation.encode_to_vec())),
        ("remove_allocation", of(26, remove_allocation.encode_to_vec())),
        ("remove_all", of(26, remove_all.encode_to_vec())),
        ("list_allocations", of(27, list_allocations.encode_to_vec())),
        ("hold_many", of(28, hold_many.encode_to_vec())),
        ("confirm_many", of(29, confirm_many.encode_to_vec())),
        ("release_many", of(30, release_many.encode_to_vec())),
        ("create_with_limits", of(11, create_with_limits.encode_to_vec())),
        ("update_limits", of(12, update_limits.encode_to_vec())),
        ("set_price_level", of(31, set_price_level.encode_to_vec())),
    ]
}

fn admin_policies() -> admin::EventPolicies {
    let hold_ttl = Some(prost_types::Duration { seconds: 300, nanos: 0 });
    admin::EventPolicies { hold_ttl, renewals_max: Some(3), ..Default::default() }
}

/// All commands of a Session, one after the other.
fn session() -> Vec<u8> {
    let event_key = fuzz_targets::key_of(EVENT);
    let (hold_id_hi, hold_id_lo) = HOLD;
    let commands = [
        Command::Open(wire::SessionOpen { client: "seed".to_owned(), ..Default::default() }),
        Command::Hold(wire::SessionHold {
            event_key,
            hold_id_hi: OTHER.0,
            hold_id_lo: OTHER.1,
            seats: vec![4, 5],
            ..Default::default()
        }),
        Command::Confirm(wire::SessionConfirm {
            event_key,
            hold_id_hi,
            hold_id_lo,
            order_ref: "A-1".to_owned(),
            ..Default::default()
        }),
        Command::Release(wire::SessionRelease { event_key, hold_id_hi, hold_id_lo, ..Default::default() }),
        Command::Extend(wire::SessionExtend {
            event_key,
            hold_id_hi,
            hold_id_lo,
            request_id_hi: OTHER.0,
            request_id_lo: OTHER.1,
            ..Default::default()
        }),
        Command::GetHold(wire::SessionGetHold { event_key, hold_id_hi, hold_id_lo, ..Default::default() }),
    ];
    let message = |command: Command| {
        let request = wire::SessionRequest { correlation_id: 7, command: Some(command), ..Default::default() };
        let bytes = request.encode_to_vec();
        [&(bytes.len() as u16).to_le_bytes()[..], &bytes].concat()
    };
    commands.into_iter().flat_map(message).collect()
}
