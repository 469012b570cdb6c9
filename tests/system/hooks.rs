//! Hooks may change, refuse, panic and hang: only the one command feels it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use parlor::{
    Error,
    command::{Command, Reply, Send},
    event::{ChangeBody, Event},
    model::{Identity, UserId},
    traits::{AfterEvent, Hook, Rejection},
};
use tokio::sync::mpsc;

use crate::support::*;

#[derive(Debug)]
struct Moderator {
    told: mpsc::UnboundedSender<(String, Vec<UserId>)>,
}

#[async_trait]
impl Hook for Moderator {
    async fn before(&self, _: Option<&Identity>, command: Command) -> Result<Command, Rejection> {
        let Command::Send(mut send) = command else { return Ok(command) };
        match send.message.body.as_str() {
            "panic" => panic!("a hook of the host panics"),
            "hang" => std::future::pending().await,
            "refuse" => return Err(Rejection::new("mind your language")),
            _ => {}
        }
        send.message.body = send.message.body.replace("darn", "****");
        Ok(Command::Send(send))
    }

    async fn after(&self, event: &AfterEvent) {
        let Event::Change(change) = &*event.event else { return };
        if let ChangeBody::MessageSent { message } = &change.body {
            if message.body == "panic after" {
                panic!("a hook of the host panics");
            }
            let _ = self.told.send((message.body.clone(), event.offline.clone()));
        }
    }
}

#[tokio::test]
async fn a_hook_changes_refuses_panics_and_hangs_for_one_command_alone() {
    let (told, mut heard) = mpsc::unbounded_channel();
    let chat = builder()
        .hook(Arc::new(Moderator { told }))
        .configure(|config| config.hook_deadline = Duration::from_millis(100))
        .build()
        .await
        .unwrap();
    let id = group(&chat, &["ann", "bob", "cem"]).await;
    let _bob = Device::connect(&chat, identity("bob")).await;
    let ann = chat.as_user(identity("ann"));
    let send = |body: &str| {
        let send = Send { conversation_id: id, message: keyed(body, body) };
        ann.dispatch(Command::Send(send))
    };
    let refused = send("refuse").await.unwrap_err();
    assert_eq!(refused.to_string(), "rejected: mind your language");
    for body in ["panic", "hang"] {
        assert!(matches!(send(body).await.unwrap_err(), Error::Unavailable(_)), "{body}");
    }
    let Reply::Sent { message, replayed } = send("darn it").await.unwrap() else { panic!("sent") };
    assert_eq!((message.body.as_str(), replayed), ("**** it", false));
    // The hash was taken before the hook: the retry is recognised.
    let Reply::Sent { replayed, .. } = send("darn it").await.unwrap() else { panic!("sent") };
    assert!(replayed);
    send("panic after").await.unwrap();
    send("last").await.unwrap();
    assert_eq!(heard.recv().await.unwrap(), ("**** it".into(), vec![user("cem")]));
    assert_eq!(heard.recv().await.unwrap().0, "last");
}
