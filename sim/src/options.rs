//! What one world is like, drawn from its seed ("swarm testing": a world that leaves things out finds more
//! than one that has everything; Groce et al., ISSTA 2012).

use std::fmt;

use crate::random::Random;

/// What may go wrong, and so what must still hold. TigerBeetle calls it the fault atlas: faults are limited
/// to what the design must survive, and each kind has its own claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// Power fails and processes die. All that was answered is there.
    Crash,
    /// Calls of the disk fail. Nothing is answered after the failure, all that was answered is there.
    Error,
    /// The disk fills up. Holds are refused, what ends them works; it recovers with space.
    Full,
    /// Bytes of files rot. Recovered exactly, or refused.
    Rot,
    /// A write goes to another place. As for rot.
    Misdirect,
    /// A write never arrives, though it is called durable. As for rot.
    Lost,
    /// Syncs lie. What is recovered is a state that was, and nothing newer than it is invented.
    Liar,
    /// Clocks jump while the process is away. No hold ends early, none lives on.
    Clock,
    /// Queues are short and disks slow. Refused at once or answered; nothing waits for ever.
    Overload,
    /// Commands come twice, late, and after their memory. Each takes effect once.
    Repeat,
    /// Little memory for ended holds. Late duplicates never hold twice.
    Forget,
    /// Plan files are lost or damaged. A start refuses exactly when it needs one.
    Plans,
    /// Many holds end in the same moment.
    MassExpiry,
    /// Carts over several events, and power that fails. All of a cart is sold or none of it.
    Carts,
    /// Everything that the design must survive, at once.
    Mixed,
}

impl Profile {
    /// All of them.
    pub const ALL: &[Profile] = &[
        Profile::Crash,
        Profile::Error,
        Profile::Full,
        Profile::Rot,
        Profile::Misdirect,
        Profile::Lost,
        Profile::Liar,
        Profile::Clock,
        Profile::Overload,
        Profile::Repeat,
        Profile::Forget,
        Profile::Plans,
        Profile::MassExpiry,
        Profile::Carts,
        Profile::Mixed,
    ];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Profile::Crash => "crash",
            Profile::Error => "error",
            Profile::Full => "full",
            Profile::Rot => "rot",
            Profile::Misdirect => "misdirect",
            Profile::Lost => "lost",
            Profile::Liar => "liar",
            Profile::Clock => "clock",
            Profile::Overload => "overload",
            Profile::Repeat => "repeat",
            Profile::Forget => "forget",
            Profile::Plans => "plans",
            Profile::MassExpiry => "mass-expiry",
            Profile::Carts => "carts",
            Profile::Mixed => "mixed",
        }
    }

    /// The profile with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Profile> {
        Profile::ALL.iter().copied().find(|profile| profile.name() == name)
    }

    /// The profile of a seed that names none.
    #[must_use]
    pub fn of_seed(seed: u64) -> Profile {
        // A list of a dozen.
        Profile::ALL[(seed % Profile::ALL.len() as u64) as usize]
    }

    /// Whether the device itself deceives: then a refusal to start is an answer, and ends the world.
    #[must_use]
    pub fn deceives(self) -> bool {
        matches!(self, Profile::Misdirect | Profile::Lost | Profile::Liar)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The kinds of commands, in the order of their weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Named seats.
    HoldSeats,
    /// Admissions.
    HoldArea,
    /// Best available.
    HoldBest,
    /// A hold in place of another.
    Replace,
    /// A later deadline.
    Extend,
    /// All of a hold sold.
    Confirm,
    /// Some of it.
    ConfirmPart,
    /// All of it after its expiry.
    Reclaim,
    /// All of a hold open again.
    Release,
    /// Some of it.
    ReleasePart,
    /// A payment is begun.
    BeginPayment,
    /// It came to nothing.
    EndPayment,
    /// Places are sold without a hold.
    SellDirect,
    /// Sold places come back.
    Return,
    /// Sold places are given for others.
    Exchange,
    /// The house withdraws places.
    Kill,
    /// It gives them back.
    Unkill,
    /// Places are set aside, or a window of an allocation changes.
    SetAside,
    /// They are set aside no longer.
    RemoveAside,
    /// Places get another price level.
    Relevel,
    /// An event leaves memory, in two steps, or is taken off sale before.
    Retire,
    /// A look at an order, or at a list.
    Look,
    /// A look at a hold.
    GetHold,
    /// Ways to seat a party.
    Suggest,
    /// What a hold would do.
    Explain,
    /// A new event, or one that is there.
    Create,
    /// Policies, states, windows.
    Update,
    /// Another plan.
    Revise,
    /// A command that was sent before.
    Again,
    /// One that was sent before, with other content.
    Disturbed,
}

