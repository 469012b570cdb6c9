//! One socket, one task: carries out its events in order, tells it what happens.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, channel::mpsc, future::BoxFuture, stream::FuturesUnordered};
use parlor_core::{
    CloseReason, Error, Outgoing, Timestamp,
    event::{Event, SessionEvent},
    model::ConversationId,
};
use socketioxide::extract::{AckSender, SocketRef};
use tokio::time::timeout;

use crate::{
    client::{Broken, Client},
    connect::{Mount, Received, Seat},
    emit::Emit,
    frame,
    incoming::Incoming,
    link::Link,
    missed::{self, Since},
    presence,
    undelivered::Delivered,
};

/// Bytes of events that are taken from the session at once.
const BATCH: usize = 32 * 1024;
/// Conversations that the user was removed from, of which it is remembered how far they were told.
const REMOVED: usize = 10_000;
/// So long what a client sent before it went is still carried out.
const FAREWELL: Duration = Duration::from_secs(10);
/// So long a last word is given to reach the client.
const LAST_WORD: Duration = Duration::from_secs(2);

/// How a socket ends.
enum End {
    /// The client has left the namespace, or has gone altogether.
    Gone,
    /// The connection has broken, or is given up.
    Broken,
    /// The server ends it.
    Closed(CloseReason),
}

/// Runs a socket to its end.
pub(crate) async fn run(mount: Arc<Mount>, socket: SocketRef, seat: Box<Seat>) {
    let Seat { session, early, since, link, namespace, inbox, departure } = seat.out_of_box();
    let client = Client::new(mount, session, socket, link, departure);
    let mut conversation = Conversation {
        client: Arc::clone(&client),
        since,
        removed: HashMap::new(),
        asides: FuturesUnordered::new(),
        delivered: Delivered::default(),
    };
    let end = conversation.run(early, inbox).await;
    drop((conversation, namespace));
    // What is said once is boxed, so that it does not widen the task of every socket.
    Box::pin(finish(&client, end)).await;
}

/// Tells a client why it is not let in, and closes its connection.
pub(crate) async fn turn_away(mount: &Mount, socket: SocketRef, link: &Link, error: &Error) {
    let refusal = mount.contract.refused(&Incoming::new("connect", Vec::new()), error);
    if let Some(event) = refusal.event {
        link.handed_over(0);
        if socket.emit(event.event(), event.data()).is_err() {
            link.written(1);
        }
    }
    send_away(mount, &socket, link).await;
}

struct Conversation {
    client: Arc<Client>,
    /// When the socket connected: what is older the client loads itself.
    since: Timestamp,
    /// Up to which rev the client was told of conversations that the user is in no longer.
    removed: HashMap<ConversationId, u64>,
    /// Looks at the presence of whom an event brought, and what they found to be told.
    asides: FuturesUnordered<BoxFuture<'static, Result<Option<Event>, Error>>>,
    delivered: Delivered,
}

impl Conversation {
    async fn run(
        &mut self,
        early: Vec<Arc<Outgoing>>,
        mut inbox: mpsc::UnboundedReceiver<Received>,
    ) -> End {
        let mut current = None;
        let end = self.serve(early, &mut inbox, &mut current).await;
        self.client.delivery.keep_from_writers();
        if matches!(end, End::Gone | End::Broken) {
            // What came before it went is carried out, also when telling it something failed first;
            // more cannot come.
            inbox.close();
            let rest = carry_out_the_rest(&self.client, current, inbox);
            let _ = Box::pin(timeout(FAREWELL, rest)).await;
        }
        end
    }

