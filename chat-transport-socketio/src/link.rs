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
use tokio::sync::watch;

/// While so many events wait to be carried out, nothing more is read.
const WAITING_EVENTS: usize = 64;
/// The same in bytes.
const WAITING_BYTES: usize = 256 * 1024;
/// While so many bytes wait to be written, no more events are taken from the session.
const BACKLOG: usize = 64 * 1024;

/// One connection, over WebSocket or polling.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) address: Option<IpAddr>,
    /// Until a namespace is connected.
    place: Mutex<Option<Place>>,
    waiting_events: AtomicUsize,
    waiting_bytes: AtomicUsize,
    /// Bytes handed over since everything had been written.
    backlog: AtomicUsize,
    closed: AtomicBool,
    /// Of the task that reads the WebSocket.
    reader: AtomicWaker,
    /// Counts changes that somebody may wait for.
    pulse: watch::Sender<u64>,
}

impl Link {
    pub(crate) fn new(address: Option<IpAddr>, place: Option<Place>) -> Self {
        Self {
            address,
            place: Mutex::new(place),
            waiting_events: AtomicUsize::new(0),
            waiting_bytes: AtomicUsize::new(0),
            backlog: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            reader: AtomicWaker::new(),
            pulse: watch::Sender::new(0),
        }
    }

    /// It is known who is at the other end.
    pub(crate) fn is_known(&self) {
        self.place.lock().take();
    }

    /// An event came in.
    pub(crate) fn came(&self, bytes: usize) {
        self.waiting_events.fetch_add(1, Ordering::Relaxed);
        self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// An event that came in is being carried out.
    pub(crate) fn taken(&self, bytes: usize) {
        let had_room = self.takes_more();
        self.waiting_events.fetch_sub(1, Ordering::Relaxed);
        self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
        if !had_room && self.takes_more() {
            self.beat();
            self.reader.wake();
        }
    }

    /// Whether more may be read.
    pub(crate) fn takes_more(&self) -> bool {
        self.waiting_events.load(Ordering::Relaxed) < WAITING_EVENTS
            && self.waiting_bytes.load(Ordering::Relaxed) < WAITING_BYTES
    }

    /// Bytes were handed over to be written.
    pub(crate) fn handed_over(&self, bytes: usize) {
        self.backlog.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Everything that had been handed over by then was written.
    pub(crate) fn flushed(&self) {
        self.backlog.store(0, Ordering::Relaxed);
        self.beat();
    }

    /// Whether more may be handed over.
    pub(crate) fn has_room(&self) -> bool {
        self.backlog.load(Ordering::Relaxed) < BACKLOG
    }

    /// Whether nothing waits to be written.
    pub(crate) fn is_flushed(&self) -> bool {
        self.backlog.load(Ordering::Relaxed) == 0
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

    pub(crate) fn register_reader(&self, waker: &std::task::Waker) {
        self.reader.register(waker);
    }

    /// Waits until `holds` does, looking again whenever something changed.
    pub(crate) async fn until(&self, holds: impl Fn(&Self) -> bool) {
        let mut pulse = self.pulse.subscribe();
        while !holds(self) {
            // The sender lives as long as `self` does.
            let _ = pulse.changed().await;
        }
    }

    /// A listener to changes from now on.
    pub(crate) fn listen(&self) -> watch::Receiver<u64> {
        self.pulse.subscribe()
    }

    fn beat(&self) {
        if self.pulse.receiver_count() > 0 {
            self.pulse.send_modify(|pulse| *pulse = pulse.wrapping_add(1));
        }
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
            link.came(1);
        }
        assert!(!link.takes_more());
        let waiting = link.until(Link::takes_more);
        tokio::join!(waiting, async { link.taken(1) });
        link.came(WAITING_BYTES);
        assert!(!link.takes_more());
    }

    #[tokio::test]
    async fn writing_waits_for_what_is_under_way() {
        let link = Link::new(None, None);
        link.handed_over(BACKLOG - 1);
        assert!(link.has_room() && !link.is_flushed());
        link.handed_over(1);
        assert!(!link.has_room());
        tokio::join!(link.until(Link::has_room), async { link.flushed() });
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
