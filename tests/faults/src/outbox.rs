//! A client's sends that are not acknowledged yet.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::wire::{SendKey, command};

/// A client that waits for so many acknowledgements sends nothing new.
const FULL: usize = 16;
/// A server that is alive answers within this time.
const ANSWER: Duration = Duration::from_secs(15);

/// Sends in their order, each kept until it is acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Outbox(VecDeque<Pending>);

#[derive(Debug)]
struct Pending {
    key: SendKey,
    conversation: Uuid,
    body: String,
    is: Is,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Is {
    /// To be sent, then.
    Due(Instant),
    /// Sent on this connection, then.
    InFlight(Instant),
}

impl Outbox {
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= FULL
    }

    /// Takes a new send.
    pub(crate) fn push(&mut self, key: SendKey, conversation: Uuid, body: String, now: Instant) {
        self.0.push_back(Pending { key, conversation, body, is: Is::Due(now) });
    }

    /// The connection is a new one: everything is sent again, in order, with the same keys.
    pub(crate) fn restart(&mut self, now: Instant) {
        for pending in &mut self.0 {
            pending.is = Is::Due(now);
        }
    }

    /// Takes what is due; the frames, still without `id`.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<(SendKey, Value)> {
        let due =
            self.0.iter_mut().filter(|pending| matches!(pending.is, Is::Due(at) if at <= now));
        due.map(|pending| {
            pending.is = Is::InFlight(now);
            let fields = json!({"client_id": pending.key.client_id(), "body": pending.body});
            (pending.key, command("send", pending.conversation, fields))
        })
        .collect()
    }

    /// The send is over: acknowledged, or refused for good.
    pub(crate) fn remove(&mut self, key: SendKey) {
        self.0.retain(|pending| pending.key != key);
    }

    /// The server asked to try again.
    pub(crate) fn try_again(&mut self, key: SendKey, at: Instant) {
        for pending in self.0.iter_mut().filter(|pending| pending.key == key) {
            pending.is = Is::Due(at);
        }
    }

    /// When to look again: something is due, or an answer overdue.
    pub(crate) fn next(&self) -> Option<Instant> {
        let times = self.0.iter().map(|pending| match pending.is {
            Is::Due(at) => at,
            Is::InFlight(at) => at + ANSWER,
        });
        times.min()
    }

    /// Whether an answer should have come long ago.
    pub(crate) fn is_overdue(&self, now: Instant) -> bool {
        self.0.iter().any(|pending| matches!(pending.is, Is::InFlight(at) if at + ANSWER <= now))
    }
}
