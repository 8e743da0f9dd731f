//! The bugs that can be planted. Each is a mistake that somebody has made in a system like this one.

/// A planted bug. Not one of them exists in a normal build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Answers leave before the log is synced.
    AckBeforeSync,
    /// A refusal does not wait for what it looked at.
    RejectWithoutBarrier,
    /// The folder is not synced after a segment was created.
    NoDirSync,
    /// A checkpoint is renamed before its content is synced.
    RenameBeforeSync,
    /// The log goes with the newest checkpoint instead of the older one.
    LogRemovedEarly,
    /// Recovery takes the first batch that does not check for the end.
    TailAtFirstBad,
    /// A batch calls the one before it durable that is only written.
    DurableAhead,
    /// A start serves before what it took over is synced again.
    ServeBeforeRelog,
    /// The watermark speaks of a batch before it is durable.
    WatermarkAhead,
    /// The header of a new epoch calls everything durable that it kept.
    KeptAsWitness,
    /// Ended holds are left out of checkpoints.
    EndedHoldsNotInCheckpoint,
    /// The floor of forgotten ids is one too low.
    FloorOffByOne,
    /// A restored folder keeps the incarnation of the one before.
    PositionWithoutIncarnation,
    /// The time away is given to live holds twice.
    ResumedTwice,
    /// A hold lives through the instant of its deadline.
    ConfirmAtDeadline,
    /// The last seat of a hold is taken without a look at it.
    LastSeatUnchecked,
    /// The counts of a view miss the last place of a release.
    CounterDrift,
    /// A failed sync is tried again, and believed.
    SyncRetried,
    /// The content of a batch is believed when its frame looks right.
    PayloadUnchecked,
    /// A start believes a wall clock that went back.
    TimeGoesBack,
    /// Only the first seat of a hold is freed when it expires.
    ExpiryFreesOne,
    /// A repeated extension is made again instead of being answered.
    ExtendExecutedAgain,
    /// Answers leave in another order than their commands were judged.
    RepliesReordered,
    /// A plan file is not durable before the event that names it.
    PlanNotSynced,
    /// A late payment takes its places back without a look at who has them now.
    ReclaimBlind,
    /// What a hold gives back still counts for its customer.
    AllowanceKept,
    /// What best available chose is judged by the orphan rule once more.
    OrphanJudgedTwice,
    /// Best available takes what is set aside for others.
    AllocationIgnored,
    /// A cart is sold, and its last event is never told.
    CartHalfApplied,
    /// An event is retired whatever has changed since the image that was archived.
    RetiredStale,
    /// What rested at a checkpoint rests for ever after the next start.
    RestForEver,
}

impl Bug {
    /// All of them.
    pub const ALL: &[Bug] = &[
        Bug::AckBeforeSync,
        Bug::RejectWithoutBarrier,
        Bug::NoDirSync,
        Bug::RenameBeforeSync,
        Bug::LogRemovedEarly,
        Bug::TailAtFirstBad,
        Bug::DurableAhead,
        Bug::ServeBeforeRelog,
        Bug::WatermarkAhead,
        Bug::KeptAsWitness,
        Bug::EndedHoldsNotInCheckpoint,
        Bug::FloorOffByOne,
        Bug::PositionWithoutIncarnation,
        Bug::ResumedTwice,
        Bug::ConfirmAtDeadline,
        Bug::LastSeatUnchecked,
        Bug::CounterDrift,
        Bug::SyncRetried,
        Bug::PayloadUnchecked,
        Bug::TimeGoesBack,
        Bug::ExpiryFreesOne,
        Bug::ExtendExecutedAgain,
        Bug::RepliesReordered,
        Bug::PlanNotSynced,
        Bug::ReclaimBlind,
        Bug::AllowanceKept,
        Bug::OrphanJudgedTwice,
        Bug::AllocationIgnored,
        Bug::CartHalfApplied,
        Bug::RetiredStale,
        Bug::RestForEver,
    ];
}
