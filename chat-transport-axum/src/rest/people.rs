//! Cursors, presence, profiles, and what is unread.

use std::sync::Arc;

use parlor_core::{
    command::{AtSeq, Command, InConversation, Users},
    model::{ConversationId, MemberState},
    store::UnreadTotal,
};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Answered, Problems,
    extract::{At, Params, Payload},
};
use crate::{
    error::Refusal,
    identity::Authenticated,
    reply::{CursorList, PresenceList, ProfileList},
    ws::Shared,
};

pub(super) fn routes() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::new()
        .routes(routes!(list_cursors, move_cursors))
        .routes(routes!(get_presence))
        .routes(routes!(get_profiles))
        .routes(routes!(unread_total))
}

/// Where the caller's cursors go. At least one is given.
#[derive(Debug, Deserialize, ToSchema)]
struct CursorMove {
    /// Delivered up to this seq.
    delivered_seq: Option<u64>,
    /// Read up to this seq.
    read_seq: Option<u64>,
    /// Marked as unread from this seq on.
    unread_from: Option<u64>,
}

/// How far the members have read.
#[utoipa::path(
    get,
    path = "/conversations/{id}/cursors",
    tag = "people",
    params(("id" = ConversationId, Path)),
    responses((status = 200, body = CursorList), Problems)
)]
async fn list_cursors(who: Authenticated, At(conversation_id): At<ConversationId>) -> Answered {
    who.ask(Command::ListCursors(InConversation { conversation_id })).await
}

/// Moves the caller's own cursors.
#[utoipa::path(
    put,
    path = "/conversations/{id}/cursors",
    tag = "people",
    params(("id" = ConversationId, Path)),
    request_body = CursorMove,
    responses((status = 200, body = MemberState), Problems)
)]
async fn move_cursors(
    who: Authenticated,
    At(conversation_id): At<ConversationId>,
    body: Payload,
) -> Answered {
    let CursorMove { delivered_seq, read_seq, unread_from } = body.read()?;
    let at = |seq| AtSeq { conversation_id, seq };
    let moves = [
        delivered_seq.map(|seq| Command::MarkDelivered(at(seq))),
        read_seq.map(|seq| Command::MarkRead(at(seq))),
        unread_from.map(|seq| Command::MarkUnread(at(seq))),
    ];
    let mut answered = None;
    for command in moves.into_iter().flatten() {
        answered = Some(who.ask(command).await?);
    }
    let nothing = || {
        let reason = "one of delivered_seq, read_seq and unread_from is required";
        Refusal::invalid("read_seq", reason).into()
    };
    answered.ok_or_else(nothing)
}

/// Who is there, among those who share a conversation with the caller.
#[utoipa::path(
    get,
    path = "/presence",
    tag = "people",
    params(("user_ids" = String, Query, description = "at most 200: `a,b`")),
    responses((status = 200, body = PresenceList), Problems)
)]
async fn get_presence(who: Authenticated, params: Params) -> Answered {
    who.ask(Command::GetPresence(Users { user_ids: params.users("user_ids")? })).await
}

/// Profiles of users.
#[utoipa::path(
    get,
    path = "/profiles",
    tag = "people",
    params(("user_ids" = String, Query, description = "at most 200: `a,b`")),
    responses((status = 200, body = ProfileList), Problems)
)]
async fn get_profiles(who: Authenticated, params: Params) -> Answered {
    who.ask(Command::GetProfiles(Users { user_ids: params.users("user_ids")? })).await
}

/// How much is unread over all conversations.
#[utoipa::path(
    get,
    path = "/unread",
    tag = "people",
    responses((status = 200, body = UnreadTotal), Problems)
)]
async fn unread_total(who: Authenticated) -> Answered {
    who.ask(Command::UnreadTotal).await
}
