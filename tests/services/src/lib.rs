//! Starts Postgres and Redis for tests, from the programs that are installed, on free ports in
//! temporary folders, and servers of our own. Servers end with the value that stands for them, and with the process however it ends.
//!
//! [`postgres`] and [`redis`] are shared by a process: the ones that `PARLOR_TEST_POSTGRES` and
//! `PARLOR_TEST_REDIS` name (`cargo xtask test` sets them), else ones started at first use. A test that
//! restarts or kills its server starts one of its own.

mod guardian;
mod postgres;
mod programs;
mod proxy;
mod redis;
mod server;

use std::{net::TcpListener, sync::LazyLock};

pub use postgres::Postgres;
pub use programs::{PACKAGES, missing};
pub use proxy::Proxy;
pub use redis::Redis;
pub use server::Server;

/// The Postgres that this process' tests share.
///
/// # Panics
/// When it cannot be started; the text says what is missing.
pub fn postgres() -> &'static Postgres {
    static SHARED: LazyLock<Postgres> = LazyLock::new(|| {
        let shared = match std::env::var("PARLOR_TEST_POSTGRES") {
            Ok(url) => Postgres::at(&url),
            Err(_) => Postgres::start(),
        };
        shared.unwrap_or_else(|reason| panic!("{reason}"))
    });
    &SHARED
}

/// The Redis that this process' tests share. Tests keep apart by prefixes of their keys.
///
/// # Panics
/// When it cannot be started; the text says what is missing.
pub fn redis() -> &'static Redis {
    static SHARED: LazyLock<Redis> = LazyLock::new(|| {
        let shared = match std::env::var("PARLOR_TEST_REDIS") {
            Ok(url) => Redis::at(&url),
            Err(_) => Redis::start(),
        };
        shared.unwrap_or_else(|reason| panic!("{reason}"))
    });
    &SHARED
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    listener.map(|address| address.port()).map_err(|error| format!("no free port: {error}"))
}
