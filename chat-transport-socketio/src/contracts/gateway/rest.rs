//! The REST routes of the gateway.

use std::collections::BTreeSet;

use axum::{Json, extract::State, http::StatusCode};
use parlor_core::{
    Error, Invalid,
    model::{ConversationSummary, Message, MessageEdit, NewGroup, UserId},
    store::MessageRef,
};
use serde::Deserialize;
use serde_json::Value;

use super::{
    called, conversation_value,
    payload::{Participant, file_at, message_value},
    renamed,
};
use crate::{
    history,
    numbers::Number,
    rest::{Asker, At, Failure, Payload, Rest, Window},
};

/// What a group is called that was given no title.
const TITLE: &str = "Group";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Open {
    participant_ids: Vec<Participant>,
    #[serde(default)]
    title: Option<String>,
}

/// Two participants are their direct conversation, more a new group. The caller is one of them, and may be left
/// out where there is one other.
pub(super) async fn open(
    State(rest): State<Rest>,
    asker: Asker,
    Payload(Open { participant_ids, title }): Payload<Open>,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let named: BTreeSet<UserId> = participant_ids.into_iter().map(|it| it.0).collect();
    let me = asker.user_id();
    let others: Vec<UserId> = named.iter().filter(|user| *user != me).cloned().collect();
    if others.is_empty() || (others.len() > 1 && !named.contains(me)) {
        let reason = "must name yourself and at least one other user";
        return Err(Error::from(Invalid::new("participantIds", reason)).into());
    }
    let opened = match <[UserId; 1]>::try_from(others) {
        Ok([other]) => asker.caller.open_direct(other).await,
        Err(others) => {
            let title = title.unwrap_or_else(|| TITLE.to_owned());
            asker.caller.create_group(NewGroup::new(title, others)).await
        }
    };
    let fields = [("user_id", "participantIds"), ("members", "participantIds")];
    let entry = opened.map_err(|error| renamed(error, &fields))?;
    let value = list_value(&rest, &[entry]).await?.pop().ok_or(Error::NotFound)?;
    Ok((StatusCode::CREATED, Json(value)))
}

pub(super) async fn conversations(
    State(rest): State<Rest>,
    asker: Asker,
    window: Window,
) -> Result<Json<Value>, Failure> {
    let before = match &window.before {
        Some(number) => Some(rest.numbered(number_of(number)?).await.map_err(not_yours)?),
        None => None,
    };
    let entries = history::conversations(&asker.caller, before, window.limit).await?;
    Ok(Json(list_value(&rest, &entries).await?.into()))
}

/// Conversations with their participants, their last messages and how much of each is unread.
async fn list_value(rest: &Rest, entries: &[ConversationSummary]) -> Result<Vec<Value>, Error> {
    let members = history::members(rest.chat(), entries).await?;
    let values = entries.iter().zip(members).map(|(entry, members)| {
        let conversation = &entry.conversation;
        let mut value = conversation_value(conversation, &members);
        let last = entry.last_message.as_ref().filter(|message| !message.is_deleted());
        value["lastMessage"] =
            last.map_or(Value::Null, |message| message_value(message, conversation.number));
        value["unreadCount"] = entry.me.unread.into();
        value
    });
    Ok(values.collect())
}

pub(super) async fn messages(
    State(rest): State<Rest>,
    asker: Asker,
    At(number): At<Number>,
    window: Window,
) -> Result<Json<Value>, Failure> {
    let id = rest.numbered(number).await?;
    // A stranger learns nothing, not even by `before`.
    asker.caller.conversation(id).await?;
    let before = match &window.before {
        Some(before) => {
            let before = MessageRef::Number(number_of(before)?.0);
            Some(history::seq_of(rest.chat(), id, before).await?)
        }
        None => None,
    };
    let messages = history::newest(&asker.caller, id, before, window.limit).await?;
    let shown = messages.iter().filter(|message| !message.is_deleted());
    Ok(Json(shown.map(|message| message_value(message, number.0)).collect()))
}

#[derive(Deserialize)]
pub(super) struct NewContent {
    content: String,
}

pub(super) async fn edit(
    State(rest): State<Rest>,
    asker: Asker,
    At(number): At<Number>,
    Payload(NewContent { content }): Payload<NewContent>,
) -> Result<Json<Value>, Failure> {
    let message = visible(&rest, &asker, number).await?;
    let edit = match message.attachments.is_empty() {
        true => MessageEdit { body: Some(content), ..MessageEdit::default() },
        false => {
            MessageEdit { attachments: Some(vec![file_at(content)]), ..MessageEdit::default() }
        }
    };
    let edited = asker.caller.edit(message.conversation_id, message.id, edit).await;
    written(&rest, edited.map_err(called)?).await
}

pub(super) async fn delete(
    State(rest): State<Rest>,
    asker: Asker,
    At(number): At<Number>,
) -> Result<Json<Value>, Failure> {
    let message = visible(&rest, &asker, number).await?;
    let deleted = asker.caller.delete(message.conversation_id, message.id).await?;
    written(&rest, deleted).await
}

async fn visible(rest: &Rest, asker: &Asker, number: Number) -> Result<Message, Error> {
    history::message(rest.chat(), &asker.caller, MessageRef::Number(number.0)).await
}

async fn written(rest: &Rest, message: Message) -> Result<Json<Value>, Failure> {
    let place = rest.place(message.conversation_id).await?;
    Ok(Json(message_value(&message, place.conversation().number)))
}

fn number_of(text: &str) -> Result<Number, Error> {
    text.parse().map_err(|reason: String| Invalid::new("before", reason).into())
}

fn not_yours(error: Error) -> Error {
    match error {
        Error::NotFound => Invalid::new("before", "is not one of your conversations").into(),
        other => other,
    }
}
