//! A connected device in process, with the client's rules applied to what it hears.

use std::{sync::Arc, time::Duration};

use parlor::{
    Chat, CloseReason, Resume, Subscription,
    event::Event,
    model::{ConversationId, Identity},
};
use serde_json::Value;

use super::Follower;

/// Nothing that is waited for takes longer than this unless it is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Device {
    pub(crate) subscription: Subscription,
    pub(crate) follower: Follower,
    /// Everything heard, as JSON.
    pub(crate) heard: Vec<Value>,
}

impl Device {
    /// Connects a new device and waits until it is live.
    pub(crate) async fn connect(chat: &Chat, identity: Identity) -> Self {
        Self::resume(chat, identity, Resume::new(), Follower::default()).await
    }

    /// Connects a device that has something already, and waits until it is live.
    pub(crate) async fn resume(
        chat: &Chat,
        identity: Identity,
        resume: Resume,
        follower: Follower,
    ) -> Self {
        let subscription = chat.as_user(identity).subscribe(resume).await.unwrap();
        let mut device = Self { subscription, follower, heard: Vec::new() };
        device.until(|event| event["type"] == "resumed").await;
        device
    }

    /// Comes back with what it has.
    pub(crate) async fn reconnect(self, chat: &Chat, identity: Identity) -> Self {
        let follower = self.leave();
        let resume = Resume::from_known(chat.epoch(), follower.known());
        Self::resume(chat, identity, resume, follower).await
    }

    /// Disconnects, keeping what it has.
    pub(crate) fn leave(self) -> Follower {
        self.follower
    }

    pub(crate) async fn next(&mut self) -> Result<Value, CloseReason> {
        let next = tokio::time::timeout(PATIENCE, self.subscription.next());
        let event: Arc<Event> = next.await.expect("an event in time")?;
        let json = serde_json::to_value(&*event).unwrap();
        self.follower.apply(&json);
        self.heard.push(json.clone());
        Ok(json)
    }

    /// The first event from here on for which the condition holds.
    pub(crate) async fn until(&mut self, mut condition: impl FnMut(&Value) -> bool) -> Value {
        loop {
            let event = self.next().await.expect("the connection stays");
            if condition(&event) {
                return event;
            }
        }
    }

    /// Waits for a message with this text, by whatever event it comes.
    pub(crate) async fn until_body(&mut self, id: ConversationId, body: &str) {
        while !self.follower.bodies(id).iter().any(|have| have == body) {
            self.next().await.expect("the connection stays");
        }
    }

    /// Waits for an event of this type.
    pub(crate) async fn until_type(&mut self, kind: &str) -> Value {
        self.until(|event| event["type"] == kind).await
    }

    /// Why the connection closes, after whatever still comes.
    pub(crate) async fn until_closed(&mut self) -> CloseReason {
        loop {
            if let Err(reason) = self.next().await {
                return reason;
            }
        }
    }

    /// Asserts that nothing for which the condition holds comes before `mark` does.
    pub(crate) async fn none_before(
        &mut self,
        unwanted: impl Fn(&Value) -> bool,
        mark: impl Fn(&Value) -> bool,
    ) {
        loop {
            let event = self.next().await.expect("the connection stays");
            assert!(!unwanted(&event), "must not be heard: {event}");
            if mark(&event) {
                return;
            }
        }
    }
}
