//! The servers start, break, and come back.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use parlor_test_services::{Postgres, Proxy, Redis};

fn ping(address: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut answer = [0; 7];
    stream.write_all(b"PING\r\n").ok()?;
    stream.read_exact(&mut answer).ok()?;
    Some(String::from_utf8_lossy(&answer).into_owned())
}

#[test]
fn postgres_keeps_what_was_committed_over_a_crash() {
    let postgres = Postgres::start().unwrap();
    let (one, other) = (postgres.database(), postgres.database());
    assert_ne!(one, other);
    postgres.psql(&one, "CREATE TABLE t (n int); INSERT INTO t VALUES (7)");
    postgres.restart();
    assert_eq!(postgres.psql(&one, "SELECT n FROM t").trim(), "7");
    postgres.kill();
    assert!(TcpStream::connect(postgres.address()).is_err());
    postgres.revive();
    assert_eq!(postgres.psql(&one, "SELECT n FROM t").trim(), "7");
    assert!(postgres.pids().len() > 1);
    let address = postgres.address();
    drop(postgres);
    assert!(TcpStream::connect(address).is_err(), "it ends with its value");
}

#[test]
fn redis_dies_and_comes_back_on_the_same_port() {
    let redis = Redis::start().unwrap();
    assert_eq!(ping(redis.address()).as_deref(), Some("+PONG\r\n"));
    redis.kill();
    assert_eq!(ping(redis.address()), None);
    redis.revive();
    assert_eq!(ping(redis.address()).as_deref(), Some("+PONG\r\n"));
    redis.freeze();
    let frozen = std::thread::spawn({
        let address = redis.address();
        move || ping(address)
    });
    std::thread::sleep(Duration::from_millis(300));
    assert!(!frozen.is_finished(), "nothing is answered");
    redis.thaw();
    assert_eq!(frozen.join().unwrap().as_deref(), Some("+PONG\r\n"));
    assert_eq!(redis.command(&["ECHO", "hello"]), "hello");
    let address = redis.address();
    drop(redis);
    assert_eq!(ping(address), None, "it ends with its value");
}

#[test]
fn a_path_swallows_is_cut_and_heals() {
    let redis = Redis::start().unwrap();
    let proxy = Proxy::start(redis.address()).unwrap();
    let mut stream = TcpStream::connect(proxy.address()).unwrap();
    let mut answer = [0; 7];
    stream.write_all(b"PING\r\n").unwrap();
    stream.read_exact(&mut answer).unwrap();
    proxy.black_hole();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    stream.write_all(b"PING\r\n").unwrap();
    assert!(stream.read_exact(&mut answer).is_err(), "nothing comes out of a black hole");
    proxy.heal();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.read_exact(&mut answer).unwrap();
    proxy.cut();
    assert_eq!(stream.read(&mut answer).unwrap_or(0), 0);
    assert_eq!(ping(proxy.address()), None);
    proxy.heal();
    assert_eq!(ping(proxy.address()).as_deref(), Some("+PONG\r\n"));
}
