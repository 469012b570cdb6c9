//! `append`: numbers, idempotency, who may.

use std::collections::{BTreeMap, BTreeSet};

use tokio::task::JoinSet;

use super::{
    Nodes,
    world::{Room, append, append_one, at, conversation_id, fresh, message_id, seqs, user},
};
use crate::{
    model::{Message, MessageKind, NewMessage},
    store::{Append, Appended, ConversationChange, MessageRef, Page, Revision},
};

pub(super) async fn seq_and_rev_grow_by_one_in_the_order_of_the_batch(nodes: &Nodes) {
    let (room, other) = (Room::group(nodes, 2).await, Room::group(nodes, 2).await);
    let batch: Vec<Append> = (0..12)
        .map(|n| {
            if n % 3 == 0 {
                other.text(0, &format!("o{n}"))
            } else {
                room.text(1, &format!("r{n}"))
            }
        })
        .collect();
    let ids: Vec<_> = batch.iter().map(|append| append.message_id).collect();
    let answers = room.store.append(batch).await;
    let sent: Vec<Message> =
        answers.into_iter().map(|answer| fresh(answer.expect("append answers"))).collect();
    assert_eq!(sent.iter().map(|m| m.id).collect::<Vec<_>>(), ids, "answers keep the order");
    for room in [&room, &other] {
        let log = room.log(None).await;
        let mine: Vec<Message> =
            sent.iter().filter(|message| message.conversation_id == room.id).cloned().collect();
        assert_eq!(log, mine);
        for (n, message) in log.iter().enumerate() {
            let n = n as u64;
            assert_eq!((message.seq, message.rev, message.changed_rev), (n + 1, n + 2, n + 2));
        }
        let conversation = room.conversation().await;
        assert_eq!(conversation.last_seq, log.len() as u64);
        assert_eq!(conversation.rev, log.len() as u64 + 1);
        assert_eq!(
            conversation.changed_rev, 1,
            "a message does not change the conversation itself"
        );
    }
}

pub(super) async fn an_empty_batch_answers_nothing(nodes: &Nodes) {
    assert!(nodes.one.append(Vec::new()).await.is_empty());
}

pub(super) async fn a_message_is_stored_as_it_was_appended(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    let append = room.keyed(1, "k", "hello");
    let sent = fresh(room.append(append.clone()).await);
    assert_eq!(sent, Message::new(&append, sent.number, 1, 2));
    for reference in [
        MessageRef::Id(sent.id),
        MessageRef::Number(sent.number),
        MessageRef::Seq(room.id, sent.seq),
    ] {
        let found = nodes.other.message(reference, None).await.expect("message answers");
        assert_eq!(found.as_ref(), Some(&sent), "{reference:?} on the other node");
    }
}

pub(super) async fn racing_appends_on_two_nodes_leave_no_hole(nodes: &Nodes) {
    let room = Room::group(nodes, 4).await;
    let mut racing = JoinSet::new();
    for n in 0..64 {
        let store = if n % 2 == 0 { nodes.one.clone() } else { nodes.other.clone() };
        let append = room.text(n % 4, &format!("{n}"));
        racing.spawn(async move { fresh(append_one(store.as_ref(), append).await) });
    }
    let mut sent = racing.join_all().await;
    sent.sort_by_key(|message| message.seq);
    assert_eq!(seqs(&sent), (1..=64).collect::<Vec<u64>>());
    let revs: Vec<u64> = sent.iter().map(|message| message.rev).collect();
    assert_eq!(revs, (2..=65).collect::<Vec<u64>>(), "rev grows with seq");
    assert!(sent.windows(2).all(|two| two[0].number < two[1].number), "numbers grow with seq");
    assert_eq!(room.log(None).await, sent);
    assert_eq!((room.conversation().await.last_seq, room.conversation().await.rev), (64, 65));
}

