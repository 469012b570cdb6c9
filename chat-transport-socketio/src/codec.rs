//! Writes an engine's events in the words of a contract, once for all its connections.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use parlor_core::{
    Codec, Error,
    event::{Event, SessionEvent},
    model::ClientId,
};

use crate::{
    contract::Contract,
    frame::{About, SILENT, UNWRITTEN, Writer},
    known::{Known, Place},
    told::{Happening, Mark, Told, happenings, newcomers},
    written::Written,
};

/// The codec of a contract.
pub(crate) struct ContractCodec {
    contract: Arc<dyn Contract>,
    known: Arc<Known>,
    written: Written,
}

impl ContractCodec {
    pub(crate) fn new(contract: Arc<dyn Contract>, known: Arc<Known>) -> Self {
        Self { contract, known, written: Written::default() }
    }

    /// Writes an event of which [`Codec::encode`] did not know enough, once for all who ask.
    pub(crate) async fn look_up_and_encode(&self, event: &Arc<Event>) -> Result<Bytes, Error> {
        let frame = self.written.of(event);
        frame.get_or_try_init(|| self.encode_with_look_ups(event)).await.cloned()
    }

    async fn encode_with_look_ups(&self, event: &Event) -> Result<Bytes, Error> {
        let mut writer = Writer::default();
        for happening in happenings(event) {
            let place = match happening.conversation_id() {
                Some(id) => Some(self.known.place(id, happening.user()).await?),
                None => None,
            };
            let mark = match happening {
                Happening::Read { conversation_id, seq, .. } => {
                    Some(self.known.mark(conversation_id, seq).await?)
                }
                _ => None,
            };
            self.write(&mut writer, happening, place.as_ref(), mark);
        }
        Ok(writer.finish())
    }

    fn encode_now(&self, happenings: &[Happening<'_>]) -> Option<Bytes> {
        let mut writer = Writer::default();
        for happening in happenings {
            let place = self.known.place_now(happening)?;
            let mark = match happening {
                Happening::Read { conversation_id, seq, .. } => {
                    Some(self.known.mark_now(*conversation_id, *seq)?)
                }
                _ => None,
            };
            self.write(&mut writer, *happening, place.as_ref(), mark);
        }
        Some(writer.finish())
    }

    fn write(
        &self,
        writer: &mut Writer,
        happening: Happening<'_>,
        place: Option<&Place>,
        mark: Option<Mark>,
    ) {
        let Some(told) = told(happening, place, mark) else { return };
        let about = match happening {
            Happening::Presence { user_id, online } => {
                About { presence: Some((user_id, online)), ..About::default() }
            }
            Happening::Sent(message) => About {
                sender: message.sender_id.as_ref(),
                key: message.client_id.as_ref().map(ClientId::as_str),
                presence: None,
            },
            _ => About::default(),
        };
        for emit in self.contract.outgoing(&told) {
            writer.push(&emit, about);
        }
    }
}

impl Codec for ContractCodec {
    fn name(&self) -> &'static str {
        self.contract.name()
    }

    fn encode(&self, event: &Event) -> Option<Bytes> {
        let happenings = happenings(event);
        for happening in &happenings {
            self.known.learn(happening);
        }
        let frame = match happenings.is_empty() {
            true => SILENT,
            false => self.encode_now(&happenings).unwrap_or(UNWRITTEN),
        };
        (!frame.is_empty() || concerns_the_connection(event)).then_some(frame)
    }
}

impl fmt::Debug for ContractCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContractCodec").field("contract", &self.contract.name()).finish()
    }
}

/// Whether a connection has to see an event that its client is not told.
fn concerns_the_connection(event: &Event) -> bool {
    newcomers(event).is_some()
        || matches!(
            event,
            Event::Session(
                SessionEvent::Resumed { .. }
                    | SessionEvent::Limited { .. }
                    | SessionEvent::Resync { .. }
                    | SessionEvent::ConversationAdded { .. }
                    | SessionEvent::ConversationRemoved { .. }
            )
        )
}

fn told<'a>(
    happening: Happening<'a>,
    place: Option<&'a Place>,
    mark: Option<Mark>,
) -> Option<Told<'a>> {
    Some(match happening {
        Happening::Sent(message) => Told::Sent { message, place: place? },
        Happening::Edited(message) => Told::Edited { message, place: place? },
        Happening::Deleted(message) => Told::Deleted { message, place: place? },
        Happening::Created(_) => Told::Created { place: place? },
        Happening::Typing { user_id, on, .. } => Told::Typing { place: place?, user_id, on },
        Happening::Read { user_id, .. } => Told::Read { place: place?, user_id, message: mark? },
        Happening::Presence { user_id, online: true } => Told::Online { user_id },
        Happening::Presence { user_id, online: false } => Told::Offline { user_id },
    })
}
