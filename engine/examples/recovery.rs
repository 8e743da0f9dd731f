//! How fast a log comes back: replay, loading and writing a checkpoint, each beside a plain read of the same files.
//!
//! `cargo xtask recovery [--changes N] [--runs N] [--events N] [--dir DIR]`
//!
//! Writes a log of holds, releases and confirms of several events into a new folder (removed at the end), then
//! measures in turn, run by run, so that a machine that is busy is busy for all of them. Every figure is the median
//! with the least and the most. Files are read past the cache, as a start does.

use std::{
    collections::VecDeque,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Instant,
};

use engine::{
    ClockSource, Engine, EngineConfig, FileStorage, ManualClock, Opened, Rebuild, Reply, event_key, open, verify,
};
use inventory_core::{
    command::{Command, Confirm, CreateEvent, Hold, Part, Release, Remainder},
    ids::{CustomerKey, EventId, EventKey, HoldId, OrderRef, SlotIndex, TimestampMs},
    image,
    plan::{Plan, PlanSpec, Point, RowKind, RowSpec, SeatSpec, SectionSpec},
    plan_codec::encode_plan,
    policy::{Policies, Settings},
    slot::{Plans, Slot, SlotConfig},
};
use wal::{CheckpointReader, CheckpointWriter, Storage, list_checkpoints};

const START: TimestampMs = TimestampMs(1_790_000_000_000);
const ROWS: u32 = 400;
const SEATS_PER_ROW: u32 = 100;
const SEATS: u32 = ROWS * SEATS_PER_ROW;
/// One hold in so many is sold, the others are released.
const SOLD_EVERY: u64 = 4;
const GIB: f64 = (1_u64 << 30) as f64;

struct Options {
    changes: u64,
    events: u64,
    runs: usize,
    dir: PathBuf,
}

fn main() -> ExitCode {
    match options().and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        changes: 4_000_000,
        events: 32,
        runs: 5,
        dir: std::env::temp_dir().join(format!("usher-recovery-{}", std::process::id())),
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        let number = |text: String| text.parse::<u64>().map_err(|_| format!("{text} is no number"));
        match word.as_str() {
            "--changes" => options.changes = number(value()?)?.clamp(1_000, 16_000_000),
            "--events" => options.events = number(value()?)?.clamp(1, 256),
            "--runs" => options.runs = number(value()?)?.clamp(1, 100) as usize,
            "--dir" => options.dir = value()?.into(),
            _ => return Err(format!("{word}: there are --changes, --events, --runs and --dir")),
        }
    }
    Ok(options)
}

fn run(options: &Options) -> Result<(), String> {
    fs::create_dir(&options.dir).map_err(|error| format!("{}: {error}", options.dir.display()))?;
    let result = measure(options);
    fs::remove_dir_all(&options.dir).map_err(|error| error.to_string())?;
    result
}

fn measure(options: &Options) -> Result<(), String> {
    let log_only = options.dir.join("log");
    let checkpointed = options.dir.join("checkpoint");
    let began = Instant::now();
    let changes = write_log(&log_only, &checkpointed, options)?;
    eprintln!("{changes} changes written in {:.1} s", began.elapsed().as_secs_f64());
    let log = FileStorage::open_read_only(&log_only).map_err(|error| error.to_string())?;
    let with_checkpoint = FileStorage::open_read_only(&checkpointed).map_err(|error| error.to_string())?;
    let name = list_checkpoints(&with_checkpoint).map_err(|e| e.to_string())?.first().cloned();
    let name = name.ok_or("no checkpoint was made")?;
    let log_bytes = bytes_of(&log, ".seg")?;
    let checkpoint_bytes = bytes_of(&with_checkpoint, ".ckpt")?;
    let plans = encoded_plans(&log)?;

    let mut figures: [Vec<Cost>; 5] = Default::default();
    for _ in 0..options.runs {
        figures[0].push(timed(|| read_plainly(&log, ".seg"))?);
        figures[1].push(timed(|| verify(&log).map(drop).map_err(|error| error.to_string()))?);
        figures[2].push(timed(|| read_plainly(&with_checkpoint, ".ckpt"))?);
        figures[3].push(timed(|| {
            Rebuild::from_checkpoint(&with_checkpoint, &name, plans.clone()).map(drop).map_err(|e| e.to_string())
        })?);
        figures[4].push(write_checkpoint(&with_checkpoint, &name, &options.dir.join("again"))?);
    }
    let [read_log, replay, read_checkpoint, load, write] = figures.map(Figure::of);
    let (log_gib, checkpoint_gib) = (log_bytes as f64 / GIB, checkpoint_bytes as f64 / GIB);
    println!(
        "log         {changes} changes, {:.0} MiB; checkpoint {:.0} MiB; {} runs, median (least to most)",
        log_gib * 1024.0,
        checkpoint_gib * 1024.0,
        options.runs
    );
    println!("read log    {}  plain read and CRC32C of the same files", read_log.per(log_gib));
    println!("replay      {}  {} changes a second of a core", replay.per(log_gib), replay.rate(changes as f64));
    println!("read ckpt   {}  plain read and CRC32C of the same file", read_checkpoint.per(checkpoint_gib));
    println!("load ckpt   {}", load.per(checkpoint_gib));
    println!("write ckpt  {}  encode, write, sync, read back, rename", write.per(checkpoint_gib));
    Ok(())
}

