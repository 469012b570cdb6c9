//! One connection: how it is made, how it is seen to be broken.

use std::{future::Future, sync::Arc, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, Pipeline, PushInfo, PushKind, RedisResult,
    aio::MultiplexedConnection,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use crate::error::Fault;

/// How often a connection without other signs of life is asked for one.
const PING_EVERY: Duration = Duration::from_secs(1);
/// How long it may take to answer. Longer than a call waits: a busy server is not a lost one.
const DEADLINE: Duration = Duration::from_secs(2);
/// Calls that wait for their turn to write; more wait for a place among them.
const WAITING: usize = 1024;
/// The kernel's own probes, for the time in which nobody here looks.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Makes connections to one server.
#[derive(Clone)]
pub(crate) struct Connector {
    client: Client,
    timeout: Duration,
}

impl Connector {
    pub(crate) fn new(client: Client, timeout: Duration) -> Self {
        Self { client, timeout }
    }

    /// The TCP settings of every connection.
    pub(crate) fn tcp_settings() -> TcpSettings {
        let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 3);
        TcpSettings::default().set_nodelay(true).set_keepalive(keepalive)
    }

    /// Where it connects to, without the password.
    pub(crate) fn address(&self) -> String {
        match self.client.get_connection_info().addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                format!("{host}:{port}")
            }
            ConnectionAddr::Unix(path) => path.display().to_string(),
            _ => "?".to_owned(),
        }
    }

    /// Connects. What the server pushes goes to `on_push`, in the connection's own task: it must not block.
    pub(crate) async fn connect(
        &self,
        on_push: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Result<Connection, Fault> {
        let broken = Arc::new(Notify::new());
        let notify = Arc::clone(&broken);
        let config = AsyncConnectionConfig::new()
            // Deadlines are set where it is known what for.
            .set_response_timeout(None)
            .set_connection_timeout(None)
            .set_pipeline_buffer_size(WAITING)
            .set_push_sender(move |info: PushInfo| -> Result<(), ()> {
                if info.kind == PushKind::Disconnection {
                    notify.notify_one();
                } else {
                    on_push(info);
                }
                Ok(())
            });
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        match timeout(self.timeout, connecting).await {
            Ok(Ok(redis)) => Ok(Connection { redis, broken }),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(Fault::late(self.timeout)),
        }
    }
}

/// A connection to Redis. Ends when it and all clones of its `redis` are dropped.
pub(crate) struct Connection {
    pub(crate) redis: MultiplexedConnection,
    broken: Arc<Notify>,
}

impl Connection {
    /// Waits until it is time to look whether the connection still works: after a while, or when
    /// something says that it does not.
    ///
    /// # Errors
    /// When the connection is known to be broken.
    pub(crate) async fn idle(&self) -> Result<(), Fault> {
        tokio::select! {
            () = self.broken.notified() => Err(Fault::unavailable("Redis closed the connection")),
            () = sleep(PING_EVERY) => Ok(()),
        }
    }

    /// Asks for a sign of life.
    pub(crate) async fn ping(&mut self) -> Result<(), Fault> {
        self.ask(redis::pipe().cmd("PING")).await
    }

    /// Sends commands whose answers say nothing but that they were carried out.
    pub(crate) async fn ask(&mut self, commands: &Pipeline) -> Result<(), Fault> {
        within_deadline(commands.exec_async(&mut self.redis)).await
    }

    /// Listens to channels; returns once the server has confirmed each.
    pub(crate) async fn subscribe(&mut self, channels: &[Arc<str>]) -> Result<(), Fault> {
        let channels: Vec<&str> = channels.iter().map(|channel| &**channel).collect();
        within_deadline(self.redis.subscribe(channels)).await
    }

    /// Stops listening to channels.
    pub(crate) async fn unsubscribe(&mut self, channels: &[Arc<str>]) -> Result<(), Fault> {
        let channels: Vec<&str> = channels.iter().map(|channel| &**channel).collect();
        within_deadline(self.redis.unsubscribe(channels)).await
    }
}

async fn within_deadline(asking: impl Future<Output = RedisResult<()>>) -> Result<(), Fault> {
    match timeout(DEADLINE, asking).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Fault::late(DEADLINE)),
    }
}

/// Pauses between attempts to connect: they grow, and nodes that lost the same server spread out.
#[derive(Debug)]
pub(crate) struct Backoff(Duration);

impl Backoff {
    const FIRST: Duration = Duration::from_millis(100);
    const LAST: Duration = Duration::from_secs(2);

    pub(crate) fn new() -> Self {
        Self(Self::FIRST)
    }

    /// Between half of the pause and all of it.
    pub(crate) async fn pause(&mut self) {
        let pause = self.0.mul_f64(0.5 + fastrand::f64() / 2.0);
        self.0 = (self.0 * 2).min(Self::LAST);
        sleep(pause).await;
    }
}

/// Whether a connection is up, told to the log and the metrics when it changes.
#[derive(Debug)]
pub(crate) struct Health {
    connection: &'static str,
    address: String,
    up: Option<bool>,
}

impl Health {
    /// Of the connection called so in metrics and the log.
    pub(crate) fn new(connection: &'static str, address: String) -> Self {
        Self { connection, address, up: None }
    }

    pub(crate) fn up(&mut self) {
        let Self { connection, address, .. } = self;
        if self.up.replace(true) != Some(true) {
            metrics::gauge!("parlor_redis_connected", "connection" => *connection).set(1.0);
            metrics::counter!("parlor_redis_connects_total", "connection" => *connection)
                .increment(1);
            tracing::info!(connection, address, "connected to Redis");
        }
    }

    pub(crate) fn down(&mut self, why: &Fault) {
        let Self { connection, address, .. } = self;
        if self.up.replace(false) != Some(false) {
            metrics::gauge!("parlor_redis_connected", "connection" => *connection).set(0.0);
            tracing::warn!(connection, address, %why, "no connection to Redis, trying again");
        } else {
            tracing::debug!(connection, address, %why, "still no connection to Redis");
        }
    }
}
