use std::{borrow::Cow, fmt::Debug, sync::Arc};

use async_trait::async_trait;

use crate::{
    command::Command,
    event::Event,
    model::{Identity, UserId},
};

/// Why a hook refuses a command, in words for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection(pub Cow<'static, str>);

impl Rejection {
    /// Refuses with these words.
    pub fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self(reason.into())
    }
}

/// What has happened, with what a host needs to send push notifications.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AfterEvent {
    /// The change.
    pub event: Arc<Event>,
    /// For a sent message: the members besides the sender who have no device connected. Empty when
    /// presence is unknown.
    pub offline: Vec<UserId>,
}

/// The host's say before a command and its ear after an event.
///
/// A panic is contained; a `before` that takes longer than the configured deadline (2 s by default)
/// fails that one command with [`crate::Error::Unavailable`].
#[async_trait]
pub trait Hook: Debug + Send + Sync + 'static {
    /// May change the command or refuse it. The default lets it through.
    ///
    /// `caller` is `None` for the host itself. The retry of a send passes here again; the content hash
    /// that tells a retry is taken before.
    async fn before(
        &self,
        caller: Option<&Identity>,
        command: Command,
    ) -> Result<Command, Rejection> {
        let _ = caller;
        Ok(command)
    }

    /// Told of every shared change that this node made, after its commit, in order per conversation.
    /// Best effort: a process that dies tells nobody. The default does nothing.
    async fn after(&self, event: &AfterEvent) {
        let _ = event;
    }

    /// Whether [`Hook::after`] does anything. To be told costs a look at who is offline for each message: a hook
    /// that only looks at commands says no. Asked once, when the engine is built. Defaults to yes.
    fn listens(&self) -> bool {
        true
    }
}
