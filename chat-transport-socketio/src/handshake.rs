//! What a client shows when it connects, or with a REST request.

use axum::extract::Query;
use http::{HeaderMap, header, request::Parts};
use parlor_core::traits::Credentials;
use serde_json::Value;

/// What a client shows when it connects to a namespace, or with a REST request.
#[derive(Clone, Copy)]
pub struct Handshake<'a> {
    auth: &'a Value,
    parts: &'a Parts,
}

impl<'a> Handshake<'a> {
    pub(crate) fn new(auth: &'a Value, parts: &'a Parts) -> Self {
        Self { auth, parts }
    }

    /// The `auth` object of socket.io-client; `null` when there is none, as with REST.
    pub fn auth(&self) -> &Value {
        self.auth
    }

    /// The headers of the HTTP request.
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// A parameter of the query, the last one of that name.
    pub fn query(&self, name: &str) -> Option<String> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&self.parts.uri).ok()?;
        pairs.into_iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The whole head of the HTTP request.
    pub fn parts(&self) -> &Parts {
        self.parts
    }

    /// The token of `auth.token`, else of the `Authorization` header, `Bearer ` before it or not, and
    /// all headers.
    pub fn credentials(&self) -> Credentials {
        let mut credentials = Credentials::default();
        credentials.token = self
            .auth
            .get("token")
            .and_then(Value::as_str)
            .or_else(|| self.headers().get(header::AUTHORIZATION).and_then(|it| it.to_str().ok()))
            .map(|token| bare(token).to_owned());
        credentials.headers = self
            .headers()
            .iter()
            .filter_map(|(name, value)| {
                Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
            })
            .collect();
        credentials
    }
}

impl std::fmt::Debug for Handshake<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Credentials never reach a log.
        f.debug_struct("Handshake").finish_non_exhaustive()
    }
}

/// A token without the scheme before it.
fn bare(token: &str) -> &str {
    match token.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => token,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn token(auth: Value, authorization: Option<&str>) -> Option<String> {
        let mut request = http::Request::builder().uri("/socket.io/?EIO=4&userId=7&userId=8");
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let handshake = Handshake::new(&auth, &parts);
        assert_eq!(handshake.query("userId").as_deref(), Some("8"));
        assert_eq!(handshake.query("none"), None);
        handshake.credentials().token
    }

    #[test]
    fn the_token_is_found_where_clients_put_it() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(token(json!({ "token": "t1" }), Some("Bearer t2")), some("t1"));
        assert_eq!(token(json!({ "token": "Bearer t1" }), None), some("t1"));
        assert_eq!(token(json!({}), Some("bearer t2")), some("t2"));
        assert_eq!(token(json!(null), Some("t2")), some("t2"));
        assert_eq!(token(json!({ "token": 7 }), None), None);
        assert_eq!(token(json!("t1"), None), None);
    }
}
