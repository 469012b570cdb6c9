//! The native protocol's JSON: events out, frames in.

use bytes::Bytes;
use parlor_core::{
    Codec, Resume,
    command::{
        AddMembers, Command, Edit, GetChanges, History, InConversation, ListConversations,
        ListMembers, OpenDirect, Send, UpdateConversation, UpdateSettings, Users,
    },
    event::Event,
    model::{ConversationPatch, MessageEdit, NewGroup, NewMessage, PresenceStatus, SettingsPatch},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    error::Refusal,
    head::{FrameId, Head, RawId},
};

/// Writes events as the JSON of the native protocol.
#[derive(Debug, Clone, Copy, Default)]
pub struct NativeCodec;

impl Codec for NativeCodec {
    fn name(&self) -> &'static str {
        "native"
    }

    fn encode(&self, event: &Event) -> Option<Bytes> {
        match serde_json::to_vec(event) {
            Ok(json) => Some(json.into()),
            Err(error) => {
                tracing::error!(event = event.name(), %error, "an event cannot be written as JSON");
                None
            }
        }
    }
}

/// A frame that a client sends.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ClientFrame {
    /// Says who the client is.
    Authenticate(Authenticate),
    /// Says what the device has.
    Resume(Resume),
    /// Watches users for presence.
    Watch(Users),
    /// Ends watches.
    Unwatch(Users),
    /// Says whether somebody looks.
    SetStatus(SetStatus),
    /// Asks for a sign of life.
    Ping,
    /// Asks the engine for something.
    Command(Box<Command>),
}

/// The content of `authenticate`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authenticate {
    /// A bearer token.
    pub token: String,
}

impl std::fmt::Debug for Authenticate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Tokens never reach a log.
        f.debug_struct("Authenticate").finish_non_exhaustive()
    }
}

/// The content of `set_status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetStatus {
    /// Online, away or busy.
    pub status: PresenceStatus,
}

/// A frame that a client sent, with the id under which it wants its answer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Framed {
    /// The answer's id; an answer to a frame without one is only given when it fails.
    pub id: Option<FrameId>,
    /// The frame.
    pub frame: ClientFrame,
}

/// A frame that cannot be understood.
#[derive(Debug)]
#[non_exhaustive]
pub struct Undecodable {
    /// The frame's id, where it could be read.
    pub id: Option<FrameId>,
    /// What is wrong with it, for the client.
    pub refusal: Refusal,
}

/// The types of the frames that clients send.
pub const CLIENT_TYPES: [&str; 37] = [
    "authenticate",
    "resume",
    "watch",
    "unwatch",
    "set_status",
    "ping",
    "send",
    "edit",
    "delete",
    "react",
    "pin",
    "open_direct",
    "create_group",
    "update_conversation",
    "add_members",
    "remove_member",
    "leave",
    "set_role",
    "update_settings",
    "hide",
    "clear",
    "mark_read",
    "mark_delivered",
    "mark_unread",
    "typing",
    "signal",
    "get_conversation",
    "list_conversations",
    "list_members",
    "history",
    "get_message",
    "list_pins",
    "get_changes",
    "list_cursors",
    "get_presence",
    "get_profiles",
    "unread_total",
];

/// Reads a frame.
///
/// # Errors
/// [`Undecodable`] with a refusal of the code `invalid` that names the field, where there is one.
pub fn decode(text: &str) -> Result<Framed, Undecodable> {
    let (head, broken) = Head::read(text);
    let id = match head.id {
        RawId::Absent => None,
        RawId::Given(id) => Some(id),
        RawId::Wrong => {
            let refusal =
                Refusal::invalid("id", "must be a string of at most 64 bytes or an integer");
            return Err(Undecodable { id: None, refusal });
        }
    };
    if let Some(error) = broken {
        return Err(Undecodable { id, refusal: Refusal::from_json(&error, None) });
    }
    let Some(kind) = head.kind else {
        return Err(Undecodable {
            id,
            refusal: Refusal::invalid("type", "must be there, as text"),
        });
    };
    match content(&kind, text) {
        Ok(frame) => Ok(Framed { id, frame }),
        Err(refusal) => Err(Undecodable { id, refusal }),
    }
}

