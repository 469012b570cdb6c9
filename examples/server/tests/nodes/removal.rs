//! Who is removed on one node receives nothing on another.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::*;

/// bob, on node 3, is removed by ann, on node 1, from a group of so many.
async fn removed(members: usize) {
    let nodes = Nodes::unlimited(&[]);
    let mut others = vec!["bob".to_owned()];
    others.extend((2..members).map(|number| format!("user {number}")));
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    let (mut ann, mut bob) = (nodes.client(1, "ann").await, nodes.client(3, "bob").await);
    let id = ann.group(&others).await;
    let other = ann.group(&["bob"]).await;
    bob.until_rev(id, 1).await;
    bob.until_rev(other, 1).await;
    ann.say(id, "1", "before").await;
    bob.until_rev(id, 2).await;

    let remove = json!({"type": "remove_member", "conversation_id": id, "user_id": "bob"});
    ann.result(remove).await;
    let since = Instant::now();
    ann.say(id, "2", "secret").await;
    ann.say(other, "3", "mark").await;
    bob.until(|event| event["removed"][0] == "bob").await;
    assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
    let mark = |event: &serde_json::Value| event["message"]["body"] == "mark";
    bob.until(mark).await;
    assert!(bob.heard.iter().all(|event| event["message"]["body"] != "secret"));
    let refusal = bob.refusal(text_frame(id, "4", "still here")).await;
    assert_eq!(refusal["code"], "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_removed_on_another_node_receives_nothing_within_a_second() {
    removed(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_removed_from_a_large_group_receives_nothing_within_a_second() {
    removed(20).await;
}
