use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

use crate::config::Config;
use crate::error::Error;

/// Room for answers of all streams of a connection that we have not read yet. Large, because many small frames
/// count against half of it in the peer's flood protection.
const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;
/// The same for one stream: 4,096 answers of a Session fit.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// A dead peer is noticed within interval and timeout together, but only while calls wait.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Requests that may wait for their turn in front of one connection.
const CHANNEL_BUFFER: usize = 4_096;

/// The connections of a client. Each connects at its first use and again after it was lost.
#[derive(Debug)]
pub(crate) struct Pool {
    channels: Vec<Channel>,
    next: AtomicUsize,
}

impl Pool {
    /// Needs a running tokio runtime: every connection belongs to the one it was made on.
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        if config.endpoints.is_empty() {
            return Err(Error::Config { problem: "no endpoint given".to_owned() });
        }
        // All of them, also those that so few connections do not come to.
        config.endpoints.iter().try_for_each(|endpoint| check(endpoint))?;
        let channels = (0..config.connections.max(1))
            .map(|index| channel(&config.endpoints[index % config.endpoints.len()], config))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { channels, next: AtomicUsize::new(0) })
    }

    pub(crate) fn len(&self) -> usize {
        self.channels.len()
    }

    pub(crate) fn get(&self, index: usize) -> Channel {
        self.channels[index % self.channels.len()].clone()
    }

    /// The connections in turn.
    pub(crate) fn next(&self) -> Channel {
        self.get(self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// Every other scheme would be spoken to in plain text as well, without a word.
fn check(endpoint: &str) -> Result<(), Error> {
    let problem = match endpoint.split_once("://") {
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("http") => return Ok(()),
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => {
            "the server speaks no TLS, only a proxy in front of it may: write http://".to_owned()
        }
        Some((scheme, _)) => format!("the scheme {scheme} is not spoken: write http://"),
        None => "it must begin with http://".to_owned(),
    };
    Err(Error::Config { problem: format!("endpoint {endpoint}: {problem}") })
}

fn channel(endpoint: &str, config: &Config) -> Result<Channel, Error> {
    let invalid = |error: tonic::transport::Error| Error::Config { problem: format!("endpoint {endpoint}: {error}") };
    Ok(Endpoint::from_shared(endpoint.to_owned())
        .map_err(invalid)?
        .user_agent(config.client_name.clone())
        .map_err(invalid)?
        .connect_timeout(config.connect_timeout)
        .tcp_nodelay(true)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .buffer_size(CHANNEL_BUFFER)
        .connect_lazy())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(endpoints: &[&str]) -> String {
        let mut config = Config::new("");
        config.endpoints = endpoints.iter().map(|&endpoint| endpoint.to_owned()).collect();
        Pool::new(&config).expect_err("no endpoint to speak to").to_string()
    }

    #[test]
    fn only_http_is_spoken() {
        for (endpoint, expected) in [
            ("https://h:7700", "speaks no TLS"),
            ("HTTPS://h:7700", "speaks no TLS"),
            ("foo://h:7700", "foo is not spoken"),
            ("://h:7700", "write http://"),
            ("127.0.0.1:7700", "must begin with http://"),
            ("localhost", "must begin with http://"),
            ("unix:/run/usher", "must begin with http://"),
            ("", "must begin with http://"),
        ] {
            let problem = problem(&[endpoint]);
            assert!(problem.contains(&format!("endpoint {endpoint}: ")) && problem.contains(expected), "{problem}");
        }
        assert!(problem(&["http://"]).contains("endpoint http://: "));
        assert!(problem(&["http://h:1", "https://h:2"]).contains("https://h:2"), "also one that is not used yet");
    }

    #[test]
    fn the_scheme_may_be_in_capitals() {
        assert!(check("http://h:1").is_ok() && check("HTTP://h:1").is_ok());
    }
}
