//! A Socket.IO chat service for people with a booking, for front ends written for the contract `tutor_bookings`:
//!
//! ```text
//! BOOKINGS=ann:bob,ann:cem cargo run --release --example tutor_bookings
//! ```
//!
//! Port 3006. Who may talk stands in the table `bookings` of the same database, which is this program's own: it
//! could be any host's. `BOOKINGS` fills it with confirmed ones. A cancelled booking
//! (`curl -X DELETE http://127.0.0.1:3006/dev/bookings/ann/bob`) cuts both off at once, also while they are connected;
//! what was said stays readable. See docs/socket-io.md.

mod bookings;
mod policy;

use std::{process::ExitCode, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::delete,
};
use parlor::{
    Chat,
    model::{DirectKey, Identity, UserId},
    socketio::contracts::TutorBookings,
    store::Store,
};
use serde_json::{Value, json};

use self::{bookings::Bookings, policy::BookedOnly};
use crate::contract::{Fault, Setup};

#[path = "../contract/mod.rs"]
mod contract;

#[tokio::main]
async fn main() -> ExitCode {
    contract::serve_with(TutorBookings, 3006, build).await
}

async fn build(Setup { database, store, chat }: Setup) -> Result<(Chat, Router), Fault> {
    let bookings = Bookings::open(&database).await?;
    for (one, other) in pairs(&std::env::var("BOOKINGS").unwrap_or_default())? {
        bookings.confirm(&one, &other).await?;
    }
    let policy = BookedOnly::new(bookings.clone(), Arc::clone(&store));
    let chat = chat.policy(Arc::new(policy)).build().await?;
    // A conversation is there as soon as both may talk, also in their lists.
    for (one, other) in bookings.confirmed().await? {
        chat.as_user(Identity::new(one)).open_direct(other).await?;
    }
    let desk = Desk { bookings, store, chat: chat.clone() };
    let routes = Router::new().route("/dev/bookings/{one}/{other}", delete(cancel));
    Ok((chat, routes.with_state(desk)))
}

/// `ann:bob,ann:cem`.
fn pairs(text: &str) -> Result<Vec<(UserId, UserId)>, Fault> {
    let given = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let read = |pair: &str| {
        let (one, other) = pair.split_once(':')?;
        Some((UserId::new(one).ok()?, UserId::new(other).ok()?))
    };
    given
        .map(|pair| {
            let wrong = || format!("BOOKINGS must be pairs such as ann:bob,ann:cem, not {pair:?}");
            read(pair).ok_or_else(|| wrong().into())
        })
        .collect()
}

#[derive(Clone)]
struct Desk {
    bookings: Bookings,
    store: Arc<dyn Store>,
    chat: Chat,
}

/// Cancels a booking and has the engine ask again who may receive.
async fn cancel(
    State(desk): State<Desk>,
    Path((one, other)): Path<(UserId, UserId)>,
) -> Result<Json<Value>, (StatusCode, String)> {
    let failed = |error: &dyn std::error::Error| {
        tracing::error!(%error, "a booking cannot be cancelled");
        (StatusCode::INTERNAL_SERVER_ERROR, "the booking cannot be cancelled".to_owned())
    };
    let was_there = desk.bookings.cancel(&one, &other).await.map_err(|error| failed(&error))?;
    let key = DirectKey::new(&one, &other, None);
    let found = desk.store.direct(&key).await.map_err(|error| failed(&error))?;
    if let Some(conversation) = found {
        desk.chat.recheck_access(conversation.id);
    }
    Ok(Json(json!({ "cancelled": was_there })))
}
