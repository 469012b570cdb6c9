//! What a contract is asked to write, and how an engine's event comes to it.

use parlor_core::{
    event::{Change, ChangeBody, Changes, Ephemeral, Event, SessionEvent},
    model::{
        Conversation, ConversationId, Member, Message, MessageId, PresenceInfo, PresenceStatus,
        UserId,
    },
};

use crate::known::Place;

/// Something that happened, as a contract is asked to write it.
///
/// What has no word here (reactions, pins, roles, private settings) has none in Socket.IO front ends
/// either; they find it when they load anew.
#[derive(Debug)]
#[non_exhaustive]
pub enum Told<'a> {
    /// A message was sent. Its sender's own devices are told as well.
    Sent {
        /// The message.
        message: &'a Message,
        /// Where.
        place: &'a Place,
    },
    /// A message was changed.
    Edited {
        /// The message as it stands now.
        message: &'a Message,
        /// Where.
        place: &'a Place,
    },
    /// A message was deleted for everyone.
    Deleted {
        /// What is left of it.
        message: &'a Message,
        /// Where.
        place: &'a Place,
    },
    /// A conversation was made, or the user became a member of it.
    Created {
        /// The conversation.
        place: &'a Place,
        /// Who is in it. Of a group that was there before only for contracts that serve groups
        /// ([`Contract::serves_groups`](crate::Contract::serves_groups)), else empty.
        members: &'a [UserId],
    },
    /// Somebody types, or stopped. They are not told themselves.
    Typing {
        /// Where.
        place: &'a Place,
        /// Who.
        user_id: &'a UserId,
        /// Typing or stopped.
        on: bool,
    },
    /// Somebody has read up to a message. They are not told themselves.
    Read {
        /// Where.
        place: &'a Place,
        /// Who.
        user_id: &'a UserId,
        /// The last message that they have read.
        message: Mark,
    },
    /// Somebody who shares a conversation came.
    Online {
        /// Who.
        user_id: &'a UserId,
    },
    /// Somebody who shares a conversation went.
    Offline {
        /// Who.
        user_id: &'a UserId,
    },
}

/// Names a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Its id.
    pub id: MessageId,
    /// Its number, unique in the store and growing within a conversation.
    pub number: u64,
    /// Its place in the conversation.
    pub seq: u64,
}

impl Mark {
    /// Names this message.
    pub fn of(message: &Message) -> Self {
        Self { id: message.id, number: message.number, seq: message.seq }
    }
}

/// The same as the engine says it: not looked up yet.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Happening<'a> {
    Sent(&'a Message),
    Edited(&'a Message),
    Deleted(&'a Message),
    Created(Arrival<'a>),
    Typing { conversation_id: ConversationId, user_id: &'a UserId, on: bool },
    Read { conversation_id: ConversationId, user_id: &'a UserId, seq: u64 },
    Presence { user_id: &'a UserId, online: bool },
}

/// A conversation that users came into.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival<'a> {
    pub(crate) conversation: &'a Conversation,
    /// Who is in it, where the event says so.
    pub(crate) members: Option<&'a [Member]>,
    /// To whom it is new, where it is not new to everybody.
    pub(crate) only: Option<&'a [Member]>,
}

impl<'a> Happening<'a> {
    /// Where it happened; presence has no place.
    pub(crate) fn conversation_id(&self) -> Option<ConversationId> {
        match self {
            Self::Sent(message) | Self::Edited(message) | Self::Deleted(message) => {
                Some(message.conversation_id)
            }
            Self::Created(arrival) => Some(arrival.conversation.id),
            Self::Typing { conversation_id, .. } | Self::Read { conversation_id, .. } => {
                Some(*conversation_id)
            }
            Self::Presence { .. } => None,
        }
    }

    /// The user whom it is about, besides those of the conversation.
    pub(crate) fn user(&self) -> Option<&'a UserId> {
        match self {
            Self::Sent(message) | Self::Edited(message) | Self::Deleted(message) => {
                message.sender_id.as_ref()
            }
            Self::Created(arrival) => arrival.conversation.created_by.as_ref(),
            Self::Typing { user_id, .. }
            | Self::Read { user_id, .. }
            | Self::Presence { user_id, .. } => Some(user_id),
        }
    }
}

/// What an event says, one by one. A gap that was filled says several things.
pub(crate) fn happenings(event: &Event) -> Vec<Happening<'_>> {
    match event {
        Event::Change(change) => of_change(change).into_iter().collect(),
        Event::Ephemeral(Ephemeral::Typing { conversation_id, user_id, on }) => {
            vec![Happening::Typing { conversation_id: *conversation_id, user_id, on: *on }]
        }
        Event::Ephemeral(Ephemeral::Receipt { conversation_id, user_id, read_seq, .. })
            if *read_seq > 0 =>
        {
            let conversation_id = *conversation_id;
            vec![Happening::Read { conversation_id, user_id, seq: *read_seq }]
        }
        Event::Ephemeral(Ephemeral::Presence { users }) => {
            users.iter().filter_map(of_presence).collect()
        }
        Event::Session(SessionEvent::Changes(changes)) => of_changes(changes),
        Event::Session(SessionEvent::ConversationAdded { summary }) => {
            let conversation = &summary.conversation;
            vec![Happening::Created(Arrival { conversation, members: None, only: None })]
        }
        _ => Vec::new(),
    }
}

fn of_change(change: &Change) -> Option<Happening<'_>> {
    match &change.body {
        ChangeBody::MessageSent { message } => Some(Happening::Sent(message)),
        ChangeBody::MessageEdited { message } => Some(Happening::Edited(message)),
        ChangeBody::MessageDeleted { message } => Some(Happening::Deleted(message)),
        ChangeBody::ConversationCreated { conversation, members } => {
            Some(Happening::Created(Arrival { conversation, members: Some(members), only: None }))
        }
        ChangeBody::MembersChanged { conversation, added, .. } if !added.is_empty() => {
            Some(Happening::Created(Arrival { conversation, members: None, only: Some(added) }))
        }
        _ => None,
    }
}

fn of_changes(changes: &Changes) -> Vec<Happening<'_>> {
    // What was sent and deleted within the gap was never there.
    let sent = changes.messages.iter().filter(|message| !message.is_deleted());
    let revised = changes.revised.iter().map(|message| match message.is_deleted() {
        true => Happening::Deleted(message),
        false => Happening::Edited(message),
    });
    sent.map(Happening::Sent).chain(revised).collect()
}

fn of_presence(info: &PresenceInfo) -> Option<Happening<'_>> {
    let online = match info.status {
        PresenceStatus::Online | PresenceStatus::Away | PresenceStatus::Busy => true,
        PresenceStatus::Offline => false,
        // Nobody can tell: what was told last stands.
        PresenceStatus::Unknown => return None,
    };
    Some(Happening::Presence { user_id: &info.user_id, online })
}

/// The members whom an event brings into a conversation, to be watched for presence.
pub(crate) fn newcomers(event: &Event) -> Option<&[Member]> {
    match event {
        Event::Change(Change { body: ChangeBody::ConversationCreated { members, .. }, .. }) => {
            Some(members)
        }
        Event::Change(Change { body: ChangeBody::MembersChanged { added, .. }, .. })
            if !added.is_empty() =>
        {
            Some(added)
        }
        _ => None,
    }
}
