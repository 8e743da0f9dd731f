//! Client of Usher, the seat inventory server.
//!
//! Two lanes with one meaning. [`Client::hold`], [`Client::confirm`], [`Client::release`], [`Client::extend`],
//! [`Client::begin_payment`], [`Client::end_payment`] and [`Client::get_hold`] share a few long streams (a *Session* for each connection) and cost little each;
//! [`Client::unary`] gives every call of all services as it is in the proto files. [`Client::hold_batch`] and
//! [`Client::resolve_batch`] put many commands of one event into a message; [`Client::hold_many`] takes a cart over several
//! events, all or nothing. [`RawSession`] is a Session
//! without the comfort, for programs that keep thousands of commands in flight.
//!
//! What is done for the caller, on both lanes:
//!
//! - every call has a deadline, sent to the server as well;
//! - `UNAVAILABLE` and every unknown outcome (a lost connection, a transport error, a deadline that passed after
//!   the command was taken) is retried with **the same command and the same ids**, with exponential backoff, full
//!   jitter and the server's own advice, within a budget that a failing server cannot make us overdraw;
//! - ids are made from the server's time, learned from its answers, so a wrong local clock does not matter;
//! - a refusal is a value: [`Error::Refused`] with its [`Reason`], the places in the way and what was executed.
//!
//! ```no_run
//! # async fn sell() -> Result<(), client::Error> {
//! use client::{Client, Config, HoldRequest};
//!
//! let client = Client::connect(Config::new("http://127.0.0.1:7700")).await?;
//! let held = client.hold(HoldRequest::new("concert-1").best_available(2).customer("c-17")).await?;
//! println!("seats {:?} for {} s", held.seats, held.expires_in.as_secs());
//! client.confirm(held.confirm("order-4711")).await?;
//! # Ok(())
//! # }
//! ```

mod batch;
mod cart;
mod client;
mod clock;
mod config;
mod connection;
mod error;
mod ids;
mod raw;
mod request;
mod retry;
mod session;
mod unary;

pub use batch::{BatchAnswer, BatchDone, BatchRefusal, HoldBatch, ResolveBatch};
pub use cart::{CartPart, CartRequest, ConfirmCartRequest, ConfirmedCart, HeldCart, ReleaseCartRequest};
pub use client::Client;
pub use clock::ServerClock;
pub use config::{Config, Lane};
pub use error::{Error, PlaceInTheWay, Refusal};
pub use ids::{AttemptId, HoldId, HoldRef, IdMaker, RequestId, customer_key, event_key};
pub use raw::{Opened, RawReceiver, RawSender, RawSession};
pub use request::{
    BeginPaymentRequest, ConfirmRequest, Confirmed, EndPaymentRequest, ExtendRequest, Extended, Held, HoldRead,
    HoldRequest, PaymentBegun, PaymentEnded, ReleaseRequest, Released,
};
pub use retry::RetryPolicy;
pub use unary::{SnapshotStream, Unary};

pub use proto::inventory::v1::{Executed, Reason};
