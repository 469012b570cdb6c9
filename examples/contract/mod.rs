//! What the Socket.IO examples share: settings from the environment, a store, an engine, a server.

mod dev_tokens;
mod login;
mod settings;

use std::{net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use axum::Router;
use parlor::{
    Chat, ChatBuilder, Config,
    auth::JwtAuthenticator,
    backends::TokenDirectory,
    postgres::PostgresStore,
    redis::{RedisBackends, RedisConfig},
    socketio::{Contract, Transport, names::KeepNames},
    sqlite::SqliteStore,
    store::Store,
    traits::{Authenticator, Quota},
};

use self::dev_tokens::DevTokens;
pub(crate) use self::settings::Settings;

pub(crate) type Fault = Box<dyn std::error::Error>;

/// Serves a contract until it is told to stop. `port` holds unless `PORT` says otherwise.
#[allow(dead_code, reason = "some examples bring more of their own")]
pub(crate) async fn serve(contract: impl Contract, port: u16) -> ExitCode {
    serve_with(contract, port, async |setup| Ok((setup.chat.build().await?, Router::new()))).await
}

/// What an example may add to.
pub(crate) struct Setup {
    /// The database, as a URL.
    #[allow(dead_code, reason = "most examples keep nothing of their own")]
    pub(crate) database: String,
    #[allow(dead_code, reason = "most examples look nothing up themselves")]
    pub(crate) store: Arc<dyn Store>,
    pub(crate) chat: ChatBuilder,
}

/// The same for an example that builds its engine itself and has routes for development, which are
/// served on this machine alone.
pub(crate) async fn serve_with(
    contract: impl Contract,
    port: u16,
    build: impl AsyncFnOnce(Setup) -> Result<(Chat, Router), Fault>,
) -> ExitCode {
    let name = contract.name();
    tracing_subscriber::fmt().with_env_filter("warn,parlor=info").init();
    match run(contract, name, port, build).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(
    contract: impl Contract,
    name: &'static str,
    port: u16,
    build: impl AsyncFnOnce(Setup) -> Result<(Chat, Router), Fault>,
) -> Result<(), Fault> {
    let settings = Settings::from_env(name, port)?;
    let listener = listen(settings.listen).await?;
    let address = listener.local_addr()?;
    let store = open_store(&settings.database).await?;
    let builder = engine(&settings, address, Arc::clone(&store)).await?;
    let (chat, development) =
        build(Setup { database: settings.database.clone(), store, chat: builder }).await?;
    let mut app = router(&settings, address, chat.clone(), contract);
    if address.ip().to_canonical().is_loopback() {
        app = app.merge(development);
    }
    announce(&settings, address);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app).with_graceful_shutdown(stop(chat)).await?;
    Ok(())
}

/// An engine on this store, and on Redis where the settings name one.
pub(crate) async fn engine(
    settings: &Settings,
    address: SocketAddr,
    store: Arc<dyn Store>,
) -> Result<ChatBuilder, Fault> {
    // Names come from tokens. After a restart they are those that messages keep.
    let directory = Arc::new(TokenDirectory::new());
    let builder = Chat::builder(Arc::clone(&store))
        .configure(as_services_are)
        .authenticator(authenticator(settings, address)?)
        .directory(directory.clone())
        .hook(Arc::new(KeepNames::new(store, directory)));
    let Some(url) = &settings.redis else { return Ok(builder) };
    let redis = open_redis(url, &settings.redis_prefix).await?;
    Ok(builder.bus(redis.bus()).presence(redis.presence()).rate_limiter(redis.rate_limiter()))
}

pub(crate) async fn listen(address: SocketAddr) -> Result<tokio::net::TcpListener, Fault> {
    let listener = tokio::net::TcpListener::bind(address).await;
    listener
        .map_err(|error| format!("cannot listen on {address}: {error}. Try another PORT.").into())
}

/// The database that the URL names: `sqlite:…` or `postgres://…`.
pub(crate) async fn open_store(url: &str) -> Result<Arc<dyn Store>, Fault> {
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(Arc::new(PostgresStore::connect(url).await?));
    }
    Ok(Arc::new(SqliteStore::open(url).await?))
}

/// The Redis that the URL names. Two chats on one keep apart by their prefixes.
pub(crate) async fn open_redis(url: &str, prefix: &str) -> Result<RedisBackends, Fault> {
    let opened = RedisBackends::open_with(url, RedisConfig::new().prefix(prefix)).await;
    Ok(opened.map_err(|error| format!("REDIS_URL, REDIS_PREFIX: {error}"))?)
}

/// More at once than parlor's own clients need: these clients do not know of quotas.
pub(crate) fn as_services_are(config: &mut Config) {
    config.sends = Quota::new(50, 500);
    config.commands = Quota::new(100, 1000);
    config.offline_grace = Duration::from_secs(2);
}

pub(crate) fn authenticator(
    settings: &Settings,
    address: SocketAddr,
) -> Result<Arc<dyn Authenticator>, Fault> {
    let tokens = JwtAuthenticator::hs256(&settings.secret)
        .short_secrets_on(address)
        .leeway(Duration::ZERO)
        .build()
        .map_err(|error| format!("JWT_SECRET: {error}"))?;
    let tokens: Arc<dyn Authenticator> = Arc::new(tokens);
    Ok(if settings.dev_tokens { Arc::new(DevTokens(tokens)) } else { tokens })
}

pub(crate) fn router(
    settings: &Settings,
    address: SocketAddr,
    chat: Chat,
    contract: impl Contract,
) -> Router {
    let app = transport(settings, address, chat).contract(contract).router();
    app.merge(login(settings, address))
}

/// A transport without a contract, for the front ends that the settings name.
pub(crate) fn transport(settings: &Settings, address: SocketAddr, chat: Chat) -> Transport {
    let mut transport = Transport::new(chat);
    if settings.frontends.is_empty() && address.ip().to_canonical().is_loopback() {
        // The front end of a developer is served from some other port of this machine.
        transport = transport.allow_any_origin();
    }
    transport.allow_origins(settings.frontends.clone())
}

/// The development login, on this machine alone.
pub(crate) fn login(settings: &Settings, address: SocketAddr) -> Router {
    if address.ip().to_canonical().is_loopback() { login::router(settings) } else { Router::new() }
}

fn announce(settings: &Settings, address: SocketAddr) {
    let database = settings.database.split('@').next_back().unwrap_or_default();
    println!("{} is listening on http://{address}", settings.name);
    println!("Messages are kept in {database}. Ctrl-C stops the server.");
    if settings.dev_tokens {
        println!("DEV_TOKENS=1: a token such as 123:influencer lets anybody in as anybody.");
    }
    if let Some(redis) = &settings.redis {
        let redis = redis.split('@').next_back().unwrap_or_default();
        println!("Other nodes on the same database are reached over {redis}.");
    }
    if address.ip().to_canonical().is_loopback() {
        println!("A token for development: curl -X POST 'http://{address}/dev/login?sub=ann'");
    }
}

/// Waits for Ctrl-C or SIGTERM, then sends the clients away in an orderly way.
pub(crate) async fn stop(chat: Chat) {
    told_to_stop().await;
    chat.drain(Duration::from_secs(1), Duration::from_secs(10)).await;
}

/// Waits for Ctrl-C or SIGTERM.
pub(crate) async fn told_to_stop() {
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
}
