//! A store that is asked over Redis: nodes without a database at one end, any number of processes that have it at
//! the other.
//!
//! A question is pushed to one list, from which whoever is free takes it; the answer is published to the channel
//! of who asked. A process that dies with a question leaves it unanswered: after a moment it is asked again,
//! with the same ids and keys, and another one answers.

mod asker;
mod carry;
mod desk;
mod server;
mod store;
mod wire;

pub use server::StoreServer;

pub(crate) use asker::Asker;
pub(crate) use store::RemoteStore;
