//! `list`, `summary`, `memberships`, `arrivals`, `heads`, `sharing`.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Nodes,
    world::{ALL, CAP, Room, append, at, conversation_id, first_page, fresh, pin, react, user},
};
use crate::{
    model::{
        ConversationId, ConversationKind, ConversationSummary, MessageKind, NewMessage, Role,
        SettingsPatch, UserId,
    },
    store::{
        ChangeOutcome, ConversationChange, ListPosition, ListQuery, Membership, NewConversation,
        PrivateChange, Revision, Store,
    },
};

async fn list(store: &dyn Store, user: &UserId, query: ListQuery) -> Vec<ConversationSummary> {
    let limit = query.limit;
    let page = store.list(user, query).await.expect("list answers");
    assert!(page.len() <= limit, "a page holds at most its limit");
    page
}

async fn listed(store: &dyn Store, user: &UserId, archived: Option<bool>) -> Vec<ConversationId> {
    let page = list(store, user, ListQuery { archived, ..first_page(ALL) }).await;
    page.into_iter().map(|entry| entry.conversation.id).collect()
}

/// Groups of a host and this user; in each was one message sent at its moment.
async fn groups(nodes: &Nodes, ann: &UserId, moments: &[i64]) -> Vec<Room> {
    let mut rooms = Vec::new();
    for moment in moments {
        let room = Room::group_of(nodes, vec![user("host"), ann.clone()]).await;
        let text = NewMessage::text("hello");
        fresh(room.append(append(room.id, Some(&room.users[0]), text, at(*moment))).await);
        rooms.push(room);
    }
    rooms
}

fn archive(on: bool) -> PrivateChange {
    let patch = SettingsPatch { archived: Some(on), ..SettingsPatch::default() };
    PrivateChange::Settings(patch)
}

pub(super) async fn the_latest_activity_comes_first_then_the_larger_number(nodes: &Nodes) {
    let ann = user("ann");
    let mut rooms = groups(nodes, &ann, &[10, 30, 20, 20, 20]).await;
    rooms.push(Room::group_of(nodes, vec![ann.clone()]).await);
    let mut expected = Vec::new();
    for room in &rooms {
        expected.push(room.conversation().await);
    }
    expected.sort_by_key(|it| std::cmp::Reverse((it.last_activity_at, it.number)));
    let seen = list(nodes.other.as_ref(), &ann, first_page(ALL)).await;
    let seen: Vec<_> = seen.into_iter().map(|entry| entry.conversation).collect();
    assert_eq!(seen, expected);
    let text = NewMessage::text("late");
    rooms[0].append(append(rooms[0].id, None, text, at(40))).await;
    assert_eq!(listed(nodes.one.as_ref(), &ann, None).await[0], rooms[0].id, "a message lifts it");
    assert!(listed(nodes.one.as_ref(), &user("eve"), None).await.is_empty());
}

pub(super) async fn pages_neither_repeat_nor_leave_out(nodes: &Nodes) {
    let ann = user("ann");
    groups(nodes, &ann, &[10, 20, 20, 20, 20, 30, 5, 5]).await;
    let all = list(nodes.one.as_ref(), &ann, first_page(ALL)).await;
    assert_eq!(all.len(), 8);
    for limit in 1..=9 {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let query = ListQuery { after, ..first_page(limit) };
            let page = list(nodes.other.as_ref(), &ann, query).await;
            let Some(last) = page.last().map(|entry| &entry.conversation) else { break };
            let last_activity_at = last.last_activity_at;
            after = Some(ListPosition { last_activity_at, number: last.number });
            seen.extend(page);
            assert!(seen.len() <= all.len(), "the pages come to an end, limit {limit}");
        }
        assert_eq!(seen, all, "limit {limit}");
    }
}

pub(super) async fn archived_ones_are_told_apart(nodes: &Nodes) {
    let ann = user("ann");
    let rooms = groups(nodes, &ann, &[10, 20, 30]).await;
    rooms[1].private(1, archive(true)).await;
    rooms[1].private(0, archive(false)).await;
    let ids: Vec<_> = rooms.iter().map(|room| room.id).collect();
    let store = nodes.other.as_ref();
    assert_eq!(listed(store, &ann, Some(true)).await, [ids[1]]);
    assert_eq!(listed(store, &ann, Some(false)).await, [ids[2], ids[0]]);
    assert_eq!(listed(store, &ann, None).await, [ids[2], ids[1], ids[0]]);
    rooms[1].send(0, "still archived").await;
    assert_eq!(listed(store, &ann, Some(true)).await, [ids[1]]);
    rooms[1].private(1, archive(false)).await;
    assert!(listed(store, &ann, Some(true)).await.is_empty());
}

