//! What several nodes of [parlor](https://docs.rs/parlor) share and may lose, on Redis 6.2 or newer, or Valkey:
//! the bus between them, presence, rate limits.
//!
//! ```no_run
//! # async fn open() -> Result<(), parlor_core::BackendError> {
//! use parlor_store_redis::RedisBackends;
//!
//! let redis = RedisBackends::open("redis://127.0.0.1:6379").await?;
//! let (bus, presence, limits) = (redis.bus(), redis.presence(), redis.rate_limiter());
//! # Ok(())
//! # }
//! ```

mod backends;
mod bus;
mod config;
mod connection;
mod error;
mod link;
mod names;
mod presence;
mod rate;
mod script;
mod url;

pub use backends::RedisBackends;
pub use config::RedisConfig;
