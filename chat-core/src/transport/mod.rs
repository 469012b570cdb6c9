//! For those who write transports: what each of them has to check before it knows who calls.

mod lobby;
mod origins;

pub use lobby::{Lobby, Place};
pub use origins::Origins;