pub(super) async fn hidden_ones_come_back_with_a_new_message(nodes: &Nodes) {
    let ann = user("ann");
    let rooms = groups(nodes, &ann, &[10, 20]).await;
    let store = nodes.other.as_ref();
    let sent = rooms[0].log(None).await.remove(0);
    rooms[0].private(1, PrivateChange::Hide).await;
    assert_eq!(listed(store, &ann, None).await, [rooms[1].id]);
    rooms[0].revised(0, &sent, react("👍", true)).await;
    rooms[0].host_changed(ConversationChange::AddMembers(vec![user("new")])).await;
    assert_eq!(listed(store, &ann, None).await, [rooms[1].id], "other changes do not show it");
    let host = listed(store, &rooms[0].users[0], None).await;
    assert_eq!(host, [rooms[0].id], "others see it");
    let hidden = store.summary(rooms[0].id, &ann, CAP).await.expect("summary answers");
    let hidden = hidden.expect("hidden or not");
    assert_eq!((hidden.last_message, hidden.me.unread), (None, 0));
    rooms[0].announce(MessageKind::System, "back").await;
    assert!(listed(store, &ann, None).await.contains(&rooms[0].id));
    let empty = Room::group_of(nodes, vec![user("host"), ann.clone()]).await;
    empty.private(1, PrivateChange::Hide).await;
    assert!(!listed(store, &ann, None).await.contains(&empty.id), "also without a message");
}

pub(super) async fn hidden_ones_are_listed_for_who_asks(nodes: &Nodes) {
    let ann = user("ann");
    let rooms = groups(nodes, &ann, &[10, 20, 30]).await;
    rooms[1].private(1, PrivateChange::Hide).await;
    let store = nodes.other.as_ref();
    for (archived, places) in [(None, &[2, 1, 0][..]), (Some(false), &[2, 1, 0]), (Some(true), &[])]
    {
        let query = ListQuery { archived, hidden: true, ..first_page(ALL) };
        let seen = list(store, &ann, query).await;
        let expected: Vec<_> = places.iter().map(|place: &usize| rooms[*place].id).collect();
        let ids: Vec<_> = seen.iter().map(|entry| entry.conversation.id).collect();
        assert_eq!(ids, expected, "archived: {archived:?}");
        for entry in seen {
            let alone = store.summary(entry.conversation.id, &ann, CAP).await;
            assert_eq!(alone.expect("summary answers"), Some(entry), "as it is alone");
        }
    }
}

pub(super) async fn the_last_message_is_the_last_that_the_user_sees(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    let last = async |member: usize| {
        let user = &room.users[member];
        let entry = list(nodes.other.as_ref(), user, first_page(1)).await.remove(0);
        let alone = room.store.summary(room.id, user, CAP).await.expect("summary answers");
        assert_eq!(alone.as_ref(), Some(&entry), "the summary is the list's entry");
        entry.last_message
    };
    assert_eq!(last(1).await, None);
    let sent = room.send_many(0, 4).await;
    assert_eq!(last(1).await.as_ref(), Some(&sent[3]));
    let reacted = room.revised(1, &sent[3], react("👍", true)).await;
    let (mine, theirs) = (last(1).await, last(0).await);
    let of = |message: Option<crate::model::Message>| message.and_then(|m| m.reactions[0].mine);
    assert_eq!((of(mine), of(theirs)), (Some(true), Some(false)), "in the user's eyes");
    let gone = vec![sent[3].id, sent[2].id];
    room.private(1, PrivateChange::DeleteMessages(gone)).await;
    assert_eq!(last(1).await.as_ref(), Some(&sent[1]));
    assert_eq!(last(0).await.map(|message| message.id), Some(reacted.id));
    let deleted = room.revised(0, &sent[1], Revision::Delete).await;
    assert_eq!(last(1).await, Some(deleted), "a tombstone is seen");
    room.private(1, PrivateChange::Clear).await;
    assert_eq!(last(1).await, None);
    let next = room.send(0, "next").await;
    assert_eq!(last(1).await, Some(next));
}

