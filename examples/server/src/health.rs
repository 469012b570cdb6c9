//! Whether the process lives, and whether clients may come.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use parlor::{Chat, Error};

/// The database has answered within this time; who asks waits no longer either.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether clients may come.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    chat: Chat,
    leaving: Arc<AtomicBool>,
}

impl Health {
    pub(crate) fn new(chat: Chat) -> Self {
        Self { chat, leaving: Arc::default() }
    }

    /// From now on no more clients may come.
    pub(crate) fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
    }

    /// Serves `/healthz` and `/readyz`.
    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/healthz", get(async || text(StatusCode::OK, "alive")))
            .route("/readyz", get(readiness))
            .with_state(self)
    }
}

async fn readiness(State(health): State<Health>) -> Response {
    if health.leaving.load(Ordering::Acquire) || health.chat.is_draining() {
        return text(StatusCode::SERVICE_UNAVAILABLE, "draining: clients are sent to other nodes");
    }
    match tokio::time::timeout(PATIENCE, health.chat.ready()).await {
        Ok(Ok(())) => text(StatusCode::OK, "ready"),
        // What the database said is in the log.
        Ok(Err(Error::Internal(_))) => {
            text(StatusCode::SERVICE_UNAVAILABLE, "the database answers with an error")
        }
        Ok(Err(_)) => text(StatusCode::SERVICE_UNAVAILABLE, "the database cannot be reached"),
        Err(_) => text(StatusCode::SERVICE_UNAVAILABLE, "the database does not answer in time"),
    }
}

fn text(status: StatusCode, line: &'static str) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], format!("{line}\n")).into_response()
}
