//! The first pass: conversations.

use std::collections::BTreeMap;

use parlor::{
    Limits, Timestamp,
    model::{ConversationId, DirectKey, Role, UserId},
    store::{Created, NewConversation},
};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{
    Target,
    report::Report,
    source::{Pass, Source, SourceConversation},
};
use crate::failure::Failure;

/// Makes ids of what has numbers in the source; any fixed UUID serves.
pub(super) const NAMESPACE: Uuid = Uuid::from_u128(0x7061_726c_6f72_4d69_8772_6174_696f_6e01);
/// Conversations that are made at once.
const AT_ONCE: usize = 100;

/// Makes every conversation that is not there.
pub(super) async fn import(source: &mut Source, target: &Target) -> Result<Report, Failure> {
    let mut report = Report::new("conversations", source.start(Pass::Conversations).await?);
    loop {
        let page = source.conversations().await?;
        if page.is_empty() {
            return Ok(report.finish());
        }
        let mut new = Vec::with_capacity(page.len());
        for row in page {
            match read(&row, &target.limits) {
                Ok(conversation) => new.push(conversation),
                Err(reason) => report.skipped(row.key.as_deref().unwrap_or("a pair"), reason),
            }
        }
        for part in new.chunks(AT_ONCE) {
            create(target, part, &mut report).await?;
        }
        report.progress();
    }
}

async fn create(
    target: &Target,
    part: &[NewConversation],
    report: &mut Report,
) -> Result<(), Failure> {
    let mut making = JoinSet::new();
    for new in part {
        let (store, new) = (target.store.clone(), new.clone());
        making.spawn(async move { store.create(new).await });
    }
    while let Some(made) = making.join_next().await {
        let made = made.map_err(|error| Failure::Start(format!("the database failed: {error}")))?;
        match made {
            Ok(Created { fresh: true, .. }) => report.imported(),
            Ok(Created { fresh: false, .. }) => report.present(),
            Err(error) => return Err(unwritable(&error)),
        }
    }
    Ok(())
}

fn read(row: &SourceConversation, limits: &Limits) -> Result<NewConversation, String> {
    let users = users(row.users.as_deref())?;
    let created_at = row.created_ms.map(Timestamp::from_millis).ok_or("has no time")?;
    let id = conversation_id(row.id.as_deref(), &users);
    if let [one, other] = &users[..] {
        return Ok(NewConversation::direct(id, one, other, None, created_at));
    }
    if users.len() > limits.group_members {
        return Err(format!("has more than {} members", limits.group_members));
    }
    let title = row.title.clone().filter(|title| is_title(title, limits));
    let title = title.unwrap_or_else(|| "Group".to_owned());
    let mut members: BTreeMap<UserId, Role> =
        users.iter().map(|user| (user.clone(), Role::Member)).collect();
    // Somebody has to be the owner; the source does not say who.
    if let Some(owner) = users.first() {
        members.insert(owner.clone(), Role::Owner);
    }
    Ok(NewConversation::group(id, title, members, created_at))
}

fn is_title(title: &str, limits: &Limits) -> bool {
    !title.trim().is_empty()
        && title.len() <= limits.title_bytes
        && !title.chars().any(char::is_control)
}

/// The people of a conversation, in the source's order.
pub(super) fn users(users: Option<&[Option<String>]>) -> Result<Vec<UserId>, String> {
    let users = users.unwrap_or_default();
    let read = |user: &Option<String>| {
        let user = user.as_deref().ok_or("has a participant without an id")?;
        UserId::new(user)
            .map_err(|invalid| format!("has a participant whose id {}", invalid.reason))
    };
    let users = users.iter().map(read).collect::<Result<Vec<_>, String>>()?;
    if users.is_empty() { Err("has no participants".into()) } else { Ok(users) }
}

/// The id that a conversation gets: its own where that is a UUID, else one that is the same at every run.
pub(super) fn conversation_id(id: Option<&str>, users: &[UserId]) -> ConversationId {
    let uuid = match (id, users) {
        (Some(id), _) => uuid_of("conversation", id),
        (None, [one, other]) => uuid_of("pair", DirectKey::new(one, other, None).as_str()),
        (None, _) => uuid_of("pair", ""),
    };
    ConversationId(uuid)
}

/// A UUID of the source's own, or one made of its id.
pub(super) fn uuid_of(kind: &str, id: &str) -> Uuid {
    match Uuid::parse_str(id) {
        Ok(uuid) if uuid.hyphenated().to_string() == id => uuid,
        _ => Uuid::new_v5(&NAMESPACE, format!("{kind}:{id}").as_bytes()),
    }
}

/// The store does not take what it should.
pub(super) fn unwritable(error: &parlor::BackendError) -> Failure {
    Failure::Start(format!(
        "the database failed: {error}. What was imported stays; run it again to go on."
    ))
}
