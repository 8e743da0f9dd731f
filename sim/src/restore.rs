//! Going back to an earlier moment: a new folder from what the log says up to there, another incarnation, and live
//! holds that get all the time since then back.
//!
//! Not here: snapshots and archives as files (crate `backup` tests those); the start that follows (`fall.rs`).

use engine::{LoggedBatch, Rebuild, TimestampMs, Until, verify};
use wal::{MemoryStorage, RecoverFrom, Storage, recover};

use crate::{
    violation::{Violation, claim},
    world::World,
};

/// A restore that no start has answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Restored {
    /// The wall clock at the restore.
    pub(crate) at: TimestampMs,
    /// The time of the restored state. A log that is later has had its start.
    pub(crate) log: TimestampMs,
}

impl World {
    /// Makes a new folder of the state at an earlier position and goes on with that.
    pub(crate) fn restore(&mut self) -> Result<(), Violation> {
        if self.look()?.is_none() {
            return Ok(());
        }
        let positions = self.reference.ends();
        let position = *self.random.pick(&positions);
        if position == 0 {
            return Ok(());
        }
        let wrong = |what: String| Violation { claim: "any position can be restored", seen: what };
        let whole = self.disk.whole_log();
        let rebuild = rebuild_until(&whole, position).map_err(|what| wrong(format!("position {position}: {what}")))?;
        let folder = MemoryStorage::new();
        self.now_ms += self.random.within(1..=200_000);
        let at = TimestampMs(self.now_ms);
        let made = rebuild.write(&folder, at).map_err(|error| wrong(error.to_string()))?;
        let hash = self.reference.at(position).and_then(|point| point.hash);
        claim("any position can be restored", made.position == position, || format!("{position}: {made:?}"))?;
        claim("a restored state is one that was", hash.is_none_or(|hash| hash == made.state_hash), || {
            format!("{hash:016x?} at {position}, restored {made:?}")
        })?;
        probe::sometimes!("world: an earlier moment is restored", position < self.reference.position());
        self.tell(|| format!("restored to {position}: {made:?}"));
        let old = self.disk.folder().clone();
        let names = old.list("").unwrap_or_default();
        self.old_segments = names
            .into_iter()
            .filter(|name| name.ends_with(".seg"))
            .filter_map(|name| Some((name.clone(), old.contents(&name)?)))
            .collect();
        self.reference.rewind(position);
        self.disk = self.disk.with_another_log(folder);
        self.restored = Some(Restored { at, log: made.time });
        self.incarnation += 1;
        // What was seen of the other future is void; its positions have another incarnation.
        self.observed = position;
        self.batch_ends = vec![position];
        self.found = (position, made.state_hash);
        self.changed.clear();
        self.reference.forget_images();
        self.traffic.forget_images();
        self.note(&[position, made.state_hash]);
        Ok(())
    }

    /// A file of the other future is copied into the folder. It must be noticed.
    pub(crate) fn mix_futures(&mut self) -> Result<(), Violation> {
        let there = self.disk.folder().list("").unwrap_or_default();
        let Some(at) = self.old_segments.iter().position(|(name, _)| !there.contains(name)) else { return Ok(()) };
        if !there.iter().any(|name| name.ends_with(".seg")) {
            return Ok(());
        }
        let (name, content) = self.old_segments.swap_remove(at);
        // A copy is what is durable: after a failed sync that is less than what is read.
        let copy = self.disk.folder().duplicate();
        let Ok(before) = verify(&copy) else { return Ok(()) };
        copy.put(&name, content);
        // It is refused, or passed over because a checkpoint covers it.
        match verify(&copy) {
            Err(_) => Ok(()),
            Ok(found) => {
                let same = found.state_hash == before.state_hash && found.position == before.position;
                claim("a file of another future is not taken for one of this", same, || {
                    format!("{name} in {there:?}: {found:?}, and without it {before:?}")
                })
            }
        }
    }
}

fn rebuild_until(whole: &MemoryStorage, position: u64) -> Result<Rebuild, String> {
    let plans = whole.list(engine::PLANS_DIR).unwrap_or_default();
    // One that a fall has left aside is no plan yet.
    let plans = plans.iter().filter(|name| name.ends_with(".plan"));
    let plans = plans.filter_map(|name| whole.contents(&format!("{}/{name}", engine::PLANS_DIR)));
    let identity = recover(whole, RecoverFrom::start(), &mut |_| Ok(())).map_err(|error| error.to_string())?.identity;
    let identity = identity.ok_or("there is no log")?;
    let mut rebuild = Rebuild::from_start(identity, plans.collect()).map_err(|error| error.to_string())?;
    let mut is_done = false;
    recover(whole, RecoverFrom::start(), &mut |batch| {
        if is_done {
            return Ok(());
        }
        let goes_on =
            rebuild.apply(&LoggedBatch { content: batch.content(), chain: batch.chain }, Until::Position(position))?;
        is_done = !goes_on;
        Ok(())
    })
    .map_err(|error| error.to_string())?;
    Ok(rebuild)
}
