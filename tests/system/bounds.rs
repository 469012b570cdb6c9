//! Input at and beyond its bounds, over REST and WebSocket: clamped or refused, never a fault.

use parlor::model::ConversationId;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::*;

#[tokio::test]
async fn groups_have_a_size_a_title_and_everybody_once() {
    let small =
        |builder: parlor::ChatBuilder| builder.configure(|config| config.limits.group_members = 5);
    let server = Server::with(small, |it| it).await;
    let rest = server.rest("ann");
    let group =
        |members: Value| rest.post("/conversations", json!({"title": "G", "members": members}));
    let huge: Vec<String> = (0..5).map(|number| format!("user{number}")).collect();
    let refused = group(json!(huge)).await.expect(422);
    assert_eq!((&refused["code"], &refused["field"]), (&json!("invalid"), &json!("members")));
    let made = group(json!(["bob", "bob", "ann", "bob"])).await.expect(201);
    assert_eq!(made["conversation"]["member_count"], 2);
    let id = id_in(&made["conversation"]);
    let path = format!("/conversations/{id}/members");
    let added = rest.post(&path, json!({"user_ids": ["bob", "cid", "cid"]})).await.expect(200);
    assert_eq!(added["conversation"]["member_count"], 3);
    let refused = rest.post(&path, json!({"user_ids": ["dora", "emil", "fay"]})).await.expect(422);
    assert_eq!(refused["code"], "invalid", "{refused}");
    let members = rest.get(&path).await.expect(200);
    assert_eq!(members["members"].as_array().unwrap().len(), 3, "all of them or nobody");
    for title in ["", "  ", "a\u{0}b", &"x".repeat(201)] {
        let refused = rest.post("/conversations", json!({"title": title})).await.expect(422);
        assert_eq!(refused["field"], "title", "{title:?}");
    }
    // The real limit, over the socket: one frame with more members than a group has.
    let server = Server::start().await;
    let mut ann = server.client("ann").await;
    let huge: Vec<String> = (0..1000).map(|number| format!("user{number}")).collect();
    let create =
        |members: &[String]| json!({"type": "create_group", "title": "G", "members": members});
    assert_eq!(ann.refusal(create(&huge)).await["field"], "members");
    let made = ann.result(create(&huge[..999])).await;
    assert_eq!(made["conversation"]["member_count"], 1000);
}

#[tokio::test]
async fn limits_cursors_and_positions_are_clamped_or_refused() {
    let server = Server::start().await;
    let mut ann = server.client("ann").await;
    let id = ann.group(&["bob"]).await;
    for number in 0..120 {
        ann.say(id, &number.to_string(), "x").await;
    }
    let rest = server.rest("bob");
    let at = |path: &str| format!("/conversations/{id}{path}");
    let count = async |path: &str| {
        let page = rest.get(&at(path)).await.expect(200);
        page["messages"].as_array().unwrap().len()
    };
    assert_eq!(count("/messages").await, 50);
    assert_eq!(count("/messages?limit=1000000000").await, 100);
    assert_eq!(count("/messages?limit=18446744073709551615").await, 100);
    assert_eq!(count("/messages?limit=0").await, 1);
    assert_eq!(count("/changes?since_rev=0&limit=1000000000").await, 100);
    for far in [i64::MAX as u64, u64::MAX] {
        assert_eq!(count(&format!("/messages?before={far}")).await, 50);
        assert_eq!(count(&format!("/messages?after={far}")).await, 0);
        let changes = rest.get(&at(&format!("/changes?since_rev={far}"))).await.expect(200);
        assert_eq!((&changes["through_rev"], changes.get("next")), (&json!(121), None));
    }
    for wrong in [
        "/messages?limit=-1",
        "/messages?limit=1e9",
        "/messages?limit=",
        "/messages?before=x",
        "/messages?after=-1",
        "/messages?limit=18446744073709551616",
        "/changes",
        "/changes?since_rev=-1",
        "/changes?since_rev=0&cursor=nonsense",
        "/changes?since_rev=0&cursor=1.x.2",
        "/changes?since_rev=0&cursor=99999999999999999999.n.1",
        "/members?after=%00",
    ] {
        let refused = rest.get(&at(wrong)).await;
        assert_eq!(
            (refused.status, refused.body["code"].as_str()),
            (400, Some("invalid")),
            "{wrong}"
        );
    }
    for wrong in ["?cursor=60.n.30", "?cursor=nonsense", "?limit=-1", "?archived=perhaps"] {
        let refused = rest.get(&format!("/conversations{wrong}")).await;
        assert_eq!(
            (refused.status, refused.body["code"].as_str()),
            (400, Some("invalid")),
            "{wrong}"
        );
    }
    // Ids that are none.
    for wrong in ["x", "0193a1b2-7c00-7000-8000", "%00", "..%2f"] {
        rest.get(&format!("/conversations/{wrong}/messages")).await.expect(404);
    }
}

