//! The backend under test answers as the store in memory does.

use std::sync::Arc;

use super::{
    Nodes,
    random::{Answer, Script, seeds},
    world::ALL,
};
use crate::{
    backends::MemoryStore,
    model::{Conversation, ConversationId, ConversationSummary, Message, UserId},
    store::{
        Appended, ChangeOutcome, ChangesQuery, HistoryQuery, ListPosition, ListQuery, MessageRef,
        Page, ReviseOutcome, Store,
    },
};

/// So few unread messages are counted, so that the cap is met.
const FEW: u32 = 5;

pub(super) async fn random_operations_answer_as_in_memory(nodes: &Nodes) {
    for drawn in seeds(3) {
        let mut script = Script::bare(drawn.0);
        let model: Arc<dyn Store> = Arc::new(MemoryStore::new());
        for step in 0..300 {
            let starting = script.rooms.len() < 3 || step % 50 == 0;
            let op = if starting { script.creation() } else { script.next() };
            let node = if script.rng.bool() { &nodes.one } else { &nodes.other };
            let said = alike(op.run(node.as_ref()).await);
            let expected = alike(op.run(model.as_ref()).await);
            assert_eq!(said, expected, "step {step}: {op:?}");
            script.learn(&expected);
            if step % 3 == 0 && !script.rooms.is_empty() {
                let (id, user) = (script.id(), script.user());
                let look = Look::draw(&mut script.rng, id, user);
                same(&look, node.as_ref(), model.as_ref()).await;
            }
        }
        for id in script.rooms.clone() {
            for user in &script.users {
                for viewer in [None, Some(user.clone())] {
                    let look = Look { viewer, ..Look::all(id, user.clone()) };
                    same(&look, nodes.other.as_ref(), model.as_ref()).await;
                }
            }
        }
    }
}

/// Where to look.
#[derive(Debug)]
struct Look {
    id: ConversationId,
    user: UserId,
    viewer: Option<UserId>,
    pages: [Page; 3],
    since: u64,
    seq: u64,
    limit: usize,
    archived: Option<bool>,
    hidden: bool,
}

impl Look {
    fn all(id: ConversationId, user: UserId) -> Self {
        let pages = [Page::Latest, Page::Before(u64::MAX), Page::After(0)];
        let (archived, hidden) = (None, true);
        Self { id, user, viewer: None, pages, since: 0, seq: 1, limit: ALL, archived, hidden }
    }

    fn draw(rng: &mut fastrand::Rng, id: ConversationId, user: UserId) -> Self {
        Self {
            viewer: rng.bool().then(|| user.clone()),
            pages: [Page::Latest, Page::Before(rng.u64(..40)), Page::After(rng.u64(..40))],
            since: rng.u64(..60),
            seq: rng.u64(..40),
            limit: rng.usize(1..6),
            archived: rng.bool().then(|| rng.bool()),
            hidden: rng.bool(),
            ..Self::all(id, user)
        }
    }
}

async fn same(look: &Look, store: &dyn Store, model: &dyn Store) {
    let (seen, expected) = (Seen::of(look, store).await, Seen::of(look, model).await);
    assert_eq!(seen, expected, "{look:?}");
}

/// All that can be seen there, without the numbers, which each store gives out on its own.
#[derive(Debug, PartialEq)]
struct Seen {
    histories: Vec<Option<(Vec<Message>, bool)>>,
    changes: Vec<(Vec<Message>, Vec<Message>, u64)>,
    changed: Option<(Conversation, Vec<crate::model::Member>)>,
    message: Option<Message>,
    pinned: Vec<Message>,
    lists: Vec<ConversationSummary>,
    summary: Option<ConversationSummary>,
    members: Vec<crate::model::Member>,
    member: Option<crate::model::Member>,
    memberships: Vec<crate::store::Membership>,
    private: Option<crate::store::PrivateDelta>,
    cursors: Vec<crate::model::Cursor>,
    total: crate::store::UnreadTotal,
    heads: Vec<(ConversationId, u64)>,
}

