//! One world: the production engine on one thread, a disk that breaks, virtual time, buyers, and the model that
//! says what must come of it.
//!
//! A step draws from a stream of its own, so that leaving steps out does not change the others: that is what
//! makes a failure small (`shrink.rs`).
//!
//! Not here: starting after a fall (`fall.rs`), what breaks and when (`faults.rs`), judging answers (`answers.rs`) and what
//! can be seen (`views.rs`).

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use engine::{Checkpointer, Committer, Engine, ManualClock, Refused, Reply, Shard};
use inventory_core::{
    cart::CartStep,
    change::Rested,
    command::Command,
    ids::{EventKey, TimestampMs},
    plan_codec::encode_plan,
    retire::RetireEvent,
};

use crate::{
    answers::{Expected, Inbox, Sent},
    archived::Archived,
    disk::SimDisk,
    fall::Fall,
    house,
    options::Options,
    random::Random,
    reference::Reference,
    restore::Restored,
    traffic::{Traffic, VARIANTS, Wish},
    violation::{Violation, claim},
};

/// Some time in 2026.
pub const START_MS: u64 = 1_790_000_000_000;
/// Rounds in which everything that waits must come to rest.
const ROUNDS_MAX: usize = 10_000;

/// What a world did, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Commands sent.
    pub commands: u64,
    /// Answers that came.
    pub answers: u64,
    /// Changes in the log.
    pub changes: u64,
    /// Times the machine or the process went down, and a start followed.
    pub cycles: u64,
    /// Starts that refused as they had to.
    pub refused_starts: u64,
    /// Damaged copies of the folder that were tried.
    pub damaged_copies: u64,
    /// Checkpoints made.
    pub checkpoints: u64,
}

/// A running engine.
pub(crate) struct Running {
    pub(crate) engine: Arc<Engine>,
    pub(crate) shards: Vec<Shard>,
    pub(crate) committer: Committer,
    pub(crate) checkpointer: Checkpointer,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) inbox: Arc<Inbox>,
    /// Commands in the mailboxes, in the order they are judged.
    pub(crate) queues: Vec<VecDeque<usize>>,
    /// The time of each shard's last turn.
    pub(crate) shard_now: Vec<TimestampMs>,
    /// Shards in the middle of a mass of expiries: time must stand still for the model to follow.
    pub(crate) more_due: Vec<bool>,
    /// What each shard has woken since it last was through with all that was due.
    pub(crate) woke: Vec<Vec<(EventKey, Rested)>>,
    /// The last position given out.
    pub(crate) assigned: u64,
    /// The position at the start.
    pub(crate) position: u64,
}

/// One world.
pub struct World {
    pub(crate) seed: u64,
    pub(crate) options: Options,
    pub(crate) random: Random,
    pub(crate) disk: SimDisk,
    /// True time.
    pub(crate) now_ms: u64,
    pub(crate) running: Option<Running>,
    pub(crate) reference: Reference,
    pub(crate) traffic: Traffic,
    pub(crate) sent: Vec<Sent>,
    /// The end of the last group that an answer has shown.
    pub(crate) observed: u64,
    /// Where each batch since the last start ended, and where the log stood then.
    pub(crate) batch_ends: Vec<u64>,
    /// A start has refused for the wall clock: the next one is told that it is right.
    pub(crate) clock_was_refused: bool,
    /// The state that the last start found: its position and hash.
    pub(crate) found: (u64, u64),
    /// The group that last changed each event: where it begins and ends.
    pub(crate) changed: BTreeMap<EventKey, (u64, u64)>,
    /// The last command of each event whose answer came, in the order they were judged.
    pub(crate) answered: BTreeMap<EventKey, u64>,
    pub(crate) judged: u64,
    pub(crate) counts: Counts,
    /// A running hash of everything that happened.
    pub(crate) trace: u64,
    /// The device has deceived so that a start refuses: the world is over.
    pub(crate) is_over: bool,
    pub(crate) answers_by_kind: BTreeMap<String, u64>,
    /// The future this is, from 1.
    pub(crate) incarnation: u64,
    /// A restore that no start has answered yet.
    pub(crate) restored: Option<Restored>,
    /// What retired events were when they went.
    pub(crate) archived: BTreeMap<EventKey, Archived>,
    /// Segments of the other future.
    pub(crate) old_segments: Vec<(String, Vec<u8>)>,
    /// Tells everything that happens, for whoever looks at one seed.
    pub(crate) is_told: bool,
}

