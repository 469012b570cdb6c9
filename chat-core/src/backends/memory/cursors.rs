use async_trait::async_trait;

use super::{Data, MemoryStore};
use crate::{
    BackendError,
    model::{ConversationId, Cursor, UserId},
    store::{Advance, Advanced, CursorStore, UnreadTotal},
};

#[async_trait]
impl CursorStore for MemoryStore {
    async fn advance(
        &self,
        batch: Vec<Advance>,
        unread_cap: u32,
    ) -> Vec<Result<Option<Advanced>, BackendError>> {
        let mut data = self.medium.data.lock();
        batch.iter().map(|advance| Ok(data.advance(advance, unread_cap))).collect()
    }

    async fn cursors(
        &self,
        conversation_id: ConversationId,
        limit: usize,
    ) -> Result<Vec<Cursor>, BackendError> {
        let data = self.medium.data.lock();
        let seats = data.rooms.get(&conversation_id).into_iter().flat_map(|room| &room.seats);
        let cursors = seats.take(limit).map(|(user, seat)| Cursor {
            user_id: user.clone(),
            delivered_seq: seat.state.delivered_seq,
            read_seq: seat.state.read_seq,
            private: seat.state.private_receipts,
        });
        Ok(cursors.collect())
    }

    async fn unread_total(
        &self,
        user: &UserId,
        unread_cap: u32,
    ) -> Result<UnreadTotal, BackendError> {
        let data = self.medium.data.lock();
        let mut total = UnreadTotal::default();
        for room in data.rooms_of(user) {
            if let Some(state) = room.state(user, unread_cap)
                && state.unread > 0
                && !state.archived
                && !state.is_hidden(room.conversation.last_seq)
            {
                total.conversations += 1;
                total.messages = total.messages.saturating_add(state.unread);
            }
        }
        Ok(total)
    }
}

impl Data {
    fn advance(&mut self, advance: &Advance, unread_cap: u32) -> Option<Advanced> {
        let room = self.rooms.get_mut(&advance.conversation_id)?;
        let last_seq = room.conversation.last_seq;
        let state = &mut room.seats.get_mut(&advance.user_id)?.state;
        let delivered_before = state.delivered_seq;
        let moved = advance.apply(state, last_seq);
        let state = room.state(&advance.user_id, unread_cap)?;
        Some(Advanced { state, moved, delivered_before })
    }
}
