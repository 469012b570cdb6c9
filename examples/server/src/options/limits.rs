use std::time::Duration;

use clap::{Args, builder::RangedU64ValueParser};

use crate::duration::parse_some;

/// How much is granted.
#[derive(Debug, Args)]
pub(crate) struct LimitOptions {
    /// Messages a user may send in a second
    #[arg(
        long,
        env = "PARLOR_SENDS_PER_SECOND",
        value_name = "COUNT",
        default_value_t = 10,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub(crate) sends_per_second: u32,

    /// Messages a user may send at once [default: twice --sends-per-second]
    #[arg(
        long,
        env = "PARLOR_SENDS_BURST",
        value_name = "COUNT",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub(crate) sends_burst: Option<u32>,

    /// Lift the quotas on messages, commands and connects; for tests and measurements
    #[arg(
        long,
        env = "PARLOR_NO_RATE_LIMITS",
        value_parser = clap::builder::FalseyValueParser::new()
    )]
    pub(crate) no_rate_limits: bool,

    /// Connections of this node, WebSockets and others together; the operating system must let it open as many files
    #[arg(
        long,
        env = "PARLOR_CONNECTIONS",
        value_name = "COUNT",
        default_value_t = 100_000,
        value_parser = RangedU64ValueParser::<usize>::new().range(1..)
    )]
    pub(crate) connections: usize,

    /// Connections from one address; of IPv6 a network of 64 bits counts as one
    ///
    /// WebSockets and others together; with --trust-forwarded-for WebSockets alone.
    #[arg(
        long,
        env = "PARLOR_CONNECTIONS_PER_ADDRESS",
        value_name = "COUNT",
        default_value_t = 10_000,
        value_parser = RangedU64ValueParser::<usize>::new().range(1..)
    )]
    pub(crate) connections_per_address: usize,

    /// Connections of one user: devices, windows
    #[arg(
        long,
        env = "PARLOR_CONNECTIONS_PER_USER",
        value_name = "COUNT",
        default_value_t = 20,
        value_parser = RangedU64ValueParser::<usize>::new().range(1..)
    )]
    pub(crate) connections_per_user: usize,

    /// Take a client's address from the last entry of X-Forwarded-For
    ///
    /// Only behind a proxy that sets it: anybody else could claim any address.
    #[arg(
        long,
        env = "PARLOR_TRUST_FORWARDED_FOR",
        value_parser = clap::builder::FalseyValueParser::new()
    )]
    pub(crate) trust_forwarded_for: bool,

    /// A request's headers have come within this time, also the next one's on a connection that is kept
    #[arg(
        long,
        env = "PARLOR_HEADER_TIMEOUT",
        value_name = "TIME",
        default_value = "15s",
        value_parser = parse_some
    )]
    pub(crate) header_timeout: Duration,

    /// A request is answered within this time
    #[arg(
        long,
        env = "PARLOR_REQUEST_TIMEOUT",
        value_name = "TIME",
        default_value = "30s",
        value_parser = parse_some
    )]
    pub(crate) request_timeout: Duration,

    /// A client that takes nothing of an answer for this time is cut off
    #[arg(
        long,
        env = "PARLOR_WRITE_TIMEOUT",
        value_name = "TIME",
        default_value = "10s",
        value_parser = parse_some
    )]
    pub(crate) write_timeout: Duration,
}
