//! Nodes of two versions: what one does not understand it skips, and finds in the store.

use std::time::{Duration, Instant};

use parlor::model::ConversationId;
use serde_json::{Value, json};

use crate::support::*;

/// ann on node 1 and bob on node 2 in a group, and what node 1 published when ann said the first word.
async fn world(nodes: &Nodes) -> (Client, Client, ConversationId, Value) {
    let (mut ann, mut bob) = (nodes.client(1, "ann").await, nodes.client(2, "bob").await);
    let id = ann.group(&["bob"]).await;
    bob.until_rev(id, 1).await;
    let mut ear = Ear::open(nodes.redis.address());
    ann.say(id, "1", "one").await;
    let heard = ear.until(|payload| payload["change"]["type"] == "message.sent");
    bob.until_rev(id, 2).await;
    (ann, bob, id, heard)
}

/// ann says something that node 1 stores and cannot publish; its seq and rev.
async fn unheard(nodes: &Nodes, ann: &mut Client, id: ConversationId, body: &str) -> Value {
    nodes.paths[0].cut();
    ann.say(id, body, body).await
}

async fn until_skipped(nodes: &Nodes, node: usize, count: u64) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let skipped = nodes.counter(node, "parlor_bus_skipped_total").await;
        if skipped == count {
            return;
        }
        assert!(skipped < count && Instant::now() < deadline, "{skipped} skipped on node {node}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_understood_is_skipped_and_found_in_the_store() {
    let nodes = Nodes::unlimited(&["--sweep-interval", "2s"]);
    let (mut ann, mut bob, id, heard) = world(&nodes).await;
    let mut other = Mouth::open(nodes.redis.address());
    let from = other.node();
    let ack = unheard(&nodes, &mut ann, id, "two").await;

    // What a newer node would have said of it.
    let translated = json!({"v": 1, "from": from, "change":
        {"type": "message.translated", "conversation_id": id, "rev": ack["rev"], "language": "tlh"}});
    let mut newer = heard.clone();
    newer["v"] = 2.into();
    let mut wrong_id = heard.clone();
    wrong_id["change"]["conversation_id"] = 7.into();
    let mut wrong_rev = heard.clone();
    wrong_rev["change"]["rev"] = (-1).into();
    let wave = json!({"v": 1, "from": from, "ephemeral":
        {"event": {"type": "wave", "conversation_id": id}, "except": null, "only": null}});
    let texts =
        [translated, newer, wrong_id, wrong_rev, wave, json!({"v": 1, "from": from, "dance": {}})];
    let mut payloads: Vec<Vec<u8>> =
        texts.iter().map(|text| text.to_string().into_bytes()).collect();
    let whole = heard.to_string().into_bytes();
    payloads
        .extend([0, 1, whole.len() / 2, whole.len() - 1].map(|length| whole[..length].to_vec()));
    payloads.extend([b"\xff\x00\xfe".to_vec(), b"null".to_vec(), vec![b'['; 200_000]]);
    for payload in &payloads {
        other.say("parlor:user:{bob}", payload);
        other.say("parlor:{nodes}", payload);
    }
    until_skipped(&nodes, 2, 2 * payloads.len() as u64).await;
    until_skipped(&nodes, 3, payloads.len() as u64).await;
    // Frames of another form are no payloads.
    for frame in [&b""[..], b"\x01", b"\x02 and more than twenty-five bytes of it", &[1; 24]] {
        other.say_raw("parlor:user:{bob}", frame);
        other.say_raw("parlor:{nodes}", frame);
    }

    bob.until_rev(id, 3).await;
    assert_eq!(bob.follower.bodies(id), ["one", "two"]);
    let event = bob.heard.iter().rev().find(|event| event["conversation_id"] == id.to_string());
    assert_eq!(event.unwrap()["type"], "changes", "from the store");
    // All nodes live, and understand each other once node 1 has its Redis again.
    nodes.paths[0].heal();
    let mut rev = 3;
    loop {
        rev += 1;
        ann.say(id, &rev.to_string(), "again").await;
        bob.until_rev(id, rev).await;
        let last = bob.heard.iter().rev().find(|event| event["conversation_id"] == id.to_string());
        if last.unwrap()["type"] == "message.sent" {
            break;
        }
        assert!(rev < 30, "nothing is live again");
    }
    let mut cem = nodes.client(3, "cem").await;
    ann.result(json!({"type": "add_members", "conversation_id": id, "user_ids": ["cem"]})).await;
    ann.say(id, "three", "three").await;
    for client in [&mut bob, &mut cem] {
        client.until_rev(id, rev + 2).await;
        assert_eq!(client.follower.bodies(id).last().unwrap(), "three");
        assert_eq!(client.follower.holes, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_newer_node_says_more_is_overlooked() {
    // Without a sweep: what comes comes over the bus.
    let nodes = Nodes::unlimited(&["--sweep-interval", "0"]);
    let (mut ann, mut bob, id, heard) = world(&nodes).await;
    let mut other = Mouth::open(nodes.redis.address());
    let ack = unheard(&nodes, &mut ann, id, "two").await;
    let mut payload = heard.clone();
    payload["from"] = json!(other.node());
    payload["priority"] = json!({"level": 3});
    let change = &mut payload["change"];
    change["rev"] = ack["rev"].clone();
    change["shard"] = "b".into();
    let message = &mut change["message"];
    for (field, value) in [
        ("id", &ack["message_id"]),
        ("seq", &ack["seq"]),
        ("rev", &ack["rev"]),
        ("changed_rev", &ack["rev"]),
        ("body", &json!("two")),
        ("client_id", &json!("two")),
        ("translations", &json!(["tlh"])),
    ] {
        message[field] = value.clone();
    }
    other.say("parlor:user:{bob}", payload.to_string().as_bytes());
    let event = bob.until(|event| event["rev"] == ack["rev"]).await;
    assert_eq!(
        (&event["type"], &event["message"]["body"]),
        (&json!("message.sent"), &json!("two"))
    );
    assert_eq!(nodes.counter(2, "parlor_bus_skipped_total").await, 0);
}
