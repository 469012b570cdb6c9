//! Several server processes on one Postgres and one Redis, with real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails may panic")]

mod support;

mod delivery;
mod limits;
mod outage;
mod presence;
mod removal;
mod versions;
