//! `append`: idempotency keys.

use std::collections::BTreeSet;

use tokio::task::JoinSet;

use super::{
    Nodes,
    world::{Room, append, append_one, edit, fresh, key, message_id, react, without_mine},
};
use crate::{
    model::NewMessage,
    store::{Appended, ConversationChange, Revision},
};

pub(super) async fn the_same_key_and_content_is_replayed(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    let sent = fresh(room.append(room.keyed(0, "k", "hello")).await);
    room.revised(1, &sent, react("👍", true)).await;
    let stands = room.revised(0, &sent, edit("hello!")).await;
    let before = room.conversation().await;
    for store in [&nodes.one, &nodes.other] {
        match append_one(store.as_ref(), room.keyed(0, "k", "hello")).await {
            Appended::Replayed(message) => {
                assert_eq!(without_mine(message), stands, "as it stands now");
            }
            other => panic!("expected the first message, got {other:?}"),
        }
    }
    assert_eq!(room.conversation().await, before, "a replay takes no number");
    assert_eq!(room.log(None).await.len(), 1);
}

pub(super) async fn the_same_key_with_other_content_is_a_conflict(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    fresh(room.append(room.keyed(0, "k", "hello")).await);
    let before = room.conversation().await;
    assert_eq!(room.append(room.keyed(0, "k", "other")).await, Appended::Conflict);
    assert_eq!(room.conversation().await, before, "a conflict takes no number");
}

pub(super) async fn a_key_belongs_to_one_sender_in_one_conversation(nodes: &Nodes) {
    let (room, other) = (Room::group(nodes, 2).await, Room::group(nodes, 1).await);
    let mut shared = other.keyed(0, "k", "in the other");
    fresh(room.append(room.keyed(0, "k", "hello")).await);
    fresh(room.append(room.keyed(1, "k", "another user's")).await);
    fresh(other.append(shared.clone()).await);
    room.host_changed(ConversationChange::AddMembers(vec![other.users[0].clone()])).await;
    shared.conversation_id = room.id;
    shared.message_id = message_id();
    fresh(room.append(shared).await);
    assert_eq!(fresh(room.append(room.keyed(0, "K", "keys tell case")).await).seq, 4);
}

pub(super) async fn the_host_is_one_sender_with_keys_of_its_own(nodes: &Nodes) {
    let room = Room::group(nodes, 1).await;
    let from_host = |body: &str| {
        let message = NewMessage::text(body).with_client_id(key("k"));
        append(room.id, None, message, room.now())
    };
    fresh(room.append(room.keyed(0, "k", "a member's")).await);
    let sent = fresh(room.append(from_host("the host's")).await);
    assert_eq!(sent.sender_id, None, "the host needs not be a member");
    match room.append(from_host("the host's")).await {
        Appended::Replayed(message) => assert_eq!(message.id, sent.id),
        other => panic!("expected a replay, got {other:?}"),
    }
    assert_eq!(room.append(from_host("something else")).await, Appended::Conflict);
}

pub(super) async fn a_duplicate_within_a_batch_is_found(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    let batch = vec![
        room.keyed(0, "k", "hello"),
        room.keyed(0, "k", "hello"),
        room.keyed(0, "k", "other"),
        room.keyed(1, "k", "hello"),
    ];
    let mut answers =
        room.store.append(batch).await.into_iter().map(|answer| answer.expect("append answers"));
    let mut next = || answers.next().expect("one answer for each");
    let first = fresh(next());
    match next() {
        Appended::Replayed(message) => assert_eq!(message, first),
        other => panic!("expected a replay, got {other:?}"),
    }
    assert_eq!(next(), Appended::Conflict);
    assert_eq!(fresh(next()).seq, 2);
    assert_eq!(room.log(None).await.len(), 2);
}

pub(super) async fn a_raced_key_is_fresh_exactly_once(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    for round in 0..8 {
        let mut racing = JoinSet::new();
        for n in 0..8 {
            let store = if n % 2 == 0 { nodes.one.clone() } else { nodes.other.clone() };
            let append = room.keyed(0, &format!("k{round}"), "once");
            racing.spawn(async move { append_one(store.as_ref(), append).await });
        }
        let (mut fresh, mut ids) = (0, BTreeSet::new());
        for appended in racing.join_all().await {
            match appended {
                Appended::Fresh(message) => {
                    fresh += 1;
                    ids.insert(message.id);
                }
                Appended::Replayed(message) => drop(ids.insert(message.id)),
                other => panic!("expected the message, got {other:?}"),
            }
        }
        assert_eq!((fresh, ids.len()), (1, 1), "one message, and all are told of it");
        let conversation = room.conversation().await;
        assert_eq!((conversation.last_seq, conversation.rev), (round + 1, round + 2));
    }
}

pub(super) async fn a_key_is_remembered_after_deletion(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    let sent = fresh(room.append(room.keyed(0, "k", "hello")).await);
    room.revised(0, &sent, Revision::Delete).await;
    match room.append(room.keyed(0, "k", "hello")).await {
        Appended::Replayed(message) => {
            assert_eq!(message.id, sent.id);
            assert!(message.is_deleted() && message.body.is_empty());
        }
        other => panic!("expected the tombstone, got {other:?}"),
    }
    assert_eq!(room.append(room.keyed(0, "k", "other")).await, Appended::Conflict);
}

pub(super) async fn without_a_key_every_message_is_fresh(nodes: &Nodes) {
    let room = Room::group(nodes, 1).await;
    let batch = vec![room.text(0, "same"), room.text(0, "same"), room.text(0, "same")];
    let answers = room.store.append(batch).await;
    for answer in answers {
        fresh(answer.expect("append answers"));
    }
    assert_eq!(room.conversation().await.last_seq, 3);
}
