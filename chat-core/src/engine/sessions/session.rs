//! One connected device, from connect to drop.

use std::{net::IpAddr, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::engine::{
    Caller, Chat,
    codec::{Codec, Outgoing},
    dispatch::{self, Started},
    gate::{self, Who},
    node::Node,
    outbox::{CloseReason, Notifier},
    people,
    registry::Connection,
    resume::{self, Known, Resume},
    topics, typing,
};
use crate::{
    Error, Invalid, Timestamp,
    command::{Command, Reply},
    model::{Identity, PresenceInfo, PresenceStatus, SessionId, UserId},
    traits::Action,
};

/// Conversations that a device may say it knows, over all chunks of a resume.
const KNOWN: usize = 100_000;

/// How a device connects.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ConnectOptions {
    /// Writes the events for its wire; without one only [`Outgoing::event`] is filled.
    pub codec: Option<Arc<dyn Codec>>,
    /// Where it connects from, for the log.
    pub address: Option<IpAddr>,
}

impl ConnectOptions {
    /// A device whose wire is written by this codec.
    pub fn with_codec(codec: Arc<dyn Codec>) -> Self {
        Self { codec: Some(codec), address: None }
    }
}

/// One connected device. Dropping it disconnects.
///
/// No events come before [`Session::resume`]. Commands may.
#[derive(Debug)]
pub struct Session {
    chat: Chat,
    connection: Arc<Connection>,
    /// Chunks of a resume that has not ended.
    chunks: Mutex<Vec<Known>>,
    /// Whom the device watches besides its direct peers.
    watches: Mutex<Vec<UserId>>,
    /// Dropping it ends the resume that runs. The task's own handle would keep the memory of the task
    /// as long as the connection lives.
    resuming: Mutex<Option<oneshot::Sender<()>>>,
}

impl Session {
    pub(in crate::engine) fn new(chat: Chat, connection: Arc<Connection>) -> Self {
        Self {
            chat,
            connection,
            chunks: Mutex::default(),
            watches: Mutex::default(),
            resuming: Mutex::default(),
        }
    }

    fn node(&self) -> &Arc<Node> {
        self.chat.node()
    }

    fn who(&self) -> Who {
        Who::connected(&self.connection)
    }

    /// The connection's id.
    pub fn id(&self) -> SessionId {
        self.connection.id
    }

    /// Who is connected.
    pub fn user_id(&self) -> &UserId {
        &self.connection.user
    }

    /// Who is connected, as they proved it last.
    pub fn identity(&self) -> Arc<Identity> {
        self.connection.identity()
    }

    /// The user as one who asks, for everything that does not depend on this very connection.
    pub fn caller(&self) -> Caller {
        let who = Who { identity: Some(self.identity()), connection: None };
        Caller::new(self.chat.clone(), who)
    }

