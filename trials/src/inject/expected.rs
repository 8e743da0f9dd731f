//! What must come of a failing call, call site by call site.
//!
//! | who calls | on what | what must come of EIO and ENOSPC |
//! |---|---|---|
//! | the committer | a segment, `WATERMARK` | the process ends at once with 74: nobody knows what the device holds |
//! | the preparer of segments | the next segment, the folder | EIO: it ends with 74 when that segment is needed. ENOSPC: it is tried again then, and there is room |
//! | the checkpointer | `snap-*`, segments it reads, the folder | nothing: the log is whole and only grows longer |
//! | a start | anything | it is refused with one sentence, and has lost nothing |
//!
//! EINTR is nobody's fault and harms nobody.

use super::trace::Failed;

/// What must come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Expected {
    /// The server goes on.
    RidesOut,
    /// The server ends with 74 when the next segment is needed.
    EndsLater,
    /// The server ends with 74 at once.
    Ends,
    /// The start is refused.
    Refuses,
}

pub(super) const COMMITTER: &str = "usher-log";
pub(super) const PREPARER: &str = "wal-prepare";
pub(super) const CHECKPOINTER: &str = "usher-checkpoint";

/// What must come of this call's failing so.
pub(super) fn expected(failed: &Failed, error: &str, is_start: bool) -> Expected {
    if error == "EINTR" {
        return Expected::RidesOut;
    }
    match failed.thread.as_str() {
        COMMITTER => Expected::Ends,
        PREPARER if error == "ENOSPC" => Expected::RidesOut,
        PREPARER => Expected::EndsLater,
        // The system keeps 15 letters of a thread's name.
        name if CHECKPOINTER.starts_with(name) => Expected::RidesOut,
        _ if is_start => Expected::Refuses,
        _ => Expected::RidesOut,
    }
}
