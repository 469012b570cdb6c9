//! What only shows on a real PostgreSQL: migrations, shared commits and reads, the host's own transactions, outages.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod host;
mod migrations;
mod outages;
mod reads;
mod support;
mod writes;
