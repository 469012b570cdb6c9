//! How what happens comes to a socket: by one of the writers that bring events to many connections without waking the
//! task of each, while everything that was handed over to the protocol has been written; else by the socket's own task.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicBool, Ordering},
};

use bytes::BytesMut;
use parlor_core::{
    CloseReason, Notifier, Outgoing,
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

/// What a socket's task, its notifier and a writer know of it. The notifier is told under locks of the engine, so it must
/// not hold the client itself: its last holder ends the session, which takes the same locks.
#[derive(Debug)]
pub(crate) struct Delivery {
    client: Weak<Client>,
    /// `None` where its own task has to see all events.
    queue: Option<Arc<Queue>>,
    called: Notify,
    is_queued: AtomicBool,
    /// The task has told all there was, and writers may tell what comes.
    is_left: AtomicBool,
    /// Something was handed over to the protocol: all that the protocol had to say first went before it.
    has_begun: AtomicBool,
}

impl Delivery {
    pub(crate) fn new(client: Weak<Client>, queue: Option<Arc<Queue>>) -> Arc<Self> {
        Arc::new(Self {
            client,
            queue,
            called: Notify::new(),
            is_queued: AtomicBool::new(false),
            is_left: AtomicBool::new(false),
            has_begun: AtomicBool::new(false),
        })
    }

    /// Something is handed over to the protocol.
    pub(crate) fn begin(&self) {
        self.has_begun.store(true, Ordering::Release);
    }

    /// Waits until the task is wanted: something waits that it has to tell, or the socket is to be closed. Cancel safe.
    pub(crate) async fn called(&self) {
        self.called.notified().await;
    }

    /// The task tells what comes, or nothing is told any more.
    pub(crate) fn keep_from_writers(&self) {
        self.is_left.store(false, Ordering::Release);
    }
}

impl Client {
    /// From here on the socket is told what happens.
    pub(crate) fn listen(&self) {
        let notifier = DeliveryNotifier(Arc::clone(&self.delivery));
        let _ = self.events.set(self.session.events(Box::new(notifier)));
        // What came before that saw nobody to be called.
        self.delivery.call();
    }

    /// Takes what waits, for the task, which holds the turn. It is called again when there is more.
    pub(crate) fn take(
        &self,
        into: &mut Vec<Arc<Outgoing>>,
        max_bytes: usize,
    ) -> Result<(), CloseReason> {
        let Some(events) = self.events.get() else { return Ok(()) };
        if events.take(into, max_bytes)? && events.has_waiting() {
            self.delivery.call();
        }
        Ok(())
    }

    /// Whether an event is for this very socket.
    pub(crate) fn is_told(&self, part: &Part<'_>, conversation: Option<ConversationId>) -> bool {
        if let Some((user, online)) = part.presence {
            return self.online.lock().is_news(user, online);
        }
        if part.sender_key.is_some_and(|key| self.sent(key)) {
            return false;
        }
        let me = || self.user_id().as_str();
        if let Some((sender, only_them)) = part.sender
            && (sender == me()) != only_them
        {
            return false;
        }
        if part.only.as_ref().is_some_and(|only| !only.contains(&me())) {
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

    /// The task has told all there was. What comes is for writers, if they can write at all: not while the session polls or
    /// is about to change to a WebSocket.
    pub(crate) fn leave_to_writers(&self) {
        let can_be_written = self.delivery.queue.is_some()
            && self.delivery.has_begun.load(Ordering::Acquire)
            && self.link.line.is_open()
            && self.socket.transport_type() == TransportType::Websocket;
        self.delivery.is_left.store(can_be_written, Ordering::Release);
    }

    /// Writes what waits. `None` where something is left to the socket's own task, else whether more waits.
    fn write_now(&self, Workspace { events: taken, bytes }: &mut Workspace) -> Option<bool> {
        if !self.delivery.is_left.load(Ordering::Acquire) {
            return None;
        }
        let events = self.events.get()?;
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
        if self.repeats.without(event).is_some() {
            // The one message that it says.
            return;
        }
        for part in frame::parts(frame) {
            if self.is_told(&part, event.conversation_id()) {
                bytes.extend_from_slice(part.packet);
            }
        }
    }
}

impl Writable for Delivery {
    fn write(&self, workspace: &mut Workspace) -> bool {
        let Some(client) = self.client.upgrade() else { return false };
        client.write_now(workspace).unwrap_or_else(|| {
            self.keep_from_writers();
            self.call();
            false
        })
    }

    fn call(&self) {
        self.called.notify_one();
    }

    fn is_queued(&self) -> &AtomicBool {
        &self.is_queued
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
struct DeliveryNotifier(Arc<Delivery>);

impl Notifier for DeliveryNotifier {
    fn notify(&self) {
        let Self(delivery) = self;
        match &delivery.queue {
            Some(queue) if delivery.is_left.load(Ordering::Acquire) => queue.push(delivery.clone()),
            _ => delivery.call(),
        }
    }
}
