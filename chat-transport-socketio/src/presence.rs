//! Who among those who share a conversation is there, as one socket was told.

use std::collections::HashSet;

use parlor_core::{
    Error,
    command::{Command, ListMembers, Reply},
    event::{Ephemeral, Event, SessionEvent},
    model::{PresenceInfo, UserId},
};

use crate::{client::Client, history, known::mismatch, told::newcomers};

/// Those whom a socket was told to be online. At most as many as a session may watch.
#[derive(Debug, Default)]
pub(crate) struct Online(HashSet<String>);

impl Online {
    /// Whether it is news that somebody came or went. Who was never told to be there does not go.
    pub(crate) fn is_news(&mut self, user: &str, online: bool) -> bool {
        if online { self.0.insert(user.to_owned()) } else { self.0.remove(user) }
    }
}

/// Whom an event brings together with this user: they are watched from now on.
pub(crate) fn to_be_watched(event: &Event, me: &UserId) -> Vec<UserId> {
    let users: Vec<UserId> = match event {
        Event::Session(SessionEvent::ConversationAdded { summary }) => {
            summary.conversation.direct.iter().flat_map(|direct| direct.users.clone()).collect()
        }
        other => newcomers(other)
            .unwrap_or_default()
            .iter()
            .map(|member| member.user_id.clone())
            .collect(),
    };
    users.into_iter().filter(|user| user != me).collect()
}

/// Watches those with whom a user shares a group, from the latest one on, as many as a session may watch.
///
/// # Errors
/// As [`parlor_core::Caller::conversations`].
pub(crate) async fn watch_groups(client: &Client) -> Result<Option<Event>, Error> {
    let mut groups = history::conversations(client.caller(), None, None).await?;
    groups.retain(|entry| entry.conversation.direct.is_none());
    let max = client.chat().limits().watches;
    let mut users = HashSet::new();
    for group in groups {
        let limit = Some(max as u64);
        let id = group.conversation.id;
        let list = ListMembers { conversation_id: id, limit, after: None };
        let Reply::Members(page) =
            client.chat().system().dispatch(Command::ListMembers(list)).await?
        else {
            return Err(mismatch());
        };
        users.extend(page.members.into_iter().map(|member| member.user_id));
        users.remove(client.user_id());
        if users.len() >= max {
            break;
        }
    }
    watch(client, users.into_iter().take(max).collect()).await
}

/// Watches users from now on, and looks who of them is there.
///
/// # Errors
/// [`Error::Unavailable`].
pub(crate) async fn watch(client: &Client, users: Vec<UserId>) -> Result<Option<Event>, Error> {
    if users.is_empty() {
        return Ok(None);
    }
    match client.session.watch(users).await {
        Ok(found) => Ok(Some(news(found))),
        // Nobody watches more than so many.
        Err(Error::Invalid(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What a look at presence found, as the event that says so.
fn news(users: Vec<PresenceInfo>) -> Event {
    Event::Ephemeral(Ephemeral::Presence { users })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_comes_twice_or_goes_without_having_come() {
        let mut online = Online::default();
        assert!(!online.is_news("ann", false));
        assert!(online.is_news("ann", true));
        assert!(!online.is_news("ann", true));
        assert!(online.is_news("ann", false));
        assert!(!online.is_news("ann", false));
        assert!(online.is_news("ann", true));
    }
}
