//! A user's quota is one, however many nodes they use.

use std::time::Instant;

use futures::future::join_all;
use serde_json::Value;

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn nodes_count_a_users_sends_together() {
    let nodes = Nodes::start(&["--sends-per-second", "1", "--sends-burst", "6"]);
    let mut devices = Vec::new();
    for node in 1..=3 {
        devices.push(nodes.client(node, "ann").await);
    }
    let id = devices[0].group(&["bob"]).await;
    let since = Instant::now();
    let sending = devices.into_iter().enumerate().map(|(device, mut client)| async move {
        let mut answers: Vec<Value> = Vec::new();
        for number in 0..6 {
            answers.push(client.ask(text_frame(id, &format!("{device} {number}"), "hi")).await);
        }
        answers
    });
    let answers: Vec<Value> = join_all(sending).await.into_iter().flatten().collect();
    let granted = answers.iter().filter(|answer| answer["type"] == "ok").count();
    // Each node alone would have granted its six.
    let most = 6 + since.elapsed().as_secs() as usize + 1;
    assert!((6..=most).contains(&granted), "{granted} of {}", answers.len());
    for answer in answers.iter().filter(|answer| answer["type"] == "error") {
        assert_eq!(answer["error"]["code"], "rate_limited", "{answer}");
        assert!(answer["error"]["retry_after_ms"].as_u64().is_some_and(|after| after > 0));
    }
}
