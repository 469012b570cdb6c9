//! What happens when Redis, or the way to it, breaks.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod bus;
mod engine;
mod limits;
mod open;
mod outages;
mod presence;
mod remote;
mod support;
