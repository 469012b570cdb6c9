//! An event on its way to clients.

use std::borrow::Cow;

use serde_json::Value;

/// An event for clients, with whom among the user's sockets it is for.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Emit {
    event: Cow<'static, str>,
    data: Value,
    to: To,
}

/// Who gets an event that the user is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct To {
    pub(crate) room: Room,
    pub(crate) side: Side,
    pub(crate) not_its_sender: bool,
}

/// Whether it matters who sent the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Side {
    #[default]
    Any,
    Sender,
    Others,
}

/// Whether joining the conversation matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Room {
    #[default]
    Any,
    Joined,
    NotJoined,
    NotLeft,
}

impl Emit {
    /// An event with its one argument, for all sockets of those who are told.
    pub fn new(event: impl Into<Cow<'static, str>>, data: Value) -> Self {
        Self { event: event.into(), data, to: To::default() }
    }

    /// Only for sockets that have joined the conversation ([`Client::join`](crate::Client::join)).
    pub fn to_joined(mut self) -> Self {
        self.to.room = Room::Joined;
        self
    }

    /// Only for sockets that have not joined the conversation.
    pub fn to_not_joined(mut self) -> Self {
        self.to.room = Room::NotJoined;
        self
    }

    /// Not for sockets that have left the conversation ([`Client::leave`](crate::Client::leave)) and have
    /// not joined it again.
    pub fn to_not_left(mut self) -> Self {
        self.to.room = Room::NotLeft;
        self
    }

    /// Not for the very socket that sent the message. The user's other devices get it.
    pub fn not_to_its_sender(mut self) -> Self {
        self.to.not_its_sender = true;
        self
    }

    /// Only for the devices of the user who sent the message. Nobody gets it when the host did.
    pub fn to_sender(mut self) -> Self {
        self.to.side = Side::Sender;
        self
    }

    /// Only for the devices of the others, and not of the user who sent the message.
    pub fn to_others(mut self) -> Self {
        self.to.side = Side::Others;
        self
    }

    /// The event's name.
    pub fn event(&self) -> &str {
        &self.event
    }

    /// Its argument.
    pub fn data(&self) -> &Value {
        &self.data
    }

    pub(crate) fn to(&self) -> To {
        self.to
    }
}
