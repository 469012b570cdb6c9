//! REST: every command, every kind of problem, and what surrounds them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails may panic")]

mod support;

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, Method, Request, StatusCode},
    routing::get,
};
use http_body_util::BodyExt;
use parlor_core::{model::Identity, traits::Quota};
use parlor_transport_axum::Transport;
use serde_json::{Value, json};
use support::{chat, chat_with, user};
use tower::ServiceExt;

/// What was answered.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// A problem of this status, with its code and field.
    fn problem(&self) -> (u16, &str, Option<&str>) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        assert_eq!(self.body["status"], self.status.as_u16(), "{self:?}");
        assert!(self.body["title"].is_string() && self.body["detail"].is_string(), "{self:?}");
        (self.status.as_u16(), self.body["code"].as_str().unwrap(), self.body["field"].as_str())
    }
}

async fn request(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    assert!(parts.headers.contains_key("x-request-id"), "{parts:?}");
    let bytes = body.collect().await.unwrap().to_bytes();
    let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
    Answer { status: parts.status, headers: parts.headers, body }
}

/// Asks as a user; a body makes it JSON.
async fn ask(router: &Router, who: &str, line: &str, body: Option<Value>) -> Answer {
    let (method, path) = line.split_once(' ').unwrap();
    let mut head = Request::builder()
        .method(Method::from_bytes(method.as_bytes()).unwrap())
        .uri(format!("/chat{path}"))
        .header("authorization", format!("Bearer {who}"));
    if body.is_some() {
        head = head.header("content-type", "application/json");
    }
    let body = body.map_or(Body::empty(), |body| Body::from(body.to_string()));
    request(router, head.body(body).unwrap()).await
}

/// Asks for something that succeeds with this status.
async fn good(router: &Router, who: &str, line: &str, body: Option<Value>, status: u16) -> Value {
    let answer = ask(router, who, line, body).await;
    assert_eq!(answer.status, status, "{line}: {answer:?}");
    answer.body
}

fn nested(transport: Transport) -> Router {
    Router::new().nest("/chat", transport.router())
}

async fn router() -> Router {
    nested(Transport::new(chat().await))
}

async fn group(router: &Router, members: &[&str]) -> String {
    let body = json!({"title": "Group", "members": members});
    let made = good(router, "ann", "POST /conversations", Some(body), 201).await;
    format!("/conversations/{}", made["conversation"]["id"].as_str().unwrap())
}

