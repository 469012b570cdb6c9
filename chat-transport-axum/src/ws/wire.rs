//! One WebSocket on a byte stream: messages in, messages out, bounded on both sides.
//!
//! The protocol is tungstenite's; this keeps its buffers small, writes what waits in one go, and watches
//! whether the client still takes it.

use std::{
    collections::VecDeque,
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures::{Sink, Stream as _};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error as Broken, Message, Utf8Bytes,
        protocol::{
            CloseFrame, Role, WebSocketConfig,
            frame::{
                Frame,
                coding::{Data, OpCode},
            },
        },
    },
};

use super::{
    frame,
    line::{Line, Pipe},
};

/// As much is gathered for one write.
pub(super) const WINDOW: usize = 16 * 1024;
/// Kept by every connection for what it reads; larger messages grow it for as long as they last.
const READ: usize = 1024;
/// How long a close is given to reach the client, and the client to answer it.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// A stream of bytes that a WebSocket runs on.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {
    /// Prepares that dropping it throws away what the client did not take.
    fn abort(&mut self) {}
}

impl Stream for TokioIo<Upgraded> {}

/// What a client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Incoming {
    Text(Utf8Bytes),
    Binary,
    /// A ping, which is answered already, or a pong.
    Sign,
    /// The client closes.
    Close,
}

/// How a client broke the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Violation {
    /// Against RFC 6455.
    Protocol,
    /// A text that is not UTF-8.
    Utf8,
    /// A message over the limit.
    TooBig,
}

/// What [`Wire::drive`] came to.
#[derive(Debug)]
pub(crate) enum Progress {
    /// The client sent this.
    Received(Incoming),
    /// Everything queued has been written.
    Flushed,
    /// The client has begun not to take what is written: the deadline runs.
    Stalled,
}

/// Why nothing more comes.
#[derive(Debug)]
pub(crate) enum Lost {
    /// The client broke the protocol and has to be told.
    Violation(Violation),
    /// The connection is gone.
    Gone,
}

impl From<Broken> for Lost {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Utf8(_) => Self::Violation(Violation::Utf8),
            Broken::Capacity(_) => Self::Violation(Violation::TooBig),
            Broken::Protocol(_) => Self::Violation(Violation::Protocol),
            _ => Self::Gone,
        }
    }
}

/// One WebSocket after its handshake.
#[derive(Debug)]
pub(crate) struct Wire<T> {
    socket: WebSocketStream<T>,
    line: Arc<Line>,
    /// What waits to be handed to the socket. Payloads are shared with all who get them.
    queue: VecDeque<Message>,
    /// Bytes in `queue`, and those handed over since the last flush.
    waiting: usize,
    /// When what was left to go out with the next event goes out without one.
    left: Option<Instant>,
    /// Since when nothing gets through.
    stalled: Option<Instant>,
    /// When the client last sent anything.
    heard: Instant,
    /// The client closed; the socket answers that by itself.
    closed: bool,
}

impl Wire<Pipe> {
    /// A wire that others may write events on while its own task has nothing to say.
    pub(super) async fn shared(pipe: Pipe, read: &[u8], max_message: usize) -> Self {
        let line = Arc::clone(pipe.line());
        Self::on(pipe, line, read, max_message).await
    }
}

impl<T: Stream> Wire<T> {
    /// Takes messages of up to `max_message` bytes. `read` came already.
    pub(crate) async fn new(io: T, read: &[u8], max_message: usize) -> Self {
        Self::on(io, Line::of_task(), read, max_message).await
    }

