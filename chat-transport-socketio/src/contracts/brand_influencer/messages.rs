//! Messages and conversations as clients of this contract write and read them.

use parlor_core::{
    Caller, Chat, Error, Invalid,
    model::{
        Attachment, ClientId, ConversationId, ConversationSummary, Message, MessageKind,
        NewMessage, UserId,
    },
    store::MessageRef,
};
use serde::{Deserialize, Deserializer, de};
use serde_json::{Value, json};
use uuid::Uuid;

use super::people::{id_and_type, profile_value};
use crate::{Place, numbers::Number};

/// Longest id that a client may give a message of its own, in bytes.
const TEMP_ID_BYTES: usize = 128;
/// Keys of messages are made in it.
const KEYS: Uuid = Uuid::from_u128(0x7f0c_9a52_64b3_4c1e_9d0b_2f6e_83c1_5a47);

/// A message that a client sends.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sending {
    pub(super) conversation_id: Number,
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    message_type: Option<String>,
    #[serde(default)]
    temp_id: Option<TempId>,
    #[serde(default)]
    attachment_url: Option<String>,
    #[serde(default)]
    attachment_name: Option<String>,
}

/// The id that a client gave its message until it knows the real one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TempId(Value);

impl TempId {
    /// Only what can be one: a number, or a text that is not too long.
    fn new(value: Value) -> Option<Self> {
        match &value {
            Value::Number(_) => Some(Self(value)),
            Value::String(text) if text.len() <= TEMP_ID_BYTES => Some(Self(value)),
            _ => None,
        }
    }

    /// The one in a payload, as it came; `null` when there is none.
    pub(super) fn in_payload(payload: Option<&Value>) -> Value {
        let value = payload.and_then(|payload| payload.get("tempId")).cloned();
        value.and_then(Self::new).map_or(Value::Null, |id| id.0)
    }
}

impl<'de> Deserialize<'de> for TempId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = || format!("must be a number, or a text of at most {TEMP_ID_BYTES} bytes");
        Self::new(Value::deserialize(deserializer)?).ok_or_else(|| de::Error::custom(wrong()))
    }
}

impl Sending {
    /// The client's own id, as it came.
    pub(super) fn temp_id(&self) -> Value {
        self.temp_id.as_ref().map_or(Value::Null, |id| id.0.clone())
    }

    /// The message for the engine.
    pub(super) fn into_message(self) -> Result<NewMessage, Error> {
        let kind = match self.message_type.as_deref() {
            None | Some("text") => MessageKind::Text,
            Some("image") => MessageKind::Image,
            Some("file") => MessageKind::File,
            Some(_) => {
                return Err(Invalid::new("messageType", "must be text, image or file").into());
            }
        };
        let client_id = self.key(&kind)?;
        let attachments = match (self.attachment_url, self.attachment_name) {
            (Some(url), name) => vec![Attachment { url, name, media_type: None, size: None }],
            (None, Some(_)) => {
                return Err(Invalid::new("attachmentName", "needs an attachmentUrl").into());
            }
            (None, None) => Vec::new(),
        };
        let body = self.content.unwrap_or_default();
        Ok(NewMessage { client_id, kind, body, attachments, ..NewMessage::default() })
    }

    /// Of the client's own id and the content: the same twice is one message, and the id alone used again
    /// is another one.
    fn key(&self, kind: &MessageKind) -> Result<Option<ClientId>, Error> {
        let Some(TempId(id)) = &self.temp_id else { return Ok(None) };
        let files = (&self.attachment_url, &self.attachment_name);
        let said = json!([id, kind.as_text(), self.content, files]).to_string();
        Ok(Some(ClientId::new(Uuid::new_v5(&KEYS, said.as_bytes()).to_string())?))
    }
}

pub(super) fn message_value(message: &Message, place: &Place, is_read: bool) -> Value {
    let attachment = message.attachments.first();
    let sender = message.sender_id.as_ref();
    json!({
        "id": message.number,
        "conversationId": place.conversation().number,
        "sender": sender.map(|user| profile_value(user, Some(message), place)),
        "senderType": sender.map(|user| id_and_type(user).1),
        "messageType": message.kind,
        "content": message.body,
        "isRead": is_read,
        "createdAt": message.created_at,
        "attachmentUrl": attachment.map(|it| &it.url),
        "attachmentName": attachment.and_then(|it| it.name.as_ref()),
    })
}

/// An entry of the list of the one who is not `peer`.
pub(super) fn conversation_value(
    entry: &ConversationSummary,
    peer: &UserId,
    place: &Place,
    is_read: bool,
) -> Value {
    let conversation = &entry.conversation;
    let (peer_id, peer_type) = id_and_type(peer);
    let last = entry.last_message.as_ref().filter(|message| !message.is_deleted());
    json!({
        "id": conversation.number,
        "participantId": peer_id,
        "participantType": peer_type,
        "participant": profile_value(peer, None, place),
        "unreadCount": entry.me.unread,
        "lastMessage": last.map(|message| message_value(message, place, is_read)),
        "lastMessageAt": last.map(|message| message.created_at),
        "createdAt": conversation.created_at,
        "updatedAt": conversation.last_activity_at,
    })
}

/// Marks as read up to a message, or all of them, and gives the number of the last one.
pub(super) async fn mark_read(
    chat: &Chat,
    caller: &Caller,
    conversation_id: ConversationId,
    message: Option<Number>,
) -> Result<Option<u64>, Error> {
    let entry = caller.conversation(conversation_id).await?;
    let (seq, number) = match message {
        Some(Number(number)) => match chat.locate(MessageRef::Number(number)).await {
            Ok((found_in, _, seq)) if found_in == conversation_id => (seq, Some(number)),
            Ok(_) | Err(Error::NotFound) => {
                let reason = "is not a message of this conversation";
                return Err(Invalid::new("messageId", reason).into());
            }
            Err(error) => return Err(error),
        },
        None => (entry.conversation.last_seq, entry.last_message.as_ref().map(|last| last.number)),
    };
    caller.mark_read(conversation_id, seq).await?;
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(payload: Value) -> Result<NewMessage, Error> {
        serde_json::from_value::<Sending>(payload).unwrap().into_message()
    }

    fn key(payload: Value) -> String {
        message(payload).unwrap().client_id.unwrap().as_str().to_owned()
    }

    #[test]
    fn the_same_id_and_content_is_one_key_and_anything_else_another() {
        let one = json!({ "conversationId": 1, "content": "hi", "tempId": 5 });
        assert_eq!(key(one.clone()), key(one.clone()));
        for (field, other) in [
            ("content", json!("ho")),
            ("tempId", json!(6)),
            ("tempId", json!("5")),
            ("attachmentUrl", json!("https://example.com/a")),
        ] {
            let mut changed = one.clone();
            changed[field] = other;
            assert_ne!(key(changed), key(one.clone()), "{field}");
        }
        let keyless = message(json!({ "conversationId": 1, "content": "hi" })).unwrap();
        assert_eq!(keyless.client_id, None);
    }

    #[test]
    fn temp_ids_come_back_as_they_came_or_not_at_all() {
        let back = |id: Value| TempId::in_payload(Some(&json!({ "tempId": id })));
        for id in [json!(5), json!(1.5), json!("5"), json!("x".repeat(128))] {
            assert_eq!(back(id.clone()), id);
        }
        for id in [json!(null), json!([1]), json!({}), json!(true), json!("x".repeat(129))] {
            assert_eq!(back(id), Value::Null);
        }
        assert_eq!(TempId::in_payload(Some(&json!(7))), Value::Null);
    }
}
