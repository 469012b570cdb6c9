//! What these clients send, and how a message is written for them.

use parlor_core::{
    Error, Invalid,
    model::{Attachment, Message, MessageKind, NewMessage, UserId},
};
use serde::{Deserialize, Deserializer, de};
use serde_json::{Value, json};

use super::NOT_YOU;
use crate::{
    history::text_of,
    numbers::{Number, user_value},
};

#[derive(Deserialize)]
pub(super) struct SendMessage {
    #[serde(default)]
    pub(super) sender_id: Claimed,
    pub(super) conversation_id: Number,
    #[serde(default = "text")]
    message_type: String,
    content: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Join {
    pub(super) conversation_id: Number,
    #[serde(default)]
    pub(super) user_id: Claimed,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Leave {
    pub(super) conversation_id: Number,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Typing {
    pub(super) conversation_id: Number,
    #[serde(default)]
    pub(super) user_id: Claimed,
    pub(super) is_typing: bool,
}

/// The user whom a client says to be: it may be left out, and must not be somebody else.
#[derive(Default)]
pub(super) struct Claimed(Option<String>);

impl Claimed {
    /// # Errors
    /// [`Error::Invalid`] for the field, when it names somebody else.
    pub(super) fn is_caller(&self, field: &'static str, caller: &UserId) -> Result<(), Error> {
        match &self.0 {
            Some(claimed) if claimed != caller.as_str() => Err(Invalid::new(field, NOT_YOU).into()),
            _ => Ok(()),
        }
    }
}

impl<'de> Deserialize<'de> for Claimed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Null => Ok(Self(None)),
            value => id_text(&value).map(|id| Self(Some(id))).map_err(de::Error::custom),
        }
    }
}

/// A user's id, a number or a text.
pub(super) struct Participant(pub(super) UserId);

impl<'de> Deserialize<'de> for Participant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = id_text(&Value::deserialize(deserializer)?).map_err(de::Error::custom)?;
        UserId::new(id).map(Self).map_err(|invalid| de::Error::custom(invalid.reason))
    }
}

fn id_text(value: &Value) -> Result<String, &'static str> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) if number.is_u64() => Ok(number.to_string()),
        _ => Err("must be a user's id: a number or a text"),
    }
}

fn text() -> String {
    "text".to_owned()
}

impl SendMessage {
    /// The message, a file by its address. A type that is not known here is one of the host's own.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a type that nobody may send.
    pub(super) fn into_message(self) -> Result<NewMessage, Error> {
        let kind = match self.message_type.as_str() {
            "text" => MessageKind::Text,
            "image" => MessageKind::Image,
            "file" => MessageKind::File,
            "system" => MessageKind::System,
            own => MessageKind::Custom(own.to_owned()),
        };
        if self.content.trim().is_empty() {
            return Err(Invalid::new("content", "must not be blank").into());
        }
        Ok(match kind {
            MessageKind::Image | MessageKind::File => {
                let file = file_at(self.content);
                NewMessage { attachments: vec![file], ..NewMessage::default() }.with_kind(kind)
            }
            kind => NewMessage::text(self.content).with_kind(kind),
        })
    }
}

/// A file of which only the address is known.
pub(super) fn file_at(url: String) -> Attachment {
    Attachment { url, name: None, media_type: None, size: None }
}

/// A message as these clients read it. What is left of a deleted one has no content.
pub(super) fn message_value(message: &Message, conversation: u64) -> Value {
    let kind = message.kind.as_text();
    json!({
        "id": message.number,
        "conversation_id": conversation,
        "sender_id": message.sender_id.as_ref().map(user_value),
        "message_type": kind.strip_prefix("custom:").unwrap_or(&kind),
        "content": text_of(message),
        "created_at": message.created_at,
    })
}
