//! A client on one connection: catches up, takes events and answers, sends what is due.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use uuid::Uuid;

use crate::{
    client::{Client, Phase},
    habits::Deed,
    record::{Acked, Place, Revision},
    socket::{Broken, Socket},
    wire::{Frame, Refusal, SendKey},
};

/// After so much silence the server is asked for a word.
const QUIET: Duration = Duration::from_secs(2);
/// After so much it counts as gone.
const SILENT: Duration = Duration::from_secs(6);
/// Catching up is over within this time.
const CATCHING_UP: Duration = Duration::from_secs(30);

/// What an answer is waited for.
enum Asked {
    Send(SendKey),
    Deed(Deed),
    Nothing,
}

/// The result of a send.
#[derive(Deserialize)]
struct SendResult {
    message_id: Uuid,
    seq: u64,
}

pub(crate) struct Session<'a> {
    client: &'a mut Client,
    node: usize,
    socket: Socket,
    asked: HashMap<u64, Asked>,
    last_id: u64,
    started: Instant,
    heard: Instant,
    pinged: bool,
    live: bool,
    chatting: bool,
}

impl<'a> Session<'a> {
    pub(crate) fn new(client: &'a mut Client, node: usize, socket: Socket) -> Self {
        let (asked, started) = (HashMap::new(), Instant::now());
        let (heard, pinged, live, chatting) = (started, false, false, false);
        Self { client, node, socket, asked, last_id: 0, started, heard, pinged, live, chatting }
    }

    /// Runs until the connection is of no use any more; why, and whether it ever was.
    pub(crate) async fn run(mut self) -> (Broken, bool) {
        let reason = match self.serve().await {
            Err(reason) => reason,
            Ok(never) => match never {},
        };
        (reason, self.live)
    }

    async fn serve(&mut self) -> Result<std::convert::Infallible, Broken> {
        let resume = self.client.record.state.lock().copies.resume();
        self.socket.send(&resume).await?;
        loop {
            let wake = self.wake();
            tokio::select! {
                frame = self.socket.next() => self.take(&frame?)?,
                () = tokio::time::sleep_until(wake.into()) => {}
            }
            self.act(Instant::now()).await?;
        }
    }

    /// When there is something to do though nothing comes in.
    fn wake(&self) -> Instant {
        let mut wake = self.heard + if self.pinged { SILENT } else { QUIET };
        if self.live {
            wake = self.client.outbox.next().map_or(wake, |next| next.min(wake));
            if self.chatting {
                wake = wake.min(self.client.habits.next());
            }
        }
        wake
    }

    async fn act(&mut self, now: Instant) -> Result<(), Broken> {
        let silence = now - self.heard;
        if silence >= SILENT {
            return Err("silence".to_owned());
        }
        if silence >= QUIET && !self.pinged {
            self.pinged = true;
            self.ask(Asked::Nothing, json!({"type": "ping"})).await?;
        }
        if !self.live {
            let late = now - self.started >= CATCHING_UP;
            return if late { Err("no end of catching up".to_owned()) } else { Ok(()) };
        }
        if self.client.outbox.is_overdue(now) {
            return Err("no answer to a send".to_owned());
        }
        self.chat(now).await?;
        for (key, frame) in self.client.outbox.take_due(now) {
            self.ask(Asked::Send(key), frame).await?;
        }
        Ok(())
    }

    /// Says something new when it is time for that.
    async fn chat(&mut self, now: Instant) -> Result<(), Broken> {
        let chats = *self.client.world.phase.borrow() == Phase::Chat;
        if chats && !self.chatting {
            self.client.habits.begin(now);
        }
        self.chatting = chats;
        if !chats || self.client.habits.next() > now || self.client.outbox.is_full() {
            if chats && self.client.habits.next() <= now {
                self.client.habits.wait(now);
            }
            return Ok(());
        }
        self.client.habits.wait(now);
        let deed = {
            let client = &mut *self.client;
            let mut state = client.record.state.lock();
            let (key, conversation, body) = client.habits.say(&mut state, now);
            client.outbox.push(key, conversation, body, now);
            client.habits.deed(&state)
        };
        if let Some((deed, frame)) = deed {
            self.ask(Asked::Deed(deed), frame).await?;
        }
        Ok(())
    }

