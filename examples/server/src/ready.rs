//! `parlor-server ready`: asks a running server, for health checks where there is no other client.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use crate::failure::Failure;

/// The server has answered within this time.
const PATIENCE: Duration = Duration::from_secs(4);
/// Longest answer, in bytes.
const LONGEST: u64 = 1024;

/// Asks `/readyz` and prints what it says.
pub(crate) fn ask(listen: SocketAddr) -> Result<(), Failure> {
    let url = format!("http://{}/readyz", reachable(listen));
    let unreachable = |error: ureq::Error| {
        Failure::Start(format!(
            "nobody answers at {url}: {error}. Is --listen (PARLOR_LISTEN) right?"
        ))
    };
    let agent = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .proxy(None)
        .build()
        .new_agent();
    let mut response = agent.get(&url).call().map_err(unreachable)?;
    let body = response.body_mut().with_config().limit(LONGEST).read_to_string();
    let body = body.map_err(unreachable)?;
    if response.status() == 200 {
        println!("{}", body.trim_end());
        return Ok(());
    }
    Err(Failure::Start(format!("the server at {url} is not ready: {}", body.trim_end())))
}

/// Where a server that listens at every address can be asked.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let here = match listen.ip() {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        address => address,
    };
    SocketAddr::new(here, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_at_every_address_is_asked_at_this_machines_own() {
        let asked = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(asked("0.0.0.0:3000"), "127.0.0.1:3000");
        assert_eq!(asked("[::]:3000"), "[::1]:3000");
        assert_eq!(asked("10.0.0.7:3000"), "10.0.0.7:3000");
    }
}
