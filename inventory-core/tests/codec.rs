//! The bytes of changes and slots: golden files, round trips, and no harm from any bytes.
//!
//! The golden files are the format: when one of these tests fails, folders written before cannot be
//! read any more. To write new files for a new version: `USHER_GOLDEN=write cargo test -p inventory-core`.

use std::{path::PathBuf, sync::Arc};

use inventory_core::{
    best_available::Arrangement,
    cart::{Cart, CartConfirmed, CartEnd, CartHeld, CartReleased},
    change::{
        AllocationRemoved, AllocationSet, Change, Confirmed, EventCreated, EventRetired, EventUpdated, Exchanged,
        Extended, Held, Killed, PaymentBegan, PaymentEnded, PriceLevelSet, Record, Released, Rested, ResumeCause,
        Resumed, Returned, SoldDirect, Taken, Unkilled,
    },
    codec::{decode_record, encode_record},
    command::{PaymentOutcome, Remainder},
    giving_back::ReturnTo,
    ids::{
        CustomerKey, EventId, EventKey, EventNumber, HoldId, OrderRef, PlanDigest, RequestId, SlotIndex, TimestampMs,
    },
    image::{decode_slot, encode_slot, plans_of},
    place::{Admission, PlaceState, Seat},
    plan::{Area, Plan, PlanSpec, Point, RowKind, RowSpec, SeatSpec, SectionSpec},
    policy::{EventState, LevelLimit, Limits, OrphanRule, Policies, Settings, SharedQuota},
    slot::{Plans, Slot, SlotConfig},
};

fn id(time_ms: u64, random: u64) -> u128 {
    u128::from(time_ms) << 80 | 7 << 76 | 0b10 << 62 | u128::from(random)
}

fn hold_id(number: u64) -> HoldId {
    HoldId::parse(id(1_700_000_000_000 + number, number)).expect("it is UUIDv7")
}

fn request(number: u64) -> (RequestId, u64) {
    (RequestId::parse(id(1_700_000_000_500 + number, number)).expect("it is UUIDv7"), 0x0123_4567_89ab_cdef)
}

fn order(text: &str) -> OrderRef {
    OrderRef::parse(text).expect("it is printable")
}

fn settings() -> Settings {
    Settings {
        limits: Limits::default(),
        state: EventState::OnSale,
        opens_at: TimestampMs(1_700_000_000_000),
        closes_at: TimestampMs(1_800_000_000_000),
        starts_at: TimestampMs(1_800_000_360_000),
        policies: Policies { places_per_customer_max: 4, orphan_rule: OrphanRule::Strict, ..Policies::default() },
        display_name: "Derby — finale".into(),
        time_zone: "Europe/Berlin".into(),
        labels: vec![("city".into(), "Köln".into()), ("season".into(), "26/27".into())],
    }
}

fn limits() -> Limits {
    Limits {
        by_level: vec![LevelLimit { level: "one".into(), places_max: 4 }],
        quotas: vec![SharedQuota {
            name: "exits".into(),
            levels: vec!["one".into()],
            areas: vec!["floor".into()],
            places_max: 60,
        }],
    }
}

fn abandoning() -> Policies {
    Policies { abandon_credits_max: 3, abandon_refill_s: 60, cooling_s_max: 30, ..Policies::default() }
}

