//! The index over a running engine on one thread: what it tells is what the log tells, and whatever becomes of its folder
//! the engine does not notice.
#![allow(clippy::unwrap_used, reason = "what fails in a test should panic")]

use std::{
    collections::BTreeSet,
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use engine::{
    Checkpointer, ClockSource, Committer, Engine, EngineConfig, ManualClock, Opened, Reply, Shard, event_key,
    inspect::{Line, walk},
    open,
};
use history::{History, Indexer, Of, Page, Place, Row, Turn, hold_ref};
use inventory_core::{
    command::{
        AdmissionWanted, AreaName, BeginPayment, Command, Confirm, CreateEvent, Extend, Hold, Part, Release, Remainder,
        UpdateEvent,
    },
    direct_sale::{NamedPlaces, SellDirect},
    giving_back::{ReturnPlaces, ReturnTo},
    ids::{CustomerKey, EventId, EventKey, HoldId, OrderRef, RequestId, TimestampMs},
    kill::{Kill, Unkill},
    place_set::PlaceSet,
    plan::{Area, PlanSpec, Point, RowKind, RowSpec, SeatSpec, SectionSpec},
    plan_codec::encode_plan,
    policy::{EventState, OrphanRule, Policies, Settings},
};
use tempfile::TempDir;
use wal::MemoryStorage;

const START: TimestampMs = TimestampMs(1_790_000_000_000);
const EVENTS: [&str; 2] = ["first", "second"];
const SEATS: u32 = 12;

struct World {
    disk: MemoryStorage,
    clock: Arc<ManualClock>,
    engine: Arc<Engine>,
    shards: Vec<Shard>,
    committer: Committer,
    checkpointer: Checkpointer,
    random: u64,
}

/// Both have the same seats.
fn plan(is_turned: bool) -> PlanSpec {
    let seat = |at: u32| SeatSpec {
        key: format!("A-{at}").into(),
        label: at.to_string().into(),
        at: Point { x: at as i32 * 500, y: 0 },
        level: 0,
        attributes: 0,
        aisle_after: false,
    };
    let mut seats: Vec<SeatSpec> = (0..SEATS).map(seat).collect();
    if is_turned {
        seats.reverse();
    }
    let row = RowSpec { label: "A".into(), kind: RowKind::Row, seats };
    let section = SectionSpec { key: "s".into(), label: "S".into(), zone: None, rows: vec![row] };
    let centre = Point { x: 0, y: 9_000 };
    let area = Area { key: "floor".into(), label: "Floor".into(), zone: None, level: 0, capacity: 30, centre };
    PlanSpec {
        name: "hall".into(),
        price_levels: vec!["one".into()],
        focal_point: Some(Point { x: 0, y: 0 }),
        sections: vec![section],
        areas: vec![area],
        ..PlanSpec::default()
    }
}

impl World {
    fn new() -> World {
        World::with_segments(8 << 20)
    }

    /// Every batch takes a page of a segment.
    fn with_segments(segment_bytes: u64) -> World {
        let mut world = World::open(&MemoryStorage::new(), START, segment_bytes);
        for id in EVENTS {
            let plan = world.engine.plans().put(encode_plan(&plan(false))).unwrap();
            let policies = Policies { hold_ttl_s: 60, orphan_rule: OrphanRule::Off, ..Policies::default() };
            let settings = Settings { policies, ..Settings::default() };
            let create = CreateEvent { id: EventId::parse(id).unwrap(), key: event_key(id), plan, settings };
            world.send(event_key(id), Command::CreateEvent(Box::new(create)));
        }
        world
    }

    fn open(disk: &MemoryStorage, now: TimestampMs, segment_bytes: u64) -> World {
        let clock = ManualClock::new(now);
        let config = EngineConfig {
            segment_bytes,
            checkpoint_segments: 2,
            instance: Some([7; 16]),
            deterministic: true,
            ..EngineConfig::default()
        };
        let source = ClockSource::Manual(Arc::clone(&clock));
        let opened = open(Arc::new(disk.clone()), source, config, &mut |_| {}).unwrap();
        let Opened { engine, shards, committer, checkpointer, .. } = opened;
        World { disk: disk.clone(), clock, engine, shards, committer, checkpointer, random: 5 }
    }

    fn settle(&mut self) {
        loop {
            let mut moved = false;
            for shard in &mut self.shards {
                moved |= shard.turn().again;
            }
            moved |= self.committer.turn().unwrap();
            if !moved && self.engine.is_idle() {
                return;
            }
        }
    }

    fn send(&mut self, key: EventKey, command: Command) {
        self.engine.submit(key, command, None, Reply::Nobody).unwrap();
        self.settle();
    }

    fn below(&mut self, end: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % end
    }

    fn seats(&mut self) -> Vec<u32> {
        let first = self.below(u64::from(SEATS) - 2) as u32;
        (first..first + 1 + self.below(2) as u32).collect()
    }

    fn uuid(&mut self) -> u128 {
        let low = u128::from(self.below(1 << 40));
        u128::from(self.engine.clock().now().0) << 80 | 7 << 76 | 0b10 << 62 | low
    }

    /// Commands of everybody, of which many are refused.
    fn sell(&mut self, steps: u64) {
        let mut holds = vec![HoldId(1)];
        for _ in 0..steps {
            let key = event_key(EVENTS[self.below(2) as usize]);
            // One of the latest: most of the others have ended.
            let recent = self.below(holds.len().min(4) as u64) as usize;
            let hold_id = holds[holds.len() - 1 - recent];
            let request_id = RequestId(self.uuid());
            let order = OrderRef::parse(&format!("O-{}", self.below(6))).unwrap();
            let places = PlaceSet { seats: self.seats(), ..PlaceSet::default() };
            let (expected_state, validate_only) = (None, false);
            let command = match self.below(18) {
                0..=4 => {
                    let hold_id = HoldId(self.uuid());
                    holds.push(hold_id);
                    Command::Hold(Box::new(Hold {
                        allocations: Default::default(),
                        hold_id,
                        seats: self.seats().into(),
                        seat_keys: Vec::new(),
                        admissions: if self.below(3) == 0 {
                            let area = AreaName::Index(0);
                            vec![AdmissionWanted { area, quantity: 2, quantity_min: 0, ticket_type: 0 }]
                        } else {
                            Vec::new()
                        },
                        best: None,
                        ticket_types: Vec::new(),
                        customer: CustomerKey(self.below(4)),
                        ttl_ms: 0,
                        replace: (self.below(8) == 0).then_some(hold_id),
                        plan_revision: 0,
                    }))
                }
                5 | 6 => Command::Confirm(Box::new(Confirm {
                    hold_id,
                    request_id: None,
                    order,
                    part: Part::default(),
                    remainder: Remainder::Keep,
                    allow_reclaim: true,
                    attempt_id: None,
                })),
                7 => Command::Release(Box::new(Release {
                    hold_id,
                    request_id: None,
                    part: Part::default(),
                    abort_payment: false,
                })),
                8 => Command::Extend(Extend { hold_id, request_id, ttl_ms: 90_000 }),
                9 => {
                    let places = NamedPlaces { seats: self.seats().into(), ..NamedPlaces::default() };
                    let customer = CustomerKey::NONE;
                    Command::SellDirect(Box::new(SellDirect {
                        request_id,
                        order,
                        places,
                        customer,
                        expected_state,
                        validate_only,
                    }))
                }
                10 => Command::ReturnPlaces(Box::new(ReturnPlaces {
                    request_id,
                    order,
                    places: PlaceSet::default(),
                    to: ReturnTo::Origin,
                    reason: "".into(),
                    expected_state,
                    validate_only,
                })),
                11 => {
                    let reason = "camera".into();
                    Command::Kill(Box::new(Kill {
                        request_id,
                        places,
                        reason,
                        force: true,
                        expected_state,
                        validate_only,
                    }))
                }
                13 => Command::BeginPayment(BeginPayment { hold_id, attempt_id: request_id }),
                14 => {
                    let spec = plan(self.below(2) == 0);
                    let plan = self.engine.plans().put(encode_plan(&spec)).unwrap();
                    Command::UpdateEvent(Box::new(UpdateEvent { plan: Some(plan), ..UpdateEvent::default() }))
                }
                12 => Command::Unkill(Box::new(Unkill { request_id, places, expected_state, validate_only })),
                _ => {
                    let by = self.below(40_000);
                    self.clock.set(self.engine.clock().now().plus_ms(by));
                    self.settle();
                    continue;
                }
            };
            self.send(key, command);
            if self.below(12) == 0 {
                let _ = self.checkpointer.turn();
            }
        }
    }

    fn indexer(&self, data: &Path) -> Indexer {
        Indexer::new(Arc::clone(&self.engine), Arc::new(self.disk.clone()), data)
    }

    /// What the log in the folder tells, by everything it can be asked by, in order of positions.
    fn told_by_the_log(&self) -> Vec<(EventKey, Of, Row)> {
        let mut told = Vec::new();
        walk(&self.disk, 0, &mut |line| {
            let Line::Change(change) = line else { return ControlFlow::Continue(()) };
            let places: Vec<Place> = change
                .places()
                .unwrap()
                .into_iter()
                .map(|place| {
                    let (is_area, index, quantity) = match place.what {
                        inventory_core::place::Moved::Seat(seat) => (false, seat, 1),
                        inventory_core::place::Moved::Area { area, quantity } => (true, u32::from(area), quantity),
                    };
                    let key = change.key_of(place.what).unwrap().to_owned();
                    Place { is_area, index, quantity, to: place.to, key }
                })
                .collect();
            let row = Row {
                position: change.position,
                time_ms: change.time.0,
                event_seq: change.record.event_seq,
                plan_revision: change.plan_revision.unwrap(),
                kind: change.kind().into(),
                cause: change.cause().unwrap_or_default().into(),
                actor: change.actor(),
                customer: 0,
                replaced: change.replaced().map(hold_ref),
                order: change.order().map(|order| order.as_str().to_owned()).unwrap_or_default(),
                hold_refs: change.holds().iter().copied().map(hold_ref).collect(),
                places_more: 0,
                places: places.clone(),
            };
            let key = change.event.unwrap().1;
            let seats: BTreeSet<&str> = places.iter().map(|place| place.key.as_str()).collect();
            let mut of: Vec<Of> = seats.into_iter().map(|seat| Of::Seat(seat.to_owned())).collect();
            of.extend(change.holds().iter().copied().chain(change.replaced()).map(|id| Of::Hold(hold_ref(id))));
            of.extend((!row.order.is_empty()).then(|| Of::Order(row.order.clone())));
            told.extend(of.into_iter().map(|of| (key, of, row.clone())));
            ControlFlow::Continue(())
        })
        .unwrap();
        told
    }

    /// The index tells the same, for everything that may be asked.
    fn assert_told(&self, history: &History) {
        let told = self.told_by_the_log();
        let asked: BTreeSet<(EventKey, String)> = told.iter().map(|(key, of, _)| (*key, format!("{of:?}"))).collect();
        assert!(asked.len() > 10, "{asked:?}");
        for (key, asked) in asked {
            let rows = |(of_key, of, row): &(EventKey, Of, Row)| {
                (*of_key == key && format!("{of:?}") == asked).then(|| (of.clone(), row.clone()))
            };
            let expected: Vec<(Of, Row)> = told.iter().filter_map(rows).collect();
            let of = &expected[0].0;
            let expected: Vec<Row> = expected.iter().map(|(_, row)| row.clone()).collect();
            let mut found = Vec::new();
            let mut after = 0;
            loop {
                let page: Page = history.page(key.0, of, after, 3).unwrap();
                assert!(page.knows_event && page.rows.len() <= 3);
                assert_eq!(page.complete_to, self.engine.position());
                found.extend(page.rows);
                if !page.has_more {
                    break;
                }
                after = found.last().unwrap().position;
            }
            found.iter_mut().for_each(|row| row.customer = 0);
            assert_eq!(found, expected, "{of:?}");
        }
    }
}

/// Turns until everything durable is in it. What the turns told beside work.
fn catch_up(indexer: &mut Indexer) -> Vec<Turn> {
    let mut told = Vec::new();
    for _ in 0..100_000 {
        match indexer.turn() {
            Turn::Idle => return told,
            Turn::Busy => {}
            turn => told.push(turn),
        }
    }
    panic!("it does not come to the end: {told:?}");
}

fn wiped(told: &[Turn]) -> Vec<&str> {
    let why = |turn: &Turn| match turn {
        Turn::Wiped { why } => why.clone().leak() as &str,
        other => panic!("{other:?}"),
    };
    told.iter().map(why).collect()
}

/// A world in which much was sold, with an index that was closed.
fn closed() -> (World, TempDir) {
    closed_with(World::new())
}

fn closed_with(mut world: World) -> (World, TempDir) {
    let data = tempfile::tempdir().unwrap();
    world.sell(300);
    let mut indexer = world.indexer(data.path());
    assert_eq!(wiped(&catch_up(&mut indexer)), ["there is none"]);
    world.assert_told(&indexer.history());
    indexer.close();
    (world, data)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(file, target).unwrap();
    }
}

