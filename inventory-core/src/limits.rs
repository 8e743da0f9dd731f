//! Every limit of the state machine, with the relations between them checked at compile time.
//!
//! A limit stands here when more than one file relies on it or when a format depends on it. Limits
//! of the edge (streams, connections, message bytes) are not here: the core has no edge.

/// Places (seats and general-admission capacity together) of one event.
pub const PLACES_PER_EVENT_MAX: u32 = 1_000_000;
/// Events one server keeps in memory.
pub const EVENTS_PER_SERVER_MAX: u32 = 100_000;
/// Retired events of a slot, whose numbers and keys are kept: over two million on a server.
pub const RETIRED_EVENTS_PER_SLOT_MAX: u32 = 10_000;
/// Places one hold may name. One `u64` of flags covers a hold.
pub const PLACES_PER_HOLD_MAX: usize = 64;
/// Bits of a place word that carry the seat index.
pub const PLACE_INDEX_BITS: u32 = 20;
/// Slots: an event belongs to the slot named by the low byte of its key.
pub const SLOTS: usize = 256;

/// General-admission areas of one plan: an area index takes 12 bits of a place word.
pub const AREAS_PER_PLAN_MAX: usize = 4_096;
/// Sections of one plan.
pub const SECTIONS_PER_PLAN_MAX: usize = 4_096;
/// Rows (and tables) of one plan.
pub const ROWS_PER_PLAN_MAX: usize = 262_144;
/// Price levels of one plan: one byte a seat.
pub const PRICE_LEVELS_PER_PLAN_MAX: usize = 255;
/// Zones of one plan.
pub const ZONES_PER_PLAN_MAX: usize = 255;
/// Bytes of one key or label in a plan.
pub const PLAN_TEXT_BYTES_MAX: usize = 128;
/// Bytes of an encoded plan: 1,000,000 seats of two short texts and 18 fixed bytes each.
pub const PLAN_BYTES_MAX: usize = 256 << 20;

/// Bytes of an event id.
pub const EVENT_ID_BYTES_MAX: usize = 64;
/// Bytes of an order reference.
pub const ORDER_REF_BYTES_MAX: usize = 64;
/// Bytes of an event's display name and of its time zone.
pub const EVENT_TEXT_BYTES_MAX: usize = 256;
/// Labels of an event.
pub const EVENT_LABELS_MAX: usize = 16;
/// Bytes of the key and of the value of one event label.
pub const EVENT_LABEL_BYTES_MAX: usize = 64;
/// Remembered requests of ops commands, for each event; more within its retry window are refused. A day's refunds of a
/// cancelled event come in minutes.
pub const OPS_REQUESTS_PER_EVENT_MAX: usize = 16_384;
/// Stretches of neighbouring seats that one change names, 8 bytes each.
pub const SEAT_RUNS_PER_CHANGE_MAX: usize = 3_000;
/// Holds that lose places in one change, 16 bytes each.
pub const HOLDS_PER_KILL_MAX: usize = 2_000;
/// Admissions that one return names by hold, 20 bytes each.
pub const RETURNED_ADMISSIONS_MAX: usize = 1_500;
/// Bytes of the reason of a kill.
pub const KILL_REASON_BYTES_MAX: usize = 64;
/// Different reasons of kills of one event: one byte a seat in an image.
pub const KILL_REASONS_PER_EVENT_MAX: usize = 255;

/// Allocations of one event: a tag of a seat is one byte, 0 for none.
pub const ALLOCATIONS_PER_EVENT_MAX: usize = 255;
/// Allocations that have admissions in one area: a source takes four bits of a place word, 0 for general sale.
pub const QUOTAS_PER_AREA_MAX: usize = 15;
/// Bytes of the key of an allocation.
pub const ALLOCATION_KEY_BYTES_MAX: usize = 64;
/// Keys of allocations that one command brings.
pub const ALLOCATION_KEYS_MAX: usize = 16;
/// Events of one cart at least.
pub const CART_EVENTS_MIN: usize = 2;
/// Events of one cart at most.
pub const CART_EVENTS_MAX: usize = 16;

