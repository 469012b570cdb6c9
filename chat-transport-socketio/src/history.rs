//! Lists as Socket.IO front ends ask for them, and who has read what.

use futures::{StreamExt, TryStreamExt, stream};
use parlor_core::{
    Caller, Chat, Error, Invalid,
    command::{Command, History, InConversation, ListConversations, Reply},
    model::{ConversationId, ConversationSummary, Cursor, Message, MessageId, UserId},
    store::MessageRef,
};

use crate::known::mismatch;

/// Entries of a list whose client does not say how many.
const PAGE: u64 = 100;
/// Entries of a list that are completed at once.
const AT_ONCE: usize = 8;

/// The newest messages before a seq, oldest first: 100 by default, and at most.
///
/// # Errors
/// As [`Caller::history`].
pub async fn newest(
    caller: &Caller,
    conversation_id: ConversationId,
    before: Option<u64>,
    limit: Option<u64>,
) -> Result<Vec<Message>, Error> {
    let limit = Some(limit.unwrap_or(PAGE));
    let history = History { conversation_id, before, after: None, limit };
    match caller.dispatch(Command::History(history)).await? {
        Reply::History(page) => Ok(page.messages),
        _ => Err(mismatch()),
    }
}

/// The seq of a message of this very conversation, for a list that ends before it.
///
/// # Errors
/// [`Error::Invalid`] for the field `before`; [`Error::Unavailable`].
pub async fn seq_of(
    chat: &Chat,
    conversation_id: ConversationId,
    message: MessageRef,
) -> Result<u64, Error> {
    match chat.locate(message).await {
        Ok((found_in, _, seq)) if found_in == conversation_id => Ok(seq),
        Ok(_) | Err(Error::NotFound) => {
            Err(Invalid::new("before", "is not a message of this conversation").into())
        }
        Err(error) => Err(error),
    }
}

/// A message that the caller may see, by its id or number alone.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Unavailable`].
pub async fn message(chat: &Chat, caller: &Caller, message: MessageRef) -> Result<Message, Error> {
    let (conversation_id, message_id, _) = chat.locate(message).await?;
    one(caller, conversation_id, message_id).await
}

async fn one(
    caller: &Caller,
    conversation_id: ConversationId,
    message_id: MessageId,
) -> Result<Message, Error> {
    let get = parlor_core::command::InMessage { conversation_id, message_id };
    match caller.dispatch(Command::GetMessage(get)).await? {
        Reply::Message(message) => Ok(*message),
        _ => Err(mismatch()),
    }
}

/// The conversations with the latest activity, latest first: 100 by default, and at most.
///
/// # Errors
/// As [`Caller::conversations`].
pub async fn conversations(
    caller: &Caller,
    before: Option<ConversationId>,
    limit: Option<u64>,
) -> Result<Vec<ConversationSummary>, Error> {
    let mut list = match before {
        Some(id) => match caller.conversation(id).await {
            Ok(entry) => ListConversations::after(&entry.conversation),
            Err(Error::NotFound) => {
                return Err(Invalid::new("before", "is not one of your conversations").into());
            }
            Err(error) => return Err(error),
        },
        None => ListConversations::default(),
    };
    list.limit = Some(limit.unwrap_or(PAGE));
    Ok(caller.conversations(list).await?.conversations)
}

/// How far the members of a conversation have read.
#[derive(Debug, Clone)]
pub struct Readers(Vec<Cursor>);

impl Readers {
    /// Asks how far the members have read. Who keeps it private has read nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Unavailable`].
    pub async fn of(caller: &Caller, conversation_id: ConversationId) -> Result<Self, Error> {
        let of = InConversation { conversation_id };
        match caller.dispatch(Command::ListCursors(of)).await? {
            Reply::Cursors(cursors) => Ok(Self(cursors)),
            _ => Err(mismatch()),
        }
    }

    /// Whether anybody besides its sender has read a message.
    pub fn have_read(&self, message: &Message) -> bool {
        let others = self.0.iter().filter(|it| Some(&it.user_id) != message.sender_id.as_ref());
        others.into_iter().any(|cursor| cursor.read_seq >= message.seq)
    }
}

/// Whether the last messages of one's direct conversations have been read by whom they are for. The list has
/// shown that they may be seen, so it is no question of the user's own for each of them.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn last_are_read(
    chat: &Chat,
    me: &UserId,
    list: &[ConversationSummary],
) -> Result<Vec<bool>, Error> {
    let host = chat.system();
    let is_read = async |entry: &ConversationSummary| match &entry.last_message {
        None => Ok(false),
        Some(last) if last.sender_id.as_ref() != Some(me) => Ok(last.seq <= entry.me.read_seq),
        Some(last) => match Readers::of(&host, entry.conversation.id).await {
            Ok(readers) => Ok(readers.have_read(last)),
            // It has gone meanwhile.
            Err(Error::NotFound) => Ok(false),
            Err(error) => Err(error),
        },
    };
    stream::iter(list).map(is_read).buffered(AT_ONCE).try_collect().await
}

/// Who is in each of some conversations, of which a list has shown that they may be seen.
///
/// # Errors
/// [`Error::Unavailable`].
pub(crate) async fn members(
    chat: &Chat,
    list: &[ConversationSummary],
) -> Result<Vec<Vec<UserId>>, Error> {
    let host = chat.system();
    let members = async |entry: &ConversationSummary| match &entry.conversation.direct {
        Some(direct) => Ok(direct.users.to_vec()),
        None => match host.members(entry.conversation.id).await {
            Ok(members) => Ok(members.into_iter().map(|member| member.user_id).collect()),
            Err(Error::NotFound) => Ok(Vec::new()),
            Err(error) => Err(error),
        },
    };
    stream::iter(list).map(members).buffered(AT_ONCE).try_collect().await
}

/// What a message says to a client that shows text alone: its text, else where its file is.
pub fn text_of(message: &Message) -> &str {
    match message.attachments.first() {
        Some(attachment) if message.body.is_empty() => &attachment.url,
        _ => &message.body,
    }
}
