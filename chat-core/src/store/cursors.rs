//! Delivered and read cursors, and what is unread.

use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    BackendError,
    model::{ConversationId, Cursor, MemberState, UserId},
};

/// A cursor to be moved forward.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advance {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The member.
    pub user_id: UserId,
    /// Delivered up to this seq.
    pub delivered_seq: Option<u64>,
    /// Read up to this seq.
    pub read_seq: Option<u64>,
}

impl Advance {
    /// Moves the cursors of a member's row and takes the next `member_rev` when anything moved; says
    /// whether it did. `last_seq` is the conversation's. For stores.
    pub fn apply(&self, state: &mut MemberState, last_seq: u64) -> bool {
        let before = (state.delivered_seq, state.read_seq, state.unread_from);
        if let Some(read) = self.read_seq.map(|seq| seq.min(last_seq)) {
            state.read_seq = state.read_seq.max(read);
            if state.unread_from.is_some_and(|from| read >= from) {
                state.unread_from = None;
            }
        }
        let delivered = self.delivered_seq.map_or(0, |seq| seq.min(last_seq));
        state.delivered_seq = state.delivered_seq.max(state.read_seq).max(delivered);
        let moved = before != (state.delivered_seq, state.read_seq, state.unread_from);
        if moved {
            state.member_rev += 1;
        }
        moved
    }
}

/// What [`CursorStore::advance`] did for one member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advanced {
    /// The state now, with the unread count.
    pub state: MemberState,
    /// Whether a cursor moved or the mark as unread went; only then a `member_rev` was taken.
    pub moved: bool,
    /// The delivered cursor before: what lies between it and `state.delivered_seq` was delivered by this
    /// very call and by no other.
    pub delivered_before: u64,
}

/// How much a user has not read, over all conversations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UnreadTotal {
    /// Conversations with something unread, without hidden and archived ones.
    pub conversations: u32,
    /// Unread messages in them, each conversation capped at [`crate::Limits::unread_cap`].
    pub messages: u32,
}

/// Delivered and read cursors. See the [module](crate::store) for what holds for all methods.
#[async_trait]
pub trait CursorStore: Debug + Send + Sync + 'static {
    /// Moves cursors forward. The answers come in the order of the batch; `None` for who is not a member.
    ///
    /// - Monotone and clamped to the last seq; read implies delivered.
    /// - A read at or beyond `unread_from` takes the mark as unread away, also when the cursor does not move.
    /// - Moving takes one `member_rev`, never a shared rev.
    /// - `delivered_before` is read under the lock that the cursors move under: of calls that race, each
    ///   message is between the two cursors of one alone.
    async fn advance(
        &self,
        batch: Vec<Advance>,
        unread_cap: u32,
    ) -> Vec<Result<Option<Advanced>, BackendError>>;

    /// The cursors of all members by user id, private ones marked, at most `limit`.
    async fn cursors(
        &self,
        conversation_id: ConversationId,
        limit: usize,
    ) -> Result<Vec<Cursor>, BackendError>;

    /// How much a user has not read, over all conversations.
    async fn unread_total(
        &self,
        user: &UserId,
        unread_cap: u32,
    ) -> Result<UnreadTotal, BackendError>;
}
