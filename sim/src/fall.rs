//! Going down and coming up again: what a machine leaves, and what a start must make of it.
//!
//! The claims, in this order: what is left checks with `verify` (the code of the tool) and holds everything that
//! was answered or seen; it is a state that was; a start agrees with `verify`; live holds get the time away back,
//! once; then buyers go on and the model with them.

use std::{collections::VecDeque, sync::Arc};

use engine::inspect::{Line, walk};
use engine::{
    ClockSource, EngineConfig, ManualClock, OpenError, Opened, Verdict, VerifyReport, open, state_hash, verify,
};
use inventory_core::{change::ResumeCause, ids::TimestampMs, limits::OUTAGE_GRACE_MS_MAX};
use wal::Keep;

use crate::{
    answers::Inbox,
    damage,
    options::Profile,
    violation::{Violation, claim},
    world::{Running, START_MS, World},
};

/// Starts that may fail one after another before something is wrong with the world itself.
const STARTS_MAX: usize = 12;
/// Starts in a row that are cut short at most.
const BROKEN_STARTS_MAX: usize = 6;

/// How a machine or a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fall {
    /// Power failed.
    Power(Keep),
    /// The process died; the machine runs on.
    Death,
    /// The log got its clean end.
    Clean,
}

impl World {
    /// What a power failure leaves of what was not synced.
    pub(crate) fn keep(&mut self) -> Keep {
        let seed = self.random.bits();
        match self.random.below(10) {
            0 => Keep::Nothing,
            1 => Keep::Everything,
            2..5 => Keep::Seeded(seed),
            5..8 => Keep::SeededSectors(seed),
            _ => Keep::SeededGarbled(seed),
        }
    }

    /// After a failed call the process is gone; the machine may go on, or lose power later.
    pub(crate) fn fall_after_failure(&mut self) -> Fall {
        if self.random.percent(50) { Fall::Death } else { Fall::Power(self.keep()) }
    }

    /// The engine is gone, and with it every answer that had not left.
    pub(crate) fn go_down(&mut self, fall: Fall) -> Result<(), Violation> {
        if let Some(running) = self.running.take() {
            drop(running);
        }
        self.tell(|| format!("down: {fall:?}, {:?}", wal::Storage::list(self.disk.folder(), "")));
        for sent in self.sent.iter_mut().filter(|sent| !sent.is_answered) {
            sent.is_lost = true;
        }
        self.answered.clear();
        self.disk = match fall {
            Fall::Power(keep) => self.disk.after_power_failure(keep),
            Fall::Death | Fall::Clean => self.disk.after_process_death(),
        };
        self.now_ms += match self.random.below(6) {
            0 => 0,
            1..4 => self.random.below(3_000),
            4 => self.random.below(119_000),
            _ => self.random.below(400_000),
        };
        Ok(())
    }

    /// Drains, seals, and looks at what is left.
    pub(crate) fn stop_cleanly(&mut self) -> Result<(), Violation> {
        self.come_to_rest()?;
        let Some(running) = &mut self.running else { return Ok(()) };
        running.engine.drain();
        running.engine.stop();
        let assigned = running.assigned;
        loop {
            match running.committer.turn() {
                Ok(true) => {}
                Ok(false) => break,
                Err(_) => {
                    let fall = if self.disk.is_off() { Fall::Power(self.keep()) } else { self.fall_after_failure() };
                    return self.go_down(fall);
                }
            }
        }
        self.go_down(Fall::Clean)?;
        if self.options.profile.deceives() {
            return Ok(());
        }
        let found = verify(self.disk.folder())
            .map_err(|error| Violation { claim: "a clean end verifies", seen: error.to_string() })?;
        let is_clean = found.verdict == Verdict::Clean && found.sealed && found.position == assigned;
        claim("a clean end verifies", is_clean, || format!("{found:?}, and {assigned} changes were made"))
    }

    /// A replay of every change there ever was gives the state that checkpoints and the rest of the log give.
    pub(crate) fn check_whole_log(&mut self) -> Result<(), Violation> {
        // A restored log begins in the middle.
        if self.options.profile.deceives() || self.incarnation > 1 {
            return Ok(());
        }
        let short = state_hash(self.disk.folder(), 1);
        let whole = state_hash(&self.disk.whole_log(), 3);
        match (short, whole) {
            (Ok(short), Ok(whole)) => claim("checkpoint and rest are the whole log", short == whole, || {
                format!("{short:016x}, and the whole log gives {whole:016x}")
            }),
            (short, whole) => Err(Violation {
                claim: "checkpoint and rest are the whole log",
                seen: format!("{:?}, {:?}", short.err().map(|e| e.to_string()), whole.err().map(|e| e.to_string())),
            }),
        }
    }

