//! Core of [parlor](https://docs.rs/parlor): chat for your own server, a crate and not a service.
//!
//! This crate names no transport and no database. It holds the model, the commands and events, the
//! traits that backends implement, the engine that routes everything, in-memory backends, and the
//! conformance suite for backends (feature `conformance`).

#[cfg(any(feature = "jwt-rust-crypto", feature = "jwt-aws-lc"))]
pub mod auth;
pub mod backends;
pub mod command;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod event;
pub mod model;
pub mod rules;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
pub mod traits;
pub mod transport;

mod clock;
mod engine;
mod error;
mod limits;

pub use clock::{Clock, SystemClock, Timestamp};
pub use engine::*;
pub use error::{BackendError, BackendErrorKind, Error, ErrorCode, Invalid};
pub use limits::{Limits, counted_address};
