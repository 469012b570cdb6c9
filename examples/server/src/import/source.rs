//! The Postgres that is read: one snapshot, through cursors.

use sqlx::{
    AssertSqlSafe, Connection, Executor, PgConnection, Row, postgres::PgRow, query, query_scalar,
};

use super::query::Queries;
use crate::{failure::Failure, options::ImportOptions};

/// Rows that are read at once.
const PAGE: usize = 1_000;

/// The tables of a service.
#[derive(Debug)]
pub(super) struct Source {
    conn: PgConnection,
    queries: Queries,
}

/// A conversation as the source has it.
#[derive(Debug)]
pub(super) struct SourceConversation {
    pub(super) key: Option<String>,
    pub(super) id: Option<String>,
    pub(super) users: Option<Vec<Option<String>>>,
    pub(super) title: Option<String>,
    pub(super) created_ms: Option<i64>,
}

/// A message as the source has it, with its conversation.
#[derive(Debug)]
pub(super) struct SourceMessage {
    pub(super) key: Option<String>,
    /// Absent where the conversation is not there.
    pub(super) conversation_id: Option<String>,
    pub(super) users: Option<Vec<Option<String>>>,
    pub(super) id: Option<String>,
    pub(super) sender: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) content: Option<String>,
    pub(super) attachment_url: Option<String>,
    pub(super) attachment_name: Option<String>,
    pub(super) is_read: bool,
    pub(super) created_ms: Option<i64>,
}

/// One of the two passes over the source.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pass {
    Conversations,
    Messages,
}

impl Source {
    /// Connects and looks at the tables.
    pub(super) async fn open(import: &ImportOptions) -> Result<Self, Failure> {
        let shown = import.from.without_password();
        let opened = PgConnection::connect(import.from.reveal()).await;
        let mut conn = opened.map_err(|error| {
            Failure::Start(format!("--from {shown} cannot be reached: {}", told(&error)))
        })?;
        let queries = Queries::find(&mut conn, &import.from_schema, import.format).await?;
        Ok(Self { conn, queries })
    }

    /// What is read, to be shown.
    pub(super) fn described(&self) -> &str {
        &self.queries.described
    }

    /// Whether it is known who has read what.
    pub(super) fn knows_reads(&self) -> bool {
        self.queries.knows_reads
    }

    /// Begins the snapshot.
    pub(super) async fn begin(&mut self) -> Result<(), Failure> {
        self.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await
    }

    /// Ends it.
    pub(super) async fn end(&mut self) -> Result<(), Failure> {
        self.execute("COMMIT").await
    }

    /// Opens the cursor of a pass, and says how many rows there are.
    pub(super) async fn start(&mut self, pass: Pass) -> Result<u64, Failure> {
        let sql = match pass {
            Pass::Conversations => self.queries.conversations.clone(),
            Pass::Messages => self.queries.messages.clone(),
        };
        let count = format!("SELECT count(*) FROM ({sql}) counted");
        let count: i64 = query_scalar(AssertSqlSafe(count))
            .fetch_one(&mut self.conn)
            .await
            .map_err(unreadable)?;
        self.execute(format!("DECLARE {} NO SCROLL CURSOR FOR {sql}", pass.cursor())).await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// The next conversations; none when there are no more.
    pub(super) async fn conversations(&mut self) -> Result<Vec<SourceConversation>, Failure> {
        let rows = self.fetch(Pass::Conversations).await?;
        rows.iter().map(conversation).collect::<Result<_, _>>().map_err(unreadable)
    }

    /// The next messages; none when there are no more.
    pub(super) async fn messages(&mut self) -> Result<Vec<SourceMessage>, Failure> {
        let rows = self.fetch(Pass::Messages).await?;
        rows.iter().map(message).collect::<Result<_, _>>().map_err(unreadable)
    }

    async fn fetch(&mut self, pass: Pass) -> Result<Vec<PgRow>, Failure> {
        let fetch = format!("FETCH FORWARD {PAGE} FROM {}", pass.cursor());
        query(AssertSqlSafe(fetch)).fetch_all(&mut self.conn).await.map_err(unreadable)
    }

    async fn execute(&mut self, sql: impl Into<String>) -> Result<(), Failure> {
        let sql: String = sql.into();
        self.conn.execute(AssertSqlSafe(sql)).await.map(drop).map_err(unreadable)
    }
}

impl Pass {
    fn cursor(self) -> &'static str {
        match self {
            Self::Conversations => "conversations_to_import",
            Self::Messages => "messages_to_import",
        }
    }
}

fn conversation(row: &PgRow) -> Result<SourceConversation, sqlx::Error> {
    Ok(SourceConversation {
        key: row.try_get("key")?,
        id: row.try_get("id")?,
        users: row.try_get("users")?,
        title: row.try_get("title")?,
        created_ms: row.try_get("created_ms")?,
    })
}

fn message(row: &PgRow) -> Result<SourceMessage, sqlx::Error> {
    Ok(SourceMessage {
        key: row.try_get("key")?,
        conversation_id: row.try_get("conversation_id")?,
        users: row.try_get("users")?,
        id: row.try_get("id")?,
        sender: row.try_get("sender")?,
        kind: row.try_get("kind")?,
        content: row.try_get("content")?,
        attachment_url: row.try_get("attachment_url")?,
        attachment_name: row.try_get("attachment_name")?,
        is_read: row.try_get("is_read")?,
        created_ms: row.try_get("created_ms")?,
    })
}

/// The source did not answer as it should.
pub(super) fn unreadable(error: sqlx::Error) -> Failure {
    Failure::Start(format!("the tables of --from cannot be read: {}", told(&error)))
}

/// What a database said, without the query.
fn told(error: &sqlx::Error) -> String {
    match error.as_database_error() {
        Some(said) => said.message().to_owned(),
        None => error.to_string(),
    }
}
