//! What several nodes of [parlor](https://docs.rs/parlor) share and may lose, on Redis 6.2 or newer, or Valkey:
//! the bus between them, presence, rate limits. And for nodes at the edge, which hold connections and no
//! database, the way to a store that other processes have.
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
//! - **Remote stores.** One list, `parlor:{requests}`, into which nodes without a database push their questions
//!   with the moment until which the answer is wanted, and from which the processes that have it take them, up to
//!   16 at a time, by a blocking read on a connection of their own; a channel for each node, `parlor:answers:{…}`,
//!   to which they publish the answers. The list expires with its last question.
//!
//! Scripts touch one key each, and every name carries a hash tag, so nothing stands in the way of a cluster.
//! Nothing is kept that must survive: Redis needs no persistence, and memory for the users of a month.
//! A user of Redis with limited rights needs the prefix as keys (`~parlor:*`) and channels (`&parlor:*`), and the
//! commands `PUBLISH`, `SUBSCRIBE`, `UNSUBSCRIBE`, `EVALSHA`, `SCRIPT LOAD`, `PING`, `HELLO`, `TIME`, `HGETALL`, `HGET`, `HSET`, `HDEL`, `DEL`, `GET`, `SET`, `PEXPIRE`, `PEXPIREAT`, and for remote stores
//! `LLEN`, `RPUSH`, `PTTL`, `BLPOP`, `LPOP`. Whoever has them can ask a served store anything: keep this Redis as
//! close as the database.
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
//! - Remote stores answer nothing: a retryable error, at once.
//!
//! # A node at the edge
//!
//! A node needs no database of its own. With [`RedisBackends::remote_store`] it is an engine like any other: its
//! sessions, order, resume, presence and every transport work as they do beside the database, and only the calls of
//! the [`Store`](parlor_core::store::Store) travel. Processes that have the database serve it, as many as there are:
//!
//! ```no_run
//! # async fn serve(url: &str, store: std::sync::Arc<dyn parlor_core::store::Store>) -> Result<(), parlor_core::BackendError> {
//! use parlor_store_redis::RedisBackends;
//!
//! // Where the database is:
//! let redis = RedisBackends::open(url).await?;
//! redis.store_server(store).run(async { let _ = tokio::signal::ctrl_c().await; }).await;
//!
//! // At the edge:
//! let redis = RedisBackends::open(url).await?;
//! let chat = parlor_core::Chat::builder(redis.remote_store()).bus(redis.bus());
//! # Ok(())
//! # }
//! ```
//!
//! The store is the place to cut because its calls are few, bounded, and safe to ask again: a send carries its
//! idempotency key and a new conversation its id, so a process that dies with a question loses and doubles nothing.
//! Cut above the engine, sessions would live in a process that may die, and their order, gaps and leases would
//! have to be carried on by another. What decides beside the store (policies, hooks, directories) runs where
//! the engine runs, at the edge; one that needs the host's tables asks for them in a way of its own.
//!
//! # What can be watched
//!
//! Metrics: gauge `parlor_redis_connected{connection}` (1 or 0; `commands`, `bus`, `answers`, `questions`),
//! `parlor_remote_store_up` (whether somebody answers); counters
//! `parlor_redis_connects_total{connection}`, `parlor_redis_local_takes_total` (units counted by this node alone),
//! `parlor_redis_incoming_overflows_total` (what waited on a bus was dropped),
//! `parlor_remote_store_unanswered_total`, `parlor_store_server_questions_total`,
//! `parlor_store_server_expired_total` (taken when nobody wanted the answer any more),
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
mod remote;
mod script;
mod url;

pub use backends::RedisBackends;
pub use config::RedisConfig;
pub use remote::StoreServer;
