//! What was told to a socket counts as delivered, once it has been written.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parlor_core::{
    command::{AtSeq, Command},
    event::Event,
    model::{ConversationId, UserId},
};
use tokio::time::timeout;

use crate::{client::Client, link::Link, repeats::sent};

/// Under a stream of events there may never be a moment at which all is written.
const WRITTEN: Duration = Duration::from_secs(2);

/// How far a socket was told, by conversation.
#[derive(Debug, Default)]
pub(crate) struct Delivered(HashMap<ConversationId, u64>);

impl Delivered {
    /// Notes the messages of an event that was told. One's own need no delivery.
    pub(crate) fn note(&mut self, event: &Event, me: &UserId) {
        for message in sent(event).iter().filter(|message| message.sender_id.as_ref() != Some(me)) {
            let through = self.0.entry(message.conversation_id).or_default();
            *through = message.seq.max(*through);
        }
    }

    /// Marks what was noted as delivered, in a task of its own. What a connection takes with it as it
    /// breaks stays undelivered.
    pub(crate) fn mark(&mut self, client: &Arc<Client>) {
        if self.0.is_empty() {
            return;
        }
        let (noted, client) = (std::mem::take(&mut self.0), Arc::clone(client));
        tokio::spawn(async move {
            let written = client.link.until(|link| link.is_flushed() || link.is_closed());
            let _ = timeout(WRITTEN, written).await;
            if client.link.is_closed() && !Link::is_flushed(&client.link) {
                return;
            }
            for (conversation_id, seq) in noted {
                let mark = Command::MarkDelivered(AtSeq { conversation_id, seq });
                if let Err(error) = client.caller().dispatch(mark).await {
                    tracing::debug!(%error, "a message cannot be marked as delivered");
                }
            }
        });
    }
}
