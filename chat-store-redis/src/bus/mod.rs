//! The bus on pub/sub: a channel for each topic, and a connection of its own to listen.

mod desk;
mod frame;
mod inbox;
mod subscriber;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use parlor_core::{
    BackendError,
    traits::{Bus, BusItem, Publication, Topic},
};
use redis::Pipeline;
use tokio::{runtime::Handle, sync::watch, time::timeout};

use self::{
    desk::{Confirmed, Desk},
    frame::Writer,
    inbox::Inbox,
};
use crate::{
    RedisConfig,
    connection::Connector,
    error::Fault,
    link::{Link, while_alive},
    names::Names,
};

/// Commands and bytes in one write, roughly: between two of them others on the connection get their turn.
const WRITE_COMMANDS: usize = 4096;
const WRITE_BYTES: usize = 1024 * 1024;

/// One node's end of the bus. Its stream and its connection end with it.
pub(crate) struct RedisBus {
    link: Link,
    names: Names,
    writer: Writer,
    desk: Arc<Desk>,
    inbox: Arc<Inbox>,
    response_timeout: Duration,
    _alive: watch::Sender<()>,
}

impl RedisBus {
    /// Publishes over `link` and listens over connections of its own.
    pub(crate) fn start(
        link: Link,
        connector: Connector,
        names: Names,
        config: &RedisConfig,
        runtime: &Handle,
    ) -> Self {
        let (alive, life) = watch::channel(());
        let writer = Writer::new();
        let desk = Arc::new(Desk::default());
        let inbox = Arc::new(Inbox::new(config.incoming_bytes));
        let subscriber =
            subscriber::keep_up(connector, Arc::clone(&desk), Arc::clone(&inbox), writer.reader());
        runtime.spawn(while_alive(life, subscriber));
        let response_timeout = config.response_timeout;
        Self { link, names, writer, desk, inbox, response_timeout, _alive: alive }
    }

    async fn send(&self, commands: &mut Pipeline) -> Result<(), BackendError> {
        self.link.run(commands).await.map_err(|fault| fault.during("publish"))?;
        commands.clear();
        Ok(())
    }

    fn channels(&self, topics: &[Topic]) -> Vec<String> {
        topics.iter().map(|topic| self.names.channel(topic)).collect()
    }

    async fn confirmed(&self, mut confirmed: Confirmed) -> Result<(), Fault> {
        let answer = match timeout(self.response_timeout, &mut confirmed).await {
            Ok(answer) => answer.ok(),
            Err(_) => {
                // It may have come at the last moment; later ones find that nobody waits.
                confirmed.close();
                confirmed.try_recv().ok()
            }
        };
        answer.unwrap_or_else(|| Err(Fault::late(self.response_timeout)))
    }
}

#[async_trait]
impl Bus for RedisBus {
    async fn publish(&self, publications: Vec<Publication>) -> Result<(), BackendError> {
        let mut commands = redis::pipe();
        let mut bytes = 0;
        for Publication { topics, payload } in &publications {
            let frame = self.writer.frame(payload);
            for topic in topics {
                commands.cmd("PUBLISH").arg(self.names.channel(topic)).arg(&frame[..]);
                bytes += frame.len();
            }
            if commands.len() >= WRITE_COMMANDS || bytes >= WRITE_BYTES {
                self.send(&mut commands).await?;
                bytes = 0;
            }
        }
        if commands.is_empty() { Ok(()) } else { self.send(&mut commands).await }
    }

    async fn join(&self, topics: Vec<Topic>) -> Result<(), BackendError> {
        let joined = match self.desk.join(self.channels(&topics)) {
            Ok(Some(confirmed)) => self.confirmed(confirmed).await,
            Ok(None) => Ok(()),
            Err(fault) => Err(fault),
        };
        joined.map_err(|fault| fault.during("join"))
    }

    /// Takes effect at once; that the server sends it no more is not waited for.
    async fn part(&self, topics: Vec<Topic>) -> Result<(), BackendError> {
        self.desk.part(self.channels(&topics));
        Ok(())
    }

    fn incoming(&self) -> BoxStream<'static, BusItem> {
        let inbox = Arc::clone(&self.inbox);
        stream::unfold(inbox, |inbox| async move {
            let item = inbox.next().await?;
            Some((item, inbox))
        })
        .boxed()
    }
}

impl Drop for RedisBus {
    fn drop(&mut self) {
        self.inbox.close();
    }
}

impl fmt::Debug for RedisBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBus").field("names", &self.names).finish_non_exhaustive()
    }
}
