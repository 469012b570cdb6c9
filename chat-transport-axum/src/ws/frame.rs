//! WebSocket frames from a server (RFC 6455, section 5.2): whole messages, not masked.

use bytes::{BufMut, BytesMut};

/// FIN, and the opcode of a text.
const TEXT: u8 = 0x81;

/// Writes a text message in one frame. `payload` is UTF-8.
pub(super) fn text(into: &mut BytesMut, payload: &[u8]) {
    into.put_u8(TEXT);
    match payload.len() {
        length @ 0..=125 => into.put_u8(length as u8),
        length @ 126..=0xffff => {
            into.put_u8(126);
            into.put_u16(length as u16);
        }
        length => {
            into.put_u8(127);
            into.put_u64(length as u64);
        }
    }
    into.put_slice(payload);
}

#[cfg(test)]
mod tests {
    use tokio_tungstenite::tungstenite::protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    };

    use super::*;

    #[test]
    fn frames_are_those_of_the_library() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, 100_000] {
            let payload = vec![b'a'; length];
            let mut ours = BytesMut::new();
            text(&mut ours, &payload);
            let mut theirs = Vec::new();
            Frame::message(payload, OpCode::Data(Data::Text), true).format(&mut theirs).unwrap();
            assert_eq!(ours, theirs, "{length}");
        }
    }
}
