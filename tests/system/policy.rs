//! The host's say: an access policy with live revocation, its own tables of members, a user directory.

use std::{
    collections::HashSet,
    sync::{Arc, OnceLock},
};

use async_trait::async_trait;
use parking_lot::Mutex;
use parlor::{BackendError, Chat, Error, command::*, model::*, traits::*};

use crate::support::*;

/// Pairs with a confirmed booking may talk.
#[derive(Debug, Default)]
struct Bookings {
    confirmed: Mutex<HashSet<(String, String)>>,
    revoked: Mutex<HashSet<ConversationId>>,
}

#[async_trait]
impl AccessPolicy for Bookings {
    async fn check(&self, caller: &Identity, action: &Action) -> Result<Verdict, BackendError> {
        let allowed = match action {
            Action::OpenDirect { with, .. } => {
                let pair = (caller.user_id.to_string(), with.to_string());
                self.confirmed.lock().contains(&pair)
            }
            Action::Send { conversation_id, .. } => !self.revoked.lock().contains(conversation_id),
            _ => true,
        };
        Ok(if allowed { Verdict::Allow } else { Verdict::Deny("no confirmed booking".into()) })
    }

    async fn may_receive(
        &self,
        _: &UserId,
        conversations: &[ConversationId],
    ) -> Result<Vec<bool>, BackendError> {
        let revoked = self.revoked.lock();
        Ok(conversations.iter().map(|id| !revoked.contains(id)).collect())
    }
}

#[tokio::test]
async fn a_policy_decides_who_may_start_and_cuts_off_who_is_connected() {
    let bookings = Arc::new(Bookings::default());
    let chat = builder().policy(bookings.clone()).build().await.unwrap();
    let ann = chat.as_user(identity("ann"));
    let refused = ann.open_direct(user("bob")).await.unwrap_err();
    assert_eq!(refused.to_string(), "not allowed: no confirmed booking");
    bookings.confirmed.lock().insert(("ann".into(), "bob".into()));
    let id = ann.open_direct(user("bob")).await.unwrap().conversation.id;
    let mut bob = Device::connect(&chat, identity("bob")).await;
    ann.send(id, text("hello")).await.unwrap();
    bob.until_body(id, "hello").await;

    bookings.revoked.lock().insert(id);
    chat.recheck_access(id);
    bob.until_type("conversation.removed").await;
    assert!(matches!(ann.send(id, text("x")).await, Err(Error::Forbidden(_))));
    assert!(matches!(
        chat.as_user(identity("eve")).send(id, text("x")).await,
        Err(Error::NotFound)
    ));
    chat.system().send(id, text("only the host speaks")).await.unwrap();
    // Who connects now is cut off as well.
    let late = Device::connect(&chat, identity("bob")).await;
    assert!(late.follower.conversations.is_empty());

    bookings.revoked.lock().remove(&id);
    chat.recheck_access(id);
    bob.until_type("conversation.added").await;
    ann.send(id, text("back again")).await.unwrap();
    bob.until_body(id, "back again").await;
    assert!(bob.heard.iter().all(|event| event["message"]["body"] != "only the host speaks"));
}

/// The host's own table of a team.
#[derive(Debug, Default)]
struct Team(Mutex<HostMembers>, Mutex<Option<ConversationId>>);

#[async_trait]
impl MembershipSource for Team {
    async fn members(
        &self,
        conversation: &Conversation,
    ) -> Result<Option<HostMembers>, BackendError> {
        let ours = *self.1.lock() == Some(conversation.id);
        Ok(ours.then(|| self.0.lock().clone()))
    }

    async fn conversations(&self, _: &UserId) -> Result<Vec<ConversationId>, BackendError> {
        Ok(self.1.lock().iter().copied().collect())
    }
}

