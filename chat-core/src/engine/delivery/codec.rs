//! One encoding per event and kind of wire, shared by reference.

use std::{fmt::Debug, sync::Arc};

use bytes::Bytes;

use crate::event::Event;

/// Writes events for one kind of wire.
pub trait Codec: Debug + Send + Sync + 'static {
    /// Names the codec. Two codecs of one name must write the same bytes: an event is encoded once for both.
    fn name(&self) -> &'static str;

    /// The bytes of the event, or `None` when this wire does not tell it.
    fn encode(&self, event: &Event) -> Option<Bytes>;
}

/// An event on its way to one connection.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Outgoing {
    /// The event.
    pub event: Arc<Event>,
    /// Its encoding by the connection's codec; empty for connections without one.
    pub frame: Bytes,
}

/// An event on its way to many connections: remembers the encodings it has.
#[derive(Debug)]
pub(in crate::engine) struct Delivery {
    event: Arc<Event>,
    frames: Vec<(&'static str, Option<Bytes>)>,
}

impl Delivery {
    pub(in crate::engine) fn new(event: Event) -> Self {
        Self::shared(Arc::new(event))
    }

    pub(in crate::engine) fn shared(event: Arc<Event>) -> Self {
        Self { event, frames: Vec::new() }
    }

    /// The event for a connection with this codec; `None` when its wire does not tell it.
    pub(in crate::engine) fn for_codec(&mut self, codec: Option<&dyn Codec>) -> Option<Outgoing> {
        let Some(codec) = codec else {
            return Some(Outgoing { event: Arc::clone(&self.event), frame: Bytes::new() });
        };
        let name = codec.name();
        let frame = match self.frames.iter().find(|(known, _)| *known == name) {
            Some((_, frame)) => frame.clone(),
            None => {
                let frame = codec.encode(&self.event);
                self.frames.push((name, frame.clone()));
                frame
            }
        };
        frame.map(|frame| Outgoing { event: Arc::clone(&self.event), frame })
    }
}
