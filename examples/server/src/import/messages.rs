//! The second pass: messages, conversation by conversation and in their order, then how far each member has read.

use std::time::Duration;

use parlor::{
    BackendError, Limits, Timestamp,
    model::{
        Attachment, ClientId, ConversationId, DirectKey, Draft, Message, MessageId, MessageKind,
        NewMessage, UserId,
    },
    store::{Advance, Append, Appended},
};

use super::{
    Target,
    conversations::{conversation_id, unwritable, users, uuid_of},
    report::Report,
    source::{Pass, Source, SourceMessage},
};
use crate::failure::Failure;

/// Cursors that are moved at once.
const CURSORS: usize = 500;
/// Attempts at a batch that the database may take later.
const ATTEMPTS: u32 = 5;

/// The conversation that the pass is at.
struct Place {
    key: Option<String>,
    /// Or why its messages are skipped.
    found: Result<(ConversationId, Vec<UserId>), String>,
}

/// How far the members of a conversation have read, as its messages go by.
struct Reading {
    id: ConversationId,
    members: Vec<(UserId, Progress)>,
}

#[derive(Default)]
struct Progress {
    read: u64,
    /// Something before is unread: later marks as read cannot count.
    stopped: bool,
}

/// A message that is ready, with what the source knows of it.
struct Ready {
    append: Append,
    users: Vec<UserId>,
    row: String,
    is_read: bool,
}

/// Appends every message that is not there.
pub(super) async fn import(source: &mut Source, target: &Target) -> Result<Report, Failure> {
    let mut report = Report::new("messages", source.start(Pass::Messages).await?);
    let mut place: Option<Place> = None;
    let mut reading: Option<Reading> = None;
    let mut cursors = Vec::new();
    loop {
        let page = source.messages().await?;
        if page.is_empty() {
            break;
        }
        let mut batch = Vec::with_capacity(page.len());
        for row in page {
            let here = match place.take() {
                Some(here) if here.key == row.key => here,
                _ => find(target, &row).await?,
            };
            let name = row.id.clone().unwrap_or_else(|| "a row without an id".into());
            match read(row, &here, &target.limits) {
                Ok(ready) => batch.push(ready),
                Err(reason) => report.skipped(&name, reason),
            }
            place = Some(here);
        }
        append(target, batch, &mut reading, &mut cursors, &mut report).await?;
        if cursors.len() >= CURSORS {
            advance(target, std::mem::take(&mut cursors)).await?;
        }
        report.progress();
    }
    cursors.extend(reading.map(Reading::into_cursors).unwrap_or_default());
    if !source.knows_reads() {
        println!("messages: the source does not say what was read; all count as read");
    }
    advance(target, cursors).await?;
    Ok(report.finish())
}

/// The conversation of a row, as the first pass left it: two of one pair in the source are one.
async fn find(target: &Target, row: &SourceMessage) -> Result<Place, Failure> {
    let key = row.key.clone();
    let is_there = row.users.is_some() || row.conversation_id.is_some();
    let users = match is_there {
        true => users(row.users.as_deref()).map_err(|reason| format!("its conversation {reason}")),
        false => Err("its conversation is not there".to_owned()),
    };
    let users = match users {
        Ok(users) => users,
        Err(reason) => return Ok(Place { key, found: Err(reason) }),
    };
    let direct = match &users[..] {
        [one, other] => target.store.direct(&DirectKey::new(one, other, None)).await,
        _ => Ok(None),
    };
    let id = conversation_id(row.conversation_id.as_deref(), &users);
    let found = match direct.map_err(|error| unwritable(&error))? {
        Some(direct) => Some(direct),
        None => target.store.conversation(id).await.map_err(|error| unwritable(&error))?,
    };
    let found = found
        .map(|conversation| (conversation.id, users))
        .ok_or_else(|| "its conversation was skipped".to_owned());
    Ok(Place { key, found })
}

fn read(row: SourceMessage, place: &Place, limits: &Limits) -> Result<Ready, String> {
    let (conversation, users) = place.found.as_ref().map_err(Clone::clone)?;
    let id = row.id.ok_or("has no id")?;
    let sender = row.sender.ok_or("has no sender")?;
    let sender =
        UserId::new(sender).map_err(|invalid| format!("its sender's id {}", invalid.reason))?;
    if !users.contains(&sender) {
        return Err("its sender is not in the conversation".into());
    }
    let created_at = row.created_ms.map(Timestamp::from_millis).ok_or("has no time")?;
    let attachments: Vec<Attachment> = row
        .attachment_url
        .filter(|url| !url.is_empty())
        .map(|url| Attachment {
            url,
            name: row.attachment_name.filter(|name| !name.is_empty()),
            media_type: None,
            size: None,
        })
        .into_iter()
        .collect();
    let kind = kind(row.kind.as_deref(), !attachments.is_empty());
    let mut message = NewMessage::text(row.content.unwrap_or_default()).with_kind(kind);
    message.attachments = attachments;
    // Unique within the conversation and sender for good: a second run finds it.
    let key = ClientId::new(format!("import-{}", uuid_of("message", &id).simple()));
    message.client_id = Some(key.map_err(|invalid| invalid.to_string())?);
    let hash = message.content_hash();
    let draft = Draft::check(message, true, limits).map_err(|invalid| {
        let field = if invalid.field == "body" { "its text".into() } else { invalid.field };
        format!("{field} {}", invalid.reason)
    })?;
    let message_id = MessageId(uuid_of("message", &id));
    let append = Append::new(*conversation, message_id, Some(sender), draft, hash, created_at);
    Ok(Ready { append, users: users.clone(), row: id, is_read: row.is_read })
}

