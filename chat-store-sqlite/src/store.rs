//! The store: each trait method hands its work to the writer or to a reader.

use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt;
use parlor_core::{
    BackendError, Timestamp,
    model::{
        Conversation, ConversationId, ConversationSummary, Cursor, DirectKey, Member, Message,
        MessageId, UserId,
    },
    store::{
        Advance, Advanced, Append, Appended, Arrival, ChangeOutcome, ChangesPage, ChangesQuery,
        ConversationChange, ConversationStore, Created, CursorStore, HistoryPage, HistoryQuery,
        ListQuery, Membership, MessageRef, MessageStore, NewConversation, PrivateChange,
        PrivateDelta, ReviseOutcome, Revision, UnreadTotal,
    },
};
use sqlx::query;
use uuid::Uuid;

use crate::{
    append::AppendJob, change, changes, config::SqliteConfig, conversations, cursors, error::Fault,
    history, lists, medium::Medium, private, revise, unread, writer::Task,
};

/// Chat in one SQLite file, or in memory. Clones share it.
///
/// Needs a tokio runtime; the one that opened it must outlive all handles.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    medium: Arc<Medium>,
}

impl SqliteStore {
    /// Opens a database with the default [`SqliteConfig`]: a path, `:memory:`, or a `sqlite:` URL.
    /// The file is made when there is none, and its schema is brought up to date.
    ///
    /// Within one process every open of the same file shares it. Each open of `:memory:` is a
    /// database of its own, shared by its clones alone.
    ///
    /// # Errors
    /// [`parlor_core::BackendErrorKind::Configuration`] when the path is wrong or cannot be used, and
    /// when another process has the file open (it holds a lock on `<path>-lock` as long as it lives);
    /// [`parlor_core::BackendErrorKind::Corrupt`] when the file is no database, or was written by a
    /// newer release.
    pub async fn open(location: impl AsRef<str>) -> Result<Self, BackendError> {
        Self::open_with(location, SqliteConfig::default()).await
    }

    /// Opens a database. Where this process has the file open already, that configuration stays.
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    pub async fn open_with(
        location: impl AsRef<str>,
        config: SqliteConfig,
    ) -> Result<Self, BackendError> {
        let medium = Medium::open(location.as_ref(), config).await;
        Ok(Self { medium: medium.map_err(|fault| fault.at_open().during("open"))? })
    }

    /// Finishes the writes that wait, moves the write-ahead log into the file and closes it, for all
    /// handles of this process: later calls answer a retryable error. Returns when that is done.
    ///
    /// Dropping the last handle does the same in the background.
    pub async fn close(&self) {
        self.medium.close().await;
    }

    /// How many transactions this process has committed to the database since it was opened: writes
    /// that wait together share one.
    pub fn commits(&self) -> u64 {
        self.medium.commits()
    }

    /// Gives the store a new [`ConversationStore::epoch`]. Call it once after a backup was restored,
    /// before clients come back: they drop what they have and load anew.
    ///
    /// # Errors
    /// As every write.
    pub async fn renew_epoch(&self) -> Result<Uuid, BackendError> {
        self.medium.write("renew_epoch", |conn| conversations::renew_epoch(conn).boxed()).await
    }

    #[cfg(test)]
    pub(crate) fn medium(&self) -> &Medium {
        &self.medium
    }
}

#[async_trait]
impl ConversationStore for SqliteStore {
    async fn create(&self, new: NewConversation) -> Result<Created, BackendError> {
        self.medium.write("create", |conn| conversations::create(conn, new).boxed()).await
    }

    async fn conversation(&self, id: ConversationId) -> Result<Option<Conversation>, BackendError> {
        self.medium.read("conversation", move |conn| conversations::by_id(conn, id).boxed()).await
    }

    async fn conversation_by_number(
        &self,
        number: u64,
    ) -> Result<Option<ConversationId>, BackendError> {
        self.medium
            .read("conversation_by_number", move |conn| {
                conversations::by_number(conn, number).boxed()
            })
            .await
    }

