//! Names that are shown after the process that learnt them has ended: each message keeps what its
//! sender, and in a direct conversation its receiver, were called when it was sent.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use parking_lot::Mutex;
use parlor_core::{
    Limits,
    command::Command,
    model::{ConversationId, Direct, Identity, Message, Metadata, UserId},
    store::Store,
    traits::{Hook, Rejection, UserDirectory},
};
use serde_json::{Map, Value};

use crate::{cache::Cache, known::Place};

/// Where a message's metadata has the names, by user id.
const NAMES: &str = "names";
const CONVERSATIONS: usize = 20_000;

/// What a user is called: as the directory says, else as [`KeepNames`] kept it with the message.
pub fn name_of(user: &UserId, message: &Message, place: &Place) -> Option<String> {
    place.profile(user).name.or_else(|| {
        let kept = message.metadata.0.get(NAMES)?.get(user.as_str())?;
        kept.as_str().map(str::to_owned)
    })
}

/// A hook for hosts whose directory forgets, as the stock one does at a restart: keeps the names with each message
/// that a user sends, in its metadata as `names`. Whatever a client itself writes there is replaced. The directory
/// is told of those who send, so that it knows also who never connects.
pub struct KeepNames {
    store: Arc<dyn Store>,
    directory: Arc<dyn UserDirectory>,
    pairs: Mutex<Cache<ConversationId, Option<Direct>>>,
}

impl KeepNames {
    /// Needs the engine's own store and directory.
    pub fn new(store: Arc<dyn Store>, directory: Arc<dyn UserDirectory>) -> Self {
        Self { store, directory, pairs: Mutex::new(Cache::new(CONVERSATIONS)) }
    }

    /// The names to keep with a message of this sender. What cannot be told is left out.
    async fn names(&self, sender: &Identity, id: ConversationId) -> Map<String, Value> {
        let mut users = vec![sender.user_id.clone()];
        if let Some(pair) = self.pair(id).await {
            users.extend(pair.users.into_iter().filter(|user| *user != sender.user_id));
        }
        let profiles = self.directory.profiles(&users).await.unwrap_or_default();
        let mut names: Map<String, Value> = profiles
            .into_iter()
            .filter_map(|it| Some((it.user_id.as_str().to_owned(), it.name?.into())))
            .collect();
        if let Some(name) = &sender.name {
            names.entry(sender.user_id.as_str()).or_insert_with(|| name.as_str().into());
        }
        names
    }

    async fn pair(&self, id: ConversationId) -> Option<Direct> {
        if let Some(known) = self.pairs.lock().get(&id) {
            return known;
        }
        let direct = self.store.conversation(id).await.ok()??.direct;
        self.pairs.lock().insert(id, direct.clone());
        direct
    }
}

#[async_trait]
impl Hook for KeepNames {
    fn listens(&self) -> bool {
        false
    }

    async fn before(
        &self,
        caller: Option<&Identity>,
        mut command: Command,
    ) -> Result<Command, Rejection> {
        let Some(sender) = caller else { return Ok(command) };
        let (id, metadata) = match &mut command {
            Command::Send(send) => (send.conversation_id, Some(&mut send.message.metadata)),
            Command::Edit(edit) => (edit.conversation_id, edit.edit.metadata.as_mut()),
            _ => return Ok(command),
        };
        if let Some(metadata) = metadata {
            self.directory.remember(sender);
            keep(metadata, self.names(sender, id).await);
        }
        Ok(command)
    }
}

impl fmt::Debug for KeepNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeepNames").finish_non_exhaustive()
    }
}

/// Puts the names in the place of what is there. Where they do not fit there are none.
fn keep(metadata: &mut Metadata, names: Map<String, Value>) {
    metadata.0.remove(NAMES);
    if names.is_empty() {
        return;
    }
    let mut with_names = metadata.clone();
    with_names.0.insert(NAMES.to_owned(), names.into());
    if with_names.check("metadata", Limits::default().metadata_bytes).is_ok() {
        *metadata = with_names;
    }
}

#[cfg(test)]
mod tests {
    use parlor_core::{
        Chat,
        backends::{MemoryStore, TokenDirectory},
        model::NewMessage,
    };
    use serde_json::json;

    use super::*;

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    #[tokio::test]
    async fn a_message_keeps_the_names_of_both_and_nobody_forges_them() {
        let store = Arc::new(MemoryStore::new());
        let directory = Arc::new(TokenDirectory::new());
        directory.remember(&Identity::new(user("bob")).with_name("Bob"));
        let hook = KeepNames::new(store.clone(), directory.clone());
        let chat = Chat::builder(store).directory(directory).hook(Arc::new(hook)).build();
        let chat = chat.await.unwrap();
        let ann = chat.as_user(Identity::new(user("ann")).with_name("Ann"));
        let id = ann.open_direct(user("bob")).await.unwrap().conversation.id;
        let sent = ann.send(id, NewMessage::text("hi")).await.unwrap();
        assert_eq!(sent.metadata.0[NAMES], json!({ "ann": "Ann", "bob": "Bob" }));

        let eve = chat.as_user(Identity::new(user("eve")));
        let id = eve.open_direct(user("cem")).await.unwrap().conversation.id;
        let mut forged = NewMessage::text("hi");
        forged.metadata.0.insert(NAMES.to_owned(), json!({ "eve": "The bank" }));
        forged.metadata.0.insert("own".to_owned(), json!(1));
        let sent = eve.send(id, forged).await.unwrap();
        assert_eq!(json!(sent.metadata), json!({ "own": 1 }));
    }

    #[test]
    fn names_give_way_where_there_is_no_room() {
        let names = || Map::from_iter([("ann".to_owned(), json!("Ann"))]);
        let mut full = Metadata::default();
        full.0.insert("own".to_owned(), json!("x".repeat(8 * 1024 - 15)));
        let before = full.clone();
        keep(&mut full, names());
        assert_eq!(full, before);
        let mut free = Metadata::default();
        keep(&mut free, names());
        assert_eq!(json!(free), json!({ "names": { "ann": "Ann" } }));
    }
}