#[tokio::test]
async fn every_command_has_its_route() {
    let router = router().await;
    let call = async |who: &str, line: String, body: Value, status: u16| {
        let body = (!body.is_null()).then_some(body);
        good(&router, who, &line, body, status).await
    };
    let c = group(&router, &["bob"]).await;

    let message = json!({"client_id": "k1", "body": "hello"});
    let sent = call("ann", format!("POST {c}/messages"), message.clone(), 201).await;
    let again = call("ann", format!("POST {c}/messages"), message, 200).await;
    assert_eq!((&sent["replayed"], &again["replayed"]), (&json!(false), &json!(true)));
    assert_eq!(sent["message_id"], again["message_id"]);
    let m = format!("{c}/messages/{}", sent["message_id"].as_str().unwrap());

    let edited = call("ann", format!("PATCH {m}"), json!({"body": "Hello"}), 200).await;
    assert_eq!(edited["body"], "Hello");
    let reacted = call("bob", format!("PUT {m}/reactions/%F0%9F%91%8D"), Value::Null, 200).await;
    assert_eq!(reacted["reactions"][0]["key"], "👍");
    let unreacted =
        call("bob", format!("DELETE {m}/reactions/%F0%9F%91%8D"), Value::Null, 200).await;
    assert_eq!(unreacted.get("reactions"), None);
    assert!(call("ann", format!("PUT {m}/pin"), Value::Null, 200).await["pinned_at"].is_string());
    let pins = call("bob", format!("GET {c}/pins"), Value::Null, 200).await;
    assert_eq!(pins["messages"].as_array().unwrap().len(), 1);
    call("ann", format!("DELETE {m}/pin"), Value::Null, 200).await;
    assert_eq!(call("bob", format!("GET {m}"), Value::Null, 200).await["body"], "Hello");
    let page = call("bob", format!("GET {c}/messages?limit=1000000000"), Value::Null, 200).await;
    assert_eq!((&page["messages"][0]["seq"], &page["has_more"]), (&json!(1), &json!(false)));
    let changes =
        call("bob", format!("GET {c}/changes?since_rev=1&limit=10"), Value::Null, 200).await;
    assert_eq!(changes["messages"][0]["body"], "Hello");

    assert_eq!(call("bob", "GET /unread".into(), Value::Null, 200).await["messages"], 1);
    let far = json!({"delivered_seq": 1, "read_seq": i64::MAX});
    let state = call("bob", format!("PUT {c}/cursors"), far, 200).await;
    assert_eq!((&state["read_seq"], &state["unread"]), (&json!(1), &json!(0)));
    let state = call("bob", format!("PUT {c}/cursors"), json!({"unread_from": 1}), 200).await;
    assert_eq!(state["unread_from"], 1);
    let cursors = call("ann", format!("GET {c}/cursors"), Value::Null, 200).await;
    assert!(cursors["cursors"].as_array().unwrap().iter().any(|cursor| cursor["user_id"] == "bob"));
    let settings = json!({"archived": true, "muted_until": null});
    assert_eq!(call("bob", format!("PATCH {c}/settings"), settings, 200).await["archived"], true);
    let listed =
        call("bob", "GET /conversations?archived=true&limit=5".into(), Value::Null, 200).await;
    assert_eq!(listed["conversations"].as_array().unwrap().len(), 1);
    call("bob", format!("DELETE {m}?for=me"), Value::Null, 200).await;
    assert_eq!(ask(&router, "bob", &format!("GET {m}"), None).await.status, 404);
    assert!(call("ann", format!("DELETE {m}"), Value::Null, 200).await["deleted_at"].is_string());
    call("bob", format!("POST {c}/clear"), Value::Null, 200).await;
    call("bob", format!("POST {c}/hide"), Value::Null, 200).await;

    let patch = json!({"title": "Renamed", "picture": null});
    let renamed = call("ann", format!("PATCH {c}"), patch, 200).await;
    assert_eq!(renamed["conversation"]["title"], "Renamed");
    assert_eq!(
        call("bob", format!("GET {c}"), Value::Null, 200).await["conversation"]["title"],
        "Renamed"
    );
    call("ann", format!("POST {c}/members"), json!({"user_ids": ["cid"]}), 200).await;
    call("ann", format!("PATCH {c}/members/bob"), json!({"role": "admin"}), 200).await;
    let members = call("ann", format!("GET {c}/members?limit=2&after=ann"), Value::Null, 200).await;
    assert_eq!(members["members"][0]["role"], "admin");
    call("ann", format!("DELETE {c}/members/cid"), Value::Null, 204).await;
    call("bob", format!("DELETE {c}/members/bob"), Value::Null, 204).await;
    assert_eq!(ask(&router, "bob", &format!("GET {c}"), None).await.status, 404);

    let direct = json!({"user_id": "bob", "context": "booking-1"});
    let direct = call("ann", "POST /conversations/direct".into(), direct, 200).await;
    assert_eq!(direct["conversation"]["direct"]["context"], "booking-1");
    let presence = call("ann", "GET /presence?user_ids=ann,bob".into(), Value::Null, 200).await;
    assert_eq!(presence["users"].as_array().unwrap().len(), 2);
    call("ann", "GET /profiles?user_ids=ann&user_ids=bob".into(), Value::Null, 200).await;
}

#[tokio::test]
async fn what_one_may_not_see_is_answered_as_what_is_not() {
    let router = router().await;
    let c = group(&router, &[]).await;
    let nowhere = "/conversations/0193a1b2-7c00-7000-8000-00000000c0de";
    for rest in ["", "/messages", "/members", "/pins", "/cursors", "/changes?since_rev=0"] {
        let foreign = ask(&router, "bob", &format!("GET {c}{rest}"), None).await;
        let absent = ask(&router, "bob", &format!("GET {nowhere}{rest}"), None).await;
        assert_eq!(foreign.problem(), (404, "not_found", None));
        assert_eq!(foreign.body, absent.body);
    }
    let message = json!({"client_id": "k", "body": "x"});
    let foreign = ask(&router, "bob", &format!("POST {c}/messages"), Some(message)).await;
    assert_eq!(foreign.problem(), (404, "not_found", None));
    // What can be no id names nothing.
    for path in ["/conversations/7", "/conversations/x/messages", "/conversations/%FF/pins"] {
        assert_eq!(ask(&router, "ann", &format!("GET {path}"), None).await.problem().0, 404);
    }
    let control = ask(&router, "ann", &format!("DELETE {c}/members/a%00b"), None).await;
    assert_eq!(control.problem().0, 404);
}

