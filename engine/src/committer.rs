//! The committer: the one writer of the log.

use wal::WriteError;

/// Takes the groups of all shards, makes them durable, gives them back.
pub struct Committer {}

impl Committer {
    /// Works until [`crate::Engine::stop`], then ends the log cleanly. Waits for work: for a thread of its
    /// own. An error means that nobody knows what is on the device: end the process.
    pub fn run(self) -> Result<(), WriteError> {
        unimplemented!("the skeleton")
    }

    /// One round without waiting, for tests and the simulator. Whether it did anything.
    pub fn turn(&mut self) -> Result<bool, WriteError> {
        unimplemented!("the skeleton")
    }
}
