//! What is known of conversations, people and messages, so that events can be written without asking
//! the store again for each of them.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use parlor_core::{
    BackendError, BackendErrorKind, Caller, Chat, Error,
    command::{Command, History, Reply, Users},
    model::{Conversation, ConversationId, ConversationSummary, Message, Profile, UserId},
};
use tokio::time::Instant;

use crate::{
    cache::Cache,
    told::{Happening, Mark},
};

const CONVERSATIONS: usize = 20_000;
const PROFILES: usize = 20_000;
const MARKS: usize = 50_000;
/// So long a profile is shown before the directory is asked again.
const PROFILE_LIFE: Duration = Duration::from_secs(60);

/// A conversation with the profiles of those who matter.
#[derive(Debug, Clone)]
pub struct Place {
    conversation: Arc<Conversation>,
    profiles: HashMap<UserId, Arc<Profile>>,
}

impl Place {
    /// The conversation. Its id, number, kind and pair are certain; its title and counters may be older.
    pub fn conversation(&self) -> &Conversation {
        &self.conversation
    }

    /// The other of the two in a direct conversation.
    pub fn peer_of(&self, user: &UserId) -> Option<&UserId> {
        self.conversation.direct.as_ref().map(|direct| direct.peer_of(user))
    }

    /// What is shown of a user; only the id where the directory knows nothing. Profiles are there for
    /// contracts that show them ([`Contract::shows_profiles`](crate::Contract::shows_profiles)): of the
    /// two of a direct conversation and of whom the event is about.
    pub fn profile(&self, user: &UserId) -> Profile {
        match self.profiles.get(user) {
            Some(profile) => Profile::clone(profile),
            None => Profile::new(user.clone()),
        }
    }
}

/// What was looked up, shared by all connections of a contract.
#[derive(Debug)]
pub(crate) struct Known {
    chat: Chat,
    with_profiles: bool,
    caches: Mutex<Caches>,
}

#[derive(Debug)]
struct Caches {
    conversations: Cache<ConversationId, Arc<Conversation>>,
    numbers: Cache<u64, ConversationId>,
    /// Of each user with each other one.
    directs: Cache<(UserId, UserId), ConversationId>,
    profiles: Cache<UserId, (Instant, Arc<Profile>)>,
    marks: Cache<(ConversationId, u64), Mark>,
}

impl Known {
    pub(crate) fn new(chat: Chat, with_profiles: bool) -> Self {
        let caches = Caches {
            conversations: Cache::new(CONVERSATIONS),
            numbers: Cache::new(CONVERSATIONS),
            directs: Cache::new(CONVERSATIONS),
            profiles: Cache::new(PROFILES),
            marks: Cache::new(MARKS),
        };
        Self { chat, with_profiles, caches: Mutex::new(caches) }
    }

    /// Learns from what happens.
    pub(crate) fn learn(&self, happening: &Happening<'_>) {
        match happening {
            Happening::Sent(message) => self.learn_message(message),
            Happening::Created(arrival) => self.learn_conversation(arrival.conversation),
            _ => {}
        }
    }

    pub(crate) fn learn_conversation(&self, conversation: &Conversation) {
        let shared = Arc::new(conversation.clone());
        self.caches.lock().conversations.insert(conversation.id, shared);
    }

    fn learn_message(&self, message: &Message) {
        let key = (message.conversation_id, message.seq);
        self.caches.lock().marks.insert(key, Mark::of(message));
    }

    /// The place of a happening, if everything about it is known already. `None` within for presence,
    /// which has no place.
    pub(crate) fn place_now(&self, happening: &Happening<'_>) -> Option<Option<Place>> {
        let Some(id) = happening.conversation_id() else { return Some(None) };
        let conversation = self.caches.lock().conversations.get(&id)?;
        let profiles = match self.with_profiles {
            true => self.profiles_now(&people(&conversation, happening.user()))?,
            false => HashMap::new(),
        };
        Some(Some(Place { conversation, profiles }))
    }

    /// The conversation with this number, whoever may see it.
    pub(crate) async fn numbered(&self, number: u64) -> Result<ConversationId, Error> {
        if let Some(known) = self.caches.lock().numbers.get(&number) {
            return Ok(known);
        }
        let found = self.chat.locate_conversation(number).await?;
        self.caches.lock().numbers.insert(number, found);
        Ok(found)
    }

    /// The direct conversation of a user with another one, made when it is not there.
    pub(crate) async fn direct(
        &self,
        caller: &Caller,
        pair: (UserId, UserId),
    ) -> Result<ConversationId, Error> {
        if let Some(known) = self.caches.lock().directs.get(&pair) {
            return Ok(known);
        }
        let opened = caller.open_direct(pair.1.clone()).await?.conversation;
        self.learn_conversation(&opened);
        self.caches.lock().directs.insert(pair, opened.id);
        Ok(opened.id)
    }

    /// A message by its place, if it is known already.
    pub(crate) fn mark_now(&self, id: ConversationId, seq: u64) -> Option<Mark> {
        self.caches.lock().marks.get(&(id, seq))
    }

