//! Carries a question out on the store itself.

use parlor_core::{
    BackendError, BackendErrorKind,
    store::{Appended, Store, Tried},
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::wire::{MAX_BYTES, MarkedCursor, Outcome, Request, Trouble};

type Answer = Result<Box<RawValue>, Trouble>;

/// Asks the store what was asked, and writes its answer.
pub(super) async fn carry(store: &dyn Store, request: Request) -> Answer {
    match request {
        Request::Create(new) => write(store.create(*new).await),
        Request::Conversation(id) => write(store.conversation(id).await),
        Request::ConversationByNumber(number) => write(store.conversation_by_number(number).await),
        Request::Direct(key) => write(store.direct(&key).await),
        Request::Members(id, after, limit) => write(store.members(id, after.as_ref(), limit).await),
        Request::Member(id, user) => write(store.member(id, &user).await),
        Request::Change(id, actor, change, max_members, now) => {
            write(store.change(id, actor.as_ref(), change, max_members, now).await)
        }
        Request::Memberships(user, after, limit) => {
            write(store.memberships(&user, after, limit).await)
        }
        Request::Arrivals(since, after, limit) => {
            write(store.arrivals(since, after.as_ref(), limit).await)
        }
        Request::List(user, query) => write(store.list(&user, query).await),
        Request::Summary(id, user, unread_cap) => write(store.summary(id, &user, unread_cap).await),
        Request::ChangePrivate(id, user, change, unread_cap) => {
            write(store.change_private(id, &user, change, unread_cap).await)
        }
        Request::PrivateChanges(id, user, since, limit, unread_cap) => {
            write(store.private_changes(id, &user, since, limit, unread_cap).await)
        }
        Request::Heads(ids) => write(store.heads(&ids).await),
        Request::Sharing(user, others) => write(store.sharing(&user, &others).await),
        Request::Epoch => write(store.epoch().await),
        Request::Ping => write(store.ping().await),
        Request::Append(batch) => {
            write(Ok(store.append(batch).await.into_iter().map(outcome).collect::<Vec<_>>()))
        }
        Request::TryAppend(batch) => {
            write(Ok(store.try_append(batch).await.into_iter().map(tried).collect::<Vec<_>>()))
        }
        Request::Revise(conversation, message, actor, revision, now) => {
            write(store.revise(conversation, message, actor.as_ref(), revision, now).await)
        }
        Request::History(id, query) => write(store.history(id, query).await),
        Request::Changes(id, query) => write(store.changes(id, query).await),
        Request::Message(message, viewer) => write(store.message(message, viewer.as_ref()).await),
        Request::Pinned(id, viewer) => write(store.pinned(id, viewer.as_ref()).await),
        Request::Advance(batch, unread_cap) => {
            let advanced = store.advance(batch, unread_cap).await.into_iter();
            write(Ok(advanced.map(|one| one.map_err(Trouble::from)).collect::<Vec<_>>()))
        }
        Request::Cursors(id, limit) => {
            let cursors = store.cursors(id, limit).await;
            write(cursors.map(|all| all.into_iter().map(MarkedCursor::from).collect::<Vec<_>>()))
        }
        Request::UnreadTotal(user, unread_cap) => {
            write(store.unread_total(&user, unread_cap).await)
        }
    }
}

fn outcome(appended: Result<Appended, BackendError>) -> Outcome {
    Some(appended.map_err(Trouble::from))
}

fn tried(tried: Tried) -> Outcome {
    match tried {
        Tried::Answered(appended) => outcome(appended),
        // Who asked has the message still.
        Tried::Locked(_) => None,
    }
}

fn write<T: Serialize>(answer: Result<T, BackendError>) -> Answer {
    let written = serde_json::value::to_raw_value(&answer?)
        .map_err(|error| Trouble::new(BackendErrorKind::Other, error.to_string()))?;
    if written.get().len() > MAX_BYTES {
        let said = format!("an answer of more than {MAX_BYTES} bytes");
        return Err(Trouble::new(BackendErrorKind::Other, said));
    }
    Ok(written)
}
