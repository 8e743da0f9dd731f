//! A seeded stream of everything callers, time and operators do, and the ledger of what was answered.

use std::collections::BTreeMap;

use engine::{Answer, Done, ReplyReceiver, state_hash};
use inventory_core::{
    command::{Command, UpdateEvent},
    ids::{EventKey, HoldId},
};
use wal::{MemoryStorage, Storage};

use crate::world::*;

/// SplitMix64.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let value = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// A command and what became of it.
pub(crate) struct Sent {
    pub(crate) key: EventKey,
    receiver: ReplyReceiver,
    pub(crate) answer: Option<Answer>,
}

/// All commands of a run, in the order they were sent.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) sent: Vec<Sent>,
    /// The state's hash at each position that a batch ended at; filled when `traces`.
    pub(crate) hash_at: BTreeMap<u64, u64>,
    pub(crate) traces: bool,
    pub(crate) checkpoints: usize,
}

impl Ledger {
    /// Takes in the answers that have come.
    pub(crate) fn collect(&mut self) {
        for sent in self.sent.iter_mut().filter(|sent| sent.answer.is_none()) {
            sent.answer = sent.receiver.try_take().and_then(Result::ok);
        }
    }

    pub(crate) fn answered(&self) -> impl Iterator<Item = (&Sent, &Answer)> {
        self.sent.iter().filter_map(|sent| Some((sent, sent.answer.as_ref()?)))
    }
}

/// Something that ends the run: the disk is gone.
pub(crate) struct Gone;

/// Runs a workload until it ends or the disk is gone.
pub(crate) fn run(world: &mut World, seed: u64, steps: usize, ledger: &mut Ledger) -> Result<(), Gone> {
    let mut driver = Driver { rng: Rng(seed), world, ledger, events: Vec::new(), holds: Vec::new(), ids: 0 };
    let result = (0..steps).try_for_each(|_| driver.step()).and_then(|()| driver.settle());
    ledger.collect();
    result
}

struct Driver<'a> {
    rng: Rng,
    world: &'a mut World,
    ledger: &'a mut Ledger,
    events: Vec<EventKey>,
    holds: Vec<(EventKey, HoldId)>,
    ids: u64,
}

