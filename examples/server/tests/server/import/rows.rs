//! Rows that are not what the documents say.

use super::*;

#[tokio::test]
async fn two_conversations_of_one_pair_become_one_and_nothing_unread_counts_as_read() {
    let migration = Migration::new("connections", CONNECTIONS);
    migration.sql(&format!(
        "INSERT INTO users VALUES ('{ANN}'), ('{BOB}');
         INSERT INTO conversations (id, participant1_id, participant2_id) VALUES
           ('{TALK}', '{ANN}', '{BOB}'), ('{SILENT}', '{BOB}', '{ANN}');
         INSERT INTO messages (conversation_id, sender_id, content, is_read) VALUES
           ('{TALK}', '{ANN}', 'unread', false), ('{SILENT}', '{ANN}', 'read', true)"
    ));
    let said = migration.run().await;
    assert!(
        said.contains("conversations: 2 in the source = 1 imported + 1 there already"),
        "{said}"
    );
    let chat = migration.chat().await;
    let talk = chat.between(ANN, BOB).await;
    assert_eq!(chat.texts(BOB, talk).await, ["unread", "read"]);
    assert_eq!(chat.list(BOB).await, [(talk, 2, 0)]);
}

#[tokio::test]
async fn rows_that_are_out_of_bounds_are_skipped_and_the_rest_is_there() {
    let migration = Migration::new(
        "tutor-bookings",
        "CREATE TABLE messages (id INT, sender_id TEXT, receiver_id TEXT, message TEXT, read BOOLEAN, created_at TIMESTAMP);
         INSERT INTO messages VALUES (1, 'ann', 'bob', 'one', false, '2025-01-01'), (2, 'ann', 'bob', 'never', false, 'infinity'),
           (3, 'ann', 'bob', repeat('x', 3000000), false, '2025-01-03'), (4, 'ann', 'bob', 'four', false, '2025-01-04'),
           (5, 'ann', 'cem', 'never was', false, '-infinity');",
    );
    let said = migration.run().await;
    assert!(
        said.contains("messages: 5 in the source = 2 imported + 0 there already + 3 skipped"),
        "{said}"
    );
    assert!(said.contains("messages skipped, has no time: 1 (such as 2)"), "{said}");
    assert!(said.contains("its text must be at most 32768 bytes: 1 (such as 3)"), "{said}");
    let chat = migration.chat().await;
    let talk = chat.between("ann", "bob").await;
    assert_eq!(chat.texts("ann", talk).await, ["one", "four"]);
}

#[tokio::test]
async fn an_unread_message_that_was_edited_since_is_unread_still() {
    let migration = Migration::new("connections", CONNECTIONS);
    migration.sql(&format!(
        "INSERT INTO users VALUES ('{ANN}'), ('{BOB}');
         INSERT INTO conversations (id, participant1_id, participant2_id) VALUES ('{TALK}', '{ANN}', '{BOB}');
         INSERT INTO messages (conversation_id, sender_id, content, is_read, created_at) VALUES
           ('{TALK}', '{ANN}', 'read', true, '2025-01-01'), ('{TALK}', '{ANN}', 'unread', false, '2025-01-02')"
    ));
    migration.run().await;
    migration.sql(&format!(
        "UPDATE messages SET content = 'edited' WHERE content = 'unread';
         INSERT INTO messages (conversation_id, sender_id, content, is_read, created_at) VALUES
           ('{TALK}', '{ANN}', 'read alone', true, '2025-01-03')"
    ));
    migration.run().await;
    let chat = migration.chat().await;
    assert_eq!(chat.texts(BOB, id(TALK)).await, ["read", "unread", "read alone"]);
    assert_eq!(chat.list(BOB).await, [(id(TALK), 2, 1)]);
}
