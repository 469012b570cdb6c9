//! The stream of bytes under a WebSocket, which socketioxide reads and writes: it stops reading while
//! too much waits to be carried out, and breaks when a client takes nothing any more.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use crate::{link::Link, websocket::Passing};

/// A client's goodbye: an empty close frame, masked with zeros (RFC 6455, section 5.5.1).
const GOODBYE: &[u8] = &[0x88, 0x80, 0, 0, 0, 0];

/// A stream with its [`Link`].
pub(crate) struct LinkedStream<S> {
    io: S,
    /// What was read together with the request.
    early: Bytes,
    link: Arc<Link>,
    passing: Passing,
    write_deadline: Duration,
    /// Runs while the client takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Whether the WebSocket was told that it ends.
    ended: bool,
}

impl<S> LinkedStream<S> {
    pub(crate) fn new(io: S, early: Bytes, link: Arc<Link>, write_deadline: Duration) -> Self {
        let passing = Passing::default();
        Self { io, early, link, passing, write_deadline, stalled: None, ended: false }
    }

    /// Counts the time in which nothing gets through.
    fn poll_stalled<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let deadline = Instant::now() + self.write_deadline;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        ready!(stalled.as_mut().poll(cx));
        if !self.link.is_closed() {
            metrics::counter!("parlor_slow_connections_total").increment(1);
        }
        self.link.close();
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Writes what a writer has left: the task that reads is always there to do it.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let left = self.link.line.left();
        if left == 0 {
            return Ok(());
        }
        let link = Arc::clone(&self.link);
        if link.line.poll_rest(&link, cx)?.is_ready() {
            self.stalled = None;
        } else {
            self.restart_after(left);
            // It closes the link when it is over.
            let _ = self.poll_stalled::<()>(cx);
        }
        Ok(())
    }

    /// What a writer had left has become less: the client takes something.
    fn restart_after(&mut self, left: usize) {
        if self.link.line.left() < left {
            self.stalled = None;
        }
    }
}

impl<S> Drop for LinkedStream<S> {
    fn drop(&mut self) {
        self.link.close();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for LinkedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.link.register_reader(cx.waker());
        if !self.link.is_flushed() {
            self.poll_rest(cx)?;
        }
        if self.link.is_closed() {
            // As if the client had said goodbye, so that it is answered properly.
            if !std::mem::replace(&mut self.ended, true) && buffer.remaining() >= GOODBYE.len() {
                buffer.put_slice(GOODBYE);
            }
            return Poll::Ready(Ok(()));
        }
        if !self.link.takes_more() {
            return Poll::Pending;
        }
        if !self.early.is_empty() {
            let length = self.early.len().min(buffer.remaining());
            buffer.put_slice(&self.early[..length]);
            self.early.advance(length);
            if self.early.is_empty() {
                // Even an empty one holds on to the buffer that the request was read into.
                self.early = Bytes::new();
            }
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for LinkedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.passing.see(bytes);
        if self.passing.ends() {
            self.link.line.end();
        }
        let left = self.link.line.left();
        match Pin::new(&mut self.io).poll_write(cx, bytes) {
            Poll::Ready(written) => {
                self.passing.written(written.as_ref().map_or(0, |written| *written));
                self.stalled = None;
                Poll::Ready(written)
            }
            Poll::Pending => {
                self.restart_after(left);
                self.poll_stalled(cx)
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The WebSocket flushes after it has written everything.
        let flushed = ready!(Pin::new(&mut self.io).poll_flush(cx));
        if flushed.is_ok() {
            match self.passing.take_counted() {
                0 => {}
                counted => self.link.written(counted),
            }
        }
        Poll::Ready(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, duplex},
        net::{TcpListener, TcpStream},
    };

    use super::*;
    use crate::line::{FreeLine, Pipe};

    const DEADLINE: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_never_reads_breaks_the_stream() {
        let link = Arc::new(Link::new(None, None));
        let (near, far) = duplex(10);
        let mut stream = LinkedStream::new(near, Bytes::new(), Arc::clone(&link), DEADLINE);
        let began = Instant::now();
        let error = stream.write_all(&[0; 100]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed().as_secs(), 10);
        assert!(link.is_closed());
        let mut read = Vec::new();
        stream.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, GOODBYE);
        drop(far);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_is_given_time() {
        let link = Arc::new(Link::new(None, None));
        let (near, mut far) = duplex(10);
        let mut stream = LinkedStream::new(near, Bytes::new(), Arc::clone(&link), DEADLINE);
        let reading = async {
            let mut all = Vec::new();
            while all.len() < 100 {
                tokio::time::sleep(Duration::from_secs(9)).await;
                far.read_buf(&mut all).await.unwrap();
            }
        };
        let (written, ()) = tokio::join!(stream.write_all(&[0; 100]), reading);
        assert!(written.is_ok() && !link.is_closed());
    }

    #[tokio::test]
    async fn nothing_is_read_while_too_much_waits() {
        let link = Arc::new(Link::new(None, None));
        let (near, mut far) = duplex(100);
        let early = Bytes::from_static(b"early");
        let mut stream = LinkedStream::new(near, early, Arc::clone(&link), DEADLINE);
        far.write_all(b"late").await.unwrap();
        while link.takes_more() {
            link.came(1);
        }
        let mut read = [0; 5];
        let held = {
            let mut reading = Box::pin(stream.read_exact(&mut read));
            let held = futures::poll!(&mut reading).is_pending();
            link.taken(1);
            reading.await.unwrap();
            held
        };
        assert!(held);
        assert_eq!(&read, b"early");
        link.taken(1);
        assert_eq!(stream.read(&mut read).await.unwrap(), 4);
    }
    /// A stream on which a writer has left something, and the client's end of it.
    async fn left(much: &[u8]) -> (Arc<Link>, LinkedStream<Pipe>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let far = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let link = Arc::new(Link::new(None, None));
        let pipe = Pipe::open(listener.accept().await.unwrap().0, &link).unwrap();
        FreeLine::of(&link).unwrap().write(much);
        assert!(!link.is_flushed());
        (Arc::clone(&link), LinkedStream::new(pipe, Bytes::new(), link, DEADLINE), far)
    }

    /// More than any buffer takes.
    const MUCH: usize = 32 << 20;

    #[tokio::test]
    async fn the_task_that_reads_writes_what_a_writer_has_left() {
        let much = vec![b'm'; MUCH];
        let (link, mut stream, mut far) = left(&much).await;
        let taking = async {
            let mut taken = vec![0; MUCH];
            far.read_exact(&mut taken).await.unwrap();
            assert!(taken == much);
            far.write_all(b"thanks").await.unwrap();
        };
        let mut read = [0; 6];
        let (all, ()) = tokio::join!(stream.read_exact(&mut read), taking);
        assert_eq!((all.unwrap(), &read), (6, b"thanks"));
        assert!(link.is_flushed() && !link.is_closed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_does_not_take_what_a_writer_has_left_breaks_the_stream() {
        let (link, mut stream, _far) = left(&vec![b'm'; MUCH]).await;
        let began = Instant::now();
        let mut read = Vec::new();
        stream.read_to_end(&mut read).await.unwrap();
        assert_eq!((&*read, began.elapsed().as_secs()), (GOODBYE, 10));
        assert!(link.is_closed());
    }
}
