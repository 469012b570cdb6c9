//! The parts that chat runs on: a Postgres, a Redis, and nodes that each reach Redis by a path of its own.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use parlor_test_services::{Postgres, Proxy, Redis, Server};
use tempfile::TempDir;

use crate::{
    Result,
    options::{Options, Switch},
};

/// How many nodes there are.
pub(crate) const NODES: usize = 3;
/// The key of the tokens.
pub(crate) const SECRET: &str = "a secret of the fault tests, for nothing else";

/// Everything that runs. Gone when dropped.
pub(crate) struct Cluster {
    nodes: Vec<Server>,
    paths: Vec<Proxy>,
    postgres: Postgres,
    redis: Redis,
    /// The URL of the database.
    database: String,
    logs: TempDir,
}

impl Cluster {
    /// Starts everything. Blocks.
    pub(crate) fn start(options: &Options) -> Result<Self> {
        let program = options.server()?;
        let logs = tempfile::Builder::new().prefix("parlor-faults-").tempdir()?;
        let (postgres, redis) = (Postgres::start()?, Redis::start()?);
        let database = postgres.database();
        let (mut nodes, mut paths) = (Vec::new(), Vec::new());
        for number in 1..=NODES {
            let path = Proxy::start(redis.address())?;
            let redis = format!("redis://{}", path.address());
            let mut args = vec!["--database", &database, "--redis", &redis];
            args.extend(["--jwt-secret", SECRET, "--no-rate-limits"]);
            if options.sweep == Switch::Off {
                args.extend(["--sweep-interval", "0"]);
            }
            let log = logs.path().join(format!("node-{number}.log"));
            nodes.push(Server::start(&program, &args, &log)?);
            paths.push(path);
        }
        Ok(Self { nodes, paths, postgres, redis, database, logs })
    }

    /// Where the nodes listen; they come back there after a kill.
    pub(crate) fn addresses(&self) -> Arc<[SocketAddr]> {
        self.nodes.iter().map(Server::address).collect()
    }

    /// A node, from 0.
    pub(crate) fn node(&mut self, number: usize) -> &mut Server {
        &mut self.nodes[number]
    }

    /// The path between a node and Redis.
    pub(crate) fn path(&self, node: usize) -> &Proxy {
        &self.paths[node]
    }

    pub(crate) fn redis(&self) -> &Redis {
        &self.redis
    }

    pub(crate) fn postgres(&self) -> &Postgres {
        &self.postgres
    }

    /// What the database itself answers, a row a line, its fields parted by `|`. Blocks.
    pub(crate) fn sql(&self, query: &str) -> String {
        self.postgres.psql(&self.database, query)
    }

    /// Keeps the nodes' logs; the folder where they lie.
    pub(crate) fn keep_logs(self) -> PathBuf {
        self.logs.keep()
    }
}
