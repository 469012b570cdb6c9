//! A TCP connection as hosts with an accept loop of their own give it to hyper.

use std::{
    any::Any,
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

/// A TCP connection to serve HTTP on, for hosts with an accept loop of their own: in hyper-util's `TokioIo` it goes
/// where the `TcpStream` would. A WebSocket takes the `TcpStream` out of it again, and has a deadline of its own
/// ([`Transport::write_deadline`](crate::Transport::write_deadline)).
#[derive(Debug)]
#[must_use]
pub struct ServedTcp {
    tcp: TcpStream,
    write_timeout: Duration,
    /// Ends when the client has taken nothing for the whole timeout. Made when the first write has to wait.
    stalled: Option<Pin<Box<Sleep>>>,
    held: Held,
}

/// What a host keeps for as long as a connection lasts.
pub(crate) type Held = Option<Box<dyn Any + Send>>;

impl ServedTcp {
    /// The defaults.
    pub fn new(tcp: TcpStream) -> Self {
        Self { tcp, write_timeout: Duration::from_secs(10), stalled: None, held: None }
    }

    /// A client that takes nothing of an answer for this time is cut off, and what still waits for it is thrown
    /// away. Its system's buffers and this one's, some hundred KiB, count as taken. Defaults to 10 s.
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.write_timeout = timeout;
        self
    }

    /// Keeps this until the connection ends, also after it became a WebSocket, such as a place in a count of
    /// connections that is free again when it is dropped. Defaults to nothing.
    pub fn hold(mut self, held: impl Send + 'static) -> Self {
        self.held = Some(Box::new(held));
        self
    }

    pub(crate) fn into_parts(self) -> (TcpStream, Held) {
        (self.tcp, self.held)
    }

    /// Lets a write wait, but not for ever.
    fn bounded(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let timeout = self.write_timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(timeout)));
        ready!(stalled.as_mut().poll(cx));
        // Else the system would keep what waits, and go on trying, after the connection is dropped.
        if let Err(error) = self.tcp.set_zero_linger() {
            tracing::debug!(%error, "SO_LINGER cannot be set");
        }
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing")))
    }
}

impl AsyncRead for ServedTcp {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for ServedTcp {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write(cx, bytes);
        self.bounded(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write_vectored(cx, slices);
        self.bounded(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    /// Both ends of a connection.
    async fn connected() -> (TcpStream, ServedTcp) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        (client, ServedTcp::new(server).write_timeout(Duration::from_millis(300)))
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_cut_off() {
        let (mut client, mut served) = connected().await;
        let piece = vec![0; 64 * 1024];
        let mut written = 0_u64;
        let error = loop {
            match served.write(&piece).await {
                Ok(count) => written += count as u64,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        drop(served);
        let mut rest = Vec::new();
        let reset = client.read_to_end(&mut rest).await.unwrap_err();
        assert_eq!(reset.kind(), ErrorKind::ConnectionReset);
        assert!((rest.len() as u64) < written, "what was not taken is thrown away");
    }

    #[tokio::test]
    async fn a_client_that_takes_its_time_is_waited_for() {
        let (mut client, mut served) = connected().await;
        let all = vec![0; 16 * 1024 * 1024];
        let writing = tokio::spawn(async move {
            served.write_all(&all).await.unwrap();
            // As long as it has nothing to write it may be silent.
            sleep(Duration::from_millis(400)).await;
            served.write_all(b"done").await.unwrap();
        });
        let mut piece = vec![0; 512 * 1024];
        for _ in 0..32 {
            client.read_exact(&mut piece).await.unwrap();
            // Longer altogether than a client may take nothing.
            sleep(Duration::from_millis(30)).await;
        }
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"done");
        writing.await.unwrap();
    }
}
