//! The ways in, several devices of one person, and the ways out, over real sockets.

use std::time::{Duration, Instant};

use axum::{
    Router,
    extract::Request,
    middleware::{Next, from_fn},
};
use parlor::{Chat, model::Identity};
use serde_json::{Value, json};

use crate::support::*;

#[tokio::test]
async fn two_tabs_of_one_person_show_the_same() {
    let server = Server::start().await;
    let (mut one, mut two) = (server.client("ann").await, server.client("ann").await);
    let mut bob = server.client("bob").await;
    let id = one.group(&["bob"]).await;
    // A send of one tab reaches the other, and the sending tab itself.
    let sent = one.say(id, "1", "from the first tab").await;
    for tab in [&mut one, &mut two] {
        tab.until_rev(id, sent["rev"].as_u64().unwrap()).await;
        assert_eq!(tab.follower.bodies(id), ["from the first tab"]);
    }
    let rev = bob.say(id, "1", "hello").await["rev"].as_u64().unwrap();
    two.until_rev(id, rev).await;
    let unread = json!({"type": "unread_total"});
    assert_eq!(one.result(unread.clone()).await["messages"], 1);
    // Reading in one tab is read in the other, by the same member rev.
    let read = json!({"type": "mark_read", "conversation_id": id, "seq": 2});
    let state = two.result(read).await;
    assert_eq!((&state["read_seq"], &state["unread"]), (&json!(2), &json!(0)));
    let told = one.until_type("member.changed").await;
    assert_eq!(told["state"], state);
    assert_eq!(one.result(unread).await["messages"], 0);
    // So is what one tab does to its own list, and nobody else hears of any of it.
    let settings = json!({"type": "update_settings", "conversation_id": id, "archived": true});
    one.result(settings).await;
    two.until(|event| event["state"]["archived"] == true).await;
    bob.say(id, "2", "mark").await;
    bob.until(|event| event["message"]["body"] == "mark").await;
    assert!(bob.heard.iter().all(|event| event["type"] != "member.changed"));
    // Typing in one tab is not told to the other.
    two.send(json!({"type": "typing", "conversation_id": id})).await;
    bob.until_type("typing").await;
    bob.say(id, "3", "end").await;
    one.until(|event| event["message"]["body"] == "end").await;
    assert!(one.heard.iter().all(|event| event["type"] != "typing"));
    two.until(|event| event["message"]["body"] == "end").await;
    assert_eq!(one.follower.copy(id).messages, two.follower.copy(id).messages);
}

