//! How much may be in flight: commands and their bytes, over all connections. Full means OVERLOADED, at
//! once and without touching a shard.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::{
    limits::{IN_FLIGHT_BYTES_MAX, IN_FLIGHT_COMMANDS_MAX},
    refusal::{Refusable, Refusal},
    state::Edge,
};

/// Counts what is in flight.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    commands: AtomicUsize,
    bytes: AtomicUsize,
}

impl Admission {
    /// Takes in one command of about so many bytes.
    pub(crate) fn take(&self, bytes: usize) -> Refusable<()> {
        self.take_all(1, bytes)
    }

    /// Takes in so many commands of about so many bytes together, or none of them.
    pub(crate) fn take_all(&self, count: usize, bytes: usize) -> Refusable<()> {
        let commands = self.commands.fetch_add(count, Ordering::Relaxed);
        let taken = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if commands + count > IN_FLIGHT_COMMANDS_MAX || taken + bytes > IN_FLIGHT_BYTES_MAX {
            self.give_back(count, bytes);
            return Err(Refusal::overloaded());
        }
        Ok(())
    }

    /// These commands are answered.
    pub(crate) fn give_back(&self, commands: usize, bytes: usize) {
        self.commands.fetch_sub(commands, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Commands in flight.
    pub(crate) fn commands(&self) -> usize {
        self.commands.load(Ordering::Relaxed)
    }
}

/// One command in flight, for as long as this lives.
pub(crate) struct Permit {
    edge: Arc<Edge>,
    bytes: usize,
}

impl Permit {
    /// Takes in one command of about so many bytes.
    pub(crate) fn take(edge: &Arc<Edge>, bytes: usize) -> Refusable<Permit> {
        edge.admission.take(bytes)?;
        Ok(Permit { edge: Arc::clone(edge), bytes })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.edge.admission.give_back(1, self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_full_refuses_and_counts_nothing() {
        let admission = Admission::default();
        for _ in 0..IN_FLIGHT_COMMANDS_MAX {
            admission.take(1).expect("room");
        }
        assert!(admission.take(1).is_err());
        assert_eq!(admission.commands(), IN_FLIGHT_COMMANDS_MAX);
        admission.give_back(1, 1);
        admission.take(1).expect("room again");
        assert!(Admission::default().take(IN_FLIGHT_BYTES_MAX + 1).is_err());
    }
}
