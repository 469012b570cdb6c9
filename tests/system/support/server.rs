//! A server in the test's own process: SQLite in a directory of its own, a real socket, real tokens.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::Router;
use parlor::{
    Chat, ChatBuilder, auth::DevTokens, axum::Transport, sqlite::SqliteStore, store::Store,
};
use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};

use super::{Client, unlimited, user};

pub(crate) const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const FILE: &str = "chat.db";
const SECRET: &str = "a secret of the system tests, for nothing else";

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) chat: Chat,
    serving: JoinHandle<()>,
    directory: Option<Arc<TempDir>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Tokens for development that live for so long.
pub(crate) fn dev_tokens(life: Duration) -> DevTokens {
    let listener = SocketAddr::new(LOCAL, 0);
    DevTokens::for_listener(listener).unwrap().with_secret(SECRET).unwrap().with_life(life)
}

pub(crate) fn token_for(name: &str, life: Duration) -> String {
    dev_tokens(life).issue(&user(name), Some(name), LOCAL).unwrap()
}

/// A store in a directory that goes with the returned guard.
pub(crate) async fn sqlite() -> (SqliteStore, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE);
    (SqliteStore::open(path.to_str().unwrap()).await.unwrap(), directory)
}

impl Server {
    /// A server without quotas, on a new SQLite file.
    pub(crate) async fn start() -> Self {
        Self::with(|builder| builder, |transport| transport).await
    }

    /// The same, set up differently.
    pub(crate) async fn with(
        build: impl FnOnce(ChatBuilder) -> ChatBuilder,
        transport: impl FnOnce(Transport) -> Transport,
    ) -> Self {
        let (store, directory) = sqlite().await;
        let mut server = Self::over(Arc::new(store), build, transport).await;
        server.directory = Some(Arc::new(directory));
        server
    }

    /// A server on this store.
    pub(crate) async fn over(
        store: Arc<dyn Store>,
        build: impl FnOnce(ChatBuilder) -> ChatBuilder,
        transport: impl FnOnce(Transport) -> Transport,
    ) -> Self {
        let tokens = dev_tokens(Duration::from_secs(3600));
        let builder = Chat::builder(store).authenticator(Arc::new(tokens)).configure(unlimited);
        let chat = build(builder).build().await.unwrap();
        let routes = transport(Transport::new(chat.clone())).router();
        Self::serve(chat, Router::new().nest("/chat", routes)).await
    }

    /// Serves a host's own router.
    pub(crate) async fn serve(chat: Chat, router: Router) -> Self {
        let listener = TcpListener::bind((LOCAL, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = router.into_make_service_with_connect_info::<SocketAddr>();
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, chat, serving, directory: None }
    }

    /// Another server on the same file.
    pub(crate) async fn successor(&self) -> Self {
        let directory = self.directory.clone().unwrap();
        let path = directory.path().join(FILE);
        let store = SqliteStore::open(path.to_str().unwrap()).await.unwrap();
        let mut server = Self::over(Arc::new(store), |it| it, |it| it).await;
        server.directory = Some(directory);
        server
    }

    /// A client of this user, connected and live.
    pub(crate) async fn client(&self, name: &str) -> Client {
        Client::live(self.address, &token(name)).await
    }

    pub(crate) fn rest(&self, name: &str) -> Rest {
        Rest::new(self.address, &token(name))
    }
}

/// A token for an hour.
pub(crate) fn token(name: &str) -> String {
    token_for(name, Duration::from_secs(3600))
}

/// The REST side of one user.
#[derive(Clone)]
pub(crate) struct Rest {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Rest {
    pub(crate) fn new(address: SocketAddr, token: &str) -> Self {
        let base = format!("http://{address}/chat");
        Self { http: reqwest::Client::new(), base, token: token.to_owned() }
    }

    /// The status and the body of the answer; null for none.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let url = format!("{}{path}", self.base);
        let mut request = self.http.request(method, url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let bytes = response.bytes().await.unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        Answer { status, headers, body, bytes }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::PUT, path, Some(body)).await
    }

    /// The whole history of a conversation, page by page.
    pub(crate) async fn history(&self, id: impl std::fmt::Display) -> Vec<Value> {
        let mut messages: Vec<Value> = Vec::new();
        loop {
            let after = messages.last().map_or(0, |message| message["seq"].as_u64().unwrap());
            let path = format!("/conversations/{id}/messages?after={after}&limit=100");
            let page = self.get(&path).await.expect(200);
            messages.extend(page["messages"].as_array().unwrap().iter().cloned());
            if page["has_more"] == false {
                return messages;
            }
        }
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
    pub(crate) bytes: bytes::Bytes,
}

impl Answer {
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.bytes));
        self.body
    }
}
