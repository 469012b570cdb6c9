//! `parlor-server import`: the documented tables of each service, from a real Postgres, into both stores.

mod rows;

use std::{process::Stdio, sync::Arc};

use parlor::{
    Caller, Chat,
    command::ListConversations,
    model::{ConversationId, Identity, Message, MessageKind, UserId},
    postgres::PostgresStore,
    sqlite::SqliteStore,
    store::Store,
};
use parlor_test_services::postgres;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::support::*;

/// As its document has it; the extension with this function need not be installed.
const CONNECTIONS: &str = "
    CREATE FUNCTION uuid_generate_v4() RETURNS uuid LANGUAGE sql AS 'SELECT gen_random_uuid()';
    CREATE TABLE users (id UUID PRIMARY KEY);
    CREATE TABLE conversations (
      id UUID PRIMARY KEY DEFAULT uuid_generate_v4(),
      participant1_id UUID NOT NULL REFERENCES users(id),
      participant2_id UUID NOT NULL REFERENCES users(id),
      last_message_at TIMESTAMP,
      created_at TIMESTAMP DEFAULT NOW(),
      updated_at TIMESTAMP DEFAULT NOW()
    );
    CREATE TABLE messages (
      id UUID PRIMARY KEY DEFAULT uuid_generate_v4(),
      conversation_id UUID NOT NULL REFERENCES conversations(id),
      sender_id UUID NOT NULL REFERENCES users(id),
      content TEXT NOT NULL,
      is_read BOOLEAN DEFAULT FALSE,
      created_at TIMESTAMP DEFAULT NOW(),
      updated_at TIMESTAMP DEFAULT NOW()
    );";

const ANN: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const BOB: &str = "bbbbbbbb-0000-4000-8000-000000000002";
const CEM: &str = "cccccccc-0000-4000-8000-000000000003";
const TALK: &str = "dddddddd-0000-4000-8000-000000000004";
const SILENT: &str = "dddddddd-0000-4000-8000-000000000005";

/// A service's database, and where it is imported to.
struct Migration {
    source: String,
    format: &'static str,
    folder: TempDir,
    target: String,
}

impl Migration {
    /// Into a SQLite file.
    fn new(format: &'static str, sql: &str) -> Self {
        let source = postgres().database();
        postgres().psql(&source, sql);
        let folder = tempfile::tempdir().unwrap();
        let target = format!("sqlite:{}/chat.db", folder.path().display());
        Self { source, format, folder, target }
    }

    fn into_postgres(mut self) -> Self {
        self.target = postgres().database();
        self
    }

    fn sql(&self, sql: &str) {
        postgres().psql(&self.source, sql);
    }

    fn options(&self) -> [&str; 7] {
        let (from, to) = (self.source.as_str(), self.target.as_str());
        ["import", "--from", from, "--format", self.format, "--database", to]
    }

    async fn run(&self) -> String {
        let ended = Process::run_in(&self.folder, &self.options(), &[]).await;
        assert_eq!(ended.code, Some(0), "{}\n{}", ended.output, ended.log);
        ended.output
    }

    /// What is there after it, as the users see it. The database is free again when it is dropped.
    async fn chat(&self) -> Imported {
        let store: Arc<dyn Store> = match self.target.starts_with("sqlite:") {
            true => Arc::new(SqliteStore::open(&self.target).await.unwrap()),
            false => Arc::new(PostgresStore::connect(&self.target).await.unwrap()),
        };
        Imported { chat: Chat::builder(store.clone()).build().await.unwrap(), store }
    }
}

struct Imported {
    chat: Chat,
    store: Arc<dyn Store>,
}

impl Imported {
    fn user(&self, id: &str) -> Caller {
        self.chat.as_user(Identity::new(UserId::new(id).unwrap()))
    }

    /// A user's conversations: their ids, whose they are, what is unread.
    async fn list(&self, user: &str) -> Vec<(ConversationId, u32, u64)> {
        let page = self.user(user).conversations(ListConversations::default()).await.unwrap();
        let entries = page.conversations.into_iter();
        entries.map(|it| (it.conversation.id, it.me.unread, it.me.read_seq)).collect()
    }

    async fn messages(&self, user: &str, id: ConversationId) -> Vec<Message> {
        self.user(user).history(id, None).await.unwrap().messages
    }

