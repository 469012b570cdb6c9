//! The Socket.IO transport of [parlor](https://docs.rs/parlor): front ends that were written for a
//! Socket.IO service keep working, with only their server's address changed.
//!
//! What such a front end expects — event names, payloads, REST routes — is a [`Contract`]. Some that
//! were published are in [`contracts`]; a host writes its own in about a hundred lines. `docs/socket-io.md`
//! says how.
//!
//! ```no_run
//! # fn host(chat: parlor_core::Chat) -> axum::Router {
//! use parlor_transport_socketio::{Transport, contracts::Connections};
//!
//! Transport::new(chat).contract(Connections).router()
//! # }
//! ```
//!
//! Events come from parlor's own sessions, so several nodes need no Socket.IO adapter. Clients of the
//! protocol's version 5 are served (socket.io-client 3 and 4), over WebSocket and long polling.

mod cache;
mod client;
mod codec;
mod connect;
mod contract;
pub mod contracts;
mod delivery;
mod emit;
mod frame;
mod handshake;
pub mod history;
mod http;
mod incoming;
mod known;
mod line;
mod link;
mod missed;
pub mod names;
pub mod numbers;
mod presence;
mod repeats;
pub mod rest;
mod socket;
mod stream;
mod told;
mod transport;
mod undelivered;
mod websocket;
mod written;

pub use client::{Client, HeldBack};
pub use contract::{Contract, Refusal, TurnAway};
pub use emit::Emit;
pub use handshake::Handshake;
pub use incoming::Incoming;
pub use known::Place;
pub use told::{Mark, Told};
pub use transport::Transport;
