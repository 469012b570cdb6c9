//! Who has no business here is turned away over real sockets, and learns nothing.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use parlor::{
    auth::{JwtAlgorithm, JwtAuthenticator},
    model::ConversationId,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::*;

const PRIVATE: &str = include_str!("../../chat-core/tests/keys/test-only-rsa.pem");
const PUBLIC: &str = include_str!("../../chat-core/tests/keys/test-only-rsa.pub.pem");
const OTHER: &str = include_str!("../../chat-core/tests/keys/test-only-other-rsa.pem");

fn rs256(claims: &Value, key: &str) -> String {
    let key = EncodingKey::from_rsa_pem(key.as_bytes()).unwrap();
    encode(&Header::new(Algorithm::RS256), claims, &key).unwrap()
}

/// The good claims, with one of them changed.
fn claims(name: &str, value: Value) -> Value {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let mut claims = json!({"sub": "ann", "iss": "host", "aud": "chat", "exp": now + 600});
    claims[name] = match value {
        Value::Number(shift) if name != "sub" => (now as i64 + shift.as_i64().unwrap()).into(),
        value => value,
    };
    claims
}

#[tokio::test]
async fn tokens_that_prove_nothing_get_one_uniform_refusal_everywhere() {
    let authenticator = JwtAuthenticator::builder()
        .key(JwtAlgorithm::Rs256, PUBLIC)
        .issuer("host")
        .audience("chat")
        .build()
        .unwrap();
    let server =
        Server::with(|builder| builder.authenticator(Arc::new(authenticator)), |it| it).await;
    let good = rs256(&claims("name", json!("Ann")), PRIVATE);
    let ann = Client::live(server.address, &good).await;
    assert_eq!(ann.welcome["user_id"], "ann");
    let payload = good.split('.').nth(1).unwrap();
    let swapped = encode(
        &Header::new(Algorithm::HS256),
        &claims("name", json!("Ann")),
        &EncodingKey::from_secret(PUBLIC.as_bytes()),
    );
    let cases = [
        ("expired", rs256(&claims("exp", json!(-600)), PRIVATE)),
        ("of another issuer", rs256(&claims("iss", json!("somebody")), PRIVATE)),
        ("for another audience", rs256(&claims("aud", json!("mail")), PRIVATE)),
        ("not valid yet", rs256(&claims("nbf", json!(600)), PRIVATE)),
        ("signed by another key", rs256(&claims("name", json!("Ann")), OTHER)),
        ("without a signature", format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}.")),
        ("HMAC with the public key", swapped.unwrap()),
        ("no token at all", "nonsense".to_owned()),
    ];
    let mut told = Vec::new();
    for (why, token) in &cases {
        let answer = Rest::new(server.address, token).get("/conversations").await;
        assert_eq!(answer.status, 401, "{why}");
        told.push(answer.bytes);
        let bearer = format!("Bearer {token}");
        let refused = Client::open(server.address, &[("authorization", &bearer)]).await;
        assert_eq!(refused.err(), Some(401), "{why}: before the upgrade");
        let mut client = Client::open(server.address, &[]).await.ok().unwrap();
        let error = client.refusal(json!({"type": "authenticate", "token": token})).await;
        assert_eq!(error["code"], "unauthenticated", "{why}");
        assert_eq!(error["message"], "authentication required", "{why}");
        assert_eq!(client.closed().await, 4001, "{why}");
    }
    assert!(told.iter().all(|text| *text == told[0]), "one text for all: {told:?}");
}

/// What can be asked of a conversation over the socket.
fn frames(id: ConversationId, message: &Value) -> Vec<Value> {
    let mut frames = vec![text_frame(id, "k", "let me in")];
    for kind in [
        "history",
        "typing",
        "get_conversation",
        "list_members",
        "list_pins",
        "list_cursors",
        "leave",
        "hide",
        "clear",
        "update_settings",
    ] {
        frames.push(json!({"type": kind, "conversation_id": id}));
    }
    for kind in ["mark_read", "mark_delivered", "mark_unread"] {
        frames.push(json!({"type": kind, "conversation_id": id, "seq": 1}));
    }
    for kind in ["get_message", "delete", "pin"] {
        frames.push(json!({"type": kind, "conversation_id": id, "message_id": message}));
    }
    let group = json!({"conversation_id": id, "message_id": message, "key": "x", "body": "x",
        "user_id": "eve", "user_ids": ["eve"], "role": "owner", "title": "Mine", "name": "x",
        "since_rev": 0});
    for kind in [
        "react",
        "edit",
        "add_members",
        "remove_member",
        "set_role",
        "update_conversation",
        "signal",
        "get_changes",
    ] {
        let mut frame = group.clone();
        frame["type"] = kind.into();
        frames.push(frame);
    }
    frames
}

