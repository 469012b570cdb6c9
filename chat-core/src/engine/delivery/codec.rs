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

/// An event on its way to connections of one kind of wire.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Outgoing {
    /// The event.
    pub event: Arc<Event>,
    /// Its encoding by the connections' codec; empty for connections without one.
    pub frame: Bytes,
}

/// So many connections share one count of who holds an event. All on one, the thread that tells them and those that write
/// would take its cache line from each other with every connection.
const SHARED_BY: usize = 32;

/// An event on its way to many connections: remembers the encodings it has.
#[derive(Debug)]
pub(in crate::engine) struct Delivery {
    event: Arc<Event>,
    encoded: Vec<Encoded>,
}

/// An event in one encoding.
#[derive(Debug)]
struct Encoded {
    codec: Option<&'static str>,
    /// `None` when this wire does not tell it.
    outgoing: Option<Arc<Outgoing>>,
    shared_by: usize,
}

impl Encoded {
    fn share(&mut self) -> Option<Arc<Outgoing>> {
        let outgoing = self.outgoing.as_mut()?;
        if self.shared_by == SHARED_BY {
            *outgoing = Arc::new(Outgoing::clone(outgoing));
            self.shared_by = 0;
        }
        self.shared_by += 1;
        Some(Arc::clone(outgoing))
    }
}

impl Delivery {
    pub(in crate::engine) fn new(event: Event) -> Self {
        Self::shared(Arc::new(event))
    }

    pub(in crate::engine) fn shared(event: Arc<Event>) -> Self {
        Self { event, encoded: Vec::new() }
    }

    /// The event for a connection with this codec; `None` when its wire does not tell it.
    pub(in crate::engine) fn for_codec(
        &mut self,
        codec: Option<&dyn Codec>,
    ) -> Option<Arc<Outgoing>> {
        let name = codec.map(Codec::name);
        if let Some(encoded) = self.encoded.iter_mut().find(|encoded| encoded.codec == name) {
            return encoded.share();
        }
        let frame = match codec {
            Some(codec) => codec.encode(&self.event),
            None => Some(Bytes::new()),
        };
        let event = &self.event;
        let outgoing = frame.map(|frame| Arc::new(Outgoing { event: Arc::clone(event), frame }));
        self.encoded.push(Encoded { codec: name, outgoing: outgoing.clone(), shared_by: 1 });
        outgoing
    }
}