    /// Starts the engine, as often as it takes.
    pub(crate) fn start(&mut self) -> Result<(), Violation> {
        for attempt in 0..STARTS_MAX {
            let Some(found) = self.look()? else { return Ok(()) };
            self.mix_futures()?;
            self.try_damage(&found)?;
            if attempt < BROKEN_STARTS_MAX {
                self.break_the_start();
            }
            if self.try_start(&found)? || self.is_over {
                return Ok(());
            }
        }
        // Faults are armed once and space comes back: after so many tries nothing stands in the way.
        Err(Violation { claim: "a start succeeds when nothing is broken", seen: format!("not in {STARTS_MAX} tries") })
    }

    /// Verifies what is left, and leads the model back to it. Nothing when the world is over.
    pub(crate) fn look(&mut self) -> Result<Option<VerifyReport>, Violation> {
        let profile = self.options.profile;
        self.tell(|| format!("there is {:?}", wal::Storage::list(self.disk.folder(), "")));
        let found = match verify(self.disk.folder()) {
            Ok(found) => found,
            Err(error) if profile.deceives() => {
                self.counts.refused_starts += 1;
                self.is_over = true;
                self.note(&[u64::from(error.verdict.exit_code())]);
                return Ok(None);
            }
            Err(error) => {
                return Err(Violation { claim: "what an honest disk leaves verifies", seen: error.to_string() });
            }
        };
        let position = found.position;
        claim(
            "an honest disk leaves nothing damaged",
            profile.deceives() || matches!(found.verdict, Verdict::Clean | Verdict::TornTail),
            || format!("{found:?}"),
        )?;
        // A lost write may be the very last batch, which nothing later vouches for.
        let least = match profile {
            Profile::Liar => 0,
            Profile::Lost => self.observed.min(self.before_the_last_batch(u64::MAX)),
            // And it may have landed on the one before.
            Profile::Misdirect => {
                let before = self.before_the_last_batch(u64::MAX);
                self.observed.min(self.before_the_last_batch(before))
            }
            _ => self.observed,
        };
        claim("what was answered or seen is there", position >= least, || {
            format!("position {position}, and {} was seen", self.observed)
        })?;
        let Some(point) = self.reference.at(position) else {
            // The changes of the last start were the last batch, and are lost: the model has no way back before it.
            let is_start_lost =
                matches!(profile, Profile::Lost | Profile::Misdirect) && (position, found.state_hash) == self.found;
            if profile == Profile::Liar || is_start_lost {
                self.is_over = true;
                return Ok(None);
            }
            return Err(Violation {
                claim: "what is left ends where a group ended",
                seen: format!("position {position} of {}", self.reference.position()),
            });
        };
        if let Some(hash) = point.hash {
            claim("what is left is a state that was", found.state_hash == hash, || {
                format!("{:016x} at {position}, and it was {hash:016x}", found.state_hash)
            })?;
        }
        if point.is_partial {
            // A mass of holds was half ended: the model ends all at once and cannot follow from here.
            probe::sometimes!("world: left in the middle of a mass of expiries");
            self.is_over = true;
            return Ok(None);
        }
        self.tell(|| format!("left: {found:?}"));
        self.reference.rewind(position);
        self.check_archived()?;
        self.changed.clear();
        self.observed = self.observed.min(position);
        self.note(&[position, found.state_hash]);
        Ok(Some(found))
    }

    /// Where the log ended before its last batch, the one that nothing later vouches for.
    fn before_the_last_batch(&self, position: u64) -> u64 {
        let last = self.batch_ends.last().copied().unwrap_or(0).min(position);
        if position != u64::MAX && last < position {
            // What was in flight is there as well, and was never acknowledged.
            return last;
        }
        self.batch_ends.iter().rev().copied().find(|&end| end < last).unwrap_or(last)
    }

    /// What a folder may come back as that loses its end: the last batch that was acknowledged and what was in flight
    /// behind it, for which nothing vouches. Positions and hashes.
    fn without_the_last_batch(&self, found: &VerifyReport) -> Vec<(u64, u64)> {
        // One round of the committer may write several batches: only the folder tells where each ends.
        let mut ends = Vec::new();
        let walked = walk(self.disk.folder(), 0, &mut |line| {
            if let Line::Batch(found) = line
                && found.standing == wal::Standing::Counts
                && found.batch.count > 0
            {
                ends.push(found.batch.first_position - 1);
            }
            std::ops::ControlFlow::Continue(())
        });
        // What cannot be walked through is refused, and then nothing shorter is right.
        if walked.is_err() {
            return Vec::new();
        }
        let acknowledged = self.batch_ends.last().copied().unwrap_or(0).min(found.position);
        let least = ends.iter().copied().filter(|&end| end < acknowledged).max().unwrap_or(acknowledged);
        let hash_at = |end| match self.found {
            (position, hash) if position == end => Some(hash),
            _ => self.reference.at(end).and_then(|point| point.hash),
        };
        ends.into_iter().filter(|&end| end >= least).filter_map(|end| Some((end, hash_at(end)?))).collect()
    }

