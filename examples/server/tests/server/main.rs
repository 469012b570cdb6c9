//! The server as its users have it: a process, options, sockets, signals.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails may panic")]

mod backends;
mod check;
mod configuration;
mod import;
mod keys;
mod limits;
mod serving;
mod stopping;
mod support;
