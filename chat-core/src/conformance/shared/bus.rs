//! The bus: what is published reaches the nodes that listen.

use std::{collections::HashSet, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, future::join_all, stream::BoxStream};
use uuid::Uuid;

use super::{Fixture, PAUSE, SOON, fresh_user};
use crate::{
    Timestamp,
    model::{ConversationId, UserId},
    traits::{Bus, BusItem, Publication, Topic},
};

/// A node that speaks.
async fn open(fixture: &dyn Fixture) -> Arc<dyn Bus> {
    let bus = fixture.bus().await.expect("the fixture brought a bus before");
    assert!(bus.has_peers(), "a bus without peers has nothing to conform to");
    bus
}

/// A node that listens.
struct Listener {
    bus: Arc<dyn Bus>,
    incoming: BoxStream<'static, BusItem>,
}

impl Listener {
    async fn open(fixture: &dyn Fixture, topics: &[Topic]) -> Self {
        let bus = open(fixture).await;
        let incoming = bus.incoming();
        bus.join(topics.to_vec()).await.expect("join");
        Self { bus, incoming }
    }

    /// The next payload. Gaps mean nothing here: nobody wrote to a store.
    async fn next(&mut self) -> Option<Bytes> {
        while let Some(item) = self.incoming.next().await {
            if let BusItem::Message(payload) = item {
                return Some(payload);
            }
        }
        None
    }

    /// Waits until each of these payloads came, in whatever order; returns all that came by then.
    async fn hear(&mut self, payloads: &[Bytes]) -> Vec<Bytes> {
        let mut missing: HashSet<&Bytes> = payloads.iter().collect();
        let mut heard = Vec::new();
        let hearing = async {
            while !missing.is_empty() {
                let payload = self.next().await.expect("the stream does not end with the bus open");
                missing.remove(&payload);
                heard.push(payload);
            }
        };
        let result = tokio::time::timeout(SOON, hearing).await;
        let count = missing.len();
        assert!(result.is_ok(), "{count} of {} payloads did not come", payloads.len());
        heard
    }
}

fn fresh_topic() -> Topic {
    Topic::User(fresh_user("user"))
}

fn fresh_payload() -> Bytes {
    Uuid::new_v4().to_string().into()
}

async fn publish(bus: &dyn Bus, topics: &[&Topic], payload: &Bytes) {
    let topics = topics.iter().map(|&topic| topic.clone()).collect();
    let publication = Publication { topics, payload: payload.clone() };
    bus.publish(vec![publication]).await.expect("publish");
}

pub(super) async fn who_joined_hears_what_others_publish(fixture: &dyn Fixture) {
    let topic = fresh_topic();
    let speaker = open(fixture).await;
    let mut one = Listener::open(fixture, std::slice::from_ref(&topic)).await;
    let mut other = Listener::open(fixture, std::slice::from_ref(&topic)).await;
    let payload = fresh_payload();
    publish(&*speaker, &[&topic], &payload).await;
    one.hear(std::slice::from_ref(&payload)).await;
    other.hear(&[payload]).await;
}

pub(super) async fn who_did_not_join_hears_nothing(fixture: &dyn Fixture) {
    let (theirs, mine) = (fresh_topic(), fresh_topic());
    let speaker = open(fixture).await;
    let mut listener = Listener::open(fixture, std::slice::from_ref(&mine)).await;
    let (other, last) = (fresh_payload(), fresh_payload());
    publish(&*speaker, &[&theirs], &other).await;
    publish(&*speaker, &[&mine], &last).await;
    let heard = listener.hear(&[last]).await;
    assert!(!heard.contains(&other), "a payload of a topic that was not joined came");
}

pub(super) async fn when_join_returns_what_is_published_later_comes_in(fixture: &dyn Fixture) {
    let speaker = open(fixture).await;
    let mut listener = Listener::open(fixture, &[]).await;
    for _ in 0..50 {
        let (topic, payload) = (fresh_topic(), fresh_payload());
        listener.bus.join(vec![topic.clone()]).await.expect("join");
        publish(&*speaker, &[&topic], &payload).await;
        listener.hear(&[payload]).await;
    }
}

pub(super) async fn joining_again_changes_nothing(fixture: &dyn Fixture) {
    let topic = fresh_topic();
    let speaker = open(fixture).await;
    let mut listener = Listener::open(fixture, &[topic.clone(), topic.clone()]).await;
    listener.bus.join(vec![topic.clone()]).await.expect("join");
    let payload = fresh_payload();
    publish(&*speaker, &[&topic], &payload).await;
    listener.hear(&[payload]).await;
    listener.bus.part(vec![topic.clone()]).await.expect("part");
    falls_silent(&*speaker, &mut listener, &topic).await;
}

