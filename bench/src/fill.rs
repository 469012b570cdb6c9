//! Fills stores before anything is measured.

use futures::{StreamExt, TryStreamExt, stream};
use parlor::{
    Clock, Limits, SystemClock, Timestamp,
    model::{ClientId, ConversationId, Draft, MessageId, NewMessage, Role, UserId},
    store::{Append, Appended, NewConversation, Store},
};

use crate::Result;

/// Writes that wait together share a commit.
const TOGETHER: usize = 512;

/// The users of a run, by number.
pub(crate) fn user(number: usize) -> Result<UserId> {
    Ok(UserId::new(format!("user-{number:05}"))?)
}

/// Makes a direct conversation of the users 0 and 1, one of 2 and 3, and so on.
pub(crate) async fn pairs(store: &dyn Store, pairs: usize) -> Result<Vec<ConversationId>> {
    let users = (0..pairs).map(|pair| Ok((user(2 * pair)?, user(2 * pair + 1)?)));
    directs(store, users.collect::<Result<_>>()?).await
}

/// Makes direct conversations.
pub(crate) async fn directs(
    store: &dyn Store,
    users: Vec<(UserId, UserId)>,
) -> Result<Vec<ConversationId>> {
    let now = SystemClock.now();
    let made = stream::iter(users).map(|(one, other)| async move {
        let id = ConversationId::new(now);
        let new = NewConversation::direct(id, &one, &other, None, now);
        store.create(new).await.map(|created| created.conversation.id)
    });
    Ok(made.buffered(TOGETHER).try_collect().await?)
}

/// Makes a group of the users 0 to `members` - 1.
pub(crate) async fn group(store: &dyn Store, members: usize) -> Result<ConversationId> {
    let now = SystemClock.now();
    let users = (0..members).map(|number| Ok((user(number)?, Role::Member)));
    let id = ConversationId::new(now);
    let group = NewConversation::group(id, "Everybody".into(), users.collect::<Result<_>>()?, now);
    Ok(store.create(group).await?.conversation.id)
}

/// A text of about 100 bytes, with an idempotency key as clients send it.
pub(crate) fn append(
    conversation: ConversationId,
    sender: &UserId,
    number: usize,
    now: Timestamp,
) -> Result<Append> {
    let message = NewMessage::text(format!("{number:0>100}"))
        .with_client_id(ClientId::new(format!("message-{number}"))?);
    let hash = message.content_hash();
    let draft = Draft::check(message, false, &Limits::default())?;
    let id = MessageId::new(now);
    Ok(Append::new(conversation, id, Some(sender.clone()), draft, hash, now))
}

/// Appends `count` messages of one sender to a conversation.
pub(crate) async fn messages(
    store: &dyn Store,
    conversation: ConversationId,
    sender: &UserId,
    count: usize,
) -> Result<()> {
    const BATCH: usize = 5000;
    for start in (0..count).step_by(BATCH) {
        let now = SystemClock.now();
        let batch = (start..count.min(start + BATCH))
            .map(|number| append(conversation, sender, number, now))
            .collect::<Result<Vec<_>>>()?;
        for outcome in store.append(batch).await {
            if !matches!(outcome?, Appended::Fresh(_)) {
                return Err("the store did not take a message".into());
            }
        }
        let done = count.min(start + BATCH);
        if done.is_multiple_of(100_000) {
            println!("  {done} messages");
        }
    }
    Ok(())
}