impl World {
    /// A world with an empty disk.
    #[must_use]
    pub fn new(seed: u64, options: Options) -> World {
        World {
            seed,
            random: Random::of_part(seed, 0),
            disk: SimDisk::new(Random::of_part(seed, 1).bits()),
            now_ms: START_MS,
            running: None,
            reference: Reference::default(),
            traffic: Traffic::default(),
            sent: Vec::new(),
            observed: 0,
            batch_ends: vec![0],
            clock_was_refused: false,
            found: (0, 0),
            changed: BTreeMap::new(),
            answered: BTreeMap::new(),
            judged: 0,
            counts: Counts::default(),
            trace: seed,
            is_over: false,
            answers_by_kind: BTreeMap::new(),
            incarnation: 1,
            restored: None,
            archived: BTreeMap::new(),
            old_segments: Vec::new(),
            is_told: false,
            options,
        }
    }

    /// Tell everything that happens on stderr.
    pub fn be_told(&mut self) {
        self.is_told = true;
    }

    pub(crate) fn tell(&self, text: impl FnOnce() -> String) {
        if self.is_told {
            eprintln!("{} {}", self.now_ms - START_MS, text());
        }
    }

    /// What it did so far.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// How often each command got each kind of answer.
    #[must_use]
    pub fn answers_by_kind(&self) -> &BTreeMap<String, u64> {
        &self.answers_by_kind
    }

