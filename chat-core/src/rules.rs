//! Who may change what, decided the same way on every backend.
//!
//! Pure functions: a store loads the rows under the conversation's lock, asks here, and writes what it is told.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    model::{Conversation, ConversationKind, Member, Message, Role, UserId},
    store::{ConversationChange, Revision},
};

/// Why a change is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Denied {
    /// The actor is not a member: answered as if the conversation did not exist.
    NotMember,
    /// The actor's role does not reach.
    Role,
    /// Only the sender may.
    NotSender,
    /// Only groups can do that.
    DirectConversation,
    /// The user to be changed is not a member.
    UnknownMember,
    /// An owner must remain: give the role to somebody first.
    LastOwner,
    /// The group would have too many members.
    TooManyMembers,
    /// The message would have too many distinct reactions.
    TooManyReactions,
    /// The conversation would have too many pinned messages.
    TooManyPins,
    /// The message was deleted.
    Deleted,
    /// The edit would leave nothing to show.
    Blank,
    /// Messages of this kind cannot be changed by members.
    SystemMessage,
}

/// What a store has to write for a [`ConversationChange`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Decision {
    /// The conversation's own row changes (already applied by [`change`]).
    pub patched: bool,
    /// Users to add with the role [`Role::Member`].
    pub add: Vec<UserId>,
    /// Users to remove.
    pub remove: Vec<UserId>,
    /// Roles to set.
    pub roles: Vec<(UserId, Role)>,
}

impl Decision {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        !self.patched && self.add.is_empty() && self.remove.is_empty() && self.roles.is_empty()
    }
}

/// Decides a change of a conversation and applies a patch to `conversation` (never its revs).
///
/// `members` are all members; `actor` is `None` for the host, to whom no role applies.
///
/// # Errors
/// [`Denied`] says why not; nothing has been changed then.
pub fn change(
    conversation: &mut Conversation,
    members: &BTreeMap<UserId, Member>,
    actor: Option<&UserId>,
    change: &ConversationChange,
    max_members: usize,
) -> Result<Decision, Denied> {
    let role = match actor {
        Some(actor) => Some(members.get(actor).ok_or(Denied::NotMember)?.role),
        None => None,
    };
    let at_least = |needed: Role| match role {
        Some(role) if role < needed => Err(Denied::Role),
        _ => Ok(()),
    };
    if conversation.kind == ConversationKind::Direct {
        // The host may hang metadata on a direct conversation; nobody changes the pair.
        match (change, actor) {
            (ConversationChange::Patch(patch), None) if patch.title.is_none() => {}
            _ => return Err(Denied::DirectConversation),
        }
    }
    let mut decision = Decision::default();
    match change {
        ConversationChange::Patch(patch) => {
            at_least(Role::Admin)?;
            decision.patched = patch.apply(conversation);
        }
        ConversationChange::AddMembers(users) => {
            at_least(Role::Admin)?;
            let new: BTreeSet<&UserId> =
                users.iter().filter(|user| !members.contains_key(*user)).collect();
            if members.len() + new.len() > max_members {
                return Err(Denied::TooManyMembers);
            }
            decision.add = new.into_iter().cloned().collect();
            // Whoever comes first into an empty group owns it.
            if members.is_empty()
                && let Some(first) = decision.add.first()
            {
                decision.roles.push((first.clone(), Role::Owner));
            }
        }
        ConversationChange::RemoveMember(user) => {
            let leaving = actor == Some(user);
            let Some(target) = members.get(user) else {
                // Taking away who is not there is done already, for those who may take away.
                at_least(Role::Admin)?;
                return Ok(decision);
            };
            if !leaving {
                at_least(Role::Admin)?;
                if role.is_some_and(|role| target.role > role) {
                    return Err(Denied::Role);
                }
            }
            decision.remove.push(user.clone());
            if target.role == Role::Owner
                && let Some(heir) = heir(members, user)
            {
                decision.roles.push((heir, Role::Owner));
            }
        }
        ConversationChange::SetRole(user, new) => {
            at_least(Role::Owner)?;
            let target = members.get(user).ok_or(Denied::UnknownMember)?;
            if target.role != *new {
                if target.role == Role::Owner && !has_other_owner(members, user) {
                    return Err(Denied::LastOwner);
                }
                decision.roles.push((user.clone(), *new));
            }
        }
    }
    Ok(decision)
}

fn has_other_owner(members: &BTreeMap<UserId, Member>, user: &UserId) -> bool {
    members.values().any(|member| member.role == Role::Owner && &member.user_id != user)
}

/// Who becomes the owner when the last one goes: the highest role, then the longest membership, then the id.
fn heir(members: &BTreeMap<UserId, Member>, leaving: &UserId) -> Option<UserId> {
    if has_other_owner(members, leaving) {
        return None;
    }
    members
        .values()
        .filter(|member| &member.user_id != leaving)
        .min_by_key(|member| (std::cmp::Reverse(member.role), member.joined_at, &member.user_id))
        .map(|member| member.user_id.clone())
}

/// Decides a change of a message. `role` is the actor's, `None` when they are not a member;
/// `actor` is `None` for the host. `pins` is how many messages of the conversation are pinned.
///
/// Whether anything really changes is the store's to see: it applies the revision and compares.
///
/// # Errors
/// [`Denied`] says why not.
pub fn revise(
    kind: ConversationKind,
    message: &Message,
    actor: Option<&UserId>,
    role: Option<Role>,
    revision: &Revision,
    pins: usize,
) -> Result<(), Denied> {
    if actor.is_some() && role.is_none() {
        return Err(Denied::NotMember);
    }
    let by_host = actor.is_none();
    let by_sender = by_host || message.sender_id.as_ref() == actor;
    let by_admin = by_host || (kind == ConversationKind::Group && role >= Some(Role::Admin));
    if message.is_deleted() && !matches!(revision, Revision::Delete) {
        return Err(Denied::Deleted);
    }
    match revision {
        Revision::Edit(edit) => {
            if !by_sender {
                return Err(Denied::NotSender);
            }
            if edit.blanks(message) {
                return Err(Denied::Blank);
            }
        }
        Revision::Delete => {
            if !by_sender && !by_admin {
                return Err(if message.sender_id.is_none() {
                    Denied::SystemMessage
                } else {
                    Denied::NotSender
                });
            }
        }
        Revision::React { key, on, max_distinct } => {
            let known = message.reactions.iter().any(|reaction| &reaction.key == key);
            if *on && !known && message.reactions.len() >= *max_distinct {
                return Err(Denied::TooManyReactions);
            }
        }
        Revision::Pin { on, max_pins } => {
            if kind == ConversationKind::Group && !by_admin {
                return Err(Denied::Role);
            }
            if *on && message.pinned_at.is_none() && pins >= *max_pins {
                return Err(Denied::TooManyPins);
            }
        }
    }
    Ok(())
}
