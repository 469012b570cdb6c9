//! The connection for commands, kept up in the background and shared by all that ask something.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::{Pipeline, Value, aio::MultiplexedConnection};
use tokio::{
    runtime::Handle,
    sync::{Notify, watch},
    time::timeout,
};

use crate::{
    connection::{Backoff, Connection, Connector, Health},
    error::Fault,
    script,
};

/// Asks Redis. Clones share the connection, which ends with the last of them.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    state: watch::Receiver<State>,
    doubt: Arc<Doubt>,
    response_timeout: Duration,
    _alive: Arc<watch::Sender<()>>,
}

#[derive(Debug, Clone)]
enum State {
    Connecting,
    Up(MultiplexedConnection),
    Down(Fault),
}

impl Link {
    /// Starts to connect; returns after the first attempt, whatever became of it.
    pub(crate) async fn open(
        connector: Connector,
        response_timeout: Duration,
        runtime: &Handle,
    ) -> Self {
        let (alive, life) = watch::channel(());
        let (tell, state) = watch::channel(State::Connecting);
        let doubt = Arc::new(Doubt::default());
        runtime.spawn(while_alive(life, keep_up(connector, tell, Arc::clone(&doubt))));
        let mut link = Self { state, doubt, response_timeout, _alive: Arc::new(alive) };
        // The task tells before it ends.
        let _ = link.state.wait_for(|state| !matches!(state, State::Connecting)).await;
        link
    }

    /// Sends commands in one write and waits for all answers.
    ///
    /// # Errors
    /// At once while there is no connection; after the response timeout when no answer comes; an error of
    /// one command stands for all.
    pub(crate) async fn run(&self, commands: &Pipeline) -> Result<Vec<Value>, Fault> {
        if self.doubt.is_raised() {
            return Err(Fault::unavailable("Redis has just not answered in time"));
        }
        let state = self.state.borrow().clone();
        match state {
            State::Up(redis) => self.ask(redis, commands).await,
            State::Down(why) => Err(why.while_down()),
            State::Connecting => Err(Fault::unavailable("not connected to Redis yet")),
        }
    }

    /// Asks for a sign of life; the error says why there is none.
    pub(crate) async fn ping(&self) -> Result<(), Fault> {
        if let State::Down(why) = &*self.state.borrow() {
            return Err(why.clone());
        }
        self.run(redis::pipe().cmd("PING")).await.map(drop)
    }

    async fn ask(
        &self,
        mut redis: MultiplexedConnection,
        commands: &Pipeline,
    ) -> Result<Vec<Value>, Fault> {
        match timeout(self.response_timeout, commands.query_async(&mut redis)).await {
            Ok(answers) => Ok(answers?),
            Err(_) => {
                self.doubt.raise();
                Err(Fault::late(self.response_timeout))
            }
        }
    }
}

/// Runs a task as long as somebody holds the other end of `life`.
pub(crate) async fn while_alive(mut life: watch::Receiver<()>, task: impl Future<Output = ()>) {
    tokio::select! {
        () = task => {}
        // Nothing is ever sent: the only change is the sender's end.
        _ = life.changed() => {}
    }
}

/// Somebody waited in vain. Until it is known whether the connection works, nobody else does.
#[derive(Debug, Default)]
struct Doubt {
    raised: AtomicBool,
    wake: Notify,
}

impl Doubt {
    fn raise(&self) {
        self.raised.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    fn is_raised(&self) -> bool {
        self.raised.load(Ordering::Acquire)
    }

    fn clear(&self) {
        self.raised.store(false, Ordering::Release);
    }
}

async fn keep_up(connector: Connector, state: watch::Sender<State>, doubt: Arc<Doubt>) {
    let mut health = Health::new("commands", connector.address());
    let mut backoff = Backoff::new();
    loop {
        let why = match connect(&connector).await {
            Ok(connection) => {
                backoff = Backoff::new();
                doubt.clear();
                state.send_replace(State::Up(connection.redis.clone()));
                health.up();
                watch_over(connection, &doubt).await
            }
            Err(why) => why,
        };
        health.down(&why);
        state.send_replace(State::Down(why));
        backoff.pause().await;
    }
}

async fn connect(connector: &Connector) -> Result<Connection, Fault> {
    let mut connection = connector.connect(|_| {}).await?;
    connection.ask(&script::load_all()).await?;
    Ok(connection)
}

/// Waits until the connection is broken, and says why.
async fn watch_over(mut connection: Connection, doubt: &Doubt) -> Fault {
    loop {
        let idle = tokio::select! {
            idle = connection.idle() => idle,
            () = doubt.wake.notified() => Ok(()),
        };
        if let Err(why) = idle {
            return why;
        }
        if let Err(why) = connection.ping().await {
            return why;
        }
        doubt.clear();
    }
}
