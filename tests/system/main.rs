//! Whole-system tests: the engine with real backends, several nodes, real sockets, real processes.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails may panic")]

mod support;

mod bounds;
mod bus;
mod devices;
mod drain;
mod durability;
mod edge;
mod floods;
mod hooks;
mod intruders;
mod load;
mod locks;
mod nodes;
mod ordering;
mod outage;
mod policy;
mod presence;
mod removal;
mod resume;
mod server_api;
mod slow_readers;
mod typing;
mod unread;
