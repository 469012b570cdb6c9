//! A chat server written by hand to be fast: socketioxide, sqlx, one prepared statement a message. It is told by
//! its environment where the database is and which secret signs tokens, says where it listens, and ends with its
//! standard input.

mod database;
mod lanes;
mod session;

use std::{env, error::Error, future::IntoFuture, net::SocketAddr, sync::Arc};

use axum::serve::ListenerExt;
use socketioxide::{SocketIo, TransportType};
use tokio::{io::AsyncReadExt, net::TcpSocket};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result<()> {
    let url = env::var("DATABASE_URL")?;
    let connections: u32 = env::var("DATABASE_CONNECTIONS")?.parse()?;
    let (layer, io) = SocketIo::builder()
        .transports([TransportType::Websocket])
        .ws_read_buffer_size(1024)
        .max_buffer_size(1024)
        .build_layer();
    let app = Arc::new(session::App::new(
        &env::var("JWT_SECRET")?,
        database::Database::open(&url, connections).await?,
        lanes::Lanes::start(&url, connections, &io).await?,
    ));
    session::serve(&io, app);
    // Room for a storm of connects: the usual 128 that may wait to be accepted are not enough.
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let listener = socket.listen(4096)?;
    println!("{}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    let mut stdin = tokio::io::stdin();
    tokio::select! {
        served = axum::serve(listener, axum::Router::new().layer(layer)).into_future() => served?,
        _ = stdin.read_u8() => {}
    }
    Ok(())
}
