//! Messages, reactions, pins, and what changed.

use std::sync::Arc;

use axum::{Json, response::IntoResponse};
use http::StatusCode;
use parlor_core::{
    command::{
        Command, Delete, DeleteFor, Edit, GetChanges, History, InConversation, InMessage, Pin,
        React, Reply, Send,
    },
    event::Changes,
    model::{ConversationId, Message, MessageEdit, MessageId, NewMessage},
    store::HistoryPage,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Answered, Problems,
    extract::{At, Params, Payload},
};
use crate::{
    codec::read_new_message,
    error::{Problem, Refusal},
    identity::Authenticated,
    reply::{Answer, MessageList, Sent},
    ws::Shared,
};

pub(super) fn routes() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::new()
        .routes(routes!(history, send))
        .routes(routes!(get_message, edit, delete))
        .routes(routes!(react, unreact))
        .routes(routes!(pin, unpin))
        .routes(routes!(list_pins))
        .routes(routes!(get_changes))
}

type Place = At<(ConversationId, MessageId)>;

/// A page of history: the newest messages, those before a seq, or those after one.
#[utoipa::path(
    get,
    path = "/conversations/{id}/messages",
    tag = "messages",
    params(
        ("id" = ConversationId, Path),
        ("before" = Option<u64>, Query, description = "the newest messages with a smaller seq"),
        ("after" = Option<u64>, Query, description = "the oldest messages with a larger seq"),
        ("limit" = Option<u64>, Query, description = "50 by default, clamped to 1 ..= 100")
    ),
    responses((status = 200, body = HistoryPage), Problems)
)]
async fn history(
    who: Authenticated,
    At(conversation_id): At<ConversationId>,
    params: Params,
) -> Answered {
    let history = History {
        conversation_id,
        before: params.number("before")?,
        after: params.number("after")?,
        limit: params.number("limit")?,
    };
    who.ask(Command::History(history)).await
}

/// Sends a message. `client_id` is required: with the same key and content it may be sent again.
#[utoipa::path(
    post,
    path = "/conversations/{id}/messages",
    tag = "messages",
    params(("id" = ConversationId, Path)),
    request_body = NewMessage,
    responses(
        (status = 201, body = Sent),
        (status = 200, body = Sent, description = "It had been sent before"),
        Problems
    )
)]
async fn send(
    who: Authenticated,
    At(conversation_id): At<ConversationId>,
    body: Payload,
) -> Result<impl IntoResponse, Problem> {
    let message = read_new_message(body.as_str())?;
    let reply = who.caller.dispatch(Command::Send(Send { conversation_id, message })).await?;
    let status = match &reply {
        Reply::Sent { replayed: true, .. } => StatusCode::OK,
        _ => StatusCode::CREATED,
    };
    Ok((status, Json(Answer(reply))))
}

/// One message.
#[utoipa::path(
    get,
    path = "/conversations/{id}/messages/{message_id}",
    tag = "messages",
    params(("id" = ConversationId, Path), ("message_id" = MessageId, Path)),
    responses((status = 200, body = Message), Problems)
)]
async fn get_message(who: Authenticated, At((conversation_id, message_id)): Place) -> Answered {
    who.ask(Command::GetMessage(InMessage { conversation_id, message_id })).await
}

/// Changes a message's content.
#[utoipa::path(
    patch,
    path = "/conversations/{id}/messages/{message_id}",
    tag = "messages",
    params(("id" = ConversationId, Path), ("message_id" = MessageId, Path)),
    request_body = MessageEdit,
    responses((status = 200, body = Message), Problems)
)]
async fn edit(
    who: Authenticated,
    At((conversation_id, message_id)): Place,
    body: Payload,
) -> Answered {
    let edit = body.read()?;
    who.ask(Command::Edit(Edit { conversation_id, message_id, edit })).await
}

