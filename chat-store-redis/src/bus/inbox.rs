//! What came in and waits for the engine. Bounded: whoever pushes never waits.

use std::collections::VecDeque;

use bytes::Bytes;
use parking_lot::Mutex;
use parlor_core::traits::BusItem;
use tokio::sync::Notify;

/// What an item takes besides its payload, roughly.
const OVERHEAD: usize = 64;

#[derive(Debug)]
pub(super) struct Inbox {
    capacity: usize,
    queue: Mutex<Queue>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    items: VecDeque<BusItem>,
    bytes: usize,
    closed: bool,
}

impl Inbox {
    /// Lets `capacity` bytes wait.
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, queue: Mutex::default(), changed: Notify::new() }
    }

    /// Adds a payload. One that does not fit becomes, with all that waits, one gap.
    pub(super) fn message(&self, payload: Bytes) {
        let size = payload.len() + OVERHEAD;
        let mut queue = self.queue.lock();
        if queue.bytes + size > self.capacity {
            queue.items = VecDeque::from([BusItem::Gap]);
            queue.bytes = 0;
            drop(queue);
            metrics::counter!("parlor_redis_incoming_overflows_total").increment(1);
        } else {
            queue.bytes += size;
            queue.items.push_back(BusItem::Message(payload));
            drop(queue);
        }
        self.changed.notify_one();
    }

    /// Adds a gap, unless the last that waits is one.
    pub(super) fn gap(&self) {
        let mut queue = self.queue.lock();
        if !matches!(queue.items.back(), Some(BusItem::Gap)) {
            queue.items.push_back(BusItem::Gap);
        }
        drop(queue);
        self.changed.notify_one();
    }

    /// Ends the stream after what waits.
    pub(super) fn close(&self) {
        self.queue.lock().closed = true;
        self.changed.notify_one();
    }

    /// The next item; `None` once it is closed and nothing waits.
    pub(super) async fn next(&self) -> Option<BusItem> {
        loop {
            if let Some(next) = self.queue.lock().take() {
                return next;
            }
            // A change between the look and this wait has left a permit behind.
            self.changed.notified().await;
        }
    }
}

impl Queue {
    /// An item, or the end (`Some(None)`), or neither yet.
    fn take(&mut self) -> Option<Option<BusItem>> {
        let item = self.items.pop_front();
        if let Some(BusItem::Message(payload)) = &item {
            self.bytes = self.bytes.saturating_sub(payload.len() + OVERHEAD);
        }
        if item.is_none() && !self.closed {
            return None;
        }
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    /// What waits now, with `-` for a gap and `.` for the end.
    fn waiting(inbox: &Inbox) -> String {
        let mut items = String::new();
        while let Some(next) = inbox.next().now_or_never() {
            match next {
                Some(BusItem::Message(payload)) => {
                    items.push_str(std::str::from_utf8(&payload).unwrap())
                }
                Some(BusItem::Gap) => items.push('-'),
                None => return items + ".",
            }
        }
        items
    }

    #[test]
    fn what_does_not_fit_becomes_one_gap_and_the_next_fits_again() {
        let inbox = Inbox::new(3 * (OVERHEAD + 1));
        for payload in ["1", "2", "3"] {
            inbox.message(payload.into());
        }
        assert_eq!(waiting(&inbox), "123");
        for payload in ["1", "2", "3", "4", "5"] {
            inbox.message(payload.into());
        }
        assert_eq!(waiting(&inbox), "-5");
        inbox.message("x".repeat(1000).into());
        assert_eq!(waiting(&inbox), "-", "one that never fits");
        assert_eq!(inbox.queue.lock().bytes, 0);
    }

    #[test]
    fn a_gap_keeps_what_waits_and_gaps_do_not_pile_up() {
        let inbox = Inbox::new(1000);
        inbox.message("1".into());
        inbox.gap();
        inbox.gap();
        inbox.message("2".into());
        inbox.close();
        assert_eq!(waiting(&inbox), "1-2.");
    }
}
