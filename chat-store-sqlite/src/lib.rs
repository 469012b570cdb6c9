//! Embedded SQLite store for [parlor](https://docs.rs/parlor): durable chat without a database server.
//!
//! ```no_run
//! # async fn open() -> Result<(), parlor_core::BackendError> {
//! use parlor_store_sqlite::SqliteStore;
//!
//! let store = SqliteStore::open("chat.db").await?;
//! # Ok(())
//! # }
//! ```
//!
//! Write-ahead log with `synchronous=FULL`: what was answered is on disk. One connection writes, and
//! writes that wait together share a commit; a pool of others reads. The file belongs to one process.

mod append;
mod change;
mod changes;
mod config;
mod conversations;
mod cursors;
mod error;
mod eyes;
mod history;
mod insert;
mod lists;
mod medium;
mod private;
mod reactions;
mod revise;
mod rows;
mod schema;
mod store;
mod unread;
mod writer;

#[cfg(test)]
mod tests;

pub use config::SqliteConfig;
pub use schema::{MIGRATIONS, Migration, schema_sql};
pub use store::SqliteStore;
