//! How what happens comes to a socket: by one of the writers that bring events to many connections without waking the
//! task of each, while everything that was handed over to the protocol has been written; else by the socket's own task.

use std::sync::{
    Arc, OnceLock, Weak,
    atomic::{AtomicBool, Ordering},
};

use bytes::BytesMut;
use parlor_core::{
    CloseReason, Events, Notifier, Outgoing,
    event::Event,
    model::ConversationId,
    transport::{Queue, Workspace, Writable},
};
use socketioxide::TransportType;
use tokio::sync::Notify;

use crate::{
    client::Client,
    emit::Room,
    frame::{self, Part},
    line::FreeLine,
    told::newcomers,
};

/// Bytes of events that a writer takes from the session at once.
const WINDOW: usize = 16 * 1024;

/// What a socket's task, its notifier and a writer know of it.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// `None` where its own task has to see all events.
    queue: Option<Arc<Queue>>,
    events: OnceLock<Events>,
    called: Notify,
    is_queued: AtomicBool,
    /// Something was handed over to the protocol: all that the protocol had to say first went before it.
    has_begun: AtomicBool,
}

impl Delivery {
    pub(crate) fn new(queue: Option<Arc<Queue>>) -> Self {
        Self {
            queue,
            events: OnceLock::new(),
            called: Notify::new(),
            is_queued: AtomicBool::new(false),
            has_begun: AtomicBool::new(false),
        }
    }

    /// Something is handed over to the protocol.
    pub(crate) fn begin(&self) {
        self.has_begun.store(true, Ordering::Release);
    }

    /// Waits until the task is wanted: something waits that it has to tell, or the socket is to be closed. Cancel safe.
    pub(crate) async fn called(&self) {
        self.called.notified().await;
    }

    /// Takes what waits, for whoever holds the turn. The task is called again when there is more.
    pub(crate) fn take(
        &self,
        into: &mut Vec<Outgoing>,
        max_bytes: usize,
    ) -> Result<(), CloseReason> {
        let Some(events) = self.events.get() else { return Ok(()) };
        if events.take(into, max_bytes)? && events.has_waiting() {
            self.called.notify_one();
        }
        Ok(())
    }
}

impl Client {
    /// From here on the socket is told what happens.
    pub(crate) fn listen(self: &Arc<Self>) {
        let notifier = ClientNotifier(Arc::downgrade(self));
        let _ = self.delivery.events.set(self.session.events(Box::new(notifier)));
        // What came before that saw nobody to be called.
        self.call();
    }

    /// Whether an event is for this very socket.
    pub(crate) fn is_told(&self, part: &Part<'_>, conversation: Option<ConversationId>) -> bool {
        if let Some((user, online)) = part.presence {
            return self.online.lock().is_news(user, online);
        }
        if part.sender_key.is_some_and(|key| self.sent(key)) {
            return false;
        }
        let me = self.user_id().as_str();
        if let Some((sender, only_them)) = part.sender
            && (sender == me) != only_them
        {
            return false;
        }
        if part.only.as_ref().is_some_and(|only| !only.contains(&me)) {
            return false;
        }
        let joined = || conversation.is_some_and(|id| self.has_joined(id));
        match part.room {
            Room::Any => true,
            Room::Joined => joined(),
            Room::NotJoined => !joined(),
            Room::NotLeft => !conversation.is_some_and(|id| self.has_left(id)),
        }
    }

    /// Whether a writer may find the line free.
    fn is_quiet(&self) -> bool {
        self.delivery.has_begun.load(Ordering::Acquire)
            && self.link.line.is_open()
            && self.link.is_flushed()
            && self.socket.connected()
            && self.socket.transport_type() == TransportType::Websocket
    }

    /// Writes what waits. `None` where something is left to the socket's own task, else whether more waits.
    fn write_now(&self, Workspace { events: taken, bytes }: &mut Workspace) -> Option<bool> {
        if !self.is_quiet() {
            return None;
        }
        let events = self.delivery.events.get()?;
        let mut waiting = self.turn.try_lock().ok()?;
        if !waiting.is_empty() {
            return None;
        }
        if !events.take(taken, WINDOW).ok()? {
            return Some(false);
        }
        // Looked for only now: what was handed over before these events came goes before them.
        let Some(line) = FreeLine::of(&self.link) else {
            *waiting = std::mem::take(taken);
            return None;
        };
        let plain = taken.iter().position(|it| !is_plain(it)).unwrap_or(taken.len());
        for outgoing in taken.drain(..plain) {
            self.append(bytes, &outgoing);
        }
        line.write(bytes);
        if !taken.is_empty() {
            *waiting = std::mem::take(taken);
            return None;
        }
        drop(waiting);
        Some(events.has_waiting())
    }

    fn append(&self, bytes: &mut BytesMut, Outgoing { event, frame, .. }: &Outgoing) {
        for part in frame::parts(frame) {
            if self.is_told(&part, event.conversation_id()) {
                bytes.extend_from_slice(part.packet);
            }
        }
    }
}

impl Writable for Client {
    fn write(&self, workspace: &mut Workspace) -> bool {
        self.write_now(workspace).unwrap_or_else(|| {
            self.call();
            false
        })
    }

    fn call(&self) {
        self.delivery.called.notify_one();
    }

    fn is_queued(&self) -> &AtomicBool {
        &self.delivery.is_queued
    }
}

/// Whether an event only has to be written: nothing is to be looked up, and nothing else follows from it.
fn is_plain(Outgoing { event, frame, .. }: &Outgoing) -> bool {
    !frame::is_unwritten(frame)
        && !matches!(**event, Event::Session(_))
        && newcomers(event).is_none()
}

/// What is told when events come.
#[derive(Debug)]
struct ClientNotifier(Weak<Client>);

impl Notifier for ClientNotifier {
    fn notify(&self) {
        let Some(client) = self.0.upgrade() else { return };
        match &client.delivery.queue {
            Some(queue) if client.is_quiet() => queue.push(client.clone()),
            _ => client.call(),
        }
    }
}
