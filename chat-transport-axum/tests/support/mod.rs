//! A server in the test's own process, and a client that can also misbehave.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::Router;
use parlor_core::{
    Chat, Error,
    backends::MemoryStore,
    model::{Identity, UserId},
    traits::{Authenticator, Credentials, Quota},
};
use parlor_transport_axum::Transport;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    time::timeout,
};

/// Nothing in these tests takes as long.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

/// The token `ann` is ann's; `ann 500` is hers for 500 ms; a cookie `session=ann` does as well.
#[derive(Debug)]
struct Tokens;

#[async_trait]
impl Authenticator for Tokens {
    async fn authenticate(&self, credentials: &Credentials) -> Result<Identity, Error> {
        let cookie =
            credentials.header("cookie").and_then(|cookie| cookie.strip_prefix("session="));
        let token = credentials.token.as_deref().or(cookie).ok_or(Error::Unauthenticated)?;
        let (name, life) =
            token.split_once(' ').map_or((token, None), |(name, life)| (name, Some(life)));
        if !matches!(name, "ann" | "bob" | "cid") {
            return Err(Error::Unauthenticated);
        }
        let identity = Identity::new(user(name));
        Ok(match life {
            Some(millis) => {
                let life = Duration::from_millis(millis.parse().unwrap());
                let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
                let end = i64::try_from((now + life).as_millis()).unwrap();
                identity.with_expiry(parlor_core::Timestamp::from_millis(end))
            }
            None => identity,
        })
    }
}

/// An engine in memory, with quotas that are in nobody's way.
pub(crate) async fn chat() -> Chat {
    chat_with(|_| {}).await
}

pub(crate) async fn chat_with(change: impl FnOnce(&mut parlor_core::Config)) -> Chat {
    Chat::builder(Arc::new(MemoryStore::new()))
        .authenticator(Arc::new(Tokens))
        .configure(|config| {
            let plenty = Quota::new(100_000, 100_000);
            (config.sends, config.commands, config.connects) = (plenty, plenty, plenty);
            change(config);
        })
        .build()
        .await
        .unwrap()
}

/// Serves a router on a port of its own until the test ends.
pub(crate) async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

/// Serves an engine under `/chat`.
pub(crate) async fn start(transport: Transport) -> SocketAddr {
    serve(Router::new().nest("/chat", transport.router())).await
}

/// A frame as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.opcode, 1, "{self:?}");
        serde_json::from_slice(&self.payload).unwrap()
    }

    pub(crate) fn close_code(&self) -> u16 {
        assert_eq!(self.opcode, 8, "{}", String::from_utf8_lossy(&self.payload));
        // A close without a code is read as 1005 (RFC 6455, section 7.1.5).
        self.payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code))
    }
}

/// A client that writes frames byte by byte as the test wants them.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) tcp: TcpStream,
}

