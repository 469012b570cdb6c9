//! `revise` and `pinned`: edit, delete, react, pin.

use tokio::task::JoinSet;

use super::{
    Nodes,
    world::{
        Room, at, changed, edit, edit_with, ids, message_id, pin, react, reaction, unchanged, user,
    },
};
use crate::{
    model::{Attachment, Message, MessageEdit, MessageKind, REACTION_USERS, Role, UserId},
    rules::Denied,
    store::{ConversationChange, MessageRef, PrivateChange, ReviseOutcome, Revision},
};

/// What the other node has of the message.
async fn stored(nodes: &Nodes, message: &Message) -> Message {
    let found = nodes.other.message(MessageRef::Id(message.id), None).await;
    found.expect("message answers").expect("the message is there")
}

pub(super) async fn each_change_takes_exactly_one_rev(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    let sent = room.send(0, "hello").await;
    let revisions = [
        edit("hello!"),
        react("👍", true),
        pin(true),
        pin(false),
        react("👍", false),
        Revision::Delete,
    ];
    for (n, revision) in revisions.into_iter().enumerate() {
        let before = room.conversation().await;
        let message = room.revised(0, &sent, revision).await;
        let rev = 3 + n as u64;
        assert_eq!(message.changed_rev, rev, "the rev becomes the message's changed_rev");
        assert_eq!((message.rev, message.seq), (sent.rev, sent.seq), "what it was sent with stays");
        let mut after = room.conversation().await;
        assert_eq!(after.rev, rev);
        after.rev = before.rev;
        assert_eq!(after, before, "nothing else of the conversation changes");
        assert_eq!(stored(nodes, &sent).await, message);
    }
}

pub(super) async fn what_is_so_already_takes_no_rev(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    let sent = room.send(0, "hello").await;
    let nothing = [edit("hello"), react("👍", false), pin(false)];
    for revision in nothing {
        let message = unchanged(room.revise(Some(&room.users[0]), &sent, revision).await);
        assert_eq!(message, sent);
    }
    for revision in [edit("other"), react("👍", true), pin(true), Revision::Delete] {
        let message = room.revised(0, &sent, revision.clone()).await;
        let head = room.conversation().await;
        let again = unchanged(room.revise(Some(&room.users[0]), &sent, revision).await);
        assert_eq!(again, message, "as it stands");
        assert_eq!(room.conversation().await, head);
    }
}

pub(super) async fn an_edit_replaces_what_it_names(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    let sent = room.send(0, "hello").await;
    let attachment = Attachment {
        url: "https://example.com/a.png".to_owned(),
        name: None,
        media_type: Some("image/png".to_owned()),
        size: Some((1 << 53) - 1),
    };
    let first = edit_with(MessageEdit {
        mentions: Some(vec![room.users[1].clone()]),
        attachments: Some(vec![attachment.clone()]),
        ..MessageEdit::default()
    });
    let message = room.revised(0, &sent, first).await;
    assert_eq!(message.body, "hello", "what is absent stays");
    assert_eq!(
        (&message.mentions, &message.attachments),
        (&vec![room.users[1].clone()], &vec![attachment])
    );
    let edited_at = message.edited_at.expect("an edit is stamped");
    let message = room.revised(0, &sent, edit("bye")).await;
    assert_eq!(message.body, "bye");
    assert_eq!(message.mentions.len(), 1);
    assert!(message.edited_at > Some(edited_at));
    let message = room
        .revised(
            0,
            &sent,
            edit_with(MessageEdit { mentions: Some(vec![]), ..MessageEdit::default() }),
        )
        .await;
    assert!(message.mentions.is_empty(), "an empty list takes away");
    assert_eq!(stored(nodes, &sent).await, message);
}

