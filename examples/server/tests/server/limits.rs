//! What a connection may cost.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::*;

/// What still comes on a connection, which then ends.
async fn rest(tcp: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    // A reset ends it as well.
    let _ = timeout(PATIENCE, tcp.read_to_end(&mut rest)).await.expect("it is closed");
    String::from_utf8(rest).unwrap()
}

#[tokio::test]
async fn headers_that_come_slowly_are_cut_off() {
    let server = Process::start(&["--header-timeout", "500ms"]).await;
    let began = Instant::now();
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    let drip = async {
        slow.write_all(b"GET /healthz HTTP/1.1\r\nhost: here\r\n").await.unwrap();
        for number in 0.. {
            let header = format!("x-header-{number}: drip\r\n");
            if began.elapsed() > PATIENCE || slow.write_all(header.as_bytes()).await.is_err() {
                break;
            }
            // Whoever trickles takes their time.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    drip.await;
    assert!(began.elapsed() < PATIENCE, "a slow one may stay");
    rest(&mut silent).await;

    // One that is kept after an answer is closed as well.
    let mut kept = TcpStream::connect(server.address).await.unwrap();
    kept.write_all(b"GET /healthz HTTP/1.1\r\nhost: here\r\n\r\n").await.unwrap();
    assert!(rest(&mut kept).await.ends_with("alive\n"));
}

#[tokio::test]
async fn a_body_that_comes_slowly_is_cut_off() {
    let server = Process::start(&["--jwt-secret", SECRET, "--request-timeout", "500ms"]).await;
    let token = server.token("ann", &["--jwt-secret", SECRET]).await;
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST /chat/conversations HTTP/1.1\r\nhost: here\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: 1000\r\n\r\n{{"
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    assert!(rest(&mut slow).await.starts_with("HTTP/1.1 408"));
}

#[tokio::test]
async fn connections_are_counted_altogether_and_by_address() {
    for option in ["--connections", "--connections-per-address"] {
        let mut server = Process::start(&[option, "2"]).await;
        let first = TcpStream::connect(server.address).await.unwrap();
        let mut second = TcpStream::connect(server.address).await.unwrap();
        second.write_all(b"GET /healthz HTTP/1.1\r\nhost: here\r\n\r\n").await.unwrap();
        second.read_u8().await.unwrap();
        let mut third = TcpStream::connect(server.address).await.unwrap();
        assert!(rest(&mut third).await.starts_with("HTTP/1.1 503"), "{option}");
        server.until_log("connections are refused").await;
        drop((first, second));
        // Places come back.
        let again = async {
            loop {
                let mut tcp = TcpStream::connect(server.address).await.unwrap();
                let asked = tcp.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").await;
                if asked.is_ok() && rest(&mut tcp).await.ends_with("alive\n") {
                    break;
                }
            }
        };
        timeout(PATIENCE, again).await.expect("a place");
    }
}

#[tokio::test]
async fn a_websocket_is_counted_once_and_as_long_as_it_lasts() {
    for option in ["--connections", "--connections-per-address"] {
        let key = ["--jwt-secret", SECRET];
        let server = Process::start(&[&key[..], &[option, "2"]].concat()).await;
        let token = server.token("ann", &key).await;
        let first = Client::live(server.address, &token).await;
        let mut second = Client::live(server.address, &token).await;
        let mut third = TcpStream::connect(server.address).await.unwrap();
        assert!(rest(&mut third).await.starts_with("HTTP/1.1 503"), "{option}");
        second.ask(json!({"type": "ping"})).await;
        drop(first);
        // Its place comes back.
        let again =
            async { while Client::connect_or_not(server.address, &token).await.is_none() {} };
        timeout(PATIENCE, again).await.expect("a place");
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off() {
    let options = ["--jwt-secret", SECRET, "--no-rate-limits", "--write-timeout", "1s"];
    let server = Process::start(&options).await;
    let token = server.token("ann", &["--jwt-secret", SECRET]).await;
    let mut ann = Client::live(server.address, &token).await;
    let conversation = ann.direct("bob").await;
    let long = "x".repeat(30_000);
    for number in 0..100 {
        ann.ask(json!({
            "type": "send", "conversation_id": conversation, "client_id": number.to_string(),
            "body": long
        }))
        .await;
    }
    let path = format!("/chat/conversations/{}/messages?limit=100", conversation.as_str().unwrap());
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: here\r\nauthorization: Bearer {token}\r\n\r\n");
    let served = async || {
        let (_, figures) = server.get("/metrics").await;
        let line = figures.lines().find(|line| line.starts_with("parlor_http_connections "));
        line.unwrap().rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    // One that asks for 60 MB and takes nothing. The system keeps some of them on the way.
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    silent.write_all(request.repeat(20).as_bytes()).await.unwrap();
    // One that takes its time, and takes longer altogether, is served to the end.
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    slow.write_all(request.as_bytes()).await.unwrap();
    let began = Instant::now();
    let mut taken = 0;
    while taken < 3_000_000 {
        let mut piece = vec![0; 150_000];
        taken += timeout(PATIENCE, slow.read(&mut piece)).await.unwrap().unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(began.elapsed() > Duration::from_secs(2), "it was quick");
    drop(slow);
    let gone = async { while served().await > 1.0 {} };
    timeout(PATIENCE, gone).await.expect("its connection has ended");
    // What was never taken is thrown away, and the WebSocket has not noticed anything.
    let mut all = Vec::new();
    silent.read_to_end(&mut all).await.unwrap_err();
    assert!(all.len() < 60_000_000);
    ann.say(&conversation, "still here").await;
}

#[tokio::test]
async fn when_files_run_out_it_waits_and_goes_on() {
    let mut server = Process::start_with_files(64, &["--header-timeout", "1h"]).await;
    let mut many = Vec::new();
    for _ in 0..80 {
        // The system takes them for a server that does not.
        many.push(TcpStream::connect(server.address).await.unwrap());
    }
    let began = Instant::now();
    server.until_logged("no connections can be accepted for a moment", 6).await;
    assert!(began.elapsed() > Duration::from_millis(600), "it does not spin");
    drop(many);
    assert_eq!(server.get("/healthz").await.0, 200);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let server = Process::start(&["--header-timeout", "1h"]).await;
    let mut large = TcpStream::connect(server.address).await.unwrap();
    let header = format!("x-large: {}\r\n", "x".repeat(8000));
    let head = format!("GET /healthz HTTP/1.1\r\nhost: here\r\n{}", header.repeat(20));
    // The rest of it may find the connection closed.
    let _ = large.write_all(head.as_bytes()).await;
    let answer = rest(&mut large).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn behind_a_proxy_its_word_counts_if_it_is_trusted() {
    let connect = async |server: &Process, from: &str| {
        let mut tcp = TcpStream::connect(server.address).await.unwrap();
        let token = server.token("ann", &["--jwt-secret", SECRET]).await;
        let request = format!(
            "GET /chat/ws HTTP/1.1\r\nhost: here\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             authorization: Bearer {token}\r\nx-forwarded-for: {from}\r\n\r\n"
        );
        tcp.write_all(request.as_bytes()).await.unwrap();
        let mut head = vec![0; 12];
        timeout(PATIENCE, tcp.read_exact(&mut head)).await.expect("an answer").unwrap();
        (String::from_utf8(head).unwrap(), tcp)
    };
    let options = ["--jwt-secret", SECRET, "--connections-per-address", "1"];
    let trusting = Process::start(&[&options[..], &["--trust-forwarded-for"]].concat()).await;
    let (first, _one) = connect(&trusting, "203.0.113.7").await;
    assert_eq!(first, "HTTP/1.1 101");
    let (second, _) = connect(&trusting, "203.0.113.7").await;
    assert_eq!(second, "HTTP/1.1 429");
    let (other, _) = connect(&trusting, "203.0.113.8").await;
    assert_eq!(other, "HTTP/1.1 101");

    let wary = Process::start(&options).await;
    let (_, _one) = connect(&wary, "203.0.113.7").await;
    let (other, _) = connect(&wary, "203.0.113.8").await;
    assert_eq!(other, "HTTP/1.1 503");
}

#[tokio::test]
async fn sends_are_limited_as_said_or_not_at_all() {
    let burst = async |options: &[&str]| {
        let secret = ["--jwt-secret", SECRET];
        let server = Process::start(&[&secret[..], options].concat()).await;
        let mut ann = Client::live(server.address, &server.token("ann", &secret).await).await;
        let conversation = ann.direct("bob").await;
        for number in 0..60 {
            ann.send(json!({
                "type": "send", "id": number, "conversation_id": conversation,
                "client_id": number.to_string(), "body": "again"
            }))
            .await;
        }
        let mut granted = 0;
        for _ in 0..60 {
            let answer = loop {
                let frame = ann.next().await.unwrap();
                if frame["id"].is_u64() {
                    break frame;
                }
            };
            match answer["type"].as_str() {
                Some("ok") => granted += 1,
                _ => assert_eq!(answer["error"]["code"], "rate_limited", "{answer}"),
            }
        }
        granted
    };
    // A few more may be granted while the first are being sent.
    assert!((2..10).contains(&burst(&["--sends-per-second", "1"]).await));
    assert!((7..20).contains(&burst(&["--sends-per-second", "1", "--sends-burst", "7"]).await));
    assert_eq!(burst(&["--no-rate-limits"]).await, 60);
}