/// Seconds by the clock, and of all cores together: the second says what a machine of its own would do.
#[derive(Clone, Copy)]
struct Cost {
    wall: f64,
    cpu: f64,
}

/// Costs of all runs, the least first.
struct Figure {
    wall: Vec<f64>,
    cpu: Vec<f64>,
}

impl Figure {
    fn of(costs: Vec<Cost>) -> Figure {
        let sorted = |mut seconds: Vec<f64>| {
            seconds.sort_by(f64::total_cmp);
            seconds
        };
        Figure {
            wall: sorted(costs.iter().map(|cost| cost.wall).collect()),
            cpu: sorted(costs.iter().map(|cost| cost.cpu).collect()),
        }
    }

    fn per(&self, gib: f64) -> String {
        let three =
            |s: &[f64]| format!("{:5.2} ({:.2} to {:.2})", s[s.len() / 2] / gib, s[0] / gib, s[s.len() - 1] / gib);
        format!("{:22} s/GiB, {:22} core s/GiB", three(&self.wall), three(&self.cpu))
    }

    /// Things a second of one core.
    fn rate(&self, things: f64) -> String {
        let millions = |seconds: f64| things / seconds / 1e6;
        let cpu = &self.cpu;
        let (median, least, most) = (cpu[cpu.len() / 2], cpu[cpu.len() - 1], cpu[0]);
        format!("{:.2} million ({:.2} to {:.2})", millions(median), millions(least), millions(most))
    }
}

fn timed(work: impl FnOnce() -> Result<(), String>) -> Result<Cost, String> {
    let (began, cpu) = (Instant::now(), cpu_seconds());
    work()?;
    Ok(Cost { wall: began.elapsed().as_secs_f64(), cpu: cpu_seconds() - cpu })
}

/// Of all threads of this process.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn bytes_of(storage: &FileStorage, suffix: &str) -> Result<u64, String> {
    let names = storage.list("").map_err(|error| error.to_string())?;
    let len = |name: &String| storage.open_read(name).and_then(|file| file.len()).map_err(|error| error.to_string());
    names.iter().filter(|name| name.ends_with(suffix)).map(len).sum()
}

/// What no recovery can be faster than: the bytes, and one checksum of them.
fn read_plainly(storage: &FileStorage, suffix: &str) -> Result<(), String> {
    let mut buffer = vec![0; 1 << 20];
    let mut crc = 0;
    for name in storage.list("").map_err(|error| error.to_string())?.iter().filter(|name| name.ends_with(suffix)) {
        let file = storage.open_read_uncached(name).map_err(|error| error.to_string())?;
        let len = file.len().map_err(|error| error.to_string())?;
        let mut offset = 0;
        while offset < len {
            let part = usize::try_from(len - offset).unwrap_or(usize::MAX).min(buffer.len());
            file.read_exact_at(offset, &mut buffer[..part]).map_err(|error| error.to_string())?;
            crc = crc32c::crc32c_append(crc, &buffer[..part]);
            offset += part as u64;
        }
    }
    std::hint::black_box(crc);
    Ok(())
}

fn encoded_plans(storage: &FileStorage) -> Result<Vec<Vec<u8>>, String> {
    let names = storage.list("plans").map_err(|error| error.to_string())?;
    names.iter().map(|name| fs::read(storage.root().join("plans").join(name)).map_err(|e| e.to_string())).collect()
}

