//! The writing side of a connection, which two may use, never at once: its own task, and, while that has nothing
//! to say, the writer that brings events to many connections without waking the task of each.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use parking_lot::Mutex;
use parlor_core::{
    CloseReason, Events, Notifier, Outgoing,
    transport::{Queue, Workspace, Writable},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::Notify,
};

use super::{
    frame,
    wire::{Stream, WINDOW},
};

/// What its task, its notifier and a writer know of a connection.
#[derive(Debug)]
pub(super) struct Line {
    writing: Mutex<Writing>,
    /// The task has nothing under way: a writer may write. Changes under the lock of `writing`.
    is_free: AtomicBool,
    /// It waits in the queue of its writer.
    is_queued: AtomicBool,
    events: OnceLock<Events>,
    called: Notify,
    queue: Option<Arc<Queue>>,
}

#[derive(Debug)]
struct Writing {
    /// `None` where the connection is not plain TCP: its task alone writes.
    tcp: Option<OwnedWriteHalf>,
    /// What goes out before anything else: a writer could not get rid of it, or the task left it.
    rest: Bytes,
    /// The task left `rest`: it goes out together with what comes next, whoever writes that.
    is_left: bool,
    /// The task wrote and has not flushed: it may be in the middle of a frame.
    unflushed: bool,
}

impl Line {
    /// A line that its task alone writes on.
    pub(super) fn of_task() -> Arc<Self> {
        Self::new(None, None)
    }

    fn new(tcp: Option<OwnedWriteHalf>, queue: Option<Arc<Queue>>) -> Arc<Self> {
        Arc::new(Self {
            writing: Mutex::new(Writing {
                tcp,
                rest: Bytes::new(),
                is_left: false,
                unflushed: false,
            }),
            is_free: AtomicBool::new(false),
            is_queued: AtomicBool::new(false),
            events: OnceLock::new(),
            called: Notify::new(),
            queue,
        })
    }

    /// Says whose events go out here.
    pub(super) fn begin(self: &Arc<Self>, events: impl FnOnce(Box<dyn Notifier>) -> Events) {
        let _ = self.events.set(events(Box::new(LineNotifier(Arc::downgrade(self)))));
    }

    /// Waits until the task is wanted: something waits that it has to write, or the connection is to end. Cancel safe.
    pub(super) async fn called(&self) {
        self.called.notified().await;
    }

    /// Takes what waits, for the task that has claimed the line.
    pub(super) fn take(
        &self,
        into: &mut Vec<Arc<Outgoing>>,
        max_bytes: usize,
    ) -> Result<(), CloseReason> {
        let Some(events) = self.events.get() else { return Ok(()) };
        if events.take(into, max_bytes)? && events.has_waiting() {
            self.call();
        }
        Ok(())
    }

    /// Leaves whole frames to be written together with the next event, by whoever writes that. Returns whether it can be:
    /// otherwise nothing has changed.
    pub(super) fn leave(&self, frames: Bytes) -> bool {
        let mut writing = self.writing.lock();
        if writing.tcp.is_none() || writing.unflushed || !writing.rest.is_empty() {
            return false;
        }
        (writing.rest, writing.is_left) = (frames, true);
        true
    }

    /// The task writes from here on. Returns how many bytes are left for it.
    pub(super) fn claim(&self) -> usize {
        let mut writing = self.writing.lock();
        writing.is_left = false;
        self.is_free.store(false, Ordering::SeqCst);
        writing.rest.len()
    }

    /// The task has nothing to write at present, and nothing under way that would end with something to write.
    pub(super) fn release(&self) {
        let (Some(events), Some(_)) = (self.events.get(), &self.queue) else { return };
        {
            let writing = self.writing.lock();
            let is_behind = !writing.rest.is_empty() && !writing.is_left;
            if writing.tcp.is_none() || writing.unflushed || is_behind {
                return;
            }
            self.is_free.store(true, Ordering::SeqCst);
        }
        // What came just before called the task, which was about to leave.
        if events.has_waiting() {
            self.call();
        }
    }

    /// Whether the task may not write without having claimed it.
    pub(super) fn is_free(&self) -> bool {
        self.is_free.load(Ordering::SeqCst)
    }
}

