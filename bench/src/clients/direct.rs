//! Pairs of users: one sends as fast as its messages are acknowledged, the other one receives.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{SinkExt, future::try_join_all};
use parlor::model::ConversationId;
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    Result,
    direct::Load,
    fill,
    server::Logins,
    socket::{Client, Reader},
};

/// Nothing may take as long once all are sent.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the clients tell in the end.
#[derive(Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Messages acknowledged in each conversation: those numbered 1 to this, in this order.
    pub(crate) acknowledged: Vec<(ConversationId, u64)>,
    /// Deliveries of what had been delivered before.
    pub(crate) again: u64,
    /// From sending to the acknowledgement, in microseconds, of those acknowledged in the measurement.
    pub(crate) latencies: Vec<u64>,
}

/// One answer or event; only what is looked at.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(rename = "type", borrow)]
    kind: &'a str,
    id: Option<u64>,
    #[serde(default)]
    result: Sent,
    message: Option<Seen<'a>>,
    /// Of `changes`, when the server filled a gap from the store.
    #[serde(default)]
    messages: Vec<Seen<'a>>,
}

#[derive(Deserialize, Default)]
struct Sent {
    #[serde(default)]
    seq: u64,
}

#[derive(Deserialize)]
struct Seen<'a> {
    seq: u64,
    client_id: &'a str,
}

/// When measuring begins and sending ends.
#[derive(Clone, Copy)]
struct Times {
    from: Instant,
    until: Instant,
}

/// Connects, says so, sends for the time given, and tells the [`Outcome`] in one line.
pub(crate) async fn run(
    server: SocketAddr,
    load: Load,
    conversations: Vec<ConversationId>,
) -> Result<()> {
    let logins = Logins::new()?;
    let mut pairs = Vec::new();
    for pair in 0..conversations.len() {
        let mut clients = Vec::new();
        for user in [2 * pair, 2 * pair + 1] {
            let token = logins.token(&fill::user(user)?)?;
            clients.push(Client::connect(server, 2, &token).await?);
        }
        pairs.push(clients);
    }
    let from = Instant::now() + Duration::from_secs(load.warmup);
    let times = Times { from, until: from + Duration::from_secs(load.seconds) };
    let running = pairs.into_iter().zip(conversations).map(|(clients, conversation)| {
        tokio::spawn(async move { pair(clients, conversation, load.in_flight, times).await })
    });
    let running: Vec<_> = running.collect();
    sleep(times.from - Instant::now()).await;
    println!("measuring");
    sleep(times.until - Instant::now()).await;
    println!("measured");
    let mut outcome = Outcome { acknowledged: Vec::new(), again: 0, latencies: Vec::new() };
    for done in try_join_all(running).await? {
        let pair = done?;
        outcome.acknowledged.push((pair.conversation, pair.acknowledged));
        outcome.again += pair.again;
        outcome.latencies.extend(pair.latencies);
    }
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}

struct PairOutcome {
    conversation: ConversationId,
    acknowledged: u64,
    again: u64,
    latencies: Vec<u64>,
}

async fn pair(
    clients: Vec<Client>,
    conversation: ConversationId,
    in_flight: usize,
    times: Times,
) -> Result<PairOutcome> {
    let [sender, receiver] =
        <[Client; 2]>::try_from(clients).map_err(|_| "a pair is two clients")?;
    // How many messages the receiver has to wait for; unknown until the sender ends.
    let total = Arc::new(AtomicU64::new(u64::MAX));
    let (_writer, reader) = receiver.split();
    let received = tokio::spawn(receive(reader, Arc::clone(&total)));
    let (acknowledged, latencies) = send(sender, conversation, in_flight, times).await?;
    total.store(acknowledged, Ordering::Release);
    let again =
        timeout(PATIENCE, received).await.map_err(|_| "messages were not delivered")???;
    Ok(PairOutcome { conversation, acknowledged, again, latencies })
}

/// Keeps so many messages in flight until the time is over, then waits for the last answers.
async fn send(
    client: Client,
    conversation: ConversationId,
    in_flight: usize,
    times: Times,
) -> Result<(u64, Vec<u64>)> {
    let (mut writer, mut reader) = client.split();
    let mut waiting: VecDeque<Instant> = VecDeque::new();
    let (mut sent, mut acknowledged) = (0_u64, 0_u64);
    let mut latencies = Vec::new();
    loop {
        while waiting.len() < in_flight && Instant::now() < times.until {
            sent += 1;
            let frame = format!(
                r#"{{"type":"send","id":{sent},"conversation_id":"{conversation}","client_id":"{sent}","body":"{sent:0>100}"}}"#
            );
            waiting.push_back(Instant::now());
            writer.feed(Message::text(frame)).await?;
        }
        writer.flush().await?;
        if waiting.is_empty() {
            return Ok((acknowledged, latencies));
        }
        let text = timeout(PATIENCE, reader.next()).await.map_err(|_| "no acknowledgement")??;
        let frame: Frame<'_> = serde_json::from_str(&text)?;
        match frame.kind {
            "ok" => {
                let started = waiting.pop_front().ok_or("an answer to nothing")?;
                acknowledged += 1;
                if frame.id != Some(acknowledged) || frame.result.seq != acknowledged {
                    return Err(format!("acknowledged out of order: {text}").into());
                }
                if (times.from..times.until).contains(&Instant::now()) {
                    latencies.push(u64::try_from(started.elapsed().as_micros())?);
                }
            }
            "error" => return Err(text.as_str().into()),
            _ => {}
        }
    }
}

/// Takes messages and holds them to their order, until all that were acknowledged have come.
/// Returns how many came more than once.
async fn receive(mut reader: Reader, total: Arc<AtomicU64>) -> Result<u64> {
    let (mut seq, mut again) = (0, 0);
    while seq < total.load(Ordering::Acquire) {
        let Ok(text) = timeout(Duration::from_millis(100), reader.next()).await else { continue };
        let text = text?;
        let frame: Frame<'_> = serde_json::from_str(&text)?;
        for message in frame.message.into_iter().chain(frame.messages) {
            // At least once on the wire: what has been seen is dropped.
            if message.seq <= seq {
                again += 1;
                continue;
            }
            seq += 1;
            if message.seq != seq || message.client_id != seq.to_string() {
                return Err(format!("delivered with a hole before {seq}: {text}").into());
            }
        }
    }
    Ok(again)
}