struct OnePlan(Arc<Plan>);

impl Plans for OnePlan {
    fn plan(&self, _: &inventory_core::ids::PlanDigest) -> Arc<Plan> {
        Arc::clone(&self.0)
    }
}

/// Seconds for encoding the slots of a checkpoint and writing them as another.
fn write_checkpoint(storage: &FileStorage, name: &str, aside: &Path) -> Result<Cost, String> {
    let reader = CheckpointReader::open(storage, name).map_err(|error| error.to_string())?;
    let plan = encode_plan(&plan_spec());
    let digest = engine::digest_of(&plan);
    let plan = OnePlan(Arc::new(Plan::build(&plan_spec(), digest).map_err(|_| "the plan is not valid")?));
    let config = SlotConfig { seed: 0, tombstones_max: u32::MAX };
    let mut slots: Vec<Slot> = Vec::new();
    for tag in reader.sections().filter(|tag| *tag < 256) {
        let bytes = reader.read_section(tag).map_err(|error| error.to_string())?;
        let slot =
            image::decode_slot(&bytes, SlotIndex(tag as u8), config, &plan).map_err(|error| error.to_string())?;
        slots.push(slot);
    }
    let new = FileStorage::open(aside).map_err(|error| error.to_string())?;
    let cost = timed(|| {
        let mut writer = CheckpointWriter::create(&new, *reader.meta()).map_err(|error| error.to_string())?;
        let mut bytes = Vec::new();
        for slot in &slots {
            bytes.clear();
            image::encode_slot(slot, &mut bytes);
            writer.add_section(u32::from(slot.index().0), &bytes).map_err(|error| error.to_string())?;
        }
        writer.finish().map(drop).map_err(|error| error.to_string())
    })?;
    fs::remove_dir_all(aside).map_err(|error| error.to_string())?;
    Ok(cost)
}

fn plan_spec() -> PlanSpec {
    let row = |row: u32| RowSpec {
        label: format!("{row}").into(),
        kind: RowKind::Row,
        seats: (0..SEATS_PER_ROW)
            .map(|seat| SeatSpec {
                key: format!("{row}-{seat}").into(),
                label: format!("{seat}").into(),
                at: Point { x: seat as i32 * 1_000, y: row as i32 * 1_000 },
                level: 0,
                attributes: 0,
                aisle_after: false,
            })
            .collect(),
    };
    PlanSpec {
        name: "arena".into(),
        price_levels: vec!["A".into()],
        focal_point: Some(Point { x: 0, y: 0 }),
        sections: vec![SectionSpec {
            key: "s".into(),
            label: "S".into(),
            zone: None,
            rows: (0..ROWS).map(row).collect(),
        }],
        ..PlanSpec::default()
    }
}

/// A UUIDv7.
fn hold_id(time: TimestampMs, number: u64) -> HoldId {
    let bits = u128::from(time.0) << 80 | 7 << 76 | 0b10 << 62 | u128::from(number);
    HoldId::parse(bits).expect("version and variant are right")
}

/// The engine on this thread: every turn by hand, so that a batch is as full as it may be.
struct Sale {
    engine: Arc<Engine>,
    shards: Vec<engine::Shard>,
    committer: engine::Committer,
    clock: Arc<ManualClock>,
}

