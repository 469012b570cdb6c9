//! One client of the native protocol.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use futures::{SinkExt, StreamExt, stream::SplitSink, stream::SplitStream};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Message, Utf8Bytes, client::IntoClientRequest, protocol::WebSocketConfig},
};

use crate::{Result, server};

type Stream = WebSocketStream<TcpStream>;

/// The sending half.
pub(crate) type Writer = SplitSink<Stream, Message>;

/// A connected, authenticated, resumed client.
pub(crate) struct Client {
    socket: Stream,
}

/// The head of a frame from the server.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(rename = "type", borrow)]
    kind: std::borrow::Cow<'a, str>,
}

impl Client {
    /// Connects from a loopback address of its own (`from` counts them), shows a token in the first
    /// frame, resumes with nothing, and waits until everything is live.
    pub(crate) async fn connect(server: SocketAddr, from: u8, token: &str) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, from)), 0))?;
        let stream = socket.connect(server).await?;
        stream.set_nodelay(true)?;
        let request = format!("ws://{server}{}/ws", server::PATH).into_client_request()?;
        let config = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(0);
        let (socket, _) = client_async_with_config(request, stream, Some(config)).await?;
        let mut client = Self { socket };
        client.send(&json!({ "type": "authenticate", "token": token })).await?;
        client.until("welcome").await?;
        client.send(&json!({ "type": "resume", "known": [] })).await?;
        client.until("resumed").await?;
        Ok(client)
    }

    async fn send(&mut self, frame: &Value) -> Result<()> {
        Ok(self.socket.send(Message::text(frame.to_string())).await?)
    }

    async fn until(&mut self, kind: &str) -> Result<()> {
        loop {
            let text = next(&mut self.socket).await?;
            let head: Head<'_> = serde_json::from_str(&text)?;
            if head.kind == kind {
                return Ok(());
            }
            if head.kind == "error" {
                return Err(text.as_str().into());
            }
        }
    }

    /// Answers pings until the connection ends, which it must not.
    pub(crate) async fn idle(mut self) -> Result<()> {
        loop {
            next(&mut self.socket).await?;
        }
    }

    /// Parts it in its two directions.
    pub(crate) fn split(self) -> (Writer, Reader) {
        let (writer, reader) = self.socket.split();
        (writer, Reader(reader))
    }
}

/// The receiving half.
pub(crate) struct Reader(SplitStream<Stream>);

impl Reader {
    /// The next text.
    pub(crate) async fn next(&mut self) -> Result<Utf8Bytes> {
        next(&mut self.0).await
    }
}

async fn next<S>(socket: &mut S) -> Result<Utf8Bytes>
where
    S: StreamExt<Item = std::result::Result<Message, tokio_tungstenite::tungstenite::Error>>
        + Unpin,
{
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => return Ok(text),
            // The library answers pings by itself.
            Some(Ok(Message::Close(frame))) => return Err(format!("closed: {frame:?}").into()),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error.into()),
            None => return Err("the connection ended".into()),
        }
    }
}
