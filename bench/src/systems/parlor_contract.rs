//! The words of the benchmark's Socket.IO clients, for parlor's Socket.IO transport: those of the peers.

use async_trait::async_trait;
use parlor::{
    Error,
    command::ListConversations,
    model::{ConversationId, Message, NewMessage},
    socketio::{Client, Contract, Emit, Incoming, Told, history},
};
use serde::Deserialize;
use serde_json::{Value, json};

/// `sendMessage`, `message`, `getMessages`, `getConversations`, `userOnline`, `userOffline`.
#[derive(Debug)]
pub(super) struct Words;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SendMessage {
    conversation_id: ConversationId,
    content: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GetMessages {
    conversation_id: ConversationId,
    before: Option<u64>,
    limit: Option<u64>,
}

#[derive(Deserialize)]
struct GetConversations {
    limit: Option<u64>,
}

#[async_trait]
impl Contract for Words {
    fn name(&self) -> &'static str {
        "bench"
    }

    async fn connected(&self, client: &Client) -> Result<(), Error> {
        let told = json!({ "userId": client.user_id(), "socketId": client.id() });
        client.emit(Emit::new("connected", told)).await;
        Ok(())
    }

    async fn received(&self, client: &Client, event: Incoming) -> Result<Value, Error> {
        match event.name() {
            "sendMessage" => {
                let SendMessage { conversation_id, content } = event.read()?;
                let sent = client.send(conversation_id, NewMessage::text(content)).await?;
                Ok(json!({ "id": sent.id, "createdAt": sent.created_at }))
            }
            "getMessages" => {
                let GetMessages { conversation_id, before, limit } = event.read()?;
                let caller = client.caller();
                let page = history::newest(caller, conversation_id, before, limit).await?;
                Ok(page.iter().map(message).collect())
            }
            "getConversations" => {
                let GetConversations { limit } = event.read()?;
                let list = ListConversations { limit, ..ListConversations::default() };
                let page = client.caller().conversations(list).await?;
                let entries = page.conversations.iter().map(|entry| {
                    let last = entry.last_message.as_ref().map(message);
                    json!({ "conversationId": entry.conversation.id, "lastMessage": last,
                            "unreadCount": entry.me.unread })
                });
                Ok(entries.collect())
            }
            _ => Err(event.unknown()),
        }
    }

    fn outgoing(&self, told: &Told<'_>) -> Vec<Emit> {
        match told {
            Told::Sent { message: sent, .. } => vec![Emit::new("message", message(sent))],
            Told::Online { user_id } => {
                vec![Emit::new("userOnline", json!({ "userId": user_id }))]
            }
            Told::Offline { user_id } => {
                vec![Emit::new("userOffline", json!({ "userId": user_id }))]
            }
            _ => Vec::new(),
        }
    }
}

fn message(message: &Message) -> Value {
    json!({
        "id": message.id,
        "conversationId": message.conversation_id,
        "senderId": message.sender_id,
        "content": message.body,
        "createdAt": message.created_at,
    })
}
