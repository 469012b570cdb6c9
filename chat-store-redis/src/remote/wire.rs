//! Questions and answers as they are written.

use parlor_core::{
    BackendError, BackendErrorKind, Timestamp,
    model::{ConversationId, Cursor, DirectKey, MessageId, UserId},
    store::{
        Advance, Append, Appended, Arrival, ChangesQuery, ConversationChange, HistoryQuery,
        ListQuery, MessageRef, NewConversation, PrivateChange, Revision,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A question or an answer takes no more bytes than this. The largest that the engine's limits allow, a page of
/// full messages, takes about 10 MiB.
pub(super) const MAX_BYTES: usize = 16 * 1024 * 1024;

/// What a store is asked: a method with its arguments.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    Create(Box<NewConversation>),
    Conversation(ConversationId),
    ConversationByNumber(u64),
    Direct(DirectKey),
    Members(ConversationId, Option<UserId>, usize),
    Member(ConversationId, UserId),
    Change(ConversationId, Option<UserId>, ConversationChange, usize, Timestamp),
    Memberships(UserId, Option<ConversationId>, usize),
    Arrivals(Timestamp, Option<Arrival>, usize),
    List(UserId, ListQuery),
    Summary(ConversationId, UserId, u32),
    ChangePrivate(ConversationId, UserId, PrivateChange, u32),
    PrivateChanges(ConversationId, UserId, u64, usize, u32),
    Heads(Vec<ConversationId>),
    Sharing(UserId, Vec<UserId>),
    Epoch,
    Ping,
    Append(Vec<Append>),
    TryAppend(Vec<Append>),
    Revise(ConversationId, MessageId, Option<UserId>, Revision, Timestamp),
    History(ConversationId, HistoryQuery),
    Changes(ConversationId, ChangesQuery),
    Message(MessageRef, Option<UserId>),
    Pinned(ConversationId, Option<UserId>),
    Advance(Vec<Advance>, u32),
    Cursors(ConversationId, usize),
    UnreadTotal(UserId, u32),
}

impl Request {
    /// Whether carrying it out twice is as good as once: reads, and changes that have a key of their own.
    pub(super) fn is_repeatable(&self) -> bool {
        match self {
            Self::Change(..) | Self::ChangePrivate(..) | Self::Revise(..) => false,
            Self::Append(batch) | Self::TryAppend(batch) => {
                batch.iter().all(|append| append.draft.message().client_id.is_some())
            }
            _ => true,
        }
    }
}

/// A question, with where the answer goes.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Asked<R> {
    pub(super) id: u64,
    pub(super) answer_to: String,
    pub(super) request: R,
}

/// An answer to the question with this id.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Answered {
    pub(super) id: u64,
    pub(super) answer: Result<Box<RawValue>, Trouble>,
}

/// A [`BackendError`] on its way. The operation's name is known where the question came from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Trouble {
    kind: BackendErrorKind,
    said: String,
}

impl Trouble {
    pub(super) fn new(kind: BackendErrorKind, said: impl Into<String>) -> Self {
        Self { kind, said: said.into() }
    }

    pub(super) fn during(self, operation: &'static str) -> BackendError {
        BackendError::new(self.kind, operation).with_source(self.said)
    }
}

impl From<BackendError> for Trouble {
    fn from(error: BackendError) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

/// What became of one message of a batch; `None` for one whose conversation is locked.
pub(super) type Outcome = Option<Result<Appended, Trouble>>;

/// A cursor with its mark, which is never written for clients.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct MarkedCursor {
    cursor: Cursor,
    private: bool,
}

impl From<Cursor> for MarkedCursor {
    fn from(cursor: Cursor) -> Self {
        Self { private: cursor.private, cursor }
    }
}

impl From<MarkedCursor> for Cursor {
    fn from(MarkedCursor { cursor, private }: MarkedCursor) -> Self {
        Self { private, ..cursor }
    }
}
