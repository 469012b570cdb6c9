use std::{collections::BTreeMap, fmt::Debug};

use async_trait::async_trait;

use crate::{
    BackendError,
    model::{Conversation, ConversationId, Role, UserId},
};

/// Who belongs to a conversation, as the host's own tables say.
pub type HostMembers = BTreeMap<UserId, Role>;

/// Reads from the host's own tables who belongs where.
///
/// The engine keeps its member rows equal to it: on [`crate::Chat::sync_members`], which a host calls
/// when its tables changed, and whenever somebody connects. Members of such a conversation cannot
/// change it themselves.
#[async_trait]
pub trait MembershipSource: Debug + Send + Sync + 'static {
    /// The members of a conversation; `None` when the host has no say in it.
    async fn members(
        &self,
        conversation: &Conversation,
    ) -> Result<Option<HostMembers>, BackendError>;

    /// Conversations to compare when this user connects: those that the host's tables give them or
    /// have taken from them. The default names none.
    async fn conversations(&self, user: &UserId) -> Result<Vec<ConversationId>, BackendError> {
        let _ = user;
        Ok(Vec::new())
    }
}