    /// Damages copies of the folder and holds what a check and a start make of them against the claim.
    fn try_damage(&mut self, found: &VerifyReport) -> Result<(), Violation> {
        let copies = match self.options.profile {
            Profile::Rot => 4,
            Profile::Plans => 2,
            _ => return Ok(()),
        };
        let shorter = self.without_the_last_batch(found);
        for _ in 0..copies {
            let folder = self.disk.folder().duplicate();
            let damage = if self.options.profile == Profile::Plans {
                damage::of_plans(&folder, &mut self.random)
            } else {
                damage::of_bytes(&folder, &mut self.random)
            };
            let Some(damage) = damage else { continue };
            self.counts.damaged_copies += 1;
            let refused = damage::check(&folder, &damage, found, &shorter)?;
            self.counts.refused_starts += u64::from(refused);
            // A start makes the same of it.
            let mut config = self.config();
            config.accept_clock_jump = true;
            let clock = ClockSource::Manual(ManualClock::new(TimestampMs(self.now_ms)));
            let opened = open(Arc::new(folder.duplicate()), clock, config, &mut |_| {});
            let agrees = match &opened {
                Ok(opened) => {
                    let hash_now = opened.report.state_hash;
                    !refused && (hash_now == found.state_hash || shorter.iter().any(|&(_, hash)| hash_now == hash))
                }
                Err(_) => refused,
            };
            claim("a start and a check agree on a damaged folder", agrees, || {
                format!("{damage}: verify refuses: {refused}; start: {:?}", opened.map(|opened| opened.report).err())
            })?;
            self.note(&[u64::from(refused)]);
        }
        Ok(())
    }

    fn config(&mut self) -> EngineConfig {
        // Without the probes nobody tells how much is forgotten: then nothing is.
        let forgets = cfg!(usher_sim);
        EngineConfig {
            shards: self.random.within(1..=self.options.shards_max) as usize,
            segment_bytes: self.options.segment_bytes,
            memory_budget_bytes: if forgets { self.options.memory_budget_bytes } else { 64 << 20 },
            ended_holds_min: if forgets { self.options.ended_holds_min } else { 1_024 },
            mailbox_commands_max: self.options.mailbox_commands_max,
            accept_clock_jump: false,
            checkpoint_log_bytes: self.options.checkpoint_log_bytes,
            checkpoint_segments: self.options.checkpoint_segments,
            batches_in_flight: self.options.batches_in_flight,
            instance: Some([7; 16]),
            deterministic: true,
            ..EngineConfig::default()
        }
    }

    /// One start. Whether it succeeded; if not, a fault was in the way and the next one may.
    fn try_start(&mut self, found: &VerifyReport) -> Result<bool, Violation> {
        // A start that was cut short after its last write was one all the same, until the power takes what it has not
        // synced.
        let restored = self.restored.filter(|restored| restored.log == found.time);
        let wall = self.wall();
        let mut config = self.config();
        let is_new = found.time == TimestampMs(0);
        let day_ms = 24 * 3_600_000;
        // A backup may be old: its restore is what the clock is compared with.
        let known = restored.map_or(found.time, |restored| restored.at.max(found.time));
        let jumped = !is_new && (known.since(wall) > day_ms || wall.since(known) > 30 * day_ms);
        config.accept_clock_jump = jumped && (self.random.percent(70) || self.clock_was_refused);
        let accepts = config.accept_clock_jump;
        let start = wall.max(found.time);
        let downtime_ms = if is_new { 0 } else { start.since(found.time) };
        let clock = ManualClock::new(wall);
        let source = ClockSource::Manual(Arc::clone(&clock));
        let result = open(Arc::new(self.disk.clone()), source, config, &mut |_| {});
        if let Err(OpenError::ClockJump { .. }) = &result {
            probe::sometimes!("start: the wall clock is not believed");
            claim("only a wall clock far from the log is refused", jumped && !accepts, || {
                format!("wall {wall:?}, log {:?}", found.time)
            })?;
            // Somebody sets it right, or knows that it is.
            self.options.wall_error_ms_max = 0;
            self.clock_was_refused = true;
            return Ok(false);
        }
        claim("a wall clock far from the log is refused", !jumped || accepts, || {
            format!("wall {wall:?}, log {:?}", found.time)
        })?;
        // What a start that was cut short may have left behind: the changes that give the time away back.
        if !found.unfinished_start {
            self.reference.forget_given();
        }
        let given_ms = self.reference.given_ms(found.time);
        probe::sometimes!("world: a start goes on with what another has begun", given_ms > 0);
        let (most_ms, cause) = match restored {
            Some(_) => (u64::MAX, ResumeCause::Restored),
            None => (OUTAGE_GRACE_MS_MAX, ResumeCause::Outage),
        };
        let shift_ms = downtime_ms.min(most_ms).saturating_sub(given_ms);
        self.reference.resume(found.time, shift_ms, cause);
        match result {
            Ok(opened) => self.adopt(opened, clock, start, downtime_ms, found, restored.is_some()).map(|()| true),
            Err(error) => self.after_failed_start(&error).map(|()| false),
        }
    }

