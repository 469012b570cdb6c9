//! The host's say before a command and its ear after a change: with a deadline, panics contained.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use tokio::sync::mpsc;

use crate::engine::{
    gate::Who,
    node::{Life, Node},
};
use crate::{
    BackendError, BackendErrorKind, Error,
    command::Command,
    event::{ChangeBody, Event},
    model::{PresenceStatus, UserId},
    traits::{AfterEvent, Hook},
};

const QUEUE: usize = 8192;
/// Members that are looked up to say who was offline.
const OFFLINE: usize = 1000;

/// The host's hooks.
#[derive(Debug)]
pub(in crate::engine) struct Hooks {
    hooks: Vec<Arc<dyn Hook>>,
    /// Those that are told of changes.
    listeners: Vec<Arc<dyn Hook>>,
    deadline: Duration,
    after: mpsc::Sender<Arc<Event>>,
}

/// The receiving end, for [`run`].
pub(in crate::engine) struct AfterQueue(mpsc::Receiver<Arc<Event>>);

impl Hooks {
    pub(in crate::engine) fn new(
        hooks: Vec<Arc<dyn Hook>>,
        deadline: Duration,
    ) -> (Self, AfterQueue) {
        let listeners: Vec<_> = hooks.iter().filter(|hook| hook.listens()).cloned().collect();
        let (after, queue) = mpsc::channel(if listeners.is_empty() { 1 } else { QUEUE });
        (Self { hooks, listeners, deadline, after }, AfterQueue(queue))
    }

    /// Passes a command through all hooks in turn.
    pub(in crate::engine) async fn before(
        &self,
        who: &Who,
        mut command: Command,
    ) -> Result<Command, Error> {
        for hook in &self.hooks {
            let call = AssertUnwindSafe(hook.before(who.identity.as_deref(), command));
            let unavailable = |cause: &'static str| {
                tracing::error!(?hook, cause, "a hook failed before a command");
                Error::Unavailable(
                    BackendError::new(BackendErrorKind::Unavailable, "hook").with_source(cause),
                )
            };
            command = match tokio::time::timeout(self.deadline, call.catch_unwind()).await {
                Ok(Ok(Ok(command))) => command,
                Ok(Ok(Err(rejection))) => return Err(Error::Rejected(rejection.0)),
                Ok(Err(_)) => return Err(unavailable("panicked")),
                Err(_) => return Err(unavailable("took too long")),
            };
        }
        Ok(command)
    }

    /// Queues a change for the hooks.
    pub(in crate::engine) fn after(&self, event: &Arc<Event>) {
        if !self.listeners.is_empty() && self.after.try_send(Arc::clone(event)).is_err() {
            metrics::counter!("parlor_hook_events_dropped_total").increment(1);
            tracing::warn!("the hooks do not keep up, a change was not told to them");
        }
    }
}

/// Starts the task that tells the hooks. It ends with the engine, after what was queued.
pub(in crate::engine) fn run(node: &Arc<Node>, queue: AfterQueue, life: &Life) {
    if !node.hooks.listeners.is_empty() {
        tokio::spawn(serve(Arc::clone(node), queue.0, life.clone()));
    }
}

async fn serve(node: Arc<Node>, mut queue: mpsc::Receiver<Arc<Event>>, mut life: Life) {
    loop {
        let event = tokio::select! {
            event = queue.recv() => event,
            () = life.ended(), if !queue.is_closed() => {
                queue.close();
                continue;
            }
        };
        let Some(event) = event else { return };
        let offline = offline(&node, &event).await;
        let after = AfterEvent { event, offline };
        for hook in &node.hooks.listeners {
            let call = AssertUnwindSafe(hook.after(&after)).catch_unwind();
            match tokio::time::timeout(node.hooks.deadline, call).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => tracing::error!(?hook, "a hook panicked after a change"),
                Err(_) => tracing::error!(?hook, "a hook took too long after a change"),
            }
        }
    }
}

/// The members besides the sender who have no device connected.
async fn offline(node: &Node, event: &Event) -> Vec<UserId> {
    let Event::Change(change) = event else { return Vec::new() };
    let ChangeBody::MessageSent { message } = &change.body else { return Vec::new() };
    let Ok(members) =
        node.read("members", node.store().members(change.conversation_id, None, OFFLINE)).await
    else {
        return Vec::new();
    };
    let users: Vec<UserId> = members
        .into_iter()
        .map(|member| member.user_id)
        .filter(|user| message.sender_id.as_ref() != Some(user))
        .collect();
    match node.tolerate(&node.outages.presence, node.backends.presence.get(&users)).await {
        Ok(presence) => presence
            .into_iter()
            .filter(|info| info.status == PresenceStatus::Offline)
            .map(|info| info.user_id)
            .collect(),
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Named {
        listens: bool,
    }

    impl Hook for Named {
        fn listens(&self) -> bool {
            self.listens
        }
    }

    #[test]
    fn a_hook_that_does_not_listen_costs_nothing_after_a_change() {
        let event = Arc::new(Event::Ephemeral(crate::event::Ephemeral::Presence { users: vec![] }));
        for listens in [false, true] {
            let (hooks, mut queue) =
                Hooks::new(vec![Arc::new(Named { listens })], Duration::from_secs(1));
            hooks.after(&event);
            assert_eq!(queue.0.try_recv().is_ok(), listens);
        }
    }
}
