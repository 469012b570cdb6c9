//! The routes under `/api/chat`.

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{delete, get, post, put},
};
use parlor_core::{
    Error, Invalid,
    command::{Command, InConversation, Reply},
    model::{ConversationId, ConversationSummary},
    store::MessageRef,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    in_our_words,
    messages::{Sending, conversation_value, mark_read, message_value},
    people::{PersonId, UserType},
};
use crate::{
    history::{self, Readers},
    known::mismatch,
    numbers::Number,
    rest::{Asker, At, Failure, Payload, Rest, Window},
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Open {
    participant_id: PersonId,
    participant_type: UserType,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadUpTo {
    #[serde(default)]
    message_id: Option<Number>,
}

pub(super) fn routes(rest: Rest) -> Router {
    Router::new()
        .route("/api/chat/conversations", post(open).get(list))
        .route("/api/chat/conversations/{id}", delete(hide))
        .route("/api/chat/conversations/{id}/messages", get(messages))
        .route("/api/chat/conversations/{id}/read", put(read))
        .route("/api/chat/messages", post(send))
        .route("/api/chat/unread-count", get(unread_count))
        .with_state(rest)
}

async fn open(
    State(rest): State<Rest>,
    asker: Asker,
    Payload(Open { participant_id, participant_type }): Payload<Open>,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let opened = match participant_type.user(&participant_id) {
        Ok(participant) => asker.caller.open_direct(participant).await,
        Err(invalid) => Err(invalid.into()),
    };
    let entry = opened.map_err(|error| in_our_words(error, "participantId"))?;
    let value = list_value(&rest, &asker, vec![entry]).await?.pop().ok_or(Error::NotFound)?;
    Ok((StatusCode::CREATED, Json(value)))
}

async fn list(
    State(rest): State<Rest>,
    asker: Asker,
    window: Window,
) -> Result<Json<Value>, Failure> {
    let before = match window.before.as_deref().map(before_number).transpose()? {
        Some(number) => Some(rest.numbered(number).await.map_err(|error| match error {
            Error::NotFound => Invalid::new("before", "is not one of your conversations").into(),
            other => other,
        })?),
        None => None,
    };
    let entries = history::conversations(&asker.caller, before, window.limit).await?;
    Ok(Json(list_value(&rest, &asker, entries).await?.into()))
}

/// Direct conversations as the asker sees them; these clients know no others.
async fn list_value(
    rest: &Rest,
    asker: &Asker,
    mut entries: Vec<ConversationSummary>,
) -> Result<Vec<Value>, Error> {
    entries.retain(|entry| entry.conversation.direct.is_some());
    let are_read = history::last_are_read(rest.chat(), asker.user_id(), &entries).await?;
    let places = rest.places(&entries).await?;
    let values =
        entries.iter().zip(places.iter().zip(are_read)).filter_map(|(entry, (place, is_read))| {
            let peer = place.peer_of(asker.user_id())?;
            Some(conversation_value(entry, peer, place, is_read))
        });
    Ok(values.collect())
}

fn before_number(text: &str) -> Result<Number, Error> {
    text.parse().map_err(|_| Invalid::new("before", "must be a number").into())
}

/// The conversation of a path, which the asker may see.
async fn at(rest: &Rest, asker: &Asker, id: &str) -> Result<ConversationId, Error> {
    let number = id.parse().map_err(|_| Error::NotFound)?;
    let conversation_id = rest.numbered(number).await?;
    asker.caller.conversation(conversation_id).await?;
    Ok(conversation_id)
}

async fn messages(
    State(rest): State<Rest>,
    asker: Asker,
    At(id): At<String>,
    window: Window,
) -> Result<Json<Value>, Failure> {
    let id = at(&rest, &asker, &id).await?;
    let before = match window.before.as_deref().map(before_number).transpose()? {
        Some(Number(number)) => {
            Some(history::seq_of(rest.chat(), id, MessageRef::Number(number)).await?)
        }
        None => None,
    };
    let messages = history::newest(&asker.caller, id, before, window.limit).await?;
    let readers = Readers::of(&asker.caller, id).await?;
    let place = rest.place(id).await?;
    let shown = messages.iter().filter(|message| !message.is_deleted());
    Ok(Json(
        shown.map(|message| message_value(message, &place, readers.have_read(message))).collect(),
    ))
}

async fn send(
    State(rest): State<Rest>,
    asker: Asker,
    Payload(sending): Payload<Sending>,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let id = rest.numbered(sending.conversation_id).await?;
    let sent = asker.caller.send(id, sending.into_message()?).await;
    let message = sent.map_err(|error| in_our_words(error, "conversationId"))?;
    let place = rest.place(id).await?;
    Ok((StatusCode::CREATED, Json(message_value(&message, &place, false))))
}

async fn read(
    State(rest): State<Rest>,
    asker: Asker,
    At(id): At<String>,
    body: Option<Payload<ReadUpTo>>,
) -> Result<Json<Value>, Failure> {
    let conversation_id = at(&rest, &asker, &id).await?;
    let ReadUpTo { message_id } = body.map(|Payload(body)| body).unwrap_or_default();
    let last = mark_read(rest.chat(), &asker.caller, conversation_id, message_id).await?;
    let number = rest.place(conversation_id).await?.conversation().number;
    Ok(Json(json!({ "conversationId": number, "messageId": last })))
}

async fn unread_count(asker: Asker) -> Result<Json<Value>, Failure> {
    match asker.caller.dispatch(Command::UnreadTotal).await? {
        Reply::Unread(total) => Ok(Json(json!({ "count": total.messages }))),
        _ => Err(mismatch().into()),
    }
}

async fn hide(
    State(rest): State<Rest>,
    asker: Asker,
    At(id): At<String>,
) -> Result<Json<Value>, Failure> {
    let conversation_id = at(&rest, &asker, &id).await?;
    asker.caller.dispatch(Command::Hide(InConversation { conversation_id })).await?;
    Ok(Json(json!({ "success": true })))
}
