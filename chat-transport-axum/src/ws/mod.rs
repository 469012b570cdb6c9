//! The WebSocket: from the request to the conversation.

pub(crate) mod answer;
mod frame;
mod line;
mod socket;
pub(crate) mod wire;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    body::Body,
    extract::{ConnectInfo, Request, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::{rt::TokioIo, server::conn::auto::upgrade::downcast};
use parlor_core::{
    CloseReason, ConnectOptions, ErrorCode, Session,
    model::Identity,
    transport::{Lobby, Place, Writers},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tracing::{Instrument, field::Empty};

use self::{line::Pipe, wire::Wire};
use crate::{
    error::{Problem, Refusal},
    identity::identify,
    origin::{admits, foreign},
    served::{Held, ServedTcp},
    transport::Transport,
};

/// The subprotocol, version 1.
pub(crate) const SUBPROTOCOL: &str = "parlor.v1";

/// What all requests and connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) transport: Transport,
    lobby: Arc<Lobby>,
    writers: Writers,
}

impl Shared {
    pub(crate) fn new(transport: Transport) -> Self {
        let (all, per_address) =
            (transport.max_unauthenticated, transport.max_unauthenticated_per_address);
        Self { transport, lobby: Lobby::new(all, per_address), writers: Writers::default() }
    }

    async fn connect(
        &self,
        identity: Identity,
        address: Option<IpAddr>,
    ) -> Result<Session, CloseReason> {
        let mut options = ConnectOptions::with_codec(self.transport.codec.clone());
        options.address = address;
        self.transport.chat.connect(identity, options).await
    }
}

/// Who is at the other end when the conversation begins.
enum Entry {
    Known(Session),
    /// Nobody knows; the place counts those.
    Unknown {
        place: Place,
        address: Option<IpAddr>,
    },
}

/// Opens the WebSocket of the native protocol.
#[utoipa::path(
    get,
    path = "/ws",
    tag = "websocket",
    description = "Upgrades to the native protocol; see the protocol's own document.",
    responses((status = 101, description = "The subprotocol parlor.v1"), crate::rest::Problems)
)]
pub(crate) async fn upgrade(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    match open(shared, &mut parts).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn open(shared: Arc<Shared>, parts: &mut Parts) -> Result<Response, Problem> {
    let transport = &shared.transport;
    if transport.chat.is_draining() {
        return Err(CloseReason::Restart.into());
    }
    if !admits(&transport.origins, &parts.headers) {
        return Err(foreign());
    }
    let key = handshake_key(&parts.headers)?;
    let subprotocol = subprotocol(&parts.headers)?;
    let on_upgrade = parts.extensions.remove::<OnUpgrade>().ok_or_else(upgrade_required)?;
    // Told only where the host serves with `into_make_service_with_connect_info`.
    let address = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let entry = match identify(&transport.chat, parts).await? {
        Some(identity) => Entry::Known(shared.connect(identity, address).await?),
        None => {
            let place = shared.lobby.enter(address).ok_or(CloseReason::Unavailable)?;
            Entry::Unknown { place, address }
        }
    };
    // On its own: the request ends now, the connection may last for days.
    let span = tracing::info_span!(parent: None, "parlor.ws", session = Empty, user = Empty);
    tokio::spawn(converse(shared, on_upgrade, entry).instrument(span));

    let accept = derive_accept_key(key.as_bytes());
    let mut response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(subprotocol) = subprotocol {
        response = response.header(header::SEC_WEBSOCKET_PROTOCOL, subprotocol);
    }
    response.body(Body::empty()).map_err(|_| {
        // Every value above is plain ASCII, so this is never taken.
        Problem::from(Refusal::new(ErrorCode::Internal, "internal error"))
    })
}

async fn converse(shared: Arc<Shared>, on_upgrade: OnUpgrade, entry: Entry) {
    // The answer has to reach the client first; one that does not take it is not waited for.
    let upgraded = tokio::time::timeout(shared.transport.auth_deadline, on_upgrade).await;
    if let Ok(Ok(upgraded)) = upgraded {
        let max_frame = shared.transport.max_frame;
        match tcp(upgraded) {
            Ok((tcp, read, held)) => {
                let pipe = Pipe::new(tcp, shared.writers.queue());
                let wire = Wire::shared(pipe, &read, max_frame).await;
                // Even an empty one holds on to the 16 KiB that the request was read into.
                drop(read);
                socket::run(wire, &shared, entry).await;
                drop(held);
            }
            Err(other) => {
                let wire = Wire::new(TokioIo::new(other), &[], max_frame).await;
                // Rarer, so it does not widen the common future.
                Box::pin(socket::run(wire, &shared, entry)).await;
            }
        }
    }
}

/// The TCP connection itself, with what was read from it already and what the host holds for it, where the host serves
/// plain TCP as `axum::serve` does, or [`ServedTcp`]. Small frames leave it at once: Nagle's algorithm would hold them
/// back for an acknowledgement.
fn tcp(upgraded: Upgraded) -> Result<(TcpStream, Bytes, Held), Upgraded> {
    let (tcp, read, held) = match io::<TcpStream>(upgraded) {
        Ok((tcp, read)) => (tcp, read, None),
        Err(upgraded) => {
            let (served, read) = io::<ServedTcp>(upgraded)?;
            let (tcp, held) = served.into_parts();
            (tcp, read, held)
        }
    };
    if let Err(error) = tcp.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY cannot be set");
    }
    Ok((tcp, read, held))
}