#[tokio::test]
async fn cursors_beyond_the_end_stop_at_the_end() {
    let server = Server::start().await;
    let mut ann = server.client("ann").await;
    let id = ann.group(&["bob"]).await;
    for number in 0..3 {
        ann.say(id, &number.to_string(), "x").await;
    }
    let path = format!("/conversations/{id}/cursors");
    let rest = server.rest("bob");
    for wrong in [json!({"read_seq": -1}), json!({"read_seq": 1.5}), json!({"read_seq": "1"})] {
        assert_eq!(rest.put(&path, wrong).await.expect(422)["field"], "read_seq");
    }
    rest.put(&path, json!({})).await.expect(422);
    let delivered = rest.put(&path, json!({"delivered_seq": i64::MAX})).await.expect(200);
    assert_eq!((&delivered["delivered_seq"], &delivered["read_seq"]), (&json!(3), &json!(0)));
    let read = rest.put(&path, json!({"read_seq": i64::MAX})).await.expect(200);
    assert_eq!((&read["read_seq"], &read["unread"]), (&json!(3), &json!(0)));
    ann.say(id, "later", "x").await;
    let mut bob = server.client("bob").await;
    let mark = |kind: &str, seq: u64| json!({"type": kind, "conversation_id": id, "seq": seq});
    for seq in [0, i64::MAX as u64, u64::MAX] {
        let state = bob.result(mark("mark_unread", seq)).await;
        let expected = if seq == 0 { (1, 4) } else { (4, 1) };
        assert_eq!(
            (&state["unread_from"], &state["unread"]),
            (&expected.0.into(), &expected.1.into())
        );
    }
    for kind in ["mark_delivered", "mark_read"] {
        assert_eq!(bob.result(mark(kind, u64::MAX)).await["delivered_seq"], 4);
    }
    // Never back.
    assert_eq!(bob.result(mark("mark_read", 1)).await["read_seq"], 4);
    let beyond =
        bob.refusal(json!({"type": "mark_read", "conversation_id": id, "seq": 1e30})).await;
    assert_eq!(beyond["field"], "seq");
}

