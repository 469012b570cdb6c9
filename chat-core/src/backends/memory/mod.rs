//! The store in memory.

mod conversations;
mod cursors;
mod messages;
mod room;

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::Arc,
};

use parking_lot::Mutex;
use uuid::Uuid;

use crate::model::{ConversationId, DirectKey, MessageId, UserId};
use room::Room;

/// Keeps everything in memory, and nothing after the process ends.
///
/// Keeps the whole contract of [`crate::store`], so that what works on it works on a database. Clones
/// share one medium: hand them to several engines and they are nodes of one cluster.
#[derive(Clone)]
pub struct MemoryStore {
    medium: Arc<Medium>,
}

impl MemoryStore {
    /// An empty store with an epoch of its own.
    pub fn new() -> Self {
        let data = Mutex::new(Data::default());
        Self { medium: Arc::new(Medium { epoch: Uuid::new_v4(), data }) }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("epoch", &self.medium.epoch).finish_non_exhaustive()
    }
}

struct Medium {
    epoch: Uuid,
    // One lock for all: it is held for microseconds and never across an await.
    data: Mutex<Data>,
}

#[derive(Default)]
struct Data {
    rooms: HashMap<ConversationId, Room>,
    /// The conversation with number n is at n - 1.
    numbers: Vec<ConversationId>,
    directs: HashMap<DirectKey, ConversationId>,
    memberships: HashMap<UserId, BTreeSet<ConversationId>>,
    messages: HashMap<MessageId, (ConversationId, u64)>,
    /// The conversation and seq of the message with number n are at n - 1.
    message_numbers: Vec<(ConversationId, u64)>,
}

impl Data {
    /// The user's conversations.
    fn rooms_of<'a>(&'a self, user: &UserId) -> impl Iterator<Item = &'a Room> {
        self.memberships.get(user).into_iter().flatten().filter_map(|id| self.rooms.get(id))
    }
}

/// The entry with a number that counts from 1.
fn numbered<T>(entries: &[T], number: u64) -> Option<&T> {
    let index = usize::try_from(number).ok()?.checked_sub(1)?;
    entries.get(index)
}

/// The number of the next entry.
fn next_number<T>(entries: &[T]) -> u64 {
    entries.len() as u64 + 1
}