pub(super) async fn racing_batches_over_several_conversations_leave_no_hole(nodes: &Nodes) {
    let mut rooms = Vec::new();
    for _ in 0..5 {
        rooms.push(Room::group(nodes, 2).await);
    }
    let mut racing = JoinSet::new();
    for task in 0..12 {
        let store = if task % 2 == 0 { nodes.one.clone() } else { nodes.other.clone() };
        // Each batch visits the conversations in another order: naive locking deadlocks here.
        let batch: Vec<Append> =
            (0..10).map(|n| rooms[(task * 3 + n * (task % 4 + 1)) % 5].text(0, "x")).collect();
        racing.spawn(async move {
            let answers = store.append(batch).await;
            answers.into_iter().map(|answer| fresh(answer.expect("append answers"))).collect()
        });
    }
    let sent: Vec<Vec<Message>> = racing.join_all().await;
    let mut numbers = BTreeSet::new();
    let mut by_room: BTreeMap<_, Vec<Message>> = BTreeMap::new();
    for message in sent.into_iter().flatten() {
        assert!(numbers.insert(message.number), "message numbers are unique");
        by_room.entry(message.conversation_id).or_default().push(message);
    }
    for room in &rooms {
        let mut mine = by_room.remove(&room.id).unwrap_or_default();
        mine.sort_by_key(|message| message.seq);
        assert_eq!(seqs(&mine), (1..=mine.len() as u64).collect::<Vec<u64>>());
        assert_eq!(room.log(None).await, mine);
        assert_eq!(room.conversation().await.rev, mine.len() as u64 + 1);
    }
}

pub(super) async fn sends_and_revisions_racing_take_one_rev_each(nodes: &Nodes) {
    let room = Room::group(nodes, 3).await;
    let first = room.send(0, "first").await;
    let mut racing = JoinSet::new();
    for n in 0..24_usize {
        let room = room.on(if n.is_multiple_of(2) { &nodes.one } else { &nodes.other });
        let first = first.clone();
        racing.spawn(async move {
            match n % 4 {
                0 => room.send(1, "x").await.rev,
                1 => {
                    room.revised(0, &first, super::world::edit(&format!("e{n}"))).await.changed_rev
                }
                2 => {
                    room.revised(2, &first, super::world::react(&format!("r{n}"), true))
                        .await
                        .changed_rev
                }
                _ => room.host_changed(ConversationChange::AddMembers(vec![user("new")])).await.rev,
            }
        });
    }
    let mut revs = racing.join_all().await;
    revs.sort_unstable();
    assert_eq!(revs, (3..27).collect::<Vec<u64>>(), "every change has a rev of its own");
    assert_eq!(room.conversation().await.rev, 26);
}

pub(super) async fn message_numbers_grow_within_a_conversation(nodes: &Nodes) {
    let (room, other) = (Room::group(nodes, 2).await, Room::group(nodes, 2).await);
    let mut all = BTreeSet::new();
    let (mut last, mut last_other) = (0, 0);
    for n in 0..6 {
        let sent = room.on(if n % 2 == 0 { &nodes.one } else { &nodes.other }).send(0, "x").await;
        assert!(sent.number > last && sent.number < 1 << 53);
        last = sent.number;
        let sent_other = other.send(0, "y").await;
        assert!(sent_other.number > last_other);
        last_other = sent_other.number;
        assert!(all.insert(sent.number) && all.insert(sent_other.number), "unique in the store");
    }
}

pub(super) async fn who_is_not_a_member_gets_not_found_and_takes_no_number(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    let eve = user("eve");
    let before = room.conversation().await;
    let refused = append(room.id, Some(&eve), NewMessage::text("let me in"), room.now());
    assert_eq!(room.append(refused).await, Appended::NotFound);
    let absent = append(conversation_id(), Some(&eve), NewMessage::text("x"), room.now());
    assert_eq!(room.append(absent).await, Appended::NotFound);
    let absent = append(conversation_id(), None, NewMessage::text("x"), room.now());
    assert_eq!(room.append(absent).await, Appended::NotFound, "the host finds nothing either");
    assert_eq!(room.conversation().await, before);
}

pub(super) async fn an_unknown_reply_is_refused(nodes: &Nodes) {
    let (room, other) = (Room::group(nodes, 2).await, Room::group(nodes, 2).await);
    let target = room.send(0, "question").await;
    let foreign = other.send(0, "elsewhere").await;
    let reply = |to| {
        let message = NewMessage { reply_to: Some(to), ..NewMessage::text("answer") };
        append(room.id, Some(&room.users[1]), message, room.now())
    };
    let sent = fresh(room.append(reply(target.id)).await);
    assert_eq!(sent.reply_to, Some(target.id));
    let before = room.conversation().await;
    assert_eq!(room.append(reply(message_id())).await, Appended::UnknownReply);
    assert_eq!(room.append(reply(foreign.id)).await, Appended::UnknownReply);
    assert_eq!(room.conversation().await, before, "a refusal takes no number");
    room.revised(0, &target, Revision::Delete).await;
    fresh(room.append(reply(target.id)).await);
}

