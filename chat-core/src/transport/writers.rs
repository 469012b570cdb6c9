//! A few tasks that write events to the connections of all. Most connections listen most of the time: to bring a
//! message to a thousand of them takes a thousand writes, but not the waking of a thousand tasks.

use std::{
    fmt::Debug,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use bytes::BytesMut;
use parking_lot::Mutex;
use tokio::{runtime::Handle, sync::Notify};

use crate::Outgoing;

/// Connections that are written to before other tasks have their turn. To give it to them when there are none takes
/// two system calls and the waking of another thread.
const TURN: usize = 128;
/// Connections that are looked at together before they are written to.
const AHEAD: usize = 32;
/// A larger buffer is given back after each connection.
const BUFFER: usize = 64 * 1024;

/// A connection that writers write to, beside its own task and never at once with it.
pub trait Writable: Debug + Send + Sync + 'static {
    /// Writes what waits (see [`Session::events`](crate::Session::events)), without waiting for anything. What cannot be
    /// written at once is left to the connection's own task, which is called. Returns whether more waits.
    fn write(&self, workspace: &mut Workspace) -> bool;

    /// Wants the connection's own task: to write what waits, or because the connection is to end.
    fn call(&self);

    /// Set while it waits in a [`Queue`]; begins with `false`. For the queue alone.
    fn is_queued(&self) -> &AtomicBool;
}

/// What a writer needs for its work, kept from one connection to the next. Empty whenever a connection gets it.
#[derive(Debug, Default)]
pub struct Workspace {
    /// For events that were taken.
    pub events: Vec<Arc<Outgoing>>,
    /// For what they are on the wire.
    pub bytes: BytesMut,
}

/// The writers of a transport. They begin with the first connection, and end with this.
#[derive(Debug, Default)]
pub struct Writers {
    queues: OnceLock<Vec<Arc<Queue>>>,
    next: AtomicUsize,
}

impl Writers {
    /// The queue of one of them, in turn. Called within the runtime that serves.
    pub fn queue(&self) -> Arc<Queue> {
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
pub struct Queue {
    connections: Mutex<Vec<Arc<dyn Writable>>>,
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
    pub fn push(&self, connection: Arc<dyn Writable>) {
        if connection.is_queued().swap(true, Ordering::SeqCst) {
            return;
        }
        let mut connections = self.connections.lock();
        if self.has_ended.load(Ordering::SeqCst) {
            drop(connections);
            // Its runtime shuts down, or is another than the connection's.
            connection.call();
            return;
        }
        connections.push(connection);
        let first = connections.len() == 1;
        drop(connections);
        if first {
            self.filled.notify_one();
        }
    }

    fn take(&self, into: &mut Vec<Arc<dyn Writable>>) {
        std::mem::swap(&mut *self.connections.lock(), into);
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
            for (turn, connections) in due.chunks(TURN).enumerate() {
                if turn > 0 {
                    tokio::task::yield_now().await;
                }
                for connections in connections.chunks(AHEAD) {
                    self.write(connections, &mut workspace);
                }
            }
            due.clear();
            if due.capacity() > 4096 {
                due = Vec::new();
            }
        }
    }

    fn write(&self, connections: &[Arc<dyn Writable>], workspace: &mut Workspace) {
        // All of them first: the processor then fetches them at once, instead of waiting for each. Whoever adds to what
        // waits after it was taken, or after the task was called, sees that the connection has left the queue.
        for connection in connections {
            connection.is_queued().store(false, Ordering::Relaxed);
        }
        for connection in connections {
            let more = connection.write(workspace);
            workspace.clear();
            if more {
                self.0.push(Arc::clone(connection));
            }
        }
    }
}

impl Workspace {
    fn clear(&mut self) {
        self.events.clear();
        self.bytes.clear();
        if self.bytes.capacity() > BUFFER {
            self.bytes = BytesMut::new();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.end();
        let mut left = Vec::new();
        self.0.take(&mut left);
        for connection in left {
            connection.call();
        }
    }
}
