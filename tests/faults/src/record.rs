//! What a client did and was answered: the other side of the comparison with the store.

use std::{collections::HashMap, time::Instant};

use parking_lot::Mutex;
use uuid::Uuid;

use crate::{
    copy::Copies,
    wire::{SendKey, Text},
};

/// A client as the checker sees it while the client runs.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) client: u32,
    pub(crate) state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) place: Place,
    pub(crate) copies: Copies,
    /// By the number of the send, from 1.
    pub(crate) sends: Vec<Sent>,
    pub(crate) acknowledged: u64,
    pub(crate) revisions: Vec<Revision>,
    /// How far reading was acknowledged, by conversation.
    pub(crate) read: HashMap<Uuid, u64>,
    /// Sends that were answered by an error that says not to try again.
    pub(crate) refused: u64,
    /// Acknowledgements that place a message before one that was acknowledged before it was sent.
    pub(crate) acked_backwards: u64,
    pub(crate) reconnects: u64,
    pub(crate) resumes: u64,
    /// Sends that were tried again.
    pub(crate) retries: u64,
    /// Why connections broke, and errors that were answered; how often each.
    pub(crate) reasons: HashMap<String, u64>,
}

/// Where a client is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// On its way to a node.
    #[default]
    Seeking,
    /// Live on this node.
    On(usize),
    /// Gone for good.
    Away,
}

/// A message that was sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) conversation: Uuid,
    pub(crate) at: Instant,
    pub(crate) text: Text,
    /// The last seq in the conversation that this client had an acknowledgement for when it sent this.
    pub(crate) after: u64,
    pub(crate) acked: Option<Acked>,
}

/// Its acknowledgement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Acked {
    pub(crate) at: Instant,
    pub(crate) message: Uuid,
    pub(crate) seq: u64,
}

/// An edit or a deletion that was acknowledged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Revision {
    pub(crate) send: SendKey,
    pub(crate) text: Text,
}

impl Record {
    pub(crate) fn new(client: u32) -> Self {
        Self { client, state: Mutex::default() }
    }

    /// Whether it is connected and has caught up.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.state.lock().place, Place::On(_))
    }
}

impl State {
    /// Sends without an answer.
    pub(crate) fn waiting(&self) -> u64 {
        self.sends.len() as u64 - self.acknowledged - self.refused
    }

    pub(crate) fn note(&mut self, reason: String) {
        *self.reasons.entry(reason).or_default() += 1;
    }
}