#[test]
fn the_index_tells_what_the_log_tells_while_things_are_sold() {
    let data = tempfile::tempdir().unwrap();
    let mut world = World::new();
    let mut indexer = world.indexer(data.path());
    assert_eq!(wiped(&catch_up(&mut indexer)), ["there is none"]);
    for _ in 0..4 {
        world.sell(150);
        assert_eq!(catch_up(&mut indexer), []);
        world.assert_told(&indexer.history());
    }
    let status = indexer.history().status();
    assert_eq!((status.complete_to, status.wiped), (world.engine.position(), 1));
    let kinds: BTreeSet<String> =
        world.told_by_the_log().into_iter().map(|(_, _, row)| row.kind.into_owned()).collect();
    let expected = [
        "confirmed",
        "expired",
        "extended",
        "held",
        "killed",
        "payment_began",
        "released",
        "returned",
        "sold_direct",
        "unkilled",
    ];
    assert!(expected.iter().all(|kind| kinds.contains(*kind)), "{kinds:?}");
    let page = indexer.history().page(event_key("nothing").0, &Of::Seat("A-1".into()), 0, 9).unwrap();
    assert!(!page.knows_event && page.rows.is_empty());
}

#[test]
fn who_a_hold_is_for_is_told_with_everything_that_becomes_of_it() {
    let data = tempfile::tempdir().unwrap();
    let mut world = World::new();
    let (key, hold_id) = (event_key(EVENTS[0]), HoldId(world.uuid()));
    let hold = Hold {
        allocations: Default::default(),
        hold_id,
        seats: vec![1].into(),
        seat_keys: Vec::new(),
        admissions: Vec::new(),
        best: None,
        ticket_types: Vec::new(),
        customer: CustomerKey(9),
        ttl_ms: 0,
        replace: None,
        plan_revision: 0,
    };
    let confirm = Confirm {
        hold_id,
        request_id: None,
        order: OrderRef::parse("O-1").unwrap(),
        part: Part::default(),
        remainder: Remainder::Keep,
        allow_reclaim: false,
        attempt_id: None,
    };
    world.send(key, Command::Hold(Box::new(hold)));
    world.send(key, Command::Confirm(Box::new(confirm)));
    let mut indexer = world.indexer(data.path());
    catch_up(&mut indexer);
    // A confirm names no customer, and its row does.
    let rows = indexer.history().page(key.0, &Of::Hold(hold_ref(hold_id)), 0, 9).unwrap().rows;
    let told: Vec<_> = rows.iter().map(|row| (&*row.kind, row.customer)).collect();
    assert_eq!(told, [("held", 9), ("confirmed", 9)]);
}

