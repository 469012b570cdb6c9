//! Messages from user to user, without conversations to choose: numeric message ids, names in every message.

use async_trait::async_trait;
use parlor_core::{
    Error,
    model::{Draft, Message, NewMessage, UserId},
    store::MessageRef,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::renamed;
use crate::{
    Client, Contract, Emit, Incoming, Place, Refusal, Told, TurnAway,
    history::{self, text_of},
    names::name_of,
    numbers::Number,
};

/// Messages from user to user: `send_message`, `receive_message`, `get_messages`, `messages_list`.
///
/// The conversation of two is made with their first message. Message ids are numbers. Names come from the
/// directory, else from the message where the host keeps them ([`KeepNames`](crate::names::KeepNames)), else the
/// user's id stands for the name. Of groups these clients are told nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct DirectMessages;

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
            "send_message" => send(client, &event).await,
            "get_messages" => list(client, &event).await,
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

async fn send(client: &Client, event: &Incoming) -> Result<Value, Error> {
    let SendMessage { receiver_id, content } = event.read()?;
    let message = NewMessage::text(content);
    // Nothing is made for a message that cannot be sent.
    Draft::check(message.clone(), false, client.chat().limits())?;
    let conversation = client.open_direct(receiver_id).await?;
    let sent = client.send(conversation, message).await?;
    Ok(json!({ "success": true, "messageId": sent.number }))
}

async fn list(client: &Client, event: &Incoming) -> Result<Value, Error> {
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
