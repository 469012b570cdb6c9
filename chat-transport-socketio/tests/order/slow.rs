//! What happens comes to a connection beside what is said on it: whole, and in order, also while it takes little.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use parlor_core::{
    Error,
    model::{ConversationId, Identity, NewGroup, NewMessage},
};
use parlor_transport_socketio::{Client, Contract, Emit, Incoming, Told, Transport};
use serde_json::{Value, json};
use tokio::{net::TcpSocket, time::timeout};

use crate::support::{Raw, chat, serve_router_on, user};

/// Messages of a round, as many events that are answered, and rounds.
const ROUND: usize = 24;
const ROUNDS: usize = 15;

/// Tells messages. To each event it says a word, sends a message after it, and acknowledges it. In one of two namespaces.
#[derive(Debug)]
struct Talker(&'static str);

#[async_trait]
impl Contract for Talker {
    fn name(&self) -> &'static str {
        self.0
    }

    fn namespace(&self) -> &'static str {
        self.0
    }

    async fn received(&self, client: &Client, event: Incoming) -> Result<Value, Error> {
        let (number, group): (usize, ConversationId) = event.read()?;
        client.emit(Emit::new("word", number.into())).await;
        client.send(group, NewMessage::text(format!("{number} {}", self.0))).await?;
        Ok(number.into())
    }

    fn outgoing(&self, told: &Told<'_>) -> Vec<Emit> {
        match told {
            Told::Sent { message, .. } => vec![Emit::new("message", json!(message.body))],
            _ => Vec::new(),
        }
    }
}

/// What came in one namespace.
#[derive(Debug, Default)]
struct Heard {
    messages: usize,
    words: usize,
    acknowledged: usize,
    /// Those that were sent after a word, here and in the other namespace.
    after_words: [usize; 2],
}

impl Heard {
    fn hear(&mut self, namespace: &str, packet: &str) {
        if let Some(acknowledged) = packet.strip_prefix("43") {
            let (id, json) = acknowledged.split_once('[').unwrap();
            assert_eq!((id, json), (&*self.acknowledged.to_string(), &*format!("{id}]")));
            self.acknowledged += 1;
            assert!(self.acknowledged <= self.words, "a word comes before its acknowledgement");
            return;
        }
        let event: (String, Value) = serde_json::from_str(&packet[2..]).expect(packet);
        match (&*event.0, &event.1) {
            ("message", Value::String(body)) if body.contains(' ') => {
                let (number, sent_in) = body.split_once(' ').unwrap();
                let is_own = sent_in.trim_matches('/') == namespace.trim_matches(['/', ',']);
                let after_words = &mut self.after_words[usize::from(!is_own)];
                assert_eq!(number, after_words.to_string());
                *after_words += 1;
                assert!(!is_own || *after_words <= self.words, "the word came before it");
            }
            ("message", Value::String(body)) => {
                assert_eq!(body, &message(self.messages), "message {}", self.messages);
                self.messages += 1;
            }
            ("word", number) => {
                assert_eq!(number, self.words);
                self.words += 1;
            }
            _ => panic!("{packet}"),
        }
    }
}

/// Short ones and long ones, which no buffer of these connections takes at once.
fn message(number: usize) -> String {
    let length = [10, 30_000, 100, 5_000, 17_000][number % 5];
    format!("{number}.{}", char::from(b'a' + (number % 26) as u8).to_string().repeat(length))
}

#[tokio::test(flavor = "multi_thread")]
async fn events_words_acknowledgements_and_pings_keep_their_order_on_a_slow_connection() {
    let chat = chat().await;
    let ann = chat.as_user(Identity::new(user("ann")));
    let group = ann.create_group(NewGroup::new("all", vec![user("bob")])).await.unwrap();
    // The server's side takes little as well.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(4096).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let transport = Transport::new(chat.clone())
        .ping_interval(Duration::from_millis(50))
        .contract(Talker("/"))
        .contract(Talker("/side"));
    let at = serve_router_on(socket.listen(8).unwrap(), transport.router());
    let tcp = TcpSocket::new_v4().unwrap();
    tcp.set_recv_buffer_size(32 * 1024).unwrap();
    let mut bob = Raw::connect_on(tcp.connect(at).await.unwrap(), "bob").await;
    bob.enter("/side,", "bob").await;
    let mut heard = HashMap::from([("", Heard::default()), ("/side,", Heard::default())]);
    for round in 1..=ROUNDS {
        let asked = ROUND * (round - 1)..ROUND * round;
        for number in asked.clone() {
            for namespace in ["", "/side,"] {
                let say = json!(["say", [number, group.conversation.id]]);
                bob.send(&format!("42{namespace}{number}{say}")).await;
            }
            let text = NewMessage::text(message(number));
            ann.send(group.conversation.id, text).await.unwrap();
        }
        let is_done = |heard: &Heard| {
            let Heard { messages, words, acknowledged, after_words: [here, there] } = *heard;
            [messages, words, acknowledged, here, there] == [asked.end; 5]
        };
        while !heard.values().all(is_done) {
            let packet = timeout(Duration::from_secs(20), bob.packet()).await.unwrap().unwrap();
            let (namespace, packet) = match packet.split_once("/side,") {
                Some((kind, rest)) if kind.len() == 2 => ("/side,", format!("{kind}{rest}")),
                _ => ("", packet),
            };
            heard.get_mut(namespace).unwrap().hear(namespace, &packet);
        }
    }
    assert!(bob.pings() > 0, "it was asked for signs of life meanwhile");
}
