//! What ends the process when a thread that the others depend on panics.
//!
//! A shard that panicked in the middle of a change, or a committer that is gone, leaves callers waiting for
//! ever and a state that nobody can trust. A start makes the state anew from the log.

/// Ends the process when it is dropped by a panic. It says whose.
pub(crate) struct AbortOnPanic(pub(crate) &'static str);

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        // A model checker runs its threads on one of the machine's, a simulation its worlds: they tell of the panic.
        if std::thread::panicking() && !cfg!(any(loom, shuttle, usher_sim)) {
            // The panic's own message is out already.
            eprintln!("{} panicked: what is in memory cannot be trusted, ending the process", self.0);
            std::process::abort();
        }
    }
}
