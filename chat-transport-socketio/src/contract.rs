//! What a host writes to serve front ends of its own.

use std::fmt::Debug;

use async_trait::async_trait;
use axum::Router;
use parlor_core::{Error, model::Identity, traits::Credentials};
use serde_json::{Value, json};

use crate::{
    client::Client, emit::Emit, handshake::Handshake, incoming::Incoming, rest, told::Told,
};

/// The words of one kind of front end: its events, payloads and REST routes.
///
/// Only [`Contract::name`], [`Contract::received`] and [`Contract::outgoing`] have to be written. Who may
/// do what is not decided here: commands pass the engine's checks, policy and quotas like all others.
#[async_trait]
pub trait Contract: Debug + Send + Sync + 'static {
    /// Names the contract. Two contracts of one name must write the same events.
    fn name(&self) -> &'static str;

    /// The Socket.IO namespace. Defaults to `/`.
    fn namespace(&self) -> &'static str {
        "/"
    }

    /// What a client shows to prove who it is. Defaults to `auth.token`, else the `Authorization`
    /// header. The engine's `Authenticator` judges it, for sockets and for REST.
    fn credentials(&self, handshake: &Handshake<'_>) -> Credentials {
        handshake.credentials()
    }

    /// The user that an authenticated identity stands for. Defaults to the identity as it is.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] for one that this contract cannot serve.
    fn identify(&self, identity: Identity) -> Result<Identity, Error> {
        Ok(identity)
    }

    /// How a client is turned away that did not prove who it is. Defaults to [`TurnAway::ConnectError`].
    fn turn_away(&self) -> TurnAway {
        TurnAway::ConnectError
    }

    /// Called once a client is connected, before its first event and before it is told anything. Defaults
    /// to nothing.
    ///
    /// # Errors
    /// Told to the client by [`Contract::refused`]; the connection stays. With [`Error::Unavailable`] it is
    /// closed, and the client connects again by itself.
    async fn connected(&self, client: &Client) -> Result<(), Error> {
        let _ = client;
        Ok(())
    }

    /// Carries out an event of a client and returns what its acknowledgement says, if it asked for
    /// one. A client's events are carried out one after the other, in the order in which it sent them.
    ///
    /// # Errors
    /// Told to the client by [`Contract::refused`].
    async fn received(&self, client: &Client, event: Incoming) -> Result<Value, Error>;

    /// What clients are told of something that happened. Written once for all who are told.
    fn outgoing(&self, told: &Told<'_>) -> Vec<Emit>;

    /// Whether [`Contract::outgoing`] shows names and pictures: then they are looked up for it. Defaults to no.
    fn shows_profiles(&self) -> bool {
        false
    }

    /// Whether clients are told of groups: then [`Told::Created`] has the members of every group, and clients
    /// hear of the presence of those with whom they share one, as many as a session may watch. Defaults to no.
    fn serves_groups(&self) -> bool {
        false
    }

    /// Whether a message that was told to a client counts as delivered to its user: then
    /// [`Client::claim_undelivered`] gives those that never were. Defaults to no.
    fn marks_delivered(&self) -> bool {
        false
    }

    /// What a client is told of an event that was not carried out. Defaults to the event `error`
    /// with `{message}`, and the same as the acknowledgement.
    fn refused(&self, event: &Incoming, error: &Error) -> Refusal {
        let _ = event;
        Refusal::event(Emit::new("error", json!({ "message": error.to_string() })))
    }

    /// The REST routes, which are merged into the host's router. Defaults to none.
    fn routes(&self, rest: rest::Rest) -> Router {
        let _ = rest;
        Router::new()
    }
}

/// How a client is turned away that did not prove who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnAway {
    /// Its `connect_error` event says why, and it was never connected.
    ConnectError,
    /// It is connected, told the contract's error event, and disconnected at once.
    Disconnect,
}

/// What a client is told of an event that was not carried out.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The event.
    pub event: Option<Emit>,
    /// The acknowledgement, for a client that asked for one.
    pub ack: Value,
}

impl Refusal {
    /// An event, and its data as the acknowledgement.
    pub fn event(event: Emit) -> Self {
        let ack = event.data().clone();
        Self { event: Some(event), ack }
    }

    /// Sets what the acknowledgement says.
    #[must_use]
    pub fn with_ack(self, ack: Value) -> Self {
        Self { ack, ..self }
    }
}
