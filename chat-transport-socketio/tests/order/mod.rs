//! What a socket is told of conversations that it did not know, or was kept from: everything, once, in order.

mod leaving;
mod slow;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use async_trait::async_trait;
use parlor_core::{
    BackendError, Chat, Error,
    backends::MemoryStore,
    model::{ConversationId, Identity, NewGroup, NewMessage, UserId},
    traits::{AccessPolicy, Action, Quota, Verdict},
};
use parlor_transport_socketio::{Client, Contract, Emit, Incoming, Told, contracts::Connections};
use serde_json::{Value, json};

use crate::support::{Medium, Raw, Tokens, eventually, pair, serve_contract, user};

/// Lets bob receive, or not.
#[derive(Debug, Default)]
struct Tap(AtomicBool);

#[async_trait]
impl AccessPolicy for Tap {
    async fn check(&self, _: &Identity, _: &Action) -> Result<Verdict, BackendError> {
        Ok(Verdict::Allow)
    }

    async fn may_receive(
        &self,
        who: &UserId,
        conversations: &[ConversationId],
    ) -> Result<Vec<bool>, BackendError> {
        let open = self.0.load(Ordering::SeqCst) || who.as_str() != "bob";
        Ok(vec![open; conversations.len()])
    }
}

async fn chat_with(policy: Arc<Tap>) -> Chat {
    let builder = Chat::builder(Arc::new(MemoryStore::new()))
        .policy(policy)
        .authenticator(Arc::new(Tokens))
        .configure(|config| {
            config.sends = Quota::new(100_000, 100_000);
            config.commands = Quota::new(100_000, 100_000);
        });
    builder.build().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_while_nothing_was_told_comes_before_what_follows_and_nothing_twice() {
    let tap = Arc::new(Tap::default());
    let chat = chat_with(Arc::clone(&tap)).await;
    let id = pair(&chat, "ann", "bob").await;
    let ann = chat.as_user(Identity::new(user("ann")));
    ann.send(id, NewMessage::text("before bob connected")).await.unwrap();
    let mut bob = Raw::connect(serve_contract(&chat, Connections).await, "bob").await;
    let mut sent = 0;
    let send = async |sent: &mut u32| {
        ann.send(id, NewMessage::text(sent.to_string())).await.unwrap();
        *sent += 1;
    };
    for _ in 0..250 {
        send(&mut sent).await;
    }
    tap.0.store(true, Ordering::SeqCst);
    chat.recheck_access(id);
    let mut heard = vec![bob.event("message").await["content"].clone()];
    for _ in 0..5 {
        send(&mut sent).await;
    }
    let last = json!((sent - 1).to_string());
    while heard.last() != Some(&last) {
        heard.push(bob.event("message").await["content"].clone());
    }
    assert_eq!(heard, (0..sent).map(|at| json!(at.to_string())).collect::<Vec<_>>());

    // Kept from it once more, and let in again: what was told already is not told again.
    tap.0.store(false, Ordering::SeqCst);
    chat.recheck_access(id);
    heard.clear();
    let first = sent;
    loop {
        send(&mut sent).await;
        let told = bob.told_by_now("message").await;
        if told.is_empty() {
            break;
        }
        heard.extend(told.into_iter().map(|message| message["content"].clone()));
    }
    tap.0.store(true, Ordering::SeqCst);
    chat.recheck_access(id);
    let last = json!((sent - 1).to_string());
    while heard.last() != Some(&last) {
        heard.push(bob.event("message").await["content"].clone());
    }
    assert_eq!(heard, (first..sent).map(|at| json!(at.to_string())).collect::<Vec<_>>());
}

/// Tells messages to everybody, and counts how often it is asked to write one.
#[derive(Debug, Default)]
struct Counting {
    written: Arc<AtomicUsize>,
}

#[async_trait]
impl Contract for Counting {
    fn name(&self) -> &'static str {
        "counting"
    }

    async fn received(&self, _: &Client, event: Incoming) -> Result<Value, Error> {
        Err(event.unknown())
    }

    fn outgoing(&self, told: &Told<'_>) -> Vec<Emit> {
        match told {
            Told::Sent { message, .. } => {
                self.written.fetch_add(1, Ordering::SeqCst);
                vec![Emit::new("message", json!(message.body))]
            }
            _ => Vec::new(),
        }
    }

    fn shows_profiles(&self) -> bool {
        true
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_to_be_looked_up_is_looked_up_and_written_once_for_all_sockets() {
    let medium = Medium::new();
    let [near, far] = [medium.node().await, medium.node().await];
    let ann = near.as_user(Identity::new(user("ann")));
    let users: Vec<UserId> = (0..30).map(|at| user(&format!("user-{at}"))).collect();
    let group = ann.create_group(NewGroup::new("all", users.clone())).await.unwrap();
    let contract = Counting::default();
    let written = Arc::clone(&contract.written);
    let at = serve_contract(&far, contract).await;
    let mut sockets = Vec::new();
    for user in &users {
        sockets.push(Raw::connect(at, user.as_str()).await);
    }
    eventually(|| far.connections() == users.len()).await;
    for (round, text) in ["one", "two"].into_iter().enumerate() {
        ann.send(group.conversation.id, NewMessage::text(text)).await.unwrap();
        for socket in &mut sockets {
            assert_eq!(socket.event("message").await, text);
        }
        assert_eq!(written.load(Ordering::SeqCst), round + 1);
    }
}
