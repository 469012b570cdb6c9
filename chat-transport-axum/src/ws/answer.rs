//! Frames from the server that are no events: the welcome and the answers.

use bytes::Bytes;
use parlor_core::{
    Chat, Error, Session, Timestamp,
    model::{SessionId, UserId},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    error::{self, Refusal},
    head::FrameId,
    transport::Transport,
};

/// The types of the frames that the server sends.
pub const SERVER_TYPES: [&str; 24] = [
    "welcome",
    "ok",
    "error",
    "message.sent",
    "message.edited",
    "message.deleted",
    "message.pinned",
    "reaction.changed",
    "conversation.created",
    "conversation.updated",
    "members.changed",
    "member.changed",
    "typing",
    "receipt",
    "signal",
    "presence",
    "changes",
    "limited",
    "conversation.added",
    "conversation.removed",
    "list_limited",
    "resync",
    "resumed",
    "reconnect",
];

/// The first frame of the server, once it is known who connects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "welcome")]
#[non_exhaustive]
pub struct Welcome {
    /// The id of the `authenticate` frame that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<FrameId>,
    /// The version of the protocol: 1.
    pub protocol: u32,
    /// The connection.
    pub session_id: SessionId,
    /// The user.
    pub user_id: UserId,
    /// Identifies the state of the store.
    pub epoch: Uuid,
    /// The server's time.
    pub time: Timestamp,
    /// When the connection ends unless it authenticates again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// A silent client is sent a ping after this time.
    pub ping_interval_ms: u64,
    /// The bounds on what a client sends.
    pub limits: WelcomeLimits,
}

/// The bounds on what a client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WelcomeLimits {
    /// Bytes of a frame.
    pub frame_bytes: usize,
    /// Bytes of a message's text.
    pub body_bytes: usize,
    /// Bytes of a message's metadata as compact JSON.
    pub metadata_bytes: usize,
    /// Attachments of a message.
    pub attachments: usize,
    /// Users mentioned in a message.
    pub mentions: usize,
    /// Rows of a page at most.
    pub page_max: usize,
    /// Users watched for presence.
    pub watches: usize,
}

impl Welcome {
    /// Greets a session.
    pub(crate) fn new(transport: &Transport, session: &Session, id: Option<FrameId>) -> Self {
        let limits = &transport.chat.config().limits;
        Self {
            id,
            protocol: 1,
            session_id: session.id(),
            user_id: session.user_id().clone(),
            epoch: transport.chat.epoch(),
            time: transport.chat.now(),
            expires_at: session.expires_at(),
            ping_interval_ms: u64::try_from(transport.ping_interval.as_millis())
                .unwrap_or(u64::MAX),
            limits: WelcomeLimits {
                frame_bytes: transport.max_frame,
                body_bytes: limits.body_bytes,
                metadata_bytes: limits.metadata_bytes,
                attachments: limits.attachments,
                mentions: limits.mentions,
                page_max: limits.page_max,
                watches: limits.watches,
            },
        }
    }
}

/// The result of `ping`.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Pinged {
    pub(crate) time: Timestamp,
}

impl Pinged {
    pub(crate) fn new(chat: &Chat) -> Self {
        Self { time: chat.now() }
    }
}

/// The result of a later `authenticate`.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Reauthenticated {
    pub(crate) expires_at: Option<Timestamp>,
}

/// The answer to a frame: nothing for one without an id that was carried out.
pub(crate) fn answer<T: Serialize>(id: Option<FrameId>, result: Result<T, Error>) -> Option<Bytes> {
    #[derive(Serialize)]
    #[serde(tag = "type", rename = "ok")]
    struct Done<T> {
        id: FrameId,
        result: T,
    }
    match (id, result) {
        (None, Ok(_)) => None,
        (Some(id), Ok(result)) => Some(json(&Done { id, result })),
        (id, Err(error)) => {
            error::log(&error);
            Some(refuse(id, &Refusal::from(&error)))
        }
    }
}

/// The answer to a frame that failed.
pub(crate) fn refuse(id: Option<FrameId>, refusal: &Refusal) -> Bytes {
    #[derive(Serialize)]
    #[serde(tag = "type", rename = "error")]
    struct Failed<'a> {
        id: Option<FrameId>,
        error: &'a Refusal,
    }
    json(&Failed { id, error: refusal })
}

pub(crate) fn json<T: Serialize>(frame: &T) -> Bytes {
    match serde_json::to_vec(frame) {
        Ok(json) => json.into(),
        Err(error) => {
            // Structs with text keys always serialise; should one not, the client still gets an answer.
            tracing::error!(%error, "a frame cannot be written as JSON");
            let text = r#"{"type":"error","id":null,"error":{"code":"internal","message":"internal error","retryable":false}}"#;
            Bytes::from_static(text.as_bytes())
        }
    }
}