    async fn serve(
        &mut self,
        early: Vec<Arc<Outgoing>>,
        inbox: &mut mpsc::UnboundedReceiver<Received>,
        current: &mut Option<BoxFuture<'static, ()>>,
    ) -> End {
        let client = Arc::clone(&self.client);
        let greeting = client.mount.contract.connected(&client).await;
        if let Err(error) = greeting {
            let event = Incoming::new("connect", Vec::new());
            Box::pin(refuse(&client, &event, &error, None)).await;
            if matches!(error, Error::Unavailable(_)) {
                return End::Broken;
            }
        }
        if Box::pin(self.tell(&early)).await.is_err() {
            return End::Broken;
        }
        drop(early);
        client.listen();

        if client.mount.contract.serves_groups() {
            let client = Arc::clone(&client);
            self.asides.push(Box::pin(async move { presence::watch_groups(&client).await }));
        }
        let mut called = false;
        loop {
            let has_room = client.link.has_room();
            tokio::select! {
                () = client.departure.left() => return End::Gone,
                () = under_way(current), if current.is_some() => *current = None,
                received = inbox.next(), if current.is_none() => match received {
                    Some(received) => *current = Some(begin(&client, received)),
                    None => return End::Gone,
                },
                () = client.delivery.called(), if !called => called = true,
                mut waiting = client.turn.lock(), if called && has_room => {
                    called = false;
                    let taken = client.take(&mut waiting, BATCH);
                    // What could not be told stays: nothing that follows is told either.
                    // Boxed: most of what happens is told by a writer.
                    let told = Box::pin(self.tell(&waiting)).await;
                    // First: whoever was sent away has nothing carried out any more.
                    if let Err(reason) = taken {
                        return End::Closed(reason);
                    }
                    if told.is_err() {
                        return End::Broken;
                    }
                    *waiting = Vec::new();
                    client.leave_to_writers();
                }
                Some(found) = self.asides.next(), if !self.asides.is_empty() => match found {
                    Ok(Some(event)) => {
                        if Box::pin(self.write(&Arc::new(event), None)).await.is_err() {
                            return End::Broken;
                        }
                    }
                    Ok(None) => {}
                    Err(error) => tracing::warn!(%error, "presence cannot be looked up"),
                },
                () = client.link.until(Link::has_room), if !has_room => {}
            }
        }
    }

    async fn tell(&mut self, batch: &[Arc<Outgoing>]) -> Result<(), Broken> {
        for outgoing in batch {
            self.tell_event(outgoing).await?;
        }
        self.delivered.mark(&self.client);
        Ok(())
    }

    /// Tells an event, and what was missed of a conversation that it brings.
    async fn tell_event(&mut self, outgoing: &Outgoing) -> Result<(), Broken> {
        let Outgoing { event, frame, .. } = outgoing;
        self.follow(event)?;
        self.write(event, Some(frame)).await?;
        let Event::Session(SessionEvent::ConversationAdded { summary }) = &**event else {
            return Ok(());
        };
        let id = summary.conversation.id;
        let since = match self.removed.remove(&id) {
            Some(rev) => Since::Rev(rev),
            None => Since::Moment(self.since),
        };
        if !since.is_before(&summary.conversation) {
            return Ok(());
        }
        // Before anything that follows, so that it stays in order.
        match Box::pin(missed::since(&self.client, summary, since)).await {
            Ok(Some(missed)) => {
                self.write(&Arc::new(missed), None).await?;
                // Some of it may still be on its way as an event.
                self.client.repeats.expect(id, summary.conversation.last_seq);
                Ok(())
            }
            Err(Error::NotFound) => Ok(()),
            // Left out it would be lost; connected again the client loads it.
            Ok(None) => Err(Broken),
            Err(error) => {
                tracing::warn!(%error, "what was missed cannot be read");
                Err(Broken)
            }
        }
    }