    /// Faults of the disk that happened.
    #[must_use]
    pub fn faults(&self) -> BTreeMap<&'static str, u64> {
        self.disk.happened()
    }

    /// A hash of everything that happened and of what is on the disk.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let mut digest = self.trace;
        for dir in ["", engine::PLANS_DIR, engine::RETIRED_DIR] {
            for name in wal::Storage::list(self.disk.folder(), dir).unwrap_or_default() {
                let path = if dir.is_empty() { name } else { format!("{dir}/{name}") };
                digest = fold(digest, path.as_bytes());
                digest = fold(digest, &self.disk.folder().contents(&path).unwrap_or_default());
            }
        }
        digest
    }

    pub(crate) fn note(&mut self, words: &[u64]) {
        for word in words {
            self.trace = fold(self.trace, &word.to_le_bytes());
        }
    }

    /// The safety phase: one step.
    ///
    /// # Errors
    /// A claim that does not hold.
    pub fn step(&mut self, step: u64) -> Result<(), Violation> {
        if self.is_over {
            return Ok(());
        }
        self.random = Random::of_part(self.seed, step + 1_000);
        self.tell(|| format!("-- step {step}"));
        if self.running.is_none() {
            if self.options.may_restore && self.incarnation == 1 && self.random.percent(15) {
                self.restore()?;
            }
            self.start()?;
            if self.is_over {
                return Ok(());
            }
        }
        if self.random.permille(self.options.fall_permille) {
            return self.fall();
        }
        if self.random.permille(self.options.fault_permille) {
            self.arm_fault();
        }
        match self.random.below(100) {
            0..48 => self.burst()?,
            48..62 => self.pass_time(),
            62..68 => return self.come_to_rest(),
            68..74 => self.ask_for_checkpoint(),
            _ => {}
        }
        self.pump()
    }

    /// All faults are healed, and everything that is pending must come to an end.
    ///
    /// # Errors
    /// A claim that does not hold.
    pub fn finish(&mut self) -> Result<(), Violation> {
        self.random = Random::of_part(self.seed, 2);
        self.disk.heal();
        self.disk.set_capacity(None);
        // What a device that deceived has taken back may end the process once more: of its end nothing is claimed.
        if self.is_over || self.options.profile.deceives() {
            return Ok(());
        }
        if self.running.is_none() {
            self.start()?;
        }
        if self.is_over {
            return Ok(());
        }
        // A disk that was full is looked at once a second.
        for _ in 0..3 {
            self.advance_ms(1_000);
            self.come_to_rest()?;
            if self.running.is_none() {
                self.start()?;
            }
        }
        self.send_the_lost_again()?;
        self.come_to_rest()?;
        // Longer than any hold lives.
        for _ in 0..4 {
            self.advance_ms(3 * 3_600_000);
            self.come_to_rest()?;
        }
        let live = self.reference.live_holds();
        claim("in the end every hold has ended", live == 0, || format!("{live} live holds"))?;
        self.compare_views()?;
        self.stop_cleanly()?;
        self.check_whole_log()
    }

    fn send_the_lost_again(&mut self) -> Result<(), Violation> {
        let lost: Vec<Wish> = self
            .sent
            .iter()
            .filter(|sent| sent.is_lost)
            .map(|sent| Wish { key: sent.key, command: sent.command.clone() })
            .collect();
        let from = self.sent.len();
        for wish in lost {
            if !self.submit(wish, None)? {
                self.come_to_rest()?;
            }
            // A checkpoint or a batch may fall due.
            self.pump()?;
        }
        self.come_to_rest()?;
        let open = self.sent[from..].iter().filter(|sent| !sent.is_answered).count();
        claim("what is asked again after a healed fault is answered", open == 0, || format!("{open} are not"))
    }

    // ---- What happens ----

    pub(crate) fn burst(&mut self) -> Result<(), Violation> {
        let count = self.random.within(1..=self.options.burst_max);
        let mut wishes = Vec::new();
        for _ in 0..count {
            let Some(running) = &self.running else { return Ok(()) };
            let now = running.clock_now();
            let wish = self.traffic.wish(&mut self.random, &self.options, &mut self.reference, now);
            let Some(wish) = wish else { continue };
            let deadline = match self.random.below(12) {
                0 => Some(now.plus_ms(self.random.below(3))),
                1 => Some(now.plus_ms(2_000)),
                _ => None,
            };
            wishes.push((wish, deadline));
        }
        for together in wishes.chunk_by(|(a, by), (b, also_by)| by == also_by && may_be_batched(a, b)) {
            match together {
                [(wish, deadline)] => drop(self.submit(wish.clone(), *deadline)?),
                batch => self.submit_batch(batch)?,
            }
        }
        Ok(())
    }

    /// Gives commands to the engine that it takes together or not at all.
    fn submit_batch(&mut self, batch: &[(Wish, Option<TimestampMs>)]) -> Result<(), Violation> {
        let (Some(running), Some((Wish { key, command }, deadline))) = (&mut self.running, batch.first()) else {
            return Ok(());
        };
        let queue = &mut running.queues[running.engine.shard_of(*key)];
        let max = mailbox_room(self.options.mailbox_commands_max, command);
        let has_room = queue.len() + batch.len() <= max;
        let first = self.sent.len();
        let commands = batch.iter().zip(first..).map(|((wish, _), tag)| {
            let sink = Arc::clone(&running.inbox) as Arc<dyn engine::ReplySink>;
            (wish.command.clone(), Reply::Many { sink, tag: tag as u64 })
        });
        let taken = running.engine.submit_all(*key, commands, *deadline);
        self.counts.commands += batch.len() as u64;
        match taken {
            Ok(()) => {
                probe::sometimes!("mailbox: commands are put together");
                claim("a full mailbox refuses", has_room, || format!("{} of {max} wait, and more", queue.len()))?;
                for (Wish { key, command }, deadline) in batch {
                    queue.push_back(self.sent.len());
                    self.sent.push(Sent::new(*key, command.clone(), *deadline));
                }
                Ok(())
            }
            Err(Refused::Overloaded { .. }) => {
                probe::sometimes!("mailbox: full for a batch");
                claim("a mailbox with room takes", !has_room, || format!("{} of {max} wait", queue.len()))
            }
            Err(refused) => Err(Violation { claim: "a serving engine takes commands", seen: format!("{refused:?}") }),
        }
    }

    /// Gives a command to the engine. Whether it was taken.
    pub(crate) fn submit(&mut self, wish: Wish, deadline: Option<TimestampMs>) -> Result<bool, Violation> {
        if self.running.is_none() {
            return Ok(false);
        }
        let Wish { key, command } = wish;
        if !self.prepare(key, &command)? {
            return Ok(false);
        }
        let running = self.running.as_mut().expect("it was running a moment ago");
        let shard = running.engine.shard_of(key);
        let queue = &mut running.queues[shard];
        let max = mailbox_room(self.options.mailbox_commands_max, &command);
        let has_room = queue.len() < max;
        let tag = self.sent.len();
        let reply = Reply::Many { sink: Arc::clone(&running.inbox) as Arc<dyn engine::ReplySink>, tag: tag as u64 };
        let taken = running.engine.submit(key, command.clone(), deadline, reply);
        self.counts.commands += 1;
        match taken {
            Ok(()) => {
                claim("a full mailbox refuses", has_room, || format!("{} of {max} wait, and one more", queue.len()))?;
                queue.push_back(tag);
                self.sent.push(Sent::new(key, command, deadline));
                Ok(true)
            }
            Err(Refused::Overloaded { .. }) => {
                probe::sometimes!("mailbox: full");
                claim("a mailbox with room takes", !has_room, || format!("{} of {max} wait", queue.len()))?;
                Ok(false)
            }
            Err(refused) => Err(Violation { claim: "a serving engine takes commands", seen: format!("{refused:?}") }),
        }
    }

    /// What the edge makes durable before it sends a command: a plan, the file of an event. Whether it did.
    fn prepare(&mut self, key: EventKey, command: &Command) -> Result<bool, Violation> {
        let Some(running) = &self.running else { return Ok(false) };
        let plans = running.engine.plans();
        let plan = match command {
            Command::CreateEvent(create) => Some(&create.plan),
            Command::UpdateEvent(update) => update.plan.as_ref(),
            Command::SetPriceLevel(set) => set.plan.as_ref(),
            _ => None,
        };
        let is_done = match (plan, command) {
            (Some(plan), _) if plans.get(&plan.digest()).is_none() => {
                let Some(spec) = self.traffic.specs.get(&plan.digest()) else { return Ok(false) };
                plans.put(encode_plan(spec)).is_ok()
            }
            (None, Command::RetireEvent(RetireEvent { archived_seq: Some(seq), .. })) => {
                // Without an image the number is one of another future.
                let Some((image, position)) = self.traffic.image(key, *seq) else { return Ok(false) };
                running.engine.archive_event(key, image, *position).is_ok()
            }
            _ => true,
        };
        if is_done { Ok(true) } else { self.down_if_off().map(|()| false) }
    }

    fn pass_time(&mut self) {
        let pause = if self.random.percent(4) { 400_000 } else { self.options.pause_ms_max };
        let ms = match self.random.below(6) {
            0 => 1,
            1 => self.ms_to_next_deadline(),
            _ => self.random.below(pause + 1),
        };
        self.advance_ms(ms);
    }

    /// Milliseconds to a moment at which something ends, or one beside it.
    fn ms_to_next_deadline(&mut self) -> u64 {
        let Some(running) = &self.running else { return 0 };
        let now = running.clock_now();
        let next = self.reference.events().filter_map(|(_, model)| model.times_ahead(now).first().copied()).min();
        let ms = next.map_or(0, |next| next.since(now));
        match self.random.below(3) {
            0 => ms.saturating_sub(1),
            1 => ms,
            _ => ms + 1,
        }
    }

    pub(crate) fn advance_ms(&mut self, ms: u64) {
        let Some(running) = &self.running else { return };
        if running.more_due.contains(&true) {
            return;
        }
        self.now_ms += ms;
        running.clock.advance_ms(ms);
    }

    fn ask_for_checkpoint(&mut self) {
        if let Some(running) = &self.running {
            running.engine.request_checkpoint();
        }
    }

    // ---- Turns ----

    /// Some turns, in some order: a machine that is busy lets some of them wait.
    pub(crate) fn pump(&mut self) -> Result<(), Violation> {
        if self.random.percent(self.options.starve_percent) {
            return Ok(());
        }
        let Some(running) = &self.running else { return Ok(()) };
        let shards = running.shards.len();
        for _ in 0..self.random.within(1..=3) {
            for shard in 0..shards {
                if self.running.is_some() && self.random.percent(70) {
                    self.turn_shard(shard)?;
                }
            }
            if self.random.percent(70) {
                self.turn_committer()?;
            }
        }
        if self.random.percent(25) {
            self.turn_checkpointer()?;
        }
        Ok(())
    }

    /// Turns until nothing moves; then what may be seen must be what the model says.
    pub(crate) fn come_to_rest(&mut self) -> Result<(), Violation> {
        let mut restless = String::new();
        for _ in 0..ROUNDS_MAX {
            let Some(running) = &self.running else { return Ok(()) };
            let mut shards_moved = 0;
            for shard in 0..running.shards.len() {
                if self.running.is_some() {
                    shards_moved += usize::from(self.turn_shard(shard)?);
                }
            }
            let committed = self.turn_committer()?;
            let checkpointed = self.turn_checkpointer()?;
            let Some(running) = &self.running else { return Ok(()) };
            let moved = shards_moved > 0 || committed || checkpointed;
            if moved {
                restless = format!("{shards_moved} shards, committer {committed}, checkpointer {checkpointed}");
            }
            if !moved && running.engine.is_idle() && !running.more_due.contains(&true) {
                let waiting = self.sent.iter().filter(|sent| !sent.is_answered && !sent.is_lost).count();
                claim("an idle engine has answered everything", waiting == 0, || format!("{waiting} wait"))?;
                return self.compare_views();
            }
        }
        Err(Violation { claim: "everything comes to rest", seen: format!("not in {ROUNDS_MAX} rounds: {restless}") })
    }

    /// One turn of a shard. The model does the same. Whether it wants another at once.
    fn turn_shard(&mut self, shard: usize) -> Result<bool, Violation> {
        let running = self.running.as_mut().expect("only a running engine turns");
        let before = running.engine.status();
        let wake = running.shards[shard].turn();
        let after = running.engine.status();
        let told = told();
        let (old, new) = (&before.shards[shard], &after.shards[shard]);
        if new.turns > old.turns {
            let now = running.shard_now[shard].max(running.engine.clock().now());
            running.shard_now[shard] = now;
            let count = (new.judged - old.judged) as usize;
            let tags: Vec<usize> = running.queues[shard].drain(..count).collect();
            let changes = new.changes - old.changes;
            let begin = running.assigned;
            running.assigned += changes;
            let end = running.assigned;
            let is_partial = told.iter().any(|(what, ..)| *what == "more due");
            running.more_due[shard] = is_partial;
            let woke = woke(&mut running.shards[shard], now);
            self.changed.extend(woke.iter().map(|(key, _)| (*key, (begin, end))));
            running.woke[shard].extend(woke);
            // A mass that is half ended is judged when it has ended.
            let woke = if is_partial { None } else { Some(std::mem::take(&mut running.woke[shard])) };
            let hash = after.shards.iter().fold(0, |hash, shard| hash ^ shard.hash);
            self.counts.changes += changes;
            self.judge_due(shard, now, (begin, end), woke);
            self.judge_turn(now, &tags, (begin, end), before.storage_low, &told);
            self.reference.end_turn(shard, end, hash, is_partial);
            self.note(&[shard as u64, now.0, count as u64, end, hash]);
            self.tell(|| format!("turn of shard {shard}: {count} commands, changes {begin}..={end}, told {told:?}"));
        }
        self.take_answers()?;
        Ok(wake.again)
    }

    /// The model's side of what was due: all of it, though the shard may be in the middle of it, when nothing is told of
    /// what woke.
    fn judge_due(&mut self, shard: usize, now: TimestampMs, group: (u64, u64), woke: Option<Vec<(EventKey, Rested)>>) {
        let engine = Arc::clone(&self.running.as_ref().expect("it has just turned").engine);
        let keys: Vec<EventKey> =
            self.reference.events().map(|(key, _)| key).filter(|&key| engine.shard_of(key) == shard).collect();
        for key in self.reference.advance(now, keys.clone()) {
            self.changed.insert(key, group);
        }
        if let Some(mut woke) = woke {
            probe::sometimes!("world: places have rested and woke", !woke.is_empty());
            // What rested for no time at all is told where its hold expired.
            woke.sort_by_key(|(_, rested)| first_of(rested));
            self.reference.wake(now, keys, woke);
        }
    }

    /// The model's side of the commands of a turn.
    fn judge_turn(
        &mut self,
        now: TimestampMs,
        tags: &[usize],
        (begin, end): (u64, u64),
        storage_low: bool,
        told: &[Told],
    ) {
        let mut floors: Vec<(EventKey, TimestampMs, bool)> = told
            .iter()
            .filter(|(what, ..)| matches!(*what, "floor" | "floor of paid"))
            .map(|&(what, key, floor)| (EventKey(key), TimestampMs(floor), what != "floor"))
            .collect();
        let mut no_room: Vec<u128> = told
            .iter()
            .filter(|(what, ..)| *what == "no room")
            .map(|&(_, high, low)| u128::from(high) << 64 | u128::from(low))
            .collect();
        for &tag in tags {
            let Sent { key, deadline, .. } = self.sent[tag];
            let command = self.sent[tag].command.clone();
            let mut changed = false;
            let expected = if deadline.is_some_and(|deadline| deadline <= now) {
                Expected::Refused(Refused::DeadlinePassed { executed_unknown: false })
            } else if storage_low && needs_room(&command) {
                Expected::Refused(Refused::StorageLow)
            } else {
                // A slot that is touched first makes room in its memory.
                let here = floors.extract_if(.., |(floored, ..)| floored.slot() == key.slot());
                for (floored, floor, also_paid) in here {
                    self.reference.raise_floor(floored, floor, also_paid);
                    self.changed.insert(floored, (begin, end));
                }
                // Memory is looked at last: the model would have taken what was refused for it.
                let refused =
                    no_room.iter().position(|id| matches!(&command, Command::Hold(hold) if hold.hold_id.0 == *id));
                if let Some(at) = refused.filter(|_| self.reference.would_change(now, key, &command)) {
                    no_room.remove(at);
                    Expected::NoRoom
                } else {
                    let answer;
                    let last = Archived::of(&command, self.reference.model(key), key);
                    (answer, changed) = self.reference.execute(now, key, &command);
                    if let Some(last) = last.filter(|_| changed) {
                        self.archived.insert(key, last);
                    }
                    if changed {
                        self.changed.insert(key, (begin, end));
                    }
                    Expected::Model(answer)
                }
            };
            self.judged += 1;
            self.tell(|| format!("   {:?} {command:?}\n      -> {expected:?}", key.0));
            let depends_on = self.changed.get(&key).copied();
            let changes = self.reference.changes(key);
            let sent = &mut self.sent[tag];
            sent.judged =
                Some(crate::answers::Judged { number: self.judged, time: now, expected, changed, changes, depends_on });
        }
    }

    /// One round of the committer. Whether it did anything.
    fn turn_committer(&mut self) -> Result<bool, Violation> {
        let Some(running) = &mut self.running else { return Ok(false) };
        let before = running.engine.position();
        let result = running.committer.turn();
        let position = running.engine.position();
        if position > before || result.is_err() {
            let failed = result.as_ref().err().map(ToString::to_string);
            if self.is_told {
                eprintln!("committer: durable to {position} {}", failed.unwrap_or_default());
            }
        }
        if position > before {
            self.batch_ends.push(position);
        }
        match result {
            Ok(moved) => {
                // Answers that were already on their way may come; a turn brings them.
                self.take_answers()?;
                Ok(moved)
            }
            Err(_) => {
                // The process ends, and until it has ended the other threads may run on.
                self.take_answers()?;
                let shards = self.running.as_ref().map_or(0, |running| running.shards.len());
                for shard in 0..shards {
                    if self.random.percent(50) {
                        self.turn_shard(shard)?;
                    }
                }
                let fall = if self.disk.is_off() { Fall::Power(self.keep()) } else { self.fall_after_failure() };
                self.go_down(fall)?;
                Ok(false)
            }
        }
    }

    fn turn_checkpointer(&mut self) -> Result<bool, Violation> {
        let Some(running) = &mut self.running else { return Ok(false) };
        match running.checkpointer.turn() {
            Ok(made) => {
                self.counts.checkpoints += u64::from(made);
                Ok(made)
            }
            // The log only grows longer; it is tried again when there is more.
            Err(_) => self.down_if_off().map(|()| false),
        }
    }

    pub(crate) fn down_if_off(&mut self) -> Result<(), Violation> {
        if self.disk.is_off() {
            let keep = self.keep();
            return self.go_down(Fall::Power(keep));
        }
        Ok(())
    }

    /// The plans of a world, made before the first event.
    pub(crate) fn make_plans(&mut self) {
        let Some(running) = &self.running else { return };
        for variant in 0..VARIANTS {
            if self.traffic.plans.contains_key(&variant) {
                continue;
            }
            let spec = house::plan(&self.options, variant);
            if let Ok(plan) = running.engine.plans().put(encode_plan(&spec)) {
                self.traffic.specs.insert(plan.digest(), spec);
                self.traffic.plans.insert(variant, plan);
            }
        }
    }
}

