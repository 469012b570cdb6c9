//! Postgres and Redis: what it says of them, and what it does without. What several nodes are together is tested in
//! `tests/nodes`.

use parlor_test_services::{Proxy, Redis, postgres, redis};

use crate::support::*;

/// Options of a node on a database and a Redis.
fn node<'a>(database: &'a str, redis: &'a str, prefix: &'a str) -> Vec<&'a str> {
    vec!["--database", database, "--redis", redis, "--redis-prefix", prefix, "--jwt-secret", SECRET]
}

fn key() -> [&'static str; 2] {
    ["--jwt-secret", SECRET]
}

#[tokio::test]
async fn without_redis_it_starts_says_so_and_chats_on() {
    let own = Redis::start().unwrap();
    let proxy = Proxy::start(own.address()).unwrap();
    proxy.cut();
    let database = postgres().database();
    let url = format!("redis://{}", proxy.address());
    let options = [&node(&database, &url, "late")[..], &["--sweep-interval", "200ms"]].concat();
    let (mut one, two) = tokio::join!(Process::start(&options), Process::start(&options));
    one.until_log("Redis cannot be reached").await;
    let mut ann = Client::live(one.address, &one.token("ann", &key()).await).await;
    let mut bob = Client::live(two.address, &two.token("bob", &key()).await).await;
    let conversation = ann.direct("bob").await;
    ann.say(&conversation, "by the sweep").await;
    let found = async {
        loop {
            let frame = bob.next().await.unwrap();
            if frame.to_string().contains("by the sweep") {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("the sweep finds it");
    proxy.heal();
    one.until_log("connected to Redis").await;
    assert_eq!(one.get("/readyz").await.0, 200);
}

#[tokio::test]
async fn a_postgres_that_cannot_be_reached_is_tried_again_and_then_told() {
    let database = postgres().database();
    let proxy = Proxy::start(postgres().address()).unwrap();
    proxy.cut();
    let (_, path) = database.rsplit_once('/').unwrap();
    let url = format!("postgres://postgres:hunter2@{}/{path}", proxy.address());
    let options = ["--database", &url, "--jwt-secret", SECRET, "--listen", "127.0.0.1:0"];
    let ended = Process::run(&[&options[..], &["--start-timeout", "1s"]].concat(), &[]).await;
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.output, "", "it does not say that it listens");
    assert!(ended.log.contains("trying again in 250 ms"), "{}", ended.log);
    let last = ended.log.lines().last().unwrap();
    assert!(last.contains(&format!("postgres://{}/{path}", proxy.address())), "{last}");
    assert!(last.contains("Is it running, and is --database (DATABASE_URL) right?"), "{last}");
    assert!(!ended.log.contains("hunter2"), "{}", ended.log);

    // One that comes in time is taken.
    let starting = async {
        let options = ["--database", &url, "--jwt-secret", SECRET];
        Process::start(&options).await
    };
    let healing = async {
        // Not before a first attempt may have failed.
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        proxy.heal();
    };
    let (mut server, ()) = tokio::join!(starting, healing);
    server.until_log("trying again").await;
    assert_eq!(server.get("/readyz").await, (200, "ready\n".into()));

    // One that goes away makes it unready, and ready when it is back.
    proxy.cut();
    let (status, why) = server.get("/readyz").await;
    assert_eq!(status, 503);
    assert!(why.starts_with("the database"), "{why}");
    assert_eq!(server.get("/healthz").await.0, 200);
    proxy.heal();
    let back = async { while server.get("/readyz").await.0 != 200 {} };
    tokio::time::timeout(PATIENCE, back).await.expect("ready again");
}

#[tokio::test]
async fn what_postgres_refuses_is_told_at_once() {
    let (server, _) = postgres().url().rsplit_once('/').unwrap();
    let missing = format!("{server}/no_such_database");
    let options = ["--database", &missing, "--jwt-secret", SECRET, "--listen", "127.0.0.1:0"];
    let ended = Process::run(&options, &[]).await;
    assert_eq!(ended.code, Some(1));
    assert!(!ended.log.contains("trying again"), "{}", ended.log);
    assert!(ended.log.contains("no_such_database\" does not exist"), "{}", ended.log);

    let database = postgres().database();
    let unmigrated =
        ["--database", &database, "--jwt-secret", SECRET, "--migrate", "false", "--check"];
    let ended = Process::run(&unmigrated, &[]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.output);
    assert!(ended.output.starts_with("database: FAILED"), "{}", ended.output);
    let named = ["--database", &database, "--jwt-secret", SECRET, "--database-schema", "DROP"];
    let ended = Process::run(&named, &[]).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.log.contains("schema"), "{}", ended.log);
}

#[tokio::test]
async fn the_check_asks_postgres_and_redis() {
    let database = postgres().database();
    let options = [&node(&database, redis().url(), "check")[..], &["--check"]].concat();
    let ended = Process::run(&options, &[]).await;
    assert_eq!(ended.code, Some(0), "{}{}", ended.output, ended.log);
    let lines: Vec<_> = ended.output.lines().collect();
    let shown = database.replace("postgres@", "");
    let made = "the schema \"parlor\" is missing; the next start makes it";
    assert_eq!(lines[0], format!("database: ok, {shown}: {made}"));
    assert_eq!(lines[1], format!("redis: ok, {}", redis().url()));
    assert_eq!(lines[2], "keys: ok, a secret");

    let nowhere = ["postgres://ann:hunter2@127.0.0.1:1/chat", "redis://:hunter2@127.0.0.1:1"];
    let options = [&node(nowhere[0], nowhere[1], "check")[..], &["--check"]].concat();
    let ended = Process::run(&options, &[]).await;
    assert_eq!(ended.code, Some(1));
    let lines: Vec<_> = ended.output.lines().collect();
    assert!(lines[0].starts_with("database: FAILED, postgres://127.0.0.1:1/chat: "), "{lines:?}");
    assert!(lines[1].starts_with("redis: FAILED, redis://127.0.0.1:1: "), "{lines:?}");
    assert!(!format!("{ended:?}").contains("hunter2"));
}

/// A role of the database's name that may connect and no more, and the URL with it.
fn plain_role(database: &str) -> (&str, String) {
    let (_, role) = database.rsplit_once('/').unwrap();
    sql(database, &format!("DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN"));
    (role, database.replace("postgres@", &format!("{role}@")))
}

fn sql(database: &str, sql: &str) -> String {
    postgres().psql(database, sql).trim().to_owned()
}

/// What the check says of the database, and the exit code.
async fn checked(database: &str, options: &[&str]) -> (Option<i32>, String) {
    let all = [&["--check", "--database", database, "--jwt-secret", SECRET], options].concat();
    let ended = Process::run(&all, &[]).await;
    (ended.code, ended.output.lines().next().unwrap_or(&ended.log).to_owned())
}

#[tokio::test]
async fn the_check_of_postgres_changes_nothing_and_says_what_the_next_start_will() {
    let database = postgres().database();
    let (code, said) = checked(&database, &[]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.ends_with("the schema \"parlor\" is missing; the next start makes it"), "{said}");
    assert_eq!(sql(&database, "SELECT to_regnamespace('parlor') IS NULL"), "t");
    let (code, said) = checked(&database, &["--migrate", "false"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("is missing") && said.contains("parlor-server schema"), "{said}");
    // A schema that somebody made for the role counts as missing as long as it is empty.
    sql(&database, "CREATE SCHEMA empty");
    let (code, said) = checked(&database, &["--database-schema", "empty"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.ends_with("the schema \"empty\" is missing; the next start makes it"), "{said}");

    let server = Process::start(&["--database", &database, "--jwt-secret", SECRET]).await;
    let (code, said) = checked(&database, &[]).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said, format!("database: ok, {}", database.replace("postgres@", "")));
    drop(server);
    sql(&database, "DELETE FROM parlor.migrations WHERE version > 1");
    let (code, said) = checked(&database, &[]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("is older") && said.ends_with("the next start brings it up to date"));
    assert_eq!(sql(&database, "SELECT max(version) FROM parlor.migrations"), "1");
    sql(&database, "INSERT INTO parlor.migrations (version, name) VALUES (1000, 'later')");
    let (code, said) = checked(&database, &[]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("newer release"), "{said}");
}

#[tokio::test]
async fn a_role_without_the_right_to_make_a_schema_is_told_so_and_gets_the_sql() {
    let database = postgres().database();
    let (role, url) = plain_role(&database);
    let (code, said) = checked(&url, &[]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("is missing") && said.contains("parlor-server schema"), "{said}");
    let options = ["--database", &url, "--jwt-secret", SECRET, "--listen", "127.0.0.1:0"];
    let ended = Process::run(&options, &[]).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.log.contains("parlor-server schema"), "{}", ended.log);

    let printed = Process::run(&["schema"], &[]).await;
    assert_eq!(printed.code, Some(0), "{}", printed.log);
    assert_eq!(printed.output, parlor::postgres::schema_sql("parlor").unwrap());
    sql(&database, &printed.output);
    let (code, said) = checked(&url, &[]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("may not use") && said.contains("GRANT"), "{said}");
    sql(
        &database,
        &format!(
            "GRANT USAGE ON SCHEMA parlor TO {role};
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA parlor TO {role}"
        ),
    );
    let (code, said) = checked(&url, &["--migrate", "false"]).await;
    assert_eq!(code, Some(0), "{said}");
    let server =
        Process::start(&["--database", &url, "--jwt-secret", SECRET, "--migrate", "false"]).await;
    let mut ann = Client::live(server.address, &server.token("ann", &key()).await).await;
    let conversation = ann.direct("bob").await;
    ann.say(&conversation, "on tables of another role").await;
}

#[tokio::test]
async fn the_sql_of_the_schema_is_printed_for_any_name() {
    let named = ["schema", "--database-schema", "chat_2"];
    let printed = Process::run(&named, &[]).await;
    assert_eq!(printed.code, Some(0), "{}", printed.log);
    assert_eq!(printed.output, parlor::postgres::schema_sql("chat_2").unwrap());
    assert!(printed.output.contains("\"chat_2\".messages"), "{}", printed.output);
    let wrong = Process::run(&["schema", "--database-schema", "DROP"], &[]).await;
    assert_eq!(wrong.code, Some(2), "{}", wrong.log);
    assert!(wrong.log.contains("--database-schema (PARLOR_DATABASE_SCHEMA)"), "{}", wrong.log);
}
