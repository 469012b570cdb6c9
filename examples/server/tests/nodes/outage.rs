//! Redis is gone for a while, or a node for good: chat goes on.

use serde_json::{Value, json};

use crate::support::*;

async fn status(client: &mut Client, user: &str) -> Value {
    let answer = client.result(json!({"type": "get_presence", "user_ids": [user]})).await;
    answer["users"][0]["status"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_chat_goes_on_and_afterwards_all_is_live_again() {
    let nodes = Nodes::unlimited(&["--sweep-interval", "1s"]);
    let (mut ann, mut bob) = (nodes.client(1, "ann").await, nodes.client(2, "bob").await);
    let id = ann.group(&["bob", "cem"]).await;
    bob.until_rev(id, 1).await;

    nodes.redis.kill();
    ann.say(id, "1", "who is there?").await;
    bob.until_rev(id, 2).await;
    // Somebody who comes now misses nothing either.
    let mut cem = nodes.client(3, "cem").await;
    assert_eq!(cem.follower.copy(id).rev, 2);
    bob.say(id, "2", "I am").await;
    ann.until_rev(id, 3).await;
    cem.until_rev(id, 3).await;
    assert_eq!(status(&mut ann, "bob").await, "unknown");

    nodes.redis.revive();
    while status(&mut ann, "bob").await != "online" {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    // What crosses the bus comes as an event, what the sweep finds as changes.
    for number in 3.. {
        ann.say(id, &number.to_string(), "again").await;
        let change = bob.until(|event| event["conversation_id"] == id.to_string()).await;
        if change["type"] == "message.sent" {
            break;
        }
        assert!(number < 30, "nothing is live again");
    }
    bob.follower.assert_dense(id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_killed_takes_nobodys_messages_with_it() {
    let mut nodes = Nodes::unlimited(&[]);
    let (mut ann, mut bob) = (nodes.client(1, "ann").await, nodes.client(2, "bob").await);
    let id = ann.group(&["bob"]).await;
    let said: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    for body in &said {
        ann.say(id, body, body).await;
    }
    nodes.kill(1);
    bob.say(id, "still there?", "still there?").await;
    let mut ann = nodes.client(2, "ann").await;
    let history = ann.result(json!({"type": "history", "conversation_id": id})).await;
    let messages = history["messages"].as_array().unwrap();
    let bodies: Vec<&str> = messages.iter().map(|it| it["body"].as_str().unwrap()).collect();
    assert_eq!(bodies, [&said[..], &["still there?".to_owned()]].concat());
    let seqs: Vec<u64> = messages.iter().map(|it| it["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (1..=21).collect::<Vec<_>>());
}
