//! `change_private` and `private_changes`: what a member keeps to themself.

use std::collections::BTreeSet;

use super::{
    Nodes,
    world::{ALL, CAP, Room, at, conversation_id, ids, message_id, seqs, user},
};
use crate::{
    Timestamp,
    model::SettingsPatch,
    store::{PrivateChange, PrivateDelta},
};

fn muted(until: Option<Timestamp>) -> PrivateChange {
    let patch = SettingsPatch { muted_until: Some(until), ..SettingsPatch::default() };
    PrivateChange::Settings(patch)
}

pub(super) async fn each_change_takes_one_member_rev_and_never_a_shared_one(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    let sent = room.send_many(0, 4).await;
    let before = room.conversation().await;
    let others = room.state(0).await;
    let changes = [
        muted(Some(at(9))),
        PrivateChange::DeleteMessages(vec![sent[0].id, sent[1].id]),
        PrivateChange::MarkUnread(2),
        PrivateChange::Clear,
        PrivateChange::Hide,
    ];
    for (n, change) in changes.into_iter().enumerate() {
        let delta = room.private(1, change.clone()).await;
        assert!(delta.changed, "{change:?}");
        assert_eq!(delta.state.member_rev, n as u64 + 1, "{change:?}");
        let again = room.private(1, change.clone()).await;
        let expected = PrivateDelta { state: delta.state, deleted: vec![], changed: false };
        assert_eq!(again, expected, "{change:?} was so already");
        assert_eq!(room.on(&nodes.other).state(1).await, again.state);
    }
    assert_eq!(room.conversation().await, before, "nothing that others see changes");
    assert_eq!(room.state(0).await, others);
    let empty = room.private(1, PrivateChange::DeleteMessages(vec![])).await;
    let nothing = room.private(1, PrivateChange::Settings(SettingsPatch::default())).await;
    assert!(!empty.changed && !nothing.changed);
}

pub(super) async fn who_is_not_a_member_has_no_state(nodes: &Nodes) {
    let room = Room::group(nodes, 1).await;
    let sent = room.send(0, "hello").await;
    let eve = user("eve");
    let changes = [
        muted(None),
        PrivateChange::Hide,
        PrivateChange::Clear,
        PrivateChange::MarkUnread(1),
        PrivateChange::DeleteMessages(vec![sent.id]),
    ];
    for change in changes {
        for (id, user) in [(room.id, &eve), (conversation_id(), &room.users[0])] {
            let delta = room.store.change_private(id, user, change.clone(), CAP).await;
            assert_eq!(delta.expect("change_private answers"), None);
        }
    }
    let delta = room.store.private_changes(room.id, &eve, 0, ALL, CAP).await;
    assert_eq!(delta.expect("private_changes answers"), None);
    let delta = room.store.private_changes(conversation_id(), &eve, 0, ALL, CAP).await;
    assert_eq!(delta.expect("private_changes answers"), None);
}

pub(super) async fn a_settings_patch_changes_what_it_names(nodes: &Nodes) {
    let room = Room::group(nodes, 1).await;
    let all = SettingsPatch {
        muted_until: Some(Some(Timestamp::MAX)),
        archived: Some(true),
        private_receipts: Some(true),
    };
    let state = room.private(0, PrivateChange::Settings(all)).await.state;
    assert_eq!(state.muted_until, Some(Timestamp::MAX));
    assert!(state.archived && state.private_receipts);
    let one = SettingsPatch { archived: Some(false), ..SettingsPatch::default() };
    let next = room.private(0, PrivateChange::Settings(one)).await.state;
    assert_eq!((next.archived, next.private_receipts), (false, true), "what is absent stays");
    assert_eq!(next.muted_until, Some(Timestamp::MAX));
    let state = room.private(0, muted(None)).await.state;
    assert_eq!((state.muted_until, state.member_rev), (None, 3), "null takes away");
    assert_eq!(room.on(&nodes.other).state(0).await, state);
}

pub(super) async fn marking_as_unread_is_clamped(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    let delta = room.private(1, PrivateChange::MarkUnread(1)).await;
    assert_eq!((delta.changed, delta.state.unread_from), (false, None), "there is no message");
    room.send_many(0, 3).await;
    room.read(1, 3).await;
    for (seq, from, unread) in
        [(0, 1, 3), (2, 2, 2), (3, 3, 1), (4, 3, 1), (1, 1, 3), (u64::MAX, 3, 1)]
    {
        let state = room.private(1, PrivateChange::MarkUnread(seq)).await.state;
        assert_eq!((state.unread_from, state.unread), (Some(from), unread), "from {seq}");
        assert_eq!((state.read_seq, state.delivered_seq), (3, 3), "the cursors stay");
    }
}

