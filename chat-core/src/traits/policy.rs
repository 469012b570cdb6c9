use std::{borrow::Cow, fmt::Debug};

use async_trait::async_trait;

use crate::{
    BackendError,
    model::{ConversationId, Identity, MessageKind, UserId},
};

/// What somebody wants to do. Membership has been checked where it applies.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Action {
    /// Connect at all.
    Connect,
    /// Open the direct conversation with a user.
    OpenDirect {
        /// The other user.
        with: UserId,
        /// The context given.
        context: Option<String>,
    },
    /// Make a group with these members.
    CreateGroup {
        /// The members besides the creator.
        members: Vec<UserId>,
    },
    /// Add members to a group.
    AddMembers {
        /// The group.
        conversation_id: ConversationId,
        /// The new members.
        members: Vec<UserId>,
    },
    /// Read a conversation: its history, members, cursors.
    Read {
        /// The conversation.
        conversation_id: ConversationId,
    },
    /// Send a message.
    Send {
        /// The conversation.
        conversation_id: ConversationId,
        /// Its kind.
        kind: MessageKind,
    },
    /// Change a conversation or one of its messages, react, pin.
    Write {
        /// The conversation.
        conversation_id: ConversationId,
    },
    /// Send typing, receipts or signals.
    Signal {
        /// The conversation.
        conversation_id: ConversationId,
    },
    /// See whether a user is there. That the two share a conversation has been checked.
    SeePresence {
        /// The user to be seen.
        of: UserId,
    },
}

/// What a policy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Allow,
    /// No, and say so, with the reason.
    Deny(Cow<'static, str>),
    /// No, and answer as if it did not exist.
    Conceal,
}

/// Decides what callers may do beyond membership and roles: a confirmed booking, a connection.
///
/// When an answer changes for somebody who is connected, call [`crate::Chat::recheck_access`].
#[async_trait]
pub trait AccessPolicy: Debug + Send + Sync + 'static {
    /// May this caller do this? Asked for every command; keep it quick, or cache.
    async fn check(&self, caller: &Identity, action: &Action) -> Result<Verdict, BackendError>;

    /// Which of these conversations may the user receive events from? One answer each, in order; the
    /// default allows all. Asked when a device connects and on [`crate::Chat::recheck_access`].
    async fn may_receive(
        &self,
        user: &UserId,
        conversations: &[ConversationId],
    ) -> Result<Vec<bool>, BackendError> {
        let _ = user;
        Ok(vec![true; conversations.len()])
    }
}

/// Allows everything that membership and roles allow. The default.
#[derive(Debug, Clone, Copy, Default)]
pub struct Everyone;

#[async_trait]
impl AccessPolicy for Everyone {
    async fn check(&self, _: &Identity, _: &Action) -> Result<Verdict, BackendError> {
        Ok(Verdict::Allow)
    }
}
