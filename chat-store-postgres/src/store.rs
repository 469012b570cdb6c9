//! The store: each trait method hands its work to a connection.

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
        PrivateDelta, ReviseOutcome, Revision, Tried, UnreadTotal,
    },
};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::{
    append::{self, Locks},
    change, changes,
    config::PostgresConfig,
    connection::{Conn, Held},
    conversations, cursors,
    database::Database,
    error::Fault,
    gather::Gather,
    history,
    lists::{self, ListAsked},
    memberships::{self, MembershipsAsked},
    private, revise, unread,
};

/// Chat in a PostgreSQL database, shared by as many nodes as open it. Clones share the pool.
#[derive(Debug, Clone)]
pub struct PostgresStore {
    database: Database,
    gathers: Gathers,
}

/// Reads that many devices ask for at once when they connect.
#[derive(Debug, Clone)]
struct Gathers {
    memberships: Gather<MembershipsAsked, Vec<Membership>>,
    lists: Gather<ListAsked, Vec<ConversationSummary>>,
}

impl PostgresStore {
    /// Connects by URL (`postgres://user:password@host:port/database?sslmode=…`) with the default
    /// [`PostgresConfig`], and brings the schema up to date.
    ///
    /// # Errors
    /// As [`PostgresStore::connect_with`].
    pub async fn connect(url: impl AsRef<str>) -> Result<Self, BackendError> {
        Self::connect_with(url, PostgresConfig::default()).await
    }

    /// Connects by URL, and brings the schema up to date unless the configuration says otherwise.
    ///
    /// # Errors
    /// [`Configuration`](parlor_core::BackendErrorKind::Configuration) for a URL or a schema name that cannot be used, when the server refuses the
    /// role or knows no such database, and when the schema is missing and the role may not create it;
    /// [`Unavailable`](parlor_core::BackendErrorKind::Unavailable) when the server does not answer;
    /// [`Corrupt`](parlor_core::BackendErrorKind::Corrupt) when the schema was written by a newer release.
    pub async fn connect_with(
        url: impl AsRef<str>,
        config: PostgresConfig,
    ) -> Result<Self, BackendError> {
        opened(Database::connect(url.as_ref(), config).await)
    }

    /// Takes a pool of the host's own, with the default [`PostgresConfig`], and brings the schema up to date.
    /// Nothing of the host's is touched: neither its tables nor the settings of its sessions.
    ///
    /// # Errors
    /// As [`PostgresStore::connect_with`].
    pub async fn new(pool: PgPool) -> Result<Self, BackendError> {
        Self::with_pool(pool, PostgresConfig::default()).await
    }

    /// Takes a pool of the host's own. Warns in the log when its sessions compile statements (`jit`), which makes reads slow
    /// where a conversation is very long.
    ///
    /// # Errors
    /// As [`PostgresStore::connect_with`].
    pub async fn with_pool(pool: PgPool, config: PostgresConfig) -> Result<Self, BackendError> {
        opened(Database::of_host(pool, config).await)
    }

    /// The pool.
    pub fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    /// Appends a message within a transaction of the host's own: it is stored when that commits, and never
    /// was when it is rolled back. Make the message with [`Chat::compose`](parlor_core::Chat::compose), and hand
    /// the stored one to [`Chat::announce`](parlor_core::Chat::announce) *after* the commit.
    ///
    /// The conversation is locked until the transaction ends: whoever sends into it waits, and after
    /// [`PostgresConfig::lock_timeout`] is told to try again. Keep the transaction short, and when it writes into
    /// several conversations, do so in the order of their ids. Its commit is made durable
    /// (`synchronous_commit`) if it was not.
    ///
    /// Dropping the future leaves the transaction to be rolled back.
    ///
    /// # Errors
    /// Whatever PostgreSQL says. The transaction has failed then, as after any failed statement.
    pub async fn append_in(
        &self,
        transaction: &mut PgConnection,
        append: Append,
    ) -> Result<Appended, BackendError> {
        let mut conn = Conn::new(transaction, self.database.schema());
        let appended = append::call(&mut conn, &[&append], Locks::AsSession).await;
        let appended = appended
            .and_then(|mut outcomes| outcomes.pop().flatten().unwrap_or_else(|| Err(unanswered())));
        appended.map_err(|fault| fault.during("append_in"))
    }

    /// Gives the store a new [`ConversationStore::epoch`]. Call it once after a backup was restored,
    /// before clients come back: they drop what they have and load anew.
    ///
    /// # Errors
    /// As every write.
    pub async fn renew_epoch(&self) -> Result<Uuid, BackendError> {
        self.database.write("renew_epoch", |conn| conversations::renew_epoch(conn).boxed()).await
    }

