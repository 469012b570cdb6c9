//! Writes an engine's events in the words of a contract, once for all its connections.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use parlor_core::{
    Codec, Error,
    event::{Event, SessionEvent},
    model::{ClientId, UserId},
};

use crate::{
    contract::Contract,
    frame::{About, SILENT, UNWRITTEN, Writer},
    known::{Known, Place},
    told::{Arrival, Happening, Mark, Told, happenings, newcomers},
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
        let mut writer = Writer::new(self.contract.namespace());
        for happening in happenings(event) {
            let place = match happening.conversation_id() {
                Some(id) => Some(self.known.place(id, happening.user()).await?),
                None => None,
            };
            let found = match happening {
                Happening::Read { conversation_id, seq, .. } => {
                    Found::Mark(self.known.mark(conversation_id, seq).await?)
                }
                Happening::Created(arrival) => match self.members_now(&arrival) {
                    Some(members) => Found::Members(members),
                    None => Found::Members(self.known.members(arrival.conversation.id).await?),
                },
                _ => Found::Nothing,
            };
            self.write(&mut writer, happening, place.as_ref(), &found);
        }
        Ok(writer.finish())
    }

    /// Who is in a new conversation, if that is known or does not matter.
    fn members_now(&self, arrival: &Arrival<'_>) -> Option<Vec<UserId>> {
        match (arrival.members, &arrival.conversation.direct) {
            (_, Some(direct)) => Some(direct.users.to_vec()),
            (Some(members), None) => Some(members.iter().map(|it| it.user_id.clone()).collect()),
            (None, None) => (!self.contract.serves_groups()).then(Vec::new),
        }
    }

    fn encode_now(&self, happenings: &[Happening<'_>]) -> Option<Bytes> {
        let mut writer = Writer::new(self.contract.namespace());
        for happening in happenings {
            let place = self.known.place_now(happening)?;
            let found = match happening {
                Happening::Read { conversation_id, seq, .. } => {
                    Found::Mark(self.known.mark_now(*conversation_id, *seq)?)
                }
                Happening::Created(arrival) => Found::Members(self.members_now(arrival)?),
                _ => Found::Nothing,
            };
            self.write(&mut writer, *happening, place.as_ref(), &found);
        }
        Some(writer.finish())
    }

    fn write(
        &self,
        writer: &mut Writer,
        happening: Happening<'_>,
        place: Option<&Place>,
        found: &Found,
    ) {
        let Some(told) = told(happening, place, found) else { return };
        let about = match happening {
            Happening::Presence { user_id, online } => {
                About { presence: Some((user_id, online)), ..About::default() }
            }
            Happening::Sent(message) => About {
                sender: message.sender_id.as_ref(),
                key: message.client_id.as_ref().map(ClientId::as_str),
                ..About::default()
            },
            Happening::Created(arrival) => About { only: arrival.only, ..About::default() },
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

/// What besides the place an event says.
enum Found {
    Nothing,
    Mark(Mark),
    Members(Vec<UserId>),
}

fn told<'a>(
    happening: Happening<'a>,
    place: Option<&'a Place>,
    found: &'a Found,
) -> Option<Told<'a>> {
    Some(match happening {
        Happening::Sent(message) => Told::Sent { message, place: place? },
        Happening::Edited(message) => Told::Edited { message, place: place? },
        Happening::Deleted(message) => Told::Deleted { message, place: place? },
        Happening::Created(..) => match found {
            Found::Members(members) => Told::Created { place: place?, members },
            _ => return None,
        },
        Happening::Typing { user_id, on, .. } => Told::Typing { place: place?, user_id, on },
        Happening::Read { user_id, .. } => match found {
            Found::Mark(mark) => Told::Read { place: place?, user_id, message: *mark },
            _ => return None,
        },
        Happening::Presence { user_id, online: true } => Told::Online { user_id },
        Happening::Presence { user_id, online: false } => Told::Offline { user_id },
    })
}