#[test]
fn an_index_that_was_closed_goes_on_where_it_was() {
    let (mut world, data) = closed();
    let before = world.engine.position();
    world.sell(100);
    let mut indexer = world.indexer(data.path());
    assert_eq!(catch_up(&mut indexer), [Turn::WentOn { complete_to: before }]);
    assert_eq!(indexer.history().status().complete_from, 1);
    world.assert_told(&indexer.history());
}

#[test]
fn after_a_start_with_log_that_is_gone_it_says_from_where_it_is_complete() {
    let (mut world, data) = (World::with_segments(64 << 10), tempfile::tempdir().unwrap());
    let first = |world: &World| world.engine.durable_log().segments[0].first_position;
    while first(&world) == 1 {
        world.sell(200);
        world.engine.request_checkpoint();
        world.settle();
        let _ = world.checkpointer.turn();
    }
    let mut indexer = world.indexer(data.path());
    assert_eq!(wiped(&catch_up(&mut indexer)), ["there is none"]);
    let status = indexer.history().status();
    assert!(status.complete_from > 1 && status.complete_to == world.engine.position(), "{status:?}");
    let page = indexer.history().page(event_key(EVENTS[0]).0, &Of::Seat("A-3".into()), 0, 256).unwrap();
    assert!(page.rows.iter().all(|row| row.position >= status.complete_from), "{page:?}");
}

