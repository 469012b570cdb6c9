//! Which pages may talk to the server.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use parlor_core::ErrorCode;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::{
    error::{Problem, Refusal},
    http_layer::REQUEST_ID,
    ws::Shared,
};

/// The origins that are allowed besides the server's own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origins {
    any: bool,
    listed: BTreeSet<String>,
}

impl Origins {
    pub(crate) fn any() -> Self {
        Self { any: true, listed: BTreeSet::new() }
    }

    pub(crate) fn allow(&mut self, origins: impl Iterator<Item = String>) {
        self.listed.extend(origins.map(|origin| normal(&origin)));
    }

    /// Whether a request with these headers may be carried out. Without an `Origin` it does not come from a page.
    pub(crate) fn admit(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        if self.any {
            return true;
        }
        let Ok(origin) = origin.to_str() else { return false };
        let origin = normal(origin);
        self.listed.contains(&origin) || is_own(&origin, headers)
    }

    /// The CORS headers for the same origins; a page of the server's own needs none.
    pub(crate) fn cors(&self) -> CorsLayer {
        let layer = CorsLayer::new()
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
            .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, REQUEST_ID])
            .expose_headers([REQUEST_ID, header::RETRY_AFTER])
            .max_age(Duration::from_secs(600));
        if self.any {
            return layer.allow_origin(AllowOrigin::any());
        }
        let listed = self.listed.clone();
        let allowed = AllowOrigin::predicate(move |origin: &HeaderValue, _: &_| {
            origin.to_str().is_ok_and(|origin| listed.contains(&normal(origin)))
        });
        layer.allow_origin(allowed).allow_credentials(true)
    }
}

/// Refuses what a page of a foreign origin wants to change. Reading is kept from it by CORS.
pub(crate) async fn guard(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    if !request.method().is_safe() && !shared.transport.origins.admit(request.headers()) {
        return foreign().into_response();
    }
    next.run(request).await
}

/// The answer to a foreign origin.
pub(crate) fn foreign() -> Problem {
    let refusal = Refusal::new(ErrorCode::Forbidden, "this origin is not allowed");
    Problem::new(StatusCode::FORBIDDEN, refusal)
}

/// Lower case, without the scheme's own port and a slash at the end.
fn normal(origin: &str) -> String {
    let origin = origin.trim().trim_end_matches('/').to_ascii_lowercase();
    let default_port = if origin.starts_with("https://") { ":443" } else { ":80" };
    origin.strip_suffix(default_port).map_or(origin.clone(), str::to_owned)
}

fn is_own(origin: &str, headers: &HeaderMap) -> bool {
    let own = |name: HeaderName| headers.get(name).and_then(|host| host.to_str().ok());
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let Some(host) = own(header::HOST) else { return false };
    matches!(scheme, "http" | "https")
        && normal(&format!("{scheme}://{host}")) == origin
        && !authority.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(origins: &Origins, origin: Option<&str>, host: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        origins.admit(&headers)
    }

    #[test]
    fn by_default_only_the_servers_own_pages_and_no_pages_at_all() {
        let origins = Origins::default();
        assert!(admits(&origins, None, "chat.example"));
        assert!(admits(&origins, Some("https://chat.example"), "chat.example"));
        assert!(admits(&origins, Some("https://Chat.example"), "chat.example:443"));
        assert!(admits(&origins, Some("http://localhost:3000"), "localhost:3000"));
        assert!(!admits(&origins, Some("http://localhost:3001"), "localhost:3000"));
        assert!(!admits(&origins, Some("https://evil.example"), "chat.example"));
        assert!(!admits(&origins, Some("https://chat.example.evil.example"), "chat.example"));
        assert!(!admits(&origins, Some("file://chat.example"), "chat.example"));
        assert!(!admits(&origins, Some("null"), "chat.example"));
    }

    #[test]
    fn listed_origins_are_allowed_whole_and_any_means_any() {
        let mut origins = Origins::default();
        origins.allow(["https://app.example/".to_owned()].into_iter());
        assert!(admits(&origins, Some("https://app.example"), "chat.example"));
        assert!(!admits(&origins, Some("http://app.example"), "chat.example"));
        assert!(!admits(&origins, Some("https://app.example.evil"), "chat.example"));
        assert!(admits(&Origins::any(), Some("null"), "chat.example"));
    }
}
