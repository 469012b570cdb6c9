//! Appending: all messages that wait together, with a handful of statements.

use std::collections::{HashMap, HashSet};

use parlor_core::{
    Timestamp,
    model::{ClientId, ConversationId, Message, MessageId, UserId},
    store::{Append, Appended},
};
use sqlx::{Row, SqliteConnection, query, query_scalar};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::{
    error::Fault,
    history,
    insert::{self, Grown},
    rows::{count, hex, json, signed, unsigned},
    writer::{savepoint, settle},
};

/// One call of `append`, waiting for its turn.
pub(crate) struct AppendJob {
    batch: Vec<Append>,
    outcomes: Vec<Outcome>,
    reply: oneshot::Sender<Vec<Outcome>>,
}

/// What became of one message.
pub(crate) type Outcome = Result<Appended, Fault>;

impl AppendJob {
    pub(crate) fn new(batch: Vec<Append>) -> (Self, oneshot::Receiver<Vec<Outcome>>) {
        let (reply, answer) = oneshot::channel();
        (Self { batch, outcomes: Vec::new(), reply }, answer)
    }

    /// How many messages it has.
    pub(crate) fn len(&self) -> usize {
        self.batch.len()
    }

    /// Hands out what was stored, or why nothing was.
    pub(crate) fn answer(self, committed: Result<(), Fault>) {
        let outcomes = match committed {
            Ok(()) => self.outcomes,
            Err(fault) => self.batch.iter().map(|_| Err(fault.clone())).collect(),
        };
        // Who has gone away asks for no answer.
        let _ = self.reply.send(outcomes);
    }
}

/// Appends the messages of all jobs. An error means that the transaction is gone.
pub(crate) async fn run(conn: &mut SqliteConnection, jobs: &mut [AppendJob]) -> Result<(), Fault> {
    let all: Vec<&Append> = jobs.iter().flat_map(|job| &job.batch).collect();
    savepoint(conn).await?;
    let done = append(conn, &all).await;
    let mut outcomes: Vec<Outcome> = match settle(conn, done).await? {
        Ok(appended) => appended.into_iter().map(Ok).collect(),
        // One of them cannot be stored: each for itself, so that the others are.
        Err(_) => one_by_one(conn, &all).await?,
    };
    for job in jobs.iter_mut().rev() {
        job.outcomes = outcomes.split_off(outcomes.len() - job.len());
    }
    Ok(())
}

async fn one_by_one(conn: &mut SqliteConnection, all: &[&Append]) -> Result<Vec<Outcome>, Fault> {
    let mut outcomes = Vec::with_capacity(all.len());
    for one in all {
        savepoint(conn).await?;
        let done = append(conn, &[*one]).await;
        let done = settle(conn, done).await?;
        // One was appended, so there is one answer.
        outcomes.push(done.and_then(|mut one| one.pop().ok_or_else(Fault::closed)));
    }
    Ok(outcomes)
}

/// What the database holds about the messages to be appended, looked up for all of them at once.
struct Known<'a> {
    rooms: HashMap<ConversationId, Grown>,
    members: HashSet<(i64, String)>,
    /// Keys in use, by the message's place in the batch: the stored number, and whether the content is the same.
    keys: HashMap<usize, (u64, bool)>,
    /// Messages that are answered, with their conversations.
    targets: HashMap<MessageId, i64>,
    /// Keys that the batch itself took, with the place of the first.
    taken: HashMap<(i64, Option<&'a UserId>, &'a ClientId), usize>,
}

