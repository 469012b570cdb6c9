//! What only shows from inside: query plans, with the tables filled.

use parlor_core::{
    Limits, Timestamp,
    model::{ClientId, ConversationId, Draft, MessageId, NewMessage, UserId},
    store::{Append, Appended},
};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgPool, query, query_scalar, raw_sql};
use uuid::Uuid;

use crate::{
    PostgresStore, changes, conversations, cursors, eyes, history, lists, memberships, private,
    revise, unread,
};

/// 20,000 conversations of 4 members each with 10 messages each; `ann` is in 1,000 of them.
const FILL: &str = "
    INSERT INTO parlor.conversations (id, kind, created_at, last_activity_at, member_count, last_seq, rev, changed_rev)
    SELECT gen_random_uuid(), 1, n, n, 4, 10, 11, 1 FROM generate_series(1, 20000) n;

    INSERT INTO parlor.members (conversation, user_id, role, joined_at, member_rev, delivered_seq, read_seq,
        cleared_seq, archived, private_receipts)
    SELECT c.number, CASE WHEN n = 1 AND c.number % 20 = 0 THEN 'ann' ELSE 'user' || c.number % 5000 * 4 + n END,
        0, c.number, 0, 7, 7, 0, false, false
    FROM parlor.conversations c, generate_series(1, 4) n;

    INSERT INTO parlor.messages (conversation, seq, rev, changed_rev, created_at, pinned_at, id, kind, sender_id,
        client_id, body)
    SELECT c.number, n, n + 1, CASE WHEN n = 5 THEN 11 ELSE n + 1 END, n, CASE WHEN n = 5 THEN n END,
        gen_random_uuid(), 'text', 'user' || n, 'key' || n, repeat('x', 100)
    FROM parlor.conversations c, generate_series(1, 10) n;

    INSERT INTO parlor.reactions (message, position, key, user_id)
    SELECT number, 1, '+', 'ann' FROM parlor.messages WHERE number % 10 = 0;

    INSERT INTO parlor.deletions (conversation, message, member_rev, user_id)
    SELECT m.conversation, m.number, 1, 'ann' FROM parlor.messages m
    JOIN parlor.members me ON me.conversation = m.conversation AND me.user_id = 'ann' WHERE m.seq = 3;

    ANALYZE parlor.conversations, parlor.members, parlor.messages, parlor.reactions, parlor.deletions";

async fn filled() -> PostgresStore {
    let store = PostgresStore::connect(parlor_test_services::postgres().database()).await.unwrap();
    raw_sql(FILL).execute(store.pool()).await.unwrap();
    store
}

/// Every statement whose cost must not grow with what it does not look for, and an index it goes by.
fn hot() -> Vec<(&'static str, &'static str, &'static str)> {
    vec![
        ("eyes", eyes::EYES, "conversations_id_key"),
        ("seen", &eyes::SEEN, "conversations_id_key"),
        ("conversation", &conversations::BY_ID, "conversations_id_key"),
        ("direct", &conversations::BY_KEY, "conversations_direct_key_key"),
        ("members", conversations::MEMBERS, "members_pkey"),
        ("member", conversations::MEMBER, "members_"),
        ("history backwards", &history::BACKWARDS, "messages_pkey"),
        ("history, whose", &history::BACKWARDS, "conversations_id_key"),
        ("history forwards", &history::FORWARDS, "messages_pkey"),
        ("message by id", &history::BY_ID, "messages_id_key"),
        ("message by number", &history::BY_NUMBER, "messages_number_key"),
        ("message by seq", &history::BY_SEQ, "messages_pkey"),
        ("messages by number", &history::BY_NUMBERS, "messages_number_key"),
        ("pinned", &history::PINNED, "messages_pinned"),
        ("pins", revise::PINS, "messages_pinned"),
        ("changes, new", &changes::NEW, "messages_pkey"),
        ("changes, revised", &changes::REVISED, "messages_revised"),
        ("list", &lists::LIST, "members_by_user"),
        ("summary", &lists::SUMMARY, "conversations_id_key"),
        ("list, last messages", &lists::LIST, "messages_pkey"),
        ("memberships", memberships::MEMBERSHIPS, "members_by_user"),
        ("arrivals", memberships::ARRIVALS, "members_by_arrival"),
        ("heads", memberships::HEADS, "conversations_id_key"),
        ("sharing", memberships::SHARING, "members_by_user"),
        ("unread counts", unread::COUNTS, "messages_pkey"),
        ("unread total", &unread::TOTAL, "members_by_user"),
        ("mine", &unread::MINE, "members_"),
        ("cursor seats", &cursors::SEATS, "members_"),
        ("cursor moves", cursors::MOVE, "members_"),
        ("private deletions", private::DELETED, "deletions_by_rev"),
    ]
}

/// The plan for any values, as a prepared statement has it after a few runs.
async fn plan(pool: &PgPool, sql: &str) -> String {
    let parameters = (1..20).take_while(|n| sql.contains(&format!("${n}"))).count();
    explain(pool, sql, "force_generic_plan", &vec!["NULL"; parameters].join(", ")).await
}

async fn explain(pool: &PgPool, sql: &str, mode: &str, values: &str) -> String {
    let mut conn = pool.acquire().await.unwrap();
    let prepare = format!("SET plan_cache_mode = {mode}; DEALLOCATE ALL; PREPARE it AS {sql}");
    raw_sql(AssertSqlSafe(prepare)).execute(&mut *conn).await.unwrap();
    let explain = AssertSqlSafe(format!("EXPLAIN EXECUTE it ({values})"));
    let lines: Vec<String> =
        query_scalar(explain).persistent(false).fetch_all(&mut *conn).await.unwrap();
    conn.close().await.unwrap();
    lines.join("\n")
}

