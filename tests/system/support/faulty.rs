//! A store that can be made to fail or to hang, as a database does that is down or out of connections, or where
//! somebody else holds a lock.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use parking_lot::Mutex;
use parlor::{
    BackendError, BackendErrorKind, Timestamp,
    model::{
        Conversation, ConversationId, ConversationSummary, Cursor, DirectKey, Member, Message,
        MessageId, UserId,
    },
    store::*,
};
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    Well,
    /// Every call fails at once.
    Down,
    /// Every call waits until the store is well again, and is carried out then.
    Hanging,
}

/// Conversations that somebody else has locked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Locked {
    /// As a short wait finds it.
    pub(crate) for_a_moment: HashSet<ConversationId>,
    /// As a long wait finds it, which lasts until they are free.
    pub(crate) for_long: HashSet<ConversationId>,
}

/// Hands everything on to another store while it is well.
#[derive(Debug, Clone)]
pub(crate) struct FaultyStore {
    inner: Arc<dyn Store>,
    health: Arc<watch::Sender<Health>>,
    locked: Arc<watch::Sender<Locked>>,
    paused: Arc<Mutex<Option<Pause>>>,
}

/// Says that it has begun, and waits for its end.
type Pause = (oneshot::Sender<()>, oneshot::Receiver<()>);

impl FaultyStore {
    pub(crate) fn new(inner: Arc<dyn Store>) -> Self {
        let health = Arc::new(watch::Sender::new(Health::Well));
        Self { inner, health, locked: Arc::default(), paused: Arc::default() }
    }

    /// Keeps what the next list has read back until the end. Returns what tells of it, and what ends it.
    pub(crate) fn pause_after_list(&self) -> (oneshot::Receiver<()>, oneshot::Sender<()>) {
        let ((begin, begun), (end, ended)) = (oneshot::channel(), oneshot::channel());
        *self.paused.lock() = Some((begin, ended));
        (begun, end)
    }

    pub(crate) fn lock(&self, locked: Locked) {
        self.locked.send_replace(locked);
    }

    pub(crate) fn set(&self, health: Health) {
        self.health.send_replace(health);
    }

    async fn append_when_well(&self, batch: Vec<Append>) -> Vec<Result<Appended, BackendError>> {
        let messages = batch.len();
        match self.well().await {
            Ok(store) => store.append(batch).await,
            Err(error) => std::iter::repeat_n(Err(error), messages).collect(),
        }
    }

    async fn well(&self) -> Result<&dyn Store, BackendError> {
        let mut health = self.health.subscribe();
        let now = *health.wait_for(|health| *health != Health::Hanging).await.unwrap();
        match now {
            Health::Down => Err(BackendError::new(BackendErrorKind::Unavailable, "faulty")),
            _ => Ok(&*self.inner),
        }
    }
}

#[async_trait]
impl ConversationStore for FaultyStore {
    async fn create(&self, new: NewConversation) -> Result<Created, BackendError> {
        self.well().await?.create(new).await
    }

    async fn conversation(&self, id: ConversationId) -> Result<Option<Conversation>, BackendError> {
        self.well().await?.conversation(id).await
    }

    async fn conversation_by_number(
        &self,
        number: u64,
    ) -> Result<Option<ConversationId>, BackendError> {
        self.well().await?.conversation_by_number(number).await
    }

    async fn direct(&self, key: &DirectKey) -> Result<Option<Conversation>, BackendError> {
        self.well().await?.direct(key).await
    }

