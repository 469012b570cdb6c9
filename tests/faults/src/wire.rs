//! The frames of docs/protocol.md, as far as a client looks at them.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// A frame from the server. Which fields there are depends on the type.
#[derive(Debug, Deserialize)]
pub(crate) struct Frame<'a> {
    #[serde(rename = "type", borrow)]
    pub(crate) kind: Cow<'a, str>,
    pub(crate) id: Option<u64>,
    #[serde(default)]
    pub(crate) result: Value,
    pub(crate) error: Option<Refusal>,
    pub(crate) epoch: Option<Uuid>,
    pub(crate) conversation_id: Option<Uuid>,
    pub(crate) rev: Option<u64>,
    pub(crate) message: Option<Message>,
    // Of `reaction.changed`.
    pub(crate) seq: Option<u64>,
    pub(crate) key: Option<String>,
    pub(crate) count: Option<u32>,
    // Of `changes`.
    pub(crate) since_rev: Option<u64>,
    #[serde(default)]
    pub(crate) messages: Vec<Message>,
    #[serde(default)]
    pub(crate) revised: Vec<Message>,
    pub(crate) through_rev: Option<u64>,
    pub(crate) next: Option<String>,
    // Of `conversation.added`.
    pub(crate) summary: Option<Entry>,
    // Of `member.changed`.
    pub(crate) state: Option<MemberState>,
    // Of `presence`.
    #[serde(default)]
    pub(crate) users: Vec<Presence>,
}

/// Why something failed.
#[derive(Debug, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) retryable: bool,
}

/// A message.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Message {
    pub(crate) id: Uuid,
    pub(crate) seq: u64,
    pub(crate) client_id: Option<String>,
    pub(crate) body: String,
    pub(crate) deleted_at: Option<String>,
    #[serde(default)]
    pub(crate) reactions: Vec<Reaction>,
}

/// How often a message got one reaction.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Reaction {
    pub(crate) key: String,
    pub(crate) count: u32,
}

/// An entry of a list of conversations.
#[derive(Debug, Deserialize)]
pub(crate) struct Entry {
    pub(crate) conversation: Conversation,
    pub(crate) me: MemberState,
}

/// A conversation.
#[derive(Debug, Deserialize)]
pub(crate) struct Conversation {
    pub(crate) id: Uuid,
    pub(crate) rev: u64,
    pub(crate) last_seq: u64,
}

/// A member's own state.
#[derive(Debug, Deserialize)]
pub(crate) struct MemberState {
    pub(crate) member_rev: u64,
    pub(crate) read_seq: u64,
    pub(crate) unread: u64,
}

/// Whether a user is there.
#[derive(Debug, Deserialize)]
pub(crate) struct Presence {
    pub(crate) user_id: String,
    pub(crate) status: String,
}

/// A send, named over the whole run: by whom, and the how-manieth of theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SendKey {
    pub(crate) client: u32,
    pub(crate) number: u32,
}

impl SendKey {
    /// The idempotency key on the wire.
    pub(crate) fn client_id(self) -> String {
        format!("{}-{}", self.client, self.number)
    }

    /// What the message says after it was edited.
    pub(crate) fn correction(self) -> String {
        format!("{} corrected", self.client_id())
    }

    fn parse(text: &str) -> Option<Self> {
        let (client, number) = text.split_once('-')?;
        Some(Self { client: client.parse().ok()?, number: number.parse().ok()? })
    }
}

/// What is compared of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) id: Uuid,
    /// Absent for a message that no client of ours sent.
    pub(crate) send: Option<SendKey>,
    pub(crate) text: Text,
    /// How often it got each reaction.
    pub(crate) reactions: BTreeMap<String, u32>,
}

/// A text by its hash, for there are millions of copies; or that it was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Text {
    Says(u64),
    Deleted,
}

impl Text {
    pub(crate) fn of(body: &str) -> Self {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        Self::Says(hasher.finish())
    }
}

impl From<Message> for Held {
    fn from(message: Message) -> Self {
        let text = match message.deleted_at {
            Some(_) => Text::Deleted,
            None => Text::of(&message.body),
        };
        let reactions = message.reactions.into_iter();
        Self {
            id: message.id,
            send: message.client_id.as_deref().and_then(SendKey::parse),
            text,
            reactions: reactions.map(|reaction| (reaction.key, reaction.count)).collect(),
        }
    }
}

/// The user of a client.
pub(crate) fn user(client: u32) -> String {
    format!("user-{client}")
}

/// A command for the server, still without its `id`.
pub(crate) fn command(kind: &str, conversation: Uuid, mut fields: Value) -> Value {
    fields["type"] = kind.into();
    fields["conversation_id"] = json!(conversation);
    fields
}
