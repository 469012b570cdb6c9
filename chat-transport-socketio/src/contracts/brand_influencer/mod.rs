//! Brands and influencers: rooms to join, temporary ids, typing, read marks, presence on request.

mod messages;
mod people;
mod routes;

use async_trait::async_trait;
use axum::Router;
use parlor_core::{
    BackendError, BackendErrorKind, Error,
    command::{Command, Reply, Users},
    model::{Identity, PresenceStatus, UserId},
};
use serde::Deserialize;
use serde_json::{Value, json};

use self::{
    messages::{Sending, TempId, mark_read, message_value},
    people::{PersonId, UserType, user_value},
};
use super::renamed;
use crate::{
    Client, Contract, Emit, Incoming, Place, Refusal, Told, known::mismatch, numbers::Number,
    rest::Rest,
};

/// Conversations between users of two types, in the namespace `/chat`: `conversation:join`, `message:send`,
/// `message:new`, `message:read`, `typing:start`, `user:check:online`, and the routes under `/api/chat`.
///
/// A user is an id with a type, `brand` or `influencer`, from the token's `sub` and `userType`; to the engine
/// and to other contracts they are called `brand:7`. A socket hears messages, typing and read marks of the
/// conversations that it has joined; of others a notification. Ids are numbers. Of groups these clients are told
/// nothing. What is shown of a user comes from the directory: the picture, and the attributes `username`,
/// `firstName` and `lastName`; the name stands for a missing `username`.
#[derive(Debug, Clone, Copy, Default)]
pub struct BrandInfluencer;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InConversation {
    conversation_id: Number,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageRead {
    conversation_id: Number,
    #[serde(default)]
    message_id: Option<Number>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CheckOnline {
    user_id: PersonId,
    user_type: UserType,
}

#[async_trait]
impl Contract for BrandInfluencer {
    fn name(&self) -> &'static str {
        "brand_influencer"
    }

    fn namespace(&self) -> &'static str {
        "/chat"
    }

    fn identify(&self, identity: Identity) -> Result<Identity, Error> {
        people::identify(identity)
    }

    async fn connected(&self, client: &Client) -> Result<(), Error> {
        let mut hello = user_value(client.user_id());
        hello["socketId"] = client.id().into();
        client.emit(Emit::new("connection:success", hello)).await;
        Ok(())
    }

    async fn received(&self, client: &Client, event: Incoming) -> Result<Value, Error> {
        let answer = match event.name() {
            "conversation:join" => join(client, &event).await,
            "conversation:leave" => leave(client, &event).await,
            "message:send" => send(client, &event).await,
            "message:read" => read(client, &event).await,
            "typing:start" => typing(client, &event, true).await,
            "typing:stop" => typing(client, &event, false).await,
            "user:check:online" => check_online(client, &event).await,
            _ => Err(event.unknown()),
        };
        answer.map_err(|error| in_our_words(error, "userId"))
    }

    fn outgoing(&self, told: &Told<'_>) -> Vec<Emit> {
        match told {
            Told::Sent { message, place } if is_ours(place) => {
                let message = message_value(message, place, false);
                let id = place.conversation().number;
                let notification = json!({ "conversationId": id, "message": message });
                let new = Emit::new("message:new", message);
                vec![
                    new.clone().to_joined().to_others(),
                    new.to_sender().not_to_its_sender(),
                    Emit::new("message:notification", notification).to_not_joined().to_others(),
                ]
            }
            Told::Typing { place, user_id, on } if is_ours(place) => {
                let event = if *on { "typing:start" } else { "typing:stop" };
                let id = place.conversation().number;
                let typing = json!({ "conversationId": id, "user": user_value(user_id) });
                vec![Emit::new(event, typing).to_joined()]
            }
            // A page compares ids alone, so it may only hear of the conversation that it shows.
            Told::Read { place, user_id, message } if is_ours(place) => {
                let read = json!({
                    "conversationId": place.conversation().number,
                    "messageId": message.number,
                    "readBy": user_value(user_id),
                });
                vec![Emit::new("message:read", read).to_joined()]
            }
            Told::Online { user_id } => vec![Emit::new("user:online", user_value(user_id))],
            Told::Offline { user_id } => vec![Emit::new("user:offline", user_value(user_id))],
            _ => Vec::new(),
        }
    }