fn records() -> Vec<(&'static str, Record)> {
    let digest = PlanDigest(core::array::from_fn(|at| at as u8));
    let admission = |area, ticket_type, quantity| Admission { source: 0, area, ticket_type, quantity };
    let changes = [
        (
            "event_created",
            Change::EventCreated(Box::new(EventCreated {
                id: EventId::parse("derby").expect("it is an id"),
                key: EventKey(0x1122_3344_5566_7788),
                plan: digest,
                fingerprint: 42,
                settings: settings(),
            })),
        ),
        (
            "event_updated",
            Change::EventUpdated(Box::new(EventUpdated {
                request: Some(request(1)),
                plan: Some(digest),
                settings: Settings { state: EventState::Paused, ..settings() },
            })),
        ),
        (
            "held",
            Change::Held(Held {
                tags: Box::default(),
                hold_id: hold_id(1),
                fingerprint: 7,
                customer: CustomerKey(8),
                created_at: TimestampMs(1_700_000_001_000),
                expires_at: TimestampMs(1_700_000_601_000),
                renewals: 2,
                attempts: 0,
                replaced: Some(hold_id(0)),
                arrangement: Arrangement::Contiguous,
                seats: vec![Seat { index: 999_999, ticket_type: 255 }, Seat { index: 3, ticket_type: 0 }].into(),
                admissions: vec![admission(4_095, 1, 64)].into(),
            }),
        ),
        (
            "extended",
            Change::Extended(Extended {
                hold_id: hold_id(1),
                request: request(2),
                expires_at: TimestampMs(1_700_000_700_000),
            }),
        ),
        (
            "confirmed",
            Change::Confirmed(Confirmed {
                hold_id: hold_id(1),
                request: Some(request(3)),
                order: order("A-1017"),
                seats: vec![3].into(),
                admissions: vec![admission(0, 1, 2)].into(),
                remainder: Remainder::Release,
                reclaimed: true,
                attempt_id: None,
                expires_at: None,
            }),
        ),
        (
            "released",
            Change::Released(Released {
                hold_id: hold_id(1),
                request: None,
                seats: Vec::new().into(),
                admissions: Vec::new().into(),
                expires_at: None,
            }),
        ),
        ("expired", Change::Expired(vec![hold_id(1), hold_id(2)])),
        ("resumed", Change::Resumed(Resumed { shift_ms: 120_000, cause: ResumeCause::Outage })),
        ("floor_raised", Change::FloorRaised(TimestampMs(1_700_000_000_000))),
        (
            "held_attempts",
            Change::Held(Held {
                tags: Box::default(),
                hold_id: hold_id(1),
                fingerprint: 7,
                customer: CustomerKey(0),
                created_at: TimestampMs(1_700_000_001_000),
                expires_at: TimestampMs(1_700_000_601_000),
                renewals: 0,
                attempts: 3,
                replaced: None,
                arrangement: Arrangement::None,
                seats: vec![Seat { index: 3, ticket_type: 0 }].into(),
                admissions: Vec::new().into(),
            }),
        ),
        (
            "confirmed_paid",
            Change::Confirmed(Confirmed {
                hold_id: hold_id(1),
                request: Some(request(3)),
                order: order("A-1017"),
                seats: vec![3].into(),
                admissions: Vec::new().into(),
                remainder: Remainder::Keep,
                reclaimed: false,
                attempt_id: Some(request(4).0),
                expires_at: Some(TimestampMs(1_700_000_601_000)),
            }),
        ),
        (
            "released_paying",
            Change::Released(Released {
                hold_id: hold_id(1),
                request: Some(request(5)),
                seats: vec![3].into(),
                admissions: Vec::new().into(),
                expires_at: Some(TimestampMs(1_700_000_601_000)),
            }),
        ),
        (
            "payment_began",
            Change::PaymentBegan(PaymentBegan {
                hold_id: hold_id(1),
                attempt_id: request(4).0,
                deadline: TimestampMs(1_700_000_901_000),
            }),
        ),
        (
            "payment_ended",
            Change::PaymentEnded(PaymentEnded {
                hold_id: hold_id(1),
                attempt_id: request(4).0,
                outcome: PaymentOutcome::Abandoned,
                expires_at: TimestampMs(1_700_000_601_000),
            }),
        ),
        ("payments_lapsed", Change::PaymentsLapsed(vec![hold_id(1), hold_id(2)])),
        ("paid_forgotten", Change::PaidForgotten(TimestampMs(1_700_000_000_000))),
        ("sold_direct", Change::SoldDirect(Box::new(sold_direct()))),
        ("returned", Change::Returned(Box::new(returned()))),
        (
            "exchanged_for_places",
            Change::Exchanged(Box::new(Exchanged {
                returned: Returned { to: ReturnTo::Origin, reason: "".into(), ..returned() },
                taken: Taken::Sale(sold_direct()),
            })),
        ),
        (
            "exchanged_for_hold",
            Change::Exchanged(Box::new(Exchanged {
                returned: Returned { to: ReturnTo::Origin, reason: "".into(), ..returned() },
                taken: Taken::Hold(Confirmed {
                    hold_id: hold_id(1),
                    request: None,
                    order: order("A-1017"),
                    seats: Vec::new().into(),
                    admissions: Vec::new().into(),
                    remainder: Remainder::Keep,
                    reclaimed: false,
                    attempt_id: None,
                    expires_at: None,
                }),
            })),
        ),
        (
            "killed",
            Change::Killed(Box::new(Killed {
                request: request(7),
                reason: "camera".into(),
                seats: vec![3, 4, 5, 9],
                areas: vec![(0, 2), (7, 1_000)],
                holds: vec![hold_id(1), hold_id(2)],
            })),
        ),
        (
            "unkilled",
            Change::Unkilled(Box::new(Unkilled { request: request(8), seats: vec![3, 9], areas: vec![(7, 1_000)] })),
        ),
        ("event_retired", Change::EventRetired(EventRetired { request: request(9) })),
        (
            "held_tagged",
            Change::Held(Held {
                hold_id: hold_id(1),
                fingerprint: 7,
                customer: CustomerKey(8),
                created_at: TimestampMs(1_700_000_001_000),
                expires_at: TimestampMs(1_700_000_601_000),
                renewals: 0,
                attempts: 0,
                replaced: None,
                arrangement: Arrangement::None,
                tags: [1, 255].into(),
                seats: vec![Seat { index: 3, ticket_type: 0 }].into(),
                admissions: vec![Admission { source: 15, ..admission(4_095, 255, 64) }].into(),
            }),
        ),
        (
            "allocation_set",
            Change::AllocationSet(Box::new(AllocationSet {
                request: request(9),
                key: "fan-club".into(),
                opens_at: TimestampMs(1_700_000_000_000),
                closes_at: TimestampMs(0),
                seats: vec![3, 4, 5, 9],
                areas: vec![(0, 2), (7, 1_000)],
            })),
        ),
        (
            "event_updated_limits",
            Change::EventUpdated(Box::new(EventUpdated {
                request: None,
                plan: None,
                settings: Settings { limits: limits(), policies: abandoning(), ..settings() },
            })),
        ),
        (
            "price_level_set",
            Change::PriceLevelSet(Box::new(PriceLevelSet {
                request: request(11),
                plan: digest,
                seats: vec![3, 4, 9],
                areas: vec![(7, 1_000)],
            })),
        ),
        (
            "rested",
            Change::Rested(Rested {
                seats: vec![(TimestampMs(1_700_000_000_001), 9), (TimestampMs(1_700_000_000_002), 3)],
                admissions: vec![(TimestampMs(1_700_000_000_001), admission(7, 1, 2))],
            }),
        ),
        (
            "allocation_removed",
            Change::AllocationRemoved(Box::new(AllocationRemoved {
                request: request(10),
                key: "fan-club".into(),
                whole: false,
                seats: vec![3, 9],
                areas: vec![(7, 10)],
            })),
        ),
        ("cart_held_first", Change::CartHeld(Box::new(cart_held(7, first())))),
        ("cart_held_part", Change::CartHeld(Box::new(cart_held(8, part())))),
        (
            "cart_confirmed",
            Change::CartConfirmed(Box::new(CartConfirmed { cart_id: hold_id(7), order: order("A-1018") })),
        ),
        ("cart_released", Change::CartReleased(CartReleased { cart_id: hold_id(7), cause: CartEnd::Missing })),
        ("cart_settled", Change::CartSettled(hold_id(7))),
    ];
    let record = |change| Record { event: EventNumber(3), event_seq: 9, digest: 0xdead_beef, change };
    changes.into_iter().map(|(name, change)| (name, record(change))).collect()
}