/// What hyper was given to serve, if it is of this type: by itself, or by hyper-util, which has wrapped it once more.
fn io<T>(upgraded: Upgraded) -> Result<(T, Bytes), Upgraded>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    match downcast::<TokioIo<T>>(upgraded) {
        Ok(parts) => Ok((parts.io.into_inner(), parts.read_buf)),
        Err(upgraded) => {
            let parts = upgraded.downcast::<TokioIo<T>>()?;
            Ok((parts.io.into_inner(), parts.read_buf))
        }
    }
}

/// The key of a well-formed handshake (RFC 6455, section 4.2.1).
fn handshake_key(headers: &HeaderMap) -> Result<HeaderValue, Problem> {
    let has = |name: HeaderName, token: &str| {
        tokens(headers, name).any(|given| given.eq_ignore_ascii_case(token))
    };
    let upgrades = has(header::CONNECTION, "upgrade")
        && has(header::UPGRADE, "websocket")
        && has(header::SEC_WEBSOCKET_VERSION, "13");
    if !upgrades {
        return Err(upgrade_required());
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY);
    // 16 bytes in base64 are 24 characters, the last two of them padding.
    key.filter(|key| key.len() == 24 && key.as_bytes().ends_with(b"=="))
        .cloned()
        .ok_or_else(|| bad_request("sec-websocket-key", "must be 16 bytes in base64"))
}

/// The subprotocol to name in the answer: none when the client offers none.
fn subprotocol(headers: &HeaderMap) -> Result<Option<&'static str>, Problem> {
    let mut offered = tokens(headers, header::SEC_WEBSOCKET_PROTOCOL).peekable();
    if offered.peek().is_none() {
        return Ok(None);
    }
    if offered.any(|offered| offered == SUBPROTOCOL) {
        return Ok(Some(SUBPROTOCOL));
    }
    Err(bad_request("sec-websocket-protocol", "must offer parlor.v1, or nothing"))
}

/// The comma-separated values of a header.
fn tokens(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

fn bad_request(field: &'static str, reason: &'static str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, Refusal::invalid(field, reason))
}

fn upgrade_required() -> Problem {
    let refusal = Refusal::new(ErrorCode::Invalid, "this is a WebSocket, version 13");
    Problem::new(StatusCode::UPGRADE_REQUIRED, refusal)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use hyper::{body::Incoming, server::conn::http1, service::service_fn};
    use tokio::{io::AsyncWriteExt, net::TcpListener, sync::mpsc};

    use super::*;

    /// What becomes of a connection that is upgraded, and its other end.
    async fn upgraded<T>(wrap: impl FnOnce(TcpStream) -> T) -> (TcpStream, Upgraded)
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let head =
            b"GET / HTTP/1.1\r\nhost: here\r\nconnection: upgrade\r\nupgrade: it\r\n\r\nmore";
        client.write_all(head).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let answer = service_fn(move |mut request: http::Request<Incoming>| {
            sender.send(hyper::upgrade::on(&mut request)).unwrap();
            let mut response = http::Response::new(Body::empty());
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("it"));
            async move { Ok::<_, Infallible>(response) }
        });
        let io = TokioIo::new(wrap(server));
        http1::Builder::new().serve_connection(io, answer).with_upgrades().await.unwrap();
        (client, receiver.recv().await.unwrap().await.unwrap())
    }

    #[tokio::test]
    async fn the_tcp_connection_is_taken_out_of_what_is_served() {
        let (_client, plain) = upgraded(|tcp| tcp).await;
        let (_, read, held) = tcp(plain).unwrap();
        assert_eq!(read, "more");
        assert!(held.is_none());

        let place = Arc::new(());
        let kept = Arc::clone(&place);
        let (_client, served) = upgraded(|tcp| ServedTcp::new(tcp).hold(kept)).await;
        let (_, read, held) = tcp(served).unwrap();
        assert_eq!(read, "more");
        assert_eq!(Arc::strong_count(&place), 2, "it is held");
        drop(held);
        assert_eq!(Arc::strong_count(&place), 1);
    }
}
