//! What was sent in a conversation before the socket was told of it.

use parlor_core::{
    Error, Timestamp,
    command::{Command, History, Reply},
    event::{Changes, Event, SessionEvent},
    model::{Conversation, ConversationId, ConversationSummary, Message},
};

use crate::{client::Client, known::mismatch};

/// Messages that are told after all; whoever missed more loads anew.
const MISSED: usize = 1_000;

/// From where on messages are missed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Since {
    /// Those before it the client has loaded itself.
    Moment(Timestamp),
    /// What it was told ends with this rev.
    Rev(u64),
}

impl Since {
    /// Whether a conversation may have something that is missed.
    pub(crate) fn is_before(self, conversation: &Conversation) -> bool {
        match self {
            Self::Moment(moment) => conversation.last_activity_at >= moment,
            Self::Rev(rev) => conversation.rev > rev,
        }
    }

    fn misses(self, message: &Message) -> bool {
        match self {
            Self::Moment(moment) => message.created_at >= moment,
            Self::Rev(rev) => message.rev > rev,
        }
    }
}

/// The messages of a conversation that are missed, as the event that tells them; `None` when they are too many.
///
/// # Errors
/// As [`parlor_core::Caller::history`].
pub(crate) async fn since(
    client: &Client,
    summary: &ConversationSummary,
    since: Since,
) -> Result<Option<Event>, Error> {
    let id = summary.conversation.id;
    let mut newest_first: Vec<Message> = Vec::new();
    // What comes after this one is told as it happens.
    let mut before = summary.conversation.last_seq + 1;
    while before > 1 {
        let history =
            History { conversation_id: id, before: Some(before), after: None, limit: Some(100) };
        let Reply::History(page) = client.dispatch(Command::History(history)).await? else {
            return Err(mismatch());
        };
        let has_more = page.has_more;
        let of_page = page.messages.len();
        let missed = page.messages.into_iter().rev().take_while(|it| since.misses(it));
        let known = newest_first.len();
        newest_first.extend(missed);
        if newest_first.len() > MISSED {
            return Ok(None);
        }
        match newest_first.last() {
            Some(first) if has_more && newest_first.len() - known == of_page => before = first.seq,
            _ => break,
        }
    }
    newest_first.reverse();
    Ok(Some(told(id, newest_first)))
}

/// Messages as an event that tells them.
pub(crate) fn told(conversation_id: ConversationId, messages: Vec<Message>) -> Event {
    let changes = Changes {
        conversation_id,
        since_rev: 0,
        messages,
        revised: Vec::new(),
        conversation: None,
        members: None,
        through_rev: 0,
        next: None,
    };
    Event::Session(SessionEvent::Changes(Box::new(changes)))
}
