//! The native protocol over real sockets: frames good and bad, order, deadlines, ends.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails may panic")]

mod support;

use std::time::{Duration, Instant};

use parlor_core::model::Identity;
use parlor_transport_axum::Transport;
use serde_json::{Value, json};
use support::{Client, chat, chat_with, frame, serve, start, user};
use tokio::io::AsyncWriteExt;

fn send(conversation: &str, key: impl ToString, body: &str) -> Value {
    json!({
        "type": "send", "id": key.to_string(), "conversation_id": conversation,
        "client_id": key.to_string(), "body": body,
    })
}

#[tokio::test]
async fn two_users_talk() {
    let address = start(Transport::new(chat().await)).await;
    let mut ann = Client::live(address, "ann").await;
    let mut bob = Client::live(address, "bob").await;
    let group = ann.group(&["bob"]).await;
    assert_eq!(bob.until("conversation.created").await["conversation_id"], group.as_str());
    let sent = ann.ask(send(&group, "k1", "hello")).await;
    assert_eq!(sent["result"]["seq"], 1, "{sent}");
    assert_eq!(sent["result"]["replayed"], false);
    let heard = bob.until("message.sent").await;
    assert_eq!(heard["message"]["body"], "hello");
    assert_eq!(heard["message"]["sender_id"], "ann");
    assert_eq!(heard["rev"], sent["result"]["rev"]);
    // The same key again is the same message, and nobody hears it twice.
    assert_eq!(ann.ask(send(&group, "k1", "hello")).await["result"]["replayed"], true);
    assert_eq!(ann.ask(send(&group, "k1", "other")).await["error"]["code"], "conflict");
    bob.send(&json!({"type": "typing", "conversation_id": group})).await;
    assert_eq!(ann.until("typing").await["user_id"], "bob");
    let read = json!({"type": "mark_read", "conversation_id": group, "seq": 1});
    assert_eq!(bob.result(read).await["unread"], 0);
    assert_eq!(ann.until("receipt").await["read_seq"], 1);
}

