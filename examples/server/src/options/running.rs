use std::{net::SocketAddr, time::Duration};

use clap::{Args, ValueEnum};

use super::address;
use crate::duration::{parse, parse_some};

/// How the server behaves, ends and reports.
#[derive(Debug, Args)]
pub(crate) struct RunningOptions {
    /// How often what was delivered is compared with the database; 0 switches it off, which is for tests
    ///
    /// It finds what was lost between nodes while Redis was away.
    #[arg(
        long,
        env = "PARLOR_SWEEP_INTERVAL",
        value_name = "TIME",
        default_value = "5s",
        value_parser = parse
    )]
    pub(crate) sweep_interval: Duration,

    /// A node that died takes its users offline after this time
    #[arg(
        long,
        env = "PARLOR_PRESENCE_LEASE",
        value_name = "TIME",
        default_value = "15s",
        value_parser = parse_some
    )]
    pub(crate) presence_lease: Duration,

    /// A user stays online for this time after the last device went, so that a page reload is not seen
    #[arg(
        long,
        env = "PARLOR_PRESENCE_GRACE",
        value_name = "TIME",
        default_value = "10s",
        value_parser = parse
    )]
    pub(crate) presence_grace: Duration,

    /// How long /readyz says 503 before clients are sent away, for a load balancer to notice
    #[arg(
        long,
        env = "PARLOR_DRAIN_DELAY",
        value_name = "TIME",
        default_value = "0s",
        value_parser = parse
    )]
    pub(crate) drain_delay: Duration,

    /// Clients that are sent away come back, elsewhere, at times spread over this one
    #[arg(
        long,
        env = "PARLOR_DRAIN_SPREAD",
        value_name = "TIME",
        default_value = "2s",
        value_parser = parse
    )]
    pub(crate) drain_spread: Duration,

    /// Within this time after the delay everything has ended
    #[arg(
        long,
        env = "PARLOR_DRAIN_DEADLINE",
        value_name = "TIME",
        default_value = "10s",
        value_parser = parse_some
    )]
    pub(crate) drain_deadline: Duration,

    /// Serve /metrics here, and only here
    #[arg(long, env = "PARLOR_METRICS_LISTEN", value_name = "ADDR", value_parser = address)]
    pub(crate) metrics_listen: Option<SocketAddr>,

    /// What is logged, to standard error: a level, or levels by module (parlor=debug,warn)
    #[arg(long, env = "PARLOR_LOG", value_name = "FILTER", default_value = "warn,parlor=info")]
    pub(crate) log: String,

    /// How it is logged
    #[arg(
        long,
        env = "PARLOR_LOG_FORMAT",
        value_name = "FORMAT",
        value_enum,
        default_value = "text"
    )]
    pub(crate) log_format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line, for machines
    Json,
}
