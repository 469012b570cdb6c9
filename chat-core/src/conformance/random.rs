//! A random but repeatable life of a few users in a few conversations.

use std::{collections::BTreeMap, sync::Arc};

use fastrand::Rng;

use super::{
    Nodes,
    world::{CAP, Room, append, at, conversation_id, edit, key, message_id, reaction, user},
};
use crate::{
    Timestamp,
    model::{
        ConversationId, ConversationPatch, MessageId, MessageKind, NewMessage, Role, SettingsPatch,
        UserId,
    },
    rules::Denied,
    store::{
        Advance, Advanced, Append, Appended, ChangeOutcome, ConversationChange, Created,
        NewConversation, PrivateChange, PrivateDelta, ReviseOutcome, Revision, Store,
    },
};

/// The seeds of a random case, the last one new each time; or the one in `PARLOR_MODEL_SEED`.
pub(super) fn seeds(count: u64) -> Vec<Seed> {
    let wanted = std::env::var("PARLOR_MODEL_SEED").ok();
    let wanted = wanted.map(|seed| seed.parse().expect("PARLOR_MODEL_SEED is a number"));
    match wanted {
        Some(seed) => vec![Seed(seed)],
        None => (1..count).chain([fastrand::u64(1_000..1_000_000)]).map(Seed).collect(),
    }
}

/// Told when the case fails, so that it can be replayed.
pub(super) struct Seed(pub(super) u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the seed was {0}: PARLOR_MODEL_SEED={0} replays it", self.0);
        }
    }
}

/// Something that somebody does, allowed or not.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Create(NewConversation),
    Append(Vec<Append>),
    Revise(ConversationId, MessageId, Option<UserId>, Revision, Timestamp),
    Change(ConversationId, Option<UserId>, ConversationChange, Timestamp),
    Private(ConversationId, UserId, PrivateChange),
    Advance(Vec<Advance>),
}

/// What a store said to it.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    Created(Box<Created>),
    Appended(Vec<Appended>),
    Revised(ReviseOutcome),
    Changed(ChangeOutcome),
    Private(Option<PrivateDelta>),
    Advanced(Vec<Option<Advanced>>),
}

/// So few may be in a group, so that the limit is met.
const MAX_MEMBERS: usize = 5;

impl Op {
    pub(super) async fn run(&self, store: &dyn Store) -> Answer {
        match self.clone() {
            Self::Create(new) => {
                Answer::Created(Box::new(store.create(new).await.expect("create answers")))
            }
            Self::Append(batch) => {
                let answers = store.append(batch).await.into_iter();
                Answer::Appended(answers.map(|answer| answer.expect("append answers")).collect())
            }
            Self::Revise(id, message, actor, revision, now) => {
                let outcome = store.revise(id, message, actor.as_ref(), revision, now).await;
                Answer::Revised(match outcome.expect("revise answers") {
                    ReviseOutcome::Denied(Denied::NotMember) => ReviseOutcome::NotFound,
                    outcome => outcome,
                })
            }
            Self::Change(id, actor, change, now) => {
                let outcome = store.change(id, actor.as_ref(), change, MAX_MEMBERS, now).await;
                Answer::Changed(match outcome.expect("change answers") {
                    ChangeOutcome::Denied(Denied::NotMember) => ChangeOutcome::NotFound,
                    outcome => outcome,
                })
            }
            Self::Private(id, user, change) => {
                let delta = store.change_private(id, &user, change, CAP).await;
                Answer::Private(delta.expect("change_private answers"))
            }
            Self::Advance(batch) => {
                let answers = store.advance(batch, CAP).await.into_iter();
                Answer::Advanced(answers.map(|answer| answer.expect("advance answers")).collect())
            }
        }
    }
}

/// Makes up what happens next. No two operations happen at the same moment, but time goes back.
pub(super) struct Script {
    pub(super) rng: Rng,
    pub(super) users: Vec<UserId>,
    pub(super) rooms: Vec<ConversationId>,
    pub(super) sent: Vec<(ConversationId, MessageId)>,
    store: Option<Arc<dyn Store>>,
    clock: i64,
}

impl Script {
    /// Six users without a conversation.
    pub(super) fn bare(seed: u64) -> Self {
        let users = (0..6).map(|n| user(&format!("u{n}"))).collect();
        let rng = Rng::with_seed(seed);
        Self { rng, users, rooms: vec![], sent: vec![], store: None, clock: 0 }
    }

    /// Six users in groups of four.
    pub(super) async fn new(seed: u64, nodes: &Nodes, rooms: usize) -> Self {
        let mut script = Self::bare(seed);
        script.store = Some(nodes.one.clone());
        for _ in 0..rooms {
            let room = Room::group_of(nodes, script.users[..4].to_vec()).await;
            script.rooms.push(room.id);
        }
        script
    }

    /// One of the conversations, with all users, members or not.
    pub(super) fn room(&self, n: usize) -> Room {
        let store = self.store.as_ref().expect("made with a store");
        Room::known(store, self.rooms[n], self.users.clone())
    }

    /// Something happens on this node.
    pub(super) async fn play(&mut self, store: &Arc<dyn Store>) {
        let answer = self.next().run(store.as_ref()).await;
        self.learn(&answer);
    }

    /// Remembers what was made, for later operations to act on.
    pub(super) fn learn(&mut self, answer: &Answer) {
        match answer {
            Answer::Created(created) if created.fresh => self.rooms.push(created.conversation.id),
            Answer::Appended(answers) => {
                for answer in answers {
                    if let Appended::Fresh(message) = answer {
                        self.sent.push((message.conversation_id, message.id));
                    }
                }
            }
            _ => {}
        }
    }