    async fn direct(&self, key: &DirectKey) -> Result<Option<Conversation>, BackendError> {
        let key = key.clone();
        self.medium
            .read("direct", |conn| async move { conversations::by_key(conn, &key).await }.boxed())
            .await
    }

    async fn members(
        &self,
        id: ConversationId,
        after: Option<&UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, BackendError> {
        let after = after.cloned();
        self.medium
            .read("members", move |conn| conversations::members(conn, id, after, limit).boxed())
            .await
    }

    async fn member(
        &self,
        id: ConversationId,
        user: &UserId,
    ) -> Result<Option<Member>, BackendError> {
        let user = user.clone();
        self.medium.read("member", move |conn| conversations::member(conn, id, user).boxed()).await
    }

    async fn change(
        &self,
        id: ConversationId,
        actor: Option<&UserId>,
        change: ConversationChange,
        max_members: usize,
        now: Timestamp,
    ) -> Result<ChangeOutcome, BackendError> {
        let asked = change::Asked { id, actor: actor.cloned(), change, max_members, now };
        self.medium.write("change", |conn| change::change(conn, asked).boxed()).await
    }

    async fn memberships(
        &self,
        user: &UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Vec<Membership>, BackendError> {
        let user = user.clone();
        self.medium
            .read("memberships", move |conn| lists::memberships(conn, user, after, limit).boxed())
            .await
    }

    async fn arrivals(
        &self,
        since: Timestamp,
        after: Option<&Arrival>,
        limit: usize,
    ) -> Result<Vec<Arrival>, BackendError> {
        let after = after.cloned();
        self.medium
            .read("arrivals", move |conn| lists::arrivals(conn, since, after, limit).boxed())
            .await
    }

    async fn list(
        &self,
        user: &UserId,
        query: ListQuery,
    ) -> Result<Vec<ConversationSummary>, BackendError> {
        let user = user.clone();
        self.medium.snapshot("list", |conn| lists::list(conn, user, query).boxed()).await
    }

    async fn summary(
        &self,
        id: ConversationId,
        user: &UserId,
        unread_cap: u32,
    ) -> Result<Option<ConversationSummary>, BackendError> {
        let user = user.clone();
        self.medium
            .snapshot("summary", move |conn| lists::summary(conn, id, user, unread_cap).boxed())
            .await
    }

    async fn change_private(
        &self,
        id: ConversationId,
        user: &UserId,
        change: PrivateChange,
        unread_cap: u32,
    ) -> Result<Option<PrivateDelta>, BackendError> {
        let user = user.clone();
        self.medium
            .write("change_private", move |conn| {
                private::change(conn, id, user, change, unread_cap).boxed()
            })
            .await
    }

    async fn private_changes(
        &self,
        id: ConversationId,
        user: &UserId,
        since: u64,
        limit: usize,
        unread_cap: u32,
    ) -> Result<Option<PrivateDelta>, BackendError> {
        let user = user.clone();
        self.medium
            .snapshot("private_changes", move |conn| {
                private::changes(conn, id, user, since, limit, unread_cap).boxed()
            })
            .await
    }

    async fn heads(
        &self,
        ids: &[ConversationId],
    ) -> Result<Vec<(ConversationId, u64)>, BackendError> {
        let ids = ids.to_vec();
        self.medium.read("heads", |conn| lists::heads(conn, ids).boxed()).await
    }

    async fn sharing(&self, user: &UserId, others: &[UserId]) -> Result<Vec<UserId>, BackendError> {
        let (user, others) = (user.clone(), others.to_vec());
        self.medium.read("sharing", |conn| lists::sharing(conn, user, others).boxed()).await
    }

    async fn epoch(&self) -> Result<Uuid, BackendError> {
        self.medium.read("epoch", |conn| conversations::epoch(conn).boxed()).await
    }

    async fn ping(&self) -> Result<(), BackendError> {
        self.medium
            .read("ping", |conn| {
                async move {
                    query("SELECT 1").execute(conn).await?;
                    Ok(())
                }
                .boxed()
            })
            .await
    }
}

#[async_trait]
impl MessageStore for SqliteStore {
    async fn append(&self, batch: Vec<Append>) -> Vec<Result<Appended, BackendError>> {
        if batch.is_empty() {
            return Vec::new();
        }
        let messages = batch.len();
        let (job, answer) = AppendJob::new(batch);
        let outcomes = match self.medium.submit(Task::Append(job)).await {
            Ok(()) => answer.await.map_err(|_| Fault::closed()),
            Err(fault) => Err(fault),
        };
        match outcomes {
            Ok(outcomes) => outcomes
                .into_iter()
                .map(|outcome| outcome.map_err(|fault| fault.during("append")))
                .collect(),
            Err(fault) => std::iter::repeat_n(Err(fault.during("append")), messages).collect(),
        }
    }

    async fn revise(
        &self,
        conversation_id: ConversationId,
        message_id: MessageId,
        actor: Option<&UserId>,
        revision: Revision,
        now: Timestamp,
    ) -> Result<ReviseOutcome, BackendError> {
        let actor = actor.cloned();
        let asked = revise::Asked { conversation_id, message_id, actor, revision, now };
        self.medium.write("revise", |conn| revise::revise(conn, asked).boxed()).await
    }

    async fn history(
        &self,
        conversation_id: ConversationId,
        query: HistoryQuery,
    ) -> Result<Option<HistoryPage>, BackendError> {
        self.medium
            .snapshot("history", move |conn| history::page(conn, conversation_id, query).boxed())
            .await
    }

    async fn changes(
        &self,
        conversation_id: ConversationId,
        query: ChangesQuery,
    ) -> Result<Option<ChangesPage>, BackendError> {
        self.medium
            .snapshot("changes", move |conn| changes::changes(conn, conversation_id, query).boxed())
            .await
    }

    async fn message(
        &self,
        message: MessageRef,
        viewer: Option<&UserId>,
    ) -> Result<Option<Message>, BackendError> {
        let viewer = viewer.cloned();
        self.medium
            .snapshot("message", move |conn| history::message(conn, message, viewer).boxed())
            .await
    }

    async fn pinned(
        &self,
        conversation_id: ConversationId,
        viewer: Option<&UserId>,
    ) -> Result<Vec<Message>, BackendError> {
        let viewer = viewer.cloned();
        self.medium
            .snapshot("pinned", move |conn| history::pinned(conn, conversation_id, viewer).boxed())
            .await
    }
}

#[async_trait]
impl CursorStore for SqliteStore {
    async fn advance(
        &self,
        batch: Vec<Advance>,
        unread_cap: u32,
    ) -> Vec<Result<Option<Advanced>, BackendError>> {
        if batch.is_empty() {
            return Vec::new();
        }
        let members = batch.len();
        let advanced = self
            .medium
            .write("advance", move |conn| cursors::advance(conn, batch, unread_cap).boxed())
            .await;
        match advanced {
            Ok(advanced) => advanced.into_iter().map(Ok).collect(),
            Err(error) => std::iter::repeat_n(Err(error), members).collect(),
        }
    }

    async fn cursors(
        &self,
        conversation_id: ConversationId,
        limit: usize,
    ) -> Result<Vec<Cursor>, BackendError> {
        self.medium
            .read("cursors", move |conn| cursors::cursors(conn, conversation_id, limit).boxed())
            .await
    }

    async fn unread_total(
        &self,
        user: &UserId,
        unread_cap: u32,
    ) -> Result<UnreadTotal, BackendError> {
        let user = user.clone();
        self.medium
            .read("unread_total", move |conn| unread::total(conn, user, unread_cap).boxed())
            .await
    }
}