#[tokio::test]
async fn hot_queries_go_by_indexes() {
    let store = filled().await;
    for (name, sql, index) in hot() {
        let plan = plan(store.pool(), sql).await;
        assert!(!plan.contains("Seq Scan"), "{name} scans a table:\n{plan}");
        assert!(plan.contains(index), "{name} does not go by {index}:\n{plan}");
    }
}

/// The statements whose cost grows with one user's conversations, with values of a user who is in many.
fn of_a_user() -> Vec<(&'static str, &'static str, &'static str)> {
    vec![
        (
            "list",
            &lists::LIST,
            "ARRAY['ann'], ARRAY[1000], ARRAY[NULL]::boolean[], ARRAY[NULL]::bigint[], ARRAY[NULL]::bigint[], ARRAY[50], ARRAY[true]",
        ),
        ("memberships", memberships::MEMBERSHIPS, "ARRAY['ann'], ARRAY[NULL]::uuid[], ARRAY[1000]"),
        ("sharing", memberships::SHARING, "'ann', ARRAY['user1', 'user2', 'nobody']"),
        ("unread total", &unread::TOTAL, "'ann', 1000"),
    ]
}

#[tokio::test]
async fn who_is_in_many_conversations_reads_no_others() {
    let store = filled().await;
    for (name, sql, values) in of_a_user() {
        let plan = explain(store.pool(), sql, "force_custom_plan", values).await;
        assert!(!plan.contains("Seq Scan"), "{name} scans a table:\n{plan}");
        assert!(!plan.contains("Hash Join"), "{name} reads a whole table:\n{plan}");
    }
}

#[tokio::test]
async fn what_is_read_all_the_time_is_not_planned_each_time() {
    let store = filled().await;
    let id: Uuid = query_scalar("SELECT id FROM parlor.conversations WHERE number = 20")
        .fetch_one(store.pool())
        .await
        .unwrap();
    let page = &*format!("'{id}', 'ann', 9223372036854775807, 51");
    let mut statements: Vec<(&str, &str, &str)> = of_a_user()[..2].to_vec();
    statements.extend([
        ("history backwards", &**history::BACKWARDS, page),
        ("history forwards", &**history::FORWARDS, page),
        ("changes, new", &**changes::NEW, "20, 5, 11, 4, 'ann', 51"),
        ("changes, revised", &**changes::REVISED, "20, 5, 5, 0, 'ann', 51"),
    ]);
    for (name, sql, values) in statements {
        let mut conn = store.pool().acquire().await.unwrap();
        let run = format!("EXECUTE it ({values});").repeat(10);
        let script = format!("DEALLOCATE ALL; PREPARE it AS {sql}; {run}");
        raw_sql(AssertSqlSafe(script)).execute(&mut *conn).await.unwrap();
        let plans = "SELECT generic_plans FROM pg_prepared_statements WHERE name = 'it'";
        let general: i64 =
            query_scalar(plans).persistent(false).fetch_one(&mut *conn).await.unwrap();
        conn.close().await.unwrap();
        // The first five are always planned for their values.
        assert_eq!(general, 5, "{name}");
    }
}

#[tokio::test]
async fn pages_need_no_sort_of_what_is_there() {
    let store = filled().await;
    let pages: [&str; 2] = [&history::BACKWARDS, &history::FORWARDS];
    for sql in pages {
        let plan = plan(store.pool(), sql).await;
        let (page, _reactions) = plan.split_once("SubPlan").unwrap();
        assert!(!page.contains("Sort"), "{sql} sorts:\n{plan}");
    }
}

#[tokio::test]
async fn appending_scans_no_table() {
    let store = filled().await;
    let rooms: Vec<Uuid> =
        query_scalar("SELECT id FROM parlor.conversations WHERE number % 20 = 0 LIMIT 50")
            .fetch_all(store.pool())
            .await
            .unwrap();
    let target: Uuid = query_scalar("SELECT id FROM parlor.messages LIMIT 1")
        .fetch_one(store.pool())
        .await
        .unwrap();
    // A session that has done nothing else: its statistics are told with those of the transaction.
    let mut session = store.pool().connect_options().connect().await.unwrap();
    let mut tx = session.begin().await.unwrap();
    for (place, room) in rooms.into_iter().enumerate() {
        let key = ClientId::new(format!("new{place}")).unwrap();
        let mut new = NewMessage::text("hello").with_client_id(key);
        new.reply_to = (place % 10 == 1).then_some(MessageId(target));
        let hash = new.content_hash();
        let draft = Draft::check(new, false, &Limits::default()).unwrap();
        let (now, ann) = (Timestamp::from_millis(1), UserId::new("ann").unwrap());
        let id = ConversationId(room);
        let append = Append::new(id, MessageId::new(now), Some(ann), draft, hash, now);
        let appended = store.append_in(&mut tx, append).await.unwrap();
        let stored = matches!(appended, Appended::Fresh(_));
        assert!(stored || place % 10 == 1, "{appended:?}");
    }
    let scans = "SELECT relname::text, seq_scan FROM pg_stat_xact_user_tables
        WHERE schemaname = 'parlor' AND seq_scan > 0";
    let scans: Vec<(String, i64)> = sqlx::query_as(scans).fetch_all(&mut *tx).await.unwrap();
    assert_eq!(scans, []);
    // The statistics would have told of one.
    query("SELECT count(body) FROM parlor.messages").execute(&mut *tx).await.unwrap();
    let told = "SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = 'messages'";
    let told: i64 = query_scalar(told).fetch_one(&mut *tx).await.unwrap();
    assert!(told > 0);
}
