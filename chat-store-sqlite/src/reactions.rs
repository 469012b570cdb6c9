//! Reactions, in a table of their own.

use std::collections::HashMap;

use parlor_core::model::{Message, REACTION_USERS, Reaction, ReactionKey, UserId};
use sqlx::{Row, SqliteConnection, query};

use crate::{
    error::Fault,
    rows::{json, limit, signed, unsigned, user_id},
};

/// The reactions of the messages with the numbers `?1`: a row for each of the first `?3` users of
/// each key, and whether `?2` is among all of its users.
pub(crate) const REACTIONS: &str = "
    SELECT message, key, user_id, given, mine FROM (
        SELECT r.message, r.key, r.user_id, r.position,
            min(r.position) OVER (PARTITION BY r.message, r.key) AS key_position,
            row_number() OVER (PARTITION BY r.message, r.key ORDER BY r.position) AS place,
            count(*) OVER (PARTITION BY r.message, r.key) AS given,
            max(r.user_id IS ?2) OVER (PARTITION BY r.message, r.key) AS mine
        FROM json_each(?1) asked CROSS JOIN reactions r ON r.message = asked.value)
    WHERE place <= ?3
    ORDER BY message, key_position, position";

/// Fills in the reactions of messages, with `mine` for a viewer.
pub(crate) async fn fill(
    conn: &mut SqliteConnection,
    messages: &mut [Message],
    viewer: Option<&UserId>,
) -> Result<(), Fault> {
    if messages.is_empty() {
        return Ok(());
    }
    let places: HashMap<u64, usize> =
        messages.iter().enumerate().map(|(place, message)| (message.number, place)).collect();
    let numbers: Vec<u64> = places.keys().copied().collect();
    let rows = query(REACTIONS)
        .bind(json(&numbers)?)
        .bind(viewer.map(UserId::as_str))
        .bind(limit(REACTION_USERS))
        .fetch_all(conn)
        .await?;
    for row in rows {
        let number = unsigned(row.try_get(0)?);
        let Some(message) = places.get(&number).and_then(|place| messages.get_mut(*place)) else {
            continue;
        };
        let key = ReactionKey::new(row.try_get::<String, _>(1)?).map_err(Fault::corrupt)?;
        let user = user_id(row.try_get(2)?)?;
        match message.reactions.last_mut().filter(|reaction| reaction.key == key) {
            Some(reaction) => reaction.users.push(user),
            None => {
                let mine = row.try_get(4)?;
                message.reactions.push(Reaction {
                    key,
                    count: row.try_get(3)?,
                    users: vec![user],
                    mine: viewer.map(|_| mine),
                });
            }
        }
    }
    Ok(())
}

/// Gives a reaction or takes it back; says whether anything changed.
pub(crate) async fn set(
    conn: &mut SqliteConnection,
    message: u64,
    user: &UserId,
    key: &ReactionKey,
    on: bool,
) -> Result<bool, Fault> {
    let sql = if on {
        "INSERT INTO reactions (message, key, user_id, position)
         SELECT ?1, ?2, ?3,
            coalesce((SELECT max(position) FROM reactions WHERE message = ?1), 0) + 1
         WHERE NOT EXISTS (
            SELECT 1 FROM reactions WHERE message = ?1 AND key = ?2 AND user_id = ?3)"
    } else {
        "DELETE FROM reactions WHERE message = ?1 AND key = ?2 AND user_id = ?3"
    };
    let done = query(sql)
        .bind(signed(message))
        .bind(key.as_str())
        .bind(user.as_str())
        .execute(conn)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Takes all reactions of a message away.
pub(crate) async fn clear(conn: &mut SqliteConnection, message: u64) -> Result<(), Fault> {
    query("DELETE FROM reactions WHERE message = ?1").bind(signed(message)).execute(conn).await?;
    Ok(())
}
