//! Calls that may fail without anything being lost: that they do is counted, and logged once, not each time.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::BackendError;

/// Whether calls of one kind succeed.
#[derive(Debug)]
pub(super) struct Outage {
    pub(super) operation: &'static str,
    /// The counter of failures.
    counter: &'static str,
    /// What failing means.
    meaning: &'static str,
    down: AtomicBool,
}

impl Outage {
    fn new(operation: &'static str, counter: &'static str, meaning: &'static str) -> Self {
        Self { operation, counter, meaning, down: AtomicBool::new(false) }
    }

    /// Notes how a call ended, and logs it when that is news.
    pub(super) fn note<T>(&self, result: &Result<T, BackendError>) {
        let Self { operation, counter, meaning, down } = self;
        let was_down = down.swap(result.is_err(), Ordering::AcqRel);
        if result.is_err() {
            metrics::counter!(*counter).increment(1);
        }
        match result {
            Err(error) if was_down => tracing::debug!(%error, operation, "backend still fails"),
            Err(error) => tracing::warn!(%error, operation, "backend fails: {meaning}"),
            Ok(_) if was_down => tracing::info!(operation, "backend answers again"),
            Ok(_) => {}
        }
    }
}

/// The kinds of calls that a node can do without.
#[derive(Debug)]
pub(super) struct Outages {
    pub(super) publish: Outage,
    pub(super) listen: Outage,
    pub(super) presence: Outage,
}

impl Default for Outages {
    fn default() -> Self {
        let bus = "parlor_bus_errors_total";
        Self {
            publish: Outage::new("publish", bus, "other nodes catch up from the store"),
            listen: Outage::new("listen", bus, "this node catches up from the store"),
            presence: Outage::new(
                "presence",
                "parlor_presence_errors_total",
                "who is there is unknown",
            ),
        }
    }
}
