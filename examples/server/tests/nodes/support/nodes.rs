//! Server processes that share a database and a Redis.

use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use jsonwebtoken::{EncodingKey, Header, encode};
use parlor_test_services::{Proxy, Redis, Server, postgres};
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::Client;

const SECRET: &str = "a secret of the tests of several nodes, for nothing else";

/// Some nodes, each with a path of its own to their Redis. Gone when dropped.
pub(crate) struct Nodes {
    servers: Vec<Server>,
    pub(crate) paths: Vec<Proxy>,
    pub(crate) redis: Redis,
    logs: TempDir,
}

impl Drop for Nodes {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for number in 0..self.servers.len() {
                let log = std::fs::read_to_string(self.logs.path().join(number.to_string()));
                eprintln!("node {}:\n{}", number + 1, log.unwrap_or_default());
            }
        }
    }
}

impl Nodes {
    /// Starts three with these arguments besides.
    pub(crate) fn start(args: &[&str]) -> Self {
        let (redis, logs) = (Redis::start().unwrap(), tempfile::tempdir().unwrap());
        let database = postgres().database();
        let (mut servers, mut paths) = (Vec::new(), Vec::new());
        for number in 0..3 {
            let path = Proxy::start(redis.address()).unwrap();
            let url = format!("redis://{}", path.address());
            let mut all = vec!["--database", &database, "--redis", &url, "--jwt-secret", SECRET];
            all.extend(args);
            let program = Path::new(env!("CARGO_BIN_EXE_parlor-server"));
            let log = logs.path().join(number.to_string());
            servers.push(Server::start(program, &all, &log).unwrap());
            paths.push(path);
        }
        Self { servers, paths, redis, logs }
    }

    /// Starts three that grant as much as is asked for, with these arguments besides.
    pub(crate) fn unlimited(args: &[&str]) -> Self {
        Self::start(&[&["--no-rate-limits"], args].concat())
    }

    /// Where a node listens, counted from 1.
    pub(crate) fn address(&self, node: usize) -> SocketAddr {
        self.servers[node - 1].address()
    }

    /// A client of this user on a node, connected and live.
    pub(crate) async fn client(&self, node: usize, name: &str) -> Client {
        Client::live(self.address(node), &token(name)).await
    }

    /// Kills a node (SIGKILL).
    pub(crate) fn kill(&mut self, node: usize) {
        self.servers[node - 1].kill();
    }

    /// The sum of a counter of a node over its labels.
    pub(crate) async fn counter(&self, node: usize, name: &str) -> u64 {
        let mut stream = TcpStream::connect(self.address(node)).await.unwrap();
        let request = "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let lines = answer.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }
}

/// A token for an hour.
pub(crate) fn token(name: &str) -> String {
    let expires = SystemTime::now() + Duration::from_secs(3600);
    let expires = expires.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({"sub": name, "exp": expires});
    encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}
