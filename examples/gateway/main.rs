//! A Socket.IO gateway before chat services, for front ends written for the contract `gateway`:
//!
//! ```text
//! cargo run --release --example gateway
//! ```
//!
//! Alone it has the database as well. With `REDIS_URL` it holds sockets and nothing else, and the chat is kept by
//! `chat_service`, started as often as you like with the same `REDIS_URL`. Port 3000. `PORT`, `JWT_SECRET`,
//! `DATABASE_URL` and `FRONTEND_URL` choose otherwise; see docs/socket-io.md. A page to try it is at
//! <http://127.0.0.1:3000/test/websocket-test.html>.

use std::{net::SocketAddr, process::ExitCode, sync::Arc};

use parlor::{
    Chat, ChatBuilder, Error, redis::RedisBackends, socketio::contracts::Gateway,
    traits::Authenticator,
};

use self::contract::{Fault, Settings};

#[path = "../contract/mod.rs"]
mod contract;
mod page;
mod query_users;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_env_filter("warn,parlor=info").init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gateway: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Fault> {
    let settings = Settings::from_env("gateway", 3000)?;
    let mut gateway = Gateway::new();
    let mut authenticator = contract::authenticator(&settings, settings.listen)?;
    if query_users::wanted(settings.listen)? {
        gateway = gateway.takes_query_users();
        authenticator = Arc::new(query_users::QueryUsers::beside(authenticator));
    }
    let chat = match &settings.redis {
        None => alone(&settings, authenticator).await?,
        Some(url) => {
            let redis = contract::open_redis(url, &settings.redis_prefix).await?;
            at_the_edge(&redis, authenticator).await?
        }
    };
    // Nobody is let in before there is somebody to answer.
    let listener = contract::listen(settings.listen).await?;
    let address = listener.local_addr()?;
    let app = contract::router(&settings, address, chat.clone(), gateway).merge(page::router());
    announce(&settings, address);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app).with_graceful_shutdown(contract::stop(chat)).await?;
    Ok(())
}

/// Gateway and chat service in one.
async fn alone(settings: &Settings, authenticator: Arc<dyn Authenticator>) -> Result<Chat, Fault> {
    let store = contract::open_store(&settings.database).await?;
    let builder = Chat::builder(store).configure(contract::as_services_are);
    Ok(builder.authenticator(authenticator).build().await?)
}

/// An engine like any other, whose store is asked over Redis. Waits until somebody answers.
async fn at_the_edge(
    redis: &RedisBackends,
    authenticator: Arc<dyn Authenticator>,
) -> Result<Chat, Fault> {
    let store = redis.remote_store();
    let mut is_told = false;
    loop {
        let builder: ChatBuilder = Chat::builder(store.clone())
            .configure(contract::as_services_are)
            .bus(redis.bus())
            .presence(redis.presence())
            .rate_limiter(redis.rate_limiter())
            .authenticator(authenticator.clone());
        match builder.build().await {
            Ok(chat) => return Ok(chat),
            Err(Error::Unavailable(_)) if !is_told => {
                println!("gateway is waiting for a chat_service on the same Redis.");
                is_told = true;
            }
            Err(Error::Unavailable(_)) => {}
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

fn announce(settings: &Settings, address: SocketAddr) {
    let host = |url: &str| url.split('@').next_back().unwrap_or_default().to_owned();
    println!("gateway is listening on http://{address}");
    match &settings.redis {
        Some(url) => println!("Chat services are reached over {}.", host(url)),
        None => println!("Messages are kept in {}.", host(&settings.database)),
    }
    println!(
        "A page to try it: http://{address}/test/websocket-test.html. Ctrl-C stops the server."
    );
}
