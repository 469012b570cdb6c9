//! Reactions, in a table of their own.

use parlor_core::model::{REACTION_USERS, ReactionKey, UserId};

use crate::{
    connection::Conn,
    error::Fault,
    rows::{MESSAGE, signed},
};

/// A query for messages `m` with their reactions: their keys in the order of their first use, the first users of each, and
/// whether `viewer` (a parameter, or NULL) is among all of its users.
pub(crate) fn messages(viewer: &str, from: &str) -> String {
    messages_and("", viewer, from)
}

/// The same with columns besides, each followed by a comma.
pub(crate) fn messages_and(besides: &str, viewer: &str, from: &str) -> String {
    format!(
        "SELECT {besides}{MESSAGE}, (
            SELECT json_agg(json_build_object('key', k.key, 'count', k.given, 'users', k.users, 'mine', k.mine)
                ORDER BY k.first)
            FROM (
                SELECT r.key, count(*) AS given, min(r.position) AS first, bool_or(r.user_id = {viewer}) AS mine,
                    (array_agg(r.user_id ORDER BY r.position))[1:{REACTION_USERS}] AS users
                FROM parlor.reactions r WHERE r.message = m.number GROUP BY r.key) k) AS reactions
        {from}"
    )
}

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
