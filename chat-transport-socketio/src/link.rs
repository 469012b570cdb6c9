//! One Socket.IO connection as the HTTP side and the sockets on it see it together: what waits in either
//! direction, and whether it is closed.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use futures::task::AtomicWaker;
use parking_lot::Mutex;
use parlor_core::transport::Place;
use tokio::sync::Notify;

use crate::line::Line;

/// While so many events wait to be carried out, nothing more is read.
const WAITING_EVENTS: usize = 64;
/// The same in bytes.
const WAITING_BYTES: usize = 256 * 1024;
/// Events that may wait, in all. Reading stops long before, and what was read by then brings no more than a
/// few hundred.
const INBOX: usize = 512;
/// So many bytes are handed over to be written at once.
const BACKLOG_BYTES: usize = 64 * 1024;
/// The same in packets. As many again may be handed over while these are being written.
const BACKLOG_PACKETS: usize = 64;
/// Packets that may wait to be written: twice the backlog, and what the protocol adds.
pub(crate) const BUFFER: usize = 3 * BACKLOG_PACKETS;

/// One connection, over WebSocket or polling.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) address: Option<IpAddr>,
    /// Where the WebSocket writes.
    pub(crate) line: Line,
    /// Until a namespace is connected.
    place: Mutex<Option<Place>>,
    /// Connected namespaces.
    namespaces: AtomicUsize,
    waiting_events: AtomicUsize,
    waiting_bytes: AtomicUsize,
    /// Somebody waits until more may be read.
    paused: AtomicBool,
    backlog: Mutex<Backlog>,
    closed: AtomicBool,
    /// Of the task that reads the WebSocket.
    reader: AtomicWaker,
    /// Something changed that somebody may wait for.
    changed: Notify,
}

/// Events and acknowledgements that were handed over to be written, and are not written yet.
#[derive(Debug, Default)]
struct Backlog {
    packets: usize,
    /// Handed over since all had been written.
    bytes: usize,
}

/// A connected namespace of a connection, as long as it lives.
pub(crate) struct Namespace(Arc<Link>);

