//! A payload on a channel: who published it and as which of theirs, so that a node drops at once what is its own and
//! what it has from another channel already.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
};

use bytes::{Buf, Bytes};
use parking_lot::Mutex;
use parlor_core::model::NodeId;

/// The form written. Others are skipped.
const FORM: u8 = 1;
const HEAD: usize = 1 + 16 + 8;
/// Publishers remembered. Nodes come and go; who is forgotten is at worst heard twice.
const PUBLISHERS: usize = 1024;

/// One bus as it writes.
#[derive(Debug)]
pub(super) struct Writer {
    id: [u8; 16],
    next: AtomicU64,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self { id: NodeId::random().0.into_bytes(), next: AtomicU64::new(0) }
    }

    /// What to publish for a payload, the same on each of its channels.
    pub(super) fn frame(&self, payload: &[u8]) -> Vec<u8> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut frame = Vec::with_capacity(HEAD + payload.len());
        frame.push(FORM);
        frame.extend_from_slice(&self.id);
        frame.extend_from_slice(&number.to_be_bytes());
        frame.extend_from_slice(payload);
        frame
    }

    /// The same bus as it reads.
    pub(super) fn reader(&self) -> Reader {
        Reader { own: self.id, last: Mutex::new(HashMap::new()) }
    }
}

/// One bus as it reads.
#[derive(Debug)]
pub(super) struct Reader {
    own: [u8; 16],
    /// The last number of each publisher. Copies of one publication follow each other.
    last: Mutex<HashMap<[u8; 16], u64>>,
}

/// What a frame holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// A payload that was not there yet.
    Payload(Bytes),
    /// One's own, or there already.
    Known,
    /// Not a frame of this form.
    Foreign,
}

impl Reader {
    pub(super) fn read(&self, frame: Vec<u8>) -> Read {
        let mut frame = Bytes::from(frame);
        if frame.len() < HEAD || frame.get_u8() != FORM {
            return Read::Foreign;
        }
        let mut publisher = [0; 16];
        frame.copy_to_slice(&mut publisher);
        let number = frame.get_u64();
        if publisher == self.own {
            return Read::Known;
        }
        let mut last = self.last.lock();
        if last.len() >= PUBLISHERS && !last.contains_key(&publisher) {
            last.clear();
        }
        if last.insert(publisher, number) == Some(number) {
            return Read::Known;
        }
        Read::Payload(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_read_once_and_never_by_its_publisher() {
        let (one, other) = (Writer::new(), Writer::new());
        let reader = other.reader();
        let (first, second) = (one.frame(b"hello"), one.frame(b"hello"));
        assert_eq!(reader.read(first.clone()), Read::Payload("hello".into()));
        assert_eq!(reader.read(first), Read::Known, "from a second channel");
        assert_eq!(reader.read(second), Read::Payload("hello".into()), "published twice");
        assert_eq!(reader.read(other.frame(b"mine")), Read::Known);
        assert_eq!(reader.read(one.frame(b"")), Read::Payload(Bytes::new()));
    }

    #[test]
    fn what_is_not_a_frame_is_foreign() {
        let reader = Writer::new().reader();
        let mut newer = Writer::new().frame(b"hello");
        newer[0] = FORM + 1;
        for foreign in [b"".to_vec(), b"hello".to_vec(), newer] {
            assert_eq!(reader.read(foreign), Read::Foreign);
        }
    }

    #[test]
    fn publishers_that_are_gone_are_forgotten() {
        let reader = Writer::new().reader();
        for _ in 0..3 * PUBLISHERS {
            reader.read(Writer::new().frame(b"hello"));
        }
        assert!(reader.last.lock().len() <= PUBLISHERS);
    }
}