#[tokio::test]
async fn the_welcome_says_who_and_what() {
    let address = start(Transport::new(chat().await)).await;
    let (mut client, head) = Client::upgrade(
        address,
        &["authorization: bearer ann 60000", "Sec-WebSocket-Protocol: x, parlor.v1"],
    )
    .await;
    assert_eq!(head.status, 101);
    let head = head.text.to_lowercase();
    assert!(head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
    assert!(head.contains("sec-websocket-protocol: parlor.v1"), "{head}");
    let welcome = client.json().await;
    assert_eq!(welcome["type"], "welcome");
    assert_eq!(welcome["protocol"], 1);
    assert_eq!(welcome["user_id"], "ann");
    assert_eq!(welcome["limits"]["frame_bytes"], 256 * 1024);
    assert!(welcome["expires_at"].is_string(), "{welcome}");
    assert!(client.result(json!({"type": "ping"})).await["time"].is_string());
}

#[tokio::test]
async fn who_one_is_may_come_in_the_first_frame() {
    let address = start(Transport::new(chat().await)).await;
    let mut client = Client::anonymous(address).await;
    let welcome = client.ask(json!({"type": "authenticate", "id": 1, "token": "ann"})).await;
    assert_eq!((&welcome["type"], &welcome["user_id"]), (&json!("welcome"), &json!("ann")));
    // A cookie that proves nothing leaves the first frame to do it.
    let (mut client, head) = Client::upgrade(address, &["Cookie: session=nobody"]).await;
    assert_eq!(head.status, 101);
    client.send(&json!({"type": "authenticate", "token": "bob"})).await;
    assert_eq!(client.json().await["user_id"], "bob");
    let (mut client, _) = Client::upgrade(address, &["Cookie: session=cid"]).await;
    assert_eq!(client.json().await["user_id"], "cid");
}

#[tokio::test]
async fn what_follows_the_first_frame_need_not_wait_for_the_welcome() {
    let address = start(Transport::new(chat().await)).await;
    let first = async |token: &str| {
        let authenticate = json!({"type": "authenticate", "id": 1, "token": token}).to_string();
        let resume = json!({"type": "resume", "id": 2, "known": []}).to_string();
        let mut client = Client::anonymous(address).await;
        let frames = [authenticate, resume].map(|text| frame(0x81, text.as_bytes()));
        client.raw(&frames.concat()).await;
        client
    };
    let mut ann = first("ann").await;
    assert_eq!(ann.json().await["type"], "welcome");
    ann.until("resumed").await;
    let mut nobody = first("nobody").await;
    assert_eq!(nobody.json().await["error"]["code"], "unauthenticated");
    assert_eq!(nobody.closed().await, 4001);
}

#[tokio::test]
async fn who_does_not_say_who_it_is_is_turned_away() {
    let transport = Transport::new(chat().await).auth_deadline(Duration::from_millis(300));
    let address = start(transport).await;
    for first in [
        json!({"type": "authenticate", "id": 1, "token": "nobody"}),
        json!({"type": "send", "id": 1, "conversation_id": "0193a1b2-7c00-7000-8000-00000000c0de", "client_id": "a"}),
        json!({"type": "ping", "id": 1}),
    ] {
        let mut client = Client::anonymous(address).await;
        let answer = client.ask(first).await;
        assert_eq!(answer["error"]["code"], "unauthenticated", "{answer}");
        assert_eq!(client.closed().await, 4001);
    }
    // One that says nothing, one that says it byte by byte, one that only pings.
    let mut silent = Client::anonymous(address).await;
    let mut slow = Client::anonymous(address).await;
    let began = Instant::now();
    let (mut reading, mut writing) = slow.tcp.split();
    let drip = async {
        for byte in frame(0x81, br#"{"type":"authenticate","id":1,"token":"ann"}"#) {
            if writing.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let mut heard = Vec::new();
    let listen = tokio::io::AsyncReadExt::read_to_end(&mut reading, &mut heard);
    tokio::select! { () = drip => panic!("it was let finish"), _ = listen => {} }
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(silent.closed().await, 4001);
    let refused = Client::upgrade(address, &["Authorization: Bearer nobody"]).await.1;
    assert_eq!(refused.status, 401);
}

#[tokio::test]
async fn frames_that_cannot_be_understood_are_answered_and_the_connection_stays() {
    let address = start(Transport::new(chat().await)).await;
    let mut ann = Client::connect(address, "ann").await;
    let group = ann.group(&[]).await;
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    for (text, id, field) in [
        ("{", json!(null), json!(null)),
        ("[]", json!(null), json!(null)),
        (r#"{"id":1,"type":"shout"}"#, json!(1), json!("type")),
        (r#"{"id":"x","type":"history"}"#, json!("x"), json!("conversation_id")),
        (r#"{"id":null,"type":"history"}"#, json!(null), json!("conversation_id")),
        (r#"{"type":"history"}"#, json!(null), json!("conversation_id")),
        (r#"{"id":{},"type":"ping"}"#, json!(null), json!("id")),
        (
            &format!(r#"{{"id":2,"type":"create_group","title":"x","metadata":{{"a":{deep}}}}}"#),
            json!(2),
            json!(null),
        ),
        (r#"{"id":3,"type":"create_group","title":"\ud800"}"#, json!(3), json!(null)),
        (r#"{"id":4,"type":"create_group","title":"  "}"#, json!(4), json!("title")),
    ] {
        ann.text(text).await;
        let answer = ann.json().await;
        assert_eq!(answer["type"], "error", "{answer}");
        assert_eq!(answer["error"]["code"], "invalid", "{answer}");
        assert_eq!((&answer["id"], &answer["error"]["field"]), (&id, &field), "{answer}");
    }
    for body in ["a\\u0000b", " \\n "] {
        let frame = format!(
            r#"{{"type":"send","id":5,"conversation_id":"{group}","client_id":"n","body":"{body}"}}"#
        );
        ann.text(&frame).await;
        assert_eq!(ann.json().await["error"]["field"], "body");
    }
    // What has no id is answered only when it fails, and what somebody says of themself counts for nothing.
    ann.send(&json!({"type": "mark_read", "conversation_id": group, "seq": 0})).await;
    let forged = json!({
        "type": "send", "id": 6, "conversation_id": group, "client_id": "f", "body": "x",
        "sender_id": "bob", "user_id": "bob",
    });
    assert_eq!(ann.ask(forged).await["type"], "ok");
    let history = json!({"type": "history", "conversation_id": group});
    assert_eq!(ann.result(history).await["messages"][0]["sender_id"], "ann");
}

#[tokio::test]
async fn broken_frames_close_with_their_own_codes() {
    let address = start(Transport::new(chat().await).max_frame(1000)).await;
    let fragments = [frame(0x01, &[b'a'; 600]), frame(0x80, &[b'a'; 600])].concat();
    for (bytes, code) in [
        (vec![0x81, 0x02, b'{', b'}'], 1002),
        (frame(0xc1, b"{}"), 1002),
        (frame(0x83, b"{}"), 1002),
        (frame(0x80, b"{}"), 1002),
        (frame(0x09, b""), 1002),
        (frame(0x89, &[0; 126]), 1002),
        (frame(0x88, &[1]), 1002),
        (frame(0x81, &[b'"', 0xff, b'"']), 1007),
        (frame(0x82, b"{}"), 1003),
        (frame(0x81, &[b'a'; 1001]), 1009),
        (fragments, 1009),
        (frame(0x88, &1000_u16.to_be_bytes()), 1000),
        (frame(0x88, &[]), 1005),
    ] {
        for mut client in [Client::anonymous(address).await, Client::connect(address, "ann").await]
        {
            client.raw(&bytes).await;
            assert_eq!(client.closed().await, code, "{:x?}", &bytes[..2]);
            assert!(client.next().await.is_none(), "the connection ends");
        }
    }
}

#[tokio::test]
async fn the_close_code_arrives_though_more_is_on_its_way() {
    let address = start(Transport::new(chat().await)).await;
    let mut ann = Client::connect(address, "ann").await;
    let mut bytes = frame(0xc1, b"{}");
    bytes.resize(512 * 1024, 0);
    ann.raw(&bytes).await;
    assert_eq!(ann.closed().await, 1002);
}

#[tokio::test]
async fn fragments_and_control_frames_between_them_are_understood() {
    let address = start(Transport::new(chat().await)).await;
    let mut ann = Client::connect(address, "ann").await;
    let text = r#"{"type":"ping","id":"é"}"#.as_bytes();
    let cut = text.len() - 3;
    ann.frame(0x01, &text[..cut]).await;
    ann.frame(0x89, b"are you there").await;
    let pong = ann.next().await.unwrap();
    assert_eq!((pong.opcode, &pong.payload[..]), (10, &b"are you there"[..]));
    ann.frame(0x00, b"").await;
    ann.frame(0x80, &text[cut..]).await;
    assert_eq!(ann.json().await["id"], "é");
}

#[tokio::test]
async fn a_flood_of_pipelined_sends_keeps_its_order_and_every_answer() {
    const SENDS: usize = 2000;
    let address = start(Transport::new(chat().await)).await;
    let mut ann = Client::connect(address, "ann").await;
    let group = ann.group(&[]).await;
    let mut flood = Vec::new();
    for key in 1..=SENDS {
        flood.extend(frame(0x81, send(&group, key, &format!("body {key}")).to_string().as_bytes()));
    }
    let (mut reading, mut writing) = ann.tcp.into_split();
    let writer = tokio::spawn(async move {
        writing.write_all(&flood).await.unwrap();
        writing
    });
    // The answers come in the order of the commits, which is the order of the sends.
    let mut seqs = std::collections::BTreeMap::new();
    let mut bytes = Vec::new();
    while seqs.len() < SENDS {
        let read = tokio::io::AsyncReadExt::read_buf(&mut reading, &mut bytes).await.unwrap();
        assert_ne!(read, 0, "closed after {} answers", seqs.len());
        while let Some((frame, rest)) = take(&bytes) {
            let answer: Value = serde_json::from_slice(frame).unwrap();
            let seq = answer["result"]["seq"].as_u64().unwrap_or_else(|| panic!("{answer}"));
            seqs.insert(answer["id"].as_str().unwrap().parse::<usize>().unwrap(), seq);
            bytes = rest.to_vec();
        }
    }
    drop(writer.await.unwrap());
    assert!(seqs.iter().all(|(key, seq)| *key as u64 == *seq), "{seqs:?}");
}

/// The payload of the first short server frame, and what is behind it.
fn take(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (head, length) = match *bytes.get(1)? {
        126 => (4, usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]))),
        length => (2, usize::from(length)),
    };
    let payload = bytes.get(head..head + length)?;
    Some((payload, &bytes[head + length..]))
}

#[tokio::test]
async fn a_silent_client_is_pinged_and_one_that_does_not_answer_is_closed() {
    let transport = Transport::new(chat().await)
        .ping_interval(Duration::from_millis(200))
        .pong_deadline(Duration::from_millis(300));
    let address = start(transport).await;
    let mut ann = Client::connect(address, "ann").await;
    // Two that are answered, each by another sign of life, then one that is not.
    for sign in [0x8a, 0x89] {
        assert_eq!(ann.next().await.unwrap().opcode, 9);
        ann.frame(sign, b"").await;
        if sign == 0x89 {
            assert_eq!(ann.next().await.unwrap().opcode, 10);
        }
    }
    assert_eq!(ann.next().await.unwrap().opcode, 9);
    assert_eq!(ann.next().await.unwrap().close_code(), 4010);
}

#[tokio::test]
async fn a_client_that_never_reads_is_closed_and_the_others_are_not_held_up() {
    let chat = chat().await;
    let transport = Transport::new(chat.clone()).write_deadline(Duration::from_millis(500));
    let address = start(transport).await;
    let mut ann = Client::live(address, "ann").await;
    let mut bob = Client::live(address, "bob").await;
    let group = ann.group(&["bob"]).await;
    let body = "x".repeat(30_000);
    let began = Instant::now();
    // The kernel takes some megabytes before anything stalls.
    for key in 0.. {
        assert_eq!(ann.ask(send(&group, key, &body)).await["type"], "ok");
        if chat.connections() == 1 {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(15), "bob is still there");
    }
    // He reads after all, and learns why it ends.
    assert_eq!(bob.closed().await, 4008);
}

#[tokio::test]
async fn a_client_that_sends_without_reading_is_held_back_and_loses_nothing() {
    let address = start(Transport::new(chat().await)).await;
    let mut ann = Client::connect(address, "ann").await;
    let group = ann.group(&[]).await;
    let body = "x".repeat(30_000);
    for key in 0..20 {
        ann.ask(send(&group, key, &body)).await;
    }
    // Each answer is 600 kB: 40 of them fit in no buffer on the way.
    let (reading, mut writing) = ann.tcp.into_split();
    let asking = tokio::spawn(async move {
        for id in 0..40 {
            let history = json!({"type": "history", "id": id, "conversation_id": group});
            writing.write_all(&frame(0x81, history.to_string().as_bytes())).await.unwrap();
        }
        writing
    });
    let writing = asking.await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut ann = Client { tcp: reading.reunite(writing).unwrap() };
    for id in 0..40 {
        let page = ann.json().await;
        assert_eq!(page["id"], id);
        assert_eq!(page["result"]["messages"].as_array().unwrap().len(), 20);
    }
}

#[tokio::test]
async fn a_half_closed_client_is_let_go() {
    let chat = chat().await;
    let address = start(Transport::new(chat.clone())).await;
    let mut ann = Client::connect(address, "ann").await;
    assert_eq!(chat.connections(), 1);
    ann.tcp.shutdown().await.unwrap();
    assert_eq!(ann.closed().await, 1006);
    let gone = async {
        while chat.connections() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone).await.unwrap();
}

#[tokio::test]
async fn a_token_ends_the_connection_with_it_unless_it_is_renewed() {
    let address = start(Transport::new(chat().await)).await;
    let mut renewed = Client::connect(address, "ann 1500").await;
    let mut ended = Client::connect(address, "bob 1500").await;
    let other = renewed.ask(json!({"type": "authenticate", "id": 1, "token": "bob"})).await;
    assert_eq!(other["error"]["code"], "unauthenticated");
    let renewal = renewed.ask(json!({"type": "authenticate", "id": 2, "token": "ann 60000"})).await;
    assert!(renewal["result"]["expires_at"].is_string(), "{renewal}");
    assert_eq!(ended.closed().await, 4001);
    assert_eq!(renewed.ask(json!({"type": "ping", "id": 3})).await["type"], "ok");
    let late = Client::upgrade(address, &["Authorization: Bearer ann 0"]).await.1;
    assert_eq!(late.status, 401);
}

#[tokio::test]
async fn the_host_may_end_a_users_connections() {
    let chat = chat().await;
    let address = start(Transport::new(chat.clone())).await;
    let mut ann = Client::live(address, "ann").await;
    chat.disconnect(&user("ann"));
    assert_eq!(ann.closed().await, 4003);
}

#[tokio::test]
async fn a_server_that_goes_away_says_so() {
    let chat = chat().await;
    let address = start(Transport::new(chat.clone())).await;
    let mut ann = Client::live(address, "ann").await;
    let mut unknown = Client::anonymous(address).await;
    let draining = chat.clone();
    let mut drain = tokio::spawn(async move {
        draining.drain(Duration::from_millis(100), Duration::from_secs(10)).await;
    });
    assert!(ann.until("reconnect").await["after_ms"].is_u64());
    assert_eq!(ann.closed().await, 1012);
    // The process may end with the drain, so it lasts until the client has hung up.
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut drain).await.is_err());
    drop(ann);
    drain.await.unwrap();
    let (_, head) = Client::upgrade(address, &["Authorization: Bearer ann"]).await;
    assert_eq!(head.status, 503);
    unknown.send(&json!({"type": "authenticate", "token": "bob"})).await;
    assert_eq!(unknown.closed().await, 1012);
}

#[tokio::test]
async fn connections_are_counted() {
    let chat = chat_with(|config| config.connections_per_user = 2).await;
    let address = start(Transport::new(chat).max_unauthenticated(2)).await;
    let _one = Client::connect(address, "ann").await;
    let two = Client::connect(address, "ann").await;
    let (_, head) = Client::upgrade(address, &["Authorization: Bearer ann"]).await;
    assert_eq!(head.status, 429, "{}", head.text);
    let mut third = Client::anonymous(address).await;
    third.send(&json!({"type": "authenticate", "token": "ann"})).await;
    assert_eq!(third.closed().await, 4029);
    let (_a, _b) = (Client::anonymous(address).await, Client::anonymous(address).await);
    assert_eq!(Client::upgrade(address, &[]).await.1.status, 503);
    drop(two);
}

#[tokio::test]
async fn what_is_no_handshake_and_who_is_no_guest_is_refused_before_the_upgrade() {
    let address = start(Transport::new(chat().await).allow_origins(["https://app.example"])).await;
    let status =
        async |headers: &'static [&'static str]| Client::upgrade(address, headers).await.1.status;
    assert_eq!(status(&["Origin: https://evil.example"]).await, 403);
    assert_eq!(status(&["Origin: null"]).await, 403);
    assert_eq!(status(&["Origin: https://app.example"]).await, 101);
    assert_eq!(status(&["Sec-WebSocket-Protocol: graphql-ws"]).await, 400);
    let own = format!("Origin: http://{address}");
    assert_eq!(Client::upgrade(address, &[&own]).await.1.status, 101);
}

#[tokio::test]
async fn the_hosts_own_session_comes_first() {
    let router = axum::Router::new()
        .nest("/chat", Transport::new(chat().await).router())
        .layer(axum::Extension(Identity::new(user("dora"))));
    let address = serve(router).await;
    let (mut client, head) = Client::upgrade(address, &["Authorization: Bearer ann"]).await;
    assert_eq!(head.status, 101);
    assert_eq!(client.json().await["user_id"], "dora");
}

#[tokio::test]
async fn a_client_of_another_make_understands_it() {
    use futures::{SinkExt, StreamExt};
    use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

    let address = start(Transport::new(chat().await)).await;
    let mut request = format!("ws://{address}/chat/ws").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "parlor.v1".parse().unwrap());
    let (mut socket, response) = tokio_tungstenite::connect_async(request).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "parlor.v1");
    let say = |frame: Value| Message::text(frame.to_string());
    socket.send(say(json!({"type": "authenticate", "token": "ann"}))).await.unwrap();
    let welcome = socket.next().await.unwrap().unwrap().into_text().unwrap();
    assert!(welcome.starts_with("{\"type\":\"welcome\""), "{welcome}");
    socket.send(Message::Ping("x".into())).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::Pong("x".into()));
    for size in [10, 1000, 30_000] {
        let group = json!({"type": "create_group", "id": size, "title": "x", "metadata": {}});
        socket.send(say(group)).await.unwrap();
        let made = socket.next().await.unwrap().unwrap().into_text().unwrap();
        let made: Value = serde_json::from_str(&made).unwrap();
        let id = made["result"]["conversation"]["id"].as_str().unwrap().to_owned();
        socket.send(say(send(&id, size, &"y".repeat(size)))).await.unwrap();
        let sent = socket.next().await.unwrap().unwrap().into_text().unwrap();
        assert!(sent.contains("\"seq\":1"), "{sent}");
        let history = json!({"type": "history", "id": "h", "conversation_id": id});
        socket.send(say(history)).await.unwrap();
        let page = socket.next().await.unwrap().unwrap().into_text().unwrap();
        assert!(page.len() > size, "{}", page.len());
    }
    socket.send(Message::Binary("x".into())).await.unwrap();
    match socket.next().await.unwrap().unwrap() {
        Message::Close(Some(close)) => assert_eq!(u16::from(close.code), 1003),
        other => panic!("{other:?}"),
    }
    assert!(socket.next().await.is_none(), "closed cleanly");
}
