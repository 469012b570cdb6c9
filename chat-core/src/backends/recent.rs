//! A bounded memory of users: what was set longest ago goes first.

use std::collections::{BTreeMap, HashMap};

use crate::model::UserId;

/// One value a user, for at most `capacity` users.
#[derive(Debug)]
pub(super) struct Recent<V> {
    capacity: usize,
    /// Counts insertions, which orders them.
    tick: u64,
    entries: HashMap<UserId, (u64, V)>,
    order: BTreeMap<u64, UserId>,
}

impl<V> Recent<V> {
    /// Remembers nobody yet.
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, tick: 0, entries: HashMap::new(), order: BTreeMap::new() }
    }

    /// Sets a user's value, which makes it the newest.
    pub(super) fn insert(&mut self, user: UserId, value: V) {
        self.remove(&user);
        self.tick += 1;
        self.order.insert(self.tick, user.clone());
        self.entries.insert(user, (self.tick, value));
        while self.entries.len() > self.capacity
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.entries.remove(&oldest);
        }
    }

    /// Forgets a user.
    pub(super) fn remove(&mut self, user: &UserId) {
        if let Some((tick, _)) = self.entries.remove(user) {
            self.order.remove(&tick);
        }
    }

    /// A user's value.
    pub(super) fn get(&self, user: &UserId) -> Option<&V> {
        self.entries.get(user).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    #[test]
    fn what_was_set_longest_ago_goes_first() {
        let mut recent = Recent::new(2);
        recent.insert(user("ann"), 1);
        recent.insert(user("bob"), 2);
        recent.insert(user("ann"), 3);
        recent.insert(user("eve"), 4);
        assert_eq!(recent.get(&user("ann")), Some(&3));
        assert_eq!(recent.get(&user("bob")), None);
        assert_eq!(recent.get(&user("eve")), Some(&4));
        assert_eq!((recent.entries.len(), recent.order.len()), (2, 2));
    }

    #[test]
    fn without_capacity_nothing_is_kept() {
        let mut recent = Recent::new(0);
        recent.insert(user("ann"), 1);
        assert_eq!(recent.get(&user("ann")), None);
        assert!(recent.order.is_empty());
    }
}
