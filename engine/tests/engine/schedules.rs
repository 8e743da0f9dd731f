//! The whole engine on threads of a model checker: callers, shards, committer, checkpointer, a hand on the
//! clock and somebody who ends it, over a disk in memory. Every step at which a thread touches something
//! shared is a point where shuttle may run another one; a thread that waits for a wake that was lost is a
//! deadlock, and reported.
//!
//! `cargo xtask shuttle` runs it. A failing schedule is written to a file, and
//! `cargo xtask shuttle --schedule FILE` runs that one again.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use engine::{
    Answer, Checkpointer, ClockSource, Committer, Done, Engine, EngineConfig, Lost, ManualClock, Opened, Refused,
    Reply, ReplySink, Shard, Verdict, event_key, open, reply_slot, verify,
};
use inventory_core::{
    cart::{ConfirmMany, HoldMany},
    change::HoldState,
    command::Command,
    ids::{EventKey, HoldId},
};
use shuttle::{
    Config, FailurePersistence, MaxSteps, Runner,
    rand::{Rng, thread_rng},
    scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Scheduler},
    sync::{Condvar, Mutex as ModelMutex, atomic::AtomicBool, atomic::Ordering},
    thread,
};
use wal::{Keep, MemoryStorage, Storage};

use crate::world::*;

/// Of each thread: shuttle's own 32 KiB are too little for a page, hashes and a digest on the way to a checkpoint.
const STACK_BYTES: usize = 256 << 10;
/// Commands of each caller.
const COMMANDS: usize = 4;
const CALLERS: u64 = 3;
const SHARDS: usize = 2;
/// Small enough that segments end in the middle of a run.
const SEGMENT_BYTES: u64 = 16 << 10;
/// Preemptions at chosen places that PCT spends on a schedule.
const PCT_DEPTH: usize = 3;
/// More steps than this are a livelock; a run takes some thousand.
const STEPS_MAX: usize = 400_000;

/// What was answered, in the order of delivery: mark, answer.
#[derive(Default)]
struct Answers {
    of: Mutex<BTreeMap<u64, Answer>>,
    disk: MemoryStorage,
    engine: Mutex<Option<Arc<Engine>>>,
    /// What a crash at the moment of an answer would have left, and the answer's position.
    crashed: Mutex<Option<(MemoryStorage, u64)>>,
}

impl Answers {
    /// Who is told that something is so must find it so.
    fn check(&self, answer: &Answer) {
        let engine = self.engine.lock().expect("no panic").clone().expect("it is running");
        assert!(engine.position() >= answer.position, "an answer at a position that is not durable");
        if let Ok(Done::Event { key, .. }) = &answer.result {
            assert!(engine.directory().find_key(*key).is_some(), "an event that nobody can see");
        }
        if thread_rng().gen_bool(0.1) {
            let left = self.disk.crash(Keep::Nothing);
            *self.crashed.lock().expect("no panic") = Some((left, answer.position));
        }
    }
}

impl ReplySink for Answers {
    fn deliver(&self, tag: u64, answer: Answer) {
        self.check(&answer);
        let twice = self.of.lock().expect("no panic").insert(tag, answer);
        assert!(twice.is_none(), "command {tag} was answered twice");
    }
}

/// What wakes a shard: one wake in store is as good as many.
#[derive(Default)]
struct Bell {
    rung: ModelMutex<bool>,
    heard: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().expect("no panic") = true;
        self.heard.notify_one();
    }

    fn wait(&self) {
        let mut rung = self.rung.lock().expect("no panic");
        while !*rung {
            rung = self.heard.wait(rung).expect("no panic");
        }
        *rung = false;
    }
}

/// The threads of a running engine.
struct Running {
    engine: Arc<Engine>,
    clock: Arc<ManualClock>,
    bells: Vec<Arc<Bell>>,
    shards: Vec<thread::JoinHandle<()>>,
    shards_stop: Arc<AtomicBool>,
    committer: thread::JoinHandle<()>,
    checkpointer: thread::JoinHandle<()>,
    checkpointer_stop: Arc<AtomicBool>,
}

fn start(disk: &MemoryStorage) -> Running {
    let clock = ManualClock::new(START);
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let config = EngineConfig { segment_bytes: SEGMENT_BYTES, checkpoint_segments: 2, ..config(SHARDS) };
    let source = ClockSource::Manual(Arc::clone(&clock));
    let Opened { engine, shards, committer, checkpointer, .. } =
        open(storage, source, config, &mut |_| {}).expect("an empty folder opens");
    let shards_stop = Arc::new(AtomicBool::new(false));
    let (bells, shards) = shards.into_iter().map(|shard| drive(&engine, shard, &shards_stop)).unzip();
    let checkpointer_stop = Arc::new(AtomicBool::new(false));
    Running {
        bells,
        shards,
        shards_stop,
        committer: commit(committer),
        checkpointer: checkpoint(checkpointer, &checkpointer_stop),
        checkpointer_stop,
        engine,
        clock,
    }
}

