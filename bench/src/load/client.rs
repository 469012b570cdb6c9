//! One client, of parlor's native protocol or of Socket.IO.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use futures::{SinkExt, StreamExt};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Message, Utf8Bytes, client::IntoClientRequest, protocol::WebSocketConfig},
};

use super::Body;
use crate::{Result, systems::PATH};

/// What a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Dialect {
    /// parlor's own protocol.
    Native,
    /// Socket.IO 4 over Engine.IO 4, over WebSocket alone.
    SocketIo,
    /// Any frame is an order to deliver.
    Floor,
}

/// A frame from the server.
pub(crate) enum Incoming {
    /// The answer to the request of this number.
    Answer(u64, Utf8Bytes),
    Event(Utf8Bytes),
}

/// What a client asks for.
pub(crate) enum Ask<'a> {
    Send { conversation: &'a str, body: Body },
    History { conversation: &'a str, before: Option<u64>, limit: usize },
    Conversations { limit: usize },
}

/// What a device of the native protocol has of a conversation.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Known {
    pub(crate) conversation_id: String,
    pub(crate) rev: u64,
    pub(crate) member_rev: u64,
}

/// A connected, authenticated client.
pub(crate) struct Client {
    dialect: Dialect,
    socket: WebSocketStream<TcpStream>,
}

impl Client {
    /// Connects from the loopback address 127.0.0.`from`, shows a token, and waits until everything is live.
    pub(crate) async fn connect(
        dialect: Dialect,
        server: SocketAddr,
        from: u8,
        token: &str,
    ) -> Result<Self> {
        let mut client = Self::open(dialect, server, from).await?;
        match dialect {
            Dialect::Native => {
                client.resume(token, &[]).await?;
                client.until(r#"{"type":"resumed""#).await?;
            }
            Dialect::SocketIo => {
                client.until("0").await?;
                client.write(format!("40{}", json!({ "token": token }))).await?;
                client.until(r#"42["connected""#).await?;
            }
            Dialect::Floor => {}
        }
        Ok(client)
    }

    /// Opens the WebSocket alone.
    pub(crate) async fn open(dialect: Dialect, server: SocketAddr, from: u8) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, from)), 0))?;
        let stream = socket.connect(server).await?;
        stream.set_nodelay(true)?;
        let url = match dialect {
            Dialect::Native => format!("ws://{server}{PATH}/ws"),
            Dialect::SocketIo => format!("ws://{server}/socket.io/?EIO=4&transport=websocket"),
            Dialect::Floor => format!("ws://{server}/"),
        };
        let config = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(4096);
        let request = url.into_client_request()?;
        let (socket, _) = client_async_with_config(request, stream, Some(config)).await?;
        Ok(Self { dialect, socket })
    }

    /// What stands before the text of a message.
    pub(crate) fn mark(&self) -> &'static str {
        match self.dialect {
            Dialect::Native | Dialect::Floor => r#""body":""#,
            Dialect::SocketIo => r#""content":""#,
        }
    }

    /// Says who it is and what it has, in the native protocol: in one write, as the protocol advises.
    pub(crate) async fn resume(&mut self, token: &str, known: &[Known]) -> Result<()> {
        let authenticate = json!({ "type": "authenticate", "token": token });
        self.socket.feed(Message::text(authenticate.to_string())).await?;
        self.write(json!({ "type": "resume", "known": known }).to_string()).await
    }

    /// Asks, without waiting for the answer. What is asked goes out with [`Self::flush`].
    pub(crate) async fn ask(&mut self, id: u64, ask: Ask<'_>) -> Result<()> {
        let text = match self.dialect {
            Dialect::SocketIo => socket_io(id, ask),
            Dialect::Native | Dialect::Floor => native(id, ask),
        };
        Ok(self.socket.feed(Message::text(text)).await?)
    }

    /// Writes out what was asked.
    pub(crate) async fn flush(&mut self) -> Result<()> {
        Ok(self.socket.flush().await?)
    }

    /// The next answer or event. A refusal is an error: no load here asks for what it may not have. Cancel-safe but
    /// for the answer to a heartbeat.
    pub(crate) async fn next(&mut self) -> Result<Incoming> {
        loop {
            let text = match self.socket.next().await {
                Some(Ok(Message::Text(text))) => text,
                // The library answers pings by itself.
                Some(Ok(Message::Close(frame))) => return Err(format!("closed: {frame:?}").into()),
                Some(Ok(_)) => continue,
                Some(Err(error)) => return Err(error.into()),
                None => return Err("the connection ended".into()),
            };
            match self.dialect {
                Dialect::Floor => return Ok(Incoming::Event(text)),
                Dialect::Native => return read_native(text),
                Dialect::SocketIo if text == "2" => self.write("3".to_owned()).await?,
                Dialect::SocketIo => return read_socket_io(text),
            }
        }
    }

    /// Waits for a frame that begins so.
    async fn until(&mut self, start: &str) -> Result<()> {
        loop {
            match self.next().await? {
                Incoming::Event(text) if text.starts_with(start) => return Ok(()),
                _ => {}
            }
        }
    }

    async fn write(&mut self, text: String) -> Result<()> {
        Ok(self.socket.send(Message::text(text)).await?)
    }
}

