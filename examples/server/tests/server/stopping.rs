//! It goes away in order.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::support::*;

const KEY: [&str; 2] = ["--jwt-secret", SECRET];

#[tokio::test]
async fn clients_are_told_to_come_back_and_nothing_acknowledged_is_lost() {
    let mut server = Process::start(&[&KEY[..], &["--connections-per-user", "100"]].concat()).await;
    let mut ann = Client::live(server.address, &server.token("ann", &KEY).await).await;
    let conversation = ann.direct("bob").await;
    let token = server.token("bob", &KEY).await;
    let mut bobs = Vec::new();
    for _ in 0..40 {
        bobs.push(Client::live(server.address, &token).await);
    }
    // Kept alive, but with nothing to say.
    let _idle = TcpStream::connect(server.address).await.unwrap();
    ann.say(&conversation, "the last word").await;
    server.signal("TERM");
    let mut spread = Vec::new();
    for bob in &mut bobs {
        bob.hear("the last word").await;
        spread.push(bob.until("reconnect").await["after_ms"].as_u64().unwrap());
        assert_eq!(bob.closed().await, 1012);
    }
    assert_eq!(ann.closed().await, 1012);
    assert!(spread.iter().all(|after| *after < 2000), "{spread:?}");
    assert!(spread.iter().any(|after| *after != spread[0]), "{spread:?}");
    drop((ann, bobs));
    assert_eq!(server.ended().await.code(), Some(0), "{}", server.log());

    let server = Process::start_in(server.folder(), &KEY).await;
    let mut bob = Client::live(server.address, &token).await;
    let history = bob.ask(json!({"type": "history", "conversation_id": conversation})).await;
    assert_eq!(history["messages"][0]["body"], "the last word");
}

#[tokio::test]
async fn readiness_goes_first_and_a_second_signal_ends_at_once() {
    let mut server = Process::start(&[&KEY[..], &["--drain-delay", "1h"]].concat()).await;
    let mut ann = Client::live(server.address, &server.token("ann", &KEY).await).await;
    server.signal("INT");
    server.until_log("draining").await;
    let left = async {
        loop {
            let (status, why) = server.get("/readyz").await;
            if status == 503 {
                return why;
            }
        }
    };
    let why = tokio::time::timeout(PATIENCE, left).await.expect("not ready");
    assert!(why.starts_with("draining"), "{why}");
    let listen = server.address.to_string();
    let asked = Process::run(&["ready", "--listen", &listen], &[]).await;
    assert_eq!(asked.code, Some(1));
    assert!(asked.log.contains("is not ready: draining"), "{}", asked.log);
    assert_eq!(server.get("/healthz").await.0, 200);
    // Those who are here chat on.
    let conversation = ann.direct("bob").await;
    ann.say(&conversation, "still here").await;
    server.signal("TERM");
    assert_eq!(server.ended().await.code(), Some(1));
    server.until_log("ended at once").await;
}

#[tokio::test]
async fn a_client_that_does_not_go_does_not_keep_it() {
    let deadline = ["--drain-deadline", "1s"];
    let mut server = Process::start(&[&KEY[..], &deadline].concat()).await;
    let mut ann = Client::live(server.address, &server.token("ann", &KEY).await).await;
    let mut begun = TcpStream::connect(server.address).await.unwrap();
    begun.write_all(b"POST /chat/conversations HTTP/1.1\r\nhost: here\r\n").await.unwrap();
    server.signal("TERM");
    assert_eq!(ann.closed().await, 1012);
    let began = Instant::now();
    // Neither the one that was told nor the one that never ends its request hangs up.
    assert_eq!(server.ended().await.code(), Some(0), "{}", server.log());
    assert!(began.elapsed() < Duration::from_secs(10));
    drop((ann, begun));
}
