//! What a message costs in several WebSocket implementations: a text of a client is read and one is written back, on
//! a stream in memory, so that nothing of it is the kernel's. And what each keeps for a connection that is silent.

mod stream;

use std::{error::Error, fs};

use fastwebsockets::{Frame, OpCode, Payload, WebSocket};
use futures::{SinkExt, StreamExt};
use stream::Script;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{Role, WebSocketConfig},
    },
};
use tokio_websockets::ServerBuilder;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const MESSAGES: u64 = 200_000;
const ROUNDS: usize = 9;
const SILENT: usize = 10_000;

/// As long as an answer of parlor.
const ANSWER: &str = concat!(
    r#"{"type":"ack","id":"0000001234","message_id":"0193a1b2-7c00-7000-8000-0000000000a1","seq":1234,"#,
    r#""rev":1235,"created_at":"2026-11-20T12:00:00.000Z"}"#
);

#[derive(Debug, Clone, Copy)]
enum Implementation {
    TungsteniteSmall,
    TungsteniteDefault,
    TokioWebsockets,
    Fastwebsockets,
}

use Implementation::*;

impl Implementation {
    const ALL: [Self; 4] = [TungsteniteSmall, TungsteniteDefault, TokioWebsockets, Fastwebsockets];

    fn name(self) -> &'static str {
        match self {
            TungsteniteSmall => "tungstenite, buffers as in parlor",
            TungsteniteDefault => "tungstenite with its defaults (axum's)",
            TokioWebsockets => "tokio-websockets",
            Fastwebsockets => "fastwebsockets",
        }
    }
}

/// A connection of one of them.
enum Connection {
    Tungstenite(Box<WebSocketStream<Script>>),
    TokioWebsockets(Box<tokio_websockets::WebSocketStream<Script>>),
    Fastwebsockets(Box<WebSocket<Script>>),
}

impl Connection {
    async fn new(implementation: Implementation, script: Script) -> Self {
        match implementation {
            TungsteniteSmall => {
                let config =
                    WebSocketConfig::default().read_buffer_size(1024).write_buffer_size(16 * 1024);
                let socket = WebSocketStream::from_raw_socket(script, Role::Server, Some(config));
                Self::Tungstenite(Box::new(socket.await))
            }
            TungsteniteDefault => {
                let socket = WebSocketStream::from_raw_socket(script, Role::Server, None);
                Self::Tungstenite(Box::new(socket.await))
            }
            TokioWebsockets => Self::TokioWebsockets(Box::new(ServerBuilder::new().serve(script))),
            Fastwebsockets => {
                let socket = WebSocket::after_handshake(script, fastwebsockets::Role::Server);
                Self::Fastwebsockets(Box::new(socket))
            }
        }
    }

    /// Reads a text and writes one; the bytes of the text.
    async fn answer(&mut self) -> Result<usize> {
        match self {
            Self::Tungstenite(socket) => {
                let Message::Text(text) = socket.next().await.ok_or("no message")?? else {
                    return Err("not a text".into());
                };
                socket.send(Message::text(ANSWER)).await?;
                Ok(text.len())
            }
            Self::TokioWebsockets(socket) => {
                let message = socket.next().await.ok_or("no message")??;
                let length = message.as_text().ok_or("not a text")?.len();
                socket.send(tokio_websockets::Message::text(ANSWER)).await?;
                Ok(length)
            }
            Self::Fastwebsockets(socket) => {
                let frame = socket.read_frame().await?;
                if frame.opcode != OpCode::Text {
                    return Err("not a text".into());
                }
                let length = frame.payload.len();
                socket.write_frame(Frame::text(Payload::Borrowed(ANSWER.as_bytes()))).await?;
                Ok(length)
            }
        }
    }
}

fn main() -> Result<()> {
    println!("| implementation | ns/message | writes/message | bytes/silent connection |");
    println!("|----------------|------------|----------------|-------------------------|");
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        for implementation in Implementation::ALL {
            let (nanos, writes) = costs(implementation).await?;
            let bytes = keeps(implementation).await?;
            println!("| {} | {nanos:.0} | {writes:.2} | {bytes} |", implementation.name());
        }
        Ok(())
    })
}

/// Nanoseconds and writes for each message, in the best of several rounds.
async fn costs(implementation: Implementation) -> Result<(f64, f64)> {
    let (mut nanos, mut writes) = (f64::MAX, 0.0);
    for _ in 0..ROUNDS {
        let script = Script::new(MESSAGES);
        let written = script.writes();
        let mut connection = Connection::new(implementation, script).await;
        let before = on_cpu()?;
        for _ in 0..MESSAGES {
            if connection.answer().await? != stream::TEXT.len() {
                return Err("another text".into());
            }
        }
        nanos = f64::min(nanos, (on_cpu()? - before) as f64 / MESSAGES as f64);
        writes = written.get() as f64 / MESSAGES as f64;
    }
    Ok((nanos, writes))
}

/// Resident bytes for each of many connections that have answered once and then are silent.
async fn keeps(implementation: Implementation) -> Result<usize> {
    let mut connections = Vec::with_capacity(SILENT);
    let before = resident()?;
    for _ in 0..SILENT {
        let mut connection = Connection::new(implementation, Script::new(1)).await;
        connection.answer().await?;
        connections.push(connection);
    }
    let grown = resident()?.saturating_sub(before);
    // What the next one allocates must be new.
    std::mem::forget(connections);
    Ok(grown / SILENT)
}

/// Nanoseconds that this thread has run.
fn on_cpu() -> Result<u64> {
    let schedstat = fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(schedstat.split(' ').next().ok_or("no time")?.parse()?)
}

fn resident() -> Result<usize> {
    let statm = fs::read_to_string("/proc/self/statm")?;
    Ok(statm.split(' ').nth(1).ok_or("no resident pages")?.parse::<usize>()? * 4096)
}
