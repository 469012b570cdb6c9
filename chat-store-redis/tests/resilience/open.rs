//! URLs and configuration: what they say, and what they never show.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt, time::Duration};

use parlor_core::{
    BackendErrorKind,
    model::{NodeId, PresenceStatus},
    traits::Lease,
};
use parlor_store_redis::{RedisBackends, RedisConfig};
use parlor_test_services::Redis;

use crate::support::{Node, open, patient, user};

#[tokio::test(flavor = "multi_thread")]
async fn a_password_by_url_opens_the_door_and_is_shown_nowhere() {
    let redis = Redis::start_with(&["--requirepass", "p@ss/w#rd"]).unwrap();
    let right = format!("redis://:p%40ss%2Fw%23rd@{}", redis.address());
    let backends = open(&right, patient()).await;
    backends.ping().await.unwrap();
    let (one, mut other) = (Node::new(&backends), Node::new(&backends));
    other.join("ann").await;
    one.publish("ann", "hello").await;
    assert_eq!(other.next().await, "hello");
    let shown = format!("{backends:?} {:?} {:?}", backends.presence(), other.bus);
    assert!(!shown.contains("w#rd") && !shown.contains("w%23rd"), "{shown}");

    for wrong in ["redis://:not-it@", "redis://"] {
        let backends = open(&format!("{wrong}{}", redis.address()), patient()).await;
        let error = backends.ping().await.unwrap_err();
        assert_eq!(error.kind(), BackendErrorKind::Configuration, "{error}");
        assert!(!error.to_string().contains("not-it"), "{error}");
        let call = backends.presence().get(&[user("ann")]).await.unwrap_err();
        assert!(call.is_retryable(), "the password may be made right: {call}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_by_url_and_a_database_of_its_own() {
    // The rights that the documentation asks for, and that of choosing a database.
    let commands = "publish subscribe unsubscribe evalsha script|load ping hello time hgetall hget \
                    hset hdel del get set pexpire pexpireat select";
    let rights: Vec<String> = commands.split(' ').map(|command| format!("+{command}")).collect();
    let mut account = vec!["--user", "ann", "on", ">secret", "~parlor:*", "&parlor:*"];
    account.extend(rights.iter().map(String::as_str));
    let redis = Redis::start_with(&account).unwrap();
    let backends = open(&format!("redis://ann:secret@{}/3", redis.address()), patient()).await;
    backends.ping().await.unwrap();
    let (one, mut other) = (Node::new(&backends), Node::new(&backends));
    other.join("ann").await;
    one.publish("ann", "hello").await;
    assert_eq!(other.next().await, "hello");
    other.bus.part(vec![crate::support::topic("ann")]).await.unwrap();
    let quota = parlor_core::traits::Quota::new(1, 1);
    backends.rate_limiter().take("sends", "ann", quota).await.unwrap();
    let (presence, node) = (backends.presence(), NodeId::random());
    let lease = |status| Lease { user_id: user("bob"), status, ttl: Duration::from_secs(60) };
    for status in [PresenceStatus::Away, PresenceStatus::Busy] {
        presence.renew(node, vec![lease(status)]).await.unwrap();
        assert_eq!(presence.get(&[user("bob")]).await.unwrap()[0].status, status);
    }
    presence.release(node, vec![user("bob")]).await.unwrap();
    assert_eq!(redis.command(&["-n", "3", "DBSIZE"]), "2", "a count and a last sight");
    let nobody = open(&format!("redis://bob:secret@{}", redis.address()), patient()).await;
    let error = nobody.ping().await.unwrap_err();
    assert_eq!(error.kind(), BackendErrorKind::Configuration, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_url_is_named_and_its_password_is_not() {
    for (url, named) in [
        ("", "URL of Redis"),
        ("127.0.0.1:6379", "URL of Redis"),
        ("localhost:6379", "begins with redis://"),
        ("postgres://ann:s3cret@localhost", "begins with redis:// or rediss://, not postgres://"),
        ("redis://ann:s3cret@localhost:99999", "port"),
        ("redis://ann:s3cret@", "host"),
        ("redis://:s3cret/x@localhost", "percent-encoded"),
        ("redis://:s3cret#x@localhost", "percent-encoded"),
        ("redis://ann:s3cret@localhost/first", "database"),
        ("redis://:s3cret@localhost/0?protocol=resp9", "protocol"),
        ("rediss://:s3cret@localhost/#secure", "#insecure"),
        ("rediss://:s3cret@localhost/#insecure", "insecure"),
    ] {
        let error = RedisBackends::open(url).await.expect_err(url);
        assert_eq!(error.kind(), BackendErrorKind::Configuration, "{url}");
        let text = format!("{error} {error:?}");
        assert!(text.contains(named), "{url}: {text}");
        assert!(!text.contains("s3cret"), "{url}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_configuration_is_named() {
    for prefix in ["", "a b", "chat{1}", "é", &"x".repeat(65)] {
        let config = RedisConfig::new().prefix(prefix);
        let error = RedisBackends::open_with("redis://localhost", config).await.unwrap_err();
        assert_eq!(error.kind(), BackendErrorKind::Configuration);
        assert!(error.to_string().contains("prefix"), "{error}");
    }
    let config = RedisConfig::new().root_certificates("no certificate");
    let error = RedisBackends::open_with("rediss://localhost", config).await.unwrap_err();
    assert_eq!(error.kind(), BackendErrorKind::Configuration);
    assert!(error.to_string().contains("root_certificates"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_trusts_the_given_certificates_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    // The server runs as somebody else.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let ca = include_str!("../tls/ca.pem");
    let files = [
        ("ca.pem", ca),
        ("server.pem", include_str!("../tls/server.pem")),
        ("server.key", include_str!("../tls/server.key")),
    ];
    let [ca_file, certificate, key] = files.map(|(name, content)| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        path.to_str().unwrap().to_owned()
    });
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let redis = Redis::start_with(&[
        "--tls-port",
        &port,
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &ca_file,
        "--tls-auth-clients",
        "no",
        "--requirepass",
        "secret",
    ])
    .unwrap();
    let url = format!("rediss://:secret@localhost:{port}");
    let backends = open(&url, patient().root_certificates(ca)).await;
    backends.ping().await.unwrap();
    let (one, mut other) = (Node::new(&backends), Node::new(&backends));
    other.join("ann").await;
    one.publish("ann", "secret").await;
    assert_eq!(other.next().await, "secret");
    let suspicious = open(&url, patient()).await;
    let error = suspicious.ping().await.unwrap_err();
    assert!(error.to_string().to_lowercase().contains("certificate"), "{error}");
    drop(redis);
}
