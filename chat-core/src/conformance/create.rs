//! `create`, `conversation`, `direct`, `epoch`, `ping`.

use std::collections::BTreeMap;

use serde_json::json;

use super::{
    Nodes,
    world::{ALL, CAP, Room, at, conversation_id, user},
};
use crate::{
    model::{Conversation, ConversationKind, DirectKey, Metadata, Role, UserId},
    store::{Created, NewConversation, Store},
};

async fn create(store: &dyn Store, new: NewConversation) -> Created {
    store.create(new).await.expect("create answers")
}

fn pair(one: &UserId, other: &UserId, context: Option<&str>) -> NewConversation {
    NewConversation::direct(conversation_id(), one, other, context.map(str::to_owned), at(0))
}

pub(super) async fn a_direct_conversation_exists_once_whoever_asks(nodes: &Nodes) {
    let (ann, bob) = (user("ann"), user("bob"));
    let first = create(nodes.one.as_ref(), pair(&ann, &bob, None)).await;
    let again = create(nodes.one.as_ref(), pair(&ann, &bob, None)).await;
    let other = create(nodes.other.as_ref(), pair(&bob, &ann, None)).await;
    assert!(first.fresh && !again.fresh && !other.fresh, "only the first call makes it");
    assert_eq!(again.conversation, first.conversation);
    assert_eq!(other.conversation, first.conversation);
}

pub(super) async fn both_asking_at_once_on_two_nodes_get_one(nodes: &Nodes) {
    for _ in 0..8 {
        let (ann, bob) = (user("ann"), user("bob"));
        let mut asking = tokio::task::JoinSet::new();
        for n in 0..8 {
            let store = if n % 2 == 0 { nodes.one.clone() } else { nodes.other.clone() };
            let new = if n % 3 == 0 { pair(&ann, &bob, None) } else { pair(&bob, &ann, None) };
            asking.spawn(async move { store.create(new).await.expect("create answers") });
        }
        let made = asking.join_all().await;
        let fresh = made.iter().filter(|created| created.fresh).count();
        assert_eq!(fresh, 1, "exactly one of them makes it");
        let id = made[0].conversation.id;
        assert!(made.iter().all(|created| created.conversation.id == id), "all get the same one");
        let members = nodes.one.members(id, None, ALL).await.expect("members answers");
        assert_eq!(members.len(), 2);
    }
}

pub(super) async fn a_direct_conversation_with_oneself_is_allowed(nodes: &Nodes) {
    let ann = user("ann");
    let made = create(nodes.one.as_ref(), pair(&ann, &ann, None)).await.conversation;
    assert_eq!(made.kind, ConversationKind::Direct);
    assert_eq!(made.member_count, 1);
    let again = create(nodes.other.as_ref(), pair(&ann, &ann, None)).await;
    assert_eq!(again.conversation, made);
    let members = nodes.one.members(made.id, None, ALL).await.expect("members answers");
    assert_eq!(members.len(), 1);
    assert_eq!(members[0].user_id, ann);
}

pub(super) async fn contexts_separate_direct_conversations(nodes: &Nodes) {
    let (ann, bob) = (user("ann"), user("bob"));
    let contexts = [None, Some("booking-1"), Some("booking-2"), Some("BOOKING-1")];
    let mut made: Vec<Conversation> = Vec::new();
    for context in contexts {
        let created = create(nodes.one.as_ref(), pair(&ann, &bob, context)).await;
        assert!(created.fresh, "{context:?} is a conversation of its own");
        made.push(created.conversation);
    }
    for (context, conversation) in contexts.iter().zip(&made) {
        let again = create(nodes.other.as_ref(), pair(&bob, &ann, *context)).await;
        assert_eq!(&again.conversation, conversation);
        let found = nodes.other.direct(&DirectKey::new(&bob, &ann, *context)).await;
        assert_eq!(found.expect("direct answers").as_ref(), Some(conversation));
    }
}

pub(super) async fn an_existing_id_is_returned_as_it_stands(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    room.send(0, "hello").await;
    let before = room.conversation().await;
    let members = BTreeMap::from([(user("eve"), Role::Owner)]);
    let again = NewConversation::group(room.id, "Other title".to_owned(), members, at(99));
    let created = create(nodes.other.as_ref(), again).await;
    assert!(!created.fresh);
    assert_eq!(created.conversation, before, "nothing of the second call is stored");
    let members = room.store.members(room.id, None, ALL).await.expect("members answers");
    assert_eq!(members.len(), 2);
}

pub(super) async fn an_id_raced_on_two_nodes_is_made_once(nodes: &Nodes) {
    for _ in 0..8 {
        let id = conversation_id();
        let owner = user("ann");
        let mut asking = tokio::task::JoinSet::new();
        for n in 0..6 {
            let store = if n % 2 == 0 { nodes.one.clone() } else { nodes.other.clone() };
            let members = BTreeMap::from([(owner.clone(), Role::Owner)]);
            let new = NewConversation::group(id, "Raced".to_owned(), members, at(n));
            asking.spawn(async move { store.create(new).await.expect("create answers") });
        }
        let made = asking.join_all().await;
        assert_eq!(made.iter().filter(|created| created.fresh).count(), 1);
        assert!(made.iter().all(|created| created.conversation == made[0].conversation));
    }
}

