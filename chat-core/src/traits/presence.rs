use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;

use crate::{
    BackendError,
    model::{NodeId, PresenceInfo, PresenceStatus, UserId},
};

/// One node's word for a user: all their devices on that node together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The user.
    pub user_id: UserId,
    /// Online, away or busy.
    pub status: PresenceStatus,
    /// How long the word holds without being renewed.
    pub ttl: Duration,
}

/// Keeps who is there, as leases that run out by themselves.
///
/// A user is there while any node holds an unexpired lease: `busy` if one says so, else `online` if
/// one says so, else `away`. Time is the backend's own.
#[async_trait]
pub trait Presence: Debug + Send + Sync + 'static {
    /// Takes or renews leases of `node`, replacing its former word for these users.
    async fn renew(&self, node: NodeId, leases: Vec<Lease>) -> Result<(), BackendError>;

    /// Ends leases of `node` at once; `last_seen_at` becomes now for who has no other lease.
    async fn release(&self, node: NodeId, users: Vec<UserId>) -> Result<(), BackendError>;

    /// The presence of these users, one each, in order. Who was never there is offline without `last_seen_at`.
    async fn get(&self, users: &[UserId]) -> Result<Vec<PresenceInfo>, BackendError>;
}
