//! Front ends of all the published contracts, and parlor's own page, in one chat:
//!
//! ```text
//! cargo run --release --example several_contracts
//! ```
//!
//! Contracts share a listener where neither a namespace nor a route of theirs is the same; the others get one of
//! their own. So every front end keeps its paths, and only its server's URL is another. Ports 3000, 3001 and 3006; with
//! `PORT` the first is chosen, and the others follow at the same distance. `JWT_SECRET`, `DATABASE_URL`, `REDIS_URL` and
//! `FRONTEND_URL` choose otherwise; see docs/socket-io.md. Everybody may talk with everybody.
//!
//! A token comes from `curl -X POST 'http://127.0.0.1:3000/dev/login?sub=ann'`; the page at <http://127.0.0.1:3000>
//! asks for one. Brand 7 is `brand:7` to the others.

use std::{net::SocketAddr, process::ExitCode};

use axum::Router;
use futures::{FutureExt, future::try_join_all};
use parlor::socketio::contracts::{
    BrandInfluencer, Connections, DirectMessages, Gateway, TutorBookings,
};

use self::contract::{Fault, Settings};

#[path = "contract/mod.rs"]
mod contract;
#[path = "page/mod.rs"]
mod page;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_env_filter("warn,parlor=info").init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("several_contracts: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Fault> {
    let settings = Settings::from_env("several_contracts", 3000)?;
    let store = contract::open_store(&settings.database).await?;
    let chat = contract::engine(&settings, settings.listen, store).await?.build().await?;
    let transport = || contract::transport(&settings, settings.listen, chat.clone());

    let first = transport().contract(DirectMessages).contract(Gateway::new()).router();
    let own = Router::new()
        .nest("/chat", parlor::axum::router(chat.clone()))
        .merge(page::router("token"))
        .merge(contract::login(&settings, settings.listen));
    let second = transport().contract(Connections).contract(BrandInfluencer).router();
    let third = transport().contract(TutorBookings).router();

    // Every listener ends when the chat is drained.
    let stopped = contract::stop(chat).shared();
    let mut servers = Vec::new();
    for (name, offset, app) in [
        ("direct_messages, gateway and the page", 0, first.merge(own)),
        ("connections and brand_influencer", 1, second),
        ("tutor_bookings", 6, third),
    ] {
        let listener = contract::listen(beside(settings.listen, offset)?).await?;
        println!("{name}: listening on http://{}", listener.local_addr()?);
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        let server = axum::serve(listener, app).with_graceful_shutdown(stopped.clone());
        servers.push(server.into_future());
    }
    println!("Ctrl-C stops the server.");
    try_join_all(servers).await?;
    Ok(())
}

/// So many ports further. Where the system chooses the port, it chooses each.
fn beside(mut address: SocketAddr, offset: u16) -> Result<SocketAddr, Fault> {
    if address.port() != 0 {
        let port = address.port().checked_add(offset);
        address.set_port(port.ok_or("PORT must be at most 65529: two more ports follow it")?);
    }
    Ok(address)
}
