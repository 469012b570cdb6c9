//! A Socket.IO chat service between brands and influencers, for front ends written for the contract
//! `brand_influencer`:
//!
//! ```text
//! cargo run --release --example brand_influencer
//! ```
//!
//! Port 3000, namespace `/chat`. `PORT`, `JWT_SECRET`, `DATABASE_URL`, `REDIS_URL` and `FRONTEND_URL` choose otherwise;
//! see docs/socket-io.md. With `DEV_TOKENS=1` tokens such as `123:influencer` are taken, on this machine only. A real
//! one comes from `curl -X POST 'http://127.0.0.1:3000/dev/login?sub=123&userType=influencer'`.

use std::process::ExitCode;

use parlor::socketio::contracts::BrandInfluencer;

#[path = "contract/mod.rs"]
mod contract;

#[tokio::main]
async fn main() -> ExitCode {
    contract::serve(BrandInfluencer, 3000).await
}
