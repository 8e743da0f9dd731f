//! The start-up self-test: a connection to ourselves reads back the limits that the other side is told.
//! A stack that drops a setting silently (some do) must not go on sale.
//!
//! Spoken by hand: a client library keeps what it reads to itself.

use std::{
    fmt,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use super::limits;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// An empty SETTINGS frame: length 0, type 4, no flags, stream 0.
const EMPTY_SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
const FRAME_HEADER_BYTES: usize = 9;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 1;
/// What a connection window is before any update.
const WINDOW_BYTES_DEFAULT: u32 = 65_535;
/// We answer ourselves within this or not at all.
const PATIENCE: Duration = Duration::from_secs(5);
/// Frames to look at before giving up.
const FRAMES_MAX: usize = 16;

/// The self-test failed.
#[derive(Debug)]
pub(crate) enum LimitsFault {
    /// We did not answer ourselves.
    Io(io::Error),
    /// A limit is not what it should be.
    Differs {
        /// Which.
        limit: &'static str,
        /// What it should be.
        expected: u32,
        /// What the other side was told; none: nothing, which means no limit.
        found: Option<u32>,
    },
}

impl fmt::Display for LimitsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LimitsFault::Io(source) => write!(f, "no answer from our own port: {source}"),
            LimitsFault::Differs { limit, expected, found: Some(found) } => {
                write!(f, "{limit} is {found} on the wire and should be {expected}")
            }
            LimitsFault::Differs { limit, expected, found: None } => {
                write!(f, "{limit} is not set on the wire and should be {expected}")
            }
        }
    }
}

impl std::error::Error for LimitsFault {}

/// What the server told about itself.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    streams: Option<u32>,
    stream_window: Option<u32>,
    frame: Option<u32>,
    header_list: Option<u32>,
    connection_window: Option<u32>,
}

/// Connects to ourselves and compares.
pub(crate) fn check(address: SocketAddr) -> Result<(), LimitsFault> {
    let told = read(address).map_err(LimitsFault::Io)?;
    let pairs = [
        ("streams a connection", told.streams, limits::STREAMS_PER_CONNECTION_MAX),
        ("stream window", told.stream_window, limits::STREAM_WINDOW_BYTES),
        ("connection window", told.connection_window, limits::CONNECTION_WINDOW_BYTES),
        // The protocol's default need not be sent.
        ("frame size", told.frame.or(Some(16 << 10)), limits::FRAME_BYTES_MAX),
        ("header list", told.header_list, limits::HEADER_LIST_BYTES_MAX),
    ];
    for (limit, found, expected) in pairs {
        if found != Some(expected) {
            return Err(LimitsFault::Differs { limit, expected, found });
        }
    }
    Ok(())
}

fn read(address: SocketAddr) -> io::Result<Told> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(PREFACE)?;
    stream.write_all(&EMPTY_SETTINGS)?;
    let mut told = Told::default();
    let mut settings_seen = false;
    for _ in 0..FRAMES_MAX {
        let mut header = [0; FRAME_HEADER_BYTES];
        stream.read_exact(&mut header)?;
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = header;
        let mut payload = vec![0; usize::from(l0) << 16 | usize::from(l1) << 8 | usize::from(l2)];
        stream.read_exact(&mut payload)?;
        let on_connection = [s0, s1, s2, s3] == [0; 4];
        match kind {
            SETTINGS if flags & ACK == 0 => {
                settings_seen = true;
                take_settings(&payload, &mut told);
            }
            WINDOW_UPDATE if on_connection => {
                let increment = payload.first_chunk::<4>().map_or(0, |bytes| network_u32(*bytes));
                let window = told.connection_window.unwrap_or(WINDOW_BYTES_DEFAULT);
                told.connection_window = Some(window.saturating_add(increment));
            }
            _ => {}
        }
        if settings_seen && told.connection_window.is_some() {
            break;
        }
    }
    Ok(told)
}

fn take_settings(payload: &[u8], told: &mut Told) {
    for setting in payload.chunks_exact(6) {
        let value = Some(network_u32([setting[2], setting[3], setting[4], setting[5]]));
        match [setting[0], setting[1]] {
            [0, 3] => told.streams = value,
            [0, 4] => told.stream_window = value,
            [0, 5] => told.frame = value,
            [0, 6] => told.header_list = value,
            _ => {}
        }
    }
}

/// Numbers of HTTP/2 are in network order, which is the other way round from ours.
fn network_u32([b0, b1, b2, b3]: [u8; 4]) -> u32 {
    u32::from_le_bytes([b3, b2, b1, b0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_read_from_its_six_bytes() {
        let mut told = Told::default();
        take_settings(&[0, 3, 0, 0, 4, 0, 0, 6, 0, 0, 32, 0, 0, 99, 1, 1, 1, 1], &mut told);
        assert_eq!(told, Told { streams: Some(1_024), header_list: Some(8_192), ..Told::default() });
    }
}
