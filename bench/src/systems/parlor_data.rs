//! Fills and reads parlor's stores.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use parlor::{
    Clock, Limits, SystemClock, Timestamp,
    model::{ClientId, ConversationId, Draft, MessageId, NewMessage, Role},
    store::{Advance, Append, Appended, HistoryQuery, NewConversation, Page, Store},
};

use super::user_id;
use crate::{
    Result,
    load::{Acknowledged, Body, Known},
};

/// Writes that wait together share a commit.
const TOGETHER: usize = 512;

/// Makes direct conversations.
pub(crate) async fn directs(
    store: &dyn Store,
    pairs: &[(usize, usize)],
) -> Result<Vec<ConversationId>> {
    let now = SystemClock.now();
    let made = stream::iter(pairs).map(|&(one, other)| async move {
        let id = ConversationId::new(now);
        let new = NewConversation::direct(id, &user_id(one)?, &user_id(other)?, None, now);
        Result::Ok(store.create(new).await?.conversation.id)
    });
    made.buffered(TOGETHER).try_collect().await
}

/// Makes a group of the users from 0.
pub(crate) async fn group(store: &dyn Store, members: usize) -> Result<ConversationId> {
    let now = SystemClock.now();
    let users = (0..members).map(|number| Ok((user_id(number)?, Role::Member)));
    let id = ConversationId::new(now);
    let group = NewConversation::group(id, "Everybody".into(), users.collect::<Result<_>>()?, now);
    Ok(store.create(group).await?.conversation.id)
}

/// What a device has of a conversation that it knows as it is now.
pub(crate) async fn known(
    store: &dyn Store,
    conversation: ConversationId,
    user: usize,
) -> Result<Known> {
    let summary = store.summary(conversation, &user_id(user)?, 1).await?.ok_or("no member")?;
    Ok(Known {
        conversation_id: conversation.to_string(),
        rev: summary.conversation.rev,
        member_rev: summary.me.member_rev,
    })
}

/// Has a user read a conversation up to a seq.
pub(crate) async fn read(
    store: &dyn Store,
    conversation: ConversationId,
    user: usize,
    through: u64,
) -> Result<()> {
    let advance = Advance {
        conversation_id: conversation,
        user_id: user_id(user)?,
        delivered_seq: None,
        read_seq: Some(through),
    };
    for moved in store.advance(vec![advance], 1).await {
        moved?;
    }
    Ok(())
}

/// Appends `count` messages to each conversation, all of one sender.
pub(crate) async fn messages(
    store: &dyn Store,
    conversations: &[(ConversationId, usize)],
    count: usize,
) -> Result<()> {
    const BATCH: usize = 5000;
    let all = conversations.iter().flat_map(|&(conversation, sender)| {
        (1..=count as u64).map(move |number| (conversation, Body { sender, number, sent: 0 }))
    });
    let mut all = all.peekable();
    while all.peek().is_some() {
        let now = SystemClock.now();
        let batch = all.by_ref().take(BATCH).map(|(id, body)| append(id, body, now));
        for outcome in store.append(batch.collect::<Result<Vec<_>>>()?).await {
            if !matches!(outcome?, Appended::Fresh(_)) {
                return Err("the store did not take a message".into());
            }
        }
    }
    Ok(())
}

fn append(conversation: ConversationId, body: Body, now: Timestamp) -> Result<Append> {
    let sender = user_id(body.sender)?;
    let message = NewMessage::text(body.text())
        .with_client_id(ClientId::new(format!("{}-{}", body.sender, body.number))?);
    let hash = message.content_hash();
    let draft = Draft::check(message, false, &Limits::default())?;
    Ok(Append::new(conversation, MessageId::new(now), Some(sender), draft, hash, now))
}

/// Every conversation holds exactly what was acknowledged, without a hole, each sender's messages in order.
pub(crate) async fn check(store: &dyn Store, acknowledged: &[Acknowledged]) -> Result<()> {
    const PAGE: usize = 1000;
    let mut expected: BTreeMap<&str, BTreeMap<usize, u64>> = BTreeMap::new();
    for Acknowledged { conversation, sender, count } in acknowledged {
        if *count == 0 {
            continue;
        }
        expected.entry(conversation).or_default().insert(*sender, *count);
    }
    for (conversation, expected) in expected {
        let id: ConversationId = conversation.parse()?;
        let (mut seq, mut found) = (0, BTreeMap::<usize, u64>::new());
        loop {
            let query = HistoryQuery { viewer: None, page: Page::After(seq), limit: PAGE };
            let page = store.history(id, query).await?.ok_or("an unknown conversation")?;
            for message in &page.messages {
                seq += 1;
                let body = Body::read(&message.body).ok_or("a message of somebody else")?;
                let count = found.entry(body.sender).or_default();
                *count += 1;
                if message.seq != seq || body.number != *count {
                    return Err(
                        format!("{conversation} holds {body:?} as seq {}", message.seq).into()
                    );
                }
            }
            if !page.has_more {
                break;
            }
        }
        if found != expected {
            return Err(
                format!("{conversation}: acknowledged {expected:?}, stored {found:?}").into()
            );
        }
    }
    Ok(())
}
