//! The way to the server.

use std::time::Duration;

use client::{Client, Config, Lane, RetryPolicy};
use proto::inventory::v1::GetEventRequest;

use crate::failure::Failure;
use crate::name::EventName;

/// Time for one attempt: importing the largest plan takes a few seconds.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);
/// Time for a call: a person is waiting.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Time for a connection to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Enough for a server that is just restarting its listener, soon enough for a wrong address.
const ATTEMPTS_MAX: u32 = 4;

/// A client of one server. Must be called on a tokio runtime; connects at its first call.
pub(crate) fn open(endpoint: &str) -> Result<Client, Failure> {
    let retry = RetryPolicy { attempts_max: ATTEMPTS_MAX, ..RetryPolicy::default() };
    let mut config = Config::new(endpoint).timeouts(ATTEMPT_TIMEOUT, CALL_TIMEOUT).retry(retry).lane(Lane::Unary);
    config.connect_timeout = CONNECT_TIMEOUT;
    config.client_name = concat!("usherctl/", env!("CARGO_PKG_VERSION")).to_owned();
    Ok(Client::lazy(config)?)
}

/// Learns the server's time, which ids are made of: with the clock of this machine a hold could be refused as too
/// old or from the future. Reading the event also says at once when there is no such event.
pub(crate) async fn learn_time(client: &Client, event: &EventName) -> Result<(), Failure> {
    let request = GetEventRequest { event_id: event.to_string(), ..GetEventRequest::default() };
    client.unary().get_event(request).await?;
    Ok(())
}
