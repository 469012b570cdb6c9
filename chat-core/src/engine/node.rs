//! The parts of one running engine, put together.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::FutureExt;
use parking_lot::RwLock;
use tokio::sync::{Semaphore, watch};
use uuid::Uuid;

use super::{
    Config,
    budget::Budget,
    committer::Committer,
    cursors::CursorWriter,
    hooks::Hooks,
    inflight::Inflight,
    outage::{Outage, Outages},
    people::People,
    publisher::Publisher,
    receipts::Receipts,
    registry::Registry,
    rooms::Rooms,
    typing::TypingBoard,
};
use crate::{
    BackendError, BackendErrorKind, Clock, Error, Timestamp,
    model::NodeId,
    store::Store,
    traits::{
        AccessPolicy, Authenticator, Bus, MembershipSource, Presence, RateLimiter, UserDirectory,
    },
};

/// What the host brought.
#[derive(Debug)]
pub(super) struct Backends {
    pub(super) store: Arc<dyn Store>,
    pub(super) bus: Arc<dyn Bus>,
    pub(super) presence: Arc<dyn Presence>,
    pub(super) limiter: Arc<dyn RateLimiter>,
    pub(super) policy: Arc<dyn AccessPolicy>,
    pub(super) directory: Arc<dyn UserDirectory>,
    pub(super) authenticator: Option<Arc<dyn Authenticator>>,
    pub(super) membership: Option<Arc<dyn MembershipSource>>,
    pub(super) clock: Arc<dyn Clock>,
}

/// One running engine. Each field is a part with a duty of its own; the verbs know which they need.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: NodeId,
    pub(super) config: Config,
    pub(super) backends: Backends,
    pub(super) registry: Registry,
    pub(super) rooms: Rooms,
    pub(super) budget: Arc<Budget>,
    pub(super) committer: Committer,
    pub(super) cursors: CursorWriter,
    pub(super) receipts: Receipts,
    pub(super) typing: TypingBoard,
    pub(super) people: People,
    pub(super) publisher: Publisher,
    pub(super) hooks: Hooks,
    pub(super) gaps: super::catchup::Gaps,
    pub(super) inflight: Arc<Inflight>,
    pub(super) outages: Outages,
    pub(super) resumes: Semaphore,
    pub(super) epoch: RwLock<Uuid>,
    pub(super) draining: AtomicBool,
}

/// Ends when the last handle of the engine is dropped. Background tasks wait for it beside their work.
#[derive(Debug, Clone)]
pub(super) struct Life(watch::Receiver<()>);

impl Life {
    pub(super) fn new() -> (watch::Sender<()>, Self) {
        let (sender, receiver) = watch::channel(());
        (sender, Self(receiver))
    }

    /// Waits for the end.
    pub(super) async fn ended(&mut self) {
        // Nothing is ever sent: the only change is the sender's end.
        while self.0.changed().await.is_ok() {}
    }
}

impl Node {
    pub(super) fn now(&self) -> Timestamp {
        self.backends.clock.now()
    }

    pub(super) fn store(&self) -> &dyn Store {
        &*self.backends.store
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Runs a change to its end in a task of its own, whatever becomes of the caller. The caller waits
    /// at most the store's deadline; then the outcome is unknown to them.
    pub(super) async fn detached<T, F>(
        self: &Arc<Self>,
        operation: &'static str,
        work: F,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let inflight = self.inflight.begin();
        let task = tokio::spawn(async move {
            let _inflight = inflight;
            work.await
        });
        match tokio::time::timeout(self.config.store_deadline, task).await {
            Ok(Ok(result)) => result,
            // It panicked, and how far it came nobody knows.
            Ok(Err(failure)) => Err(Error::Unavailable(
                BackendError::new(BackendErrorKind::Unavailable, operation).with_source(failure),
            )),
            Err(late) => Err(Error::Unavailable(
                BackendError::new(BackendErrorKind::Unavailable, operation).with_source(late),
            )),
        }
    }

    /// Waits for a backend of the host, as [`Node::attempt`] does, and logs a failure.
    pub(super) async fn read<T>(
        &self,
        operation: &'static str,
        query: impl Future<Output = Result<T, BackendError>>,
    ) -> Result<T, Error> {
        self.attempt(operation, query).await.map_err(|error| {
            tracing::warn!(%error, operation, "backend failed");
            Error::from(error)
        })
    }

    /// Waits for a backend of the host, at most the store's deadline. A panic in it is contained: the
    /// engine's own tasks call from here and must outlive it.
    pub(super) async fn attempt<T>(
        &self,
        operation: &'static str,
        query: impl Future<Output = Result<T, BackendError>>,
    ) -> Result<T, BackendError> {
        let query = AssertUnwindSafe(query).catch_unwind();
        match tokio::time::timeout(self.config.store_deadline, query).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => {
                tracing::error!(operation, "a backend panicked");
                Err(BackendError::new(BackendErrorKind::Other, operation))
            }
            Err(late) => {
                Err(BackendError::new(BackendErrorKind::Unavailable, operation).with_source(late))
            }
        }
    }

    /// Waits for a backend without which chat goes on: failing, it is counted, and logged once.
    pub(super) async fn tolerate<T>(
        &self,
        outage: &Outage,
        call: impl Future<Output = Result<T, BackendError>>,
    ) -> Result<T, BackendError> {
        let result = self.attempt(outage.operation, call).await;
        outage.note(&result);
        result
    }
}
