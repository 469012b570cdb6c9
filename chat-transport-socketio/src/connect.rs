//! How a client comes in: who it is, before it is connected, with nothing lost that it says at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::channel::mpsc;
use parking_lot::Mutex;
use parlor_core::{
    Chat, CloseReason, Codec, ConnectOptions, Error, Outgoing, Resume, Session, Timestamp, Unknown,
    event::{Event, SessionEvent},
    model::Identity,
    transport::Writers,
};
use serde_json::Value;
use socketioxide::{
    SocketIo,
    adapter::LocalAdapter,
    extract::{AckSender, SocketRef, TryData},
    handler::{ConnectHandler, FromMessageParts, MessageHandler},
    socket::{DisconnectReason, Socket},
};
use socketioxide_core::Value as Packet;
use tokio::sync::Notify;
use tracing::Instrument;

use crate::{
    codec::ContractCodec,
    contract::{Contract, TurnAway},
    handshake::Handshake,
    known::Known,
    link::{Link, Namespace},
    socket,
    transport::Engine,
};

/// A contract that is served.
#[derive(Debug)]
pub(crate) struct Mount {
    pub(crate) chat: Chat,
    pub(crate) contract: Arc<dyn Contract>,
    pub(crate) known: Arc<Known>,
    pub(crate) codec: Arc<ContractCodec>,
    pub(crate) auth_deadline: Duration,
    pub(crate) write_deadline: Duration,
    pub(crate) writers: Arc<Writers>,
    /// To close the connections of polling clients.
    pub(crate) engine: Engine,
}

impl Mount {
    /// Tells who shows this: the host's session layer first, then the engine's authenticator.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`], or [`Error::Unavailable`] when it cannot be told.
    pub(crate) async fn identify(&self, handshake: &Handshake<'_>) -> Result<Identity, Error> {
        let identity = match handshake.parts().extensions.get::<Identity>() {
            Some(identity) if identity.is_expired(self.chat.now()) => {
                return Err(Error::Unauthenticated);
            }
            Some(identity) => identity.clone(),
            None => {
                let credentials = self.contract.credentials(handshake);
                let judged = self.chat.authenticate(&credentials);
                match tokio::time::timeout(self.auth_deadline, judged).await {
                    Ok(judged) => judged?,
                    Err(_) => return Err(Error::Unauthenticated),
                }
            }
        };
        self.contract.identify(identity)
    }
}

/// An event that waits to be carried out.
pub(crate) struct Received {
    pub(crate) json: String,
    pub(crate) ack: Option<AckSender>,
}

/// What was made ready before the client learnt that it is connected.
pub(crate) struct Seat {
    pub(crate) session: Session,
    /// What happened since it receives.
    pub(crate) early: Vec<Arc<Outgoing>>,
    /// When that began: what is older the client loads itself.
    pub(crate) since: Timestamp,
    pub(crate) link: Arc<Link>,
    pub(crate) namespace: Namespace,
    /// Bounded by the link. It takes no room while nothing waits.
    pub(crate) inbox: mpsc::UnboundedReceiver<Received>,
    pub(crate) departure: Arc<Departure>,
}

/// Whether the client has left the namespace, or has gone altogether. `SocketRef::connected` does not know of whom
/// leaves as soon as they are told that they are connected.
#[derive(Debug, Default)]
pub(crate) struct Departure {
    has_left: AtomicBool,
    noted: Notify,
}

impl Departure {
    fn note(&self) {
        self.has_left.store(true, Ordering::Release);
        self.noted.notify_one();
    }

    pub(crate) fn has_left(&self) -> bool {
        self.has_left.load(Ordering::Acquire)
    }

    /// Waits until the client has left, for the socket's task. Cancel safe.
    pub(crate) async fn left(&self) {
        while !self.has_left() {
            self.noted.notified().await;
        }
    }
}

impl Seat {
    /// Taken apart where it is, it would keep its box as long as its parts live.
    #[expect(clippy::boxed_local, reason = "it leaves its box")]
    pub(crate) fn out_of_box(self: Box<Self>) -> Self {
        *self
    }
}

/// A seat, or why there is none.
type Reserved = Arc<Mutex<Option<Result<Box<Seat>, (Error, Arc<Link>)>>>>;