impl Writable for Line {
    /// Only if the task has left it to writers; whatever is more than that is the task's.
    fn write(&self, workspace: &mut Workspace) -> bool {
        let Some(events) = self.events.get() else { return false };
        let mut guard = self.writing.lock();
        let writing = &mut *guard;
        let Some(tcp) = writing.tcp.as_ref().filter(|_| self.is_free()) else {
            drop(guard);
            self.call();
            return false;
        };
        let Workspace { events: taken, bytes: frames } = workspace;
        match events.take(taken, WINDOW) {
            Ok(true) => {}
            Ok(false) => return false,
            Err(_) => {
                drop(guard);
                self.call();
                return false;
            }
        }
        if !writing.rest.is_empty() {
            frames.extend_from_slice(&std::mem::take(&mut writing.rest));
        }
        for outgoing in taken.drain(..) {
            frame::text(frames, &outgoing.frame);
        }
        // Of an error the task hears when it tries the same.
        let written = tcp.try_write(frames).unwrap_or(0);
        if written < frames.len() {
            (writing.rest, writing.is_left) = (Bytes::copy_from_slice(&frames[written..]), false);
            self.is_free.store(false, Ordering::SeqCst);
            drop(guard);
            self.call();
            return false;
        }
        drop(guard);
        events.has_waiting()
    }

    fn call(&self) {
        self.called.notify_one();
    }

    fn is_queued(&self) -> &AtomicBool {
        &self.is_queued
    }
}

/// What is told when events come.
#[derive(Debug)]
struct LineNotifier(Weak<Line>);

impl Notifier for LineNotifier {
    fn notify(&self) {
        let Some(line) = self.0.upgrade() else { return };
        match &line.queue {
            Some(queue) if line.is_free() => queue.push(line.clone()),
            _ => line.call(),
        }
    }
}

/// A TCP connection whose writing side is a [`Line`].
#[derive(Debug)]
pub(super) struct Pipe {
    reading: OwnedReadHalf,
    line: Arc<Line>,
}

impl Pipe {
    /// Splits a connection. What it is sent while it listens, the writer of this queue writes.
    pub(super) fn new(tcp: TcpStream, queue: Arc<Queue>) -> Self {
        let (reading, writing) = tcp.into_split();
        Self { reading, line: Line::new(Some(writing), Some(queue)) }
    }

    pub(super) fn line(&self) -> &Arc<Line> {
        &self.line
    }
}

impl Stream for Pipe {
    fn abort(&mut self) {
        if let Err(error) = self.reading.as_ref().set_zero_linger() {
            tracing::debug!(%error, "SO_LINGER cannot be set");
        }
    }
}

impl Writing {
    fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        then: impl FnOnce(Pin<&mut OwnedWriteHalf>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let Some(tcp) = &mut self.tcp else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        while !self.rest.is_empty() {
            let written = ready!(Pin::new(&mut *tcp).poll_write(cx, &self.rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.rest.advance(written);
        }
        then(Pin::new(tcp), cx)
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut writing = self.line.writing.lock();
        // Also without a claim: the answer to a ping is written while reading.
        self.line.is_free.store(false, Ordering::SeqCst);
        writing.unflushed = true;
        writing.poll(cx, |tcp, cx| tcp.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut writing = self.line.writing.lock();
        ready!(writing.poll(cx, |tcp, cx| tcp.poll_flush(cx)))?;
        writing.unflushed = false;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.line.writing.lock().poll(cx, |tcp, cx| tcp.poll_shutdown(cx))
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reading).poll_read(cx, into)
    }
}

#[cfg(test)]
mod tests {
    use parlor_core::{
        Chat, ConnectOptions, Resume,
        backends::MemoryStore,
        model::{Identity, UserId},
        transport::Writers,
    };
    use tokio::{io::AsyncReadExt, net::TcpListener};

    use super::*;

    #[tokio::test]
    async fn what_the_task_left_goes_out_with_the_next_event() {
        let chat = Chat::builder(Arc::new(MemoryStore::new())).build().await.unwrap();
        let ann = Identity::new(UserId::new("ann").unwrap());
        let options = ConnectOptions::with_codec(Arc::new(crate::codec::NativeCodec));
        let session = chat.connect(ann, options).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let writers = Writers::default();
        let pipe = Pipe::new(listener.accept().await.unwrap().0, writers.queue());
        let line = pipe.line();
        line.begin(|notifier| session.events(notifier));

        assert!(line.leave(Bytes::from_static(b"<welcome>")));
        assert!(!line.leave(Bytes::from_static(b"<more>")), "nothing is overwritten");
        line.release();
        session.resume(Resume::default()).unwrap();
        let mut read = vec![0; 4096];
        let length = client.read(&mut read).await.unwrap();
        let text = String::from_utf8_lossy(&read[..length]);
        assert!(text.starts_with("<welcome>") && text.contains("resumed"), "{text}");

        assert!(line.leave(Bytes::from_static(b"<alone>")));
        assert_eq!(line.claim(), 7, "the task takes it back");
    }
}
