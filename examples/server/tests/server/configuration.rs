//! What is configured wrongly is said in words.

use std::fs;

use tokio::net::TcpListener;

use crate::support::*;

/// Ends with code 2 and says all of these words.
async fn assert_refused(options: &[&str], environment: &[(&str, &str)], words: &[&str]) {
    let ended = Process::run(options, environment).await;
    assert_eq!(ended.code, Some(2), "{options:?}: {ended:?}");
    for word in words {
        assert!(ended.log.contains(word), "{options:?} {environment:?}: {word} in\n{}", ended.log);
    }
    assert!(!ended.log.contains("hunter2"), "{}", ended.log);
    assert_eq!(ended.output, "");
}

#[tokio::test]
async fn wrong_options_are_named_with_what_they_take() {
    let public = ["--listen", "0.0.0.0:0"];
    for (options, words) in [
        (&["--listen", "nowhere"][..], &["--listen", "127.0.0.1:3000"][..]),
        (
            &["--database", "mysql://ann:hunter2@db"],
            &["--database (DATABASE_URL)", "sqlite: or postgres://"],
        ),
        (&["--database", "sqlite:"], &["--database (DATABASE_URL)", "must name a file"]),
        (
            &["--redis", "redis://:hunter2@cache"],
            &["--redis", "SQLite file belongs to one process", "postgres://"],
        ),
        (
            &["--redis", "http://:hunter2@cache", "--database", "postgres://db/chat"],
            &["--redis (REDIS_URL)", "redis://", "rediss://"],
        ),
        (
            &["--database", "postgres://ann:hunter2@db/chat"],
            &["--jwt-secret (JWT_SECRET)", "--jwks (JWKS_URL)", "openssl rand"],
        ),
        (&public, &["others can reach 0.0.0.0:0", "--jwt-secret (JWT_SECRET)", "openssl rand"]),
        (
            &[&public[..], &["--jwt-secret", "hunter2-hunter2-hunter2-hunter2-change"]].concat(),
            &["--jwt-secret (JWT_SECRET) can be guessed", "openssl rand"],
        ),
        (&["--jwt-secret", "hunter2"], &["--jwt-secret (JWT_SECRET) must be at least 32 bytes"]),
        (
            &["--jwt-secret", SECRET, "--jwks", "https://example.com"],
            &["--jwt-secret (JWT_SECRET) and --jwks (JWKS_URL)"],
        ),
        (&["--jwt-secret-file", "missing"], &["--jwt-secret-file missing cannot be read"]),
        (&["--jwt-issuer", "shop"], &["--jwt-secret (JWT_SECRET)"]),
        (&["--jwks", "hunter2.json"], &["--jwks (JWKS_URL) must be a URL"]),
        (&["--ca", "missing"], &["--ca (PARLOR_CA) missing cannot be read"]),
        (
            &["--origin", "app.example.com"],
            &["--origin (PARLOR_ORIGIN)", "https://app.example.com"],
        ),
        (&["--log", "parlor=loud"], &["--log (PARLOR_LOG)"]),
        (&["--sweep-interval", "soon"], &["--sweep-interval", "500ms, 10s"]),
        (&["--connections", "0"], &["--connections"]),
        (&["--unknown"], &["--unknown"]),
        (&["token"], &["--sub"]),
        (&["token", "--sub", ""], &["--sub"]),
        (&["token", "--sub", "ann", "--jwt-secret", "hunter2"], &["at least 32 bytes"]),
    ] {
        assert_refused(options, &[], words).await;
    }
}

#[tokio::test]
async fn variables_are_checked_as_flags_are_and_flags_win() {
    assert_refused(&[], &[("PARLOR_LISTEN", "nowhere")], &["--listen", "127.0.0.1:3000"]).await;
    assert_refused(&[], &[("JWT_SECRET", "hunter2")], &["JWT_SECRET"]).await;
    let both = [("JWT_SECRET", SECRET), ("JWT_SECRET_FILE", "some-file")];
    assert_refused(&[], &both, &["--jwt-secret and --jwt-secret-file are both set"]).await;
    let variables = [("DATABASE_URL", "sqlite:from-variable.db"), ("JWT_SECRET", SECRET)];
    let ended = Process::run(&["--check"], &variables).await;
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(ended.output.contains("sqlite:from-variable.db"), "{}", ended.output);
    assert!(ended.output.contains("keys: ok, a secret"), "{}", ended.output);
    let ended = Process::run(&["--check", "--database", "sqlite:flag.db"], &variables).await;
    assert!(ended.output.contains("sqlite:flag.db"), "{}", ended.output);
}