    fn after_failed_start(&mut self, error: &OpenError) -> Result<(), Violation> {
        self.counts.cycles += 1;
        self.tell(|| format!("start failed: {error}"));
        let is_fault = matches!(error, OpenError::Io { .. } | OpenError::Write(_) | OpenError::Checkpoint(_));
        claim("a start fails only when the disk does", is_fault, || error.to_string())?;
        let fall = if self.disk.is_off() { Fall::Power(self.keep()) } else { self.fall_after_failure() };
        // Space is made, and what failed once works again.
        self.disk.set_capacity(None);
        self.go_down(fall)
    }

    /// Some starts are cut short.
    fn break_the_start(&mut self) {
        let soon = self.random.within(1..=14);
        match self.options.profile {
            Profile::Error if self.random.percent(25) => self.disk.arm_failure(soon),
            _ if self.random.percent(20) => self.disk.arm_power_failure(soon),
            _ => {}
        }
    }

    /// What the wall clock says.
    fn wall(&mut self) -> TimestampMs {
        let error = self.options.wall_error_ms_max;
        if error == 0 || self.random.percent(40) {
            return TimestampMs(self.now_ms);
        }
        let by = self.random.below(error + 1);
        let wall = if self.random.percent(50) { self.now_ms + by } else { self.now_ms.saturating_sub(by) };
        TimestampMs(wall.max(START_MS / 2))
    }

    /// A start has succeeded: what it says of itself is checked, and the world goes on.
    fn adopt(
        &mut self,
        opened: Opened,
        clock: Arc<ManualClock>,
        start: TimestampMs,
        downtime_ms: u64,
        found: &VerifyReport,
        is_restored: bool,
    ) -> Result<(), Violation> {
        let Opened { engine, shards, committer, checkpointer, report } = opened;
        self.counts.cycles += 1;
        self.tell(|| format!("up: {report:?}"));
        claim("a start and a check see the same state", report.state_hash == found.state_hash, || {
            format!("{:016x}, and the check saw {:016x}", report.state_hash, found.state_hash)
        })?;
        claim("time goes on from the log or the wall, whichever is later", report.time == start, || {
            format!("{:?}, and it must be {start:?}", report.time)
        })?;
        claim("the time away is known", report.downtime_ms == downtime_ms, || {
            format!("{}, and it was {downtime_ms}", report.downtime_ms)
        })?;
        claim("every event with live holds is resumed once", report.position == self.reference.position(), || {
            format!("position {}, and it must be {}", report.position, self.reference.position())
        })?;
        self.restored = None;
        claim("a start knows a restored folder", report.restored == is_restored, || format!("{report:?}"))?;
        claim("every future has its own incarnation", engine.incarnation() == self.incarnation, || {
            format!("{}, and it is number {}", engine.incarnation(), self.incarnation)
        })?;
        let status = engine.status();
        let hash = status.shards.iter().fold(0, |hash, shard| hash ^ shard.hash);
        self.reference.settle(hash);
        let count = shards.len();
        self.running = Some(Running {
            shards,
            committer,
            checkpointer,
            clock,
            inbox: Arc::new(Inbox::default()),
            queues: vec![VecDeque::new(); count],
            shard_now: vec![start; count],
            more_due: vec![false; count],
            woke: vec![Vec::new(); count],
            assigned: report.position,
            position: report.position,
            engine,
        });
        self.note(&[report.position, hash, start.0, count as u64]);
        self.observed = self.observed.max(report.position);
        // The start has written a watermark, which vouches for all but its own changes.
        self.batch_ends = vec![found.position, report.position];
        self.found = (found.position, found.state_hash);
        self.disk_faults_of_the_run();
        self.make_plans();
        self.compare_views()
    }

    /// What was armed for the start must not hang over the run.
    fn disk_faults_of_the_run(&mut self) {
        if self.options.profile.deceives() {
            self.disk.disarm();
        } else {
            self.disk.heal();
        }
    }
}