fn first() -> Cart {
    Cart::First { others: vec![EventKey(0x88), EventKey(0xfedc_ba98_7654_3210)], is_settled: false }
}

fn part() -> Cart {
    Cart::Part { first: EventKey(0x1122_3344_5566_7788) }
}

fn cart_held(number: u64, cart: Cart) -> CartHeld {
    let held = Held {
        tags: Box::default(),
        hold_id: hold_id(number),
        fingerprint: number,
        customer: CustomerKey(1),
        created_at: TimestampMs(1_700_000_001_000),
        expires_at: TimestampMs(1_700_000_901_000),
        renewals: 0,
        attempts: 0,
        replaced: None,
        arrangement: Arrangement::None,
        seats: vec![Seat { index: number as u32 + 44, ticket_type: 1 }].into(),
        admissions: vec![Admission { source: 0, area: 0, ticket_type: 2, quantity: 1 }].into(),
    };
    CartHeld { held, cart }
}

fn sold_direct() -> SoldDirect {
    SoldDirect {
        hold_id: hold_id(6),
        fingerprint: 7,
        customer: CustomerKey(8),
        order: order("A-1017"),
        seats: vec![Seat { index: 999_999, ticket_type: 255 }].into(),
        admissions: vec![Admission { source: 0, area: 4_095, ticket_type: 1, quantity: 64 }].into(),
    }
}

fn returned() -> Returned {
    Returned {
        request: Some(request(6)),
        order: order("A-1017"),
        to: ReturnTo::Killed,
        reason: "returned".into(),
        seats: vec![0, 1, 70, 999_999],
        admissions: vec![(hold_id(1), Admission { source: 0, area: 0, ticket_type: 1, quantity: 2 })],
    }
}

/// Compare with the golden file, or write it when told so.
fn golden(name: &str, bytes: &[u8]) {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "golden", name].iter().collect();
    if std::env::var_os("USHER_GOLDEN").is_some() {
        std::fs::write(&path, bytes).expect("the golden folder is writable");
    }
    let expected = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(bytes, expected, "{name} is not what earlier versions wrote");
}