/// As the server drives a shard, except that time never ends a wait: the hand on the clock rings.
fn drive(engine: &Engine, mut shard: Shard, stop: &Arc<AtomicBool>) -> (Arc<Bell>, thread::JoinHandle<()>) {
    let bell = Arc::new(Bell::default());
    let woken = Arc::clone(&bell);
    engine.set_wake(shard.index(), Arc::new(move || woken.ring()));
    let (waits, stop) = (Arc::clone(&bell), Arc::clone(stop));
    let turns = move || {
        while !stop.load(Ordering::Acquire) {
            if !shard.turn().again {
                waits.wait();
            }
        }
        // What became durable since the last turn is shown and answered.
        shard.turn();
    };
    (bell, thread::spawn(turns))
}

fn commit(committer: Committer) -> thread::JoinHandle<()> {
    thread::spawn(move || committer.run().expect("the disk works"))
}

fn checkpoint(checkpointer: Checkpointer, stop: &Arc<AtomicBool>) -> thread::JoinHandle<()> {
    let stop = Arc::clone(stop);
    thread::spawn(move || {
        checkpointer.run(stop, &mut |report| {
            assert!(matches!(report, engine::CheckpointReport::Made { .. }), "{report:?}");
        });
    })
}

impl Running {
    /// As the server ends: nothing new, then, if there is time, everything answered; then the log's end.
    fn end(self, waits_for_answers: bool) -> Arc<Engine> {
        self.engine.drain();
        while waits_for_answers && !self.engine.is_idle() {
            thread::yield_now();
        }
        self.engine.stop();
        self.committer.join().expect("no panic");
        self.checkpointer_stop.store(true, Ordering::Release);
        self.checkpointer.thread().unpark();
        self.checkpointer.join().expect("no panic");
        self.shards_stop.store(true, Ordering::Release);
        self.bells.iter().for_each(|bell| bell.ring());
        self.shards.into_iter().for_each(|shard| shard.join().expect("no panic"));
        self.engine
    }
}

/// What a caller did with one command.
struct Said {
    key: EventKey,
    hold: HoldId,
    /// It confirms; otherwise it holds or reads.
    confirms: bool,
    /// The caller went away without waiting.
    gone: bool,
    /// Let in, and what came of it, when that is known by now.
    outcome: Result<Option<Result<Answer, Lost>>, Refused>,
    tag: u64,
}

/// A caller: holds, confirms, reads. Half of its answers go to the sink, half to itself.
fn call(engine: &Engine, answers: &Arc<Answers>, caller: u64) -> Vec<Said> {
    let mut said = Vec::new();
    let now = engine.clock().now();
    for n in 0..COMMANDS as u64 {
        // Both shards, and seats that callers fight over.
        let key = event_key(EVENTS[(caller + n / 2) as usize % EVENTS.len()]);
        let hold_id = hold_id(now, caller * 100 + n / 2);
        let command = match n % 2 {
            0 => hold(hold_id, &[(n % 3) as u32]),
            _ if caller == 0 && n > 2 => Command::GetHold(hold_id),
            _ => confirm(hold_id, "order"),
        };
        let confirms = matches!(command, Command::Confirm(_));
        let tag = caller * 100 + n;
        let gone = n % 2 == 1 && thread_rng().gen_bool(0.1);
        let outcome = if n % 2 == 0 {
            let sink = Arc::clone(answers) as Arc<dyn ReplySink>;
            engine.submit(key, command, None, Reply::Many { sink, tag }).map(|()| None)
        } else {
            let (sender, receiver) = reply_slot();
            engine.submit(key, command, None, Reply::One(sender)).map(|()| {
                if gone {
                    return None;
                }
                let answer = shuttle::future::block_on(receiver);
                if let Ok(answer) = &answer {
                    answers.check(answer);
                    let view = engine.directory().find_key(key).expect("it was created first");
                    assert!(view.position() >= answer.position, "what was answered is not shown");
                }
                Some(answer)
            })
        };
        said.push(Said { key, hold: hold_id, confirms, gone, outcome, tag });
    }
    said
}

const EVENTS: [&str; 2] = ["red", "green"];
/// A seat that only the cart wants.
const CART_SEAT: u32 = 9;