impl Kind {
    /// All of them, by weight.
    pub const ALL: &[Kind] = &[
        Kind::HoldSeats,
        Kind::HoldArea,
        Kind::HoldBest,
        Kind::Replace,
        Kind::Extend,
        Kind::Confirm,
        Kind::ConfirmPart,
        Kind::Reclaim,
        Kind::Release,
        Kind::ReleasePart,
        Kind::BeginPayment,
        Kind::EndPayment,
        Kind::SellDirect,
        Kind::Return,
        Kind::Exchange,
        Kind::Kill,
        Kind::Unkill,
        Kind::SetAside,
        Kind::RemoveAside,
        Kind::Relevel,
        Kind::Retire,
        Kind::Look,
        Kind::GetHold,
        Kind::Suggest,
        Kind::Explain,
        Kind::Create,
        Kind::Update,
        Kind::Revise,
        Kind::Again,
        Kind::Disturbed,
    ];
}

/// Everything that is drawn before a world begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What may go wrong.
    pub profile: Profile,
    /// Steps of the safety phase.
    pub steps: u64,
    /// Shards are at most so many; drawn again at each start.
    pub shards_max: u64,
    /// Size of a segment.
    pub segment_bytes: u64,
    /// A checkpoint is due at so many segments.
    pub checkpoint_segments: usize,
    /// A checkpoint is due at so much log.
    pub checkpoint_log_bytes: u64,
    /// Commands that may wait for a shard.
    pub mailbox_commands_max: usize,
    /// Memory for state.
    pub memory_budget_bytes: u64,
    /// Ended holds that are remembered whatever the budget says.
    pub ended_holds_min: u32,
    /// Events at most.
    pub events_max: u64,
    /// Rows of a plan.
    pub rows: u64,
    /// Seats of a row.
    pub seats: u64,
    /// Capacity of the area.
    pub admissions: u64,
    /// Commands in one burst, at most.
    pub burst_max: u64,
    /// The longest time that passes in a step.
    pub pause_ms_max: u64,
    /// Longest TTL of an event.
    pub hold_ttl_s_max: u64,
    /// Weights of [`Kind::ALL`].
    pub kinds: Vec<u64>,
    /// A crash, a kill or a clean stop, so many times in a thousand steps.
    pub fall_permille: u64,
    /// A fault of the disk is armed so often.
    pub fault_permille: u64,
    /// Turns are starved so often: groups wait, commands queue up.
    pub starve_percent: u64,
    /// The wall clock may be so wrong at a start.
    pub wall_error_ms_max: u64,
    /// Batches written and not yet durable.
    pub batches_in_flight: u32,
    /// An earlier moment may be restored, once.
    pub may_restore: bool,
}

impl Options {
    /// The options of a seed.
    #[must_use]
    pub fn draw(seed: u64, profile: Profile) -> Options {
        let mut random = Random::of_part(seed, u64::MAX);
        let kinds = Kind::ALL.iter().map(|&kind| weight(kind, profile, &mut random)).collect();
        let small = random.percent(60);
        let mut options = Options {
            profile,
            steps: random.within(60..=360),
            shards_max: *random.pick(&[1, 2, 2, 3, 5]),
            segment_bytes: *random.pick(&[16 << 10, 16 << 10, 20 << 10, 32 << 10, 64 << 10, 256 << 10]),
            checkpoint_segments: *random.pick(&[1, 2, 2, 3, 8]),
            checkpoint_log_bytes: *random.pick(&[1, 16 << 10, 48 << 10, 1 << 20]),
            mailbox_commands_max: *random.pick(&[12, 64, 4_096]),
            memory_budget_bytes: 64 << 20,
            ended_holds_min: 1_024,
            events_max: random.within(1..=4),
            rows: if small { random.within(1..=3) } else { random.within(3..=10) },
            seats: if small { random.within(3..=8) } else { random.within(5..=16) },
            admissions: random.within(1..=40),
            burst_max: *random.pick(&[1, 3, 3, 8, 8, 20, 20, 100]),
            pause_ms_max: *random.pick(&[50, 500, 4_000, 20_000]),
            hold_ttl_s_max: *random.pick(&[2, 10, 60, 600]),
            kinds,
            fall_permille: *random.pick(&[15, 30, 60]),
            fault_permille: 0,
            starve_percent: *random.pick(&[0, 20, 50]),
            wall_error_ms_max: 0,
            batches_in_flight: *random.pick(&[1, 1, 2]),
            may_restore: !profile.deceives() && random.percent(20),
        };
        options.adapt(&mut random);
        // With a clock that may stand still a cut start cannot be told from one that never was.
        options.may_restore &= options.wall_error_ms_max == 0;
        options
    }

