//! Changes of a stored message that all members see.

use std::sync::LazyLock;

use parlor_core::{
    Timestamp,
    model::{Conversation, ConversationId, Message, MessageId, UserId},
    rules::{self, Denied},
    store::{ReviseOutcome, Revision},
};
use sqlx::Row;

use crate::{
    connection::Conn,
    conversations::{locked, member},
    error::Fault,
    messages::{self, messages},
    reactions,
    rows::{list_text, metadata_text, signed},
};

/// A revision and who asks for it.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) conversation_id: ConversationId,
    pub(crate) message_id: MessageId,
    pub(crate) actor: Option<UserId>,
    pub(crate) revision: Revision,
    pub(crate) now: Timestamp,
}

pub(crate) async fn revise(conn: &mut Conn<'_>, asked: Asked) -> Result<ReviseOutcome, Fault> {
    let Some(conversation) = locked(conn, asked.conversation_id).await? else {
        return Ok(ReviseOutcome::NotFound);
    };
    let Some(mut message) = stored(conn, &conversation, asked.message_id).await? else {
        return Ok(ReviseOutcome::NotFound);
    };
    let role = match &asked.actor {
        Some(actor) => member(conn, conversation.id, actor).await?.map(|member| member.role),
        None => None,
    };
    let pins = match &asked.revision {
        Revision::Pin { .. } => pins(conn, &conversation).await?,
        _ => 0,
    };
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
    let query = conn
        .query("UPDATE parlor.conversations SET rev = $2 WHERE number = $1")
        .bind(signed(conversation.number))
        .bind(signed(message.changed_rev));
    query.execute(conn.pg()).await?;
    if matches!(asked.revision, Revision::React { .. })
        && let Some(revised) = stored(conn, &conversation, asked.message_id).await?
    {
        message = revised;
    }
    Ok(ReviseOutcome::Changed(Box::new(message)))
}

/// The message `$1` of the conversation `$2`, whoever looks.
static STORED: LazyLock<String> = LazyLock::new(|| {
    messages("NULL", "FROM parlor.messages m WHERE m.id = $1 AND m.conversation = $2")
});

async fn stored(
    conn: &mut Conn<'_>,
    conversation: &Conversation,
    id: MessageId,
) -> Result<Option<Message>, Fault> {
    let query = conn.query(&STORED).bind(id.0).bind(signed(conversation.number));
    let row = query.fetch_optional(conn.pg()).await?;
    row.map(|row| messages::from_row(&row, conversation.id)).transpose()
}

/// How many messages of the conversation `$1` are pinned.
pub(crate) const PINS: &str =
    "SELECT count(*) FROM parlor.messages WHERE conversation = $1 AND pinned_at IS NOT NULL";

async fn pins(conn: &mut Conn<'_>, conversation: &Conversation) -> Result<usize, Fault> {
    let row = conn.query(PINS).bind(signed(conversation.number)).fetch_one(conn.pg()).await?;
    Ok(usize::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0))
}

/// Applies a revision that is allowed, reactions in their own table; says whether anything changed.
async fn apply(conn: &mut Conn<'_>, message: &mut Message, asked: &Asked) -> Result<bool, Fault> {
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
            reactions::set(conn, message.number, actor, key, *on).await
        }
        Revision::Pin { on, .. } => {
            let changed = message.pinned_at.is_some() != *on;
            if changed {
                message.pinned_at = on.then_some(asked.now);
            }
            Ok(changed)
        }
        // One that a later version of the core knows.
        _ => Err(Fault::new(parlor_core::BackendErrorKind::Other, "this revision is not known")),
    }
}

async fn write(conn: &mut Conn<'_>, message: &Message) -> Result<(), Fault> {
    let query = conn
        .query(
            "UPDATE parlor.messages SET changed_rev = $2, body = $3, reply_to = $4, mentions = $5::json,
                attachments = $6::json, metadata = $7::json, edited_at = $8, deleted_at = $9, pinned_at = $10
             WHERE number = $1",
        )
        .bind(signed(message.number))
        .bind(signed(message.changed_rev))
        .bind(message.body.as_str())
        .bind(message.reply_to.map(|id| id.0))
        .bind(list_text(&message.mentions)?)
        .bind(list_text(&message.attachments)?)
        .bind(metadata_text(&message.metadata)?)
        .bind(message.edited_at.map(Timestamp::as_millis))
        .bind(message.deleted_at.map(Timestamp::as_millis))
        .bind(message.pinned_at.map(Timestamp::as_millis));
    query.execute(conn.pg()).await?;
    Ok(())
}
