//! Who is there, over several nodes.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::*;

/// How long a lease holds, and how long somebody stays after the last device went.
const LEASE: Duration = Duration::from_secs(3);
const GRACE: Duration = Duration::from_secs(1);

fn nodes() -> Nodes {
    Nodes::unlimited(&["--presence-lease", "3s", "--presence-grace", "1s"])
}

fn tells(event: &Value, status: &str) -> bool {
    event["type"] == "presence"
        && event["users"][0]["user_id"] == "bob"
        && event["users"][0]["status"] == status
}

/// ann on node 1, who has a direct conversation with bob.
async fn ann(nodes: &Nodes) -> Client {
    let mut ann = nodes.client(1, "ann").await;
    ann.result(json!({"type": "open_direct", "user_id": "bob"})).await;
    ann.result(json!({"type": "watch", "user_ids": ["bob"]})).await;
    ann
}

async fn status(client: &mut Client) -> Value {
    let answer = client.result(json!({"type": "get_presence", "user_ids": ["bob"]})).await;
    answer["users"][0]["status"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_on_two_nodes_are_one_person() {
    let nodes = nodes();
    let mut ann = ann(&nodes).await;
    let here = nodes.client(1, "bob").await;
    ann.until(|event| tells(event, "online")).await;
    let mut there = nodes.client(3, "bob").await;
    there.result(json!({"type": "set_status", "status": "busy"})).await;
    ann.until(|event| tells(event, "busy")).await;
    drop(here);
    // Well beyond the grace and the lease of the device that went, the person stays.
    let until = Instant::now() + GRACE + LEASE + Duration::from_secs(1);
    while Instant::now() < until {
        assert_eq!(status(&mut ann).await, "busy");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let heard = ann.heard.len();
    drop(there);
    ann.until(|event| tells(event, "offline")).await;
    assert!(ann.heard[..heard].iter().all(|event| !tells(event, "offline")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_killed_takes_its_users_offline() {
    let mut nodes = nodes();
    let mut ann = ann(&nodes).await;
    let bob = nodes.client(3, "bob").await;
    ann.until(|event| tells(event, "online")).await;
    nodes.kill(3);
    let since = Instant::now();
    ann.until(|event| tells(event, "offline")).await;
    // Watched users are looked at as often as leases are renewed.
    assert!(since.elapsed() <= LEASE + GRACE + LEASE / 3, "{:?}", since.elapsed());
    assert_eq!(status(&mut ann).await, "offline");
    drop(bob);
}
