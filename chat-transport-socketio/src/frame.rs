//! What an event is on the wire of a contract: several Socket.IO events, each with whom it is for. Packed
//! into one `Bytes`, so that all connections share it, and ready to be written to a WebSocket.

use bytes::Bytes;
use parlor_core::model::{Member, UserId};
use serde_json::Value;

use crate::{
    emit::{Emit, Room, Side},
    websocket,
};

/// That something has to be looked up before the event can be written.
pub(crate) const UNWRITTEN: Bytes = Bytes::from_static(&[UNWRITTEN_TAG]);
/// Nothing for this contract's clients, but the connection itself has to see the event.
pub(crate) const SILENT: Bytes = Bytes::from_static(&[]);

const UNWRITTEN_TAG: u8 = 0xFF;
const JOINED: u8 = 1;
const NOT_JOINED: u8 = 2;
const NOT_LEFT: u8 = 3;
const ROOM: u8 = 3;
const NOT_ITS_SENDER: u8 = 4;
const ONLINE: u8 = 8;
const OFFLINE: u8 = 16;
const SENDER: u8 = 32;
const OTHERS: u8 = 64;
const ONLY: u8 = 128;

/// One Socket.IO event of a frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part<'a> {
    pub(crate) room: Room,
    /// Whose coming or going it tells.
    pub(crate) presence: Option<(&'a str, bool)>,
    /// Who sent the message that it tells, where it is for them alone (`true`) or for the others.
    pub(crate) sender: Option<(&'a str, bool)>,
    /// The users to whom it is news, where it is not news to all.
    pub(crate) only: Option<Vec<&'a str>>,
    /// The key of the message that it tells, where the socket that sent it is not told.
    pub(crate) sender_key: Option<&'a str>,
    pub(crate) event: &'a str,
    /// Its argument as JSON.
    pub(crate) json: &'a str,
    /// The whole as a WebSocket frame.
    pub(crate) packet: &'a [u8],
}

/// What decides for whom an event is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct About<'a> {
    /// Who came or went.
    pub(crate) presence: Option<(&'a UserId, bool)>,
    /// Who sent the message.
    pub(crate) sender: Option<&'a UserId>,
    /// The message's key.
    pub(crate) key: Option<&'a str>,
    /// To whom alone it is news.
    pub(crate) only: Option<&'a [Member]>,
}

/// Packs events one after the other.
#[derive(Debug)]
pub(crate) struct Writer {
    packed: Vec<u8>,
    namespace: &'static str,
}

impl Writer {
    /// For clients of this namespace.
    pub(crate) fn new(namespace: &'static str) -> Self {
        Self { packed: Vec::new(), namespace }
    }

    pub(crate) fn push(&mut self, emit: &Emit, about: About<'_>) {
        let About { presence, sender, key, only } = about;
        let to = emit.to();
        let sender = match (to.side, sender) {
            (Side::Any, _) | (Side::Others, None) => None,
            (Side::Sender, None) => return,
            (Side::Sender, Some(sender)) => Some((sender, SENDER)),
            (Side::Others, Some(sender)) => Some((sender, OTHERS)),
        };
        let mut tag = match to.room {
            Room::Any => 0,
            Room::Joined => JOINED,
            Room::NotJoined => NOT_JOINED,
            Room::NotLeft => NOT_LEFT,
        };
        let key = key.filter(|_| to.not_its_sender);
        if key.is_some() {
            tag |= NOT_ITS_SENDER;
        }
        tag |= match presence {
            Some((_, true)) => ONLINE,
            Some((_, false)) => OFFLINE,
            None => 0,
        };
        tag |= sender.map_or(0, |(_, side)| side);
        tag |= only.map_or(0, |_| ONLY);
        self.packed.push(tag);
        if let Some((user, _)) = presence {
            self.text(user.as_str());
        }
        if let Some((sender, _)) = sender {
            self.text(sender.as_str());
        }
        if let Some(users) = only {
            self.number(users.len());
            users.iter().for_each(|member| self.text(member.user_id.as_str()));
        }
        if let Some(key) = key {
            self.text(key);
        }
        let json = emit.data().to_string();
        self.text(emit.event());
        self.number(json.len());
        self.packet(emit.event(), &json);
    }

    /// The event as socketioxide writes it, in a WebSocket frame.
    fn packet(&mut self, event: &str, json: &str) {
        let namespace = match self.namespace.trim_start_matches('/') {
            "" => String::new(),
            name => format!("/{name},"),
        };
        let text = format!("42{namespace}[{},{json}]", Value::from(event));
        let mut packet = Vec::with_capacity(text.len() + 10);
        websocket::text_head(&mut packet, text.len());
        packet.extend_from_slice(text.as_bytes());
        self.bytes(&packet);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len());
        self.packed.extend_from_slice(bytes);
    }

    fn number(&mut self, number: usize) {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        self.packed.extend_from_slice(&number.to_le_bytes());
    }

    pub(crate) fn finish(self) -> Bytes {
        self.packed.into()
    }
}

