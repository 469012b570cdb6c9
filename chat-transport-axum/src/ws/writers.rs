//! A few tasks that write events to the connections of all. Most connections listen most of the time: to bring a
//! message to a thousand of them takes a thousand writes, but not the waking of a thousand tasks.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use parking_lot::Mutex;
use tokio::{runtime::Handle, sync::Notify};

use super::line::{Line, Workspace};

/// Connections that are written to before other tasks have their turn.
const TURN: usize = 32;

/// The writers of a transport. They begin with the first connection, and end with this.
#[derive(Debug, Default)]
pub(crate) struct Writers {
    queues: OnceLock<Vec<Arc<Queue>>>,
    next: AtomicUsize,
}

impl Writers {
    /// The queue of one of them, in turn. Called within the runtime that serves.
    pub(super) fn queue(&self) -> Arc<Queue> {
        let queues = self.queues.get_or_init(|| {
            (0..Handle::current().metrics().num_workers().max(1)).map(|_| Queue::begin()).collect()
        });
        Arc::clone(&queues[self.next.fetch_add(1, Ordering::Relaxed) % queues.len()])
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        for queue in self.queues.get().into_iter().flatten() {
            queue.end();
        }
    }
}

/// Connections for which events wait, each once.
#[derive(Debug, Default)]
pub(super) struct Queue {
    lines: Mutex<Vec<Arc<Line>>>,
    filled: Notify,
    has_ended: AtomicBool,
}

impl Queue {
    fn begin() -> Arc<Self> {
        let queue = Arc::new(Self::default());
        let writer = Writer(Arc::clone(&queue));
        tokio::spawn(async move { writer.run().await });
        queue
    }

    fn end(&self) {
        self.has_ended.store(true, Ordering::SeqCst);
        self.filled.notify_one();
    }

    /// Has a connection written to.
    pub(super) fn push(&self, line: Arc<Line>) {
        if !line.enqueue() {
            return;
        }
        let mut lines = self.lines.lock();
        if self.has_ended.load(Ordering::SeqCst) {
            drop(lines);
            // Its runtime shuts down, or is another than the connection's.
            line.call();
            return;
        }
        lines.push(line);
        let first = lines.len() == 1;
        drop(lines);
        if first {
            self.filled.notify_one();
        }
    }

    fn take(&self, into: &mut Vec<Arc<Line>>) {
        std::mem::swap(&mut *self.lines.lock(), into);
    }
}

/// The task of a queue.
struct Writer(Arc<Queue>);

impl Writer {
    async fn run(&self) {
        let mut workspace = Workspace::default();
        let mut due = Vec::new();
        loop {
            self.0.filled.notified().await;
            if self.0.has_ended.load(Ordering::SeqCst) {
                return;
            }
            self.0.take(&mut due);
            for (turn, lines) in due.chunks(TURN).enumerate() {
                if turn > 0 {
                    tokio::task::yield_now().await;
                }
                self.write(lines, &mut workspace);
            }
            due.clear();
            if due.capacity() > 4096 {
                due = Vec::new();
            }
        }
    }

    /// In three passes, of which the first two only look: the processor then fetches what it needs to know of all
    /// these connections at once, instead of waiting for each.
    fn write(&self, lines: &[Arc<Line>], workspace: &mut Workspace) {
        for line in lines {
            line.dequeued();
        }
        let waiting: usize = lines.iter().map(|line| usize::from(line.has_waiting())).sum();
        if waiting == 0 {
            return;
        }
        for line in lines {
            if line.write(workspace) {
                self.0.push(Arc::clone(line));
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.end();
        let mut left = Vec::new();
        self.0.take(&mut left);
        for line in left {
            line.call();
        }
    }
}