    async fn members(
        &self,
        id: ConversationId,
        after: Option<&UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, BackendError> {
        self.well().await?.members(id, after, limit).await
    }

    async fn member(
        &self,
        id: ConversationId,
        user: &UserId,
    ) -> Result<Option<Member>, BackendError> {
        self.well().await?.member(id, user).await
    }

    async fn change(
        &self,
        id: ConversationId,
        actor: Option<&UserId>,
        change: ConversationChange,
        max_members: usize,
        now: Timestamp,
    ) -> Result<ChangeOutcome, BackendError> {
        self.well().await?.change(id, actor, change, max_members, now).await
    }

    async fn memberships(
        &self,
        user: &UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Vec<Membership>, BackendError> {
        self.well().await?.memberships(user, after, limit).await
    }

    async fn list(
        &self,
        user: &UserId,
        query: ListQuery,
    ) -> Result<Vec<ConversationSummary>, BackendError> {
        let page = self.well().await?.list(user, query).await;
        let paused = self.paused.lock().take();
        if let Some((begin, ended)) = paused {
            let _ = begin.send(());
            let _ = ended.await;
        }
        page
    }

    async fn summary(
        &self,
        id: ConversationId,
        user: &UserId,
        unread_cap: u32,
    ) -> Result<Option<ConversationSummary>, BackendError> {
        self.well().await?.summary(id, user, unread_cap).await
    }

    async fn change_private(
        &self,
        id: ConversationId,
        user: &UserId,
        change: PrivateChange,
        unread_cap: u32,
    ) -> Result<Option<PrivateDelta>, BackendError> {
        self.well().await?.change_private(id, user, change, unread_cap).await
    }

    async fn private_changes(
        &self,
        id: ConversationId,
        user: &UserId,
        since: u64,
        limit: usize,
        unread_cap: u32,
    ) -> Result<Option<PrivateDelta>, BackendError> {
        self.well().await?.private_changes(id, user, since, limit, unread_cap).await
    }

    async fn arrivals(
        &self,
        since: Timestamp,
        after: Option<&Arrival>,
        limit: usize,
    ) -> Result<Vec<Arrival>, BackendError> {
        self.well().await?.arrivals(since, after, limit).await
    }

    async fn heads(
        &self,
        ids: &[ConversationId],
    ) -> Result<Vec<(ConversationId, u64)>, BackendError> {
        self.well().await?.heads(ids).await
    }

    async fn sharing(&self, user: &UserId, others: &[UserId]) -> Result<Vec<UserId>, BackendError> {
        self.well().await?.sharing(user, others).await
    }

    async fn epoch(&self) -> Result<Uuid, BackendError> {
        self.well().await?.epoch().await
    }

    async fn ping(&self) -> Result<(), BackendError> {
        self.well().await?.ping().await
    }
}

#[async_trait]
impl MessageStore for FaultyStore {
    async fn append(&self, batch: Vec<Append>) -> Vec<Result<Appended, BackendError>> {
        let mut locked = self.locked.subscribe();
        let free = |locked: &Locked| {
            batch.iter().all(|append| !locked.for_long.contains(&append.conversation_id))
        };
        locked.wait_for(free).await.unwrap();
        self.append_when_well(batch).await
    }

    async fn try_append(&self, batch: Vec<Append>) -> Vec<Tried> {
        let locked = self.locked.borrow().for_a_moment.clone();
        if locked.is_empty() {
            let outcomes = self.append_when_well(batch).await;
            return outcomes.into_iter().map(Tried::Answered).collect();
        }
        let mut tried = Vec::new();
        for append in batch {
            tried.push(if locked.contains(&append.conversation_id) {
                Tried::Locked(append)
            } else {
                Tried::Answered(self.append_when_well(vec![append]).await.remove(0))
            });
        }
        tried
    }

    async fn revise(
        &self,
        conversation_id: ConversationId,
        message_id: MessageId,
        actor: Option<&UserId>,
        revision: Revision,
        now: Timestamp,
    ) -> Result<ReviseOutcome, BackendError> {
        self.well().await?.revise(conversation_id, message_id, actor, revision, now).await
    }

    async fn history(
        &self,
        conversation_id: ConversationId,
        query: HistoryQuery,
    ) -> Result<Option<HistoryPage>, BackendError> {
        self.well().await?.history(conversation_id, query).await
    }

    async fn changes(
        &self,
        conversation_id: ConversationId,
        query: ChangesQuery,
    ) -> Result<Option<ChangesPage>, BackendError> {
        self.well().await?.changes(conversation_id, query).await
    }

    async fn message(
        &self,
        message: MessageRef,
        viewer: Option<&UserId>,
    ) -> Result<Option<Message>, BackendError> {
        self.well().await?.message(message, viewer).await
    }

    async fn pinned(
        &self,
        conversation_id: ConversationId,
        viewer: Option<&UserId>,
    ) -> Result<Vec<Message>, BackendError> {
        self.well().await?.pinned(conversation_id, viewer).await
    }
}

#[async_trait]
impl CursorStore for FaultyStore {
    async fn advance(
        &self,
        batch: Vec<Advance>,
        unread_cap: u32,
    ) -> Vec<Result<Option<Advanced>, BackendError>> {
        let members = batch.len();
        match self.well().await {
            Ok(store) => store.advance(batch, unread_cap).await,
            Err(error) => std::iter::repeat_n(Err(error), members).collect(),
        }
    }

    async fn cursors(
        &self,
        conversation_id: ConversationId,
        limit: usize,
    ) -> Result<Vec<Cursor>, BackendError> {
        self.well().await?.cursors(conversation_id, limit).await
    }

    async fn unread_total(
        &self,
        user: &UserId,
        unread_cap: u32,
    ) -> Result<UnreadTotal, BackendError> {
        self.well().await?.unread_total(user, unread_cap).await
    }
}
