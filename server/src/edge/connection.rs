//! One connection, one task: takes requests in, tells the answers of the unary calls on holds itself, and gives every
//! other request to a task of its own.
//!
//! All that has arrived is taken in before anything is told, and all that is told is written together.

use std::{
    future::poll_fn,
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use h2::{Ping, PingPong, server};
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{sleep, timeout},
};

use super::{
    calls::Calls,
    limits::{
        CONNECTION_WINDOW_BYTES, FRAME_BYTES_MAX, HEADER_LIST_BYTES_MAX, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT,
        LOCAL_RESETS_MAX, PENDING_RESETS_MAX, PREFACE_TIMEOUT, SEND_BUFFER_BYTES, STREAM_WINDOW_BYTES,
        STREAMS_PER_CONNECTION_MAX,
    },
    relay,
    service::{ConnectionService, Services},
};

/// How a connection ended that did not end well.
#[derive(Debug)]
pub(crate) enum ConnectionFault {
    /// It never became one.
    NoPreface,
    /// It gave no sign of life.
    NoPong,
    /// HTTP/2, or the socket.
    Broken(h2::Error),
}

impl std::fmt::Display for ConnectionFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ConnectionFault::NoPreface => f.write_str("no HTTP/2 preface came in time"),
            ConnectionFault::NoPong => f.write_str("no sign of life came in time"),
            ConnectionFault::Broken(error) => write!(f, "it broke: {error}"),
        }
    }
}

impl From<h2::Error> for ConnectionFault {
    fn from(error: h2::Error) -> ConnectionFault {
        ConnectionFault::Broken(error)
    }
}

/// Serves a connection to its end. From `drain` on it takes nothing new and ends when what it has begun is answered.
pub(crate) async fn serve(
    stream: TcpStream,
    services: &Services,
    mut drain: watch::Receiver<bool>,
) -> Result<(), ConnectionFault> {
    let handshake = tokio::select! {
        biased;
        handshake = timeout(PREFACE_TIMEOUT, builder().handshake(stream)) => handshake,
        // It has begun nothing.
        () = begun(&mut drain) => return Ok(()),
    };
    let mut h2 = handshake.map_err(|_| ConnectionFault::NoPreface)??;
    let pings = h2.ping_pong();
    let mut connection =
        Connection { h2, calls: Calls::new(services.edge()), service: Arc::new(services.connection()) };
    let mut alive = pin!(keep_alive(pings));
    let mut drained = pin!(begun(&mut drain));
    let mut is_draining = false;
    loop {
        tokio::select! {
            biased;
            ended = poll_fn(|context| connection.poll(context)) => return Ok(ended?),
            fault = alive.as_mut() => return Err(fault),
            () = drained.as_mut(), if !is_draining => {
                is_draining = true;
                connection.h2.graceful_shutdown();
            }
        }
    }
}

struct Connection {
    h2: server::Connection<TcpStream, Bytes>,
    calls: Calls,
    service: Arc<ConnectionService>,
}

impl Connection {
    /// Ready when the connection is over.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        loop {
            while let Poll::Ready(accepted) = self.h2.poll_accept(context)? {
                let Some((request, respond)) = accepted else { return Poll::Ready(Ok(())) };
                match Calls::call_of(&request) {
                    Some(call) => self.calls.accept(call, request, respond, context),
                    None => {
                        let service = Arc::clone(&self.service);
                        tokio::spawn(relay::relay(service, request, respond));
                    }
                }
            }
            if !self.calls.poll_tell(context) {
                return Poll::Pending;
            }
        }
    }
}

/// Asks a connection for a sign of life now and then, until none comes.
async fn keep_alive(pings: Option<PingPong>) -> ConnectionFault {
    let Some(mut pings) = pings else { return std::future::pending().await };
    loop {
        sleep(KEEPALIVE_INTERVAL).await;
        if let Err(error) = pings.send_ping(Ping::opaque()) {
            return error.into();
        }
        match timeout(KEEPALIVE_TIMEOUT, poll_fn(|context| pings.poll_pong(context))).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return error.into(),
            Err(_) => return ConnectionFault::NoPong,
        }
    }
}

/// Waits until the drain begins. What is read is dropped at once: it is a lock.
pub(crate) async fn begun(drain: &mut watch::Receiver<bool>) {
    drop(drain.wait_for(|drain| *drain).await);
}

fn builder() -> server::Builder {
    let mut builder = server::Builder::new();
    builder
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES_MAX)
        .max_header_list_size(HEADER_LIST_BYTES_MAX)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(Some(LOCAL_RESETS_MAX))
        .max_send_buffer_size(SEND_BUFFER_BYTES);
    builder
}
