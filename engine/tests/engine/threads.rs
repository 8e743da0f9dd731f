//! The parts on threads of their own, over real files and the machine's clock, as a server runs them.

use std::{
    os::unix::process::ExitStatusExt,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use engine::{
    Answer, CheckpointReport, ClockSource, Engine, EngineConfig, Opened, Reply, ReplySink, Shard, Verdict, open, verify,
};
use wal::{FileStorage, Storage};

use crate::world::{World, confirm, create_command, hold, hold_id};

struct Sink(Sender<(u64, Answer)>);

impl ReplySink for Sink {
    fn deliver(&self, tag: u64, answer: Answer) {
        self.0.send((tag, answer)).expect("the test waits for every answer");
    }
}

/// Calls a shard's turns whenever it is woken or its time has come, until `stop`.
fn drive(mut shard: Shard, engine: &Arc<Engine>, stop: Arc<AtomicBool>) -> JoinHandle<()> {
    // One wake in store is as good as many.
    let (wake, woken): (Sender<()>, Receiver<()>) = bounded(1);
    engine.set_wake(
        shard.index(),
        Arc::new(move || {
            let _ = wake.try_send(());
        }),
    );
    let engine = Arc::clone(engine);
    thread::spawn(move || {
        while !stop.load(Ordering::Acquire) {
            let wake = shard.turn();
            if wake.again {
                continue;
            }
            let wait_ms = wake.at.map_or(100, |at| at.since(engine.clock().now()).clamp(1, 100));
            // Woken or not, a turn is due.
            let _ = woken.recv_timeout(std::time::Duration::from_millis(wait_ms));
        }
    })
}

/// Set in the process that is to end.
const CHILD: &str = "USHER_COMMITTER_PANICS";
/// Its number on every Linux.
const SIGABRT: i32 = 6;

#[test]
fn a_panic_of_the_committer_ends_the_process() {
    if std::env::var_os(CHILD).is_some() {
        return panic_in_the_committer();
    }
    let this = std::env::current_exe().expect("it has a name");
    let mut child = Command::new(this);
    child.args(["--exact", "threads::a_panic_of_the_committer_ends_the_process"]).env(CHILD, "1");
    let output = child.output().expect("it starts");
    assert_eq!(output.status.signal(), Some(SIGABRT), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Every caller would wait for a committer that is gone, and nothing would say so.
fn panic_in_the_committer() {
    let mut world = World::new(1);
    let key = engine::event_key("concert");
    drop(world.send(key, create_command(&world.engine, "concert", crate::world::settings())));
    world.turn_shards();
    // The committer calls it when it takes the group.
    world.engine.set_wake(0, Arc::new(|| panic!("planted by a test")));
    let committer = world.committer;
    let ended = thread::spawn(move || committer.run()).join();
    assert!(ended.is_err(), "it did not even panic");
}

#[test]
fn threads_over_files() {
    const HOLDS: u64 = 2_000;
    let folder = tempfile::tempdir().expect("a folder");
    let storage: Arc<dyn Storage> = Arc::new(FileStorage::open(folder.path()).expect("opens"));
    let config =
        EngineConfig { shards: 2, segment_bytes: 256 << 10, checkpoint_segments: 2, ..EngineConfig::default() };
    let Opened { engine, shards, committer, checkpointer, .. } =
        open(Arc::clone(&storage), ClockSource::System, config, &mut |_| {}).expect("an empty folder opens");
    let stop = Arc::new(AtomicBool::new(false));
    let shards: Vec<_> = shards.into_iter().map(|shard| drive(shard, &engine, Arc::clone(&stop))).collect();
    let committer = thread::spawn(move || committer.run());
    let checkpointer = thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            checkpointer.run(stop, &mut |report| {
                assert!(matches!(report, CheckpointReport::Made { .. }), "{report:?}");
            });
        }
    });

    let (sender, answers) = unbounded();
    let sink: Arc<dyn ReplySink> = Arc::new(Sink(sender));
    let submit = |key, command, tag| {
        engine.submit(key, command, None, Reply::Many { sink: Arc::clone(&sink), tag }).expect("there is room");
    };
    let keys = ["red", "green", "blue"].map(|id| {
        let key = engine::event_key(id);
        submit(key, create_command(&engine, id, crate::world::settings()), u64::MAX);
        key
    });
    for _ in keys {
        assert!(answers.recv().expect("answered").1.result.is_ok());
    }
    let now = engine.clock().now();
    for n in 0..HOLDS {
        let key = keys[n as usize % 3];
        submit(key, hold(hold_id(now, n), &[(n % 20) as u32]), n);
        submit(key, confirm(hold_id(now, n), "order"), HOLDS + n);
    }
    let mut sold = 0;
    for _ in 0..2 * HOLDS {
        let (tag, answer) = answers.recv().expect("answered");
        sold += u32::from(tag >= HOLDS && answer.result.is_ok());
    }
    let events = engine.directory().list(None, 10);
    assert_eq!(sold, events.iter().map(|event| event.counts().sold).sum::<u32>());
    // Every seat whose number some hold of its event asked for.
    assert_eq!(sold, 60);

    engine.drain();
    while !engine.is_idle() {
        thread::yield_now();
    }
    engine.stop();
    committer.join().expect("no panic").expect("the disk works");
    stop.store(true, Ordering::Release);
    checkpointer.thread().unpark();
    checkpointer.join().expect("no panic");
    shards.into_iter().for_each(|shard| shard.join().expect("no panic"));

    let report = verify(storage.as_ref()).expect("it is whole");
    assert_eq!((report.verdict, report.position), (Verdict::Clean, engine.position()));
    assert!(report.sealed);
}
