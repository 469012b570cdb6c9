//! The one match over [`Command`].

use std::sync::Arc;

use futures::future::BoxFuture;
use tracing::Instrument;

use crate::engine::{
    gate::{self, Who},
    node::Node,
    verbs,
};
use crate::{
    BackendError, BackendErrorKind, Error,
    command::{Command, Reply},
    model::ContentHash,
};

/// A command that was started.
#[must_use]
pub enum Started {
    /// It is through.
    Done(Result<Reply, Error>),
    /// A send: its place in the order is fixed, the commit is awaited. Dropping the future does not
    /// take the send back.
    Pending(BoxFuture<'static, Result<Reply, Error>>),
}

impl std::fmt::Debug for Started {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Done(_) => "Done",
            Self::Pending(_) => "Pending",
        })
    }
}

/// Starts a command. A send comes back once it is queued, everything else once it is through.
pub(in crate::engine) async fn start(node: Arc<Node>, who: Who, command: Command) -> Started {
    let name = command.name();
    let span = tracing::debug_span!("parlor.command", command = name, user = ?who.user());
    let started = run(node, who, command).instrument(span).await;
    let outcome = match &started {
        Ok(_) => "ok",
        Err(error) => error.code().as_str(),
    };
    metrics::counter!("parlor_commands_total", "command" => name, "outcome" => outcome)
        .increment(1);
    started.unwrap_or_else(|error| Started::Done(Err(error)))
}

async fn run(node: Arc<Node>, who: Who, command: Command) -> Result<Started, Error> {
    // A drain waits for what began before it.
    let _inflight = node.inflight.begin();
    if node.is_draining() {
        return Err(draining());
    }
    if who.identity.as_ref().is_some_and(|identity| identity.is_expired(node.now())) {
        return Err(Error::Unauthenticated);
    }
    count(&node, &who, &command).await?;
    // The hash tells a retry from a reused key, so it is taken before a hook can touch the content.
    let hash = match &command {
        Command::Send(send) => Some(send.message.content_hash()),
        _ => None,
    };
    let command = match is_read(&command) {
        true => command,
        false => node.hooks.before(&who, command).await?,
    };
    carry_out(&node, &who, command, hash).await
}

/// Typing and receipts are coalesced instead of counted.
async fn count(node: &Node, who: &Who, command: &Command) -> Result<(), Error> {
    match command {
        Command::Typing(_)
        | Command::MarkRead(_)
        | Command::MarkDelivered(_)
        | Command::ClaimUndelivered(_) => Ok(()),
        Command::Send(_) => gate::take(node, who, "sends", node.config.sends).await,
        _ => gate::take(node, who, "commands", node.config.commands).await,
    }
}

fn is_read(command: &Command) -> bool {
    matches!(
        command,
        Command::GetConversation(_)
            | Command::ListConversations(_)
            | Command::ListMembers(_)
            | Command::History(_)
            | Command::GetMessage(_)
            | Command::ListPins(_)
            | Command::GetChanges(_)
            | Command::ListCursors(_)
            | Command::GetPresence(_)
            | Command::GetProfiles(_)
            | Command::UnreadTotal
    )
}

async fn carry_out(
    node: &Arc<Node>,
    who: &Who,
    command: Command,
    hash: Option<ContentHash>,
) -> Result<Started, Error> {
    let reply = match command {
        Command::Send(send) => return verbs::send::start(node, who, send, hash).await,
        Command::Edit(edit) => verbs::edit::run(node, who, edit).await,
        Command::Delete(delete) => verbs::delete::run(node, who, delete).await,
        Command::React(react) => verbs::react::run(node, who, react).await,
        Command::Pin(pin) => verbs::pin::run(node, who, pin).await,
        Command::OpenDirect(open) => verbs::open_direct::run(node, who, open).await,
        Command::CreateGroup(group) => verbs::create_group::run(node, who, group).await,
        Command::UpdateConversation(update) => {
            verbs::update_conversation::run(node, who, update).await
        }
        Command::AddMembers(add) => verbs::add_members::run(node, who, add).await,
        Command::RemoveMember(remove) => verbs::remove_member::run(node, who, remove).await,
        Command::Leave(leave) => verbs::leave::run(node, who, leave).await,
        Command::SetRole(set) => verbs::set_role::run(node, who, set).await,
        Command::UpdateSettings(update) => verbs::update_settings::run(node, who, update).await,
        Command::Hide(hide) => verbs::hide::run(node, who, hide).await,
        Command::Clear(clear) => verbs::clear::run(node, who, clear).await,
        Command::MarkRead(at) => verbs::mark_read::run(node, who, at).await,
        Command::MarkDelivered(at) => verbs::mark_delivered::run(node, who, at).await,
        Command::ClaimUndelivered(at) => verbs::claim_undelivered::run(node, who, at).await,
        Command::MarkUnread(at) => verbs::mark_unread::run(node, who, at).await,
        Command::Typing(typing) => verbs::typing::run(node, who, typing).await,
        Command::Signal(signal) => verbs::signal::run(node, who, signal).await,
        Command::GetConversation(get) => verbs::get_conversation::run(node, who, get).await,
        Command::ListConversations(list) => verbs::list_conversations::run(node, who, list).await,
        Command::ListMembers(list) => verbs::list_members::run(node, who, list).await,
        Command::History(history) => verbs::history::run(node, who, history).await,
        Command::GetMessage(get) => verbs::get_message::run(node, who, get).await,
        Command::ListPins(list) => verbs::list_pins::run(node, who, list).await,
        Command::GetChanges(get) => verbs::get_changes::run(node, who, get).await,
        Command::ListCursors(list) => verbs::list_cursors::run(node, who, list).await,
        Command::GetPresence(users) => verbs::get_presence::run(node, who, users).await,
        Command::GetProfiles(users) => verbs::get_profiles::run(node, who, users).await,
        Command::UnreadTotal => verbs::unread_total::run(node, who).await,
    };
    reply.map(|reply| Started::Done(Ok(reply)))
}

/// What a command gets while the node goes away.
pub(in crate::engine) fn draining() -> Error {
    Error::Unavailable(BackendError::new(BackendErrorKind::Unavailable, "drain"))
}