    /// A place, asking the store and the directory for what is not known. The caller has made sure that
    /// the user may see it.
    pub(crate) async fn place(
        &self,
        id: ConversationId,
        about: Option<&UserId>,
    ) -> Result<Place, Error> {
        let conversation = self.conversation(id).await?;
        let profiles = match self.with_profiles {
            true => self.profiles(&people(&conversation, about)).await?,
            false => HashMap::new(),
        };
        Ok(Place { conversation, profiles })
    }

    /// The places of a list, as [`Known::place`] gives each.
    pub(crate) async fn places(&self, list: &[ConversationSummary]) -> Result<Vec<Place>, Error> {
        let people_of = |entry: &ConversationSummary| match self.with_profiles {
            true => people(&entry.conversation, None),
            false => Vec::new(),
        };
        let mut users: Vec<UserId> = list.iter().flat_map(people_of).collect();
        users.sort();
        users.dedup();
        let known = self.profiles(&users).await?;
        let places = list.iter().map(|entry| {
            let profiles = people_of(entry).into_iter();
            let profiles =
                profiles.filter_map(|user| Some((user.clone(), known.get(&user)?.clone())));
            let conversation = Arc::new(entry.conversation.clone());
            Place { conversation, profiles: profiles.collect() }
        });
        Ok(places.collect())
    }

    async fn conversation(&self, id: ConversationId) -> Result<Arc<Conversation>, Error> {
        if let Some(known) = self.caches.lock().conversations.get(&id) {
            return Ok(known);
        }
        let found = Arc::new(self.chat.system().conversation(id).await?.conversation);
        self.caches.lock().conversations.insert(id, Arc::clone(&found));
        Ok(found)
    }

    /// Who is in a conversation.
    pub(crate) async fn members(&self, id: ConversationId) -> Result<Vec<UserId>, Error> {
        let members = self.chat.system().members(id).await?;
        Ok(members.into_iter().map(|member| member.user_id).collect())
    }

    /// A message by its place.
    pub(crate) async fn mark(&self, id: ConversationId, seq: u64) -> Result<Mark, Error> {
        if let Some(known) = self.mark_now(id, seq) {
            return Ok(known);
        }
        let after = Some(seq.saturating_sub(1));
        let page = History { conversation_id: id, before: None, after, limit: Some(1) };
        let Reply::History(page) = self.chat.system().dispatch(Command::History(page)).await?
        else {
            return Err(mismatch());
        };
        let message = page.messages.first().filter(|message| message.seq == seq);
        let message = message.ok_or(Error::NotFound)?;
        self.learn_message(message);
        Ok(Mark::of(message))
    }

    fn profiles_now(&self, users: &[UserId]) -> Option<HashMap<UserId, Arc<Profile>>> {
        let mut caches = self.caches.lock();
        let mut found = HashMap::with_capacity(users.len());
        for user in users {
            let (since, profile) = caches.profiles.get(user)?;
            if since.elapsed() > PROFILE_LIFE {
                return None;
            }
            found.insert(user.clone(), profile);
        }
        Some(found)
    }

    /// The profiles of these users, each with at least the id.
    pub(crate) async fn profiles(
        &self,
        users: &[UserId],
    ) -> Result<HashMap<UserId, Arc<Profile>>, Error> {
        if let Some(known) = self.profiles_now(users) {
            return Ok(known);
        }
        let mut found = HashMap::with_capacity(users.len());
        for part in users.chunks(self.chat.limits().watches.max(1)) {
            let command = Command::GetProfiles(Users { user_ids: part.to_vec() });
            let Reply::Profiles(profiles) = self.chat.system().dispatch(command).await? else {
                return Err(mismatch());
            };
            found.extend(profiles.into_iter().map(|it| (it.user_id.clone(), Arc::new(it))));
        }
        for user in users {
            found.entry(user.clone()).or_insert_with(|| Arc::new(Profile::new(user.clone())));
        }
        let mut caches = self.caches.lock();
        let now = Instant::now();
        for (user, profile) in &found {
            caches.profiles.insert(user.clone(), (now, Arc::clone(profile)));
        }
        Ok(found)
    }

    /// Forgets a profile: its user has just shown another token.
    pub(crate) fn forget_profile(&self, user: &UserId) {
        self.caches.lock().profiles.remove(user);
    }
}

/// Whose profiles are shown with an event: the pair's, and of whom it is about.
fn people(conversation: &Conversation, about: Option<&UserId>) -> Vec<UserId> {
    let pair = conversation.direct.iter().flat_map(|direct| &direct.users);
    let mut users: Vec<UserId> = pair.chain(about).cloned().collect();
    users.sort();
    users.dedup();
    users
}

/// A reply of another kind than the command's: a fault of the engine.
pub(crate) fn mismatch() -> Error {
    Error::Internal(BackendError::new(BackendErrorKind::Other, "reply"))
}
