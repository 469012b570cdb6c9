//! Appending: a batch is one round trip and one commit.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use futures::FutureExt;
use parlor_core::{
    model::{ConversationId, Message, MessageId},
    store::{Append, Appended},
};
use sqlx::Row;

use crate::{
    batch::{Columns, calls},
    connection::Conn,
    database::Database,
    error::Fault,
    history,
    rows::{signed, unsigned},
};

/// What became of one message; `None` when somebody else holds its conversation's lock.
pub(crate) type Outcome = Option<Result<Appended, Fault>>;

/// What to do about conversations that somebody else has locked.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Locks {
    /// Wait for each so long.
    Wait(Duration),
    /// Wait as long as the session lets a statement wait.
    AsSession,
    /// Leave them out.
    Skip,
}

/// How often a batch is tried again after transactions stood in each other's way. Ours never do, because all
/// lock in one order; a host's own may, and so does a pool whose isolation level is not the usual one.
const CONFLICTS: u32 = 5;

/// Appends a batch, after waiting no longer than `wait` for locks. The answers come in its order.
pub(crate) async fn append(database: &Database, batch: &[Append], wait: Duration) -> Vec<Outcome> {
    let mut outcomes: Vec<Outcome> = vec![None; batch.len()];
    let mut left_out: HashSet<ConversationId> = HashSet::new();
    for call in calls(batch) {
        // What comes after a message that was left out must not overtake it.
        let call: Vec<usize> = call
            .into_iter()
            .filter(|&place| !left_out.contains(&batch[place].conversation_id))
            .collect();
        let appends: Vec<&Append> = call.iter().map(|&place| &batch[place]).collect();
        let stored = run(database, &appends, wait).await;
        for (place, outcome) in call.into_iter().zip(stored) {
            if outcome.is_none() {
                left_out.insert(batch[place].conversation_id);
            }
            outcomes[place] = outcome;
        }
    }
    outcomes
}

async fn run(database: &Database, appends: &[&Append], wait: Duration) -> Vec<Outcome> {
    if appends.is_empty() {
        return Vec::new();
    }
    let fault = match at_once(database, appends, wait).await {
        Ok(outcomes) => return outcomes,
        Err(fault) => fault,
    };
    if fault.is_of_data() && appends.len() > 1 {
        // One of them cannot be stored: each for itself, so that the others are.
        let mut outcomes = Vec::with_capacity(appends.len());
        for append in appends {
            outcomes.extend(Box::pin(run(database, &[*append], wait)).await);
        }
        return outcomes;
    }
    vec![Some(Err(fault)); appends.len()]
}

/// Stores them in one round trip, with the session's own isolation level: the locks are right at any. Where
/// transactions stand in each other's way it takes a few more.
async fn at_once(
    database: &Database,
    appends: &[&Append],
    wait: Duration,
) -> Result<Vec<Outcome>, Fault> {
    let mut held = database.acquire().await?;
    let mut stored = call(&mut held.conn(), appends, Locks::Wait(wait)).await;
    let mut locks = Locks::Wait(wait);
    if stored.as_ref().is_err_and(Fault::is_lock_timeout) {
        // What nobody holds is stored now; nothing was so far. On the same connection, which first lets
        // go of what it had locked itself.
        locks = Locks::Skip;
        stored = call(&mut held.conn(), appends, locks).await;
    }
    drop(held);
    for attempt in 1..=CONFLICTS {
        if !stored.as_ref().is_err_and(Fault::is_conflict) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5) * attempt).await;
        stored = in_transaction(database, appends, locks).await;
    }
    stored
}

/// In a transaction with the level at which nobody who waits for a lock is turned away.
async fn in_transaction(
    database: &Database,
    appends: &[&Append],
    locks: Locks,
) -> Result<Vec<Outcome>, Fault> {
    let appends: Vec<Append> = appends.iter().copied().cloned().collect();
    database
        .transact(move |conn| {
            async move { call(conn, &appends.iter().collect::<Vec<_>>(), locks).await }.boxed()
        })
        .await
}

/// Calls the function, which is a transaction of its own unless one was begun.
pub(crate) async fn call(
    conn: &mut Conn<'_>,
    appends: &[&Append],
    locks: Locks,
) -> Result<Vec<Outcome>, Fault> {
    let patience = match locks {
        Locks::Wait(wait) => i32::try_from(wait.as_millis()).unwrap_or(i32::MAX).max(1),
        Locks::AsSession | Locks::Skip => 0,
    };
    let query = conn
        .query(
            "SELECT * FROM parlor.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        )
        .bind(patience)
        .bind(matches!(locks, Locks::Skip));
    let rows = Columns::new(appends)?.bind(query).fetch_all(conn.pg()).await?;

    let places: HashMap<MessageId, usize> =
        appends.iter().enumerate().map(|(place, append)| (append.message_id, place)).collect();
    let mut outcomes: Vec<Outcome> = vec![None; appends.len()];
    let mut replayed: Vec<(usize, u64)> = Vec::new();
    for row in &rows {
        let Some(&place) = places.get(&MessageId(row.try_get("message_id")?)) else { continue };
        let number = || Ok::<_, Fault>(unsigned(row.try_get("message_number")?));
        let appended = match row.try_get::<i16, _>("outcome")? {
            0 => Appended::Fresh(Message::new(
                appends[place],
                number()?,
                unsigned(row.try_get("message_seq")?),
                unsigned(row.try_get("message_rev")?),
            )),
            1 => {
                replayed.push((place, number()?));
                continue;
            }
            2 => Appended::NotFound,
            3 => Appended::Conflict,
            4 => Appended::UnknownReply,
            _ => continue,
        };
        outcomes[place] = Some(Ok(appended));
    }
    replay(conn, &replayed, &mut outcomes).await;
    Ok(outcomes)
}

/// Reads the messages that were stored before, as they stand. A failure is theirs alone: the others are stored.
async fn replay(conn: &mut Conn<'_>, replayed: &[(usize, u64)], outcomes: &mut [Outcome]) {
    if replayed.is_empty() {
        return;
    }
    let numbers: Vec<i64> = replayed.iter().map(|(_, number)| signed(*number)).collect();
    let stored = history::by_numbers(conn, &numbers).await.map(|messages| {
        messages
            .into_iter()
            .map(|message| (message.number, message))
            .collect::<HashMap<u64, Message>>()
    });
    for (place, number) in replayed {
        outcomes[*place] = Some(stored.as_ref().map_err(Clone::clone).and_then(|stored| {
            let message = stored.get(number).cloned();
            message
                .map(Appended::Replayed)
                .ok_or_else(|| Fault::corrupt("a replayed message is gone"))
        }));
    }
}