#[tokio::test]
async fn a_conversation_of_others_is_answered_exactly_as_one_that_does_not_exist() {
    let server = Server::start().await;
    let mut ann = server.client("ann").await;
    let id = ann.group(&["bob"]).await;
    let message = ann.say(id, "k", "a secret").await["message_id"].clone();
    let absent = ConversationId::new(server.chat.now());
    let mut eve = server.client("eve").await;
    for (present, missing) in frames(id, &message).into_iter().zip(frames(absent, &message)) {
        let kind = present["type"].clone();
        let present = eve.refusal(present).await;
        assert_eq!(present["code"], "not_found", "{kind}: {present}");
        assert_eq!(present, eve.refusal(missing).await, "{kind}");
    }
    let rest = server.rest("eve");
    let body = json!({"client_id": "k", "body": "x", "read_seq": 1, "user_ids": ["eve"],
        "role": "owner", "title": "x"});
    for (method, path) in [
        (Method::GET, ""),
        (Method::PATCH, ""),
        (Method::GET, "/messages"),
        (Method::POST, "/messages"),
        (Method::GET, "/members"),
        (Method::POST, "/members"),
        (Method::PATCH, "/members/eve"),
        (Method::DELETE, "/members/ann"),
        (Method::GET, "/pins"),
        (Method::GET, "/changes?since_rev=0"),
        (Method::GET, "/cursors"),
        (Method::PUT, "/cursors"),
        (Method::PATCH, "/settings"),
        (Method::POST, "/hide"),
        (Method::POST, "/clear"),
    ] {
        let ask = |id| {
            let body = (method != Method::GET).then(|| body.clone());
            let path = format!("/conversations/{id}{path}");
            let (rest, method) = (rest.clone(), method.clone());
            async move { rest.ask(method, &path, body).await }
        };
        let (present, missing) = (ask(id).await, ask(absent).await);
        assert_eq!((present.status, missing.status), (404, 404), "{method} {path}");
        assert_eq!(present.bytes, missing.bytes, "{method} {path}: byte for byte");
        let names = |answer: &Answer| answer.headers.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&present), names(&missing), "{method} {path}");
    }
    let history = server.rest("ann").history(id).await;
    assert_eq!(history.len(), 1, "nothing of it was stored");
    assert!(eve.heard.iter().all(|event| event["type"] == "resumed"), "{:?}", eve.heard);
}

#[tokio::test]
async fn who_is_removed_while_connected_receives_nothing_within_a_second() {
    let server = Server::start().await;
    let (mut ann, mut bob) = (server.client("ann").await, server.client("bob").await);
    let id = ann.group(&["bob", "cid"]).await;
    let other = ann.group(&["bob"]).await;
    ann.say(id, "1", "before").await;
    let began = Instant::now();
    let listening = tokio::spawn(async move {
        let gone = bob.until_type("members.changed").await;
        let after = began.elapsed();
        bob.until(|event| event["message"]["body"] == "mark").await;
        (bob, gone, after)
    });
    let remove = json!({"type": "remove_member", "conversation_id": id, "user_id": "bob"});
    ann.result(remove).await;
    for key in 2..20 {
        ann.say(id, &key.to_string(), "secret").await;
    }
    ann.send(json!({"type": "typing", "conversation_id": id})).await;
    ann.say(other, "mark", "mark").await;
    let (mut bob, gone, after) = listening.await.unwrap();
    assert_eq!(gone["removed"], json!(["bob"]));
    assert!(after < Duration::from_secs(1), "{after:?}");
    let heard = serde_json::to_string(&bob.heard).unwrap();
    assert!(!heard.contains("secret") && !heard.contains(r#""typing""#), "{heard}");
    let refused = bob.refusal(text_frame(id, "k", "still here")).await;
    assert_eq!(refused["code"], "not_found");
    // A device that comes back is told to drop it.
    let epoch = bob.welcome["epoch"].clone();
    let mut had = std::mem::take(&mut bob.follower);
    had.conversations.entry(id).or_default().rev = 2;
    let bob = Client::back(server.address, &token("bob"), &epoch, had).await;
    assert!(bob.heard.iter().any(|event| event["type"] == "conversation.removed"));
}

#[tokio::test]
async fn a_foreign_page_can_change_nothing_over_rest() {
    let server = Server::with(|it| it, |it| it.allow_origins(["https://app.example"])).await;
    let ask = async |origin: &str| {
        let request = reqwest::Client::new()
            .post(format!("http://{}/chat/conversations", server.address))
            .bearer_auth(token("ann"))
            .header("origin", origin)
            .json(&json!({"title": "Group"}));
        request.send().await.unwrap().status().as_u16()
    };
    for foreign in ["https://evil.example", "null", "https://app.example.evil.example"] {
        assert_eq!(ask(foreign).await, 403, "{foreign}");
        let refused = Client::open(server.address, &[("origin", foreign)]).await;
        assert_eq!(refused.err(), Some(403), "{foreign}");
    }
    assert_eq!(ask("https://app.example").await, 201);
    assert_eq!(ask(&format!("http://{}", server.address)).await, 201);
}
