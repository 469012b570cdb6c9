//! Users: who is calling, what is shown of them, whether they are there.

use serde::{Deserialize, Serialize};

use super::{Metadata, UserId};
use crate::Timestamp;

/// Who a caller is, as the host or the token says. Nothing that a client sends can change it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Identity {
    /// The user.
    pub user_id: UserId,
    /// The name to show, when the host or the token knows one.
    pub name: Option<String>,
    /// A URL of a picture to show.
    pub picture: Option<String>,
    /// When the identity ends: a connection closes then unless it authenticates again.
    pub expires_at: Option<Timestamp>,
    /// Everything else that the token or the host says, for policies and hooks.
    pub claims: Metadata,
}

impl Identity {
    /// An identity that does not expire, without name or picture.
    pub fn new(user_id: UserId) -> Self {
        Self { user_id, name: None, picture: None, expires_at: None, claims: Metadata::default() }
    }

    /// Sets the name to show.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the moment at which the identity ends.
    #[must_use]
    pub fn with_expiry(mut self, expires_at: Timestamp) -> Self {
        self.expires_at = Some(expires_at);
        self
    }

    /// Whether the identity has ended.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= now)
    }
}

/// What is shown of a user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Profile {
    /// The user.
    pub user_id: UserId,
    /// The name to show; clients fall back to the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A URL of a picture to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
    /// Free attributes of the host.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub attributes: Metadata,
}

impl Profile {
    /// A profile with nothing but the id.
    pub fn new(user_id: UserId) -> Self {
        Self { user_id, name: None, picture: None, attributes: Metadata::default() }
    }
}

/// Whether a user is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PresenceStatus {
    /// At least one device is connected and in use.
    Online,
    /// Connected, but all devices say that nobody looks.
    Away,
    /// Connected, and asks not to be disturbed. One device that says so speaks for all.
    Busy,
    /// No device is connected.
    Offline,
    /// Nobody can tell at the moment: the lease store is down.
    Unknown,
}

/// A user's presence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PresenceInfo {
    /// The user.
    pub user_id: UserId,
    /// Whether they are there.
    pub status: PresenceStatus,
    /// When the last device went, for somebody who is offline; absent where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen_at: Option<Timestamp>,
}
