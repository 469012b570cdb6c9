//! The routes under `/chat`.

use axum::{
    Json, Router,
    extract::{FromRequestParts, Query, State},
    http::{StatusCode, request::Parts},
    routing::{get, patch},
};
use parlor_core::{
    Invalid,
    model::{ConversationSummary, Direct, Message, UserId},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::pair::{self, pair_id};
use crate::{
    history::{self, Readers, text_of},
    rest::{Asker, At, Failure, Rest, Window},
};

pub(super) fn routes(rest: Rest) -> Router {
    Router::new()
        .route("/chat/conversations/{id}", get(conversations))
        .route("/chat/messages/{id}", get(messages))
        .route("/chat/conversations/{id}/read", patch(mark_as_read))
        .with_state(rest)
}

/// One's own conversations, the latest activity first.
async fn conversations(
    asker: Asker,
    At(user): At<UserId>,
    window: Window,
) -> Result<Json<Value>, Failure> {
    if &user != asker.user_id() {
        return Err(Failure::new(StatusCode::FORBIDDEN, "these are not your conversations"));
    }
    let before = match window.before {
        Some(name) => match pair::find(&asker.caller, asker.user_id(), &name).await {
            Ok((id, _)) => Some(id),
            Err(_) => {
                let invalid = Invalid::new("before", "is not one of your conversations");
                return Err(parlor_core::Error::from(invalid).into());
            }
        },
        None => None,
    };
    let list = history::conversations(&asker.caller, before, window.limit).await?;
    let values = list
        .iter()
        .filter_map(|entry| Some(conversation_value(entry, entry.conversation.direct.as_ref()?)));
    Ok(Json(values.collect()))
}

fn conversation_value(entry: &ConversationSummary, direct: &Direct) -> Value {
    let last = entry.last_message.as_ref().filter(|message| !message.is_deleted());
    json!({
        "id": pair_id(&direct.users[0], &direct.users[1]),
        "participants": direct.users,
        "lastMessage": last.map(text_of),
        "lastMessageTime": last.map(|message| message.created_at),
        "unreadCount": entry.me.unread,
    })
}

/// Which page: counted back from the newest message.
#[derive(Deserialize)]
struct Paging {
    #[serde(default = "fifty")]
    limit: u64,
    #[serde(default)]
    offset: u64,
}

fn fifty() -> u64 {
    50
}

impl FromRequestParts<Rest> for Paging {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, rest: &Rest) -> Result<Self, Failure> {
        match Query::<Self>::from_request_parts(parts, rest).await {
            Ok(Query(paging)) => Ok(paging),
            Err(_) => {
                let message = "limit, offset: must be whole numbers, 0 or more";
                Err(Failure::new(StatusCode::BAD_REQUEST, message))
            }
        }
    }
}

/// The newest messages after leaving out as many as `offset` says, oldest first.
async fn messages(
    asker: Asker,
    At(name): At<String>,
    paging: Paging,
) -> Result<Json<Value>, Failure> {
    let (id, direct) = pair::find(&asker.caller, asker.user_id(), &name).await?;
    let last = asker.caller.conversation(id).await?.conversation.last_seq;
    if paging.offset >= last {
        return Ok(Json(json!([])));
    }
    // Numbers have no holes, so as many messages lie behind this one.
    let before = Some(last - paging.offset + 1);
    let found = history::newest(&asker.caller, id, before, Some(paging.limit)).await?;
    let readers = Readers::of(&asker.caller, id).await?;
    let shown = found.iter().filter(|message| !message.is_deleted());
    Ok(Json(shown.map(|message| stored_value(message, &direct, &readers)).collect()))
}

fn stored_value(message: &Message, direct: &Direct, readers: &Readers) -> Value {
    json!({
        "id": message.id,
        "conversationId": pair_id(&direct.users[0], &direct.users[1]),
        "senderId": message.sender_id,
        "receiverId": message.sender_id.as_ref().map(|sender| direct.peer_of(sender)),
        "message": text_of(message),
        "read": readers.have_read(message),
        "createdAt": message.created_at,
    })
}

async fn mark_as_read(
    State(_): State<Rest>,
    asker: Asker,
    At(name): At<String>,
) -> Result<Json<Value>, Failure> {
    let (id, _) = pair::find(&asker.caller, asker.user_id(), &name).await?;
    let last = asker.caller.conversation(id).await?.conversation.last_seq;
    asker.caller.mark_read(id, last).await?;
    Ok(Json(json!({ "success": true, "message": "Conversation marked as read" })))
}
