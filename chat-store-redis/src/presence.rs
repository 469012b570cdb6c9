//! Presence: leases that run out by the server's clock.

use std::time::Duration;

use async_trait::async_trait;
use parlor_core::{
    BackendError, Timestamp,
    model::{NodeId, PresenceInfo, PresenceStatus, UserId},
    traits::{Lease, Presence},
};
use redis::{FromRedisValue, Pipeline, Value};

use crate::{
    error::Fault,
    link::Link,
    names::Names,
    script::{self, LOOK, RELEASE, RENEW, Script},
};

/// Users in one write: between two of them others on the connection get their turn.
const CHUNK: usize = 1000;

/// Presence leases in Redis.
#[derive(Debug)]
pub(crate) struct RedisPresence {
    link: Link,
    names: Names,
    last_seen: Duration,
}

impl RedisPresence {
    pub(crate) fn new(link: Link, names: Names, last_seen: Duration) -> Self {
        Self { link, names, last_seen }
    }

    fn call<'a>(
        &self,
        calls: &'a mut Pipeline,
        script: &Script,
        user: &UserId,
    ) -> &'a mut Pipeline {
        script::call(calls, script, &self.names.leases(user))
    }

    fn add_release(&self, calls: &mut Pipeline, node: NodeId, user: &UserId) {
        let kept = millis(self.last_seen);
        self.call(calls, &RELEASE, user).arg(node.to_string()).arg(kept);
    }
}

#[async_trait]
impl Presence for RedisPresence {
    async fn renew(&self, node: NodeId, leases: Vec<Lease>) -> Result<(), BackendError> {
        for chunk in leases.chunks(CHUNK) {
            let mut calls = redis::pipe();
            for lease in chunk {
                match rank(lease.status) {
                    0 => self.add_release(&mut calls, node, &lease.user_id),
                    rank => {
                        self.call(&mut calls, &RENEW, &lease.user_id)
                            .arg(node.to_string())
                            .arg(rank)
                            .arg(millis(lease.ttl))
                            .arg(millis(self.last_seen));
                    }
                }
            }
            script::run(&self.link, &calls).await.map_err(|fault| fault.during("renew"))?;
        }
        Ok(())
    }

    async fn release(&self, node: NodeId, users: Vec<UserId>) -> Result<(), BackendError> {
        for chunk in users.chunks(CHUNK) {
            let mut calls = redis::pipe();
            for user in chunk {
                self.add_release(&mut calls, node, user);
            }
            script::run(&self.link, &calls).await.map_err(|fault| fault.during("release"))?;
        }
        Ok(())
    }

    async fn get(&self, users: &[UserId]) -> Result<Vec<PresenceInfo>, BackendError> {
        let mut infos = Vec::with_capacity(users.len());
        for chunk in users.chunks(CHUNK) {
            let mut calls = redis::pipe();
            for user in chunk {
                self.call(&mut calls, &LOOK, user);
            }
            let answers = script::run(&self.link, &calls).await;
            let answers = answers.map_err(|fault| fault.during("get"))?;
            for (user, answer) in chunk.iter().zip(answers) {
                infos.push(info(user, answer).map_err(|fault| fault.during("get"))?);
            }
        }
        if infos.len() == users.len() { Ok(infos) } else { Err(Fault::unexpected().during("get")) }
    }
}

/// What a word weighs among those of several nodes; 0 is the word that somebody is not there.
fn rank(status: PresenceStatus) -> u8 {
    match status {
        PresenceStatus::Busy => 3,
        PresenceStatus::Online => 2,
        PresenceStatus::Away => 1,
        PresenceStatus::Offline | PresenceStatus::Unknown => 0,
    }
}

fn info(user: &UserId, answer: Value) -> Result<PresenceInfo, Fault> {
    let (rank, seen): (u8, i64) =
        FromRedisValue::from_redis_value(answer).map_err(|_| Fault::unexpected())?;
    let status = match rank {
        0 => PresenceStatus::Offline,
        1 => PresenceStatus::Away,
        2 => PresenceStatus::Online,
        _ => PresenceStatus::Busy,
    };
    let known = status == PresenceStatus::Offline && seen > 0;
    let last_seen_at = known.then(|| Timestamp::from_millis(seen));
    Ok(PresenceInfo { user_id: user.clone(), status, last_seen_at })
}

/// As Redis takes it: a hundred years are for ever.
fn millis(period: Duration) -> u64 {
    const CENTURY: u64 = 100 * 365 * 24 * 60 * 60 * 1000;
    u64::try_from(period.as_millis()).unwrap_or(CENTURY).min(CENTURY)
}
