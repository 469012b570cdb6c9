//! Much at once, over real sockets on SQLite.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures::future::join_all;
use parlor::model::ConversationId;
use serde_json::{Value, json};

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_missed_changes_come_over_a_socket_in_order() {
    let server = Server::start().await;
    let mut ann = server.client("ann").await;
    let id = ann.group(&["bob"]).await;
    let bob = server.client("bob").await;
    let (epoch, had) = (bob.welcome["epoch"].clone(), bob.follower.clone());
    drop(bob);
    let sends = (0..100).map(|worker| {
        let chat = server.chat.clone();
        tokio::spawn(async move {
            let ann = chat.as_user(identity("ann"));
            for number in 0..100 {
                ann.send(id, text(format!("{worker}.{number}"))).await.unwrap();
            }
        })
    });
    for send in join_all(sends).await {
        send.unwrap();
    }
    let began = Instant::now();
    let bob = Client::back(server.address, &token("bob"), &epoch, had).await;
    println!("10,000 missed changes: {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(20));
    bob.follower.assert_dense(id);
    assert_eq!(bob.follower.copy(id).messages.len(), 10_000);
    assert_eq!(bob.follower.copy(id).rev, 10_001);
    assert!(!bob.follower.copy(id).limited);
    // They came as pages in order, none of them live.
    let pages = bob.heard.iter().filter(|event| event["type"] == "changes");
    let seqs = pages.flat_map(|page| page["messages"].as_array().unwrap());
    assert!(seqs.map(|message| message["seq"].as_u64().unwrap()).eq(1..=10_000));
    assert!(bob.heard.iter().all(|event| event["type"] != "message.sent"));
}

/// A device whose connection breaks, or is closed as too slow, now and then.
struct Talker {
    server: std::net::SocketAddr,
    token: String,
    client: Client,
    /// Frames without an answer, by key.
    unanswered: BTreeMap<String, Value>,
    comebacks: u32,
}

const PIPELINED: usize = 4;

impl Talker {
    async fn new(server: &Server, name: &str) -> Self {
        let client = server.client(name).await;
        let (server, token) = (server.address, token(name));
        Self { server, token, client, unanswered: BTreeMap::new(), comebacks: 0 }
    }

    /// Takes one frame, whatever it takes.
    async fn step(&mut self) {
        match self.client.next().await {
            Ok(frame) => {
                let Some(key) = frame["id"].as_str() else { return };
                assert_eq!(frame["type"], "ok", "{frame}");
                self.unanswered.remove(key);
            }
            Err(4008) => self.come_back().await,
            Err(code) => panic!("closed with {code}"),
        }
    }

    /// Leaves without a word, comes back with what it has, and sends again what has no answer.
    async fn come_back(&mut self) {
        self.comebacks += 1;
        let epoch = self.client.welcome["epoch"].clone();
        let had = std::mem::take(&mut self.client.follower);
        self.client = Client::back(self.server, &self.token, &epoch, had).await;
        for frame in self.unanswered.values() {
            self.client.send(frame.clone()).await;
        }
    }

    async fn say(&mut self, id: ConversationId, key: String) {
        while self.unanswered.len() >= PIPELINED {
            self.step().await;
        }
        let mut frame = text_frame(id, &key, &key);
        frame["id"] = json!(key);
        self.client.send(frame.clone()).await;
        self.unanswered.insert(key, frame);
    }

    async fn finish(&mut self, revs: &BTreeMap<ConversationId, u64>) {
        let missing = |talker: &Self| {
            let copies = &talker.client.follower.conversations;
            revs.iter().any(|(id, rev)| copies.get(id).is_none_or(|copy| copy.rev < *rev))
        };
        while !self.unanswered.is_empty() || missing(self) {
            self.step().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_sockets_that_send_and_break_at_once_all_end_with_the_same_copies() {
    const SOCKETS: usize = 64;
    const TO_GROUP: usize = 10;
    const TO_EACH_PEER: usize = 5;
    let server = Server::start().await;
    let names: Vec<String> = (0..SOCKETS).map(|number| format!("user{number}")).collect();
    let mut talkers = join_all(names.iter().map(|name| Talker::new(&server, name))).await;
    let others: Vec<&str> = names[1..].iter().map(String::as_str).collect();
    let group = talkers[0].client.group(&others).await;
    // A ring: everybody has a direct conversation with the next and the one before.
    let mut direct = Vec::new();
    for (number, talker) in talkers.iter_mut().enumerate() {
        let open = json!({"type": "open_direct", "user_id": names[(number + 1) % SOCKETS]});
        direct.push(id_in(&talker.client.result(open).await["conversation"]));
    }
    let began = Instant::now();
    let talk = talkers.into_iter().enumerate().map(|(number, mut talker)| {
        let peers = [direct[number], direct[(number + SOCKETS - 1) % SOCKETS]];
        // One rev for the creation, one for each message.
        let mut revs = BTreeMap::from(peers.map(|id| (id, 1 + 2 * TO_EACH_PEER as u64)));
        revs.insert(group, 1 + (SOCKETS * TO_GROUP) as u64);
        tokio::spawn(async move {
            for turn in 0..TO_GROUP {
                talker.say(group, format!("group {turn}")).await;
                if (number + turn) % 7 == 0 {
                    talker.come_back().await;
                }
                if turn % 2 == 0 {
                    for (side, peer) in peers.iter().enumerate() {
                        talker.say(*peer, format!("peer {side} {turn}")).await;
                    }
                }
            }
            talker.finish(&revs).await;
            talker
        })
    });
    let talkers: Vec<Talker> = join_all(talk).await.into_iter().map(Result::unwrap).collect();
    let comebacks: u32 = talkers.iter().map(|talker| talker.comebacks).sum();
    let sends = SOCKETS * (TO_GROUP + 2 * TO_EACH_PEER);
    println!("{sends} sends of {SOCKETS} sockets, {comebacks} comebacks: {:?}", began.elapsed());
    let mut histories = BTreeMap::new();
    for (number, id) in direct.iter().enumerate() {
        histories.insert(*id, server.rest(&names[number]).history(id).await);
    }
    histories.insert(group, server.rest(&names[0]).history(group).await);
    for talker in &talkers {
        let follower = &talker.client.follower;
        assert_eq!(follower.conversations.len(), 3);
        assert_eq!((follower.holes, follower.resyncs), (0, 0));
        for (id, copy) in &follower.conversations {
            follower.assert_dense(*id);
            assert!(copy.messages.values().eq(&histories[id]), "a copy is the history");
        }
    }
    assert_eq!(histories[&group].len(), SOCKETS * TO_GROUP);
    assert!(direct.iter().all(|id| histories[id].len() == 2 * TO_EACH_PEER));
}
