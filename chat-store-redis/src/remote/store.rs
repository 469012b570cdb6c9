//! The end without a database: a store like any other, whose every method is a question.

use async_trait::async_trait;
use parlor_core::{
    BackendError, BackendErrorKind, Timestamp,
    model::{
        Conversation, ConversationId, ConversationSummary, Cursor, DirectKey, Member, Message,
        MessageId, UserId,
    },
    store::{
        Advance, Advanced, Append, Appended, Arrival, ChangeOutcome, ChangesPage, ChangesQuery,
        ConversationChange, ConversationStore, Created, CursorStore, HistoryPage, HistoryQuery,
        ListQuery, Membership, MessageRef, MessageStore, NewConversation, PrivateChange,
        PrivateDelta, ReviseOutcome, Revision, Tried, UnreadTotal,
    },
};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::{
    Asker,
    wire::{MarkedCursor, Outcome, Request, Trouble},
};

/// Messages in one question; more go in several.
const BATCH: usize = 100;
/// Batches that may be on their way at once, each of its own conversations.
const LANES: usize = 8;

/// A store that other processes have.
#[derive(Debug)]
pub(crate) struct RemoteStore {
    asker: Asker,
}

impl RemoteStore {
    pub(crate) fn new(asker: Asker) -> Self {
        Self { asker }
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        request: Request,
    ) -> Result<T, BackendError> {
        self.asker.ask(operation, &request).await.map(|(answer, _)| answer)
    }

    /// The outcomes of a batch of at most [`BATCH`] messages, one each.
    async fn outcomes(
        &self,
        operation: &'static str,
        request: &Request,
        ids: &[MessageId],
    ) -> Result<Vec<Outcome>, BackendError> {
        let (mut outcomes, resent) = self.asker.ask::<Vec<Outcome>>(operation, request).await?;
        if outcomes.len() != ids.len() {
            return Err(BackendError::new(BackendErrorKind::Corrupt, operation));
        }
        for (outcome, id) in outcomes.iter_mut().zip(ids) {
            // An earlier attempt stored it and nobody has told the members yet.
            if resent
                && let Some(Ok(Appended::Replayed(message))) = outcome
                && message.id == *id
            {
                *outcome = Some(Ok(Appended::Fresh(message.clone())));
            }
        }
        Ok(outcomes)
    }
}

#[async_trait]
impl ConversationStore for RemoteStore {
    async fn create(&self, new: NewConversation) -> Result<Created, BackendError> {
        let id = new.id;
        let request = Request::Create(Box::new(new));
        let (mut created, resent) = self.asker.ask::<Created>("create", &request).await?;
        // An earlier attempt made it and nobody has told the members yet.
        created.fresh |= resent && created.conversation.id == id;
        Ok(created)
    }

    async fn conversation(&self, id: ConversationId) -> Result<Option<Conversation>, BackendError> {
        self.ask("conversation", Request::Conversation(id)).await
    }

    async fn conversation_by_number(
        &self,
        number: u64,
    ) -> Result<Option<ConversationId>, BackendError> {
        self.ask("conversation_by_number", Request::ConversationByNumber(number)).await
    }

    async fn direct(&self, key: &DirectKey) -> Result<Option<Conversation>, BackendError> {
        self.ask("direct", Request::Direct(key.clone())).await
    }

