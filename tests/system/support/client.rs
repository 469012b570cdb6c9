//! A client over a real WebSocket that keeps its copy by the rules of docs/protocol.md.

use std::{collections::BTreeMap, net::SocketAddr};

use futures::{SinkExt, StreamExt};
use parlor::model::ConversationId;
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest, http::HeaderValue},
};

use super::{Follower, device::PATIENCE};

pub(crate) struct Client {
    socket: WebSocketStream<TcpStream>,
    pub(crate) follower: Follower,
    /// Every event heard.
    pub(crate) heard: Vec<Value>,
    /// Answers that nobody has asked for yet, by id.
    answers: BTreeMap<u64, Value>,
    last_id: u64,
    pub(crate) welcome: Value,
}

impl Client {
    /// Upgrades without saying who it is, unless a header does; else the status of the refusal.
    pub(crate) async fn open(
        address: SocketAddr,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, u16> {
        let tcp = TcpStream::connect(address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        Self::over(tcp, headers).await
    }

    /// The same over a connection that the test made.
    pub(crate) async fn over(
        tcp: TcpStream,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, u16> {
        let address = tcp.peer_addr().unwrap();
        let mut request = format!("ws://{address}/chat/ws").into_client_request().unwrap();
        let offered = HeaderValue::from_static("parlor.v1");
        request.headers_mut().insert("sec-websocket-protocol", offered);
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        match client_async(request, tcp).await {
            Ok((socket, _)) => Ok(Self {
                socket,
                follower: Follower::default(),
                heard: Vec::new(),
                answers: BTreeMap::new(),
                last_id: 0,
                welcome: Value::Null,
            }),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("no upgrade and no refusal: {error}"),
        }
    }

    /// Connects as browsers do: the token comes in the first frame.
    pub(crate) async fn connect(address: SocketAddr, token: &str) -> Self {
        let mut client = Self::open(address, &[]).await.expect("an upgrade");
        client.send(json!({"type": "authenticate", "token": token})).await;
        client.welcomed().await;
        client
    }

    /// Takes the welcome.
    pub(crate) async fn welcomed(&mut self) {
        self.welcome = self.frame().await.expect("a welcome");
        assert_eq!(self.welcome["type"], "welcome");
    }

    /// Connects a new device and waits until it is live.
    pub(crate) async fn live(address: SocketAddr, token: &str) -> Self {
        let mut client = Self::connect(address, token).await;
        client.resume().await;
        client
    }

    /// Resumes as a device that has nothing, and waits until it is live.
    pub(crate) async fn resume(&mut self) {
        self.send(json!({"type": "resume", "known": []})).await;
        self.until_type("resumed").await;
    }

    /// Comes back with what a device had, and waits until it is live.
    pub(crate) async fn back(
        address: SocketAddr,
        token: &str,
        epoch: &Value,
        had: Follower,
    ) -> Self {
        let mut client = Self::connect(address, token).await;
        let known = serde_json::to_value(had.known()).unwrap();
        client.follower = had;
        let resume = json!({"type": "resume", "epoch": epoch, "known": known, "unknown": "replay"});
        client.send(resume).await;
        client.until_type("resumed").await;
        client
    }

    /// Sends a frame as it is. What a server that is gone does not take is noticed at the next read.
    pub(crate) async fn send(&mut self, frame: Value) {
        self.send_raw(Message::text(frame.to_string())).await;
    }

    pub(crate) async fn send_raw(&mut self, message: Message) {
        let _ = self.socket.send(message).await;
    }

    /// Sends a frame with an id of its own, and returns the id.
    pub(crate) async fn post(&mut self, mut frame: Value) -> u64 {
        self.last_id += 1;
        frame["id"] = self.last_id.into();
        self.send(frame).await;
        self.last_id
    }

    async fn frame(&mut self) -> Result<Value, u16> {
        loop {
            let message = timeout(PATIENCE, self.socket.next()).await.expect("a frame in time");
            match message {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(frame))) => {
                    return Err(frame.map_or(1005, |frame| frame.code.into()));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(1006),
            }
        }
    }

    /// The next frame, an event or an answer; else the code with which the server closed.
    pub(crate) async fn next(&mut self) -> Result<Value, u16> {
        let frame = self.frame().await?;
        if !matches!(frame["type"].as_str(), Some("ok" | "error" | "welcome")) {
            self.follower.apply(&frame);
            self.heard.push(frame.clone());
        }
        Ok(frame)
    }

    /// The answer to a frame that was posted. Events that come before it are taken.
    pub(crate) async fn answer(&mut self, id: u64) -> Value {
        loop {
            if let Some(answer) = self.answers.remove(&id) {
                return answer;
            }
            let frame = self.next().await.expect("the connection stays");
            if let Some(id) = frame["id"].as_u64() {
                self.answers.insert(id, frame);
            }
        }
    }

    /// Asks and waits for the answer.
    pub(crate) async fn ask(&mut self, frame: Value) -> Value {
        let id = self.post(frame).await;
        self.answer(id).await
    }

    /// The result of a frame that must succeed.
    pub(crate) async fn result(&mut self, frame: Value) -> Value {
        let answer = self.ask(frame).await;
        assert_eq!(answer["type"], "ok", "{answer}");
        answer["result"].clone()
    }

    /// The error of a frame that must fail.
    pub(crate) async fn refusal(&mut self, frame: Value) -> Value {
        let answer = self.ask(frame).await;
        assert_eq!(answer["type"], "error", "{answer}");
        answer["error"].clone()
    }

    /// The first event from here on for which the condition holds.
    pub(crate) async fn until(&mut self, condition: impl Fn(&Value) -> bool) -> Value {
        loop {
            let frame = self.next().await.expect("the connection stays");
            if condition(&frame) {
                return frame;
            }
        }
    }

    pub(crate) async fn until_type(&mut self, kind: &str) -> Value {
        self.until(|frame| frame["type"] == kind).await
    }

    /// Waits until the copy has this rev.
    pub(crate) async fn until_rev(&mut self, id: ConversationId, rev: u64) {
        while self.follower.conversations.get(&id).is_none_or(|copy| copy.rev < rev) {
            self.next().await.expect("the connection stays");
        }
    }

    /// The code with which the server closes, after whatever still comes.
    pub(crate) async fn closed(&mut self) -> u16 {
        loop {
            if let Err(code) = self.next().await {
                return code;
            }
        }
    }

    /// Makes a group of oneself and these.
    pub(crate) async fn group(&mut self, members: &[&str]) -> ConversationId {
        let group = json!({"type": "create_group", "title": "Group", "members": members});
        id_in(&self.result(group).await["conversation"])
    }

    /// Sends a text and waits for its commit.
    pub(crate) async fn say(&mut self, id: ConversationId, key: &str, body: &str) -> Value {
        self.result(text_frame(id, key, body)).await
    }
}

pub(crate) fn id_in(conversation: &Value) -> ConversationId {
    conversation["id"].as_str().unwrap().parse().unwrap()
}

pub(crate) fn text_frame(id: ConversationId, key: &str, body: &str) -> Value {
    json!({"type": "send", "conversation_id": id, "client_id": key, "body": body})
}
