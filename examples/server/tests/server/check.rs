//! `--check` says in a line each what can be reached.

use axum::http::StatusCode;

use crate::support::*;

#[tokio::test]
async fn what_can_be_reached_is_said_and_the_exit_code_is_zero() {
    let ended = Process::run(&["--check"], &[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    let lines: Vec<_> = ended.output.lines().collect();
    assert_eq!(lines[0], "database: ok, sqlite:parlor.db");
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
