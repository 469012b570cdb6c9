//! For those who write transports: what each of them has to check before it knows who calls, and tasks that write to
//! many connections.

mod lobby;
mod origins;
mod writers;

pub use lobby::{Lobby, Place};
pub use origins::Origins;
pub use writers::{Queue, Workspace, Writable, Writers};
