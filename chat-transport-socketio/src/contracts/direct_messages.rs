//! Messages from user to user, without conversations to choose: numeric message ids, names in every message.

use async_trait::async_trait;
use parking_lot::Mutex;
use parlor_core::{
    Error,
    model::{ConversationId, Draft, Message, NewMessage, UserId},
    store::MessageRef,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::renamed;
use crate::{
    Client, Contract, Emit, Incoming, Place, Refusal, Told, TurnAway,
    cache::Cache,
    history::{self, text_of},
    names::name_of,
    numbers::Number,
};

/// Conversations whose two people are remembered.
const PAIRS: usize = 20_000;

/// Messages from user to user: `send_message`, `receive_message`, `get_messages`, `messages_list`.
///
/// The conversation of two is made with their first message. Message ids are numbers. Names come from the
/// directory, else from the message where the host keeps them ([`KeepNames`](crate::names::KeepNames)), else the
/// user's id stands for the name. Of groups these clients are told nothing.
#[derive(Debug)]
pub struct DirectMessages {
    pairs: Mutex<Cache<(UserId, UserId), ConversationId>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SendMessage {
    receiver_id: UserId,
    content: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GetMessages {
    other_user_id: UserId,
    #[serde(default)]
    limit: Option<u64>,
    /// The id of a message.
    #[serde(default)]
    before: Option<Number>,
}

impl DirectMessages {
    /// Remembers no pair yet.
    pub fn new() -> Self {
        Self { pairs: Mutex::new(Cache::new(PAIRS)) }
    }

    async fn send(&self, client: &Client, event: &Incoming) -> Result<Value, Error> {
        let SendMessage { receiver_id, content } = event.read()?;
        let message = NewMessage::text(content);
        // Nothing is made for a message that cannot be sent.
        Draft::check(message.clone(), false, client.chat().limits())?;
        let pair = (client.user_id().clone(), receiver_id);
        let known = self.pairs.lock().get(&pair);
        let conversation = match known {
            Some(known) => known,
            None => {
                let opened = client.caller().open_direct(pair.1.clone()).await?;
                self.pairs.lock().insert(pair, opened.conversation.id);
                opened.conversation.id
            }
        };
        let sent = client.send(conversation, message).await?;
        Ok(json!({ "success": true, "messageId": sent.number }))
    }

    async fn list(&self, client: &Client, event: &Incoming) -> Result<Value, Error> {
        let GetMessages { other_user_id, limit, before } = event.read()?;
        let chat = client.chat();
        let list = match chat.locate_direct(client.user_id(), &other_user_id, None).await {
            Ok(id) => {
                let before = match before {
                    Some(Number(number)) => {
                        Some(history::seq_of(chat, id, MessageRef::Number(number)).await?)
                    }
                    None => None,
                };
                let messages = history::newest(client.caller(), id, before, limit).await?;
                let place = client.place(id).await?;
                let shown = messages.iter().filter(|message| !message.is_deleted());
                shown.map(|message| message_value(message, &place)).collect()
            }
            // They have not written to each other yet.
            Err(Error::NotFound) => Value::Array(Vec::new()),
            Err(error) => return Err(error),
        };
        client.emit(Emit::new("messages_list", list.clone())).await;
        Ok(list)
    }
}

impl Default for DirectMessages {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Contract for DirectMessages {
    fn name(&self) -> &'static str {
        "direct_messages"
    }

    fn turn_away(&self) -> TurnAway {
        TurnAway::Disconnect
    }

    async fn received(&self, client: &Client, event: Incoming) -> Result<Value, Error> {
        let answer = match event.name() {
            "send_message" => self.send(client, &event).await,
            "get_messages" => self.list(client, &event).await,
            _ => Err(event.unknown()),
        };
        answer.map_err(|error| renamed(error, &[("body", "content"), ("user_id", "receiverId")]))
    }

    fn outgoing(&self, told: &Told<'_>) -> Vec<Emit> {
        match told {
            Told::Sent { message, place } if place.conversation().direct.is_some() => {
                vec![Emit::new("receive_message", message_value(message, place))]
            }
            _ => Vec::new(),
        }
    }

    fn shows_profiles(&self) -> bool {
        true
    }

    fn refused(&self, event: &Incoming, error: &Error) -> Refusal {
        let message = error.to_string();
        let refusal = Refusal::event(Emit::new("error", json!({ "message": message })));
        match event.name() {
            "send_message" => refusal.with_ack(json!({ "success": false, "message": message })),
            _ => refusal,
        }
    }
}

fn message_value(message: &Message, place: &Place) -> Value {
    let sender = message.sender_id.as_ref();
    let receiver = sender.and_then(|sender| place.peer_of(sender));
    let name = |user: Option<&UserId>| {
        user.map(|user| name_of(user, message, place).unwrap_or_else(|| user.to_string()))
    };
    json!({
        "id": message.number,
        "content": text_of(message),
        "senderId": sender,
        "senderName": name(sender),
        "receiverId": receiver,
        "receiverName": name(receiver),
        "createdAt": message.created_at,
    })
}
