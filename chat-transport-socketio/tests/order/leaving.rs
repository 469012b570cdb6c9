//! What a client sent before it went is carried out, whatever happens as it goes.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use parlor_core::{
    Chat, Error,
    model::{ConversationId, Identity, NewMessage},
};
use parlor_transport_socketio::{Client, Contract, Emit, Incoming, Told};
use serde_json::{Value, json};

use crate::support::{Raw, chat, eventually, pair, serve_contract, user};

const ROUNDS: usize = 20;
const EVENTS: usize = 10;

/// Holds the first event until the client is gone and there is something to tell it; counts the others.
#[derive(Debug)]
struct Held {
    chat: Chat,
    carried_out: Arc<AtomicUsize>,
}

#[async_trait]
impl Contract for Held {
    fn name(&self) -> &'static str {
        "held"
    }

    async fn received(&self, client: &Client, event: Incoming) -> Result<Value, Error> {
        let (number, conversation): (usize, ConversationId) = event.read()?;
        if number == 0 {
            let _held = client.hold_back().await;
            let bob = self.chat.as_user(Identity::new(user("bob")));
            bob.send(conversation, NewMessage::text("are you there?")).await?;
            while !client.is_closed() {
                tokio::task::yield_now().await;
            }
        }
        self.carried_out.fetch_add(1, Ordering::SeqCst);
        Ok(Value::Null)
    }

    fn outgoing(&self, told: &Told<'_>) -> Vec<Emit> {
        match told {
            Told::Sent { message, .. } => vec![Emit::new("message", json!(message.body))],
            _ => Vec::new(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_carried_out_also_when_the_client_can_be_told_nothing_any_more() {
    let chat = chat().await;
    let id = pair(&chat, "ann", "bob").await;
    let carried_out = Arc::new(AtomicUsize::new(0));
    let held = Held { chat: chat.clone(), carried_out: Arc::clone(&carried_out) };
    let at = serve_contract(&chat, held).await;
    for round in 1..=ROUNDS {
        let mut ann = Raw::connect(at, "ann").await;
        for number in 0..EVENTS {
            ann.emit("event", json!([number, id])).await;
        }
        ann.send("41").await;
        eventually(|| chat.connections() == 0).await;
        assert_eq!(carried_out.load(Ordering::SeqCst), round * EVENTS);
    }
}
