//! The names of keys and channels. Each carries a hash tag, so that what belongs together has one slot.

use parlor_core::model::{NodeId, UserId};
use parlor_core::traits::Topic;

/// Names under one prefix.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    prefix: String,
}

impl Names {
    pub(crate) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// The channel of a topic.
    pub(crate) fn channel(&self, topic: &Topic) -> String {
        let prefix = &self.prefix;
        match topic {
            Topic::User(user) => format!("{prefix}:user:{{{user}}}"),
            Topic::Conversation(id) => format!("{prefix}:conversation:{{{id}}}"),
            Topic::Presence(user) => format!("{prefix}:presence:{{{user}}}"),
            Topic::Nodes => format!("{prefix}:{{nodes}}"),
            // A kind of a newer core: its own words are as good as any other name.
            other => format!("{prefix}:topic:{{{other:?}}}"),
        }
    }

    /// The key of a user's leases.
    pub(crate) fn leases(&self, user: &UserId) -> String {
        format!("{}:leases:{{{user}}}", self.prefix)
    }

    /// The key of what is counted in `class` for `key`. No class has a brace, so no two names are alike.
    pub(crate) fn rate(&self, class: &str, key: &str) -> String {
        format!("{}:rate:{class}:{{{key}}}", self.prefix)
    }

    /// The key of the list of questions to the store.
    pub(crate) fn requests(&self) -> String {
        format!("{}:{{requests}}", self.prefix)
    }

    /// The channel of the answers to one who asks.
    pub(crate) fn answers(&self, asker: NodeId) -> String {
        format!("{}:answers:{{{asker}}}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use parlor_core::model::ConversationId;

    use super::*;

    #[test]
    fn every_topic_has_a_channel_of_its_own() {
        let names = Names::new("chat");
        let user = UserId::new("ann").unwrap();
        let id: ConversationId = "0198a000-0000-7000-8000-000000000001".parse().unwrap();
        assert_eq!(names.channel(&Topic::User(user.clone())), "chat:user:{ann}");
        assert_eq!(names.channel(&Topic::Presence(user.clone())), "chat:presence:{ann}");
        assert_eq!(names.channel(&Topic::Conversation(id)), format!("chat:conversation:{{{id}}}"));
        assert_eq!(names.channel(&Topic::Nodes), "chat:{nodes}");
        assert_eq!(names.leases(&user), "chat:leases:{ann}");
        assert_eq!(names.rate("sends", "ann"), "chat:rate:sends:{ann}");
    }
}
