//! Conversations between people with a booking: messages that wait for who is away, REST for the rest.

mod pair;
mod queue;
mod routes;

use async_trait::async_trait;
use axum::Router;
use parlor_core::{
    Error, Invalid,
    command::{Command, Reply},
    model::{ConversationId, Direct, Message, NewMessage, UserId},
};
use serde::Deserialize;
use serde_json::{Value, json};

use self::{pair::pair_id, queue::Queue};
use crate::{
    Client, Contract, Emit, Incoming, Told, history::text_of, known::mismatch, rest::Rest,
};

/// Conversations between people with a booking: `send-message`, `new-message`, messages that waited in
/// `connected`, and the routes under `/chat`.
///
/// A conversation is named by its two user ids, sorted and joined by an underscore, and is there as soon as
/// the policy lets the two talk: who has a booking is for the host's
/// [`AccessPolicy`](parlor_core::traits::AccessPolicy) to say. Messages come to all of a user's sockets but
/// those that left the conversation. Of groups these clients are told nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct TutorBookings;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SendMessage {
    conversation_id: String,
    receiver_id: UserId,
    message: String,
}

#[async_trait]
impl Contract for TutorBookings {
    fn name(&self) -> &'static str {
        "tutor_bookings"
    }

    async fn connected(&self, client: &Client) -> Result<(), Error> {
        let unread = match queue::patiently(client, Command::UnreadTotal).await? {
            Reply::Unread(total) => total.messages,
            _ => return Err(mismatch()),
        };
        Queue::of(client).await?.greet(client, unread).await
    }

    async fn received(&self, client: &Client, event: Incoming) -> Result<Value, Error> {
        match event.name() {
            "send-message" => send(client, event.read()?).await,
            "join-conversation" => {
                let name = named(&event)?;
                join(client, pair::find(client.caller(), client.user_id(), &name).await?.0).await?;
                Ok(json!({ "conversationId": name }))
            }
            "leave-conversation" => {
                let name = named(&event)?;
                client.leave(pair::find(client.caller(), client.user_id(), &name).await?.0).await?;
                Ok(json!({ "conversationId": name }))
            }
            _ => Err(event.unknown()),
        }
    }

    fn outgoing(&self, told: &Told<'_>) -> Vec<Emit> {
        let emit = match told {
            Told::Sent { message, place } => match &place.conversation().direct {
                Some(direct) => new_message(message, direct).to_not_left().not_to_its_sender(),
                None => return Vec::new(),
            },
            Told::Online { user_id } => Emit::new("user-online", json!({ "userId": user_id })),
            Told::Offline { user_id } => Emit::new("user-offline", json!({ "userId": user_id })),
            _ => return Vec::new(),
        };
        vec![emit]
    }

    fn marks_delivered(&self) -> bool {
        true
    }

    fn routes(&self, rest: Rest) -> Router {
        routes::routes(rest)
    }
}

/// The event's one argument: a conversation's name.
fn named(event: &Incoming) -> Result<String, Error> {
    event.read().map_err(|error| say_field(error, "payload", "conversationId"))
}

async fn send(client: &Client, sent: SendMessage) -> Result<Value, Error> {
    let SendMessage { conversation_id: name, receiver_id, message } = sent;
    let me = client.user_id();
    if name != pair_id(me, &receiver_id) {
        let reason = "must be your id and receiverId, sorted and joined by an underscore";
        return Err(Invalid::new("conversationId", reason).into());
    }
    let opened = client.open_direct(receiver_id).await;
    let id = opened.map_err(|error| say_field(error, "user_id", "receiverId"))?;
    let sent = client.send(id, NewMessage::text(message)).await;
    let sent = sent.map_err(|error| say_field(error, "body", "message"))?;
    let place = client.place(id).await?;
    let direct = place.conversation().direct.as_ref().ok_or(Error::NotFound)?;
    let value = message_value(&sent, direct);
    client.emit(Emit::new("message-sent", value.clone())).await;
    Ok(value)
}

/// Joins, and tells what came while the socket had left.
async fn join(client: &Client, id: ConversationId) -> Result<(), Error> {
    let _held = client.hold_back().await;
    if client.has_left(id) {
        Queue::of_conversation(client, id).await?.tell(client).await?;
    }
    client.join(id).await
}

fn new_message(message: &Message, direct: &Direct) -> Emit {
    Emit::new("new-message", message_value(message, direct))
}

/// A message as sockets are told it: it is always new.
fn message_value(message: &Message, direct: &Direct) -> Value {
    json!({
        "id": message.id,
        "conversationId": pair_id(&direct.users[0], &direct.users[1]),
        "senderId": message.sender_id,
        "message": text_of(message),
        "timestamp": message.created_at,
        "read": false,
    })
}

/// Gives a field the name that it has here.
fn say_field(error: Error, field: &str, name: &'static str) -> Error {
    match error {
        Error::Invalid(mut invalid) if invalid.field == field => {
            invalid.field = name.into();
            Error::Invalid(invalid)
        }
        other => other,
    }
}
