//! parlor's server, in a process of its own: a store, the axum transport, tokens.

use std::{future::IntoFuture, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use parlor::{
    Chat, auth::DevTokens, model::UserId, redis::RedisBackends, socketio::Transport, traits::Quota,
};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpSocket},
};

use super::{database, parlor_contract::Words};
use crate::Result;

/// Where the transport is nested.
pub(crate) const PATH: &str = "/chat";

const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
/// Shared by all processes, so that the generator makes its own tokens. It opens nothing but these servers.
pub(super) const SECRET: &str = "parlor-bench-parlor-bench-parlor-bench";

/// Serves until standard input ends, which it also does when the parent dies.
pub(crate) async fn run(
    database: &str,
    lanes: Option<usize>,
    batch: Option<usize>,
    redis: Option<&str>,
) -> Result<()> {
    let opened = database::open(database).await?;
    let mut chat = Chat::builder(Arc::clone(&opened.store)).authenticator(Arc::new(tokens()?));
    if let Some(redis) = redis {
        let redis = RedisBackends::open(redis).await?;
        chat = chat.bus(redis.bus()).presence(redis.presence());
    }
    // The defaults but for the quotas, which are lifted, and what an experiment sets.
    let chat = chat.configure(|config| {
        let lifted = Quota::new(u32::MAX, u32::MAX);
        (config.sends, config.commands, config.connects) = (lifted, lifted, lifted);
        config.lanes = lanes;
        config.batch = batch.unwrap_or(config.batch);
    });
    let chat = chat.build().await?;
    let listener = listen()?;
    println!("{}", listener.local_addr()?);
    let socket_io = Transport::new(chat.clone()).contract(Words).router();
    let app = Router::new().nest(PATH, parlor::axum::router(chat.clone())).merge(socket_io);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let mut stdin = tokio::io::stdin();
    tokio::select! {
        served = axum::serve(listener, app).into_future() => served?,
        _ = stdin.read_u8() => {}
    }
    chat.drain(Duration::from_millis(1), Duration::from_secs(5)).await;
    drop(chat);
    opened.close().await;
    Ok(())
}

/// Listens with room for a storm of connects: the usual 128 that may wait to be accepted are not enough.
fn listen() -> Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(LOCAL)?;
    Ok(socket.listen(4096)?)
}

fn tokens() -> Result<DevTokens> {
    Ok(DevTokens::for_listener(LOCAL)?.with_secret(SECRET)?)
}

/// Makes JSON Web Tokens (HS256), which all systems check.
pub(crate) struct Logins(DevTokens);

impl Logins {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(tokens()?))
    }

    pub(crate) fn token(&self, user: &str) -> Result<String> {
        Ok(self.0.issue(&UserId::new(user)?, None, LOCAL.ip())?)
    }
}
