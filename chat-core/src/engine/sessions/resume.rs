//! Catching up: subscribe, read the heads, replay, go live. Never a silent part of the truth.

mod overview;

use std::{collections::HashMap, sync::Arc};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use self::overview::Overview;
use crate::engine::{
    PAGE, access, catchup, codec::Delivery, node::Node, outbox::CloseReason, registry::Connection,
    topics,
};
use crate::{
    Error,
    event::{Event, Private, SessionEvent},
    model::{ConversationId, ConversationSummary, Member},
    store::{ChangesQuery, Membership},
};

/// Messages deleted for a user alone, of one conversation, that a resume tells one by one.
const DELETIONS: usize = 10_000;

/// What a device has of one conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The rev up to which the device has everything.
    pub rev: u64,
    /// The rev of the user's own state that it has. Defaults to 0.
    #[serde(default)]
    pub member_rev: u64,
}

/// What to send of conversations that a device does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// Their entries of the conversation list, the latest 100.
    #[default]
    Summary,
    /// The same, and their whole logs.
    Replay,
    /// Nothing.
    Skip,
}

/// What a device has, and wants. In chunks, when it is much.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Resume {
    /// The store's epoch when the device was last connected; absent for a new device.
    #[serde(default)]
    pub epoch: Option<Uuid>,
    /// What it has.
    #[serde(default)]
    pub known: Vec<Known>,
    /// What to send of what it does not know.
    #[serde(default)]
    pub unknown: Unknown,
    /// Another chunk follows.
    #[serde(default)]
    pub more: bool,
}

impl Resume {
    /// A device that has nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// What a device has, from an earlier connection in this epoch.
    pub fn from_known(epoch: Uuid, known: Vec<Known>) -> Self {
        Self { epoch: Some(epoch), known, ..Self::default() }
    }

    /// Sets what to send of unknown conversations.
    #[must_use]
    pub fn with_unknown(mut self, unknown: Unknown) -> Self {
        self.unknown = unknown;
        self
    }
}

/// A conversation to be replayed, and from where.
struct Behind {
    id: ConversationId,
    since: u64,
}

/// Brings a connection up to date, then lets live events through. Ends early when the connection does.
pub(in crate::engine) async fn run(node: Arc<Node>, connection: Arc<Connection>, resume: Resume) {
    let inner = Replay { node: &node, connection: &connection, through: HashMap::new() };
    if let Err(error) = inner.run(resume).await {
        tracing::warn!(%error, user = %connection.user, "resume failed");
        connection.outbox.close(CloseReason::Unavailable);
    }
}

struct Replay<'a> {
    node: &'a Arc<Node>,
    connection: &'a Arc<Connection>,
    /// The rev that the device has been brought to.
    through: HashMap<ConversationId, u64>,
}

