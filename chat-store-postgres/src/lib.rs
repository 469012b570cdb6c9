//! PostgreSQL store for [parlor](https://docs.rs/parlor): durable chat on the database you have, for as many
//! nodes as you like. PostgreSQL 14 or newer.
//!
//! ```no_run
//! # async fn open(pool: sqlx::PgPool) -> Result<(), parlor_core::BackendError> {
//! use parlor_store_postgres::PostgresStore;
//!
//! // By URL, or on a pool that the host has already.
//! let store = PostgresStore::connect("postgres://chat@localhost/app").await?;
//! let store = PostgresStore::new(pool).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Everything lives in a schema of its own (`parlor`), with a migrations table of its own: the host's tables,
//! its `search_path` and its own migrations are not touched. Each batch of messages is one round trip and one
//! commit, which is on disk when it is answered, whatever `synchronous_commit` the pool has.
//!
//! # A message within the host's own transaction
//!
//! A booking is confirmed and its message is sent, both or neither:
//!
//! ```no_run
//! # async fn confirm(
//! #     chat: parlor_core::Chat, store: parlor_store_postgres::PostgresStore, pool: sqlx::PgPool,
//! #     conversation: parlor_core::model::ConversationId,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! use parlor_core::model::{MessageKind, NewMessage};
//!
//! let mut tx = pool.begin().await?;
//! sqlx::query("UPDATE bookings SET confirmed = true WHERE id = 7").execute(&mut *tx).await?;
//! let message = NewMessage::text("Your booking is confirmed").with_kind(MessageKind::System);
//! let stored = store.append_in(&mut tx, chat.compose(None, conversation, message)?).await?.stored()?;
//! tx.commit().await?;
//! // Only now the members may hear of it.
//! chat.announce(stored);
//! # Ok(())
//! # }
//! ```
//!
//! # On a pool of your own
//!
//! Turn off just-in-time compilation for it (`SET jit = off` in sqlx's `after_connect`, or `ALTER ROLE … SET jit = off`), as the
//! store does on its own: where one conversation has millions of messages PostgreSQL would compile statements that take less
//! than a millisecond. The store warns in the log of a pool that has it on.
//!
//! # Behind a pooler
//!
//! PgBouncer in transaction mode needs version 1.21 and `max_prepared_statements` above 0. No session state is
//! used: no advisory locks that outlive a transaction, no `LISTEN`, and no `SET` but that of `jit`, which is in nobody's way when
//! another client gets the connection.

mod append;
mod batch;
mod change;
mod changes;
mod config;
mod connection;
mod conversations;
mod cursors;
mod database;
mod error;
mod eyes;
mod gather;
mod history;
mod inspect;
mod lists;
mod memberships;
mod messages;
mod private;
mod reactions;
mod revise;
mod rows;
mod schema;
mod store;
mod unread;

#[cfg(test)]
mod tests;

pub use config::PostgresConfig;
pub use inspect::{Inspection, inspect};
pub use schema::{MIGRATIONS, Migration, schema_sql};
pub use store::PostgresStore;
