//! What the store says, read page by page through the server when everything is quiet.

use std::collections::{BTreeMap, HashMap};

use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    Result,
    cluster::Cluster,
    rest::Rest,
    town::Circle,
    wire::{Conversation, Entry, Held, Message},
};

/// Questions under way at once.
const TOGETHER: usize = 16;

/// All conversations.
pub(crate) struct Truth {
    pub(crate) rooms: HashMap<Uuid, Room>,
}

/// One conversation.
pub(crate) struct Room {
    pub(crate) rev: u64,
    pub(crate) last_seq: u64,
    /// By seq.
    pub(crate) messages: BTreeMap<u64, Held>,
}

/// A member's own state in a conversation.
pub(crate) struct Standing {
    pub(crate) client: u32,
    pub(crate) conversation: Uuid,
    pub(crate) read_seq: u64,
    pub(crate) unread: u64,
}

/// What the database itself says, asked without the server.
pub(crate) struct Witness {
    pub(crate) messages: u64,
    /// Messages with the sender and the key of another one.
    pub(crate) twice: u64,
    /// Conversations whose messages are not 1, 2, 3 … up to the last.
    pub(crate) holes: u64,
}

const TESTIMONY: &str = "
    SELECT count(*), count(*) - count(DISTINCT (conversation, sender_id, client_id)),
        (SELECT count(*) FROM (
            SELECT FROM parlor.conversations c LEFT JOIN parlor.messages m ON m.conversation = c.number
            GROUP BY c.number
            HAVING count(m.seq) <> c.last_seq OR count(DISTINCT m.seq) <> c.last_seq
                OR coalesce(max(m.seq), 0) <> c.last_seq
        ) holes)
    FROM parlor.messages";

impl Witness {
    /// Asks the database. Blocks.
    pub(crate) fn ask(cluster: &Cluster) -> Result<Self> {
        let answer = cluster.sql(TESTIMONY);
        let numbers: Vec<u64> =
            answer.trim().split('|').map(str::parse).collect::<std::result::Result<_, _>>()?;
        match numbers[..] {
            [messages, twice, holes] => Ok(Self { messages, twice, holes }),
            _ => Err(format!("not understood: {answer}").into()),
        }
    }
}

/// The rev of each conversation now.
pub(crate) async fn heads(rest: &Rest, circles: &[Circle]) -> Result<HashMap<Uuid, u64>> {
    stream::iter(circles)
        .map(|circle| async { Ok((circle.id, conversation(rest, circle).await?.rev)) })
        .buffer_unordered(TOGETHER)
        .try_collect()
        .await
}

impl Truth {
    pub(crate) async fn read(rest: &Rest, circles: &[Circle]) -> Result<Self> {
        let rooms = stream::iter(circles)
            .map(|circle| async { Ok((circle.id, room(rest, circle).await?)) })
            .buffer_unordered(TOGETHER)
            .try_collect::<_>()
            .await;
        rooms.map(|rooms| Self { rooms })
    }
}

/// Where each member stands in each conversation.
pub(crate) async fn standings(rest: &Rest, clients: u32) -> Result<Vec<Standing>> {
    let lists: Vec<Vec<Standing>> = stream::iter(0..clients)
        .map(|client| list(rest, client))
        .buffer_unordered(TOGETHER)
        .try_collect()
        .await?;
    Ok(lists.into_iter().flatten().collect())
}

async fn conversation(rest: &Rest, circle: &Circle) -> Result<Conversation> {
    let path = format!("/conversations/{}", circle.id);
    let entry: Entry = rest.get(circle.members[0], &path).await?;
    Ok(entry.conversation)
}

async fn room(rest: &Rest, circle: &Circle) -> Result<Room> {
    #[derive(Deserialize)]
    struct Page {
        messages: Vec<Message>,
        has_more: bool,
    }
    let Conversation { rev, last_seq, .. } = conversation(rest, circle).await?;
    let mut messages = BTreeMap::new();
    loop {
        let after = messages.last_key_value().map_or(0, |(seq, _): (&u64, &Held)| *seq);
        let path = format!("/conversations/{}/messages?after={after}&limit=100", circle.id);
        let page: Page = rest.get(circle.members[0], &path).await?;
        messages.extend(page.messages.into_iter().map(|message| (message.seq, message.into())));
        if !page.has_more {
            return Ok(Room { rev, last_seq, messages });
        }
    }
}

async fn list(rest: &Rest, client: u32) -> Result<Vec<Standing>> {
    #[derive(Deserialize)]
    struct Page {
        conversations: Vec<Entry>,
        next: Option<String>,
    }
    let mut standings = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/conversations?limit=100{cursor}");
        let page: Page = rest.get(client, &path).await?;
        standings.extend(page.conversations.into_iter().map(|entry| Standing {
            client,
            conversation: entry.conversation.id,
            read_seq: entry.me.read_seq,
            unread: entry.me.unread,
        }));
        let Some(next) = page.next else { return Ok(standings) };
        cursor = format!("&cursor={next}");
    }
}