impl Running {
    pub(crate) fn clock_now(&self) -> TimestampMs {
        self.engine.clock().now()
    }
}

/// Commands that may wait when one more of this kind comes: holds leave room for what ends them.
fn mailbox_room(commands_max: usize, command: &Command) -> usize {
    if matches!(command, Command::Hold(_)) { commands_max / 10 * 7 + commands_max % 10 * 7 / 10 } else { commands_max }
}

/// Whether two commands may be in one batch: both of one event, and holds or what becomes of holds.
fn may_be_batched(a: &Wish, b: &Wish) -> bool {
    let kind = |wish: &Wish| match wish.command {
        Command::Hold(_) => Some(true),
        Command::Extend(_) | Command::Confirm(_) | Command::Release(_) => Some(false),
        _ => None,
    };
    a.key == b.key && kind(a).is_some() && kind(a) == kind(b)
}

/// What woke in the last turn of a shard.
#[cfg(usher_sim)]
fn woke(shard: &mut Shard, now: TimestampMs) -> Vec<(EventKey, Rested)> {
    let of_change = |(key, woke)| {
        let rested = match woke {
            engine::Woke::Rested(rested) => vec![rested],
            engine::Woke::AtOnce { admissions, moves } => model::woke_at_once(now, &moves, admissions),
        };
        rested.into_iter().map(move |rested| (key, rested))
    };
    shard.take_woke().into_iter().flat_map(of_change).collect()
}

