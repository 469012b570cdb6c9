//! One socket, one task: carries out its events in order, tells it what happens.

use std::{sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use parlor_core::{
    CloseReason, Error, Outgoing, Timestamp,
    command::{Command, History, Reply},
    event::{Changes, Event, SessionEvent},
    model::ConversationId,
};
use socketioxide::extract::{AckSender, SocketRef};
use tokio::{
    sync::{MutexGuard, mpsc, oneshot},
    time::{Instant, sleep_until, timeout},
};

use crate::{
    client::{Broken, Client},
    connect::{Mount, Received, Seat},
    emit::{Emit, Room},
    frame::{self, Part},
    incoming::Incoming,
    link::Link,
    presence::{self, Online},
    undelivered::{Delivered, without_claimed},
};

/// Bytes of events that are taken from the session at once.
const BATCH: usize = 32 * 1024;
/// So long what a client sent before it went is still carried out.
const FAREWELL: Duration = Duration::from_secs(10);
/// So long a last word is given to reach the client.
const LAST_WORD: Duration = Duration::from_secs(2);

/// How a socket ends.
enum End {
    /// The client has gone, or the connection has broken.
    Gone,
    /// The server ends it.
    Closed(CloseReason),
}

/// Runs a socket to its end.
pub(crate) async fn run(mount: Arc<Mount>, socket: SocketRef, seat: Seat) {
    let Seat { session, early, identity, link, inbox, gone } = seat;
    let span = tracing::Span::current();
    span.record("user", tracing::field::display(&identity.user_id));
    let client = Arc::new(Client::new(mount, session, identity, socket, link));
    let conversation = Conversation {
        client: Arc::clone(&client),
        online: Online::default(),
        since: client.chat().now(),
        asides: FuturesUnordered::new(),
        delivered: Delivered::default(),
    };
    let end = conversation.run(early, inbox, gone).await;
    finish(&client, end).await;
}

struct Conversation {
    client: Arc<Client>,
    online: Online,
    /// When the socket connected: what is older the client loads itself.
    since: Timestamp,
    /// Looks that an event made necessary, and what they found to be told.
    asides: FuturesUnordered<BoxFuture<'static, Result<Option<Event>, Error>>>,
    delivered: Delivered,
}

impl Conversation {
    async fn run(
        mut self,
        mut batch: Vec<Outgoing>,
        mut inbox: mpsc::Receiver<Received>,
        gone: oneshot::Receiver<()>,
    ) -> End {
        let client = Arc::clone(&self.client);
        let greeting = client.mount.contract.connected(&client).await;
        if let Err(error) = greeting {
            refuse(&client, &Incoming::new("connect", Vec::new()), &error, None).await;
            if matches!(error, Error::Unavailable(_)) {
                return End::Gone;
            }
        }
        if self.tell(&mut batch).await.is_err() {
            return End::Gone;
        }

        let mut gone = gone.fuse();
        let mut current: Option<BoxFuture<'static, ()>> = None;
        let mut listen = client.link.listen();
        let mut leaving = false;
        let mut closed = None;
        let farewell = sleep_until(Instant::now());
        tokio::pin!(farewell);
        loop {
            let has_room = client.link.has_room();
            tokio::select! {
                _ = &mut gone, if !leaving => {
                    // What came before it went is carried out; more cannot come.
                    leaving = true;
                    inbox.close();
                    farewell.as_mut().reset(Instant::now() + FAREWELL);
                }
                () = under_way(&mut current), if current.is_some() => current = None,
                received = inbox.recv(), if current.is_none() => match received {
                    Some(received) => {
                        client.link.taken(received.json.len());
                        current = Some(Box::pin(carry_out(Arc::clone(&client), received)));
                    }
                    None => return End::Gone,
                },
                turn = next(&client, &mut batch, &mut closed), if has_room && !leaving => {
                    if self.tell(&mut batch).await.is_err() {
                        return End::Gone;
                    }
                    drop(turn);
                    if let Some(reason) = closed {
                        return End::Closed(reason);
                    }
                }
                Some(found) = self.asides.next(), if !self.asides.is_empty() && !leaving => {
                    match found {
                        Ok(Some(event)) => {
                            if self.tell_event(&event, None).await.is_err() {
                                return End::Gone;
                            }
                            self.delivered.mark(&client);
                        }
                        Ok(None) => {}
                        Err(error) => tracing::warn!(%error, "a look after an event failed"),
                    }
                }
                _ = listen.changed(), if !has_room && !leaving => {}
                () = &mut farewell, if leaving => return End::Gone,
            }
        }
    }

    async fn tell(&mut self, batch: &mut Vec<Outgoing>) -> Result<(), Broken> {
        for outgoing in batch.drain(..) {
            self.tell_event(&outgoing.event, Some(&outgoing.frame)).await?;
        }
        self.delivered.mark(&self.client);
        batch.shrink_to(8);
        Ok(())
    }

    /// Tells an event, writing it first where its frame does not.
    async fn tell_event(&mut self, event: &Event, frame: Option<&[u8]>) -> Result<(), Broken> {
        self.follow(event)?;
        let left = without_claimed(&self.client, event);
        let (event, frame) = match &left {
            Some(left) => (left, None),
            None => (event, frame),
        };
        let written;
        let frame = match frame {
            Some(frame) if !frame::is_unwritten(frame) => frame,
            _ => match self.client.mount.codec.look_up_and_encode(event).await {
                Ok(bytes) => {
                    written = bytes;
                    &written
                }
                // A message or conversation that has gone meanwhile needs no telling.
                Err(Error::NotFound) => return Ok(()),
                Err(error) => {
                    // Left out it would be lost; connected again the client loads it.
                    tracing::warn!(%error, "an event cannot be written");
                    return Err(Broken);
                }
            },
        };
        let mut told = false;
        for part in frame::parts(frame) {
            if self.is_for_us(&part, event.conversation_id()) {
                self.client.emit_json(part.event, part.json).await?;
                told = true;
            }
        }
        if told && self.client.mount.contract.marks_delivered() {
            self.delivered.note(event, self.client.user_id());
        }
        Ok(())
    }

    fn is_for_us(&mut self, part: &Part<'_>, conversation: Option<ConversationId>) -> bool {
        if let Some((user, online)) = part.presence {
            return self.online.is_news(user, online);
        }
        if part.sender_key.is_some_and(|key| self.client.sent(key)) {
            return false;
        }
        if let Some((sender, only_them)) = part.sender
            && (sender == self.client.user_id().as_str()) != only_them
        {
            return false;
        }
        let joined = || conversation.is_some_and(|id| self.client.has_joined(id));
        match part.room {
            Room::Any => true,
            Room::Joined => joined(),
            Room::NotJoined => !joined(),
            Room::NotLeft => !conversation.is_some_and(|id| self.client.has_left(id)),
        }
    }

    /// Does what an event makes necessary for the connection itself.
    fn follow(&mut self, event: &Event) -> Result<(), Broken> {
        match event {
            // Too much was missed to be told: connected again the client loads everything.
            Event::Session(SessionEvent::Limited { .. } | SessionEvent::Resync { .. }) => {
                return Err(Broken);
            }
            Event::Session(SessionEvent::ConversationAdded { summary }) => {
                let (id, after) = (summary.conversation.id, summary.me.read_seq);
                if summary.conversation.last_seq > after {
                    let client = Arc::clone(&self.client);
                    self.asides.push(Box::pin(missed(client, id, after, self.since)));
                }
            }
            Event::Session(SessionEvent::ConversationRemoved { conversation_id }) => {
                self.client.removed_from(*conversation_id);
            }
            _ => {}
        }
        let users = presence::to_be_watched(event, self.client.user_id());
        if !users.is_empty() {
            let client = Arc::clone(&self.client);
            let look = async move {
                match client.session.watch(users).await {
                    Ok(found) => Ok(Some(presence::news(found))),
                    // Nobody watches more than so many.
                    Err(Error::Invalid(_)) => Ok(None),
                    Err(error) => Err(error),
                }
            };
            self.asides.push(Box::pin(look));
        }
        Ok(())
    }
}

/// What was sent in a conversation since the client connected and before it was told of it.
async fn missed(
    client: Arc<Client>,
    conversation_id: ConversationId,
    after: u64,
    since: Timestamp,
) -> Result<Option<Event>, Error> {
    let history = History { conversation_id, before: None, after: Some(after), limit: Some(100) };
    let Reply::History(page) = client.dispatch(Command::History(history)).await? else {
        return Ok(None);
    };
    let messages = page.messages.into_iter().filter(|message| message.created_at >= since);
    let changes = Changes {
        conversation_id,
        since_rev: 0,
        messages: messages.collect(),
        revised: Vec::new(),
        conversation: None,
        members: None,
        through_rev: 0,
        next: None,
    };
    Ok(Some(Event::Session(SessionEvent::Changes(Box::new(changes)))))
}

/// Waits until something happened and may be told. Cancel safe: what was taken stays in the batch.
async fn next<'c>(
    client: &'c Client,
    batch: &mut Vec<Outgoing>,
    closed: &mut Option<CloseReason>,
) -> MutexGuard<'c, ()> {
    if batch.is_empty() && closed.is_none() {
        *closed = client.session.next(batch, BATCH).await.err();
    }
    client.turn.lock().await
}