/// Whether a frame still has to be written.
pub(crate) fn is_unwritten(frame: &[u8]) -> bool {
    frame == [UNWRITTEN_TAG]
}

/// The events of a frame. Ends at what was not written by [`Writer`].
pub(crate) fn parts(frame: &[u8]) -> impl Iterator<Item = Part<'_>> {
    let mut rest = frame;
    std::iter::from_fn(move || {
        let (&tag, after) = rest.split_first()?;
        rest = after;
        let presence = match tag & (ONLINE | OFFLINE) {
            0 => None,
            direction => Some((text(&mut rest)?, direction == ONLINE)),
        };
        let room = match tag & ROOM {
            JOINED => Room::Joined,
            NOT_JOINED => Room::NotJoined,
            NOT_LEFT => Room::NotLeft,
            _ => Room::Any,
        };
        let sender = match tag & (SENDER | OTHERS) {
            0 => None,
            side => Some((text(&mut rest)?, side == SENDER)),
        };
        let only = match tag & ONLY {
            0 => None,
            _ => {
                let users = number(&mut rest)?;
                Some((0..users).map(|_| text(&mut rest)).collect::<Option<Vec<_>>>()?)
            }
        };
        let sender_key = match tag & NOT_ITS_SENDER {
            0 => None,
            _ => Some(text(&mut rest)?),
        };
        let event = text(&mut rest)?;
        let length = number(&mut rest)?;
        let packet = bytes(&mut rest)?;
        // It ends with the argument and a bracket.
        let end = packet.len().checked_sub(1)?;
        let json = std::str::from_utf8(packet.get(end.checked_sub(length)?..end)?).ok()?;
        Some(Part { room, presence, sender, only, sender_key, event, json, packet })
    })
}

fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    std::str::from_utf8(bytes(rest)?).ok()
}

fn bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = number(rest)?;
    let (bytes, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(bytes)
}

fn number(rest: &mut &[u8]) -> Option<usize> {
    let (number, after) = rest.split_at_checked(4)?;
    *rest = after;
    usize::try_from(u32::from_le_bytes(number.try_into().ok()?)).ok()
}

#[cfg(test)]
mod tests {
    use parlor_core::{Timestamp, model::Role};
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_packed_comes_out() {
        let ann = UserId::new("ann").unwrap();
        let sent = About { sender: Some(&ann), key: Some("k"), ..About::default() };
        let comes = |online| About { presence: Some((&ann, online)), ..About::default() };
        let mut writer = Writer::new("/");
        let a = Emit::new("a", json!({ "x": "ä\n" })).to_joined().not_to_its_sender();
        writer.push(&a, sent);
        writer.push(&Emit::new("b", json!(null)).to_not_joined(), sent);
        writer.push(&Emit::new("c", json!([1])), comes(true));
        writer.push(&Emit::new("d", json!(0)), comes(false));
        writer.push(&Emit::new("e", json!(0)).to_not_left(), About::default());
        let new = Member { user_id: ann.clone(), role: Role::Member, joined_at: Timestamp::MAX };
        let only = About { only: Some(&[new]), ..About::default() };
        writer.push(&Emit::new("f", json!(0)), only);
        let frame = writer.finish();
        assert!(!is_unwritten(&frame));
        let parts: Vec<_> = parts(&frame).collect();
        assert_eq!((parts.len(), parts[4].room), (6, Room::NotLeft));
        assert_eq!((&parts[4].only, &parts[5].only), (&None, &Some(vec!["ann"])));
        assert_eq!((parts[0].room, parts[0].sender_key), (Room::Joined, Some("k")));
        assert_eq!((parts[0].event, parts[0].json), ("a", "{\"x\":\"ä\\n\"}"));
        assert_eq!((parts[1].room, parts[1].sender_key), (Room::NotJoined, None));
        assert_eq!(parts[2].presence, Some(("ann", true)));
        assert_eq!(parts[3].presence, Some(("ann", false)));
        assert_eq!(parts[3].json, "0");
    }

    #[test]
    fn an_event_is_for_the_sender_or_for_the_others() {
        let ann = UserId::new("ann").unwrap();
        let sent = About { sender: Some(&ann), key: Some("k"), ..About::default() };
        let mut writer = Writer::new("/");
        let own = Emit::new("own", json!(1)).to_sender().not_to_its_sender();
        let news = Emit::new("news", json!(2)).to_joined().to_others();
        for about in [sent, About::default()] {
            writer.push(&own, about);
            writer.push(&news, about);
        }
        let frame = writer.finish();
        let parts: Vec<_> = parts(&frame).map(|it| (it.event, it.sender, it.sender_key)).collect();
        let expected = [
            ("own", Some(("ann", true)), Some("k")),
            ("news", Some(("ann", false)), None),
            ("news", None, None),
        ];
        assert_eq!(parts, expected, "the host has no devices");
    }

    #[test]
    fn what_was_not_packed_is_no_event() {
        assert!(is_unwritten(&UNWRITTEN));
        assert_eq!(parts(&SILENT).count(), 0);
        assert_eq!(parts(&[0, 9, 0, 0, 0, b'a']).count(), 0);
    }
}
