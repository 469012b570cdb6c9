//! How far everybody has come. Cursors move forward, and what is unread is counted from them.

use async_trait::async_trait;
use parlor::{
    BackendError,
    model::{ConversationId, Cursor, UserId},
    store::{Advance, Advanced, CursorStore, UnreadTotal},
};

use crate::{
    journal::{JournalStore, Transaction},
    tables::Row,
};

#[async_trait]
impl CursorStore for JournalStore {
    async fn advance(
        &self,
        batch: Vec<Advance>,
        unread_cap: u32,
    ) -> Vec<Result<Option<Advanced>, BackendError>> {
        let count = batch.len();
        let all = move |transaction: &mut Transaction<'_>| {
            batch.iter().map(|one| advance(transaction, one, unread_cap)).collect::<Vec<_>>()
        };
        match self.write("advance", all).await {
            Ok(answers) => answers.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error); count],
        }
    }

    async fn cursors(
        &self,
        conversation_id: ConversationId,
        limit: usize,
    ) -> Result<Vec<Cursor>, BackendError> {
        let tables = self.read("cursors").await?;
        let cursors = tables.seats(conversation_id).take(limit).map(|(user, seat)| Cursor {
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
        let tables = self.read("unread_total").await?;
        let mut total = UnreadTotal::default();
        for conversation in tables.conversations_of(user, None) {
            let Some(state) = tables.state(conversation.id, user, unread_cap) else { continue };
            if state.unread > 0 && !state.archived && !state.is_hidden(conversation.last_seq) {
                total.conversations += 1;
                total.messages = total.messages.saturating_add(state.unread);
            }
        }
        Ok(total)
    }
}

/// `None` for who is not a member.
fn advance(transaction: &mut Transaction<'_>, advance: &Advance, cap: u32) -> Option<Advanced> {
    let (id, user) = (advance.conversation_id, &advance.user_id);
    let last_seq = transaction.tables().conversations.get(&id)?.last_seq;
    let mut seat = transaction.tables().seat(id, user)?.clone();
    let delivered_before = seat.state.delivered_seq;
    let moved = advance.apply(&mut seat.state, last_seq);
    if moved {
        transaction.put(Row::Seat(id, user.clone(), seat));
    }
    let state = transaction.tables().state(id, user, cap)?;
    Some(Advanced { state, moved, delivered_before })
}
