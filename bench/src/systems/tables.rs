//! The peers' tables, on Postgres: as small as a chat's can be.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{Database, user};
use crate::{
    Result,
    load::{Acknowledged, Body},
};

const TABLES: &str = "
    CREATE TABLE conversations (
        id bigserial PRIMARY KEY,
        is_group boolean NOT NULL,
        last_message_at timestamptz
    );
    CREATE TABLE members (
        user_id text NOT NULL,
        conversation_id bigint NOT NULL REFERENCES conversations (id),
        last_read_id bigint NOT NULL DEFAULT 0,
        PRIMARY KEY (user_id, conversation_id)
    );
    CREATE TABLE messages (
        id bigserial PRIMARY KEY,
        conversation_id bigint NOT NULL,
        sender_id text NOT NULL,
        content text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE INDEX messages_by_conversation ON messages (conversation_id, id);";

/// Makes the tables and direct conversations, whose ids count from 1.
pub(crate) fn directs(database: &Database, pairs: &[(usize, usize)]) -> Vec<String> {
    let mut sql = TABLES.to_owned();
    let count = pairs.len();
    let _ = write!(
        sql,
        "INSERT INTO conversations (is_group) SELECT false FROM generate_series(1, {count});"
    );
    for (place, chunk) in pairs.chunks(1000).enumerate() {
        let members = chunk.iter().enumerate().flat_map(|(number, &(one, other))| {
            let id = place * 1000 + number + 1;
            [one, other].map(|number| format!("('{}', {id})", user(number)))
        });
        let members = members.collect::<Vec<_>>().join(",");
        let _ = write!(sql, "INSERT INTO members (user_id, conversation_id) VALUES {members};");
        // A command line is short.
        database.sql(&std::mem::take(&mut sql));
    }
    database.sql("ANALYZE");
    (1..=count).map(|id| id.to_string()).collect()
}

/// Makes the tables and a group of the users from 0.
pub(crate) fn group(database: &Database, members: usize) -> String {
    database.sql(&format!(
        "{TABLES}
         INSERT INTO conversations (is_group) VALUES (true);
         INSERT INTO members (user_id, conversation_id)
         SELECT 'user-' || lpad(n::text, 5, '0'), 1 FROM generate_series(0, {members} - 1) n;
         ANALYZE;"
    ));
    "1".to_owned()
}

/// Stores `count` messages in each conversation, all of one sender.
pub(crate) fn messages(database: &Database, conversations: &[(String, usize)], count: usize) {
    let filling = Body { sender: 0, number: 0, sent: 0 }.text();
    let filling = &filling[33..];
    for chunk in conversations.chunks(1000) {
        let list =
            chunk.iter().map(|(id, sender)| format!("({id}, {sender}, '{}')", user(*sender)));
        let list = list.collect::<Vec<_>>().join(",");
        database.sql(&format!(
            "INSERT INTO messages (conversation_id, sender_id, content)
             SELECT id, user_id, lpad(sender::text, 5, '0') || '-' || lpad(n::text, 10, '0')
                 || '-0000000000000000' || '{filling}'
             FROM (VALUES {list}) senders (id, sender, user_id), generate_series(1, {count}) n ORDER BY id, n;
             UPDATE conversations SET last_message_at = now() WHERE last_message_at IS NULL"
        ));
    }
}

/// Has a user read all but the last `unread` messages of a conversation.
pub(crate) fn read(database: &Database, conversation: &str, number: usize, unread: usize) {
    database.sql(&format!(
        "UPDATE members SET last_read_id = (
             SELECT max(id) - {unread} FROM messages WHERE conversation_id = {conversation})
         WHERE conversation_id = {conversation} AND user_id = '{}'",
        user(number)
    ));
}

/// The id of a conversation's first message; those that follow have the next ids.
pub(crate) fn first_message(database: &Database, conversation: &str) -> u64 {
    let sql = format!("SELECT min(id) FROM messages WHERE conversation_id = {conversation}");
    database.sql(&sql).trim().parse().unwrap_or(1)
}

/// Every conversation holds exactly what was acknowledged, and where it matters each sender's messages in order.
pub(crate) fn check(database: &Database, acknowledged: &[Acknowledged], order: bool) -> Result<()> {
    let rows = database.sql(
        "SELECT conversation_id, sender, count(*), count(DISTINCT number), max(number), bool_and(number = place)
         FROM (
             SELECT conversation_id, substr(content, 1, 5)::int AS sender, substr(content, 7, 10)::bigint AS number,
                 row_number() OVER (PARTITION BY conversation_id, substr(content, 1, 5) ORDER BY id) AS place
             FROM messages
         ) numbered GROUP BY 1, 2",
    );
    let mut stored = BTreeMap::new();
    for row in rows.lines() {
        let fields: Vec<&str> = row.split('|').collect();
        let [conversation, sender, count, different, highest, in_order] = fields[..] else {
            return Err(format!("cannot read {row:?}").into());
        };
        let count: u64 = count.parse()?;
        if different.parse() != Ok(count) || highest.parse() != Ok(count) {
            return Err(format!(
                "conversation {conversation}: {count} stored, but not 1 to {count}"
            )
            .into());
        }
        if order && in_order != "t" {
            return Err(format!("conversation {conversation}: not stored in order").into());
        }
        stored.insert((conversation.to_owned(), sender.parse::<usize>()?), count);
    }
    let expected: BTreeMap<_, _> = acknowledged
        .iter()
        .filter(|sent| sent.count > 0)
        .map(|sent| ((sent.conversation.clone(), sent.sender), sent.count))
        .collect();
    if stored == expected {
        Ok(())
    } else {
        Err(format!("acknowledged {expected:?}, stored {stored:?}").into())
    }
}
