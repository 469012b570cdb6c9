//! A stream in memory: what a client would send comes in one frame at a time, what is written is counted.

use std::{
    cell::Cell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A send of parlor's protocol with 100 bytes of text.
pub(crate) const TEXT: &str = concat!(
    r#"{"type":"send","id":"0000001234","conversation_id":"0193a1b2-7c00-7000-8000-00000000c0de","#,
    r#""client_id":"00001-0000000001","body":"#,
    r#""00000-0000000000-0000000000000000-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}"#,
);

pub(crate) struct Script {
    frame: Rc<[u8]>,
    /// How much of it has been read.
    from: usize,
    messages: u64,
    writes: Rc<Cell<u64>>,
}

thread_local! {
    static FRAME: Rc<[u8]> = frame().into();
}

/// A text frame of a client, masked (RFC 6455, section 5.2).
fn frame() -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let length = u16::try_from(TEXT.len()).unwrap_or(u16::MAX).to_be_bytes();
    let mut frame = vec![0x81, 0x80 | 126, length[0], length[1]];
    frame.extend(MASK);
    frame.extend(TEXT.bytes().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

impl Script {
    /// Brings so many messages, then nothing.
    pub(crate) fn new(messages: u64) -> Self {
        Self { frame: FRAME.with(Rc::clone), from: 0, messages, writes: Rc::default() }
    }

    /// How often it was written to.
    pub(crate) fn writes(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.writes)
    }
}

impl AsyncRead for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.messages == 0 {
            return Poll::Pending;
        }
        let to = self.frame.len().min(self.from + into.remaining());
        into.put_slice(&self.frame[self.from..to]);
        self.from = to;
        if to == self.frame.len() {
            self.from = 0;
            self.messages -= 1;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writes.set(self.writes.get() + 1);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
