//! A server in the test's own process, and a client that speaks the protocol by hand.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::Router;
use futures::{SinkExt, StreamExt};
use parlor_core::{
    Chat, Error,
    backends::{MemoryBus, MemoryHub, MemoryPresence, MemoryStore},
    model::{ConversationId, Identity, UserId},
    traits::{Authenticator, Credentials, Quota},
};
use parlor_transport_socketio::{Contract, Transport, contracts::Connections};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

/// Nothing in these tests takes as long.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

/// The token `ann` is ann's; there is nobody called `nobody`.
#[derive(Debug)]
pub(crate) struct Tokens;

#[async_trait]
impl Authenticator for Tokens {
    async fn authenticate(&self, credentials: &Credentials) -> Result<Identity, Error> {
        match credentials.token.as_deref() {
            None | Some("nobody") => Err(Error::Unauthenticated),
            Some(token) => Ok(Identity::new(UserId::new(token)?)),
        }
    }
}

/// What several nodes share.
pub(crate) struct Medium {
    store: Arc<MemoryStore>,
    hub: MemoryHub,
    presence: Arc<MemoryPresence>,
}

impl Medium {
    pub(crate) fn new() -> Self {
        Self {
            store: Arc::new(MemoryStore::new()),
            hub: MemoryBus::hub(),
            presence: Arc::new(MemoryPresence::new(Arc::new(parlor_core::SystemClock))),
        }
    }

    /// Another node, with quotas that are in nobody's way.
    pub(crate) async fn node(&self) -> Chat {
        let builder = Chat::builder(self.store.clone())
            .bus(Arc::new(self.hub.node()))
            .presence(self.presence.clone())
            .authenticator(Arc::new(Tokens))
            .configure(|config| {
                config.sends = Quota::new(100_000, 100_000);
                config.commands = Quota::new(100_000, 100_000);
                config.connects = Quota::new(100_000, 100_000);
                config.offline_grace = Duration::from_millis(100);
            });
        builder.build().await.unwrap()
    }
}

pub(crate) async fn chat() -> Chat {
    Medium::new().node().await
}

/// The direct conversation of two.
pub(crate) async fn pair(chat: &Chat, one: &str, other: &str) -> ConversationId {
    let caller = chat.as_user(Identity::new(user(one)));
    caller.open_direct(user(other)).await.unwrap().conversation.id
}

/// Serves the contract `connections`.
pub(crate) async fn serve(chat: &Chat, set: impl FnOnce(Transport) -> Transport) -> SocketAddr {
    serve_transport(set(Transport::new(chat.clone()).contract(Connections))).await
}

/// Serves another contract.
pub(crate) async fn serve_contract(chat: &Chat, contract: impl Contract) -> SocketAddr {
    serve_transport(Transport::new(chat.clone()).contract(contract)).await
}

async fn serve_transport(transport: Transport) -> SocketAddr {
    serve_router(transport.router()).await
}

/// Serves what a host made of several transports.
pub(crate) async fn serve_router(app: Router) -> SocketAddr {
    serve_router_on(TcpListener::bind("127.0.0.1:0").await.unwrap(), app)
}

