//! Messages that wait for a user who was away: each is handed to one device, the oldest first.

use std::collections::VecDeque;

use parlor_core::{
    Error, Timestamp,
    command::{Command, History, ListConversations, Reply},
    model::{ConversationId, Direct, Message},
};
use serde_json::{Value, json};

use super::{message_value, new_message};
use crate::{Client, Emit, known::mismatch};

/// Messages in one event, and their text in bytes. What waits beyond comes as events of its own.
const QUEUED: usize = 500;
const QUEUED_BYTES: usize = 512 * 1024;
/// Messages that are read ahead, over all conversations.
const AHEAD: usize = 1_000;

/// What this device is to hand over of one conversation.
pub(super) struct Claim {
    id: ConversationId,
    direct: Direct,
    after: u64,
    through: u64,
    /// Read ahead.
    next: VecDeque<Message>,
}

/// Claims what waits in all conversations.
pub(super) async fn claim_all(client: &Client) -> Result<Vec<Claim>, Error> {
    let mut claims = Vec::new();
    let mut cursor = None;
    loop {
        let list = ListConversations { limit: Some(100), cursor, archived: None };
        let page = client.caller().conversations(list).await?;
        for entry in page.conversations {
            let (conversation, me) = (entry.conversation, entry.me);
            let Some(direct) = &conversation.direct else { continue };
            if me.delivered_seq < conversation.last_seq {
                match claim(client, conversation.id, direct).await {
                    Ok(claim) if claim.after < claim.through => claims.push(claim),
                    Ok(_) | Err(Error::Forbidden(_) | Error::NotFound) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(claims);
        }
    }
}

/// Claims what waits in a conversation.
pub(super) async fn claim(
    client: &Client,
    id: ConversationId,
    direct: &Direct,
) -> Result<Claim, Error> {
    let (after, through) = client.claim_undelivered(id, u64::MAX).await?;
    Ok(Claim { id, direct: direct.clone(), after, through, next: VecDeque::new() })
}

impl Claim {
    /// Everything claimed, in order.
    pub(super) async fn all(mut self, client: &Client) -> Result<Vec<Message>, Error> {
        let mut all = Vec::new();
        while let Some(message) = self.take(client, 100).await? {
            all.push(message);
        }
        Ok(all)
    }

    async fn take(&mut self, client: &Client, page: usize) -> Result<Option<Message>, Error> {
        self.fill(client, page).await?;
        Ok(self.next.pop_front())
    }

    /// Reads ahead where nothing is left, without what the user sent.
    async fn fill(&mut self, client: &Client, page: usize) -> Result<(), Error> {
        while self.next.is_empty() && self.after < self.through {
            let after = Some(self.after);
            let limit = Some(page as u64);
            let history = History { conversation_id: self.id, before: None, after, limit };
            let Reply::History(found) = client.caller().dispatch(Command::History(history)).await?
            else {
                return Err(mismatch());
            };
            let last = found.messages.last().map(|message| message.seq);
            self.after = last.filter(|_| found.has_more).unwrap_or(self.through);
            let is_theirs = |message: &Message| {
                message.seq <= self.through
                    && message.sender_id.as_ref() != Some(client.user_id())
                    && !message.is_deleted()
            };
            self.next.extend(found.messages.into_iter().filter(is_theirs));
        }
        Ok(())
    }
}

/// Tells a client that it is connected, and everything claimed for it: in the one event what fits into it,
/// the rest after it.
pub(super) async fn greet(
    client: &Client,
    mut claims: Vec<Claim>,
    unread: u32,
) -> Result<(), Error> {
    let page = (AHEAD / claims.len().max(1)).clamp(1, 100);
    let (mut queued, mut bytes) = (Vec::new(), 0);
    let mut beyond = None;
    while let Some((message, direct)) = oldest(client, &mut claims, page).await? {
        bytes += message.body.len();
        if queued.len() == QUEUED || (bytes > QUEUED_BYTES && !queued.is_empty()) {
            beyond = Some((message, direct));
            break;
        }
        queued.push(message_value(&message, &direct));
    }
    client.emit(connected(client, queued, unread)).await;
    while let Some((message, direct)) = beyond {
        client.emit(new_message(&message, &direct)).await;
        beyond = oldest(client, &mut claims, page).await?;
    }
    Ok(())
}

/// The oldest message of all that are left. Within a conversation their order stands.
async fn oldest(
    client: &Client,
    claims: &mut Vec<Claim>,
    page: usize,
) -> Result<Option<(Message, Direct)>, Error> {
    for claim in claims.iter_mut() {
        claim.fill(client, page).await?;
    }
    claims.retain(|claim| !claim.next.is_empty());
    let sent_at =
        |claim: &Claim| claim.next.front().map_or(Timestamp::MAX, |message| message.created_at);
    let first = claims.iter_mut().min_by_key(|claim| sent_at(claim));
    Ok(first.and_then(|claim| Some((claim.next.pop_front()?, claim.direct.clone()))))
}

fn connected(client: &Client, queued: Vec<Value>, unread: u32) -> Emit {
    let data = json!({
        "userId": client.user_id(),
        "socketId": client.id(),
        "timestamp": client.chat().now(),
        "queuedMessages": queued,
        "unreadCount": unread,
    });
    Emit::new("connected", data)
}
