use std::time::Duration;

use crate::retry::RetryPolicy;

/// How holds, confirms, releases, extensions and reads of holds travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Over the Session of a connection: many commands on one stream.
    Session,
    /// Each as a call of its own.
    Unary,
}

/// What a [`Client`](crate::Client) connects to and how patient it is.
#[derive(Clone, Debug)]
pub struct Config {
    /// Addresses of servers, `http://host:port`; other schemes are refused, as servers speak no TLS. Connections are spread over them in turn.
    pub endpoints: Vec<String>,
    /// HTTP/2 connections. One is enough for most; one core of a server serves a few.
    pub connections: usize,
    /// Time for a connection to be made.
    pub connect_timeout: Duration,
    /// Time for one attempt of a call; the server hears of it and gives up as well.
    pub attempt_timeout: Duration,
    /// Time for a call with all its attempts and pauses.
    pub call_timeout: Duration,
    /// When to try again and how often.
    pub retry: RetryPolicy,
    /// The lane of the commands that can use either. Requests that name seats or areas by key go unary, as a
    /// Session knows only indexes.
    pub lane: Lane,
    /// Most commands in flight on one Session, if the server allows more.
    pub session_in_flight_max: usize,
    /// Name of the program, told to the server.
    pub client_name: String,
}

impl Config {
    /// One server, defaults for the rest.
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self {
            endpoints: vec![endpoint.into()],
            connections: 1,
            connect_timeout: Duration::from_secs(5),
            attempt_timeout: Duration::from_secs(2),
            call_timeout: Duration::from_secs(10),
            retry: RetryPolicy::default(),
            lane: Lane::Session,
            session_in_flight_max: 4_096,
            client_name: "usher-rust".to_owned(),
        }
    }

    /// With so many connections.
    #[must_use]
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// With this time for one attempt and this for a call with all its attempts.
    #[must_use]
    pub fn timeouts(mut self, attempt: Duration, call: Duration) -> Self {
        self.attempt_timeout = attempt;
        self.call_timeout = call;
        self
    }

    /// With this retry policy.
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// With this lane.
    #[must_use]
    pub fn lane(mut self, lane: Lane) -> Self {
        self.lane = lane;
        self
    }
}
