//! Too much of anything: refused, coalesced or closed, and nobody else feels it.

use std::time::{Duration, Instant};

use futures::future::join_all;
use parlor::traits::Quota;
use serde_json::json;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
};

use crate::support::*;

#[tokio::test]
async fn a_flood_of_sends_is_told_when_to_come_back_and_then_let_through() {
    let limited = |builder: parlor::ChatBuilder| {
        builder.configure(|config| config.sends = Quota::new(10, 20))
    };
    let server = Server::with(limited, |it| it).await;
    let mut ann = server.client("ann").await;
    let id = ann.group(&["bob"]).await;
    let mut posted = Vec::new();
    for number in 0..60 {
        posted.push(ann.post(text_frame(id, &number.to_string(), "flood")).await);
    }
    let (mut taken, mut last) = (0, json!(null));
    for post in posted {
        let answer = ann.answer(post).await;
        if answer["type"] == "ok" {
            taken += 1;
            continue;
        }
        assert_eq!(answer["error"]["code"], "rate_limited");
        assert_eq!(answer["error"]["retryable"], true);
        last = answer["error"]["retry_after_ms"].clone();
    }
    assert!((20..60).contains(&taken), "a burst of twenty, ten a second after it: {taken}");
    // REST draws on the same quota.
    let path = format!("/conversations/{id}/messages");
    let rest = server.rest("ann");
    let answers = join_all((0..40).map(|number| {
        rest.post(&path, json!({"client_id": format!("rest {number}"), "body": "flood"}))
    }));
    let mut answers = answers.await.into_iter();
    let refused = answers.find(|answer| answer.status != 201).expect("not all of forty at once");
    assert_eq!(refused.headers["retry-after"], "1");
    let problem = refused.expect(429);
    assert!(problem["retry_after_ms"].as_u64().unwrap() <= 100, "{problem}");
    // Others are not concerned.
    let mut bob = server.client("bob").await;
    bob.say(id, "calm", "calm").await;
    assert!(last.as_u64().unwrap() <= 100, "one unit every 100 ms: {last}");
    tokio::time::sleep(Duration::from_millis(problem["retry_after_ms"].as_u64().unwrap())).await;
    ann.say(id, "59", "flood").await;
}

#[tokio::test]
async fn floods_of_typing_and_of_cursors_are_coalesced() {
    let limited = |builder: parlor::ChatBuilder| {
        builder.configure(|config| config.commands = Quota::new(1, 20))
    };
    let server = Server::with(limited, |it| it).await;
    let (mut ann, mut bob) = (server.client("ann").await, server.client("bob").await);
    let id = bob.group(&["ann"]).await;
    for number in 0..100 {
        bob.say(id, &number.to_string(), "x").await;
    }
    let began = Instant::now();
    for seq in 1..=100 {
        for _ in 0..3 {
            ann.send(json!({"type": "typing", "conversation_id": id})).await;
        }
        ann.send(json!({"type": "mark_delivered", "conversation_id": id, "seq": seq})).await;
        ann.send(json!({"type": "mark_read", "conversation_id": id, "seq": seq})).await;
    }
    bob.until(|event| event["type"] == "receipt" && event["read_seq"] == 100).await;
    let count = |kind| bob.heard.iter().filter(|event| event["type"] == kind).count();
    let spans = began.elapsed().as_millis() / 100 + 1;
    let most = 1 + began.elapsed().as_secs() as usize / 3;
    assert!((1..=most).contains(&count("typing")), "{}", count("typing"));
    assert!(count("receipt") as u128 <= spans, "{} in {spans} spans", count("receipt"));
    // No quota was drawn on: frames without an id are answered when they fail.
    ann.until(|event| event["state"]["read_seq"] == 100).await;
    ann.result(json!({"type": "ping"})).await;
}

