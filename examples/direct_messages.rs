//! A Socket.IO chat service from user to user, for front ends written for the contract `direct_messages`:
//!
//! ```text
//! cargo run --release --example direct_messages
//! ```
//!
//! Port 3000. `PORT`, `JWT_SECRET`, `DATABASE_URL`, `REDIS_URL` and `FRONTEND_URL` choose otherwise; see
//! docs/socket-io.md. A token with a name comes from `curl -X POST 'http://127.0.0.1:3000/dev/login?sub=ann&name=Ann'`.

use std::process::ExitCode;

use parlor::socketio::contracts::DirectMessages;

#[path = "contract/mod.rs"]
mod contract;

#[tokio::main]
async fn main() -> ExitCode {
    contract::serve(DirectMessages, 3000).await
}
