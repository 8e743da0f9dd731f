//! A folder in memory that can be stopped and crashed.

/// What a crash leaves of what was written and not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Nothing: the worst case, and also the simplest.
    Nothing,
    /// Everything: as when only the process dies.
    Everything,
    /// Any part, chosen by this seed: page by page, entry by entry.
    Seeded(u64),
}

/// A folder in memory; clones share it.
#[derive(Debug, Clone)]
pub struct MemoryStorage {}
