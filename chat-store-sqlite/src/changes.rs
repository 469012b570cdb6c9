//! What changed in a conversation after a rev.

use parlor_core::{
    model::{Conversation, ConversationId, Message},
    store::{ChangesPage, ChangesPosition, ChangesQuery},
};
use sqlx::{SqliteConnection, query};

use crate::{
    conversations::{by_id, members},
    error::Fault,
    eyes::Eyes,
    history,
    rows::{one_more, signed},
};

/// Messages of `?1` sent after the rev `?2` and up to `?3`, for the viewer `?5`.
///
/// Between two revs there are at most as many messages as revs: the seq `?4` after which they all
/// lie bounds the scan by what changed.
pub(crate) const NEW: &str = "
    SELECT m.* FROM messages m
    WHERE m.conversation = ?1 AND m.seq > ?4 AND m.rev > ?2 AND m.rev <= ?3
        AND NOT EXISTS (
            SELECT 1 FROM deletions d
            WHERE d.conversation = ?1 AND d.user_id = ?5 AND d.message = m.number)
    ORDER BY m.seq LIMIT ?6";

/// Messages of `?1` sent up to the rev `?2` and changed after `?3`, for the viewer `?5`.
/// The plus keeps SQLite from going by the seq.
pub(crate) const REVISED: &str = "
    SELECT m.* FROM messages m
    WHERE m.conversation = ?1 AND m.changed_rev > m.rev AND m.changed_rev > ?3 AND m.rev <= ?2
        AND +m.seq > ?4
        AND NOT EXISTS (
            SELECT 1 FROM deletions d
            WHERE d.conversation = ?1 AND d.user_id = ?5 AND d.message = m.number)
    ORDER BY m.changed_rev LIMIT ?6";

pub(crate) async fn changes(
    conn: &mut SqliteConnection,
    id: ConversationId,
    asked: ChangesQuery,
) -> Result<Option<ChangesPage>, Fault> {
    let Some(conversation) = by_id(conn, id).await? else { return Ok(None) };
    let Some(eyes) = Eyes::open(conn, id, asked.viewer).await? else { return Ok(None) };
    let since = asked.since;
    let mut page = ChangesPage {
        messages: Vec::new(),
        revised: Vec::new(),
        conversation: None,
        through_rev: conversation.rev,
        next: None,
    };
    if since >= conversation.rev {
        return Ok(Some(page));
    }
    let position = asked.position.unwrap_or(ChangesPosition {
        head: conversation.rev,
        new_after_seq: Some(0),
        revised_after_rev: 0,
    });
    let head = position.head.min(conversation.rev);
    page.through_rev = head;
    if let Some(after) = position.new_after_seq {
        let start = after.max(first_bound(&conversation, since));
        let (messages, more) = new(conn, &eyes, since, head, start, asked.limit).await?;
        page.messages = messages;
        if more {
            let last = page.messages.last().map_or(after, |message| message.seq);
            page.next = Some(ChangesPosition { head, new_after_seq: Some(last), ..position });
        }
    }
    // Every change took a rev: when each was a new message nothing else changed.
    let all_new = asked.position.is_none() && page.messages.len() as u64 == head - since;
    if page.next.is_none() && !all_new {
        // Also what was revised after the head: it may have been in reach before and moved on.
        let after = position.revised_after_rev.max(since);
        let space = asked.limit.saturating_sub(page.messages.len());
        let (revised, more) = revised(conn, &eyes, since, after, space).await?;
        page.revised = revised;
        if more {
            let last = page.revised.last().map_or(after, |message| message.changed_rev);
            page.next =
                Some(ChangesPosition { head, new_after_seq: None, revised_after_rev: last });
        }
    }
    if asked.position.is_none() && conversation.changed_rev > since {
        let members = members(conn, id, None, usize::MAX).await?;
        page.conversation = Some((conversation, members));
    }
    Ok(Some(page))
}

/// A seq at or before which no message was sent after `since`: every message took a rev.
fn first_bound(conversation: &Conversation, since: u64) -> u64 {
    conversation.last_seq.saturating_sub(conversation.rev.saturating_sub(since))
}

/// A page, and whether there is more.
async fn new(
    conn: &mut SqliteConnection,
    eyes: &Eyes,
    since: u64,
    head: u64,
    after: u64,
    limit: usize,
) -> Result<(Vec<Message>, bool), Fault> {
    let rows = query(NEW)
        .bind(eyes.conversation)
        .bind(signed(since))
        .bind(signed(head))
        .bind(signed(after).max(eyes.cleared_seq))
        .bind(eyes.user())
        .bind(one_more(limit))
        .fetch_all(&mut *conn)
        .await?;
    Ok((history::seen(conn, eyes, rows.iter().take(limit)).await?, rows.len() > limit))
}

async fn revised(
    conn: &mut SqliteConnection,
    eyes: &Eyes,
    since: u64,
    after: u64,
    limit: usize,
) -> Result<(Vec<Message>, bool), Fault> {
    let rows = query(REVISED)
        .bind(eyes.conversation)
        .bind(signed(since))
        .bind(signed(after))
        .bind(eyes.cleared_seq)
        .bind(eyes.user())
        .bind(one_more(limit))
        .fetch_all(&mut *conn)
        .await?;
    Ok((history::seen(conn, eyes, rows.iter().take(limit)).await?, rows.len() > limit))
}