    /// When the identity ends.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.connection.identity().expires_at
    }

    /// Where the device connected from, if the transport said so.
    pub fn address(&self) -> Option<IpAddr> {
        self.connection.address
    }

    /// Starts a command. Call it for one after another; the pending rest of sends may run side by side.
    ///
    /// Everything but a send is carried out before this returns; dropping the future does not undo a
    /// change that was begun.
    pub async fn start(&self, command: Command) -> Started {
        dispatch::start(Arc::clone(self.node()), self.who(), command).await
    }

    /// Carries out a command and waits for the answer.
    ///
    /// # Errors
    /// As [`crate::engine::Caller::dispatch`].
    pub async fn dispatch(&self, command: Command) -> Result<Reply, Error> {
        match self.start(command).await {
            Started::Done(result) => result,
            Started::Pending(rest) => rest.await,
        }
    }

    /// Counts a request that is no command, such as a resume, against the user's quota of commands.
    ///
    /// # Errors
    /// [`Error::RateLimited`].
    pub async fn count_request(&self) -> Result<(), Error> {
        let node = self.node();
        gate::take(node, &self.who(), "commands", node.config.commands).await
    }

    /// Takes one chunk of a resume. With [`Resume::more`] it only remembers; the last one starts the
    /// replay in a task of its own and returns. A resume that is still running gives way to a new one.
    ///
    /// # Errors
    /// [`Error::Invalid`] for more than 100,000 known conversations.
    pub fn resume(&self, mut resume: Resume) -> Result<(), Error> {
        let mut chunks = self.chunks.lock();
        if chunks.len() + resume.known.len() > KNOWN {
            chunks.clear();
            return Err(Invalid::new("known", format!("must be at most {KNOWN}")).into());
        }
        chunks.append(&mut resume.known);
        if resume.more {
            return Ok(());
        }
        resume.known = std::mem::take(&mut chunks);
        drop(chunks);
        // From here on nothing live is missed.
        self.connection.outbox.hold();
        let (node, connection) = (Arc::clone(self.node()), Arc::clone(&self.connection));
        let (keep, abandoned) = oneshot::channel();
        *self.resuming.lock() = Some(keep);
        tokio::spawn(async move {
            tokio::select! {
                biased;
                _ = abandoned => {}
                () = resume::run(Arc::clone(&node), Arc::clone(&connection), resume) => {}
            }
            // The session may have ended in the middle of a step: what that entered is left again.
            if connection.outbox.is_closed() {
                disconnect(&node, &connection);
            }
        });
        Ok(())
    }

    /// Watches users' presence: tells it now, and again whenever it changes. Only those count who share
    /// a conversation with the caller and whom the policy shows; the others are left out.
    ///
    /// # Errors
    /// [`Error::Invalid`] for more than [`crate::Limits::watches`] watched users.
    pub async fn watch(&self, users: Vec<UserId>) -> Result<Vec<PresenceInfo>, Error> {
        let node = self.node();
        let max = node.config.limits.watches;
        let too_many = || Error::from(Invalid::new("user_ids", format!("must be at most {max}")));
        if users.len() > max {
            return Err(too_many());
        }
        let visible = people::visible_to(node, &self.who(), &users).await?;
        {
            let mut watches = self.watches.lock();
            let mut all = watches.clone();
            all.extend(visible.iter().filter(|user| !watches.contains(user)).cloned());
            if all.len() > max {
                return Err(too_many());
            }
            *watches = all;
        }
        Ok(people::watch(node, &self.connection, &visible).await)
    }

    /// Stops watching users.
    pub fn unwatch(&self, users: &[UserId]) {
        self.watches.lock().retain(|user| !users.contains(user));
        let unwatched = self.node().people.unwatch(self.connection.id, users);
        let node = Arc::clone(self.node());
        tokio::spawn(async move { people::part(&node, unwatched).await });
    }

    /// Says whether the device's user is online, away or busy.
    ///
    /// # Errors
    /// [`Error::Invalid`] for any other status.
    pub fn set_status(&self, status: PresenceStatus) -> Result<(), Error> {
        match status {
            PresenceStatus::Online | PresenceStatus::Away | PresenceStatus::Busy => {
                self.connection.set_status(status);
                self.node().people.here(&self.connection.user);
                Ok(())
            }
            _ => Err(Invalid::new("status", "must be online, away or busy").into()),
        }
    }

    /// Goes on with a newer identity of the same user.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] for another user and for an identity that has ended.
    pub fn reauthenticate(&self, identity: Identity) -> Result<(), Error> {
        if identity.user_id != self.connection.user || identity.is_expired(self.node().now()) {
            return Err(Error::Unauthenticated);
        }
        self.node().backends.directory.remember(&identity);
        self.connection.set_identity(identity);
        Ok(())
    }

    /// Waits for events and takes what waits: at most `max_bytes` of frames, at least one event. Cancel safe.
    ///
    /// # Errors
    /// The reason to close the connection with. It is final.
    pub async fn next(
        &self,
        into: &mut Vec<Arc<Outgoing>>,
        max_bytes: usize,
    ) -> Result<(), CloseReason> {
        self.connection.outbox.next(into, max_bytes).await
    }

    /// What waits for the device, for a transport that does not wait with [`Session::next`]: from here on the notifier
    /// is told whenever events come or the connection is to be closed, and `next` does not wake any more.
    pub fn events(&self, notifier: Box<dyn Notifier>) -> Events {
        self.connection.outbox.set_notifier(notifier);
        Events(Arc::clone(&self.connection))
    }

    /// Whether catching up has ended and events come as they happen.
    pub fn is_live(&self) -> bool {
        self.connection.outbox.is_live()
    }
}

