//! What the tests share: nodes as processes, and the client of the system tests.

mod channel;
mod nodes;

#[allow(dead_code, reason = "the system tests use more of it")]
#[path = "../../../../../tests/system/support/client.rs"]
mod client;
#[allow(dead_code, reason = "the system tests use more of it")]
#[path = "../../../../../tests/system/support/follower.rs"]
mod follower;

/// What the client looks for beside itself.
mod device {
    use std::time::Duration;

    /// Nothing that is waited for takes longer than this unless it is broken.
    pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
}

pub(crate) use channel::{Ear, Mouth};
pub(crate) use client::{Client, id_in, text_frame};
use follower::Follower;
pub(crate) use nodes::Nodes;
