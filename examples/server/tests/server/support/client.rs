use std::net::SocketAddr;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};

use super::PATIENCE;

/// A client as browsers are: the token comes in the first frame.
pub(crate) struct Client {
    socket: WebSocketStream<TcpStream>,
    last_id: u64,
}

impl Client {
    /// Connects and waits until it is live.
    pub(crate) async fn live(address: SocketAddr, token: &str) -> Self {
        let mut client = Self::connect(address, token).await.expect("a welcome");
        client.send(json!({"type": "resume", "known": []})).await;
        client.until("resumed").await;
        client
    }

    /// Connects; else the code with which the server closes.
    pub(crate) async fn connect(address: SocketAddr, token: &str) -> Result<Self, u16> {
        let tcp = TcpStream::connect(address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let mut request = format!("ws://{address}/chat/ws").into_client_request().unwrap();
        let offered = HeaderValue::from_static("parlor.v1");
        request.headers_mut().insert("sec-websocket-protocol", offered);
        let (socket, _) = client_async(request, tcp).await.unwrap();
        let mut client = Self { socket, last_id: 0 };
        client.send(json!({"type": "authenticate", "token": token})).await;
        loop {
            if client.next().await?["type"] == "welcome" {
                return Ok(client);
            }
        }
    }

    /// Connects if there is room.
    pub(crate) async fn connect_or_not(address: SocketAddr, token: &str) -> Option<Self> {
        let tcp = TcpStream::connect(address).await.ok()?;
        let mut request = format!("ws://{address}/chat/ws").into_client_request().unwrap();
        let bearer = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
        request.headers_mut().insert("authorization", bearer);
        let (socket, _) = client_async(request, tcp).await.ok()?;
        Some(Self { socket, last_id: 0 })
    }

    pub(crate) async fn send(&mut self, frame: Value) {
        self.socket.send(Message::text(frame.to_string())).await.unwrap();
    }

    /// The next frame, else the code with which the server closed; 1006 without one.
    pub(crate) async fn next(&mut self) -> Result<Value, u16> {
        let frame = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Text(text))) => {
                        return Ok(serde_json::from_str(&text).unwrap());
                    }
                    Some(Ok(Message::Close(frame))) => {
                        return Err(frame.map_or(1005, |frame| frame.code.into()));
                    }
                    // A ping is no frame of the protocol.
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Err(1006),
                }
            }
        };
        timeout(PATIENCE, frame).await.expect("a frame in time")
    }

    /// The next frame of this type; others are skipped.
    pub(crate) async fn until(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.next().await.expect("the connection stays");
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// The result of a frame that must succeed.
    pub(crate) async fn ask(&mut self, mut frame: Value) -> Value {
        self.last_id += 1;
        frame["id"] = self.last_id.into();
        self.send(frame.clone()).await;
        loop {
            let answer = self.next().await.expect("the connection stays");
            if answer["id"] == frame["id"] {
                assert_eq!(answer["type"], "ok", "{answer}");
                return answer["result"].clone();
            }
        }
    }

    /// The conversation with somebody.
    pub(crate) async fn direct(&mut self, user: &str) -> Value {
        let opened = self.ask(json!({"type": "open_direct", "user_id": user})).await;
        opened["conversation"]["id"].clone()
    }

    /// Sends a text and waits for its commit.
    pub(crate) async fn say(&mut self, conversation: &Value, text: &str) -> Value {
        let key = format!("{text}-{}", self.last_id);
        self.ask(json!({
            "type": "send", "conversation_id": conversation, "client_id": key, "body": text
        }))
        .await
    }

    /// Waits for a message with this text; others are skipped, also one's own.
    pub(crate) async fn hear(&mut self, text: &str) {
        while self.until("message.sent").await["message"]["body"] != text {}
    }

    /// The code with which the server closes, after whatever still comes.
    pub(crate) async fn closed(&mut self) -> u16 {
        loop {
            if let Err(code) = self.next().await {
                return code;
            }
        }
    }
}