fn native(id: u64, ask: Ask<'_>) -> String {
    match ask {
        Ask::Send { conversation, body } => format!(
            r#"{{"type":"send","id":{id},"conversation_id":"{conversation}","client_id":"{}-{}","body":"{}"}}"#,
            body.sender,
            body.number,
            body.text()
        ),
        Ask::History { conversation, before: Some(before), limit } => format!(
            r#"{{"type":"history","id":{id},"conversation_id":"{conversation}","before":{before},"limit":{limit}}}"#
        ),
        Ask::History { conversation, before: None, limit } => format!(
            r#"{{"type":"history","id":{id},"conversation_id":"{conversation}","limit":{limit}}}"#
        ),
        Ask::Conversations { limit } => {
            format!(r#"{{"type":"list_conversations","id":{id},"limit":{limit}}}"#)
        }
    }
}

fn socket_io(id: u64, ask: Ask<'_>) -> String {
    match ask {
        Ask::Send { conversation, body } => format!(
            r#"42{id}["sendMessage",{{"conversationId":"{conversation}","content":"{}"}}]"#,
            body.text()
        ),
        Ask::History { conversation, before: Some(before), limit } => format!(
            r#"42{id}["getMessages",{{"conversationId":"{conversation}","before":{before},"limit":{limit}}}]"#
        ),
        Ask::History { conversation, before: None, limit } => format!(
            r#"42{id}["getMessages",{{"conversationId":"{conversation}","limit":{limit}}}]"#
        ),
        Ask::Conversations { limit } => {
            format!(r#"42{id}["getConversations",{{"limit":{limit}}}]"#)
        }
    }
}

fn read_native(text: Utf8Bytes) -> Result<Incoming> {
    if let Some(rest) = text.strip_prefix(r#"{"type":"ok","id":"#) {
        let id = number(rest).ok_or("an answer to nothing")?;
        return Ok(Incoming::Answer(id, text));
    }
    if text.starts_with(r#"{"type":"error""#) {
        return Err(text.as_str().into());
    }
    Ok(Incoming::Event(text))
}

fn read_socket_io(text: Utf8Bytes) -> Result<Incoming> {
    if let Some(rest) = text.strip_prefix("43") {
        let id = number(rest).ok_or("an answer to nothing")?;
        if text.contains(r#"[{"error""#) {
            return Err(text.as_str().into());
        }
        return Ok(Incoming::Answer(id, text));
    }
    // NestJS tells refusals by an event.
    let refused = [r#"42["exception""#, "44", "41", "1"];
    if refused.iter().any(|start| text.starts_with(start)) {
        return Err(text.as_str().into());
    }
    Ok(Incoming::Event(text))
}

/// The number at the beginning.
fn number(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}