pub(super) async fn a_new_conversation_has_rev_1_and_joining_members(nodes: &Nodes) {
    let (ann, bob) = (user("ann"), user("bob"));
    let members = BTreeMap::from([(ann.clone(), Role::Owner), (bob.clone(), Role::Admin)]);
    let mut new = NewConversation::group(conversation_id(), "Plans".to_owned(), members, at(7));
    new.picture = Some("https://example.com/p.png".to_owned());
    new.created_by = Some(ann.clone());
    if let serde_json::Value::Object(map) = json!({"room": 7, "tags": ["a", null]}) {
        new.metadata = Metadata(map);
    }
    let made = create(nodes.one.as_ref(), new.clone()).await.conversation;
    assert_eq!(made, new.to_conversation(made.number), "as it was asked for");
    assert_eq!((made.rev, made.changed_rev, made.last_seq), (1, 1, 0));
    assert_eq!((made.created_at, made.last_activity_at), (at(7), at(7)));
    let seen = nodes.other.conversation(made.id).await.expect("conversation answers");
    assert_eq!(seen, Some(made.clone()), "the other node sees the same");
    let members = nodes.other.members(made.id, None, ALL).await.expect("members answers");
    let mut expected = vec![(ann.clone(), Role::Owner), (bob, Role::Admin)];
    expected.sort();
    let found: Vec<_> = members.iter().map(|m| (m.user_id.clone(), m.role)).collect();
    assert_eq!(found, expected);
    assert!(members.iter().all(|member| member.joined_at == at(7)), "they join when it is made");
    let summary = nodes.one.summary(made.id, &ann, CAP).await.expect("summary answers");
    let summary = summary.expect("a member");
    assert_eq!(summary.me, crate::model::MemberState::joining(Role::Owner, 0));
    assert_eq!(summary.last_message, None);
}

pub(super) async fn conversation_numbers_are_unique_and_find_it(nodes: &Nodes) {
    let mut numbers = std::collections::BTreeSet::new();
    for n in 0..6 {
        let room = if n % 2 == 0 { Room::group(nodes, 2).await } else { Room::direct(nodes).await };
        let number = room.conversation().await.number;
        assert!(number > 0 && number < 1 << 53, "{number} is below 2^53");
        assert!(numbers.insert(number), "{number} is given twice");
        let found = nodes.other.conversation_by_number(number).await;
        assert_eq!(found.expect("conversation_by_number answers"), Some(room.id));
    }
}

pub(super) async fn an_unknown_conversation_is_absent_everywhere(nodes: &Nodes) {
    use crate::store::{ChangeOutcome, ChangesQuery, ConversationChange, HistoryQuery, Page};
    let (store, id, ann) = (&nodes.one, conversation_id(), user("ann"));
    assert_eq!(store.conversation(id).await.expect("conversation answers"), None);
    let key = DirectKey::new(&ann, &user("bob"), None);
    assert_eq!(store.direct(&key).await.expect("direct answers"), None);
    for number in [0, 1 << 52, i64::MAX as u64] {
        let found = store.conversation_by_number(number).await;
        assert_eq!(found.expect("conversation_by_number answers"), None);
    }
    assert_eq!(store.members(id, None, ALL).await.expect("members answers"), vec![]);
    assert_eq!(store.member(id, &ann).await.expect("member answers"), None);
    assert_eq!(store.summary(id, &ann, CAP).await.expect("summary answers"), None);
    let remove = ConversationChange::RemoveMember(ann.clone());
    let outcome = store.change(id, None, remove, 10, at(0)).await.expect("change answers");
    assert_eq!(outcome, ChangeOutcome::NotFound);
    let query = HistoryQuery { viewer: Some(ann.clone()), page: Page::Latest, limit: 10 };
    assert_eq!(store.history(id, query).await.expect("history answers"), None);
    let query = ChangesQuery { viewer: None, since: 0, position: None, limit: 10 };
    assert_eq!(store.changes(id, query).await.expect("changes answers"), None);
    assert_eq!(store.pinned(id, None).await.expect("pinned answers"), vec![]);
    assert_eq!(store.cursors(id, ALL).await.expect("cursors answers"), vec![]);
}

pub(super) async fn every_node_answers_with_the_same_epoch(nodes: &Nodes) {
    let one = nodes.one.epoch().await.expect("epoch answers");
    assert_eq!(nodes.other.epoch().await.expect("epoch answers"), one);
    assert_eq!(nodes.one.epoch().await.expect("epoch answers"), one, "and it stays");
    assert!(!one.is_nil(), "the epoch is a random one");
    nodes.one.ping().await.expect("ping answers");
    nodes.other.ping().await.expect("ping answers");
}
