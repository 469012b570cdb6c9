//! What cases say in one line: fresh users, a conversation, a message sent.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use uuid::Uuid;

use super::Nodes;
use crate::{
    Limits, Timestamp,
    model::{
        ClientId, Conversation, ConversationId, Draft, DraftEdit, MemberState, Message,
        MessageEdit, MessageId, MessageKind, NewMessage, ReactionKey, Role, UserId,
    },
    store::{
        Advance, Advanced, Append, Appended, ChangeOutcome, ChangesPage, ChangesQuery,
        ConversationChange, HistoryPage, HistoryQuery, ListQuery, NewConversation, Page,
        PrivateChange, PrivateDelta, ReviseOutcome, Revision, Store,
    },
};

/// Unread messages are counted up to here where a case does not say otherwise.
pub(super) const CAP: u32 = 1000;
/// More than any page of a case holds.
pub(super) const ALL: usize = 10_000;

/// A moment some milliseconds after a fixed one that is no whole second.
pub(super) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_760_000_000_123 + millis)
}

/// A user that nobody else has.
pub(super) fn user(name: &str) -> UserId {
    UserId::new(format!("{name}-{}", Uuid::new_v4().simple())).expect("a plain short text")
}

pub(super) fn conversation_id() -> ConversationId {
    ConversationId(Uuid::new_v4())
}

pub(super) fn message_id() -> MessageId {
    MessageId(Uuid::new_v4())
}

pub(super) fn key(text: &str) -> ClientId {
    ClientId::new(text).expect("a plain short text")
}

pub(super) fn reaction(text: &str) -> ReactionKey {
    ReactionKey::new(text).expect("a plain short text")
}

pub(super) fn react(text: &str, on: bool) -> Revision {
    Revision::React { key: reaction(text), on, max_distinct: 20 }
}

pub(super) fn pin(on: bool) -> Revision {
    Revision::Pin { on, max_pins: 50 }
}

pub(super) fn edit(body: &str) -> Revision {
    edit_with(MessageEdit { body: Some(body.to_owned()), ..MessageEdit::default() })
}

pub(super) fn edit_with(edit: MessageEdit) -> Revision {
    Revision::Edit(DraftEdit::check(edit, &Limits::default()).expect("within the limits"))
}

/// A message as the engine would hand it in; the host may send whatever kind.
pub(super) fn append(
    id: ConversationId,
    sender: Option<&UserId>,
    message: NewMessage,
    now: Timestamp,
) -> Append {
    let hash = message.content_hash();
    let draft = Draft::check(message, sender.is_none(), &Limits::default());
    let draft = draft.expect("within the limits");
    Append::new(id, message_id(), sender.cloned(), draft, hash, now)
}

/// Appends one message.
pub(super) async fn append_one(store: &dyn Store, append: Append) -> Appended {
    let mut answers = store.append(vec![append]).await;
    assert_eq!(answers.len(), 1, "one answer for each message");
    answers.remove(0).expect("append answers")
}

pub(super) fn fresh(appended: Appended) -> Message {
    match appended {
        Appended::Fresh(message) => message,
        other => panic!("expected a fresh message, got {other:?}"),
    }
}

pub(super) fn changed(outcome: ReviseOutcome) -> Message {
    match outcome {
        ReviseOutcome::Changed(message) => *message,
        other => panic!("expected a change, got {other:?}"),
    }
}

pub(super) fn unchanged(outcome: ReviseOutcome) -> Message {
    match outcome {
        ReviseOutcome::Unchanged(message) => *message,
        other => panic!("expected no change, got {other:?}"),
    }
}

/// What `viewer` would be told: `mine` where there is a viewer, and only there.
pub(super) fn without_mine(mut message: Message) -> Message {
    for reaction in &mut message.reactions {
        reaction.mine = None;
    }
    message
}

pub(super) fn ids(messages: &[Message]) -> Vec<MessageId> {
    messages.iter().map(|message| message.id).collect()
}

pub(super) fn seqs(messages: &[Message]) -> Vec<u64> {
    messages.iter().map(|message| message.seq).collect()
}