/// Deletes a message for everyone, or for the caller alone.
#[utoipa::path(
    delete,
    path = "/conversations/{id}/messages/{message_id}",
    tag = "messages",
    params(
        ("id" = ConversationId, Path),
        ("message_id" = MessageId, Path),
        ("for" = Option<DeleteFor>, Query, description = "`everyone` (default) or `me`")
    ),
    responses(
        (status = 200, body = Message, description = "The message; for `me` the member state"),
        Problems
    )
)]
async fn delete(
    who: Authenticated,
    At((conversation_id, message_id)): Place,
    params: Params,
) -> Answered {
    let scope = params.word::<DeleteFor>("for", "must be everyone or me")?.unwrap_or_default();
    who.ask(Command::Delete(Delete { conversation_id, message_id, scope })).await
}

/// Gives a reaction.
#[utoipa::path(
    put,
    path = "/conversations/{id}/messages/{message_id}/reactions/{key}",
    tag = "messages",
    params(
        ("id" = ConversationId, Path),
        ("message_id" = MessageId, Path),
        ("key" = String, Path)
    ),
    responses((status = 200, body = Message), Problems)
)]
async fn react(
    who: Authenticated,
    At((conversation_id, message_id, key)): At<(ConversationId, MessageId, String)>,
) -> Answered {
    who.ask(Command::React(React { conversation_id, message_id, key, on: true })).await
}

/// Takes a reaction back.
#[utoipa::path(
    delete,
    path = "/conversations/{id}/messages/{message_id}/reactions/{key}",
    tag = "messages",
    params(
        ("id" = ConversationId, Path),
        ("message_id" = MessageId, Path),
        ("key" = String, Path)
    ),
    responses((status = 200, body = Message), Problems)
)]
async fn unreact(
    who: Authenticated,
    At((conversation_id, message_id, key)): At<(ConversationId, MessageId, String)>,
) -> Answered {
    who.ask(Command::React(React { conversation_id, message_id, key, on: false })).await
}

/// Pins a message.
#[utoipa::path(
    put,
    path = "/conversations/{id}/messages/{message_id}/pin",
    tag = "messages",
    params(("id" = ConversationId, Path), ("message_id" = MessageId, Path)),
    responses((status = 200, body = Message), Problems)
)]
async fn pin(who: Authenticated, At((conversation_id, message_id)): Place) -> Answered {
    who.ask(Command::Pin(Pin { conversation_id, message_id, on: true })).await
}

/// Unpins a message.
#[utoipa::path(
    delete,
    path = "/conversations/{id}/messages/{message_id}/pin",
    tag = "messages",
    params(("id" = ConversationId, Path), ("message_id" = MessageId, Path)),
    responses((status = 200, body = Message), Problems)
)]
async fn unpin(who: Authenticated, At((conversation_id, message_id)): Place) -> Answered {
    who.ask(Command::Pin(Pin { conversation_id, message_id, on: false })).await
}

/// The pinned messages, latest pin first.
#[utoipa::path(
    get,
    path = "/conversations/{id}/pins",
    tag = "messages",
    params(("id" = ConversationId, Path)),
    responses((status = 200, body = MessageList), Problems)
)]
async fn list_pins(who: Authenticated, At(conversation_id): At<ConversationId>) -> Answered {
    who.ask(Command::ListPins(InConversation { conversation_id })).await
}

/// What changed since a rev, as state, in pages.
#[utoipa::path(
    get,
    path = "/conversations/{id}/changes",
    tag = "messages",
    params(
        ("id" = ConversationId, Path),
        ("since_rev" = u64, Query, description = "the rev that the caller has"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<u64>, Query, description = "50 by default, clamped to 1 ..= 100")
    ),
    responses((status = 200, body = Changes), Problems)
)]
async fn get_changes(
    who: Authenticated,
    At(conversation_id): At<ConversationId>,
    params: Params,
) -> Answered {
    let since_rev = params.number("since_rev")?.ok_or_else(|| {
        Problem::new(StatusCode::BAD_REQUEST, Refusal::invalid("since_rev", "is required"))
    })?;
    let (cursor, limit) = (params.text("cursor"), params.number("limit")?);
    who.ask(Command::GetChanges(GetChanges { conversation_id, since_rev, cursor, limit })).await
}
