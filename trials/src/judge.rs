//! Both judges over the histories of a round, and what they found.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::by_position;
use crate::history::History;
use crate::linear::{self, Verdict};
use crate::log::Log;

/// What was judged so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Histories.
    pub histories: usize,
    /// Operations in them.
    pub operations: usize,
    /// Changes of the log replayed through the model.
    pub changes: usize,
    /// Answers compared with it.
    pub answers: usize,
    /// Operations of unknown outcome, and how many of them had taken effect.
    pub unknown: usize,
    /// See above.
    pub unknown_done: usize,
    /// Histories that the search could not decide.
    pub undecided: usize,
}

impl Judged {
    /// Judges some histories against the log and by search.
    ///
    /// # Errors
    /// The first contradiction. Its history is written into `folder`, which is named.
    pub fn judge(&mut self, histories: &[History], log: &Log, folder: &Path) -> Result<()> {
        for history in histories {
            self.judge_one(history, log).or_else(|error| {
                let path = folder.join(format!("{}.jsonl", history.event_id));
                history.write(&path)?;
                Err(error.context(format!("the history is in {}", path.display())))
            })?;
        }
        Ok(())
    }

    fn judge_one(&mut self, history: &History, log: &Log) -> Result<()> {
        let event = log.events.get(&history.event_id);
        let event = event.with_context(|| format!("event {} was made and is not in the log", history.event_id))?;
        let checked = by_position::check(history, &event.changes, &event.plan).map_err(anyhow::Error::msg)?;
        match linear::check(history) {
            Verdict::Linearizable => {}
            Verdict::Violated(what) => bail!("{what}"),
            Verdict::Undecided(why) => {
                eprintln!("UNDECIDED by search: event {}: {why}", history.event_id);
                self.undecided += 1;
            }
        }
        self.histories += 1;
        self.operations += history.operations.len();
        self.changes += checked.changes;
        self.answers += checked.answers;
        self.unknown += checked.unknown_done + checked.unknown_not_done;
        self.unknown_done += checked.unknown_done;
        Ok(())
    }
}
