//! Conversations in rooms, as a gateway before a chat service offers them: numeric ids, snake_case messages.

mod payload;
mod rest;

use std::time::Duration;

use async_trait::async_trait;
use axum::{
    Router,
    routing::{get, patch, post},
};
use parlor_core::{
    BackendError, BackendErrorKind, Error,
    model::{Conversation, UserId},
    traits::Credentials,
};
use serde_json::{Value, json};
use tokio::time::timeout;

use self::payload::{Join, Leave, SendMessage, Typing, message_value};
use super::renamed;
use crate::{
    Client, Contract, Emit, Handshake, Incoming, Refusal, Told, numbers::user_value, rest::Rest,
};

/// Within this every event is answered, also when nothing behind the gateway answers.
const ANSWER_WITHIN: Duration = Duration::from_millis(4500);
/// What is said of a user in a payload who is not the caller.
const NOT_YOU: &str = "is not yours: you act as the user of your token";

/// Conversations in rooms: `send-message`, `receive-message`, `join-conversation`, `typing`, and the routes
/// `/conversations` and `/messages`.
///
/// Ids are numbers. Messages come to sockets that have joined their conversation. Every event is answered within
/// 4.5 s, so that a gateway whose chat service cannot be reached (`RedisBackends::remote_store`) is never silent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Gateway {
    takes_query_users: bool,
}

impl Gateway {
    /// What stands before the user's id in a token that was made of the query ([`Gateway::takes_query_users`]).
    pub const QUERY_USER: &str = "user:";

    /// Knows users by their tokens alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets a client without a token be the user whom `userId` of the query names, **without any proof**: for
    /// development, on a server that only this machine reaches. The engine's `Authenticator` is shown
    /// `user:ID` as the token, and has to take it.
    #[must_use]
    pub fn takes_query_users(self) -> Self {
        Self { takes_query_users: true }
    }
}

#[async_trait]
impl Contract for Gateway {
    fn name(&self) -> &'static str {
        "gateway"
    }

    fn namespace(&self) -> &'static str {
        "/chat"
    }

    fn credentials(&self, handshake: &Handshake<'_>) -> Credentials {
        let mut credentials = handshake.credentials();
        if self.takes_query_users && credentials.token.is_none() {
            let user = handshake.query("userId");
            credentials.token = user.map(|user| format!("{}{user}", Self::QUERY_USER));
        }
        credentials
    }

    async fn received(&self, client: &Client, event: Incoming) -> Result<Value, Error> {
        let answer = match timeout(ANSWER_WITHIN, carry_out(client, &event)).await {
            Ok(answer) => answer,
            Err(late) => Err(Error::Unavailable(
                BackendError::new(BackendErrorKind::Unavailable, "answer").with_source(late),
            )),
        };
        let answer = answer.map_err(called);
        if answer.is_err()
            && event.name() == "join-conversation"
            && let Some(id) = event.args().first().and_then(|payload| payload.get("conversationId"))
            && (id.is_number() || id.is_string())
        {
            let joined = json!({ "conversationId": id, "success": false });
            client.emit(Emit::new("joined-conversation", joined)).await;
        }
        answer
    }

    fn outgoing(&self, told: &Told<'_>) -> Vec<Emit> {
        let emit = match told {
            Told::Sent { message, place } => {
                let message = message_value(message, place.conversation().number);
                Emit::new("receive-message", message).to_joined()
            }
            Told::Edited { message, place } => {
                let message = message_value(message, place.conversation().number);
                Emit::new("message-updated", message).to_joined()
            }
            Told::Deleted { message, place } => {
                let message = message_value(message, place.conversation().number);
                Emit::new("message-deleted", message).to_joined()
            }
            Told::Created { place, members } => {
                let conversation = conversation_value(place.conversation(), members);
                Emit::new("conversation-created", conversation)
            }
            Told::Typing { place, user_id, on } => {
                let typing = typing_value(place.conversation().number, user_id, *on);
                Emit::new("user-typing", typing).to_joined()
            }
            Told::Online { user_id } => {
                Emit::new("user:online", json!({ "userId": user_value(user_id) }))
            }
            Told::Offline { user_id } => {
                Emit::new("user:offline", json!({ "userId": user_value(user_id) }))
            }
            _ => return Vec::new(),
        };
        vec![emit]
    }

    fn serves_groups(&self) -> bool {
        true
    }

    /// A message that was not sent, a user who is not the caller, and a service that cannot be reached are
    /// `message-error`; everything else is `error`.
    fn refused(&self, event: &Incoming, error: &Error) -> Refusal {
        let said = error.to_string();
        let is_about_messages = event.name() == "send-message"
            || matches!(error, Error::Unavailable(_))
            || matches!(error, Error::Invalid(invalid) if invalid.reason == NOT_YOU);
        Refusal::event(match is_about_messages {
            true => Emit::new("message-error", json!({ "error": said })),
            false => Emit::new("error", json!({ "message": said })),
        })
    }

    fn routes(&self, rest: Rest) -> Router {
        Router::new()
            .route("/conversations", post(rest::open).get(rest::conversations))
            .route("/conversations/{id}/messages", get(rest::messages))
            .route("/messages/{id}", patch(rest::edit).delete(rest::delete))
            .with_state(rest)
    }
}

async fn carry_out(client: &Client, event: &Incoming) -> Result<Value, Error> {
    match event.name() {
        "send-message" => {
            let message: SendMessage = event.read()?;
            message.sender_id.is_caller("sender_id", client.user_id())?;
            let number = message.conversation_id;
            let conversation = client.numbered(number).await?;
            let sent = client.send(conversation, message.into_message()?).await?;
            let value = message_value(&sent, number.0);
            client.emit(Emit::new("message-sent", value.clone())).await;
            Ok(value)
        }
        "join-conversation" => {
            let Join { conversation_id, user_id } = event.read()?;
            user_id.is_caller("userId", client.user_id())?;
            client.join(client.numbered(conversation_id).await?).await?;
            let joined = json!({ "conversationId": conversation_id.0, "success": true });
            client.emit(Emit::new("joined-conversation", joined.clone())).await;
            Ok(joined)
        }
        "leave-conversation" => {
            let Leave { conversation_id } = event.read()?;
            client.leave(client.numbered(conversation_id).await?).await?;
            Ok(json!({ "conversationId": conversation_id.0 }))
        }
        "typing" => {
            let Typing { conversation_id, user_id, is_typing } = event.read()?;
            user_id.is_caller("userId", client.user_id())?;
            client.typing(client.numbered(conversation_id).await?, is_typing).await?;
            Ok(typing_value(conversation_id.0, client.user_id(), is_typing))
        }
        _ => Err(event.unknown()),
    }
}

/// The error with its field called as these clients call it.
fn called(error: Error) -> Error {
    let fields = [("body", "content"), ("attachments[0].url", "content"), ("kind", "message_type")];
    renamed(error, &fields)
}

fn typing_value(conversation: u64, user_id: &UserId, is_typing: bool) -> Value {
    let user_id = user_value(user_id);
    json!({ "conversationId": conversation, "userId": user_id, "isTyping": is_typing })
}

/// A conversation as all its members see it.
fn conversation_value(conversation: &Conversation, members: &[UserId]) -> Value {
    json!({
        "id": conversation.number,
        "type": conversation.kind,
        "title": conversation.title,
        "participantIds": members.iter().map(user_value).collect::<Vec<_>>(),
        "createdAt": conversation.created_at,
    })
}
