//! What waits for one connection: bounded in count and bytes, and with all others by the node's budget.
//!
//! Three phases. *Dormant*: the device has not asked for events yet, nothing is kept. *Holding*: it is
//! catching up, live events wait aside. *Live*: events go out. A durable event that does not fit closes the
//! connection; ephemeral ones replace their older selves or are dropped.

#[cfg(test)]
mod tests;

use std::{
    collections::{HashSet, VecDeque},
    fmt::Debug,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::engine::{
    budget::{Bounds, Budget},
    codec::Outgoing,
};
use crate::{
    event::{Ephemeral, Event},
    model::ConversationId,
};

/// Why a connection is refused or closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// It did not read fast enough: connect again and resume.
    Slow,
    /// The identity ended: get a new one.
    Expired,
    /// The server restarts: connect again, resume.
    Restart,
    /// The host or its policy ended it: stay away.
    Ended,
    /// The user has too many connections, or the node has.
    TooManyConnections,
    /// The user connects too often.
    RateLimited,
    /// A backend is down: connect again.
    Unavailable,
}

/// What a held-back connection missed because too much waited.
#[derive(Debug, Default)]
struct Held {
    items: VecDeque<Arc<Outgoing>>,
    bytes: usize,
    /// Conversations of which events did not fit: read again from the store.
    missed: HashSet<ConversationId>,
    /// Conversations that the user was removed from meanwhile, with the rev.
    removed: Vec<(ConversationId, u64)>,
}

#[derive(Debug)]
enum Phase {
    Dormant,
    Holding(Box<Held>),
    Live,
}

#[derive(Debug)]
struct Queue {
    phase: Phase,
    items: VecDeque<Arc<Outgoing>>,
    bytes: usize,
    closed: Option<CloseReason>,
    /// A replay waits for room.
    awaited: bool,
}

/// Is told that events wait, or that the connection is to be closed.
///
/// What it looks at to decide whom to wake must be read and written with [`Ordering::SeqCst`], as
/// [`has_waiting`](crate::Events::has_waiting) is: then who goes to sleep and looks once more misses nothing.
pub trait Notifier: Debug + Send + Sync + 'static {
    /// Something waits that did not before. Called by whoever delivers: it must not wait, and take nothing itself.
    fn notify(&self);
}

/// What waits for one connection.
#[derive(Debug)]
pub(in crate::engine) struct Outbox {
    queue: Mutex<Queue>,
    /// Whether events wait, or the reason to close. Changes under the lock of the queue.
    has_news: AtomicBool,
    filled: Notify,
    /// Told instead of `filled`.
    notifier: OnceLock<Box<dyn Notifier>>,
    emptied: Notify,
    bounds: Bounds,
    budget: Arc<Budget>,
}

/// What an event weighs: its frame, or a rough size for connections without a codec.
fn weight(item: &Outgoing) -> usize {
    item.frame.len().max(64)
}

impl Outbox {
    pub(in crate::engine) fn new(bounds: Bounds, budget: Arc<Budget>) -> Self {
        let queue = Queue {
            phase: Phase::Dormant,
            items: VecDeque::new(),
            bytes: 0,
            closed: None,
            awaited: false,
        };
        Self {
            queue: Mutex::new(queue),
            has_news: AtomicBool::new(false),
            filled: Notify::new(),
            notifier: OnceLock::new(),
            emptied: Notify::new(),
            bounds,
            budget,
        }
    }

    /// From here on the notifier is told instead of waking [`Outbox::next`]. The first one stays.
    pub(in crate::engine) fn set_notifier(&self, notifier: Box<dyn Notifier>) {
        if self.notifier.set(notifier).is_ok() && self.has_news() {
            self.wake();
        }
    }

    /// Whether events wait, or the reason to close.
    pub(in crate::engine) fn has_news(&self) -> bool {
        // In one order with what a notifier looks at: see `Notifier`.
        self.has_news.load(Ordering::SeqCst)
    }

    fn wake(&self) {
        match self.notifier.get() {
            Some(notifier) => notifier.notify(),
            None => self.filled.notify_one(),
        }
    }

    /// Offers a live event. Never waits.
    pub(in crate::engine) fn offer(&self, item: Arc<Outgoing>) {
        let mut queue = self.queue.lock();
        if queue.closed.is_some() {
            return;
        }
        match &mut queue.phase {
            Phase::Dormant => return,
            Phase::Holding(held) => {
                held.hold(item, self.bounds, &self.budget);
                return;
            }
            Phase::Live => {}
        }
        if item.event.is_ephemeral() {
            self.offer_ephemeral(&mut queue, item);
        } else if !self.push(&mut queue, item) {
            metrics::counter!("parlor_slow_connections_total").increment(1);
            self.close_locked(&mut queue, CloseReason::Slow);
        }
        drop(queue);
        self.wake();
    }

