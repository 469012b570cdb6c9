//! What a storage backend must do.
//!
//! [`Store`] is three traits on one database: they are one because the lock, the duplicate check and
//! the lists span them. Each method's doc is its contract, and each clause of it has a case of the
//! same name in the conformance suite (feature `conformance`).
//!
//! Common to all methods:
//!
//! - **Atomic**: a change is stored whole or not at all, and is durable when the method returns.
//! - **Numbered under a lock**: `seq` and `rev` are given out under the conversation's lock, in the
//!   transaction that uses them, so that neither has a hole. [`crate::rules`] decides what is allowed;
//!   a store calls it under the same lock.
//! - **Absence is a value**: an unknown id answers `None`, `NotFound` or an empty page, never an error.
//! - **Changes may grow**: [`Revision`] gets variants in later versions. A store of your own answers one
//!   that it does not know with [`Other`](crate::BackendErrorKind::Other) and changes nothing; the suite's
//!   case for it says what is missing. [`ConversationChange`] goes to the rules, and [`PrivateChange`] and
//!   [`Advance`] apply themselves.
//! - **Questions and answers can be carried**: everything that goes to a store and comes back is written and
//!   read by serde, so that a store can be asked from another process. Only [`Cursor`](crate::model::Cursor)
//!   leaves out its mark `private`, and [`Tried`] is its two cases.
//! - **Cancellation**: dropping a future must leave the change whole or undone. The engine runs every
//!   change in a task of its own and does not cancel it.

mod conversations;
mod cursors;
mod messages;

pub use conversations::{
    Arrival, ChangeOutcome, ConversationChange, ConversationStore, Created, ListPosition,
    ListQuery, MemberDelta, Membership, NewConversation, PrivateChange, PrivateDelta,
};
pub use cursors::{Advance, Advanced, CursorStore, UnreadTotal};
pub use messages::{
    Append, Appended, ChangesPage, ChangesPosition, ChangesQuery, HistoryPage, HistoryQuery,
    MessageRef, MessageStore, Page, ReviseOutcome, Revision, Stored, Tried,
};

/// Everything that chat keeps: conversations, messages and cursors on one database.
///
/// Implemented for whatever implements the three traits.
pub trait Store: ConversationStore + MessageStore + CursorStore {}

impl<T: ConversationStore + MessageStore + CursorStore> Store for T {}