    /// What the profile asks for.
    fn adapt(&mut self, random: &mut Random) {
        match self.profile {
            Profile::Crash | Profile::Repeat => {}
            Profile::Carts => self.may_restore = false,
            Profile::Error | Profile::Misdirect | Profile::Lost | Profile::Liar | Profile::Plans => {
                self.fault_permille = *random.pick(&[20, 60, 150]);
            }
            Profile::Full => {
                self.fault_permille = *random.pick(&[30, 80]);
                self.segment_bytes = *random.pick(&[16 << 10, 20 << 10, 32 << 10]);
            }
            Profile::Rot => self.fall_permille = 60,
            Profile::Clock => {
                self.wall_error_ms_max = *random.pick(&[1_000, 3_600_000, 40 * 24 * 3_600_000]);
                self.fall_permille = 60;
            }
            Profile::Overload => {
                self.mailbox_commands_max = random.within(1..=10) as usize;
                self.burst_max = 30;
                self.starve_percent = 70;
            }
            Profile::Forget => {
                // 16 ended holds and 96 places.
                self.memory_budget_bytes = 8 << 10;
                self.ended_holds_min = random.within(2..=20) as u32;
                self.events_max = 2;
                self.rows = self.rows.min(3);
                self.seats = self.seats.min(8);
                self.admissions = self.admissions.min(8);
                self.pause_ms_max = *random.pick(&[50, 500, 4_000, 20_000]);
            }
            Profile::MassExpiry => {
                self.rows = random.within(8..=24);
                self.seats = random.within(10..=30);
                self.burst_max = 60;
                self.hold_ttl_s_max = 2;
                self.pause_ms_max = *random.pick(&[2, 20]);
                self.starve_percent = 0;
            }
            Profile::Mixed => {
                self.fault_permille = 30;
                self.wall_error_ms_max = *random.pick(&[0, 3_600_000]);
                self.mailbox_commands_max = *random.pick(&[6, 64, 4_096]);
            }
        }
    }
}

fn weight(kind: Kind, profile: Profile, random: &mut Random) -> u64 {
    let usual = match kind {
        Kind::HoldSeats => 30,
        Kind::HoldArea | Kind::HoldBest => 12,
        Kind::Confirm | Kind::Release => 10,
        Kind::Extend | Kind::GetHold | Kind::Again => 6,
        Kind::BeginPayment => 7,
        Kind::Replace | Kind::ConfirmPart | Kind::ReleasePart | Kind::Reclaim | Kind::EndPayment => 5,
        Kind::SellDirect | Kind::Return | Kind::Exchange | Kind::Kill | Kind::Unkill | Kind::Look => 3,
        Kind::SetAside => 4,
        Kind::RemoveAside | Kind::Relevel | Kind::Retire => 2,
        Kind::Update | Kind::Suggest | Kind::Explain => 4,
        Kind::Disturbed | Kind::Create => 2,
        Kind::Revise => 1,
    };
    match (profile, kind) {
        (Profile::Repeat | Profile::Forget, Kind::Again | Kind::Disturbed) => usual * 6,
        (Profile::Forget, Kind::Release) => usual * 4,
        (Profile::Plans, Kind::Create | Kind::Revise) => usual * 4,
        // What was archived may be gone from such a device, and another event be at the same number of its changes.
        (Profile::Misdirect | Profile::Lost | Profile::Liar, Kind::Retire) => 0,
        // Something must be held in every world.
        (_, Kind::HoldSeats | Kind::Create) => usual,
        _ if random.percent(30) => 0,
        _ => usual,
    }
}