#[test]
fn every_change_has_the_bytes_it_always_had() {
    for (name, record) in records() {
        let mut bytes = Vec::new();
        encode_record(&record, &mut bytes);
        golden(&format!("{name}_v1.bin"), &bytes);
        assert_eq!(decode_record(&bytes), Ok((record, bytes.len())), "{name}");
    }
}

#[test]
fn a_record_cut_anywhere_is_refused() {
    for (name, record) in records() {
        let mut bytes = Vec::new();
        encode_record(&record, &mut bytes);
        for length in 0..bytes.len() {
            assert!(decode_record(&bytes[..length]).is_err(), "{name} cut to {length} bytes");
        }
    }
}

#[test]
fn a_flipped_bit_is_refused_or_read_as_what_it_says() {
    for (name, record) in records() {
        let mut bytes = Vec::new();
        encode_record(&record, &mut bytes);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok((other, used)) = decode_record(&flipped) {
                let mut again = Vec::new();
                encode_record(&other, &mut again);
                assert_eq!(again, flipped[..used], "{name}, bit {bit}: one change has one encoding");
            }
        }
    }
}

struct OnePlan(Arc<Plan>);

impl Plans for OnePlan {
    fn plan(&self, digest: &PlanDigest) -> Arc<Plan> {
        assert_eq!(*digest, self.0.digest());
        Arc::clone(&self.0)
    }
}

fn plan() -> OnePlan {
    let seat = |number: i32| SeatSpec {
        key: format!("A-{number}").into(),
        label: number.to_string().into(),
        at: Point { x: number * 500, y: 0 },
        level: 0,
        attributes: 0,
        aisle_after: false,
    };
    let row = RowSpec { label: "A".into(), kind: RowKind::Row, seats: (1..=70).map(seat).collect() };
    let spec = PlanSpec {
        name: "hall".into(),
        price_levels: vec!["one".into()],
        zones: Vec::new(),
        focal_point: Some(Point { x: 0, y: -1_000 }),
        sections: vec![SectionSpec { key: "main".into(), label: "main".into(), zone: None, rows: vec![row] }],
        areas: vec![Area {
            key: "floor".into(),
            label: "Floor".into(),
            zone: None,
            level: 0,
            capacity: 100,
            centre: Point::default(),
        }],
    };
    OnePlan(Arc::new(Plan::build(&spec, PlanDigest([9; 32])).expect("the plan is sound")))
}

const CONFIG: SlotConfig = SlotConfig { seed: 5, tombstones_max: 1_000 };

/// A slot with holds in every state.
fn slot(plans: &OnePlan) -> Slot {
    let mut slot = Slot::new(SlotIndex(0x88), CONFIG);
    let event = EventNumber(0);
    let created = EventCreated {
        id: EventId::parse("derby").expect("it is an id"),
        key: EventKey(0x1122_3344_5566_7788),
        plan: plans.0.digest(),
        fingerprint: 42,
        settings: settings(),
    };
    let start = 1_700_000_001_000;
    let mut step = 0;
    let mut apply = |change: Change| {
        step += 1;
        slot.apply(TimestampMs(start + step * 1_000), event, &change, plans, None);
    };
    apply(Change::EventCreated(Box::new(created)));
    let held = |number: u64, seats: &[u32], admitted: u8| {
        Change::Held(Held {
            tags: Box::default(),
            hold_id: hold_id(number),
            fingerprint: number,
            customer: CustomerKey(number % 2),
            created_at: TimestampMs(start),
            expires_at: TimestampMs(start + 600_000),
            renewals: 0,
            attempts: 0,
            replaced: None,
            arrangement: Arrangement::None,
            seats: seats.iter().map(|&index| Seat { index, ticket_type: 1 }).collect(),
            admissions: (admitted > 0)
                .then_some(Admission { source: 0, area: 0, ticket_type: 2, quantity: admitted })
                .into_iter()
                .collect(),
        })
    };
    apply(held(1, &[0, 1, 2, 63, 64], 3));
    apply(held(2, &[10, 11], 0));
    apply(held(3, &[], 5));
    apply(held(4, &[20], 0));
    apply(held(5, &[30, 31], 2));
    let confirmed = |number, seats: &[u32], admitted: u8, remainder| {
        Change::Confirmed(Confirmed {
            hold_id: hold_id(number),
            request: (!seats.is_empty()).then(|| request(number)),
            order: order("A-1"),
            seats: seats.to_vec().into(),
            admissions: (admitted > 0)
                .then_some(Admission { source: 0, area: 0, ticket_type: 2, quantity: admitted })
                .into_iter()
                .collect(),
            remainder,
            reclaimed: false,
            attempt_id: None,
            expires_at: None,
        })
    };
    apply(confirmed(1, &[1, 64], 2, Remainder::Keep));
    apply(confirmed(2, &[], 0, Remainder::Keep));
    apply(confirmed(5, &[30], 0, Remainder::Release));
    apply(Change::Released(Released {
        hold_id: hold_id(3),
        request: None,
        seats: Vec::new().into(),
        admissions: Vec::new().into(),
        expires_at: None,
    }));
    apply(Change::Expired(vec![hold_id(4)]));
    slot.assert_valid();
    slot
}

