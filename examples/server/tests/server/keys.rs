//! Tokens are checked with keys that an identity provider publishes.

use axum::http::StatusCode;

use crate::support::*;

async fn accepts(server: &Process, token: &str) -> bool {
    match Client::connect(server.address, token).await {
        Ok(_) => true,
        Err(4001) => false,
        Err(code) => panic!("closed with {code}"),
    }
}

#[tokio::test]
async fn keys_of_all_kinds_are_fetched_and_the_audience_is_asked_for() {
    let (rsa, ec, ed) = (Signer::rsa("r"), Signer::ec("c"), Signer::ed("d"));
    let issuer = Issuer::start(&[&rsa, &ec, &ed]).await;
    let server = Process::start(&["--jwks", &issuer.url(), "--jwt-audience", "chat"]).await;
    for signer in [&rsa, &ec, &ed] {
        Client::live(server.address, &signer.token("ann")).await;
    }
    assert_eq!(issuer.asked(), 1);
    let server = Process::start(&["--jwks", &issuer.url(), "--jwt-audience", "mail"]).await;
    assert!(!accepts(&server, &rsa.token("ann")).await);
}

#[tokio::test]
async fn a_new_key_is_found_when_a_token_names_it_and_not_asked_for_again_soon() {
    let (old, new, unknown) = (Signer::rsa("old"), Signer::ec("new"), Signer::ed("unknown"));
    let issuer = Issuer::start(&[&old]).await;
    let cooldown = ["--jwks-cooldown", "1s"];
    let server = Process::start(&[&["--jwks", &issuer.url()][..], &cooldown].concat()).await;
    assert!(accepts(&server, &old.token("ann")).await);
    issuer.publish(&[&new]);
    // The fetch at start was a moment ago; the cooldown holds for it, too.
    let found = async { while !accepts(&server, &new.token("ann")).await {} };
    tokio::time::timeout(PATIENCE, found).await.expect("the new key");
    assert_eq!(issuer.asked(), 2);
    assert!(!accepts(&server, &old.token("ann")).await, "a key that is gone counts no more");

    let server = Process::start(&["--jwks", &issuer.url(), "--jwks-cooldown", "1h"]).await;
    let asked = issuer.asked();
    let strangers = async {
        for _ in 0..20 {
            assert!(!accepts(&server, &unknown.token("ann")).await);
        }
    };
    tokio::time::timeout(PATIENCE, strangers).await.expect("nobody waits");
    assert_eq!(issuer.asked(), asked, "strangers' tokens do not make it ask");
    assert!(accepts(&server, &new.token("ann")).await);
}

#[tokio::test]
async fn many_tokens_with_a_new_key_ask_once_and_all_come_in() {
    let (old, new) = (Signer::rsa("old"), Signer::ec("new"));
    let issuer = Issuer::start(&[&old]).await;
    let options = ["--jwks", &issuer.url(), "--jwks-cooldown", "500ms"];
    let server = Process::start(&options).await;
    issuer.publish(&[&new]);
    let waiting = async { while !accepts(&server, &new.token("u")).await {} };
    tokio::time::timeout(PATIENCE, waiting).await.expect("the new key");
    let newer = Signer::ed("newer");
    issuer.publish(&[&newer]);
    // When the cooldown is over the first that asks makes it fetch, and the others wait for the same fetch.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let asked = issuer.asked();
    let comers = (0..20).map(|number| {
        let token = newer.token(&format!("user-{number}"));
        let address = server.address;
        tokio::spawn(async move { Client::connect(address, &token).await.is_ok() })
    });
    for comer in comers.collect::<Vec<_>>() {
        assert!(comer.await.unwrap());
    }
    assert_eq!(issuer.asked(), asked + 1);
}