    async fn members(
        &self,
        id: ConversationId,
        after: Option<&UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, BackendError> {
        self.ask("members", Request::Members(id, after.cloned(), limit)).await
    }

    async fn member(
        &self,
        id: ConversationId,
        user: &UserId,
    ) -> Result<Option<Member>, BackendError> {
        self.ask("member", Request::Member(id, user.clone())).await
    }

    async fn change(
        &self,
        id: ConversationId,
        actor: Option<&UserId>,
        change: ConversationChange,
        max_members: usize,
        now: Timestamp,
    ) -> Result<ChangeOutcome, BackendError> {
        let request = Request::Change(id, actor.cloned(), change, max_members, now);
        self.ask("change", request).await
    }

    async fn memberships(
        &self,
        user: &UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Vec<Membership>, BackendError> {
        self.ask("memberships", Request::Memberships(user.clone(), after, limit)).await
    }

    async fn arrivals(
        &self,
        since: Timestamp,
        after: Option<&Arrival>,
        limit: usize,
    ) -> Result<Vec<Arrival>, BackendError> {
        self.ask("arrivals", Request::Arrivals(since, after.cloned(), limit)).await
    }

    async fn list(
        &self,
        user: &UserId,
        query: ListQuery,
    ) -> Result<Vec<ConversationSummary>, BackendError> {
        self.ask("list", Request::List(user.clone(), query)).await
    }

    async fn summary(
        &self,
        id: ConversationId,
        user: &UserId,
        unread_cap: u32,
    ) -> Result<Option<ConversationSummary>, BackendError> {
        self.ask("summary", Request::Summary(id, user.clone(), unread_cap)).await
    }

    async fn change_private(
        &self,
        id: ConversationId,
        user: &UserId,
        change: PrivateChange,
        unread_cap: u32,
    ) -> Result<Option<PrivateDelta>, BackendError> {
        let request = Request::ChangePrivate(id, user.clone(), change, unread_cap);
        self.ask("change_private", request).await
    }

    async fn private_changes(
        &self,
        id: ConversationId,
        user: &UserId,
        since: u64,
        limit: usize,
        unread_cap: u32,
    ) -> Result<Option<PrivateDelta>, BackendError> {
        let request = Request::PrivateChanges(id, user.clone(), since, limit, unread_cap);
        self.ask("private_changes", request).await
    }

    async fn heads(
        &self,
        ids: &[ConversationId],
    ) -> Result<Vec<(ConversationId, u64)>, BackendError> {
        self.ask("heads", Request::Heads(ids.to_vec())).await
    }

    async fn sharing(&self, user: &UserId, others: &[UserId]) -> Result<Vec<UserId>, BackendError> {
        self.ask("sharing", Request::Sharing(user.clone(), others.to_vec())).await
    }

    async fn epoch(&self) -> Result<Uuid, BackendError> {
        self.ask("epoch", Request::Epoch).await
    }

    async fn ping(&self) -> Result<(), BackendError> {
        self.ask("ping", Request::Ping).await
    }
}

#[async_trait]
impl MessageStore for RemoteStore {
    async fn append(&self, batch: Vec<Append>) -> Vec<Result<Appended, BackendError>> {
        let mut answers = Vec::with_capacity(batch.len());
        let mut batch = batch.into_iter();
        loop {
            let part: Vec<Append> = batch.by_ref().take(BATCH).collect();
            if part.is_empty() {
                return answers;
            }
            let ids: Vec<MessageId> = part.iter().map(|append| append.message_id).collect();
            match self.outcomes("append", &Request::Append(part), &ids).await {
                Ok(outcomes) => answers.extend(outcomes.into_iter().map(answered)),
                Err(error) => answers.extend(ids.iter().map(|_| Err(error.clone()))),
            }
        }
    }

    async fn try_append(&self, batch: Vec<Append>) -> Vec<Tried> {
        let mut answers = Vec::with_capacity(batch.len());
        let mut batch = batch.into_iter();
        loop {
            let part: Vec<Append> = batch.by_ref().take(BATCH).collect();
            if part.is_empty() {
                return answers;
            }
            let ids: Vec<MessageId> = part.iter().map(|append| append.message_id).collect();
            // A copy, so that what is locked can be given back.
            match self.outcomes("append", &Request::TryAppend(part.clone()), &ids).await {
                Ok(outcomes) => answers.extend(outcomes.into_iter().zip(part).map(|it| match it {
                    (None, append) => Tried::Locked(append),
                    (outcome, _) => Tried::Answered(answered(outcome)),
                })),
                Err(error) => {
                    answers.extend(ids.iter().map(|_| Tried::Answered(Err(error.clone()))))
                }
            }
        }
    }

    fn lanes(&self) -> usize {
        LANES
    }

    async fn revise(
        &self,
        conversation_id: ConversationId,
        message_id: MessageId,
        actor: Option<&UserId>,
        revision: Revision,
        now: Timestamp,
    ) -> Result<ReviseOutcome, BackendError> {
        let request = Request::Revise(conversation_id, message_id, actor.cloned(), revision, now);
        self.ask("revise", request).await
    }

    async fn history(
        &self,
        conversation_id: ConversationId,
        query: HistoryQuery,
    ) -> Result<Option<HistoryPage>, BackendError> {
        self.ask("history", Request::History(conversation_id, query)).await
    }

    async fn changes(
        &self,
        conversation_id: ConversationId,
        query: ChangesQuery,
    ) -> Result<Option<ChangesPage>, BackendError> {
        self.ask("changes", Request::Changes(conversation_id, query)).await
    }

    async fn message(
        &self,
        message: MessageRef,
        viewer: Option<&UserId>,
    ) -> Result<Option<Message>, BackendError> {
        self.ask("message", Request::Message(message, viewer.cloned())).await
    }

    async fn pinned(
        &self,
        conversation_id: ConversationId,
        viewer: Option<&UserId>,
    ) -> Result<Vec<Message>, BackendError> {
        self.ask("pinned", Request::Pinned(conversation_id, viewer.cloned())).await
    }
}

#[async_trait]
impl CursorStore for RemoteStore {
    async fn advance(
        &self,
        batch: Vec<Advance>,
        unread_cap: u32,
    ) -> Vec<Result<Option<Advanced>, BackendError>> {
        let asked = batch.len();
        let request = Request::Advance(batch, unread_cap);
        let answers = self.ask::<Vec<Result<_, Trouble>>>("advance", request).await;
        let error = match answers {
            Ok(answers) if answers.len() == asked => {
                let answers = answers.into_iter();
                return answers.map(|one| one.map_err(|it| it.during("advance"))).collect();
            }
            Ok(_) => BackendError::new(BackendErrorKind::Corrupt, "advance"),
            Err(error) => error,
        };
        vec![Err(error); asked]
    }

    async fn cursors(
        &self,
        conversation_id: ConversationId,
        limit: usize,
    ) -> Result<Vec<Cursor>, BackendError> {
        let request = Request::Cursors(conversation_id, limit);
        let cursors = self.ask::<Vec<MarkedCursor>>("cursors", request).await?;
        Ok(cursors.into_iter().map(Cursor::from).collect())
    }

    async fn unread_total(
        &self,
        user: &UserId,
        unread_cap: u32,
    ) -> Result<UnreadTotal, BackendError> {
        self.ask("unread_total", Request::UnreadTotal(user.clone(), unread_cap)).await
    }
}

fn answered(outcome: Outcome) -> Result<Appended, BackendError> {
    match outcome {
        Some(outcome) => outcome.map_err(|trouble| trouble.during("append")),
        // Nothing is left to others but by `try_append`.
        None => Err(BackendError::new(BackendErrorKind::Corrupt, "append")),
    }
}
