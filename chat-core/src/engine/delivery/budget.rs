//! How much may wait.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The bounds of one outbox.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Bounds {
    pub(in crate::engine) events: usize,
    pub(in crate::engine) bytes: usize,
}

/// So many bytes may wait for each connection without being counted against the node's budget. Most events wait for
/// no longer than a moment; to count each would have all threads write to one place.
pub(in crate::engine) const UNCOUNTED: usize = 2048;

/// Bytes that may wait on the whole node.
#[derive(Debug)]
pub(in crate::engine) struct Budget {
    used: AtomicUsize,
    max: usize,
}

impl Budget {
    pub(in crate::engine) fn new(max: usize) -> Self {
        Self { used: AtomicUsize::new(0), max }
    }

    /// Bytes that are taken.
    #[cfg(test)]
    pub(in crate::engine) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    pub(in crate::engine) fn take(&self, bytes: usize) -> bool {
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > self.max {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        true
    }

    /// What waits for a connection changes from `before` bytes to `after`: takes what counts of it, or gives it
    /// back. With less to wait there is always room.
    pub(in crate::engine) fn change(&self, before: usize, after: usize) -> bool {
        let [before, after] = [before, after].map(|bytes| bytes.saturating_sub(UNCOUNTED));
        if after > before {
            return self.take(after - before);
        }
        self.give_back(before - after);
        true
    }

    pub(in crate::engine) fn give_back(&self, bytes: usize) {
        if bytes > 0 {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}
