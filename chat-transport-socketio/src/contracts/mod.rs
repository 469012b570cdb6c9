//! Contracts of chat services that were published, each with its events, payloads and REST routes.
//! `docs/socket-io.md` lists them.

mod connections;

pub use connections::Connections;
