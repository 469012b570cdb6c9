//! Processes, clients, and a source of keys.

mod client;
mod issuer;
mod process;

use std::time::Duration;

pub(crate) use client::Client;
pub(crate) use issuer::{Issuer, Signer};
pub(crate) use process::Process;

/// Nothing in these tests takes as long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A secret that cannot be guessed.
pub(crate) const SECRET: &str = "b1946ac92492d2347c6235b4d2611184e0f9";