/// What a buyer of a cart over both events was told, call by call; nothing when it was not let in.
type CartSaid = Vec<Option<Result<Answer, Lost>>>;

/// A buyer: a cart over both events, and its sale.
fn call_for_a_cart(engine: &Engine, cart_id: HoldId) -> CartSaid {
    let keys = EVENTS.map(event_key);
    let part = |key| match hold(cart_id, &[CART_SEAT]) {
        Command::Hold(hold) => (key, *hold),
        _ => unreachable!("it is a hold"),
    };
    let many = HoldMany { cart_id, ttl_ms: 60_000, parts: keys.map(part).to_vec() };
    let calls = [
        Command::HoldMany(Box::new(many)),
        Command::ConfirmMany(Box::new(ConfirmMany { cart_id, order: order("cart") })),
    ];
    let ask = |command| {
        let (sender, receiver) = reply_slot();
        let taken = engine.submit(keys[0], command, None, Reply::One(sender));
        taken.is_ok().then(|| shuttle::future::block_on(receiver))
    };
    calls.into_iter().map(ask).collect()
}

/// After a start the cart is sold in both events or in none, and what was answered is so.
fn check_cart(found: &mut World, cart_id: HoldId, said: &CartSaid, all_answered: bool) -> usize {
    found.settle();
    let states = EVENTS.map(|id| hold_of(found.ask(event_key(id), Command::GetHold(cart_id))).ok());
    let states = states.map(|view| view.map(|view| view.state));
    let sold = states.iter().filter(|state| **state == Some(HoldState::Confirmed)).count();
    assert!(sold == 0 || sold == states.len(), "half a cart is sold: {states:?}");
    for said in said.iter().flatten() {
        assert!(said.is_ok() || !all_answered, "a call was let in and has no answer");
    }
    let is_done = |nth: usize| matches!(&said[nth], Some(Ok(Answer { result: Ok(_), .. })));
    assert!(!is_done(0) || states[0].is_some() && states[1].is_some(), "a cart that was made is gone: {states:?}");
    assert!(!is_done(1) || sold == states.len(), "a cart that was sold is not: {states:?}");
    sold
}

fn create_events(engine: &Engine) {
    for id in EVENTS {
        let (sender, receiver) = reply_slot();
        engine.submit(event_key(id), create_command(engine, id, settings()), None, Reply::One(sender)).expect("room");
        let answer = shuttle::future::block_on(receiver).expect("answered");
        assert!(answer.result.is_ok());
    }
}

/// Reads while everybody writes: what is shown adds up and never goes back.
fn watch(engine: &Engine) {
    let capacity = 2 * 10 + AREA_CAPACITY;
    let mut before = 0;
    for _ in 0..2 {
        let view = engine.directory().find(EVENTS[0]).expect("it was created first");
        let seen = view.availability();
        let totals = seen.totals;
        assert_eq!(totals.open + totals.held + totals.sold + totals.killed, capacity, "torn");
        let by_level: u32 = seen.levels.iter().map(|level| level.held + level.sold).sum();
        assert_eq!(by_level, totals.held + totals.sold, "torn");
        assert!(before <= seen.position, "what is shown went back");
        assert!(engine.position() >= seen.position, "what is shown is not durable");
        before = seen.position;
    }
}

fn run_once() {
    let disk = MemoryStorage::new();
    let running = start(&disk);
    let engine = Arc::clone(&running.engine);
    let answers = Arc::new(Answers { disk: disk.clone(), ..Answers::default() });
    *answers.engine.lock().expect("no panic") = Some(Arc::clone(&engine));
    create_events(&engine);

    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (engine, answers) = (Arc::clone(&engine), Arc::clone(&answers));
            thread::spawn(move || call(&engine, &answers, caller))
        })
        .collect();
    let cart_id = hold_id(engine.clock().now(), 999);
    let cart = thread::spawn({
        let engine = Arc::clone(&engine);
        move || call_for_a_cart(&engine, cart_id)
    });
    let reader = thread::spawn({
        let engine = Arc::clone(&engine);
        move || watch(&engine)
    });
    let hand = thread::spawn({
        let (engine, clock, bells) = (Arc::clone(&engine), Arc::clone(&running.clock), running.bells.clone());
        move || {
            engine.request_checkpoint();
            // Every hold that is not confirmed by now runs out, also in the middle of the end.
            clock.advance_ms(61_000);
            bells.iter().for_each(|bell| bell.ring());
        }
    });
    // The end comes when it comes.
    for _ in 0..thread_rng().gen_range(0..40) {
        thread::yield_now();
    }
    let waits_for_answers = thread_rng().gen_bool(0.8);
    let engine_after = running.end(waits_for_answers);
    let said: Vec<Said> = callers.into_iter().flat_map(|caller| caller.join().expect("no panic")).collect();
    let cart = (cart_id, cart.join().expect("no panic"));
    reader.join().expect("no panic");
    hand.join().expect("no panic");

    let answers_of = answers.of.lock().expect("no panic");
    check(&disk, &engine_after, &said, &cart, &answers_of, waits_for_answers);
    if let Some((left, position)) = answers.crashed.lock().expect("no panic").take() {
        let report = verify(&left).expect("a crash leaves a log that can be read");
        assert!(report.position >= position, "a crash at the moment of an answer loses what it says");
    }
    *answers.engine.lock().expect("no panic") = None;
}