/// What waits for one device. See [`Session::events`].
#[derive(Debug)]
pub struct Events(Arc<Connection>);

impl Events {
    /// Takes what waits: at most `max_bytes` of frames, at least one event; `false` when nothing does. Events
    /// are to reach the device in the order in which they are taken.
    ///
    /// # Errors
    /// As [`Session::next`].
    pub fn take(
        &self,
        into: &mut Vec<Arc<Outgoing>>,
        max_bytes: usize,
    ) -> Result<bool, CloseReason> {
        self.0.outbox.take(into, max_bytes)
    }

    /// Whether something waits, or the reason to close.
    pub fn has_waiting(&self) -> bool {
        self.0.outbox.has_news()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        *self.resuming.get_mut() = None;
        disconnect(self.chat.node(), &self.connection);
    }
}

/// Takes a connection out of everything. Idempotent.
fn disconnect(node: &Arc<Node>, connection: &Arc<Connection>) {
    connection.outbox.close(CloseReason::Ended);
    let rooms = node.rooms.leave_all(connection);
    for (id, user) in node.typing.gone(connection.id) {
        typing::tell(node, id, &user, false);
    }
    let watched = node.people.all_watched_by(connection.id);
    let unwatched = node.people.unwatch(connection.id, &watched);
    let last = node.registry.remove(connection);
    if last {
        node.people.gone(&connection.user, node.config.offline_grace);
    }
    if node.backends.bus.has_peers() {
        topics::part(node, last.then_some(&connection.user), rooms);
        let node = Arc::clone(node);
        tokio::spawn(async move { people::part(&node, unwatched).await });
    }
}

/// Lets an identity connect.
pub(in crate::engine) async fn connect(
    chat: &Chat,
    identity: Identity,
    options: ConnectOptions,
) -> Result<Session, CloseReason> {
    let node = chat.node();
    if node.is_draining() {
        return Err(CloseReason::Restart);
    }
    if identity.is_expired(node.now()) {
        return Err(CloseReason::Expired);
    }
    let identity = Arc::new(identity);
    let who = Who { identity: Some(Arc::clone(&identity)), connection: None };
    gate::take(node, &who, "connects", node.config.connects)
        .await
        .map_err(|_| CloseReason::RateLimited)?;
    gate::admit(node, &who, Action::Connect).await.map_err(|error| match error {
        Error::Unavailable(_) | Error::Internal(_) => CloseReason::Unavailable,
        _ => CloseReason::Ended,
    })?;
    node.backends.directory.remember(&identity);
    let bounds = crate::engine::budget::Bounds {
        events: node.config.outbox_events,
        bytes: node.config.outbox_bytes,
    };
    let outbox = crate::engine::outbox::Outbox::new(bounds, Arc::clone(&node.budget));
    let connection = Arc::new(Connection::new(identity, options.codec, options.address, outbox));
    node.registry.insert(&connection)?;
    node.people.here(&connection.user);
    let session = Session::new(chat.clone(), connection);
    // A drain that began meanwhile may have looked past it; dropped, it is taken back.
    if node.is_draining() { Err(CloseReason::Restart) } else { Ok(session) }
}

/// Starts the task that closes connections whose identity has ended. It ends with the engine.
pub(in crate::engine) fn run_expiry(node: &Arc<Node>, life: &crate::engine::node::Life) {
    let (node, mut life) = (Arc::clone(node), life.clone());
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = tokio::time::sleep(std::time::Duration::from_secs(1)) => {}
                () = life.ended() => return,
            }
            let now = node.now();
            for connection in node.registry.all() {
                if connection.is_expired(now) {
                    connection.outbox.close(CloseReason::Expired);
                }
            }
        }
    });
}