#[tokio::test]
async fn bad_input_is_named() {
    let router = router().await;
    let c = group(&router, &[]).await;
    let problem = async |line: String, body: Option<Value>| {
        let answer = ask(&router, "ann", &line, body).await;
        let (status, code, field) = answer.problem();
        assert_eq!(code, "invalid", "{answer:?}");
        (status, field.unwrap_or_default().to_owned())
    };
    let at = |status: u16, field: &str| (status, field.to_owned());
    for (query, field) in [
        ("limit=-1", "limit"),
        ("limit=1e9", "limit"),
        ("limit=", "limit"),
        ("limit=5&limit=x", "limit"),
        ("before=99999999999999999999", "before"),
        ("after=%00", "after"),
    ] {
        assert_eq!(
            problem(format!("GET {c}/messages?{query}"), None).await,
            at(400, field),
            "{query}"
        );
    }
    assert_eq!(problem(format!("GET {c}/changes"), None).await, at(400, "since_rev"));
    assert_eq!(problem(format!("GET {c}/messages?before=5&after=2"), None).await.0 / 100, 4);
    assert_eq!(
        problem("GET /conversations?archived=maybe".into(), None).await,
        at(400, "archived")
    );
    assert_eq!(
        problem(format!("DELETE {c}/messages/{}?for=all", &c[15..]), None).await,
        at(400, "for")
    );
    assert_eq!(problem("GET /presence?user_ids=a,%01".into(), None).await, at(400, "user_ids"));
    assert_eq!(
        ask(&router, "ann", "GET /conversations?cursor=junk", None).await.status.as_u16() / 100,
        4
    );
    assert_eq!(
        good(&router, "ann", &format!("GET {c}/messages?limit=0&x=%ff"), None, 200).await["has_more"],
        false
    );

    let send = async |body: Value| problem(format!("POST {c}/messages"), Some(body)).await;
    assert_eq!(send(json!({"body": "x"})).await, at(422, "client_id"));
    assert_eq!(send(json!({"client_id": "a", "body": "  "})).await, at(422, "body"));
    assert_eq!(send(json!({"client_id": "a", "body": 5})).await, at(422, "body"));
    let attachments = json!({"client_id": "a", "attachments": [{"url": "u"}, {"url": 1}]});
    assert_eq!(send(attachments).await, at(422, "attachments[1].url"));
    assert_eq!(send(json!([])).await.0, 422);
    assert_eq!(problem(format!("PUT {c}/cursors"), Some(json!({}))).await, at(422, "read_seq"));
    assert_eq!(problem("POST /conversations".into(), Some(json!({}))).await, at(422, "title"));
}

#[tokio::test]
async fn bodies_are_json_within_bounds() {
    let router = nested(Transport::new(chat().await).body_limit(1000));
    let post = async |kind: Option<&str>, body: Vec<u8>| {
        let mut head = Request::post("/chat/conversations").header("authorization", "Bearer ann");
        if let Some(kind) = kind {
            head = head.header("content-type", kind);
        }
        request(&router, head.body(Body::from(body)).unwrap()).await
    };
    let json = Some("application/json");
    let broken = post(json, b"{\"title\": ".to_vec()).await;
    assert_eq!(broken.problem(), (400, "invalid", None));
    assert!(broken.body["detail"].as_str().unwrap().contains("line 1 column 10"), "{broken:?}");
    assert_eq!(post(json, vec![b'"', 0xff]).await.problem().0, 400);
    assert_eq!(post(json, Vec::new()).await.problem().0, 400);
    let deep = format!("{{\"title\":\"x\",\"metadata\":{{\"a\":{}", "[".repeat(500));
    assert_eq!(post(json, deep.into_bytes()).await.problem().0, 400);
    assert_eq!(post(json, vec![b' '; 1001]).await.problem(), (413, "invalid", None));
    let title = br#"{"title":"x"}"#.to_vec();
    assert_eq!(post(None, title.clone()).await.problem(), (415, "invalid", Some("content-type")));
    assert_eq!(post(Some("text/plain"), title.clone()).await.problem().0, 415);
    assert_eq!(post(Some("Application/JSON; charset=utf-8"), title).await.status, 201);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_too() {
    let router = router().await;
    assert_eq!(ask(&router, "ann", "GET /nothing", None).await.problem(), (404, "not_found", None));
    let wrong = ask(&router, "ann", "PUT /conversations", None).await;
    assert_eq!(wrong.problem().0, 405);
    assert!(wrong.header("allow").contains("POST"), "{wrong:?}");
    assert_eq!(ask(&router, "ann", "GET /ws", None).await.problem().0, 426);
}

#[tokio::test]
async fn nobody_and_the_wrong_one_get_the_same_401() {
    let router = router().await;
    let get = async |header: Option<(&str, &str)>| {
        let mut head = Request::get("/chat/unread");
        if let Some((name, value)) = header {
            head = head.header(name, value);
        }
        request(&router, head.body(Body::empty()).unwrap()).await
    };
    let nobody = get(None).await;
    assert_eq!(nobody.problem(), (401, "unauthenticated", None));
    assert_eq!(nobody.header("www-authenticate"), "Bearer");
    for shown in ["Bearer nobody", "Bearer", "Basic YW5uOg==", "Bearer ann 0"] {
        assert_eq!(get(Some(("authorization", shown))).await.body, nobody.body, "{shown}");
    }
    assert_eq!(get(Some(("cookie", "session=nobody"))).await.body, nobody.body);
    assert_eq!(get(Some(("cookie", "session=ann"))).await.status, 200);
    assert_eq!(get(Some(("authorization", "bearer ann"))).await.status, 200);
}

#[tokio::test]
async fn a_quota_that_is_used_up_says_when_to_come_back() {
    let chat = chat_with(|config| config.sends = Quota::new(1, 2)).await;
    let router = nested(Transport::new(chat));
    let c = group(&router, &[]).await;
    for key in 0..2 {
        let message = json!({"client_id": key.to_string(), "body": "x"});
        good(&router, "ann", &format!("POST {c}/messages"), Some(message), 201).await;
    }
    let message = json!({"client_id": "third", "body": "x"});
    let refused = ask(&router, "ann", &format!("POST {c}/messages"), Some(message)).await;
    assert_eq!(refused.problem(), (429, "rate_limited", None));
    assert!(refused.body["retry_after_ms"].as_u64().unwrap() <= 1000);
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.body["retryable"], true);
}