async fn append(conn: &mut SqliteConnection, batch: &[&Append]) -> Result<Vec<Appended>, Fault> {
    let rooms = rooms(conn, batch).await?;
    let mut known = Known {
        members: members(conn, batch, &rooms).await?,
        keys: keys(conn, batch, &rooms).await?,
        targets: targets(conn, batch).await?,
        taken: HashMap::new(),
        rooms,
    };
    let mut number = last_number(conn).await?;
    let mut outcomes: Vec<Appended> = Vec::with_capacity(batch.len());
    let mut fresh = Vec::new();
    let mut replayed: Vec<(usize, u64)> = Vec::new();
    for (place, &append) in batch.iter().enumerate() {
        let appended = match known.decide(place, append) {
            Decision::NotFound => Appended::NotFound,
            Decision::Conflict => Appended::Conflict,
            Decision::UnknownReply => Appended::UnknownReply,
            Decision::Stored(number) => {
                replayed.push((place, number));
                // Stands in until the message is read.
                Appended::Conflict
            }
            Decision::Taken(first) => match &outcomes[first] {
                Appended::Fresh(message) if batch[first].content_hash == append.content_hash => {
                    Appended::Replayed(message.clone())
                }
                _ => Appended::Conflict,
            },
            Decision::Fresh => {
                number += 1;
                let message = known.place(place, append, number)?;
                fresh.push(place);
                Appended::Fresh(message)
            }
        };
        outcomes.push(appended);
    }
    let rows: Vec<_> = fresh
        .iter()
        .filter_map(|&place| match &outcomes[place] {
            Appended::Fresh(message) => {
                let room = known.rooms.get(&message.conversation_id)?;
                Some((room.conversation, message, batch[place].content_hash))
            }
            _ => None,
        })
        .collect();
    insert::messages(conn, &rows).await?;
    insert::conversations(conn, known.rooms.values().filter(|room| room.grown)).await?;
    replay(conn, &replayed, &mut outcomes).await?;
    Ok(outcomes)
}

enum Decision {
    NotFound,
    Conflict,
    UnknownReply,
    /// The same was stored before, under this number.
    Stored(u64),
    /// The key was taken by an earlier message of the batch.
    Taken(usize),
    Fresh,
}

impl<'a> Known<'a> {
    fn decide(&self, place: usize, append: &'a Append) -> Decision {
        let Some(room) = self.rooms.get(&append.conversation_id) else {
            return Decision::NotFound;
        };
        let conversation = room.conversation;
        if let Some(sender) = &append.sender_id
            && !self.members.contains(&(conversation, sender.as_str().to_owned()))
        {
            return Decision::NotFound;
        }
        match self.keys.get(&place) {
            Some((number, true)) => return Decision::Stored(*number),
            Some((_, false)) => return Decision::Conflict,
            None => {}
        }
        let content = append.draft.message();
        if let Some(client_id) = &content.client_id
            && let Some(first) =
                self.taken.get(&(conversation, append.sender_id.as_ref(), client_id))
        {
            return Decision::Taken(*first);
        }
        if content.reply_to.is_some_and(|target| self.targets.get(&target) != Some(&conversation)) {
            return Decision::UnknownReply;
        }
        Decision::Fresh
    }

    /// Gives a fresh message its place, and remembers it for those after it in the batch.
    fn place(&mut self, place: usize, append: &'a Append, number: u64) -> Result<Message, Fault> {
        // Decided to be fresh, so its conversation is known.
        let room = self.rooms.get_mut(&append.conversation_id).ok_or_else(Fault::closed)?;
        room.last_seq += 1;
        room.rev += 1;
        room.last_activity_at = room.last_activity_at.max(append.created_at);
        room.grown = true;
        if let Some(client_id) = &append.draft.message().client_id {
            self.taken.insert((room.conversation, append.sender_id.as_ref(), client_id), place);
        }
        self.targets.insert(append.message_id, room.conversation);
        Ok(Message::new(append, number, room.last_seq, room.rev))
    }
}

/// The conversations of a batch.
pub(crate) const ROOMS: &str = "
    SELECT c.id, c.number, c.last_seq, c.rev, c.last_activity_at FROM json_each(?1) asked
    CROSS JOIN conversations c ON c.id = unhex(asked.value)";

async fn rooms(
    conn: &mut SqliteConnection,
    batch: &[&Append],
) -> Result<HashMap<ConversationId, Grown>, Fault> {
    let ids: HashSet<ConversationId> = batch.iter().map(|append| append.conversation_id).collect();
    let asked: Vec<String> = ids.iter().map(|id| hex(id.0)).collect();
    let rows = query(ROOMS).bind(json(&asked)?).fetch_all(conn).await?;
    rows.iter()
        .map(|row| {
            let room = Grown {
                conversation: row.try_get(1)?,
                last_seq: count(row, "last_seq")?,
                rev: count(row, "rev")?,
                last_activity_at: Timestamp::from_millis(row.try_get(4)?),
                grown: false,
            };
            Ok((ConversationId(row.try_get(0)?), room))
        })
        .collect()
}