    fn shows_profiles(&self) -> bool {
        true
    }

    fn refused(&self, event: &Incoming, error: &Error) -> Refusal {
        let temp_id = TempId::in_payload(event.args().first());
        let data = json!({ "error": error.to_string(), "tempId": temp_id });
        Refusal::event(Emit::new("message:error", data))
    }

    fn routes(&self, rest: Rest) -> Router {
        routes::routes(rest)
    }
}

/// What clients of this contract call the engine's fields. `user` is the field that named somebody.
fn in_our_words(error: Error, user: &'static str) -> Error {
    let fields = [
        ("body", "content"),
        ("attachments", "attachmentUrl"),
        ("attachments[0].url", "attachmentUrl"),
        ("attachments[0].name", "attachmentName"),
        ("user_id", user),
    ];
    renamed(error, &fields)
}

fn is_ours(place: &Place) -> bool {
    place.conversation().direct.is_some()
}

fn room_value(Number(conversation_id): Number) -> Value {
    let room = format!("conversation:{conversation_id}");
    json!({ "conversationId": conversation_id, "room": room })
}

async fn join(client: &Client, event: &Incoming) -> Result<Value, Error> {
    let InConversation { conversation_id } = event.read()?;
    client.join(client.numbered(conversation_id).await?).await?;
    let joined = room_value(conversation_id);
    client.emit(Emit::new("conversation:joined", joined.clone())).await;
    Ok(joined)
}

async fn leave(client: &Client, event: &Incoming) -> Result<Value, Error> {
    let InConversation { conversation_id } = event.read()?;
    client.leave(client.numbered(conversation_id).await?).await?;
    let left = room_value(conversation_id);
    client.emit(Emit::new("conversation:left", left.clone())).await;
    Ok(left)
}

async fn send(client: &Client, event: &Incoming) -> Result<Value, Error> {
    let sending: Sending = event.read()?;
    let id = client.numbered(sending.conversation_id).await?;
    let temp_id = sending.temp_id();
    let message = client.send(id, sending.into_message()?).await?;
    let place = client.place(id).await?;
    let sent = json!({ "tempId": temp_id, "message": message_value(&message, &place, false) });
    client.emit(Emit::new("message:sent", sent.clone())).await;
    Ok(sent)
}

async fn read(client: &Client, event: &Incoming) -> Result<Value, Error> {
    let MessageRead { conversation_id, message_id } = event.read()?;
    let id = client.numbered(conversation_id).await?;
    let last = mark_read(client.chat(), client.caller(), id, message_id).await?;
    let read = json!({ "conversationId": conversation_id.0, "messageId": last });
    client.emit(Emit::new("message:read:success", read.clone())).await;
    Ok(read)
}

async fn typing(client: &Client, event: &Incoming, on: bool) -> Result<Value, Error> {
    let InConversation { conversation_id } = event.read()?;
    client.typing(client.numbered(conversation_id).await?, on).await?;
    Ok(json!({ "conversationId": conversation_id.0 }))
}

async fn check_online(client: &Client, event: &Incoming) -> Result<Value, Error> {
    let CheckOnline { user_id, user_type } = event.read()?;
    let user = user_type.user(&user_id)?;
    let mut status = user_value(&user);
    status["isOnline"] = is_online(client, user).await?.into();
    client.emit(Emit::new("user:online:status", status.clone())).await;
    Ok(status)
}

/// Whether somebody is there. Who shares no conversation with the client's user is not, as far as they can tell.
async fn is_online(client: &Client, user: UserId) -> Result<bool, Error> {
    let command = Command::GetPresence(Users { user_ids: vec![user] });
    let Reply::Presence(found) = client.dispatch(command).await? else { return Err(mismatch()) };
    match found.first().map(|info| info.status) {
        None | Some(PresenceStatus::Offline) => Ok(false),
        // Neither yes nor no would be true.
        Some(PresenceStatus::Unknown) => {
            let kind = BackendErrorKind::Unavailable;
            Err(Error::Unavailable(BackendError::new(kind, "presence")))
        }
        Some(PresenceStatus::Online | PresenceStatus::Away | PresenceStatus::Busy) => Ok(true),
    }
}
