//! Who may talk: two who have a confirmed booking.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use parking_lot::Mutex;
use parlor::{
    BackendError, BackendErrorKind,
    model::{ConversationId, Identity, UserId},
    store::Store,
    traits::{AccessPolicy, Action, Verdict},
};

use crate::bookings::Bookings;

/// Pairs that are remembered; a conversation's never changes.
const REMEMBERED: usize = 50_000;

/// Lets two users start, write and receive while they have a confirmed booking. What was said stays readable.
#[derive(Debug)]
pub(crate) struct BookedOnly {
    bookings: Bookings,
    store: Arc<dyn Store>,
    pairs: Mutex<HashMap<ConversationId, [UserId; 2]>>,
}

impl BookedOnly {
    pub(crate) fn new(bookings: Bookings, store: Arc<dyn Store>) -> Self {
        Self { bookings, store, pairs: Mutex::default() }
    }

    /// Whether the two of a conversation have a booking. Groups have none.
    async fn may_talk_in(&self, id: ConversationId) -> Result<bool, BackendError> {
        let known = self.pairs.lock().get(&id).cloned();
        let pair = match known {
            Some(pair) => pair,
            None => {
                let found = self.store.conversation(id).await?;
                let Some(direct) = found.and_then(|conversation| conversation.direct) else {
                    return Ok(false);
                };
                let mut pairs = self.pairs.lock();
                if pairs.len() >= REMEMBERED {
                    pairs.clear();
                }
                pairs.insert(id, direct.users.clone());
                direct.users
            }
        };
        self.may_talk(&pair[0], &pair[1]).await
    }

    async fn may_talk(&self, one: &UserId, other: &UserId) -> Result<bool, BackendError> {
        let answer = self.bookings.is_confirmed(one, other).await;
        answer.map_err(|error| {
            BackendError::new(BackendErrorKind::Unavailable, "bookings").with_source(error)
        })
    }
}

#[async_trait]
impl AccessPolicy for BookedOnly {
    async fn check(&self, caller: &Identity, action: &Action) -> Result<Verdict, BackendError> {
        let booked = match action {
            // To have read something says nothing to anybody who may not receive it.
            Action::Connect | Action::Read { .. } | Action::Signal { .. } => true,
            Action::OpenDirect { with, .. } => self.may_talk(&caller.user_id, with).await?,
            Action::SeePresence { of } => self.may_talk(&caller.user_id, of).await?,
            Action::Send { conversation_id, .. } | Action::Write { conversation_id } => {
                self.may_talk_in(*conversation_id).await?
            }
            // Groups are not booked.
            _ => false,
        };
        if booked {
            Ok(Verdict::Allow)
        } else {
            Ok(Verdict::Deny("there is no confirmed booking".into()))
        }
    }

    async fn may_receive(
        &self,
        _: &UserId,
        conversations: &[ConversationId],
    ) -> Result<Vec<bool>, BackendError> {
        let mut answers = Vec::with_capacity(conversations.len());
        for id in conversations {
            answers.push(self.may_talk_in(*id).await?);
        }
        Ok(answers)
    }
}
