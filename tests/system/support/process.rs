//! The quickstart as a process of its own, to be killed.

use std::{net::SocketAddr, path::Path, process::Stdio, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader, copy, sink},
    process::{Child, Command},
    time::timeout,
};

use super::{Client, device::PATIENCE, id_in};

pub(crate) struct Quickstart {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Quickstart {
    /// Starts it on this database and waits until it listens.
    pub(crate) async fn start(database: &Path) -> Self {
        // `cargo test` builds a package's examples beside its tests.
        let test = std::env::current_exe().unwrap();
        let profile = test.parent().unwrap().parent().unwrap();
        let binary = profile.join("examples").join("quickstart");
        assert!(binary.exists(), "cargo test without a filter of targets builds {binary:?}");
        let mut child = Command::new(binary)
            .env("PORT", "0")
            .env("PARLOR_DB", database)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let listening = async {
            let mut line = String::new();
            loop {
                line.clear();
                assert_ne!(output.read_line(&mut line).await.unwrap(), 0, "it ended");
                if let Some((_, address)) = line.trim_end().split_once("listening on http://") {
                    return address.parse().unwrap();
                }
            }
        };
        let address =
            timeout(Duration::from_secs(30), listening).await.expect("it listens in time");
        tokio::spawn(async move { copy(&mut output, &mut sink()).await });
        Self { child, address }
    }

    /// Logs in as this user: a token.
    pub(crate) async fn login(&self, name: &str) -> String {
        let url = format!("http://{}/login", self.address);
        let request = reqwest::Client::new().post(url).json(&json!({"name": name}));
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        answer["token"].as_str().unwrap().to_owned()
    }

    /// SIGKILL: no destructor runs, nothing is flushed.
    pub(crate) async fn kill(mut self) {
        timeout(PATIENCE, self.child.kill()).await.expect("it dies").unwrap();
    }

    /// The resident set of the process, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = format!("/proc/{}/status", self.child.id().expect("it runs"));
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

/// The group of everybody who has logged in.
pub(crate) async fn lounge(client: &mut Client) -> parlor::model::ConversationId {
    let list = client.result(json!({"type": "list_conversations"})).await;
    id_in(&list["conversations"][0]["conversation"])
}
