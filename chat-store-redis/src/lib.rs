//! What several nodes of [parlor](https://docs.rs/parlor) share and may lose, on Redis 6.2 or newer, or Valkey:
//! the bus between them, presence, rate limits.
//!
//! ```no_run
//! # async fn open() -> Result<(), parlor_core::BackendError> {
//! use std::sync::Arc;
//! use parlor_core::{Chat, backends::MemoryStore};
//! use parlor_store_redis::RedisBackends;
//!
//! let redis = RedisBackends::open("redis://:password@127.0.0.1:6379").await?;
//! # let store = Arc::new(MemoryStore::new());
//! let chat = Chat::builder(store)
//!     .bus(redis.bus())
//!     .presence(redis.presence())
//!     .rate_limiter(redis.rate_limiter());
//! # Ok(())
//! # }
//! ```
//!
//! # What it does to Redis
//!
//! A node holds two connections: one for commands, and one for each bus to listen. Both speak RESP3, are asked
//! for a sign of life every second, and are replaced when none comes for two, so a path that swallows everything
//! is found out within about three seconds.
//!
//! - **Bus.** A channel for each topic, for example `parlor:user:{ann}`. All publications of a call go out in one write (in
//!   several above 1 MiB). Joins that come at once share a command. A node drops at once what it published
//!   itself, and copies of what it has from another channel.
//! - **Presence.** A hash for each user, `parlor:leases:{ann}`, with a lease for each node, written and judged by
//!   scripts with the server's time. Up to 1,000 users go out in one write. A node that dies is silent, and its
//!   leases run out. Every key expires: when somebody was last seen is kept for 30 days by default.
//! - **Rate limits.** A number for each class and user, `parlor:rate:sends:{ann}`, gone when the quota is whole
//!   again; a unit is taken by one script in one round trip (GCRA).
//!
//! Scripts touch one key each, and every name carries a hash tag, so nothing stands in the way of a cluster.
//! Nothing is kept that must survive: Redis needs no persistence, and memory for the users of a month.
//! A user of Redis with limited rights needs the prefix as keys (`~parlor:*`) and channels (`&parlor:*`), and the
//! commands `PUBLISH`, `SUBSCRIBE`, `UNSUBSCRIBE`, `EVALSHA`, `SCRIPT LOAD`, `PING`, `HELLO`, `TIME`, `HGETALL`, `HGET`, `HSET`, `HDEL`, `DEL`, `GET`, `SET`, `PEXPIRE`, `PEXPIREAT`.
//!
//! # When Redis is gone
//!
//! Chat goes on. Calls fail at once, as something to try again; only those that find out that Redis is gone
//! wait for the response timeout, 500 ms by default. Connecting is tried again after 100 ms, then after growing
//! pauses up to 2 s, spread at random.
//!
//! - The bus listens again to all that was joined, also to what was joined meanwhile, and then tells a
//!   [`Gap`](parlor_core::traits::BusItem::Gap), after which the engine catches up from the store. The same when this
//!   node reads too slowly: what waits is bounded.
//! - Presence is unknown until leases can be read again; a Redis that lost them gets them at the next renewal.
//! - Rate limits are counted by each node alone.
//!
//! # What can be watched
//!
//! Metrics: gauge `parlor_redis_connected{connection}` (1 or 0; `commands` and `bus`); counters
//! `parlor_redis_connects_total{connection}`, `parlor_redis_local_takes_total` (units counted by this node alone),
//! `parlor_redis_incoming_overflows_total` (what waited on a bus was dropped),
//! `parlor_redis_skipped_total` (not of the form that nodes of this version write). Each change of a
//! connection, and of where limits are counted, is one line in the log.

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
