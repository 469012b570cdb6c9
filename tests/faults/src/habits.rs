//! What a client does, and when, by a chance that begins at its seed.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use fastrand::Rng;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    record::{Sent, State},
    wire::{SendKey, Text, command},
};

/// Messages of one's own that may still be edited or deleted.
const RECENT: usize = 30;
const REACTIONS: [&str; 3] = ["👍", "🎉", "👀"];

/// What a client is inclined to do.
pub(crate) struct Habits {
    client: u32,
    rng: Rng,
    conversations: Vec<Uuid>,
    pause: Duration,
    next: Instant,
    /// In each conversation the last seq that was acknowledged.
    acked: HashMap<Uuid, u64>,
    /// Numbers of sends, not revised yet.
    revisable: Vec<u32>,
}

/// Something besides a send that a client asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Deed {
    Read { conversation: Uuid, seq: u64 },
    Revise { send: SendKey, text: Text },
    React,
}

impl Habits {
    pub(crate) fn new(client: u32, seed: u64, conversations: Vec<Uuid>, pause: Duration) -> Self {
        let rng = Rng::with_seed(seed.wrapping_mul(1_000_003).wrapping_add(client.into()));
        let (acked, revisable) = (HashMap::new(), Vec::new());
        Self { client, rng, conversations, pause, next: Instant::now(), acked, revisable }
    }

    /// A number from 0 up to 1.
    pub(crate) fn chance(&mut self) -> f64 {
        self.rng.f64()
    }

    /// A number below this one.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.rng.usize(..end)
    }

    /// When it wants to say something next.
    pub(crate) fn next(&self) -> Instant {
        self.next
    }

    /// Puts the next time off: half the mean pause to half as long again, by chance.
    pub(crate) fn wait(&mut self, now: Instant) {
        self.next = now + self.pause.mul_f64(0.5 + self.rng.f64());
    }

    /// Begins at a time of its own within the first pause.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.next = now + self.pause.mul_f64(self.rng.f64());
    }

    /// A new message: its key, where to, and the text.
    pub(crate) fn say(&mut self, state: &mut State, now: Instant) -> (SendKey, Uuid, String) {
        let conversation = self.conversations[self.rng.usize(..self.conversations.len())];
        let number = u32::try_from(state.sends.len() + 1).unwrap_or(u32::MAX);
        let key = SendKey { client: self.client, number };
        let body = format!("{} says: {}", key.client_id(), "word ".repeat(self.rng.usize(1..20)));
        let after = self.acked.get(&conversation).copied().unwrap_or(0);
        let text = Text::of(&body);
        state.sends.push(Sent { conversation, at: now, text, after, acked: None });
        (key, conversation, body)
    }

    /// A send was acknowledged.
    pub(crate) fn heard(&mut self, key: SendKey, conversation: Uuid, seq: u64) {
        let last = self.acked.entry(conversation).or_default();
        *last = seq.max(*last);
        if self.revisable.len() == RECENT {
            self.revisable.remove(0);
        }
        self.revisable.push(key.number);
    }

    /// What it does besides sending, now and then: the frame, still without `id`.
    pub(crate) fn deed(&mut self, state: &State) -> Option<(Deed, Value)> {
        match self.rng.u32(..100) {
            0..10 => self.read(state),
            10..15 => self.revise(state, false),
            15..18 => self.revise(state, true),
            18..24 => self.react(state),
            _ => None,
        }
    }

    fn read(&mut self, state: &State) -> Option<(Deed, Value)> {
        let conversation = self.conversations[self.rng.usize(..self.conversations.len())];
        let copy = state.copies.conversations.get(&conversation)?;
        let (&seq, _) = copy.messages.last_key_value()?;
        let frame = command("mark_read", conversation, json!({"seq": seq}));
        Some((Deed::Read { conversation, seq }, frame))
    }

    /// Edits or deletes a message of its own; each at most once, so that it is known how it must end.
    fn revise(&mut self, state: &State, delete: bool) -> Option<(Deed, Value)> {
        if self.revisable.is_empty() {
            return None;
        }
        let number = self.revisable.swap_remove(self.rng.usize(..self.revisable.len()));
        let send = SendKey { client: self.client, number };
        let sent = state.sends.get(number as usize - 1)?;
        let message = sent.acked?.message;
        if delete {
            let frame = command("delete", sent.conversation, json!({"message_id": message}));
            return Some((Deed::Revise { send, text: Text::Deleted }, frame));
        }
        let body = send.correction();
        let text = Text::of(&body);
        let fields = json!({"message_id": message, "body": body});
        Some((Deed::Revise { send, text }, command("edit", sent.conversation, fields)))
    }

    fn react(&mut self, state: &State) -> Option<(Deed, Value)> {
        let conversation = self.conversations[self.rng.usize(..self.conversations.len())];
        let copy = state.copies.conversations.get(&conversation)?;
        let (_, held) = copy.messages.iter().rev().nth(self.rng.usize(..5))?;
        let key = REACTIONS[self.rng.usize(..REACTIONS.len())];
        let on = self.rng.u32(..4) > 0;
        let fields = json!({"message_id": held.id, "key": key, "on": on});
        Some((Deed::React, command("react", conversation, fields)))
    }
}
