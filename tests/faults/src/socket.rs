//! One connection of a client.

use std::{net::SocketAddr, time::Duration};

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Message, Utf8Bytes, client::IntoClientRequest, protocol::WebSocketConfig},
};

/// A connection is open, or its user welcome, within this time, or another node is tried.
const CONNECTING: Duration = Duration::from_secs(4);
/// The server takes what is written within this time, or the connection counts as broken.
const WRITING: Duration = Duration::from_secs(4);

/// Why a connection is of no use any more.
pub(crate) type Broken = String;

/// A connection on which the user is welcome.
pub(crate) struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// Connects and shows a token in the first frame, as browsers do.
    pub(crate) async fn connect(node: SocketAddr, token: &str) -> Result<Self, Broken> {
        timeout(CONNECTING, Self::open(node, token))
            .await
            .unwrap_or_else(|_| Err("no welcome in time".to_owned()))
    }

    async fn open(node: SocketAddr, token: &str) -> Result<Self, Broken> {
        let stream = TcpStream::connect(node).await.map_err(|error| error.kind().to_string())?;
        stream.set_nodelay(true).map_err(text)?;
        let request = format!("ws://{node}/chat/ws").into_client_request().map_err(text)?;
        let config = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(0);
        let (socket, _) =
            client_async_with_config(request, stream, Some(config)).await.map_err(text)?;
        let mut socket = Self(socket);
        socket.send(&json!({"type": "authenticate", "token": token})).await?;
        let answer = socket.next().await?;
        if answer.contains(r#""type":"welcome""#) {
            return Ok(socket);
        }
        Err(format!("not welcome: {answer}"))
    }

    /// Sends a frame.
    pub(crate) async fn send(&mut self, frame: &Value) -> Result<(), Broken> {
        timeout(WRITING, self.0.send(Message::text(frame.to_string())))
            .await
            .map_err(|_| "the server reads nothing".to_owned())?
            .map_err(text)
    }

    /// The next frame. Cancelled, it loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Utf8Bytes, Broken> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text),
                Some(Ok(Message::Close(frame))) => {
                    let code = frame.map_or(1005, |frame| frame.code.into());
                    return Err(format!("closed by the server with {code}"));
                }
                // The library answers pings by itself.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(text(error)),
                None => return Err("the connection ended".to_owned()),
            }
        }
    }
}

fn text(error: impl std::fmt::Display) -> Broken {
    error.to_string()
}
