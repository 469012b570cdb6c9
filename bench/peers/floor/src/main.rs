//! The least that a delivery can cost with one write each. For every frame that any client sends, one prebuilt
//! WebSocket frame of the size of a chat message goes to all of them: no parsing, no encoding, no database, no order
//! to keep. It says where it listens, and ends with its standard input.

use std::error::Error;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
};
use tokio_tungstenite::accept_async;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// As long as a message of 100 bytes in the native protocol.
const TEXT: &str = concat!(
    r#"{"type":"message.sent","message":{"id":"0193a1b2-7c00-7000-8000-0000000000a1","number":4711,"#,
    r#""conversation_id":"0193a1b2-7c00-7000-8000-00000000c0de","seq":1234,"rev":1235,"changed_rev":1235,"#,
    r#""sender_id":"user-00001","client_id":"00001-0000000001","kind":"text","body":"#,
    r#""00000-0000000000-0000000000000000-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx","#,
    r#""created_at":"2026-11-20T12:00:00.000Z"},"conversation_id":"0193a1b2-7c00-7000-8000-00000000c0de","rev":1235}"#,
);

#[tokio::main]
async fn main() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let (came, coming) = mpsc::channel(1024);
    let (asked, asking) = mpsc::channel(1024);
    tokio::spawn(deliver(coming, asking));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(join(stream, came.clone(), asked.clone()));
        }
    });
    let _ = tokio::io::stdin().read_u8().await;
    Ok(())
}

/// Upgrades a connection, hands over its writing half, and counts the frames that come in.
async fn join(
    stream: TcpStream,
    came: mpsc::Sender<OwnedWriteHalf>,
    asked: mpsc::Sender<()>,
) -> Result<()> {
    stream.set_nodelay(true)?;
    // Clients wait for the answer to the upgrade, so nothing is left in the WebSocket's own buffer.
    let (reading, writing) = accept_async(stream).await?.into_inner().into_split();
    came.send(writing).await?;
    let mut reading = BufReader::with_capacity(1024, reading);
    loop {
        skip_frame(&mut reading).await?;
        asked.send(()).await?;
    }
}

/// A client's frame: two bytes, a longer length where needed, the mask, the content.
async fn skip_frame(reading: &mut BufReader<OwnedReadHalf>) -> Result<()> {
    reading.read_u8().await?;
    let length = match reading.read_u8().await? & 0x7f {
        126 => u64::from(reading.read_u16().await?),
        127 => reading.read_u64().await?,
        short => u64::from(short),
    };
    tokio::io::copy(&mut reading.take(4 + length), &mut tokio::io::sink()).await?;
    Ok(())
}

/// Writes to everybody, one write each.
async fn deliver(mut coming: mpsc::Receiver<OwnedWriteHalf>, mut asking: mpsc::Receiver<()>) {
    let frame = frame();
    let mut sockets = Vec::new();
    loop {
        tokio::select! {
            biased;
            Some(socket) = coming.recv() => sockets.push(socket),
            Some(()) = asking.recv() => {
                let mut gone = Vec::new();
                for (place, socket) in sockets.iter_mut().enumerate() {
                    let written = socket.try_write(&frame).unwrap_or(0);
                    // Only when the peer's window is full.
                    if written < frame.len() && socket.write_all(&frame[written..]).await.is_err() {
                        gone.push(place);
                    }
                }
                for place in gone.into_iter().rev() {
                    sockets.swap_remove(place);
                }
            }
            else => return,
        }
    }
}

/// A whole text frame of more than 125 bytes, not masked.
fn frame() -> Vec<u8> {
    let mut frame = vec![0x81, 126];
    frame.extend_from_slice(&(TEXT.len() as u16).to_be_bytes());
    frame.extend_from_slice(TEXT.as_bytes());
    frame
}
