//! What is written. A conversation's messages take one lane, and a lane has one connection and carries out one
//! insert after the other: so messages are stored, acknowledged and told in the order in which they were sent.

use serde::Serialize;
use socketioxide::{SocketIo, extract::AckSender};
use sqlx::{Connection, PgConnection};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::database::{Message, written};

const INSERT: &str = "
    INSERT INTO messages (conversation_id, sender_id, content) VALUES ($1, $2, $3)
    RETURNING id, (extract(epoch FROM created_at) * 1000)::bigint";

/// Messages that may wait in a lane.
const WAITING: usize = 1024;

/// A message that a client sent.
pub(crate) struct New {
    pub(crate) conversation_id: i64,
    pub(crate) sender_id: String,
    pub(crate) content: String,
    pub(crate) ack: AckSender,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stored<'a> {
    id: i64,
    created_at: &'a str,
}

/// The lanes; each is a task.
pub(crate) struct Lanes(Vec<Sender<New>>);

impl Lanes {
    pub(crate) async fn start(url: &str, count: u32, io: &SocketIo) -> sqlx::Result<Self> {
        let mut lanes = Vec::new();
        for _ in 0..count {
            let connection = PgConnection::connect(url).await?;
            let (sender, receiver) = channel(WAITING);
            tokio::spawn(lane(connection, receiver, io.clone()));
            lanes.push(sender);
        }
        Ok(Self(lanes))
    }

    /// Takes its place in the order at once; a lane that is full refuses it.
    pub(crate) fn push(&self, new: New) -> Result<(), New> {
        let lane = new.conversation_id.unsigned_abs() as usize % self.0.len();
        self.0[lane].try_send(new).map_err(|refused| refused.into_inner())
    }
}

async fn lane(mut connection: PgConnection, mut waiting: Receiver<New>, io: SocketIo) {
    while let Some(New { conversation_id, sender_id, content, ack }) = waiting.recv().await {
        let insert = sqlx::query_as(INSERT).bind(conversation_id).bind(&sender_id).bind(&content);
        let (id, at) = match insert.fetch_one(&mut connection).await {
            Ok(row) => row,
            Err(_) => {
                let _ = ack.send(&crate::session::Refused { error: "unavailable" });
                continue;
            }
        };
        let created_at = written(at);
        // A client that has gone gets neither.
        let _ = ack.send(&Stored { id, created_at: &created_at });
        let message = Message { id, conversation_id, sender_id, content, created_at };
        let _ = io.to(crate::session::room(conversation_id)).emit("message", &message).await;
    }
}
