//! The routing engine: frame → command → gate → store → fan-out → frame.

mod builder;
mod caller;
mod chat;
mod cluster;
mod commands;
mod config;
mod delivery;
mod inflight;
mod node;
mod outage;
mod sessions;
mod signs;

// The parts know each other by their own names, whichever room they are in.
use cluster::{publisher, relay, topics, wire};
use commands::{committer, cursors, dispatch, gate, hooks, lane, verbs};
use delivery::{arrivals, budget, catchup, codec, fanout, outbox, registry, rooms};
use sessions::{access, resume, session};
use signs::{people, receipts, typing};

pub use builder::ChatBuilder;
pub use caller::{Caller, Subscription};
pub use chat::Chat;
pub use codec::{Codec, Outgoing};
pub use config::Config;
pub use dispatch::Started;
pub use outbox::{CloseReason, Notifier};
pub use resume::{Known, Resume, Unknown};
pub use session::{ConnectOptions, Events, Session};

/// Rows that the engine asks a store for at once, for its own use.
const PAGE: usize = 1000;