#[tokio::test]
async fn who_connects_too_often_is_told_to_come_back_later() {
    let limited = |builder: parlor::ChatBuilder| {
        builder.configure(|config| config.connects = Quota::new(1, 3))
    };
    let server = Server::with(limited, |it| it).await;
    let mut connected = 0;
    let code = loop {
        let mut client = Client::open(server.address, &[]).await.ok().unwrap();
        client.send(json!({"type": "authenticate", "token": token("ann")})).await;
        match client.next().await {
            Ok(_) => connected += 1,
            Err(code) => break code,
        }
        assert!(connected < 20);
    };
    assert_eq!(code, 1013);
    assert!(connected >= 3, "{connected}");
    let bearer = format!("Bearer {}", token("ann"));
    let refused = Client::open(server.address, &[("authorization", &bearer)]).await;
    assert_eq!(refused.err(), Some(429));
    server.client("bob").await;
}

#[tokio::test]
async fn connections_that_say_nothing_are_capped_closed_and_hold_nobody_up() {
    let shape = |transport: parlor::axum::Transport| {
        transport.max_unauthenticated(50).auth_deadline(Duration::from_secs(2))
    };
    let server = Server::with(|it| it, shape).await;
    let mut half = Vec::new();
    for _ in 0..100 {
        let mut tcp = TcpStream::connect(server.address).await.unwrap();
        tcp.write_all(b"GET /chat/ws HTTP/1.1\r\nHost: x\r\nUpgrade: webso").await.unwrap();
        half.push(tcp);
    }
    let began = Instant::now();
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(Client::open(server.address, &[]).await.ok().unwrap());
    }
    assert_eq!(Client::open(server.address, &[]).await.err(), Some(503), "no more of them");
    // Who says at once who it is gets in all the same.
    let bearer = format!("Bearer {}", token("ann"));
    let mut ann = Client::open(server.address, &[("authorization", &bearer)]).await.ok().unwrap();
    ann.welcomed().await;
    let id = ann.group(&[]).await;
    ann.say(id, "k", "business as usual").await;
    let codes = join_all(silent.iter_mut().map(Client::closed)).await;
    assert!(codes.iter().all(|code| *code == 4001), "{codes:?}");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    // Their places are free again.
    server.client("bob").await;
    drop(half);
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_never_read_are_cut_off_and_memory_stays_flat() {
    const STUCK: usize = 40;
    const WRITERS: usize = 20;
    const EACH: usize = 20;
    let directory = tempfile::tempdir().unwrap();
    let server = Quickstart::start(&directory.path().join("chat.db")).await;
    let mut writers = Vec::new();
    for number in 0..WRITERS {
        let token = server.login(&format!("writer{number}")).await;
        writers.push(Client::connect(server.address, &token).await);
    }
    let mut stuck = Vec::new();
    for number in 0..STUCK {
        let token = server.login(&format!("reader{number}")).await;
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        let tcp = socket.connect(server.address).await.unwrap();
        let bearer = format!("Bearer {token}");
        let mut reader = Client::over(tcp, &[("authorization", &bearer)]).await.ok().unwrap();
        reader.welcomed().await;
        reader.resume().await;
        stuck.push((reader, token));
    }
    let id = lounge(&mut writers[0]).await;
    let before = server.resident_kib();
    let body = "x".repeat(30_000);
    let writing = writers.iter_mut().map(|writer| async {
        for number in 0..EACH {
            writer.say(id, &number.to_string(), &body).await;
        }
    });
    join_all(writing).await;
    let grown = server.resident_kib().saturating_sub(before);
    let written = WRITERS * EACH * body.len() / 1024;
    println!("{STUCK} readers that do not read {written} KiB each: the server grew by {grown} KiB");
    assert!(grown < 64 * 1024, "{grown} KiB");
    for (mut reader, token) in stuck.into_iter().take(3) {
        let code = reader.closed().await;
        assert!(matches!(code, 4008 | 1006), "{code}");
        let taken = reader.follower.bodies(id).len();
        assert!(taken < WRITERS * EACH, "what did not fit was not kept: {taken}");
        // It comes back and misses nothing.
        let epoch = reader.welcome["epoch"].clone();
        let reader = Client::back(server.address, &token, &epoch, reader.follower).await;
        reader.follower.assert_dense(id);
        assert_eq!(reader.follower.copy(id).messages.len(), WRITERS * EACH);
    }
}