    async fn texts(&self, user: &str, id: ConversationId) -> Vec<String> {
        self.messages(user, id).await.into_iter().map(|message| message.body).collect()
    }

    /// The one conversation of two users.
    async fn between(&self, one: &str, other: &str) -> ConversationId {
        self.user(one).open_direct(UserId::new(other).unwrap()).await.unwrap().conversation.id
    }
}

fn id(text: &str) -> ConversationId {
    text.parse().unwrap()
}

fn connections() -> Migration {
    let migration = Migration::new("connections", CONNECTIONS);
    migration.sql(&format!(
        "INSERT INTO users VALUES ('{ANN}'), ('{BOB}'), ('{CEM}');
         INSERT INTO conversations (id, participant1_id, participant2_id, created_at) VALUES
           ('{TALK}', '{BOB}', '{ANN}', '2025-01-01 08:00'), ('{SILENT}', '{ANN}', '{CEM}', '2025-01-02');
         INSERT INTO messages (id, conversation_id, sender_id, content, is_read, created_at) VALUES
           ('00000000-0000-4000-8000-000000000003', '{TALK}', '{ANN}', 'three', false, '2025-03-01 12:00:00.25'),
           ('00000000-0000-4000-8000-000000000001', '{TALK}', '{ANN}', 'one', true, '2025-01-01 12:00'),
           ('00000000-0000-4000-8000-000000000002', '{TALK}', '{BOB}', 'two', true, '2025-02-01 12:00'),
           ('00000000-0000-4000-8000-000000000004', '{TALK}', '{ANN}', '   ', false, '2025-03-02'),
           ('00000000-0000-4000-8000-000000000005', '{TALK}', '{CEM}', 'not mine', false, '2025-03-03'),
           ('00000000-0000-4000-8000-000000000006', '{TALK}', '{ANN}', 'four', true, '2025-03-04');"
    ));
    migration
}

async fn check_connections(migration: &Migration) {
    let said = migration.run().await;
    assert!(
        said.contains("conversations: 2 in the source = 2 imported + 0 there already + 0 skipped"),
        "{said}"
    );
    assert!(
        said.contains("messages: 6 in the source = 4 imported + 0 there already + 2 skipped"),
        "{said}"
    );
    assert!(
        said.contains(
            "skipped, its text must not be blank: 1 (such as 00000000-0000-4000-8000-000000000004)"
        ),
        "{said}"
    );
    assert!(said.contains("skipped, its sender is not in the conversation: 1 (such as 00000000-0000-4000-8000-000000000005)"), "{said}");
    {
        let chat = migration.chat().await;
        let messages = chat.messages(ANN, id(TALK)).await;
        let seen: Vec<_> = messages.iter().map(|it| (it.seq, it.body.as_str())).collect();
        assert_eq!(seen, [(1, "one"), (2, "two"), (3, "three"), (4, "four")]);
        assert_eq!(
            messages[2].id.to_string(),
            "00000000-0000-4000-8000-000000000003",
            "ids are kept"
        );
        assert_eq!(
            messages[2].created_at.to_string(),
            "2025-03-01T12:00:00.250Z",
            "times are kept"
        );
        assert_eq!(messages[0].sender_id, Some(UserId::new(ANN).unwrap()));
        // The last one was marked alone in the source: here the one before it stays unread, and so does it.
        assert_eq!(chat.list(BOB).await, [(id(TALK), 2, 2)]);
        assert_eq!(chat.list(ANN).await, [(id(TALK), 0, 4), (id(SILENT), 0, 0)]);
        assert_eq!(chat.between(CEM, ANN).await, id(SILENT), "no second one is made");
        chat.store.ping().await.unwrap();
    }
    migration.sql(&format!(
        "INSERT INTO messages (conversation_id, sender_id, content, created_at)
         VALUES ('{TALK}', '{BOB}', 'five', '2025-04-01');
         UPDATE messages SET content = 'changed' WHERE content = 'one'"
    ));
    let said = migration.run().await;
    assert!(
        said.contains("conversations: 2 in the source = 0 imported + 2 there already + 0 skipped"),
        "{said}"
    );
    assert!(
        said.contains("messages: 7 in the source = 1 imported + 3 there already + 3 skipped"),
        "{said}"
    );
    assert!(said.contains("was changed after it had been imported: 1"), "{said}");
    let chat = migration.chat().await;
    assert_eq!(chat.texts(BOB, id(TALK)).await, ["one", "two", "three", "four", "five"]);
    assert_eq!(chat.list(ANN).await[0], (id(TALK), 1, 4));
}

