//! The page to try the gateway, and its scripts; one of them is socket.io-client as npm has it.

use axum::{
    Router,
    http::header::CONTENT_TYPE,
    response::{Html, IntoResponse},
    routing::get,
};

pub(crate) fn router() -> Router {
    Router::new()
        .route("/test/websocket-test.html", get(async || Html(include_str!("websocket-test.html"))))
        .route("/test/websocket-test.js", get(async || script(include_str!("websocket-test.js"))))
        .route("/test/socket.io.min.js", get(async || script(include_str!("socket.io.min.js"))))
}

fn script(code: &'static str) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], code)
}