    /// Writes an event to the client: its frame, else what is looked up first.
    async fn write(&mut self, event: &Arc<Event>, frame: Option<&Bytes>) -> Result<(), Broken> {
        let marks_delivered = self.client.mount.contract.marks_delivered();
        let left = self.client.repeats.without(event).map(Arc::new);
        let (event, frame) = match &left {
            Some(left) => (left, None),
            None => (event, frame),
        };
        let written;
        let frame = match frame {
            Some(frame) if !frame::is_unwritten(frame) => frame,
            // Rare, and no part of the room that every socket takes.
            _ => match Box::pin(self.client.mount.codec.look_up_and_encode(event)).await {
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
            if self.client.is_told(&part, event.conversation_id()) {
                self.client.emit_json(part.event, part.json).await?;
                told = true;
            }
        }
        if told && marks_delivered {
            self.delivered.note(event, self.client.user_id());
        }
        Ok(())
    }

    /// Does what an event makes necessary for the connection itself.
    fn follow(&mut self, event: &Event) -> Result<(), Broken> {
        match event {
            // Too much was missed to be told: connected again the client loads everything.
            Event::Session(SessionEvent::Limited { .. } | SessionEvent::Resync { .. }) => {
                return Err(Broken);
            }
            Event::Session(SessionEvent::ConversationRemoved { conversation_id, through_rev }) => {
                self.client.removed_from(*conversation_id);
                if let Some(rev) = through_rev
                    && self.removed.len() < REMOVED
                {
                    self.removed.insert(*conversation_id, *rev);
                }
            }
            _ => {}
        }
        let users = presence::to_be_watched(event, self.client.user_id());
        if !users.is_empty() {
            let client = Arc::clone(&self.client);
            self.asides.push(Box::pin(async move { presence::watch(&client, users).await }));
        }
        Ok(())
    }
}

/// Waits for what is under way, if anything is.
async fn under_way(current: &mut Option<BoxFuture<'static, ()>>) {
    match current {
        Some(current) => current.await,
        None => std::future::pending().await,
    }
}

/// Ends what is under way, then carries out what waits.
async fn carry_out_the_rest(
    client: &Arc<Client>,
    current: Option<BoxFuture<'static, ()>>,
    mut inbox: mpsc::UnboundedReceiver<Received>,
) {
    if let Some(current) = current {
        current.await;
    }
    while let Some(received) = inbox.next().await {
        begin(client, received).await;
    }
}

/// Begins to carry out what was received: it waits no longer.
fn begin(client: &Arc<Client>, received: Received) -> BoxFuture<'static, ()> {
    client.link.taken(received.json.len());
    Box::pin(carry_out(Arc::clone(client), received))
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

/// Says the last word and closes the connection, unless other namespaces are still in use.
async fn finish(client: &Client, end: End) {
    let Client { mount, socket, link, .. } = client;
    match end {
        End::Gone if link.is_in_use() => {}
        End::Closed(CloseReason::Expired) => {
            let data = serde_json::json!({ "message": "the token has expired" });
            let _ = timeout(LAST_WORD, client.emit(Emit::new("error", data))).await;
            send_away(mount, socket, link).await;
        }
        End::Closed(CloseReason::Ended) => send_away(mount, socket, link).await,
        End::Gone | End::Broken | End::Closed(_) => {
            let written = |link: &Link| link.is_flushed() || link.is_closed();
            let _ = timeout(LAST_WORD, link.until(written)).await;
            mount.engine.close(socket, link).await;
        }
    }
}

/// To a client this means: do not connect again by yourself. It closes when it has heard it.
async fn send_away(mount: &Mount, socket: &SocketRef, link: &Link) {
    let _ = socket.clone().disconnect();
    if !link.is_in_use() {
        let _ = timeout(LAST_WORD, link.until(Link::is_closed)).await;
    }
    if !link.is_in_use() {
        mount.engine.close(socket, link).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size<A, B, C, F: Future>(_: impl Fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn the_task_of_a_socket_is_small() {
        // Every socket has one, also while nothing happens: what is rare and big stands in a box.
        println!("the task of a socket: {} bytes", size(run));
        assert!(size(run) <= 1024, "{} bytes", size(run));
    }
}