#[test]
fn a_folder_that_is_not_what_was_left_is_wiped_and_made_again() {
    let (mut world, data) = closed();
    let left = data.path().join("history");
    let damages: Vec<(PathBuf, u64)> = files(&left)
        .into_iter()
        .flat_map(|file| {
            let len = fs::metadata(&file).unwrap().len();
            let at = [0, 1, len / 3, len / 2, len.saturating_sub(9), len.saturating_sub(1)];
            at.into_iter().filter(move |&at| at < len).map(move |at| (file.clone(), at))
        })
        .collect();
    assert!(damages.len() > 10, "{damages:?}");
    world.sell(5);
    for (nth, (file, at)) in damages.iter().enumerate() {
        let again = tempfile::tempdir().unwrap();
        let folder = again.path().join("history");
        copy(&left, &folder);
        let damaged = folder.join(file.strip_prefix(&left).unwrap());
        let mut bytes = fs::read(&damaged).unwrap();
        match nth % 3 {
            0 => bytes.truncate(*at as usize),
            1 => bytes[*at as usize] ^= 0x40,
            _ => bytes[*at as usize..].fill(0),
        }
        if fs::read(&damaged).unwrap() == bytes {
            continue;
        }
        fs::write(&damaged, bytes).unwrap();
        let mut indexer = world.indexer(again.path());
        let told = catch_up(&mut indexer);
        assert_eq!(wiped(&told).len(), 1, "{} at {at}: {told:?}", damaged.display());
        if nth % 5 == 0 {
            world.assert_told(&indexer.history());
        }
    }
    for gone in ["history", "history/db", "history/CLOSED"] {
        let again = tempfile::tempdir().unwrap();
        copy(&left, &again.path().join("history"));
        let gone = again.path().join(gone);
        if gone.is_dir() {
            fs::remove_dir_all(gone).unwrap()
        } else {
            fs::remove_file(gone).unwrap()
        }
        let mut indexer = world.indexer(again.path());
        assert_eq!(wiped(&catch_up(&mut indexer)).len(), 1);
        world.assert_told(&indexer.history());
    }
}