/// What was answered, what is shown, and what a start finds are the same.
fn check(
    disk: &MemoryStorage,
    engine: &Engine,
    said: &[Said],
    (cart_id, cart): &(HoldId, CartSaid),
    answers: &BTreeMap<u64, Answer>,
    all_answered: bool,
) {
    let report = verify(disk).expect("it is whole");
    assert_eq!((report.verdict, report.position), (Verdict::Clean, engine.position()));
    assert!(report.sealed, "the log has its end");
    let mut found = World::open(disk, engine.clock().now(), config(1)).expect("it opens");
    for id in EVENTS {
        let [shown, found] = [engine, &*found.engine].map(|engine| engine.directory().find(id).expect("there"));
        assert_eq!(shown.snapshot().states, found.snapshot().states, "{id}: shown and found differ");
    }
    // Of each event: nothing else is changed by a start.
    let sold_by_cart = check_cart(&mut found, *cart_id, cart, all_answered) / EVENTS.len();
    let mut sold = BTreeMap::new();
    for Said { key, hold, confirms, gone, outcome, tag } in said {
        let answer = match outcome {
            Err(refused) => {
                assert_eq!(refused, &Refused::Draining);
                assert!(!answers.contains_key(tag), "refused and answered");
                continue;
            }
            Ok(Some(Ok(answer))) => Some(answer),
            Ok(Some(Err(Lost))) => None,
            Ok(None) => answers.get(tag),
        };
        assert!(answer.is_some() || *gone || !all_answered, "command {tag} was let in and has no answer");
        let Some(answer) = answer else { continue };
        assert!(answer.position <= report.position);
        if let (true, Ok(Done::Hold { view, .. })) = (*confirms, &answer.result) {
            assert_eq!(view.state, HoldState::Confirmed);
            for seat in &view.sold_seats {
                let other = sold.insert((*key, seat.index), *hold);
                assert!(other.is_none() || other == Some(*hold), "one seat sold to two");
            }
        }
    }
    for (key, _) in sold.keys() {
        let view = found.engine.directory().find_key(*key).expect("there");
        let confirmed = sold.keys().filter(|(of, _)| of == key).count() + sold_by_cart;
        assert!(view.counts().sold as usize >= confirmed, "a confirmed seat is not sold after a start");
        if all_answered && said.iter().all(|command| !command.gone) {
            assert_eq!(view.counts().sold as usize, confirmed);
        }
    }
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().map_or(otherwise, |text| text.parse().expect("a whole number"))
}

fn checked() -> Config {
    let mut config = Config::new();
    config.max_steps = MaxSteps::FailAfter(STEPS_MAX);
    config.stack_size = STACK_BYTES;
    let folder = std::env::var_os("USHER_SCHEDULES").map(Into::into);
    config.failure_persistence =
        folder.map_or(FailurePersistence::Print, |folder| FailurePersistence::File(Some(folder)));
    config
}

fn explore(name: &str, scheduler: impl Scheduler + 'static) {
    let schedules = Runner::new(scheduler, checked()).run(run_once);
    println!("{name}: {schedules} schedules");
}

#[test]
fn threads_in_any_order_answer_once_and_end() {
    if let Some(file) = std::env::var_os("USHER_SCHEDULE") {
        let schedule = ReplayScheduler::new_from_file(file).expect("a schedule that a failure has left");
        Runner::new(schedule, checked()).run(run_once);
        return;
    }
    let seed = number("USHER_SEED", 1);
    let schedules = number("USHER_SCHEDULES_MAX", 200) as usize;
    println!("seed {seed}");
    explore("random", RandomScheduler::new_from_seed(seed, schedules.div_ceil(2)));
    explore("pct", PctScheduler::new_from_seed(seed, PCT_DEPTH, schedules / 2));
}