/// The head of an HTTP answer.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Client {
    /// Asks for the upgrade with further header lines, and returns what was answered.
    pub(crate) async fn upgrade(address: SocketAddr, headers: &[&str]) -> (Self, Head) {
        Self::upgrade_on(TcpStream::connect(address).await.unwrap(), headers).await
    }

    async fn upgrade_on(mut tcp: TcpStream, headers: &[&str]) -> (Self, Head) {
        let address = tcp.peer_addr().unwrap();
        let mut request = format!(
            "GET /chat/ws HTTP/1.1\r\nHost: {address}\r\nConnection: keep-alive, Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        );
        for header in headers {
            request.push_str(header);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        tcp.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = timeout(PATIENCE, tcp.read_u8()).await.expect("an answer").unwrap();
            head.push(byte);
        }
        let text = String::from_utf8(head).unwrap();
        let status = text.split(' ').nth(1).unwrap().parse().unwrap();
        (Self { tcp }, Head { status, text })
    }

    /// Connects without saying who it is.
    pub(crate) async fn anonymous(address: SocketAddr) -> Self {
        let (client, head) = Self::upgrade(address, &[]).await;
        assert_eq!(head.status, 101, "{}", head.text);
        client
    }

    /// Connects as a user and takes the welcome.
    pub(crate) async fn connect(address: SocketAddr, name: &str) -> Self {
        let bearer = format!("Authorization: Bearer {name}");
        let (mut client, head) = Self::upgrade(address, &[&bearer]).await;
        assert_eq!(head.status, 101, "{}", head.text);
        assert_eq!(client.json().await["type"], "welcome");
        client
    }

    /// The same with a narrow window, so that what the server writes is often cut short.
    pub(crate) async fn narrow(address: SocketAddr, name: &str) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(65_536).unwrap();
        let tcp = socket.connect(address).await.unwrap();
        let bearer = format!("Authorization: Bearer {name}");
        let (mut client, _) = Self::upgrade_on(tcp, &[&bearer]).await;
        assert_eq!(client.json().await["type"], "welcome");
        client.send(&json!({"type": "resume", "known": []})).await;
        client.until("resumed").await;
        client
    }

    /// Connects, resumes with nothing, and takes what comes until everything is live.
    pub(crate) async fn live(address: SocketAddr, name: &str) -> Self {
        let mut client = Self::connect(address, name).await;
        client.send(&json!({"type": "resume", "known": []})).await;
        client.until("resumed").await;
        client
    }

    pub(crate) async fn raw(&mut self, bytes: &[u8]) {
        self.tcp.write_all(bytes).await.unwrap();
    }

    /// Writes a masked frame.
    pub(crate) async fn frame(&mut self, first: u8, payload: &[u8]) {
        self.raw(&frame(first, payload)).await;
    }

    pub(crate) async fn text(&mut self, text: &str) {
        self.frame(0x81, text.as_bytes()).await;
    }

    pub(crate) async fn send(&mut self, frame: &Value) {
        self.text(&frame.to_string()).await;
    }

    /// The next frame; `None` when the connection has ended.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        timeout(PATIENCE, self.read()).await.expect("a frame in time").ok()
    }

    async fn read(&mut self) -> std::io::Result<Frame> {
        let first = self.tcp.read_u8().await?;
        assert_eq!(first & 0xf0, 0x80, "the server does not fragment");
        let length = match self.tcp.read_u8().await? {
            126 => usize::from(self.tcp.read_u16().await?),
            127 => usize::try_from(self.tcp.read_u64().await?).unwrap(),
            length => usize::from(length),
        };
        let mut payload = vec![0; length];
        self.tcp.read_exact(&mut payload).await?;
        Ok(Frame { opcode: first & 0x0f, payload })
    }

    pub(crate) async fn json(&mut self) -> Value {
        self.next().await.expect("a frame").json()
    }

    /// Skips frames until one of this type.
    pub(crate) async fn until(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.json().await;
            assert_ne!(frame["type"], "error", "{frame}");
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// The answer to a frame with an id; events that come before it are skipped.
    pub(crate) async fn ask(&mut self, frame: Value) -> Value {
        self.send(&frame).await;
        loop {
            let answer = self.json().await;
            if answer["id"] == frame["id"] {
                return answer;
            }
        }
    }

    /// The result of a frame that must succeed.
    pub(crate) async fn result(&mut self, mut frame: Value) -> Value {
        frame["id"] = json!("result");
        let answer = self.ask(frame).await;
        assert_eq!(answer["type"], "ok", "{answer}");
        answer["result"].clone()
    }

    /// Makes a group with these members and returns its id.
    pub(crate) async fn group(&mut self, members: &[&str]) -> String {
        let group = json!({"type": "create_group", "title": "Group", "members": members});
        self.result(group).await["conversation"]["id"].as_str().unwrap().to_owned()
    }

    /// The code with which the server closes, whatever it says before; 1006 without a close frame.
    pub(crate) async fn closed(&mut self) -> u16 {
        loop {
            match self.next().await {
                Some(frame) if frame.opcode == 8 => return frame.close_code(),
                Some(_) => {}
                None => return 1006,
            }
        }
    }
}

/// A masked frame.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..=125 => bytes.push(0x80 | u8::try_from(short).unwrap()),
        medium @ 126..=65535 => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(medium).unwrap().to_be_bytes());
        }
        long => {
            bytes.push(0x80 | 127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    let mask = [0x12, 0x34, 0x56, 0x78];
    bytes.extend(mask);
    bytes.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]));
    bytes
}
