//! The server that is measured, in a process of its own: a store, the axum transport, development tokens.

use std::{future::IntoFuture, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use parlor::{Chat, auth::DevTokens, model::UserId, traits::Quota};
use tokio::{io::AsyncReadExt, net::TcpListener};

use crate::{
    Result,
    database::{self, Opened},
};

/// Where the transport is nested.
pub(crate) const PATH: &str = "/chat";

const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
/// Shared by the two processes, so that clients make their own tokens. It opens nothing but this server.
const SECRET: &str = "parlor-bench-parlor-bench-parlor-bench";

/// Serves until standard input ends, which it also does when the parent dies.
pub(crate) async fn run(database: &str, lift_quotas: bool, lanes: Option<usize>) -> Result<()> {
    let opened = database::open(database).await?;
    let chat = chat(&opened, lift_quotas, lanes).await?;
    let listener = TcpListener::bind(LOCAL).await?;
    println!("{}", listener.local_addr()?);
    let app = Router::new().nest(PATH, parlor::axum::router(chat.clone()));
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

/// An engine on a store, with default settings but for the quotas.
pub(crate) async fn chat(opened: &Opened, lift_quotas: bool, lanes: Option<usize>) -> Result<Chat> {
    let chat = Chat::builder(Arc::clone(&opened.store)).authenticator(Arc::new(tokens()?));
    let chat = chat.configure(|config| {
        config.lanes = lanes;
        if lift_quotas {
            let lifted = Quota::new(u32::MAX, u32::MAX);
            (config.sends, config.commands, config.connects) = (lifted, lifted, lifted);
        }
    });
    Ok(chat.build().await?)
}

fn tokens() -> Result<DevTokens> {
    Ok(DevTokens::for_listener(LOCAL)?.with_secret(SECRET)?)
}

/// Makes tokens for the users of a run.
pub(crate) struct Logins(DevTokens);

impl Logins {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(tokens()?))
    }

    pub(crate) fn token(&self, user: &UserId) -> Result<String> {
        Ok(self.0.issue(user, None, LOCAL.ip())?)
    }
}
