//! `members`, `member`, and who comes and goes by `change`.

use tokio::task::JoinSet;

use super::{
    Nodes,
    world::{ALL, CAP, Room, append_one, conversation_id, fresh, seqs, user},
};
use crate::{
    model::{MemberState, Role, SettingsPatch, UserId},
    store::{Appended, ChangeOutcome, ConversationChange, MemberDelta, PrivateChange},
};

/// What became of the members.
pub(super) fn delta(outcome: ChangeOutcome) -> MemberDelta {
    match outcome {
        ChangeOutcome::Changed(_, delta) => delta,
        other => panic!("expected a change, got {other:?}"),
    }
}

fn add(users: &[&UserId]) -> ConversationChange {
    ConversationChange::AddMembers(users.iter().map(|user| (*user).clone()).collect())
}

fn remove(user: &UserId) -> ConversationChange {
    ConversationChange::RemoveMember(user.clone())
}

pub(super) async fn members_come_by_id_in_pages(nodes: &Nodes) {
    let room = Room::group(nodes, 9).await;
    let mut users = room.users.clone();
    users.sort();
    for limit in 1..=10 {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = nodes.other.members(room.id, after.as_ref(), limit).await;
            let page = page.expect("members answers");
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            after = Some(last.user_id.clone());
            seen.extend(page.into_iter().map(|member| member.user_id));
            assert!(seen.len() <= users.len(), "the pages come to an end, limit {limit}");
        }
        assert_eq!(seen, users, "limit {limit}");
    }
    let outside = UserId::new("u4").expect("a plain short text");
    let page = room.store.members(room.id, Some(&outside), 1).await.expect("members answers");
    assert_eq!(page[0].user_id, users[4], "also after one who is not a member");
}

pub(super) async fn one_member_is_found(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    let all = room.store.members(room.id, None, ALL).await.expect("members answers");
    for expected in all {
        let found = nodes.other.member(room.id, &expected.user_id).await;
        assert_eq!(found.expect("member answers"), Some(expected));
    }
    for (id, user) in [(room.id, &user("eve")), (conversation_id(), &room.users[0])] {
        assert_eq!(room.store.member(id, user).await.expect("member answers"), None);
    }
}

pub(super) async fn added_members_join_at_the_end(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    room.send_many(0, 3).await;
    let (ann, bob) = (user("ann"), user("bob"));
    let now = room.now();
    let change = add(&[&bob, &ann, &bob, &room.users[1]]);
    let outcome = room.store.change(room.id, None, change, 10, now).await;
    let outcome = outcome.expect("change answers");
    let ChangeOutcome::Changed(conversation, delta) = outcome else { panic!("{outcome:?}") };
    assert_eq!((conversation.rev, conversation.changed_rev, conversation.member_count), (5, 5, 4));
    let added: Vec<_> = delta.added.iter().map(|member| &member.user_id).collect();
    assert_eq!(added, [&ann, &bob], "each once, without who was there");
    assert!(delta.added.iter().all(|new| new.role == Role::Member && new.joined_at == now));
    assert!(delta.removed.is_empty() && delta.roles.is_empty());
    assert_eq!(room.conversation().await, *conversation);
    let room = Room::known(&nodes.other, room.id, vec![ann, bob]);
    for member in 0..2 {
        assert_eq!(room.state(member).await, MemberState::joining(Role::Member, 3));
    }
    assert_eq!(seqs(&room.log(Some(&room.users[0])).await), [1, 2, 3], "they see what was");
    assert_eq!(room.conversation().await.last_activity_at, conversation.last_activity_at);
}

pub(super) async fn who_is_there_or_not_already_takes_no_rev(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    let before = room.conversation().await;
    let owner = &room.users[0];
    for change in [add(&[&room.users[1], owner]), add(&[]), remove(&user("eve"))] {
        for actor in [None, Some(owner)] {
            let outcome = room.change(actor, change.clone()).await;
            assert_eq!(outcome, ChangeOutcome::Unchanged(Box::new(before.clone())), "{change:?}");
        }
    }
    assert_eq!(room.conversation().await, before);
}

