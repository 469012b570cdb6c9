#![doc = include_str!("../README.md")]

pub use parlor_core::*;

#[cfg(feature = "axum")]
pub use parlor_transport_axum as axum;

#[cfg(feature = "sqlite")]
pub use parlor_store_sqlite as sqlite;
