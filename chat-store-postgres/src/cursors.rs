//! Delivered and read cursors.

use std::{collections::HashMap, sync::LazyLock};

use parlor_core::{
    model::{ConversationId, Cursor, MemberState, UserId},
    store::{Advance, Advanced},
};
use sqlx::Row;

use crate::{
    connection::Conn,
    error::Fault,
    rows::{self, Columns, STATE, count, limit, signed},
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
    conn: &mut Conn<'_>,
    batch: Vec<Advance>,
    unread_cap: u32,
) -> Result<Vec<Option<Advanced>>, Fault> {
    let (places, mut seats) = seats(conn, &batch).await?;
    let mut steps: Vec<Option<Step>> = Vec::with_capacity(batch.len());
    for advance in batch {
        let key = places
            .get(&advance.conversation_id)
            .map(|conversation| (*conversation, advance.user_id.clone()));
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

/// The members among the pairs of the conversations `$1` and the users `$2`, locked in one order for all who ask.
pub(crate) static SEATS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
    SELECT {STATE}, c.id, c.last_seq, m.conversation, m.user_id
    FROM unnest($1::uuid[], $2::text[]) AS a (id, user_id)
    JOIN parlor.conversations c ON c.id = a.id
    JOIN parlor.members m ON m.conversation = c.number AND m.user_id = a.user_id
    ORDER BY m.conversation, m.user_id FOR NO KEY UPDATE OF m"
    )
});

type Seats = HashMap<(i64, UserId), Seat>;

/// The conversations' numbers, and the members.
async fn seats(
    conn: &mut Conn<'_>,
    batch: &[Advance],
) -> Result<(HashMap<ConversationId, i64>, Seats), Fault> {
    let ids: Vec<_> = batch.iter().map(|advance| advance.conversation_id.0).collect();
    let users: Vec<&str> = batch.iter().map(|advance| advance.user_id.as_str()).collect();
    let rows = conn.query(&SEATS).bind(ids).bind(users).fetch_all(conn.pg()).await?;
    let mut places = HashMap::new();
    let mut seats = HashMap::new();
    for row in &rows {
        let conversation = row.try_get("conversation")?;
        let user = rows::user_id(row.try_get("user_id")?)?;
        places.insert(ConversationId(row.try_get("id")?), conversation);
        let seat = Seat {
            last_seq: count(row, "last_seq")?,
            state: rows::state(&mut Columns::from(row, 0))?,
            moved: false,
        };
        seats.insert((conversation, user), seat);
    }
    Ok((places, seats))
}

/// Writes the cursors of the users `$2` in the conversations `$1`.
pub(crate) const MOVE: &str = "
    UPDATE parlor.members m
    SET member_rev = a.member_rev, delivered_seq = a.delivered_seq, read_seq = a.read_seq,
        unread_from = a.unread_from
    FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
        AS a (conversation, user_id, member_rev, delivered_seq, read_seq, unread_from)
    WHERE m.conversation = a.conversation AND m.user_id = a.user_id";

async fn write(conn: &mut Conn<'_>, seats: &Seats) -> Result<(), Fault> {
    let moved: Vec<_> = seats.iter().filter(|(_, seat)| seat.moved).collect();
    if moved.is_empty() {
        return Ok(());
    }
    let of = |what: fn(&MemberState) -> u64| -> Vec<i64> {
        moved.iter().map(|(_, seat)| signed(what(&seat.state))).collect()
    };
    let unread_from: Vec<Option<i64>> =
        moved.iter().map(|(_, seat)| seat.state.unread_from.map(signed)).collect();
    let query = conn
        .query(MOVE)
        .bind(moved.iter().map(|((conversation, _), _)| *conversation).collect::<Vec<i64>>())
        .bind(moved.iter().map(|((_, user), _)| user.as_str()).collect::<Vec<&str>>())
        .bind(of(|state| state.member_rev))
        .bind(of(|state| state.delivered_seq))
        .bind(of(|state| state.read_seq))
        .bind(unread_from);
    query.execute(conn.pg()).await?;
    Ok(())
}

pub(crate) async fn cursors(
    conn: &mut Conn<'_>,
    id: ConversationId,
    most: usize,
) -> Result<Vec<Cursor>, Fault> {
    let query = conn.query(crate::conversations::MEMBERS).bind(id.0).bind("").bind(limit(most));
    let rows = query.fetch_all(conn.pg()).await?;
    rows.iter().map(rows::cursor).collect()
}