#[tokio::test]
async fn the_hosts_own_tables_say_who_belongs() {
    let team = Arc::new(Team::default());
    let chat = builder().membership(team.clone()).build().await.unwrap();
    let id = group(&chat, &["ann"]).await;
    *team.1.lock() = Some(id);
    team.0.lock().insert(user("ann"), Role::Owner);
    team.0.lock().insert(user("bob"), Role::Member);
    // Connecting is enough to be let in.
    let mut bob = Device::connect(&chat, identity("bob")).await;
    let ann = chat.as_user(identity("ann"));
    ann.send(id, text("welcome")).await.unwrap();
    bob.until_body(id, "welcome").await;
    assert!(matches!(ann.add_members(id, vec![user("cem")]).await, Err(Error::Forbidden(_))));
    // A change of the tables takes effect when the host says so.
    team.0.lock().remove(&user("bob"));
    team.0.lock().insert(user("ann"), Role::Member);
    team.0.lock().insert(user("cem"), Role::Owner);
    assert!(chat.sync_members(id).await.unwrap());
    bob.until(|event| event["removed"][0] == "bob").await;
    let members = chat.system().members(id).await.unwrap();
    let roles: Vec<_> =
        members.iter().map(|member| (member.user_id.as_str(), member.role)).collect();
    assert_eq!(roles, [("ann", Role::Member), ("cem", Role::Owner)]);
}

#[derive(Debug)]
struct Payroll;

#[async_trait]
impl UserDirectory for Payroll {
    async fn profiles(&self, users: &[UserId]) -> Result<Vec<Profile>, BackendError> {
        let known = users.iter().filter(|user| user.as_str() != "nobody");
        Ok(known.map(|user| Profile::new(user.clone())).collect())
    }

    async fn unknown(&self, users: &[UserId]) -> Result<Vec<UserId>, BackendError> {
        Ok(users.iter().filter(|user| user.as_str() == "nobody").cloned().collect())
    }
}

#[tokio::test]
async fn who_does_not_exist_cannot_be_talked_to() {
    let chat = builder().directory(Arc::new(Payroll)).build().await.unwrap();
    let ann = chat.as_user(identity("ann"));
    let refused = ann.open_direct(user("nobody")).await.unwrap_err();
    assert_eq!(refused.field(), Some("user_id"));
    let group = NewGroup::new("Group", [user("bob"), user("nobody")]);
    assert_eq!(ann.create_group(group).await.unwrap_err().field(), Some("members"));
    ann.open_direct(user("bob")).await.unwrap();
}

/// Removes whoever reads, between the first look at the membership and the read itself.
#[derive(Debug, Default)]
struct Trapdoor(OnceLock<Chat>);

#[async_trait]
impl AccessPolicy for Trapdoor {
    async fn check(&self, caller: &Identity, action: &Action) -> Result<Verdict, BackendError> {
        if let (Some(chat), Action::Read { conversation_id }) = (self.0.get(), action) {
            let user = caller.user_id.clone();
            chat.system().remove_member(*conversation_id, user).await.unwrap();
        }
        Ok(Verdict::Allow)
    }
}

#[tokio::test]
async fn who_is_removed_while_reading_is_shown_nothing() {
    let trapdoor = Arc::new(Trapdoor::default());
    let chat = builder().policy(trapdoor.clone()).build().await.unwrap();
    let id = group(&chat, &["ann", "bob"]).await;
    let message = chat.as_user(identity("ann")).send(id, text("secret")).await.unwrap();
    trapdoor.0.set(chat.clone()).unwrap();
    let inside = InConversation { conversation_id: id };
    let reads = [
        Command::History(History { conversation_id: id, before: None, after: None, limit: None }),
        Command::GetMessage(InMessage { conversation_id: id, message_id: message.id }),
        Command::GetChanges(GetChanges {
            conversation_id: id,
            since_rev: 0,
            cursor: None,
            limit: None,
        }),
        Command::ListMembers(ListMembers { conversation_id: id, limit: None, after: None }),
        Command::ListPins(inside),
        Command::ListCursors(inside),
        Command::GetConversation(inside),
    ];
    for read in reads {
        chat.system().add_members(id, vec![user("bob")]).await.unwrap();
        let name = read.name();
        let shown = chat.as_user(identity("bob")).dispatch(read).await;
        assert!(matches!(shown, Err(Error::NotFound)), "{name}: {shown:?}");
    }
}
