//! Chat in a browser, on an embedded database:
//!
//! ```text
//! cargo run --release --example quickstart
//! ```
//!
//! then open http://127.0.0.1:3000 in two windows. `PORT` and `PARLOR_DB` choose another port and file.
//!
//! What embeds parlor is in `serve`: a store, an engine, a router. The rest is what a host has anyway:
//! a login, a list of its people, a page.

use std::{
    env, fs, io,
    net::{IpAddr, SocketAddr},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{ConnectInfo, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use parlor::{
    Chat, Error,
    auth::DevTokens,
    model::{ClientId, ConversationId, NewGroup, UserId},
    sqlite::SqliteStore,
    traits::{Authenticator, Credentials},
};
use serde::Deserialize;
use serde_json::json;

#[path = "page/mod.rs"]
mod page;

#[tokio::main]
async fn main() -> ExitCode {
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quickstart: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_env_filter("warn,parlor=info").init();
    let port = env::var("PORT").map_or(Ok(3000), |port| port.parse());
    let port = port.map_err(|error| format!("PORT must be a port's number: {error}"))?;
    let database = env::var("PARLOR_DB").unwrap_or_else(|_| "parlor.db".into());
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .map_err(|error| format!("cannot listen on {address}: {error}. Try another PORT."))?;
    let address = listener.local_addr()?;

    let secret = secret_beside(&database)
        .map_err(|error| format!("cannot keep a secret beside {database}: {error}"))?;
    let tokens = Arc::new(DevTokens::for_listener(address)?.with_secret(secret)?);
    let store = SqliteStore::open(&database).await?;
    let chat = Chat::builder(Arc::new(store)).authenticator(tokens.clone()).build().await?;
    let lounge = chat.system().create_group(everybody()?).await?.conversation.id;
    let host = Host { chat: chat.clone(), tokens, lounge };
    let app = Router::new()
        .nest("/chat", parlor::axum::router(chat.clone()))
        .route("/login", post(login))
        .route("/people", get(people))
        .with_state(host)
        .merge(page::router("name"));

    println!("parlor is listening on http://{address}");
    println!("Messages are kept in {database}. Ctrl-C stops the server.");
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app).with_graceful_shutdown(stop(chat)).await?;
    Ok(())
}

/// What the host's own routes need.
#[derive(Clone)]
struct Host {
    chat: Chat,
    tokens: Arc<DevTokens>,
    lounge: ConversationId,
}

/// The group that everybody is in. The key makes it the same one at every start.
fn everybody() -> Result<NewGroup, Error> {
    let mut lounge = NewGroup::new("Lounge", []);
    lounge.client_id = Some(ClientId::new("lounge")?);
    Ok(lounge)
}

#[derive(Deserialize)]
struct Login {
    name: String,
}

/// A development login: any name, no password, from this machine only.
async fn login(
    State(host): State<Host>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Json(Login { name }): Json<Login>,
) -> Result<Response, Failure> {
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    let user = UserId::new(name.as_str()).map_err(Error::from)?;
    let token = token(&host, &user, peer.ip())?;
    host.chat.system().add_members(host.lounge, vec![user.clone()]).await?;
    Ok(Json(json!({ "token": token, "user_id": user, "name": name })).into_response())
}

fn token(host: &Host, user: &UserId, peer: IpAddr) -> Result<String, Error> {
    host.tokens.issue(user, Some(user.as_str()), peer)
}

/// Everybody who has ever logged in.
async fn people(State(host): State<Host>, headers: HeaderMap) -> Result<Response, Failure> {
    let bearer = headers.get("authorization").and_then(|value| value.to_str().ok());
    let credentials = Credentials::token(bearer.unwrap_or_default());
    host.tokens.authenticate(&credentials).await?;
    let members = host.chat.system().members(host.lounge).await?;
    let people: Vec<_> = members
        .iter()
        .map(|member| json!({ "user_id": member.user_id, "name": member.user_id }))
        .collect();
    Ok(Json(people).into_response())
}

/// An error of the chat as an answer of the host's own routes.
struct Failure(Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = match &self.0 {
            Error::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Error::Unauthenticated => StatusCode::UNAUTHORIZED,
            Error::Forbidden(_) => StatusCode::FORBIDDEN,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        let code = self.0.code();
        (status, Json(json!({ "code": code, "detail": self.0.to_string() }))).into_response()
    }
}

/// A secret in a file beside the database, made at the first start, so that logins outlive restarts.
fn secret_beside(database: &str) -> io::Result<String> {
    let path = format!("{database}.secret");
    match fs::read_to_string(&path) {
        Ok(secret) => Ok(secret),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let secret = format!("{}{}", uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
            fs::write(&path, &secret)?;
            Ok(secret)
        }
        Err(error) => Err(error),
    }
}

/// Waits for Ctrl-C or SIGTERM, then sends the clients away in an orderly way.
async fn stop(chat: Chat) {
    let interrupted = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminated) => {
                tokio::select! { _ = interrupted => {}, _ = terminated.recv() => {} }
            }
            Err(_) => drop(interrupted.await),
        }
    }
    #[cfg(not(unix))]
    drop(interrupted.await);
    chat.drain(Duration::from_secs(2), Duration::from_secs(10)).await;
}
