//! A follower that goes beside a running engine is told every change, also where one segment ends and the next begins.

use std::sync::Arc;

use engine::{BeginAt, Follower};
use wal::Storage;

use crate::world::*;

/// As many bytes as a follower takes in at once.
const BYTES: u64 = 1 << 20;

#[test]
fn a_follower_beside_the_writer_goes_on_into_every_next_segment() {
    let mut world = World::new(1);
    let key = world.create("concert");
    let storage: Arc<dyn Storage> = Arc::new(world.disk.clone());
    let mut follower = Follower::begin(Arc::clone(&world.engine), storage, BeginAt::Oldest).expect("the log is there");
    let (mut segments, mut told) = (0, 0);
    for number in 0..400 {
        world.hold(key, hold_id(START, number), &[3]).expect("it is open");
        world.ask(key, release(hold_id(START, number))).result.expect("it is held");
        // Sometimes it comes late, in the middle of a segment or behind its end.
        if number % 7 < 5 {
            let mut turns = 0;
            while follower.turn(BYTES, &mut |_| told += 1).expect("the log is there") {
                turns += 1;
                assert!(turns < 100, "it turns and turns at position {}", follower.position());
            }
            assert_eq!(follower.position(), world.engine.position(), "after hold {number}");
        }
        segments = segments.max(world.engine.durable_log().segments.len());
    }
    assert!(segments > 3, "{segments} segments are too few to cross from one to the next");
    assert_eq!(told, follower.position());
}
