//! What is asked of each format's tables: always the same columns, whatever the tables look like.
//!
//! Conversations: `key` and `id` of the source, `users`, `title`, `created_ms`. Messages, sorted by conversation and
//! time: `key` of the conversation, its `conversation_id` and `users`, `id`, `sender`, `kind`, `content`,
//! `attachment_url`, `attachment_name`, `is_read`, `created_ms`.

use sqlx::PgConnection;

use super::{columns::Table, source::unreadable};
use crate::{failure::Failure, options::Format};

const MESSAGES: &[&str] = &["messages", "message", "Message", "Messages"];
const CONVERSATIONS: &[&str] = &["conversations", "conversation", "Conversation", "Conversations"];
const PARTICIPANTS: &[&str] = &[
    "conversation_participants",
    "participants",
    "conversation_members",
    "ConversationParticipant",
    "Participant",
];
const CREATED: &[&str] = &["created_at", "timestamp"];
/// Characters of a text that are read: more than any text may have that can be stored.
const TEXT: usize = 64 * 1024;

/// The two queries of a source, and what they read from.
#[derive(Debug)]
pub(super) struct Queries {
    pub(super) conversations: String,
    pub(super) messages: String,
    pub(super) described: String,
    /// Whether it is known who has read what.
    pub(super) knows_reads: bool,
}

impl Queries {
    /// Looks at the tables.
    pub(super) async fn find(
        conn: &mut PgConnection,
        schema: &str,
        format: Format,
    ) -> Result<Self, Failure> {
        let messages = need(conn, schema, MESSAGES).await?;
        match format {
            Format::TutorBookings => pairs(&messages, &["message", "content"]),
            Format::DirectMessages => pairs(&messages, &["content", "message"]),
            Format::Connections => {
                let conversations = need(conn, schema, CONVERSATIONS).await?;
                let users = format!(
                    "ARRAY[{}::text, {}::text]",
                    conversations.required("c", &["participant1_id"])?,
                    conversations.required("c", &["participant2_id"])?
                );
                joined(&messages, &conversations, "", &users, None)
            }
            Format::BrandInfluencer => {
                let conversations = need(conn, schema, CONVERSATIONS).await?;
                let users = brand_and_influencer(&conversations)?;
                let sender = typed(&messages, "m", &["sender_type"], &["sender_id"])?;
                joined(&messages, &conversations, "", &users, Some(sender))
            }
            Format::Gateway => {
                let conversations = need(conn, schema, CONVERSATIONS).await?;
                let participants = need(conn, schema, PARTICIPANTS).await?;
                let of = participants.required("p", &["conversation_id"])?;
                let user = participants.required("p", &["user_id"])?;
                let members = format!(
                    "LEFT JOIN (SELECT {of} AS of, array_agg(DISTINCT {user}::text ORDER BY {user}::text) AS users
                     FROM {} p WHERE {user} IS NOT NULL GROUP BY 1) members ON members.of = {}",
                    participants.sql(),
                    conversations.required("c", &["id"])?
                );
                joined(&messages, &conversations, &members, "members.users", None)
            }
        }
    }
}

async fn need(conn: &mut PgConnection, schema: &str, names: &[&str]) -> Result<Table, Failure> {
    let found = Table::find(conn, schema, names).await.map_err(unreadable)?;
    found.ok_or_else(|| {
        let first = names.first().copied().unwrap_or_default();
        Failure::Usage(format!("the schema {schema} has no table {first}: is --from-schema right?"))
    })
}

