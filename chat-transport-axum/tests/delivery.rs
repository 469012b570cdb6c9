//! Events to connections that listen, and what they ask for meanwhile: whole, in order, however slowly they read.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails may panic")]

mod support;

use std::time::Duration;

use parlor_core::model::{Identity, NewGroup, NewMessage};
use parlor_transport_axum::Transport;
use serde_json::{Value, json};
use support::{Client, chat_with, frame, start, user};
use tokio::{io::AsyncWriteExt, time::sleep};

const MESSAGES: usize = 3000;
const QUESTIONS: usize = 1000;

/// From nothing to more than the client's window.
fn body(number: usize) -> String {
    "x".repeat(1 + number * 37 % 9000)
}

#[tokio::test(flavor = "multi_thread")]
async fn events_and_answers_come_whole_and_in_order() {
    let chat = chat_with(|config| {
        (config.outbox_events, config.outbox_bytes) = (1 << 20, 1 << 30);
    })
    .await;
    let address = start(Transport::new(chat.clone())).await;
    let ann = chat.as_user(Identity::new(user("ann")));
    let group = NewGroup::new("Group", [user("bob"), user("cid")]);
    let id = ann.create_group(group).await.unwrap().conversation.id;
    // One listens and asks; the other listens, and reads only when more was sent than the system keeps.
    let (bob, cid) = (Client::narrow(address, "bob").await, Client::narrow(address, "cid").await);
    let sending = tokio::spawn(async move {
        for number in 0..MESSAGES {
            ann.send(id, NewMessage::text(body(number))).await.unwrap();
        }
    });
    tokio::join!(hear(bob, QUESTIONS), async {
        sending.await.unwrap();
        hear(cid, 0).await;
    });
}

/// Asks so many questions, and reads until everything has come.
async fn hear(mut client: Client, questions: usize) {
    let (mut messages, mut answers, mut asked) = (0, 0, 0);
    while messages < MESSAGES || answers < questions {
        while asked < questions && asked * MESSAGES <= messages * questions {
            let question = json!({"type": "ping", "id": asked.to_string()}).to_string();
            client.tcp.write_all(&frame(0x81, question.as_bytes())).await.unwrap();
            // And one that the library answers by itself.
            client.frame(0x89, b"x").await;
            asked += 1;
        }
        let came = client.next().await.unwrap();
        if came.opcode == 10 {
            assert_eq!(came.payload, b"x");
            continue;
        }
        let came: Value = came.json();
        match came["type"].as_str().unwrap() {
            "message.sent" => {
                assert_eq!(came["message"]["seq"], messages + 1);
                assert_eq!(came["message"]["body"].as_str().unwrap(), body(messages));
                messages += 1;
            }
            "ok" => {
                assert_eq!(came["id"], answers.to_string());
                answers += 1;
            }
            _ => {}
        }
        if messages % 100 == 50 {
            // Its window fills up.
            sleep(Duration::from_millis(2)).await;
        }
    }
}
