//! Whether messages come in the order in which they were sent.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
};

use super::Body;

/// What one member of a conversation has had.
#[derive(Default)]
pub(crate) struct Received {
    senders: BTreeMap<usize, Sender>,
    digest: DefaultHasher,
    pub(crate) count: u64,
    pub(crate) again: u64,
    pub(crate) disordered: u64,
}

/// What has come from one sender.
#[derive(Default)]
struct Sender {
    /// All up to this one.
    through: u64,
    /// Beyond it, with a hole before.
    beyond: BTreeSet<u64>,
}

impl Received {
    /// Takes a message; false when it had come before.
    pub(crate) fn take(&mut self, body: Body) -> bool {
        let Body { sender, number, .. } = body;
        let from = self.senders.entry(sender).or_default();
        // At least once on the wire: what has been seen is dropped.
        if number <= from.through || from.beyond.contains(&number) {
            self.again += 1;
            return false;
        }
        if number == from.through + 1 {
            from.through = number;
            while from.beyond.remove(&(from.through + 1)) {
                from.through += 1;
            }
        } else {
            from.beyond.insert(number);
            self.disordered += 1;
        }
        self.count += 1;
        (sender, number).hash(&mut self.digest);
        true
    }

    /// How many of a sender's messages have come without a hole.
    pub(crate) fn through(&self, sender: usize) -> u64 {
        self.senders.get(&sender).map_or(0, |sender| sender.through)
    }

    /// The same for two members who have had the same messages in the same order.
    pub(crate) fn digest(&self) -> u64 {
        self.digest.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(sender: usize, number: u64) -> Body {
        Body { sender, number, sent: 0 }
    }

    #[test]
    fn what_comes_twice_or_out_of_order_is_counted() {
        let mut received = Received::default();
        for (number, new) in [(1, true), (1, false), (3, true), (3, false), (2, true), (4, true)] {
            assert_eq!(received.take(body(0, number)), new, "{number}");
        }
        assert_eq!((received.count, received.again, received.disordered), (4, 2, 1));
        assert_eq!(received.through(0), 4);
        assert_eq!(received.through(9), 0);
    }

    #[test]
    fn two_members_who_saw_another_order_differ() {
        let (mut one, mut other) = (Received::default(), Received::default());
        one.take(body(0, 1));
        one.take(body(1, 1));
        other.take(body(1, 1));
        assert_ne!(one.digest(), other.digest());
        other.take(body(0, 1));
        assert_ne!(one.digest(), other.digest());
        assert_eq!(one.disordered + other.disordered, 0);
    }
}
