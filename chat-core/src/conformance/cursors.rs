//! `advance`, `cursors` and what is unread.

use tokio::task::JoinSet;

use super::{
    Nodes,
    random::{Script, seeds},
    world::{ALL, CAP, Room, append, conversation_id, edit, user},
};
use crate::{
    model::{MessageKind, NewMessage, SettingsPatch, UserId},
    store::{Advance, ConversationChange, PrivateChange, Revision, UnreadTotal},
};

pub(super) async fn cursors_are_monotone_and_clamped(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    room.send_many(0, 5).await;
    let steps = [
        (Some(2), None, (2, 0), true),
        (Some(1), None, (2, 0), false),
        (None, Some(1), (2, 1), true),
        (None, Some(3), (3, 3), true),
        (Some(2), Some(2), (3, 3), false),
        (None, None, (3, 3), false),
        (Some(4), Some(0), (4, 3), true),
        (Some(i64::MAX as u64), None, (5, 3), true),
        (Some(u64::MAX), Some(u64::MAX), (5, 5), true),
        (Some(6), Some(i64::MAX as u64 + 1), (5, 5), false),
    ];
    let mut member_rev = 0;
    let mut before = 0;
    for (delivered, read, expected, moved) in steps {
        let advanced = room.advance(1, delivered, read).await;
        assert_eq!(advanced.delivered_before, before, "{delivered:?} {read:?}");
        before = expected.0;
        member_rev += u64::from(moved);
        let state = &advanced.state;
        assert_eq!((state.delivered_seq, state.read_seq), expected, "{delivered:?} {read:?}");
        assert_eq!((advanced.moved, state.member_rev), (moved, member_rev), "one member_rev");
        assert_eq!(state.unread, 5 - u32::try_from(expected.1).unwrap_or(0), "from the cursor on");
        assert_eq!(room.on(&nodes.other).state(1).await, advanced.state);
    }
    assert_eq!(room.conversation().await.rev, 6, "no shared rev is taken");
}

pub(super) async fn in_an_empty_conversation_nothing_moves(nodes: &Nodes) {
    let room = Room::group(nodes, 1).await;
    let advanced = room.advance(0, Some(7), Some(7)).await;
    assert!(!advanced.moved);
    assert_eq!((advanced.state.delivered_seq, advanced.state.read_seq), (0, 0));
}

pub(super) async fn answers_come_in_the_order_of_the_batch(nodes: &Nodes) {
    let (room, other) = (Room::group(nodes, 2).await, Room::group(nodes, 2).await);
    room.send_many(0, 4).await;
    other.send_many(0, 4).await;
    let step = |conversation_id, user_id: &UserId, read| Advance {
        conversation_id,
        user_id: user_id.clone(),
        delivered_seq: None,
        read_seq: Some(read),
    };
    let batch = vec![
        step(room.id, &room.users[1], 2),
        step(room.id, &user("eve"), 2),
        step(other.id, &other.users[1], 3),
        step(conversation_id(), &room.users[1], 1),
        step(room.id, &room.users[1], 4),
        step(room.id, &room.users[1], 1),
        step(other.id, &room.users[1], 1),
    ];
    let answers = nodes.one.advance(batch, CAP).await.into_iter();
    let said: Vec<_> = answers
        .map(|answer| answer.expect("advance answers"))
        .map(|answer| answer.map(|advanced| (advanced.state.read_seq, advanced.moved)))
        .collect();
    let expected =
        [Some((2, true)), None, Some((3, true)), None, Some((4, true)), Some((4, false)), None];
    assert_eq!(said, expected, "None for who is not a member");
    assert!(nodes.one.advance(Vec::new(), CAP).await.is_empty());
}

pub(super) async fn reading_takes_the_mark_as_unread_away(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    room.send_many(0, 6).await;
    room.read(1, 6).await;
    room.private(1, PrivateChange::MarkUnread(4)).await;
    let below = room.read(1, 3).await;
    assert!(!below.moved, "a read below it leaves the mark");
    assert_eq!((below.state.unread_from, below.state.unread), (Some(4), 3));
    let delivered = room.advance(1, Some(6), None).await;
    assert_eq!(delivered.state.unread_from, Some(4), "a delivery is no read");
    let at = room.read(1, 4).await;
    assert!(at.moved, "the mark goes though the cursor does not move");
    assert_eq!((at.state.unread_from, at.state.read_seq, at.state.unread), (None, 6, 0));
    assert_eq!(at.state.member_rev, below.state.member_rev + 1);
    room.private(1, PrivateChange::MarkUnread(4)).await;
    let beyond = room.read(1, u64::MAX).await;
    assert_eq!((beyond.moved, beyond.state.unread_from), (true, None));
}