pub(super) async fn a_deleted_message_is_a_tombstone(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    let sent = super::world::fresh(room.append(room.keyed(0, "k", "secret words")).await);
    room.revised(1, &sent, react("👍", true)).await;
    room.revised(0, &sent, pin(true)).await;
    room.revised(0, &sent, edit("more secret words")).await;
    let deleted = room.revised(0, &sent, Revision::Delete).await;
    let mut expected = sent.clone();
    let when = deleted.deleted_at.expect("a tombstone says when");
    expected.changed_rev = deleted.changed_rev;
    expected.entomb(when);
    assert_eq!(deleted, expected, "ids, seq, sender, key and times stay, the content goes");
    assert!(deleted.body.is_empty() && deleted.reactions.is_empty() && deleted.pinned_at.is_none());
    assert_eq!(stored(nodes, &sent).await, expected);
    assert_eq!(room.log(Some(&room.users[1])).await, [expected], "it stays in the history");
    assert!(room.store.pinned(room.id, None).await.expect("pinned answers").is_empty());
    for revision in [edit("back"), react("👍", true), react("👍", false), pin(true), pin(false)]
    {
        let outcome = room.revise(Some(&room.users[0]), &sent, revision).await;
        assert_eq!(outcome, ReviseOutcome::Denied(Denied::Deleted));
    }
}

pub(super) async fn who_may_revise_is_decided_by_the_rules(nodes: &Nodes) {
    let room = Room::group(nodes, 3).await;
    let sent = room.send(1, "mine").await;
    let announced = room.announce(MessageKind::System, "hello").await;
    let (owner, sender, other) = (&room.users[0], &room.users[1], &room.users[2]);
    let denied = [
        (owner, &sent, edit("theirs"), Denied::NotSender),
        (other, &sent, edit("theirs"), Denied::NotSender),
        (other, &sent, Revision::Delete, Denied::NotSender),
        (sender, &sent, pin(true), Denied::Role),
        (other, &announced, Revision::Delete, Denied::SystemMessage),
        (sender, &sent, edit(""), Denied::Blank),
    ];
    let before = room.conversation().await;
    for (actor, message, revision, why) in denied {
        let outcome = room.revise(Some(actor), message, revision).await;
        assert_eq!(outcome, ReviseOutcome::Denied(why));
    }
    assert_eq!(room.conversation().await, before, "a refusal takes no rev");
    assert_eq!(stored(nodes, &sent).await, sent);
    changed(room.revise(None, &sent, edit("by the host")).await);
    changed(room.revise(Some(owner), &sent, Revision::Delete).await);
    changed(room.revise(Some(owner), &announced, Revision::Delete).await);
    room.host_changed(ConversationChange::SetRole(other.clone(), Role::Admin)).await;
    let next = room.send(1, "next").await;
    changed(room.revise(Some(other), &next, pin(true)).await);
    changed(room.revise(Some(other), &next, Revision::Delete).await);
}

pub(super) async fn in_a_direct_conversation_both_pin_and_each_deletes_their_own(nodes: &Nodes) {
    let room = Room::direct(nodes).await;
    let sent = room.send(0, "hello").await;
    room.revised(1, &sent, pin(true)).await;
    let outcome = room.revise(Some(&room.users[1]), &sent, Revision::Delete).await;
    assert_eq!(outcome, ReviseOutcome::Denied(Denied::NotSender));
    room.revised(0, &sent, Revision::Delete).await;
}

pub(super) async fn who_is_not_a_member_finds_no_message(nodes: &Nodes) {
    let (room, other) = (Room::group(nodes, 2).await, Room::group(nodes, 1).await);
    let sent = room.send(0, "hello").await;
    let eve = user("eve");
    for revision in [edit("x"), Revision::Delete, react("👍", true), pin(true)] {
        assert_eq!(room.revise(Some(&eve), &sent, revision.clone()).await, ReviseOutcome::NotFound);
        let elsewhere = other.revise(Some(&other.users[0]), &sent, revision.clone()).await;
        assert_eq!(elsewhere, ReviseOutcome::NotFound, "not by way of another conversation");
        assert_eq!(other.revise(None, &sent, revision.clone()).await, ReviseOutcome::NotFound);
        let unknown =
            room.store.revise(room.id, message_id(), Some(&room.users[0]), revision, at(5)).await;
        assert_eq!(unknown.expect("revise answers"), ReviseOutcome::NotFound);
    }
    room.host_changed(ConversationChange::RemoveMember(room.users[1].clone())).await;
    let outcome = room.revise(Some(&room.users[1]), &sent, react("👍", true)).await;
    assert_eq!(outcome, ReviseOutcome::NotFound, "nor who was removed");
    assert_eq!(stored(nodes, &sent).await, sent);
}

