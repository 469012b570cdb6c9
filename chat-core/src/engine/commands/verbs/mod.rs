//! One verb, one file. A verb checks its fields, passes the gate, asks the store, and tells what changed.

pub(in crate::engine) mod add_members;
pub(in crate::engine) mod claim_undelivered;
pub(in crate::engine) mod clear;
pub(in crate::engine) mod create_group;
pub(in crate::engine) mod delete;
pub(in crate::engine) mod edit;
pub(in crate::engine) mod get_changes;
pub(in crate::engine) mod get_conversation;
pub(in crate::engine) mod get_message;
pub(in crate::engine) mod get_presence;
pub(in crate::engine) mod get_profiles;
pub(in crate::engine) mod hide;
pub(in crate::engine) mod history;
pub(in crate::engine) mod leave;
pub(in crate::engine) mod list_conversations;
pub(in crate::engine) mod list_cursors;
pub(in crate::engine) mod list_members;
pub(in crate::engine) mod list_pins;
pub(in crate::engine) mod mark_delivered;
pub(in crate::engine) mod mark_read;
pub(in crate::engine) mod mark_unread;
pub(in crate::engine) mod open_direct;
pub(in crate::engine) mod pin;
pub(in crate::engine) mod react;
pub(in crate::engine) mod remove_member;
pub(in crate::engine) mod send;
pub(in crate::engine) mod set_role;
pub(in crate::engine) mod signal;
pub(in crate::engine) mod typing;
pub(in crate::engine) mod unread_total;
pub(in crate::engine) mod update_conversation;
pub(in crate::engine) mod update_settings;

mod change;
mod create;
mod private;
mod revise;

use crate::engine::{gate::Who, node::Node};
use crate::{
    Error, Invalid,
    command::Reply,
    model::{ConversationId, ConversationSummary, MemberState, Role, UserId},
    rules::Denied,
};

/// What a caller is told of a refusal by the rules.
pub(in crate::engine) fn denied(denied: Denied) -> Error {
    match denied {
        Denied::NotMember => Error::NotFound,
        Denied::UnknownMember => Invalid::new("user_id", "is not a member").into(),
        Denied::TooManyMembers => {
            Invalid::new("user_ids", "the group would have too many members").into()
        }
        Denied::TooManyReactions => {
            Invalid::new("key", "the message has too many distinct reactions").into()
        }
        Denied::TooManyPins => Invalid::new("message_id", "too many messages are pinned").into(),
        Denied::Blank => Invalid::new("body", "must not be blank").into(),
        Denied::Role => Error::Forbidden("your role does not allow it".into()),
        Denied::NotSender => Error::Forbidden("only the sender can do that".into()),
        Denied::SystemMessage => {
            Error::Forbidden("only the host can change a system message".into())
        }
        Denied::DirectConversation => Error::Forbidden(
            "a direct conversation has no members to change, no roles and no title".into(),
        ),
        Denied::LastOwner => {
            Error::Conflict("a group needs an owner: make somebody else one first".into())
        }
        Denied::Deleted => Error::Conflict("the message was deleted".into()),
    }
}

/// The caller's entry of a conversation; the host, who is no member, gets an owner's view.
async fn entry(node: &Node, who: &Who, id: ConversationId) -> Result<Reply, Error> {
    let summary = match who.user() {
        Some(user) => {
            let summary = node.store().summary(id, user, node.config.limits.unread_cap);
            node.read("summary", summary).await?
        }
        None => node.read("conversation", node.store().conversation(id)).await?.map(|found| {
            let me = MemberState::joining(Role::Owner, found.last_seq);
            ConversationSummary::new(found, me, None)
        }),
    };
    summary.map(|summary| Reply::Conversation(Box::new(summary))).ok_or(Error::NotFound)
}

/// Refuses users who certainly do not exist.
async fn check_known(node: &Node, field: &'static str, users: &[UserId]) -> Result<(), Error> {
    let unknown = node.read("directory", node.backends.directory.unknown(users)).await?;
    match unknown.first() {
        Some(user) => Err(Invalid::new(field, format!("there is no user {user}")).into()),
        None => Ok(()),
    }
}
