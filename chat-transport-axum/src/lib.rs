//! The axum transport of [parlor](https://docs.rs/parlor): the native WebSocket protocol and REST.
//!
//! [`router`] gives a [`Router`](axum::Router) that a host nests where it likes. The protocol is
//! written down in `docs/protocol.md`.
//!
//! ```no_run
//! # fn host(chat: parlor_core::Chat) -> axum::Router {
//! axum::Router::new().nest("/chat", parlor_transport_axum::router(chat))
//! # }
//! ```
//!
//! Who calls is told by an [`Extension`](axum::Extension) of [`Identity`](parlor_core::model::Identity)
//! that the host's own session layer set, else by the engine's `Authenticator`.

mod codec;
mod error;
mod head;
mod http_layer;
mod identity;
mod origin;
mod reply;
mod rest;
mod served;
mod transport;
mod ws;

pub use codec::{
    Authenticate, CLIENT_TYPES, ClientFrame, Framed, NativeCodec, SetStatus, Undecodable, decode,
};
pub use error::{Problem, Refusal, status};
pub use head::{FRAME_ID_BYTES, FrameId};
pub use reply::{CursorList, MessageList, PresenceList, ProfileList, Sent};
pub use rest::openapi;
pub use served::ServedTcp;
pub use transport::{Transport, router};
pub use ws::answer::{SERVER_TYPES, Welcome, WelcomeLimits};