impl Drop for Namespace {
    fn drop(&mut self) {
        self.0.namespaces.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Link {
    pub(crate) fn new(address: Option<IpAddr>, place: Option<Place>) -> Self {
        Self {
            address,
            line: Line::default(),
            place: Mutex::new(place),
            namespaces: AtomicUsize::new(0),
            waiting_events: AtomicUsize::new(0),
            waiting_bytes: AtomicUsize::new(0),
            paused: AtomicBool::new(false),
            backlog: Mutex::default(),
            closed: AtomicBool::new(false),
            reader: AtomicWaker::new(),
            changed: Notify::new(),
        }
    }

    /// A namespace is connected: it is known who is at the other end.
    pub(crate) fn enter_namespace(self: &Arc<Self>) -> Namespace {
        self.namespaces.fetch_add(1, Ordering::Relaxed);
        self.place.lock().take();
        Namespace(Arc::clone(self))
    }

    /// Whether a namespace is connected.
    pub(crate) fn is_in_use(&self) -> bool {
        self.namespaces.load(Ordering::Relaxed) > 0
    }

    /// An event came in. Says whether it may wait with those that do.
    pub(crate) fn came(&self, bytes: usize) -> bool {
        self.waiting_bytes.fetch_add(bytes, Ordering::SeqCst);
        self.waiting_events.fetch_add(1, Ordering::SeqCst) < INBOX
    }

    /// An event that came in is being carried out.
    pub(crate) fn taken(&self, bytes: usize) {
        self.waiting_events.fetch_sub(1, Ordering::SeqCst);
        self.waiting_bytes.fetch_sub(bytes, Ordering::SeqCst);
        if !self.is_full() && self.paused.swap(false, Ordering::SeqCst) {
            self.beat();
            self.reader.wake();
        }
    }

    /// Whether more may be read. Whoever hears no is woken when it may.
    pub(crate) fn takes_more(&self) -> bool {
        if !self.is_full() {
            return true;
        }
        self.paused.store(true, Ordering::SeqCst);
        // What was taken just before that saw nobody wait.
        !self.is_full()
    }

    fn is_full(&self) -> bool {
        self.waiting_events.load(Ordering::SeqCst) >= WAITING_EVENTS
            || self.waiting_bytes.load(Ordering::SeqCst) >= WAITING_BYTES
    }

    /// An event or an acknowledgement is handed over to be written.
    pub(crate) fn handed_over(&self, bytes: usize) {
        let mut backlog = self.backlog.lock();
        backlog.packets += 1;
        backlog.bytes += bytes;
    }

    /// So many of them were written, or not taken after all.
    pub(crate) fn written(&self, packets: usize) {
        {
            let mut backlog = self.backlog.lock();
            backlog.packets = backlog.packets.saturating_sub(packets);
            if backlog.packets == 0 {
                backlog.bytes = 0;
            }
        }
        self.beat();
    }

    /// Whether more may be handed over.
    pub(crate) fn has_room(&self) -> bool {
        let backlog = self.backlog.lock();
        backlog.bytes < BACKLOG_BYTES && backlog.packets < BACKLOG_PACKETS
    }

    /// Whether nothing waits to be written.
    pub(crate) fn is_flushed(&self) -> bool {
        self.backlog.lock().packets == 0
    }

    /// Ends the connection: a WebSocket as if its client had gone.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.reader.wake();
        self.beat();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Has the task that reads look again.
    pub(crate) fn wake_reader(&self) {
        self.reader.wake();
    }

    pub(crate) fn register_reader(&self, waker: &std::task::Waker) {
        self.reader.register(waker);
    }

    /// Waits until `holds` does, looking again whenever something changed.
    pub(crate) async fn until(&self, holds: impl Fn(&Self) -> bool) {
        loop {
            // Made before the look, so it hears of what changes after that.
            let changed = self.changed.notified();
            if holds(self) {
                return;
            }
            changed.await;
        }
    }

    fn beat(&self) {
        self.changed.notify_waiters();
    }
}

/// Connections by their Engine.IO session, for the requests of polling clients.
#[derive(Debug, Default)]
pub(crate) struct Links(Mutex<HashMap<String, Weak<Link>>>);

impl Links {
    pub(crate) fn insert(&self, sid: String, link: &Arc<Link>) {
        let mut links = self.0.lock();
        if links.len() == links.capacity() {
            // Before it grows, so the cost is shared by all insertions.
            links.retain(|_, link| link.strong_count() > 0);
        }
        links.insert(sid, Arc::downgrade(link));
    }

    pub(crate) fn get(&self, sid: &str) -> Option<Arc<Link>> {
        self.0.lock().get(sid)?.upgrade()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn reading_pauses_while_much_waits_and_goes_on() {
        let link = Link::new(None, None);
        for _ in 0..WAITING_EVENTS {
            assert!(link.takes_more());
            assert!(link.came(1));
        }
        assert!(!link.takes_more());
        let waiting = link.until(Link::takes_more);
        tokio::join!(waiting, async { link.taken(1) });
        assert!(link.came(WAITING_BYTES));
        assert!(!link.takes_more());
        for _ in WAITING_EVENTS..INBOX {
            assert!(link.came(1));
        }
        assert!(!link.came(1), "more than that ends the connection");
    }

    #[tokio::test]
    async fn writing_waits_for_what_is_under_way() {
        let link = Link::new(None, None);
        link.handed_over(BACKLOG_BYTES - 1);
        assert!(link.has_room() && !link.is_flushed());
        link.handed_over(1);
        assert!(!link.has_room());
        link.written(1);
        assert!(!link.has_room() && !link.is_flushed(), "the other one waits still");
        link.written(1);
        for _ in 0..BACKLOG_PACKETS {
            assert!(link.has_room());
            link.handed_over(1);
        }
        assert!(!link.has_room());
        tokio::join!(link.until(Link::has_room), async { link.written(1) });
        assert!(!link.is_flushed());
        link.written(BACKLOG_PACKETS - 1);
        assert!(link.is_flushed());
        tokio::join!(link.until(Link::is_closed), async { link.close() });
    }

    #[test]
    fn links_are_found_as_long_as_they_live() {
        let links = Links::default();
        let kept = Arc::new(Link::new(None, None));
        links.insert("kept".into(), &kept);
        for at in 0..1000 {
            links.insert(format!("{at}"), &Arc::new(Link::new(None, None)));
        }
        assert!(links.get("kept").is_some());
        assert!(links.get("7").is_none());
        assert!(links.0.lock().len() < 200);
    }
}
