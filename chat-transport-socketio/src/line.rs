//! The writing side of a WebSocket on plain TCP. Two use it, never at once: the WebSocket, and, while that has nothing to
//! say, a writer that puts frames between two of its own.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use parking_lot::{Mutex, MutexGuard};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use crate::link::Link;

/// The writing side, if there is one: none before the WebSocket is open and after it, and none under polling.
#[derive(Debug, Default)]
pub(crate) struct Line {
    writing: Mutex<Writing>,
    is_open: AtomicBool,
}

#[derive(Debug, Default)]
struct Writing {
    tcp: Option<OwnedWriteHalf>,
    /// What a writer could not get rid of, before anything else. Counts as one packet that was handed over.
    rest: Bytes,
    /// The WebSocket wrote and has not flushed: it may be in the middle of a frame.
    unflushed: bool,
    /// The WebSocket said that it ends: nothing may follow.
    has_ended: bool,
}

impl Line {
    /// Whether there is a writing side.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    /// How much a writer has left to be written.
    pub(crate) fn left(&self) -> usize {
        self.writing.lock().rest.len()
    }

    /// Writes what a writer has left.
    pub(crate) fn poll_rest(&self, link: &Link, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writing.lock().poll_rest(link, cx)
    }

    /// The WebSocket is about to say that it ends.
    pub(crate) fn end(&self) {
        self.writing.lock().has_ended = true;
    }
}

impl Writing {
    fn poll_rest(&mut self, link: &Link, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.rest.is_empty() {
            return Poll::Ready(Ok(()));
        }
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
        self.rest = Bytes::new();
        link.written(1);
        Poll::Ready(Ok(()))
    }

    fn poll<T>(
        &mut self,
        link: &Link,
        cx: &mut Context<'_>,
        then: impl FnOnce(Pin<&mut OwnedWriteHalf>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        ready!(self.poll_rest(link, cx))?;
        match &mut self.tcp {
            Some(tcp) => then(Pin::new(tcp), cx),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

/// A line on which everything that was handed over has been written, held so that nobody else writes.
pub(crate) struct FreeLine<'a> {
    link: &'a Link,
    writing: MutexGuard<'a, Writing>,
}

impl<'a> FreeLine<'a> {
    /// The line of this connection, if it is free.
    pub(crate) fn of(link: &'a Link) -> Option<Self> {
        let writing = link.line.writing.lock();
        let is_between_frames = !writing.unflushed && !writing.has_ended && writing.rest.is_empty();
        let is_free =
            is_between_frames && writing.tcp.is_some() && link.is_flushed() && !link.is_closed();
        is_free.then_some(Self { link, writing })
    }

    /// Writes whole frames. What is not taken at once goes out before anything else.
    pub(crate) fn write(mut self, frames: &[u8]) {
        let Some(tcp) = &self.writing.tcp else { return };
        // Of an error the WebSocket hears when it tries the same.
        let written = tcp.try_write(frames).unwrap_or(0);
        if written < frames.len() {
            self.writing.rest = Bytes::copy_from_slice(&frames[written..]);
            self.link.handed_over(frames.len() - written);
            drop(self.writing);
            self.link.wake_reader();
        }
    }
}

/// A TCP connection whose writing side is the [`Line`] of its [`Link`].
#[derive(Debug)]
pub(crate) struct Pipe {
    reading: OwnedReadHalf,
    link: Arc<Link>,
}

impl Pipe {
    /// Gives a link its line; `None` for one that has a WebSocket already.
    pub(crate) fn open(tcp: TcpStream, link: &Arc<Link>) -> Option<Self> {
        let mut writing = link.line.writing.lock();
        if writing.tcp.is_some() {
            return None;
        }
        let (reading, tcp) = tcp.into_split();
        writing.tcp = Some(tcp);
        link.line.is_open.store(true, Ordering::Release);
        drop(writing);
        Some(Self { reading, link: Arc::clone(link) })
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let mut writing = self.link.line.writing.lock();
        (writing.tcp, writing.rest) = (None, Bytes::new());
        self.link.line.is_open.store(false, Ordering::Release);
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

impl AsyncWrite for Pipe {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut writing = self.link.line.writing.lock();
        writing.unflushed = true;
        writing.poll(&self.link, cx, |tcp, cx| tcp.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut writing = self.link.line.writing.lock();
        ready!(writing.poll(&self.link, cx, |tcp, cx| tcp.poll_flush(cx)))?;
        writing.unflushed = false;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.link.line.writing.lock().poll(&self.link, cx, |tcp, cx| tcp.poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpSocket},
    };

    use super::*;

    /// A connection whose buffers are small, and the client's end of it.
    async fn connection() -> (Arc<Link>, Pipe, TcpStream) {
        let server = TcpSocket::new_v4().unwrap();
        server.set_send_buffer_size(4096).unwrap();
        server.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let server: TcpListener = server.listen(1).unwrap();
        let client = TcpSocket::new_v4().unwrap();
        client.set_recv_buffer_size(4096).unwrap();
        let far = client.connect(server.local_addr().unwrap()).await.unwrap();
        let link = Arc::new(Link::new(None, None));
        let pipe = Pipe::open(server.accept().await.unwrap().0, &link).unwrap();
        (link, pipe, far)
    }

    #[tokio::test]
    async fn a_line_is_free_between_frames_while_nothing_is_on_its_way() {
        assert!(FreeLine::of(&Link::new(None, None)).is_none(), "nobody can write there");
        let (link, mut pipe, far) = connection().await;
        let is_free = || FreeLine::of(&link).is_some();
        assert!(is_free());
        link.handed_over(1);
        assert!(!is_free());
        link.written(1);
        assert!(is_free());
        pipe.write_all(b"half of a frame").await.unwrap();
        assert!(!is_free());
        pipe.flush().await.unwrap();
        assert!(is_free());
        link.line.end();
        assert!(!is_free());

        let (link, pipe, _far) = connection().await;
        link.close();
        assert!(FreeLine::of(&link).is_none());
        assert!(Pipe::open(far, &link).is_none(), "it has a WebSocket");
        drop(pipe);
        assert!(!link.line.is_open());
    }

    #[tokio::test]
    async fn what_a_writer_has_left_goes_before_what_the_websocket_writes() {
        let (link, mut pipe, mut far) = connection().await;
        let much = vec![b'm'; 1_000_000];
        FreeLine::of(&link).unwrap().write(&much);
        assert!(link.line.left() > 0 && !link.is_flushed() && !link.has_room());
        assert!(FreeLine::of(&link).is_none());
        let mut read = vec![0; much.len() + 5];
        let writing = async {
            pipe.write_all(b"later").await.unwrap();
            pipe.flush().await.unwrap();
        };
        let (_, ()) = tokio::join!(far.read_exact(&mut read), writing);
        assert_eq!(read, [&*much, b"later"].concat());
        assert!(link.is_flushed() && FreeLine::of(&link).is_some());
    }
}
