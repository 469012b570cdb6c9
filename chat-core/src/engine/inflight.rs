//! Work that a drain waits for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;

/// Counts work in flight.
#[derive(Debug, Default)]
pub(super) struct Inflight {
    count: AtomicUsize,
    idle: Notify,
}

/// One piece of work; dropping it ends it.
#[derive(Debug)]
pub(super) struct Work(Arc<Inflight>);

impl Inflight {
    pub(super) fn begin(self: &Arc<Self>) -> Work {
        self.count.fetch_add(1, Ordering::AcqRel);
        Work(Arc::clone(self))
    }

    /// Waits until nothing is in flight, at most so long; says whether that came true.
    pub(super) async fn wait(&self, at_most: Duration) -> bool {
        let wait = async {
            loop {
                let idle = self.idle.notified();
                if self.count.load(Ordering::Acquire) == 0 {
                    return;
                }
                idle.await;
            }
        };
        tokio::time::timeout(at_most, wait).await.is_ok()
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}
