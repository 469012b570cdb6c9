//! Conversations, and what a member keeps of one to themself.

use std::sync::Arc;

use http::StatusCode;
use parlor_core::{
    command::{
        Command, ConversationPage, InConversation, ListConversations, OpenDirect,
        UpdateConversation, UpdateSettings,
    },
    model::{
        ConversationId, ConversationPatch, ConversationSummary, MemberState, NewGroup,
        SettingsPatch,
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Answered, Problems,
    extract::{At, Params, Payload},
};
use crate::{error::Problem, identity::Authenticated, ws::Shared};

pub(super) fn routes() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::new()
        .routes(routes!(list_conversations, create_group))
        .routes(routes!(open_direct))
        .routes(routes!(get_conversation, update_conversation))
        .routes(routes!(update_settings))
        .routes(routes!(hide))
        .routes(routes!(clear))
}

/// A page of the caller's conversations, latest activity first.
#[utoipa::path(
    get,
    path = "/conversations",
    tag = "conversations",
    params(
        ("limit" = Option<u64>, Query, description = "50 by default, clamped to 1 ..= 100"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
        ("archived" = Option<bool>, Query, description = "only archived ones, or only others")
    ),
    responses((status = 200, body = ConversationPage), Problems)
)]
async fn list_conversations(who: Authenticated, params: Params) -> Answered {
    let list = ListConversations {
        limit: params.number("limit")?,
        cursor: params.text("cursor"),
        archived: params.flag("archived")?,
    };
    who.ask(Command::ListConversations(list)).await
}

/// Makes a group; the caller owns it.
#[utoipa::path(
    post,
    path = "/conversations",
    tag = "conversations",
    request_body = NewGroup,
    responses((status = 201, body = ConversationSummary), Problems)
)]
async fn create_group(
    who: Authenticated,
    body: Payload,
) -> Result<(StatusCode, impl axum::response::IntoResponse), Problem> {
    let group = body.read::<NewGroup>()?;
    Ok((StatusCode::CREATED, who.ask(Command::CreateGroup(group)).await?))
}

/// Opens the direct conversation with a user, making it when it is not there.
#[utoipa::path(
    post,
    path = "/conversations/direct",
    tag = "conversations",
    request_body = OpenDirect,
    responses((status = 200, body = ConversationSummary), Problems)
)]
async fn open_direct(who: Authenticated, body: Payload) -> Answered {
    who.ask(Command::OpenDirect(body.read()?)).await
}

/// One conversation with the caller's own state.
#[utoipa::path(
    get,
    path = "/conversations/{id}",
    tag = "conversations",
    params(("id" = ConversationId, Path)),
    responses((status = 200, body = ConversationSummary), Problems)
)]
async fn get_conversation(who: Authenticated, At(id): At<ConversationId>) -> Answered {
    who.ask(Command::GetConversation(InConversation { conversation_id: id })).await
}

/// Changes a group's title, picture or metadata.
#[utoipa::path(
    patch,
    path = "/conversations/{id}",
    tag = "conversations",
    params(("id" = ConversationId, Path)),
    request_body = ConversationPatch,
    responses((status = 200, body = ConversationSummary), Problems)
)]
async fn update_conversation(
    who: Authenticated,
    At(id): At<ConversationId>,
    body: Payload,
) -> Answered {
    let update = UpdateConversation { conversation_id: id, patch: body.read()? };
    who.ask(Command::UpdateConversation(update)).await
}

/// Changes the caller's own settings: mute, archive, private receipts.
#[utoipa::path(
    patch,
    path = "/conversations/{id}/settings",
    tag = "conversations",
    params(("id" = ConversationId, Path)),
    request_body = SettingsPatch,
    responses((status = 200, body = MemberState), Problems)
)]
async fn update_settings(
    who: Authenticated,
    At(id): At<ConversationId>,
    body: Payload,
) -> Answered {
    let update = UpdateSettings { conversation_id: id, patch: body.read()? };
    who.ask(Command::UpdateSettings(update)).await
}

/// Hides the conversation and its history from the caller until there is a new message.
#[utoipa::path(
    post,
    path = "/conversations/{id}/hide",
    tag = "conversations",
    params(("id" = ConversationId, Path)),
    responses((status = 200, body = MemberState), Problems)
)]
async fn hide(who: Authenticated, At(id): At<ConversationId>) -> Answered {
    who.ask(Command::Hide(InConversation { conversation_id: id })).await
}

/// Clears the history for the caller.
#[utoipa::path(
    post,
    path = "/conversations/{id}/clear",
    tag = "conversations",
    params(("id" = ConversationId, Path)),
    responses((status = 200, body = MemberState), Problems)
)]
async fn clear(who: Authenticated, At(id): At<ConversationId>) -> Answered {
    who.ask(Command::Clear(InConversation { conversation_id: id })).await
}