/// A conversation with members, seen through one node.
pub(super) struct Room {
    pub(super) store: Arc<dyn Store>,
    pub(super) id: ConversationId,
    /// In a group the first is the owner.
    pub(super) users: Vec<UserId>,
    clock: AtomicI64,
}

impl Room {
    /// A group of `size` members.
    pub(super) async fn group(nodes: &Nodes, size: usize) -> Self {
        let users: Vec<UserId> = (0..size).map(|n| user(&format!("u{n}"))).collect();
        Self::group_of(nodes, users).await
    }

    /// A group of these users, the first of them the owner.
    pub(super) async fn group_of(nodes: &Nodes, users: Vec<UserId>) -> Self {
        let roles: BTreeMap<UserId, Role> = users
            .iter()
            .enumerate()
            .map(|(n, user)| (user.clone(), if n == 0 { Role::Owner } else { Role::Member }))
            .collect();
        let new = NewConversation::group(conversation_id(), "Group".to_owned(), roles, at(0));
        Self::made(nodes, new, users).await
    }

    /// The direct conversation of two new users.
    pub(super) async fn direct(nodes: &Nodes) -> Self {
        let users = vec![user("ann"), user("bob")];
        let new = NewConversation::direct(conversation_id(), &users[0], &users[1], None, at(0));
        Self::made(nodes, new, users).await
    }

    async fn made(nodes: &Nodes, new: NewConversation, users: Vec<UserId>) -> Self {
        let store = nodes.one.clone();
        let created = store.create(new).await.expect("create answers");
        assert!(created.fresh, "a new id makes a new conversation");
        Self { store, id: created.conversation.id, users, clock: AtomicI64::new(1) }
    }

    /// A conversation that is there already.
    pub(super) fn known(store: &Arc<dyn Store>, id: ConversationId, users: Vec<UserId>) -> Self {
        Self { store: store.clone(), id, users, clock: AtomicI64::new(1) }
    }

    /// The same conversation seen through the other node.
    pub(super) fn on(&self, store: &Arc<dyn Store>) -> Self {
        let clock = AtomicI64::new(self.clock.load(Ordering::Relaxed) + 1_000);
        Self { store: store.clone(), id: self.id, users: self.users.clone(), clock }
    }

