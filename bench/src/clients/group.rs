//! Everybody of one group: all listen, some send. A message waits until earlier ones have reached
//! everybody, so that no outbox overflows and the rate is what the server can do.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{SinkExt, future::try_join_all};
use parlor::model::ConversationId;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    Result, fill,
    group::Load,
    server::Logins,
    socket::{Client, Reader, Writer},
};

/// Nothing may take as long.
const PATIENCE: Duration = Duration::from_secs(30);
/// Connections from one address.
const PER_ADDRESS: usize = 2000;

/// What the clients tell in the end.
#[derive(Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Messages taken by members in the measurement.
    pub(crate) deliveries: u64,
    /// Messages sent in all, each of which reached every member.
    pub(crate) messages: u64,
}

/// What all members share.
struct Progress {
    members: u64,
    window: u64,
    /// Messages handed to the server.
    sent: AtomicU64,
    /// Messages taken, counted for each member.
    delivered: AtomicU64,
    ended: AtomicBool,
    /// Rings whenever the whole group has had one more message, and at the end.
    moved: Notify,
}

impl Progress {
    fn deliver(&self) {
        let delivered = self.delivered.fetch_add(1, Ordering::AcqRel) + 1;
        if delivered.is_multiple_of(self.members) {
            self.moved.notify_waiters();
        }
    }

    /// Whether all that was sent has reached everybody, and no more will be sent.
    fn complete(&self) -> bool {
        self.ended.load(Ordering::Acquire)
            && self.delivered.load(Ordering::Acquire)
                >= self.sent.load(Ordering::Acquire) * self.members
    }

    /// Waits for its turn; false when sending has ended.
    async fn turn(&self) -> bool {
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            if self.ended.load(Ordering::Acquire) {
                return false;
            }
            let everybody = self.delivered.load(Ordering::Acquire) / self.members;
            let free = self.sent.fetch_update(Ordering::AcqRel, Ordering::Acquire, |sent| {
                (sent < everybody + self.window).then_some(sent + 1)
            });
            if free.is_ok() {
                return true;
            }
            moved.await;
        }
    }
}

/// Connects, says so, sends for the time given, and tells the [`Outcome`] in one line.
pub(crate) async fn run(server: SocketAddr, group: ConversationId, load: Load) -> Result<()> {
    let logins = Logins::new()?;
    let progress = Arc::new(Progress {
        members: load.members as u64,
        window: load.window,
        sent: AtomicU64::new(0),
        delivered: AtomicU64::new(0),
        ended: AtomicBool::new(false),
        moved: Notify::new(),
    });
    let (mut writers, mut readers) = (Vec::new(), Vec::new());
    for number in 0..load.members {
        let token = logins.token(&fill::user(number)?)?;
        let from = u8::try_from(2 + number / PER_ADDRESS)?;
        let (writer, reader) = Client::connect(server, from, &token).await?.split();
        readers.push(tokio::spawn(listen(reader, Arc::clone(&progress))));
        // Held to the end: a half that is dropped would close the connection.
        writers.push(writer);
    }
    let listeners = writers.split_off(load.senders.min(load.members));
    let senders: Vec<_> = writers
        .into_iter()
        .enumerate()
        .map(|(number, writer)| tokio::spawn(send(writer, number, group, Arc::clone(&progress))))
        .collect();

    sleep(Duration::from_secs(load.warmup)).await;
    println!("measuring");
    let before = progress.delivered.load(Ordering::Acquire);
    sleep(Duration::from_secs(load.seconds)).await;
    let deliveries = progress.delivered.load(Ordering::Acquire) - before;
    println!("measured");
    progress.ended.store(true, Ordering::Release);
    progress.moved.notify_waiters();
    let senders = try_join_all(senders).await?.into_iter().collect::<Result<Vec<_>>>()?;
    for seq in try_join_all(readers).await? {
        let (seq, sent) = (seq?, progress.sent.load(Ordering::Acquire));
        if seq != sent {
            return Err(format!("a member had {seq} of {sent} messages").into());
        }
    }
    drop((senders, listeners));
    let messages = progress.sent.load(Ordering::Acquire);
    println!("{}", serde_json::to_string(&Outcome { deliveries, messages })?);
    Ok(())
}

/// Sends whenever there is room, and returns its half of the connection.
async fn send(
    mut writer: Writer,
    sender: usize,
    group: ConversationId,
    progress: Arc<Progress>,
) -> Result<Writer> {
    let mut id = 0_u64;
    while progress.turn().await {
        id += 1;
        let frame = format!(
            r#"{{"type":"send","id":{id},"conversation_id":"{group}","client_id":"{sender}-{id}","body":"{id:0>100}"}}"#
        );
        writer.send(Message::text(frame)).await?;
    }
    Ok(writer)
}

/// Takes messages in order until everybody has had all. Returns how many there were.
async fn listen(mut reader: Reader, progress: Arc<Progress>) -> Result<u64> {
    let mut last = 0;
    let mut waited = Duration::ZERO;
    const STEP: Duration = Duration::from_millis(200);
    while !progress.complete() {
        let Ok(text) = timeout(STEP, reader.next()).await else {
            waited += STEP;
            if progress.ended.load(Ordering::Acquire) && waited > PATIENCE {
                return Err("messages were not delivered".into());
            }
            continue;
        };
        waited = Duration::ZERO;
        let text = text?;
        if text.starts_with(r#"{"type":"message.sent""#) {
            let seq = seq(&text).ok_or("a message without a seq")?;
            if seq != last + 1 {
                return Err(format!("delivered {seq} after {last}: {text}").into());
            }
            last = seq;
            progress.deliver();
        } else if text.starts_with(r#"{"type":"ok""#) || text.starts_with(r#"{"type":"presence""#) {
        } else {
            return Err(format!("not expected: {text}").into());
        }
    }
    Ok(last)
}

/// Reads a message's seq without parsing the frame: there are very many of them.
fn seq(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once(r#""seq":"#)?;
    rest[..rest.find(|c: char| !c.is_ascii_digit())?].parse().ok()
}
