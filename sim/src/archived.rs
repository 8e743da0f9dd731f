//! Events that have left memory: the file of each, held against what the model said of it when it went.
//!
//! Not here: how they leave (`traffic.rs`), and that their names stay taken, which the model says.

use engine::{EventFile, event_file};
use inventory_core::{
    command::Command,
    ids::{EventKey, TimestampMs},
    order::{List, Listed},
    place::PlaceState,
};
use model::{Answer, Model, normal};
use wal::Storage;

use crate::{
    violation::{Violation, claim},
    world::World,
};

/// What an event was when it was retired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Archived {
    seats: Vec<PlaceState>,
    /// Held, sold and killed.
    areas: Vec<(u32, u32, u32)>,
    /// What is sold, as a list of orders tells it.
    sales: Option<Answer>,
}

impl Archived {
    /// What the event is, if this command may retire it.
    pub(crate) fn of(command: &Command, model: &Model, key: EventKey) -> Option<Archived> {
        let Command::RetireEvent(_) = command else { return None };
        let list = Command::List(List { what: Listed::Orders, from: 0, count_max: 256 });
        // A list looks at no clock.
        let sales = normal(model.clone().execute(TimestampMs(0), key, &list)).ok();
        Some(Archived { seats: model.seat_states(key), areas: model.area_counts(key), sales })
    }

    fn read(file: &EventFile) -> Archived {
        let event = file.event();
        let plan = file.plan();
        let counts = |area| {
            let counts = event.area_counts(area);
            (counts.held, counts.sold, counts.killed)
        };
        // At most 2^16 areas.
        let areas = (0..plan.areas().len()).map(|area| counts(area as u16)).collect();
        let sales = normal(Ok(Answer::Page { holds: Vec::new(), parts: file.sales() })).ok();
        Archived { seats: (0..plan.seat_count()).map(|seat| event.seat_state(seat)).collect(), areas, sales }
    }
}

impl World {
    /// Every event that is gone has left its last state in a file.
    pub(crate) fn check_archived(&self) -> Result<(), Violation> {
        // A restore brings the log back, not what was archived of it.
        if self.incarnation > 1 {
            return Ok(());
        }
        for key in self.reference.retired() {
            let path = event_file(key);
            let read = self.disk.folder().open_read(&path).map_err(|error| error.to_string());
            let read = read.and_then(|file| EventFile::read(file.as_ref()).map_err(|error| error.to_string()));
            let file = read.map_err(|what| Violation {
                claim: "a retired event has left its file",
                seen: format!("{path}: {what}"),
            })?;
            let (found, known) = (Archived::read(&file), self.archived.get(&key));
            claim("a retired event is in its file as it was", known == Some(&found), || {
                format!("{path} has {found:?}, and it was {known:?}")
            })?;
        }
        Ok(())
    }
}
