//! Waiting until everybody is quiet and has everything, and until everybody sees who is there.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use tokio::time::sleep;

use crate::{
    Result,
    record::{Place, Record},
    rest::Rest,
    town::Circle,
    truth,
    wire::{Presence, user},
};

/// How often it is looked whether what is waited for is there.
const LOOK: Duration = Duration::from_millis(250);
/// Sends that were begun are acknowledged, and everybody is live, within this time.
const QUIET: Duration = Duration::from_secs(60);
/// For so long nothing must have changed.
const STILL: Duration = Duration::from_secs(1);
/// The sweep runs every 5 s; after three times that nobody comes to know any more.
const CATCHING_UP: Duration = Duration::from_secs(15);
/// A lease holds for 15 s and a user without a device stays for 10 s.
pub(crate) const TTL_AND_GRACE: Duration = Duration::from_secs(25);

/// Waits until all are live.
pub(crate) async fn live(records: &[Arc<Record>]) -> Result<()> {
    let live = || records.iter().all(|record| record.is_live());
    if until(QUIET, live).await { Ok(()) } else { Err("not all clients can connect".into()) }
}

/// Waits until nobody waits for an acknowledgement and all are live, then until all copies are at the
/// store's heads and the heads stand still: an edit or a reaction that was given up by who asked for it may still be
/// on its way. How long that took, if it happened.
pub(crate) async fn settle(
    records: &[Arc<Record>],
    circles: &[Circle],
    rest: &Rest,
) -> Result<Option<Duration>> {
    let began = Instant::now();
    let quiet = |record: &Arc<Record>| record.is_live() && record.state.lock().waiting() == 0;
    until(QUIET, || records.iter().all(quiet)).await;
    let mut heads = truth::heads(rest, circles).await?;
    loop {
        let has_all = |circle: &Circle| {
            circle.members.iter().all(|&member| {
                let state = records[member as usize].state.lock();
                let copy = state.copies.conversations.get(&circle.id);
                copy.map(|copy| copy.rev) == heads.get(&circle.id).copied()
            })
        };
        if !until(CATCHING_UP, || circles.iter().all(has_all)).await {
            return Ok(None);
        }
        let took = began.elapsed();
        sleep(STILL).await;
        let now = truth::heads(rest, circles).await?;
        if now == heads {
            return Ok(Some(took));
        }
        if took > QUIET {
            return Ok(None);
        }
        heads = now;
    }
}

/// Waits until those who are connected are online to their direct peers and over REST, and the others are
/// offline; how long that took from `since`, or how many views are wrong in the end.
pub(crate) async fn presence(
    records: &[Arc<Record>],
    circles: &[Circle],
    rest: &Rest,
    since: Instant,
) -> Result<std::result::Result<Duration, u64>> {
    let deadline = since + TTL_AND_GRACE;
    loop {
        let there: Vec<bool> = records.iter().map(|record| record.is_live()).collect();
        let pairs = || circles.iter().filter(|circle| circle.members.len() == 2);
        let mut wrong = 0;
        for circle in pairs() {
            let (one, other) = (circle.members[0], circle.members[1]);
            for (viewer, seen) in [(one, other), (other, one)] {
                let state = records[viewer as usize].state.lock();
                if matches!(state.place, Place::On(_)) {
                    let told = state.copies.presence.get(&user(seen)).map(String::as_str);
                    wrong += u64::from(told != Some(name(there[seen as usize])));
                }
            }
        }
        let late = Instant::now() >= deadline;
        if wrong == 0 || late {
            let asked: Vec<u64> = stream::iter(pairs())
                .map(|circle| asked(rest, circle, &there))
                .buffer_unordered(16)
                .try_collect()
                .await?;
            wrong += asked.into_iter().sum::<u64>();
        }
        if wrong == 0 {
            return Ok(Ok(since.elapsed()));
        }
        if late {
            return Ok(Err(wrong));
        }
        sleep(LOOK).await;
    }
}

/// How many of the two in a direct conversation the server tells wrongly when it is asked.
async fn asked(rest: &Rest, circle: &Circle, there: &[bool]) -> Result<u64> {
    #[derive(Deserialize)]
    struct Users {
        users: Vec<Presence>,
    }
    let (one, other) = (circle.members[0], circle.members[1]);
    let path = format!("/presence?user_ids={},{}", user(one), user(other));
    let answer: Users = rest.get(one, &path).await?;
    let told: HashMap<&str, &str> = answer
        .users
        .iter()
        .map(|presence| (presence.user_id.as_str(), presence.status.as_str()))
        .collect();
    let wrong = |client: &u32| {
        told.get(user(*client).as_str()).copied() != Some(name(there[*client as usize]))
    };
    Ok([one, other].iter().filter(|client| wrong(client)).count() as u64)
}

fn name(there: bool) -> &'static str {
    if there { "online" } else { "offline" }
}

/// Looks until it is so, or the time is over; whether it is.
async fn until(patience: Duration, is_so: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        if is_so() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        sleep(LOOK).await;
    }
}
