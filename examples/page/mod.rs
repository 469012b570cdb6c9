//! The demo's page, compiled in: plain HTML, CSS and JavaScript modules, no build step.

use axum::{Router, http::header, routing::get};

/// Path, media type and content of each file.
const FILES: [(&str, &str, &str); 20] = [
    ("/", HTML, include_str!("index.html")),
    ("/style.css", "text/css; charset=utf-8", include_str!("style.css")),
    ("/app.js", SCRIPT, include_str!("app.js")),
    ("/bubble.js", SCRIPT, include_str!("bubble.js")),
    ("/chat.js", SCRIPT, include_str!("chat.js")),
    ("/composer.js", SCRIPT, include_str!("composer.js")),
    ("/connection.js", SCRIPT, include_str!("connection.js")),
    ("/dialogs.js", SCRIPT, include_str!("dialogs.js")),
    ("/dom.js", SCRIPT, include_str!("dom.js")),
    ("/index.html", HTML, include_str!("index.html")),
    ("/list.js", SCRIPT, include_str!("list.js")),
    ("/outbox.js", SCRIPT, include_str!("outbox.js")),
    ("/panel.js", SCRIPT, include_str!("panel.js")),
    ("/people.js", SCRIPT, include_str!("people.js")),
    ("/room.js", SCRIPT, include_str!("room.js")),
    ("/rows.js", SCRIPT, include_str!("rows.js")),
    ("/select.js", SCRIPT, include_str!("select.js")),
    ("/session.js", SCRIPT, include_str!("session.js")),
    ("/signs.js", SCRIPT, include_str!("signs.js")),
    ("/state.js", SCRIPT, include_str!("state.js")),
];
const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Serves the page at `/`. It asks who comes for a `name` or for a `token`, as `login` says.
pub(crate) fn router(login: &str) -> Router {
    FILES.into_iter().fold(Router::new(), |router, (path, media_type, content)| {
        let content = match media_type {
            HTML => content.replace(r#"data-login="name""#, &format!(r#"data-login="{login}""#)),
            _ => content.to_owned(),
        };
        let headers = [
            (header::CONTENT_TYPE, media_type),
            // A new build is seen at the next reload.
            (header::CACHE_CONTROL, "no-cache"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::X_FRAME_OPTIONS, "DENY"),
        ];
        router.route(path, get(move || async move { (headers, content.clone()) }))
    })
}