/// All variables that the help names.
async fn variables() -> Vec<String> {
    let help = Process::run(&["--help"], &[]).await.output;
    let named = help.split("[env: ").skip(1);
    named.map(|rest| rest.split([']', '=']).next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_empty_variable_counts_as_not_given() {
    let variables = variables().await;
    assert!(variables.len() > 35, "{variables:?}");
    let without = Process::run(&["--check"], &[]).await;
    assert_eq!(without.code, Some(0), "{}", without.log);
    // As a compose file passes on what is not set.
    for variable in &variables {
        let ended = Process::run(&["--check"], &[(variable, "")]).await;
        assert_eq!((ended.code, &ended.log), (Some(0), &without.log), "{variable}");
        assert_eq!(ended.output, without.output, "{variable}");
    }
    let mut all: Vec<_> = variables.iter().map(|name| (name.as_str(), "")).collect();
    let ended = Process::run(&["--check"], &all).await;
    assert_eq!((ended.code, ended.output), (Some(0), without.output), "{}", ended.log);
    let token = Process::run(&["token", "--sub", "ann"], &all).await;
    assert_eq!(token.code, Some(0), "{}", token.log);
    let help = Process::run(&["--help"], &all).await.output;
    for variable in &variables {
        assert!(help.contains(&format!("[env: {variable}")), "{variable} in\n{help}");
    }
    // With one that is set, no conflict arises.
    for (variable, value) in [
        ("PARLOR_ANY_ORIGIN", "true"),
        ("JWT_SECRET", SECRET),
        ("DATABASE_URL", "sqlite:other.db"),
        ("PARLOR_JWKS_INSECURE", "true"),
    ] {
        all.iter_mut().find(|(name, _)| *name == variable).unwrap().1 = value;
        let ended = Process::run(&["--check"], &all).await;
        assert_eq!(ended.code, Some(0), "{variable}: {}", ended.log);
    }
}

#[tokio::test]
async fn any_origin_and_a_list_are_one_too_many_and_a_variable_that_says_no_is_none() {
    let listed = ("PARLOR_ORIGIN", "https://app.example.com");
    let ended = Process::run(&["--check"], &[("PARLOR_ANY_ORIGIN", "false"), listed]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    let words = ["--any-origin (PARLOR_ANY_ORIGIN)", "--origin (PARLOR_ORIGIN)", "both set"];
    assert_refused(&["--check", "--any-origin"], &[listed], &words).await;
}

#[tokio::test]
async fn an_empty_flag_is_no_choice() {
    for flag in ["--jwt-issuer", "--jwt-audience", "--origin", "--jwks", "--jwt-secret"] {
        assert_refused(&["--check", flag, ""], &[], &[flag]).await;
    }
}

#[tokio::test]
async fn the_files_of_deployments_set_variables_that_there_are() {
    let known = variables().await;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/");
    let mut found = 0;
    for file in ["docker-compose.yml", "Dockerfile", "parlor-server.service"] {
        let text = fs::read_to_string(format!("{folder}{file}")).unwrap();
        // Those of the server's own; Postgres' image has others.
        let names = text.split(|c: char| !c.is_ascii_uppercase() && c != '_');
        let ours = |name: &&str| {
            name.starts_with("PARLOR_") || name.starts_with("JW") || name.ends_with("_URL")
        };
        for name in names.filter(ours) {
            assert!(known.iter().any(|known| known == name), "{name} in {file}");
            found += 1;
        }
    }
    assert!(found >= 6, "{found}");
}

#[tokio::test]
async fn secrets_may_be_in_files() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("secret"), format!("{SECRET}\n")).unwrap();
    fs::write(folder.path().join("database"), "sqlite:from-file.db\n").unwrap();
    let options = ["--check", "--jwt-secret-file", "secret", "--database-file", "database"];
    let ended = Process::run_in(&folder, &options, &[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(ended.output.contains("sqlite:from-file.db"), "{}", ended.output);
    let by_file = ["token", "--sub", "ann", "--jwt-secret-file", "secret"];
    let token = Process::run_in(&folder, &by_file, &[]).await.output;
    let server = Process::start(&["--jwt-secret", SECRET]).await;
    Client::live(server.address, token.trim()).await;
}

#[tokio::test]
async fn a_port_that_is_taken_and_a_file_that_is_in_use_are_said_to_be() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = Process::run(&["--listen", &address], &[]).await;
    assert_eq!(ended.code, Some(1));
    for word in [&address, "another program has it", "--listen (PARLOR_LISTEN)"] {
        assert!(ended.log.contains(word), "{word} in\n{}", ended.log);
    }

    let server = Process::start(&[]).await;
    let ended = Process::run_in(&server.folder(), &["--listen", "127.0.0.1:0"], &[]).await;
    assert_eq!(ended.code, Some(1));
    let last = ended.log.lines().last().unwrap();
    assert!(last.contains("sqlite:parlor.db cannot be opened"), "{last}");
    assert!(last.contains("another process"), "{last}");
}

#[tokio::test]
async fn help_teaches() {
    let ended = Process::run(
        &["--help"],
        &[("JWT_SECRET", "hunter2"), ("DATABASE_URL", "hunter2"), ("JWKS_URL", "hunter2")],
    )
    .await;
    assert_eq!(ended.code, Some(0));
    for word in [
        "Examples:",
        "Storage:",
        "Who may come in:",
        "Limits:",
        "Running:",
        "[env: JWT_SECRET]",
        "--jwks <URL>",
        "/readyz",
        "Exit codes:",
        "[default: 127.0.0.1:3000]",
    ] {
        assert!(ended.output.contains(word), "{word} in\n{}", ended.output);
    }
    assert!(!ended.output.contains("hunter2"));
}