impl Replay<'_> {
    async fn run(mut self, resume: Resume) -> Result<(), Error> {
        let (node, connection) = (self.node, self.connection);
        connection.outbox.hold();
        topics::join_user(node, &connection.user).await;
        self.sync_host_members().await?;

        let Overview { memberships, mut newest } = self.overview(&resume).await?;
        topics::join_large(node, &memberships).await;
        let may = self.may_receive(&memberships).await?;
        let (receiving, missed) = self.enter_rooms(&memberships, &may);
        // Whoever left a room last just now may have parted its topic before this device stood in it.
        topics::join_large(node, &memberships).await;
        // What the policy was asked again meanwhile did not reach a place that was not taken yet.
        for (membership, _) in memberships
            .iter()
            .zip(self.may_receive(&memberships).await?.iter().zip(&may))
            .filter(|(_, (now, before))| now != before)
        {
            access::recheck_here(node, membership.conversation_id);
        }

        let epoch = *node.epoch.read();
        let mut known: HashMap<ConversationId, Known> =
            resume.known.iter().map(|known| (known.conversation_id, *known)).collect();
        let beyond = receiving.iter().any(|membership| {
            known.get(&membership.conversation_id).is_some_and(|known| known.rev > membership.rev)
        });
        if beyond || resume.epoch.is_some_and(|had| had != epoch) {
            known.clear();
            if !self.tell(SessionEvent::Resync { epoch }).await {
                return Ok(());
            }
        }

        for membership in &receiving {
            // The user left and came back meanwhile: what the device has is of the former membership.
            let id = membership.conversation_id;
            if known.get(&id).is_some_and(|known| known.member_rev > membership.member_rev) {
                known.remove(&id);
                self.tell(SessionEvent::ConversationRemoved {
                    conversation_id: id,
                    through_rev: None,
                })
                .await;
            }
        }
        let mut behind = self.compare(&receiving, &known, &resume, &mut newest).await?;
        behind.extend(missed.into_iter().map(|(id, since)| Behind { id, since }));
        for behind in behind {
            if !self.replay(behind).await? {
                return Ok(());
            }
        }
        self.go_live().await?;
        let conversations = receiving.len() as u64;
        self.tell(SessionEvent::Resumed { epoch, conversations }).await;
        overview::watch_direct_peers(node, connection, &memberships).await;
        Ok(())
    }

    /// Waits for room and sends; `false` once the connection is closed.
    async fn tell(&self, event: SessionEvent) -> bool {
        self.send(Event::Session(event)).await
    }

    async fn send(&self, event: Event) -> bool {
        let mut delivery = Delivery::new(event);
        match delivery.for_codec(self.connection.codec.as_deref()) {
            Some(outgoing) => self.connection.outbox.replay(outgoing).await,
            None => true,
        }
    }

    async fn sync_host_members(&self) -> Result<(), Error> {
        if let Some(source) = &self.node.backends.membership {
            let named = source.conversations(&self.connection.user);
            for id in self.node.read("membership", named).await? {
                match access::sync_members(self.node, id).await {
                    Ok(_) | Err(Error::NotFound) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// From which of these the policy lets the user receive.
    async fn may_receive(&self, memberships: &[Membership]) -> Result<Vec<bool>, Error> {
        let ids: Vec<_> = memberships.iter().map(|membership| membership.conversation_id).collect();
        let may = self.node.backends.policy.may_receive(&self.connection.user, &ids);
        let mut may = self.node.read("policy", may).await?;
        may.resize(ids.len(), false);
        Ok(may)
    }

    /// Stands in all rooms, where the policy says no as one who does not receive, in case it changes.
    /// Returns from where the user receives, and where a room was ahead of what had been read.
    fn enter_rooms(
        &self,
        memberships: &[Membership],
        may: &[bool],
    ) -> (Vec<Membership>, Vec<(ConversationId, u64)>) {
        let (node, connection) = (self.node, self.connection);
        let (mut receiving, mut new, mut missed) = (Vec::new(), Vec::new(), Vec::new());
        for (membership, may) in memberships.iter().zip(may) {
            let (id, rev) = (membership.conversation_id, membership.rev);
            if !may {
                node.rooms.enter_revoked(id, connection, rev);
                continue;
            }
            let entered = node.rooms.enter(id, connection, rev);
            if connection.outbox.was_removed(id, rev) {
                node.rooms.leave(id, connection);
                continue;
            }
            receiving.push(membership.clone());
            if entered.new_room {
                new.push(id);
            } else if entered.ahead {
                missed.push((id, rev));
            }
        }
        node.gaps.compare(new);
        (receiving, missed)
    }

    /// Tells what is gone, new and privately changed; returns what is to be replayed.
    async fn compare(
        &mut self,
        receiving: &[Membership],
        known: &HashMap<ConversationId, Known>,
        resume: &Resume,
        newest: &mut Option<Vec<ConversationSummary>>,
    ) -> Result<Vec<Behind>, Error> {
        let standing: HashMap<_, _> =
            receiving.iter().map(|membership| (membership.conversation_id, membership)).collect();
        for gone in known.keys().filter(|id| !standing.contains_key(*id)) {
            self.tell(SessionEvent::ConversationRemoved {
                conversation_id: *gone,
                through_rev: None,
            })
            .await;
        }
        let mut behind = Vec::new();
        for membership in receiving {
            let id = membership.conversation_id;
            self.through.insert(id, membership.rev);
            if let Some(known) = known.get(&id) {
                if known.member_rev != membership.member_rev {
                    self.tell_private(id, known.member_rev).await?;
                }
                if known.rev < membership.rev {
                    behind.push(Behind { id, since: known.rev });
                }
            }
        }
        if resume.unknown != Unknown::Skip && standing.keys().any(|id| !known.contains_key(id)) {
            behind.extend(self.tell_unknown(&standing, known, newest).await?);
        }
        if resume.unknown == Unknown::Replay {
            let unknown = receiving.iter().filter(|m| !known.contains_key(&m.conversation_id));
            behind.extend(unknown.map(|m| Behind { id: m.conversation_id, since: 0 }));
        }
        Ok(behind)
    }

    /// Tells what the user changed for themself since a `member_rev`, deletions in pieces. More of
    /// them than are kept track of means: reload the conversation.
    async fn tell_private(&self, id: ConversationId, since: u64) -> Result<(), Error> {
        let user = &self.connection.user;
        let delta = {
            let _permit = self.node.resumes.acquire().await;
            let cap = self.node.config.limits.unread_cap;
            let delta = self.node.store().private_changes(id, user, since, DELETIONS, cap);
            self.node.read("private_changes", delta).await?
        };
        let Some(delta) = delta else { return Ok(()) };
        if delta.deleted.len() == DELETIONS {
            let rev = self.through.get(&id).copied().unwrap_or(0);
            self.tell_limited_to(id, rev, rev).await?;
        }
        // Once without any, and else all of them: with the new state the device has everything.
        let (first, rest) = delta.deleted.split_at(delta.deleted.len().min(PAGE));
        for deleted in std::iter::once(first).chain(rest.chunks(PAGE)) {
            let private = Private {
                conversation_id: id,
                user_id: user.clone(),
                state: delta.state.clone(),
                deleted: deleted.to_vec(),
            };
            if !self.send(Event::Private(private)).await {
                break;
            }
        }
        Ok(())
    }

    /// Replays a conversation page by page; `false` once the connection is closed.
    async fn replay(&mut self, Behind { id, since }: Behind) -> Result<bool, Error> {
        let mut position = None;
        loop {
            let query = ChangesQuery {
                viewer: Some(self.connection.user.clone()),
                since,
                position,
                limit: self.node.config.limits.page_max,
            };
            let page = {
                let _permit = self.node.resumes.acquire().await;
                self.node.read("changes", self.node.store().changes(id, query)).await?
            };
            let Some(page) = page else { return Ok(true) };
            if self.connection.outbox.was_removed(id, 0) {
                let gone =
                    SessionEvent::ConversationRemoved { conversation_id: id, through_rev: None };
                return Ok(self.tell(gone).await);
            }
            let removed = |members: &[Member]| {
                members.iter().all(|member| member.user_id != self.connection.user)
            };
            if page.conversation.as_ref().is_some_and(|(_, members)| removed(members)) {
                // Since the memberships were read, and the room was told before this device stood in it.
                self.node.rooms.leave(id, self.connection);
                let gone =
                    SessionEvent::ConversationRemoved { conversation_id: id, through_rev: None };
                return Ok(self.tell(gone).await);
            }
            let through = page.through_rev;
            if position.is_none() && through.saturating_sub(since) > self.node.config.replay_limit {
                return self.tell_limited(id, since, through).await;
            }
            let next = page.next;
            let changes = catchup::to_event(id, since, page);
            if !self.tell(SessionEvent::Changes(Box::new(changes))).await {
                return Ok(false);
            }
            match next {
                Some(next) => position = Some(next),
                None => {
                    self.reached(id, through);
                    return Ok(true);
                }
            }
        }
    }

    async fn tell_limited(
        &mut self,
        id: ConversationId,
        since_rev: u64,
        rev: u64,
    ) -> Result<bool, Error> {
        self.reached(id, rev);
        self.tell_limited_to(id, since_rev, rev).await
    }

    async fn tell_limited_to(
        &self,
        id: ConversationId,
        since_rev: u64,
        rev: u64,
    ) -> Result<bool, Error> {
        let conversation = self.node.store().conversation(id);
        let conversation = self.node.read("conversation", conversation).await?;
        let last_seq = conversation.map_or(0, |conversation| conversation.last_seq);
        let limited = SessionEvent::Limited { conversation_id: id, since_rev, rev, last_seq };
        Ok(self.tell(limited).await)
    }

    fn reached(&mut self, id: ConversationId, rev: u64) {
        let through = self.through.entry(id).or_default();
        *through = (*through).max(rev);
    }

    /// Sends what waited aside, reads again what did not fit, until nothing is left.
    async fn go_live(&mut self) -> Result<(), Error> {
        loop {
            while let Some(outgoing) = self.connection.outbox.next_held() {
                if let Event::Change(change) = &*outgoing.event {
                    let through = self.through.entry(change.conversation_id).or_default();
                    if change.rev <= *through {
                        continue;
                    }
                    *through = change.rev;
                }
                if let Event::Session(SessionEvent::Changes(changes)) = &*outgoing.event {
                    // A hole that the room filled from the store earlier than what was replayed since.
                    let through = self.through.get(&changes.conversation_id);
                    if through.is_some_and(|through| changes.through_rev <= *through) {
                        continue;
                    }
                }
                if !self.connection.outbox.replay(outgoing).await {
                    return Ok(());
                }
            }
            for id in self.connection.outbox.take_missed() {
                let since = self.through.get(&id).copied().unwrap_or(0);
                self.tell_private(id, 0).await?;
                if !self.replay(Behind { id, since }).await? {
                    return Ok(());
                }
            }
            if self.connection.outbox.go_live() {
                return Ok(());
            }
        }
    }
}