#[tokio::test]
async fn connections_keep_ids_order_times_and_what_is_read_and_a_second_run_adds_what_is_new() {
    check_connections(&connections()).await;
}

#[tokio::test]
async fn an_import_into_postgres_is_the_same() {
    check_connections(&connections().into_postgres()).await;
}

#[tokio::test]
async fn an_import_that_was_killed_goes_on_and_doubles_nothing() {
    let migration = Migration::new("connections", CONNECTIONS);
    migration.sql(&format!(
        "INSERT INTO users VALUES ('{ANN}'), ('{BOB}'), ('{CEM}');
         INSERT INTO conversations (id, participant1_id, participant2_id) VALUES
           ('{TALK}', '{ANN}', '{BOB}'), ('{SILENT}', '{ANN}', '{CEM}');
         INSERT INTO messages (conversation_id, sender_id, content, created_at)
         SELECT CASE n % 2 WHEN 0 THEN '{TALK}'::uuid ELSE '{SILENT}' END, '{ANN}', n::text,
           '2025-01-01'::timestamp + n * interval '1 second' FROM generate_series(1, 20000) n"
    ));
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_parlor-server"))
        .args(migration.options())
        .current_dir(migration.folder.path())
        .env_clear()
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if line == "messages: 20000 to read" {
            break;
        }
    }
    child.kill().await.unwrap();
    let said = migration.run().await;
    let line = said.lines().find(|line| line.starts_with("messages: 20000 in")).unwrap();
    let counts: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert_eq!(counts[1] + counts[2], 20_000, "{line}");
    assert!(counts[1] > 0, "it was killed before the end: {line}");
    let chat = migration.chat().await;
    for (conversation, last) in [(TALK, 20_000), (SILENT, 19_999)] {
        let entry = chat.user(ANN).conversation(id(conversation)).await.unwrap();
        assert_eq!(entry.conversation.last_seq, 10_000);
        assert_eq!(entry.last_message.unwrap().body, last.to_string());
        let page = chat.messages(ANN, id(conversation)).await;
        let numbers: Vec<u64> = page.iter().map(|message| message.body.parse().unwrap()).collect();
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 2), "{numbers:?}");
    }
}

#[tokio::test]
async fn tutor_bookings_are_pairs_and_what_is_unread_waits_to_be_delivered() {
    let migration = Migration::new(
        "tutor-bookings",
        "CREATE TABLE messages (id TEXT PRIMARY KEY, conversation_id TEXT NOT NULL, sender_id TEXT NOT NULL,
           receiver_id TEXT, message TEXT NOT NULL, read BOOLEAN NOT NULL DEFAULT false,
           created_at TIMESTAMPTZ NOT NULL DEFAULT now());
         INSERT INTO messages VALUES
           ('msg-1', 'ann_bob', 'ann', 'bob', 'one', true, '2025-01-01T10:00:00+02:00'),
           ('msg-2', 'ann_bob', 'bob', 'ann', 'two', true, '2025-01-02'),
           ('msg-3', 'ann_bob', 'ann', 'bob', 'three', false, '2025-01-03'),
           ('msg-4', 'a_b_c', 'a_b', 'c', 'x', false, '2025-01-03'),
           ('msg-5', 'a_b_c', 'a', 'b_c', 'y', false, '2025-01-03'),
           ('msg-6', 'ann_', 'ann', NULL, 'to nobody', false, '2025-01-03');",
    );
    let said = migration.run().await;
    assert!(said.contains("conversations: 3 in the source = 3 imported"), "{said}");
    assert!(
        said.contains("messages: 6 in the source = 5 imported + 0 there already + 1 skipped"),
        "{said}"
    );
    let chat = migration.chat().await;
    let talk = chat.between("ann", "bob").await;
    assert_eq!(chat.texts("bob", talk).await, ["one", "two", "three"]);
    assert_eq!(
        chat.messages("bob", talk).await[0].created_at.to_string(),
        "2025-01-01T08:00:00.000Z"
    );
    assert_eq!(chat.list("bob").await, [(talk, 1, 2)]);
    assert_eq!(chat.user("bob").conversation(talk).await.unwrap().me.delivered_seq, 2);
    assert_eq!(chat.texts("c", chat.between("a_b", "c").await).await, ["x"]);
    assert_eq!(chat.texts("a", chat.between("a", "b_c").await).await, ["y"]);
    drop(chat);
    let again = migration.run().await;
    assert!(
        again.contains("messages: 6 in the source = 0 imported + 5 there already + 1 skipped"),
        "{again}"
    );
}

