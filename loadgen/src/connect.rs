use std::time::Duration;

use anyhow::Context;
use client::{Client, Config, Lane};

use crate::options::{Mode, Options};

/// A client with this thread's part of the connections.
pub(crate) fn client(options: &Options, connections: usize) -> anyhow::Result<Client> {
    let mut config = Config::new("").connections(connections.max(1)).timeouts(
        options.timeout,
        // One attempt and its retries; beyond that the buyers' own patience decides.
        options.timeout + Duration::from_secs(5),
    );
    config.endpoints = options
        .endpoint
        .iter()
        .map(|endpoint| if endpoint.contains("://") { endpoint.clone() } else { format!("http://{endpoint}") })
        .collect();
    config.client_name = concat!("usher-loadgen/", env!("CARGO_PKG_VERSION")).to_owned();
    config.lane = match options.mode {
        Mode::Session | Mode::Batch => Lane::Session,
        Mode::Unary => Lane::Unary,
    };
    Client::lazy(config).context("cannot make a client")
}

/// The connections of one thread of several.
pub(crate) fn share(connections: usize, threads: usize, index: usize) -> usize {
    (connections / threads + usize::from(index < connections % threads)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_spread_and_every_thread_has_one() {
        assert_eq!((0..3).map(|index| share(4, 3, index)).collect::<Vec<_>>(), [2, 1, 1]);
        assert_eq!((0..2).map(|index| share(1, 2, index)).collect::<Vec<_>>(), [1, 1]);
    }
}
