use async_trait::async_trait;
use parking_lot::Mutex;

use super::recent::Recent;
use crate::{
    BackendError, Limits,
    model::{Identity, Profile, UserId},
    traits::UserDirectory,
};

/// Users remembered unless told otherwise.
const USERS: usize = 100_000;

/// Remembers the names and pictures in the tokens of those who connect.
///
/// It knows nobody who has not connected to this process, and says of nobody that they do not exist.
/// Remembers at most 100,000 users by default; whose token came longest ago goes first.
#[derive(Debug)]
pub struct TokenDirectory {
    profiles: Mutex<Recent<Profile>>,
}

impl TokenDirectory {
    /// Remembers nobody yet, and at most 100,000 users.
    pub fn new() -> Self {
        Self::with_capacity(USERS)
    }

    /// Remembers nobody yet, and at most `users` users.
    pub fn with_capacity(users: usize) -> Self {
        Self { profiles: Mutex::new(Recent::new(users)) }
    }
}

impl Default for TokenDirectory {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl UserDirectory for TokenDirectory {
    async fn profiles(&self, users: &[UserId]) -> Result<Vec<Profile>, BackendError> {
        let profiles = self.profiles.lock();
        Ok(users.iter().filter_map(|user| profiles.get(user).cloned()).collect())
    }

    fn remember(&self, identity: &Identity) {
        // Bounded per user as well: a token may be long, and there are many of them.
        let limits = Limits::default();
        let name = identity.name.clone().filter(|name| name.len() <= limits.name_bytes);
        let picture = identity.picture.clone().filter(|picture| picture.len() <= limits.url_bytes);
        // A token that says nothing takes nothing back.
        if name.is_none() && picture.is_none() {
            return;
        }
        let user_id = identity.user_id.clone();
        let profile = Profile { name, picture, ..Profile::new(user_id.clone()) };
        self.profiles.lock().insert(user_id, profile);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    async fn names(directory: &TokenDirectory, users: &[&str]) -> Vec<Option<String>> {
        let users: Vec<_> = users.iter().map(|name| user(name)).collect();
        let profiles = directory.profiles(&users).await.unwrap();
        profiles.into_iter().map(|profile| profile.name).collect()
    }

    #[tokio::test]
    async fn the_last_name_in_a_token_is_shown() {
        let directory = TokenDirectory::new();
        directory.remember(&Identity::new(user("ann")).with_name("Ann"));
        directory.remember(&Identity::new(user("ann")).with_name("Ann Lee"));
        directory.remember(&Identity::new(user("ann")));
        assert_eq!(names(&directory, &["bob", "ann"]).await, [Some("Ann Lee".to_owned())]);
        assert!(directory.unknown(&[user("bob")]).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn memory_is_bounded_by_users_and_by_length() {
        let directory = TokenDirectory::with_capacity(2);
        for name in ["ann", "bob", "eve"] {
            directory.remember(&Identity::new(user(name)).with_name(name));
        }
        directory.remember(&Identity::new(user("eve")).with_name("x".repeat(256)));
        let shown = names(&directory, &["ann", "bob", "eve"]).await;
        assert_eq!(shown, [Some("bob".to_owned()), Some("eve".to_owned())]);
    }
}
