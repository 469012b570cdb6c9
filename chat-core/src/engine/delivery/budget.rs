//! How much may wait.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The bounds of one outbox.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Bounds {
    pub(in crate::engine) events: usize,
    pub(in crate::engine) bytes: usize,
}

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

    /// Takes what `after` is more than `before`, or gives back what it is less.
    pub(in crate::engine) fn change(&self, before: usize, after: usize) -> bool {
        match after.checked_sub(before) {
            Some(more) => more == 0 || self.take(more),
            None => {
                self.give_back(before - after);
                true
            }
        }
    }

    pub(in crate::engine) fn give_back(&self, bytes: usize) {
        if bytes > 0 {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}