pub(super) async fn reactions_keep_the_order_of_their_first_use(nodes: &Nodes) {
    let room = Room::group(nodes, 3).await;
    let sent = room.send(0, "hello").await;
    for (member, key) in [(2, "🎉"), (1, "👍"), (0, "🎉"), (0, "👍"), (1, "a")] {
        room.revised(member, &sent, react(key, true)).await;
    }
    let message = stored(nodes, &sent).await;
    let [u0, u1, u2] = [0, 1, 2].map(|n| room.users[n].clone());
    let seen: Vec<_> =
        message.reactions.iter().map(|r| (r.key.as_str(), r.count, r.users.clone())).collect();
    let expected = [
        ("🎉", 2, vec![u2.clone(), u0.clone()]),
        ("👍", 2, vec![u1.clone(), u0.clone()]),
        ("a", 1, vec![u1.clone()]),
    ];
    assert_eq!(seen, expected);
    // Whose reaction stood first goes: the order is that of the uses that stand.
    room.revised(2, &sent, react("🎉", false)).await;
    let message = room.revised(2, &sent, react("👍", true)).await;
    let keys: Vec<_> = message.reactions.iter().map(|reaction| reaction.key.as_str()).collect();
    assert_eq!(keys, ["👍", "🎉", "a"]);
    assert_eq!(message.reactions[0].users, [u1.clone(), u0.clone(), u2]);
    assert_eq!(message.reactions[1].users, [u0]);
    let message = room.revised(1, &sent, react("a", false)).await;
    assert_eq!(message.reactions.len(), 2, "a reaction that nobody gives any more is gone");
    assert_eq!(stored(nodes, &sent).await, message);
}

pub(super) async fn mine_is_filled_in_for_a_viewer_alone(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    let sent = room.send(0, "hello").await;
    let message = room.revised(1, &sent, react("👍", true)).await;
    assert_eq!(message.reactions[0].mine, None, "what all are told has no mine");
    for (viewer, mine) in
        [(None, None), (Some(&room.users[0]), Some(false)), (Some(&room.users[1]), Some(true))]
    {
        let found = room.store.message(MessageRef::Id(sent.id), viewer).await;
        let found = found.expect("message answers").expect("the message is there");
        assert_eq!(found.reactions[0].mine, mine, "message");
        assert_eq!(room.log(viewer).await[0].reactions[0].mine, mine, "history");
        assert_eq!(room.since(viewer, 0).await.messages[0].reactions[0].mine, mine, "changes");
        assert_eq!(room.since(viewer, 2).await.revised[0].reactions[0].mine, mine, "revised");
    }
}

pub(super) async fn a_reaction_names_its_first_users_and_counts_all(nodes: &Nodes) {
    let users: Vec<UserId> = (0..REACTION_USERS + 10).map(|n| user(&format!("u{n}"))).collect();
    let room = Room::group_of(nodes, users.clone()).await;
    let sent = room.send(0, "hello").await;
    for member in (0..users.len()).rev() {
        room.revised(member, &sent, react("👍", true)).await;
    }
    let first: Vec<UserId> = users.iter().rev().take(REACTION_USERS).cloned().collect();
    let message = stored(nodes, &sent).await;
    assert_eq!(message.reactions[0].count as usize, users.len());
    assert_eq!(message.reactions[0].users, first);
    let late = room.store.message(MessageRef::Id(sent.id), Some(&users[0])).await;
    let late = late.expect("message answers").expect("the message is there");
    assert_eq!(late.reactions[0].mine, Some(true), "also who is not named any more");
    let message = room.revised(0, &sent, react("👍", false)).await;
    assert_eq!(message.reactions[0].count as usize, users.len() - 1);
}

