//! The HTTP requests under Socket.IO: what is let through to the protocol, and how a WebSocket is opened.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    body::Body,
    extract::{ConnectInfo, OriginalUri, Query, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::request::Parts;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::{rt::TokioIo, server::conn::auto::upgrade::downcast};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::{
    line::Pipe, link::Link, stream::LinkedStream, transport::Shared, websocket::is_counted,
};

/// The answer that opens a session is shorter.
const OPEN_BYTES: usize = 4096;

/// Between the packets of a request (Engine.IO 4).
const SEPARATOR: u8 = 0x1e;
/// The packet of a client that goes.
pub(crate) const CLOSE: &[u8] = b"1";
/// Headers that open a WebSocket (RFC 6455, section 4.1).
const OF_WEBSOCKET: [HeaderName; 5] = [
    header::CONNECTION,
    header::UPGRADE,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_VERSION,
    header::SEC_WEBSOCKET_EXTENSIONS,
];
/// Packets of a request that are passed on at once.
const PIECE: usize = 32;

/// The parameters that the protocol puts into the query.
#[derive(Debug, Default, Deserialize)]
struct Params {
    #[serde(rename = "EIO")]
    version: Option<String>,
    transport: Option<String>,
    sid: Option<String>,
}

/// Takes any request to the Socket.IO path.
pub(crate) async fn serve(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    if !admits(&shared, &parts.headers) {
        return Refused::Origin.into_response();
    }
    let Ok(Query(params)) = Query::<Params>::try_from_uri(&parts.uri) else {
        return Refused::Transport.into_response();
    };
    if params.version.as_deref() != Some("4") {
        return Refused::Version.into_response();
    }
    let link = match &params.sid {
        Some(sid) => match shared.links.get(sid).filter(|link| !link.is_closed()) {
            Some(link) => link,
            None => return Refused::Session.into_response(),
        },
        None => match open(&shared, &mut parts) {
            Ok(link) => link,
            Err(refused) => return refused.into_response(),
        },
    };
    let answered = match (params.transport.as_deref(), parts.method == Method::GET) {
        (Some("websocket"), true) => upgrade(&shared, link, parts),
        (Some("polling"), true) => {
            copy(&mut parts);
            Ok(poll(&shared, link, params.sid, Request::from_parts(parts, body)).await)
        }
        (Some("polling"), false) if params.sid.is_some() && parts.method == Method::POST => {
            Ok(post(&shared, &link, parts, body).await)
        }
        _ => Err(Refused::Transport),
    };
    answered.unwrap_or_else(IntoResponse::into_response)
}

/// Whether the request comes from a page that is let in, or from none.
pub(crate) fn admits(shared: &Shared, headers: &HeaderMap) -> bool {
    let value = |name| headers.get(name).map(HeaderValue::as_bytes);
    shared.origins.admit(value(header::ORIGIN), value(header::HOST))
}

/// A connection to be. What it is told later comes through its link, which travels with the request.
fn open(shared: &Shared, parts: &mut Parts) -> Result<Arc<Link>, Refused> {
    if shared.chat.is_draining() {
        return Err(Refused::Unavailable);
    }
    let address = address(parts);
    let place = shared.lobby.enter(address).ok_or(Refused::Unavailable)?;
    let link = Arc::new(Link::new(address, Some(place)));
    parts.extensions.insert(Arc::clone(&link));
    Ok(link)
}

/// The protocol keeps the head of the request that opened a session for as long as it lasts. A copy, for what
/// hyper gives holds on to the 16 KiB that the request was read into. Without what opened the WebSocket: it says
/// nothing about the client.
fn copy(parts: &mut Parts) {
    let kept = || parts.headers.iter().filter(|(name, _)| !OF_WEBSOCKET.contains(name));
    let mut headers = HeaderMap::with_capacity(kept().count());
    for (name, value) in kept() {
        let copies =
            (name.as_str().parse::<HeaderName>(), HeaderValue::from_bytes(value.as_bytes()));
        // Both were valid before.
        if let (Ok(name), Ok(mut copy)) = copies {
            copy.set_sensitive(value.is_sensitive());
            headers.append(name, copy);
        }
    }
    parts.headers = headers;
    if let Ok(uri) = parts.uri.to_string().parse() {
        parts.uri = uri;
    }
    if let Some(OriginalUri(uri)) = parts.extensions.get_mut()
        && let Ok(copy) = uri.to_string().parse()
    {
        *uri = copy;
    }
}

/// Told only where the host serves with `into_make_service_with_connect_info`.
fn address(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip())
}

