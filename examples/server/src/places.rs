//! How many connections there are, altogether and from one address.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
    sync::Arc,
};

use parking_lot::Mutex;

/// Counts connections.
#[derive(Debug)]
pub(crate) struct Places {
    counts: Mutex<Counts>,
    most: usize,
    most_per_address: usize,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A connection's place; dropping it frees it.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    address: IpAddr,
}

impl Places {
    pub(crate) fn new(most: usize, most_per_address: usize) -> Arc<Self> {
        Arc::new(Self { counts: Mutex::default(), most, most_per_address })
    }

    /// A place, or what there is no room for.
    pub(crate) fn take(self: &Arc<Self>, address: IpAddr) -> Result<Place, &'static str> {
        let address = parlor::counted_address(address);
        let mut counts = self.counts.lock();
        if counts.all >= self.most {
            return Err("all");
        }
        let of_address = counts.by_address.entry(address).or_default();
        if *of_address >= self.most_per_address {
            return Err("address");
        }
        *of_address += 1;
        counts.all += 1;
        Ok(Place { places: Arc::clone(self), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.places.counts.lock();
        counts.all -= 1;
        if let Entry::Occupied(mut count) = counts.by_address.entry(self.address) {
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
        let places = Places::new(3, 2);
        let (one, other) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let first = places.take(one).unwrap();
        let _second = places.take(one).unwrap();
        assert_eq!(places.take(one).unwrap_err(), "address");
        let _third = places.take(other).unwrap();
        assert_eq!(places.take([10, 0, 0, 3].into()).unwrap_err(), "all");
        drop(first);
        let _fourth = places.take(one).unwrap();
        assert_eq!(places.counts.lock().all, 3);
        assert_eq!(places.counts.lock().by_address.len(), 2, "who left is not remembered");
    }
}