pub(super) async fn unread_is_counted_in_the_list(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    room.send_many(0, 5).await;
    room.read(1, 2).await;
    for (cap, expected) in [(CAP, 3), (2, 2), (0, 0)] {
        let query = ListQuery { unread_cap: cap, ..first_page(1) };
        let entry = list(nodes.other.as_ref(), &room.users[1], query).await.remove(0);
        assert_eq!(entry.me.unread, expected);
    }
    let own = list(nodes.one.as_ref(), &room.users[0], first_page(1)).await.remove(0);
    assert_eq!((own.me.unread, own.me), (0, room.state(0).await));
}

pub(super) async fn only_members_have_a_summary(nodes: &Nodes) {
    let room = Room::group(nodes, 1).await;
    for (id, user) in [(room.id, &user("eve")), (conversation_id(), &room.users[0])] {
        assert_eq!(room.store.summary(id, user, CAP).await.expect("summary answers"), None);
    }
}

pub(super) async fn memberships_come_by_id_with_their_heads(nodes: &Nodes) {
    let ann = user("ann");
    let rooms = groups(nodes, &ann, &[10, 20, 30, 40]).await;
    let bob = user("bob");
    let pair = NewConversation::direct(conversation_id(), &ann, &bob, None, at(7));
    let direct = nodes.one.create(pair).await.expect("create answers").conversation;
    rooms[0].private(1, PrivateChange::Hide).await;
    rooms[1].private(1, archive(true)).await;
    rooms[1].read(1, 1).await;
    let sent = rooms[2].send(0, "more").await;
    rooms[2].revised(0, &sent, pin(true)).await;
    rooms[3].host_changed(ConversationChange::AddMembers(vec![user("new")])).await;
    let mut expected = Vec::new();
    for id in rooms.iter().map(|room| room.id).chain([direct.id]) {
        let summary = nodes.one.summary(id, &ann, CAP).await.expect("summary answers");
        let summary = summary.expect("a member");
        let conversation = summary.conversation;
        expected.push(Membership {
            conversation_id: id,
            kind: conversation.kind,
            rev: conversation.rev,
            last_seq: conversation.last_seq,
            member_rev: summary.me.member_rev,
            member_count: conversation.member_count,
            last_activity_at: conversation.last_activity_at,
            peer: (id == direct.id).then(|| bob.clone()),
        });
    }
    let revs: Vec<_> = expected.iter().map(|it| (it.rev, it.last_seq, it.member_rev)).collect();
    assert_eq!(revs, [(2, 1, 1), (2, 1, 2), (4, 2, 0), (3, 1, 0), (1, 0, 0)]);
    assert_eq!((expected[3].member_count, expected[4].kind), (3, ConversationKind::Direct));
    expected.sort_by_key(|membership| membership.conversation_id);
    for limit in 1..=6 {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = nodes.other.memberships(&ann, after, limit).await;
            let page = page.expect("memberships answers");
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            after = Some(last.conversation_id);
            seen.extend(page);
            assert!(seen.len() <= expected.len(), "the pages come to an end, limit {limit}");
        }
        assert_eq!(seen, expected, "limit {limit}, hidden ones too");
    }
    let none = nodes.one.memberships(&user("eve"), None, ALL).await;
    assert_eq!(none.expect("memberships answers"), []);
}

pub(super) async fn arrivals_are_the_memberships_since_a_moment(nodes: &Nodes) {
    // A moment that no other case of this run, nor of an earlier one, is likely to have.
    let moment = i64::from(uuid::Uuid::new_v4().as_fields().0) * 1000 + 1_000_000_000;
    let names = ["ann", "bob", "cem", "dan"].map(user);
    let [ann, bob, cem, dan] = &names;
    let make = async |other: &UserId, later: i64| {
        let created_at = at(moment + later);
        let new = NewConversation::direct(conversation_id(), ann, other, None, created_at);
        nodes.one.create(new).await.expect("create answers").conversation.id
    };
    let (early, exact) = (make(bob, -1).await, make(cem, 0).await);
    let members = [(ann.clone(), Role::Owner), (bob.clone(), Role::Member)];
    let new = NewConversation::group(conversation_id(), "g".into(), members.into(), at(moment - 5));
    let group = nodes.one.create(new).await.expect("create answers").conversation.id;
    for (change, later) in [
        (ConversationChange::AddMembers(vec![dan.clone(), cem.clone()]), 3),
        (ConversationChange::RemoveMember(cem.clone()), 4),
        (ConversationChange::RemoveMember(bob.clone()), 5),
        (ConversationChange::AddMembers(vec![bob.clone()]), 6),
    ] {
        let changed = nodes.one.change(group, None, change, ALL, at(moment + later)).await;
        assert!(matches!(changed, Ok(ChangeOutcome::Changed(..))), "{changed:?}");
    }
    let wanted: BTreeSet<_> =
        [(0, exact, ann), (0, exact, cem), (3, group, dan), (6, group, bob)].into();
    for limit in [1, 2, 3, 100] {
        let (mut seen, mut after) = (BTreeSet::new(), None);
        // Other runs may have later ones: only the first pages matter.
        for _ in 0..8 {
            let page = nodes.other.arrivals(at(moment), after.as_ref(), limit).await;
            let page = page.expect("arrivals answers");
            assert!(page.len() <= limit);
            assert!(page.is_sorted_by_key(|arrival| arrival.joined_at), "the earliest first");
            for arrival in &page {
                assert_ne!(arrival.conversation_id, early, "before the moment");
                if let Some(name) = names.iter().find(|name| **name == arrival.user_id) {
                    let later = arrival.joined_at.as_millis() - at(moment).as_millis();
                    let new = seen.insert((later, arrival.conversation_id, name));
                    assert!(new, "each once, limit {limit}");
                }
            }
            let Some(last) = page.into_iter().next_back() else { break };
            after = Some(last);
        }
        assert_eq!(seen, wanted, "limit {limit}");
    }
}