#[tokio::test]
async fn while_the_source_is_down_the_last_keys_stay() {
    let (old, new) = (Signer::rsa("old"), Signer::ec("new"));
    let mut issuer = Issuer::start(&[&old]).await;
    let often = ["--jwks-refresh", "200ms", "--jwks-cooldown", "200ms"];
    let mut server = Process::start(&[&["--jwks", &issuer.url()][..], &often].concat()).await;
    for (status, body) in [
        (StatusCode::SERVICE_UNAVAILABLE, String::new()),
        (StatusCode::OK, "<html>".into()),
        (StatusCode::OK, r#"{"keys":[]}"#.into()),
        // With spaces, which JSON allows, longer than anybody needs.
        (StatusCode::OK, format!("{}{}", Issuer::document(&[&new]), " ".repeat(300_000))),
    ] {
        issuer.answer_with(status, body);
        let asked = issuer.asked();
        issuer.until_asked(asked + 2).await;
        assert!(accepts(&server, &old.token("ann")).await);
        assert!(!accepts(&server, &new.token("ann")).await);
    }
    server.until_log("keys cannot be fetched; the last ones stay").await;
    issuer.publish(&[&new]);
    server.until_log("keys can be fetched again").await;
    assert!(accepts(&server, &new.token("ann")).await);
}

#[tokio::test]
async fn without_any_keys_it_does_not_start() {
    let issuer = Issuer::start(&[]).await;
    issuer.answer_with(StatusCode::NOT_FOUND, String::new());
    let options = ["--jwks", &issuer.url(), "--start-timeout", "600ms"];
    let ended = Process::run(&[&options[..], &["--listen", "127.0.0.1:0"]].concat(), &[]).await;
    assert_eq!(ended.code, Some(1));
    assert!(issuer.asked() > 1, "it tries again");
    assert!(ended.log.contains("trying again"), "{}", ended.log);
    let last = ended.log.lines().last().unwrap();
    assert!(last.contains("cannot be fetched: http status: 404"), "{last}");
    assert!(last.contains("--jwks (JWKS_URL)"), "{last}");
}

#[tokio::test]
async fn secrets_in_the_url_are_used_and_not_shown() {
    let signer = Signer::rsa("r");
    let issuer = Issuer::start(&[&signer]).await;
    let secret = issuer.url().replace("http://", "http://shop:hunter2@") + "?api_key=hunter2";
    let variable = [("JWKS_URL", secret.as_str())];
    let checked = Process::run(&["--check"], &variable).await;
    assert_eq!(checked.code, Some(0), "{}", checked.output);
    assert!(checked.output.contains(&format!("keys: ok, {}\n", issuer.url())), "{checked:?}");
    let (path, user) = issuer.last_asked();
    assert_eq!(path, "/keys?api_key=hunter2");
    assert_eq!(user.as_deref(), Some("Basic c2hvcDpodW50ZXIy"));
    let helped = Process::run(&["--help"], &variable).await;

    let often = ["--jwks-refresh", "200ms", "--jwks-cooldown", "200ms", "--log", "trace"];
    let mut server = Process::start(&[&["--jwks", &secret][..], &often].concat()).await;
    issuer.answer_with(StatusCode::SERVICE_UNAVAILABLE, String::new());
    server.until_log("keys cannot be fetched; the last ones stay").await;
    issuer.answer_with(StatusCode::NOT_FOUND, String::new());
    let failed = Process::run(&["--check", "--jwks", &secret], &[]).await;
    let once = ["--jwks", &secret, "--start-timeout", "1ms", "--listen", "127.0.0.1:0"];
    let ended = Process::run(&once, &[]).await;
    assert_eq!((failed.code, ended.code), (Some(1), Some(1)));
    for said in [format!("{checked:?}{helped:?}{failed:?}{ended:?}"), server.log()] {
        assert!(!said.contains("hunter2"), "{said}");
        assert!(!said.contains("c2hvcDpodW50ZXIy"), "{said}");
    }
}

#[tokio::test]
async fn plain_http_is_for_this_machine_unless_it_is_asked_for() {
    let signer = Signer::rsa("r");
    let issuer = Issuer::start(&[&signer]).await;
    let here = issuer.url().replace("127.0.0.1", "localhost");
    let ended = Process::run(&["--check", "--jwks", &here], &[]).await;
    assert_eq!(ended.code, Some(0), "{}{}", ended.output, ended.log);

    let far = "http://login.invalid/keys?api_key=hunter2";
    let ended = Process::run(&["--check", "--jwks", far], &[]).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    for word in ["--jwks (JWKS_URL)", "http://login.invalid/keys", "https://", "--jwks-insecure"] {
        assert!(ended.log.contains(word), "{word} in\n{}", ended.log);
    }
    assert!(!ended.log.contains("hunter2"), "{}", ended.log);
    let ended = Process::run(&["--check", "--jwks", far, "--jwks-insecure"], &[]).await;
    assert_eq!(ended.code, Some(1), "it was tried: {ended:?}");

    // Nor is one followed there.
    issuer.redirect_to("http://login.invalid/keys");
    let ended = Process::run(&["--check", "--jwks", &issuer.url()], &[]).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.output.contains("http status: 302"), "{}", ended.output);
}
