//! Who is typing. Never stored: a start goes out at most once in a while, a stop always, and the server
//! sends the stop for whoever forgets it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use crate::engine::node::{Life, Node};
use crate::{
    event::Ephemeral,
    model::{ConversationId, SessionId, UserId},
};

/// Entries at most; who types beyond is not shown. They live for seconds.
const ENTRIES: usize = 100_000;
/// How often forgotten stops are looked for, while anybody types.
const TICK: Duration = Duration::from_millis(500);

#[derive(Debug)]
struct Entry {
    session: Option<SessionId>,
    told: Instant,
    until: Instant,
    /// Whether a start was told and no stop since. An entry outlives its stop until the next start may
    /// be told: whoever stops and starts in turn is held to the same pace.
    shown: bool,
}

impl Entry {
    /// Ends what is shown; says whether anything was.
    fn hide(&mut self) -> bool {
        std::mem::take(&mut self.shown)
    }
}

/// Who is typing where.
#[derive(Debug, Default)]
pub(in crate::engine) struct TypingBoard {
    entries: Mutex<HashMap<(ConversationId, UserId), Entry>>,
    wake: Notify,
}

impl TypingBoard {
    /// Somebody types; says whether that is to be told.
    pub(in crate::engine) fn start(
        &self,
        node: &Node,
        id: ConversationId,
        user: &UserId,
        session: Option<SessionId>,
    ) -> bool {
        let now = Instant::now();
        let until = now + node.config.typing_timeout;
        let mut entries = self.entries.lock();
        if let Some(entry) = entries.get_mut(&(id, user.clone())) {
            entry.until = until;
            entry.session = session;
            if now.duration_since(entry.told) < node.config.typing_interval {
                return false;
            }
            entry.told = now;
            entry.shown = true;
            return true;
        }
        if entries.len() >= ENTRIES {
            return false;
        }
        entries.insert((id, user.clone()), Entry { session, told: now, until, shown: true });
        drop(entries);
        self.wake.notify_one();
        true
    }

    /// Somebody stopped; says whether they had been shown as typing.
    pub(in crate::engine) fn stop(&self, id: ConversationId, user: &UserId) -> bool {
        self.entries.lock().get_mut(&(id, user.clone())).is_some_and(Entry::hide)
    }

    /// Somebody sent what they typed, or was removed; says whether they had been shown as typing. Sends
    /// have a quota of their own, so the next start may be told at once.
    pub(in crate::engine) fn end(&self, id: ConversationId, user: &UserId) -> bool {
        let mut entries = self.entries.lock();
        // Most sends come from who was not shown as typing: do not build a key for nothing.
        !entries.is_empty() && entries.remove(&(id, user.clone())).is_some_and(|entry| entry.shown)
    }

    /// The conversations in which a connection that is gone was typing.
    pub(in crate::engine) fn gone(&self, session: SessionId) -> Vec<(ConversationId, UserId)> {
        self.hide_where(|entry| entry.session == Some(session))
    }

    /// Those who forgot to stop. Entries that hold back no start any more are forgotten.
    fn expire(&self, now: Instant, interval: Duration) -> Vec<(ConversationId, UserId)> {
        let keys = self.hide_where(|entry| entry.until <= now);
        let mut entries = self.entries.lock();
        entries.retain(|_, entry| entry.shown || now.duration_since(entry.told) < interval);
        keys
    }

    fn hide_where(&self, done: impl Fn(&Entry) -> bool) -> Vec<(ConversationId, UserId)> {
        self.entries
            .lock()
            .iter_mut()
            .filter(|(_, entry)| done(entry))
            .filter_map(|(key, entry)| entry.hide().then(|| key.clone()))
            .collect()
    }
}

/// Tells members that somebody types or stopped.
pub(in crate::engine) fn tell(node: &Node, id: ConversationId, user: &UserId, on: bool) {
    let event = Ephemeral::Typing { conversation_id: id, user_id: user.clone(), on };
    crate::engine::fanout::aside(node, id, crate::engine::fanout::from_user(event, user));
}

/// Starts the task that sends forgotten stops. It ends with the engine.
pub(in crate::engine) fn run(node: &Arc<Node>, life: &Life) {
    tokio::spawn(serve(Arc::clone(node), life.clone()));
}

async fn serve(node: Arc<Node>, mut life: Life) {
    loop {
        let idle = node.typing.entries.lock().is_empty();
        tokio::select! {
            () = node.typing.wake.notified(), if idle => {}
            () = tokio::time::sleep(TICK), if !idle => {}
            () = life.ended() => return,
        }
        let now = Instant::now();
        for (id, user) in node.typing.expire(now, node.config.typing_interval) {
            tell(&node, id, &user, false);
        }
    }
}
