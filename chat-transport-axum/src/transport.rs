//! Settings of the transport, and the router made of them.

use std::{sync::Arc, time::Duration};

use axum::Router;
use parlor_core::{Chat, transport::Origins};

use crate::{codec::NativeCodec, http_layer, origin, rest, ws};

/// The router with the defaults of [`Transport`]: `/ws`, the REST routes and `/openapi.json`.
///
/// `S` is the state of the host's router, whatever it is.
pub fn router<S: Clone + Send + Sync + 'static>(chat: Chat) -> Router<S> {
    Transport::new(chat).router()
}

/// Settings of the transport. All have defaults that work.
#[derive(Debug, Clone)]
#[must_use]
pub struct Transport {
    pub(crate) chat: Chat,
    pub(crate) codec: Arc<NativeCodec>,
    pub(crate) origins: Origins,
    pub(crate) auth_deadline: Duration,
    pub(crate) write_deadline: Duration,
    pub(crate) ping_interval: Duration,
    pub(crate) pong_deadline: Duration,
    pub(crate) max_frame: usize,
    pub(crate) body_limit: usize,
    pub(crate) max_unauthenticated: usize,
    pub(crate) max_unauthenticated_per_address: usize,
}

impl Transport {
    /// The defaults.
    pub fn new(chat: Chat) -> Self {
        Self {
            chat,
            codec: Arc::new(NativeCodec),
            origins: Origins::default(),
            auth_deadline: Duration::from_secs(10),
            write_deadline: Duration::from_secs(10),
            ping_interval: Duration::from_secs(25),
            pong_deadline: Duration::from_secs(10),
            max_frame: 256 * 1024,
            body_limit: 256 * 1024,
            max_unauthenticated: 10_000,
            max_unauthenticated_per_address: 1_000,
        }
    }

    /// Also lets pages of these origins in, over the WebSocket and (by CORS, with credentials) over REST.
    /// Written as browsers do: `https://app.example.com`. Defaults to none: only pages of the very
    /// host that they ask, and clients that are no browsers and send no `Origin`.
    pub fn allow_origins<I>(mut self, origins: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.origins.allow(origins);
        self
    }

    /// Lets pages of all origins in, for public servers whose clients show tokens. Their browsers'
    /// cookies do not come along over REST. Do not combine it with a host session in a cookie: over the WebSocket
    /// any page could then act as its visitor. Defaults to off.
    pub fn allow_any_origin(mut self) -> Self {
        self.origins = Origins::any();
        self
    }

    /// A WebSocket has said who it is within this time. Defaults to 10 s.
    pub fn auth_deadline(mut self, deadline: Duration) -> Self {
        self.auth_deadline = deadline;
        self
    }

    /// A client takes 16 KiB of what waits for it within this time, or is closed as too slow.
    /// Defaults to 10 s.
    pub fn write_deadline(mut self, deadline: Duration) -> Self {
        self.write_deadline = deadline;
        self
    }

    /// A client from which nothing came for this time is sent a ping. Defaults to 25 s.
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.ping_interval = interval;
        self
    }

    /// A client that was sent a ping gives a sign of life within this time. Defaults to 10 s.
    pub fn pong_deadline(mut self, deadline: Duration) -> Self {
        self.pong_deadline = deadline;
        self
    }

    /// Bytes of one message on the WebSocket. Defaults to 256 KiB.
    pub fn max_frame(mut self, bytes: usize) -> Self {
        self.max_frame = bytes;
        self
    }

    /// Bytes of the body of one REST request. Defaults to 256 KiB.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// WebSockets at once that have not said yet who they are; more are refused with 503. Defaults to 10,000.
    pub fn max_unauthenticated(mut self, connections: usize) -> Self {
        self.max_unauthenticated = connections;
        self
    }

    /// The same for one address, where the host serves with
    /// `into_make_service_with_connect_info::<SocketAddr>()`. Defaults to 1,000: behind a proxy all
    /// clients may share the proxy's.
    pub fn max_unauthenticated_per_address(mut self, connections: usize) -> Self {
        self.max_unauthenticated_per_address = connections;
        self
    }

    /// The router: `/ws`, the REST routes and `/openapi.json`. It answers for every path beneath it.
    pub fn router<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        let cors = origin::cors(&self.origins);
        let body_limit = self.body_limit;
        let shared = Arc::new(ws::Shared::new(self));
        rest::router(shared)
            .layer(axum::extract::DefaultBodyLimit::max(body_limit))
            .layer(cors)
            .layer(axum::middleware::from_fn(http_layer::observe))
    }
}