/// Holds that one `Expired` change names.
pub const EXPIRED_HOLDS_PER_CHANGE_MAX: usize = 64;
/// Holds that one turn expires before it must end: about 1 ms of work.
pub const EXPIRIES_PER_TURN_MAX: usize = 4_096;
/// Commands that one turn judges: 0.5 to 0.7 ms of work under full load (ADR-0029).
pub const COMMANDS_PER_TURN_MAX: usize = 1_024;

/// Moves of places that one turn makes before it ends: one command of the house may move a whole hall. Four times what a
/// turn of expiries makes with holds of one seat; not measured.
pub const MOVES_PER_TURN_MAX: usize = 16_384;

/// Bytes of one encoded change with its header: its length is a `u16`.
pub const RECORD_BYTES_MAX: usize = 65_535;
/// Bytes of one group: a turn ends when its group has grown to this.
pub const GROUP_BYTES_MAX: usize = 256 << 10;
/// Bytes of one batch of the log.
pub const BATCH_BYTES_MAX: usize = 1 << 20;

/// How far in the future a hold id's time may lie.
pub const ID_AHEAD_MS_MAX: u64 = 60_000;
/// The id floor never rises above now minus this: a hold just made is never forgotten.
pub const ID_FLOOR_LAG_MS_MIN: u64 = 5_000;
/// A hold that ever was paying is remembered this long: late payments need its places.
pub const PAID_TOMBSTONE_MS: u64 = 24 * 3_600_000;
/// How much of a downtime is given back to live holds.
pub const OUTAGE_GRACE_MS_MAX: u64 = 120_000;

/// Bounds and defaults of an event's policies.
pub mod policy {
    /// Seconds a hold lives when the caller names none.
    pub const HOLD_TTL_S_DEFAULT: u32 = 600;
    /// Shortest TTL.
    pub const HOLD_TTL_S_MIN: u32 = 1;
    /// Longest TTL.
    pub const HOLD_TTL_S_MAX: u32 = 7_200;
    /// Seconds after its creation beyond which a hold is never extended.
    pub const LIFETIME_S_DEFAULT: u32 = 7_200;
    /// Longest lifetime.
    pub const LIFETIME_S_MAX: u32 = 86_400;
    /// Extends a hold may have.
    pub const RENEWALS_DEFAULT: u32 = 10;
    /// Most extends.
    pub const RENEWALS_MAX: u32 = 100;
    /// Seconds of grace while a payment is open.
    pub const PAYMENT_GRACE_S_DEFAULT: u32 = 900;
    /// Shortest payment grace.
    pub const PAYMENT_GRACE_S_MIN: u32 = 60;
    /// Longest payment grace.
    pub const PAYMENT_GRACE_S_MAX: u32 = 5_400;
    /// Payment attempts a hold may have.
    pub const PAYMENT_ATTEMPTS_DEFAULT: u32 = 3;
    /// Fewest payment attempts.
    pub const PAYMENT_ATTEMPTS_MIN: u32 = 1;
    /// Most payment attempts.
    pub const PAYMENT_ATTEMPTS_MAX: u32 = 8;
    /// Seconds a hold has at least after a failed payment.
    pub const PAYMENT_LEFT_S_DEFAULT: u32 = 120;
    /// Most of them.
    pub const PAYMENT_LEFT_S_MAX: u32 = 600;
    /// Places a hold may have.
    pub const PLACES_PER_HOLD_DEFAULT: u32 = 10;
    /// Seconds an ended hold is remembered.
    pub const RETRY_WINDOW_S_DEFAULT: u32 = 300;
    /// Shortest memory.
    pub const RETRY_WINDOW_S_MIN: u32 = 60;
    /// Longest memory.
    pub const RETRY_WINDOW_S_MAX: u32 = 86_400;
    /// Longest cooling of a place that came back.
    pub const COOLING_S_MAX: u32 = 600;
    /// Credits of a customer for holds that expire unpaid.
    pub const ABANDON_CREDITS_MAX: u32 = 100;
    /// Seconds until a credit comes back.
    pub const ABANDON_REFILL_S_DEFAULT: u32 = 600;
    /// Longest time until one does.
    pub const ABANDON_REFILL_S_MAX: u32 = 86_400;
    /// Limits by price level of an event.
    pub const LEVEL_LIMITS_MAX: usize = 64;
    /// Shared quotas of an event.
    pub const QUOTAS_MAX: usize = 32;
    /// Price levels, and areas, of one shared quota.
    pub const QUOTA_NAMES_MAX: usize = 64;
    /// Bytes of all names in limits and quotas of an event.
    pub const LIMIT_BYTES_MAX: usize = 16_384;
    /// A customer's places or holds, when limited.
    pub const CUSTOMER_LIMIT_MAX: u32 = 1_000_000;
}

