//! Conversations between two people, with UUIDs, typing, presence and read marks.

use async_trait::async_trait;
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post, put},
};
use parlor_core::{
    Error,
    command::{Command, Reply},
    model::{ConversationId, ConversationSummary, Direct, Message, MessageId, NewMessage, UserId},
    store::MessageRef,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::renamed;
use crate::{
    Client, Contract, Emit, Incoming, Told,
    history::{self, Readers, text_of},
    rest::{Asker, At, Failure, Payload, Rest, Window},
};

/// Conversations between two people: `sendMessage`, `message`, `typing`, `markAsRead`, and the routes under `/chat`.
///
/// Everybody is in a room of their own, so messages come without joining. Ids are UUIDs. To mark a message
/// as read marks everything before it as well. Of groups these clients are told nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Connections;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SendMessage {
    conversation_id: ConversationId,
    content: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TypingNow {
    conversation_id: ConversationId,
    is_typing: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JoinConversation {
    conversation_id: ConversationId,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MarkAsRead {
    message_id: MessageId,
}

#[async_trait]
impl Contract for Connections {
    fn name(&self) -> &'static str {
        "connections"
    }

    async fn received(&self, client: &Client, event: Incoming) -> Result<Value, Error> {
        match event.name() {
            "sendMessage" => {
                let SendMessage { conversation_id, content } = event.read()?;
                let message = NewMessage::text(content);
                let sent = client.send(conversation_id, message).await.map_err(in_our_words)?;
                Ok(message_value(&sent, false))
            }
            "typing" => {
                let TypingNow { conversation_id, is_typing } = event.read()?;
                client.typing(conversation_id, is_typing).await?;
                Ok(json!({ "conversationId": conversation_id, "isTyping": is_typing }))
            }
            "joinConversation" => {
                let JoinConversation { conversation_id } = event.read()?;
                client.join(conversation_id).await?;
                Ok(json!({ "conversationId": conversation_id }))
            }
            "markAsRead" => {
                let MarkAsRead { message_id } = event.read()?;
                let at = client.chat().locate(MessageRef::Id(message_id)).await?;
                client.caller().mark_read(at.0, at.2).await?;
                Ok(json!({ "messageId": message_id }))
            }
            _ => Err(event.unknown()),
        }
    }

    fn outgoing(&self, told: &Told<'_>) -> Vec<Emit> {
        let emit = match told {
            Told::Sent { message, place } if place.conversation().direct.is_some() => {
                Emit::new("message", message_value(message, false))
            }
            Told::Typing { place, user_id, on } if place.conversation().direct.is_some() => {
                let id = place.conversation().id;
                let typing = json!({ "conversationId": id, "userId": user_id, "isTyping": on });
                Emit::new("typing", typing)
            }
            Told::Read { place, message, .. } if place.conversation().direct.is_some() => {
                Emit::new("messageRead", json!({ "messageId": message.id }))
            }
            Told::Online { user_id } => Emit::new("userOnline", json!({ "userId": user_id })),
            Told::Offline { user_id } => Emit::new("userOffline", json!({ "userId": user_id })),
            _ => return Vec::new(),
        };
        vec![emit]
    }

    fn routes(&self, rest: Rest) -> Router {
        Router::new()
            .route("/chat/conversations", post(open).get(list))
            .route("/chat/conversations/{id}/messages", get(messages))
            .route("/chat/unread-count", get(unread_count))
            .route("/chat/messages/{id}/read", put(mark_as_read))
            .with_state(rest)
    }
}

/// What clients of this contract call the engine's fields.
fn in_our_words(error: Error) -> Error {
    renamed(error, &[("body", "content"), ("user_id", "participantId")])
}

fn message_value(message: &Message, is_read: bool) -> Value {
    json!({
        "id": message.id,
        "conversationId": message.conversation_id,
        "senderId": message.sender_id,
        "content": text_of(message),
        "isRead": is_read,
        "createdAt": message.created_at,
        "updatedAt": message.edited_at.unwrap_or(message.created_at),
    })
}

fn conversation_value(entry: &ConversationSummary, direct: &Direct) -> Value {
    let conversation = &entry.conversation;
    let last_message_at = (conversation.last_seq > 0).then_some(conversation.last_activity_at);
    json!({
        "id": conversation.id,
        "participant1Id": direct.users[0],
        "participant2Id": direct.users[1],
        "lastMessageAt": last_message_at,
        "createdAt": conversation.created_at,
        "updatedAt": conversation.last_activity_at,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Open {
    participant_id: UserId,
}

async fn open(
    asker: Asker,
    Payload(Open { participant_id }): Payload<Open>,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let entry = asker.caller.open_direct(participant_id).await.map_err(in_our_words)?;
    let direct = entry.conversation.direct.as_ref().ok_or(Error::NotFound)?;
    Ok((StatusCode::CREATED, Json(conversation_value(&entry, direct))))
}

async fn list(
    State(rest): State<Rest>,
    asker: Asker,
    window: Window,
) -> Result<Json<Value>, Failure> {
    let before = window.before.map(|id| id.parse().map_err(|_| not_an_id())).transpose()?;
    let mut entries = history::conversations(&asker.caller, before, window.limit).await?;
    entries.retain(|entry| entry.conversation.direct.is_some());
    let are_read = history::last_are_read(rest.chat(), asker.user_id(), &entries).await?;
    let mut list = Vec::with_capacity(entries.len());
    for (entry, is_read) in entries.iter().zip(are_read) {
        let Some(direct) = &entry.conversation.direct else { continue };
        let last = entry.last_message.as_ref().filter(|message| !message.is_deleted());
        let mut value = conversation_value(entry, direct);
        value["unreadCount"] = entry.me.unread.into();
        value["lastMessage"] = last.map_or(Value::Null, |it| message_value(it, is_read));
        list.push(value);
    }
    Ok(Json(list.into()))
}

fn not_an_id() -> Error {
    parlor_core::Invalid::new("before", "must be an id").into()
}

async fn messages(
    State(rest): State<Rest>,
    asker: Asker,
    At(id): At<ConversationId>,
    window: Window,
) -> Result<Json<Value>, Failure> {
    let readers = Readers::of(&asker.caller, id).await?;
    let before = match window.before {
        Some(before) => {
            let before = before.parse().map_err(|_| not_an_id())?;
            Some(history::seq_of(rest.chat(), id, MessageRef::Id(before)).await?)
        }
        None => None,
    };
    let messages = history::newest(&asker.caller, id, before, window.limit).await?;
    let shown = messages.iter().filter(|message| !message.is_deleted());
    Ok(Json(shown.map(|message| message_value(message, readers.have_read(message))).collect()))
}

async fn unread_count(asker: Asker) -> Result<Json<Value>, Failure> {
    match asker.caller.dispatch(Command::UnreadTotal).await? {
        Reply::Unread(total) => Ok(Json(json!({ "count": total.messages }))),
        _ => Err(crate::known::mismatch().into()),
    }
}

async fn mark_as_read(
    State(rest): State<Rest>,
    asker: Asker,
    At(id): At<MessageId>,
) -> Result<Json<Value>, Failure> {
    let message = history::message(rest.chat(), &asker.caller, MessageRef::Id(id)).await?;
    asker.caller.mark_read(message.conversation_id, message.seq).await?;
    let readers = Readers::of(&asker.caller, message.conversation_id).await?;
    Ok(Json(message_value(&message, readers.have_read(&message))))
}