pub(super) async fn who_parts_hears_no_more(fixture: &dyn Fixture) {
    let (topic, kept) = (fresh_topic(), fresh_topic());
    let speaker = open(fixture).await;
    let mut listener = Listener::open(fixture, &[topic.clone(), kept.clone()]).await;
    listener.bus.part(vec![topic.clone(), fresh_topic()]).await.expect("part");
    listener.bus.part(vec![topic.clone()]).await.expect("part again");
    falls_silent(&*speaker, &mut listener, &topic).await;
    let payload = fresh_payload();
    publish(&*speaker, &[&kept], &payload).await;
    listener.hear(&[payload]).await;
}

/// Waits until what is published to a topic comes no more.
async fn falls_silent(speaker: &dyn Bus, listener: &mut Listener, topic: &Topic) {
    let control = fresh_topic();
    listener.bus.join(vec![control.clone()]).await.expect("join");
    let waiting = async {
        loop {
            let (payload, last) = (fresh_payload(), fresh_payload());
            publish(speaker, &[topic], &payload).await;
            publish(speaker, &[&control], &last).await;
            if !listener.hear(&[last]).await.contains(&payload) {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    let silent = tokio::time::timeout(SOON, waiting).await;
    assert!(silent.is_ok(), "what is published to a topic that was parted still comes");
}

pub(super) async fn who_parts_and_joins_hears_again(fixture: &dyn Fixture) {
    let topic = fresh_topic();
    let speaker = open(fixture).await;
    let mut listener = Listener::open(fixture, std::slice::from_ref(&topic)).await;
    for _ in 0..20 {
        listener.bus.part(vec![topic.clone()]).await.expect("part");
        listener.bus.join(vec![topic.clone()]).await.expect("join");
        let payload = fresh_payload();
        publish(&*speaker, &[&topic], &payload).await;
        listener.hear(&[payload]).await;
    }
}

pub(super) async fn a_publication_to_several_topics_comes_at_least_once(fixture: &dyn Fixture) {
    let (one, other, foreign) = (fresh_topic(), fresh_topic(), fresh_topic());
    let speaker = open(fixture).await;
    let mut both = Listener::open(fixture, &[one.clone(), other.clone()]).await;
    let mut second = Listener::open(fixture, std::slice::from_ref(&other)).await;
    let payload = fresh_payload();
    publish(&*speaker, &[&foreign, &one, &other], &payload).await;
    both.hear(std::slice::from_ref(&payload)).await;
    second.hear(&[payload]).await;
}

pub(super) async fn every_publication_of_a_call_comes(fixture: &dyn Fixture) {
    let topics: Vec<Topic> = (0..20).map(|_| fresh_topic()).collect();
    let speaker = open(fixture).await;
    let mut listener = Listener::open(fixture, &topics).await;
    let payloads: Vec<Bytes> = (0..500).map(|_| fresh_payload()).collect();
    let publications = payloads.iter().zip(topics.iter().cycle()).map(|(payload, topic)| {
        Publication { topics: vec![topic.clone()], payload: payload.clone() }
    });
    speaker.publish(publications.collect()).await.expect("publish");
    listener.hear(&payloads).await;
}

pub(super) async fn topics_of_every_kind_are_told_apart(fixture: &dyn Fixture) {
    let user = fresh_user("user");
    let conversation = ConversationId::new(Timestamp::from_millis(1_760_000_000_000));
    // As a user id it is another one's.
    let alike = UserId::new(conversation.to_string()).expect("a UUID is a user id");
    let topics = [
        Topic::User(user.clone()),
        Topic::Presence(user),
        Topic::Conversation(conversation),
        Topic::User(alike),
        Topic::Nodes,
    ];
    let speaker = open(fixture).await;
    let payloads: Vec<Bytes> = topics.iter().map(|_| fresh_payload()).collect();
    let mut listeners = Vec::new();
    for topic in &topics {
        listeners.push(Listener::open(fixture, std::slice::from_ref(topic)).await);
    }
    let control = fresh_topic();
    let last = fresh_payload();
    for (topic, payload) in topics.iter().zip(&payloads) {
        publish(&*speaker, &[topic], payload).await;
    }
    for (listener, payload) in listeners.iter_mut().zip(&payloads) {
        listener.bus.join(vec![control.clone()]).await.expect("join");
        publish(&*speaker, &[&control], &last).await;
        let heard = listener.hear(&[payload.clone(), last.clone()]).await;
        let foreign = payloads.iter().find(|other| *other != payload && heard.contains(other));
        assert_eq!(foreign, None, "a payload of another topic came");
        listener.bus.part(vec![control.clone()]).await.expect("part");
    }
}

/// Names that a backend might take for something else.
pub(super) fn odd_users() -> Vec<UserId> {
    let id = Uuid::new_v4().simple();
    let names = [
        format!("{id}"),
        format!("{id} "),
        format!("{id}:x"),
        format!("{{{id}}}"),
        format!("}}{id}{{"),
        format!("{{}}{id}"),
        format!("{id}*?[a]"),
        format!("{id}'\";--\\"),
        format!("{id}é"),
        format!("{id}e\u{301}"),
        format!("{id}用户🙂"),
        format!("{id}{}", "x".repeat(96)),
        format!("{id}{}y", "x".repeat(95)),
    ];
    names.map(|name| UserId::new(name).expect("a user id")).into()
}

pub(super) async fn users_of_any_name_are_told_apart(fixture: &dyn Fixture) {
    let topics: Vec<Topic> = odd_users().into_iter().map(Topic::User).collect();
    let speaker = open(fixture).await;
    let mut listener = Listener::open(fixture, &[]).await;
    for joined in &topics {
        listener.bus.join(vec![joined.clone()]).await.expect("join");
        let payloads: Vec<Bytes> = topics.iter().map(|_| fresh_payload()).collect();
        let mut expected = Vec::new();
        for (topic, payload) in topics.iter().zip(&payloads).filter(|(topic, _)| *topic != joined) {
            publish(&*speaker, &[topic], payload).await;
            expected.push(payload.clone());
        }
        let last = fresh_payload();
        publish(&*speaker, &[joined], &last).await;
        let heard = listener.hear(&[last]).await;
        assert!(!heard.iter().any(|heard| expected.contains(heard)), "{joined:?} is not alone");
        listener.bus.part(vec![joined.clone()]).await.expect("part");
        falls_silent(&*speaker, &mut listener, joined).await;
    }
}

pub(super) async fn payloads_survive_byte_for_byte(fixture: &dyn Fixture) {
    let topic = fresh_topic();
    let speaker = open(fixture).await;
    let mut listener = Listener::open(fixture, std::slice::from_ref(&topic)).await;
    let payloads = [
        Bytes::from_static(b"\0\r\n$-1\r\n\xff\xfe"),
        (0..=255).collect::<Vec<u8>>().into(),
        "*3\r\n".repeat(100).into(),
        // The longest text, its metadata and attachments.
        vec![b'x'; 256 * 1024].into(),
        Bytes::new(),
    ];
    for payload in payloads {
        publish(&*speaker, &[&topic], &payload).await;
        listener.hear(&[payload]).await;
    }
}

pub(super) async fn calls_about_nothing_are_accepted(fixture: &dyn Fixture) {
    let bus = open(fixture).await;
    bus.publish(Vec::new()).await.expect("publish nothing");
    bus.join(Vec::new()).await.expect("join nothing");
    bus.part(Vec::new()).await.expect("part nothing");
    bus.part(vec![fresh_topic()]).await.expect("part what was not joined");
    publish(&*bus, &[], &fresh_payload()).await;
    publish(&*bus, &[&fresh_topic()], &fresh_payload()).await;
}

pub(super) async fn many_who_join_at_once_all_hear(fixture: &dyn Fixture) {
    let topics: Vec<Topic> = (0..300).map(|_| fresh_topic()).collect();
    let speaker = open(fixture).await;
    let mut listener = Listener::open(fixture, &[]).await;
    let bus = &listener.bus;
    let joins = topics.iter().map(|topic| async move {
        bus.join(vec![topic.clone()]).await.expect("join");
    });
    tokio::time::timeout(SOON, join_all(joins)).await.expect("all joins return soon");
    let payloads: Vec<Bytes> = topics.iter().map(|_| fresh_payload()).collect();
    let publications = topics.iter().zip(&payloads).map(|(topic, payload)| Publication {
        topics: vec![topic.clone()],
        payload: payload.clone(),
    });
    speaker.publish(publications.collect()).await.expect("publish");
    listener.hear(&payloads).await;
}

pub(super) async fn the_stream_ends_with_the_bus(fixture: &dyn Fixture) {
    let Listener { bus, incoming } = Listener::open(fixture, &[fresh_topic()]).await;
    // Somebody waits already.
    let reading = tokio::spawn(incoming.for_each(|_| std::future::ready(())));
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(bus);
    let ended = tokio::time::timeout(SOON, reading).await;
    ended.expect("the stream ends").expect("the reader does not panic");
}