/// When the first of them was to wake.
fn first_of(rested: &Rested) -> Option<TimestampMs> {
    let seats = rested.seats.iter().map(|(until, _)| *until);
    seats.chain(rested.admissions.iter().map(|(until, _)| *until)).min()
}

#[cfg(not(usher_sim))]
fn woke(_: &mut Shard, _: TimestampMs) -> Vec<(EventKey, Rested)> {
    Vec::new()
}

pub(crate) type Told = (&'static str, u64, u64);

#[cfg(usher_sim)]
pub(crate) fn told() -> Vec<Told> {
    probe::told()
}

#[cfg(not(usher_sim))]
pub(crate) fn told() -> Vec<Told> {
    Vec::new()
}

/// FNV-1a.
pub(crate) fn fold(hash: u64, bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(hash ^ 0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// What is refused while space is low. The rest gives some back, is owed to who paid, or only looks.
fn needs_room(command: &Command) -> bool {
    match command {
        Command::Confirm(_) | Command::Release(_) | Command::EndPayment(_) => false,
        Command::ReturnPlaces(_) | Command::GetOrder(_) | Command::List(_) => false,
        Command::SellDirect(_) | Command::Exchange(_) | Command::Kill(_) | Command::Unkill(_) => true,
        Command::SetAllocation(_) | Command::RemoveAllocation(_) | Command::SetPriceLevel(_) => true,
        Command::ListAllocations => false,
        Command::GetHold(_) | Command::Suggest(_) | Command::Explain(_) | Command::RetireEvent(_) => false,
        Command::Hold(_) | Command::Extend(_) | Command::BeginPayment(_) => true,
        Command::HoldMany(_) => true,
        Command::Cart(step) => matches!(step, CartStep::Prepare(_)),
        Command::ConfirmMany(_) | Command::ReleaseMany(_) => false,
        Command::CreateEvent(_) | Command::UpdateEvent(_) => true,
    }
}