/// The same with what came later: a payment, kills, a hold that lost a place, sales to several orders, a return.
fn later_slot(plans: &OnePlan) -> Slot {
    let mut slot = slot(plans);
    let start = slot.now().0;
    let mut step = 0;
    let mut apply = |change: Change| {
        step += 1;
        slot.apply(TimestampMs(start + step * 1_000), EventNumber(0), &change, plans, None);
    };
    let killed = |number, reason: &str, seats: Vec<u32>, areas, holds| {
        let reason = reason.into();
        Change::Killed(Box::new(Killed { request: request(number), reason, seats, areas, holds }))
    };
    apply(killed(20, "camera", vec![0, 40, 41], vec![(0, 7)], vec![hold_id(1)]));
    apply(killed(21, "sightline", vec![42], Vec::new(), Vec::new()));
    apply(Change::Confirmed(Confirmed {
        hold_id: hold_id(1),
        request: Some(request(22)),
        order: order("A-2"),
        seats: vec![2].into(),
        admissions: vec![Admission { source: 0, area: 0, ticket_type: 2, quantity: 1 }].into(),
        remainder: Remainder::Keep,
        reclaimed: false,
        attempt_id: Some(request(23).0),
        expires_at: None,
    }));
    apply(Change::PaymentBegan(PaymentBegan {
        hold_id: hold_id(1),
        attempt_id: request(24).0,
        deadline: TimestampMs(start + 900_000),
    }));
    apply(Change::SoldDirect(Box::new(SoldDirect {
        seats: vec![Seat { index: 50, ticket_type: 0 }].into(),
        admissions: vec![Admission { source: 0, area: 0, ticket_type: 1, quantity: 2 }].into(),
        ..sold_direct()
    })));
    apply(Change::Returned(Box::new(Returned {
        order: order("A-1"),
        seats: vec![10],
        admissions: vec![(hold_id(1), Admission { source: 0, area: 0, ticket_type: 2, quantity: 1 })],
        ..returned()
    })));
    slot.assert_valid();
    slot
}

/// The same with allocations: one with a hold, one that went, one with what was sold of it and came back.
fn slot_with_allocations(plans: &OnePlan) -> Slot {
    let mut slot = later_slot(plans);
    let start = slot.now().0;
    let mut step = 0;
    let mut apply = |change: Change| {
        step += 1;
        slot.apply(TimestampMs(start + step * 1_000), EventNumber(0), &change, plans, None);
        slot.assert_valid();
    };
    let set = |number, key: &str, seats: Vec<u32>, quota| {
        let (opens_at, closes_at) = (TimestampMs(start), TimestampMs(0));
        let (request, key) = (request(number), key.into());
        Change::AllocationSet(Box::new(AllocationSet {
            request,
            key,
            opens_at,
            closes_at,
            seats,
            areas: vec![(0, quota)],
        }))
    };
    let drawn = |source, quantity| Admission { source, area: 0, ticket_type: 2, quantity };
    let held = |number, tags: &[u8], seats: &[u32], admission| {
        Change::Held(Held {
            hold_id: hold_id(number),
            fingerprint: number,
            customer: CustomerKey(9),
            created_at: TimestampMs(start),
            expires_at: TimestampMs(start + 600_000),
            renewals: 0,
            attempts: 0,
            replaced: None,
            arrangement: Arrangement::None,
            tags: tags.into(),
            seats: seats.iter().map(|&index| Seat { index, ticket_type: 0 }).collect(),
            admissions: vec![admission, drawn(0, 1)].into(),
        })
    };
    apply(set(30, "gone", (20..30).collect(), 5));
    apply(set(31, "fans", (24..40).collect(), 9));
    // A seat that is sold, and one that is killed.
    apply(set(32, "house", vec![1, 42, 43, 44, 65], 12));
    apply(held(40, &[2], &[33, 34], drawn(2, 4)));
    apply(held(41, &[1], &[20, 21], drawn(1, 3)));
    apply(held(42, &[3], &[43, 44], drawn(3, 6)));
    let whole = Confirmed {
        hold_id: hold_id(42),
        request: None,
        order: order("A-9"),
        seats: Vec::new().into(),
        admissions: Vec::new().into(),
        remainder: Remainder::Keep,
        reclaimed: false,
        attempt_id: None,
        expires_at: None,
    };
    apply(Change::Confirmed(whole));
    let back = |number, seat, to, reason: &str, quantity| {
        let admissions = vec![(hold_id(42), drawn(3, quantity))];
        let (order, reason) = (order("A-9"), reason.into());
        Change::Returned(Box::new(Returned {
            request: Some(request(number)),
            order,
            to,
            reason,
            seats: vec![seat],
            admissions,
        }))
    };
    apply(back(33, 43, ReturnTo::General, "", 2));
    apply(back(34, 44, ReturnTo::Killed, "broken", 1));
    let gone = AllocationRemoved {
        request: request(35),
        key: "gone".into(),
        whole: true,
        seats: Vec::new(),
        areas: Vec::new(),
    };
    apply(Change::AllocationRemoved(Box::new(gone)));
    slot
}