/// The same on a listener of the test's own.
pub(crate) fn serve_router_on(listener: TcpListener, app: Router) -> SocketAddr {
    let address = listener.local_addr().unwrap();
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// A WebSocket on which packets are written by hand.
pub(crate) struct Raw(WebSocketStream<TcpStream>, usize);

impl Raw {
    /// Opens an Engine.IO session without naming a namespace.
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self::open_at(address, "/socket.io").await
    }

    async fn open_at(address: SocketAddr, path: &str) -> Self {
        let tcp = TcpSocket::new_v4().unwrap();
        // A client that does not read fills its buffer soon.
        tcp.set_recv_buffer_size(4096).unwrap();
        Self::open_on(tcp.connect(address).await.unwrap(), address, path).await
    }

    async fn open_on(tcp: TcpStream, address: SocketAddr, path: &str) -> Self {
        let url = format!("ws://{address}{path}/?EIO=4&transport=websocket");
        let (socket, _) = client_async(url, tcp).await.unwrap();
        let mut raw = Self(socket, 0);
        assert!(raw.packet().await.unwrap().starts_with("0{"));
        raw
    }

    /// Connects a user.
    pub(crate) async fn connect(address: SocketAddr, user: &str) -> Self {
        Self::connect_at(address, "/socket.io", user).await
    }

    /// Connects a user where Socket.IO is served at another path.
    pub(crate) async fn connect_at(address: SocketAddr, path: &str, user: &str) -> Self {
        Self::open_at(address, path).await.named(user).await
    }

    /// Connects a user whose buffers take at once what is written.
    pub(crate) async fn connect_roomy(address: SocketAddr, user: &str) -> Self {
        Self::connect_on(TcpStream::connect(address).await.unwrap(), user).await
    }

    /// Connects a user over a connection whose buffers the test has chosen.
    pub(crate) async fn connect_on(tcp: TcpStream, user: &str) -> Self {
        let address = tcp.peer_addr().unwrap();
        Self::open_on(tcp, address, "/socket.io").await.named(user).await
    }

    async fn named(mut self, user: &str) -> Self {
        self.enter("", user).await;
        self
    }

    /// Connects a user to a namespace, written as `/chat,`.
    pub(crate) async fn enter(&mut self, namespace: &str, user: &str) {
        self.send(&format!("40{namespace}{}", json!({ "token": user }))).await;
        let answer = self.packet().await.unwrap();
        assert!(answer.starts_with(&format!("40{namespace}{{")), "{answer}");
    }

    pub(crate) async fn send(&mut self, packet: &str) {
        self.0.send(Message::text(packet)).await.unwrap();
    }

    pub(crate) async fn emit(&mut self, event: &str, data: Value) {
        self.send(&format!("42{}", json!([event, data]))).await;
    }

    /// How often the server asked for a sign of life.
    pub(crate) fn pings(&self) -> usize {
        self.1
    }

    /// The next packet; `None` once the connection has ended.
    pub(crate) async fn packet(&mut self) -> Option<String> {
        let next = async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Text(text))) if text.as_str() == "2" => {
                        self.1 += 1;
                        let _ = self.0.send(Message::text("3")).await;
                    }
                    Some(Ok(Message::Text(text))) => return Some(text.to_string()),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                    Some(Ok(_)) => {}
                }
            }
        };
        timeout(PATIENCE, next).await.expect("a packet in time")
    }

    /// The next event of this name.
    pub(crate) async fn event(&mut self, name: &str) -> Value {
        self.event_in("", name).await
    }

    /// The next event of this name in a namespace, written as `/chat,`.
    pub(crate) async fn event_in(&mut self, namespace: &str, name: &str) -> Value {
        let prefix = format!("42{namespace}");
        loop {
            let packet = self.packet().await.expect("an open connection");
            let Some(json) = packet.strip_prefix(&prefix) else { continue };
            let mut event: Vec<Value> = serde_json::from_str(json).unwrap();
            if event[0] == name {
                return event.remove(1);
            }
        }
    }

    /// The events of this name that were told before the server answers what is asked now.
    pub(crate) async fn told_by_now(&mut self, name: &str) -> Vec<Value> {
        self.told_by_now_in("", name).await
    }

    /// The same in a namespace.
    pub(crate) async fn told_by_now_in(&mut self, namespace: &str, name: &str) -> Vec<Value> {
        let prefix = format!("42{namespace}");
        self.send(&format!("{prefix}[\"noSuchEvent\",null]")).await;
        let mut told = Vec::new();
        loop {
            let packet = self.packet().await.expect("an open connection");
            let Some(json) = packet.strip_prefix(&prefix) else { continue };
            let mut event: Vec<Value> = serde_json::from_str(json).unwrap();
            match event[0].as_str() {
                Some("error") => return told,
                Some(event_name) if event_name == name => told.push(event.remove(1)),
                _ => {}
            }
        }
    }

    /// Everything until the connection ends.
    pub(crate) async fn rest(&mut self) -> Vec<String> {
        let mut rest = Vec::new();
        while let Some(packet) = self.packet().await {
            rest.push(packet);
        }
        rest
    }
}

/// Waits until something holds.
pub(crate) async fn eventually(holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, wait).await.expect("it holds in time");
}