    async fn on(io: T, line: Arc<Line>, read: &[u8], max_message: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ)
            .write_buffer_size(WINDOW)
            .max_message_size(Some(max_message))
            .max_frame_size(Some(max_message));
        let socket =
            WebSocketStream::from_partially_read(io, read.to_vec(), Role::Server, Some(config));
        Self {
            socket: socket.await,
            line,
            queue: VecDeque::new(),
            waiting: 0,
            left: None,
            stalled: None,
            heard: Instant::now(),
            closed: false,
        }
    }

    /// The writing side, shared with who brings events.
    pub(super) fn line(&self) -> &Arc<Line> {
        &self.line
    }

    /// Leaves the writing to others until the next claim, if nothing waits.
    pub(super) fn release(&self) {
        if self.waiting == 0 && !self.line.is_free() {
            self.line.release();
        }
    }

    /// Writes alone from here on, first what others did not get rid of.
    pub(super) fn claim(&mut self) {
        self.left = None;
        self.waiting += self.line.claim();
    }

    /// Leaves what waits, if that is texts alone, to go out together with the next event: no later than `until`, when
    /// [`Self::left`] is to be followed by a claim.
    pub(super) fn leave(&mut self, until: Instant) {
        let mut frames = BytesMut::new();
        for message in &self.queue {
            let Message::Frame(text) = message else { return };
            frame::text(&mut frames, text.payload());
        }
        if !frames.is_empty() && self.line.leave(frames.freeze()) {
            (self.queue, self.waiting, self.left) = (VecDeque::new(), 0, Some(until));
        }
    }

    /// Until when something is left to go out with the next event.
    pub(super) fn left(&self) -> Option<Instant> {
        self.left
    }

    /// Queues a text message, which is UTF-8.
    pub(crate) fn text(&mut self, payload: Bytes) {
        self.waiting += payload.len();
        // As a frame: the text is our own and needs no second look for each of its readers.
        let frame = Frame::message(payload, OpCode::Data(Data::Text), true);
        self.queue.push_back(Message::Frame(frame));
    }

    /// Queues a ping.
    pub(crate) fn ping(&mut self) {
        self.waiting += 1;
        self.queue.push_back(Message::Ping(Bytes::new()));
    }

    /// Bytes that wait to be written, roughly.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Since when what is written does not get through to the client.
    pub(crate) fn stalled_since(&self) -> Option<Instant> {
        self.stalled
    }

    /// When the last message came from the client.
    pub(crate) fn heard(&self) -> Instant {
        self.heard
    }

    /// Counts the silence anew, after a time in which nothing was read.
    pub(crate) fn assume_heard(&mut self) {
        self.heard = Instant::now();
    }

    /// Writes what waits and, where `read` says so, reads. Cancel safe.
    ///
    /// What was read comes before anything is written, so that answers share a write.
    pub(crate) async fn drive(&mut self, read: bool) -> Result<Progress, Lost> {
        poll_fn(|cx| {
            if read && let Poll::Ready(incoming) = self.poll_read(cx) {
                return Poll::Ready(incoming.map(Progress::Received));
            }
            if self.waiting == 0 {
                return Poll::Pending;
            }
            let was_stalled = self.stalled.is_some();
            match self.poll_flush(cx) {
                Poll::Ready(flushed) => Poll::Ready(flushed.map(|()| Progress::Flushed)),
                Poll::Pending if was_stalled => Poll::Pending,
                Poll::Pending => Poll::Ready(Ok(Progress::Stalled)),
            }
        })
        .await
    }

    /// Sends a close frame after what is queued, and waits a moment for the client to take it. For a
    /// client that takes nothing, what was queued is dropped.
    pub(crate) async fn close(mut self, code: u16, reason: &'static str) {
        self.claim();
        if self.stalled.is_some() {
            self.queue.clear();
        }
        if self.closed {
            self.queue.clear();
        } else {
            let close = CloseFrame { code: code.into(), reason: Utf8Bytes::from_static(reason) };
            self.queue.push_back(Message::Close(Some(close)));
        }
        let farewell = async {
            if poll_fn(|cx| self.poll_flush(cx)).await.is_err() {
                return;
            }
            let io = self.socket.get_mut();
            if poll_fn(|cx| Pin::new(&mut *io).poll_shutdown(cx)).await.is_ok() {
                // To close with unread bytes resets the connection, and the client might never see the code.
                let _ = poll_fn(|cx| poll_discard(io, cx)).await;
            }
        };
        if timeout(CLOSE_GRACE, farewell).await.is_err() && self.stalled.is_some() {
            self.socket.get_mut().abort();
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Incoming, Lost>> {
        let message = match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
            Some(message) => message?,
            None => return Poll::Ready(Err(Lost::Gone)),
        };
        self.heard = Instant::now();
        self.closed = message.is_close();
        Poll::Ready(Ok(match message {
            Message::Text(text) => Incoming::Text(text),
            Message::Close(_) => Incoming::Close,
            Message::Ping(_) | Message::Pong(_) => Incoming::Sign,
            Message::Binary(_) | Message::Frame(_) => Incoming::Binary,
        }))
    }

    /// Hands over what is queued, as the socket takes it, and writes it out.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Lost>> {
        let written = self.poll_write(cx);
        match &written {
            Poll::Ready(_) => {
                self.stalled = None;
                self.waiting = 0;
            }
            Poll::Pending => {
                self.stalled.get_or_insert_with(Instant::now);
            }
        }
        written
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Lost>> {
        while !self.queue.is_empty() {
            ready!(Pin::new(&mut self.socket).poll_ready(cx))?;
            // A window got through.
            self.stalled = None;
            if let Some(message) = self.queue.pop_front() {
                Pin::new(&mut self.socket).start_send(message)?;
            }
        }
        if self.queue.capacity() > 32 {
            // A burst must not be remembered in memory by every idle connection.
            self.queue = VecDeque::new();
        }
        ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
        Poll::Ready(Ok(()))
    }
}