const _: () = {
    // A seat index fits the bits it has in a place word.
    assert!(PLACES_PER_EVENT_MAX <= 1 << PLACE_INDEX_BITS);
    // A mask of a hold's places is one u64, a count fits a u8.
    assert!(PLACES_PER_HOLD_MAX == 64);
    assert!(PLACES_PER_HOLD_MAX <= u8::MAX as usize);
    assert!(policy::PLACES_PER_HOLD_DEFAULT as usize <= PLACES_PER_HOLD_MAX);
    assert!(ALLOCATIONS_PER_EVENT_MAX <= u8::MAX as usize && QUOTAS_PER_AREA_MAX < 1 << 4);
    // An area index takes 12 bits, a level and a zone one byte with one value for "none".
    assert!(AREAS_PER_PLAN_MAX <= 1 << 12);
    assert!(PRICE_LEVELS_PER_PLAN_MAX < 256 && ZONES_PER_PLAN_MAX < 256);
    // The largest Held: fixed part under 256 bytes, a word for each place.
    assert!(256 + 4 * PLACES_PER_HOLD_MAX <= RECORD_BYTES_MAX);
    // The largest Expired names 64 ids.
    assert!(64 + 16 * EXPIRED_HOLDS_PER_CHANGE_MAX <= RECORD_BYTES_MAX);
    // The largest Killed and the largest Exchanged, which has at most one hold's places besides.
    assert!(1_024 + 8 * SEAT_RUNS_PER_CHANGE_MAX + 16 * HOLDS_PER_KILL_MAX <= RECORD_BYTES_MAX);
    assert!(1_024 + 8 * SEAT_RUNS_PER_CHANGE_MAX + 20 * RETURNED_ADMISSIONS_MAX <= RECORD_BYTES_MAX);
    // Remembered requests are counted in 16 bits.
    assert!(OPS_REQUESTS_PER_EVENT_MAX <= u16::MAX as usize);
    // The largest EventCreated: texts, labels and the fixed part.
    assert!(
        512 + EVENT_ID_BYTES_MAX
            + 2 * EVENT_TEXT_BYTES_MAX
            + EVENT_LABELS_MAX * 2 * (EVENT_LABEL_BYTES_MAX + 2)
            + policy::LIMIT_BYTES_MAX
            + 2 * (policy::LEVEL_LIMITS_MAX + policy::QUOTAS_MAX * (2 + 2 * policy::QUOTA_NAMES_MAX))
            <= RECORD_BYTES_MAX
    );
    // A group always leaves room for one more record, and several groups fit a batch.
    assert!(GROUP_BYTES_MAX + RECORD_BYTES_MAX <= BATCH_BYTES_MAX);
    assert!(EXPIRIES_PER_TURN_MAX * 16 + 64 * 64 <= GROUP_BYTES_MAX);
    // The defaults of the policies lie within their bounds, and a TTL within a lifetime.
    assert!(policy::HOLD_TTL_S_MIN <= policy::HOLD_TTL_S_DEFAULT);
    assert!(policy::HOLD_TTL_S_DEFAULT <= policy::HOLD_TTL_S_MAX);
    assert!(policy::HOLD_TTL_S_MAX <= policy::LIFETIME_S_DEFAULT);
    assert!(policy::LIFETIME_S_DEFAULT <= policy::LIFETIME_S_MAX);
    assert!(policy::RETRY_WINDOW_S_MIN <= policy::RETRY_WINDOW_S_DEFAULT);
    assert!(policy::RETRY_WINDOW_S_DEFAULT <= policy::RETRY_WINDOW_S_MAX);
    // An id from the future is remembered past the time at which it would be too old.
    assert!(ID_AHEAD_MS_MAX <= policy::RETRY_WINDOW_S_MIN as u64 * 1_000);
    // The floor never forgets an id that a retry within its first seconds may still bring.
    assert!(ID_FLOOR_LAG_MS_MIN < policy::RETRY_WINDOW_S_MIN as u64 * 1_000);
};
