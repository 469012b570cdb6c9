//! WebSocket frames of a server (RFC 6455, section 5.2): how ours begin, and what the WebSocket's own are as they pass by.

use bytes::{Buf, BufMut};

/// FIN, and the opcode of a text.
const TEXT: u8 = 0x81;
/// FIN, and the opcode of a close frame.
const CLOSE: u8 = 0x88;

/// Writes the head of a text message of so many bytes, in one frame and not masked.
pub(crate) fn text_head(into: &mut impl BufMut, length: usize) {
    into.put_u8(TEXT);
    match length {
        0..=125 => into.put_u8(length as u8),
        126..=0xffff => {
            into.put_u8(126);
            into.put_u16(length as u16);
        }
        _ => {
            into.put_u8(127);
            into.put_u64(length as u64);
        }
    }
}

/// Whether a packet is one of those that are counted as they are handed over: events and acknowledgements.
pub(crate) fn is_counted(packet: &[u8]) -> bool {
    matches!(packet, [b'4', b'2' | b'3', ..])
}

/// What the WebSocket writes, as it passes by. Its buffer begins with what has not been written yet, and ends with a
/// whole frame.
#[derive(Debug, Default)]
pub(crate) struct Passing {
    /// Bytes at the beginning of the buffer that were seen before.
    seen: usize,
    /// Counted packets among them, since they were asked for last.
    counted: usize,
    /// It has said that it ends.
    ends: bool,
}

impl Passing {
    /// Looks at what is to be written.
    pub(crate) fn see(&mut self, buffer: &[u8]) {
        let mut rest = buffer.get(self.seen..).unwrap_or_default();
        while let Some((kind, payload)) = frame(&mut rest) {
            match (kind, payload) {
                // Engine.IO's own end, and the WebSocket's.
                (CLOSE, _) | (TEXT, b"1") => self.ends = true,
                (TEXT, packet) if is_counted(packet) => self.counted += 1,
                _ => {}
            }
        }
        self.seen = buffer.len();
    }

    /// So much of the buffer was written.
    pub(crate) fn written(&mut self, bytes: usize) {
        self.seen = self.seen.saturating_sub(bytes);
    }

    /// How many counted packets passed, when all has been written.
    pub(crate) fn take_counted(&mut self) -> usize {
        std::mem::take(&mut self.counted)
    }

    /// Whether the WebSocket has said that it ends: nothing may follow.
    pub(crate) fn ends(&self) -> bool {
        self.ends
    }
}

/// The next frame: its first byte, and what it carries.
fn frame<'a>(rest: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let kind = rest.try_get_u8().ok()?;
    let length = match rest.try_get_u8().ok()? {
        126 => usize::from(rest.try_get_u16().ok()?),
        127 => usize::try_from(rest.try_get_u64().ok()?).ok()?,
        length => usize::from(length),
    };
    let (payload, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some((kind, payload))
}

#[cfg(test)]
mod tests {
    use tokio_tungstenite::tungstenite::protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    };

    use super::*;

    fn theirs(frame: Frame) -> Vec<u8> {
        let mut bytes = Vec::new();
        frame.format(&mut bytes).unwrap();
        bytes
    }

    fn text(payload: impl Into<Vec<u8>>) -> Vec<u8> {
        theirs(Frame::message(payload.into(), OpCode::Data(Data::Text), true))
    }

    #[test]
    fn frames_are_those_of_the_library() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, 100_000] {
            let payload = vec![b'a'; length];
            let mut ours = Vec::new();
            text_head(&mut ours, length);
            ours.put_slice(&payload);
            assert_eq!(ours, text(payload), "{length}");
        }
    }

    #[test]
    fn events_and_acknowledgements_are_counted_once_however_they_are_written() {
        let long = format!("42[\"{}\"]", "x".repeat(70_000));
        let packets = ["2", "42[\"a\"]", "40{}", &long, "431[]", "42/chat,[\"b\"]", "6"];
        let mut passing = Passing::default();
        let mut buffer = Vec::new();
        for packet in packets {
            buffer.extend(text(packet));
            passing.see(&buffer);
            // A part of it is written, from the middle of one frame to the middle of another.
            let part = buffer.len() / 2;
            buffer.drain(..part);
            passing.written(part);
        }
        passing.see(&buffer);
        passing.written(buffer.len());
        assert_eq!((passing.take_counted(), passing.take_counted()), (4, 0));
        passing.see(&text("42[]"));
        assert_eq!((passing.take_counted(), passing.ends()), (1, false));
    }

    #[test]
    fn the_end_is_seen() {
        for end in [text("1"), theirs(Frame::close(None))] {
            let mut passing = Passing::default();
            passing.see(&[text("42[]"), end].concat());
            assert!(passing.ends());
        }
    }
}
