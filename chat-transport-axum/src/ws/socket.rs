//! One connection, one task: reads frames, carries them out, writes answers, and events while it is at it.
//!
//! Nothing is queued on the way in. While a command is under way, while too many sends wait for their
//! commit, or while the client does not take what waits for it, nothing is read: the client's own TCP
//! holds it back.

use std::{net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use parlor_core::{Error, Outgoing, Session, Started, traits::Credentials};
use tokio::time::{Instant, sleep_until, timeout_at};

use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::{
    Entry, Shared,
    answer::{Pinged, Reauthenticated, Welcome, answer, json, refuse},
    wire::{Incoming, Lost, Progress, Stream, Wire},
};
use crate::{
    codec::{ClientFrame, Framed, decode},
    error::{Close, Refusal, log},
    head::FrameId,
    reply::{Answer, Empty},
    transport::Transport,
};

/// Sends of one connection that may wait for their commit.
const PENDING_SENDS: usize = 64;
/// Nothing is read while more bytes than this wait to be written.
const WAITING: usize = 64 * 1024;
/// Bytes of events that are taken from the session at once.
const BATCH: usize = 64 * 1024;

/// How long at most, for what a client is told of the resume that it sent along: mostly that follows in a moment.
const WELCOME_WAITS: Duration = Duration::from_millis(50);

/// How a connection ends: with a close frame, or `None` when there is nobody to tell.
type End = Option<Close>;

/// Runs a connection to its end.
pub(super) async fn run<T>(mut wire: Wire<T>, shared: &Arc<Shared>, entry: Entry)
where
    T: Stream,
{
    // What happens once is boxed, so that it does not widen the future of the long conversation.
    let entered = match entry {
        Entry::Known(session) => Ok((session, None)),
        Entry::Unknown { place, address } => {
            let entered = Box::pin(introduce(&mut wire, shared, address)).await;
            drop(place);
            entered
        }
    };
    let (end, session) = match entered {
        Ok((session, id)) => {
            let span = tracing::Span::current();
            span.record("session", tracing::field::display(session.id()));
            span.record("user", tracing::field::display(session.user_id()));
            wire.text(json(&Welcome::new(&shared.transport, &session, id)));
            (converse(&mut wire, &shared.transport, &session).await, Some(session))
        }
        Err(end) => (end, None),
    };
    // A drain waits for the last session, and the process may end with it: until then the client has been told.
    let session = session.filter(|_| end == Some(Close::RESTART));
    let code = end.map_or(1006, |close| close.code);
    metrics::counter!("parlor_ws_closed_total", "code" => code.to_string()).increment(1);
    tracing::debug!(code, "closed");
    if let Some(Close { code, reason }) = end {
        Box::pin(wire.close(code, reason)).await;
    }
    drop(session);
}

/// Waits for the frame that says who the client is.
async fn introduce<T>(
    wire: &mut Wire<T>,
    shared: &Shared,
    address: Option<IpAddr>,
) -> Result<(Session, Option<FrameId>), End>
where
    T: Stream,
{
    let deadline = Instant::now() + shared.transport.auth_deadline;
    let (token, id) = match timeout_at(deadline, first_frame(wire)).await {
        Ok(frame) => frame?,
        Err(_) => return Err(turn_away(wire, None, &Error::Unauthenticated)),
    };
    let credentials = Credentials::token(token);
    let authenticated = shared.transport.chat.authenticate(&credentials);
    let identity = match timeout_at(deadline, authenticated).await {
        Ok(Ok(identity)) => identity,
        Ok(Err(error)) => return Err(turn_away(wire, id, &error)),
        Err(_) => return Err(turn_away(wire, id, &Error::Unauthenticated)),
    };
    match shared.connect(identity, address).await {
        Ok(session) => Ok((session, id)),
        Err(reason) => Err(Some(reason.into())),
    }
}

async fn first_frame<T>(wire: &mut Wire<T>) -> Result<(String, Option<FrameId>), End>
where
    T: Stream,
{
    loop {
        let read = wire.waiting() < WAITING;
        let Some(text) = received(wire.drive(read).await)? else { continue };
        match understand(&text) {
            Ok(Framed { id, frame: ClientFrame::Authenticate(frame) }) => {
                return Ok((frame.token, id));
            }
            Ok(Framed { id, .. }) => return Err(turn_away(wire, id, &Error::Unauthenticated)),
            Err(refused) => wire.text(refused),
        }
    }
}

/// Refuses a client that did not prove who it is.
fn turn_away<T>(wire: &mut Wire<T>, id: Option<FrameId>, error: &Error) -> End
where
    T: Stream,
{
    log(error);
    wire.text(refuse(id, &Refusal::from(error)));
    Some(match error {
        Error::Unauthenticated => Close::UNAUTHENTICATED,
        _ => Close::TRY_LATER,
    })
}

/// The long conversation, from the welcome to the end.
async fn converse<T>(wire: &mut Wire<T>, transport: &Transport, session: &Session) -> End
where
    T: Stream,
{
    let mut current: Option<BoxFuture<'_, Outcome>> = None;
    let mut sends = FuturesUnordered::<BoxFuture<'static, Option<Bytes>>>::new();
    let mut batch: Vec<Arc<Outgoing>> = Vec::new();
    let line = Arc::clone(wire.line());
    line.begin(|notifier| session.events(notifier));
    let mut pulse = Pulse { pinged: None, paused: false };
    let timer = sleep_until(Instant::now() + transport.ping_interval);
    tokio::pin!(timer);
    loop {
        if current.is_none() && sends.is_empty() {
            wire.release();
        }
        let read = current.is_none() && sends.len() < PENDING_SENDS && wire.waiting() < WAITING;
        let due = pulse.due(wire, transport, read);
        // Only ever moved to the front: an alarm that comes too early looks again.
        if due < timer.deadline() {
            timer.as_mut().reset(due);
        }
        tokio::select! {
            biased;
            outcome = under_way(&mut current), if current.is_some() => {
                current = None;
                match outcome {
                    Outcome::Answered(Some(frame)) => wire.text(frame),
                    Outcome::Answered(None) => {}
                    Outcome::Resumed(frame) => {
                        if let Some(frame) = frame {
                            wire.text(frame);
                        }
                        wire.leave(Instant::now() + WELCOME_WAITS);
                    }
                    Outcome::Queued(send) => sends.push(send),
                }
            }
            Some(answered) = sends.next(), if !sends.is_empty() => {
                if let Some(frame) = answered {
                    wire.text(frame);
                }
            }
            () = line.called(), if wire.waiting() == 0 => {
                wire.claim();
                let told = line.take(&mut batch, BATCH);
                for outgoing in batch.drain(..) {
                    wire.text(outgoing.frame.clone());
                }
                batch.shrink_to(8);
                if let Err(reason) = told {
                    return Some(reason.into());
                }
            }
            progress = wire.drive(read) => match received(progress) {
                Ok(None) => {}
                Ok(Some(text)) => {
                    // What comes of it and what is told meanwhile goes out in turn.
                    wire.claim();
                    match understand(&text) {
                        Ok(framed) => current = Some(carry_out(framed, transport, session)),
                        Err(refused) => wire.text(refused),
                    }
                }
                Err(end) => return end,
            },
            () = &mut timer => match pulse.beat(wire, transport, read) {
                Ok(()) => timer.as_mut().reset(pulse.due(wire, transport, read)),
                Err(close) => return Some(close),
            },
        }
    }
}

async fn under_way(current: &mut Option<BoxFuture<'_, Outcome>>) -> Outcome {
    match current {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

/// What came of a read: a text, or nothing for the conversation.
fn received(progress: Result<Progress, Lost>) -> Result<Option<Utf8Bytes>, End> {
    match progress {
        Ok(Progress::Received(Incoming::Text(text))) => Ok(Some(text)),
        Ok(Progress::Received(Incoming::Binary)) => Err(Some(Close::BINARY)),
        Ok(Progress::Received(Incoming::Close)) => Err(Some(Close::NORMAL)),
        // The wire answers pings, and every byte is a sign of life.
        Ok(Progress::Received(Incoming::Sign)) => Ok(None),
        Ok(Progress::Flushed | Progress::Stalled) => Ok(None),
        Err(Lost::Violation(violation)) => Err(Some(violation.into())),
        Err(Lost::Gone) => Err(None),
    }
}

/// A frame, or the answer to one that cannot be understood. Nothing of `text` is kept.
fn understand(text: &str) -> Result<Framed, Bytes> {
    decode(text).map_err(|wrong| refuse(wrong.id, &wrong.refusal))
}

/// What came of a frame.
enum Outcome {
    /// It is done, and this is the answer if there is one.
    Answered(Option<Bytes>),
    /// What it asks for comes as events in a moment, and this is the answer if there is one.
    Resumed(Option<Bytes>),
    /// A send has its place in the order; the answer comes with its commit.
    Queued(BoxFuture<'static, Option<Bytes>>),
}

/// Carries out a frame. Boxed: it lives only as long as the frame is under way.
fn carry_out<'a>(
    Framed { id, frame }: Framed,
    transport: &'a Transport,
    session: &'a Session,
) -> BoxFuture<'a, Outcome> {
    let chat = &transport.chat;
    Box::pin(async move {
        // Commands are counted where they are carried out.
        if !matches!(frame, ClientFrame::Command(_))
            && let Err(error) = session.count_request().await
        {
            return Outcome::Answered(answer::<Empty>(id, Err(error)));
        }
        Outcome::Answered(match frame {
            ClientFrame::Command(command) => match session.start(*command).await {
                Started::Done(result) => answer(id, result.map(Answer)),
                Started::Pending(sent) => {
                    let answered = async move { answer(id, sent.await.map(Answer)) };
                    return Outcome::Queued(Box::pin(answered));
                }
            },
            ClientFrame::Authenticate(frame) => {
                let identity = chat.authenticate(&Credentials::token(frame.token)).await;
                let renewed = identity.and_then(|identity| {
                    let expires_at = identity.expires_at;
                    session.reauthenticate(identity)?;
                    Ok(Reauthenticated { expires_at })
                });
                answer(id, renewed)
            }
            ClientFrame::Resume(resume) => {
                let begins = !resume.more;
                let resumed = session.resume(resume).map(|()| Empty {});
                if begins && resumed.is_ok() {
                    return Outcome::Resumed(answer(id, resumed));
                }
                answer(id, resumed)
            }
            ClientFrame::Watch(users) => {
                let watched = session.watch(users.user_ids).await;
                answer(id, watched.map(|users| crate::reply::PresenceList { users }))
            }
            ClientFrame::Unwatch(users) => {
                session.unwatch(&users.user_ids);
                answer(id, Ok(Empty {}))
            }
            ClientFrame::SetStatus(frame) => {
                answer(id, session.set_status(frame.status).map(|()| Empty {}))
            }
            ClientFrame::Ping => answer(id, Ok(Pinged::new(chat))),
        })
    })
}

/// Whether the client still lives and still takes what it is sent.
struct Pulse {
    /// A ping was sent then, and nothing has come since.
    pinged: Option<Instant>,
    /// Nothing is read at present, so silence says nothing.
    paused: bool,
}

impl Pulse {
    /// When to look next.
    fn due<T>(&mut self, wire: &mut Wire<T>, transport: &Transport, read: bool) -> Instant
    where
        T: Stream,
    {
        if self.paused && read {
            wire.assume_heard();
        }
        self.paused = !read;
        if self.pinged.is_some_and(|pinged| wire.heard() > pinged) {
            self.pinged = None;
        }
        let silence = match self.pinged {
            Some(pinged) => pinged + transport.pong_deadline,
            None => wire.heard() + transport.ping_interval,
        };
        let write = wire.stalled_since().map(|stalled| stalled + transport.write_deadline);
        let write = write.or(wire.left());
        match (write, read) {
            (Some(write), true) => write.min(silence),
            (Some(write), false) => write,
            (None, true) => silence,
            (None, false) => Instant::now() + FAR,
        }
    }

    /// Looks, and pings who is silent.
    fn beat<T>(
        &mut self,
        wire: &mut Wire<T>,
        transport: &Transport,
        read: bool,
    ) -> Result<(), Close>
    where
        T: Stream,
    {
        let now = Instant::now();
        let late = |since: Option<Instant>, deadline: Duration| {
            since.is_some_and(|since| since + deadline <= now)
        };
        if late(wire.stalled_since(), transport.write_deadline) {
            return Err(Close::SLOW);
        }
        if wire.left().is_some_and(|until| until <= now) {
            wire.claim();
        }
        if read && late(self.pinged, transport.pong_deadline) {
            return Err(Close::NO_PONG);
        }
        if read && self.pinged.is_none() && late(Some(wire.heard()), transport.ping_interval) {
            wire.ping();
            self.pinged = Some(now);
        }
        Ok(())
    }
}

/// Longer than anything that is waited for without a deadline of its own.
const FAR: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use parlor_core::{Chat, ConnectOptions, backends::MemoryStore, model::Identity};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::ws::line::Pipe;

    #[tokio::test]
    async fn a_connections_future_is_small() {
        let chat = Chat::builder(Arc::new(MemoryStore::new())).build().await.unwrap();
        let shared = Arc::new(Shared::new(Transport::new(chat)));
        let identity = Identity::new(parlor_core::model::UserId::new("ann").unwrap());
        let session = shared.connect(identity, None).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let pipe = Pipe::new(tcp, shared.writers.queue());
        let wire = Wire::shared(pipe, &[], 1000).await;
        let size = size_of_val(&run(wire, &shared, Entry::Known(session)));
        println!("a connection's future: {size} bytes");
        // Ten thousand silent connections are to cost tens of megabytes, not hundreds.
        assert!(size <= 3 * 1024, "{size} bytes");
    }

    #[tokio::test]
    async fn only_what_begins_a_resume_waits_for_what_it_brings() {
        let chat = Chat::builder(Arc::new(MemoryStore::new())).build().await.unwrap();
        let transport = Transport::new(chat);
        let ann = Identity::new(parlor_core::model::UserId::new("ann").unwrap());
        let session = transport.chat.connect(ann, ConnectOptions::default()).await.unwrap();
        let outcome = async |text: &str| {
            let framed = understand(text).unwrap();
            carry_out(framed, &transport, &session).await
        };
        let chunk = outcome(r#"{"type":"resume","id":1,"known":[],"more":true}"#).await;
        assert!(matches!(chunk, Outcome::Answered(Some(_))), "the next chunk may wait for it");
        let last = outcome(r#"{"type":"resume","id":2,"known":[]}"#).await;
        assert!(matches!(last, Outcome::Resumed(Some(_))));
    }
}