async fn under_way(current: &mut Option<BoxFuture<'static, ()>>) {
    match current {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

/// Carries out one event of the client and answers it.
async fn carry_out(client: Arc<Client>, Received { json, ack }: Received) {
    let contract = Arc::clone(&client.mount.contract);
    let event = match Incoming::parse(&json) {
        Ok(event) => event,
        Err((event, error)) => return refuse(&client, &event, &error, ack).await,
    };
    // Kept for a refusal, which may repeat an id of the client's own.
    let kept = event.clone();
    match contract.received(&client, event).await {
        Ok(answer) => {
            if let Some(ack) = ack {
                client.acknowledge(ack, &answer).await;
            }
        }
        Err(error) => refuse(&client, &kept, &error, ack).await,
    }
}

async fn refuse(client: &Client, event: &Incoming, error: &Error, ack: Option<AckSender>) {
    match error {
        Error::Internal(source) => tracing::error!(error = %source, "internal error"),
        Error::Unavailable(source) => tracing::warn!(error = %source, "backend unavailable"),
        _ => {}
    }
    let refusal = client.mount.contract.refused(event, error);
    if let Some(event) = refusal.event {
        client.emit(event).await;
    }
    if let Some(ack) = ack {
        client.acknowledge(ack, &refusal.ack).await;
    }
}

/// Says the last word and closes.
async fn finish(client: &Client, end: End) {
    let stay_away = match end {
        End::Gone => false,
        End::Closed(CloseReason::Expired) => {
            let data = serde_json::json!({ "message": "the token has expired" });
            let _ = timeout(LAST_WORD, client.emit(Emit::new("error", data))).await;
            true
        }
        End::Closed(CloseReason::Ended) => true,
        End::Closed(_) => false,
    };
    let link = &client.link;
    if stay_away {
        // To a client this means: do not connect again by yourself. It closes when it has heard it.
        let _ = client.socket.clone().disconnect();
        let _ = timeout(LAST_WORD, link.until(Link::is_closed)).await;
    } else {
        let written = |link: &Link| link.is_flushed() || link.is_closed();
        let _ = timeout(LAST_WORD, link.until(written)).await;
    }
    client.mount.engine.close(client).await;
}
