//! Every limit of the edge in one place. The start-up self-test reads the HTTP/2 ones back from a
//! connection to itself: the stack's own defaults are no limits at all for some of them.

use std::time::Duration;

/// Streams that may be open on one connection, Sessions among them.
pub const STREAMS_PER_CONNECTION_MAX: u32 = 1_024;
/// Sessions on one connection: three fill a connection window, more gain nothing.
pub const SESSIONS_PER_CONNECTION_MAX: usize = 3;
/// Bytes in flight towards us on one stream.
pub const STREAM_WINDOW_BYTES: u32 = 256 << 10;
/// Bytes in flight towards us on one connection.
pub const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;
/// Connections.
pub const CONNECTIONS_MAX: usize = 1_024;
/// Largest HTTP/2 frame.
pub const FRAME_BYTES_MAX: u32 = 16 << 10;
/// Largest header list.
pub const HEADER_LIST_BYTES_MAX: u32 = 8 << 10;
/// Streams that were reset before they were taken up.
pub const PENDING_RESETS_MAX: usize = 20;
/// Streams that we reset because of the peer's mistakes.
pub const LOCAL_RESETS_MAX: usize = 256;
/// Bytes that may wait in one stream to be sent.
pub const SEND_BUFFER_BYTES: usize = 400 << 10;
/// A quiet connection is asked for a sign of life this often ...
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// ... and closed when none comes for this long.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// A new connection must have sent the HTTP/2 preface by then.
pub const PREFACE_TIMEOUT: Duration = Duration::from_secs(10);

/// Largest message of a sale call.
pub const SALE_MESSAGE_BYTES_MAX: usize = 64 << 10;
/// Largest message of a call about orders: 4,096 keys of 128 bytes are half of it. Also of one on a cart.
pub const ORDER_MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Largest message of an admin call: a plan of a million seats as JSON stays under it.
pub const ADMIN_MESSAGE_BYTES_MAX: usize = 64 << 20;

/// What an update says of an event, in bytes: all the limits, quotas and labels there may be are half of it.
pub const EVENT_BYTES_MAX: usize = 1 << 20;

/// Commands admitted and not answered, over all connections.
pub const IN_FLIGHT_COMMANDS_MAX: usize = 65_536;
/// Bytes of those commands.
pub const IN_FLIGHT_BYTES_MAX: usize = 256 << 20;
/// Reply slots of one Session.
pub const SESSION_SLOTS: usize = 4_096;
/// The longest that a unary sale call or a command of a Session may take.
pub const SALE_CALL_TIME_MAX: Duration = Duration::from_secs(2);
/// The longest that an admin call may take: a large plan is read, checked and synced.
pub const ADMIN_CALL_TIME_MAX: Duration = Duration::from_secs(120);
/// Violations in one BadRequest.
pub const VIOLATIONS_MAX: usize = 16;
/// Plan problems in one answer.
pub const PLAN_PROBLEMS_MAX: usize = 256;

/// Events, holds or orders in a page when the caller does not say.
pub const PAGE_SIZE_DEFAULT: u32 = 100;
/// Events, holds or orders in a page at most.
pub const PAGE_SIZE_MAX: u32 = 256;

const _: () = {
    // A slot index is the tag of an answer and fits a u16.
    assert!(SESSION_SLOTS <= u16::MAX as usize);
    // A Session's slots alone cannot use up what is admitted.
    assert!(SESSION_SLOTS * 2 <= IN_FLIGHT_COMMANDS_MAX);
    assert!(STREAM_WINDOW_BYTES <= CONNECTION_WINDOW_BYTES);
    // A whole message fits the window, so that a message never waits for the reader to begin.
    assert!(SALE_MESSAGE_BYTES_MAX + 5 <= STREAM_WINDOW_BYTES as usize);
};
