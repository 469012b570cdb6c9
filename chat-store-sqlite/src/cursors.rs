//! Delivered and read cursors.

use std::collections::HashMap;

use parlor_core::{
    model::{ConversationId, Cursor, MemberState, UserId},
    store::{Advance, Advanced},
};
use sqlx::{Row, SqliteConnection, query};

use crate::{
    error::Fault,
    rows::{self, count, hex, json, limit},
    unread::{self, Asked},
};

/// A member whose cursors may move.
struct Seat {
    last_seq: u64,
    state: MemberState,
    moved: bool,
}

/// One answer: whose state, the state, whether it moved, and from where.
struct Step {
    key: (i64, UserId),
    state: MemberState,
    moved: bool,
    delivered_before: u64,
}

pub(crate) async fn advance(
    conn: &mut SqliteConnection,
    batch: Vec<Advance>,
    unread_cap: u32,
) -> Result<Vec<Option<Advanced>>, Fault> {
    let (places, mut seats) = seats(conn, &batch).await?;
    let mut steps: Vec<Option<Step>> = Vec::with_capacity(batch.len());
    for (place, advance) in batch.into_iter().enumerate() {
        let key = places.get(&place).map(|conversation| (*conversation, advance.user_id.clone()));
        steps.push(key.and_then(|key| {
            let seat = seats.get_mut(&key)?;
            let delivered_before = seat.state.delivered_seq;
            let moved = advance.apply(&mut seat.state, seat.last_seq);
            seat.moved |= moved;
            Some(Step { key, state: seat.state.clone(), moved, delivered_before })
        }));
    }
    write(conn, &seats).await?;
    let asked: Vec<Asked<'_>> = steps
        .iter()
        .flatten()
        .map(|step| Asked { conversation: step.key.0, user: &step.key.1, state: &step.state })
        .collect();
    let mut counts = unread::counts(conn, &asked, unread_cap).await?.into_iter();
    Ok(steps
        .into_iter()
        .map(|step| {
            let Step { mut state, moved, delivered_before, .. } = step?;
            state.unread = counts.next().unwrap_or(0);
            Some(Advanced { state, moved, delivered_before })
        })
        .collect())
}

/// The members among the pairs `[conversation id, user]`.
pub(crate) const SEATS: &str = "
    SELECT asked.key AS place, c.last_seq, m.* FROM json_each(?1) asked
    CROSS JOIN conversations c ON c.id = unhex(asked.value ->> 0)
    CROSS JOIN members m ON m.conversation = c.number AND m.user_id = asked.value ->> 1";

type Seats = HashMap<(i64, UserId), Seat>;

/// The conversations' numbers by the places in the batch, and the members.
async fn seats(
    conn: &mut SqliteConnection,
    batch: &[Advance],
) -> Result<(HashMap<usize, i64>, Seats), Fault> {
    let asked: Vec<_> = batch
        .iter()
        .map(|advance| (hex(advance.conversation_id.0), advance.user_id.as_str()))
        .collect();
    let rows = query(SEATS).bind(json(&asked)?).fetch_all(conn).await?;
    let mut places = HashMap::new();
    let mut seats = HashMap::new();
    for row in &rows {
        let place = usize::try_from(row.try_get::<i64, _>("place")?).map_err(Fault::corrupt)?;
        let conversation = row.try_get("conversation")?;
        let user = rows::user_id(row.try_get("user_id")?)?;
        places.insert(place, conversation);
        let seat =
            Seat { last_seq: count(row, "last_seq")?, state: rows::state(row)?, moved: false };
        seats.insert((conversation, user), seat);
    }
    Ok((places, seats))
}

/// Writes the cursors of `[conversation, user, member_rev, delivered_seq, read_seq, unread_from]`.
pub(crate) const MOVE: &str = "
    UPDATE members
    SET member_rev = moved.member_rev, delivered_seq = moved.delivered_seq,
        read_seq = moved.read_seq, unread_from = moved.unread_from
    FROM (
        SELECT value ->> 0 AS conversation, value ->> 1 AS user_id, value ->> 2 AS member_rev,
            value ->> 3 AS delivered_seq, value ->> 4 AS read_seq, value ->> 5 AS unread_from
        FROM json_each(?1)) AS moved
    WHERE members.conversation = moved.conversation AND members.user_id = moved.user_id";

async fn write(conn: &mut SqliteConnection, seats: &Seats) -> Result<(), Fault> {
    let moved: Vec<_> = seats
        .iter()
        .filter(|(_, seat)| seat.moved)
        .map(|((conversation, user), seat)| {
            let state = &seat.state;
            let revs = (state.member_rev, state.delivered_seq, state.read_seq);
            (conversation, user.as_str(), revs.0, revs.1, revs.2, state.unread_from)
        })
        .collect();
    if !moved.is_empty() {
        query(MOVE).bind(json(&moved)?).execute(conn).await?;
    }
    Ok(())
}

pub(crate) async fn cursors(
    conn: &mut SqliteConnection,
    id: ConversationId,
    most: usize,
) -> Result<Vec<Cursor>, Fault> {
    let rows = query(crate::conversations::MEMBERS)
        .bind(id.0)
        .bind("")
        .bind(limit(most))
        .fetch_all(conn)
        .await?;
    rows.iter().map(rows::cursor).collect()
}
