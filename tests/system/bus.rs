//! The bus is a hint, the store is the truth: what it loses, doubles or turns round is made good.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use parlor::{
    BackendError, Chat,
    backends::{MemoryBus, MemoryHub, MemoryStore},
    model::*,
    traits::{AccessPolicy, Action, Verdict},
};

use crate::support::*;

/// Nodes on one store and one bus. `sweep` is how often they compare heads.
async fn nodes(count: usize, sweep: Duration) -> (Vec<Chat>, MemoryHub, Vec<usize>) {
    let (store, hub) = (MemoryStore::new(), MemoryBus::hub());
    let (mut nodes, mut numbers) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let bus = hub.node();
        numbers.push(bus.node());
        let builder = Chat::builder(Arc::new(store.clone())).bus(Arc::new(bus));
        let builder =
            builder.configure(unlimited).configure(|config| config.sweep_interval = sweep);
        nodes.push(builder.build().await.unwrap());
    }
    (nodes, hub, numbers)
}

const QUICK: Duration = Duration::from_millis(100);

#[tokio::test(flavor = "multi_thread")]
async fn members_on_all_nodes_see_one_order() {
    let (nodes, _hub, _) = nodes(3, QUICK).await;
    let id = group(&nodes[0], &["ann", "bob", "cem"]).await;
    let mut devices = Vec::new();
    for (node, name) in nodes.iter().zip(["ann", "bob", "cem"]) {
        devices.push(Device::connect(node, identity(name)).await);
    }
    let mut sends = Vec::new();
    for number in 0..60 {
        let sender = nodes[number % 3].as_user(identity(["ann", "bob", "cem"][number % 3]));
        sends.push(tokio::spawn(async move {
            sender.send(id, text(format!("{number}"))).await.unwrap();
        }));
    }
    for send in sends {
        send.await.unwrap();
    }
    let mut orders = Vec::new();
    for device in &mut devices {
        while device.follower.copy(id).rev < 61 {
            device.next().await.unwrap();
        }
        device.follower.assert_dense(id);
        assert_eq!(device.follower.holes, 0);
        orders.push(device.follower.bodies(id));
    }
    assert!(orders.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lossy_bus_loses_nothing() {
    for seed in 0..8 {
        let (nodes, hub, _) = nodes(2, QUICK).await;
        let id = group(&nodes[0], &["ann", "bob"]).await;
        let mut bob = Device::connect(&nodes[1], identity("bob")).await;
        hub.set_lossy(Some(seed));
        let ann = nodes[0].as_user(identity("ann"));
        for number in 0..50 {
            ann.send(id, text(format!("{number}"))).await.unwrap();
        }
        // No event follows the last one: only the sweep can find it if it was lost.
        while bob.follower.copy(id).rev < 51 {
            bob.next().await.unwrap();
        }
        bob.follower.assert_dense(id);
        let wanted: Vec<String> = (0..50).map(|number| number.to_string()).collect();
        assert_eq!(bob.follower.bodies(id), wanted, "seed {seed}");
        assert_eq!(bob.follower.holes, 0, "seed {seed}: holes are filled before they are told");
    }
}

#[tokio::test]
async fn a_lost_event_is_found_by_the_next_one() {
    let (nodes, hub, _) = nodes(2, Duration::ZERO).await;
    let id = group(&nodes[0], &["ann", "bob"]).await;
    let mut bob = Device::connect(&nodes[1], identity("bob")).await;
    let ann = nodes[0].as_user(identity("ann"));
    hub.drop_next(1);
    ann.send(id, text("lost")).await.unwrap();
    ann.send(id, text("found")).await.unwrap();
    bob.until_body(id, "found").await;
    assert_eq!(bob.follower.bodies(id), ["lost", "found"]);
}

#[tokio::test(start_paused = true)]
async fn who_was_added_on_another_node_hears_of_what_is_sent_right_after() {
    let (nodes, _hub, _) = nodes(3, Duration::ZERO).await;
    let id = group(&nodes[0], &["ann"]).await;
    let mut ann = Device::connect(&nodes[0], identity("ann")).await;
    let mut bob = Device::connect(&nodes[2], identity("bob")).await;
    // The first node has looked up whom to tell.
    let sender = nodes[0].as_user(identity("ann"));
    sender.send(id, text("alone")).await.unwrap();
    nodes[1].as_user(identity("ann")).add_members(id, vec![user("bob")]).await.unwrap();
    // It has heard that they are two now, and sends at once; a room made just now is not asked for.
    while ann.follower.copy(id).rev < 3 {
        ann.next().await.unwrap();
    }
    bob.until_type("members.changed").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    sender.send(id, text("together")).await.unwrap();
    bob.until_body(id, "together").await;
}

#[tokio::test(start_paused = true)]
async fn without_the_sweep_a_lost_last_event_stays_lost() {
    // The counterpart of the test above it: shows that the sweep is what finds the last event.
    let (nodes, hub, _) = nodes(2, Duration::ZERO).await;
    let id = group(&nodes[0], &["ann", "bob"]).await;
    let mut bob = Device::connect(&nodes[1], identity("bob")).await;
    // A room that was made just now is compared with the store once: let that pass (in test time).
    tokio::time::sleep(Duration::from_secs(1)).await;
    hub.drop_next(1);
    nodes[0].as_user(identity("ann")).send(id, text("lost")).await.unwrap();
    let heard = tokio::time::timeout(Duration::from_secs(3600), bob.subscription.next()).await;
    assert!(heard.is_err(), "nothing tells of it: {heard:?}");
}

#[tokio::test]
async fn a_node_that_was_cut_off_catches_up() {
    let (nodes, hub, numbers) = nodes(2, Duration::ZERO).await;
    let id = group(&nodes[0], &["ann", "bob"]).await;
    let mut bob = Device::connect(&nodes[1], identity("bob")).await;
    hub.partition(numbers[1], true);
    let ann = nodes[0].as_user(identity("ann"));
    let first = ann.send(id, text("first")).await.unwrap();
    ann.send(id, text("second")).await.unwrap();
    ann.delete(id, first.id).await.unwrap();
    hub.partition(numbers[1], false);
    bob.until_body(id, "second").await;
    assert_eq!(bob.follower.bodies(id), ["", "second"]);
}

#[tokio::test]
async fn a_large_group_is_told_by_its_own_topic() {
    let (nodes, _hub, _) = nodes(2, Duration::ZERO).await;
    let names: Vec<String> = (0..40).map(|number| format!("user {number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let id = group(&nodes[0], &names).await;
    let mut last = Device::connect(&nodes[1], identity("user 39")).await;
    nodes[0].as_user(identity("user 0")).send(id, text("hello")).await.unwrap();
    last.until_body(id, "hello").await;
}

#[tokio::test]
async fn a_new_member_on_another_node_hears_at_once() {
    let (nodes, _hub, _) = nodes(2, Duration::ZERO).await;
    let id = group(&nodes[0], &["ann", "bob"]).await;
    let mut cem = Device::connect(&nodes[1], identity("cem")).await;
    let ann = nodes[0].as_user(identity("ann"));
    ann.add_members(id, vec![user("cem")]).await.unwrap();
    ann.send(id, text("welcome")).await.unwrap();
    cem.until_body(id, "welcome").await;
    assert_eq!(cem.follower.copy(id).rev, 3);
    assert_eq!(cem.follower.holes, 0);
}

#[tokio::test]
async fn private_changes_and_typing_cross_nodes() {
    let (nodes, _hub, _) = nodes(2, Duration::ZERO).await;
    let id = group(&nodes[0], &["ann", "bob"]).await;
    let mut bob = Device::connect(&nodes[1], identity("bob")).await;
    let mut ann_elsewhere = Device::connect(&nodes[1], identity("ann")).await;
    let ann = nodes[0].as_user(identity("ann"));
    let message = nodes[1].as_user(identity("bob")).send(id, text("hi")).await.unwrap();
    ann.typing(id, true).await.unwrap();
    let typing = bob.until_type("typing").await;
    assert_eq!((&typing["user_id"], &typing["on"]), (&"ann".into(), &true.into()));
    ann.mark_read(id, message.seq).await.unwrap();
    let receipt = bob.until_type("receipt").await;
    assert_eq!(receipt["read_seq"], 1);
    let state = ann_elsewhere.until_type("member.changed").await;
    assert_eq!(state["state"]["read_seq"], 1);
    let _: Role = serde_json::from_value(state["state"]["role"].clone()).unwrap();
}

/// Nobody receives any more once it is set.
#[derive(Debug, Default)]
struct Silence(AtomicBool);

#[async_trait]
impl AccessPolicy for Silence {
    async fn check(&self, _: &Identity, _: &Action) -> Result<Verdict, BackendError> {
        Ok(Verdict::Allow)
    }

    async fn may_receive(
        &self,
        _: &UserId,
        conversations: &[ConversationId],
    ) -> Result<Vec<bool>, BackendError> {
        Ok(vec![!self.0.load(Ordering::Relaxed); conversations.len()])
    }
}

#[tokio::test]
async fn a_revocation_outlasts_an_outage_of_the_bus_on_either_side() {
    for cut_off in [0, 1] {
        let (store, hub) = (MemoryStore::new(), MemoryBus::hub());
        let silence = Arc::new(Silence::default());
        let (mut nodes, mut numbers) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let bus = hub.node();
            numbers.push(bus.node());
            let builder = Chat::builder(Arc::new(store.clone())).bus(Arc::new(bus));
            let builder = builder.policy(silence.clone()).configure(unlimited);
            nodes.push(builder.build().await.unwrap());
        }
        let id = group(&nodes[0], &["ann", "bob"]).await;
        let mut bob = Device::connect(&nodes[1], identity("bob")).await;
        hub.partition(numbers[cut_off], true);
        silence.0.store(true, Ordering::Relaxed);
        nodes[0].recheck_access(id);
        // The attempt to publish it fails, where the publisher is the one cut off.
        tokio::time::sleep(Duration::from_millis(50)).await;
        hub.partition(numbers[cut_off], false);
        bob.until_type("conversation.removed").await;
    }
}

#[tokio::test]
async fn a_conversation_whose_making_was_lost_is_found_by_the_sweep() {
    let (nodes, hub, _) = nodes(2, QUICK).await;
    let mut bob = Device::connect(&nodes[1], identity("bob")).await;
    let ann = nodes[0].as_user(identity("ann"));
    hub.drop_next(usize::MAX);
    let id = ann.open_direct(user("bob")).await.unwrap().conversation.id;
    ann.send(id, text("lost")).await.unwrap();
    let added = bob.until_type("conversation.added").await;
    assert_eq!(added["summary"]["conversation"]["id"], id.to_string(), "{added}");
    // From here on the room is there: its head shows what is missing, and what is not lost comes at once.
    ann.send(id, text("lost again")).await.unwrap();
    bob.until_body(id, "lost again").await;
    hub.drop_next(0);
    ann.send(id, text("heard")).await.unwrap();
    bob.until_body(id, "heard").await;
    assert_eq!(bob.follower.bodies(id), ["lost again", "heard"], "the first is history to him");
}
