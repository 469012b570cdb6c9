//! Messages as the parameters of `parlor.append`.

use std::collections::{HashMap, HashSet};

use parlor_core::{
    model::{ClientId, ConversationId, MessageId, UserId},
    store::Append,
};
use sqlx::{Postgres, postgres::PgArguments, query::Query};
use uuid::Uuid;

use crate::{
    error::Fault,
    rows::{list_text, metadata_text},
};

/// Splits a batch into calls, as places in it. In one call no key comes twice and no message answers another of
/// the same call; what follows such a one in its conversation comes later too, so that the order stands.
pub(crate) fn calls(batch: &[&Append]) -> Vec<Vec<usize>> {
    let mut calls = Vec::new();
    let mut rest: Vec<usize> = (0..batch.len()).collect();
    while !rest.is_empty() {
        let mut call = Call::default();
        let (now, later) = rest.into_iter().partition(|&place| call.takes(batch[place]));
        calls.push(now);
        rest = later;
    }
    calls
}

/// What one call holds.
#[derive(Default)]
struct Call<'a> {
    ids: HashSet<MessageId>,
    keys: HashSet<(ConversationId, Option<&'a UserId>, &'a ClientId)>,
    /// Conversations of messages that come later.
    closed: HashSet<ConversationId>,
}

impl<'a> Call<'a> {
    fn takes(&mut self, append: &'a Append) -> bool {
        let conversation = append.conversation_id;
        let content = append.draft.message();
        let key =
            content.client_id.as_ref().map(|key| (conversation, append.sender_id.as_ref(), key));
        let first = !self.closed.contains(&conversation)
            && !self.ids.contains(&append.message_id)
            && key.is_none_or(|key| !self.keys.contains(&key))
            && content.reply_to.is_none_or(|target| !self.ids.contains(&target));
        if first {
            self.ids.insert(append.message_id);
            self.keys.extend(key);
        } else {
            self.closed.insert(conversation);
        }
        first
    }
}

/// The columns of the messages of one call.
#[derive(Default)]
pub(crate) struct Columns<'a> {
    rooms: Vec<Uuid>,
    room: Vec<i32>,
    id: Vec<Uuid>,
    sender: Vec<Option<&'a str>>,
    client_id: Vec<Option<&'a str>>,
    hash: Vec<Option<&'a [u8]>>,
    kind: Vec<String>,
    body: Vec<&'a str>,
    reply_to: Vec<Option<Uuid>>,
    mentions: Vec<Option<String>>,
    attachments: Vec<Option<String>>,
    metadata: Vec<Option<String>>,
    created_at: Vec<i64>,
}

impl<'a> Columns<'a> {
    pub(crate) fn new(appends: &[&'a Append]) -> Result<Self, Fault> {
        let mut columns = Self::default();
        let mut places = HashMap::new();
        for append in appends {
            let content = append.draft.message();
            let room = *places.entry(append.conversation_id).or_insert_with(|| {
                columns.rooms.push(append.conversation_id.0);
                columns.rooms.len()
            });
            columns.room.push(i32::try_from(room).map_err(Fault::corrupt)?);
            columns.id.push(append.message_id.0);
            columns.sender.push(append.sender_id.as_ref().map(UserId::as_str));
            columns.client_id.push(content.client_id.as_ref().map(ClientId::as_str));
            // Only a key can be used twice.
            columns.hash.push(content.client_id.as_ref().map(|_| &append.content_hash.0[..]));
            columns.kind.push(content.kind.as_text().into_owned());
            columns.body.push(&content.body);
            columns.reply_to.push(content.reply_to.map(|id| id.0));
            columns.mentions.push(list_text(&content.mentions)?);
            columns.attachments.push(list_text(&content.attachments)?);
            columns.metadata.push(metadata_text(&content.metadata)?);
            columns.created_at.push(append.created_at.as_millis());
        }
        Ok(columns)
    }

    /// Binds all columns. Each has a value for each message, which is what `unnest` counts on.
    pub(crate) fn bind<'q>(
        self,
        query: Query<'q, Postgres, PgArguments>,
    ) -> Query<'q, Postgres, PgArguments> {
        query
            .bind(self.rooms)
            .bind(self.room)
            .bind(self.id)
            .bind(self.sender)
            .bind(self.client_id)
            .bind(self.hash)
            .bind(self.kind)
            .bind(self.body)
            .bind(self.reply_to)
            .bind(self.mentions)
            .bind(self.attachments)
            .bind(self.metadata)
            .bind(self.created_at)
    }
}
