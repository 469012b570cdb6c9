//! Accepts connections and speaks HTTP on them.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{HeaderMap, Request},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use parlor::axum::ServedTcp;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};
use tower::Service;

use crate::{
    options::LimitOptions,
    places::{Place, Places},
};

/// Largest head of a request, in bytes.
const LARGEST_HEAD: usize = 64 * 1024;
/// How long to wait when the system has no more files or memory for connections.
const PAUSE: Duration = Duration::from_millis(200);
/// What is said to a connection for which there is no room.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// A listener with all its connections.
#[derive(Debug)]
pub(crate) struct Serving {
    stop: watch::Sender<()>,
    accepting: JoinHandle<()>,
}

/// What the connections of a listener share.
#[derive(Debug)]
struct Shared {
    router: Router,
    places: Arc<Places>,
    header_timeout: Duration,
    write_timeout: Duration,
    trust_forwarded_for: bool,
}

impl Serving {
    /// Begins to accept.
    pub(crate) fn start(listener: TcpListener, router: Router, limits: &LimitOptions) -> Self {
        // Behind a proxy all connections come from its address.
        let per_address = match limits.trust_forwarded_for {
            true => usize::MAX,
            false => limits.connections_per_address,
        };
        let shared = Arc::new(Shared {
            router,
            places: Places::new(limits.connections, per_address),
            header_timeout: limits.header_timeout,
            write_timeout: limits.write_timeout,
            trust_forwarded_for: limits.trust_forwarded_for,
        });
        let (stop, stopped) = watch::channel(());
        Self { stop, accepting: tokio::spawn(accept(listener, shared, stopped)) }
    }

    /// Accepts no more, lets the requests that have begun end, and returns when they have, or at the deadline. Upgraded
    /// connections are none of them.
    pub(crate) async fn finish(self, deadline: Duration) {
        let _ = self.stop.send(());
        let ended = async {
            let _ = self.accepting.await;
            self.stop.closed().await;
        };
        if tokio::time::timeout(deadline, ended).await.is_err() {
            tracing::warn!("requests that were still under way are broken off");
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, mut stopped: watch::Receiver<()>) {
    let mut refused = false;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // Also when nobody is left who could send.
            _ = stopped.changed() => return,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_of_one_connection(&error) => continue,
            Err(error) => {
                tracing::warn!(%error, "no connections can be accepted for a moment; is the limit of open files too low?");
                metrics::counter!("parlor_http_refused_total", "reason" => "system").increment(1);
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => continue,
                    _ = stopped.changed() => return,
                }
            }
        };
        match shared.places.take(peer.ip()) {
            Ok(place) => {
                refused = false;
                tokio::spawn(serve(stream, peer, place, Arc::clone(&shared), stopped.clone()));
            }
            Err(reason) => {
                metrics::counter!("parlor_http_refused_total", "reason" => reason).increment(1);
                if !refused {
                    tracing::warn!(%peer, reason, "connections are refused for want of room");
                }
                refused = true;
                // As far as it goes at once: nobody waits for who is one too many.
                let _ = stream.try_write(FULL);
            }
        }
    }
}

async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    place: Place,
    shared: Arc<Shared>,
    mut stopped: watch::Receiver<()>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY cannot be set");
    }
    metrics::gauge!("parlor_http_connections").increment(1.0);
    let answer = {
        let shared = Arc::clone(&shared);
        service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            let from = match shared.trust_forwarded_for {
                true => forwarded_for(request.headers()).map(|ip| SocketAddr::new(ip, 0)),
                false => None,
            };
            request.extensions_mut().insert(ConnectInfo(from.unwrap_or(peer)));
            // A router is always ready.
            shared.router.clone().call(request)
        })
    };
    // A WebSocket takes the place along.
    let io = ServedTcp::new(stream).write_timeout(shared.write_timeout).hold(place);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(shared.header_timeout)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(io), answer)
        .with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "connection ended");
    }
    metrics::gauge!("parlor_http_connections").decrement(1.0);
}

/// The address that the proxy in front has seen: it is the last that was added.
fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
    let last = last.rsplit(',').next()?.trim();
    let bare = last.strip_prefix('[').and_then(|rest| rest.split(']').next()).unwrap_or(last);
    bare.parse().ok().or_else(|| last.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// Whether an error says that one connection failed before it was accepted, and nothing about the next.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forwarded(values: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        forwarded_for(&headers).map(|address| address.to_string())
    }

    #[test]
    fn the_last_address_counts_because_the_proxy_added_it() {
        assert_eq!(forwarded(&["1.1.1.1, 10.0.0.7"]).as_deref(), Some("10.0.0.7"));
        assert_eq!(forwarded(&["1.1.1.1", "2001:db8::1"]).as_deref(), Some("2001:db8::1"));
        assert_eq!(forwarded(&["[2001:db8::1]:4711"]).as_deref(), Some("2001:db8::1"));
        assert_eq!(forwarded(&["10.0.0.7:4711"]).as_deref(), Some("10.0.0.7"));
        assert_eq!(forwarded(&["unknown"]), None);
        assert_eq!(forwarded(&[]), None);
    }
}