    /// Closes the pool, also a host's own: later calls answer a retryable error. Returns when all connections are closed.
    pub async fn close(&self) {
        self.database.pool().close().await;
    }

    async fn acquire(&self, operation: &'static str) -> Result<Held, BackendError> {
        self.database.acquire().await.map_err(|fault| fault.during(operation))
    }
}

fn opened(database: Result<Database, Fault>) -> Result<PostgresStore, BackendError> {
    let database = database.map_err(|fault| fault.during("open"))?;
    let gathers = Gathers {
        memberships: Gather::new(|conn, asked| memberships::memberships(conn, asked).boxed()),
        lists: Gather::new(|conn, asked| lists::lists(conn, asked).boxed()),
    };
    Ok(PostgresStore { database, gathers })
}

fn unanswered() -> Fault {
    Fault::corrupt("a message without an answer")
}

#[async_trait]
impl ConversationStore for PostgresStore {
    async fn create(&self, new: NewConversation) -> Result<Created, BackendError> {
        self.database
            .write("create", move |conn| conversations::create(conn, new.clone()).boxed())
            .await
    }

    async fn conversation(&self, id: ConversationId) -> Result<Option<Conversation>, BackendError> {
        const NAME: &str = "conversation";
        let mut held = self.acquire(NAME).await?;
        let outcome = conversations::by_id(&mut held.conn(), id).await;
        held.answer(NAME, outcome)
    }

    async fn conversation_by_number(
        &self,
        number: u64,
    ) -> Result<Option<ConversationId>, BackendError> {
        const NAME: &str = "conversation_by_number";
        let mut held = self.acquire(NAME).await?;
        let outcome = conversations::by_number(&mut held.conn(), number).await;
        held.answer(NAME, outcome)
    }

    async fn direct(&self, key: &DirectKey) -> Result<Option<Conversation>, BackendError> {
        const NAME: &str = "direct";
        let mut held = self.acquire(NAME).await?;
        let outcome = conversations::by_key(&mut held.conn(), key).await;
        held.answer(NAME, outcome)
    }