pub(super) async fn racing_cursors_end_at_the_furthest(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    room.send_many(0, 32).await;
    let mut racing = JoinSet::new();
    for seq in 1..=32_u64 {
        let room = room.on(if seq % 2 == 0 { &nodes.one } else { &nodes.other });
        racing.spawn(async move { room.read(1, seq).await });
    }
    let moved = racing.join_all().await.into_iter().filter(|advanced| advanced.moved).count();
    let state = room.state(1).await;
    assert_eq!((state.read_seq, state.delivered_seq, state.unread), (32, 32, 0));
    assert_eq!(state.member_rev, moved as u64, "one member_rev for each that moved");
}

pub(super) async fn racing_deliveries_share_no_message(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    room.send_many(0, 32).await;
    let mut racing = JoinSet::new();
    for seq in (4..=32_u64).step_by(4) {
        for node in [&nodes.one, &nodes.other] {
            let room = room.on(node);
            racing.spawn(async move { room.advance(1, Some(seq), None).await });
        }
    }
    let mut delivered: Vec<u64> = Vec::new();
    for advanced in racing.join_all().await {
        delivered.extend(advanced.delivered_before + 1..=advanced.state.delivered_seq);
    }
    delivered.sort_unstable();
    assert_eq!(delivered, (1..=32).collect::<Vec<_>>(), "each message by one call");
}

pub(super) async fn cursors_are_listed_by_user_with_private_ones_marked(nodes: &Nodes) {
    let room = Room::group(nodes, 3).await;
    room.send_many(0, 3).await;
    room.advance(1, Some(3), Some(2)).await;
    let private = SettingsPatch { private_receipts: Some(true), ..SettingsPatch::default() };
    room.private(2, PrivateChange::Settings(private)).await;
    let cursors = nodes.other.cursors(room.id, ALL).await.expect("cursors answers");
    let seen: Vec<_> = cursors
        .iter()
        .map(|cursor| (&cursor.user_id, cursor.delivered_seq, cursor.read_seq, cursor.private))
        .collect();
    let [u0, u1, u2] = &room.users[..] else { panic!("three users") };
    assert_eq!(seen, [(u0, 0, 0, false), (u1, 3, 2, false), (u2, 0, 0, true)]);
    for limit in 0..4 {
        let some = nodes.one.cursors(room.id, limit).await.expect("cursors answers");
        assert_eq!(some, cursors[..limit.min(3)], "limit {limit}");
    }
}

pub(super) async fn unread_counts_what_others_said_and_stands(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    let sent = room.send_many(0, 6).await;
    assert_eq!((room.unread(0).await, room.unread(1).await), (0, 6), "one's own do not count");
    room.announce(MessageKind::System, "no message of anybody").await;
    assert_eq!(room.unread(1).await, 6, "system messages do not count");
    room.announce(MessageKind::Text, "the host says").await;
    assert_eq!((room.unread(0).await, room.unread(1).await), (1, 7), "other ones of the host do");
    room.revised(0, &sent[0], Revision::Delete).await;
    assert_eq!(room.unread(1).await, 6, "deleted ones do not count");
    room.revised(0, &sent[1], edit("edited")).await;
    assert_eq!(room.unread(1).await, 6, "edited ones count once");
    room.private(1, PrivateChange::DeleteMessages(vec![sent[2].id])).await;
    assert_eq!(room.unread(1).await, 5, "ones deleted for me do not count");
    room.read(1, 4).await;
    assert_eq!(room.unread(1).await, 3);
    room.private(1, PrivateChange::MarkUnread(2)).await;
    assert_eq!(room.unread(1).await, 5, "counted from the mark");
    room.private(1, PrivateChange::Clear).await;
    assert_eq!(room.unread(1).await, 0, "cleared ones do not count");
    room.send(0, "after").await;
    assert_eq!(room.unread(1).await, 1);
}

