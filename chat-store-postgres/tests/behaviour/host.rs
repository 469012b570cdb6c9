//! Messages within transactions of the host's own, and what those hold up.

use std::{sync::Arc, time::Duration};

use parlor_core::{
    Chat, Resume,
    event::{Change, ChangeBody, Event},
    model::{ConversationId, Identity, MessageKind, NewMessage, ReactionKey},
    store::{Appended, ConversationStore, MessageStore, ReviseOutcome, Revision, Tried},
};
use parlor_store_postgres::{PostgresConfig, PostgresStore};
use sqlx::PgPool;
use tokio::time::timeout;

use crate::support::{SOON, append, bodies, database, fresh, group, host, message, user};

/// A store, the host's own pool with a table of bookings, and a group.
async fn booking() -> (PostgresStore, PgPool, ConversationId) {
    let url = database();
    let store = PostgresStore::connect(&url).await.unwrap();
    let pool = host(&url).await;
    sqlx::query("CREATE TABLE bookings (id int)").execute(&pool).await.unwrap();
    let id = group(&store).await;
    (store, pool, id)
}

async fn chat(store: &PostgresStore, sweep: Duration) -> Chat {
    let chat = Chat::builder(Arc::new(store.clone()));
    chat.configure(|config| config.sweep_interval = sweep).build().await.unwrap()
}

fn confirmed() -> NewMessage {
    NewMessage::text("Your booking is confirmed").with_kind(MessageKind::System)
}

async fn bookings(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM bookings").fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn a_booking_and_its_message_are_both_stored_or_neither() {
    let (store, pool, id) = booking().await;
    let chat = chat(&store, Duration::ZERO).await;
    for commits in [false, true] {
        let mut tx = pool.begin().await.unwrap();
        sqlx::query("INSERT INTO bookings VALUES (1)").execute(&mut *tx).await.unwrap();
        let composed = chat.compose(None, id, confirmed()).unwrap();
        let stored = store.append_in(&mut tx, composed).await.unwrap().stored().unwrap();
        assert_eq!(stored.message.seq, 1);
        if commits {
            tx.commit().await.unwrap()
        } else {
            tx.rollback().await.unwrap()
        }
        let expected = usize::from(commits);
        assert_eq!(bodies(&store, id).await.len(), expected);
        assert_eq!(bookings(&pool).await, i64::from(commits));
        if commits {
            let message = chat.announce(stored);
            assert_eq!(message.body, "Your booking is confirmed");
        }
    }
    assert_eq!(fresh(append(&store, message(id, "a", "thanks")).await).seq, 2);
}

#[tokio::test]
async fn within_the_hosts_transaction_keys_and_members_are_checked_as_always() {
    let (store, pool, id) = booking().await;
    let mut tx = pool.begin().await.unwrap();
    let first = store.append_in(&mut tx, message(id, "a", "one")).await.unwrap();
    assert_eq!(fresh(first.clone()).seq, 1);
    // Not committed yet, and seen all the same by who wrote it.
    let again = store.append_in(&mut tx, message(id, "a", "one")).await.unwrap();
    assert_eq!(again, Appended::Replayed(fresh(first)));
    let other = store.append_in(&mut tx, message(id, "a", "two")).await.unwrap();
    assert_eq!(other, Appended::Conflict);
    let mut foreign = message(id, "b", "three");
    foreign.sender_id = Some(user("mallory"));
    assert_eq!(store.append_in(&mut tx, foreign).await.unwrap(), Appended::NotFound);
    tx.commit().await.unwrap();
    assert_eq!(bodies(&store, id).await, ["one"]);
}

#[tokio::test]
async fn what_the_host_holds_is_left_out_and_the_rest_is_stored() {
    let (store, pool, held) = booking().await;
    let free = group(&store).await;
    let mut tx = pool.begin().await.unwrap();
    fresh(store.append_in(&mut tx, message(held, "h", "by the host")).await.unwrap());
    let batch = vec![
        message(held, "a", "waits"),
        message(free, "b", "goes"),
        message(held, "a", "waits"),
        message(free, "b", "goes"),
    ];
    let tried = timeout(SOON, store.try_append(batch)).await.unwrap();
    assert!(matches!(&tried[0], Tried::Locked(_)), "{tried:?}");
    assert!(matches!(&tried[1], Tried::Answered(Ok(Appended::Fresh(_)))), "{tried:?}");
    assert!(matches!(&tried[2], Tried::Locked(_)), "{tried:?}");
    assert!(matches!(&tried[3], Tried::Answered(Ok(Appended::Replayed(_)))), "{tried:?}");
    tx.commit().await.unwrap();
    assert_eq!(bodies(&store, held).await, ["by the host"]);
}