    fn offer_ephemeral(&self, queue: &mut Queue, item: Arc<Outgoing>) {
        if let Some(key) = CoalesceKey::of(&item.event)
            && let Some(older) =
                queue.items.iter_mut().find(|older| CoalesceKey::of(&older.event) == Some(key))
        {
            // A newer word on the same thing: of about the same size, so the books are kept simply.
            let (old, new) = (weight(older), weight(&item));
            let bytes = queue.bytes + new - old;
            if self.budget.change(queue.bytes, bytes) {
                *older = item;
                queue.bytes = bytes;
            }
            return;
        }
        // Ephemeral events may fill half of the queue, so that they never crowd out what must arrive.
        let has_room =
            queue.items.len() < self.bounds.events / 2 && queue.bytes < self.bounds.bytes / 2;
        if !has_room || !self.push(queue, item) {
            metrics::counter!("parlor_ephemeral_dropped_total").increment(1);
        }
    }

    fn push(&self, queue: &mut Queue, item: Arc<Outgoing>) -> bool {
        let bytes = weight(&item);
        if queue.items.len() >= self.bounds.events
            || queue.bytes + bytes > self.bounds.bytes
            || !self.budget.change(queue.bytes, queue.bytes + bytes)
        {
            return false;
        }
        self.put(queue, item, bytes);
        true
    }

    fn put(&self, queue: &mut Queue, item: Arc<Outgoing>, bytes: usize) {
        queue.bytes += bytes;
        if queue.items.is_empty() {
            self.has_news.store(true, Ordering::SeqCst);
        }
        queue.items.push_back(item);
    }

    /// Puts an event of a replay into the queue, waiting for room; `false` once the connection is closed.
    ///
    /// Leaves half of the queue free, so that live events find room when the replay ends. A page
    /// that is larger than that waits for an empty queue.
    pub(in crate::engine) async fn replay(&self, item: Arc<Outgoing>) -> bool {
        let bytes = weight(&item);
        loop {
            let emptied = self.emptied.notified();
            {
                let mut queue = self.queue.lock();
                if queue.closed.is_some() {
                    return false;
                }
                let has_room = queue.items.is_empty()
                    || (queue.items.len() < self.bounds.events / 2
                        && queue.bytes + bytes <= self.bounds.bytes / 2);
                if has_room && self.budget.change(queue.bytes, queue.bytes + bytes) {
                    self.put(&mut queue, item, bytes);
                    drop(queue);
                    self.wake();
                    return true;
                }
                queue.awaited = true;
            }
            // The node's budget may be freed by others: look again after a while.
            let _ = tokio::time::timeout(std::time::Duration::from_millis(100), emptied).await;
        }
    }

    /// Begins to catch up: from here on live events wait aside.
    pub(in crate::engine) fn hold(&self) {
        let mut queue = self.queue.lock();
        if !matches!(queue.phase, Phase::Holding(_)) {
            queue.phase = Phase::Holding(Box::default());
        }
    }

    /// Remembers that the user was removed while catching up.
    pub(in crate::engine) fn note_removed(&self, conversation: ConversationId, rev: u64) {
        if let Phase::Holding(held) = &mut self.queue.lock().phase {
            held.removed.push((conversation, rev));
        }
    }

    /// Whether the user was removed at or after `rev` while catching up.
    pub(in crate::engine) fn was_removed(&self, conversation: ConversationId, rev: u64) -> bool {
        match &self.queue.lock().phase {
            Phase::Holding(held) => {
                held.removed.iter().any(|(id, at)| *id == conversation && *at >= rev)
            }
            _ => false,
        }
    }

    /// Takes the next event that waited aside, while still holding.
    pub(in crate::engine) fn next_held(&self) -> Option<Arc<Outgoing>> {
        let mut queue = self.queue.lock();
        let Phase::Holding(held) = &mut queue.phase else { return None };
        let item = held.items.pop_front()?;
        held.bytes -= weight(&item);
        self.budget.give_back(weight(&item));
        Some(item)
    }

    /// Takes the conversations of which events did not fit aside: to be read again.
    pub(in crate::engine) fn take_missed(&self) -> HashSet<ConversationId> {
        match &mut self.queue.lock().phase {
            Phase::Holding(held) => std::mem::take(&mut held.missed),
            _ => HashSet::new(),
        }
    }

    /// Goes live if nothing waits aside; `false` when something came in meanwhile.
    pub(in crate::engine) fn go_live(&self) -> bool {
        let mut queue = self.queue.lock();
        match &queue.phase {
            Phase::Holding(held) if !held.items.is_empty() || !held.missed.is_empty() => false,
            _ => {
                queue.phase = Phase::Live;
                true
            }
        }
    }

    /// Whether events go out as they come.
    pub(in crate::engine) fn is_live(&self) -> bool {
        matches!(self.queue.lock().phase, Phase::Live)
    }

    /// Whether nothing more is taken.
    pub(in crate::engine) fn is_closed(&self) -> bool {
        self.queue.lock().closed.is_some()
    }

