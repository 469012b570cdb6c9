//! A Socket.IO contract of a host's own: a help desk whose front end has its own words.
//!
//! ```text
//! cargo run --example custom_contract
//! ```
//!
//! Port 3100. Customers `ask`, the desk `answer`s, both hear `line`; `GET /desk/lines?with=USER` is the history.
//! A token comes from `curl -X POST 'http://127.0.0.1:3100/dev/login?sub=ann'`, the desk's from `?sub=desk`.

use std::process::ExitCode;

use async_trait::async_trait;
use axum::{Json, Router, extract::Query, routing::get};
use parlor::{
    Error,
    model::{Message, NewMessage, UserId},
    socketio::{
        Client, Contract, Emit, Handshake, Incoming, Told, history,
        rest::{Asker, Failure, Rest},
    },
    traits::Credentials,
};
use serde::Deserialize;
use serde_json::{Value, json};

#[path = "contract/mod.rs"]
mod contract;

#[tokio::main]
async fn main() -> ExitCode {
    contract::serve(HelpDesk, 3100).await
}

/// The words of the help desk's front end.
#[derive(Debug)]
struct HelpDesk;

#[derive(Deserialize)]
struct Ask {
    text: String,
}

#[derive(Deserialize)]
struct Answer {
    customer: UserId,
    text: String,
}

#[async_trait]
impl Contract for HelpDesk {
    fn name(&self) -> &'static str {
        "custom_contract"
    }

    fn namespace(&self) -> &'static str {
        "/desk"
    }

    // This front end shows its token as `auth.ticket`.
    fn credentials(&self, handshake: &Handshake<'_>) -> Credentials {
        match handshake.auth().get("ticket").and_then(Value::as_str) {
            Some(ticket) => Credentials::token(ticket),
            None => handshake.credentials(),
        }
    }

    async fn received(&self, client: &Client, event: Incoming) -> Result<Value, Error> {
        let (other, text) = match event.name() {
            "ask" => (desk(), event.read::<Ask>()?.text),
            "answer" => {
                let Answer { customer, text } = event.read()?;
                (Ok(customer), text)
            }
            _ => return Err(event.unknown()),
        };
        let conversation = client.open_direct(other?).await?;
        let sent = client.send(conversation, NewMessage::text(text)).await?;
        Ok(json!({ "line": sent.seq }))
    }

    fn outgoing(&self, told: &Told<'_>) -> Vec<Emit> {
        match told {
            Told::Sent { message, .. } => vec![Emit::new("line", line(message))],
            Told::Online { user_id } => vec![Emit::new("here", json!(user_id))],
            Told::Offline { user_id } => vec![Emit::new("gone", json!(user_id))],
            _ => Vec::new(),
        }
    }

    fn routes(&self, rest: Rest) -> Router {
        Router::new().route("/desk/lines", get(lines)).with_state(rest)
    }
}

fn desk() -> Result<UserId, Error> {
    Ok(UserId::new("desk")?)
}

fn line(message: &Message) -> Value {
    json!({ "from": message.sender_id, "text": message.body, "line": message.seq, "at": message.created_at })
}

#[derive(Deserialize)]
struct With {
    with: UserId,
}

async fn lines(
    asker: Asker,
    Query(With { with: other }): Query<With>,
) -> Result<Json<Value>, Failure> {
    let conversation = asker.caller.open_direct(other).await?.conversation;
    let messages = history::newest(&asker.caller, conversation.id, None, None).await?;
    Ok(Json(messages.iter().map(line).collect()))
}
