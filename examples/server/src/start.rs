//! Puts the server together, runs it, and takes it down in order.

use std::{
    io::{self, Write},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use parlor::{Chat, axum::Transport};
use tokio::{
    net::{TcpListener, TcpSocket},
    time::Instant,
};

use crate::{
    backends::{self, OpenStore},
    failure::Failure,
    health::Health,
    identity::Gate,
    login, metrics, page,
    serve::Serving,
    settings::{Origins, Settings},
    stop::Signals,
    unlimited::Unlimited,
};

/// Runs a server until it is told to end.
pub(crate) async fn run(settings: Settings) -> Result<(), Failure> {
    let mut signals = Signals::hear()
        .map_err(|error| Failure::Start(format!("signals cannot be heard: {error}")))?;
    let server = tokio::select! {
        started = Server::start(&settings) => started?,
        signal = signals.next() => {
            tracing::info!(signal, "ended before it had started");
            return Ok(());
        }
    };
    let signal = signals.next().await;
    tracing::info!(signal, "draining; a second signal ends at once");
    tokio::select! {
        () = server.finish(&settings) => {
            tracing::info!("ended");
            Ok(())
        }
        signal = signals.next() => {
            tracing::warn!(signal, "ended at once, as asked");
            Err(Failure::Told)
        }
    }
}

/// A running server.
#[derive(Debug)]
struct Server {
    chat: Chat,
    store: OpenStore,
    health: Health,
    serving: Serving,
    /// Serves figures alone.
    metrics: Option<Serving>,
}

impl Server {
    async fn start(settings: &Settings) -> Result<Self, Failure> {
        // First, because a port that is taken is the commonest trouble and quickly told.
        let listener = bind(settings.listen, "--listen (PARLOR_LISTEN)")?;
        let address = local_address(&listener)?;
        let figures = metrics::router(metrics::start()?);
        let store = backends::open(&settings.database, settings.start_timeout).await?;
        let gate =
            Gate::open(&settings.keys, &settings.demands, address, settings.start_timeout).await?;

        let mut builder = Chat::builder(store.store())
            .config(settings.chat.clone())
            .authenticator(gate.authenticator.clone());
        if let Some(redis) = &settings.redis {
            let shared = redis.open().await?;
            if let Err(error) = shared.ping().await {
                let place = redis.url.without_password();
                tracing::warn!(place, %error, "Redis cannot be reached: until it can, other nodes hear \
                    of messages only by the sweep, presence is unknown, and each node counts for itself");
            }
            builder = builder
                .bus(shared.bus())
                .presence(shared.presence())
                .rate_limiter(shared.rate_limiter());
        }
        if settings.limits.no_rate_limits {
            builder = builder.rate_limiter(Arc::new(Unlimited));
        }
        let chat = builder.build().await.map_err(|error| {
            Failure::Start(format!("the engine cannot be started on the database: {error}"))
        })?;

        let health = Health::new(chat.clone());
        let mut router = Router::new()
            .nest("/chat", transport(chat.clone(), &settings.origins))
            .merge(health.clone().router());
        if settings.page {
            let login = if gate.development.is_some() { "name" } else { "token" };
            router = router.merge(page::router(login));
        }
        if let Some(tokens) = gate.development {
            router = router.merge(login::router(chat.clone(), tokens).await?);
        }
        let limits = &settings.limits;
        let metrics = match settings.running.metrics_listen {
            Some(address) => {
                let listener = bind(address, "--metrics-listen (PARLOR_METRICS_LISTEN)")?;
                tracing::info!("metrics are at http://{}/metrics", local_address(&listener)?);
                Some(Serving::start(listener, figures, limits))
            }
            None => {
                router = router.merge(figures);
                None
            }
        };
        let router = router.layer(from_fn_with_state(limits.request_timeout, in_time));
        let serving = Serving::start(listener, router, limits);
        announce(address, settings);
        Ok(Self { chat, store, health, serving, metrics })
    }

    /// Takes it down: first no more clients are sent here, then those that are here are sent away, then what is
    /// under way ends, then the database is closed.
    async fn finish(self, settings: &Settings) {
        let running = &settings.running;
        self.health.leave();
        tokio::time::sleep(running.drain_delay).await;
        let end = Instant::now() + running.drain_deadline;
        let left = || end.saturating_duration_since(Instant::now());
        let connected = self.chat.connections();
        self.chat.drain(running.drain_spread, left()).await;
        tracing::info!(connected, left = self.chat.connections(), "clients were sent away");
        self.serving.finish(left()).await;
        if let Some(metrics) = self.metrics {
            metrics.finish(left()).await;
        }
        // What was acknowledged is on disk already.
        if tokio::time::timeout(left().max(GRACE), self.store.close()).await.is_err() {
            tracing::warn!("the database did not close in time");
        }
    }
}

/// The database is given as long to close when the deadline is over.
const GRACE: Duration = Duration::from_millis(500);

fn transport(chat: Chat, origins: &Origins) -> Router {
    let transport = Transport::new(chat);
    match origins {
        Origins::Any => transport.allow_any_origin(),
        Origins::Listed(origins) => transport.allow_origins(origins),
    }
    .router()
}

/// Answers within the time that a request is given.
async fn in_time(State(time): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(time, next.run(request)).await {
        Ok(response) => response,
        Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
    }
}

/// Connects that may wait to be accepted, as far as the system allows it (`net.core.somaxconn`). The usual 128 are not
/// enough when all clients come back at once.
const BACKLOG: u32 = 4096;

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A restart does not wait for connections that are long closed. On Windows it would share the port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn bind(address: SocketAddr, option: &str) -> Result<TcpListener, Failure> {
    listen(address).map_err(|error| {
        let advice = match error.kind() {
            io::ErrorKind::AddrInUse => "another program has it: choose another port",
            io::ErrorKind::PermissionDenied => {
                "ports below 1024 need a right of their own: choose a higher one"
            }
            io::ErrorKind::AddrNotAvailable => "it must be an address of this machine",
            _ => "choose another one",
        };
        Failure::Start(format!("cannot listen on {address}: {error}. {advice} with {option}"))
    })
}

fn local_address(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener
        .local_addr()
        .map_err(|error| Failure::Start(format!("the listener has no address: {error}")))
}

/// The one line on standard output, for programs that started this one; the rest is in the log.
fn announce(address: SocketAddr, settings: &Settings) {
    let mut out = io::stdout().lock();
    // Nobody may be listening.
    let _ = writeln!(out, "listening on http://{address}").and_then(|()| out.flush());
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        database = settings.database.shown(),
        "serving at http://{address}"
    );
    if let crate::settings::Keys::Development { file, .. } = &settings.keys {
        tracing::warn!(
            "no key is configured: anybody on this machine may come in by name (the secret is in {}). \
             For others give --jwt-secret or --jwks",
            file.display()
        );
    }
    if settings.running.sweep_interval.is_zero() {
        tracing::warn!(
            "--sweep-interval is 0: events lost between nodes are not looked for. This is for tests"
        );
    }
    if settings.limits.no_rate_limits {
        tracing::warn!(
            "--no-rate-limits: anybody may send as much as they like. This is for tests"
        );
    }
}

#[cfg(test)]
mod tests {
    use futures::future::try_join_all;
    use tokio::{net::TcpStream, time::timeout};

    use super::*;

    #[tokio::test]
    async fn more_connects_than_usual_may_wait_to_be_accepted() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let waiting = try_join_all((0..300).map(|_| TcpStream::connect(address)));
        let waiting = timeout(Duration::from_secs(10), waiting).await.expect("there is room");
        assert_eq!(waiting.unwrap().len(), 300);
    }
}