#[tokio::test]
async fn foreign_pages_change_nothing_and_listed_ones_may() {
    let router = nested(Transport::new(chat().await).allow_origins(["https://app.example"]));
    let from = async |method: &str, origin: &str| {
        let head = Request::builder()
            .method(method)
            .uri("/chat/conversations")
            .header("host", "chat.example")
            .header("origin", origin)
            .header("cookie", "session=ann")
            .header("content-type", "application/json")
            .header("access-control-request-method", "POST");
        request(&router, head.body(Body::from(r#"{"title":"x"}"#)).unwrap()).await
    };
    assert_eq!(from("POST", "https://evil.example").await.problem(), (403, "forbidden", None));
    assert_eq!(from("POST", "https://chat.example").await.status, 201);
    let listed = from("POST", "https://app.example").await;
    assert_eq!(listed.status, 201);
    assert_eq!(listed.header("access-control-allow-origin"), "https://app.example");
    assert_eq!(listed.header("access-control-allow-credentials"), "true");
    let preflight = from("OPTIONS", "https://app.example").await;
    assert_eq!(preflight.status, 200);
    assert!(preflight.header("access-control-allow-methods").contains("PATCH"));
    let foreign = from("OPTIONS", "https://evil.example").await;
    assert_eq!(foreign.header("access-control-allow-origin"), "");
    let foreign = from("GET", "https://evil.example").await;
    assert_eq!(foreign.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn a_request_keeps_its_id_if_it_is_sane() {
    let router = router().await;
    let id = async |id: &str| {
        let head = Request::get("/chat/unread").header("x-request-id", id);
        let answer = request(&router, head.body(Body::empty()).unwrap()).await;
        answer.header("x-request-id").to_owned()
    };
    assert_eq!(id("trace-1.a:b").await, "trace-1.a:b");
    for insane in ["", "a b", "a\"b", &"x".repeat(129)] {
        let given = id(insane).await;
        assert_ne!(given, insane);
        assert_eq!(given.len(), 36);
    }
}

#[tokio::test]
async fn a_host_nests_it_into_whatever_it_has() {
    #[derive(Clone)]
    struct Host {
        name: &'static str,
    }
    let chat = chat().await;
    let identity = Identity::new(user("dora"));
    let router = Router::new()
        .route("/name", get(async |State(host): State<Host>| host.name))
        .nest("/chat", parlor_transport_axum::router(chat.clone()))
        .layer(axum::Extension(identity))
        .with_state(Host { name: "host" });
    let made = Request::post("/chat/conversations")
        .header("content-type", "application/json")
        .header("authorization", "Bearer ann");
    let made = request(&router, made.body(Body::from(r#"{"title":"x"}"#)).unwrap()).await;
    // The host's own word counts before the token.
    assert_eq!(made.body["conversation"]["created_by"], "dora");
    let document =
        request(&router, Request::get("/chat/openapi.json").body(Body::empty()).unwrap());
    assert!(document.await.body["paths"]["/conversations"].is_object());
    // It also stands alone.
    let alone: Router = parlor_transport_axum::router(chat);
    let answer = request(&alone, Request::get("/unread").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, 401);
}