fn poll_discard<T: AsyncRead + Unpin>(io: &mut T, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    loop {
        let mut space = [const { MaybeUninit::uninit() }; 4096];
        let mut read = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut *io).poll_read(cx, &mut read))?;
        if read.filled().is_empty() {
            return Poll::Ready(Ok(()));
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, DuplexStream, duplex};

    use super::*;

    impl Stream for DuplexStream {}

    /// Reads one frame from the server: its opcode and payload.
    async fn frame(client: &mut DuplexStream) -> (u8, Vec<u8>) {
        let first = client.read_u8().await.unwrap();
        let length = match client.read_u8().await.unwrap() {
            126 => u64::from(client.read_u16().await.unwrap()),
            127 => client.read_u64().await.unwrap(),
            length => u64::from(length),
        };
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        client.read_exact(&mut payload).await.unwrap();
        (first, payload)
    }

    #[tokio::test]
    async fn many_frames_share_a_write_and_a_large_one_passes_a_narrow_pipe() {
        let (server, mut client) = duplex(100_000);
        let mut wire = Wire::new(server, &[], 1000).await;
        for size in [0, 1, 125, 126, 3000] {
            wire.text(vec![b'a'; size].into());
        }
        assert!(matches!(wire.drive(true).await, Ok(Progress::Flushed)));
        assert_eq!(wire.waiting(), 0);
        let mut together = vec![0; 3000 + 252 + 2 * 3 + 4 * 2];
        let read = client.read(&mut together).await.unwrap();
        assert_eq!(read, together.len());

        let (server, mut client) = duplex(1000);
        let mut wire = Wire::new(server, &[], 1000).await;
        let large: Vec<u8> = (0..200_000_u32).map(|at| (at % 251) as u8).collect();
        wire.text(large.clone().into());
        let reading = tokio::spawn(async move { frame(&mut client).await });
        assert!(matches!(wire.drive(false).await, Ok(Progress::Stalled)));
        assert!(wire.stalled_since().is_some());
        while wire.waiting() > 0 {
            wire.drive(false).await.unwrap();
        }
        assert_eq!(reading.await.unwrap(), (0x81, large));
        assert!(wire.stalled_since().is_none());
    }

    #[tokio::test]
    async fn a_close_ends_the_frame_that_was_begun_and_drops_the_rest() {
        let (server, mut client) = duplex(20_000);
        let mut wire = Wire::new(server, &[], 1000).await;
        wire.text(vec![b'a'; 100_000].into());
        wire.text(vec![b'b'; 10].into());
        assert!(matches!(wire.drive(false).await, Ok(Progress::Stalled)));
        let reading =
            tokio::spawn(async move { [frame(&mut client).await, frame(&mut client).await] });
        wire.close(4008, "too slow").await;
        let [begun, close] = reading.await.unwrap();
        assert_eq!(begun, (0x81, vec![b'a'; 100_000]));
        assert_eq!(close, (0x88, [&4008_u16.to_be_bytes()[..], b"too slow"].concat()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_close_that_nobody_takes_is_given_up() {
        let (server, client) = duplex(10);
        let mut wire = Wire::new(server, &[], 1000).await;
        wire.text(vec![b'a'; 100].into());
        let began = Instant::now();
        wire.close(1011, "").await;
        assert!(began.elapsed() <= CLOSE_GRACE + Duration::from_millis(10));
        drop(client);
    }
}
