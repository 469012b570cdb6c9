//! Appending: a batch is one round trip and one commit.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
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
    database::{Database, MOMENT, in_time},
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

/// Appends a batch, and waits a moment for locks. The answers come in its order.
pub(crate) async fn briefly(database: &Database, batch: &[Append]) -> Vec<Outcome> {
    append(database, &batch.iter().collect::<Vec<_>>(), MOMENT).await
}

/// Appends a batch, and waits for locks as long as the store is told to.
pub(crate) async fn patiently(
    database: &Database,
    batch: &[Append],
) -> Vec<Result<Appended, Fault>> {
    let mut outcomes = briefly(database, batch).await;
    let locked: Vec<usize> = (0..batch.len()).filter(|&place| outcomes[place].is_none()).collect();
    if !locked.is_empty()
        && let Ok(_place) = database.place_to_wait().await
    {
        let appends: Vec<&Append> = locked.iter().map(|&place| &batch[place]).collect();
        let stored = append(database, &appends, database.config().lock_timeout).await;
        for (place, outcome) in locked.into_iter().zip(stored) {
            outcomes[place] = outcome;
        }
    }
    outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(|| Err(Fault::locked()))).collect()
}

async fn append(database: &Database, batch: &[&Append], wait: Duration) -> Vec<Outcome> {
    let mut outcomes: Vec<Outcome> = vec![None; batch.len()];
    let mut left_out = LeftOut::default();
    for call in calls(batch) {
        let call: Vec<usize> =
            call.into_iter().filter(|&place| !left_out.holds(batch[place])).collect();
        let appends: Vec<&Append> = call.iter().map(|&place| batch[place]).collect();
        let stored = run(database, &appends, wait).await;
        for (place, outcome) in call.into_iter().zip(stored) {
            left_out.note(batch[place], &outcome);
            outcomes[place] = outcome;
        }
    }
    outcomes
}

/// Conversations of which a message was left out: what comes after it must not overtake it.
#[derive(Default)]
struct LeftOut(HashSet<ConversationId>);

impl LeftOut {
    fn holds(&self, append: &Append) -> bool {
        self.0.contains(&append.conversation_id)
    }

    fn note(&mut self, append: &Append, outcome: &Outcome) {
        if outcome.is_none() {
            self.0.insert(append.conversation_id);
        }
    }
}

/// Makes one call, or one for each message when one of them cannot be stored, so that the others are.
async fn run(database: &Database, appends: &[&Append], wait: Duration) -> Vec<Outcome> {
    if appends.is_empty() {
        return Vec::new();
    }
    let fault = match at_once(database, appends, wait).await {
        Ok(outcomes) => return outcomes,
        Err(fault) => fault,
    };
    if !fault.is_of_data() || appends.len() == 1 {
        return vec![Some(Err(fault)); appends.len()];
    }
    let mut outcomes = Vec::with_capacity(appends.len());
    let mut left_out = LeftOut::default();
    for append in appends {
        let outcome = if left_out.holds(append) {
            None
        } else {
            match at_once(database, &[*append], wait).await {
                Ok(mut one) => one.pop().flatten(),
                Err(fault) => Some(Err(fault)),
            }
        };
        left_out.note(append, &outcome);
        outcomes.push(outcome);
    }
    outcomes
}

/// Stores them in one round trip, with the session's own isolation level: the locks are right at any. Where
/// transactions stand in each other's way it takes a few more.
async fn at_once(
    database: &Database,
    appends: &[&Append],
    wait: Duration,
) -> Result<Vec<Outcome>, Fault> {
    let mut held = database.acquire().await?;
    let mut locks = Locks::Wait(wait);
    let mut stored = in_time(wait, call(&mut held.conn(), appends, locks)).await;
    if stored.as_ref().is_err_and(Fault::is_lock_timeout) {
        // What nobody holds is stored now; nothing was so far. On the same connection, which first lets
        // go of what it had locked itself.
        locks = Locks::Skip;
        stored = in_time(wait, call(&mut held.conn(), appends, locks)).await;
    }
    held.ended(&stored);
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
    let appends: Arc<[Append]> = appends.iter().copied().cloned().collect();
    database
        .transact(move |conn| {
            let appends = Arc::clone(&appends);
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