#[test]
fn a_folder_as_a_kill_leaves_it_is_wiped_and_made_again() {
    let data = tempfile::tempdir().unwrap();
    let mut world = World::new();
    let mut indexer = world.indexer(data.path());
    for _ in 0..6 {
        world.sell(60);
        // At any moment of its work; what of it is on the disk is sled's to know.
        for _ in 0..world.below(4) {
            indexer.turn();
        }
        let torn = tempfile::tempdir().unwrap();
        copy(&data.path().join("history"), &torn.path().join("history"));
        let mut next = world.indexer(torn.path());
        assert_eq!(wiped(&catch_up(&mut next)).len(), 1);
        world.assert_told(&next.history());
    }
}

#[test]
fn a_store_that_breaks_while_it_is_read_or_written_is_made_again() {
    let (mut world, data) = closed();
    let mut indexer = world.indexer(data.path());
    catch_up(&mut indexer);
    // Its files are gone, or full of something else, under its hands. It may not notice, and then what it tells is right.
    for broken in 0..3 {
        for file in files(&data.path().join("history").join("db")) {
            let len = fs::metadata(&file).unwrap().len() as usize;
            match broken {
                0 => fs::write(&file, vec![0xa5; len]).unwrap(),
                1 => fs::write(&file, "").unwrap(),
                _ => fs::remove_file(&file).unwrap(),
            }
        }
        world.sell(300);
        catch_up(&mut indexer);
        let history = indexer.history();
        let of = Of::Seat("A-3".into());
        let page = history.page(event_key(EVENTS[0]).0, &of, 0, 256);
        catch_up(&mut indexer);
        if let Ok(page) = page {
            assert!(page.complete_to <= world.engine.position());
        }
        // Whatever it was: from here on it is right.
        world.assert_told(&history);
    }
}

