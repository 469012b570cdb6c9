#![doc = include_str!("../README.md")]

pub use parlor_core::*;

#[cfg(feature = "axum")]
pub use parlor_transport_axum as axum;

#[cfg(feature = "postgres")]
pub use parlor_store_postgres as postgres;

#[cfg(feature = "redis")]
pub use parlor_store_redis as redis;

#[cfg(feature = "sqlite")]
pub use parlor_store_sqlite as sqlite;

#[cfg(feature = "socketio")]
pub use parlor_transport_socketio as socketio;