impl Seen {
    async fn of(look: &Look, store: &dyn Store) -> Self {
        let (id, user, limit) = (look.id, &look.user, look.limit);
        let viewer = look.viewer.as_ref();
        let mut histories = Vec::new();
        for page in look.pages {
            let query = HistoryQuery { viewer: viewer.cloned(), page, limit };
            let page = store.history(id, query).await.expect("history answers");
            histories.push(page.map(|page| (numberless(page.messages), page.has_more)));
        }
        let (mut changes, mut changed, mut position) = (Vec::new(), None, None);
        loop {
            let viewer = viewer.cloned();
            let query = ChangesQuery { viewer, since: look.since, position, limit };
            let page = store.changes(id, query).await.expect("changes answers");
            let page = page.expect("the conversation is there");
            let revised = numberless(page.revised);
            changes.push((numberless(page.messages), revised, page.through_rev));
            let whole = |(it, members)| (conversation(it), members);
            changed = changed.or(page.conversation.map(whole));
            position = page.next;
            if position.is_none() {
                break;
            }
            assert!(changes.len() < ALL, "the changes come to an end");
        }
        let (mut lists, mut after) = (Vec::new(), None);
        loop {
            let (archived, hidden) = (look.archived, look.hidden);
            let query = ListQuery { after, limit, archived, hidden, unread_cap: FEW };
            let page = store.list(user, query).await.expect("list answers");
            let Some(last) = page.last().map(|entry| &entry.conversation) else { break };
            let last_activity_at = last.last_activity_at;
            after = Some(ListPosition { last_activity_at, number: last.number });
            lists.extend(page.into_iter().map(summary));
            assert!(lists.len() < ALL, "the list comes to an end");
        }
        let message = store.message(MessageRef::Seq(id, look.seq), viewer).await;
        let mut private = store.private_changes(id, user, look.since / 4, ALL, FEW).await;
        if let Ok(Some(delta)) = &mut private {
            delta.deleted.sort();
        }
        let only = store.summary(id, user, FEW).await.expect("summary answers");
        Self {
            histories,
            changes,
            changed,
            message: message.expect("message answers").map(self::message),
            pinned: numberless(store.pinned(id, viewer).await.expect("pinned answers")),
            lists,
            summary: only.map(summary),
            members: store.members(id, viewer, limit).await.expect("members answers"),
            member: store.member(id, user).await.expect("member answers"),
            memberships: store.memberships(user, Some(id), limit).await.expect("it answers"),
            private: private.expect("private_changes answers"),
            cursors: store.cursors(id, limit).await.expect("cursors answers"),
            total: store.unread_total(user, FEW).await.expect("unread_total answers"),
            heads: store.heads(&[id]).await.expect("heads answers"),
        }
    }
}

fn message(mut message: Message) -> Message {
    message.number = 0;
    message
}

fn numberless(messages: Vec<Message>) -> Vec<Message> {
    messages.into_iter().map(message).collect()
}

fn conversation(mut conversation: Conversation) -> Conversation {
    conversation.number = 0;
    conversation
}

fn summary(mut summary: ConversationSummary) -> ConversationSummary {
    summary.conversation.number = 0;
    summary.last_message = summary.last_message.map(message);
    summary
}

/// The answer without numbers, and in an order where none is promised.
fn alike(mut answer: Answer) -> Answer {
    match &mut answer {
        Answer::Created(created) => created.conversation.number = 0,
        Answer::Appended(answers) => {
            for answer in answers {
                if let Appended::Fresh(message) | Appended::Replayed(message) = answer {
                    message.number = 0;
                }
            }
        }
        Answer::Revised(ReviseOutcome::Changed(message) | ReviseOutcome::Unchanged(message)) => {
            message.number = 0;
        }
        Answer::Changed(ChangeOutcome::Changed(conversation, _))
        | Answer::Changed(ChangeOutcome::Unchanged(conversation)) => conversation.number = 0,
        Answer::Private(Some(delta)) => delta.deleted.sort(),
        _ => {}
    }
    answer
}
