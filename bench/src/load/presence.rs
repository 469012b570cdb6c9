//! Users come and go all the time, and somebody who knows each of them watches.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};

use super::{
    Dialect, Outcome, PATIENCE, Span, address_of,
    client::{Client, Incoming},
    clock, since, tell,
};
use crate::{
    Result,
    measure::Histogram,
    systems::{Logins, user},
};

/// What to do. Each user from `watchers` on has a direct conversation with one of the watchers, which are the first users.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Load {
    pub(crate) watchers: usize,
    /// Users who come and go; each of them once.
    pub(crate) users: usize,
    /// Connects a second, and as many disconnects.
    pub(crate) rate: u64,
    /// How long each stays, in milliseconds.
    pub(crate) stay: u64,
    pub(crate) span: Span,
}

/// What the watchers and those whom they watch share.
#[derive(Default)]
struct Seen {
    /// When each user came who is not yet told as online.
    came: Mutex<HashMap<String, u64>>,
    /// Who went and is not yet told as offline.
    went: Mutex<HashSet<String>>,
    latencies: Mutex<Histogram>,
}

pub(crate) async fn run(dialect: Dialect, server: SocketAddr, load: Load) -> Result<()> {
    let logins = Logins::new()?;
    let seen = Arc::new(Seen::default());
    let mut watching = JoinSet::new();
    for number in 0..load.watchers {
        let token = logins.token(&user(number))?;
        let client = Client::connect(dialect, server, 2, &token).await?;
        watching.spawn(watch(client, Arc::clone(&seen)));
    }
    let tokens = (load.watchers..load.watchers + load.users).map(|number| {
        let user = user(number);
        Ok((number, logins.token(&user)?, user))
    });
    let mut tokens = tokens.collect::<Result<Vec<_>>>()?.into_iter();
    let mut visits = JoinSet::new();
    let mut tick = interval(Duration::from_secs(1) / load.rate as u32);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let until = Instant::now() + Duration::from_secs(load.span.warmup + load.span.seconds);
    let from = Instant::now() + Duration::from_secs(load.span.warmup);
    let (mut begun, mut count) = (None, 0);
    while Instant::now() < until {
        if begun.is_none() && Instant::now() >= from {
            println!("begin");
            *seen.latencies.lock() = Histogram::default();
            begun = Some(Instant::now());
        }
        tick.tick().await;
        while let Some(done) = visits.try_join_next() {
            done??;
            count += u64::from(begun.is_some());
        }
        let Some((number, token, user)) = tokens.next() else { break };
        seen.came.lock().insert(user.clone(), clock());
        let (stay, seen) = (Duration::from_millis(load.stay), Arc::clone(&seen));
        visits.spawn(async move {
            let client = Client::connect(dialect, server, address_of(number)?, &token).await?;
            sleep(stay).await;
            seen.went.lock().insert(user);
            drop(client);
            Result::Ok(())
        });
    }
    let seconds = begun.map_or(0.0, |begun| begun.elapsed().as_secs_f64());
    println!("end");
    while let Some(done) = visits.join_next().await {
        done??;
    }
    // The last ones may still be on their way to the watchers.
    let last = Instant::now() + PATIENCE;
    let untold = || (seen.came.lock().len(), seen.went.lock().len());
    while untold() != (0, 0) && Instant::now() < last {
        sleep(Duration::from_millis(20)).await;
    }
    let (came, went) = untold();
    if came + went > 0 {
        return Err(
            format!("watchers were not told of {came} users who came and {went} who went").into()
        );
    }
    if let Some(lost) = watching.try_join_next() {
        lost??;
    }
    let latencies = seen.latencies.lock().clone();
    // A visit is one coming and one going.
    tell(&Outcome { count: 2 * count, seconds, latencies, ..Outcome::default() })
}

/// Notes who is told as online, and who as gone.
async fn watch(mut client: Client, seen: Arc<Seen>) -> Result<()> {
    loop {
        let Incoming::Event(text) = client.next().await? else { continue };
        for (user, online) in told(&text)? {
            if !online {
                seen.went.lock().remove(&user);
            } else if let Some(came) = seen.came.lock().remove(&user) {
                seen.latencies.lock().record(since(came));
            }
        }
    }
}

/// The users that an event is about, and whether each is online now.
fn told(text: &str) -> Result<Vec<(String, bool)>> {
    if text.starts_with(r#"{"type":"presence""#) {
        let Presence { users } = serde_json::from_str(text)?;
        return Ok(users.into_iter().map(|user| (user.user_id, user.status == "online")).collect());
    }
    for (start, online) in [(r#"42["userOnline""#, true), (r#"42["userOffline""#, false)] {
        if text.starts_with(start) {
            let (_, user): (String, SocketIoUser) = serde_json::from_str(&text[2..])?;
            return Ok(vec![(user.user_id, online)]);
        }
    }
    Ok(Vec::new())
}

#[derive(Deserialize)]
struct Presence {
    users: Vec<NativeUser>,
}

#[derive(Deserialize)]
struct NativeUser {
    user_id: String,
    status: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SocketIoUser {
    user_id: String,
}
