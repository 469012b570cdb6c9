//! A Socket.IO chat service between two people, for front ends written for the contract `connections`:
//!
//! ```text
//! cargo run --release --example connections
//! ```
//!
//! Port 3001. `PORT`, `JWT_SECRET`, `DATABASE_URL` and `FRONTEND_URL` choose otherwise; see docs/socket-io.md.

use std::process::ExitCode;

use parlor::socketio::contracts::Connections;

#[path = "contract/mod.rs"]
mod contract;

#[tokio::main]
async fn main() -> ExitCode {
    contract::serve(Connections, 3001).await
}
