//! Events that could not be written at once: their frames, written once for all sockets that tell them.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use bytes::Bytes;
use parking_lot::Mutex;
use parlor_core::event::Event;
use tokio::sync::OnceCell;

/// Frames by the address of their event, which stays the event's own as long as it is here.
#[derive(Debug, Default)]
pub(crate) struct Written(Mutex<HashMap<usize, (Weak<Event>, Frame)>>);

/// A frame, to be written by the first who asks. When that fails, the next one tries.
pub(crate) type Frame = Arc<OnceCell<Bytes>>;

impl Written {
    /// The frame of an event.
    pub(crate) fn of(&self, event: &Arc<Event>) -> Frame {
        let mut frames = self.0.lock();
        if frames.len() == frames.capacity() {
            // Before it grows, so the cost is shared by all insertions.
            frames.retain(|_, (event, _)| event.strong_count() > 0);
        }
        let (_, frame) = frames
            .entry(Arc::as_ptr(event).addr())
            .or_insert_with(|| (Arc::downgrade(event), Frame::default()));
        Arc::clone(frame)
    }
}

#[cfg(test)]
mod tests {
    use parlor_core::event::Ephemeral;

    use super::*;

    fn event() -> Arc<Event> {
        Arc::new(Event::Ephemeral(Ephemeral::Presence { users: Vec::new() }))
    }

    #[test]
    fn an_event_has_one_frame_and_takes_it_along() {
        let written = Written::default();
        let (one, other) = (event(), event());
        written.of(&one).set(Bytes::from_static(b"one")).unwrap();
        assert_eq!(written.of(&one).get().unwrap(), "one");
        assert!(written.of(&other).get().is_none());
        for _ in 0..1000 {
            written.of(&event()).set(Bytes::from_static(b"gone")).unwrap();
        }
        assert!(written.0.lock().len() < 100);
        assert_eq!(written.of(&one).get().unwrap(), "one");
        assert!(written.of(&other).get().is_none());
    }
}
