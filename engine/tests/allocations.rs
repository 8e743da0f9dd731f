//! The steady state of a turn allocates nothing.
//!
//! Counted on this thread, by an allocator that counts. What a sale keeps for good (its order reference) is no part of
//! a steady state, and neither is memory that grows with the sale.

#![cfg(not(any(loom, shuttle)))]

use std::sync::{Arc, Mutex};

use engine::{Answer, Clock as _, Reply, ReplySink};
use inventory_core::{
    command::Command,
    ids::EventKey,
    policy::{Policies, Settings},
};

#[expect(dead_code, reason = "the other tests of the engine use the rest of it")]
#[path = "engine/world.rs"]
mod world;

use world::{SEATS, World, hold, hold_id, release};

/// Holds, then their releases: two turns.
const HOLDS: u64 = SEATS as u64 / 2;
/// Ended holds are remembered for a minute at least, and the parts of the table that finds them grow to what a minute fills them
/// with at most, by chance: after so many seconds both are steady.
const WARM_ROUNDS: u64 = 3_000;
const ROUNDS: u64 = 50;

/// Takes answers as a Session does: into a list that keeps its room.
struct Answers(Mutex<Vec<Answer>>);

impl ReplySink for Answers {
    fn deliver(&self, _: u64, answer: Answer) {
        self.0.lock().expect("no test panics under it").push(answer);
    }
}

/// Sends commands and makes the turns until they are answered. How many allocations the shard's turns made.
fn turn(world: &mut World, answers: &Arc<Answers>, key: EventKey, commands: Vec<Command>) -> u64 {
    let count = commands.len();
    for (tag, command) in (0..).zip(commands) {
        let sink: Arc<dyn ReplySink> = Arc::clone(answers) as Arc<dyn ReplySink>;
        world.engine.submit(key, command, None, Reply::Many { sink, tag }).expect("there is room");
    }
    let shard = &mut world.shards[0];
    let judged = allocation_counter::measure(|| {
        shard.turn();
    });
    world.committer.turn().expect("the disk works");
    let answered = allocation_counter::measure(|| {
        shard.turn();
    });
    let mut answers = answers.0.lock().expect("no test panics under it");
    assert_eq!(answers.len(), count, "everything is answered");
    assert!(answers.iter().all(|answer| answer.result.is_ok()), "nothing is refused");
    answers.clear();
    judged.count_total + answered.count_total
}

#[test]
fn a_turn_of_holds_and_one_of_releases_allocate_nothing() {
    let mut world = World::new(1);
    let settings = Settings { policies: Policies { retry_window_s: 60, ..Policies::default() }, ..Settings::default() };
    let key = world.create_with("steady", settings);
    let answers = Arc::new(Answers(Mutex::new(Vec::with_capacity(64))));
    let mut counted = 0;
    for round in 0..WARM_ROUNDS + ROUNDS {
        world.clock.advance_ms(1_000);
        let now = world.clock.now();
        let id = |at| hold_id(now, round * HOLDS + at);
        let holds = (0..HOLDS).map(|at| hold(id(at), &[2 * at as u32, 2 * at as u32 + 1])).collect();
        let releases = (0..HOLDS).map(|at| release(id(at))).collect();
        let of_holds = turn(&mut world, &answers, key, holds);
        let of_releases = turn(&mut world, &answers, key, releases);
        if round >= WARM_ROUNDS {
            counted += of_holds + of_releases;
        }
    }
    assert_eq!(counted, 0, "allocations of {ROUNDS} rounds of {HOLDS} holds and their releases");
}
