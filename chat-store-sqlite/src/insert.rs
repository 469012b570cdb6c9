//! Writes appended messages, many rows with one statement.

use std::sync::{Arc, LazyLock};

use parlor_core::{
    Timestamp,
    model::{ClientId, ContentHash, Message, UserId},
};
use serde::Serialize;
use sqlx::{AssertSqlSafe, SqliteConnection, query};

use crate::{
    error::Fault,
    rows::{json, list_text, metadata_text, signed},
};

/// A conversation that messages are appended to.
#[derive(Debug)]
pub(crate) struct Grown {
    /// Its number.
    pub(crate) conversation: i64,
    pub(crate) last_seq: u64,
    pub(crate) rev: u64,
    pub(crate) last_activity_at: Timestamp,
    /// Whether it got a message.
    pub(crate) grown: bool,
}

/// A message, the number of its conversation, and the hash of its content.
pub(crate) type Row<'a> = (i64, &'a Message, ContentHash);

/// Rows of one statement, largest first. Few sizes, so that each statement is prepared once.
static STATEMENTS: LazyLock<[(usize, Arc<str>); 4]> =
    LazyLock::new(|| [64, 16, 4, 1].map(|rows| (rows, statement(rows))));

fn statement(rows: usize) -> Arc<str> {
    const COLUMNS: &str = "number, id, conversation, seq, rev, changed_rev, created_at, kind, \
        sender_id, reply_to, client_id, content_hash, mentions, attachments, metadata, body";
    let row = format!("({})", vec!["?"; COLUMNS.split(',').count()].join(", "));
    format!("INSERT INTO messages ({COLUMNS}) VALUES {}", vec![row; rows].join(", ")).into()
}

pub(crate) async fn messages(
    conn: &mut SqliteConnection,
    mut rows: &[Row<'_>],
) -> Result<(), Fault> {
    for (size, sql) in STATEMENTS.iter() {
        while let Some((chunk, rest)) = rows.split_at_checked(*size) {
            write(conn, sql, chunk).await?;
            rows = rest;
        }
    }
    Ok(())
}

async fn write(conn: &mut SqliteConnection, sql: &Arc<str>, rows: &[Row<'_>]) -> Result<(), Fault> {
    // Made of constants and question marks.
    let mut insert = query(AssertSqlSafe(sql.clone()));
    for (conversation, message, hash) in rows {
        insert = insert
            .bind(signed(message.number))
            .bind(message.id.0)
            .bind(*conversation)
            .bind(signed(message.seq))
            .bind(signed(message.rev))
            .bind(signed(message.changed_rev))
            .bind(message.created_at.as_millis())
            .bind(message.kind.as_text().into_owned())
            .bind(message.sender_id.as_ref().map(UserId::as_str))
            .bind(message.reply_to.map(|id| id.0))
            .bind(message.client_id.as_ref().map(ClientId::as_str))
            // Only a key can be used twice.
            .bind(message.client_id.as_ref().map(|_| hash.0.to_vec()))
            .bind(list_text(&message.mentions)?)
            .bind(list_text(&message.attachments)?)
            .bind(metadata_text(&message.metadata)?)
            .bind(message.body.as_str());
    }
    insert.execute(conn).await?;
    Ok(())
}

/// Moves conversations to their new heads, given as `[number, last_seq, rev, last_activity_at]`.
pub(crate) const GROW: &str = "
    UPDATE conversations
    SET last_seq = grown.last_seq, rev = grown.rev, last_activity_at = grown.at
    FROM (
        SELECT value ->> 0 AS number, value ->> 1 AS last_seq, value ->> 2 AS rev, value ->> 3 AS at
        FROM json_each(?1)) AS grown
    WHERE conversations.number = grown.number";

pub(crate) async fn conversations(
    conn: &mut SqliteConnection,
    grown: impl Iterator<Item = &Grown>,
) -> Result<(), Fault> {
    #[derive(Serialize)]
    struct Head(i64, u64, u64, i64);
    let heads: Vec<Head> = grown
        .map(|room| {
            Head(room.conversation, room.last_seq, room.rev, room.last_activity_at.as_millis())
        })
        .collect();
    if !heads.is_empty() {
        query(GROW).bind(json(&heads)?).execute(conn).await?;
    }
    Ok(())
}