    async fn ask(&mut self, asked: Asked, mut frame: Value) -> Result<(), Broken> {
        self.last_id += 1;
        frame["id"] = self.last_id.into();
        self.asked.insert(self.last_id, asked);
        self.socket.send(&frame).await
    }

    fn take(&mut self, text: &Utf8Bytes) -> Result<(), Broken> {
        self.heard = Instant::now();
        self.pinged = false;
        let frame: Frame<'_> =
            serde_json::from_str(text).map_err(|error| format!("not understood: {error}"))?;
        match &*frame.kind {
            "ok" => self.answered(frame),
            "error" => self.refused(frame),
            "reconnect" => Err("asked to reconnect".to_owned()),
            kind => {
                let resumed = kind == "resumed";
                let whole = self.client.record.state.lock().copies.apply(frame);
                if resumed {
                    self.go_live();
                }
                if whole { Ok(()) } else { Err("a hole".to_owned()) }
            }
        }
    }

    fn go_live(&mut self) {
        self.live = true;
        self.client.outbox.restart(self.heard);
        let mut state = self.client.record.state.lock();
        state.place = Place::On(self.node);
        state.resumes += 1;
        state.retries += state.waiting();
    }

    fn asked(&mut self, frame: &Frame<'_>) -> Option<Asked> {
        self.asked.remove(&frame.id?)
    }

    fn answered(&mut self, frame: Frame<'_>) -> Result<(), Broken> {
        let asked = self.asked(&frame);
        let mut state = self.client.record.state.lock();
        match asked {
            Some(Asked::Send(key)) => {
                let result: SendResult = serde_json::from_value(frame.result)
                    .map_err(|error| format!("not understood: {error}"))?;
                self.client.outbox.remove(key);
                state.acknowledged += 1;
                let Some(sent) = state.sends.get_mut(key.number as usize - 1) else {
                    return Ok(());
                };
                sent.acked =
                    Some(Acked { at: self.heard, message: result.message_id, seq: result.seq });
                let (conversation, backwards) = (sent.conversation, result.seq <= sent.after);
                state.acked_backwards += u64::from(backwards);
                self.client.habits.heard(key, conversation, result.seq);
            }
            Some(Asked::Deed(Deed::Read { conversation, seq })) => {
                let read = state.read.entry(conversation).or_default();
                *read = seq.max(*read);
            }
            Some(Asked::Deed(Deed::Revise { send, text })) => {
                state.revisions.push(Revision { send, text });
            }
            Some(Asked::Deed(Deed::React) | Asked::Nothing) => {}
            None => return Err("an answer to nothing".to_owned()),
        }
        Ok(())
    }

    fn refused(&mut self, frame: Frame<'_>) -> Result<(), Broken> {
        let asked = self.asked(&frame);
        let Some(Refusal { code, message, retryable }) = frame.error else {
            return Err("an error that says nothing".to_owned());
        };
        let mut state = self.client.record.state.lock();
        match asked {
            Some(Asked::Send(key)) if retryable => {
                state.note(format!("a send: {code}"));
                state.retries += 1;
                let soon = Duration::from_millis(200).mul_f64(1.0 + self.client.habits.chance());
                self.client.outbox.try_again(key, self.heard + soon);
            }
            Some(Asked::Send(key)) => {
                state.note(format!("a send: {code}: {message}"));
                state.refused += 1;
                self.client.outbox.remove(key);
            }
            // A reaction or an edit of what somebody deleted meanwhile, and the like.
            _ => state.note(format!("a command: {code}: {message}")),
        }
        Ok(())
    }
}
