//! Helpers for tests of hosts and backends (feature `testing`).

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use crate::{Clock, Timestamp};

/// A clock that stands still until a test moves it. Clones show the same time.
///
/// Starts at 2026-01-01T00:00:00.000Z.
#[derive(Debug, Clone)]
pub struct TestClock {
    millis: Arc<AtomicI64>,
}

/// 2026-01-01T00:00:00.000Z.
const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);

impl TestClock {
    /// A clock that shows the start.
    pub fn new() -> Self {
        Self { millis: Arc::new(AtomicI64::new(START.as_millis())) }
    }

    /// Moves the clock forward, in whole milliseconds.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        let forward = |millis: i64| Some(millis.saturating_add(by));
        // The closure always gives a value, so the update always happens.
        let _ = self.millis.fetch_update(Ordering::SeqCst, Ordering::SeqCst, forward);
    }

    /// Sets the clock, also back.
    pub fn set(&self, now: Timestamp) {
        self.millis.store(now.as_millis(), Ordering::SeqCst);
    }
}

impl Default for TestClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.millis.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_move_together_and_only_when_told() {
        let clock = TestClock::default();
        let clone = clock.clone();
        assert_eq!(clock.now().to_string(), "2026-01-01T00:00:00.000Z");
        clock.advance(Duration::from_millis(1500));
        assert_eq!(clone.now().to_string(), "2026-01-01T00:00:01.500Z");
        clone.set(Timestamp::from_millis(7));
        assert_eq!(clock.now(), Timestamp::from_millis(7));
        clock.advance(Duration::MAX);
        assert_eq!(clock.now(), Timestamp::MAX);
    }
}