#[tokio::test]
async fn a_resume_beyond_the_head_or_from_another_epoch_starts_anew() {
    let server = Server::start().await;
    let mut ann = server.client("ann").await;
    let id = ann.group(&["bob"]).await;
    ann.say(id, "1", "hello").await;
    let epoch = ann.welcome["epoch"].clone();
    let had = ann.follower.clone();
    let other = json!(uuid::Uuid::new_v4());
    for (why, epoch, rev) in [
        ("another epoch", &other, 2),
        ("a rev beyond the head", &epoch, 100),
        ("a rev beyond everything", &epoch, u64::MAX),
    ] {
        let mut had = had.clone();
        had.conversations.get_mut(&id).unwrap().rev = rev;
        let mut back = Client::back(server.address, &token("ann"), epoch, had).await;
        assert_eq!(back.follower.resyncs, 1, "{why}");
        assert_eq!(back.follower.bodies(id), ["hello"], "{why}: and everything comes anew");
        let key = uuid::Uuid::new_v4().to_string();
        let rev = back.say(id, &key, "live").await["rev"].as_u64().unwrap();
        back.until_rev(id, rev).await;
        assert_eq!(back.follower.holes, 0, "{why}");
        let message = back.heard.iter().rev().find(|event| event["type"] == "message.sent");
        let message = message.unwrap()["message"]["id"].clone();
        let delete =
            json!({"type": "delete", "for": "me", "conversation_id": id, "message_id": message});
        back.result(delete).await;
    }
    let refused = ann.refusal(json!({"type": "resume", "epoch": "x", "known": []})).await;
    assert_eq!(refused["field"], "epoch");
    let known = json!([{"conversation_id": ConversationId::new(server.chat.now()), "rev": 1}]);
    let mut eve = Client::connect(server.address, &token("eve")).await;
    eve.send(json!({"type": "resume", "epoch": epoch, "known": known})).await;
    eve.until_type("conversation.removed").await;
    eve.until_type("resumed").await;
}

#[tokio::test]
async fn bodies_that_cannot_be_stored_never_reach_the_store() {
    let server = Server::start().await;
    let rest = server.rest("ann");
    let made = rest.post("/conversations", json!({"title": "G"})).await.expect(201);
    let id = id_in(&made["conversation"]);
    let url = format!("http://{}/chat/conversations/{id}/messages", server.address);
    let post = async |kind: &str, text: Vec<u8>| {
        let request = reqwest::Client::new()
            .post(&url)
            .bearer_auth(token("ann"))
            .header("content-type", kind)
            .body(text);
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        assert_eq!(body["status"], status);
        (status, body["field"].as_str().unwrap_or_default().to_owned())
    };
    let send = |body: &str| format!(r#"{{"client_id":"k","body":"{body}"}}"#).into_bytes();
    let deep = format!(
        r#"{{"client_id":"k","metadata":{{"a":{}1{}}}}}"#,
        "[".repeat(90_000),
        "]".repeat(90_000)
    );
    for (text, expected) in [
        (b"{".to_vec(), (400, "")),
        (b"\"\xff\"".to_vec(), (400, "")),
        (deep.into_bytes(), (400, "")),
        (send("\\ud800"), (400, "")),
        (send("a\\u0000b"), (422, "body")),
        (send(" \\n\\t "), (422, "body")),
        (send(&"x".repeat(32 * 1024 + 1)), (422, "body")),
        (send(&"x".repeat(256 * 1024)), (413, "")),
        (br#"{"body":"x"}"#.to_vec(), (422, "client_id")),
        (br#"{"client_id":"k","body":7}"#.to_vec(), (422, "body")),
    ] {
        let shown = String::from_utf8_lossy(&text[..text.len().min(60)]).into_owned();
        let (status, field) = post("application/json", text).await;
        assert_eq!((status, field.as_str()), expected, "{shown}");
    }
    assert_eq!(post("text/plain", send("x")).await.0, 415);
    assert_eq!(rest.history(id).await.len(), 0);
    // Whoever one says to be, and whatever one's key is elsewhere.
    let forged = json!({"client_id": "k", "body": "x", "sender_id": "bob"});
    let messages = format!("/conversations/{id}/messages");
    rest.post(&messages, forged.clone()).await.expect(201);
    assert_eq!(rest.post(&messages, forged).await.expect(200)["replayed"], true);
    rest.post(&messages, json!({"client_id": "k", "body": "y"})).await.expect(409);
    let members = format!("/conversations/{id}/members");
    rest.post(&members, json!({"user_ids": ["bob"]})).await.expect(200);
    let body = json!({"client_id": "k", "body": "y"});
    server.rest("bob").ask(Method::POST, &messages, Some(body)).await.expect(201);
    let senders: Vec<_> = rest.history(id).await.iter().map(|it| it["sender_id"].clone()).collect();
    assert_eq!(senders, ["ann", "bob"]);
}
