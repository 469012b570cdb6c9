//! Reads that come together share a round trip, and each is answered for itself.

use std::{
    io,
    str::FromStr,
    sync::{Arc, Mutex},
};

use futures::future::join_all;
use parlor_core::{
    BackendErrorKind,
    model::{ConversationId, UserId},
    store::{ConversationStore, ListQuery, NewConversation},
};
use parlor_store_postgres::PostgresStore;
use sqlx::{
    postgres::{PgConnectOptions, PgPoolOptions},
    query,
};

use crate::support::{append, database, message_of, now, opened, user};

const USERS: usize = 100;

fn name(number: usize) -> UserId {
    user(&format!("user{number}"))
}

/// Direct conversations of each user with the next, and a message in each.
async fn chain(store: &PostgresStore) -> Vec<ConversationId> {
    let mut ids = Vec::new();
    for number in 0..USERS - 1 {
        let (one, other) = (name(number), name(number + 1));
        let id = ConversationId::new(now());
        let direct = NewConversation::direct(id, &one, &other, None, now());
        ids.push(store.create(direct).await.unwrap().conversation.id);
        append(store, message_of(&one, id, &format!("from {one}"))).await;
    }
    ids
}

/// Where a user is, by the chain's numbers.
fn standing(number: usize, ids: &[ConversationId]) -> Vec<ConversationId> {
    let places = number.saturating_sub(1)..=number.min(ids.len() - 1);
    ids[places].to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_ask_at_once_get_each_their_own() {
    let store = opened().await;
    let ids = chain(&store).await;
    let asked = (0..USERS).map(|number| {
        let (store, ids) = (&store, &ids);
        async move {
            let user = name(number);
            let memberships = store.memberships(&user, None, 50);
            let limit = 1 + number % 2;
            let query =
                ListQuery { after: None, limit, archived: None, hidden: false, unread_cap: 10 };
            let list = store.list(&user, query);
            let (memberships, list) = futures::join!(memberships, list);

            let stands: Vec<_> = memberships
                .unwrap()
                .into_iter()
                .map(|place| (place.conversation_id, place.peer))
                .collect();
            let mut expected: Vec<_> = standing(number, ids)
                .into_iter()
                .map(|id| {
                    let is_earlier = ids.iter().position(|other| *other == id) < Some(number);
                    (id, Some(name(if is_earlier { number - 1 } else { number + 1 })))
                })
                .collect();
            expected.sort();
            assert_eq!(stands, expected, "{user}");
            // The newest first, as many as were asked for, with one's own last message and what is unread.
            let newest: Vec<_> =
                standing(number, ids).into_iter().rev().take(1 + number % 2).collect();
            let list = list.unwrap();
            let listed: Vec<_> = list.iter().map(|entry| entry.conversation.id).collect();
            assert_eq!(listed, newest, "{user}");
            for entry in &list {
                let last = entry.last_message.as_ref().unwrap();
                assert_eq!(last.conversation_id, entry.conversation.id);
                let others = last.sender_id.as_ref() != Some(&user);
                assert_eq!(entry.me.unread, u32::from(others), "{user}");
            }
        }
    });
    join_all(asked).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_one_is_not_told_to_others() {
    let store = opened().await;
    let ids = chain(&store).await;
    let spoil = "UPDATE parlor.conversations SET kind = 9 WHERE id = $1";
    query(spoil).bind(ids[50].0).execute(store.pool()).await.unwrap();
    let asked = (0..USERS).map(|number| {
        let store = &store;
        async move { store.memberships(&name(number), None, 50).await }
    });
    for (number, answer) in join_all(asked).await.into_iter().enumerate() {
        if number == 50 || number == 51 {
            assert_eq!(answer.unwrap_err().kind(), BackendErrorKind::Corrupt);
        } else {
            assert_eq!(answer.unwrap().len(), standing(number, &ids).len());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_away_leaves_the_others_their_answers() {
    let store = opened().await;
    let ids = chain(&store).await;
    for _ in 0..20 {
        let asked = (0..USERS).map(|number| {
            let (store, ids) = (store.clone(), ids.clone());
            tokio::spawn(async move {
                let memberships = store.memberships(&name(number), None, 50).await.unwrap();
                assert_eq!(memberships.len(), standing(number, &ids).len());
            })
        });
        for (number, task) in asked.collect::<Vec<_>>().into_iter().enumerate() {
            if number % 3 == 0 {
                task.abort();
            } else {
                task.await.unwrap();
            }
        }
    }
}

/// The log, kept.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn statements_are_not_compiled_and_a_pool_that_does_is_warned_of() {
    let own = opened().await;
    let jit: String = sqlx::query_scalar("SHOW jit").fetch_one(own.pool()).await.unwrap();
    assert_eq!(jit, "off");
    for (jit, warned) in [("on", true), ("off", false)] {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
        // The test's runtime has this one thread.
        let guard = tracing_subscriber::util::SubscriberInitExt::set_default(subscriber);
        let options = PgConnectOptions::from_str(&database()).unwrap().options([("jit", jit)]);
        let pool = PgPoolOptions::new().connect_with(options).await.unwrap();
        PostgresStore::new(pool).await.unwrap();
        drop(guard);
        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert_eq!(log.contains("jit = on"), warned, "{log}");
    }
}