    /// A moment of its own, sometimes one before those given out last.
    fn now(&mut self) -> Timestamp {
        self.clock += 1;
        let back = if self.rng.u8(..6) == 0 { self.rng.i64(1..20) } else { 0 };
        at((self.clock - back) * 10_000 + self.clock)
    }

    pub(super) fn user(&mut self) -> UserId {
        self.users[self.rng.usize(..self.users.len())].clone()
    }

    pub(super) fn id(&mut self) -> ConversationId {
        self.rooms[self.rng.usize(..self.rooms.len())]
    }

    fn actor(&mut self) -> Option<UserId> {
        (self.rng.u8(..8) > 0).then(|| self.user())
    }

    /// A group or a direct conversation, which may be there already.
    pub(super) fn creation(&mut self) -> Op {
        let (id, now) = (conversation_id(), self.now());
        if self.rng.bool() {
            let context = (self.rng.u8(..3) == 0).then(|| "ctx".to_owned());
            let (one, other) = (self.user(), self.user());
            return Op::Create(NewConversation::direct(id, &one, &other, context, now));
        }
        let mut members = BTreeMap::from([(self.user(), Role::Owner)]);
        for _ in 0..self.rng.u8(..4) {
            let role = if self.rng.bool() { Role::Admin } else { Role::Member };
            members.entry(self.user()).or_insert(role);
        }
        Op::Create(NewConversation::group(id, "Group".to_owned(), members, now))
    }

    /// Anything but a new conversation.
    pub(super) fn next(&mut self) -> Op {
        match self.rng.u8(..20) {
            0..7 => Op::Append((0..self.rng.u8(1..5)).map(|_| self.message()).collect()),
            7..12 if !self.sent.is_empty() => self.revision(),
            12..14 => self.change(),
            14..17 => self.private(),
            _ => Op::Advance((0..self.rng.u8(1..4)).map(|_| self.cursor()).collect()),
        }
    }

    fn message(&mut self) -> Append {
        let sender = self.actor();
        let mut message = NewMessage::text(format!("text {}", self.rng.u8(..4)));
        if sender.is_none() && self.rng.bool() {
            message.kind = MessageKind::System;
        }
        if self.rng.u8(..4) == 0 {
            message.client_id = Some(key(&format!("k{}", self.rng.u8(..12))));
        }
        if self.rng.u8(..4) == 0 {
            message.reply_to = self.any_message().map(|(_, message)| message);
        }
        if self.rng.u8(..4) == 0 {
            message.mentions = vec![self.user()];
        }
        let (id, now) = (self.id(), self.now());
        append(id, sender.as_ref(), message, now)
    }

    fn any_message(&mut self) -> Option<(ConversationId, MessageId)> {
        let at = self.rng.usize(..self.sent.len().max(1));
        self.sent.get(at).copied()
    }

    fn revision(&mut self) -> Op {
        let (id, message) = self.any_message().unwrap_or((conversation_id(), message_id()));
        let id = if self.rng.u8(..10) == 0 { self.id() } else { id };
        let revision = match self.rng.u8(..8) {
            0..2 => edit(&format!("edit {}", self.rng.u8(..3))),
            2 => Revision::Delete,
            3..6 => {
                let key = reaction(&format!("r{}", self.rng.u8(..4)));
                Revision::React { key, on: self.rng.u8(..3) > 0, max_distinct: 3 }
            }
            _ => Revision::Pin { on: self.rng.u8(..3) > 0, max_pins: 3 },
        };
        let (actor, now) = (self.actor(), self.now());
        Op::Revise(id, message, actor, revision, now)
    }

    /// A change of title, members or roles.
    pub(super) fn change(&mut self) -> Op {
        let change = match self.rng.u8(..6) {
            0 => ConversationChange::Patch(ConversationPatch {
                title: Some(format!("title {}", self.rng.u8(..2))),
                picture: self.rng.bool().then_some(None),
                metadata: None,
            }),
            1..3 => ConversationChange::AddMembers(vec![self.user(), self.user()]),
            3..5 => ConversationChange::RemoveMember(self.user()),
            _ => {
                let roles = [Role::Member, Role::Admin, Role::Owner];
                ConversationChange::SetRole(self.user(), roles[self.rng.usize(..3)])
            }
        };
        let (id, actor, now) = (self.id(), self.actor(), self.now());
        Op::Change(id, actor, change, now)
    }

    fn private(&mut self) -> Op {
        let change = match self.rng.u8(..8) {
            0..2 => PrivateChange::Settings(SettingsPatch {
                muted_until: self.rng.bool().then(|| self.rng.bool().then(|| at(7))),
                archived: self.rng.bool().then(|| self.rng.u8(..4) == 0),
                private_receipts: self.rng.bool().then(|| self.rng.bool()),
            }),
            2 => PrivateChange::Hide,
            3 => PrivateChange::Clear,
            4..6 => PrivateChange::MarkUnread(self.rng.u64(..40)),
            _ => {
                let ids = (0..self.rng.u8(..4)).filter_map(|_| self.any_message());
                PrivateChange::DeleteMessages(ids.map(|(_, message)| message).collect())
            }
        };
        Op::Private(self.id(), self.user(), change)
    }

    fn cursor(&mut self) -> Advance {
        Advance {
            conversation_id: self.id(),
            user_id: self.user(),
            delivered_seq: self.rng.bool().then(|| self.rng.u64(..60)),
            read_seq: self.rng.bool().then(|| self.rng.u64(..60)),
        }
    }
}