/// Serves the contract's namespace.
pub(crate) fn open_namespace(io: &SocketIo, mount: Arc<Mount>) {
    let at_the_door = Arc::clone(&mount);
    let door = move |socket: SocketRef, TryData(auth): TryData<Value>| {
        let mount = Arc::clone(&at_the_door);
        async move { admit(&mount, &socket, auth.unwrap_or_default()).await }
    };
    let namespace = mount.contract.namespace();
    let enter = move |socket: SocketRef| {
        let mount = Arc::clone(&mount);
        async move {
            let seat = socket.extensions.remove::<Reserved>();
            match seat.and_then(|reserved| reserved.lock().take()) {
                Some(Ok(seat)) => {
                    let (session, user) = (seat.session.id(), seat.session.user_id());
                    let contract = mount.contract.name();
                    let span = tracing::info_span!(parent: None, "parlor.socketio", contract, %session, %user);
                    socket::run(mount, socket, seat).instrument(span).await;
                }
                Some(Err((error, link))) => socket::turn_away(&mount, socket, &link, &error).await,
                None => {}
            }
        }
    };
    io.ns(namespace, enter.with(door));
}

/// Runs before the client is told that it is connected, so whatever it sends then finds its handlers.
async fn admit(mount: &Arc<Mount>, socket: &SocketRef, auth: Value) -> Result<(), Error> {
    let parts = socket.req_parts();
    // Put there for every connection.
    let Some(link) = parts.extensions.get::<Arc<Link>>().cloned() else {
        return Err(Error::Unauthenticated);
    };
    let handshake = Handshake::new(&auth, parts);
    let seat = match take_seat(mount, &handshake, socket, Arc::clone(&link)).await {
        Err(Error::Unauthenticated) if mount.contract.turn_away() == TurnAway::Disconnect => {
            Err((Error::Unauthenticated, link))
        }
        seat => Ok(seat?),
    };
    socket.extensions.insert::<Reserved>(Arc::new(Mutex::new(Some(seat))));
    Ok(())
}

async fn take_seat(
    mount: &Mount,
    handshake: &Handshake<'_>,
    socket: &SocketRef,
    link: Arc<Link>,
) -> Result<Box<Seat>, Error> {
    let identity = mount.identify(handshake).await?;
    let codec: Arc<dyn Codec> = mount.codec.clone();
    let mut options = ConnectOptions::with_codec(codec);
    options.address = link.address;
    let session = mount.chat.connect(identity, options).await.map_err(refused)?;
    mount.known.forget_profile(session.user_id());
    let live = tokio::time::timeout(mount.auth_deadline, go_live(&session)).await;
    let early = live.unwrap_or(Err(CloseReason::Unavailable)).map_err(refused)?;
    let since = mount.chat.now();
    let namespace = link.enter_namespace();

    let (into, inbox) = mpsc::unbounded();
    socket.on_fallback(Receiver { into, link: Arc::clone(&link) });
    let departure = Arc::new(Departure::default());
    let departing = Arc::clone(&departure);
    socket.on_disconnect(move |_: DisconnectReason| {
        departing.note();
        std::future::ready(())
    });
    Ok(Box::new(Seat { session, early, since, link, namespace, inbox, departure }))
}

/// Waits until everything that happens comes to this session: what a client does once it is connected
/// has to come back to it.
async fn go_live(session: &Session) -> Result<Vec<Arc<Outgoing>>, CloseReason> {
    // Only a resume with too much in it is refused.
    let _ = session.resume(Resume::new().with_unknown(Unknown::Skip));
    let is_last = |outgoing: &Arc<Outgoing>| {
        matches!(&*outgoing.event, Event::Session(SessionEvent::Resumed { .. }))
    };
    let mut early = Vec::new();
    while !early.iter().any(is_last) {
        session.next(&mut early, usize::MAX).await?;
    }
    Ok(early)
}

fn refused(reason: CloseReason) -> Error {
    use parlor_core::{BackendError, BackendErrorKind};
    match reason {
        CloseReason::Expired => Error::Unauthenticated,
        CloseReason::Ended => Error::Forbidden("this user may not connect".into()),
        CloseReason::TooManyConnections => Error::Forbidden("too many connections".into()),
        CloseReason::RateLimited => Error::RateLimited { retry_after: Duration::from_secs(1) },
        _ => Error::Unavailable(BackendError::new(BackendErrorKind::Unavailable, "connect")),
    }
}

/// Takes a socket's events into its inbox, in the order in which they came.
struct Receiver {
    into: mpsc::UnboundedSender<Received>,
    link: Arc<Link>,
}

impl MessageHandler<LocalAdapter, Received> for Receiver {
    fn call(&self, socket: Arc<Socket>, mut packet: Packet, ack_id: Option<i64>) {
        // A copy: what came may hold on to the whole buffer that it was read into.
        let json = packet.as_str().map(|text| text.as_str().to_owned()).unwrap_or_default();
        let ack = ack_id
            .and_then(|id| AckSender::from_message_parts(&socket, &mut packet, &Some(id)).ok());
        let bytes = json.len();
        if !self.link.came(bytes) {
            tracing::debug!(socket = %socket.id, "closed: more events at once than may wait");
            self.link.close();
        } else if self.into.unbounded_send(Received { json, ack }).is_ok() {
            return;
        }
        self.link.taken(bytes);
    }
}