    /// A later moment with each call.
    pub(super) fn now(&self) -> Timestamp {
        at(self.clock.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) async fn conversation(&self) -> Conversation {
        let conversation = self.store.conversation(self.id).await.expect("conversation answers");
        conversation.expect("the conversation is there")
    }

    pub(super) fn text(&self, sender: usize, body: &str) -> Append {
        append(self.id, Some(&self.users[sender]), NewMessage::text(body), self.now())
    }

    pub(super) fn keyed(&self, sender: usize, client_id: &str, body: &str) -> Append {
        let message = NewMessage::text(body).with_client_id(key(client_id));
        append(self.id, Some(&self.users[sender]), message, self.now())
    }

    pub(super) async fn append(&self, append: Append) -> Appended {
        append_one(self.store.as_ref(), append).await
    }

    /// Sends a text.
    pub(super) async fn send(&self, sender: usize, body: &str) -> Message {
        fresh(self.append(self.text(sender, body)).await)
    }

    /// Sends `count` texts in one batch.
    pub(super) async fn send_many(&self, sender: usize, count: usize) -> Vec<Message> {
        let batch = (0..count).map(|n| self.text(sender, &format!("text {n}"))).collect();
        let answers = self.store.append(batch).await;
        answers.into_iter().map(|answer| fresh(answer.expect("append answers"))).collect()
    }

    /// Sends as the host.
    pub(super) async fn announce(&self, kind: MessageKind, body: &str) -> Message {
        let message = NewMessage::text(body).with_kind(kind);
        fresh(self.append(append(self.id, None, message, self.now())).await)
    }

    pub(super) async fn revise(
        &self,
        actor: Option<&UserId>,
        message: &Message,
        revision: Revision,
    ) -> ReviseOutcome {
        let revised = self.store.revise(self.id, message.id, actor, revision, self.now()).await;
        revised.expect("revise answers")
    }

    /// Revises as a member, who may and does change something.
    pub(super) async fn revised(
        &self,
        actor: usize,
        message: &Message,
        revision: Revision,
    ) -> Message {
        changed(self.revise(Some(&self.users[actor]), message, revision).await)
    }

    pub(super) async fn change(
        &self,
        actor: Option<&UserId>,
        change: ConversationChange,
    ) -> ChangeOutcome {
        let outcome = self.store.change(self.id, actor, change, 1000, self.now()).await;
        outcome.expect("change answers")
    }

    /// Changes as the host, who may; something must change.
    pub(super) async fn host_changed(&self, change: ConversationChange) -> Conversation {
        match self.change(None, change).await {
            ChangeOutcome::Changed(conversation, _) => *conversation,
            other => panic!("expected a change, got {other:?}"),
        }
    }

    pub(super) async fn private(&self, member: usize, change: PrivateChange) -> PrivateDelta {
        let user = &self.users[member];
        let delta = self.store.change_private(self.id, user, change, CAP).await;
        delta.expect("change_private answers").expect("a member")
    }

    pub(super) async fn private_since(&self, member: usize, since: u64) -> PrivateDelta {
        let user = &self.users[member];
        let delta = self.store.private_changes(self.id, user, since, ALL, CAP).await;
        delta.expect("private_changes answers").expect("a member")
    }

    pub(super) async fn advance(
        &self,
        member: usize,
        delivered_seq: Option<u64>,
        read_seq: Option<u64>,
    ) -> Advanced {
        let user_id = self.users[member].clone();
        let advance = Advance { conversation_id: self.id, user_id, delivered_seq, read_seq };
        let mut answers = self.store.advance(vec![advance], CAP).await;
        assert_eq!(answers.len(), 1, "one answer for each member");
        answers.remove(0).expect("advance answers").expect("a member")
    }

    pub(super) async fn read(&self, member: usize, seq: u64) -> Advanced {
        self.advance(member, None, Some(seq)).await
    }

    /// The member's own state.
    pub(super) async fn state(&self, member: usize) -> MemberState {
        let user = &self.users[member];
        let summary = self.store.summary(self.id, user, CAP).await.expect("summary answers");
        summary.expect("a member").me
    }

    pub(super) async fn unread(&self, member: usize) -> u32 {
        self.state(member).await.unread
    }

    pub(super) async fn history(
        &self,
        viewer: Option<&UserId>,
        page: Page,
        limit: usize,
    ) -> HistoryPage {
        let query = HistoryQuery { viewer: viewer.cloned(), page, limit };
        let page = self.store.history(self.id, query).await.expect("history answers");
        let page = page.expect("a member reads");
        assert!(page.messages.len() <= limit, "a page holds at most its limit");
        page
    }

    /// All messages.
    pub(super) async fn log(&self, viewer: Option<&UserId>) -> Vec<Message> {
        self.history(viewer, Page::After(0), ALL).await.messages
    }

    pub(super) async fn changes(&self, query: ChangesQuery) -> ChangesPage {
        let limit = query.limit;
        let page = self.store.changes(self.id, query).await.expect("changes answers");
        let page = page.expect("the conversation is there");
        assert!(
            page.messages.len() + page.revised.len() <= limit,
            "a page holds at most its limit"
        );
        page
    }

    /// All that changed after a rev, in one page.
    pub(super) async fn since(&self, viewer: Option<&UserId>, since: u64) -> ChangesPage {
        let viewer = viewer.cloned();
        let page = self.changes(ChangesQuery { viewer, since, position: None, limit: ALL }).await;
        assert!(page.next.is_none(), "everything fits into a page of {ALL}");
        page
    }
}

/// The first page of a user's list.
pub(super) fn first_page(limit: usize) -> ListQuery {
    ListQuery { after: None, limit, archived: None, hidden: false, unread_cap: CAP }
}
