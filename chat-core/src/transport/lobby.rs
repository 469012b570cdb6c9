//! Connections that have not said yet who they are: counted, altogether and by address.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Counts connections that have not said yet who they are.
#[derive(Debug)]
pub struct Lobby {
    counts: Mutex<Counts>,
    max: usize,
    max_per_address: usize,
}

/// A place in a [`Lobby`]; dropping it frees it.
#[derive(Debug)]
#[must_use]
pub struct Place {
    lobby: Arc<Lobby>,
    address: Option<IpAddr>,
}

impl Lobby {
    /// A lobby for so many connections, altogether and of one address.
    pub fn new(max: usize, max_per_address: usize) -> Arc<Self> {
        Arc::new(Self { counts: Mutex::default(), max, max_per_address })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // Counting cannot panic half-way, so the counts are right whoever held the lock.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place, if there is one left, altogether and for the address.
    pub fn enter(self: &Arc<Self>, address: Option<IpAddr>) -> Option<Place> {
        let address = address.map(crate::counted_address);
        let mut counts = self.counts();
        let of_address =
            address.and_then(|address| counts.by_address.get(&address).copied()).unwrap_or(0);
        if counts.all >= self.max || of_address >= self.max_per_address {
            return None;
        }
        counts.all += 1;
        if let Some(address) = address {
            counts.by_address.insert(address, of_address + 1);
        }
        Some(Place { lobby: Arc::clone(self), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.lobby.counts();
        counts.all -= 1;
        if let Some(address) = self.address
            && let Entry::Occupied(mut count) = counts.by_address.entry(address)
        {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_altogether_and_by_address_and_come_back() {
        let lobby = Lobby::new(3, 2);
        let (one, other) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let first = lobby.enter(Some(one)).unwrap();
        let _second = lobby.enter(Some(one)).unwrap();
        assert!(lobby.enter(Some(one)).is_none(), "two of an address");
        let _third = lobby.enter(Some(other)).unwrap();
        assert!(lobby.enter(None).is_none(), "three altogether");
        drop(first);
        assert!(lobby.enter(Some(one)).is_some());
        assert_eq!(lobby.counts().by_address.len(), 2);
    }
}
