//! Bytes of changes and of slots, and the digests that go with them: encode and decode of each kind of change, the
//! digest that a turn takes of an event, the fingerprint of a hold, the image of a slot.
//!
//! Steady state: the output buffer keeps its memory and is emptied before each encoding; nothing else changes.

use std::cell::LazyCell;
use std::hint::black_box;

use benches::{
    asked,
    sale::{START, Sale, Size},
};
use criterion::{BatchSize, Criterion, Throughput};
use inventory_core::{
    best_available::Arrangement,
    change::{Change, Confirmed, EventCreated, EventUpdated, Extended, Held, Released, ResumeCause, Resumed},
    codec,
    command::{Command, Remainder},
    ids::{CustomerKey, EventId, EventKey, EventNumber, OrderRef, PlanDigest, RequestId},
    image,
    limits::EXPIRED_HOLDS_PER_CHANGE_MAX,
    place::{Admission, Seat},
    policy::Settings,
    slot::{Slot, SlotConfig},
};

const EVENT: EventNumber = EventNumber(4);
const KEY: EventKey = EventKey(0x100);
/// One event in one slot: all that its image is of.
const SIZE: Size = Size { events: 1, held_pairs: 10_000, open_pairs: 10_000, admissions: 0 };

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    changes(&mut criterion);
    digests(&mut criterion);
    images(&mut criterion);
    criterion.final_summary();
}

fn changes(criterion: &mut Criterion) {
    for (name, change) in kinds() {
        let mut group = criterion.benchmark_group(format!("codec/{name}"));
        let mut bytes = Vec::new();
        codec::encode_change(EVENT, 7, 9, &change, &mut bytes);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        let mut out = Vec::with_capacity(bytes.len());
        group.bench_function("encode", |bencher| {
            bencher.iter(|| {
                out.clear();
                codec::encode_change(EVENT, 7, 9, black_box(&change), &mut out);
                black_box(out.len())
            });
        });
        group.bench_function("decode", |bencher| {
            bencher.iter(|| codec::decode_record(black_box(&bytes)).expect("it was just encoded"));
        });
        group.finish();
    }
}

fn digests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec/digest");
    let sale = LazyCell::new(|| Sale::new(SIZE));
    group.bench_function("event, once a turn", |bencher| {
        let slot = sale.slots().iter().find(|slot| !slot.is_empty()).expect("there is an event");
        let event = slot.events().next().expect("there is an event");
        bencher.iter(|| black_box(event).slot_hash());
    });
    group.bench_function("fingerprint of a hold", |bencher| {
        let Command::Hold(hold) = sale.hold(sale.open_pair(0)) else { panic!("a hold was asked for") };
        bencher.iter(|| black_box(&hold).fingerprint());
    });
    group.finish();
}

/// What checkpoints are made of: a slot of 10^4 live holds.
fn images(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec/image of a slot");
    group.throughput(Throughput::Elements(u64::from(SIZE.held())));
    let sale = LazyCell::new(|| Sale::new(SIZE));
    let slot = LazyCell::new(|| sale.slots().iter().find(|slot| !slot.is_empty()).expect("there is an event"));
    let mut out = Vec::new();
    group.bench_function("encode", |bencher| {
        bencher.iter(|| {
            out.clear();
            image::encode_slot(black_box(&slot), &mut out);
            black_box(out.len())
        });
    });
    group.bench_function("decode", |bencher| {
        let mut bytes = Vec::new();
        image::encode_slot(&slot, &mut bytes);
        let config = SlotConfig { seed: 1, tombstones_max: u32::MAX };
        let decode = |bytes: &[u8]| -> Slot {
            image::decode_slot(bytes, slot.index(), config, sale.plans()).expect("it was just encoded")
        };
        // Slots are dropped off the clock.
        bencher.iter_batched(|| (), |()| decode(black_box(&bytes)), BatchSize::PerIteration);
    });
    group.finish();
}

/// One change of every kind, as large as they commonly are.
fn kinds() -> [(&'static str, Change); 9] {
    let hold_id = asked::hold_id(START, 1);
    let request = (RequestId(asked::uuid(START, 2)), 0x0123_4567_89ab_cdef);
    let created = EventCreated {
        id: EventId::parse("concert-2026-11-20").expect("it is an id"),
        key: KEY,
        plan: PlanDigest([2; 32]),
        fingerprint: 3,
        settings: Settings::default(),
    };
    let held = Held {
        tags: Box::default(),
        hold_id,
        fingerprint: 5,
        customer: CustomerKey(6),
        created_at: START,
        expires_at: START.plus_ms(600_000),
        attempts: 0,
        renewals: 0,
        replaced: None,
        arrangement: Arrangement::None,
        seats: vec![Seat { index: 17, ticket_type: 0 }, Seat { index: 18, ticket_type: 0 }].into(),
        admissions: Vec::new().into(),
    };
    let general = Held {
        seats: Vec::new().into(),
        admissions: vec![Admission { source: 0, area: 0, ticket_type: 0, quantity: 2 }].into(),
        ..held.clone()
    };
    let confirmed = Confirmed {
        attempt_id: None,
        expires_at: None,
        hold_id,
        request: None,
        order: OrderRef::parse("A-1017").expect("it is printable"),
        seats: Vec::new().into(),
        admissions: Vec::new().into(),
        remainder: Remainder::Keep,
        reclaimed: false,
    };
    let (seats, admissions) = (Vec::new().into(), Vec::new().into());
    let released = Released { hold_id, request: None, seats, admissions, expires_at: None };
    let expired = (0..EXPIRED_HOLDS_PER_CHANGE_MAX as u64).map(|number| asked::hold_id(START, number)).collect();
    let updated = EventUpdated { request: Some(request), plan: None, settings: Settings::default() };
    [
        ("event created", Change::EventCreated(Box::new(created))),
        ("event updated", Change::EventUpdated(Box::new(updated))),
        ("held, two seats", Change::Held(held)),
        ("held, two admissions", Change::Held(general)),
        ("extended", Change::Extended(Extended { hold_id, request, expires_at: START.plus_ms(600_000) })),
        ("confirmed", Change::Confirmed(confirmed)),
        ("released", Change::Released(released)),
        ("expired, 64 holds", Change::Expired(expired)),
        ("resumed", Change::Resumed(Resumed { shift_ms: 1_000, cause: ResumeCause::Outage })),
    ]
}
