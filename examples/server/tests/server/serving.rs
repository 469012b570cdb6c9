//! It starts, and two people chat.

use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn without_any_option_it_keeps_messages_in_a_file_and_two_people_chat() {
    let mut server = Process::start(&[]).await;
    server.until_log("no key is configured").await;
    let mut ann = Client::live(server.address, &server.token("ann", &[]).await).await;
    let mut bob = Client::live(server.address, &server.token("bob", &[]).await).await;
    let conversation = ann.direct("bob").await;
    assert_eq!(ann.say(&conversation, "Hello Bob").await["seq"], 1);
    bob.hear("Hello Bob").await;
    bob.say(&conversation, "Hello Ann").await;
    drop((ann, bob));

    // What was acknowledged is there after a restart, and so are the logins.
    let token = server.token("ann", &[]).await;
    let folder = server.folder();
    server.signal("KILL");
    server.ended().await;
    let server = Process::start_in(folder, &[]).await;
    let mut ann = Client::live(server.address, &token).await;
    let history = ann.ask(json!({"type": "history", "conversation_id": conversation})).await;
    let texts: Vec<_> =
        history["messages"].as_array().unwrap().iter().map(|m| &m["body"]).collect();
    assert_eq!(texts, ["Hello Bob", "Hello Ann"]);
    assert!(server.folder().path().join("parlor.db").exists());
}

#[tokio::test]
async fn it_says_that_it_lives_is_ready_and_what_it_has_done() {
    let server = Process::start(&["--jwt-secret", SECRET]).await;
    assert_eq!(server.get("/healthz").await, (200, "alive\n".into()));
    assert_eq!(server.get("/readyz").await, (200, "ready\n".into()));
    let asked = Process::run(&["ready"], &[("PARLOR_LISTEN", &server.address.to_string())]).await;
    assert_eq!((asked.code, asked.output.as_str()), (Some(0), "ready\n"));
    let token = server.token("ann", &["--jwt-secret", SECRET]).await;
    let mut ann = Client::live(server.address, &token).await;
    let conversation = ann.direct("bob").await;
    ann.say(&conversation, "counted").await;
    let (status, figures) = server.get("/metrics").await;
    assert_eq!(status, 200);
    for line in [
        "# TYPE parlor_messages_total counter",
        "parlor_messages_total 1",
        "parlor_connections 1",
        "parlor_commands_total{command=\"send\",outcome=\"ok\"} 1",
        "parlor_batch_size_bucket{le=\"1\"} 1",
        "parlor_build_info{version=",
    ] {
        assert!(figures.lines().any(|found| found.starts_with(line)), "{line} in\n{figures}");
    }
}

#[tokio::test]
async fn metrics_may_have_an_address_of_their_own() {
    let mut server = Process::start(&["--metrics-listen", "127.0.0.1:0"]).await;
    let line = server.until_log("metrics are at http://").await;
    let url = line.split("metrics are at ").nth(1).unwrap().trim();
    let figures = reqwest::get(url).await.unwrap().text().await.unwrap();
    assert!(figures.contains("parlor_build_info"), "{figures}");
    assert_eq!(server.get("/metrics").await.0, 404);
}

#[tokio::test]
async fn the_page_asks_for_a_name_only_where_nothing_can_come_of_it() {
    let login = |address| {
        let request = reqwest::Client::new().post(format!("http://{address}/login"));
        request.json(&json!({"name": "Ann"}))
    };
    let open = Process::start(&[]).await;
    assert!(open.get("/").await.1.contains("data-login=\"name\""));
    let answer = login(open.address).send().await.unwrap();
    let answer: serde_json::Value = answer.json().await.unwrap();
    let mut ann = Client::live(open.address, answer["token"].as_str().unwrap()).await;
    let lounge = ann.ask(json!({"type": "list_conversations"})).await;
    assert_eq!(lounge["conversations"][0]["conversation"]["title"], "Lounge");
    let proxied = login(open.address).header("x-forwarded-for", "203.0.113.7").send().await;
    assert_eq!(proxied.unwrap().status(), 403);
    let foreign = login(open.address).header("host", "chat.example.com").send().await;
    assert_eq!(foreign.unwrap().status(), 403);

    let keyed = Process::start(&["--jwt-secret", SECRET]).await;
    assert!(keyed.get("/").await.1.contains("data-login=\"token\""));
    assert_eq!(login(keyed.address).send().await.unwrap().status(), 404);
    let closed = Process::start(&["--jwt-secret", SECRET, "--page=false"]).await;
    assert_eq!(closed.get("/").await.0, 404);
    assert_eq!(closed.get("/app.js").await.0, 404);
}

#[tokio::test]
async fn tokens_must_be_what_was_asked_for() {
    let demands = ["--jwt-secret", SECRET, "--jwt-issuer", "shop", "--jwt-audience", "chat"];
    let server = Process::start(&demands).await;
    Client::live(server.address, &server.token("ann", &demands).await).await;
    for wrong in [
        &["--jwt-secret", SECRET][..],
        &["--jwt-secret", SECRET, "--jwt-issuer", "shop", "--jwt-audience", "mail"],
        &["--jwt-secret", "8d969eef6ecad3c29a3a629280e686cf0c3f", "--jwt-issuer", "shop"],
    ] {
        let token = server.token("ann", wrong).await;
        assert_eq!(Client::connect(server.address, &token).await.err(), Some(4001), "{wrong:?}");
    }
}

#[tokio::test]
async fn foreign_pages_are_let_in_when_they_are_listed() {
    let asked_by = async |server: &Process, origin: &str| {
        let url = format!("http://{}/chat/conversations", server.address);
        let request = reqwest::Client::new().get(url).header("origin", origin);
        let response = request.send().await.unwrap();
        response
            .headers()
            .get("access-control-allow-origin")
            .map(|v| v.to_str().unwrap().to_owned())
    };
    let server =
        Process::start(&["--origin", "https://a.example", "--origin", "https://b.example"]).await;
    assert_eq!(asked_by(&server, "https://b.example").await.as_deref(), Some("https://b.example"));
    assert_eq!(asked_by(&server, "https://c.example").await, None);
    let server = Process::start(&["--any-origin"]).await;
    assert_eq!(asked_by(&server, "https://c.example").await.as_deref(), Some("*"));
}

#[tokio::test]
async fn the_log_is_text_or_json_and_shows_no_secret() {
    let mut server =
        Process::start(&["--jwt-secret", SECRET, "--log", "debug", "--log-format", "json"]).await;
    let line = server.until_log("serving at").await;
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["database"], "sqlite:parlor.db");
    let token = server.token("ann", &["--jwt-secret", SECRET]).await;
    Client::live(server.address, &token).await;
    server.signal("TERM");
    server.until_log("\"ended\"").await;
    assert!(!server.log().contains(SECRET));
    assert!(!server.log().contains(token.split('.').nth(2).unwrap()));
}