/// A request of a polling client for what waits, or for a new session.
async fn poll(shared: &Shared, link: Arc<Link>, sid: Option<String>, request: Request) -> Response {
    if sid.is_none() {
        let response = shared.engine.call(request).await;
        return remember(shared, &link, response).await;
    }
    tokio::select! {
        response = shared.engine.call(request) => written(&link, response).await,
        () = link.until(Link::is_closed) => Refused::Session.into_response(),
    }
}

/// Counts what an answer brings to a polling client.
async fn written(link: &Link, response: Response) -> Response {
    let (parts, body) = response.into_parts();
    // In memory already, and bounded by what may be handed over at once.
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else {
        return Refused::Unavailable.into_response();
    };
    let packets = body.split(|byte| *byte == SEPARATOR);
    link.written(packets.filter(|packet| is_counted(packet)).count());
    Response::from_parts(parts, Body::from(body))
}

/// What a polling client sends. Passed on piece by piece, as room is made for it: the request waits, and
/// with it the client.
async fn post(shared: &Shared, link: &Link, parts: Parts, body: Body) -> Response {
    let pass_on =
        |body: Vec<u8>| shared.engine.call(Request::from_parts(parts.clone(), Body::from(body)));
    let Ok(body) = axum::body::to_bytes(body, shared.max_message).await else {
        // As a server that speaks the protocol itself does: what is over the limit ends the session.
        pass_on(CLOSE.to_vec()).await;
        return Refused::TooBig.into_response();
    };
    let packets: Vec<&[u8]> = body.split(|byte| *byte == SEPARATOR).collect();
    let mut response = Refused::Session.into_response();
    for piece in packets.chunks(PIECE) {
        link.until(|link| link.takes_more() || link.is_closed()).await;
        response = pass_on(piece.join(&SEPARATOR)).await;
        if response.status() != StatusCode::OK {
            break;
        }
    }
    response
}

/// Remembers the session that an answer opens, so that later requests find its link.
async fn remember(shared: &Shared, link: &Arc<Link>, response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let Ok(body) = axum::body::to_bytes(body, OPEN_BYTES).await else {
        return Refused::Unavailable.into_response();
    };
    #[derive(Deserialize)]
    struct Opened {
        sid: String,
    }
    let opened = body.strip_prefix(b"0").map(serde_json::from_slice::<Opened>);
    if let Some(Ok(Opened { sid })) = opened {
        shared.links.insert(sid, link);
    }
    Response::from_parts(parts, Body::from(body))
}

