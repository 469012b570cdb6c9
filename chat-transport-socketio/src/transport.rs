//! Settings of the transport, and the router made of them.

use std::{borrow::Cow, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderValue, Method, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::any,
};
use parlor_core::{
    Chat,
    transport::{Lobby, Origins, Writers},
};
use socketioxide::{
    ParserConfig, SocketIo, TransportType, extract::SocketRef, service::SocketIoService,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tower::Service;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::{
    codec::ContractCodec,
    connect::{Mount, open_namespace},
    contract::Contract,
    http::{CLOSE, Refused, admits, serve},
    known::Known,
    link::{BUFFER, Link, Links},
    rest::Rest,
};

/// Kept by every WebSocket for what it reads; larger messages grow it for as long as they last.
const READ: usize = 1024;

/// Settings of the transport. All have defaults that work; it serves one or more contracts, each in a
/// namespace of its own.
#[derive(Debug)]
#[must_use]
pub struct Transport {
    chat: Chat,
    contracts: Vec<Arc<dyn Contract>>,
    path: Cow<'static, str>,
    origins: Origins,
    auth_deadline: Duration,
    write_deadline: Duration,
    ping_interval: Duration,
    ping_timeout: Duration,
    max_message: usize,
    max_unauthenticated: usize,
    max_unauthenticated_per_address: usize,
}

impl Transport {
    /// The defaults, without a contract.
    pub fn new(chat: Chat) -> Self {
        Self {
            chat,
            contracts: Vec::new(),
            path: "/socket.io".into(),
            origins: Origins::default(),
            auth_deadline: Duration::from_secs(10),
            write_deadline: Duration::from_secs(10),
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            max_message: 1_000_000,
            max_unauthenticated: 10_000,
            max_unauthenticated_per_address: 5_000,
        }
    }

    /// Serves a contract. Each of several needs a namespace and REST routes of its own; those that
    /// share a namespace go to transports of their own, with other paths or on other listeners.
    pub fn contract(mut self, contract: impl Contract) -> Self {
        self.contracts.push(Arc::new(contract));
        self
    }

    /// Where Socket.IO is served, the client's option `path`. Defaults to `/socket.io`.
    pub fn path(mut self, path: impl Into<Cow<'static, str>>) -> Self {
        self.path = path.into();
        self
    }

    /// Also lets pages of these origins in, written as browsers do: `https://app.example.com`.
    /// Defaults to none: only pages of the very host that they ask, and clients that are no browsers.
    pub fn allow_origins<I>(mut self, origins: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.origins.allow(origins);
        self
    }

    /// Lets pages of all origins in, for public servers whose clients show tokens. Defaults to off.
    pub fn allow_any_origin(mut self) -> Self {
        self.origins = Origins::any();
        self
    }

    /// A connection names a namespace and says who it is within this time. Defaults to 10 s.
    pub fn auth_deadline(mut self, deadline: Duration) -> Self {
        self.auth_deadline = deadline;
        self
    }

    /// A client takes some of what waits for it within this time, or is closed as too slow; it may
    /// connect again. Defaults to 10 s.
    pub fn write_deadline(mut self, deadline: Duration) -> Self {
        self.write_deadline = deadline;
        self
    }

    /// How often clients are sent a ping. Defaults to 25 s.
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.ping_interval = interval;
        self
    }

    /// A client answers a ping within this time. Defaults to 20 s.
    pub fn ping_timeout(mut self, timeout: Duration) -> Self {
        self.ping_timeout = timeout;
        self
    }

    /// Bytes of one message, of one request of a polling client, and of a REST request's body. A
    /// connection that sends more is closed. Defaults to 1,000,000, as Socket.IO servers have it.
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }

    /// Connections at once that have not said yet who they are; more are refused with 503. Defaults to 10,000.
    pub fn max_unauthenticated(mut self, connections: usize) -> Self {
        self.max_unauthenticated = connections;
        self
    }

    /// The same for one address, where the host serves with
    /// `into_make_service_with_connect_info::<SocketAddr>()`. Defaults to 5,000: behind a proxy all
    /// clients may share the proxy's.
    pub fn max_unauthenticated_per_address(mut self, connections: usize) -> Self {
        self.max_unauthenticated_per_address = connections;
        self
    }

    /// The router: Socket.IO at its path, and the contracts' REST routes.
    pub fn router<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        let (service, io) = SocketIo::builder()
            .req_path(self.path.clone())
            .ping_interval(self.ping_interval)
            .ping_timeout(self.ping_timeout)
            .upgrade_timeout(self.auth_deadline)
            .connect_timeout(self.auth_deadline)
            .max_buffer_size(BUFFER)
            .max_payload(self.max_message as u64)
            .ws_read_buffer_size(READ)
            .ws_max_message_size(self.max_message)
            .ws_max_frame_size(self.max_message)
            .with_parser(ParserConfig::common().max_incoming_binary_buf_size(self.max_message))
            .build_with_inner_svc(Router::new());
        let engine = Engine { service, path: self.path.clone() };
        let shared = Arc::new(Shared {
            chat: self.chat.clone(),
            engine: engine.clone(),
            links: Links::default(),
            lobby: Lobby::new(self.max_unauthenticated, self.max_unauthenticated_per_address),
            origins: self.origins.clone(),
            auth_deadline: self.auth_deadline,
            write_deadline: self.write_deadline,
            max_message: self.max_message,
        });
        let writers = Arc::new(Writers::default());
        let mut routes = Router::new();
        for contract in self.contracts {
            let known = Arc::new(Known::new(self.chat.clone(), contract.shows_profiles()));
            let codec = Arc::new(ContractCodec::new(Arc::clone(&contract), Arc::clone(&known)));
            let mount = Arc::new(Mount {
                chat: self.chat.clone(),
                contract: Arc::clone(&contract),
                known,
                codec,
                auth_deadline: self.auth_deadline,
                write_deadline: self.write_deadline,
                writers: Arc::clone(&writers),
                engine: engine.clone(),
            });
            open_namespace(&io, Arc::clone(&mount));
            routes = routes.merge(contract.routes(Rest::new(mount)));
        }
        let socketio = any(serve).with_state(Arc::clone(&shared));
        routes
            .layer(DefaultBodyLimit::max(self.max_message))
            .layer(middleware::from_fn_with_state(Arc::clone(&shared), guard))
            .route(&self.path, socketio.clone())
            .route(&format!("{}/", self.path), socketio)
            .layer(cors(&self.origins))
            .with_state(())
    }
}

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) chat: Chat,
    pub(crate) engine: Engine,
    pub(crate) links: Links,
    pub(crate) lobby: Arc<Lobby>,
    pub(crate) origins: Origins,
    pub(crate) auth_deadline: Duration,
    pub(crate) write_deadline: Duration,
    pub(crate) max_message: usize,
}