#[test]
fn a_doubt_of_a_reader_makes_it_again() {
    let (world, data) = closed();
    let mut indexer = world.indexer(data.path());
    catch_up(&mut indexer);
    indexer.history().doubt("planted by a test");
    assert_eq!(wiped(&catch_up(&mut indexer)), ["planted by a test"]);
    let status = indexer.history().status();
    assert_eq!((status.wiped, status.why.as_str()), (1, "planted by a test"));
    world.assert_told(&indexer.history());
}

#[test]
fn an_index_of_another_log_or_a_later_one_is_not_believed() {
    let (world, data) = closed();
    let earlier = World::new();
    let mut indexer = earlier.indexer(data.path());
    assert_eq!(wiped(&catch_up(&mut indexer)), ["it is of batches that the log does not have"]);
    drop(indexer);
    drop(world);
}

#[test]
fn an_index_that_grows_too_large_ends_and_nothing_else_does() {
    let data = tempfile::tempdir().unwrap();
    let mut world = World::new();
    world.sell(50);
    let mut indexer = world.indexer(data.path()).with_bytes_max(0);
    let ended = (0..10).map(|_| indexer.turn()).find(|turn| matches!(turn, Turn::Ended { .. }));
    assert!(ended.is_some());
    assert!(!indexer.history().page(event_key(EVENTS[0]).0, &Of::Seat("A-1".into()), 0, 1).unwrap_err().comes_back);
    assert!(matches!(indexer.turn(), Turn::Ended { .. }));
    world.sell(10);
}

#[test]
fn a_cancelled_event_is_told_to_its_end() {
    let data = tempfile::tempdir().unwrap();
    let mut world = World::new();
    world.sell(80);
    let cancelled = UpdateEvent { state: Some(EventState::Cancelled), ..UpdateEvent::default() };
    world.send(event_key(EVENTS[0]), Command::UpdateEvent(Box::new(cancelled)));
    let mut indexer = world.indexer(data.path());
    catch_up(&mut indexer);
    world.assert_told(&indexer.history());
}