/// Opens a WebSocket: a new session's, or that of a session that began by polling.
fn upgrade(shared: &Arc<Shared>, link: Arc<Link>, mut parts: Parts) -> Result<Response, Refused> {
    let key = handshake_key(&parts.headers).ok_or(Refused::Upgrade)?;
    let on_upgrade = parts.extensions.remove::<OnUpgrade>().ok_or(Refused::Upgrade)?;
    copy(&mut parts);
    let response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, derive_accept_key(key.as_bytes()))
        .body(Body::empty())
        // Every value above is plain ASCII, so this is never taken.
        .map_err(|_| Refused::Upgrade)?;
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let upgraded = tokio::time::timeout(shared.auth_deadline, on_upgrade).await;
        let Ok(Ok(upgraded)) = upgraded else { return };
        let request = Request::from_parts(parts, ());
        let deadline = shared.write_deadline;
        match tcp(upgraded) {
            Ok((tcp, early)) => {
                // A session has one WebSocket.
                let Some(pipe) = Pipe::open(tcp, &link) else { return };
                let stream = LinkedStream::new(pipe, early, link, deadline);
                shared.engine.open_websocket(stream, request);
            }
            Err(other) => {
                let io = TokioIo::new(other);
                let stream = LinkedStream::new(io, Bytes::new(), link, deadline);
                shared.engine.open_websocket(stream, request);
            }
        }
    });
    Ok(response)
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
    // A copy, for even an empty one holds on to the 16 KiB that the request was read into.
    Ok((tcp, Bytes::copy_from_slice(&read)))
}

/// The key of a well-formed handshake (RFC 6455, section 4.2.1).
fn handshake_key(headers: &HeaderMap) -> Option<HeaderValue> {
    let has = |name: HeaderName, token: &str| {
        headers
            .get_all(name)
            .into_iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|given| given.trim().eq_ignore_ascii_case(token))
    };
    let upgrades = has(header::CONNECTION, "upgrade")
        && has(header::UPGRADE, "websocket")
        && has(header::SEC_WEBSOCKET_VERSION, "13");
    let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|_| upgrades)?;
    // 16 bytes in base64 are 24 characters, the last two of them padding.
    (key.len() == 24 && key.as_bytes().ends_with(b"==")).then(|| key.clone())
}

/// Why a request is not let through, as Engine.IO writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Transport,
    Session,
    Upgrade,
    Origin,
    Version,
    TooBig,
    Unavailable,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, code, message) = match self {
            Self::Transport => (StatusCode::BAD_REQUEST, 0, "Transport unknown"),
            Self::Session => (StatusCode::BAD_REQUEST, 1, "Session ID unknown"),
            Self::Upgrade => (StatusCode::BAD_REQUEST, 3, "Bad request"),
            Self::Origin => (StatusCode::FORBIDDEN, 4, "Forbidden: this origin is not allowed"),
            Self::Version => (
                StatusCode::BAD_REQUEST,
                5,
                "Unsupported protocol version: this server speaks Socket.IO 3 and 4, use \
                 socket.io-client 4",
            ),
            Self::TooBig => (StatusCode::PAYLOAD_TOO_LARGE, 3, "Payload too large"),
            Self::Unavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, 4, "temporarily unavailable, try again")
            }
        };
        (status, axum::Json(serde_json::json!({ "code": code, "message": message })))
            .into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_request_does_not_hold_on_to_its_buffer() {
        let read = Bytes::from(b"/socket.io/?EIO=4 Bearer abc".to_vec());
        let within = read.as_ptr_range();
        let mut request = http::Request::builder()
            .uri(http::Uri::from_maybe_shared(read.slice(..17)).unwrap())
            .header("x-own", HeaderValue::from_maybe_shared(read.slice(18..28)).unwrap())
            .header("x-own", "another");
        let headers = request.headers_mut().unwrap();
        headers
            .append("authorization", HeaderValue::from_maybe_shared(read.slice(18..28)).unwrap());
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        parts.extensions.insert(OriginalUri(parts.uri.clone()));
        let before = (parts.headers.clone(), parts.uri.clone());
        parts.headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        copy(&mut parts);
        assert_eq!((&parts.headers, &parts.uri), (&before.0, &before.1));
        let OriginalUri(original) = parts.extensions.get().unwrap();
        let values = parts.headers.values().map(HeaderValue::as_bytes);
        let uris = [&parts.uri, original].map(|uri| uri.query().unwrap().as_bytes());
        for kept in values.chain(uris) {
            assert!(!within.contains(&kept.as_ptr()));
        }
    }
}
