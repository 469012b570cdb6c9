//! Members of groups.

use std::sync::Arc;

use http::StatusCode;
use parlor_core::{
    command::{
        AddMembers, Command, InConversation, ListMembers, MemberPage, RemoveMember, SetRole,
    },
    model::{ConversationId, ConversationSummary, Role, UserId},
};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Answered, Problems,
    extract::{At, Params, Payload},
};
use crate::{error::Problem, identity::Authenticated, ws::Shared};

pub(super) fn routes() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::new()
        .routes(routes!(list_members, add_members))
        .routes(routes!(set_role, remove_member))
}

/// Users to be added.
#[derive(Debug, Deserialize, ToSchema)]
struct NewMembers {
    /// Whom to add; those who are members already stay as they are.
    user_ids: Vec<UserId>,
}

/// A role to be given.
#[derive(Debug, Deserialize, ToSchema)]
struct NewRole {
    /// The role.
    role: Role,
}

/// A page of the members by user id.
#[utoipa::path(
    get,
    path = "/conversations/{id}/members",
    tag = "members",
    params(
        ("id" = ConversationId, Path),
        ("limit" = Option<u64>, Query, description = "50 by default, clamped to 1 ..= 100"),
        ("after" = Option<UserId>, Query, description = "the last member of the page before")
    ),
    responses((status = 200, body = MemberPage), Problems)
)]
async fn list_members(
    who: Authenticated,
    At(conversation_id): At<ConversationId>,
    params: Params,
) -> Answered {
    let (limit, after) = (params.number("limit")?, params.user("after")?);
    who.ask(Command::ListMembers(ListMembers { conversation_id, limit, after })).await
}

/// Adds members to a group.
#[utoipa::path(
    post,
    path = "/conversations/{id}/members",
    tag = "members",
    params(("id" = ConversationId, Path)),
    request_body = NewMembers,
    responses((status = 200, body = ConversationSummary), Problems)
)]
async fn add_members(
    who: Authenticated,
    At(conversation_id): At<ConversationId>,
    body: Payload,
) -> Answered {
    let NewMembers { user_ids } = body.read()?;
    who.ask(Command::AddMembers(AddMembers { conversation_id, user_ids })).await
}

/// Gives a member a role.
#[utoipa::path(
    patch,
    path = "/conversations/{id}/members/{user_id}",
    tag = "members",
    params(("id" = ConversationId, Path), ("user_id" = UserId, Path)),
    request_body = NewRole,
    responses((status = 200, body = ConversationSummary), Problems)
)]
async fn set_role(
    who: Authenticated,
    At((conversation_id, user_id)): At<(ConversationId, UserId)>,
    body: Payload,
) -> Answered {
    let NewRole { role } = body.read()?;
    who.ask(Command::SetRole(SetRole { conversation_id, user_id, role })).await
}

/// Removes a member; to remove oneself is to leave.
#[utoipa::path(
    delete,
    path = "/conversations/{id}/members/{user_id}",
    tag = "members",
    params(("id" = ConversationId, Path), ("user_id" = UserId, Path)),
    responses((status = 204, description = "Not a member any more"), Problems)
)]
async fn remove_member(
    who: Authenticated,
    At((conversation_id, user_id)): At<(ConversationId, UserId)>,
) -> Result<StatusCode, Problem> {
    let command = if user_id == who.user_id {
        Command::Leave(InConversation { conversation_id })
    } else {
        Command::RemoveMember(RemoveMember { conversation_id, user_id })
    };
    who.caller.dispatch(command).await?;
    Ok(StatusCode::NO_CONTENT)
}
