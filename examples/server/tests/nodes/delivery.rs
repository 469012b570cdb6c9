//! What is said on one node is heard on all, in one order, once.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::*;

const EACH: usize = 100;

/// Three members who talk at once, each on a node of their own, in a group of so many.
async fn one_order(members: usize) {
    let nodes = Nodes::unlimited(&[]);
    let names: Vec<String> = (0..members).map(|number| format!("user {number}")).collect();
    let others: Vec<&str> = names[1..].iter().map(String::as_str).collect();
    let mut clients = Vec::new();
    for node in 1..=3 {
        clients.push(nodes.client(node, &names[node - 1]).await);
    }
    let id = clients[0].group(&others).await;
    for client in &mut clients {
        client.until_rev(id, 1).await;
    }
    let talking = clients.into_iter().zip(&names).map(|(mut client, name)| async move {
        for number in 0..EACH {
            client
                .post(text_frame(id, &format!("{name} {number}"), &format!("{name} {number}")))
                .await;
        }
        client.until_rev(id, 1 + 3 * EACH as u64).await;
        client
    });
    let clients = join_all(talking).await;
    let first = clients[0].follower.bodies(id);
    assert_eq!(first.len(), 3 * EACH);
    for (client, name) in clients.iter().zip(&names) {
        client.follower.assert_dense(id);
        assert_eq!(client.follower.holes, 0);
        assert_eq!(client.follower.bodies(id), first);
        let own = |body: &&String| body.starts_with(&format!("{name} "));
        let said: Vec<String> = (0..EACH).map(|number| format!("{name} {number}")).collect();
        assert_eq!(first.iter().filter(own).cloned().collect::<Vec<_>>(), said, "in their order");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn members_on_three_nodes_see_one_order() {
    one_order(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_a_large_group_on_three_nodes_see_one_order() {
    one_order(20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_devices_that_make_the_same_direct_conversation_at_once_get_one() {
    let nodes = Nodes::unlimited(&[]);
    let mut devices = Vec::new();
    for number in 0..10 {
        let name = if number % 2 == 0 { "ann" } else { "bob" };
        devices.push(nodes.client(1 + number % 3, name).await);
    }
    let opening = devices.into_iter().enumerate().map(|(number, mut device)| async move {
        let other = if number % 2 == 0 { "bob" } else { "ann" };
        let entry = device.result(json!({"type": "open_direct", "user_id": other})).await;
        (device, id_in(&entry["conversation"]))
    });
    let (mut devices, ids): (Vec<Client>, Vec<_>) = join_all(opening).await.into_iter().unzip();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    for device in &mut devices {
        let list = device.result(json!({"type": "list_conversations"})).await;
        let listed: &Vec<Value> = list["conversations"].as_array().unwrap();
        assert_eq!(listed.len(), 1, "{list}");
    }
    devices[0].say(ids[0], "1", "hello").await;
    for device in &mut devices {
        device.until_rev(ids[0], 2).await;
        assert_eq!(device.follower.bodies(ids[0]), ["hello"]);
    }
}
