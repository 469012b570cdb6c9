//! The server as its users have it: a process, options, sockets, signals.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails may panic")]

mod check;
mod configuration;
mod keys;
mod limits;
mod nodes;
mod serving;
mod stopping;
mod support;
