//! The text of a message, which says who sent it when, and which one of theirs it is.

/// Bytes of a text.
const LENGTH: usize = 100;
/// `00001-0000000001-0000000000000001-` before the filling.
const HEAD: usize = 34;

/// What a message's text says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Body {
    /// The sender's number.
    pub(crate) sender: usize,
    /// 1 for the sender's first message in the conversation.
    pub(crate) number: u64,
    /// The generator's clock when it was sent, in microseconds.
    pub(crate) sent: u64,
}

impl Body {
    /// The text, of 100 bytes.
    pub(crate) fn text(self) -> String {
        let Self { sender, number, sent } = self;
        format!("{sender:05}-{number:010}-{sent:016}-{:x>1$}", "", LENGTH - HEAD)
    }

    /// Reads a text that begins so.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let field = |from: usize, to: usize| text.get(from..to)?.parse().ok();
        let sender = field(0, 5)? as usize;
        Some(Self { sender, number: field(6, 16)?, sent: field(17, 33)? })
    }

    /// The texts in a frame, each of which follows `mark`. The frame is not parsed: there are very many of them.
    pub(crate) fn all<'a>(frame: &'a str, mark: &'a str) -> impl Iterator<Item = Self> + 'a {
        frame.match_indices(mark).filter_map(|(at, _)| Self::read(&frame[at + mark.len()..]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NATIVE: &str = r#""body":""#;

    #[test]
    fn a_text_has_100_bytes_and_is_read_back_from_frames_of_both_dialects() {
        let body = Body { sender: 7, number: 42, sent: 1_234_567 };
        let other = Body { number: 43, ..body };
        let text = body.text();
        assert_eq!(text.len(), LENGTH);
        let native = format!(
            r#"{{"type":"changes","messages":[{{"kind":"text","body":"{text}"}},{{"body":"{}"}}]}}"#,
            other.text()
        );
        assert_eq!(Body::all(&native, NATIVE).collect::<Vec<_>>(), [body, other]);
        let socketio = format!(r#"42["message",{{"id":"1","content":"{text}"}}]"#);
        assert_eq!(Body::all(&socketio, r#""content":""#).collect::<Vec<_>>(), [body]);
        assert_eq!(Body::all(r#"{"type":"text","body":"hello"}"#, NATIVE).count(), 0);
    }
}