    async fn members(
        &self,
        id: ConversationId,
        after: Option<&UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, BackendError> {
        const NAME: &str = "members";
        let mut held = self.acquire(NAME).await?;
        let members = conversations::members(&mut held.conn(), id, after, limit).await;
        held.answer(NAME, members)
    }

    async fn member(
        &self,
        id: ConversationId,
        user: &UserId,
    ) -> Result<Option<Member>, BackendError> {
        const NAME: &str = "member";
        let mut held = self.acquire(NAME).await?;
        let outcome = conversations::member(&mut held.conn(), id, user).await;
        held.answer(NAME, outcome)
    }

    async fn change(
        &self,
        id: ConversationId,
        actor: Option<&UserId>,
        change: ConversationChange,
        max_members: usize,
        now: Timestamp,
    ) -> Result<ChangeOutcome, BackendError> {
        let actor = actor.cloned();
        let asked = change::Asked { id, actor, change, max_members, now };
        self.database.write("change", move |conn| change::change(conn, asked.clone()).boxed()).await
    }

    async fn memberships(
        &self,
        user: &UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Vec<Membership>, BackendError> {
        let asked = (user.clone(), after, limit);
        let answer = self.gathers.memberships.ask(&self.database, asked).await;
        answer.map_err(|fault| fault.during("memberships"))
    }

    async fn arrivals(
        &self,
        since: Timestamp,
        after: Option<&Arrival>,
        limit: usize,
    ) -> Result<Vec<Arrival>, BackendError> {
        const NAME: &str = "arrivals";
        let mut held = self.acquire(NAME).await?;
        let arrivals = memberships::arrivals(&mut held.conn(), since, after.cloned(), limit).await;
        held.answer(NAME, arrivals)
    }

    async fn list(
        &self,
        user: &UserId,
        query: ListQuery,
    ) -> Result<Vec<ConversationSummary>, BackendError> {
        let answer = self.gathers.lists.ask(&self.database, (user.clone(), query)).await;
        answer.map_err(|fault| fault.during("list"))
    }

    async fn summary(
        &self,
        id: ConversationId,
        user: &UserId,
        unread_cap: u32,
    ) -> Result<Option<ConversationSummary>, BackendError> {
        const NAME: &str = "summary";
        let mut held = self.acquire(NAME).await?;
        let summary = lists::summary(&mut held.conn(), id, user, unread_cap).await;
        held.answer(NAME, summary)
    }

    async fn change_private(
        &self,
        id: ConversationId,
        user: &UserId,
        change: PrivateChange,
        unread_cap: u32,
    ) -> Result<Option<PrivateDelta>, BackendError> {
        let user = user.clone();
        self.database
            .write("change_private", move |conn| {
                private::change(conn, id, user.clone(), change.clone(), unread_cap).boxed()
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
        const NAME: &str = "private_changes";
        let mut held = self.acquire(NAME).await?;
        let changes = private::changes(&mut held.conn(), id, user, since, limit, unread_cap).await;
        held.answer(NAME, changes)
    }

    async fn heads(
        &self,
        ids: &[ConversationId],
    ) -> Result<Vec<(ConversationId, u64)>, BackendError> {
        const NAME: &str = "heads";
        let mut held = self.acquire(NAME).await?;
        let outcome = memberships::heads(&mut held.conn(), ids).await;
        held.answer(NAME, outcome)
    }

    async fn sharing(&self, user: &UserId, others: &[UserId]) -> Result<Vec<UserId>, BackendError> {
        const NAME: &str = "sharing";
        let mut held = self.acquire(NAME).await?;
        let outcome = memberships::sharing(&mut held.conn(), user, others).await;
        held.answer(NAME, outcome)
    }

    async fn epoch(&self) -> Result<Uuid, BackendError> {
        const NAME: &str = "epoch";
        let mut held = self.acquire(NAME).await?;
        let outcome = conversations::epoch(&mut held.conn()).await;
        held.answer(NAME, outcome)
    }

    async fn ping(&self) -> Result<(), BackendError> {
        const NAME: &str = "ping";
        let mut held = self.acquire(NAME).await?;
        let outcome = conversations::ping(&mut held.conn()).await;
        held.answer(NAME, outcome)
    }
}

#[async_trait]
impl MessageStore for PostgresStore {
    fn lanes(&self) -> usize {
        self.database.lanes()
    }

    async fn append(&self, batch: Vec<Append>) -> Vec<Result<Appended, BackendError>> {
        append::patiently(&self.database, &batch)
            .await
            .into_iter()
            .map(|outcome| outcome.map_err(|fault| fault.during("append")))
            .collect()
    }

    async fn try_append(&self, batch: Vec<Append>) -> Vec<Tried> {
        let outcomes = append::briefly(&self.database, &batch).await;
        batch
            .into_iter()
            .zip(outcomes)
            .map(|(append, outcome)| match outcome {
                Some(outcome) => Tried::Answered(outcome.map_err(|fault| fault.during("append"))),
                None => Tried::Locked(append),
            })
            .collect()
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
        self.database.write("revise", move |conn| revise::revise(conn, asked.clone()).boxed()).await
    }

    async fn history(
        &self,
        conversation_id: ConversationId,
        query: HistoryQuery,
    ) -> Result<Option<HistoryPage>, BackendError> {
        const NAME: &str = "history";
        let mut held = self.acquire(NAME).await?;
        let page = history::page(&mut held.conn(), conversation_id, query).await;
        held.answer(NAME, page)
    }

    async fn changes(
        &self,
        conversation_id: ConversationId,
        query: ChangesQuery,
    ) -> Result<Option<ChangesPage>, BackendError> {
        const NAME: &str = "changes";
        let mut held = self.acquire(NAME).await?;
        let page = changes::changes(&mut held.conn(), conversation_id, query).await;
        held.answer(NAME, page)
    }

    async fn message(
        &self,
        message: MessageRef,
        viewer: Option<&UserId>,
    ) -> Result<Option<Message>, BackendError> {
        const NAME: &str = "message";
        let mut held = self.acquire(NAME).await?;
        let message = history::message(&mut held.conn(), message, viewer).await;
        held.answer(NAME, message)
    }

    async fn pinned(
        &self,
        conversation_id: ConversationId,
        viewer: Option<&UserId>,
    ) -> Result<Vec<Message>, BackendError> {
        const NAME: &str = "pinned";
        let mut held = self.acquire(NAME).await?;
        let pinned = history::pinned(&mut held.conn(), conversation_id, viewer.cloned()).await;
        held.answer(NAME, pinned)
    }
}

#[async_trait]
impl CursorStore for PostgresStore {
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
            .database
            .write("advance", move |conn| cursors::advance(conn, batch.clone(), unread_cap).boxed())
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
        const NAME: &str = "cursors";
        let mut held = self.acquire(NAME).await?;
        let cursors = cursors::cursors(&mut held.conn(), conversation_id, limit).await;
        held.answer(NAME, cursors)
    }

    async fn unread_total(
        &self,
        user: &UserId,
        unread_cap: u32,
    ) -> Result<UnreadTotal, BackendError> {
        const NAME: &str = "unread_total";
        let mut held = self.acquire(NAME).await?;
        let total = unread::total(&mut held.conn(), user, unread_cap).await;
        held.answer(NAME, total)
    }
}