fn content(kind: &str, text: &str) -> Result<ClientFrame, Refusal> {
    let command = match kind {
        "authenticate" => return read(text).map(ClientFrame::Authenticate),
        "resume" => return read(text).map(ClientFrame::Resume),
        "watch" => return read(text).map(ClientFrame::Watch),
        "unwatch" => return read(text).map(ClientFrame::Unwatch),
        "set_status" => return read(text).map(ClientFrame::SetStatus),
        "ping" => return Ok(ClientFrame::Ping),
        "send" => Command::Send(read_send(text)?),
        "edit" => Command::Edit(read_edit(text)?),
        "delete" => Command::Delete(read(text)?),
        "react" => Command::React(read(text)?),
        "pin" => Command::Pin(read(text)?),
        "open_direct" => Command::OpenDirect(read::<OpenDirect>(text)?),
        "create_group" => Command::CreateGroup(read::<NewGroup>(text)?),
        "update_conversation" => {
            let InConversation { conversation_id } = read(text)?;
            let patch = read::<ConversationPatch>(text)?;
            Command::UpdateConversation(UpdateConversation { conversation_id, patch })
        }
        "add_members" => Command::AddMembers(read::<AddMembers>(text)?),
        "remove_member" => Command::RemoveMember(read(text)?),
        "leave" => Command::Leave(read(text)?),
        "set_role" => Command::SetRole(read(text)?),
        "update_settings" => {
            let InConversation { conversation_id } = read(text)?;
            let patch = read::<SettingsPatch>(text)?;
            Command::UpdateSettings(UpdateSettings { conversation_id, patch })
        }
        "hide" => Command::Hide(read(text)?),
        "clear" => Command::Clear(read(text)?),
        "mark_read" => Command::MarkRead(read(text)?),
        "mark_delivered" => Command::MarkDelivered(read(text)?),
        "mark_unread" => Command::MarkUnread(read(text)?),
        "typing" => Command::Typing(read(text)?),
        "signal" => Command::Signal(read(text)?),
        "get_conversation" => Command::GetConversation(read(text)?),
        "list_conversations" => Command::ListConversations(read::<ListConversations>(text)?),
        "list_members" => Command::ListMembers(read::<ListMembers>(text)?),
        "history" => Command::History(read::<History>(text)?),
        "get_message" => Command::GetMessage(read(text)?),
        "list_pins" => Command::ListPins(read(text)?),
        "get_changes" => Command::GetChanges(read::<GetChanges>(text)?),
        "list_cursors" => Command::ListCursors(read(text)?),
        "get_presence" => Command::GetPresence(read(text)?),
        "get_profiles" => Command::GetProfiles(read(text)?),
        "unread_total" => Command::UnreadTotal,
        _ => {
            let reason = format!("must be one of {}", CLIENT_TYPES.join(", "));
            return Err(Refusal::invalid("type", reason));
        }
    };
    Ok(ClientFrame::Command(Box::new(command)))
}

// Where a command flattens another struct, the two are read one after the other: through `flatten`,
// serde loses the path to the field at fault.

fn read_send(text: &str) -> Result<Send, Refusal> {
    let InConversation { conversation_id } = read(text)?;
    Ok(Send { conversation_id, message: read_new_message(text)? })
}

/// Reads a message of a client, who must name an idempotency key.
pub(crate) fn read_new_message(text: &str) -> Result<NewMessage, Refusal> {
    let message = read::<NewMessage>(text)?;
    if message.client_id.is_none() {
        return Err(Refusal::invalid("client_id", "is required: a retry is told by it"));
    }
    Ok(message)
}

fn read_edit(text: &str) -> Result<Edit, Refusal> {
    let parlor_core::command::InMessage { conversation_id, message_id } = read(text)?;
    Ok(Edit { conversation_id, message_id, edit: read::<MessageEdit>(text)? })
}

/// Reads JSON and says which field is at fault when it cannot.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, Refusal> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        Refusal::from_json(error.inner(), Some(&path))
    })?;
    json.end().map_err(|error| Refusal::from_json(&error, None))?;
    Ok(value)
}