#[tokio::test]
async fn a_lock_that_is_held_too_long_is_a_retryable_error_of_its_own_conversation() {
    let url = database();
    let config = PostgresConfig::new().lock_timeout(Duration::from_millis(150));
    let store = PostgresStore::connect_with(&url, config).await.unwrap();
    let (held, free) = (group(&store).await, group(&store).await);
    let pool = host(&url).await;
    let mut tx = pool.begin().await.unwrap();
    fresh(store.append_in(&mut tx, message(held, "h", "by the host")).await.unwrap());
    let batch = vec![message(held, "a", "waits"), message(free, "b", "goes")];
    let mut outcomes = timeout(SOON, store.append(batch)).await.unwrap().into_iter();
    assert!(outcomes.next().unwrap().unwrap_err().is_retryable());
    fresh(outcomes.next().unwrap().unwrap());
    tx.rollback().await.unwrap();
    assert_eq!(fresh(append(&store, message(held, "a", "waits")).await).seq, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_wait_for_one_conversation_leave_connections_to_all_others() {
    let (store, pool, held) = booking().await;
    let free = group(&store).await;
    let mut tx = pool.begin().await.unwrap();
    let first = fresh(store.append_in(&mut tx, message(held, "h", "by the host")).await.unwrap());
    let reactions = (0..20).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            let key = ReactionKey::new(format!("r{n}")).unwrap();
            let react = Revision::React { key, on: true, max_distinct: 50 };
            store.revise(held, first.id, Some(&user("ann")), react, first.created_at).await
        })
    });
    let reactions: Vec<_> = reactions.collect();
    for n in 0..50 {
        timeout(Duration::from_secs(2), store.ping()).await.expect("a free connection").unwrap();
        let sent = store.append(vec![message(free, &n.to_string(), "goes")]);
        let sent = timeout(Duration::from_secs(2), sent).await.expect("a free connection");
        assert!(sent[0].is_ok(), "{sent:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tx.commit().await.unwrap();
    for reaction in reactions {
        // All of them, or to be tried again: twenty behind one lock may be more than the time allows.
        match timeout(SOON, reaction).await.unwrap().unwrap() {
            Ok(outcome) => assert!(matches!(outcome, ReviseOutcome::Changed(_)), "{outcome:?}"),
            Err(error) => assert!(error.is_retryable(), "{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_that_the_host_holds_stalls_nobody_else_and_keeps_its_order() {
    let (store, pool, held) = booking().await;
    let free = group(&store).await;
    let chat = chat(&store, Duration::ZERO).await;
    let ann = chat.as_user(Identity::new(user("ann")));
    let mut tx = pool.begin().await.unwrap();
    fresh(store.append_in(&mut tx, message(held, "h", "by the host")).await.unwrap());
    let mut waiting = Vec::new();
    for n in 0..5 {
        let ann = ann.clone();
        let send = async move { ann.send(held, NewMessage::text(format!("waits {n}"))).await };
        let mut send = Box::pin(send);
        // Polled once, so that it is queued before the next.
        assert!(futures::poll!(&mut send).is_pending());
        tokio::time::sleep(Duration::from_millis(1)).await;
        waiting.push(tokio::spawn(send));
        timeout(SOON, ann_sends(&chat, free, n)).await.unwrap();
    }
    assert!(waiting.iter().all(|send| !send.is_finished()));
    tx.commit().await.unwrap();
    for send in waiting {
        timeout(SOON, send).await.unwrap().unwrap().unwrap();
    }
    let expected = ["by the host", "waits 0", "waits 1", "waits 2", "waits 3", "waits 4"];
    assert_eq!(bodies(&store, held).await, expected);
    assert_eq!(store.conversation(held).await.unwrap().unwrap().last_seq, 6);
}

async fn ann_sends(chat: &Chat, to: ConversationId, n: usize) {
    let ann = chat.as_user(Identity::new(user("ann")));
    ann.send(to, NewMessage::text(format!("goes {n}"))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn members_hear_of_what_is_announced_and_of_what_was_forgotten() {
    let (store, pool, id) = booking().await;
    for forgotten in [false, true] {
        let sweep = if forgotten { Duration::from_millis(100) } else { Duration::ZERO };
        let chat = chat(&store, sweep).await;
        let bob = chat.as_user(Identity::new(user("bob")));
        let mut events = bob.subscribe(Resume::new()).await.unwrap();
        let mut tx = pool.begin().await.unwrap();
        let composed = chat.compose(None, id, confirmed()).unwrap();
        let stored = store.append_in(&mut tx, composed).await.unwrap().stored().unwrap();
        tx.commit().await.unwrap();
        let number = stored.message.number;
        if !forgotten {
            chat.announce(stored);
        }
        let heard = async {
            loop {
                if tells_of(&events.next().await.unwrap(), number) {
                    return;
                }
            }
        };
        timeout(SOON, heard).await.unwrap();
    }
}

/// Live, or by a gap that was filled.
fn tells_of(event: &Event, number: u64) -> bool {
    match event {
        Event::Change(Change { body: ChangeBody::MessageSent { message }, .. }) => {
            message.number == number
        }
        other => format!("{other:?}").contains(&format!("number: {number},")),
    }
}
