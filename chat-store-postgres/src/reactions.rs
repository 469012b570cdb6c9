//! Reactions, in a table of their own.

use parlor_core::model::{ReactionKey, UserId};

use crate::{connection::Conn, error::Fault, rows::signed};

/// Gives a reaction or takes it back; says whether anything changed.
pub(crate) async fn set(
    conn: &mut Conn<'_>,
    message: u64,
    user: &UserId,
    key: &ReactionKey,
    on: bool,
) -> Result<bool, Fault> {
    // Under the conversation's lock: no two are given at once.
    let sql = if on {
        "INSERT INTO parlor.reactions (message, key, user_id, position)
         SELECT $1, $2, $3, coalesce((SELECT max(position) FROM parlor.reactions WHERE message = $1), 0) + 1
         ON CONFLICT DO NOTHING"
    } else {
        "DELETE FROM parlor.reactions WHERE message = $1 AND key = $2 AND user_id = $3"
    };
    let query = conn.query(sql).bind(signed(message)).bind(key.as_str()).bind(user.as_str());
    Ok(query.execute(conn.pg()).await?.rows_affected() > 0)
}

/// Takes all reactions of a message away.
pub(crate) async fn clear(conn: &mut Conn<'_>, message: u64) -> Result<(), Fault> {
    let query = conn.query("DELETE FROM parlor.reactions WHERE message = $1").bind(signed(message));
    query.execute(conn.pg()).await?;
    Ok(())
}
