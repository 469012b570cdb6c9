//! `--check` says in a line each what can be reached.

use std::{collections::BTreeMap, fs, path::Path};

use axum::http::StatusCode;

use crate::support::*;

/// Every file of a folder, with what is in it.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect()
}

#[tokio::test]
async fn what_can_be_reached_is_said_and_the_exit_code_is_zero() {
    let ended = Process::run(&["--check"], &[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    let lines: Vec<_> = ended.output.lines().collect();
    assert_eq!(lines[0], "database: ok, sqlite:parlor.db: no such file; the next start makes it");
    assert!(lines[1].starts_with("keys: ok, the development secret in parlor.db.secret"));

    let signer = Signer::rsa("r");
    let issuer = Issuer::start(&[&signer]).await;
    let ended = Process::run(&["--check", "--jwks", &issuer.url()], &[]).await;
    assert_eq!(ended.code, Some(0));
    assert!(ended.output.contains(&format!("keys: ok, {}", issuer.url())), "{}", ended.output);
}

#[tokio::test]
async fn what_cannot_be_reached_is_said_with_the_reason_and_the_exit_code_is_one() {
    let issuer = Issuer::start(&[]).await;
    issuer.answer_with(StatusCode::INTERNAL_SERVER_ERROR, String::new());
    let options = ["--check", "--database", "sqlite:missing/chat.db", "--jwks", &issuer.url()];
    let ended = Process::run(&options, &[]).await;
    assert_eq!(ended.code, Some(1));
    let lines: Vec<_> = ended.output.lines().collect();
    assert!(lines[0].starts_with("database: FAILED, sqlite:missing/chat.db: "), "{lines:?}");
    assert!(lines[1].starts_with("keys: FAILED, "), "{lines:?}");
    assert!(lines[1].ends_with("http status: 500"), "{lines:?}");
}

#[tokio::test]
async fn the_check_of_a_file_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let ended = Process::run_in(&folder, &["--check"], &[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert_eq!(files(folder.path()), BTreeMap::new(), "it made files");

    let mut server = Process::start(&[]).await;
    let folder = server.folder();
    server.signal("TERM");
    server.ended().await;
    let before = files(folder.path());
    let ended = Process::run_in(&folder, &["--check"], &[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    assert!(ended.output.starts_with("database: ok, sqlite:parlor.db: the file exists\n"));
    assert_eq!(files(folder.path()), before);

    fs::write(folder.path().join("other.db"), "a text, and no database of SQLite").unwrap();
    let ended = Process::run_in(&folder, &["--check", "--database", "sqlite:other.db"], &[]).await;
    assert_eq!(ended.code, Some(1));
    let first = ended.output.lines().next().unwrap();
    assert_eq!(first, "database: FAILED, sqlite:other.db: the file is no SQLite database");
}
