//! The WebSocket: from the request to the conversation.

pub(crate) mod answer;
mod lobby;
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
use parlor_core::{CloseReason, ConnectOptions, ErrorCode, Session, model::Identity};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tracing::{Instrument, field::Empty};

use self::wire::Wire;
use crate::{
    error::{Problem, Refusal},
    identity::identify,
    origin::foreign,
    transport::Transport,
};

/// The subprotocol, version 1.
pub(crate) const SUBPROTOCOL: &str = "parlor.v1";

/// What all requests and connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) transport: Transport,
    lobby: Arc<lobby::Lobby>,
}

impl Shared {
    pub(crate) fn new(transport: Transport) -> Self {
        let (all, per_address) =
            (transport.max_unauthenticated, transport.max_unauthenticated_per_address);
        Self { transport, lobby: lobby::Lobby::new(all, per_address) }
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
        place: lobby::Place,
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
    if !transport.origins.admit(&parts.headers) {
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
            Ok((tcp, read)) => {
                let wire = Wire::new(tcp, &read, max_frame).await;
                // Even an empty one holds on to the 16 KiB that the request was read into.
                drop(read);
                socket::run(wire, &shared, entry).await;
            }
            Err(other) => {
                let wire = Wire::new(TokioIo::new(other), &[], max_frame).await;
                // Rarer, so it does not widen the common future.
                Box::pin(socket::run(wire, &shared, entry)).await;
            }
        }
    }
}

/// The TCP connection itself, with what was read from it already, where the host serves plain TCP as
/// `axum::serve` does. Small frames leave it at once: Nagle's algorithm would hold them back for an acknowledgement.
fn tcp(upgraded: Upgraded) -> Result<(TcpStream, Bytes), Upgraded> {
    let (tcp, read) = match downcast::<TokioIo<TcpStream>>(upgraded) {
        Ok(parts) => (parts.io.into_inner(), parts.read_buf),
        Err(upgraded) => {
            let parts = upgraded.downcast::<TokioIo<TcpStream>>()?;
            (parts.io.into_inner(), parts.read_buf)
        }
    };
    if let Err(error) = tcp.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY cannot be set");
    }
    Ok((tcp, read))
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
