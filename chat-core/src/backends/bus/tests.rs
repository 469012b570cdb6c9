use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;

use super::*;
use crate::model::{ConversationId, UserId};

fn topic(name: &str) -> Topic {
    Topic::User(UserId::new(name).unwrap())
}

fn to(topics: &[&str], payload: impl Into<Bytes>) -> Vec<Publication> {
    let topics = topics.iter().map(|name| topic(name)).collect();
    vec![Publication { topics, payload: payload.into() }]
}

/// What waits now, with `-` for a gap and `.` for the end of the stream.
fn waiting(incoming: &mut BoxStream<'static, BusItem>) -> Vec<String> {
    let mut items = Vec::new();
    while let Some(next) = incoming.next().now_or_never() {
        items.push(match &next {
            Some(BusItem::Message(payload)) => String::from_utf8(payload.to_vec()).unwrap(),
            Some(BusItem::Gap) => "-".to_owned(),
            None => ".".to_owned(),
        });
        if next.is_none() {
            break;
        }
    }
    items
}

/// Two nodes; the second listens to `ann`.
async fn pair(hub: &MemoryHub) -> (MemoryBus, MemoryBus, BoxStream<'static, BusItem>) {
    let (one, other) = (hub.node(), hub.node());
    other.join(vec![topic("ann")]).await.unwrap();
    let incoming = other.incoming();
    (one, other, incoming)
}

#[tokio::test(start_paused = true)]
async fn a_single_node_has_no_peers_and_hears_nothing() {
    let bus = LocalBus;
    assert!(!bus.has_peers());
    bus.join(vec![topic("ann")]).await.unwrap();
    bus.publish(to(&["ann"], "hello")).await.unwrap();
    let next =
        tokio::time::timeout(Duration::from_secs(3600), async { bus.incoming().next().await });
    assert!(next.await.is_err(), "neither an item nor the end");
}

#[tokio::test]
async fn those_who_joined_hear_it_once_and_the_publisher_does_not() {
    let hub = MemoryBus::hub();
    let (one, other, mut incoming) = pair(&hub).await;
    assert!(one.has_peers());
    assert_eq!((one.node(), other.node()), (0, 1));
    one.join(vec![topic("ann")]).await.unwrap();
    let mut own = one.incoming();
    other.join(vec![topic("ann"), topic("bob")]).await.unwrap();
    one.publish(to(&["ann", "bob"], "1")).await.unwrap();
    one.publish(to(&["eve"], "2")).await.unwrap();
    let conversation = Topic::Conversation(ConversationId(uuid::Uuid::nil()));
    let publication = Publication { topics: vec![conversation], payload: "3".into() };
    one.publish(vec![publication]).await.unwrap();
    one.publish(to(&["bob"], "4")).await.unwrap();
    assert_eq!(waiting(&mut incoming), ["1", "4"]);
    assert!(waiting(&mut own).is_empty());
}

#[tokio::test]
async fn who_parts_hears_no_more() {
    let hub = MemoryBus::hub();
    let (one, other, mut incoming) = pair(&hub).await;
    one.publish(to(&["ann"], "1")).await.unwrap();
    other.part(vec![topic("ann"), topic("bob")]).await.unwrap();
    other.part(vec![topic("ann")]).await.unwrap();
    one.publish(to(&["ann"], "2")).await.unwrap();
    assert_eq!(waiting(&mut incoming), ["1"]);
}

#[tokio::test]
async fn a_waiting_reader_is_woken_and_the_stream_ends_with_the_bus() {
    let hub = MemoryBus::hub();
    let (one, other, incoming) = pair(&hub).await;
    let reader = tokio::spawn(incoming.count());
    for payload in ["1", "2", "3"] {
        one.publish(to(&["ann"], payload)).await.unwrap();
        tokio::task::yield_now().await;
    }
    drop(other);
    assert_eq!(reader.await.unwrap(), 3);
    one.publish(to(&["ann"], "to nobody")).await.unwrap();
}

#[tokio::test]
async fn a_full_queue_becomes_one_gap_and_goes_on() {
    let hub = MemoryHub::with_capacity(3);
    let (one, _other, mut incoming) = pair(&hub).await;
    for payload in ["1", "2", "3", "4", "5"] {
        one.publish(to(&["ann"], payload)).await.unwrap();
    }
    assert_eq!(waiting(&mut incoming), ["-", "5"]);
    one.publish(to(&["ann"], "6")).await.unwrap();
    assert_eq!(waiting(&mut incoming), ["6"]);
}

#[tokio::test]
async fn the_next_publications_are_dropped_on_request() {
    let hub = MemoryBus::hub();
    let (one, _other, mut incoming) = pair(&hub).await;
    hub.drop_next(2);
    for payload in ["1", "2", "3"] {
        one.publish(to(&["ann"], payload)).await.unwrap();
    }
    assert_eq!(waiting(&mut incoming), ["3"]);
}

#[tokio::test]
async fn a_partitioned_node_cannot_publish_and_gets_a_gap_when_it_is_back() {
    let hub = MemoryBus::hub();
    let (one, other, mut incoming) = pair(&hub).await;
    one.join(vec![topic("ann")]).await.unwrap();
    let mut own = one.incoming();
    hub.partition(other.node(), true);
    one.publish(to(&["ann"], "1")).await.unwrap();
    let error = other.publish(to(&["ann"], "2")).await.unwrap_err();
    assert!(error.is_retryable());
    assert!(waiting(&mut incoming).is_empty() && waiting(&mut own).is_empty());
    hub.partition(other.node(), false);
    hub.partition(other.node(), false);
    one.publish(to(&["ann"], "3")).await.unwrap();
    other.publish(to(&["ann"], "4")).await.unwrap();
    assert_eq!(waiting(&mut incoming), ["-", "3"]);
    assert_eq!(waiting(&mut own), ["4"]);
}

#[tokio::test]
async fn a_lossy_hub_loses_reorders_and_doubles_the_same_way_for_the_same_seed() {
    async fn run(seed: u64) -> Vec<u32> {
        let hub = MemoryBus::hub();
        let (one, _other, mut incoming) = pair(&hub).await;
        hub.set_lossy(Some(seed));
        for number in 0..200 {
            one.publish(to(&["ann"], number.to_string())).await.unwrap();
        }
        hub.set_lossy(None);
        one.publish(to(&["ann"], "200")).await.unwrap();
        waiting(&mut incoming).iter().map(|number| number.parse().unwrap()).collect()
    }
    let heard = run(7).await;
    assert_eq!(heard, run(7).await);
    assert_ne!(heard, run(8).await);
    let mut sorted = heard.clone();
    sorted.sort_unstable();
    assert_ne!(heard, sorted, "some came late");
    let all = sorted.len();
    sorted.dedup();
    assert!(sorted.len() < all, "some came twice");
    assert!((100..190).contains(&sorted.len()), "about a quarter is lost, not {}", sorted.len());
    assert_eq!(heard.last(), Some(&200), "once it ends everything comes, in order");
}
