//! One connection: authentication, rooms, events.

use std::{
    collections::HashMap,
    future::ready,
    sync::{Arc, OnceLock},
};

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use socketioxide::{
    SocketIo,
    extract::{AckSender, SocketRef, TryData},
};

use crate::{
    database::Database,
    lanes::{Lanes, New},
};

const MAX_CONTENT: usize = 32_768;
const MAX_PAGE: i64 = 100;

/// What all connections share.
pub(crate) struct App {
    key: DecodingKey,
    validation: Validation,
    database: Database,
    lanes: Lanes,
    /// Connections of each user.
    online: Mutex<HashMap<String, usize>>,
}

impl App {
    pub(crate) fn new(secret: &str, database: Database, lanes: Lanes) -> Self {
        let key = DecodingKey::from_secret(secret.as_bytes());
        let validation = Validation::new(Algorithm::HS256);
        Self { key, validation, database, lanes, online: Mutex::default() }
    }

    fn user(&self, token: &str) -> Option<String> {
        Some(decode::<Claims>(token, &self.key, &self.validation).ok()?.claims.sub)
    }

    /// Counts a connection; true for a user's first.
    fn came(&self, user: &str) -> bool {
        let mut online = self.online.lock();
        let count = online.entry(user.to_owned()).or_default();
        *count += 1;
        *count == 1
    }

    /// Counts one less; true for a user's last.
    fn went(&self, user: &str) -> bool {
        let mut online = self.online.lock();
        let Some(count) = online.get_mut(user) else { return false };
        *count -= 1;
        let last = *count == 0;
        if last {
            online.remove(user);
        }
        last
    }
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
}

#[derive(Deserialize)]
struct Auth {
    token: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SendMessage {
    conversation_id: String,
    content: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GetMessages {
    conversation_id: String,
    before: Option<i64>,
    limit: Option<i64>,
}

#[derive(Deserialize)]
struct GetConversations {
    limit: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Connected<'a> {
    user_id: &'a str,
    socket_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct User<'a> {
    user_id: &'a str,
}

/// Why nothing was done.
#[derive(Serialize)]
pub(crate) struct Refused {
    pub(crate) error: &'static str,
}

/// The conversations of a connection, once they were read.
type Member = Arc<OnceLock<Vec<i64>>>;

/// The room of a conversation.
pub(crate) fn room(conversation: i64) -> String {
    format!("c:{conversation}")
}

/// Serves all connections of the first namespace.
pub(crate) fn serve(io: &SocketIo, app: Arc<App>) {
    io.ns("/", move |socket: SocketRef, TryData(auth): TryData<Auth>| {
        let user = auth.ok().and_then(|auth| app.user(&auth.token));
        let member = Member::default();
        // Handlers stand before anything is awaited, so that no early event is lost.
        if let Some(user) = &user {
            listen(&socket, &app, user, &member);
        }
        connected(socket, Arc::clone(&app), user, member)
    });
}

async fn connected(socket: SocketRef, app: Arc<App>, user: Option<String>, member: Member) {
    let Some(user) = user else {
        let _ = socket.disconnect();
        return;
    };
    let first = app.came(&user);
    let Ok(memberships) = app.database.memberships(&user).await else {
        let _ = socket.disconnect();
        return;
    };
    let all: Vec<i64> = memberships.iter().map(|(id, _)| *id).collect();
    socket.join(all.iter().map(|id| room(*id)).collect::<Vec<_>>());
    let directs = memberships.iter().filter(|(_, is_group)| !is_group);
    let directs: Vec<String> = directs.map(|(id, _)| room(*id)).collect();
    let _ = member.set(all);
    if first && !directs.is_empty() {
        let _ = socket.to(directs.clone()).emit("userOnline", &User { user_id: &user }).await;
    }
    let _ =
        socket.emit("connected", &Connected { user_id: &user, socket_id: socket.id.to_string() });
    socket.on_disconnect(async move |socket: SocketRef, io: SocketIo| {
        if app.went(&user) && !directs.is_empty() {
            let _ = io
                .to(directs)
                .except(socket.id.to_string())
                .emit("userOffline", &User { user_id: &user })
                .await;
        }
    });
}

fn listen(socket: &SocketRef, app: &Arc<App>, user: &str, member: &Member) {
    let belongs = {
        let member = Arc::clone(member);
        move |id: i64| member.get().is_some_and(|all| all.contains(&id))
    };

    let (sends, sender_id, may_send) = (Arc::clone(app), user.to_owned(), belongs.clone());
    // It runs to its end before the next event is looked at: that keeps the order.
    socket.on("sendMessage", move |TryData(new): TryData<SendMessage>, ack: AckSender| {
        let fine = |new: &SendMessage| !new.content.is_empty() && new.content.len() <= MAX_CONTENT;
        let new = new.ok().filter(fine);
        let id = new.as_ref().and_then(|new| new.conversation_id.parse().ok());
        match (new, id) {
            (Some(new), Some(conversation_id)) if may_send(conversation_id) => {
                let SendMessage { content, .. } = new;
                let sender_id = sender_id.clone();
                let new = New { conversation_id, sender_id, content, ack };
                if let Err(full) = sends.lanes.push(new) {
                    let _ = full.ack.send(&Refused { error: "unavailable" });
                }
            }
            _ => drop(ack.send(&Refused { error: "not found" })),
        }
        ready(())
    });

    let (reads, may_read) = (Arc::clone(app), belongs);
    socket.on("getMessages", async move |TryData(page): TryData<GetMessages>, ack: AckSender| {
        let page = page.ok().and_then(|page| {
            Some((page.conversation_id.parse::<i64>().ok()?, page.before, page.limit))
        });
        let Some((id, before, limit)) = page.filter(|(id, ..)| may_read(*id)) else {
            return drop(ack.send(&Refused { error: "not found" }));
        };
        let limit = limit.unwrap_or(50).clamp(1, MAX_PAGE);
        match reads.database.history(id, before, limit).await {
            Ok(messages) => drop(ack.send(&messages)),
            Err(_) => drop(ack.send(&Refused { error: "unavailable" })),
        }
    });

    let (reads, user) = (Arc::clone(app), user.to_owned());
    socket.on(
        "getConversations",
        async move |TryData(page): TryData<GetConversations>, ack: AckSender| {
            let limit = page.ok().and_then(|page| page.limit).unwrap_or(50).clamp(1, MAX_PAGE);
            match reads.database.conversations(&user, limit).await {
                Ok(entries) => drop(ack.send(&entries)),
                Err(_) => drop(ack.send(&Refused { error: "unavailable" })),
            }
        },
    );
}