pub(super) async fn distinct_reactions_are_limited(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    let sent = room.send(0, "hello").await;
    let limited = |text: &str| Revision::React { key: reaction(text), on: true, max_distinct: 2 };
    room.revised(0, &sent, limited("a")).await;
    room.revised(0, &sent, limited("b")).await;
    let outcome = room.revise(Some(&room.users[1]), &sent, limited("c")).await;
    assert_eq!(outcome, ReviseOutcome::Denied(Denied::TooManyReactions));
    room.revised(1, &sent, limited("a")).await;
    room.revised(0, &sent, react("b", false)).await;
    room.revised(1, &sent, limited("c")).await;
}

pub(super) async fn racing_reactions_are_all_counted_within_the_limit(nodes: &Nodes) {
    let room = Room::group(nodes, 8).await;
    let sent = room.send(0, "hello").await;
    let mut racing = JoinSet::new();
    for member in 0..8_usize {
        for text in ["a", "b", "c", "d"] {
            let room = room.on(if member.is_multiple_of(2) { &nodes.one } else { &nodes.other });
            let sent = sent.clone();
            let key = reaction(text);
            racing.spawn(async move {
                let revision = Revision::React { key, on: true, max_distinct: 3 };
                let outcome = room.revise(Some(&room.users[member]), &sent, revision).await;
                matches!(outcome, ReviseOutcome::Changed(_))
            });
        }
    }
    let given = racing.join_all().await.into_iter().filter(|changed| *changed).count();
    let message = stored(nodes, &sent).await;
    assert_eq!(message.reactions.len(), 3);
    let counted: u32 = message.reactions.iter().map(|reaction| reaction.count).sum();
    assert_eq!((counted as usize, given), (24, 24));
    assert_eq!(room.conversation().await.rev, 2 + 24);
}

pub(super) async fn pins_are_limited_and_listed_latest_first(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    let sent = room.send_many(0, 4).await;
    let limited = || Revision::Pin { on: true, max_pins: 3 };
    for n in [1, 0, 2] {
        let message = room.revised(0, &sent[n], limited()).await;
        assert!(message.pinned_at.is_some());
    }
    let outcome = room.revise(Some(&room.users[0]), &sent[3], limited()).await;
    assert_eq!(outcome, ReviseOutcome::Denied(Denied::TooManyPins));
    let again = unchanged(room.revise(Some(&room.users[0]), &sent[1], limited()).await);
    let pinned = nodes.other.pinned(room.id, None).await.expect("pinned answers");
    assert_eq!(ids(&pinned), [sent[2].id, sent[0].id, sent[1].id]);
    assert_eq!(pinned[2], again, "pinning again does not renew it");
    room.revised(0, &sent[2], pin(false)).await;
    room.revised(0, &sent[3], limited()).await;
    let pinned = nodes.other.pinned(room.id, None).await.expect("pinned answers");
    assert_eq!(ids(&pinned), [sent[3].id, sent[0].id, sent[1].id]);
}

pub(super) async fn pins_honour_what_is_gone_for_the_viewer(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    let sent = room.send_many(0, 3).await;
    for message in &sent {
        room.revised(0, message, pin(true)).await;
    }
    room.private(1, PrivateChange::DeleteMessages(vec![sent[1].id])).await;
    let seen = room.store.pinned(room.id, Some(&room.users[1])).await.expect("pinned answers");
    assert_eq!(ids(&seen), [sent[2].id, sent[0].id]);
    room.private(1, PrivateChange::Clear).await;
    let seen = room.store.pinned(room.id, Some(&room.users[1])).await.expect("pinned answers");
    assert!(seen.is_empty());
    let all = room.store.pinned(room.id, Some(&room.users[0])).await.expect("pinned answers");
    assert_eq!(all.len(), 3, "for others they stay");
}
