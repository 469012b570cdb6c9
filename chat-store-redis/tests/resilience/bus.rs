//! The bus on a server that works: how much it asks of it, and of itself.

use std::time::{Duration, Instant};

use futures::future::join_all;
use parlor_core::traits::Publication;
use parlor_test_services::Redis;

use crate::support::{Node, open, patient, to, topic};

/// A figure of the server's `INFO`.
fn figure(redis: &Redis, section: &str, name: &str) -> u64 {
    let info = redis.command(&["INFO", section]);
    let line = info.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let digits = |c: char| c.is_ascii_digit();
    let value = line.trim_start_matches(|c| !digits(c));
    value[..value.find(|c| !digits(c)).unwrap_or(value.len())].parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn publications_of_a_call_go_out_in_one_write() {
    let redis = Redis::start().unwrap();
    let backends = open(redis.url(), patient()).await;
    let (one, mut other) = (Node::new(&backends), Node::new(&backends));
    for name in ["ann", "bob", "eve"] {
        other.join(name).await;
    }
    let topics = vec![topic("ann"), topic("bob"), topic("eve")];
    let payloads: Vec<String> = (0..500).map(|number| number.to_string()).collect();
    let publications = payloads
        .iter()
        .map(|payload| Publication { topics: topics.clone(), payload: payload.clone().into() });
    let before = figure(&redis, "stats", "total_reads_processed");
    one.bus.publish(publications.collect()).await.unwrap();
    let reads = figure(&redis, "stats", "total_reads_processed") - before;
    // The server reads 16 KiB at a time.
    assert!(reads < 100, "{reads} reads for 1,500 messages");
    let mut heard = Vec::new();
    while heard.last() != payloads.last() {
        heard.push(other.next().await);
    }
    assert_eq!(heard, payloads, "in order, and once though three topics were joined");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_does_not_hear_itself() {
    let backends = open(parlor_test_services::redis().url(), patient().prefix("echo")).await;
    let (mut one, other) = (Node::new(&backends), Node::new(&backends));
    one.join("ann").await;
    one.publish("ann", "my own").await;
    other.publish("ann", "theirs").await;
    assert_eq!(one.next().await, "theirs");
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_joins_at_once_are_few_commands_and_survive_a_break() {
    let redis = Redis::start().unwrap();
    let backends = open(redis.url(), patient()).await;
    let (one, mut other) = (Node::new(&backends), Node::new(&backends));
    let names: Vec<String> = (0..5_000).map(|number| format!("user-{number}")).collect();
    let began = Instant::now();
    join_all(names.iter().map(|name| other.join(name))).await;
    let took = began.elapsed();
    println!("5,000 joins at once took {took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    let commands = figure(&redis, "commandstats", "cmdstat_subscribe:calls");
    assert!(commands < 50, "{commands} commands");

    let publications =
        || names.iter().flat_map(|name| to(&topic(name), name.clone())).collect::<Vec<_>>();
    one.bus.publish(publications()).await.unwrap();
    other.hear_all(names.clone()).await;

    // What the server does to a subscriber that is too slow.
    redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    other.gap().await;
    one.bus.publish(publications()).await.unwrap();
    other.hear_all(names.clone()).await;

    other.bus.part(names.iter().map(|name| topic(name)).collect()).await.unwrap();
    crate::support::soon("the server forgets the channels", || async {
        redis.command(&["PUBSUB", "CHANNELS"]).is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_gets_a_gap_and_memory_stays_bounded() {
    const MIB: usize = 1024 * 1024;
    let redis = Redis::start().unwrap();
    let backends = open(redis.url(), patient().incoming_bytes(2 * MIB)).await;
    let (one, mut other) = (Node::new(&backends), Node::new(&backends));
    other.join("ann").await;
    let payload = "x".repeat(64 * 1024);
    let before = resident();
    for _ in 0..200 {
        let publications = (0..17).flat_map(|_| to(&topic("ann"), payload.clone())).collect();
        one.bus.publish(publications).await.unwrap();
    }
    one.publish("ann", "last").await;
    let mut heard = 0;
    let mut gaps = 0;
    loop {
        match other.next().await.as_str() {
            "last" => break,
            "-" => gaps += 1,
            payload => heard += payload.len(),
        }
    }
    let grown = resident().saturating_sub(before);
    println!("212 MiB published, {heard} bytes waited, {gaps} gaps, {grown} bytes of memory more");
    assert!(gaps >= 1);
    // What came while it was already reading is on top of what may wait.
    assert!(heard < 20 * MIB, "{heard} bytes waited");
    assert!(grown < 64 * MIB, "{grown} bytes more");
    one.publish("ann", "again").await;
    assert_eq!(other.next().await, "again");
}

/// The memory of this process, in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_frame_of_a_node_is_skipped() {
    let redis = Redis::start().unwrap();
    let backends = open(redis.url(), patient()).await;
    let (one, mut other) = (Node::new(&backends), Node::new(&backends));
    other.join("ann").await;
    for foreign in ["", "hello", "\u{2}a frame of another form, which nobody here knows"] {
        assert_eq!(redis.command(&["PUBLISH", "parlor:user:{ann}", foreign]), "1");
    }
    one.publish("ann", "known").await;
    assert_eq!(other.next().await, "known");
}

#[tokio::test(flavor = "multi_thread")]
async fn chats_with_other_prefixes_do_not_meet() {
    let url = parlor_test_services::redis().url();
    let blue = open(url, patient().prefix("blue")).await;
    let red = open(url, patient().prefix("red")).await;
    let (one, mut other) = (Node::new(&blue), Node::new(&red));
    let friend = Node::new(&red);
    other.join("ann").await;
    one.publish("ann", "blue").await;
    friend.publish("ann", "red").await;
    assert_eq!(other.next().await, "red");
}