pub(super) async fn one_bad_row_answers_for_itself(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    let eve = user("eve");
    fresh(room.append(room.keyed(0, "used", "before")).await);
    let lost = NewMessage { reply_to: Some(message_id()), ..NewMessage::text("lost") };
    let batch = vec![
        room.text(0, "one"),
        append(room.id, Some(&eve), NewMessage::text("not a member"), room.now()),
        room.text(1, "two"),
        append(conversation_id(), None, NewMessage::text("nowhere"), room.now()),
        append(room.id, Some(&room.users[0]), lost, room.now()),
        room.keyed(0, "used", "conflict"),
        room.keyed(0, "used", "before"),
        room.text(0, "three"),
    ];
    let answers = room.store.append(batch).await;
    let said: Vec<String> = answers
        .into_iter()
        .map(|answer| match answer.expect("append answers") {
            Appended::Fresh(message) => format!("{} {}", message.seq, message.body),
            Appended::Replayed(message) => format!("again {}", message.seq),
            other => format!("{other:?}"),
        })
        .collect();
    let expected = [
        "2 one",
        "NotFound",
        "3 two",
        "NotFound",
        "UnknownReply",
        "Conflict",
        "again 1",
        "4 three",
    ];
    assert_eq!(said, expected);
    let conversation = room.conversation().await;
    assert_eq!((conversation.last_seq, conversation.rev), (4, 5), "refusals take no number");
}

pub(super) async fn sending_does_not_move_the_senders_read_cursor(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    room.send(1, "unread by the owner").await;
    let before = room.state(0).await;
    room.send(0, "sent past it").await;
    let after = room.state(0).await;
    assert_eq!(after, before, "neither cursors nor the count nor member_rev move");
    assert_eq!(after.unread, 1, "what was not read before stays unread");
}

pub(super) async fn last_activity_never_goes_back(nodes: &Nodes) {
    let room = Room::group(nodes, 1).await;
    let text = |millis| append(room.id, Some(&room.users[0]), NewMessage::text("x"), at(millis));
    for (sent, expected) in [(5_000, 5_000), (3_000, 5_000), (5_001, 5_001), (-9_000, 5_001)] {
        let message = fresh(room.append(text(sent)).await);
        assert_eq!(message.created_at, at(sent), "the message keeps its own time");
        assert_eq!(room.conversation().await.last_activity_at, at(expected));
    }
    let answers = room.store.append(vec![text(9_000), text(8_000)]).await;
    assert_eq!(answers.len(), 2);
    assert_eq!(room.conversation().await.last_activity_at, at(9_000), "nor within a batch");
}

pub(super) async fn the_host_sends_system_messages(nodes: &Nodes) {
    let room = Room::group(nodes, 1).await;
    let sent = room.announce(MessageKind::System, "Ann joined").await;
    let log = room.history(Some(&room.users[0]), Page::Latest, 10).await.messages;
    assert_eq!(log, std::slice::from_ref(&sent));
    assert_eq!((sent.sender_id, sent.kind), (None, MessageKind::System));
}

pub(super) async fn a_large_batch_over_many_conversations_is_stored(nodes: &Nodes) {
    let mut rooms = Vec::new();
    for _ in 0..50 {
        rooms.push(Room::group(nodes, 1).await);
    }
    let batch = (0..500).map(|n| rooms[n * 7 % 50].keyed(0, &format!("{n}"), "bulk")).collect();
    let answers = nodes.one.append(batch).await;
    assert_eq!(answers.len(), 500);
    for (n, answer) in answers.into_iter().enumerate() {
        let sent = fresh(answer.expect("append answers"));
        assert_eq!(sent.conversation_id, rooms[n * 7 % 50].id);
        assert_eq!(sent.seq, n as u64 / 50 + 1);
    }
    for room in &rooms {
        assert_eq!(seqs(&room.on(&nodes.other).log(None).await), (1..=10).collect::<Vec<_>>());
    }
}
