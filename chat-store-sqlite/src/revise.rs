//! Changes of a stored message that all members see.

use parlor_core::{
    Timestamp,
    model::{Conversation, ConversationId, Message, MessageId, UserId},
    rules::{self, Denied},
    store::{ReviseOutcome, Revision},
};
use sqlx::{SqliteConnection, query, query_scalar};

use crate::{
    conversations::{by_id, member},
    error::Fault,
    reactions,
    rows::{self, list_text, metadata_text, signed},
};

/// A revision and who asks for it.
pub(crate) struct Asked {
    pub(crate) conversation_id: ConversationId,
    pub(crate) message_id: MessageId,
    pub(crate) actor: Option<UserId>,
    pub(crate) revision: Revision,
    pub(crate) now: Timestamp,
}

pub(crate) async fn revise(
    conn: &mut SqliteConnection,
    asked: Asked,
) -> Result<ReviseOutcome, Fault> {
    let Some(conversation) = by_id(conn, asked.conversation_id).await? else {
        return Ok(ReviseOutcome::NotFound);
    };
    let Some(mut message) = stored(conn, &conversation, asked.message_id).await? else {
        return Ok(ReviseOutcome::NotFound);
    };
    let role = match &asked.actor {
        Some(actor) => member(conn, conversation.id, actor.clone()).await?.map(|m| m.role),
        None => None,
    };
    let pins = pins(conn, &conversation).await?;
    let actor = asked.actor.as_ref();
    match rules::revise(conversation.kind, &message, actor, role, &asked.revision, pins) {
        Ok(()) => {}
        Err(Denied::NotMember) => return Ok(ReviseOutcome::NotFound),
        Err(denied) => return Ok(ReviseOutcome::Denied(denied)),
    }
    if !apply(conn, &mut message, &asked).await? {
        return Ok(ReviseOutcome::Unchanged(Box::new(message)));
    }
    message.changed_rev = conversation.rev + 1;
    write(conn, &message).await?;
    query("UPDATE conversations SET rev = ?2 WHERE number = ?1")
        .bind(signed(conversation.number))
        .bind(signed(message.changed_rev))
        .execute(&mut *conn)
        .await?;
    Ok(ReviseOutcome::Changed(Box::new(message)))
}

async fn stored(
    conn: &mut SqliteConnection,
    conversation: &Conversation,
    id: MessageId,
) -> Result<Option<Message>, Fault> {
    let row = query("SELECT * FROM messages WHERE id = ?1 AND conversation = ?2")
        .bind(id.0)
        .bind(signed(conversation.number))
        .fetch_optional(&mut *conn)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let mut message = [rows::message(&row, conversation.id)?];
    reactions::fill(conn, &mut message, None).await?;
    let [message] = message;
    Ok(Some(message))
}

/// How many messages of a conversation are pinned.
pub(crate) const PINS: &str =
    "SELECT count(*) FROM messages WHERE conversation = ?1 AND pinned_at IS NOT NULL";

async fn pins(conn: &mut SqliteConnection, conversation: &Conversation) -> Result<usize, Fault> {
    let pins: i64 = query_scalar(PINS).bind(signed(conversation.number)).fetch_one(conn).await?;
    Ok(usize::try_from(pins).unwrap_or(0))
}

/// Applies a revision that is allowed, reactions in their own table; says whether anything changed.
async fn apply(
    conn: &mut SqliteConnection,
    message: &mut Message,
    asked: &Asked,
) -> Result<bool, Fault> {
    match &asked.revision {
        Revision::Edit(edit) => Ok(edit.apply(message, asked.now)),
        Revision::Delete => {
            let fresh = !message.is_deleted();
            if fresh {
                message.entomb(asked.now);
                reactions::clear(conn, message.number).await?;
            }
            Ok(fresh)
        }
        Revision::React { key, on, .. } => {
            // The host is nobody who could react.
            let Some(actor) = &asked.actor else { return Ok(false) };
            let changed = reactions::set(conn, message.number, actor, key, *on).await?;
            if changed {
                message.reactions.clear();
                reactions::fill(conn, std::slice::from_mut(message), None).await?;
            }
            Ok(changed)
        }
        Revision::Pin { on, .. } => {
            let changed = message.pinned_at.is_some() != *on;
            if changed {
                message.pinned_at = on.then_some(asked.now);
            }
            Ok(changed)
        }
        _ => Ok(false),
    }
}

async fn write(conn: &mut SqliteConnection, message: &Message) -> Result<(), Fault> {
    query(
        "UPDATE messages SET changed_rev = ?2, body = ?3, reply_to = ?4, mentions = ?5,
            attachments = ?6, metadata = ?7, edited_at = ?8, deleted_at = ?9, pinned_at = ?10
         WHERE number = ?1",
    )
    .bind(signed(message.number))
    .bind(signed(message.changed_rev))
    .bind(&message.body)
    .bind(message.reply_to.map(|id| id.0))
    .bind(list_text(&message.mentions)?)
    .bind(list_text(&message.attachments)?)
    .bind(metadata_text(&message.metadata)?)
    .bind(message.edited_at.map(Timestamp::as_millis))
    .bind(message.deleted_at.map(Timestamp::as_millis))
    .bind(message.pinned_at.map(Timestamp::as_millis))
    .execute(conn)
    .await?;
    Ok(())
}