pub(super) async fn a_mark_as_unread_takes_nothing_away(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    room.send_many(0, 10).await;
    room.read(1, 2).await;
    let state = room.private(1, PrivateChange::MarkUnread(9)).await.state;
    assert_eq!((state.unread_from, state.unread), (Some(9), 8), "unread from the cursor on");
}

pub(super) async fn clearing_takes_the_history_of_this_member_alone(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    room.send_many(0, 3).await;
    let delta = room.private(1, PrivateChange::Clear).await;
    assert_eq!((delta.state.cleared_seq, delta.state.hidden_seq), (3, None));
    assert_eq!((delta.state.unread, delta.state.read_seq), (0, 0));
    assert!(room.log(Some(&room.users[1])).await.is_empty());
    assert_eq!(room.log(Some(&room.users[0])).await.len(), 3);
    room.send(0, "after").await;
    assert_eq!(seqs(&room.log(Some(&room.users[1])).await), [4]);
    let again = room.private(1, PrivateChange::Clear).await;
    assert_eq!((again.changed, again.state.cleared_seq), (true, 4));
}

pub(super) async fn hiding_also_clears(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    room.send_many(0, 3).await;
    let state = room.private(1, PrivateChange::Hide).await.state;
    assert_eq!((state.cleared_seq, state.hidden_seq, state.unread), (3, Some(3), 0));
    assert!(room.log(Some(&room.users[1])).await.is_empty());
    room.send(0, "after").await;
    assert_eq!(seqs(&room.log(Some(&room.users[1])).await), [4], "the old ones do not come back");
    let empty = Room::group(nodes, 1).await;
    let delta = empty.private(0, PrivateChange::Hide).await;
    assert_eq!((delta.changed, delta.state.hidden_seq), (true, Some(0)), "also an empty one");
}

pub(super) async fn unknown_and_foreign_messages_are_left_out(nodes: &Nodes) {
    let (room, other) = (Room::group(nodes, 2).await, Room::group(nodes, 2).await);
    let sent = room.send_many(0, 3).await;
    let foreign = other.send(0, "elsewhere").await;
    let nothing = vec![message_id(), foreign.id];
    let delta = room.private(1, PrivateChange::DeleteMessages(nothing)).await;
    assert_eq!((delta.changed, delta.deleted, delta.state.member_rev), (false, vec![], 0));
    let some = vec![message_id(), sent[2].id, foreign.id, sent[0].id, sent[2].id];
    let delta = room.private(1, PrivateChange::DeleteMessages(some)).await;
    let deleted: BTreeSet<_> = delta.deleted.iter().copied().collect();
    assert_eq!(deleted, BTreeSet::from([sent[0].id, sent[2].id]));
    assert_eq!((delta.deleted.len(), delta.state.member_rev), (2, 1), "each once, one member_rev");
    assert_eq!(ids(&room.log(Some(&room.users[1])).await), [sent[1].id]);
    assert_eq!(ids(&other.log(Some(&other.users[1])).await), [foreign.id]);
    let more = vec![sent[0].id, sent[1].id];
    let delta = room.private(1, PrivateChange::DeleteMessages(more)).await;
    assert_eq!(delta.deleted, [sent[1].id], "only what is deleted by this change");
}

pub(super) async fn changes_since_a_member_rev_name_what_was_deleted(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    let sent = room.send_many(0, 5).await;
    room.private(1, PrivateChange::DeleteMessages(vec![sent[4].id])).await;
    room.private(1, muted(Some(at(5)))).await;
    room.private(1, PrivateChange::DeleteMessages(vec![sent[0].id, sent[2].id])).await;
    let room = room.on(&nodes.other);
    for (since, expected) in [(0, &[4, 0, 2][..]), (1, &[0, 2]), (2, &[0, 2]), (3, &[]), (9, &[])] {
        let delta = room.private_since(1, since).await;
        let deleted: BTreeSet<_> = delta.deleted.iter().copied().collect();
        assert_eq!(deleted, expected.iter().map(|n| sent[*n].id).collect(), "since {since}");
        assert_eq!(delta.changed, since < 3);
        assert_eq!(delta.state, room.state(1).await);
    }
    let bob = &room.users[1];
    for limit in 0..5 {
        let delta = room.store.private_changes(room.id, bob, 0, limit, CAP).await;
        let deleted = delta.expect("private_changes answers").expect("a member").deleted;
        assert_eq!(deleted.len(), limit.min(3), "at most the limit");
    }
    assert_eq!(room.private_since(0, 0).await.deleted, [], "nobody else's");
}