/// Messages with a sender and a receiver: the pair is the conversation.
fn pairs(messages: &Table, content: &[&str]) -> Result<Queries, Failure> {
    let from = messages.required("m", &["sender_id", "sender"])?;
    let to = messages.required("m", &["receiver_id", "receiver"])?;
    let users = format!(
        "CASE WHEN {from} IS NULL OR {to} IS NULL THEN NULL ELSE ARRAY[
         least({from}::text COLLATE \"C\", {to}::text COLLATE \"C\"),
         greatest({from}::text COLLATE \"C\", {to}::text COLLATE \"C\")] END"
    );
    let created = millis(&messages.required("m", CREATED)?);
    let read = messages.column("m", &["read", "is_read"]);
    let table = messages.sql();
    Ok(Queries {
        conversations: format!(
            "SELECT NULL::text AS key, NULL::text AS id, users, NULL::text AS title, min(created) AS created_ms
             FROM (SELECT {users} AS users, {created} AS created FROM {table} m) pairs
             WHERE users IS NOT NULL GROUP BY users"
        ),
        messages: format!(
            "SELECT array_to_string({users}, chr(31)) AS key, NULL::text AS conversation_id, {users} AS users,
             {}, {from}::text AS sender, NULL::text AS kind, {} AS content, NULL::text AS attachment_url,
             NULL::text AS attachment_name, {} AS is_read, {created} AS created_ms
             FROM {table} m ORDER BY 1, created_ms, {}",
            id(messages)?,
            text(&messages.required("m", content)?),
            flag(read.as_deref()),
            messages.required("m", &["id"])?
        ),
        described: format!("table {}", messages.name()),
        knows_reads: read.is_some(),
    })
}

/// Messages that name a conversation.
fn joined(
    messages: &Table,
    conversations: &Table,
    members: &str,
    users: &str,
    sender: Option<String>,
) -> Result<Queries, Failure> {
    let (own, of) =
        (conversations.required("c", &["id"])?, messages.required("m", &["conversation_id"])?);
    let sender = match sender {
        Some(sender) => sender,
        None => format!("{}::text", messages.required("m", &["sender_id"])?),
    };
    let text = |names: &[&str]| {
        messages.column("m", names).map_or_else(|| "NULL::text".to_owned(), |column| text(&column))
    };
    let title = conversations
        .column("c", &["title", "name"])
        .map_or_else(|| "NULL::text".to_owned(), |column| format!("{column}::text"));
    let read = messages.column("m", &["is_read", "read"]);
    let created = millis(&messages.required("m", CREATED)?);
    let table = conversations.sql();
    Ok(Queries {
        conversations: format!(
            "SELECT {own}::text AS key, {own}::text AS id, {users} AS users, {title} AS title, {} AS created_ms
             FROM {table} c {members} ORDER BY {own}",
            millis(&conversations.required("c", CREATED)?)
        ),
        messages: format!(
            "SELECT {of}::text AS key, {own}::text AS conversation_id,
             CASE WHEN {own} IS NOT NULL THEN {users} END AS users, {},
             {sender} AS sender, {} AS kind, {} AS content, {} AS attachment_url, {} AS attachment_name,
             {} AS is_read, {created} AS created_ms
             FROM {} m LEFT JOIN {table} c ON {own} = {of} {members} ORDER BY {of}, created_ms, {}",
            id(messages)?,
            text(&["message_type", "type"]),
            text(&["content", "message"]),
            text(&["attachment_url"]),
            text(&["attachment_name"]),
            flag(read.as_deref()),
            messages.sql(),
            messages.required("m", &["id"])?
        ),
        described: format!("tables {} and {}", conversations.name(), messages.name()),
        knows_reads: read.is_some(),
    })
}

/// A user of brand_influencer is a type and an id.
fn brand_and_influencer(conversations: &Table) -> Result<String, Failure> {
    let pair = (
        conversations.column("c", &["brand_id", "brand"]),
        conversations.column("c", &["influencer_id", "influencer"]),
    );
    if let (Some(brand), Some(influencer)) = pair {
        return Ok(format!(
            "ARRAY['brand:' || {brand}::text, 'influencer:' || {influencer}::text]"
        ));
    }
    let one = typed(conversations, "c", &["participant1_type"], &["participant1_id"])?;
    let other = typed(conversations, "c", &["participant2_type"], &["participant2_id"])?;
    Ok(format!("ARRAY[{one}, {other}]"))
}

fn typed(table: &Table, alias: &str, kind: &[&str], id: &[&str]) -> Result<String, Failure> {
    let (kind, id) = (table.required(alias, kind)?, table.required(alias, id)?);
    Ok(format!("(lower({kind}::text) || ':' || {id}::text)"))
}

fn id(messages: &Table) -> Result<String, Failure> {
    Ok(format!("{}::text AS id", messages.required("m", &["id"])?))
}

/// Milliseconds since 1970; none for `infinity`. A time without a zone is UTC, as Node services write it.
fn millis(column: &str) -> String {
    format!(
        "CASE WHEN isfinite({column}) THEN floor(extract(epoch FROM {column}) * 1000)::bigint END"
    )
}

/// A column as text. What is too long to be stored need not be read to its end.
fn text(column: &str) -> String {
    format!("left({column}::text, {TEXT})")
}

fn flag(column: Option<&str>) -> String {
    match column {
        Some(column) => format!("coalesce({column}, false)"),
        None => "true".into(),
    }
}
