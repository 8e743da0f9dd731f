//! A whole partition on one thread: every turn is called by hand, and time stands still unless it is moved.

use std::sync::Arc;

use engine::{
    Checkpointer, ClockSource, Committer, Engine, EngineConfig, ManualClock, Opened, Reply, Shard, event_key, open,
};
use inventory_core::{
    command::{Command, CreateEvent},
    ids::{EventId, EventKey},
    plan::PlanSpec,
    plan_codec::encode_plan,
    policy::{Policies, Settings},
};
use wal::Storage;

use crate::sale::START;

/// A log begins with a segment of zeros, which in memory is work too: small ones will do.
const SEGMENT_BYTES: u64 = 4 << 20;

/// An engine with one shard.
pub struct Partition {
    /// What everybody shares.
    pub engine: Arc<Engine>,
    /// The one shard.
    pub shard: Shard,
    /// The writer of the log.
    pub committer: Committer,
    /// The maker of checkpoints.
    pub checkpointer: Checkpointer,
    /// Its time.
    pub clock: Arc<ManualClock>,
}

impl Partition {
    /// An empty folder's. `deterministic`: no thread, the same calls give the same storage operations.
    #[must_use]
    pub fn new(storage: Arc<dyn Storage>, deterministic: bool) -> Partition {
        let clock = ManualClock::new(START);
        let config = EngineConfig {
            instance: Some([7; 16]),
            deterministic,
            segment_bytes: SEGMENT_BYTES,
            // No checkpoint and no removal of log on its own account.
            checkpoint_log_bytes: u64::MAX,
            checkpoint_segments: usize::MAX,
            ..EngineConfig::default()
        };
        let source = ClockSource::Manual(Arc::clone(&clock));
        let opened = open(storage, source, config, &mut |_| {}).expect("an empty folder opens");
        let Opened { engine, mut shards, committer, checkpointer, .. } = opened;
        let shard = shards.pop().expect("there is one shard");
        Partition { engine, shard, committer, checkpointer, clock }
    }

    /// Makes events with one plan. Their keys.
    pub fn create(&mut self, events: u32, spec: &PlanSpec) -> Vec<EventKey> {
        let plan = self.engine.plans().put(encode_plan(spec)).expect("there is room for a plan");
        let create = |event: u32| {
            let name = format!("event-{event}");
            let policies = Policies { places_per_customer_max: 10, holds_per_customer_max: 5, ..Policies::default() };
            let create = CreateEvent {
                id: EventId::parse(&name).expect("it is an id"),
                key: event_key(&name),
                plan: Arc::clone(&plan),
                settings: Settings { policies, ..Settings::default() },
            };
            (create.key, Command::CreateEvent(Box::new(create)))
        };
        let commands: Vec<_> = (0..events).map(create).collect();
        let keys = commands.iter().map(|(key, _)| *key).collect();
        commands.into_iter().for_each(|(key, command)| self.send(key, command));
        self.settle();
        keys
    }

    /// Sends a command whose answer nobody waits for.
    pub fn send(&self, key: EventKey, command: Command) {
        assert!(self.engine.submit(key, command, None, Reply::Nobody).is_ok(), "the mailbox has room");
    }

    /// Turns until nothing waits and everything is durable and shown.
    pub fn settle(&mut self) {
        while !self.engine.is_idle() {
            self.shard.turn();
            self.committer.turn().expect("the disk works");
        }
    }

    /// Ends the log cleanly.
    pub fn stop(mut self) {
        self.engine.drain();
        self.settle();
        self.engine.stop();
        while self.committer.turn().expect("the disk works") {}
    }
}
