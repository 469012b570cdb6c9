//! What the engine answers, as JSON. The same over the WebSocket and REST.

use parlor_core::{
    Timestamp,
    command::Reply,
    model::{Cursor, Message, MessageId, PresenceInfo, Profile},
};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

/// What a send is answered: the message's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sent {
    /// The message.
    pub message_id: MessageId,
    /// Its number, unique in the store.
    pub number: u64,
    /// Its place in the conversation.
    pub seq: u64,
    /// The conversation's rev at which it was sent.
    pub rev: u64,
    /// When it was sent.
    pub created_at: Timestamp,
    /// It had been sent before with the same `client_id` and content.
    pub replayed: bool,
}

impl Sent {
    pub(crate) fn new(message: &Message, replayed: bool) -> Self {
        Self {
            message_id: message.id,
            number: message.number,
            seq: message.seq,
            rev: message.rev,
            created_at: message.created_at,
            replayed,
        }
    }
}

/// Messages, such as the pinned ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MessageList {
    /// The messages.
    pub messages: Vec<Message>,
}

/// How far the members have read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CursorList {
    /// One for each member who does not keep it private.
    pub cursors: Vec<Cursor>,
}

/// Who is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PresenceList {
    /// One for each user.
    pub users: Vec<PresenceInfo>,
}

/// Profiles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProfileList {
    /// One for each user who has one.
    pub profiles: Vec<Profile>,
}

/// An object without fields.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Empty {}

/// A reply that is written as its JSON.
#[derive(Debug)]
pub(crate) struct Answer(pub(crate) Reply);

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "snake_case")]
        enum List<'a> {
            Messages(&'a [Message]),
            Cursors(&'a [Cursor]),
            Users(&'a [PresenceInfo]),
            Profiles(&'a [Profile]),
        }
        match &self.0 {
            Reply::Sent { message, replayed } => {
                Sent::new(message, *replayed).serialize(serializer)
            }
            Reply::Message(message) => message.serialize(serializer),
            Reply::Conversation(summary) => summary.serialize(serializer),
            Reply::State(state) => state.serialize(serializer),
            Reply::Conversations(page) => page.serialize(serializer),
            Reply::Members(page) => page.serialize(serializer),
            Reply::History(page) => page.serialize(serializer),
            Reply::Changes(changes) => changes.serialize(serializer),
            Reply::Unread(total) => total.serialize(serializer),
            // A newtype variant is written as an object of one field.
            Reply::Messages(messages) => List::Messages(messages).serialize(serializer),
            Reply::Cursors(cursors) => List::Cursors(cursors).serialize(serializer),
            Reply::Presence(users) => List::Users(users).serialize(serializer),
            Reply::Profiles(profiles) => List::Profiles(profiles).serialize(serializer),
            _ => Empty {}.serialize(serializer),
        }
    }
}