/// Kinds that are not known are kept as ones of the host's own.
fn kind(kind: Option<&str>, has_attachment: bool) -> MessageKind {
    match kind.map(str::to_ascii_lowercase).as_deref() {
        Some("image") if has_attachment => MessageKind::Image,
        Some("file") if has_attachment => MessageKind::File,
        None | Some("" | "text" | "image" | "file") => MessageKind::Text,
        Some(other) => MessageKind::Custom(other.to_owned()),
    }
}

async fn append(
    target: &Target,
    batch: Vec<Ready>,
    reading: &mut Option<Reading>,
    cursors: &mut Vec<Advance>,
    report: &mut Report,
) -> Result<(), Failure> {
    let appends = batch.iter().map(|ready| ready.append.clone()).collect();
    let answers = store(target, appends).await?;
    for (ready, answer) in batch.into_iter().zip(answers) {
        let message = match answer {
            Appended::Fresh(message) => {
                report.imported();
                message
            }
            Appended::Replayed(message) => {
                report.present();
                message
            }
            Appended::Conflict => {
                report.skipped(&ready.row, "was changed after it had been imported");
                let is_here = |here: &&mut Reading| here.id == ready.append.conversation_id;
                if let Some(here) = reading.as_mut().filter(is_here)
                    && !ready.is_read
                {
                    // It is there, and unread.
                    here.stop(ready.append.sender_id.as_ref());
                }
                continue;
            }
            Appended::NotFound | Appended::UnknownReply => {
                report.skipped(&ready.row, "its sender is no member of the conversation here");
                continue;
            }
        };
        let is_here = reading.as_ref().is_some_and(|here| here.id == message.conversation_id);
        if !is_here {
            cursors.extend(reading.take().map(Reading::into_cursors).unwrap_or_default());
            if message.seq > 1 {
                advance(target, std::mem::take(cursors)).await?;
            }
            *reading = Some(Reading::begin(target, &message, ready.users).await?);
        }
        if let Some(here) = reading {
            here.pass(&message, ready.is_read);
        }
    }
    Ok(())
}

/// Appends in order. What the database may take later is tried again.
async fn store(target: &Target, batch: Vec<Append>) -> Result<Vec<Appended>, Failure> {
    let mut answers: Vec<Option<Appended>> = batch.iter().map(|_| None).collect();
    let mut left: Vec<usize> = (0..batch.len()).collect();
    let mut attempt = 0;
    while !left.is_empty() {
        let part = left.iter().map(|&at| batch[at].clone()).collect();
        let mut failed: Option<BackendError> = None;
        for (at, answer) in left.clone().into_iter().zip(target.store.append(part).await) {
            match answer {
                Ok(answer) => answers[at] = Some(answer),
                Err(error) if error.is_retryable() => failed = Some(error),
                Err(error) => return Err(unwritable(&error)),
            }
        }
        left.retain(|&at| answers[at].is_none());
        if let Some(error) = failed {
            attempt += 1;
            if attempt == ATTEMPTS {
                return Err(unwritable(&error));
            }
            tracing::warn!(%error, "the database failed; trying again");
            tokio::time::sleep(Duration::from_millis(500) * attempt).await;
        }
    }
    Ok(answers.into_iter().flatten().collect())
}

async fn advance(target: &Target, cursors: Vec<Advance>) -> Result<(), Failure> {
    for part in cursors.chunks(CURSORS) {
        for moved in target.store.advance(part.to_vec(), target.limits.unread_cap).await {
            moved.map_err(|error| unwritable(&error))?;
        }
    }
    Ok(())
}

impl Reading {
    /// Begins with the first message of a conversation that the pass comes to. Of what lies before it, from
    /// another source or an earlier run, the cursors tell.
    async fn begin(target: &Target, first: &Message, users: Vec<UserId>) -> Result<Self, Failure> {
        let id = first.conversation_id;
        let mut members = Vec::with_capacity(users.len());
        for user in users {
            let mut progress = Progress::default();
            if first.seq > 1 {
                let entry = target.store.summary(id, &user, 1).await;
                let entry = entry.map_err(|error| unwritable(&error))?;
                let read = entry.map_or(0, |entry| entry.me.read_seq);
                progress.stopped = read + 1 < first.seq;
            }
            members.push((user, progress));
        }
        Ok(Self { id, members })
    }

    /// Passes a message. One's own count as read, and one that is unread ends it: what comes after was marked
    /// alone in the source, where here everything before is read as well.
    fn pass(&mut self, message: &Message, is_read: bool) {
        if !is_read {
            self.stop(message.sender_id.as_ref());
        }
        for (user, progress) in &mut self.members {
            if (is_read || message.sender_id.as_ref() == Some(user)) && !progress.stopped {
                progress.read = message.seq;
            }
        }
    }

    /// Something of this sender is unread: nothing after it counts as read by the others.
    fn stop(&mut self, sender: Option<&UserId>) {
        for (user, progress) in &mut self.members {
            progress.stopped |= sender != Some(user);
        }
    }

    fn into_cursors(self) -> Vec<Advance> {
        let moved = self.members.into_iter().filter(|(_, progress)| progress.read > 0);
        moved
            .map(|(user_id, progress)| Advance {
                conversation_id: self.id,
                user_id,
                delivered_seq: None,
                read_seq: Some(progress.read),
            })
            .collect()
    }
}