pub(super) async fn heads_are_the_revs_of_known_ones(nodes: &Nodes) {
    let rooms = groups(nodes, &user("ann"), &[10, 20, 30]).await;
    rooms[1].send_many(0, 5).await;
    let asked = [rooms[1].id, conversation_id(), rooms[0].id];
    let heads = nodes.other.heads(&asked).await.expect("heads answers");
    let seen: BTreeSet<_> = heads.iter().copied().collect();
    assert_eq!(seen, BTreeSet::from([(rooms[0].id, 2), (rooms[1].id, 7)]));
    assert_eq!(heads.len(), 2, "each once");
    assert_eq!(nodes.one.heads(&[]).await.expect("heads answers"), []);
}

pub(super) async fn a_direct_membership_names_the_other(nodes: &Nodes) {
    let [ann, bob] = ["ann", "bob"].map(user);
    let direct = async |peer: &UserId, context: Option<&str>| {
        let context = context.map(str::to_owned);
        let new = NewConversation::direct(conversation_id(), &ann, peer, context, at(0));
        nodes.one.create(new).await.expect("create answers").conversation.id
    };
    let ids = [
        direct(&bob, None).await,
        direct(&bob, Some("booking")).await,
        direct(&ann, None).await,
        Room::group_of(nodes, vec![ann.clone(), bob.clone()]).await.id,
    ];
    let peers = async |user: &UserId| {
        let memberships = nodes.other.memberships(user, None, ALL).await;
        let memberships = memberships.expect("memberships answers");
        let peer = |membership: Membership| (membership.conversation_id, membership.peer);
        memberships.into_iter().map(peer).collect::<BTreeMap<_, _>>()
    };
    let expected = ids.into_iter().zip([Some(bob.clone()), Some(bob.clone()), None, None]);
    assert_eq!(peers(&ann).await, expected.collect(), "never oneself");
    let expected = [ids[0], ids[1], ids[3]].into_iter().zip([Some(ann.clone()), Some(ann), None]);
    assert_eq!(peers(&bob).await, expected.collect());
}

pub(super) async fn those_who_share_a_conversation_are_found(nodes: &Nodes) {
    let room = Room::group(nodes, 3).await;
    let [ann, bob, cid] = &room.users[..] else { panic!("three users") };
    let elsewhere = Room::group(nodes, 2).await;
    let dora = user("dora");
    let pair = NewConversation::direct(conversation_id(), ann, &dora, None, at(0));
    nodes.one.create(pair).await.expect("create answers");
    let asked = [cid, &elsewhere.users[0], &dora, bob, bob, &user("eve")].map(Clone::clone);
    let sharing = async |user: &UserId| {
        let mut found = nodes.other.sharing(user, &asked).await.expect("sharing answers");
        found.sort();
        found
    };
    assert_eq!(sharing(ann).await, [dora.clone(), bob.clone(), cid.clone()], "each once");
    assert_eq!(sharing(&user("eve")).await, []);
    assert_eq!(nodes.one.sharing(ann, &[]).await.expect("sharing answers"), []);
    room.private(0, PrivateChange::Hide).await;
    assert!(sharing(ann).await.contains(bob), "hidden or not");
    room.host_changed(ConversationChange::RemoveMember(bob.clone())).await;
    assert_eq!(sharing(ann).await, [dora, cid.clone()], "not any more");
}
