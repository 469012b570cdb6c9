//! Who among those who share a conversation is there, as one socket was told.

use std::collections::HashSet;

use parlor_core::{
    event::{Ephemeral, Event, SessionEvent},
    model::{PresenceInfo, UserId},
};

use crate::told::newcomers;

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

/// What a look at presence found, as the event that says so.
pub(crate) fn news(users: Vec<PresenceInfo>) -> Event {
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
