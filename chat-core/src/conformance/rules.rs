//! `change`: who may do what, decided under the lock.

use tokio::task::JoinSet;

use super::{
    Nodes,
    members::delta,
    random::{Script, seeds},
    world::{ALL, Room, at, conversation_id, user},
};
use crate::{
    model::{ConversationPatch, Metadata, Role, UserId},
    rules::Denied,
    store::{ChangeOutcome, ConversationChange},
};

fn title(text: &str) -> ConversationChange {
    let title = Some(text.to_owned());
    ConversationChange::Patch(ConversationPatch { title, ..ConversationPatch::default() })
}

fn add(user: &UserId) -> ConversationChange {
    ConversationChange::AddMembers(vec![user.clone()])
}

fn remove(user: &UserId) -> ConversationChange {
    ConversationChange::RemoveMember(user.clone())
}

fn set(user: &UserId, role: Role) -> ConversationChange {
    ConversationChange::SetRole(user.clone(), role)
}

async fn roles(room: &Room) -> Vec<(UserId, Role)> {
    let members = room.store.members(room.id, None, ALL).await.expect("members answers");
    members.into_iter().map(|member| (member.user_id, member.role)).collect()
}

async fn denied(room: &Room, actor: &UserId, change: ConversationChange, why: Denied) {
    let before = (room.conversation().await, roles(room).await);
    let outcome = room.change(Some(actor), change.clone()).await;
    assert_eq!(outcome, ChangeOutcome::Denied(why), "{change:?}");
    let after = (room.conversation().await, roles(room).await);
    assert_eq!(after, before, "a refusal changes nothing and takes no rev");
}

pub(super) async fn a_patch_takes_one_rev(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    room.send(0, "hello").await;
    let whole = ConversationPatch {
        title: Some("New".to_owned()),
        picture: Some(Some("https://example.com/a.png".to_owned())),
        metadata: Some(Metadata::default()),
    };
    let mut expected = room.conversation().await;
    let patch = ConversationChange::Patch(whole.clone());
    let outcome = room.change(Some(&room.users[0]), patch.clone()).await;
    assert!(whole.apply(&mut expected));
    (expected.rev, expected.changed_rev) = (3, 3);
    let nobody = crate::store::MemberDelta::default();
    assert_eq!(outcome, ChangeOutcome::Changed(Box::new(expected.clone()), nobody));
    assert_eq!(room.on(&nodes.other).conversation().await, expected);
    let same = ChangeOutcome::Unchanged(Box::new(expected.clone()));
    for change in [patch, title("New"), ConversationChange::Patch(ConversationPatch::default())] {
        assert_eq!(room.change(None, change).await, same, "what is so already takes no rev");
    }
    let away = ConversationPatch { picture: Some(None), ..ConversationPatch::default() };
    let changed = room.host_changed(ConversationChange::Patch(away)).await;
    assert_eq!((changed.picture, changed.title, changed.rev), (None, expected.title, 4));
}

pub(super) async fn roles_decide_who_may(nodes: &Nodes) {
    let room = Room::group(nodes, 4).await;
    let [owner, admin, ann, bob] = &room.users[..] else { panic!("four users") };
    room.host_changed(set(admin, Role::Admin)).await;
    for change in [title("x"), add(&user("new")), remove(bob), remove(owner), set(ann, Role::Owner)]
    {
        denied(&room, ann, change, Denied::Role).await;
    }
    for change in [remove(owner), set(bob, Role::Admin), set(admin, Role::Owner)] {
        denied(&room, admin, change, Denied::Role).await;
    }
    denied(&room, owner, set(&user("eve"), Role::Admin), Denied::UnknownMember).await;
    denied(&room, owner, set(owner, Role::Member), Denied::LastOwner).await;
    let new = user("new");
    for change in [title("by the admin"), add(&new), remove(&new), remove(bob)] {
        delta(room.change(Some(admin), change).await);
    }
    let given = delta(room.change(Some(owner), set(ann, Role::Owner)).await);
    assert_eq!(given.roles, [(ann.clone(), Role::Owner)]);
    delta(room.change(Some(owner), set(owner, Role::Member)).await);
    delta(room.change(Some(admin), remove(admin)).await);
    assert_eq!(roles(&room).await, [(owner.clone(), Role::Member), (ann.clone(), Role::Owner)]);
    let same = room.change(Some(ann), set(owner, Role::Member)).await;
    assert!(matches!(same, ChangeOutcome::Unchanged(_)), "the role is so already");
}

pub(super) async fn who_is_not_a_member_finds_no_conversation(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    let (eve, before) = (user("eve"), room.conversation().await);
    let ann = &room.users[1];
    for change in [title("x"), add(&eve), remove(ann), remove(&eve), set(ann, Role::Admin)] {
        let outcome = room.change(Some(&eve), change.clone()).await;
        let hidden = [ChangeOutcome::NotFound, ChangeOutcome::Denied(Denied::NotMember)];
        assert!(hidden.contains(&outcome), "{change:?}: {outcome:?}");
        let absent = room.store.change(conversation_id(), None, change, 9, at(1)).await;
        assert_eq!(absent.expect("change answers"), ChangeOutcome::NotFound);
    }
    assert_eq!(room.conversation().await, before);
}

pub(super) async fn the_host_needs_no_role(nodes: &Nodes) {
    let room = Room::group(nodes, 2).await;
    let [owner, ann] = &room.users[..] else { panic!("two users") };
    for change in [title("by the host"), add(&user("new")), set(ann, Role::Owner), remove(owner)] {
        room.host_changed(change).await;
    }
    let last = room.change(None, set(ann, Role::Member)).await;
    assert_eq!(last, ChangeOutcome::Denied(Denied::LastOwner), "an owner remains nevertheless");
}