    /// Closes the connection. What waits is still sent, unless it is closed for slowness.
    pub(in crate::engine) fn close(&self, reason: CloseReason) {
        let mut queue = self.queue.lock();
        self.close_locked(&mut queue, reason);
        drop(queue);
        self.wake();
        self.emptied.notify_waiters();
    }

    fn close_locked(&self, queue: &mut Queue, reason: CloseReason) {
        if queue.closed.is_none() {
            queue.closed = Some(reason);
            self.has_news.store(true, Ordering::SeqCst);
        }
        self.budget.give_back(queue.phase.held_bytes());
        queue.phase = Phase::Dormant;
        if reason == CloseReason::Slow {
            self.budget.change(queue.bytes, 0);
            queue.bytes = 0;
            queue.items = VecDeque::new();
        }
    }

    /// Says goodbye and closes: one last event, past the bounds.
    pub(in crate::engine) fn close_with(&self, last: Arc<Outgoing>, reason: CloseReason) {
        {
            let mut queue = self.queue.lock();
            let bytes = weight(&last);
            if queue.closed.is_none() && self.budget.change(queue.bytes, queue.bytes + bytes) {
                self.put(&mut queue, last, bytes);
            }
        }
        self.close(reason);
    }

    /// Waits for events and takes at most `max_bytes` of them, at least one. Cancel safe.
    pub(in crate::engine) async fn next(
        &self,
        into: &mut Vec<Arc<Outgoing>>,
        max_bytes: usize,
    ) -> Result<(), CloseReason> {
        loop {
            if self.take(into, max_bytes)? {
                return Ok(());
            }
            self.filled.notified().await;
        }
    }

    /// Takes what waits, at most `max_bytes` of it; `false` when there is nothing.
    pub(in crate::engine) fn take(
        &self,
        into: &mut Vec<Arc<Outgoing>>,
        max_bytes: usize,
    ) -> Result<bool, CloseReason> {
        let mut queue = self.queue.lock();
        let mut taken = 0;
        while taken < max_bytes
            && let Some(item) = queue.items.pop_front()
        {
            taken += weight(&item);
            into.push(item);
        }
        if taken == 0 {
            return match queue.closed {
                Some(reason) => Err(reason),
                None => Ok(false),
            };
        }
        let left = queue.bytes - taken;
        self.budget.change(queue.bytes, left);
        queue.bytes = left;
        if queue.items.is_empty() && queue.closed.is_none() {
            self.has_news.store(false, Ordering::SeqCst);
        }
        if queue.items.is_empty() && queue.items.capacity() > 32 {
            // A burst must not be remembered in memory by every idle connection.
            queue.items = VecDeque::new();
        }
        let awaited = std::mem::take(&mut queue.awaited);
        drop(queue);
        if awaited {
            self.emptied.notify_waiters();
        }
        Ok(true)
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        let queue = self.queue.get_mut();
        self.budget.change(queue.bytes, 0);
        self.budget.give_back(queue.phase.held_bytes());
    }
}

impl Phase {
    fn held_bytes(&self) -> usize {
        match self {
            Self::Holding(held) => held.bytes,
            _ => 0,
        }
    }
}

impl Held {
    fn hold(&mut self, item: Arc<Outgoing>, bounds: Bounds, budget: &Budget) {
        let Some(conversation) = item.event.conversation_id() else { return };
        if item.event.is_ephemeral() {
            // Whoever is catching up sees the next one.
            return;
        }
        if self.missed.contains(&conversation) {
            return;
        }
        let bytes = weight(&item);
        let has_room =
            self.items.len() < bounds.events / 2 && self.bytes + bytes <= bounds.bytes / 2;
        if has_room && budget.take(bytes) {
            self.bytes += bytes;
            self.items.push_back(item);
        } else {
            self.items.retain(|held| held.event.conversation_id() != Some(conversation));
            let left = self.items.iter().map(|item| weight(item)).sum();
            budget.give_back(std::mem::replace(&mut self.bytes, left) - left);
            self.missed.insert(conversation);
        }
    }
}

/// Ephemeral events with equal keys say the same thing; the newer one counts.
#[derive(PartialEq, Eq, Clone, Copy)]
enum CoalesceKey<'a> {
    Typing(ConversationId, &'a str),
    Receipt(ConversationId, &'a str),
}

impl<'a> CoalesceKey<'a> {
    fn of(event: &'a Event) -> Option<Self> {
        match event {
            Event::Ephemeral(Ephemeral::Typing { conversation_id, user_id, .. }) => {
                Some(Self::Typing(*conversation_id, user_id.as_str()))
            }
            Event::Ephemeral(Ephemeral::Receipt { conversation_id, user_id, .. }) => {
                Some(Self::Receipt(*conversation_id, user_id.as_str()))
            }
            _ => None,
        }
    }
}
