//! Small pieces of work to count the instructions of, for `cargo xtask instructions`.
//!
//! `counted <work> <count>` prepares the input of [`MOST`] repetitions whatever `count` is, does `count` of them, and
//! ends at once. So two runs with different counts differ in the repetitions alone, and nobody needs to know which
//! symbols the compiler has left of them.
//!
//! Invariant: two runs with the same arguments carry out the same instructions, but for what hashing with the seeds
//! of the process adds where the standard library draws them.

use std::process::ExitCode;
use std::sync::Arc;

use benches::{
    arena, asked,
    partition::Partition,
    sale::{START, Sale, Size},
    seeded::shuffled,
};
use inventory_core::{
    change::Change,
    codec,
    command::Command,
    ids::{CustomerKey, EventNumber},
    slot::Decision,
};
use wal::MemoryStorage;

/// Repetitions that input is prepared for.
const MOST: u32 = 4_096;
/// So many holds of so many events are live before.
const SIZE: Size = Size { events: 16, held_pairs: 512, open_pairs: 256, admissions: 0 };
/// Commands of one turn.
const TURN: u32 = 256;
const TURN_EVENTS: u32 = 16;
/// The records of a turn go on in a new group from here.
const GROUP_BYTES: usize = 256 << 10;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let (Some(work), Some(count)) = (words.next(), words.next().and_then(|word| word.parse::<u32>().ok())) else {
        return usage();
    };
    if count > MOST {
        return usage();
    }
    match work.as_str() {
        "hold" => change(count, open_hold),
        "confirm" => change(count, confirm),
        "encode-hold" => encode(count, open_hold),
        "encode-confirm" => encode(count, confirm),
        "turn" => turns(count),
        _ => usage(),
    }
}

type Make = fn(&Sale, u32) -> (u32, Command);

fn open_hold(sale: &Sale, nth: u32) -> (u32, Command) {
    let pair = sale.open_pair(nth);
    (pair.event, sale.hold(pair))
}

fn confirm(sale: &Sale, nth: u32) -> (u32, Command) {
    let pair = sale.held_pair(nth);
    (pair.event, sale.confirm(pair))
}

/// Decide and apply.
fn change(count: u32, make: Make) -> ! {
    let mut sale = Sale::new(SIZE);
    let mut commands = shuffled(MOST, 1).into_iter().map(|nth| make(&sale, nth)).collect::<Vec<_>>().into_iter();
    for (event, command) in commands.by_ref().take(count as usize) {
        sale.run(event, &command);
    }
    // What was not done is not dropped.
    std::mem::forget((sale, commands));
    end()
}

/// The bytes of changes that were made before.
fn encode(count: u32, make: Make) -> ! {
    let sale = Sale::new(SIZE);
    let changes = shuffled(MOST, 1).into_iter().map(|nth| {
        let (event, command) = make(&sale, nth);
        match sale.decide(event, &command) {
            Ok(Decision::Change(number, change)) => (number, change),
            other => panic!("{command:?} changes something, and not {other:?}"),
        }
    });
    let changes: Vec<(EventNumber, Change)> = changes.collect();
    let mut records = Vec::with_capacity(GROUP_BYTES + (64 << 10));
    for (number, change) in &changes[..count as usize] {
        if records.len() >= GROUP_BYTES {
            records.clear();
        }
        codec::encode_change(*number, 7, 9, change, &mut records);
    }
    std::hint::black_box(&records);
    end()
}

/// Whole turns of a partition, each with 256 holds of two seats: judged, made durable in memory, shown.
fn turns(count: u32) -> ! {
    let mut partition = Partition::new(Arc::new(MemoryStorage::new()), true);
    let keys = partition.create(TURN_EVENTS, &arena::spec(MOST / TURN_EVENTS * 2, 32, 0));
    let commands = shuffled(MOST, 1).into_iter().map(|nth| {
        let (event, pair) = (nth % TURN_EVENTS, nth / TURN_EVENTS);
        let id = asked::hold_id(START, u64::from(nth));
        let seats = vec![pair * 2, pair * 2 + 1];
        (keys[event as usize], asked::hold_seats(id, CustomerKey(u64::from(nth) + 1), seats))
    });
    let mut commands = commands.collect::<Vec<_>>().into_iter();
    for _ in 0..count / TURN {
        for (key, command) in commands.by_ref().take(TURN as usize) {
            partition.send(key, command);
        }
        partition.settle();
    }
    assert_eq!(partition.engine.status().shards[0].live_holds, u64::from(count / TURN * TURN), "every hold lives");
    end()
}

fn usage() -> ExitCode {
    eprintln!("usage: counted hold|confirm|encode-hold|encode-confirm|turn COUNT\n  COUNT  0 to {MOST}");
    ExitCode::FAILURE
}

/// Ends the process without giving memory back: that of what was not done must not count.
fn end() -> ! {
    std::process::exit(0)
}