pub(super) async fn the_cap_is_respected(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    room.send_many(0, 8).await;
    let (store, ann) = (&nodes.other, &room.users[1]);
    for (cap, expected) in [(0, 0), (1, 1), (7, 7), (8, 8), (9, 8), (u32::MAX, 8)] {
        let summary = store.summary(room.id, ann, cap).await.expect("summary answers");
        assert_eq!(summary.map(|summary| summary.me.unread), Some(expected), "summary");
        let delta = store.private_changes(room.id, ann, 0, 1, cap).await;
        let delta = delta.expect("private_changes answers");
        assert_eq!(delta.map(|delta| delta.state.unread), Some(expected), "private_changes");
        let nothing = Advance {
            conversation_id: room.id,
            user_id: ann.clone(),
            delivered_seq: Some(1),
            read_seq: None,
        };
        let advanced = store.advance(vec![nothing], cap).await.remove(0).expect("advance answers");
        assert_eq!(advanced.map(|advanced| advanced.state.unread), Some(expected), "advance");
        let total = store.unread_total(ann, cap).await.expect("unread_total answers");
        assert_eq!(total.messages, expected, "unread_total");
    }
}

pub(super) async fn the_total_leaves_out_hidden_and_archived(nodes: &Nodes) {
    let ann = user("ann");
    let mut rooms = Vec::new();
    for n in 0..5 {
        let room = Room::group_of(nodes, vec![user("host"), ann.clone()]).await;
        room.send_many(0, n).await;
        rooms.push(room);
    }
    let total = async |cap| nodes.other.unread_total(&ann, cap).await.expect("it answers");
    assert_eq!(total(CAP).await, UnreadTotal { conversations: 4, messages: 10 });
    assert_eq!(total(2).await, UnreadTotal { conversations: 4, messages: 7 }, "capped each");
    let archive = |on| {
        let patch = SettingsPatch { archived: Some(on), ..SettingsPatch::default() };
        PrivateChange::Settings(patch)
    };
    rooms[4].private(1, archive(true)).await;
    assert_eq!(total(CAP).await, UnreadTotal { conversations: 3, messages: 6 });
    rooms[3].private(1, PrivateChange::Hide).await;
    assert_eq!(total(CAP).await, UnreadTotal { conversations: 2, messages: 3 });
    rooms[3].private(1, PrivateChange::MarkUnread(1)).await;
    assert_eq!(total(CAP).await.conversations, 2, "a mark does not bring it back");
    rooms[3].send(0, "back").await;
    assert_eq!(total(CAP).await, UnreadTotal { conversations: 3, messages: 4 });
    rooms[4].private(1, archive(false)).await;
    rooms[3].read(1, 4).await;
    assert_eq!(total(CAP).await, UnreadTotal { conversations: 3, messages: 7 });
    rooms[2].host_changed(ConversationChange::RemoveMember(ann.clone())).await;
    assert_eq!(total(CAP).await, UnreadTotal { conversations: 2, messages: 5 });
    let nobody = nodes.one.unread_total(&user("eve"), CAP).await;
    assert_eq!(nobody.expect("unread_total answers"), UnreadTotal::default());
}

pub(super) async fn sending_counts_for_others_alone(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    room.send_many(1, 2).await;
    let before = room.state(0).await;
    let own = append(room.id, Some(&room.users[0]), NewMessage::text("mine"), room.now());
    room.append(own).await;
    assert_eq!(room.state(0).await, before, "sending does not move the sender's cursors");
    assert_eq!(room.unread(1).await, 1);
}

/// Whatever happened before.
pub(super) async fn unread_equals_a_recount(nodes: &Nodes) {
    for drawn in seeds(2) {
        let mut script = Script::new(drawn.0, nodes, 3).await;
        for step in 0..150 {
            script.play(if step % 2 == 0 { &nodes.one } else { &nodes.other }).await;
            if step % 3 > 0 {
                continue;
            }
            for n in 0..3 {
                recount(&script.room(n)).await;
            }
        }
    }
}

async fn recount(room: &Room) {
    for user in &room.users {
        let summary = room.store.summary(room.id, user, CAP).await.expect("summary answers");
        let Some(summary) = summary else { continue };
        let me = summary.me;
        let after = me.unread_from.map_or(me.read_seq, |from| me.read_seq.min(from - 1));
        let log = room.log(Some(user)).await;
        let counted = log
            .iter()
            .filter(|message| message.seq > after && message.sender_id.as_ref() != Some(user))
            .filter(|message| !message.is_deleted() && message.kind != MessageKind::System)
            .count();
        assert_eq!(me.unread as usize, counted, "{user} in {me:?}");
    }
}
