//! What chat is made of: users, conversations, members, messages, cursors and presence.

mod conversation;
mod draft;
mod ids;
mod message;
mod metadata;
mod user;

pub use conversation::{
    Conversation, ConversationKind, ConversationPatch, ConversationSummary, Cursor, Direct, Member,
    MemberState, NewGroup, Role, SettingsPatch,
};
pub use draft::{ContentHash, Draft, DraftEdit, MessageEdit, NewMessage};
pub use ids::{
    CLIENT_ID_BYTES, CONTEXT_BYTES, ClientId, ConversationId, DirectKey, MessageId, NodeId,
    SessionId, USER_ID_BYTES, UserId, check_context,
};
pub use message::{
    Attachment, Message, MessageKind, REACTION_BYTES, REACTION_USERS, Reaction, ReactionKey,
};
pub use metadata::Metadata;
pub use user::{Identity, PresenceInfo, PresenceStatus, Profile};

pub(crate) use conversation::check_patch;
pub(crate) use draft::check_name;
pub(crate) use metadata::check_json;