pub(super) async fn members_are_limited(nodes: &Nodes) {
    let room = Room::group(nodes, 3).await;
    let change = async |users: Vec<UserId>, max| {
        let change = ConversationChange::AddMembers(users);
        let outcome = room.store.change(room.id, None, change, max, room.now()).await;
        outcome.expect("change answers")
    };
    let (ann, bob) = (user("ann"), user("bob"));
    let many = ChangeOutcome::Denied(Denied::TooManyMembers);
    assert_eq!(change(vec![ann.clone(), bob.clone()], 4).await, many, "all or none");
    assert_eq!(roles(&room).await.len(), 3);
    let known = room.users[0].clone();
    let added = delta(change(vec![ann.clone(), known, ann.clone()], 4).await).added;
    assert_eq!(added.len(), 1, "who is there does not count");
    assert_eq!(change(vec![bob], 4).await, many);
    assert!(matches!(change(vec![ann], 4).await, ChangeOutcome::Unchanged(_)));
}

pub(super) async fn the_pair_of_a_direct_conversation_stands(nodes: &Nodes) {
    let room = Room::direct(nodes).await;
    let [ann, bob] = &room.users[..] else { panic!("two users") };
    let changes = [title("x"), add(&user("eve")), remove(bob), remove(ann), set(ann, Role::Owner)];
    for change in changes {
        denied(&room, ann, change.clone(), Denied::DirectConversation).await;
        let outcome = room.change(None, change).await;
        assert_eq!(outcome, ChangeOutcome::Denied(Denied::DirectConversation), "nor the host");
    }
    let picture = ConversationPatch { picture: Some(Some("p".to_owned())), ..Default::default() };
    let changed = room.host_changed(ConversationChange::Patch(picture)).await;
    assert_eq!((changed.picture.as_deref(), changed.rev), (Some("p"), 2));
}

pub(super) async fn the_highest_role_then_the_oldest_then_the_first_inherits(nodes: &Nodes) {
    // By id: d is the first member, a and b come together later, c is an admin later still.
    let [a, b, c, d, z] = ["a", "b", "c", "d", "z"].map(user);
    let room = Room::group_of(nodes, vec![z.clone(), d.clone()]).await;
    room.host_changed(ConversationChange::AddMembers(vec![b.clone(), a.clone()])).await;
    room.host_changed(add(&c)).await;
    room.host_changed(set(&c, Role::Admin)).await;
    let room = room.on(&nodes.other);
    for (owner, heir) in [(z, Some(&c)), (c.clone(), Some(&d)), (d.clone(), Some(&a))] {
        let gone = delta(room.change(Some(&owner), remove(&owner)).await);
        let expected = heir.map(|heir| (heir.clone(), Role::Owner));
        assert_eq!(gone.roles, Vec::from_iter(expected));
        assert_eq!(gone.removed, [owner]);
    }
    assert_eq!(roles(&room).await, [(a.clone(), Role::Owner), (b.clone(), Role::Member)]);
    room.host_changed(set(&b, Role::Owner)).await;
    let gone = delta(room.change(None, remove(&a)).await);
    assert_eq!(gone.roles, [], "nobody inherits where an owner remains");
}

pub(super) async fn whoever_comes_first_into_an_empty_group_owns_it(nodes: &Nodes) {
    let room = Room::group(nodes, 1).await;
    let gone = delta(room.change(Some(&room.users[0]), remove(&room.users[0])).await);
    assert_eq!((gone.removed.len(), gone.roles), (1, vec![]));
    assert_eq!(room.conversation().await.member_count, 0);
    let (ann, bob) = (user("ann"), user("bob"));
    let both = ConversationChange::AddMembers(vec![bob.clone(), ann.clone()]);
    let come = delta(room.change(None, both).await);
    assert_eq!(come.roles, [(ann.clone(), Role::Owner)]);
    assert_eq!(roles(&room).await, [(ann, Role::Owner), (bob, Role::Member)]);
}

pub(super) async fn an_owner_remains_when_all_leave_at_once(nodes: &Nodes) {
    for _ in 0..4 {
        let room = Room::group(nodes, 6).await;
        room.host_changed(set(&room.users[1], Role::Owner)).await;
        let mut racing = JoinSet::new();
        for n in 0..5_usize {
            let room = room.on(if n.is_multiple_of(2) { &nodes.one } else { &nodes.other });
            let ann = room.users[n].clone();
            let demote = n == 1;
            racing.spawn(async move {
                let change = if demote { set(&ann, Role::Member) } else { remove(&ann) };
                room.change(Some(&ann), change).await
            });
        }
        racing.join_all().await;
        let roles = roles(&room).await;
        assert!(roles.iter().any(|(_, role)| *role == Role::Owner), "{roles:?}");
    }
}

/// Whoever comes and goes.
pub(super) async fn a_group_with_members_always_has_an_owner(nodes: &Nodes) {
    for drawn in seeds(3) {
        let mut script = Script::new(drawn.0, nodes, 1).await;
        let room = script.room(0);
        for step in 0..120 {
            let node = if step % 2 == 0 { &nodes.one } else { &nodes.other };
            script.change().run(node.as_ref()).await;
            let roles = roles(&room).await;
            let owned = roles.iter().any(|(_, role)| *role == Role::Owner);
            assert!(owned || roles.is_empty(), "after step {step}: {roles:?}");
            assert_eq!(room.conversation().await.member_count as usize, roles.len());
        }
    }
}
