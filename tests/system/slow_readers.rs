//! A reader that does not read is closed, memory stays bounded, and it loses nothing by it.

use parlor::{CloseReason, Resume, command::*, model::*};

use crate::support::*;

#[tokio::test]
async fn a_reader_that_never_reads_is_closed_and_resumes() {
    let chat = chat().await;
    let id = group(&chat, &["ann", "bob"]).await;
    let mut bob = Device::connect(&chat, identity("bob")).await;
    let ann = chat.as_user(identity("ann"));
    for number in 0..300 {
        ann.send(id, text(format!("{number}"))).await.unwrap();
    }
    assert_eq!(bob.until_closed().await, CloseReason::Slow);
    let bob = bob.reconnect(&chat, identity("bob")).await;
    assert_eq!(bob.follower.copy(id).messages.len(), 300);
    bob.follower.assert_dense(id);
}

#[tokio::test]
async fn large_events_close_by_bytes_before_they_close_by_number() {
    let chat = builder().configure(|config| config.outbox_bytes = 100_000).build().await.unwrap();
    let id = group(&chat, &["ann", "bob"]).await;
    let ann = chat.as_user(identity("ann"));
    // In process there is no encoding, so a codec is needed to weigh anything.
    #[derive(Debug)]
    struct Json;
    impl parlor::Codec for Json {
        fn name(&self) -> &'static str {
            "json"
        }
        fn encode(&self, event: &parlor::event::Event) -> Option<bytes::Bytes> {
            Some(serde_json::to_vec(event).unwrap().into())
        }
    }
    let options = parlor::ConnectOptions::with_codec(std::sync::Arc::new(Json));
    let session = chat.connect(identity("bob"), options).await.unwrap();
    session.resume(Resume::new()).unwrap();
    let mut taken = Vec::new();
    while !taken.iter().any(|out: &std::sync::Arc<parlor::Outgoing>| out.event.name() == "resumed")
    {
        session.next(&mut taken, usize::MAX).await.unwrap();
    }
    for _ in 0..10 {
        ann.send(id, text("x".repeat(20_000))).await.unwrap();
    }
    taken.clear();
    let closed = loop {
        if let Err(reason) = session.next(&mut taken, usize::MAX).await {
            break reason;
        }
    };
    assert_eq!(closed, CloseReason::Slow);
    assert!(taken.len() < 6, "what did not fit was not kept: {}", taken.len());
}

#[tokio::test]
async fn floods_of_typing_and_receipts_close_nobody() {
    let chat = chat().await;
    let id = group(&chat, &["ann", "bob"]).await;
    let ann = chat.as_user(identity("ann"));
    for number in 0..100 {
        ann.send(id, text(format!("{number}"))).await.unwrap();
    }
    let mut bob = Device::connect(&chat, identity("bob")).await;
    for seq in 1..=100 {
        for on in [true, false] {
            ann.typing(id, on).await.unwrap();
        }
        ann.mark_read(id, seq).await.unwrap();
        let data = serde_json::json!({ "n": seq });
        for _ in 0..10 {
            ann.signal(id, "flood", data.clone()).await.unwrap();
        }
    }
    ann.send(id, text("end")).await.unwrap();
    bob.until_body(id, "end").await;
    let receipts = bob.heard.iter().filter(|event| event["type"] == "receipt").count();
    assert!(receipts < 50, "receipts are coalesced: {receipts}");
}

#[tokio::test]
async fn a_user_has_at_most_twenty_connections() {
    let chat = chat().await;
    let mut sessions = Vec::new();
    for _ in 0..20 {
        let options = parlor::ConnectOptions::default();
        sessions.push(chat.connect(identity("ann"), options).await.unwrap());
    }
    let options = parlor::ConnectOptions::default();
    let refused = chat.connect(identity("ann"), options.clone()).await.unwrap_err();
    assert_eq!(refused, CloseReason::TooManyConnections);
    sessions.pop();
    chat.connect(identity("ann"), options).await.unwrap();
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_no_more() {
    let chat =
        builder().configure(|config| config.connections_per_address = 2).build().await.unwrap();
    let from = |last: u8| {
        let mut options = parlor::ConnectOptions::default();
        options.address = Some([10, 0, 0, last].into());
        options
    };
    let first = chat.connect(identity("ann"), from(1)).await.unwrap();
    let _second = chat.connect(identity("bob"), from(1)).await.unwrap();
    let refused = chat.connect(identity("cem"), from(1)).await.unwrap_err();
    assert_eq!(refused, CloseReason::TooManyConnections);
    let _elsewhere = chat.connect(identity("cem"), from(2)).await.unwrap();
    drop(first);
    chat.connect(identity("dan"), from(1)).await.unwrap();
}

#[tokio::test]
async fn a_send_flood_is_told_when_to_come_back() {
    let chat = parlor::Chat::builder(std::sync::Arc::new(parlor::backends::MemoryStore::new()))
        .build()
        .await
        .unwrap();
    let id = group(&chat, &["ann", "bob"]).await;
    let ann = chat.as_user(identity("ann"));
    let mut sent = 0;
    let refused = loop {
        match ann.send(id, text("flood")).await {
            Ok(_) => sent += 1,
            Err(error) => break error,
        }
    };
    assert!((20..=25).contains(&sent), "a burst of twenty: {sent}");
    let parlor::Error::RateLimited { retry_after } = refused else { panic!("{refused:?}") };
    assert!(!retry_after.is_zero() && retry_after.as_millis() <= 100, "{retry_after:?}");
    // Others are not concerned, and neither is reading.
    chat.as_user(identity("bob")).send(id, text("calm")).await.unwrap();
    let read = AtSeq { conversation_id: id, seq: 1 };
    ann.dispatch(Command::MarkRead(read)).await.unwrap();
    let _: Role = chat.system().members(id).await.unwrap()[0].role;
}