/// Which of the pairs `[conversation, user]` are members.
pub(crate) const MEMBERS: &str = "
    SELECT m.conversation, m.user_id FROM json_each(?1) asked
    CROSS JOIN members m ON m.conversation = asked.value ->> 0 AND m.user_id = asked.value ->> 1";

async fn members(
    conn: &mut SqliteConnection,
    batch: &[&Append],
    rooms: &HashMap<ConversationId, Grown>,
) -> Result<HashSet<(i64, String)>, Fault> {
    let pairs: HashSet<(i64, &str)> = batch
        .iter()
        .filter_map(|append| {
            let sender = append.sender_id.as_ref()?;
            Some((rooms.get(&append.conversation_id)?.conversation, sender.as_str()))
        })
        .collect();
    if pairs.is_empty() {
        return Ok(HashSet::new());
    }
    let rows = query(MEMBERS).bind(json(&pairs)?).fetch_all(conn).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Which of the keys `[place, conversation, client_id, sender]` are in use, and for what content.
pub(crate) const KEYS: &str = "
    SELECT asked.value ->> 0, m.number, m.content_hash FROM json_each(?1) asked
    CROSS JOIN messages m ON m.conversation = asked.value ->> 1
        AND m.client_id = asked.value ->> 2 AND coalesce(m.sender_id, '') = asked.value ->> 3";

async fn keys(
    conn: &mut SqliteConnection,
    batch: &[&Append],
    rooms: &HashMap<ConversationId, Grown>,
) -> Result<HashMap<usize, (u64, bool)>, Fault> {
    let asked: Vec<(usize, i64, &str, &str)> = batch
        .iter()
        .enumerate()
        .filter_map(|(place, append)| {
            let client_id = append.draft.message().client_id.as_ref()?;
            let room = rooms.get(&append.conversation_id)?;
            let sender = append.sender_id.as_ref().map_or("", UserId::as_str);
            Some((place, room.conversation, client_id.as_str(), sender))
        })
        .collect();
    if asked.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = query(KEYS).bind(json(&asked)?).fetch_all(conn).await?;
    rows.iter()
        .map(|row| {
            let place = usize::try_from(row.try_get::<i64, _>(0)?).map_err(Fault::corrupt)?;
            let hash: Option<&[u8]> = row.try_get(2)?;
            let append =
                batch.get(place).ok_or_else(|| Fault::corrupt("a place beyond the batch"))?;
            let same = hash == Some(&append.content_hash.0[..]);
            Ok((place, (unsigned(row.try_get(1)?), same)))
        })
        .collect()
}

/// The conversations of messages.
pub(crate) const TARGETS: &str = "
    SELECT m.id, m.conversation FROM json_each(?1) asked
    CROSS JOIN messages m ON m.id = unhex(asked.value)";

async fn targets(
    conn: &mut SqliteConnection,
    batch: &[&Append],
) -> Result<HashMap<MessageId, i64>, Fault> {
    let asked: HashSet<String> = batch
        .iter()
        .filter_map(|append| append.draft.message().reply_to)
        .map(|id| hex(id.0))
        .collect();
    if asked.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = query(TARGETS).bind(json(&asked)?).fetch_all(conn).await?;
    rows.iter().map(|row| Ok((MessageId(row.try_get::<Uuid, _>(0)?), row.try_get(1)?))).collect()
}

/// The last number that was given out, also when its message is gone.
async fn last_number(conn: &mut SqliteConnection) -> Result<u64, Fault> {
    let number: Option<i64> =
        query_scalar("SELECT seq FROM sqlite_sequence WHERE name = 'messages'")
            .fetch_optional(conn)
            .await?;
    Ok(unsigned(number.unwrap_or(0)))
}

/// Reads the messages that were stored before, as they stand.
async fn replay(
    conn: &mut SqliteConnection,
    replayed: &[(usize, u64)],
    outcomes: &mut [Appended],
) -> Result<(), Fault> {
    if replayed.is_empty() {
        return Ok(());
    }
    let numbers: Vec<i64> = replayed.iter().map(|(_, number)| signed(*number)).collect();
    let stored: HashMap<u64, Message> = history::by_numbers(conn, &numbers)
        .await?
        .into_iter()
        .map(|message| (message.number, message))
        .collect();
    for (place, number) in replayed {
        let message =
            stored.get(number).ok_or_else(|| Fault::corrupt("a replayed message is gone"))?;
        outcomes[*place] = Appended::Replayed(message.clone());
    }
    Ok(())
}