#[test]
fn a_slot_with_allocations_has_the_bytes_of_the_third_version_and_comes_back_whole() {
    let plans = plan();
    let slot = slot_with_allocations(&plans);
    let mut bytes = Vec::new();
    encode_slot(&slot, &mut bytes);
    golden("slot_v3_allocations.bin", &bytes);
    let back = decode_slot(&bytes, slot.index(), CONFIG, &plans).expect("the image is ours");
    back.assert_valid();
    assert_eq!(back.hash(), slot.hash());
    let event = slot.events().next().expect("there is one");
    let public = |seat| event.public_state(seat);
    assert_eq!(
        [20, 24, 32, 33, 42, 43, 44, 65].map(public),
        [
            PlaceState::Held,
            PlaceState::Killed,
            PlaceState::Killed,
            PlaceState::Held,
            PlaceState::Killed,
            PlaceState::Open,
            PlaceState::Killed,
            PlaceState::Killed,
        ]
    );
    // Of the quota of 9 are 4 held; of 12 were 6 sold, of which 2 are general now, and 1 is killed.
    let unused = (9 - 4) + (12 - 3 - 3);
    assert_eq!(event.area_open(0) - event.area_room(0), unused);
    let mut again = Vec::new();
    encode_slot(&back, &mut again);
    assert_eq!(again, bytes, "one state has one image");
}

/// The same with holds that expired: places rest, customers have spent credits; with limits and quotas that count.
fn slot_with_expiries(plans: &OnePlan) -> Slot {
    let mut slot = slot_with_allocations(plans);
    let start = slot.now().0;
    let mut step = 0;
    let mut apply = |change: Change| {
        step += 1;
        slot.apply(TimestampMs(start + step * 1_000), EventNumber(0), &change, plans, None);
        slot.assert_valid();
    };
    let settings = Settings { limits: limits(), policies: abandoning(), ..settings() };
    apply(Change::EventUpdated(Box::new(EventUpdated { request: None, plan: None, settings })));
    // Two seats and seven admissions, of an allocation and of none.
    apply(Change::Expired(vec![hold_id(40)]));
    let event = slot.events().next().expect("there is one");
    assert_eq!(event.counts().held, 7 + 6 + 1, "what rests is held, as are places of holds 41 and 1");
    slot
}

#[test]
fn a_slot_with_expiries_comes_back_whole_and_wakes_in_time() {
    let plans = plan();
    let mut slot = slot_with_expiries(&plans);
    let mut bytes = Vec::new();
    encode_slot(&slot, &mut bytes);
    golden("slot_v3_expiries.bin", &bytes);
    let mut back = decode_slot(&bytes, slot.index(), CONFIG, &plans).expect("the image is ours");
    back.assert_valid();
    assert_eq!(back.hash(), slot.hash());
    let mut again = Vec::new();
    encode_slot(&back, &mut again);
    assert_eq!(again, bytes, "one state has one image");
    let cooled = slot.now().plus_ms(30_000);
    let mut woken = 0;
    for slot in [&mut slot, &mut back] {
        while let Some((event, change)) = slot.decide_due(cooled) {
            let Change::Rested(rested) = &change else { panic!("no hold is due: {change:?}") };
            woken += rested.seats.len() + rested.admissions.len();
            slot.apply(cooled, event, &change, &plans, None);
            slot.assert_valid();
        }
    }
    assert_eq!(woken, 2 * 4, "both seats and both entries of admissions, in either");
    assert_eq!(back.hash(), slot.hash());
}

