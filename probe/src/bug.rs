//! The bugs that can be planted. Each is a mistake that somebody has made in a system like this one.

/// A planted bug. Not one of them exists in a normal build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Bug {
    /// Answers leave before the log is synced.
    AckBeforeSync,
    /// A refusal does not wait for what it looked at.
    RejectWithoutBarrier,
    /// The folder is not synced after a file was created or renamed.
    NoDirSync,
    /// A checkpoint is renamed before its content is synced.
    RenameBeforeSync,
    /// The log goes although the checkpoint that covers it was not read back.
    LogRemovedEarly,
    /// Recovery stops looking at the first batch that does not check.
    TailAtFirstBad,
    /// The length of a batch is believed before its header's checksum.
    LengthBeforeChecksum,
    /// A start serves before what it took over is synced again.
    ServeBeforeRelog,
    /// The watermark is written before the batch it speaks of is durable.
    WatermarkAhead,
    /// The header of a new epoch calls everything durable that it kept.
    KeptAsWitness,
    /// Ended holds are left out of checkpoints.
    EndedHoldsNotInCheckpoint,
    /// The floor of forgotten ids is one too low.
    FloorOffByOne,
    /// A start takes an older incarnation for its own.
    PositionWithoutIncarnation,
    /// The time away is given to live holds twice.
    ResumedTwice,
    /// A hold may be confirmed in the instant of its deadline.
    ConfirmAtDeadline,
    /// A refused hold keeps the places it had taken.
    PartialHoldOnError,
    /// A release of seats gives one too few back to the counts.
    CounterDrift,
    /// A failed sync is tried again.
    SyncRetried,
    /// Batches of an older epoch above the kept one are taken over.
    StaleEpochApplied,
    /// The clock of decisions is the wall clock and goes back with it.
    TimeGoesBack,
    /// Only the first seat of a hold is freed when it expires.
    ExpiryFreesOne,
    /// A repeated hold is made again instead of being answered.
    RepeatExecutedAgain,
    /// Answers leave in another order than their commands were judged.
    RepliesReordered,
    /// A plan file is not durable before the event that names it.
    PlanNotSynced,
}

impl Bug {
    /// All of them.
    pub const ALL: [Bug; 24] = [
        Bug::AckBeforeSync,
        Bug::RejectWithoutBarrier,
        Bug::NoDirSync,
        Bug::RenameBeforeSync,
        Bug::LogRemovedEarly,
        Bug::TailAtFirstBad,
        Bug::LengthBeforeChecksum,
        Bug::ServeBeforeRelog,
        Bug::WatermarkAhead,
        Bug::KeptAsWitness,
        Bug::EndedHoldsNotInCheckpoint,
        Bug::FloorOffByOne,
        Bug::PositionWithoutIncarnation,
        Bug::ResumedTwice,
        Bug::ConfirmAtDeadline,
        Bug::PartialHoldOnError,
        Bug::CounterDrift,
        Bug::SyncRetried,
        Bug::StaleEpochApplied,
        Bug::TimeGoesBack,
        Bug::ExpiryFreesOne,
        Bug::RepeatExecutedAgain,
        Bug::RepliesReordered,
        Bug::PlanNotSynced,
    ];
}