#[tokio::test]
async fn there_are_three_ways_to_say_who_one_is() {
    let server = Server::start().await;
    let first_frame = server.client("ann").await;
    assert_eq!(first_frame.welcome["user_id"], "ann");
    let bearer = format!("Bearer {}", token("bob"));
    let mut header =
        Client::open(server.address, &[("authorization", &bearer)]).await.ok().unwrap();
    header.welcomed().await;
    assert_eq!(header.welcome["user_id"], "bob");
    assert!(header.welcome["expires_at"].is_string());
    // A host's own session layer, in front of the nested router.
    async fn session(mut request: Request, next: Next) -> axum::response::Response {
        let name = request.headers().get("x-session").and_then(|name| name.to_str().ok());
        if let Some(name) = name.map(str::to_owned) {
            request.extensions_mut().insert(Identity::new(user(&name)));
        }
        next.run(request).await
    }
    let chat: Chat = server.chat.clone();
    let router =
        Router::new().nest("/chat", parlor::axum::router(chat.clone())).layer(from_fn(session));
    let host = Server::serve(chat, router).await;
    let mut client = Client::open(host.address, &[("x-session", "cid")]).await.ok().unwrap();
    client.welcomed().await;
    assert_eq!(client.welcome["user_id"], "cid");
    client.resume().await;
    let id = client.group(&["ann"]).await;
    let http = reqwest::Client::new();
    let url = format!("http://{}/chat/conversations/{id}", host.address);
    let ask = async |name: Option<&str>| {
        let mut request = http.get(&url);
        if let Some(name) = name {
            request = request.header("x-session", name);
        }
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!((ask(Some("cid")).await, ask(Some("eve")).await, ask(None).await), (200, 404, 401));
    // Without a session the first frame serves there too.
    assert_eq!(Client::live(host.address, &token("ann")).await.welcome["user_id"], "ann");
}

#[tokio::test]
async fn a_token_that_ends_closes_the_connection_unless_a_new_one_came_in_time() {
    let server = Server::start().await;
    let short = |name| token_for(name, Duration::from_secs(4));
    let mut kept = Client::live(server.address, &short("ann")).await;
    let mut lost = Client::live(server.address, &short("bob")).await;
    let id = kept.group(&["bob"]).await;
    let authenticate = |token: String| json!({"type": "authenticate", "token": token});
    for wrong in [token("eve"), "nonsense".to_owned()] {
        assert_eq!(kept.refusal(authenticate(wrong)).await["code"], "unauthenticated");
    }
    let renewed = kept.result(authenticate(token("ann"))).await;
    assert!(renewed["expires_at"].as_str() > kept.welcome["expires_at"].as_str());
    let began = Instant::now();
    assert_eq!(lost.closed().await, 4001);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    kept.say(id, "k", "still here").await;
    // It comes back with a new token and has missed nothing.
    let epoch = lost.welcome["epoch"].clone();
    let lost = Client::back(server.address, &token("bob"), &epoch, lost.follower).await;
    assert_eq!(lost.follower.bodies(id), ["still here"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_sends_everybody_to_the_next_server_and_loses_nothing_answered() {
    let server = Server::start().await;
    let mut ann = server.client("ann").await;
    let mut others = Vec::new();
    for _ in 0..10 {
        others.push(server.client("bob").await);
    }
    let id = ann.group(&["bob"]).await;
    let first = ann.post(text_frame(id, "0", "in flight")).await;
    for number in 1..20 {
        ann.post(text_frame(id, &number.to_string(), "in flight")).await;
    }
    ann.answer(first).await;
    let chat = server.chat.clone();
    let draining = tokio::spawn(async move {
        chat.drain(Duration::from_millis(500), Duration::from_secs(10)).await;
    });
    let mut acknowledged = 0;
    let code = loop {
        match ann.next().await {
            Ok(frame) if frame["type"] == "ok" => acknowledged += 1,
            Ok(frame) if frame["type"] == "error" => assert_eq!(frame["error"]["retryable"], true),
            Ok(_) => {}
            Err(code) => break code,
        }
    };
    assert_eq!(code, 1012);
    for other in &mut others {
        assert_eq!(other.closed().await, 1012);
    }
    for client in others.iter().chain([&ann]) {
        let told = client.heard.iter().find(|event| event["type"] == "reconnect").unwrap();
        assert!(told["after_ms"].as_u64().unwrap() <= 500, "{told}");
    }
    assert_eq!(Client::open(server.address, &[]).await.err(), Some(503));
    let epoch = ann.welcome["epoch"].clone();
    let had = std::mem::take(&mut ann.follower);
    drop((ann, others));
    draining.await.unwrap();
    // The next server, on the same database.
    let next = server.successor().await;
    let mut ann = Client::back(next.address, &token("ann"), &epoch, had).await;
    assert!(ann.follower.copy(id).messages.len() > acknowledged, "what was answered is there");
    for number in 0..20 {
        ann.say(id, &number.to_string(), "in flight").await;
    }
    assert_eq!(next.rest("ann").history(id).await.len(), 20);
}

#[tokio::test]
async fn rest_and_socket_see_the_same() {
    let server = Server::start().await;
    let (mut ann, rest) = (server.client("ann").await, server.rest("ann"));
    let mut bob = server.client("bob").await;
    let id = ann.group(&["bob"]).await;
    let path = |rest: &str| format!("/conversations/{id}{rest}");
    ann.say(id, "1", "by socket").await;
    let sent = rest.post(&path("/messages"), json!({"client_id": "2", "body": "by REST"})).await;
    let sent = sent.expect(201);
    // One key, one message, whichever way it comes.
    let again = ann.say(id, "2", "by REST").await;
    assert_eq!((&again["message_id"], &again["replayed"]), (&sent["message_id"], &json!(true)));
    rest.post(&path("/messages"), json!({"client_id": "1", "body": "by socket"})).await.expect(200);
    bob.until_rev(id, sent["rev"].as_u64().unwrap()).await;
    assert_eq!(bob.follower.bodies(id), ["by socket", "by REST"]);
    let message = sent["message_id"].as_str().unwrap();
    rest.put(&path(&format!("/messages/{message}/reactions/%F0%9F%91%8D")), json!({}))
        .await
        .expect(200);
    assert_eq!(bob.until_type("reaction.changed").await["key"], "👍");
    rest.put(&path("/cursors"), json!({"read_seq": 1})).await.expect(200);
    ann.until(|event| event["state"]["read_seq"] == 1).await;
    let same: [(&str, String, Value); 8] = [
        ("history", path("/messages"), json!({})),
        ("get_conversation", path(""), json!({})),
        ("list_members", path("/members"), json!({})),
        ("list_cursors", path("/cursors"), json!({})),
        ("get_message", path(&format!("/messages/{message}")), json!({"message_id": message})),
        ("get_changes", path("/changes?since_rev=1"), json!({"since_rev": 1})),
        ("list_conversations", "/conversations".to_owned(), json!({})),
        ("unread_total", "/unread".to_owned(), json!({})),
    ];
    for (kind, path, mut frame) in same {
        frame["type"] = kind.into();
        frame["conversation_id"] = json!(id);
        assert_eq!(ann.result(frame).await, rest.get(&path).await.expect(200), "{kind}");
    }
}