impl Driver<'_> {
    fn step(&mut self) -> Result<(), Gone> {
        match self.rng.below(20) {
            _ if self.events.is_empty() => self.create()?,
            0 => self.create()?,
            1..=8 => self.hold(),
            9..=14 => self.later(),
            15 => self.update(),
            16 => self.world.clock.advance_ms(self.rng.below(30_000)),
            17 => {
                self.world.clock.advance_ms(self.rng.below(30_000));
                self.world.engine.request_checkpoint();
            }
            _ => return self.settle(),
        }
        // Often several commands share a group.
        if self.rng.below(2) == 0 { self.settle() } else { Ok(()) }
    }

    /// Turns until nothing moves, as [`World::try_settle`] does, looking at the disk after each batch.
    fn settle(&mut self) -> Result<(), Gone> {
        loop {
            let mut moved = false;
            for shard in &mut self.world.shards {
                moved |= shard.turn().again;
            }
            moved |= self.world.committer.turn().map_err(|_| Gone)?;
            if self.ledger.traces {
                let hash = state_hash(&self.world.disk.duplicate(), 1).expect("the log is whole");
                let before = self.ledger.hash_at.insert(self.world.engine.position(), hash);
                assert!(before.is_none_or(|before| before == hash), "one position, one state");
            }
            if !moved && self.world.engine.is_idle() {
                break;
            }
        }
        self.ledger.checkpoints += usize::from(self.world.checkpoint().map_err(|_| Gone)?);
        self.ledger.collect();
        Ok(())
    }

    fn send(&mut self, key: EventKey, command: Command) {
        let receiver = self.world.send(key, command);
        self.ledger.sent.push(Sent { key, receiver, answer: None });
    }

    fn id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    fn create(&mut self) -> Result<(), Gone> {
        let id = format!("event-{}", self.rng.below(4));
        let key = engine::event_key(&id);
        // A plan of its own now and then, so that plan files come and are shared.
        let name = format!("hall {}", self.rng.below(2));
        let encoded = inventory_core::plan_codec::encode_plan(&plan_spec(&name));
        let plan = self.world.engine.plans().put(encoded).map_err(|_| Gone)?;
        let event = inventory_core::ids::EventId::parse(&id).expect("a good name");
        let create = inventory_core::command::CreateEvent { id: event, key, plan, settings: settings() };
        self.send(key, Command::CreateEvent(Box::new(create)));
        if !self.events.contains(&key) {
            self.events.push(key);
        }
        Ok(())
    }

    fn hold(&mut self) {
        let key = self.events[self.rng.below(self.events.len() as u64) as usize];
        let id = hold_id(self.world.engine.clock().now(), self.id());
        let first = self.rng.below(u64::from(SEATS) - 3) as u32;
        let mut command = match self.rng.below(4) {
            0 => hold_area(id, 1 + self.rng.below(5) as u8),
            1 => hold(id, &[first]),
            _ => hold(id, &[first, first + 1, first + 2]),
        };
        if self.rng.below(6) == 0
            && let (Command::Hold(hold), Some(&(_, old))) =
                (&mut command, self.holds.iter().rfind(|(event, _)| *event == key))
        {
            hold.replace = Some(old);
        }
        self.holds.push((key, id));
        self.send(key, command);
    }

    /// Something that follows a hold, which may be live, ended, refused or unknown.
    fn later(&mut self) {
        if self.holds.is_empty() {
            return self.hold();
        }
        let recent = self.holds.len().min(6) as u64;
        let (key, id) = self.holds[self.holds.len() - 1 - self.rng.below(recent) as usize];
        let number = self.id();
        let request = request_id(self.world.engine.clock().now(), number);
        let command = match self.rng.below(6) {
            0 | 1 => confirm(id, &format!("order-{}", self.rng.below(3))),
            2 | 3 => release(id),
            4 => extend(id, request),
            _ => Command::GetHold(id),
        };
        self.send(key, command);
    }

    fn update(&mut self) {
        let key = self.events[self.rng.below(self.events.len() as u64) as usize];
        let number = self.id();
        let request = request_id(self.world.engine.clock().now(), number);
        let name = format!("name {number}");
        let update = UpdateEvent { display_name: Some(name.into()), ..update(request) };
        self.send(key, Command::UpdateEvent(Box::new(update)));
    }
}

/// Checks what a folder holds against what was answered before it was left.
pub(crate) fn check_answers(world: &mut World, ledger: &Ledger) {
    let mut last = BTreeMap::new();
    for (sent, answer) in ledger.answered() {
        match &answer.result {
            Ok(Done::Hold { view, .. }) => {
                last.insert((sent.key, view.hold_id), view.clone());
            }
            Ok(Done::Event { key, .. }) => {
                let view = world.engine.directory().find_key(*key);
                assert!(view.is_some(), "an event that was answered is there");
            }
            Ok(_) | Err(_) => {}
        }
    }
    for ((key, id), before) in last {
        let now = hold_of(world.ask(key, Command::GetHold(id)))
            .unwrap_or_else(|error| panic!("hold {id:?} was answered as {before:?} and now is {error:?}"));
        if !is_live(&before) {
            // What has ended stays as it ended; an expired one could still be sold, and nobody asks for that.
            assert_eq!((now.state, &now.orders), (before.state, &before.orders), "hold {id:?}");
            assert_eq!(now.sold_seats, before.sold_seats, "hold {id:?}");
        }
    }
}

/// How long all files of a folder are.
pub(crate) fn used_bytes(disk: &MemoryStorage) -> u64 {
    let mut bytes = 0;
    for dir in ["", "plans"] {
        for name in disk.list(dir).expect("a folder in memory lists") {
            let path = if dir.is_empty() { name } else { format!("{dir}/{name}") };
            bytes += disk.contents(&path).map_or(0, |content| content.len() as u64);
        }
    }
    bytes
}