#[tokio::test]
async fn direct_messages_are_read_as_typeorm_makes_the_table() {
    let migration = Migration::new(
        "direct-messages",
        "CREATE TABLE \"user\" (id UUID PRIMARY KEY, name TEXT);
         CREATE TABLE message (id SERIAL PRIMARY KEY, content TEXT NOT NULL,
           \"createdAt\" TIMESTAMP NOT NULL DEFAULT now(),
           \"senderId\" UUID REFERENCES \"user\"(id), \"receiverId\" UUID REFERENCES \"user\"(id));",
    );
    migration.sql(&format!(
        "INSERT INTO \"user\" VALUES ('{ANN}', 'Ann'), ('{BOB}', 'Bob');
         INSERT INTO message (content, \"senderId\", \"receiverId\", \"createdAt\") VALUES
           ('one', '{ANN}', '{BOB}', '2025-01-01'), ('two', '{BOB}', '{ANN}', '2025-01-01'),
           ('lost', NULL, '{ANN}', '2025-01-01')"
    ));
    let said = migration.run().await;
    assert!(
        said.contains("messages: 3 in the source = 2 imported + 0 there already + 1 skipped"),
        "{said}"
    );
    assert!(said.contains("the source does not say what was read; all count as read"), "{said}");
    let chat = migration.chat().await;
    let talk = chat.between(ANN, BOB).await;
    let messages = chat.messages(ANN, talk).await;
    assert_eq!(
        chat.texts(ANN, talk).await,
        ["one", "two"],
        "of one moment the smaller id comes first"
    );
    assert!(messages[0].number < messages[1].number);
    assert_eq!(chat.list(ANN).await, [(talk, 0, 2)]);
}

#[tokio::test]
async fn brands_and_influencers_keep_their_types_and_attachments() {
    let migration = Migration::new(
        "brand-influencer",
        "CREATE TABLE conversations (id SERIAL PRIMARY KEY, \"brandId\" INT NOT NULL, \"influencerId\" INT NOT NULL,
           \"createdAt\" TIMESTAMP NOT NULL DEFAULT now());
         CREATE TABLE messages (id SERIAL PRIMARY KEY, \"conversationId\" INT, \"senderId\" INT NOT NULL,
           \"senderType\" TEXT NOT NULL, \"messageType\" TEXT NOT NULL DEFAULT 'text', content TEXT,
           \"attachmentUrl\" TEXT, \"attachmentName\" TEXT, \"isRead\" BOOLEAN NOT NULL DEFAULT false,
           \"createdAt\" TIMESTAMP NOT NULL DEFAULT now());
         INSERT INTO conversations (\"brandId\", \"influencerId\") VALUES (7, 7);
         INSERT INTO messages (\"conversationId\", \"senderId\", \"senderType\", \"messageType\", content,
           \"attachmentUrl\", \"attachmentName\", \"isRead\") VALUES
           (1, 7, 'brand', 'text', 'Hello', NULL, NULL, true),
           (1, 7, 'influencer', 'file', '', 'https://files.example/a.pdf', 'a.pdf', false),
           (99, 7, 'brand', 'text', 'nowhere', NULL, NULL, false),
           (1, 7, 'brand', 'file', 'see', 'javascript:alert(1)', NULL, false);",
    );
    let said = migration.run().await;
    assert!(
        said.contains("messages: 4 in the source = 2 imported + 0 there already + 2 skipped"),
        "{said}"
    );
    assert!(said.contains("its conversation is not there: 1 (such as 3)"), "{said}");
    let chat = migration.chat().await;
    let talk = chat.between("brand:7", "influencer:7").await;
    let messages = chat.messages("brand:7", talk).await;
    assert_eq!(messages[0].sender_id, Some(UserId::new("brand:7").unwrap()));
    assert_eq!(messages[1].kind, MessageKind::File);
    assert_eq!(messages[1].attachments[0].url, "https://files.example/a.pdf");
    assert_eq!(messages[1].attachments[0].name.as_deref(), Some("a.pdf"));
    assert_eq!(chat.list("brand:7").await, [(talk, 1, 1)]);
    assert_eq!(chat.list("influencer:7").await, [(talk, 0, 2)]);
}

#[tokio::test]
async fn gateway_has_pairs_and_groups() {
    let migration = Migration::new(
        "gateway",
        "CREATE TABLE conversations (id SERIAL PRIMARY KEY, name TEXT, created_at TIMESTAMP NOT NULL DEFAULT now());
         CREATE TABLE conversation_participants (conversation_id INT NOT NULL, user_id INT NOT NULL,
           PRIMARY KEY (conversation_id, user_id));
         CREATE TABLE messages (id SERIAL PRIMARY KEY, conversation_id INT NOT NULL, sender_id INT NOT NULL,
           message_type TEXT NOT NULL DEFAULT 'text', content TEXT NOT NULL,
           created_at TIMESTAMP NOT NULL DEFAULT now());
         INSERT INTO conversations (name) VALUES (NULL), ('Team'), ('Empty');
         INSERT INTO conversation_participants VALUES (1, 1), (1, 2), (2, 1), (2, 2), (2, 10);
         INSERT INTO messages (conversation_id, sender_id, message_type, content) VALUES
           (1, 1, 'text', 'to you'), (2, 10, 'text', 'to all'), (2, 2, 'poll', 'which?'), (3, 1, 'text', 'x');",
    );
    let said = migration.run().await;
    assert!(
        said.contains("conversations: 3 in the source = 2 imported + 0 there already + 1 skipped"),
        "{said}"
    );
    assert!(
        said.contains("messages: 4 in the source = 3 imported + 0 there already + 1 skipped"),
        "{said}"
    );
    let chat = migration.chat().await;
    assert_eq!(chat.texts("2", chat.between("1", "2").await).await, ["to you"]);
    let list = chat.list("10").await;
    assert_eq!(list.len(), 1);
    let entry = chat.user("10").conversation(list[0].0).await.unwrap();
    assert_eq!(entry.conversation.title.as_deref(), Some("Team"));
    assert_eq!((entry.conversation.member_count, entry.me.unread), (3, 0));
    let messages = chat.messages("10", list[0].0).await;
    assert_eq!(messages[1].kind, MessageKind::Custom("poll".into()));
}

#[tokio::test]
async fn tables_of_ones_own_come_in_by_a_view_in_another_schema() {
    let migration = Migration::new(
        "tutor-bookings",
        "CREATE TABLE chat_log (id BIGINT, author TEXT, recipient TEXT, body TEXT, seen BOOLEAN, sent_at TIMESTAMP);
         INSERT INTO chat_log VALUES (2, 'bob', 'ann', 'two', false, '2025-01-02'), (10, 'ann', 'bob', 'ten', true, '2025-01-02'),
           (1, 'ann', 'bob', 'one', true, '2025-01-02');
         CREATE SCHEMA for_import;
         CREATE VIEW for_import.messages AS SELECT id, author AS sender_id, recipient AS receiver_id,
           body AS message, seen AS read, sent_at AS created_at FROM chat_log;",
    );
    let options = [&migration.options()[..], &["--from-schema", "for_import"]].concat();
    let ended = Process::run_in(&migration.folder, &options, &[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    let chat = migration.chat().await;
    let talk = chat.between("ann", "bob").await;
    assert_eq!(chat.texts("ann", talk).await, ["one", "two", "ten"]);
}

#[tokio::test]
async fn what_is_no_such_service_is_refused_by_name() {
    let migration = Migration::new("brand-influencer", CONNECTIONS);
    let ended = Process::run_in(&migration.folder, &migration.options(), &[]).await;
    assert_eq!(ended.code, Some(2), "{}", ended.log);
    assert!(
        ended.log.contains("has no column participant1_type: is --format right?"),
        "{}",
        ended.log
    );
    let mut options = migration.options();
    options[2] = "postgres://nobody:hidden@127.0.0.1:1/x";
    let ended = Process::run_in(&migration.folder, &options, &[]).await;
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.log.contains("cannot be reached") && !ended.log.contains("hidden"),
        "{}",
        ended.log
    );
}