/// The protocol's own machine.
#[derive(Clone)]
pub(crate) struct Engine {
    /// What is no request of the protocol would go to the router, which has nothing.
    service: SocketIoService<Router>,
    path: Cow<'static, str>,
}

impl Engine {
    /// Gives it a request.
    pub(crate) async fn call(&self, request: Request) -> Response {
        let mut service = self.service.clone();
        match Service::<Request>::call(&mut service, request).await {
            Ok(response) => response.map(Body::new),
            Err(never) => match never {},
        }
    }

    /// Gives it an open WebSocket.
    pub(crate) fn open_websocket<T>(&self, stream: T, request: http::Request<()>)
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let mut service = self.service.clone();
        // It says at once whether it takes the request, and runs the connection in tasks of its own.
        drop(Service::<(T, http::Request<()>)>::call(&mut service, (stream, request)));
    }

    /// Ends a client's connection, so that it connects again by itself unless it was told otherwise.
    pub(crate) async fn close(&self, socket: &SocketRef, link: &Link) {
        if socket.transport_type() == TransportType::Polling {
            // As if the client had said that it goes: the session ends at once.
            let uri = format!("{}/?EIO=4&transport=polling&sid={}", self.path, socket.id);
            if let Ok(request) = Request::builder().method(Method::POST).uri(uri).body(CLOSE.into())
            {
                self.call(request).await;
            }
        }
        link.close();
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Refuses what a page of a foreign origin wants to change. Reading is kept from it by CORS.
async fn guard(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    if !request.method().is_safe() && !admits(&shared, request.headers()) {
        return Refused::Origin.into_response();
    }
    next.run(request).await
}

/// The CORS headers for the origins that are let in.
fn cors(origins: &Origins) -> CorsLayer {
    let layer = CorsLayer::new()
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
        .expose_headers([header::RETRY_AFTER])
        .max_age(Duration::from_secs(600));
    if origins.are_any() {
        return layer.allow_origin(AllowOrigin::any());
    }
    let listed = origins.clone();
    let allowed = AllowOrigin::predicate(move |origin: &HeaderValue, _: &_| {
        origin.to_str().is_ok_and(|origin| listed.lists(origin))
    });
    layer.allow_origin(allowed).allow_credentials(true)
}