/// The same with carts in every state.
fn slot_of_carts(plans: &OnePlan) -> Slot {
    let mut slot = later_slot(plans);
    let start = slot.now().0;
    let mut step = 0;
    let mut apply = |change: Change| {
        step += 1;
        slot.apply(TimestampMs(start + step * 1_000), EventNumber(0), &change, plans, None);
    };
    for number in 7..=12 {
        let cart = if number % 2 == 1 { first() } else { part() };
        apply(Change::CartHeld(Box::new(cart_held(number, cart))));
    }
    let sold =
        |number| Change::CartConfirmed(Box::new(CartConfirmed { cart_id: hold_id(number), order: order("A-1018") }));
    let cancelled = |number, cause| Change::CartReleased(CartReleased { cart_id: hold_id(number), cause });
    // 7 and 8 stay undecided, 9 is sold and settled, 10 is a part that was sold, 11 is not settled, 12 is remembered.
    apply(sold(9));
    apply(Change::CartSettled(hold_id(9)));
    apply(sold(10));
    apply(cancelled(11, CartEnd::Missing));
    apply(cancelled(12, CartEnd::Deadline));
    slot.assert_valid();
    slot
}

#[test]
fn a_slot_with_carts_comes_back_whole() {
    let plans = plan();
    let slot = slot_of_carts(&plans);
    let mut bytes = Vec::new();
    encode_slot(&slot, &mut bytes);
    golden("slot_v2_carts.bin", &bytes);
    let mut back = decode_slot(&bytes, slot.index(), CONFIG, &plans).expect("the image is ours");
    back.assert_valid();
    assert_eq!((back.hash(), back.unsettled()), (slot.hash(), slot.unsettled()));
    assert_eq!(back.unsettled().len(), 1, "the first part that has decided");
    for number in 1..=12 {
        let view = slot.hold_view(EventNumber(0), hold_id(number));
        assert_eq!(back.hold_view(EventNumber(0), hold_id(number)), view, "hold {number}");
        assert_eq!(view.is_some_and(|view| view.cart.is_some()), number >= 7, "hold {number}");
    }
    let mut again = Vec::new();
    encode_slot(&back, &mut again);
    assert_eq!(again, bytes, "one state has one image");

    // What is decided is let go, and then forgotten.
    let now = slot.now().plus_ms(1_000);
    back.apply(now, EventNumber(0), &Change::CartSettled(hold_id(11)), &plans, None);
    back.assert_valid();
    assert!(back.unsettled().is_empty());
    let later = now.plus_ms(25 * 3_600_000);
    back.apply(later, EventNumber(0), &Change::FloorRaised(TimestampMs(1)), &plans, None);
    back.assert_valid();
    assert_eq!(back.hold_view(EventNumber(0), hold_id(11)), None);
    assert!(back.hold_view(EventNumber(0), hold_id(10)).is_some(), "it is sold");
}

#[test]
fn a_slot_with_kills_has_the_bytes_of_the_second_version_and_comes_back_whole() {
    let plans = plan();
    let slot = later_slot(&plans);
    let mut bytes = Vec::new();
    encode_slot(&slot, &mut bytes);
    golden("slot_v2.bin", &bytes);
    let back = decode_slot(&bytes, slot.index(), CONFIG, &plans).expect("the image is ours");
    back.assert_valid();
    assert_eq!(back.hash(), slot.hash());
    for number in 1..=6 {
        assert_eq!(
            back.hold_view(EventNumber(0), hold_id(number)),
            slot.hold_view(EventNumber(0), hold_id(number)),
            "hold {number}"
        );
    }
    let event = |slot: &Slot| slot.events().map(|event| event.kill_reason(42).map(str::to_owned)).collect::<Vec<_>>();
    assert_eq!((event(&back), event(&slot)), (vec![Some("sightline".into())], vec![Some("sightline".into())]));
    let mut again = Vec::new();
    encode_slot(&back, &mut again);
    assert_eq!(again, bytes, "one state has one image");
}

/// The same slot with an event before it, which was retired, and one after it without kills.
fn slot_with_retired(plans: &OnePlan) -> Slot {
    let mut slot = later_slot(plans);
    let (now, first) = (slot.now(), slot.events().next().map(|event| event.key()).expect("it has an event"));
    for key in [EventKey(first.0 ^ 1 << 40), EventKey(first.0 ^ 1 << 41)] {
        let number = slot.next_event_number();
        let id = EventId::parse(&format!("e-{}", number.0)).expect("a good name");
        let created = EventCreated { id, key, plan: plans.0.digest(), fingerprint: 1, settings: Settings::default() };
        slot.apply(now, number, &Change::EventCreated(Box::new(created)), plans, None);
    }
    let settings = Settings { state: EventState::OffSale, ..Settings::default() };
    let closed = EventUpdated { request: None, plan: None, settings };
    slot.apply(now, EventNumber(1), &Change::EventUpdated(Box::new(closed)), plans, None);
    slot.apply(now, EventNumber(1), &Change::EventRetired(EventRetired { request: request(9) }), plans, None);
    slot.assert_valid();
    slot
}

