//! The log from outside: bytes, crashes, damage.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod crash;
mod damage;
mod golden;
mod roundtrip;
mod support;