pub(super) async fn nothing_of_a_removed_member_stays(nodes: &Nodes) {
    let room = Room::group(nodes, 3).await;
    let sent = room.send_many(0, 3).await;
    let bob = room.users[1].clone();
    let archived = SettingsPatch { archived: Some(true), ..SettingsPatch::default() };
    room.private(1, PrivateChange::Settings(archived)).await;
    room.private(1, PrivateChange::DeleteMessages(vec![sent[1].id])).await;
    room.private(1, PrivateChange::Hide).await;
    let own = room.send(1, "mine").await;
    let gone = delta(room.change(Some(&room.users[0]), remove(&bob)).await);
    assert_eq!((gone.removed, gone.added, gone.roles), (vec![bob.clone()], vec![], vec![]));
    assert_eq!(room.conversation().await.member_count, 2);
    for store in [&nodes.one, &nodes.other] {
        assert_eq!(store.member(room.id, &bob).await.expect("member answers"), None);
        assert_eq!(store.summary(room.id, &bob, CAP).await.expect("summary answers"), None);
        assert_eq!(store.memberships(&bob, None, ALL).await.expect("it answers"), []);
        assert_eq!(store.cursors(room.id, ALL).await.expect("cursors answers").len(), 2);
    }
    assert_eq!(room.append(room.text(1, "still here?")).await, Appended::NotFound);
    assert!(room.log(None).await.contains(&own), "what they said stays");
    room.send(0, "without them").await;
    room.host_changed(add(&[&bob])).await;
    let state = room.on(&nodes.other).state(1).await;
    assert_eq!(state, MemberState::joining(Role::Member, 5), "they start anew, nothing unread");
    assert_eq!(seqs(&room.log(Some(&bob)).await), [1, 2, 3, 4, 5], "nothing is deleted for them");
    assert_eq!(room.private_since(1, 0).await.deleted, []);
}

pub(super) async fn a_role_does_not_survive_removal(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    let bob = &room.users[1];
    room.host_changed(ConversationChange::SetRole(bob.clone(), Role::Admin)).await;
    room.host_changed(remove(bob)).await;
    room.host_changed(add(&[bob])).await;
    assert_eq!(room.state(1).await.role, Role::Member);
}

pub(super) async fn who_is_removed_appends_no_more(nodes: &Nodes) {
    for _ in 0..4 {
        let room = Room::group(nodes, 2).await;
        let mut racing = JoinSet::new();
        for n in 0..24 {
            let append = room.text(1, &format!("{n}"));
            let store = if n % 2 == 0 { nodes.one.clone() } else { nodes.other.clone() };
            racing.spawn(async move { append_one(store.as_ref(), append).await });
        }
        tokio::task::yield_now().await;
        let removed = room.on(&nodes.other).host_changed(remove(&room.users[1])).await.rev;
        for appended in racing.join_all().await {
            match appended {
                Appended::NotFound => {}
                appended => assert!(fresh(appended).rev < removed, "decided under the lock"),
            }
        }
        for store in [&nodes.one, &nodes.other] {
            let late = append_one(store.as_ref(), room.text(1, "late")).await;
            assert_eq!(late, Appended::NotFound);
        }
        let conversation = room.conversation().await;
        assert_eq!(conversation.rev, conversation.last_seq + 2, "no rev is lost or given twice");
    }
}

pub(super) async fn racing_changes_take_one_rev_each(nodes: &Nodes) {
    let room = Room::group(nodes, 1).await;
    let mut racing = JoinSet::new();
    for n in 0..24 {
        let room = room.on(if n % 2 == 0 { &nodes.one } else { &nodes.other });
        racing.spawn(async move { room.host_changed(add(&[&user("new")])).await });
    }
    let mut changed = racing.join_all().await;
    changed.sort_by_key(|conversation| conversation.rev);
    for (n, conversation) in changed.iter().enumerate() {
        assert_eq!((conversation.rev, conversation.changed_rev), (n as u64 + 2, n as u64 + 2));
        assert_eq!(conversation.member_count as usize, n + 2, "as of its rev");
    }
    let members = room.store.members(room.id, None, ALL).await.expect("members answers");
    assert_eq!(members.len(), 25);
}

pub(super) async fn one_user_added_by_many_at_once_joins_once(nodes: &Nodes) {
    let room = Room::group(nodes, 1).await;
    let new = user("new");
    let mut racing = JoinSet::new();
    for n in 0..12 {
        let room = room.on(if n % 2 == 0 { &nodes.one } else { &nodes.other });
        let change = add(&[&new]);
        racing.spawn(async move { room.change(None, change).await });
    }
    let outcomes = racing.join_all().await;
    let changed = outcomes.iter().filter(|it| matches!(it, ChangeOutcome::Changed(..))).count();
    assert_eq!((changed, room.conversation().await.rev), (1, 2));
    assert_eq!(room.conversation().await.member_count, 2);
}

pub(super) async fn the_limit_of_members_holds_under_concurrency(nodes: &Nodes) {
    let room = Room::group(nodes, 1).await;
    let mut racing = JoinSet::new();
    for n in 0..12 {
        let room = room.on(if n % 2 == 0 { &nodes.one } else { &nodes.other });
        let change = add(&[&user("new")]);
        racing.spawn(async move {
            let outcome = room.store.change(room.id, None, change, 5, room.now()).await;
            matches!(outcome.expect("change answers"), ChangeOutcome::Changed(..))
        });
    }
    let added = racing.join_all().await.into_iter().filter(|added| *added).count();
    assert_eq!((added, room.conversation().await.member_count), (4, 5));
}
