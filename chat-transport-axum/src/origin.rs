//! Which pages may talk to the server.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use parlor_core::{ErrorCode, transport::Origins};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::{
    error::{Problem, Refusal},
    http_layer::REQUEST_ID,
    ws::Shared,
};

/// Whether a request with these headers may be carried out.
pub(crate) fn admits(origins: &Origins, headers: &HeaderMap) -> bool {
    let value = |name| headers.get(name).map(HeaderValue::as_bytes);
    origins.admit(value(header::ORIGIN), value(header::HOST))
}

/// The CORS headers for the origins that are let in; a page of the server's own needs none.
pub(crate) fn cors(origins: &Origins) -> CorsLayer {
    let layer = CorsLayer::new()
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, REQUEST_ID])
        .expose_headers([REQUEST_ID, header::RETRY_AFTER])
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

/// Refuses what a page of a foreign origin wants to change. Reading is kept from it by CORS.
pub(crate) async fn guard(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    if !request.method().is_safe() && !admits(&shared.transport.origins, request.headers()) {
        return foreign().into_response();
    }
    next.run(request).await
}

/// The answer to a foreign origin.
pub(crate) fn foreign() -> Problem {
    let refusal = Refusal::new(ErrorCode::Forbidden, "this origin is not allowed");
    Problem::new(StatusCode::FORBIDDEN, refusal)
}