impl Sale {
    fn settle(&mut self) -> Result<(), String> {
        while !self.engine.is_idle() {
            for shard in &mut self.shards {
                shard.turn();
            }
            self.committer.turn().map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn send(&mut self, key: EventKey, command: Command) -> Result<(), String> {
        // Nobody waits for the answer: what became of it is in the log.
        let (sender, _) = engine::reply_slot();
        self.engine.submit(key, command, None, Reply::One(sender)).map_err(|_| "the mailbox is full".to_owned())
    }
}

/// Writes the log; a copy of the folder gets a checkpoint of all of it. How many changes it has.
fn write_log(dir: &Path, checkpointed: &Path, options: &Options) -> Result<u64, String> {
    let storage = Arc::new(FileStorage::open(dir).map_err(|error| error.to_string())?);
    let config = EngineConfig { shards: 1, mailbox_commands_max: 1 << 15, ..EngineConfig::default() };
    // No checkpoint while it is written: the whole log is to be replayed.
    let clock = ManualClock::new(START);
    let source = ClockSource::Manual(Arc::clone(&clock));
    let opened = open(storage, source, config.clone(), &mut |_| {}).map_err(|error| error.to_string())?;
    let Opened { engine, shards, committer, .. } = opened;
    let mut sale = Sale { engine, shards, committer, clock };
    let plan = sale.engine.plans().put(encode_plan(&plan_spec())).map_err(|error| error.to_string())?;
    let mut keys = Vec::new();
    for nth in 0..options.events {
        let name = format!("event-{nth}");
        let (id, key) = (EventId::parse(&name).ok_or("no event id")?, event_key(&name));
        // What is released is soon forgotten, as after minutes of a sale.
        let policies = Policies { retry_window_s: 60, hold_ttl_s: 7_200, ..Policies::default() };
        let settings = Settings { policies, ..Settings::default() };
        sale.send(key, Command::CreateEvent(Box::new(CreateEvent { id, key, plan: Arc::clone(&plan), settings })))?;
        keys.push(key);
    }
    sale.settle()?;
    let order = OrderRef::parse("O-4711").ok_or("no order")?;
    // Pairs of seats that are open: what is released is taken again, what is sold is not.
    let pairs = || (0..SEATS / 2).map(|pair| pair * 2).collect::<VecDeque<u32>>();
    let mut open_pairs: Vec<VecDeque<u32>> = keys.iter().map(|_| pairs()).collect();
    let mut number = 0;
    while sale.engine.position() < options.changes {
        let now = sale.engine.clock().now();
        let mut holds = Vec::new();
        for _ in 0..8_192 {
            let event = (number % options.events) as usize;
            let Some(seat) = open_pairs[event].pop_front() else { break };
            let id = hold_id(now, number);
            sale.send(
                keys[event],
                Command::Hold(Box::new(Hold {
                    allocations: Default::default(),
                    hold_id: id,
                    seats: vec![seat, seat + 1].into(),
                    seat_keys: Vec::new(),
                    admissions: Vec::new(),
                    best: None,
                    ticket_types: Vec::new(),
                    customer: CustomerKey(number % 10_000 + 1),
                    ttl_ms: 0,
                    replace: None,
                    plan_revision: 0,
                })),
            )?;
            // Not in step with the events.
            let sold = (number / options.events).is_multiple_of(SOLD_EVERY);
            if !sold {
                open_pairs[event].push_back(seat);
            }
            holds.push((keys[event], id, sold));
            number += 1;
        }
        if holds.is_empty() {
            break;
        }
        sale.settle()?;
        for (key, id, sold) in holds {
            let command = if sold {
                let order = order.clone();
                let (part, remainder) = (Part::default(), Remainder::Keep);
                let confirm = Confirm {
                    hold_id: id,
                    request_id: None,
                    order,
                    part,
                    remainder,
                    allow_reclaim: false,
                    attempt_id: None,
                };
                Command::Confirm(Box::new(confirm))
            } else {
                Command::Release(Box::new(Release {
                    hold_id: id,
                    request_id: None,
                    part: Part::default(),
                    abort_payment: false,
                }))
            };
            sale.send(key, command)?;
        }
        sale.settle()?;
        sale.clock.advance_ms(2_000);
    }
    let changes = sale.engine.position();
    sale.engine.drain();
    sale.settle()?;
    sale.engine.stop();
    while sale.committer.turn().map_err(|error| error.to_string())? {}
    copy_folder(dir, checkpointed).map_err(|error| error.to_string())?;
    let now = sale.engine.clock().now();
    drop(sale);
    make_checkpoint(checkpointed, now, config)?;
    Ok(changes)
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn make_checkpoint(dir: &Path, now: TimestampMs, config: EngineConfig) -> Result<(), String> {
    let storage = Arc::new(FileStorage::open(dir).map_err(|error| error.to_string())?);
    let source = ClockSource::Manual(ManualClock::new(now));
    let config = EngineConfig { checkpoint_log_bytes: u64::MAX, ..config };
    let opened = open(storage, source, config, &mut |_| {}).map_err(|error| error.to_string())?;
    let Opened { engine, mut committer, mut checkpointer, .. } = opened;
    engine.request_checkpoint();
    while committer.turn().map_err(|error| error.to_string())? {}
    checkpointer.turn().map_err(|error| error.to_string())?;
    engine.drain();
    engine.stop();
    while committer.turn().map_err(|error| error.to_string())? {}
    Ok(())
}
