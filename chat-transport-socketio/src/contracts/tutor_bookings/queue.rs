//! Messages that wait for a user who was away: each is handed to one device, the oldest first.

use std::collections::VecDeque;

use parlor_core::{
    BackendError, BackendErrorKind, Error, Timestamp,
    command::{Command, History, ListConversations, Reply},
    model::{ConversationId, ConversationSummary, Direct, Message},
};
use serde_json::{Value, json};

use super::{message_value, new_message};
use crate::{Client, Emit, known::mismatch};

/// Messages in one event, and their text in bytes. What waits beyond comes as events of its own.
const QUEUED: usize = 500;
const QUEUED_BYTES: usize = 512 * 1024;
/// Messages that are read ahead, over all conversations.
const AHEAD: usize = 1_000;
/// So often a question is asked again that came too soon.
const ATTEMPTS: usize = 100;

/// What waits for a user. A message is claimed only once it has been read, so that an error leaves waiting what
/// was not told.
pub(super) struct Queue {
    waiting: Vec<Waiting>,
    failed: Option<Error>,
}

/// What waits in one conversation.
struct Waiting {
    id: ConversationId,
    direct: Direct,
    /// Read and claimed up to here.
    through: u64,
    /// The last message when it was looked for; later ones are told as they are sent.
    last: u64,
    /// Claimed and not told yet.
    claimed: VecDeque<Message>,
}

impl Queue {
    /// What waits in all conversations of the user.
    pub(super) async fn of(client: &Client) -> Result<Self, Error> {
        let mut waiting = Vec::new();
        let mut cursor = None;
        loop {
            let list = ListConversations { limit: Some(100), cursor, archived: None };
            let Reply::Conversations(page) =
                patiently(client, Command::ListConversations(list)).await?
            else {
                return Err(mismatch());
            };
            waiting.extend(page.conversations.into_iter().filter_map(Waiting::in_conversation));
            cursor = page.next;
            if cursor.is_none() {
                return Ok(Self { waiting, failed: None });
            }
        }
    }

    /// What waits in one conversation.
    pub(super) async fn of_conversation(
        client: &Client,
        id: ConversationId,
    ) -> Result<Self, Error> {
        let entry = client.caller().conversation(id).await?;
        let waiting = Waiting::in_conversation(entry).into_iter().collect();
        Ok(Self { waiting, failed: None })
    }

    /// The oldest message that is left. Within a conversation their order stands. `None` when all were given,
    /// or all that could be read.
    async fn next(&mut self, client: &Client) -> Option<(Message, Direct)> {
        let page = (AHEAD / self.waiting.len().max(1)).clamp(1, 100);
        for waiting in &mut self.waiting {
            if self.failed.is_none() {
                self.failed = waiting.fill(client, page).await.err();
            }
        }
        self.waiting.retain(|waiting| !waiting.claimed.is_empty());
        let sent_at = |waiting: &Waiting| {
            waiting.claimed.front().map_or(Timestamp::MAX, |message| message.created_at)
        };
        let first = self.waiting.iter_mut().min_by_key(|waiting| sent_at(waiting))?;
        Some((first.claimed.pop_front()?, first.direct.clone()))
    }

    /// Tells a client all that is left, one by one.
    pub(super) async fn tell(mut self, client: &Client) -> Result<(), Error> {
        while let Some((message, direct)) = self.next(client).await {
            client.emit(new_message(&message, &direct)).await;
        }
        self.failed.map_or(Ok(()), Err)
    }

    /// Tells a client that it is connected, and what waits: in the one event what fits into it, the rest after it.
    pub(super) async fn greet(mut self, client: &Client, unread: u32) -> Result<(), Error> {
        let (mut queued, mut bytes) = (Vec::new(), 0);
        let mut beyond = None;
        while let Some((message, direct)) = self.next(client).await {
            bytes += message.body.len();
            if queued.len() == QUEUED || (bytes > QUEUED_BYTES && !queued.is_empty()) {
                beyond = Some(new_message(&message, &direct));
                break;
            }
            queued.push(message_value(&message, &direct));
        }
        client.emit(connected(client, queued, unread)).await;
        if let Some(beyond) = beyond {
            client.emit(beyond).await;
        }
        self.tell(client).await
    }
}

impl Waiting {
    /// What waits in a conversation, if something does.
    fn in_conversation(entry: ConversationSummary) -> Option<Self> {
        let (through, last) = (entry.me.delivered_seq, entry.conversation.last_seq);
        let (id, direct) = (entry.conversation.id, entry.conversation.direct?);
        (through < last).then_some(Self { id, direct, through, last, claimed: VecDeque::new() })
    }

    /// Reads and claims ahead where nothing is left, without what the user sent.
    async fn fill(&mut self, client: &Client, page: usize) -> Result<(), Error> {
        while self.claimed.is_empty() && self.through < self.last {
            if client.is_closed() {
                // There is nobody to be told.
                return Err(closed());
            }
            let (after, limit) = (Some(self.through), Some(page as u64));
            let history = History { conversation_id: self.id, before: None, after, limit };
            let found = match patiently(client, Command::History(history)).await {
                Ok(Reply::History(found)) => found,
                Ok(_) => return Err(mismatch()),
                Err(error) => return self.end(error),
            };
            let read = found.messages.last().filter(|_| found.has_more).map(|message| message.seq);
            let through = read.unwrap_or(self.last).min(self.last);
            let (after, claimed) = match client.claim_undelivered(self.id, through).await {
                Ok(claim) => claim,
                Err(error) => return self.end(error),
            };
            // Who may not receive is given nothing.
            self.through = if claimed < through { self.last } else { through };
            let me = client.user_id();
            self.claimed.extend(found.messages.into_iter().filter(|message| {
                (after < message.seq && message.seq <= claimed.min(through))
                    && message.sender_id.as_ref() != Some(me)
                    && !message.is_deleted()
            }));
        }
        Ok(())
    }

    /// Nothing more is read here. What the user may not see is no failure.
    fn end(&mut self, error: Error) -> Result<(), Error> {
        match error {
            Error::Forbidden(_) | Error::NotFound => {
                self.through = self.last;
                Ok(())
            }
            error => Err(error),
        }
    }
}

/// Asks again as soon as it may be: a user with many conversations has many questions at once.
pub(super) async fn patiently(client: &Client, command: Command) -> Result<Reply, Error> {
    for _ in 0..ATTEMPTS {
        match client.dispatch(command.clone()).await {
            Err(Error::RateLimited { retry_after }) => tokio::time::sleep(retry_after).await,
            answer => return answer,
        }
    }
    Err(closed())
}

/// It did not work now: the client comes back.
fn closed() -> Error {
    Error::Unavailable(BackendError::new(BackendErrorKind::Unavailable, "queue"))
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
