use std::path::PathBuf;

use clap::Args;

use crate::secret::Secret;

/// Where messages are kept, and what several nodes share.
#[derive(Debug, Args)]
pub(crate) struct StorageOptions {
    /// Where messages are kept: sqlite:FILE, or postgres://USER:PASSWORD@HOST:PORT/DATABASE
    ///
    /// A SQLite file belongs to one process, and needs nothing else. Several nodes share a Postgres (14 or newer).
    /// Schema and tables are made at the first start.
    #[arg(
        long,
        env = "DATABASE_URL",
        value_name = "URL",
        default_value = "sqlite:parlor.db",
        hide_env_values = true,
        global = true
    )]
    pub(crate) database: Secret,

    /// A file with the database's URL, instead of --database
    #[arg(long, env = "DATABASE_URL_FILE", value_name = "FILE")]
    pub(crate) database_file: Option<PathBuf>,

    /// Connections to Postgres at once [default: 10]
    #[arg(
        long,
        env = "PARLOR_DATABASE_CONNECTIONS",
        value_name = "COUNT",
        value_parser = clap::value_parser!(u32).range(2..)
    )]
    pub(crate) database_connections: Option<u32>,

    /// Commits of messages at once on Postgres; each takes a connection [default: 1]
    #[arg(
        long,
        env = "PARLOR_DATABASE_LANES",
        value_name = "COUNT",
        value_parser = clap::value_parser!(u8).range(1..=64)
    )]
    pub(crate) database_lanes: Option<u8>,

    /// The schema of Postgres that holds the tables
    #[arg(
        long,
        env = "PARLOR_DATABASE_SCHEMA",
        value_name = "NAME",
        default_value = "parlor",
        global = true
    )]
    pub(crate) database_schema: String,

    /// Whether to bring the schema of Postgres up to date at start; off for a role that may not (see the subcommand
    /// schema)
    #[arg(
        long,
        env = "PARLOR_MIGRATE",
        value_name = "BOOL",
        default_value_t = true,
        action = clap::ArgAction::Set
    )]
    pub(crate) migrate: bool,

    /// What several nodes share: redis://:PASSWORD@HOST:PORT, or rediss:// for TLS [default: none, one node]
    ///
    /// It carries events between nodes, presence and rate limits. Nothing is lost when it fails: events come later,
    /// presence is unknown, each node counts for itself.
    #[arg(long, env = "REDIS_URL", value_name = "URL", hide_env_values = true)]
    pub(crate) redis: Option<Secret>,

    /// A file with the URL of Redis, instead of --redis
    #[arg(long, env = "REDIS_URL_FILE", value_name = "FILE")]
    pub(crate) redis_file: Option<PathBuf>,

    /// What the names of all keys in Redis begin with; two chats on one Redis need two
    #[arg(long, env = "PARLOR_REDIS_PREFIX", value_name = "TEXT", default_value = "parlor")]
    pub(crate) redis_prefix: String,

    /// A file with certificates (PEM) of authorities to trust for rediss:// and for --jwks, instead of the public ones
    #[arg(long, env = "PARLOR_CA", value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,

    /// How long to try at start until database and keys can be reached
    #[arg(
        long,
        env = "PARLOR_START_TIMEOUT",
        value_name = "TIME",
        default_value = "30s",
        value_parser = crate::duration::parse
    )]
    pub(crate) start_timeout: std::time::Duration,
}
