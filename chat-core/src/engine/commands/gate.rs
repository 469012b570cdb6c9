//! The gate: quota, policy, membership. What passes holds an [`Admitted`], and nothing else can make one.

use std::sync::Arc;

use crate::engine::{node::Node, registry::Connection};
use crate::{
    Error,
    model::{ConversationId, Identity, UserId},
    traits::{Action, Quota, Rated, Verdict},
};

/// Who asks: a user, through a connection or in process, or the host itself.
#[derive(Debug, Clone)]
pub(in crate::engine) struct Who {
    /// `None` is the host.
    pub(in crate::engine) identity: Option<Arc<Identity>>,
    /// The connection, when there is one.
    pub(in crate::engine) connection: Option<Arc<Connection>>,
}

impl Who {
    pub(in crate::engine) fn host() -> Self {
        Self { identity: None, connection: None }
    }

    /// A connected user.
    pub(in crate::engine) fn connected(connection: &Arc<Connection>) -> Self {
        Self { identity: Some(connection.identity()), connection: Some(Arc::clone(connection)) }
    }

    pub(in crate::engine) fn user(&self) -> Option<&UserId> {
        self.identity.as_ref().map(|identity| &identity.user_id)
    }

    /// The user, where only a user makes sense.
    pub(in crate::engine) fn require_user(&self) -> Result<&UserId, Error> {
        self.user().ok_or(Error::Forbidden("only a user can do this, not the host".into()))
    }
}

/// Proof that the gate let somebody pass.
#[derive(Debug)]
pub(in crate::engine) struct Admitted {
    user: Option<UserId>,
}

impl Admitted {
    pub(in crate::engine) fn user(&self) -> Option<&UserId> {
        self.user.as_ref()
    }

    pub(in crate::engine) fn into_user(self) -> Option<UserId> {
        self.user
    }
}

/// Lets pass who may act on a conversation. Membership of the conversation is left to the store, which
/// checks it under the lock.
pub(in crate::engine) async fn admit(
    node: &Node,
    who: &Who,
    action: Action,
) -> Result<Admitted, Error> {
    let Some(identity) = &who.identity else { return Ok(Admitted { user: None }) };
    let verdict = node.read("policy", node.backends.policy.check(identity, &action)).await?;
    match verdict {
        Verdict::Allow => Ok(Admitted { user: Some(identity.user_id.clone()) }),
        Verdict::Conceal => Err(Error::NotFound),
        Verdict::Deny(reason) => {
            // Who is not a member must not learn from a refusal that the conversation exists.
            if let Some(id) = conversation_of(&action) {
                require_member(node, id, &identity.user_id).await?;
            }
            Err(Error::Forbidden(reason))
        }
    }
}

/// Lets pass who is a member and may act. For what no store checks.
pub(in crate::engine) async fn admit_member(
    node: &Node,
    who: &Who,
    id: ConversationId,
    action: Action,
) -> Result<Admitted, Error> {
    if let Some(user) = who.user()
        && !node.rooms.holds(id, user)
    {
        require_member(node, id, user).await?;
    }
    admit(node, who, action).await
}

/// Answers for strangers as for what does not exist.
async fn require_member(node: &Node, id: ConversationId, user: &UserId) -> Result<(), Error> {
    match node.read("member", node.store().member(id, user)).await? {
        Some(_) => Ok(()),
        None => Err(Error::NotFound),
    }
}

/// Lets read who is a member. [`require_reader`] comes after the read.
pub(in crate::engine) async fn admit_reader(
    node: &Node,
    who: &Who,
    id: ConversationId,
) -> Result<Admitted, Error> {
    require_reader(node, who, id).await?;
    admit(node, who, Action::Read { conversation_id: id }).await
}

/// Lets out what was read: only members see it. Asked again after the read, so that nobody who was
/// removed meanwhile is shown anything.
pub(in crate::engine) async fn require_reader(
    node: &Node,
    who: &Who,
    id: ConversationId,
) -> Result<(), Error> {
    match who.user() {
        Some(user) => require_member(node, id, user).await,
        None => match node.read("conversation", node.store().conversation(id)).await? {
            Some(_) => Ok(()),
            None => Err(Error::NotFound),
        },
    }
}

fn conversation_of(action: &Action) -> Option<ConversationId> {
    match action {
        Action::Read { conversation_id }
        | Action::Send { conversation_id, .. }
        | Action::Write { conversation_id }
        | Action::Signal { conversation_id }
        | Action::AddMembers { conversation_id, .. } => Some(*conversation_id),
        _ => None,
    }
}

/// Takes one unit of a quota; the host has none.
pub(in crate::engine) async fn take(
    node: &Node,
    who: &Who,
    class: &'static str,
    quota: Quota,
) -> Result<(), Error> {
    let Some(user) = who.user() else { return Ok(()) };
    match node.backends.limiter.take(class, user.as_str(), quota).await {
        Ok(Rated::Granted) => Ok(()),
        Ok(Rated::RetryAfter(retry_after)) => {
            metrics::counter!("parlor_rate_limited_total", "class" => class).increment(1);
            Err(Error::RateLimited { retry_after })
        }
        Err(error) => {
            // A limiter that is down must not take chat down with it.
            tracing::warn!(%error, "rate limiter failed, letting pass");
            Ok(())
        }
    }
}
