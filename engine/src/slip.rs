//! Mistakes of threads that can be planted, to prove that the models find them. Each is one that a review
//! would let pass: the same steps in another order.
//!
//! Only builds that run models know them (`--cfg loom`, `--cfg shuttle`), and there the environment names
//! one: `USHER_SLIP=WokenBeforePut`. Everywhere else [`slips`] is the constant `false`.

/// A mistake that can be planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slip {
    /// Who waits for an answer looks first and leaves its waker in a second step.
    WakerAfterLook,
    /// A reader of cells under a version does not fence its second look.
    NoFence,
    /// A mailbox is asked whether it is closed before its lock is taken.
    ClosedBeforeLock,
    /// A shard is woken for a command that is not in its mailbox yet.
    WokenBeforePut,
    /// A shard sends its group and then marks it as untaken.
    MarkedAfterSent,
    /// A shard counts commands as judged before the group with their answers is handed over.
    JudgedBeforeHanded,
    /// Answers leave before the views show what they speak of.
    AnswerBeforeView,
}

/// Whether this mistake is planted.
#[cfg(not(any(loom, shuttle)))]
pub(crate) const fn slips(_: Slip) -> bool {
    false
}

/// Whether this mistake is planted.
#[cfg(any(loom, shuttle))]
pub(crate) fn slips(slip: Slip) -> bool {
    // Not a lock that a model should see.
    static PLANTED: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let planted = PLANTED.get_or_init(|| std::env::var("USHER_SLIP").ok());
    planted.as_deref().is_some_and(|planted| planted == format!("{slip:?}"))
}
