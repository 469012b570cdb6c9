//! A chat service behind gateways: it has the database, and answers what the example `gateway` asks over Redis:
//!
//! ```text
//! REDIS_URL=redis://127.0.0.1:6379 DATABASE_URL=postgres://… cargo run --release --example chat_service
//! ```
//!
//! As many as you like share the work, on one Postgres. See docs/socket-io.md.

use std::process::ExitCode;

use self::contract::{Fault, Settings};

#[path = "contract/mod.rs"]
mod contract;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_env_filter("warn,parlor=info").init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chat_service: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Fault> {
    let settings = Settings::from_env("chat_service", 0)?;
    let Some(url) = &settings.redis else {
        return Err("REDIS_URL must name the Redis over which gateways ask. \
                    A gateway alone needs neither: cargo run --example gateway"
            .into());
    };
    let redis = contract::open_redis(url, &settings.redis_prefix).await?;
    let store = contract::open_store(&settings.database).await?;
    let host = |url: &str| url.split('@').next_back().unwrap_or_default().to_owned();
    println!("chat_service answers over {}", host(url));
    println!("Messages are kept in {}. Ctrl-C stops the service.", host(&settings.database));
    redis.store_server(store).run(contract::told_to_stop()).await;
    Ok(())
}