#[test]
fn a_slot_with_a_retired_event_has_the_bytes_of_the_third_version_and_comes_back_whole() {
    let plans = plan();
    let slot = slot_with_retired(&plans);
    let mut bytes = Vec::new();
    encode_slot(&slot, &mut bytes);
    golden("slot_v3.bin", &bytes);
    assert_eq!(plans_of(&bytes), Ok(vec![plans.0.digest()]));
    let back = decode_slot(&bytes, slot.index(), CONFIG, &plans).expect("the image is ours");
    back.assert_valid();
    assert_eq!(back.hash(), slot.hash());
    let retired: Vec<_> = back.retired().collect();
    assert_eq!((retired.len(), retired[0].0, back.next_event_number()), (1, EventNumber(1), EventNumber(3)));
    assert!(back.is_retired(retired[0].1) && back.find(retired[0].1).is_none());
    assert_eq!(back.events().map(|event| event.number()).collect::<Vec<_>>(), [EventNumber(0), EventNumber(2)]);
    let mut again = Vec::new();
    encode_slot(&back, &mut again);
    assert_eq!(again, bytes, "one state has one image");

    // A feature of a later server, and a set of features that an earlier version has room for.
    for features in [1, 4, 0x82] {
        let mut other = bytes.clone();
        other[20] = features;
        assert!(decode_slot(&other, slot.index(), CONFIG, &plans).is_err(), "features {features}");
    }
    // A number that no event had.
    let mut other = bytes.clone();
    other[25] = 4;
    assert!(decode_slot(&other, slot.index(), CONFIG, &plans).is_err());
}

#[test]
fn the_first_image_of_a_slot_is_read_as_it_was_written() {
    let plans = plan();
    let slot = slot(&plans);
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "golden", "slot_v1.bin"].iter().collect();
    let bytes = std::fs::read(path).expect("it is committed");
    let back = decode_slot(&bytes, slot.index(), CONFIG, &plans).expect("an earlier version wrote it");
    back.assert_valid();
    assert_eq!(back.hash(), slot.hash());
    let mut again = Vec::new();
    encode_slot(&back, &mut again);
    assert_eq!(again, bytes);
}

#[test]
fn a_slot_has_the_bytes_it_always_had_and_comes_back_whole() {
    let plans = plan();
    let slot = slot(&plans);
    let mut bytes = Vec::new();
    encode_slot(&slot, &mut bytes);
    // Since it is remembered of a sale whether it was of a part.
    golden("slot_v1_1.bin", &bytes);
    assert_eq!(plans_of(&bytes), Ok(vec![plans.0.digest()]));
    let back = decode_slot(&bytes, slot.index(), CONFIG, &plans).expect("the image is ours");
    back.assert_valid();
    assert_eq!(back.hash(), slot.hash());
    for number in 1..=5 {
        assert_eq!(
            back.hold_view(EventNumber(0), hold_id(number)),
            slot.hold_view(EventNumber(0), hold_id(number)),
            "hold {number}"
        );
    }
    let mut again = Vec::new();
    encode_slot(&back, &mut again);
    assert_eq!(again, bytes, "one state has one image");
}

#[test]
fn a_damaged_image_is_refused_or_is_another_valid_state() {
    let plans = plan();
    for slot in [
        slot(&plans),
        later_slot(&plans),
        slot_with_allocations(&plans),
        slot_with_expiries(&plans),
        slot_of_carts(&plans),
    ] {
        no_damage_is_believed(&slot, &plans);
    }
}

fn no_damage_is_believed(slot: &Slot, plans: &OnePlan) {
    let mut bytes = Vec::new();
    encode_slot(slot, &mut bytes);
    for length in 0..bytes.len() {
        assert!(decode_slot(&bytes[..length], slot.index(), CONFIG, plans).is_err(), "cut to {length}");
    }
    // The plan's digest is its file's business: the test's store has one plan only.
    let digest = bytes.windows(32).position(|window| window == [9; 32]).expect("the plan is named");
    for at in (0..bytes.len()).filter(|at| !(digest..digest + 32).contains(at)) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x41;
        if let Ok(other) = decode_slot(&damaged, slot.index(), CONFIG, plans) {
            other.assert_valid();
        }
    }
}
